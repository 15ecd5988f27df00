"""One reader of rows for all kinds of tables: what is told, what is refused, and that it ends."""

import csv
import gc
import gzip
import io
import json
import os
import random
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from imcm.errors import ImcmError, ImportRefusedError, InvalidValue, MissingExtraError
from imcm.interchange.table_cells import duration_text, number_text
from imcm.interchange.tables import Limits, Table, TableRow, read_table

pandas = pytest.importorskip("pandas")
xlsxwriter = pytest.importorskip("xlsxwriter")

GERMAN = (
    "Nummer;Titel;Beginn;Dauer (h);Priorität\r\n"
    "INC-1;Störung im Büro, Köln;01.05.2024 09:30;1,5;hoch\r\n"
    'INC-2;"Ausfall; ""groß""";02.05.2024 10:00;0,25;mäßig\r\n'
)
JIRA = (
    "Summary,Issue key,Labels,Labels,Sprint,Labels,Sprint\n"
    "Checkout is down,OPS-1,payments,prod,,urgent,\n"
    "Slow search,OPS-2,,search,Sprint 4,,Sprint 5\n"
)

AWARE = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)
STAMP = AWARE.replace(tzinfo=None)


def cells(table):
    """Return the rows of a table as mappings, without cells that are empty."""
    return [
        {name: cell for name, cell in zip(table.columns, row.cells, strict=True) if cell}
        for row in table
    ]


def refused(given, **options):
    """Read what must be refused, and return the message."""
    with pytest.raises(ImportRefusedError) as caught:
        list(read_table(given, **options))
    return str(caught.value)


