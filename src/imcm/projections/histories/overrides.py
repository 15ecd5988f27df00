"""
Freezes that were overridden: by whom, with which reason, and what went in then.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import attrs

from imcm.domain.change_events import ChangeStarted, FreezeOverridden
from imcm.domain.corrections import EventVoided
from imcm.domain.recorded import CHANGE, Recorded, kind_and_id, known
from imcm.domain.vocabulary import Actor, Moment, checked_id, earliest, folded, latest
from imcm.plain import plain, quoted
from imcm.projections.figures.jsonable import jsonable

__all__ = ["FreezeOverride", "freeze_overrides"]


@attrs.frozen(kw_only=True)
class FreezeOverride:
    """
    One override of a freeze for one change.

    Attributes:
        change: The change that may start in it.
        freeze: The name of the freeze.
        since, until: The stretch of it.
        by: Who let it start; *actor* is what the policy said that the id stands for.
        at: When.
        why: The reason; "" where it was taken out.
        policy: The policy, name and version; "" where none is named.
        started_at: When the change started in that stretch; None where it has not.
        position: Where the override stands in the log.
    """

    change: str
    freeze: str
    since: Moment
    until: Moment
    by: str
    at: Moment | None
    actor: Actor | None = None
    why: str = ""
    policy: str = ""
    started_at: Moment | None = None
    position: int = 0

    def __str__(self) -> str:
        """Return it in one line."""
        started = "not started in it" if self.started_at is None else "started in it"
        why = f": {self.why}" if self.why else ""
        return plain(
            f"{self.change}: {quoted(self.freeze)} overridden by {self.by}, {started}{why}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        values: dict[str, Any] = jsonable(self)
        return values


def freeze_overrides(
    log: Iterable[Recorded],
    *,
    by: str | None = None,
    known_at: int | datetime | None = None,
) -> tuple[FreezeOverride, ...]:
    """
    Return the overrides of freezes that stand, in log order.

    Args:
        log: The whole log, as `ledger.replay()` gives it.
        by: Only those of one person, under any spelling.
        known_at: A position or a time: what became known later is left out.

    Raises:
        InvalidValue: An argument can't be right.
    """
    person = None if by is None else folded(checked_id("by", by))
    overrides: dict[tuple[str, int], FreezeOverride] = {}
    starts: dict[str, dict[int, Moment | None]] = {}
    for recorded in known(log, known_at):
        kind, id_ = kind_and_id(recorded.stream)
        event = recorded.event
        if kind != CHANGE or getattr(event, "imported", False):
            continue
        if isinstance(event, FreezeOverridden):
            policy = event.policy
            overrides[id_, recorded.version] = FreezeOverride(
                change=id_,
                freeze=event.freeze,
                since=event.since,
                until=event.until,
                by=event.by,
                actor=event.actor,
                at=event.at,
                why=event.why,
                policy="" if policy is None else f"{policy.name} {policy.version}",
                position=recorded.position,
            )
        elif isinstance(event, ChangeStarted):
            starts.setdefault(id_, {})[recorded.version] = event.at
        elif isinstance(event, EventVoided):
            overrides.pop((id_, event.version), None)
            starts.get(id_, {}).pop(event.version, None)
    return tuple(
        _with_start(each, starts.get(each.change, {}).values())
        for each in overrides.values()
        if person is None or folded(each.by) == person
    )


def _with_start(override: FreezeOverride, starts: Iterable[Moment | None]) -> FreezeOverride:
    for at in starts:
        since, until = earliest(override.since), latest(override.until)
        if at is not None and since <= latest(at) and earliest(at) < until:
            return attrs.evolve(override, started_at=at)
    return override
