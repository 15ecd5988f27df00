"""
Which scheduled changes are in each other's way, and when there is room for another one.
"""

import copy
import itertools
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.examples import approved, at, planned, submitted, window
from hostile import HOSTILE
from imcm.domain import change
from imcm.domain.policy import Content, Policy
from imcm.domain.policy.conflicts import (
    LARGEST,
    Conflict,
    Dependencies,
    Planned,
    conflicts,
    conflicts_of,
    next_free,
)
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, Weekly
from imcm.domain.vocabulary import ChangeType, Window
from imcm.errors import ImcmError, InvalidValue, NaiveTimeError, StepRefused

LONDON = ZoneInfo("Europe/London")
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)

SHOP = Dependencies(
    name="shop",
    version="3",
    depends_on={
        "web": ["checkout", "search"],
        "checkout": ["payments"],
        "payments": ["database"],
        "search": ["index"],
    },
)


def occupied(id_, start, end, *services, environment=None):
    return Planned(
        id=id_, window=window(start, end), services=services or ["pay"], environment=environment
    )


def pairs(*changes, dependencies=None):
    return [(each.first, each.second) for each in conflicts(changes, dependencies)]


# --- oracles --------------------------------------------------------------------------------------


def distances(depends_on):
    """Return how many steps each service is from each that it depends on, by relaxing all."""
    names = {name for name, others in depends_on.items() for name in (name, *others)}
    far = {(name, name): 0 for name in names}
    for _ in names:
        for (start, name), steps in list(far.items()):
            for other in depends_on.get(name, ()):
                far[start, other] = min(steps + 1, far.get((start, other), steps + 1))
    return far


def are_related(one, other, far, depth):
    if one == other:
        return True
    steps = [far[pair] for pair in ((one, other), (other, one)) if pair in far]
    return any(depth is None or step <= depth for step in steps)


PRODUCTION = {None, "prod", "Production", "LIVE"}


