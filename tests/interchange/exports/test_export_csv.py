"""CSV: RFC 4180, numbers and times as such, and no cell that a spreadsheet computes."""

from __future__ import annotations

import csv
import doctest
import io
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import exported
from exported import HOSTILE, LOGS, SECRET, minutes
from imcm import Ledger, deployment_frequency, dora_report, duties, incident, time_to_restore
from imcm.errors import InvalidValue
from imcm.interchange.exports.csv_tables import (
    CSV_TABLES,
    is_csv,
    write_csv,
    write_csv_folder,
    write_figures_csv,
)
from imcm.interchange.exports.tables import TABLES
from imcm.interchange.exports.targets import Ends
from imcm.plain import cell, plain

SIGNS = "=+-@"
FORMS = [chr(n) for n in range(0x110000) if unicodedata.normalize("NFKC", chr(n)) in SIGNS]
"""Every character that is one of the signs, or is read as one."""


@pytest.fixture
def ledger(tmp_path):
    with exported.told(tmp_path / "ledger.db") as made:
        yield made


def written(facts, table, **options):
    file = io.BytesIO()
    count = write_csv(facts, table, file, **options)
    rows = list(csv.reader(io.StringIO(file.getvalue().decode("utf-8-sig"), newline="")))
    assert count == len(rows) - 1
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def computed(text):
    """Say whether a spreadsheet might compute a cell, or a part that it takes for one."""
    parts = (part.strip().lstrip('" ') if n else part.strip()
             for n, part in enumerate(text.split(";")))  # fmt: skip
    return any(part[:1] in FORMS for part in parts if part)


# --- cells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", FORMS)
def test_no_form_of_a_sign_begins_a_cell(sign):
    """Also after blanks of any width, a tab, a carriage return, or a semicolon."""
    for before in ("", " ", "\u00a0", "\u3000", "\t", "\r", "\n", "\ufeff", "\u200b"):
        assert not cell(f"{before}{sign}1+1").strip().startswith((*FORMS,))
    assert cell(f"{sign}1") == f"'{sign}1"
    assert cell(f"a; {sign}1") == f"a; '{sign}1"


def test_what_needs_no_apostrophe_has_none():
    """Signs inside, and text that only looks odd, stay as they are."""
    for text in ("INC-1", "a=b", "1+1", "ana@example", "", "a; b", "'=1", '"=1"'):
        assert cell(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (";=1", ";'=1"),
        ('a;"=1', "a;\"'=1"),
        ("a;'\"=1", "a;'\"'=1"),
        ("=1;+2; -3", "'=1;'+2; '-3"),
    ],
)
def test_behind_a_semicolon_one_apostrophe_is_enough(text, told):
    assert cell(text) == told
    assert cell(told) == told


@given(st.text(alphabet=st.sampled_from(";='\" +a\t"), max_size=8) | st.text(max_size=60))
def test_cells_are_inert_and_stay(text):
    """No text is computed, and what was made inert once is so for good."""
    told = cell(text)
    assert told.lstrip()[:1] not in FORMS
    assert cell(told) == told
    assert told.replace("'", "") == plain(text).replace("'", "")


def test_duties_and_facts_have_one_mechanism(ledger):
    """The CSV of duties is made inert by the same function."""
    rows = csv.reader(io.StringIO(duties(ledger.replay()).to_csv(), newline=""))
    assert all(cell(text) == text for row in rows for text in row)


# --- facts ----------------------------------------------------------------------------------------


def test_facts(ledger):
    """Times in UTC, numbers and truth as such, hostile labels and services inert."""
    rows = {row["id"]: row for row in written(ledger.facts(), "incidents")}
    one = rows["INC-1"]
    assert (one["detected_at"], one["imported"], one["reopenings"]) == (
        "2026-03-06 12:04:00",
        "FALSE",
        "0",
    )
    assert datetime.fromisoformat(one["resolved_at"]).replace(tzinfo=UTC) == minutes(61)
    assert one["customers"] == ""
    changes = {row["id"]: row for row in written(ledger.facts(), "changes")}
    assert changes["CHG-1"]["services"] == "checkout, =cart"
    for table in CSV_TABLES:
        for row in written(ledger.facts(), table):
            assert not any(computed(text) for text in row.values())


def test_the_bytes_are_rfc_4180(ledger):
    """CR LF at every end, texts in quotes, quotes doubled, no control character anywhere."""
    file = io.BytesIO()
    write_csv(ledger.facts(), "changes", file)
    raw = file.getvalue().decode()
    assert raw.endswith("\r\n")
    field = r'(?:"(?:[^"\r\n]|"")*"|[0-9TRUEFALSE .:-]*)'
    for line in raw.split("\r\n")[:-1]:
        assert re.fullmatch(f"{field}(?:,{field})*", line)
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f\u202e]", raw)
    marked = io.BytesIO()
    write_csv(ledger.facts(), "changes", marked, bom=True)
    assert marked.getvalue() == b"\xef\xbb\xbf" + file.getvalue()


