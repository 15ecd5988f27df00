"""One file, an older and a newer version: what the newer one wrote, the older one keeps."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imcm import Ledger, LedgerReader, audit, change, incident
from imcm.domain.recorded import Unread
from imcm.errors import UnreadEventError
from imcm.interchange.jsonl import read, write
from imcm.projections.facts.fold import facts
from imcm.projections.figures.restore import time_to_restore

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
GOLDEN = Path(__file__).parents[1] / "golden" / "v0.1.jsonl"

NEWER_FORMAT = (
    b'{"format":2,"record":"r2","recorded_at":"2026-03-02T12:00:00.000000Z",'
    b'"event":{"at":"2026-03-02T11:00:00Z","by":"zoe","status":"resolved"}}'
)
NEWER_FIELDS = (
    b'{"format":1,"record":"r3","recorded_at":"2026-03-02T12:00:00.000000Z","trace":"t-1",'
    b'"event":{"at":"2026-03-02T11:00:00Z","by":"zoe","mode":"real","mood":["calm",{"of":1.50}],'
    b'"status":"detected"},"words":{"salt":"00","title":"Suche fehlt","haiku":"\xc3\xbcber"}}'
)
NEWER_TYPE = (
    b'{"format":1,"record":"r4","recorded_at":"2026-03-02T12:00:00.000000Z",'
    b'"event":{"to": "mars" ,"by":"zoe"}}'
)
NEWER_STORE = bytes(range(256))


@pytest.fixture
def newer(path, put):
    """A ledger in which a newer version has recorded beside this one."""
    with Ledger(path, clock=lambda: NOW) as ledger:
        for id in ("INC-1", "INC-2", "INC-3"):
            ledger.record(id, incident.detect, by="ana", at=AT, title="down")
        ledger.record("INC-1", incident.resolve, by="ana", at=AT + timedelta(minutes=30))
    put(path, "incident:INC-2", 2, "IncidentTeleported", NEWER_TYPE)
    put(path, "incident:INC-3", 2, "IncidentResolved", NEWER_FORMAT)
    put(path, "incident:INC-4", 1, "IncidentDetected", NEWER_FIELDS)
    put(path, "change:CHG-1", 1, "ChangeDreamt", NEWER_TYPE)
    put(path, "risk:R-1", 1, "RiskSeen", NEWER_TYPE)
    return path


def exported(ledger):
    file = io.BytesIO()
    write(ledger.rows(), file)
    return file.getvalue()


def together(ledger, id, step):
    """Record on a new stream and on another, both or none."""
    with ledger.transaction() as tx:
        tx.record("INC-9", incident.detect, by="ana", at=AT, title="x")
        tx.record(id, step, by="ana", at=AT)


class TestWrittenByANewerVersion:
    def test_all_of_it_is_replayed_and_what_can_be_read_is_read(self, newer):
        with LedgerReader(newer) as reader:
            log = list(reader.replay())[5:]
        assert [
            (r.stream, r.version, r.event.type if isinstance(r.event, Unread) else r.event.title)
            for r in log
        ] == [
            ("incident:INC-2", 2, "IncidentTeleported"),
            ("incident:INC-3", 2, "IncidentResolved"),
            ("incident:INC-4", 1, "Suche fehlt"),
            ("change:CHG-1", 1, "ChangeDreamt"),
            ("risk:R-1", 1, "RiskSeen"),
        ]
        states = [r.event.state for r in log if isinstance(r.event, Unread)]
        assert [NEWER_TYPE, NEWER_FORMAT, NEWER_TYPE, NEWER_TYPE] == states

    def test_figures_count_what_they_could_not_read(self, newer):
        with LedgerReader(newer) as reader:
            found = facts(reader.replay())
            figure = time_to_restore(reader.replay())
        # A kind of stream that is not known has no incidents and changes in it to be missed.
        expected = {"ChangeDreamt": 1, "IncidentResolved": 1, "IncidentTeleported": 1}
        assert expected == found.unread
        assert ["INC-1", "INC-2", "INC-3", "INC-4"] == [row.id for row in found.incidents]
        assert (1800.0, 1) == (figure.value, figure.n)
        assert "IncidentTeleported" in str(figure.explain())

    def test_it_is_anchored_and_verified(self, newer):
        with LedgerReader(newer) as reader:
            anchors = audit.checkpoint(reader.rows(), anchors="", at=NOW)
            assert "OK" == audit.verify(reader.rows(), anchors).outcome
        assert ("OK", 10) == (
            audit.verify_file(newer, anchors).outcome,
            audit.verify_file(newer, anchors).size,
        )

    @pytest.mark.parametrize(
        ("id", "step", "named"),
        [
            ("INC-2", incident.acknowledge, "IncidentTeleported"),
            ("INC-3", incident.acknowledge, "format 2"),
            ("CHG-1", change.submit, "ChangeDreamt"),
        ],
    )
    def test_nothing_is_recorded_on_a_stream_that_is_not_understood(self, newer, id, step, named):
        with Ledger(newer, clock=lambda: NOW) as ledger:
            before = list(ledger.rows())
            with pytest.raises(UnreadEventError, match=named) as caught:
                ledger.record(id, step, by="ana", at=AT)
            assert "update imcm" in str(caught.value)
            with pytest.raises(UnreadEventError, match=named):
                together(ledger, id, step)
            assert before == list(ledger.rows())

    def test_on_other_streams_it_is(self, newer):
        with Ledger(newer, clock=lambda: NOW) as ledger:
            for id, version in (("INC-1", 3), ("INC-4", 2)):
                at = AT + timedelta(minutes=40)
                [r] = ledger.record(
                    id, incident.assign_role, by="ana", at=at, role="scribe", person="b"
                )
                assert version == r.version
            [r] = ledger.record("INC-9", incident.detect, by="ana", at=AT, title="x")
            assert 1 == r.version
            states = {row.state for row in ledger.rows()}
        assert {NEWER_TYPE, NEWER_FORMAT, NEWER_FIELDS} < states

    def test_export_and_restore_keep_it_byte_for_byte(self, newer, tmp_path):
        with LedgerReader(newer) as reader:
            rows, told = list(reader.rows()), exported(reader)
        with Ledger.restored(tmp_path / "again.db", read(io.BytesIO(told))) as again:
            assert rows == list(again.rows())
            assert told == exported(again)
        for state in (NEWER_TYPE, NEWER_FORMAT, NEWER_FIELDS):
            assert b'"state":' + state + b"}\n" in told

    def test_a_state_that_is_no_json_is_exported_restored_and_anchored_too(
        self, newer, put, tmp_path
    ):
        """A newer version might store in another way; to read it is refused, to keep it is not."""
        put(newer, "incident:INC-5", 1, "IncidentDetected", NEWER_STORE)
        with LedgerReader(newer) as reader:
            told = exported(reader)
            anchors = audit.checkpoint(reader.rows(), anchors="", at=NOW)
        with Ledger.restored(tmp_path / "again.db", read(io.BytesIO(told))) as again:
            assert NEWER_STORE == list(again.rows())[-1].state
            assert told == exported(again)
        assert "OK" == audit.verify_file(tmp_path / "again.db", anchors).outcome


class TestGoldenLog:
    def test_extended_by_this_version_its_lines_stay_as_they_were(self, tmp_path):
        golden = GOLDEN.read_bytes()
        path = tmp_path / "ledger.db"
        Ledger.restored(path, read(io.BytesIO(golden))).close()
        with Ledger(path, clock=lambda: NOW) as ledger:
            ledger.record("INC-2", incident.acknowledge, by="ana", at=AT)
            ledger.record("NEW", incident.detect, by="ana", at=AT, title="Neu")
            told = exported(ledger)
        assert told.startswith(golden)
        added = [json.loads(line) for line in told[len(golden) :].splitlines()]
        assert [("incident:INC-2", 8), ("incident:NEW", 1)] == [
            (line["stream"], line["version"]) for line in added
        ]

    def test_an_anchor_of_it_holds_for_what_it_became(self, tmp_path):
        golden, path = GOLDEN.read_bytes(), tmp_path / "ledger.db"
        with Ledger.restored(path, read(io.BytesIO(golden)), clock=lambda: NOW) as ledger:
            anchors = audit.checkpoint(ledger.rows(), anchors="", at=NOW)
            ledger.record("NEW", incident.detect, by="ana", at=AT, title="Neu")
        judged = audit.verify_file(path, anchors)
        assert ("OK", 1) == (judged.outcome, judged.newer)
