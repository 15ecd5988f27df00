"""
A change as far as its risk is concerned: one that is recorded already, or one to come.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import attrs

from imcm.domain.change import Change
from imcm.domain.vocabulary import (
    ChangeType,
    Kind,
    Moment,
    Risk,
    checked_labels,
    checked_member,
    checked_number,
    checked_services,
    midpoint,
    optional_known_id,
    optional_time,
)
from imcm.errors import InvalidValue
from imcm.projections.facts.rows import ChangeFacts

__all__ = ["ProposedChange", "proposed"]

_WHOLE: Final = 100


def _id(value: object) -> str | None:
    return optional_known_id("id", value)


def _at(value: object) -> datetime | None:
    return optional_time("at", value)


def _kind(value: object) -> Kind | None:
    return None if value is None else checked_member("kind", value, Kind)


def _type(value: object) -> ChangeType:
    return checked_member("type", value, ChangeType)


def _risk(value: object) -> Risk | None:
    return None if value is None else checked_member("risk", value, Risk)


def _commits(value: object) -> int | None:
    if value is not None and checked_number("commits", value) < 0:
        raise InvalidValue("commits", value, "how many there are, 0 or more; None where not known")
    return None if value is None else checked_number("commits", value)


@attrs.frozen(kw_only=True)
class ProposedChange:
    """
    What is asked of a change in order to judge its risk. What is None nobody knows.

    Attributes:
        id: Its id, where it is recorded already.
        services, kind, type, risk, labels: As it is planned.
        at: When it is to go in.
        commits: How many it brings.
        has_rollback_plan, has_monitoring_plan, has_test_plan: Whether there is one.
        gradual: Whether it reaches some users first, and not all at once.
        positions: Log positions of the events that say so.

    Raises:
        InvalidValue: One of them is not as described.
        NaiveTimeError: *at* has no time zone.
    """

    id: str | None = attrs.field(default=None, converter=_id)
    services: tuple[str, ...] = attrs.field(default=(), converter=checked_services)
    kind: Kind | None = attrs.field(default=None, converter=_kind)
    type: ChangeType = attrs.field(default=ChangeType.NORMAL, converter=_type)
    risk: Risk | None = attrs.field(default=None, converter=_risk)
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=checked_labels)
    at: datetime | None = attrs.field(default=None, converter=_at)
    commits: int | None = attrs.field(default=None, converter=_commits)
    has_rollback_plan: bool | None = None
    has_monitoring_plan: bool | None = None
    has_test_plan: bool | None = None
    gradual: bool | None = None
    positions: tuple[int, ...] = ()

    def __attrs_post_init__(self) -> None:
        for name in ("has_rollback_plan", "has_monitoring_plan", "has_test_plan", "gradual"):
            value: object = getattr(self, name)
            if value is not None and not isinstance(value, bool):
                raise InvalidValue(name, value, "True, False, or None where nobody knows")
        given: object = self.positions
        if not isinstance(given, tuple):
            raise InvalidValue("positions", given, "a tuple of log positions")
        for position in self.positions:
            checked_number("positions", position)

    def __hash__(self) -> int:
        """Hash what names it, and when it goes in."""
        return hash((self.id, self.services, self.kind, self.at))


def proposed(change: object) -> ProposedChange:
    """
    Return what is asked of a change, from a row of facts, a state of the domain, or itself.

    Of imported history a plan that is not there is not known: hardly any source says. The same of
    commits, where there are none. When it goes in is when it was deployed, else started, else the
    start of its window.

    Raises:
        InvalidValue: It is none of these.
    """
    if isinstance(change, ProposedChange):
        return change
    if isinstance(change, ChangeFacts):
        return _of_row(change)
    if isinstance(change, Change):
        return _of_state(change)
    allowed = "the id of a change in the log, its row, its state, or ProposedChange(services=...)"
    raise InvalidValue("change", change, allowed)


def _of_row(row: ChangeFacts) -> ProposedChange:
    moment = row.deployed_at or row.started_at
    gradual = None
    if row.rollout:
        gradual = any(0 < step.percent < _WHOLE for step in row.rollout)
    elif row.deployed_at is not None and not row.imported:
        gradual = False

    def plan(there: bool) -> bool | None:
        return there or (None if row.imported else False)

    return ProposedChange(
        id=row.id,
        services=row.services,
        kind=row.kind,
        type=row.type,
        risk=row.risk,
        labels=row.labels,
        at=_midpoint(moment) or (None if row.window is None else row.window.start),
        commits=len(row.commits) or None,
        has_rollback_plan=plan(row.has_rollback_plan),
        has_monitoring_plan=plan(row.has_monitoring_plan),
        has_test_plan=plan(row.has_test_plan),
        gradual=gradual,
        positions=row.positions,
    )


def _midpoint(moment: Moment | None) -> datetime | None:
    return None if moment is None else midpoint(moment)


def _of_state(state: Change) -> ProposedChange:
    window = state.scheduled or state.window

    def plan(there: bool) -> bool | None:
        return there or (False if state.lived else None)

    return ProposedChange(
        services=state.services,
        kind=state.kind,
        type=state.type,
        risk=state.risk,
        labels=state.labels,
        at=None if window is None else window.start,
        commits=len(state.commits) or None,
        has_rollback_plan=plan(state.has_rollback_plan),
        has_monitoring_plan=plan(state.has_monitoring_plan),
        has_test_plan=plan(state.has_test_plan),
        gradual=None if state.percent is None else True,
    )
