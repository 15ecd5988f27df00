"""Exports of other tools by the mappings that ship: what each takes, and what it refuses."""

import json
import os
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imcm import Ledger, facts, format_named, from_frames, record_statements
from imcm.errors import ImportRefusedError, InvalidValue
from imcm.interchange.csv_contract import CLOSED, TABLES
from imcm.interchange.csv_files import import_csv
from imcm.interchange.mapping import read_mapping
from imcm.interchange.ready_mappings import mapping_file, ready_mapping, ready_mappings

NAMES = ("github", "gitlab", "jira", "opsgenie", "pagerduty", "servicenow")

# Lists as CSV: columns are called by their fields, and values are what the screen shows.
SERVICENOW = """\
"number","short_description","priority","severity","state","opened_at","resolved_at","closed_at",\
"business_service","caused_by","description","assignment_group"
"INC0010001","Checkout is down","1 - Critical","3 - Low","Closed","2024-03-04 10:00:00",\
"2024-03-04 11:30:00","2024-03-06 09:00:00","Checkout","CHG0030001",\
"Nobody can pay, ""at all"" now","Web"
"INC0010002","Search is slow","3 - Moderate","3 - Low","In Progress","2024-03-05 10:00:00","","",\
"Search","","","Search"
"INC0010003","A test","4 - Low","3 - Low","Canceled","2024-03-05 12:00:00","","","Search","","",""
"""
SERVICENOW_CHANGES = """\
"number","short_description","type","risk","state","start_date","end_date","work_start","work_end",\
"close_code","opened_at","requested_by"
"CHG0030001","Basket 2","Normal","Moderate","Closed","2024-03-04 09:00:00","2024-03-04 10:00:00",\
"2024-03-04 09:05:00","2024-03-04 09:45:00","Unsuccessful","2024-03-01 09:00:00","Mia Berg"
"CHG0030002","Basket 3","Emergency","Very High","Closed","","","2024-03-04 11:00:00",\
"2024-03-04 11:25:00","Successful with issues","2024-03-04 10:30:00","Mia Berg"
"CHG0030003","Never","Standard","Low","Canceled","","","","","","2024-03-04 10:30:00","Mia Berg"
"""
# Several values of a field are several columns of one name; the day's name is in English.
JIRA = """\
Summary,Issue key,Issue id,Issue Type,Status,Priority,Resolution,Created,Updated,Resolved,\
Components,Components,Labels,Labels,Environment,Description,Comment,Comment,\
Inward issue link (Problem/Incident)
Checkout is down,OPS-1,10001,Incident,Completed,Highest,Done,04/Mar/24 10:00 AM,05/Mar/24 9:00 AM,\
04/Mar/24 11:30 AM,checkout,basket,web,,"Chrome,
on a phone",Nobody can pay,"04/Mar/24 10:05 AM;mia;I look",again,CHG-1
Search is slow,OPS-2,10002,Incident,Work in progress,Medium,,05/Mar/24 10:00 AM,05/Mar/24 10:00 AM,\
,search,,,,,,,,
"""
JIRA_CHANGES = """\
Summary,Issue key,Issue Type,Status,Resolution,Created,Resolved,Custom field (Change type),\
Custom field (Change risk)
Basket 2,CHG-1,Change,Failed,Failed,01/Mar/24 9:00 AM,04/Mar/24 9:45 AM,Normal,Medium
Basket 3,CHG-2,Change,Completed,Done,04/Mar/24 10:30 AM,04/Mar/24 11:25 AM,Emergency,Critical
"""
PAGERDUTY = """\
id,incident_number,description,service_id,service_name,created_on,resolved_on,seconds_to_first_ack,\
seconds_to_resolve,auto_resolved,acknowledge_count,resolved_by_user_name,urgency,priority_name
PT4KHLK,1,Checkout is down,PIJ90N7,Checkout,2024-03-04T10:00:00+01:00,2024-03-04T11:30:00+01:00,60,\
5400,f,1,Mia Berg,high,P1
PT4KHLL,2,Search is slow,PIJ90N8,Search,2024-03-05T10:00:00+01:00,,,,f,0,,low,P5
"""
OPSGENIE = """\
Id,TinyId,Message,Status,Priority,CreatedAt,UpdatedAt,ImpactStartDate,ImpactDetectDate,ImpactEndDate
0b0d-1,1,Checkout is down,resolved,P1,1709542860000,1709548200000,1709542500000,1709542800000,\
1709548200000
0b0d-2,2,Search is slow,open,P5,1709629200000,1709629200000,,,
"""
GITHUB = json.dumps(
    [
        {
            "number": 7, "title": "Checkout is down", "state": "CLOSED", "stateReason": "COMPLETED",
            "createdAt": "2024-03-04T09:00:00Z", "closedAt": "2024-03-04T10:30:00Z",
            "labels": [{"name": "incident"}],
        },
        {
            "number": 8, "title": "Search is slow", "state": "OPEN", "stateReason": "",
            "createdAt": "2024-03-05T09:00:00Z", "closedAt": None, "labels": [],
        },
        {
            "number": 9, "title": "Nothing", "state": "CLOSED", "stateReason": "NOT_PLANNED",
            "createdAt": "2024-03-05T09:00:00Z", "closedAt": "2024-03-05T09:01:00Z", "labels": [],
        },
    ]
)  # fmt: skip
GITHUB_CHANGES = """\
tagName,name,publishedAt,status,rolled_back_at
v2,Basket 2,2024-03-04T08:45:00Z,rolled_back,2024-03-04T10:25:00Z
v3,Basket 3,2024-03-04T10:25:00Z,successful,
"""
GITLAB = """\
Title,Description,Issue ID,URL,State,Author,Confidential,Created At (UTC),Updated At (UTC),\
Closed At (UTC),Milestone,Labels,Time Estimate
Checkout is down,Nobody can pay,7,https://gitlab.example/7,Closed,Mia,No,2024-03-04 09:00:00,\
2024-03-04 10:30:00,2024-03-04 10:30:00,,"incident,severity::1",0
Search is slow,,8,https://gitlab.example/8,Open,Mia,No,2024-03-05 09:00:00,2024-03-05 09:00:00,,,,0
"""
CHANGES = """\
id,status,deployed_at,rolled_back_at
CHG-1,rolled_back,2024-03-04T08:45:00Z,2024-03-04T10:25:00Z
CHG-2,successful,2024-03-04T10:25:00Z,
"""
COMMITS = """\
change_id,commit_id,committed_at
{},abc,2024-03-03T10:25:00Z
"""

