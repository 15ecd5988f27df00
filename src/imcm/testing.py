"""
For tests of rules of your own: given these events, when this step is asked for, then those follow.

    def test_what_is_resolved_can_be_closed():
        given(detected, triaged, resolved).when(incident.close, by="ann", at=noon).then(
            IncidentClosed(at=noon, by="ann")
        )

Events are compared whole, no field is ever left out. Which aggregate a step belongs to is told by
the annotation of its first parameter, so steps that you write yourself work like those of
`imcm.domain.incident` and `imcm.domain.change`.

The second part are Hypothesis strategies, `moments`, `incident_steps` and `change_steps`, which
draw steps with plausible arguments. They need `pip install 'imcm[test]'`; the first part does not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from importlib.util import find_spec
from itertools import zip_longest
from types import SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    ParamSpec,
    TypeAlias,
    get_args,
    get_type_hints,
    overload,
)

import attrs

from imcm.domain import change as changes
from imcm.domain import change_events, corrections, incident_events
from imcm.domain import incident as incidents
from imcm.domain.change import Change
from imcm.domain.change_events import ChangeEvent, Template
from imcm.domain.corrections import past_standing
from imcm.domain.incident import Incident
from imcm.domain.incident_events import IncidentEvent
from imcm.domain.policy import DEFAULT_POLICY, Policy
from imcm.domain.severity import SeverityScale
from imcm.domain.vocabulary import (
    AttemptResult,
    Audience,
    Authority,
    Between,
    ChangeType,
    Channel,
    Commit,
    Counts,
    Degree,
    DismissalReason,
    HoldReason,
    Impact,
    Kind,
    MitigationKind,
    Mode,
    Moment,
    Relation,
    Result,
    Risk,
    Role,
    ServiceImpact,
    Severity,
    Symptom,
    Verdict,
    Window,
)
from imcm.errors import ImcmError, InvalidValue, MissingExtraError, StepRefused

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["Answered", "Given", "change_steps", "given", "incident_steps", "moments"]

Event: TypeAlias = IncidentEvent | ChangeEvent
P = ParamSpec("P")

# --- given, when, then ----------------------------------------------------------------------------


def given(*events: Event) -> Given:
    """Begin a test with the *events* of one stream, oldest first; none at all is a new stream."""
    return Given(events)


@attrs.frozen
class Given:
    """What has happened so far. Made by `given`."""

    events: tuple[Event, ...]

    @overload
    def when(
        self,
        step: Callable[Concatenate[Incident, P], Sequence[IncidentEvent]],
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Answered: ...
    @overload
    def when(
        self,
        step: Callable[Concatenate[Change, P], Sequence[ChangeEvent]],
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Answered: ...
    def when(
        self, step: Callable[..., Sequence[Event]], /, *args: object, **arguments: object
    ) -> Answered:
        """
        Ask for *step* with the *arguments* it takes besides the state.

        Args:
            step: A function whose first parameter is annotated with `Incident` or `Change`.

        Raises:
            InvalidValue: It is not, or the events given belong to the other aggregate.
        """
        state = _state_for(step, self.events)
        try:
            followed = step(state, *args, **arguments)
        except (StepRefused, InvalidValue) as error:
            return Answered(step=_name_of(step), error=error)
        return Answered(step=_name_of(step), events=tuple(followed))


@attrs.frozen(kw_only=True)
class Answered:
    """
    What a step answered, to be compared with what it should. Made by `Given.when`.

    Attributes:
        events: What followed, where nothing was refused.
        error: The refusal, else None.
    """

    step: str
    events: tuple[Event, ...] = ()
    error: ImcmError | None = None

    def then(self, *events: Event) -> None:
        """Exactly these *events* follow: each of them whole, in this order."""
        __tracebackhide__ = True
        if self.error is not None:
            expected = ", ".join(type(event).__name__ for event in events) or "nothing"
            raise AssertionError(
                f"{self.step} should record {expected}, but: {self.error}"
            ) from self.error
        if events != self.events:
            raise AssertionError(
                f"{self.step} should record {len(events)} events and recorded "
                f"{len(self.events)}\n" + "\n".join(_differences(events, self.events))
            )

    def then_nothing(self) -> None:
        """The step is allowed, and nothing needs to change."""
        __tracebackhide__ = True
        self.then()

    def then_refused(self, *, guard: str) -> StepRefused:
        """The guard of this name says no. Returns the refusal, so that its text can be checked."""
        __tracebackhide__ = True
        if not isinstance(self.error, StepRefused):
            raise AssertionError(  # noqa: TRY004  # what failed is the test, not a type
                f"{self.step} should be refused by {guard!r}, but {self._happened()}"
            ) from self.error
        if self.error.guard != guard:
            raise AssertionError(
                f"{self.step} should be refused by {guard!r}, but was by {self.error.guard!r}: "
                f"{self.error}"
            ) from self.error
        return self.error

    def then_invalid(self, name: str) -> InvalidValue:
        """The argument of this name can't be right. Returns the error, for its text."""
        __tracebackhide__ = True
        if not isinstance(self.error, InvalidValue):
            raise AssertionError(  # noqa: TRY004  # what failed is the test, not a type
                f"{self.step} should not take its {name!r}, but {self._happened()}"
            ) from self.error
        if self.error.name != name:
            raise AssertionError(
                f"{self.step} should not take its {name!r}, but did not take "
                f"{self.error.name!r}: {self.error}"
            ) from self.error
        return self.error

    def _happened(self) -> str:
        if self.error is not None:
            return str(self.error)
        recorded = [line for event in self.events for line in _lines_of(event)]
        return "\n".join(["it recorded:", *recorded]) if recorded else "it recorded nothing"


