"""Plain CSV: what a file says is recorded as it is, and nothing where a file is wrong."""

import os
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import attrs
import pytest
import xlsxwriter

from imcm import Ledger, change, change_failure_rate, facts, from_frames, incident, lead_time
from imcm.audit import is_of_payload
from imcm.codec.rows import StoredEvent
from imcm.domain.change_events import (
    ChangeApproved,
    ChangeClosed,
    ChangeDeployed,
    ChangeObserved,
    ChangePlanned,
    ChangeRecovered,
    ChangeRolledBack,
    ChangeStarted,
    ChangeStatus,
    CommitsRecorded,
)
from imcm.domain.corrections import (
    CommitsCorrected,
    DurationStated,
    MomentCorrected,
    ServicesCorrected,
    SeverityCorrected,
)
from imcm.domain.incident_events import (
    IncidentAbsorbed,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentDetected,
    IncidentDismissed,
    IncidentMerged,
    IncidentMitigated,
    IncidentResolved,
    IncidentStatus,
    IncidentTriaged,
    VerdictGiven,
)
from imcm.domain.vocabulary import (
    Between,
    ChangeType,
    Commit,
    DismissalReason,
    Impact,
    Kind,
    Mode,
    Result,
    Risk,
    Severity,
    StatedDuration,
    Symptom,
    Verdict,
)
from imcm.errors import ImportRefusedError, InvalidValue, RowsLeftOutWarning
from imcm.interchange.csv_contract import CsvOptions, csv_options
from imcm.interchange.csv_files import import_csv
from imcm.interchange.csv_statements import read_changes, read_commits, read_incidents
from imcm.interchange.mapping import TimeRules, zone_named
from imcm.ledger import bringing_in


@pytest.fixture
def ledger():
    return Ledger.in_memory()


@pytest.fixture
def put(tmp_path):
    """Write a file and return its path."""

    def put(text, name="incidents.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return put


def at(hour, minute=0, day=1):
    return datetime(2024, 5, day, hour, minute, tzinfo=UTC)


def events(ledger, stream):
    return [recorded.event for recorded in ledger.history(stream)]


def content(ledger):
    """Return what a ledger holds, whenever, in how many calls and by what salts it was recorded."""
    streams = {}
    for recorded in ledger.replay():
        if recorded.kind in {"incident", "change"}:
            source = attrs.evolve(recorded.source, keyed=None)
            streams.setdefault(recorded.stream, []).append((recorded.event, source))
    return streams


def refused(ledger, **files):
    """Import what must be refused, see that nothing was recorded, and return the message."""
    before = list(ledger.rows())
    with pytest.raises(ImportRefusedError) as caught:
        import_csv(ledger, **files)
    assert before == list(ledger.rows())
    return str(caught.value)


class TestLabelsUnitsAndReferences:
    def test_a_file_without_a_column_takes_no_label_away(self, ledger, put):
        head = "id,detected_at"
        both = put(f"{head},team,tier\n1,2024-05-01T09:00Z,core,1\n", "both.csv")
        other = put(f"{head},tier\n1,2024-05-01T09:00Z,2\n", "other.csv")
        for path in (both, other):
            import_csv(ledger, incidents=path)
        assert ledger.facts().incidents[0].labels == {"team": "core", "tier": "2"}

    def test_a_correction_by_hand_outlives_the_change_of_another_label(self, ledger, put):
        head = "id,detected_at,team,tier"
        import_csv(ledger, incidents=put(f"{head}\n1,2024-05-01T09:00Z,core,1\n", "a.csv"))
        ledger.record(
            "1",
            incident.correct,
            by="zoe",
            at=at(12),
            version=1,
            field="labels",
            was={"team": "core", "tier": "1"},
            now={"team": "platform", "tier": "1"},
            why="moved",
        )
        import_csv(ledger, incidents=put(f"{head}\n1,2024-05-01T09:00Z,core,2\n", "b.csv"))
        assert ledger.facts().incidents[0].labels == {"team": "platform", "tier": "2"}
        again = import_csv(ledger, incidents=put(f"{head}\n1,2024-05-01T09:00Z,core,2\n", "b.csv"))
        assert again.events == 0

    def test_a_number_is_in_the_unit_that_the_mapping_gives(self, ledger, put):
        mapping = put('[units]\nstated_time_to_restore = "minutes"\n', "m.toml")
        path = put("id,detected_at,stated_time_to_restore\n1,2024-05-01T09:00Z,180\n", "a.csv")
        import_csv(ledger, incidents=path, mapping=mapping)
        [row] = ledger.facts().incidents
        assert set(row.stated.values()) == {180 * 60 * 1_000_000}

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ('[units]\nstated_time_to_restore = "fortnights"\n', "one of weeks, days"),
            ('[units]\ntitle = "minutes"\n', "one of stated_time_to_repair"),
            ('[refs]\ntitle = "github"\n', "one of caused_by"),
            ('[refs]\ncaused_by = "a/b"\n', "without slash"),
            ("[refs]\ncaused_by = 5\n", "in quotes"),
        ],
    )
    def test_a_mapping_that_says_what_can_not_be_is_refused(self, ledger, put, text, why):
        path = put("id,detected_at\n1,2024-05-01T09:00Z\n", "a.csv")
        with pytest.raises(InvalidValue, match=why):
            import_csv(ledger, incidents=path, mapping=put(text, "m.toml"))

    def test_references_are_ids_of_the_source_or_of_the_tool_they_name(self, ledger, put):
        rows = (
            "id,detected_at,caused_by,fixed_by\n1,2024-05-01T09:00Z,7;github:42,x:1/2;https://a\n"
        )
        import_csv(ledger, incidents=put(rows, "a.csv"), source="snow")
        named = set(ledger.facts().incidents[0].verdicts)
        assert named == {"snow/7", "github/42", "x/1/2", "snow/https://a"}

    def test_without_a_source_they_are_as_they_are(self, ledger, put):
        rows = "id,detected_at,caused_by\n1,2024-05-01T09:00Z,github:42\n"
        import_csv(ledger, incidents=put(rows, "a.csv"))
        assert set(ledger.facts().incidents[0].verdicts) == {"github:42"}

    def test_a_mapping_says_of_which_tool_a_column_is(self, ledger, put):
        mapping = put('[refs]\ncaused_by = "github"\n', "m.toml")
        deployed = put("id,deployed_at\n42,2024-05-01T08:00Z\n", "c.csv")
        import_csv(ledger, changes=deployed, source="github")
        rows = "id,detected_at,caused_by\n1,2024-05-01T09:00Z,42\n2,2024-05-01T09:00Z,43;44\n"
        report = import_csv(ledger, incidents=put(rows, "a.csv"), source="snow", mapping=mapping)
        assert (report.named, report.unknown_named) == (3, ("github/43", "github/44"))
        assert change_failure_rate(ledger.facts()).value == 1.0


