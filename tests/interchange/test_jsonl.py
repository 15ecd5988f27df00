"""The JSONL export: what is written is read again to the byte, and nothing else is taken."""

import hashlib
import io
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm import Ledger, LedgerReader, change, incident
from imcm.codec.decoding import decode
from imcm.codec.rows import StoredEvent
from imcm.domain.vocabulary import Audience, ChangeType, Commit, Severity
from imcm.errors import MalformedLineError, StepRefused, StoreError
from imcm.interchange.jsonl import read, write

T0 = datetime(2024, 5, 1, 9, 0, tzinfo=UTC)
GOOD = b'{"stream":"incident:1","version":1,"type":"T","state":{"a":1}}\n'


def lines(data):
    return io.BytesIO(data)


def written(rows, **options):
    file = io.BytesIO()
    write(rows, file, **options)
    return file.getvalue()


class TestWrite:
    def test_a_line_holds_the_state_as_it_stands(self):
        """The stored bytes go into the line unchanged, escapes and number forms included."""
        state = b'{"b": 1.0e2,"a":"\\u00e9\\/ \xc3\xa9"}'
        expected = b'{"stream":"incident:\xc3\xa9\\"x","version":3,"type":"T","state":%b}\n' % state
        assert expected == written([StoredEvent(9, 'incident:é"x', 3, "T", state)])

    def test_returns_how_many(self):
        """The number of rows comes back."""
        file = io.BytesIO()
        assert (
            write(
                [StoredEvent(1, "a:b", 1, "T", b"{}"), StoredEvent(2, "a:b", 2, "T", b"{}")], file
            )
            == 2
        )
        assert write([], file) == 0

    @pytest.mark.parametrize(
        "state",
        [
            b"",
            b"\x00\xff",
            b"[1]",
            b"5",
            b"{",
            b'{"a":}',
            b'{"a":1} ',
            b' {"a":1}',
            b'{"a":\n1}',
            b'{"a":\r1}',
            b'{"a":"\xff"}',
            b'{"a":1}}',
            b"{" + b'"a":{' * 100_000 + b"}",
        ],
    )
    def test_what_cannot_stand_in_a_line_goes_as_base64(self, state):
        """A state that is no object in one line is kept too, in state64."""
        data = written([StoredEvent(1, "a:b", 1, "T", state)])
        assert b'"state64":"' in data
        assert data.count(b"\n") == 1
        if state:
            assert state == next(read(lines(data))).state


