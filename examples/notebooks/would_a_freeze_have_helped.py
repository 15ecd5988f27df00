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
# # Would a freeze have helped?
#
# After a bad Friday somebody asks for a freeze of every weekend. What it would have stopped in
# the past is a question to the log: which deployments, how many of those failed, and how many
# that went well would have had to wait as well.
#
# The first cell makes a year of deployments up; take your own ledger, or an export, in its place.

# %%
import random
from datetime import UTC, datetime, timedelta

from imcm import Freeze, Policy, Weekly, change_failure_rate, from_frames, plots, what_if

draw = random.Random(8)
changes, incidents = list[dict[str, str]](), list[dict[str, str]]()
for number in range(600):
    day = datetime(2025, 1, 6, 8, tzinfo=UTC) + timedelta(days=draw.randrange(360))
    if day.weekday() >= 5 and draw.random() < 0.8:
        continue  # few work at the weekend
    live, service = (
        day + timedelta(minutes=draw.randrange(660)),
        draw.choice(["checkout", "search"]),
    )
    changes.append(
        {
            "id": f"CHG-{number}",
            "service": service,
            "started_at": str(live),
            "deployed_at": str(live),
        }
    )
    late = live.weekday() >= 5 or (live.weekday() == 4 and live.hour >= 14)
    if draw.random() < (0.22 if late else 0.1):
        found = live + timedelta(minutes=draw.randrange(5, 90))
        # Who is not at work takes longer.
        over = found + timedelta(minutes=draw.lognormvariate(5.3 if late else 4.5, 1))
        incidents.append(
            {
                "id": f"INC-{number}",
                "service": service,
                "detected_at": str(found),
                "resolved_at": str(over),
                "caused_by": f"CHG-{number}",
            }
        )
facts = from_frames(changes=changes, incidents=incidents)
print(change_failure_rate(facts))

# %% [markdown]
# The freeze that is asked for, as data: the same that a ledger would adopt and hold everybody to.

# %%
weekend = Weekly(start="Fri 14:00", end="Mon 06:00", time_zone="Europe/London")
policy = Policy(name="no weekends", freezes=[Freeze(name="weekend", times=weekend)])
plots.calendar(facts, freezes=policy, time_zone="Europe/London")

# %% [markdown]
# What it would have stopped. The share that failed is told of both, of the stopped and of the
# others: only where these differ by more than luck does the freeze pick out what fails.

# %%
answer = what_if(facts, policy)
print(answer.explain())

# %%
stopped, others = answer.share_of_stopped, answer.share_of_passed
print(f"stopped: {stopped.value or 0:.1%} failed; let in: {others.value or 0:.1%}")
low, high = answer.difference.low, answer.difference.high
if low is not None and high is not None:
    seen = "more than luck" if low > 0 else "it may be luck"
    print(f"the difference lies between {low:+.1%} and {high:+.1%}: {seen}")

# %% [markdown]
# A freeze stops nothing for good. What waited goes in on Monday, with everything else that
# waited, and may fail then: the log can't say that it would have gone well. What it does say is
# how many had to wait, and how long.

# %%
print(f"{len(answer.hit)} of {len(answer.stopped)} that would have waited went well")
print(f"median wait: {(answer.median_delay or 0) / 3600:.0f} h")
