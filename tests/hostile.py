"""
What a caller can give that is wrong, and every door of the library it can be given to.

Doors are found, and their arguments enumerated, by `inspect`; what is right for an argument is
looked up by its name in `RIGHT`. A new public function is tried without anybody adding it; a new
name of a required argument needs a value here, and the tests say so.
"""

from __future__ import annotations

import importlib
import inspect
import io
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from enum import Enum, StrEnum
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import attrs

import imcm
from imcm import Ledger, audit, change, codec, incident, verifier
from imcm.codec import Row
from imcm.domain.vocabulary import (
    Between,
    Channel,
    Commit,
    Counts,
    Impact,
    Kind,
    Risk,
    Severity,
    Verdict,
    Window,
)
from imcm.interchange.csv_files import csv_options
from imcm.interchange.mapping import TimeRules
from imcm.story import StoryClock, tell

NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


# --- what is wrong --------------------------------------------------------------------------------


class OwnError(Exception):
    """What an object of the caller's own raises."""


def _raises(self, *_, **__):
    raise OwnError


def _raising(name, **more):
    return type(f"Raising{name}", (), {name: _raises, **more})()


class Stamp(datetime):
    """A time of somebody's own class, like the time stamps of a data frame."""


class NotATime(datetime):
    """What a data frame holds in the place of a time: it is one, and equals nothing."""

    def __eq__(self, _):
        return False

    def __ne__(self, _):
        return True

    def __lt__(self, _):
        return False

    __gt__ = __le__ = __ge__ = __lt__
    __hash__ = datetime.__hash__

    @property
    def year(self):
        return float("nan")

    month = day = hour = minute = second = microsecond = year

    def utcoffset(self):
        return None

    def astimezone(self, *_):
        return self

    def replace(self, *_, **__):
        return self

    def __sub__(self, _):
        return self

    __add__ = __radd__ = __rsub__ = __sub__

    def isoformat(self, *_, **__):
        return "NaT"

    __str__ = __repr__ = isoformat


class LyingTime(NotATime):
    """The same, with a zone and an offset."""

    def utcoffset(self):
        return timedelta(0)


class NoOffset(tzinfo):
    """A zone that gives no offset."""

    def utcoffset(self, _):
        return None

    tzname = dst = utcoffset


class RaisingZone(tzinfo):
    """A zone that is broken."""

    utcoffset = tzname = dst = _raises


class WrongZone(tzinfo):
    """A zone whose offset is no duration."""

    def utcoffset(self, _):
        return "one hour"

    tzname = dst = utcoffset


class Colour(Enum):
    RED = "P1"


class Tone(StrEnum):
    LOW = "low"


class RaisingMapping(Mapping):
    """A mapping that is broken."""

    __getitem__ = __iter__ = __len__ = _raises


def _deep(depth=3_000):
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    return deep


def _looped():
    looped: list[Any] = []
    looped.append(looped)
    return looped


