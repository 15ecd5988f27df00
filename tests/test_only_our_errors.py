"""
Whatever a caller gives, what comes out is an error of imcm's, and nothing is half-recorded.

Wrong things are given to every public function, argument by argument; stand in the rows of a log
that was damaged; and come as the bytes of files. What an object of the caller's own raises while
imcm goes through it, or calls it, passes through as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import itertools
import json
import multiprocessing
import pickle
import random
import sqlite3
import zlib
from concurrent.futures import ProcessPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hostile
import imcm
from hostile import HOSTILE, NO_DOORS, NOON, OwnError
from imcm import Ledger, LedgerReader, audit, change, errors, frames, incident, verifier
from imcm.codec.decoding import decode
from imcm.errors import ImcmError, InvalidValue
from imcm.interchange import jsonl
from imcm.interchange.csv_files import import_csv
from imcm.interchange.mapping import read_mapping

OURS = (ImcmError, verifier.Refused, verifier.Unreadable)
DOORS = {door.name: door for door in hostile.doors() if door.name not in NO_DOORS}
STEPS = ({*incident.STEPS} - {"merge", "unmerge", "relate"}) | {*change.STEPS}
"""Merges are written by the ledger, on both sides, and what a relation needs it asks itself."""


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path, monkeypatch):
    """A wrong path may name a file: it is made here."""
    monkeypatch.chdir(tmp_path)


# --- what is tried --------------------------------------------------------------------------------


def some(*names):
    """Return a fifth of what is wrong, another one for each argument."""
    begin = zlib.crc32("/".join(names).encode()) % 5
    return list(HOSTILE)[begin::5]


def everything(*_):
    return list(HOSTILE)


quick_and_whole = pytest.mark.parametrize(
    "values", [some, pytest.param(everything, marks=pytest.mark.slow)]
)


def is_shape(error):
    """Say whether Python refused the shape of the call, before anything of imcm was run."""
    at = error.__traceback__
    while at.tb_frame.f_code.co_filename == __file__ and at.tb_next is not None:
        at = at.tb_next
    return isinstance(error, TypeError) and at.tb_frame.f_code.co_filename == __file__


def is_shape_of_step(error):
    """Say whether Python refused the shape of a step's call: nothing of the step was run."""
    return isinstance(error, TypeError) and "keyword" in str(error)


def called(call, /, *args, **arguments):
    """Call it and use up what it returns, an iterator or not."""
    answer = call(*args, **arguments)
    if isinstance(answer, (map, itertools.chain)) or inspect.isgenerator(answer):
        for _ in itertools.islice(answer, 200):
            pass
    elif inspect.isasyncgen(answer) or inspect.iscoroutine(answer):
        with contextlib.suppress(TimeoutError):  # it goes on until it is cancelled
            asyncio.run(asyncio.wait_for(used_up(answer), 0.2))
    elif not isinstance(call, type):
        repr(answer)
    return answer


async def used_up(answer):
    """Use up what an asynchronous function returned."""
    if inspect.iscoroutine(answer):
        return await answer
    return [item async for item in answer]


def was_the_callers(error, value, made):
    """Say whether an object of the caller's own raised it: its items, its truth, its call."""
    if isinstance(error, OwnError) and value in {"raising iter", "raising mapping"}:
        return True
    asked_for_its_truth = value in {"raising bool", "raising len", "pandas' missing"}
    if asked_for_its_truth and (isinstance(error, OwnError) or "ambiguous" in str(error)):
        return True
    return callable(made)


def problem_with(call, value, made, /, *args, **arguments):
    """Return what a call raised that it must not raise; None where all is as it must be."""
    try:
        called(call, *args, **arguments)
    except OURS as error:
        pickle.loads(pickle.dumps(error))
        str(error)
    except Exception as error:
        if not is_shape(error) and not was_the_callers(error, value, made):
            return f"{type(error).__name__}: {ascii(error.args)[:100]}"
    return None


