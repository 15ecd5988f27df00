"""
The renderers: what is put into a document is read back from each form, and is nothing but text.
"""

from __future__ import annotations

import csv
import html
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO, StringIO

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from python_calamine import CalamineWorkbook

from imcm.documents import (
    FORMATS,
    Column,
    Document,
    Heading,
    Items,
    Paragraph,
    Table,
    Word,
    html_fragment,
    html_page,
    plain_text,
    rendered,
)
from imcm.documents.structure import number_text, time_text
from imcm.documents.text import columns_of
from imcm.errors import InvalidValue
from imcm.plain import plain

NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)

HOSTILE = (
    "<script>alert(1)</script>",
    "</title></style><img src=x onerror=alert(1)>",
    "\" onmouseover='x' x=\"",
    "&lt;b&gt; &amp; &#60;",
    "[click](javascript:alert(1)) ![](http://e.vil/x.png)",
    "a | b | c",
    "`code` **bold** ~~struck~~ <http://e.vil>",
    "# no heading",
    "- no list",
    "1. no list",
    "2) no list",
    "=== ",
    "---",
    "@everyone #7 www.e.vil",
    "@# `@` \\@",
    '=HYPERLINK("http://e.vil","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "  =1+1",
    "＝1+1",
    "a;=1+1",
    "\x1b]0;owned\x07\x1b[31mred",
    "two\nlines\r\nand\ttabs",
    "\u202eesrever\u2066",
    "zero\u200bwidth",
    "half \ud800 of a pair",
    "日本語の題名 かな",
    "e" + "\u0301" * 30,
    "",
)

TEXT = st.text(max_size=40) | st.sampled_from(HOSTILE)


def of_text(*texts: str) -> Document:
    """Return a document in which texts stand wherever a text can stand."""
    first = texts[0]
    table = Table(
        title=f"t{first}",
        columns=(Column(name=f"c{first}"), Column(name="n", kind="number", unit=f"u{first}")),
        rows=[(text, 1.5) for text in texts] + [(Word(first, "bad"), None)],
    )
    blocks = (Heading(f"h{first}"), Paragraph(f"p{first}"), Items((f"i{first}",)), table)
    return Document(title=f"d{first}", blocks=blocks)


# --- HTML -----------------------------------------------------------------------------------------

ALLOWED = {
    "html", "head", "body", "meta", "title", "style", "main", "h1", "h2", "h3", "p", "ul", "li",
    "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "s",
}  # fmt: skip


