"""Timelines of one incident, one change, a service or a period. Times are hours after `START`."""

import json
from datetime import UTC, datetime

import pytest

from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeObserved,
    ChangePlanned,
    ChangeRevised,
    ChangeRolledBack,
)
from imcm.domain.corrections import EventVoided, SourceSaid
from imcm.domain.incident_events import IncidentDetected, IncidentResolved, VerdictGiven
from imcm.domain.recorded import LedgerOpened, Recorded, Source, Unread
from imcm.domain.vocabulary import Between, ChangeType, Verdict
from imcm.errors import InvalidValue, NaiveTimeError, UnknownIdError
from imcm.projections.histories.timeline import replayed, timeline
from projections.log import (
    START,
    acknowledged,
    at,
    between,
    caused_by,
    change,
    corrected,
    deployment,
    detected,
    imported,
    incident,
    log,
    merged_into,
    mitigated,
    planned,
    resolved,
    stated,
    voided,
)


def told(entries):
    """Return the hour, the id and the type of each entry."""
    hours = ((e.at - START).total_seconds() / 3600 if e.at is not None else None for e in entries)
    return [(hour, e.id, e.what) for hour, e in zip(hours, entries, strict=True)]


def ids(entries):
    return sorted({entry.id for entry in entries})


def test_incidents_and_changes_are_interleaved_by_the_time_things_happened():
    story = log(
        incident("INC-1", detected(3), acknowledged(4), resolved(7)),
        deployment("CHG-1", 2, ChangeRolledBack(at=at(6), by="ci")),
    )

    assert [
        (1.0, "CHG-1", "ChangePlanned"),
        (2.0, "CHG-1", "ChangeCompleted"),
        (3.0, "INC-1", "IncidentDetected"),
        (4.0, "INC-1", "IncidentAcknowledged"),
        (6.0, "CHG-1", "ChangeRolledBack"),
        (7.0, "INC-1", "IncidentResolved"),
    ] == told(timeline(story))


def test_things_of_one_instant_stand_in_log_order():
    story = log(incident("INC-2", detected(1)), incident("INC-1", detected(1)))

    assert ["INC-2", "INC-1"] == [entry.id for entry in timeline(story)]


def test_an_uncertain_moment_stands_at_its_midpoint():
    story = log(
        incident("INC-1", detected(between(0, 6))),  # 3
        incident("INC-2", detected(2)),
        incident("INC-3", detected(4)),
    )

    assert ["INC-2", "INC-1", "INC-3"] == [entry.id for entry in timeline(story)]


def test_things_without_a_known_time_come_first():
    story = log(
        incident("INC-2", detected(1)),
        imported(
            "INC-1",
            IncidentDetected(at=at(2), by="desk"),
            IncidentResolved(at=None, by="desk"),
            stated(60),
        ),
    )

    entries = timeline(story)

    assert [
        (None, "IncidentResolved"),
        (None, "DurationStated"),
        (1.0, "IncidentDetected"),
        (2.0, "IncidentDetected"),
    ] == [(hour, what) for hour, _, what in told(entries)]


def test_an_entry_says_where_it_comes_from_and_where_it_stands():
    (recorded,) = log(incident("INC-1", detected(1)), now=5)
    (entry,) = timeline([recorded._replace(source=Source(name="desk"), position=7, record="R")])

    assert ("incident", "INC-1", "IncidentDetected", "ann") == (
        entry.kind,
        entry.id,
        entry.what,
        entry.by,
    )
    assert (at(5), 7, 1, "R", "desk") == (
        entry.recorded_at,
        entry.position,
        entry.version,
        entry.record,
        entry.source,
    )
    assert ((), None, recorded.event) == (entry.corrected_by, entry.voided_by, entry.event)
    assert timeline([recorded])[0].source is None


# --- corrected, voided, not read ------------------------------------------------------------------


