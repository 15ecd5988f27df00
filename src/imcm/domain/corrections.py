"""
Corrections and voids: statements about events, which never overwrite them.

A correction says that a field of one event was not what is written there; a void says that an
event never happened. Both are events themselves. What *stands* is what is left once they are
applied, the last one in log order winning.

Event classes here are shared by both aggregates. Their names are storage format.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, TypeAlias, TypeVar, get_args

import attrs

from imcm.domain.lifecycle import Ask, Guard
from imcm.domain.vocabulary import (
    Commit,
    DismissalReason,
    Impact,
    Kind,
    Mode,
    Moment,
    Result,
    Severity,
    StatedDuration,
    Symptom,
    aware,
    checked_address,
    checked_commits,
    checked_id,
    checked_impact,
    checked_labels,
    checked_member,
    checked_moment,
    checked_services,
    checked_words,
    is_aware,
    is_mapping,
    optional_id,
    optional_moment,
)

WHY: Final = ("why",)


class DomainEvent:
    """
    What all events share: how they are shown, as attrs shows any class.

    attrs would write and compile this for each of them, a fifth of what importing them takes.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the class and every field."""
        fields = attrs.fields(type(self))  # type: ignore[arg-type]  # each event is made by attrs
        told = ", ".join(f"{a.name}={getattr(self, a.name)!r}" for a in fields)
        return f"{type(self).__name__}({told})"


@attrs.frozen(kw_only=True, repr=False)
class MomentCorrected(DomainEvent):
    """A moment of an earlier event was another one."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: Moment | None = attrs.field(default=None, validator=aware)
    now: Moment | None = attrs.field(default=None, validator=aware)
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class SeverityCorrected(DomainEvent):
    """
    A severity was judged wrongly when it was recorded (a change of severity is a step).

    Attributes:
        severity_name_was, severity_name: What the team's own scale called it, and calls it now;
            None without one.
    """

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: Severity | None = None
    now: Severity | None = None
    severity_name_was: str | None = None
    severity_name: str | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ImpactCorrected(DomainEvent):
    """Who was hit, or how badly, was recorded wrongly."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: Impact | None = None
    now: Impact | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ServicesCorrected(DomainEvent):
    """Other services than recorded."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: tuple[str, ...] = ()
    now: tuple[str, ...] = ()
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class SymptomCorrected(DomainEvent):
    """Another symptom than recorded."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: Symptom | None = None
    now: Symptom | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class KindCorrected(DomainEvent):
    """Another kind of change than recorded."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: Kind | None = None
    now: Kind | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class LabelsCorrected(DomainEvent):
    """Other labels than recorded."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: Mapping[str, str] = attrs.field(factory=dict[str, str])
    now: Mapping[str, str] = attrs.field(factory=dict[str, str])
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class EnvironmentCorrected(DomainEvent):
    """Another environment than recorded."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: str | None = None
    now: str | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ModeCorrected(DomainEvent):
    """A drill recorded as real, or the other way round."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: Mode | None = None
    now: Mode | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class DismissalReasonCorrected(DomainEvent):
    """Another reason for a dismissal than recorded."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: DismissalReason | None = None
    now: DismissalReason | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ResultCorrected(DomainEvent):
    """Another result of a change than its close recorded."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: Result | None = None
    now: Result | None = None
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class CommitsCorrected(DomainEvent):
    """Other commits than recorded, or other times of theirs."""

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    field: str
    was: tuple[Commit, ...] = ()
    now: tuple[Commit, ...] = ()
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class EventVoided(DomainEvent):
    """
    An earlier event of the stream never happened.

    Attributes:
        version: Which one.
        status: The status that stands without it.
        imported: The source that told it does so no more.
    """

    WORDS: ClassVar[tuple[str, ...]] = WHY
    at: Moment | None = attrs.field(validator=aware)
    by: str
    version: int
    status: str
    why: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class DurationStated(DomainEvent):
    """
    A source gave a duration of its own. It is kept beside what the moments say; the last stands.

    Attributes:
        microseconds: The duration, in whole microseconds.
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    what: StatedDuration
    microseconds: int
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class ReferenceAdded(DomainEvent):
    """
    Something elsewhere belongs to it: a ticket, a dashboard, a channel, a runbook, a document.

    Attributes:
        kind: What it is, in a word of the team's own.
        address: Where it stands: a URL, or the key of a ticket.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("title",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    kind: str
    address: str
    title: str = ""
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class SourceSaid(DomainEvent):
    """
    A source said again what it had said, or that there is none of it: nothing changes but that an
    older word of it, should one come late, is older than this.

    Attributes:
        facts: Which facts, by the names that imports have for them: "severity", "labels.team".
    """

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    facts: tuple[str, ...] = ()
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class SourceWithdrew(DomainEvent):
    """A source has it no more: it is in no figure until the source has it again."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    imported: bool = False


