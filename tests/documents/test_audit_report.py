"""
The document an auditor attaches: what it says of a ledger, and that it is the same bytes again.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from commands import run_here as imcm
from imcm import (
    Ledger,
    Policy,
    Risk,
    Verdict,
    audit,
    change,
    deployment_frequency,
    incident,
    time_to_restore,
)
from imcm.audit.report import audit_report
from imcm.documents import Document, Heading, Items, Paragraph, Table, plain_text, rendered
from imcm.documents.structure import cell_text
from imcm.domain.change_events import ChangeApproved, VoteGiven
from imcm.errors import InvalidValue, StepRefused
from imcm.interchange.csv_files import import_csv
from imcm.ledger.reading import LedgerReader

pytest.importorskip("typer", reason="the command line is an extra")

Q1 = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
Q2 = datetime(2026, 4, 2, 8, 0, tzinfo=UTC)
EVIL = "<b>Ms Lindqvist</b> | =1+1 \x1b[31m"


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = Q1

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Give a ledger of a quarter, and of what was learned of it in the next one."""
    path = tmp_path / "ledger.db"
    clock = Clock()
    rules = Policy(name="house", version="1", ruling_due=timedelta(days=2))
    with Ledger(path, clock=clock) as book:
        book.adopt(rules, by="steward")

        def record(id: str, step: object, when: datetime, by: str = "ana", **more: object) -> None:
            clock.now = max(clock.now, when)
            book.record(id, step, by=by, at=when, **more)  # type: ignore[call-overload]

        def hour(hours: float) -> datetime:
            return Q1 + timedelta(hours=hours)

        plan = {"services": ["pay"], "risk": Risk.LOW, "rollback_plan": "back"}
        record("CHG-1", change.plan, hour(1), by="lena", title="Basket", **plan)
        record("CHG-1", change.submit, hour(1.1), by="lena")
        record("CHG-1", change.approve, hour(1.2), by="mia")
        record("CHG-1", change.start, hour(2), by="bot")
        record("CHG-1", change.complete, hour(2.5), by="bot")
        record("CHG-2", change.observe, hour(3), by="bot", title="Nobody asked", services=["pay"])
        for number, hours in enumerate((1, 4, 6), start=1):
            id = f"INC-{number}"
            record(id, incident.detect, hour(10 * number), title=EVIL, services=["pay"])
            record(id, incident.resolve, hour(10 * number + hours))
        clock.now = Q2
        # One's own incident is made shorter, another one was none, and words are taken out.
        record("INC-2", incident.dismiss, Q2, by="ben", reason="false_positive", why="a probe")
        record(
            "INC-3", incident.correct, Q2, version=2, field="at", was=hour(36), now=hour(32),
            why="the graphs",
        )  # fmt: skip
        record("INC-1", incident.link_change, Q2, by="ben", change="CHG-1", verdict=Verdict.CAUSED)
        book.redact("incident:INC-1", by="dpo", at=Q2, reason="asked for", versions=[1])
    ran = imcm("audit", "checkpoint", "--ledger", path, "--anchors", tmp_path / "anchors.txt")
    assert ran.returncode == 0
    return path


def report_of(ledger: Path, **more):
    with LedgerReader(ledger) as book:
        given = {"window": "2026-Q1", "anchors": (ledger.parent / "anchors.txt").read_text()}
        return audit_report(book, ledger, **{**given, **more})


def table(document: Document, title: str) -> list[tuple[str, ...]]:
    """Return the cells of one table as text."""
    [there] = [each for each in document.tables if each.title == title]
    return [tuple(map(cell_text, row)) for row in there.rows]


def text_of(document: Document) -> str:
    """Return all sentences of a document."""
    lines = [document.title]
    for block in document.blocks:
        match block:
            case Heading() | Paragraph():
                lines.append(block.text)
            case Items():
                lines += block.texts
            case Table():
                lines.append(block.title)
    return "\n".join(lines)