def page(text: str):
    """Return a page as a tree; a single mistake of HTML is an error here."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_html_is_valid_and_text_is_text(texts):
    """A strict parser finds no mistake, no element that is not ours, and every text as it is."""
    tree = page(html_page(of_text(*texts)))
    assert {each.tag for each in tree.iter()} <= ALLOWED
    for each in tree.iter():
        assert {*each.keys()} <= {
            "lang", "charset", "http-equiv", "content", "name", "class", "role", "tabindex",
            "aria-label", "scope",
        }  # fmt: skip
    cells = ["".join(row[0].itertext()) for row in tree.iter("tr")][1:]
    assert cells == [*map(plain, texts), plain(texts[0])]
    assert tree.find(".//title").text == plain(f"d{texts[0]}")
    assert tree.find(".//h2").text == plain(f"h{texts[0]}")


def test_a_page_allows_itself_its_style_and_nothing_else():
    """The policy in the file names its own style by hash; nothing is loaded, nothing runs."""
    text = html_page(of_text("x"))
    tree = page(text)
    policies = [m.get("content") for m in tree.iter("meta") if m.get("http-equiv")]
    [policy] = policies
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    import hashlib
    from base64 import b64encode

    style = tree.find(".//style").text
    assert f"'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert not re.search(
        r"(src|href|url\()\s*=?", text.replace("style-src", "").replace("default-src", "")
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_a_fragment_is_text_too(text):
    """What a notebook is given has no element but those of a table, and no style sheet."""
    made = html_fragment(of_text(text))
    tree = page(
        f'<!DOCTYPE html><html lang="en"><head><title>x</title></head><body>{made}</body></html>'
    )
    body = tree.find("body")
    allowed = {
        "body",
        "div",
        "p",
        "strong",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert {each.tag for each in body.iter()} <= allowed
    assert html.escape(plain(text)) in made


# --- Markdown -------------------------------------------------------------------------------------

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False}).enable(["table", "strikethrough"])


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_markdown_shows_every_text_as_it_is(texts):
    """A table has two cells in each row; no text is a link, a tag, a list or a heading."""
    tokens = MARKDOWN.parse(rendered(of_text(*texts), "md").decode())
    kinds = [token.type for token in tokens]
    assert kinds.count("heading_open") == 2
    assert kinds.count("bullet_list_open") == 1
    assert kinds.count("ordered_list_open") == 0
    assert kinds.count("table_open") == 1
    assert not {"html_block", "fence", "code_block", "hr", "blockquote_open"} & {*kinds}
    assert kinds.count("td_open") == 2 * (len(texts) + 1)
    inside = [child.type for t in tokens for child in t.children or ()]
    assert not {"link_open", "image", "html_inline", "em_open", "softbreak"} & {*inside}
    starts = [n for n, kind in enumerate(kinds) if kind == "td_open"]
    shown = ["".join(c.content for c in tokens[n + 1].children) for n in starts[::2]]
    assert [s.strip() for s in shown[:-1]] == [plain(text).strip() for text in texts]


@pytest.mark.parametrize("text", ["- x", "+ x", "1. x", "2) x", "= x", "---", "* x", "> x", "# x"])
def test_a_paragraph_begins_nothing(text):
    """What would begin a list, a quotation or a rule is a paragraph."""
    made = rendered(Document(title="d", blocks=(Paragraph(text), Items((text,)))), "md").decode()
    kinds = [token.type for token in MARKDOWN.parse(made)]
    assert kinds.count("paragraph_open") == 2
    assert kinds.count("bullet_list_open") == 1
    assert not {"hr", "blockquote_open", "ordered_list_open"} & {*kinds}


def test_a_struck_word_is_struck():
    """What was voided is struck through in Markdown and in HTML."""
    rows = [(Word("gone", "struck"),)]
    made = Document(title="d", blocks=(Table(title="t", columns=(Column(name="c"),), rows=rows),))
    assert "~~gone~~" in rendered(made, "md").decode()
    assert "<s>gone</s>" in rendered(made, "html").decode()
    assert "<s>gone</s>" in html_fragment(made)
    assert "gone" in plain_text(made)
    assert "\x1b[9mgone\x1b[0m" in plain_text(made, colour=True)


# --- CSV, JSON ------------------------------------------------------------------------------------

COMPUTED = re.compile(r"^\s*[-=+@＝＋＠－]")


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_csv_is_rectangular_and_no_cell_is_a_formula(texts):
    """Every line has as many cells; a text that a spreadsheet would compute has a sign in front."""
    rows = list(csv.reader(StringIO(rendered(of_text(*texts), "csv").decode(), newline="")))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if COMPUTED.match(cell)]
    told = [row[2] for row in rows if row[1] == "row"][:-1]
    assert [t.replace("'", "") for t in told] == [plain(t).replace("'", "") for t in texts]


def test_csv_of_one_table_is_that_table():
    """Times are in UTC and say so, numbers are numbers, nothing is an empty cell."""
    home = timezone(timedelta(hours=1))
    columns = (Column(name="when", kind="time"), Column(name="x", kind="number", unit="h"))
    rows = [(NOON.astimezone(home), 1.25), (None, float("inf")), ("a to b", 3)]
    made = Document(title="d", blocks=(Table(title="t", columns=columns, rows=rows),))
    read = list(csv.reader(StringIO(rendered(made, "csv").decode(), newline="")))
    assert read == [["when (UTC)", "x (h)"], ["2026-03-06 12:00:00", "1.25"], ["", ""],
                    ["a to b", "3"]]  # fmt: skip
    before = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    early = Table(title="t", columns=columns[:1], rows=[(before,)])
    assert (
        "0001-01-01T00:00:00+05:00"
        in rendered(Document(title="d", blocks=(early,)), "csv").decode()
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_json_holds_the_texts_themselves(texts):
    """Text is as it is, in signs that no terminal obeys; columns say what they are."""
    made = rendered(of_text(*texts), "json")
    assert made.isascii()
    read = json.loads(made)
    assert (read["document"], read["shape"]) == (f"d{texts[0]}", 1)
    assert [block["kind"] for block in read["blocks"]] == [
        "heading", "paragraph", "items", "table",
    ]  # fmt: skip
    table = read["blocks"][3]
    assert table["columns"][1] == {"name": "n", "kind": "number", "unit": f"u{texts[0]}"}
    assert table["rows"] == [*([text, 1.5] for text in texts), [texts[0], None]]


def test_json_has_no_number_that_is_none():
    """What is no finite number is null, and times are ISO 8601."""
    columns = (Column(name="x", kind="number"), Column(name="t", kind="time"))
    table = Table(title="t", columns=columns, rows=[(float("nan"), NOON)], more=7)
    [block] = json.loads(rendered(Document(title="d", blocks=(table,)), "json"))["blocks"]
    assert block["rows"] == [[None, "2026-03-06T12:00:00+00:00"]]
    assert block["more"] == 7


# --- workbooks ------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXT.filter(lambda text: text.strip()), min_size=1, max_size=4))
def test_a_workbook_holds_text_as_text(texts):
    """Another library reads every text as it is; none became a formula or a link."""
    book = CalamineWorkbook.from_filelike(BytesIO(rendered(of_text(*texts), "xlsx")))
    assert len(book.sheet_names) == 2
    rows = book.get_sheet_by_index(1).to_python(skip_empty_area=False)
    assert [row[0] for row in rows[1:]] == [*map(plain, texts), plain(texts[0])]
    assert [row[1] for row in rows[1:-1]] == [1.5] * len(texts)
    lines = [row[0] for row in book.get_sheet_by_index(0).to_python()]
    assert plain(f"p{texts[0]}") in lines


def test_a_workbook_knows_numbers_times_and_names_of_sheets():
    """Numbers and times have their types; names of sheets are short, allowed and each its own."""
    columns = (Column(name="when", kind="time"), Column(name="n", kind="number"))
    early = datetime(1600, 1, 1, tzinfo=UTC)
    rows = [(NOON, 12_345), (early, 2.5), (None, float("nan")), ("x" * 40_000, 10**20)]
    titles = (
        "a/b:c*d?e[f]g",
        "A b c d e f g",
        "history",
        "x" * 60,
        "x" * 60,
        "",
        "\U0001d11e" * 31,
    )
    tables = tuple(Table(title=title, columns=columns, rows=rows, more=3) for title in titles)
    made = rendered(Document(title="d", blocks=tables), "xlsx")
    book = CalamineWorkbook.from_filelike(BytesIO(made))
    assert len(book.sheet_names) == len(titles)
    assert len({name.casefold() for name in book.sheet_names}) == len(titles)
    assert max(map(len, book.sheet_names)) <= 31
    sheet = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert sheet[0] == ["when (UTC)", "n"]
    assert sheet[1] == [NOON.replace(tzinfo=None), 12_345.0]
    assert sheet[2][0] == "1600-01-01T00:00:00+00:00"
    assert len(sheet[4][0]) == 32_767
    assert sheet[4][1] == f"{10**20:,}"
    assert sheet[5][0] == "... and 3 more"


# --- plain text -----------------------------------------------------------------------------------

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b]")


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4), st.booleans())
def test_a_terminal_obeys_nothing_of_a_text(texts, colour):
    """Apart from the colours asked for there is no sign that a terminal would obey."""
    made = plain_text(of_text(*texts), colour=colour)
    bare = re.sub(r"\x1b\[(0|1|9|3[1-6])m", "", made) if colour else made
    assert not CONTROL.search(bare)
    told = plain_text(of_text(*texts)).splitlines()
    assert [line.rstrip() for line in bare.splitlines()] == [line.rstrip() for line in told]


NAMES = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=30)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.floats(0.001, 1e6), NAMES, st.text("ab ", max_size=200), NAMES),
             min_size=1, max_size=5),
)  # fmt: skip
def test_nothing_is_lost_in_80_columns(rows):
    """Lines fit in 80 columns, no cell is broken or cut, and every text is there in full."""
    columns = (
        Column(name="group"),
        Column(name="value", kind="number", unit="h"),
        Column(name="who"),
        Column(name="why"),
        Column(name="last"),
    )
    table = Table(title="t", columns=columns, rows=rows)
    made = plain_text(Document(title="d", blocks=(table,)))
    assert max(map(len, made.splitlines())) <= 80
    words = made.split()
    for group, value, who, why, last in rows:
        for name in (group, who, last):
            assert name in words
        assert number_text(value) in words
        assert why.split() == [w for w in why.split() if w in words]
    wide = plain_text(Document(title="d", blocks=(table,)), wide=True)
    assert len(wide.splitlines()) == 5 + len(rows)


def test_units_stand_under_the_heads():
    """A column is as wide as its numbers, and its unit stands in the head."""
    columns = (
        Column(name="group"),
        Column(name="restore", kind="number", unit="min"),
        Column(name="more", kind="number", wide=True),
    )
    table = Table(title="by group", columns=columns, rows=[("pay", 12.345, 1)], more=2)
    made = plain_text(Document(title="d", blocks=(table,)))
    assert made == (
        "d\n\nby group\ngroup  restore\n           min\npay       12.3\n... and 2 more\n"
    )
    assert "more" in plain_text(Document(title="d", blocks=(table,)), wide=True).splitlines()[3]
    none = Table(title="empty", columns=columns, rows=[])
    for form in ("text", "md", "html"):
        assert "empty: none" in rendered(Document(title="d", blocks=(none,)), form).decode()


def test_wide_signs_take_two_columns():
    """Columns stay under their heads where signs are twice as wide, or take no room."""
    assert columns_of("日本") == 4
    assert columns_of("e\u0301") == 1
    table = Table(
        title="t", columns=(Column(name="x"), Column(name="y")), rows=[("日本", "a"), ("ab", "b")]
    )
    lines = plain_text(Document(title="d", blocks=(table,))).splitlines()
    assert lines[-2] == "日本  a"
    assert lines[-1] == "ab    b"


# --- cells, formats -------------------------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_three_digits_count(value):
    """A number for a person is within half a per cent of the number, and short where it can be."""
    text = number_text(value)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.005, abs=5e-9)
    if 0.001 <= abs(value) < 99.9:
        assert len(text.lstrip("-").replace(".", "").lstrip("0")) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9.999, "10.0"), (99.94, "99.9"), (99.96, "100"), (0.9999, "1.00"), (-12.345, "-12.3"),
        (0.0, "0"), (1e-9, "1.00e-09"), (float("nan"), "undefined"), (1_234_567, "1,234,567"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert number_text(value) == text


def test_times():
    assert time_text(NOON) == "2026-03-06 12:00Z"
    assert time_text(NOON.replace(second=7)) == "2026-03-06 12:00:07Z"
    west = timezone(-timedelta(hours=3, minutes=30))
    assert time_text(NOON.astimezone(west)) == "2026-03-06 08:30-03:30"


def test_what_is_wrong_is_refused():
    """A row of another length, and a format that there is not."""
    with pytest.raises(InvalidValue, match="2 cells in each row"):
        Table(title="t", columns=(Column(name="a"), Column(name="b")), rows=[("x",)])
    with pytest.raises(InvalidValue, match="one of text, md, html, csv, json, xlsx"):
        rendered(of_text("x"), "pdf")


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_document_is_the_same_bytes(form):
    assert rendered(of_text("x", "y"), form) == rendered(of_text("x", "y"), form)
