"""
How a progressive rollout goes up: what each step has to wait for, and what it is judged by.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs

from imcm.domain.policy.judging import CanaryPlan
from imcm.domain.policy.scope import Scope, checked_ids
from imcm.domain.policy.tables import checked_length, length_in_words
from imcm.domain.vocabulary import is_mapping, is_number
from imcm.errors import InvalidValue


def _bake(value: object) -> timedelta | None:
    return None if value is None else checked_length("bake", value)


def _fresh_for(value: object) -> timedelta | None:
    return None if value is None else checked_length("fresh_for", value)


def _checks(value: object) -> tuple[str, ...]:
    return checked_ids("checks", value, '["smoke test"]')


def _canary(value: object) -> CanaryPlan | None:
    if value is None or isinstance(value, CanaryPlan):
        return value
    if not is_mapping(value):
        raise InvalidValue("canary", value, "give CanaryPlan(...), or its table")
    return CanaryPlan.from_dict(value)


@attrs.frozen(kw_only=True)
class RolloutRule(Scope):
    """
    What the rollouts of some changes have to keep.

    Attributes:
        first: At most this share of users, in percent, in the first step: such a change starts with
            a `rollout_plan`. None lets it go to everybody at once.
        bake: How long each step is watched before the next one.
        checks: Checks (`change.validate`) that must have passed since a step began before the next
            one: the latest result of each counts.
        fresh_for: How old such a result may be; None: as old as the step.
        canary: By what the errors of canary and baseline are judged, which then have to be given;
            None where they need not be.
        types: Which changes it is about, as for `ApprovalRule`; where none are given, normal ones.
        risks, kinds, services, environments, labels: See *types*.

    Raises:
        InvalidValue: One of them is not as described, or nothing is asked for.
    """

    first: float | None = None
    bake: timedelta | None = attrs.field(default=None, converter=_bake)
    checks: tuple[str, ...] = attrs.field(default=(), converter=_checks)
    fresh_for: timedelta | None = attrs.field(default=None, converter=_fresh_for)
    canary: CanaryPlan | None = attrs.field(default=None, converter=_canary)

    def __attrs_post_init__(self) -> None:
        first = self.first
        if first is not None and not (is_number(first) and 0 < first < 100):
            raise InvalidValue("first", first, "a percentage above 0 and under 100")
        if first is None and self.bake is None and not self.checks and self.canary is None:
            raise InvalidValue("first", first, "something to keep: first, bake, checks or canary")
        if self.fresh_for is not None and not self.checks:
            raise InvalidValue("fresh_for", self.fresh_for, "nothing without checks")
        if self.canary is not None and len(self.canary.metrics) > 1:
            metrics = list(self.canary.metrics)
            raise InvalidValue("canary.metrics", metrics, "one: the steps of a rollout keep one")

    def __hash__(self) -> int:
        """Hash what it asks for, of which types."""
        return hash((self.first, self.bake, self.checks, self.types))

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML, without what is as it is by default."""
        plain: dict[str, Any] = {"types": list(self.types)}
        if self.first is not None:
            plain["first"] = self.first
        if self.bake is not None:
            plain["bake"] = length_in_words(self.bake)
        if self.checks:
            plain["checks"] = list(self.checks)
        if self.fresh_for is not None:
            plain["fresh_for"] = length_in_words(self.fresh_for)
        if self.canary is not None:
            plain["canary"] = self.canary.as_dict()
        return {**plain, **self.scope_as_dict()}
