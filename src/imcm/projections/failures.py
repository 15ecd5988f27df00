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
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, ClassVar, Final, NamedTuple, overload

import attrs

from imcm.domain.change import ChangeStatus
from imcm.domain.vocabulary import Between, Kind, Outcome, Verdict
from imcm.errors import InvalidValue
from imcm.projections.facts import ChangeFacts, Facts, IncidentFacts
from imcm.projections.figure import (
    SHARE,
    Definition,
    Figure,
    Included,
    LeftOut,
    Listed,
    Members,
    Period,
    buckets,
    change_matches,
    choices,
    figure_function,
    groups_of,
    in_environment,
    incident_matches,
    incidents_of,
    inside,
    is_label,
    names,
    places_of_incidents,
    severity_matches,
    unread_notes,
    utc,
    why_incident_out,
    with_groups,
)
from imcm.projections.statistics import wilson

FAILED_BY: Final = ("incident", "rolled_back", "failed", "repaired")
"""The signs of failure that count unless told otherwise."""


# --- deployments ----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
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


class Deployed(Sequence[Deployment]):
    """
    Deployments in order of time and id, field by field: there are very many, and most are plain.

    Attributes:
        at: When each came into production, in UTC.
        uncertain: Places here of those placed by the midpoint of an uncertain moment.
        groups: The groups each counts in; None where there are no groups.
    """

    def __init__(
        self,
        facts: Facts,
        places: Sequence[int],
        at: Sequence[datetime],
        uncertain: frozenset[int],
        groups: Sequence[tuple[str, ...]] | None,
    ) -> None:
        self._facts = facts
        self._places = places
        self.at = at
        self.uncertain = uncertain
        self.groups = groups
        self._columns: dict[str, Sequence[Any]] = {}

    def column(self, field: str) -> Sequence[Any]:
        """Return one field of the changes, as `Facts.of_changes` does."""
        found = self._columns.get(field)
        if found is None:
            every, places = self._facts.of_changes(field), self._places
            # Of one place `itemgetter` gives what is there, and of none it does not exist.
            found = [every[place] for place in places[:1]]
            if len(places) > 1:
                found = itemgetter(*places)(every)
            self._columns[field] = found
        return found

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the changes."""
        return self.column("id")

    def groups_of(self, place: int) -> tuple[str, ...]:
        """Return the groups that the deployment at a place counts in."""
        return () if self.groups is None else self.groups[place]

    def by_service(self, places: Iterable[int]) -> Mapping[str, list[int]]:
        """Return places by service, in their order; "" is that of changes without any."""
        services = self.column("services")
        shared: defaultdict[str, list[int]] = defaultdict(list)
        for place in places:
            for service in services[place] or ("",):
                shared[service].append(place)
        return shared

    def change(self, place: int) -> ChangeFacts:
        """Return the change that was deployed."""
        return self._facts.changes[self._places[place]]

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, place: int) -> Deployment: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Deployment]: ...
    def __getitem__(self, place: int | slice) -> Deployment | Sequence[Deployment]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        uncertain = place in self.uncertain
        return Deployment(self.change(place), self.at[place], uncertain, self.groups_of(place))


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
    out: list[LeftOut] = []
    moments = facts.of_changes("deployed_at")
    filtered = {definition.services, definition.kinds} != {None} or bool(definition.labels)
    places: list[int] = []
    if in_environment(None, definition) and not filtered:
        # Nearly all are: deployed at a time that is known, to production, and no roll backs.
        told = facts.each_change("deployed_at", "environment", "kind", "status")
        places = [
            place
            for place, (at, environment, kind, status) in enumerate(told)
            if at.__class__ is datetime
            and environment is None
            and kind is not Kind.ROLLBACK
            and status is not ChangeStatus.NOTHING
        ]
    if len(places) < len(moments):
        others: Iterable[int] = range(len(moments))
        if places:
            others = sorted(set(others).difference(places))
        for place in others:
            row = facts.changes[place]
            if filtered and not change_matches(row, definition):
                continue
            why = why_no_deployment(row, definition)
            if why is None:
                places.append(place)
            else:
                out.append(LeftOut(row.id, why, row.positions))
        places.sort()
    times = [
        at if at.__class__ is datetime and at.tzinfo is UTC else utc(at)
        for at in (moments[place] for place in places)
    ]
    # Stable, and the rows come in the order of their ids.
    order = sorted(range(len(times)), key=times.__getitem__)
    placed = [places[one] for one in order]
    groups = None
    if definition.group_by is not None:
        groups = [groups_of(facts.changes[place], definition) for place in placed]
    uncertain = frozenset(
        here for here, place in enumerate(placed) if moments[place].__class__ is Between
    )
    return Deployed(facts, placed, [times[one] for one in order], uncertain, groups), out


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


@attrs.frozen(kw_only=True)
class Attribution(Deployments):
    """
    Which deployment an incident is laid to.

    A stated verdict always wins. Where there is none, the definition may infer one; a link that
    somebody dismissed is never inferred, and inferred ones are marked and counted apart.

    Attributes:
        attribution: "stated" (default: only what somebody stated), "latest_before" the detection
            of the incident, "latest_at_or_before" it, or "between_releases" (the release that
            was live: from its own instant up to the next one's; `release_ends` closes that end).
            All deployments are candidates, whatever the definition's filters report of them.
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
        "release_ends": ("open", "closed"),
        "candidates": ("all", "successful"),
        "candidates_in": ("any", "window"),
        "incidents_in": ("any", "window"),
    }
    attribution: str = "stated"
    release_ends: str = "open"
    scope: str = "service"
    max_age: timedelta | None = attrs.field(default=None, converter=_age)
    candidates: str = "all"
    candidates_in: str = "any"
    incidents_in: str = "any"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.scope not in ("service", "global") and not is_label(self.scope):
            raise InvalidValue("scope", self.scope, "service, global, or label:<name>")


