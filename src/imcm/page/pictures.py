"""
Pictures of a page: which there are, how each is read, and the numbers that are drawn as a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import attrs

from imcm.domain.vocabulary import Outcome
from imcm.page.cards import interval_text, value_text
from imcm.page.charts import (
    SHAPES,
    Bar,
    Link,
    Point,
    Shape,
    Spec,
    by_group,
    by_period,
    drawn,
    story,
    survival,
)
from imcm.page.parts import (
    Cell,
    Column,
    Known,
    Period,
    Picture,
    Row,
    Table,
)
from imcm.projections.facts.fold import ChangeFacts, IncidentFacts
from imcm.projections.facts.instants import FIRST, LAST
from imcm.projections.figures.attribution import Cause, causes
from imcm.projections.figures.days import day_of
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import (
    SECONDS,
    shown,
    utc,
)
from imcm.projections.reports.dora import DoraReport, dora_report
from imcm.projections.statistics.survival import kaplan_meier

__all__ = ["MOST_LANES", "begun", "period_pictures", "story_picture"]

MOST_LANES: Final = 24
"""More incidents and changes than that can't be told apart in one picture."""

MOST_MARKS: Final = 400
"""More than that in one picture is a smear, and makes the page heavy."""

MOST_PERIODS: Final = 60
"""A picture of more periods is not read."""


def _picture(
    id: str, title: str, says: str, table: Table, spec_of: Callable[[Shape], Spec]
) -> Picture:
    drawings: dict[Shape, str] = {
        shape: drawn(spec_of(shape), id=f"{id}-{shape}", title=title, description=says)
        for shape in SHAPES
    }
    return Picture(id=id, title=title, says=says, drawings=drawings, table=table)


def period_pictures(
    known: Known,
    report: DoraReport,
    bucket: Any,
    period: Period | None,
    incidents: Sequence[IncidentFacts],
    changes: Sequence[ChangeFacts],
) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """Return the pictures of a period, and of those that can't be drawn why not."""
    pictures: list[Picture] = []
    silent: list[str] = []
    every = f"every {bucket} days" if isinstance(bucket, int) else f"by {bucket}"
    for whole in (report.restore, report.change_failure_rate, report.deployment_frequency):
        figure = _begun_only(known, whole)
        title = f"{figure.name[0].upper()}{figure.name[1:]} {every}"
        if len(figure.buckets) > MOST_PERIODS:
            silent.append(f"{title}: no picture of {len(figure.buckets):,} periods; ask for longer")
        elif all(part.value is None for part in figure.buckets):
            silent.append(f"{title}: nothing to draw, since it is undefined in every period")
        else:
            pictures.append(_over_time(known, figure, title))
    curve = _survival_picture(report.restore)
    if curve is None:
        silent.append("How long incidents last: nothing to draw, since there were none")
    else:
        pictures.append(curve)
    if known.asked.service is None:
        forest = _forest(known, report)
        if forest is None:
            silent.append("Change failure rate by service: nothing to draw, since none deployed")
        else:
            pictures.append(forest)
    drawn_story = None if period is None else story_picture(known, period, incidents, changes)
    if drawn_story is None:
        silent.append("Changes and incidents: nothing to draw, since nothing happened")
    else:
        pictures.append(drawn_story)
    return tuple(pictures), tuple(silent)


def _begun_only(known: Known, figure: Figure) -> Figure:
    """Return a figure without the periods that have not begun: there is nothing to draw in them."""
    as_of = known.facts.as_of
    if as_of is None:
        return figure
    begun_ = [p for p in figure.buckets if p.window is None or utc(p.window[0]) < utc(as_of)]
    return attrs.evolve(figure, buckets=tuple(begun_))


