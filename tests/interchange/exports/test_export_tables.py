"""Tables: as DuckDB and polars read the Parquet and Arrow files, typed also when empty."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import exported
from exported import HOSTILE, LOGS, SECRET, minutes
from imcm import Ledger, incident
from imcm.codec.decoding import decode
from imcm.codec.rows import StoredEvent
from imcm.errors import InvalidValue
from imcm.interchange.exports.tables import TABLES, log_rows, rows_of
from imcm.interchange.exports.targets import Ends

pytestmark = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is an extra")

if find_spec("pyarrow") is not None:
    import pyarrow as pa
    import pyarrow.ipc
    import pyarrow.parquet

    from imcm.interchange.exports.arrow import (
        arrow_table,
        is_table,
        write_arrow,
        write_parquet,
        write_table,
    )


@pytest.fixture
def ledger(tmp_path):
    with exported.told(tmp_path / "ledger.db") as made:
        yield made


def records(ledger, table, **options):
    return arrow_table(ledger, table, **options).to_pylist(maps_as_pydicts="strict")


def test_what_stands_in_the_rows(ledger):
    """Facts as figures see them: instants, bounds of uncertain ones, labels, links."""
    incidents = {row["id"]: row for row in records(ledger, "incidents")}
    one = incidents["INC-1"]
    assert one["detected_at"] == minutes(4)
    assert one["uncertain"] == {"detected_at": "2026-03-06T12:03:00Z/2026-03-06T12:05:00Z"}
    assert one["resolved_at"] == minutes(61)  # as corrected
    assert (one["services"], one["labels"]) == (["checkout"], {"@team": HOSTILE[6]})
    assert (one["severity_first"], one["severity_highest"]) == ("P3", "P1")
    assert one["merged"] == ["INC-3"]
    assert incidents["INC-9"]["detected_at"] is None
    changes = {row["id"]: row for row in records(ledger, "changes")}
    assert (changes["CHG-1"]["version"], changes["CHG-1"]["outcome"]) == ("5.4", "rolled_back")
    assert changes["CHG-1"]["labels"] == {"repository": "shop/web", "team": HOSTILE[1]}
    assert records(ledger, "causes") == [
        {"incident": "INC-1", "change": "CHG-1", "verdict": "caused"},
        {"incident": "INC-1", "change": "CHG-3", "verdict": "fixed"},
    ]
    assert records(ledger, "relations") == [
        {"incident": "INC-3", "other": "INC-1", "relation": "merged_into"}
    ]
    [spell] = [row for row in records(ledger, "spells") if row["incident"] == "INC-1"]
    assert (spell["started_at"], spell["resolved_at"]) == (minutes(4), minutes(61))
    assert spell["uncertain"] == {"started": "2026-03-06T12:03:00Z/2026-03-06T12:05:00Z"}
    commits = records(ledger, "commits")
    assert [(row["commit"], row["pull_request"]) for row in commits] == [
        ("4f2a91c", "42"),
        ("5f2a91c", "42"),
    ]
    assert (commits[0]["merged_at"], commits[1]["authored_at"]) == (minutes(-60), None)


def test_the_log_is_every_event_as_it_is_stored(ledger):
    """A row for each stored event, its facts byte for byte, words without their salt."""
    rows, stored = records(ledger, "log"), list(ledger.rows())
    assert [row["position"] for row in rows] == [row.position for row in stored]
    for row, state in zip(rows, stored, strict=True):
        whole, recorded = json.loads(state.state), decode(state)
        assert json.loads(row["facts"]) == whole["event"]
        assert row["facts"].encode() in state.state
        assert row["recorded_at"] == recorded.recorded_at
        assert (row["stream"], row["version"], row["type"]) == state[1:4]
        words = {k: v for k, v in whole.get("words", {}).items() if k != "salt"}
        assert row["redacted"] == ("redacted" in words)
        assert row["words"] is None or json.loads(row["words"]) == words
        assert not row["redacted"] or row["words"] is None
    by_place = {(row["stream"], row["version"]): row for row in rows}
    first = by_place["incident:INC-1", 1]
    assert (first["at"], first["by"]) == (minutes(4), "prometheus")
    assert first["at_bounds"] == "2026-03-06T12:03:00Z/2026-03-06T12:05:00Z"
    assert (
        by_place["incident:INC-9", 1]["source"],
        by_place["incident:INC-9", 1]["source_id"],
    ) == (
        "tool",
        "=9",
    )
    assert by_place["incident:INC-9", 1]["at"] is None
    assert all(row["words"] is None for row in records(ledger, "log", words=False))


def test_an_event_that_cannot_be_read_is_a_row(tmp_path):
    """Its facts are there, and it has no moment."""
    with exported.told(tmp_path / "one.db") as ledger:
        rows = list(ledger.rows())
    strange = rows[-1]._replace(type="IncidentTeleported", position=rows[-1].position + 1)
    strange = StoredEvent(strange.position, "incident:INC-77", 1, strange.type, strange.state)
    with Ledger.restored(tmp_path / "two.db", [*rows, strange]) as ledger:
        last = list(log_rows(ledger))[-1]
        assert records(ledger, "log")[-1]["type"] == "IncidentTeleported"
    assert last[5] == "IncidentTeleported"
    assert last[7] is None


def test_duckdb_and_polars_read_the_files(ledger, tmp_path):
    """Both engines see the same rows, times with a zone, labels as a map, in both forms."""
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    counts = write_parquet(ledger, tmp_path / "tables")
    assert write_arrow(ledger, tmp_path / "arrows") == counts
    assert set(counts) == set(TABLES)
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'Asia/Tokyo'")
        for name, count in counts.items():
            path = tmp_path / "tables" / f"{name}.parquet"
            frame = polars.read_parquet(path)
            assert frame.height == count
            assert engine.sql(f"select count(*) from '{path}'").fetchall() == [(count,)]
            other = polars.read_ipc(tmp_path / "arrows" / f"{name}.arrow")
            assert frame.rows() == other.rows()
            for column in TABLES[name].columns:
                if column.type == "time":
                    assert frame.schema[column.name] == polars.Datetime("us", "UTC")
        path = tmp_path / "tables" / "incidents.parquet"
        asked = f"select epoch_us(detected_at), labels['@team'], services[1] from '{path}'"
        [told] = engine.sql(f"{asked} where id = 'INC-1'").fetchall()
        team = told[1][0] if isinstance(told[1], list) else told[1]
        assert (told[0], team, told[2]) == (
            int(minutes(4).timestamp() * 1_000_000),
            HOSTILE[6],
            "checkout",
        )
        types = engine.sql(f"select distinct typeof(detected_at) from '{path}'").fetchall()
        assert types == [("TIMESTAMP WITH TIME ZONE",)]


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_an_empty_ledger_has_typed_tables(tmp_path, form):
    """Without a row each table has the columns and types that it has with rows."""
    with Ledger(tmp_path / "empty.db") as empty, exported.told(tmp_path / "full.db") as full:
        for name, shape in TABLES.items():
            schema = arrow_table(full, name).schema
            assert schema.names == [column.name for column in shape.columns]
            assert arrow_table(empty, name).schema == schema
            file = io.BytesIO()
            count = write_table(empty, name, file, form=form, known_at=0)
            assert count == 0
            read = pa.parquet.read_table if form == "parquet" else _read_arrow
            assert read(io.BytesIO(file.getvalue())).schema == schema
        assert pa.types.is_map(arrow_table(empty, "incidents").schema.field("labels").type)


def _read_arrow(file):
    return pa.ipc.open_file(file).read_all()


def test_what_a_file_says_of_itself(ledger):
    """Of which ledger it is, and up to where the log was read."""
    file = io.BytesIO()
    write_table(ledger, "log", file)
    metadata = pa.parquet.read_schema(io.BytesIO(file.getvalue())).metadata
    assert metadata[b"imcm.table"] == b"log"
    assert metadata[b"imcm.ledger"].decode() == ledger.ledger_id
    assert int(metadata[b"imcm.log_position"]) == ledger.position_at()
    raw = file.getvalue()
    assert is_table("parquet", Ends("log.parquet", raw[:9], raw[-65_536:]))
    other = io.BytesIO()
    pa.parquet.write_table(pa.table({"a": [1]}), other)
    assert not is_table("parquet", Ends("log.parquet", other.getvalue(), other.getvalue()))


@pytest.mark.parametrize("name", LOGS)
def test_every_golden_log(name, tmp_path):
    """Events of every type that there ever was, in every table."""
    with exported.golden(name, tmp_path / "ledger.db") as ledger:
        for table in TABLES:
            arrow_table(ledger, table).validate(full=True)
        assert len(records(ledger, "incidents")) == len(ledger.facts().incidents)
        assert len(records(ledger, "log")) == sum(1 for _ in ledger.rows())


def test_known_at_and_as_of(ledger):
    """An earlier state is what it was."""
    assert len(records(ledger, "log", known_at=3)) == 3
    assert [row["id"] for row in records(ledger, "incidents", known_at=minutes(64))] == ["INC-1"]
    [one] = records(ledger, "incidents", known_at=minutes(64), as_of=minutes(7))
    assert one["severity_last"] == "P3"


def test_redacted_words_stay_gone(ledger, tmp_path):
    """What was taken out is in no file, also not when an earlier state is asked for."""
    for known_at in (None, minutes(68)):
        write_parquet(ledger, tmp_path / "tables", known_at=known_at)
        write_arrow(ledger, tmp_path / "arrows", known_at=known_at)
        for file in (*(tmp_path / "tables").iterdir(), *(tmp_path / "arrows").iterdir()):
            assert SECRET.encode() not in file.read_bytes()
        assert SECRET not in str(records(ledger, "log", known_at=known_at))


def test_what_is_refused(ledger):
    """Arguments that can't be right are named."""
    for call in (
        lambda: arrow_table(ledger, "incident"),
        lambda: arrow_table("ledger", "incidents"),
        lambda: write_table(ledger, "log", io.BytesIO(), form="orc"),
        lambda: write_table(ledger, "log", "file"),
        lambda: rows_of(ledger.facts(), "log"),
        lambda: rows_of(ledger.facts(), ["log"]),
        lambda: rows_of("facts", "incidents"),
        lambda: log_rows("ledger"),
    ):
        with pytest.raises(InvalidValue):
            call()