def test_it_says_which_log_and_what_was_verified(ledger):
    """The ledger, how far it was read, the anchors, and what nobody can verify."""
    made = report_of(ledger)
    with LedgerReader(ledger) as book:
        position, mark = book.position_at(), book.mark_at(book.position_at())
        name = book.ledger_id
    log = dict(table(made.document, "the log"))
    assert log["ledger"] == name
    assert log["read up to log position"] == str(position)
    assert log["leaf of the event there"] == mark.leaf
    assert made.verdict.outcome == "OK"
    assert table(made.document, "verdict") == [("OK: the log matches every anchor",)]
    [anchor] = table(made.document, "anchors")
    assert anchor[2] == str(position)
    text = text_of(made.document)
    assert "Whether what was recorded is true" in text
    assert "no anchors were given" not in text
    none = report_of(ledger, anchors="")
    assert "no anchors were given" in text_of(none.document)
    assert table(none.document, "verdict")[0][0].startswith("NO ANCHORS")


def test_it_says_what_moved_and_because_of_what(ledger):
    """Time to restore was 4 h of three and is 1.5 h of two; each event and row is named."""
    made = report_of(ledger)
    with LedgerReader(ledger) as book:
        known_then = book.position_at(datetime(2026, 4, 1, tzinfo=UTC))
        published = time_to_restore(book.facts(known_at=known_then), window="2026-Q1")
        assert published.value == 4 * 3600
    [restore] = [each for each in made.moved if each.name == "time to restore"]
    assert (restore.before.value, restore.before.n) == (published.value, published.n)
    assert (restore.after.value, restore.after.n) == (5400.0, 2)
    rows = {row[0]: row[1:] for row in table(made.document, "rows of time to restore")}
    assert rows["INC-2"][:3] == ("fell out", "4 h", "")
    assert "dismissed" in rows["INC-2"][3]
    assert rows["INC-3"][:3] == ("counts otherwise", "6 h", "2 h")
    assert "INC-1" not in rows
    events = [row[2] for row in table(made.document, "what moved time to restore")]
    assert any("IncidentDismissed of incident:INC-2" in event for event in events)
    assert sum(float(row[6]) for row in table(made.document, "what moved time to restore")) == -2.5
    said = [row[3] for row in table(made.document, "what moved time to restore")]
    assert "ben: a probe" in said
    assert (
        "ana: at was 2026-03-03T20:00:00+00:00, is 2026-03-03T16:00:00+00:00 (the graphs)" in said
    )
    [verdict] = table(made.document, "what moved change failure rate")
    assert verdict[3] == "ben: verdict on change CHG-1 is caused"
    rate = {row[0]: row[1:] for row in table(made.document, "rows of change failure rate")}
    assert rate["CHG-1"][1:3] == ("does not count", "counts")


def test_exceptions_come_first_and_nothing_is_hidden(ledger):
    """What nobody asked for is an exception, and its ruling is overdue."""
    made = report_of(ledger)
    exceptions = table(made.document, "exceptions, and what the log does not say")
    assert {row[0] for row in exceptions if row[1] == "broken"} == {"CHG-2"}
    titles = [each.title for each in made.document.tables]
    assert titles.index("exceptions, and what the log does not say") < titles.index(
        "every change that went in"
    )
    every = {row[0]: row[1:] for row in table(made.document, "every change that went in")}
    assert every.keys() == {"CHG-1", "CHG-2"}
    assert every["CHG-1"][:3] == ("Basket", "pay", "normal")
    assert every["CHG-1"][3] == "low"
    assert every["CHG-1"][6] == "completed"
    with LedgerReader(ledger) as book:
        [vote] = [
            each for each in book.replay() if isinstance(each.event, (ChangeApproved, VoteGiven))
        ]
    assert every["CHG-1"][8] == f"mia 2026-03-02 09:12Z ({vote.position})"
    [late] = table(made.document, "overdue rulings")
    assert late[:2] == ("CHG-2", "broken")
    assert "overdue since 2026-03-04" in late[2]


