"""Duties: of every change that went in, who did what, and which rules held."""

import csv
import json
from io import StringIO

import attrs
import pytest

from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeDeployed,
    ChangePlanned,
)
from imcm.domain.policy import Policy
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow
from imcm.domain.policy.rollouts import RolloutRule
from imcm.domain.recorded import Recorded, RulesAdopted
from imcm.domain.vocabulary import ChangeType, Kind, Window
from imcm.errors import InvalidValue
from imcm.projections.histories.decisions import Question, Ruling
from imcm.projections.histories.duties import (
    BAKED,
    CONTENT,
    FREEZE,
    IN_TIME,
    INCIDENT,
    STEWARD,
    TOLD_IN_TIME,
    WINDOW,
    Duties,
    duties,
)
from projections.log import at, change, detected, incident, log
from projections.test_decisions import (
    approve,
    complete,
    correct,
    emergency,
    plan,
    revise,
    start,
    steps,
    submit,
    take,
)

NORMAL = (plan(), submit(), approve(), start(), complete())
SALE = Freeze(name="sale", times=Window(start=at(3), end=at(20)))
FROZEN = Policy(name="frozen", version="2", freezes=[SALE])


def adopting(policy, by="mia"):
    """Return the event by which a policy is adopted."""
    text = json.dumps(policy.as_dict())
    return RulesAdopted(
        kind="policy", name=policy.name, version=policy.version, text=text, sha256="0", by=by
    )


def with_rules(story, *rules):
    """Return a log with adoptions in it: (position before which, event)."""
    result = []
    for recorded in story:
        for before, event in rules:
            if before == recorded.position:
                stamp = recorded.recorded_at
                result.append(Recorded("rules:policy", len(result) + 1, 0, stamp, "r", None, event))
        result.append(recorded)
    return [attrs.evolve(each, position=n) if attrs.has(type(each)) else each._replace(position=n)
            for n, each in enumerate(result, start=1)]  # fmt: skip


def at_once(*streams, now=500):
    """Return a log in which each event was recorded when it happened."""
    return [
        each._replace(recorded_at=getattr(each.event, "at", None) or at(now))
        for each in log(*streams, now=now)
    ]


def only(*streams, rules=(), **more):
    [row] = duties(with_rules(at_once(*streams), *rules), **more).rows
    return row


def check_of(row, rule):
    return next(check for check in row.checks if check.rule == rule)


def ruled(row, rule):
    return check_of(row, rule).ruling


class TestARow:
    def test_says_who_did_what(self):
        row = only(steps("CHG-1", plan(requested_by="zoe"), submit(), approve(authority="cab"),
                         start(), complete()))  # fmt: skip
        assert (row.change, row.type, row.went_in_at) == ("CHG-1", ChangeType.NORMAL, at(4))
        assert (row.requested_by, row.planned_by, row.submitted_by) == ("zoe", ("lena",), ("lena",))
        assert (row.approved_by, row.implemented_by) == (("mia (cab)",), ("ci",))
        assert row.policies == ("default 1",)
        assert (row.ruling, row.exceptions, row.unknown) == (Ruling.HELD, (), ())
        assert "held: CHG-1 (normal), approved by mia (cab)" == str(row)

    def test_has_every_question_of_the_trail_and_eight_more(self):
        row = only(steps("CHG-1", *NORMAL))
        rules = [check.rule for check in row.checks]
        assert rules == [
            *map(str, Question),
            WINDOW,
            CONTENT,
            FREEZE,
            IN_TIME,
            TOLD_IN_TIME,
            BAKED,
            INCIDENT,
            STEWARD,
        ]


