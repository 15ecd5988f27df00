"""
Anomalies: what is odd in a log. Nothing is refused, dropped or fixed for it; it is listed.

The list of kinds is closed. Most come from imported history, some from live steps told late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final

import attrs

from imcm.domain.change_events import ChangeStatus
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.policy import DEFAULT_POLICY
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded
from imcm.domain.vocabulary import (
    Between,
    Commit,
    Moment,
    StatedDuration,
    Verdict,
    earliest,
    folded,
    is_list,
    latest,
    reads_as,
)
from imcm.plain import quoted, told_apart
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts, Spell
from imcm.projections.facts.instants import instant
from imcm.projections.figures.excerpt import SOME, named
from imcm.projections.figures.function import facts_of
from imcm.projections.figures.units import utc


class Oddity(StrEnum):
    """
    The closed list of anomalies.

    APPROVED_AFTER is an approval given when the work in production had begun: afterwards, where
    that was outstanding, or at a moment after the start or the deployment. OUTSIDE_WINDOW is work
    told to have been done when the approved window was not open, also where it was recorded before
    that was refused or marked. BACKDATED is such a moment inside the window that was recorded after
    its end, more than an hour later. CONTENT_CORRECTED is a correction of what was approved, with
    what became of that. UNUSABLE is a moment of an old log that UTC can't tell, before the year 1
    or after the year 9999 there; figures take the first or the last instant for it. GAP is a log
    that was not read whole, or is not as it was written: a ledger numbers the events of each
    incident and each change 1, 2, 3 ... without gaps.

    Out of order is what lies more than a minute before what it follows: detection, then
    acknowledgement, triage and mitigation in whatever order, resolution, close; a declaration lies
    between detection and resolution. SKIPPED_STATUS is said once for all that a source left out.
    READ_ALIKE are two ids whose letters can hardly be told apart. UNKNOWN_LINK names an incident or
    a change that is not in the log read. REOPENED_OPEN is a source's reopening of what had no end
    before it. OUT_OF_ORDER is what a source said that stands here out of the order of its own
    stamps: a delivery came late, or its clock went back. IN_OWN_FAVOUR is a correction by somebody
    who took part, by the sign of the field alone: a resolution moved earlier, a severity lowered, a
    start moved behind its approval. UNDONE is a void of what was told without approval, or, by
    somebody else, of a vote, a ruling, a rejection, a finding, a failure, a cause or a reopening.
    NEGATIVE_LEAD is a commit made after it was deployed. UNREAD are events that this version can't
    read: what they say is in no row.
    """

    END_BEFORE_START = "end before start"
    BEFORE_IMPACT = "milestone before impact start"
    CLOSED_UNRESOLVED = "closed without resolution"
    AFTER_RECORDING = "moment after recorded_at"
    UNREVIEWED = "closed without review"
    SKIPPED_STATUS = "skipped status"
    SOURCES_DISAGREE = "sources disagree"
    STATED_DIFFERS = "stated duration differs from the moments"
    SELF_APPROVED = "approved by its requester"
    UNAPPROVED = "in production without approval"
    CLOCK_BACK = "clock going back"
    OUT_OF_ORDER = "source told out of order"
    APPROVED_AFTER = "approved after the fact"
    UNUSABLE = "moment that UTC can't tell"
    GAP = "gap in versions"
    OUTSIDE_WINDOW = "outside its window"
    BACKDATED = "backdated into a window"
    CONTENT_CORRECTED = "content corrected after approval"
    READ_ALIKE = "ids that read alike"
    UNKNOWN_LINK = "names what is not known"
    REOPENED_OPEN = "reopened without an end before it"
    IN_OWN_FAVOUR = "corrected in one's own favour"
    UNDONE = "decision or finding voided"
    NEGATIVE_LEAD = "lead time below zero"
    UNREAD = "events that can't be read"


@attrs.frozen(kw_only=True)
class Anomaly:
    """
    One odd thing.

    Attributes:
        kind, id: Of what it is: "incident", "change", or "ledger" for the log itself.
        oddity: Which of the closed list.
        detail: What exactly, in words.
        positions: Log positions it can be seen at.
    """

    kind: str
    id: str
    oddity: Oddity
    detail: str
    positions: tuple[int, ...] = ()


_TOLERANCE: Final = 60_000_000
"""Clocks and stated durations are rounded by their sources: a minute is no oddity."""


def anomalies(log: Facts | Iterable[Recorded]) -> tuple[Anomaly, ...]:
    """
    Return every anomaly in a log: of incidents, of changes, each by id, and of the ledger.

    Args:
        log: Facts, or a log, which is then read to its end.
    """
    facts = facts_of(log)
    result: list[Anomaly] = []
    untriaged: list[str] = []
    unworked: list[str] = []
    for row in facts.incidents:
        # Of those merged into it each has its own; only the severity is that of all of them.
        alone = row.alone._replace(severity_highest=row.severity_highest) if row.members else row
        odd = (*_incident(alone), *_incident_links(alone, facts))
        result += (_of(INCIDENT, alone, oddity, detail) for oddity, detail in odd)
        if alone.imported and alone.status in _FAR and not alone.triaged:
            untriaged.append(alone.id)
    for change in facts.changes:
        odd = (*_change(change), *_change_links(change, facts))
        result += (_of(CHANGE, change, oddity, detail) for oddity, detail in odd)
        if change.status is ChangeStatus.CLOSED and change.outcome is None:
            unworked.append(change.id)
    for word, ids in (("triaged", untriaged), ("implemented", unworked)):
        if ids:
            detail = f"{word}, by {len(ids):,} that a source told without it: {named(ids, SOME)}"
            result.append(_of_the_log(Oddity.SKIPPED_STATUS, detail))
    for name, count in facts.unread.items():
        result.append(_of_the_log(Oddity.UNREAD, f"{count:,} of type {name}"))
    back = "the ledger's stamp goes back here"
    result += (_of_the_log(Oddity.CLOCK_BACK, back, position) for position in facts.clock_back)
    gap = "a version before this one is missing, or this one comes again"
    result += (_of_the_log(Oddity.GAP, gap, position) for position in facts.gaps)
    return tuple(result)


_FAR: Final = frozenset({IncidentStatus.MITIGATED, IncidentStatus.RESOLVED, IncidentStatus.CLOSED})


def _of_the_log(oddity: Oddity, detail: str, *positions: int) -> Anomaly:
    return Anomaly(kind="ledger", id="self", oddity=oddity, detail=detail, positions=positions)


def _of(kind: str, row: IncidentFacts | ChangeFacts, oddity: Oddity, detail: str) -> Anomaly:
    return Anomaly(kind=kind, id=row.id, oddity=oddity, detail=detail, positions=row.positions)


def _common(row: IncidentFacts | ChangeFacts) -> Iterator[tuple[Oddity, str]]:
    if row.late:
        versions = ", ".join(map(str, row.late))
        yield Oddity.AFTER_RECORDING, f"version {versions}"
    unusable = [name for name, value in zip(row._fields, row, strict=True) if _untellable(value)]
    if unusable:
        yield Oddity.UNUSABLE, ", ".join(unusable)
    if row.sources_disagree:
        yield Oddity.SOURCES_DISAGREE, "a second source gave another value; the last one stands"
    if row.source_clock_back:
        yield Oddity.OUT_OF_ORDER, "by its own stamps: it came late, or its clock went back"
    for edit in row.edits:
        what = f"version {edit.version} ({edit.type} by {quoted(edit.actor)})"
        if edit.in_own_favour:
            said = f"{edit.field} of {what}" if edit.field else f"void of {what}"
            yield Oddity.IN_OWN_FAVOUR, f"{said}, by {quoted(edit.by)}"
        if edit.undoes:
            yield Oddity.UNDONE, f"{what}, by {quoted(edit.by)}"


def _untellable(value: object) -> bool:
    """Say whether a moment in a value of a row can't be told in UTC."""
    if isinstance(value, datetime):
        return value.year in {1, 9999} and not _tellable(value)
    if isinstance(value, Between):
        return _untellable(value.earliest) or _untellable(value.latest)
    if isinstance(value, Commit):
        return any(map(_untellable, attrs.astuple(value, recurse=False)))
    return value.__class__ is not str and is_list(value) and any(map(_untellable, value))