def call(door, own, arguments):
    """Return the function and its arguments, those that go by their place in front."""
    placed = [
        arguments.pop(name)
        for name, parameter in door.parameters.items()
        if parameter.kind is parameter.POSITIONAL_ONLY and name in arguments
    ]
    return (([] if door.own is None else [own]) + placed), arguments


# --- every argument of every public function ------------------------------------------------------


class TestEveryDoor:
    @quick_and_whole
    @pytest.mark.parametrize("name", DOORS)
    def test_refuses_what_is_wrong_by_errors_of_imcm(self, name, values):
        door = DOORS[name]
        problems = {}
        own = None
        for wrong in door.parameters:
            for value in values(name, wrong):
                if wrong == "stop" and value == "None":
                    continue  # nothing would ever end it
                own = own or (door.own and door.own())
                before = recorded_in(own)
                made = HOSTILE[value]()
                given = {**hostile.right_arguments(door, wrong), wrong: made}
                args, arguments = call(door, own, given)
                found = problem_with(door.call, value, made, *args, **arguments)
                if found is not None:
                    problems[f"{wrong}={value}"] = found
                if door.name.startswith("ledger.") or recorded_in(own) != before:
                    own = None  # it is another one now
        assert {} == problems

    def test_takes_what_is_right(self):
        """Else nothing behind the first check would have been tried."""
        for door in DOORS.values():
            args, arguments = call(door, door.own and door.own(), hostile.right_arguments(door))
            called(door.call, *args, **arguments)

    def test_is_found_whatever_module_it_is_in(self):
        known = {
            *("imcm.Ledger.record", "domain.incident.detect", "imcm.facts", "audit.prove"),
            *("verifier.check_proof", "frames.incidents", "imcm.Between", "imcm.deliver"),
            *("interchange.jsonl.read", "codec.decode", "imcm.Views.facts"),
        }
        assert known <= {*DOORS}
        assert {*NO_DOORS} <= {door.name for door in hostile.doors()}


def recorded_in(own):
    """Return how many rows a ledger has; None for what is none, or is closed."""
    try:
        return len(list(own.rows())) if isinstance(own, Ledger) else None
    except errors.LedgerClosedError:
        return None


# --- what a refused call leaves behind ------------------------------------------------------------


class TestARefusedCall:
    @quick_and_whole
    @pytest.mark.parametrize(
        "name", [n for n in DOORS if n.startswith("domain.") and n.rpartition(".")[2] in STEPS]
    )
    def test_recorded_nothing(self, name, values):
        """Each step, in a ledger in which it is possible, with one argument wrong at a time."""
        door = DOORS[name]
        first, *others = door.parameters
        ledger, id_ = hostile.ledger_for(door)
        before = recorded_in(ledger)
        for wrong in others:
            for value in values(name, wrong):
                made = HOSTILE[value]()
                arguments = {**hostile.right_arguments(door, wrong), wrong: made}
                del arguments[first]
                try:
                    ledger.record(id_, door.call, **arguments)
                except OURS:
                    assert before == recorded_in(ledger)
                except Exception as error:
                    if not was_the_callers(error, value, made) and not is_shape_of_step(error):
                        raise
                    assert before == recorded_in(ledger)
                if recorded_in(ledger) != before:
                    called(ledger.facts)
                    called(imcm.timeline, ledger.replay())
                    ledger, id_ = hostile.ledger_for(door)

    @pytest.mark.parametrize("fault", [TypeError("a step's own bug"), OwnError(), KeyError("x")])
    def test_recorded_nothing_where_something_of_the_callers_failed(self, fault):
        """And the error is the caller's own, as it was raised."""

        def raising(*_, **__):
            raise fault

        def step(state: incident.Incident, **_):
            raise fault

        ledger = Ledger.in_memory(clock=hostile.clock)
        before = list(ledger.rows())
        for fails in (
            lambda: ledger.record("INC-1", step),
            lambda: ledger.once("pagerduty", "1").record("INC-1", step),
            lambda: ledger.append_rows(itertools.chain(ledger.rows(), iter(raising, None))),
            lambda: ledger.bring_in(iter(raising, None)),
            lambda: imcm.facts(iter(raising, None)),
            lambda: imcm.deliver(hostile.ledger(), "delivered", raising),
            lambda: imcm.restated(hostile.log(), raising, known_at_a=1),
            lambda: audit.verify(hostile.rows(), "", on_progress=raising),
        ):
            with pytest.raises(type(fault)) as raised:
                fails()
            assert raised.value is fault
            assert before == list(ledger.rows())

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({"by": "ana", "at": NOON, "title": "x", "colour": "red"}, "colour"),
            ({"by": "ana", "at": NOON}, "title"),
            ({}, "by"),
        ],
    )
    def test_says_which_argument_a_step_does_not_take_or_needs(self, arguments, name):
        ledger = Ledger.in_memory(clock=hostile.clock)
        before = list(ledger.rows())
        with pytest.raises(imcm.InvalidValue, match="detect") as wrong:
            ledger.record("INC-1", incident.detect, **arguments)
        assert wrong.value.name == name
        assert before == list(ledger.rows())

    def test_passes_on_what_a_clock_raises(self):
        def clock():
            raise OwnError

        with pytest.raises(OwnError):
            Ledger.in_memory(clock=clock)

    @pytest.mark.parametrize("value", HOSTILE)
    def test_recorded_nothing_where_the_clock_gave_no_time(self, value):
        given = [NOON]
        ledger = Ledger.in_memory(clock=lambda: given[0])
        before = recorded_in(ledger)
        given[0] = HOSTILE[value]()
        if value in {"own class of time", "pandas' time", "odd offset", "year 1"}:
            return  # these are times
        with pytest.raises(InvalidValue, match="clock"):
            ledger.record("INC-1", incident.detect, by="ana", at=NOON, title="Checkout fails")
        assert before == recorded_in(ledger)