@pytest.fixture
def put(tmp_path):
    """Write a file and return its path."""

    def put(content, name="incidents.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


def archive(files, method=zipfile.ZIP_DEFLATED):
    """Return a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return out.getvalue()


def workbook(sheets, fill=None):
    """Return a workbook with these rows in its sheets."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        stamp = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        span = book.add_format({"num_format": "[h]:mm:ss"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                for place, value in enumerate(row):
                    if isinstance(value, datetime):
                        sheet.write_datetime(number, place, value, stamp)
                    elif isinstance(value, date):
                        sheet.write_datetime(number, place, value, day)
                    elif isinstance(value, timedelta):
                        sheet.write_datetime(number, place, value, span)
                    elif value is not None:
                        sheet.write(number, place, value)
            if fill is not None:
                fill(book, sheet)
    return out.getvalue()


_NS = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def raw_workbook(sheet_data, strings="", **more):
    """Return a workbook whose sheet is written by hand, as no program would."""
    return archive(
        {
            "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
            f'relationships"><Relationship Id="rId1" Type="{_REL}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook {_NS} xmlns:r="{_REL}"><sheets>'
            '<sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/'
            f'package/2006/relationships"><Relationship Id="rId1" Type="{_REL}/worksheet" '
            'Target="worksheets/sheet1.xml"/><Relationship Id="rId2" '
            f'Type="{_REL}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
            "xl/sharedStrings.xml": f"<sst {_NS}>{strings}</sst>",
            "xl/worksheets/sheet1.xml": f"<worksheet {_NS}><sheetData>{sheet_data}</sheetData>"
            "</worksheet>",
            **more,
        }
    )


# --- CSV ------------------------------------------------------------------------------------------


class TestText:
    def test_a_german_file_of_excel(self, put):
        """Semicolons and Windows-1252 are found out and said; times and numbers stay text."""
        table = read_table(put(GERMAN.encode("cp1252")))
        assert "semicolons, Windows-1252" == table.said
        assert ("Nummer", "Titel", "Beginn", "Dauer (h)", "Priorität") == table.columns
        first, second = table
        assert ("INC-1", "Störung im Büro, Köln", "01.05.2024 09:30", "1,5", "hoch") == first.cells
        assert 'Ausfall; "groß"' == second.cells[1]
        assert (2, 3) == (first.line, second.line)
        assert GERMAN.encode("cp1252").splitlines()[1] == first.raw

    def test_an_export_of_jira(self, put):
        """Columns that come again are one, with their values joined, and it is said."""
        table = read_table(put(JIRA))
        assert ("Summary", "Issue key", "Labels", "Sprint") == table.columns
        assert "'Labels' (3 times), 'Sprint' (2 times)" in table.said
        assert ["payments;prod;urgent", "search"] == [row.cells[2] for row in table]
        assert ["", "Sprint 4;Sprint 5"] == [row.cells[3] for row in table]

    @pytest.mark.parametrize(
        ("encoding", "said"),
        [
            ("utf-8", "UTF-8"),
            ("utf-8-sig", "UTF-8"),
            ("utf-16", "UTF-16"),
            ("cp1252", "Windows-1252"),
        ],
    )
    @pytest.mark.parametrize(
        ("delimiter", "name"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
    )
    def test_encodings_and_delimiters_are_found_out(self, encoding, said, delimiter, name):
        """Each of them with each, without being told."""
        rows = [["id", "title"], ["1", "größer – „so“"], ["2", "y"]]
        text = "".join(delimiter.join(row) + "\r\n" for row in rows)
        table = read_table(text.encode(encoding))
        assert f"{name}, {said}" == table.said
        assert rows == [list(table.columns), *(list(row.cells) for row in table)]

    @pytest.mark.parametrize(
        ("encoding", "text"),
        [
            ("utf-16-be", "größer"),
            ("utf-16-le", "größer"),
            ("latin-1", "größer"),
            ("cp850", "größer"),
            ("iso-8859-2", "żółw"),
            ("cp1251", "сбой"),
            ("koi8-r", "сбой"),
            ("shift_jis", "障害|表"),
            ("gb18030", "故障"),
            ("euc_kr", "장애"),
            ("mac_roman", "größer"),
        ],
    )
    def test_an_encoding_that_is_named(self, encoding, text):
        """What can't be found out can be said."""
        data = f"id;title\r\n1;{text}\r\n".encode(encoding)
        (row,) = read_table(data, encoding=encoding)
        assert ("1", text) == row.cells
        assert f"1;{text}".encode(encoding) == row.raw

    @pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be"])
    def test_the_raw_bytes_of_utf_16_are_those_of_the_lines(self, mark):
        """A row's hash is of what stands in the file."""
        lines = ["id,title\r\n", '1,"a\r\nb"\r\n']
        data = "\ufeff".encode(mark) + "".join(lines).encode(mark)
        (row,) = read_table(data)
        assert '1,"a\r\nb"'.encode(mark) == row.raw
        assert row.raw in data

    def test_the_whole_file_decides_what_its_encoding_is(self):
        """A byte of Windows-1252 may come after a megabyte of ASCII."""
        data = b"id,title\n" + b"1,x\n" * 400_000 + "2,ä\n".encode("cp1252")
        table = read_table(data)
        assert "Windows-1252" in table.said
        assert "ä" == [*table][-1].cells[1]

    def test_damaged_utf_8_is_not_taken_for_windows_1252(self):
        """A late wrong byte in a file of UTF-8 is an error that names its line."""
        lines = "id,title\n" + "1,größer\n" * 200_000
        message = refused(lines.encode() + b"2,\xe4\n")
        assert message.startswith("incidents:200002: byte 0xe4 (at ")
        assert 'encoding="windows-1252"' in message

    @pytest.mark.parametrize("byte", [0x81, 0x8D, 0x8F, 0x90, 0x9D])
    def test_what_windows_1252_has_not_is_not_taken_for_it(self, byte):
        """Five bytes mean nothing there."""
        message = refused(b"id,title\n1,\xe4\n2," + bytes([byte]) + b"\n")
        assert message.startswith("incidents:2: byte 0xe4 (at 11) is not UTF-8")

    def test_a_word_that_is_utf_8_by_chance_does_not_decide(self):
        """In Windows-1252, "Spaß“" ends in two bytes that are a letter in UTF-8."""
        text = "id;title\n1;Spaß“\n2;größer\n3;Köln, Düsseldorf, München, Görlitz, Jülich\n"
        assert "Windows-1252" in read_table(text.encode("cp1252")).said

    @pytest.mark.parametrize(
        ("data", "options", "why"),
        [
            (b"id\n\xff\n", {"encoding": "utf-8"}, "incidents:2: byte 0xff (at 3) is not UTF-8"),
            (b"id\n1\n\x81\n", {"encoding": "cp1252"}, "incidents:3: byte 0x81 (at 5)"),
            (b"\xef\xbb\xbfid\n\xe4\n", {}, "incidents:2: byte 0xe4 (at 6) is not UTF-8"),
            (b"id\n1\n", {"encoding": "utf-16"}, "does not begin with the mark of UTF-16"),
            (b"\xff\xfei\x00d\x00\n", {}, "incidents:1: byte 0x0a"),
            (b"i\x00d\x00\n\x00", {}, 'encoding="utf-16-le"'),
            (b"id\n1\x00\n", {}, "incidents:2: it holds a NUL byte"),
        ],
    )
    def test_bytes_that_are_not_of_the_encoding(self, data, options, why):
        """The line, the byte and its place are named."""
        assert why in refused(data, **options)

    @pytest.mark.parametrize(
        "encoding", ["rot13", "zlib", "idna", "unicode_escape", "x" * 99, 3, ""]
    )
    def test_what_is_no_encoding_of_tables(self, encoding):
        """Python's codecs of other kinds are none."""
        with pytest.raises(InvalidValue, match="encoding"):
            read_table(b"id\n1\n", encoding=encoding)

    @pytest.mark.parametrize(
        ("text", "delimiter"),
        [
            ("id,title\n1,a;b;c\n", ","),
            ("id;title, short\n1;x\n2;y\n", ";"),
            ('"a;b",c\n1,2\n', ","),
            ('"a,b";c\n1;2\n', ";"),
            ("a|b,c\n1|2,3\n2|2\n", "|"),
            ('a;b\n"x\n,,,\n";2\n', ";"),
            ("id\n1\n", ","),
            ("a\tb, c\td\n1\t2\t3\n", "\t"),
            ('"a;b"\n"1"\n', ","),
        ],
    )
    def test_the_header_and_the_rows_tell_the_delimiter(self, text, delimiter):
        """It gives the header several cells, and each row as many; quotes are respected."""
        expected = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(text), delimiter=delimiter)
        ]
        table = read_table(text.encode())
        assert expected == [list(table.columns), *(list(row.cells) for row in table)]

    def test_a_delimiter_that_can_not_be_told_is_asked_for(self):
        """Two that fit are two; which one it is can be said."""
        data = b"a,b;c\n1,2;3\n"
        message = refused(data)
        assert "commas or semicolons" in message
        assert "delimiter=" in message
        assert ("a,b", "c") == read_table(data, delimiter=";").columns
        assert ("a", "b;c") == read_table(data, delimiter=",").columns

    @pytest.mark.parametrize("delimiter", [":", "", ";;", 5, "a"])
    def test_other_delimiters_are_refused(self, delimiter):
        """There are four."""
        with pytest.raises(InvalidValue, match="delimiter"):
            read_table(b"a\n1\n", delimiter=delimiter)

    @pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"'])
    def test_a_first_line_that_says_the_delimiter(self, first):
        """As Excel writes it; the header stands in the second line."""
        table = read_table(f"{first}\r\na,b;c\r\n1;2\r\n".encode())
        assert ("a,b", "c") == table.columns
        assert "semicolons (its first line says so), UTF-8" == table.said
        assert [3] == [row.line for row in table]
        assert "sep=:" in refused(b"sep=:\na:b\n")

    def test_names_and_cells_have_no_blanks_around_them(self):
        """Lines of several lines count as many; blank ones are passed over."""
        data = b'\n id , title \n\n 1 ,"a\nb"\n,\n  \n 2 , c\n'
        table = read_table(data)
        assert ("id", "title") == table.columns
        assert [(4, ("1", "a\nb")), (8, ("2", "c"))] == [(row.line, row.cells) for row in table]

    def test_a_column_without_a_name_is_called_by_its_position(self):
        """It takes no name that is there."""
        table = read_table(b"id,,column 2,\n1,2,3,4\n")
        assert ("id", "column 2'", "column 2", "column 4") == table.columns
        assert "columns without a name: column 2', column 4" in table.said

    def test_line_ends_of_all_systems(self):
        """Old ones of Mac as well."""
        for end in ("\n", "\r\n", "\r"):
            table = read_table(f"id,title{end}1,a{end}2,b{end}".encode())
            assert [("1", "a"), ("2", "b")] == [row.cells for row in table]
            assert [b"1,a", b"2,b"] == [row.raw for row in table]

    def test_ragged_rows_are_errors_with_their_line(self):
        """Fewer cells or more; who wants all of them told asks for each row."""
        data = b"a,b\n1,2\n3\n4,5,6\n"
        assert "incidents:3: it has 1 cells where the header has 2; cut off?" in refused(data)
        table = read_table(data)
        wrong = [(row.line, bool(row.wrong), [*row.cells]) for row in table.each()]
        assert [(2, False, ["1", "2"]), (3, True, ["3"]), (4, True, ["4", "5", "6"])] == wrong

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b'a,b\n1,2\n3,"x\n' + b"4,5\n" * 9, "incidents:3: a quote is opened here"),
            (b'a,b\n1,"x"y\n', "incidents:2: it is no CSV"),
            (b"", "it is empty"),
            (b"\n\n \n", "it is empty"),
            (b"\xef\xbb\xbf", "it is empty"),
        ],
    )
    def test_what_is_no_csv(self, data, why):
        """The line on which a row begins is named."""
        assert why in refused(data, delimiter=",")

    def test_long_cells(self):
        """Cells of a megabyte are read; the csv module's own limit is as it was."""
        before = csv.field_size_limit()
        long = "x" * 1_000_000
        data = f'a,b\n1,2\n"{long}",3\n4,5\n{long},6\n7,8\n'.encode()
        table = read_table(data)
        assert ["1", long, "4", long, "7"] == [row.cells[0] for row in table]
        assert before == csv.field_size_limit()
        message = refused(f'a,b\n1,2\n"{long}x",3\n'.encode())
        assert message.startswith("incidents:3: a quote is opened here and never closed, or a cell")
        assert "at most 100" in refused(b"a\n" + b"x" * 101, limits=Limits(cell=100))
        assert "longer than 50" in refused(b"a\n" + b"x," * 101, limits=Limits(row=50))
        assert "more than 50" in refused(
            b'a,b\n"' + b"x\n" * 101, delimiter=",", limits=Limits(row=50)
        )

    def test_too_many_columns(self):
        """A header may hold so many."""
        assert "it has 12,000 columns" in refused(b"a," * 11_999 + b"b\n")

    def test_a_table_is_the_same_each_time(self, put):
        """It can be gone through again, also while it is being gone through."""
        for given_ in (put(GERMAN), GERMAN.encode(), [{"a": 1}, {"a": 2}]):
            table = read_table(given_)
            assert [*table] == [*table]
            assert [(a, a) for a in table] == [*zip(table, table, strict=True)]

    def test_a_file_that_is_changed_meanwhile_is_refused(self, put):
        """What was checked must be what is taken."""
        path = put("a\n1\n2\n")
        table = read_table(path)
        assert 2 == len([*table])
        path.write_bytes(b"a\n1\n2\n3\n")
        with pytest.raises(ImportRefusedError, match="changed while it was read"):
            list(table)

    def test_what_it_says_of_itself(self, put):
        """Its place of a row is as errors name it."""
        path = put(JIRA)
        table = read_table(path)
        assert f"{path}:7" == table.place(7)
        assert "4 columns" in repr(table)
        assert isinstance(next(iter(table)), TableRow)


