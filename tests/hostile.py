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
import json
import pickle
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from enum import Enum, StrEnum
from functools import cache, partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import attrs

import imcm
from imcm import Ledger, audit, change, incident, verifier
from imcm.codec import decoding as codec
from imcm.codec.rows import StoredEvent
from imcm.demo import StoryClock, tell
from imcm.domain.vocabulary import (
    Channel,
    Commit,
    Counts,
    Impact,
    Risk,
    Severity,
    Verdict,
    Window,
)
from imcm.errors import ImcmError
from imcm.interchange import jsonl
from imcm.interchange.csv_contract import csv_options
from imcm.interchange.exports.timelines import timeline_of
from imcm.interchange.mapping import TimeRules
from imcm.interchange.payloads import Options
from imcm.projections.histories.decisions import Question

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
    "event of one's own": _own_event,
    "log of own events": _own_log,
    "log of the other's events": _mixed_log,
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


def raised_again(pickled: bytes) -> None:
    """Raise an error that comes from another process."""
    raise pickle.loads(pickled)


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
    ("advance_rollout", {"percent": 50.0}),
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
    (("detect", {"title": "Search is down"}), ("mitigate", {}),
     ("relate", {"id": "INC-9", "to": "INC-8", "kind": "recurrence_of", "above": ()})),
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
            told = {"by": "ana", "at": NOON, **arguments}
            if name == "relate":
                ledger.relate(standing.id, **{k: told[k] for k in ("to", "kind", "by", "at")})
            else:
                ledger.record(standing.id, getattr(standing.module, name), **told)
    return ledger


def whole() -> tuple[Standing, ...]:
    """Return all at the end of their steps."""
    return tuple(Standing(id_, module, steps) for id_, module, steps in _paths())


@cache
def ledger() -> Ledger:
    """Return the ledger that reading calls share."""
    made = ledger_of(*whole(), path=Path(tempfile.mkdtemp()) / "ledger.db")
    made.record("INC-10", incident.detect, by="ana", at=NOON, title="Search is slow, too")
    made.merge("INC-10", into="INC-9", by="ana", at=NOON)
    made.redact("incident:INC-8", by="ana", at=NOON, reason="asked for")
    return made


@cache
def log() -> tuple[imcm.Recorded, ...]:
    return tuple(ledger().replay())


@cache
def rows() -> tuple[StoredEvent, ...]:
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
    "address": lambda: "https://wiki.example/7",
    "change": lambda: "CHG-1",
    "verdict": lambda: "caused",
    "what_happened": lambda: "a table was locked",
    "id": lambda: "INC-7",
    "into": lambda: "INC-9",
    "merged": lambda: "INC-8",
    "to": lambda: "INC-8",
    "above": tuple,
    "levels": lambda: {"SEV1": "P1"},
    "impact_level": lambda: "high",
    "urgency": lambda: "high",
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
    "imcm.domain.change_events",
    "imcm.domain.incident",
    "imcm.domain.incident_events",
    "imcm.readmodel.delivery",
    "imcm.readmodel.facts",
    "imcm.readmodel.follower",
    "imcm.frames",
    "imcm.interchange.calendars",
    "imcm.interchange.csv_check",
    "imcm.interchange.csv_contract",
    "imcm.interchange.csv_files",
    "imcm.interchange.csv_statements",
    "imcm.interchange.exports.arrow",
    "imcm.interchange.exports.cdevents",
    "imcm.interchange.exports.csv_tables",
    "imcm.interchange.exports.ocel",
    "imcm.interchange.exports.tables",
    "imcm.interchange.exports.timelines",
    "imcm.interchange.jsonl",
    "imcm.interchange.mapping",
    "imcm.ledger",
    "imcm.projections.figures.clock",
    "imcm.projections.histories.timeline",
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
        p.name: p
        for p in found[1 if bound else 0 :]
        if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
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

    def save(self, connection, *, more):
        pass


_numbers = itertools.count()


def fresh_path() -> str:
    """Return a path at which there is nothing yet, in the directory the test runs in."""
    return f"file-{next(_numbers)}"


