"""What the command line says of the rules of a ledger."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

pytest.importorskip("typer", reason="the command line is an extra")

from imcm import Ledger, Policy, SeverityScale
from test_cli_boards import listed, run_here

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    with Ledger(tmp_path / "ledger.db", clock=lambda: NOW) as ledger:
        ledger.adopt(Policy(name="strict", version="1", approvals=2), by="mia")
        ledger.adopt(SeverityScale(levels={"SEV1": "P1"}), by="ann")
        ledger.adopt(Policy(name="strict", version="2"), by="mia")
    return tmp_path / "ledger.db"


def words(lines):
    return [" ".join(line.split()) for line in lines]


def test_lists_what_was_adopted_and_what_is_in_force(path):
    moment = "Mon 2026-03-02 12:00 +0000"
    assert words(listed("audit", "rules", "--ledger", path)) == [
        "recorded position kind name version by",
        f"{moment} 2 policy strict 1 mia",
        f"{moment} 3 severity scale default 1 ann in force",
        f"{moment} 4 policy strict 2 mia in force",
    ]
    known = words(listed("audit", "rules", "--ledger", path, "--known-at", "2"))
    assert known[1:] == [f"{moment} 2 policy strict 1 mia in force"]
    shown = words(listed("audit", "rules", "--ledger", path, "--tz", "Asia/Tokyo"))
    assert "21:00 +0900" in shown[1]


def test_tells_all_of_them_as_json(path):
    told = json.loads("\n".join(listed("audit", "rules", "--ledger", path, "--json")))
    assert [2, 3, 4] == [one["position"] for one in told]
    assert Policy.from_dict(json.loads(told[0]["text"])).approvals == 2


def test_says_which_text_is_not_what_was_adopted(path):
    where = "WHERE originator_id = 'rules:policy' AND originator_version = 1"
    with closing(sqlite3.connect(path)) as db, db:
        [[state]] = db.execute(f"SELECT state FROM stored_events {where}").fetchall()
        text = state.replace(b'\\"approvals\\":2', b'\\"approvals\\":1')
        assert text != state
        db.execute(f"UPDATE stored_events SET state = ? {where}", [text])
    ran = run_here("audit", "rules", "--ledger", path)
    assert ran.returncode == 1
    assert "TEXT ALTERED" in ran.stdout.splitlines()[1]
    assert "TEXT ALTERED" not in ran.stdout.splitlines()[3]
    ran = run_here("audit", "rules", "--ledger", path, "--json")
    assert (ran.returncode, json.loads(ran.stdout)[0]["altered"]) == (1, True)


def test_of_none_says_so(tmp_path):
    Ledger(tmp_path / "ledger.db").close()
    assert listed("audit", "rules", "--ledger", tmp_path / "ledger.db") == ["no rules were adopted"]


def test_a_replay_says_where_they_are(path):
    ran = run_here("audit", "replay", "--type", "RulesAdopted", "--ledger", path)
    assert (1, True) == (ran.returncode, "use audit rules" in ran.stderr)