def test_own_corrections_and_redactions_are_listed(ledger):
    """Whoever took part and corrected is named, in whose favour, and what was taken out."""
    made = report_of(ledger)
    [own] = table(made.document, "corrections of one's own work")
    assert own[2:4] == ("incident:INC-3", "ana")
    assert own[5].endswith("by ana: resolved: service is restored")
    assert own[6] == "in their own favour"
    [other] = table(made.document, "corrections of what others did")
    assert other[2:4] == ("incident:INC-2", "ben")
    assert other[6] == "takes it out of figures"
    [taken] = table(made.document, "words taken out")
    assert taken[2:] == ("incident:INC-1", "1", "dpo", "asked for")
    assert "Ms Lindqvist" not in plain_text(made.document)


MAKE = """
import sys
from pathlib import Path
from imcm import LedgerReader
from imcm.audit.report import audit_report
from imcm.documents import rendered

ledger, folder = map(Path, sys.argv[1:])
anchors = ledger.with_name("anchors.txt").read_text()
with LedgerReader(ledger) as book:
    made = audit_report(book, ledger, window="2026-Q1", anchors=anchors)
for form in ("md", "html", "csv", "json", "xlsx"):
    (folder / form).write_bytes(rendered(made.document, form))
"""


def test_it_is_the_same_bytes_again(ledger, tmp_path):
    """Made in other zones, with other seeds and locales, every form is the same to the byte."""
    places = (
        {"TZ": "UTC", "PYTHONHASHSEED": "1", "LC_ALL": "C"},
        {"TZ": "Asia/Kolkata", "PYTHONHASHSEED": "77", "LC_ALL": "C.UTF-8"},
    )
    folders = [tmp_path / place["PYTHONHASHSEED"] for place in places]
    for place, folder in zip(places, folders, strict=True):
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", MAKE, str(ledger), str(folder)],
            env={**os.environ, **place},
            check=True,
            capture_output=True,
        )
    for form in ("md", "html", "csv", "json", "xlsx"):
        first, second = ((folder / form).read_bytes() for folder in folders)
        assert first == second, form
        assert len(first) > 1000


def test_it_stays_the_same_while_the_log_grows(ledger, tmp_path):
    """Of an earlier position it says the same when more was recorded and anchored since."""
    with LedgerReader(ledger) as book:
        position = book.position_at()
    before = report_of(ledger, known_at=position).document
    with Ledger(ledger) as book:
        now = datetime.now(UTC)
        book.record("INC-9", incident.detect, by="ana", at=now, title="Another one")
    imcm("audit", "checkpoint", "--ledger", ledger, "--anchors", tmp_path / "anchors.txt")
    assert report_of(ledger, known_at=position).document == before
    assert report_of(ledger).document != before


def test_the_command_it_names_makes_it_again(ledger, tmp_path):
    """The last lines are a command; with the names of the files it prints the same document."""
    anchors = tmp_path / "anchors.txt"
    first = imcm("audit", "report", "--ledger", ledger, "--anchors", anchors, "--window",
                 "2026-Q1", "--format", "md").stdout  # fmt: skip
    document = json.loads(
        imcm("audit", "report", "--ledger", ledger, "--anchors", anchors, "--window", "2026-Q1",
             "--json").stdout
    )  # fmt: skip
    [command] = [text for block in document["blocks"] for text in block.get("texts", ())
                 if text.startswith("imcm audit report")]  # fmt: skip
    words = command.replace("FILE", str(ledger)).replace("ANCHORS", str(anchors)).split()[1:]
    assert imcm(*words, "--format", "md").stdout == first


def test_an_altered_log_is_said_and_fails(ledger, tmp_path):
    """The document is written all the same, says where it differs, and the command ends with 1."""
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("UPDATE stored_events SET topic = 'IncidentClosed' WHERE rowid = 9")
        database.commit()
    out = tmp_path / "audit.md"
    ran = imcm("audit", "report", "--ledger", ledger, "--anchors", tmp_path / "anchors.txt",
               "--window", "2026-Q1", "--out", out)  # fmt: skip
    assert ran.returncode == 1
    assert "the log is not what its anchors say: DIFFERS" in ran.stderr
    assert "DIFFERS" in out.read_text()


def test_csv_is_one_table_of_parts(ledger):
    """Each line says which part it belongs to, and exceptions can be filtered by it."""
    ran = imcm("audit", "report", "--ledger", ledger, "--window", "2026-Q1", "--format", "csv")
    rows = list(csv.reader(StringIO(ran.stdout)))
    assert len({len(row) for row in rows}) == 1
    wanted = "exceptions, and what the log does not say"
    parts = [row for row in rows if row[:2] == [wanted, "row"]]
    assert {row[2] for row in parts} == {"CHG-2"}


