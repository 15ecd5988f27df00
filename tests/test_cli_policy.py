"""The commands about rules: policies, the gate, what if, duties and risk; on real files."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="the command line is an extra")

import imcm
from imcm import Counts, Freeze, Ledger, LedgerReader, Policy, Window, change, read_policy
from test_cli_boards import listed, run_here

FRIDAY = datetime(2026, 3, 6, 17, 0, tzinfo=UTC)
NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
PLAN = {"services": ["checkout"], "risk": "low", "rollback_plan": "off"}
SALE = Freeze(
    name="sale", times=Window(start=FRIDAY - timedelta(hours=1), end=FRIDAY + timedelta(days=2)),
    override_by=["zoe"],
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    """A ledger with a sale, in which one change went in by an override, and one waits."""
    now = [NOON]
    path = tmp_path / "ledger.db"
    with Ledger(path, clock=lambda: now[0]) as book:

        def take(id, step, at, by="dev", **more):
            now[0] = at
            book.record(id, step, by=by, at=at, **more)

        book.adopt(Policy(name="shop", version="2", freezes=[SALE]), by="mia")
        hour = timedelta(hours=1)
        for id, at in (("CHG-1", NOON), ("CHG-2", FRIDAY), ("CHG-3", FRIDAY)):
            take(id, change.plan, at - 3 * hour, title=f"Bring in {id}", **PLAN)
            take(id, change.submit, at - 2 * hour)
            take(id, change.approve, at - 2 * hour, by="mia")
            if id == "CHG-3":
                break
            if id == "CHG-2":
                take(id, change.override_freeze, at, by="zoe", freeze="sale", why="money is lost")
            take(id, change.start, at, by="ci")
            take(id, change.complete, at + hour / 2, by="ci")
            take(id, change.close, at + hour, by="ci", result="successful")
    return path


@pytest.fixture
def strict(tmp_path):
    path = tmp_path / "strict.toml"
    path.write_text("\n".join(listed("policy", "strict")) + "\n", encoding="utf-8")
    return path


def words(lines):
    return [" ".join(line.split()) for line in lines]


def told(*words):
    return json.loads("\n".join(listed(*words)))


def failed(*words):
    """Return what a command printed whose answer was no."""
    ran = run_here(*words)
    assert (1, "") == (ran.returncode, ran.stderr)
    return ran.stdout


# --- the file -------------------------------------------------------------------------------------


class TestAFile:
    def test_that_is_a_policy(self, strict):
        [line] = listed("policy", "check", strict)
        assert line == f"{strict} is a policy: strict 1, with 7 tests; imcm policy test plays them"
        assert Policy.from_dict(told("policy", "check", strict, "--json")) == read_policy(strict)
        explained = listed("policy", "explain", strict)
        assert explained == read_policy(strict).explain().splitlines()

    def test_that_is_none(self, tmp_path):
        path = tmp_path / "wrong.toml"
        path.write_text('name = "x"\naprovals = 2\n')
        ran = run_here("policy", "check", path)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "policy.aprovals: 2 is not allowed" in ran.stderr
        assert "near: approvals" in ran.stderr
        path.write_text(
            'name = "x"\n[[tests]]\nname = "odd"\nat = 2026-03-06T17:00:00Z\nbye = "x"\n'
        )
        ran = run_here("policy", "check", path)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "bye" in ran.stderr

    def test_its_schema(self):
        assert "rollouts" in told("policy", "schema")["properties"]

    def test_its_tests(self, strict, tmp_path):
        lines = listed("policy", "test", strict)
        assert all(line.startswith("passed  ") for line in lines[:-1])
        assert lines[-1] == f"{len(lines) - 1} passed, 0 failed"
        lax = tmp_path / "lax.toml"
        lax.write_text('name = "lax"\n')
        printed = failed("policy", "test", lax, strict)
        assert "FAILED  nothing starts on a Friday evening: expected freeze; allowed" in printed
        assert printed.endswith("2 passed, 5 failed\n")
        plain = json.loads(failed("policy", "test", lax, strict, "--json"))["rows"]
        assert {"name", "passed", "expected", "step", "refused_by", "why"} == set(plain[0])

    def test_beside_another(self, strict, tmp_path, ledger):
        assert listed("policy", "diff", strict, strict) == ["they say the same"]
        assert told("policy", "diff", strict, strict, "--json")["rows"] == []
        other = tmp_path / "other.toml"
        other.write_text(strict.read_text().replace('"14 days"', '"7 days"'))
        lines = words(failed("policy", "diff", strict, other).splitlines())
        assert lines == ["key strict 1 strict 1", "valid_for 14 days 7 days"]
        plain = json.loads(failed("policy", "diff", strict, other, "--json"))["rows"]
        assert plain == [{"key": "valid_for", "first": "14 days", "second": "7 days"}]
        in_force = words(failed("policy", "diff", strict, ledger).splitlines())
        assert in_force[0] == "key strict 1 shop 2"
        assert any(line.startswith("freezes") for line in in_force)

    def test_beside_a_ledger_without_rules(self, strict, tmp_path):
        Ledger(tmp_path / "new.db").close()
        printed = failed("policy", "diff", strict, tmp_path / "new.db")
        assert words(printed.splitlines())[0] == "key strict 1 default 1"


class TestFrozen:
    def test_of_a_ledger_and_of_a_file(self, ledger, strict):
        at = ("--at", "2026-03-06T17:00Z", "--tz", "Asia/Tokyo")
        [line] = listed("policy", "frozen", ledger, *at)
        assert line.startswith(
            "frozen at 2026-03-07 02:00:00+09:00 until 2026-03-09 02:00:00+09:00"
        )
        assert line.endswith("(sale); let through: emergencies, and what zoe lets through")
        plain = told("policy", "frozen", strict, *at, "--json")
        assert (plain["open"], plain["freezes"]) == (False, ["weekend"])
        [elsewhere] = listed("policy", "frozen", strict, *at, "--environment", "staging")
        assert elsewhere == "open at 2026-03-07 02:00:00+09:00"
        assert listed("policy", "frozen", ledger, "--at", "2026-03-10T12:00Z") == [
            "open at 2026-03-10 12:00:00+00:00"
        ]


class TestACalendar:
    YEAR = ("--since", "2026-01-01", "--until", "2027-01-01")

    @pytest.fixture
    def ics(self, tmp_path):
        pytest.importorskip("icalendar", reason="an extra")
        path = tmp_path / "sales.ics"
        path.write_text(
            "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Spring sale\r\n"
            "DTSTART:20260306T160000Z\r\nDURATION:PT2H\r\nEND:VEVENT\r\n"
            "BEGIN:VEVENT\r\nUID:2\r\nSUMMARY:Party\r\n"
            "DTSTART:20260401T160000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
            newline="",
        )
        return path

    def read(self, tmp_path, lines):
        """Read what was printed as a policy file."""
        path = tmp_path / "made.toml"
        path.write_text('name = "x"\n' + "\n".join(lines) + "\n", encoding="utf-8")
        return read_policy(path)

    def test_is_a_freeze_of_a_policy_file(self, ics, tmp_path):
        lines = listed("policy", "calendar", ics, *self.YEAR, "--name", "sales ü😀")
        [freeze] = self.read(tmp_path, lines).freezes
        assert freeze.name == "sales ü😀"
        assert freeze.window_at(FRIDAY) is not None
        plain = told("policy", "calendar", ics, *self.YEAR, "--name", "sales ü😀", "--json")
        assert Freeze.from_dict(plain) == freeze
        assert len(plain["windows"]) == 2

    def test_is_a_maintenance_window(self, ics, tmp_path):
        lines = listed("policy", "calendar", ics, *self.YEAR, "--only", "sale", "--maintenance")
        [window] = self.read(tmp_path, lines).maintenance
        assert [each.start for each in window.windows(FRIDAY, FRIDAY + timedelta(days=90))] == [
            FRIDAY - timedelta(hours=1)
        ]

    def test_of_public_holidays(self, tmp_path):
        pytest.importorskip("holidays", reason="an extra")
        given = ("--country", "GB", "--subdivision", "ENG", "--tz", "Europe/London")
        lines = listed("policy", "calendar", *given, *self.YEAR, "--name", "holidays")
        [freeze] = self.read(tmp_path, lines).freezes
        assert freeze.window_at(datetime(2026, 12, 25, 12, tzinfo=UTC)) is not None
        assert freeze.window_at(FRIDAY) is None

    @pytest.mark.parametrize("more", [(), ("x.ics", "--country", "GB")])
    def test_is_one_of_two_things(self, more):
        ran = run_here("policy", "calendar", *more)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "give a calendar file or --country, and not both" in ran.stderr


# --- the past -------------------------------------------------------------------------------------


class TestWhatIf:
    def test_says_what_would_have_been_stopped(self, ledger, strict):
        lines = listed("what-if", strict, "--ledger", ledger)
        assert lines[0] == "what if strict 1: 1 of 2 deployments stopped or delayed"
        assert told("what-if", strict, "--ledger", ledger, "--json")["deployments"] == 2
        none = listed("what-if", strict, "--ledger", ledger, "--window", "2025-Q1")
        assert none[0] == "what if strict 1: 0 of 0 deployments stopped or delayed"

    def test_beside_another_policy_with_all_it_stops(self, ledger, strict, tmp_path):
        lax = tmp_path / "lax.toml"
        lax.write_text('name = "lax"\n')
        given = ("what-if", strict, "--ledger", ledger, "--versus", lax)
        lines = listed(*given, "--list", "--tz", "Asia/Tokyo")
        assert "stopped by strict 1 alone: 0 of 1 failed, 0 % (0 % to 79.35 %): CHG-2" in lines
        assert "stopped by lax 1 alone: none" in lines
        assert lines[-1].startswith(
            "CHG-2 at 2026-03-07 02:00 +0900: freeze, not before 2026-03-09"
        )
        plain = told(*given, "--json")
        assert {"first", "second"} <= set(plain)
        assert plain["first"]["policy"] == {"name": "strict", "version": "1"}

    def test_what_was_not_known_yet_is_left_out(self, ledger, strict):
        early = ("--known-at", "2026-03-04", "--as-of", "2026-03-04")
        lines = listed("what-if", strict, "--ledger", ledger, *early)
        assert lines[0] == "what if strict 1: 0 of 1 deployments stopped or delayed"


class TestDuties:
    def test_are_told_as_text_table_csv_and_json(self, ledger):
        given = ("duties", "--ledger", ledger)
        assert listed(*given)[0].startswith("duties: 2 changes went in; 0 with a broken rule")
        table = words(listed(*given, "--table"))
        assert table[0].startswith("change type ruling requested by approved by implemented by")
        assert any(line.startswith("CHG-1 normal") and "mia ci" in line for line in table)
        rows = list(csv.DictReader(listed(*given, "--format", "csv")))
        assert [row["change"] for row in rows] == ["CHG-1", "CHG-2"]
        assert [row["approved by"] for row in rows] == ["mia", "mia"]
        assert "zoe" in rows[1]["freezes"]
        plain = told(*given, "--json")
        assert [row["change"] for row in plain["rows"]] == ["CHG-1", "CHG-2"]

    def test_are_in_the_order_of_time_whatever_the_offsets(self, tmp_path):
        path = tmp_path / "zones.db"
        tokyo = timezone(timedelta(hours=9))
        with Ledger(path, clock=lambda: NOON + timedelta(hours=9)) as book:
            for id, at in (
                ("CHG-2", NOON),
                ("CHG-1", (NOON - timedelta(hours=1)).astimezone(tokyo)),
            ):
                book.record(id, change.plan, by="dev", at=at, title="x", **PLAN)
                book.record(id, change.submit, by="dev", at=at)
                book.record(id, change.approve, by="mia", at=at)
                book.record(id, change.start, by="ci", at=at)
        rows = told("duties", "--ledger", path, "--json")["rows"]
        assert [row["change"] for row in rows] == ["CHG-1", "CHG-2"]

    def test_of_a_period(self, ledger):
        for given in (("--window", "2026-03-06"), ("--from", "2026-03-06", "--to", "2026-03-07")):
            plain = told("duties", "--ledger", ledger, *given, "--json")
            assert ([row["change"] for row in plain["rows"]], plain["not_in"]) == (["CHG-2"], 2)
        given = ("--window", "2026-03", "--from", "2026-03-06", "--to", "2026-03-07")
        assert run_here("duties", "--ledger", ledger, *given).returncode == 2


class TestRisk:
    def test_says_how_likely_it_is_and_what_stands_out(self, ledger):
        given = ("risk", "CHG-3", "--ledger", ledger, "--at", "2026-03-06T17:00Z")
        lines = listed(*given)
        assert lines[0].startswith("risk of CHG-3: late_week")
        plain = told(*given, "--json")
        assert plain["id"] == "CHG-3"
        assert "late_week" in [flag["name"] for flag in plain["flags"]]


# --- now ------------------------------------------------------------------------------------------


class TestTheGate:
    def test_is_open_after_the_sale_and_closed_in_it(self, ledger):
        given = ("gate", "CHG-3", "--ledger", ledger, "--by", "ci", "--at")
        [line] = listed(*given, "2026-03-10T12:00Z")
        assert line == "open: CHG-3 at Tue 2026-03-10 12:00 +0000, under shop 2"
        closed = failed(*given, "2026-03-06T18:00Z")
        assert closed.startswith(
            "closed: CHG-3 at Fri 2026-03-06 18:00 +0000, under shop 2: freeze"
        )
        plain = json.loads(failed(*given, "2026-03-06T18:00Z", "--json"))
        assert (plain["open"], [each["guard"] for each in plain["refusals"]]) == (False, ["freeze"])
        assert told(*given, "2026-03-10T12:00Z", "--json")["refusals"] == []

    def test_keeps_a_refusal_where_asked_to(self, ledger):
        def rows():
            with Ledger(ledger, must_exist=True) as book:
                return [each for each in book.replay() if each.stream == "change:CHG-3"]

        before = rows()
        given = ("gate", "CHG-3", "--ledger", ledger, "--at", "2026-03-06T18:00Z")
        failed(*given, "--by", "ci")
        assert rows() == before
        failed(*given, "--by", "ci", "--record")
        [kept] = rows()[len(before) :]
        assert (kept.event.by, kept.event.guard) == ("ci", "freeze")
        listed("gate", "CHG-3", "--ledger", ledger, "--at", "2026-03-10T12:00Z", "--by", "ci",
               "--record")  # fmt: skip
        assert len(rows()) == len(before) + 1
        assert run_here(*given, "--record").returncode == 2

    def test_asks_for_conflicts_where_the_policy_does(self, ledger):
        with Ledger(ledger, must_exist=True) as book:
            book.adopt(Policy(name="shop", version="3", refuse_conflicts=True), by="mia")
        given = ("gate", "CHG-3", "--ledger", ledger, "--at", "2026-03-10T12:00Z")
        assert told(*given, "--json")["conflicts"] == []
        assert told(*given, "--json", "--no-views")["conflicts"] == []

    def test_of_what_is_not_there(self, ledger):
        ran = run_here("gate", "CHG-9", "--ledger", ledger)
        assert (ran.returncode, ran.stdout) == (2, "")  # 1 is an answer: closed
        assert "no change 'CHG-9' in this log" in ran.stderr


class TestAsked:
    def test_gate_with_the_steps_of_a_rollout(self, ledger):
        with Ledger(ledger, must_exist=True) as book:
            rule = imcm.RolloutRule(first=5)
            book.adopt(Policy(name="shop", version="9", rollouts=[rule]), by="mia")
        given = ("gate", "CHG-3", "--ledger", ledger, "--at", "2026-03-10T12:00Z")
        assert listed(*given, "--rollout-plan", "5,100")
        assert "rollout plan" in failed(*given, "--rollout-plan", "50, 100")
        assert run_here(*given, "--rollout-plan", "x").returncode == 2

    def test_changes_that_went_in_without_approval(self, ledger):
        given = ("list", "changes", "--ledger", ledger, "--unapproved")
        assert listed(*given) == ["no changes"]
        with Ledger(ledger, must_exist=True) as book:
            book.record("CHG-9", change.plan, by="ann", at=FRIDAY, title="fix", type="emergency",
                        incident="INC-1", services=["pay"])  # fmt: skip
            book.record("CHG-9", change.submit, by="ann", at=FRIDAY)
            book.record("CHG-9", change.start, by="ann", at=FRIDAY)
        [row] = told(*given, "--json")["rows"]
        assert (row["id"], row["authorisation"]) == ("CHG-9", "outstanding")
        assert told("list", "changes", "--ledger", ledger, "--unauthorised", "--json")["rows"] == []

    def test_a_ledger_is_no_policy(self, ledger):
        ran = run_here("policy", "check", ledger)
        assert (ran.returncode, "this is a ledger" in ran.stderr) == (1, True)

    def test_a_check_says_what_is_taken_as_a_person(self, tmp_path):
        path = tmp_path / "p.toml"
        path.write_text('name = "x"\nstewards = ["head-of-ops"]\n[groups]\nhead_of_ops = ["a"]\n')
        ran = run_here("policy", "check", path)
        assert ran.returncode == 0
        assert "'head-of-ops' is no group" in ran.stderr
        path.write_text('name = "x"\nvalid_for = "2 working days"\n')
        ran = run_here("policy", "check", path)
        assert ran.returncode == 1
        assert "p.toml: policy.valid_for" in ran.stderr
        assert "there are no working days" in ran.stderr


class TestInAWindow:
    @pytest.mark.parametrize("width", [40, 80])
    def test_what_is_too_wide_stands_below_its_row(self, ledger, width):
        given = ("list", "ready", "--ledger", ledger, "--at", "2026-03-06T18:00Z", "--by", "ci")
        drawn = run_here(*given, COLUMNS=str(width), FORCE_COLOR="1").stdout
        lines = re.sub(r"\x1b\[[\d;]*m", "", drawn).splitlines()
        assert max(map(len, lines)) <= width
        assert lines[0].split()[:3] == ["id", "may", "start"]
        assert lines[1].startswith("CHG-3  no")
        below = " ".join(line.strip() for line in lines[2:])
        assert ("opens: Sun 2026-03-08 17:00 +0000" in below) is (width == 40)
        assert "why not: freeze: at=2026-03-06 18:00:00+00:00 lies in the freeze 'sale'" in below
        assert "window" not in " ".join(lines)  # nobody has one


class TestLists:
    def test_of_what_is_ready(self, ledger):
        given = ("list", "ready", "--ledger", ledger, "--at")
        lines = words(listed(*given, "2026-03-06T18:00Z", "--by", "ci"))
        assert lines[0] == "id may start opens votes until window services why not title"
        assert lines[1].startswith("CHG-3 no Sun 2026-03-08 17:00 +0000 checkout freeze: ")
        plain = told(*given, "2026-03-10T12:00Z", "--json")
        assert [row["may_start"] for row in plain["rows"]] == [True]

    def test_of_what_is_ready_with_an_id_of_a_damaged_log(self, ledger, tmp_path):
        """Conflicts of one row can't be asked for: it says so, and the others are listed."""
        with Ledger(ledger, must_exist=True) as book:
            book.adopt(Policy(name="shop", version="3", refuse_conflicts=True), by="mia")
            rows = list(book.rows())
        odd = [
            row._replace(stream="change:CHG-3\n") for row in rows if row.stream == "change:CHG-3"
        ]
        rows += [row._replace(position=len(rows) + n) for n, row in enumerate(odd, start=1)]
        Ledger.restored(tmp_path / "odd.db", rows).close()
        given = ("list", "ready", "--ledger", tmp_path / "odd.db", "--at", "2026-03-10T12:00Z")
        answers = {row["change"]["id"]: row for row in told(*given, "--json")["rows"]}
        assert answers["CHG-3"]["may_start"] is True
        assert "is not allowed; an id has no" in answers["CHG-3\n"]["refusals"][-1]["why"]

    def test_of_overrides(self, ledger):
        lines = words(listed("list", "overrides", "--ledger", ledger))
        assert lines[0] == "change freeze by at until started why"
        assert lines[1].startswith("CHG-2 sale zoe Fri 2026-03-06 17:00 +0000")
        assert lines[1].endswith("money is lost")
        assert listed("list", "overrides", "--ledger", ledger, "--by", "ann") == [
            "no freeze was overridden"
        ]
        [plain] = told("list", "overrides", "--ledger", ledger, "--by", "ZOE", "--json")["rows"]
        assert (plain["change"], plain["why"]) == ("CHG-2", "money is lost")

    def test_of_what_a_guard_would_have_said_no_to(self, ledger, tmp_path):
        assert listed("list", "changes", "--unauthorised", "--ledger", ledger) == ["no changes"]
        run_here("demo", "--ledger", tmp_path / "story.db")
        given = ("list", "changes", "--unauthorised", "--ledger", tmp_path / "story.db")
        head, row = words(listed(*given))
        assert head == "id age type status guards ruling services title"
        assert row.startswith("CHG-1041 ")
        assert "normal closed approved refused afterwards checkout" in row

    def test_of_a_calendar_with_its_freezes(self, ledger, tmp_path):
        given = (
            "list",
            "calendar",
            "--ledger",
            ledger,
            "--from",
            "2026-03-01",
            "--to",
            "2026-04-01",
        )
        lines = words(listed(*given))
        assert (
            lines[-1] == "Fri 2026-03-06 16:00 +0000 Sun 2026-03-08 17:00 +0000 sale all services"
        )
        out = tmp_path / "plan.ics"
        for _ in range(2):  # a calendar is written anew, for those who subscribed to it
            assert listed(*given, "--ics", out) == [f"1 entries written to {out}"]
        text = out.read_text()
        assert text.startswith("BEGIN:VCALENDAR")
        assert "sale" in text

    def test_a_calendar_is_not_written_over_another_file(self, ledger):
        before = ledger.read_bytes()
        ran = run_here("list", "calendar", "--ledger", ledger, "--ics", ledger)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "a new file, or a calendar to be replaced" in ran.stderr
        assert ledger.read_bytes() == before

    def test_freezes_are_in_the_order_of_time(self, ledger):
        with Ledger(ledger, must_exist=True) as book:
            monday = FRIDAY + timedelta(days=3)
            later = Freeze(name="audit", times=Window(start=monday, end=monday + timedelta(days=1)))
            friday = Freeze(
                name="last",
                times=Window(start=FRIDAY + timedelta(days=7), end=FRIDAY + timedelta(days=8)),
            )
            policy = Policy(name="shop", version="3", freezes=[friday, later, SALE])
            book.adopt(policy, by="mia")
        lines = words(listed("list", "calendar", "--ledger", ledger, "--from", "2026-03-01", "--to",
                             "2026-04-01"))  # fmt: skip
        assert [line.split()[8] for line in lines[-3:]] == ["sale", "audit", "last"]