class TestRules:
    WINDOW = Window(start=at(4), end=at(5))

    @pytest.mark.parametrize(
        ("story", "ruling"),
        [
            (NORMAL, Ruling.NOTHING),
            ((plan(window=WINDOW), submit(), approve(), start(), complete()), Ruling.HELD),
            ((plan(window=WINDOW), submit(), approve(), start(), complete(9)), Ruling.BROKEN),
            (
                (
                    plan(window=Window(start=at(3), end=at(9))),
                    submit(),
                    approve(),
                    take("schedule", 3, "lena", window=WINDOW),
                    start(),
                    complete(),
                ),
                Ruling.HELD,
            ),
            ((emergency(), submit(), start(), complete()), Ruling.NOTHING),
            (
                (plan(type="emergency", incident="INC-1", window=WINDOW), submit(), start(2)),
                Ruling.NOTHING,
            ),
            ((plan(window=WINDOW), submit(), approve(), take("observe", 9, "cmdb")), Ruling.BROKEN),
        ],
    )
    def test_window(self, story, ruling):
        assert ruled(only(steps("CHG-1", *story)), WINDOW) is ruling

    def test_window_that_nobody_marked_is_judged_by_its_times(self):
        row = only(steps("CHG-1", plan(window=self.WINDOW), submit(), approve(), start(),
                         complete(), correct(9, 4, "at", at(4), at(4.5))))  # fmt: skip
        assert ruled(row, WINDOW) is Ruling.HELD
        moved = only(steps("CHG-1", plan(window=self.WINDOW), submit(), approve(), start(),
                           complete(), correct(9, 4, "at", at(4), at(3.5))))  # fmt: skip
        assert ruled(moved, WINDOW) is Ruling.BROKEN

    def test_end_that_was_corrected_to_after_the_window(self):
        story = (plan(window=self.WINDOW), submit(), approve(), start(), complete())
        held = only(steps("CHG-1", *story, correct(9, 5, "at", at(5), at(4.5))))
        assert ruled(held, WINDOW) is Ruling.HELD
        row = only(steps("CHG-1", *story, correct(9, 5, "at", at(5), at(8))))
        found = check_of(row, WINDOW)
        assert (found.ruling, found.positions) == (Ruling.BROKEN, (5, 6))
        assert "its end was corrected to" in found.reason

    BAKE = ((1, adopting(Policy(name="baked", rollouts=[RolloutRule(bake="1 hour")]))),)

    @pytest.mark.parametrize(
        ("recorded", "ruling"),
        [
            ({}, Ruling.HELD),
            ({5: 5, 6: 6, 7: 6.5}, Ruling.UNKNOWN),
            ({4: 5}, Ruling.HELD),  # nobody has it before the first step
        ],
    )
    def test_steps_of_a_rollout_recorded_closer_than_they_have_to_be(self, recorded, ruling):
        share = (take("advance_rollout", hours, "ci", percent=percent)
                 for hours, percent in ((5, 5), (6, 50), (7, 100)))  # fmt: skip
        stream = steps("CHG-1", plan(), submit(), approve(), start(rollout_plan=(5, 50, 100)),
                       *share)  # fmt: skip
        stamps = {1: 0, 2: 1, 3: 2, 4: 4, 5: 5, 6: 6, 7: 7, **recorded}
        [row] = duties(with_rules(log(stream, recorded=stamps), *self.BAKE)).rows
        found = check_of(row, BAKED)
        assert found.ruling is ruling
        if ruling is Ruling.UNKNOWN:
            told = "100 % was recorded 30 min after the step before; the policy asks for 1 h"
            assert (found.reason, found.positions) == (told, (7, 8))

    def test_rollouts_that_no_policy_asks_to_be_watched(self):
        first = ((1, adopting(Policy(name="small", rollouts=[RolloutRule(first=5)]))),)
        stream = steps("CHG-1", plan(), submit(), approve(), start(rollout_plan=(5, 100)),
                       take("advance_rollout", 5, "ci", percent=5),
                       take("advance_rollout", 5, "ci", percent=100))  # fmt: skip
        for rules in ((), first):
            assert ruled(only(stream, rules=rules), BAKED) is Ruling.NOTHING

    def test_incident_of_an_emergency(self):
        story = steps("CHG-1", emergency(), submit(), start(), complete())
        found = check_of(only(story), INCIDENT)
        told = "nothing is recorded of INC-1"
        assert (found.ruling, found.reason, found.positions) == (Ruling.UNKNOWN, told, (1,))
        row = only(incident("INC-1", detected(0)), story)
        assert ruled(row, INCIDENT) is Ruling.HELD
        other = steps("CHG-1", emergency(), revise(0.5, incident="INC-2"), submit(), start())
        assert check_of(only(other), INCIDENT).reason == "nothing is recorded of INC-2"
        assert ruled(only(steps("CHG-1", *NORMAL)), INCIDENT) is Ruling.NOTHING
        nameless = change("CHG-1", ChangePlanned(at=at(0), by="x", type=ChangeType.EMERGENCY),
                          ChangeCompleted(at=at(1), by="ci"))  # fmt: skip
        assert check_of(only(nameless), INCIDENT).reason == "it names none"

    def test_what_was_found_in_production_in_a_freeze(self):
        found = steps("CHG-1", take("observe", 4, "cmdb", title="what?", services=["pay"]))
        rules = ((1, adopting(FROZEN)),)
        check = check_of(only(found, rules=rules), FREEZE)
        assert (check.ruling, check.reason) == (Ruling.BROKEN, "it was found in sale")
        late = steps("CHG-1", take("observe", 30, "cmdb", title="what?"))
        assert ruled(only(late, rules=rules), FREEZE) is Ruling.HELD

    def test_what_a_source_says_of_a_change_that_lives_here(self):
        told = ChangeDeployed(at=at(4), by="snow", imported=True)

        def of(first, **rules):
            story = steps("CHG-1", first, submit(), lambda _: (told,))
            return check_of(only(story, **rules), FREEZE).ruling

        frozen = {"rules": ((1, adopting(FROZEN)),)}
        assert of(plan()) is Ruling.UNKNOWN
        assert of(plan(), **frozen) is Ruling.BROKEN
        assert of(emergency(), **frozen) is Ruling.HELD

    def test_content_corrected_after_its_approval(self):
        story = steps("CHG-1", *NORMAL, correct(9, 1, "services", ("pay",), ("web",)))
        row = only(story)
        found = check_of(row, CONTENT)
        assert (found.ruling, found.positions) == (Ruling.BROKEN, (6,))
        assert ruled(only(steps("CHG-1", *NORMAL)), CONTENT) is Ruling.HELD
        assert ruled(only(steps("CHG-1", emergency(), submit(), start())), CONTENT) is (
            Ruling.NOTHING
        )

    def test_freezes_overridden_and_gone_around(self):
        over = take("override_freeze", 3, "zoe", freeze="sale", why="the fair", policy=FROZEN)
        story = (plan(), submit(), approve(), over, start(policy=FROZEN), complete())
        row = only(steps("CHG-1", *story))
        assert row.freezes == (
            "in the freeze 'sale', overridden",
            "sale overridden by zoe: the fair",
        )
        found = check_of(row, FREEZE)
        assert (found.ruling, found.positions) == (Ruling.HELD, (5, 4))
        found = take("observe", 4, "cmdb", policy=FROZEN)
        row = only(steps("CHG-1", plan(), submit(), approve(), found))
        assert ruled(row, FREEZE) is Ruling.BROKEN
        row = only(steps("CHG-1", take("observe", 4, "cmdb", title="what?")))
        assert ruled(row, FREEZE) is Ruling.UNKNOWN
        row = only(steps("CHG-1", emergency(), submit(), start(policy=FROZEN), complete()))
        assert check_of(row, FREEZE).reason == "in the freeze 'sale', as an emergency"

    LATE = (emergency(), submit(), start(4), complete())
    DUE = ((1, adopting(Policy(name="due", ruling_due="1 day"))),)

    @pytest.mark.parametrize(
        ("ruling_at", "now", "ruling", "reason"),
        [
            (20, 99, Ruling.HELD, "ruled on at"),
            (40, 99, Ruling.BROKEN, "ruled on at"),
            (None, 20, Ruling.NOTHING, "outstanding, due by"),
            (None, 99, Ruling.BROKEN, "overdue since"),
        ],
    )
    def test_rulings_in_time(self, ruling_at, now, ruling, reason):
        ruled_on = () if ruling_at is None else (take("approve_retroactively", ruling_at, "mia"),)
        stamps = {n: n for n in range(1, 5)} | {5: ruling_at or 0}
        streams = steps("CHG-1", *self.LATE, *ruled_on), incident("INC-9", detected(now))
        story = log(*streams, recorded={**stamps, 5 + len(ruled_on): now, len(stamps) + 2: now})
        [row] = duties(with_rules(story, *self.DUE)).rows
        found = check_of(row, IN_TIME)
        assert (found.ruling, found.reason.startswith(reason)) == (ruling, True), found

    def test_rulings_of_which_nobody_said_by_when(self):
        assert ruled(only(steps("CHG-1", *self.LATE)), IN_TIME) is Ruling.NOTHING
        unread = attrs.evolve(self.DUE[0][1], text="{")
        row = only(steps("CHG-1", *self.LATE), rules=[(1, unread)])
        assert ruled(row, IN_TIME) is Ruling.NOTHING
        later = [(4, self.DUE[0][1])]
        assert ruled(only(steps("CHG-1", *self.LATE), rules=later), IN_TIME) is Ruling.NOTHING
        assert ruled(only(steps("CHG-1", *NORMAL)), IN_TIME) is Ruling.NOTHING

    def test_a_steward_who_votes_under_rules_they_adopted_after_the_submission(self):
        own, others = adopting(Policy(name="lax"), "MIA"), adopting(Policy(name="lax"), "zoe")
        row = only(steps("CHG-1", *NORMAL), rules=[(3, own)])
        found = check_of(row, STEWARD)
        assert (found.ruling, found.reason, found.positions) == (Ruling.BROKEN, "mia did", (3, 4))
        for rules in ([(3, others)], [(1, own)], [(4, own)]):
            assert ruled(only(steps("CHG-1", *NORMAL), rules=rules), STEWARD) is Ruling.HELD

    @pytest.mark.parametrize(
        ("story", "policy", "late", "ruling", "why"),
        [
            ((), None, 0.9, Ruling.HELD, "within an hour"),
            ((), None, 30, Ruling.HELD, "nothing came between"),
            ((), Policy(name="p", freezes=[SALE]), 30, Ruling.UNKNOWN, "the freeze sale began"),
            ((), Policy(name="p", freezes=[SALE]), 0.5, Ruling.HELD, "within an hour"),
            (("votes",), None, 30, Ruling.UNKNOWN, "the vote of mia lapsed"),
            (("window",), None, 30, Ruling.UNKNOWN, "its window ended"),
            (("services",), Policy(name="p", freezes=[SALE]), 30, Ruling.UNKNOWN, "sale"),
            (("emergency",), Policy(name="p", freezes=[SALE]), 30, Ruling.HELD, "nothing came"),
        ],
    )
    def test_what_was_recorded_late_is_believed_unless_something_came_between(
        self, story, policy, late, ruling, why
    ):
        fields = {"window": Window(start=at(1), end=at(9))} if "window" in story else {}
        fields |= {"environment": "live"} if "services" in story else {}
        planned = emergency() if "emergency" in story else plan(**fields)
        revised = [take("revise", 0.5, "lena", why="x", services=["web"], environment="prod")]
        vote = approve(2, policy=Policy(valid_for="20 hours")) if "votes" in story else approve(2)
        taken = [planned, *(revised if "services" in story else []), submit(), vote, start(2.5)]
        events = steps("CHG-1", *taken)
        log_ = at_once(events)
        log_[-1] = log_[-1]._replace(recorded_at=at(2.5 + late))
        rules = () if policy is None else ((1, adopting(policy)),)
        [row] = duties(with_rules(log_, *rules)).rows
        found = check_of(row, TOLD_IN_TIME)
        assert (found.ruling, why in found.reason) == (ruling, True), found

    def test_what_nobody_started_here_was_not_told_late(self):
        row = only(steps("CHG-1", take("observe", 4, "cmdb", title="what?")))
        assert ruled(row, TOLD_IN_TIME) is Ruling.NOTHING

    def test_votes_that_had_lapsed_are_no_quorum(self):
        short = Policy(name="short", valid_for="1 hour")
        story = log(
            steps("CHG-1", plan(), submit(), approve(2, policy=short), start(2.5), complete(3)),
            now=99,
        )
        row = duties(story).rows[0]
        assert ruled(row, Question.QUORUM.value) is Ruling.HELD
        late = [
            each._replace(event=attrs.evolve(each.event, at=at(9))) if each.version == 4 else each
            for each in story
        ]
        row = duties(late).rows[0]
        assert ruled(row, Question.QUORUM.value) is Ruling.BROKEN