def test_a_corrected_time_moves_the_entry_which_names_its_corrections():
    story = log(
        incident(
            "INC-1",
            detected(0),
            resolved(1),
            corrected(8, 2, "at", at(1), at(5)),
            corrected(9, 2, "at", at(5), at(6)),
        ),
        incident("INC-2", detected(3)),
    )

    entries = timeline(story)

    assert [
        (0.0, "INC-1", "IncidentDetected"),
        (3.0, "INC-2", "IncidentDetected"),
        (6.0, "INC-1", "IncidentResolved"),  # the last correction stands
        (8.0, "INC-1", "MomentCorrected"),
        (9.0, "INC-1", "MomentCorrected"),
    ] == told(entries)
    assert (3, 4) == entries[2].corrected_by
    assert at(6) == entries[2].event.at


def test_a_voided_entry_stays_as_written_and_is_struck_through():
    story = log(incident("INC-1", detected(0), mitigated(1), voided(2, 2), voided(3, 2)))

    entries = timeline(story)

    assert [(0.0, None), (1.0, 3), (2.0, None)] == [
        (hour, entry.voided_by) for (hour, _, _), entry in zip(told(entries), entries, strict=True)
    ]
    assert "EventVoided" == entries[2].what


def test_what_was_corrected_and_then_voided_is_shown_as_written():
    story = log(
        incident(
            "INC-1", detected(0), mitigated(1), corrected(5, 2, "at", at(1), at(4)), voided(6, 2)
        )
    )

    entry = timeline(story)[1]

    assert (at(1), (3,), 4) == (entry.at, entry.corrected_by, entry.voided_by)


def test_of_two_voids_of_one_event_the_first_is_named():
    voids = (
        EventVoided(at=at(hour), by="ann", version=2, status="draft", why="a slip")
        for hour in (3, 4)
    )
    story = log(deployment("CHG-1", 1, *voids))

    assert [None, 3, None, None] == [entry.voided_by for entry in timeline(story)]


def test_events_that_cannot_be_read_are_there():
    story = log(incident("INC-1", detected(1)))
    unread = Unread(type="IncidentSung", state=b"{}", why="unknown type")
    entries = timeline([*story, story[0]._replace(version=2, position=2, event=unread)])

    assert [(None, "INC-1", "IncidentSung"), (1.0, "INC-1", "IncidentDetected")] == told(entries)
    assert (unread, "") == (entries[0].event, entries[0].by)


def test_that_a_source_said_it_again_is_nothing_that_happened_and_is_in_the_replay():
    again = SourceSaid(at=None, by="snow", facts=("severity",), imported=True)
    events = log(incident("INC-1", detected(0), lambda _: (again,), resolved(2)))

    assert ["IncidentDetected", "IncidentResolved"] == [e.what for e in timeline(events)]
    assert ["IncidentDetected", "SourceSaid", "IncidentResolved"] == [
        e.what for e in replayed(events)
    ]


def test_the_ledgers_own_rows_are_no_part_of_it():
    opened = LedgerOpened(ledger_id="L", format=1)
    row = Recorded("ledger:self", 1, 1, at(0), "R", None, opened)

    assert () == timeline([row])
    assert () == timeline([])


# --- one incident, one change ---------------------------------------------------------------------

LINKED = log(
    incident("INC-1", detected(1), caused_by("CHG-1", 2)),
    incident("INC-2", detected(1), merged_into("INC-1", 2)),
    incident("INC-3", detected(1)),
    deployment("CHG-1", 0),
    deployment("CHG-2", 3, incident="INC-1"),
    deployment("CHG-3", 4, repairs="CHG-2"),
)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"incident": "INC-1"}, ["CHG-1", "CHG-2", "INC-1", "INC-2"]),
        ({"incident": "INC-1", "linked": False}, ["INC-1"]),
        ({"incident": "INC-2"}, ["INC-1", "INC-2"]),
        ({"incident": "INC-3"}, ["INC-3"]),
        ({"change": "CHG-1"}, ["CHG-1", "INC-1"]),
        ({"change": "CHG-1", "linked": False}, ["CHG-1"]),
        ({"change": "CHG-3"}, ["CHG-2", "CHG-3"]),
        ({"incident": "INC-3", "change": "CHG-3", "linked": False}, ["CHG-3", "INC-3"]),
        ({}, ["CHG-1", "CHG-2", "CHG-3", "INC-1", "INC-2", "INC-3"]),
    ],
)
def test_a_story_holds_what_it_names_and_what_names_it(asked, expected):
    assert expected == ids(timeline(LINKED, **asked))


