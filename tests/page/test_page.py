"""
A page as a file: what stands on it, that it is well formed, and that a log makes no markup.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands import run_here
from exported import LOGS, golden

sys.path.insert(0, str(Path(__file__).parent))
from sample import HOSTILE, Clock, sample_ledger

from imcm import (
    HtmlPage,
    Ledger,
    LedgerReader,
    change,
    change_failure_rate,
    dora_report,
    html_page,
    incident,
    time_to_restore,
    views,
)
from imcm.errors import InvalidValue, MissingExtraError, UnknownIdError
from imcm.page.cards import value_text
from imcm.page.charts import by_period
from imcm.plain import plain

pytestmark = pytest.mark.skipif(
    not (find_spec("vl_convert") and find_spec("jinja2")), reason="the page is an extra"
)

VOID = frozenset({"meta", "input", "br", "img", "link", "hr"})
QUARTER = "2026-Q1"


class Element:
    """An element of a page, with what is in it."""

    def __init__(self, tag, attributes, parent=None):
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children, self.words = [], []

    @property
    def text(self):
        return "".join(part if isinstance(part, str) else part.text for part in self.words)

    def all(self, tag=None, **attributes):
        wanted = {name.replace("_", "-").strip("-"): value for name, value in attributes.items()}
        for child in self.children:
            if tag in {None, child.tag} and wanted.items() <= child.attributes.items():
                yield child
            yield from child.all(tag, **attributes)

    def first(self, tag=None, **attributes):
        return next(self.all(tag, **attributes))


class Reader(HTMLParser):
    """Reads a page, and refuses one whose elements are not closed in order."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.root = self.at = Element("", {})
        self.comments = []
        self.feed(html)
        self.close()
        assert self.at is self.root

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        made = Element(tag, dict(attrs), self.at)
        self.at.children.append(made)
        self.at.words.append(made)
        if tag not in VOID:
            self.at = made

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.at.tag == tag, (self.at.tag, tag)
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.words.append(data)

    def handle_comment(self, data):
        self.comments.append(data)


def read(page):
    return Reader(page.html).root


def rows_of(root, id):
    """Return the rows of a table as texts."""
    body = root.first("table", id=id).first("tbody")
    return [[cell.text for cell in row.children] for row in body.all("tr")]


@pytest.fixture(scope="module")
def ledger():
    with sample_ledger() as made:
        yield made


@pytest.fixture(scope="module")
def pages(ledger):
    return {
        "period": html_page(ledger, window=QUARTER),
        "service": html_page(ledger, service="checkout"),
        "incident": html_page(ledger, incident="INC-003"),
        "everything": html_page(ledger),
    }


KINDS = ("period", "service", "incident", "everything")


# --- what stands on it ----------------------------------------------------------------------------


def test_its_numbers_are_those_of_the_core(ledger, pages):
    """Each card shows what the figure says, and its explanation word for word."""
    root = read(pages["period"])
    for make in (time_to_restore, change_failure_rate):
        figure = make(ledger.facts(), window=QUARTER)
        card = root.first("article", id=f"figure-{figure.name.replace(' ', '-')}")
        assert str(figure.n) in card.first("span", class_="basis").text
        lines = card.first("pre").text.splitlines()
        wanted_lines = figure.explain().splitlines()[1:]
        assert [line for line in wanted_lines if "bucket_by" not in line] == [
            line for line in lines if "bucket_by" not in line
        ]


def test_a_picture_over_time_has_a_row_for_each_period(ledger, pages):
    """The table beside a picture says what is drawn: a period, its value, its interval, its n."""
    figure = time_to_restore(ledger.facts(), window=QUARTER, bucket_by="week")
    rows = rows_of(read(pages["period"]), "over-time-time-to-restore-data")
    assert [row[3] for row in rows] == [str(part.n) for part in figure.buckets]
    days = [part.window[0].date().isoformat() for part in figure.buckets]
    assert [row[0] for row in rows] == days
    values = [
        cell.attributes.get("data-value")
        for row in read(pages["period"])
        .first("table", id="over-time-time-to-restore-data")
        .first("tbody")
        .all("tr")
        for cell in row.children[1:2]
    ]
    assert [None if v is None else float(v) for v in values] == [p.value for p in figure.buckets]


