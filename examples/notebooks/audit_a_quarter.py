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
# # Auditing a quarter
#
# The report of the first quarter went out in April. In July somebody asks: where do these numbers
# come from, and are they still true? The log answers both: it prints the report again to the
# digit, and says which records moved which figure since.

# %%
from collections import Counter
from datetime import UTC, datetime, timedelta

from imcm import (
    Ledger,
    Verdict,
    anomalies,
    change,
    change_failure_rate,
    dora_report,
    facts,
    incident,
    learned,
    restated,
    time_to_restore,
)

now = datetime(2026, 1, 5, 9, tzinfo=UTC)
ledger = Ledger.in_memory(clock=lambda: now)
QUARTER = "2026-Q1"

# %% [markdown]
# ## January to March
#
# The quarter, as it was recorded while it happened.

# %%
for number in range(24):
    now = datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(days=3.5 * number)
    id, service = f"CHG-{number}", ["checkout" if number % 3 else "search"]
    ledger.record(
        id, change.observe, by="pipeline", at=now, title=f"Release {number}", services=service
    )
    if number % 5 == 2:
        found, hours = now + timedelta(minutes=25), 1 + number % 7
        now = found + timedelta(hours=hours)
        ticket = f"INC-{number}"
        ledger.record(
            ticket, incident.detect, by="ana", at=found, title="It fails", services=service
        )
        verdict = Verdict.CAUSED
        ledger.record(ticket, incident.link_change, by="ana", at=found, change=id, verdict=verdict)
        ledger.record(ticket, incident.resolve, by="ana", at=now)

# %% [markdown]
# ## April: the report
#
# A figure knows how far the log was read for it (`log_position`), so keeping the number is enough
# to print it again.

# %%
now = datetime(2026, 4, 2, 9, tzinfo=UTC)
MEAN = {"restore.statistic": "mean"}  # the team reports the mean, as it always did
published = dora_report(ledger.facts(), window=QUARTER, overrides=MEAN)
print(published)

# %% [markdown]
# ## April to July: what was learned
#
# The graphs show that one incident began earlier. One that nobody had looked at is told late. A
# cause turns out to be none.

# %%
now = datetime(2026, 5, 11, 9, tzinfo=UTC)
was = ledger.timeline("INC-7", linked=False)[0].at
assert isinstance(was, datetime)
ledger.record(
    "INC-7", incident.correct, by="ben", at=now, version=1, field="at",
    was=was, now=was - timedelta(hours=3), why="the graphs show it",
)  # fmt: skip
late = datetime(2026, 2, 20, 22, tzinfo=UTC)
with ledger.transaction() as tx:
    tx.record(
        "INC-99", incident.detect, by="omar", at=late, title="Nobody looked", services=["search"]
    )
    tx.record("INC-99", incident.resolve, by="omar", at=late + timedelta(hours=30))
now = datetime(2026, 6, 3, 9, tzinfo=UTC)
ledger.record(
    "INC-12", incident.dismiss_link, by="ana", at=now, change="CHG-12", why="it was the DNS"
)

# %% [markdown]
# ## July: the audit
#
# First, the report as it went out. It is the same, to the digit.

# %%
now = datetime(2026, 7, 1, 9, tzinfo=UTC)
restore = published.restore
then = facts(ledger.replay(), as_of=restore.as_of, known_at=restore.log_position)
again = dora_report(then, window=QUARTER, overrides=MEAN)
assert {n: f.value for n, f in again.figures.items()} == {
    n: f.value for n, f in published.figures.items()
}
print(again)

# %% [markdown]
# Then, what moved each figure since, record by record.

# %%
of_restore = restated(
    ledger.replay(),
    lambda known: time_to_restore(known, window=QUARTER, statistic="mean"),
    known_at_a=restore,
)
print(of_restore.explain())
of_restore.plot()

# %%
of_failures = restated(
    ledger.replay(),
    lambda known: change_failure_rate(known, window=QUARTER),
    known_at_a=published.change_failure_rate,
)
of_failures.plot()

# %% [markdown]
# And all that became known after the report went out, in the order in which it did; what is odd
# about the log, an auditor asks as well.

# %%
print(learned(ledger.replay(), known_at_a=restore.log_position).explain())

# %%
odd = Counter(anomaly.oddity.value for anomaly in anomalies(ledger.replay()))
for oddity, count in odd.most_common():
    print(f"{count:3} {oddity}")

# %% [markdown]
# That nobody altered the log between April and July is another question, which checkpoints
# answer: see docs/audit.md.
