"""
Figures as pictures: what is drawn are the figure's own numbers.
"""

from __future__ import annotations

import math
import warnings
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from matplotlib import pyplot
from matplotlib.text import Text

from imcm import (
    InvalidValue,
    change_failure_rate,
    compare,
    deployment_frequency,
    dora_report,
    incident,
    lead_time,
    plots,
    side_by_side,
    time_to_restore,
)
from imcm.plots.forests import MOST_ROWS
from imcm.plots.periods import MOST_BARS
from imcm.projections.figures.figure import Included
from imcm.projections.figures.units import shown
from imcm.projections.statistics.intervals import Interval
from imcm.projections.statistics.survival import kaplan_meier
from plots.logs import NOON, deployed, restored
from plots.looking import labels, legend, line, points, texts

HOURS = (1, 2, 3, 5, 8, 13, -1, -1)


# --- survival -------------------------------------------------------------------------------------


def test_the_survival_curve_is_that_of_the_core() -> None:
    """Its points are Kaplan and Meier's; what is open counts in its median, said besides."""
    figure = time_to_restore(restored(*HOURS).facts())
    axes = figure.plot("survival")
    durations = [*figure.values(), *(each.value for each in figure.censored)]
    whole = kaplan_meier(durations, [True] * figure.n + [False] * len(figure.censored))
    curve = line(axes, "median")
    assert list(curve.get_xdata())[1:] == list(whole.times)
    assert list(curve.get_ydata())[1:] == list(whole.survival)
    assert figure.beside["Kaplan-Meier median, open ones censored"] == whole.median
    assert curve.get_label() == "median 4 h, n = 6, 2 still open (with them 5 h)"
    [marks] = [each for each in axes.get_lines() if each.get_marker() == "+"]
    assert sorted(marks.get_xdata()) == sorted(each.value for each in figure.censored)
    assert axes.get_ylabel() == "not over yet (%)"
    assert "+: still open" in " ".join(texts(axes))


@pytest.mark.parametrize("statistic", ["median", "mean", "p90", "geometric_mean"])
@pytest.mark.parametrize("minutes", [(9, 32, 40, 121, 147, 215), (1, 2, 3)])
def test_the_number_in_the_legend_is_the_value_of_the_figure(
    statistic: str, minutes: tuple[int, ...]
) -> None:
    """Whatever statistic it is, the picture has the same number as its text, and marks it."""
    figure = time_to_restore(restored(*(m / 60 for m in minutes)).facts(), statistic=statistic)
    name = statistic.replace("_", " ")
    axes = figure.plot("survival")
    [label] = legend(axes)
    assert label == f"{name} {shown(figure.value, 'seconds')}, n = {len(minutes)}"
    [mark] = [each for each in axes.get_lines() if list(each.get_xdata()) == [figure.value] * 2]
    assert mark.get_ydata()[0] == 0


def test_the_band_is_that_of_the_core() -> None:
    """Every bound of a band is one of the curve; of many curves none is drawn, which is said."""
    figure = time_to_restore(restored(1, 2, 3, 5, 8).facts())
    axes = plots.survival(figure)
    whole = kaplan_meier(figure.values(), [True] * 5)
    [band] = axes.collections
    drawn = {round(float(y), 9) for path in band.get_paths() for y in path.vertices[:, 1]}
    assert {round(low, 9) for low in whole.low if low is not None} <= drawn
    assert {round(high, 9) for high in whole.high if high is not None} <= drawn
    for count, bands in ((3, 3), (4, 0)):
        services = [(name, True) for name in "abcd"[:count]]
        axes = plots.survival(time_to_restore(deployed(services).facts(), group_by="service"))
        assert len(axes.collections) == bands
        assert ("no bands: of more than 3 curves" in " ".join(texts(axes))) is not bool(bands)


def test_of_many_groups_the_largest_are_drawn() -> None:
    """Five curves can be told apart: those with most values, and the picture says so."""
    outcomes = [(f"service-{n}", True) for n in range(8) for _ in range(n + 1)]
    figure = time_to_restore(deployed(outcomes).facts(), group_by="service")
    axes = plots.survival(figure)
    names = [text.get_text().partition(":")[0] for text in axes.get_legend().get_texts()]
    assert names == [f"service-{n}" for n in (3, 4, 5, 6, 7)]
    assert "the 5 groups with most of 8" in texts(axes)


def test_one_incident_is_a_curve_and_none_a_sentence() -> None:
    """One value is a step; where all are open there is a curve that stays up."""
    assert line(time_to_restore(restored(2).facts()).plot(), "median").get_label() == (
        "median 2 h, n = 1"
    )
    all_open = time_to_restore(restored(-1, -1).facts()).plot()
    assert line(all_open, "median").get_label() == (
        "median undefined, n = 0, 2 still open (with them not reached)"
    )
    assert "nothing to count" in texts(time_to_restore(restored().facts()).plot())


