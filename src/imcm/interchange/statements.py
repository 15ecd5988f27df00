"""
What a source says: the one form into which every format turns a payload or a row.

    Statement(kind="incident", id="Q2X7", said_at=..., facts={"title": "Checkout is down"},
              happened=[Happening("resolved", at=..., by="zoe")])

A format only tells what stands in its input. What becomes of it (what is new, what changed, which
of two statements stands) is decided in one place for all of them, in `imcm.interchange.deciding`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import attrs

from imcm.domain.recorded import CHANGE, INCIDENT, stream_of
from imcm.domain.vocabulary import (
    ChangeType,
    Channel,
    DismissalReason,
    HoldReason,
    Kind,
    Mode,
    Moment,
    Risk,
    Severity,
    Symptom,
    Window,
    checked_address,
    checked_commits,
    checked_flag,
    checked_id,
    checked_member,
    checked_milestone,
    checked_moment,
    checked_number,
    checked_services,
    checked_text,
    checked_words,
    earliest,
    is_list,
    is_mapping,
    known_id,
    optional_time,
)
from imcm.errors import InvalidValue

Check: TypeAlias = Callable[[str, Any], object]

# --- what can be said -----------------------------------------------------------------------------


def _members(members: Any) -> Check:
    return lambda name, value: checked_member(name, value, members)


def _ids(name: str, value: object) -> tuple[str, ...]:
    if not is_list(value):
        raise InvalidValue(name, value, 'ids, such as ["CHG-7", "github:42"]')
    return tuple(dict.fromkeys(known_id(name, each) for each in value))


def _labels(name: str, value: object) -> Mapping[str, str | None]:
    if not is_mapping(value):
        raise InvalidValue(name, value, 'texts by name, None where one is gone: {"team": "web"}')
    return MappingProxyType(
        {
            checked_id(name, label): None
            if text is None
            else checked_words(f"{name}.{label}", text)
            for label, text in value.items()
        }
    )


def _aliases(value: object) -> Mapping[str, tuple[str, ...]]:
    if not is_mapping(value):
        raise InvalidValue("aliases", value, 'other ids by the id: {"OPS-7": ["WEB-3", "10007"]}')
    return MappingProxyType(
        {checked_id("aliases", id_): _ids("aliases", others) for id_, others in value.items()}
    )


def _marks(name: str, value: object) -> Mapping[str, Moment]:
    if not is_mapping(value):
        raise InvalidValue(name, value, 'moments by milestone: {"vendor called": ...}')
    return MappingProxyType(
        {checked_milestone(name, mark): checked_moment(name, at) for mark, at in value.items()}
    )


def _references(name: str, value: object) -> Mapping[str, str]:
    if not is_mapping(value):
        raise InvalidValue(name, value, 'addresses by kind: {"ticket": "https://..."}')
    return MappingProxyType(
        {checked_id(name, kind): checked_address(name, address) for kind, address in value.items()}
    )


def _window(name: str, value: object) -> Window:
    if not isinstance(value, Window):
        raise InvalidValue(name, value, "a Window")
    return value


def _outcome(name: str, value: object) -> str:
    if not (isinstance(value, str) and value in OUTCOMES):
        raise InvalidValue(name, value, f"one of {', '.join(OUTCOMES)}")
    return value


OUTCOMES: Final = ("successful", "failed", "rolled_back", "cancelled", "not_deployed")
"""What a source can say of how a change went."""

_BOTH: Final[Mapping[str, Check]] = {
    "title": checked_words,
    "services": lambda _, value: checked_services(value),
    "environment": checked_id,
    "labels": _labels,
    "references": _references,
}

INCIDENT_FACTS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        **_BOTH,
        "symptom": _members(Symptom),
        "mode": _members(Mode),
        "channel": _members(Channel),
        "monitor": checked_id,
        "severity": _members(Severity),
        "severity_name": checked_id,
        "customers": checked_number,
        "impact_started_at": checked_moment,
        "detected_at": checked_moment,
        "declared_at": checked_moment,
        "acknowledged_at": checked_moment,
        "acknowledged_by": known_id,
        "mitigated_at": checked_moment,
        "resolved_at": checked_moment,
        "closed_at": checked_moment,
        "commander": known_id,
        "reviewed_at": checked_moment,
        "caused_by": _ids,
        "fixed_by": _ids,
        "dismissed": _members(DismissalReason),
        "merged_into": known_id,
        "child_of": known_id,
        "recurrence_of": known_id,
        "stated_time_to_restore": checked_number,
        "stated_time_to_repair": checked_number,
        "marks": _marks,
    }
)
"""
What can be said of an incident, as the columns of docs/import.md have it. Durations are whole
microseconds. Ids of others are of the same source, or name theirs: "github:42".
"""

CHANGE_FACTS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        **_BOTH,
        "type": _members(ChangeType),
        "kind": _members(Kind),
        "risk": _members(Risk),
        "version": checked_id,
        "requested_by": known_id,
        "planned": checked_flag,
        "window": _window,
        "status": _outcome,
        "requested_at": checked_moment,
        "approved_at": checked_moment,
        "approved_by": known_id,
        "started_at": checked_moment,
        "implemented_by": known_id,
        "deployed_at": checked_moment,
        "failed_at": checked_moment,
        "rolled_back_at": checked_moment,
        "recovered_at": checked_moment,
        "cancelled_at": checked_moment,
        "closed_at": checked_moment,
        "fixes_incident": known_id,
        "repairs": known_id,
        "commits": lambda _, value: checked_commits(value),
    }
)
"""What can be said of a change. *planned* is whether it was planned work, *window* for when."""

FACTS: Final[Mapping[str, Mapping[str, Check]]] = MappingProxyType(
    {INCIDENT: INCIDENT_FACTS, CHANGE: CHANGE_FACTS}
)

REFERS: Final[Mapping[str, str]] = {
    "caused_by": "change",
    "fixed_by": "change",
    "merged_into": "incident",
    "child_of": "incident",
    "recurrence_of": "incident",
    "fixes_incident": "incident",
    "repairs": "change",
}
"""Facts that name others, and what they name."""


def listed(value: str | Sequence[str]) -> Sequence[str]:
    """Return the ids of a fact that names one thing, or several."""
    return (value,) if isinstance(value, str) else value


def streams_of(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the streams of what facts name, by their ids in the ledger."""
    for name, kind in REFERS.items():
        value = facts.get(name)
        if value:
            yield from (stream_of(kind, id_) for id_ in listed(value))


HAPPENINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        INCIDENT: ("detected", "acknowledged", "severity", "held", "released", "mitigated",
                   "resolved", "reopened", "closed"),
        CHANGE: ("approved", "started", "deployed", "failed", "rolled_back", "recovered",
                 "cancelled", "closed"),
    }
)  # fmt: skip
"""What a source can say happened. Each stands by itself, in whatever order it arrives."""


class Happening(NamedTuple):
    """
    Something that happened at a moment.

    Attributes:
        what: One of `HAPPENINGS`; "severity" is that it became another one.
        at: When, by the source's clock; a moment may be uncertain.
        by: Id of who did it; None where the source does not say.
        value: The `Severity` that it became, or the `HoldReason` for which it was "held"; None of
            all others.
        name: What the source calls that severity.
    """

    what: str
    at: Moment
    by: str | None = None
    value: Severity | HoldReason | None = None
    name: str | None = None


# --- the statement --------------------------------------------------------------------------------

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Statement:
    """
    What a source says of one incident or change.

    Attributes:
        kind: Of which of the two.
        id: Its id in the source.
        facts: What stands, by the names of `INCIDENT_FACTS` or `CHANGE_FACTS`. What is not named is
            not spoken of; None says that there is none (no more): an emptied `resolved_at` is a
            reopening. Of two statements the later one counts, by *sequence* or *said_at*.
        happened: What happened, for sources that tell events: each stands beside the others, so an
            older one that arrives late changes nothing of a later one.
        said_at: When the source said it, by its own clock. None where it does not tell: then it
            counts from when it is received.
        sequence: Its place among all that the source says of this id, where the source numbers it.
        delivery: The source's own id of this delivery.
        received_at: When it was received, where many are recorded at once that were not received
            at once; see `record_statements`.
        status: The source's own word for the status.
        sha256: SHA-256 of the payload or the row, in hexadecimal.
        texts: The times as they were written, by the name of their fact, where that is not what
            stands there now: without zone, in another format.
        gone: The source has it no more.
        in_order: What happened is told in the order in which it happened, also what happened at one
            moment: of a log whose clock has minutes, the order of its rows.
        to_minutes: Its clock has minutes: a time of it may be one that is known to the second.
        aliases: Other ids that the source has, or had, for what is named here, itself included, by
            the id with which it is named: {"OPS-7": ("WEB-3", "10007")}. Where something stands
            under one of them and nothing under that id, it goes on there.

    Raises:
        InvalidValue: A name is not known, or a value can't be right.
    """

    kind: Literal["incident", "change"]
    id: str
    facts: Mapping[str, Any] = _NOTHING
    happened: tuple[Happening, ...] = ()
    said_at: datetime | None = None
    sequence: int | None = None
    delivery: str | None = None
    received_at: datetime | None = None
    status: str = ""
    sha256: str | None = None
    texts: Mapping[str, str] = attrs.field(factory=dict[str, str])
    gone: bool = False
    in_order: bool = False
    to_minutes: bool = False
    aliases: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def __attrs_post_init__(self) -> None:
        if not (isinstance(self.kind, str) and self.kind in FACTS):
            raise InvalidValue("kind", self.kind, '"incident" or "change"')
        put: Callable[[str, object], None] = lambda name, value: object.__setattr__(  # noqa: E731
            self, name, value
        )
        put("id", checked_id("id", self.id))
        put("facts", self._checked_facts())
        put("happened", tuple(self._checked_happened()))
        put("said_at", optional_time("said_at", self.said_at))
        put("received_at", optional_time("received_at", self.received_at))
        if self.sequence is not None:
            checked_number("sequence", self.sequence)
        checked_text("status", self.status)
        put("aliases", _aliases(self.aliases) if self.aliases else self.aliases)

    def received(self, *, at: datetime, sha256: str, delivery: str | None) -> Statement:
        """
        Return the same statement, with what whoever received it knows of its delivery.

        Args:
            at: When it was received.
            sha256: SHA-256 of the body as it came, in hexadecimal.
            delivery: The id of the delivery; it counts where the statement has none of its own.
        """
        return self._but(
            received_at=optional_time("at", at),
            sha256=sha256,
            delivery=self.delivery or delivery,
        )

    def with_digest(self, sha256: str) -> Statement:
        """Return the same statement, of a payload of this SHA-256 in hexadecimal."""
        return self._but(sha256=sha256)

    def without(self, fact: str) -> Statement:
        """Return the same statement without its word on a fact."""
        facts = {name: value for name, value in self.facts.items() if name != fact}
        return self._but(facts=MappingProxyType(facts))

    def _but(self, **values: object) -> Statement:
        made = copy(self)  # what was checked is not checked again
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    def _checked_facts(self) -> Mapping[str, Any]:
        known = FACTS[self.kind]
        if not is_mapping(self.facts):
            raise InvalidValue("facts", self.facts, 'values by name: {"title": "..."}')
        checked: dict[str, Any] = {}
        for name, value in self.facts.items():
            check = known.get(name)
            if check is None:
                raise InvalidValue("facts", name, f"for {self.kind}: {', '.join(known)}")
            checked[name] = None if value is None else check(name, value)
        return MappingProxyType(checked)

    def _checked_happened(self) -> Iterator[Happening]:
        if not is_list(self.happened):
            raise InvalidValue("happened", self.happened, "[Happening(what, at), ...]")
        for each in self.happened:
            if not isinstance(each, Happening) or each.what not in HAPPENINGS[self.kind]:
                allowed = f"Happening of {', '.join(HAPPENINGS[self.kind])}"
                raise InvalidValue("happened", each, allowed)
            by = None if each.by is None else known_id("by", each.by)
            at = checked_moment(each.what, each.at)
            yield Happening(each.what, at, by, *_checked_value(each))


