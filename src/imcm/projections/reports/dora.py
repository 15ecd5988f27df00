"""
The five DORA metrics together, and the same metric under several tools' definitions.

`dora_report` computes all five from one log with one set of arguments, names the performance band
of each, and keeps every figure whole: population, interval, groups and periods. `side_by_side`
computes one metric by several presets and says why they differ: who is counted by one and not by
the other, who counts with another value, and which arguments are not the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, overload

import attrs

from imcm.documents.shown import Shown, checked_most
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import checked_text, is_among, is_list, is_mapping
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.gc_pause import gc_paused
from imcm.plain import joined
from imcm.projections.facts.fold import Facts
from imcm.projections.figures.days import local
from imcm.projections.figures.drawing import all_drawn, drawn
from imcm.projections.figures.excerpt import FEW, SOME, excerpt, named, one_of
from imcm.projections.figures.failures import DIVIDES, ChangeFailureRate, change_failures
from imcm.projections.figures.figure import Figure, Included, by_reason
from imcm.projections.figures.frequency import (
    DeploymentFrequency,
    ReworkRate,
    measure_frequency,
    measure_rework,
)
from imcm.projections.figures.function import facts_of, settled
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.lead_time import LeadTime, measure_lead_time
from imcm.projections.figures.recovery import FailedDeploymentRecovery, recover
from imcm.projections.figures.restore import measure
from imcm.projections.figures.units import COUNT, SECONDS, SHAPE, brief, shown, zone
from imcm.projections.reports.bands import band, bands_of, level_text, spanned
from imcm.projections.reports.presets import METRICS, PRESETS, MetricDefinition, Preset, preset_of

if TYPE_CHECKING:
    from imcm.documents.structure import Document
    from imcm.projections.figures.drawing import Axes, Picture

__all__ = [
    "Changed",
    "Difference",
    "DoraReport",
    "OneSided",
    "Row",
    "SideBySide",
    "dora_report",
    "side_by_side",
]

WindowGiven: TypeAlias = tuple[datetime | None, datetime | None] | str
"""A window as it can be asked for: see `Definition`."""

RECOVERY_ASKED_SINCE: Final = 2023
"""Reports before asked for time to restore; since then for recovery from a failed deployment."""


# --- from presets to figures ----------------------------------------------------------------------


def _compute(facts: Facts, asked: MetricDefinition) -> Figure:
    definition = settled(facts, asked)
    match definition:
        case DeploymentFrequency():
            return measure_frequency(facts, definition)
        case LeadTime():
            return measure_lead_time(facts, definition)
        case ChangeFailureRate():
            return change_failures(facts, definition)
        case FailedDeploymentRecovery():
            return recover(facts, definition)
        case ReworkRate():
            return measure_rework(facts, definition)
        case _:
            return measure(facts, definition)


def _given(**common: Any) -> dict[str, Any]:
    """Return the arguments that were given; the others stay as the preset has them."""
    return {name: value for name, value in common.items() if value is not None}


def _arguments(definition: MetricDefinition) -> list[str]:
    return [field.name for field in attrs.fields(type(definition))]


def _chosen(
    preset: Preset, common: Mapping[str, Any], overrides: Mapping[str, Any] | None
) -> dict[str, MetricDefinition]:
    """Return the preset's definitions with the common arguments and then the overrides in them."""
    definitions = preset.definitions()
    known = {metric: _arguments(definition) for metric, definition in definitions.items()}
    for_all, by_metric = _sorted_overrides(overrides, known)
    result: dict[str, MetricDefinition] = {}
    for metric, definition in definitions.items():
        own = {name: value for name, value in for_all.items() if name in known[metric]}
        own |= by_metric.get(metric, {})
        try:
            result[metric] = attrs.evolve(definition, **{**common, **own})
        except NaiveTimeError:
            raise
        except InvalidValue as error:
            if error.name not in own:
                raise
            name, allowed = f"overrides[{metric}.{error.name}]", error.allowed
            if error.name not in by_metric.get(metric, {}):
                allowed += f"; write <metric>.{error.name} to override one metric only"
            raise InvalidValue(name, error.value, allowed) from None
    return result


