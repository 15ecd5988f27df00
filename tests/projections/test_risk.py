"""Risk flags: each raised and not raised, with its evidence; and the rules behind them as data."""

import json
import tomllib
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from imcm import facts
from imcm.domain import change as change_steps
from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeRolledBack,
    CommitsRecorded,
    RolloutAdvanced,
)
from imcm.domain.policy.freezes import Weekly
from imcm.domain.vocabulary import Commit, Kind
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.projections.reports.failure_model import failure_model
from imcm.projections.reports.risk import (
    FLAGS,
    Evidence,
    ProposedChange,
    RiskRules,
    risk_of,
)
from projections.log import (
    at,
    caused_by,
    change,
    deployment,
    detected,
    incident,
    log,
    planned,
)

FRIDAY = datetime(2026, 3, 20, 15, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 3, 17, 10, 0, tzinfo=UTC)
OFFICE = tuple(
    Weekly(start=f"{day} 09:00", end=f"{day} 17:00", time_zone="Europe/London")
    for day in ("Mon", "Tue", "Wed", "Thu", "Fri")
)
RULES = RiskRules(owner_hours={"pay": OFFICE})

WELL = ProposedChange(
    services=["pay"],
    kind="deployment",
    at=TUESDAY,
    commits=2,
    has_rollback_plan=True,
    has_monitoring_plan=True,
    has_test_plan=True,
    gradual=True,
)
"""Nothing speaks against it."""


def rolled_back(hours):
    return ChangeRolledBack(at=at(hours), by="ci", reached_production=True)


def known():
    """Return a log with a failure on the 3rd of March, and one on the 16th of another service."""
    return facts(
        log(
            deployment("OLD-1", 10),
            deployment("OLD-2", 30, rolled_back(32)),
            deployment("WEB-1", 330, services=("web",), kind=Kind.SCHEMA),
            incident("INC-1", detected(340, services=("web",)), caused_by("WEB-1", 341)),
        )
    )


CASES = {
    "late_week": ({"at": FRIDAY}, {"at": TUESDAY}),
    "no_rollback_plan": ({"has_rollback_plan": False}, {"has_rollback_plan": True}),
    "no_monitoring": ({"has_monitoring_plan": False}, {"has_monitoring_plan": True}),
    "no_tests": ({"has_test_plan": False}, {"type": "standard", "has_test_plan": False}),
    "all_at_once": ({"gradual": False}, {"gradual": True}),
    "large_batch": ({"commits": 10}, {"commits": 9}),
    "recent_failure": ({"services": ["web"], "kind": "schema"}, {"services": ["pay"]}),
    "first_of_kind": ({"kind": "schema"}, {"kind": "deployment"}),
    "outside_hours": ({"at": TUESDAY.replace(hour=20)}, {"at": TUESDAY.replace(hour=16)}),
}


def test_every_flag_has_a_case():
    assert tuple(CASES) == FLAGS


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_raised_by_what_it_asks_and_by_nothing_else(name):
    """On, alone, with evidence; and off."""
    raised, not_raised = CASES[name]
    risky = risk_of(known(), attrs.evolve(WELL, **raised), rules=RULES)
    assert [flag.name for flag in risky.flags] == [name]
    assert risky.raised == {name}
    flag = risky.flags[0]
    assert flag.why
    assert flag.evidence
    assert all(isinstance(each, Evidence) and each.what and each.id for each in flag.evidence)
    assert name in repr(risky)
    assert flag.why in risky.explain()
    assert risk_of(known(), attrs.evolve(WELL, **not_raised), rules=RULES).flags == ()


def test_the_evidence_of_each_flag():
    """Which changes, incidents and rules, and where they stand in the log."""
    of = {
        name: risk_of(known(), attrs.evolve(WELL, **raised), rules=RULES).flags[0].evidence
        for name, (raised, _) in CASES.items()
    }
    assert of["late_week"] == (
        Evidence("change", "(to come)", (), "goes in at 2026-03-20 15:00 UTC"),
        Evidence("rule", "late_week", (), "Fri 12:00 to Sun 24:00 UTC"),
    )
    assert of["no_rollback_plan"][0].what == "has no rollback plan"
    assert of["no_monitoring"][0].what == "has no monitoring plan"
    assert of["no_tests"][1] == Evidence("rule", "plans_of", (), "asked of normal changes")
    assert of["all_at_once"][0].what == "no rollout step below 100 %"
    assert of["large_batch"][1].what == "from 10 commits on"
    failed, incident_, rule = of["recent_failure"]
    rows = known()
    assert failed == Evidence(
        "change",
        "WEB-1",
        rows.changes.get("WEB-1").positions,
        "failed, known at 2026-03-16 13:00 UTC: incident INC-1",
    )
    positions = rows.incidents.get("INC-1").positions
    assert incident_ == Evidence("incident", "INC-1", positions, "caused by WEB-1")
    assert positions == (8, 9)
    assert rule.what == "within 7 d"
    assert of["first_of_kind"][0].what == "schema; before it 0 of 2 earlier deployments of pay"
    assert [each.id for each in of["outside_hours"]] == ["(to come)", "owner_hours.pay"]
    assert "Mon 09:00 to Mon 17:00 Europe/London" in of["outside_hours"][1].what


