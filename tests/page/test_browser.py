"""
A page in a real browser: what it does with it, and what a reader without a mouse or eyes finds.

Debian's Chromium is driven over its own protocol; axe-core comes from npm. Both are looked for
where they usually are, or where IMCM_CHROMIUM and IMCM_AXE say. With IMCM_BROWSER=required it is a
failure that one is missing.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sample import sample_ledger

from imcm import html_page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
KINDS = {
    "period": {"window": "2026-Q1"},
    "service": {"service": "checkout"},
    "incident": {"incident": "INC-003"},
}


def missing(what):
    """Skip, or fail where a browser was promised."""
    if os.environ.get("IMCM_BROWSER") == "required":
        pytest.fail(f"needs {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    pytest.importorskip("vl_convert", reason="the page is an extra")
    folder = tmp_path_factory.mktemp("pages")
    with sample_ledger() as ledger:
        for kind, asked in KINDS.items():
            html_page(ledger, **asked).write(folder / f"{kind}.html")
            # What is looked at element by element has a few rows of each kind.
            html_page(ledger, limit=12, **asked).write(folder / f"{kind}-brief.html")
    return folder


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("IMCM_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        missing("Chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright: pip install 'imcm[browser]'")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def axe():
    path = Path(os.environ.get("IMCM_AXE", "node_modules/axe-core/axe.min.js"))
    if not path.is_file():
        missing("axe-core: npm install axe-core, and IMCM_AXE the way to its axe.min.js")
    return path.read_text(encoding="utf-8")


@pytest.fixture
def opened(browser, files):
    """Open a page; when the test is over, nothing was asked of a network and nothing complained."""
    contexts, complaints = [], []

    def open_(kind="period", viewport=DESK, **more):
        context = browser.new_context(viewport=viewport, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                complaints.append(asked.url) if asked.resource_type != "document" else None
            ),
        )
        page.goto((files / f"{kind}.html").as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def column(page, table, number):
    cells = page.locator(f"#{table} > tbody > tr:not([hidden]) > :nth-child({number})")
    return cells.all_inner_texts()


@pytest.mark.parametrize(
    ("kind", "viewport", "scheme"),
    [
        ("period", DESK, "light"),
        ("period", PHONE, "dark"),
        ("service", PHONE, "light"),
        ("incident", DESK, "dark"),
        ("incident", PHONE, "light"),
    ],
)
def test_it_loads_fits_and_is_accessible(kind, viewport, scheme, opened, axe):
    """Nothing is fetched, nothing complains, nothing is cut off, and axe finds nothing serious."""
    page = opened(f"{kind}-brief", viewport, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    page.evaluate(axe)
    violations = page.evaluate("axe.run(document)")["violations"]
    serious = [
        (rule["id"], rule["impact"], rule["nodes"][0]["html"][:200])
        for rule in violations
        if rule["impact"] in {"serious", "critical"}
    ]
    assert serious == []
    drawing = "wide" if viewport is DESK else "narrow"
    shown = page.locator("figure .drawing:visible")
    assert shown.count() == page.locator("figure").count()
    assert all(drawing in (shown.nth(n).get_attribute("class") or "") for n in range(shown.count()))


def test_colours_follow_the_scheme(opened):
    """Pictures are drawn in the colours of the page, dark or light."""
    colours = {}
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme)
        colours[scheme] = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('figure .wide text')).fill]"
        )
    assert colours["light"][0] == "rgb(255, 255, 255)"
    assert colours["light"] != colours["dark"]
    assert colours["light"][1] != colours["dark"][1]


def test_tables_sort_by_what_they_hold(opened):
    """Up, down, by numbers where there are numbers; what is empty is last both ways."""
    page = opened()
    head = page.locator("#incidents thead th").nth(7)
    button = head.get_by_role("button", name="Sort by time to restore")
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    value = (
        "cells => cells.map(cell => cell.dataset.value === undefined ? null : +cell.dataset.value)"
    )
    cells = page.locator("#incidents > tbody > tr > :nth-child(8)")
    rising = cells.evaluate_all(value)
    known = [number for number in rising if number is not None]
    assert known == sorted(known)
    assert len(known) > 10
    assert None in rising
    assert rising[len(known) :] == [None] * (len(rising) - len(known))
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    falling = cells.evaluate_all(value)
    assert falling == known[::-1] + [None] * (len(rising) - len(known))
    page.locator("#incidents thead th").first.click()  # its words, not its button
    ids = column(page, "incidents", 1)
    assert ids == sorted(ids)
    assert head.get_attribute("aria-sort") is None


def test_tables_filter_as_somebody_types(opened):
    """All words must be in a row; how many rows are left is said aloud; nothing typed shows all."""
    page = opened()
    everything = column(page, "changes", 1)
    box = page.get_by_label("Filter Changes", exact=True)
    box.fill("LOGIN low")
    left = column(page, "changes", 3)
    assert left
    assert set(left) == {"login"}
    assert len(left) < len(everything)
    tools = page.locator(".data", has=page.locator("#changes"))
    assert tools.locator("output").inner_text() == f"{len(left)} of {len(everything)} rows"
    box.fill("<script>")
    assert column(page, "changes", 1) == []
    box.fill("")
    assert column(page, "changes", 1) == everything


def test_an_explanation_opens_by_keyboard(opened):
    """Tab reaches it, Enter opens it, and where the focus is can be seen."""
    page = opened()
    explanation = page.locator("#figure-time-to-restore details")
    text = explanation.locator("pre")
    assert not text.is_visible()
    for _ in range(60):
        page.keyboard.press("Tab")
        if explanation.evaluate("each => each.contains(document.activeElement)"):
            break
    assert explanation.locator("summary").evaluate("each => each === document.activeElement")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Enter")
    assert text.is_visible()
    assert re.search(r"definition:", text.inner_text())
    page.keyboard.press("Enter")
    assert not text.is_visible()


def test_all_explanations_open_at_once(opened):
    """And close again."""
    page = opened()
    page.get_by_role("button", name="Open all explanations").click()
    shown = page.locator("#figures pre")
    assert all(shown.nth(number).is_visible() for number in range(shown.count()))
    page.get_by_role("button", name="Close all explanations").click()
    assert not any(shown.nth(number).is_visible() for number in range(shown.count()))


def test_it_sorts_by_keyboard(opened):
    """A head is a button that Enter and the space bar press."""
    page = opened()
    button = page.locator("#open-actions thead th button").first
    button.focus()
    page.keyboard.press("Enter")
    rising = column(page, "open-actions", 1)
    assert rising == sorted(rising)
    page.keyboard.press("Space")
    assert column(page, "open-actions", 1) == rising[::-1]


def test_it_prints(opened, tmp_path):
    """The whole of its tables, none of its tools, heads on each sheet, what was opened opened."""
    pypdf = pytest.importorskip("pypdf", reason="reads what was printed")
    page = opened()
    page.locator("#figure-time-to-restore summary").click()
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    sheets = [sheet.extract_text() for sheet in pypdf.PdfReader(tmp_path / "page.pdf").pages]
    text = "\n".join(sheets)
    assert "CHG-0001" in text
    assert "CHG-0114" in text
    assert "Filter" not in text
    assert "Open all explanations" not in text
    assert text.count("definition:") == 1
    # A table that goes on for sheets begins on each of them with its heads.
    inside = [sheet for sheet in sheets if sheet.count("implemented") > 30]
    assert len(inside) > 1
    assert all("status" in sheet for sheet in inside)


def test_without_its_script_it_says_the_same(opened):
    """Nothing is hidden that only a script would show; its tools are not there."""
    page = opened(java_script_enabled=False)
    assert column(page, "incidents", 1)
    assert not page.locator(".tools").first.is_visible()
    page.locator("#figure-time-to-restore summary").click()
    assert page.locator("#figure-time-to-restore pre").is_visible()


def test_nothing_that_a_log_says_runs(opened):
    """Titles that mean harm are shown and change nothing."""
    page = opened()
    assert page.title() == "Incidents and changes, 2026-01-01 to 2026-04-01"
    assert page.locator("#incidents", has_text="document.title = 'owned'").count() == 1
    assert page.locator("b, img, iframe").count() == 0


def test_its_policy_holds(browser, files, tmp_path):
    """A script, a handler, a style and an image put into the file do nothing: it allows its own."""
    html = (files / "period.html").read_text(encoding="utf-8")
    harm = (
        "<script>window.ran = 'script'</script><button id=harm onclick=\"window.ran = 'handler'\" "
        "style='color: rgb(1, 2, 3)'>x</button><img src='https://example.org/x.png'>"
    )
    path = tmp_path / "harmed.html"
    path.write_text(html.replace("</main>", f"{harm}</main>"), encoding="utf-8")
    page = browser.new_page()
    answered, complaints = [], []
    page.on("response", lambda response: answered.append(response.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(path.as_uri())
    page.locator("#harm").click()
    assert page.evaluate("window.ran === undefined")
    assert page.locator("#harm").evaluate("b => getComputedStyle(b).color") != "rgb(1, 2, 3)"
    assert [url for url in answered if not url.startswith("file:")] == []
    assert len(complaints) >= 4
    page.close()
