"""What all figures share: their definitions, their periods, their explanations; and properties."""

import copy
import gc
import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.domain.vocabulary import latest
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.projections.facts.fold import facts
from imcm.projections.figures.attribution import Attribution, Causes
from imcm.projections.figures.availability import availability, downtime
from imcm.projections.figures.bounds import inside
from imcm.projections.figures.clock import BusinessHours
from imcm.projections.figures.definition import Definition
from imcm.projections.figures.deployments import Deployments
from imcm.projections.figures.failures import (
    FAILED_BY,
    ChangeFailureRate,
    FailedBy,
    change_failure_rate,
)
from imcm.projections.figures.figure import Figure, Included, LeftOut
from imcm.projections.figures.frequency import deployment_frequency
from imcm.projections.figures.function import facts_of
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.periods import buckets
from imcm.projections.figures.restore import (
    STATISTICS,
    IncidentDuration,
    MeanTimeToRestore,
    TimeToAcknowledge,
    TimeToDetect,
    TimeToMitigate,
    TimeToRepair,
    TimeToRestore,
    mean_time_to_restore,
    time_to_restore,
)
from imcm.projections.figures.units import shown
from imcm.projections.figures.units import utc as figure_utc
from imcm.projections.histories.anomalies import anomalies
from imcm.projections.reports.dora import dora_report
from imcm.projections.statistics.intervals import Interval
from projections.log import (
    acknowledged,
    at,
    between,
    caused_by,
    deployment,
    detected,
    dismissed,
    incident,
    log,
    resolved,
)

LONDON = ZoneInfo("Europe/London")
DEFINITIONS = (
    Definition,
    IncidentDuration,
    TimeToDetect,
    TimeToAcknowledge,
    TimeToMitigate,
    TimeToRestore,
    MeanTimeToRestore,
    TimeToRepair,
    Deployments,
    Attribution,
    Causes,
    FailedBy,
    ChangeFailureRate,
)