EXPORTS = {
    "servicenow": (SERVICENOW, SERVICENOW_CHANGES, ("CHG0030001", "CHG0030002"), "Europe/Oslo"),
    "jira": (JIRA, JIRA_CHANGES, ("CHG-1", "CHG-2"), "Europe/Oslo"),
    "pagerduty": (PAGERDUTY, CHANGES, ("CHG-1", "CHG-2"), None),
    "opsgenie": (OPSGENIE, CHANGES, ("CHG-1", "CHG-2"), None),
    "github": (GITHUB, GITHUB_CHANGES, ("v2", "v3"), None),
    "gitlab": (GITLAB, CHANGES, ("CHG-1", "CHG-2"), None),
}


def imcm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imcm", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_export_gives_the_five_metrics(tmp_path: Path, name: str) -> None:
    """A ready mapping and the command line are enough, from a file to the figures."""
    incidents, changes, ids, tz = EXPORTS[name]
    ledger = tmp_path / "ledger.db"
    (tmp_path / "incidents.csv").write_text(incidents)
    (tmp_path / "changes.csv").write_text(changes)
    (tmp_path / "commits.csv").write_text(COMMITS.format(ids[1]))
    if name == "github":
        (tmp_path / "incidents.csv").rename(tmp_path / "incidents.json")
    ran = imcm(
        "import", "csv", "--ledger", ledger, "--mapping", name,
        "--incidents", tmp_path / ("incidents.json" if name == "github" else "incidents.csv"),
        "--changes", tmp_path / "changes.csv", "--commits", tmp_path / "commits.csv",
        *(["--tz", tz] if tz else []),
    )  # fmt: skip
    assert (ran.stderr, ran.returncode) == ("", 0)
    told = json.loads(imcm("report", "--ledger", ledger, "--json", "--to", "2024-04-01T00:00Z",
                           "--from", "2024-03-01T00:00Z").stdout)  # fmt: skip
    figures = {each["name"]: each["value"] for each in told["figures"]}
    assert figures["time to restore"] == 5_400
    assert figures["change failure rate"] == 0.5
    assert figures["lead time for changes"] == 86_400
    assert figures["deployment frequency"] == pytest.approx(2 / 31)
    assert figures["failed deployment recovery time"] in {6_000, 6_300}
    assert figures["rework rate"] is not None


