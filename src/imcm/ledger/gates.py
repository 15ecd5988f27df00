"""
Whether a change may start, as a pipeline asks.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from imcm.domain.change import Refusal
from imcm.domain.vocabulary import Moment
from imcm.plain import plain

if TYPE_CHECKING:
    from imcm.domain.policy.context import Context


@attrs.frozen(kw_only=True)
class Gate:
    """
    Whether a change may start at one moment.

    Attributes:
        change: Its id.
        at: The moment that was asked about.
        refusals: Every guard that says no, in the order in which `change.start` asks them, and why.
        policy, version: The policy in force.
        context: What of other streams was asked about.
        first_share: The share of users, in percent, that its rollout begins with at most: `start`
            takes a `rollout_plan` then; None where it may go to everybody at once.
        opens_at: From when on it may start, where time alone is in its way; see `change.opens_at`.
    """

    change: str
    at: Moment
    refusals: tuple[Refusal, ...]
    policy: str
    version: str
    context: Context | None = None
    first_share: float | None = None
    opens_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether it may start."""
        return not self.refusals

    def __str__(self) -> str:
        """Return the answer in one line."""
        from imcm.wording import moment_text

        under = f"under {plain(self.policy)} {plain(self.version)}"
        head = f"{plain(self.change)} at {moment_text(self.at)}, {under}"
        if self.open:
            share = self.first_share
            plan = "" if share is None else f", with a rollout plan from {share:g} % at most"
            return f"open: {head}{plan}"
        reasons = "; ".join(f"{guard}: {plain(why)}" for guard, why in self.refusals)
        opens = "" if self.opens_at is None else f"; opens {moment_text(self.opens_at)}"
        return f"closed: {head}: {reasons}{opens}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON. Any: text, lists and mappings of text."""
        from imcm.projections.figures.jsonable import jsonable

        return {
            "change": self.change,
            "open": self.open,
            "at": jsonable(self.at),
            "policy": {"name": self.policy, "version": self.version},
            "refusals": [{"guard": guard, "why": why} for guard, why in self.refusals],
            "position": None if self.context is None else self.context.position,
            "first_share": self.first_share,
            "opens_at": jsonable(self.opens_at),
            "conflicts": None if self.context is None else list(self.context.conflicts),
        }
