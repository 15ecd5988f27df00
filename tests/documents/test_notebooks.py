"""
What results show of themselves in a notebook: a small table, text as text, and not too much of it.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import attrs
import html5lib
import pytest

import imcm
from imcm import (
    Ledger,
    Verdict,
    anomalies,
    change,
    compare,
    dora_report,
    incident,
    learned,
    restated,
    side_by_side,
    time_to_restore,
    timeline,
)
from imcm.demo import StoryClock, tell
from imcm.documents.fields import fields_document, value_text
from imcm.documents.formats import rendered
from imcm.projections.boards.views import IncidentView
from imcm.projections.figures.display import parts_of
from imcm.projections.histories.duties import duties
from imcm.projections.histories.timeline import Timeline
from imcm.projections.reports.display import figures_document
from imcm.readmodel.views import Page

NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
EVIL = "<script>alert('&')</script>\x1b[31m"


@pytest.fixture(scope="module")
def story():
    """Give a ledger with the story of the demo, and an incident of hostile words."""
    clock = StoryClock()
    with Ledger.in_memory(clock=clock) as ledger:
        tell(ledger, clock, lambda _: None)
        late = NOON + timedelta(days=11)
        ledger.record("INC-<b>", incident.detect, by="<i>ana</i>", at=late, title=EVIL,
                      services=["<u>"])  # fmt: skip
        ledger.record(
            "INC-<b>", incident.link_change, by="ana", at=late, change="CHG-1050",
            verdict=Verdict.SUSPECTED, why=EVIL,
        )  # fmt: skip
        yield ledger


def results(ledger):
    """Yield every kind of result that shows itself, by its name."""
    log = list(ledger.replay())
    facts = ledger.facts()
    restore = time_to_restore(facts, group_by="service", bucket_by="week")
    yield "figure", restore
    yield "undefined figure", time_to_restore(facts, window="2020-Q1")
    report = dora_report(facts, group_by="service", bucket_by="month")
    yield "report", report
    yield "side by side", side_by_side(facts)
    weeks = [time_to_restore(facts, window=window) for window in ("2026-W10", "2026-03")]
    yield "comparison", compare(*weeks)
    yield "restatement", restated(log, time_to_restore, known_at_a=20)
    yield "learned", learned(log, known_at_a=20, details=True)
    yield "timeline", timeline(log)
    yield "trail", ledger.trail("CHG-1042")
    yield "duties", duties(log)
    yield "incident", ledger.incident("INC-<b>")
    yield "change", ledger.change("CHG-1050")
    yield "steps of an incident", ledger.next_steps("INC-<b>", by="ana", at=NOON)
    yield "steps of a change", ledger.next_steps("CHG-1050", by="mia")
    for row in (*facts.incidents, *facts.changes):
        yield f"row of {row.id}", row
    with imcm.views(ledger) as views:
        yield "view of an incident", views.incident("INC-<b>")
        yield "view of a change", views.change("CHG-1050")
        yield "incidents", views.incidents(status="all")
        yield "changes", views.changes(status="all")
        yield "actions", views.actions(status="all")
        yield "approvals", views.approvals(by="mia")
        yield "ready", views.ready()
        yield "live", views.live()
        yield "matches", views.search("customers")
        yield "no rows", views.incidents(service="none")
        yield "planned", views.calendar(NOON, NOON + timedelta(days=30))


def tree(text):
    """Return HTML as a tree; a mistake in it is an error."""
    page = f'<!DOCTYPE html><html lang="en"><head><title>x</title></head><body>{text}</body></html>'
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page).find("body")


def test_every_result_shows_itself(story):
    """Valid HTML of a few elements, no word of a log as markup, and one line as text."""
    allowed = {"body", "div", "p", "strong", "s", "ul", "li", "table", "thead", "tbody", "tr",
               "th", "td"}  # fmt: skip
    seen = 0
    for name, result in results(story):
        made = result._repr_html_()
        body = tree(made)
        assert {each.tag for each in body.iter()} <= allowed, name
        assert body.iter("table"), name
        for each in body.iter():
            assert {*each.keys()} <= {"style", "scope"}, name
        assert "<script" not in made, name
        assert "\x1b" not in made, name
        assert len(made) < 60_000, name
        line = repr(result)
        assert "\n" not in line, name
        assert "\x1b" not in line, name
        if not name.startswith(("incident", "change")) or name in {"incidents", "changes"}:
            assert len(line) < 700, name
        seen += 1
    assert seen > 30


def test_hostile_words_are_there_and_are_words(story):
    """The title of an incident is told, and as text."""
    with imcm.views(story) as views:
        body = tree(views.incident("INC-<b>")._repr_html_())
    text = "".join(body.itertext())
    assert "<script>alert('&')</script>\\x1b[31m" in text
    assert "INC-<b>" in text


def test_no_colour_is_brought_along(story):
    """A fragment takes the colours of the page it stands in, light or dark."""
    for name, result in results(story):
        assert not re.search(
            r"color|background|#[0-9a-f]{3}", re.sub(r">[^<]*<", "", result._repr_html_())
        ), name


def test_a_hundred_thousand_rows_are_a_few():
    """The first rows are shown, how many more there are is said, and it takes no time."""
    row = IncidentView(id="INC-1", title="Search is slow")
    page = Page.of([attrs.evolve(row, id=f"INC-{n}") for n in range(100_000)],
                   total=250_000, position=9)  # fmt: skip
    began = time.perf_counter()
    made = page._repr_html_()
    assert time.perf_counter() - began < 0.5
    assert "and 249,980 more" in made
    assert made.count("<tr>") == 21
    assert len(made) < 20_000
    assert repr(page) == "<page of 100,000 of 250,000 rows, log position 9>"


def test_a_long_timeline_is_short(story):
    """Of a timeline of a hundred thousand entries twenty are shown."""
    [entry, *_] = timeline(list(story.replay()))
    long = Timeline([entry] * 100_000)
    began = time.perf_counter()
    made = long._repr_html_()
    assert time.perf_counter() - began < 0.5
    assert "and 99,980 more" in made
    assert repr(long) == "<timeline of 100,000 entries about 1 incidents and changes>"
    assert made.count("<tr>") == 21


def test_steps_say_what_is_possible_first(story):
    """What is possible comes first, what is not last, with the reason."""
    answers = story.next_steps("INC-<b>", by="ana", at=NOON)
    [table] = answers.document().tables
    words = [row[1].text for row in table.rows]
    assert words == sorted(words, key=["yes", "depends", "no"].index)
    assert len(words) == len(answers)
    assert repr(answers).startswith("<next steps: ")
    cut = answers.document(most=3).tables[0]
    assert len(cut.rows) + cut.more == len(answers)


def test_anomalies_say_what_they_say(story):
    from imcm.projections.histories.display import anomalies_document

    there = anomalies(story.facts())
    [table] = anomalies_document(there, most=1).tables
    assert len(table.rows) == 1
    assert table.more == len(there) - 1


def test_fields_say_what_was_said():
    """Values of every kind in words; what nobody said is left out."""
    assert value_text(None) == ""
    assert value_text(True) == "yes"
    assert value_text(False) == "no"
    assert value_text(NOON) == "2026-03-06 12:00Z"
    assert value_text(NOON.date()) == "2026-03-06"
    assert value_text(timedelta(hours=1)) == "1:00:00"
    assert value_text({"team": "core"}) == "team: core"
    assert value_text(frozenset({"b", "a"})) == "a, b"
    assert value_text(tuple(range(12))).endswith("9, ... and 2 more")
    assert value_text(1.5) == "1.5"
    view = IncidentView(id="INC-1", impact=imcm.Impact(customers=3), labels={"team": "core"})
    rows = dict(fields_document("x", view).tables[0].rows)
    assert rows == {"id": "INC-1", "labels": "team: core", "impact": "3", "status": "nothing",
                    "mode": "real"}  # fmt: skip


def test_a_change_shows_itself(story):
    """Of the state of a change what stands is shown, and its past is a number."""
    made = story.change("CHG-1050")
    assert f"after {len(made.past):,} events" in made.document().title
    assert change.next_steps(made).document().title == "next steps"


@pytest.mark.parametrize(
    ("bucket_by", "names"),
    [
        ("day", {"2026-03-06"}),
        ("week", {"2026-W10"}),
        ("month", {"2026-03"}),
        ("quarter", {"2026-Q1"}),
        ("year", {"2026"}),
    ],
)
def test_a_period_is_called_as_a_window_is(story, bucket_by, names):
    figure = time_to_restore(story.facts(), bucket_by=bucket_by)
    assert names <= {part.period for part in parts_of(figure)}


@pytest.mark.parametrize(
    ("asked", "heads"),
    [({"group_by": "service"}, ["group"]), ({"bucket_by": "month"}, ["period"])],
)
def test_a_report_has_a_table_of_its_parts(story, asked, heads):
    report = dora_report(story.facts(), **asked)
    titled = {getattr(block, "title", ""): block for block in report.document().blocks}
    table = titled[f"by {heads[0]}"]
    assert heads == [column.name for column in table.columns][:1]
    assert len(table.rows) >= 1


def test_figures_say_why_they_are_undefined_and_what_an_earlier_period_was(story):
    facts = story.facts()
    now, none = (time_to_restore(facts, window=window) for window in ("2026-Q1", "2025-Q4"))
    document = figures_document([now, none], title="Figures", comparisons=[compare(now, now)])
    text = rendered(document, "md").decode()
    assert "is undefined\\: " in text
    assert "time to restore" in text
    assert len(document.blocks) > 2
