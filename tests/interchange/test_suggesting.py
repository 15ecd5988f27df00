"""A first mapping for a table: what is guessed, what is left blank, and that it is then taken."""

import csv
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.interchange.test_ready_mappings import EXPORTS
from tests.interchange.test_tables import workbook

from imcm import Ledger, facts
from imcm.errors import ImcmError, InvalidValue
from imcm.interchange.csv_contract import CLOSED, TABLES
from imcm.interchange.csv_files import import_csv
from imcm.interchange.mapping import read_mapping
from imcm.interchange.ready_mappings import ready_mappings
from imcm.interchange.suggesting import suggest_mapping
from imcm.interchange.time_shapes import Times

GERMAN = """\
Nr;Title;Priority;Status;Detected;Resolved;Duration (min);Team
4711;Kasse steht;Hoch;Erledigt;05.03.2024 09:10;05.03.2024 10:25;75;Kasse
4712;Suche langsam;Critical;In Arbeit;06.03.2024 09:10;-;;Suche
4713;Suche langsam;hoch;Erledigt;13.3.2024 9:10;13.03.2024 09:40;30;Suche
"""
GERMAN_CHANGES = """\
Change;Result;Deployed;Rolled back
C1;Zurück;05.03.2024 08:50;05.03.2024 10:20
C2;OK;06.03.2024 08:50;
"""
GERMAN_COMMITS = "Change;Commit;Committed\nC2;abc;05.03.2024 08:50\n"


def imcm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imcm", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )


def test_a_workbook_with_german_dates_gives_the_five_metrics(tmp_path: Path) -> None:
    """Suggested, its blanks filled in, imported: semicolons, a mark, minutes, no Python."""
    ledger = tmp_path / "ledger.db"
    texts = {"incidents": GERMAN, "changes": GERMAN_CHANGES, "commits": GERMAN_COMMITS}
    blanks = {
        '"Hoch" = "?"': '"Hoch" = "P2"',
        '"Erledigt" = "?"': '"Erledigt" = "resolved"',
        '"In Arbeit" = "?"': '"In Arbeit" = "acknowledged"',
        '"Zurück" = "?"': '"Zurück" = "rolled_back"',
    }
    for table, text in texts.items():
        file, mapping = tmp_path / f"{table}.csv", tmp_path / f"{table}.toml"
        file.write_bytes(b"\xef\xbb\xbf" + text.encode())
        ran = imcm("import", "csv", "--suggest", file, "--out", mapping)
        assert (ran.stderr, ran.returncode) == ("", 0)
        told = mapping.read_text("utf-8")
        assert told == suggest_mapping(file)
        assert f"A first mapping for {table}" in told
        words = ["import", "csv", "--ledger", ledger, f"--{table}", file, "--mapping", mapping]
        if "?" in str(tomllib.loads(told)):
            assert "for absent, or one of" in imcm(*words, "--tz", "Europe/Berlin").stderr
        for blank, filled in blanks.items():
            told = told.replace(blank, filled)
        mapping.write_text(told, "utf-8")
        assert "it has no UTC offset" in imcm(*words).stderr
        ran = imcm(*words, "--tz", "Europe/Berlin")
        assert (ran.stderr, ran.returncode) == ("", 0)
    report = json.loads(imcm("report", "--ledger", ledger, "--json").stdout)
    figures = {each["name"]: each["value"] for each in report["figures"]}
    assert figures["time to restore"] == (75 + 30) / 2 * 60
    assert figures["lead time for changes"] == 86_400
    assert figures["change failure rate"] == 0.5
    assert figures["failed deployment recovery time"] == 5_400
    assert figures["deployment frequency"] is not None


def test_what_is_said_of_it(tmp_path: Path) -> None:
    """Guesses are marked, blanks are blanks, and times without an offset ask for a zone."""
    file = tmp_path / "workbook.csv"
    file.write_text(GERMAN, "utf-8")
    lines = suggest_mapping(file, table="incidents").splitlines()
    assert (
        lines[0] == '# A first mapping for incidents: "workbook.csv", 3 rows (semicolons, UTF-8).'
    )
    assert 'time_formats = ["%d.%m.%Y %H:%M"]  # tried against all values' in lines
    assert 'absent = ["-"]  # a guess; cells that have one: 1' in lines
    assert '"Nr" = "id"  # a guess by its name' in lines
    assert '"Critical" = "P1"  # 1 row; a guess' in lines
    assert '"Hoch" = "?"  # 2 rows' in lines
    assert '# Kept as labels: "Team".' in lines
    assert any(line.startswith('# tz = "Europe/Berlin"') for line in lines)
    told = tomllib.loads("\n".join(lines))
    assert told["units"] == {"stated_time_to_restore": "minutes"}
    assert told["incidents"]["columns"]["Priority"] == ["severity", "severity_name"]
    assert "tz" not in told