class TestIncidents:
    def test_every_column(self, ledger, put):
        """Each column becomes the fact it stands for."""
        path = put(
            "resolved_at,id,service,environment,title,symptom,severity,mode,impact_started_at,"
            "detected_at,declared_at,acknowledged_at,mitigated_at,closed_at,customers,caused_by,"
            "fixed_by,dismissed,stated_time_to_restore,stated_time_to_repair,Team\n"
            "2024-05-01T12:00Z,INC-1,api; web;api,prod,Checkout is down,Latency,p2,DRILL,"
            "2024-05-01T09:00Z,2024-05-01T09:10Z,2024-05-01T09:20Z,2024-05-01T09:15Z,"
            "2024-05-01T10:00Z/2024-05-01T11:00Z,2024-05-02T12:00Z,1200,CHG-1;CHG-2,CHG-3,"
            "false_positive,PT3H,1:30:00,Payments\n"
        )
        told = {"by": "import", "imported": True}
        verdicts = (("CHG-1", "caused"), ("CHG-2", "caused"), ("CHG-3", "fixed"))
        expected = [
            IncidentDetected(
                **told,
                at=at(9, 10),
                title="Checkout is down",
                services=("api", "web"),
                symptom=Symptom.LATENCY,
                mode=Mode.DRILL,
                environment="prod",
                labels={"Team": "Payments"},
                impact_started_at=at(9),
                declared_at=at(9, 20),
            ),
            IncidentTriaged(**told, at=None, severity=Severity.P2, impact=Impact(customers=1200)),
            *(VerdictGiven(**told, at=None, change=c, verdict=Verdict(v)) for c, v in verdicts),
            DurationStated(
                **told, at=None, what=StatedDuration.TIME_TO_RESTORE, microseconds=10_800_000_000
            ),
            DurationStated(
                **told, at=None, what=StatedDuration.TIME_TO_REPAIR, microseconds=5_400_000_000
            ),
            IncidentAcknowledged(**told, at=at(9, 15)),
            IncidentMitigated(**told, at=Between(earliest=at(10), latest=at(11))),
            IncidentResolved(**told, at=at(12)),
            IncidentClosed(**told, at=at(12, day=2)),
            IncidentDismissed(**told, at=None, reason=DismissalReason.FALSE_POSITIVE),
        ]
        report = import_csv(ledger, incidents=path)
        assert expected == events(ledger, "incident:INC-1")
        assert (
            report.histories,
            report.events,
            report.rows_read,
            report.rows_imported,
            report.rows_refused,
        ) == (1, 12, 1, 1, 0)
        [read] = read_incidents(path, CsvOptions())
        assert read.payload.endswith(b"\n" + path.read_bytes().splitlines()[1])
        rows = ledger.rows_of("incident:INC-1")
        assert {True} == {is_of_payload(row, read.payload) for row in rows}

    def test_the_least(self, ledger, put):
        """An id and one moment are enough; what is not said stays absent."""
        import_csv(ledger, incidents=put("id,impact_started_at\n1,2024-05-01T09:00Z\n"))
        row = facts(ledger.replay()).incidents[0]
        assert (None, at(9), IncidentStatus.DETECTED) == (
            row.detected_at,
            row.impact_started_at,
            row.status,
        )

    def test_merged(self, ledger, put):
        """A merge is written on both sides, wherever in the file the target stands."""
        path = put(
            "id,detected_at,merged_into\n1,2024-05-01T09:00Z,2\n2,2024-05-01T09:00Z,\n"
            "3,2024-05-01T09:00Z,2\n"
        )
        import_csv(ledger, incidents=path)
        told = {"by": "import", "imported": True, "at": None}
        assert events(ledger, "incident:1")[1:] == [IncidentMerged(**told, into="2")]
        expected = [IncidentAbsorbed(**told, merged="1"), IncidentAbsorbed(**told, merged="3")]
        assert expected == events(ledger, "incident:2")[1:]
        assert facts(ledger.replay()).incidents[1].merged == ("1", "3")

    def test_merged_into_one_in_the_ledger(self, ledger, put):
        """The target may be an incident the ledger holds."""
        ledger.record("T", incident.detect, by="ana", at=at(8), title="down")
        path = put("id,detected_at,merged_into\n1,2024-05-01T09:00Z,T\n")
        assert import_csv(ledger, incidents=path).histories == 2
        assert ledger.incident("T").absorbed == {"1"}
        assert import_csv(ledger, incidents=path).events == 0

    def test_what_the_ledger_says_otherwise_of_a_merge(self, ledger, put):
        """A merge that changed can't be recorded over the old one."""
        head = "id,detected_at,merged_into\nA,2024-05-01T09:00Z,\nB,2024-05-01T09:00Z,\n"
        import_csv(ledger, incidents=put(head + "1,2024-05-01T09:00Z,A\n"))
        changed = put(head + "1,2024-05-01T09:00Z,B\n")
        assert "merged into A; unmerge it first" in refused(ledger, incidents=changed)
        ledger.unmerge("1", by="ana", at=at(10), why="two different things")
        import_csv(ledger, incidents=changed)
        assert ledger.incident("1").merged_into == "B"

    @pytest.mark.parametrize(
        ("rows", "refused_rows", "why"),
        [
            ("1,T,9\n", 1, "no such incident"),
            ("1,T,1\n", 1, "into itself"),
            ("1,T,2\n2,T,1\n3,T,\n", 1, "in a circle"),
            ("1,T,2\n2,T,3\n3,T,9\n4,T,\n", 3, "no such incident"),
            ("1,T,2\n2,bad,\n", 2, "no such incident"),
        ],
    )
    def test_merges_that_cannot_be(self, ledger, put, rows, refused_rows, why):
        """A merge needs a target that is imported or there; what hangs on a bad one is refused."""
        path = put("id,detected_at,merged_into\n" + rows.replace("T", "2024-05-01T09:00Z"))
        refused(ledger, incidents=path)
        report = import_csv(ledger, incidents=path, keep_going=True)
        assert any(why in problem.why for problem in report.problems)
        assert report.rows_refused >= refused_rows
        for row in facts(ledger.replay()).incidents:
            assert row.merged_into is None or ledger.incident(row.merged_into)

    def test_a_circle_through_the_ledger(self, ledger, put):
        """A merge whose target was merged into it already is refused too."""
        import_csv(
            ledger,
            incidents=put(
                "id,detected_at,merged_into\nA,2024-05-01T09:00Z,B\nB,2024-05-01T09:00Z,"
            ),
        )
        path = put("id,detected_at,merged_into\nB,2024-05-01T09:00Z,A\n")
        assert "circle" in refused(ledger, incidents=path)
        path = put("id,detected_at,merged_into\nC,2024-05-01T09:00Z,A\n")
        assert import_csv(ledger, incidents=path).rows_imported == 1

    def test_labels_and_status(self, ledger, put):
        """Unknown columns are labels; one that is called status is the source's own word too."""
        path = put("ID,Detected_At,Status,Region\n1,2024-05-01T09:00Z,In Progress,\n")
        assert "Status: 'In Progress': one of open" in refused(ledger, incidents=path)
        mapping = put('[incidents.columns]\nStatus = "label:Status"\n', "m.toml")
        import_csv(ledger, incidents=path, mapping=mapping)
        recorded = ledger.history("incident:1")[0]
        assert recorded.event.labels == {"Status": "In Progress"}
        assert recorded.source.status == "In Progress"

    def test_never_is_no_milestone(self, ledger, put):
        """0001-01-01 says that something has not happened."""
        path = put("id,detected_at,resolved_at\n1,2024-05-01T09:00Z,0001-01-01T00:00:00Z\n")
        import_csv(ledger, incidents=path)
        assert ledger.incident("1").status is IncidentStatus.DETECTED


class TestOwnWords:
    """Severity names, milestones of the team's own, and what an incident is part of."""

    HEAD = "id,detected_at,severity,severity_name,mark:vendor called,child_of,recurrence_of\n"

    def row(self, put, ledger, text, **options):
        import_csv(ledger, incidents=put(self.HEAD + text), **options)
        return ledger.facts().incidents[0]

    def test_are_read(self, put, ledger):
        told = "2024-05-01T09:00Z,P1,SEV0,2024-05-01T10:00Z/2024-05-01T11:00Z,7,8\n"
        row = self.row(put, ledger, f"1,{told}", source="sn")
        assert ("SEV0", {"sn/7": "child_of", "sn/8": "recurrence_of"}) == (
            row.severity_last_name,
            row.related,
        )
        assert {"vendor called": (Between(earliest=at(10), latest=at(11)),)} == row.milestones

    def test_what_changed_is_corrected_and_said_again_is_nothing(self, put, ledger):
        self.row(put, ledger, "1,2024-05-01T09:00Z,P1,SEV0,2024-05-01T10:00Z,7,\n")
        again = "1,2024-05-01T09:00Z,P1,SEV1,2024-05-01T11:00Z,,7\n"
        row = self.row(put, ledger, again)
        assert ("SEV1", {"7": "recurrence_of"}) == (row.severity_last_name, row.related)
        assert {"vendor called": (at(11),)} == row.milestones
        path = put(self.HEAD + again)
        assert 0 == import_csv(ledger, incidents=path).events

    def test_what_is_not_said_is_absent(self, put, ledger):
        row = self.row(put, ledger, "1,2024-05-01T09:00Z,,SEV0,,,\n")
        assert (None, {}, {}) == (row.severity_last_name, row.milestones, row.related)

    @pytest.mark.parametrize(
        ("cells", "why"),
        [
            ("P1,,soon,,", "mark:vendor called: 'soon'"),
            ("P4,P1,,,", "severity_name: 'P1': it is a rank, and another one than P4"),
            ("P1,,,1,", "child_of: '1': an incident can't be related to itself"),
            ("P1,,,,1", "recurrence_of: '1': an incident can't be related to itself"),
            ("P1,,,7,7", "recurrence_of: '7': it is child_of too; one relation to each can stand"),
        ],
    )
    def test_refuses(self, put, ledger, cells, why):
        path = put(f"{self.HEAD}1,2024-05-01T09:00Z,{cells}\n")
        assert why in refused(ledger, incidents=path)

    @pytest.mark.parametrize(
        ("column", "why"),
        [
            ("mark:resolved", "can't be a milestone: a name of your own"),
            ("mark:a b\u200b", "can't be a milestone: an id has no invisible"),
        ],
    )
    def test_a_column_that_can_be_no_milestone(self, put, ledger, column, why):
        path = put(f"id,detected_at,{column}\n1,2024-05-01T09:00Z,\n")
        assert why in refused(ledger, incidents=path)

    def test_a_column_without_a_name_behind_it_is_a_label(self, put, ledger):
        path = put("id,detected_at,mark:\n1,2024-05-01T09:00Z,x\n")
        import_csv(ledger, incidents=path)
        assert {"mark:": "x"} == ledger.facts().incidents[0].labels

    def test_changes_have_no_milestones(self, put, ledger):
        path = put("id,deployed_at,mark:x\n1,2024-05-01T09:00Z,y\n", "changes.csv")
        import_csv(ledger, changes=path)
        assert {"mark:x": "y"} == ledger.facts().changes[0].labels


class TestChanges:
    HEAD = "id,status,requested_at,deployed_at,rolled_back_at,closed_at\n"

    def test_every_column(self, ledger, put):
        """Each column becomes the fact it stands for."""
        path = put(
            "id,service,environment,title,type,kind,risk,version,requested_by,status,requested_at,"
            "approved_at,started_at,deployed_at,rolled_back_at,recovered_at,closed_at,"
            "fixes_incident,repairs,planned,Team\n"
            "CHG-1,api;web,prod,Hotfix,Emergency,Deployment,High,1.2.3,ana,Rolled_Back,"
            "2024-05-01T08:00Z,2024-05-01T08:30Z,2024-05-01T09:00Z,2024-05-01T10:00Z,"
            "2024-05-01T11:00Z,2024-05-01T12:00Z,2024-05-02T09:00Z,INC-1,CHG-0,False,Payments\n"
        )
        told = {"by": "import", "imported": True}
        expected = [
            ChangePlanned(
                **told,
                at=at(8),
                type=ChangeType.EMERGENCY,
                kind=Kind.DEPLOYMENT,
                services=("api", "web"),
                environment="prod",
                labels={"Team": "Payments"},
                risk=Risk.HIGH,
                requested_by="ana",
                incident="INC-1",
                repairs="CHG-0",
                version="1.2.3",
                unplanned=True,
                title="Hotfix",
            ),
            ChangeApproved(**told, at=at(8, 30)),
            ChangeStarted(**told, at=at(9)),
            ChangeDeployed(**told, at=at(10)),
            ChangeRolledBack(**told, at=at(11), reached_production=True, status=None),
            ChangeRecovered(**told, at=at(12)),
            ChangeClosed(**told, at=at(9, day=2), result=Result.UNSUCCESSFUL),
        ]
        import_csv(ledger, changes=path)
        assert expected == events(ledger, "change:CHG-1")
        assert ledger.history("change:CHG-1")[0].source.status == "Rolled_Back"
        row = facts(ledger.replay()).changes[0]
        assert (row.authorisation, row.status) == ("unknown", ChangeStatus.CLOSED)

    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            ("successful,,D,,", [("ChangeCompleted", 10, None)]),
            (
                "successful,,D,,C",
                [("ChangeCompleted", 10, None), ("ChangeClosed", 12, "successful")],
            ),
            ("successful,,,,", [("ChangeCompleted", None, None)]),
            (
                "successful,,D,R,",
                [("ChangeCompleted", 10, None), ("ChangeRolledBack", 11, True)],
            ),
            ("failed,,D,,", [("ChangeDeployed", 10, None), ("ChangeFailed", None, True)]),
            ("failed,,,,", [("ChangeFailed", None, None)]),
            ("failed,,,,C", [("ChangeFailed", None, None), ("ChangeClosed", 12, "unsuccessful")]),
            ("rolled_back,,D,R,", [("ChangeDeployed", 10, None), ("ChangeRolledBack", 11, True)]),
            ("rolled_back,,,,", [("ChangeRolledBack", None, None)]),
            ("cancelled,,,,C", [("ChangeCancelled", 12, None)]),
            ("cancelled,,,,", [("ChangeCancelled", None, None)]),
            ("not_deployed,,,,", [("ChangeFailed", None, False)]),
            (",,D,,", [("ChangeDeployed", 10, None)]),
            (",,D,,C", [("ChangeDeployed", 10, None), ("ChangeClosed", 12, None)]),
            (",,D,R,", [("ChangeDeployed", 10, None), ("ChangeRolledBack", 11, True)]),
            (",Q,,,", []),
            (",,,R,", [("ChangeRolledBack", 11, None)]),
        ],
    )
    def test_status(self, ledger, put, row, expected):
        """Status and moments together say how the work ended, and nothing more."""
        for letter, hour in (("Q", 8), ("D", 10), ("R", 11), ("C", 12)):
            row = row.replace(f",{letter}", f",2024-05-01T{hour:02}:00Z")
        path = put(f"{self.HEAD}1,{row}\n")
        import_csv(ledger, changes=path)
        planned, *rest = events(ledger, "change:1")
        assert planned.type is ChangeType.NORMAL
        told = [
            (
                type(event).__name__,
                event.at and event.at.hour,
                getattr(event, "reached_production", getattr(event, "result", None)),
            )
            for event in rest
        ]
        assert expected == told
        assert import_csv(ledger, changes=path).events == 0

    def test_observed(self, ledger, put):
        """A change of type observed was found in production, not planned."""
        path = put("id,type,deployed_at,planned\n1,observed,2024-05-01T10:00Z,false\n")
        import_csv(ledger, changes=path)
        expected = [ChangeObserved(at=at(10), by="import", imported=True)]
        assert expected == events(ledger, "change:1")

    @pytest.mark.parametrize(
        ("columns", "row", "column"),
        [
            ("type,risk", "observed,low", "risk"),
            ("type,requested_by", "observed,ana", "requested_by"),
            ("type,planned", "observed,true", "planned"),
            ("status,deployed_at", "not_deployed,2024-05-01T10:00Z", "deployed_at"),
            ("status,deployed_at", "cancelled,2024-05-01T10:00Z", "deployed_at"),
        ],
    )
    def test_contradictions(self, ledger, put, columns, row, column):
        """Of two statements that can't both be, none is chosen."""
        path = put(f"id,{columns}\n1,{row}\n")
        assert f":2: {column}: " in refused(ledger, changes=path)


