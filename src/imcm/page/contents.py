"""
What stands on a page, as data: sections of figures, pictures and tables, all of it words and numbers.

Every number is the core's: figures with their intervals and explanations, curves, causes, boards.
What a reader sees first is short; everything behind a number opens beneath it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import attrs

from imcm.domain.change_events import ChangeStatus
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.recorded import CHANGE, INCIDENT, kind_and_id, stream_of
from imcm.domain.vocabulary import Between, Moment, Outcome, Verdict
from imcm.errors import InvalidValue
from imcm.page.charts import (
    WIDTHS,
    Bar,
    Link,
    Point,
    Spec,
    by_group,
    by_period,
    drawn,
    story,
    survival,
)
from imcm.plain import plain
from imcm.projections.boards.views import ActionItem, ChangeView, IncidentView
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.facts.instants import FIRST, LAST
from imcm.projections.figures.attribution import Cause, causes
from imcm.projections.figures.days import day_of
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.restore import (
    time_to_acknowledge,
    time_to_detect,
    time_to_mitigate,
    time_to_restore,
)
from imcm.projections.figures.units import (
    COUNT,
    SECONDS,
    SHARE,
    instant_of,
    minute,
    shown,
    utc,
    zone,
)
from imcm.projections.histories.timeline import Entry, timeline
from imcm.projections.reports.dora import DoraReport, dora_report
from imcm.projections.statistics.survival import kaplan_meier
from imcm.ledger.reading import LedgerReader
from imcm.readmodel.views import Views
from imcm.wording import entry_line, impact_text

__all__ = ["Asked", "Card", "Cell", "Column", "Contents", "Picture", "Section", "Table", "gathered"]

Period = tuple[datetime, datetime]

MOST_LANES: Final = 24
"""More incidents and changes than that can't be told apart in one picture."""

MOST_MARKS: Final = 1_500
"""More than that in one picture is a smear, and makes the page heavy."""

MOST_PERIODS: Final = 60
"""A picture of more periods is not read."""


# --- what a page is made of -----------------------------------------------------------------------


class Column(NamedTuple):
    """A column of a table: its head, and whether it holds numbers, times or durations."""

    name: str
    is_number: bool = False


class Cell(NamedTuple):
    """What a cell says, and by what it is sorted where that is not what it says."""

    text: str
    value: float | None = None


@attrs.frozen(kw_only=True)
class Table:
    """
    A table that can be sorted and filtered.

    Attributes:
        id: Of its place in the page.
        caption: What it shows.
        columns: Its columns; the first one names the row.
        rows: Its rows.
        total: How many there are, those left out of the page included.
        elsewhere: Where the others are; "" where all are here.
    """

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    elsewhere: str = ""


@attrs.frozen(kw_only=True)
class Card:
    """
    A figure: its number and how sure it is, and beneath it how it was made.

    Attributes:
        id: Of its place in the page.
        name: What it is.
        value: For a person; "undefined" where there is none.
        interval: Confidence bounds in words; "" where there are none.
        basis: Of how many it is, or why it is undefined.
        band: The performance band with what its interval reaches; "" where there is none.
        lines: The explanation.
    """

    id: str
    name: str
    value: str
    interval: str
    basis: str
    band: str
    lines: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Picture:
    """
    A drawing, what it says in words, and its data as a table.

    Attributes:
        id: Of its place in the page.
        title: What it shows.
        says: How it is read.
        drawings: SVG by how wide it is.
        table: The numbers that are drawn.
    """

    id: str
    title: str
    says: str
    drawings: Mapping[str, str]
    table: Table