def test_a_table_in_another_sheet_and_row(tmp_path: Path) -> None:
    """What was asked for stands in the mapping, which is taken so; else others are named."""
    file, mapping, ledger = tmp_path / "w.xlsx", tmp_path / "w.toml", tmp_path / "ledger.db"
    rows = [
        ["Störungen 2024"],
        [],
        ["Number", "Opened", "Resolved"],
        ["I1", "2024-03-01T10:00Z", "2024-03-01T11:00Z"],
    ]
    file.write_bytes(workbook({"Notes": [["Hello"], ["there"]], "Störungen": rows}))
    said = suggest_mapping(file)
    assert "a workbook, 2 sheets: the first, 'Notes', not 'Störungen'" in said
    assert "Another sheet is looked at with --sheet" in said
    words = ("import", "csv", "--suggest", file, "--sheet", "Störungen", "--header", "3")
    ran = imcm(*words, "--out", mapping)
    assert (ran.stderr, ran.returncode) == ("", 0)
    told = mapping.read_text("utf-8")
    assert told == suggest_mapping(file, sheet="Störungen", header=3)
    assert "Another sheet" not in told
    kept = tomllib.loads(told)["incidents"]
    assert (kept["sheet"], kept["header"]) == ("Störungen", 3)
    words = ("import", "csv", "--ledger", ledger, "--incidents", file, "--mapping", mapping)
    ran = imcm(*words)
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert "1 of 1 rows imported" in ran.stdout


def test_a_ready_mapping_in_another_sheet() -> None:
    """The sheet stands before the columns of its table, and nothing else of the mapping differs."""
    rows = [*csv.reader(EXPORTS["servicenow"][0].splitlines())]
    text = suggest_mapping(workbook({"A": [["x"]], "B": rows}), sheet="B")
    told = tomllib.loads(text)
    assert "--mapping servicenow" in text
    assert told["incidents"].pop("sheet") == "B"
    assert told == tomllib.loads(suggest_mapping(workbook({"B": rows})))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--suggest", "jira", "--sheet", "A"), "are of a file"),
        (("--suggest", "w.csv", "--mapping", "jira"), "takes none"),
        (("--incidents", "w.csv", "--ledger", "l.db", "--sheet", "A"), "from its --mapping"),
        (("--suggest", __file__, "--header", "0"), "a line from 1 on"),
    ],
)
def test_options_that_do_not_fit(words: tuple[str, ...], why: str) -> None:
    ran = imcm("import", "csv", *words)
    assert (ran.returncode == 0, why in ran.stderr) == (False, True)


def test_a_unit_that_no_name_tells_is_a_blank() -> None:
    """Half the tools write minutes."""
    rows = [{"id": "1", "Detected": "2024-03-04T09:00Z", "Duration": "75"}]
    text = suggest_mapping(rows, table="incidents")
    assert tomllib.loads(text)["units"] == {"stated_time_to_restore": "?"}
    with pytest.raises(InvalidValue, match="one of weeks, days, hours, minutes, seconds"):
        import_csv(Ledger.in_memory(), incidents=rows, mapping=tomllib.loads(text))