class TestRead:
    def test_positions_are_line_numbers(self):
        """A row's position is its line."""
        data = GOOD + GOOD.replace(b"incident:1", b"incident:2")
        expected = [
            StoredEvent(1, "incident:1", 1, "T", b'{"a":1}'),
            StoredEvent(2, "incident:2", 1, "T", b'{"a":1}'),
        ]
        assert expected == list(read(lines(data)))

    def test_streams(self):
        """Rows come as the lines are asked for; what is wrong later is found later."""
        rows = read(iter([GOOD, b"nonsense\n"]))
        assert next(rows).stream == "incident:1"
        with pytest.raises(MalformedLineError):
            next(rows)

    @pytest.mark.parametrize(
        ("data", "line", "why"),
        [
            (b"", 1, "the file is empty"),
            (b"\n", 1, "not JSON"),
            (b"nonsense\n", 1, "not JSON"),
            (b"[1]\n", 1, "no recorded event"),
            (GOOD + b"\n", 2, "not JSON"),
            (GOOD[:-1], 1, "cut off"),
            (GOOD[:30], 1, "cut off"),
            (GOOD[:30] + b"\n", 1, "not JSON"),
            (GOOD.replace(b"T", b"\xff"), 1, "not UTF-8"),
            (GOOD.replace(b'"a"', b'"\xff"'), 1, "not UTF-8"),
            (GOOD.replace(b'"version":1,', b""), 1, "missing required field `version`"),
            (GOOD.replace(b'"stream":"incident:1",', b""), 1, "missing required field `stream`"),
            (GOOD.replace(b'"type":"T",', b""), 1, "missing required field `type`"),
            (GOOD.replace(b',"state":{"a":1}', b""), 1, "no state"),
            (GOOD.replace(b'"state":{"a":1}', b'"state64":""'), 1, "no state"),
            (GOOD.replace(b'"state":{"a":1}', b'"state64":"x"'), 1, "not base64"),
            (GOOD.replace(b'"state":{"a":1}', b'"state64":"e30="'), 1, "in another way"),
            (GOOD.replace(b'{"a":1}', b"null"), 1, "in another way"),
            (GOOD.replace(b'{"a":1}', b"5"), 1, "in another way"),
            (GOOD.replace(b'{"a":1}', b'{"a":' * 200_000), 1, "not JSON"),
            (GOOD.replace(b'"state"', b'"extra":1,"state"'), 1, "unknown field `extra`"),
            (GOOD.replace(b'"state"', b'"state64":"AAAA","state"'), 1, "in another way"),
            (GOOD.replace(b'"type":"T"', b'"type":"S","type":"T"'), 1, "in another way"),
            (GOOD.replace(b'"state":', b'"state": '), 1, "in another way"),
            (GOOD.replace(b"}\n", b"}\r\n"), 1, "in another way"),
            (GOOD.replace(b'"version":1', b'"version":0'), 1, ">= 1"),
            (GOOD.replace(b'"version":1', b'"version":true'), 1, "Expected `int`"),
            (GOOD.replace(b'"version":1', b'"version":"1"'), 1, "Expected `int`"),
            (GOOD.replace(b'"incident:1"', b'""'), 1, "length >= 1"),
            (GOOD + GOOD, 2, "version 1 of incident:1 comes again after 1"),
            (GOOD.replace(b"1,", b"2,"), 1, "has version 2 where 1 belongs"),
            (
                GOOD + GOOD.replace(b":1,", b":2,") + GOOD,
                3,
                "version 1 of incident:1 comes again after 2",
            ),
            (b"\xef\xbb\xbf" + GOOD, 1, "not JSON"),
        ],
    )
    def test_refuses(self, data, line, why):
        """Whatever is not a line of an export is refused, naming the line."""
        with pytest.raises(MalformedLineError) as caught:
            list(read(lines(data)))
        assert line == caught.value.line
        assert why in caught.value.why

    def test_every_cut_is_seen_or_leaves_whole_lines(self):
        """A file cut at any byte is refused, or is a whole number of lines."""
        data = GOOD + GOOD.replace(b"incident:1", b"incident:2")
        for end in range(1, len(data)):
            if data[:end].endswith(b"\n"):
                assert len(list(read(lines(data[:end])))) == 1
            else:
                with pytest.raises(MalformedLineError):
                    list(read(lines(data[:end])))

    @given(st.binary(max_size=200))
    def test_bytes_of_any_kind_are_read_or_refused(self, data):
        """Reading ends in rows that write the same bytes, or in our error."""
        try:
            rows = list(read(lines(data)))
        except MalformedLineError:
            return
        assert data == written(rows)

    @given(
        st.lists(
            st.tuples(st.text(min_size=1), st.text(min_size=1), st.binary(min_size=1)), min_size=1
        )
    )
    def test_rows_of_any_kind_come_back(self, given_rows):
        """Any row, whatever its bytes, is the same after a round trip."""
        rows = [
            StoredEvent(number, f"{number}:{stream}", 1, name, state)
            for number, (stream, name, state) in enumerate(given_rows, start=1)
        ]
        assert rows == list(read(lines(written(rows))))