class TestTheTable:
    STORY = at_once(
        steps("CHG-1", *NORMAL),
        steps("CHG-2", emergency(), submit(), start(6), complete(7)),
        change(
            "CHG-3",
            ChangePlanned(
                at=None, by="sn", type=ChangeType.NORMAL, kind=Kind.SCHEMA, imported=True
            ),
            ChangeCompleted(at=at(2), by="sn", imported=True),
        ),
        steps("CHG-4", plan(), submit()),
        steps("CHG-5", plan(title="=cmd()", requested_by="=cmd()"), submit(), approve(), start(3)),
        now=500,
    )
    FOUND = duties(STORY)

    def test_has_exceptions_first(self):
        assert [(row.change, row.ruling.value) for row in self.FOUND.rows] == [
            ("CHG-2", "broken"),
            ("CHG-3", "unknown"),
            ("CHG-5", "held"),
            ("CHG-1", "held"),
        ]
        assert [row.change for row in self.FOUND.exceptions] == ["CHG-2"]
        assert self.FOUND.not_in == 1

    def test_is_text_with_the_same_columns(self):
        rows = self.FOUND.table()
        assert len({tuple(row) for row in rows}) == 1
        assert rows[0]["exceptions"].startswith(
            "what went in without approval was approved afterwards: "
        )
        assert rows[0]["events"]
        assert (rows[1]["exceptions"], rows[2]["not said"]) == ("", "")
        assert "no freeze was asked" in rows[1]["not said"]
        assert rows[3]["events"] == "1, 2, 3, 4, 5"

    def test_is_csv_in_which_nothing_is_a_formula(self):
        rows = list(csv.DictReader(StringIO(self.FOUND.to_csv(), newline="")))
        assert [row["change"] for row in rows] == ["CHG-2", "CHG-3", "CHG-5", "CHG-1"]
        assert rows[2]["requested by"] == '"=cmd()"'
        assert Duties(window=None, rows=()).to_csv() == "change\r\n"

    def test_is_json_and_text(self):
        plain = json.loads(json.dumps(self.FOUND.as_dict()))
        assert plain["rows"][0]["ruling"] == "broken"
        assert plain["counts"]["what went in had its quorum"]["held"] == 2
        text = str(self.FOUND)
        assert "duties: 4 changes went in; 1 with a broken rule, and 1 more of which" in text
        assert "  the log does not say:\n    unknown: CHG-3 (normal), approved by nobody\n" in text
        assert "    broken: CHG-2 (emergency), approved by nobody\n      broken: what went" in text
        assert "(of all time; log position" in text
        assert "(2026-03-01T00:00:00+00:00 to 2026-04-01T00:00:00+00:00; log" in str(
            duties(self.STORY, window="2026-03")
        )
        assert "4 changes went in" in repr(self.FOUND)
        assert "exceptions:" not in duties(log(steps("CHG-1", *NORMAL), now=9)).explain()

    def test_of_a_period(self):
        assert [row.change for row in duties(self.STORY, window=(at(3.5), at(5))).rows] == ["CHG-1"]
        assert len(duties(self.STORY, window="2026-03").rows) == 4
        assert len(duties(self.STORY, window="2025").rows) == 0
        assert len(duties(self.STORY, window="last month", known_at=at(100)).rows) == 0
        assert duties([], window="last month").rows == ()
        with pytest.raises(InvalidValue, match="window"):
            duties(self.STORY, window="next week")

    def test_known_at_a_time(self):
        assert duties(self.STORY, known_at=5).rows[0].change == "CHG-1"