HOSTILE: Mapping[str, Callable[[], Any]] = {
    "None": lambda: None,
    "5": lambda: 5,
    "-1": lambda: -1,
    "0": lambda: 0,
    "True": lambda: True,
    "2**70": lambda: 2**70,
    "-2**70": lambda: -(2**70),
    "10**5000": lambda: 10**5000,
    "1.5": lambda: 1.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "empty text": lambda: "",
    "long text": lambda: "x" * 10_000,
    "text": lambda: "no such thing",
    "digits": lambda: "9" * 5_000,
    "lone surrogate": lambda: "a\ud800b",
    "NUL": lambda: "a\x00b",
    "stream with surrogate": lambda: "incident:\ud800",
    "bytes": lambda: b"\xff\xfe",
    "[]": list,
    "list of None": lambda: [None],
    "list of lists": lambda: [[1, 2], [3, 4]],
    "list of 2**70": lambda: [2**70],
    "pair of texts": lambda: ("a", "b"),
    "{}": dict,
    "mapping of numbers": lambda: {1: 2, None: 3},
    "mapping of lists": lambda: {"a": [1], "b": {}},
    "mapping of mixed names": lambda: {1: "a", "b": "c"},
    "mapping of surrogates": lambda: {"\ud800": "\ud800"},
    "raising mapping": RaisingMapping,
    "object": object,
    "class": lambda: dict,
    "function": lambda: _raises,
    "generator": lambda: (n for n in (1, 2, 3)),
    "set of mixed": lambda: {1, "a", None},
    "raising iter": lambda: _raising("__iter__"),
    "raising eq": lambda: _raising("__eq__", __hash__=object.__hash__),
    "raising hash": lambda: _raising("__hash__"),
    "raising repr": lambda: _raising("__repr__"),
    "raising len": lambda: _raising("__len__"),
    "raising str": lambda: _raising("__str__"),
    "raising bool": lambda: _raising("__bool__"),
    "naive time": lambda: datetime(2026, 3, 6, 12, 0),  # noqa: DTZ001
    "year 1, +14:00": lambda: datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    "year 9999, -14:00": lambda: datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
    "year 1": lambda: datetime.min.replace(tzinfo=UTC),
    "odd offset": lambda: datetime(2026, 3, 6, tzinfo=timezone(timedelta(seconds=17))),
    "no offset": lambda: datetime(2026, 3, 6, tzinfo=NoOffset()),
    "raising zone": lambda: datetime(2026, 3, 6, tzinfo=RaisingZone()),
    "wrong zone": lambda: datetime(2026, 3, 6, tzinfo=WrongZone()),
    "own class of time": lambda: Stamp(2026, 3, 6, 12, 0, tzinfo=UTC),
    "no time": lambda: NotATime(2026, 3, 6),
    "no time, in UTC": lambda: LyingTime(2026, 3, 6, tzinfo=UTC),
    "two that are no times": lambda: (NotATime(2026, 3, 6), NotATime(2026, 3, 7)),
    "day": lambda: date(2026, 3, 6),
    "duration": lambda: timedelta(hours=1),
    "other enum": lambda: Colour.RED,
    "other text enum": lambda: Tone.LOW,
    "deep list": _deep,
    "list in itself": _looped,
    "event": lambda: incident.IncidentResolved(at=NOON, by="ana"),
    "other event": lambda: change.ChangeCompleted(at=NOON, by="ana"),
    "event of one's own": lambda: _own_event(),
    "log of own events": lambda: _own_log(),
    "log of the other's events": lambda: _mixed_log(),
}
"""By name, what makes each value anew: a generator is used up once it was read."""

try:
    import pandas as pd
except ImportError:  # the extra `frames` is not installed
    pass
else:
    HOSTILE = {
        **HOSTILE,
        "NaT": lambda: pd.NaT,
        "pair of NaT": lambda: (pd.NaT, pd.NaT),
        "pandas' time": lambda: pd.Timestamp("2026-03-06T12:00:00Z"),
        "pandas' missing": lambda: pd.NA,
    }


@attrs.frozen(kw_only=True)
class Seen:
    """An event of a user's own class."""

    at: datetime = NOON
    by: str = "ana"


def _own_event():
    return Seen()


def _own_log():
    return [imcm.Recorded("incident:I", 1, 1, NOON, "r", None, Seen())]  # type: ignore[arg-type]


def _mixed_log():
    [event] = change.plan(change.INITIAL, by="lena", at=NOON, title="Basket")
    return [
        imcm.Recorded("incident:I", 1, 1, NOON, "r", None, event),
        imcm.Recorded(
            "change:C", 1, 2, NOON, "r", None, incident.IncidentResolved(at=NOON, by="a")
        ),
    ]


# --- what is right --------------------------------------------------------------------------------

COMMITS = (Commit(id="abc", authored_at=NOON, committed_at=NOON, merged_at=NOON),)

