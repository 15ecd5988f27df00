"""
Tables of facts in real frames: their figures are those of the core, whatever the engine.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec

import narwhals.stable.v2 as nw
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figures_by_engines import (
    CORE,
    COUNTS,
    TABLES,
    assert_agree,
    joined,
    logs,
    same,
    several,
    tables,
    whole,
)
from imcm import deployment_frequency, dora_report, facts, frames, lead_time
from imcm.domain.change_events import ChangeFailed, CommitsRecorded
from imcm.domain.incident_events import IncidentResolved
from imcm.domain.vocabulary import Commit
from imcm.errors import InvalidValue, MissingExtraError, MissingPackageError
from imcm.frames.days import Days, days_of_period
from projections.log import (
    acknowledged,
    at,
    change,
    deployment,
    detected,
    imported,
    incident,
    log,
    planned,
    resolved,
)
from projections.two_services import LOG


def streamed(table):
    """Return a frame of polars that is computed in batches, as what doesn't fit in memory is."""
    return table.to_frame("polars").lazy()


ENGINES = {
    "pandas": lambda table: table.to_frame("pandas"),
    "polars": lambda table: table.to_frame("polars"),
    "lazy polars": lambda table: table.to_frame("polars").lazy(),
    "streaming polars": streamed,
    "duckdb": lambda table: table.to_frame("duckdb"),
}
needs = {
    name: pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")
    for name in ("duckdb", "pyarrow")
}
engines = pytest.mark.parametrize(
    "engine",
    [
        pytest.param(name, marks=[needs["duckdb"], needs["pyarrow"]] if name == "duckdb" else [])
        for name in ENGINES
    ],
)


def by_frames(known, engine, by=None, *, days=None, each_service=False, **arguments):
    """Return the rows of figures by engine, by group."""
    found = tables(known, **arguments)
    if each_service:
        found = {name: table.by_service() for name, table in found.items()}
    given_ = {name: ENGINES[engine](table) for name, table in found.items()}
    return {row.get(by): row for row in computed(engine, **given_, by=by, days=days)}


def computed(engine, **arguments):
    """Return the rows of figures of frames of an engine."""
    with polars.Config(engine_affinity="streaming" if "streaming" in engine else "auto"):
        return frames.figures(**arguments).rows()


# --- agreement ------------------------------------------------------------------------------------

many = settings(max_examples=60, deadline=None, derandomize=True)
fewer = settings(many, max_examples=30)
HERE = [name for name in ENGINES if name != "duckdb" or find_spec("duckdb")]
ENGINE = st.sampled_from(HERE)


@many
@given(logs(), ENGINE)
def test_figures_of_all_rows_are_those_of_the_core(known, engine):
    assert_agree(by_frames(known, engine)[None], whole(known))


@many
@given(logs(), ENGINE)
def test_figures_of_services_are_those_of_the_core(known, engine):
    rows = by_frames(known, engine, "service", each_service=True)

    for name, compute in (CORE | COUNTS).items():
        for group in compute(known, group_by="service").groups:
            wanted = group.n if name in COUNTS else group.value
            row = rows.get(group.group, {})
            assert same(wanted, row.get(name)) or (not row and not wanted), (name, group.group)


@many
@given(
    logs(),
    ENGINE,
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from(["UTC", "Europe/London", "America/Los_Angeles", "Asia/Kolkata"]),
)
def test_figures_of_periods_are_those_of_the_core(known, engine, by, time_zone):
    """Each period of the core that has rows is there, and says the same; others have nothing."""
    rows = by_frames(known, engine, by, time_zone=time_zone)

    for name, compute in (CORE | COUNTS).items():
        for part in compute(known, bucket_by=by, time_zone=time_zone).buckets:
            begins = Days(time_zone).period_columns([part.window[0]])[by][0]
            row = rows.get(begins)
            wanted = part.n if name in COUNTS else part.value
            assert same(wanted, row[name]) if row is not None else not wanted, (name, begins)


