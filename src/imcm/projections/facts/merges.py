"""
Merged incidents: one row for all that turned out to be one incident.

Rows are made each by itself, and merges are followed afterwards, whatever was cut: so `known_at`,
`as_of` and taking a merge back show what they show of any other row. Nothing of any of those that
are merged is lost, and nothing is invented:

- The whole exists from its earliest member on. Before the target itself was detected, the earliest
  of those merged into it stands for it, under the target's id.
- Of impact start, detection, declaration, acknowledgement and triage the earliest counts.
- It was open when one of its members was: one still open when it was merged lasts until the end of
  its target, one that had ended keeps its end. Where these times do not meet there is another
  spell, as after a reopening.
- Services are united, customers are the largest number said, it is of production and real where one
  of its members is, and the target's labels come with those it lacks.
- The highest severity is the highest that one of them held. The first and last severity, the
  symptom, the waits, relapses, reviews and stated durations are the target's.
- Milestones of the team's own, tags of causes and relations to others are those of all of them.
- What was said about causes and repairs is united, and the target's word wins.

A dismissed incident was none, and adds nothing by being merged: neither does what had been merged
into it. A dismissed target is left out, and each of those merged into it names it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from imcm.domain.incident import OPEN
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.vocabulary import (
    PRODUCTION,
    Degree,
    Impact,
    Mode,
    Moment,
    Relation,
    ServiceImpact,
    Verdict,
    highest,
    midpoint,
)
from imcm.projections.facts.instants import instant
from imcm.projections.facts.rows import IncidentFacts, Spell, in_order_of_time, interned

__all__ = ["merges_followed", "said"]

_RowOf = Callable[[str], IncidentFacts | None]


def merges_followed(row_of: _RowOf, merged: Iterable[IncidentFacts]) -> dict[str, IncidentFacts]:
    """
    Return the rows that merges change: each merged one, and the last target of its chain.

    Args:
        row_of: Gives an incident's row; None where there is none of that id.
        merged: The rows that are merged into another.
    """
    members: dict[str, list[IncidentFacts]] = {}
    changed: dict[str, IncidentFacts] = {}
    last: dict[str, str] = {}
    for row in merged:
        if row.id not in last:
            _follow(row_of, row, last)
        target = last[row.id]
        members.setdefault(target, []).append(row)
        changed[row.id] = row._replace(merged_into=target)
    for target, theirs in members.items():
        whole = changed.get(target) or row_of(target)
        if whole is not None:  # imported history may name what is not there
            theirs.sort(key=lambda member: member.id)
            changed[target] = _together(whole, theirs)
    return changed


def _follow(row_of: _RowOf, row: IncidentFacts, last: dict[str, str]) -> None:
    """
    Note the last target of a row, and of every row on the way to it.

    Imported history may name what is not there, which then is the last target. It may also go in
    a circle: whoever is in it ends at itself, and whoever leads into it where they meet it.
    """
    way: dict[str, None] = {}
    at: str | None = row.id
    target = row.id
    while at is not None and at not in way and at not in last:
        way[at] = None
        target = at
        reached = row if at == row.id else row_of(at)
        at = None if reached is None else reached.merged_into
    if at is not None:
        target = last.get(at, at)
    turning = False
    for id_ in way:
        turning = turning or id_ == at
        last[id_] = id_ if turning else target


def said(
    row: IncidentFacts, verdict: Verdict, by: Iterable[IncidentFacts] | None = None
) -> list[str]:
    """
    Return the changes of which a verdict was given.

    Where others are merged into an incident each of them may have said it: two of them may have
    said different things of one change, and both were said. The target's own word wins.

    Args:
        by: The members whose word is asked for; None is all of them.
    """
    own = row.alone.verdicts
    changes: dict[str, None] = {}
    for member in (row.members or (row,)) if by is None else by:
        for change, given in member.verdicts.items():
            if given is verdict and own.get(change, verdict) is verdict:
                changes[change] = None
    return list(changes)


# --- the row of all of them -----------------------------------------------------------------------

_ITS_OWN: Final = (
    *("symptom", "channel", "monitor", "imported", "relapses", "holds"),
    *("severity_first", "severity_last", "severity_first_name", "severity_last_name"),
)
"""What is the target's own, and of the earliest member while the target was not detected."""

_STRENGTH: Final = {verdict: strength for strength, verdict in enumerate(reversed(Verdict))}