def test_a_name_of_something_that_is_not_there_is_no_error():
    story = log(incident("INC-1", detected(1), caused_by("CHG-9", 2)))

    assert ["INC-1"] == ids(timeline(story, incident="INC-1"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"incident": "INC-9"}, "no incident 'INC-9' in this log"),
        ({"change": "INC-1"}, "no change 'INC-1' in this log"),
    ],
)
def test_an_unknown_id_is_an_error(asked, message):
    with pytest.raises(UnknownIdError, match=message):
        timeline(LINKED, **asked)


def test_an_id_not_yet_known_is_unknown():
    with pytest.raises(UnknownIdError):
        timeline(LINKED, incident="INC-2", known_at=2)


# --- a service ------------------------------------------------------------------------------------


def test_a_service_has_its_own_timeline_as_corrected():
    services = (1, "services", ("pay",), ("search",))
    story = log(
        incident("INC-1", detected(0), corrected(5, *services)),
        incident("INC-2", detected(1)),
        incident("INC-3", detected(2, services=("pay", "search"))),
        incident("INC-4", detected(3, services=())),
    )

    assert ["INC-2", "INC-3"] == ids(timeline(story, service="pay"))
    assert ["INC-1", "INC-3"] == ids(timeline(story, service="search"))
    assert ["INC-1"] == ids(timeline(story, service="pay", known_at=1))  # before the correction
    assert [] == ids(timeline(story, service="mail"))


def test_a_revision_may_move_a_change_to_another_service():
    revised = ChangeRevised(at=at(2), by="cia", services=("search",), why="wrong team")
    story = log(change("CHG-1", planned(0), revised))

    assert [] == ids(timeline(story, service="pay"))
    assert ["CHG-1"] == ids(timeline(story, service="search"))


def test_a_revision_may_take_a_change_off_every_service():
    revised = ChangeRevised(at=at(2), by="cia", services=(), why="not yet known")
    story = log(change("CHG-1", planned(0), revised))

    assert [] == ids(timeline(story, service="pay"))


def test_an_observation_says_where_only_where_no_plan_did():
    seen = ChangeObserved(at=at(2), by="ci", services=("search",))
    story = log(change("CHG-1", planned(0), seen), change("CHG-2", seen))

    assert ["CHG-1"] == ids(timeline(story, service="pay"))
    assert ["CHG-2"] == ids(timeline(story, service="search"))


def test_services_of_a_voided_event_do_not_count():
    story = log(incident("INC-1", detected(0), voided(1, 1)))

    assert [] == ids(timeline(story, service="pay"))


def test_a_service_narrows_the_story_of_an_incident():
    assert ["CHG-1", "CHG-2", "INC-1", "INC-2"] == ids(
        timeline(LINKED, incident="INC-1", service="pay")
    )
    assert [] == ids(timeline(LINKED, incident="INC-1", service="search"))


# --- cut in time and in knowledge -----------------------------------------------------------------

FIVE = log(*(incident(f"INC-{hour}", detected(hour)) for hour in range(1, 6)))


def test_a_window_holds_its_start_and_not_its_end():
    assert ["INC-2", "INC-3"] == ids(timeline(FIVE, window=(at(2), at(4))))