def below_each_other(engine, parts):
    """Return the tables of several ledgers as one frame of each."""
    stacked = {}
    for name in TABLES:
        each = [getattr(frames, name)(known, labels=()) for known in parts]
        if name != "links":
            each = [table.by_service() for table in each]
        native = [nw.from_native(ENGINES[engine](table)) for table in each]
        stacked[name] = nw.concat(native).to_native()
    return stacked


@fewer
@given(several(), ENGINE)
def test_figures_of_several_ledgers_are_those_of_the_core(parts, engine):
    """Incidents of one ledger fail deployments of another, and end them, in every engine."""
    known = joined(parts)
    each = below_each_other(engine, parts)
    rows = {(row["service"], row["month"]): row for row in computed(
        engine, **each, by=("service", "month"))}  # fmt: skip

    for name, compute in (CORE | COUNTS).items():
        if name == "deployments_per_day":
            continue  # the core counts a month of a group as far as all deployments reach, too
        for group in compute(known, group_by="service", bucket_by="month").groups:
            for part in group.buckets:
                month = Days("UTC").period_columns([part.window[0]])["month"][0]
                row = rows.get((group.group, month))
                wanted = part.n if name in COUNTS else part.value
                assert same(wanted, row[name]) if row is not None else not wanted, (name, group)


@fewer
@given(several(), ENGINE)
def test_the_whole_of_several_ledgers_is_that_of_the_core(parts, engine):
    stacked = {}
    for name in TABLES:
        native = [
            nw.from_native(ENGINES[engine](getattr(frames, name)(one, labels=()))) for one in parts
        ]
        stacked[name] = nw.concat(native).to_native()
    assert_agree(computed(engine, **stacked)[0], whole(joined(parts)))


@engines
@pytest.mark.parametrize("by", [None, "service", "month"])
def test_every_engine_says_the_same_of_a_story(engine, by):
    known = facts(LOG)
    rows = by_frames(known, engine, by, each_service=by == "service")

    if by is None:
        assert_agree(rows[None], whole(known))
        assert 0.28 == rows[None]["deployments_per_day"]  # 7 deployments in 25 days
    else:
        assert rows == by_frames(known, "pandas", by, each_service=by == "service")
        assert list(rows) == (["pay", "shop"] if by == "service" else ["2026-02", "2026-03"])


@engines
def test_days_are_a_window_of_the_core(engine):
    """Rows of other days are passed over; the days themselves are counted, deployed on or not."""
    known = facts(LOG)
    window = (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC))
    days = date(2026, 3, 2), date(2026, 3, 15)

    assert_agree(by_frames(known, engine, days=days)[None], whole(known, window=window))
    weeks = by_frames(known, engine, "week", days=days)
    for name, compute in CORE.items():
        for part in compute(known, window=window, bucket_by="week").buckets:
            row = weeks[Days("UTC").period_columns([part.window[0]])["week"][0]]
            assert same(part.value, row[name]), name


def test_a_window_of_the_table_holds_what_the_core_counts_in_it():
    window = (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC))
    known = facts(LOG)
    row = by_frames(known, "pandas", days=(date(2026, 3, 2), date(2026, 3, 15)), window=window)

    assert_agree(row[None], whole(known, window=window))
    ids = [row["id"] for row in frames.incidents(known, window=window).rows()]
    assert ["I1", "I2", "I3", "I4", "I5"] == ids


def test_lead_times_are_the_population_of_the_core():
    known = facts(LOG)
    rows = frames.lead_times(known).rows()

    wanted = {one.id: one.value for one in lead_time(known).included}
    assert wanted == {row["id"]: row["lead_time_seconds"] for row in rows}
    assert ["D1", "D2", "D2", "D3"] == [row["deployment"] for row in rows]


def test_a_commit_of_a_failed_deployment_stands_with_the_one_that_brought_it():
    failed = change(
        "CHG-1",
        planned(0),
        CommitsRecorded(at=at(0), by="ci", commits=(Commit(id="c", committed_at=at(-1)),)),
        ChangeFailed(at=at(1), by="ci", reached_production=True),
    )
    rows = frames.lead_times(log(failed, deployment("CHG-2", 5))).rows()

    assert [("c", "CHG-2", 6 * 3600.0)] == [
        (row["id"], row["deployment"], row["lead_time_seconds"]) for row in rows
    ]