@pytest.mark.parametrize(
    ("values", "formats", "unsure"),
    [
        (["2024-05-01T09:00Z", "2024-05-01 09:00+02:00"], (), False),
        (["2024-05-01 09:00"], (), False),
        (["13.03.2024 09:00"], ("%d.%m.%Y %H:%M",), False),
        (["03.03.24 09:00"], ("%d.%m.%y %H:%M",), False),
        (["01/02/2024 09:00"], (), True),
        (["01/02/2024 09:00", "13/02/2024 09:00"], ("%d/%m/%Y %H:%M",), False),
        (["01/02/2024 09:00", "02/13/2024 09:00"], ("%m/%d/%Y %H:%M",), False),
        (["13/02/2024 09:00", "02/13/2024 09:00"], (), True),
        # What one kind of value shows holds for another kind with the same sign.
        (
            ["01/02/2024 09:00:30", "13/02/2024 09:00"],
            ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S"), False,
        ),
        (["04/Mar/24 1:05 PM"], ("%d/%b/%y %I:%M %p",), False),
        (["04/May/24 13:05"], ("%d/%b/%y %H:%M",), False),
        (["5 May 2024 13:05"], ("%d %B %Y %H:%M", "%d %b %Y %H:%M"), False),
        (["1709542800", "1709542801"], ("epoch seconds",), False),
        (["1709542800000"], ("epoch milliseconds",), False),
        (
            ["13.03.2024 09:00", "2024-03-04 09:00:01", "2024-03-04T09:00Z"],
            ("%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M"), False,
        ),
    ],
)  # fmt: skip
def test_formats_of_times(values: list[str], formats: tuple[str, ...], unsure: bool) -> None:
    """They are tried against all values; a day and a month that could be swapped are said."""
    times = Times()
    assert all(times.add(value) for value in values)
    found = times.found()
    assert (sorted(found.formats), bool(found.unsure)) == (sorted(formats), unsure)
    assert (found.read, found.wrongs) == (len(values), 0)


def test_what_is_no_time_is_said() -> None:
    """A date alone is refused by an import, and so is any other text."""
    rows = [
        {"id": "1", "Opened": "2024-03-04"},
        {"id": "2", "Opened": "2024-03-05"},
        {"id": "3", "Opened": "2024-03-05T09:00Z"},
    ]
    text = suggest_mapping(rows)
    assert '# "Opened": 2 of 3 can\'t be read (a date without a time is refused)' in text
    rows[0]["Opened"] = "soon"
    assert '(no time): "soon", "2024-03-05"' in suggest_mapping(rows)


def test_day_or_month_is_never_guessed() -> None:
    """Both formats are in a comment; the blank is refused until it is filled in."""
    rows = [{"id": "1", "Opened": "03/04/2024 09:00"}]
    text = suggest_mapping(rows, table="incidents")
    assert '"%d/%m/%Y %H:%M" or "%m/%d/%Y %H:%M".' in text
    with pytest.raises(InvalidValue, match="time_format"):
        import_csv(Ledger.in_memory(), incidents=rows, mapping=tomllib.loads(text), tz="UTC")
    told = tomllib.loads(text.replace('["?"]', '["%d/%m/%Y %H:%M"]'))
    ledger = Ledger.in_memory()
    import_csv(ledger, incidents=rows, mapping=told, tz="UTC")
    (row,) = facts(ledger.replay()).incidents
    assert f"{row.detected_at:%d %b}" == "03 Apr"


@pytest.mark.parametrize("name", [*ready_mappings()])
def test_an_export_of_a_tool_is_recognised(tmp_path: Path, name: str) -> None:
    """The ready mapping is suggested, and takes the file as it is."""
    incidents, changes, _, tz = EXPORTS[name]
    file = tmp_path / ("a.json" if name == "github" else "a.csv")
    file.write_text(incidents, "utf-8")
    text = suggest_mapping(file)
    assert f"--mapping {name} takes" in text
    assert "for incidents" in text
    assert '= "?"' not in text
    assert ("# tz = " in text) is (tz is not None)
    out = tmp_path / "mapping.toml"
    out.write_text(text, "utf-8")
    assert import_csv(Ledger.in_memory(), incidents=file, mapping=out, tz=tz).rows_refused == 0
    if name in {"servicenow", "jira"}:
        other = tmp_path / "b.csv"
        other.write_text(changes, "utf-8")
        assert f"--mapping {name} takes" in suggest_mapping(other, table="changes")


def test_what_differs_from_a_ready_mapping(tmp_path: Path) -> None:
    """Words of the site's own become lines under their heading, other dates other formats."""
    file = tmp_path / "jira.csv"
    file.write_text(
        "Summary,Issue key,Status,Priority,Created,Updated\n"
        "Slow,OPS-1,Beim Lieferanten,Urgent,13.03.2024 09:00,-\n",
        "utf-8",
    )
    text = suggest_mapping(file)
    told = tomllib.loads(text)
    assert told["time_formats"][-1] == "%d.%m.%Y %H:%M"
    assert told["absent"] == ["-"]
    values = told["incidents"]["values"]
    assert (values["status"]["Beim Lieferanten"], values["severity"]["Urgent"]) == ("?", "?")
    assert values["status"]["Done"] == "resolved"
    for word, ours in (("Beim Lieferanten", "open"), ("Urgent", "P1")):
        text = text.replace(f'"{word}" = "?"', f'"{word}" = "{ours}"')
    report = import_csv(Ledger.in_memory(), incidents=file, mapping=tomllib.loads(text), tz="UTC")
    assert report.rows_imported == 1


