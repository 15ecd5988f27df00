"""
Colours on any paper: what is drawn can be read in light styles and in dark ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colors, pyplot
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from imcm import (
    CanaryPlan,
    Freeze,
    Ledger,
    Policy,
    Weekly,
    calibration,
    change_failure_rate,
    compare,
    dora_report,
    incident,
    plots,
    side_by_side,
    time_to_restore,
    timeline,
    what_if,
)
from imcm.demo import StoryClock, tell
from imcm.plots.inks import MARK, TEXT, legible, palette_of
from plots.logs import NOON, deployed, planned, restored
from plots.looking import contrast, written
from plots.test_reports import corrected, looked

TRANSPARENT: dict[str, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": "#EEEEEE",
    "axes.labelcolor": "#EEEEEE",
    "axes.edgecolor": "#EEEEEE",
    "xtick.color": "#EEEEEE",
    "ytick.color": "#EEEEEE",
}
PAPERS: dict[str, Any] = {
    "default": {},
    "dark": "dark_background",
    "cream": "Solarize_Light2",
    "dark axes, light figure": {"axes.facecolor": "#202020"},
    "transparent, light text": TRANSPARENT,
}


@cache
def story() -> Ledger:
    clock = StoryClock()
    ledger = Ledger.in_memory(clock=clock)
    tell(ledger, clock, heard=lambda _: None)
    return ledger


@cache
def failing() -> Ledger:
    return deployed([("abcde"[n % 5], n % 3 == 0) for n in range(60)])


def _open() -> Axes:
    ledger = restored(-1)
    later = NOON + timedelta(days=9)
    ledger.record("INC-0", incident.mark, name="much later", by="ana", at=later)
    ledger.record("INC-0", incident.void, by="ben", at=later, version=2, why="no")
    return ledger.timeline("INC-0").plot("events")


def _what_if() -> Axes:
    friday = Freeze(name="f", times=Weekly(start="Fri 00:00", end="Sun 00:00"))
    return what_if(planned(28).replay(), Policy(name="no Fridays", freezes=[friday])).plot()


PICTURES: dict[str, Callable[[], Any]] = {
    "survival": lambda: plots.survival(time_to_restore(failing().facts(), group_by="service")),
    "over time": lambda: change_failure_rate(failing().facts(), bucket_by="month").plot(),
    "groups": lambda: change_failure_rate(failing().facts(), group_by="service").plot(),
    "report": lambda: dora_report(failing().facts(), bucket_by="week").plot("all")[0],
    "side by side": lambda: side_by_side(failing().facts()).plot(),
    "curves": lambda: compare(*(time_to_restore(restored(n, 2, 3).facts()) for n in (1, 5))).plot(),
    "shares": lambda: compare(
        *(
            change_failure_rate(deployed([("a", n % m == 0) for n in range(20)]).facts())
            for m in (2, 5)
        )
    ).plot(),
    "restatement": lambda: corrected(2).plot(),  # type: ignore[attr-defined]
    "calibration": lambda: calibration(failing().facts(), every="month").plot(),
    "calendar": lambda: plots.calendar(
        failing().facts(),
        freezes=[Freeze(name="f", times=Weekly(start="Fri 09:00", end="Sun 09:00"))],
    ),
    "incident": lambda: story().timeline("INC-204").plot("events"),
    "open incident": _open,
    "lanes": lambda: timeline(story().replay()).plot("lanes"),
    "canary": lambda: plots.canary(looked([2, 3, 9, 12, 20]), CanaryPlan()),
    "what if": _what_if,
    "nothing": lambda: time_to_restore(Ledger.in_memory().facts()).plot(),
}


def papers(axes: Axes) -> tuple[Any, Any]:
    """Return what is below what is drawn in axes, and below what stands around them."""
    light = contrast(mpl.rcParams["text.color"], "white") > contrast(
        mpl.rcParams["text.color"], "black"
    )
    below = "white" if light else "black"
    figure = axes.get_figure(root=True)
    assert figure is not None
    around = below if colors.to_rgba(figure.get_facecolor())[3] == 0 else figure.get_facecolor()
    inside = around if colors.to_rgba(axes.get_facecolor())[3] == 0 else axes.get_facecolor()
    return inside, around


def lines(axes: Axes) -> Iterator[Line2D]:
    """Yield the lines that say something: neither the grid nor what leads the eye."""
    for each in axes.get_lines():
        if each.get_visible() and each.zorder:
            yield each


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("picture", PICTURES)
def test_all_text_and_all_lines_can_be_read_on_the_paper(picture: str, paper: str) -> None:
    """Text has a contrast of 4.5 at least, and a line or a point one of 3."""
    style = PAPERS[paper]
    with pyplot.style.context(style):
        axes = PICTURES[picture]()
        figure = axes.get_figure(root=True)
        figure.canvas.draw()
        inside, around = papers(axes)
        box = axes.get_window_extent()
        found = [text for each in figure.axes for text in written(each)]
        for text in [*found, *figure.texts, *filter(None, [figure._suptitle])]:
            extent = text.get_window_extent()
            is_inside = axes.axison and box.contains(
                (extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2
            )
            patch = text.get_bbox_patch()
            below = inside if is_inside else around
            if patch is not None:
                below = patch.get_facecolor()
            assert contrast(text.get_color(), below) >= 4.49, text.get_text()
        for each in lines(axes):
            drawn = [each.get_color(), each.get_markeredgecolor()]
            if each.get_marker() in {"None", ""}:
                drawn = drawn[:1]
            best = max(contrast(colour, inside) for colour in drawn)
            is_cut_out = contrast(each.get_color(), inside) < 1.01  # of an area below it
            assert best >= 2.99 or is_cut_out, each.get_label()


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_a_day_without_deployments_is_next_to_the_paper(style: str) -> None:
    """More deployments stand out more, on light paper and on dark."""
    with pyplot.style.context(style):
        log = deployed([("a", False)] * 3).facts()
        axes = plots.calendar(log, window=(NOON, NOON + timedelta(days=9)))
        mesh = axes.collections[0]
        apart = [contrast(mesh.cmap(mesh.norm(n))[:3], axes.get_facecolor()) for n in (0, 0.5, 1)]
        assert apart == sorted(apart)
        assert apart[0] < 1.6
        assert apart[2] > 5


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_a_cut_in_the_axis_is_paper(style: str) -> None:
    """It does not shine."""
    with pyplot.style.context(style):
        axes = story().timeline("INC-204").plot("events")
        cuts = [each for each in axes.patches if each.get_hatch() == "xxx"]
        assert cuts
        for cut in cuts:
            assert contrast(cut.get_facecolor(), axes.get_facecolor()) == pytest.approx(1)


def test_a_style_is_read_when_a_picture_is_drawn_and_stays_as_it_is() -> None:
    """Of the axes given, too, whose paper may be another."""
    with pyplot.style.context("dark_background"):
        before = dict(mpl.rcParams)
        time_to_restore(restored(1, 2).facts()).plot()
        assert dict(mpl.rcParams) == before
    axes = time_to_restore(restored(1, 2).facts()).plot()
    assert axes.title.get_color() == "black"
    _, given_axes = pyplot.subplots()
    given_axes.set_facecolor("black")
    assert palette_of(given_axes).paper == (0, 0, 0)
    assert contrast(palette_of(given_axes).strong, "black") >= TEXT
    assert contrast(palette_of(given_axes).title, "white") >= TEXT


SHADES = st.tuples(*[st.floats(0, 1)] * 3)


@given(SHADES, SHADES, st.sampled_from([MARK, TEXT]))
def test_any_colour_becomes_legible_on_any_paper(
    colour: tuple[float, float, float], paper: tuple[float, float, float], least: float
) -> None:
    """And stays as it is where it already was."""
    found = legible(colour, (paper,), least)
    assert contrast(found, paper) >= least - 1e-6
    if contrast(colour, paper) >= least:
        assert found == pytest.approx(colour)
