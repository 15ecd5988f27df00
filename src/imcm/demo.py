"""
A story told through the library, for `imcm demo`: one bad Friday evening and what came after.

Under a strict policy a deployment without a rollback plan or monitoring goes out all the same,
unapproved, and causes a P1; an emergency hotfix ends it, and a banner is let through the weekend's
freeze; the same service is later rolled out by canary, from 5 % upward.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Final

from imcm.domain import change, incident
from imcm.domain.policy import Policy
from imcm.domain.policy.freezes import Freeze, Weekly
from imcm.domain.vocabulary import (
    AttemptResult,
    Audience,
    ChangeType,
    Channel,
    Commit,
    Counts,
    Degree,
    Impact,
    MitigationKind,
    Result,
    Risk,
    Role,
    ServiceImpact,
    Severity,
    Symptom,
    Verdict,
)
from imcm.errors import StepRefused
from imcm.interchange.toml_files import strict_policy
from imcm.ledger.recording import Ledger

LONDON: Final = timezone(timedelta(0))
FRIDAY: Final = datetime(2026, 3, 6, 17, 40, tzinfo=LONDON)
SERVICE: Final = ("checkout",)
NO_EXCEPTIONS: Final = Policy(
    name="no exceptions",
    freezes=[
        Freeze(
            name="every weekend",
            times=Weekly(start="Fri 16:00", end="Mon 08:00", time_zone="Europe/London"),
        )
    ],
)
"""A policy to try on the story: what if nobody could have let anything through?"""


class StoryClock:
    """A clock that the story sets: each step is recorded a few seconds after it happened."""

    def __init__(self) -> None:
        self.now = FRIDAY

    def __call__(self) -> datetime:
        """Return the time of the story."""
        self.now += timedelta(seconds=3)
        return self.now


def tell(ledger: Ledger, clock: StoryClock, heard: Callable[[str], object] = print) -> None:
    """
    Record the story.

    Args:
        ledger: A ledger that runs on *clock*.
        heard: Called with each refusal, as the people in the story saw it.
    """

    def at(minutes: float, *, days: int = 0) -> datetime:
        moment = FRIDAY + timedelta(days=days, minutes=minutes)
        clock.now = max(clock.now, moment)
        return moment

    ledger.adopt(strict_policy(), by="lead-mia")
    _unapproved_deployment(ledger, at, heard)
    _incident_and_hotfix(ledger, at)
    _through_the_freeze(ledger, at, heard)
    _what_was_learned(ledger, at)
    _canary(ledger, at)


_At = Callable[..., datetime]


def _unapproved_deployment(ledger: Ledger, at: _At, heard: Callable[[str], object]) -> None:
    ledger.record(
        "CHG-1041",
        change.plan,
        by="dev-lena",
        at=at(0),
        title="Faster basket totals, version 5.4.0",
        services=SERVICE,
    )
    try:
        ledger.record("CHG-1041", change.submit, by="dev-lena", at=at(4))
    except StepRefused as refused:
        heard(str(refused))
    ledger.record(
        "CHG-1041", change.observe, by="pipeline-watcher", at=at(15), version="checkout 5.4.0"
    )


def _incident_and_hotfix(ledger: Ledger, at: _At) -> None:
    ledger.record(
        "INC-204",
        incident.detect,
        by="support-omar",
        at=at(39),
        title="Customers cannot pay",
        services=SERVICE,
        symptom=Symptom.ERRORS,
        channel=Channel.USER,
        declared_at=at(40),
    )
    ledger.record("INC-204", incident.acknowledge, by="oncall-ana", at=at(44))
    hit = Impact(
        services=(ServiceImpact(service="checkout", degree=Degree.DOWN),), customers=41_000
    )
    ledger.record(
        "INC-204", incident.triage, by="oncall-ana", at=at(47), severity=Severity.P1, impact=hit
    )
    ledger.record(
        "INC-204",
        incident.assign_role,
        by="oncall-ana",
        at=at(48),
        role=Role.INCIDENT_COMMANDER,
        person="oncall-ana",
    )
    ledger.record(
        "INC-204",
        incident.attempt_mitigation,
        by="oncall-ana",
        at=at(52),
        kind=MitigationKind.RESTART,
    )
    ledger.record(
        "INC-204",
        incident.conclude_attempt,
        by="oncall-ana",
        at=at(60),
        number=1,
        result=AttemptResult.NO_EFFECT,
        evidence="error rate stays at 63 %",
    )
    ledger.record(
        "INC-204",
        incident.post_update,
        by="oncall-ana",
        at=at(65),
        text="Payments fail for most customers. We are on it.",
        audience=Audience.PUBLIC,
    )
    ledger.record(
        "INC-204",
        incident.link_change,
        by="dev-lena",
        at=at(85),
        change="CHG-1041",
        verdict=Verdict.CAUSED,
        why="5.4.0 rounds totals before tax; there is no plan to roll it back",
    )
    with ledger.transaction() as tx:
        tx.record(
            "CHG-1042",
            change.plan,
            by="dev-lena",
            at=at(92),
            title="Hotfix 5.4.1: round after tax",
            type=ChangeType.EMERGENCY,
            services=SERVICE,
            incident="INC-204",
            repairs="CHG-1041",
        )
        tx.record("CHG-1042", change.submit, by="dev-lena", at=at(92))
        tx.record(
            "INC-204",
            incident.attempt_mitigation,
            by="oncall-ana",
            at=at(92),
            kind=MitigationKind.HOTFIX,
            change="CHG-1042",
        )
        tx.record(
            "INC-204",
            incident.link_change,
            by="oncall-ana",
            at=at(92),
            change="CHG-1042",
            verdict=Verdict.FIXED,
        )
    ledger.record(
        "CHG-1042",
        change.start,
        by="pipeline",
        at=at(96),
        version="checkout 5.4.1",
        commits=[Commit(id="9c1f0aa", committed_at=at(90), authored_at=at(88))],
    )
    ledger.record("CHG-1042", change.complete, by="pipeline", at=at(111))
    ledger.record("INC-204", incident.mitigate, by="oncall-ana", at=at(113))
    ledger.record("INC-204", incident.resolve, by="oncall-ana", at=at(124))
    ledger.record(
        "CHG-1042",
        change.approve_retroactively,
        by="lead-mia",
        at=at(150),
        why="right thing to do at the time",
    )


def _through_the_freeze(ledger: Ledger, at: _At, heard: Callable[[str], object]) -> None:
    saturday = 1
    ledger.record(
        "CHG-1043",
        change.plan,
        by="dev-lena",
        at=at(-480, days=saturday),
        title="A banner: failed payments are refunded",
        services=SERVICE,
        risk=Risk.LOW,
        rollback_plan="take the banner down",
    )
    ledger.record("CHG-1043", change.submit, by="dev-lena", at=at(-478, days=saturday))
    ledger.record("CHG-1043", change.approve, by="oncall-ana", at=at(-470, days=saturday))
    try:
        ledger.record("CHG-1043", change.start, by="pipeline", at=at(-468, days=saturday))
    except StepRefused as refused:
        heard(str(refused))
    ledger.record(
        "CHG-1043",
        change.override_freeze,
        by="lead-mia",
        at=at(-460, days=saturday),
        freeze="weekend",
        why="customers ask where their money is",
    )
    ledger.record("CHG-1043", change.start, by="pipeline", at=at(-455, days=saturday))
    ledger.record("CHG-1043", change.complete, by="pipeline", at=at(-450, days=saturday))
    ledger.record(
        "CHG-1043",
        change.close,
        by="dev-lena",
        at=at(-440, days=saturday),
        result=Result.SUCCESSFUL,
    )


def _what_was_learned(ledger: Ledger, at: _At) -> None:
    monday = 3
    ledger.record(
        "INC-204",
        incident.update_impact,
        by="oncall-ana",
        at=at(-480, days=monday),
        impact_started_at=FRIDAY + timedelta(minutes=27),
    )
    ledger.record(
        "INC-204",
        incident.correct,
        by="analyst-ben",
        at=at(-400, days=monday),
        version=len(ledger.incident("INC-204").past),
        field="impact_started_at",
        was=FRIDAY + timedelta(minutes=27),
        now=FRIDAY + timedelta(minutes=18),
        why="payment provider's log shows the first failure earlier",
    )
    ledger.record(
        "INC-204",
        incident.record_review,
        by="lead-mia",
        at=at(-180, days=monday),
        what_happened="A deployment went out on Friday evening outside the process; nobody saw "
        "the errors until customers called, and there was no way back.",
        causes=["no rollback plan", "no monitoring of payments", "straight to everyone"],
    )
    ledger.record(
        "INC-204",
        incident.add_action,
        by="lead-mia",
        at=at(-175, days=monday),
        text="Canary rollouts for checkout, judged by payment errors",
        owner="dev-lena",
        due=date(2026, 3, 20),
    )
    ledger.record("INC-204", incident.close, by="lead-mia", at=at(-170, days=monday))
    ledger.record(
        "CHG-1041",
        change.refuse_retroactively,
        by="lead-mia",
        at=at(-160, days=monday),
        why="without a rollback plan it should not have gone out",
    )
    ledger.record(
        "CHG-1041",
        change.close,
        by="lead-mia",
        at=at(-158, days=monday),
        result=Result.UNSUCCESSFUL,
        notes="repaired by CHG-1042",
    )
    ledger.record(
        "CHG-1042",
        change.close,
        by="lead-mia",
        at=at(-155, days=monday),
        result=Result.SUCCESSFUL,
    )


def _canary(ledger: Ledger, at: _At) -> None:
    day = 11
    ledger.record(
        "CHG-1050",
        change.plan,
        by="dev-lena",
        at=at(-520, days=day),
        title="Faster basket totals again, version 5.5.0",
        services=SERVICE,
        risk=Risk.MODERATE,
        rollback_plan="shift traffic back to 5.4.1; tried in staging",
        monitoring_plan="payment errors, canary against baseline, at each step",
        test_plan="rounding cases from the review",
    )
    ledger.record("CHG-1050", change.submit, by="dev-lena", at=at(-515, days=day))
    ledger.record("CHG-1050", change.approve, by="lead-mia", at=at(-480, days=day))
    ledger.record(
        "CHG-1050",
        change.start,
        by="pipeline",
        at=at(-430, days=day),
        version="checkout 5.5.0",
        rollout_plan=(5, 25, 50, 100),
        commits=[Commit(id="d04e77b", committed_at=at(-540, days=day))],
    )
    baseline = Counts(requests=48_200, errors=24)
    for minutes, percent, seen in (
        (-430, 5, None),
        (-400, 25, Counts(requests=2_510, errors=1)),
        (-370, 50, Counts(requests=12_940, errors=6)),
        (-330, 100, Counts(requests=26_100, errors=11)),
    ):
        ledger.record(
            "CHG-1050",
            change.advance_rollout,
            by="rollout-judge",
            at=at(minutes, days=day),
            percent=percent,
            canary=seen,
            baseline=None if seen is None else baseline,
        )
    ledger.record("CHG-1050", change.complete, by="pipeline", at=at(-300, days=day))
    ledger.record(
        "CHG-1050",
        change.validate,
        by="pipeline",
        at=at(-295, days=day),
        check="payment smoke test",
        passed=True,
    )
    ledger.record(
        "CHG-1050",
        change.close,
        by="dev-lena",
        at=at(-240, days=day),
        result=Result.SUCCESSFUL,
    )
    ledger.record(
        "INC-204",
        incident.complete_action,
        by="dev-lena",
        at=at(-235, days=day),
        number=1,
        change="CHG-1050",
    )
