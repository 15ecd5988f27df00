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
from imcm.projections.facts.tables import IndexedSequence
from imcm.projections.figures.bounds import instants
from imcm.projections.figures.definition import choices, is_label
from imcm.projections.figures.deployments import Deployments, all_deployments, unknown_notes
from imcm.projections.figures.figure import LeftOut
from imcm.projections.figures.function import figure_function
from imcm.projections.figures.population import (
    incident_matches,
    indices_of_incidents,
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


class Attributed(IndexedSequence[Cause]):
    """
    Which incidents are attributed to which changes, field by field: the stated ones first.

    Attributes:
        incidents: The indices of the incidents among all.
        changes: The indices of the changes they are attributed to among all; below 0 where nothing
            but the id of the change is known.
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
        Take all that is attributed to changes.

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
        """The indices here of each change's attributions, in the order of the incidents' ids."""
        by_change: defaultdict[int, list[int]] = defaultdict(list)
        for index, change in enumerate(self.changes):
            by_change[change].append(index)
        if self.stated not in (0, len(self.changes)):
            for indices in by_change.values():
                if len(indices) > 1:
                    indices.sort(key=self.incidents.__getitem__)
        return by_change

    def incidents_of(self, change: int) -> Sequence[int]:
        """Return the indices of the incidents that are attributed to a change."""
        indices = self.by_change.get(change, ())
        return [self.incidents[index] for index in indices] if indices else ()

    def signs(self, change: int) -> Iterator[str]:
        """Yield the incidents that are attributed to a change, as a person reads them."""
        for index in self.by_change.get(change, ()):
            id_ = self._facts.incidents.ids[self.incidents[index]]
            yield f"incident {id_}{'' if index < self.stated else ' (inferred)'}"

    def __len__(self) -> int:
        return len(self.changes)

    def _item(self, index: int, /) -> Cause:
        incident, change = self._facts.incidents.ids[self.incidents[index]], self.changes[index]
        id_ = self._unknown[change] if change < 0 else self._facts.changes.ids[change]
        inferred = index >= self.stated
        return Cause(incident, id_, inferred, self._rule if inferred else "stated", change >= 0)

    def __repr__(self) -> str:
        """Return in one line how many there are."""
        inferred = len(self.changes) - self.stated
        return f"<{type(self).__name__}: {self.stated:,} stated, {inferred:,} inferred>"

    def notes(self) -> tuple[str, ...]:
        """Return the note on stated causes that name no change of the log; none where all do."""
        return unknown_notes("causes", self.stated, self._unknown)


def causes_of(facts: Facts, definition: Attribution) -> tuple[Attributed, Sequence[LeftOut]]:
    """
    Return which incidents are attributed to which changes, and which to none.

    Causes are inferred among all deployments, so that a filter of the definition never moves an
    incident to another change. Of the filters only severities decide which incidents can fail a
    change; those left out are named where all filters take them. Costs a sort and one binary
    search for each incident and service.
    """
    return facts.kept(
        ("causes", *choices(definition, Attribution)), lambda: _causes(facts, definition)
    )


def _links(facts: Facts, definition: Causes) -> Attributed:
    return causes_of(facts, definition)[0]


causes = figure_function(Causes, _links)


def _causes(facts: Facts, definition: Attribution) -> tuple[Attributed, list[LeftOut]]:
    indices, out = _attributable(facts, definition)
    columns = facts.incidents.columns
    members = _Members(facts, definition)
    incidents: list[int] = []
    changes: list[int] = []
    unknown: list[str] = []
    with_verdicts = compress(indices, map(columns.verdicts.__getitem__, indices))
    for index in with_verdicts if definition.stated == "wins" else ():
        named = members.caused(index)
        for id_ in sorted(named):
            change = facts.changes.index_of(id_)
            if change is None:
                unknown.append(id_)
                change = -len(unknown)
            changes.append(change)
        incidents += [index] * len(named)
    stated = len(changes)
    if definition.attribution != "stated":
        settled = set(incidents)
        if settled:
            indices = [index for index in indices if index not in settled or columns.merged[index]]
        pairs = set(zip(incidents, changes, strict=True))
        inferred, inferred_causes, unattributed = _Candidates(facts, definition, members).infer(
            indices
        )
        for pair in zip(inferred, inferred_causes, strict=True):
            if pair not in pairs:  # where others are merged into it, one may have stated it
                incidents.append(pair[0])
                changes.append(pair[1])
        for index in unattributed:
            row = facts.incidents[index]
            if index not in settled and incident_matches(row, definition):
                out.append(LeftOut(row.id, "no deployment to lay it to", row.positions))
    rule = definition.attribution
    return Attributed(facts, incidents, changes, stated, unknown[::-1], rule), out


def _attributable(facts: Facts, definition: Attribution) -> tuple[Sequence[int], list[LeftOut]]:
    """Return the indices of the incidents that can be attributed to a change, and which can not."""
    left_out: list[LeftOut] = []
    indices: Sequence[int]
    if definition.services is None and not definition.labels:
        indices, out = indices_of_incidents(facts, definition)
        left_out += out
    else:
        indices = matching = list[int]()
        for index, row in enumerate(facts.incidents):
            if not severity_matches(row, definition):
                continue
            reason = why_incident_out(row, definition)
            if reason is None:
                matching.append(index)
            elif incident_matches(row, definition):
                left_out.append(LeftOut(row.id, reason, row.positions))
    if definition.incidents_in == "window" and definition.window is not None:
        members = _Members(facts, definition)
        indices = [index for index in indices if members.asked(index)]
    return indices, left_out


def detected(row: IncidentFacts) -> int:
    """Return the instant at which an incident was detected; NO_TIME where nobody knows."""
    return NO_TIME if row.detected_at is None else instant_of(row.detected_at)


class _Members:
    """
    The incidents that can be attributed to a change, those that are one each by itself.

    What caused an incident was stated or is inferred for each of those merged into it, so that
    merging takes no failure from a change.
    """

    def __init__(self, facts: Facts, definition: Attribution) -> None:
        self._incidents = facts.incidents
        self._columns = facts.incidents.columns
        self._span: range | None = None
        if definition.incidents_in == "window" and definition.window is not None:
            self._span = instants(definition.window, definition.bounds)

    def asked(self, index: int) -> bool:
        """Say whether an incident, or one of those merged into it, is of the window."""
        at = self._columns.detected[index]
        if self._span is not None and at > UNSURE and not self._columns.merged[index]:
            return at in self._span
        return bool(self.of(self._incidents[index]))

    def of(self, row: IncidentFacts) -> Sequence[IncidentFacts]:
        """Return the incidents of the window that an incident stands for, each by itself."""
        span, members = self._span, row.members or (row,)
        return (
            members if span is None else [member for member in members if detected(member) in span]
        )

    def caused(self, index: int) -> Sequence[str]:
        """Return the changes that are stated to have caused an incident."""
        if self._span is None and not self._columns.merged[index]:
            verdicts = self._columns.verdicts[index].items()
            return [change for change, verdict in verdicts if verdict is Verdict.CAUSED]
        row = self._incidents[index]
        return said(row, Verdict.CAUSED, self.of(row))


_Side = Callable[[Sequence[int], int], int]
_TimedIndices = tuple[Sequence[int], Sequence[int]]
"""Candidates in order: their times, and their indices among all deployments."""

_NONE: Final[_TimedIndices] = ((), ())


class _Candidates:
    """Deployments an incident can be attributed to in order of time, by what both must share."""

    def __init__(self, facts: Facts, definition: Attribution, members: _Members) -> None:
        self._facts = facts
        self._members = members
        self._deployed = deployed = all_deployments(facts, definition)
        self._scope = definition.scope
        self._stated_wins = definition.stated == "wins"
        rule = definition.attribution
        self._side: _Side = bisect_left if rule == "latest_before" else bisect_right
        self._closed = rule == "between_releases" and definition.release_ends == "closed"
        longest = definition.max_age
        self._longest = None if longest is None else microseconds(longest)
        indices: Sequence[int] = range(len(deployed))
        if definition.candidates == "successful":
            indices = deployed.ended(COMPLETED)
        at = deployed.at
        if definition.candidates_in == "window" and definition.window is not None:
            span = instants(definition.window, definition.bounds)
            indices = [index for index in indices if at[index] in span]
        shared = self._shared(indices)
        self._of: dict[str, _TimedIndices] = {
            key: ([at[index] for index in mine], mine) for key, mine in shared.items()
        }

    def _shared(self, indices: Sequence[int]) -> Mapping[str, list[int]]:
        """Return deployments by what an incident must share with them."""
        deployed = self._deployed
        if self._scope == "global":
            return {"": list(indices)}
        if self._scope == "service":
            return deployed.by_service(indices)
        shared: dict[str, list[int]] = {}
        for index in indices:
            for key in _labelled(deployed.change(index).labels, self._scope):
                shared.setdefault(key, []).append(index)
        return shared

    def infer(self, indices: Iterable[int]) -> tuple[list[int], list[int], list[int]]:
        """Return incidents with the changes each is attributed to, and those attributed to none."""
        incidents: list[int] = []
        changes: list[int] = []
        unattributed: list[int] = []
        table = self._facts.incidents
        columns, change_indices = table.columns, self._deployed.change_indices
        detected, verdicts_of, services = columns.detected, columns.verdicts, columns.services
        if not self._stated_wins:
            verdicts_of = [NOTHING_TOLD] * len(verdicts_of)
        merged = columns.merged
        side, longest = self._side, self._longest
        # What nearly all are: of one service, and nobody said anything about their cause.
        alike: Sequence[_TimedIndices | None] = ()
        if self._scope != "service" or self._closed:
            alike = [None] * len(table.services)
        else:
            alike = [self._of.get(of[0], _NONE) if len(of) == 1 else None for of in table.services]
        for index in indices:
            at, candidates = detected[index], alike[services[index]]
            plainly = not verdicts_of[index] and not merged[index]
            if candidates is not None and at > UNSURE and plainly:
                times, of = candidates
                last = side(times, at) - 1
                if last >= 0 and (longest is None or at - times[last] <= longest):
                    incidents.append(index)
                    changes.append(change_indices[of[last]])
                else:
                    unattributed.append(index)
                continue
            causing = self._by_itself(table[index])
            incidents += [index] * len(causing)
            changes += (change_indices[deployment] for deployment in causing)
            if not causing:
                unattributed.append(index)
        return incidents, changes, unattributed

    def _by_itself(self, row: IncidentFacts) -> Sequence[int]:
        """Return the deployments an incident is attributed to, or each of those merged into it."""
        if not row.members:
            return self._among(row)
        id_, own = self._deployed.id, row.alone.verdicts
        causing = {
            index
            for member in self._members.of(row)
            if Verdict.CAUSED not in member.verdicts.values()
            for index in self._among(member)
            if own.get(id_(index)) is not Verdict.DISMISSED  # the target's word wins
        }
        return sorted(causing, key=id_)

    def _among(self, row: IncidentFacts) -> Sequence[int]:
        """Return the deployments one incident is attributed to, whatever is told of it."""
        at = detected(row)
        if at == NO_TIME:
            return ()
        keys: Sequence[str] = ("",)
        if self._scope == "service":
            keys = row.services
        elif self._scope != "global":
            keys = _labelled(row.labels, self._scope)
        verdicts = row.verdicts if self._stated_wins else NOTHING_TOLD
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
        latest: list[int] = []
        longest = self._longest
        for key in keys:
            times, indices = self._of.get(key, _NONE)
            last = side(times, at) - 1
            while last >= 0 and (longest is None or at - times[last] <= longest):
                if verdicts.get(self._deployed.id(indices[last])) is Verdict.DISMISSED:
                    last -= 1
                    continue
                latest.append(indices[last])
                break
        # They stand in order of time and id.
        return max(latest, default=None)


def _labelled(labels: Mapping[str, str], scope: str) -> tuple[str, ...]:
    """Return what a row must share with another where that is a label."""
    name = scope.removeprefix("label:")
    return (labels[name],) if name in labels else ()