def test_what_servicenow_says(tmp_path: Path) -> None:
    """Display values, a field that is called as ours is, a canceled incident, long texts."""
    held = _facts(tmp_path, "servicenow", SERVICENOW, SERVICENOW_CHANGES)
    first, second, third = held.incidents
    assert (first.id, first.severity_last, first.severity_last_name) == (
        "INC0010001", "P1", "1 - Critical",
    )  # fmt: skip
    assert dict(first.labels) == {"severity": "3 - Low", "assignment_group": "Web"}
    assert first.services == ("Checkout",)
    assert [second.status, third.status] == ["triaged", "dismissed"]
    assert [second.dismissed, third.dismissed] == [None, "false_positive"]
    failed, passed, never = held.changes
    assert [failed.type, passed.type, never.type] == ["normal", "emergency", "standard"]
    assert [failed.risk, passed.risk, never.risk] == ["moderate", "high", "low"]
    assert never.deployed_at is None


def test_servicenow_as_a_workbook_calls_columns_by_their_labels(tmp_path: Path) -> None:
    """The same mapping takes both ways of calling them."""
    text = """\
Number;Short description;Priority;State;Opened;Resolved;Configuration item;Caused by Change
INC1;Checkout is down;2 - High;Resolved;2024-03-04 10:00:00;2024-03-04 11:30:00;web-1;CHG1
"""
    (row,) = _facts(tmp_path, "servicenow", "\ufeff" + text).incidents
    assert (row.id, row.severity_last, row.services) == ("INC1", "P2", ("web-1",))
    assert dict(row.verdicts) == {"CHG1": "caused"}


def test_what_jira_says(tmp_path: Path) -> None:
    """Repeated columns are joined, comments left out, free text is no environment."""
    held = _facts(tmp_path, "jira", JIRA, JIRA_CHANGES)
    first, second = held.incidents
    assert (first.services, first.environment) == (("checkout", "basket"), None)
    assert first.labels["Environment"] == "Chrome,\non a phone"
    assert not {"Comment", "Description"} & first.labels.keys()
    assert first.labels["labels"] == "web"
    assert [first.status, second.status] == ["resolved", "triaged"]
    assert [row.risk for row in held.changes] == ["moderate", "high"]


def test_jira_keeps_no_people_and_nothing_that_is_of_the_export(tmp_path: Path) -> None:
    """When the exporter last looked is another time in each export: no correction comes of it."""
    head = "Summary,Issue key,Status,Created,Last Viewed,Assignee,Reporter,Labels\n"
    row = "Slow,OPS-1,Done,04/Mar/24 5:05 PM,{},{},Mia,web\n"
    ledger = Ledger.in_memory()
    for seen, who in (("05/Mar/24 9:00 AM", "Ada"), ("06/Mar/24 9:00 AM", "Ben")):
        path = tmp_path / "jira.csv"
        path.write_text(head + row.format(seen, who))
        report = import_csv(ledger, incidents=path, mapping="jira", tz="UTC")
    assert report.events == 0
    assert dict(ledger.facts().incidents[0].labels) == {"labels": "web"}