def test_a_verdict_is_in_the_window_of_its_incident():
    """It has no place in time, but it says what caused what happened in the window."""
    story = log(
        *(
            imported(
                f"INC-{hour}",
                IncidentDetected(at=at(hour), by="desk"),
                VerdictGiven(at=None, by="desk", change="CHG-1", verdict=Verdict.CAUSED),
            )
            for hour in (1, 9)
        )
    )

    assert [("INC-1", "VerdictGiven"), ("INC-1", "IncidentDetected")] == [
        (entry.id, entry.what) for entry in timeline(story, window=(at(0), at(2)))
    ]
    assert [] == ids(timeline(story, window=(at(2), at(4))))
    assert [] == ids(timeline(story, window=(at(8), at(10)), as_of=at(3)))


def test_what_has_no_known_time_is_in_no_window():
    story = log(imported("INC-1", IncidentDetected(at=None, by="desk")))

    assert ["INC-1"] == ids(timeline(story))
    assert [] == ids(timeline(story, window=(at(0), at(24))))


def test_as_of_cuts_by_the_time_of_the_world_that_instant_included():
    assert ["INC-1", "INC-2", "INC-3"] == ids(timeline(FIVE, as_of=at(3)))


def test_as_of_cuts_by_the_time_as_corrected():
    story = log(incident("INC-1", detected(0), resolved(1), corrected(2, 2, "at", at(1), at(5))))

    assert [(0.0, "IncidentDetected"), (2.0, "MomentCorrected")] == [
        (hour, what) for hour, _, what in told(timeline(story, as_of=at(3)))
    ]


def test_without_as_of_the_newest_stamp_cuts():
    story = log(incident("INC-1", detected(1)), incident("INC-2", detected(9)), now=5)

    assert ["INC-1"] == ids(timeline(story))
    assert ["INC-1", "INC-2"] == ids(timeline(story, as_of=at(9)))


def test_statements_have_no_place_in_world_time_and_hold_for_every_as_of():
    story = log(incident("INC-1", detected(0), caused_by("CHG-1", 9)))

    assert ["IncidentDetected", "VerdictGiven"] == [
        entry.what for entry in timeline(story, as_of=at(3))
    ]


def test_corrections_and_voids_hold_for_every_as_of_and_steps_do_not():
    story = log(
        incident(
            "INC-1",
            detected(0),
            mitigated(1),
            corrected(8, 1, "at", at(0), at(0.5)),
            voided(9, 2),
            resolved(10),
        )
    )

    assert ["IncidentDetected", "IncidentMitigated", "MomentCorrected", "EventVoided"] == [
        entry.what for entry in timeline(story, as_of=at(3))
    ]


@pytest.mark.parametrize("known_at", [2, at(2)])
def test_known_at_cuts_by_the_log(known_at):
    story = log(
        incident("INC-1", detected(0)),
        incident("INC-2", detected(1)),
        incident("INC-3", detected(0)),
        recorded={1: 1, 2: 2, 3: 3},
    )

    assert ["INC-1", "INC-2"] == ids(timeline(story, known_at=known_at))


def test_before_a_correction_was_known_the_entry_stands_as_it_was():
    story = log(incident("INC-1", detected(0), resolved(1), corrected(2, 2, "at", at(1), at(5))))

    entry = timeline(story, known_at=2)[1]

    assert (at(1), ()) == (entry.at, entry.corrected_by)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"as_of": at(1).replace(tzinfo=None)}, "as_of"),
        ({"window": (at(1).replace(tzinfo=None), at(2))}, "window start"),
        ({"window": (at(1), at(2).replace(tzinfo=None))}, "window end"),
        ({"known_at": at(1).replace(tzinfo=None)}, "known_at"),
    ],
)
def test_naive_times_are_refused_by_name(asked, name):
    with pytest.raises(NaiveTimeError, match="give a time zone") as error:
        timeline(FIVE, **asked)

    assert name == error.value.name


def test_a_window_ends_after_its_start():
    with pytest.raises(InvalidValue, match="its end must be after its start"):
        timeline(FIVE, window=(at(4), at(2)))


def test_a_log_can_be_read_once_from_a_stream():
    assert timeline(FIVE) == timeline(iter(FIVE))


