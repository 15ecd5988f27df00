"""
When changes may not go in: stretches of weeks in any zone, and what steps ask of them.
"""

import itertools
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.examples import (
    approved,
    at,
    completed,
    emergency,
    planned,
    started,
    started_unapproved,
    submitted,
    window,
)
from imcm import testing
from imcm.domain import change
from imcm.domain.change_events import (
    ChangeApprovedRetroactively,
    ChangeDeployed,
    ChangeFailed,
    ChangeObserved,
    ChangeScheduled,
    FreezeOverridden,
    VoteGiven,
)
from imcm.domain.lifecycle import Ask
from imcm.domain.policy import ApprovalRule, Content, Policy
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, Weekly
from imcm.domain.vocabulary import Authority, Between, ChangeType, PolicyRef, Risk, Window
from imcm.errors import InvalidValue, NaiveTimeError
from work import work

LONDON = "Europe/London"
MINUTE = timedelta(minutes=1)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def weekend(**more):
    return Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00"), **more)


def once(start, end, name="sale", **more):
    return Freeze(name=name, times=Window(start=at(start), end=at(end)), **more)


class TestWeekly:
    def test_near_the_end_of_all_times_is_told_as_far_as_it_goes(self):
        friday = datetime(9990, 12, 28, 20, tzinfo=UTC)
        while friday.weekday() != 4:
            friday += timedelta(days=1)
        window = weekend().window_at(friday)
        assert window is None or window.start <= friday < window.end

    @pytest.mark.parametrize(
        ("moment", "inside"),
        [
            ("2026-07-03T14:59:59+00:00", False),  # a Friday in summer, an hour ahead of UTC
            ("2026-07-03T15:00:00+00:00", True),
            ("2026-07-06T06:59:59+00:00", True),
            ("2026-07-06T07:00:00+00:00", False),
            ("2026-12-04T15:59:59+00:00", False),
            ("2026-12-04T16:00:00+00:00", True),
            ("2026-12-07T08:00:00+00:00", False),
        ],
    )
    def test_is_told_in_local_time(self, moment, inside):
        freeze = Freeze(
            name="w", times=Weekly(start="Fri 16:00", end="Mon 08:00", time_zone=LONDON)
        )
        assert inside is (freeze.window_at(datetime.fromisoformat(moment)) is not None)

    def test_spans_a_change_of_clocks_in_its_real_length(self):
        weekly = Weekly(start="Sat 12:00", end="Sun 12:00", time_zone=LONDON)
        lengths = {
            window_.end - window_.start
            for window_ in weekly.windows(
                datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
            )
        }
        assert lengths == {timedelta(hours=hours) for hours in (23, 24, 25)}

    def test_a_whole_week_is_one_without_end(self):
        freeze = Freeze(name="always", times=Weekly(start="Wed 00:00", end="Wed 00:00"))
        assert freeze.window_at(at(0)).end > at(0) + timedelta(days=360)

    def test_the_end_of_a_day_is_the_beginning_of_the_next(self):
        [window_] = Weekly(start="Sun 22:00", end="Sun 24:00").windows(at(0), at(160))
        assert (window_.end - window_.start, window_.end.hour) == (timedelta(hours=2), 0)

    def test_a_stretch_that_lies_in_a_gap_is_empty(self):
        weekly = Weekly(start="Sun 01:10", end="Sun 01:40", time_zone=LONDON)
        sunday = datetime(2026, 3, 29, tzinfo=UTC)
        assert [] == list(weekly.windows(sunday, sunday + timedelta(days=1)))

    @given(
        st.integers(0, 6), st.integers(0, 24 * 4), st.integers(0, 6), st.integers(0, 24 * 4),
        st.sampled_from([LONDON, "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        st.integers(0, 365 * 24 * 4),
    )  # fmt: skip
    @example(6, 2, 6, 6, LONDON, 297 * 24 * 4)  # an hour that comes twice
    def test_holds_for_each_minute_that_a_clock_shows_inside_it(
        self, first, begins, last, ends, zone, quarter
    ):
        """But where a local time comes twice or never, which the cases above tell."""

        def told(day, quarters):
            return f"{DAYS[day]} {quarters // 4:02}:{quarters % 4 * 15:02}"

        weekly = Weekly(start=told(first, begins), end=told(last, ends), time_zone=zone)
        moment = datetime(2026, 1, 1, tzinfo=UTC) + quarter * timedelta(minutes=15)
        home = ZoneInfo(zone)
        near = [moment + timedelta(hours=h) for h in range(-200, 200, 12)]
        if len({each.astimezone(home).utcoffset() for each in near}) > 1:
            return
        local = moment.astimezone(home)
        now = local.weekday() * 24 * 60 + local.hour * 60 + local.minute
        start, end = first * 24 * 60 + begins * 15, last * 24 * 60 + ends * 15
        inside = start <= now < end or start <= now + 7 * 24 * 60 < end
        if end <= start:
            inside = now >= start or now < end
            inside = inside or now + 7 * 24 * 60 < end
        found = list(weekly.windows(moment, moment + MINUTE))
        assert inside is bool(found)

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("start", {"start": "Fri 4pm"}),
            ("start", {"start": "Friday 16:00"}),
            ("start", {"start": 16}),
            ("end", {"end": "Mon 25:00"}),
            ("end", {"end": "Day 08:00"}),
            ("time_zone", {"time_zone": "Mars/Olympus"}),
            ("time_zone", {"time_zone": None}),
        ],
    )
    def test_refuses_what_can_not_be_right(self, name, told):
        with pytest.raises(InvalidValue, match=name):
            Weekly(**{"start": "Fri 16:00", "end": "Mon 08:00", **told})

    def test_says_what_it_is(self):
        assert "Fri 16:00 to Mon 08:00 UTC" == str(Weekly(start="Fri 16:00", end="Mon 08:00"))


