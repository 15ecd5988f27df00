"""
Every status and every step of both aggregates, against tables written here by hand.

A new status or a new step fails here until somebody decides where it is possible.
"""

import ast
import inspect
import re
from functools import partial

import attrs
import pytest

from domain.examples import at, window
from imcm.domain import change, incident
from imcm.domain.change_events import ChangeStatus, Template
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.lifecycle import NOTHING_NEW, Answer, rows, tried
from imcm.domain.policy import Policy
from imcm.domain.policy.freezes import Freeze, Weekly
from imcm.domain.vocabulary import Authority, Between, Severity
from imcm.errors import StepRefused

PLAIN = {"by": "bea", "at": at(50)}
WHY = {**PLAIN, "why": "as agreed"}
WEEKEND = Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00"))
FROZEN = Policy(name="frozen", freezes=[WEEKEND])
TEMPLATE = Template(name="restart", version="3", sha256="0" * 64)


def play(state, module, *steps):
    """Return the state after real steps: (name, arguments of its own) each, an hour apart."""
    for hour, (name, arguments) in enumerate(steps):
        for event in getattr(module, name)(state, **{"by": "ann", "at": at(hour), **arguments}):
            state = module.evolve(state, event)
    return state


# --- incidents ------------------------------------------------------------------------------------

DETECT = ("detect", {"title": "payments down"})
TRIAGE = ("triage", {"severity": Severity.P3})
TARGET = play(incident.INITIAL, incident, DETECT)
# So that what has to exist does exist, in every status that can have it.
BEGUN = (DETECT, ("attempt_mitigation", {"kind": "restart"}), ("add_action", {"text": "canary"}))
MERGE = {"id": "INC-1", "into": "INC-2", "into_state": TARGET}
OVER = (*BEGUN, TRIAGE, ("resolve", {}))

INCIDENTS = {
    IncidentStatus.NOTHING: (),
    IncidentStatus.DETECTED: (DETECT, ("add_action", {"text": "canary"})),
    IncidentStatus.TRIAGED: (DETECT, TRIAGE, ("add_action", {"text": "canary"})),
    IncidentStatus.MITIGATING: (*BEGUN, TRIAGE),
    IncidentStatus.MITIGATED: (*BEGUN, TRIAGE, ("mitigate", {})),
    IncidentStatus.RESOLVED: OVER,
    IncidentStatus.CLOSED: (*OVER, ("close", {})),
    IncidentStatus.DISMISSED: (*BEGUN, ("dismiss", {"reason": "expected"})),
    IncidentStatus.MERGED: (*BEGUN, ("merge", MERGE)),
}

INCIDENT_ARGUMENTS = {
    "detect": {**PLAIN, "title": "down"},
    "declare": PLAIN,
    "acknowledge": PLAIN,
    "triage": {**PLAIN, "severity": "P3"},
    "dismiss": {**PLAIN, "reason": "expected"},
    "attempt_mitigation": {**PLAIN, "kind": "restart"},
    "conclude_attempt": {**PLAIN, "number": 1, "result": "worked"},
    "mitigate": PLAIN,
    "resolve": PLAIN,
    "reopen": WHY,
    "hold": {**PLAIN, "reason": "vendor"},
    "release": PLAIN,
    "change_severity": {**WHY, "severity": "P4"},
    "assign_role": {**PLAIN, "role": "scribe", "person": "ann"},
    "release_role": {**PLAIN, "role": "scribe", "person": "ann"},
    "update_impact": {**PLAIN, "impact_started_at": at(-1)},
    "post_update": {**PLAIN, "text": "on it"},
    "link_problem": {**PLAIN, "problem": "PRB-1"},
    "describe": {**PLAIN, "title": "all of it is down"},
    "refer": {**PLAIN, "kind": "ticket", "address": "OPS-7"},
    "mark": {**PLAIN, "name": "vendor called"},
    "relate": {**PLAIN, "id": "INC-2", "to": "INC-1", "kind": "child_of", "above": ()},
    "unrelate": {**PLAIN, "to": "INC-1"},
    "link_change": {**PLAIN, "change": "CHG-1", "verdict": "caused"},
    "dismiss_link": {**WHY, "change": "CHG-1"},
    "record_review": {**PLAIN, "what_happened": "locked"},
    "add_action": {**PLAIN, "text": "canary"},
    "revise_action": {**PLAIN, "number": 1, "owner": "ben"},
    "complete_action": {**PLAIN, "number": 1},
    "drop_action": {**WHY, "number": 1},
    "close": PLAIN,
    "merge": {**PLAIN, **MERGE},
    "unmerge": WHY,
    "correct": {**WHY, "version": 1, "field": "at", "was": at(0), "now": at(-5)},
    "void": {**WHY, "version": 2},
}

