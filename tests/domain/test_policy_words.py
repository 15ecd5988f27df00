"""What a policy says of itself in words, and what two say differently."""

from datetime import UTC, datetime, timedelta

from imcm.domain.policy import (
    ApprovalRule,
    ApprovedTemplate,
    PlanRule,
    Policy,
)
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, Weekly
from imcm.domain.policy.judging import CanaryPlan
from imcm.domain.policy.rollouts import RolloutRule
from imcm.domain.vocabulary import Window

DAY = timedelta(days=1)
FIRST = datetime(2026, 12, 1, tzinfo=UTC)
DAYS = tuple(Window(start=FIRST + 7 * n * DAY, end=FIRST + (7 * n + 1) * DAY) for n in range(5))
EVERYTHING = Policy(
    name="everything",
    version="2",
    approvals=2,
    authorities={"peer", "cab"},
    rules=[
        ApprovalRule(votes=3, of={"cab": 1}, risks=["high"], services=["pay"], kinds=["schema"]),
        ApprovalRule(types=["emergency"], environments=["live"], labels={"team": "shop"}),
    ],
    groups={"dba": ["sam", "ann"], "nobody": []},
    valid_for="10 days",
    ruling_due="1 day",
    actors={"agent": ["bot-*"], "service": ["ci"]},
    approvers_may_start=False,
    plans=[PlanRule(needs=["test_plan"], references=["ticket"])],
    templates=[
        ApprovedTemplate(name="restart", version="3", max_failures=2),
        ApprovedTemplate(name="restart", version="2", retired=True),
        ApprovedTemplate(name="scale", version="1"),
    ],
    rollouts=[
        RolloutRule(
            first=5, bake="1 hour", checks=["smoke"], fresh_for="2 hours", canary=CanaryPlan()
        ),
        RolloutRule(checks=["load"]),
    ],
    freezes=[
        Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00")),
        Freeze(name="sale", times=DAYS, override_by=["mia"]),
    ],
    maintenance=[MaintenanceWindow(name="night", times=DAYS[0], services=["db"])],
    refuse_conflicts=True,
    stewards=["mia", "dba"],
)


def test_everything_is_told_in_words():
    assert EVERYTHING.explain().splitlines() == [
        "policy everything 2",
        "  a normal change takes 2 votes at least, an emergency 1",
        "  normal changes of kind schema of high risk on pay: 3 votes, of them 1 as cab",
        "  emergency changes in live with team shop: 1 vote",
        "  votes count as cab and peer alone",
        "  anybody may vote as cab: members names nobody",
        "  dba: sam and ann",
        "  nobody: nobody",
        "  a vote counts for 10 days",
        "  what went in unapproved is to be ruled on within 1 day",
        "  agent: bot-*",
        "  service: ci",
        "  services, and ids that nobody names, vote too; agents do not",
        "  who voted for a change does not start it",
        "  a normal change says its risk and how to roll back",
        "  normal changes say test_plan and a reference of kind ticket",
        "  template restart 3 approves standard changes, until 2 changes failed in 365 days",
        "  template restart 2 is retired",
        "  template scale 1 approves standard changes",
        "  rollouts of normal changes: 5 % at most at first, 1 hour before each next step, after "
        "smoke passed in the last 2 hours, errors judged with a false alarm in 5 % of rollouts at "
        "most, 500 requests a side at each step before it is judged good and errors shown to be "
        "under 2 times the baseline's",
        "  rollouts of normal changes: after load passed",
        "  freeze weekend: every week Fri 16:00 to Mon 08:00 UTC; anybody may override it",
        "  freeze sale: 2026-12-01 00:00 to 2026-12-02 00:00 UTC, 2026-12-08 00:00 to 2026-12-09 "
        "00:00 UTC, 2026-12-15 00:00 to 2026-12-16 00:00 UTC and 2 more stretches; mia may "
        "override it",
        "  maintenance night: 2026-12-01 00:00 to 2026-12-02 00:00 UTC on db",
        "  a change that conflicts with another one is neither scheduled nor started",
        "  incidents of P1 and P2 close after a review",
        "  it is replaced by: mia and dba",
    ]
    assert str(EVERYTHING) == EVERYTHING.explain()


def test_people_decide_and_agents_may():
    policy = Policy(actors={"person": ["mia"]}, people_decide=True)
    assert "  only people vote, rule and override freezes" in policy.explain().splitlines()
    closing = Policy(actors={"agent": ["bot"]}, agents_may=["close"])
    assert "  agents may close" in closing.explain().splitlines()
    lax = Policy(actors={"agent": ["bot"]}, agents_may=["approve"], review_for=[])
    assert "  services, and ids that nobody names, vote too" in lax.explain().splitlines()
    assert "review" not in lax.explain()
    assert "anybody (no stewards are named)" in lax.explain()


def test_what_two_say_differently():
    other = Policy.from_dict(
        {**EVERYTHING.as_dict(), "version": "3", "groups": {"dba": ["sam"]}, "freezes": []}
    )
    found = {key: (mine, theirs) for key, mine, theirs in EVERYTHING.differences(other)}
    assert found["version"] == ("2", "3")
    assert found["groups.dba"] == ("[sam, ann]", "[sam]")
    assert found["groups.nobody"] == ("[]", "")
    assert found["freezes[weekend]"][1] == ""
    assert list(EVERYTHING.differences(EVERYTHING)) == []
    assert EVERYTHING.differences(Policy(approvers_may_start=True))


def test_names_that_may_be_meant_for_a_group():
    policy = Policy(
        name="x",
        groups={"head_of_ops": ["hanna"]},
        stewards=["Head-of-ops", "mia"],
        freezes=[
            Freeze(name="f", times=Weekly(start="Fri 16:00", end="Mon 08:00"),
                   override_by=["head of op", "HEAD_OF_OPS"]),
        ],
    )  # fmt: skip
    assert policy.taken_as_people() == (
        ("stewards", "Head-of-ops", "head_of_ops"),
        ("freeze f", "head of op", "head_of_ops"),
    )


def test_a_rollout_that_is_watched_for_as_long_as_its_canary_asks():
    rules = [RolloutRule(canary=CanaryPlan(bake="20 minutes", tolerated_ratio="any"))]
    [line] = [each for each in Policy(name="x", rollouts=rules).explain().split("\n")
              if "rollouts" in each.split(":")[0]]  # fmt: skip
    assert line.endswith("before it is judged good and watched for 20 minutes at least")