def _name_of(step: Callable[..., object]) -> str:
    return getattr(step, "__name__", repr(step))


def _state_for(step: Callable[..., object], events: tuple[Event, ...]) -> Incident | Change:
    """Return the state that *events* lead to, of the aggregate that *step* belongs to."""
    kind = _first_annotation(step)
    if kind is Incident:
        return incidents.fold(_only(incidents, get_args(IncidentEvent), events))
    if kind is Change:
        return changes.fold(_only(changes, get_args(ChangeEvent), events))
    raise InvalidValue(
        "step", _name_of(step), "annotate its first parameter with Incident or Change"
    )


def _first_annotation(step: Callable[..., object]) -> object:
    function = inspect.unwrap(step)
    annotations: Mapping[str, object] = getattr(function, "__annotations__", {})
    first = next(iter(inspect.signature(function).parameters), None)
    if first is None or first not in annotations:
        return None
    # Only the first one is looked up: the others may name what only a type checker imports.
    alone = SimpleNamespace(__annotations__={first: annotations[first]})
    return get_type_hints(alone, globalns=getattr(function, "__globals__", {}))[first]


def _only(module: object, allowed: tuple[type, ...], events: tuple[Event, ...]) -> Iterable[Any]:
    # Any: what remains is of the one aggregate, which no annotation can say of both at once.
    for event in events:
        if not isinstance(event, allowed):
            name = str(getattr(module, "__name__", module)).rpartition(".")[2]
            raise InvalidValue("given", type(event).__name__, f"give events of one {name}")
    return events


def _differences(expected: tuple[Event, ...], actual: tuple[Event, ...]) -> Iterable[str]:
    """Yield both sides, event by event and field by field; what differs is marked."""
    for number, (wanted, recorded) in enumerate(zip_longest(expected, actual), start=1):
        if wanted == recorded:
            yield f"{number}. as expected"
            yield from _lines_of(wanted)
        elif wanted is None or type(wanted) is not type(recorded):
            yield f"{number}. expected:"
            yield from _lines_of(wanted)
            yield "   actual:"
            yield from _lines_of(recorded)
        else:
            yield f"{number}. {type(wanted).__name__}"
            for name in _fields(wanted):
                first, second = getattr(wanted, name), getattr(recorded, name)
                if first == second:
                    yield f"       {name} = {_plain(first)}"
                else:
                    yield f"     ! {name}: expected {_plain(first)}"
                    yield f"       {' ' * len(name)}  actual   {_plain(second)}"


def _fields(event: Event) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(type(event)))


def _lines_of(event: Event | None) -> Iterable[str]:
    if event is None:
        yield "     nothing"
        return
    yield f"     {type(event).__name__}"
    for name in _fields(event):
        yield f"       {name} = {_plain(getattr(event, name))}"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


# --- strategies -----------------------------------------------------------------------------------