class TestStretches:
    def test_that_touch_are_one(self):
        times = [Window(start=at(0), end=at(2)), Window(start=at(1), end=at(1.5))]
        freeze = Freeze(name="x", times=[*times, Window(start=at(2), end=at(3))])
        assert [Window(start=at(0), end=at(3))] == freeze.windows(at(1), at(2.5))
        assert freeze.window_at(at(1)).end == at(3)
        assert freeze.next_window(at(-5)).start == at(0)
        assert freeze.next_window(at(3)) is None

    def test_are_found_in_any_time_however_long(self):
        """In no more time than it takes to look around its beginning."""
        ages = at(0), at(0) + timedelta(days=365 * 7000)
        assert weekend().met_by(*ages).start == datetime(2026, 3, 6, 16, tzinfo=UTC)
        assert once(9e6, 9e6 + 1).met_by(*ages).start == at(9e6)
        assert once(-2, -1).met_by(*ages) is None
        assert not weekend().holds_throughout(*ages)
        assert weekend().holds_throughout(at(130), at(131))
        assert not weekend().holds_throughout(at(0), at(1))
        early = datetime(2, 1, 1, tzinfo=UTC)
        assert once(0, 1).met_by(early, at(2)).start == at(0)
        assert weekend().met_by(early, early + timedelta(days=30)) is None

    @pytest.mark.parametrize("year", [1, 2, 9991, 9999])
    def test_at_the_ends_of_all_times_there_are_none(self, year):
        moment = datetime(year, 6, 1, tzinfo=UTC)
        assert weekend().window_at(moment) is weekend().next_window(moment) is None
        assert [] == weekend().windows(moment, moment + timedelta(days=3))

    @pytest.mark.parametrize("turn", [1, -1])
    def test_the_first_that_is_met_is_told_however_they_are_listed(self, turn):
        """Or who lets a change start in the later one had let it be scheduled in both."""
        later, sooner = Window(start=at(20), end=at(24)), Window(start=at(1), end=at(2))
        freeze = Freeze(name="sale", times=[later, sooner][::turn])
        assert freeze.met_by(at(0), at(30)) == sooner
        both = Freeze(name="w", times=[Weekly(start="Tue 00:00", end="Tue 01:00"), sooner][::turn])
        assert both.met_by(at(0), at(30)) == sooner
        under = frozen(freeze)
        let = overridden(0, since=20, until=24, policy=under)
        asked = testing.given(*APPROVED, let).when(
            change.schedule, by="ann", at=at(0.2), window=window(0.5, 24), policy=under
        )
        assert f"until {at(2)}" in asked.then_refused(guard="freeze").why

    @given(st.data())
    def test_are_what_a_look_at_each_of_them_finds(self, data):
        hour = st.integers(0, 60)
        pairs = st.lists(st.tuples(hour, st.integers(1, 30)), min_size=1, max_size=8)
        times = [Window(start=at(h), end=at(h + length)) for h, length in data.draw(pairs)]
        freeze = Freeze(name="x", times=times)
        begin, length = data.draw(hour), data.draw(st.integers(1, 30))
        start, end = at(begin), at(begin + length)
        met = [each for each in times if each.start < end and start < each.end]
        hours = {h for h in range(100) for each in met if each.start <= at(h) < each.end}
        found = freeze.windows(start, end)
        assert hours == {h for h in range(100) for each in found if each.start <= at(h) < each.end}
        assert all(a.end < b.start for a, b in itertools.pairwise(found))
        first = min((max(start, each.start) for each in met), default=None)
        told = freeze.met_by(start, end)
        assert (told is None) is (first is None)
        if told is not None:
            assert told.start <= first < told.end
            assert told == freeze.window_at(first)

    def test_of_a_long_calendar_are_not_gone_through_one_by_one(self):
        """A calendar gives thousands, and is asked for each change."""
        noon = datetime(2026, 1, 10, 12, tzinfo=UTC)
        hour = timedelta(hours=1)

        def asked(freeze):
            assert freeze.window_at(noon) is None
            assert freeze.met_by(noon, noon + timedelta(days=1)).start.day == 11
            assert freeze.next_window(noon).start.day == 11
            assert freeze.holds_throughout(noon + 12 * hour, noon + 13 * hour)

        counts = []
        for count in (20, 5_000):
            days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(count)]
            times = [Window(start=day, end=day + hour) for day in days]
            lines, _ = work(partial(asked, Freeze(name="nights", times=times)))
            counts.append(lines)
        few, many = counts
        assert few <= many < few + 100

    def test_are_asked_for_with_a_zone(self):
        with pytest.raises(NaiveTimeError):
            weekend().window_at(datetime(2026, 3, 2))  # noqa: DTZ001
        with pytest.raises(NaiveTimeError):
            weekend().next_window(datetime(2026, 3, 2))  # noqa: DTZ001

    @pytest.mark.parametrize("times", [(), [], ["Fri 16:00"], 7, None])
    def test_have_to_be_given(self, times):
        with pytest.raises(InvalidValue, match="times"):
            Freeze(name="x", times=times)

    def test_are_about_what_they_name(self):
        freeze = weekend(services=["pay"], environments=["live"], labels={"pci": "yes"})
        content = Content(services=("web", "pay"), labels={"pci": "yes"})
        assert freeze.is_about(content)
        assert not freeze.is_about(content._replace(services=("web",)))
        assert not freeze.is_about(content._replace(environment="staging"))
        assert not freeze.is_about(content._replace(labels={}))
        assert hash(freeze) == hash(weekend())
        assert hash(MaintenanceWindow(name="x", times=window(1, 2)))


