"""
Reports as documents: the figures people came for, one line for each group, and comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from imcm.documents.structure import (
    Block,
    Cell,
    Column,
    Document,
    Heading,
    Items,
    Paragraph,
    Table,
    Tone,
    Word,
)
from imcm.projections.figures.display import (
    bounds_of,
    level_of,
    parts_of,
    period_text,
    scale_of,
    with_statistic,
)
from imcm.projections.figures.excerpt import SOME
from imcm.projections.figures.units import POINTS, SHARE, apart, shown
from imcm.projections.reports.bands import WORSE_THAN_LOW

if TYPE_CHECKING:
    from imcm.projections.figures.figure import Figure
    from imcm.projections.reports.compare import Comparison
    from imcm.projections.reports.dora import DoraReport, SideBySide
    from imcm.projections.reports.restated import Restatement

SHORT: Final[Mapping[str, str]] = {
    "deployment frequency": "deployments",
    "lead time": "lead time",
    "lead time for changes": "lead time",
    "change failure rate": "change failure rate",
    "failed deployment recovery time": "deployment recovery",
}
"""Names of figures that are too long for a table of 80 columns, and what stands for them there."""

_HEADS: Final[Mapping[str, str]] = {
    "deployment frequency": "deploys",
    "change failure rate": "failed",
    "failed deployment recovery time": "recovery",
    "rework rate": "rework",
    "time to restore": "restore",
    "mean time to restore": "restore",
    "time to acknowledge": "acknowl.",
    "time to mitigate": "mitigate",
}
"""Heads of columns, in tables with a line for each group."""

_TONES: Final[Mapping[str, Tone]] = {
    "elite": "good",
    "high": "fair",
    "medium": "poor",
    "low": "bad",
    WORSE_THAN_LOW: "bad",
}


_FURTHER: Final[Mapping[str, str]] = {WORSE_THAN_LOW: "below low"}


class Levels(NamedTuple):
    """The performance levels of a figure, and all those that its interval reaches."""

    levels: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()

    def text(self) -> str:
        """
        Return it in words: "high", or "high, elite to medium" where the interval reaches further.
        """
        own = "/".join(_FURTHER.get(level, level) for level in self.levels)
        if len(self.reached) < 2 or set(self.reached) <= set(self.levels):
            return own
        first, last = (_FURTHER.get(level, level) for level in (self.reached[0], self.reached[-1]))
        return f"{own}, {first} to {last}"

    def word(self) -> Cell:
        """Return it as a cell, with the tone of its worst level."""
        return Word(self.text(), _TONES[self.levels[-1]]) if self.levels else None


def levels_of(report: DoraReport) -> dict[str, Levels]:
    """Return the levels of the figures of a report by the names of the figures."""
    return {
        figure.name: Levels(report.bands[metric], report.interval_bands.get(metric, ()))
        for metric, figure in report.figures.items()
    }


def figures_document(
    figures: Sequence[Figure],
    *,
    title: str,
    names: Sequence[str] = (),
    levels: Mapping[str, Levels] | None = None,
    year: int | None = None,
    comparisons: Sequence[Comparison] = (),
    notes: Sequence[str] = (),
    most: int | None = None,
) -> Document:
    """
    Return figures as a document: each in a line, and then each group and period in one.

    Args:
        figures: The most wanted first. Their groups and periods are those of the first.
        title: What it is.
        names: What each is called; by default their own names, long ones made short.
        levels: Performance levels by the names of figures, of the report of *year*.
        comparisons: With an earlier period.
        notes: What a reader should know before trusting it.
        most: How many groups and periods are shown; None for all.
    """
    blocks: list[Block] = [
        _whole(figures, names or list(map(short_name, figures)), levels or {}, year)
    ]
    undefined = [f"{f.name} is undefined: {f.reason}" for f in figures if f.value is None]
    said = [*undefined, *_said_of(figures)]
    if said:
        blocks.append(Items(tuple(said)))
    if any(f.groups or f.buckets for f in figures):
        blocks.append(_by_part(figures, most=most))
    of_all = _said_of_all(comparisons)
    for comparison in comparisons:
        blocks += _compared(comparison, but=of_all)
    if of_all:
        blocks.append(Items(tuple(f"of all comparisons: {text}" for text in of_all)))
    if notes:
        blocks.append(Items(tuple(notes)))
    return Document(title=title, blocks=tuple(blocks))


def _said_of(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield what a reader should know of each figure, with the names of those it is said of."""
    names: dict[str, list[str]] = {}
    for figure in figures:
        for note in figure.notes:
            names.setdefault(note, []).append(short_name(figure))
    for note, theirs in names.items():
        yield note if len(theirs) == len(figures) else f"{', '.join(theirs)}: {note}"