IncidentStep: TypeAlias = Callable[..., tuple[IncidentEvent, ...]]
ChangeStep: TypeAlias = Callable[..., tuple[ChangeEvent, ...]]

_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_OFFSETS: Final = (0, 60, 330, -480)
_PEOPLE: Final = ("ann", "bea", "cem", "dan")
_TEMPLATE: Final = Template(name="restart", version="3", sha256="0" * 64)
_SCALE: Final = SeverityScale(
    levels={"SEV0": Severity.P1, "SEV1": Severity.P1, **{rank: rank for rank in Severity}},
    matrix={"high": {"high": "SEV0", "low": "P2"}, "low": {"high": "P3", "low": "P4"}},
)
_SHARES: Final = (100, 50, 25, 5, 1)
_WORDS: Final = ("as agreed", "größer als gedacht", 'it\'s "quoted"\nin two lines')


def _need_hypothesis() -> None:
    if find_spec("hypothesis") is None:
        raise MissingExtraError("drawing steps with Hypothesis", "test")


def moments(
    *, earliest: datetime = _FIRST, latest: datetime = _FIRST + timedelta(days=30)
) -> SearchStrategy[Moment]:
    """
    Draw moments: mostly times, of several offsets, and now and then an uncertain one.

    Args:
        earliest, latest: Nothing drawn lies outside them. Both time-zone-aware.

    Raises:
        MissingExtraError: Hypothesis is not installed.
    """
    _need_hypothesis()
    from hypothesis import strategies as st

    def time(after: int, offset: int) -> datetime:
        zone = timezone(timedelta(minutes=offset))
        return (earliest + timedelta(seconds=after)).astimezone(zone)

    def between(first: datetime, second: datetime) -> Between:
        return Between(earliest=min(first, second), latest=max(first, second))

    seconds = int((latest - earliest).total_seconds())
    times = st.builds(time, st.integers(0, seconds), st.sampled_from(_OFFSETS))
    # Of five moments one is uncertain, as far as chance has it.
    return st.one_of(times, times, times, times, st.builds(between, times, times))


def incident_steps(
    *, incident: Incident = incidents.INITIAL, only: Iterable[str] = tuple(incidents.STEPS)
) -> SearchStrategy[tuple[IncidentStep, dict[str, object]]]:
    """
    Draw a step of an incident with plausible arguments: `step(incident, **arguments)`.

    A step drawn may still be refused, by its status or by a guard.

    Args:
        incident: Whose numbers, versions and values the arguments name, where they name any.
        only: The steps to draw from; every step of the table unless told otherwise.

    Raises:
        MissingExtraError: Hypothesis is not installed.
    """
    _need_hypothesis()
    from hypothesis import strategies as st

    def drawn(name: str) -> SearchStrategy[tuple[IncidentStep, dict[str, object]]]:
        step: IncidentStep = getattr(incidents, name)
        if name in {"correct", "void"}:
            edits = _edits(incident.past, incident_events.CORRECTABLE)
            arguments = _arguments(step, {**_of_incidents(), **edits})
        elif "number" in inspect.signature(step).parameters:
            number = st.integers(1, max([1, *incident.attempts, *incident.actions]))
            arguments = _arguments(step, {**_of_incidents(), "number": number})
        else:
            arguments = _incident_arguments(name)
        return st.tuples(st.just(step), arguments)

    return st.sampled_from(tuple(only)).flatmap(drawn)