# --- errors, in other processes -------------------------------------------------------------------


ERRORS = [
    *(InvalidValue("name", make(), "another") for make in HOSTILE.values()),
    *(error for cls in vars(errors).values() for error in hostile.errors_of(cls)),
]


class TestErrors:
    def test_of_every_class_are_tried(self):
        classes = {cls for cls in vars(errors).values() if isinstance(cls, type)}
        assert {cls for cls in classes if issubclass(cls, ImcmError)} == {*map(type, ERRORS)}

    @pytest.mark.parametrize("place", range(len(ERRORS)))
    def test_come_back_as_they_were(self, place):
        error = ERRORS[place]
        again = pickle.loads(pickle.dumps(error))
        assert (type(error), str(error)) == (type(again), str(again))
        assert {*vars(error)} == {*vars(again)}

    def test_come_back_from_another_process(self):
        # What another process makes of it comes back to this one, whichever way that is started.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            for error in ERRORS:
                with pytest.raises(type(error)) as raised:
                    pool.submit(hostile.raised_again, pickle.dumps(error)).result()
                assert str(error) == str(raised.value)


# --- rows of a damaged log ------------------------------------------------------------------------


SHAPES = [
    *(b"null", b"[]", b"{}", b"5", b'""', b"", b"{", b"\xff\xfe", b"[" * 100_000),
    b'{"format":1,"record":"r","recorded_at":"2026-03-06T12:00:00Z","event":null}',
    b'{"format":1,"record":"r","recorded_at":"2026-03-06T12:00:00","event":{}}',
    b'{"format":' + b"9" * 5000 + b',"record":"r","recorded_at":"2026-03-06T12:00:00Z","event":{}}',
    b'{"format":1,"record":"r","recorded_at":"0001-01-01T00:00:00+14:00","event":{}}',
]

MEMBERS = [
    *(None, True, 5, -1, 2**70, 1e308, "", "x", "a\x00b", "0001-01-01T00:00:00+14:00", [], [1]),
    *({}, {"a": 1}, {"salt": 5}, {"why": ["x"], "title": ["y"], "salt": "z"}, {"redacted": 5}),
    *("2026-03-06T12:00:00", "2026-03-06T12:00:00+00:00:17", {"earliest": "x"}, [[[[[[]]]]]]),
]


def nested(depth):
    return b"[" * depth + b"]" * depth