# --- what is printed as JSON ----------------------------------------------------------------------


class TestThePage:
    """docs/json.md has the keys of every result of these commands, in their order."""

    @pytest.fixture(scope="class")
    @classmethod
    def keys(cls):
        page = (Path(__file__).parents[1] / "docs" / "json.md").read_text(encoding="utf-8")
        sections = (section.partition("\n") for section in page.split("\n## ")[1:])
        return {name: re.findall(r"^\| `(\w+)` \|", text, re.M) for name, _, text in sections}

    def test_has_what_the_commands_print(self, keys, ledger, strict):
        book = ("--ledger", ledger)
        found = told("what-if", strict, *book, "--json")
        assert list(found) == keys["WhatIf"]
        assert list(found["stopped"][0]) == keys["Judged"]
        assert list(found["share_of_passed"]) == keys["Share"]
        both = told("what-if", strict, *book, "--json", "--versus", strict)
        assert list(both) == keys["Versus"]
        duties = told("duties", *book, "--json")
        assert list(duties) == keys["Duties"]
        assert list(duties["rows"][0]) == keys["Duty"]
        [override] = told("list", "overrides", *book, "--json")["rows"]
        assert list(override) == keys["FreezeOverride"]
        risk = told("risk", "CHG-3", *book, "--at", "2026-03-06T17:00Z", "--json")
        assert list(risk) == keys["RiskAssessment"]
        assert list(risk["estimate"]) == keys["FailureRate"]
        gate = told("gate", "CHG-3", *book, "--at", "2026-03-10T12:00Z", "--json")
        assert list(gate) == keys["Gate"]
        assert list(told("policy", "test", strict, "--json")["rows"][0]) == keys["TestOutcome"]
        assert list(told("policy", "frozen", ledger, "--json")) == keys["Frozen"]

    def test_has_what_the_library_returns(self, keys, ledger):
        with LedgerReader(ledger) as book:
            log = tuple(book.replay())
        assert list(imcm.failure_model(log).as_dict()) == keys["FailureModel"]
        assert list(imcm.calibration(log).as_dict()) == keys["Calibration"]
        seen = Counts(requests=5, errors=0)
        verdict = imcm.judge([imcm.Look(canary=seen, baseline=seen)], imcm.CanaryPlan())
        assert list(verdict.as_dict()) == keys["CanaryVerdict"]
