"""
Write docs/formats.md from the formats, so that it can't say anything else.

    python docs/make_formats.py
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from imcm.interchange.formats import FORMATS, Format, format_named

HEAD = """# Formats of other tools

A format turns a payload (a webhook, a row of an API, a line of an audit log) into *statements*:
this source says this of that incident or change. It needs no server and no ledger, and invents
nothing.

```python
import json
from imcm import Ledger, facts, format_named, record_statements

payload = json.loads(\"\"\"{"version": "4", "status": "firing", "alerts": [{
    "status": "firing", "fingerprint": "c0ffee", "startsAt": "2026-03-06T12:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z", "annotations": {"summary": "Payments fail"},
    "labels": {"alertname": "HighErrors", "severity": "page", "service": "pay"}}]}\"\"\")
read = format_named("alertmanager").read(payload)
print(read.statements[0].id)  # c0ffee@20260306T120000Z
print(read.dropped)  # ()

ledger = Ledger.in_memory()
print(record_statements(ledger, read.statements, source="alertmanager"))  # 2 events of 1
print(record_statements(ledger, read.statements, source="alertmanager").events)  # 0
[row] = facts(ledger.replay()).incidents
print(row.severity_last, row.services)  # P1
```

On the command line, from files of JSON or JSON lines, packed by gzip or not, or from standard
input:

```sh
imcm import alertmanager deliveries.jsonl.gz --ledger ledger.db
imcm import servicenow-incidents incidents.json --ledger ledger.db --source snow --dry-run
imcm import git . --by tags --ledger ledger.db
imcm formats
```

## What becomes of statements

One rule for all formats, in one place:

- **What a source says is compared with what it said itself**, as the log has it, never with what
  another source or a person said. Said again it is known; said otherwise it is a correction;
  taken back it is voided; an end that is there no more is a reopening; what the source has no
  more at all (`gone`) is in no figure, until the source has it again.
- **Which of two statements stands is decided by the source's own number or time**, where it has
  one (*ordered by* below), never by their arrival: the same deliveries twice, shuffled, or from
  several processes at once end in the same facts. An older statement that comes late is counted
  as superseded. Where a source gives neither (*receipt*), what arrives last counts.
- **What happened stands in the order of the moments at which it happened**, in whatever order it
  was told.
- **A person's correction stays** until the source itself says something else than it said before.
- What has no correction (the risk of a change, who asked for it) stays as it was said first, and
  is listed (`Taken.left`).

Every id begins with the name of the source: `alertmanager/...`; two tools of one kind get two
names (`source=`, `--source`). Ids that a payload names are of the same source, or say of which:
`github:42`. What names nothing known is recorded and counted.

Words are never guessed: a severity, a status or a kind that is not in the tables below, or in the
options, is left out and listed with its count. Options are a TOML file (`--options`), or
`read(payload, Options(...))`:

```toml
tz = "Europe/Oslo"                  # of times without an offset, which are refused else
refires = "reopens"                 # what fires again is the same incident, else a "new" one
service_label = ["app", "service"]  # of alerts: which label names the service
environment_label = ["env"]

[values.severity]
critical = "P1"
sev9 = ""                           # absent
```

What is read is checked: a payload, or a line of JSON lines, has at most 8 MB and 64 levels, and
decides no path, code or query. An incident of which a source tells no moment at all is detected
when it arrives, where that is known, and has a label that says so.

## The formats
"""


def listed(names: str, words: Mapping[str, str]) -> list[str]:
    lines = ["", f"| {names} | to us |", "|---|---|"]
    return [
        *lines,
        *(f"| {theirs or '(none)'} | {ours or 'absent'} |" for theirs, ours in words.items()),
    ]


def section(made: Format) -> list[str]:
    order = {
        "time": "ordered by the time the source gives",
        "number": "ordered by the number the source gives",
        "receipt": "ordered by receipt",
    }[made.order]
    lines = [
        f"### {made.name}",
        "",
        f"{made.title}; {order}; by default recorded as `{made.source}/...`.",
    ]
    lines += listed("its word", made.statuses)
    if made.severities:
        lines += listed("its severity", made.severities)
    return [*lines, ""]


def page() -> str:
    sections = [line for name in sorted(FORMATS) for line in section(format_named(name))]
    return HEAD + "\n" + "\n".join(sections)


if __name__ == "__main__":
    (Path(__file__).parent / "formats.md").write_text(page(), encoding="utf-8")
