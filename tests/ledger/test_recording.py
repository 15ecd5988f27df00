"""Recording: steps, several streams at once, keys, conflicts, and logs that must not decide."""

import functools
import hashlib
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import attrs
import pytest

import imcm
from imcm import Between, InvalidValue, Ledger, LedgerReader, Source, StepRefused, change, incident
from imcm.codec.decoding import decode, salt_of
from imcm.codec.encoding import encode
from imcm.codec.rows import StoredEvent
from imcm.domain.change import Change
from imcm.domain.change_events import ChangePlanned, ChangeStatus, VoteGiven
from imcm.domain.incident import Incident
from imcm.domain.incident_events import (
    IncidentAbsorbed,
    IncidentDeclared,
    IncidentDetected,
    IncidentMerged,
    IncidentResolved,
    IncidentSeparated,
    IncidentStatus,
    IncidentUnmerged,
    SeverityInherited,
    VerdictGiven,
)
from imcm.domain.policy import Policy
from imcm.domain.recorded import KeyClaimed, KeyUsed, LedgerOpened, Unread
from imcm.domain.vocabulary import (
    ChangeType,
    Commit,
    Degree,
    Impact,
    Risk,
    ServiceImpact,
    Severity,
    Verdict,
)
from imcm.errors import (
    ConflictError,
    ImcmError,
    KeyReusedError,
    NaiveTimeError,
    StoreError,
    TransactionOverError,
    UnknownIdError,
    UnreadEventError,
)
from imcm.ledger import keys, store
from imcm.ledger.calls import call_of
from ledger.conftest import elsewhere

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
EASTERN = timezone(timedelta(hours=-5))


def detected(ledger, id="INC-7", **more):
    return ledger.record(id, incident.detect, by="ana", at=AT, title="checkout is down", **more)


def events(log, stream=None):
    return [r.event for r in log.replay() if stream in {None, r.stream}]


def versions(log):
    """Return the versions of each stream, in log order."""
    found = {}
    for recorded in log.replay():
        found.setdefault(recorded.stream, []).append(recorded.version)
    return found


class TestOneStep:
    def test_it_is_recorded_with_its_envelope(self, ledger):
        [recorded] = detected(ledger)
        assert (recorded.stream, recorded.version, recorded.position) == ("incident:INC-7", 1, 2)
        assert (recorded.recorded_at, recorded.source, len(recorded.record)) == (NOW, None, 32)
        expected = IncidentDetected(at=AT, by="ana", title="checkout is down")
        assert expected == recorded.event

    def test_what_is_returned_is_what_is_replayed(self, ledger):
        given = detected(ledger, labels={"b": "1", "a": "2"}, services=["payments"])
        later = ledger.record("INC-7", incident.declare, by="ben", at=AT + timedelta(minutes=1))
        assert [*given, *later] == list(ledger.replay(after=1))

    def test_the_first_row_says_which_ledger_it_is(self, ledger):
        [first] = ledger.replay()
        assert (first.stream, first.version, first.position) == ("ledger:self", 1, 1)
        assert LedgerOpened(ledger_id=ledger.ledger_id, format=1) == first.event

    def test_a_refused_step_records_nothing_and_names_its_stream(self, ledger):
        with pytest.raises(StepRefused) as caught:
            ledger.record("INC-7", incident.resolve, by="ana", at=AT)
        assert (caught.value.stream, caught.value.step) == ("incident:INC-7", "resolve")
        assert versions(ledger) == {"ledger:self": [1]}

    def test_a_quiet_step_records_nothing(self, ledger):
        detected(ledger)
        ledger.record("INC-7", incident.declare, by="ana", at=AT)
        assert ledger.record("INC-7", incident.declare, by="ben", at=AT) == ()
        assert versions(ledger)["incident:INC-7"] == [1, 2]

    def test_several_events_of_one_step_share_their_record(self, ledger):
        ledger.record("CHG-1", change.plan, by="dev", at=AT, title="v2", type=ChangeType.EMERGENCY)
        commits = [Commit(id="a1")]
        ledger.record("CHG-1", change.revise, by="dev", at=AT, why="why", incident="INC-7")
        ledger.record("CHG-1", change.submit, by="dev", at=AT)
        both = ledger.record("CHG-1", change.start, by="ci", at=AT, commits=commits)
        assert [type(r.event).__name__ for r in both] == ["ChangeStarted", "CommitsRecorded"]
        assert len({r.record for r in both}) == 1
        assert [r.version for r in both] == [4, 5]

    def test_an_incident_and_a_change_may_have_the_same_id(self, ledger):
        detected(ledger, "7")
        ledger.record("7", change.plan, by="dev", at=AT, title="v2")
        assert (Incident, Change) == (type(ledger.incident("7")), type(ledger.change("7")))

    def test_the_state_is_that_of_its_events(self, ledger):
        detected(ledger)
        ledger.record("INC-7", incident.resolve, by="ana", at=AT)
        state = ledger.incident("INC-7")
        assert IncidentStatus.RESOLVED is state.status
        assert tuple(events(ledger, "incident:INC-7")) == state.past

    def test_stamps_are_in_utc_whatever_the_clock_says(self, path):
        eastern = NOW.astimezone(EASTERN)
        with Ledger(path, clock=lambda: eastern) as ledger:
            [recorded] = detected(ledger)
        with LedgerReader(path) as reader:
            again = list(reader.replay())[-1]
        assert (recorded.recorded_at, recorded.recorded_at.tzinfo) == (NOW, UTC)
        assert (again.recorded_at, again.recorded_at.tzinfo) == (NOW, UTC)


class TestWhatIsNoStep:
    @pytest.mark.parametrize(
        "step",
        [
            "resolve",
            None,
            42,
            len,
            print,
            IncidentResolved,
            lambda state, *, by, at: (),
            functools.partial(print, "x"),
        ],
    )
    def test_is_refused(self, ledger, step):
        with pytest.raises(InvalidValue, match=r"incident\.resolve"):
            ledger.record("INC-7", step, by="ana", at=AT)
        assert versions(ledger) == {"ledger:self": [1]}

    def test_a_callable_that_can_not_be_hashed_is_refused_like_any_other(self, ledger):
        @attrs.define
        class Odd:
            by: str = ""

            def __call__(self, state, **_):
                return ()

        with pytest.raises(InvalidValue):
            ledger.record("INC-7", Odd(), by="ana", at=AT)

    def test_positional_arguments_are_refused(self, ledger):
        with pytest.raises(InvalidValue, match="by name"):
            ledger.record("INC-7", incident.detect, "ana", AT)
        with ledger.transaction() as tx, pytest.raises(InvalidValue, match="by name"):
            tx.record("INC-7", incident.detect, "ana", AT)
        with pytest.raises(InvalidValue, match="by name"):
            ledger.once("pagerduty", "k").record("INC-7", incident.detect, "ana", AT)
        assert versions(ledger) == {"ledger:self": [1]}

    def test_an_argument_the_step_does_not_know_is_refused(self, ledger):
        with pytest.raises(InvalidValue, match=r"colour.*detect takes by, at, title"):
            detected(ledger, colour="red")
        assert versions(ledger) == {"ledger:self": [1]}