def _over_time(known: Known, figure: Figure, title: str) -> Picture:
    days = [_first_day(part, known.home) for part in figure.buckets]
    by = figure.definition.bucket_by
    labels = [_bucket_label(day, by) for day in days]
    short = [f"{day.day} {day:%b}" for day in days] if by not in _BY_NAME else labels
    if len(set(short)) < len(short):
        short = labels
    id = f"over-time-{figure.name.replace(' ', '-')}"
    level = next((f.interval.level for f in figure.buckets if f.interval is not None), 0.95)
    interval = f"{100 * level:g} % interval"
    columns = (
        *(Column("period from", True), Column("value", True), Column(interval)),
        Column("n", True),
    )
    rows = tuple(
        (
            Cell(label, float(index)),
            Cell(value_text(part), part.value),
            Cell(interval_text(part)),
            Cell(f"{part.n:,}", float(part.n)),
        )
        for index, (label, part) in enumerate(zip(labels, figure.buckets, strict=True))
    )
    table = Table(id=f"{id}-data", caption=title, columns=columns, rows=rows, total=len(rows))
    placed = f" {_PLACED[way]}" if (way := _placing(figure)) in _PLACED else ""
    says = (
        f"A point for each period; the line through it is its {interval}, where enough were "
        "counted for one; a number above is how many that were. Where there is no point the figure "
        f"is undefined.{placed}"
    )
    return _picture(
        id, title, says, table, lambda shape: by_period(figure, labels=short, shape=shape)
    )


_PLACED: Final = {
    "end": "A period has what ended in it, whenever that began.",
    "start": "A period has what began in it, whenever that ended.",
}


def _placing(figure: Figure) -> str:
    """Return which of its moments places a duration in a period; "" of all else."""
    way = getattr(figure.definition, "in_window", "") if figure.unit == SECONDS else ""
    return way if isinstance(way, str) else ""


def _first_day(part: Figure, home: ZoneInfo) -> date:
    return date.min if part.window is None else day_of(part.window[0], home)


_BY_NAME: Final = ("month", "quarter", "year")


def _bucket_label(start: date, by: object) -> str:
    if by == "year":
        return f"{start.year}"
    if by == "quarter":
        return f"{start.year}-Q{(start.month + 2) // 3}"
    return start.isoformat()[:7] if by == "month" else start.isoformat()


def _survival_picture(figure: Figure) -> Picture | None:
    """Return how long incidents last, those still open included; None where there are none."""
    ended = [value for value in figure.values() if value >= 0]
    still = [row.value for row in figure.censored if row.value >= 0]
    if not ended and not still:
        return None
    observed = [*(True for _ in ended), *(False for _ in still)]
    curve = kaplan_meier([*ended, *still], observed, level=figure.definition.level)
    title = "How long incidents last"
    says = (
        "The share that was not yet restored after so long, with its "
        f"{100 * curve.level:g} % band. A short upright line marks an incident that was still open "
        "when last seen. Time grows by factors from left to right."
    )
    quantiles = (0.25, 0.5, 0.75, 0.9)
    rows: list[tuple[Cell, ...]] = []
    for share in quantiles:
        interval = curve.quantile_interval(share)
        low, high = interval.low, interval.high
        ends = ("not known" if end is None else shown(end, SECONDS) for end in (low, high))
        value = curve.quantile(share)
        rows.append(
            (
                Cell(f"{100 * share:g} %", share),
                Cell("never seen" if value is None else shown(value, SECONDS), value),
                Cell(" to ".join(ends)),
            )
        )
    columns = (
        Column("share restored", True),
        Column("within", True),
        Column(f"{100 * curve.level:g} % interval"),
    )
    table = Table(
        id="lasting-data",
        caption=f"{title}: {len(ended):,} restored, {len(still):,} still open",
        columns=columns,
        rows=tuple(rows),
        total=len(rows),
    )
    return _picture(
        "lasting", title, says, table, lambda shape: survival(curve, name=figure.name, shape=shape)
    )


