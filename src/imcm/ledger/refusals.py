"""
Refusals that are kept: who asked for what, and which guard said no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from imcm.codec.decoding import decode, envelope_of
from imcm.codec.rows import StoredEvent
from imcm.domain import change
from imcm.domain.change_events import StepRefusedRecorded
from imcm.domain.policy import DEFAULT_POLICY, Policy
from imcm.domain.recorded import CHANGE, kind_and_id
from imcm.domain.vocabulary import Moment, checked_id, checked_moment, folded, latest
from imcm.errors import InvalidValue, StepRefused
from imcm.ledger.calls import Call, name_of
from imcm.ledger.rules import Rules

KEPT_ONCE: Final = timedelta(hours=1)
"""For so long the same refusal of the same person is kept only once."""


def refusal_of(
    refused: StepRefused,
    calls: Sequence[Call],
    rows: Sequence[StoredEvent],
    rules: Rules,
    now: datetime,
) -> StepRefusedRecorded | None:
    """
    Return what is kept of a refusal; None where nothing is.

    Nothing is kept of what no guard of ours said, of an incident or of what is not there yet, of
    steps that do not say who asked, and where the same was kept within the hour. The counts by
    which a canary has to be aborted are kept each time.

    Args:
        rows: Those of its stream.
    """
    if kind_and_id(refused.stream)[0] != CHANGE or not rows or not _is_known(refused):
        return None
    arguments = _arguments_of(refused, calls)
    try:
        by = checked_id("by", arguments.get("by"))
        at: Moment = checked_moment("at", arguments.get("at"))
    except InvalidValue:
        return None
    ends = refused.guard == "canary" and refused.why.startswith(change.CANARY_ABORTS)
    if not ends and _is_kept(refused, by, rows, now):
        return None
    given = arguments.get("policy", rules.policy)
    policy = given if isinstance(given, Policy) else DEFAULT_POLICY
    return StepRefusedRecorded(
        at=at if latest(at) <= now else now,
        by=by,
        step=refused.step,
        guard=refused.guard,
        policy=policy.said("refused"),
        why=refused.why,
        canary=arguments.get("canary") if ends else None,
        baseline=arguments.get("baseline") if ends else None,
    )


def _is_known(refused: StepRefused) -> bool:
    """Say whether a guard of ours said no: what a step of somebody's own says is not kept."""
    rule = change.STEPS.get(refused.step)
    if rule is None:
        return False
    guards = {guard.name for guard in rule.guards}
    return refused.guard in {*guards, "status", *_OF_THE_LEDGER}


_OF_THE_LEDGER: Final = ("not in the future", "what follows")


def _arguments_of(refused: StepRefused, calls: Sequence[Call]) -> Mapping[str, Any]:
    """Return the arguments of the call that was refused: that of the step, or one of its own."""
    mine = [call for call in calls if call.stream == refused.stream]
    named = [call for call in mine if name_of(call.step) == refused.step]
    nothing: Mapping[str, Any] = {}
    return next((call.arguments for call in (*named, *mine)), nothing)


def _is_kept(refused: StepRefused, by: str, rows: Sequence[StoredEvent], now: datetime) -> bool:
    for row in reversed(rows):
        event = decode(row).event
        if isinstance(event, StepRefusedRecorded) and folded(event.by) == folded(by):
            same = (event.step, event.guard) == (refused.step, refused.guard)
            if same and now - envelope_of(row).recorded_at < KEPT_ONCE:
                return True
    return False
