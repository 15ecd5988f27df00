"""
The tables of views as other tools read them: sqlite3, DuckDB and polars see what boards and figures
say, and which tables and columns there are is a promise.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import attrs
import pytest

import imcm
from imcm import Between, Ledger, change, incident
from imcm.demo import StoryClock, tell
from imcm.domain.vocabulary import (
    Audience,
    Commit,
    DismissalReason,
    Impact,
    Kind,
    Mode,
    Relation,
    Risk,
    Role,
    Verdict,
    Window,
)
from imcm.errors import StoreError
from imcm.interchange.csv_files import import_csv
from imcm.projections.boards.views import ChangeView, IncidentView, Update, Vote
from imcm.projections.facts.rows import RolloutStep
from imcm.readmodel.boards import CHANGES, INCIDENTS, MORE, TABLES, VIEWS
from imcm.readmodel.columns import stored_moment

HOSTILE = (
    "'); DROP TABLE incident;--",
    'x" UNION SELECT * FROM facts; --',
    "back\\slash, {json}, [list], null",
    "a/b\tc\nd\r\n\x1b[8m \u202e 🔥",
)
INCIDENTS_CSV = """\
id,service,title,severity,environment,detected_at,resolved_at,caused_by,dismissed,team
OLD-1,search,Search is slow,P2,,2025-11-30T23:30:00Z,2025-12-01T00:30:00Z,OLDC-1,,search
OLD-2,search,No search,P1,,2025-12-05T10:00:00+02:00,2025-12-05T09:00:00Z,,,search
OLD-3,search,A false alarm,P3,,2025-12-06T10:00:00Z,2025-12-06T11:00:00Z,,false_positive,
OLD-4,search,In staging,P3,staging,2025-12-07T10:00:00Z,2025-12-07T11:00:00Z,,,
"""
CHANGES_CSV = """\
id,service,type,kind,status,version,environment,deployed_at,rolled_back_at
OLDC-1,search,normal,deployment,rolled_back,7,,2025-11-30T23:00:00Z,2025-12-01T00:20:00Z
OLDC-2,search;checkout,normal,deployment,successful,8,PROD,2025-12-03T23:00:00Z,
OLDC-3,search,normal,deployment,successful,9,staging,2025-12-04T23:00:00Z,
OLDC-4,search,normal,rollback,successful,7,,2025-12-08T23:00:00Z,
OLDC-5,,normal,deployment,failed,1,,2025-12-09T23:00:00Z,
"""
MAY = datetime(2026, 5, 31, 22, 0, tzinfo=UTC)
"""Later than the story: the ledger's clock never goes back."""
LONG_AGO = date(2020, 1, 1)
"""A day that is over by any machine's clock."""


