"""
What was known of failures at any time: when each deployment failed, and what came before it.

Nothing here looks ahead. Of a deployment at some time it is asked what had happened strictly before
it, and a failure has happened once it showed itself: the roll back, the failed end, the detection
of the incident, the deployment of the repair.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from imcm.domain.vocabulary import NONE_GIVEN, Kind, Moment, is_list
from imcm.errors import InvalidValue
from imcm.projections.facts.columns import FAILED, NO_TIME, ROLLED_BACK, indices_set
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.instants import MICROSECOND, instant, moment_of
from imcm.projections.figures.attribution import Attributed, causes_of, detected
from imcm.projections.figures.definition import choices, is_label
from imcm.projections.figures.deployments import Deployed
from imcm.projections.figures.excerpt import one_of
from imcm.projections.figures.failures import Classified, Failed, FailedBy, failures
from imcm.projections.figures.units import instant_of, zone
from imcm.projections.reports.proposed import ProposedChange

FACTORS: Final = (
    *("service", "kind", "type", "risk", "size", "hour", "weekday", "last_failure", "last_50"),
)
"""What is asked of a change unless told otherwise; "label:<name>" may be added."""

LIKE: Final = ("service", "kind", "size", "hour")
"""Changes that are alike in these are like each other; the part of them that is asked for."""

NEVER: Final = 1 << 63
"""When a deployment failed that did not."""

MOST_RECENT: Final = 50

_HOUR: Final = timedelta(hours=1) // MICROSECOND
_DAY: Final = timedelta(days=1) // MICROSECOND
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_BLOCK: Final = 3  # hours that are taken together
_HOURS: Final = tuple(
    f"{hour - hour % _BLOCK:02}-{hour - hour % _BLOCK + _BLOCK:02} h" for hour in range(24)
)

# Up to which value a level goes; the last one has no bound.
_SIZES: Final = (
    (1, 4, 9, 19),
    ("1 commit", "2 to 4 commits", "5 to 9 commits", "10 to 19 commits", "20 commits or more"),
)
_AGES: Final = (
    tuple(hours * _HOUR for hours in (1, 6, 24, 72, 168, 720)),
    (
        *("within an hour", "within 6 hours", "within a day", "within 3 days", "within a week"),
        *("within 30 days", "longer ago"),
    ),
)
_COUNTS: Final = (
    (0, 1, 4, 8, 17),
    ("none", "1", "2 to 4", "5 to 8", "9 to 17", "18 or more"),
)
_FEWEST: Final = 10
"""Of fewer earlier deployments, how many failed says little."""

NOT_KNOWN: Final = "not known"
NONE_BEFORE: Final = "none before"


def _level(levels: tuple[Sequence[int], Sequence[str]], value: int) -> str:
    bounds, names = levels
    return names[bisect_left(bounds, value)]


class ServiceHistory(NamedTuple):
    """
    The deployments of one service in order of time.

    Attributes:
        at: When each came into production, in microseconds since 1970.
        failed_at: When each was known to have failed; NEVER of the others.
        failures: The times at which failures were known, in order.
        failed: The deployments that failed, by their indices among all, in that order.
        indices: Their indices among all deployments.
    """

    at: list[int]
    failed_at: list[int]
    failures: list[int]
    failed: list[int]
    indices: list[int]

    def last_failure(self, at: int) -> str:
        """Return how long ago a failure was last known, before a time, as a level."""
        index = bisect_left(self.failures, at)
        return _level(_AGES, at - self.failures[index - 1]) if index else NONE_BEFORE

    def last_50(self, at: int) -> str:
        """Return how many of the last 50 before a time were known by then to have failed."""
        behind = bisect_left(self.at, at)
        if behind < _FEWEST:
            return f"fewer than {_FEWEST} deployments"
        recent = self.failed_at[max(behind - MOST_RECENT, 0) : behind]
        return _level(_COUNTS, sum(map(at.__gt__, recent)))

    def failed_between(self, since: int, until: int) -> list[int]:
        """Return the deployments known to have failed in [*since*, *until*), by their indices."""
        return self.failed[bisect_left(self.failures, since) : bisect_left(self.failures, until)]


_NOTHING: Final = ServiceHistory([], [], [], [], [])


class FailureHistory:
    """
    All deployments with when each was known to have failed.

    Attributes:
        deployed: The deployments in order of time and id.
        failed: Those that failed, and what says so.
        failed_at: When each was known to have failed, in microseconds since 1970; NEVER of the
            others. Never before its own deployment.
        services: By the name of a service, its deployments; "" is that of changes without any.
    """

    def __init__(self, facts: Facts, definition: FailedBy, classified: Classified) -> None:
        self.deployed: Deployed = classified.deployments
        self.failed: Failed = classified.failed
        by_incident = "incident" in definition.failed_by
        self._attributed = causes_of(facts, definition)[0] if by_incident else None
        self.failed_at = _failed_at(facts, definition, classified, self._attributed)

    @cached_property
    def services(self) -> Mapping[str, ServiceHistory]:
        at, failed_at = self.deployed.at, self.failed_at
        shared = self.deployed.by_service(range(len(at)))
        made: dict[str, ServiceHistory] = {}
        for name, indices in shared.items():
            known = sorted(
                (failed_at[index], index) for index in indices if failed_at[index] != NEVER
            )
            made[name] = ServiceHistory(
                at=[at[index] for index in indices],
                failed_at=[failed_at[index] for index in indices],
                failures=[time for time, _ in known],
                failed=[index for _, index in known],
                indices=indices,
            )
        return made

    @cached_property
    def first_of_kind(self) -> Mapping[tuple[str, Kind | None], int]:
        """When there was first a deployment of a kind on a service, in microseconds since 1970."""
        first: dict[tuple[str, Kind | None], int] = {}
        for index, at in enumerate(self.deployed.at):
            row = self.deployed.change(index)
            for service in row.services or ("",):
                first.setdefault((service, row.kind), at)
        return first

    def incidents_of(self, index: int) -> Sequence[int]:
        """Return the indices of the incidents that say that a deployment failed."""
        if self._attributed is None:
            return ()
        return self._attributed.incidents_of(self.deployed.change_indices[index])

    def of(self, service: str) -> ServiceHistory:
        """Return the deployments of a service; nothing where there are none."""
        return self.services.get(service, _NOTHING)


def failure_history(facts: Facts, definition: FailedBy) -> FailureHistory:
    """Return all deployments the definition takes with when each was known to have failed."""
    key = ("failure history", *choices(definition, FailedBy))
    return facts.kept(key, lambda: FailureHistory(facts, definition, failures(facts, definition)))


def _failed_at(
    facts: Facts, definition: FailedBy, classified: Classified, attributed: Attributed | None
) -> list[int]:
    """Return when each deployment was known to have failed; the first sign of it counts."""
    deployed, failed = classified.deployments, classified.failed
    failed_at = [NEVER] * len(deployed)
    changes, by = facts.changes, definition.failed_by
    # A sign of which nobody says when it was seen is known at the end.
    end = NEVER - 1 if facts.as_of is None else instant_of(facts.as_of)
    repairs: dict[str, int] = {}
    if "repaired" in by:
        for index in indices_set(changes.columns.rework):
            row = changes[index]
            if row.repairs is not None and row.repairs != row.id:
                at = _known(row.deployed_at or row.planned_at, end)
                repairs[row.repairs] = min(at, repairs.get(row.repairs, NEVER))
    outcomes = deployed.outcomes
    for index in failed.indices:
        change_index = deployed.change_indices[index]
        signs: list[int] = []
        if outcomes[index] == ROLLED_BACK and "rolled_back" in by:
            signs.append(_known(changes[change_index].rolled_back_at, end))
        if outcomes[index] == FAILED and "failed" in by:
            signs.append(_known(changes[change_index].ended_at, end))
        if (repair := repairs.get(changes.ids[change_index])) is not None:
            signs.append(repair)
        if attributed is not None:
            times = (detected(facts.incidents[i]) for i in attributed.incidents_of(change_index))
            signs += (end if time == NO_TIME else time for time in times)
        failed_at[index] = max(min(signs), deployed.at[index])
    return failed_at


def _known(moment: Moment | None, end: int) -> int:
    return end if moment is None else instant_of(moment)


# --- levels ---------------------------------------------------------------------------------------


def checked_factors(value: object) -> tuple[str, ...]:
    """
    Return names of factors as a tuple.

    Raises:
        InvalidValue: One is none that there is, or comes twice.
    """
    given: list[object] = list(value) if is_list(value) else [value]
    names: list[str] = []
    for name in given:
        if not isinstance(name, str) or (name not in FACTORS and not is_label(name)):
            raise InvalidValue("factors", name, one_of(name, (*FACTORS, "or label:<name>")))
        if name in names:
            raise InvalidValue("factors", name, "each factor once")
        names.append(str(name))
    return tuple(names)


_OfChange = Callable[[ProposedChange, str, int], str]
"""Gives the level of a factor: of a change, for one service of it, at a time."""


class _LocalTime:
    """What the clocks of a zone show, as microseconds since 1970: for very many times."""

    def __init__(self, home: ZoneInfo) -> None:
        self._home = home
        self._offsets: dict[int, int | None] = {}

    def __call__(self, at: int) -> int:
        day = at // _DAY
        if day not in self._offsets:
            first, last = (self._offset(each * _DAY) for each in (day, day + 1))
            # Where clocks change on a day, each of its times is asked by itself.
            self._offsets[day] = first if first == last else None
        offset = self._offsets[day]
        return at + (self._offset(at) if offset is None else offset)

    def _offset(self, at: int) -> int:
        moment = moment_of(at)
        try:
            local = moment.astimezone(self._home)
        except OverflowError:  # at either end of the calendar there may be no other zone
            return 0
        return instant(local.replace(tzinfo=UTC)) - instant(moment)


def levels_of(
    history: FailureHistory, factors: Sequence[str], time_zone: str
) -> Callable[[ProposedChange, int], list[tuple[str, ...]]]:
    """Return what gives the levels of a change at a time: one combination for each service."""
    ways = [_way(history, factor, zone(time_zone)) for factor in factors]

    def levels(change: ProposedChange, at: int) -> list[tuple[str, ...]]:
        services = change.services or ("",)
        return [tuple(way(change, service, at) for way in ways) for service in services]

    return levels


def _way(history: FailureHistory, factor: str, home: ZoneInfo) -> _OfChange:
    if is_label(factor):
        label = factor.removeprefix("label:")
        return lambda change, _service, _at: change.labels.get(label, NONE_GIVEN)
    local = _LocalTime(home)
    if factor == "hour":
        return lambda _change, _service, at: _HOURS[local(at) // _HOUR % 24]
    if factor == "weekday":
        return lambda _change, _service, at: _WEEKDAYS[(local(at) // _DAY + 3) % 7]
    if factor == "last_failure":
        return lambda _change, service, at: history.of(service).last_failure(at)
    if factor == "last_50":
        return lambda _change, service, at: history.of(service).last_50(at)
    if factor == "service":
        return lambda _change, service, _at: service or NONE_GIVEN
    if factor == "size":
        return lambda change, _service, _at: size_of(change.commits)
    return lambda change, _service, _at: str(getattr(change, factor) or NONE_GIVEN)


def size_of(commits: int | None) -> str:
    """Return how large a change is, as a level."""
    return _level(_SIZES, commits) if commits else NOT_KNOWN


class Trained(NamedTuple):
    """
    The levels of all deployments, each as it was when it went in.

    Attributes:
        combinations: The different combinations of levels there are.
        rows: Of each deployment in order, and each of its services, the index of its combination.
        deployments: Of each of these, the index of its deployment.
        shares: Of each of these, one divided by how many services its deployment has.
    """

    combinations: list[tuple[str, ...]]
    rows: list[int]
    deployments: list[int]
    shares: list[float]


def levels_of_all(
    facts: Facts, definition: FailedBy, factors: tuple[str, ...], time_zone: str
) -> Trained:
    """Return the levels of all deployments, each as it was when it went in."""
    key = ("levels", factors, time_zone, *choices(definition, FailedBy))
    return facts.kept(key, lambda: _levels_of_all(facts, definition, factors, time_zone))


def _levels_of_all(
    facts: Facts, definition: FailedBy, factors: tuple[str, ...], time_zone: str
) -> Trained:
    history = failure_history(facts, definition)
    deployed = history.deployed
    numbers: dict[tuple[str, ...], int] = {}
    trained = Trained([], [], [], [])
    ways = [_way(history, factor, zone(time_zone)) for factor in factors]
    for index, at in enumerate(deployed.at):
        # A row has the names that are asked for, except the number of its commits.
        row: Any = _Row(deployed.change(index))
        services = row.services or ("",)
        for service in services:
            levels = tuple(way(row, service, at) for way in ways)
            number = numbers.setdefault(levels, len(numbers))
            trained.rows.append(number)
            trained.deployments.append(index)
            trained.shares.append(1 / len(services))
    trained.combinations.extend(numbers)
    return trained


class _Row:
    """A row of facts where a proposed change is asked: making that of each row takes long."""

    __slots__ = ("commits", "kind", "labels", "risk", "services", "type")

    def __init__(self, row: Any) -> None:
        self.services = row.services
        self.kind = row.kind
        self.type = row.type
        self.risk = row.risk
        self.labels = row.labels
        self.commits = len(row.commits) or None
