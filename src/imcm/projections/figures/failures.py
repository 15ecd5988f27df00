"""
Deployments, which of them failed, and which incidents they caused.

A deployment is a change that came into production. It failed when it needed immediate
intervention; which signs of that count is a choice of the definition, and so is what happens to
an incident whose cause nobody stated.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import cached_property
from itertools import compress
from typing import Any, ClassVar, Final, NamedTuple, TypeVar, cast

import attrs

from imcm.domain.change import ChangeStatus
from imcm.domain.vocabulary import NOTHING_TOLD, Kind, Moment, Outcome, Verdict, is_among
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.facts.instants import moment_of
from imcm.projections.facts.merges import said
from imcm.projections.facts.tables import (
    COMPLETED,
    FAILED,
    NO_TIME,
    ROLLED_BACK,
    UNKNOWN,
    UNSURE,
    OneByOne,
    in_order,
    where,
)
from imcm.projections.figures.excerpt import named
from imcm.projections.figures.figure import (
    SHARE,
    Definition,
    Figure,
    Included,
    LeftOut,
    Listed,
    Members,
    buckets,
    change_matches,
    choices,
    figure_function,
    groups_of,
    in_environment,
    incident_matches,
    incidents_of,
    inside,
    instant_of,
    instants,
    is_label,
    microseconds,
    names,
    places_of_incidents,
    severity_matches,
    sorted_out,
    unread_notes,
    utc,
    why_incident_out,
    with_groups,
)
from imcm.projections.figures.windows import Period
from imcm.projections.statistics.intervals import wilson

T = TypeVar("T")

FAILED_BY: Final = ("incident", "rolled_back", "failed", "repaired")
"""The signs of failure that count unless told otherwise."""


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


class Deployed(OneByOne[Deployment]):
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

    def _one(self, place: int) -> Deployment:
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


def _all_deployments(facts: Facts, definition: Deployments) -> Deployed:
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
    order = in_order(times)
    placed = order if len(places) == len(changes) else [places[one] for one in order]
    groups = None
    if definition.group_by is not None:
        groups = [groups_of(changes[place], definition) for place in placed]
    uncertain = frozenset(here for here, place in enumerate(placed) if place in unsure)
    return Deployed(facts, placed, [times[one] for one in order], uncertain, groups), out


def _deployed_at(row: ChangeFacts) -> int:
    at: Any = row.deployed_at  # it is there, or this is no deployment
    return instant_of(at)


# --- which incidents they caused ------------------------------------------------------------------


def _age(value: object) -> timedelta | None:
    if value is None:
        return None
    age = value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            age = timedelta(seconds=value)
        except (ValueError, OverflowError):
            age = None  # not a number, or more than there can be
    if not isinstance(age, timedelta) or age <= timedelta():
        raise InvalidValue("max_age", value, "a time above 0: a timedelta, or seconds")
    return age


ATTRIBUTIONS: Final = ("stated", "latest_before", "latest_at_or_before", "between_releases")


@attrs.frozen(kw_only=True, repr=False)
class Attribution(Deployments):
    """
    Which deployment an incident is laid to.

    A stated verdict wins unless `stated` says otherwise. Where there is none, the definition may
    infer one; a link that somebody dismissed is never inferred, and inferred ones are marked and
    counted apart.

    Attributes:
        attribution: "stated" (default: only what somebody stated), "latest_before" the detection
            of the incident, "latest_at_or_before" it, or "between_releases" (the release that
            was live: from its own instant up to the next one's; `release_ends` closes that end).
            All deployments are candidates, whatever the definition's filters report of them.
        stated: "wins" (default), or "ignore": causes are inferred as by a tool that knows no
            verdicts, so neither those that somebody stated nor those dismissed are known.
        release_ends: "open" or "closed": whether an incident at the very instant of a release
            is laid to the one that was live until then, too.
        scope: What an incident and a deployment must share: "service" (default), "label:<name>",
            or "global".
        max_age: Longest time from deployment to detection; None for any. Seconds or timedelta.
        candidates: Which deployments can be inferred: "all" or "successful".
        candidates_in: Whether they must lie in the window: "any" or "window".
        incidents_in: Whether incidents must: "any" (default) or "window".
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "attribution": ATTRIBUTIONS,
        "stated": ("wins", "ignore"),
        "release_ends": ("open", "closed"),
        "candidates": ("all", "successful"),
        "candidates_in": ("any", "window"),
        "incidents_in": ("any", "window"),
    }
    attribution: str = "stated"
    stated: str = "wins"
    release_ends: str = "open"
    scope: str = "service"
    max_age: timedelta | None = attrs.field(default=None, converter=_age)
    candidates: str = "all"
    candidates_in: str = "any"
    incidents_in: str = "any"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not is_among(self.scope, ("service", "global")) and not is_label(self.scope):
            raise InvalidValue("scope", self.scope, "service, global, or label:<name>")
        if self.stated == "ignore" and self.attribution == "stated":
            rules = " or ".join(ATTRIBUTIONS[1:])
            allowed = f"wins where attribution is 'stated'; or infer causes: attribution= {rules}"
            raise InvalidValue("stated", self.stated, allowed)