def _whole(
    figures: Sequence[Figure],
    names: Sequence[str],
    levels: Mapping[str, Levels],
    year: int | None,
) -> Table:
    level = level_of(figures)
    columns = [
        Column(name="figure"),
        Column(name="value", kind="number"),
        Column(name="unit"),
        Column(name="from", kind="number", unit=level),
        Column(name="to", kind="number", unit=level),
        Column(name="n", kind="number"),
    ]
    has_levels = any(each.levels for each in levels.values())
    if has_levels:
        columns.append(Column(name=f"band of {year}"))
    columns += [Column(name="distribution", wide=True), Column(name="left out", wide=True)]
    rows: list[tuple[Cell, ...]] = []
    for name, figure in zip(names, figures, strict=True):
        scale = scale_of([figure.value], figure.unit)
        low, high = map(scale.of, bounds_of(figure))
        head = (name, scale.of(figure.value), scale.unit)
        band = (levels.get(figure.name, Levels()).word(),) if has_levels else ()
        left = ", ".join(f"{count:,} {why}" for why, count in figure.why_left_out().items())
        rows.append((*head, low, high, figure.n, *band, distribution(figure), left))
    return Table(title="figures", columns=tuple(columns), rows=rows)


def _by_part(figures: Sequence[Figure], *, most: int | None) -> Table:
    parts: dict[tuple[str, str], list[Figure | None]] = {}
    for number, figure in enumerate(figures):
        for part in parts_of(figure):
            key = part.group, part.period
            parts.setdefault(key, [None] * len(figures))[number] = part.figure
    grouped = any(figure.groups for figure in figures)
    in_periods = any(figure.buckets for figure in figures)
    columns = [Column(name="group")] if grouped else []
    if in_periods:
        columns.append(Column(name="period"))
    scales = [
        scale_of((own.value for each in parts.values() if (own := each[n]) is not None), f.unit)
        for n, f in enumerate(figures)
    ]
    for number, (figure, scale) in enumerate(zip(figures, scales, strict=True)):
        name = _head(figure)
        columns.append(
            Column(name=name, kind="number", unit=scale.unit, wide=number >= _FIRST_OF_ALL)
        )
    for figure, scale in zip(figures, scales, strict=True):
        name = _head(figure)
        level = level_of([figure])
        unit = ", ".join(filter(None, (scale.unit, level)))
        columns += [
            Column(name=f"{name} low", kind="number", unit=unit, wide=True),
            Column(name=f"{name} high", kind="number", unit=unit, wide=True),
            Column(name=f"{name} n", kind="number", wide=True),
        ]
    rows: list[tuple[Cell, ...]] = []
    for (group, period), each in list(parts.items())[:most]:
        row: list[Cell] = [group or "all"] if grouped else []
        if in_periods:
            row.append(period or "all")
        row += [scale.of(f.value) if f else None for f, scale in zip(each, scales, strict=True)]
        for own, scale in zip(each, scales, strict=True):
            row += [None] * 3 if own is None else [*map(scale.of, bounds_of(own)), own.n]
        rows.append(tuple(row))
    kinds = [word for word, there in (("group", grouped), ("period", in_periods)) if there]
    return Table(
        title=f"by {' and '.join(kinds)}",
        columns=tuple(columns),
        rows=rows,
        more=len(parts) - len(rows),
    )


def short_name(figure: Figure) -> str:
    """Return what a figure is called in a table of 80 columns."""
    return with_statistic(SHORT.get(figure.name, figure.name), figure)


def _head(figure: Figure) -> str:
    return with_statistic(_HEADS.get(figure.name, SHORT.get(figure.name, figure.name)), figure)


_FIRST_OF_ALL: Final = 6
"""How many figures a line of a group has in 80 columns: the five of DORA, and time to restore."""


def distribution(figure: Figure) -> str:
    """Return a small histogram of durations on a log scale, or a bar for a share."""
    from imcm.projections.reports.histogram import bar, histogram

    if figure.unit == SHARE and figure.value is not None:
        return bar(figure.value)
    return histogram(figure)


# --- the report, comparisons, restatements --------------------------------------------------------


def report_title(figure: Figure, preset: str) -> str:
    """Return what a report is: of which period, in which zone, by whose definitions."""
    period = period_text(figure) or "all time"
    return f"DORA metrics, {period} ({figure.time_zone}), preset {preset}"


def report_document(report: DoraReport, *, most: int | None = None) -> Document:
    """Return a report as a document."""
    figures = list(report.figures.values())
    return figures_document(
        figures,
        title=report_title(report.deployment_frequency, report.preset),
        levels=levels_of(report),
        year=report.year,
        notes=report.notes,
        most=most,
    )


def _said_of_all(comparisons: Sequence[Comparison]) -> list[str]:
    """Return warnings that every one of several comparisons has: they are said once."""
    if len(comparisons) < 2:
        return []
    first, *rest = comparisons
    return [text for text in first.warnings if all(text in each.warnings for each in rest)]