def frozen(*freezes, **more):
    return Policy(name="frozen", version="1", freezes=freezes, **more)


def ref(said, policy):
    return PolicyRef(name=policy.name, version=policy.version, said=said)


APPROVED = (planned(services=("pay",)), submitted(), approved())
SALE = frozen(once(3, 9))


def overridden(hours=3, by="cid", freeze="sale", since=3, until=9, policy=SALE, why="it is agreed"):
    said = ref(f"overridden until {at(until)}", policy)
    return FreezeOverridden(
        at=at(hours),
        by=by,
        freeze=freeze,
        since=at(since),
        until=at(until),
        why=why,
        policy=said,
    )


class TestStart:
    def ask(self, *events, hours=4, policy=SALE, by="ann"):
        moment = hours if isinstance(hours, Between) else at(hours)
        return testing.given(*events).when(change.start, by=by, at=moment, policy=policy)

    @pytest.mark.parametrize(
        "hours",
        [
            3, 8.99, Between(earliest=at(2.1), latest=at(4)),
            Between(earliest=at(2.1), latest=at(10)), Between(earliest=at(8), latest=at(10)),
        ],
    )  # fmt: skip
    def test_in_a_freeze_is_refused_until_it_ends(self, hours):
        refused = self.ask(*APPROVED, hours=hours).then_refused(guard="freeze")
        assert f"the freeze 'sale', which ends at {at(9)}" in refused.why

    @pytest.mark.parametrize("hours", [2.9, 9])
    def test_outside_it_is_not(self, hours):
        self.ask(*APPROVED, hours=hours).then(started(hours, policy=ref("may start", SALE)))

    def test_of_what_it_is_not_about_is_not(self):
        policy = frozen(once(3, 9, services=["search"]))
        self.ask(*APPROVED, policy=policy).then(started(4, policy=ref("may start", policy)))

    def test_of_an_emergency_is_let_through_and_told(self):
        [event] = self.ask(emergency(), submitted()).events
        assert event.policy.said == (
            "an emergency may start unapproved; in the freeze 'sale', as an emergency"
        )

    def test_overridden_is_let_through_and_told(self):
        [event] = self.ask(*APPROVED, overridden()).events
        assert event.policy.said == "may start; in the freeze 'sale', overridden"

    def test_in_an_earlier_stretch_is_not_overridden(self):
        """Neither in one that a later policy has, nor where its giver may not any more."""
        times = [Window(start=at(3), end=at(5)), Window(start=at(6), end=at(9))]
        policy = frozen(Freeze(name="sale", times=times))
        later = overridden(since=6, policy=policy)
        self.ask(*APPROVED, later, hours=4, policy=policy).then_refused(guard="freeze")
        both = Between(earliest=at(4), latest=at(7))
        self.ask(*APPROVED, later, hours=both, policy=policy).then_refused(guard="freeze")
        earlier = overridden(since=3, until=5, policy=policy)
        assert self.ask(*APPROVED, later, earlier, hours=both, policy=policy).events
        assert self.ask(*APPROVED, later, hours=7, policy=policy).events
        wider = frozen(once(2.5, 9))
        self.ask(*APPROVED, later, hours=5.5, policy=wider).then_refused(guard="freeze")
        others = frozen(Freeze(name="sale", times=times, override_by=["zoe"]))
        self.ask(*APPROVED, later, hours=7, policy=others).then_refused(guard="freeze")

    def test_in_a_later_stretch_is_not_overridden(self):
        times = [Window(start=at(3), end=at(5)), Window(start=at(6), end=at(9))]
        policy = frozen(Freeze(name="sale", times=times))
        before = overridden(until=5, policy=policy)
        self.ask(*APPROVED, before, hours=6, policy=policy).then_refused(guard="freeze")

    def test_in_no_maintenance_window_is_refused(self):
        windows = [MaintenanceWindow(name="night", times=window(3, 5), services=["pay"])]
        policy = Policy(maintenance=windows)
        self.ask(*APPROVED, policy=policy).then(started(4))
        nights = Between(earliest=at(3.5), latest=at(27.5))
        twice = [window(3, 5), window(27, 29)]
        two = Policy(maintenance=[MaintenanceWindow(name="night", times=twice)])
        self.ask(*APPROVED, hours=nights, policy=two).then_refused(guard="maintenance window")
        refused = self.ask(*APPROVED, hours=2.5, policy=policy).then_refused(
            guard="maintenance window"
        )
        assert f"('night'); the next begins at {at(3)}" in refused.why
        late = self.ask(*APPROVED, hours=5, policy=policy).then_refused(guard="maintenance window")
        assert late.why.endswith("('night')")
        other = (planned(services=("web",)), submitted(), approved())
        self.ask(*other, hours=5, policy=policy).then(started(5))
        assert self.ask(emergency(), submitted(), hours=5, policy=policy).events

    def test_is_asked_beforehand(self):
        def answer(**given_):
            state = change.fold(APPROVED)
            [one] = [
                a for a in change.next_steps(state, policy=SALE, **given_) if a.step == "start"
            ]
            return one.possible, one.guard

        assert answer(by="ann") == (None, "freeze")
        assert answer(by="ann", at=at(4)) == (False, "freeze")
        assert answer(by="ann", at=at(9)) == (True, "")