def test_which_table_it_is() -> None:
    """By most columns that are known; or as it is said."""
    rows = [
        {"Release": "1", "Deployed": "2024-03-04T09:00Z", "Outcome": "Success", "Risk": "Medium"}
    ]
    text = suggest_mapping(rows)
    assert "for changes" in text
    assert tomllib.loads(text)["changes"]["values"] == {
        "status": {"Success": "successful"}, "risk": {"Medium": "moderate"},
    }  # fmt: skip
    report = import_csv(Ledger.in_memory(), changes=rows, mapping=tomllib.loads(text))
    assert report.rows_imported == 1
    text = suggest_mapping(rows, table="incidents")
    assert "No column looks like 'id'" in text
    assert "No column looks like a moment" in text
    with pytest.raises(InvalidValue, match="one of incidents, changes, commits"):
        suggest_mapping(rows, table="other")  # type: ignore[arg-type]


def test_hostile_headers_and_values() -> None:
    """Nothing of them gets out of its quotes or its comment."""
    rows = [
        {
            "id": "1",
            "detected_at": "2024-03-04T09:00Z",
            'a"]\n[evil]\nx = "': "1",
            "severity": 'P9"\n[evil]\ny = "\u202e\x1b[8m',
            "x" * 300: "1",
            "label:y": "1",
            "Opened\r": "2024",
        }
    ]
    text = suggest_mapping(rows, table="incidents")
    told = tomllib.loads(text)
    assert told.keys() == {"incidents"}
    assert told["incidents"]["values"]["severity"] == {rows[0]["severity"]: "?"}
    assert text.isascii()
    assert not {"\x1b", "\r"} & {*text}
    assert told["incidents"]["columns"]["x" * 300] == ""


def test_few_values_are_listed_of_what_is_no_closed_list() -> None:
    """A column of free texts is called so."""
    rows = [
        {"id": str(n), "detected_at": "2024-03-04T09:00Z", "symptom": f"text {n:04}"}
        for n in range(1_200)
    ]
    text = suggest_mapping(rows, table="incidents")
    assert text.count('= "?"  # 1 row') == 50
    assert 'Everything else: "*" = ""' in text


def test_on_the_command_line(tmp_path: Path) -> None:
    """It needs no ledger, keeps other files as they are, and goes with nothing else."""
    file = tmp_path / "a.csv"
    file.write_text(GERMAN, "utf-8")
    ran = imcm("import", "csv", "--suggest", file, "--as", "incidents")
    assert (ran.stdout, ran.returncode) == (suggest_mapping(file, table="incidents"), 0)
    ran = imcm("import", "csv", "--suggest", file, "--out", file)
    assert (ran.returncode, file.read_text("utf-8")) == (1, GERMAN)
    for words in (["--out", "x"], ["--as", "changes"], ["--suggest", file, "--incidents", file]):
        assert imcm("import", "csv", *words).returncode == 2
    assert "--ledger" in imcm("import", "csv", "--incidents", file).stderr


