"""
From a definition to the function that computes its figure, of facts or of any log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from inspect import Parameter, Signature, signature
from itertools import chain
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

import attrs

from imcm.docstrings import Docstring, parsed, written
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import Moment
from imcm.gc_pause import gc_paused
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts, facts
from imcm.projections.facts.instants import FIRST, LAST, MICROSECOND
from imcm.projections.figures.days import day_of, midnight
from imcm.projections.figures.definition import Definition
from imcm.projections.figures.units import utc, zone
from imcm.projections.figures.windows import Relative, last_days

T = TypeVar("T")


P = ParamSpec("P")
D = TypeVar("D", bound=Definition)


def figure_function(
    definition: Callable[P, D], compute: Callable[[Facts, D], T], *, name: str = ""
) -> Callable[Concatenate[Facts | Iterable[Recorded], P], T]:
    """
    Return the function that computes a figure: its arguments are those of the definition.

    It takes facts, or any log, which is then read to its end. To cut it in time or knowledge,
    give it `facts(log, as_of=..., known_at=...)`.

    Args:
        name: What it is called by, where that is not the name of the definition.
    """

    def function(log: Facts | Iterable[Recorded], /, *args: P.args, **arguments: P.kwargs) -> T:
        known = facts_of(log)
        with gc_paused():
            return compute(known, settled(known, definition(*args, **arguments)))

    # Editors and `help()` show what the definition takes, and the name it is called by.
    named = re.sub(r"(?<!^)(?=[A-Z])", "_", getattr(definition, "__name__", "figure")).lower()
    first = Parameter("log", Parameter.POSITIONAL_ONLY, annotation="Facts | Iterable[Recorded]")
    # Of what is converted, the signature would tell what the converter takes: anything.
    untyped: Any = function
    types = {a.name: a.type for a in attrs.fields(cast("Any", definition))}
    given = [
        parameter.replace(annotation=types.get(parameter.name, parameter.annotation))
        for parameter in signature(definition).parameters.values()
    ]
    returned = signature(compute).return_annotation
    untyped.__signature__ = Signature([first, *given], return_annotation=returned)
    function.__doc__ = _help(cast("Any", definition))
    function.__name__ = function.__qualname__ = name or named
    function.__module__ = definition.__module__
    return function


_LOG: Final = (
    "Facts, or a log such as `ledger.replay()`, which is then read to its end. To cut it in time "
    "or knowledge, give `facts(log, as_of=..., known_at=...)`."
)


def _help(definition: type[Definition]) -> str:
    """Return what a definition says, with the arguments it shares with others said, too."""
    own, *others = [
        parsed(cls.__doc__) for cls in definition.__mro__ if issubclass(cls, Definition)
    ]
    args = {("log",): _LOG, **own.args}
    paragraphs = own.paragraphs
    for doc in others:
        paragraphs += doc.paragraphs[1:] if doc is not others[-1] else ()
        said = {name for names in args for name in names}
        args |= {names: text for names, text in doc.args.items() if not said.issuperset(names)}
    return written(Docstring(paragraphs, args, own.raises))


def settled(facts: Facts, definition: D) -> D:
    """
    Return a definition whose window has two ends: what it left to the log is known from it.

    Where the log has nothing to settle it, an end stays the first or the last instant there is.
    """
    window, as_of = definition.window, facts.as_of
    if window is None or as_of is None or not {FIRST, LAST}.intersection(window):
        return definition
    start, end = window
    if isinstance(window, Relative):
        home = zone(definition.time_zone)
        days = last_days(window.unit, day_of(as_of, home), definition.week_starts)
        start, end = (midnight(day, home) for day in days)
    # The instants told are inside, whatever the bounds.
    if end == LAST and start < as_of:
        end = as_of if definition.bounds[1] == "]" else as_of + MICROSECOND
    first_moment = began(facts)
    if start == FIRST and first_moment is not None and first_moment < end:
        start = first_moment if definition.bounds[0] == "[" else first_moment - MICROSECOND
    return attrs.evolve(definition, window=(start, end))


def began(facts: Facts) -> datetime | None:
    """Return the first moment that any incident or change tells of; None where there is none."""
    return facts.kept(("began",), lambda: _began(facts))


def _began(facts: Facts) -> datetime | None:
    rows: tuple[Iterable[IncidentFacts | ChangeFacts], ...] = facts.incidents, facts.changes
    return min(
        map(utc, chain.from_iterable(map(_moments, chain.from_iterable(rows)))), default=None
    )


def _moments(row: IncidentFacts | ChangeFacts) -> Iterator[Moment]:
    """Yield the moments of a row that can be its first."""
    if isinstance(row, IncidentFacts):
        moments = [row.impact_started_at, row.detected_at, row.declared_at, row.acknowledged_at]
        moments += (moment for spell in row.spells for moment in spell[:4])
    else:
        moments = [row.planned_at, row.submitted_at, row.started_at, row.deployed_at, row.ended_at]
    return (moment for moment in moments if moment is not None)


def facts_of(log: Facts | Iterable[Recorded]) -> Facts:
    """Return *log* itself where it is facts already, else the facts of the whole of it."""
    return log if isinstance(log, Facts) else facts(log)


def unread_notes(facts: Facts) -> tuple[str, ...]:
    """Return the note that every figure carries where events of newer versions were not read."""
    if not facts.unread:
        return ()
    names = ", ".join(f"{count} {name}" for name, count in facts.unread.items())
    return (f"events of a newer version were not read: {names}",)