def test_jira_has_clocks_of_24_hours(tmp_path: Path) -> None:
    """A site's other clock is known as well; a status of the project's own is named."""
    text = "Summary,Issue key,Status,Created\nSlow,OPS-1,With the vendor,04/Mar/24 17:05\n"
    with pytest.raises(ImportRefusedError, match='"With the vendor" = "\\?"  # 1 row'):
        _facts(tmp_path, "jira", text)
    (row,) = _facts(tmp_path, "jira", text.replace("With the vendor", "Open")).incidents
    assert row.detected_at is not None
    assert f"{row.detected_at:%H:%M}" == "17:05"


def test_what_pagerduty_states(tmp_path: Path) -> None:
    """The seconds to resolve are stated; a fifth priority is the lowest of ours, by its name."""
    first, second = _facts(tmp_path, "pagerduty", PAGERDUTY, tz=None).incidents
    assert [each / 1_000_000 for each in first.stated.values()] == [5_400]
    assert (second.severity_last, second.severity_last_name) == ("P4", "P5")
    assert first.detected_at is not None
    assert first.acknowledged_at == first.detected_at + timedelta(seconds=60)
    assert "seconds_to_first_ack" not in first.labels
    assert "resolved_by_user_name" not in first.labels


def test_github_pull_requests_and_releases(tmp_path: Path) -> None:
    """Either are changes; what was not planned is dismissed."""
    held = _facts(
        tmp_path, "github", GITHUB,
        '[{"number": 4, "title": "Basket", "createdAt": "2024-03-04T08:00:00Z",'
        ' "mergedAt": "2024-03-04T09:00:00Z"}]',
        tz=None, suffix="json",
    )  # fmt: skip
    assert [row.status for row in held.incidents] == ["resolved", "detected", "dismissed"]
    (change,) = held.changes
    assert (change.id, change.outcome) == ("4", "unknown")
    assert change.deployed_at is not None


@pytest.mark.parametrize("name", ["servicenow", "jira"])
def test_times_without_offset_are_refused(tmp_path: Path, name: str) -> None:
    """No ready mapping guesses whose clock it was."""
    with pytest.raises(ImportRefusedError, match="it has no UTC offset"):
        _facts(tmp_path, name, EXPORTS[name][0], tz=None)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_mapping_that_says_what_to_do(name: str) -> None:
    """It can be read, and says from where the export comes and what is set by hand."""
    text = ready_mapping(name)
    assert tomllib.loads(text)["optional"] is True
    assert read_mapping(name, tables=TABLES, closed=CLOSED).optional
    assert all(f"# {what}" in text for what in ("Where from:", "By hand:", "What means what:"))
    assert max(map(len, text.splitlines())) <= 100
    assert ready_mappings()[name].startswith(text[2:10])


def test_names() -> None:
    """A bare name is a ready mapping; an unknown one lists them, and the nearest."""
    assert tuple(ready_mappings()) == NAMES
    with pytest.raises(InvalidValue, match=r"github, gitlab, jira, .* \(near: servicenow\)"):
        mapping_file("servicnow")
    with pytest.raises(InvalidValue, match="one of github"):
        ready_mapping("../secrets")
    assert mapping_file("folder/jira") == Path("folder/jira")
    assert mapping_file("jira.toml") == Path("jira.toml")


