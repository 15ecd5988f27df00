"""Refusals that are kept, gates, context of other streams: real ledgers, in every store."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from imcm import (
    ApprovalRule,
    ApprovedTemplate,
    CanaryPlan,
    Context,
    Counts,
    Dependencies,
    Freeze,
    Ledger,
    LedgerReader,
    Policy,
    RolloutRule,
    Source,
    StepRefused,
    Template,
    UnknownIdError,
    Weekly,
    Window,
    change,
    incident,
    views,
)
from imcm.domain.change import Change
from imcm.domain.change_events import ChangeEvent, StepRefusedRecorded
from imcm.errors import InvalidValue
from ledger.conftest import path, server, settings, sql

__all__ = ["path", "server", "settings", "sql"]

NOW = datetime(2026, 3, 6, 17, 0, tzinfo=UTC)  # a Friday evening
WEEKEND = Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00"))
STRICT = Policy(name="strict", freezes=[WEEKEND], valid_for="10 days")


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["in memory", "in a file", "in PostgreSQL"])
def ledger(request, path, clock):
    keeping = {"clock": clock, "record_refusals": True}
    match request.param:
        case "in memory":
            made = Ledger.in_memory(**keeping)
        case "in a file":
            made = Ledger(path, **keeping)
        case _:
            made = Ledger.configured(request.getfixturevalue("settings"), **keeping)
    with made:
        yield made


def approved(ledger, id_="CHG-1", at=None, **plan):
    at = at or ledger.now()
    given = {"title": "v2", "services": ["pay"], "risk": "low", "rollback_plan": "back", **plan}
    ledger.record(id_, change.plan, by="ann", at=at, **given)
    ledger.record(id_, change.submit, by="ann", at=at)
    ledger.record(id_, change.approve, by="bea", at=at)


def refused(ledger, id_="CHG-1", by="ann", at=None, step=change.start, **more):
    with pytest.raises(StepRefused) as error:
        ledger.record(id_, step, by=by, at=at or ledger.now(), **more)
    return error.value


def kept(ledger, id_="CHG-1"):
    history = ledger.history(f"change:{id_}")
    return [each.event for each in history if isinstance(each.event, StepRefusedRecorded)]


class TestRefusals:
    def test_are_kept_with_who_asked_and_which_guard_said_no(self, ledger):
        ledger.adopt(STRICT, by="mia")
        approved(ledger)
        error = refused(ledger)
        assert error.guard == "freeze"
        assert kept(ledger) == [
            StepRefusedRecorded(
                at=NOW,
                by="ann",
                step="start",
                guard="freeze",
                policy=STRICT.said("refused"),
                why=error.why,
            )
        ]
        assert ledger.change("CHG-1").status == "approved"

    def test_of_a_canary_that_has_to_be_aborted_stays_so(self, ledger):
        rule = RolloutRule(first=5, canary=CanaryPlan())
        ledger.adopt(Policy(name="canary", rollouts=[rule]), by="mia")
        approved(ledger)
        ledger.record("CHG-1", change.start, by="ci", at=NOW, rollout_plan=(5, 100))
        ledger.record("CHG-1", change.advance_rollout, by="ci", at=NOW, percent=5)
        few = {"canary": Counts(requests=10, errors=0), "baseline": Counts(requests=10, errors=0)}
        held = refused(ledger, by="ci", step=change.advance_rollout, percent=100, **few)
        assert held.why.startswith("hold: ")
        assert held.why.endswith("or keep it with pause_rollout")
        bad = {
            "canary": Counts(requests=1000, errors=450),
            "baseline": Counts(requests=1000, errors=10),
        }
        for _ in range(2):  # no hour is waited for
            error = refused(ledger, by="ci", step=change.advance_rollout, percent=100, **bad)
            assert error.why.startswith("abort: ")
        assert [(each.canary, each.baseline) for each in kept(ledger)] == [
            (None, None),
            *[tuple(bad.values())] * 2,
        ]
        good = dict.fromkeys(bad, Counts(requests=900_000, errors=900))
        error = refused(ledger, by="ci", step=change.advance_rollout, percent=100, **good)
        assert error.why.startswith("abort: ")

    def test_are_kept_once_an_hour_for_a_person_and_a_guard(self, ledger, clock):
        ledger.adopt(STRICT, by="mia")
        approved(ledger)
        for _ in range(3):
            refused(ledger)
            refused(ledger, by="ANN")
        assert len(kept(ledger)) == 1
        refused(ledger, by="bob")
        clock.now += timedelta(minutes=59)
        refused(ledger)
        assert [each.by for each in kept(ledger)] == ["ann", "bob"]
        clock.now += timedelta(minutes=1)
        refused(ledger)
        assert [each.by for each in kept(ledger)] == ["ann", "bob", "ann"]

    def test_that_lie_in_the_future_are_kept_as_of_now(self, ledger):
        approved(ledger)
        error = refused(ledger, at=NOW + timedelta(hours=3))
        assert "future" in str(error)
        assert [(each.at, each.guard) for each in kept(ledger)] == [(NOW, error.guard)]

    def test_that_lie_before_the_first_moment_move_none(self, ledger):
        approved(ledger)
        refused(ledger, at=NOW - timedelta(days=30))
        assert len(kept(ledger)) == 1
        assert ledger.change("CHG-1").first == NOW

    def test_of_what_is_not_there_or_of_incidents_are_not(self, ledger):
        refused(ledger, "CHG-9")
        assert not ledger.history("change:CHG-9")
        ledger.record("INC-1", incident.detect, by="ann", at=NOW, title="down")
        refused(ledger, "INC-1", step=incident.close)
        assert len(ledger.history("incident:INC-1")) == 1

    def test_of_steps_that_do_not_say_who_asks_are_not(self, ledger):
        def ours(state: Change, *, who: str) -> tuple[ChangeEvent, ...]:
            return change.start(state, by=who, at=NOW + timedelta(days=9))

        approved(ledger)
        with pytest.raises(StepRefused):
            ledger.record("CHG-1", ours, who="ann")
        assert kept(ledger) == []

    def test_of_a_step_of_ones_own_are(self, ledger):
        def deploy(
            state: Change, *, by: str, at: datetime, policy: Policy
        ) -> tuple[ChangeEvent, ...]:
            return change.start(state, by=by, at=at, policy=policy)

        ledger.adopt(STRICT, by="mia")
        approved(ledger)
        refused(ledger, step=deploy)
        assert [(each.step, each.guard) for each in kept(ledger)] == [("start", "freeze")]

    def test_in_a_transaction_leave_nothing_else(self, ledger):
        ledger.adopt(STRICT, by="mia")
        approved(ledger)
        tx = ledger.transaction(source="ci")
        tx.record("CHG-1", change.hold, by="ann", at=NOW, reason="vendor")
        tx.record("CHG-1", change.release, by="ann", at=NOW)
        tx.record("CHG-1", change.start, by="ann", at=NOW)
        with pytest.raises(StepRefused), tx:
            pass
        assert [each.guard for each in kept(ledger)] == ["freeze"]
        history = ledger.history("change:CHG-1")
        assert len(history) == 4
        assert history[-1].source == Source(name="ci")

    def test_are_not_kept_unless_asked_for(self, path, clock):
        with Ledger(path, clock=clock, policy=STRICT) as plain:
            approved(plain)
            refused(plain)
            assert kept(plain) == []
        with pytest.raises(InvalidValue, match="record_refusals"):
            Ledger(path, record_refusals="yes")

    def test_of_many_at_once_are_one(self, path, clock):
        with Ledger(path, clock=clock, record_refusals=True) as shared:
            shared.adopt(STRICT, by="mia")
            approved(shared)
            threads = [threading.Thread(target=refused, args=(shared,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(kept(shared)) == 1

    def test_that_could_not_be_kept_say_so(self, path, clock, sql):
        with Ledger(path, clock=clock, record_refusals=True) as shared:
            shared.adopt(STRICT, by="mia")
            approved(shared)
            sql(path, "CREATE TRIGGER no BEFORE INSERT ON stored_events BEGIN "
                      "SELECT RAISE(FAIL, 'full'); END")  # fmt: skip
            error = refused(shared)
            assert error.guard == "freeze"
            assert any("could not be kept" in note for note in error.__notes__)

    def test_are_no_figure_and_stand_in_the_timeline(self, ledger):
        ledger.adopt(STRICT, by="mia")
        approved(ledger)
        before = ledger.facts().changes[0]
        refused(ledger)
        after = ledger.facts().changes[0]
        assert after._replace(positions=before.positions) == before
        lines = [entry.line for entry in ledger.timeline("CHG-1")]
        assert any("start was refused by the guard freeze" in line for line in lines)
        assert "refused a step" in ledger.trail("CHG-1").explain()


class TestGate:
    def test_is_open_or_says_every_reason(self, ledger):
        ledger.adopt(STRICT, by="mia")
        approved(ledger)
        ledger.record("CHG-1", change.hold, by="ann", at=NOW, reason="vendor")
        gate = ledger.gate("CHG-1")
        assert not gate.open
        assert [guard for guard, _ in gate.refusals] == ["freeze", "not on hold"]
        assert (gate.policy, gate.at) == ("strict", NOW)
        assert gate.opens_at is None
        monday = ledger.gate("CHG-1", at=NOW + timedelta(days=3))
        assert [guard for guard, _ in monday.refusals] == ["not on hold"]
        ledger.record("CHG-1", change.release, by="ann", at=NOW)
        friday = ledger.gate("CHG-1")
        assert friday.opens_at.isoformat() in friday.as_dict()["opens_at"]
        assert str(friday).endswith("; opens Mon 2026-03-09 08:00 +0000")
        assert ledger.gate("CHG-1", at=friday.opens_at).open
        assert ledger.gate("CHG-1", at=NOW + timedelta(days=3)).open
        late = ledger.gate("CHG-1", at=NOW + timedelta(days=11))
        assert [guard for guard, _ in late.refusals] == ["vote lapsed"]

    def test_is_said_in_a_line_and_as_json(self, ledger):
        approved(ledger)
        gate = ledger.gate("CHG-1")
        assert str(gate) == "open: CHG-1 at Fri 2026-03-06 17:00 +0000, under default 1"
        assert gate.as_dict() == {
            "change": "CHG-1",
            "open": True,
            "at": NOW.isoformat(),
            "policy": {"name": "default", "version": "1"},
            "first_share": None,
            "opens_at": None,
            "refusals": [],
            "position": None,
            "conflicts": None,
        }
        ledger.record("CHG-1", change.cancel, by="ann", at=NOW, why="no")
        assert "closed: CHG-1 at" in str(ledger.gate("CHG-1"))
        assert "status: its status is cancelled" in str(ledger.gate("CHG-1"))

    def test_says_what_start_says(self, ledger):
        ledger.adopt(STRICT, by="mia")
        approved(ledger)
        for by, at in (("ann", NOW), ("ann", NOW + timedelta(minutes=4))):
            guard, why = ledger.gate("CHG-1", by=by, at=at).refusals[0]
            error = refused(ledger, by=by, at=at)
            assert (error.guard, error.why) == (guard, why)

    def test_as_a_step_records_nothing_and_keeps_a_refusal(self, ledger):
        ledger.adopt(STRICT, by="mia")
        approved(ledger, at=NOW)
        refused(ledger, step=change.gate)
        assert [each.step for each in kept(ledger)] == ["start"]
        ledger.adopt(Policy(name="lax"), by="mia")
        assert ledger.record("CHG-1", change.gate, by="ann", at=NOW) == ()

    def test_of_what_is_not_there_says_what_is_near(self, ledger):
        approved(ledger)
        with pytest.raises(UnknownIdError, match="CHG-1"):
            ledger.gate("CHG-11")


class TestWhatWasSubmittedUnderOtherRules:
    def test_lapses_by_both(self, ledger, clock):
        ledger.adopt(Policy(name="short", valid_for="1 hour"), by="mia")
        approved(ledger)
        ledger.adopt(Policy(name="lax"), by="mia")
        clock.now += timedelta(hours=2)
        assert refused(ledger).guard == "vote lapsed"
        answers = {each.step: each.guard for each in ledger.next_steps("CHG-1", by="ann")}
        assert answers["start"] == "vote lapsed"
        assert ledger.gate("CHG-1").refusals[0].guard == "vote lapsed"
        [again] = ledger.record("CHG-1", change.approve, by="bea", at=clock.now)
        assert again.event.valid_until == clock.now + timedelta(hours=1)


def hour(number):
    return NOW + timedelta(hours=number)


def window(first, last):
    return Window(start=hour(first), end=hour(last))


class TestContext:
    ALONE = Policy(name="alone", refuse_conflicts=True)

    @pytest.fixture
    def book(self, path, clock):
        with Ledger(path, clock=clock) as ledger, views(ledger) as kept_:
            ledger.adopt(self.ALONE, by="mia")
            depends_on = {"web": ["pay"], "pay": ["db"]}
            ledger.adopt(Dependencies(name="map", depends_on=depends_on), by="mia")
            yield ledger, kept_

    def test_names_what_is_approved_or_goes_in_at_the_same_time(self, book):
        ledger, kept_ = book
        approved(ledger, "CHG-1", services=["web"], window=window(0, 2))
        approved(ledger, "CHG-2", services=["db"], window=window(1, 3))
        approved(ledger, "CHG-3", services=["db"], window=window(2, 3))
        approved(ledger, "CHG-4", services=["search"], window=window(1, 3))
        approved(ledger, "CHG-5", services=["db"], window=window(1, 3), environment="staging")
        ledger.record("CHG-6", change.plan, by="ann", at=NOW, title="x", services=["db"],
                      window=window(1, 3))  # fmt: skip
        context = kept_.context("CHG-1")
        assert context.conflicts == ("CHG-2",)
        assert (context.window, context.content) == (window(0, 2), 1)
        assert context.position == ledger.position_at()
        assert kept_.context("CHG-1", window=window(0, 1)).conflicts == ()
        assert kept_.context("CHG-4").conflicts == ()

    def test_lets_a_step_go_on_or_refuses_it(self, book):
        ledger, kept_ = book
        approved(ledger, "CHG-1", window=window(0, 2))
        approved(ledger, "CHG-2", window=window(1, 3))
        assert "needs context=" in refused(ledger).why
        error = refused(ledger, context=kept_.context("CHG-1"))
        assert (error.guard, "CHG-2" in error.why) == ("conflicts", True)
        narrow = window(0, 1)
        [scheduled] = ledger.record(
            "CHG-1", change.schedule, by="ann", at=NOW, window=narrow,
            context=kept_.context("CHG-1", window=narrow),
        )  # fmt: skip
        assert scheduled.event.evidence_position == scheduled.position - 1
        [started] = ledger.record(
            "CHG-1", change.start, by="ann", at=NOW, context=kept_.context("CHG-1")
        )
        assert started.event.evidence_position == started.position - 1

    def test_passes_through_steps_of_ones_own(self, book):
        def deploy(
            state: Change, *, by: str, at: datetime, policy: Policy, context: Context
        ) -> tuple[ChangeEvent, ...]:
            return change.start(state, by=by, at=at, policy=policy, context=context)

        ledger, kept_ = book
        approved(ledger, "CHG-1", window=window(0, 2))
        context = kept_.context("CHG-1")
        assert ledger.record("CHG-1", deploy, by="ann", at=NOW, context=context)

    def test_of_a_change_that_goes_in_without_a_window_is_of_now(self, book):
        ledger, kept_ = book
        approved(ledger, "CHG-1")
        assert kept_.context("CHG-1").window is None
        ledger.record("CHG-1", change.start, by="ann", at=NOW, context=kept_.context("CHG-1"))
        approved(ledger, "CHG-2")
        assert kept_.context("CHG-2").conflicts == ("CHG-1",)
        ledger.record("CHG-1", change.complete, by="ann", at=NOW)
        assert kept_.context("CHG-2").conflicts == ()

    def test_counts_how_often_a_template_failed(self, path, clock):
        restart = Template(name="restart", version="3", sha256="ab" * 32)
        approved_ = ApprovedTemplate(name="restart", version="3", max_failures=2, within="10 days")
        with Ledger(path, clock=clock) as ledger, views(ledger) as kept_:
            ledger.adopt(Policy(name="recipes", templates=[approved_]), by="mia")

            def standard(id_, *, fails):
                at = clock.now
                plan = {"title": "r", "type": "standard", "services": ["web"]}
                ledger.record(id_, change.plan, by="ann", at=at, **plan)
                context = kept_.context(id_, template=restart)
                ledger.record(id_, change.submit, by="ann", at=at, template=restart,
                              context=context)  # fmt: skip
                ledger.record(id_, change.start, by="ann", at=at)
                ledger.record(id_, change.complete, by="ann", at=at)
                if fails:
                    ledger.record(id_, change.roll_back, by="ann", at=at)
                return context.template_failures

            counts = []
            for number, fails in enumerate([True, False, True], start=1):
                counts.append(standard(f"CHG-{number}", fails=fails))
                clock.now += timedelta(days=2)
            assert counts == [0, 1, 1]
            with pytest.raises(StepRefused, match="template failures"):
                standard("CHG-4", fails=False)
            clock.now += timedelta(days=5)  # the first of them is ten days old by then
            assert kept_.context("CHG-4", template=restart).template_failures == 1
            other = Template(name="scale", version="1", sha256="ab" * 32)
            assert kept_.context("CHG-4", template=other).template_failures == 0

    def test_of_what_is_not_there_says_so(self, book):
        with pytest.raises(UnknownIdError):
            book[1].context("CHG-9")

    def test_conflicts_of_a_period_are_listed(self, book):
        ledger, kept_ = book
        approved(ledger, "CHG-1", services=["web"], window=window(0, 2))
        approved(ledger, "CHG-2", services=["db"], window=window(1, 3))
        approved(ledger, "CHG-3", services=["search"], window=window(1, 3))
        approved(ledger, "CHG-4", services=["search"], window=window(1, 3))
        found = kept_.conflicts(NOW, hour(9))
        assert [(each.first, each.second) for each in found] == [
            ("CHG-1", "CHG-2"),
            ("CHG-3", "CHG-4"),
        ]
        assert [each.first for each in kept_.conflicts(NOW, hour(9), service="DB")] == ["CHG-1"]
        before = kept_.conflicts(NOW, hour(9), known_at=5)
        assert before == ()

    def test_the_next_free_window_keeps_all_rules(self, book):
        ledger, kept_ = book
        approved(ledger, "CHG-1", services=["web"], window=window(0, 30))
        approved(ledger, "CHG-2", services=["db"], window=window(-1, 3))
        free = kept_.next_free("CHG-1", timedelta(hours=1))
        assert free == window(3, 4)
        assert kept_.next_free("CHG-1", timedelta(hours=28)) is None
        sale = Freeze(name="sale", times=window(3, 6))
        ledger.adopt(Policy(name="alone", version="2", freezes=[sale]), by="mia")
        assert kept_.next_free("CHG-1", timedelta(hours=1)) == window(6, 7)
        later = kept_.next_free("CHG-1", timedelta(hours=1), after=hour(6.1))
        assert later == Window(start=hour(6.25), end=hour(7.25))
        exact = kept_.next_free("CHG-1", timedelta(hours=1), after=hour(6.1), step=None)
        assert exact.start == hour(6.1)
        assert kept_.next_free("CHG-1", timedelta(hours=1), after=hour(40)) is None
        ledger.record("CHG-1", change.override_freeze, by="zoe", at=NOW, freeze="sale", why="x")
        assert kept_.next_free("CHG-1", timedelta(hours=1)) == window(3, 4)


class TestReady:
    def test_tells_what_may_go_out_now_and_why_the_rest_may_not(self, path, clock):
        with Ledger(path, clock=clock) as ledger, views(ledger) as kept_:
            ledger.adopt(STRICT, by="mia")
            approved(ledger, "CHG-1")
            approved(ledger, "CHG-2", at=NOW - timedelta(days=1))
            ledger.record("CHG-3", change.plan, by="ann", at=NOW, title="fix", type="emergency",
                          incident="INC-1", services=["pay"])  # fmt: skip
            ledger.record("CHG-3", change.submit, by="ann", at=NOW)
            ready = {each.change.id: each for each in kept_.ready()}
            assert list(ready) == ["CHG-2", "CHG-1", "CHG-3"]
            assert {id_: each.may_start for id_, each in ready.items()} == {
                "CHG-1": False,
                "CHG-2": False,
                "CHG-3": True,
            }
            one = ready["CHG-1"]
            assert [guard for guard, _ in one.refusals] == ["freeze"]
            assert one.opens_at == datetime(2026, 3, 9, 8, 0, tzinfo=UTC)
            assert one.votes_until == NOW + timedelta(days=10)
            assert one.as_dict()["may_start"] is False
            monday = kept_.ready(at=datetime(2026, 3, 9, 9, 0, tzinfo=UTC), service="pay")
            assert [each.may_start for each in monday] == [True, True, True]
            assert monday[0].opens_at is None
            assert [each.change.id for each in kept_.ready(limit=1)] == ["CHG-2"]
            ledger.adopt(Policy(name="alone", refuse_conflicts=True), by="mia")
            assert all(each.may_start for each in kept_.ready())


class TestWhatWaits:
    def test_says_what_is_missing_and_until_when_votes_count(self, path, clock):
        asks = Policy(name="two", valid_for="10 days",
                      rules=[ApprovalRule(votes=2, of={"cab": 1})])  # fmt: skip
        with Ledger(path, clock=clock) as ledger, views(ledger) as kept_:
            ledger.adopt(asks, by="mia")
            ledger.record("CHG-1", change.plan, by="ann", at=NOW, title="x", risk="low",
                          rollback_plan="back", services=["pay"])  # fmt: skip
            ledger.record("CHG-1", change.submit, by="ann", at=NOW)
            [waiting] = kept_.approvals()
            assert (waiting.missing, waiting.votes_until) == ("1 more and 1 as cab", None)
            ledger.record("CHG-1", change.approve, by="mia", at=NOW)
            [waiting] = kept_.approvals(by="zoe")
            assert (waiting.missing, waiting.possible) == ("1 as cab", True)
            assert waiting.votes_until == NOW + timedelta(days=10)


class TestDependencies:
    def test_are_adopted_like_other_rules(self, ledger, path):
        mine = Dependencies(name="map", depends_on={"web": ["pay"]})
        assert ledger.rules().dependencies is None
        assert ledger.adopt(mine, by="mia").kind == "dependencies"
        assert ledger.adopt(mine, by="mia") is None
        assert ledger.rules().dependencies == mine
        newer = Dependencies(name="map", version="2", depends_on={"web": ["db"]})
        before = ledger.position_at()
        ledger.adopt(newer, by="mia")
        assert ledger.rules().dependencies == newer
        assert ledger.rules(known_at=before).dependencies == mine
        with pytest.raises(StepRefused, match="another version"):
            ledger.adopt(Dependencies(name="map", depends_on={}), by="mia")
        with pytest.raises(InvalidValue, match="Dependencies"):
            ledger.adopt({"web": ["pay"]}, by="mia")

    def test_are_read_by_another_process_that_only_reads(self, path, clock):
        with Ledger(path, clock=clock) as ledger:
            ledger.adopt(Dependencies(name="map", depends_on={"web": ["pay"]}), by="mia")
        with LedgerReader(path) as reader:
            assert reader.rules().dependencies.related(["pay"]) == ("pay", "web")