class TestCommits:
    CHANGES = "id,deployed_at\nC1,2024-05-01T10:00Z\nC2,2024-05-01T11:00Z\n"
    HEAD = "change_id,commit_id,authored_at,committed_at,pull_request,opened_at,merged_at\n"

    def test_every_column(self, ledger, put):
        """The commits of a change are one event, in the order of their ids."""
        path = put(
            self.HEAD + "C1,bbb,2024-05-01T07:00Z,,,,\n"
            'C2,ccc,,,"a\nb",,\n'
            "C1,aaa,2024-05-01T06:00Z,2024-05-01T07:00Z,PR-1,2024-05-01T08:00Z,2024-05-01T09:00Z\n"
            "C1,bbb,2024-05-01T07:00Z,,,,\n",
            "commits.csv",
        )
        changes = put(self.CHANGES, "changes.csv")
        assert "control characters" in refused(ledger, changes=changes, commits=path)
        path.write_bytes(path.read_bytes().replace(b'"a\nb"', b'"a, b"'))
        report = import_csv(ledger, changes=changes, commits=path)
        expected = CommitsRecorded(
            at=None,
            by="import",
            imported=True,
            commits=(
                Commit(
                    id="aaa",
                    authored_at=at(6),
                    committed_at=at(7),
                    pull_request="PR-1",
                    opened_at=at(8),
                    merged_at=at(9),
                ),
                Commit(id="bbb", authored_at=at(7)),
            ),
        )
        assert expected == events(ledger, "change:C1")[1]
        assert events(ledger, "change:C2")[1].commits == (Commit(id="ccc", pull_request="a, b"),)
        assert (report.rows_read, report.rows_imported, report.histories) == (6, 6, 2)
        assert is_of_payload(ledger.rows_of("change:C1")[1], b"C1") is False

    def test_of_changes_in_the_ledger(self, ledger, put):
        """A commits file alone speaks of changes recorded before."""
        ledger.record("C1", change.plan, by="ana", at=at(8), type=ChangeType.NORMAL, title="x")
        path = put(self.HEAD + "C1,aaa,,,,,\n", "commits.csv")
        assert import_csv(ledger, commits=path).events == 1
        assert ledger.change("C1").commits == {"aaa"}

    def test_of_no_change(self, ledger, put):
        """A commit of a change that is nowhere, or was refused, is refused."""
        changes = put(self.CHANGES + "C3,bad\n", "changes.csv")
        path = put(self.HEAD + "C9,a,,,,,\nC3,b,,,,,\nC1,c,,,,,\n", "commits.csv")
        assert "neither in the files nor in the ledger" in refused(ledger, commits=path)
        report = import_csv(ledger, changes=changes, commits=path, keep_going=True)
        assert (report.rows_read, report.rows_imported, report.rows_refused) == (6, 3, 3)

    def test_twice(self, ledger, put):
        """A commit twice with other values: both are refused, and the others imported."""
        changes = put(self.CHANGES, "changes.csv")
        path = put(
            self.HEAD + "C1,a,2024-05-01T07:00Z,,,,\nC1,a,2024-05-01T08:00Z,,,,\nC1,b,,,,,\n"
            "C2,a,,,,,\nC2,d,2024-05-01T07:00Z,,,,\nC2,d,bad,,,,\nC2,,,,,,\n",
            "commits.csv",
        )
        assert "line 2 has this commit" in refused(ledger, changes=changes, commits=path)
        report = import_csv(ledger, changes=changes, commits=path, keep_going=True)
        assert ledger.change("C1").commits == {"b"}
        assert ledger.change("C2").commits == {"a"}
        assert (report.rows_imported, report.rows_refused) == (4, 5)

    def test_only_bad_ones(self, ledger, put):
        """A change of which no commit is good gets none."""
        changes = put(self.CHANGES, "changes.csv")
        path = put(
            self.HEAD + "C1,a,2024-05-01T07:00Z,,,,\nC1,a,2024-05-01T08:00Z,,,,\n", "commits.csv"
        )
        import_csv(ledger, changes=changes, commits=path, keep_going=True)
        assert not ledger.change("C1").commits

    def test_times_must_be_certain(self, ledger, put):
        """A commit's local time that came twice is refused."""
        changes = put(self.CHANGES, "changes.csv")
        path = put(self.HEAD + "C1,a,2024-11-03T01:30,,,,\n", "commits.csv")
        told = refused(ledger, changes=changes, commits=path, tz="America/New_York")
        assert "two times" in told


class TestSource:
    def test_ids_and_references(self, ledger, put):
        """With a source every id begins with it, and the original is kept."""
        incidents = put(
            "id,detected_at,caused_by,fixed_by,merged_into\n"
            "1,2024-05-01T09:00Z,7,8; 9,2\n2,2024-05-01T09:00Z,,,\n"
        )
        changes = put("id,status,fixes_incident,repairs\n7,FAILED,1,8\n", "changes.csv")
        commits = put("change_id,commit_id\n7,abc\n", "commits.csv")
        import_csv(ledger, incidents=incidents, changes=changes, commits=commits, source="snow")
        verdicts = ledger.incident("snow/1").verdicts
        assert verdicts == {"snow/7": "caused", "snow/8": "fixed", "snow/9": "fixed"}
        assert ledger.incident("snow/1").merged_into == "snow/2"
        assert ledger.incident("snow/2").absorbed == {"snow/1"}
        planned, _, commits_recorded = ledger.history("change:snow/7")
        assert (planned.event.incident, planned.event.repairs) == ("snow/1", "snow/8")
        assert (planned.event.by, planned.source.name) == ("snow", "snow")
        assert (planned.source.id, planned.source.status) == ("7", "FAILED")
        assert (commits_recorded.source.id, commits_recorded.event.by) == ("7", "snow")

    @pytest.mark.parametrize("source", ["a/b", "", " a"])
    def test_refuses_a_name(self, ledger, put, source):
        """A source's name is an id without slash."""
        with pytest.raises(InvalidValue, match="source"):
            import_csv(ledger, incidents=put("id,detected_at\n"), source=source)


class TestTimes:
    NIGHT = "id,detected_at,resolved_at\n1,{},\n"

    def test_naive_without_zone(self, ledger, put):
        """The first row with a time of no zone is named."""
        path = put("id,detected_at\n1,2024-05-01T09:00Z\n2,2024-05-01 09:00\n3,2024-05-01 09:00\n")
        told = refused(ledger, incidents=path)
        assert "incidents.csv:3: detected_at: '2024-05-01 09:00': it has no UTC offset" in told
        assert "2 problem(s) in 3 rows" in told

    def test_in_new_york(self, ledger, put):
        """In the repeated hour a time is uncertain; in the skipped one it is refused."""
        zone = "America/New_York"
        import_csv(ledger, incidents=put(self.NIGHT.format("2024-11-03 01:30")), tz=zone)
        expected = Between(
            earliest=datetime(2024, 11, 3, 5, 30, tzinfo=UTC),
            latest=datetime(2024, 11, 3, 6, 30, tzinfo=UTC),
        )
        assert expected == facts(ledger.replay()).incidents[0].detected_at
        path = put(self.NIGHT.format("2024-03-10 02:30"))
        assert "never came" in refused(ledger, incidents=path, tz=zone)

    def test_formats(self, ledger, put):
        """One format, or several."""
        path = put(self.NIGHT.format("1.5.2024 9:00"))
        import_csv(ledger, incidents=path, tz="UTC", time_format="%d.%m.%Y %H:%M")
        formats = ["%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M"]
        report = import_csv(ledger, incidents=path, tz="UTC", time_format=formats)
        assert report.events == 0

    def test_zone_and_formats_of_the_caller_win(self, put):
        """What is given in the call overrides the mapping file."""
        path = put('tz = "Europe/Oslo"\ntime_formats = ["%d.%m.%Y %H:%M"]\n', "m.toml")
        options = csv_options(mapping=path)
        assert options.times.zone.key == "Europe/Oslo"
        assert options.times.formats == ("%d.%m.%Y %H:%M",)
        options = csv_options(mapping=path, tz="UTC", time_format="%Y/%m/%d %H:%M")
        assert options.times.zone.key == "UTC"
        assert options.times.formats == ("%Y/%m/%d %H:%M",)