# --- where it comes from --------------------------------------------------------------------------


class TestSources:
    def test_open_files_of_bytes_and_of_text(self, put):
        """Each is read once, from where it stands."""
        path = put(GERMAN.encode("cp1252"))
        expected = cells(read_table(path))
        with path.open("rb") as file:
            assert expected == cells(read_table(file))
        with path.open(encoding="cp1252") as file:
            table = read_table(file)
        assert expected == cells(table)
        assert expected == cells(read_table(io.BytesIO(path.read_bytes())))
        assert expected == cells(read_table(io.StringIO(GERMAN)))
        with pytest.raises(InvalidValue, match="encoding"):
            read_table(io.StringIO(GERMAN), encoding="utf-8")

    @pytest.mark.parametrize("given_", ["str", "Path", "bytes", "bytearray", "memoryview"])
    def test_paths_and_bytes(self, put, given_):
        """In all their forms."""
        path = put(JIRA)
        forms = {
            "str": str(path),
            "Path": path,
            "bytes": JIRA.encode(),
            "bytearray": bytearray(JIRA.encode()),
            "memoryview": memoryview(JIRA.encode()),
        }
        assert 2 == len([*read_table(forms[given_])])

    def test_standard_input(self, put):
        """A dash is standard input, whatever comes."""
        code = (
            "from imcm.interchange.tables import read_table; t = read_table('-'); "
            "print(t.name, t.said, len([*t]))"
        )
        for data, said in (
            (GERMAN.encode("cp1252"), "semicolons, Windows-1252 2"),
            (gzip.compress(JIRA.encode()), "unpacked from gzip, commas"),
            (b'{"a":1}\n{"a":2}\n', "JSON lines 2"),
        ):
            ran = subprocess.run(
                [sys.executable, "-c", code], input=data, capture_output=True, check=True
            )
            assert f"standard input {said}".encode() in ran.stdout

    def test_standard_input_that_holds_nothing(self):
        """The device that gives nothing is empty, and one that never ends is none."""
        code = (
            "from imcm.interchange.tables import read_table; from imcm.errors import ImcmError\n"
            "try: read_table('-')\nexcept ImcmError as error: print(error)"
        )
        for device, why in ((os.devnull, b"it is empty"), ("/dev/zero", b"it is a device")):
            if Path(device).exists():
                with Path(device).open("rb") as file:
                    ran = subprocess.run(
                        [sys.executable, "-c", code],
                        stdin=file,
                        capture_output=True,
                        timeout=20,
                        check=True,
                    )
                assert why in ran.stdout

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_what_never_ends_or_is_no_file(self, tmp_path):
        """Named pipes, devices and directories are refused at once."""
        pipe = tmp_path / "pipe.csv"
        os.mkfifo(pipe)
        begin = time.monotonic()
        for path in (pipe, "/dev/zero", "/dev/urandom", tmp_path, "."):
            assert "it is no file but" in refused(path)
        with Path("/dev/zero").open("rb") as file:
            assert "it is a device" in refused(file)
        assert time.monotonic() - begin < 5
        assert "there is no file" in refused(tmp_path / "none.csv")
        assert "can't be read" in refused(tmp_path / ("x" * 300))

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_a_pipe_that_was_opened(self, tmp_path):
        """Whoever opens one knows that somebody writes to it."""
        pipe = tmp_path / "pipe.csv"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pipe.write_bytes(JIRA.encode()))
        writer.start()
        with pipe.open("rb") as file:
            assert 2 == len([*read_table(file)])
        writer.join()

    def test_a_file_without_end_has_a_limit(self):
        """More than so many bytes are not kept."""

        class Endless:
            def read(self, size):
                return b"x," * (size // 2)

        message = refused(Endless(), limits=Limits(unpacked=10_000_000))
        assert "more than 10,000,000 bytes came" in message

    @pytest.mark.parametrize(
        "given_",
        [None, 5, object(), {"a": 1}, (each for each in ()), {1, 2}, "", "a\0b", "\ud800", True],
    )
    def test_what_is_no_table(self, given_):
        """It is named as it was called."""
        with pytest.raises(InvalidValue) as caught:
            read_table(given_, name="changes")
        assert "changes" == caught.value.name

    def test_files_that_can_not_be_read(self, put, tmp_path):
        """Closed, open for writing, giving something else."""
        file = put(JIRA).open("rb")
        file.close()
        assert "can't be read" in refused(file)
        with (tmp_path / "out").open("wb") as out:
            assert "can't be read" in refused(out)

        class Odd:
            def read(self, size):
                return 5

        with pytest.raises(InvalidValue):
            read_table(Odd())
        with put(b"a\n\xe4\n").open(encoding="utf-8") as text:
            assert "byte 0xe4 is not utf-8" in refused(text)

    @pytest.mark.parametrize("name", ["name", "sheet", "member", "limits"])
    def test_arguments_of_other_kinds(self, name):
        """Each is named."""
        with pytest.raises(InvalidValue, match=name):
            read_table(b"a\n1\n", **{name: 5})

    @pytest.mark.parametrize(
        ("given_", "options"),
        [
            (b"a\n1\n", {"sheet": "S"}),
            (b"a\n1\n", {"member": "x.csv"}),
            (b'[{"a":1}]', {"sheet": "S"}),
            (b'[{"a":1}]', {"encoding": "cp1252"}),
            ([{"a": 1}], {"delimiter": ","}),
            (gzip.compress(b"a\n1\n", mtime=0), {"member": "a"}),
        ],
    )
    def test_arguments_that_say_nothing_of_it(self, given_, options):
        """What would be left out in silence is refused."""
        (name,) = options
        with pytest.raises(InvalidValue) as caught:
            read_table(given_, **options)
        assert name == caught.value.name

    @pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "x"])
    def test_limits_are_whole_numbers(self, value):
        """Above 0."""
        with pytest.raises(InvalidValue):
            Limits(cell=value)

    def test_nothing_is_left_open(self, put, recwarn):
        """A table that is let go of closes what was kept for it."""
        path = put(
            gzip.compress(
                b"a\n"
                + b"123456789\n" * 50_000
                + random.Random(1).randbytes(5_000_000).hex("\n", 8).encode()
            ),
            "big.csv.gz",
        )
        before = len([*Path("/proc/self/fd").iterdir()]) if Path("/proc/self/fd").exists() else 0
        table = read_table(path)
        rows = iter(table)
        next(rows)
        del table
        assert "123456789" == next(rows).cells[0]
        rows.close()
        del rows
        gc.collect()
        if before:
            assert before == len([*Path("/proc/self/fd").iterdir()])
        refused(put(gzip.compress(b"a\n1\n", mtime=0)[:-3], "cut.csv.gz"))
        gc.collect()
        assert not recwarn.list