class Cause(NamedTuple):
    """An incident laid to a change, stated by somebody or inferred."""

    incident: IncidentFacts
    change: str
    inferred: bool


class Laid(Sequence[Cause]):
    """
    Which incidents are laid to which changes, field by field: first those that somebody stated.

    Attributes:
        incidents: The places of the incidents among all.
        changes: The ids of the changes they are laid to.
        stated: How many of them somebody stated; the others are inferred.
    """

    def __init__(
        self, facts: Facts, incidents: Sequence[int], changes: Sequence[str], stated: int
    ) -> None:
        self._facts = facts
        self.incidents = incidents
        self.changes = changes
        self.stated = stated
        self._by_change: dict[str, list[int]] | None = None

    @property
    def by_change(self) -> Mapping[str, Sequence[int]]:
        """The places here of what is laid to each change, in the order of the incidents' ids."""
        if self._by_change is None:
            by_change: dict[str, list[int]] = {}
            for place, change in enumerate(self.changes):
                if change in by_change:
                    by_change[change].append(place)
                else:
                    by_change[change] = [place]
            if self.stated not in (0, len(self.changes)):
                for places in by_change.values():
                    if len(places) > 1:
                        places.sort(key=self.incidents.__getitem__)
            self._by_change = by_change
        return self._by_change

    def incidents_of(self, change: str) -> Sequence[int]:
        """Return the places of the incidents that are laid to a change."""
        places = self.by_change.get(change)
        return () if places is None else [self.incidents[place] for place in places]

    def signs(self, change: str) -> Iterator[str]:
        """Yield the incidents that are laid to a change, as a person reads them."""
        for place in self.by_change.get(change, ()):
            id_ = self._facts.incidents[self.incidents[place]].id
            yield f"incident {id_}{'' if place < self.stated else ' (inferred)'}"

    def __len__(self) -> int:
        return len(self.changes)

    @overload
    def __getitem__(self, place: int) -> Cause: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Cause]: ...
    def __getitem__(self, place: int | slice) -> Cause | Sequence[Cause]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        row = self._facts.incidents[self.incidents[place]]
        return Cause(row, self.changes[place], place >= self.stated)