# --- rows and columns -----------------------------------------------------------------------------


def test_a_row_of_each_table_is_plain_values():
    told = tables(facts(LOG), time_zone="America/Los_Angeles")

    assert told["deployments"].rows()[1] == {
        "id": "D1",
        "service": "pay",
        "deployed_at": datetime(2026, 3, 2, 9, tzinfo=UTC),
        "day": "2026-03-02",
        "week": "2026-W10",
        "month": "2026-03",
        "quarter": "2026-Q1",
        "year": "2026",
        "day_number": date(2026, 3, 2).toordinal(),
        "failed": True,
        "rework": False,
        "recovery_seconds": 19_800.0,
        "failed_because": "incident I1; incident I2",
        "deployed_us": 1_772_442_000_000_000,
        "own_recovery_seconds": None,
    }
    assert told["lead_times"].columns()["lead_time_seconds"] == [7230, 36_000, 21_600, 3600]
    open_, restored = told["incidents"].rows()[5], told["incidents"].rows()[0]
    assert (None, None, None) == (open_["resolved_at"], open_["month"], open_["restore_seconds"])
    assert ("P2", 7230.0) == (restored["severity"], restored["restore_seconds"])


def test_days_are_those_of_the_zone():
    """Half past eleven on New Year's Eve in London is the next year in Kolkata, and week 53."""
    late = log(deployment("CHG-1", datetime(2020, 12, 31, 23, 30, tzinfo=UTC)))

    periods = ("day", "week", "month", "quarter", "year")
    row = frames.deployments(late, time_zone="Asia/Kolkata").rows()[0]
    assert ["2021-01-01", "2020-W53", "2021-01", "2021-Q1", "2021"] == [row[p] for p in periods]
    row = frames.deployments(late).rows()[0]
    assert ["2020-12-31", "2020-W53", "2020-12", "2020-Q4", "2020"] == [row[p] for p in periods]


@pytest.mark.parametrize("period", ["quarter", "year"])
def test_quarters_and_years_are_as_long_as_they_are(period):
    """A quarter is divided by its own days, not by all there are."""
    story = log(*(deployment(f"CHG-{n}", datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=n))
                  for n in range(500)))  # fmt: skip
    made = frames.deployments(story)
    found = frames.figures(deployments=made.to_frame("polars"), by=period).rows()
    core = deployment_frequency(story, bucket_by=period).buckets
    assert [1.0] * len(core) == [row["deployments_per_day"] for row in found]
    assert [each.n for each in core] == [row["deployments"] for row in found]


@pytest.mark.parametrize("text", ["2026", "2026-Q5", "2026-Q", "2026Q1"])
def test_a_quarter_is_told_as_the_tables_tell_it(text):
    with pytest.raises(InvalidValue, match="2026-Q1"):
        days_of_period("quarter", text)


def test_a_date_that_comes_twice_is_cut_as_figures_cut_it():
    """In 2005 the clocks of St. John's went from a minute past midnight back over it."""
    midnight = datetime(2005, 10, 30, 2, 30, tzinfo=UTC)
    days = Days("America/St_Johns")
    moments = [midnight + timedelta(seconds=s) for s in (-1, 0, 120, 3600, 90_000)]

    assert [30 - (n == 0) + (n == 4) for n in range(5)] == [days.of(m).day for m in moments]


def test_lists_and_mappings_are_the_caller_s():
    table = frames.deployments(LOG)
    table.columns()["id"].clear()
    table.rows()[0].clear()

    assert 7 == len(table) == len(table.columns()["id"])
    assert 15 == len(table.rows()[0])


def test_several_services_are_joined_or_rows_of_their_own():
    table = frames.deployments(
        log(
            deployment("CHG-1", 1, services=("pay", "search")),
            deployment("CHG-2", 2, services=()),
        )
    )

    assert ["pay, search", "(none)"] == table.columns()["service"]
    each = table.by_service()
    assert ["pay", "search", "(none)"] == each.columns()["service"]
    assert ["CHG-1", "CHG-1", "CHG-2"] == each.columns()["id"]
    assert each.rows() == each.by_service().rows()


