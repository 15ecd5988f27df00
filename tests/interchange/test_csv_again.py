"""CSV as statements of its source: what it says now against what it said, and what is gone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm import Ledger, facts, incident, time_to_restore
from imcm.domain.change_events import (
    ChangeApproved,
    ChangeCompleted,
    ChangePlanned,
    ChangeReworded,
    ChangeStarted,
)
from imcm.domain.corrections import EventVoided, SourceReinstated, SourceSaid, SourceWithdrew
from imcm.domain.incident_events import (
    IncidentAcknowledged,
    IncidentDescribed,
    IncidentDetected,
    IncidentReopened,
    IncidentResolved,
    ReviewRecorded,
    RoleAssigned,
)
from imcm.domain.recorded import Source
from imcm.domain.vocabulary import Role, Window
from imcm.errors import ConflictError, ImportRefusedError, InvalidValue, StepRefused
from imcm.interchange import csv_files, deciding
from imcm.interchange.csv_contract import csv_options
from imcm.interchange.csv_files import import_csv
from imcm.interchange.deciding import additions
from imcm.interchange.statements import Statement
from imcm.ledger.bringing_in import History, Settled

T = "2024-05-01T{:02}:00Z"


def at(hour, day=1):
    return datetime(2024, 5, day, hour, tzinfo=UTC)


@pytest.fixture
def ledger():
    return Ledger.in_memory()


@pytest.fixture
def told(tmp_path, ledger):
    """Import a file of incidents and return the report: hours stand for times."""

    def told(head, *rows, table="incidents", **options):
        path = tmp_path / f"{table}.csv"
        lines = [head, *rows]
        path.write_text("".join(f"{line}\n" for line in lines).replace("@", "2024-05-01T"))
        return import_csv(ledger, **{table: path}, **options)

    return told


@pytest.fixture
def mapping(tmp_path):
    def mapping(text):
        path = tmp_path / "mapping.toml"
        path.write_text(text)
        return path

    return mapping


def events(ledger, stream="incident:1"):
    return [recorded.event for recorded in ledger.history(stream)]


def row_of(ledger):
    [row] = facts(ledger.replay()).incidents
    return row


class TestStatus:
    HEAD = "id,detected_at,resolved_at,closed_at,status"

    @pytest.mark.parametrize("status", ["open", "Acknowledged", "mitigated"])
    def test_an_emptied_end_with_an_open_status_is_a_reopening(self, told, ledger, status):
        told(self.HEAD, "1,@09:00Z,@10:00Z,,resolved")
        report = told(self.HEAD, f"1,@09:00Z,,,{status}")
        assert report.events == 1
        assert type(events(ledger)[-1]) is IncidentReopened
        assert row_of(ledger).status == "mitigating"
        assert told(self.HEAD, f"1,@09:00Z,,,{status}").events == 0

    def test_resolved_emptied_resolved_again_is_a_second_resolution(self, told, ledger):
        told(self.HEAD, "1,@09:00Z,@10:00Z,,resolved")
        told(self.HEAD, "1,@09:00Z,,,open")
        told(self.HEAD, "1,@09:00Z,@12:00Z,,resolved")
        row = row_of(ledger)
        assert (row.status, [spell.resolved for spell in row.spells]) == (
            "resolved",
            [at(10), at(12)],
        )
        assert [type(e) for e in events(ledger)][1:] == [
            IncidentResolved,
            IncidentReopened,
            IncidentResolved,
        ]

    def test_without_a_status_an_emptied_end_says_nothing(self, told, ledger):
        told(self.HEAD, "1,@09:00Z,@10:00Z,,")
        assert told(self.HEAD, "1,@09:00Z,,,").events == 0
        assert told(self.HEAD, "1,@09:00Z,,,resolved").events == 0
        assert row_of(ledger).status == "resolved"

    @pytest.mark.parametrize("ends", ["@10:00Z,", ",@10:00Z", "@10:00Z,@11:00Z"])
    def test_what_is_in_progress_and_over_is_refused(self, told, ends):
        with pytest.raises(ImportRefusedError, match="its status says open; both can't be"):
            told(self.HEAD, f"1,@09:00Z,{ends},open")

    def test_the_sources_word_is_mapped_and_kept(self, told, ledger, mapping):
        words = mapping('[values.status]\n"In Progress" = "open"\nDone = "closed"\n')
        told(self.HEAD, "1,@09:00Z,@10:00Z,@11:00Z,Done", mapping=words)
        told(self.HEAD, "1,@09:00Z,,,in progress", mapping=words)
        assert row_of(ledger).status not in {"resolved", "closed"}
        assert ledger.history("incident:1")[-1].source.status == "in progress"
        with pytest.raises(ImportRefusedError, match="status: 'Stalled': one of open"):
            told(self.HEAD, "1,@09:00Z,,,Stalled", mapping=words)


class TestReopenings:
    HEAD = "id,detected_at,resolved_at,closed_at,reopened_at,status"

    def test_several_are_told_in_one_row(self, told, ledger):
        row = "1,@09:00Z,@15:00Z,,@11:00Z; @13:00Z,resolved"
        assert told(self.HEAD, row).events == 4
        found = [(type(e), e.at) for e in events(ledger)[1:]]
        assert found == [
            (IncidentReopened, at(11)),
            (IncidentReopened, at(13)),
            (IncidentResolved, at(15)),
        ]
        assert told(self.HEAD, row).events == 0

    @pytest.mark.parametrize("status", ["open", ""])
    def test_an_end_before_one_is_of_what_was_over_then(self, told, ledger, status):
        row = f"1,@09:00Z,@10:00Z,@11:00Z,@12:00Z,{status}"
        told(self.HEAD, row)
        assert [e.at for e in events(ledger)[1:]] == [at(10), at(11), at(12)]
        assert row_of(ledger).status not in {"resolved", "closed"}
        assert told(self.HEAD, row + " ").events == 0

    def test_one_that_comes_later_than_the_emptied_end_tells_its_moment(self, told, ledger):
        told(self.HEAD, "1,@09:00Z,@10:00Z,,,resolved")
        told(self.HEAD, "1,@09:00Z,,,,open")
        told(self.HEAD, "1,@09:00Z,,,@12:00Z,open")
        row = row_of(ledger)
        assert (row.status, len(row.spells)) == ("mitigating", 2)
        stands = [e for e in events(ledger) if isinstance(e, IncidentReopened)]
        assert len(stands) == 1
        told(self.HEAD, "1,@09:00Z,@14:00Z,,@12:00Z,resolved")
        assert [spell.resolved for spell in row_of(ledger).spells] == [at(10), at(14)]


class TestPeople:
    def test_of_incidents(self, told, ledger):
        head = "id,detected_at,acknowledged_at,acknowledged_by,commander,reviewed_at"
        told(head, "1,@09:00Z,@10:00Z,ana,zoe,@12:00Z", "2,@09:00Z,,ana,,")
        by = {type(e): e for e in events(ledger)}
        assert by[IncidentAcknowledged].by == "ana"
        assert (by[RoleAssigned].person, by[RoleAssigned].role) == ("zoe", Role.INCIDENT_COMMANDER)
        assert by[ReviewRecorded].at == at(12)
        assert len(events(ledger, "incident:2")) == 1  # by whom counts where it was
        told(head, "1,@09:00Z,@10:00Z,ana,ben,@13:00Z", "2,@09:00Z,,ana,,")
        assert [e.person for e in events(ledger) if isinstance(e, RoleAssigned)] == ["zoe", "ben"]

    def test_of_changes(self, told, ledger):
        head = (
            "id,planned_start,planned_end,approved_at,approved_by,started_at,implemented_by,"
            "deployed_at"
        )
        told(head, "1,@09:00Z,@11:00Z,@08:00Z,ana,@09:00Z,ben,@10:00Z", table="changes")
        planned, approved, started, _ = events(ledger, "change:1")
        assert planned.window == Window(start=at(9), end=at(11))
        assert (approved.by, started.by, type(started)) == ("ana", "ben", ChangeStarted)

    def test_who_did_it_is_told_anew_where_it_is_another(self, told, ledger):
        head = "id,detected_at,acknowledged_at,acknowledged_by,resolved_at"
        for who in ("", "ana", "ben", ""):
            told(head, f"1,@09:00Z,@10:00Z,{who},@11:00Z")
        [recorded] = [
            e for e in deciding.past_standing(events(ledger)).values()
            if isinstance(e, IncidentAcknowledged)
        ]  # fmt: skip
        assert (recorded.by, recorded.at) == ("ben", at(10))
        assert row_of(ledger).status == "resolved"
        head = "id,approved_at,approved_by,started_at,implemented_by,deployed_at,status"
        for approved, done in (("", ""), ("ana", ""), ("ana", "zoe"), ("ben", "zoe"), ("", "")):
            row = f"1,@08:00Z,{approved},@09:00Z,{done},@10:00Z,successful"
            told(head, row, table="changes")
            assert told(head, row + ",", table="changes", keep_going=True).events == 0
        stands = deciding.past_standing(events(ledger, "change:1"))
        assert {type(e): e.by for e in stands.values()} == {
            **dict.fromkeys((ChangePlanned, ChangeCompleted), "import"),
            ChangeApproved: "ben",
            ChangeStarted: "zoe",
        }
        [change] = ledger.facts().changes
        assert (change.outcome, change.started_at) == ("completed", at(9))

    @pytest.mark.parametrize(
        ("cells", "why"),
        [
            ("@09:00Z,,", "planned_end: '': it is empty, and planned_start needs it"),
            (",@09:00Z,", "planned_start: '': it is empty, and planned_end needs it"),
            ("@09:00Z,@08:00Z,", "planned_end: '.*after the start"),
            ("@09:00Z,@10:00Z,observed", "planned_start: .*nobody asked for"),
        ],
    )
    def test_a_window_that_can_not_be(self, told, cells, why):
        with pytest.raises(ImportRefusedError, match=why):
            told("id,planned_start,planned_end,type", f"1,{cells}", table="changes")

    def test_a_window_that_moved_has_no_correction(self, told, ledger):
        head = "id,planned_start,planned_end"
        told(head, "1,@09:00Z,@10:00Z", table="changes")
        with pytest.raises(ImportRefusedError, match=r"window was .* which no correction can"):
            told(head, "1,@09:00Z,@11:00Z", table="changes")
        assert len(events(ledger, "change:1")) == 1


class TestWhatIsSaidNow:
    def test_a_title_that_changed_is_recorded(self, told, ledger):
        told("id,detected_at,title", "1,@09:00Z,Down")
        told("id,deployed_at,title", "1,@09:00Z,v1", table="changes")
        assert told("id,detected_at,title", "1,@09:00Z,Payments are down").events == 1
        assert told("id,deployed_at,title", "1,@09:00Z,v2", table="changes").events == 1
        assert events(ledger)[-1] == IncidentDescribed(
            at=None, by="import", title="Payments are down", imported=True
        )
        assert isinstance(events(ledger, "change:1")[-1], ChangeReworded)

    def test_an_older_row_changes_nothing(self, told, ledger):
        head = "id,detected_at,severity,updated_at"
        told(head, "1,@09:00Z,P1,@12:00Z")
        report = told(head, "1,@09:00Z,P2,@11:00Z")
        assert (report.events, report.superseded > 0) == (0, True)
        assert ledger.history("incident:1")[0].source.recorded_at == at(12)
        report = told(head, "1,@09:00Z,P2,@13:00Z")
        row = row_of(ledger)  # what it became is another event: the highest stays known
        assert (report.corrected, row.severity_last) == (0, "P2")
        assert (row.severity_first, row.severity_highest) == ("P1", "P1")

    def test_the_same_said_later_is_known(self, told, ledger):
        head = "id,detected_at,severity,updated_at"
        told(head, "1,@09:00Z,P1,@12:00Z")
        report = told(head, "1,@09:00Z,P1,@13:00Z")
        assert (report.known, report.corrected) == (1, 0)
        assert isinstance(events(ledger)[-1], SourceSaid)

    def test_a_name_goes_with_its_severity(self, told, ledger):
        head = "id,detected_at,severity,severity_name"
        told(head, "1,@09:00Z,P1,SEV0")
        told(head, "1,@09:00Z,P1,")
        assert row_of(ledger).severity_last_name == "SEV0"
        told(head, "1,@09:00Z,P3,")
        assert (row_of(ledger).severity_last, row_of(ledger).severity_last_name) == ("P3", None)

    def test_a_cause_that_is_told_no_more_is_taken_back(self, told, ledger):
        head = "id,detected_at,caused_by"
        told(head, "1,@09:00Z,C1;C2")
        report = told(head, "1,@09:00Z,C1")
        assert (report.events, report.taken_back, set(row_of(ledger).verdicts)) == (1, 1, {"C1"})
        assert isinstance(events(ledger)[-1], EventVoided)

    def test_two_sources_say_each_its_own(self, told, ledger):
        told("id,detected_at,severity", "1,@09:00Z,P1", source="a")
        told("id,detected_at,severity", "1,@09:00Z,P2", source="b")
        assert {(row.id, row.severity_last) for row in ledger.facts().incidents} == {
            ("a/1", "P1"),
            ("b/1", "P2"),
        }

    def test_what_was_parted_by_hand_is_not_merged_again(self, told, ledger):
        head = "id,detected_at,merged_into,team"
        told(head, "1,@09:00Z,2,a", "2,@09:00Z,,a")
        ledger.unmerge("1", by="ana", at=at(10), why="two different things")
        report = told(head, "1,@09:00Z,2,b", "2,@09:00Z,,a")
        assert (report.corrected, ledger.incident("1").merged_into) == (1, None)

    def test_a_merge_that_stands_is_not_told_twice(self, told, ledger):
        head = "id,detected_at,merged_into"
        told(head, "1,@09:00Z,", "2,@09:00Z,")
        ledger.merge("1", into="2", by="ana", at=at(10))
        assert told(head, "1,@09:00Z,2", "2,@09:00Z,").events == 0


class TestLabels:
    def test_an_empty_cell_says_nothing_but_where_the_mapping_says_that_it_removes(
        self, told, ledger, mapping
    ):
        head = "id,detected_at,team,tier"
        told(head, "1,@09:00Z,core,1")
        assert told(head, "1,@09:00Z,,1").events == 0
        removing = mapping("empty_removes = true\n")
        report = told(head, "1,@09:00Z,,1", mapping=removing)
        assert (report.corrected, row_of(ledger).labels) == (1, {"tier": "1"})
        assert told(head, "1,@09:00Z,,1", mapping=removing).events == 0
        told("id,detected_at,team", "1,@09:00Z,web", mapping=removing)
        assert row_of(ledger).labels == {"tier": "1", "team": "web"}

    def test_an_emptied_list_takes_away_where_the_mapping_says_so(self, told, ledger, mapping):
        """Causes, fixes and services: else an emptied cell says nothing, as all do."""
        head, full = "id,detected_at,caused_by,fixed_by,service", "1,@09:00Z,C1;C2,C3,a;b"

        def stands():
            row = row_of(ledger)
            return sorted(row.verdicts), row.services

        told(head, full)
        before = stands()
        assert told(head, "1,@09:00Z,,,").events == 0
        removing = mapping("empty_removes = true\n")
        one = told(head, "1,@09:00Z,C1,C3,a;b", mapping=removing)
        assert (one.taken_back, one.corrected) == (1, 0)
        none = told(head, "1,@09:00Z,,,", mapping=removing)
        assert (none.taken_back, none.corrected, none.events) == (2, 1, 3)
        assert stands() == ([], ())
        assert told(head, "1,@09:00Z,,,", mapping=removing).events == 0
        told(head, full, mapping=removing)
        assert stands() == before
        assert told(head, "1,@09:00Z,,,", mapping=removing).events == 4
        assert stands() == ([], ())
        told("id,detected_at,caused_by", "1,@09:00Z,C1", mapping=removing)
        assert len(row_of(ledger).verdicts) == 1

    def test_services_that_somebody_put_right_stay(self, told, ledger, mapping):
        """An emptied cell is told once, and a later row that is empty too says nothing new."""
        head, removing = "id,detected_at,service,title", mapping("empty_removes = true\n")
        told(head, "1,@09:00Z,a,x", mapping=removing)
        told(head, "1,@09:00Z,,x", mapping=removing)
        ledger.record(
            "1",
            incident.correct,
            by="ada",
            at=at(12),
            version=1,
            field="services",
            was=(),
            now=("b",),
            why="seen in the logs",
        )
        assert row_of(ledger).services == ("b",)
        told(head, "1,@09:00Z,,y", mapping=removing)
        assert row_of(ledger).services == ("b",)

    @pytest.mark.parametrize("name", ["empty_removes", "complete"])
    def test_it_is_said_with_true_or_false(self, mapping, name):
        with pytest.raises(InvalidValue, match="true or false"):
            csv_options(mapping=mapping(f'{name} = "yes"\n'))


class TestComplete:
    HEAD = "id,detected_at,resolved_at"
    ROWS = tuple(f"{n},@09:00Z,@10:00Z" for n in range(1, 12))

    def test_what_is_gone_is_in_no_figure_until_it_is_there_again(self, told, ledger):
        told(self.HEAD, *self.ROWS, complete=True)
        report = told(self.HEAD, *self.ROWS[1:], complete=True)
        assert (report.events, report.withdrawn, report.histories) == (1, 1, 11)
        assert isinstance(events(ledger)[-1], SourceWithdrew)
        assert time_to_restore(ledger.replay()).n == 10
        assert told(self.HEAD, *self.ROWS[1:], complete=True).events == 0
        report = told(self.HEAD, *self.ROWS, complete=True)
        assert (report.events, report.reinstated) == (1, 1)
        assert isinstance(events(ledger)[-1], SourceReinstated)
        assert time_to_restore(ledger.replay()).n == 11

    def test_more_than_a_tenth_is_confirmed(self, told, ledger):
        told(self.HEAD, *self.ROWS)
        before = list(ledger.rows())
        with pytest.raises(ImportRefusedError, match=r"2 of 11 .*cut off.*--confirm-withdrawals"):
            told(self.HEAD, *self.ROWS[2:], complete=True)
        assert before == list(ledger.rows())
        report = told(self.HEAD, *self.ROWS[2:], complete=True, confirm_withdrawals=True)
        assert report.withdrawn == 2

    def test_it_is_the_list_of_its_own_source_and_kind(self, told, ledger):
        ledger.record("live", incident.detect, by="ana", at=at(8), title="down")
        told(self.HEAD, *self.ROWS, source="a")
        told("id,deployed_at", "1,@09:00Z", table="changes", source="b")
        assert told(self.HEAD, "1,@09:00Z,@10:00Z", source="b", complete=True).withdrawn == 0
        assert told(self.HEAD, "2,@09:00Z,@10:00Z", complete=True).withdrawn == 0

    def test_a_mapping_says_it(self, told, mapping):
        told(self.HEAD, *self.ROWS)
        assert told(self.HEAD, *self.ROWS[1:], mapping=mapping("complete = true\n")).withdrawn == 1

    def test_a_bad_row_is_there_and_one_without_an_id_is_anyone(self, told):
        told(self.HEAD, *self.ROWS)
        report = told(self.HEAD, "1,soon,", *self.ROWS[1:], complete=True, keep_going=True)
        assert (report.withdrawn, report.rows_refused) == (0, 1)
        with pytest.raises(ImportRefusedError, match=r"incidents.csv:2: the id of this row"):
            told(self.HEAD, ",@09:00Z,", *self.ROWS, complete=True, keep_going=True)

    def test_without_it_absence_says_nothing(self, told):
        told(self.HEAD, *self.ROWS)
        assert told(self.HEAD, self.ROWS[0]).events == 0

    def test_what_goes_on_for_one_of_another_source_stays(self, told, ledger, mapping):
        told(self.HEAD, "9,@09:00Z,", source="b")
        refs = mapping('[refs]\nmerged_into = "b"\n')
        told("id,detected_at,merged_into", "1,@09:00Z,9", source="a", mapping=refs)
        report = told(self.HEAD, "1,@09:00Z,", source="a", complete=True)
        assert (report.withdrawn, ledger.incident("b/9").absorbed) == (0, {"a/1"})


class TestDryRun:
    def test_says_what_would_be_and_records_nothing(self, told, ledger):
        head = "id,detected_at,severity,child_of"
        told(head, "1,@09:00Z,P1,")
        before = list(ledger.rows())
        report = told(head, "1,@09:00Z,P2,", "2,@09:00Z,P3,1", "3,@09:00Z,,2", dry_run=True)
        assert before == list(ledger.rows())
        assert (report.new, report.corrected, report.dry_run) == (2, 1, True)
        assert (report.named, report.unknown_named) == (2, ())
        counted = report.events
        assert told(head, "1,@09:00Z,P2,", "2,@09:00Z,P3,1", "3,@09:00Z,,2").events == counted

    def test_counts_what_is_known(self, told):
        told("id,detected_at", "1,@09:00Z", "2,@09:00Z")
        report = told("id,detected_at", "1,@09:00Z", "2,@09:00Z", "3,@09:00Z")
        assert (report.histories, report.new, report.known) == (3, 1, 2)


class TestKnownRows:
    """A row that is the last word of its source decides nothing."""

    @pytest.fixture
    def decided(self, monkeypatch):
        streams = []

        def counted(kind, pairs, statements, **more):
            streams.append(statements[0].id)
            return additions(kind, pairs, statements, **more)

        monkeypatch.setattr(csv_files, "additions", counted)
        return streams

    HEAD = "id,detected_at,severity"

    def test_only_others_are_decided(self, told, decided):
        told(self.HEAD, "1,@09:00Z,P1", "2,@09:00Z,P1")
        decided.clear()
        report = told(self.HEAD, "1,@09:00Z,P1", "2,@09:00Z,P2")
        assert (decided, report.known, report.corrected) == (["2"], 1, 1)

    def test_what_was_said_before_the_last_word_is_decided(self, told, decided, ledger):
        for severity in ("P1", "P2", "P1"):
            told(self.HEAD, f"1,@09:00Z,{severity}")
        assert (len(decided), row_of(ledger).severity_last) == (3, "P1")

    def test_read_by_another_mapping_it_is_another(self, told, decided, ledger, mapping):
        told(self.HEAD, "1,@09:00Z,P1")
        told(self.HEAD, "1,@09:00Z,P1", mapping=mapping('[values.severity]\nP1 = "P2"\n'))
        assert (len(decided), row_of(ledger).severity_last) == (2, "P2")

    def test_so_it_is_under_another_header_and_of_another_importer(
        self, told, decided, monkeypatch
    ):
        told("id,impact_started_at,detected_at", "1,@09:00Z,@10:00Z")
        told("id,detected_at,impact_started_at", "1,@09:00Z,@10:00Z")
        assert len(decided) == 2
        monkeypatch.setattr("imcm.interchange.csv_statements.READING", 9)
        told("id,detected_at,impact_started_at", "1,@09:00Z,@10:00Z")
        assert len(decided) == 3

    def test_what_came_from_others_since_changes_no_last_word(self, told, decided, ledger):
        told(self.HEAD, "1,@09:00Z,P1", "2,@09:00Z,")
        told("id,detected_at,severity,merged_into", "2,@09:00Z,,1")
        ledger.record("1", incident.acknowledge, by="ana", at=at(10))
        decided.clear()
        assert told(self.HEAD, "1,@09:00Z,P1").events == 0
        assert decided == []

    def test_commits_of_a_change_are_known_beside_its_row(self, ledger, decided, tmp_path):
        changes, commits = tmp_path / "changes.csv", tmp_path / "commits.csv"
        changes.write_text("id,deployed_at\n1,2024-05-01T09:00Z\n")
        commits.write_text("change_id,commit_id\n1,a\n")
        import_csv(ledger, changes=changes, commits=commits)
        decided.clear()
        assert import_csv(ledger, changes=changes, commits=commits).events == 0
        assert decided == []
        commits.write_text("change_id,commit_id\n1,a\n1,b\n")
        report = import_csv(ledger, changes=changes, commits=commits)
        assert (decided, report.corrected) == (["1"], 1)
        assert ledger.change("1").commits == {"a", "b"}

    def test_names_and_merges_of_known_rows_are_still_seen(self, told, ledger):
        head = "id,detected_at,caused_by,merged_into"
        rows = ("1,@09:00Z,C9,2", "2,@09:00Z,,")
        told(head, *rows)
        report = told(head, *rows)
        assert (report.events, report.named, report.unknown_named) == (0, 2, ("C9",))


class TestTogether:
    """`Ledger.bring_in` that decides everything before it records."""

    @staticmethod
    def history(stream="incident:a", name="x", fails=False):
        def decide(there):
            if fails:
                raise StepRefused("bring_in", "no", "it can't be")
            event = (
                IncidentResolved(at=at(10 + len(there)), by="x", imported=True)
                if there
                else IncidentDetected(at=at(9), by="x", imported=True)
            )
            return [(event, Source(name=name))]

        return History(stream=stream, decide=decide)

    def test_a_stream_that_comes_twice_sees_what_waits(self, ledger):
        both = [self.history(), self.history("incident:b"), self.history()]
        assert ledger.bring_in(both, together=True) == (2, 3)
        assert [type(e) for e in events(ledger, "incident:a")] == [
            IncidentDetected,
            IncidentResolved,
        ]

    def test_what_ends_it_ends_it_with_nothing_recorded(self, ledger):
        before = list(ledger.rows())
        with pytest.raises(StepRefused):
            ledger.bring_in([self.history(), self.history("incident:b", fails=True)], together=True)
        assert before == list(ledger.rows())

    def test_what_is_refused_is_left_out(self, ledger):
        refused = []
        given = [self.history(), self.history("incident:b", fails=True)]
        ledger.bring_in(given, together=True, refused=lambda h, _: refused.append(h.stream))
        assert refused == ["incident:b"]
        assert {row.id for row in ledger.facts().incidents} == {"a"}

    def test_it_is_settled_once_all_is_decided(self, ledger):
        def settle():
            return Settled(["incident:a"], [self.history("incident:b"), self.history("incident:c")])

        given = [self.history(), self.history("incident:b")]
        assert ledger.bring_in(given, together=True, settle=settle) == (2, 3)
        assert {(row.id, row.status) for row in ledger.facts().incidents} == {
            ("b", "resolved"),
            ("c", "detected"),
        }

    def test_a_dry_run_counts(self, ledger):
        before = list(ledger.rows())
        assert ledger.bring_in([self.history(), self.history()], together=True, dry_run=True) == (
            1,
            2,
        )
        assert before == list(ledger.rows())

    def test_it_is_stamped_when_it_is_recorded(self):
        hours = iter(range(24))
        ledger = Ledger.in_memory(clock=lambda: at(next(hours)))
        seen = []
        ledger.bring_in([self.history()], together=True, settle=lambda: seen.append(1) or Settled())
        [recorded] = ledger.history("incident:a")
        assert recorded.recorded_at == at(next(hours) - 1)

    @pytest.mark.parametrize("settle", [5, lambda: None])
    def test_what_can_not_settle(self, ledger, settle):
        with pytest.raises(InvalidValue, match="settle"):
            ledger.bring_in([self.history()], together=True, settle=settle)
        with pytest.raises(InvalidValue, match="together"):
            ledger.bring_in([self.history()], settle=Settled)

    def test_somebody_else_who_records_meanwhile(self, tmp_path):
        with Ledger(tmp_path / "l.db") as ledger, Ledger(tmp_path / "l.db") as other:

            def settle():
                other.record("a", incident.detect, by="ana", at=at(8), title="x")
                return Settled()

            with pytest.raises(ConflictError):
                ledger.bring_in([self.history()], together=True, settle=settle)
            assert len(ledger.history("incident:a")) == 1


FACTS = st.fixed_dictionaries(
    {"detected_at": st.just(at(9))},
    optional={
        "title": st.sampled_from(["", "x"]),
        "severity": st.sampled_from(["P1", "P2"]),
        "severity_name": st.just("SEV1"),
        "customers": st.just(5),
        "acknowledged_at": st.just(at(10)),
        "acknowledged_by": st.just("ana"),
        "mitigated_at": st.sampled_from([at(11), None]),
        "resolved_at": st.sampled_from([at(8), at(12), None]),
        "closed_at": st.just(at(13)),
        "commander": st.just("zoe"),
        "reviewed_at": st.just(at(14)),
        "labels": st.just({"a": "1", "b": None}),
        "references": st.just({"ticket": "https://t/1"}),
        "caused_by": st.just(["C1"]),
        "child_of": st.just("9"),
        "stated_time_to_restore": st.just(60),
        "marks": st.just({"vendor called": at(10)}),
        "dismissed": st.just("expected"),
    },
)
CHANGE_FACTS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["successful", "failed", "cancelled", "rolled_back"]),
        "type": st.sampled_from(["normal", "observed"]),
        "deployed_at": st.just(at(10)),
        "approved_by": st.just("ana"),
        "started_at": st.just(at(9)),
        "closed_at": st.just(at(11)),
        "labels": st.just({"a": "1"}),
        "commits": st.just(()),
    },
)


@settings(max_examples=200, deadline=None)
@given(
    kind_and_facts=FACTS.map(lambda f: ("incident", f)) | CHANGE_FACTS.map(lambda f: ("change", f))
)
def test_the_shorter_way_says_what_the_longer_one_says(kind_and_facts):
    kind, told = kind_and_facts
    statement = Statement(kind=kind, id="1", facts=told, sha256="00")
    short = additions(kind, (), [statement], source="a", by="x")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deciding, "_is_plain", lambda _: False)
        assert additions(kind, (), [statement], source="a", by="x") == short