def in_the_way(one, other, dependencies):
    """Say whether two changes conflict, going through the quarters of an hour and all services."""
    places = [None if each.environment in PRODUCTION else each.environment for each in (one, other)]
    if places[0] != places[1] and None in places:
        return False
    if places[0] != places[1] and places[0].casefold() != places[1].casefold():
        return False
    first = one.window.start
    quarters = (first + QUARTER * n for n in range((one.window.end - first) // QUARTER))
    if not any(other.window.start <= each < other.window.end for each in quarters):
        return False
    far = distances(dependencies.depends_on) if dependencies else {}
    depth = dependencies.depth if dependencies else None
    return any(
        are_related(mine.casefold(), theirs.casefold(), far, depth)
        for mine in one.services
        for theirs in other.services
    )


SERVICES = [f"s{number}" for number in range(7)]
services = st.lists(st.sampled_from([*SERVICES, "S1", "else"]), max_size=4)
maps = st.builds(
    Dependencies,
    depends_on=st.fixed_dictionaries(
        {name: st.lists(st.sampled_from(SERVICES), max_size=2) for name in SERVICES[:-1]}
    ),
    depth=st.sampled_from([None, None, 1, 2, 3]),
)
zones = st.sampled_from(
    [
        UTC,
        LONDON,
        ZoneInfo("America/Sao_Paulo"),
        ZoneInfo("Australia/Lord_Howe"),
        ZoneInfo("Asia/Kathmandu"),
        timezone(timedelta(hours=-9, minutes=-30)),
    ]
)
FALL_BACK = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)  # two hours before clocks go back in London


@st.composite
def windows(draw, begin=FALL_BACK, quarters=24, longest=10):
    """A window in two zones, in the hours around a change of clocks."""
    start = begin + draw(st.integers(0, quarters)) * QUARTER
    end = start + draw(st.integers(1, longest)) * QUARTER
    # At a fixed offset, as `schedule` keeps it: of two times of one zone Python compares clocks.
    return Window(start=fixed(start, draw(zones)), end=fixed(end, draw(zones)))


def fixed(moment, zone):
    local = moment.astimezone(zone)
    return local.replace(tzinfo=timezone(local.utcoffset()))


def many(**more):
    environments = st.sampled_from([None, "prod", "Production", "LIVE", "test", "Test"])
    return st.lists(st.tuples(windows(**more), services, environments), max_size=9).map(
        lambda given_: [
            Planned(id=f"C{number}", window=each, services=names, environment=where)
            for number, (each, names, where) in enumerate(given_)
        ]
    )


# --- dependencies ---------------------------------------------------------------------------------


class TestDependencies:
    def test_relate_what_is_above_and_below_and_not_what_is_beside(self):
        assert ("checkout", "database", "payments", "web") == SHOP.related(["payments"])
        assert ("index", "search", "web") == SHOP.related(["index"])
        assert ("queue",) == SHOP.related(["queue"])
        assert () == SHOP.related([])

    @pytest.mark.parametrize(
        ("depth", "related"),
        [
            (1, ("checkout", "database", "payments")),
            (2, ("checkout", "database", "payments", "web")),
            (20, ("checkout", "database", "payments", "web")),
        ],
    )
    def test_relate_over_so_many_steps(self, depth, related):
        assert related == attrs.evolve(SHOP, depth=depth).related(["payments"])

    def test_may_go_round_and_come_from_themselves(self):
        loop = Dependencies(depends_on={"a": ["b", "a", "A"], "b": ["c"], "c": ["a"], "d": ["d"]})
        assert {"a": ("b",), "b": ("c",), "c": ("a",), "d": ()} == loop.depends_on
        assert ("a", "b", "c") == loop.related(["b"])
        assert ("d",) == loop.related(["d"])
        assert {"a": 0b11, "c": 0b11, "d": 0b100} == loop.among(["a", "c", "d", "e"])

    def test_are_compared_whatever_their_case(self):
        told = Dependencies(depends_on={"Web": ["PAY"], "web": ["cache", "Pay"]})
        assert {"Web": ("cache", "PAY")} == told.depends_on
        assert ("cache", "PAY", "WEB") == told.related(["WEB"])
        assert ("pay", "Web") == told.related(["pay"])

    def test_are_the_same_in_any_order(self):
        one = Dependencies(depends_on={"b": ["d", "c"], "a": []})
        assert one == Dependencies(depends_on={"a": [], "b": ["c", "d", "c"]})
        assert {one: 1}[copy.copy(one)] == 1
        assert one != Dependencies(depends_on={"a": ["b"]})

    def test_are_read_back_as_they_were_written(self):
        for each in (SHOP, attrs.evolve(SHOP, depth=2), Dependencies()):
            plain = json.loads(json.dumps(each.as_dict()))
            assert each == Dependencies.from_dict(plain)
            assert each == pickle.loads(pickle.dumps(each))
            assert each.related(["web"]) == pickle.loads(pickle.dumps(each)).related(["web"])

    def test_say_what_they_are(self):
        assert "dependencies shop 3: 6 services, 5 dependencies" == str(SHOP)
        assert str(attrs.evolve(SHOP, depth=2)).endswith(
            "5 dependencies, related over at most 2 of them"
        )

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("depends_on", {"depends_on": ["web"]}),
            ("depends_on", {"depends_on": {"web": "payments"}}),
            ("depends_on", {"depends_on": {"web": {"payments": 1}}}),
            ("depends_on", {"depends_on": {"web": 5}}),
            ("depends_on", {"depends_on": {"web": [5]}}),
            ("depends_on", {"depends_on": {5: ["web"]}}),
            ("depends_on", {"depends_on": {" web": []}}),
            ("depends_on", {"depends_on": {"a": [f"s{n}" for n in range(LARGEST)]}}),
            ("depth", {"depth": 0}),
            ("depth", {"depth": 21}),
            ("depth", {"depth": True}),
            ("depth", {"depth": "1"}),
            ("name", {"name": ""}),
            ("version", {"version": 3}),
        ],
    )
    def test_refuse_what_can_not_be_right(self, name, told):
        with pytest.raises(InvalidValue) as refused:
            Dependencies(**told)
        assert name == refused.value.name
        with pytest.raises(InvalidValue, match=rf"^dependencies\.{name}"):
            Dependencies.from_dict(told)

    @pytest.mark.parametrize("plain", [5, [], {"services": {}}, {"_graph": 1}, {"graph": 1}])
    def test_refuse_other_tables(self, plain):
        with pytest.raises(InvalidValue, match="dependencies"):
            Dependencies.from_dict(plain)

    @given(maps, services)
    def test_relate_what_a_table_of_all_distances_does(self, dependencies, given_):
        far = distances(dependencies.depends_on)
        names = {name for pair in far for name in pair} | {each.casefold() for each in given_}
        expected = {
            other
            for other in names
            for name in given_
            if are_related(name.casefold(), other, far, dependencies.depth)
        }
        assert expected == {name.casefold() for name in dependencies.related(given_)}

    @given(maps, services)
    def test_relate_many_at_once_as_one_by_one(self, dependencies, given_):
        masks = dependencies.among(given_)
        named = list(masks)
        for name, mask in masks.items():
            related = {each.casefold() for each in dependencies.related([name])}
            assert {named.index(each) for each in related & {*named}} == {
                number for number in range(len(named)) if mask >> number & 1
            }

    @given(maps, services, services)
    def test_have_a_path_of_the_fewest_steps(self, dependencies, mine, theirs):
        far = distances(dependencies.depends_on)
        path = [name.casefold() for name in dependencies.path(mine, theirs)]
        ends = [{name.casefold() for name in each} for each in (mine, theirs)]
        steps = {0} if ends[0] & ends[1] else set()
        both = [*itertools.product(*ends), *itertools.product(*reversed(ends))]
        steps |= {far[pair] for pair in both if pair in far}
        steps = {each for each in steps if dependencies.depth is None or each <= dependencies.depth}
        assert min(steps, default=-1) == len(path) - 1
        for name, other in itertools.pairwise(path):
            assert 1 == far[name, other]
        if path:
            assert (path[0], path[-1]) in both

    def test_have_a_path_that_begins_among_the_first_of_two_as_short(self):
        told = Dependencies(depends_on={"a": ["b"], "b": ["a"], "c": ["b"], "d": ["e"], "e": ["c"]})
        assert ("a", "b") == told.path(["a"], ["b"])
        assert ("b", "a") == told.path(["b"], ["a"])
        assert ("d", "e", "c") == told.path(["c"], ["d"])
        assert ("b", "a") == told.path(["b", "d"], ["a"])
        assert ("X",) == told.path(["X"], ["x"])
        assert () == told.path(["a"], ["x"])