def recording() -> Ledger:
    """Return a ledger of its own, with something in it."""
    return Ledger.restored(fresh_path(), rows(), clock=clock)


def _detects(tx, id_):
    tx.record(id_, incident.detect, by="ana", at=NOON, title="x")


async def _nothing_at_length(*_):
    pass


def _nothing(*_):
    return None


def _table() -> Any:
    from imcm import frames

    return frames.incidents(log())


RIGHT = {
    **RIGHT,
    "again": RIGHT["event"],
    "effect": lambda: _nothing,
    "figure_of": lambda: imcm.time_to_restore,
    "file": io.BytesIO,
    "model": Model,
    "options": csv_options,
    "pem": lambda: b"",
    "stop": Stopping,
    "target": fresh_path,
    "authority": lambda: "cab",
    "calls": tuple,
    "folder": fresh_path,
    "form": lambda: "parquet",
    "ids": lambda: ["INC-7"],
    "table": lambda: "incidents",
    "timeline": lambda: timeline_of(ledger(), ["INC-7"]),
    "content": imcm.Content,
    "freeze": lambda: "weekend",
    "times": lambda: imcm.Weekly(start="Fri 16:00", end="Mon 08:00"),
    "merged_into": lambda: "INC-9",
    "since": lambda: NOON - timedelta(days=1),
    "until": lambda: NOON + timedelta(days=365),
    "country": lambda: "GB",
    "time_zone": lambda: "Europe/London",
    "changes": lambda: [imcm.ChangeView(id="CHG-1", window=RIGHT["window"]())],
    "after": lambda: NOON,
    "duration": lambda: timedelta(hours=1),
    "id_": lambda: "ana",
    "looks": lambda: [
        imcm.Look(canary=Counts(requests=5, errors=1), baseline=Counts(requests=5, errors=1))
    ],
    "mine": lambda: imcm.Planned(id="CHG-2", window=RIGHT["window"](), services=["checkout"]),
    "others": lambda: ["database"],
    "plan": imcm.CanaryPlan,
    "planned": lambda: [
        imcm.Planned(id="CHG-1", window=RIGHT["window"](), services=["checkout"]),
    ],
    "policy": imcm.Policy,
    "references": lambda: ["ticket"],
    "services": lambda: ["checkout"],
    "tests": lambda: [imcm.PolicyTest(name="x", at=NOON)],
    "there": lambda: ["risk"],
}


CALENDAR = b"""BEGIN:VCALENDAR
BEGIN:VEVENT
DTSTART:20260306T160000Z
DURATION:PT1H
END:VEVENT
END:VCALENDAR
"""


def _canary_verdict() -> imcm.CanaryVerdict:
    return imcm.judge(RIGHT["looks"](), imcm.CanaryPlan())


def _dependencies() -> imcm.Dependencies:
    return imcm.Dependencies(depends_on={"checkout": ["payments"], "payments": ["database"]})


def _events() -> Any:
    from imcm.interchange.calendars import calendar_events

    return calendar_events(CALENDAR, since=RIGHT["since"](), until=RIGHT["until"]())