# --- frames ---------------------------------------------------------------------------------------

TYPES = {
    "id": nw.String(),
    "deployed_at": nw.Datetime("us", "UTC"),
    "failed": nw.Boolean(),
    "day_number": nw.Int64(),
    "recovery_seconds": nw.Float64(),
}


@pytest.mark.parametrize("told", [LOG, []], ids=["rows", "no rows"])
@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_frames_have_types_with_rows_or_without(backend, told):
    frame = frames.deployments(told).to_frame(backend)

    schema = nw.from_native(frame).schema
    found = {name: schema[name] for name in TYPES}
    if backend == "pandas" and not told:
        found["id"] = TYPES["id"]  # pandas guesses the type of texts from texts
    assert TYPES == found


def test_what_is_not_there_is_missing_in_a_frame():
    table = frames.incidents(LOG)

    assert table.to_frame("polars")["month"].null_count() == 1
    in_pandas = table.to_frame()
    assert isinstance(in_pandas, pandas.DataFrame)
    assert 1 == in_pandas["month"].isna().sum() == in_pandas["resolved_at"].isna().sum()
    assert 1 == in_pandas["restore_seconds"].isna().sum()


def test_all_that_is_not_there_is_missing_too():
    """Where nothing is resolved a column of texts has no text."""
    table = frames.incidents(log(incident("INC-1", detected(1))))

    assert table.to_frame()["month"].isna().all()
    assert [None] == table.to_frame("polars")["month"].to_list()
    assert [] == frames.figures(incidents=table.to_frame(), by="month").rows()


@pytest.mark.parametrize("year", [1, 3000])
@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_far_times_fit(year, backend):
    moment = datetime(year, 6, 1, tzinfo=UTC)
    table = frames.incidents(log(incident("INC-1", detected(moment)), now=moment))

    assert year == nw.from_native(table.to_frame(backend))["detected_at"][0].year


@needs["pyarrow"]
def test_an_arrow_stream_is_taken_without_to_frame():
    import pyarrow

    table = frames.incidents(LOG)
    assert table.rows() == polars.DataFrame(table).rows(named=True)
    assert table.rows() == pyarrow.table(table).to_pylist()


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_figures_of_nothing_are_undefined(backend):
    none = {name: table.to_frame(backend) for name, table in tables(facts([])).items()}

    row = frames.figures(**none).rows()[0]
    assert {"deployments": 0, "lead_times": 0, "restored": 0} == {n: row[n] for n in COUNTS}
    assert {None} == {row[name] for name in CORE}
    assert [] == frames.figures(**none, by="month").rows()
    days = date(2026, 1, 1), date(2026, 1, 31)
    assert 0.0 == frames.figures(none["deployments"], days=days).rows()[0]["deployments_per_day"]


def test_only_the_figures_of_the_frames_that_were_given_are_there():
    incidents = frames.incidents(LOG).to_frame()

    found = frames.figures(incidents=incidents, by="severity")
    assert ["severity", "restored", "median_restore_seconds"] == list(found.columns())
    assert ["(none)", "P2"] == found.columns()["severity"]


def test_a_month_without_deployments_is_a_measured_nothing():
    """It lies between two deployments and has an incident, so it is there, and has none."""
    told = log(
        deployment("CHG-1", datetime(2026, 1, 5, tzinfo=UTC)),
        deployment("CHG-2", datetime(2026, 3, 5, tzinfo=UTC)),
        incident("INC-1", detected(datetime(2026, 2, 5, tzinfo=UTC)), resolved(-500)),
        incident("INC-2", detected(datetime(2026, 5, 5, tzinfo=UTC)), resolved(1600)),
    )
    rows = by_frames(facts(told), "polars", "month")

    assert (0, 0.0, None) == tuple(
        rows["2026-02"][name]
        for name in ("deployments", "deployments_per_day", "change_failure_rate")
    )
    assert 1 / 27 == rows["2026-01"]["deployments_per_day"]  # from the 5th to the 31st
    assert rows["2026-05"]["deployments_per_day"] is None


# --- notebooks ------------------------------------------------------------------------------------