# --- what is scheduled ----------------------------------------------------------------------------


class TestPlanned:
    def test_says_what_it_is(self):
        change_ = occupied("CHG-1", 0, 2, "web", "pay desk", "WEB", environment="test")
        assert (
            'CHG-1: web, "pay desk" in test, 2026-03-02 09:00:00+00:00 to 2026-03-02 11:00:00+00:00'
            == str(change_)
        )
        assert "CHG-1: no service in production" in str(attrs.evolve(
            change_, services=[], environment=None
        ))  # fmt: skip
        assert {
            "id": "CHG-1",
            "start": "2026-03-02T09:00:00+00:00",
            "end": "2026-03-02T11:00:00+00:00",
            "services": ["web", "pay desk"],
            "environment": "test",
        } == change_.as_dict()

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("id", {"id": ""}),
            ("id", {"id": 5}),
            ("window", {"window": None}),
            ("window", {"window": (at(0), at(1))}),
            ("services", {"services": "web"}),
            ("services", {"services": None}),
            ("services", {"services": {"web": 1}}),
            ("services", {"services": [None]}),
            ("environment", {"environment": 5}),
        ],
    )
    def test_refuses_what_can_not_be_right(self, name, told):
        with pytest.raises(InvalidValue) as refused:
            Planned(**{"id": "CHG-1", "window": window(0, 1), **told})
        assert name == refused.value.name

    def test_refuses_naive_times_and_what_ends_before_it_begins(self):
        with pytest.raises(NaiveTimeError):
            Planned(
                id="CHG-1",
                window=Window(start=datetime(2026, 3, 2), end=datetime(2026, 3, 3)),  # noqa: DTZ001
            )
        for hours in (0, -1):
            with pytest.raises(InvalidValue, match="end"):
                occupied("CHG-1", 0, hours)

    def test_whose_window_a_repeated_hour_turns_round_is_refused(self):
        """Of two times of one zone Python compares what clocks show."""
        turned = Window(
            start=datetime(2026, 10, 25, 1, 30, fold=1, tzinfo=LONDON),
            end=datetime(2026, 10, 25, 1, 45, fold=0, tzinfo=LONDON),
        )
        with pytest.raises(InvalidValue, match="end"):
            Planned(id="CHG-1", window=turned)


# --- conflicts ------------------------------------------------------------------------------------


