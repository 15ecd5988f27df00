"""Timelines as documents: Markdown in which hostile words are words, and JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exported
from exported import HOSTILE, LOGS, SECRET, minutes
from imcm import Ledger, incident
from imcm.errors import InvalidValue, UnknownIdError
from imcm.interchange.exports.targets import Ends
from imcm.interchange.exports.timelines import (
    is_timeline_json,
    is_timeline_markdown,
    markdown_text,
    timeline_json,
    timeline_markdown,
    timeline_of,
)
from imcm.plain import plain

markdown_it = pytest.importorskip("markdown_it", reason="rich brings it")
PARSER = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.fixture
def ledger(tmp_path):
    with exported.told(tmp_path / "ledger.db") as made:
        yield made


def cells(document):
    """Return the cells of the one table of a document, each with the kinds of what is in it."""
    tokens = PARSER.parse(document)
    assert [t.type for t in tokens if t.type == "table_open"] == ["table_open"]
    rows, row = [], []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "tr_open":
            row = []
        elif token.type == "inline" and before.type in {"td_open", "th_open"}:
            row.append(token)
        elif token.type == "tr_close":
            rows.append(row)
    return rows


def shown(token):
    """Return the text that a reader sees of a cell, which is nothing but text."""
    kinds = {child.type for child in token.children}
    assert kinds <= {"text", "text_special", "code_inline", "s_open", "s_close"}
    assert all(c.content in "@#" for c in token.children if c.type == "code_inline")
    return "".join(child.content for child in token.children)


def test_hostile_words_are_words(ledger):
    """Every cell shows what the timeline says, and is nothing but text; every row has four."""
    told = timeline_of(ledger, ["INC-1", "CHG-2", "INC-2"])
    rows = cells(timeline_markdown(told))
    assert [shown(token) for token in rows[0]] == ["when", "id", "who", "what"]
    assert len(rows) == len(told.entries) + 1
    for row, entry in zip(rows[1:], told.entries, strict=True):
        assert len(row) == 4
        assert [shown(token) for token in row[1:]] == [
            entry.id,
            entry.by,
            " ".join(plain(entry.line).split()) if "  " in entry.line else plain(entry.line),
        ]
        struck = any(child.type == "s_open" for child in row[3].children)
        assert struck == (entry.voided_by is not None)
    assert any(entry.voided_by is not None for entry in told.entries)
    text = timeline_markdown(told)
    for start in ("@oct", "#7", "www.e", "https://e", "{{"):
        assert start not in text


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
@pytest.mark.parametrize("text", [None, *HOSTILE])
def test_any_text_is_shown_as_it_is(text, drawn):
    """What Markdown shows is the text, on one line."""
    given_text = drawn if text is None else text
    document = f"| a | b |\n|---|---|\n| {markdown_text(given_text)} | x |\n"
    [_, row] = cells(document)
    assert len(row) == 2
    assert shown(row[0]).strip() == plain(given_text).strip()


def test_each_thing_is_told_once_in_order_of_time(ledger):
    """What several ids share is there once; of each the links are there as well."""
    told = timeline_of(ledger, ["INC-1", "change:CHG-1", "INC-1"])
    assert told.ids == ("incident:INC-1", "change:CHG-1")
    positions = [entry.position for entry in told.entries]
    assert len(set(positions)) == len(positions)
    alone = timeline_of(ledger, ["INC-1"], linked=False)
    assert {entry.id for entry in alone.entries} == {"INC-1"}
    assert list(alone.entries) == [e for e in told.entries if e.id == "INC-1"]
    earlier = timeline_of(ledger, ["INC-1"], known_at=minutes(64), linked=False)
    assert len(earlier.entries) < len(alone.entries)
    assert earlier.log_position < alone.log_position


def test_json(ledger):
    """The entries are those of the command line, with what they are of."""
    told = timeline_of(ledger, ["INC-1"])
    document = json.loads(timeline_json(told))
    assert document["ids"] == ["incident:INC-1"]
    assert document["ledger"] == ledger.ledger_id
    assert [e["position"] for e in document["entries"]] == [e.position for e in told.entries]
    assert document["entries"][0]["told"] == told.entries[0].line
    assert is_timeline_json(Ends("x", timeline_json(told), b""))
    assert is_timeline_markdown(Ends("x", timeline_markdown(told).encode(), b""))
    assert not is_timeline_json(Ends("x", b"[]", b""))
    assert not is_timeline_markdown(Ends("x", b"# Timeline", b""))


@pytest.mark.parametrize("name", LOGS)
def test_every_golden_log(name, tmp_path):
    """The timeline of each incident and change there is can be written."""
    with exported.golden(name, tmp_path / "ledger.db") as ledger:
        facts = ledger.facts()
        streams = [f"incident:{row.id}" for row in facts.incidents]
        streams += [f"change:{row.id}" for row in facts.changes]
        told = timeline_of(ledger, streams)
        assert len(cells(timeline_markdown(told))) == len(told.entries) + 1
        assert len(json.loads(timeline_json(told))["entries"]) == len(told.entries)


def test_golden_files(tmp_path, golden_file):
    """The files of a golden log are as they were."""
    with exported.golden("v0.1-named", tmp_path / "ledger.db") as ledger:
        told = timeline_of(ledger, [f"incident:{row.id}" for row in ledger.facts().incidents])
        golden_file("named.timeline.md", timeline_markdown(told).encode())
        golden_file("named.timeline.json", timeline_json(told))


def test_redacted_words_stay_gone(ledger):
    """What was taken out is in neither, also not when an earlier state is asked for."""
    for known_at in (None, minutes(68)):
        told = timeline_of(ledger, ["INC-2"], known_at=known_at)
        assert SECRET not in timeline_markdown(told)
        assert SECRET.encode() not in timeline_json(told)


def test_what_is_refused(tmp_path):
    """Ids that are not there, none at all, and other things."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.record("INC-1", incident.detect, by="a", at=minutes(0), title="x")
        with pytest.raises(UnknownIdError):
            timeline_of(ledger, ["INC-7"])
        for ids in ([], "INC-1", 5):
            with pytest.raises(InvalidValue):
                timeline_of(ledger, ids)
        with pytest.raises(InvalidValue):
            timeline_of("ledger", ["INC-1"])
        for call in (timeline_markdown, timeline_json):
            with pytest.raises(InvalidValue):
                call("timeline")