OWN: Mapping[str, Callable[[], Any]] = {
    "ApprovalRule": imcm.ApprovalRule,
    "ApprovedTemplate": lambda: imcm.ApprovedTemplate(name="restart", version="1"),
    "BusinessHours": RIGHT["calendar"],
    "CanaryVerdict": _canary_verdict,
    "CalendarEvents": _events,
    "Checkpoint": lambda: verifier.read_anchors(anchors())[0],
    "DecisionTrail": lambda: imcm.decision_trail(log(), "CHG-1"),
    "Dependencies": _dependencies,
    "Duties": lambda: imcm.duties(log()),
    "Facts": lambda: imcm.facts(log()),
    "FailureModel": lambda: imcm.failure_model(story()),
    "Figure": figure,
    "Follower": lambda: imcm.Follower(fresh_path(), ledger(), Model()),
    "Freeze": lambda: imcm.Freeze(name="weekend", times=RIGHT["times"](), override_by=["zoe"]),
    "Frontier": verifier.Frontier,
    "Views": lambda: imcm.views(ledger(), fresh_path()),
    "Learned": lambda: imcm.learned(log(), known_at_a=1),
    "Ledger": recording,
    "LedgerReader": lambda: imcm.LedgerReader(ledger_file()),
    "MaintenanceWindow": lambda: imcm.MaintenanceWindow(name="nights", times=RIGHT["times"]()),
    "Once": lambda: recording().once("pagerduty", "1"),
    "PlanRule": lambda: imcm.PlanRule(needs=["risk"], references=["ticket"]),
    "Policy": imcm.Policy,
    "Quorum": lambda: imcm.Quorum(2, {"cab": 1}),
    "RolloutRule": lambda: imcm.RolloutRule(first=5),
    "Rules": lambda: imcm.Rules(policy=imcm.Policy()),
    "SeverityScale": lambda: imcm.SeverityScale(
        levels={"SEV1": "P1"}, matrix={"high": {"high": "SEV1"}}
    ),
    "Table": _table,
    "TimeRules": TimeRules,
    "Transaction": lambda: recording().transaction().__enter__(),
    "Verdict": lambda: audit.verify(rows(), anchors()),
    "Weekly": RIGHT["times"],
    "WhatIf": lambda: imcm.what_if(log(), imcm.Policy()),
    "Window": RIGHT["window"],
}
"""Makes what the methods of a class are called on."""

NO_DOORS = {
    "imcm.Page.of": "made by the questions of `Views`",
    "imcm.FailureModel.rates_of": "asked by `calibration` of deployments by their numbers",
    "imcm.Facts.kept": "what figures share; called by figures alone",
    "imcm.Ledger.commit": "takes what `record` and `transaction` collected",
    "verifier.extras": "called by `verify_file` and a ledger with the connection they opened",
    "interchange.csv_statements.ReadRow": "made by `read_incidents`",
    "interchange.csv_statements.ReadCommit": "made by `read_commits`",
    "interchange.csv_check.ImportReport": "made by `import_csv`",
    "interchange.mapping.Problem": "made by `import_csv`",
    "interchange.calendars.CalendarEvent": "made by `calendar_events`",
    "interchange.calendars.CalendarEvents": "made by `calendar_events`",
    "interchange.calendars.LeftOut": "made by `calendar_events`",
}
"""Public names that callers do not call, with the reason."""


def ledger_file() -> str:
    """Return the path of the ledger that reading calls share."""
    return str(ledger()._store.reader.path)  # type: ignore[attr-defined]


def csv_file(text: str = "id,title\nX-1,Basket\n") -> str:
    path = Path(fresh_path())
    path.write_text(text)
    return str(path)


def _period():
    return NOON - timedelta(days=1), NOON + timedelta(days=1)


def receiver_file() -> Path:
    """Return the settings of a receiver."""
    path = Path(fresh_path())
    told = 'dead_letters = "x"\n[sources.a]\nformat = "alertmanager"\nsecrets = ["TOKEN"]\n'
    path.write_text(told, encoding="utf-8")
    return path