class TestConflicts:
    @pytest.mark.parametrize(
        ("one", "other", "do"),
        [
            ((0, 2), (1, 3), True),
            ((0, 4), (1, 3), True),
            ((0, 2), (0, 2), True),
            ((0, 2), (2, 3), False),  # back to back
            ((2, 3), (0, 2), False),
            ((0, 1), (2, 3), False),
            ((0, 1.0001), (1, 2), True),
        ],
    )
    def test_are_of_windows_that_share_an_instant(self, one, other, do):
        assert do is bool(pairs(occupied("A", *one), occupied("B", *other)))

    @pytest.mark.parametrize(
        ("one", "other", "do"),
        [
            (None, None, True),
            (None, "production", True),
            ("PROD", "live", True),
            (None, "test", False),
            ("Test", "test", True),
            ("test", "stage", False),
        ],
    )
    def test_are_of_the_same_environment(self, one, other, do):
        changes = [occupied("A", 0, 2, environment=one), occupied("B", 1, 3, environment=other)]
        assert do is bool(pairs(*changes))
        assert do is bool(conflicts_of(changes[0], changes[1:]))

    @pytest.mark.parametrize(
        ("one", "other", "do"),
        [
            (["pay"], ["PAY", "web"], True),
            (["pay"], ["web"], False),
            (["web"], ["database"], True),
            (["database"], ["Web"], True),
            (["web"], ["queue"], False),
            (["search"], ["checkout"], False),  # web depends on both; they are beside each other
            ([], [], False),
            ([], ["web"], False),
        ],
    )
    def test_are_of_services_that_are_related(self, one, other, do):
        changes = [
            attrs.evolve(occupied("A", 0, 2), services=one),
            attrs.evolve(occupied("B", 1, 3), services=other),
        ]
        assert do is bool(pairs(*changes, dependencies=SHOP))

    def test_with_a_hub_are_of_each_with_it_alone(self):
        names = [f"s{number}" for number in range(50)]
        hub = Dependencies(depends_on={name: ["database"] for name in names})
        changes = [occupied(name, 0, 4, name) for name in names]
        assert [] == pairs(*changes, dependencies=hub)
        met = pairs(*changes, occupied("X", 1, 2, "database"), dependencies=hub)
        assert [(name, "X") for name in sorted(names)] == met

    def test_are_still_there_when_another_change_of_the_service_has_ended(self):
        changes = [
            occupied("A", 0, 1, "database"),
            occupied("B", 0, 9, "database"),
            occupied("C", 2, 3, "web"),
            occupied("D", 4, 5, "database"),
        ]
        met = [("A", "B"), ("B", "C"), ("B", "D")]
        assert met == pairs(*changes, dependencies=SHOP)

    @pytest.mark.parametrize(("depth", "do"), [(2, False), (3, True), (4, True), (None, True)])
    def test_are_over_so_many_steps(self, depth, do):
        changes = [occupied("A", 0, 2, "web"), occupied("B", 1, 3, "database")]
        dependencies = attrs.evolve(SHOP, depth=depth)
        assert do is bool(pairs(*changes, dependencies=dependencies))
        assert do is bool(conflicts_of(changes[0], changes, dependencies))

    def test_say_what_they_are(self):
        changes = [
            occupied("CHG-1", 0, 2, "web", "Pay"),
            occupied("CHG-2", 1, 3, "pay", "database"),
            occupied("CHG 3", 1.5, 1.75, "database"),
        ]
        first, second, third = conflicts(changes, SHOP)
        assert str(first) == (
            "CHG-1 and CHG-2 overlap from 2026-03-02 10:00:00+00:00 to "
            "2026-03-02 11:00:00+00:00: both touch Pay"
        )
        assert str(second).startswith('CHG-1 and "CHG 3" overlap from 2026-03-02 10:30')
        assert str(second).endswith(": web depends on database over checkout, payments")
        assert (("Pay",), ()) == (first.services, first.path)
        assert ((), ("web", "checkout", "payments", "database")) == (second.services, second.path)
        assert ("CHG-2", "CHG 3") == (third.first, third.second)
        assert {
            "first": "CHG-1",
            "second": "CHG 3",
            "start": "2026-03-02T10:30:00+00:00",
            "end": "2026-03-02T10:45:00+00:00",
            "services": [],
            "path": ["web", "checkout", "payments", "database"],
        } == second.as_dict()
        again = pickle.loads(pickle.dumps(second))
        assert (again, again.path) == (second, second.path)
        assert (first,) == conflicts(changes, SHOP, most=1)

    def test_say_little_of_a_long_path(self):
        names = [f"s{number}" for number in range(12)]
        long = Dependencies(depends_on={name: [other] for name, other in itertools.pairwise(names)})
        [met] = conflicts([occupied("A", 0, 2, "s11"), occupied("B", 1, 3, "s0")], long)
        assert str(met).endswith(": s0 depends on s11 over s1, s2, s3, s4, s5, 5 more")
        [met] = conflicts([occupied("A", 0, 2, "s0"), occupied("B", 1, 3, "s1")], long)
        assert str(met).endswith(": s0 depends on s1")

    def test_of_which_nothing_more_is_known_say_that(self):
        assert str(Conflict(first="A", second="B", window=window(0, 1))).endswith(
            ": they are related"
        )

    def test_compare_instants_in_an_hour_that_comes_twice(self):
        changes = [
            Planned(
                id=f"C{fold}",
                window=Window(
                    start=datetime(2026, 10, 25, 1, 0, fold=fold, tzinfo=LONDON),
                    end=datetime(2026, 10, 25, 1, 45, fold=fold, tzinfo=LONDON),
                ),
                services=["pay"],
            )
            for fold in (0, 1)
        ]
        assert () == conflicts(changes)
        assert () == conflicts_of(*changes[:1], changes)

    @given(many(), st.none() | maps)
    def test_are_those_of_all_pairs(self, changes, dependencies):
        expected = {
            frozenset((one.id, other.id))
            for one, other in itertools.combinations(changes, 2)
            if in_the_way(one, other, dependencies)
        }
        met = conflicts(changes, dependencies)
        assert expected == {frozenset((each.first, each.second)) for each in met}
        assert len(expected) == len(met)  # each two once
        by_id = {each.id: each for each in changes}
        for each in met:
            one, other = by_id[each.first], by_id[each.second]
            assert one.window.contains(each.window)
            assert other.window.contains(each.window)
            assert other.window.start == each.window.start >= one.window.start
            assert each.window.end in (one.window.end, other.window.end)
            theirs = {name.casefold() for name in other.services}
            assert each.services == tuple(n for n in one.services if n.casefold() in theirs)
            assert bool(each.services) is not bool(each.path)
        assert sorted(met, key=lambda each: each.window.start) == list(met)

    @given(many(), st.none() | maps, st.randoms(use_true_random=False))
    def test_of_one_are_those_of_all_in_which_it_is(self, changes, dependencies, chance):
        met = conflicts(changes, dependencies)
        shuffled = chance.sample(changes, len(changes))
        assert met == conflicts(shuffled, dependencies)
        for mine in changes:
            expected = tuple(each for each in met if mine.id in (each.first, each.second))
            assert expected == conflicts_of(mine, shuffled, dependencies)
            others = [each for each in changes if each is not mine]
            assert expected == conflicts_of(mine, others, dependencies)
        for most in range(1, len(met) + 2):
            assert met[:most] == conflicts(changes, dependencies, most=most)

    def test_of_a_change_that_is_moved_are_those_at_its_new_time(self):
        changes = [occupied("A", 0, 2), occupied("B", 1, 3), occupied("C", 5, 6)]
        [met] = conflicts_of(occupied("A", 5, 7), changes)
        assert ("C", "A") == (met.first, met.second)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda: conflicts([occupied("A", 0, 1), occupied("A", 2, 3)]),
            lambda: conflicts([window(0, 1)]),
            lambda: conflicts("A"),
            lambda: conflicts([], {"a": ["b"]}),
            lambda: conflicts([], most=0),
            lambda: conflicts([], most=2**63),
            lambda: conflicts_of(window(0, 1), []),
            lambda: conflicts_of(occupied("A", 0, 1), [None]),
        ],
    )
    def test_are_not_of_what_can_not_be_right(self, ask):
        with pytest.raises(InvalidValue):
            ask()