class TestStepsOfOnesOwn:
    def test_one_that_combines_two_steps_records_both(self, ledger):
        def detect_and_declare(state: Incident, *, by, at, title):
            first = incident.detect(state, by=by, at=at, title=title)
            return (*first, *incident.declare(incident.fold(first), by=by, at=at))

        both = ledger.record("INC-7", detect_and_declare, by="ana", at=AT, title="down")
        assert [IncidentDetected, IncidentDeclared] == [type(r.event) for r in both]

    def test_one_that_adds_a_rule_refuses_with_the_stream(self, ledger):
        def resolve_if_declared(state: Incident, *, by, at):
            if not state.declared:
                raise StepRefused("resolve", "declared", "declare it first")
            return incident.resolve(state, by=by, at=at)

        detected(ledger)
        with pytest.raises(StepRefused, match="incident:INC-7"):
            ledger.record("INC-7", resolve_if_declared, by="ana", at=AT)

    def test_a_policy_is_bound_with_partial(self, ledger):
        strict = functools.partial(change.approve, policy=Policy(name="two", approvals=2))
        ledger.record(
            "CHG-1",
            change.plan,
            by="dev",
            at=AT,
            title="v2",
            risk=Risk.LOW,
            rollback_plan="revert",
            monitoring_plan="look",
            test_plan="try",
        )
        ledger.record("CHG-1", change.submit, by="dev", at=AT)
        [vote] = ledger.record("CHG-1", functools.partial(strict, why="ok"), by="eva", at=AT)
        assert (vote.event.policy.name, vote.event.votes, vote.event.quorum) == ("two", 1, 2)

    def test_one_that_returns_an_event_of_the_other_aggregate_records_nothing(self, ledger):
        def confused(state: Incident, *, by, at):
            return (ChangePlanned(at=at, by=by, type=ChangeType.NORMAL),)

        with pytest.raises((AssertionError, ImcmError)):
            ledger.record("INC-7", confused, by="ana", at=AT)
        assert versions(ledger) == {"ledger:self": [1]}

    def test_one_that_fails_midway_records_nothing(self, ledger):
        def fails(state: Incident, *, by, at):
            yield incident.detect(state, by=by, at=at, title="x")[0]
            raise RuntimeError

        with pytest.raises(RuntimeError):
            ledger.record("INC-7", fails, by="ana", at=AT)
        assert versions(ledger) == {"ledger:self": [1]}

    def test_nothing_is_recorded_that_could_not_be_read_again(self, ledger):
        """One argument of a wrong type would close the stream to every later step."""
        detected(ledger)
        with pytest.raises(InvalidValue):
            ledger.record(
                "INC-7",
                incident.update_impact,
                by="a",
                at=AT,
                impact=Impact(services=("checkout",)),
            )
        ledger.record("INC-7", incident.resolve, by="ana", at=AT)

    def test_a_time_of_a_subclass_of_datetime_is_recorded_as_a_plain_one(self, ledger):
        """Tools for tests and for data frames have times of their own, all of them datetimes."""

        class Timestamp(datetime):
            pass

        at = Timestamp(2026, 3, 2, 11, 0, tzinfo=UTC)
        ledger.record("INC-7", incident.detect, by="ana", at=at, title="down")
        assert events(ledger)[-1].at == AT


class TestMoments:
    def test_up_to_five_minutes_ahead_is_allowed(self, ledger):
        ahead = NOW + timedelta(minutes=5)
        ledger.record("INC-7", incident.detect, by="ana", at=ahead, title="down")
        assert ahead == events(ledger)[-1].at

    @pytest.mark.parametrize("beyond", [timedelta(minutes=5, microseconds=1), timedelta(days=400)])
    def test_more_is_refused(self, ledger, beyond):
        with pytest.raises(StepRefused, match="not in the future") as caught:
            ledger.record("INC-7", incident.detect, by="ana", at=NOW + beyond, title="down")
        assert (caught.value.step, caught.value.stream) == ("detect", "incident:INC-7")
        assert versions(ledger) == {"ledger:self": [1]}

    def test_an_uncertain_moment_may_reach_into_the_future(self, ledger):
        at = Between(earliest=AT, latest=NOW + timedelta(days=1))
        ledger.record("INC-7", incident.detect, by="ana", at=at, title="down")
        assert at == events(ledger)[-1].at

    def test_a_naive_moment_is_refused(self, ledger):
        naive = datetime(2026, 3, 2, 11, 0)  # noqa: DTZ001
        with pytest.raises(NaiveTimeError):
            ledger.record("INC-7", incident.detect, by="ana", at=naive, title="down")

    def test_the_offset_that_was_given_is_kept(self, ledger):
        at = AT.astimezone(EASTERN)
        ledger.record("INC-7", incident.detect, by="ana", at=at, title="down")
        assert at.isoformat() == events(ledger)[-1].at.isoformat()

    def test_a_naive_clock_is_refused_and_nothing_is_recorded(self, path):
        stamps = [NOW, datetime(2026, 3, 2, 12, 0)]  # noqa: DTZ001
        with Ledger(path, clock=lambda: stamps.pop(0)) as ledger:
            with pytest.raises(InvalidValue, match="clock"):
                detected(ledger)
            assert versions(ledger) == {"ledger:self": [1]}

    def test_a_naive_clock_does_not_spoil_the_path_for_a_second_try(self, path):
        with pytest.raises(InvalidValue, match="clock"):
            Ledger(path, clock=lambda: datetime(2026, 3, 2, 12, 0))  # noqa: DTZ001
        with Ledger(path) as ledger:
            assert versions(ledger) == {"ledger:self": [1]}