class TestWhoStarts:
    POLICY = Policy(name="apart", approvers_may_start=False)

    def test_is_somebody_else_than_who_approved_where_the_policy_says_so(self):
        asked = testing.given(*APPROVED)
        refused = asked.when(change.start, by="BEA", at=at(4), policy=self.POLICY).then_refused(
            guard="separation of duties"
        )
        assert "'BEA' voted for it; under policy apart somebody else starts it" in refused.why
        assert asked.when(change.start, by="ann", at=at(4), policy=self.POLICY).events
        assert asked.when(change.start, by="bea", at=at(4)).events

    def test_is_asked_beforehand(self):
        def answer(**given_):
            answers = change.next_steps(change.fold(APPROVED), **given_)
            [one] = [each for each in answers if each.step == "start"]
            return one.possible, one.guard

        assert answer(policy=self.POLICY) == (None, "separation of duties")
        assert answer(policy=self.POLICY, by="bea") == (False, "separation of duties")
        assert answer()[1] == "not before the first moment"


class TestObserved:
    def test_in_a_freeze_is_marked(self):
        found = testing.given(*APPROVED).when(change.observe, by="bot", at=at(4), policy=SALE)
        [event] = found.events
        assert isinstance(event, ChangeObserved)
        assert event.unauthorised == "freeze"