# --- room for another one -------------------------------------------------------------------------

PAY = Content(services=("pay",))
NIGHTS = MaintenanceWindow(
    name="nights",
    times=[
        Weekly(start=f"{day} 02:00", end=f"{day} 05:00", time_zone="Europe/London")
        for day in ("Tue", "Thu")
    ],
)
WEEKEND = Freeze(
    name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00", time_zone="Europe/London")
)


def free(hours, *, after=0, until=24 * 14, content=PAY, **more):
    """Return the hours after START between which it fits."""
    met = next_free(hours * HOUR, content=content, after=at(after), until=at(until), **more)
    return met and ((met.start - at(0)) / HOUR, (met.end - at(0)) / HOUR)


class TestNextFree:
    def test_is_at_once_where_nothing_is_in_the_way(self):
        assert (0, 2) == free(2)
        assert (1.5, 3.5) == free(2, after=1.5)

    def test_is_behind_what_is_scheduled_back_to_back(self):
        changes = [occupied("A", 0, 3), occupied("B", 4, 6), occupied("C", 2, 5, "web")]
        assert (3, 4) == free(1, planned=changes)
        assert (6, 8) == free(2, planned=changes)
        assert (0, 2) == free(2, planned=changes, content=Content(services=("mail",)))
        assert (0, 2) == free(2, planned=changes, content=PAY._replace(environment="test"))
        assert (6, 8) == free(2, planned=changes, content=PAY._replace(environment="live"))
        related = Dependencies(depends_on={"web": ["pay"]})
        assert (6, 7) == free(1, planned=changes, dependencies=related)
        changes[2] = occupied("C", 2, 3.5, "web")
        assert (3.5, 4) == free(0.5, planned=changes, dependencies=related)

    def test_is_where_no_freeze_is_that_is_about_it(self):
        friday = 24 * 4 + 6  # 15:00
        assert (friday, friday + 1) == free(1, after=friday, freezes=[WEEKEND])
        assert (24 * 7 - 1, 24 * 7 + 1) == free(2, after=friday, freezes=[WEEKEND])
        for other in (
            {"services": ["mail"]},
            {"environments": ["test"]},
            {"labels": {"pci": "yes"}},
        ):
            freeze = attrs.evolve(WEEKEND, **other)
            assert (friday, friday + 2) == free(2, after=friday, freezes=[freeze])
        labelled = PAY._replace(labels={"pci": "yes", "team": "core"})
        freezes = [attrs.evolve(WEEKEND, labels={"pci": "yes"})]
        assert (167, 169) == free(2, after=friday, freezes=freezes, content=labelled)

    def test_lies_in_one_maintenance_window_as_a_whole(self):
        assert (17, 20) == free(3, maintenance=[NIGHTS])
        assert (65, 67) == free(2, after=18.5, maintenance=[NIGHTS])
        assert None is free(3.5, maintenance=[NIGHTS])
        two = [
            MaintenanceWindow(name="one", times=window(3, 6)),
            MaintenanceWindow(name="two", times=[window(6, 9), window(9, 10), window(20, 23)]),
        ]
        assert (6, 10) == free(4, maintenance=two)  # those of one that touch are one
        assert None is free(5, maintenance=two)
        assert (20, 23) == free(3, after=7.5, maintenance=two)
        assert (0, 5) == free(5, maintenance=[attrs.evolve(NIGHTS, services=["mail"])])
        inside = [
            MaintenanceWindow(name="long", times=window(3, 13)),
            MaintenanceWindow(name="short", times=window(4, 7)),
        ]
        assert (8, 11) == free(3, planned=[occupied("A", 0, 8)], maintenance=inside)

    def test_of_an_emergency_asks_for_what_is_scheduled_alone(self):
        content = PAY._replace(type=ChangeType.EMERGENCY)
        always = Freeze(name="always", times=Weekly(start="Mon 00:00", end="Mon 00:00"))
        more = {"freezes": [always], "maintenance": [NIGHTS], "planned": [occupied("A", 0, 3)]}
        assert (3, 4) == free(1, content=content, **more)
        assert None is free(1, **more)

    def test_may_be_in_a_freeze_that_is_overridden(self):
        sale = Freeze(name="sale", times=[window(0, 10), window(12, 20)])
        ask = {"freezes": [sale]}
        assert (20, 23) == free(3, **ask)
        assert (4, 7) == free(3, **ask, overridden={"sale": [window(4, 6), window(5, 8)]})
        assert (20, 23) == free(3, **ask, overridden={"sales": [window(4, 8)]})
        assert (8, 14) == free(6, **ask, overridden={"sale": [window(8, 14)]})
        assert (8, 24) == free(16, **ask, overridden={"sale": [window(8, 14), window(13, 99)]})
        assert (0, 2) == free(2, **ask, overridden={"sale": [window(-9, 3), window(15, 16)]})
        assert (1, 9) == free(8, **ask, overridden={"sale": [window(1, 9), window(2, 3)]})

    def test_begins_at_whole_steps(self):
        step = {"step": QUARTER}
        changes = [occupied("A", 0, 3.1), occupied("B", 4, 6)]
        assert (3.25, 3.75) == free(0.5, planned=changes, **step)
        assert (6, 7) == free(1, planned=changes, **step)
        assert (6.1, 7.1) == free(1, after=0.1, planned=changes, **step)
        assert None is free(1, planned=[occupied("A", 0, 3.1)], until=4.2, **step)
        assert (3.1, 4.1) == free(1, planned=[occupied("A", 0, 3.1)], until=4.2)
        odd = MaintenanceWindow(name="odd", times=[window(1.1, 2.1), window(5.1, 6.3)])
        assert (5.25, 6.25) == free(1, maintenance=[odd], **step)
        assert None is free(1, after=5, until=6.2, maintenance=[odd], **step)

    def test_ends_by_the_horizon(self):
        assert (22, 24) == free(2, after=22, until=24)
        assert None is free(2.1, after=22, until=24)
        assert None is free(1, after=22, until=24, planned=[occupied("A", 20, 23.5)])
        assert None is free(1, planned=[occupied("A", 0, 24 * 365 * 7900)])

    def test_is_none_where_a_freeze_never_ends_however_far_it_looks(self):
        never = [
            Freeze(
                name="a", times=Weekly(start="Mon 00:00", end="Thu 00:00", time_zone="Asia/Tokyo")
            ),
            Freeze(
                name="b", times=Weekly(start="Wed 12:00", end="Mon 00:00", time_zone="Asia/Tokyo")
            ),
        ]
        century = {"until": 24 * 36_525}
        assert None is free(1, freezes=never, **century)
        assert None is free(0.5, freezes=[NIGHTS_FROZEN], maintenance=[NIGHTS], **century)

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("duration", {"duration": timedelta()}),
            ("duration", {"duration": -HOUR}),
            ("duration", {"duration": timedelta.max}),
            ("duration", {"duration": 3600}),
            ("step", {"step": timedelta()}),
            ("step", {"step": 15}),
            ("after", {"after": datetime(2026, 3, 2)}),  # noqa: DTZ001
            ("until", {"until": datetime(2026, 3, 20)}),  # noqa: DTZ001
            ("until", {"until": at(0)}),
            ("until", {"until": at(24 * 36_525 + 1)}),
            ("until", {"until": datetime.max.replace(tzinfo=UTC)}),
            ("after", {"after": datetime.min.replace(tzinfo=UTC)}),
            ("content", {"content": ("pay",)}),
            ("services", {"content": Content(services="pay")}),
            ("content.type", {"content": Content(type="x")}),
            ("content.environment", {"content": Content(environment=5)}),
            ("labels", {"content": Content(labels=["pci"])}),
            ("planned", {"planned": [window(0, 1)]}),
            ("dependencies", {"dependencies": {}}),
            ("freezes", {"freezes": [NIGHTS]}),
            ("freezes", {"freezes": [WEEKEND, WEEKEND]}),
            ("maintenance", {"maintenance": WEEKEND}),
            ("overridden", {"overridden": [window(0, 1)]}),
            ("overridden", {"overridden": {"sale": [at(0)]}}),
            ("overridden", {"overridden": {5: [window(0, 1)]}}),
        ],
    )
    def test_refuses_what_can_not_be_right(self, name, told):
        right = {"duration": HOUR, "content": PAY, "after": at(0), "until": at(99)}
        asked = {**right, **told}
        with pytest.raises(InvalidValue) as refused:
            next_free(asked.pop("duration"), **asked)
        assert name == refused.value.name

    def test_takes_durations_and_times_of_data_frames(self):
        pandas = pytest.importorskip("pandas")
        met = next_free(
            pandas.Timedelta(timedelta(hours=2)),
            content=PAY,
            after=pandas.Timestamp(at(0)),
            until=pandas.Timestamp(at(9)),
            step=pandas.Timedelta(timedelta(minutes=15)),
        )
        assert window(0, 2) == met
        assert {datetime} == {type(met.start), type(met.end)}