def own(ledger, clock):
    """Record what the story has not: hostile words, uncertain moments, all the smaller lists."""

    def between(first, last):
        """Return a moment between two minutes."""
        return Between(
            earliest=MAY + timedelta(minutes=first), latest=MAY + timedelta(minutes=last)
        )

    def told(id, step, by="ana", hours=0.0, at=None, **said):
        moment = MAY + timedelta(hours=hours)
        clock.now = max(clock.now, moment)
        ledger.record(id, step, by=by, at=moment if at is None else at, **said)

    for number, title in enumerate(HOSTILE):
        labels = {title if number < 3 else "team": title if number < 3 else "payments"}
        told(f"INC-{number}", incident.detect, title=title, services=["basket"], labels=labels)
    # Its midpoint is half a second into June, though it may have been in May.
    told(
        "INC-5", incident.detect, title="Nobody knows when", at=between(119, 121 + 1 / 60), hours=4
    )
    told("INC-0", incident.assign_role, role=Role.INCIDENT_COMMANDER, person=HOSTILE[0], hours=5,
         at=between(0, 300))  # fmt: skip
    told("INC-0", incident.mark, name="vendor called", hours=5)
    told("INC-0", incident.mark, name="vendor called", at=between(301, 360), hours=6)
    told("INC-0", incident.refer, kind="ticket", address="OPS-1", title=HOSTILE[1], hours=6)
    told("INC-0", incident.post_update, text=HOSTILE[3], hours=6)
    told("INC-0", incident.link_change, change="OLDC-2", verdict=Verdict.SUSPECTED, hours=6)
    told("INC-1", incident.resolve, hours=6)
    told("INC-1", incident.record_review, what_happened="It broke", cause_tags=["config"], hours=7)
    told("INC-1", incident.add_action, text=HOSTILE[0], owner="mia", hours=7,
         due=LONG_AGO)  # fmt: skip
    told("INC-1", incident.add_action, text="Another", hours=7)
    told("INC-6", incident.detect, title="Only tried", mode=Mode.DRILL, hours=7)
    told("INC-7", incident.detect, title="Again", hours=7)
    told("INC-7", incident.dismiss, reason=DismissalReason.EXPECTED, hours=7)
    told("INC-8", incident.detect, title="The same", hours=7)
    ledger.relate("INC-2", to="INC-1", kind=Relation.RECURRENCE_OF, by="ana",
                  at=MAY + timedelta(hours=7))  # fmt: skip
    window = Window(start=MAY + timedelta(days=9), end=MAY + timedelta(days=9, hours=2))
    told("CHG-9", change.plan, title=HOSTILE[1], services=["basket"], risk=Risk.LOW, window=window,
         rollback_plan="redeploy", labels={"team": "payments"}, hours=8)  # fmt: skip
    told("CHG-9", change.refer, kind="ticket", address="OPS-2", hours=8)
    told("CHG-9", change.submit, hours=8)
    told("CHG-8", change.observe, title="Nobody asked", kind=Kind.CONFIGURATION, hours=9,
         services=["basket", "checkout"], version="13")  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A ledger with a story, an import and more; its views, up to date; and the file."""
    folder = tmp_path_factory.mktemp("sql")
    (folder / "incidents.csv").write_text(INCIDENTS_CSV)
    (folder / "changes.csv").write_text(CHANGES_CSV)
    clock = StoryClock()
    with (
        Ledger(folder / "ledger.db", clock=clock) as ledger,
        imcm.views(ledger, folder / "ledger.views", clock=clock) as views,
    ):
        tell(ledger, clock, lambda _: None)
        import_csv(ledger, incidents=folder / "incidents.csv", changes=folder / "changes.csv")
        own(ledger, clock)
        views.catch_up()
        yield ledger, views, folder / "ledger.views"


@pytest.fixture(scope="module")
def views(kept):
    return kept[1]


@pytest.fixture(scope="module")
def figures(kept):
    return kept[1].facts()


@pytest.fixture
def db(kept):
    with closing(sqlite3.connect(f"file:{kept[2]}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


@pytest.fixture
def ask(db):
    def run(statement, *values):
        return [dict(row) for row in db.execute(statement, values)]

    return run


# --- the promise ----------------------------------------------------------------------------------

T, I, R = "TEXT", "INTEGER", "REAL"  # noqa: E741
GOLDEN = {
    "incident": {
        T: "id title status severity severity_name severity_highest services environment labels "
        "symptom channel monitor mode impact_started_at detected_at declared_at acknowledged_at "
        "triaged_at mitigated_at resolved_at closed_at on_hold held_since roles attempts verdicts "
        "dismissed merged_into merged parent related milestones refs problems reviewed_at "
        "cause_tags causes last_recorded_at impact_services last_update_at last_update_by "
        "last_update_audience last_update_text commander people searched",
        I: "reopenings updates withdrawn reviewed imported unread version first_position "
        "last_position impact_customers is_open is_counted seal",
        R: "impact_share",
    },
    "change": {
        T: "id title description status type kind risk services environment labels "
        "deployed_version requested_by planned_by incident repairs template rollback_plan "
        "monitoring_plan test_plan votes rejected_why authorisation unauthorised planned_at "
        "submitted_at approved_at started_at deployed_at ended_at rolled_back_at recovered_at "
        "validated_at closed_at outcome result percent_since rollout on_hold held_since commits "
        "refs last_recorded_at window_start window_end searched",
        I: "has_rollback_plan has_monitoring_plan has_test_plan quorum withdrawn paused imported "
        "unread version first_position last_position reached_production is_ended is_production "
        "is_deployment seal",
        R: "percent",
    },
    "action": {
        T: "incident text owner due added_at completed_at dropped_at status change",
        I: "number seal",
    },
    "incident_service": {T: "incident service"},
    "incident_label": {T: "incident name value"},
    "impact_service": {T: "incident service degree"},
    "role": {T: "incident role person since"},
    "attempt": {T: "incident kind at person change note result", I: "number"},
    "link": {T: "incident change verdict"},
    "relation": {T: "incident other relation"},
    "milestone": {T: "incident name at", I: "number"},
    "cause_tag": {T: "incident tag"},
    "incident_reference": {T: "incident kind address title"},
    "change_service": {T: "change service"},
    "change_label": {T: "change name value"},
    "change_commit": {
        T: "change commit_id authored_at committed_at pull_request opened_at merged_at"
    },
    "change_reference": {T: "change kind address title"},
    "vote": {T: "change person authority at why"},
    "waiting": {T: "change waits_for since"},
    "rollout_step": {T: "change at", I: "number", R: "percent"},
    "deployment": {
        T: "change service environment deployed_version deployed_at rolled_back_at outcome",
        I: "is_deployment",
    },
    "live": {T: "service deployed_version change deployed_at status", R: "percent"},
    "dora_by_month": {
        T: "month",
        I: "deployments deployments_failed deployments_rolled_back incidents_detected "
        "incidents_resolved",
    },
}
"""Tables and views with their columns: tools are built on them. None is taken away or renamed."""

STORED = {"text": T, "integer": I, "real": R}


def promised(name):
    return {column: type_ for type_, names in GOLDEN[name].items() for column in names.split()}


def test_no_table_or_view_is_there_that_is_not_promised(ask):
    private = {"facts", "named", "read", "packed", "imcm_follower"}
    found = {row["name"] for row in ask("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE %'"
                                        " AND type IN ('table', 'view')")}  # fmt: skip
    assert found == GOLDEN.keys() | private
    assert GOLDEN.keys() == {*TABLES, *VIEWS}


@pytest.mark.parametrize("name", GOLDEN)
def test_columns_are_those_promised_and_hold_what_they_say(name, db, ask):
    """Each is read here; a value is of the type of its column, and each view has a row."""
    told = {row["name"]: row["type"] for row in ask(f"PRAGMA table_info({name})")}
    assert told.keys() == promised(name).keys()
    if name in TABLES:
        assert told == promised(name)
    else:
        assert {c: t.type for c, t in VIEWS[name].columns.items() if t.type} == promised(name)
    rows = ask(f"SELECT * FROM {name}")
    assert rows
    for column, type_ in promised(name).items():
        types = {row["t"] for row in ask(f'SELECT DISTINCT typeof("{column}") AS t FROM {name}')}
        assert {STORED[one] for one in types - {"null"}} <= {type_}, column


@pytest.mark.parametrize("name", GOLDEN)
def test_no_name_needs_quotes(name, ask):
    """What an analyst types as it stands is no word of SQL's own."""
    columns = ", ".join(f"{name}.{column}" for column in promised(name))
    bare = ", ".join(promised(name))
    assert ask(f"SELECT {bare} FROM {name}") == ask(f"SELECT {columns} FROM {name}")


