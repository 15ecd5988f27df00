"""
Rules that a ledger has adopted: in force for every process, and told by the log.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

import imcm
from imcm import (
    ApprovalRule,
    Authority,
    Freeze,
    Ledger,
    LedgerMissingError,
    LedgerReader,
    Policy,
    Rules,
    SeverityScale,
    StepRefused,
    UnreadEventError,
    Weekly,
    change,
    incident,
    read_policy,
)
from imcm.domain.change import Change
from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeFailed,
    ChangeStarted,
    VoteGiven,
)
from imcm.errors import InvalidValue, StoreError
from ledger.conftest import ledger, path, server, settings, sql

__all__ = ["ledger", "path", "server", "settings", "sql"]

NOW = datetime(2026, 2, 27, 15, 0, tzinfo=UTC)  # a Friday
TWO = Policy(name="two votes", version="1", approvals=2)
CAB = Policy(
    name="cab", version="1", rules=[ApprovalRule(votes=2, of={"cab": 1})], members={"cab": ["mia"]}
)
SCALE = SeverityScale(name="web", levels={"SEV1": "P1", "SEV2": "P2"})


def submitted(ledger, id_="CHG-1"):
    told = {"title": "v2", "services": ["pay"], "risk": "low", "rollback_plan": "back"}
    ledger.record(id_, change.plan, by="ann", at=NOW, **told)
    ledger.record(id_, change.submit, by="ann", at=NOW)


def vote(ledger, by, id_="CHG-1", **more):
    [recorded] = ledger.record(id_, change.approve, by=by, at=NOW, **more)
    return recorded.event


@pytest.fixture
def clocked(path):
    with Ledger(path, clock=lambda: NOW + timedelta(hours=5)) as ledger:
        yield ledger


class TestAdopting:
    def test_puts_a_policy_in_force_whoever_records(self, ledger):
        submitted(ledger)
        assert ledger.rules() == Rules()
        adopted = ledger.adopt(TWO, by="mia")
        assert (adopted.kind, adopted.name, adopted.version) == ("policy", "two votes", "1")
        assert json.loads(adopted.text) == TWO.as_dict()
        assert ledger.rules().policy == TWO
        event = vote(ledger, "bea")
        assert (event.quorum, event.status, event.policy.name) == (2, None, "two votes")

    def test_is_there_for_other_processes_and_readers(self, path, clocked):
        submitted(clocked)
        with Ledger(path) as other, LedgerReader(path) as reader:
            other.adopt(CAB, by="mia")
            assert reader.rules().policy == CAB
            with pytest.raises(StepRefused, match="may not vote as cab"):
                vote(clocked, "bea", authority="cab")
            assert vote(clocked, "bea").status is None
            assert vote(clocked, "mia", authority="cab").status == "approved"

    def test_again_records_nothing(self, ledger):
        ledger.adopt(TWO, by="mia")
        assert ledger.adopt(TWO, by="ann") is None
        ledger.adopt(CAB, by="mia")
        assert ledger.adopt(TWO, by="mia") is not None  # back to what was before
        assert ["two votes", "cab", "two votes"] == [
            recorded.event.name for recorded in ledger.history("rules:policy")
        ]
        assert [event.name for event in ledger.rules().policies] == [
            "two votes",
            "cab",
            "two votes",
        ]

    def test_of_other_content_under_the_same_name_is_refused(self, ledger):
        ledger.adopt(TWO, by="mia")
        other = Policy(name="two votes", version="1", approvals=3)
        with pytest.raises(StepRefused, match="was adopted with other content") as refused:
            ledger.adopt(other, by="mia")
        assert (refused.value.guard, refused.value.stream) == ("name", "rules:policy")
        assert ledger.adopt(Policy(name="two votes", version="2", approvals=3), by="mia")

    def test_is_for_the_stewards_that_are_named(self, ledger):
        ledger.adopt(Policy(name="kept", stewards=["Mia"]), by="ann")
        for rules in (TWO, SCALE):
            with pytest.raises(StepRefused, match="'ann' may not adopt rules; who may: Mia"):
                ledger.adopt(rules, by="ann")
        assert ledger.adopt(SCALE, by="mia")
        assert ledger.adopt(TWO, by="mia")
        assert ledger.adopt(Policy(name="open"), by="ann")

    def test_of_a_scale_is_in_force_too(self, path):
        with Ledger(path) as first, Ledger(path) as other:
            first.adopt(SCALE, by="mia")
            at = datetime.now(UTC)
            other.record("INC-1", incident.detect, by="ann", at=at, title="down")
            told = {"by": "ann", "at": at, "severity": "SEV2"}
            [triaged] = other.record("INC-1", incident.triage, **told)
            assert (triaged.event.severity, triaged.event.severity_name) == ("P2", "SEV2")
            assert other.rules().scale == SCALE

    @pytest.mark.parametrize("rules", [None, "strict", {"approvals": 2}, NOW])
    def test_refuses_what_is_no_rules(self, ledger, rules):
        with pytest.raises(InvalidValue, match="give a Policy, a SeverityScale or Dependencies"):
            ledger.adopt(rules, by="mia")
        with pytest.raises(InvalidValue, match="by"):
            ledger.adopt(TWO, by=7)

    def test_at_the_same_time_leaves_one_after_the_other(self, path, clocked):
        policies = [Policy(name=f"p{number}") for number in range(12)]

        def adopt(policy):
            with Ledger(path) as mine:
                mine.adopt(policy, by="mia")

        threads = [threading.Thread(target=adopt, args=(each,)) for each in policies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        history = clocked.history("rules:policy")
        assert {recorded.event.name for recorded in history} == {each.name for each in policies}
        assert [recorded.version for recorded in history] == [*range(1, 13)]


class TestInForce:
    def test_another_policy_given_to_a_step_is_refused(self, ledger):
        submitted(ledger)
        assert vote(ledger, "bea", policy=TWO).quorum == 2  # nothing was adopted yet
        ledger.adopt(CAB, by="mia")
        for other in (TWO, Policy(), "cab"):
            with pytest.raises(InvalidValue, match="what is in force, cab 1"):
                vote(ledger, "dan", policy=other)
        assert vote(ledger, "mia", policy=CAB, authority="cab").policy.name == "cab"

    def test_another_policy_given_to_the_ledger_is_refused(self, path, clocked):
        with Ledger(path, policy=TWO) as expecting:
            submitted(expecting)
            assert vote(expecting, "bea").quorum == 2
            clocked.adopt(CAB, by="mia")
            with pytest.raises(InvalidValue, match="what the ledger has adopted, cab 1"):
                vote(expecting, "dan")
        with Ledger(path, scale=SCALE) as other:
            other.adopt(SeverityScale(name="other", levels={"A": "P1"}), by="mia")
            with pytest.raises(InvalidValue, match="adopted, other 1"):
                vote(other, "dan")
        for make in (Ledger.in_memory, lambda **told: Ledger(path, **told)):
            with pytest.raises(InvalidValue, match="give a Policy"):
                make(policy="strict")

    def test_a_step_of_ones_own_goes_by_it_too(self, ledger):
        def approve(state: Change, *, by, at):
            made = change.approve(state, by=by, at=at)
            return tuple(each for each in made if isinstance(each, VoteGiven))

        submitted(ledger)
        ledger.adopt(TWO, by="mia")
        with pytest.raises(StepRefused, match="what follows"):
            ledger.record("CHG-1", approve, by="bea", at=NOW)

    def test_what_was_submitted_under_other_rules_takes_what_both_ask(self, ledger):
        ledger.adopt(Policy(name="three", approvals=3), by="mia")
        submitted(ledger)
        ledger.adopt(CAB, by="mia")
        event = vote(ledger, "mia", authority="cab")
        assert (event.quorum, event.status) == (3, None)
        assert "as asked under three 1, too" in event.policy.said
        vote(ledger, "bea")
        assert vote(ledger, "dan").status == "approved"

    def test_nobody_else_says_what_it_was_submitted_under(self, ledger):
        submitted(ledger)
        for _ in range(2):
            with pytest.raises(InvalidValue, match="a ledger knows under which policy"):
                vote(ledger, "bea", also=TWO)
            ledger.adopt(CAB, by="mia")

    def test_what_a_source_says_went_in_before_its_approval_is_outstanding(self, ledger):
        told = {"by": "snow", "imported": True}
        done = ChangeCompleted(at=NOW, **told)
        for number, events in enumerate(
            [(ChangeStarted(at=NOW, **told), done), (done,), (ChangeFailed(at=NOW, **told),)]
        ):
            submitted(ledger, f"CHG-{number}")
            pairs = tuple((event, imcm.Source(name="snow")) for event in events)
            ledger.bring_in([imcm.History(stream=f"change:CHG-{number}", events=pairs)])
            assert ledger.change(f"CHG-{number}").outstanding
        submitted(ledger, "CHG-9")
        vote(ledger, "bea", "CHG-9")
        pairs = ((ChangeStarted(at=NOW, **told), imcm.Source(name="snow")),)
        ledger.bring_in([imcm.History(stream="change:CHG-9", events=pairs)])
        assert not ledger.change("CHG-9").outstanding

    def test_next_steps_and_boards_go_by_it(self, clocked):
        submitted(clocked)
        vote(clocked, "bea")
        freeze = Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00"))
        clocked.adopt(Policy(name="frozen", freezes=[freeze], authorities=["cab"]), by="mia")
        [start] = [one for one in clocked.next_steps("CHG-1", by="ann") if one.step == "start"]
        assert (start.possible, start.guard) == (False, "freeze")
        with pytest.raises(StepRefused, match="the freeze 'weekend'"):
            clocked.record("CHG-1", change.start, by="ann", at=NOW + timedelta(hours=2))
        submitted(clocked, "CHG-2")
        views = imcm.views(clocked)
        assert [True] == [one.possible for one in views.approvals(by="bea", policy=Policy())]
        before = views.approvals(by="bea", known_at=6)
        assert () == before
        [now] = views.approvals(by="bea")
        assert (now.possible, now.capacities) == (True, (Authority.CAB,))

    def test_rules_of_then_are_told(self, ledger):
        ledger.adopt(TWO, by="mia")
        position = ledger.position_at()
        ledger.adopt(CAB, by="mia")
        assert ledger.rules(known_at=position).policy == TWO
        assert ledger.rules(known_at=1) == Rules()
        assert ledger.rules().policy_called("two votes", "1") == TWO
        assert ledger.rules().policy_called("two votes", "9") is None

    def test_rules_of_a_newer_version_close_the_door(self, path, clocked, sql):
        submitted(clocked)
        clocked.adopt(TWO, by="mia")
        [row] = clocked.rows_of("rules:policy")
        event = json.loads(row.state)
        text = event["event"]["text"].replace("approvals", "votes_by_moon")
        event["event"] |= {"text": text}
        sql(path, "UPDATE stored_events SET state = ? WHERE topic = 'RulesAdopted'",
            json.dumps(event).encode())  # fmt: skip
        with pytest.raises(StoreError, match="their text was altered"):
            vote(clocked, "bea")
        event["event"] |= {"sha256": sha256(text.encode()).hexdigest()}
        sql(path, "UPDATE stored_events SET state = ? WHERE topic = 'RulesAdopted'",
            json.dumps(event).encode())  # fmt: skip
        with pytest.raises(UnreadEventError, match=r"votes_by_moon.*update imcm"):
            vote(clocked, "bea")
        sql(path, "UPDATE stored_events SET topic = 'RulesOfTomorrow' WHERE topic = 'RulesAdopted'")
        with pytest.raises(UnreadEventError, match="rules:policy can't be read by this version"):
            vote(clocked, "bea")

    def test_a_copy_has_them_and_a_ledger_that_takes_rows_in_keeps_its_own(self, path, tmp_path):
        with Ledger(path) as first:
            first.adopt(CAB, by="mia")
            submitted(first)
            rows = list(first.rows())
        with Ledger.restored(tmp_path / "copy.db", rows) as copy:
            assert copy.rules().policy == CAB
        with Ledger(tmp_path / "other.db") as other:
            other.adopt(TWO, by="mia")
            other.append_rows(rows)
            assert other.rules().policy == TWO
            assert vote(other, "bea").quorum == 2


class TestOpening:
    def test_what_has_to_be_there_is_not_made(self, path):
        with pytest.raises(LedgerMissingError, match="there is no ledger at"):
            Ledger(path, must_exist=True)
        assert not path.exists()
        Ledger(path).close()
        Ledger(path, must_exist=True).close()


FREEZE = "name = 'x'\n[[freezes]]\nname = 'x'\n"


class TestFiles:
    def test_a_policy_is_read_from_toml(self, tmp_path):
        file = tmp_path / "strict.toml"
        file.write_text(
            """
            name = "strict"
            version = "2026-11"
            [members]
            cab = ["mia", "sam"]
            [[rules]]
            risks = ["high"]
            votes = 2
            of = {cab = 1}
            [[freezes]]
            name = "weekend"
            weekly = [{start = "Fri 16:00", end = "Mon 08:00", time_zone = "Europe/London"}]
            [[freezes]]
            name = "year end"
            windows = [{start = 2026-12-21T00:00:00+01:00, end = 2027-01-02T00:00:00+01:00}]
            """
        )
        policy = read_policy(file)
        assert policy.rules == (ApprovalRule(votes=2, of={"cab": 1}, risks=["high"]),)
        assert ["weekend", "year end"] == [freeze.name for freeze in policy.freezes]
        assert Policy.from_dict(policy.as_dict()) == policy

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("name = 'x'\napprovals = 0", "approvals: 0"),
            ("approvals = 2", r"policy.name: None .* give it a name"),
            ("name = 'x'\naprovals = 2", "near: approvals"),
            ("name='x'\n[[rules]]\nvotes = 'two'", r"rules\[1\].votes"),
            (f"{FREEZE}weekly = [{{start = 'Fri', end = 'Mon 08:00'}}]", "Fri 16:00"),
            (f"{FREEZE}windows = [{{start = 2026-12-21, end = 2027-01-02}}]", "with its offset"),
        ],
    )
    def test_errors_name_the_key_the_value_and_what_is_allowed(self, tmp_path, text, message):
        (tmp_path / "policy.toml").write_text(text)
        with pytest.raises(InvalidValue, match=message):
            read_policy(tmp_path / "policy.toml")