def test_html_is_escaped_and_short():
    streams = [
        incident(f"<script>{n}", detected(n, services=("a&b",)), resolved(n + 1)) for n in range(12)
    ]
    html = frames.incidents(log(*streams))._repr_html_()

    assert "<script>" not in html
    assert 10 == html.count("&lt;script&gt;") == html.count("a&amp;b")
    assert html.endswith("<p>and 2 more</p>")


def test_a_table_without_rows_shows_its_columns():
    table = frames.incidents([])

    assert "<th>restore_seconds</th>" in table._repr_html_()
    assert "more" not in table._repr_html_()
    assert "<Table of 0 rows: id, service, severity" in repr(table)


# --- bad input ------------------------------------------------------------------------------------

GOOD = frames.deployments(LOG).to_frame()
DAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (frames.figures, "at least one frame"),
        (lambda: frames.figures([1, 2]), "a frame of pandas, polars, duckdb"),
        (lambda: frames.figures(GOOD["failed"]), "a frame of pandas"),
        (lambda: frames.figures(frames.deployments(LOG)), "as Table.to_frame makes it"),
        (lambda: frames.figures(GOOD.drop(columns="failed")), "a frame with the column 'failed'"),
        (lambda: frames.figures(GOOD.drop(columns="day_number")), "the column 'day_number'"),
        (lambda: frames.figures(GOOD, by="team"), "a frame with the column 'team'"),
        (lambda: frames.figures(GOOD, by=7), "by: 7 is not allowed; give text"),
        (lambda: frames.figures(incidents=GOOD), "the column 'restore_seconds'"),
        (lambda: frames.figures(GOOD.drop(columns="day"), days=(DAY, DAY)), "the column 'day'"),
        (lambda: frames.figures(GOOD.assign(week="10"), by="week"), "such as 2026-W10"),
        (lambda: frames.figures(GOOD, days=DAY), "a tuple of two dates"),
        (lambda: frames.figures(GOOD, days=("2026-03-02", "2026-03-03")), "a tuple of two dates"),
        (lambda: frames.figures(GOOD, days=(DAY,)), "a tuple of two dates"),
        (lambda: frames.figures(GOOD, days=(DAY, DAY, 1)), "a tuple of two dates"),
        (lambda: frames.figures(GOOD, days=(DAY, DAY - timedelta(1))), "the first day comes first"),
        (lambda: frames.deployments(LOG).to_frame("excel"), "pandas, polars, pyarrow, duckdb"),
        (lambda: frames.deployments(LOG).to_frame(None), "pandas, polars, pyarrow, duckdb"),
        (lambda: frames.figures(GOOD).by_service(), "a table of deployments"),
        (lambda: frames.deployments(LOG, group_by="service"), "give by= to figures"),
        (lambda: frames.lead_times(LOG, bucket_by="month"), "give by= to figures"),
        (lambda: frames.deployments(LOG, per="incident"), "a row is a deployment"),
        (
            lambda: frames.deployments(LOG, window=(at(0), at(1)), in_window="end"),
            "a window holds deployments",
        ),
        (lambda: frames.incidents(LOG, reopened="first"), "a row is an incident"),
        (lambda: frames.incidents(LOG, in_window="start"), "the day it was resolved"),
        (lambda: frames.incidents(LOG, reopened="each"), "a row is an incident"),
        (lambda: frames.incidents(LOG, time_zone="Mars"), "an IANA zone"),
    ],
)
def test_what_can_not_be_is_refused_with_what_can(call, says):
    with pytest.raises(InvalidValue, match="is not allowed") as refused:
        call()
    assert says in str(refused.value)


@needs["pyarrow"]
def test_pyarrow_is_refused_since_its_median_is_approximate():
    with pytest.raises(InvalidValue, match="medians of others may be approximate"):
        frames.figures(frames.deployments(LOG).to_frame("pyarrow"))