def test_what_is_wrong_is_refused(ledger, tmp_path):
    """No period, two of them, a form that there is not, a file that is there, too early a time."""
    base = ("audit", "report", "--ledger", ledger)
    for words, status, why in (
        ((), 2, "give the period"),
        (("--window", "2026-Q1", "--from", "2026-01-01"), 2, "--window goes without"),
        (("--window", "2026-Q1", "--out", tmp_path / "x.pdf"), 1, "a name that ends in one of"),
        (("--window", "2026-Q1", "--out", ledger.with_name("anchors.txt")), 1, "exists already"),
        (("--window", "2026-Q1", "--known-at", "2020-01-01"), 1, "something was recorded"),
        (("--window", "2026-Q1", "--json", "--format", "md"), 2, "--json goes without"),
    ):
        ran = imcm(*base, *words)
        assert ran.returncode == status, words
        assert why in ran.stderr, words
    with pytest.raises(InvalidValue, match="a period with both its ends"):
        report_of(ledger, window=None)


def test_a_period_before_anything_was_known(ledger):
    """Where nothing was recorded yet when figures were published, none is restated."""
    made = report_of(ledger, window="2025-Q4")
    assert made.moved == ()
    assert "Nothing was recorded yet" in text_of(made.document)
    assert table(made.document, "every change that went in") == []


def test_the_demo_can_be_audited(tmp_path):
    """Rules, rulings and freezes of the story: the broken change is the first of all."""
    imcm("demo", "--ledger", tmp_path / "s.db")
    with LedgerReader(tmp_path / "s.db") as book:
        anchors = audit.checkpoint(book.rows(), anchors="", at=Q2)
        made = audit_report(book, tmp_path / "s.db", window="2026-03", anchors=anchors)
    assert table(made.document, "exceptions, and what the log does not say")[0][0] == "CHG-1041"
    assert table(made.document, "rules adopted") != []


def day(month: int, number: int, hour: int = 9) -> datetime:
    """Return an hour of a day of 2026."""
    return datetime(2026, month, number, hour, tzinfo=UTC)


@pytest.fixture
def third_quarter(tmp_path: Path) -> Path:
    """Give a ledger of a third quarter, of whose last days more is told in October."""
    path = tmp_path / "q3.db"
    clock = Clock()
    with Ledger(path, clock=clock) as book:

        def record(id: str, step: object, told_at: datetime, at: datetime, **more: object) -> None:
            clock.now = max(clock.now, told_at)
            book.record(id, step, by="ana", at=at, **more)  # type: ignore[call-overload]

        record("CHG-1", change.observe, day(9, 1), day(9, 1), title="One", services=["pay"])
        record("INC-1", incident.detect, day(9, 10), day(9, 10), title="First")
        record("INC-1", incident.resolve, day(9, 10, 10), day(9, 10, 10))
        # Of the 29th, told on 25 October.
        record("INC-2", incident.detect, day(10, 25), day(9, 29, 14), title="Told late")
        record("INC-2", incident.resolve, day(10, 25), day(9, 29, 17))
        record("CHG-2", change.observe, day(10, 25), day(9, 29), title="Two", services=["pay"])
    return path


@pytest.mark.parametrize("published", [None, 4, day(10, 1)])
def test_what_is_told_late_of_the_last_days_counts(third_quarter, published):
    """Figures go up to the end of the period, not to the newest event before publication."""
    with LedgerReader(third_quarter) as book:
        assert book.position_at(day(10, 1)) == 4
        made = audit_report(book, third_quarter, window="2026-Q3", published=published)
    log = dict(table(made.document, "the log"))
    assert log["figures published at position"] == "4"
    assert log["figures are as of"] == "2026-10-01T00:00:00+00:00"
    rows = {row[0]: row[1:] for row in table(made.document, "rows of time to restore")}
    assert rows["INC-2"][:3] == ("came in", "", "3 h")
    moved = {figure.name: figure for figure in made.moved}
    assert [moved["time to restore"].before.value, moved["time to restore"].after.value] == [
        3600.0,
        7200.0,
    ]
    assert (moved["deployment frequency"].before.n, moved["deployment frequency"].after.n) == (1, 2)
    came = {row[0]: row[1] for row in table(made.document, "rows of deployment frequency")}
    assert came == {"CHG-2": "came in"}


