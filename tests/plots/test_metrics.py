"""
All metrics in one picture, pictures in figures of others, and what a policy would have stopped.
"""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes

from imcm import (
    Freeze,
    InvalidValue,
    Ledger,
    Policy,
    Weekly,
    change_failure_rate,
    dora_report,
    plots,
    time_to_restore,
    what_if,
)
from imcm.projections.figures.units import brief
from plots.logs import deployed, planned, restored
from plots.looking import labels, points, read, texts

ALL = "all together"

# --- all metrics ----------------------------------------------------------------------------------


def failing(count: int = 120) -> Ledger:
    return deployed([("abc"[n % 3], n % 3 == 0) for n in range(count)])


@pytest.mark.parametrize("periods", [None, "month"])
def test_each_metric_of_a_report_has_a_panel(periods: str | None) -> None:
    """In the order of the report, with its value, of how many, and its unit."""
    report = dora_report(failing().facts(), bucket_by=periods, window="2026")
    panels = report.plot("all")
    assert len(panels) == len(report.figures) == 6
    for axes, figure in zip(panels, report.figures.values(), strict=True):
        assert isinstance(axes, Axes)
        assert axes.get_title(loc="left").lower() == figure.name
        if figure.value is not None:
            value = brief(figure.value, figure.unit)
            [said] = [text for text in texts(axes) if text.startswith(f"{value}, ")]
            assert f"{figure.n}" in said
            label = axes.get_ylabel() if periods else axes.get_xlabel()
            assert label in {"per day", "%", "hours", "days", "minutes", "seconds"}
    [picture] = {axes.get_figure() for axes in panels}
    assert read(picture._suptitle).startswith("DORA metrics")
    said = " ".join(read(each) for each in picture.artists)
    assert "2026 (UTC); as of 2026-" in said
    assert "preset dora" in said
    key = [text.get_text() for each in picture.legends for text in each.get_texts()]
    assert ("period in part" in key) is (periods is not None)
    assert pyplot.get_fignums() == [picture.number]


def test_a_report_without_periods_has_its_groups_in_each_panel() -> None:
    """Each with its value, and all together below."""
    panels = dora_report(failing().facts(), group_by="service").plot("all")
    report = dora_report(failing().facts(), group_by="service")
    for axes, figure in zip(panels, report.figures.values(), strict=True):
        if figure.value is not None:
            assert sorted(labels(axes, "y")) == sorted([*(g.group for g in figure.groups), ALL])
            [whole] = points(axes, "D")
            assert list(whole.get_xdata()) == [figure.value]


def test_a_figure_or_a_part_of_one_can_be_given() -> None:
    """Axes are too small for it, and are refused with what to do."""
    report = dora_report(failing().facts())
    figure = pyplot.figure(figsize=(12, 8))
    panels = report.plot("all", ax=figure)
    assert {axes.get_figure() for axes in panels} == {figure}
    assert figure.get_layout_engine() is not None
    whole = pyplot.figure(figsize=(14, 8), layout="constrained")
    left, right = whole.subfigures(1, 2)
    assert {axes.get_figure() for axes in plots.metrics(report, ax=left)} == {left}
    report.plot(ax=right.subplots())
    _, ax = pyplot.subplots()
    with pytest.raises(InvalidValue, match='a Figure or SubFigure for kind="all"'):
        report.plot("all", ax=ax)  # type: ignore[call-overload]
    with pytest.raises(InvalidValue, match="draws each of them"):
        report.plot("all", metric="restore")  # type: ignore[call-overload]
    with pytest.raises(InvalidValue, match="dora_report"):
        plots.metrics(time_to_restore(failing().facts()))  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="one of over_time"):
        time_to_restore(failing().facts()).plot("all")


def test_a_metric_that_is_undefined_says_so_in_its_panel() -> None:
    """Without commits there is no lead time; in an empty log there is nothing at all."""
    panels = dora_report(failing().facts(), bucket_by="month").plot("all")
    assert texts(panels[1])[-1].startswith("nothing to count")
    nothing = dora_report(Ledger.in_memory().facts()).plot("all")
    assert not any(axes.axison for axes in nothing)


@pytest.mark.parametrize("width", [9, 12, 16])
def test_nothing_in_the_panels_overlaps(width: float) -> None:
    """Whatever the figure is: headings, labels and the frame of the next panel are apart."""
    figure = pyplot.figure(figsize=(width, 10), layout="constrained")
    report = dora_report(failing().facts(), bucket_by="month")
    panels = report.plot("all", ax=figure)
    figure.canvas.draw()
    boxes = [box for axes in panels if (box := axes.get_tightbbox()) is not None]
    for one, other in combinations(boxes, 2):
        assert not one.padded(-2).overlaps(other)
    [small] = figure.artists
    assert all(not small.get_window_extent().padded(-2).overlaps(box) for box in boxes)


