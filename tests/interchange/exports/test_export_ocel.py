"""OCEL 2.0: the rules of the specification, what pm4py reads of it, and what is in it."""

from __future__ import annotations

import io
import json
import re
import warnings

import pytest

import exported
from exported import HOSTILE, LOGS, SECRET, minutes
from imcm import Ledger
from imcm.errors import InvalidValue
from imcm.interchange.exports.ocel import is_ocel, write_ocel
from imcm.interchange.exports.targets import Ends

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
CLASSES = {"string": str, "integer": int, "float": (int, float), "boolean": bool}


def written(ledger, **options):
    file = io.BytesIO()
    done = write_ocel(ledger, file, **options)
    log = json.loads(file.getvalue())
    assert done.events == len(log["events"])
    return log, done


def types_of(listed):
    """Return the attributes of each type; names are there once."""
    names = [each["name"] for each in listed]
    assert len(set(names)) == len(names)
    found = {}
    for each in listed:
        assert set(each) == {"name", "attributes"}
        attributes = {one["name"]: one["type"] for one in each["attributes"]}
        assert len(attributes) == len(each["attributes"])
        assert set(attributes.values()) <= {*CLASSES, "time"}
        found[each["name"]] = attributes
    return found


def check(log):
    """Hold a log against the rules of the specification."""
    assert set(log) == {"eventTypes", "objectTypes", "events", "objects"}
    event_types, object_types = types_of(log["eventTypes"]), types_of(log["objectTypes"])
    ids = {each["id"] for each in log["objects"]}
    assert len(ids) == len(log["objects"])
    assert len({each["id"] for each in log["events"]}) == len(log["events"])
    assert {each["type"] for each in log["events"]} == set(event_types)
    for each in log["events"]:
        assert set(each) == {"id", "type", "time", "attributes", "relationships"}
        assert TIME.fullmatch(each["time"])
        assert each["relationships"]
        names = [one["name"] for one in each["attributes"]]
        assert len(set(names)) == len(names)  # an event has one value of each
        held(each, event_types, ids)
    for each in log["objects"]:
        assert set(each) == {"id", "type", "attributes", "relationships"}
        assert all(TIME.fullmatch(one["time"]) for one in each["attributes"])
        held(each, object_types, ids)


def held(each, types, ids):
    for one in each["attributes"]:
        type_ = types[each["type"]][one["name"]]
        if type_ == "time":
            assert TIME.fullmatch(one["value"])
        else:
            assert isinstance(one["value"], CLASSES[type_])
            assert type_ == "boolean" or not isinstance(one["value"], bool)
    relations = [(one["objectId"], one["qualifier"]) for one in each["relationships"]]
    assert len(set(relations)) == len(relations)
    for object_id, qualifier in relations:
        assert object_id in ids
        assert isinstance(qualifier, str)
        assert qualifier


@pytest.fixture
def ledger(tmp_path):
    with exported.told(tmp_path / "ledger.db") as made:
        yield made


def related(each):
    return {(one["objectId"], one["qualifier"]) for one in each["relationships"]}


def attribute(each, name):
    return [(one.get("time"), one["value"]) for one in each["attributes"] if one["name"] == name]