GOOD = "id,detected_at\n1,2024-05-01T09:00Z\n"


class TestBadRows:
    @pytest.mark.parametrize(
        ("columns", "row", "column", "why"),
        [
            ("detected_at", ",2024-05-01T09:00Z", "id", "every row needs it"),
            ("detected_at", "1,", "", "no moment"),
            ("detected_at", "1,0001-01-01T00:00Z", "", "no moment"),
            ("detected_at", "1,soon", "detected_at", "ISO 8601"),
            ("detected_at", "1", "", "1 cells where the header has 2; cut off"),
            ("detected_at", "1,2024-05-01T09:00Z,x", "", "3 cells .* unquoted delimiter"),
            ("detected_at", "a\x07b,2024-05-01T09:00Z", "id", "control"),
            ("detected_at", f"{'x' * 201},2024-05-01T09:00Z", "id", "1 to 200"),
            ("severity", "1,high", "severity", "one of P1"),
            ("symptom", "1,slow", "symptom", "site_down"),
            ("mode", "1,exercise", "mode", "drill"),
            ("dismissed", "1,no", "dismissed", "false_positive"),
            ("customers", "1,many", "customers", "whole number"),
            ("service", "1,a\x07b", "service", "control"),
            ("environment", "1,a\x07b", "environment", "control"),
            ("stated_time_to_restore", "1,180", "stated_time_to_restore", "with its unit"),
            ("title", f"1,{'x' * 100_001}", "title", "100,000"),
            ("notes", f"1,{'x' * 100_001}", "notes", "100,000"),
            ("caused_by", f"1,{'x' * 201}", "caused_by", "1 to 200"),
            ("caused_by,fixed_by", "1,C;D,D", "fixed_by", "only one verdict"),
        ],
    )
    def test_incidents(self, ledger, put, columns, row, column, why):
        """A bad row is reported with file, line, column, value and reason."""
        path = put(f"id,{columns}\n{row}\n")
        problem = next(read_incidents(path, CsvOptions())).problems[0]
        assert (problem.file, problem.line, problem.column) == (str(path), 2, column)
        with pytest.raises(ImportRefusedError, match=why):
            import_csv(ledger, incidents=path)

    @pytest.mark.parametrize(
        ("columns", "row", "column"),
        [
            ("type", "1,big", "type"),
            ("kind", "1,big", "kind"),
            ("risk", "1,big", "risk"),
            ("status", "1,done", "status"),
            ("planned", "1,yes", "planned"),
            ("deployed_at", "1,soon", "deployed_at"),
            ("requested_at", "1,soon", "requested_at"),
            ("requested_by", "1,a\x07b", "requested_by"),
            ("version", "1,a\x07b", "version"),
            ("title", ",x", "id"),
        ],
    )
    def test_changes(self, ledger, put, columns, row, column):
        """The same of changes; each problem once."""
        path = put(f"id,{columns}\n{row}\n")
        problems = next(read_changes(path, CsvOptions())).problems
        assert [column] == [problem.column for problem in problems]
        refused(ledger, changes=path)

    def test_commits(self, put):
        """The same of commits."""
        path = put("change_id,commit_id,merged_at\n,,soon\nx\n")
        first, second = read_commits(path, CsvOptions())
        assert [p.column for p in first.problems] == ["change_id", "commit_id", "merged_at"]
        assert (second.change, second.commit, len(second.problems)) == (None, None, 1)

    def test_every_problem_of_a_row_and_the_first_of_many(self, ledger, put):
        """The message names the first problems and how many there are."""
        path = put("id,detected_at,severity\n" + "".join(f"{n},soon,high\n" for n in range(700)))
        told = refused(ledger, incidents=path)
        assert "1,400 problem(s) in 700 rows; nothing was recorded" in told
        assert "incidents.csv:2: severity: 'high'" in told
        assert "and 1,395 more" in told
        report = import_csv(ledger, incidents=path, keep_going=True)
        assert (len(report.problems), report.problems_found) == (1_000, 1_400)
        assert (report.rows_refused, report.events) == (700, 0)

    def test_the_same_id_twice(self, ledger, put):
        """Equal rows are one; others refuse both, since nobody says which is right."""
        path = put(GOOD + "1, 2024-05-01T09:00Z \n\n2,2024-05-01T09:00Z\n")
        report = import_csv(ledger, incidents=path)
        assert (report.rows_read, report.rows_imported, report.histories) == (3, 3, 2)
        path = put(GOOD + "3,2024-05-01T09:00Z\n3,2024-05-01T09:01Z\n")
        assert ":4: id: '3': line 3 has this id with other values" in refused(
            ledger, incidents=path
        )
        report = import_csv(ledger, incidents=path, keep_going=True)
        assert (report.rows_read, report.rows_imported, report.rows_refused) == (3, 1, 2)
        assert "incident:3" not in content(ledger)

    def test_keep_going(self, ledger, put):
        """The rest is imported, and the report counts both."""
        path = put(GOOD + "2,soon\n,2024-05-01T09:00Z\n4,2024-05-01T09:00Z\n")
        report = import_csv(ledger, incidents=path, keep_going=True)
        assert (report.rows_read, report.rows_imported, report.rows_refused) == (4, 2, 2)
        assert [problem.value for problem in report.problems] == ["soon", ""]
        assert {"incident:1", "incident:4"} == set(content(ledger))

    @pytest.mark.parametrize("sign", ["\u200b", "\u202e", "\u3164"])
    @pytest.mark.parametrize("kind", ["incidents", "changes"])
    def test_an_id_that_no_new_record_may_have(self, ledger, put, kind, sign):
        """It is found before anything is recorded, not while it is."""
        moment = "detected_at" if kind == "incidents" else "started_at"
        lines = (f"{name},2024-05-01T09:00Z" for name in ("A", f"x{sign}y", "C"))
        path = put("\n".join([f"id,{moment}", *lines, ""]))
        assert "incidents.csv:3: id" in refused(ledger, **{kind: path})
        assert {} == content(ledger)

    def test_lines_are_where_rows_begin(self, ledger, put):
        """Quoted line breaks and blank lines count as the lines they are."""
        path = put(
            'id,title,detected_at\r\n\r\n1,"a\r\nb",2024-05-01T09:00Z\r\n2,"x\n\ny",soon\r\n'
        )
        assert "incidents.csv:5: detected_at" in refused(ledger, incidents=path)
        import_csv(ledger, incidents=path, keep_going=True)
        assert events(ledger, "incident:1")[0].title == "a\r\nb"
        payload = next(read_incidents(path, CsvOptions())).payload
        assert payload.endswith(b'\n1,"a\r\nb",2024-05-01T09:00Z')
        assert is_of_payload(ledger.rows_of("incident:1")[0], payload)


class TestBadFiles:
    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"", "is empty"),
            (b"\xef\xbb\xbf", "is empty"),
            (b"\n\n", "is empty"),
            (b"1,2024-05-01T09:00Z\n", "no column 'id'; the first row must be the header"),
            (b"id,detected_at,id\n", "the column 'id' is there twice"),
            (b"id,detected_at,ID\n", "the column 'ID' stands for id, as another one does"),
            (b"id,title,title\n", "the column 'title' is there twice, and title has one value"),
            (b"id,a\x07b\n", "can't be a label"),
            (b"detected_at\n", "no column 'id'"),
            (GOOD.encode("utf-16-le"), "NUL byte"),
            (b"id,title\n1,caf\x81\n", ":2: byte 0x81"),
            (b"id,title\n1,a\x00b\n", ":2: it holds a NUL byte"),
            (GOOD.encode() + b'2,"open\n3,x\n', ":3: a quote is opened here and never closed"),
            (GOOD.encode() + b'2,"open\n' + b"x\n" * 80_000, ":3: a quote is opened here"),
            (GOOD.encode() + b'2,"a"b\n', ":3: it is no CSV"),
        ],
    )
    @pytest.mark.parametrize("keep_going", [False, True])
    def test_refuses(self, ledger, put, data, why, keep_going):
        """A file that can't be read as a whole is refused whole, keep_going or not."""
        before = list(ledger.rows())
        with pytest.raises(ImportRefusedError, match=why):
            import_csv(ledger, incidents=put(data), keep_going=keep_going)
        assert before == list(ledger.rows())

    def test_no_file(self, ledger, tmp_path):
        """Nothing there, a folder, something that is no file, or no file given."""
        assert "there is no file" in refused(ledger, incidents=tmp_path / "none.csv")
        assert "no file but" in refused(ledger, incidents=str(tmp_path))
        os.mkfifo(tmp_path / "pipe")
        assert "no file but" in refused(ledger, changes=tmp_path / "pipe")
        with pytest.raises(InvalidValue, match="at least one"):
            import_csv(ledger)

    def test_unreadable(self, ledger, put, monkeypatch):
        """What the system refuses to read is told in our words."""
        path = put(GOOD)

        def opens(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", opens)
        assert "can't be read: Permission denied" in refused(ledger, incidents=path)

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"\xef\xbb\xbf" + GOOD.encode(), "commas, UTF-8"),
            (GOOD.encode(), "commas, UTF-8"),
            (GOOD.encode("utf-16"), "commas, UTF-16"),
            (GOOD.replace(",", ";").encode(), "semicolons, UTF-8"),
            (GOOD.replace(",", "\t").encode(), "tabs, UTF-8"),
            (GOOD.replace("\n", "\r").encode(), "commas, UTF-8"),
            ("id,detected_at,x\n1,2024-05-01T09:00Z,caf\xe9\n".encode("cp1252"), "Windows-1252"),
            (b"id,detected_at,\n1,2024-05-01T09:00Z,\n", "without a name"),
        ],
    )
    def test_what_is_found_out_about_a_file_is_said(self, ledger, put, data, said):
        report = import_csv(ledger, incidents=put(data))
        assert (report.events, said in report.said[0]) == (1, True)

    def test_rows_need_no_file(self, ledger):
        rows = [{"id": "1", "detected_at": at(9), "service": ["api", "web"]}]
        assert import_csv(ledger, incidents=rows).events == 1
        assert import_csv(ledger, incidents=rows).events == 0
        [row] = ledger.facts().incidents
        assert (row.detected_at, row.services) == (at(9), ("api", "web"))
        bad = [{"id": "1", "detected_at": "soon"}]
        assert "incidents:1: detected_at" in refused(ledger, incidents=bad)

    def test_a_header_alone(self, ledger, put):
        """A file without rows imports nothing."""
        assert import_csv(ledger, incidents=put("id,detected_at\n")).rows_read == 0