class TestScheduled:
    def ask(self, *events, start=4, end=5, policy=SALE):
        return testing.given(*events).when(
            change.schedule, by="ann", at=at(2.5), window=window(start, end), policy=policy
        )

    @pytest.mark.parametrize(("start", "end"), [(4, 5), (2.6, 3.1), (8, 10), (1, 20)])
    def test_in_a_freeze_is_refused(self, start, end):
        refused = self.ask(*APPROVED, start=start, end=end).then_refused(guard="freeze")
        assert f"until {at(9)}; take a window outside it" in refused.why

    @pytest.mark.parametrize(("start", "end"), [(2.6, 3), (9, 10)])
    def test_beside_it_is_not(self, start, end):
        [event] = self.ask(*APPROVED, start=start, end=end).events
        assert isinstance(event, ChangeScheduled)

    def test_of_an_emergency_or_overridden_is_not(self):
        assert self.ask(emergency(), submitted()).events
        assert self.ask(*APPROVED, overridden(2.2)).events

    def test_lies_in_a_maintenance_window_as_a_whole(self):
        policy = Policy(maintenance=[MaintenanceWindow(name="night", times=window(3, 6))])
        assert self.ask(*APPROVED, policy=policy).events
        refused = self.ask(*APPROVED, start=5, end=7, policy=policy).then_refused(guard="freeze")
        assert "no maintenance window ('night') as a whole" in refused.why