def _together(target: IncidentFacts, theirs: Sequence[IncidentFacts]) -> IncidentFacts:
    """Return the row of a target and of what is merged into it, in the order of ids."""
    named = target._replace(merged=tuple(member.id for member in theirs))
    if target.merged_into is not None:  # in a circle, which has no last target
        return named._replace(verdicts=_verdicts((target, *theirs)))
    members = _members(target, theirs)
    there = [member for member in members if member.status is not IncidentStatus.NOTHING]
    if not there or len(members) == 1:
        return named._replace(verdicts=_verdicts(members))
    if there[0] is not target:
        first = min(there, key=lambda member: (_order(member.detected_at), member.id))
        there = [first, *(member for member in there if member is not first)]
    base = there[0]
    related = _related(there)
    services = dict.fromkeys(name for member in there for name in member.services)
    worst = highest(*(member.severity_highest for member in there))
    of_worst = (member for member in there if member.severity_highest is worst)
    return named._replace(
        status=_status(there),
        services=interned(tuple(services)),
        environment=_environment(there),
        labels={name: text for member in reversed(there) for name, text in member.labels.items()},
        mode=Mode.REAL if any(member.mode is Mode.REAL for member in there) else base.mode,
        impact_started_at=_earliest(member.impact_started_at for member in there),
        detected_at=_earliest(member.detected_at for member in there),
        declared_at=_earliest(member.declared_at for member in there),
        acknowledged_at=_earliest(member.acknowledged_at for member in there),
        triaged_at=_earliest(member.triaged_at for member in there),
        triaged=any(member.triaged for member in there),
        spells=_union([spell for member in there for spell in member.spells])
        if len(there) > 1
        else base.spells,
        severity_highest=worst,
        severity_highest_name=next((member.severity_highest_name for member in of_worst), None),
        related=related,
        parent=next((id_ for id_, kind in related.items() if kind is Relation.CHILD_OF), None),
        milestones=_milestones(there),
        cause_tags=tuple(dict.fromkeys(tag for member in there for tag in member.cause_tags)),
        impact=_impact([member.impact for member in there if member.impact is not None]),
        verdicts=_verdicts(members),
        positions=tuple(sorted({at for member in members for at in member.positions})),
        members=tuple(members),
        **{name: getattr(base, name) for name in _ITS_OWN},
    )


def _status(there: Sequence[IncidentFacts]) -> IncidentStatus:
    """Return the target's status; before it was detected, that of the first that is not over."""
    return next((member.status for member in there if member.status in OPEN), there[0].status)


def _environment(there: Sequence[IncidentFacts]) -> str | None:
    for member in there:
        if member.environment is None or member.environment.casefold() in PRODUCTION:
            return member.environment
    return there[0].environment


def _verdicts(members: Sequence[IncidentFacts]) -> Mapping[str, Verdict]:
    """Return one verdict for each change: the target's, else what weighs most of what was said."""
    verdicts: dict[str, Verdict] = {}
    for member in members[1:]:
        for change, verdict in member.verdicts.items():
            if _STRENGTH[verdict] >= _STRENGTH[verdicts.get(change, verdict)]:
                verdicts[change] = verdict
    return {**verdicts, **members[0].verdicts}


def _related(there: Sequence[IncidentFacts]) -> Mapping[str, Relation]:
    """Return what they are to others; what one of them is to another of them is said no more."""
    ids = {member.id for member in there}
    related: dict[str, Relation] = {}
    for member in there:
        for other, kind in member.related.items():
            # It is the child of one alone: of the target's parent, where that has one.
            another = kind is Relation.CHILD_OF and Relation.CHILD_OF in related.values()
            if other not in ids and not another:
                related.setdefault(other, kind)
    return related


def _milestones(there: Sequence[IncidentFacts]) -> Mapping[str, tuple[Moment | None, ...]]:
    """Return when any of them reached a milestone of the team's own, in order of time."""
    milestones: dict[str, list[Moment | None]] = {}
    for member in there:
        for name, moments in member.milestones.items():
            milestones.setdefault(name, []).extend(moments)
    return {name: in_order_of_time(moments) for name, moments in milestones.items()}


_DEGREES: Final = {degree: rank for rank, degree in enumerate(Degree)}


def _impact(impacts: Sequence[Impact]) -> Impact | None:
    """Return the services hit, each as badly as anybody said, and the largest numbers."""
    if len(impacts) < 2:
        return impacts[0] if impacts else None
    hit: dict[str, ServiceImpact] = {}
    for impact in impacts:
        for affected in impact.services:
            other = hit.get(affected.service, affected)
            hit[affected.service] = min(other, affected, key=lambda some: _DEGREES[some.degree])
    return Impact(
        services=tuple(hit.values()),
        customers=max((i.customers for i in impacts if i.customers is not None), default=None),
        share=max((i.share for i in impacts if i.share is not None), default=None),
    )


# --- moments --------------------------------------------------------------------------------------

_FIRST: Final = -(1 << 63)
_LAST: Final = 1 << 63


def _at(moment: Moment) -> int:
    return instant(midpoint(moment))


def _order(moment: Moment | None) -> int:
    return _LAST if moment is None else _at(moment)


def _earliest(moments: Iterable[Moment | None]) -> Moment | None:
    return min((moment for moment in moments if moment is not None), key=_at, default=None)


# --- each within the whole ------------------------------------------------------------------------