class TestAgain:
    INCIDENTS = (
        "id,service,detected_at,resolved_at,severity,merged_into,caused_by\n"
        "1,api,2024-05-01T09:00Z,2024-05-01T10:00Z,P2,,C1\n"
        "2,api,2024-05-01T09:05Z,,P3,1,\n"
        "3,web,2024-05-02T09:00Z,,,,\n"
    )
    CHANGES = "id,status,deployed_at,closed_at\nC1,successful,2024-05-01T08:00Z,2024-05-01T12:00Z\n"
    COMMITS = "change_id,commit_id,committed_at\nC1,b,2024-05-01T07:00Z\nC1,a,2024-05-01T06:00Z\n"

    @pytest.fixture
    def files(self, put):
        return {
            "incidents": put(self.INCIDENTS),
            "changes": put(self.CHANGES, "changes.csv"),
            "commits": put(self.COMMITS, "commits.csv"),
        }

    def test_the_same_again(self, ledger, files, put):
        """The same files, in another order of rows and columns, record nothing."""
        first = import_csv(ledger, **files)
        rows = list(ledger.rows())
        assert (first.histories, first.events) == (4, 13)
        again = import_csv(ledger, **files)
        assert (again.histories, again.events, again.rows_imported) == (4, 0, 6)
        head, *lines = self.COMMITS.splitlines()
        put("\n".join([head, *reversed(lines)]), "commits.csv")
        head, *lines = self.INCIDENTS.splitlines()
        put("\n".join([head, *reversed(lines)]))
        assert import_csv(ledger, **files).events == 0
        assert rows == list(ledger.rows())

    @pytest.mark.parametrize(
        ("name", "old", "new", "stream", "expected"),
        [
            (
                "incidents.csv",
                "2024-05-01T10:00Z",
                "2024-05-01T11:00Z",
                "incident:1",
                (MomentCorrected, at(10), at(11)),
            ),
            (
                "incidents.csv",
                "2024-05-01T09:00Z,2",
                "2024-05-01T08:00Z/2024-05-01T08:30Z,2",
                "incident:1",
                (MomentCorrected, at(9), Between(earliest=at(8), latest=at(8, 30))),
            ),
            ("incidents.csv", "P2", "P1", "incident:1", (SeverityCorrected, "P2", "P1")),
            (
                "incidents.csv",
                "web",
                "web;db",
                "incident:3",
                (ServicesCorrected, ("web",), ("web", "db")),
            ),
            (
                "changes.csv",
                "2024-05-01T08:00Z",
                "2024-05-01T08:30Z",
                "change:C1",
                (MomentCorrected, at(8), at(8, 30)),
            ),
            (
                "commits.csv",
                "C1,b,2024-05-01T07:00Z",
                "C1,c,",
                "change:C1",
                (
                    CommitsCorrected,
                    (Commit(id="a", committed_at=at(6)), Commit(id="b", committed_at=at(7))),
                    (Commit(id="a", committed_at=at(6)), Commit(id="c")),
                ),
            ),
        ],
    )
    def test_a_changed_value(self, ledger, files, tmp_path, name, old, new, stream, expected):
        """A changed value is a correction, recorded once."""
        import_csv(ledger, **files)
        path = tmp_path / name
        path.write_text(path.read_text().replace(old, new))
        assert import_csv(ledger, **files).events == 1
        event = events(ledger, stream)[-1]
        assert expected == (type(event), event.was, event.now)
        assert (event.imported, event.by) == (True, "import")
        assert import_csv(ledger, **files).events == 0

    def test_a_moment_that_came_later(self, ledger, files, put):
        """What the source learned meanwhile is added; what it no longer says stays."""
        import_csv(ledger, **files)
        put(self.INCIDENTS.replace("05-02T09:00Z,,", "05-02T09:00Z,2024-05-02T10:00Z,"))
        assert import_csv(ledger, **files).events == 1
        assert ledger.incident("3").status is IncidentStatus.RESOLVED
        put(self.INCIDENTS.replace("P2,", ","))
        assert import_csv(ledger, **files).events == 0
        assert ledger.incident("1").severity is Severity.P2

    def test_what_no_correction_can_change(self, ledger, put):
        """A changed value of content under approval refuses the row."""
        head = "id,risk,deployed_at\n"
        import_csv(ledger, changes=put(head + "1,low,2024-05-01T08:00Z\n"))
        path = put(head + "1,high,2024-05-01T08:00Z\n2,high,2024-05-01T08:00Z\n")
        assert ":2: id: '1': risk was low when first imported and is high now" in refused(
            ledger, changes=path
        )
        assert import_csv(ledger, changes=path, keep_going=True).rows_imported == 1

    @pytest.mark.parametrize(
        ("first", "then", "outcome"),
        [
            ("successful", "failed", "failed"),
            ("failed", "rolled_back", "rolled_back"),
            ("rolled_back", "failed", "failed"),
            ("failed", "", "failed"),
            ("failed", "successful", "completed"),
            ("rolled_back", "successful", "completed"),
            ("cancelled", "failed", "failed"),
        ],
    )
    def test_a_status_that_is_told_otherwise(self, ledger, put, first, then, outcome):
        """What the file says now stands; an empty cell says nothing."""
        import_csv(ledger, changes=put(f"id,status,closed_at\n1,{first},2024-05-01T08:00Z\n"))
        path = put(f"id,status,closed_at\n1,{then},2024-05-01T08:00Z\n")
        report = import_csv(ledger, changes=path)
        [row] = ledger.facts().changes
        assert (row.outcome, report.taken_back > 0) == (outcome, bool(then))
        assert import_csv(ledger, changes=path).events == 0

    def test_a_failure_recorded_by_hand(self, ledger, put):
        """What people recorded besides is theirs, and no reason to refuse the file."""
        path = put("id,status,deployed_at\n1,successful,2024-05-01T08:00Z\n")
        import_csv(ledger, changes=path)
        ledger.record("1", change.roll_back, by="ana", at=at(9))
        assert import_csv(ledger, changes=path).events == 0

    def test_a_result_that_changed(self, ledger, put):
        """A change that was closed as successful and failed is told anew."""
        path = put("id,status,closed_at\n1,successful,2024-05-01T08:00Z\n")
        import_csv(ledger, changes=path)
        path.write_text(path.read_text().replace("successful", "failed"))
        import_csv(ledger, changes=path)
        [row] = ledger.facts().changes
        assert (row.outcome, row.result, row.closed_at) == ("failed", Result.UNSUCCESSFUL, at(8))

    @pytest.mark.parametrize("stop", range(1, 5))
    def test_interrupted_while_it_is_decided(self, ledger, files, stop):
        """Nothing is recorded until all is decided."""

        def progress(done):
            if done == stop:
                raise KeyboardInterrupt

        before = list(ledger.rows())
        with pytest.raises(KeyboardInterrupt):
            import_csv(ledger, **files, progress=progress)
        assert before == list(ledger.rows())

    @pytest.mark.parametrize("batch", [1, 3, 5_000])
    @pytest.mark.parametrize("stop", range(1, 5))
    def test_interrupted_while_it_is_recorded(self, ledger, files, monkeypatch, stop, batch):
        """An import that was interrupted and run again ends as one that was not."""
        whole = Ledger.in_memory()
        import_csv(whole, **files)
        monkeypatch.setattr(bringing_in, "IMPORT_BATCH", batch)
        insert, calls = ledger._store.insert, []

        def inserted(rows):
            calls.append(rows)
            if len(calls) == stop:
                raise KeyboardInterrupt
            return insert(rows)

        with monkeypatch.context() as patched:
            patched.setattr(ledger._store, "insert", inserted)
            if stop <= {1: 4, 3: 3, 5_000: 1}[batch]:
                with pytest.raises(KeyboardInterrupt):
                    import_csv(ledger, **files)
        import_csv(ledger, **files)
        assert content(whole) == content(ledger)
        assert facts(whole.replay()).incidents[0].verdicts == {"C1": Verdict.CAUSED}

    def test_progress(self, ledger, files):
        """The number of histories done is told as it grows."""
        told = []
        import_csv(ledger, **files, progress=told.append)
        assert told == [1, 2, 3, 4]

    def test_on_a_file(self, tmp_path, files):
        """The same on a ledger in a file."""
        with Ledger(tmp_path / "ledger.db") as ledger:
            assert import_csv(ledger, **files).events == 13
            assert import_csv(ledger, **files).events == 0

    def test_a_stream_that_cannot_be_read(self, put):
        """A row of an incident this version can't read is refused, naming why."""
        ledger = Ledger.in_memory()
        import_csv(ledger, incidents=put(self.INCIDENTS), changes=put(self.CHANGES, "c.csv"))
        state = b'{"format":1,"record":"00","recorded_at":"2031-01-01T00:00:00Z","event":{}}'
        for stream in ("incident:1", "change:C1"):
            version = len(ledger.history(stream)) + 1
            ledger._store.insert([StoredEvent(0, stream, version, "SungAbout", state)])
        assert "update imcm" in refused(ledger, incidents=put(self.INCIDENTS))
        path = put("id,detected_at,merged_into\n9,2024-05-01T09:00Z,1\n")
        assert "update imcm" in refused(ledger, incidents=path)
        path = put("change_id,commit_id\nC1,a\n", "commits.csv")
        assert "update imcm" in refused(ledger, commits=path)