def test_periods_are_drawn_in_their_order(pages):
    """A period without a value stands where it belongs, and not behind the others."""
    figure = read(pages["period"]).first("figure", id="over-time-time-to-restore")
    drawing = figure.first("div", class_="drawing wide").first("svg")
    labels = [text.text for text in drawing.all("text") if re.fullmatch(r"\d+ [A-Z]..", text.text)]
    assert labels == sorted(
        labels, key=lambda label: datetime.strptime(f"{label} 2026 +0000", "%d %b %Y %z")
    )
    assert labels[0] == "1 Jan"


def test_each_incident_says_how_long_it_lasted_or_why_not(ledger, pages):
    """The table of incidents has what the figure counted of each, and the reason of the others."""
    figure = time_to_restore(ledger.facts(), window=QUARTER)
    included = {row.id for row in figure.included}
    left_out = {row.id: row.reason for row in figure.left_out}
    rows = rows_of(read(pages["period"]), "incidents")
    assert included <= {row[0] for row in rows}
    for row in rows:
        if row[0] in left_out:
            assert row[7] == f"not counted: {left_out[row[0]]}"
        else:
            assert (row[7] != "") == (row[0] in included)


def test_boards_are_those_of_the_views(ledger, pages):
    """What is open stands on it as `imcm list` has it."""
    with views(ledger) as kept:
        wanted = [view.id for view in kept.incidents()]
        live = [version.service for version in kept.live(at=ledger.facts().as_of)]
    root = read(pages["period"])
    assert [row[0] for row in rows_of(root, "open-incidents")] == wanted
    assert [row[0] for row in rows_of(root, "live")] == live


def test_what_has_an_outcome_is_over(pages):
    """Nobody closes the changes of this log: they are done for all that."""
    root = read(pages["everything"])
    assert not list(root.all("table", id="current-changes"))
    with Ledger.in_memory() as short:
        at = datetime(2026, 1, 5, tzinfo=UTC)
        short.record("CHG-1", change.observe, by="ana", at=at, title="in", services=["a"])
        short.record("CHG-2", change.plan, by="ana", at=at, title="to come", services=["a"])
        rows = rows_of(read(html_page(short)), "current-changes")
    assert [row[0] for row in rows] == ["CHG-2"]


def test_what_stands_says_as_of_when(ledger, pages):
    """Boards are of the newest event, whatever the period; a period that is over says so."""
    boards = read(pages["everything"]).first("section", id="boards").text
    assert "As of 2026-04-05" in boards
    assert "end of the period" not in boards
    past = read(html_page(ledger, window="2026-02")).first("section", id="boards").text
    assert "As of 2026-04-05" in past
    assert "not as of the end of the period, 2026-03-01" in past


def test_the_head_of_a_service_counts_what_is_of_it(ledger, pages):
    """Incidents and changes of others are not in its numbers."""
    facts = ledger.facts()
    text = read(pages["service"]).text
    for name, rows in (("incidents", facts.incidents), ("changes", facts.changes)):
        count = sum("checkout" in row.services for row in rows)
        assert 0 < count < len(rows)
        head, _, rest = text.partition(f"{name} of checkout in the log")
        assert head
        assert rest.split()[0] == f"{count:,}"


def test_a_service_is_alone_on_its_page(pages):
    """Incidents and changes of others are not there."""
    root = read(pages["service"])
    for table, column in (("incidents", 3), ("changes", 2)):
        rows = rows_of(root, table)
        assert rows
        assert {row[column] for row in rows} == {"checkout"}
    assert not list(root.all("figure", id="failure-by-service"))


def test_an_incident_has_its_story_and_what_was_tried(ledger, pages):
    """Its timeline is the ledger's, its linked change stands below."""
    root = read(pages["incident"])
    entries = ledger.timeline("INC-003")
    rows = rows_of(root, "timeline")
    assert [(row[1], row[3]) for row in rows] == [(e.id, plain(e.line)) for e in entries]
    assert [row[1] for row in rows_of(root, "attempts")] == ["restart"]
    [cause] = ledger.facts().incidents[ledger.facts().incidents.index_of("INC-003")].verdicts
    assert [row[0] for row in rows_of(root, "changes")] == [cause]
    assert {row[0] for row in rows_of(root, "story-data")} == {"INC-003", cause}


def test_nothing_recorded_still_makes_a_page():
    """Of an empty log every figure is undefined, and no picture is drawn; the page says so."""
    with Ledger.in_memory() as empty:
        root = read(html_page(empty))
    assert not list(root.all("svg"))
    assert "nothing to draw" in root.first("section", id="pictures").text
    assert {"undefined"} <= {p.text for p in root.all("p", class_="value")}


