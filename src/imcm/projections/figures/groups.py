"""
Groups of a figure, each with its periods, and names asked for that no record has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

import attrs

from imcm.domain.vocabulary import MARK, PRODUCTION
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.figures.definition import ANY, LABEL, Definition, is_label, is_mark
from imcm.projections.figures.excerpt import named, near
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.windows import Period
from imcm.projections.statistics.quantiles import mean

Key = TypeVar("Key", bound=Hashable)


class Members:
    """Which rows are in each group and in each period, so that each part goes through its own."""

    def __init__(
        self,
        count: int,
        groups: Sequence[tuple[str, ...]],
        periods: Sequence[tuple[int, ...]],
    ) -> None:
        """
        Sort so many rows in; they go by their indices.

        Args:
            groups: Those each row is in; empty where there are none.
            periods: Those each row is in, by number; empty where there are none.
        """
        rows: Sequence[int] = range(count)
        self._rows: dict[str | None, Sequence[int]] = {None: rows}
        if groups:
            self._rows.update(shared_out(rows, groups))
        self._parts: dict[str | None, dict[int, list[int]]] = {}
        if periods:
            self._parts = {
                name: shared_out(rows, map(periods.__getitem__, rows))
                for name, rows in self._rows.items()
            }

    def of(self, name: str | None, number: int | None) -> Sequence[int]:
        """Return the rows of a group (None: all) in a period (None: in all), in order."""
        if number is None:
            return self._rows.get(name, ())
        return self._parts[name].get(number, ()) if name in self._parts else ()


def shared_out(rows: Iterable[int], keys: Iterable[tuple[Key, ...]]) -> dict[Key, list[int]]:
    """Return the rows that have each key, in rising order; *keys* are those of each row."""
    alike: defaultdict[tuple[Key, ...], list[int]] = defaultdict(list)
    for row, theirs in zip(rows, keys, strict=True):
        alike[theirs].append(row)
    shared: defaultdict[Key, list[list[int]]] = defaultdict(list)
    for theirs, some in alike.items():
        for key in theirs:
            shared[key].append(some)
    return {
        key: pieces[0] if len(pieces) == 1 else sorted(chain.from_iterable(pieces))
        for key, pieces in shared.items()
    }


def names_of(groups: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the names of groups, in order; *groups* are those of each row."""
    return sorted(set(chain.from_iterable(set(groups))))


def with_groups(
    facts: Facts,
    whole: Figure,
    names: Iterable[str],
    periods: Sequence[Period],
    figure: Callable[[str | None, int | None], Figure],
) -> Figure:
    """
    Return *whole* with its groups and its periods, each group with its periods, too.

    Groups that the definition asks for by name are there, whatever they hold, and names that no
    record has are said in a note.

    Args:
        names: The groups that hold something.
        figure: Gives the figure of one group (None: of all) in the period of a number (None: in
            the whole window).
    """
    definition = whole.definition
    numbers = range(len(periods))
    by = definition.group_by or ""
    unknown = {} if facts.empty else _unknown_names(facts, definition)
    groups: tuple[Figure, ...] = ()
    for name in sorted({*names, *_asked(definition)}):
        group = attrs.evolve(figure(name, None), buckets=tuple(figure(name, n) for n in numbers))
        note = unknown.get((by, name))
        groups += (group if note is None else attrs.evolve(group, notes=(*group.notes, note)),)
    whole = attrs.evolve(whole, notes=(*whole.notes, *unknown.values()))
    parts = tuple(figure(None, number) for number in numbers)
    if definition.whole == "unweighted":
        whole = _unweighted(whole, groups)
        parts = tuple(
            _unweighted(part, [group.buckets[index] for group in groups])
            for index, part in enumerate(parts)
        )
    return attrs.evolve(whole, groups=groups, buckets=parts)