def test_what_is_no_duration_has_no_survival_curve() -> None:
    """A rate is refused, with what to give instead."""
    with pytest.raises(InvalidValue, match="a figure of durations"):
        change_failure_rate(deployed([("a", True)]).facts()).plot("survival")
    with pytest.raises(InvalidValue, match="a figure of durations"):
        plots.survival("time to restore")  # type: ignore[arg-type]


# --- over time ------------------------------------------------------------------------------------


def test_over_time_draws_each_period_with_its_interval_and_n() -> None:
    """Values, bounds and n are those of the buckets, and an undefined one is marked, not 0."""
    window = "2026-01/2026-06"
    figure = change_failure_rate(
        deployed([("a", n % 3 == 0) for n in range(40)]).facts(),
        window=(NOON.replace(month=1), NOON.replace(month=6)),
        bucket_by="month",
    )
    axes = figure.plot()
    values = list(line(axes, "_change failure rate").get_ydata())
    assert len(values) == len(figure.buckets) == 6, window
    for value, part in zip(values, figure.buckets, strict=True):
        assert math.isnan(value) if part.value is None else value == part.value
    [bars] = [each for each in axes.collections if each.get_segments()]
    known = [part for part in figure.buckets if part.value is not None]
    for segment, part in zip(bars.get_segments(), known, strict=True):
        assert tuple(segment[:, 1]) == (part.interval.low, part.interval.high)
    assert list(line(axes, "undefined").get_xdata()) == [
        n for n, part in enumerate(figure.buckets) if part.value is None
    ]
    assert labels(axes, "x")[2] == f"2026-03\nn = {figure.buckets[2].n}"
    assert axes.get_ylabel() == "change failure rate (%)"
    assert axes.get_xlabel() == "month of deployment (UTC)"


def test_a_group_can_be_drawn_over_time() -> None:
    """By its name; a name that it has not is refused with those it has."""
    log = deployed([("a", True), ("b", False)] * 20).facts()
    figure = change_failure_rate(log, group_by="service", bucket_by="month")
    axes = plots.over_time(figure, group="b")
    assert axes.get_title(loc="left") == "Change failure rate, b"
    assert {part.value for part in figure.groups[1].buckets} == {0.0}
    assert set(line(axes, "period in part").get_ydata()) == {0.0}
    with pytest.raises(InvalidValue, match="one of its groups: a, b"):
        plots.over_time(figure, group="c")
    with pytest.raises(InvalidValue, match="a figure with periods"):
        plots.over_time(change_failure_rate(log))


@pytest.mark.parametrize(
    ("by", "first"),
    [("day", "2026-03-02"), ("week", "2026-03-02"), ("quarter", "2026-Q1"), ("year", "2026")],
)
def test_periods_are_called_by_their_names(by: str, first: str) -> None:
    """A quarter is one, a week the day it begins; many have a band in place of bars."""
    figure = deployment_frequency(deployed([("a", False)] * 90).facts(), bucket_by=by)
    axes = figure.plot()
    assert labels(axes, "x")[0].split("\n")[0] == first
    assert len(labels(axes, "x")) <= 12
    assert axes.get_ylabel() == f"deployment frequency ({figure.unit})"
    if len(figure.buckets) > MOST_BARS:
        assert "band" in texts(axes)[-2] + texts(axes)[-1] + texts(axes)[0]


# --- groups and presets ---------------------------------------------------------------------------


def test_each_group_has_its_value_its_interval_and_its_n() -> None:
    """The highest first, the whole last; every number is the group's own."""
    log = deployed([("a", False), ("b", True), ("c", False), ("c", True)] * 6).facts()
    figure = change_failure_rate(log, group_by="service")
    axes = figure.plot("groups")
    assert labels(axes, "y") == ["b", "c", "a", "all together"]
    by_name = {group.group: group for group in figure.groups} | {"all together": figure}
    for name, point in zip(labels(axes, "y"), points(axes, "o", "D"), strict=True):
        assert list(point.get_xdata()) == [by_name[name].value]
    for name, bar in zip(labels(axes, "y"), axes.collections, strict=True):
        interval = by_name[name].interval
        assert tuple(bar.get_segments()[0][:, 0]) == (interval.low, interval.high)
    assert any("n = 12" in text for text in texts(axes))
    assert "bars: 95 % intervals (Wilson score)" in texts(axes)


