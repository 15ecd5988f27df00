"""
Corrections and voids of one incident or change: who edited what, and whom that favours.

Whether an edit favours somebody is told by the sign of the field alone: a resolution moved
earlier makes a restore shorter, whatever else is true of it. No figure is computed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from imcm.domain.corrections import EventVoided, corrects
from imcm.domain.vocabulary import PRODUCTION, Mode, Result, Verdict, folded, latest
from imcm.projections.facts.instants import instant


class Edit(NamedTuple):
    """
    A correction or a void that somebody recorded live.

    Attributes:
        by: Who edited.
        version: Which event of the stream is edited.
        type: The name of its type.
        actor: Who recorded that.
        field: The field that is corrected; "" for a void.
        in_own_favour: It makes the figure of an incident, or the ruling on a change, look better,
            and whoever edited took part in that incident or change; of a void, it is of what
            they told themselves.
        undoes: It voids what was told without approval or past a guard; or a vote, a ruling, a
            rejection, a finding, a failure, a cause or a reopening that is somebody else's.
    """

    by: str
    version: int
    type: str
    actor: str
    field: str
    in_own_favour: bool = False
    undoes: bool = False


def edits_of(events: Mapping[int, Any], edits: Iterable[Any]) -> tuple[Edit, ...]:
    """
    Return the edits of a stream whose target is there, in log order.

    Args:
        events: The facts of the stream as they were recorded, by version; Any: of many types, or
            leaner than they are.
        edits: Its corrections and voids, in log order; those of an import are left out.
    """
    took_part = {folded(event.by) for event in events.values()}
    took_part |= {folded(who) for event in events.values() if (who := _asked(event)) is not None}
    stands: dict[tuple[int, str], Any] = {}
    made: list[Edit] = []
    for edit in edits:
        target = events.get(edit.version)
        if target is None:
            continue
        type_, by = target.__class__.__name__, edit.by
        if isinstance(edit, EventVoided):
            if edit.imported:
                continue  # a source takes back its own word
            own = folded(by) == folded(target.by)
            worse = _makes_worse(target, type_)
            undoes = _is_marked(target) or (not own and (worse or _is_decision(target, type_)))
            made.append(
                Edit(by, edit.version, type_, target.by, "", own and worse and not undoes, undoes)
            )
            continue
        field = edit.field
        if not corrects(edit, target):
            continue
        was = stands.get((edit.version, field), getattr(target, field))
        stands[edit.version, field] = edit.now
        if not edit.imported:
            better = _is_better(type_, field, was, edit.now) and folded(by) in took_part
            made.append(Edit(by, edit.version, type_, target.by, field, in_own_favour=better))
    return tuple(made)


def _asked(event: Any) -> str | None:
    asked: str | None = getattr(event, "requested_by", None)
    return asked


_DECISIONS: Final = frozenset(
    {
        "ChangeApproved",
        "VoteGiven",
        "ChangeRejected",
        "ChangeApprovedRetroactively",
        "RetroactiveApprovalRefused",
        "FreezeOverridden",
        "ChangeObserved",
        "ContentCorrectedAfterApproval",
    }
)


def _is_decision(event: Any, type_: str) -> bool:
    return type_ in _DECISIONS and not event.imported


def _is_marked(event: Any) -> bool:
    """Say whether it was told without approval, or past a guard."""
    marked = getattr(event, "unauthorised", "") or getattr(event, "outstanding", False)
    return bool(marked)


_FAILURES: Final = frozenset(
    {"ChangeFailed", "RolloutAborted", "ChangeRolledBack", "IncidentReopened"}
)


def _makes_worse(event: Any, type_: str) -> bool:
    """Say whether a figure, or a check, looks worse with an event than without."""
    if type_ == "VerdictGiven":
        return bool(event.verdict is Verdict.CAUSED)
    if type_ == "ChangeValidated":
        return not event.passed
    return type_ in _FAILURES


_LATER_IS_BETTER: Final = frozenset(
    {
        ("IncidentDetected", "at"),
        ("IncidentDetected", "impact_started_at"),
        ("IncidentDetected", "declared_at"),
        ("IncidentDeclared", "at"),
        ("IncidentReopened", "at"),
        ("ChangeStarted", "at"),
        ("ChangeFailed", "at"),
        ("RolloutAborted", "at"),
    }
)
_EARLIER_IS_BETTER: Final = frozenset(
    {
        "IncidentAcknowledged",
        "IncidentTriaged",
        "IncidentMitigated",
        "IncidentResolved",
        "IncidentClosed",
        "ChangeApproved",
        "VoteGiven",
        "ChangeApprovedRetroactively",
        "ChangeCompleted",
        "ChangeRolledBack",
        "ChangeRecovered",
    }
)
_MINUTE: Final = timedelta(minutes=1) // timedelta(microseconds=1)


def _is_better(type_: str, field: str, was: Any, now: Any) -> bool:
    """Say whether a figure looks better with another value; Any: of the type of the field."""
    judged = _JUDGED.get(field)
    if judged is not None:
        return judged(was, now)
    if field not in _MOMENTS or was is None or now is None:
        return False
    later = instant(latest(now)) - instant(latest(was))
    if (type_, field) in _LATER_IS_BETTER:
        return later > _MINUTE
    return type_ in _EARLIER_IS_BETTER and -later > _MINUTE


def _in_production(environment: str | None) -> bool:
    return environment is None or environment.casefold() in PRODUCTION


# Any: each takes values of the field it is of.
_JUDGED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "severity": lambda was, now: was is not None and (now is None or str(now) > str(was)),
    "impact": lambda was, now: _customers(now) < _customers(was),
    "mode": lambda was, now: was is Mode.REAL and now is not Mode.REAL,
    "environment": lambda was, now: _in_production(was) and not _in_production(now),
    "result": lambda was, now: was is Result.UNSUCCESSFUL and now is not Result.UNSUCCESSFUL,
}
_MOMENTS: Final = frozenset({"at", "impact_started_at", "declared_at"})


def _customers(impact: Any) -> int:
    return (impact.customers or 0) if impact is not None else 0
