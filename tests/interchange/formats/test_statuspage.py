"""Statuspage: incidents and maintenances of its webhooks and its API, with their traps."""

from datetime import datetime

import pytest

from imcm.domain.vocabulary import Severity, Window
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.statements import Happening
from odd_payloads import reads_or_refuses

FORMAT = format_named("statuspage")
READ = FORMAT.read


def at(clock):
    return datetime.fromisoformat(f"2026-03-06T{clock}:00+00:00")


def update(status, display, created=None):
    return {
        "id": f"u-{status}-{display}",
        "status": status,
        "body": "...",
        "display_at": f"2026-03-06T{display}:00.000Z",
        "created_at": f"2026-03-06T{created or display}:00.000Z",
    }


def incident(*updates, **more):
    return {
        "id": "p31zjtct2jer",
        "name": "Checkout is down",
        "status": "resolved",
        "impact": "major",
        "impact_override": None,
        "created_at": "2026-03-06T12:05:00.000Z",
        "updated_at": "2026-03-06T13:00:00.000Z",
        "monitoring_at": "2026-03-06T12:30:00.000Z",
        "resolved_at": "2026-03-06T12:45:00.000Z",
        "postmortem_published_at": None,
        "shortlink": "http://stspg.example/abc",
        "page_id": "y2j98763l56x",
        "components": [{"id": "c", "name": "Payments", "status": "operational"}],
        "incident_updates": list(updates),
        **more,
    }


NEWEST_FIRST = (
    update("resolved", "12:45"),
    update("monitoring", "12:30"),
    update("identified", "12:20"),
    update("investigating", "12:10"),
    update("investigating", "12:00", "12:05"),
)


def happened(*updates, **more):
    statements = READ(incident(*updates, **more)).statements
    return [(each.what, each.at.strftime("%H:%M")) for s in statements for each in s.happened]


def test_each_status_happened_when_it_is_displayed_and_was_said_when_it_was_created():
    *told, last = READ(incident(*NEWEST_FIRST)).statements
    assert [(s.happened, s.said_at, s.delivery) for s in told] == [
        ((Happening("detected", at("12:00")),), at("12:05"), "u-investigating-12:00"),
        ((), at("12:20"), "u-identified-12:20"),
        ((Happening("mitigated", at("12:30")),), at("12:30"), "u-monitoring-12:30"),
        ((Happening("resolved", at("12:45")),), at("12:45"), "u-resolved-12:45"),
    ]
    assert told[1].facts == {"marks": {"identified": at("12:20")}}
    assert {s.id for s in told} == {"p31zjtct2jer"}
    assert (last.said_at, last.status, last.happened) == (at("13:00"), "resolved", ())
    assert dict(last.facts) == {
        "reviewed_at": None,
        "severity": Severity.P2,
        "severity_name": "major",
        "title": "Checkout is down",
        "services": ("Payments",),
        "labels": {"page": "y2j98763l56x"},
        "references": {"status page": "http://stspg.example/abc"},
    }


def test_the_order_of_the_list_does_not_matter():
    given = READ(incident(*NEWEST_FIRST)).statements
    assert READ(incident(*reversed(NEWEST_FIRST))).statements == given


def test_a_step_back_is_a_reopening():
    again = (*NEWEST_FIRST, update("investigating", "13:00"), update("resolved", "13:10"))
    assert happened(*again)[-2:] == [("reopened", "13:00"), ("resolved", "13:10")]
    relapse = (
        update("investigating", "12:00"),
        update("resolved", "12:10"),
        update("monitoring", "12:20"),
    )
    assert happened(*relapse)[-2:] == [("reopened", "12:20"), ("mitigated", "12:20")]


def test_without_updates_the_moments_of_the_incident_count():
    [said] = READ(incident()).statements
    assert [said.facts[f"{what}_at"] for what in ("detected", "mitigated", "resolved")] == [
        at("12:05"),
        at("12:30"),
        at("12:45"),
    ]
    [said] = READ(incident(resolved_at=None, backfilled=True)).statements
    assert ("detected_at" in said.facts, said.facts["resolved_at"]) == (False, None)


