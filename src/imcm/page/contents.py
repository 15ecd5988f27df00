"""
What stands on a page, section by section.

Every number is the core's: figures with their intervals and explanations, curves, causes, boards.
What a reader sees first is short; everything behind a number opens beneath it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

from imcm.domain.recorded import CHANGE, INCIDENT, kind_and_id, stream_of
from imcm.errors import InvalidValue
from imcm.ledger.reading import LedgerReader
from imcm.page.boards import ACTION_COLUMNS, action_row, boards_section
from imcm.page.cards import card_of, dora_cards, interval_text, value_text
from imcm.page.history import (
    change_table,
    changes_in,
    entries_table,
    incident_table,
    incidents_in,
    timeline_table,
)
from imcm.page.parts import (
    NEVER,
    Asked,
    Cell,
    Column,
    Contents,
    Known,
    Period,
    Picture,
    Section,
    Table,
    minute_text,
    name_text,
    severity_text,
)
from imcm.page.pictures import period_pictures, story_picture
from imcm.plain import plain
from imcm.projections.boards.views import IncidentView
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.figures.restore import (
    time_to_acknowledge,
    time_to_detect,
    time_to_mitigate,
    time_to_restore,
)
from imcm.projections.figures.units import (
    SECONDS,
    minute,
    shown,
    utc,
    zone,
)
from imcm.projections.reports.dora import dora_report
from imcm.readmodel.views import Views
from imcm.wording import impact_text

__all__ = ["gathered"]


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
    known = Known(asked=asked, ledger=ledger, facts=facts, views=views, home=home)
    if asked.incident is not None:
        return _incident_page(known, asked.incident)
    return _period_page(known)


# --- a period, or a service -----------------------------------------------------------------------


def _period_page(known: Known) -> Contents:
    asked = known.asked
    if asked.service is not None:
        _check_service(known, asked.service)
    # Any: as definitions take them.
    common: dict[str, Any] = {
        "window": asked.window,
        "time_zone": asked.time_zone,
        "services": known.services,
    }
    # The window in words is settled by the figures; how it is parted depends on how long it is.
    whole = dora_report(known.facts, preset=asked.preset, year=asked.year, **common)
    window = whole.restore.window
    period = window or _extent(known.facts)
    as_of = known.facts.as_of
    lasting = period  # what is still open goes on up to the newest event
    if window is None and period is not None and as_of is not None:
        lasting = period[0], max(period[1], utc(as_of))
    bucket = asked.bucket_by
    if bucket is None:
        bucket = _bucket_for(period)
    parted: dict[str, Any] = {**common, "bucket_by": bucket}
    report = dora_report(known.facts, preset=asked.preset, year=asked.year, **parted)
    others = (
        time_to_acknowledge(known.facts, **common),
        time_to_mitigate(known.facts, **common),
    )
    incidents = incidents_in(known, window)
    changes = changes_in(known, window)
    shown_incidents, shown_changes = incidents[: asked.limit], changes[: asked.limit]
    sections = [
        Section(
            id="figures",
            title="Figures",
            words=report.notes,
            cards=(*dora_cards(report), *(card_of(figure) for figure in others)),
        ),
    ]
    pictures, silent = period_pictures(known, report, bucket, lasting, incidents, changes)
    sections.append(Section(id="pictures", title="Pictures", words=silent, pictures=pictures))
    if asked.as_of is None:
        sections.append(boards_section(known, window))
    restore = {row.id: row.value for row in report.restore.included}
    why = {row.id: row.reason for row in report.restore.left_out}
    sections.append(
        Section(
            id="history",
            title="What happened",
            tables=(
                incident_table(known, shown_incidents, len(incidents), restore, why),
                change_table(known, shown_changes, len(changes)),
                entries_table(known, shown_incidents, shown_changes, window),
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


def _check_service(known: Known, service: str) -> None:
    names = {name for table in (known.facts.incidents, known.facts.changes)
             for services in table.services for name in services}  # fmt: skip
    if service not in names:
        near = get_close_matches(service, sorted(names), n=3, cutoff=0.6)
        hint = f"; near: {', '.join(map(plain, near))}" if near else ""
        raise InvalidValue("service", service, f"one that an incident or a change names{hint}")


def _spoken(window: Period | None, known: Known) -> str:
    if window is None:
        return "all time"
    start, end = (minute(moment, known.home) for moment in window)
    return f"{start} to {end}"


def _provenance(known: Known) -> tuple[tuple[str, str], ...]:
    facts = known.facts
    as_of = "nothing yet" if facts.as_of is None else minute_text(facts.as_of, known.home)
    rows = [
        ("as of", as_of),
        ("time zone", known.asked.time_zone),
        ("ledger", known.ledger.ledger_id),
        ("log position", f"{facts.log_position:,}"),
        *_counted(known),
    ]
    rows += [
        ("not read by this version", f"{count:,} events of type {name}")
        for name, count in facts.unread.items()
    ]
    return tuple(rows)


def _counted(known: Known) -> tuple[tuple[str, str], ...]:
    """Return how many incidents and changes there are: of a service where the page is of one."""
    facts, service = known.facts, known.asked.service
    tables = (("incidents", facts.incidents), ("changes", facts.changes))
    if service is None:
        return tuple((f"{name} in the log", f"{len(table):,}") for name, table in tables)
    rows: list[tuple[str, str]] = []
    for name, table in tables:
        named = [service in services for services in table.services]
        count = sum(named[number] for number in table.columns.services)
        rows.append((f"{name} of {service} in the log", f"{count:,}"))
    return tuple(rows)


def _extent(facts: Facts) -> Period | None:
    """Return from when to when the log tells of incidents and deployments."""
    columns = facts.incidents.columns, facts.changes.columns
    times = [t for t in (*columns[0].detected, *columns[1].deployed) if abs(t) < NEVER]
    return (_moment(min(times)), _moment(max(times) + 1)) if times else None


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


# --- an incident ----------------------------------------------------------------------------------


def _incident_page(known: Known, incident: str) -> Contents:
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
    # What only came of it, such as the change that an action item led to, may be weeks later.
    judged = [change for change in changes if change.id in view.verdicts]
    period = _lived(known, incidents, judged)
    pictures: list[Picture] = []
    if period is not None:
        picture = story_picture(known, period, incidents, judged)
        pictures += [] if picture is None else [picture]
    sections = [
        Section(id="summary", title="Summary", about=_summary(known, view)),
        Section(id="durations", title="How long it took", tables=(_durations(known, view.id),)),
        Section(id="pictures", title="Picture", pictures=tuple(pictures)),
        Section(
            id="history",
            title="What happened",
            tables=(
                timeline_table(known, entries, "Timeline"),
                *_incident_tables(known, view, changes),
            ),
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
    known: Known, incidents: Iterable[IncidentFacts], changes: Iterable[ChangeFacts]
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


def _summary(known: Known, view: IncidentView) -> tuple[tuple[str, str], ...]:
    roles = (f"{name_text(held.role.value)}: {held.person}" for held in view.roles)
    verdicts = (
        f"{change} ({name_text(verdict.value)})" for change, verdict in view.verdicts.items()
    )
    rows = [
        ("status", name_text(view.status)),
        ("severity", severity_text(view)),
        ("services", ", ".join(view.services)),
        ("environment", view.environment or "production"),
        ("noticed by", "" if view.channel is None else name_text(view.channel.value)),
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


def _durations(known: Known, id: str) -> Table:
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
                Cell(value_text(figure), figure.value),
                Cell(interval_text(figure)),
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


def _incident_tables(
    known: Known, view: IncidentView, changes: Sequence[ChangeFacts]
) -> tuple[Table, ...]:
    attempts = tuple(
        (
            Cell(f"{attempt.number}", float(attempt.number)),
            Cell(name_text(attempt.kind.value)),
            known.when(attempt.at),
            Cell(attempt.by),
            Cell(attempt.change or ""),
            Cell("not told" if attempt.result is None else name_text(attempt.result.value)),
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
            columns=ACTION_COLUMNS,
            rows=tuple(action_row(known, item) for item in view.actions),
            total=len(view.actions),
        ),
        change_table(known, changes[: known.asked.limit], len(changes)),
    )
    return tuple(table for table in tables if table.rows)