_SPECIAL: Mapping[str, Callable[[], Any]] = {
    "imcm.Between.latest": lambda: NOON,
    "imcm.Window.start": lambda: NOON,
    "imcm.Window.contains.other": RIGHT["window"],
    "imcm.Statement.kind": lambda: "incident",
    "imcm.Statement.id": lambda: "7",
    "imcm.Statement.facts": lambda: {"title": "x", "detected_at": NOON},
    "imcm.Statement.happened": lambda: [imcm.Happening("resolved", NOON)],
    "imcm.Statement.said_at": lambda: NOON,
    "imcm.Statement.sequence": lambda: 1,
    "imcm.Statement.delivery": lambda: "d-1",
    "imcm.Statement.status": lambda: "open",
    "imcm.Statement.sha256": lambda: "0" * 64,
    "imcm.Statement.texts": dict,
    "imcm.Statement.gone": lambda: False,
    "imcm.format_named.name": lambda: "alertmanager",
    "imcm.signatures.scheme": lambda: "rootly",
    "imcm.signatures.secrets": lambda: ["a-secret-of-a-test"],
    "imcm.signatures.header": lambda: "X-Token",
    "imcm.signatures.username": lambda: None,
    "imcm.signatures.tolerance": lambda: timedelta(minutes=1),
    "imcm.signatures.timestamp_header": lambda: None,
    "imcm.WebhookSource.format": lambda: "alertmanager",
    "imcm.WebhookSource.signatures": lambda: imcm.signatures("none"),
    "imcm.WebhookSource.name": lambda: "alerts",
    "imcm.WebhookSource.options": Options,
    "imcm.WebhookSource.largest": lambda: 1_000,
    "imcm.WebhookSource.keep_dropped": lambda: False,
    "imcm.receiver.sources": lambda: {
        "alerts": imcm.WebhookSource(format="grafana", signatures=imcm.signatures("none"))
    },
    "imcm.receiver.dead_letters": fresh_path,
    "imcm.receiver.keep_days": lambda: 3,
    "imcm.receiver.largest": lambda: 1_000,
    "imcm.receiver.timeout": lambda: 1.5,
    "imcm.receiver.most_waiting": lambda: 3,
    "imcm.receiver.clock": lambda: lambda: NOON,
    "imcm.read_receiver.path": receiver_file,
    "imcm.read_receiver.environment": lambda: {"TOKEN": "a-secret-of-a-test"},
    "imcm.DeadLetter.id": lambda: "d-1",
    "imcm.DeadLetter.received_at": lambda: NOON,
    "imcm.DeadLetter.source": lambda: "alertmanager",
    "imcm.DeadLetter.route": lambda: "alertmanager",
    "imcm.DeadLetter.reason": lambda: "no JSON",
    "imcm.DeadLetter.headers": lambda: {"User-Agent": "x"},
    "imcm.DeadLetter.body": lambda: b"{",
    "imcm.DeadLetters.path": fresh_path,
    "imcm.DeadLetters.keep_days": lambda: 3,
    "imcm.record_statements.source": lambda: "snow",
    "imcm.record_statements.statements": lambda: [imcm.Statement(kind="incident", id="7")],
    "imcm.record_statements.received_at": lambda: NOON,
    "imcm.record_statements.dry_run": lambda: False,
    "imcm.Window.overlaps.other": RIGHT["window"],
    "imcm.Ledger.path": fresh_path,
    "imcm.Ledger.record.id": lambda: "INC-9",
    "imcm.Ledger.record_new.prefix": lambda: "NEW-",
    "imcm.Once.record_new.prefix": lambda: "NEW-",
    "imcm.Ledger.record_new.step": lambda: partial(incident.detect, by="ana", at=NOON, title="x"),
    "imcm.Once.record_new.step": lambda: partial(incident.detect, by="ana", at=NOON, title="x"),
    "domain.change.override_freeze.by": lambda: "zoe",
    "domain.change.override_freeze.policy": lambda: imcm.Policy(
        freezes=[imcm.Freeze(name="weekend", times=RIGHT["times"]())]
    ),
    "imcm.Quorum.joined.other": imcm.Quorum,
    "imcm.Quorum.missing.given": lambda: [["peer"]],
    "imcm.Weekly.start": lambda: "Fri 16:00",
    "imcm.Weekly.end": lambda: "Mon 08:00",
    "imcm.Freeze.from_dict.plain": lambda: {
        "name": "x",
        "weekly": [{"start": "Fri 16:00", "end": "Mon 08:00"}],
    },
    "imcm.MaintenanceWindow.from_dict.plain": lambda: {
        "name": "x",
        "weekly": [{"start": "Fri 16:00", "end": "Mon 08:00"}],
    },
    "imcm.Policy.from_dict.plain": lambda: {"name": "x"},
    "imcm.ApprovedTemplate.version": lambda: "1",
    "imcm.CanaryPlan.from_dict.plain": lambda: {"alpha": 0.01},
    "imcm.CanaryVerdict.metric.name": lambda: "errors",
    "imcm.Dependencies.from_dict.plain": lambda: {"depends_on": {"checkout": ["payments"]}},
    "imcm.Exposure.time": lambda: 5.0,
    "imcm.FailureModel.rate_of.change": lambda: imcm.ProposedChange(at=story()[-1].recorded_at),
    "imcm.Ledger.gate.id": lambda: "CHG-1",
    "imcm.LedgerReader.gate.id": lambda: "CHG-1",
    "imcm.Look.canary": lambda: Counts(requests=5, errors=1),
    "imcm.Look.baseline": lambda: Counts(requests=5, errors=1),
    "imcm.PlanRule.needs": lambda: ["risk"],
    "imcm.Policy.differences.other": imcm.Policy,
    "imcm.Policy.may_decide.step": lambda: "approve",
    "imcm.Policy.template.version": lambda: "1",
    "imcm.PolicyTest.step": lambda: "start",
    "imcm.PolicyTest.result": lambda: "successful",
    "imcm.RiskRules.from_dict.plain": lambda: {"large_batch": 5},
    "imcm.RolloutRule.first": lambda: 5.0,
    "imcm.Rules.policy_called.version": lambda: "1",
    "imcm.SeverityScale.rated.value": lambda: "SEV1",
    "imcm.Views.context.id": lambda: "CHG-1",
    "imcm.Views.next_free.id": lambda: "CHG-1",
    "imcm.WhatIf.versus.other": lambda: imcm.what_if(log(), imcm.Policy()),
    "imcm.increments.totals": RIGHT["looks"],
    "imcm.next_free.after": lambda: NOON,
    "imcm.next_free.until": lambda: NOON + timedelta(days=1),
    "imcm.read_policy_tests.path": lambda: csv_file(
        '[[tests]]\nname = "x"\nat = 2026-03-06T12:00:00Z\n'
    ),
    "domain.change.opens_at.refusals": lambda: [change.Refusal("freeze", "x")],
    "domain.change.gate.change": lambda: state_of(Standing("CHG-1", change, _CHANGE[:3])),
    "imcm.Ledger.adopt.rules": lambda: imcm.Policy(name="strict"),
    "imcm.Ledger.transaction_new.prefix": lambda: "NEW-",
    "imcm.Ledger.transaction_new.step": lambda: incident.detect,
    "imcm.Ledger.transaction_new.collect": lambda: _detects,
    "imcm.Ledger.begin_after.begin": lambda: 1,
    "imcm.LedgerReader.begin_after.begin": lambda: 1,
    "imcm.Ledger.events_of.upto": lambda: 5,
    "imcm.LedgerReader.events_of.upto": lambda: 5,
    "imcm.Ledger.empty_streams.streams": lambda: ["change:CHG-99"],
    "imcm.LedgerReader.empty_streams.streams": lambda: ["change:CHG-99"],
    "imcm.Ledger.events_of.streams": lambda: ["incident:INC-1"],
    "imcm.LedgerReader.events_of.streams": lambda: ["incident:INC-1"],
    "imcm.Ledger.merge.id": lambda: "INC-7",
    "imcm.Ledger.redact.stream": lambda: "incident:INC-9",
    "imcm.Ledger.restored.rows": rows,
    "imcm.Ledger.append_rows.rows": lambda: rows()[:1],
    "imcm.Ledger.unmerge.id": lambda: "INC-10",
    "imcm.Once.unmerge.id": lambda: "INC-10",
    "imcm.Transaction.unmerge.id": lambda: "INC-10",
    "ledger.Transaction.unmerge.id": lambda: "INC-10",
    "imcm.Ledger.backup.target": fresh_path,
    "imcm.Ledger.change.id": lambda: "CHG-1",
    "imcm.LedgerReader.change.id": lambda: "CHG-1",
    "imcm.Views.change.id": lambda: "CHG-1",
    "imcm.LedgerReader.trail.id": lambda: "CHG-1",
    "imcm.Ledger.trail.id": lambda: "CHG-1",
    "imcm.LedgerReader.backup.target": fresh_path,
    "imcm.availability.window": _period,
    "imcm.time_between_failures.window": _period,
    "audit.Checkpoint.signed_by.keys": list,
    "audit.Signer.signature.message": bytes,
    "domain.change.reword.title": lambda: "Basket 2",
    "domain.incident.describe.title": lambda: "Cards fail",
    "domain.incident.revise_action.owner": lambda: "eva",
    "domain.incident.refer.kind": lambda: "ticket",
    "domain.change.refer.kind": lambda: "ticket",
    "domain.incident.relate.kind": lambda: "child_of",
    "domain.incident.relate.to": lambda: "INC-10",
    "imcm.Ledger.relate.kind": lambda: "child_of",
    "imcm.Once.relate.kind": lambda: "child_of",
    "imcm.Transaction.relate.kind": lambda: "child_of",
    "ledger.Transaction.relate.kind": lambda: "child_of",
    "domain.incident.triage.severity": lambda: Severity.P1,
    "imcm.read_policy.path": lambda: csv_file('name = "x"\n'),
    "interchange.toml_files.read_policy.path": lambda: csv_file('name = "x"\n'),
    "imcm.read_severity_scale.path": lambda: csv_file('[levels]\nSEV1 = "P1"\n'),
    "interchange.toml_files.read_severity_scale.path": lambda: csv_file('[levels]\nSEV1 = "P1"\n'),
    "interchange.toml_files.read_toml.path": lambda: csv_file(""),
    "domain.severity.SeverityScale.from_dict.plain": lambda: {"levels": {"SEV1": "P1"}},
    "imcm.SeverityScale.from_dict.plain": lambda: {"levels": {"SEV1": "P1"}},
    "domain.incident.highest_held.incident": lambda: incident.INITIAL,
    "domain.incident.highest_held.members": list,
    "domain.change.close.result": lambda: "successful",
    "imcm.Facts.joined.parts": lambda: [imcm.facts(log(), as_of=NOON)],
    "imcm.Facts.joined.as_of": lambda: NOON,
    "domain.change.observe.title": lambda: "Basket",
    "domain.change.approve.by": lambda: "mia",
    "domain.change.approve_retroactively.by": lambda: "mia",
    "domain.change.refuse_retroactively.by": lambda: "mia",
    "domain.incident.dismiss.reason": lambda: "false_positive",
    "domain.incident.update_impact.impact": lambda: Impact(customers=7),
    "domain.change.plan.kind": lambda: "deployment",
    "domain.change.observe.kind": lambda: "deployment",
    "domain.change.correct.was": lambda: ("checkout",),
    "domain.change.correct.now": lambda: ("search",),
    "domain.change.correct.field": lambda: "services",
    "domain.change.confirm.event": lambda: change.ChangeCompleted(at=NOON, by="ana"),
    "domain.change.evolve.event": lambda: change.ChangeCompleted(at=NOON, by="ana"),
    "domain.change.bring_in.events": lambda: [_planned()],
    "domain.incident.bring_in.events": lambda: [_detected()],
    "domain.incident.correct.field": lambda: "at",
    "domain.incident.correct.was": lambda: NOON,
    "domain.incident.correct.now": lambda: NOON - timedelta(hours=1),
    "frames.figures.incidents": lambda: _table().to_frame("polars"),
    "frames.report.figures": lambda: imcm.lead_time(log()),
    "frames.timeline.entries": lambda: imcm.timeline(log()),
    "frames.Table.to_excel.path": fresh_path,
    "interchange.calendars.calendar_events.source": lambda: CALENDAR,
    "interchange.calendars.holiday_events.years": lambda: 2026,
    "interchange.calendars.holidays_in.years": lambda: 2026,
    "interchange.calendars.read_calendar.source": lambda: CALENDAR,
    "interchange.csv_files.import_csv.incidents": lambda: csv_file("id,title\n"),
    "imcm.from_frames.incidents": lambda: csv_file("id,title\n"),
    "interchange.csv_files.import_csv.ledger": lambda: Ledger.in_memory(clock=clock),
    "imcm.LedgerReader.path": ledger_file,
    "imcm.LedgerReader.configured.settings": lambda: {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": ledger_file(),
    },
    "imcm.Follower.path": fresh_path,
    "imcm.views.path": fresh_path,
    "imcm.deliver.path": fresh_path,
    "imcm.adeliver.path": fresh_path,
    "imcm.adeliver.effect": lambda: _nothing_at_length,
    "imcm.History.stream": lambda: "incident:INC-1",
    "imcm.DecisionTrail.finding.question": lambda: next(iter(Question)),
    "imcm.decision_trail.change": lambda: "CHG-1",
    "imcm.Policy.quorum.type": lambda: imcm.ChangeType.NORMAL,
    "imcm.BusinessHours.microseconds.end": lambda: NOON,
    "audit.append_checkpoint.path": fresh_path,
    "audit.verify_file.path": ledger_file,
    "audit.Signer.vkey": lambda: new_key()[1],
    "audit.Signer.sign": lambda: _nothing,
    "audit.Signer.from_pem.pem": lambda: new_key()[0],
    "audit.signing.key_of.vkey": lambda: new_key()[1],
    "interchange.csv_contract.words_for.table": lambda: "incidents",
    "interchange.csv_contract.words_for.column": lambda: "status",
    "interchange.csv_contract.words_for.log": lambda: False,
    "interchange.csv_statements.read_incidents.given": csv_file,
    "interchange.csv_statements.read_changes.given": csv_file,
    "interchange.csv_statements.read_commits.given": lambda: csv_file(
        "change_id,commit_id\nCHG-1,abc\n"
    ),
    "interchange.mapping.read_mapping.path": lambda: csv_file(""),
    "interchange.mapping.truth.text": lambda: "true",
    "interchange.mapping.count.text": lambda: "5",
    "interchange.mapping.number.text": lambda: "1.5",
    "interchange.mapping.number.decimal": lambda: ".",
    "interchange.mapping.duration.text": lambda: "PT1H",
    "interchange.mapping.member.text": lambda: "P1",
    "interchange.mapping.TimeRules.moment.text": lambda: "2026-03-06T12:00:00Z",
    "interchange.mapping.TimeRules.time.text": lambda: "2026-03-06T12:00:00Z",
    "interchange.exports.csv_tables.write_csv.facts": lambda: imcm.facts(log()),
    "interchange.exports.csv_tables.write_csv_folder.facts": lambda: imcm.facts(log()),
    "interchange.exports.tables.rows_of.facts": lambda: imcm.facts(log()),
    "interchange.exports.cdevents.write_cdevents.source": lambda: "/imcm/x",
    "interchange.exports.csv_tables.write_figures_csv.figures": lambda: [figure()],
    "interchange.jsonl.read.file": lambda: io.BytesIO(export()),
    "verifier.Key.parse.vkey": lambda: new_key()[1],
    "verifier.read_anchors.text": anchors,
    "verifier.read_proofs.text": lambda: json.dumps(proofs()[0]),
    "verifier.verify.anchors": lambda: verifier.read_anchors(anchors()),
    "verifier.verify_file.anchors": lambda: verifier.read_anchors(anchors()),
    "verifier.verify_file.path": lambda: Path(ledger_file()),
    "verifier.check_proof.anchors": lambda: verifier.read_anchors(anchors()),
    "verifier.Frontier.add.hash": lambda: bytes(32),
    "verifier.inclusion_proof.hashes": lambda: [bytes(32)],
    "verifier.consistency_proof.hashes": lambda: [bytes(32)],
    "verifier.consistency_proof.old": lambda: 1,
    "verifier.consistency_proof.new": lambda: 1,
    "verifier.check_inclusion.index": lambda: 0,
    "verifier.check_consistency.old": lambda: 1,
    "verifier.check_consistency.new": lambda: 1,
    "verifier.check_signature.signature": lambda: signer().signature(b"").value,
    "verifier.check_signature.public": lambda: verifier.Key.parse(new_key()[1]).public,
}