def without(package: str, statement: str) -> str:
    """Return what a process that lacks a package says."""
    code = (
        f"import sys, importlib.machinery\n"
        f"class Lacking:\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        f"            raise ModuleNotFoundError(name)\n"
        f"sys.meta_path.insert(0, Lacking())\n"
        f"from imcm import frames\n"
        f"table = frames.deployments([])\n"
        f"print(table.rows(), table._repr_html_()[:7])\n"
        f"try:\n    {statement}\n"
        f"except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout


@pytest.mark.parametrize(
    ("package", "statement", "says"),
    [
        ("narwhals", "table.to_frame()", f"{MissingExtraError.__name__} to_frame('pandas') needs"),
        ("narwhals", "frames.figures(1)", "pip install 'imcm[frames]'"),
        ("pandas", "table.to_frame('pandas')", "pip install 'imcm[frames]'"),
        (
            "polars",
            "table.to_frame('polars')",
            f"{MissingPackageError.__name__} to_frame('polars')",
        ),
        ("polars", "table.to_frame('polars')", "needs the package polars: pip install polars"),
        ("pyarrow", "table.__arrow_c_stream__()", "pip install pyarrow"),
        ("duckdb", "table.to_frame('duckdb')", "pip install duckdb"),
    ],
)
def test_what_is_not_installed_is_named_with_how_to_get_it(package, statement, says):
    told = without(package, statement)
    assert "[] <table>" in told
    assert says in told


def test_frames_load_no_engine_before_they_are_asked():
    code = "import imcm.frames, sys; print({'narwhals', 'pandas', 'polars'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()\n" == ran.stdout


def test_imported_history_without_times_has_rows():
    """An incident of which nobody knows when it was resolved is there, and has no time."""
    from imcm.domain.incident_events import IncidentDetected

    told = log(
        imported(
            "INC-1",
            IncidentDetected(at=at(1), by="desk", title="down", services=("pay",)),
            IncidentResolved(at=None, by="desk"),
        )
    )
    row = frames.incidents(told).rows()[0]
    assert (None, None) == (row["resolved_at"], row["restore_seconds"])


# --- what else is asked of a table ----------------------------------------------------------------


def test_labels_have_columns_of_their_own():
    table = frames.deployments(
        log(
            deployment("CHG-1", 1, labels={"team": "core", "a b": "x"}),
            deployment("CHG-2", 2, labels={"team": "edge"}),
            deployment("CHG-3", 3),
        )
    )
    assert {"label:a b": ["x", None, None], "label:team": ["core", "edge", None]} == {
        name: cells for name, cells in table.columns().items() if name.startswith("label:")
    }
    assert ["core", "edge", None] == table.to_frame("polars")["label:team"].to_list()


def test_what_is_open_has_lasted_so_far():
    """What a survival library needs: a duration of each, and whether its end was seen."""
    story = log(
        incident("INC-1", detected(1), acknowledged(2), resolved(3)),
        incident("INC-2", detected(4)),
        now=10,
    )
    told = frames.incidents(facts(story)).columns()
    assert [7200.0, None] == told["restore_seconds"]
    assert [None, 6 * 3600.0] == told["open_seconds"]
    assert [True, False] == told["observed"]
    assert [at(2), None] == told["acknowledged_at"]


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_times_without_zone_for_spreadsheets(backend, tmp_path):
    """`DataFrame.to_excel` refuses times that have one."""
    table = frames.deployments(log(deployment("CHG-1", 1)))
    frame = table.to_frame(backend, aware=False)
    found = frame["deployed_at"].to_list()[0]
    assert at(1).replace(tzinfo=None) == (found.to_pydatetime() if backend == "pandas" else found)
    with pytest.raises(InvalidValue, match="aware"):
        table.to_frame(backend, aware="no")


def test_rows_of_a_report_keep_their_months_in_a_frame():
    """Of times that have a zone, and None, polars would make UTC, which is another month."""
    polars = pytest.importorskip("polars")
    story = log(deployment("CHG-1", datetime(2026, 2, 28, 22, tzinfo=UTC)))
    report = dora_report(story, bucket_by="month", time_zone="Asia/Kolkata")
    frame = polars.DataFrame(report.rows())
    starts = frame.filter(frame["figure"] == "deployment_frequency")["bucket_start"]
    assert [None, "2026-03-01T00:00:00+05:30"] == starts.to_list()
