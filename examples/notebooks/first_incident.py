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
# # A first incident
#
# One incident, recorded step by step as it goes, and what comes out of that: its story, how long
# it took, and why a step is refused.
#
# To run it: `pip install 'imcm[notebooks]'`, then open this file with Jupyter (jupytext reads it
# as a notebook).

# %%
from datetime import UTC, datetime, timedelta

from imcm import (
    Ledger,
    MitigationKind,
    Severity,
    StepRefused,
    Verdict,
    change,
    incident,
    time_to_acknowledge,
    time_to_restore,
)

ledger = Ledger.in_memory()  # or Ledger("ledger.db"), which is there tomorrow
noon = datetime(2026, 3, 6, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return noon + timedelta(minutes=minutes)


# %% [markdown]
# A deployment goes out, and twenty minutes later checkout fails. Each step says who did it and
# when it happened; when it became known the ledger stamps by itself.

# %%
services = ["checkout"]
ledger.record(
    "CHG-1", change.observe, by="pipeline", at=at(0), title="Basket 5.4", services=services
)
ledger.record(
    "INC-7", incident.detect, by="prometheus", at=at(20), title="Checkout fails", services=services
)
ledger.record("INC-7", incident.acknowledge, by="ana", at=at(24))
ledger.record("INC-7", incident.triage, by="ana", at=at(27), severity=Severity.P1)
ledger.record(
    "INC-7", incident.attempt_mitigation, by="ana", at=at(32), kind=MitigationKind.RESTART
)

# %% [markdown]
# What can be done next, and what not, and why:

# %%
for answer in ledger.next_steps("INC-7", by="ana"):
    print(f"{answer.step:22}", "yes" if answer.possible else answer.why)

# %% [markdown]
# A step that is not allowed is refused with its reason, and nothing is recorded.

# %%
try:
    ledger.record("INC-7", incident.close, by="ana", at=at(40))
except StepRefused as refused:
    print(refused)

# %% [markdown]
# It was the deployment; it is rolled back, and service is restored.

# %%
ledger.record(
    "INC-7", incident.link_change, by="ana", at=at(45), change="CHG-1", verdict=Verdict.CAUSED
)
ledger.record("INC-7", incident.mitigate, by="ana", at=at(58))
ledger.record("INC-7", incident.resolve, by="ana", at=at(75))

# %% [markdown]
# The story as a picture: what happened when, and in which status the incident stood.

# %%
ledger.timeline("INC-7").plot()

# %% [markdown]
# And as numbers that can be explained.

# %%
facts = ledger.facts()
print(time_to_acknowledge(facts))
print(time_to_restore(facts).explain())