class TestSeveralStreams:
    def test_an_emergency_is_linked_with_its_incident_in_one_record(self, ledger):
        detected(ledger)
        with ledger.transaction() as tx:
            tx.record(
                "CHG-9",
                change.plan,
                by="dev",
                at=AT,
                title="roll forward",
                type=ChangeType.EMERGENCY,
                incident="INC-7",
            )
            tx.record(
                "INC-7",
                incident.link_change,
                by="dev",
                at=AT,
                change="CHG-9",
                verdict=Verdict.FIXED,
            )
        assert [ChangePlanned, VerdictGiven] == [type(r.event) for r in tx.recorded]
        assert [r.stream for r in tx.recorded] == ["change:CHG-9", "incident:INC-7"]
        assert len({r.record for r in tx.recorded}) == 1
        assert list(ledger.replay(after=2)) == list(tx.recorded)

    def test_steps_on_one_stream_see_each_other(self, ledger):
        with ledger.transaction() as tx:
            tx.record("INC-7", incident.detect, by="ana", at=AT, title="down")
            tx.record("INC-7", incident.triage, by="ana", at=AT, severity=Severity.P1)
            tx.record("INC-7", incident.resolve, by="ana", at=AT)
        assert [r.version for r in tx.recorded] == [1, 2, 3]
        assert IncidentStatus.RESOLVED is ledger.incident("INC-7").status

    def test_a_refused_call_records_nothing_of_the_others(self, ledger):
        with pytest.raises(StepRefused, match="incident:INC-8"), ledger.transaction() as tx:  # noqa: PT012
            tx.record("INC-7", incident.detect, by="ana", at=AT, title="down")
            tx.record("INC-8", incident.resolve, by="ana", at=AT)
        assert (versions(ledger), tx.recorded) == ({"ledger:self": [1]}, ())

    def test_an_error_inside_the_block_records_nothing(self, ledger):
        with pytest.raises(RuntimeError), ledger.transaction() as tx:  # noqa: PT012
            tx.record("INC-7", incident.detect, by="ana", at=AT, title="down")
            raise RuntimeError
        assert versions(ledger) == {"ledger:self": [1]}

    def test_nothing_is_recorded_before_the_end_of_the_block(self, ledger):
        with ledger.transaction() as tx:
            tx.record("INC-7", incident.detect, by="ana", at=AT, title="down")
            assert versions(ledger) == {"ledger:self": [1]}
        assert len(tx.recorded) == 1

    def test_an_empty_block_records_nothing(self, ledger):
        with ledger.transaction() as tx:
            pass
        assert (versions(ledger), tx.recorded) == ({"ledger:self": [1]}, ())

    def test_its_source_is_kept_with_every_event(self, ledger):
        with ledger.transaction(source="pagerduty") as tx:
            tx.record("INC-7", incident.detect, by="ana", at=AT, title="down")
            tx.record("INC-8", incident.detect, by="ana", at=AT, title="down")
        assert [Source(name="pagerduty")] * 2 == [r.source for r in tx.recorded]

    def test_a_key_without_a_source_is_refused(self, ledger):
        with pytest.raises(InvalidValue, match="source"):
            ledger.transaction(key="k")


class TestMerging:
    def test_both_sides_are_one_record(self, ledger):
        detected(ledger, "INC-7")
        detected(ledger, "INC-8")
        both = ledger.merge("INC-8", into="INC-7", by="ana", at=AT, why="same thing")
        expected = [
            IncidentMerged(at=AT, by="ana", into="INC-7", why="same thing"),
            IncidentAbsorbed(at=AT, by="ana", merged="INC-8"),
        ]
        assert expected == [r.event for r in both]
        assert len({r.record for r in both}) == 1
        assert IncidentStatus.MERGED is ledger.incident("INC-8").status

    def test_both_sides_are_taken_back_in_one_record(self, ledger):
        detected(ledger, "INC-7")
        detected(ledger, "INC-8")
        ledger.merge("INC-8", into="INC-7", by="ana", at=AT)
        both = ledger.unmerge("INC-8", by="ana", at=AT, why="another pool")
        expected = [
            IncidentUnmerged(
                at=AT, by="ana", out_of="INC-7", status=IncidentStatus.DETECTED, why="another pool"
            ),
            IncidentSeparated(at=AT, by="ana", merged="INC-8"),
        ]
        assert expected == [r.event for r in both]
        assert len({r.record for r in both}) == 1
        assert frozenset() == ledger.incident("INC-7").absorbed

    @staticmethod
    def triaged(ledger, id, severity):
        detected(ledger, id)
        ledger.record(id, incident.triage, by="ana", at=AT, severity=severity)

    @staticmethod
    def merged(ledger, id, into):
        ledger.merge(id, into=into, by="ana", at=AT)

    @staticmethod
    def told(recorded):
        return [
            (r.stream.partition(":")[2], r.event.severity, r.event.merged)
            for r in recorded
            if isinstance(r.event, SeverityInherited)
        ]

    def test_a_higher_severity_goes_with_it_and_asks_for_its_review(self, ledger):
        self.triaged(ledger, "INC-7", "P4")
        self.triaged(ledger, "INC-8", "P1")
        both = ledger.merge("INC-8", into="INC-7", by="ana", at=AT)
        ledger.record("INC-7", incident.resolve, by="ana", at=AT)

        assert (3, 1) == (len(both), len({r.record for r in both}))
        assert [("INC-7", "P1", "INC-8")] == self.told(both)
        with pytest.raises(StepRefused, match="highest severity was P1"):
            ledger.record("INC-7", incident.close, by="ana", at=AT)
        back = ledger.unmerge("INC-8", by="ana", at=AT, why="another pool")
        assert [("INC-7", "P4", "INC-8")] == self.told(back)
        assert 1 == len(ledger.record("INC-7", incident.close, by="ana", at=AT))

    def test_what_is_left_of_several_asks_on(self, ledger):
        for id, severity in (("INC-1", "P4"), ("INC-2", "P1"), ("INC-3", "P2"), ("INC-4", "P1")):
            self.triaged(ledger, id, severity)
        for id in ("INC-2", "INC-3", "INC-4"):
            self.merged(ledger, id, "INC-1")
        taken = [
            self.told(ledger.unmerge(id, by="ana", at=AT, why="x"))
            for id in ("INC-2", "INC-4", "INC-3")
        ]
        assert [[], [("INC-1", "P2", "INC-4")], [("INC-1", "P4", "INC-3")]] == taken

    def test_along_a_chain_the_highest_severity_goes_and_comes_back(self, ledger):
        for id, severity in (("INC-1", "P4"), ("INC-2", "P3"), ("INC-3", "P1"), ("INC-4", "P2")):
            self.triaged(ledger, id, severity)
        self.merged(ledger, "INC-3", "INC-2")
        self.merged(ledger, "INC-2", "INC-1")
        assert "P1" == ledger.incident("INC-1").highest
        back = ledger.unmerge("INC-3", by="ana", at=AT, why="another pool")
        assert [("INC-2", "P3", "INC-3"), ("INC-1", "P3", "INC-2")] == self.told(back)
        assert 1 == len({r.record for r in back})

    def test_along_a_chain_up_to_where_it_changes_nothing(self, ledger):
        for id, severity in (("INC-1", "P1"), ("INC-2", "P3"), ("INC-3", "P1")):
            self.triaged(ledger, id, severity)
        self.merged(ledger, "INC-3", "INC-2")
        self.merged(ledger, "INC-2", "INC-1")
        back = ledger.unmerge("INC-3", by="ana", at=AT, why="another pool")
        assert [("INC-2", "P3", "INC-3")] == self.told(back)

    def test_a_dismissed_one_brings_none(self, ledger):
        self.triaged(ledger, "INC-7", "P4")
        self.triaged(ledger, "INC-8", "P1")
        ledger.record("INC-8", incident.dismiss, by="ana", at=AT, reason="expected")
        assert [] == self.told(ledger.merge("INC-8", into="INC-7", by="ana", at=AT))

    @pytest.mark.parametrize("into", ["INC-8", "INC-404"])
    def test_into_itself_or_into_nothing_is_refused(self, ledger, into):
        detected(ledger, "INC-8")
        with pytest.raises(StepRefused, match="incident:INC-8"):
            ledger.merge("INC-8", into=into, by="ana", at=AT)
        assert versions(ledger) == {"ledger:self": [1], "incident:INC-8": [1]}

    def test_what_is_not_merged_can_not_be_unmerged(self, ledger):
        detected(ledger)
        with pytest.raises(StepRefused):
            ledger.unmerge("INC-7", by="ana", at=AT, why="no")

    def test_in_a_transaction_with_other_steps(self, ledger):
        with ledger.transaction() as tx:
            for id in ("INC-7", "INC-8"):
                tx.record(id, incident.detect, by="ana", at=AT, title="down")
            tx.merge("INC-8", into="INC-7", by="ana", at=AT)
        assert [r.stream for r in tx.recorded[:2]] == ["incident:INC-7", "incident:INC-8"] * 1
        assert (versions(ledger)) == {
            "ledger:self": [1],
            "incident:INC-7": [1, 2],
            "incident:INC-8": [1, 2],
        }