class TestMapping:
    def test_a_foreign_export(self, ledger, put):
        """Another tool's file, its columns, values, times and words for absent."""
        path = put(
            "Number,Opened,Restored,Priority,Group,Notes,Affected\n"
            "INC0012345,01.05.2024 11:00:00,?,1 - Critical,Payments,secret,api;n/a\n"
            "INC0012346,01.05.2024 12:00:00,01.05.2024 12:30:00,4 - Low,-,secret,-\n"
        )
        mapping = put(
            """
            tz = "Europe/Oslo"
            time_formats = ["%d.%m.%Y %H:%M:%S"]
            absent = ["?", "-"]

            [incidents.columns]
            "Number" = "id"
            "Opened" = "detected_at"
            "Restored" = "resolved_at"
            "Priority" = "severity"
            "Affected" = "service"
            "Group" = "label:team"
            "Notes" = ""
            "Not there" = ""

            [values.severity]
            "1 - critical" = "P1"
            "4 - low" = "P4"

            [values.service]
            "n/a" = ""
            """,
            "servicenow.toml",
        )
        report = import_csv(ledger, incidents=path, mapping=mapping, source="servicenow")
        assert report.rows_imported == 2
        first, second = facts(ledger.replay()).incidents
        assert (first.id, first.detected_at, first.severity_last) == (
            "servicenow/INC0012345",
            at(9),
            Severity.P1,
        )
        assert (first.services, first.labels, first.resolved_at) == (
            ("api",),
            {"team": "Payments"},
            None,
        )
        assert (second.resolved_at, second.labels, second.services) == (at(10, 30), {}, ())
        assert not any(b"secret" in row.state for row in ledger.rows())

    @pytest.mark.parametrize(
        ("columns", "why"),
        [
            ('"Opned" = "detected_at"', "names a column 'Opned'; the file has Number, Opened"),
            ('"Opened" = "detected_at"', "no column 'id'"),
            ('"Number" = "label:Opened"', "stands for Opened"),
        ],
    )
    def test_that_does_not_fit_the_file(self, ledger, put, columns, why):
        """A mapping and a file that don't fit each other are refused."""
        path = put("Number,Opened\n1,2024-05-01T09:00Z\n")
        mapping = put(f"[incidents.columns]\n{columns}\n", "m.toml")
        assert why in refused(ledger, incidents=path, mapping=mapping)

    def test_one_column_may_stand_for_several(self, ledger, put):
        """The rank of a severity, and the word the team has for it."""
        path = put("id,detected_at,Priority\n1,2024-05-01T09:00Z,1 - Critical\n")
        mapping = put(
            """
            [incidents.columns]
            "Priority" = ["severity", "severity_name"]
            [values.severity]
            "1 - critical" = "P1"
            """,
            "m.toml",
        )
        import_csv(ledger, incidents=path, mapping=mapping)
        [row] = ledger.facts().incidents
        assert (Severity.P1, "1 - Critical") == (row.severity_last, row.severity_last_name)
        assert import_csv(ledger, incidents=path, mapping=mapping).events == 0

    @pytest.mark.parametrize(
        ("columns", "why"),
        [
            ('"Priority" = ["severity", "severities"]', "one of|to leave it out"),
            ('"Priority" = ["severity"]\n"P2" = "severity"', "another column is mapped to it"),
            ('"Priority" = ["severity", "severity"]', "another column is mapped to it"),
            ('"Priority" = [1]', "as text"),
            ('"Priority" = "mark:resolved"', "has a step"),
            ('"Priority" = "mark:<name>"', "to leave it out"),
        ],
    )
    def test_refuses_what_stands_for_nothing(self, put, columns, why):
        with pytest.raises(InvalidValue, match=why):
            csv_options(mapping=put(f"[incidents.columns]\n{columns}\n", "m.toml"))

    def test_a_column_of_another_name_may_be_a_milestone(self, ledger, put):
        path = put("id,detected_at,Vendor\n1,2024-05-01T09:00Z,2024-05-01T10:00Z\n")
        mapping = put('[incidents.columns]\n"Vendor" = "mark:vendor called"\n', "m.toml")
        import_csv(ledger, incidents=path, mapping=mapping)
        [row] = ledger.facts().incidents
        assert {"vendor called": (at(10),)} == row.milestones

    def test_columns_that_are_there_twice_are_one(self, ledger, put):
        """As exports of Jira have one for each label: they are left out, or kept, together."""
        path = put(
            "id,detected_at,x,Labels,service,Labels,x,service\n"
            "1,2024-05-01T09:00Z,1,pay,a,eu,2,b\n2,2024-05-01T09:00Z,1,,a,eu,,\n"
        )
        mapping = put('[incidents.columns]\n"x" = ""\n', "m.toml")
        report = import_csv(ledger, incidents=path, mapping=mapping)
        first, second = ledger.facts().incidents
        assert ({"Labels": "pay;eu"}, ("a", "b")) == (first.labels, first.services)
        assert ({"Labels": "eu"}, ("a",)) == (second.labels, second.services)
        assert "columns that come again, joined by ;" in report.said[0]

    def test_names_of_columns_are_found_in_any_case(self, ledger, put):
        path = put("NUMBER,Opened At,x\n1,2024-05-01T09:00Z,a\n")
        mapping = put(
            '[incidents.columns]\n"number" = "id"\n"opened at" = "detected_at"\n"X" = ""\n',
            "m.toml",
        )
        import_csv(ledger, incidents=path, mapping=mapping)
        [row] = ledger.facts().incidents
        assert ("1", at(9), {}) == (row.id, row.detected_at, row.labels)
        two = put("NUMBER,Number,Opened At\n1,2,2024-05-01T09:00Z\n", "two.csv")
        assert "more than once, in other cases" in refused(ledger, incidents=two, mapping=mapping)

    def test_columns_made_of_several(self, ledger, put):
        """The first there is, several joined, one text for all, the time between two."""
        made = {
            "id": {"join": ["P", "N"], "with": "-"},
            "title": {"join": ["A", "B"], "with": ": "},
            "resolved_at": {"first": ["R", "C"]},
            "environment": {"always": "eu"},
            "stated_time_to_restore": {"between": ["O", "C"]},
            "label:row": {"join": ["#line"]},
            "service": {"join": ["S", "T"], "with": "/"},
        }
        mapping = {
            "incidents": {"columns": {"O": "detected_at"}, "made": made},
            "absent": ["-"],
        }
        path = put(
            "P,N,A,B,O,R,C,S,T\n"
            "X,1,down,hard,2024-05-01T09:00Z,-,2024-05-01T10:30Z,pay,api\n"
            "X,2,down,,2024-05-01T09:00Z,2024-05-01T09:30Z,,pay,\n"
        )
        import_csv(ledger, incidents=path, mapping=mapping)
        first, second = ledger.facts().incidents
        assert ("X-1", at(10, 30), "eu", ("pay/api",), {"row": "2"}) == (
            *(first.id, first.resolved_at, first.environment, first.services, first.labels),
        )
        assert [90 * 60 * 1_000_000] == list(first.stated.values())
        assert ("X-2", at(9, 30), (), {}) == (
            *(second.id, second.resolved_at, second.services, second.stated),
        )
        assert ["down: hard", "down"] == [
            events(ledger, f"incident:{each.id}")[0].title for each in (first, second)
        ]
        assert 0 == import_csv(ledger, incidents=path, mapping=mapping).events

    def test_a_cell_that_is_made_of_what_can_not_be_read(self, ledger, put):
        mapping = {
            "incidents": {
                "made": {
                    "id": {"join": ["P", "N"]},
                    "stated_time_to_restore": {"between": ["detected_at", "C"]},
                }
            }
        }
        path = put(
            "P,N,detected_at,C\nX,1,2024-05-01T09:00Z,soon\nX,2,2024-05-01T09:00Z,2024-05-01T08:00Z\n"
            "X,,2024-05-01T09:00Z,\n"
        )
        told = refused(ledger, incidents=path, mapping=mapping)
        assert ":2: stated_time_to_restore (made): '': C: 'soon': give a date" in told
        assert ":3: stated_time_to_restore (made): '': C: '2024-05-01T08:00Z': it is before" in told
        assert ":4: id (made): '': it is empty, and every row needs it" in told

    @pytest.mark.parametrize(
        ("made", "why"),
        [
            ({"id": "P"}, "join"),
            ({"id": {"join": ["P"]}}, "at least two"),
            ({"id": {"join": ["P", 1]}}, "names of columns"),
            ({"id": {"join": ["P", "Q"], "first": ["P", "Q"]}}, "always"),
            ({"id": {"first": ["P", "Q"], "with": "-"}}, "always"),
            ({"id": {"join": ["P", "Q"], "with": 1}}, "a text"),
            ({"id": {"always": ""}}, "not empty"),
            ({"id": {"first": ["P", "#line"]}}, "can only be joined"),
            ({"id": {"between": ["P", "Q"]}}, "only stated_time_to_restore"),
            ({"stated_time_to_repair": {"between": ["P", "Q", "R"]}}, "two columns"),
            ({"ids": {"always": "x"}}, "to leave it out"),
            ({"detected_at": {"first": ["P", "Q"]}}, "another column is mapped to it"),
        ],
    )
    def test_refuses_what_can_not_be_made(self, made, why):
        mapping = {"incidents": {"columns": {"O": "detected_at"}, "made": made}}
        with pytest.raises(InvalidValue, match=why):
            csv_options(mapping=mapping)

    def test_made_of_a_column_that_is_not_there(self, ledger, put):
        mapping = {"incidents": {"made": {"title": {"join": ["A", "Bee"]}}}}
        path = put("id,detected_at,A\n1,2024-05-01T09:00Z,x\n")
        assert "names a column 'Bee'" in refused(ledger, incidents=path, mapping=mapping)

    def test_everything_else_is_a_value_too(self, ledger, put):
        mapping = {"values": {"severity": {"crit": "P1", "*": "P4"}}, "absent": ["-"]}
        path = put(
            "id,detected_at,severity\n"
            + "".join(
                f"{n},2024-05-01T09:00Z,{text}\n"
                for n, text in enumerate(["Crit", "p2", "whatever", "-", "", "*"])
            )
        )
        import_csv(ledger, incidents=path, mapping=mapping)
        assert ["P1", "P2", "P4", None, None, "P4"] == [
            row.severity_last for row in ledger.facts().incidents
        ]

    def test_a_mapping_names_what_can_not_be_found_out(self, ledger, put):
        path = put(b"id|title,detected_at\n" + "1|caf\u00e9,x\n".encode("latin-1"))
        made = {"detected_at": {"always": "2024-05-01T09:00Z"}}
        table = {"columns": {"title,detected_at": "title"}, "made": made}
        mapping = {"encoding": "latin-1", "delimiter": "|", "incidents": table}
        import_csv(ledger, incidents=path, mapping=mapping)
        assert "caf\u00e9,x" == events(ledger, "incident:1")[0].title
        rows = [{"id": "2", "title,detected_at": "x"}]
        with pytest.raises(InvalidValue, match="leave it out"):
            import_csv(ledger, incidents=rows, mapping=mapping)
        for key in ("encoding", "delimiter"):
            with pytest.raises(InvalidValue, match=key):
                import_csv(ledger, incidents=path, mapping={key: "??"})

    def test_problems_name_their_column(self, ledger, put):
        """A problem calls the column and the value as the file does."""
        path = put("Number,Opened\n1,soon\n")
        text = '[incidents.columns]\n"Number" = "id"\n"Opened" = "detected_at"\n'
        told = refused(ledger, incidents=path, mapping=put(text, "m.toml"))
        assert "incidents.csv:2: Opened: 'soon'" in told

    def test_contract_values(self, put):
        """A mapping knows the contract's columns and closed lists."""
        for text, why in (
            ('[values.severity]\n"SEV1" = "P5"', "P1, P2, P3, P4"),
            ('[values.status]\n"done" = "ok"', "successful"),
            ("[problems.columns]", "incidents, changes, commits"),
        ):
            with pytest.raises(InvalidValue, match=why):
                csv_options(mapping=put(text, "m.toml"))