def test_every_column_says_what_it_means():
    for name, view in VIEWS.items():
        assert view.says, name
        for column, told in view.columns.items():
            assert told.means or told.sql.startswith(("change.", "incident.")), (name, column)
    assert all(told.means and told.holds for more in MORE.values() for told in more.values())


# --- what boards say ------------------------------------------------------------------------------


class TestSqlite:
    def test_reads_the_words_as_they_are(self, ask):
        titles = {row["title"] for row in ask("SELECT title FROM incident")}
        assert set(HOSTILE) <= titles
        labels = ask("SELECT name, value FROM incident_label WHERE incident = 'INC-0'")
        assert labels == [{"name": HOSTILE[0], "value": HOSTILE[0]}]
        [role] = ask("SELECT person FROM role WHERE incident = 'INC-0'")
        assert role["person"] == HOSTILE[0]

    def test_writes_nothing(self, db):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("DELETE FROM incident")

    def test_sees_the_boards(self, views, ask):
        def ids(statement):
            return sorted(row["id"] for row in ask(statement))

        def of(page):
            return sorted(view.id for view in page)

        assert ids("SELECT id FROM incident WHERE is_open") == of(views.incidents())
        assert ids("SELECT id FROM incident") == of(views.incidents(status="all"))
        current = "SELECT id FROM change WHERE NOT is_ended"
        assert ids(current) == of(views.changes())
        by_service = (
            "SELECT id FROM incident JOIN incident_service ON incident = id "
            "WHERE service = 'basket'"
        )
        assert ids(by_service) == of(views.incidents(status="all", service="basket"))
        by_label = (
            "SELECT id FROM incident JOIN incident_label ON incident = id "
            "WHERE name = 'team' AND value = 'payments'"
        )
        assert ids(by_label) == of(views.incidents(labels={"team": "payments"}))

    def test_sees_the_action_items(self, views, ask):
        rows = ask("SELECT incident, number FROM action WHERE status = 'open' AND due < ?",
                   MAY.date().isoformat())  # fmt: skip
        overdue = views.actions(status="overdue", today=MAY.date())
        assert [(row["incident"], row["number"]) for row in rows] == [
            (item.incident, item.number) for item in overdue
        ]
        assert rows == [{"incident": "INC-1", "number": 1}]

    def test_sees_what_waits(self, views, ask):
        rows = ask("SELECT * FROM waiting ORDER BY since, change")
        assert [(row["change"], row["waits_for"], row["since"]) for row in rows] == [
            (one.change.id, one.waits_for, stored_moment(one.since)) for one in views.approvals()
        ]
        assert {row["waits_for"] for row in rows} == {"approval", "ruling"}

    def test_sees_what_is_live(self, views, ask):
        rows = ask("SELECT * FROM live ORDER BY service")
        assert [tuple(row.values())[:3] for row in rows] == [
            (one.service, one.version, one.change) for one in views.live()
        ]
        assert {row["service"] for row in rows} == {"basket", "checkout", "search"}

    def test_sees_the_calendar(self, views, ask):
        start, end = MAY + timedelta(days=9, hours=1), MAY + timedelta(days=10)
        rows = ask("SELECT id FROM change WHERE window_start < ? AND window_end > ?",
                   stored_moment(end), stored_moment(start))  # fmt: skip
        assert [row["id"] for row in rows] == [one.id for one in views.calendar(start, end)]
        assert rows == [{"id": "CHG-9"}]

    def test_has_moments_alike_wherever_they_are(self, views, ask):
        """In tables and out of JSON: UTC with microseconds, and both bounds of the uncertain."""
        view = views.incident("INC-0")
        assert ask("SELECT since FROM role WHERE incident = 'INC-0'") == [
            {"since": stored_moment(view.roles[0].since)}
        ]
        assert "/" in stored_moment(view.roles[0].since)
        marks = ask("SELECT number, at FROM milestone WHERE incident = 'INC-0' ORDER BY number")
        moments = view.milestones["vendor called"]
        assert marks == [
            {"number": number, "at": stored_moment(at)}
            for number, at in enumerate(moments, start=1)
        ]
        [row] = ask("SELECT detected_at FROM incident WHERE id = 'INC-5'")
        earliest = datetime.fromisoformat(row["detected_at"][:27])
        assert earliest == views.incident("INC-5").detected_at.earliest
        for name, columns in GOLDEN.items():
            for column in columns[T].split():
                if column.endswith("_at") or column in {"at", "since", "held_since"}:
                    for told in ask(f"SELECT {column} AS at FROM {name} WHERE {column} <> ''"):
                        assert all(
                            len(part) == 27 and part.endswith("Z") for part in told["at"].split("/")
                        ), (name, column)