def damaged(rows, chance):
    """Return rows of which one was damaged in one way."""
    place = chance.randrange(len(rows))
    row = rows[place]
    state = row.state
    way = chance.randrange(11)
    if way == 0:
        at = chance.randrange(len(state))
        state = state[:at] + bytes([chance.randrange(256)]) + state[at + 1 :]
    elif way == 1:
        state = state[: chance.randrange(len(state))]
    elif way == 2:
        state = chance.choice(SHAPES)
    elif way in {3, 4, 5}:
        told = json.loads(state)
        part = told if way == 3 else told["event"]
        if way == 5:
            part = told.setdefault("words", {"salt": "00"})
        name = chance.choice([*part, "new"])
        if chance.randrange(4):
            part[name] = chance.choice(MEMBERS)
        else:
            part.pop(name, None)
        state = json.dumps(told, separators=(",", ":")).encode()
    elif way == 6:
        state = state[:-1] + b',"words":' + chance.choice([nested(2000), nested(10), b"5"]) + b"}"
    elif way == 7:
        row = row._replace(type=chance.choice([*TYPES, "", "x", "a\x00", "Unread", "dict"]))
    elif way == 8:
        row = row._replace(version=chance.choice([0, -1, 2, 7, 2**62]))
    elif way == 9:
        row = row._replace(stream=chance.choice(STREAMS))
    else:
        state = state.replace(b'"event":{', b'"event":{"at":' + nested(500) + b",", 1)
    return [*rows[:place], row._replace(state=state), *rows[place + 1 :]]


TYPES = sorted({row.type for row in hostile.rows()} | {"KeyUsed", "KeyClaimed", "ChangeVoided"})
STREAMS = [
    "incident:INC-7",
    "change:CHG-1",
    "ledger:self",
    "",
    "x",
    "incident:",
    "key:a",
    "other:x",
]