NIGHTS_FROZEN = Freeze(name="nights", times=NIGHTS.times)

# --- against going through all quarters of an hour ------------------------------------------------

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CLOCKS = [  # shortly before clocks change somewhere, and when none does
    FALL_BACK,
    datetime(2026, 3, 28, 20, 0, tzinfo=UTC),
    datetime(2026, 4, 4, 6, 0, tzinfo=UTC),  # Lord Howe, by half an hour
    datetime(2018, 11, 3, 20, 0, tzinfo=UTC),  # Sao Paulo skips midnight
    datetime(2026, 7, 1, 0, 0, tzinfo=UTC),
]


@st.composite
def weeklies(draw, begin):
    """A stretch of the days around a time."""
    day = begin.weekday()
    clock = [f"{quarter // 4:02}:{quarter % 4 * 15:02}" for quarter in range(96)]
    start, end = (
        f"{DAYS[(day + draw(st.integers(-1, 3))) % 7]} {draw(st.sampled_from(clock))}" for _ in "ab"
    )
    zone = draw(
        st.sampled_from(["Europe/London", "America/Sao_Paulo", "Australia/Lord_Howe", "UTC"])
    )
    return Weekly(start=start, end=end, time_zone=zone)


def during(kind, begin):
    times = weeklies(begin) | windows(begin=begin, quarters=200, longest=60)
    return st.lists(
        st.tuples(st.lists(times, min_size=1, max_size=3), st.booleans()), max_size=3
    ).map(
        lambda given_: [
            kind(name=f"{kind.__name__}{number}", times=stretches, services=["mail"] * other)
            for number, (stretches, other) in enumerate(given_)
        ]
    )