# --- in figures of others -------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_two_pictures_side_by_side(layout: str | None) -> None:
    """Headings are as wide as their axes, nothing is cut off, nothing runs into the neighbour."""
    log = failing().facts()
    figure, (left, right) = pyplot.subplots(1, 2, layout=layout)
    plots.over_time(change_failure_rate(log, bucket_by="month", group_by="service"), ax=left)
    plots.over_time(time_to_restore(log, bucket_by="month"), ax=right)
    figure.canvas.draw()
    figure.canvas.draw()
    frame = figure.bbox.padded(3)
    for axes in (left, right):
        box = axes.get_tightbbox()
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        assert box.y1 <= frame.y1
        assert box.y0 >= frame.y0
        for text in axes.texts:
            if not text.get_in_layout():
                assert text.get_window_extent().width <= 1.05 * axes.bbox.width
    assert left.get_tightbbox().x1 <= right.bbox.x0
    assert right.get_tightbbox().x0 >= left.bbox.x1 - 1


def test_headings_are_broken_again_where_a_figure_becomes_wider() -> None:
    """Each time it is drawn; a title that somebody wrote since stays theirs, and above."""
    figure, ax = pyplot.subplots(figsize=(3, 4), layout="constrained")
    axes = change_failure_rate(failing().facts(), bucket_by="month").plot(ax=ax)
    figure.canvas.draw()
    assert any("\n" in text.get_text() for text in axes.texts)
    figure.set_size_inches(12, 4)
    figure.canvas.draw()
    figure.canvas.draw()
    lines = [text for text in axes.texts if not text.get_in_layout()]
    assert not any("\n" in text.get_text() for text in lines)
    axes.set_title("Mine", loc="left")
    figure.canvas.draw()
    assert axes.get_title(loc="left") == "Mine"
    [mine] = [text for text in axes.findobj(lambda each: hasattr(each, "get_text"))
              if text.get_text() == "Mine"]  # fmt: skip
    assert all(mine.get_window_extent().y0 >= text.get_window_extent().y1 - 1 for text in lines)


# --- what if --------------------------------------------------------------------------------------


def test_what_a_policy_stops_has_a_row_for_each_guard() -> None:
    """Points and bars are the shares of the result, and the dotted line what it lets in."""
    log = planned(28).replay()
    friday = Freeze(name="f", times=Weekly(start="Fri 00:00", end="Sun 00:00"))
    result = what_if(log, Policy(name="no Fridays", freezes=[friday]))
    axes = result.plot()
    assert labels(axes, "y") == [*result.by_guard, "all it would stop", "let in"]
    shares = [*result.by_guard.values(), result.share_of_stopped, result.share_of_passed]
    drawn = [point.get_xdata()[0] for point in points(axes, "o", "s", "D")]
    assert drawn == [share.value for share in shares]
    for share, bar in zip(shares, axes.collections, strict=True):
        assert tuple(bar.get_segments()[0][:, 0]) == (share.interval.low, share.interval.high)
    said = " ".join(texts(axes))
    assert f"{len(result.stopped)} of {result.deployments} deployments stopped or delayed" in said
    assert "and not what it would have prevented" in said
    assert axes.get_title(loc="left").startswith("What if no Fridays, version")
    assert axes.get_xlabel() == "of these deployments, failed (%)"
    nothing = what_if(Ledger.in_memory().replay(), Policy(name="p")).plot()
    assert texts(nothing) == ["there is no deployment to ask it of"]
    with pytest.raises(InvalidValue, match="what_if"):
        plots.what_if(7)  # type: ignore[arg-type]


def test_a_policy_that_stops_nothing_says_none() -> None:
    """There is no share of none."""
    axes = what_if(planned(7).replay(), Policy(name="p")).plot()
    assert labels(axes, "y") == ["all it would stop", "let in"]
    assert "none" in texts(axes)
    assert len(axes.collections) == 1


# --- a zone for the labels ------------------------------------------------------------------------


def test_a_timeline_is_labelled_in_a_zone() -> None:
    """Both of its pictures; what was computed in a zone has that one."""
    story = restored(2).timeline("INC-0")
    for kind in ("events", "lanes", None):
        axes = story.plot(kind, time_zone="Asia/Tokyo")
        assert axes.get_xlabel() == "time (Asia/Tokyo)"
    figure = time_to_restore(restored(2).facts())
    with pytest.raises(InvalidValue, match="the zone that it was computed in"):
        plots.plot(figure, time_zone="Asia/Tokyo")
    with pytest.raises(InvalidValue, match="an IANA zone"):
        story.plot(time_zone="Utopia")