class TestKeys:
    def test_the_same_delivery_twice_is_recorded_once(self, ledger):
        first = ledger.once("pagerduty", "d-1").record(
            "INC-7", incident.detect, by="pd", at=AT, title="down"
        )
        before = list(ledger.replay())
        again = ledger.once("pagerduty", "d-1").record(
            "INC-7", incident.detect, by="pd", at=AT, title="down"
        )
        assert [(r.stream, r.version, r.event) for r in first] == [
            (r.stream, r.version, r.event) for r in again
        ]
        assert before == list(ledger.replay())
        assert [Source(name="pagerduty")] == [r.source for r in first]

    def test_the_repeat_returns_the_same_positions(self, ledger):
        door = ledger.once("pagerduty", "d-1")
        first = door.record("INC-7", incident.detect, by="pd", at=AT, title="down")
        assert first == door.record("INC-7", incident.detect, by="pd", at=AT, title="down")

    def test_the_history_of_a_stream_has_the_positions_of_the_log(self, ledger):
        detected(ledger)
        assert list(ledger.replay(after=1)) == ledger.history("incident:INC-7")

    def test_the_claim_names_what_was_recorded_and_is_part_of_the_record(self, ledger):
        [event] = ledger.once("pagerduty", "d-1").record(
            "INC-7", incident.detect, by="pd", at=AT, title="down"
        )
        [claim] = [r for r in ledger.replay() if isinstance(r.event, KeyUsed)]
        assert claim.event.recorded == (("incident:INC-7", 1),)
        assert claim.event.steps == (("incident:INC-7", "detect"),)
        assert (event.record, 1, Source(name="pagerduty")) == (
            claim.record,
            claim.version,
            claim.source,
        )
        assert f"key:pagerduty/{_sha256('d-1')}" == claim.stream

    @pytest.mark.parametrize(
        ("id", "step", "more"),
        [
            ("INC-8", incident.detect, {"title": "down"}),
            ("INC-7", incident.declare, {}),
        ],
    )
    def test_a_key_with_another_step_or_id_is_an_error_that_says_what_it_recorded(
        self, ledger, id, step, more
    ):
        door = ledger.once("pagerduty", "d-1")
        first = door.record("INC-7", incident.detect, by="pd", at=AT, title="down")
        before = versions(ledger)
        with pytest.raises(KeyReusedError, match=r"d-1.*detect of incident:INC-7") as no:
            door.record(id, step, by="pd", at=AT, **more)
        assert (before, first) == (versions(ledger), no.value.recorded)

    @pytest.mark.parametrize(
        "more",
        [{"at": AT - timedelta(minutes=3)}, {"by": "pagerduty"}, {"services": ["payments"]}],
    )
    def test_the_same_step_on_the_same_id_is_a_repeat_whatever_else_differs(self, ledger, more):
        door = ledger.once("pagerduty", "d-1")
        first = door.record("INC-7", incident.detect, by="pd", at=AT, title="down")
        before = versions(ledger)
        told = {"by": "pd", "at": AT, "title": "up", **more}
        again = door.record("INC-7", incident.detect, **told)
        assert (first, False, True) == (again, first.repeated, again.repeated)
        assert before == versions(ledger)
        strict = ledger.once("pagerduty", "d-1", strict=True)
        with pytest.raises(KeyReusedError, match="other arguments"):
            strict.record("INC-7", incident.detect, **told)
        same = {"by": "pd", "at": AT, "title": "other words are no matter"}
        assert first == strict.record("INC-7", incident.detect, **same)

    def test_what_was_recorded_under_a_key_can_be_asked_for(self, ledger):
        assert ledger.recorded_under("pagerduty", "d-1") is None
        door = ledger.once("pagerduty", "d-1")
        first = door.record("INC-7", incident.detect, by="pd", at=AT, title="down")
        found = ledger.recorded_under("pagerduty", "d-1")
        assert (first, True) == (found, found.repeated)

    def test_merging_and_taking_it_back_can_be_repeated_under_their_keys(self, ledger):
        for id in ("INC-7", "INC-8"):
            detected(ledger, id)
        for again in (False, True):
            merged = ledger.once("bot", "m").merge("INC-8", into="INC-7", by="ana", at=AT)
            assert (2, again) == (len(merged), merged.repeated)
        for again in (False, True):
            door = ledger.once("bot", "u")
            apart = door.unmerge("INC-8", by="ana", at=AT, why="not the same")
            assert (2, again) == (len(apart), apart.repeated)
        assert frozenset() == ledger.incident("INC-7").absorbed

    def test_no_argument_can_be_guessed_from_what_a_key_keeps(self, ledger):
        """The hash is keyed with a salt of its row, and holds no words at all."""
        ledger.once("pd", "d-1").record("INC-7", incident.detect, by="pd", at=AT, title="down")
        [row] = [row for row in ledger.rows() if row.type == "KeyUsed"]
        assert b"down" not in row.state
        assert salt_of(row) is not None
        calls = [call_of("INC-7", incident.detect, {"by": "pd", "at": AT, "title": "x"})]
        kept = decode(row).event.arguments
        assert kept == keys.hash_of_arguments(calls, salt_of(row))
        assert kept != keys.hash_of_arguments(calls, "00" * 16)

    def test_a_key_that_an_earlier_version_claimed_compares_as_it_did(self, ledger):
        asked = keys._hash_of_old_claim(
            [call_of("INC-7", incident.detect, {"by": "pd", "at": AT, "title": "x"})]
        )
        detected(ledger)
        claim = KeyClaimed(asked=asked, recorded=(("incident:INC-7", 1),))
        name, state = encode(claim, recorded_at=NOW, record="r")
        stream = f"key:pd/{_sha256('d-9')}"
        ledger._writes.insert([StoredEvent(0, stream, 1, name, state)])
        door = ledger.once("pd", "d-9")
        again = door.record("INC-7", incident.detect, by="pd", at=AT, title="x")
        assert (True, 1) == (again.repeated, len(again))
        with pytest.raises(KeyReusedError):
            door.record("INC-7", incident.detect, by="pd", at=AT, title="y")

    def test_so_does_one_of_a_merge(self, ledger):
        """The hash that was made of both sides then, whatever they need to know today."""
        tx = ledger.transaction()
        tx.merge("INC-8", into="INC-7", by="ana", at=datetime(2026, 3, 2, 9, tzinfo=UTC))
        asked = "5798f546e08f9ab87bbd810a3b03b0d4bf9ad2b9cb2ed4a81e4dc0ae989c625a"
        assert asked == keys._hash_of_old_claim(tx._calls)

    def test_what_a_partial_binds_is_part_of_what_was_asked(self, ledger):
        detected(ledger)
        door = ledger.once("pagerduty", "d-1", strict=True)
        p1 = functools.partial(incident.triage, severity=Severity.P1)
        p4 = functools.partial(incident.triage, severity=Severity.P4)
        door.record("INC-7", p1, by="pd", at=AT)
        with pytest.raises(KeyReusedError):
            door.record("INC-7", p4, by="pd", at=AT)

    def test_a_key_whose_step_records_nothing_is_remembered(self, ledger):
        detected(ledger)
        ledger.record("INC-7", incident.declare, by="ana", at=AT)
        door = ledger.once("pagerduty", "d-2")
        assert door.record("INC-7", incident.declare, by="pd", at=AT) == ()
        length = len(list(ledger.replay()))
        assert door.record("INC-7", incident.declare, by="pd", at=AT) == ()
        assert length == len(list(ledger.replay()))
        with pytest.raises(KeyReusedError):
            door.record("INC-7", incident.resolve, by="pd", at=AT)

    def test_a_key_whose_step_is_refused_is_not_used_up(self, ledger):
        door = ledger.once("pagerduty", "d-3")
        with pytest.raises(StepRefused):
            door.record("INC-7", incident.resolve, by="pd", at=AT)
        detected(ledger)
        assert len(door.record("INC-7", incident.resolve, by="pd", at=AT)) == 1

    def test_a_repeat_decides_nothing_even_when_the_step_would_now_be_refused(self, ledger):
        detected(ledger)
        door = ledger.once("pagerduty", "d-4")
        [first] = door.record("INC-7", incident.resolve, by="pd", at=AT)
        ledger.record("INC-7", incident.record_review, by="ana", at=AT, what_happened="a pool")
        [again] = door.record("INC-7", incident.resolve, by="pd", at=AT)
        assert (first.version, first.event) == (again.version, again.event)

    def test_sources_have_keys_of_their_own(self, ledger):
        ledger.once("pagerduty", "1").record("A", incident.detect, by="x", at=AT, title="t")
        ledger.once("opsgenie", "1").record("B", incident.detect, by="x", at=AT, title="t")
        assert {"incident:A", "incident:B"} < versions(ledger).keys()

    def test_a_transaction_takes_a_key_too(self, ledger):
        def deliver():
            with ledger.transaction(source="pagerduty", key="d-5") as tx:
                tx.record("INC-7", incident.detect, by="pd", at=AT, title="down")
                tx.record("INC-8", incident.detect, by="pd", at=AT, title="down")
            return [(r.stream, r.version) for r in tx.recorded]

        first = deliver()
        assert ([("incident:INC-7", 1), ("incident:INC-8", 1)], first) == (first, deliver())

    @pytest.mark.parametrize("key", ["é🎉", "x" * 1000, "../../etc", "a/b:c"])
    def test_a_key_may_be_any_text(self, ledger, key):
        door = ledger.once("pagerduty", key)
        first = door.record("INC-7", incident.detect, by="pd", at=AT, title="down")
        again = door.record("INC-7", incident.detect, by="pd", at=AT, title="down")
        assert [r.event for r in first] == [r.event for r in again]

    @pytest.mark.parametrize(("source", "key"), [("", "k"), (" x", "k"), ("x", "\0"), ("x", None)])
    def test_what_can_not_be_a_key_is_refused(self, ledger, source, key):
        with pytest.raises(InvalidValue):
            ledger.once(source, key)

    def test_the_same_key_from_two_threads_at_once_is_recorded_once(self, ledger):
        results = []
        barrier = threading.Barrier(8)

        def deliver():
            barrier.wait()
            door = ledger.once("pagerduty", "d-6")
            results.append(
                door.record("INC-7", incident.assign_role, by="a", at=AT, role="scribe", person="P")
            )

        detected(ledger)
        run_all([deliver] * 8)
        assert [(r.stream, r.version) for [r] in results] == [("incident:INC-7", 2)] * 8
        assert {"ledger:self", "incident:INC-7", f"key:pagerduty/{_sha256('d-6')}"} == (
            versions(ledger).keys()
        )

    def test_services_given_as_an_iterator_are_recorded_under_a_key_too(self, ledger):
        ledger.once("pagerduty", "d-7").record(
            "INC-7", incident.detect, by="pd", at=AT, title="down", services=iter(["payments"])
        )
        assert ledger.incident("INC-7").past[0].services == ("payments",)

    def test_a_repeat_from_another_process_is_known_though_sets_have_another_order(self, path):
        """A policy holds sets of words, whose order changes from process to process."""
        script = (
            "import sys; from datetime import UTC, datetime; from imcm import Ledger, incident\n"
            "from imcm.domain.policy import Policy\n"
            "at = datetime(2026, 3, 1, tzinfo=UTC)\n"
            "ledger = Ledger(sys.argv[1])\n"
            "ledger.once('tool', 'a').record('INC-7', incident.detect, by='a', at=at, title='x')\n"
            "ledger.once('tool', 'b').record("
            "'INC-7', incident.triage, by='a', at=at, severity='P3')\n"
            "ledger.once('tool', 'c').record('INC-7', incident.resolve, by='a', at=at)\n"
            "ledger.once('tool', 'd').record('INC-7', incident.close, by='a', at=at, "
            "policy=Policy(review_for=frozenset({'P1', 'P2'})))\n"
        )
        home = str(Path(imcm.__file__).parents[1])
        codes = [
            subprocess.run(
                [sys.executable, "-c", script, path],
                env={"PYTHONPATH": home, "PYTHONHASHSEED": seed},
                stderr=subprocess.DEVNULL,
                check=False,
            ).returncode
            for seed in ("1", "2", "3", "4")
        ]
        assert codes == [0, 0, 0, 0]

    def test_text_that_can_not_be_stored_is_refused_under_a_key_too(self, ledger):
        with pytest.raises(InvalidValue):
            ledger.once("pagerduty", "d-8").record(
                "INC-7", incident.detect, by="pd", at=AT, title="\ud800"
            )


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def run_all(targets):
    """Run each in a thread of its own; an error in any of them is an error of the test."""
    errors = []

    def guarded(target):
        try:
            target()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


