"""
From what sources say to recorded events: one rule for all formats.

- What a source says is compared with what it said itself: its last word on each fact, as the log
  has it. What it says again is known; what it says otherwise is a correction; what it takes back is
  voided, and an emptied resolution is a reopening.
- Which of two statements of one source stands is decided by the source's own number or time. An
  older one that comes late changes nothing of a later one. Where a source gives neither, what
  arrives last counts.
- What happened stands in the order of the moments at which it happened, whatever the order in which
  it was told.
- A person's correction stays until the source itself says something else than it said before.

Nothing is invented: a fact that no source tells is absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeGuard

from imcm.domain import change_events as changes
from imcm.domain import incident_events as incidents
from imcm.domain.change import CHANGE_EVENTS
from imcm.domain.corrections import (
    CORRECTIONS,
    EDITS,
    Correctable,
    DurationStated,
    EventVoided,
    LabelsCorrected,
    ReferenceAdded,
    SourceReinstated,
    SourceSaid,
    SourceWithdrew,
    WordsRedacted,
    past_standing,
    replaced,
)
from imcm.domain.imported import compared, corrected, name_of, news
from imcm.domain.incident import INCIDENT_EVENTS
from imcm.domain.recorded import CHANGE, INCIDENT, Event, Source
from imcm.domain.vocabulary import (
    ChangeType,
    Impact,
    Mode,
    Moment,
    Relation,
    Result,
    Role,
    StatedDuration,
    Verdict,
    earliest,
)
from imcm.interchange.statements import Happening, Statement

Pair = tuple[Event, Source | None]


class Order(NamedTuple):
    """Where a statement stands among those of its source; None where it does not say."""

    sequence: int | None = None
    said_at: datetime | None = None

    def is_before(self, other: Order) -> bool:
        """Say whether it is certainly older than another one."""
        if self.sequence is not None and other.sequence is not None:
            return self.sequence < other.sequence
        if self.said_at is not None and other.said_at is not None:
            return self.said_at < other.said_at
        return False


_NO_ORDER: Final = Order()


class Said(NamedTuple):
    """What a source says of one fact, and when; *statement* is None for what the log has of it."""

    value: Any
    order: Order
    statement: Statement | None = None


class Triage(NamedTuple):
    """
    The severity that a source says an incident had at first; its moment may not be known.

    Attributes:
        named: Its name, where that was said later than the severity.
    """

    first: Happening
    order: Order
    statement: Statement | None = None
    named: Said | None = None

    @property
    def at(self) -> Moment | None:
        """When it had it, where the source told that as something that happened."""
        return self.first.at


def order_of(statement: Statement) -> Order:
    """Return where a statement stands among those of its source."""
    return Order(statement.sequence, statement.said_at)


def in_order(statements: Iterable[Statement]) -> list[Statement]:
    """Return statements about one thing, older ones first; those without order as they came."""
    ordered: list[Statement] = []
    for statement in statements:
        place = len(ordered)
        while place and order_of(statement).is_before(order_of(ordered[place - 1])):
            place -= 1
        ordered.insert(place, statement)
    return ordered


# --- what a source said before, as the log has it -------------------------------------------------


class Past:
    """
    What one source said of an incident or a change, read back from its stream.

    Attributes:
        facts: Its last word on each fact, by name.
        happened: What it says happened and stands, in log order: version and happening, as the
            source has it, whatever a person corrected since.
        versions: Versions of all facts it told that stand.
        silenced: Versions of those that somebody else voided: said again they stay so.
        triaged: The severity as it was told at first, or corrected since: what it became is among
            what happened.
    """

    def __init__(self, kind: str, pairs: Sequence[Pair], source: str) -> None:
        self.kind = kind
        self.events: tuple[Any, ...] = tuple(event for event, _ in pairs)
        self.stands: Mapping[int, Any] = past_standing(self.events)
        self.facts: dict[Name, Said] = {}
        self.happened: list[tuple[int, Happening]] = []
        self.versions: set[int] = set()
        self.silenced: set[int] = set()
        self.silent: list[Happening] = []
        self.triaged: Triage | None = None
        self.redacted: set[int] = set()
        self.unmerged = False
        self._taken_back = {
            event.version
            for event, origin in pairs
            if isinstance(event, EventVoided) and origin is not None and origin.name == source
        }
        for version, (event, origin) in enumerate(pairs, start=1):
            if isinstance(event, WordsRedacted):
                self.redacted.update(event.versions)
            if isinstance(event, incidents.IncidentUnmerged):
                merges = (v for v in self.versions if self._is_merge(v))
                self.versions.difference_update([*merges])
                self.unmerged = True
            if is_of(origin, source) and getattr(event, "imported", False):
                self._read(version, event, Order(origin.sequence, origin.recorded_at))

    def _is_merge(self, version: int) -> bool:
        return isinstance(self.stands[version], incidents.IncidentMerged)

    def word(self, name: Name) -> Any:
        """Return its last word on a fact; None where it has none. Any: as `Now.get`."""
        said = self.facts.get(name)
        return None if said is None else said.value

    def _read(self, version: int, event: Any, order: Order) -> None:
        if isinstance(event, CORRECTIONS):
            self._read_correction(event, order)
            return
        if isinstance(event, EventVoided):
            self._read_void(event, order)
        if isinstance(event, EDITS):
            return
        if isinstance(event, SourceWithdrew | SourceReinstated):
            self.facts[GONE] = Said(isinstance(event, SourceWithdrew) or None, order)
            return
        if isinstance(event, SourceSaid):
            for text in event.facts:
                named = _named(text)
                self.facts[named] = Said(self.word(named), order)
            return
        if version not in self.stands and version in self._taken_back:
            return
        (self.versions if version in self.stands else self.silenced).add(version)
        what = _happened(event)
        if what is not None and self.kind == INCIDENT:
            each = _as_happening(what, event)
            if version in self.stands:
                self.happened.append((version, each))
            else:
                self.silent.append(each)
            self._read_milestone(what, event.at, order)
        for name, value in facts_of(event):
            self._say(name, value, order)
        if isinstance(event, incidents.SeverityChanged):
            self._say("severity", event.severity, order)
            self._say("severity_name", event.severity_name, order)
        elif isinstance(event, incidents.IncidentTriaged) and event.severity is not None:
            self.triaged = Triage(_as_happening(_SEVERITY, event), order)

    def _read_milestone(self, what: str, at: Any, order: Order) -> None:
        for name in _spoken_of(what):
            self.facts[name] = Said(None if what == "reopened" else at, order)

    def _target(self, edit: Any) -> Any:
        """Return what a void or a correction speaks of; None where there is no such version."""
        return self.events[edit.version - 1] if 0 < edit.version <= len(self.events) else None

    def _read_void(self, event: Any, order: Order) -> None:
        """Take from when on the source says that there is none of what it told."""
        target = self._target(event)
        what = _happened(target)
        if what is not None and what != "reopened" and self.kind == INCIDENT:
            self._read_milestone(what, None, order)
        for whole, values in facts_of(target):
            for name, _ in _one_by_one(whole, values):
                self.facts[name] = Said(self.word(name), order)

    def _read_correction(self, event: Any, order: Order) -> None:
        target = self._target(event)
        if target is None or event.version not in self.versions | self.silenced:
            return
        what = _happened(target)
        if what is not None and self.kind == INCIDENT:
            for place, (version, each) in enumerate(self.happened):
                if version == event.version:
                    self.happened[place] = version, each._replace(at=event.now)
            self._read_milestone(what, event.now, order)
            return
        if event.field == "labels":
            names = {*event.was, *event.now}
            now = {n: event.now.get(n) for n in names if event.was.get(n) != event.now.get(n)}
            self._say("labels", now, order)
            return
        for name in _named_by(_kind_of(target), event.field):
            value: Any = event.now
            if name == "customers":
                value = None if value is None else value.customers
            self._say(name, value, order)
        if event.field == "severity":
            self._say("severity_name", event.severity_name, order)
        if isinstance(target, incidents.IncidentTriaged) and event.field in {"severity", "at"}:
            self._read_corrected_triage(target, event, order)

    def _read_corrected_triage(self, target: Any, event: Any, order: Order) -> None:
        first = self.triaged.first if self.triaged else _as_happening(_SEVERITY, target)
        if event.field == "at":
            first = first._replace(at=event.now)
        else:
            first = first._replace(value=event.now, name=event.severity_name)
        self.triaged = Triage(first, order)

    def _say(self, name: str, value: Any, order: Order) -> None:
        before = self.facts.get(name)
        if name in _LISTED and before is not None:
            value = tuple(dict.fromkeys((*(before.value or ()), *value)))
        for each, told in _one_by_one(name, value):
            self.facts[each] = Said(told, order)


Name = str | tuple[str, str]
"""Which fact: its name; of labels, marks and references each is one, by its name within them."""

GONE: Final = "gone"
"""That the source has it no more, among the facts."""

_BY_NAME: Final = frozenset({"labels", "marks", "references"})


def _text_of(name: Name) -> str:
    return name if isinstance(name, str) else ".".join(name)


def _named(text: str) -> Name:
    whole, dot, key = text.partition(".")
    return (whole, key) if dot and whole in _BY_NAME else text


def _one_by_one(name: str, value: Any) -> Iterator[tuple[Name, Any]]:
    """Yield a fact, and of labels, marks and references each by itself."""
    if name in _BY_NAME:
        several: Mapping[str, Any] = value or {}
        yield from (((name, key), each) for key, each in several.items())
    else:
        yield name, value


_LISTED: Final = frozenset({"caused_by", "fixed_by"})

_HAPPENED: Final[Mapping[type, str]] = {
    incidents.IncidentAcknowledged: "acknowledged",
    incidents.SeverityChanged: "severity",
    incidents.IncidentHeld: "held",
    incidents.IncidentReleased: "released",
    incidents.IncidentMitigated: "mitigated",
    incidents.IncidentResolved: "resolved",
    incidents.IncidentReopened: "reopened",
    incidents.IncidentClosed: "closed",
}

_DETECTED: Final[Mapping[str, str]] = {
    "at": "detected_at",
    **{
        name: name
        for name in (
            *("title", "services", "symptom", "channel", "monitor", "mode", "environment"),
            *("labels", "impact_started_at", "declared_at"),
        )
    },
}
_PLANNED: Final[Mapping[str, str]] = {
    "at": "requested_at",
    "incident": "fixes_incident",
    **{
        name: name
        for name in (
            *("title", "services", "environment", "labels", "type", "kind", "risk", "version"),
            *("requested_by", "window", "repairs"),
        )
    },
}
_OBSERVED: Final[Mapping[str, str]] = {
    "at": "deployed_at",
    **{name: name for name in ("title", "services", "environment", "labels", "kind", "version")},
}
_OF_DETECTION: Final = tuple(_DETECTED.values())
_OF_PLAN: Final = (*_PLANNED.values(), "planned")
_OF_OBSERVATION: Final = (*_OBSERVED.values(), "type")
"""Which facts the event tells with which a stream begins."""

_FIELDS: Final[Mapping[type, Mapping[str, str]]] = {
    incidents.IncidentDetected: _DETECTED,
    incidents.IncidentDescribed: {"title": "title"},
    incidents.IncidentTriaged: {
        "severity": "severity",
        "severity_name": "severity_name",
        "impact": "customers",
    },
    incidents.IncidentDismissed: {"reason": "dismissed"},
    incidents.IncidentMerged: {"into": "merged_into"},
    incidents.ReviewRecorded: {"at": "reviewed_at"},
    changes.ChangePlanned: _PLANNED,
    changes.ChangeReworded: {"title": "title"},
    changes.ChangeObserved: _OBSERVED,
    changes.ChangeApproved: {"at": "approved_at"},
    changes.ChangeStarted: {"at": "started_at"},
    changes.ChangeCompleted: {"at": "deployed_at"},
    changes.ChangeDeployed: {"at": "deployed_at"},
    changes.ChangeRolledBack: {"at": "rolled_back_at"},
    changes.ChangeFailed: {"at": "failed_at"},
    changes.ChangeRecovered: {"at": "recovered_at"},
    changes.ChangeCancelled: {"at": "cancelled_at"},
    changes.ChangeClosed: {"at": "closed_at"},
    changes.CommitsRecorded: {"commits": "commits"},
}
"""Which fact each field of an event tells."""


def _kind_of(event: object) -> type[Any]:
    return type(event)


def _happened(event: Any) -> str | None:
    """Return what an event says happened to an incident; None where it says nothing of that."""
    return _HAPPENED.get(_kind_of(event))


def _as_happening(what: str, event: Any) -> Happening:
    """Return what happened as its source told it. Any: an event of whatever kind."""
    at: Any = event.at  # a reopening may have none
    match event:
        case incidents.SeverityChanged() | incidents.IncidentTriaged():
            return Happening(what, at, event.by, event.severity, event.severity_name)
        case incidents.IncidentHeld():
            return Happening(what, at, event.by, event.reason)
        case _:
            return Happening(what, at, event.by)


def _spoken_of(what: str) -> tuple[str, ...]:
    """Return which moments a source speaks of by saying that something happened."""
    if what == "reopened":
        return "resolved_at", "closed_at"
    return (f"{what}_at",) if f"{what}_at" in _MOMENT_OF else ()


def _named_by(kind: type, field: str) -> tuple[str, ...]:
    name = _FIELDS.get(kind, {}).get(field)
    return () if name is None else (name,)


def facts_of(event: Any) -> Iterator[tuple[str, Any]]:
    """Yield the facts that an imported event tells. Any: an event of whatever kind."""
    for field, name in _FIELDS.get(_kind_of(event), {}).items():
        value = getattr(event, field)
        if name == "customers":
            value = None if value is None else value.customers
        if value in (None, "", (), {}) or (name == "mode" and value is Mode.REAL):
            continue
        yield name, value
    match event:
        case incidents.VerdictGiven() if event.verdict in {Verdict.CAUSED, Verdict.FIXED}:
            yield f"{event.verdict.value}_by", (event.change,)
        case incidents.MilestoneMarked():
            yield "marks", {event.name: event.at}
        case incidents.IncidentRelated() if event.kind is not Relation.RELATED:
            yield event.kind.value, event.other
        case incidents.RoleAssigned() if event.role is Role.INCIDENT_COMMANDER:
            yield "commander", event.person
        case ReferenceAdded():
            yield "references", {event.kind: event.address}
        case DurationStated():
            yield f"stated_{event.what.value}", event.microseconds
        case changes.ChangePlanned() if event.unplanned:
            yield "planned", False
        case changes.ChangeObserved():
            yield "type", ChangeType.OBSERVED
        case changes.ChangeCompleted():
            yield "status", "successful"
        case changes.ChangeFailed() if event.reached_production is False:
            yield "status", "not_deployed"
        case changes.ChangeFailed() if event.at is None:
            yield "status", "failed"
        case changes.ChangeRolledBack() if event.at is None:
            yield "status", "rolled_back"
        case changes.ChangeCancelled():
            yield "status", "cancelled"
        case _:
            return


# --- what it says now -----------------------------------------------------------------------------


class Now:
    """
    What one source says of a thing, once some statements are added to what it said before.

    Attributes:
        facts: Its word on each fact, by name; those that it takes back are not there.
        happened: What happened, in the order of time; *severities*, what its severity became.
        left: Facts it says otherwise now, and that nothing can change: name, value.
    """

    def __init__(self, past: Past, statements: Sequence[Statement]) -> None:
        self.kind = past.kind
        self.id = statements[-1].id
        self.facts = dict(past.facts)
        told: list[tuple[Happening, Statement | None]] = [(each, None) for _, each in past.happened]
        self.happened = [pair for pair in told if pair[0].what != _SEVERITY]
        self.severities = [pair for pair in told if pair[0].what == _SEVERITY]
        self.silent = tuple(past.silent)
        self.triaged = past.triaged
        if self.triaged is not None and self.triaged.at is not None:
            self.severities.insert(0, (self.triaged.first, None))
            self.triaged = None  # the first may be another one by now
        self.superseded = 0
        for statement in in_order(statements):
            self._hear(statement)
        self._settle_severity()

    def _hear(self, statement: Statement) -> None:
        order, facts = order_of(statement), dict(statement.facts)
        if statement.to_minutes:
            facts = {name: self._finer(name, value) for name, value in facts.items()}
        self._hear_gone(statement, order)
        if self.kind == INCIDENT:
            self._hear_happened(statement)
            for name, what in _MOMENT_OF.items():
                if name in facts and (
                    self._is_new(name, facts[name], order, statement)
                    or self._is_of_another(name, facts, statement)
                ):
                    self._set_moment(what, facts[name], facts, statement)
                facts.pop(name, None)
            facts.pop("acknowledged_by", None)  # of an acknowledgement, which has it
        else:
            self._hear_earliest(statement)
        if "severity" in facts:
            value, name = facts.pop("severity"), facts.pop("severity_name", None)
            self._hear_severity(value, name, order, statement)
        for whole, values in facts.items():
            for each, value in _one_by_one(whole, values):
                self._hear_fact(each, value, order, statement)

    def _finer(self, name: str, value: Any) -> Any:
        """Return the moment known to the second, where a clock of minutes tells the same."""
        before = self.facts.get(name)
        known = None if before is None else before.value
        return known if _is_minute_of(value, known) else value

    def _same_minute(self, each: Happening) -> int | None:
        """Return where the same stands that a clock of minutes told, or tells; None for nowhere."""
        for place, (other, _) in enumerate(self.happened):
            if (other.what, other.value) == (each.what, each.value) and (
                _is_minute_of(other.at, each.at) or _is_minute_of(each.at, other.at)
            ):
                return place
        return None

    def _hear_severity(
        self, value: Any, name: str | None, order: Order, statement: Statement
    ) -> None:
        """
        Take a severity, and its name with it. Any: as `get`.

        Another one than before, said at a later time, is what it became; without a time, or said
        of the same one, it is a correction of what it was.
        """
        before = self.facts.get("severity")
        if before is not None and order.is_before(before.order):
            self.superseded += before.value != value
            return
        was = None if before is None else before.value
        if self.severities:
            was = self.severities[-1][0].value
        if (
            None not in {was, value}
            and was != value
            and order.said_at is not None
            and before is not None
            and before.order.is_before(order)
        ):
            became = Happening(_SEVERITY, order.said_at, None, value, name)
            self.severities = _in_time([*self.severities, (became, statement)])
        elif was != value:
            self.triaged = Triage(Happening(_SEVERITY, _NEVER, None, value, name), order, statement)
        elif name is not None and self.triaged is not None and not self.severities:
            first = self.triaged.first._replace(name=name)
            self.triaged = self.triaged._replace(first=first, named=Said(name, order, statement))
        self.facts["severity"] = Said(value, order, statement)
        if name is not None or (was != value and "severity_name" in self.facts):
            self.facts["severity_name"] = Said(name, order, statement)

    def _settle_severity(self) -> None:
        """Let the first of all severities that are told be that with which it was triaged."""
        changed = self.severities
        if not changed:
            return
        base = self.triaged
        since = None if base is None else base.order.said_at
        if base is None or (since is not None and earliest(changed[0][0].at) < since):
            if base is not None and since is not None and base.first.value is not None:
                became = base.first._replace(at=since, by=None)
                changed = _in_time([*changed, (became, base.statement)])
            (first, statement), *self.severities = changed
            order = _NO_ORDER if statement is None else order_of(statement)
            self.triaged = Triage(first, order, statement)

    def _hear_gone(self, statement: Statement, order: Order) -> None:
        """Hear that the source has it no more, or has it again."""
        if statement.gone:
            if not any(order.is_before(said.order) for said in self.facts.values()):
                self.facts[GONE] = Said(True, order, statement)
        elif GONE in self.facts:
            self._hear_fact(GONE, None, order, statement)

    def _is_new(self, name: str, at: Moment | None, order: Order, statement: Statement) -> bool:
        """Take a milestone's moment as the source's word; say whether it was another before."""
        before = self.facts.get(name)
        if before is not None and order.is_before(before.order):
            self.superseded += before.value != at
            return False
        self.facts[name] = Said(at, order, statement)
        return (None if before is None else before.value) != at

    def _is_of_another(self, name: str, facts: Mapping[str, Any], statement: Statement) -> bool:
        """Say whether the latest word on an acknowledgement names another person for it."""
        who = facts.get("acknowledged_by")
        if name != "acknowledged_at" or who is None or self.facts[name].statement is not statement:
            return False
        return any(each.what == _FREE and each.by != who for each, _ in self.happened)

    def _hear_fact(self, name: Name, value: Any, order: Order, statement: Statement) -> None:
        before = self.facts.get(name)
        if before is not None and order.is_before(before.order):
            self.superseded += before.value != value
        else:
            self.facts[name] = Said(value, order, statement)

    def _hear_earliest(self, statement: Statement) -> None:
        """Take what happened to a change: of each the earliest moment that is told."""
        for each in statement.happened:
            what, at, by = each.what, each.at, each.by
            name = f"{what}_at"
            before = self.get(name)
            if before is not None and earliest(before) <= earliest(at):
                continue
            self.facts[name] = Said(at, order_of(statement), statement)
            person = _PERSON_OF.get(what)
            if by is not None and person is not None:
                self.facts[person] = Said(by, order_of(statement), statement)

    def _hear_happened(self, statement: Statement) -> None:
        if not statement.happened:
            return
        before = Counter(map(_which, self._heard()))
        for each in statement.happened:
            if each.what == "detected":
                again = self._hear_detected(each, statement)
                if again is not None:  # the same statement may call it what it is, too
                    before[_which(again)] += 1
            elif not before[_which(each)]:
                place = None if statement.in_order else self._same_minute(each)
                if place is None:
                    self._hear_new(each, statement)
                elif _is_minute_of(self.happened[place][0].at, each.at):
                    self.happened[place] = each, statement
                before[_which(each)] += not statement.in_order
            elif statement.in_order:  # what came twice in one minute is there twice
                before[_which(each)] -= 1
        self.happened = _in_time(self.happened)

    def _heard(self) -> Iterator[Happening]:
        """Yield what was told to have happened; also what somebody voided since."""
        yield from (each for each, _ in (*self.happened, *self.severities))
        yield from self.silent

    def _hear_new(self, each: Happening, statement: Statement) -> None:
        """Take what was not told before; of a reopening known without its moment, the moment."""
        if each.what == "reopened":
            for place, (other, _) in enumerate(self.happened):
                if other.what == each.what and other.at is _NEVER:
                    self.happened[place] = each, statement
                    return
        if each.what != _SEVERITY:
            self.happened.append((each, statement))
        else:
            self.severities = _in_time([*self.severities, (each, statement)])

    def _hear_detected(self, each: Happening, statement: Statement) -> Happening | None:
        """
        Take the first detection as that; a later one is a reopening, where it was over.

        Returns:
            The reopening, where it is a new one.
        """
        before = self.facts.get("detected_at")
        first = None if before is None else before.value
        if _is_minute_of(each.at, first):
            return None
        if _is_minute_of(first, each.at):
            self.facts["detected_at"] = Said(each.at, order_of(statement), statement)
            return None
        if first is None or earliest(each.at) < earliest(first):
            self.facts["detected_at"] = Said(each.at, order_of(statement), statement)
            each, first = Happening("detected", first or each.at), each.at
        if each.at == first:
            return None
        again = Happening("reopened", each.at, each.by)
        if _which(again) in map(_which, self._heard()):
            return None
        self.happened.append((again, statement))
        return again

    def _set_moment(
        self, what: str, at: Moment | None, facts: dict[str, Any], statement: Statement
    ) -> None:
        """Set a milestone as a snapshot has it: of what goes on since it was reopened last."""
        began = max(
            (n for n, (each, _) in enumerate(self.happened) if each.what == "reopened"), default=-1
        )
        since = 0 if what == "acknowledged" else began + 1
        place = next(
            (n for n in range(since, len(self.happened)) if self.happened[n][0].what == what), None
        )
        by = facts.pop("acknowledged_by", None) if what == "acknowledged" else None
        if at is None:
            if place is None:
                return
            if what == "resolved":
                self.happened.append((Happening("reopened", _NEVER, None), statement))
            else:
                del self.happened[place]
            return
        if place is None:
            self.happened.append((Happening(what, at, by), statement))
        elif self.happened[place][0].at != at or by not in {None, self.happened[place][0].by}:
            self.happened[place] = Happening(what, at, by), statement

    def keep(self, name: str, past: Past) -> None:
        """Say of a fact what was said before: it can't be changed."""
        before = past.facts.get(name)
        if before is None:
            del self.facts[name]
        else:
            self.facts[name] = before

    def source_of(self, names: Iterable[str]) -> Statement | None:
        """
        Return the latest statement that says one of some facts; None where there is none.

        Of what was said before, which is told anew, it is one with nothing but its order.
        """
        wanted = set(names)
        told = [
            said
            for name, said in self._words().items()
            if (name if isinstance(name, str) else name[0]) in wanted
        ]
        latest = next((said for said in told if said.statement is not None), None)
        latest = latest or next((said for said in told if said.order != _NO_ORDER), None)
        if latest is None:
            return None
        for said in told:
            spoken = latest.statement is None or said.statement is not None
            if spoken and latest.order.is_before(said.order):
                latest = said
        if latest.statement is not None:
            return latest.statement
        return Statement(
            kind="incident" if self.kind == INCIDENT else "change",
            id=self.id,
            said_at=latest.order.said_at,
            sequence=latest.order.sequence,
        )

    def get(self, name: str) -> Any:
        """Return its word on a fact; None where it has none. Any: a value as `FACTS` has it."""
        if name in _BY_NAME:
            of_it = ((key, said.value) for key, said in self.facts.items() if key[0] == name)
            return {key[1]: value for key, value in of_it}
        if name in _TRIAGED:
            first = None if self.triaged is None else self.triaged.first
            return first and (first.value if name == _SEVERITY else first.name)
        said = self.facts.get(name)
        return None if said is None else said.value

    def _words(self) -> dict[Name, Said]:
        """Return its words, of the severity those with which it was triaged."""
        words = dict(self.facts)
        if self.triaged is not None:
            first, order, statement, named = self.triaged
            words[_SEVERITY] = Said(first.value, order, statement)
            words["severity_name"] = named or Said(first.name, order, statement)
        return words


