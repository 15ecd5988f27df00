"""
Comparisons, restatements, calibrations, canaries and calendars as pictures.
"""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta

import attrs
import pytest

from imcm import (
    CanaryPlan,
    Counts,
    Freeze,
    InvalidValue,
    Ledger,
    Look,
    Policy,
    Weekly,
    Window,
    calibration,
    change_failure_rate,
    compare,
    evidence_path,
    incident,
    judge,
    plots,
    restated,
    time_to_restore,
)
from imcm.plots.canvas import lines_of
from imcm.plots.differences import MOST_EFFECTS
from imcm.projections.figures.units import shown
from plots.logs import NOON, deployed, restored
from plots.looking import legend, points, texts


def y_labels(axes: object) -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


# --- before and after -----------------------------------------------------------------------------


def test_two_samples_are_two_curves_under_the_verdict() -> None:
    """The verdict is the comparison's, and so are the numbers of both sides."""
    a, b = (
        time_to_restore(restored(*(factor * (n + 1) for n in range(40))).facts())
        for factor in (1, 3)
    )
    comparison = compare(a, b)
    axes = comparison.plot()
    assert comparison.verdict in " ".join(texts(axes))
    names = legend(axes)
    assert [name.split("\n")[0] for name in names] == ["all time (a):", "all time (b):"]
    assert all("n = 40" in name for name in names)


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_the_numbers_beside_two_curves_are_those_compared(statistic: str) -> None:
    """The statistic, both values and the difference with its interval are the comparison's."""
    a, b = (
        time_to_restore(restored(*hours).facts(), statistic=statistic)
        for hours in ((1, 2, 3, 9), (1, 1.5, 4, 30, -1))
    )
    comparison = compare(a, b)
    axes = comparison.plot()
    for name, figure in zip(legend(axes), (a, b), strict=True):
        assert f"{statistic} {shown(figure.value, 'seconds')}, n = {figure.n}" in name
    written = " ".join(texts(axes))
    assert f"difference b - a: {shown(comparison.difference, 'seconds')}" in written
    assert comparison.warnings[0] in written
    assert f"{len(comparison.warnings) - 2} more warnings" in written


def test_what_is_cut_is_cut_behind_a_word() -> None:
    """A sentence that is too long ends in an ellipsis, not in half a word."""
    sentence = "counted or open in both figures " * 20
    lines = lines_of(sentence, 60, most=2)
    assert len(lines) == 2
    assert lines[-1].endswith(" …")
    assert set(" ".join(lines).split()) == {*sentence.split(), "…"}


def test_two_shares_are_two_points_with_their_intervals() -> None:
    """Points and bars are those of both figures."""
    a, b = (
        change_failure_rate(deployed([("a", n % each == 0) for n in range(60)]).facts())
        for each in (2, 5)
    )
    axes = compare(a, b).plot()
    comparison = compare(a, b)
    drawn = [each.get_xdata()[0] for each in points(axes, "o", "s", "D")]
    assert drawn == [a.value, b.value, comparison.difference]
    bars = [tuple(bar.get_segments()[0][:, 0]) for bar in axes.collections]
    assert bars == [(each.interval.low, each.interval.high) for each in (a, b, comparison)]
    assert y_labels(axes)[-1].startswith("difference b - a")
    left, right = axes.get_xlim()
    assert left < min(low for low, _ in bars)
    assert right > max(high for _, high in bars)
    assert axes.get_xlabel() == "change failure rate (%)"
    nothing = change_failure_rate(Ledger.in_memory().facts())
    half = compare(nothing, attrs.evolve(b, interval=None)).plot()
    assert [each.get_xdata()[0] for each in points(half, "o", "s", "D")] == [b.value]
    assert len(texts(compare(nothing, nothing).plot())) == 1
    with pytest.raises(InvalidValue, match="compare"):
        plots.before_and_after(a)  # type: ignore[arg-type]


# --- restatement ----------------------------------------------------------------------------------


