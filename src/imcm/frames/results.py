"""
Tables out of results: figures and reports, timelines, the log, and facts as they stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import Between, earliest, is_list, is_mapping, latest
from imcm.errors import InvalidValue
from imcm.frames.populations import joined_texts, label_names
from imcm.frames.table import LABEL, Table, Type, Value
from imcm.gc_pause import gc_paused
from imcm.projections.figures.display import bucket_text, statistic_of
from imcm.projections.figures.excerpt import one_of
from imcm.projections.figures.figure import STILL_OPEN, Figure
from imcm.projections.figures.function import facts_of
from imcm.projections.figures.units import utc
from imcm.projections.histories.timeline import Entry
from imcm.projections.reports.dora import DoraReport, levels_of

if TYPE_CHECKING:
    from imcm.interchange.exports.tables import TableShape
    from imcm.ledger.reading import LedgerReader
    from imcm.projections.facts.fold import Facts

_Row: TypeAlias = tuple[Value, ...]


def _table(types: Mapping[str, Type], rows: Iterable[_Row]) -> Table:
    """Return rows as a table, whose columns are those that have types, in their order."""
    cells: Iterable[Sequence[Value]] = list(zip(*rows, strict=True)) or [()] * len(types)
    return Table(dict(zip(types, cells, strict=True)), types)


# --- figures --------------------------------------------------------------------------------------

_OF_FIGURES: Final[Mapping[str, Type]] = {
    "figure": "text",
    "group": "text",
    "is_total": "truth",
    "period": "text",
    "period_start": "time",
    "period_end": "time",
    "time_zone": "text",
    "value": "number",
    "unit": "text",
    "statistic": "text",
    "n": "whole",
    "interval_low": "number",
    "interval_high": "number",
    "interval_level": "number",
    "bound_low": "number",
    "bound_high": "number",
    "mean": "number",
    "median": "number",
    "p90": "number",
    "band": "text",
    "band_reached": "text",
    "reason": "text",
    "left_out": "whole",
    "still_open": "whole",
    "uncertain": "whole",
    "as_of": "time",
    "log_position": "whole",
}
PARTS: Final = ("all", "totals", "periods")


def report(figures: DoraReport | Figure | Iterable[Figure], /, *, parts: str = "all") -> Table:
    """
    Return one row for each figure, for each of its groups, and for each of their periods.

    The columns:
        figure: The metric in a report ("lead_time"), else the name of the figure.
        group: Which group it is of; None of all together.
        is_total: True of all periods together, False of one period: never add up both.
        period: Which one: "2026-03", "2026-W09", "2026-Q1", "2026", or its first day; None of all
            together. All figures have the same texts, also where a log begins or ends within one.
        period_start, period_end: The half-open stretch of time it speaks of, in UTC; None of all
            time. time_zone: in which days, weeks and months are told.
        value: The number in `unit`; None where it is undefined, with the `reason`. statistic:
            which one it is of durations, such as "median"; None of all else.
        n: How many values it was computed from.
        interval_low, interval_high: Confidence bounds at `interval_level` (0.95); None where there
            are none. bound_low, bound_high: the smallest and the largest value over all readings
            of uncertain moments; None where every moment is exact.
        mean, median, p90: Of the same durations, in seconds; None of all else.
        band: The DORA level of the value, by the year of the report; both, joined by ", ", where
            two hold. band_reached: all that its interval reaches, the best first. None where the
            bands do not speak of it, and of figures that are given without a report.
        left_out, still_open, uncertain: How many were not counted, are not over (these are left
            out, too), and were placed by the midpoint of an uncertain moment.
        as_of, log_position: What it was computed from; see `imcm.Figure`.

    Args:
        figures: A report, a figure, or several figures.
        parts: "all" (default), "totals" for the rows without periods, or "periods" for those of
            periods only.

    Raises:
        InvalidValue: Something else, or no such parts.
    """
    if not (isinstance(parts, str) and parts in PARTS):
        raise InvalidValue("parts", parts, one_of(parts, PARTS))
    named: list[tuple[str, str, Figure]]
    year: int | None = None
    if isinstance(figures, DoraReport):
        year = figures.year
        named = [(metric, metric, figure) for metric, figure in figures.figures.items()]
    else:
        given: list[Any] = list(figures) if is_list(figures) else [figures]  # Any: untrusted
        for figure in given:
            if not isinstance(figure, Figure):
                raise InvalidValue("figures", figure, "a report, a figure, or several figures")
        named = [(figure.name, "", figure) for figure in given]
    wanted = {"all": (True, False), "totals": (True,), "periods": (False,)}[parts]
    return _table(
        _OF_FIGURES,
        (
            _figure_row(name, metric, part, total, year)
            for name, metric, figure in named
            for total, part in _parts(figure)
            if total in wanted
        ),
    )


def _parts(figure: Figure) -> Iterator[tuple[bool, Figure]]:
    for whole in (figure, *figure.groups):
        yield True, whole
        for period in whole.buckets:
            yield False, period


def _figure_row(name: str, metric: str, figure: Figure, total: bool, year: int | None) -> _Row:
    start, end = figure.window or (None, None)
    interval = figure.interval
    ends = (None,) * 3 if interval is None else (interval.low, interval.high, interval.level)
    levels = ((), ()) if year is None else levels_of(metric, figure, year)
    statistic = statistic_of(figure)
    averages = {**figure.beside, statistic: figure.value} if statistic else {}
    return (
        *(name, figure.group, total, None if total else bucket_text(figure)),
        *(None if at is None else utc(at) for at in (start, end)),
        *(figure.time_zone, figure.value, figure.unit, statistic, figure.n),
        *ends,
        *(figure.bounds or (None, None)),
        *map(averages.get, ("mean", "median", "p90")),
        *(", ".join(names) or None for names in levels),
        *(figure.reason, len(figure.left_out), figure.counts.get(STILL_OPEN, 0)),
        figure.uncertain,
        None if figure.as_of is None else utc(figure.as_of),
        figure.log_position,
    )


# --- timelines ------------------------------------------------------------------------------------

_OF_TIMELINES: Final[Mapping[str, Type]] = {
    "at": "time",
    "at_earliest": "time",
    "at_latest": "time",
    "kind": "text",
    "id": "text",
    "what": "text",
    "line": "text",
    "by": "text",
    "source": "text",
    "corrected": "truth",
    "voided": "truth",
    "recorded_at": "time",
    "position": "whole",
    "version": "whole",
    "record": "text",
}


def timeline(entries: Iterable[Entry], /) -> Table:
    """
    Return one row for each entry of a timeline, or of what was replayed, in its order.

    The columns:
        at: When it happened, in UTC and as corrected; of an uncertain moment the midpoint, between
            at_earliest and at_latest. None where nobody knows.
        kind, id: What it happened to: "incident" or "change", and its id.
        what: The event's type name; line: what it says, for a person.
        by: Id of who, or what, did it. source: where it came from; None when recorded directly.
        corrected, voided: Whether a later correction changed it, or a void struck it through.
        recorded_at, position, version, record: Where it stands in the log.

    Args:
        entries: Such as `imcm.timeline(ledger.replay(), incident="INC-7")`.

    Raises:
        InvalidValue: Something else.
    """
    given: list[Any] = list(entries) if is_list(entries) else [entries]  # Any: untrusted
    for entry in given:
        if not isinstance(entry, Entry):
            raise InvalidValue("entries", entry, "entries, such as imcm.timeline(...) gives")
    return _table(_OF_TIMELINES, map(_entry_row, given))


def _entry_row(entry: Entry) -> _Row:
    at = entry.at
    uncertain = isinstance(at, Between)
    return (
        None if at is None else utc(at),
        utc(earliest(at)) if at is not None and uncertain else None,
        utc(latest(at)) if at is not None and uncertain else None,
        *(entry.kind, entry.id, entry.what, entry.line, entry.by, entry.source),
        *(bool(entry.corrected_by), entry.voided_by is not None),
        *(utc(entry.recorded_at), entry.position, entry.version, entry.record),
    )


# --- facts as they stand, and the log -------------------------------------------------------------

_CELLS: Final[Mapping[str, Type]] = {
    "time": "time",
    "number": "number",
    "whole": "some whole",
    "truth": "some truth",
}
"""How what an export holds is held in a table; all else is text."""


def facts(
    log: Facts | Iterable[Recorded],
    table: str = "changes",
    /,
    *,
    labels: Sequence[str] | None = None,
) -> Table:
    """
    Return facts as they stand, nothing counted and nothing left out, in the order of ids.

    The tables are those that `imcm export` writes, and docs/export.md says what their columns
    are: "incidents", "changes", "causes", "relations", "spells" and "commits". Times are in UTC,
    of an uncertain moment the midpoint, with its bounds in `uncertain`, as JSON. Several texts are
    joined by ", ". Labels are columns, `label:<name>`.

    Args:
        log: Facts, or a log, which is then read to its end.
        table: Which of them.
        labels: The labels that become columns, whether a row has them or not, in this order. None
            takes all there are.

    Raises:
        InvalidValue: There is no such table of facts, or no such labels.
    """
    from imcm.interchange.exports.tables import rows_of, shape_of

    if labels is not None and (not is_list(labels) or is_mapping(labels)):
        raise InvalidValue("labels", labels, "a list of names")
    names = None if labels is None else label_names(labels)
    shape = shape_of(table)
    with gc_paused():
        return _of_export(shape, rows_of(facts_of(log), table), names)


def log(
    ledger: LedgerReader, /, *, known_at: int | datetime | None = None, words: bool = True
) -> Table:
    """
    Return one row for each event of a ledger as it is stored, in log order.

    The columns are those of the table `log` that `imcm export` writes, see docs/export.md:
    nothing is corrected there, and facts and words are JSON.

    Args:
        ledger: Whose log.
        known_at: A position, or a time T for the longest prefix in which nothing was recorded
            after T. None takes the whole log.
        words: False leaves the column `words` empty: free text and names.

    Raises:
        InvalidValue: It is no ledger.
        NaiveTimeError: A time without a zone.
    """
    from imcm.interchange.exports.tables import log_rows, shape_of

    with gc_paused():
        return _of_export(shape_of("log"), log_rows(ledger, known_at=known_at, words=words), None)


# Any: cells of all kinds, told apart by the type of their column.
def _of_export(
    shape: TableShape, rows: Iterable[tuple[Any, ...]], labels: Sequence[str] | None
) -> Table:
    cells: list[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(shape.columns)
    columns: dict[str, Sequence[Value]] = {}
    types: dict[str, Type] = {}
    for column, values in zip(shape.columns, cells, strict=True):
        name = column.name
        if name == "labels":
            names = sorted({key for row in values for key in row}) if labels is None else labels
            columns |= {f"{LABEL}{key}": [row.get(key) for row in values] for key in names}
        elif column.type == "labels":
            columns[name] = [json.dumps(row) if row else None for row in values]
        elif column.type == "texts":
            columns[name] = joined_texts(values)
        else:
            columns[name] = values
            types[name] = _CELLS.get(column.type, "text")
    return Table(columns, types)
