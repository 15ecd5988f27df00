"""
Anomalies: what is odd in a log. Nothing is refused, dropped or fixed for it; it is listed.

The list of kinds is closed. Most come from imported history, some from live steps told late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import attrs

from imcm.domain.change import ChangeStatus
from imcm.domain.incident import IncidentStatus
from imcm.domain.policy import DEFAULT_POLICY
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded
from imcm.domain.vocabulary import (
    Between,
    Commit,
    Moment,
    StatedDuration,
    earliest,
    folded,
    is_list,
    latest,
)
from imcm.projections.facts import ChangeFacts, Facts, IncidentFacts
from imcm.projections.figure import facts_of, microseconds, utc


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
    APPROVED_AFTER = "approved after the fact"
    UNUSABLE = "moment that UTC can't tell"
    GAP = "gap in versions"
    OUTSIDE_WINDOW = "outside its window"
    BACKDATED = "backdated into a window"
    CONTENT_CORRECTED = "content corrected after approval"


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
"""Stated durations are rounded by their sources: a minute's difference is no oddity."""


def anomalies(log: Facts | Iterable[Recorded]) -> tuple[Anomaly, ...]:
    """Return every anomaly in a log: of incidents, of changes, each by id, and of the ledger."""
    facts = facts_of(log)
    found: list[Anomaly] = []
    for row in facts.incidents:
        # Of those merged into it each has its own; only the severity is that of all of them.
        alone = row.alone._replace(severity_highest=row.severity_highest) if row.members else row
        found += (_of(INCIDENT, alone, oddity, detail) for oddity, detail in _incident(alone))
    for change in facts.changes:
        found += (_of(CHANGE, change, oddity, detail) for oddity, detail in _change(change))
    found += (
        Anomaly(
            kind="ledger",
            id="self",
            oddity=Oddity.CLOCK_BACK,
            detail="the ledger's stamp goes back here",
            positions=(position,),
        )
        for position in facts.clock_back
    )
    found += (
        Anomaly(
            kind="ledger",
            id="self",
            oddity=Oddity.GAP,
            detail="a version before this one is missing, or this one comes again",
            positions=(position,),
        )
        for position in facts.gaps
    )
    return tuple(found)


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
        yield Oddity.CLOCK_BACK, "the source's stamps go back"


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


def _out_of_order(
    moments: Iterable[tuple[str, Moment | None]],
) -> Iterator[tuple[Oddity, str]]:
    """Yield pairs of moments in which what comes later in the lifecycle surely came earlier."""
    last: tuple[str, Moment] | None = None
    for name, moment in moments:
        if moment is None:
            continue
        if last is not None and _surely_before(moment, last[1]):
            yield Oddity.END_BEFORE_START, f"{name} at {moment} before {last[0]} at {last[1]}"
        last = (name, moment)


def _incident(row: IncidentFacts) -> Iterator[tuple[Oddity, str]]:
    yield from _common(row)
    first = (("detected", row.detected_at), ("acknowledged", row.acknowledged_at))
    yield from _out_of_order(first)
    for spell in row.spells:
        started = ("opened", spell.started)
        ends = (("mitigated", spell.mitigated), ("resolved", spell.resolved))
        yield from _out_of_order((started, *ends, ("closed", spell.closed)))
    if row.impact_started_at is not None:
        for name in ("detected", "declared", "acknowledged", "triaged", "mitigated", "resolved"):
            moment: Moment | None = getattr(row, f"{name}_at")
            if moment is not None and _surely_before(moment, row.impact_started_at):
                yield Oddity.BEFORE_IMPACT, f"{name} at {moment}"
    live = row.status is IncidentStatus.CLOSED and not row.imported and row.merged_into is None
    if live and row.severity_highest in DEFAULT_POLICY.review_for and not row.reviewed:
        # The log does not say whether a policy waived it; that there is none is odd by itself.
        yield Oddity.UNREVIEWED, f"of severity {row.severity_highest}, and no review is recorded"
    if row.status is IncidentStatus.CLOSED and row.resolved_at is None:
        yield Oddity.CLOSED_UNRESOLVED, "no resolution stands"
    far = {IncidentStatus.MITIGATED, IncidentStatus.RESOLVED, IncidentStatus.CLOSED}
    if row.imported and row.status in far and not row.triaged:
        yield Oddity.SKIPPED_STATUS, "triaged"
    stated = row.stated.get(StatedDuration.TIME_TO_RESTORE)
    if stated is not None and row.detected_at is not None and row.resolved_at is not None:
        told = microseconds(utc(row.resolved_at) - utc(row.detected_at))
        if abs(stated - told) >= _TOLERANCE:
            detail = f"stated {stated / 1e6:g} s, by the moments {told / 1e6:g} s"
            yield Oddity.STATED_DIFFERS, detail


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
        (
            ("planned", row.planned_at),
            ("submitted", row.submitted_at),
            ("started", row.started_at),
            ("deployed", row.deployed_at),
            ("rolled back", row.rolled_back_at),
            ("closed", row.closed_at if over else None),
        )
    )
    if not over:  # it was closed, and rolled back after that
        yield from _out_of_order((("deployed", row.deployed_at), ("closed", row.closed_at)))
    if row.status is ChangeStatus.CLOSED and row.outcome is None:
        yield Oddity.SKIPPED_STATUS, "implemented"
    requester = row.requested_by
    if requester is not None and folded(requester) in {folded(by) for by in row.approved_by}:
        yield Oddity.SELF_APPROVED, requester
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