def right(door: Door, name: str) -> Any:
    """Return what is right for an argument: of that door, or else of its name."""
    if (
        f"{door.name}.{name}" not in _SPECIAL
        and door.name.startswith("domain.")
        and name in {"incident", "change"}
        and (name == door.name.split(".")[1] and not isinstance(door.call, type))
    ):
        return _state_for(door)
    make = _SPECIAL.get(f"{door.name}.{name}") or RIGHT.get(name)
    if make is not None:
        return make()
    if isinstance(door.call, type):
        return None  # a value that others make: it takes anything
    raise LookupError(f"tests/hostile.py knows no right value for {name} of {door.name}")


@cache
def export() -> bytes:
    """Return the log as JSON lines."""
    file = io.BytesIO()
    jsonl.write(rows(), file)
    return file.getvalue()


@cache
def new_key() -> tuple[str, str]:
    return audit.new_key("somebody")


def must_be_given(door: Door, name: str) -> bool:
    """Say whether a call without this argument can't be right."""
    parameter = door.parameters[name]
    special = f"{door.name}.{name}" in _SPECIAL
    return parameter.default is parameter.empty or name == "stop" or special


def right_arguments(door: Door, but: str | None = None) -> dict[str, Any]:
    """Return right arguments for all that must be given, but for one."""
    given = {n: right(door, n) for n in door.parameters if n != but and must_be_given(door, n)}
    if door.name.endswith(".record"):  # the arguments of the step
        given |= {"by": "ana", "at": NOON}
    return given


