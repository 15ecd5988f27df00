"""
Deployments: which changes count as one, and when each reached production.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import attrs

from imcm.domain.change_events import ChangeStatus
from imcm.domain.vocabulary import Kind, Moment, Outcome
from imcm.projections.facts.columns import UNKNOWN, UNSURE, argsort
from imcm.projections.facts.fold import ChangeFacts, Facts
from imcm.projections.facts.instants import moment_of
from imcm.projections.facts.tables import LazySequence
from imcm.projections.figures.bounds import instants
from imcm.projections.figures.definition import Definition, choices
from imcm.projections.figures.excerpt import named
from imcm.projections.figures.figure import LeftOut
from imcm.projections.figures.population import (
    change_matches,
    groups_of,
    in_environment,
    sorted_out,
)
from imcm.projections.figures.units import instant_of

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


class Deployed(LazySequence[Deployment]):
    """
    Deployments in order of time and id, field by field: there are very many, and most are plain.

    Attributes:
        at: When each came into production, in microseconds since 1970.
        places: Where each stands among all changes.
        uncertain: Places here of those placed by the midpoint of an uncertain moment.
        groups: The groups each counts in; None where there are no groups.
    """

    def __init__(
        self,
        facts: Facts,
        places: Sequence[int],
        at: Sequence[int],
        uncertain: frozenset[int],
        groups: Sequence[tuple[str, ...]] | None,
    ) -> None:
        self._changes = facts.changes
        self._columns = facts.changes.columns
        self.places = places
        self.at = at
        self.uncertain = uncertain
        self.groups = groups

    def _picked(self, column: Sequence[T]) -> Sequence[T]:
        return [column[place] for place in self.places]

    @cached_property
    def here(self) -> Sequence[int]:
        """Where each of all changes stands here; -1 for those that are not."""
        here = [-1] * len(self._changes)
        for place, change in enumerate(self.places):
            here[change] = place
        return here

    def id(self, place: int) -> str:
        """Return the id of the change that was deployed."""
        return self._changes.ids[self.places[place]]

    @cached_property
    def outcomes(self) -> Sequence[int]:
        """How the work ended, each as its place in OUTCOMES."""
        return self._picked(self._columns.outcome)

    @cached_property
    def loads(self) -> Sequence[int]:
        """How many commits each brought."""
        return self._picked(self._columns.load)

    def commits(self) -> list[str]:
        """Return the ids of all commits that were brought, each as often as it was."""
        told: Sequence[str | None] = self._columns.commit
        every = len(self.places) == len(self._changes)
        found = [name for name in (told if every else self._picked(told)) if name is not None]
        if max(self._columns.load, default=0) > 1:
            for place, load in enumerate(self.loads):
                if load > 1:
                    found += (commit.id for commit in self.change(place).commits)
        return found

    @cached_property
    def committed(self) -> Sequence[int]:
        """When it was committed, in microseconds since 1970; NO_TIME of others."""
        return self._picked(self._columns.committed)

    @cached_property
    def services(self) -> Sequence[tuple[str, ...]]:
        """The services of each; ("",) where it has none."""
        named = [services or ("",) for services in self._changes.services]
        numbers = self._columns.services
        return [named[numbers[place]] for place in self.places]

    def groups_of(self, place: int) -> tuple[str, ...]:
        """Return the groups that the deployment at a place counts in."""
        return () if self.groups is None else self.groups[place]

    def by_service(self, places: Iterable[int]) -> Mapping[str, list[int]]:
        """Return places by service, in their order; "" is that of changes without any."""
        services = self.services
        shared: defaultdict[str, list[int]] = defaultdict(list)
        for place in places:
            for service in services[place]:
                shared[service].append(place)
        return shared

    def change(self, place: int) -> ChangeFacts:
        """Return the change that was deployed."""
        return self._changes[self.places[place]]

    def moment(self, place: int) -> Moment:
        """Return when a change was deployed, as it was told."""
        if place in self.uncertain:
            told: Any = self.change(place).deployed_at  # it is there, or this is no deployment
            return cast("Moment", told)
        return moment_of(self.at[place])

    def __len__(self) -> int:
        return len(self.at)

    def _item(self, place: int) -> Deployment:
        at, uncertain = moment_of(self.at[place]), place in self.uncertain
        return Deployment(self.change(place), at, uncertain, self.groups_of(place))


def unknown_outcomes(found: Deployed, definition: Definition) -> tuple[str, ...]:
    """Return a note of how many deployments of the window nobody said how they went; or none."""
    outcomes = found.outcomes
    if UNKNOWN not in outcomes:
        return ()
    window = definition.window
    if window is None:
        count = outcomes.count(UNKNOWN)
    else:
        span = instants(window, definition.bounds)
        first, last = bisect_left(found.at, span.start), bisect_left(found.at, span.stop)
        count = outcomes[first:last].count(UNKNOWN)
    if not count:
        return ()
    told = "the outcome of 1 deployment is" if count == 1 else f"the outcomes of {count:,} are"
    return (f"{told} unknown: in production, and nobody said how it went",)


def why_no_deployment(row: ChangeFacts, definition: Deployments) -> str | None:
    """Return why a change is no deployment under the definition, or None where it is one."""
    if row.status is ChangeStatus.NOTHING:
        return "never happened (voided, or later than as_of)"
    if not in_environment(row.environment, definition):
        return f"environment {row.environment or 'production'}"
    if row.kind is Kind.ROLLBACK and definition.rollbacks == "leave_out":
        return "is a roll back of another change"
    if row.deployed_at is None:
        if row.outcome is None:
            return f"not deployed ({row.status.value})"
        return "reached nothing" if row.reached_production is False else "missing(deployed)"
    return None


Found = tuple[Deployed, Sequence[LeftOut]]


def deployments(facts: Facts, definition: Deployments) -> Found:
    """Return all deployments the definition takes, in order of time and id, and what is none."""
    key = ("deployments", *choices(definition, Deployments))
    return facts.kept(key, lambda: _deployments(facts, definition))


def all_deployments(facts: Facts, definition: Deployments) -> Deployed:
    """Return all deployments there are, whatever the definition's filters report of them."""
    return deployments(facts, attrs.evolve(definition, services=None, kinds=None, labels=None))[0]