def test_figures_published_within_the_period_end_there(third_quarter):
    """A time within it is their end; of a position it is the record's, where another follows."""
    with LedgerReader(third_quarter) as book:
        for published, as_of in (
            (day(9, 20), day(9, 20)),
            (3, next(each.recorded_at for each in book.replay() if each.position == 3)),
            (0, day(10, 1, 0)),
            (7, day(10, 1, 0)),
        ):
            made = audit_report(book, third_quarter, window="2026-Q3", published=published)
            log = dict(table(made.document, "the log"))
            assert log["figures are as of"] == as_of.isoformat(), published
            assert log.get("figures published at") == (
                published.isoformat() if isinstance(published, datetime) else None
            )
            [command] = [
                text
                for block in made.document.blocks
                if isinstance(block, Items)
                for text in block.texts
                if text.startswith("imcm audit report")
            ]
            given = command.split("--published ")[1]
            again = int(given) if given.isdigit() else datetime.fromisoformat(given)
            assert audit_report(
                book, third_quarter, window="2026-Q3", published=again, known_at=book.position_at()
            ).document == made.document  # fmt: skip


def test_every_ruling_is_listed_and_what_did_not_go_in_is_named(tmp_path):
    """Who ruled, when, what, and why, also where nothing is overdue; and what was only planned."""
    path = tmp_path / "rulings.db"
    clock = Clock()
    with Ledger(path, clock=clock) as book:
        book.adopt(Policy(name="house", version="1", ruling_due=timedelta(days=2)), by="steward")
        for number, step in ((1, change.approve_retroactively), (2, change.refuse_retroactively)):
            id, at = f"CHG-{number}", Q1 + timedelta(hours=number)
            clock.now = at
            book.record(id, change.observe, by="bot", at=at, title="Found", services=["pay"])
            clock.now = at + timedelta(hours=1)
            book.record(id, step, by="mia", at=clock.now, why=f"looked at {number}")
        book.record("CHG-3", change.plan, by="lena", at=clock.now, title="Not yet", risk="low",
                    services=["pay"], rollback_plan="back")  # fmt: skip
    with LedgerReader(path) as book:
        made = audit_report(book, path, window="2026-Q1")
    rulings = table(made.document, "rulings given")
    assert [(row[1], row[2], row[3], row[6]) for row in rulings] == [
        ("CHG-1", "approved afterwards", "mia", "looked at 1"),
        ("CHG-2", "refused afterwards", "mia", "looked at 2"),
    ]
    assert table(made.document, "changes that did not go in") == [("CHG-3", "pay", "draft", "lena")]
    assert "Changes that did not go in: 1; that went in at another time: 0." in text_of(
        made.document
    )
    every = {row[0]: row for row in table(made.document, "every change that went in")}
    assert every["CHG-1"][9].endswith(f"({rulings[0][0]}, afterwards)")


def test_words_that_nobody_says_they_took_out_are_listed(ledger):
    """Where the event that accounts for a redaction is gone, the section says so, too."""
    assert "nobody says" not in text_of(report_of(ledger).document)
    with closing(sqlite3.connect(ledger)) as database:
        gone = database.execute("DELETE FROM stored_events WHERE topic = 'WordsRedacted'")
        assert gone.rowcount == 1
        database.commit()
    made = report_of(ledger)
    assert made.verdict.unaccounted_total == 1
    assert table(made.document, "words taken out") == []
    assert table(made.document, "words missing, and nobody says who took them out") == [
        ("incident:INC-1", "1")
    ]


def first_sentence(document: Document) -> str:
    """Return what stands at the very top of a document; "" where that is a heading."""
    top = document.blocks[0]
    return top.text if isinstance(top, Paragraph) else ""