@cache
def _states() -> Mapping[Any, tuple[Any, ...]]:
    found: dict[Any, list[Any]] = {incident: [], change: []}
    for standing in standings():
        found[standing.module].append(state_of(standing))
    merged = incident.merge(
        found[incident][1],
        by="ana",
        at=NOON,
        id="INC-7",
        into="INC-9",
        into_state=RIGHT["into_state"](),
    )
    found[incident].append(incident.fold((*found[incident][1].past, *merged)))
    absorbed = incident.absorb(found[incident][1], by="ana", at=NOON, merged="INC-8")
    found[incident].append(incident.fold((*found[incident][1].past, *absorbed)))
    return {module: tuple(states) for module, states in found.items()}


@cache
def _place_for(name: str) -> int:
    """Return the place of a state in which a function of the domain records something."""
    door = next(one for one in doors() if one.name == name)
    module = incident if name.startswith("domain.incident.") else change
    others = list(door.parameters)[1:]
    for place, state in enumerate(_states()[module]):
        given = {n: right(door, n) for n in others if must_be_given(door, n)}
        try:
            if door.call(state, **given) != ():
                return place
        except ImcmError:
            continue
    return 0


def _state_for(door: Door) -> Any:
    module = incident if door.name.startswith("domain.incident.") else change
    return _states()[module][_place_for(door.name)]