def _deployments(facts: Facts, definition: Deployments) -> Found:
    changes = facts.changes
    told = changes.columns
    filtered = {definition.services, definition.kinds} != {None} or bool(definition.labels)

    def matches(row: ChangeFacts) -> bool:
        return not filtered or change_matches(row, definition)

    def why(row: ChangeFacts) -> str | None:
        return why_no_deployment(row, definition)

    plainly = in_environment(None, definition) and not filtered
    places, out = sorted_out(changes, told.counted, plainly, matches, why)
    times: Sequence[int] = told.deployed
    if len(places) < len(changes):
        times = [times[place] for place in places]
    unsure: frozenset[int] = frozenset()
    if UNSURE in times:
        unsure = frozenset(place for place in places if told.deployed[place] == UNSURE)
        times = [
            _deployed_at(changes[place]) if time == UNSURE else time
            for place, time in zip(places, times, strict=True)
        ]
    # The rows come in the order of their ids, and so do those of one time.
    order = argsort(times)
    placed = order if len(places) == len(changes) else [places[one] for one in order]
    groups = None
    if definition.group_by is not None:
        groups = [groups_of(changes[place], definition) for place in placed]
    uncertain = frozenset(here for here, place in enumerate(placed) if place in unsure)
    return Deployed(facts, placed, [times[one] for one in order], uncertain, groups), out


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
    told = named(sorted(set(ids)))
    return (f"{len(ids):,} of {of:,} {what} {names_} no known change: {told}",)