# --- packed ---------------------------------------------------------------------------------------


class TestPacked:
    def test_gzip(self, put):
        """Its name need not say so."""
        for name in ("incidents.csv.gz", "incidents.csv", "x"):
            table = read_table(put(gzip.compress(GERMAN.encode("cp1252")), name))
            assert "unpacked from gzip, semicolons, Windows-1252" == table.said
            assert 2 == len([*table])

    def test_a_zip_archive_with_one_table(self, put):
        """What is no table, and what a system puts beside it, does not count."""
        files = {"a/README.md": "x", "a/incidents.csv": JIRA, "__MACOSX/a/incidents.csv": "x"}
        table = read_table(put(archive(files), "x.zip"))
        assert table.said.startswith("'a/incidents.csv' of a zip archive, commas, UTF-8")
        assert "x.zip/a/incidents.csv:3" in table.place(3)
        assert 2 == len([*read_table(archive({"export": JIRA}))])

    def test_a_zip_archive_with_several_tables(self, put):
        """They are listed, and one can be named."""
        data = archive({"a.csv": "x\n1\n", "b.json": '[{"y":2}]'})
        assert "'a.csv', 'b.json'" in refused(data)
        assert [{"y": "2"}] == cells(read_table(data, member="b.json"))
        with pytest.raises(InvalidValue, match=r"'a\.csv', 'b\.json'"):
            read_table(data, member="c.csv")
        assert "no table is in it" in refused(archive({"a.png": "x", "b.png": "y"}))
        assert "it is empty" in refused(archive({}))
        inside = read_table(
            archive({"a.xlsx": workbook({"S": [["id"], [1]]}), "b.csv": "x"}), member="a.xlsx"
        )
        assert [{"id": "1"}] == cells(inside)

    def test_bombs_are_refused(self):
        """Small files that unpack to very much."""
        zeros = b"0" * 60_000_000
        for data in (gzip.compress(b"a\n" + zeros, mtime=0), archive({"a.csv": b"a\n" + zeros})):
            assert "more than 200 times its size" in refused(data)
            assert "more than 1,000,000 bytes" in refused(data, limits=Limits(unpacked=1_000_000))
        many = archive({f"{number}.csv": "a" for number in range(1_500)})
        assert "more than 1,000 files" in refused(many)
        huge = archive({f"{number}{'x' * 9_000}.csv": "a" for number in range(600)})
        assert "more than 1,000 files" in refused(huge)  # by the size of its list
        twice = gzip.compress(gzip.compress(JIRA.encode()))
        assert "packed twice" in refused(twice)
        assert "packed twice" in refused(archive({"a.csv": archive({"a.csv": "x"})}))

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_rare_packings_are_refused(self, method):
        """They are known by few, and may take very much memory."""
        assert "in a rare way" in refused(archive({"a.csv": JIRA}, method))

    def test_damaged_archives(self):
        """Cut off, changed, with a password."""
        data = gzip.compress(JIRA.encode())
        assert "no whole gzip file" in refused(data[:-5])
        assert "no whole gzip file" in refused(data[:20] + b"x" + data[21:])
        data = archive({"a.csv": JIRA})
        assert "no whole zip file" in refused(data[:-30])
        changed = bytearray(data)
        changed[60] ^= 0xFF
        assert "no whole zip file" in refused(bytes(changed))
        locked = bytearray(data)
        locked[data.rfind(b"PK\x01\x02") + 8] |= 1
        assert "password" in refused(bytes(locked))
        nameless = data.replace(b"a.csv", b"\0.csv")
        assert "no whole zip file" in refused(nameless)

    def test_names_that_say_what_is_not_so(self, put):
        """Whoever named it is told."""
        assert "no workbook, though" in refused(put("a\n1\n", "x.xlsx"))
        assert "not packed, though" in refused(put("a\n1\n", "x.gz"))
        assert "old Excel" in refused(
            put(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "x.xlsx")
        )
        assert "Parquet" in refused(put(b"PAR1xxxx", "x.parquet"))