def causes(facts: Facts, definition: Attribution) -> tuple[Laid, Sequence[LeftOut]]:
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


def _causes(facts: Facts, definition: Attribution) -> tuple[Laid, list[LeftOut]]:
    places, out = _to_be_laid(facts, definition)
    verdicts_of = facts.of_incidents("verdicts")
    incidents: list[int] = []
    changes: list[str] = []
    said = [place for place in places if verdicts_of[place]]
    for place in said:
        named = [id_ for id_, one in verdicts_of[place].items() if one is Verdict.CAUSED]
        changes += sorted(named)
        incidents += [place] * len(named)
    stated = len(changes)
    if definition.attribution != "stated":
        settled = set(incidents)
        if settled:
            places = [place for place in places if place not in settled]
        inferred, laid_to, alone = _Candidates(facts, definition).lay(places)
        incidents += inferred
        changes += laid_to
        for place in alone:
            row = facts.incidents[place]
            if incident_matches(row, definition):
                out.append(LeftOut(row.id, "no deployment to lay it to", row.positions))
    return Laid(facts, incidents, changes, stated), out


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
    window, bounds = definition.window, definition.bounds
    if definition.incidents_in == "window" and window is not None:
        detected = facts.of_incidents("detected_at")
        places = [place for place in places if inside(detected[place], window, bounds)]
    return places, left_out


_Side = Callable[[Sequence[datetime], datetime], int]
_NO_CANDIDATES: Final[tuple[Sequence[datetime], Sequence[str]]] = ((), ())


class _Candidates:
    """Deployments an incident can be laid to, by what it must share with them, in order of time."""

    def __init__(self, facts: Facts, definition: Attribution) -> None:
        found = _all_deployments(facts, definition)
        self._detected = facts.of_incidents("detected_at")
        self._verdicts = facts.of_incidents("verdicts")
        self._keys = _scope_keys(facts.of_incidents, definition.scope)
        rule = definition.attribution
        self._side: _Side = bisect_left if rule == "latest_before" else bisect_right
        self._closed = rule == "between_releases" and definition.release_ends == "closed"
        self._longest = definition.max_age
        places: Iterable[int] = range(len(found))
        if definition.candidates == "successful":
            outcomes = found.column("outcome")
            places = [place for place in places if outcomes[place] is Outcome.COMPLETED]
        at, ids = found.at, found.ids
        if definition.candidates_in == "window" and definition.window is not None:
            window, bounds = definition.window, definition.bounds
            places = [place for place in places if inside(at[place], window, bounds)]
        keys = _scope_keys(found.column, definition.scope)
        shared: dict[str, list[int]] = {}
        for place in places:
            for key in keys(place):
                if key in shared:
                    shared[key].append(place)
                else:
                    shared[key] = [place]
        self._of = {
            key: ([at[place] for place in mine], [ids[place] for place in mine])
            for key, mine in shared.items()
        }

    def lay(self, places: Iterable[int]) -> tuple[list[int], list[str], list[int]]:
        """Return incidents with the ids of what each is laid to, and those laid to none."""
        incidents: list[int] = []
        changes: list[str] = []
        alone: list[int] = []
        detected, verdicts_of = self._detected, self._verdicts
        keys_of, candidates = self._keys, self._of
        side, longest, closed = self._side, self._longest, self._closed
        for place in places:
            at, keys, verdicts = detected[place], keys_of(place), verdicts_of[place]
            if at is None:
                alone.append(place)
                continue
            at = utc(at)
            if verdicts or closed or len(keys) != 1:
                laid = self._among(keys, verdicts, at)
                incidents += [place] * len(laid)
                changes += laid
                if not laid:
                    alone.append(place)
                continue
            # As nearly all are: of one service, and nobody said anything about their cause.
            times, ids = candidates.get(keys[0], _NO_CANDIDATES)
            last = side(times, at) - 1
            if last >= 0 and (longest is None or at - times[last] <= longest):
                incidents.append(place)
                changes.append(ids[last])
            else:
                alone.append(place)
        return incidents, changes, alone

    def _among(
        self, keys: Iterable[str], verdicts: Mapping[str, Verdict], at: datetime
    ) -> Sequence[str]:
        last = self._latest(keys, verdicts, at, self._side)
        if last is None:
            return ()
        if self._closed and last[0] == at:
            before = self._latest(keys, verdicts, at, bisect_left)
            if before is not None:
                return sorted((before[1], last[1]))
        return last[1:]

    def _latest(
        self, keys: Iterable[str], verdicts: Mapping[str, Verdict], at: datetime, side: _Side
    ) -> tuple[datetime, str] | None:
        """Return the latest candidate before an instant, or at it, as the *side* says."""
        best: tuple[datetime, str] | None = None
        longest = self._longest
        for key in keys:
            if key not in self._of:
                continue
            times, ids = self._of[key]
            place = side(times, at) - 1
            while place >= 0 and (longest is None or at - times[place] <= longest):
                id_ = ids[place]
                if verdicts and verdicts.get(id_) is Verdict.DISMISSED:
                    place -= 1
                    continue
                found = times[place], id_
                if best is None or found > best:
                    best = found
                break
        return best