@pytest.mark.slow
def test_many_rows(tmp_path):
    """Five thousand rows are read, checked and recorded."""
    path = tmp_path / "incidents.csv"
    with path.open("w") as file:
        file.write("id,detected_at,resolved_at,severity\n")
        for number in range(5_000):
            began = at(0) + timedelta(minutes=number)
            over = began + timedelta(hours=1)
            file.write(f"{number},{began.isoformat()},{over.isoformat()},P{number % 4 + 1}\n")
    ledger = Ledger.in_memory()
    assert import_csv(ledger, incidents=path).events == 15_000


class TestFromFrames:
    """Facts without a ledger are those of a ledger that the same tables came into."""

    INCIDENTS = (
        {"Nr": "7", "Opened": "2024-05-01 09:00", "Solved": "2024-05-01 10:30", "Prio": "high"},
        {"Nr": "8", "Opened": "2024-05-02 09:00", "Solved": None, "Prio": "low"},
    )
    MAPPING: ClassVar = {
        "tz": "Europe/Oslo",
        "incidents": {
            "columns": {
                "Nr": "id", "Opened": "detected_at", "Solved": "resolved_at", "Prio": "severity"
            }
        },
        "values": {"severity": {"high": "P1", "low": "P4"}},
    }  # fmt: skip

    def test_are_those_of_a_ledger(self, ledger):
        changes = [{"id": "C1", "deployed_at": "2024-05-01T08:50Z", "status": "successful"}]
        commits = [{"change_id": "C1", "commit_id": "abc1234", "committed_at": "2024-05-01T08:00Z"}]
        tables = {"incidents": self.INCIDENTS, "changes": changes, "commits": commits}
        import_csv(ledger, **tables, mapping=self.MAPPING)

        held = from_frames(**tables, mapping=self.MAPPING)

        theirs = facts(ledger.replay())
        assert len(held.incidents) == 2
        assert [row.severity_last for row in held.incidents] == [Severity.P1, Severity.P4]
        for mine, other in zip(held.incidents, theirs.incidents, strict=True):
            assert (mine.id, mine.status, mine.spells) == (other.id, other.status, other.spells)
        assert [row.commits for row in held.changes] == [row.commits for row in theirs.changes]

    def test_a_mapping_in_place_says_what_its_file_says(self, tmp_path):
        file = tmp_path / "m.toml"
        file.write_text(
            'tz = "Europe/Oslo"\n[incidents.columns]\nNr = "id"\nOpened = "detected_at"\n'
            'Solved = "resolved_at"\nPrio = "severity"\n'
            '[values.severity]\nhigh = "P1"\nlow = "P4"\n'
        )
        both = [
            [(row.id, row.spells, row.severity_last) for row in held.incidents]
            for held in (
                from_frames(incidents=self.INCIDENTS, mapping=given)
                for given in (file, self.MAPPING)
            )
        ]
        assert both[0] == both[1]

    def test_as_of_cuts(self):
        noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
        held = from_frames(incidents=self.INCIDENTS, mapping=self.MAPPING, as_of=noon)
        assert [len(row.spells) for row in held.incidents] == [1, 0]

    @pytest.mark.parametrize(
        ("mapping", "why"),
        [
            ({1: "x"}, "give text"),
            ({"columns": {}}, "one of incidents, changes, commits"),
            ({"incidents": {"columns": {"Nr": object()}}}, "write it as text"),
            ({"values": {"severity": 3}}, "write it as a table"),
            ({"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}, "nested deeper"),
            ([], "give a path"),
        ],
    )
    def test_a_mapping_that_can_not_be_right_is_refused(self, mapping, why):
        with pytest.raises(InvalidValue, match=why):
            from_frames(incidents=self.INCIDENTS, mapping=mapping)

    def test_rows_that_can_not_be_right_are_named(self):
        rows = [*self.INCIDENTS, {"Nr": "9", "Opened": "yesterday"}]
        with pytest.raises(ImportRefusedError, match="yesterday"):
            from_frames(incidents=rows, mapping=self.MAPPING)


def _stated(rows, **mapping):
    told = read_incidents(rows, csv_options(tz="UTC", mapping={"units": _MINUTES, **mapping}))
    return [
        "; ".join(map(str, row.problems))
        if row.statement is None
        else timedelta(microseconds=row.statement.facts["stated_time_to_restore"])
        for row in told
    ]


_MINUTES = {"stated_time_to_restore": "minutes"}


class TestNumbersOfDurations:
    """A fraction, or thousands: the mapping says it, or the type of the cells."""

    @staticmethod
    def row(stated):
        return {
            "id": str(stated),
            "detected_at": "2026-03-04T09:00",
            "stated_time_to_restore": stated,
        }

    def test_a_text_that_may_be_two_is_refused(self):
        (why,) = _stated([self.row("2.880")])
        assert "stated_time_to_restore: '2.880': it is 2 and a fraction, or 2880" in why

    def test_the_mapping_says_it(self):
        assert _stated([self.row("2.880")], decimal=",") == [timedelta(minutes=2880)]
        assert _stated([self.row("2.880")], decimal=".") == [timedelta(minutes=2.88)]

    def test_numbers_by_their_type_are_open_to_no_doubt(self):
        rows = [self.row(2.125), self.row(3)]
        whole = [timedelta(minutes=2.125), timedelta(minutes=3)]
        assert _stated(rows) == _stated(rows, decimal=",") == whole
        assert "it is 2 and a fraction, or 2125" in _stated([*rows, self.row("4 min")])[0]


def test_times_by_their_type_are_read_whatever_the_formats():
    """The formats are those of another file's texts."""
    rows = [{"id": "1", "detected_at": datetime(2026, 3, 4, 12)}]  # noqa: DTZ001 (as in a workbook)
    texts = [{"id": "C1", "requested_at": "04.03.2026 11:00"}]
    held = from_frames(
        incidents=rows, changes=texts, tz="Europe/Berlin", time_format="%d.%m.%Y %H:%M"
    )
    assert held.incidents[0].detected_at == datetime(2026, 3, 4, 11, tzinfo=UTC)
    with pytest.raises(ImportRefusedError, match=r"or in ISO 8601 with an offset or a T"):
        from_frames(
            incidents=[{"id": "1", "detected_at": "2026-03-04 12:00"}],
            tz="UTC",
            time_format="%d.%m.%Y %H:%M",
        )


class TestWhatARefusalShows:
    """A problem of each kind, columns with their names, and words of the table concerned."""

    @staticmethod
    def refusal(**given):
        with pytest.raises(ImportRefusedError) as refused:
            from_frames(tz="UTC", **given)
        return str(refused.value).splitlines()

    def test_one_problem_of_each_kind_comes_first(self):
        severities = ("hoch", "Hoch", "HOCH", "mittel", "hoch", "hoch")
        rows = [
            {"id": str(n), "detected_at": "2026-03-04T09:00", "severity": word}
            for n, word in enumerate(severities)
        ]
        rows += [{"id": "8", "detected_at": when} for when in ("gestern",)]
        rows += [{"id": "9", "detected_at": "2026-03-04T09:00", "stated_time_to_repair": "2.880 h"}]
        lines = self.refusal(incidents=rows)
        named = [line.split(": ", 3)[:3] for line in lines if line.startswith("  incidents:")]
        assert [column for _, column, _ in named] == [
            *["severity"] * 3, "detected_at", "stated_time_to_repair"
        ]  # fmt: skip
        assert "  and 3 more" in lines
        assert lines[-2:] == ['  "hoch" = "?"  # 5 rows', '  "mittel" = "?"  # 1 row']

    def test_the_words_are_those_of_the_table(self):
        when = "2026-03-04T09:00"
        incidents = [{"id": "1", "detected_at": when, "status": "neu"}]
        changes = [{"id": "C", "deployed_at": when, "status": "neu"}]
        of_incidents = "one of open, acknowledged, mitigated, resolved, closed; or"
        of_changes = "one of successful, failed, rolled_back, cancelled, not_deployed; or"
        heads = [x for x in self.refusal(incidents=incidents) if "[" in x and "values." in x]
        assert heads == [f'  [values.status]  # {of_incidents} "" for absent']
        both = self.refusal(incidents=incidents, changes=changes)
        assert [line for line in both if "values." in line] == [
            f'  [changes.values.status]  # {of_changes} "" for absent',
            f'  [incidents.values.status]  # {of_incidents} "" for absent',
        ]
        log = self.refusal(
            incidents=[{**incidents[0], "updated_at": when}],
            mapping={"incidents": {"kind": "log"}},
        )
        assert any("[values.status]" in line and "held:vendor" in line for line in log)

    def test_a_misspelt_column_has_a_hint(self):
        row = {"Number": "1", "Opened": "2026-03-04T09:00", "A long name of a column": "x"}
        columns = {"Number": "id", "Opned": "detected_at"}
        [line, *_] = self.refusal(incidents=[row], mapping={"incidents": {"columns": columns}})
        assert "the file has Number, Opened, A long name of a column; near: 'Opened'" in line
        commits = [{"chang_id": "1", "commit_id": "2"}]
        [line, *_] = self.refusal(commits=commits)
        assert "no column 'change_id'" in line
        assert "it is chang_id, commit_id; near: 'chang_id'" in line


# --- where a table begins, and what stands in its cells -------------------------------------------

BELOW = "Störungen 2025;;\n\nNr;Opened;Services\nA;2026-03-02 09:00Z;Kasse, Lager | Büro\n"


def first_row(*, mapping, text=BELOW, **given):
    held = from_frames(incidents=text.encode(), mapping=mapping, **given)
    return held.incidents[0]


class TestWhereItBegins:
    COLUMNS: ClassVar = {"Nr": "id", "Opened": "detected_at", "Services": "service"}

    @pytest.mark.parametrize("header", [2, 3])
    def test_a_header_that_stands_further_down(self, header):
        table = {"header": header, "columns": self.COLUMNS}
        row = first_row(mapping={"incidents": table})
        assert row.services == ("Kasse, Lager | Büro",)
        assert row.detected_at == datetime(2026, 3, 2, 9, tzinfo=UTC)

    def test_without_it_the_refusal_says_how(self):
        with pytest.raises(ImportRefusedError, match=r"header = 3 under \[incidents\]"):
            first_row(mapping={"incidents": {"columns": self.COLUMNS}})

    def test_beyond_the_end_there_is_none(self):
        with pytest.raises(ImportRefusedError, match="it is empty"):
            first_row(mapping={"incidents": {"header": 9, "columns": self.COLUMNS}})

    @pytest.mark.parametrize("wrong", [0, -1, True, "3", 1.0])
    def test_a_header_is_a_line(self, wrong):
        with pytest.raises(InvalidValue, match="header"):
            first_row(mapping={"incidents": {"header": wrong, "columns": self.COLUMNS}})

    def test_json_has_no_header(self):
        with pytest.raises(InvalidValue, match="leave it out: JSON has none"):
            first_row(mapping={"incidents": {"header": 2}}, text='[{"id": "1"}]')

    def test_a_sheet_by_its_name(self, tmp_path):
        book = xlsxwriter.Workbook(str(tmp_path / "b.xlsx"))
        book.add_worksheet("Deckblatt").write(0, 0, "vertraulich")
        sheet = book.add_worksheet("Daten")
        sheet.write(0, 0, "Störungen")
        sheet.write_row(3, 0, ["Nr", "Opened", "Services"])
        sheet.write_row(4, 0, ["A", "2026-03-02 09:00Z", "Kasse"])
        book.close()
        table = {"sheet": "Daten", "header": 2, "columns": self.COLUMNS}
        held = from_frames(incidents=tmp_path / "b.xlsx", mapping={"incidents": table})
        assert [row.id for row in held.incidents] == ["A"]
        with pytest.raises(ImportRefusedError, match=r"2 sheets: .*name another sheet"):
            from_frames(
                incidents=tmp_path / "b.xlsx", mapping={"incidents": {"columns": self.COLUMNS}}
            )


class TestSeveralInACell:
    MAPPING: ClassVar = {"incidents": {"header": 2, "columns": TestWhereItBegins.COLUMNS}}

    @pytest.mark.parametrize(
        ("separators", "services"),
        [
            ([";", ","], ("Kasse", "Lager | Büro")),
            ([",", "|"], ("Büro", "Kasse", "Lager")),
            (["|"], ("Büro", "Kasse, Lager")),
        ],
    )
    def test_are_parted_as_the_mapping_says(self, separators, services):
        row = first_row(mapping={**self.MAPPING, "separators": separators})
        assert tuple(sorted(row.services)) == services

    @pytest.mark.parametrize("wrong", [["-"], [""], ",", [",,"]])
    def test_not_by_anything(self, wrong):
        with pytest.raises(InvalidValue, match="separators"):
            first_row(mapping={**self.MAPPING, "separators": wrong})

    def test_another_separator_reads_the_same_row_anew(self):
        ledger = Ledger.in_memory()
        first, other = ({**self.MAPPING, "separators": [each]} for each in (";", ","))
        for mapping, events in ((first, 1), (first, 0), (other, 1)):
            report = import_csv(ledger, incidents=BELOW.encode(), mapping=mapping)
            assert report.events == events


class TestMonthsInOtherLanguages:
    MONTHS = (
        *("Jan", "Feb", "Mär", "Apr", "Mai", "Jun"),
        *("Jul", "Aug", "Sep", "Okt", "Nov", "Dez"),
    )

    @pytest.mark.parametrize(
        ("text", "month"),
        [("24/Dez/25 14:05", 12), ("24/mär./25 14:05", 3), ("24/MAI/25 14:05", 5)],
    )
    def test_are_read_by_their_names(self, text, month):
        rules = TimeRules(formats=("%d/%b/%y %H:%M",), months=self.MONTHS)
        naive = TimeRules(formats=("%d/%m/%y %H:%M",))
        with pytest.raises(InvalidValue, match="no UTC offset"):
            naive.moment("at", f"24/{month:02}/25 14:05")
        london = attrs.evolve(rules, zone=zone_named("tz", "UTC"))
        assert london.moment("at", text) == datetime(2025, month, 24, 14, 5, tzinfo=UTC)

    @pytest.mark.parametrize("wrong", [["Jan"], ["Jan"] * 12, [""] * 12, "Jan", [1] * 12])
    def test_they_are_twelve(self, wrong):
        with pytest.raises(InvalidValue, match="months"):
            first_row(mapping={"months": wrong})


def test_a_word_among_times_is_told_where_it_belongs():
    rows = [{"id": "A", "detected_at": "2026-03-02T09:00Z", "resolved_at": "offen"}]
    with pytest.raises(ImportRefusedError) as refused:
        from_frames(incidents=rows)
    assert 'where it means "not yet", list it under absent' in str(refused.value)


def test_bad_rows_of_frames_can_be_left_out():
    rows = [
        {"id": "A", "detected_at": "2026-03-02T09:00Z"},
        {"id": "B", "detected_at": "yesterday"},
    ]
    with pytest.warns(
        RowsLeftOutWarning, match=r"1 of 2 rows are left out, for 1 problem: .*'yester"
    ):
        held = from_frames(incidents=rows, keep_going=True)
    assert [row.id for row in held.incidents] == ["A"]


def test_commits_name_changes_of_another_source():
    ledger = Ledger.in_memory()
    change_rows = [
        {"id": "42", "deployed_at": "2026-03-02T09:00Z", "service": "pay", "title": "v7"}
    ]
    import_csv(ledger, changes=change_rows, source="github")
    commits = [{"change_id": "42", "commit_id": "abc", "committed_at": "2026-03-01T09:00Z"}]
    by = {"refs": {"change_id": "github"}}
    report = import_csv(ledger, commits=commits, source="git", mapping=by)
    assert (report.rows_refused, report.events, report.corrected) == (0, 1, 0)
    assert lead_time(ledger.facts()).value == 86_400
    [row] = ledger.facts().changes
    assert (row.id, row.services) == ("github/42", ("pay",))
    again = import_csv(
        ledger, commits=commits, source="git", mapping={"refs": {"change_id": "github"}}
    )
    assert again.events == 0


class TestSoManySecondsAfter:
    MADE: ClassVar = {"acknowledged_at": {"after": ["Opened", "Seconds"]}}
    MAPPING: ClassVar = {"incidents": {"columns": {"Opened": "detected_at"}, "made": MADE}}

    @pytest.mark.parametrize(
        ("seconds", "minute"), [("90", 1.5), ("90.5", 90.5 / 60), ("0", 0), ("", None)]
    )
    def test_a_moment(self, seconds, minute):
        rows = [{"id": "A", "Opened": "2026-03-02T09:00Z", "Seconds": seconds}]
        [row] = from_frames(incidents=rows, mapping=self.MAPPING).incidents
        opened = datetime(2026, 3, 2, 9, tzinfo=UTC)
        wanted = None if minute is None else opened + timedelta(minutes=minute)
        assert row.acknowledged_at == wanted

    @pytest.mark.parametrize("wrong", ["soon", "-1", "1e9", "9999999999", "1:30"])
    def test_by_no_other_numbers(self, wrong):
        rows = [{"id": "A", "Opened": "2026-03-02T09:00Z", "Seconds": wrong}]
        if wrong == "9999999999":
            rows[0]["Opened"] = "9990-03-02T09:00Z"
        with pytest.raises(ImportRefusedError, match="Seconds"):
            from_frames(incidents=rows, mapping=self.MAPPING)

    def test_only_of_a_moment_and_of_two(self):
        for name, how in (("title", ["Opened", "Seconds"]), ("resolved_at", ["Opened"])):
            with pytest.raises(InvalidValue):
                csv_options(mapping={"incidents": {"made": {name: {"after": how}}}})


class TestNumbersByTheirTypeBesideTexts:
    """A point of such a number is before its fraction, whatever the mapping says of texts."""

    MAPPING: ClassVar = {
        "decimal": ",",
        "absent": ["offen"],
        "units": {"stated_time_to_restore": "hours"},
    }

    def stated(self, *cells):
        rows = [
            {"id": str(n), "detected_at": "2026-03-02T09:00Z", "stated_time_to_restore": cell}
            for n, cell in enumerate(cells)
        ]
        held = from_frames(incidents=rows, mapping=self.MAPPING)
        return [next(iter(row.stated.values()), None) for row in held.incidents]

    def test_words_for_nothing_are_no_texts(self):
        hour = 3_600_000_000
        assert self.stated(1.234, 2.5, "offen") == [round(1.234 * hour), round(2.5 * hour), None]

    def test_beside_other_texts_nobody_can_tell(self):
        with pytest.raises(ImportRefusedError, match="make the column one of both"):
            self.stated(1.234, "1.234,5")
        assert self.stated(3, "1,5", "2,25")[:2] == [3 * 3_600_000_000, 5_400_000_000]

    def test_texts_alone_are_as_the_mapping_says(self):
        assert self.stated("1.234,5", "offen")[0] == round(1234.5 * 3_600_000_000)


def test_a_blank_of_a_sheet_is_a_blank():
    rows = [{"id": "A", "detected_at": "2026-03-02T09:00Z", "severity": "2\xa0-\xa0Hoch"}]
    for written in ("2 - Hoch", "2\xa0-\xa0hoch"):
        held = from_frames(incidents=rows, mapping={"values": {"severity": {written: "P2"}}})
        assert held.incidents[0].severity_last is Severity.P2