def corrected(count: int) -> object:
    """Return what so many corrections did to a published mean."""
    ledger = restored(*range(1, count + 2))
    published = time_to_restore(ledger.replay(), statistic="mean")
    for number in range(count):
        at = NOON + timedelta(days=number)
        ledger.record(
            f"INC-{number}",
            incident.correct,
            by="ben",
            at=NOON + timedelta(days=90),
            version=1,
            field="at",
            was=at,
            now=at - timedelta(minutes=number + 1),
            why="the graphs say so",
        )
    return restated(
        ledger.replay(),
        lambda facts: time_to_restore(facts, statistic="mean"),
        known_at_a=published,
    )


def test_each_record_goes_from_the_value_before_it_to_the_value_after() -> None:
    """Bars are the effects, and both ends the published and the present value."""
    result = corrected(3)
    axes = result.plot()
    starts = [bar.get_x() for bar in axes.patches]
    assert starts == [effect.value_before for effect in result.changes]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == [float(effect.effect) for effect in result.changes]
    ends = [each.get_xdata()[0] for each in axes.get_lines() if each.get_marker() == "D"]
    assert ends == [result.before.value, result.after.value]
    assert y_labels(axes)[0] == "as published"
    assert y_labels(axes)[1].endswith("INC-0: moment corrected")
    assert y_labels(axes)[-1] == "as known now"
    assert "3 events became known since, 0 of them without effect" in texts(axes)


def test_of_many_records_those_with_most_effect_are_drawn() -> None:
    """The others are one line, with what they come to together."""
    result = corrected(MOST_EFFECTS + 5)
    axes = result.plot()
    assert len(axes.patches) == MOST_EFFECTS
    assert "5 more records, which moved it less" in y_labels(axes)
    least = sorted(result.changes, key=lambda effect: effect.effect)[:5]
    together = float(sum(effect.effect for effect in least))
    assert f"together +{shown(together, 'seconds')}" in texts(axes)


def test_a_value_that_became_defined_is_said() -> None:
    """From undefined there is no bar, but a cross and the words."""
    ledger = restored(-1)
    published = time_to_restore(ledger.replay())
    ledger.record("INC-0", incident.resolve, by="ana", at=NOON + timedelta(hours=2))
    result = restated(
        ledger.replay(), time_to_restore, known_at_a=published, as_of=NOON + timedelta(days=9)
    )
    axes = result.plot()
    assert "from undefined" in texts(axes)
    assert not axes.patches
    back = attrs.evolve(
        result,
        before=result.after,
        after=result.before,
        changes=[
            attrs.evolve(result.changes[0], value_before=7_200.0, value_after=None),
            attrs.evolve(result.changes[0], value_before=None, value_after=None),
        ],
    )
    assert {"to undefined", "from undefined"} <= set(texts(back.plot()))
    never = attrs.evolve(result, after=result.before, changes=[])
    assert texts(never.plot()) == ["all are still open"]
    with pytest.raises(InvalidValue, match="restated"):
        plots.restatement(published)  # type: ignore[arg-type]


# --- calibration ----------------------------------------------------------------------------------


def test_deciles_are_those_of_the_calibration() -> None:
    """Points and bars are the bins' own; without any there is a sentence."""
    draw = random.Random(4)
    log = deployed([(name := draw.choice("ab"), draw.random() < 0.3) for _ in range(400)]).facts()
    assert name
    result = calibration(log, every="month")
    axes = result.plot()
    [drawn] = points(axes, "o")
    assert list(drawn.get_xdata()) == [each.predicted for each in result.bins]
    assert list(drawn.get_ydata()) == [each.observed for each in result.bins]
    [collection] = axes.collections
    bars = [tuple(segment[:, 1]) for segment in collection.get_segments()]
    assert bars == [(each.interval.low, each.interval.high) for each in result.bins]
    assert axes.get_xlabel() == "predicted failures (%)"
    empty = calibration(Ledger.in_memory().facts())
    assert texts(empty.plot()) == ["nothing to learn from before any deployment"]
    with pytest.raises(InvalidValue, match="calibration"):
        plots.calibration(7)  # type: ignore[arg-type]