# --- JSON -----------------------------------------------------------------------------------------


class TestJson:
    @pytest.mark.parametrize("key", ["result", "issues", "data", "records", "value"])
    def test_an_object_with_one_list_of_objects(self, put, key):
        """Whatever it is called, and also inside of another."""
        rows = [{"id": 1, "ok": True}, {"id": 2.5, "more": "x"}]
        for document, where in (
            ({"total": 2, "tags": ["a"], key: rows}, key),
            ({"answer": {"page": 1, key: rows}}, f"answer.{key}"),
        ):
            table = read_table(put(json.dumps(document), "x.json"))
            assert f"JSON: the list '{where}'" == table.said
            assert ("id", "ok", "more") == table.columns
            assert [("1", "true", ""), ("2.5", "", "x")] == [row.cells for row in table]

    def test_a_list_of_objects(self):
        """Objects in them become columns with dots, lists are joined."""
        issue = {
            "key": "OPS-1",
            "fields": {"status": {"name": "Done"}, "labels": ["a", "b"], "assignee": None},
        }
        other = {"key": "OPS-2", "fields": {"assignee": {"name": "Ada"}, "comments": [{"by": 1}]}}
        table = read_table(json.dumps([issue, other]).encode())
        assert (
            *("key", "fields.status.name", "fields.labels", "fields.assignee.name"),
            "fields.comments",
        ) == table.columns
        first, second = cells(table)
        assert {"key": "OPS-1", "fields.status.name": "Done", "fields.labels": "a;b"} == first
        assert '[{"by":1}]' == second["fields.comments"]
        assert "incidents item 2" == table.place(2)

    def test_lines(self, put):
        """Known by the name or by what they are; blank ones are passed over."""
        text = '\ufeff{"id": 1}\n\n{"b": "x", "id": 42.0}\r\n'
        for given_ in (
            put(text, "x.jsonl"),
            put(text, "x.ndjson"),
            put(text, "x.json"),
            text.encode(),
        ):
            table = read_table(given_)
            assert "JSON lines" == table.said
            assert ("id", "b") == table.columns
            assert [(1, ("1", "")), (3, ("42", "x"))] == [(row.line, row.cells) for row in table]
        assert [b'{"id":"1"}', b'{"b":"x","id":"42"}'] == [row.raw for row in table]

    def test_numbers(self):
        """Whole ones have no point, however they were written, and keep all of their digits."""
        table = read_table(
            b'[{"a":42.0,"b":1e3,"c":123456789012345678901234567890,"d":0.1,"e":-0.0}]'
        )
        assert ("42", "1000", "123456789012345678901234567890", "0.1", "0") == next(
            iter(table)
        ).cells

    def test_nothing(self):
        """An answer without rows is a table without rows."""
        for data in (b"[]", b'{"result": []}'):
            table = read_table(data)
            assert () == table.columns
            assert [] == [*table]
            assert table.said.endswith("no rows")

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b'{"a":[{}],"b":[{"x":1}],"c":[{"y":1}]}', "several lists of objects: 'a', 'b', 'c'"),
            (b'{"error":"no"}', "no list of objects"),
            (b'{"a":{"b":{"c":{"d":[{"x":1}]}}}}', "no list of objects"),
            (b'[{"a":1}', "not JSON"),
            (b"[1,2]", "incidents item 1: it is int"),
            (b"[" * 100_000, "not JSON"),
            (b'[{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "not JSON"),
            (b'[{"a":1e999}]', "not JSON"),
            (b'[{"a":"\xff"}]', "not JSON"),
            (b'{"a":1}\n{"a":2}\nx\n', "incidents:3: it is not JSON"),
            (b'{"a":1}\n{"a":2}\n[3]\n', "incidents:3: it is list"),
        ],
    )
    def test_what_holds_no_rows(self, data, why):
        """The line or item is named."""
        assert why in refused(data)

    def test_limits(self):
        """Depth, width, length and size."""
        deep = {"a": {"b": {"c": {"d": 1}}}}
        table = read_table([deep], limits=Limits(depth=2))
        assert [{"a.b.c": '{"d":1}'}] == cells(table)
        wide = json.dumps([{f"c{number}": 1 for number in range(200)}]).encode()
        assert "more than 100 columns" in refused(wide, limits=Limits(columns=100))
        sparse = "".join(json.dumps({f"c{number}": 1}) + "\n" for number in range(200)).encode()
        assert "incidents:101: there are more than 100" in refused(
            sparse, limits=Limits(columns=100)
        )
        assert "characters; at most 10 " in refused(
            b'[{"a":"xxxxxxxxxxx"}]', limits=Limits(cell=10)
        )
        assert "at most 10 is read" in refused(b'[{"a":"xxxxxxxxxxx"}]', limits=Limits(document=10))
        assert "longer than 20 bytes" in refused(
            b'{"a":1}\n{"a":2}\n{"a":"' + b"x" * 20 + b'"}\n', limits=Limits(row=20)
        )


# --- typed values ---------------------------------------------------------------------------------