@attrs.frozen(kw_only=True, repr=False)
class Causes(Attribution):
    """
    Which incidents are laid to which changes: the links themselves, each a `Cause`.

    First those that somebody stated, then those that are inferred, each in the order of the ids of
    their incidents; an incident with several causes has several. The causes that are stated may
    name a change that is not in the log (`known` is False). Incidents that do not count (dismissed,
    drills, tests, merged) have none. The window matters only with `incidents_in` and
    `candidates_in`.
    """

    NAME: ClassVar[str] = "causes"


class Cause(NamedTuple):
    """
    An incident laid to a change.

    Attributes:
        incident, change: Their ids.
        inferred: False where somebody stated it.
        rule: "stated", or by which `attribution` it is inferred.
        known: Whether the log has a change of that id.
    """

    incident: str
    change: str
    inferred: bool
    rule: str
    known: bool


class Laid(OneByOne[Cause]):
    """
    Which incidents are laid to which changes, field by field: first those that somebody stated.

    Attributes:
        incidents: The places of the incidents among all.
        changes: The places of the changes they are laid to among all; below 0 where nothing but
            the id of the change is known.
        stated: How many of them somebody stated; the others are inferred.
    """

    def __init__(
        self,
        facts: Facts,
        incidents: Sequence[int],
        changes: Sequence[int],
        stated: int,
        unknown: Sequence[str],
        rule: str,
    ) -> None:
        """
        Take all that is laid to changes.

        Args:
            unknown: The ids of changes of which nothing else is known, the last one first.
            rule: By which the others than the stated ones are inferred.
        """
        self._facts = facts
        self._unknown = unknown
        self._rule = rule
        self.incidents = incidents
        self.changes = changes
        self.stated = stated

    @cached_property
    def by_change(self) -> Mapping[int, Sequence[int]]:
        """The places here of what is laid to each change, in the order of the incidents' ids."""
        by_change: defaultdict[int, list[int]] = defaultdict(list)
        for place, change in enumerate(self.changes):
            by_change[change].append(place)
        if self.stated not in (0, len(self.changes)):
            for places in by_change.values():
                if len(places) > 1:
                    places.sort(key=self.incidents.__getitem__)
        return by_change

    def incidents_of(self, change: int) -> Sequence[int]:
        """Return the places of the incidents that are laid to a change."""
        return [self.incidents[place] for place in self.by_change.get(change, ())]

    def signs(self, change: int) -> Iterator[str]:
        """Yield the incidents that are laid to a change, as a person reads them."""
        for place in self.by_change.get(change, ()):
            id_ = self._facts.incidents.ids[self.incidents[place]]
            yield f"incident {id_}{'' if place < self.stated else ' (inferred)'}"

    def __len__(self) -> int:
        return len(self.changes)

    def _one(self, place: int) -> Cause:
        incident, change = self._facts.incidents.ids[self.incidents[place]], self.changes[place]
        id_ = self._unknown[change] if change < 0 else self._facts.changes.ids[change]
        inferred = place >= self.stated
        return Cause(incident, id_, inferred, self._rule if inferred else "stated", change >= 0)

    def __repr__(self) -> str:
        """Return in one line how many there are."""
        inferred = len(self.changes) - self.stated
        return f"<{type(self).__name__}: {self.stated:,} stated, {inferred:,} inferred>"

    def notes(self) -> tuple[str, ...]:
        """Return the note on stated causes that name no change of the log; none where all do."""
        return unknown_notes("causes", self.stated, self._unknown)


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


