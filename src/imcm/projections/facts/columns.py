"""
Columns: what nearly every figure asks of rows, as plain numbers in arrays, and how to work on them.

The helpers are named as numpy names its own, and work on the arrays of the standard library: a
column of flags is a `bytearray`, one of numbers an `array`, and rows are picked by their indices.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import compress
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

from imcm.domain.change_events import ChangeStatus
from imcm.domain.incident import OPEN
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import (
    ChangeType,
    Commit,
    DismissalReason,
    Kind,
    Mode,
    Moment,
    Outcome,
    Verdict,
)
from imcm.projections.facts.instants import EPOCH, MICROSECOND
from imcm.projections.facts.rows import Spell
from imcm.projections.statistics.samples import sorted_as_floats

T = TypeVar("T")

NO_TIME: Final = -(1 << 63)
"""In a column of times: there is none, or nobody knows it."""

UNSURE: Final = NO_TIME + 1
"""In a column of times: it lies between two others. Whatever is larger is an exact time."""

Services = tuple[str, ...]

OUTCOMES: Final = (None, *Outcome)
COMPLETED: Final = OUTCOMES.index(Outcome.COMPLETED)
FAILED: Final = OUTCOMES.index(Outcome.FAILED)
ROLLED_BACK: Final = OUTCOMES.index(Outcome.ROLLED_BACK)
UNKNOWN: Final = OUTCOMES.index(Outcome.UNKNOWN)


# --- helpers --------------------------------------------------------------------------------------

_INVERTED: Final = bytes([1, *bytes(255)])


def indices_set(mask: bytearray) -> Sequence[int]:
    """Return the indices at which a flag is set, in order."""
    count = len(mask)
    return range(count) if mask.count(1) == count else list(compress(range(count), mask))


def indices_unset(mask: bytearray) -> Sequence[int]:
    """Return the indices at which a flag is not set, in order."""
    return () if mask.count(1) == len(mask) else indices_set(logical_not(mask))


def mask_of(indices: Sequence[int], count: int) -> bytearray:
    """Return *count* flags that are set at some indices, all different."""
    if len(indices) == count:
        return bytearray(b"\1") * count
    mask = bytearray(count)
    for index in indices:
        mask[index] = 1
    return mask


def logical_not(mask: bytearray) -> bytearray:
    """Return flags that are set where these are not."""
    return mask.translate(_INVERTED)


def logical_and(first: bytearray, *others: bytearray) -> bytearray:
    """Return flags that are set where all of these are: each column as one large number."""
    both = int.from_bytes(first, "big")
    for mask in others:
        both &= int.from_bytes(mask, "big")
    return bytearray(both.to_bytes(len(first), "big"))


# A time is eight bytes, of which the first says whether it is exact: none there is lies so far
# from 1970 that it begins as NO_TIME and UNSURE do. Those two differ in the last. So a column is
# looked through without a number made of any of its values.
_FIRST_BYTE, _LAST_BYTE = (7, 0) if sys.byteorder == "little" else (0, 7)
_IS_EXACT: Final = bytes(byte != NO_TIME >> 56 & 255 for byte in range(256))
_IS_NONE: Final = bytes(byte == NO_TIME & 255 for byte in range(256))


def is_exact(times: array[int]) -> bytearray:
    """Return flags that are set where a time is there and exact."""
    return bytearray(times.tobytes()[_FIRST_BYTE::8].translate(_IS_EXACT))


def is_none(times: array[int]) -> bytearray:
    """Return flags that are set where there is no time, or nobody knows it."""
    last = bytearray(times.tobytes()[_LAST_BYTE::8].translate(_IS_NONE))
    return logical_and(logical_not(is_exact(times)), last)


def argsort(times: Sequence[int]) -> list[int]:
    """Return the indices of times in their order, those of equal ones in the order given."""
    order = sorted(range(len(times)), key=list(map(float, times)).__getitem__)
    if not order or sorted_as_floats(times[order[0]], times[order[-1]]):
        return order
    return sorted(range(len(times)), key=times.__getitem__)


def searchsorted(values: Sequence[str], wanted: Iterable[str]) -> list[int]:
    """Return the index of each that is wanted in sorted values, or that at which it belongs."""
    return [bisect_left(values, value) for value in wanted]


def take(values: Sequence[T], indices: Iterable[int]) -> list[T]:
    """Return the values at some indices."""
    return [values[index] for index in indices]


# --- what they hold -------------------------------------------------------------------------------


class IncidentColumns(NamedTuple):
    """
    What figures ask of incidents.

    Attributes:
        counted: 1 for what nearly all are: real, in production, and nobody took it back.
        once: 1 where it was open no more than once.
        open: 1 where it is not over at `as_of`.
        merged: 1 where others are merged into it: what each of them says is in its row.
        verdicts: What was said about causes and repairs, by the change; nothing of most.
        detected, resolved, acknowledged, mitigated: The times, in microseconds since 1970, or
            NO_TIME, or UNSURE; resolution and mitigation as the last time it was open says.
        services: Which of the lists of services, as `Table.services` has them.
    """

    counted: bytearray
    once: bytearray
    open: bytearray
    merged: bytearray
    verdicts: list[Mapping[str, Verdict]]
    detected: array[int]
    resolved: array[int]
    acknowledged: array[int]
    mitigated: array[int]
    services: array[int]

    def __repr__(self) -> str:
        """Return what they are, and of how many."""
        return f"<{type(self).__name__} of {len(self.counted):,}>"


class ChangeColumns(NamedTuple):
    """
    What figures ask of changes.

    Attributes:
        counted: 1 for what nearly all are: deployed to production at an exact time, no roll back.
        outcome: The index of its outcome in OUTCOMES.
        rework: 1 where it may be rework: an emergency, unplanned, or a repair of another.
        deployed, rolled_back, recovered: The times, as with incidents.
        load: How many commits it brought; 255 for more.
        commit, committed: The id of its one commit, and when it was committed; None and NO_TIME
            where it brought none, or several.
        services: As with incidents.
    """

    counted: bytearray
    outcome: bytearray
    rework: bytearray
    deployed: array[int]
    rolled_back: array[int]
    recovered: array[int]
    committed: array[int]
    load: bytearray
    commit: list[str | None]
    services: array[int]

    def __repr__(self) -> str:
        """Return what they are, and of how many."""
        return f"<{type(self).__name__} of {len(self.counted):,}>"


# --- how they are filled --------------------------------------------------------------------------


# Members of an enum are looked up slowly: these functions are called for every row.
_REAL: Final = Mode.REAL
_ROLLBACK: Final = Kind.ROLLBACK
_NO_INCIDENT: Final = IncidentStatus.NOTHING
_RESOLVED: Final = IncidentStatus.RESOLVED
_NO_CHANGE: Final = ChangeStatus.NOTHING


def incident_counts_plainly(
    status: IncidentStatus,
    environment: str | None,
    mode: Mode,
    spells: Sequence[Spell],
    merged_into: str | None,
    dismissed: DismissalReason | None,
    withdrawn: bool,
) -> bool:
    """Say whether an incident is what nearly all are: it counts wherever nothing else is asked."""
    return (
        mode is _REAL
        and not withdrawn
        and merged_into is None
        and dismissed is None
        and environment is None
        and status is not _NO_INCIDENT
        and bool(spells)
    )


def change_counts_plainly(
    status: ChangeStatus,
    environment: str | None,
    kind: Kind | None,
    deployed: int,
    withdrawn: bool,
) -> bool:
    """Say whether a change is what nearly all are: it counts wherever nothing else is asked."""
    return (
        deployed > UNSURE
        and environment is None
        and kind is not _ROLLBACK
        and status is not _NO_CHANGE
        and not withdrawn
    )


_INCIDENT: Final = attrgetter(
    "status",
    "services",
    "environment",
    "mode",
    "detected_at",
    "spells",
    "verdicts",
    "merged_into",
    "members",
    "dismissed",
    "acknowledged_at",
    "withdrawn",
)
_CHANGE: Final = attrgetter(
    "status",
    "type",
    "kind",
    "services",
    "environment",
    "unplanned",
    "repairs",
    "deployed_at",
    "rolled_back_at",
    "recovered_at",
    "commits",
    "outcome",
    "withdrawn",
)


def _is_open(status: IncidentStatus) -> bool:
    return status is not _RESOLVED and status in OPEN


_AT_ONCE: Final = 500


def _in_pieces(
    fields: Callable[[Any], tuple[Any, ...]], rows: Sequence[Any]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield some fields of a few rows at a time, each field by itself: they stay in the cache."""
    for first in range(0, len(rows), _AT_ONCE):
        yield list(zip(*map(fields, rows[first : first + _AT_ONCE]), strict=True))