def _sorted_overrides(
    overrides: Mapping[str, Any] | None, known: Mapping[str, list[str]]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the overrides for all metrics that have the argument, and those for one metric."""
    if overrides is not None and not is_mapping(overrides):
        allowed = 'give a mapping, for example {"restore.statistic": "mean"}'
        raise InvalidValue("overrides", overrides, allowed)
    every = list(dict.fromkeys(name for names in known.values() for name in names))
    for_all: dict[str, Any] = {}
    by_metric: dict[str, dict[str, Any]] = {}
    entries: Mapping[Any, Any] = {} if overrides is None else overrides
    for name, value in entries.items():
        metric, dot, argument = checked_text("overrides", name).rpartition(".")
        if not dot:
            if argument not in every:
                raise InvalidValue("overrides", name, one_of(argument, every))
            for_all[argument] = value
            continue
        if metric not in known:
            allowed = f"<metric>.<argument>, the metric being one of {', '.join(known)}"
            raise InvalidValue("overrides", name, allowed)
        if argument not in known[metric]:
            raise InvalidValue("overrides", name, f"{metric} has {', '.join(known[metric])}")
        by_metric.setdefault(metric, {})[argument] = value
    return for_all, by_metric


# --- bands of figures -----------------------------------------------------------------------------


class _Level(NamedTuple):
    """
    The levels of a figure, and all those its interval reaches.

    *why* says why there are none though it has a value.
    """

    levels: tuple[str, ...] = ()
    why: str = ""
    reached: tuple[str, ...] = ()


def _level(metric: str, figure: Figure, year: int) -> _Level:
    value, definition = figure.value, figure.definition
    if value is None:
        return _Level()
    asked = metric
    scale = 1.0
    match definition:
        case DeploymentFrequency():
            if definition.per not in {"day", "week"}:
                return _Level(why=f"bands speak of deployments per day, not {figure.unit}")
            if definition.per == "week":
                scale = 7.0
                exact = figure.beside.get("deployments per day")
                # A seventh of the value would be rounded twice; of a mean of groups it must be.
                value = exact if definition.whole == "rows" and exact is not None else value / 7
        case ChangeFailureRate():
            if definition.numerator != "changes":
                why = f"bands speak of failed deployments, not of {definition.numerator}"
                return _Level(why=why)
        case ReworkRate():
            return _Level(why="no report has bands for it")
        case LeadTime():
            pass
        case _:
            asked = "restore"
            recovery = isinstance(definition, FailedDeploymentRecovery)
            if recovery is not (year >= RECOVERY_ASKED_SINCE):
                other = "time to restore" if recovery else "failed deployment recovery time"
                return _Level(why=f"the report of {year} speaks of {other}")
    if getattr(definition, "statistic", "") == "sum":
        return _Level(why="bands speak of one duration, not of their sum")
    if getattr(definition, "clock", "wall") != "wall":
        return _Level(why="bands speak of all hours of a day, not of working hours")
    if value < 0:
        return _Level(why="it is below 0")
    interval = figure.interval
    reached: tuple[str, ...] = ()
    if interval is not None and interval.low is not None and interval.high is not None:
        low, high = (max(0.0, end) / scale for end in (interval.low, interval.high))
        reached = spanned(asked, low, high, year=year)
    return _Level(band(asked, value, year=year), reached=reached)


def levels_of(metric: str, figure: Figure, year: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Return the levels of a figure, and all levels that its interval reaches, the best first.

    Both are empty where the bands of that year do not speak of it, or it is undefined.

    Args:
        metric: One of `METRICS`: which one the figure is of.
        year: Of the DORA report whose bands they are.
    """
    rating = _level(metric, figure, year)
    return rating.levels, rating.reached


# --- the report -----------------------------------------------------------------------------------


class Row(NamedTuple):
    """
    One line of a table: a figure, or its part for one group and one period.

    *bucket_start* is text, 2026-03-01T00:00:00+01:00: engines that have one zone for a column would
    move a start in another one, and with it the month.
    """

    figure: str
    group: str | None
    bucket_start: str | None
    value: float | None
    unit: str
    n: int
    low: float | None
    high: float | None


@attrs.frozen(kw_only=True)
class DoraReport(Shown):
    """
    The five DORA metrics of one log, and time to restore beside them.

    Attributes:
        preset: Name of the preset whose definitions these are, before common arguments and
            overrides; each figure carries the definition that was used.
        year: Of the report whose bands are named; None for no bands.
        deployment_frequency, lead_time, change_failure_rate: The figures.
        recovery: Failed deployment recovery time.
        rework_rate: The figure.
        restore: What the preset's tool calls time to restore.
        bands: Metric to its level, or both where two hold, or () where the bands do not speak of
            the figure or it is undefined.
        interval_bands: Metric to all levels that its interval reaches, the best first; () where
            there is no band or no interval. With more than one, the number does not settle which.
        notes: What a reader should know before trusting it.
    """

    preset: str
    year: int | None
    deployment_frequency: Figure
    lead_time: Figure
    change_failure_rate: Figure
    recovery: Figure
    rework_rate: Figure
    restore: Figure
    bands: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])
    interval_bands: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the six numbers in one line."""
        figures = self.figures.values()
        values = ", ".join(
            f"{figure.name} {brief(figure.value, figure.unit)}" for figure in figures
        )
        return f"DORA metrics, preset {self.preset!r}: {values}"

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows a table; None for all."""
        from imcm.projections.reports.display import report_document  # which knows this class, too

        return report_document(self, most=checked_most(most))

    @property
    def figures(self) -> dict[str, Figure]:
        """All six figures by metric."""
        return {name: getattr(self, name) for name in METRICS}

    def explain(self) -> str:
        """Return, for a person, the six numbers with their bands, then each with its definition."""
        bands = "no bands" if self.year is None else f"bands of {self.year}"
        lines = [f"DORA metrics, preset {self.preset}, {bands}"]
        for metric, figure in self.figures.items():
            line = f"  {metric}: {_value_text(figure)}, n = {figure.n:,}"
            if level := level_text(self.bands[metric], self.interval_bands.get(metric, ())):
                line += f", {level}"
            lines.append(line)
        lines += [f"  note: {note}" for note in self.notes]
        return "\n\n".join([joined(lines), *(f.explain() for f in self.figures.values())])

    @overload
    def plot(  # type: ignore[overload-overlap]  # a kind that is any text is one of the others
        self, kind: Literal["all"], *, ax: Picture | None = None
    ) -> tuple[Axes, ...]: ...
    @overload
    def plot(
        self, kind: str | None = None, *, metric: str | None = None, ax: Axes | None = None
    ) -> Axes: ...
    def plot(
        self,
        kind: str | None = None,
        *,
        metric: str | None = None,
        ax: Axes | Picture | None = None,
    ) -> Axes | tuple[Axes, ...]:
        """
        Draw one of its figures, or all of them; see `imcm.plots`.

        Args:
            kind: "over_time" where it has periods, "groups", or "survival" of durations. None takes
                the first of these that the figure has. "all" draws a panel for each metric, and
                returns the Axes of all panels; see `imcm.plots.metrics`.
            metric: Which figure, by its name in `figures`; None takes the change failure rate, for
                "survival" time to restore.
            ax: Axes of matplotlib to draw into, for "all" a Figure or SubFigure; None makes new
                ones.

        Raises:
            InvalidValue: There is no such metric, or no such picture of it.
            MissingExtraError: The extra `plot` is not installed.
        """
        if kind == "all":
            return all_drawn(self, metric=metric, ax=ax)
        return drawn(self, kind, metric=metric, ax=ax)

    def as_dict(self, *, population: bool = False) -> dict[str, Any]:
        """
        Return the report as plain values for JSON; docs/json.md says what its keys mean.

        Args:
            population: True gives the lists of who was counted and who was not, which are None
                otherwise.
        """
        return {
            "shape": SHAPE,
            "preset": self.preset,
            "year": self.year,
            "figures": {
                name: figure.as_dict(population=population) for name, figure in self.figures.items()
            },
            "bands": {name: list(levels) for name, levels in self.bands.items()},
            "interval_bands": {name: list(some) for name, some in self.interval_bands.items()},
            "notes": list(self.notes),
        }

    def rows(self) -> list[Row]:
        """
        Return the figures as lines of one table, those of groups and periods too.

        The whole has no group, and what is not one period has no start. A period that the window
        cuts begins where the window does. Starts are told in the figure's zone.
        """
        return [row for name, figure in self.figures.items() for row in _rows(name, figure)]