def _asked(definition: Definition) -> Iterable[str]:
    """Return the groups that a definition asks for by their names."""
    by = definition.group_by or ""
    if is_label(by):
        value = (definition.labels or {}).get(by.removeprefix(LABEL))
        return () if value is None else (value,)
    filters = {
        "service": definition.services,
        "severity": definition.severities,
        "kind": definition.kinds,
    }
    return filters.get(by) or ()


class _KnownNames(NamedTuple):
    """The names that records have: of environments, and of labels with their values."""

    environments: frozenset[str]
    labels: Mapping[str, frozenset[str]]


def _services(facts: Facts) -> frozenset[str]:
    """Return the names of services that records have."""
    tables = facts.incidents, facts.changes
    used = (table.services[n] for table in tables for n in set(table.columns.services))
    return frozenset(chain.from_iterable(used))


def _milestones(facts: Facts) -> frozenset[str]:
    """Return the names of milestones of the team's own that incidents have."""
    return frozenset(chain.from_iterable(row.milestones for row in facts.incidents))


def _known_names(facts: Facts) -> _KnownNames:
    environments = {*PRODUCTION, ANY}
    labels: dict[str, set[str]] = {}
    rows: tuple[Iterable[IncidentFacts | ChangeFacts], ...] = facts.incidents, facts.changes
    for row in chain.from_iterable(rows):
        if row.environment is not None:
            environments.add(row.environment.casefold())
        for name, value in row.labels.items():
            labels.setdefault(name, set()).add(value)
    values = {name: frozenset(given) for name, given in labels.items()}
    return _KnownNames(frozenset(environments), values)


def _unknown_names(facts: Facts, definition: Definition) -> dict[tuple[str, str], str]:
    """
    Return notes on names in the definition that no record has, with what is near or there is.

    Their keys are what the name is of, as `group_by` says it, and the name.
    """
    group, labels = definition.group_by or "", definition.labels or {}
    scope = getattr(definition, "scope", "")
    asked = [choice.removeprefix(LABEL) for choice in (group, scope) if is_label(choice)]
    notes: dict[tuple[str, str], str] = {}

    def look(what: str, name: str, claim: str, there_are: Iterable[str]) -> None:
        there = sorted(there_are)
        if name in there:
            return
        likest = near(name, there)
        if likest:
            claim += f"; near: {', '.join(likest)}"
        elif there:
            claim += f"; there are: {named(there)}"
        notes[what, name] = f"no record {claim}"

    for name in sorted({*(definition.services or ())}):
        look("service", name, f"names the service {name}", _services(facts))
    marks = [*getattr(definition, "start", ()), *getattr(definition, "end", ())]
    for name in sorted({mark.removeprefix(MARK) for mark in marks if is_mark(mark)}):
        there_are = facts.kept(("milestones",), lambda: _milestones(facts))
        base, _, number = name.rpartition("#")
        wanted = base if number.isdecimal() and base in there_are else name
        look(MARK, wanted, f"has the milestone {wanted}", there_are)
    if not asked and not labels and definition.environments is None:
        return notes
    known = facts.kept(("known names",), lambda: _known_names(facts))
    for name in dict.fromkeys(map(str.casefold, definition.environments or ())):
        look("environment", name, f"names the environment {name}", known.environments)
    for name in dict.fromkeys([*labels, *asked]):
        look("label", name, f"has the label {name}", known.labels)
    for name, value in labels.items():
        if name in known.labels:
            claim = f"has the label {name}={value}"
            look(f"{LABEL}{name}", value, claim, known.labels[name])
    return notes


def _unweighted(whole: Figure, groups: Iterable[Figure]) -> Figure:
    """Return a figure of all groups together as the mean of theirs."""
    value = mean([group.value for group in groups if group.value is not None])
    if value is None and whole.definition.empty == "zero":
        value = 0.0
    return attrs.evolve(
        whole,
        value=value,
        reason="no group has a value" if value is None else None,
        interval=None,
        bounds=None,
        beside={**whole.beside, "from the rows": whole.value},
    )
