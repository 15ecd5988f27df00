"""
Write docs/formats.md from the formats, so that it can't say anything else.

    python docs/make_formats.py
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap

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

Each format says below which words it asks for; options that say others are refused, since they
would change nothing.

The line that an import prints counts payloads, statements (what they say of one incident or change;
a payload may say several), the events that were recorded, and of how many incidents and changes they
are: *new* ones, ones that were there and are *changed* by something new, and *unchanged* ones; with
those that are *refused* these are all. Corrections, and what is taken back, are among the events.

What is read is checked: a payload, or a line of JSON lines, has at most 8 MB and 64 levels, and
decides no path, code or query. An incident of which a source tells no moment at all is detected
when it arrives, where that is known, and has a label that says so.

## Pages of an API

A file may be one JSON text, one a line, or several one behind the other, on however many lines; and
a text may be a payload, a page of them as the API gives it (`{"incidents": [...]}`), a list of
payloads, or a list of pages. So what these write is read as it is:

```sh
gh api --paginate "repos/octo/status/issues?state=all" > pages.json          # one or more texts
gh api --paginate --slurp "repos/octo/status/issues?state=all" > pages.json  # [[...], [...]]
for offset in 0 100 200; do                                       # {"incidents": [...]}{...}
  curl -s -H "Authorization: Token token=$PD" \\
    "https://api.pagerduty.com/incidents?limit=100&offset=$offset&date_range=all"
done > pages.json
```

One text is at most 200 MB, a file of lines 1 GB. If one of several texts is no JSON, nothing of the
file is read; of lines, and of payloads that are JSON and can't be read, `--keep-going` takes the
others.

## A git repository

`imcm import git FOLDER --ledger ledger.db` reads the log of a clone with its whole history; in
Python it is `imcm.interchange.git_import.import_git(ledger, folder)`, and without a ledger
`imcm.interchange.git.git_changes`, whose statements `record_statements` takes. What a change is, a
deployment each, is said by `--by`:

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
  the end of the title that it quotes). A revert of a merge takes back what it merged. The change
  that brought in what went out of production is `rolled_back` where all that it brought in went
  out, else `failed`, until the change that brought in the revert, which repairs it. Merges do not
  count for that; and by merges the commits straight to the branch do not, which only came with it:
  the merge is the change.
- **What counts is what is in production once a change is in.** A revert before anything was
  deployed is no failure, and neither is a revert together with its own revert: production never
  lacked it. A revert of a revert takes nothing back; what failed in between stays a failure.
- **A change of which nothing was taken back is `successful`**: that is git's own verdict, as far as
  it goes. So the commits of what failed roll forward to the release that came after it. A revert
  that comes later is told by the next import, which makes a correction of it.
- **What no tag or merge holds yet is not in production**, and in no figure; the command says how
  many commits of the branch that are, how many reverts are among them, and which changes will have
  failed with the next one (`GitReport.pending`). By merges a revert straight to the branch
  therefore fails nothing until the next merge. Where each push to the branch is deployed, that is
  `--by commits`, and there it fails at once.
- **A tag that was deleted** stays a deployment in a ledger that has it, and the command says so.
  With `--complete` the repository is all that the source has: what is gone is withdrawn, as with
  [tables](import.md#importing-again), and counts again when it comes back; more than a tenth only
  with `--confirm-withdrawals`. What is gone is asked of all changes by the `--by`, `--tags` and
  `--branch` of this import, whatever `--since` says. So give each repository a `--source` of its
  own, and each pattern of tags in one repository, too.
- **Tags, and the deployments that GitHub or GitLab tell of the same repository, are the same
  deployments told twice.** In one ledger they count twice, and a rate halves: import one of them.
  Where the tool's deployments are what happened, leave git out: no `--by` adds its commits to the
  deployments of another source. What lead time needs then comes with the deployments, where
  `github-deployments` is given rows joined with their `commits`, or from a
  [table of commits](import.md#commits) with `[refs]` `change_id = "github"`: one row for each commit
  that `git log` has between the commit of the deployment before and its own.
- `--since` tells only what came after a tag or commit; `--branch` names the branch. What can't be
  followed is left out and listed. Names of people are not read. A shallow clone is refused.

## The formats
"""