def _tellable(moment: datetime) -> bool:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


def _surely_before(first: Moment, second: Moment) -> bool:
    return utc(latest(first)) < utc(earliest(second))


def _well_before(first: Moment, second: Moment) -> bool:
    """Say whether a moment surely lies before another, by more than clocks differ."""
    return instant(earliest(second)) - instant(latest(first)) > _TOLERANCE


_Named = tuple[str, Moment | None]


def _disorder(*pairs: tuple[_Named, _Named]) -> Iterator[tuple[Oddity, str]]:
    """Yield pairs of moments of which the second well before the first."""
    for (before, first), (after, second) in pairs:
        if first is not None and second is not None and _well_before(second, first):
            yield Oddity.END_BEFORE_START, f"{after} at {second} before {before} at {first}"


def _out_of_order(*moments: _Named) -> Iterator[tuple[Oddity, str]]:
    """Yield what of a chain of moments lies well before the one told before it."""
    there = [milestone for milestone in moments if milestone[1] is not None]
    yield from _disorder(*pairwise(there))


def _incident_order(row: IncidentFacts) -> Iterator[tuple[Oddity, str]]:
    """Yield what of an incident is out of order; a reopening begins anew."""
    detected, resolved = ("detected", row.detected_at), ("resolved", row.resolved_at)
    declared = ("declared", row.declared_at)
    acknowledged, triaged = ("acknowledged", row.acknowledged_at), ("triaged", row.triaged_at)
    for named_ in (declared, acknowledged, triaged):
        yield from _disorder((detected, named_), (named_, resolved))
    for spell in row.spells:
        ends = (("mitigated", spell.mitigated), ("resolved", spell.resolved))
        yield from _out_of_order(("opened", spell.started), *ends, ("closed", spell.closed))
    before: Spell | None = None
    for spell in row.spells:
        if before is not None and before.resolved is None and before.closed is None:
            yield Oddity.REOPENED_OPEN, f"at {spell.started}"
        before = spell