@attrs.frozen(kw_only=True, repr=False)
class SourceReinstated(DomainEvent):
    """A source that had it no more has it again."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    at: Moment | None = attrs.field(validator=aware)
    by: str
    imported: bool = False


def reference(*, at: Moment, by: str, kind: str, address: str, title: str) -> ReferenceAdded:
    """Return what either aggregate's `refer` records, its arguments checked."""
    return ReferenceAdded(
        at=at,
        by=by,
        kind=checked_id("kind", kind),
        address=checked_address("address", address),
        title=checked_words("title", title),
    )


@attrs.frozen(kw_only=True, repr=False)
class WordsRedacted(DomainEvent):
    """
    The words of earlier events of the stream were taken out; every fact of theirs stays.

    Attributes:
        at: When, by the clock of whoever asked for it.
        versions: Of which events.
        reason: Why, as far as that can be said without the words.
    """

    WORDS: ClassVar[tuple[str, ...]] = ("reason",)
    at: Moment | None = attrs.field(validator=aware)
    by: str
    versions: tuple[int, ...]
    reason: str = ""
    imported: bool = False


Correction: TypeAlias = (
    MomentCorrected
    | SeverityCorrected
    | ImpactCorrected
    | ServicesCorrected
    | SymptomCorrected
    | KindCorrected
    | LabelsCorrected
    | EnvironmentCorrected
    | ModeCorrected
    | DismissalReasonCorrected
    | ResultCorrected
    | CommitsCorrected
)
CORRECTIONS: Final[tuple[type, ...]] = get_args(Correction)
EDITS: Final[tuple[type, ...]] = (*CORRECTIONS, EventVoided)
EDIT_CLASSES: Final = frozenset(EDITS)
"""The same, to ask of an event's class: asking by `isinstance` takes several times as long."""

# Any: the type of a fact's value depends on its field; each check below settles it.
CorrectableValue: TypeAlias = (
    Moment
    | Severity
    | Impact
    | tuple[str, ...]
    | Symptom
    | Kind
    | Mapping[str, str]
    | str
    | Mode
    | DismissalReason
    | Result
    | tuple[Commit, ...]
    | None
)


_CHECKS: Final[Mapping[type, Callable[[str, object], Any]]] = {
    MomentCorrected: optional_moment,
    SeverityCorrected: lambda name, value: checked_member(name, value, Severity),
    ImpactCorrected: checked_impact,
    ServicesCorrected: lambda _, value: checked_services(value),
    SymptomCorrected: lambda name, value: checked_member(name, value, Symptom),
    KindCorrected: lambda name, value: checked_member(name, value, Kind),
    LabelsCorrected: lambda _, value: checked_labels(value),
    EnvironmentCorrected: optional_id,
    ModeCorrected: lambda name, value: checked_member(name, value, Mode),
    DismissalReasonCorrected: lambda name, value: checked_member(name, value, DismissalReason),
    ResultCorrected: lambda name, value: checked_member(name, value, Result),
    CommitsCorrected: lambda _, value: checked_commits(value),
}

Correctable: TypeAlias = Mapping[type, Mapping[str, type]]
"""Which fields of which event can be corrected, and by which event: a closed list."""