@attrs.frozen(kw_only=True)
class Section:
    """A part of a page under a heading of its own."""

    id: str
    title: str
    words: tuple[str, ...] = ()
    about: tuple[tuple[str, str], ...] = ()
    cards: tuple[Card, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@attrs.frozen(kw_only=True)
class Contents:
    """
    A page.

    Attributes:
        title: What it is about.
        about: Names and values that say of which log it was made.
        sections: Its parts, in their order.
    """

    title: str
    about: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


@attrs.frozen(kw_only=True)
class Asked:
    """
    What a page was asked to show: see `imcm.html_page`, which has the same arguments.

    Any: the definitions of figures check them.
    """

    window: Any = None
    service: str | None = None
    incident: str | None = None
    time_zone: str = "UTC"
    bucket_by: Any = None
    preset: Any = "dora"
    year: int | None = 2024
    limit: int = 200


@attrs.frozen(kw_only=True)
class _Known:
    """What a page is made from, all of it at one position of one log."""

    asked: Asked
    ledger: LedgerReader
    facts: Facts
    views: Views
    home: ZoneInfo

    @property
    def position(self) -> int:
        return self.facts.log_position

    @property
    def services(self) -> tuple[str, ...] | None:
        return None if self.asked.service is None else (self.asked.service,)

    def when(self, moment: Moment | None) -> Cell:
        if moment is None:
            return Cell("")
        seconds = instant_of(moment) / 1_000_000
        if isinstance(moment, Between):
            ends = (minute(end, self.home) for end in (moment.earliest, moment.latest))
            return Cell(" to ".join(ends), seconds)
        return Cell(_stamp(moment, self.home), seconds)


def _stamp(moment: datetime, home: ZoneInfo) -> str:
    text = minute(moment, home)
    return f"{text} 00:00" if len(text) == len("2026-03-06") else text


def gathered(asked: Asked, *, ledger: LedgerReader, facts: Facts, views: Views) -> Contents:
    """
    Return what stands on a page.

    Args:
        asked: What it shows.
        ledger: Whose.
        facts: What figures are computed from.
        views: Boards of the same log; asked as of the position of the facts.

    Raises:
        UnknownIdError: There is no such incident, or it was not known by then.
        InvalidValue: An argument with a value it cannot have, or a service that nothing names.
    """
    home = zone(asked.time_zone)
    known = _Known(asked=asked, ledger=ledger, facts=facts, views=views, home=home)
    if asked.incident is not None:
        return _incident_page(known, asked.incident)
    return _period_page(known)


# --- a period, or a service -----------------------------------------------------------------------


def _period_page(known: _Known) -> Contents:
    asked = known.asked
    if asked.service is not None:
        _check_service(known, asked.service)
    common: dict[str, Any] = {
        "window": asked.window,
        "time_zone": asked.time_zone,
        "services": known.services,
    }
    # The window in words is settled by the figures; how it is parted depends on how long it is.
    whole = dora_report(known.facts, preset=asked.preset, year=asked.year, **common)
    window = whole.restore.window
    period = window or _extent(known.facts)
    bucket = asked.bucket_by
    if bucket is None:
        bucket = _bucket_for(period)
    parted = {**common, "bucket_by": bucket}
    report = dora_report(known.facts, preset=asked.preset, year=asked.year, **parted)
    others = (
        time_to_acknowledge(known.facts, **common),
        time_to_mitigate(known.facts, **common),
    )
    incidents = _incidents_in(known, window)
    changes = _changes_in(known, window)
    shown_incidents, shown_changes = incidents[: asked.limit], changes[: asked.limit]
    sections = [
        Section(
            id="figures",
            title="Figures",
            words=report.notes,
            cards=(*_dora_cards(report), *(_card(figure) for figure in others)),
        ),
    ]
    pictures, silent = _period_pictures(known, report, bucket, period, incidents, changes)
    sections.append(Section(id="pictures", title="Pictures", words=silent, pictures=pictures))
    sections.append(_boards(known))
    restore = {row.id: row.value for row in report.restore.included}
    why = {row.id: row.reason for row in report.restore.left_out}
    sections.append(
        Section(
            id="history",
            title="What happened",
            tables=(
                _incident_table(known, shown_incidents, len(incidents), restore, why),
                _change_table(known, shown_changes, len(changes)),
                _entries_of(known, shown_incidents, shown_changes, window),
            ),
        )
    )
    spoken = _spoken(window, known)
    name = "Incidents and changes" if asked.service is None else asked.service
    about = [("period", spoken)]
    if asked.service is not None:
        about.append(("service", asked.service))
    about.append(("definitions", f"preset {report.preset}"))
    return Contents(
        title=f"{name}, {spoken}", about=(*about, *_provenance(known)), sections=tuple(sections)
    )


def _check_service(known: _Known, service: str) -> None:
    names = {name for table in (known.facts.incidents, known.facts.changes)
             for services in table.services for name in services}  # fmt: skip
    if service not in names:
        near = get_close_matches(service, sorted(names), n=3, cutoff=0.6)
        hint = f"; near: {', '.join(map(plain, near))}" if near else ""
        raise InvalidValue("service", service, f"one that an incident or a change names{hint}")


def _spoken(window: Period | None, known: _Known) -> str:
    if window is None:
        return "all time"
    start, end = (minute(moment, known.home) for moment in window)
    return f"{start} to {end}"


def _provenance(known: _Known) -> tuple[tuple[str, str], ...]:
    facts = known.facts
    as_of = "nothing yet" if facts.as_of is None else _stamp(facts.as_of, known.home)
    rows = [
        ("as of", as_of),
        ("time zone", known.asked.time_zone),
        ("ledger", known.ledger.ledger_id),
        ("log position", f"{facts.log_position:,}"),
        ("in the log", f"{len(facts.incidents):,} incidents, {len(facts.changes):,} changes"),
    ]
    rows += [
        ("not read by this version", f"{count:,} events of type {name}")
        for name, count in facts.unread.items()
    ]
    return tuple(rows)


def _extent(facts: Facts) -> Period | None:
    """Return from when to when the log tells of incidents and deployments."""
    columns = facts.incidents.columns, facts.changes.columns
    times = [t for t in (*columns[0].detected, *columns[1].deployed) if abs(t) < _NEVER]
    if not times:
        return None
    end = facts.as_of or _moment(max(times))
    return _moment(min(times)), max(end, _moment(max(times)) + timedelta(microseconds=1))


_NEVER: Final = 1 << 60
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _bucket_for(period: Period | None) -> str:
    """Return by what a period is parted so that a picture of it has a few to a few dozen parts."""
    days = 0.0 if period is None else (period[1] - period[0]) / timedelta(days=1)
    if days <= 21:
        return "day"
    if days <= 120:
        return "week"
    if days <= 1_100:
        return "month"
    return "quarter" if days <= 5_000 else "year"


# --- figures --------------------------------------------------------------------------------------


def _dora_cards(report: DoraReport) -> list[Card]:
    order = ("deployment_frequency", "lead_time", "change_failure_rate", "recovery",
             "rework_rate", "restore")  # fmt: skip
    return [
        _card(
            report.figures[metric],
            _band_words(report.bands[metric], report.interval_bands.get(metric, ()), report.year),
        )
        for metric in order
    ]


def _band_words(levels: Sequence[str], reached: Sequence[str], year: int | None) -> str:
    if not levels:
        return ""
    words = f"{' and '.join(levels)} ({year})"
    if set(reached) > set(levels):
        words += f"; its interval reaches {', '.join(reached)}"
    return words


def _card(figure: Figure, band: str = "") -> Card:
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
        value=_value(figure),
        interval=_interval(figure),
        basis=basis,
        band=band,
        lines=tuple(whole.explain().splitlines()[1:]),
    )


