"""
What a picture must not hide: periods in part, bounds there are not, definitions, other groups.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot

from imcm import (
    Facts,
    InvalidValue,
    Ledger,
    Severity,
    change_failure_rate,
    compare,
    deployment_frequency,
    dora_report,
    facts,
    incident,
    lead_time,
    plots,
    side_by_side,
    time_to_acknowledge,
    time_to_restore,
)
from imcm.plots.captions import in_part, placed, span_name
from imcm.plots.scales import reach
from imcm.projections.figures.units import zone
from imcm.projections.statistics.intervals import Interval
from plots.logs import NOON, deployed, restored
from plots.looking import labels, legend, line, points, texts

FIRST = NOON.replace(day=1, hour=0)


def rates(window: object, **more: object) -> object:
    log = deployed([("a", n % 4 == 0) for n in range(100)]).facts()
    return change_failure_rate(log, window=window, **more)  # type: ignore[arg-type]


# --- periods in part ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "by", "partly"),
    [
        (("2026-03-01T00:00Z", "2026-05-01T00:00Z"), "month", [0, 0]),
        (("2026-03-10T00:00Z", "2026-05-01T00:00Z"), "month", [1, 0]),
        (("2026-03-01T00:00Z", "2026-04-30T23:00Z"), "month", [0, 1]),
        (("2026-03-10T00:00Z", "2026-03-20T00:00Z"), "month", [1]),
        (("2026-03-02T00:00Z", "2026-03-16T00:00Z"), "week", [0, 0]),
        (("2026-03-01T00:00Z", "2026-03-16T00:00Z"), "week", [1, 0, 0]),
        (("2026-01-01T00:00Z", "2026-06-01T00:00Z"), "quarter", [0, 1]),
        (("2026-01-01T00:00Z", "2027-01-01T00:00Z"), "year", [1]),  # the data ends before
        (("2026-03-02T06:00Z", "2026-03-04T00:00Z"), "day", [1, 0]),
        (("2026-03-02T06:00Z", "2026-03-12T06:00Z"), 5, [0, 0]),
        (("2026-03-02T06:00Z", "2026-03-11T06:00Z"), 5, [0, 1]),
    ],
)
def test_a_period_that_the_window_cuts_is_one_in_part(
    window: tuple[str, str], by: str | int, partly: list[int]
) -> None:
    """By the calendar of the figure; all others are whole."""
    figure = rates(tuple(map(datetime.fromisoformat, window)), bucket_by=by)
    assert [int(each) for each in in_part(figure.buckets)] == partly  # type: ignore[attr-defined]


def test_other_ways_to_count_periods() -> None:
    """Weeks from Sunday, stretches counted from the end, and months of another zone."""
    window = (NOON.replace(day=1, hour=0), NOON.replace(day=14, hour=0))
    assert in_part(
        rates(window, bucket_by=4, time_zone="UTC").buckets  # type: ignore[attr-defined]
    ) == [False, False, False, True]
    facts_ = deployed([("a", False)] * 40).facts()
    sunday = deployment_frequency(facts_, window=window, bucket_by="week", week_starts="sunday")
    assert in_part(sunday.buckets) == [False, True]
    from_end = deployment_frequency(facts_, window=window, bucket_by=4, anchor="end")
    assert in_part(from_end.buckets) == [True, False, False, False]
    here = ("2026-03", "Europe/London")
    london = deployment_frequency(facts_, window=here[0], bucket_by="month", time_zone=here[1])
    assert in_part(london.buckets) == [False]


def test_what_ends_after_the_data_is_in_part() -> None:
    """As of the tenth, March is not over, whatever the window says."""
    ledger = deployed([("a", False)] * 30)
    known = facts(ledger.replay(), as_of=NOON.replace(day=10))
    figure = change_failure_rate(known, window="2026", bucket_by="month")
    assert in_part(figure.buckets) == [False, False] + [True] * 10


def test_a_period_in_part_is_hollow_and_no_line_joins_it() -> None:
    """And the key says what it is."""
    figure = rates((NOON.replace(day=10), FIRST.replace(month=6)), bucket_by="month")
    axes = figure.plot()  # type: ignore[attr-defined]
    [whole] = [each for each in points(axes, "o") if each.get_linestyle() == "-"]
    [hollow] = [each for each in points(axes, "o") if each.get_linestyle() == "None"]
    assert [n for n, y in enumerate(whole.get_ydata()) if y == y] == [1, 2]
    assert list(hollow.get_xdata()) == [0]
    assert list(hollow.get_ydata()) == [figure.buckets[0].value]  # type: ignore[attr-defined]
    assert hollow.get_markerfacecolor() != whole.get_color()
    assert legend(axes) == ["period in part"]
    whole_months = rates((FIRST, FIRST.replace(month=6)), bucket_by="month")
    assert whole_months.plot().get_legend() is None  # type: ignore[attr-defined]


# --- bounds ---------------------------------------------------------------------------------------


def half(low: float | None, high: float | None) -> Interval:
    return Interval(low=low, high=high, level=0.95, method="made up")


def test_a_bound_that_is_not_there_is_open_to_the_edge() -> None:
    """A dashed line with an arrow head, and no cap; the picture says what it means."""
    figure = time_to_restore(restored(1, 2, 3, 4).facts(), bucket_by="day")
    parts = tuple(
        attrs.evolve(part, interval=interval)
        for part, interval in zip(
            figure.buckets,
            (half(None, 9_000), half(3_000, None), half(None, None), half(3_600, 15_000)),
            strict=True,
        )
    )
    axes = attrs.evolve(figure, buckets=parts).plot()
    low, high = axes.get_ylim()
    dashed = [
        tuple(map(tuple, segment))
        for each in axes.collections
        if each.get_linestyle()[0][1] is not None
        for segment in each.get_segments()
    ]
    assert sorted(dashed) == [((0, 3_600.0), (0, low)), ((1, 7_200.0), (1, high))]
    [down], [up] = points(axes, "v"), points(axes, "^")
    assert (list(down.get_xdata()), list(up.get_xdata())) == ([0], [1])
    caps = points(axes, "_")
    assert [[n for n, y in enumerate(each.get_ydata()) if y == y] for each in caps] == [
        *([1, 3], [0, 3])
    ]
    assert "dashed: no bound; none: no interval" in " ".join(texts(axes))
    forest = attrs.evolve(figure, groups=tuple(
        attrs.evolve(part, group=name) for part, name in zip(parts, "abcd", strict=True)
    ), buckets=()).plot("groups")  # fmt: skip
    assert len(points(forest, "<")) == len(points(forest, ">")) == 1


@pytest.mark.parametrize("kind", ["over_time", "groups"])
def test_no_bound_stretches_an_axis_of_durations_below_0(kind: str) -> None:
    """Nothing lasts less than no time; where a bound lies there, the bar goes on to the edge."""
    figure = time_to_restore(restored(1, 2, 3).facts(), bucket_by="day", group_by="service")
    parts = tuple(attrs.evolve(each, interval=half(-9e5, 9_000)) for each in figure.buckets)
    groups = tuple(attrs.evolve(each, interval=half(-9e5, 9_000)) for each in figure.groups)
    axes = attrs.evolve(figure, buckets=parts, groups=groups).plot(kind)
    low, _ = axes.get_ylim() if kind == "over_time" else axes.get_xlim()
    assert low == 0
    assert points(axes, "v" if kind == "over_time" else "<")
    assert reach("seconds", [5.0], [-100.0]).low == 0
    assert reach("seconds", [-5.0], [-100.0]).low < -100  # a definition may count what is below
    assert reach("per day", [5.0], [-1.0]).low < -1


DURATIONS = st.lists(st.floats(0, 1e9), min_size=1, max_size=20)


@given(DURATIONS, DURATIONS)
def test_an_axis_holds_all_values(values: list[float], bounds: list[float]) -> None:
    """All values and all bounds above 0 are within it."""
    goes = reach("seconds", values, bounds)
    assert goes.low <= min(values)
    assert goes.high >= max([*values, *bounds])
    assert goes.low < goes.high


# --- what is measured -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistic", "said"),
    [("median", "time to restore"), ("p90", "time to restore, p90"),
     ("geometric_mean", "time to restore, geometric mean")],
)  # fmt: skip
def test_a_statistic_other_than_the_median_is_named(statistic: str, said: str) -> None:
    """In the title and on the axis, over time and by group."""
    figure = time_to_restore(
        restored(1, 2, 3).facts(), bucket_by="day", group_by="service", statistic=statistic
    )
    axes = figure.plot()
    assert axes.get_ylabel().startswith(f"{said} (")
    assert axes.get_title(loc="left") == said[:1].upper() + said[1:]
    axes = figure.plot("groups")
    assert axes.get_xlabel().startswith(f"{said} (")
    assert axes.get_title(loc="left") == said[:1].upper() + said[1:]


def test_the_axis_says_by_which_moment_periods_are_counted() -> None:
    """As the definition of the figure has it."""
    log = restored(1, 2, 3).facts()
    month = {"bucket_by": "month"}
    assert placed(time_to_restore(log, **month)) == "month in which it was resolved (UTC)"
    for moment, said in (("start", "was detected"), ("either", "began or ended")):
        figure = time_to_restore(log, in_window=moment, **month)
        assert placed(figure) == f"month in which it {said} (UTC)"
    marked = time_to_restore(log, end="mark:vendor called", **month)
    assert placed(marked) == "month of vendor called (UTC)"
    assert placed(lead_time(log, **month)) == "month of deployment (UTC)"
    assert placed(time_to_acknowledge(log, **month)) == "month in which it was acknowledged (UTC)"
    recovery = dora_report(log, **month).recovery
    assert placed(recovery) == "month of deployment (UTC)"
    assert placed(change_failure_rate(log, bucket_by=5)) == "5 days of deployment (UTC)"


def test_durations_far_apart_are_on_a_logarithmic_axis() -> None:
    """Over time as elsewhere; values stay as they are."""
    figure = time_to_restore(restored(0.1, 1, 30).facts(), bucket_by="day")
    axes = figure.plot()
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "time to restore (logarithmic)"
    drawn = [y for each in points(axes, "o") for y in each.get_ydata() if y == y]
    assert sorted(drawn) == [360.0, 3_600.0, 108_000.0]
    near = time_to_restore(restored(1, 2, 30).facts(), bucket_by="day").plot()
    assert near.get_yscale() == "linear"


def test_labels_of_periods_are_thinned_together() -> None:
    """Where all fit all are there, else every second with its n, at whatever width."""
    figure = rates((FIRST, FIRST.replace(year=2027)), bucket_by="month")
    for width, most in ((14, 12), (5, 6)):
        _, ax = pyplot.subplots(figsize=(width, 4), layout="constrained")
        axes = figure.plot(ax=ax)  # type: ignore[attr-defined]
        axes.figure.canvas.draw()
        names = [name for name in labels(axes, "x") if name]
        assert len(names) <= most
        assert all("\nn = " in name for name in names)
        assert (len(names) == 12) is (width == 14)


# --- the subtitle ---------------------------------------------------------------------------------


def test_the_period_and_the_definition_stand_above() -> None:
    """Of groups, curves and periods; of a report its preset too."""
    log = deployed([("a", n % 3 == 0) for n in range(40)]).facts()
    figure = change_failure_rate(
        log, window="2026-Q1", group_by="service", attribution="latest_before"
    )
    assert "2026-Q1 (UTC); attribution latest_before" in texts(figure.plot("groups"))
    report = dora_report(log, preset="middleware", window="2026-03", group_by="service")
    assert any(
        text.startswith("2026-03 (UTC); preset middleware; ")
        for text in texts(report.plot("groups"))
    )
    curve = time_to_restore(log, window=("2026-03-01T00:00Z", "2026-03-20T00:00Z"))
    assert "2026-03-01 to 2026-03-19 (UTC)" in texts(curve.plot("survival"))
    assert texts(time_to_restore(log).plot())[0].startswith("all time, as of 2026-")


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-01-01T00:00Z", "2027-01-01T00:00Z", "2026"),
        ("2026-04-01T00:00Z", "2026-07-01T00:00Z", "2026-Q2"),
        ("2026-05-01T00:00Z", "2026-08-01T00:00Z", "2026-05 to 2026-07"),
        ("2026-05-01T00:00Z", "2026-06-01T00:00Z", "2026-05"),
        ("2026-05-04T00:00Z", "2026-05-05T00:00Z", "2026-05-04"),
        ("2026-05-04T00:00Z", "2026-05-06T12:00Z", "2026-05-04 to 2026-05-06 12:00"),
        ("0001-01-01T00:00Z", "2026-05-06T00:00Z", "the beginning to 2026-05-06"),
    ],
)
def test_a_stretch_of_time_has_the_name_people_give_it(start: str, end: str, said: str) -> None:
    """Of whole days the last one is named, and not the midnight after it."""
    window = datetime.fromisoformat(start), datetime.fromisoformat(end)
    assert span_name(window, zone("UTC")) == said


def severities() -> Facts:
    """Return incidents, the worst of which take the least time."""
    ledger = Ledger.in_memory(clock=lambda: NOON + timedelta(days=90))
    for number, severity in enumerate((Severity.P3, Severity.P1, Severity.P2) * 3):
        id_, at = f"INC-{number}", NOON + timedelta(days=number)
        rank = int(severity[1])
        ledger.record(id_, incident.detect, by="ana", at=at, title="Slow", services=["a"])
        ledger.record(id_, incident.triage, by="ana", at=at, severity=severity)
        ledger.record(id_, incident.resolve, by="ana", at=at + timedelta(hours=rank))
    return ledger.facts()


@pytest.mark.parametrize("by", ["severity", "severity_name"])
def test_severities_stand_in_their_own_order(by: str) -> None:
    """And not in that of their values, which is another question."""
    axes = time_to_restore(severities(), group_by=by).plot("groups")
    assert labels(axes, "y") == ["P1", "P2", "P3", "all together"]


def test_over_time_says_that_there_are_groups() -> None:
    """What is drawn is all together, and the picture says how to see the others."""
    log = deployed([("ab"[n % 2], n % 3 == 0) for n in range(90)]).facts()
    report = dora_report(log, bucket_by="month", group_by="service")
    assert "all together; its groups by service are another picture" in texts(report.plot())
    alone = dora_report(log, bucket_by="month").plot()
    assert not any("all together" in text for text in texts(alone))


# --- presets, curves ------------------------------------------------------------------------------


def test_presets_far_apart_are_on_a_logarithmic_axis_and_each_interval_has_its_method() -> None:
    """What is true of medians is not said of means."""
    result = side_by_side(restored(0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.5, 90).facts(), metric="restore")
    axes = result.plot()
    assert axes.get_xscale() == "symlog"  # one of them counts whole hours, of which there are none
    said = next(text for text in texts(axes) if text.startswith("bars"))
    assert "exact order statistics of median" in said
    assert "Student t of mean" in said


def test_the_line_to_the_value_is_no_curve() -> None:
    """It is thin and unbroken, and no curve is; dots are those of a curve alone."""
    axes = plots.survival(
        time_to_restore(deployed([(name, True) for name in "abc"]).facts(), group_by="service")
    )
    down = [
        each
        for each in axes.get_lines()
        if each.get_linestyle() != "None" and len(set(each.get_xdata())) == 1
    ]
    assert len(down) == 3
    assert {each.get_linestyle() for each in down} == {"-"}
    assert max(each.get_linewidth() for each in down) < 1
    dotted = [each for each in axes.get_lines() if each.get_linestyle() == ":"]
    assert not dotted


# --- before and after -----------------------------------------------------------------------------


def halves(**more: object) -> tuple[object, object]:
    log = deployed([("a", n % 3 == 0) for n in range(120)]).facts()
    return tuple(
        change_failure_rate(log, window=window, **more)  # type: ignore[arg-type,return-value]
        for window in ("2026-03", "2026-04")
    )


def test_both_sides_are_called_by_their_periods() -> None:
    """And the key of two curves lies below them, where it covers nothing."""
    a, b = (
        time_to_restore(restored(*([1, 2, 5] * 14)).facts(), window=window)
        for window in ("2026-03", "2026-04")
    )
    axes = compare(a, b).plot()
    assert [text.split("\n")[0] for text in legend(axes)] == ["2026-03 (a):", "2026-04 (b):"]
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().y1 < axes.get_window_extent().y0
    shares = compare(*halves()).plot()  # type: ignore[arg-type]
    assert labels(shares, "y")[:2] == ["2026-03 (a)", "2026-04 (b)"]
    log = deployed([("ab"[n % 2], n % 3 == 0) for n in range(90)]).facts()
    groups = change_failure_rate(log, group_by="service").groups
    axes = compare(*groups).plot()
    assert axes.get_title(loc="left") == "Change failure rate, a and b"
    assert labels(axes, "y")[:2] == ["a (a)", "b (b)"]


def test_nothing_is_cut_off_or_printed_over_something() -> None:
    """No line ends in the figure's edge or between a number and its unit."""
    axes = compare(*halves()).plot()  # type: ignore[arg-type]
    figure = axes.figure
    figure.canvas.draw()
    names = [label.get_window_extent() for label in axes.get_yticklabels()]
    for text in axes.texts:
        box = text.get_window_extent()
        assert box.x1 <= figure.bbox.x1 + 1, text.get_text()
        assert not any(box.overlaps(name) for name in names), text.get_text()
        for part in text.get_text().split("\n"):
            assert not part.startswith("%")


def test_a_group_is_drawn_over_time_with_its_own_n() -> None:
    """As before: by its name."""
    log = deployed([("a", True), ("b", False)] * 20).facts()
    figure = change_failure_rate(log, group_by="service", bucket_by="month")
    axes = plots.over_time(figure, group="a")
    assert set(line(axes, "period in part").get_ydata()) == {1.0}
    with pytest.raises(InvalidValue, match="one of its groups: a, b"):
        plots.over_time(figure, group="z")