_SEVERITY: Final = "severity"
_TRIAGED: Final = frozenset({_SEVERITY, "severity_name"})
_NEVER: Any = None
"""A reopening of which no source says when: an end that was there is gone."""

_MOMENT_OF: Final[Mapping[str, str]] = {
    f"{what}_at": what for what in ("acknowledged", "mitigated", "resolved", "closed")
}
_PERSON_OF: Final = {"approved": "approved_by", "started": "implemented_by"}
_FIRST_OF_ALL: Final = datetime.min.replace(tzinfo=UTC)
_AT_ONCE: Final = (
    *("reopened", "released", "acknowledged", "held", "mitigated", "resolved", "closed"),
    "severity",
)
"""In which order stands what happened at one moment, but for what one statement tells in order."""


def _is_minute_of(minute: object, at: object) -> bool:
    """Say whether a time is the whole minute of another one, which is known to the second."""
    return (
        isinstance(minute, datetime)
        and isinstance(at, datetime)
        and minute != at
        and minute == at.replace(second=0, microsecond=0)
    )


def _moment_of(each: Happening) -> Moment | None:
    """Return when it happened; None of a reopening of which no source says when."""
    return each.at


def _when(each: Happening) -> tuple[datetime, int, str]:
    at = _moment_of(each)
    rank, value = _AT_ONCE.index(each.what), each.value or ""
    return (_FIRST_OF_ALL if at is None else earliest(at)), rank, value