# The columns: nothing, Detected, Triaged, mitiGating, Mitigated, Resolved, Closed, X dismissed,
# merged into another (A). A dot is a refusal. In this table all but `detected` were triaged, and
# dismissed and merged were not. `void` names the second event: only where no later event changed
# the status is it possible.
INCIDENT_ALLOWED = """
                    n D T G M R C X A
detect              y . . . . . . . .
declare             . y y y y . . . .
acknowledge         . y y y y . . . .
triage              . y . . . . . . .
dismiss             . y y y y y y . .
attempt_mitigation  . y y y . . . . .
conclude_attempt    . . . y y y y y .
mitigate            . y y y . . . . .
resolve             . y y y y . . . .
reopen              . . . . y y y y .
hold                . y y y y . . . .
release             . y y y y . . . .
change_severity     . . y y y . . . .
assign_role         . y y y y y y y .
release_role        . y y y y y y y .
update_impact       . y y y y y y y .
post_update         . y y y y y y y .
link_problem        . y y y y y y y .
describe            . y y y y y y y .
refer               . y y y y y y y .
mark                . y y y y y y y .
relate              . y y y y y y y .
unrelate            . y y y y y y y .
link_change         . y y y y y y y .
dismiss_link        . y y y y y y y .
record_review       . . . . . y y . .
add_action          . y y y y y y y .
revise_action       . y y y y y y y .
complete_action     . y y y y y y y y
drop_action         . y y y y y y y y
close               . . . . . y . . .
merge               . y y y y y y y .
unmerge             . . . . . . . . y
correct             . y y y y y y y y
void                . y y y . . . . .
"""

# --- changes --------------------------------------------------------------------------------------

PLAN = ("plan", {"title": "new checkout", "risk": "low", "rollback_plan": "deploy the old one"})
APPROVE = ("approve", {"by": "dan"})
START = ("start", {"rollout_plan": (5, 100)})
GO = (PLAN, ("submit", {}), APPROVE, START)
UP = (("advance_rollout", {"percent": 5}), ("advance_rollout", {"percent": 100}))
DONE = (*GO, *UP, ("complete", {}))

CHANGES = {
    ChangeStatus.NOTHING: (),
    ChangeStatus.DRAFT: (PLAN,),
    ChangeStatus.SUBMITTED: GO[:2],
    ChangeStatus.APPROVED: GO[:3],
    ChangeStatus.IMPLEMENTING: GO,
    ChangeStatus.IMPLEMENTED: DONE,
    ChangeStatus.VALIDATED: (*DONE, ("validate", {"check": "smoke", "passed": True})),
    ChangeStatus.CLOSED: (*DONE, ("close", {"result": "successful"})),
    ChangeStatus.CANCELLED: (PLAN, ("cancel", {"why": "no longer needed"})),
}
EMERGENCY = ("plan", {"title": "hotfix", "type": "emergency", "incident": "INC-1"})
UNAPPROVED = (EMERGENCY, ("submit", {}), ("start", {"rollout_plan": (5, 100)}))
LATE = (*UNAPPROVED, *UP, ("complete", {}))
EMERGENCIES = {
    ChangeStatus.NOTHING: (),
    ChangeStatus.DRAFT: (EMERGENCY,),
    ChangeStatus.SUBMITTED: UNAPPROVED[:2],
    ChangeStatus.APPROVED: (*UNAPPROVED[:2], APPROVE),
    ChangeStatus.IMPLEMENTING: UNAPPROVED,
    ChangeStatus.IMPLEMENTED: LATE,
    ChangeStatus.VALIDATED: (*LATE, ("validate", {"check": "smoke", "passed": True})),
    ChangeStatus.CLOSED: (*LATE, ("close", {"result": "successful"})),
    ChangeStatus.CANCELLED: (EMERGENCY, ("cancel", {"why": "no longer needed"})),
}