class TestValues:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, ""),
            (True, "true"),
            (False, "false"),
            (42.0, "42"),
            (-0.0, "0"),
            (1.5, "1.5"),
            (1e300, "1e+300"),
            (1234567890123456.0, "1234567890123456"),
            (float("nan"), ""),
            (Decimal("42.00"), "42"),
            (Decimal("1.50"), "1.50"),
            (Decimal("NaN"), ""),
            (Decimal("1e999999"), "1E+999999"),
            (10**30, "1" + "0" * 30),
            ("  x ", "x"),
            (STAMP, "2024-05-01T09:30:00"),
            (datetime(2024, 5, 1, 9, 30, tzinfo=UTC), "2024-05-01T09:30:00+00:00"),
            (
                datetime(2024, 5, 1, 9, 30, 0, 5, tzinfo=ZoneInfo("Europe/Berlin")),
                "2024-05-01T09:30:00.000005+02:00",
            ),
            (
                datetime(2024, 5, 1, tzinfo=timezone(-timedelta(hours=3))),
                "2024-05-01T00:00:00-03:00",
            ),
            (date(2024, 5, 1), "2024-05-01"),
            (timedelta(hours=1, minutes=30), "PT1H30M"),
            (timedelta(days=2, seconds=5, microseconds=120), "P2DT5.00012S"),
            (timedelta(0), "PT0S"),
            (timedelta(days=-1), "-P1D"),
            (["a", None, 2.0], "a;2"),
            (("a",), "a"),
            ({"b", "a"}, "a;b"),
            ([], ""),
            ({}, ""),
            ([["a"], "b"], '[["a"],"b"]'),
            (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
            (b"x", "x"),
            (MappingProxyType({}), ""),
        ],
    )
    def test_a_value_as_text(self, value, text):
        """In the form that our readers take."""
        (row,) = read_table([{"id": 1, "v": value}])
        assert (text,) == row.cells[1:]

    @given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_000)))
    def test_durations_are_read_as_they_were(self, value):
        """By the reader of durations that imports have."""
        from imcm.interchange.mapping import duration

        assert value // timedelta(microseconds=1) == duration("d", duration_text(value))

    @given(st.floats(allow_nan=False))
    def test_numbers_are_read_as_they_were(self, value):
        """To the last digit."""
        assert value == float(number_text(value))

    @pytest.mark.parametrize(
        "value",
        [object(), 3j, range(3), type, "\ud800", b"\xff", pytest.param(10**5000, id="digits")],
    )
    def test_what_has_no_text(self, value):
        """Its place is named."""
        with pytest.raises(InvalidValue, match="incidents row 2, v"):
            read_table([{"v": 1}, {"v": value}])

    def test_what_never_ends(self):
        """A mapping or list that holds itself."""
        loop = {}
        loop["a"] = loop
        ring = []
        ring.append(ring)
        for value in (loop, ring):
            with pytest.raises(InvalidValue, match="incidents row 1"):
                read_table([{"v": value}])

    def test_mappings_of_any_class(self):
        """And keys of any kind; the caller's own list may change afterwards."""
        rows = [MappingProxyType({"a": 1, 2: "x", None: "y", "": "z"})]
        table = read_table(rows)
        rows.clear()
        assert [{"a": "1", "2": "x", "(no name)": "y;z"}] == cells(table)
        assert "incidents row 2: it is list" in refused([{"a": 1}, [1]])


# --- frames ---------------------------------------------------------------------------------------


