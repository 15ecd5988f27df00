"""
The audit commands, on real files; the verifier as a process of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import imcm as library
from commands import run_here as imcm
from imcm import Ledger, Risk, change, incident, verifier
from test_cli import digest

pytest.importorskip("typer", reason="the command line is an extra")

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=5)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    stamps = iter(NOW + timedelta(minutes=n) for n in range(100))
    with Ledger(path, clock=lambda: next(stamps)) as book:

        def record(id: str, step: object, hours: float, by: str = "ann", **more: object) -> None:
            book.record(id, step, by=by, at=AT + timedelta(hours=hours), **more)  # type: ignore[call-overload]

        plan = {"title": "Basket", "services": ["pay"], "risk": Risk.LOW, "rollback_plan": "back"}
        record("CHG-1", change.plan, 0, by="lena", **plan)
        record("CHG-1", change.submit, 0.1, by="lena")
        record("CHG-1", change.approve, 0.2, by="mia")
        record("CHG-1", change.start, 0.3, by="bot")
        record("CHG-1", change.complete, 0.5, by="bot")
        record("INC-1", incident.detect, 1, title="Ms Lindqvist can't pay", services=["pay"])
        record("INC-1", incident.link_change, 1.5, change="CHG-1", verdict="caused", why="see")
        record("INC-1", incident.resolve, 3)
        record(
            "INC-1", incident.correct, 4, by="ben", version=1, field="at",
            was=AT + timedelta(hours=1), now=AT + timedelta(minutes=40), why="the graphs",
        )  # fmt: skip
    return path


@pytest.fixture
def anchors(ledger: Path) -> Path:
    path = ledger.with_name("anchors.txt")
    ran = imcm("audit", "checkpoint", "--ledger", ledger, "--anchors", path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "10 events, appended to" in ran.stdout
    return path


def alter(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


class TestCheckpoints:
    def test_verify_says_ok_and_how_many_are_newer(self, ledger: Path, anchors: Path) -> None:
        with Ledger(ledger) as book:
            book.record("INC-2", incident.detect, by="ann", at=AT, title="another")
        before = digest(ledger)
        ran = imcm("audit", "verify", "--ledger", ledger, "--anchors", anchors)
        assert (0, "") == (ran.returncode, ran.stderr)
        assert "OK: the log matches every anchor" in ran.stdout
        assert "1 event newer than the last anchor that matches" in ran.stdout
        assert before == digest(ledger)

    def test_a_second_checkpoint_continues_the_first(self, ledger: Path, anchors: Path) -> None:
        with Ledger(ledger) as book:
            book.record("INC-2", incident.detect, by="ann", at=AT, title="another")
        assert 0 == imcm("audit", "checkpoint", "--ledger", ledger, "--anchors", anchors).returncode
        assert [10, 11] == [n.size for n in verifier.read_anchors(anchors.read_text())]
        told = imcm("audit", "verify", "--ledger", ledger, "--anchors", anchors, "--json")
        verdict = json.loads(told.stdout)
        assert ("OK", 2, 0) == (verdict["outcome"], verdict["matched"], verdict["newer"])

    def test_an_altered_log_is_found_and_gets_no_checkpoint(
        self, ledger: Path, anchors: Path
    ) -> None:
        alter(ledger, "UPDATE stored_events SET topic = 'IncidentClosed' WHERE rowid = 9")
        ran = imcm("audit", "verify", "--ledger", ledger, "--anchors", anchors)
        assert 1 == ran.returncode
        assert ran.stdout.startswith("DIFFERS")
        assert "events 1 to 10" in ran.stdout
        text = anchors.read_text()
        ran = imcm("audit", "checkpoint", "--ledger", ledger, "--anchors", anchors)
        assert (1, "") == (ran.returncode, ran.stdout)
        assert "imcm: no checkpoint of this log is made: DIFFERS" in ran.stderr
        assert text == anchors.read_text()

    def test_a_cut_log_is_truncated(self, ledger: Path, anchors: Path) -> None:
        alter(ledger, "DELETE FROM stored_events WHERE rowid > 8")
        ran = imcm("audit", "verify", "--ledger", ledger, "--anchors", anchors)
        assert 1 == ran.returncode
        assert ran.stdout.startswith("TRUNCATED\n2 events fewer than the 10 of an anchor")

    def test_an_export_verifies_like_the_ledger(
        self, ledger: Path, anchors: Path, tmp_path: Path
    ) -> None:
        for name, option in (("all.jsonl", "--words"), ("facts.jsonl", "--no-words")):
            file = tmp_path / name
            imcm("export", "jsonl", "--ledger", ledger, "--to", file, option)
            ran = imcm("audit", "verify", "--ledger", file, "--anchors", anchors)
            assert 0 == ran.returncode, ran.stdout
            ran = imcm("audit", "checkpoint", "--ledger", file, "--anchors", tmp_path / "b.txt")
            assert 0 == ran.returncode, ran.stderr
            roots = {
                n.root
                for p in (anchors, tmp_path / "b.txt")
                for n in verifier.read_anchors(p.read_text())
            }
            assert 1 == len(roots)

    def test_the_verifier_alone_says_the_same(
        self, ledger: Path, anchors: Path, tmp_path: Path
    ) -> None:
        """One file, copied into an empty folder, with nothing else installed."""
        alone = tmp_path / "alone"
        alone.mkdir()
        shutil.copy(Path(library.__file__).with_name("verifier.py"), alone)

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-I", "-S", "verifier.py", str(ledger), str(anchors)],
                cwd=alone, capture_output=True, text=True, check=False,
            )  # fmt: skip

        ran = run()
        assert (0, "") == (ran.returncode, ran.stderr)
        assert "OK: the log matches every anchor" in ran.stdout
        alter(ledger, "UPDATE stored_events SET originator_id = 'incident:X' WHERE rowid = 9")
        assert 1 == run().returncode


class TestSigning:
    def test_signed_from_key_to_verdict(self, ledger: Path, tmp_path: Path) -> None:
        key, anchors = tmp_path / "key.pem", tmp_path / "signed.txt"
        made = imcm("audit", "key", "example.org/audit", "--to", key)
        vkey = made.stdout.strip()
        assert vkey.startswith("example.org/audit+")
        assert 0o600 == key.stat().st_mode & 0o777
        again = imcm("audit", "key", "example.org/audit", "--to", key)
        assert (1, "exists already" in again.stderr) == (again.returncode, True)
        log = ("--ledger", ledger, "--anchors", anchors)
        signing = ("--sign", key, "--name", "example.org/audit")
        for _ in range(2):
            ran = imcm("audit", "checkpoint", *log, *signing)
            assert 0 == ran.returncode, ran.stderr
            assert "signed by example.org/audit" in ran.stdout
        assert 0 == imcm("audit", "verify", *log, "--key", vkey).returncode
        other = imcm("audit", "key", "example.org/audit", "--to", tmp_path / "other.pem")
        ran = imcm("audit", "verify", *log, "--key", other.stdout.strip())
        assert (1, True) == (ran.returncode, ran.stdout.startswith("NOT SIGNED"))

    def test_who_signs_does_not_vouch_for_anchors_of_nobody(
        self, ledger: Path, anchors: Path, tmp_path: Path
    ) -> None:
        key = tmp_path / "key.pem"
        imcm("audit", "key", "example.org/audit", "--to", key)
        ran = imcm(
            "audit", "checkpoint", "--ledger", ledger, "--anchors", anchors, "--sign", key,
            "--name", "example.org/audit",
        )  # fmt: skip
        assert 1 == ran.returncode
        assert "NOT SIGNED" in ran.stderr
        assert 1 == len(verifier.read_anchors(anchors.read_text()))


class TestProofs:
    @pytest.mark.parametrize("words", ["--words", "--no-words"])
    def test_one_incident_proved_to_somebody_without_the_log(
        self, ledger: Path, anchors: Path, tmp_path: Path, words: str
    ) -> None:
        proof = tmp_path / "proof.json"
        ran = imcm(
            "audit",
            "prove",
            "INC-1",
            "--ledger",
            ledger,
            "--anchors",
            anchors,
            "--to",
            proof,
            words,
        )
        assert (0, "") == (ran.returncode, ran.stderr)
        proofs = [tmp_path / f"proof-{version}.json" for version in (1, 2, 3, 4)]
        ledger.unlink()
        for one in proofs:
            ran = imcm("audit", "check-proof", one, "--anchors", anchors)
            assert (0, 1) == (ran.returncode, ran.stdout.count("OK: "))
            # Copies of the verifier that are out already read one proof in one file.
            alone = [sys.executable, verifier.__file__, "--proof", one, anchors]
            same = subprocess.run(alone, capture_output=True, text=True, check=False)
            assert (0, ran.stdout) == (same.returncode, same.stdout)
        together = tmp_path / "together.json"
        together.write_text(json.dumps([json.loads(one.read_text()) for one in proofs]))
        ran = imcm("audit", "check-proof", together, "--anchors", anchors)
        assert (0, 4) == (ran.returncode, ran.stdout.count("OK: "))
        told = json.loads(proofs[2].read_text())
        told["version"] = 2
        together.write_text(json.dumps(told))
        ran = imcm("audit", "check-proof", together, "--anchors", anchors)
        assert 1 == ran.returncode
        assert ran.stderr.startswith("imcm: the proof is refused")

    def test_one_event_is_one_proof_in_one_file(
        self, ledger: Path, anchors: Path, tmp_path: Path
    ) -> None:
        proof = tmp_path / "proof.json"
        words = ("--ledger", ledger, "--anchors", anchors, "--version", "2", "--to", proof)
        assert 0 == imcm("audit", "prove", "INC-1", *words).returncode
        assert ("inclusion", 2) == tuple(
            json.loads(proof.read_text())[x] for x in ("kind", "version")
        )

    @pytest.mark.parametrize("how", ["check-proof", "verifier"])
    def test_a_member_that_comes_twice_is_refused_by_both(
        self, ledger: Path, anchors: Path, tmp_path: Path, how: str
    ) -> None:
        proof = tmp_path / "proof.json"
        words = ("--ledger", ledger, "--anchors", anchors, "--version", "1", "--to", proof)
        assert 0 == imcm("audit", "prove", "INC-1", *words).returncode
        proof.write_text(proof.read_text().replace("{", '{"version": 7,', 1))
        if how == "check-proof":
            ran = imcm("audit", "check-proof", proof, "--anchors", anchors)
        else:
            alone = [sys.executable, verifier.__file__, "--proof", proof, anchors]
            ran = subprocess.run(alone, capture_output=True, text=True, check=False)
        assert 0 != ran.returncode
        assert "a member comes twice" in ran.stderr

    def test_what_is_newer_than_the_last_checkpoint_can_not_be_proved(
        self, ledger: Path, anchors: Path
    ) -> None:
        with Ledger(ledger) as book:
            book.record("INC-2", incident.detect, by="ann", at=AT, title="another")
        ran = imcm("audit", "prove", "INC-2", "--ledger", ledger, "--anchors", anchors)
        assert 1 == ran.returncode
        assert "before the last checkpoint" in ran.stderr


class TestReplay:
    def test_the_log_as_people_read_it(self, ledger: Path) -> None:
        ran = imcm("audit", "replay", "--ledger", ledger)
        lines = ran.stdout.splitlines()
        assert 9 == len(lines)
        assert "INC-1 v4" in lines[-1]
        assert "ben" in lines[-1]
        assert "corrected at of version 1: was" in lines[-1]
        assert "recorded 2026-03-02 12:09" in lines[-1]

    @pytest.mark.parametrize(
        ("options", "versions"),
        [
            (["INC-1"], [1, 2, 3, 4]),
            (["incident:INC-1"], [1, 2, 3, 4]),
            (["INC-1", "--known-at", "9"], [1, 2, 3]),
            (["INC-1", "--by", "ben"], [4]),
            (["--type", "VerdictGiven"], [2]),
            (["--service", "pay", "--by", "mia"], [3]),
            (["--from", "2026-03-02T12:08", "--to", "2026-03-02T12:09"], [3]),
            (["--service", "other"], []),
        ],
    )
    def test_filtered(self, ledger: Path, options: list[str], versions: list[int]) -> None:
        told = json.loads(imcm("audit", "replay", *options, "--ledger", ledger, "--json").stdout)
        events = told["events"] if isinstance(told, dict) else told
        assert versions == [event["version"] for event in events]

    def test_the_state_as_it_was_known_then(self, ledger: Path) -> None:
        known = [
            json.loads(imcm("audit", "replay", "INC-1", "--ledger", ledger, "--json", *cut).stdout)[
                "state"
            ]
            for cut in (["--known-at", "8"], ["--known-at", "9"], [])
        ]
        assert ["detected", "resolved", "resolved"] == [state["status"] for state in known]
        assert known[1]["detected_at"] != known[2]["detected_at"]
        ran = imcm("audit", "replay", "INC-1", "--ledger", ledger, "--known-at", "8")
        assert "INC-1 as known at 8:" in ran.stdout
        assert "  status: detected" in ran.stdout

    def test_what_was_learned_between_two_moments(self, ledger: Path) -> None:
        cuts = ("--known-at", "9", "--known-at", "10")
        ran = imcm("audit", "diff", "--ledger", ledger, *cuts, "--details")
        assert (0, "") == (ran.returncode, ran.stderr)
        for words in ("INC-1", "ben", "the graphs", "time to restore"):
            assert words in ran.stdout
        told = json.loads(imcm("audit", "diff", "--ledger", ledger, *cuts, "--json").stdout)
        assert told

    def test_the_trail_of_one_change(self, ledger: Path) -> None:
        ran = imcm("audit", "trail", "CHG-1", "--ledger", ledger)
        assert (0, "") == (ran.returncode, ran.stderr)
        for words in ("lena", "mia", "default"):
            assert words in ran.stdout
        assert json.loads(imcm("audit", "trail", "CHG-1", "--ledger", ledger, "--json").stdout)

    def test_anomalies(self, ledger: Path) -> None:
        ran = imcm("audit", "anomalies", "--ledger", ledger)
        assert (0, "") == (ran.returncode, ran.stderr)
        assert ran.stdout.endswith("anomalies\n")
        told = json.loads(imcm("audit", "anomalies", "--ledger", ledger, "--json").stdout)
        assert f"{len(told)} anomalies" in ran.stdout


class TestWhatIsNotThere:
    """A slip of an auditor must not read as an acquittal."""

    def test_a_type_that_there_is_not_is_refused(self, ledger: Path) -> None:
        ran = imcm("audit", "replay", "--ledger", ledger, "--type", "ChangeAproved")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "near it: ChangeApproved" in ran.stderr
        none = imcm("audit", "replay", "--ledger", ledger, "--type", "ChangeRejected")
        assert (none.returncode, none.stdout) == (0, "nothing was recorded there\n")

    def test_a_trail_of_an_incident_says_where_to_look(self, ledger: Path) -> None:
        ran = imcm("audit", "trail", "INC-1", "--ledger", ledger)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "a change; this is an incident, which has a timeline" in ran.stderr
        ran = imcm("audit", "trail", "INC-0", "--ledger", ledger)
        assert "no incident or change 'INC-0' in this log" in ran.stderr

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            (("--by", "lenna"), "nobody in this log is called lenna; near it: lena"),
            (("--by", "eve, tom"), 'nobody in this log is called "eve, tom"'),
            (("--service", "pya"), "no service in this log is called pya; near it: pay"),
        ],
    )
    def test_a_name_that_nobody_has_is_said(
        self, ledger: Path, asked: tuple[str, str], said: str
    ) -> None:
        ran = imcm("audit", "replay", "--ledger", ledger, *asked)
        assert ran.stdout == f"nothing was recorded there\n{said}\n"

    @pytest.mark.parametrize(
        "command",
        [
            ("report",),
            ("timeline",),
            ("audit", "replay"),
            ("audit", "anomalies"),
            ("audit", "trail", "CHG-1"),
            ("audit", "diff"),
        ],
    )
    def test_a_position_at_which_nothing_stands_is_refused(
        self, ledger: Path, command: tuple[str, ...]
    ) -> None:
        """As that of a figure that was published from a log before it was renumbered."""
        there = imcm(*command, "--ledger", ledger, "--known-at", "9")
        assert there.returncode == 0, there.stderr
        ran = imcm(*command, "--ledger", ledger, "--known-at", "5000")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "5000 is not allowed; no event of this ledger stands there" in ran.stderr

    def test_what_was_not_read_is_said_below_a_report(self, ledger: Path) -> None:
        alter(
            ledger,
            "INSERT INTO stored_events SELECT originator_id, 9, 'IncidentReopenedX', state "
            "FROM stored_events WHERE topic = 'IncidentDetected'",
        )
        ran = imcm("report", "--ledger", ledger)
        said = "not read by this version, and in no number: 1 of type IncidentReopenedX"
        assert f"- {said}" in ran.stdout.splitlines()
        ran = imcm("audit", "anomalies", "--ledger", ledger)
        assert "ledger self: events that can't be read (1 of type IncidentReopenedX)" in ran.stdout

    def test_a_report_from_kept_facts_says_so(self, ledger: Path, tmp_path: Path) -> None:
        ran = imcm("report", "--ledger", ledger, "--views", tmp_path / "kept.db")
        assert "whoever can write that file can change these numbers" in ran.stdout


class TestWhatChangesTheLedger:
    def test_words_are_taken_out_and_everything_still_holds(
        self, ledger: Path, anchors: Path
    ) -> None:
        before = imcm("report", "--ledger", ledger, "--json", "--as-of", "2026-03-02T12:00").stdout
        ran = imcm(
            "audit", "redact", "INC-1", "--ledger", ledger, "--by", "dpo", "--reason", "asked for"
        )
        assert 0 == ran.returncode, ran.stderr
        assert "words of version 1, 2, 4 of incident INC-1 are taken out" in ran.stdout
        assert "out of reach" in ran.stderr
        assert b"Lindqvist" not in ledger.read_bytes()
        ran = imcm("audit", "verify", "--ledger", ledger, "--anchors", anchors)
        assert 0 == ran.returncode
        assert "3 events with words taken out" in ran.stdout
        after = imcm("report", "--ledger", ledger, "--json", "--as-of", "2026-03-02T12:00").stdout
        # The report tells of the event it was read up to, and the redaction is one more.
        kept = [
            line.replace('"log_position": 10', '"log_position": 11') for line in by_line(before)
        ]
        assert kept == by_line(after)
        ran = imcm(
            "audit", "redact", "INC-1", "--ledger", ledger, "--by", "dpo", "--reason", "asked for"
        )
        assert "no words to take out" in ran.stdout

    def test_the_database_guards_itself(self, ledger: Path) -> None:
        assert 0 == imcm("audit", "guard", "--ledger", ledger).returncode
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            alter(ledger, "DELETE FROM stored_events")
        assert 0 == imcm("audit", "guard", "--ledger", ledger, "--off").returncode
        alter(ledger, "DELETE FROM stored_events WHERE rowid = 10")


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["verify", "--ledger", "{none}", "--anchors", "{anchors}"], "none.db is not there"),
            (["verify", "--ledger", "{ledger}", "--anchors", "{none}"], "a readable file"),
            (["verify", "--ledger", "{ledger}", "--anchors", "{ledger}"], "UTF-8"),
            (["verify", "--ledger", "{anchors}", "--anchors", "{anchors}"], "line 1"),
            (["verify", "--ledger", "{ledger}", "--anchors", "{anchors}", "--key", "x"], "key"),
            (["checkpoint", "--ledger", "{none}", "--anchors", "{none}"], "there is no ledger"),
            (["prove", "INC-9", "--ledger", "{ledger}", "--anchors", "{anchors}"], "INC-9"),
            (["check-proof", "{anchors}", "--anchors", "{anchors}"], "is not JSON"),
            (["replay", "INC-9", "--ledger", "{ledger}"], "INC-9"),
            (["replay", "--ledger", "{ledger}", "--known-at", "noon"], "ISO 8601"),
            (["trail", "INC-1", "--ledger", "{ledger}"], "INC-1"),
            (
                ["diff", "--ledger", "{ledger}", "--known-at", "9", "--known-at", "2"],
                "must not lie before",
            ),
            (["redact", "X", "--ledger", "{ledger}", "--by", "a", "--reason", "r"], "'X'"),
            (["redact", "INC-1", "--ledger", "{ledger}", "--by", "a", "--reason", " "], "reason"),
            (["guard", "--ledger", "{none}"], "there is no ledger"),
        ],
    )
    def test_one_line_says_what_is_wrong(
        self, ledger: Path, anchors: Path, words: list[str], told: str
    ) -> None:
        names = {"ledger": ledger, "anchors": anchors, "none": ledger.with_name("none.db")}
        before = digest(ledger), anchors.read_text()
        ran = imcm("audit", *(word.format_map(names) for word in words))
        assert (1, 1) == (ran.returncode, ran.stderr.count("\n")), ran.stderr
        assert told in ran.stderr
        assert "Traceback" not in ran.stderr
        assert before == (digest(ledger), anchors.read_text())
        assert not names["none"].exists()


def by_line(report: str) -> list[str]:
    """Return the lines of a report, without those that tell which event it was read up to."""
    return re.sub(r'"mark": \{[^}]*\}', '"mark": {}', report).splitlines()