CHANGE_ARGUMENTS = {
    "plan": {**PLAIN, "title": "another"},
    "revise": WHY,
    "reword": {**PLAIN, "title": "other words"},
    "refer": {**PLAIN, "kind": "ticket", "address": "OPS-7"},
    "submit": PLAIN,
    "approve": PLAIN,
    "reject": WHY,
    "approve_retroactively": PLAIN,
    "refuse_retroactively": WHY,
    "schedule": {**PLAIN, "window": window(60, 61)},
    "override_freeze": {**WHY, "freeze": "weekend", "policy": FROZEN},
    "hold": {**PLAIN, "reason": "vendor"},
    "release": PLAIN,
    "start": PLAIN,
    "observe": PLAIN,
    "advance_rollout": {**PLAIN, "percent": 5},
    "pause_rollout": PLAIN,
    "abort_rollout": PLAIN,
    "complete": PLAIN,
    "fail": {**PLAIN, "reached_production": True},
    "roll_back": PLAIN,
    "recover": PLAIN,
    "validate": {**PLAIN, "check": "smoke", "passed": True},
    "close": {**PLAIN, "result": "successful"},
    "cancel": WHY,
    "correct": {**WHY, "version": 1, "field": "services", "was": (), "now": ("payments",)},
    "void": {**WHY, "version": 1},
}

# The columns: nothing, Draft, Submitted, Approved, implementinG, Implemented, Validated, Closed,
# X cancelled. `correct` is asked for content, which before the start is to be revised.
CHANGE_ALLOWED = """
                       n D S A G I V C X
plan                   y . . . . . . . .
revise                 . y y y . . . . .
reword                 . y y y y y y . .
refer                  . y y y y y y y y
submit                 . y . . . . . . .
approve                . . y . . . . . .
reject                 . . y . . . . . .
approve_retroactively  . . . . . . . . .
refuse_retroactively   . . . . . . . . .
schedule               . . y y . . . . .
override_freeze        . . y y . . . . .
hold                   . y y y y y y . .
release                . y y y y y y . .
start                  . . . y . . . . .
observe                y y y y . . . . y
advance_rollout        . . . . y . . . .
pause_rollout          . . . . y . . . .
abort_rollout          . . . . y . . . .
complete               . . . . . . . . .
fail                   . . . . y . . . .
roll_back              . . . . y y y y .
recover                . . . . . y y y .
validate               . . . . y y y . .
close                  . . . . . y y . .
cancel                 . y y y . . . . .
correct                . . . . y y y y y
void                   . y . . . . . . .
"""

# What is otherwise for an emergency that was started without approval. `complete` is refused in
# both tables for a rollout that is still under 100 %.
EMERGENCY_ALLOWED = """
                       n D S A G I V C X
approve_retroactively  . . . . y y y y .
refuse_retroactively   . . . . y y y y .
start                  . . y y . . . . .
"""


def cells(table, statuses):
    """Return {(step, status): allowed} of a table written as text."""
    lines = [line.split() for line in table.strip().splitlines()][1:]
    return {
        (step, status): mark == "y"
        for step, *marks in lines
        for status, mark in zip(statuses, marks, strict=True)
    }