class TestFrames:
    def test_pandas(self):
        """Missing values are nothing, numbers that became floats are whole again."""
        frame = pandas.DataFrame(
            {
                "id": [1, 2],
                "n": [42.0, None],
                "i": pandas.array([1, None], dtype="Int64"),
                "b": pandas.array([True, None], dtype="boolean"),
                "s": pandas.array(["x", None], dtype="string"),
                "at": pandas.to_datetime(["2024-05-01T09:30:00.000000001Z", None]),
                "naive": pandas.to_datetime(["2024-05-01 09:30", None]),
                "took": pandas.to_timedelta(["90min", None]),
                "c": pandas.Categorical(["u", None]),
                "l": [["a", "b"], None],
                "p": pandas.PeriodIndex(["2024-05", None], freq="M"),
            }
        )
        table = read_table(frame)
        first, second = table
        assert (
            *("1", "42", "1", "true", "x", "2024-05-01T09:30:00+00:00", "2024-05-01T09:30:00"),
            *("PT1H30M", "u", "a;b", "2024-05"),
        ) == first.cells
        assert {"id": "2"} == cells(table)[1]
        assert b'{"id":"2"}' == second.raw
        assert "a frame of pandas" == table.said

    def test_indices_and_columns_of_pandas(self):
        """A named index counts as a column; columns that come again are joined."""
        frame = pandas.DataFrame([[1, "a", "b"]], columns=["id", "l", "l"]).set_index("id")
        assert [{"id": "1", "l": "a;b"}] == cells(read_table(frame))
        levels = pandas.DataFrame(
            [[1, 2]], columns=pandas.MultiIndex.from_tuples([("a", "b"), ("c", "")])
        )
        assert [{"a.b": "1", "c": "2"}] == cells(read_table(levels))
        numbers = pandas.DataFrame(
            {"v": pandas.Series([pandas.Timestamp("2024-05-01").to_datetime64(), 3], dtype=object)}
        )
        assert ["2024-05-01T00:00:00", "3"] == [row.cells[0] for row in read_table(numbers)]
        assert ("a",) == read_table(pandas.DataFrame({"a": []})).columns
        assert [] == [*read_table(pandas.DataFrame())]

        class Own(pandas.DataFrame):
            pass

        assert [{"a": "1"}] == cells(read_table(Own({"a": [1]})))

    def test_polars(self):
        """Frames, and those that are still to be computed."""
        polars = pytest.importorskip("polars")
        frame = polars.DataFrame(
            {
                "id": [1, 2],
                "at": [AWARE, None],
                "day": [date(2024, 5, 1), None],
                "took": [timedelta(minutes=90), None],
                "l": [["a", "b"], []],
                "s": [{"x": 1}, None],
                "f": [1.0, float("nan")],
            }
        )
        for given_ in (frame, frame.lazy()):
            table = read_table(given_)
            assert "a frame of polars" == table.said
            assert (
                *("1", "2024-05-01T09:30:00+00:00", "2024-05-01", "PT1H30M", "a;b", '{"x":1}', "1"),
            ) == next(iter(table)).cells
            assert {"id": "2"} == {k: v for k, v in cells(table)[1].items() if k != "s"}
        broken = frame.lazy().select("none")
        assert "polars can't give its rows" in refused(broken)

    def test_duckdb(self):
        """A relation."""
        duckdb = pytest.importorskip("duckdb")
        with duckdb.connect() as connection:
            relation = connection.sql(
                "select range as id, timestamp '2024-05-01 09:30:00' as at, "
                "1.50::decimal(5,2) as n, "
                "interval 90 minute as took, ['a','b'] as l, null as nothing from range(25000)"
            )
            table = read_table(relation)
            assert 25_000 == len([*table])
            assert ("id", "at", "n", "took", "l", "nothing") == table.columns
            assert ("0", "2024-05-01T09:30:00", "1.50", "PT1H30M", "a;b", "") == next(
                iter(table)
            ).cells
            broken = connection.sql("select error('x') as a from range(3)")
            assert "duckdb can't give its rows" in refused(broken)

    def test_pyarrow(self):
        """Tables and batches."""
        arrow = pytest.importorskip("pyarrow")
        table = arrow.table({"id": [1, 2], "at": [AWARE, None]})
        for given_ in (table, table.to_batches()[0]):
            found = read_table(given_)
            assert "a frame of pyarrow" == found.said
            assert [{"id": "1", "at": "2024-05-01T09:30:00+00:00"}, {"id": "2"}] == cells(found)
        twice = arrow.Table.from_arrays([arrow.array([1]), arrow.array([2])], names=["a", "a"])
        assert [{"a": "1;2"}] == cells(read_table(twice))

    def test_none_of_them_is_imported(self, put):
        """Not to read a file, nor to see that a list is no frame."""
        code = (
            "import sys; from imcm.interchange.tables import read_table\n"
            f"read_table({str(put(JIRA))!r}); read_table([{{'a': 1}}])\n"
            "print({m.partition('.')[0] for m in sys.modules} & "
            "{'pandas', 'polars', 'duckdb', 'pyarrow', 'numpy', 'python_calamine'})"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert b"set()" == ran.stdout.strip()


# --- workbooks ------------------------------------------------------------------------------------


class TestWorkbook:
    def test_a_sheet(self, put):
        """The first that is not empty; numbers, times, days, durations and truths as text."""
        rows = [
            ["Number", None, "Opened", "Day", "Took", "Major", "Midnights", "Title"],
            [
                42,
                None,
                STAMP,
                date(2024, 5, 1),
                timedelta(hours=26),
                True,
                datetime(2024, 5, 2, tzinfo=UTC).replace(tzinfo=None),
                "ä",
            ],
            [],
            [1.25, None, None, None, None, False, STAMP, " x "],
        ]
        data = workbook({"Notes": [], "Incidents": rows, "More": [["a"]]})
        table = read_table(put(data, "x.xlsx"))
        assert "a workbook, 3 sheets: 'Incidents', not 'Notes', 'More'" == table.said
        assert ("Number", "Opened", "Day", "Took", "Major", "Midnights", "Title") == table.columns
        assert [
            (
                2,
                (
                    "42",
                    "2024-05-01T09:30:00",
                    "2024-05-01",
                    "P1DT2H",
                    "true",
                    "2024-05-02T00:00:00",
                    "ä",
                ),
            ),
            (4, ("1.25", "", "", "", "false", "2024-05-01T09:30:00", "x")),
        ] == [(row.line, row.cells) for row in table]
        assert table.place(4).endswith("x.xlsx row 4")

    def test_which_sheet(self):
        """By its name, or the first of those that are shown."""
        data = workbook({"A": [["id"], [1]], "B": [["id"], [2]]})
        assert "a workbook, 2 sheets: the first, 'A', not 'B'" == read_table(data).said
        table = read_table(data, sheet="B")
        assert "a workbook, 2 sheets: 'B'" == table.said
        assert [{"id": "2"}] == cells(table)
        with pytest.raises(InvalidValue, match="'A', 'B'"):
            read_table(data, sheet="C")
        hidden = workbook(
            {"A": [["id"], [1]], "B": [["id"], [2]]},
            lambda _, sheet: sheet.hide() if sheet.name == "A" else sheet.activate(),
        )
        assert [{"id": "2"}] == cells(read_table(hidden))
        assert [{"id": "1"}] == cells(read_table(hidden, sheet="A"))
        assert "no sheet that is shown holds a row" in refused(workbook({"A": []}))

    def test_headers(self):
        """Not in the first row, not in the first column, twice, without a name."""
        rows = [[], [], [None, "id", "l", "l", None], [None, 1, "a", "b", "c"]]
        table = read_table(workbook({"S": rows}))
        assert ("id", "l", "column 4") == table.columns
        assert [(4, ("1", "a;b", "c"))] == [(row.line, row.cells) for row in table]

    def test_merged_cells(self):
        """A value that spans rows stands in each of them, and it is said."""

        def merge(book, sheet):
            sheet.merge_range(1, 0, 3, 0, "checkout", book.add_format())

        rows = [["service", "id"], [None, 1], [None, 2], [None, 3], ["search", 4]]
        table = read_table(workbook({"S": rows}, merge))
        assert ["checkout"] * 3 + ["search"] == [row.cells[0] for row in table]
        assert "merged cells" in table.said

        def merge_header(book, sheet):
            sheet.merge_range(0, 0, 1, 0, "service", book.add_format())
            sheet.merge_range(0, 1, 0, 2, "id", book.add_format())

        rows = [[None, None, None], [None, 1, "x"], ["search", 2]]
        table = read_table(workbook({"S": rows}, merge_header))
        assert ("service", "id", "column 3") == table.columns
        assert [("", "1", "x"), ("search", "2", "")] == [row.cells for row in table]
        assert "merged cells" not in table.said

    def test_bounds_that_no_memory_holds(self):
        """Two cells in far corners."""
        far = '<row r="1"><c r="A1"><v>1</v></c></row>'
        far += '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
        begin = time.monotonic()
        assert "bounds of" in refused(raw_workbook(far.replace("1048576", "4294967300")))
        for data in (far, far.replace('"', "'"), far.replace("<c ", "<x:c ").replace("r=", "r = ")):
            assert "bounds of" in refused(raw_workbook(data))
        assert time.monotonic() - begin < 5

    def test_texts_that_no_memory_holds(self):
        """One long text that a million cells name."""
        strings = f"<si><t>{'x' * 900_000}</t></si><si><t>id</t></si>"
        many = "".join(
            f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 20_000)
        )
        assert "the texts of a sheet" in refused(
            raw_workbook(many, strings), limits=Limits(ratio=10_000)
        )
        few = '<row r="1"><c r="A1" t="s"><v>1</v></c></row>'
        few += '<row r="2"><c r="A2" t="s"><v>0</v></c></row>'
        few += "".join(
            f'<row r="{n}"><c r="A{n}" t="s"><v>1</v></c></row>' for n in range(3, 2_000)
        )
        assert 1_998 == len([*read_table(raw_workbook(few, strings))])

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (raw_workbook("<row><c"), "it is no workbook that can be read"),
            (raw_workbook('<row r="1"><c r="A1" t="s"><v>9</v></c></row>'), ""),
            (raw_workbook("", **{"xl/big.bin": b"0" * 300_000_000}), "unpacks to more than"),
            (archive({"xl/workbook.xml": "x"}), ""),
            (archive({"xl/workbook.xml": ""}), ""),
        ],
        ids=range(5),
    )
    def test_damaged_workbooks(self, data, why):
        """What the library makes of them is one of our errors."""
        assert why in refused(data)

    def test_without_the_extra(self, monkeypatch):
        """It is named."""
        monkeypatch.setitem(sys.modules, "python_calamine", None)
        with pytest.raises(MissingExtraError, match=r"imcm\[workbooks\]"):
            read_table(workbook({"S": [["id"], [1]]}))

    def test_a_workbook_of_pandas(self, tmp_path):
        """What a frame wrote is read as it was."""
        frame = pandas.DataFrame({"id": [1, 2], "at": [STAMP, STAMP], "t": ["ä", None]})
        frame.to_excel(tmp_path / "x.xlsx", index=False, engine="xlsxwriter")
        assert cells(read_table(frame)) == cells(read_table(tmp_path / "x.xlsx"))


