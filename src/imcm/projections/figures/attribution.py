"""
Which incidents the deployments caused: by links, or by what came shortly before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import compress
from typing import ClassVar, Final, NamedTuple

import attrs

from imcm.domain.vocabulary import NOTHING_TOLD, Verdict, is_among
from imcm.errors import InvalidValue
from imcm.projections.facts.columns import COMPLETED, NO_TIME, UNSURE
from imcm.projections.facts.fold import Facts, IncidentFacts
from imcm.projections.facts.merges import said
from imcm.projections.facts.tables import LazySequence
from imcm.projections.figures.bounds import instants
from imcm.projections.figures.definition import choices, is_label
from imcm.projections.figures.deployments import Deployments, all_deployments, unknown_notes
from imcm.projections.figures.figure import LeftOut
from imcm.projections.figures.function import figure_function
from imcm.projections.figures.population import (
    incident_matches,
    places_of_incidents,
    severity_matches,
    why_incident_out,
)
from imcm.projections.figures.units import instant_of, microseconds

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


class Laid(LazySequence[Cause]):
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

    def _item(self, place: int) -> Cause:
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
            change = facts.changes.index_of(id_)
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
        self._deployed = found = all_deployments(facts, definition)
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
