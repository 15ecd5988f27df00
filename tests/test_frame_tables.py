"""
Tables of links, results, the log and facts; their types, with rows and without; workbooks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import narwhals.stable.v2 as nw
import pandas
import pytest
from python_calamine import CalamineWorkbook

from figures_by_engines import linked
from imcm import (
    Ledger,
    change_failure_rate,
    dora_report,
    facts,
    frames,
    incident,
    lead_time,
    time_to_restore,
    timeline,
)
from imcm.domain.change_events import ChangeRolledBack
from imcm.domain.vocabulary import Between, Verdict
from imcm.errors import InvalidValue, StoreError
from projections.log import at, between, deployment, detected, log, resolved
from projections.log import incident as incident_stream
from projections.two_services import LOG

NEEDS = {"pyarrow": ("pyarrow",), "duckdb": ("duckdb", "pyarrow")}
BACKENDS = [
    pytest.param(
        backend,
        marks=[
            pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")
            for name in NEEDS.get(backend, ())
        ],
    )
    for backend in ("pandas", "polars", "pyarrow", "duckdb")
]


@pytest.fixture
def ledger():
    with Ledger.in_memory() as ledger:
        yield ledger


def recorded(ledger):
    """Record one incident, with a moment between two others and a title that is no formula."""
    noon = datetime(2026, 3, 6, 12, tzinfo=UTC)
    about = Between(earliest=noon, latest=noon + timedelta(minutes=20))
    ledger.record("INC-7", incident.detect, by="=ana", at=about, title="=1+1", services=["pay"])
    ledger.record("INC-7", incident.resolve, by="ana", at=noon + timedelta(hours=2))
    return ledger


# --- types ----------------------------------------------------------------------------------------


def every_table(ledger, story):
    """Return a table of each kind."""
    known, replay = facts(story), ledger.replay()
    labels = ("team", "tier")
    report = dora_report(known, bucket_by="month", group_by="service")
    return {
        "deployments": frames.deployments(known, labels=labels),
        "lead_times": frames.lead_times(known, labels=labels),
        "incidents": frames.incidents(known, labels=labels),
        "links": frames.links(known),
        "figures": frames.figures(frames.deployments(known).to_frame("polars"), by="month"),
        "report": frames.report(report),
        "timeline": frames.timeline(timeline(replay)),
        "log": frames.log(ledger),
        **{
            name: frames.facts(known, name, labels=labels)
            for name in ("incidents", "changes", "causes", "relations", "spells", "commits")
        },
    }


def types_of(table, backend):
    frame = table.to_frame(backend)
    if backend == "pandas":
        return dict(frame.dtypes)
    return dict(nw.from_native(frame).collect_schema())


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_column_has_its_type_with_rows_and_without(backend, ledger):
    """A table without rows, or whose cells are all missing, can stand below one that has them."""
    with Ledger.in_memory() as none:
        empty = every_table(none, [])
    full = every_table(recorded(ledger), LOG)

    for name, table in full.items():
        assert len(table) > 0 or name == "relations"
        without = empty[name]
        if name != "report":  # a report of nothing has its figures, too
            assert len(without) == (1 if name == "log" else 0)
        if name == "figures":
            continue  # by whatever column it is asked for
        assert types_of(without, backend) == types_of(table, backend), name
        assert list(without.columns()) == list(table.columns())


@pytest.mark.parametrize("backend", BACKENDS)
def test_times_are_aware_and_in_utc(backend, ledger):
    table = frames.timeline(timeline(recorded(ledger).replay()))
    told = types_of(table, backend)["at"]
    assert "UTC" in str(told)
    assert "us" in str(told)


# --- labels ---------------------------------------------------------------------------------------

LABELLED = [
    deployment("CHG-1", 1, labels={"team": "core", "tier": "1"}),
    deployment("CHG-2", 2, labels={"team": "edge"}),
]


@pytest.mark.parametrize(
    "make",
    [frames.deployments, frames.facts],
)
def test_labels_that_are_asked_for_are_the_columns_that_there_are(make):
    told = make(log(*LABELLED), labels=("tier", "region", "tier")).columns()
    assert {"label:tier": ["1", None], "label:region": [None, None]} == {
        name: cells for name, cells in told.items() if name.startswith("label:")
    }
    assert not any(name.startswith("label:") for name in make(log(*LABELLED), labels=()).columns())
    assert {"label:team", "label:tier"} < set(make(log(*LABELLED)).columns())


def test_a_mapping_of_labels_is_the_filter_that_figures_have():
    assert ["CHG-2"] == frames.deployments(log(*LABELLED), labels={"team": "edge"}).columns()["id"]


@pytest.mark.parametrize("labels", ["team", 7, [7]])
def test_other_labels_are_refused(labels):
    for make in (frames.deployments, frames.facts):
        with pytest.raises(InvalidValue, match="labels"):
            make(log(*LABELLED), labels=labels)


# --- links ----------------------------------------------------------------------------------------


def test_a_link_says_what_it_makes_of_a_change():
    told = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2, repairs="CHG-1"),
        incident_stream(
            "INC-1",
            detected(between(3, 5)),
            linked("CHG-1", Verdict.CAUSED, 5),
            linked("far/CHG-9", Verdict.FIXED, 5),
            resolved(between(6, 8)),
        ),
        incident_stream("INC-2", detected(3), linked("CHG-1", Verdict.SUSPECTED, 4)),
    )
    rows = frames.links(told).rows()

    assert [
        ("caused", "CHG-1", "INC-1", None, True, (True, True, False)),
        ("fixed", "far/CHG-9", "INC-1", None, False, (False, False, True)),
        ("repaired", "CHG-1", None, "CHG-2", True, (True, False, False)),
    ] == [
        (
            *(row[name] for name in ("link", "change", "incident", "repair", "known")),
            tuple(row[name] for name in ("fails", "recovers", "reworks")),
        )
        for row in rows
    ]
    assert [at(7), None, None] == [row["resolved_at"] for row in rows]
    assert at(7).timestamp() * 1_000_000 == rows[0]["resolved_us"]
    assert {("stated", False)} == {(row["rule"], row["inferred"]) for row in rows}


def test_an_inferred_link_says_by_which_rule():
    rows = frames.links(LOG, attribution="latest_before").rows()
    assert {(False, "stated"), (True, "latest_before")} == {
        (row["inferred"], row["rule"]) for row in rows if row["link"] == "caused"
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"failed_by": ("incident",)}, (1, 1)),
        ({"failed_by": ("repaired",)}, (1, 1)),
        ({"recovered_by": ("rolled_back",)}, (2, 0)),
    ],
)
def test_a_definition_decides_what_links_do(arguments, says):
    told = log(
        deployment("CHG-1", 1),
        deployment("CHG-2", 2, repairs="CHG-1"),
        incident_stream("INC-1", detected(3), linked("CHG-1", Verdict.CAUSED, 5), resolved(6)),
    )
    rows = frames.links(told, **arguments).rows()
    assert says == tuple(sum(row[name] for row in rows) for name in ("fails", "recovers"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"per": "incident"}, "what is joined is a deployment"),
        ({"failures": "first_of_run"}, "in one log only"),
        ({"look_back": "last_success"}, "in one log only"),
        ({"round_each": "hour_down"}, "engines round"),
        ({"recovered_by": ("next_success",)}, "incident first"),
        ({"recovered_by": ("rolled_back", "incident")}, "incident first"),
        ({"group_by": "service"}, "a table has no groups"),
    ],
)
def test_what_can_not_be_joined_is_refused_with_the_reason(arguments, says):
    with pytest.raises(InvalidValue, match=says):
        frames.links(LOG, **arguments)


# --- what is joined -------------------------------------------------------------------------------


def recovery_of(*streams, own=()):
    """Return how long CHG-1 took to recover, by the incidents of another ledger."""
    here = facts(log(deployment("CHG-1", 1, *own)), as_of=at(10_000))
    there = facts(log(*streams), as_of=at(10_000))
    links = nw.concat(
        [nw.from_native(frames.links(known).to_frame("polars")) for known in (here, there)]
    )
    deployments = frames.deployments(here).to_frame("polars")
    row = frames.figures(deployments, links=links.to_native()).rows()[0]
    core = frames.deployments(type(here).joined([here, there], as_of=at(10_000))).rows()[0]
    assert core["failed"] == bool(row["change_failure_rate"])
    assert core["recovery_seconds"] == row["median_recovery_seconds"]
    return row["median_recovery_seconds"]


def caused(name, began, over):
    steps = [detected(began), linked("CHG-1", Verdict.CAUSED, began)]
    return incident_stream(name, *steps, *([] if over is None else [resolved(over)]))


BACK = ChangeRolledBack(at=at(3), by="ci", reached_production=True)


def test_the_last_of_all_incidents_ends_a_failure():
    assert 4 * 3600.0 == recovery_of(caused("INC-1", 2, 4), caused("INC-2", 2, 5))


def test_while_one_incident_lasts_its_own_roll_back_ends_it_or_nothing():
    lasting = caused("INC-1", 2, 4), caused("INC-2", 2, None)
    assert recovery_of(*lasting) is None
    assert 2 * 3600.0 == recovery_of(*lasting, own=[BACK])
    assert 3 * 3600.0 == recovery_of(lasting[0], own=[BACK])


def test_an_end_just_before_the_deployment_is_no_time_and_one_long_before_is_none():
    assert 0.0 == recovery_of(caused("INC-1", 0, 1 - 30 / 3600))
    assert recovery_of(caused("INC-1", 0, 0.5)) is None


def test_a_change_that_repairs_one_of_another_ledger_makes_it_a_failure():
    assert recovery_of(deployment("far/CHG-2", 9, repairs="CHG-1")) is None
    assert 2 * 3600.0 == recovery_of(deployment("far/CHG-2", 9, repairs="CHG-1"), own=[BACK])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda d, li: frames.figures(incidents=frames.incidents(LOG).to_frame(), links=li),
            "give",
        ),
        (lambda d, li: frames.figures(d, links=7), "links"),
        (lambda d, li: frames.figures(d, links=li.drop(columns="fails")), "the column 'fails'"),
        (lambda d, li: frames.figures(d.drop(columns="id"), links=li), "the column 'id'"),
        (lambda d, li: frames.figures(d, by=("month", "month")), "each column once"),
        (lambda d, li: frames.figures(d, by="deployments"), "not the name of a figure"),
        (lambda d, li: frames.figures(d, links=frames.links(LOG).to_frame("polars")), "as dep"),
    ],
)
def test_links_that_can_not_be_joined_are_refused(call, says):
    with pytest.raises(InvalidValue, match=says):
        call(frames.deployments(LOG).to_frame(), frames.links(LOG).to_frame())


# --- figures --------------------------------------------------------------------------------------

MARCH = "2026-03"


def test_a_report_has_its_totals_apart_from_its_periods():
    report = dora_report(LOG, window=MARCH, bucket_by="week", group_by="service", year=2023)
    rows = frames.report(report).rows()
    totals, periods = (frames.report(report, parts=parts).rows() for parts in ("totals", "periods"))

    assert len(rows) == len(totals) + len(periods)
    assert {True} == {row["is_total"] for row in totals}
    assert {False} == {row["is_total"] for row in periods}
    assert 6 * 3 == len(totals)  # all together, pay, shop
    rate = report.change_failure_rate
    whole = next(row for row in totals if row["figure"] == "change_failure_rate")
    assert (rate.value, rate.n, None) == (whole["value"], whole["n"], whole["group"])
    assert (rate.interval.low, rate.interval.high, 0.95) == tuple(
        whole[f"interval_{name}"] for name in ("low", "high", "level")
    )
    assert ", ".join(report.bands["change_failure_rate"]) == whole["band"]
    assert ", ".join(report.interval_bands["change_failure_rate"]) == whole["band_reached"]
    assert len(rate.left_out) == whole["left_out"]
    restore = next(row for row in totals if row["figure"] == "restore")
    assert (report.restore.counts["still open"], None) == (restore["still_open"], restore["band"])


def test_a_period_begins_and_ends_in_utc_and_names_its_zone():
    figure = time_to_restore(LOG, window=MARCH, bucket_by="month", time_zone="Asia/Kolkata")
    total, period = frames.report(figure).rows()
    bounds = datetime(2026, 2, 28, 18, 30, tzinfo=UTC), datetime(2026, 3, 31, 18, 30, tzinfo=UTC)

    for row in (total, period):
        assert bounds == (row["period_start"], row["period_end"])
        assert ("Asia/Kolkata", "time to restore") == (row["time_zone"], row["figure"])
    assert (figure.as_of, figure.log_position) == (total["as_of"], total["log_position"])
    assert figure.window == bounds
    of_all_time = frames.report(time_to_restore(LOG)).rows()[0]
    assert (None, None) == (of_all_time["period_start"], of_all_time["period_end"])


def test_several_figures_stand_below_each_other_and_say_why_they_are_undefined():
    told = frames.report([lead_time([]), change_failure_rate(LOG)]).columns()
    assert ["lead time for changes", "change failure rate"] == told["figure"]
    assert [None, None] == told["band"]
    assert told["value"][0] is None
    assert told["reason"][0] == lead_time([]).reason


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: frames.report(7), "a report, a figure"),
        (lambda: frames.report([LOG]), "a report, a figure"),
        (lambda: frames.report(lead_time(LOG), parts="total"), "one of all, totals, periods"),
        (lambda: frames.report(lead_time(LOG), parts=None), "one of all, totals, periods"),
        (lambda: frames.timeline(LOG), "imcm.timeline"),
        (lambda: frames.timeline(7), "imcm.timeline"),
        (lambda: frames.facts(LOG, "people"), "one of incidents"),
        (lambda: frames.facts(LOG, "log"), "one of incidents"),
        (lambda: frames.log(LOG), "ledger"),
    ],
)
def test_what_is_no_result_is_refused(call, says):
    with pytest.raises(InvalidValue, match=says):
        call()


# --- timelines, the log, facts --------------------------------------------------------------------


def test_a_timeline_is_a_table(ledger):
    recorded(ledger).record(
        "INC-7", incident.correct, by="ana", at=datetime(2026, 3, 7, tzinfo=UTC), version=2,
        field="at", why="later",
        was=datetime(2026, 3, 6, 14, tzinfo=UTC), now=datetime(2026, 3, 6, 15, tzinfo=UTC),
    )  # fmt: skip
    entries = timeline(ledger.replay(), incident="INC-7")
    first, *_, last = frames.timeline(entries).rows()

    noon = datetime(2026, 3, 6, 12, tzinfo=UTC)
    assert noon + timedelta(minutes=10) == first["at"]
    assert (noon, noon + timedelta(minutes=20)) == (first["at_earliest"], first["at_latest"])
    assert ("incident", "INC-7", "IncidentDetected", "=ana") == tuple(
        first[name] for name in ("kind", "id", "what", "by")
    )
    assert [entry.line for entry in entries] == frames.timeline(entries).columns()["line"]
    assert [entry.position for entry in entries] == frames.timeline(entries).columns()["position"]
    resolution = next(
        row for row in frames.timeline(entries).rows() if row["what"] == "IncidentResolved"
    )
    assert (True, False, None) == tuple(
        resolution[name] for name in ("corrected", "voided", "at_earliest")
    )
    assert last["version"] == 3


def test_the_log_is_a_table_and_words_can_be_left_out(ledger):
    told = frames.log(recorded(ledger))
    assert ["LedgerOpened", "IncidentDetected", "IncidentResolved"] == told.columns()["type"]
    assert "=1+1" in told.columns()["words"][1]
    assert {None} == set(frames.log(ledger, words=False).columns()["words"])
    assert 2 == len(frames.log(ledger, known_at=told.columns()["position"][1]))


def test_facts_as_they_stand_are_a_table(ledger):
    row = frames.facts(recorded(ledger).facts(), "incidents").rows()[0]
    assert ("INC-7", "pay", "resolved") == (row["id"], row["services"], row["status"])
    assert '{"detected_at": "2026-03-06T12:00:00Z/2026-03-06T12:20:00Z"}' == row["uncertain"]
    assert ["D0", "D1"] == frames.facts(LOG).columns()["id"][:2]


# --- workbooks ------------------------------------------------------------------------------------


def read_back(path):
    header, *rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    return header, rows


def test_a_table_is_a_workbook_with_one_argument(ledger, tmp_path):
    """What looks like a formula is text, and times say in their column that they are in UTC."""
    path = tmp_path / "timeline.xlsx"
    table = frames.timeline(timeline(recorded(ledger).replay()))
    table.to_excel(path)
    header, rows = read_back(path)

    assert len(table) == len(rows)
    cells = dict(zip(header, rows[0], strict=True))
    assert cells["at (UTC)"] == datetime(2026, 3, 6, 12, 10)  # noqa: DTZ001
    assert cells["by"] == "=ana"
    frames.incidents(log(*LABELLED)).to_excel(path)  # replaced, and without rows
    assert ("id", []) == (read_back(path)[0][0], read_back(path)[1])


def test_a_time_that_no_worksheet_holds_is_text(tmp_path):
    old = datetime(1899, 12, 31, 23, tzinfo=UTC)
    path = tmp_path / "old.xlsx"
    told = log(incident_stream("INC-1", detected(old)), now=old)
    frames.incidents(told).to_excel(str(path))
    header, rows = read_back(path)
    assert "1899-12-31T23:00:00Z" == rows[0][header.index("detected_at (UTC)")]


def test_a_text_that_no_cell_holds_is_cut_and_says_so(tmp_path):
    frames.Table({"words": ["x" * 40_000, "y" * 32_767]}).to_excel(tmp_path / "long.xlsx")
    _, (cut, whole) = read_back(tmp_path / "long.xlsx")
    assert ["x" * 32_764 + "..."] == cut
    assert ["y" * 32_767] == whole


def test_more_rows_than_a_worksheet_holds_are_refused(tmp_path):
    table = frames.Table({"n": range(1_048_576)}, {"n": "whole"})
    with pytest.raises(InvalidValue, match="1,048,575"):
        table.to_excel(tmp_path / "long.xlsx")
    with pytest.raises(InvalidValue, match="path"):
        frames.incidents(LOG).to_excel(7)
    with pytest.raises(StoreError, match="can't be"):
        frames.incidents(LOG).to_excel(tmp_path / "nowhere" / "x.xlsx")
    assert [] == list(tmp_path.iterdir())


def test_what_pandas_itself_writes_needs_times_without_a_zone(tmp_path):
    table = frames.deployments(log(*LABELLED))
    with pytest.raises(ValueError, match=re.compile("timezone", re.IGNORECASE)):
        table.to_frame().to_excel(tmp_path / "aware.xlsx", engine="xlsxwriter")
    table.to_frame(aware=False).to_excel(tmp_path / "t.xlsx", engine="xlsxwriter", index=False)
    header, rows = read_back(tmp_path / "t.xlsx")
    assert at(1).replace(tzinfo=None) == rows[0][header.index("deployed_at")]


def test_missing_cells_of_every_type_are_missing_in_pandas():
    types = ("text", "time", "number", "some truth", "some whole")
    frame = frames.Table({name: [None] for name in types}, {n: n for n in types}).to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.isna().all(axis=None)