def _checked_value(each: Happening) -> tuple[Severity | HoldReason | None, str | None]:
    """Return what a happening is about besides its moment, and how the source calls that."""
    members = _VALUES.get(each.what)
    if members is None:
        for argument, value in (("value", each.value), ("name", each.name)):
            if value is not None:
                raise InvalidValue(argument, value, f"leave it out: {each.what} has none")
        return None, None
    name = None if each.name is None else checked_id("name", each.name)
    if name is not None and each.what != "severity":
        raise InvalidValue("name", name, f"leave it out: {each.what} has none")
    return checked_member("value", each.value, members), name


_VALUES: Final[Mapping[str, Any]] = {"severity": Severity, "held": HoldReason}
"""What a happening is about besides its moment, by which happening it is."""


def checked_before(
    *,
    kind: Literal["incident", "change"],
    id: str,
    facts: Mapping[str, Any],
    happened: tuple[Happening, ...] = (),
    said_at: datetime | None = None,
    status: str = "",
    sha256: str | None = None,
    in_order: bool = False,
    to_minutes: bool = False,
) -> Statement:
    """Return a statement of which all is what a check of `FACTS` gave: it takes half the time."""
    made: Statement = object.__new__(Statement)
    put = object.__setattr__
    put(made, "kind", kind)
    put(made, "id", id)
    put(made, "facts", MappingProxyType(facts))
    put(made, "happened", happened)
    put(made, "said_at", said_at)
    put(made, "status", status)
    put(made, "sha256", sha256)
    put(made, "in_order", in_order)
    put(made, "to_minutes", to_minutes)
    for name, nothing in _NOT_GIVEN:
        put(made, name, nothing)
    return made