def causes_of(facts: Facts, definition: Attribution) -> tuple[Laid, Sequence[LeftOut]]:
    """
    Return which incidents are laid to which changes, and which incidents are laid to none.

    Causes are inferred among all deployments, so that a filter of the definition never moves an
    incident to another change. Of the filters only severities decide which incidents can fail a
    change; those left out are named where all filters take them. Costs a sort and one binary
    search for each incident and service.
    """
    return facts.kept(
        ("causes", *choices(definition, Attribution)), lambda: _causes(facts, definition)
    )


def _links(facts: Facts, definition: Causes) -> Laid:
    return causes_of(facts, definition)[0]


causes = figure_function(Causes, _links)


def _causes(facts: Facts, definition: Attribution) -> tuple[Laid, list[LeftOut]]:
    places, out = _to_be_laid(facts, definition)
    told = facts.incidents.columns
    members = _Members(facts, definition)
    incidents: list[int] = []
    changes: list[int] = []
    unknown: list[str] = []
    judged = compress(places, map(told.verdicts.__getitem__, places))
    for place in judged if definition.stated == "wins" else ():
        named = members.caused(place)
        for id_ in sorted(named):
            change = facts.changes.place(id_)
            if change is None:
                unknown.append(id_)
                change = -len(unknown)
            changes.append(change)
        incidents += [place] * len(named)
    stated = len(changes)
    if definition.attribution != "stated":
        settled = set(incidents)
        if settled:
            places = [place for place in places if place not in settled or told.merged[place]]
        pairs = set(zip(incidents, changes, strict=True))
        inferred, laid_to, alone = _Candidates(facts, definition, members).lay(places)
        for pair in zip(inferred, laid_to, strict=True):
            if pair not in pairs:  # where others are merged into it, one may have stated it
                incidents.append(pair[0])
                changes.append(pair[1])
        for place in alone:
            row = facts.incidents[place]
            if place not in settled and incident_matches(row, definition):
                out.append(LeftOut(row.id, "no deployment to lay it to", row.positions))
    rule = definition.attribution
    return Laid(facts, incidents, changes, stated, unknown[::-1], rule), out


def _to_be_laid(facts: Facts, definition: Attribution) -> tuple[Sequence[int], list[LeftOut]]:
    """Return the places of the incidents that can be laid to a change, and which can not."""
    left_out: list[LeftOut] = []
    places: Sequence[int]
    if definition.services is None and not definition.labels:
        places, out = places_of_incidents(facts, definition)
        left_out += out
    else:
        places = found = list[int]()
        for place, row in enumerate(facts.incidents):
            if not severity_matches(row, definition):
                continue
            reason = why_incident_out(row, definition)
            if reason is None:
                found.append(place)
            elif incident_matches(row, definition):
                left_out.append(LeftOut(row.id, reason, row.positions))
    if definition.incidents_in == "window" and definition.window is not None:
        members = _Members(facts, definition)
        places = [place for place in places if members.asked(place)]
    return places, left_out


def _detected(row: IncidentFacts) -> int:
    """Return the instant at which an incident was detected; NO_TIME where nobody knows."""
    return NO_TIME if row.detected_at is None else instant_of(row.detected_at)


class _Members:
    """
    The incidents that can be laid to a change, those that are one each by itself.

    What caused an incident was stated or is inferred for each of those merged into it, so that
    merging takes no failure from a change.
    """

    def __init__(self, facts: Facts, definition: Attribution) -> None:
        self._incidents = facts.incidents
        self._columns = facts.incidents.columns
        self._span: range | None = None
        if definition.incidents_in == "window" and definition.window is not None:
            self._span = instants(definition.window, definition.bounds)

    def asked(self, place: int) -> bool:
        """Say whether an incident, or one of those merged into it, is of the window."""
        at = self._columns.detected[place]
        if self._span is not None and at > UNSURE and not self._columns.merged[place]:
            return at in self._span
        return bool(self.of(self._incidents[place]))

    def of(self, row: IncidentFacts) -> Sequence[IncidentFacts]:
        """Return the incidents of the window that an incident stands for, each by itself."""
        span, members = self._span, row.members or (row,)
        return members if span is None else [one for one in members if _detected(one) in span]

    def caused(self, place: int) -> Sequence[str]:
        """Return the changes that are stated to have caused an incident."""
        row = self._incidents[place]
        return said(row, Verdict.CAUSED, self.of(row))