def test_only_what_was_known_before_it_went_in_speaks_against_a_change():
    """The failure of the 3rd is recent on the 4th; one that is known later is not."""

    def risk(hours, recent=7):
        rules = RiskRules(recent=timedelta(days=recent), flags=["recent_failure", "first_of_kind"])
        return risk_of(known(), attrs.evolve(WELL, at=at(hours)), rules=rules)

    assert risk(5).raised == {"first_of_kind"}
    assert risk(10).raised == {"first_of_kind"}
    assert risk(11).raised == set()
    assert risk(32).raised == set()
    assert risk(33).raised == {"recent_failure"}
    assert risk(32 + 7 * 24).raised == {"recent_failure"}
    assert risk(33 + 7 * 24).raised == set()
    assert risk(33 + 7 * 24, recent=8).raised == {"recent_failure"}
    assert risk(5).estimate.rate is None
    assert risk(33).estimate.n == 2


def test_a_change_of_the_log_is_judged_as_it_was_when_it_went_in():
    """By its id or its row: its plans, its commits, its rollout, and its own failure not."""
    commits = tuple(Commit(id=f"c{n}") for n in range(12))
    step = RolloutAdvanced(at=at(40), by="ci", percent=5.0)
    story = facts(
        log(
            deployment("A", 10),
            change(
                "B",
                planned(20, has_rollback_plan=True),
                CommitsRecorded(at=at(21), by="ci", commits=commits),
                ChangeCompleted(at=at(30), by="ci"),
                rolled_back(31),
            ),
            change("C", planned(35, has_test_plan=True), step, ChangeCompleted(at=at(50), by="ci")),
            deployment("D", 60, rolled_back(61)),
        )
    )
    flags = {row.id: risk_of(story, row.id).raised for row in story.changes}
    plans = {"no_rollback_plan", "no_monitoring", "no_tests"}
    assert flags["A"] == {*plans, "all_at_once", "first_of_kind"}
    assert flags["B"] == {"no_monitoring", "no_tests", "all_at_once", "large_batch"}
    assert flags["C"] == {"no_rollback_plan", "no_monitoring", "recent_failure"}
    assert flags["D"] == {*plans, "all_at_once", "recent_failure"}
    row = story.changes.get("B")
    risk = risk_of(story, row)
    assert (risk.id, risk.at) == ("B", at(30))
    assert risk.flags[0].evidence[0].positions == row.positions
    assert risk.estimate == risk_of(story, "B").estimate
    assert risk.estimate.n == 1
    # Asked about a later time, its own failure still does not speak against it.
    assert "recent_failure" not in risk_of(story, "B", at=at(34)).raised
    assert "recent_failure" in risk_of(story, "A", at=at(34)).raised


def test_what_nobody_knows_is_not_judged():
    """Imported history, a change without a kind or commits, a service without owner's hours."""
    story = log(
        change(
            "A",
            planned(1, imported=True, kind=None, services=()),
            ChangeCompleted(at=at(2), by="x", imported=True),
        ),
        change("B", planned(3, kind=Kind.ROLLBACK), ChangeCompleted(at=at(4), by="x")),
        deployment("C", 5, rolled_back(6), services=()),
        deployment("D", 7, services=()),
    )
    first = risk_of(story, "A")
    assert {each.name for each in first.not_judged} == {
        *("no_rollback_plan", "no_monitoring", "no_tests", "all_at_once", "large_batch"),
        *("first_of_kind", "outside_hours"),
    }
    assert first.flags == ()
    assert "first_of_kind not judged: nobody knows of which kind it is" in first.explain()
    assert repr(first) == "risk of A: no flags; undefined"
    second = risk_of(story, "B")
    whys = {each.name: each.why for each in second.not_judged}
    assert whys["first_of_kind"] == "a roll back is no deployment of its own"
    last = {flag.name: flag for flag in risk_of(story, "D").flags}
    assert last["recent_failure"].why == "1 change on no service failed within the last 7 d"
    new = {flag.name: flag for flag in risk_of(story, "C").flags}
    assert new["first_of_kind"].why == "it is the first deployment on no service"
    several = risk_of(
        log(*(deployment(f"F{n}", n, rolled_back(n + 0.5)) for n in range(3))),
        attrs.evolve(WELL, at=at(20)),
    ).flags[0]
    assert several.why.startswith("3 changes on pay failed")
    assert [each.id for each in several.evidence] == ["F2", "F1", "F0", "recent"]