class _Ends:
    """The ends of the spells of an incident, to find the one up to which another lasts."""

    def __init__(self, row: IncidentFacts) -> None:
        self.status = row.status
        self._spells = row.spells
        ends = (_LAST if (end := _end(spell)) is None else end for spell in row.spells)
        self._reached = list(accumulate(ends, max))

    def after(self, moment: Moment | None) -> Spell | None:
        """Return the first spell that ends after a moment, or at it; None where all end before."""
        if moment is None:
            return self._spells[-1]
        index = bisect_left(self._reached, _at(moment))
        return self._spells[index] if index < len(self._spells) else None


def _end(spell: Spell) -> int | None:
    """Return the instant at which a spell ended; None where it goes on, or nobody knows when."""
    end = spell.resolved or spell.closed
    return None if end is None or not spell.over else _at(end)


def _members(target: IncidentFacts, theirs: Iterable[IncidentFacts]) -> list[IncidentFacts]:
    """Return the target and those merged into it, in the order of ids, as each of them went on."""
    into: dict[str | None, list[IncidentFacts]] = {}
    for member in theirs:
        into.setdefault(member.merged_into, []).append(member)
    members: list[IncidentFacts] = []
    todo: list[tuple[IncidentFacts, _Ends | None]] = [(target, None)]
    for parent, ends in todo:  # what is merged into them is put behind them
        if parent.id not in into:
            continue
        # One that had not been detected has no end: what is merged into it lasts as it would.
        mine = _Ends(parent) if parent.spells else ends
        for member in into[parent.id]:
            if member.dismissed is None:
                within = _within(member, mine)
                members.append(within)
                todo.append((within, mine))
    return [target, *sorted(members, key=lambda member: member.id)]


def _within(member: IncidentFacts, ends: _Ends | None) -> IncidentFacts:
    """
    Return a merged incident as it went on within another.

    Args:
        ends: Up to when it lasts, where it was still open; None where that is not known yet.
    """
    spells, status = member.spells, member.before_merge or member.status
    if not spells:
        return member._replace(merged_into=None, before_merge=None)
    last = spells[-1]
    if not last.over and ends is not None:
        status, end = ends.status, ends.after(last.started)
        spells = spells[:-1]
        if end is not None:
            spells = (*spells, _lasting(last, end))
    if status in OPEN and (not spells or spells[-1].over):
        status = IncidentStatus.RESOLVED
    return member._replace(status=status, spells=spells, merged_into=None, before_merge=None)


def _lasting(spell: Spell, end: Spell) -> Spell:
    """Return a spell that lasts until the end of another one."""
    mitigated = spell.mitigated or end.mitigated
    if spell.started is not None and mitigated is not None:
        began = _at(spell.started)
        mitigated = mitigated if spell.mitigated or _at(mitigated) >= began else None
    return Spell(spell.started, mitigated, end.resolved, end.closed, end.over)


# --- the times it was open ------------------------------------------------------------------------


def _union(spells: Iterable[Spell]) -> tuple[Spell, ...]:
    """
    Return the times that spells cover together; those that overlap or touch are one.

    A spell of which nobody knows the end reaches no further than its start: what comes after it is
    a spell of its own.
    """
    return tuple(map(_joined, _touching(sorted(spells, key=_begin))))


def _begin(spell: Spell) -> int:
    """Return when a spell began, or the first that is known of it."""
    known = (spell.started, spell.mitigated, spell.resolved, spell.closed)
    first = next((moment for moment in known if moment is not None), None)
    if first is None:
        return _FIRST if spell.over else _LAST
    return _at(first)


def _touching(spells: Iterable[Spell]) -> Iterator[list[Spell]]:
    """Yield spells in groups that overlap or touch; they come in the order of their starts."""
    group: list[Spell] = []
    reached = _FIRST
    for spell in spells:
        begin = _begin(spell)
        if group and begin > reached:
            yield group
            group = []
        group.append(spell)
        end = _end(spell)
        reached = max(reached, begin, (begin if spell.over else _LAST) if end is None else end)
    yield group


def _joined(spells: Sequence[Spell]) -> Spell:
    """Return the one spell that overlapping ones are together."""
    if len(spells) == 1:
        return spells[0]
    over = all(spell.over for spell in spells)
    ends = [_end(spell) for spell in spells]
    return Spell(
        started=_earliest(spell.started for spell in spells),
        mitigated=_latest([spell.mitigated for spell in spells], ends),
        resolved=_latest([spell.resolved for spell in spells], ends) if over else None,
        closed=_latest([spell.closed for spell in spells], ends) if over else None,
        over=over,
    )


def _latest(moments: Sequence[Moment | None], ends: Sequence[int | None]) -> Moment | None:
    """
    Return when something had happened to all: the last of the moments.

    None where one of them had it not, and was not over by then: nobody said so of the whole.
    """
    last = max((moment for moment in moments if moment is not None), key=_at, default=None)
    if last is None:
        return None
    at = _at(last)
    for moment, end in zip(moments, ends, strict=True):
        if moment is None and (end is None or end > at):
            return None
    return last