class TestWithoutWords:
    def test_words_become_their_hash(self):
        """The facts stay byte for byte; in place of the words stands their SHA-256."""
        state = b'{"format":1,"event":{"words":1},"words":{"salt":"00","title":"secret"}}'
        words = b'{"salt":"00","title":"secret"}'
        digest = hashlib.sha256(words).hexdigest().encode()
        expected = state.replace(words, b'{"redacted":"%b"}' % digest)
        data = written([StoredEvent(1, "incident:1", 1, "T", state)], words=False)
        assert expected == next(read(lines(data))).state

    @pytest.mark.parametrize(
        "state",
        [b'{"format":1,"event":{}}', b'{"event":{},"words":{"redacted":"%b"}}' % (b"0" * 64)],
    )
    def test_without_words_nothing_changes(self, state):
        """A state without words, or with words redacted before, stays as it is."""
        data = written([StoredEvent(1, "incident:1", 1, "T", state)], words=False)
        assert state == next(read(lines(data))).state

    @pytest.mark.parametrize(
        ("state", "why"),
        [
            (b"\x00", "not plain JSON"),
            (b'{"words":{},"event":{}}', "not the last member"),
            (b'{"words":{"a":1},"words": {"a":1}}', "not the last member"),
        ],
    )
    def test_refuses_what_it_cannot_take_words_out_of(self, state, why):
        """Rather no export than one in which words are left by mistake."""
        with pytest.raises(StoreError, match=why):
            written([StoredEvent(1, "incident:1", 1, "T", state)], words=False)

    def test_a_real_event_reads_as_redacted(self):
        """An event exported without words is the same event with empty words."""
        ledger = Ledger.in_memory()
        ledger.record("INC-1", incident.detect, by="ana", at=T0, title="checkout is down")
        data = written(ledger.rows(), words=False)
        assert b"checkout" not in data
        *_, recorded = (decode(row) for row in read(lines(data)))
        assert recorded.redacted
        assert recorded.event.title == ""
        assert recorded.event.at == T0


# --- a whole ledger -------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "detect",
                "acknowledge",
                "triage",
                "post_update",
                "resolve",
                "reopen",
                "plan",
                "submit",
                "approve",
                "start",
                "complete",
            ]
        ),
        st.sampled_from(["1", "2", "é-3"]),
        st.integers(0, 500),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    ),
    max_size=25,
)


def random_ledger(steps):
    """Return a ledger in memory on which *steps* were tried; refused ones leave nothing."""
    ledger = Ledger.in_memory()
    for name, id_, minutes, words in steps:
        at = T0 + timedelta(minutes=minutes)
        more = {
            "detect": {"title": words},
            "triage": {"severity": Severity.P2},
            "post_update": {"audience": Audience.PUBLIC, "text": words or "-"},
            "reopen": {"why": words or "-"},
            "plan": {
                "type": ChangeType.NORMAL,
                "title": words,
                "rollback_plan": "revert",
                "risk": "low",
            },
            "start": {"commits": [Commit(id="abc", committed_at=at)]},
        }.get(name, {})
        step = getattr(change, name, None) or getattr(incident, name)
        try:
            ledger.record(id_, step, by="bob" if name == "approve" else "ana", at=at, **more)
        except (StepRefused, ValueError, TypeError):
            continue
    return ledger


class TestRestore:
    @settings(max_examples=40, deadline=None)
    @given(STEPS)
    def test_export_restore_export_is_the_identity(self, steps):
        """A ledger restored from an export exports the same bytes again."""
        ledger = random_ledger(steps)
        first = written(ledger.rows())
        with tempfile.TemporaryDirectory() as folder:
            with Ledger.restored(Path(folder, "copy.db"), read(lines(first))) as copy:
                assert first == written(copy.rows())
                assert list(ledger.replay()) == list(copy.replay())
            with LedgerReader(Path(folder, "copy.db")) as reader:
                assert ledger.ledger_id == reader.ledger_id
                assert first == written(reader.rows())

    def test_an_event_of_unknown_type_survives(self, tmp_path):
        """What a newer version wrote goes through an older one unchanged."""
        ledger = Ledger.in_memory()
        newer = StoredEvent(
            2,
            "incident:1",
            1,
            "IncidentSungAbout",
            b'{"format":7,"record":"00","recorded_at":"2031-01-01T00:00:00Z","event":{"x":[1]}}',
        )
        first = written([*ledger.rows(), newer])
        with Ledger.restored(tmp_path / "copy.db", read(lines(first))) as copy:
            assert first == written(copy.rows())