def test_what_is_not_ok_stands_at_the_top(ledger):
    """A verdict is read first; where no anchor matches nothing is "newer" than one that does."""
    assert first_sentence(report_of(ledger).document) == ""
    none = first_sentence(report_of(ledger, anchors="").document)
    assert none.startswith("Nothing shows that the log was not altered: NO ANCHORS (")
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("UPDATE stored_events SET topic = 'IncidentClosed' WHERE rowid = 9")
        database.commit()
    made = report_of(ledger)
    assert (made.verdict.outcome, made.verdict.matched) == ("DIFFERS", 0)
    top = first_sentence(made.document)
    assert top.startswith("The log is not what its anchors say: DIFFERS (")
    text = text_of(made.document)
    assert "newer than the last anchor that matches" not in text
    assert "no anchor matches, so none says of any event that it is as it was" in text
    assert "no anchor that was given matches the log" in text


def test_ids_that_read_alike_are_told_apart(tmp_path):
    """A Cyrillic letter in an id is written out where the two votes are named, in every form."""
    path = tmp_path / "alike.db"
    clock = Clock()
    rules = Policy(name="two", version="1", approvals=2)
    with Ledger(path, clock=clock) as book:
        book.adopt(rules, by="steward")
        for step, by, more in (
            (change.plan, "lena", {"title": "x", "risk": "low", "services": ["pay"],
                                   "rollback_plan": "back"}),
            (change.submit, "lena", {}),
            (change.approve, "mia", {}),
            (change.approve, "mi\u0430", {}),
            (change.start, "bot", {}),
            (change.complete, "bot", {}),
        ):  # fmt: skip
            book.record("CHG-1", step, by=by, at=clock(), **more)
    with LedgerReader(path) as book:
        made = audit_report(book, path, window="2026-Q1").document
    reasons = [row[3] for row in table(made, "exceptions, and what the log does not say")]
    assert any("ids that read alike voted: mia, mi\\u0430" in reason for reason in reasons)
    for form in ("html", "md"):
        assert b"u0430" in rendered(made, form), form


def quiet_end(path: Path, *, record_refusals: bool = False) -> Clock:
    """Two changes of two sources, and nothing more in the quarter after the tenth of January."""
    clock = Clock()
    clock.now = there = datetime(2026, 1, 10, tzinfo=UTC)
    with Ledger(path, clock=clock, record_refusals=record_refusals) as book:
        given = {"services": ["pay"], "risk": Risk.LOW, "rollback_plan": "back", "at": there}
        book.record("CHG-1", change.plan, by="lena", title="Basket", **given)
        book.record("CHG-1", change.submit, by="lena", at=there)
        with contextlib.suppress(StepRefused):
            book.record("CHG-1", change.approve, by="lena", at=there)
        book.record("CHG-1", change.approve, by="mia", at=there)
        book.record("CHG-1", change.start, by="bot", at=there)
        book.record("CHG-1", change.complete, by="bot", at=there)
        row = {"id": "C-2", "approved_at": "2026-01-08T10:00Z", "approved_by": "tom"}
        row |= {"started_at": "2026-01-09T09:00Z", "implemented_by": "ivo"}
        row |= {"deployed_at": "2026-01-09T10:00Z"}
        import_csv(book, changes=[row], source="oldtool")
        book.record("INC-1", incident.detect, by="ana", at=there, title="x", services=["pay"])
        book.record("INC-1", incident.acknowledge, by="ben", at=there)
        book.record("INC-1", incident.link_change, by="ben", at=there, change="CHG-1",
                    verdict=Verdict.CAUSED)  # fmt: skip
    return clock


def test_what_a_report_of_then_printed_is_told_where_it_looked_less_far(tmp_path):
    """Without --as-of it divides by the days up to the newest event."""
    quiet_end(tmp_path / "a.db")
    with LedgerReader(tmp_path / "a.db") as book:
        made = audit_report(book, tmp_path / "a.db", window="2026-Q1")
        printed = deployment_frequency(book.facts(), window="2026-Q1")
    [frequency] = [each for each in made.moved if each.name == "deployment frequency"]
    assert frequency.before.value == pytest.approx(2 / 90)
    assert printed.value == pytest.approx(2 / 9, rel=1e-3)
    text = text_of(made.document)
    assert "A report of then that was made without --as-of looked only up to 2026-01-10" in text
    assert "deployment frequency: 0.2222" in text
    assert {each.name for each in made.moved} >= {"time to acknowledge", "time to mitigate"}


