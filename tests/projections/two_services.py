"""
One small log of two services, from which every preset's numbers can be computed by hand.

Hours are after `START`, Monday 2 March 2026, 9:00 UTC; the window is four whole weeks from that
Monday's midnight. One week, the last, has no deployment.

| deployment | service | hour | what became of it | commits: hours before it, merged |
|---|---|---|---|---|
| D0 | pay | -240 | completed, version 1; before the window | |
| D1 | pay | 0 | completed, version 2 | c1: 2 h 30 s, 1 h (p1) |
| D2 | shop | 24 | completed, version 1 | c2: 10 h, 4 h; c3: 6 h, 4 h (both p2) |
| D3 | pay | 168 | completed, version 3 | c4: 1 h, 0.5 h (p3) |
| D4 | shop | 192 | completed, rolled back at 195, version 2 | |
| D5 | pay | 336 | completed, version 2 again, an emergency | |
| D6 | pay | 340 | failed, in production | c5: 1 h (p4) |
| D7 | pay | | cancelled | |

| incident | service | detected | resolved | closed | cause stated |
|---|---|---|---|---|---|
| I1 | pay | 1 | 3 h 30 s | 4 | D1 |
| I2 | pay | 2 | 5.5 | 6 | D1 |
| I3 | shop | 24, the instant of D2 | 25 | 26 | |
| I4 | shop | 169 | 179 | 180.5 | |
| I5 | pay | -5 | -4 | -3 | D0 |
| I6 | shop | 400 | never | | |
| I7 | pay | -300, before the first deployment | -299 | | |
"""

from datetime import UTC, datetime, timedelta

from imcm.domain.change_events import (
    ChangeCancelled,
    ChangeCompleted,
    ChangeFailed,
    ChangeRolledBack,
    CommitsRecorded,
)
from imcm.domain.vocabulary import ChangeType, Commit
from projections.log import (
    at,
    caused_by,
    change,
    closed,
    detected,
    incident,
    log,
    planned,
    resolved,
    triaged,
)

WINDOW = (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC))
HALF_MINUTE = 30 / 3600


def commit(id, before, *, merged=None, request=None):
    """Return a commit of so many hours before START."""
    return Commit(
        id=id,
        committed_at=at(-before),
        pull_request=request,
        merged_at=None if merged is None else at(-merged),
    )


def commits_at(hours, *commits):
    """Return the commits of a deployment at that hour, their own times told before it."""
    offset = timedelta(hours=hours)
    moved = tuple(
        Commit(
            id=one.id,
            committed_at=one.committed_at + offset,
            pull_request=one.pull_request,
            merged_at=None if one.merged_at is None else one.merged_at + offset,
        )
        for one in commits
    )
    return CommitsRecorded(at=at(hours - 0.5), by="ci", commits=moved)


def deployed(id, hours, *commits, after=(), **fields):
    """Return a completed deployment with its commits."""
    brought = (commits_at(hours, *commits),) if commits else ()
    done = ChangeCompleted(at=at(hours), by="ci")
    return change(id, planned(hours - 1, **fields), *brought, done, *after)


PAY, SHOP = {"services": ("pay",)}, {"services": ("shop",)}

DEPLOYMENTS = (
    deployed("D0", -240, version="1", **PAY),
    deployed("D1", 0, commit("c1", 2 + HALF_MINUTE, merged=1, request="p1"), version="2", **PAY),
    deployed(
        "D2",
        24,
        commit("c2", 10, merged=4, request="p2"),
        commit("c3", 6, merged=4, request="p2"),
        version="1",
        **SHOP,
    ),
    deployed("D3", 168, commit("c4", 1, merged=0.5, request="p3"), version="3", **PAY),
    deployed(
        "D4",
        192,
        after=(ChangeRolledBack(at=at(195), by="ci", reached_production=True),),
        version="2",
        **SHOP,
    ),
    deployed("D5", 336, version="2", type=ChangeType.EMERGENCY, **PAY),
    change(
        "D6",
        planned(339, **PAY),
        commits_at(340, commit("c5", 1, merged=0.5, request="p4")),
        ChangeFailed(at=at(340), by="ci", reached_production=True),
    ),
    change("D7", planned(350, **PAY), ChangeCancelled(at=at(351), by="ann")),
)

INCIDENTS = (
    incident(
        "I1",
        detected(1, **PAY),
        caused_by("D1", 1),
        triaged(1),
        resolved(3 + HALF_MINUTE),
        closed(4),
    ),
    incident("I2", detected(2, **PAY), caused_by("D1", 2), triaged(2), resolved(5.5), closed(6)),
    incident("I3", detected(24, **SHOP), triaged(24), resolved(25), closed(26)),
    incident("I4", detected(169, **SHOP), triaged(169), resolved(179), closed(180.5)),
    incident("I5", detected(-5, **PAY), caused_by("D0", -5), triaged(-5), resolved(-4), closed(-3)),
    incident("I6", detected(400, **SHOP)),
    incident("I7", detected(-300, **PAY), resolved(-299)),
)

LOG = tuple(log(*DEPLOYMENTS, *INCIDENTS))