# --- what figures say -----------------------------------------------------------------------------


def month_of(name):
    year, month = map(int, name.split("-"))
    start = datetime(year, month, 1, tzinfo=UTC)
    return start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


class TestMonths:
    def test_have_as_many_deployments_as_the_figure_counts(self, figures, ask):
        rows = ask("SELECT * FROM dora_by_month")
        assert sum(row["deployments"] for row in rows) == imcm.deployment_frequency(figures).n
        for row in rows:
            figure = imcm.deployment_frequency(figures, window=month_of(row["month"]))
            assert len(figure.included) == row["deployments"], row["month"]
        [december] = [row for row in rows if row["month"] == "2025-12"]
        # Staging is none, a roll back is none, and one without a service is one.
        assert (december["deployments"], december["deployments_failed"]) == (2, 1)
        [november] = [row for row in rows if row["month"] == "2025-11"]
        assert november["deployments_rolled_back"] == 1

    def test_have_as_many_deployments_as_the_view_of_them(self, ask):
        counted = ask(
            "SELECT substr(deployed_at, 1, 7) AS month, count(DISTINCT change) AS deployments "
            "FROM deployment WHERE is_deployment GROUP BY 1 ORDER BY 1"
        )
        assert counted == ask(
            "SELECT month, deployments FROM dora_by_month WHERE deployments ORDER BY month"
        )

    def test_have_as_many_incidents_as_the_figure_restores(self, figures, ask):
        for row in ask("SELECT * FROM dora_by_month"):
            window = month_of(row["month"])
            restored = imcm.time_to_restore(figures, window=window)
            assert len(restored.included) == row["incidents_resolved"], row["month"]
            detected = imcm.time_to_restore(figures, window=window, in_window="start")
            everybody = len(detected.included) + len(detected.censored)
            assert everybody == row["incidents_detected"], row["month"]

    def test_place_an_uncertain_moment_as_figures_do(self, figures, ask):
        [june] = ask("SELECT * FROM dora_by_month WHERE month = '2026-06'")
        detected = imcm.time_to_restore(
            figures, window=month_of("2026-06"), in_window="start"
        ).censored
        assert "INC-5" in {one.id for one in detected}
        assert june["incidents_detected"] == len(detected)

    def test_is_counted_says_which(self, views, figures, ask):
        counted = imcm.time_to_restore(figures)
        everybody = {one.id for one in [*counted.included, *counted.censored]}
        rows = ask("SELECT id FROM incident WHERE is_counted")
        assert {row["id"] for row in rows} == everybody
        assert not {"INC-6", "INC-7", "OLD-3", "OLD-4"} & everybody


