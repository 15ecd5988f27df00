"""
Statuses, steps and guards as data: what both aggregates' tables are made of.

Each aggregate has one table, step name -> `Rule`. The same table refuses a step, answers
`next_steps`, prints the documentation and is walked by the exhaustive tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Never, Protocol, TypeVar

import attrs

from imcm.documents.shown import checked_most, html_of
from imcm.domain.policy import DEFAULT_POLICY, Policy
from imcm.domain.vocabulary import (
    Authority,
    Counts,
    Moment,
    Relation,
    Result,
    Window,
    earliest,
    is_list,
    latest,
    surely_before,
)
from imcm.errors import InvalidValue, StepRefused

if TYPE_CHECKING:
    from imcm.documents.structure import Document
    from imcm.domain.change_events import Template
    from imcm.domain.policy.context import Context

T = TypeVar("T")


def quickly_replaced(cls: type[T]) -> type[T]:
    """
    Give a named tuple a `_replace` that takes a third of the time.

    The usual one asks each of its fields for another value. A step's state has two dozen, is
    copied for each event of its stream, and hardly ever changes in more than one or two.
    """
    # Any: that it is a named tuple can't be said of a type.
    named: Any = cls
    places = {name: place for place, name in enumerate(named._fields)}
    plain: Any = tuple
    make = plain.__new__

    def replace(self: Iterable[Any], /, **fields: Any) -> Any:
        values = list(self)
        for name, value in fields.items():
            values[places[name]] = value
        return make(cls, values)

    named._replace = replace
    return cls


def first_moment(first: datetime | None, moments: Iterable[Moment | None]) -> datetime | None:
    """Return the earliest time among one that is known and what some moments can be."""
    for moment in moments:
        if moment is not None:
            at = moment if isinstance(moment, datetime) else moment.earliest
            if first is None or at < first:
                first = at
    return first


CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""How far a live step may lie before the first event: tools stamp whole seconds, clocks differ."""


def before_first(at: Moment | None, first: datetime | None, past: Sequence[Any]) -> bool:
    """
    Say whether a moment lies before all that a stream speaks of, however it is read.

    Up to a minute before the first event's own moment is taken as given.

    Args:
        first: The first of all moments that stand.
    """
    if at is None or first is None or not surely_before(at, first):
        return False
    begun: Moment | None = past[0].at
    return begun is None or latest(at) < earliest(begun) - CLOCKS_DIFFER


class HasStatus(Protocol):
    """What the table needs of a state."""

    @property
    def status(self) -> StrEnum: ...


S = TypeVar("S", bound=HasStatus)


class Ask(NamedTuple, Generic[S]):
    """
    What a guard may look at besides the state. None means: not given.

    A guard names the fields it needs; `next_steps` answers "depends on" for those not given.
    """

    by: str | None = None
    at: Moment | None = None
    policy: Policy = DEFAULT_POLICY
    number: int | None = None
    id: str | None = None
    into: str | None = None
    other: S | None = None
    percent: float | None = None
    window: Window | None = None
    result: Result | None = None
    template: Template | None = None
    authority: Authority | None = None
    version: int | None = None
    field: str | None = None
    was: object = None
    now: object = None
    out_of: str | None = None
    to: str | None = None
    kind: Relation | None = None
    above: tuple[str, ...] | None = None
    was_name: str | None = None
    freeze: str | None = None
    also: Policy | None = None
    context: Context | None = None
    rollout_plan: tuple[float, ...] | None = None
    canary: Counts | None = None
    baseline: Counts | None = None


@attrs.frozen(kw_only=True)
class Guard(Generic[S]):
    """
    One reason for which a step can be refused.

    Attributes:
        name: How refusals and documentation call it.
        why_not: Returns None where the step may go on, else the reason with what to do instead.
        needs: Fields of `Ask` without which it can't answer; a function where that depends on
            the state and on what else is asked.
    """

    name: str
    why_not: Callable[[S, Ask[S]], str | None]
    needs: tuple[str, ...] | Callable[[S, Ask[S]], tuple[str, ...]] = ()

    def missing(self, state: S, ask: Ask[S]) -> list[str]:
        """Return what it would need to answer and was not given."""
        needs = self.needs(state, ask) if callable(self.needs) else self.needs
        return [name for name in needs if getattr(ask, name) is None]