_INCIDENT = (
    ("detect", {"title": "Checkout fails", "services": ["checkout"], "channel": Channel.USER}),
    ("assign_role", {"role": imcm.Role.SCRIBE, "person": "ben"}),
    ("triage", {"severity": Severity.P2, "impact": Impact(customers=5)}),
    ("attempt_mitigation", {"kind": imcm.MitigationKind.RESTART, "note": "restarted"}),
    ("link_change", {"change": "CHG-1", "verdict": Verdict.CAUSED}),
    ("add_action", {"text": "write a test", "owner": "ben", "due": date(2026, 4, 1)}),
    ("hold", {"reason": imcm.HoldReason.VENDOR}),
    ("resolve", {}),
    ("record_review", {"what_happened": "a table was locked", "causes": ["no limit"]}),
    ("close", {}),
    ("reopen", {"why": "again"}),
)

_CHANGE = (
    ("plan", {"title": "Basket", "services": ["checkout"], "risk": Risk.LOW, "rollback_plan": "x"}),
    ("submit", {}),
    ("approve", {"by": "mia"}),
    ("start", {"commits": COMMITS, "rollout_plan": (5.0, 50.0, 100.0)}),
    ("advance_rollout", {"percent": 5.0, "canary": Counts(requests=5, errors=1)}),
    ("advance_rollout", {"percent": 100.0}),
    ("complete", {"version": "5.4"}),
    ("validate", {"check": "smoke", "passed": True}),
    ("close", {"result": imcm.Result.SUCCESSFUL}),
)

_OTHERS = (
    (("plan", {"title": "Hotfix", "type": imcm.ChangeType.EMERGENCY, "incident": "INC-7"}),
     ("submit", {}), ("start", {}), ("fail", {"reached_production": True}), ("recover", {})),
    (("plan", {"title": "Cache", "risk": Risk.LOW, "rollback_plan": "x"}), ("submit", {}),
     ("reject", {"why": "too soon"}), ("revise", {"why": "later", "title": "Cache 2"})),
    (("plan", {"title": "Disk", "risk": Risk.LOW, "rollback_plan": "x"}), ("submit", {}),
     ("approve", {"by": "mia"}),
     ("schedule", {"window": Window(start=NOON - timedelta(days=1), end=NOON + timedelta(days=1))}),
     ("hold", {"reason": imcm.HoldReason.OTHER})),
)  # fmt: skip

_INCIDENTS = (
    (("detect", {"title": "Search is slow"}), ("dismiss", {"reason": "false_positive"})),
    (("detect", {"title": "Search is down"}), ("mitigate", {}),),
)  # fmt: skip


def _paths():
    yield "INC-7", incident, _INCIDENT
    for number, steps in enumerate(_INCIDENTS, start=8):
        yield f"INC-{number}", incident, steps
    yield "CHG-1", change, _CHANGE
    for number, steps in enumerate(_OTHERS, start=2):
        yield f"CHG-{number}", change, steps


class Standing(NamedTuple):
    """An incident or a change after some steps, with all that were taken."""

    id: str
    module: Any
    steps: tuple[tuple[str, Mapping[str, Any]], ...]


@cache
def standings() -> tuple[Standing, ...]:
    """Return everything after each of its steps, from nothing on."""
    return tuple(
        Standing(id_, module, steps[:count])
        for id_, module, steps in _paths()
        for count in range(len(steps) + 1)
    )


def state_of(standing: Standing) -> Any:
    """Return the state of one, by the steps themselves."""
    state = standing.module.INITIAL
    for name, arguments in standing.steps:
        step = getattr(standing.module, name)
        for event in step(state, **{"by": "ana", "at": NOON, **arguments}):
            state = standing.module.evolve(state, event)
    return state


def clock() -> datetime:
    return NOON + timedelta(hours=1)