_FIELDS: Final[Mapping[type, frozenset[str]]] = {
    MomentCorrected: frozenset({"at", "impact_started_at", "declared_at"}),
    SeverityCorrected: frozenset({"severity"}),
    ImpactCorrected: frozenset({"impact"}),
    ServicesCorrected: frozenset({"services"}),
    SymptomCorrected: frozenset({"symptom"}),
    KindCorrected: frozenset({"kind"}),
    LabelsCorrected: frozenset({"labels"}),
    EnvironmentCorrected: frozenset({"environment"}),
    ModeCorrected: frozenset({"mode"}),
    DismissalReasonCorrected: frozenset({"reason"}),
    ResultCorrected: frozenset({"result"}),
    CommitsCorrected: frozenset({"commits"}),
}
"""The fields that a correction of each kind can be of, in whichever events have them."""

Ev = TypeVar("Ev")


def standing(events: Mapping[int, Ev], edits: Iterable[object]) -> dict[int, Ev]:
    """
    Return *events* (by version) with *edits* applied in their order: voided ones are gone.

    An edit whose target is not among the events has no effect, and neither has a correction of a
    field that is not of its kind.
    """
    result = dict(events)
    voided: set[int] = set()
    for edit in edits:
        if isinstance(edit, EventVoided):
            voided.add(edit.version)
        elif isinstance(edit, CORRECTIONS):
            correction: Any = edit  # one of its classes, which all have the same fields
            target = result.get(correction.version)
            if target is not None and corrects(correction, target):
                now = {correction.field: correction.now}
                if isinstance(correction, SeverityCorrected):
                    now["severity_name"] = correction.severity_name
                result[correction.version] = replaced(target, **now)
    for version in voided:
        result.pop(version, None)
    return result


def corrects(correction: Any, event: object) -> bool:
    """
    Say whether a correction has an effect on an event: what no step writes, a row may yet hold.

    Any: one of the classes of corrections, which all have the same fields.
    """
    field: str = correction.field
    return field in _FIELDS[type(correction)] and hasattr(event, field)


def replaced(event: Ev, **fields: Any) -> Ev:
    """
    Return an event with other values in some of its fields.

    Any: what kind of value it is was settled when the correction was made.
    """
    # What tells the facts of an event without being it says itself how it is replaced.
    replace: Any = getattr(event, "__replace__", None) or functools.partial(attrs.evolve, event)
    changed: Ev = replace(**fields)
    return changed


def past_standing(past: Iterable[Any]) -> dict[int, Any]:
    """
    Return what stands of a whole stream, by version, without the corrections and voids.

    Any: events of either aggregate go in, and those of them that tell facts come out.
    """
    events = dict(enumerate(past, start=1))
    if EDIT_CLASSES.isdisjoint(map(type, events.values())):
        return events  # as they do in nearly every stream
    edits = [event for event in events.values() if isinstance(event, EDITS)]
    facts = {v: event for v, event in events.items() if not isinstance(event, EDITS)}
    return standing(facts, edits)


def correction(
    stands: Mapping[int, object],
    correctable: Correctable,
    *,
    version: int,
    field: str,
    now: CorrectableValue,
    at: Moment | None,
    by: str,
    why: str,
    imported: bool = False,
    severity_name: str | None = None,
) -> tuple[Correction, ...]:
    """
    Return the correction of one field of one event, or nothing when *now* already stands.

    Args:
        stands: What stands of the stream, by version: `past_standing` of it. The fact is there
            and can be corrected: `correction_guards` say so.
        severity_name: Of a severity: what the team's own scale calls it now.

    Raises:
        InvalidValue: *now* is not a value the field can have.
    """
    target = stands[version]
    kind = correctable[type(target)][field]
    told, value = getattr(target, field), _corrected(target, kind, field, now)
    named: dict[str, str | None] = {}
    if kind is SeverityCorrected:
        before: str | None = getattr(target, "severity_name", None)
        named = {"severity_name_was": before, "severity_name": severity_name}
    if told == value and severity_name in {None, named.get("severity_name_was")}:
        return ()
    event: Correction = kind(
        at=at,
        by=by,
        version=version,
        field=field,
        was=told,
        now=value,
        why=why,
        imported=imported,
        **named,
    )
    return (event,)


_FACT_EXISTS, _CORRECTABLE, _WAS = "fact exists", "correctable", "was is what stands"