def _planned():
    return change.ChangePlanned(
        at=NOON, by="ana", title="Basket", type=imcm.ChangeType.NORMAL, imported=True
    )


def _detected():
    return incident.IncidentDetected(at=NOON, by="ana", title="Checkout fails", imported=True)


def signer() -> audit.Signer:
    return audit.Signer.from_pem(new_key()[0], name="somebody")


def ledger_for(door: Door) -> tuple[Ledger, str]:
    """Return a ledger in which a step is possible, and of which incident or change."""
    module = incident if door.name.startswith("domain.incident.") else change
    place = _place_for(door.name)
    chosen = [one for one in standings() if one.module is module]
    standing = chosen[min(place, len(chosen) - 1)]
    return ledger_of(standing), standing.id


def with_event(state: bytes, event: bytes) -> bytes:
    """Return a stored state that tells another event, without words."""
    told = json.loads(state)
    told.pop("words", None)
    told["event"] = json.loads(event)
    return json.dumps(told, separators=(",", ":")).encode()


def errors_of(cls: Any) -> Iterator[ImcmError]:
    """Yield errors of a class whose attributes are anything."""
    if not isinstance(cls, type) or not issubclass(cls, ImcmError):
        return
    texts = {"name", "allowed", "step", "guard", "why", "kind", "hint", "message", "summary"}
    given: list[Any] = []
    own = isinstance(cls.__init__, FunctionType)  # else it takes one message
    for parameter in inspect.signature(cls).parameters.values() if own else ():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.KEYWORD_ONLY}:
            continue
        if parameter.name in texts | {"what", "extra", "package", "outcome"}:
            given.append("a \ud800 \x00 text")
        elif parameter.name == "line":
            given.append(2**70)
        elif parameter.name == "rows":
            given.append(("a", "b"))
        elif parameter.name == "recorded":
            given.append((*log()[:1], Seen(), _deep()))
        else:
            given.append(_raising("__repr__"))
    yield cls(*(given if own else ("a \ud800 \x00 text",)))