def _value(figure: Figure) -> str:
    return shown(_rounded(figure.value, figure.unit), figure.unit)


def _rounded(value: float | None, unit: str) -> float | None:
    """Return what is shown of a value: three digits where it is no duration."""
    return value if value is None or unit == SECONDS else float(f"{value:.3g}")


def _interval(figure: Figure) -> str:
    interval = figure.interval
    if interval is None or interval.low is None or interval.high is None:
        return ""
    unit = figure.unit
    low, high = (_rounded(end, unit) for end in (interval.low, interval.high))
    # "1.04 to 1.52 per day": what is counted per what is said once.
    first = unit if unit in {SECONDS, SHARE} else COUNT
    return f"{shown(low, first)} to {shown(high, unit)}"


# --- pictures -------------------------------------------------------------------------------------

_SHAPES: Final[tuple[Literal["wide"], Literal["narrow"]]] = ("wide", "narrow")


def _picture(
    id: str, title: str, says: str, table: Table, specs: Mapping[str, Spec]
) -> Picture:
    drawings = {
        shape: drawn(specs[shape], id=f"{id}-{shape}", title=title, description=says)
        for shape in WIDTHS
    }
    return Picture(id=id, title=title, says=says, drawings=drawings, table=table)


def _period_pictures(
    known: _Known,
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
    for figure in (report.restore, report.change_failure_rate, report.deployment_frequency):
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
    drawn_story = None if period is None else _story(known, period, incidents, changes)
    if drawn_story is None:
        silent.append("Changes and incidents: nothing to draw, since nothing happened")
    else:
        pictures.append(drawn_story)
    return tuple(pictures), tuple(silent)


def _over_time(known: _Known, figure: Figure, title: str) -> Picture:
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
            Cell(label, float(place)),
            Cell(_value(part), part.value),
            Cell(_interval(part)),
            Cell(f"{part.n:,}", float(part.n)),
        )
        for place, (label, part) in enumerate(zip(labels, figure.buckets, strict=True))
    )
    table = Table(id=f"{id}-data", caption=title, columns=columns, rows=rows, total=len(rows))
    says = (
        f"A point for each period; the line through it is its {interval}, where enough were "
        "counted for one; a number above is how many that were. Where there is no point the figure "
        "is undefined."
    )
    specs = {shape: by_period(figure, labels=short, shape=shape) for shape in _SHAPES}
    return _picture(id, title, says, table, specs)


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
    specs = {shape: survival(curve, shape=shape) for shape in _SHAPES}
    return _picture("lasting", title, says, table, specs)