def written(path, rows):
    """Return the path of a ledger that holds rows as they are."""
    hostile.ledger().backup(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM stored_events")
        connection.executemany(
            "INSERT OR IGNORE INTO stored_events "
            "(rowid, originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?, ?)",
            rows,
        )
    connection.close()
    return path


def kept(ledger):
    with imcm.views(ledger, hostile.fresh_path()) as facts:
        return facts.facts()


READERS = {
    "replay": lambda ledger: list(ledger.replay()),
    "replay without words": lambda ledger: list(ledger.replay(words=False)),
    "facts": lambda ledger: ledger.facts(),
    "facts cut": lambda ledger: ledger.facts(as_of=NOON, known_at=20),
    "facts of a replay": lambda ledger: imcm.facts(ledger.replay()),
    "kept": kept,
    "incident": lambda ledger: ledger.incident("INC-7"),
    "change": lambda ledger: ledger.change("CHG-1"),
    "history": lambda ledger: [repr(one) for one in ledger.history("incident:INC-7")],
    "timeline": lambda ledger: [repr(one) for one in imcm.timeline(ledger.replay())],
    "anomalies": lambda ledger: imcm.anomalies(ledger.replay()),
    "decisions": lambda ledger: imcm.decision_trail(ledger.replay(), "CHG-1").explain(),
    "learned": lambda ledger: imcm.learned(ledger.replay(), known_at_a=5).explain(),
    "dora": lambda ledger: imcm.dora_report(ledger.facts()).as_dict(),
    "restore": lambda ledger: imcm.time_to_restore(ledger.replay()).explain(),
    "as sources knew": lambda ledger: imcm.facts(imcm.as_source_knew(ledger.replay())),
    "frames": lambda ledger: frames.incidents(ledger.replay()).rows(),
    "export": lambda ledger: jsonl.write(ledger.rows(), io.BytesIO()),
    "export without words": lambda ledger: jsonl.write(ledger.rows(), io.BytesIO(), words=False),
    "delivered": lambda ledger: imcm.deliver(
        ledger, hostile.fresh_path(), repr, every=0, stop=hostile.Stopping(100)
    ),
    "verify": lambda ledger: audit.verify(ledger.rows(), hostile.anchors()),
    "prove": lambda ledger: audit.prove(
        ledger.rows(), "incident:INC-7", checkpoint=hostile.anchors()
    ),
    "checkpoint": lambda ledger: audit.checkpoint(ledger.rows(), anchors="", at=NOON),
    "joined": lambda ledger: Ledger.in_memory(clock=hostile.clock).append_rows(ledger.rows()),
}


def read_by_all(path):
    """Read a ledger in every way; only errors of imcm's may come, and facts are the same."""
    told = {}
    try:
        ledger = LedgerReader(path)
    except OURS:
        return told
    with ledger:
        for name, read in READERS.items():
            try:
                told[name] = read(ledger)
            except OURS as error:
                str(error)
    found = {name: told[name] for name in ("facts", "facts of a replay", "kept") if name in told}
    assert 1 >= len({id(one): one for one in found.values() if one != next(iter(found.values()))})
    assert all(one == told.get("facts", one) for one in found.values())
    assert ("facts" in told) == ("facts of a replay" in told)
    return told


class TestADamagedLog:
    @pytest.mark.parametrize("count", [60, pytest.param(3_000, marks=pytest.mark.slow)])
    def test_is_read_by_everything_with_errors_of_imcm_alone(self, count, tmp_path):
        for seed in range(count):
            path = written(tmp_path / f"{seed}.db", damaged(hostile.rows(), random.Random(seed)))
            read_by_all(path)
            audit.verify_file(path, hostile.anchors())
            path.unlink()

    @pytest.mark.parametrize("column", ["state", "topic", "originator_id", "originator_version"])
    @pytest.mark.parametrize("value", ["text", b"bytes", 5, 1.5, None])
    def test_with_a_value_of_another_type_is_no_ledger(self, column, value, tmp_path):
        path = written(tmp_path / "ledger.db", hostile.rows())
        with sqlite3.connect(path) as connection:
            found = connection.execute(
                "SELECT sql FROM sqlite_master WHERE name = 'stored_events'"
            ).fetchone()[0]
            connection.execute("ALTER TABLE stored_events RENAME TO before")
            connection.execute(found.replace("NOT NULL", "").replace(" STRICT", ""))
            connection.execute("INSERT INTO stored_events SELECT * FROM before")
            connection.execute(
                f"UPDATE OR IGNORE stored_events SET {column} = ? WHERE rowid = 5", (value,)
            )
        connection.close()
        read_by_all(path)

    def test_of_a_store_of_another_module_with_a_null_in_it_is_damaged(self):
        ledger = Ledger.in_memory(clock=hostile.clock)
        [recorder] = [ledger._store._recorder]
        stored = recorder._stored_events[0]
        recorder._stored_events[0] = type(stored)(
            stored.originator_id, stored.originator_version, stored.topic, None
        )
        for read in (
            lambda: list(ledger.rows()),
            ledger.facts,
            lambda: ledger.history("ledger:self"),
        ):
            with pytest.raises(errors.NotALedgerError, match="a NoneType and no bytes"):
                read()

    @pytest.mark.parametrize(
        "words", [b"5", b"[]", b'{"why":5}', b'{"title":["a"]}', b'{"title":{}}']
    )
    def test_has_facts_where_words_can_not_be_read(self, words):
        """Whoever reads it: the words of such an event are empty."""
        [row] = [one for one in hostile.rows() if one.stream == "incident:INC-9"][:1]
        state = row.state[: row.state.index(b',"words":')] + b',"words":' + words + b"}"
        event = decode(row._replace(state=state)).event
        assert decode(row, words=False).event == event
        assert "" == event.title

    @pytest.mark.parametrize("type_", ["ChangeCompleted", "LedgerOpened", "RolloutPaused"])
    def test_counts_an_event_of_something_else_as_not_read(self, type_, tmp_path):
        rows = [
            row._replace(type=type_) if row.type == "IncidentReopened" else row
            for row in hostile.rows()
        ]
        state = {"LedgerOpened": b'{"ledger_id":"x","format":1}'}.get(
            type_, b'{"at":"2026-03-06T12:00:00Z","by":"ana"}'
        )
        rows = [
            row._replace(state=hostile.with_event(row.state, state))
            if row.type == type_ and row.stream.startswith("incident")
            else row
            for row in rows
        ]
        told = read_by_all(written(tmp_path / "ledger.db", rows))
        assert {type_: 1} == told["facts"].unread
        assert told["facts"] == told["facts of a replay"] == told["kept"]


# --- events of somebody's own ---------------------------------------------------------------------


class TestEventsOfOnesOwn:
    @pytest.mark.parametrize("module", [incident, change])
    def test_are_none_of_an_incident_or_a_change(self, module):
        with pytest.raises(InvalidValue, match="facts of your own can be kept as labels"):
            module.fold([hostile.Seen()])
        with pytest.raises(InvalidValue, match="facts of your own can be kept as labels"):
            module.evolve(module.INITIAL, hostile.Seen())

    def test_in_a_log_are_counted_as_not_read(self):
        assert {"Seen": 1} == imcm.facts(hostile._own_log()).unread
        told = imcm.facts(hostile._mixed_log()).unread
        assert {"ChangePlanned": 1, "IncidentResolved": 1} == told


# --- bytes of files -------------------------------------------------------------------------------

TOKENS = [
    *("id,title\n", "X-1,Basket\n", ",", "\n", "\r", '"', "\x00", "\ufeff", ";", "x" * 200),
    *("detected_at", "2026-03-06T12:00:00Z", "0001-01-01", "9" * 400, "P1", "caused", "label:"),
    *("merged_into", "status", "closed", "/", "PT1H", "[columns]\n", "a = 1\n", '"a" = "b"\n'),
    *("{", "}", "[", "]", ":", '"stream":', '"state":', '"incident:X"', "1", "-", "e", "tz = "),
]
pieces = st.one_of(
    st.binary(max_size=400),
    st.lists(st.sampled_from(TOKENS), max_size=40).map(lambda told: "".join(told).encode()),
    st.lists(st.sampled_from(TOKENS), max_size=40).map(
        lambda told: b"id,title,detected_at,resolved_at,severity\n" + "".join(told).encode()
    ),
)
examples = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
many = settings(examples, max_examples=5_000)


def of_csv(data, path):
    path.write_bytes(data)
    for name in ("incidents", "changes", "commits"):
        ledger = Ledger.in_memory(clock=hostile.clock)
        try:
            import_csv(ledger, **{name: path}, keep_going=True)
        except OURS as error:
            str(error)
        called(ledger.facts)


def of_jsonl(data, _):
    for lines in (data, export_with(data)):
        try:
            read = list(jsonl.read(io.BytesIO(lines)))
            Ledger.in_memory(clock=hostile.clock).append_rows(read)
        except OURS as error:
            str(error)


def export_with(data):
    """Return an export in which some bytes are other ones."""
    whole = hostile.export()
    at = zlib.crc32(data) % len(whole)
    return whole[:at] + data + whole[at + len(data) :]


def of_toml(data, path):
    path.write_bytes(data)
    try:
        read_mapping(path, tables={"incidents": ["id"]}, closed={"severity": ["P1"]})
    except OURS as error:
        str(error)


def of_anchors(data, _):
    text = data.decode(errors="surrogateescape")
    for given_ in (text, hostile.anchors() + text, text + hostile.anchors()):
        for read in (verifier.read_anchors, verifier.read_proofs, verifier.Key.parse):
            try:
                read(given_)
            except OURS as error:
                str(error)


class TestBytes:
    @pytest.mark.parametrize("read", [of_csv, of_jsonl, of_toml, of_anchors])
    @examples
    @given(data=pieces)
    def test_are_read_or_refused(self, read, data, tmp_path):
        read(data, tmp_path / "file")

    @pytest.mark.slow
    @pytest.mark.parametrize("read", [of_csv, of_jsonl, of_toml, of_anchors])
    @many
    @given(data=pieces)
    def test_are_read_or_refused_whatever_they_are(self, read, data, tmp_path):
        read(data, tmp_path / "file")