_Side = Callable[[Sequence[int], int], int]
_Found = tuple[Sequence[int], Sequence[int]]
"""Candidates in order: their times, and their places among all deployments."""

_NONE: Final[_Found] = ((), ())


class _Candidates:
    """Deployments an incident can be laid to, by what it must share with them, in order of time."""

    def __init__(self, facts: Facts, definition: Attribution, members: _Members) -> None:
        self._facts = facts
        self._members = members
        self._deployed = found = _all_deployments(facts, definition)
        self._scope = definition.scope
        self._heard = definition.stated == "wins"
        rule = definition.attribution
        self._side: _Side = bisect_left if rule == "latest_before" else bisect_right
        self._closed = rule == "between_releases" and definition.release_ends == "closed"
        longest = definition.max_age
        self._longest = None if longest is None else microseconds(longest)
        places: Iterable[int] = range(len(found))
        if definition.candidates == "successful":
            places = [place for place, one in enumerate(found.outcomes) if one == COMPLETED]
        at = found.at
        if definition.candidates_in == "window" and definition.window is not None:
            span = instants(definition.window, definition.bounds)
            places = [place for place in places if at[place] in span]
        shared = self._shared(places)
        self._of: dict[str, _Found] = {
            key: ([at[place] for place in mine], mine) for key, mine in shared.items()
        }

    def _shared(self, places: Iterable[int]) -> Mapping[str, list[int]]:
        """Return deployments by what an incident must share with them."""
        found = self._deployed
        if self._scope == "global":
            return {"": list(places)}
        if self._scope == "service":
            return found.by_service(places)
        shared: dict[str, list[int]] = {}
        for place in places:
            for key in _labelled(found.change(place).labels, self._scope):
                shared.setdefault(key, []).append(place)
        return shared

    def lay(self, places: Iterable[int]) -> tuple[list[int], list[int], list[int]]:
        """Return incidents with the changes each is laid to, and those laid to none."""
        incidents: list[int] = []
        changes: list[int] = []
        alone: list[int] = []
        table = self._facts.incidents
        told, deployed = table.columns, self._deployed.places
        detected, verdicts_of, services = told.detected, told.verdicts, told.services
        if not self._heard:
            verdicts_of = [NOTHING_TOLD] * len(verdicts_of)
        merged = told.merged
        side, longest = self._side, self._longest
        # What nearly all are: of one service, and nobody said anything about their cause.
        alike: Sequence[_Found | None] = ()
        if self._scope != "service" or self._closed:
            alike = [None] * len(table.services)
        else:
            alike = [self._of.get(of[0], _NONE) if len(of) == 1 else None for of in table.services]
        for place in places:
            at, candidates = detected[place], alike[services[place]]
            plainly = not verdicts_of[place] and not merged[place]
            if candidates is not None and at > UNSURE and plainly:
                times, of = candidates
                last = side(times, at) - 1
                if last >= 0 and (longest is None or at - times[last] <= longest):
                    incidents.append(place)
                    changes.append(deployed[of[last]])
                else:
                    alone.append(place)
                continue
            laid = self._by_itself(table[place])
            incidents += [place] * len(laid)
            changes += (deployed[one] for one in laid)
            if not laid:
                alone.append(place)
        return incidents, changes, alone

    def _by_itself(self, row: IncidentFacts) -> Sequence[int]:
        """Return the deployments that an incident is laid to, or each of those merged into it."""
        if not row.members:
            return self._among(row)
        id_, own = self._deployed.id, row.alone.verdicts
        found = {
            place
            for one in self._members.of(row)
            if Verdict.CAUSED not in one.verdicts.values()
            for place in self._among(one)
            if own.get(id_(place)) is not Verdict.DISMISSED  # the target's word wins
        }
        return sorted(found, key=id_)

    def _among(self, row: IncidentFacts) -> Sequence[int]:
        """Return the deployments one incident is laid to, whatever is told of it."""
        at = _detected(row)
        if at == NO_TIME:
            return ()
        keys: Sequence[str] = ("",)
        if self._scope == "service":
            keys = row.services
        elif self._scope != "global":
            keys = _labelled(row.labels, self._scope)
        verdicts = row.verdicts if self._heard else NOTHING_TOLD
        last = self._latest(keys, verdicts, at, self._side)
        if last is None:
            return ()
        if self._closed and self._deployed.at[last] == at:
            before = self._latest(keys, verdicts, at, bisect_left)
            if before is not None:
                return sorted((before, last), key=self._deployed.id)
        return (last,)

    def _latest(
        self, keys: Iterable[str], verdicts: Mapping[str, Verdict], at: int, side: _Side
    ) -> int | None:
        """Return the latest candidate before an instant, or at it, as the *side* says."""
        found: list[int] = []
        longest = self._longest
        for key in keys:
            times, places = self._of.get(key, _NONE)
            last = side(times, at) - 1
            while last >= 0 and (longest is None or at - times[last] <= longest):
                if verdicts.get(self._deployed.id(places[last])) is Verdict.DISMISSED:
                    last -= 1
                    continue
                found.append(places[last])
                break
        # They stand in order of time and id.
        return max(found, default=None)


