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

## A git repository

`imcm import git FOLDER --ledger ledger.db` reads the log of a clone with its whole history; in
Python it is `imcm.interchange.git.git_changes`, whose statements `record_statements` takes. What a
change is, a deployment each, is said by `--by`:

| `--by` | a change is | deployed at | it brings in |
|---|---|---|---|
| `tags` (by default) | each tag that `--tags` matches | the tagger's date; of a lightweight tag, which has none, the committer date of its commit, and the label `tag` says `lightweight` | the commits that no earlier tag has in its history |
| `merges` | each merge on the first-parent line of the branch | its committer date | the commits of the merge, and those straight to the branch since the one before |
| `commits` | each commit on the first-parent line of the branch | its committer date | itself; of a merge, what it merged besides |

- **`--tags` is a glob**, no regular expression: `"v*"`, `"shop-[0-9]*"`; on the command line it is
  `*`, all tags, in Python `v*`. Release candidates are tags like others: `v2.0-rc1` counts as a
  deployment, and the commits that it was the first to hold are its own, unless the glob leaves it
  out: `"v[0-9].[0-9]"`.
- **Lead time** is from a commit's committer date to the date of the change that brought it in. By tags and
  merges it is how long a commit waited for its tag or merge. By commits it is 0 by construction for
  what was committed straight to the branch, since the commit is the deployment; the command says so.
  It says nothing of how fast a team is.
- **A revert is a failure.** It is found by its message: `This reverts commit <id>`, as `git revert`
  writes it, a trailer `Reverts: <id>`, or the number of a request (`Reverts owner/name#123`, or at
  the end of the title that it quotes). The change that brought in what is taken back is
  `rolled_back` where all of it is taken back, else `failed`, until the change that brought in the
  revert, which repairs it. A revert before anything was deployed, and a revert of a revert, are no
  failure. A change that nobody reverted has no status: git does not know how it went.
- `--since` tells only what came after a tag or commit; `--branch` names the branch. What can't be
  followed is left out and listed. Names of people are not read. A shallow clone is refused.

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