def utc(text):
    """Return a time from "2026-03-02" or "2026-03-02T10:00", in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- definitions ----------------------------------------------------------------------------------

SHARED = {
    "window": (at(0), at(24)),
    "bounds": "(]",
    "time_zone": "America/St_Johns",
    "environments": ("staging", "live"),
    "services": ("pay", "search"),
    "severities": ("P1", "P2"),
    "kinds": ("deployment",),
    "labels": {"team": "core"},
    "severity": "highest",
    "group_by": "label:team",
    "bucket_by": 7,
    "week_starts": "sunday",
    "anchor": "end",
    "whole": "unweighted",
    "empty": "zero",
    "level": 0.9,
}
DURATION = {
    "start": ("cause_deployed", "impact_started"),
    "end": ("mitigated", "resolved"),
    "statistic": "p90",
    "reopened": "each",
    "missing": "censor",
    "source": "stated",
    "in_window": "either",
    "round_each": "minute_up",
    "clock": "business",
    "calendar": BusinessHours(hours={0: [("09:00", "17:00")]}, holidays=["2026-12-25"]),
}
ATTRIBUTED = {
    "rollbacks": "count",
    "attribution": "between_releases",
    "stated": "ignore",
    "release_ends": "closed",
    "scope": "label:team",
    "max_age": timedelta(days=2, microseconds=1),
    "candidates": "successful",
    "candidates_in": "window",
    "incidents_in": "window",
    "failed_by": ("failed", "repaired"),
    "numerator": "links",
    "denominator": "evaluated",
}


def filled(cls):
    """Return a definition in which nothing is the default."""
    names = {a.name for a in attrs.fields(cls)}
    if getattr(cls, "STATED", None) is None:
        names -= {"source"}  # no source states it: there is no other choice
    given_ = {**SHARED, **DURATION, **ATTRIBUTED}
    definition = cls(**{name: value for name, value in given_.items() if name in names})
    for a in attrs.fields(cls):
        if a.name == "source" and a.name not in names:
            continue
        assert getattr(cls(), a.name) != getattr(definition, a.name), a.name
    return definition


@pytest.mark.parametrize("cls", DEFINITIONS)
def test_a_definition_survives_being_written_and_read(cls):
    for definition in (cls(), filled(cls)):
        assert definition == cls.from_dict(definition.as_dict())
        assert definition == cls.from_json(definition.to_json())
        assert definition == cls.from_dict(json.loads(json.dumps(definition.as_dict())))


@pytest.mark.parametrize("cls", DEFINITIONS)
def test_a_written_definition_names_its_figure_and_every_choice(cls):
    plain = cls().as_dict()

    assert ["figure", *(a.name for a in attrs.fields(cls))] == list(plain)
    assert cls.NAME == plain["figure"]
    assert [a.name for a in attrs.fields(cls)] == list(cls().shown())


def test_definitions_tested_here_are_all_there_are():
    def below(cls):
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    # By name: the class that attrs made the one with slots from may still be about.
    modules = {cls.__module__ for cls in DEFINITIONS}
    there_are = {cls.__name__ for cls in below(Definition) if cls.__module__ in modules}
    assert there_are == {cls.__name__ for cls in DEFINITIONS}


def test_the_defaults_are_the_documented_ones():
    restore, rate = TimeToRestore(), ChangeFailureRate()

    for definition in (restore, rate):
        assert (None, "[)", "UTC") == (
            definition.window,
            definition.bounds,
            definition.time_zone,
        )
        assert (None, None, None, None, None) == (
            definition.environments,
            definition.services,
            definition.severities,
            definition.kinds,
            definition.labels,
        )
        assert ("last", None, None, "monday", "start", "rows", "none", 0.95) == (
            definition.severity,
            definition.group_by,
            definition.bucket_by,
            definition.week_starts,
            definition.anchor,
            definition.whole,
            definition.empty,
            definition.level,
        )
    assert (("detected",), ("resolved",), "median", "last") == (
        restore.start,
        restore.end,
        restore.statistic,
        restore.reopened,
    )
    assert ("leave_out", "moments", "end", "none", "wall", None) == (
        restore.missing,
        restore.source,
        restore.in_window,
        restore.round_each,
        restore.clock,
        restore.calendar,
    )
    assert ("leave_out", "stated", "open", "service", None) == (
        rate.rollbacks,
        rate.attribution,
        rate.release_ends,
        rate.scope,
        rate.max_age,
    )
    assert ("all", "any", "any", FAILED_BY, "changes", "all") == (
        rate.candidates,
        rate.candidates_in,
        rate.incidents_in,
        rate.failed_by,
        rate.numerator,
        rate.denominator,
    )


def test_a_single_name_is_a_list_of_one():
    assert (("pay",), ("staging",), ("resolved",)) == (
        Definition(services="pay").services,
        Definition(environments="staging").environments,
        TimeToRestore(end="resolved").end,
    )


def test_a_window_may_be_given_as_text():
    definition = Definition(window=["2026-03-02T09:00:00+00:00", "2026-03-03T10:00:00+01:00"])

    assert (at(0), at(24)) == definition.window


WRITTEN = {
    "2026": ("2026-01-01", "2027-01-01"),
    "2026-Q1": ("2026-01-01", "2026-04-01"),
    "2025-q4": ("2025-10-01", "2026-01-01"),
    "2026-03": ("2026-03-01", "2026-04-01"),
    "2025-12": ("2025-12-01", "2026-01-01"),
    "2026-W09": ("2026-02-23", "2026-03-02"),
    "2026-03-05": ("2026-03-05", "2026-03-06"),
    "2026-03-05/2026-03-12": ("2026-03-05", "2026-03-12"),
    " 2026-01 / 2026-Q3 ": ("2026-01-01", "2026-07-01"),
    "2026-03-05/2026-03-12T10:00:00+00:00": ("2026-03-05", "2026-03-12T10:00"),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_window_may_be_a_text(text):
    start, end = WRITTEN[text]
    definition = TimeToRestore(window=text)
    assert (utc(start), utc(end)) == definition.window
    assert definition == TimeToRestore.from_json(definition.to_json())


def test_a_window_that_is_a_text_begins_at_midnight_in_its_zone():
    march = Definition(window="2026-03", time_zone="Europe/London").window
    assert (utc("2026-03-01"), utc("2026-03-31T23:00")) == march


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-13",
        "2026-Q5",
        "2026-W60",
        "9999",
        "last day",
        "next month",
        "2026-03/",
        "soon/2026",
        "2026/2026-03/2026-04",
        "2026-02-30",
        "2026-03-05T10:00:00+00:00",
    ],
)
def test_a_text_that_is_no_window_is_refused_with_what_there_is(text):
    with pytest.raises(InvalidValue, match=r"last quarter|ISO 8601"):
        Definition(window=text)


@pytest.mark.parametrize("window", [(None, None), ("2026-03-02T00:00:00+00:00",), 5])
def test_a_window_without_ends_is_refused(window):
    with pytest.raises(InvalidValue, match="window"):
        Definition(window=window)


def days(figure):
    return tuple(f"{end:%Y-%m-%d}" for end in figure.window)


@pytest.mark.parametrize(
    ("window", "given_", "expected"),
    [
        ("last week", {}, ("2026-03-02", "2026-03-09")),
        ("last week", {"week_starts": "sunday"}, ("2026-03-08", "2026-03-15")),
        ("last month", {}, ("2026-02-01", "2026-03-01")),
        ("Last Quarter", {}, ("2025-10-01", "2026-01-01")),
        ("last year", {}, ("2025-01-01", "2026-01-01")),
    ],
)
def test_the_last_period_is_the_last_whole_one_before_as_of(window, given_, expected):
    """As of Sunday the 15th of March; the figure has the window that came of it."""
    story = log(incident("INC-1", detected(0), resolved(2)), deployment("CHG-1", 1))
    rows = facts(story, as_of=utc("2026-03-15T12:00"))
    for ask in (time_to_restore, deployment_frequency, availability):
        figure = ask(rows, window=window, **given_)
        assert expected == days(figure)
        assert figure.window == figure.definition.window
    report = dora_report(rows, window=window)
    assert days(time_to_restore(rows, window=window)) == days(report.restore)
    definition = TimeToRestore(window=window)
    assert "last " + definition.window.unit == definition.as_dict()["window"]
    assert definition == TimeToRestore.from_dict(definition.as_dict())
    assert definition == copy.deepcopy(definition)
    assert definition != TimeToRestore(window="2026-03")
    assert repr(window.lower()) == repr(definition.window)
    assert definition.window != utc("2026-03-01")
    assert definition.window == TimeToRestore(window=window).window
    assert 1 == len({definition.window, TimeToRestore(window=window).window})


def test_either_end_of_a_window_may_be_left_out():
    """The start is then the first moment the log tells of, the end as_of; both are inside."""
    story = log(
        incident("INC-1", detected(0), resolved(2)),
        incident("INC-2", detected(8), resolved(10)),
        deployment("CHG-1", 1),
    )
    rows = facts(story, as_of=at(10))

    since, until = (time_to_restore(rows, window=w) for w in ((at(3), None), (None, at(3))))
    assert [["INC-2"], ["INC-1"]] == [[i.id for i in one.included] for one in (since, until)]
    tick = timedelta(microseconds=1)
    assert [(at(3), at(10) + tick), (at(0), at(3))] == [since.window, until.window]
    closed_ = time_to_restore(rows, window=(at(3), None), bounds="(]")
    assert ((at(3), at(10)), 1) == (closed_.window, closed_.n)
    open_ = time_to_restore(rows, window=(None, at(3)), bounds="()", in_window="start")
    assert ((at(0) - tick, at(3)), 1) == (open_.window, open_.n)
    rate = deployment_frequency(rows, window=(None, at(24)))
    assert (at(0), 1.0, 1) == (rate.window[0], rate.n, len(rate.notes))
    assert () == deployment_frequency(rows, window=(at(0), None)).notes
    up = availability(rows, window=(at(0), None))
    assert (pytest.approx(0.6), ()) == (up.value, up.notes)


def test_the_first_and_last_hours_there_are_are_told_in_no_other_zone():
    ends = (datetime(1, 1, 1, 5, tzinfo=UTC), datetime(9999, 12, 31, 5, tzinfo=UTC))
    figure = time_to_restore([], window=ends, time_zone="Asia/Tokyo")
    assert repr(figure).endswith(" 05:00 to 9999-12-31 05:00")


def test_an_end_that_nothing_settles_stays_open():
    nothing = time_to_restore([], window=(at(0), None))
    assert [at(0).isoformat(), None] == nothing.as_dict()["window"]
    assert [None, at(0).isoformat()] == Definition(window=(None, at(0))).as_dict()["window"]
    assert "2026-03-02 09:00 to the end" in repr(nothing)
    assert "the beginning to 2026-03-02 09:00" in repr(time_to_restore([], window=(None, at(0))))
    story = facts(log(incident("INC-1", detected(5))), as_of=at(6))
    for window in ((at(7), None), (None, at(4))):
        assert 0 == time_to_restore(story, window=window).n
    assert None is deployment_frequency(story, window=(at(7), None)).value


def test_a_window_holds_what_has_both_ends_in_it():
    story = log(
        incident("INC-1", detected(-5), resolved(2)),
        incident("INC-2", detected(1), resolved(3)),
        incident("INC-3", detected(1), resolved(30)),
        incident("INC-4", detected(2)),
        incident("INC-5", detected(-2)),
    )
    figure = time_to_restore(story, window=(at(0), at(24)), in_window="both", bucket_by="day")
    assert ["INC-2"] == [one.id for one in figure.included]
    assert ["INC-4"] == [one.id for one in figure.censored]
    assert [1, 0] == [bucket.n for bucket in figure.buckets]
    grouped = time_to_restore(story, window=(at(0), at(24)), in_window="both", group_by="service")
    assert [1] == [group.n for group in grouped.groups]


def test_the_shortest_is_a_statistic_too():
    story = log(*(incident(f"INC-{n}", detected(0), resolved(n)) for n in (2, 5, 9)))
    assert (7200.0, None) == (
        time_to_restore(story, statistic="min").value,
        time_to_restore(story, statistic="min").interval,
    )


def test_a_closed_window_may_be_one_instant_long():
    story = log(
        incident("INC-1", detected(0), resolved(2)), deployment("CHG-1", 2), deployment("CHG-2", 3)
    )
    one = {"window": (at(2), at(2)), "bounds": "[]"}

    figure = time_to_restore(story, **one, bucket_by="day")
    assert (7200.0, [1]) == (figure.value, [bucket.n for bucket in figure.buckets])
    rate = deployment_frequency(story, **one)
    assert (None, "the period has no length", 1) == (rate.value, rate.reason, rate.n)
    assert 1.0 == deployment_frequency(story, **one, per="window", bucket_by="day").value
    for bounds in ("[)", "(]", "()"):
        with pytest.raises(InvalidValue, match="or at it where bounds="):
            Definition(window=(at(2), at(2)), bounds=bounds)
    with pytest.raises(InvalidValue, match="its end must be after its start"):
        Definition(window=(at(2), at(1)), bounds="[]")


@pytest.mark.parametrize(
    ("by", "anchor", "counts"),
    [
        ("month", "start", [1, 1]),
        ("week", "start", [0, 0, 0, 0, 2]),
        (31, "start", [1, 1]),
        (30, "start", [1, 1]),
        (31, "end", [2]),
    ],
)
def test_an_end_that_is_closed_on_the_edge_of_a_bucket_opens_that_bucket(by, anchor, counts):
    """The first instant of April belongs to April."""
    start = utc("2026-03-01") if by == 31 else utc("2026-03-02")
    end = utc("2026-04-01")
    before = end - timedelta(hours=2)
    hours = [(when - at(0)) / timedelta(hours=1) for when in (before, end)]
    story = log(*(deployment(f"CHG-{n}", hour) for n, hour in enumerate(hours)))

    figure = change_failure_rate(
        story, window=(start, end), bounds="[]", bucket_by=by, anchor=anchor
    )

    assert counts == [bucket.n for bucket in figure.buckets]
    assert 2 == figure.n == sum(bucket.n for bucket in figure.buckets)


@pytest.mark.parametrize(
    ("cls", "name", "value", "near_it"),
    [
        (Definition, "severities", ["P1", "p2"], "P2"),
        (Definition, "kinds", "deploymnet", "deployment"),
        (Definition, "kinds", "feature-flag", "feature_flag"),
        (Definition, "group_by", "servce", "service"),
        (TimeToRestore, "statistic", "meen", "mean"),
        (TimeToRestore, "end", "resolve", "resolved"),
    ],
)
def test_of_a_closed_list_the_nearest_is_named(cls, name, value, near_it):
    with pytest.raises(InvalidValue, match=f"; near it: {near_it}"):
        cls(**{name: value})


NAMES = log(
    incident("INC-1", detected(0, services=("checkout",), labels={"team": "core"}), resolved(2)),
    incident("INC-2", detected(0, services=("search",), environment="staging"), resolved(2)),
    deployment("CHG-1", 1, services=("billing",), labels={"team": "web"}),
)


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        ({"services": ["chekout"]}, "no record names the service chekout; near: checkout"),
        (
            {"services": ["x1", "search"]},
            "no record names the service x1; there are: billing, checkout, search",
        ),
        ({"labels": {"taem": "core"}}, "no record has the label taem; near: team"),
        ({"labels": {"team": "coer"}}, "no record has the label team=coer; near: core"),
        ({"group_by": "label:taem"}, "no record has the label taem; near: team"),
        ({"environments": "stagging"}, "no record names the environment stagging; near: staging"),
    ],
)
def test_names_that_no_record_has_are_said_with_what_is_near(arguments, note):
    for ask in (time_to_restore, change_failure_rate, deployment_frequency, downtime):
        assert note in ask(NAMES, **arguments).notes


def test_names_that_records_have_are_not_remarked_upon():
    asked = {"services": ["billing"], "labels": {"team": "web"}, "group_by": "label:team"}
    for ask in (time_to_restore, change_failure_rate, downtime):
        assert () == ask(NAMES, **asked, environments=["Production", "staging", "*"]).notes
        assert () == ask([], services=["chekout"]).notes


def test_a_label_that_incidents_and_deployments_must_share_is_looked_for():
    figure = change_failure_rate(NAMES, attribution="latest_before", scope="label:tem")
    assert ("no record has the label tem; near: team",) == figure.notes


@pytest.mark.parametrize(
    ("ask", "arguments", "expected"),
    [
        (time_to_restore, {"group_by": "service", "services": ["checkout", "nothing"]}, [1, 0]),
        (change_failure_rate, {"group_by": "service", "services": ["billing", "pay"]}, [1, 0]),
        (time_to_restore, {"group_by": "severity", "severities": ["P1"]}, [0]),
        (change_failure_rate, {"group_by": "kind", "kinds": ["schema", "deployment"]}, [1, 0]),
        (time_to_restore, {"group_by": "label:team", "labels": {"team": "ops"}}, [0]),
        (deployment_frequency, {"group_by": "label:team", "labels": {"k": "v"}}, []),
        (downtime, {"group_by": "severity", "severities": ["P1"], "bucket_by": "day"}, [0]),
    ],
)
def test_groups_asked_for_by_name_are_present(ask, arguments, expected):
    figure = ask(NAMES, **arguments, window=(at(0), at(24)))
    assert expected == [group.n for group in figure.groups]


def test_a_group_that_no_record_names_says_so():
    figure = time_to_restore(NAMES, group_by="service", services=["chekout", "search"])
    note = "no record names the service chekout; near: checkout"
    assert [("chekout", 0, (note,)), ("search", 0, ())] == [
        (group.group, group.n, group.notes) for group in figure.groups
    ]


ONE_OF_BUCKETS = "one of day, week, month, quarter, year, or a number of days"


@pytest.mark.parametrize(
    ("cls", "name", "value", "allowed"),
    [
        (Definition, "time_zone", "Mars/Olympus", "an IANA zone such as"),
        (Definition, "time_zone", "", "an IANA zone such as"),
        (Definition, "time_zone", "../secrets", "an IANA zone such as"),
        (Definition, "time_zone", 5, "an IANA zone such as"),
        (Definition, "bounds", "[[", "one of [), [], (], ()"),
        (Definition, "severity", "worst", "one of last, highest, first"),
        (Definition, "week_starts", "friday", "one of monday, sunday"),
        (Definition, "anchor", "middle", "one of start, end"),
        (Definition, "empty", "nan", "one of none, zero"),
        (Definition, "whole", "half", "one of rows, unweighted"),
        (Definition, "whole", "unweighted", "it is the mean of groups: give group_by= too"),
        (Definition, "bucket_by", "hour", ONE_OF_BUCKETS),
        (Definition, "bucket_by", 0, "a number of days is 1 or more"),
        (Definition, "bucket_by", True, "a number of days is 1 or more"),
        (Definition, "group_by", "colour", "or label:<name>"),
        (Definition, "level", 0, "a confidence level lies between 0 and 1"),
        (Definition, "level", 1, "a confidence level lies between 0 and 1"),
        (Definition, "labels", 5, "give a mapping"),
        (Definition, "window", 5, "give (start, end), both aware"),
        (Definition, "window", (at(0),), "give (start, end), both aware"),
        (TimeToRestore, "statistic", "mode", "one of median, median_low, mean"),
        (TimeToRestore, "reopened", "never", "one of last, first, open_time, each"),
        (TimeToRestore, "missing", "guess", "one of leave_out, resolution_counts, censor"),
        (TimeToRestore, "source", "hearsay", "one of moments, stated"),
        (TimeToRestore, "in_window", "middle", "one of end, start, either"),
        (TimeToRestore, "round_each", None, "one of none, hour_down, minute_down, minute_up"),
        (TimeToRestore, "clock", "sun", "one of wall, business"),
        (TimeToRestore, "calendar", "office", "give BusinessHours, or its as_dict()"),
        (
            TimeToAcknowledge,
            "source",
            "stated",
            "only times to restore and to repair are",
        ),
        (TimeToRestore, "start", (), "at least one moment"),
        (TimeToRestore, "end", (), "at least one moment"),
        (Deployments, "rollbacks", "maybe", "one of leave_out, count"),
        (Attribution, "attribution", "blame", "one of stated, latest_before"),
        (Attribution, "stated", "loses", "one of wins, ignore"),
        (Attribution, "stated", "ignore", "infer causes: attribution= latest_before"),
        (Attribution, "release_ends", "ajar", "one of open, closed"),
        (Attribution, "scope", "team", "service, global, or label:<name>"),
        (Attribution, "candidates", "some", "one of all, successful"),
        (Attribution, "candidates_in", "bucket", "one of any, window"),
        (Attribution, "incidents_in", "bucket", "one of any, window"),
        (ChangeFailureRate, "numerator", "people", "one of changes, incidents, links"),
        (ChangeFailureRate, "denominator", "none", "one of all, successful"),
    ],
)
def test_a_refused_choice_is_named_with_its_value_and_what_is_allowed(cls, name, value, allowed):
    with pytest.raises(InvalidValue) as error:
        cls(**{name: value})

    assert name == error.value.name
    assert repr(value) in str(error.value)
    assert allowed in str(error.value)


@pytest.mark.parametrize(
    ("cls", "name", "values", "wrong"),
    [
        (Definition, "severities", ["P1", "P9"], "P9"),
        (TimeToRestore, "start", ["detected", "reopened"], "reopened"),
        (TimeToRestore, "end", ["cause_deployed"], "cause_deployed"),
        (ChangeFailureRate, "failed_by", ["incident", "somebody"], "somebody"),
    ],
)
def test_of_a_list_the_wrong_one_is_named(cls, name, values, wrong):
    with pytest.raises(InvalidValue, match="one of") as error:
        cls(**{name: values})

    assert (name, wrong) == (error.value.name, error.value.value)


@pytest.mark.parametrize("name", ["environments", "services", "severities", "kinds"])
def test_a_filter_of_the_wrong_type_is_named(name):
    with pytest.raises(InvalidValue) as error:
        Definition(**{name: 5})

    assert name == error.value.name


@pytest.mark.parametrize("name", ["environments", "services", "severities", "kinds"])
def test_a_filter_of_the_wrong_type_is_refused(name):
    with pytest.raises(InvalidValue, match="5 is not allowed; give a list of names"):
        Definition(**{name: 5})


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (Definition, "bucket_by", 1.5),
        (Definition, "group_by", 5),
        (Definition, "group_by", "label:"),
        (Definition, "level", "high"),
        (Definition, "bounds", ()),
        (Definition, "bucket_by", ["day"]),
        (Definition, "level", True),
        (Attribution, "scope", 5),
        (Attribution, "scope", "label:"),
        (Attribution, "max_age", float("nan")),
        (Attribution, "max_age", float("inf")),
        (TimeToRestore, "start", 5),
        (TimeToRestore, "end", None),
        (TimeToRestore, "statistic", ["mean"]),
        (TimeToRestore, "reopened", ()),
        (ChangeFailureRate, "failed_by", 5),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(cls, name, value):
    refused = None
    try:
        cls(**{name: value})
    except Exception as error:
        refused = error

    assert isinstance(refused, InvalidValue)
    assert name == refused.name


@pytest.mark.parametrize(
    ("window", "name"),
    [
        ((at(0).replace(tzinfo=None), at(1)), "window start"),
        ((at(0), at(1).replace(tzinfo=None)), "window end"),
        (("2026-03-02T09:00", at(1)), "window start"),
    ],
)
def test_a_naive_window_is_refused(window, name):
    with pytest.raises(NaiveTimeError, match="give a time zone") as error:
        Definition(window=window)

    assert name == error.value.name


@pytest.mark.parametrize(
    ("value", "allowed"),
    [("yesterday", "an ISO 8601 time with its offset"), (5, "give an aware datetime")],
)
def test_an_unreadable_time_of_a_window_is_refused(value, allowed):
    with pytest.raises(InvalidValue, match=allowed) as error:
        Definition(window=(value, at(1)))

    assert ("window start", value) == (error.value.name, error.value.value)


@pytest.mark.parametrize("end", [at(0), at(-1)])
def test_a_window_ends_after_its_start(end):
    with pytest.raises(InvalidValue, match=r"window: .* its end must be after its start"):
        Definition(window=(at(0), end))


REPEATED = (
    datetime(2026, 10, 25, 1, 30, tzinfo=LONDON),  # 00:30 UTC
    datetime(2026, 10, 25, 1, 15, fold=1, tzinfo=LONDON),  # 01:15 UTC
)


def test_a_window_may_lie_within_the_hour_that_a_clock_repeats():
    definition = Definition(window=REPEATED)

    assert timedelta(minutes=45) == definition.window[1].astimezone(UTC) - definition.window[
        0
    ].astimezone(UTC)


def test_a_window_from_the_repeated_hour_survives_being_written_and_read():
    definition = Definition(window=(REPEATED[0], utc("2026-10-26")))

    assert definition == Definition.from_json(definition.to_json())


def test_a_duration_does_not_end_where_it_starts():
    with pytest.raises(InvalidValue, match=r"start: .* another moment than the end"):
        TimeToRestore(start="detected", end=("resolved", "detected"))


def test_the_definition_of_another_figure_is_refused():
    with pytest.raises(InvalidValue, match=r"figure: 'time to detect' .* 'time to restore'"):
        TimeToRestore.from_json(TimeToDetect().to_json())


@pytest.mark.parametrize("plain", [None, "time to restore", [("figure", "time to restore")]])
def test_what_is_no_mapping_is_no_definition(plain):
    with pytest.raises(InvalidValue, match="a mapping written by as_dict"):
        TimeToRestore.from_dict(plain)


def test_an_unknown_argument_is_refused_with_those_there_are():
    with pytest.raises(InvalidValue, match=r"colour: 'red' .* window, bounds, time_zone") as error:
        TimeToRestore.from_dict({"colour": "red"})

    assert "colour" == error.value.name
    with pytest.raises(TypeError, match="colour"):
        time_to_restore(log(), colour="red")


def test_a_definition_is_read_without_the_figures_name_too():
    assert TimeToRestore(statistic="p95") == TimeToRestore.from_dict({"statistic": "p95"})


@pytest.mark.parametrize("text", ["{", "[]", '"median"', "5"])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(InvalidValue, match=r"definition: .*written by to_json"):
        TimeToRestore.from_json(text)


# --- the whole of groups --------------------------------------------------------------------------

OF_TWO_SERVICES = log(
    incident("INC-1", detected(0), resolved(1)),
    incident("INC-2", detected(0), resolved(3)),
    incident("INC-3", detected(0, services=("search",)), resolved(6)),
)


def test_the_whole_is_computed_from_the_rows_and_not_from_the_groups():
    figure = mean_time_to_restore(OF_TWO_SERVICES, group_by="service")

    assert (10 / 3 * 3600, 3) == (figure.value, figure.n)  # (1 + 3 + 6) / 3
    assert "from the rows" not in figure.beside


def test_the_unweighted_mean_of_groups_is_there_for_who_asks():
    figure = mean_time_to_restore(OF_TWO_SERVICES, group_by="service", whole="unweighted")

    assert [2 * 3600.0, 6 * 3600.0] == [group.value for group in figure.groups]
    assert (4 * 3600.0, None, None, None) == (  # (2 + 6) / 2
        figure.value,
        figure.reason,
        figure.interval,
        figure.bounds,
    )
    assert 12_000.0 == figure.beside["from the rows"]


def test_groups_without_a_value_are_no_part_of_the_unweighted_mean():
    story = log(incident("INC-1", detected(0), resolved(1)), incident("INC-2", detected(0)))
    figure = time_to_restore(story, group_by="channel", whole="unweighted")
    nothing = time_to_restore(log(), group_by="channel", whole="unweighted")

    assert 3600.0 == figure.value
    assert (None, "no group has a value") == (nothing.value, nothing.reason)


def test_in_each_bucket_the_whole_is_unweighted_too():
    figure = mean_time_to_restore(
        OF_TWO_SERVICES, group_by="service", whole="unweighted", bucket_by="day"
    )

    assert [4 * 3600.0] == [bucket.value for bucket in figure.buckets]


def test_an_unweighted_mean_of_nothing_can_be_zero():
    figure = time_to_restore(log(), group_by="service", whole="unweighted", empty="zero")

    assert (0.0, None) == (figure.value, figure.reason)


# --- windows and buckets --------------------------------------------------------------------------

EDGES = [-1, 0, 5, 10, 11]


@pytest.mark.parametrize(
    ("bounds", "hours"),
    [("[)", [0, 5]), ("[]", [0, 5, 10]), ("(]", [5, 10]), ("()", [5])],
)
def test_a_window_from_0_to_10_holds(bounds, hours):
    assert hours == [h for h in EDGES if inside(at(h), (at(0), at(10)), bounds)]


def test_without_a_window_all_is_inside_and_with_one_nothing_unknown_is():
    assert inside(None, None, "[)")
    assert not inside(None, (at(0), at(10)), "[]")
    assert inside(between(-4, 4), (at(0), at(10)), "[)")  # placed at 0
    assert not inside(between(-4, 3), (at(0), at(10)), "[)")


def edges(window, **arguments):
    """Return the edges of the buckets of a window, as short text in UTC, checked to adjoin."""
    start, end = window
    found = list(buckets(Definition(window=(utc(start), utc(end)), **arguments), ()))
    assert [b for _, b in found[:-1]] == [a for a, _ in found[1:]]
    times = [found[0][0], *(b for _, b in found)]
    return [time.astimezone(UTC).strftime("%m-%d %H:%M") for time in times]


@pytest.mark.parametrize(
    ("window", "arguments", "expected"),
    [
        (
            ("2026-03-02T09:00", "2026-03-04T12:00"),
            {"bucket_by": "day"},
            ["03-02 09:00", "03-03 00:00", "03-04 00:00", "03-04 12:00"],
        ),
        (  # from a Sunday to a Tuesday
            ("2026-03-01", "2026-03-10"),
            {"bucket_by": "week"},
            ["03-01 00:00", "03-02 00:00", "03-09 00:00", "03-10 00:00"],
        ),
        (
            ("2026-03-01", "2026-03-10"),
            {"bucket_by": "week", "week_starts": "sunday"},
            ["03-01 00:00", "03-08 00:00", "03-10 00:00"],
        ),
        (  # the week of New Year
            ("2025-12-30", "2026-01-06"),
            {"bucket_by": "week"},
            ["12-30 00:00", "01-05 00:00", "01-06 00:00"],
        ),
        (  # from a Saturday
            ("2026-02-28", "2026-03-02"),
            {"bucket_by": "week", "week_starts": "sunday"},
            ["02-28 00:00", "03-01 00:00", "03-02 00:00"],
        ),
        (
            ("2025-11-15", "2026-02-15"),
            {"bucket_by": "month"},
            ["11-15 00:00", "12-01 00:00", "01-01 00:00", "02-01 00:00", "02-15 00:00"],
        ),
        (
            ("2026-02-10", "2026-08-01"),
            {"bucket_by": "quarter"},
            ["02-10 00:00", "04-01 00:00", "07-01 00:00", "08-01 00:00"],
        ),
        (
            ("2025-10-01", "2026-01-02"),
            {"bucket_by": "quarter"},
            ["10-01 00:00", "01-01 00:00", "01-02 00:00"],
        ),
        (
            ("2025-12-31", "2027-01-02"),
            {"bucket_by": "year"},
            ["12-31 00:00", "01-01 00:00", "01-01 00:00", "01-02 00:00"],
        ),
        (
            ("2026-03-02", "2026-03-10"),
            {"bucket_by": 3},
            ["03-02 00:00", "03-05 00:00", "03-08 00:00", "03-10 00:00"],
        ),
        (
            ("2026-03-02", "2026-03-10"),
            {"bucket_by": 3, "anchor": "end"},
            ["03-02 00:00", "03-04 00:00", "03-07 00:00", "03-10 00:00"],
        ),
        (  # the day begins 14 hours before it does in UTC
            ("2026-03-01T10:00", "2026-03-03T10:00"),
            {"bucket_by": "day", "time_zone": "Pacific/Kiritimati"},
            ["03-01 10:00", "03-02 10:00", "03-03 10:00"],
        ),
        (  # in UTC February goes on for 14 hours after March has begun
            ("2026-02-01", "2026-03-01"),
            {"bucket_by": "month", "time_zone": "Pacific/Kiritimati"},
            ["02-01 00:00", "02-28 10:00", "03-01 00:00"],
        ),
        (  # 3:30 behind; from the 8th of March, 2 o'clock on 2:30 behind
            ("2026-03-07T03:30", "2026-03-10T02:30"),
            {"bucket_by": "day", "time_zone": "America/St_Johns"},
            ["03-07 03:30", "03-08 03:30", "03-09 02:30", "03-10 02:30"],
        ),
        (  # a day of 23 hours
            ("2026-03-28", "2026-03-30T23:00"),
            {"bucket_by": "day", "time_zone": "Europe/London"},
            ["03-28 00:00", "03-29 00:00", "03-29 23:00", "03-30 23:00"],
        ),
        (  # a day of 25 hours
            ("2026-10-24T23:00", "2026-10-27"),
            {"bucket_by": "day", "time_zone": "Europe/London"},
            ["10-24 23:00", "10-26 00:00", "10-27 00:00"],
        ),
        (  # days by the wall: noon to noon
            ("2026-03-28T12:00", "2026-03-30T11:00"),
            {"bucket_by": 1, "time_zone": "Europe/London"},
            ["03-28 12:00", "03-29 11:00", "03-30 11:00"],
        ),
        (
            ("2026-03-28T12:00", "2026-03-30T11:00"),
            {"bucket_by": 1, "time_zone": "Europe/London", "anchor": "end"},
            ["03-28 12:00", "03-29 11:00", "03-30 11:00"],
        ),
        (  # there is no midnight of the 6th of September: the day begins at 1 o'clock
            ("2026-09-05T04:00", "2026-09-07T03:00"),
            {"bucket_by": "day", "time_zone": "America/Santiago"},
            ["09-05 04:00", "09-06 04:00", "09-07 03:00"],
        ),
    ],
)
def test_periods_begin_where_the_calendar_says(window, arguments, expected):
    assert expected == edges(window, **arguments)


FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
EAST, WEST = "Pacific/Kiritimati", "Pacific/Pago_Pago"


@pytest.mark.parametrize("name", ["UTC", EAST, WEST])
@pytest.mark.parametrize(
    ("by", "count"), [("day", 11), ("week", 3), ("month", 1), ("quarter", 1), ("year", 1), (4, 3)]
)
@pytest.mark.parametrize("anchor", ["start", "end"])
def test_periods_reach_the_first_and_the_last_instant_there_is(name, by, count, anchor):
    """Dates of the years 1 and 9999, which stand for "never", make periods as others do."""
    ten = timedelta(days=10)
    choices = {"bucket_by": by, "time_zone": name, "anchor": anchor}
    for window in ((FIRST, FIRST + ten), (LAST - ten, LAST)):
        found = list(buckets(Definition(window=window, **choices), ()))
        assert window == (found[0][0], found[-1][1])
        assert [b for _, b in found[:-1]] == [a for a, _ in found[1:]]
        assert abs(count - len(found)) <= 1


def test_the_week_of_the_first_day_begins_with_it():
    window = (FIRST, FIRST + timedelta(days=7))
    found = list(buckets(Definition(window=window, bucket_by="week", week_starts="sunday"), ()))
    assert FIRST == found[0][0]


def test_the_last_instant_there_is_lies_in_the_last_period():
    [only] = buckets(Definition(bucket_by="year"), [LAST])
    assert (LAST - timedelta(microseconds=1), LAST) == (only[0], only[1]) or LAST == only[1]


def test_a_moment_beyond_the_years_1_to_9999_in_utc_is_the_first_or_the_last_instant():
    hour = timezone(timedelta(hours=1))
    assert FIRST == figure_utc(datetime.min.replace(tzinfo=hour))
    assert LAST == figure_utc(datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))))


@pytest.mark.parametrize(("by", "days"), [("day", 40_001), (1, 40_001), ("week", 7 * 40_001)])
def test_millions_of_periods_are_refused(by, days):
    """One wrong date in a log must not ask for a period for each day since the year 1."""
    window = (FIRST, FIRST + timedelta(days=days))
    with pytest.raises(InvalidValue, match="more than 40,000 of them; take longer ones") as error:
        list(buckets(Definition(window=window, bucket_by=by), ()))
    assert ("bucket_by", by) == (error.value.name, error.value.value)


@pytest.mark.parametrize("anchor", ["start", "end"])
def test_one_period_longer_than_all_time_holds_the_window(anchor):
    definition = Definition(window=(at(0), at(9)), bucket_by=3_652_058, anchor=anchor)
    assert [(at(0), at(9))] == [tuple(one) for one in buckets(definition, ())]
    with pytest.raises(InvalidValue, match="1 or more, up to 3,652,058"):
        Definition(bucket_by=99_999_999_999)


def test_without_buckets_or_without_anything_there_are_no_periods():
    assert [] == list(buckets(Definition(window=(at(0), at(9))), ()))
    assert [] == list(buckets(Definition(bucket_by="day"), ()))
    assert [] == list(buckets(Definition(bucket_by=2), ()))


@pytest.mark.parametrize("by", ["day", 1])
def test_without_a_window_periods_run_from_the_first_moment_to_the_last(by):
    found = list(buckets(Definition(bucket_by=by), [at(40), at(0)]))

    # From 2 March 9:00 on; 40 hours later is 4 March 1:00, which is in.
    ends = {"day": [at(15), at(39)], 1: [at(24)]}[by]  # midnights; 24 hours on
    assert [at(0), *ends] == [start for start, _ in found]
    assert at(40) + timedelta(microseconds=1) == found[-1][1]


def test_without_a_window_every_moment_lies_in_a_bucket():
    story = log(deployment("CHG-1", 0), deployment("CHG-2", 40))

    figure = change_failure_rate(story, bucket_by="day", bounds="(]")

    assert figure.n == sum(bucket.n for bucket in figure.buckets)


@pytest.mark.parametrize("in_window", ["start", "end", "either"])
def test_without_a_window_every_duration_lies_in_a_bucket(in_window):
    story = log(incident("INC-1", detected(0), resolved(40)), incident("INC-2", detected(60)))

    figure = time_to_restore(
        facts(story, as_of=at(100)), bucket_by="day", bounds="()", in_window=in_window
    )

    assert {"INC-1"} == {one.id for bucket in figure.buckets for one in bucket.included}
    assert {"INC-2"} == {one.id for bucket in figure.buckets for one in bucket.censored}


@pytest.mark.parametrize(
    ("bounds", "counts"), [("[)", [1, 1]), ("[]", [1, 1, 1]), ("(]", [1, 1]), ("()", [0, 1])]
)
def test_only_the_ends_of_the_window_itself_are_open_or_closed(bounds, counts):
    """At the start, at the midnight between, and at the end, which is another midnight: closed,
    it is the first instant of one more day.
    """
    story = log(*(incident(f"INC-{h}", detected(-50), resolved(h)) for h in (-9, 15, 39)))
    window = (at(-9), at(39))

    figure = time_to_restore(
        story, window=window, bounds=bounds, bucket_by="day", group_by="service"
    )

    assert counts == [bucket.n for bucket in figure.buckets]
    assert counts == [bucket.n for bucket in figure.groups[0].buckets]
    assert (figure.n, window) == (sum(counts), figure.window)


def test_a_window_written_in_a_zone_is_kept_with_its_offset():
    start, _ = Definition(window=(REPEATED[1], utc("2026-10-26"))).window

    assert ("2026-10-25T01:15:00+00:00", 0) == (start.isoformat(), start.fold)


def test_a_microsecond_before_midnight_is_another_day():
    midnight = utc("2026-03-03")
    story = log(
        incident("INC-1", detected(0), resolved(midnight - timedelta(microseconds=1))),
        incident("INC-2", detected(0), resolved(midnight)),
    )

    figure = time_to_restore(story, bucket_by="day", window=(utc("2026-03-02"), utc("2026-03-05")))

    assert [["INC-1"], ["INC-2"], []] == [
        [one.id for one in bucket.included] for bucket in figure.buckets
    ]
    assert (None, "nothing to count", 0) == (
        figure.buckets[2].value,
        figure.buckets[2].reason,
        figure.buckets[2].n,
    )


def test_buckets_lie_in_the_zone_of_the_definition():
    """9:00 UTC on Monday 2 March is 23:00 of that day in Kiritimati, 10:00 is Tuesday."""
    story = log(
        incident("INC-1", detected(-1), resolved(0)), incident("INC-2", detected(0), resolved(1))
    )

    figure = time_to_restore(story, bucket_by="day", time_zone="Pacific/Kiritimati")

    assert "Pacific/Kiritimati" == figure.time_zone
    assert [1, 1] == [bucket.n for bucket in figure.buckets]
    assert (at(0), at(1)) == figure.buckets[0].window


def bare(value):
    """Return plain values without places in the log, and tuples as the lists JSON has."""
    if isinstance(value, dict):
        places = {"positions", "log_position"}
        return {key: bare(item) for key, item in value.items() if key not in places}
    return [bare(item) for item in value] if isinstance(value, (list, tuple)) else value


# --- what a figure says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "seconds", "undefined"),
        (0, "seconds", "0 s"),
        (59.94, "seconds", "59.9 s"),
        (60, "seconds", "1 min"),
        (3661, "seconds", "1 h 1 min"),
        (86_700, "seconds", "1 d 5 min"),
        (90_061, "seconds", "1 d 1 h"),
        (-90, "seconds", "-1 min 30 s"),
        (0.125, "share", "12.5 %"),
        (7, "count", "7"),
        (2.5, "per week", "2.5 per week"),
    ],
)
def test_a_value_is_shown_for_a_person(value, unit, text):
    assert text == shown(value, unit)


EXPLAINED = log(
    incident("INC-1", detected(between(0, 2)), acknowledged(2), resolved(5)),
    incident("INC-2", detected(0), dismissed(1)),
    incident("INC-3", detected(0), dismissed(1)),
    incident("INC-4", detected(3)),
    now=24,
)


def test_an_explanation_tells_the_value_its_basis_and_who_was_left_out():
    figure = mean_time_to_restore(facts(EXPLAINED, known_at=99), window=(at(0), at(24)))

    lines = figure.explain().splitlines()

    # 1 (the middle of 0 to 2) to 5; read at its shortest 2 to 5, at its longest 0 to 5
    assert "mean time to restore: 4 h" == lines[0]
    for line in (
        "  n = 1",
        "  over all readings of 1 uncertain: 3 h to 5 h",
        "  median: 4 h",
        f"  window: {at(0)} up to {at(24)} (UTC)",
        f"  as of {at(24)}; known at 99; log position 8",
        "  left out: 3",
        "    2 dismissed (false_positive): INC-2, INC-3",
        "    1 pending: INC-4",
        '    statistic = "mean"',
        '    start = ["detected"]',
        "    environments = null",
    ):
        assert line in lines


def test_an_undefined_value_is_explained_by_its_reason():
    lines = time_to_restore(log()).explain().splitlines()

    assert "time to restore: undefined (nothing to count)" == lines[0]
    assert "  window: all time" in lines
    assert "  as of None; known at the end of the log; log position 0" in lines


def test_an_explanation_tells_the_interval_the_counts_and_the_notes():
    story = log(*(deployment(f"CHG-{n}", n) for n in range(1, 5)))
    figure = attrs.evolve(change_failure_rate(story), notes=("read with care",))

    lines = figure.explain().splitlines()

    # 0 of 4: from 0 to z * z / (n + z * z) = 3.84146 / 7.84146 = 0.4899
    assert "  95 % interval: 0 % to 48.99 % (Wilson score)" in lines
    assert "  failed: 0" in lines
    assert "  note: read with care" in lines


def test_an_interval_without_a_lower_bound_is_not_told():
    assert "interval:" not in time_to_restore(EXPLAINED).explain()


def test_reasons_are_counted_the_commonest_first():
    figure = Figure(
        name="",
        value=None,
        unit="count",
        n=0,
        definition=Definition(),
        left_out=tuple(LeftOut(id=id_, reason=id_) for id_ in "cabb"),
    )

    assert [("b", 2), ("a", 1), ("c", 1)] == list(figure.why_left_out().items())


def test_a_figure_is_plain_values_for_json():
    figure = time_to_restore(
        facts(EXPLAINED, known_at=at(24)),
        group_by="service",
        bucket_by="day",
        window=(at(0), at(24)),
    )

    plain = figure.as_dict(population=True)

    assert plain == json.loads(json.dumps(plain))
    assert ("time to restore", 14_400.0, "seconds", 1) == (
        plain["name"],
        plain["value"],
        plain["unit"],
        plain["n"],
    )
    assert [at(0).isoformat(), at(24).isoformat()] == plain["window"]
    assert (at(24).isoformat(), at(24).isoformat(), 8) == (
        plain["as_of"],
        plain["known_at"],
        plain["log_position"],
    )
    assert [{"id": "INC-1", "value": 14_400.0, "why": "", "positions": [1, 2, 3]}] == plain[
        "included"
    ]
    assert {"dismissed (false_positive)": 2, "pending": 1} == plain["why_left_out"]
    assert figure.definition == TimeToRestore.from_dict(plain["definition"])
    assert ["pay"] == [group["group"] for group in plain["groups"]]
    assert 2 == len(plain["buckets"])


def test_a_figure_can_be_told_without_its_population():
    figure = time_to_restore(EXPLAINED, group_by="service")

    plain = figure.as_dict()

    for part in (plain, plain["groups"][0]):
        assert [None, None, None] == [part[name] for name in ("included", "left_out", "censored")]
    assert plain.keys() == figure.as_dict(population=True).keys()
    assert (None, None, None) == (plain["window"], plain["known_at"], plain["interval"]["low"])


def test_a_figure_of_nothing_has_no_times():
    plain = Figure(
        name="", value=1.0, unit="count", n=1, definition=Definition(), included=()
    ).as_dict()

    assert (None, None, None) == (plain["as_of"], plain["interval"], plain["bounds"])


def test_facts_are_taken_as_they_are_and_a_log_is_read():
    rows = facts(EXPLAINED)

    assert facts_of(rows) is rows
    assert rows == facts_of(iter(EXPLAINED))
    assert time_to_restore(rows) == time_to_restore(EXPLAINED)


def test_the_function_of_a_figure_is_documented_by_its_definition():
    assert time_to_restore.__doc__.startswith(TimeToRestore.__doc__)
    assert "\n    round_each: How each duration is rounded" in time_to_restore.__doc__
    assert "\n    time_zone: The IANA zone" in time_to_restore.__doc__


def test_what_was_counted_has_its_interval_as_plain_values():
    figure = Figure(
        name="",
        value=1.0,
        unit="count",
        n=1,
        definition=Definition(),
        interval=Interval(low=0.5, high=2.0, level=0.95, method="by hand"),
        included=(Included(id="X", value=1.0),),
    )

    assert {"low": 0.5, "high": 2.0, "level": 0.95, "method": "by hand"} == figure.as_dict()[
        "interval"
    ]


# --- properties -----------------------------------------------------------------------------------

few = settings(max_examples=60, deadline=None, derandomize=True)
hours = st.integers(0, 60)
services = st.sampled_from([("pay",), ("search",), ("pay", "search")])


@st.composite
def stories(draw, services=services, prefix=""):
    """Draw streams of incidents and changes; some causes are stated, some moments uncertain."""
    changes = [f"{prefix}CHG-{n}" for n in range(draw(st.integers(0, 5)))]
    streams = [deployment(id_, draw(hours), services=draw(services)) for id_ in changes]
    for n in range(draw(st.integers(0, 5))):
        start, width = draw(hours), draw(st.integers(0, 3))
        began = between(start, start + width) if width else at(start)
        steps = [detected(began, services=draw(services))]
        if changes and draw(st.booleans()):
            steps.append(caused_by(draw(st.sampled_from(changes)), latest(began)))
        if draw(st.integers(0, 3)):
            over = latest(began) + timedelta(hours=draw(hours))
            late = draw(st.integers(0, 3))
            steps.append(resolved(between(over, over + timedelta(hours=late)) if late else over))
        streams.append(incident(f"{prefix}INC-{n}", *steps))
    return streams


@st.composite
def arrivals(draw, streams):
    """Draw an order in which the events of independent streams arrive."""
    waiting = {name: [r for r in log(*streams) if r.stream == name] for name, _ in streams}
    order = draw(st.permutations([name for name, events in streams for _ in events]))
    return [waiting[name].pop(0)._replace(position=p) for p, name in enumerate(order, start=1)]


FIGURES = (
    time_to_restore,
    lambda log_, **arguments: mean_time_to_restore(log_, reopened="each", **arguments),
    change_failure_rate,
    lambda log_, **arguments: change_failure_rate(log_, attribution="latest_before", **arguments),
)


@few
@given(st.data())
def test_the_order_in_which_independent_streams_arrive_never_matters(data):
    streams = data.draw(stories())
    arrived = data.draw(arrivals(streams))

    odd = [(a.id, a.detail) for a in anomalies(arrived)]
    assert [(a.id, a.detail) for a in anomalies(log(*streams))] == odd
    for figure in FIGURES:
        one = figure(log(*streams), group_by="service", bucket_by="week")
        other = figure(arrived, group_by="service", bucket_by="week")
        assert bare(one.as_dict(population=True)) == bare(other.as_dict(population=True))


@few
@given(
    stories(),
    st.sets(st.sampled_from(FAILED_BY)),
    st.sampled_from(Attribution.CHOICES["attribution"]),
    st.sampled_from(ChangeFailureRate.CHOICES["denominator"]),
)
def test_a_share_of_changes_lies_between_0_and_1(streams, failed_by, attribution, denominator):
    figure = change_failure_rate(
        log(*streams),
        failed_by=tuple(failed_by),
        attribution=attribution,
        denominator=denominator,
    )

    assert (figure.value is None) == (figure.n == 0)
    if figure.value is not None:
        assert 0 <= figure.interval.low <= figure.value <= figure.interval.high <= 1


@few
@given(
    stories(services=st.just(("pay",))),
    stories(services=st.just(("search",)), prefix="other "),
    st.sampled_from(FIGURES[:3]),
)
def test_what_happens_to_another_service_changes_no_figure_of_this_one(mine, others, figure):
    arguments = {"services": "pay", "group_by": "service", "bucket_by": "day"}

    alone = figure(log(*mine), **arguments)
    together = figure(log(*mine, *others), **arguments)

    same = {"as_of": alone.as_of, "log_position": alone.log_position}

    def told(whole):
        parts = {
            name: tuple(attrs.evolve(part, **same, buckets=()) for part in getattr(whole, name))
            for name in ("groups", "buckets")
        }
        return attrs.evolve(whole, **same, **parts)

    if mine:
        assert told(alone) == told(together)
    assert alone.value == together.value


@few
@given(stories(), hours, st.sampled_from(["[)", "(]"]), st.sampled_from(["start", "end"]))
def test_the_parts_of_a_window_add_up_to_the_whole(streams, hour, bounds, in_window):
    story = log(*streams)
    first, second, whole = (at(-1), at(hour)), (at(hour), at(200)), (at(-1), at(200))

    def rate(window):
        figure = change_failure_rate(story, window=window, bounds=bounds)
        return figure.n, figure.counts["failed"]

    def restored(window):
        return time_to_restore(story, window=window, bounds=bounds, in_window=in_window).n

    assert rate(whole) == tuple(a + b for a, b in zip(rate(first), rate(second), strict=True))
    assert restored(whole) == restored(first) + restored(second)


@few
@given(stories(), st.sampled_from(list(STATISTICS)))
def test_a_figure_computed_again_from_who_it_counted_is_itself(streams, statistic):
    story = log(*streams)

    figure = time_to_restore(story, statistic=statistic)
    exact = [round(one.value * 1_000_000) for one in figure.included]
    value = STATISTICS[statistic](exact)
    assert (None if value is None else value / 1_000_000) == figure.value
    assert len(exact) == figure.n

    rate = change_failure_rate(story)
    if rate.n:
        assert sum(one.value for one in rate.included) / len(rate.included) == rate.value


@few
@given(stories(), st.sampled_from(list(STATISTICS)), st.sampled_from(["none", "minute_up"]))
def test_bounds_contain_the_value(streams, statistic, round_each):
    figure = time_to_restore(log(*streams), statistic=statistic, round_each=round_each)

    if figure.bounds is not None:
        low, high = figure.bounds
        assert low <= figure.value <= high
    elif figure.uncertain:
        assert "geometric_mean" == statistic


@few
@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.sampled_from(["UTC", "Europe/London", "Pacific/Kiritimati", "America/St_Johns"]),
    st.sampled_from(["day", "week", "month", "quarter", "year", 1, 7, 30]),
    st.sampled_from(["start", "end"]),
    st.sampled_from(["monday", "sunday"]),
)
def test_buckets_cover_their_window_without_gap_or_overlap(
    start, length, zone, by, anchor, week_starts
):
    # Up to some 11 days on, from anywhere in some 30 years.
    begin = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=start)
    end = begin + timedelta(milliseconds=length + 1)
    definition = Definition(
        window=(begin, end), bucket_by=by, time_zone=zone, anchor=anchor, week_starts=week_starts
    )

    found = list(buckets(definition, ()))

    assert (begin, end) == (found[0][0], found[-1][1])
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert all(a < b for a, b in found)


@few
@given(st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=4000)))
def test_an_age_survives_being_written_and_read(max_age):
    definition = ChangeFailureRate(max_age=max_age)

    assert definition == ChangeFailureRate.from_json(definition.to_json())


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_as_it_was_after_a_figure(on):
    """It is paused while a figure is made, and runs again only where it ran before."""
    was = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        time_to_restore([])
        assert on == gc.isenabled()
    finally:
        (gc.enable if was else gc.disable)()


# --- populations, made when looked at -------------------------------------------------------------


class TestLazySequence:
    def test_it_is_what_the_tuple_of_its_members_is(self):
        listed = LazySequence(lambda: iter((3, 1, 2)))
        assert (3, 1, 2) == listed
        assert listed == LazySequence(lambda: [3, 1, 2])
        assert listed != [3, 1, 2]
        assert (3, 2, (1, 2)) == (len(listed), listed[-1], listed[1:])
        assert hash((3, 1, 2)) == hash(listed)

    def test_it_is_made_once_and_only_when_somebody_looks(self):
        made = []
        listed = LazySequence(lambda: made.append("made") or [1])
        assert [] == made
        assert [1, 1] == [*listed, *listed]
        assert ["made"] == made

    def test_a_copy_holds_the_members(self):
        figure = time_to_restore(log(incident("INC-1", detected(0), resolved(2))))
        copied = copy.deepcopy(figure.included)
        assert isinstance(copied, LazySequence)
        assert figure.included == copied
        assert "<LazySequence of 1>" == repr(copied)

    def test_its_repr_neither_makes_nor_shows_the_members(self):
        made = []
        listed = LazySequence(lambda: made.append("made") or [1, 2])
        assert ("<LazySequence, not made yet>", []) == (repr(listed), made)
        assert ["<LazySequence of 2>"] * 2 == [repr(LazySequence.of(listed)), repr(listed)]


def test_facts_keep_the_last_few_things_made_of_them():
    """A thousand definitions on one set of facts must not fill the memory."""
    known = facts(log(deployment("CHG-1", 1)))
    made = []
    for number in range(100):
        assert number == known.kept(number, lambda n=number: made.append(n) or n)
    assert 99 == known.kept(99, lambda: made.append("again"))
    assert list(range(100)) == made
    assert 0 == known.kept(0, lambda: made.append("again") or 0)
    assert [*range(100), "again"] == made