def test_a_file_comes_before_a_ready_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has a file of that name means it."""
    monkeypatch.chdir(tmp_path)
    assert mapping_file("jira") != Path("jira")
    (tmp_path / "jira").write_text("")
    assert mapping_file("jira") == Path("jira")


def test_formats_list_them() -> None:
    """`imcm formats` is the one list; `--suggest` prints one by its name."""
    told = imcm("formats").stdout
    assert all(f"csv --mapping {name}" in told for name in NAMES)
    assert imcm("import", "csv", "--suggest", "jira").stdout == ready_mapping("jira")


def test_columns_may_be_missing_where_the_mapping_says_so() -> None:
    """A column that is not there is nothing; one that is made of none is not there."""
    made = {
        "resolved_at": {"first": ["Solved", "Fixed"]},
        "label:both": {"join": ["A", "B"], "with": " "},
        "stated_time_to_restore": {"between": ["Opened", "Fixed"]},
        "environment": {"always": "test"},
    }
    columns = {"Nr": "id", "Opened": "detected_at", "Prio": "severity"}
    told = {"incidents": {"columns": columns, "made": made}}
    rows = [{"Nr": "1", "Opened": "2024-03-04T09:00Z", "B": "b", "Solved": "2024-03-04T10:00Z"}]
    with pytest.raises(ImportRefusedError, match="names a column 'Prio'"):
        from_frames(incidents=rows, mapping=told)
    (row,) = from_frames(incidents=rows, mapping={**told, "optional": True}).incidents
    assert (row.labels["both"], row.environment, row.severity_last) == ("b", "test", None)
    assert row.resolved_at is not None
    assert not row.stated
    with pytest.raises(ImportRefusedError, match="there is no column 'id'"):
        from_frames(incidents=[{"Opened": "x"}], mapping={**told, "optional": True})


def test_values_of_one_table() -> None:
    """A word may mean one thing for incidents and another one for changes."""
    told = {
        "values": {"status": {"Done": "resolved", "Now": "open"}},
        "changes": {"values": {"status": {"Done": "successful"}}},
    }
    held = from_frames(
        incidents=[
            {"id": "1", "detected_at": "2024-03-04T09:00Z", "status": "Done"},
            {"id": "2", "detected_at": "2024-03-04T09:00Z", "status": "now"},
        ],
        changes=[{"id": "1", "deployed_at": "2024-03-04T09:00Z", "status": "Done"}],
        mapping=told,
    )
    assert held.changes[0].outcome == "completed"
    with pytest.raises(InvalidValue, match=r"changes\.values\.status\.'Done'"):
        from_frames(changes=[], mapping={"changes": {"values": {"status": {"Done": "fine"}}}})
    with pytest.raises(InvalidValue, match=r"commits\.values"):
        from_frames(commits=[], mapping={"commits": {"values": {"status": {}}}})


def test_values_that_need_a_mapping(tmp_path: Path) -> None:
    """Each is named once with its rows, as lines that can be pasted: in the message and report."""
    file = tmp_path / "a.csv"
    file.write_text(
        "id,severity,symptom,detected_at\n"
        '1,high,Smoke,2024-03-04T09:00Z\n2,High ,"a""b",2024-03-04T09:00Z\n'
        "3,high,,2024-03-04T09:00Z\n4,P1,cpu,2024-03-04T09:00Z\n"
    )
    with pytest.raises(ImportRefusedError) as refused:
        import_csv(Ledger.in_memory(), incidents=file)
    lines = str(refused.value).split("\n")
    pasted = [line.strip() for line in lines if line.strip().startswith(("[", '"'))]
    assert [line for line in pasted if "#" not in line] == []
    told = tomllib.loads("\n".join(pasted))
    assert told == {"values": {"severity": {"high": "?"}, "symptom": {"Smoke": "?", 'a"b': "?"}}}
    assert '"high" = "?"  # 3 rows' in pasted
    with pytest.raises(InvalidValue, match="for absent, or one of P1"):
        import_csv(Ledger.in_memory(), incidents=file, mapping=told)
    report = import_csv(Ledger.in_memory(), incidents=file, keep_going=True)
    assert [(each.column, each.value, each.rows) for each in report.outside] == [
        ("severity", "high", 3),
        ("symptom", "Smoke", 1), ("symptom", 'a"b', 1),
    ]  # fmt: skip
    values = {"severity": {"high": "P2"}, "symptom": {"Smoke": "other", 'a"b': ""}}
    assert import_csv(
        Ledger.in_memory(), incidents=file, mapping={"values": values}
    ).rows_imported == 4  # fmt: skip
    ran = imcm("import", "csv", "--ledger", tmp_path / "l.db", "--incidents", file, "--keep-going")
    assert '"high" = "?"  # 3 rows' in ran.stderr


def _facts(
    folder: Path,
    name: str,
    incidents: str,
    changes: str | None = None,
    *,
    tz: str | None = "Europe/Oslo",
    suffix: str = "csv",
):
    files = {}
    for table, text in (("incidents", incidents), ("changes", changes)):
        if text is not None:
            files[table] = folder / f"{table}.{suffix}"
            files[table].write_text(text, "utf-8")
    ledger = Ledger.in_memory()
    import_csv(ledger, **files, mapping=name, tz=tz)
    return facts(ledger.replay())


JIRA_BOTH_CSV = """\
Issue key,Created,Resolved,Status,Resolution,Priority,Labels,Labels
INC-1,17/Dec/25 3:00 AM,17/Dec/25 9:00 AM,Canceled,Won't Do,High,,
INC-2,17/Dec/25 3:00 AM,17/Dec/25 4:00 AM,Done,Done,High,db,eu
INC-3,17/Dec/25 3:00 AM,17/Dec/25 5:00 AM,Done,Duplicate,High,,
INC-4,17/Dec/25 3:00 AM,17/Dec/25 6:00 AM,Canceled,,High,,
"""


def test_jira_as_a_table_and_as_json_are_the_same_incidents(tmp_path: Path) -> None:
    """Ids, what is dismissed, labels: whichever way they came; together they are not doubled."""
    issues: list[dict[str, object]] = []
    for line in JIRA_BOTH_CSV.splitlines()[1:]:
        key, _, resolved, status, resolution, *labels = line.split(",")
        issues.append(
            {
                "id": f"2000{key[-1]}",
                "key": key,
                "fields": {
                    "created": "2025-12-17T03:00:00.000+0000",
                    "updated": f"2025-12-17T0{resolved.split()[1][0]}:00:00.000+0000",
                    "resolutiondate": f"2025-12-17T0{resolved.split()[1][0]}:00:00.000+0000",
                    "status": {"name": status},
                    "resolution": {"name": resolution} if resolution else None,
                    "priority": {"name": "High"},
                    "labels": [label for label in labels[1:] if label],
                },
            }
        )
    statements = [said for each in issues for said in format_named("jira").read(each).statements]
    (tmp_path / "j.csv").write_text(JIRA_BOTH_CSV)
    with Ledger.in_memory() as by_table, Ledger.in_memory() as by_json:
        options: dict[str, Any] = {"mapping": "jira", "tz": "UTC", "source": "jira"}
        import_csv(by_table, incidents=tmp_path / "j.csv", **options)
        record_statements(by_json, statements, source="jira")
        told = [
            {
                row.id: (row.status, row.dismissed, row.resolved_at, row.labels.get("labels"))
                for row in facts(ledger.replay()).incidents
            }
            for ledger in (by_table, by_json)
        ]
        assert told[0] == told[1]
        assert [row[1] for row in told[0].values()] == [
            "false_positive", None, "duplicate", "false_positive",
        ]  # fmt: skip
        assert told[0]["jira/INC-2"][3] == "db;eu"
        record_statements(by_table, statements, source="jira")
        assert len(facts(by_table.replay()).incidents) == 4