class TestOverride:
    def ask(self, *events, by="cid", hours=3, freeze="sale", policy=SALE, why="it is agreed"):
        return testing.given(*events).when(
            change.override_freeze, by=by, at=at(hours), freeze=freeze, why=why, policy=policy
        )

    def test_is_kept_with_its_reason(self):
        self.ask(*APPROVED).then(overridden())

    def test_ahead_of_it_is_for_the_next_stretch(self):
        self.ask(*APPROVED, hours=2.5).then(overridden(2.5))

    def test_a_second_time_changes_nothing(self):
        self.ask(*APPROVED, overridden()).then()

    def test_of_a_later_stretch_is_another_one(self):
        times = [Window(start=at(3), end=at(5)), Window(start=at(6), end=at(9))]
        policy = frozen(Freeze(name="sale", times=times))
        before = overridden(until=5, policy=policy)
        found = self.ask(*APPROVED, before, hours=6, policy=policy)
        found.then(overridden(6, since=6, policy=policy))

    @pytest.mark.parametrize(
        ("asked", "why"),
        [
            ({"freeze": "xmas"}, "no freeze 'xmas' is about it; under frozen there are: 'sale'"),
            ({"hours": 9}, "holds neither at"),
            ({"policy": frozen(once(3, 9, services=["web"]))}, "there are: none"),
            (
                {"policy": frozen(once(3, 9, override_by=["mia"]))},
                "'cid' may not override the freeze 'sale'; who may: mia",
            ),
        ],
    )
    def test_is_refused_where_it_is_none(self, asked, why):
        assert why in self.ask(*APPROVED, **asked).then_refused(guard="freeze").why

    def test_by_whom_the_freeze_names_is_let_through(self):
        policy = frozen(once(3, 9, override_by=["CID"]))
        assert self.ask(*APPROVED, policy=policy).events

    def test_by_whoever_planned_it_is_refused(self):
        self.ask(*APPROVED, by="ann").then_refused(guard="separation of duties")

    @pytest.mark.parametrize("why", ["", "  "])
    def test_needs_a_reason(self, why):
        self.ask(*APPROVED, why=why).then_invalid("why")

    def test_is_voided_by_nobody_who_may_not_override(self):
        found = testing.given(*APPROVED, overridden()).when(
            change.void, by="ann", at=at(5), version=4, why="no"
        )
        found.then_refused(guard="separation of duties")

    def test_that_a_start_rests_on_is_not_voided(self):
        events = (*APPROVED, overridden(), started(4))
        found = testing.given(*events).when(
            change.void, by="dan", at=at(5), version=4, why="withdrawn"
        )
        assert "it started on version 4" in found.then_refused(guard="approval stands").why

    def test_ends_with_the_content_it_was_given_for(self):
        state = change.fold((*APPROVED, overridden()))
        for more in ({"services": ["web"]}, {"environment": "test"}):
            after = state
            for event in change.revise(state, by="ann", at=at(3.2), why="other", **more):
                after = change.evolve(after, event)
            assert not after.overridden

    def test_from_elsewhere_lets_nothing_through(self):
        told = attrs.evolve(overridden(), policy=None, imported=True)
        state = change.fold((*APPROVED, told))
        assert not state.overridden
        asked = testing.given(*APPROVED, told)
        asked.when(change.start, by="ann", at=at(4), policy=SALE).then_refused(guard="freeze")

    def test_that_is_voided_is_none(self):
        state = change.fold((*APPROVED, overridden()))
        [voided] = change.void(state, by="dan", at=at(3.5), version=4, why="withdrawn")
        assert not change.evolve(state, voided).overridden

    def test_is_asked_beforehand(self):
        state = change.fold(APPROVED)
        [one] = [a for a in change.next_steps(state, policy=SALE) if a.step == "override_freeze"]
        assert (one.possible, one.why) == (None, "depends on freeze, at, by")
        ask = Ask(freeze="sale", policy=SALE)
        guards = change.STEPS["override_freeze"].guards
        assert [None] * len(guards) == [guard.why_not(state, ask) for guard in guards]
        ask = Ask(freeze="sale", policy=SALE, at=at(4))
        assert [None] * len(guards) == [guard.why_not(state, ask) for guard in guards]