def test_when_it_goes_in():
    """As said, else its own time, else the time of the log; the last instant there is, too."""
    story = known()
    nobody = attrs.evolve(WELL, at=None)
    assert risk_of(story, nobody).at == story.as_of
    assert risk_of(story, WELL).at == TUESDAY
    assert risk_of(story, WELL, at=FRIDAY).at == FRIDAY
    last = datetime.max.replace(tzinfo=UTC)
    assert "late_week" not in risk_of(story, WELL, at=last).raised
    assert risk_of([], WELL).estimate.rate is None
    state = change_steps.INITIAL._replace(services=("pay",), kind=Kind.DEPLOYMENT)
    assert risk_of(story, state).id is None


def test_with_a_model_of_ones_own_many_changes_are_judged():
    """The same as by itself, where the model is the one that it would make."""
    story = known()
    model = failure_model(story, before=TUESDAY)
    assert risk_of(story, WELL, model=model) == risk_of(story, WELL)
    other = failure_model(story, before=TUESDAY, failed_by=["rolled_back"])
    web = attrs.evolve(WELL, services=["web"], kind="schema")
    assert "recent_failure" in risk_of(story, web).raised
    assert "recent_failure" not in risk_of(story, web, model=other).raised


def test_the_score_is_the_estimated_probability_and_plain_values_hold_all():
    """No flag adds anything to it."""
    risk = risk_of(known(), attrs.evolve(WELL, at=FRIDAY, gradual=False), rules=RULES)
    assert risk.score == risk.estimate.rate
    calm = risk_of(known(), attrs.evolve(WELL, at=FRIDAY), rules=RULES)
    assert calm.score == risk.score
    plain = json.loads(json.dumps(risk.as_dict()))
    assert plain["score"] == risk.score
    assert [flag["name"] for flag in plain["flags"]] == ["late_week", "all_at_once"]
    assert plain["flags"][0]["evidence"][1]["kind"] == "rule"
    assert RiskRules.from_dict(plain["rules"]) == RULES
    assert "may fail [" in repr(risk)


# --- rules ----------------------------------------------------------------------------------------


def test_rules_are_data():
    """From TOML, to plain values, and back."""
    text = """
        flags = ["large_batch", "outside_hours", "late_week"]
        large_batch = 20
        recent = 86400
        plans_of = ["normal"]
        late_week = [{start = "Thu 16:00", end = "Mon 00:00", time_zone = "Europe/London"}]
        [owner_hours]
        pay = [{start = "Mon 09:00", end = "Mon 17:00"}]
    """
    rules = RiskRules.from_dict(tomllib.loads(text))
    assert rules.flags == ("late_week", "large_batch", "outside_hours")
    assert rules.recent == timedelta(days=1)
    assert rules.late_week[0].time_zone == "Europe/London"
    assert RiskRules.from_dict(rules.as_dict()) == rules
    assert hash(RiskRules.from_dict(rules.as_dict())) == hash(rules)
    assert RiskRules.from_dict({}) == RiskRules()
    assert RiskRules(late_week=OFFICE[0]).late_week == OFFICE[:1]
    assert RiskRules(late_week=[]).late_week == ()
    assert (
        risk_of(known(), attrs.evolve(WELL, at=FRIDAY), rules=RiskRules(late_week=[])).flags == ()
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"flags": ["late"]},
        {"flags": 3},
        {"late_week": "Fri"},
        {"late_week": [3]},
        {"large_batch": 0},
        {"large_batch": True},
        {"recent": 0},
        {"recent": timedelta(0)},
        {"recent": "a week"},
        {"recent": float("nan")},
        {"owner_hours": 3},
        {"owner_hours": {"pay": []}},
        {"owner_hours": {"pay": [3]}},
        {"owner_hours": {3: OFFICE}},
        {"plans_of": "normal"},
        {"plans_of": ["mad"]},
    ],
)
def test_rules_refuse(fields):
    """By our error."""
    with pytest.raises(InvalidValue):
        RiskRules(**fields)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        {"large_batches": 3},
        {"late_week": 3},
        {"late_week": [{"start": "Fri"}]},
        {"owner_hours": 3},
        {"owner_hours": {"pay": 3}},
    ],
)
def test_plain_rules_refuse(plain):
    """By our error, with where it is."""
    with pytest.raises(InvalidValue, match=r"^risk"):
        RiskRules.from_dict(plain)


def test_what_is_refused():
    """What is no change, no rules, no model, no time."""
    story = known()
    with pytest.raises(InvalidValue, match="near it: OLD-1"):
        risk_of(story, "OLD1")
    with pytest.raises(InvalidValue, match=r"the id of a change in the log$"):
        risk_of([], "OLD-1", at=FRIDAY)
    with pytest.raises(InvalidValue, match="change: 3"):
        risk_of(story, 3)
    with pytest.raises(InvalidValue, match="rules"):
        risk_of(story, WELL, rules={})
    with pytest.raises(InvalidValue, match="model"):
        risk_of(story, WELL, model=0.1)
    with pytest.raises(NaiveTimeError):
        risk_of(story, WELL, at=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidValue, match="neither the change nor the log"):
        risk_of([], ProposedChange())