def test_whom_sources_name_is_told_as_their_word(tmp_path):
    """No vote, and not nobody."""
    quiet_end(tmp_path / "a.db")
    with LedgerReader(tmp_path / "a.db") as book:
        made = audit_report(book, tmp_path / "a.db", window="2026-Q1")
        trail = book.trail("oldtool/C-2")
    rows = {row[0]: row for row in table(made.document, "every change that went in")}
    assert rows["oldtool/C-2"][9:11] == ("tom (a source says so)", "ivo (a source says so)")
    assert "approved by tom (a source says so)" in trail.explain()
    assert "implemented by ivo (a source says so)" in plain_text(trail.document())
    assert trail.approved_by == ()


@pytest.mark.parametrize("kept", [True, False])
def test_attempts_that_were_refused_are_listed_where_they_were_kept(tmp_path, kept):
    quiet_end(tmp_path / "a.db", record_refusals=kept)
    with LedgerReader(tmp_path / "a.db") as book:
        made = audit_report(book, tmp_path / "a.db", window="2026-Q1")
    refused = table(made.document, "refused attempts")
    assert [row[2:4] for row in refused] == ([("CHG-1", "lena")] if kept else [])
    assert "Others leave no trace" in text_of(made.document)


def test_what_others_corrected_says_what_it_was(tmp_path):
    clock = quiet_end(tmp_path / "a.db")
    clock.now = datetime(2026, 4, 2, tzinfo=UTC)
    with Ledger(tmp_path / "a.db", clock=clock) as book:
        book.record("INC-1", incident.void, by="zoe", at=clock.now, version=2, why="a slip")
        book.record(
            "INC-1", incident.dismiss_link, by="ben", at=clock.now, change="CHG-1", why="no"
        )
    with LedgerReader(tmp_path / "a.db") as book:
        made = audit_report(book, tmp_path / "a.db", window="2026-Q1", keys=())
    [other] = table(made.document, "corrections of what others did")
    assert other[3] == "zoe"
    assert other[6] == "takes it out of figures"
    assert other[5].endswith("by ben: acknowledged")
    rate = {row[0]: row[1:] for row in table(made.document, "rows of change failure rate")}
    assert rate["CHG-1"][:3] == ("counts otherwise", "counts", "does not count")
    assert rate["CHG-1"][3].startswith("before: ")
    assert rate["CHG-1"][3].endswith("; now nothing says so")


def test_rows_that_went_in_after_the_period_say_so(tmp_path):
    clock = quiet_end(tmp_path / "a.db")
    clock.now = datetime(2026, 4, 2, tzinfo=UTC)
    with Ledger(tmp_path / "a.db", clock=clock) as book:
        was, now = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 4, 1, 8, tzinfo=UTC)
        book.record("CHG-1", change.correct, by="bot", at=clock.now, version=5, field="at",
                    was=was, now=now, why="the log of the pipeline")  # fmt: skip
    with LedgerReader(tmp_path / "a.db") as book:
        made = audit_report(book, tmp_path / "a.db", window="2026-Q1")
    rows = {row[0]: row[1:] for row in table(made.document, "rows of deployment frequency")}
    assert rows["CHG-1"][0] == "fell out"
    assert rows["CHG-1"][3] == "by what is known now it went in after the period: 2026-04-01 08:00Z"


def test_keys_stand_in_the_command_that_makes_it_again(ledger):
    pem = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    signer = audit.Signer.from_pem(pem, name="log.example")
    with LedgerReader(ledger) as book:
        note = audit.checkpoint(book.rows(), anchors="", at=Q2, signer=signer)
    key = signer.key.vkey
    made = report_of(ledger, keys=[key], anchors=note)
    assert made.verdict.outcome == "OK"
    assert f"--anchors ANCHORS --key {key} --from " in text_of(made.document)
