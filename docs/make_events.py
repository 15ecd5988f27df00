"""
Write docs/events.md from the classes of the stored events, so that it can't say anything else.

    python docs/make_events.py
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import attrs

from imcm.codec.rows import EVENT_TYPES
from imcm.domain import change_events, incident_events
from imcm.domain.corrections import CORRECTIONS, DurationStated, EventVoided, WordsRedacted

HEAD = """# The events

Every type of event that a ledger stores, with its fields. Fields in *italics* are words: free
text and names, which a redaction takes out (docs/audit.md); all others are facts. All events have
`by`, nearly all `at`, when it happened in the world, and `imported` where they are history from
elsewhere; when it was recorded, by which call and from which source stands beside the event
(docs/stored-format.md). Which step records an event, and what its arguments mean, is in
[reference.md](reference.md). Written by `docs/make_events.py`.
"""

SHARED = (*CORRECTIONS, EventVoided, WordsRedacted, DurationStated)
LEFT_OUT = ("at", "by", "imported")


def first_line(cls: type) -> str:
    return inspect.getdoc(cls).splitlines()[0]  # type: ignore[union-attr]  # a test looks


def fields(cls: Any) -> str:
    words = getattr(cls, "WORDS", ())
    told = [a.name for a in attrs.fields(cls) if a.name not in LEFT_OUT]
    return ", ".join(f"*{name}*" if name in words else f"`{name}`" for name in told)


def corrected(cls: type, correctable: Mapping[type, Mapping[str, type]]) -> str:
    return ", ".join(f"`{name}`" for name in correctable.get(cls, {}))


def table(
    name: str, classes: Iterable[Any], correctable: Mapping[type, Mapping[str, type]] | None
) -> str:
    columns = "| event | says | fields |" if correctable is None else (
        "| event | says | fields | can be corrected |"
    )  # fmt: skip
    lines = [f"## {name}", "", columns, "|" + "---|" * (columns.count("|") - 1)]
    for cls in classes:
        row = f"| `{cls.__name__}` | {first_line(cls)} | {fields(cls)} |"
        lines.append(row if correctable is None else f"{row} {corrected(cls, correctable)} |")
    return "\n".join(lines)


def page() -> str:
    own = {
        "incident": get_args(incident_events.IncidentEvent),
        "change": get_args(change_events.ChangeEvent),
    }
    incidents = [cls for cls in own["incident"] if cls not in SHARED]
    changes = [cls for cls in own["change"] if cls not in SHARED]
    known = {*incidents, *changes, *SHARED}
    ledgers = [cls for cls in EVENT_TYPES.values() if cls not in known]
    parts = (
        table("Of incidents", incidents, incident_events.CORRECTABLE),
        table("Of changes", changes, change_events.CORRECTABLE),
        table("Of both: corrections, voids, redactions", SHARED, None),
        table("Of the ledger itself", ledgers, None),
    )
    return f"{HEAD}\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("events.md").write_text(page(), encoding="utf-8")