def _scope_keys(
    column: Callable[[str], Sequence[Any]], scope: str
) -> Callable[[int], tuple[str, ...]]:
    """Return what tells, by its place, what a row must share with another."""
    if scope == "global":
        return lambda _: ("",)
    if scope == "service":
        return column("services").__getitem__
    labels, name = column("labels"), scope.removeprefix("label:")
    return lambda place: () if name not in labels[place] else (labels[place][name],)


# --- change failure rate --------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
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


@attrs.frozen(kw_only=True)
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
        places: Where each stands among all deployments, by change id and in order of time.
        inferred: The ids of those of which nothing but inferred causes says so.
    """

    def __init__(
        self, found: Deployed, laid: Laid | None, others: Mapping[str, Sequence[str]]
    ) -> None:
        """
        Take all signs there are.

        Args:
            laid: The incidents laid to changes; None where they are no sign.
            others: The other signs by change id.
        """
        self._laid = laid
        self._others = others
        caused = set(() if laid is None else laid.changes)
        stated = set(() if laid is None else laid.changes[: laid.stated])
        marked = caused.union(others)
        self.places: Mapping[str, int] = {
            id_: place for place, id_ in enumerate(found.ids) if id_ in marked
        }
        self.inferred = caused.difference(others, stated).intersection(self.places)

    def links(self, id_: str) -> int:
        """Return how many incidents say that a deployment failed."""
        return 0 if self._laid is None else len(self._laid.by_change.get(id_, ()))

    def signs(self, id_: str) -> tuple[str, ...]:
        """Return all that says that a deployment failed, as a person reads it."""
        told = () if self._laid is None else self._laid.signs(id_)
        return (*told, *self._others.get(id_, ()))


class Judged(NamedTuple):
    """
    All deployments the definition takes, in order of time, and the failures among them.

    With them come the incidents that are laid to none.
    """

    deployments: Deployed
    failed: Failed
    unlaid: Sequence[LeftOut]


def failures(facts: Facts, definition: FailedBy) -> Judged:
    """Return the deployments the definition takes with the failures among them, by change id."""
    key = ("failures", *choices(definition, FailedBy))
    return facts.kept(key, lambda: _failures(facts, definition))


def _failures(facts: Facts, definition: FailedBy) -> Judged:
    found, _ = deployments(facts, definition)
    laid, unlaid = causes(facts, definition)
    by = definition.failed_by
    others: dict[str, list[str]] = {}
    # An enum is hashed by a function of Python, so outcomes are compared and not looked up.
    rolled_back = Outcome.ROLLED_BACK if "rolled_back" in by else None
    failed_ = Outcome.FAILED if "failed" in by else None
    if rolled_back is not None or failed_ is not None:
        others = {
            id_: ["rolled back" if outcome is rolled_back else "outcome failed"]
            for id_, outcome in zip(found.ids, found.column("outcome"), strict=True)
            if outcome is not None and (outcome is rolled_back or outcome is failed_)
        }
    if "repaired" in by:
        repairs = zip(facts.of_changes("repairs"), facts.of_changes("id"), strict=True)
        repaired = {of: id_ for of, id_ in repairs if of is not None and of != id_}
        for id_, repair in repaired.items():
            others.setdefault(id_, []).append(f"repaired by {repair}")
    if "version_returned" in by:
        for id_, version in _versions_returned(_all_deployments(facts, definition)).items():
            others.setdefault(id_, []).append(f"version {version} deployed again")
    return Judged(found, Failed(found, laid if "incident" in by else None, others), unlaid)


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
    outcomes = found.column("outcome")
    if definition.denominator == "successful":
        return [place for place in every if outcomes[place] is Outcome.COMPLETED]
    if definition.denominator == "successful_or_failed":
        wanted = (Outcome.COMPLETED, Outcome.FAILED)
        return [place for place in every if outcomes[place] in wanted]
    results, ids, failed = found.column("result"), found.ids, judged.failed.places  # "evaluated"
    return [place for place in every if results[place] is not None or ids[place] in failed]


def _passed_over(
    found: Deployed, divisors: Sequence[int], definition: ChangeFailureRate
) -> list[LeftOut]:
    """Return the deployments of the window that are not in the denominator."""
    counted = set(divisors)
    reason = f"not in its denominator ({definition.denominator})"
    return [
        LeftOut(one.change.id, reason, one.change.positions)
        for place, one in enumerate(found)
        if place not in counted and inside(one.at, definition.window, definition.bounds)
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
        moments = [found.at[place] for place in divisors]
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
        lambda row: () if row.detected_at is None else (row.detected_at,),
    )

    def figure(name: str | None, window: Period | None) -> Figure:
        members, rows = deployed.of(name, window), detected.of(name, window)
        part = _rate(members, judged, rows, facts, definition, window)
        return attrs.evolve(part, group=name)

    groups = sorted({*deployed.names, *detected.names})
    left_out = Listed(
        lambda: sorted([*out, *passed_over, *judged.unlaid], key=lambda one: (one.id, one.reason))
    )
    whole = attrs.evolve(figure(None, definition.window), left_out=left_out)
    return with_groups(whole, groups, periods, figure)


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
        at, bounds = found.at, definition.bounds
        counted = [place for place in members if inside(at[place], window, bounds)]
    n = len(counted)
    if n == len(found):
        failed = list(failures_.places)
    else:
        ids, marked = found.ids, failures_.places
        failed = [id_ for place in counted if (id_ := ids[place]) in marked]
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
        interval=interval,
        uncertain=len(found.uncertain.intersection(counted)) if found.uncertain else 0,
        included=Listed(lambda: _included(counted, judged, incidents, definition)),
        counts={
            definition.numerator if definition.numerator != "changes" else "failed": count,
            "failed by inferred cause only": len(failures_.inferred.intersection(failed)),
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
    ids, positions = found.ids, found.column("positions")
    if definition.numerator == "incidents":
        for place in counted:
            yield Included(ids[place], 0.0, DIVIDES, positions[place])
        for row in incidents:
            yield Included(row.id, 1.0, "whatever caused it", row.positions)
        return
    links = definition.numerator == "links"
    for place in counted:
        id_ = ids[place]
        if id_ in failures_.places:
            value = float(failures_.links(id_)) if links else 1.0
            yield Included(id_, value, "; ".join(failures_.signs(id_)), positions[place])
        else:
            yield Included(id_, 0.0, "", positions[place])


change_failure_rate = figure_function(ChangeFailureRate, change_failures)