def _in_time(
    pairs: Sequence[tuple[Happening, Statement | None]],
) -> list[tuple[Happening, Statement | None]]:
    """
    Return what happened in the order of time; what has no moment stays behind what it was.

    What a statement tells in order stays in that order, and so does what the log has of it.
    """
    keys: list[tuple[datetime, int, str]] = []
    before: Statement | None = None
    for each, statement in pairs:
        key = _when(each)
        if keys and _moment_of(each) is None:
            key = keys[-1]
        elif keys and statement is before and (statement is None or statement.in_order):
            key = max(key, keys[-1]) if key[0] == keys[-1][0] else key
        keys.append(key)
        before = statement
    return [pairs[place] for place in sorted(range(len(pairs)), key=keys.__getitem__)]


def _which(each: Happening) -> tuple[object, ...]:
    """Return what tells one happening from another: who did it does not."""
    return each.what, each.at, each.value


# --- as events ------------------------------------------------------------------------------------

Made = tuple[Event, tuple[str, ...]]
"""An event, and the names of the facts it tells."""


def _incident_facts(now: Now | _Alone, by: str) -> Iterator[Made]:
    told: dict[str, Any] = {"at": None, "by": by, "imported": True}
    get = now.get
    yield (
        incidents.IncidentDetected(
            by=by,
            imported=True,
            at=get("detected_at"),
            impact_started_at=get("impact_started_at"),
            declared_at=get("declared_at"),
            title=get("title") or "",
            services=get("services") or (),
            symptom=get("symptom"),
            channel=get("channel"),
            monitor=get("monitor"),
            mode=get("mode") or Mode.REAL,
            environment=get("environment"),
            labels=_present(get("labels")),
        ),
        _OF_DETECTION,
    )
    if get("severity") is not None or get("customers") is not None:
        customers = get("customers")
        yield (
            incidents.IncidentTriaged(
                at=now.triaged.at if now.triaged else None,
                by=(now.triaged.first.by if now.triaged else None) or by,
                imported=True,
                severity=get("severity"),
                severity_name=get("severity_name") if get("severity") is not None else None,
                impact=None if customers is None else Impact(customers=customers),
            ),
            ("severity", "severity_name", "customers"),
        )
    if get("commander") is not None:
        role = Role.INCIDENT_COMMANDER
        yield incidents.RoleAssigned(**told, role=role, person=get("commander")), ("commander",)
    for name, verdict in (("caused_by", Verdict.CAUSED), ("fixed_by", Verdict.FIXED)):
        for change in get(name) or ():
            yield incidents.VerdictGiven(**told, change=change, verdict=verdict), (name,)
    for mark, at in _present(get("marks")).items():
        yield (
            incidents.MilestoneMarked(by=by, imported=True, at=at, number=1, name=mark),
            ("marks",),
        )
    for name, relation in _RELATIONS:
        if get(name) is not None:
            yield incidents.IncidentRelated(**told, other=get(name), kind=relation), (name,)
    for name, what in _STATED:
        if get(name) is not None:
            yield DurationStated(**told, what=what, microseconds=get(name)), (name,)


