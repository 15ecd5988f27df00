"""Payloads asked place by place: what is left out stands in the list, and takes nothing with it."""

from datetime import UTC, datetime, timedelta

import pytest

from imcm.interchange.payloads import Options, Payload, told
from imcm.interchange.statements import Statement

NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "unit", "parts", "at"),
    [
        (1_772_798_400, timedelta(seconds=1), 1, NOON),
        ("1772798400.5", timedelta(seconds=1), 1, NOON.replace(microsecond=500_000)),
        (1_772_798_400_123, timedelta(milliseconds=1), 1, NOON.replace(microsecond=123_000)),
        (
            1_772_798_400_123_456_999,
            timedelta(microseconds=1),
            1000,
            NOON.replace(microsecond=123_456),
        ),
        (0, timedelta(seconds=1), 1, None),
        ("", timedelta(seconds=1), 1, None),
    ],
)
def test_times_that_are_counted(value, unit, parts, at):
    of = Payload({"t": value})
    assert (of.epoch("t", unit=unit, parts=parts), of.drops) == (at, [])


@pytest.mark.parametrize("value", [[], {}, [1], True, "soon", 1e308, 1 << 70])
def test_what_counts_nothing_is_listed(value):
    of = Payload({"t": value})
    assert of.epoch("t", unit=timedelta(seconds=1)) is None
    assert [each.what for each in of.drops] == ["t"]


def test_a_time_that_came_twice_is_no_certain_one():
    of = Payload({"t": "2026-10-25T01:30:00"}, Options(tz="Europe/London"))
    assert of.time("t") is None
    assert [each.what for each in of.drops] == ["t"]
    assert of.moment("t") is not None


def test_labels_are_the_texts_of_an_object():
    of = Payload({"a": {"x": " y ", "n": 1, "none": None, "list": []}, "b": ["x"]})
    assert of.labels("a") == {"x": "y", "n": "1"}
    assert of.labels("b") == of.labels("c") == {}
    assert [each.what for each in of.drops] == ["a.list", "b"]


def test_one_thing_that_can_not_be_kept_takes_nothing_with_it():
    of = Payload({})
    kept = of.usable(
        "incident",
        {
            "title": "x\x00",
            "monitor": "m",
            "severity": None,
            "resolved_at": None,
            "labels": {"": "x", "ok": "y"},
            "references": {"a": "https://example.org/" + "x" * 500, "b": "x" * 5000},
        },
        none=("resolved_at",),
    )
    assert set(kept) == {"monitor", "resolved_at", "labels", "references"}
    assert (kept["resolved_at"], kept["labels"], set(kept["references"])) == (
        None,
        {"ok": "y"},
        {"a"},
    )
    assert [each.what for each in of.drops] == ["title", "labels.", "references.b"]
    assert Statement(kind="incident", id="1", facts=kept).facts["monitor"] == "m"


def test_what_is_told():
    assert told({"a": "x", "b": None}) == {"a": "x"}