# --- laws -----------------------------------------------------------------------------------------

_CELL = st.text(
    st.characters(codec="cp1252", exclude_characters="\0", exclude_categories=["Cc"])
    | st.sampled_from(list(',;|\t"\n')),
    max_size=8,
).map(str.strip)
_TABLE = st.integers(1, 5).flatmap(
    lambda width: st.lists(
        st.lists(_CELL, min_size=width, max_size=width).filter(any), min_size=1, max_size=8
    )
)


class TestLaws:
    @settings(max_examples=300, deadline=None)
    @given(
        _TABLE,
        st.sampled_from([",", ";", "\t", "|"]),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
        st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        st.sampled_from(["\n", "\r\n"]),
        st.booleans(),
    )
    def test_what_csv_wrote_is_read_again(self, rows, delimiter, encoding, quoting, end, says):
        """With the delimiter named or found out; where it can't be, that is asked."""
        header = [cell or f"column {place}" for place, cell in enumerate(rows[0], 1)]
        assume(len({*header}) == len(header))
        assume(not header[0].casefold().startswith("sep="))
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(
            [header, *rows[1:]]
        )
        data = out.getvalue().encode(encoding)
        named = {"delimiter": delimiter, "encoding": None if encoding.endswith("sig") else encoding}
        if says and not any(set(cell) & set(',;|\t"') for cell in header) and len(header) > 1:
            named = {}
        # By chance the bytes of two letters may be one letter of UTF-8.
        if not named and encoding == "cp1252":
            named = {"encoding": "cp1252"}
        if out.getvalue().lstrip()[:1] in {"[", "{"}:  # which JSON would begin with
            named["delimiter"] = delimiter
        table = read_table(data, **named)
        assert [tuple(header), *map(tuple, rows[1:])] == [table.columns, *(r.cells for r in table)]
        assert all(row.raw in data for row in table)

    @settings(max_examples=400, deadline=5_000)
    @given(
        st.binary(max_size=300)
        | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
        | st.lists(
            st.sampled_from(
                [b"{", b"}", b"[", b"]", b'"', b",", b";", b"\n", b"a", b":", b"1", b"\xff"]
            )
        ).map(b"".join)
        | st.builds(
            lambda head, rest: head + rest,
            st.sampled_from(
                [b"PK\x03\x04", b"\x1f\x8b\x08", b"\xff\xfe", b"\xef\xbb\xbf", b"sep="]
            ),
            st.binary(max_size=99),
        ),
        st.sampled_from(
            ["csv", "tsv", "json", "jsonl", "xlsx", "gz", "zip", "csv.gz", "", "xls", "txt"]
        ),
    )
    @example(b"", "csv")
    @example(b"\t", "csv")
    @example(b"\x1f\x8b", "gz")
    @example(b"PK\x05\x06" + b"\0" * 18, "zip")
    def test_any_bytes_give_rows_or_an_error_of_ours(self, tmp_path_factory, data, suffix):
        """Whatever the name says."""
        path = tmp_path_factory.getbasetemp() / f"x.{suffix}"
        path.write_bytes(data)
        for given_ in (path, data):
            try:
                for row in read_table(given_):
                    assert all(isinstance(cell, str) for cell in row.cells)
            except ImcmError as error:
                str(error)

    @pytest.mark.parametrize("seed", range(60))
    def test_damaged_real_files(self, seed):
        """Some bytes of a whole file are others: rows, or an error of ours."""
        drawn = random.Random(seed)
        plain = raw_workbook('<row r="1"><c r="A1"><v>1</v></c></row>' * 9, "<si><t>x</t></si>")
        for data in (
            plain,
            workbook({"S": [["id", "at"], [1, STAMP]]}),
            archive({"a.csv": GERMAN}),
            gzip.compress(JIRA.encode()),
            json.dumps({"issues": [{"a": [1, {"b": 2}]}]}).encode(),
        ):
            changed = bytearray(data)
            for _ in range(drawn.choice([1, 2, 10])):
                changed[drawn.randrange(len(changed))] = drawn.randrange(256)
            try:
                [*read_table(bytes(changed))]
            except ImcmError as error:
                str(error)

    @pytest.mark.parametrize("seed", range(40))
    def test_damaged_sheets(self, seed):
        """The XML of a sheet is damaged, and the archive around it is whole."""
        drawn = random.Random(seed)
        sheet = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>45413.5</v></c></row>' * 5
        strings = "<si><t>id</t></si>"
        for _ in range(5):
            at = drawn.randrange(len(sheet))
            sheet = sheet[:at] + drawn.choice("<>/\"'=&9A \x01é") + sheet[at + 1 :]
        try:
            [*read_table(raw_workbook(sheet, strings))]
        except ImcmError as error:
            str(error)


class TestMemory:
    @pytest.mark.parametrize("kind", ["csv", "jsonl"])
    def test_it_does_not_grow_with_the_file(self, tmp_path, kind):
        """Rows come and go; several megabytes take no more than their part in memory."""
        path = tmp_path / f"x.{kind}"
        row = '{"id":1,"title":"some words"}\n' if kind == "jsonl" else "1,some words of a title\n"
        with path.open("w") as file:
            file.write('{"id":"x"}\n' if kind == "jsonl" else "id,title\n")
            for _ in range(20):
                file.write(row * 10_000)
        tracemalloc.start()
        try:
            count = sum(1 for _ in read_table(path))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert count >= 200_000
        assert most < 14_000_000  # 8 MB of a temporary file are kept in memory


def test_a_table_is_a_class_of_ours():
    """What readers give is named."""
    assert isinstance(read_table([{"a": 1}]), Table)