def test_of_many_groups_those_with_most_stand_there() -> None:
    """More than thirty do not fit, and the picture says how many there are."""
    outcomes = [(f"service-{n:03}", False) for n in range(40) for _ in range(1 + (n > 5))]
    axes = change_failure_rate(deployed(outcomes).facts(), group_by="service").plot("groups")
    assert len(labels(axes, "y")) == MOST_ROWS + 1
    assert f"the {MOST_ROWS} groups with most of 40" in texts(axes)
    assert not {"service-000", "service-005"} & set(labels(axes, "y"))


def test_a_group_without_a_value_says_why() -> None:
    """It is there, and is not 0."""
    log = deployed([("a", False)]).facts()
    axes = change_failure_rate(log, group_by="service", services=["a", "b"]).plot("groups")
    assert labels(axes, "y") == ["a", "b", "all together"]
    assert any(text.startswith("undefined: ") for text in texts(axes))


def test_presets_stand_side_by_side_with_their_own_numbers() -> None:
    """Each preset has its row, whose point is its figure."""
    result = side_by_side(deployed([("a", n % 3 == 0) for n in range(30)]).facts())
    axes = result.plot()
    assert labels(axes, "y") == list(result.figures)
    drawn = [point.get_xdata()[0] for point in points(axes, "o")]
    assert drawn == [each.value for each in result.figures.values() if each.value is not None]
    with pytest.raises(InvalidValue, match="side_by_side"):
        plots.side_by_side({})  # type: ignore[arg-type]


def test_numbers_in_another_unit_stand_beside_the_axis() -> None:
    """Deployments per week have no point on an axis of days, and say their value."""
    log = deployed([("a", False)] * 30).facts()
    result = side_by_side(log, metric="deployment_frequency", window=(NOON, NOON.replace(day=30)))
    axes = result.plot()
    units = [each.unit for each in result.figures.values() if each.value is not None]
    assert len(set(units)) > 1
    assert len(points(axes, "o")) == max(units.count(unit) for unit in units)
    assert "without a point: in another unit" in texts(axes)
    assert sum("per week" in text for text in texts(axes)) >= 1


def test_wide_groups_are_on_a_logarithmic_axis() -> None:
    """Where one group takes a hundred times as long as another; values stay as they are."""
    ledger = restored(0.01, service="a")
    for number, hours in enumerate((10, 20)):
        id_, at = f"INC-9{number}", NOON
        ledger.record(id_, incident.detect, by="ana", at=at, title="b", services=["b"])
        ledger.record(id_, incident.resolve, by="ana", at=at + timedelta(hours=hours))
    axes = time_to_restore(ledger.facts(), group_by="service").plot("groups")
    assert axes.get_xscale() == "log"
    assert sorted(each.get_xdata()[0] for each in axes.get_lines() if each.get_marker() == "o") == [
        *(36.0, 54_000.0)
    ]
    with pytest.raises(InvalidValue, match="a figure, such as"):
        plots.groups("service")  # type: ignore[arg-type]


def test_a_window_of_a_year_without_end_and_an_interval_without_bound() -> None:
    """Periods at either end of the calendar have names, and a missing bound no cap."""
    figure = time_to_restore(restored(1, 2, 3).facts(), bucket_by="year")
    [part] = figure.buckets
    ends = (
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 1, 1, tzinfo=UTC),
    )
    half = Interval(low=None, high=9_000.0, level=0.95, method="made up")
    parts = tuple(
        attrs.evolve(part, window=(start, start + timedelta(days=9)), interval=half)
        for start in ends
    )
    axes = attrs.evolve(figure, buckets=parts, value=None).plot("over_time")
    assert [label.split("\n")[0] for label in labels(axes, "x")] in (
        ["1", "9999"],
        ["0001", "9999"],
    )
    low, high = [each for each in axes.get_lines() if each.get_marker() == "_"]
    assert all(math.isnan(each) for each in low.get_ydata())
    assert list(high.get_ydata()) == [9_000.0, 9_000.0]


def test_durations_below_0_have_no_survival_curve() -> None:
    """A definition may count them; the curve refuses them with the reason."""
    figure = time_to_restore(restored(1, 2).facts())
    with pytest.raises(InvalidValue, match="durations of 0 or more"):
        plots.survival(attrs.evolve(figure, included=[Included("INC-1", -3.0)]))


# --- reports and what a result has ----------------------------------------------------------------


def test_a_report_draws_the_figure_asked_for() -> None:
    """By default what it has of the change failure rate; of durations time to restore."""
    log = deployed([("a", n % 3 == 0) for n in range(30)]).facts()
    report = dora_report(log, bucket_by="month", group_by="service")
    assert report.plot().get_ylabel() == "change failure rate (%)"
    assert report.plot("groups").get_xlabel() == "change failure rate (%)"
    assert report.plot("survival").get_xlabel() == "time to restore (minutes)"
    assert report.plot("over_time", metric="rework_rate").get_ylabel() == "rework rate (%)"
    with pytest.raises(InvalidValue, match="near it: lead_time"):
        report.plot(metric="lead_tim")
    with pytest.raises(InvalidValue, match="near it: survival"):
        report.plot("survial")


