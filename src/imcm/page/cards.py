"""
Figures of a page: the number, how sure it is, its band, and its explanation.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from imcm.page.parts import (
    Card,
)
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import (
    COUNT,
    SECONDS,
    SHARE,
    shown,
)
from imcm.projections.reports.bands import level_text
from imcm.projections.reports.dora import DoraReport

__all__ = ["card_of", "dora_cards", "interval_text", "value_text"]


def dora_cards(report: DoraReport) -> list[Card]:
    order = ("deployment_frequency", "lead_time", "change_failure_rate", "recovery",
             "rework_rate", "restore")  # fmt: skip
    return [
        card_of(
            report.figures[metric],
            _band_words(report.bands[metric], report.interval_bands.get(metric, ()), report.year),
        )
        for metric in order
    ]


def _band_words(levels: Sequence[str], reached: Sequence[str], year: int | None) -> str:
    """Return the level in words, with the year of the report behind the level."""
    level, reaches, others = level_text(levels, reached).partition("; ")
    return f"{level} ({year}){reaches}{others}" if level else ""


def card_of(figure: Figure, band: str = "") -> Card:
    basis = f"n = {figure.n:,}"
    statistic = getattr(figure.definition, "statistic", None)
    if figure.unit == SECONDS and statistic is not None:
        basis = f"{statistic} of {figure.n:,}"
    if figure.counts.get("still open"):
        basis += f", {figure.counts['still open']:,} still open"
    if figure.reason is not None:
        basis = figure.reason
    # In a card there is no place for what stands in a definition of every period and group.
    whole = attrs.evolve(figure, buckets=(), groups=())
    return Card(
        id=f"figure-{figure.name.replace(' ', '-')}",
        name=figure.name,
        value=value_text(figure),
        interval=interval_text(figure),
        basis=basis,
        band=band,
        lines=tuple(whole.explain().splitlines()[1:]),
    )


def value_text(figure: Figure) -> str:
    return shown(_rounded(figure.value, figure.unit), figure.unit)


def _rounded(value: float | None, unit: str) -> float | None:
    """Return what is shown of a value: three digits where it is no duration."""
    return value if value is None or unit == SECONDS else float(f"{value:.3g}")


def interval_text(figure: Figure) -> str:
    interval = figure.interval
    if interval is None or interval.low is None or interval.high is None:
        return ""
    unit = figure.unit
    low, high = (_rounded(end, unit) for end in (interval.low, interval.high))
    # "1.04 to 1.52 per day": what is counted per what is said once.
    first = unit if unit in {SECONDS, SHARE} else COUNT
    return f"{shown(low, first)} to {shown(high, unit)}"