def _forest(known: _Known, report: DoraReport) -> Picture | None:
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
            Cell(_value(group), group.value),
            Cell(_interval(group)),
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
    specs = {
        shape: by_group(report.change_failure_rate, drawn_groups, shape=shape) for shape in _SHAPES
    }
    return _picture("failure-by-service", title, says, table, specs)


_FAILED: Final = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})

_STORY: Final = (
    "Bars are incidents while they were open, with an arrow where they go on; dots are changes that "
    "went in, crosses those that failed, were rolled back or caused an incident; broken lines lead "
    "from a change to the incident it caused."
)


def _story(
    known: _Known,
    period: Period,
    incidents: Sequence[IncidentFacts],
    changes: Sequence[ChangeFacts],
) -> Picture | None:
    """Return when incidents were open and changes went in; None where there were none."""
    gone_in = [change for change in changes if change.deployed_at is not None]
    if not incidents and not gone_in:
        return None
    by_service = known.asked.service is None and known.asked.incident is None
    says = _STORY
    most = MOST_MARKS if by_service else MOST_LANES
    total = len(incidents) + len(gone_in)
    if total > most:
        # The newest of both, by the time they began.
        begun = [(_begun(row), row.id) for row in (*incidents, *gone_in)]
        least = sorted(begun, reverse=True)[most - 1]
        incidents = [row for row in incidents if (_begun(row), row.id) >= least]
        gone_in = [row for row in gone_in if (_begun(row), row.id) >= least]
        says += f" Drawn are the newest {most:,} of {total:,}."
    links = causes(known.facts)
    failing = {link.change for link in links}
    lanes = _lanes(incidents, gone_in, by_service=by_service)
    kept = set(lanes[:MOST_LANES])
    if by_service and len(lanes) > MOST_LANES:
        says += f" Of {len(lanes):,} services these are the {MOST_LANES} with most to show."

    def lanes_of(row: IncidentFacts | ChangeFacts) -> list[str]:
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
    specs = {
        shape: story(
            lanes[:MOST_LANES],
            bars=bars,
            points=points,
            links=joins,
            window=window,
            time_zone=known.asked.time_zone,
            shape=shape,
        )
        for shape in _SHAPES
    }
    table = _story_table(known, incidents, gone_in, links)
    return _picture("story", "Changes and incidents", says, table, specs)


_NO_SERVICE: Final = "(no service)"


def _begun(row: IncidentFacts | ChangeFacts) -> datetime:
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
    lanes_of: Callable[[IncidentFacts | ChangeFacts], list[str]],
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
                yield Link(lane, utc(change.deployed_at), to_lane, _begun(incident))