# --- other tools ----------------------------------------------------------------------------------

PER_SERVICE = (
    "SELECT service, count(DISTINCT change) AS deployments FROM deployment "
    "WHERE is_deployment = 1 AND service IS NOT NULL GROUP BY service ORDER BY service"
)


class TestPolars:
    def test_reads_every_table_through_a_connection(self, db, ask):
        polars = pytest.importorskip("polars")
        for name in GOLDEN:
            frame = polars.read_database(f"SELECT * FROM {name}", db, infer_schema_length=None)
            assert set(frame.columns) == promised(name).keys()
            assert frame.height == ask(f"SELECT count(*) AS n FROM {name}")[0]["n"]

    def test_has_moments_as_times(self, db, views):
        polars = pytest.importorskip("polars")
        frame = polars.read_database(
            "SELECT id, substr(detected_at, 1, 27) AS at FROM incident WHERE is_open ORDER BY id",
            db,
        ).with_columns(polars.col("at").str.to_datetime(time_zone="UTC"))
        told = {view.id: view.detected_at for view in views.incidents()}
        for id_, at in frame.iter_rows():
            assert at == getattr(told[id_], "earliest", told[id_])


@pytest.fixture(scope="module")
def duck(kept):
    """DuckDB on its `sqlite` extension where it is installed, else on frames of polars."""
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    try:
        connection.execute("LOAD sqlite")  # only one that is installed: nothing is fetched
    except duckdb.Error:
        polars = pytest.importorskip("polars")
        with closing(sqlite3.connect(f"file:{kept[2]}?mode=ro", uri=True)) as db:
            for name in GOLDEN:
                frame = polars.read_database(f"SELECT * FROM {name}", db, infer_schema_length=None)
                connection.register(f"frame_{name}", frame.to_arrow())
                connection.execute(f'CREATE TABLE "{name}" AS FROM frame_{name}')
        way = "frames"
    else:
        connection.execute(f"ATTACH '{kept[2]}' AS views (TYPE sqlite, READ_ONLY); USE views")
        way = "extension"
    with connection:
        yield connection, way