def _forest(known: Known, report: DoraReport) -> Picture | None:
    """Return the change failure rate of each service; None where none has one."""
    grouped = dora_report(
        known.facts,
        preset=known.asked.preset,
        year=known.asked.year,
        window=known.asked.window,
        time_zone=known.asked.time_zone,
        group_by="service",
    ).change_failure_rate
    groups = sorted(
        (group for group in grouped.groups if group.value is not None),
        key=lambda group: (-group.n, group.group or ""),
    )
    if not groups:
        return None
    title = "Change failure rate by service"
    level = next((g.interval.level for g in groups if g.interval is not None), 0.95)
    interval = f"{100 * level:g} % interval"
    says = (
        f"A point for each service with its {interval}, those with most deployments first. "
        "The broken line is the rate of all together."
    )
    if len(groups) > MOST_LANES:
        says += f" Drawn are the first {MOST_LANES} of {len(groups):,}."
    limit = known.asked.limit
    rows = tuple(
        (
            Cell(str(group.group)),
            Cell(value_text(group), group.value),
            Cell(interval_text(group)),
            Cell(f"{group.n:,}", float(group.n)),
        )
        for group in groups[:limit]
    )
    columns = (Column("service"), Column("rate", True), Column(interval), Column("n", True))
    table = Table(
        id="failure-by-service-data",
        caption=title,
        columns=columns,
        rows=rows,
        total=len(groups),
        elsewhere="imcm report --by service lists all",
    )
    drawn_groups = groups[:MOST_LANES]
    whole = report.change_failure_rate
    return _picture(
        "failure-by-service",
        title,
        says,
        table,
        lambda shape: by_group(whole, drawn_groups, shape=shape),
    )


_FAILED: Final = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})

_STORY: Final = (
    "Bars are incidents while they were open, with an arrow where they go on; dots are changes "
    "that went in, crosses those that failed, were rolled back or caused an incident; broken lines "
    "lead from a change to the incident it caused."
)


def story_picture(
    known: Known,
    period: Period,
    incidents: Sequence[IncidentFacts],
    changes: Sequence[ChangeFacts],
) -> Picture | None:
    """Return when incidents were open and changes went in; None where there were none."""
    gone_in = [change for change in changes if change.deployed_at is not None]
    if not incidents and not gone_in:
        return None
    total = len(incidents) + len(gone_in)
    # A lane for each of a few; for more, one for each service.
    by_service = known.asked.incident is None and (
        known.asked.service is None or total > MOST_LANES
    )
    says = _STORY
    most = MOST_MARKS if by_service else MOST_LANES
    if total > most:
        # The newest of both, by the time they began.
        rows: list[Row] = [*incidents, *gone_in]
        least = sorted(((begun(row), row.id) for row in rows), reverse=True)[most - 1]
        incidents = [row for row in incidents if (begun(row), row.id) >= least]
        gone_in = [row for row in gone_in if (begun(row), row.id) >= least]
        says += f" Drawn are the newest {most:,} of {total:,}."
    links = causes(known.facts)
    failing = {link.change for link in links}
    lanes = _lanes(incidents, gone_in, by_service=by_service)
    if by_service and known.asked.service is not None:
        lanes = [known.asked.service]
    kept = set(lanes[:MOST_LANES])
    if by_service and len(lanes) > MOST_LANES:
        says += f" Of {len(lanes):,} services these are the {MOST_LANES} with most to show."

    def lanes_of(row: Row) -> list[str]:
        names = (row.services or (_NO_SERVICE,)) if by_service else (row.id,)
        return [name for name in names if name in kept]

    as_of = utc(known.facts.as_of or period[1])
    bars = [bar for row in incidents for bar in _bars(row, lanes_of(row), as_of)]
    points = [
        Point(lane, utc(row.deployed_at), row.outcome in _FAILED or row.id in failing)
        for row in gone_in
        if row.deployed_at is not None
        for lane in lanes_of(row)
    ]
    joins = list(_joins(links, incidents, gone_in, lanes_of))
    window = _trimmed(period, bars, points)

    def spec_of(shape: Shape) -> Spec:
        return story(
            lanes[:MOST_LANES],
            bars=bars,
            points=points,
            links=joins,
            window=window,
            time_zone=known.asked.time_zone,
            shape=shape,
        )

    table = _story_table(known, incidents, gone_in, links)
    return _picture("story", "Changes and incidents", says, table, spec_of)


_NO_SERVICE: Final = "(no service)"


def begun(row: Row) -> datetime:
    """Return when an incident began, or a change went in; the first instant where nobody knows."""
    if isinstance(row, ChangeFacts):
        return FIRST if row.deployed_at is None else utc(row.deployed_at)
    start = row.detected_at or next((s.started for s in row.spells if s.started), None)
    return FIRST if start is None else utc(start)