class TestOthersWereFaster:
    """Where a store lets others write between reading and appending, a step decides again."""

    @pytest.fixture(params=["in memory", "in PostgreSQL"])
    def ledger(self, request):
        made = (
            Ledger.in_memory(clock=lambda: NOW)
            if request.param == "in memory"
            else Ledger.configured(request.getfixturevalue("settings"), clock=lambda: NOW)
        )
        with made:
            yield made

    def test_the_step_decides_again_on_what_stands_then(self, ledger):
        seen = []

        def declare_late(state: Incident, *, by, at):
            seen.append(len(state.past))
            if len(seen) == 1:  # somebody else declares it while this step decides
                elsewhere(lambda: ledger.record("INC-7", incident.declare, by="ben", at=at))
            return incident.declare(state, by=by, at=at)

        detected(ledger)
        assert ledger.record("INC-7", declare_late, by="ana", at=AT) == ()
        assert (seen, versions(ledger)["incident:INC-7"]) == ([1, 2], [1, 2])

    def test_all_streams_of_a_transaction_decide_again(self, ledger):
        tries = []

        def post_late(state: Incident, *, by, at):
            tries.append(len(state.past))
            if len(tries) == 1:
                said = {"by": "ben", "at": at, "text": "hm", "audience": "internal"}
                elsewhere(lambda: ledger.record("INC-8", incident.post_update, **said))
            return incident.post_update(state, by=by, at=at, text="hello")

        detected(ledger, "INC-7")
        detected(ledger, "INC-8")
        with ledger.transaction() as tx:
            tx.record("INC-8", incident.post_update, by="ana", at=AT, text="first")
            tx.record("INC-7", post_late, by="ana", at=AT)
        assert [(r.stream, r.version) for r in tx.recorded] == [
            ("incident:INC-8", 3),
            ("incident:INC-7", 2),
        ]

    def test_it_gives_up_after_the_stated_time_with_nothing_recorded(self, ledger, monkeypatch):
        monkeypatch.setattr("imcm.ledger.recording.PATIENCE_SECONDS", 0.2)
        tries = []

        def never_first(state: Incident, *, by, at):
            tries.append(1)
            said = {"by": "ben", "at": at, "text": "faster"}
            elsewhere(lambda: ledger.record("INC-7", incident.post_update, **said))
            return incident.post_update(state, by=by, at=at, text="slower")

        detected(ledger)
        with pytest.raises(ConflictError, match=r"incident:INC-7 for 0\.2 seconds"):
            ledger.record("INC-7", never_first, by="ana", at=AT)
        texts = [e.text for e in events(ledger, "incident:INC-7")[1:]]
        assert ["faster"] * len(tries) == texts
        assert len(tries) > 2

    def test_an_iterator_as_an_argument_is_whole_in_every_attempt(self, ledger):
        tries = []

        def plan_late(state: Change, *, by, at, title, services):
            planned = change.plan(state, by=by, at=at, title=title, services=services)
            tries.append(1)
            if len(tries) == 1:  # this one, too, is asked to record, and conflicts
                said = {"by": "ben", "at": at, "text": "faster"}
                elsewhere(lambda: ledger.record("INC-7", incident.post_update, **said))
            return planned

        detected(ledger)
        with ledger.transaction() as tx:
            tx.record("INC-7", incident.post_update, by="ana", at=AT, text="slower")
            tx.record("CHG-1", plan_late, by="a", at=AT, title="v2", services=iter(["payments"]))
        assert ledger.change("CHG-1").services == ("payments",)
        assert len(tries) == 2

    def test_a_generator_in_an_impact_is_whole_in_every_attempt(self, ledger):
        tries = []

        def triage_late(state: Incident, *, by, at, impact):
            tries.append(1)
            if len(tries) == 1:
                elsewhere(lambda: ledger.record("INC-7", incident.declare, by="ben", at=at))
            return incident.triage(state, by=by, at=at, severity="P1", impact=impact)

        detected(ledger)
        hit = (ServiceImpact(service=name, degree=Degree.DOWN) for name in ("pay", "web"))
        ledger.record("INC-7", triage_late, by="ana", at=AT, impact=Impact(services=hit))
        services = [one.service for one in ledger.incident("INC-7").impact.services]
        assert (["pay", "web"], 2) == (services, len(tries))


