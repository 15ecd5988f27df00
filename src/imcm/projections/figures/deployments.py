"""
Deployments: which changes count as one, and when each reached production.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, cast

import attrs

from imcm.domain.change_events import ChangeStatus
from imcm.domain.vocabulary import Kind, Moment, Outcome
from imcm.projections.facts.columns import UNKNOWN, UNSURE, argsort, indices_set, take
from imcm.projections.facts.fold import ChangeFacts, Facts
from imcm.projections.facts.instants import moment_of
from imcm.projections.facts.tables import IndexedSequence
from imcm.projections.figures.bounds import instants
from imcm.projections.figures.definition import Definition, choices
from imcm.projections.figures.excerpt import named
from imcm.projections.figures.figure import LeftOut
from imcm.projections.figures.groups import shared_out
from imcm.projections.figures.population import (
    WITHDRAWN,
    change_matches,
    groups_at,
    in_environment,
    sorted_out,
)
from imcm.projections.figures.units import instant_of
from imcm.projections.figures.windows import Period

T = TypeVar("T")


# --- deployments ----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, repr=False)
class Deployments(Definition):
    """
    Which changes are deployments.

    Attributes:
        rollbacks: A change of kind rollback is no deployment ("leave_out", the default): the roll
            back is part of the change it takes back. "count" makes it one, as most tools do.
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"rollbacks": ("leave_out", "count")}
    rollbacks: str = "leave_out"


class Deployment(NamedTuple):
    """One deployment: its change, when it came into production, and the groups it counts in."""

    change: ChangeFacts
    at: datetime
    uncertain: bool
    groups: tuple[str, ...]

    @property
    def successful(self) -> bool:
        """Whether the work ended completed (what happened later is another question)."""
        return self.change.outcome is Outcome.COMPLETED


class Deployed(IndexedSequence[Deployment]):
    """
    Deployments in order of time and id, field by field: there are very many, and most are plain.

    Attributes:
        at: When each came into production, in microseconds since 1970.
        change_indices: The index of the change of each among all changes.
        uncertain: Indices here of those placed by the midpoint of an uncertain moment.
        groups: The groups each counts in; empty where there are no groups.
    """

    def __init__(
        self,
        facts: Facts,
        change_indices: Sequence[int],
        at: Sequence[int],
        uncertain: frozenset[int],
        groups: Sequence[tuple[str, ...]],
    ) -> None:
        self._changes = facts.changes
        self._columns = facts.changes.columns
        self.change_indices = change_indices
        self.at = at
        self.uncertain = uncertain
        self.groups = groups

    def _picked(self, column: Sequence[T]) -> Sequence[T]:
        return [column[index] for index in self.change_indices]

    @cached_property
    def deployment_indices(self) -> Sequence[int]:
        """The index here of each of all changes; -1 for those that are not."""
        indices = [-1] * len(self._changes)
        for index, change in enumerate(self.change_indices):
            indices[change] = index
        return indices

    def id(self, index: int) -> str:
        """Return the id of the change that was deployed."""
        return self._changes.ids[self.change_indices[index]]

    @cached_property
    def outcomes(self) -> bytearray:
        """How the work ended, each as its index in OUTCOMES."""
        return bytearray(self._picked(self._columns.outcome))

    def ended(self, *outcomes: int) -> Sequence[int]:
        """Return the indices of those whose work ended in one of some ways, in order."""
        return indices_set(self.outcomes.translate(bytes(n in outcomes for n in range(256))))

    @cached_property
    def loads(self) -> Sequence[int]:
        """How many commits each brought."""
        return self._picked(self._columns.load)

    def commits(self) -> list[str]:
        """Return the ids of all commits that were brought, each as often as it was."""
        column: Sequence[str | None] = self._columns.commit
        every = len(self.change_indices) == len(self._changes)
        ids = [name for name in (column if every else self._picked(column)) if name is not None]
        if max(self._columns.load, default=0) > 1:
            for index, load in enumerate(self.loads):
                if load > 1:
                    ids += (commit.id for commit in self.change(index).commits)
        return ids

    @cached_property
    def committed(self) -> Sequence[int]:
        """When it was committed, in microseconds since 1970; NO_TIME of others."""
        return self._picked(self._columns.committed)

    @cached_property
    def _named(self) -> Sequence[tuple[str, ...]]:
        return [services or ("",) for services in self._changes.services]

    def services(self, indices: Iterable[int]) -> list[tuple[str, ...]]:
        """Return the services of those at some indices; ("",) where one has none."""
        named, numbers, changes = self._named, self._columns.services, self.change_indices
        return [named[numbers[changes[index]]] for index in indices]

    @cached_property
    def by_group(self) -> Mapping[str, Sequence[int]]:
        """The indices of the deployments of each group, in their order."""
        return shared_out(range(len(self)), self.groups) if self.groups else {}

    def by_service(self, indices: Sequence[int]) -> Mapping[str, list[int]]:
        """Return indices that rise by service; "" is that of changes without any."""
        return shared_out(indices, self.services(indices))

    def groups_of(self, index: int) -> tuple[str, ...]:
        """Return the groups that the deployment at an index counts in."""
        return self.groups[index] if self.groups else ()

    def change(self, index: int) -> ChangeFacts:
        """Return the change that was deployed."""
        return self._changes[self.change_indices[index]]

    def moment(self, index: int) -> Moment:
        """Return when a change was deployed, as it was told."""
        if index in self.uncertain:
            moment: Any = self.change(index).deployed_at  # it is there, or this is no deployment
            return cast("Moment", moment)
        return moment_of(self.at[index])

    def __len__(self) -> int:
        return len(self.at)

    def _item(self, index: int, /) -> Deployment:
        at, uncertain = moment_of(self.at[index]), index in self.uncertain
        return Deployment(self.change(index), at, uncertain, self.groups_of(index))