class TestCorrections:
    """No correction takes what went in out of sight, or to where nothing is asked."""

    def told(self, *taken, recorded, rules=(), **more):
        story = log(steps("CHG-1", *taken), recorded=recorded)
        return duties(with_rules(story, *rules), **more)

    CORRECTED = (plan(), submit(), approve(), start(2.5), correct(30, 4, "at", at(2.5), at(25)))

    def test_to_after_its_record_is_broken(self):
        [row] = self.told(*self.CORRECTED, recorded={1: 0, 2: 1, 3: 2, 4: 9, 5: 30}).rows
        found = check_of(row, TOLD_IN_TIME)
        assert (found.ruling, found.positions) == (Ruling.BROKEN, (4, 5))
        assert found.reason.startswith(f"corrected to {at(25).isoformat()}, after its record")

    def test_is_judged_by_what_was_told_at_first(self):
        late = correct(30, 4, "at", at(2.5), at(8.9))
        story = (plan(), submit(), approve(policy=FROZEN), start(2.5, policy=FROZEN), late)
        row = self.told(
            *story, recorded={1: 0, 2: 1, 3: 2, 4: 9, 5: 30}, rules=[(1, adopting(FROZEN))]
        ).rows[0]
        found = check_of(row, TOLD_IN_TIME)
        assert found.ruling is Ruling.UNKNOWN
        assert f"({at(2.5).isoformat()} at first)" in found.reason
        assert "the freeze sale began" in found.reason

    def test_out_of_a_period_leave_it_there(self):
        stamps = {1: 0, 2: 1, 3: 2, 4: 3, 5: 30}
        assert self.told(*self.CORRECTED, recorded=stamps, window=(at(2), at(3))).not_in == 0
        assert self.told(*self.CORRECTED, recorded=stamps, window=(at(24), at(26))).not_in == 0
        assert self.told(*self.CORRECTED, recorded=stamps, window=(at(4), at(5))).not_in == 1

    def test_of_a_start_that_was_voided_leave_a_question(self):
        story = (plan(), submit(), approve(), start(3), take("void", 4, "bea", version=4, why="x"))
        [row] = self.told(*story, recorded={1: 0, 2: 1, 3: 2, 4: 3, 5: 4}).rows
        assert (row.change, row.ruling) == ("CHG-1", Ruling.UNKNOWN)

    def test_and_late_records_say_that_a_maintenance_window_ended(self):
        night = MaintenanceWindow(name="night", times=Window(start=at(2), end=at(5)))
        policy = Policy(name="nights", maintenance=[night])
        story = (plan(), submit(), approve(policy=policy), start(3, policy=policy))
        for stamp, ruling in ((9, Ruling.UNKNOWN), (4.9, Ruling.HELD)):
            [row] = self.told(
                *story, recorded={1: 0, 2: 1, 3: 2, 4: stamp}, rules=[(1, adopting(policy))]
            ).rows
            found = check_of(row, TOLD_IN_TIME)
            assert found.ruling is ruling, found
            assert ("its maintenance window ended" in found.reason) is (ruling is Ruling.UNKNOWN)


class TestWhatNobodyDated:
    def test_has_no_time_in_the_table_and_no_ruling_on_its_window(self):
        window = Window(start=at(1), end=at(9))
        told = ChangePlanned(
            at=None, by="sn", type=ChangeType.NORMAL, kind=None, window=window, imported=True
        )
        row = only(change("CHG-1", told, ChangeCompleted(at=None, by="sn", imported=True)))
        assert row.row()["went in at"] == ""
        found = check_of(row, WINDOW)
        assert (found.ruling, found.reason.endswith("only a source says when")) == (
            Ruling.UNKNOWN,
            True,
        )

    def test_is_due_at_no_time_that_there_is(self):
        late = at(0).replace(year=9999, month=12, day=31)
        began = steps("CHG-1", emergency(), submit(), start(4))
        name, events = began
        events = (*events[:-1], attrs.evolve(events[-1], at=late))
        due = adopting(Policy(name="due", ruling_due="1 day"))
        row = duties(with_rules(log((name, events), now=9), (1, due))).rows[0]
        assert ruled(row, IN_TIME) is Ruling.UNKNOWN
