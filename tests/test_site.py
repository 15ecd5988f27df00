"""
The documentation as a site: it is built strictly, every link leads somewhere, nothing is loaded
from elsewhere, and its real table is what the real log says.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("zensical", reason="the site is an extra")
pytest.importorskip("mkdocstrings", reason="the site is an extra")

import imcm

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("IMCM_REAL_DATA", ROOT.parent / "shared" / "data"))

LOADING = {
    ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("video", "src"),
    ("object", "data"), ("embed", "src"), ("form", "action"), ("use", "href"), ("image", "href"),
}  # fmt: skip
"""Attributes by which a browser loads something, or sends something, without being asked."""

LOADED_LINKS = {
    "stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "manifest",
    "modulepreload",
}  # fmt: skip


class Page(HTMLParser):
    """What a page links to, what it loads, and which places in it can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        self.title = self.title or tag == "title"
        for name, value in given.items():
            if (tag, name) in LOADING:
                self.loaded.append(value)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and set(given.get("rel", "").split()) & LOADED_LINKS:
            self.loaded.append(given.get("href", ""))


@pytest.fixture(scope="module")
def site() -> Path:
    """The site, built as its documentation says."""
    ran = subprocess.run(
        [sys.executable, "docs/make_site.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert "No issues found" in ran.stdout + ran.stderr
    return ROOT / "build" / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_there_and_in_the_navigation(site: Path, pages: dict[Path, Page]) -> None:
    """Each page of docs is one of the site, and every page links to each of them."""
    names = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert names <= {path.stem for path in site.glob("*.html")}
    linked = {Path(urlsplit(link).path).stem for link in pages[site / "index.html"].links}
    assert names - {"index"} <= linked
    assert all(page.title for page in pages.values())


def test_every_link_inside_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    """The file is there, and in it the place that is named."""
    broken: dict[str, list[str]] = defaultdict(list)
    followed = 0
    for path, page in pages.items():
        base = site if path.name == "404.html" else path.parent
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                start = site if parts.path.startswith("/") else base
                target = (start / unquote(parts.path).lstrip("/")).resolve()
                target = target / "index.html" if target.is_dir() else target
            followed += 1
            anchor = unquote(parts.fragment)
            anchors = pages[target].ids | {""} if target in pages else {anchor}
            if not target.is_file() or anchor not in anchors:
                broken[str(path.relative_to(site))].append(link)
    assert {} == dict(broken)
    assert followed > 5_000


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    """No script, style, picture, font or frame comes from another host; what is loaded is there."""
    for path, page in pages.items():
        for loaded in page.loaded:
            parts = urlsplit(loaded)
            assert not parts.netloc, (path, loaded)
            assert parts.scheme in {"", "data"}, (path, loaded)
            if not parts.scheme and parts.path and path.name != "404.html":
                assert (path.parent / unquote(parts.path)).is_file(), (path, loaded)
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert [] == re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)\"']*", text), style


def test_classes_come_with_every_argument(site: Path) -> None:
    """Pages of classes and functions are filled: arguments that share an entry each have theirs."""
    ledger = (site / "api" / "ledger.html").read_text(encoding="utf-8")
    for argument in ("clock", "scale", "policy", "must_exist", "record_refusals"):
        assert re.search(rf"<code>{argument}</code>", ledger), argument
    figures = (site / "api" / "figures.html").read_text(encoding="utf-8")
    for argument in inspect.signature(imcm.time_to_restore).parameters:
        assert re.search(rf"<code>{argument}</code>", figures), argument
    assert "figure_function" not in figures
    for name in ("incident", "change", "reports", "rules", "boards", "audit", "frames", "errors"):
        assert len((site / "api" / f"{name}.html").read_text(encoding="utf-8")) > 20_000, name


class Strict(SimpleHTTPRequestHandler):
    """Serves files; a browser may load from here alone, and reports what else it was asked."""

    reported: ClassVar[list[str]] = []
    asked: ClassVar[list[str]] = []

    def end_headers(self) -> None:
        sources = "'self' 'unsafe-inline' data: blob:"
        self.send_header("Content-Security-Policy", f"default-src {sources}; report-uri /reports")
        super().end_headers()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.reported.append(self.rfile.read(length).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Strict, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def seen(address: str, profile: Path) -> str:
    """Return a page as a real browser has it, its scripts run; no request leaves the machine."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no Chromium here")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        f"--user-data-dir={profile} --virtual-time-budget=4000 --dump-dom"
    )
    nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    Strict.reported.clear()
    Strict.asked.clear()
    ran = subprocess.run(
        [browser, *flags.split(), nowhere, address],
        capture_output=True, text=True, check=True, timeout=90,
    )  # fmt: skip
    return ran.stdout


def test_pages_run_in_a_browser_and_ask_no_other_host(site: Path, tmp_path: Path) -> None:
    """The browser has nothing to report of a page, and its scripts come from the site."""
    with served(site) as address:
        for name in ("index", "mttr", "api/ledger"):
            assert "md-content" in seen(f"{address}/{name}.html", tmp_path / "profile")
            assert [] == Strict.reported
            assert any(path.endswith(".js") for path in Strict.asked)


def test_a_browser_reports_what_comes_from_elsewhere(tmp_path: Path) -> None:
    """The test above would see a picture of another host."""
    (tmp_path / "page.html").write_text("<p>x<img src='https://example.org/x.png'>")
    with served(tmp_path) as address:
        seen(f"{address}/page.html", tmp_path / "profile")
    assert any("example.org" in report for report in Strict.reported)


@pytest.mark.real_data
def test_the_real_table_is_what_the_real_log_says() -> None:
    """The numbers of docs/mttr.md come out again of the public log."""
    if not (DATA / "uci_servicenow_incidents").is_dir():
        pytest.skip(f"no real logs in {DATA}")
    code = "import sys, pathlib, make_mttr; text = make_mttr.page(pathlib.Path(sys.argv[1])); "
    code += "sys.stderr.write(text)"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(DATA)],
        cwd=ROOT / "docs", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stderr == (ROOT / "docs" / "mttr.md").read_text(encoding="utf-8")