def test_what_is_in_it(ledger):
    """Relations have their qualifiers, severities their times; edits are told in what they edit."""
    log, done = written(ledger)
    check(log)
    events = {each["id"]: each for each in log["events"]}
    objects = {each["id"]: each for each in log["objects"]}
    detected = events["incident:INC-1/1"]
    assert related(detected) == {
        ("incident:INC-1", "incident"),
        ("person:prometheus", "by"),
        ("service:checkout", "service"),
    }
    assert detected["time"] == "2026-03-06T12:04:00Z"
    assert attribute(detected, "earliest") == [(None, "2026-03-06T12:03:00Z")]
    assert attribute(detected, "title") == [(None, HOSTILE[4])]
    verdict = events["incident:INC-1/5"]
    assert ("change:CHG-1", "caused") in related(verdict)
    assert events["incident:INC-1/7"]["time"] == "2026-03-06T13:01:00Z"  # as corrected
    assert "incident:INC-2/2" not in events  # voided
    unknown = events["incident:INC-9/1"]
    assert attribute(unknown, "time is of") == [(None, "recording")]
    assert attribute(unknown, "imported from") == [(None, "tool")]
    incident = objects["incident:INC-1"]
    assert attribute(incident, "severity") == [
        ("2026-03-06T12:07:00Z", "P3"),
        ("2026-03-06T12:08:00Z", "P1"),
    ]
    assert related(incident) == {
        ("service:checkout", "affects"),
        ("change:CHG-1", "caused"),
        ("change:CHG-3", "fixed"),
    }
    assert related(objects["incident:INC-3"]) == {("incident:INC-1", "merged into")}
    assert related(objects["change:CHG-1"]) == {
        ("service:checkout", "changes"),
        ("service:=cart", "changes"),
        ("incident:INC-1", "because of"),
        ("person:ana", "requested by"),
    }
    assert {each["type"] for each in log["objects"]} == {"incident", "change", "service", "person"}
    assert done.left_out == {"a correction or a void, told in what it is of": 2, "voided": 1}


@pytest.mark.parametrize("name", LOGS)
def test_every_golden_log(name, tmp_path):
    """Events of every type that there ever was, with words and without."""
    with exported.golden(name, tmp_path / "ledger.db") as ledger:
        for words in (True, False):
            log, _ = written(ledger, words=words)
            check(log)
        names = {one["name"] for each in log["eventTypes"] for one in each["attributes"]}
        assert not names & {"title", "why", "text", "note", "evidence", "description"}


def test_golden_file(tmp_path, golden_file):
    """The file of a golden log is as it was."""
    with exported.golden("v0.1-named", tmp_path / "ledger.db") as ledger:
        file = io.BytesIO()
        write_ocel(ledger, file)
    golden_file("named.ocel.json", file.getvalue())


def test_pm4py_reads_it(ledger, tmp_path):
    """Where that library is installed, it reads as many events, objects and relations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pm4py = pytest.importorskip("pm4py")
        path = tmp_path / "log.json"
        with path.open("wb") as file:
            write_ocel(ledger, file)
        log = json.loads(path.read_bytes())
        read = pm4py.read_ocel2_json(str(path))
        assert len(read.events) == len(log["events"])
        assert len(read.objects) == len(log["objects"])
        assert len(read.relations) == sum(len(each["relationships"]) for each in log["events"])
        assert len(read.o2o) == sum(len(each["relationships"]) for each in log["objects"])
        [change] = read.object_changes.to_dict("records")
        assert (change["ocel:oid"], change["severity"]) == ("incident:INC-1", "P1")
        graph = pm4py.discover_oc_petri_net(read)
        assert set(graph["object_types"]) == {"incident", "change", "service", "person"}


def test_redacted_words_stay_gone(ledger):
    """What was taken out is nowhere, also not when an earlier state is asked for."""
    for known_at in (None, minutes(68)):
        assert SECRET not in json.dumps(written(ledger, known_at=known_at)[0])


def test_an_empty_ledger(tmp_path):
    """Nothing is a log without events, that is read all the same."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        log, _ = written(ledger)
    check(log)
    assert (log["events"], log["objects"], log["eventTypes"]) == ([], [], [])


def test_what_is_refused_and_what_is_known_again(ledger):
    """Arguments that can't be right are named; a file of ours is known."""
    with pytest.raises(InvalidValue):
        write_ocel("a ledger", io.BytesIO())
    with pytest.raises(InvalidValue):
        write_ocel(ledger, None)
    file = io.BytesIO()
    write_ocel(ledger, file)
    assert is_ocel(Ends("x", file.getvalue()[:99], b""))
    assert not is_ocel(Ends("x", b'{"objects":[', b""))