def change_steps(
    *, change: Change = changes.INITIAL, only: Iterable[str] = tuple(changes.STEPS)
) -> SearchStrategy[tuple[ChangeStep, dict[str, object]]]:
    """
    Draw a step of a change with plausible arguments: `step(change, **arguments)`.

    A step drawn may still be refused, by its status or by a guard.

    Args:
        change: Whose versions and values the arguments name, where they name any.
        only: The steps to draw from; every step of the table unless told otherwise.

    Raises:
        MissingExtraError: Hypothesis is not installed.
    """
    _need_hypothesis()
    from hypothesis import strategies as st

    def drawn(name: str) -> SearchStrategy[tuple[ChangeStep, dict[str, object]]]:
        step: ChangeStep = getattr(changes, name)
        if name in {"correct", "void"}:
            edits = _edits(change.past, change_events.CORRECTABLE)
            arguments = _arguments(step, {**_of_changes(), **edits})
        elif name == "submit" and change.type is ChangeType.STANDARD:
            # Optional where a step is drawn by itself, but a standard change needs its template.
            template = st.fixed_dictionaries({"template": st.just(_TEMPLATE)})
            arguments = st.builds(_together, _change_arguments(name), template)
        elif name == "start" and (window := change.scheduled or change.window):
            # Most moments lie outside the window, and what is approved starts inside it.
            last = window.end - timedelta(seconds=1)
            inside = {"at": moments(earliest=window.start, latest=last)}
            arguments = _arguments(step, {**_of_changes(), **inside})
        elif name in {"approve", "approve_retroactively", "refuse_retroactively"}:
            # Whoever takes part in it is barred: mostly it is somebody else who decides.
            others = [person for person in _PEOPLE if person not in change.barred] or _PEOPLE
            arguments = _arguments(step, {**_of_changes(), "by": st.sampled_from(others)})
        elif name == "override_freeze":
            others = [person for person in _PEOPLE if person not in change.barred] or _PEOPLE
            frozen = {"by": st.sampled_from(others), "policy": st.just(_policies()[-1])}
            arguments = _arguments(step, {**_of_changes(), **frozen}, always=("policy",))
        elif name == "advance_rollout" and (change.percent or 0) < 100:
            so_far = change.percent or 0
            following = next((step for step in change.rollout_plan if step > so_far), 100.0)
            more = [float(share) for share in _SHARES if so_far < share <= following] or [following]
            arguments = _arguments(step, {**_of_changes(), "percent": st.sampled_from(more)})
        elif name == "schedule" and change.window:
            arguments = _arguments(step, {**_of_changes(), "window": st.just(change.window)})
        elif name == "observe" and not change.past:
            # What was never planned needs a title, and has no content yet.
            arguments = _arguments(step, _of_changes(), always=("title",))
        else:
            arguments = _change_arguments(name)
        return st.tuples(st.just(step), arguments)

    return st.sampled_from(tuple(only)).flatmap(drawn)


# Any, below: strategies of many types stand in one mapping, each under its argument's name.
# They are made once: making and checking them takes far longer than drawing from them.


@cache
def _policies() -> tuple[Policy, ...]:
    """Return policies of which the last has a freeze."""
    from imcm.domain.policy.freezes import Freeze, Weekly

    weekend = Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00"))
    two_votes = Policy(name="two votes", version="7", approvals=2)
    fading = Policy(name="fading", approvals=2, valid_for="5 days")
    return DEFAULT_POLICY, two_votes, fading, Policy(name="frozen", freezes=[weekend])


@cache
def _of_both() -> dict[str, Any]:
    """Return strategies for the arguments that mean the same in both aggregates."""
    from hypothesis import strategies as st

    return {
        "by": st.sampled_from(_PEOPLE),
        "at": moments(earliest=_FIRST + timedelta(days=1)),
        "title": st.sampled_from(_WORDS),
        "why": st.sampled_from(_WORDS),
        "note": st.sampled_from(_WORDS),
        "evidence": st.sampled_from(_WORDS),
        "services": st.lists(st.sampled_from(("payments", "search")), unique=True).map(tuple),
        "environment": st.sampled_from(("production", "staging")),
        "labels": st.dictionaries(st.sampled_from(("team", "project")), st.just("core")),
        "reason": st.sampled_from(HoldReason),
        "policy": st.sampled_from(_policies()),
        "also": st.sampled_from((None, *_policies()[:2])),
        "context": st.none(),
    }


def _references() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {
        "kind": st.sampled_from(("ticket", "dashboard")),
        "address": st.sampled_from(("OPS-7", "https://wiki.example/7")),
    }