def _labelled(labels: Mapping[str, str], scope: str) -> tuple[str, ...]:
    """Return what a row must share with another where that is a label."""
    name = scope.removeprefix("label:")
    return (labels[name],) if name in labels else ()


# --- change failure rate --------------------------------------------------------------------------


@attrs.frozen(kw_only=True, repr=False)
class FailedBy(Attribution):
    """
    Which deployments failed.

    Attributes:
        failed_by: The signs of failure that count: "incident" (one with a `caused` verdict),
            "rolled_back", "failed" (outcome), "repaired" (another change names it as repaired);
            and "version_returned", not a default: where an earlier version is deployed again,
            the deployment that had replaced it failed (versions 1, 2, 3, 1 mark 2).
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "failed_by": (*FAILED_BY, "version_returned")
    }
    failed_by: tuple[str, ...] = attrs.field(default=FAILED_BY, converter=names)


@attrs.frozen(kw_only=True, repr=False)
class ChangeFailureRate(FailedBy):
    """
    Failed deployments as a share of all deployments in the window.

    A change that caused four incidents failed once. Undefined, not 0, without deployments.

    Attributes:
        numerator: "changes" (default: failed deployments), "links" (pairs of an incident and a
            deployment it is laid to), or "incidents" (all incidents detected in the window,
            whatever caused them). The last two exist to reproduce other tools and may exceed 1.
        denominator: "all" (default), "successful", "successful_or_failed", or "evaluated".
    """

    NAME: ClassVar[str] = "change failure rate"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "numerator": ("changes", "incidents", "links"),
        "denominator": ("all", "successful", "successful_or_failed", "evaluated"),
    }
    numerator: str = "changes"
    denominator: str = "all"


DIVIDES: Final = "divides only"
"""Why a deployment is included where the numerator counts incidents."""


class Failed:
    """
    The deployments that failed; what says so of each is told when somebody asks.

    Attributes:
        places: Where they stand among all deployments, in order.
        inferred: The places of those of which nothing but inferred causes says so.
    """

    def __init__(
        self, found: Deployed, laid: Laid | None, others: Mapping[int, Sequence[str]]
    ) -> None:
        """
        Take all signs there are.

        Args:
            laid: The incidents laid to changes; None where they are no sign.
            others: The other signs by the places of the deployments.
        """
        self._found = found
        self._laid = laid
        self._others = others
        marked = set(others)
        self.inferred: AbstractSet[int] = frozenset()
        if laid is not None:
            here = found.here
            caused = {here[change] for change in laid.changes if change >= 0} - {-1}
            if laid.stated < len(laid.changes):
                stated = {here[change] for change in laid.changes[: laid.stated] if change >= 0}
                self.inferred = caused - stated - marked
            marked |= caused
        self._marked = marked
        self.places: Sequence[int] = sorted(marked)

    def __contains__(self, place: int) -> bool:
        return place in self._marked

    def among(self, places: Sequence[int]) -> Sequence[int]:
        """Return those of some places, all different, at which a deployment failed, in order."""
        if len(places) == len(self._found):
            return self.places
        return [place for place in places if place in self._marked]

    def links(self, place: int) -> int:
        """Return how many incidents say that a deployment failed."""
        laid = self._laid
        return 0 if laid is None else len(laid.by_change.get(self._found.places[place], ()))

    def signs(self, place: int) -> tuple[str, ...]:
        """Return all that says that a deployment failed, as a person reads it."""
        told = () if self._laid is None else self._laid.signs(self._found.places[place])
        return (*told, *self._others.get(place, ()))


class Judged(NamedTuple):
    """
    All deployments the definition takes, in order of time, and the failures among them.

    With them come the incidents that are laid to none, and what a reader should know of the causes.
    """

    deployments: Deployed
    failed: Failed
    unlaid: Sequence[LeftOut]
    notes: tuple[str, ...]


def failures(facts: Facts, definition: FailedBy) -> Judged:
    """Return the deployments the definition takes with the failures among them, by change id."""
    key = ("failures", *choices(definition, FailedBy))
    return facts.kept(key, lambda: _failures(facts, definition))


def _failures(facts: Facts, definition: FailedBy) -> Judged:
    found, _ = deployments(facts, definition)
    laid, unlaid = causes_of(facts, definition)
    by = definition.failed_by
    others: dict[int, list[str]] = {}
    told: dict[int, str] = {}
    if "rolled_back" in by:
        told[ROLLED_BACK] = "rolled back"
    if "failed" in by:
        told[FAILED] = "outcome failed"
    if told:
        others = {
            place: [told[outcome]]
            for place, outcome in enumerate(found.outcomes)
            if outcome in told
        }
    if "repaired" in by:
        repairs = [facts.changes[place] for place in where(facts.changes.columns.odd)]
        repaired = {of: row.id for row in repairs if (of := row.repairs) and of != row.id}
        for id_, repair in repaired.items():
            _sign(others, facts, found, id_, f"repaired by {repair}")
    if "version_returned" in by:
        for id_, version in _versions_returned(_all_deployments(facts, definition)).items():
            _sign(others, facts, found, id_, f"version {version} deployed again")
    heard = "incident" in by
    failed = Failed(found, laid if heard else None, others)
    return Judged(found, failed, unlaid, laid.notes() if heard else ())


def _sign(others: dict[int, list[str]], facts: Facts, found: Deployed, id_: str, sign: str) -> None:
    """Note a sign of failure, where the change is a deployment in question."""
    change = facts.changes.place(id_)
    if change is not None and found.here[change] >= 0:
        others.setdefault(found.here[change], []).append(sign)


def _versions_returned(found: Iterable[Deployment]) -> dict[str, str]:
    """Return the deployments that were undone by deploying what they had replaced, by change id."""
    marked: dict[str, str] = {}
    live: dict[str, list[str]] = {}  # ids of what was deployed to a service, in order of time
    newest: dict[tuple[str, str], int] = {}  # the last place of a version among them
    for one in found:
        version = one.change.version
        if version is None:
            continue
        for service in one.change.services or ("",):
            earlier = live.setdefault(service, [])
            replaced_by = newest.get((service, version), len(earlier)) + 1
            if replaced_by < len(earlier):
                marked[earlier[replaced_by]] = version
            newest[service, version] = len(earlier)
            earlier.append(one.change.id)
    return marked


def _divisors(judged: Judged, definition: ChangeFailureRate) -> Sequence[int]:
    """Return the places of the deployments in the denominator."""
    found = judged.deployments
    every = range(len(found))
    if definition.denominator == "all":
        return every
    outcomes = found.outcomes
    if definition.denominator == "successful":
        return [place for place in every if outcomes[place] == COMPLETED]
    if definition.denominator == "successful_or_failed":
        return [place for place in every if outcomes[place] in (COMPLETED, FAILED)]
    failed = judged.failed  # "evaluated"
    return [place for place in every if place in failed or found.change(place).result is not None]


def _passed_over(
    found: Deployed, divisors: Sequence[int], definition: ChangeFailureRate
) -> list[LeftOut]:
    """Return the deployments of the window that are not in the denominator."""
    window = definition.window
    span = None if window is None else instants(window, definition.bounds)
    reason = f"not in its denominator ({definition.denominator})"
    return [
        LeftOut(found.id(place), reason, found.change(place).positions)
        for place in sorted(set(range(len(found))).difference(divisors))
        if span is None or found.at[place] in span
    ]


def change_failures(facts: Facts, definition: ChangeFailureRate) -> Figure:
    """Compute the change failure rate."""
    _, out = deployments(facts, definition)
    judged = failures(facts, definition)
    found = judged.deployments
    divisors, passed_over = _divisors(judged, definition), list[LeftOut]()
    if len(divisors) < len(found):
        passed_over = _passed_over(found, divisors, definition)
    incidents: Sequence[IncidentFacts] = ()
    if definition.numerator == "incidents":
        incidents, _ = incidents_of(facts, definition)
    periods: list[Period] = []
    if definition.bucket_by is not None:
        moments = [moment_of(found.at[place]) for place in divisors]
        moments += [utc(row.detected_at) for row in incidents if row.detected_at is not None]
        periods = list(buckets(definition, moments))
    grouped = definition.group_by is not None
    deployed = Members(
        divisors,
        found.groups_of if grouped else None,
        periods,
        lambda place: (found.at[place],),
    )
    detected = Members(
        incidents,
        (lambda row: groups_of(row, definition)) if grouped else None,
        periods,
        lambda row: () if row.detected_at is None else (instant_of(row.detected_at),),
    )

    def figure(name: str | None, window: Period | None) -> Figure:
        members, rows = deployed.of(name, window), detected.of(name, window)
        part = _rate(members, judged, rows, facts, definition, window)
        return attrs.evolve(part, group=name)

    groups = sorted({*deployed.names, *detected.names})
    left_out = Listed(
        lambda: sorted([*out, *passed_over, *judged.unlaid], key=lambda one: (one.id, one.reason))
    )
    whole = figure(None, definition.window)
    notes = () if definition.numerator == "incidents" else judged.notes
    notes += unknown_outcomes(found, definition)
    whole = attrs.evolve(whole, left_out=left_out, notes=(*whole.notes, *notes))
    return with_groups(facts, whole, groups, periods, figure)


def _rate(
    members: Sequence[int],
    judged: Judged,
    incidents: Iterable[IncidentFacts],
    facts: Facts,
    definition: ChangeFailureRate,
    window: Period | None,
) -> Figure:
    found, failures_ = judged.deployments, judged.failed
    counted = members
    if window is not None:
        at, span = found.at, instants(window, definition.bounds)
        counted = [place for place in members if at[place] in span]
    n = len(counted)
    failed = failures_.among(counted)
    if definition.numerator == "changes":
        count = len(failed)
    elif definition.numerator == "links":
        count = sum(map(failures_.links, failed))
    else:
        incidents = [row for row in incidents if inside(row.detected_at, window, definition.bounds)]
        count = len(incidents)
    value = count / n if n else None
    if value is None and definition.empty == "zero":
        value = 0.0
    interval = None
    if definition.numerator == "changes" and n:
        interval = wilson(count, n, level=definition.level)
    return Figure(
        name=type(definition).NAME,
        value=value,
        reason="no deployments" if value is None else None,
        unit=SHARE,
        n=n,
        definition=definition,
        window=window,
        as_of=facts.as_of,
        known_at=facts.known_at,
        log_position=facts.log_position,
        mark=facts.mark,
        interval=interval,
        uncertain=len(found.uncertain.intersection(counted)) if found.uncertain else 0,
        included=Listed(lambda: _included(counted, judged, incidents, definition)),
        counts={
            definition.numerator if definition.numerator != "changes" else "failed": count,
            "failed by inferred cause only": len(failures_.inferred & set(failed)),
        },
        notes=unread_notes(facts),
    )


def _included(
    counted: Iterable[int],
    judged: Judged,
    incidents: Iterable[IncidentFacts],
    definition: ChangeFailureRate,
) -> Iterator[Included]:
    """Yield what each one adds to the numerator; deployments are the denominator besides."""
    found, failures_ = judged.deployments, judged.failed
    if definition.numerator == "incidents":
        for place in counted:
            row_ = found.change(place)
            yield Included(row_.id, 0.0, DIVIDES, row_.positions)
        for row in incidents:
            yield Included(row.id, 1.0, "whatever caused it", row.positions)
        return
    links = definition.numerator == "links"
    for place in counted:
        change = found.change(place)
        if place in failures_:
            value = float(failures_.links(place)) if links else 1.0
            yield Included(change.id, value, "; ".join(failures_.signs(place)), change.positions)
        else:
            yield Included(change.id, 0.0, "", change.positions)


change_failure_rate = figure_function(ChangeFailureRate, change_failures)