_GIVEN: Final = frozenset(
    {"kind", "id", "facts", "happened", "said_at", "status", "sha256", "in_order", "to_minutes"}
)
_EMPTY: Final = Statement(kind="incident", id="-")
_NOT_GIVEN: Final[tuple[tuple[str, object], ...]] = tuple(
    (each.name, getattr(_EMPTY, each.name))
    for each in attrs.fields(Statement)
    if each.name not in _GIVEN
)


def sha256_of(payload: bytes | str) -> str:
    """Return the SHA-256 of a payload as it arrived, in hexadecimal."""
    raw = payload.encode() if isinstance(payload, str) else payload
    return hashlib.sha256(raw).hexdigest()


# --- what does not fit ----------------------------------------------------------------------------


class Dropped(NamedTuple):
    """
    Something of an input that became no statement.

    Attributes:
        what: The field, such as "severity"; "" for the payload as a whole.
        value: What stands there, cut after 200 characters.
        why: Why it was left out.
    """

    what: str
    value: str
    why: str


def dropped(what: str, value: object, why: str) -> Dropped:
    """Return what is left out, with as much of its value as a person reads."""
    return Dropped(what, str(value)[:200], why)


class Read(NamedTuple):
    """
    What a format read out of one payload.

    Attributes:
        statements: What the source says.
        dropped: What of it did not fit, each with its reason. Nothing is left out silently.
    """

    statements: tuple[Statement, ...] = ()
    dropped: tuple[Dropped, ...] = ()


def with_outcomes(read: Read) -> Read:
    """
    Return what was read with how changes went, for sources whose word for it is their own verdict.

    That a tool says "success" of a deployment is that it went well, not only that it is there.
    Which of two verdicts stands is decided as for all facts.
    """
    return Read(tuple(map(_with_outcome, read.statements)), read.dropped)


def _with_outcome(statement: Statement) -> Statement:
    told = [each for each in statement.happened if each.what in _OUTCOME_OF]
    if statement.kind != CHANGE or not told or "status" in statement.facts:
        return statement
    last = max(told, key=lambda each: earliest(each.at))
    return attrs.evolve(statement, facts={**statement.facts, "status": _OUTCOME_OF[last.what]})


_OUTCOME_OF: Final = {"deployed": "successful", "failed": "failed", "rolled_back": "rolled_back"}


def read_of(statements: Iterable[Statement], drops: Iterable[Dropped] = ()) -> Read:
    """Return what was read."""
    return Read(tuple(statements), tuple(drops))
