"""What another policy would have said of a log: small logs, and a slow count beside it."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeFailed,
    ChangePlanned,
    ChangeRolledBack,
)
from imcm.domain.policy import ApprovalRule, Content, PlanRule, Policy
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, Weekly
from imcm.domain.vocabulary import ChangeType, Kind, Risk, Window
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import facts
from imcm.projections.reports.what_if import what_if
from imcm.projections.statistics.intervals import wilson
from projections.log import at, caused_by, change, detected, incident, log, resolved
from projections.test_decisions import (
    approve,
    complete,
    emergency,
    plan,
    start,
    steps,
    submit,
    take,
)

WEEKEND = Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00"))
NOT_ON_FRIDAY = Policy(name="not on Friday", version="3", freezes=[WEEKEND])
FRIDAY = 4 * 24 + 8  # 17:00 on the Friday after START


def went(id, hours, *more, **fields):
    """Return a change that was approved at once and started so many hours after START."""
    return steps(
        id,
        plan(hours - 3, **fields),
        submit(hours - 2.5),
        approve(hours - 2),
        start(hours),
        complete(hours + 0.5),
        *more,
    )


def rolled_back(hours):
    return take("roll_back", hours, "ci")


def brought_in(id, hours, *more, **fields):
    told = {"type": ChangeType.NORMAL, "services": ("pay",), **fields}
    events = (
        ChangePlanned(at=None, by="sn", imported=True, **told),
        ChangeCompleted(at=at(hours), by="sn", imported=True),
        *more,
    )
    return change(id, *events)


STORY = log(
    went("CHG-1", FRIDAY),
    went("CHG-2", FRIDAY + 1, rolled_back(FRIDAY + 2)),
    went("CHG-3", 30),
    went("CHG-4", 32, rolled_back(33)),
    steps("CHG-5", emergency(FRIDAY), submit(FRIDAY + 0.1), start(FRIDAY + 0.2),
          complete(FRIDAY + 0.4)),
    steps("CHG-6", take("observe", FRIDAY + 3, "cmdb", title="who was that?")),
    brought_in("CHG-7", FRIDAY + 0.5),
    brought_in("CHG-8", 40),
    incident("INC-1", detected(FRIDAY + 1.5), caused_by("CHG-2", FRIDAY + 2), resolved(FRIDAY + 3)),
    now=200,
)  # fmt: skip


class TestWhatWouldHaveBeenStopped:
    FOUND = what_if(STORY, NOT_ON_FRIDAY)

    def test_is_named_with_the_guard_and_until_when(self):
        assert [(each.change, each.guard, each.failed) for each in self.FOUND.stopped] == [
            ("CHG-1", "freeze", False),
            ("CHG-7", "freeze", False),
            ("CHG-2", "freeze", True),
        ]
        opens = datetime(2026, 3, 9, 8, 0, tzinfo=UTC)
        assert {each.opens for each in self.FOUND.stopped} == {opens}
        assert self.FOUND.stopped[0].delay == opens - at(FRIDAY)

    def test_with_what_it_did(self):
        assert [each.change for each in self.FOUND.caught] == ["CHG-2"]
        assert [each.change for each in self.FOUND.hit] == ["CHG-1", "CHG-7"]
        assert self.FOUND.incidents == ("INC-1",)
        assert self.FOUND.caught[0].signs == ("incident INC-1", "rolled back")

    def test_beside_all_others(self):
        assert (self.FOUND.deployments, self.FOUND.passed, self.FOUND.passed_failed) == (7, 4, 1)
        assert (self.FOUND.exempt, self.FOUND.unasked) == (("CHG-5",), ("CHG-6",))
        assert self.FOUND.unjudged == 2

    def test_shares_have_their_intervals(self):
        stopped, passed = self.FOUND.share_of_stopped, self.FOUND.share_of_passed
        assert (stopped.value, passed.value) == (1 / 3, 1 / 4)
        assert stopped.interval == wilson(1, 3)
        assert passed.interval == wilson(1, 4)
        between = self.FOUND.difference
        assert between.method == "newcombe"
        assert between.low < 1 / 3 - 1 / 4 < between.high

    def test_costs_lead_time(self):
        delays = sorted(each.delay.total_seconds() for each in self.FOUND.stopped)
        assert self.FOUND.delays == tuple(delays)
        assert self.FOUND.median_delay == delays[1]
        assert self.FOUND.added_lead_time == sum(delays) / 7
        two = what_if(STORY, NOT_ON_FRIDAY, window=(at(FRIDAY - 0.1), at(FRIDAY + 1)))
        assert two.median_delay == sum(two.delays) / 2

    def test_is_explained(self):
        text = self.FOUND.explain()
        assert text == str(self.FOUND)
        for line in (
            "what if not on Friday 3: 3 of 7 deployments stopped or delayed",
            "of the stopped:  1 of 3 failed",
            "0 is in it: no difference is shown",
            "by freeze: 1 of 3 failed",
            "emergencies, let in: 1: CHG-5",
            "found in production, so no policy was asked: 1: CHG-6",
            "of 2 only a source told",
            "people would have acted otherwise",
        ):
            assert line in text
        assert "3 of 7" in repr(self.FOUND)
        assert str(self.FOUND.caught[0]) == (
            "CHG-2 at 2026-03-06 18:00 +0000: freeze, not before 2026-03-09 08:00 +0000; failed "
            "(incident INC-1, rolled back)"
        )
        assert str(self.FOUND.hit[0]).endswith("; went well")

    def test_is_plain_values_for_json(self):
        plain = json.loads(json.dumps(self.FOUND.as_dict()))
        assert plain["deployments"] == 7
        assert plain["stopped"][2]["change"] == "CHG-2"
        assert plain["share_of_stopped"]["failed"] == 1
        assert plain["window"] is None

    def test_in_a_window(self):
        later = what_if(STORY, NOT_ON_FRIDAY, window=(at(FRIDAY + 0.7), None))
        assert [each.change for each in later.stopped] == ["CHG-2"]
        assert later.window[0] == at(FRIDAY + 0.7)
        assert later.as_dict()["window"][0] == at(FRIDAY + 0.7).isoformat()
        words = what_if(STORY, NOT_ON_FRIDAY, window="2025")
        assert (words.deployments, words.stopped) == (0, ())
        assert words.median_delay is None
        assert words.added_lead_time is None
        assert (words.difference.low, words.share_of_stopped.value) == (None, None)
        assert "of the stopped:  none" in words.explain()

    def test_of_facts_by_their_times_alone(self):
        found = what_if(facts(STORY), NOT_ON_FRIDAY)
        assert [each.change for each in found.stopped] == ["CHG-1", "CHG-7", "CHG-2"]
        assert (found.unjudged, found.unasked) == (7, ("CHG-6",))

    def test_as_of_a_time(self):
        assert what_if(STORY, NOT_ON_FRIDAY, as_of=at(50)).deployments == 3


class TestGuards:
    def stopped(self, policy, *streams):
        found = what_if(log(*streams, now=500), policy)
        return {each.change: [guard for guard, _ in each.refusals] for each in found.stopped}

    def test_votes_are_counted_as_they_stood(self):
        two = Policy(rules=[ApprovalRule(votes=2, risks=["high"])])
        streams = went("CHG-1", 9, risk=Risk.HIGH), went("CHG-2", 9)
        assert self.stopped(two, *streams) == {"CHG-1": ["quorum"]}
        found = what_if(log(*streams, now=500), two)
        assert (found.delays, found.stopped[0].opens, found.stopped[0].delay) == ((), None, None)
        assert "1 lacked something else than time" in found.explain()

    def test_plans_and_what_the_time_allows(self):
        policy = Policy(
            plans=[PlanRule(needs=["test_plan"])],
            maintenance=[
                MaintenanceWindow(name="nights", times=Weekly(start="Tue 22:00", end="Tue 24:00"))
            ],
        )
        assert self.stopped(policy, went("CHG-1", 9)) == {"CHG-1": ["maintenance window", "plans"]}

    def test_votes_that_lapsed_and_who_starts(self):
        old = steps("CHG-1", plan(), submit(), approve(2), start(80, by="mia"), complete(81))
        lapse = Policy(valid_for="1 day", approvers_may_start=False)
        assert self.stopped(lapse, old) == {
            "CHG-1": ["vote lapsed", "separation of duties", "quorum"]
        }

    def test_an_override_of_that_freeze_lets_through(self):
        sale = Freeze(name="sale", times=Window(start=at(8), end=at(20)))
        before = Policy(freezes=[sale])
        story = steps(
            "CHG-1",
            plan(),
            submit(),
            approve(),
            take("override_freeze", 3, "zoe", freeze="sale", why="x", policy=before),
            start(9),
            complete(10),
        )
        assert self.stopped(Policy(name="p", freezes=[sale]), story) == {}
        another = Freeze(name="peak", times=Window(start=at(8), end=at(20)))
        assert self.stopped(Policy(name="p", freezes=[another]), story) == {"CHG-1": ["freeze"]}

    def test_a_standard_change_has_no_votes(self):
        from imcm.domain.change_events import Template

        template = Template(name="restart", version="1", sha256="0" * 64)
        story = steps(
            "CHG-1",
            plan(type=ChangeType.STANDARD),
            submit(template=template),
            start(9),
            complete(10),
        )
        assert self.stopped(Policy(approvals=3), story) == {}

    def test_a_freeze_without_end_opens_at_no_time(self):
        ever = Freeze(name="ever", times=Weekly(start="Mon 00:00", end="Mon 00:00"))
        found = what_if(log(went("CHG-1", 9), now=500), Policy(name="p", freezes=[ever]))
        assert found.stopped[0].opens is None
        assert "lacked something else" in found.explain()


class TestVersus:
    TUESDAY = Policy(
        name="not on Tuesday",
        freezes=[Freeze(name="t", times=Weekly(start="Tue 00:00", end="Tue 24:00"))],
    )

    def test_tells_what_one_alone_would_have_stopped(self):
        both = what_if(STORY, NOT_ON_FRIDAY).versus(what_if(STORY, self.TUESDAY))
        assert [each.change for each in both.only_first] == ["CHG-1", "CHG-7", "CHG-2"]
        assert [each.change for each in both.only_second] == ["CHG-3", "CHG-4"]
        assert "stopped by not on Tuesday 1 alone: 1 of 2 failed" in str(both)
        assert both.as_dict()["only_second"] == ["CHG-3", "CHG-4"]

    def test_of_another_log_is_refused(self):
        for other in (what_if(STORY[:5], NOT_ON_FRIDAY), "CHG-1"):
            with pytest.raises(InvalidValue, match="same log"):
                what_if(STORY, NOT_ON_FRIDAY).versus(other)


def test_what_is_no_policy_or_no_log_is_refused():
    with pytest.raises(InvalidValue, match="policy"):
        what_if(STORY, {"name": "x"})
    with pytest.raises(InvalidValue, match="log"):
        what_if(7, NOT_ON_FRIDAY)


@given(st.integers(0, 1000))
def test_a_slow_count_of_imported_changes_says_the_same(seed):
    """Minute by minute: a change is stopped exactly where the clock shows a weekend."""
    pick = random.Random(seed)
    hours = sorted({round(pick.uniform(0, 24 * 14), 1) for _ in range(12)})
    streams, weekend, failed = [], set(), set()
    for number, hour in enumerate(hours):
        wrong = pick.random() < 0.4
        more = (ChangeRolledBack(at=at(hour + 1), by="sn", imported=True),) if wrong else ()
        streams.append(brought_in(f"CHG-{number}", hour, *more))
        when = at(hour)
        minutes = when.weekday() * 1440 + when.hour * 60 + when.minute
        if minutes >= 4 * 1440 + 16 * 60 or minutes < 8 * 60:
            weekend.add(f"CHG-{number}")
        if wrong:
            failed.add(f"CHG-{number}")
    found = what_if(log(*streams, now=24 * 20), NOT_ON_FRIDAY)
    assert {each.change for each in found.stopped} == weekend
    assert {each.change for each in found.caught} == weekend & failed
    assert found.passed_failed == len(failed - weekend)
    for each in found.stopped:
        clock = each.at
        while (clock.weekday(), clock.hour) != (0, 8):
            clock = clock.replace(minute=0, second=0) + timedelta(hours=1)
        assert each.opens == clock


class TestWhenItOpens:
    def test_goes_through_freezes_and_windows_that_follow_each_other(self):
        policy = Policy(
            freezes=[
                Freeze(name="a", times=Window(start=at(1), end=at(3))),
                Freeze(name="b", times=Window(start=at(3), end=at(5)), services=["pay"]),
            ],
            maintenance=[
                MaintenanceWindow(
                    name="m",
                    times=[Window(start=at(4), end=at(4.5)), Window(start=at(8), end=at(9))],
                )
            ],
        )
        pay = Content(services=("pay",))
        assert policy.opens_at(pay, at(1)) == at(8)
        assert policy.opens_at(Content(), at(1)) == at(4)
        assert policy.opens_at(pay, at(8.5)) == at(8.5)
        assert policy.opens_at(pay, at(9)) is None
        assert policy.opens_at(pay._replace(type=ChangeType.EMERGENCY), at(1)) == at(1)
        assert [freeze.name for freeze in policy.frozen_at(pay, at(3))] == ["b"]

    def test_is_not_looked_for_beyond_two_years(self):
        long = Freeze(name="a", times=Window(start=at(0), end=at(24 * 800)))
        assert Policy(freezes=[long]).opens_at(Content(), at(1)) is None
        end = datetime(9999, 1, 1, tzinfo=UTC)
        assert Policy(freezes=[WEEKEND]).opens_at(Content(), end) == end


def test_other_ways_to_fail_count_too():
    failed = ChangeFailed(at=at(FRIDAY), by="sn", reached_production=True, imported=True)
    told = ChangePlanned(at=None, by="sn", type=ChangeType.NORMAL, kind=Kind.SCHEMA, imported=True)
    found = what_if(log(change("CHG-1", told, failed), now=200), NOT_ON_FRIDAY)
    assert [each.signs for each in found.caught] == [("outcome failed",)]