class DeploymentsByGroup:
    """Some deployments by their indices, in order of time, of which each period is one stretch."""

    def __init__(self, deployed: Deployed, indices: Sequence[int], bounds: str) -> None:
        """
        Take the deployments at some indices, in order.

        Args:
            bounds: Which ends of a window belong to it.
        """
        self._at = deployed.at
        self._bounds = bounds
        by_group = deployed.by_group
        if by_group and len(indices) < len(deployed):
            by_group = shared_out(indices, take(deployed.groups, indices))
        self._of: dict[str | None, Sequence[int]] = {None: indices}
        self._of.update(by_group.items())
        self.names = sorted(name for name in self._of if name is not None)

    def inside(self, name: str | None, window: Period | None) -> Sequence[int]:
        """Return those of a group (None: all) in a window (None: all time)."""
        members = self._of.get(name, ())
        if window is None:
            return members
        span, at = instants(window, self._bounds), self._at.__getitem__
        first = bisect_left(members, span.start, key=at)
        return members[first : bisect_left(members, span.stop, key=at)]


def unknown_outcomes(deployed: Deployed, definition: Definition) -> tuple[str, ...]:
    """Return a note of how many deployments of the window nobody said how they went; or none."""
    outcomes = deployed.outcomes
    if UNKNOWN not in outcomes:
        return ()
    window = definition.window
    if window is None:
        count = outcomes.count(UNKNOWN)
    else:
        span = instants(window, definition.bounds)
        first, last = bisect_left(deployed.at, span.start), bisect_left(deployed.at, span.stop)
        count = outcomes[first:last].count(UNKNOWN)
    if not count:
        return ()
    subject = "the outcome of 1 deployment is" if count == 1 else f"the outcomes of {count:,} are"
    return (f"{subject} unknown: in production, and nobody said how it went",)