_RELATIONS: Final = tuple((r.value, r) for r in (Relation.CHILD_OF, Relation.RECURRENCE_OF))
_STATED: Final = tuple((f"stated_{what.value}", what) for what in StatedDuration)


def _incident_ends(now: Now | _Alone, by: str) -> Iterator[Made]:
    """Yield what comes after the milestones."""
    told: dict[str, Any] = {"at": None, "by": by, "imported": True}
    if now.get("reviewed_at") is not None:
        reviewed = now.get("reviewed_at")
        yield (
            incidents.ReviewRecorded(at=reviewed, by=by, imported=True, number=1),
            ("reviewed_at",),
        )
    if now.get("dismissed") is not None:
        yield incidents.IncidentDismissed(**told, reason=now.get("dismissed")), ("dismissed",)
    if now.get("merged_into") is not None:
        yield incidents.IncidentMerged(**told, into=now.get("merged_into")), ("merged_into",)


def _references(now: Now | _Alone, by: str) -> Iterator[tuple[ReferenceAdded, tuple[str, ...]]]:
    for kind, address in _present(now.get("references")).items():
        yield (
            ReferenceAdded(at=None, by=by, kind=kind, address=address, imported=True),
            ("references",),
        )


def _present(values: Mapping[str, Any] | None) -> dict[str, Any]:
    if not values:
        return {}
    return {name: value for name, value in values.items() if value is not None}