def _times(moments: Iterable[Moment | None]) -> list[int]:
    return [
        NO_TIME
        if at is None
        else (at - EPOCH) // MICROSECOND
        if isinstance(at, datetime)
        else UNSURE
        for at in moments
    ]


# Any: rows, or what has the fields of rows.
def incident_columns(rows: Sequence[Any], number: Callable[[Services], int]) -> IncidentColumns:
    """
    Return the columns of incidents.

    Args:
        number: Gives the number of a list of services.
    """
    flags = bytearray(), bytearray(), bytearray(), bytearray()
    columns = IncidentColumns(*flags, [], *(array("q") for _ in range(5)))
    for fields in _in_pieces(_INCIDENT, rows):
        statuses, services, environments, modes, detections, spells, verdicts = fields[:7]
        merged_into, members, dismissed, acknowledgements, withdrawn = fields[7:]
        columns.counted.extend(
            map(
                incident_counts_plainly,
                *(statuses, environments, modes, spells, merged_into, dismissed, withdrawn),
            )
        )
        columns.once.extend(len(some) < 2 for some in spells)
        columns.open.extend(map(_is_open, statuses))
        columns.merged.extend(map(bool, members))
        columns.verdicts.extend(verdicts)
        columns.detected.extend(_times(detections))
        columns.resolved.extend(_times(some[-1].resolved if some else None for some in spells))
        columns.acknowledged.extend(_times(acknowledgements))
        columns.mitigated.extend(_times(some[-1].mitigated if some else None for some in spells))
        columns.services.extend(map(number, services))
    return columns