def _bars(row: IncidentFacts, lanes: Iterable[str], as_of: datetime) -> Iterator[Bar]:
    for spell in row.spells:
        if spell.started is None:
            continue
        start = utc(spell.started)
        over = spell.over or spell.resolved is not None
        end = spell.resolved or spell.closed or spell.mitigated
        last = as_of if not over else start if end is None else utc(end)
        for lane in lanes:
            yield Bar(lane, start, max(start, last), not over)


def _joins(
    links: Iterable[Cause],
    incidents: Iterable[IncidentFacts],
    changes: Iterable[ChangeFacts],
    lanes_of: Callable[[Row], list[str]],
) -> Iterator[Link]:
    hit = {row.id: row for row in incidents}
    gone_in = {row.id: row for row in changes}
    for link in links:
        incident, change = hit.get(link.incident), gone_in.get(link.change)
        if incident is None or change is None or change.deployed_at is None:
            continue
        ends, starts = lanes_of(incident), lanes_of(change)
        # Where they share a service the line stays in its lane.
        shared = [lane for lane in starts if lane in ends]
        for lane in (shared or starts)[:1]:
            to_lane = lane if shared else (ends or [""])[0]
            if to_lane:
                yield Link(lane, utc(change.deployed_at), to_lane, begun(incident))


def _lanes(
    incidents: Iterable[IncidentFacts], changes: Iterable[ChangeFacts], *, by_service: bool
) -> list[str]:
    """Return the lanes of a story from the top: services with most to show, or ids in order."""
    both: list[Row] = [*incidents, *changes]
    rows = sorted(both, key=lambda row: (begun(row), row.id))
    if not by_service:
        return list(dict.fromkeys(row.id for row in rows))
    counts = Counter(name for row in rows for name in row.services or (_NO_SERVICE,))
    return sorted(counts, key=lambda name: (-counts[name], name))


def _trimmed(period: Period, bars: Sequence[Bar], points: Sequence[Point]) -> Period:
    """Return the part of a period in which something is drawn, with a little room around it."""
    times = [t for bar in bars for t in (bar.start, bar.end)] + [point.at for point in points]
    start, end = utc(period[0]), utc(period[1])
    times = [min(max(time, start), end) for time in times]
    if not times:
        return start, end
    first, last = min(times), max(times)
    room = max((last - first) / 30, timedelta(minutes=5))
    if first - FIRST < room or LAST - last < room:
        return first, last
    return first - room, last + room


def _story_table(
    known: Known,
    incidents: Sequence[IncidentFacts],
    changes: Sequence[ChangeFacts],
    links: Iterable[Cause],
) -> Table:
    by_change: dict[str, list[str]] = {}
    by_incident: dict[str, list[str]] = {}
    for link in links:
        by_change.setdefault(link.change, []).append(link.incident)
        by_incident.setdefault(link.incident, []).append(link.change)
    rows: list[tuple[Cell, ...]] = []
    both: list[Row] = [*incidents, *changes]
    ordered = sorted(both, key=lambda row: (begun(row), row.id), reverse=True)
    limit = known.asked.limit
    for row in ordered[:limit]:
        if isinstance(row, ChangeFacts):
            start, end = row.deployed_at, row.rolled_back_at
            linked = [f"caused {name}" for name in by_change.get(row.id, ())]
        else:
            start, end = row.detected_at, row.resolved_at
            linked = [f"caused by {name}" for name in by_incident.get(row.id, ())]
        kind = "change" if isinstance(row, ChangeFacts) else "incident"
        rows.append(
            (
                Cell(row.id),
                Cell(kind),
                Cell(", ".join(row.services)),
                known.when(start),
                known.when(end),
                Cell(", ".join(linked)),
            )
        )
    columns = (
        *(Column("id"), Column("kind"), Column("services")),
        *(Column("began or went in", True), Column("restored or rolled back", True)),
        Column("link"),
    )
    return Table(
        id="story-data",
        caption="Changes and incidents of the picture",
        columns=columns,
        rows=tuple(rows),
        total=len(ordered),
        elsewhere="imcm timeline lists all",
    )