def ledger_of(*chosen: Standing, path=None) -> Ledger:
    """Return a ledger in which these were recorded."""
    ledger = Ledger.in_memory(clock=clock) if path is None else Ledger(path, clock=clock)
    for standing in chosen:
        for name, arguments in standing.steps:
            step = getattr(standing.module, name)
            ledger.record(standing.id, step, **{"by": "ana", "at": NOON, **arguments})
    return ledger


def whole() -> tuple[Standing, ...]:
    """Return all at the end of their steps."""
    return tuple(Standing(id_, module, steps) for id_, module, steps in _paths())


@cache
def ledger() -> Ledger:
    """Return the ledger that reading calls share."""
    made = ledger_of(*whole(), path=Path(fresh_path()).absolute())
    made.redact("incident:INC-8", by="ana", at=NOON, reason="asked for")
    return made


@cache
def log() -> tuple[imcm.Recorded, ...]:
    return tuple(ledger().replay())


@cache
def rows() -> tuple[Row, ...]:
    return tuple(ledger().rows())


@cache
def story() -> tuple[imcm.Recorded, ...]:
    """Return the log of the story that imcm tells."""
    told = StoryClock()
    ledger_ = Ledger.in_memory(clock=told)
    tell(ledger_, told, heard=lambda _: None)
    return tuple(ledger_.replay())


@cache
def anchors() -> str:
    return audit.checkpoint(rows(), anchors="", at=NOON)


@cache
def proofs() -> tuple[dict[str, Any], ...]:
    return tuple(audit.prove(rows(), "incident:INC-7", 1, checkpoint=anchors()))


def figure() -> imcm.Figure:
    return imcm.time_to_restore(log())


RIGHT: Mapping[str, Callable[[], Any]] = {
    "incident": lambda: incident.INITIAL,
    "into_state": lambda: state_of(Standing("INC-9", incident, _INCIDENTS[1])),
    "event": lambda: incident.IncidentResolved(at=NOON, by="ana"),
    "events": list,
    "by": lambda: "ana",
    "at": lambda: NOON,
    "title": lambda: "Checkout fails",
    "severity": lambda: Severity.P1,
    "reason": lambda: "other",
    "kind": lambda: "restart",
    "number": lambda: 1,
    "result": lambda: "worked",
    "why": lambda: "because",
    "role": lambda: "scribe",
    "person": lambda: "ben",
    "text": lambda: "a text",
    "problem": lambda: "PRB-1",
    "change": lambda: "CHG-1",
    "verdict": lambda: "caused",
    "what_happened": lambda: "a table was locked",
    "id": lambda: "INC-7",
    "into": lambda: "INC-9",
    "merged": lambda: "INC-8",
    "version": lambda: 1,
    "field": lambda: "title",
    "was": lambda: "Checkout fails",
    "now": lambda: "Checkout is down",
    "window": lambda: Window(start=NOON - timedelta(days=1), end=NOON + timedelta(days=1)),
    "percent": lambda: 50.0,
    "reached_production": lambda: True,
    "check": lambda: "smoke",
    "passed": lambda: True,
    "log": log,
    "a": figure,
    "b": figure,
    "known_at_a": lambda: 1,
    "ledger": ledger,
    "rows": rows,
    "row": lambda: rows()[1],
    "anchors": anchors,
    "checkpoint": anchors,
    "old": anchors,
    "new": anchors,
    "proof": lambda: proofs()[0],
    "stream": lambda: "incident:INC-7",
    "step": lambda: incident.acknowledge,
    "source": lambda: "pagerduty",
    "key": lambda: "delivery 1",
    "histories": list,
    "settings": lambda: {"PERSISTENCE_MODULE": "eventsourcing.popo"},
    "start": lambda: NOON,
    "end": lambda: NOON + timedelta(hours=1),
    "holds": tuple,
    "calendar": lambda: imcm.BusinessHours(hours={0: [("09:00", "17:00")]}),
    "hours": lambda: {0: [("09:00", "17:00")]},
    "plain": lambda: imcm.BusinessHours(hours={0: [("09:00", "17:00")]}).as_dict(),
    "name": lambda: "name",
    "service": lambda: "checkout",
    "degree": lambda: imcm.Degree.DOWN,
    "requests": lambda: 5,
    "errors": lambda: 1,
    "earliest": lambda: NOON,
    "latest": lambda: NOON,
    "recorded_at": lambda: NOON,
    "position": lambda: 1,
    "record": lambda: "r",
    "recorded": tuple,
    "type": lambda: "IncidentResolved",
    "risk": lambda: Risk.LOW,
    "said": lambda: "yes",
    "value": lambda: "UTC",
    "members": lambda: Severity,
    "tables": dict,
    "closed": dict,
    "state": lambda: rows()[1].state,
    "leaves": list,
    "hashes": list,
    "index": lambda: 0,
    "size": lambda: 1,
    "leaf": lambda: bytes(32),
    "path": list,
    "root": lambda: bytes(32),
    "old_root": lambda: bytes(32),
    "new_root": lambda: bytes(32),
    "public": lambda: bytes(32),
    "message": lambda: b"",
    "signature": lambda: bytes(64),
    "one": lambda: "a",
    "other": lambda: "b",
    "allowed": lambda: "another",
    "guard": lambda: "status",
    "payload": lambda: b"",
    "vkey": lambda: "a+b+c",
    "unit": lambda: "seconds",
    "n": lambda: 1,
    "definition": lambda: figure().definition,
    "figures": dict,
    "holder": lambda: None,
    "target": lambda: {"PERSISTENCE_MODULE": "eventsourcing.popo"},
    "versions": lambda: None,
    "line": lambda: 1,
    "words": lambda: "words",
    "what": lambda: "x",
}