class CountableChange(Protocol):
    """What is looked at to say whether a change is a deployment: of facts, and of views alike."""

    @property
    def status(self) -> ChangeStatus: ...
    @property
    def environment(self) -> str | None: ...
    @property
    def kind(self) -> Kind | None: ...
    @property
    def deployed_at(self) -> Moment | None: ...
    @property
    def outcome(self) -> Outcome | None: ...
    @property
    def reached_production(self) -> bool | None: ...
    @property
    def withdrawn(self) -> bool: ...


def why_no_deployment(row: CountableChange, definition: Deployments) -> str | None:
    """Return why a change is no deployment under the definition, or None where it is one."""
    if row.status is ChangeStatus.NOTHING:
        return "voided, or later than as_of"
    if row.withdrawn:
        return WITHDRAWN
    if not in_environment(row.environment, definition):
        return f"environment {row.environment or 'production'}"
    if row.kind is Kind.ROLLBACK and definition.rollbacks == "leave_out":
        return "is a roll back of another change"
    if row.deployed_at is None:
        if row.outcome is None:
            return f"not deployed ({row.status.value})"
        return "reached nothing" if row.reached_production is False else "missing(deployed)"
    return None


DeploymentSelection = tuple[Deployed, Sequence[LeftOut]]


def deployments(facts: Facts, definition: Deployments) -> DeploymentSelection:
    """Return all deployments the definition takes, in order of time and id, and what is none."""
    key = ("deployments", *choices(definition, Deployments))
    return facts.kept(key, lambda: _deployments(facts, definition))


def all_deployments(facts: Facts, definition: Deployments) -> Deployed:
    """Return all deployments there are, whatever the definition's filters report of them."""
    return deployments(facts, attrs.evolve(definition, services=None, kinds=None, labels=None))[0]


def _deployments(facts: Facts, definition: Deployments) -> DeploymentSelection:
    changes = facts.changes
    columns = changes.columns
    filtered = {definition.services, definition.kinds} != {None} or bool(definition.labels)

    def matches(row: ChangeFacts) -> bool:
        return not filtered or change_matches(row, definition)

    def why(row: ChangeFacts) -> str | None:
        return why_no_deployment(row, definition)

    plainly = in_environment(None, definition) and not filtered
    indices, out = sorted_out(changes, columns.counted, plainly, matches, why)
    times = columns.deployed.tolist()
    if len(indices) < len(changes):
        times = take(times, indices)
    unsure: frozenset[int] = frozenset()
    if UNSURE in times:
        unsure = frozenset(index for index in indices if columns.deployed[index] == UNSURE)
        times = [
            _deployed_at(changes[index]) if time == UNSURE else time
            for index, time in zip(indices, times, strict=True)
        ]
    # The rows come in the order of their ids, and so do those of one time.
    order = argsort(times)
    change_indices = order if len(indices) == len(changes) else [indices[i] for i in order]
    groups = groups_at(changes, change_indices, definition)
    uncertain: frozenset[int] = frozenset()
    if unsure:
        uncertain = frozenset(here for here, index in enumerate(change_indices) if index in unsure)
    return Deployed(facts, change_indices, [times[i] for i in order], uncertain, groups), out


def _deployed_at(row: ChangeFacts) -> int:
    at: Any = row.deployed_at  # it is there, or this is no deployment
    return instant_of(at)


def unknown_notes(what: str, of: int, unknown: Iterable[str]) -> tuple[str, ...]:
    """
    Return the note on what incidents say of changes that are not in the log; none where all are.

    Args:
        what: It is: "causes", or "fixes".
        of: How many there are.
        unknown: The ids of changes that are not there, each as often as it is named.
    """
    ids = list(unknown)
    if not ids:
        return ()
    names_ = "names" if len(ids) == 1 else "name"
    changes = named(sorted(set(ids)))
    return (f"{len(ids):,} of {of:,} {what} {names_} no known change: {changes}",)
