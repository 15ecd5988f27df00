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
# # The DORA metrics from a spreadsheet
#
# An export as it comes: column names of its own, times without a zone, tickets that are still
# open. Ten lines bring it to the five metrics and to a picture.
#
# The first cell only makes such an export, so that this notebook runs by itself; take your own
# file in its place.

# %%
import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from imcm import dora_report, from_frames

folder, draw = Path(mkdtemp()), random.Random(5)
with (
    (folder / "changes.csv").open("w", newline="") as changes,
    (folder / "incidents.csv").open("w", newline="") as incidents,
    (folder / "commits.csv").open("w", newline="") as commits,
):
    deployments, tickets, pushed = csv.writer(changes), csv.writer(incidents), csv.writer(commits)
    deployments.writerow(["Release", "Service", "Went live"])
    tickets.writerow(["Ticket", "Service", "Title", "Opened", "Solved", "Caused_by"])
    pushed.writerow(["Release", "Commit", "Pushed"])
    for number in range(1, 241):
        app = draw.choice(["checkout", "search", "login"])
        day = datetime(2026, 1, 5, 8) + timedelta(days=number * 0.75 // 1)  # noqa: DTZ001
        live = day + timedelta(minutes=draw.randrange(600))
        deployments.writerow([f"R{number}", app, f"{live:%d/%m/%Y %H:%M}"])
        before = live - timedelta(hours=draw.lognormvariate(2.5, 1))
        pushed.writerow([f"R{number}", f"{number:07x}", f"{before:%d/%m/%Y %H:%M}"])
        if draw.random() < {"checkout": 0.25, "search": 0.1, "login": 0.06}[app]:
            opened = live + timedelta(minutes=draw.randrange(3, 90))
            solved = opened + timedelta(minutes=draw.lognormvariate(4.5, 1.1))
            when = "" if draw.random() < 0.05 else f"{solved:%d/%m/%Y %H:%M}"
            tickets.writerow(
                [
                    f"T{number}",
                    app,
                    f"{app} is broken",
                    f"{opened:%d/%m/%Y %H:%M}",
                    when,
                    f"R{number}",
                ]
            )

print((folder / "incidents.csv").read_text()[:300])

# %% [markdown]
# The ten lines. What a column is called is said in place (`Service`, `Title` and `Caused_by` are
# known), the zone and the form of the times are said, not guessed. A row that can't be right would
# be refused by its number, and nothing taken. What is open grows until the day that `as_of` names.

# %%
columns = {
    "changes": {"Release": "id", "Went live": "deployed_at"},
    "commits": {"Release": "change_id", "Commit": "commit_id", "Pushed": "committed_at"},
    "incidents": {"Ticket": "id", "Opened": "detected_at", "Solved": "resolved_at"},
}
mapping = {table: {"columns": names} for table, names in columns.items()}
files: dict[str, Any] = {table: folder / f"{table}.csv" for table in columns}
how: dict[str, Any] = {"tz": "Europe/London", "time_format": "%d/%m/%Y %H:%M"}
facts = from_frames(**files, mapping=mapping, **how, as_of=datetime(2026, 7, 1, tzinfo=UTC))
asked: dict[str, Any] = {"group_by": "service", "bucket_by": "month"}
report = dora_report(facts, window="2026-01/2026-07", time_zone="Europe/London", **asked)
report.plot("all")

# %% [markdown]
# Each number has its interval, its band, and says of how many it is.

# %%
for metric, figure in report.figures.items():
    print(f"{metric:22}", figure, *report.bands[metric])

# %% [markdown]
# Whether checkout is worse than the others, or was only unlucky, its interval says:

# %%
report.plot("groups")

# %% [markdown]
# How long its failures last is not one number but a curve:

# %%
report.plot("survival")

# %%
report.plot("over_time", metric="deployment_frequency")