# --- doors ----------------------------------------------------------------------------------------

MODULES = (
    "imcm.audit",
    "imcm.audit.signing",
    "imcm.domain.change",
    "imcm.domain.incident",
    "imcm.follower",
    "imcm.frames",
    "imcm.interchange.csv_files",
    "imcm.interchange.jsonl",
    "imcm.interchange.mapping",
    "imcm.ledger",
    "imcm.projections.clock",
    "imcm.projections.timeline",
    "imcm.verifier",
)
"""Modules whose public functions and classes are doors, beside all that `imcm.__all__` names."""


class Door(NamedTuple):
    """
    Something public that can be called.

    Attributes:
        name: How the tests call it.
        call: Takes what `own` makes, where it is a method, and the arguments.
        parameters: Name to whether it must be given; what stands for one by its place is told so.
        own: Makes what a method is called on.
    """

    name: str
    call: Callable[..., Any]
    parameters: Mapping[str, inspect.Parameter]
    own: Callable[[], Any] | None = None


def _parameters(function: Callable[..., Any], *, bound: bool) -> dict[str, inspect.Parameter]:
    found = list(inspect.signature(function).parameters.values())
    told = {
        p.name: p for p in found[1 if bound else 0 :] if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    }
    if any(p.kind is p.VAR_KEYWORD for p in found):
        definition = inspect.getclosurevars(function).nonlocals.get("definition")
        if definition is not None:  # a figure or a table: its arguments are those of its definition
            told |= inspect.signature(definition).parameters
    return told


def _is_public(name: str, thing: object, module: ModuleType) -> bool:
    return not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__


def _things() -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    named = [(f"imcm.{name}", getattr(imcm, name)) for name in imcm.__all__]
    for path in MODULES:
        try:
            module = importlib.import_module(path)
        except ImportError:  # an extra is not installed
            continue
        exported = getattr(module, "__all__", None) or dir(module)
        for name in exported:
            thing = getattr(module, name)
            if _is_public(name, thing, module) or (hasattr(module, "__all__") and callable(thing)):
                named.append((f"{path.removeprefix('imcm.')}.{name}", thing))
    named += [(f"codec.{name}", getattr(codec, name)) for name in ("decode", "envelope_of")]
    for name, thing in named:
        if callable(thing) and id(thing) not in seen:
            seen.add(id(thing))
            yield name, thing


