"""
The audit report: the one document that an auditor attaches.

It says of which ledger it is, what was verified and what can't be, whether duties held, which
published figures are others now and because of which events, who corrected their own work, which
rulings are overdue, and what was taken out. Everything in it is of the log, the anchors and the
version of imcm: no clock is read, so whoever has the three makes the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

import attrs

from imcm import audit, verifier
from imcm.audit.documents import anchors_table, verdict_blocks
from imcm.documents.structure import (
    Block,
    Cell,
    Column,
    Document,
    Heading,
    Items,
    Paragraph,
    Table,
    Word,
)
from imcm.domain.change_events import (
    ChangeApproved,
    ChangeApprovedRetroactively,
    ChangeObserved,
    ChangePlanned,
    ChangeRevised,
    ChangeReworded,
    ChangeStarted,
    RetroactiveApprovalRefused,
    StepRefusedRecorded,
)
from imcm.domain.corrections import EDIT_CLASSES, EventVoided, WordsRedacted
from imcm.domain.incident_events import IncidentDismissed
from imcm.domain.recorded import (
    CHANGE,
    INCIDENT,
    Recorded,
    RulesAdopted,
    Unread,
    stream_of,
)
from imcm.domain.vocabulary import Authority, Moment, earliest, folded, latest
from imcm.errors import InvalidValue
from imcm.ledger.reading import LedgerReader
from imcm.ledger.rules import is_as_adopted
from imcm.plain import plain, quoted
from imcm.projections.facts.edits import Edit
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.fold import facts as facts_of_log
from imcm.projections.facts.rows import ChangeFacts
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.restore import time_to_acknowledge, time_to_mitigate
from imcm.projections.figures.units import SHARE, minute, shown, zone
from imcm.projections.figures.windows import Period
from imcm.projections.histories.anomalies import anomalies
from imcm.projections.histories.decisions import Decision, DecisionTrail, Ruling, trail_of
from imcm.projections.histories.display import duty_tables, moment_cell, moved_table, ruling_cell
from imcm.projections.histories.duties import IN_TIME, Duties, duties
from imcm.projections.histories.learned import FIGURES, Moved, learned
from imcm.projections.reports.display import restatement_blocks
from imcm.verifier import Verdict
from imcm.wording import event_line

__all__ = ["AuditReport", "audit_report"]

_CANNOT: Final = (
    "Whether what was recorded is true: the log says who said what, and when it was recorded.",
    "Whether something that happened was never recorded.",
    "Whether an id is the person it names: who may write under an id is not the log's to know.",
    "When, and in which order, what no anchor holds yet was recorded: the stamps are those of the "
    "clock of whoever had the ledger, until an anchor of them is kept elsewhere.",
)


@attrs.frozen(kw_only=True)
class AuditReport:
    """
    An audit report, with what a program asks of it besides the document.

    Attributes:
        document: What is attached.
        verdict: What comparing the log with its anchors found.
        duties: Who did what on every change of the period, and which rules held.
        moved: The published figures, as they were known and as they are known.
    """

    document: Document
    verdict: Verdict
    duties: Duties
    moved: tuple[Moved, ...]


def audit_report(
    ledger: LedgerReader,
    path: str | Path,
    *,
    window: Period | str,
    anchors: str = "",
    keys: Sequence[str] = (),
    allow: Collection[str] = (),
    time_zone: str = "UTC",
    published: int | datetime | None = None,
    known_at: int | datetime | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> AuditReport:
    """
    Return the audit report of one period of a ledger.

    Reads the log some times over. Each published figure that is another one now costs one
    computation of all facts and of the figure for each record since.

    Args:
        ledger: The ledger.
        path: Its file, which is verified.
        window: The period, as figures take it: [start, end), or "2026-Q1".
        anchors: The text of the anchors file; "" for none, which the report then says.
        keys: Public keys that must have signed every anchor.
        allow: Names of indexes and triggers on the table of events that are known.
        time_zone: The zone in which the period and its days are meant.
        published: What was known when figures of the period were published: a log position, or a
            time. None is the end of the period.
        known_at: Up to which position or time the log is read; None is all of it.
        on_progress: Is told how many rows were read, as the log is verified.

    Raises:
        InvalidValue: An argument can't be right, or nothing was known yet at *known_at*.
        StoreError: The file can't be read.
    """
    position = ledger.position_at(known_at)
    if position == 0:
        raise InvalidValue("known_at", known_at, "a point by which something was recorded")
    log = list(ledger.replay(upto=position))
    held = duties(log, window=window, time_zone=time_zone)
    if held.window is None:
        raise InvalidValue("window", window, 'a period with both its ends, such as "2026-Q1"')
    period = held.window
    first_known = period[1] if published is None else published
    before = ledger.position_at(first_known)
    if published is not None and before > position:
        raise InvalidValue("published", published, "nothing later than the log is read, known_at")
    before = min(before, position)
    facts = ledger.facts(known_at=position)
    verdict = _verified(ledger, path, position, anchors, keys, allow, on_progress)
    as_of = _as_of(log, published, before, period)
    moved = _moved(log, before, position, as_of, period, time_zone)
    trails = _trails(log, held, position)
    home = zone(time_zone)
    days = " to ".join(minute(moment, home) for moment in period)
    document = Document(
        title=f"Audit of {ledger.ledger_id}, {days} ({time_zone})",
        blocks=(
            *_warning(verdict),
            *_what_this_is(ledger, log, position, before, published, as_of, period, time_zone),
            *_verification(verdict, anchors, position, log),
            *_duties(held, trails, facts),
            *_rulings(held, trails),
            *_refused(log, period[0]),
            *_figures(moved, before, as_of, facts),
            *_printed_then(log, moved, before, as_of),
            *_corrections(log, facts, period[0]),
            *_redactions(log, _taken_out_later(ledger, log, position)),
            *_rules(log),
            *_anomalies(facts),
            *_again(ledger, position, before, published, period, time_zone, keys),
        ),
    )
    return AuditReport(document=document, verdict=verdict, duties=held, moved=moved)


# --- which log ------------------------------------------------------------------------------------


def _what_this_is(
    ledger: LedgerReader,
    log: Sequence[Recorded],
    position: int,
    before: int,
    published: int | datetime | None,
    as_of: datetime,
    period: Period,
    time_zone: str,
) -> Iterator[Block]:
    newest = max(recorded.recorded_at for recorded in log)
    mark = ledger.mark_at(position)
    rows: list[tuple[Cell, ...]] = [
        ("ledger", ledger.ledger_id),
        ("period begins", period[0].isoformat()),
        ("period ends before", period[1].isoformat()),
        ("time zone of its days", time_zone),
        ("read up to log position", str(position)),
        ("events up to there", f"{len(log):,}"),
        ("newest of them recorded at", newest.isoformat()),
        ("leaf of the event there", mark.leaf if mark else ""),
        ("figures published at position", str(before)),
        ("figures are as of", as_of.isoformat()),
        ("made by", f"imcm {metadata.version('imcm')}"),
    ]
    if isinstance(published, datetime):
        row = ("figures published at", published.isoformat())
        rows.insert(-2, row)
    yield Heading("Which log")
    yield Table(title="the log", columns=(Column(name="what"), Column(name="value")), rows=rows)


# --- what was verified ----------------------------------------------------------------------------


def _verified(
    ledger: LedgerReader,
    path: str | Path,
    position: int,
    anchors: str,
    keys: Sequence[str],
    allow: Collection[str],
    on_progress: Callable[[int], object] | None,
) -> Verdict:
    """
    Return what comparing the log with its anchors found.

    The file is verified as a whole. Where it is as it should be, the verdict is told of the log up
    to *position*, with the anchors made by then: so the report stays the same while the log grows.
    """
    whole = audit.verify_file(path, anchors, keys=keys, allow=allow, on_progress=on_progress)
    if whole.outcome not in {verifier.OK, verifier.NO_ANCHORS}:
        return whole
    events = sum(1 for _ in ledger.rows(upto=position))
    notes = [note for note in verifier.read_anchors(anchors) if note.size <= events]
    text = "".join(note.note() for note in notes)
    made = audit.verify(ledger.rows(upto=position), text, keys=keys)
    return made._replace(checked=whole.checked, added=whole.added)


_NOT_OK: Final[Mapping[str, str]] = {
    verifier.NO_ANCHORS: "Nothing shows that the log was not altered",
    verifier.ADDED: "The ledger file holds more than a ledger does",
    verifier.NOT_SIGNED: "The anchors are not signed as was asked for",
    verifier.WRONG_LEDGER: "The anchors are of another ledger",
    verifier.TRUNCATED: "The log has fewer events than its anchors say",
    verifier.GAPS: "Events are missing in between",
}
_DIFFERENT: Final = "The log is not what its anchors say"
"""What verdicts say that are neither OK nor that the log is another one."""


def what_is_wrong(verdict: Verdict) -> str:
    """Return in a few words what a verdict that is not OK says."""
    said = _NOT_OK.get(verdict.outcome, _DIFFERENT)
    return f"{said[0].lower()}{said[1:]}: {verdict.outcome}"


def _warning(verdict: Verdict) -> Iterator[Block]:
    """Yield what has to be read before anything else, where the verdict is not OK."""
    if verdict.outcome == verifier.OK:
        return
    said = _NOT_OK.get(verdict.outcome, _DIFFERENT)
    why = f" ({'; '.join(verdict.why)})" if verdict.why else ""
    yield Paragraph(
        plain(
            f"{said}: {verdict.outcome}{why}. What follows is what the file says, and rests on "
            "no more than that."
        )
    )


def _verification(
    verdict: Verdict, anchors: str, position: int, log: Sequence[Recorded]
) -> Iterator[Block]:
    yield Heading("What was verified")
    yield from verdict_blocks(verdict)
    if anchors:
        notes = verifier.read_anchors(anchors)
        if verdict.outcome in {verifier.OK, verifier.NO_ANCHORS}:  # told of the log up to there
            notes = [note for note in notes if note.size <= verdict.size]
        yield anchors_table(notes)
    yield Heading("What can't be verified", 3)
    lines: list[str] = [*_CANNOT]
    if not anchors:
        lines.append(
            "Whether the log was altered since it was written: no anchors were given, so there "
            "is nothing kept elsewhere to compare it with."
        )
    elif not verdict.matched:
        lines.append(
            "Whether any event is as it was written: no anchor that was given matches the log."
        )
    elif verdict.newer:
        lines.append(
            f"Whether what is newer than the last anchor that matches was altered: "
            f"{verdict.newer:,} of {len(log):,} events."
        )
    unread = [recorded for recorded in log if isinstance(recorded.event, Unread)]
    if unread:
        lines.append(
            f"What {len(unread):,} events say, which this version can't read; the first stands "
            f"at position {unread[0].position}."
        )
    imported = sum(bool(getattr(recorded.event, "imported", False)) for recorded in log)
    if imported:
        lines.append(
            f"What the sources of {imported:,} imported events did before they were brought in."
        )
    yield Items(tuple(lines))


# --- duties and rulings ---------------------------------------------------------------------------


def _trails(log: Sequence[Recorded], held: Duties, position: int) -> Mapping[str, DecisionTrail]:
    """Return the decision trails of the changes that went in, by the ids of the changes."""
    streams: dict[str, list[Recorded]] = {stream_of(CHANGE, row.change): [] for row in held.rows}
    for recorded in log:
        if recorded.stream in streams:
            streams[recorded.stream].append(recorded)
    trails = (trail_of(stream, log_position=position) for stream in streams.values())
    return {trail.change: trail for trail in trails}


def _duties(held: Duties, trails: Mapping[str, DecisionTrail], facts: Facts) -> Iterator[Block]:
    rules, exceptions, _ = duty_tables(held)
    yield Heading("Duties")
    unknown = sum(row.ruling is Ruling.UNKNOWN for row in held.rows)
    rows = {row.id: row for row in facts.changes}
    never = [
        row
        for row in rows.values()
        if row.id not in trails and row.started_at is None and row.deployed_at is None
    ]
    yield Paragraph(
        f"{len(held.rows):,} changes went in; {len(held.exceptions):,} with a broken rule, and "
        f"{unknown:,} more of which the log does not say whether all rules held. "
        f"Changes that did not go in: {len(never):,}; that went in at another time: "
        f"{held.not_in - len(never):,}."
    )
    yield exceptions
    yield rules
    yield _every(held, trails, rows)
    names = ("change", "services", "status", "requester")
    yield Table(
        title="changes that did not go in",
        columns=tuple(Column(name=name) for name in names),
        rows=[
            (row.id, ", ".join(row.services), row.status.value, row.requested_by) for row in never
        ],
    )


def _every(
    held: Duties, trails: Mapping[str, DecisionTrail], rows: Mapping[str, ChangeFacts]
) -> Table:
    """Return every change that went in: what it was, who did what on it, and how it ended."""
    cells: list[tuple[Cell, ...]] = []
    for duty in held.rows:
        texts, trail, row = duty.row(), trails[duty.change], rows.get(duty.change)
        outcome = "" if row is None or row.outcome is None else row.outcome.value
        cells.append(
            (
                duty.change,
                _title(trail),
                "" if row is None else ", ".join(row.services),
                texts["type"],
                "" if row is None or row.risk is None else row.risk.value,
                moment_cell(duty.went_in_at),
                ruling_cell(duty.ruling),
                outcome.replace("_", " "),
                duty.requested_by,
                ", ".join(_approvers(trail)),
                ", ".join([*duty.implemented_by, *_told(trail, ChangeStarted)]),
                texts["window"],
                texts["freezes"],
                texts["policies"],
            )
        )
    return Table(
        title="every change that went in",
        columns=(
            Column(name="change"),
            Column(name="title"),
            Column(name="services"),
            Column(name="type", wide=True),
            Column(name="risk", wide=True),
            Column(name="began to go in", kind="time"),
            Column(name="ruling"),
            Column(name="outcome"),
            Column(name="requester"),
            Column(name="approvers (position)"),
            Column(name="implementers"),
            Column(name="window", wide=True),
            Column(name="freezes", wide=True),
            Column(name="policies", wide=True),
        ),
        rows=cells,
    )


def _title(trail: DecisionTrail) -> str:
    """Return the title that stood last; "" where there is none, or it was taken out."""
    title = ""
    for decision in trail.decisions:
        event: Any = decision.event  # Any: what an event carries depends on its class.
        if decision.voided_by is None and isinstance(event, _TITLED):
            title = event.title or title
    return title


_TITLED: Final = (ChangePlanned, ChangeRevised, ChangeReworded, ChangeObserved)
"""Events that say what a change is called."""


def _approvers(trail: DecisionTrail) -> list[str]:
    """Return whose approval counts, and whom a source names for one."""
    told = _told(trail, ChangeApproved)
    return [*(_approver(each) for each in trail.decisions if each.counts), *told]


def _told(trail: DecisionTrail, what: type[ChangeApproved | ChangeStarted]) -> list[str]:
    return [f"{quoted(who)} (a source says so)" for who in trail.told_by_sources(what)]


def _approver(decision: Decision) -> str:
    """Return who approved, when, and where that stands: "mia 2026-07-03 10:12Z (14)"."""
    afterwards = ", afterwards" if isinstance(decision.event, ChangeApprovedRetroactively) else ""
    capacity = decision.authority
    word = "" if capacity in {None, Authority.PEER} else f" ({capacity})"
    where = f"({decision.position}{afterwards})"
    return f"{quoted(decision.by)}{word} {_when(decision.at)} {where}"


def _when(at: Moment | None) -> str:
    """Return a moment in UTC to the minute; of an uncertain one both bounds."""
    if at is None:
        return "at an unknown time"
    bounds = dict.fromkeys(
        f"{bound.astimezone(UTC):%Y-%m-%d %H:%M}Z" for bound in (earliest(at), latest(at))
    )
    return " to ".join(bounds)


def _rulings(held: Duties, trails: Mapping[str, DecisionTrail]) -> Iterator[Block]:
    late = [
        (row.change, ruling_cell(check.ruling), check.reason, _positions(check.positions))
        for row in held.rows
        for check in row.checks
        if check.rule == IN_TIME and check.ruling in {Ruling.BROKEN, Ruling.UNKNOWN}
    ]
    waiting = [
        (row.change, ruling_cell(check.ruling), check.reason, _positions(check.positions))
        for row in held.rows
        for check in row.checks
        if check.rule == IN_TIME
        and check.ruling is Ruling.NOTHING
        and check.reason.startswith("outstanding")
    ]
    yield Heading("Rulings on what went in without approval")
    names = ("change", "ruling", "what the log says", "positions")
    yield Table(
        title="overdue rulings",
        columns=tuple(Column(name=name) for name in names),
        rows=[*late, *waiting],
    )
    given: list[tuple[Cell, ...]] = []
    rulings = (ChangeApprovedRetroactively, RetroactiveApprovalRefused)
    decisions = [(trail.change, each) for trail in trails.values() for each in trail.decisions]
    for change, each in sorted(decisions, key=lambda pair: pair[1].position):
        if isinstance(each.event, rulings):
            voided = each.voided_by is not None
            what: Cell = Word(f"{each.what} (voided)", "struck") if voided else each.what
            when = moment_cell(each.at)
            given.append((each.position, change, what, each.by, when, each.recorded_at, each.why))
    yield Table(
        title="rulings given",
        columns=(
            Column(name="position", kind="number"),
            Column(name="change"),
            Column(name="ruling"),
            Column(name="who"),
            Column(name="when", kind="time"),
            Column(name="recorded", kind="time"),
            Column(name="reason"),
        ),
        rows=given,
    )


def _positions(positions: Sequence[int]) -> str:
    return ", ".join(map(str, positions))


def _refused(log: Sequence[Recorded], since: datetime) -> Iterator[Block]:
    yield Heading("Attempts that were refused")
    rows: list[tuple[Cell, ...]] = []
    for recorded in log:
        event = recorded.event
        if isinstance(event, StepRefusedRecorded) and recorded.recorded_at >= since:
            said = event_line(event)
            rows.append((recorded.position, recorded.recorded_at, recorded.id, event.by, said))
    yield Paragraph(
        "Since the period began. One of a step of a change is kept where the ledger was opened to "
        "keep them (record_refusals), or `imcm gate --record` asked, and always of an agent; the "
        "same one of the same person once an hour. Others leave no trace."
    )
    yield Table(
        title="refused attempts",
        columns=(
            Column(name="position", kind="number"),
            Column(name="recorded", kind="time"),
            Column(name="change"),
            Column(name="who"),
            Column(name="what"),
        ),
        rows=rows,
    )


# --- figures --------------------------------------------------------------------------------------


def _as_of(
    log: Sequence[Recorded], published: int | datetime | None, before: int, period: Period
) -> datetime:
    """
    Return up to when figures of the period tell of the world: its end, or when they were published.

    What is told later of the last days of the period belongs to the figures, however early the
    newest event before the publication stands. A position does not say when it was read: it was
    once the period was over, unless the next event was recorded before that.
    """
    end = period[1]
    if isinstance(published, datetime):
        return min(published, end)
    if published is None:
        return end
    there = [recorded for recorded in log if recorded.position <= before]
    following = log[len(there) :]
    if not there or not following or following[0].recorded_at >= end:
        return end
    return min(there[-1].recorded_at, end)


# Any: every figure has its own arguments.
_PUBLISHED: Final[Mapping[str, Callable[..., Figure]]] = {
    **FIGURES,
    "time to acknowledge": time_to_acknowledge,
    "time to mitigate": time_to_mitigate,
}
"""What a report prints."""


def _moved(
    log: Sequence[Recorded],
    before: int,
    position: int,
    as_of: datetime,
    period: Period,
    time_zone: str,
) -> tuple[Moved, ...]:
    """Return the figures of the period as they were known when published, and as they are known."""
    if before == 0:
        return ()
    figures: dict[str, Callable[[Facts], Figure]] = {}
    for name, figure_of in _PUBLISHED.items():
        # Any: every figure takes these two, and a type can't say so.
        given: Any = {"window": period, "time_zone": time_zone}
        figures[name] = partial(figure_of, **given)
    result = learned(
        log,
        known_at_a=before,
        known_at_b=position,
        as_of=as_of,
        figures=figures,
        details=True,
    )
    return result.figures


def _figures(moved: Sequence[Moved], before: int, as_of: datetime, facts: Facts) -> Iterator[Block]:
    yield Heading("Figures as published, and as known now")
    if not moved:
        yield Paragraph("Nothing was recorded yet when figures of this period were published.")
        return
    yield Paragraph(
        f"Both are as of {as_of.isoformat()}: the first as known at log position {before}, the "
        "second as known at the end of what was read. They differ by what became known since, "
        "and by nothing else."
    )
    yield moved_table(moved, title="figures of the period")
    for figure in moved:
        rows = _rows_moved(figure, facts, as_of)
        if figure.restatement is not None:
            yield Heading(f"Why {figure.name} is another one", 3)
            yield from restatement_blocks(figure.restatement, title=figure.name)
            yield rows
        elif rows.rows:
            yield Heading(f"{figure.name} has the same value, of other rows", 3)
            yield rows


def _printed_then(
    log: Sequence[Recorded], moved: Sequence[Moved], before: int, as_of: datetime
) -> Iterator[Block]:
    """
    Yield what a report of then says that looked no further than the newest event known by then.

    That is what one says that was made without `--as-of`: where the last days of a period were
    quiet, it divides by fewer of them, and what is open is younger.
    """
    known = [recorded for recorded in log if recorded.position <= before]
    if not known:
        return
    newest = max(recorded.recorded_at for recorded in known)
    then = facts_of_log(known)
    others: list[str] = []
    for figure in moved:
        definition = figure.before.definition
        given: Any = {"window": definition.window, "time_zone": definition.time_zone}
        printed = _PUBLISHED[figure.name](then, **given) if newest < as_of else figure.before
        if printed.value != figure.before.value:
            others.append(f"{figure.name}: {shown(printed.value, printed.unit)}")
    if others:
        yield Paragraph(
            f"A report of then that was made without --as-of looked only up to {newest}, the "
            "newest event, and says otherwise of these:"
        )
        yield Items(tuple(others))


class _Counted(NamedTuple):
    """What one thing contributed to a figure, once for each time it counts, and why."""

    values: tuple[float, ...]
    why: str


def _counted(figure: Figure) -> dict[str, _Counted]:
    counted: dict[str, _Counted] = {}
    for member in figure.included:
        values, why = counted.get(member.id, _Counted((), ""))
        counted[member.id] = _Counted((*values, member.value), why or member.why)
    return counted


def _rows_moved(figure: Moved, facts: Facts, as_of: datetime) -> Table:
    """Return which rows fell out of a figure, came in, or count otherwise, each with the reason."""
    first, last = _counted(figure.before), _counted(figure.after)
    was_out = {entry.id: entry.reason for entry in figure.before.left_out}
    is_out = {entry.id: entry.reason for entry in figure.after.left_out}
    unit = figure.after.unit
    absent = "it is not in the period, or not among those asked for"
    rows: list[tuple[Cell, ...]] = []
    for id in sorted(first.keys() | last.keys()):
        here, there = first.get(id), last.get(id)
        if here == there:
            continue
        row: tuple[Cell, ...]
        if there is None:
            out = _later(id, facts, as_of) or is_out.get(id, absent)
            row = (Word("fell out", "poor"), _value(here, unit), "", out)
        elif here is None:
            out = was_out.get(id, "it was not in the period, or not known")
            row = (Word("came in", "fair"), "", _value(there, unit), f"before: {out}")
        else:
            why = there.why or "its moments are others"
            if unit == SHARE and not there.why and here.why:
                why = f"before: {here.why}; now nothing says so"
            row = ("counts otherwise", _value(here, unit), _value(there, unit), why)
        rows.append((id, *row))
    names = ("id", "what", "before", "now", "why")
    return Table(
        title=f"rows of {figure.name}",
        columns=tuple(Column(name=name) for name in names),
        rows=rows,
    )


def _later(id: str, facts: Facts, as_of: datetime) -> str:
    """Return when a change went in that did so after what is looked at; "" of all others."""
    index = facts.changes.index_of(id)
    at = None if index is None else facts.changes[index].deployed_at
    if at is None or earliest(at) < as_of:
        return ""
    return f"by what is known now it went in after the period: {_when(at)}"


def _value(counted: _Counted | None, unit: str) -> str:
    if counted is None:
        return ""
    if unit == SHARE:
        return " + ".join("counts" if value else "does not count" for value in counted.values)
    return " + ".join(shown(value, unit) for value in counted.values)


# --- corrections, redactions, rules ---------------------------------------------------------------


def _corrections(log: Sequence[Recorded], facts: Facts, since: datetime) -> Iterator[Block]:
    yield Heading("Corrections by people about their own work")
    yield Paragraph(
        "Corrections, voids and dismissals recorded since the period began, by somebody who took "
        "part in what they speak of. Nothing is wrong with one as such. The mark says what is in "
        "one's own favour by the field alone, what takes back a decision, and what takes "
        "something out of figures; how much each moved a figure stands under that figure."
    )
    took_part = _took_part(log)
    favours = _favours(facts)
    told = {(recorded.stream, recorded.version): recorded for recorded in log}
    rows: list[tuple[Cell, ...]] = []
    others: list[tuple[Cell, ...]] = []
    for recorded in log:
        event: Any = recorded.event
        out = isinstance(event, IncidentDismissed)
        is_edit = event.__class__ in EDIT_CLASSES
        if not (is_edit or out) or recorded.recorded_at < since or event.imported:
            continue
        mine = folded(event.by) in took_part.get(recorded.stream, frozenset())
        version = None if out else event.version
        target = None if version is None else told.get((recorded.stream, version))
        of_what = "" if target is None else _said_then(target)
        edit = (
            None
            if version is None
            else favours.get((recorded.stream, version, getattr(event, "field", "")))
        )
        mark: Cell = ""
        if out or isinstance(event, EventVoided):
            mark = Word("takes it out of figures", "poor")
        if edit is not None and edit.in_own_favour:
            mark = Word("in their own favour", "bad")
        elif edit is not None and edit.undoes:
            mark = Word("takes back a decision", "bad")
        (rows if mine else others).append(
            (recorded.position, recorded.recorded_at, recorded.stream, event.by,
             event_line(event), of_what, mark)
        )  # fmt: skip
    columns = (
        Column(name="position", kind="number"),
        Column(name="recorded", kind="time"),
        Column(name="of"),
        Column(name="who"),
        Column(name="what"),
        Column(name="what it speaks of"),
        Column(name="mark"),
    )
    yield Table(title="corrections of one's own work", columns=columns, rows=rows)
    yield Heading("Corrections by others", 3)
    yield Table(title="corrections of what others did", columns=columns, rows=others)


def _said_then(recorded: Recorded) -> str:
    """Return what an event said that was corrected, or never happened, and who did."""
    event = recorded.event
    if isinstance(event, Unread):
        return f"position {recorded.position}, which can't be read"
    return (
        f"position {recorded.position}, by {quoted(getattr(event, 'by', ''))}: {event_line(event)}"
    )


def _took_part(log: Sequence[Recorded]) -> dict[str, frozenset[str]]:
    """Return who took part in each incident and change, in the form in which ids are compared."""
    people: dict[str, set[str]] = {}
    for recorded in log:
        if recorded.kind not in {INCIDENT, CHANGE} or isinstance(
            recorded.event, (*EDIT_CLASSES, IncidentDismissed)
        ):
            continue
        there = people.setdefault(recorded.stream, set())
        for name in ("by", "requested_by", "person", "owner"):
            who = getattr(recorded.event, name, None)
            if isinstance(who, str):
                there.add(folded(who))
    return {stream: frozenset(there) for stream, there in people.items()}


def _favours(facts: Facts) -> Mapping[tuple[str, int, str], Edit]:
    edits = [
        (stream_of(INCIDENT, member.id), edit)
        for row in facts.incidents
        for member in row.members or (row,)
        for edit in member.edits
    ]
    edits += [(stream_of(CHANGE, row.id), edit) for row in facts.changes for edit in row.edits]
    return {(stream, edit.version, edit.field): edit for stream, edit in edits}


def _taken_out_later(
    ledger: LedgerReader, log: Sequence[Recorded], position: int
) -> Sequence[Recorded]:
    """Return what says, behind what is read, that words of it were taken out: they are gone now."""
    if not any(recorded.redacted for recorded in log):
        return ()
    later = (recorded for recorded in ledger.replay() if recorded.position > position)
    return [recorded for recorded in later if isinstance(recorded.event, WordsRedacted)]


def _redactions(log: Sequence[Recorded], later: Sequence[Recorded]) -> Iterator[Block]:
    yield Heading("Redactions")
    rows: list[tuple[Cell, ...]] = []
    taken: dict[str, list[int]] = {}
    accounted: set[tuple[str, int]] = set()
    for recorded in (*log, *later):
        event = recorded.event
        if recorded.redacted:
            taken.setdefault(recorded.stream, []).append(recorded.version)
        if isinstance(event, WordsRedacted):
            # As the verifier has it: an event can only speak of those before it.
            before = (version for version in event.versions if version < recorded.version)
            accounted |= {(recorded.stream, version) for version in before}
            versions = ", ".join(map(str, event.versions))
            rows.append((recorded.position, recorded.recorded_at, recorded.stream, versions,
                         event.by, event.reason))  # fmt: skip
    yield Table(
        title="words taken out",
        columns=(
            Column(name="position", kind="number"),
            Column(name="recorded", kind="time"),
            Column(name="of"),
            Column(name="versions"),
            Column(name="who"),
            Column(name="why"),
        ),
        rows=rows,
    )
    unsaid: list[tuple[Cell, ...]] = []
    for stream, redacted in taken.items():
        orphaned = [version for version in redacted if (stream, version) not in accounted]
        if orphaned:
            unsaid.append((Word(stream, "bad"), ", ".join(map(str, orphaned))))
    if unsaid:
        yield Paragraph(
            "Words are missing of which no event says who took them out, or why. An export "
            "without words looks like this, too."
        )
        yield Table(
            title="words missing, and nobody says who took them out",
            columns=(Column(name="of"), Column(name="versions")),
            rows=unsaid,
        )


def _rules(log: Sequence[Recorded]) -> Iterator[Block]:
    yield Heading("Rules adopted")
    rows: list[tuple[Cell, ...]] = []
    for recorded in log:
        event = recorded.event
        if isinstance(event, RulesAdopted):
            kept: Cell = "" if is_as_adopted(event) else Word("text altered since", "bad")
            rows.append((recorded.position, recorded.recorded_at, event.kind.replace("_", " "),
                         event.name, event.version, event.by, kept))  # fmt: skip
    yield Table(
        title="rules adopted",
        columns=(
            Column(name="position", kind="number"),
            Column(name="recorded", kind="time"),
            Column(name="kind"),
            Column(name="name"),
            Column(name="version"),
            Column(name="by"),
            Column(name="mark"),
        ),
        rows=rows,
    )


def _anomalies(facts: Facts) -> Iterator[Block]:
    yield Heading("What is odd in the log")
    counts: dict[str, list[str]] = {}
    for anomaly in anomalies(facts):
        counts.setdefault(anomaly.oddity.value, []).append(anomaly.id)
    yield Table(
        title="anomalies, all of the log",
        columns=(
            Column(name="what"),
            Column(name="how many", kind="number"),
            Column(name="the first of them"),
        ),
        rows=[
            (oddity, len(ids), ", ".join(dict.fromkeys(ids[:5])))
            for oddity, ids in sorted(counts.items(), key=lambda item: (-len(item[1]), item[0]))
        ],
    )


def _again(
    ledger: LedgerReader,
    position: int,
    before: int,
    published: int | datetime | None,
    period: Period,
    time_zone: str,
    keys: Sequence[str],
) -> Iterator[Block]:
    start, end = (moment.isoformat() for moment in period)
    signed = "".join(f" --key {key}" for key in keys)
    # A time says more than a position: up to when figures tell of the world.
    given = published.isoformat() if isinstance(published, datetime) else str(before)
    yield Heading("How to make this again")
    yield Paragraph(
        f"Whoever has the ledger {ledger.ledger_id}, the same anchors and the same version of imcm "
        "makes this document again, byte for byte, in any time zone:"
    )
    yield Items(
        (
            f"imcm audit report --ledger FILE --anchors ANCHORS{signed} --from {start} --to {end} "
            f"--tz {time_zone} --known-at {position} --published {given}",
            "python verifier.py FILE ANCHORS says without imcm whether the log is what its "
            "anchors say.",
            "imcm audit prove ID proves an event to somebody who has no log.",
        )
    )