NAMES = st.one_of(
    st.sampled_from(
        [
            *("id", "ID", "Nr", "Number", "Status", "status", "Priority", "Opened", "opened_at"),
            *("Created", "Issue key", "Summary", "Resolved", "Duration", "Duration (h)", "service"),
            *("severity", "mark:x", "mark:", "label:x", "label:", "field", "change_id", "commit"),
            *(" Opened ", "\xa0id", "short_description", "number", "sys_id", "state", "risk"),
        ]
    ),
    st.text(max_size=12),
)
CELLS = st.one_of(
    st.sampled_from(
        [
            *("", "-", "P1", "high", "*", "?", "n/a", "2024-05-01 09:00", "2024-05-01T09:00Z"),
            *("01/02/2024 09:00", "13/02/2024 9:00 PM", "1709542800", "75", "0001-01-01 00:00"),
            *("31.12.9999 23:59", "2024-13-01 09:00", "²³", "a;b", "null", "P9"),
        ]
    ),
    st.text(max_size=12),
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.dictionaries(NAMES, CELLS, max_size=7), min_size=1, max_size=4),
    st.sampled_from([None, *TABLES]),
)
@example([{"id": "1", "Opened": "9/9/9 9:9"}], None)
def test_any_table_gives_a_mapping_or_an_error_of_ours(
    rows: list[dict[str, str]], table: str | None
) -> None:
    """It is TOML, the same each time, and a mapping once each blank is filled in."""
    try:
        text = suggest_mapping(rows, table=table)  # type: ignore[arg-type]
    except ImcmError:
        return
    assert text == suggest_mapping(rows, table=table)  # type: ignore[arg-type]
    tomllib.loads(text)
    filled = re.sub(r'^(stated_\w+) = "\?"', r'\1 = "minutes"', text, flags=re.MULTILINE)
    filled = re.sub(r'^("(?:[^"\\]|\\.)*") = "\?"', r'\1 = ""', filled, flags=re.MULTILINE)
    filled = re.sub(r'^(time_formats = \[.*)"\?"\]', r'\1"%d/%m/%Y %H:%M"]', filled, flags=re.M)
    told = tomllib.loads(filled)
    read_mapping(told, tables=TABLES, closed=CLOSED)
    kind = re.search(r"# A first mapping for (\w+):", text)
    assert kind is not None
    if "No column looks like" not in text:  # the header is taken, whatever stands in the rows
        tables = {kind[1]: rows}
        ledger = Ledger.in_memory()
        report = import_csv(ledger, **tables, mapping=told, tz="UTC", keep_going=True)
        assert report.rows_read >= report.rows_imported


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_mapping_or_an_error_of_ours(content: bytes) -> None:
    """A file may be anything."""
    try:
        text = suggest_mapping(content)
    except ImcmError:
        return
    tomllib.loads(text)


@settings(deadline=None)
@given(st.lists(st.text(max_size=30)))
def test_any_texts_are_times_or_none(texts: list[str]) -> None:
    """Whatever formats are found, each value that is called a time is counted once."""
    times = Times()
    read = sum(times.add(text) for text in texts)
    found = times.found()
    assert (found.read, found.read + found.wrongs) == (read, len(texts))


def test_german_headers_are_guessed() -> None:
    """And what means nothing in a column of numbers is a word for absent."""
    head = ("Nr", "Störung", "Priorität", "Dienst", "Beginn", "Gemeldet", "Behoben", "Dauer (min)")
    cells = ("7", "Kasse steht", "1", "Kasse", *["13.03.2024 09:00"] * 3)
    rows = [dict(zip(head, (*cells, last), strict=True)) for last in ("2.880", "-", "30")]
    for number, row in enumerate(rows):
        row["Nr"] = str(number)
    told = tomllib.loads(suggest_mapping(rows))
    assert told["incidents"]["columns"] == {
        "Nr": "id",
        "Störung": "title",
        "Priorität": ["severity", "severity_name"],
        "Dienst": "service",
        "Beginn": "impact_started_at",
        "Gemeldet": "detected_at",
        "Behoben": "resolved_at",
        "Dauer (min)": "stated_time_to_restore",
    }
    assert told["absent"] == ["-"]
    assert told["units"] == {"stated_time_to_restore": "minutes"}
    assert told["decimal"] == "?"
    for more in ("Ticket", "Ende", "Erstellt", "Dauer"):
        assert more in tomllib.loads(suggest_mapping([{more: "1"}], table="incidents"))[
            "incidents"
        ]["columns"]  # fmt: skip


def test_times_are_known_by_their_values() -> None:
    """Where no name tells a moment they are blanks; where one does they are only named."""
    rows = [
        {"Nr": str(n), "Ausfall ab": f"{n + 12}.03.2024 09:00", "Team": "Kasse"} for n in range(12)
    ]
    rows[3]["Ausfall ab"] = "gestern"
    rows[4]["Ausfall ab"] = "-"
    text = suggest_mapping(rows, table="incidents")
    told = tomllib.loads(text)
    assert told["incidents"]["columns"] == {"Nr": "id", "Ausfall ab": "?"}
    assert told["time_formats"] == ["%d.%m.%Y %H:%M"]
    assert told["absent"] == ["-"]
    assert '"Ausfall ab" = "?"  # times as ["%d.%m.%Y %H:%M"] in 10 of 11 rows' in text
    with pytest.raises(InvalidValue, match=r"detected_at"):
        import_csv(Ledger.in_memory(), incidents=rows, mapping=told)
    told["incidents"]["columns"]["Ausfall ab"] = "detected_at"
    del rows[3:5]
    assert import_csv(Ledger.in_memory(), incidents=rows, mapping=told, tz="UTC").histories == 10
    known = suggest_mapping([{**row, "Detected": "2024-03-04T09:00Z"} for row in rows])
    assert '# "Ausfall ab": times as' in known
    assert '# Kept as labels: "Team".' in known