class TestDuckDB:
    def test_agrees_with_sqlite(self, duck, db, record_property):
        connection, way = duck
        record_property("duckdb reads through", way)
        for name in GOLDEN:
            [(count,)] = connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()
            assert (count,) == tuple(db.execute(f"SELECT count(*) FROM {name}").fetchone())
        rows = [tuple(row) for row in db.execute(PER_SERVICE)]
        assert connection.execute(PER_SERVICE).fetchall() == rows
        assert dict(rows)["checkout"] >= 4

    def test_has_moments_as_times(self, duck, views):
        connection, _ = duck
        [(seconds,)] = connection.execute(
            "SELECT epoch(CAST(resolved_at AS TIMESTAMPTZ) - CAST(detected_at AS TIMESTAMPTZ)) "
            "FROM incident WHERE id = 'INC-204'"
        ).fetchall()
        view = views.incident("INC-204")
        assert seconds == (view.resolved_at - view.detected_at).total_seconds()


# --- rows and back --------------------------------------------------------------------------------

INDIA = timezone(timedelta(hours=5, minutes=30))
NOON = datetime(2026, 3, 6, 12, 0, 0, 123, tzinfo=INDIA)
UNSURE = Between(earliest=NOON, latest=NOON + timedelta(hours=1))
ODD = (
    (INCIDENTS, IncidentView(id="INC-1", impact=Impact())),
    (INCIDENTS, IncidentView(id="INC-1", impact=Impact(customers=0))),
    (INCIDENTS, IncidentView(id="INC-1", milestones={"called": (NOON, UNSURE, None)})),
    (
        INCIDENTS,
        IncidentView(id="INC-1", last_update=Update(at=None, by="", audience=Audience.PUBLIC)),
    ),
    (CHANGES, ChangeView(id="CHG-1", window=Window(start=NOON, end=NOON + timedelta(hours=1)))),
    (CHANGES, ChangeView(id="CHG-1", rollout=(RolloutStep(UNSURE, 5.0), RolloutStep(None, 50.0)))),
    (CHANGES, ChangeView(id="CHG-1", votes=(Vote(by="mia", authority=None, at=UNSURE),))),
    (CHANGES, ChangeView(id="CHG-1", commits=(Commit(id="9c1f", authored_at=NOON),))),
)


def row_of(columns, view):
    written = columns.write([columns.values(view)])
    return [None if column is None else column[0] for column in written]


@pytest.mark.parametrize(("columns", "view"), ODD)
def test_a_view_is_the_same_after_it_was_a_row(columns, view):
    assert columns.read(row_of(columns, view)) == view


@pytest.mark.parametrize("kind", [INCIDENTS, CHANGES])
def test_rows_written_together_are_those_written_alone(kind):
    """Whatever else stands in a column: times of other zones, unsure ones, none."""
    zone = timezone(timedelta(hours=2))
    moments = [None, NOON, UNSURE, NOON.astimezone(zone), NOON + timedelta(microseconds=5)]
    plain = [view for columns, view in ODD if columns is kind]
    plain += [attrs.evolve(plain[0], last_recorded_at=at, closed_at=at) for at in moments]
    for views in ([plain[0]], plain, plain[::-1], plain[-1:] * 3):
        written = kind.write(map(kind.values, views))
        rows = zip(*(one or [None] * len(views) for one in written), strict=True)
        assert list(rows) == [tuple(row_of(kind, view)) for view in views]