def _milestone(each: Happening, by: str) -> Event:
    told: dict[str, Any] = {"at": each.at, "by": each.by or by, "imported": True}
    match each.what:
        case "reopened":
            told["began"] = incidents.IncidentStatus.RESOLVED
        case "severity":
            told |= {"severity": each.value, "severity_name": each.name}
        case "held":
            told["reason"] = each.value
        case _:
            pass
    made: Event = _MILESTONES[each.what](**told)
    return made


_MILESTONES: Final[Mapping[str, Callable[..., Any]]] = {
    what: kind for kind, what in _HAPPENED.items()
}


def _change_facts(now: Now | _Alone, by: str) -> Iterator[Made]:
    told: dict[str, Any] = {"by": by, "imported": True}
    get, status = now.get, now.get("status")
    observed = get("type") is ChangeType.OBSERVED
    content: dict[str, Any] = {
        **told,
        "title": get("title") or "",
        "kind": get("kind"),
        "services": get("services") or (),
        "environment": get("environment"),
        "labels": _present(get("labels")),
        "version": get("version"),
    }
    deployed_at = get("deployed_at")
    if observed:
        yield (
            changes.ChangeObserved(**content, at=deployed_at),
            _OF_OBSERVATION,
        )
    else:
        yield (
            changes.ChangePlanned(
                **content,
                at=get("requested_at"),
                type=get("type") or ChangeType.NORMAL,
                risk=get("risk"),
                window=get("window"),
                requested_by=get("requested_by"),
                incident=get("fixes_incident"),
                repairs=get("repairs"),
                unplanned=get("planned") is False,
            ),
            _OF_PLAN,
        )
    if get("approved_at") is not None or get("approved_by") is not None:
        voter = get("approved_by") or by
        yield (
            changes.ChangeApproved(at=get("approved_at"), by=voter, imported=True),
            ("approved_at", "approved_by"),
        )
    if get("started_at") is not None:
        who = get("implemented_by") or by
        yield (
            changes.ChangeStarted(at=get("started_at"), by=who, imported=True),
            ("started_at", "implemented_by"),
        )
    if get("commits"):
        yield changes.CommitsRecorded(**told, at=None, commits=get("commits")), ("commits",)
    yield from _outcome(now, told, status, observed=observed)


def _outcome(
    now: Now | _Alone, told: Mapping[str, Any], status: str | None, *, observed: bool
) -> Iterator[Made]:
    """Yield how a change went, as docs/import.md says what is assumed."""
    get = now.get
    deployed_at, rolled_back_at = get("deployed_at"), get("rolled_back_at")
    reached = True if deployed_at is not None else None
    # What it says of how it went comes before that it failed at some time: it may have gone on.
    failed = status in {"failed", "not_deployed"} if status else get("failed_at") is not None
    rolled_back = status == "rolled_back" or rolled_back_at is not None
    names = ("deployed_at", "status")
    if status == "successful":
        yield changes.ChangeCompleted(**told, at=deployed_at), names
    elif reached and not observed:
        yield changes.ChangeDeployed(**told, at=deployed_at), names
    if status == "cancelled":
        at = get("cancelled_at") or get("closed_at")
        yield changes.ChangeCancelled(**told, at=at), ("cancelled_at", "closed_at", "status")
    elif failed:
        yield (
            changes.ChangeFailed(
                **told,
                at=get("failed_at"),
                reached_production=False if status == "not_deployed" else reached,
            ),
            ("failed_at", "status"),
        )
    if rolled_back:
        yield (
            changes.ChangeRolledBack(**told, at=rolled_back_at, reached_production=reached),
            ("rolled_back_at", "status"),
        )
    if get("recovered_at") is not None:
        yield changes.ChangeRecovered(**told, at=get("recovered_at")), ("recovered_at",)
    if get("closed_at") is not None and status != "cancelled":
        result = Result.UNSUCCESSFUL if failed or rolled_back else None
        if status == "successful":  # it is what the source says, also of what was rolled back
            result = Result.SUCCESSFUL
        yield changes.ChangeClosed(**told, at=get("closed_at"), result=result), ("closed_at",)