def test_an_engine_knows_numbers_and_times(ledger, tmp_path):
    """DuckDB guesses of each column what it is."""
    duckdb = pytest.importorskip("duckdb")
    write_csv_folder(ledger.facts(), tmp_path / "csv")
    path = tmp_path / "csv" / "incidents.csv"
    asked = f"select typeof(detected_at), typeof(reopenings), typeof(imported) from '{path}'"
    with duckdb.connect() as engine:
        [types] = set(engine.sql(asked).fetchall())
    assert types == ("TIMESTAMP", "BIGINT", "BOOLEAN")


@pytest.mark.parametrize("name", LOGS)
def test_every_golden_log(name, tmp_path):
    """All tables have their head and as many rows as there are."""
    with exported.golden(name, tmp_path / "ledger.db") as ledger:
        facts = ledger.facts()
    for table in CSV_TABLES:
        for row in written(facts, table):
            assert list(row) == [column.name for column in TABLES[table].columns]
    assert len(written(facts, "incidents")) == len(facts.incidents)


def test_golden_file(tmp_path, golden_file):
    """The file of a golden log is as it was."""
    with exported.golden("v0.1-named", tmp_path / "ledger.db") as ledger:
        file = io.BytesIO()
        write_csv(ledger.facts(), "incidents", file)
    golden_file("named.incidents.csv", file.getvalue())


def test_an_empty_ledger_has_heads(tmp_path):
    """Without a row a table has its head."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert set(write_csv_folder(ledger.facts(), tmp_path / "csv").values()) == {0}
    for table in CSV_TABLES:
        [line] = (tmp_path / "csv" / f"{table}.csv").read_text().splitlines()
        assert line == ",".join(f'"{column.name}"' for column in TABLES[table].columns)


def test_redacted_words_stay_gone(ledger):
    """Facts have no words at all."""
    for table in CSV_TABLES:
        file = io.BytesIO()
        write_csv(ledger.facts(), table, file)
        assert SECRET.encode() not in file.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
)
def test_labels_are_inert_and_told(value):
    """Whatever a label says, the file has the same columns, and the label is in its cell."""
    with Ledger.in_memory() as ledger:
        ledger.record("INC-1", incident.detect, by="a", at=minutes(0), title="x",
                      labels={"team": value, "other": "; =1"})  # fmt: skip
        [row] = written(ledger.facts(), "incidents")
    assert row["id"] == "INC-1"
    assert not computed(row["labels"])


# --- figures --------------------------------------------------------------------------------------


def test_figures(ledger):
    """A row for each figure, group and period; undefined ones say why, hostile groups are inert."""
    facts = ledger.facts()
    file = io.BytesIO()
    figures = [
        time_to_restore(facts, group_by="label:@team"),
        deployment_frequency(facts, group_by="service", bucket_by="day"),
    ]
    count = write_figures_csv(figures, file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue().decode(), newline="")))
    assert len(rows) == count
    assert rows[0]["figure"] == figures[0].name
    assert float(rows[0]["value"]) == figures[0].value
    assert int(rows[0]["n"]) == figures[0].n
    assert {"'=cart", "checkout"} <= {row["group"] for row in rows}
    assert any(plain(HOSTILE[6]) == row["group"] for row in rows)
    assert any(re.fullmatch(r"2026-03-06 00:00:00", row["from (UTC)"]) for row in rows)
    report = dora_report(facts).figures
    assert write_figures_csv(report, io.BytesIO()) == len(report)
    assert write_figures_csv([], io.BytesIO()) == 0


# --- what is refused, and known again -------------------------------------------------------------


def test_what_is_refused(ledger):
    """Arguments that can't be right are named."""
    for call in (
        lambda: write_csv(ledger.facts(), "log", io.BytesIO()),
        lambda: write_csv("facts", "incidents", io.BytesIO()),
        lambda: write_csv(ledger.facts(), "incidents", "file"),
        lambda: write_figures_csv(5, io.BytesIO()),
        lambda: write_figures_csv(["x"], io.BytesIO()),
        lambda: write_csv_folder("facts", "folder"),
    ):
        with pytest.raises(InvalidValue):
            call()


def test_it_knows_its_own_files(ledger):
    """A table is known by its head, with the mark and without."""
    for bom in (True, False):
        file = io.BytesIO()
        write_csv(ledger.facts(), "causes", file, bom=bom)
        assert is_csv("causes", Ends("x", file.getvalue(), b""))
        assert not is_csv("commits", Ends("x", file.getvalue(), b""))


def test_the_page_says_what_cells_are():
    """The session in docs/export.md is run."""
    page = Path(__file__).parents[3] / "docs" / "export.md"
    ran = doctest.testfile(str(page), module_relative=False)
    assert (ran.failed, ran.attempted) == (0, 2)
