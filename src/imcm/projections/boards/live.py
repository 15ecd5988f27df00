"""
Which version of a service is live at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

import attrs

from imcm.domain.change_events import ChangeStatus
from imcm.domain.vocabulary import Moment
from imcm.projections.boards.views import LiveVersion
from imcm.projections.figures.units import utc


@attrs.frozen
class Deployed:
    """One deployment of one service."""

    change: str
    environment: str | None
    version: str | None
    deployed_at: Moment
    rolled_back_at: Moment | None
    status: ChangeStatus
    percent: float | None


def live_version(service: str, deployed: Sequence[Deployed], at: datetime) -> LiveVersion | None:
    """Return what of a service is live at a time; None where nothing is."""
    come = sorted((row for row in deployed if utc(row.deployed_at) <= at), key=_began)

    def gone(row: Deployed, by: datetime) -> bool:
        return row.rolled_back_at is not None and utc(row.rolled_back_at) <= by

    there = [row for row in come if not gone(row, at)]
    if not there:
        return None
    mine = there[-1]
    later = [row for row in come[come.index(mine) + 1 :] if row.rolled_back_at is not None]
    since, undone = mine.deployed_at, None
    if later:
        undone = max(later, key=lambda row: utc(cast("Moment", row.rolled_back_at)))
        since = cast("Moment", undone.rolled_back_at)
    earlier = [row for row in come[: come.index(mine)] if not gone(row, utc(mine.deployed_at))]
    replaced = undone or (earlier[-1] if earlier else None)
    return LiveVersion(
        service=service,
        environment=mine.environment,
        version=mine.version,
        change=mine.change,
        since=since,
        by_rollback_of=None if undone is None else undone.change,
        replaced=None if replaced is None else replaced.change,
        replaced_version=None if replaced is None else replaced.version,
        status=mine.status,
        percent=mine.percent,
    )


def _began(row: Deployed) -> datetime:
    return utc(row.deployed_at)