def _value_text(figure: Figure) -> str:
    reason = "" if figure.reason is None else f" ({figure.reason})"
    return brief(figure.value, figure.unit) + reason


def _rows(metric: str, figure: Figure) -> Iterator[Row]:
    for parent in (figure, *figure.groups):
        yield _row(metric, parent, None)
        for part in parent.buckets:
            start = None if part.window is None else part.window[0]
            home = zone(figure.time_zone)
            start_text = None if start is None else local(start, home).isoformat()
            yield _row(metric, part, start_text)


def _row(metric: str, figure: Figure, start: str | None) -> Row:
    low = None if figure.interval is None else figure.interval.low
    high = None if figure.interval is None else figure.interval.high
    return Row(metric, figure.group, start, figure.value, figure.unit, figure.n, low, high)


def dora_report(
    log: Facts | Iterable[Recorded],
    /,
    *,
    preset: str | Preset = "dora",
    year: int | None = 2024,
    overrides: Mapping[str, Any] | None = None,
    window: WindowGiven | None = None,
    bounds: str | None = None,
    time_zone: str | None = None,
    environments: Iterable[str] | None = None,
    services: Iterable[str] | None = None,
    severities: Iterable[str] | None = None,
    kinds: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    group_by: str | None = None,
    bucket_by: str | int | None = None,
    level: float | None = None,
) -> DoraReport:
    """
    Return the five DORA metrics with intervals, groups, periods and performance bands.

    Args:
        log: Facts, or a log, which is then read to its end. For a report as it was at some time,
            give `facts(log, as_of=..., known_at=...)`.
        preset: Whose definitions: a name out of `PRESETS`, or a preset of one's own.
        year: The DORA report whose bands are named; None for none. 2025 has no bands.
        overrides: Arguments of definitions by name. Each goes to every figure that has it;
            "restore.statistic" goes to one figure only and wins over "statistic".
        window, bounds, time_zone, environments, services, severities, kinds, labels, group_by,
            bucket_by, level: As in every definition, for all figures alike. None, the default,
            leaves what the preset says.

    Raises:
        InvalidValue: A year, a preset or an argument that there is not, or a value it cannot have.
    """
    if year is not None:
        bands_of(year)
    chosen = preset_of(preset)
    common = _given(
        window=window,
        bounds=bounds,
        time_zone=time_zone,
        environments=environments,
        services=services,
        severities=severities,
        kinds=kinds,
        labels=labels,
        group_by=group_by,
        bucket_by=bucket_by,
        level=level,
    )
    definitions = _chosen(chosen, common, overrides)
    facts = facts_of(log)
    with gc_paused():
        figures = {name: _compute(facts, definition) for name, definition in definitions.items()}
    ratings = {
        name: _Level() if year is None else _level(name, figure, year)
        for name, figure in figures.items()
    }
    notes: list[str] = []
    timeless = [name for name, definition in definitions.items() if definition.window is None]
    if timeless:
        which = "all figures" if len(timeless) == len(METRICS) else ", ".join(timeless)
        said = f"without a window everything in the log counts: {which}"
        if "deployment_frequency" in timeless:
            said += "; days are those from the first deployment to the last"
        notes.append(said)
    notes += [f"{name} has no band: {rating.why}" for name, rating in ratings.items() if rating.why]
    return DoraReport(
        preset=chosen.name,
        year=year,
        **figures,
        bands={name: rating.levels for name, rating in ratings.items()},
        interval_bands={name: rating.reached for name, rating in ratings.items()},
        notes=tuple(notes),
    )