def _refusal(
    stands: Mapping[int, object],
    correctable: Correctable,
    version: int,
    field: str,
    was: object,
    now: object,
) -> tuple[str, str] | None:
    """Return the first guard of a correction that says no, and why; or None."""
    target = stands.get(version)
    if target is None:
        return (
            _FACT_EXISTS,
            f"version {version} is no standing fact of this stream; name the event that recorded "
            "the fact (to correct a correction, correct the same fact again)",
        )
    fields = correctable.get(type(target), {})
    if field not in fields:
        names, written = ", ".join(fields) or "nothing", type(target).__name__
        why = f"{field!r} of {written} can't be corrected; of this event: {names}"
        if field in getattr(type(target), "WORDS", ()):
            why += "; a title and other words are told anew: incident.describe, change.reword"
        return _CORRECTABLE, why
    kind, told = fields[field], getattr(target, field)
    if told == _corrected(target, kind, field, now):
        return None
    tells = not isinstance(was, datetime) or is_aware(was)
    if tells and type(was) is type(told) and told == was:
        return None
    if was is None or told != _CHECKS[kind]("was", was):
        return (
            _WAS,
            f"{field} of version {version} stands at {_plain(told)}, not {_plain(was)}; "
            "read it again and correct that",
        )
    return None


def _corrected(target: object, kind: type, field: str, now: object) -> Any:
    return checked_moment("now", now) if _needs_moment(target, field) else _CHECKS[kind]("now", now)


def correction_guards(correctable: Correctable) -> tuple[Guard[Any], ...]:
    """
    Return the guards of the step that corrects, for an aggregate's table.

    Any: a state of either aggregate, of which only the past is looked at.
    """

    def guard(name: str, needs: tuple[str, ...]) -> Guard[Any]:
        def why_not(state: Any, ask: Ask[Any]) -> str | None:
            stands = past_standing(state.past)
            version, field = ask.version or 0, ask.field or ""
            refused = _refusal(stands, correctable, version, field, ask.was, ask.now)
            return refused[1] if refused is not None and refused[0] == name else None

        return Guard(name=name, why_not=why_not, needs=needs)

    return (
        guard(_FACT_EXISTS, ("version",)),
        guard(_CORRECTABLE, ("version", "field")),
        guard(_WAS, ("version", "field", "was")),
    )


def _needs_moment(target: object, field: str) -> bool:
    """A live step always has its moment; only what was imported may have none."""
    return field == "at" and not getattr(target, "imported", False)


def _event_exists(state: Any, ask: Ask[Any]) -> str | None:
    if 1 <= (ask.version or 0) <= len(state.past):
        return None
    return f"there is no version {ask.version!r} in this stream"


def _can_be_undone(state: Any, ask: Ask[Any]) -> str | None:
    gone = isinstance(_event_of(state, ask), WordsRedacted)
    return "words that were taken out are gone" if gone else None


def _is_a_fact(state: Any, ask: Ask[Any]) -> str | None:
    if not isinstance(_event_of(state, ask), EDITS):
        return None
    return "corrections and voids can't be voided; correct the same fact again"


def _event_of(state: Any, ask: Ask[Any]) -> object:
    return state.past[(ask.version or 1) - 1]


def _last_change_of_status(state: Any, ask: Ask[Any]) -> str | None:
    # Later ones were decided on the status that this one brought.
    stands, changers, status = past_standing(state.past), [0], None
    for number, event in stands.items():
        after = getattr(event, "status", None) or status
        if after is not status:
            changers.append(number)
        status = after
    if ask.version not in changers[:-1]:
        return None
    return f"it changed the status, and version {changers[-1]} changed it later; void that first"


VOID_GUARDS: Final[tuple[Guard[Any], ...]] = tuple(
    Guard(name=name, why_not=why_not, needs=("version",))
    for name, why_not in (
        ("event exists", _event_exists),
        ("can be undone", _can_be_undone),
        ("is a fact", _is_a_fact),
        ("last change of status", _last_change_of_status),
    )
)
"""The guards of the step that voids, for the tables of both aggregates."""


def voided(
    past: tuple[object, ...], *, at: Moment, by: str, version: int, why: str
) -> EventVoided | None:
    """
    Return the void of one event, its status still to be filled in; None where it is void already.
    """
    if version not in past_standing(past):
        return None
    return EventVoided(at=at, by=by, version=version, status="", why=why)


def _plain(value: object) -> str:
    return str(dict(value)) if is_mapping(value) else str(value)