INCIDENT_CELLS = cells(INCIDENT_ALLOWED, IncidentStatus)
CHANGE_CELLS = cells(CHANGE_ALLOWED, ChangeStatus)
EMERGENCY_CELLS = {**CHANGE_CELLS, **cells(EMERGENCY_ALLOWED, ChangeStatus)}
CASES = [
    pytest.param(module, stories, arguments, step, status, allowed, id=f"{kind}-{status}-{step}")
    for kind, module, stories, arguments, table in (
        ("incident", incident, INCIDENTS, INCIDENT_ARGUMENTS, INCIDENT_CELLS),
        ("change", change, CHANGES, CHANGE_ARGUMENTS, CHANGE_CELLS),
        ("emergency", change, EMERGENCIES, CHANGE_ARGUMENTS, EMERGENCY_CELLS),
    )
    for (step, status), allowed in table.items()
]
every_case = pytest.mark.parametrize(
    ("module", "stories", "arguments", "step", "status", "allowed"), CASES
)


def arguments_in(arguments, step, status):
    """Return plausible arguments of *step*; what never happened has no content yet."""
    title = {"title": "found"} if (step, status) == ("observe", ChangeStatus.NOTHING) else {}
    return {**arguments[step], **title}


def answer_of(module, state, step, **known):
    return next(answer for answer in module.next_steps(state, **known) if answer.step == step)


class TestEveryStatusAndEveryStep:
    @pytest.mark.parametrize(
        ("module", "stories", "table", "arguments"),
        [
            (incident, INCIDENTS, INCIDENT_CELLS, INCIDENT_ARGUMENTS),
            (change, CHANGES, CHANGE_CELLS, CHANGE_ARGUMENTS),
            (change, EMERGENCIES, EMERGENCY_CELLS, CHANGE_ARGUMENTS),
        ],
        ids=["incident", "change", "emergency"],
    )
    def test_the_tables_here_leave_none_out(self, module, stories, table, arguments):
        assert set(module.Status) == set(stories)
        assert {(step, status) for step in module.STEPS for status in module.Status} == set(table)
        assert list(module.STEPS) == list(arguments)

    @pytest.mark.parametrize(
        ("module", "stories", "status"),
        [
            (module, stories, status)
            for module, stories in (
                (incident, INCIDENTS),
                (change, CHANGES),
                (change, EMERGENCIES),
            )
            for status in stories
        ],
    )
    def test_the_stories_lead_where_they_say(self, module, stories, status):
        assert status is play(module.INITIAL, module, *stories[status]).status

    @every_case
    def test_is_possible_where_the_table_says_so(
        self, module, stories, arguments, step, status, allowed
    ):
        state = play(module.INITIAL, module, *stories[status])

        ask = partial(getattr(module, step), state, **arguments_in(arguments, step, status))

        if allowed:
            for event in ask():
                state = module.evolve(state, event)
            assert state.status in stories
        else:
            with pytest.raises(StepRefused) as refused:
                ask()
            assert step == refused.value.step

    @every_case
    def test_next_steps_says_what_the_step_does(
        self, module, stories, arguments, step, status, allowed
    ):
        """Possible: the step is accepted; impossible: it is refused by that very guard."""
        state = play(module.INITIAL, module, *stories[status])
        answer = answer_of(module, state, step, by="bea", at=at(50))

        if answer.possible is None:
            assert answer.why.startswith("depends on ")
        elif answer.possible:
            assert allowed is True
            assert (answer.guard, answer.why) == ("", "")
            if answer.records:
                made = getattr(module, step)(state, by="bea", at=at(50))
                assert answer.records == tuple(type(event).__name__ for event in made)
                after = module.fold((*state.past, *made)).status
                assert answer.status == (None if after is state.status else after.value)
        elif answer.guard == NOTHING_NEW:
            assert () == getattr(module, step)(state, by="bea", at=at(50))
        else:
            with pytest.raises(StepRefused) as refused:
                getattr(module, step)(state, **arguments_in(arguments, step, status))
            assert (answer.guard, answer.why) == (refused.value.guard, refused.value.why)

    @every_case
    def test_what_depends_is_refused_by_no_guard_but_the_open_one(
        self, module, stories, arguments, step, status, allowed
    ):
        """Without who and when, a plain no is still a no; a yes may only become "depends"."""
        state = play(module.INITIAL, module, *stories[status])
        known = answer_of(module, state, step, by="bea", at=at(50))
        unknown = answer_of(module, state, step)

        if known.possible is False and known.guard not in {"separation of duties", NOTHING_NEW}:
            assert known == unknown
        elif known.guard != NOTHING_NEW:
            assert unknown.possible in {None, known.possible}
        else:
            assert unknown.possible is not False


