"""Payloads in files: what is read of files that are large, packed, marked or wrong."""

import gzip
import json

import pytest

from imcm.errors import ImportRefusedError
from imcm.interchange.formats import format_named
from imcm.interchange.payload_files import read_files
from imcm.interchange.payloads import LARGEST

ALERTS = format_named("alertmanager")


def delivery(number, summary="it fails"):
    alert = {
        "status": "firing",
        "fingerprint": f"f{number}",
        "startsAt": "2026-03-06T12:00:00Z",
        "annotations": {"summary": summary},
        "labels": {"service": "pay"},
    }
    return {"version": "4", "status": "firing", "alerts": [alert]}


def line(number, summary="it fails"):
    return json.dumps(delivery(number, summary)).encode() + b"\n"


def read(tmp_path, data, name="p.jsonl"):
    path = tmp_path / name
    path.write_bytes(data)
    return list(read_files([path], ALERTS))


def ids(parts):
    return [statement.id.partition("@")[0] for part in parts for statement in part.statements]


TOO_LONG = line(2, "x" * LARGEST)


class TestLines:
    @pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "between", "last"])
    def test_one_that_is_too_long_takes_no_other_with_it(self, tmp_path, place):
        lines = [line(1), line(3)]
        lines.insert(place, TOO_LONG)

        parts = read(tmp_path, b"".join(lines))

        assert ids(parts) == ["f1", "f3"]
        [bad] = [part.bad for part in parts if part.bad is not None]
        assert bad.where.endswith(f":{place + 1}")
        assert f"a line of {len(TOO_LONG):,} bytes; at most {LARGEST:,}" in bad.why

    def test_a_line_of_all_bytes_there_may_be_is_read(self, tmp_path):
        spare = LARGEST - len(line(1, ""))
        assert ids(read(tmp_path, line(1, "x" * spare) + line(2))) == ["f1", "f2"]

    def test_numbers_count_empty_lines_at_the_head(self, tmp_path):
        parts = read(tmp_path, b"\n\n" + line(1) + b"{\n")
        assert [part.where.rpartition(":")[2] for part in parts] == ["3", "4"]


class TestWhole:
    def test_one_list_may_be_larger_than_a_line(self, tmp_path):
        many = [delivery(number, "x" * 1000) for number in range(9_000)]
        data = json.dumps(many).encode()
        assert len(data) > LARGEST
        assert len(ids(read(tmp_path, data))) == 9_000

    def test_the_mark_of_utf8_is_no_part_of_it(self, tmp_path):
        assert ids(read(tmp_path, b"\xef\xbb\xbf" + line(1) + line(2))) == ["f1", "f2"]

    def test_packed(self, tmp_path):
        assert ids(read(tmp_path, gzip.compress(line(1) + line(2)), "p.jsonl.gz")) == ["f1", "f2"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "p.jsonl is empty; nothing was recorded"),
        (b" \n\n", "p.jsonl is empty; nothing was recorded"),
        ('{"a": 1}'.encode("utf-16"), "is UTF-16; JSON is UTF-8"),
        (b'{"a": 1,\n', "neither JSON nor JSON lines"),
        (b"<html>", "neither JSON nor JSON lines"),
    ],
)
def test_what_is_no_file_of_payloads(tmp_path, data, why):
    with pytest.raises(ImportRefusedError, match=why):
        read(tmp_path, data)


def deployment(number):
    return {
        "id": number,
        "created_at": "2026-03-06T12:00:00Z",
        "statuses": [{"state": "success", "created_at": "2026-03-06T12:05:00Z"}],
    }


def pd(number):
    return {"id": f"Q{number}", "status": "triggered", "created_at": "2026-03-06T12:00:00Z"}


PAGES = {
    "github-deployments": ([deployment(1), deployment(2)], [deployment(3)]),
    "pagerduty": ({"incidents": [pd(1), pd(2)], "more": True}, {"incidents": [pd(3)]}),
    "jira": (
        {"issues": [{"id": "1", "fields": {}}, {"id": "2", "fields": {}}], "total": 3},
        {"issues": [{"id": "3", "fields": {}}], "total": 3},
    ),
}


class TestPages:
    """Pages of an API, as the tools that fetch them put them into one file."""

    @pytest.mark.parametrize("name", PAGES)
    @pytest.mark.parametrize(
        "joined",
        [
            json.dumps,
            lambda pages: "".join(map(json.dumps, pages)),
            lambda pages: "\n".join(map(json.dumps, pages)),
            lambda pages: "\n\n".join(json.dumps(page, indent=2) for page in pages) + "\n",
            lambda pages: json.dumps([pages]),
        ],
        ids=["list of pages", "one behind the other", "one a line", "indented", "list of lists"],
    )
    def test_each_way(self, tmp_path, name, joined):
        path = tmp_path / "p.json"
        path.write_text(joined(PAGES[name]))
        parts = list(read_files([path], format_named(name)))
        assert [part.bad for part in parts] == [None] * 3
        found = [each.id for part in parts for each in part.statements]
        assert [id_[-1] for id_ in found] == ["1", "2", "3"]
        assert len({part.where for part in parts}) == 3

    def test_brackets_and_quotes_in_strings_end_nothing(self, tmp_path):
        odd = 'a ]}[{ \\" \\\\'
        texts = [json.dumps(delivery(number, odd), indent=1) for number in (1, 2)]
        parts = read(tmp_path, "".join(texts).encode())
        assert ids(parts) == ["f1", "f2"]

    @pytest.mark.parametrize(
        "data",
        [
            b'{"a": 1}{"a": ',
            b'{"a": 1}]',
            b"[1]x[2]",
            b'{"a": 1} "open [',
            b'{"a": 1}{"a": "' + b'\\"' * 50_000,
            b"[1]" + b"[" * 70 + b"]" * 70,
        ],
    )
    def test_of_a_file_in_which_one_is_none_nothing_is_read(self, tmp_path, data):
        with pytest.raises(ImportRefusedError, match="neither JSON nor JSON lines"):
            read(tmp_path, data)