class TestOneWriter:
    """In a file the turn to write is taken before reading, so a step decides once."""

    def test_who_wants_to_record_meanwhile_waits(self, in_file, path):
        detected(in_file)
        deciding, others = threading.Event(), []

        def declare_slowly(state: Incident, *, by, at):
            deciding.set()
            time.sleep(0.1)  # for the others to come and wait
            others.append(len(state.past))
            return incident.declare(state, by=by, at=at)

        def acknowledge(ledger):
            deciding.wait()
            ledger.record("INC-7", incident.acknowledge, by="ben", at=AT)

        with Ledger(path, clock=lambda: NOW) as another:
            threads = [
                threading.Thread(target=acknowledge, args=(one,)) for one in (in_file, another)
            ]
            for thread in threads:
                thread.start()
            in_file.record("INC-7", declare_slowly, by="ana", at=AT)
            for thread in threads:
                thread.join()
        names = [type(e).__name__ for e in events(in_file, "incident:INC-7")]
        assert (["IncidentDetected", "IncidentDeclared", "IncidentAcknowledged"], [1]) == (
            names,
            others,
        )

    def test_the_stamp_is_taken_inside_the_turn(self, path):
        """Whoever comes later has the later stamp, however long it waited."""
        with Ledger(path) as ledger:
            detected(ledger)

            def post(state: Incident, *, by, at, text):
                time.sleep(0.001)
                return incident.post_update(state, by=by, at=at, text=text)

            def many(name):
                for number in range(20):
                    ledger.record("INC-7", post, by=name, at=AT, text=f"{number}")

            threads = [threading.Thread(target=many, args=(f"t{n}",)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            stamps = [r.recorded_at for r in ledger.replay()]
        assert sorted(stamps) == stamps

    def test_threads_take_turns_in_the_order_they_came(self, in_file):
        queue, order, holds = store._Queue(), [], threading.Event()

        def take(number):
            with queue:
                order.append(number)

        def hold():
            with queue:
                holds.wait()

        first = threading.Thread(target=hold)
        first.start()
        threads = []
        for number in range(8):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            while len(queue._waiting) <= number:
                time.sleep(0.001)
        holds.set()
        for thread in (first, *threads):
            thread.join()
        assert list(range(8)) == order


class TestAStepOnlyDecides:
    def test_recording_inside_a_step_is_refused_and_nothing_is_recorded(self, ledger):
        def greedy(state: Incident, *, by, at):
            ledger.record("INC-8", incident.detect, by=by, at=at, title="another")
            return incident.declare(state, by=by, at=at)

        detected(ledger)
        before = versions(ledger)
        with pytest.raises(StepRefused, match=r"greedy .*a step only decides"):
            ledger.record("INC-7", greedy, by="ana", at=AT)
        assert before == versions(ledger)
        ledger.record("INC-7", incident.declare, by="ana", at=AT)  # the turn was given back

    def test_reading_inside_a_step_is_allowed(self, ledger):
        def looks(state: Incident, *, by, at):
            assert len(ledger.incident("INC-7").past) == len(state.past)
            return incident.declare(state, by=by, at=at)

        detected(ledger)
        assert len(ledger.record("INC-7", looks, by="ana", at=AT)) == 1


class TestATransactionIsOneBlock:
    def test_entered_again_it_is_refused_and_records_nothing_twice(self, ledger):
        detected(ledger)
        tx = ledger.transaction()
        with tx:
            tx.record("INC-7", incident.post_update, by="ana", at=AT, text="once")
        before = versions(ledger)
        with pytest.raises(TransactionOverError, match="begin another one"), tx:
            pass
        assert before == versions(ledger)

    def test_a_call_after_its_block_is_refused(self, ledger):
        with ledger.transaction() as tx:
            pass
        for call in (
            lambda: tx.record("INC-7", incident.detect, by="ana", at=AT, title="x"),
            lambda: tx.merge("INC-7", into="INC-8", by="ana", at=AT),
            lambda: tx.unmerge("INC-7", by="ana", at=AT, why="x"),
        ):
            with pytest.raises(TransactionOverError, match="has ended"):
                call()


class TestIds:
    @pytest.mark.parametrize(
        "id",
        [
            "7",
            "INC 7",
            "servicenow/INC0012345",
            "a:b:c",
            "key:x",
            "ledger:self",
            "INC-7'; DROP TABLE stored_events; --",
            "%_?#&=",
            "é",
            "日本語",
            "🎉",
            "x" * 200,
            "..",
            "Ω" * 200,
        ],
    )
    def test_odd_ones_are_kept_apart_and_found_again(self, ledger, id):
        detected(ledger, id)
        detected(ledger, "other")
        [recorded] = ledger.history(f"incident:{id}")
        assert (id, "incident") == (recorded.id, recorded.kind)
        assert IncidentStatus.DETECTED is ledger.incident(id).status
        assert id in {r.id for r in ledger.replay()}

    def test_case_is_kept(self, ledger):
        detected(ledger, "inc-7")
        with pytest.raises(UnknownIdError):
            ledger.incident("INC-7")

    @pytest.mark.parametrize(
        "id", ["", " ", "INC-7 ", "a\nb", "a\0b", "e\u0301", "\ud800", "x" * 201, 7, None, b"7"]
    )
    def test_what_can_not_be_one_is_refused_everywhere(self, ledger, id):
        with pytest.raises(InvalidValue):
            detected(ledger, id)
        with pytest.raises(InvalidValue):
            ledger.incident(id)
        with pytest.raises(InvalidValue):
            ledger.change(id)
        with ledger.transaction() as tx, pytest.raises(InvalidValue):
            tx.merge("INC-7", into=id, by="ana", at=AT)
        assert versions(ledger) == {"ledger:self": [1]}

    def test_one_that_does_not_exist_is_an_error_that_names_it(self, ledger):
        with pytest.raises(UnknownIdError, match="INC-404"):
            ledger.incident("INC-404")
        with pytest.raises(UnknownIdError, match="CHG-404"):
            ledger.change("CHG-404")
        with pytest.raises(UnknownIdError, match="INC-404"):
            ledger.unmerge("INC-404", by="ana", at=AT, why="x")
        assert ledger.history("incident:INC-404") == []


class TestALogThatMustNotDecide:
    """What was altered or is not understood is shown, and never recorded upon."""

    def refuses(self, ledger, error, *words):
        before = len(list(ledger.rows()))
        for ask in (
            lambda: ledger.record("INC-7", incident.resolve, by="ana", at=AT),
            lambda: ledger.once("x", "k").record("INC-7", incident.resolve, by="ana", at=AT),
            lambda: ledger.incident("INC-7"),
        ):
            with pytest.raises(error) as caught:
                ask()
            assert [word for word in words if word not in str(caught.value)] == []
        assert before == len(list(ledger.rows()))

    def test_a_gap_in_the_versions(self, in_file, path, put):
        detected(in_file)
        put(path, "incident:INC-7", 3, IncidentResolved(at=AT, by="ana"))
        self.refuses(in_file, StoreError, "incident:INC-7", "version 3", "2")

    def test_a_stream_that_does_not_begin_with_1(self, in_file, path, put):
        put(path, "incident:INC-7", 2, IncidentDetected(at=AT, by="ana", title="x"))
        self.refuses(in_file, StoreError, "incident:INC-7", "altered")

    def test_an_event_that_was_taken_out(self, in_file, path, sql):
        detected(in_file)
        in_file.record("INC-7", incident.declare, by="ana", at=AT)
        in_file.record("INC-7", incident.acknowledge, by="ana", at=AT)
        sql(path, "DELETE FROM stored_events WHERE originator_version = 2")
        self.refuses(in_file, StoreError, "incident:INC-7", "altered")

    def test_a_version_of_0(self, in_file, path, put):
        detected(in_file)
        put(path, "incident:INC-7", 0, IncidentResolved(at=AT, by="ana"))
        self.refuses(in_file, StoreError, "version 0")

    def test_an_event_of_an_unknown_type(self, in_file, path, put):
        detected(in_file)
        state = b'{"format":1,"record":"r","recorded_at":"2026-03-02T12:00:00.000000Z","event":{}}'
        put(path, "incident:INC-7", 2, "IncidentTeleported", state)
        self.refuses(in_file, UnreadEventError, "version 2", "IncidentTeleported", "update imcm")
        unread = in_file.history("incident:INC-7")[1].event
        assert (Unread, "IncidentTeleported", state) == (type(unread), unread.type, unread.state)

    def test_an_event_of_a_newer_format(self, in_file, path, put, sql):
        detected(in_file)
        put(path, "incident:INC-7", 2, IncidentResolved(at=AT, by="ana"))
        newer = "UPDATE stored_events SET state = CAST(replace(CAST(state AS TEXT), ?, ?) AS BLOB)"
        sql(path, newer + " WHERE originator_version = 2", '"format":1', '"format":2')
        self.refuses(in_file, UnreadEventError, "version 2", "newer")

    def test_a_state_that_is_damaged(self, in_file, path, put):
        detected(in_file)
        put(path, "incident:INC-7", 2, "IncidentResolved", b'{"format":1,"rec')
        self.refuses(in_file, StoreError, "incident:INC-7", "version 2", "not a stored event")

    def test_other_streams_are_not_concerned(self, in_file, path, put):
        put(path, "incident:INC-7", 2, IncidentResolved(at=AT, by="ana"))
        assert len(detected(in_file, "INC-8")) == 1


class TestThreads:
    def test_eight_on_one_ledger_lose_and_duplicate_nothing(self, ledger):
        detected(ledger)
        acknowledged = []

        def work(name):
            for number in range(15):
                [r] = ledger.record(
                    "INC-7",
                    incident.assign_role,
                    by=name,
                    at=AT,
                    role="scribe",
                    person=f"{name}/{number}",
                )
                acknowledged.append((r.stream, r.version, r.event.person))
                detected(ledger, f"{name}-{number}")

        run_all([functools.partial(work, f"thread-{n}") for n in range(8)])
        found = [
            (r.stream, r.version, r.event.person)
            for r in ledger.replay()
            if r.stream == "incident:INC-7" and r.version > 1
        ]
        assert (120, sorted(acknowledged)) == (len(acknowledged), sorted(found))
        assert list(range(1, 122)) == versions(ledger)["incident:INC-7"]
        assert len(versions(ledger)) == 122

    def test_reading_while_others_write(self, ledger):
        done = threading.Event()
        counts = []

        def write():
            for number in range(40):
                detected(ledger, f"INC-{number}")
            done.set()

        def read():
            while not done.is_set():
                counts.append(len(list(ledger.replay())))
                time.sleep(0.001)

        run_all([write, read, read])
        assert len(list(ledger.replay())) == 41
        assert [c for c in counts if not 1 <= c <= 41] == []

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
    def test_threads_that_ended_leave_no_file_open(self, in_file):
        """A server with a thread for each request would run out of files."""
        detected(in_file)
        open_files = lambda: len(list(Path("/proc/self/fd").iterdir()))  # noqa: E731
        before = open_files()
        for _ in range(60):
            run_all([lambda: in_file.incident("INC-7")])
        assert open_files() - before < 20


class TestGuardsBelongToEvents:
    """Whoever's step made them: there is no other door."""

    def submitted(self, ledger):
        for step, more in (
            (change.plan, {"title": "v2", "risk": Risk.LOW, "rollback_plan": "v1"}),
            (change.submit, {}),
        ):
            ledger.record("CHG-1", step, by="lena", at=AT, **more)

    def test_a_vote_of_ones_own_making_is_a_vote_like_any_other(self, ledger):
        self.submitted(ledger)

        def vote(state: Change, *, by, at, **more):
            told = {"votes": 1, "quorum": 1, "content": 1, "authority": "peer", **more}
            told["policy"] = Policy().said("1 of 1 votes")
            return (VoteGiven(by=by, at=at, status=ChangeStatus.APPROVED, **told),)

        before = versions(ledger)
        for by, more in (("lena", {}), ("Lena", {}), ("mia", {"quorum": 0}), ("mia", {"votes": 2})):
            with pytest.raises(StepRefused):
                ledger.record("CHG-1", vote, by=by, at=AT, **more)
        with pytest.raises(InvalidValue, match="bring_in"):
            ledger.record("CHG-1", vote, by="lena", at=AT, imported=True)
        assert before == versions(ledger)
        assert not ledger.change("CHG-1").voters

        def wrapped(state: Change, *, by, at):
            return change.approve(state, by=by, at=at, why="seen")

        assert 1 == len(ledger.record("CHG-1", wrapped, by="mia", at=AT))
        assert ChangeStatus.APPROVED is ledger.change("CHG-1").status

    def test_the_policy_of_the_call_is_the_one_that_judges(self, ledger):
        self.submitted(ledger)
        two = Policy(name="two", approvals=2)

        def lax(state: Change, *, by, at, policy):
            return change.approve(state, by=by, at=at)

        with pytest.raises(StepRefused, match="what follows"):
            ledger.record("CHG-1", lax, by="mia", at=AT, policy=two)

    def test_one_side_of_a_merge_is_refused(self, ledger):
        for id in ("INC-7", "INC-8"):
            detected(ledger, id)
        before = versions(ledger)
        with pytest.raises(StepRefused, match="both sides"):
            ledger.record("INC-7", incident.absorb, by="ana", at=AT, merged="INC-8")
        assert before == versions(ledger)

    def test_both_sides_of_a_merge_without_the_severity_are_refused(self, ledger):
        for id, severity in (("INC-7", "P4"), ("INC-8", "P1")):
            detected(ledger, id)
            ledger.record(id, incident.triage, by="ana", at=AT, severity=severity)
        before = versions(ledger)
        given = {"by": "ana", "at": AT}
        target = ledger.incident("INC-7")
        tx = ledger.transaction()
        tx.record("INC-8", incident.merge, id="INC-8", into="INC-7", into_state=target, **given)
        tx.record("INC-7", incident.absorb, merged="INC-8", **given)
        with pytest.raises(StepRefused, match="both sides"), tx:
            pass
        assert before == versions(ledger)

    def test_a_severity_that_does_not_follow_is_refused(self, ledger):
        for id, severity in (("INC-7", "P4"), ("INC-8", "P1")):
            detected(ledger, id)
            ledger.record(id, incident.triage, by="ana", at=AT, severity=severity)
        ledger.merge("INC-8", into="INC-7", by="ana", at=AT)
        before = versions(ledger)
        with pytest.raises(StepRefused, match="both sides"):
            ledger.record("INC-7", incident.inherit, by="ana", at=AT, merged="INC-8", members={})
        assert before == versions(ledger)

    def test_an_event_class_of_ones_own_is_refused_by_name(self, ledger):
        @attrs.frozen(kw_only=True)
        class PagerRang:
            at: datetime
            by: str

        def ring(state: Incident, *, by, at):
            return (PagerRang(at=at, by=by),)

        detected(ledger)
        with pytest.raises(InvalidValue, match=r"PagerRang.*labels"):
            ledger.record("INC-7", ring, by="pd", at=AT)

    def test_a_stream_that_holds_events_of_the_other_practice_decides_nothing(self, in_file, put):
        detected(in_file)
        put(in_file._store.reader.path, "incident:INC-7", 2, planned(at=AT, by="a"))
        for ask in (
            lambda: in_file.incident("INC-7"),
            lambda: in_file.record("INC-7", incident.resolve, by="ana", at=AT),
        ):
            with pytest.raises(UnreadEventError, match="is a ChangePlanned, which is no event of"):
                ask()


def planned(**more):
    return ChangePlanned(title="x", type=ChangeType.NORMAL, **more)


@pytest.mark.parametrize(
    "id", ["INC\u200b-7", "INC-7\u202e", "a\u2066b", "\u3164", "INC-\u00ad7", "x\U000e0041"]
)
class TestSignsThatNobodySees:
    def test_a_new_id_holds_none(self, ledger, id):
        with pytest.raises(InvalidValue, match="no invisible or reordering signs"):
            detected(ledger, id)
        event = IncidentDetected(at=AT, by="sn", imported=True)
        with pytest.raises(InvalidValue, match="no invisible or reordering signs"):
            ledger.bring_in([imcm.History(stream=f"incident:{id}", events=((event, None),))])
        assert versions(ledger) == {"ledger:self": [1]}

    def test_nor_does_a_person(self, ledger, id):
        """Else one person could pass for two."""
        with pytest.raises(InvalidValue, match="no invisible or reordering signs"):
            ledger.record("INC-1", incident.detect, by=id, at=AT, title="x")

    def test_a_stream_that_is_there_already_stays_usable(self, in_file, put, id):
        put(
            in_file._store.reader.path,
            f"incident:{id}",
            1,
            IncidentDetected(at=AT, by="ana", title="x"),
        )
        in_file.record(id, incident.resolve, by="ana", at=AT)
        assert IncidentStatus.RESOLVED is in_file.incident(id).status
        in_file.redact(f"incident:{id}", by="dpo", at=AT, reason="asked for")