class TestNextSteps:
    def test_answers_for_every_step_in_the_order_of_the_table(self):
        assert list(incident.STEPS) == [a.step for a in incident.next_steps(incident.INITIAL)]
        assert list(change.STEPS) == [a.step for a in change.next_steps(change.INITIAL)]

    def test_only_the_first_step_is_possible_at_first(self):
        possible = [a for a in incident.next_steps(incident.INITIAL) if a.possible is not False]

        assert [Answer(step="detect", possible=True)] == possible

    def test_says_what_a_step_would_record_and_where_it_leads(self):
        state = play(incident.INITIAL, incident, DETECT)
        answer = answer_of(incident, state, "resolve", by="bea", at=at(50))
        assert (answer.records, answer.status) == (("IncidentResolved",), "resolved")
        answer = answer_of(incident, state, "declare", by="bea", at=at(50))
        assert (answer.records, answer.status) == (("IncidentDeclared",), None)

    def test_a_step_that_would_record_nothing_is_not_possible(self):
        state = play(incident.INITIAL, incident, DETECT)
        state = incident.fold((*state.past, *incident.acknowledge(state, by="bea", at=at(20))))
        answer = answer_of(incident, state, "acknowledge", by="ana", at=at(50))
        assert (answer.possible, answer.guard) == (False, NOTHING_NEW)
        assert "would record nothing" in answer.why

    def test_a_refusal_that_no_guard_foresaw_is_told_as_it_is(self):
        """No step of ours does that; a table and a step must not be able to disagree."""

        def step(state, *, by, at):
            raise StepRefused("step", "moon", "it is full")

        found = [Answer(step="step", possible=True)]
        given = {"by": "bea", "at": at(1)}
        [answer] = tried(found, lambda _: step, incident.evolve, incident.INITIAL, given)
        assert answer == Answer(step="step", possible=False, guard="moon", why="it is full")

    def test_depends_on_at_where_nobody_said_when(self):
        state = play(incident.INITIAL, incident, DETECT)

        expected = Answer(
            step="resolve",
            possible=None,
            guard="not before the first moment",
            why="depends on at",
        )
        assert expected == answer_of(incident, state, "resolve")

    def test_depends_on_by_where_nobody_said_who(self):
        state = play(change.INITIAL, change, *CHANGES[ChangeStatus.SUBMITTED])

        expected = Answer(
            step="approve", possible=None, guard="separation of duties", why="depends on by"
        )
        assert expected == answer_of(change, state, "approve", at=at(50))

    def test_names_every_argument_it_depends_on(self):
        state = play(incident.INITIAL, incident, DETECT)

        expected = Answer(
            step="merge", possible=None, guard="target is another", why="depends on id, into"
        )
        assert expected == answer_of(incident, state, "merge", at=at(50))

    def test_a_later_plain_no_is_worth_more_than_it_depends(self):
        state = play(incident.INITIAL, incident, DETECT)

        answer = answer_of(incident, state, "conclude_attempt", at=at(-5))

        assert (answer.possible, answer.guard) == (False, "not before the first moment")

    def test_the_requester_is_told_that_somebody_else_must_decide(self):
        state = play(change.INITIAL, change, *CHANGES[ChangeStatus.SUBMITTED])

        answer = answer_of(change, state, "approve", by="ANN", at=at(50))

        assert (answer.possible, answer.guard) == (False, "separation of duties")

    def test_the_policy_given_is_the_one_asked(self):
        state = play(incident.INITIAL, incident, *INCIDENTS[IncidentStatus.RESOLVED])
        strict = Policy(name="strict", version="1", review_for=frozenset(Severity))

        answer = answer_of(incident, state, "close", at=at(50), policy=strict)

        assert (answer.possible, answer.guard) == (False, "reviewed")

    def test_takes_an_uncertain_moment(self):
        state = play(incident.INITIAL, incident, DETECT)
        around = Between(earliest=at(-1), latest=at(1))

        assert Answer(step="resolve", possible=True) == answer_of(
            incident, state, "resolve", at=around
        )

    def test_a_standard_change_depends_on_its_template(self):
        plan = ("plan", {"title": "restart", "type": "standard"})
        state = play(change.INITIAL, change, plan)
        accepted = change.submit(state, by="ann", at=at(50), template=TEMPLATE)

        assert len(accepted) == 1
        assert answer_of(change, state, "submit", by="ann", at=at(50)).possible is not False

    def test_a_second_vote_is_answered_as_the_step_answers_it(self):
        state = play(change.INITIAL, change, *CHANGES[ChangeStatus.APPROVED])

        with pytest.raises(StepRefused) as refused:
            change.approve(state, by="dan", at=at(50))
        answer = answer_of(change, state, "approve", by="dan", at=at(50))
        assert (False, refused.value.guard) == (answer.possible, answer.guard)


