"""Guards belong to events: whoever's step made them, they are asked what their kind is asked."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from imcm import Context, InvalidValue, Policy, SeverityScale, StepRefused, change, incident
from imcm.codec.decoding import decode
from imcm.codec.rows import StoredEvent
from imcm.domain.change_events import ChangeClosed, ChangePlanned, VoteGiven
from imcm.domain.corrections import DomainEvent, DurationStated, WordsRedacted
from imcm.domain.incident_events import (
    IncidentAbsorbed,
    IncidentClosed,
    IncidentDetected,
    IncidentMerged,
    IncidentReopened,
    IncidentResolved,
    IncidentStatus,
    SeverityInherited,
    VerdictGiven,
)
from imcm.domain.vocabulary import Authority, Verdict

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GOLDEN = Path(__file__).parents[1] / "golden"
LOGS = tuple(
    f"v0.1{name}.jsonl" for name in ("", "-approvals", "-described", "-named", "-rules", "-control")
)
SCALE = SeverityScale(
    levels={"SEV0": "P1", "SEV1 💥": "P1", "SEV2": "P2", "SEV3": "P4"},
)
DOORS = {
    "IncidentMerged",
    "IncidentAbsorbed",
    "IncidentUnmerged",
    "IncidentSeparated",
    "SeverityInherited",
    "WordsRedacted",
    "DurationStated",
    "IncidentRelated",
    "ChangeApproved",
    "StepRefusedRecorded",
}


def golden():
    """Yield each live event of the golden logs, with the state before it."""
    for name in LOGS:
        yield from golden_log(name)


def golden_log(name):
    states = {}
    for line in (GOLDEN / name).read_bytes().splitlines():
        head, _, state = line.partition(b',"state":')
        told = json.loads(head + b"}")
        kind = told["stream"].partition(":")[0]
        if kind not in {"incident", "change"}:
            continue
        module = incident if kind == "incident" else change
        event = decode(
            StoredEvent(1, told["stream"], told["version"], told["type"], state[:-1])
        ).event
        before = states.get(told["stream"], module.INITIAL)
        states[told["stream"]] = module.evolve(before, event)
        if not getattr(event, "imported", False):
            if before.past and getattr(event, "status", None) is before.status:
                # An earlier version wrote a status also where the event left it as it was.
                event = attrs.evolve(event, status=None)
            yield module, before, event


EVERY = list(golden())


def adopted():
    """Yield the policies that a golden log says were adopted, by their names."""
    for name in ("v0.1-rules.jsonl", "v0.1-control.jsonl"):
        for line in (GOLDEN / name).read_bytes().splitlines():
            told = json.loads(line)
            if told["stream"] == "rules:policy":
                policy = Policy.from_dict(json.loads(told["state"]["event"]["text"]))
                yield (policy.name, policy.version), policy


ADOPTED = dict(adopted())


def policy_of(event):
    told = getattr(event, "policy", None)
    if told is None:  # a close names none, and says what its actor was
        return ADOPTED["control", "1"] if getattr(event, "actor", None) else Policy()
    named = told.name, told.version
    return ADOPTED.get(named) or Policy(name=told.name, version=told.version)


def rules_of(event, before):
    """Return the rules an event was recorded under, and what its step was told of other streams."""
    named = getattr(event, "severity_name", None) is not None
    position = getattr(event, "evidence_position", None)
    context = {}
    if position is not None:
        window = getattr(event, "window", None) or before.scheduled or before.window
        seen = Context(
            position=position, content=before.content, window=window, template_failures=1
        )
        context = {"context": seen}
    return {"policy": policy_of(event), **({"scale": SCALE} if named else {}), **context}


@pytest.mark.parametrize(("module", "before", "event"), EVERY, ids=lambda v: type(v).__name__)
def test_what_steps_of_ours_record_is_confirmed(module, before, event):
    if type(event).__name__ in DOORS:
        with pytest.raises(InvalidValue, match=r"use (Ledger|change)"):
            module.confirm(before, event)
    else:
        module.confirm(before, event, **rules_of(event, before))


def test_every_type_that_a_step_records_is_in_a_golden_log():
    told = {type(event) for _, _, event in EVERY}
    recorded = {*incident._RECORDED_BY, *change._RECORDED_BY}
    assert set() == recorded - told


@pytest.mark.parametrize(("module", "before", "event"), EVERY, ids=lambda v: type(v).__name__)
def test_what_follows_can_not_be_said_otherwise(module, before, event):
    """A status, a number, a count of votes of one's own is refused."""
    if type(event).__name__ in DOORS:
        return
    for name in ("status", "votes", "quorum", "content", "number", "covers", "outstanding"):
        if not hasattr(event, name):
            continue
        value = getattr(event, name)
        if name == "number" and type(event).__name__.startswith(("Action", "Attempt")):
            other = value + 1000  # it says which one is meant, and there is no such one
        elif name == "status":
            words = type(incident.Status.CLOSED if module is incident else change.Status.CLOSED)
            other = next(s for s in words if s not in {value, words("nothing")})
            other = other.value if isinstance(value, str) and type(value) is str else other
        else:
            other = not value if isinstance(value, bool) else value + 1
        if type(event).__name__ == "ActionAdded" and name == "number":
            other = value + 1
        with pytest.raises(StepRefused):
            module.confirm(before, attrs.evolve(event, **{name: other}), **rules_of(event, before))