def _incident(row: IncidentFacts) -> Iterator[tuple[Oddity, str]]:
    yield from _common(row)
    yield from _incident_order(row)
    if row.impact_started_at is not None:
        for name in ("detected", "declared", "acknowledged", "triaged", "mitigated", "resolved"):
            moment: Moment | None = getattr(row, f"{name}_at")
            if moment is not None and _well_before(moment, row.impact_started_at):
                yield Oddity.BEFORE_IMPACT, f"{name} at {moment}"
    live = row.status is IncidentStatus.CLOSED and not row.imported and row.merged_into is None
    if live and row.severity_highest in DEFAULT_POLICY.review_for and not row.reviewed:
        # The log does not say whether a policy waived it; that there is none is odd by itself.
        yield Oddity.UNREVIEWED, f"of severity {row.severity_highest}, and no review is recorded"
    if row.status is IncidentStatus.CLOSED and row.resolved_at is None:
        yield Oddity.CLOSED_UNRESOLVED, "no resolution stands"
    stated = row.stated.get(StatedDuration.TIME_TO_RESTORE)
    if stated is not None and row.detected_at is not None and row.resolved_at is not None:
        least = instant(earliest(row.resolved_at)) - instant(latest(row.detected_at))
        most = instant(latest(row.resolved_at)) - instant(earliest(row.detected_at))
        if stated <= least - _TOLERANCE or stated >= most + _TOLERANCE:
            by = f"{least / 1e6:g}" if least == most else f"{least / 1e6:g} to {most / 1e6:g}"
            yield Oddity.STATED_DIFFERS, f"stated {stated / 1e6:g} s, by the moments {by} s"


def _incident_links(row: IncidentFacts, facts: Facts) -> Iterator[tuple[Oddity, str]]:
    """Yield what an incident names that is not in the facts."""
    for verdict, word in ((Verdict.CAUSED, "caused by"), (Verdict.FIXED, "fixed by")):
        for change, said in row.verdicts.items():
            if said is verdict and facts.changes.index_of(change) is None:
                yield Oddity.UNKNOWN_LINK, f"{word} {quoted(change)}"
    into = row.merged_into
    if into is not None and facts.incidents.index_of(into) is None:
        yield Oddity.UNKNOWN_LINK, f"merged into {quoted(into)}"