def change_columns(rows: Sequence[Any], number: Callable[[Services], int]) -> ChangeColumns:
    """Return the columns of changes, as those of incidents are made."""
    columns = ChangeColumns(
        bytearray(),
        bytearray(),
        bytearray(),
        *(array("q"), array("q"), array("q"), array("q")),
        bytearray(),
        [],
        array("q"),
    )
    # An enum is hashed and compared by functions of Python: nearly all are found without.
    completed, emergency = Outcome.COMPLETED, ChangeType.EMERGENCY
    for fields in _in_pieces(_CHANGE, rows):
        statuses, types, kinds, services, environments, unplanned, repairs = fields[:7]
        deployments, roll_backs, recoveries, loads, outcomes, withdrawn = fields[7:]
        deployed = _times(deployments)
        columns.counted.extend(
            map(change_counts_plainly, statuses, environments, kinds, deployed, withdrawn)
        )
        columns.outcome.extend(
            COMPLETED if outcome is completed else OUTCOMES.index(outcome) for outcome in outcomes
        )
        columns.rework.extend(
            type_ is emergency or bool(of_itself) or of is not None
            for type_, of_itself, of in zip(types, unplanned, repairs, strict=True)
        )
        columns.deployed.extend(deployed)
        columns.rolled_back.extend(_times(roll_backs))
        columns.recovered.extend(_times(recoveries))
        alone = [load[0] if len(load) == 1 else _NO_COMMIT for load in loads]
        columns.committed.extend(_times(commit.committed_at for commit in alone))
        columns.load.extend(min(len(load), 255) for load in loads)
        columns.commit.extend(None if commit is _NO_COMMIT else commit.id for commit in alone)
        columns.services.extend(map(number, services))
    return columns


_NO_COMMIT: Final = Commit(id="none")
