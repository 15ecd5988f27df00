"""
Drafts of post-incident reviews: what the log says, who is not named, and what is left open.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from commands import run_here as imcm
from imcm import (
    AttemptResult,
    Audience,
    Between,
    Impact,
    Ledger,
    MitigationKind,
    Role,
    Severity,
    Verdict,
    change,
    incident,
)
from imcm.documents import Items, Paragraph, plain_text
from imcm.documents.structure import cell_text
from imcm.errors import InvalidValue, UnknownIdError
from imcm.interchange.exports.review import incident_review

pytest.importorskip("typer", reason="the command line is an extra")

NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


class Clock:
    def __call__(self) -> datetime:
        return NOON + timedelta(days=1)


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "ledger.db", clock=Clock()) as book:
        yield book


def record(book, id, step, minutes, by="ana", **more):
    book.record(id, step, by=by, at=NOON + timedelta(minutes=minutes), **more)


def texts(document):
    """Return the sentences of a document."""
    lines = []
    for block in document.blocks:
        if isinstance(block, Items):
            lines += block.texts
        elif isinstance(block, Paragraph):
            lines.append(block.text)
    return lines


def rows(document, title):
    [table] = [each for each in document.tables if each.title == title]
    return [tuple(map(cell_text, row)) for row in table.rows]


def test_a_bare_incident_leaves_nearly_all_open(ledger):
    """What nobody said is asked, and nothing is made up for it."""
    record(ledger, "INC-1", incident.detect, 0, title="Slow")
    made = incident_review(ledger, "INC-1")
    said = texts(made)
    for question in (
        "Since when were users hit?",
        "Who was hit, and how many customers?",
        "How severe was it?",
        "When did somebody take it on?",
        "When were users no longer hurt?",
        "When was service restored? It is not, as far as is recorded.",
        "What was tried, and what did it do?",
        "What brought it about?",
        "What is to be done so that it does not happen again?",
        "What went well, and where was it luck?",
    ):
        assert question in said
    assert said.count("Left open: the log does not say.") == 2
    assert {row[1] for row in rows(made, "how long it took")} == {"not known"}
    assert rows(made, "attempts") == []
    assert "No update to colleagues or to the public is recorded." in said


def whole(book):
    """Record an incident of which nearly everything is known."""
    record(book, "CHG-1", change.observe, 1, by="bot", title="Basket 5.4", services=["pay"])
    record(book, "INC-1", incident.detect, 5, by="prometheus", title="Payments fail <b>",
           services=["pay"], impact_started_at=NOON, symptom="errors")  # fmt: skip
    record(book, "INC-1", incident.acknowledge, 7)
    record(book, "INC-1", incident.triage, 8, severity=Severity.P1, impact=Impact(customers=40))
    record(book, "INC-1", incident.assign_role, 9, role=Role.INCIDENT_COMMANDER, person="ben")
    record(book, "INC-1", incident.release_role, 90, by="ben", role=Role.INCIDENT_COMMANDER,
           person="ben")  # fmt: skip
    record(
        book, "INC-1", incident.attempt_mitigation, 10, by="ana-maria", kind=MitigationKind.RESTART
    )
    record(book, "INC-1", incident.conclude_attempt, 15, number=1, result=AttemptResult.NO_EFFECT)
    record(book, "INC-1", incident.attempt_mitigation, 20, kind=MitigationKind.ROLL_BACK)
    record(book, "INC-1", incident.link_change, 21, change="CHG-1", verdict=Verdict.CAUSED)
    record(book, "INC-1", incident.link_change, 22, change="CHG-9", verdict=Verdict.SUSPECTED)
    record(book, "INC-1", incident.post_update, 25, audience="public", text="We are on it.")
    record(book, "INC-1", incident.mitigate, 30)
    record(book, "INC-1", incident.resolve, 65)
    record(book, "INC-1", incident.add_action, 100, text="Test totals", owner="lena",
           due=date(2026, 3, 20))  # fmt: skip
    record(book, "INC-1", incident.add_action, 101, text="Alert earlier")


def test_people_stand_by_their_part(ledger):
    """No id of a person is in the timeline, also where one id is the beginning of another."""
    whole(ledger)
    made = incident_review(ledger, "INC-1")
    timeline = rows(made, "timeline")
    people = {"ana", "ben", "ana-maria", "prometheus", "bot"}
    assert not people & {row[2] for row in timeline}
    assert {"reporter", "responder", "incident commander"} <= {row[2] for row in timeline}
    words = {word.strip("():,") for row in timeline for word in row[3].split()}
    assert not people & words
    assert "the role of incident commander is taken on" in {row[3] for row in timeline}
    assert "the role of incident commander is given up" in {row[3] for row in timeline}
    named = rows(incident_review(ledger, "INC-1", names=True), "timeline")
    assert "ana-maria" in {row[2] for row in named}
    assert [row[:2] for row in named] == [row[:2] for row in timeline]


def test_what_is_known_is_told(ledger):
    """Durations, attempts with their results, causes with their changes, actions."""
    whole(ledger)
    made = incident_review(ledger, "INC-1")
    took = dict(row[:2] for row in rows(made, "how long it took"))
    assert took["from the first harm to detection"] == "5 min"
    assert took["from detection to resolution"] == "1 h"
    assert [row[2:5] for row in rows(made, "attempts")] == [
        ("restart", "", "no effect"), ("roll back", "", "not said"),
    ]  # fmt: skip
    causes = rows(made, "changes")
    assert causes[0] == ("CHG-1", "caused", "2026-03-06 12:01Z", "Basket 5.4")
    assert causes[1] == ("CHG-9", "suspected", "", "")
    said = texts(made)
    assert "What brought it about?" not in said
    assert "Did these changes cause it, which are suspected: CHG-9?" in said
    assert "What did these attempts do: 2?" in said
    assert "Who does these actions: 2?" in said
    assert "40 customers" in said
    actions = rows(made, "actions")
    assert actions[0][1:] == ("open", "2026-03-20", "lena", "", "Test totals")
    assert actions[1][2:4] == ("not said", "nobody yet")


def test_uncertain_moments_say_so(ledger):
    """A duration from an uncertain moment is about so long."""
    start = Between(earliest=NOON, latest=NOON + timedelta(minutes=20))
    ledger.record("INC-2", incident.detect, by="ana", at=start, title="Slow")
    record(ledger, "INC-2", incident.resolve, 70)
    record(ledger, "INC-2", incident.reopen, 80, why="again")
    record(ledger, "INC-2", incident.resolve, 130)
    made = incident_review(ledger, "INC-2")
    took = dict(row[:2] for row in rows(made, "how long it took"))
    assert took["from detection to resolution"] == "about 2 h (a moment is uncertain)"
    assert "reopened: 1 times" in texts(made)
    assert "1 of the entries above are known only between two moments." in texts(made)


def test_as_it_was_known(ledger):
    """What became known later is left out."""
    whole(ledger)
    position = next(
        recorded.position
        for recorded in ledger.replay()
        if type(recorded.event).__name__ == "IncidentAcknowledged"
    )
    made = incident_review(ledger, "INC-1", known_at=position)
    assert rows(made, "actions") == []
    assert "What was tried, and what did it do?" in texts(made)


def test_only_incidents_are_reviewed(ledger):
    whole(ledger)
    with pytest.raises(InvalidValue, match="the id of an incident"):
        incident_review(ledger, "CHG-1")
    with pytest.raises(UnknownIdError):
        incident_review(ledger, "INC-7")


def test_the_command(ledger, tmp_path):
    """It prints, or writes a new file in the form that its name says."""
    whole(ledger)
    path = tmp_path / "ledger.db"
    ran = imcm("review", "INC-1", "--ledger", path)
    assert ran.returncode == 0
    assert ran.stdout == plain_text(incident_review(ledger, "INC-1"), width=None)
    forms = {
        "r.md": b"# Post-incident review of INC-1\\: Payments fail \\<b\\>",
        "r.html": b"<!DOCTYPE html>",
        "r.json": b"{",
        "r.xlsx": b"PK",
        "r.txt": b"Post-incident review",
        "r.csv": b"part,kind,content",
    }
    for name, begins in forms.items():
        assert imcm("review", "INC-1", "--ledger", path, "--out", tmp_path / name).returncode == 0
        assert (tmp_path / name).read_bytes().startswith(begins)


def test_what_somebody_wrote_stays_as_it_is():
    """Also where a word in it is somebody's id, and where a service is called so."""
    ledger = Ledger.in_memory()
    told = {"by": "will", "at": datetime(2026, 3, 2, 9, tzinfo=UTC)}
    title = "will it start in may? art fails"
    ledger.record("INC-1", incident.detect, title=title, services=["art"], **told)
    lead = Role.INCIDENT_COMMANDER
    ledger.record("INC-1", incident.assign_role, role=lead, person="may", by="art", at=told["at"])
    said = "Service may be slow until May 5; it will come back"
    ledger.record(
        "INC-1", incident.post_update, text=said, audience=Audience.PUBLIC, by="may", at=told["at"]
    )
    text = plain_text(incident_review(ledger, "INC-1"))
    assert title in text
    assert said in text
    assert "detected on art" in text
    assert "reporter" in text
    ledger.record("INC-1", incident.add_action, text="watch it", owner="will", **told)
    text = plain_text(incident_review(ledger, "INC-1"))
    assert "(reporter)" not in text  # or the owner, who stands by his id, would be known as that
