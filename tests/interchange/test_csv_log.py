"""Tables whose rows are states over time: what each of them says, in whatever order they stand."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm import Ledger, time_to_restore
from imcm.domain import change_events as changes
from imcm.domain import incident_events as incidents
from imcm.domain.vocabulary import HoldReason, Severity
from imcm.errors import ImportRefusedError, InvalidValue
from imcm.interchange.csv_contract import csv_options
from imcm.interchange.csv_files import import_csv

STATES = {"New": "open", "Working": "open", "Waiting": "held:customer", "Solved": "resolved",
          "Done": "closed"}  # fmt: skip
LOG = {"incidents": {"kind": "log"}, "values": {"status": STATES}}
OF_CHANGES = {"changes": {"kind": "log"}}


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 2, hour, minute, tzinfo=UTC)


def row(id: str, hour: int, minute: int = 0, **cells: str) -> dict[str, str]:
    return {"id": id, "updated_at": f"2026-03-02T{hour:02}:{minute:02}Z", **cells}


def told(rows: list[dict[str, str]], *, ledger: Ledger | None = None, **mapping: Any) -> Ledger:
    ledger = Ledger.in_memory() if ledger is None else ledger
    import_csv(ledger, incidents=rows, mapping=LOG | mapping)
    return ledger


def events(ledger: Ledger, stream: str = "incident:7") -> list[Any]:
    return [each.event for each in ledger.history(stream)]


STORY = [
    row("7", 9, 0, status="New", severity="P3", title="Slow", team="web"),
    row("7", 9, 40, status="Working", severity="P1", title="Checkout is down", team="web"),
    row("7", 10, 5, status="Waiting", severity="P1", title="Checkout is down", team="web"),
    row("7", 10, 30, status="Working", severity="P2", title="Checkout is down", team="pay"),
    row("7", 11, 15, status="Solved", severity="P2", title="Checkout is down", team="pay"),
    row("7", 12, 0, status="Working", severity="P2", title="Checkout is down", team="pay"),
    row("7", 13, 0, status="Solved", severity="P2", title="Checkout is down", team="pay"),
    row("7", 15, 0, status="Done", severity="P2", title="Checkout is down", team="pay"),
]


def test_each_row_says_what_the_one_before_did_not():
    ledger = told(STORY)
    [facts] = ledger.facts().incidents
    assert (at(9), {"team": "pay"}) == (facts.detected_at, facts.labels)
    assert ["Slow", "Checkout is down"] == [e.title for e in events(ledger) if hasattr(e, "title")]
    assert [(at(11, 15), None), (at(13), at(15))] == [
        (spell.resolved, spell.closed) for spell in facts.spells
    ]
    assert ("P3", "P1", "P2") == (
        facts.severity_first,
        facts.severity_highest,
        facts.severity_last,
    )
    happened = [(type(e).__name__, e.at) for e in events(ledger) if getattr(e, "at", None)]
    assert ("IncidentHeld", at(10, 5)) in happened
    assert ("IncidentReleased", at(10, 30)) in happened
    [held] = [e for e in events(ledger) if isinstance(e, incidents.IncidentHeld)]
    assert HoldReason.CUSTOMER is held.reason
    assert [("P1", at(9, 40)), ("P2", at(10, 30))] == [
        (e.severity, e.at) for e in events(ledger) if isinstance(e, incidents.SeverityChanged)
    ]


def test_everything_is_known_from_the_row_on_that_says_it():
    """What was known at ten is what the rows until ten say."""
    said = {}
    for each in told(STORY).history("incident:7"):
        said.setdefault(type(each.event), each.source.recorded_at)
    assert at(9) == said[incidents.IncidentDetected] == said[incidents.IncidentTriaged]
    assert at(10, 5) == said[incidents.IncidentHeld]
    assert (at(11, 15), at(12)) == (
        said[incidents.IncidentResolved],
        said[incidents.IncidentReopened],
    )


def test_the_same_again_says_nothing_and_one_row_more_says_one_thing_more():
    ledger = told(STORY[:5])
    report = import_csv(ledger, incidents=STORY[:5], mapping=LOG)
    assert (0, 1, 5) == (report.events, report.known, report.rows_imported)
    before = len(events(ledger))
    import_csv(ledger, incidents=STORY[:6], mapping=LOG)
    [new] = events(ledger)[before:]
    assert (incidents.IncidentReopened, at(12)) == (type(new), new.at)


def stands(ledger: Ledger) -> dict[str, Any]:
    """Return what stands of each incident, wherever in the log."""
    return {
        each.id: (each.spells, each.labels, each.severity_first, each.severity_highest,
                  each.severity_last, each.detected_at, each.status)
        for each in ledger.facts().incidents
    }  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.randoms(use_true_random=False))
def test_rows_stand_in_any_order(chance: random.Random):
    rows = [*STORY, row("8", 9, 30, status="New", severity="P4"), row("8", 11, status="Solved")]
    assert stands(told(rows)) == stands(told(chance.sample(rows, len(rows))))


@pytest.mark.parametrize("turned", [False, True])
def test_of_rows_of_one_minute_the_order_of_the_table_counts(turned):
    """Solved, and open again in the same minute; the newest first, where the table is so."""
    rows = [
        row("7", 9, status="New"),
        row("7", 10, status="Solved"),
        row("7", 10, status="Working"),
        row("7", 12, status="Solved"),
        row("7", 12, status="Working"),
        row("7", 12, status="Solved"),
    ]
    [facts] = told(rows[::-1] if turned else rows).facts().incidents
    assert [at(10), at(12), at(12)] == [spell.resolved for spell in facts.spells]
    assert "resolved" == facts.status


def test_a_row_may_be_one_field_and_what_it_became():
    rows = [
        row("7", 9, field="state", value="New"),
        row("7", 9, field="prio", value="P3"),
        row("7", 9, 10, field="squad", value="web"),
        row("7", 9, 20, field="notes", value="secret"),
        row("7", 10, field="prio", value="P1"),
        row("7", 11, field="state", value="Solved"),
    ]
    field = {"state": "status", "prio": "severity", "squad": "label:team", "notes": ""}
    [facts] = told(rows, values={"status": STATES, "field": field}).facts().incidents
    assert ({"team": "web"}, "P3", "P1") == (
        facts.labels,
        facts.severity_first,
        facts.severity_last,
    )
    assert (at(9), at(11)) == (facts.detected_at, facts.resolved_at)


def test_what_a_field_names_need_be_no_column():
    """An audit log has four columns and tells of dozens of fields."""
    rows = [
        row("7", 9, field="status", value="New"),
        row("7", 9, field="severity", value="P3"),
        row("7", 9, field="team", value="web"),
        row("7", 10, field="team", value="pay"),
        row("7", 11, field="status", value="Solved"),
    ]
    [facts] = told(rows).facts().incidents
    assert ({"team": "pay"}, "P3", at(11)) == (
        facts.labels,
        facts.severity_last,
        facts.resolved_at,
    )


def test_a_column_that_holds_the_end_on_every_row_is_known_at_the_end():
    ends = {"resolved_at": "2026-03-02T10:59Z"}
    rows = [
        row("7", 9, status="New", **ends),
        row("7", 11, status="Solved", **ends),
    ]
    ledger = told(rows, final=["resolved_at"])
    [resolved] = [
        each
        for each in ledger.history("incident:7")
        if isinstance(each.event, incidents.IncidentResolved)
    ]
    assert (at(10, 59), at(11)) == (resolved.event.at, resolved.source.recorded_at)
    assert 119 * 60 == time_to_restore(ledger.facts()).value


def test_changes_have_states_too():
    rows = [
        row("C1", 9, status="open", title="Basket"),
        row("C1", 10, status="started", title="Basket"),
        row("C1", 11, status="successful", title="Basket"),
        row("C2", 9, status="started", title="Cart"),
        row("C2", 10, status="rolled_back", title="Cart"),
        row("C3", 9, status="cancelled", title="Cart"),
    ]
    ledger = Ledger.in_memory()
    import_csv(ledger, changes=rows, mapping=OF_CHANGES)
    first, second, third = ledger.facts().changes
    assert (at(10), at(11), "completed") == (
        first.started_at,
        first.deployed_at,
        str(first.outcome),
    )
    assert at(10) == second.rolled_back_at
    assert any(isinstance(e, changes.ChangeCancelled) for e in events(ledger, "change:C3"))
    assert "cancelled" == third.status


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"status": "Lost"}, "Lost"),
        ({"severity": "sev"}, "one of P1"),
        ({"updated_at": ""}, "a row of a log needs its time"),
        ({"updated_at": "soon"}, "soon"),
        ({"id": ""}, "every row needs it"),
        ({"customers": "many"}, "a whole number"),
    ],
)
def test_what_is_wrong_refuses_the_whole_story(cells, why):
    rows = [row("7", 9, status="New"), row("7", 10, status="New") | cells]
    with pytest.raises(ImportRefusedError, match=why):
        told(rows)
    ledger = Ledger.in_memory()
    report = import_csv(ledger, incidents=[*rows, row("8", 9)], mapping=LOG, keep_going=True)
    assert 1 == report.problems_found
    assert (
        ["8"]
        if cells.get("id") != ""
        else ["7", "8"] == [each.id for each in ledger.facts().incidents]
    )


def test_what_can_stand_in_a_mapping_of_a_log():
    for mapping, why in (
        ({"incidents": {"kind": "logs"}}, '"rows" or "log"'),
        ({"final": ["resolved"]}, "resolved_at"),
        ({"final": "resolved_at"}, "a list"),
    ):
        with pytest.raises(InvalidValue, match=why):
            csv_options(mapping=mapping)


def test_a_merge_and_a_cause_come_with_the_row_that_names_them():
    ledger = told(
        [
            row("7", 9, status="New"),
            row("7", 10, status="Working", caused_by="C1"),
            row("8", 9, status="New"),
            row("8", 11, status="New", merged_into="7"),
        ]
    )
    [verdict] = [e for e in events(ledger) if isinstance(e, incidents.VerdictGiven)]
    assert "C1" == verdict.change
    assert ["8"] == [e.merged for e in events(ledger) if isinstance(e, incidents.IncidentAbsorbed)]
    assert 0 == import_csv(ledger, incidents=[
        row("8", 9, status="New"), row("8", 11, status="New", merged_into="7")
    ], mapping=LOG).events  # fmt: skip


def test_a_severity_may_have_a_name():
    rows = [
        row("7", 9, Prio="1 - high"),
        row("7", 10, Prio="2 - low"),
    ]
    ledger = told(
        rows,
        incidents={"kind": "log", "columns": {"Prio": ["severity", "severity_name"]}},
        values={"severity": {"1 - high": "P1", "2 - low": "P4"}},
    )
    [facts] = ledger.facts().incidents
    assert (Severity.P1, "1 - high", Severity.P4, "2 - low") == (
        facts.severity_first,
        facts.severity_first_name,
        facts.severity_last,
        facts.severity_last_name,
    )


@pytest.mark.parametrize("cut", range(1, len(STORY)))
def test_a_log_may_come_in_parts(cut):
    """The rows since the last import, or all of them after only the last ones came."""
    whole = stands(told(STORY))
    assert whole == stands(told(STORY[cut:], ledger=told(STORY[:cut])))
    ledger = told(STORY[cut:])
    told(STORY, ledger=ledger)
    assert whole == stands(ledger)
    assert 0 == import_csv(ledger, incidents=STORY, mapping=LOG).events


def test_a_row_that_repeats_what_stands_says_nothing():
    ledger = told(STORY)
    again = row("7", 16, status="Done", severity="P2", title="Checkout is down", team="web")
    before = stands(ledger)["7"]
    told([again], ledger=ledger)
    after = stands(ledger)["7"]
    assert before[0] == after[0]
    assert ({"team": "web"}, before[2:]) == (after[1], after[2:])


def test_a_word_that_is_none_of_ours_is_named_where_it_stands():
    rows = [row("7", 9, status="New"), row("7", 10, status="Wrking"), row("7", 11, status="Done")]
    with pytest.raises(ImportRefusedError, match="incidents:2: status: 'Wrking': one of"):
        told(rows)