@cache
def _of_incidents() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {
        **_of_both(),
        "channel": st.sampled_from(Channel),
        "monitor": st.just("prometheus"),
        "mode": st.sampled_from(Mode),
        "symptom": st.sampled_from(Symptom),
        "declared_at": moments(),
        "impact_started_at": moments(),
        "severity": st.sampled_from(Severity),
        "impact": _impacts(),
        "kind": st.sampled_from(MitigationKind),
        "change": st.sampled_from(("CHG-1", "CHG-2")),
        "result": st.sampled_from(AttemptResult),
        "role": st.sampled_from(Role),
        "person": st.sampled_from(_PEOPLE),
        "audience": st.sampled_from(Audience),
        "text": st.sampled_from(_WORDS),
        "problem": st.sampled_from(("PRB-1", "PRB-2")),
        "verdict": st.sampled_from([v for v in Verdict if v is not Verdict.DISMISSED]),
        "what_happened": st.sampled_from(_WORDS),
        "causes": st.tuples() | st.tuples(st.sampled_from(_WORDS)),
        "owner": st.sampled_from(_PEOPLE),
        "due": st.dates(min_value=date(2026, 1, 1), max_value=date(2026, 12, 31)),
        "id": st.just("INC-1"),
        "into": st.just("INC-2"),
        "out_of": st.just("INC-2"),
        "into_state": st.just(Incident(status=incidents.Status.DETECTED)),
        "scale": st.just(_SCALE),
        "impact_level": st.sampled_from(("high", "low")),
        "urgency": st.sampled_from(("high", "low")),
        "cause_tags": st.tuples() | st.tuples(st.sampled_from(("configuration", "capacity"))),
        "name": st.sampled_from(("vendor called", "root cause known")),
        "to": st.sampled_from(("INC-2", "INC-3")),
        "above": st.tuples() | st.tuples(st.sampled_from(("INC-1", "INC-4"))),
    }


@cache
def _incident_arguments(name: str) -> SearchStrategy[dict[str, object]]:
    from hypothesis import strategies as st

    special: dict[str, dict[str, Any]] = {
        "detect": {"at": moments(latest=_FIRST + timedelta(days=1))},
        "dismiss": {"reason": st.sampled_from(DismissalReason)},
        "describe": {
            "labels": st.dictionaries(
                st.sampled_from(("team", "project")), st.sampled_from(("core", "edge", None))
            )
        },
        "refer": _references(),
        "relate": {"kind": st.sampled_from(Relation)},
    }
    known = {**_of_incidents(), **special.get(name, {})}
    if name == "triage":
        # What the matrix asks for belongs together, and to the scale whose matrix it is.
        matrix, step = ("impact_level", "urgency", "scale"), incidents.triage
        chosen = _arguments(step, known, always=("severity",), never=matrix)
        return chosen | _arguments(step, known, always=matrix)
    return _arguments(getattr(incidents, name), known)


@cache
def _of_changes() -> dict[str, Any]:
    from hypothesis import strategies as st

    counts = st.builds(Counts, requests=st.integers(5, 9), errors=st.integers(0, 5))
    return {
        **_of_both(),
        "type": st.sampled_from([type for type in ChangeType if type is not ChangeType.OBSERVED]),
        "kind": st.sampled_from(Kind),
        "risk": st.sampled_from(Risk),
        "window": _windows(),
        "requested_by": st.sampled_from(_PEOPLE),
        "incident": st.just("INC-1"),
        "repairs": st.just("CHG-0"),
        "description": st.sampled_from(_WORDS),
        "rollback_plan": st.sampled_from(_WORDS),
        "monitoring_plan": st.sampled_from(_WORDS),
        "test_plan": st.sampled_from(_WORDS),
        "authority": st.sampled_from(Authority),
        "run": st.just("https://ci.example/7"),
        "version": st.just("v2.3.1"),
        "commits": _commits(),
        "rollout_plan": st.sampled_from(((), (100,), (5, 25, 100))),
        "percent": st.sampled_from(_SHARES),
        "canary": counts,
        "baseline": counts,
        "reached_production": st.booleans(),
        "check": st.sampled_from(("smoke", "errors")),
        "passed": st.booleans(),
        "result": st.sampled_from(Result),
        "notes": st.sampled_from(_WORDS),
        "freeze": st.just("weekend"),
        "also": st.just(None) | st.sampled_from(_policies()),
    }


@cache
def _change_arguments(name: str) -> SearchStrategy[dict[str, object]]:
    known = {**_of_changes(), "at": _of_both()["at"]}
    if name == "refer":
        known |= _references()
    if name == "plan":
        known["at"] = moments(latest=_FIRST + timedelta(days=1))
    # What was planned has its content; only what was found out of nothing is told with its own.
    content = ("title", "kind", "services", "environment", "labels") if name == "observe" else ()
    return _arguments(getattr(changes, name), known, never=(*content, "template"))