def test_planned_and_completed_are_two_entries():
    story = log(
        change(
            "CHG-1",
            ChangePlanned(at=at(0), by="cia", type=ChangeType.STANDARD),
            ChangeCompleted(at=at(1), by="ci"),
        )
    )

    assert ["cia", "ci"] == [entry.by for entry in timeline(story)]


# --- in the order it was recorded -----------------------------------------------------------------


class TestReplayed:
    STORY = log(
        incident("INC-1", detected(1), acknowledged(2), corrected(3, 1, "at", at(1), at(0))),
        deployment("CHG-1", 5, services=("web",)),
        recorded={1: 1, 2: 2, 3: 3, 4: 4, 5: 6},
    )

    @pytest.mark.parametrize(
        ("chosen", "positions"),
        [
            ({}, [1, 2, 3, 4, 5]),
            ({"incident": "INC-1"}, [1, 2, 3]),
            ({"change": "CHG-1"}, [4, 5]),
            ({"by": "ci"}, [5]),
            ({"service": "web"}, [4, 5]),
            ({"service": "none"}, []),
            ({"what": ["MomentCorrected", "ChangeCompleted"]}, [3, 5]),
            ({"recorded": (at(2), at(4))}, [2, 3]),
            ({"known_at": 2}, [1, 2]),
            ({"incident": "INC-1", "known_at": at(2)}, [1, 2]),
        ],
    )
    def test_filtered(self, chosen, positions):
        assert positions == [entry.position for entry in replayed(self.STORY, **chosen)]

    def test_a_correction_is_seen_once_it_is_known(self):
        before, after = (replayed(self.STORY, known_at=cut)[0] for cut in (2, 3))
        assert ((at(1), ()), (at(0), (3,))) == (
            (before.at, before.corrected_by),
            (after.at, after.corrected_by),
        )

    @pytest.mark.parametrize(
        ("chosen", "error"),
        [
            ({"incident": "INC-9"}, UnknownIdError),
            ({"recorded": (at(2), at(2))}, InvalidValue),
            ({"recorded": (at(2).replace(tzinfo=None), at(3))}, NaiveTimeError),
        ],
    )
    def test_what_can_not_be_asked_is_refused(self, chosen, error):
        with pytest.raises(error):
            replayed(self.STORY, **chosen)


def test_an_entry_is_told_in_words_and_as_plain_values():
    """Without the event itself; what is uncertain has both its bounds."""
    moment = Between(earliest=at(1), latest=at(2))
    events = (
        IncidentDetected(at=moment, by="ann", title="down", imported=True),
        IncidentResolved(at=None, by="ann", imported=True),
    )
    entries = timeline(log(("incident:INC-1", events)))
    first, second = sorted(entries, key=lambda entry: entry.version)
    assert "detected" in first.line
    plain = json.loads(json.dumps(first.as_dict()))
    assert plain["at"] == {"earliest": at(1).isoformat(), "latest": at(2).isoformat()}
    assert plain["told"] == first.line
    assert plain["when"].startswith("Mon 2026-03-02")
    assert "event" not in plain
    assert (second.as_dict()["at"], second.as_dict()["when"]) == (None, None)


@pytest.mark.parametrize("text", ["2026-03", "2026-Q1", "2026-03-01/2026-04-01", "2026"])
def test_a_window_can_be_text_as_with_figures(text):
    story = log(incident("INC-1", detected(0), resolved(1)))
    assert timeline(story, window=text) == timeline(story)
    assert replayed(story, recorded="2020-01/2030-01") == replayed(story)


def test_a_text_is_of_a_zone_and_of_no_other_time():
    story = log(incident("INC-1", detected(datetime(2026, 3, 31, 23, tzinfo=UTC))))
    assert timeline(story, window="2026-03")
    assert not timeline(story, window="2026-03", time_zone="Asia/Tokyo")
    for wrong in ("last quarter", "2026-13", "March"):
        with pytest.raises(InvalidValue, match="window"):
            timeline(story, window=wrong)
    with pytest.raises(InvalidValue, match="Nowhere"):
        timeline(story, window="2026-03", time_zone="Nowhere/Else")