# --- what is new of it ----------------------------------------------------------------------------


class Unchangeable(NamedTuple):
    """
    A fact that a source says otherwise now, and that no correction can change.

    Attributes:
        name: Which; *value*, what it says now; *before*, what it said when it told it.
    """

    name: str
    value: object
    before: object = None


class Additions(NamedTuple):
    """
    What statements add to a stream.

    Attributes:
        pairs: Events, each with where it comes from: corrections and voids first.
        superseded: How many facts an older statement told that a later one had told otherwise.
        left: Facts that a source says otherwise now and nothing can change.
    """

    pairs: tuple[Pair, ...] = ()
    superseded: int = 0
    left: tuple[Unchangeable, ...] = ()


def additions(
    kind: str,
    pairs: Sequence[Pair],
    statements: Sequence[Statement],
    *,
    source: str,
    by: str,
    bare: bool = False,
) -> Additions:
    """
    Return what some statements of one source add to the stream of what they are about.

    Args:
        kind: "incident" or "change".
        pairs: The events of the stream, each with where it came from.
        statements: What the source says of it, in the order of their receipt.
        source: The name of the source.
        by: Who recorded it, where the source does not name anybody.
        bare: The ids of the source are those of the ledger, so that its events name none besides.
    """
    if not pairs and len(statements) == 1 and _is_plain(statements[0]):
        return _first(kind, statements[0], source_of(statements[0], source, bare=bare), by)
    if not pairs and len(statements) > 1 and statements[0].in_order:
        return _told_in_order(kind, statements, source=source, by=by, bare=bare)
    past = Past(kind, pairs, source)
    now = Now(past, statements)
    latest = statements[-1]
    if not past.events:
        made = [*_facts(kind, now, by), *_references(now, by)]
        new: list[tuple[Any, Statement]] = [
            (event, now.source_of(names) or latest) for event, names in made
        ]
        became = (*now.severities, *now.happened)
        new += [(_milestone(each, by), said or latest) for each, said in became]
        new += [(event, now.source_of(names) or latest) for event, names in _ends(kind, now, by)]
        new += _withdrawn(past, now, by)
        new += _said_again(past, now, new, by)
        return Additions(tuple(_with_sources(new, source, bare=bare)), now.superseded)
    first, known, correctable = _AGGREGATES[kind]
    of_facts = [*_facts(kind, now, by)]
    left = tuple(_unchangeable(past, now, of_facts, correctable))
    if left:
        for each in left:
            now.keep(each.name, past)
        of_facts = [*_facts(kind, now, by)]
    made = [*of_facts, *_ends(kind, now, by)]
    if past.unmerged and now.get("merged_into") == past.word("merged_into"):
        # Somebody parted them since, and the source says nothing else than it said.
        made = [pair for pair in made if not isinstance(pair[0], incidents.IncidentMerged)]
    if not any(isinstance(past.stands.get(v), first) for v in past.versions) and (
        kind == INCIDENT or not _says_any(now, made[0][1])
    ):
        made = made[1:]  # it was told here, or by another source, what was detected or planned
    gone = set(_taken_back(past, made, correctable))
    gone |= set(_of_another(past, now))
    gone |= set(_told_too_early(past, made, gone))
    edits: list[Told] = [(_void(version, by), latest) for version in sorted(gone)]
    facts: list[Told] = []
    given = tuple(event for event, _ in made)
    for place, event in news(
        past.events,
        given,
        correctable,
        first=first,
        known=known,
        mine=(past.versions | past.silenced) - gone,
    ):
        said = now.source_of(made[place][1]) or latest
        (edits if isinstance(event, EDITS) else facts).append((event, said))
    facts += _retitled(past, now, by)
    edits = _unlabelled(past, now, by, correctable, edits)
    edits += _without_services(past, now, by, correctable)
    held = {(e.kind, e.address) for e in past.stands.values() if isinstance(e, ReferenceAdded)}
    facts += [
        (event, now.source_of(names) or latest)
        for event, names in _references(now, by)
        if (event.kind, event.address) not in held
    ]
    moved, milestones = _rearranged(past, now, by, correctable)
    pairs_ = [*edits, *moved, *facts, *milestones]
    told: list[tuple[Any, Statement]] = [(event, said or latest) for event, said in pairs_]
    told += _withdrawn(past, now, by)
    told += _said_again(past, now, told, by)
    return Additions(tuple(_with_sources(told, source, bare=bare)), now.superseded, left)


def _told_in_order(
    kind: str, statements: Sequence[Statement], *, source: str, by: str, bare: bool
) -> Additions:
    """
    Return what the statements of a new thing add, which are told in the order of their times.

    What was found first is known since then, and what is told otherwise later, later.
    """
    first, *rest = statements
    if not _is_all_told(kind, first):
        found, superseded, _ = additions(kind, (), [first], source=source, by=by, bare=bare)
    else:
        found = _first(kind, first, source_of(first, source, bare=bare), by).pairs
        superseded = 0
        if _only_go_on(first, rest):
            return Additions((*found, *_with_sources(_gone_on(rest, by), source, bare=bare)))
    more = additions(kind, found, rest, source=source, by=by, bare=bare)
    return Additions((*found, *more.pairs), superseded + more.superseded, more.left)


def _gone_on(statements: Sequence[Statement], by: str) -> Iterator[Told]:
    """Yield what happened, where nothing of what was found is told otherwise."""
    since = [(each, said) for said in statements for each in said.happened]
    for turn in _TURNS:
        yield from ((_milestone(e, by), said) for e, said in since if _turn_of(e) == turn)


def _is_all_told(kind: str, first: Statement) -> bool:
    """Say whether the events of what was found tell all that its statement says."""
    if kind != INCIDENT or first.happened or first.gone or not _ALL_TOLD.issuperset(first.facts):
        return False
    return all(
        value is not None and (name != "labels" or None not in value.values())
        for name, value in first.facts.items()
    )


_ALL_TOLD: Final = frozenset({*_DETECTED.values(), _SEVERITY, "severity_name"} - {"mode"})


def _only_go_on(first: Statement, rest: Sequence[Statement]) -> bool:
    """Say whether statements tell nothing but what happened as each was said, all one by one."""
    since = first.said_at
    for said in rest:
        at = said.said_at
        if said.facts or said.gone or not said.in_order or said.sequence is not None:
            return False
        if since is None or at is None or at <= since:
            return False
        if any(each.at != at or each.what == "detected" for each in said.happened):
            return False
        since = at
    return True


def _says_any(now: Now, names: Iterable[str]) -> bool:
    """Say whether a source has a word on one of some facts."""
    return any(now.get(name) not in (None, (), {}) for name in names)


def _is_plain(statement: Statement) -> bool:
    """Say whether it tells nothing but facts, and no older word of its source can come after it."""
    return not statement.happened and not statement.gone and order_of(statement) == _NO_ORDER


class _Alone:
    """What one statement says of a thing of which nothing was said before."""

    def __init__(self, statement: Statement) -> None:
        self.triaged: Triage | None = None
        # Any: a value as `FACTS` has it.
        self.get: Callable[[str], Any] = statement.facts.get