def _compared(comparison: Comparison, *, but: Sequence[str] = ()) -> list[Block]:
    a, b = comparison.a, comparison.b
    scale = scale_of([a.value, b.value], comparison.unit)
    interval = comparison.interval
    level = f"{100 * interval.level:g} %"
    unit = scale.unit
    table = Table(
        title=f"{comparison.name}, compared",
        columns=(
            Column(name="before", kind="number", unit=unit),
            Column(name="n", kind="number"),
            Column(name="now", kind="number", unit=unit),
            Column(name="n now", kind="number"),
            Column(name="difference", kind="number", unit=POINTS if unit == "%" else unit),
            Column(name="from", kind="number", unit=level),
            Column(name="to", kind="number", unit=level),
        ),
        rows=[
            (
                scale.of(a.value),
                a.n,
                scale.of(b.value),
                b.n,
                scale.of(comparison.difference),
                scale.of(interval.low),
                scale.of(interval.high),
            )
        ],
    )
    periods = f"before: {period_text(a) or 'all time'}; now: {period_text(b) or 'all time'}"
    tests = (comparison.exact_test, comparison.rank_test, comparison.survival_test)
    tested = [
        f"{test.method}: p = {test.p_value:.3g}"
        for test in tests
        if test is not None and test.p_value is not None
    ]
    says = [comparison.verdict, periods, *(["; ".join(tested)] if tested else [])]
    says += (f"warning: {text}" for text in comparison.warnings if text not in but)
    if comparison.reason is not None:
        says.append(f"the difference is undefined: {comparison.reason}")
    return [table, Items(tuple(says))]


def comparison_document(comparison: Comparison, *, most: int | None = None) -> Document:
    """Return a comparison as a document; *most* has nothing to cut there."""
    del most
    return Document(title=repr(comparison), blocks=tuple(_compared(comparison)))


def side_by_side_document(sides: SideBySide, *, most: int | None = None) -> Document:
    """Return one metric by several presets as a document, and why they differ."""
    figures = list(sides.figures.values())
    scale = scale_of((figure.value for figure in figures), figures[0].unit if figures else "")
    level = level_of(figures)
    rows: list[tuple[Cell, ...]] = []
    for name, figure in list(sides.figures.items())[:most]:
        low, high = map(scale.of, bounds_of(figure))
        rows.append((name, scale.of(figure.value), low, high, figure.n))
    table = Table(
        title=f"{sides.metric} side by side",
        columns=(
            Column(name="preset"),
            Column(name="value", kind="number", unit=scale.unit),
            Column(name="from", kind="number", unit=level),
            Column(name="to", kind="number", unit=level),
            Column(name="n", kind="number"),
        ),
        rows=rows,
        more=len(figures) - len(rows),
    )
    differences = Table(
        title="why they differ",
        columns=(Column(name="preset"), Column(name="and"), Column(name="what differs")),
        rows=[
            (*each.presets, line.strip())
            for each in sides.differences
            for line in each.explain().splitlines()[1 : SOME + 1]
        ],
    )
    return Document(title=repr(sides), blocks=(table, differences))


def restatement_blocks(
    restatement: Restatement, *, title: str = "", most: int | None = None
) -> list[Block]:
    """Return a restatement as a line of both values, and a table of the events that moved it."""
    before, after = restatement.before, restatement.after
    unit = after.unit
    scale = scale_of([before.value, after.value], unit)
    name = title or after.name
    head = (
        f"{name}: {shown(before.value, unit)} (n = {before.n:,}) became "
        f"{shown(after.value, unit)} (n = {after.n:,}), difference "
        f"{apart(restatement.difference, unit)}"
    )
    rows: list[tuple[Cell, ...]] = []
    records = list(restatement.changes)[:most]
    for change in records:
        positions = ", ".join(str(event.position) for event in change.events[:SOME])
        kinds = ", ".join(
            dict.fromkeys(f"{event.type} of {event.stream}" for event in change.events[:SOME])
        )
        if len(change.events) > SOME:
            kinds += f", ... and {len(change.events) - SOME:,} more"
        said = "; ".join(dict.fromkeys(filter(None, (e.said() for e in change.events[:SOME]))))
        effect = None if change.effect is None else scale.of(float(change.effect))
        rows.append(
            (
                positions,
                change.recorded_at,
                kinds,
                said,
                scale.of(change.value_before),
                scale.of(change.value_after),
                effect,
            )
        )
    table = Table(
        title=f"what moved {name}",
        columns=(
            Column(name="positions"),
            Column(name="recorded", kind="time"),
            Column(name="events"),
            Column(name="who, and why"),
            Column(name="from", kind="number", unit=scale.unit),
            Column(name="to", kind="number", unit=scale.unit),
            Column(name="effect", kind="number", unit=POINTS if unit == SHARE else scale.unit),
        ),
        rows=rows,
        more=len(restatement.changes) - len(rows),
    )
    return [Paragraph(head), table]


def restatement_document(restatement: Restatement, *, most: int | None = None) -> Document:
    """Return a restatement as a document."""
    blocks: tuple[Block, ...] = (
        Heading("What moved it"),
        *restatement_blocks(restatement, most=most),
    )
    return Document(title=repr(restatement), blocks=blocks)