def fits(start, length, asked):
    """Say whether a window is one, by the questions that `schedule` asks and by all pairs."""
    end = start + length
    mine = Planned(id="mine", window=Window(start=start, end=end), services=PAY.services)
    about = [each for each in asked["maintenance"] if each.is_about(PAY)]
    return (
        not any(
            each.met_by(start, end) is not None for each in asked["freezes"] if each.is_about(PAY)
        )
        and (not about or any(each.holds_throughout(start, end) for each in about))
        and not any(in_the_way(mine, each, asked["dependencies"]) for each in asked["planned"])
    )


@st.composite
def questions(draw):
    begin = draw(st.sampled_from(CLOCKS))
    names = st.lists(st.sampled_from(["pay", "PAY", "web", "mail"]), max_size=2)
    taken = draw(st.lists(st.tuples(windows(begin=begin, quarters=150, longest=40), names)))
    return {
        "after": begin + draw(st.integers(0, 40)) * QUARTER,
        "until": begin + draw(st.integers(41, 240)) * QUARTER,
        "planned": [
            Planned(id=f"C{number}", window=each, services=services_)
            for number, (each, services_) in enumerate(taken)
        ],
        "freezes": draw(during(Freeze, begin)),
        "maintenance": draw(during(MaintenanceWindow, begin)),
        "dependencies": draw(st.sampled_from([None, Dependencies(depends_on={"web": ["pay"]})])),
    }