class TestAVoteIsAVote:
    def submitted(self):
        state = change.INITIAL
        for step, more in (
            (change.plan, {"title": "v2", "risk": "low", "rollback_plan": "v1"}),
            (change.submit, {}),
        ):
            for event in step(state, by="lena", at=NOW, **more):
                state = change.evolve(state, event)
        return state

    def vote(self, **more):
        told = {
            "authority": Authority.PEER,
            "at": NOW,
            "by": "mia",
            "content": 1,
            "votes": 1,
            "quorum": 1,
        }
        policy = Policy().said("1 of 1 votes")
        return VoteGiven(**{**told, "policy": policy, "status": change.Status.APPROVED, **more})

    def test_that_of_the_step_is_one(self):
        change.confirm(self.submitted(), self.vote())

    @pytest.mark.parametrize(
        ("more", "guard"),
        [
            ({"by": "lena"}, "separation of duties"),
            ({"by": "LENA"}, "separation of duties"),
            ({"votes": 2, "quorum": 2}, "what follows"),
            ({"content": 7}, "what follows"),
            ({"policy": None}, "what follows"),
            ({"at": NOW - timedelta(days=1)}, "not before the first moment"),
        ],
    )
    def test_any_other_is_refused(self, more, guard):
        with pytest.raises(StepRefused) as no:
            change.confirm(self.submitted(), self.vote(**more))
        assert guard == no.value.guard

    def test_one_that_is_no_quorum_under_the_policy_of_the_call(self):
        with pytest.raises(StepRefused, match="what follows"):
            change.confirm(self.submitted(), self.vote(), policy=Policy(approvals=2))

    def test_a_draft_has_no_votes(self):
        [planned] = change.plan(change.INITIAL, by="lena", at=NOW, title="v2")
        with pytest.raises(StepRefused, match="status"):
            change.confirm(change.evolve(change.INITIAL, planned), self.vote())

    def test_an_imported_one_is_history(self):
        with pytest.raises(InvalidValue, match="bring_in"):
            change.confirm(self.submitted(), self.vote(imported=True))


@attrs.frozen(kw_only=True)
class PagerRang(DomainEvent):
    at: datetime
    by: str


@pytest.mark.parametrize("module", [incident, change])
def test_an_event_of_ones_own_is_refused_by_name_with_where_it_can_go(module):
    with pytest.raises(InvalidValue, match=r"PagerRang.*labels"):
        module.confirm(module.INITIAL, PagerRang(at=NOW, by="pd"))


@pytest.mark.parametrize(
    ("module", "event"),
    [
        (incident, ChangePlanned(at=NOW, by="a", title="x", type="normal")),
        (change, IncidentDetected(at=NOW, by="a", title="x")),
        (change, IncidentClosed(at=NOW, by="a", status=IncidentStatus.CLOSED)),
        (incident, ChangeClosed(at=NOW, by="a", result="successful")),
    ],
)
def test_an_event_of_the_other_practice_is_refused_by_name(module, event):
    with pytest.raises(InvalidValue, match=type(event).__name__):
        module.confirm(module.INITIAL, event)


@pytest.mark.parametrize(
    "event",
    [
        IncidentMerged(at=NOW, by="a", into="INC-1", status=IncidentStatus.MERGED),
        IncidentAbsorbed(at=NOW, by="a", merged="INC-1"),
        SeverityInherited(at=NOW, by="a", severity=None, merged="INC-1"),
        WordsRedacted(at=NOW, by="a", versions=(1,)),
        DurationStated(at=NOW, by="a", what="time_to_restore", microseconds=1),
    ],
)
def test_what_has_another_door_says_which(event):
    with pytest.raises(InvalidValue, match=r"use (Ledger|change)\."):
        incident.confirm(incident.INITIAL, event)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_verdict_is_asked_what_the_step_for_it_is_asked(verdict):
    [detected] = incident.detect(incident.INITIAL, by="ana", at=NOW, title="x")
    state = incident.evolve(incident.INITIAL, detected)
    given = VerdictGiven(at=NOW, by="ana", change="CHG-1", verdict=verdict, why="as seen")
    incident.confirm(state, given)
    with pytest.raises(StepRefused, match="not before the first moment"):
        incident.confirm(state, attrs.evolve(given, at=NOW - timedelta(days=1)))


def test_a_skipped_review_is_found():
    state = incident.INITIAL
    for step, more in (
        (incident.detect, {"title": "x"}),
        (incident.triage, {"severity": "P1"}),
        (incident.resolve, {}),
    ):
        for event in step(state, by="ana", at=NOW, **more):
            state = incident.evolve(state, event)
    closed = IncidentClosed(at=NOW, by="ana", status=IncidentStatus.CLOSED)
    with pytest.raises(StepRefused, match="reviewed"):
        incident.confirm(state, closed)
    lax = Policy(review_for=frozenset())
    [event] = incident.close(state, by="ana", at=NOW, policy=lax)
    incident.confirm(state, event, policy=lax)
    with pytest.raises(StepRefused, match="status"):
        incident.confirm(state, IncidentResolved(at=NOW, by="ana", status="resolved"))
    with pytest.raises(StepRefused, match="what follows"):
        incident.confirm(
            state,
            IncidentReopened(
                at=NOW,
                by="ana",
                why="x",
                number=9,
                began=IncidentStatus.RESOLVED,
                status=IncidentStatus.MITIGATING,
            ),
        )