@pytest.mark.parametrize(
    ("result", "arguments", "said"),
    [
        ("figure", {}, "a figure, a report"),
        ("comparison", {"kind": "survival"}, "there is one picture of it"),
        ("duration", {"metric": "restore"}, "only a report has several"),
    ],
)
def test_what_there_is_no_picture_of_is_refused(
    result: str, arguments: dict[str, str], said: str
) -> None:
    """Whoever asks for another picture is told which there are."""
    figure = time_to_restore(restored(1, 2, 3).facts())
    results = {"figure": 7, "comparison": compare(figure, figure), "duration": figure}
    with pytest.raises(InvalidValue, match=said):
        plots.plot(results[result], **arguments)


def test_all_durations_have_their_pictures() -> None:
    """Lead time, too; on a logarithmic axis where they are wide apart."""
    log = restored(0.01, 0.5, 3, 40, 900).facts()
    wide = time_to_restore(log).plot()
    assert wide.get_xscale() == "log"
    assert wide.get_xlabel() == "time to restore (logarithmic)"
    assert "1 h" in [text.get_text() for text in wide.get_xticklabels()]
    assert texts(lead_time(log).plot()) == ["nothing to count"]


# --- large ----------------------------------------------------------------------------------------


def test_a_hundred_thousand_values_are_few_points() -> None:
    """A curve of many values is drawn with as many points as can be seen."""
    figure = time_to_restore(restored(1).facts())
    many = [Included(f"INC-{n}", 60.0 + n) for n in range(100_000)]
    figure = attrs.evolve(figure, included=many, censored=many[:5_000], n=len(many))
    axes = plots.survival(figure)
    assert sum(len(each.get_xdata()) for each in axes.get_lines()) < 5_000
    whole = kaplan_meier(
        [each.value for each in many + many[:5_000]], [True] * 100_000 + [False] * 5_000
    )
    drawn = line(axes, "median").get_xydata()
    for time, share in drawn[1::100]:
        assert share == whole.survival_at(float(time))


@pytest.mark.parametrize(
    ("hours", "scale", "label"),
    [
        ((0, 0.1, 3, 40, 900), "symlog", "time to restore (logarithmic from 6 min on)"),
        ((1e-9, 3, 40, 2_000), "symlog", "time to restore (logarithmic from 7.2 s on)"),
        ((0, 0, 0), "linear", "time to restore (seconds)"),
        ((0, 1, 2), "linear", "time to restore (hours)"),
    ],
)
def test_what_took_no_time_is_on_the_axis(hours: tuple[float, ...], scale: str, label: str) -> None:
    """A logarithmic axis has no place for 0, so it begins with a linear part, and says so."""
    figure = time_to_restore(restored(*hours).facts())
    axes = figure.plot()
    assert axes.get_xscale() == scale
    assert axes.get_xlabel() == label
    low, high = axes.get_xlim()
    assert low == 0.0
    assert high > figure.values()[-1]
    assert list(line(axes, "median").get_xdata())[1:] == sorted(set(figure.values()))


# --- several in one picture -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["over_time", "groups"])
def test_pictures_fit_into_a_grid(kind: str) -> None:
    """In a grid with a constrained layout every picture has room, and nothing is warned of."""
    log = deployed([("abc"[n % 3], n % 3 == 0) for n in range(120)])
    report = dora_report(log.facts(), bucket_by="month", group_by="service")
    figure, grid = pyplot.subplots(2, 3, figsize=(14, 8), layout="constrained")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric, ax in zip(report.figures, grid.flat, strict=True):
            report.plot(kind, metric=metric, ax=ax)
        figure.draw_without_rendering()
    for ax in grid.flat:
        wide = ax.get_window_extent()
        assert wide.width > 0.1 * figure.bbox.width
        assert wide.height > 0.2 * figure.bbox.height
        for text in ax.texts:
            if not text.get_in_layout():  # the lines below the title
                assert text.get_window_extent().width < figure.bbox.width / 3
    for above, below in zip(grid[0], grid[1], strict=True):
        labels_of_axis = above.xaxis.get_tightbbox()
        title = below.get_title(loc="left")
        [heading] = [text for text in below.findobj(Text) if text.get_text() == title and title]
        if labels_of_axis is not None and above.axison:
            assert heading.get_window_extent().y1 <= labels_of_axis.y0