# --- side by side ---------------------------------------------------------------------------------

SIDE_BY_SIDE: Final = ("change_failure_rate", "restore", "lead_time", "deployment_frequency")
"""Metrics of which every tool has its own."""


@attrs.frozen(kw_only=True)
class OneSided:
    """
    What one definition counts and the other does not.

    Attributes:
        kind: "incident", "change", "commit" or "pull request".
        id: Its id.
        values: What it contributed: seconds, or its part of a count; more than one where it
            counts several times.
        why: What made it count, where that is not plain.
        reason: Why the other definition does not count it.
    """

    kind: str
    id: str
    values: tuple[float, ...]
    why: str
    reason: str


@attrs.frozen(kw_only=True)
class Changed:
    """What both count with other values; the first of each pair is the first definition's."""

    kind: str
    id: str
    values: tuple[tuple[float, ...], tuple[float, ...]]
    why: tuple[str, str]


NO_SUCH: Final = "(no such argument)"


@attrs.frozen(kw_only=True)
class Difference:
    """
    Why two presets give different numbers, or the same number for different reasons.

    Attributes:
        one, other: The presets.
        unit: Of the values: "seconds", or "count" for parts of a count.
        only_one, only_other: What is counted on one side only.
        changed: What is counted on both sides, with other values.
        arguments: Arguments of the definitions that are not the same, with both values.
    """

    one: str
    other: str
    unit: str
    only_one: Sequence[OneSided] = ()
    only_other: Sequence[OneSided] = ()
    changed: Sequence[Changed] = ()
    arguments: Mapping[str, tuple[Any, Any]] = attrs.field(factory=dict[str, tuple[Any, Any]])

    def __repr__(self) -> str:
        """Return in one line how much differs."""
        return (
            f"{self.one} and {self.other}: {len(self.only_one):,} only in {self.one}, "
            f"{len(self.only_other):,} only in {self.other}, {len(self.changed):,} with other "
            f"values, {len(self.arguments):,} other arguments"
        )

    @property
    def presets(self) -> tuple[str, str]:
        """The names of both presets."""
        return self.one, self.other

    def explain(self) -> str:
        """
        Return the difference for a person: a few ids stand for each reason.

        All of them are in `only_one`, `only_other` and `changed`.
        """
        lines = [f"{self.one} and {self.other}"]
        for name, values in self.arguments.items():
            first, second = map(_plainly, values)
            lines.append(f"  {name}: {first} in {self.one}, {second} in {self.other}")
        sides = ((self.one, self.other, self.only_one), (self.other, self.one, self.only_other))
        for preset, other, members in sides:
            if not members:
                continue
            lines.append(f"  only in {preset}: {len(members):,}")
            reasons = list(by_reason(members).items())
            lines_of = partial(self._reason_lines, other)
            lines += excerpt(reasons, lines_of, indent="    ", what="reasons")
        if self.changed:
            lines.append(f"  in both, with other values: {len(self.changed):,}")
            lines += excerpt(self.changed, self._changed_lines, indent="    ")
        if len(lines) == 1:
            lines.append("  nothing differs")
        return joined(lines)

    def _reason_lines(
        self, other: str, for_reason: tuple[str, Sequence[OneSided]]
    ) -> Iterator[str]:
        reason, members = for_reason
        yield f"    {len(members):,} not in {other}: {reason}"
        yield from excerpt(members, self._member_lines, indent="      ", most=FEW)

    def _member_lines(self, member: OneSided) -> Iterator[str]:
        yield f"      {member.kind} {member.id}: {self._values(member.values, member.why)}"

    def _changed_lines(self, both: Changed) -> Iterator[str]:
        sides = zip((self.one, self.other), both.values, both.why, strict=True)
        texts = (f"{self._values(values, why)} in {name}" for name, values, why in sides)
        yield f"    {both.kind} {both.id}: {', '.join(texts)}"

    def _values(self, values: Sequence[float], why: str) -> str:
        text = " + ".join(shown(value, self.unit) for value in values[:SOME])
        if len(values) > SOME:
            text += f" + ... {len(values) - SOME:,} more"
        return f"{text} ({why})" if why else text

    def as_dict(self, *, population: bool = False) -> dict[str, Any]:
        """
        Return the difference as plain values for JSON; docs/json.md says what its keys mean.

        Args:
            population: True gives the lists of what is counted on one side only, or with other
                values, which are None otherwise.
        """
        sides = (self.only_one, self.only_other)
        why_one, why_other = ({r: len(m) for r, m in by_reason(s).items()} for s in sides)
        lists: dict[str, Sequence[OneSided | Changed]] = {
            "only_one": self.only_one,
            "only_other": self.only_other,
            "changed": self.changed,
        }
        return {
            "shape": SHAPE,
            "one": self.one,
            "other": self.other,
            "unit": self.unit,
            "arguments": {name: list(values) for name, values in self.arguments.items()},
            "counts": {name: len(members) for name, members in lists.items()},
            "why_only_one": why_one,
            "why_only_other": why_other,
            **{name: jsonable(members) if population else None for name, members in lists.items()},
        }