def _first(kind: str, statement: Statement, origin: Source, by: str) -> Additions:
    """Return the events of the only statement of a new thing: as `additions`, in less time."""
    now = _Alone(statement)
    events = [event for event, _ in _facts(kind, now, by)]
    if now.get("references"):
        events += [event for event, _ in _references(now, by)]
    if kind == INCIDENT:
        for name, what in _MOMENT_OF.items():
            at = now.get(name)
            if at is not None:
                who = now.get("acknowledged_by") if what == _FREE else None
                events.append(_milestone(Happening(what, at, who), by))
    events += [event for event, _ in _ends(kind, now, by)]
    return Additions(tuple([(event, origin) for event in events]))


Told = tuple[Any, Statement | None]
"""An event, and the statement it comes of. Any: an event of whatever kind."""

_AGGREGATES: Final[Mapping[str, tuple[tuple[type, ...], frozenset[type], Correctable]]] = {
    INCIDENT: ((incidents.IncidentDetected,), INCIDENT_EVENTS, incidents.CORRECTABLE),
    CHANGE: (
        (changes.ChangePlanned, changes.ChangeObserved),
        CHANGE_EVENTS,
        changes.CORRECTABLE,
    ),
}


def _facts(kind: str, now: Now | _Alone, by: str) -> Iterator[Made]:
    return _incident_facts(now, by) if kind == INCIDENT else _change_facts(now, by)


def _ends(kind: str, now: Now | _Alone, by: str) -> Iterator[Made]:
    return _incident_ends(now, by) if kind == INCIDENT else iter(())


def _with_sources(told: Iterable[Told], source: str, *, bare: bool) -> Iterator[Pair]:
    made: dict[int, Source] = {}
    for event, statement in told:
        assert statement is not None  # or there would be nothing to tell
        key = id(statement)
        if key not in made:
            made[key] = source_of(statement, source, bare=bare)
        yield event, made[key]


def is_of(origin: Source | None, name: str) -> TypeGuard[Source]:
    """Say whether something is the own word of a source of this name, not another ledger's."""
    return origin is not None and origin.name == name and origin.ledger is None


def absorptions(
    there: Sequence[Pair], members: Iterable[tuple[str, Source]], by: str
) -> tuple[Pair, ...]:
    """Return what goes on in an incident, of those that were merged into it, and is not there."""
    held = {event.merged for event, _ in there if isinstance(event, incidents.IncidentAbsorbed)}
    new: dict[str, Pair] = {}
    for id_, source in members:
        if id_ not in held:
            event = incidents.IncidentAbsorbed(at=None, by=by, merged=id_, imported=True)
            new[id_] = event, source
    return tuple(new.values())


def source_of(statement: Statement, name: str, *, bare: bool = False) -> Source:
    """Return where the events of a statement come from; *bare*, without its id there."""
    return Source(
        name=name,
        id=None if bare else statement.id,
        recorded_at=statement.said_at,
        status=statement.status or None,
        sha256=statement.sha256,
        sequence=statement.sequence,
        delivery=statement.delivery,
    )


def _said_again(
    past: Past, now: Now, told: Sequence[tuple[Any, Statement]], by: str
) -> Iterator[tuple[Any, Statement]]:
    """
    Yield, for each statement with an order, which facts it says that no event of it tells.

    They are what it says again, and what it says there is none of: an older word of the source on
    one of them, should it come late, is to be known as older.
    """
    if all(said.statement is None or said.order == _NO_ORDER for said in now.facts.values()):
        return
    kept: set[tuple[int, Name]] = set()
    for event, statement in told:
        kept.update((id(statement), name) for name in _told_by(event, past))
    said_by: dict[int, tuple[Statement, list[str]]] = {}
    for name, said in now.facts.items():
        source, before = said.statement, past.facts.get(name)
        if source is None or said.order == _NO_ORDER or (id(source), name) in kept:
            continue
        if before is not None and not before.order.is_before(said.order):
            continue  # nothing is newer in it
        said_by.setdefault(id(source), (source, []))[1].append(_text_of(name))
    for statement, names in said_by.values():
        yield SourceSaid(at=None, by=by, facts=tuple(sorted(names)), imported=True), statement


def _withdrawn(past: Past, now: Now, by: str) -> Iterator[tuple[Any, Statement]]:
    """Yield that the source has it no more, or again, where that is another word than before."""
    said, before = now.facts.get(GONE), past.facts.get(GONE)
    if said is None or said.statement is None:
        return
    if bool(said.value) != bool(before and before.value):
        kind = SourceWithdrew if said.value else SourceReinstated
        yield kind(at=None, by=by, imported=True), said.statement


def _told_by(event: Any, past: Past) -> Iterator[Name]:
    """Yield the facts that an event tells, or takes back. Any: an event of whatever kind."""
    edit: Any = event  # a type checker takes it for less, once it was asked what it is
    if isinstance(event, CORRECTIONS):
        target = _kind_of(past.events[edit.version - 1])
        if target in _HAPPENED and target is not incidents.IncidentReopened:
            yield from _spoken_of(_HAPPENED[target])
        if edit.field != "labels":
            yield from _named_by(target, edit.field)
        if edit.field == "severity":
            yield "severity_name"
        if edit.field == "labels":
            for name in {*edit.was, *edit.now}:
                if edit.was.get(name) != edit.now.get(name):
                    yield "labels", name
        return
    if isinstance(event, SourceWithdrew | SourceReinstated):
        yield GONE
        return
    told = past.events[edit.version - 1] if isinstance(event, EventVoided) else event
    what = _happened(told)
    if what is not None:
        yield from _TRIAGED if what == _SEVERITY else _spoken_of(what)
    for whole, values in facts_of(told):
        yield from (name for name, _ in _one_by_one(whole, values))


def _void(version: int, by: str) -> EventVoided:
    why = "the source does not say it any more"
    return EventVoided(at=None, by=by, version=version, status="", why=why, imported=True)


_NEVER_TAKEN_BACK: Final = (
    *(incidents.IncidentDetected, incidents.IncidentDescribed, incidents.RoleAssigned),
    incidents.IncidentAbsorbed,
    *(changes.ChangePlanned, changes.ChangeObserved, changes.ChangeReworded),
    *(ReferenceAdded, *_HAPPENED),
)
"""What is corrected, described anew or rearranged, or stays with what comes after it."""


def _taken_back(past: Past, made: Sequence[Made], correctable: Correctable) -> Iterator[int]:
    """
    Yield the versions of facts that the source told and does not tell any more.

    So are those that it tells otherwise now in what has no correction: they are told anew.
    """
    told = {name_of(event): event for event, _ in made}
    settled = any(isinstance(event, changes.ChangeCompleted) for event, _ in made)
    for version in past.versions:
        event = past.stands[version]
        if isinstance(event, _NEVER_TAKEN_BACK):
            continue
        now = told.get(name_of(event))
        if now is None:
            if not (settled and isinstance(event, changes.ChangeDeployed)):
                yield version  # how it went was told since
        elif _differs(event, now, correctable.get(_kind_of(event), {})):
            yield version


def _of_another(past: Past, now: Now) -> Iterator[int]:
    """Yield the versions of what somebody else did, as the source says it now."""
    for name, kind in _DONE_BY.items():
        said = now.facts.get(name)
        if said is None or said.statement is None or said.value is None:
            continue
        for version in past.versions:
            event = past.stands[version]
            if isinstance(event, kind) and event.by != said.value:
                yield version