def _is_value(cls: type) -> bool:
    return not issubclass(cls, (Enum, BaseException, type)) and not getattr(
        cls, "_is_protocol", False
    )


def doors() -> Iterator[Door]:
    """Yield every public function, constructor and method there is."""
    for name, thing in _things():
        if isinstance(thing, FunctionType):
            yield Door(name, thing, _parameters(thing, bound=False))
        elif isinstance(thing, type) and _is_value(thing):
            if thing.__init__ is not object.__init__ or thing.__new__ is not object.__new__:
                yield Door(name, thing, _parameters(thing, bound=False))
            yield from _methods(name, thing)


def _methods(name: str, cls: type) -> Iterator[Door]:
    for method, told in inspect.getmembers_static(cls):
        if method.startswith("_") and method not in {"__contains__", "__getitem__"}:
            continue
        if isinstance(told, (classmethod, staticmethod)):
            function = getattr(cls, method)
            if told.__func__.__module__.startswith("imcm"):
                yield Door(f"{name}.{method}", function, _parameters(function, bound=False))
        elif isinstance(told, FunctionType) and told.__module__.startswith("imcm"):
            own = OWN.get(cls.__name__)
            if own is not None:
                yield Door(f"{name}.{method}", told, _parameters(told, bound=True), own)


# --- objects with methods -------------------------------------------------------------------------


class Stopping(threading.Event):
    """Says that it is to end once it was asked a few times, and never waits."""

    def __init__(self, times=4):
        super().__init__()
        self._left = times

    def is_set(self):
        self._left -= 1
        return self._left < 0

    def wait(self, timeout=None):
        if timeout is not None and not 0 <= timeout <= threading.TIMEOUT_MAX:
            raise OverflowError
        return self.is_set()


class Model:
    """A model that keeps nothing."""

    name = "nothing"

    def create(self, connection):
        pass

    resume = apply = lambda self, connection, _: None


_numbers = itertools.count()


def fresh_path() -> str:
    """Return a path at which there is nothing yet, in the directory the test runs in."""
    return f"file-{next(_numbers)}"


def recording() -> Ledger:
    """Return a ledger of its own, with something in it."""
    return ledger_of(*whole())


RIGHT = {
    **RIGHT,
    "again": RIGHT["event"],
    "effect": lambda: _nothing,
    "figure_of": lambda: imcm.time_to_restore,
    "file": lambda: io.BytesIO(),
    "model": Model,
    "options": csv_options,
    "pem": lambda: b"",
    "stop": Stopping,
    "target": fresh_path,
    "calls": tuple,
    "merged_into": lambda: "INC-9",
}


def _nothing(*_):
    return None


def _table() -> Any:
    from imcm import frames

    return frames.incidents(log())


OWN: Mapping[str, Callable[[], Any]] = {
    "BusinessHours": RIGHT["calendar"],
    "Checkpoint": lambda: verifier.read_anchors(anchors())[0],
    "DecisionTrail": lambda: imcm.decision_trail(log(), "CHG-1"),
    "Facts": lambda: imcm.facts(log()),
    "Figure": figure,
    "Follower": lambda: imcm.Follower(fresh_path(), ledger(), Model()),
    "Frontier": verifier.Frontier,
    "KeptFacts": lambda: imcm.KeptFacts(fresh_path(), ledger()),
    "Learned": lambda: imcm.learned(log(), known_at_a=1),
    "Ledger": lambda: ledger_of(*whole()),
    "LedgerReader": ledger,
    "Once": lambda: ledger_of(*whole()).once("pagerduty", "1"),
    "Policy": imcm.Policy,
    "Table": _table,
    "TimeRules": TimeRules,
    "Transaction": lambda: ledger_of(*whole()).transaction().__enter__(),
    "Verdict": lambda: audit.verify(rows(), anchors()),
    "Window": RIGHT["window"],
}
"""Makes what the methods of a class are called on."""