def test_one_open_incident_and_nothing_else(tmp_path):
    """What goes on is drawn up to the newest event, whatever the clock says."""
    clock = Clock()
    with Ledger.in_memory(clock=clock) as ledger:
        clock.now = datetime(2026, 3, 6, 12, tzinfo=UTC)
        ledger.record("INC-1", incident.detect, by="ana", at=clock.now, title="It fails")
        for page in (html_page(ledger), html_page(ledger, incident="INC-1")):
            assert list(read(page).all("figure", id="story"))


def test_tables_say_what_they_leave_out(ledger):
    """A table shows the first rows and says how many there are and where the others are."""
    page = html_page(ledger, limit=5)
    root = read(page)
    for id, total in (("changes", 120), ("incidents", 26)):
        assert len(rows_of(root, id)) == 5
        more = root.first("caption", id=f"{id}-caption").first("span", class_="more").text
        assert more.startswith(f"5 of {total}; imcm list")
    assert len(page.html) < len(html_page(ledger).html)


# --- the file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_well_formed_and_every_name_leads_somewhere(kind, pages):
    """Elements close in order, ids are there once, and what names an id names one that is there."""
    root = read(pages[kind])
    ids = [element.attributes["id"] for element in root.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in root.all():
        for name in ("aria-labelledby", "headers", "for"):
            for id in (element.attributes.get(name) or "").split():
                assert id in ids, (element.tag, name, id)
        href = element.attributes.get("href", "#main")
        assert href.startswith("#")
        assert href[1:] in ids
    assert root.first("title").text == pages[kind].title
    assert len(list(root.all("h1"))) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_has_a_title_a_description_and_a_table(kind, pages):
    """Whoever does not see it reads the same."""
    figures = list(read(pages[kind]).all("figure"))
    assert figures
    for figure in figures:
        for svg in figure.all("svg"):
            assert svg.attributes["role"] == "img"
            assert svg.first("title").text
            assert svg.first("desc").text
        assert [
            d.attributes["class"]
            for d in figure.all("div")
            if "drawing" in d.attributes.get("class", "")
        ] == ["drawing wide", "drawing narrow"]
        assert list(figure.first("tbody").all("tr"))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_can_run_but_its_own_script(kind, pages):
    """The policy allows one style and one script by their hashes; no element asks for more."""
    root = read(pages[kind])
    [policy] = [
        meta.attributes["content"]
        for meta in root.all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        [element] = root.all(tag)
        hashed = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{hashed}'"
        assert not element.attributes
    # It stands before everything that it is to hold for.
    head = root.first("head")
    tags = [child.tag for child in head.children]
    assert tags[:2] == ["meta", "meta"]
    assert "http-equiv" in head.children[1].attributes
    for element in root.all():
        for name in element.attributes:
            assert not name.startswith("on")
            assert name not in {"style", "src", "srcset", "action", "formaction", "xlink:href"}
        assert element.tag not in {"iframe", "object", "embed", "base", "form", "img", "link"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_log_says_is_words_and_nothing_else(kind, pages):
    """Titles that mean harm stand as they are written, and make no element."""
    root = read(pages[kind])
    assert (
        not list(root.all("b"))
        + list(root.all("img"))
        + list(root.all("a", href="https://example.org/"))
    )
    text = root.text
    shown = [plain(title) for title in HOSTILE if plain(title) in text]
    assert shown == [plain(title) for title in HOSTILE] or kind in {"incident", "service"}
    assert shown
    for sign in "\u202e\u200b\x1b":
        assert sign not in pages[kind].html


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.text(min_size=1, max_size=60).filter(str.strip),
    st.text(min_size=1, max_size=30).filter(str.strip),
)
def test_any_title_and_any_service(title, service):
    """Whatever text can be recorded, the page has the elements it has for a harmless one."""
    counts = []
    for words, name in ((title, service), ("harmless", "harmless")):
        clock = Clock()
        with Ledger.in_memory(clock=clock) as ledger:
            try:
                ledger.record(
                    "INC-1", incident.detect, by="ana", at=clock.now, title=words, services=[name]
                )
            except InvalidValue:
                return
            page = html_page(ledger)
        root = read(page)
        tags = [
            element.tag
            for element in root.all()
            if element.tag not in {"path", "line", "g", "text"}
        ]
        counts.append((len(tags), sorted(set(tags))))
        assert rows_of(root, "incidents")[0][1] == plain(words)
    assert counts[0] == counts[1]


def test_the_same_log_gives_the_same_bytes(tmp_path):
    """In another process, at another time of day, in another zone of the machine."""
    path = tmp_path / "ledger.db"
    sample_ledger(path, changes=40).close()
    code = (
        "import sys; from imcm import LedgerReader, html_page\n"
        "with LedgerReader(sys.argv[1]) as ledger:\n"
        "    sys.stdout.buffer.write(html_page(ledger, time_zone='Asia/Kolkata').html.encode())\n"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C"},
            capture_output=True,
            check=True,
        ).stdout
        for zone, seed in (("UTC", "1"), ("America/New_York", "2"))
    ]
    assert made[0] == made[1]


def test_what_was_published_can_be_printed_again(tmp_path):
    """At its position a log says what it said, whatever was recorded since."""
    with sample_ledger(tmp_path / "ledger.db", changes=40) as ledger:
        first = html_page(ledger, window=QUARTER)
        ledger.record("INC-NEW", incident.detect, by="ana", at=ledger.now(), title="Later")
        again = html_page(ledger, window=QUARTER, known_at=first.log_position)
        assert (
            again.html.replace(f"known at {first.log_position};", "known at the end of the log;")
            == first.html
        )
        assert html_page(ledger, window=QUARTER).html != first.html


def test_kept_views_give_the_same_page(tmp_path):
    """What was read before is what is read now."""
    path = tmp_path / "ledger.db"
    sample_ledger(path, changes=40).close()
    with LedgerReader(path) as ledger, views(ledger, tmp_path / "kept.views") as kept:
        assert html_page(ledger, views=kept) == html_page(ledger)


# --- refusals -------------------------------------------------------------------------------------


def test_wrong_arguments_are_refused_by_name(ledger):
    """Each refusal names the argument and what is allowed."""
    with pytest.raises(InvalidValue, match=r"service.*near: checkout"):
        html_page(ledger, service="chekout")
    with pytest.raises(UnknownIdError, match="INC-999"):
        html_page(ledger, incident="INC-999")
    with pytest.raises(InvalidValue, match="window"):
        html_page(ledger, incident="INC-001", window=QUARTER)
    with pytest.raises(InvalidValue, match="limit"):
        html_page(ledger, limit=0)
    with pytest.raises(InvalidValue, match="views"):
        html_page(ledger, views=ledger)
    with pytest.raises(InvalidValue, match="bucket_by"):
        html_page(ledger, bucket_by="fortnight")


@pytest.mark.parametrize("package", ["vl_convert", "jinja2"])
def test_without_the_extra_it_says_what_to_install(package, ledger):
    """Both libraries come with one extra, which the error names."""
    with (
        patch.dict(sys.modules, {package: None}),
        pytest.raises(MissingExtraError, match=r"imcm\[page\]"),
    ):
        html_page(ledger)


def test_neither_library_is_loaded_before_a_page_is_made():
    """The public name costs what the others cost."""
    code = "import imcm, sys; imcm.html_page; print(*{'vl_convert', 'jinja2'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "ledger.db"
    sample_ledger(path, changes=40).close()
    return path


def test_the_command_writes_what_the_call_returns(stored, tmp_path):
    """One file; with - on standard output; the same again is the same."""
    out = tmp_path / "page.html"
    ran = run_here("page", out, "--ledger", stored, "--window", QUARTER, "--tz", "Europe/London")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "written to" in ran.stdout
    with LedgerReader(stored) as ledger:
        page = html_page(ledger, window=QUARTER, time_zone="Europe/London")
    assert out.read_bytes() == page.html.encode()
    days = ("--window", "2026-01-01/2026-04-01", "--tz", "Europe/London")
    assert run_here("page", "-", "--ledger", stored, *days).stdout == page.html
    dates = ("--from", "2026-01-01", "--to", "2026-04-01", "--tz", "Europe/London")
    assert (
        f"<title>{page.title}</title>" in run_here("page", "-", "--ledger", stored, *dates).stdout
    )
    assert run_here("page", out, "--ledger", stored, "--incident", "INC-001").returncode == 0
    assert b"INC-001" in out.read_bytes()


def test_it_never_writes_over_anything_else(stored, tmp_path):
    """A slip of the name costs no ledger, and leaves nothing beside it."""
    before = stored.read_bytes()
    ran = run_here("page", stored, "--ledger", stored)
    assert ran.returncode == 1
    assert "a page of imcm" in ran.stderr
    assert stored.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".db") == sorted(
        path.name for path in tmp_path.iterdir() if path.name.startswith("ledger.db-")
    )