def _plainly(value: object) -> str:
    return " + ".join(map(str, value)) if is_list(value) else str(value)


@attrs.frozen(kw_only=True)
class SideBySide(Shown):
    """
    One metric of one log by several presets.

    Attributes:
        metric: Which.
        figures: Preset to its figure, in the order asked for.
        differences: Of each pair that was asked for.
    """

    metric: str
    figures: Mapping[str, Figure]
    differences: tuple[Difference, ...] = ()

    def __repr__(self) -> str:
        """Return the numbers in one line."""
        values = [
            f"{name} {brief(figure.value, figure.unit)}" for name, figure in self.figures.items()
        ]
        return f"{self.metric} side by side: {named(values, SOME)}"

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows a table; None for all."""
        from imcm.projections.reports.display import (
            side_by_side_document,  # which knows this class, too
        )

        return side_by_side_document(self, most=checked_most(most))

    def between(self, one: str, other: str) -> Difference:
        """
        Return the difference of two presets.

        Raises:
            InvalidValue: That pair was not compared; the message names those that were.
        """
        for difference in self.differences:
            if (one, other) == (difference.one, difference.other):
                return difference
        pairs = "; ".join(f"{pair.one}, {pair.other}" for pair in self.differences)
        raise InvalidValue("pair", (one, other), f"one of {pairs or 'none'}")

    def explain(self) -> str:
        """Return, for a person, the numbers and then why they differ; see `Difference`."""
        lines = [self.metric]
        lines += [
            f"  {name}: {_value_text(figure)}, n = {figure.n:,}"
            for name, figure in self.figures.items()
        ]
        return "\n\n".join([joined(lines), *(d.explain() for d in self.differences)])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """
        Draw the numbers of all presets; see `imcm.plots.side_by_side`.

        Args:
            ax: Axes of matplotlib to draw into; None makes new ones.

        Raises:
            MissingExtraError: The extra `plot` is not installed.
        """
        return drawn(self, ax=ax)

    def as_dict(self, *, population: bool = False) -> dict[str, Any]:
        """
        Return the comparison as plain values for JSON; docs/json.md says what its keys mean.

        Args:
            population: True gives the lists of who each figure counts, and of who makes the
                differences, which are None otherwise.
        """
        return {
            "shape": SHAPE,
            "metric": self.metric,
            "figures": {
                name: figure.as_dict(population=population) for name, figure in self.figures.items()
            },
            "differences": [
                difference.as_dict(population=population) for difference in self.differences
            ],
        }


def side_by_side(
    log: Facts | Iterable[Recorded],
    /,
    *,
    presets: Iterable[str | Preset] = tuple(PRESETS),
    metric: str = "change_failure_rate",
    against: str | None = "dora",
    window: WindowGiven | None = None,
    bounds: str | None = None,
    time_zone: str | None = None,
    environments: Iterable[str] | None = None,
    services: Iterable[str] | None = None,
    severities: Iterable[str] | None = None,
    kinds: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    group_by: str | None = None,
    bucket_by: str | int | None = None,
    level: float | None = None,
) -> SideBySide:
    """
    Return one metric by several presets, with the reasons for which they differ.

    Args:
        log: Facts, or a log, which is then read to its end.
        presets: Names, or presets of one's own.
        metric: "change_failure_rate", "restore", "lead_time" or "deployment_frequency".
        against: The preset all others are compared with, added in front where it is not among
            them; None compares each pair.
        window, bounds, time_zone, environments, services, severities, kinds, labels, group_by,
            bucket_by, level: As in `dora_report`.

    Raises:
        InvalidValue: A preset or a metric there is not, two presets of one name, or an argument
            with a value it cannot have.
    """
    if not is_among(metric, SIDE_BY_SIDE):
        raise InvalidValue("metric", metric, one_of(metric, SIDE_BY_SIDE))
    common = _given(
        window=window,
        bounds=bounds,
        time_zone=time_zone,
        environments=environments,
        services=services,
        severities=severities,
        kinds=kinds,
        labels=labels,
        group_by=group_by,
        bucket_by=bucket_by,
        level=level,
    )
    if not is_list(presets):
        raise InvalidValue("presets", presets, "give a list of names")
    wanted = [preset_of(preset) for preset in presets]
    names = [preset.name for preset in wanted]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValue("presets", name, "each name once")
    if against is not None and not is_among(against, names):
        wanted.insert(0, preset_of(against))
    facts = facts_of(log)
    with gc_paused():
        sides = [_side(facts, preset, metric, common) for preset in wanted]
    pairs = [
        (first, second)
        for first, second in combinations(sides, 2)
        if against is None or against in {first.name, second.name}
    ]
    return SideBySide(
        metric=metric,
        figures={side.name: side.figure for side in sides},
        differences=tuple(_difference(*_ordered(pair, against)) for pair in pairs),
    )


class _Side(NamedTuple):
    """One preset's figure with all it counts: (kind, id) to values and why."""

    name: str
    figure: Figure
    counted: Mapping[tuple[str, str], tuple[tuple[float, ...], str]]