@cache
def _values() -> dict[type, Any]:
    """Return, for each kind of correction, a strategy for the value that it puts in place."""
    from hypothesis import strategies as st

    return {
        corrections.MomentCorrected: moments(),
        corrections.SeverityCorrected: st.sampled_from(Severity),
        corrections.ImpactCorrected: _impacts(),
        corrections.ServicesCorrected: _of_both()["services"],
        corrections.SymptomCorrected: st.sampled_from(Symptom),
        corrections.KindCorrected: st.sampled_from(Kind),
        corrections.LabelsCorrected: _of_both()["labels"],
        corrections.EnvironmentCorrected: _of_both()["environment"],
        corrections.ModeCorrected: st.sampled_from(Mode),
        corrections.DismissalReasonCorrected: st.sampled_from(DismissalReason),
        corrections.ResultCorrected: st.sampled_from(Result),
        corrections.CommitsCorrected: _commits(),
    }


def _edits(past: Sequence[Event], correctable: corrections.Correctable) -> dict[str, Any]:
    """Return strategies for `correct` and `void`: a fact of this *past*, and what stands of it."""
    from hypothesis import strategies as st

    def correction(fact: tuple[int, str, object, type]) -> SearchStrategy[dict[str, object]]:
        version, field, stands, kind = fact
        fixed = {"version": st.just(version), "field": st.just(field), "was": st.just(stands)}
        return st.fixed_dictionaries({**fixed, "now": _values()[kind]})

    facts: list[tuple[int, str, object, type]] = [
        (version, field, getattr(event, field), kind)
        for version, event in past_standing(past).items()
        for field, kind in correctable.get(_class_of(event), {}).items()
    ]
    fact = st.sampled_from(facts or [(1, "at", _FIRST, corrections.MomentCorrected)])
    return {"fact": fact.flatmap(correction), "version": st.integers(1, max(1, len(past)))}


def _impacts() -> SearchStrategy[Impact]:
    from hypothesis import strategies as st

    hit = st.builds(ServiceImpact, service=st.just("payments"), degree=st.sampled_from(Degree))
    return st.builds(
        Impact,
        services=st.tuples() | st.tuples(hit),
        customers=st.none() | st.integers(0, 5000),
        share=st.none() | st.sampled_from((0.0, 0.25, 1.0)),
    )


def _windows() -> SearchStrategy[Window]:
    from hypothesis import strategies as st

    def window(day: int, hours: int) -> Window:
        start = _FIRST + timedelta(days=day)
        return Window(start=start, end=start + timedelta(hours=hours))

    return st.builds(window, st.integers(1, 3), st.integers(1, 12))


def _commits() -> SearchStrategy[tuple[Commit, ...]]:
    from hypothesis import strategies as st

    committed = st.none() | st.just(_FIRST)
    first = st.builds(Commit, id=st.just("a1"), committed_at=committed)
    second = st.builds(Commit, id=st.just("b2"), committed_at=committed)
    return st.tuples() | st.tuples(first) | st.tuples(second, first)


def _together(arguments: dict[str, object], fact: dict[str, object]) -> dict[str, object]:
    return {**arguments, **fact}


def _arguments(
    step: Callable[..., object],
    known: Mapping[str, Any],
    *,
    always: Sequence[str] = (),
    never: Sequence[str] = (),
) -> SearchStrategy[dict[str, object]]:
    """Return a strategy for the keyword arguments of *step*: those without default always."""
    from hypothesis import strategies as st

    parameters = list(inspect.signature(step).parameters.values())[1:]
    corrects = any(parameter.name == "now" for parameter in parameters)
    # A correction's version, field, was and now belong together: they are one drawn fact.
    apart = {*never, *(("version", "field", "was", "now") if corrects else ())}
    rest = [parameter for parameter in parameters if parameter.name not in apart]
    needed = {p.name for p in rest if p.default is p.empty or p.name in always}
    arguments: SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
        {p.name: known[p.name] for p in rest if p.name in needed},
        optional={p.name: known[p.name] for p in rest if p.name not in needed},
    )
    return st.builds(_together, arguments, known["fact"]) if corrects else arguments


def _class_of(event: object) -> type:
    return event.__class__