_DONE_BY: Final[Mapping[str, Any]] = {
    "approved_by": changes.ChangeApproved,
    "implemented_by": changes.ChangeStarted,
}
"""Facts that say who did something, and what."""

_OUTCOMES: Final = (
    *(changes.ChangeCompleted, changes.ChangeDeployed, changes.ChangeFailed),
    *(changes.ChangeRolledBack, changes.ChangeRecovered, changes.ChangeCancelled),
    changes.ChangeClosed,
)
"""Events that say how a change went: what is told last of them stands."""


def _told_too_early(past: Past, made: Sequence[Made], gone: Collection[int]) -> Iterator[int]:
    """
    Yield the versions of what has to come after something that is told only now.

    So are those that came after what is taken back: their status was what that had left.
    """
    taken = [version for version in gone if isinstance(past.stands[version], _OUTCOMES)]
    places = {name_of(event): n for n, (event, _) in enumerate(made)}
    standing = {
        name_of(event): version
        for version in past.versions
        if version not in gone and isinstance(event := past.stands[version], _OUTCOMES)
    }
    new = [
        places[name_of(event)]
        for event, _ in made
        if isinstance(event, _OUTCOMES) and name_of(event) not in standing
    ]
    for name, version in standing.items():
        if (new and places.get(name, -1) > min(new)) or (taken and version > min(taken)):
            yield version


def _differs(told: Any, now: Any, fields: Collection[str]) -> bool:
    """Say whether two of a kind differ in what has no correction. Any: events of all kinds."""
    return any(
        field not in fields
        and value not in (default, None, (), {})
        and value != getattr(told, field)
        for field, default in compared(now.__class__)
        for value in (getattr(now, field),)
    )


def _unchangeable(
    past: Past, now: Now, made: Sequence[Made], correctable: Correctable
) -> Iterator[Unchangeable]:
    """Yield what the source says otherwise now of facts that have no correction."""
    told = {name_of(past.stands[version]) for version in past.versions}
    for event, _ in made:
        kind = _kind_of(event)
        if name_of(event) not in told or kind is incidents.RoleAssigned:
            continue
        for field, name in _FIELDS.get(kind, {}).items():
            if field in correctable.get(kind, {}) or name in {"title", "severity_name"}:
                continue
            before, value = past.word(name), now.get(name)
            if value != before and (value is not None or name in now.facts):
                yield Unchangeable(name, value, before)


def _retitled(past: Past, now: Now, by: str) -> Iterator[Told]:
    """Yield a title that is another one now; nothing of what was redacted comes back."""
    said, before = now.facts.get("title"), past.facts.get("title")
    if said is None or said.statement is None or past.redacted:
        return
    if before is not None and before.value == said.value:
        return
    kind = incidents.IncidentDescribed if past.kind == INCIDENT else changes.ChangeReworded
    yield kind(at=None, by=by, title=said.value, imported=True), said.statement


def _unlabelled(
    past: Past, now: Now, by: str, correctable: Correctable, edits: list[Told]
) -> list[Told]:
    """Return edits with the correction by which labels go that the source says are gone."""
    gone = {
        name[1]: said.statement
        for name, said in now.facts.items()
        if name[0] == "labels" and said.value is None and said.statement is not None
    }
    for version in sorted(past.versions):
        event = past.stands[version]
        if not isinstance(event, (incidents.IncidentDetected, changes.ChangePlanned)):
            continue
        held = gone.keys() & set(event.labels)
        if not held:
            continue
        # One correction says what comes and what goes: each is of what stands before it.
        of_labels = [e for e, _ in edits if isinstance(e, LabelsCorrected) and e.version == version]
        labels = dict(of_labels[-1].now if of_labels else event.labels)
        edits = [pair for pair in edits if pair[0] not in of_labels]
        written = past.events[version - 1]
        rest = {name: text for name, text in labels.items() if name not in held}
        edits += [
            (each, gone[min(held)])
            for each in corrected(
                past.stands,
                correctable,
                version=version,
                field="labels",
                written=written,
                given=replaced(written, labels=rest, by=by),
                why="changed in the source",
            )
        ]
    return edits


def _without_services(past: Past, now: Now, by: str, correctable: Correctable) -> Iterator[Told]:
    """Yield the correction by which services go that the source said, and says are none."""
    said = now.facts.get("services")
    if said is None or said.statement is None or said.value or not past.word("services"):
        return
    for version in sorted(past.versions):
        event = past.stands[version]
        if "services" in correctable.get(_kind_of(event), {}) and event.services:
            written = past.events[version - 1]
            for each in corrected(
                past.stands,
                correctable,
                version=version,
                field="services",
                written=written,
                given=replaced(written, services=(), by=by),
                why="changed in the source",
            ):
                yield each, said.statement


def _rearranged(
    past: Past, now: Now, by: str, correctable: Correctable
) -> tuple[list[Told], list[Told]]:
    """
    Return how the milestones that stand become those that the source tells: edits, and new ones.

    As far as they are of the same kinds in the same order, moments are corrected. What comes behind
    the first that is of another kind is voided and told again.
    """
    edits: list[Told] = []
    new: list[Told] = []
    told = (*now.happened, *now.severities)
    for which in _TURNS:
        standing = [pair for pair in past.happened if _turn_of(pair[1]) == which]
        wanted = [pair for pair in told if _turn_of(pair[0]) == which]
        if which == _SEVERITY and now.get(which) is not None and not past.triaged:
            # What it was at first is told only now, and stands before what it became.
            edits += [(_void(version, by), None) for version, _ in reversed(standing)]
            standing = []
        more, newer = _in_turn(past, standing, wanted, by, correctable)
        edits += more
        new += newer
    return edits, new


_FREE: Final = "acknowledged"
_TURNS: Final = (_FREE, _SEVERITY, None)
"""What changes no status stands in no order with the rest, and is told before it."""


def _turn_of(each: Happening) -> str | None:
    return each.what if each.what in {_FREE, _SEVERITY} else None


def _in_turn(
    past: Past,
    standing: Sequence[tuple[int, Happening]],
    wanted: Sequence[tuple[Happening, Statement | None]],
    by: str,
    correctable: Correctable,
) -> tuple[list[Told], list[Told]]:
    """Do so for milestones of which each has a meaning only behind those before it."""
    last = next((said for _, said in reversed(wanted) if said is not None), None)
    edits: list[Told] = []
    place = 0
    while place < min(len(standing), len(wanted)):
        (version, old), (new, said) = standing[place], wanted[place]
        if (old.what, old.value) != (new.what, new.value):
            break
        if said is not None and new.by not in {None, old.by}:
            break
        written = past.events[version - 1]
        # Where a person corrected it, only another word of the source takes that back.
        if _moment_of(new) is not None and new.at != old.at:
            edits += [
                (each, said or last)
                for each in corrected(
                    past.stands,
                    correctable,
                    version=version,
                    field="at",
                    written=written,
                    given=replaced(written, at=new.at, by=by),
                    why="changed in the source",
                )
            ]
        place += 1
    edits += [(_void(version, by), last) for version, _ in reversed(standing[place:])]
    return edits, [(_milestone(each, by), said or last) for each, said in wanted[place:]]
