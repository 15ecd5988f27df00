"""
The commands that list what stands now: on real files, as people run them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("typer", reason="the command line is an extra")

from commands import run_here
from imcm import Ledger, Role, Severity, Window, change, incident
from imcm.cli import boards

NOW = datetime.now(UTC).replace(microsecond=0)


def hours(number):
    """Return the time so many hours after now."""
    return NOW + timedelta(hours=number)


@pytest.fixture(autouse=True)
def now():
    """Let ages be told from the time a test begins, however long others took before it."""
    global NOW  # noqa: PLW0603 (each test has its own)
    NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Where what was read is kept for this user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "imcm"


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as book:

        def take(id, step, at, by="dev", **more):
            book.record(id, step, by=by, at=hours(at), **more)

        told = {"services": ["checkout"], "labels": {"team": "core"}}
        take("INC-1", incident.detect, -30, title="Customers can't pay", **told)
        take("INC-1", incident.triage, -29, severity=Severity.P1)
        lead = {"role": Role.INCIDENT_COMMANDER, "person": "ana"}
        take("INC-1", incident.assign_role, -29, **lead)
        take("INC-1", incident.post_update, -2, text="we look")
        take("INC-2", incident.detect, -3, title="Search is slow", services=["search"])
        take("INC-3", incident.detect, -9, title="It was down")
        take("INC-3", incident.resolve, -8)
        due = hours(-48).date()
        take("INC-3", incident.add_action, -7, text="write a test", owner="kim", due=due)
        plan = {"services": ["checkout"], "risk": "low", "rollback_plan": "off"}
        for id, version in (("CHG-1", "1.0"), ("CHG-2", "2.0")):
            take(id, change.plan, -20, title=f"Bring in {version}", **plan)
            take(id, change.submit, -20)
            take(id, change.approve, -19, by="mia")
            take(id, change.start, -18)
            take(id, change.complete, -18 + float(version), version=version)
        take("CHG-2", change.roll_back, -10)
        window = Window(start=hours(1), end=hours(3))
        take("CHG-3", change.plan, -5, title="Bring in 3.0", window=window, **plan)
        take("CHG-3", change.submit, -4)
    return path


def listed(*words):
    ran = run_here(*words)
    assert (0, "") == (ran.returncode, ran.stderr)
    return ran.stdout.splitlines()


def tables():
    """Return what is asked, and the lines that are wanted, told from now."""
    return {
    "incidents": (
        ("incidents",),
        ["sev id age status lead services updated title",
         "P1 INC-1 1d 6h triaged ana checkout 2h Customers can't pay",
         "INC-2 3h detected search Search is slow"],
    ),
    "of a label": (
        ("incidents", "--label", "team=core", "--status", "all"),
        ["sev id age status lead services updated title",
         "P1 INC-1 1d 6h triaged ana checkout 2h Customers can't pay"],
    ),
    "none": (
        ("incidents", "--service", "chekout", "--status", "mitigating"),
        ["no incidents", "nothing in this log names a service 'chekout'; near: checkout"],
    ),
    "none of a service that there is": (
        ("incidents", "--service", "checkout", "--status", "mitigating"),
        ["no incidents"],
    ),
    "nothing near": (
        ("changes", "--service", "no-such"),
        ["no changes", "nothing in this log names a service 'no-such'"],
    ),
    "a page": (
        ("incidents", "--order", "id", "--limit", "1", "--offset", "1"),
        ["sev id age status lead services updated title",
         "INC-2 3h detected search Search is slow",
         "1 of 2; --limit and --offset show others"],
    ),
    "behind the last page": (
        ("incidents", "--offset", "9"), ["0 of 2; --limit and --offset show others"],
    ),
    "changes": (
        ("changes", "--status", "submitted"),
        ["id age type status rollout services title",
         "CHG-3 5h normal submitted checkout Bring in 3.0"],
    ),
    "actions": (
        ("actions", "--status", "overdue"),
        ["due id status owner what",
         f"{hours(-48).date()} overdue INC-3 1 open kim write a test"],
    ),
    "approvals": (
        ("approvals", "--by", "dev"),
        ["id age waits for due votes missing first lapses asked by may why not title",
         "CHG-3 4h approval 1 more dev no 'dev' asked for, planned, revised or submitted it; "
         "somebody else must decide Bring in 3.0"],
    ),
    "who may": (
        ("approvals", "--by", "mia"),
        ["id age waits for due votes missing first lapses asked by may why not title",
         "CHG-3 4h approval 1 more dev yes Bring in 3.0"],
    ),
    "calendar": (
        ("calendar",),
        ["from to id status services conflicts with title",
         f"{hours(1):%a %Y-%m-%d %H:%M} +0000 {hours(3):%a %Y-%m-%d %H:%M} +0000 CHG-3 submitted "
         "checkout Bring in 3.0"],
    ),
    "live": (
        ("live",),
        ["service version share since change before it",
         f"checkout 1.0 {hours(-10):%a %Y-%m-%d %H:%M} +0000 CHG-1, by roll back of CHG-2 2.0"],
    ),
}  # fmt: skip


class TestTables:
    @pytest.mark.parametrize("name", tables())
    @pytest.mark.parametrize("how", [(), ("--no-views",), ("--views", "kept.views")])
    def test_show_what_stands(self, ledger, name, how, monkeypatch):
        monkeypatch.chdir(ledger.parent)
        words, wanted = tables()[name]
        found = [
            re.sub(r"(:\d\d):\d\d", r"\1", re.sub(" +", " ", line.strip()))
            for line in listed("list", *words, "--ledger", ledger, *how)
        ]
        assert wanted == found

    def test_of_a_search(self, ledger):
        head, *found = listed("search", "bring", "IN", "--ledger", ledger)
        assert ["id", "status", "services", "title"] == head.split()
        assert ["CHG-3", "CHG-2", "CHG-1"] == [line.split()[1] for line in found]
        assert ["no incidents or changes"] == listed("search", "nowhere", "--ledger", ledger)

    def test_of_what_was_known(self, ledger):
        words = ("list", "incidents", "--ledger", ledger, "--known-at")
        assert ["no incidents"] == listed(*words, "1")
        assert "detected" in listed(*words, "2")[1]

    def test_of_one(self, ledger):
        lines = listed("show", "INC-1", "--ledger", ledger)
        assert "incident INC-1: Customers can't pay" == lines[0]
        assert any(line.split() == ["severity", "P1"] for line in lines)
        assert any("incident commander ana" in line for line in lines)
        assert "change CHG-3: Bring in 3.0" == listed("show", "CHG-3", "--ledger", ledger)[0]

    def test_let_no_title_speak_to_the_terminal(self, ledger):
        with Ledger(ledger) as book:
            title = "\x1b[31mred\u202eevil\nnext \u200b"
            book.record("INC-9", incident.detect, by="a", at=hours(-1), title=title)
            text = "a\x1b]0;b\x07\nc"
            book.record("INC-9", incident.post_update, by="a", at=hours(-1), text=text)
        for words in (("list", "incidents"), ("search", "red"), ("show", "INC-9")):
            told = "\n".join(listed(*words, "--ledger", ledger))
            assert "\\x1b[31mred\\u202eevil\\nnext" in told
            assert not {"\x1b", "\u202e", "\x07", "\u200b"} & {*told}

    @pytest.mark.parametrize(
        "what", ["incidents", "changes", "actions", "approvals", "calendar", "live"]
    )
    def test_of_an_empty_ledger_say_so(self, tmp_path, what):
        Ledger(tmp_path / "new.db").close()
        [line] = listed("list", what, "--ledger", tmp_path / "new.db")
        assert line.startswith("no ")
        found = json.loads("".join(listed("list", what, "--ledger", tmp_path / "new.db", "--json")))
        assert (1, 0, []) == (found["log_position"], found["total"], found["rows"])

    @pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
    def test_fit_into_a_terminal_of_eighty_columns(self, ledger):
        import pty

        for words in (("incidents",), ("changes",), ("approvals", "--by", "dev"), ("calendar",)):
            main, other = pty.openpty()
            environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"}
            command = [sys.executable, "-m", "imcm", "list", *words, "--ledger", str(ledger)]
            with subprocess.Popen(
                command, stdout=other, stderr=subprocess.DEVNULL, env=environment
            ) as ran:
                os.close(other)
                told = b""
                while True:
                    try:
                        more = os.read(main, 10_000)
                    except OSError:
                        break
                    if not more:
                        break
                    told += more
            os.close(main)
            assert 0 == ran.returncode
            lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", told.decode()).splitlines()
            assert max(map(len, lines)) <= 80
            # No word of a status, an id or an age is parted.
            assert any(re.search(r"\b(INC-1|CHG-3)\b", line) for line in lines)
            assert any(re.search(r"\b(triaged|submitted|approval)\b", line) for line in lines)


class TestJson:
    @pytest.mark.parametrize(
        ("words", "keys"),
        [
            (("list", "incidents"), {"id", "commander", "suspected", "actions", "roles"}),
            (("list", "changes"), {"id", "votes", "window", "rollout", "status"}),
            (("list", "actions"), {"incident", "number", "due", "owner", "status"}),
            (("list", "approvals", "--by", "mia"), {"change", "waits_for", "possible", "why"}),
            (("list", "calendar"), {"id", "window", "status"}),
            (("list", "live"), {"service", "version", "since", "by_rollback_of"}),
            (("search", "checkout"), {"kind", "id", "title", "status", "services"}),
        ],
    )
    def test_has_one_shape(self, ledger, words, keys):
        found = json.loads("".join(listed(*words, "--ledger", ledger, "--json")))
        assert ["shape", "log_position", "total", "rows"] == list(found)
        assert (1, len(found["rows"])) == (found["shape"], found["total"])
        assert found["rows"]
        assert all(keys <= {*row} for row in found["rows"])

    def test_of_one_has_its_timeline(self, ledger):
        found = json.loads("".join(listed("show", "INC-3", "--ledger", ledger, "--json")))
        assert ["shape", "incident", "timeline"] == list(found)
        assert str(hours(-48).date()) == found["incident"]["actions"][0]["due"]


class TestWhereItIsKept:
    def incidents(self, ledger, *words):
        return listed("list", "incidents", "--ledger", ledger, *words)

    def test_is_the_file_that_is_named(self, ledger, tmp_path):
        file = tmp_path / "my.views"
        first = self.incidents(ledger, "--views", file)
        assert 0o600 == file.stat().st_mode & 0o777
        assert first == self.incidents(ledger, "--views", file)
        file.unlink()
        assert first == self.incidents(ledger, "--views", file)
        assert file.exists()

    def test_is_nowhere_for_a_small_log(self, ledger, cache):
        self.incidents(ledger)
        assert not cache.exists()
        assert [] == [*ledger.parent.glob("*.views*")]

    def test_is_this_users_cache_for_a_long_one(self, ledger, cache, monkeypatch):
        monkeypatch.setattr(boards, "WORTH", 5)
        first = self.incidents(ledger)
        [kept] = cache.glob("*.views")
        assert (0o600, 0o700) == (kept.stat().st_mode & 0o777, cache.stat().st_mode & 0o777)
        assert first == self.incidents(ledger)
        before = kept.read_bytes()
        self.incidents(ledger, "--no-views")
        assert before == kept.read_bytes()

    def test_is_not_used_where_it_is_damaged(self, ledger, cache, monkeypatch):
        monkeypatch.setattr(boards, "WORTH", 5)
        first = self.incidents(ledger)
        [kept] = cache.glob("*.views")
        sound = kept.read_bytes()
        for damaged in (b"no database " * 1000, sound[: len(sound) // 2], sound[:4096] + bytes(99)):
            kept.write_bytes(damaged)
            assert first == self.incidents(ledger)

    def test_is_not_used_where_it_can_not_be_written(self, ledger, cache, monkeypatch):
        monkeypatch.setattr(boards, "WORTH", 5)
        cache.parent.write_text("a file, and no folder")
        assert "INC-1" in "".join(self.incidents(ledger))

    def test_is_beside_the_ledger_where_whoever_records_keeps_it(self, ledger, cache, monkeypatch):
        monkeypatch.setattr(boards, "WORTH", 5)
        beside = ledger.with_name("ledger.db.views")
        self.incidents(ledger, "--views", beside)
        with closing(sqlite3.connect(beside)) as connection:
            before = connection.execute("SELECT position FROM imcm_follower").fetchone()
        with Ledger(ledger) as book:
            book.record("INC-8", incident.detect, by="a", at=hours(-1), title="new")
        assert "INC-8" in "".join(self.incidents(ledger))
        with closing(sqlite3.connect(beside)) as connection:
            assert before < connection.execute("SELECT position FROM imcm_follower").fetchone()
        assert not cache.exists()

    def test_is_said_where_the_file_that_is_named_can_not_be_used(self, ledger, tmp_path):
        other = tmp_path / "other.db"
        with closing(sqlite3.connect(other)) as connection, connection:
            connection.execute("CREATE TABLE mine (x)")
        ran = run_here("list", "incidents", "--ledger", ledger, "--views", other)
        assert (1, 1) == (ran.returncode, ran.stderr.count("\n"))
        assert "something else" in ran.stderr


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("words", "status", "why"),
        [
            (("list", "incidents", "--status", "opn"), 1, "near it: open"),
            (("list", "incidents", "--severity", "bad"), 1, "severity"),
            (("list", "incidents", "--order", "worst"), 1, "order"),
            (("list", "incidents", "--label", "team"), 1, "name=value"),
            (("list", "incidents", "--limit", "-1"), 1, "limit"),
            (("list", "incidents", "--limit", "x"), 2, "--limit"),
            (("list", "incidents", "--known-at", "99"), 1, "no event of this ledger"),
            (("list", "incidents", "--known-at", "1", "--watch"), 2, "--watch goes without"),
            (("list", "incidents", "--views", "a", "--no-views"), 2, "--no-views"),
            (("list", "changes", "--status", "x"), 1, "status"),
            (("list", "actions", "--status", "late"), 1, "overdue"),
            (("list", "calendar", "--from", "soon"), 1, "--from"),
            (("list", "calendar", "--from", "2026-03-02", "--to", "2026-03-01"), 1, "after"),
            (("list", "live", "--at", "noon"), 1, "--at"),
            (("list", "nothing"), 2, "nothing"),
            (("search", " "), 1, "at least one word"),
            (("search",), 2, "text"),
            (("show", "INC-99"), 1, "INC-99"),
            (("show", "INC-2", "--known-at", "3"), 1, "INC-2"),
        ],
    )
    def test_is_told_in_one_line(self, ledger, words, status, why):
        ran = run_here(*words, "--ledger", ledger)
        assert (status, "") == (ran.returncode, ran.stdout)
        assert why in ran.stderr
        assert 1 == ran.stderr.count("\n")


@pytest.mark.skipif(sys.platform == "win32", reason="it is interrupted by a signal")
def test_watching_prints_again_when_something_is_recorded(ledger):
    command = [sys.executable, "-m", "imcm", "list", "incidents", "--watch", "--ledger", ledger]
    environment = {**os.environ, "COLUMNS": "160"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as ran:
        first = [ran.stdout.readline() for _ in range(3)]
        assert "INC-2" in first[-1]
        with Ledger(ledger) as book:
            book.record("INC-9", incident.detect, by="a", at=hours(-1), title="new")
        again = [ran.stdout.readline() for _ in range(6)]
        assert again[1].startswith("--- ")
        assert any("INC-9" in line for line in again)
        ran.send_signal(signal.SIGINT)
        told, complained = ran.communicate(timeout=20)
    assert (130, "", "imcm: interrupted\n") == (ran.returncode, told, complained)
