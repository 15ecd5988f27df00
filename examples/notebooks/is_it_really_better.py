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
# # Is it really better?
#
# "MTTR went down by a quarter." Durations of incidents are skewed: a few long ones make the mean,
# so it moves a lot while nothing changes, and may stand still while something does.
#
# Where `IMCM_REAL_DATA` names a folder with the audit log of a ServiceNow instance (UCI data set
# 498, 24,918 incidents), it is used; otherwise incidents are drawn at random.

# %%
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imcm import Facts, compare, from_frames, mean_time_to_restore, time_to_restore

real = (
    Path(os.environ.get("IMCM_REAL_DATA", "")) / "uci_servicenow_incidents/incident_event_log.zip"
)


def drawn_facts() -> Facts:
    draw, rows = random.Random(11), list[dict[str, object]]()
    for number in range(2_400):
        opened = datetime(2016, 3, 1, tzinfo=UTC) + timedelta(hours=number)
        solved = opened + timedelta(hours=draw.lognormvariate(2.8, 1.6))
        rows.append({"id": number, "detected_at": opened, "resolved_at": solved})
    return from_frames(incidents=[{name: str(cell) for name, cell in row.items()} for row in rows])


mapping = Path.cwd().parent / "servicenow_log.toml"
facts = from_frames(incidents=real, mapping=mapping) if real.is_file() else drawn_facts()
source = "a real log" if real.is_file() else "a made-up log"
print(f"{len(facts.incidents):,} incidents, from {source}")

# %% [markdown]
# How long they take. The curve is the share that is not over yet; on this axis, each mark is
# several times as long as the one before.

# %%
spring = ("2016-03-01/2016-06-01", "2016-03", "2016-04", "2016-05")
whole = time_to_restore(facts, window=spring[0])
whole.plot("survival")

# %%
mean = mean_time_to_restore(facts, window=spring[0])
longer = sum(value > (mean.value or 0) for value in mean.values())
print(mean)
print(whole)
print(f"{100 * longer / mean.n:.0f} % take longer than the mean says")

# %% [markdown]
# Two months, and the question everybody asks. The verdict counts what four tests say, and says so
# where they disagree.

# %%
comparison = compare(
    time_to_restore(facts, window=spring[1]), time_to_restore(facts, window=spring[2])
)
print(comparison.explain())
comparison.plot()

# %% [markdown]
# ## Nothing changed, and the mean "improved"
#
# Incidents of one month are dealt at random into two hands, again and again. Nothing differs
# between them but luck. How often does the mean of one look a tenth better than that of the
# other?

# %%
values, draw = list(time_to_restore(facts, window=spring[1]).values()), random.Random(2)


def better_by_luck(size: int, runs: int = 2_000) -> float:
    seen = 0
    for _ in range(runs):
        hand = draw.choices(values, k=2 * size)
        seen += sum(hand[:size]) < 0.9 * sum(hand[size:])
    return seen / runs


for size in (20, 50, 200):
    print(f"{size:4} incidents a period: {100 * better_by_luck(size):.0f} % of the time")

# %% [markdown]
# And how many incidents it would take to see a tenth:

# %%
needed = comparison.needed_per_period
print(f"{needed:,} in each period" if needed else "not known: there are durations of 0")