def test_what_goes_together_and_what_does_not(stored, tmp_path):
    """A page of an incident has no period."""
    out = tmp_path / "page.html"
    ran = run_here("page", out, "--ledger", stored, "--incident", "INC-001", "--window", QUARTER)
    assert ran.returncode == 2
    assert not out.exists()


def test_a_page_tells_what_it_is(pages):
    """One line, and nothing of what is in it."""
    page = pages["period"]
    assert isinstance(page, HtmlPage)
    assert repr(page).startswith("<HtmlPage 'Incidents and changes, 2026-01-01 to 2026-04-01', ")
    assert len(repr(page)) < 120


# --- every kind of log ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOGS)
def test_every_golden_log_makes_pages(name, tmp_path):
    """Merges, corrections, voids, uncertain times, imports: of all, and of some incidents."""
    with golden(name, tmp_path / "ledger.db") as ledger, views(ledger) as kept:
        assert read(html_page(ledger, views=kept)).first("h1")
        for id in ledger.facts().incidents.ids[:3]:
            root = read(html_page(ledger, incident=id, views=kept))
            entries = ledger.timeline(f"incident:{id}")
            assert [row[1] for row in rows_of(root, "timeline")] == [e.id for e in entries]


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(pages):
    """The frame holds the page as it is, and nothing of it is markup of the notebook."""
    page = pages["incident"]
    [frame] = Reader(page._repr_html_()).root.children
    assert (frame.tag, frame.attributes["sandbox"]) == ("iframe", "allow-scripts")
    assert frame.attributes["srcdoc"] == page.html