def _change_links(row: ChangeFacts, facts: Facts) -> Iterator[tuple[Oddity, str]]:
    """Yield what a change names that is not in the facts."""
    if row.incident is not None and facts.incidents.index_of(row.incident) is None:
        yield Oddity.UNKNOWN_LINK, f"for {quoted(row.incident)}"
    if row.repairs is not None and facts.changes.index_of(row.repairs) is None:
        yield Oddity.UNKNOWN_LINK, f"repairs {quoted(row.repairs)}"


_NOT_BEGUN: Final = frozenset(
    {
        ChangeStatus.NOTHING,
        ChangeStatus.DRAFT,
        ChangeStatus.SUBMITTED,
        ChangeStatus.APPROVED,
        ChangeStatus.CANCELLED,
    }
)


def _change(row: ChangeFacts) -> Iterator[tuple[Oddity, str]]:
    yield from _common(row)
    over = row.status in {ChangeStatus.CLOSED, ChangeStatus.CANCELLED}
    yield from _out_of_order(
        ("planned", row.planned_at),
        ("submitted", row.submitted_at),
        ("started", row.started_at),
        ("deployed", row.deployed_at),
        ("rolled back", row.rolled_back_at),
        ("closed", row.closed_at if over else None),
    )
    if not over:  # it was closed, and rolled back after that
        yield from _out_of_order(("deployed", row.deployed_at), ("closed", row.closed_at))
    for commit in row.commits:
        late = commit.committed_at
        if late is not None and row.deployed_at is not None and _well_before(row.deployed_at, late):
            detail = f"{quoted(commit.id)} committed at {late}, deployed at {row.deployed_at}"
            yield Oddity.NEGATIVE_LEAD, detail
    requester = row.requested_by
    if requester is not None and folded(requester) in {folded(by) for by in row.approved_by}:
        yield Oddity.SELF_APPROVED, quoted(requester)
    elif requester is not None and reads_as(requester) in map(reads_as, row.approved_by):
        by = ", ".join(map(told_apart, row.approved_by))
        yield Oddity.READ_ALIKE, f"asked for by {told_apart(requester)}, approved by {by}"
    if len({reads_as(by) for by in row.approved_by}) < len({folded(by) for by in row.approved_by}):
        yield Oddity.READ_ALIKE, f"approved by {', '.join(map(told_apart, row.approved_by))}"
    began = row.status not in _NOT_BEGUN
    if began and row.authorisation in {"outstanding", "refused afterwards"}:
        yield Oddity.UNAPPROVED, row.authorisation
    yield from _approved_after(row)
    outside = next(_outside_window(row), "")
    if outside:
        yield Oddity.OUTSIDE_WINDOW, outside
    if "content as approved" in row.unauthorised:
        yield Oddity.CONTENT_CORRECTED, row.authorisation
    if row.backdated:
        yield Oddity.BACKDATED, f"version {', '.join(map(str, row.backdated))}"


def _outside_window(row: ChangeFacts) -> Iterator[str]:
    """Yield what was told outside the approved window; what is not approved has none."""
    window = row.window
    if "inside the window" in row.unauthorised:
        yield "told after it, and marked so"
    if window is None or row.authorisation not in {"approved", "pre-approved"}:
        return
    for name, moment in (("started", row.started_at), ("deployed", row.deployed_at)):
        if moment is None:
            continue
        if _surely_before(moment, window.start) or _surely_before(window.end, moment):
            yield f"{name} at {moment}, the window is {window.start} to {window.end}"


def _approved_after(row: ChangeFacts) -> Iterator[tuple[Oddity, str]]:
    """Yield what says that approval came when the work had begun; the first that does is enough."""
    if row.authorisation == "approved afterwards":
        yield Oddity.APPROVED_AFTER, row.authorisation
    elif row.approved_at is not None:
        for name, moment in (("started", row.started_at), ("deployed", row.deployed_at)):
            if moment is not None and _surely_before(moment, row.approved_at):
                yield Oddity.APPROVED_AFTER, f"approved at {row.approved_at}, {name} at {moment}"
                return