def _ordered(pair: tuple[_Side, _Side], against: str | None) -> tuple[_Side, _Side]:
    first, second = pair
    return (second, first) if second.name == against else pair


def _side(facts: Facts, preset: Preset, metric: str, common: Mapping[str, Any]) -> _Side:
    definition = attrs.evolve(preset.definitions()[metric], **common)
    figure = _compute(facts, definition)
    counted: dict[tuple[str, str], tuple[tuple[float, ...], str]] = {}
    for member in figure.included:
        key = _kind(definition, member), member.id
        values, why = counted.get(key, ((), ""))
        counted[key] = (*values, member.value), why or member.why
    return _Side(preset.name, figure, counted)


def _kind(definition: MetricDefinition, member: Included) -> str:
    match definition:
        case ChangeFailureRate(numerator="incidents") if member.why != DIVIDES:
            return "incident"
        case LeadTime():
            return definition.unit.replace("_", " ")
        case DeploymentFrequency() | ChangeFailureRate() | ReworkRate():
            return "change"
        case FailedDeploymentRecovery():
            return definition.per
        case _:
            return "incident"


def _difference(side: _Side, other: _Side) -> Difference:
    both = sorted(side.counted.keys() & other.counted.keys())
    return Difference(
        one=side.name,
        other=other.name,
        unit=SECONDS if SECONDS in {side.figure.unit, other.figure.unit} else COUNT,
        only_one=LazySequence.of(_one_sided(side, other)),
        only_other=LazySequence.of(_one_sided(other, side)),
        changed=LazySequence.of(
            Changed(
                kind=key[0],
                id=key[1],
                values=(side.counted[key][0], other.counted[key][0]),
                why=(side.counted[key][1], other.counted[key][1]),
            )
            for key in both
            if side.counted[key][0] != other.counted[key][0]
        ),
        arguments=_arguments_of(side.figure, other.figure),
    )


def _one_sided(side: _Side, other: _Side) -> Iterator[OneSided]:
    reasons: dict[str, dict[str, None]] = {}
    for left in other.figure.left_out:
        reasons.setdefault(left.id, {})[left.reason] = None
    kinds = sorted({kind for kind, _ in other.counted})
    for kind, id_ in sorted(side.counted.keys() - other.counted.keys()):
        if id_ in reasons:
            reason = "; ".join(reasons[id_])
        else:
            reason = "not in its population"
            if kinds and kind not in kinds:
                reason += f": it counts by {' and '.join(kinds)}"
        values, why = side.counted[kind, id_]
        yield OneSided(kind=kind, id=id_, values=values, why=why, reason=reason)


def _arguments_of(figure: Figure, other: Figure) -> dict[str, tuple[Any, Any]]:
    """Return the arguments of two definitions that are not the same."""
    here, there = figure.definition.as_dict(), other.definition.as_dict()
    names = dict.fromkeys([*here, *there])
    pairs = {name: (here.get(name, NO_SUCH), there.get(name, NO_SUCH)) for name in names}
    return {name: values for name, values in pairs.items() if values[0] != values[1]}