def test_without_pyarrow_the_extra_is_named():
    """Whoever has not installed it hears what to install; nothing else needs it."""
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from imcm import Ledger\n"
        "from imcm.errors import MissingExtraError\n"
        "import imcm.interchange.exports.csv_tables, imcm.interchange.exports.ocel\n"
        "from imcm.interchange.exports.arrow import arrow_table\n"
        "try: arrow_table(Ledger.in_memory(), 'log')\n"
        "except MissingExtraError as error: print(error.extra)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "arrow\n"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    labels=st.dictionaries(
        st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
        max_size=5,
    ),
    microseconds=st.integers(0, 10**15),
    hours=st.integers(-12, 12),
)
def test_what_is_lossless_comes_back(labels, microseconds, hours):
    """Labels and instants survive being written and read, to the microsecond."""

    zone = timezone(timedelta(hours=hours))
    at = (datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).astimezone(zone)
    with Ledger.in_memory() as ledger:
        try:
            ledger.record("INC-1", incident.detect, by="a", at=at, title="x", labels=labels)
        except InvalidValue:
            return
        file = io.BytesIO()
        write_table(ledger, "incidents", file)
        [row] = pa.parquet.read_table(io.BytesIO(file.getvalue())).to_pylist(
            maps_as_pydicts="strict"
        )
        told = records(ledger, "log")[-1]
    assert row["labels"] == labels
    assert row["detected_at"] == told["at"] == at