NOTES: Mapping[str, str] = {
    "cdevents": """What [`imcm export cdevents`](export.md#cdevents) wrote is told by its `customData`: incidents and
changes come back with their own ids (`cdevents//<id of the ledger>/CHG-7`), with how they ended,
what caused and fixed them and their commits, and the figures are the same. Of two files the later
one counts, whichever is read last. docs/export.md lists what is not carried.""",
    "github": """A webhook may be sent as `application/json` or as a form (`application/x-www-form-urlencoded`, which
GitHub proposes): the [receiver](receiver.md) reads both.

**Lead time.** A deployment names one commit, without its times, so its lead time is missing
(`missing(committed)`) until somebody tells them. They come from:

- rows of `github-deployments` with `commit` or `commits`, as below;
- a table of commits, whose changes are named as GitHub's deployments by the mapping:

  ```toml
  [commits.columns]
  deployment = "change_id"          # 2301846, as in github/2301846
  sha = "commit_id"

  [refs]
  change_id = "github"
  ```

A webhook of a merged `pull_request` can't tell them: it has the `merge_commit_sha` and when that was
merged, but not which deployment brought it in (many a deployment brings in several), and no times of
its commits.""",
    "github-deployments": """The API lists deployments without their statuses, which tell what happened. Put them into each row
under the key `statuses`, and, for lead time, the commit under `commit`:

```sh
repo=octo/shop
gh api --paginate "repos/$repo/deployments?environment=production" --jq '.[]' |
  while read -r row; do
    id=$(jq -r .id <<< "$row")
    sha=$(jq -r .sha <<< "$row")
    statuses=$(gh api --paginate "repos/$repo/deployments/$id/statuses" | jq -cs add)
    commit=$(gh api "repos/$repo/commits/$sha")
    jq -c --argjson s "$statuses" --argjson c "$commit" '.statuses = $s | .commit = $c' <<< "$row"
  done > deployments.jsonl
imcm import github-deployments deployments.jsonl --ledger ledger.db
```

Where a deployment brings in more than its own commit, put the list under `commits` instead (`.commits`
of `repos/$repo/compare/<sha before>...$sha`), and the requests they came with under `pull_requests`
(`repos/$repo/commits/<sha>/pulls`, all in one list): each request gives its times to the commit that
is its `merge_commit_sha`. Ids are those of the webhooks, so either can come first.""",
    "jira": """**An issue is its key**: `jira/OPS-7`. People write keys, links have them, and so has every CSV export,
so `imcm import csv --mapping jira --source jira` and this format are of the same incidents, and either
can come first. A key changes when an issue moves to another project. The changelog says which it had,
so an issue that stands in the ledger under a former key goes on there; so does one that stands under
its number (`jira/10042`), as versions before this one recorded it. Links to such issues do likewise. A
CSV export has no changelog: of an issue that moved since it was imported, or that stands under its
number, it makes another incident, so go on with JSON there.

What was no incident says the resolution (`values.dismissed`; "Duplicate", "Cannot Reproduce" and such by
themselves); else the status: one that means `cancelled` is dismissed as a false positive, whatever its
resolution is called. So it is in both. Labels are one label `labels`, in both joined by `;`.""",
    "pagerduty": """**Acknowledgements.** `GET /incidents` has them only of what is acknowledged now: `acknowledgements` is
empty once an incident is resolved, so from that list alone the time to acknowledge is missing.
Webhooks have them, and so has the log, of which that is read and nothing else:

```sh
for offset in 0 100 200; do
  curl -s -H "Authorization: Token token=$PD" \\
    "https://api.pagerduty.com/log_entries?limit=100&offset=$offset&since=2026-01-01&until=2026-02-01"
done > log.json
imcm import pagerduty pages.json log.json --ledger ledger.db
```

Rows of incidents that bring along their log (`include[]=log_entries`, back to the trigger) tell the
first one, too. Entries of other types are listed as left out.""",
}
"""What is to be known of a format besides, by its name."""


def listed(names: str, words: Mapping[str, str]) -> list[str]:
    lines = ["", f"| {names} | to us |", "|---|---|"]
    return [
        *lines,
        *(f"| {theirs or '(none)'} | {ours or 'absent'} |" for theirs, ours in words.items()),
    ]


def named(table: str, names: tuple[str, ...]) -> str:
    """Return the names under a table of the options, on lines that are not too long."""
    told = f"`{table}` with " + ", ".join(f"`{name}`" for name in names)
    return "\n".join(wrap(told, 80, break_long_words=False))


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
    if made.name in NOTES:
        lines += ["", NOTES[made.name]]
    if made.words:
        lines += ["", f"Words that the options may say: {named('values', made.words)}."]
    if made.fields:
        lines += ["", f"Where fields of one's own are: {named('values.field', made.fields)}."]
    lines += listed("its word", made.statuses)
    if made.severities:
        lines += listed("its severity", made.severities)
    return [*lines, ""]


def page() -> str:
    sections = [line for name in sorted(FORMATS) for line in section(format_named(name))]
    return HEAD + "\n" + "\n".join(sections)


if __name__ == "__main__":
    (Path(__file__).parent / "formats.md").write_text(page(), encoding="utf-8")