def test_parts_that_are_not_whole_are_told():
    row = row_of(INCIDENTS, IncidentView(id="INC-1", impact=Impact(customers=1)))
    row[INCIDENTS.names.index("impact_services")] = None
    with pytest.raises(StoreError, match="impact is not whole"):
        INCIDENTS.read(tuple(row))


# --- a dashboard ----------------------------------------------------------------------------------

DASHBOARD = json.loads(
    (Path(__file__).parents[2] / "docs" / "grafana-dashboard.json").read_text(encoding="utf-8")
)
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}


class TestGrafana:
    """What of the dashboard can be told without Grafana."""

    def test_dashboard_has_what_one_needs(self):
        assert DASHBOARD.keys() >= {"uid", "title", "schemaVersion", "panels", "templating", "time"}
        assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(PANELS) == 6
        taken = set()
        for panel in DASHBOARD["panels"]:
            assert panel.keys() >= {"id", "type", "title", "gridPos", "targets", "datasource"}
            assert panel["type"] in {"table", "barchart"}
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells

    def test_every_query_is_asked_of_the_source_that_is_chosen(self):
        [source] = DASHBOARD["templating"]["list"]
        wanted = {"type": source["query"], "uid": f"${{{source['name']}}}"}
        assert wanted["type"] == "frser-sqlite-datasource"
        for panel in DASHBOARD["panels"]:
            for asked in (panel, *panel["targets"]):
                assert asked["datasource"] == wanted

    @pytest.mark.parametrize("title", PANELS)
    def test_panel_has_the_columns_it_names_from_public_tables(self, title, db):
        panel = PANELS[title]
        [target] = panel["targets"]
        assert target["queryText"] == target["rawQueryText"]
        read = set()

        def watch(action, table, *_):
            if action == sqlite3.SQLITE_READ:
                read.add(table)
            return sqlite3.SQLITE_OK

        db.set_authorizer(watch)
        cursor = db.execute(target["queryText"])
        columns = [name for name, *_ in cursor.description]
        rows = [dict(row) for row in cursor]
        db.set_authorizer(None)
        assert rows
        assert read <= {*GOLDEN, "json_each"}
        assert len(columns) == len(set(columns))
        named = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
        named |= {panel["options"]["xField"]} if "xField" in panel["options"] else set()
        assert named | set(target["timeColumns"]) <= set(columns)
        for row in rows:
            for column in target["timeColumns"]:
                # RFC 3339, as the plugin reads it; it would show nothing of anything else.
                assert datetime.fromisoformat(row[column]).utcoffset() == timedelta(0)

    def test_panels_show_what_boards_show(self, db, views):
        def ids(title, column="id"):
            [target] = PANELS[title]["targets"]
            return [row[column] for row in db.execute(target["queryText"])]

        assert sorted(ids("Open incidents")) == sorted(view.id for view in views.incidents())
        assert ids("Changes that wait") == [one.change.id for one in views.approvals()]
        assert ids("Live", "change") == [one.change for one in views.live()]


def test_a_file_with_other_tables_is_made_again(tmp_path, monkeypatch):
    """Nobody reads columns of yesterday: the name of what is kept tells which tables they are."""
    with Ledger(tmp_path / "ledger.db", clock=lambda: MAY) as ledger:
        ledger.record("INC-1", incident.detect, by="ana", at=MAY, title="Down")
        for rebuilt in (1, 0):
            with imcm.views(ledger, tmp_path / "views") as views:
                views.catch_up()
                assert views.rebuilt == rebuilt
        monkeypatch.setattr("imcm.readmodel.views.SCHEMA", "another")
        with imcm.views(ledger, tmp_path / "views") as views:
            views.catch_up()
            assert views.rebuilt == 1