# --- canary ---------------------------------------------------------------------------------------


def looked(errors: list[int], percent: float | None = 10) -> list[Look]:
    return [
        Look(
            canary=Counts(requests=1_000, errors=each),
            baseline=Counts(requests=9_000, errors=20),
            percent=percent,
        )
        for each in errors
    ]


def test_evidence_is_that_of_the_verdict() -> None:
    """The last point is the verdict's evidence, and the mark stands where it was enough."""
    looks, plan = looked([2, 3, 9, 12, 20]), CanaryPlan()
    verdict, path = judge(looks, plan), evidence_path(looks, plan)
    assert len(path) == 5
    assert path[-1] == verdict.log_evidence
    assert verdict.passed_at == next(
        n for n, each in enumerate(path, start=1) if each >= -math.log(plan.alpha)
    )
    axes = plots.canary(iter(looks), plan)
    [drawn] = [each for each in axes.get_lines() if each.get_label() == "errors"]
    assert list(drawn.get_ydata()) == pytest.approx([each / math.log(10) for each in path])
    [mark] = [each for each in axes.get_lines() if each.get_marker() == "X"]
    assert list(mark.get_xdata()) == [verdict.passed_at]
    assert "10 %" in texts(axes)
    assert axes.get_title(loc="left") == "Canary: abort"


def test_each_metric_has_its_line_and_the_mean_decides() -> None:
    """Of two metrics there are three lines; the first is that of all."""
    plan = CanaryPlan(metrics=("errors", "timeouts"))
    looks = {"errors": looked([2, 2, 2]), "timeouts": looked([9, 30, 40])}
    axes = plots.canary(looks, plan)
    labels = [each.get_label() for each in axes.get_lines()]
    assert labels[:3] == ["all metrics", "errors", "timeouts"]
    path = evidence_path(looks, plan)
    assert list(axes.get_lines()[0].get_ydata()) == pytest.approx([p / math.log(10) for p in path])
    with pytest.raises(InvalidValue, match="timeouts"):
        plots.canary({"errors": looked([1])}, plan)
    with pytest.raises(InvalidValue, match="a list of Look"):
        plots.canary(7, CanaryPlan())  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="CanaryPlan"):
        evidence_path([], "plan")  # type: ignore[arg-type]
    assert texts(plots.canary([], CanaryPlan())) == ["no looks yet"]


def test_ten_thousand_looks_are_few_points() -> None:
    """As many points as can be seen, and no label for stages too narrow for one."""
    axes = plots.canary(looked([2] * 10_000, percent=None), CanaryPlan())
    assert len(axes.get_lines()[0].get_xdata()) <= 2_000


# --- calendar -------------------------------------------------------------------------------------


def test_each_day_has_its_deployments_and_its_incidents() -> None:
    """Squares count deployments, dots incidents, hatching is what was frozen."""
    log = deployed([("a", n == 3) for n in (0, 0, 0, 3, 0, 0, 0, 0)]).facts()
    week = Window(start=NOON + timedelta(days=1), end=NOON + timedelta(days=2))
    weekend = Weekly(start="Sat 00:00", end="Mon 00:00", time_zone="UTC")
    policy = Policy(name="p", freezes=[Freeze(name="f", times=[week, weekend])])
    axes = plots.calendar(log, freezes=policy)
    squares, frozen, dots = axes.collections
    cells = squares.get_array().reshape(7, 2)
    assert [cells[row][0] for row in range(7)] == [1.0] * 7
    assert cells[0][1] == 1.0
    assert len(frozen.get_paths()) == 4  # Tuesday and Wednesday, Saturday and Sunday
    assert [tuple(offset) for offset in dots.get_offsets()] == [(0.5, 3.5)]
    assert "8 deployments, 1 incident detected, 4 days with a freeze" in texts(axes)[0]
    assert axes.get_title(loc="left") == "Deployments, incidents and freezes"
    assert y_labels(axes)[0] == "Mon"