class TestNextFreeIsTheFirst:
    @settings(deadline=None)
    @given(questions(), st.integers(1, 40), st.sampled_from([1, 1, 2, 3, 7]))
    def test_of_all_quarters_of_an_hour(self, asked, quarters, every):
        """All that is in the way begins and ends at one, so no time between them is the first."""
        length = quarters * QUARTER
        last = (asked["until"] - length - asked["after"]) // QUARTER
        starts = (asked["after"] + QUARTER * number for number in range(0, last + 1, every))
        first = next((start for start in starts if fits(start, length, asked)), None)
        step = {"step": every * QUARTER} if every > 1 else {}
        met = next_free(length, content=PAY, **asked, **step)
        assert first == (met and met.start)
        assert met is None or met == Window(start=first, end=first + length)

    @settings(deadline=None, max_examples=40)
    @given(questions(), st.integers(1, 20))
    @example(
        {
            "after": at(0),
            "until": at(50),
            "planned": [],
            "freezes": [WEEKEND],
            "maintenance": [NIGHTS],
            "dependencies": None,
        },
        4,
    )
    def test_that_schedule_allows(self, asked, quarters):
        """The step itself takes that window, and none that begins earlier."""
        length = quarters * QUARTER
        policy = Policy(freezes=asked["freezes"], maintenance=asked["maintenance"])
        more = {name: asked[name] for name in ("freezes", "maintenance", "after", "until")}
        met = next_free(length, content=PAY, **more)
        ready = change.fold([planned(services=("pay",)), submitted(), approved()])

        def allowed(start):
            mine = Window(start=start, end=start + length)
            try:
                return change.schedule(ready, by="ann", at=at(3), window=mine, policy=policy)
            except StepRefused as refused:
                return () if refused.guard == "freeze" else None

        if met is not None:
            assert allowed(met.start)
        until = met.start if met else asked["until"] - length
        for number in range((until - asked["after"]) // QUARTER):
            assert () == allowed(asked["after"] + number * QUARTER)

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 40), min_size=2, max_size=8), st.data())
    def test_that_an_override_allows(self, hours, data):
        """Hour by hour: frozen, and not overridden."""
        sale = [window(*sorted(pair)) for pair in itertools.pairwise(hours) if pair[0] != pair[1]]
        if not sale:
            return
        begins = data.draw(st.lists(st.integers(0, 40), max_size=4))
        holes = [window(begin, begin + data.draw(st.integers(1, 9))) for begin in begins]
        length = data.draw(st.integers(1, 6))

        def is_frozen(hour):
            mine = window(hour, hour + 1)
            return any(map(mine.overlaps, sale)) and not any(hole.contains(mine) for hole in holes)

        first = next(
            start for start in range(60) if not any(map(is_frozen, range(start, start + length)))
        )
        freeze = Freeze(name="sale", times=sale)
        met = free(length, freezes=[freeze], overridden={"sale": holes}, until=99)
        assert (first, first + length) == met


# --- what callers may give ------------------------------------------------------------------------

DOORS = {
    Dependencies: {"name": "a", "version": "1", "depends_on": {"a": ["b"]}, "depth": 1},
    Dependencies.from_dict: {"plain": {"name": "a"}},
    SHOP.related: {"services": ["web"]},
    SHOP.among: {"services": ["web"]},
    SHOP.path: {"services": ["web"], "others": ["web"]},
    Planned: {"id": "A", "window": window(0, 1), "services": ["a"], "environment": "b"},
    conflicts: {"planned": [occupied("A", 0, 1)], "dependencies": SHOP, "most": 1},
    conflicts_of: {
        "mine": occupied("A", 0, 1),
        "planned": [occupied("B", 0, 1)],
        "dependencies": SHOP,
    },
    next_free: {
        "duration": HOUR,
        "content": PAY,
        "after": at(0),
        "until": at(9),
        "planned": [occupied("A", 0, 1)],
        "dependencies": SHOP,
        "freezes": [WEEKEND],
        "maintenance": [NIGHTS],
        "overridden": {"weekend": [window(0, 1)]},
        "step": QUARTER,
    },
}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__qualname__)
def test_what_is_wrong_is_refused_by_errors_of_imcm(door):
    right = DOORS[door]
    door(**right)
    for name, (value, make) in itertools.product(right, HOSTILE.items()):
        if value.startswith("raising") or value == "pandas' missing":
            continue  # what the caller's own object raises passes
        for made in (make(), [make()], {"a": make()}, {"a": [make()]}):
            try:
                str(door(**{**right, name: made}))
            except ImcmError as error:
                str(error)