class TestRefusals:
    def test_name_the_step_the_guard_and_what_is_allowed(self):
        with pytest.raises(StepRefused) as refused:
            incident.mitigate(
                play(incident.INITIAL, incident, *INCIDENTS[IncidentStatus.CLOSED]), **PLAIN
            )

        expected = (
            "mitigate is refused (status): its status is closed; mitigate is possible from "
            "detected, triaged, mitigating"
        )
        assert expected == str(refused.value)

    def test_know_their_stream_once_they_are_told(self):
        refused = StepRefused("close", "reviewed", "record_review first").on("incident:INC-7")

        assert str(refused) == "close on incident:INC-7 is refused (reviewed): record_review first"
        assert (
            refused.step,
            refused.guard,
            refused.stream,
        ) == ("close", "reviewed", "incident:INC-7")


class TestDocumentedTable:
    def test_has_one_row_for_each_step(self):
        table = {step: rest for step, *rest in rows(incident.STEPS)}

        assert list(incident.STEPS) == list(table)
        assert table["close"] == [
            ("resolved",),
            "closed",
            "triaged before, reviewed, not before the first moment",
        ]

    def test_names_statuses_in_the_order_of_their_progress(self):
        table = {step: rest for step, *rest in rows(change.STEPS)}

        assert table["observe"][0] == ("nothing", "draft", "submitted", "approved", "cancelled")

    def test_asking_steps_are_steps(self):
        assert set(change.STEPS) >= change.ASKING


def ends_of(module, rule):
    """Return the statuses that the table says a step ends in, and whether it may stay."""
    told = re.sub(r"\bfrom \w+", "", rule.ends)
    named = {s for s in module.Status if re.search(rf"\b{s.value}\b", told)}
    return named, bool(re.search("same|what it was|what stands", told))


MORE_ENDS = [
    # Steps whose end depends on more than the status, so that every end of the table is reached.
    (change, (PLAN, ("submit", {})), "approve", {"policy": Policy(approvals=2), "by": "bea"}),
    (change, DONE, "validate", {"check": "smoke", "passed": False}),
    (
        change,
        (("plan", {"title": "restart", "type": "standard"}),),
        "submit",
        {"template": TEMPLATE},
    ),
    (incident, (DETECT, ("dismiss", {"reason": "expected"})), "reopen", {"why": "it is real"}),
    (incident, (DETECT, TRIAGE, ("dismiss", {"reason": "expected"})), "reopen", {"why": "real"}),
]


