# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Why tools disagree
#
# Two tools, one log, two change failure rates. Both computed rightly what they define; DORA fixes
# names, not formulas. Here the numbers of several tools come from the same log, with the reasons
# for which they differ.

# %%
from datetime import UTC, datetime, timedelta

from imcm import from_frames, side_by_side

start = datetime(2026, 1, 5, 9, tzinfo=UTC)


def text(days: float) -> str:
    return str(start + timedelta(days=days))


changes = [
    {"id": f"CHG-{n}", "service": "checkout", "status": "successful", "deployed_at": text(3 * n)}
    for n in range(30)
]
changes[11] |= {
    "status": "rolled_back",
    "rolled_back_at": text(33.1),
}  # no incident was opened for this one
incidents = [
    # Two incidents of one change, both stated to be caused by it.
    {"id": "INC-1", "detected_at": text(9.1), "resolved_at": text(9.3), "caused_by": "CHG-3"},
    {"id": "INC-2", "detected_at": text(9.2), "resolved_at": text(9.9), "caused_by": "CHG-3"},
    # Nobody said what caused these; some tools take the deployment before them.
    *(
        {"id": f"INC-{n}", "detected_at": text(7.3 * n), "resolved_at": text(7.3 * n + 0.2 * n)}
        for n in range(3, 11)
    ),
    # Caused by a change, and still open.
    {"id": "INC-11", "detected_at": text(84.2), "caused_by": "CHG-28"},
]
every = [{"service": "checkout", "resolved_at": "", "caused_by": ""} | row for row in incidents]
changes = [{"rolled_back_at": ""} | row for row in changes]
facts = from_frames(changes=changes, incidents=every)

# %% [markdown]
# ## Change failure rate

# %%
result = side_by_side(facts)
result.plot()

# %% [markdown]
# Why do two of them differ? Each pair knows: which arguments are not the same, what only one
# counts, and for which reason the other does not.

# %%
for other in ("devlake", "gitlab", "datadog"):
    print(result.between("dora", other).explain(), end="\n\n")

# %% [markdown]
# ## Time to restore
#
# The same with the number that everybody calls MTTR: from which moment, to which, mean or median,
# and of which incidents.

# %%
restore = side_by_side(facts, metric="restore")
restore.plot()

# %%
print(restore.between("dora", "middleware").explain())

# %% [markdown]
# Which to quote? The one whose definition answers the question that was asked, with its
# definition. To leave a tool and keep its number for a while, take its preset:

# %%
from imcm import dora_report

print(dora_report(facts, preset="devlake").change_failure_rate.explain())