def test_a_day_is_one_of_the_zone() -> None:
    """What happens at noon in UTC is of the next day in Auckland."""
    log = deployed([("a", False)]).facts()
    axes = plots.calendar(log, time_zone="Pacific/Auckland")
    assert "2026-03-03 to 2026-03-03 (Pacific/Auckland)" in texts(axes)[0]


def test_of_many_years_the_last_weeks_are_drawn() -> None:
    """More than 53 weeks do not fit, and the picture says so."""
    log = deployed([("a", False)] * 800).facts()
    axes = plots.calendar(log)
    assert axes.get_xlim() == (0, 53)
    assert texts(axes)[0].startswith("the last 53 weeks of 115; ")
    window = (datetime(1, 1, 1, tzinfo=NOON.tzinfo), datetime(9999, 12, 31, tzinfo=NOON.tzinfo))
    assert plots.calendar(log, window=window).get_xlim() == (0, 53)
    with pytest.raises(InvalidValue, match="freezes"):
        plots.calendar(log, freezes=["weekend"])  # type: ignore[list-item]


def test_only_the_frozen_part_of_a_day_is_hatched() -> None:
    """From Friday 18:00 to Monday 06:00, and each stretch once, whatever overlaps."""
    log = deployed([("a", False)] * 14).facts()
    weekend = Weekly(start="Fri 18:00", end="Mon 06:00", time_zone="UTC")
    saturday = Weekly(start="Sat 00:00", end="Sun 00:00", time_zone="UTC")
    freezes = [Freeze(name="w", times=weekend), Freeze(name="s", times=saturday)]
    axes = plots.calendar(log, freezes=freezes)
    frozen = axes.collections[1]
    boxes = sorted(
        (x0, y0, y1 - y0)
        for path in frozen.get_paths()
        for (x0, y0), (_, y1) in [(path.vertices.min(axis=0), path.vertices.max(axis=0))]
    )
    week = [(4.75, 0.25), (5.0, 1.0), (6.0, 1.0)]
    first = [(0, 0.0, 0.25), *((0, y, height) for y, height in week)]
    second = [(1, 0.0, 0.25), *((1, y, height) for y, height in week)]
    assert boxes == [*first, *second]
    assert "8 days with a freeze, all of it or a part" in texts(axes)[0]


def test_without_freezes_nothing_is_said_of_them() -> None:
    """Not that there were none: nobody gave any."""
    log = deployed([("a", True)] * 3).facts()
    axes = plots.calendar(log)
    assert axes.get_title(loc="left") == "Deployments and incidents"
    assert not any("freeze" in text for text in texts(axes))
    long_ago = Window(start=NOON - timedelta(days=9), end=NOON - timedelta(days=8))
    axes = plots.calendar(log, freezes=[Freeze(name="f", times=long_ago)])
    assert "0 days with a freeze" in texts(axes)[0]


def test_the_key_says_what_the_size_of_a_dot_means() -> None:
    """One entry for each size there is, with its own size."""
    ledger = Ledger.in_memory(clock=lambda: NOON + timedelta(days=90))
    for day, count in enumerate((1, 2, 5)):
        for number in range(count):
            at = NOON + timedelta(days=day, minutes=number)
            ledger.record(f"INC-{day}{number}", incident.detect, by="ana", at=at, title="Slow")
    axes = plots.calendar(ledger.facts())
    assert legend(axes) == ["1 incident", "2 incidents", "4 or more incidents"]
    sizes = [each.get_sizes()[0] for each in axes.collections[1:]]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("days", [10, 60, 360])
def test_a_calendar_fills_its_figure(days: int) -> None:
    """As it is saved, without anything cut away: no empty third, and nothing outside."""
    axes = plots.calendar(deployed([("a", n % 9 == 0) for n in range(days)]).facts())
    figure = axes.figure
    figure.canvas.draw()
    drawn = figure.get_tightbbox()
    assert drawn.x0 < 0.1 * figure.get_figwidth()
    assert drawn.x1 <= figure.get_figwidth() + 0.01
    assert drawn.y0 >= -0.01
    assert axes.get_window_extent().x0 < 0.15 * figure.bbox.width