def _lanes(
    incidents: Iterable[IncidentFacts], changes: Iterable[ChangeFacts], *, by_service: bool
) -> list[str]:
    """Return the lanes of a story from the top: services with most to show, or ids in order."""
    rows = sorted((*incidents, *changes), key=lambda row: (_begun(row), row.id))
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
    known: _Known,
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
    ordered = sorted((*incidents, *changes), key=lambda row: (_begun(row), row.id), reverse=True)
    limit = known.asked.limit
    for row in ordered[:limit]:
        if isinstance(row, ChangeFacts):
            begun, end = row.deployed_at, row.rolled_back_at
            linked = [f"caused {name}" for name in by_change.get(row.id, ())]
        else:
            begun, end = row.detected_at, row.resolved_at
            linked = [f"caused by {name}" for name in by_incident.get(row.id, ())]
        kind = "change" if isinstance(row, ChangeFacts) else "incident"
        rows.append(
            (
                Cell(row.id),
                Cell(kind),
                Cell(", ".join(row.services)),
                known.when(begun),
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


# --- what there was -------------------------------------------------------------------------------


def _is_of(row: IncidentFacts | ChangeFacts, service: str | None) -> bool:
    return service is None or service in row.services


def _incidents_in(known: _Known, window: Period | None) -> list[IncidentFacts]:
    """Return the incidents that were open at some time of a period, the newest first."""
    rows = known.facts.incidents
    columns = rows.columns
    first, last = (-_NEVER, _NEVER) if window is None else map(instant_of, window)
    picked: list[IncidentFacts] = []
    for index, (detected, resolved) in enumerate(
        zip(columns.detected, columns.resolved, strict=True)
    ):
        if abs(detected) < _NEVER and detected >= last:
            continue
        if abs(resolved) < _NEVER and resolved < first:
            continue
        row = rows[index]
        if row.status is IncidentStatus.NOTHING or not _is_of(row, known.asked.service):
            continue
        if window is not None and row.detected_at is None:
            continue  # nobody knows when it was
        picked.append(row)
    picked.sort(key=lambda row: (_begun(row), row.id), reverse=True)
    return picked


def _changes_in(known: _Known, window: Period | None) -> list[ChangeFacts]:
    """Return the changes that went in, or were planned to, in a period, the newest first."""
    first, last = (FIRST, LAST) if window is None else map(utc, window)
    picked: list[tuple[datetime, str, ChangeFacts]] = []
    for row in known.facts.changes:
        moment = row.deployed_at or row.started_at or row.planned_at
        at = FIRST if moment is None else utc(moment)
        inside = first <= at < last or window is None
        if inside and row.status is not ChangeStatus.NOTHING and _is_of(row, known.asked.service):
            picked.append((at, row.id, row))
    picked.sort(key=lambda item: item[:2], reverse=True)
    return [row for _, _, row in picked]


def _incident_table(
    known: _Known,
    rows: Sequence[IncidentFacts],
    total: int,
    restore: Mapping[str, float],
    why: Mapping[str, str],
) -> Table:
    columns = (
        *(Column("id"), Column("title"), Column("severity"), Column("services")),
        *(Column("status"), Column("detected", True), Column("restored", True)),
        *(Column("time to restore", True), Column("caused by")),
    )
    lines: list[tuple[Cell, ...]] = []
    for row in rows:
        view = known.views.incident(row.id, known_at=known.position)
        lasted = restore.get(row.id)
        not_counted = f"not counted: {why[row.id]}" if row.id in why else ""
        caused_by = [id_ for id_, verdict in row.verdicts.items() if verdict is Verdict.CAUSED]
        lines.append(
            (
                Cell(row.id),
                Cell(view.title),
                Cell(_severity(view)),
                Cell(", ".join(row.services)),
                Cell(_words(row.status)),
                known.when(row.detected_at),
                known.when(row.resolved_at),
                Cell(not_counted if lasted is None else shown(lasted, SECONDS), lasted),
                Cell(", ".join(sorted(caused_by))),
            )
        )
    return Table(
        id="incidents",
        caption="Incidents",
        columns=columns,
        rows=tuple(lines),
        total=total,
        elsewhere="imcm list incidents --status all lists all",
    )


def _severity(view: IncidentView) -> str:
    if view.severity is None:
        return ""
    rank = view.severity.value
    return rank if view.severity_name in {None, rank} else f"{rank} {view.severity_name}"


def _words(name: object) -> str:
    """Return a name out of a closed list as a person writes it."""
    return str(name).replace("_", " ")


def _change_table(known: _Known, rows: Sequence[ChangeFacts], total: int) -> Table:
    columns = (
        *(Column("id"), Column("title"), Column("services"), Column("risk")),
        *(Column("status"), Column("outcome"), Column("went in", True), Column("authorised")),
    )
    lines: list[tuple[Cell, ...]] = []
    for row in rows:
        view = known.views.change(row.id, known_at=known.position)
        lines.append(
            (
                Cell(row.id),
                Cell(view.title),
                Cell(", ".join(row.services)),
                Cell("" if row.risk is None else row.risk.value),
                Cell(_words(row.status)),
                Cell("" if row.outcome is None else _words(row.outcome)),
                known.when(row.deployed_at),
                Cell(row.authorisation),
            )
        )
    return Table(
        id="changes",
        caption="Changes",
        columns=columns,
        rows=tuple(lines),
        total=total,
        elsewhere="imcm list changes --status all lists all",
    )


def _entries_of(
    known: _Known,
    incidents: Iterable[IncidentFacts],
    changes: Iterable[ChangeFacts],
    window: Period | None,
) -> Table:
    """Return what happened to some incidents and changes in a period, step by step."""
    streams = [stream_of(INCIDENT, row.id) for row in incidents]
    streams += [stream_of(CHANGE, row.id) for row in changes]
    log = known.ledger.events_of(streams, upto=known.position)
    entries = timeline(log, window=window, as_of=known.facts.as_of)
    return _timeline_table(known, entries, "Timeline")


def _timeline_table(known: _Known, entries: Sequence[Entry], caption: str) -> Table:
    columns = (
        *(Column("when", True), Column("id"), Column("who"), Column("what")),
        *(Column("recorded", True), Column("log position", True)),
    )
    newest = entries[-known.asked.limit :]
    rows = tuple(
        (
            known.when(entry.at) if entry.at is not None else Cell("at an unknown time"),
            Cell(entry.id),
            Cell(entry.by),
            Cell(entry_line(entry)),
            known.when(entry.recorded_at),
            Cell(f"{entry.position:,}", float(entry.position)),
        )
        for entry in newest
    )
    return Table(
        id="timeline",
        caption=caption,
        columns=columns,
        rows=rows,
        total=len(entries),
        elsewhere="these are the newest; imcm timeline lists all",
    )


# --- boards ---------------------------------------------------------------------------------------


def _boards(known: _Known) -> Section:
    """Return what stood at the position of the page: open incidents, changes, actions, versions."""
    asked: dict[str, Any] = {"service": known.asked.service, "known_at": known.position}
    limit = known.asked.limit
    incidents = known.views.incidents(limit=limit, **asked)
    changes = known.views.changes(limit=limit, **asked)
    actions = known.views.actions(limit=limit, **asked)
    tables = (
        _open_incidents(known, incidents, incidents.total),
        _current_changes(known, changes, changes.total),
        _open_actions(known, actions, actions.total),
        _live(known),
    )
    filled = tuple(table for table in tables if table.rows)
    empty = [table.caption.lower() for table in tables if not table.rows]
    words = (f"Nothing of these: {', '.join(empty)}.",) if empty else ()
    return Section(id="boards", title="What stands", words=words, tables=filled)


def _open_incidents(known: _Known, views: Sequence[IncidentView], total: int) -> Table:
    columns = (
        *(Column("id"), Column("title"), Column("severity"), Column("services")),
        *(Column("status"), Column("commander"), Column("open since", True)),
    )
    rows = tuple(
        (
            Cell(view.id),
            Cell(view.title),
            Cell(_severity(view)),
            Cell(", ".join(view.services)),
            Cell(_words(view.status)),
            Cell(view.commander or ""),
            known.when(view.detected_at),
        )
        for view in views
    )
    return Table(
        id="open-incidents",
        caption="Open incidents",
        columns=columns,
        rows=rows,
        total=total,
        elsewhere="imcm list incidents lists all",
    )


def _current_changes(known: _Known, views: Sequence[ChangeView], total: int) -> Table:
    columns = (
        *(Column("id"), Column("title"), Column("services"), Column("risk"), Column("status")),
        *(Column("authorised"), Column("planned for", True)),
    )
    rows = tuple(
        (
            Cell(view.id),
            Cell(view.title),
            Cell(", ".join(view.services)),
            Cell("" if view.risk is None else view.risk.value),
            Cell(_words(view.status)),
            Cell(view.authorisation),
            known.when(None if view.window is None else view.window.start),
        )
        for view in views
    )
    return Table(
        id="current-changes",
        caption="Changes that are not over",
        columns=columns,
        rows=rows,
        total=total,
        elsewhere="imcm list changes lists all",
    )


def _open_actions(known: _Known, items: Sequence[ActionItem], total: int) -> Table:
    return Table(
        id="open-actions",
        caption="Open action items",
        columns=_ACTION_COLUMNS,
        rows=tuple(_action_row(known, item) for item in items),
        total=total,
        elsewhere="imcm list actions lists all",
    )


_ACTION_COLUMNS: Final = (
    *(Column("incident"), Column("number", True), Column("what"), Column("owner")),
    *(Column("due", True), Column("status")),
)


def _action_row(known: _Known, item: ActionItem) -> tuple[Cell, ...]:
    today = None if known.facts.as_of is None else day_of(known.facts.as_of, known.home)
    overdue = today is not None and item.overdue(today)
    return (
        Cell(item.incident),
        Cell(f"{item.number}", float(item.number)),
        Cell(item.text),
        Cell(item.owner or ""),
        _day_cell(item.due),
        Cell("overdue" if overdue else item.status),
    )


def _day_cell(day: date | None) -> Cell:
    return Cell("") if day is None else Cell(day.isoformat(), float(day.toordinal()))


def _live(known: _Known) -> Table:
    columns = (
        *(Column("service"), Column("version"), Column("change"), Column("since", True)),
        *(Column("came by"), Column("before")),
    )
    at = known.facts.as_of or FIRST
    live = known.views.live(service=known.asked.service, at=at, known_at=known.position)
    rows = tuple(
        (
            Cell(version.service),
            Cell(version.version or "not told"),
            Cell(version.change),
            known.when(version.since),
            Cell(
                "deployment"
                if version.by_rollback_of is None
                else f"roll back of {version.by_rollback_of}"
            ),
            Cell(version.replaced_version or version.replaced or ""),
        )
        for version in live[: known.asked.limit]
    )
    return Table(
        id="live",
        caption="Live in production",
        columns=columns,
        rows=rows,
        total=live.total,
        elsewhere="imcm list live lists all",
    )


# --- an incident ----------------------------------------------------------------------------------


def _incident_page(known: _Known, incident: str) -> Contents:
    # With its kind in front where there is a change of the same id, too.
    kind, name = kind_and_id(incident)
    view = known.views.incident(name if kind == INCIDENT and name else incident,
                                known_at=known.position)  # fmt: skip
    entries = known.views.timeline(stream_of(INCIDENT, view.id), known_at=known.position)
    named = list(dict.fromkeys((view.id, *(e.id for e in entries if e.kind == INCIDENT))))
    others = dict.fromkeys(entry.id for entry in entries if entry.kind == CHANGE)
    rows, gone_in = known.facts.incidents, known.facts.changes
    incidents = [rows[index] for id_ in named if (index := rows.index_of(id_)) is not None]
    changes = [gone_in[index] for id_ in others if (index := gone_in.index_of(id_)) is not None]
    period = _lived(known, incidents, changes)
    pictures: list[Picture] = []
    if period is not None:
        picture = _story(known, period, incidents, changes)
        pictures += [] if picture is None else [picture]
    sections = [
        Section(id="summary", title="Summary", about=_summary(known, view)),
        Section(id="durations", title="How long it took", tables=(_durations(known, view.id),)),
        Section(id="pictures", title="Picture", pictures=tuple(pictures)),
        Section(
            id="history",
            title="What happened",
            tables=(_timeline_table(known, entries, "Timeline"), *_parts(known, view, changes)),
        ),
    ]
    title = f"{view.id}: {view.title}" if view.title else view.id
    return Contents(
        title=title,
        about=(("incident", view.id), *_provenance(known)),
        sections=tuple(section for section in sections if section != _EMPTY),
    )


_EMPTY: Final = Section(id="pictures", title="Picture")


def _lived(
    known: _Known, incidents: Iterable[IncidentFacts], changes: Iterable[ChangeFacts]
) -> Period | None:
    times = [utc(t) for row in incidents for spell in row.spells
             for t in (spell.started, spell.resolved or spell.closed) if t is not None]  # fmt: skip
    times += [utc(row.deployed_at) for row in changes if row.deployed_at is not None]
    if not times:
        return None
    goes_on = any(not spell.over and spell.resolved is None
                  for row in incidents for spell in row.spells)  # fmt: skip
    last = max(times)
    if goes_on and known.facts.as_of is not None:
        last = max(last, utc(known.facts.as_of))
    return min(times), last + timedelta(microseconds=1)


def _summary(known: _Known, view: IncidentView) -> tuple[tuple[str, str], ...]:
    roles = (f"{_words(held.role.value)}: {held.person}" for held in view.roles)
    verdicts = (f"{change} ({_words(verdict.value)})" for change, verdict in view.verdicts.items())
    rows = [
        ("status", _words(view.status)),
        ("severity", _severity(view)),
        ("services", ", ".join(view.services)),
        ("environment", view.environment or "production"),
        ("noticed by", "" if view.channel is None else _words(view.channel.value)),
        ("impact", impact_text(view.impact)),
        ("roles", ", ".join(roles)),
        ("impact began", known.when(view.impact_started_at).text),
        ("detected", known.when(view.detected_at).text),
        ("acknowledged", known.when(view.acknowledged_at).text),
        ("mitigated", known.when(view.mitigated_at).text),
        ("restored", known.when(view.resolved_at).text),
        ("closed", known.when(view.closed_at).text),
        ("changes", ", ".join(verdicts)),
        ("merged into", view.merged_into or ""),
        ("merged from", ", ".join(view.merged)),
        ("causes found", "; ".join((*view.cause_tags, *view.causes))),
        ("reviewed", known.when(view.reviewed_at).text if view.reviewed else "not yet"),
    ]
    return tuple((name, text or "not told") for name, text in rows if text or name in _ALWAYS)


_ALWAYS: Final = frozenset({"severity", "services", "impact began", "detected", "mitigated",
                            "restored"})  # fmt: skip
"""What is worth knowing that nobody told it."""


def _durations(known: _Known, id: str) -> Table:
    """Return how long each part of an incident took, beside the figure of all that count."""
    rows: list[tuple[Cell, ...]] = []
    for figure in (
        time_to_detect(known.facts, time_zone=known.asked.time_zone),
        time_to_acknowledge(known.facts, time_zone=known.asked.time_zone),
        time_to_mitigate(known.facts, time_zone=known.asked.time_zone),
        time_to_restore(known.facts, time_zone=known.asked.time_zone),
    ):
        value = next((entry.value for entry in figure.included if entry.id == id), None)
        why = next((entry.reason for entry in figure.left_out if entry.id == id), "not asked of it")
        rows.append(
            (
                Cell(figure.name),
                Cell(f"not counted: {why}" if value is None else shown(value, SECONDS), value),
                Cell(_value(figure), figure.value),
                Cell(_interval(figure)),
                Cell(f"{figure.n:,}", float(figure.n)),
            )
        )
    columns = (
        *(Column("figure"), Column("this incident", True)),
        *(Column("median of all", True), Column("95 % interval"), Column("n", True)),
    )
    return Table(
        id="durations-table",
        caption="How long it took, and how long it takes",
        columns=columns,
        rows=tuple(rows),
        total=len(rows),
    )


def _parts(
    known: _Known, view: IncidentView, changes: Sequence[ChangeFacts]
) -> tuple[Table, ...]:
    attempts = tuple(
        (
            Cell(f"{attempt.number}", float(attempt.number)),
            Cell(_words(attempt.kind.value)),
            known.when(attempt.at),
            Cell(attempt.by),
            Cell(attempt.change or ""),
            Cell("not told" if attempt.result is None else _words(attempt.result.value)),
            Cell(attempt.note),
        )
        for attempt in view.attempts
    )
    tables = (
        Table(
            id="attempts",
            caption="What was tried",
            columns=(
                *(Column("number", True), Column("what"), Column("when", True), Column("who")),
                *(Column("change"), Column("result"), Column("note")),
            ),
            rows=attempts,
            total=len(attempts),
        ),
        Table(
            id="actions",
            caption="Action items",
            columns=_ACTION_COLUMNS,
            rows=tuple(_action_row(known, item) for item in view.actions),
            total=len(view.actions),
        ),
        _change_table(known, changes[: known.asked.limit], len(changes)),
    )
    return tuple(table for table in tables if table.rows)