@attrs.frozen(kw_only=True)
class Rule(Generic[S]):
    """
    One row of the table.

    Attributes:
        begins: The statuses the step is possible from.
        ends: The status after it, in words ("same" where it stays).
        guards: What else can refuse it, asked in this order.
    """

    begins: frozenset[StrEnum]
    ends: str
    guards: tuple[Guard[S], ...] = ()


@attrs.frozen(kw_only=True)
class Answer:
    """
    Whether one step is possible now.

    Attributes:
        step: Its name.
        possible: True, False, or None where it depends on an argument that was not given.
        guard: The guard that says no, or that can't tell yet; "" when possible.
        why: Its reason; for an open answer "depends on ...".
        records: What it would record, by the names of the types, where that is known without more
            arguments.
        status: The status after it, where that is known and is another one.
        needs: The arguments that it has to be given besides those that were; told where both who
            and when were.
    """

    step: str
    possible: bool | None
    guard: str = ""
    why: str = ""
    records: tuple[str, ...] = ()
    status: str | None = None
    needs: tuple[str, ...] = ()


class Answers(tuple[Answer, ...]):
    """What can be done next: a tuple of `Answer` that shows itself as a table in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return in one line which steps are possible, and how many are not."""
        steps = ", ".join(answer.step for answer in self if answer.possible) or "none"
        depends = sum(answer.possible is None for answer in self)
        refused = sum(answer.possible is False for answer in self)
        return f"<next steps: {steps}; {depends} that depend on more, {refused} not possible>"

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document, what is possible first. *most* rows; None for all."""
        from imcm.documents.structure import Cell, Column, Document, Table, Word

        words: dict[bool | None, Cell] = {
            True: Word("yes", "good"),
            False: Word("no", "bad"),
            None: Word("depends", "poor"),
        }
        ordered = sorted(self, key=lambda each: (each.possible is False, each.possible is None))
        rows: list[tuple[Cell, ...]] = [
            (each.step, words[each.possible], each.status, ", ".join(each.needs), each.guard,
             each.why)
            for each in ordered[: checked_most(most)]
        ]  # fmt: skip
        names = ("step", "possible", "then it is", "needs", "guard", "why not")
        table = Table(
            title="next steps",
            columns=tuple(Column(name=name) for name in names),
            rows=rows,
            more=len(self) - len(rows),
        )
        return Document(title="next steps", blocks=(table,))

    def _repr_html_(self) -> str:
        """Return it for a notebook, every text escaped."""
        return html_of(self)


def _status_guard(rule: Rule[S], step: str, state: S) -> str | None:
    if state.status in rule.begins:
        return None
    allowed = ", ".join(s.value for s in type(state.status) if s in rule.begins)
    gone: str | None = getattr(state, "merged_into", None)
    there = f"; it is merged into {gone}, ask there" if gone is not None else ""
    return f"its status is {state.status.value}; {step} is possible from {allowed}{there}"


def require(table: Mapping[str, Rule[S]], step: str, state: S, ask: Ask[S]) -> None:
    """
    Let *step* go on, or refuse it.

    Raises:
        StepRefused: The first guard that says no, the status first.
    """
    rule = table[step]
    why = _status_guard(rule, step, state)
    if why is not None:
        raise StepRefused(step, "status", why)
    for guard in rule.guards:
        why = guard.why_not(state, ask)
        if why is not None:
            raise StepRefused(step, guard.name, why)


def answers(table: Mapping[str, Rule[S]], state: S, ask: Ask[S]) -> Iterator[Answer]:
    """Yield one answer for each step of the table, in its order."""
    for step, rule in table.items():
        yield _answer(rule, step, state, ask)


def _answer(rule: Rule[S], step: str, state: S, ask: Ask[S]) -> Answer:
    why = _status_guard(rule, step, state)
    if why is not None:
        return Answer(step=step, possible=False, guard="status", why=why)
    open_answer: Answer | None = None
    for guard in rule.guards:
        missing = guard.missing(state, ask)
        if missing:
            # A later guard may still say a plain no, which is worth more than "it depends".
            depends = f"depends on {', '.join(missing)}"
            open_answer = open_answer or Answer(
                step=step, possible=None, guard=guard.name, why=depends
            )
            continue
        why = guard.why_not(state, ask)
        if why is not None:
            return Answer(step=step, possible=False, guard=guard.name, why=why)
    return open_answer or Answer(step=step, possible=True)


SUPPLIED: Final = frozenset({"id", "above", "into_state", "merged_state", "members"})
"""Arguments of steps that the ledger gives, which knows the other streams."""

NOTHING_NEW: Final = "something to record"
"""The guard of steps that would record nothing, since what they say stands already."""


def tried(
    found: Iterable[Answer],
    step_of: Callable[[str], Callable[..., tuple[Any, ...]]],
    evolve: Callable[[S, Any], S],
    state: S,
    given: Mapping[str, object],
) -> Iterator[Answer]:
    """
    Yield answers, those that are yes tried where nothing but *given* has to be known.

    A step that would record nothing is not possible; of another one the answer says what it would
    record, and where the status would be after it.

    Args:
        step_of: Returns the step of a name.
        given: The arguments that are known.
    """
    for answer in found:
        step = step_of(answer.step)
        known = given.keys() | SUPPLIED
        needs = tuple(name for name in required(step) if name not in known)
        if not answer.possible or not set(required(step)) <= given.keys():
            told = answer.possible is not False and {"by", "at"} <= given.keys()
            yield attrs.evolve(answer, needs=needs) if told else answer
            continue
        taken = {name: value for name, value in given.items() if name in parameters(step)}
        try:
            events = step(state, **taken)
        except StepRefused as refused:
            yield Answer(step=answer.step, possible=False, guard=refused.guard, why=refused.why)
            continue
        except InvalidValue as wanted:
            # One of several arguments is needed, and the error names the first of them.
            yield attrs.evolve(answer, needs=(wanted.name,))
            continue
        if not events:
            why = f"it stands so already: {answer.step} would record nothing"
            yield Answer(step=answer.step, possible=False, guard=NOTHING_NEW, why=why)
            continue
        after = state
        for event in events:
            after = evolve(after, event)
        status = None if after.status == state.status else after.status.value
        names = tuple(type(event).__name__ for event in events)
        yield Answer(step=answer.step, possible=True, records=names, status=status)


St = TypeVar("St", bound=StrEnum)


def changed(now: St, after: St) -> St | None:
    """Return the status after a step as its event carries it: None where it stays as it was."""
    return None if now is after else after


def rows(table: Mapping[str, Rule[S]]) -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    """Yield (step, statuses it begins from, status it ends in, guards): the documented table."""
    for step, rule in table.items():
        statuses = type(next(iter(rule.begins)))
        begins = tuple(s.value for s in statuses if s in rule.begins)
        yield step, begins, rule.ends, ", ".join(guard.name for guard in rule.guards)


# --- events, whoever's step made them -------------------------------------------------------------


@lru_cache(maxsize=1024)  # of steps of somebody's own there may be very many
def parameters(step: Callable[..., object]) -> tuple[str, ...]:
    """Return the names of what a step takes besides the state, which is its first parameter."""
    return tuple(signature(step).parameters)[1:]


@lru_cache(maxsize=1024)
def required(step: Callable[..., object]) -> tuple[str, ...]:
    """Return the names of what a step has to be given besides the state, in their order."""
    given = list(signature(step).parameters.values())[1:]
    kinds = {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL}
    return tuple(
        one.name for one in given if one.default is Parameter.empty and one.kind not in kinds
    )


@lru_cache(maxsize=1024)
def takes_any(step: Callable[..., object]) -> bool:
    """Say whether a step takes arguments of any name."""
    given = signature(step).parameters.values()
    return any(one.kind is Parameter.VAR_KEYWORD for one in given)


def records(step: str) -> Callable[[T], T]:
    """Return a decorator that names a function by the step whose events it makes again."""

    def named(function: T) -> T:
        function.__name__ = step  # type: ignore[attr-defined]  # it is a function
        return function

    return named


def confirmed(
    recorded_by: Mapping[type, Callable[..., tuple[Any, ...]]],
    kind: str,
    state: object,
    event: Any,
    **rules: object,
) -> None:
    """
    Let an event be recorded that a step of somebody's own made, or refuse it.

    It is asked what its kind is always asked: the step that records such events is called with
    what the event says, so its guards are asked, and what follows from it (status, numbers, votes,
    quorum) must be what the event holds.

    Args:
        recorded_by: The step that records events of each type.
        rules: What the steps that have an argument of that name are to go by, such as the policy.

    Raises:
        StepRefused: A guard says no, or the event says something else of what follows.
        InvalidValue: It is no event that a step of this kind records.
    """
    made_by: type = event.__class__
    step = recorded_by.get(made_by)
    if step is None or getattr(event, "imported", False):
        raise _other_door(event, kind)
    given = {name: getattr(event, name) for name in parameters(step) if hasattr(event, name)}
    given |= {name: rule for name, rule in rules.items() if name in parameters(step)}
    made = step(state, **given)
    if event not in made:
        what = f"{step.__name__} makes {made[0]!r} of it" if made else "nothing follows of it now"
        message = f"{what}, not {event!r}; return what {step.__name__} returns"
        raise StepRefused(step.__name__, "what follows", message)


def checked_state(name: str, value: object, kind: type[T]) -> T:
    """Return *value* if it is the state of an incident or of a change, as *kind* says."""
    if not isinstance(value, kind):
        allowed = f"give the {name} as it stands: {name}.INITIAL, or what {name}.fold returns"
        raise InvalidValue(name, value, allowed)
    return value


def checked_events(name: str, value: Iterable[T]) -> tuple[T, ...]:
    """Return *value* as a tuple if it can be gone through; its members say for themselves."""
    if not is_list(value):
        raise InvalidValue(name, value, "give a list of events")
    return tuple(value)


def strange_event(event: Never, kind: str) -> InvalidValue:
    """
    Return the error that names what is no event of an incident, or of a change.

    Type checkers let it be called only where all events there are were told apart before.
    """
    allowed = f"an event of {_a(kind)} as imcm has them; facts of your own can be kept as labels"
    return InvalidValue("event", event, allowed)


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "incident" else f"a {kind}"


def incomplete(step: str, what: str) -> StepRefused:
    """Return the error that says of an event that another one belongs in front of it."""
    return StepRefused(step, "what follows", f"{what}; return all that {step} returns")


def _other_door(event: object, kind: str) -> InvalidValue:
    """Return the error that names an event no step of this kind records, and where to go."""
    name = type(event).__name__
    if getattr(event, "imported", False):
        allowed = "history from elsewhere comes in by Ledger.bring_in, which marks it"
    elif name in _DOORS:
        allowed = f"use {_DOORS[name]}"
    else:
        allowed = (
            f"a step of the {kind} returns events of {_a(kind)} as imcm has them; facts of your "
            "own can be kept as labels"
        )
    return InvalidValue("event", name, allowed)


_DOORS: Final[Mapping[str, str]] = {
    "IncidentMerged": "Ledger.merge, which writes both sides",
    "IncidentAbsorbed": "Ledger.merge, which writes both sides",
    "IncidentUnmerged": "Ledger.unmerge, which writes both sides",
    "IncidentSeparated": "Ledger.unmerge, which writes both sides",
    "SeverityInherited": "Ledger.merge or Ledger.unmerge, which write both sides",
    "IncidentRelated": "Ledger.relate, which knows what the other one is a child of",
    "WordsRedacted": "Ledger.redact",
    "DurationStated": "Ledger.bring_in: only a source states a duration",
    "SourceSaid": "Ledger.bring_in: only a source says again what it said",
    "SourceWithdrew": "Ledger.bring_in: only a source has something no more",
    "SourceReinstated": "Ledger.bring_in: only a source has something again",
    "StepRefusedRecorded": "Ledger(..., record_refusals=True), which keeps what is refused",
    "ChangeApproved": "change.approve, which records VoteGiven; this one is read for ever",
    "ChangeDeployed": "Ledger.bring_in: only a source leaves open how it went; else complete",
}