def test_a_review_is_the_published_postmortem():
    posted = incident(
        *NEWEST_FIRST,
        update("postmortem", "15:00"),
        status="postmortem",
        postmortem_published_at="2026-03-06T15:00:00Z",
    )
    read = READ(posted)
    assert read.statements[-1].facts["reviewed_at"] == at("15:00")
    assert (len(read.statements), read.dropped) == (5, ())


@pytest.mark.parametrize(
    ("impact", "override", "severity"),
    [
        ("critical", None, "P1"),
        ("major", None, "P2"),
        ("minor", None, "P3"),
        ("none", None, "P4"),
        ("minor", "critical", "P1"),
        ("odd", None, None),
    ],
)
def test_each_impact(impact, override, severity):
    payload = incident(impact=impact, impact_override=override)
    assert READ(payload).statements[-1].facts.get("severity") == severity


def maintenance(*updates, status="completed", **more):
    return incident(
        *updates,
        status=status,
        impact="maintenance",
        scheduled_for="2026-03-06T12:00:00Z",
        scheduled_until="2026-03-06T14:00:00Z",
        **more,
    )


def test_a_scheduled_maintenance_is_a_change_with_a_window():
    steps = (update("in_progress", "12:01"), update("scheduled", "10:00"))
    *told, last = READ(maintenance(*steps, status="in_progress")).statements
    assert [(s.kind, s.happened) for s in told] == [
        ("change", (Happening("started", at("12:01")),))
    ]
    assert last.facts["window"] == Window(start=at("12:00"), end=at("14:00"))
    assert (last.facts["planned"], last.facts["requested_at"]) == (True, at("12:05"))
    done = (*steps, update("verifying", "13:00"), update("completed", "13:30"))
    assert happened(*done, status="completed")[1:] == [("deployed", "13:00"), ("closed", "13:30")]
    straight = (*steps, update("completed", "13:30"))
    assert happened(*straight, status="completed")[1:] == [
        ("deployed", "13:30"),
        ("closed", "13:30"),
    ]


def test_a_window_that_ends_before_it_begins_is_listed():
    read = READ(maintenance() | {"scheduled_until": "2026-03-06T11:00:00Z"})
    assert ("window" in read.statements[-1].facts, read.dropped[0].what) == (False, "window")


def test_webhooks_and_whole_lists():
    page = {"page": {"id": "y", "status_description": "Down"}, "meta": {}}
    assert READ({**page, "incident": incident(*NEWEST_FIRST)}).statements[-1].status == "resolved"
    summary = {
        **page,
        "incidents": [incident(), {"name": "no id"}],
        "scheduled_maintenances": [maintenance() | {"id": "m1"}],
    }
    read = READ(summary)
    assert [(s.kind, s.id) for s in read.statements] == [
        ("incident", "p31zjtct2jer"),
        ("change", "m1"),
    ]
    assert [each.what for each in read.dropped] == ["incidents[1].id"]


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        ({"component_update": {"new_status": "x"}, "component": {"name": "API"}}, "component_up"),
        ({"months": [{"name": "March", "incidents": []}]}, "months"),
    ],
)
def test_what_is_no_incident_is_listed(payload, what):
    read = READ(payload)
    assert (read.statements, read.dropped[0].what.startswith(what)) == ((), True)


def test_one_without_id_is_refused_and_unknown_statuses_are_listed():
    with pytest.raises(InvalidValue, match="id"):
        READ({"incident": {"name": "x"}})
    read = READ(incident(update("investigating", "12:00"), update("odd", "12:10")))
    assert [each.value for each in read.dropped] == ["odd"]


def test_anything_is_read_or_refused():
    samples = [
        {"incident": incident(*NEWEST_FIRST)},
        {"incidents": [incident()], "scheduled_maintenances": [maintenance(*NEWEST_FIRST)]},
    ]
    reads_or_refuses(READ, samples)