def test_as_of_a_moment_what_was_open_is_only_as_old(ledger):
    moment = datetime(2026, 3, 10, tzinfo=UTC)
    made = html_page(ledger, window="2026-03", as_of=moment)
    assert 'id="boards"' not in made.html
    assert 'id="boards"' in html_page(ledger, window="2026-03").html
    whole = dora_report(ledger.facts(as_of=moment), window="2026-03")
    assert value_text(whole.restore) in made.html
    assert "2026-03-10" in made.html
    with pytest.raises(InvalidValue, match="nothing of it on the page of an incident"):
        html_page(ledger, incident="INC-1", as_of=moment)


@pytest.mark.parametrize("name", ["q1.pdf", "q1.PNG", "q1.csv"])
def test_a_page_is_html_and_says_so(ledger, tmp_path, name):
    with pytest.raises(InvalidValue, match=r"ends in \.html"):
        html_page(ledger).write(tmp_path / name)
    assert not (tmp_path / name).exists()


def lasting(*hours):
    ledger = Ledger.in_memory()
    for number, each in enumerate(hours):
        at = datetime(2026, 1 + number % 3, 2, 9, tzinfo=UTC)
        ledger.record(f"INC-{number}", incident.detect, by="ana", at=at, title="x")
        ledger.record(f"INC-{number}", incident.resolve, by="ana", at=at + timedelta(hours=each))
    return ledger.facts()


@pytest.mark.parametrize(
    ("hours", "by_factors"), [((1, 2, 3), False), ((0.1, 2, 30), True), ((0, 0, 0), False)]
)
def test_durations_of_a_wide_range_are_drawn_by_factors(hours, by_factors):
    figure = time_to_restore(lasting(*hours), bucket_by="month")
    spec = by_period(figure, labels=["Jan", "Feb", "Mar"], shape="wide")
    y = spec["layer"][1]["encoding"]["y"]
    assert (y["scale"].get("type") == "log") is by_factors
    drawn_there = [row["value"] for row in spec["data"]["values"]]
    if by_factors:
        assert drawn_there == [part.value for part in figure.buckets]
        assert "(" not in y["axis"]["title"]
        assert y["scale"]["domain"][0] > 0


def test_a_duration_of_nothing_stands_at_the_lowest_of_an_axis_without_0():
    figure = time_to_restore(lasting(0, 2, 300), bucket_by="month")
    spec = by_period(figure, labels=["Jan", "Feb", "Mar"], shape="wide")
    assert spec["data"]["values"][0]["value"] == 7200