def test_ids_that_come_again_with_another_time_are_states() -> None:
    """As an audit log has them: the time that moves is when the row was said."""
    rows = [
        {"Ticket": "7", "When": f"2024-05-01T{9 + n:02}:00Z", "State": state, "Prio": "P3"}
        for n, state in enumerate(["open", "held:vendor", "Weg"])
    ]
    text = suggest_mapping(rows, table="incidents")
    told = tomllib.loads(text)
    assert told["incidents"]["kind"] == "log"
    assert told["incidents"]["columns"]["When"] == "updated_at"
    assert "a guess: 2 rows with an id that was there before" in text
    assert "held:vendor, " in text
    told["incidents"]["values"]["status"]["Weg"] = "resolved"
    report = import_csv(Ledger.in_memory(), incidents=rows, mapping=told)
    assert (report.histories, report.rows_imported) == (1, 3)
    single = [{**row, "Ticket": str(n)} for n, row in enumerate(rows)]
    assert "kind" not in tomllib.loads(suggest_mapping(single, table="incidents"))["incidents"]


CHANGES_IN_GERMAN = [
    {
        "Änderungs-Nr.": f"C{n}",
        "Art": ("Normal", "Notfall")[n % 2],
        "Services": ("Kasse, Lager", "Kasse")[n % 2],
        "Ergebnis": ("Erfolgreich", "Fehlgeschlagen")[n % 2],
        "Umgesetzt am": f"{n + 12}.03.2024 09:00" if n % 3 else "offen",
    }
    for n in range(12)
]


def test_a_table_in_german_is_taken_for_what_it_is() -> None:
    text = suggest_mapping(CHANGES_IN_GERMAN)
    told = tomllib.loads(text)
    assert told["changes"]["columns"] == {
        "Änderungs-Nr.": "id",
        "Art": "type",
        "Services": "service",
        "Ergebnis": "status",
        "Umgesetzt am": "deployed_at",
    }
    assert told["absent"] == ["offen"]
    assert "can't be read" not in text
    assert '# separators = [";", ","]  # in 6 rows a service has ","' in text
    assert told["changes"]["values"]["status"] == {
        "Erfolgreich": "successful",
        "Fehlgeschlagen": "failed",
    }


def test_a_number_with_both_signs_shows_which_is_which() -> None:
    rows = [{"Nr": "1", "Behoben": "2024-03-05T09:00Z", "Dauer (Min.)": "1.234,5"}]
    assert tomllib.loads(suggest_mapping(rows, table="incidents"))["decimal"] == ","
    rows.append({**rows[0], "Nr": "2", "Dauer (Min.)": "1,234.5"})
    assert tomllib.loads(suggest_mapping(rows, table="incidents"))["decimal"] == "?"


def test_where_no_name_tells_the_start_other_times_are_blanks() -> None:
    rows = [
        {"Nr": str(n), "Ausfall ab": f"{n + 12}.03.2024 09:00", "Behoben": "20.03.2024 10:00"}
        for n in range(4)
    ]
    told = tomllib.loads(suggest_mapping(rows, table="incidents"))
    assert told["incidents"]["columns"]["Ausfall ab"] == "?"


@pytest.mark.parametrize(
    ("word", "severity"), [("1 - crit", "P1"), ("3 - med", "P3"), ("P2: hoch", "P2"), ("12", "?")]
)
def test_a_word_that_begins_with_its_rank_is_guessed(word: str, severity: str) -> None:
    rows = [{"Nr": "1", "Prio": word, "Opened": "2024-03-05T09:00Z"}]
    told = tomllib.loads(suggest_mapping(rows, table="incidents"))
    assert told["incidents"]["values"]["severity"] == {word: severity}