class TestWhereStepsEnd:
    def reached(self):
        found = {}
        tables = (
            (incident, INCIDENTS, INCIDENT_ARGUMENTS, INCIDENT_CELLS),
            (change, CHANGES, CHANGE_ARGUMENTS, CHANGE_CELLS),
            (change, EMERGENCIES, CHANGE_ARGUMENTS, EMERGENCY_CELLS),
        )
        cases = [
            (module, stories[status], step, arguments_in(arguments, step, status))
            for module, stories, arguments, table in tables
            for (step, status), allowed in table.items()
            if allowed
        ]
        cases += [
            (module, story, step, {**PLAIN, **more}) for module, story, step, more in MORE_ENDS
        ]
        for module, story, step, arguments in cases:
            before = state = play(module.INITIAL, module, *story)
            for event in getattr(module, step)(state, **arguments):
                state = module.evolve(state, event)
            found.setdefault((module, step), set()).add((before.status, state.status))
        return found

    def test_is_where_the_table_says(self):
        """No step ends elsewhere, and every end that the table names is one of some example."""
        for (module, step), pairs in self.reached().items():
            named, stays = ends_of(module, module.STEPS[step])
            for before, after in pairs:
                assert after in named or (
                    stays and (after is before or "what" in module.STEPS[step].ends)
                )
            assert set() == named - {after for _, after in pairs}, step

    def test_the_check_would_see_a_wrong_end(self):
        rule = attrs.evolve(incident.STEPS["resolve"], ends="closed")
        assert ({incident.Status.CLOSED}, False) == ends_of(incident, rule)
        assert ({change.Status.DRAFT}, True) == ends_of(change, change.STEPS["revise"])


class TestEveryRefusalIsInTheTable:
    """So that `next_steps` can't contradict a step."""

    def test_no_step_refuses_by_itself(self):
        """StepRefused is raised by the table alone, and by what brings history in."""
        for module in (incident, change):
            tree = ast.parse(inspect.getsource(module))
            raised = [
                node.name
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef)
                and any(
                    isinstance(one, ast.Name) and one.id == "StepRefused" for one in ast.walk(node)
                )
            ]
            assert [] == raised, module

    @pytest.mark.parametrize("authority", list(Authority))
    @pytest.mark.parametrize("counts", [{"service_owner"}, {"cab", "peer"}, set(Authority)])
    def test_approve_and_next_steps_agree_on_the_capacity(self, authority, counts):
        policy = Policy(authorities=frozenset(map(Authority, counts)))
        state = play(change.INITIAL, change, PLAN, ("submit", {}))
        known = {"by": "dan", "at": at(50), "policy": policy}
        answer = answer_of(change, state, "approve", **known, authority=authority)
        if authority in policy.authorities:
            assert 1 == len(change.approve(state, **known, authority=authority))
            assert answer.possible is True
        else:
            with pytest.raises(StepRefused) as no:
                change.approve(state, **known, authority=authority)
            refused = (False, "authority", no.value.why)
            assert refused == (answer.possible, answer.guard, answer.why)
        unsaid = answer_of(change, state, "approve", **known)
        everybody = policy.authorities == frozenset(Authority)
        assert (True if everybody else None) is unsaid.possible

    def test_what_can_be_voided_depends_on_what_is_named(self):
        state = play(incident.INITIAL, incident, DETECT, TRIAGE)
        answer = answer_of(incident, state, "void", by="bea", at=at(50))
        assert (None, "depends on version") == (answer.possible, answer.why)

    def test_the_guards_of_voids_and_corrections_are_in_the_documented_table(self):
        told = {step: guards for step, _, _, guards in rows(change.STEPS)}
        assert told["void"] == (
            "event exists, can be undone, is a fact, last change of status, separation of duties, "
            "actor, evidence stands, mark stands, content stands, approval stands"
        )
        assert told["correct"] == "fact exists, correctable, actor, started, was is what stands"
