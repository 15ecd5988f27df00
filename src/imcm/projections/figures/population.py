"""
Which rows a definition counts, and in which group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import NONE_GIVEN, PRODUCTION, DismissalReason, Mode, Severity
from imcm.projections.facts.columns import indices_set, indices_unset
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.facts.tables import Table
from imcm.projections.figures.definition import ANY, Definition, choices
from imcm.projections.figures.figure import LeftOut

Counted = TypeVar("Counted", IncidentFacts, ChangeFacts)


# --- populations ----------------------------------------------------------------------------------


def in_environment(environment: str | None, definition: Definition) -> bool:
    """Say whether an environment counts under the definition."""
    if definition.environments is None:
        return environment is None or environment.casefold() in PRODUCTION
    name = (environment or "production").casefold()
    return any(wanted in (ANY, name) for wanted in map(str.casefold, definition.environments))


WITHDRAWN: Final = "withdrawn (its source has it no more)"


class CountableIncident(Protocol):
    """What is looked at to say whether an incident counts: of facts, and of views alike."""

    @property
    def status(self) -> IncidentStatus: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def merged_into(self) -> str | None: ...
    @property
    def dismissed(self) -> DismissalReason | None: ...
    @property
    def withdrawn(self) -> bool: ...
    @property
    def environment(self) -> str | None: ...


def why_incident_out(row: CountableIncident, definition: Definition) -> str | None:
    """Return why an incident does not count under the definition, or None where it does."""
    if row.status is IncidentStatus.NOTHING:
        return "voided, or later than as_of"
    if row.withdrawn:
        return WITHDRAWN
    if row.mode is not Mode.REAL:
        return f"is a {row.mode.value}"
    if row.merged_into is not None:
        return f"merged into {row.merged_into}"
    if row.dismissed is not None:
        return f"dismissed ({row.dismissed.value})"
    if not in_environment(row.environment, definition):
        return f"environment {row.environment or 'production'}"
    return None


def incidents_of(
    facts: Facts, definition: Definition
) -> tuple[Sequence[IncidentFacts], Sequence[LeftOut]]:
    """
    Return the incidents that count under the definition, and which do not and why.

    Those its filters do not take are in neither: they are not in question. Merged and dismissed
    ones have no place in time, so every window names them.
    """
    indices, out = indices_of_incidents(facts, definition)
    if len(indices) == len(facts.incidents):
        return facts.incidents, out
    return [facts.incidents[index] for index in indices], out


def indices_of_incidents(
    facts: Facts, definition: Definition
) -> tuple[Sequence[int], Sequence[LeftOut]]:
    """Return the indices of the incidents that count among all, and which do not count and why."""
    return facts.kept(
        ("incidents", *choices(definition, Definition)),
        lambda: _indices_of_incidents(facts, definition),
    )


def _indices_of_incidents(
    facts: Facts, definition: Definition
) -> tuple[Sequence[int], list[LeftOut]]:
    filtered = {definition.services, definition.severities} != {None} or bool(definition.labels)

    def matches(row: IncidentFacts) -> bool:
        return not filtered or incident_matches(row, definition)

    def why(row: IncidentFacts) -> str | None:
        return why_incident_out(row, definition)

    plainly = in_environment(None, definition) and not filtered
    return sorted_out(facts.incidents, facts.incidents.columns.counted, plainly, matches, why)


def sorted_out(
    rows: Sequence[Counted],
    counted: bytearray,
    plainly: bool,
    matches: Callable[[Counted], bool],
    why: Callable[[Counted], str | None],
) -> tuple[Sequence[int], list[LeftOut]]:
    """
    Return the indices of the rows that count, and which do not count and why.

    Args:
        counted: 1 for those that count where nothing but what is usual is asked.
        plainly: Whether that is so; the others are looked at one by one, or else all are.
        matches: Says which are in question.
        why: Says why one does not count; None where it does.
    """
    indices: Sequence[int] = indices_set(counted) if plainly else ()
    more: list[int] = []
    out: list[LeftOut] = []
    for index in indices_unset(counted) if plainly else range(len(rows)):
        row = rows[index]
        if not matches(row):
            continue
        reason = why(row)
        if reason is None:
            more.append(index)
        else:
            out.append(LeftOut(row.id, reason, row.positions))
    return sorted([*indices, *more]) if more else indices, out


def incident_matches(row: IncidentFacts, definition: Definition) -> bool:
    """Say whether the definition's filters take an incident; the others are not in question."""
    return (
        _common(row.services, definition.services)
        and severity_matches(row, definition)
        and _labelled(row.labels, definition.labels)
    )


def severity_matches(row: IncidentFacts, definition: Definition) -> bool:
    """Say whether the definition takes an incident of this severity."""
    return _is_wanted(severity_of(row, definition), definition.severities)


def change_matches(row: ChangeFacts, definition: Definition) -> bool:
    """Say whether the definition's filters take a change; the others are not in question."""
    return (
        _common(row.services, definition.services)
        and _is_wanted(row.kind, definition.kinds)
        and _labelled(row.labels, definition.labels)
    )


def _common(have: tuple[str, ...], wanted: tuple[str, ...] | None) -> bool:
    return wanted is None or not set(have).isdisjoint(wanted)


def _is_wanted(have: str | None, wanted: tuple[str, ...] | None) -> bool:
    return wanted is None or have in wanted


def _labelled(have: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return wanted is None or all(have.get(name) == value for name, value in wanted.items())


def severity_of(row: IncidentFacts, definition: Definition) -> Severity | None:
    """Return the severity of an incident that counts under the definition."""
    if definition.severity == "last":
        return row.severity_last
    return row.severity_highest if definition.severity == "highest" else row.severity_first


def severity_name_of(row: IncidentFacts, definition: Definition) -> str | None:
    """Return what the severity is called that counts; where nobody named it, its rank."""
    name = {
        "last": row.severity_last_name,
        "highest": row.severity_highest_name,
        "first": row.severity_first_name,
    }[definition.severity]
    rank = severity_of(row, definition)
    return name or (None if rank is None else rank.value)


def groups_of(row: IncidentFacts | ChangeFacts, definition: Definition) -> tuple[str, ...]:
    """Return the groups a row counts in; several services, or tags, mean several groups."""
    by = definition.group_by
    if by is None:
        return ()
    if by == "service":
        return row.services or (NONE_GIVEN,)
    if by.startswith("label:"):
        return (row.labels.get(by.removeprefix("label:"), NONE_GIVEN),)
    if isinstance(row, IncidentFacts):
        if by == "cause_tag":
            return row.cause_tags or (NONE_GIVEN,)
        group: object = _OF_INCIDENT[by](row, definition) if by in _OF_INCIDENT else None
    else:
        group = {"type": row.type, "kind": row.kind, "risk": row.risk}.get(by)
    return (NONE_GIVEN if group is None else str(group),)


def groups_at(
    table: Table[Any, Any], indices: Sequence[int], definition: Definition
) -> list[tuple[str, ...]]:
    """Return the groups that the rows at some indices count in; nothing where there are none."""
    if definition.group_by is None:
        return []
    if definition.group_by == "service":
        named = [services or (NONE_GIVEN,) for services in table.services]
        numbers = table.columns.services
        return [named[numbers[index]] for index in indices]
    return [groups_of(table[index], definition) for index in indices]


_OF_INCIDENT: Final[Mapping[str, Callable[[IncidentFacts, Definition], object]]] = {
    "severity": severity_of,
    "severity_name": severity_name_of,
    "channel": lambda row, _: row.channel,
}