class TestVotes:
    POLICY = Policy(
        name="strict",
        version="1",
        rules=[ApprovalRule(votes=2, of={"cab": 1}, risks=["high"])],
        members={"cab": ["mia"]},
    )
    HIGH = (planned(risk=Risk.HIGH), submitted())

    def vote(self, *events, by, authority="peer", policy=POLICY, **more):
        return testing.given(*events).when(
            change.approve, by=by, at=at(2), authority=authority, policy=policy, **more
        )

    def test_of_peers_alone_are_not_enough(self):
        [first] = self.vote(*self.HIGH, by="bea").events
        [second] = self.vote(*self.HIGH, first, by="dan").events
        assert (second.votes, second.quorum, second.status) == (2, 2, None)
        assert second.policy.said == "2 of 2 votes; missing: 1 as cab"
        [third] = self.vote(*self.HIGH, first, second, by="mia", authority="cab").events
        assert (third.status, third.policy.said) == ("approved", "3 of 2 votes")

    def test_as_what_somebody_is_not_are_refused(self):
        refused = self.vote(*self.HIGH, by="bea", authority="cab").then_refused(guard="authority")
        assert "under policy strict 1 'bea' may not vote as cab" in refused.why

    def test_of_low_risk_take_one(self):
        assert self.vote(planned(), submitted(), by="bea").events[0].status == "approved"

    def test_that_the_approval_may_rest_on_are_not_voided(self):
        first = self.vote(*self.HIGH, by="mia", authority="cab").events
        state = change.fold((*self.HIGH, *first))
        for by in ("bea", "dan"):
            state = (
                change.evolve(
                    state, *change.approve(state, by=by, at=at(2), policy=self.POLICY)[:1]
                )
                if state.status == "submitted"
                else state
            )
        found = testing.given(*state.past).when(
            change.void, by="eve", at=at(3), version=3, why="absent"
        )
        found.then_refused(guard="approval stands")

    def test_under_another_policy_than_it_was_submitted_under_take_what_both_ask(self):
        before = Policy(name="before", version="7", approvals=3)
        [event] = self.vote(*self.HIGH, by="mia", authority="cab", also=before).events
        assert (event.quorum, event.status) == (3, None)
        assert event.policy.said == ("1 of 3 votes, as asked under before 7, too; missing: 2 more")

    def test_as_what_the_other_policy_does_not_let_somebody_vote_are_refused(self):
        lax = Policy(name="lax")
        found = self.vote(*self.HIGH, by="eve", authority="cab", policy=lax, also=self.POLICY)
        assert "under policy strict 1 'eve' may not" in found.then_refused(guard="authority").why

    def test_rulings_are_given_in_a_capacity_that_is_theirs(self):
        events = (emergency(), submitted(), started_unapproved())
        for step in (change.approve_retroactively, change.refuse_retroactively):
            told = {"at": at(5), "policy": self.POLICY, "authority": "cab", "why": "seen"}
            found = testing.given(*events).when(step, by="eve", **told)
            found.then_refused(guard="authority")
            assert testing.given(*events).when(step, by="mia", **told).events

    def test_in_a_capacity_that_was_theirs_before_count_as_a_peers(self):
        """Who is counted is asked of the policy that counts."""
        open_ = Policy(name="open", approvals=2)
        [first] = self.vote(*self.HIGH, by="eve", authority="cab", policy=open_).events
        [second] = self.vote(*self.HIGH, first, by="dan").events
        assert (second.status, second.policy.said) == (None, "2 of 2 votes; missing: 1 as cab")
        [third] = self.vote(*self.HIGH, first, second, by="mia", authority="cab").events
        assert third.status == "approved"
        [lacks] = self.vote(*self.HIGH, first, by="dan", policy=open_, also=self.POLICY).events
        assert lacks.status is None

    def test_are_told_of_the_state(self):
        first = self.vote(*self.HIGH, by="Mia", authority="cab").events
        state = change.fold((*self.HIGH, *first))
        assert state.votes == {"mia": change.VoteHeld(Authority.CAB, first[0].at, version=3)}
        assert state.voters == {"mia"}
        assert isinstance(first[0], VoteGiven)
        assert change.content_of(state).risk is Risk.HIGH
        assert change.content_of(state).type is ChangeType.NORMAL


def failed(hours):
    return ChangeFailed(at=at(hours), by="ann", reached_production=True)


class TestWhatASourceSaysWentIn:
    """Of a change that waits for its approval here, it stands out until somebody rules on it."""

    WAITS = (planned(), submitted())

    def brought(self, *events, to=WAITS):
        marked = [attrs.evolve(event, imported=True) for event in events]
        state = change.fold(to)
        for _, event in change.bring_in(state, events=marked):
            state = change.evolve(state, event)
        return state

    @pytest.mark.parametrize(
        "event", [started(4), completed(5), failed(5), ChangeDeployed(at=at(5), by="q")]
    )
    def test_is_outstanding(self, event):
        assert self.brought(event).outstanding
        assert self.brought(event, to=(planned(),)).outstanding

    def test_is_ruled_on_here_alone(self):
        ruling = ChangeApprovedRetroactively(at=at(6), by="ann", authority="peer")
        assert self.brought(started(4), ruling).outstanding
        emergency_ = (emergency(), submitted(), started_unapproved())
        assert self.brought(ruling, to=emergency_).outstanding

    @pytest.mark.parametrize("event", [started(4), completed(5)])
    def test_is_not_where_it_was_approved_here(self, event):
        assert not self.brought(event, to=APPROVED).outstanding

    def test_is_not_where_all_of_it_is_from_there(self):
        assert not self.brought(planned(), started(4), completed(5), to=()).outstanding


def test_a_start_that_may_be_at_the_end_of_all_times_is_judged():
    last = Between(earliest=at(3), latest=datetime.max.replace(tzinfo=UTC))
    found = testing.given(*APPROVED).when(change.start, by="ann", at=last, policy=SALE)
    found.then_refused(guard="freeze")
    assert testing.given(*APPROVED).when(change.start, by="ann", at=last).events
