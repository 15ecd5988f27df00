"""
Write docs/lifecycles.md from the two tables of steps, so that it can't say anything else.

    python docs/make_lifecycles.py
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imcm.domain import change, incident
from imcm.domain.lifecycle import rows

HEAD = """# The two lifecycles

Every step, the statuses it is possible from, the status after it, and the guards that can refuse
it besides. Their arguments are in [reference.md](reference.md#steps). Written by
`docs/make_lifecycles.py` from the tables that the steps themselves use.
"""


def table(name: str, steps: Mapping[str, Any], everything: int) -> str:
    lines = [f"## {name}", "", "| step | from | to | guards |", "|---|---|---|---|"]
    for step, begins, ends, guards in rows(steps):
        told = ", ".join(begins)
        if len(begins) == everything - 1 and "nothing" not in begins:
            told = "any"
        elif begins == ("nothing",):
            told = "(nothing)"
        lines.append(f"| {step} | {told} | {ends} | {guards} |")
    return "\n".join(lines)


def page() -> str:
    incidents = table("Incidents", incident.STEPS, len(incident.IncidentStatus))
    changes = table("Changes", change.STEPS, len(change.ChangeStatus))
    asking = ", ".join(sorted(change.ASKING))
    tail = (
        f"*Asking* steps can be refused by a policy or a hold: {asking}. All others tell what "
        "happened and are never refused by those; what was not allowed is marked `unauthorised` "
        "with the guard that said no."
    )
    moments = (
        "A live step may be backdated freely: `at` lies not before the first moment of its stream "
        "(a minute less is taken as given, since clocks differ), and not more than five minutes "
        "after the ledger records it, which refuses it then (`not in the future`)."
    )
    return f"{HEAD}\n{incidents}\n\n{changes}\n\n{tail}\n\n{moments}\n"


if __name__ == "__main__":
    Path(__file__).with_name("lifecycles.md").write_text(page(), encoding="utf-8")
