"""
CSV: encodings, delimiters, lines.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import BinaryIO, Final, NamedTuple

from imcm.domain.vocabulary import is_among
from imcm.errors import InvalidValue
from imcm.interchange.table_bytes import CHUNK, Content, Label, Limits, refused
from imcm.interchange.table_cells import too_long
from imcm.plain import excerpt

# --- encodings ------------------------------------------------------------------------------------

_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_WORDS: Final = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
    "cp1252": "Windows-1252",
}
_ISO_8859: Final = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)
_ENCODINGS: Final = frozenset(
    (
        *("ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *(f"iso8859-{number}" for number in _ISO_8859),
        *(f"cp{number}" for number in (*range(1250, 1259), 437, 850, 852, 866, 932, 949)),
        *("koi8-r", "koi8-u", "mac-roman", "shift_jis", "euc_jp", "gbk", "gb18030", "big5"),
        "euc_kr",
    )
)
"""Those of tables. Others that Python knows are no encodings of text, or do more than decode."""

_NEVER_1252: Final = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_MULTI: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_ASCII: Final = bytes(range(128))
_MOSTLY: Final = 3
"""How many times as many bytes must be of Windows-1252 alone as could be of UTF-8 as well."""


def checked_encoding(value: object) -> str | None:
    """
    Return the name of an encoding as Python calls it.

    Raises:
        InvalidValue: It is none in which tables are written.
    """
    if value is None:
        return None
    try:
        if isinstance(value, str) and value.isascii() and len(value) < 40:
            name = codecs.lookup(value).name.replace("utf-8-sig", "utf-8")
            if name in _ENCODINGS:
                return name
    except (LookupError, ValueError):
        pass
    allowed = (
        'the name of an encoding, as "utf-8", "utf-16", "windows-1252", "latin-1", "shift_jis"'
    )
    raise InvalidValue("encoding", value, allowed)


def _decoded_as(content: Content, skip: int, codec: str) -> tuple[int, str, int] | None:
    """Return the line, the byte and the place of what is not of an encoding; None for nothing."""
    decoder = codecs.getincrementaldecoder(codec)()
    line, begin = 1, skip
    with content.open() as file:
        file.read(skip)
        while True:
            chunk = file.read(CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                before = error.object[: error.start]
                line += before.decode(codec, "ignore").count("\n")
                place = begin + len(chunk) - (len(error.object) - error.start)
                return line, error.object[error.start : error.start + 1].hex(), place
            if not chunk:
                return None
            line += text.count("\n")
            begin += len(chunk)


def _can_be_1252(content: Content) -> bool:
    """Say whether a whole file that is not UTF-8 is Windows-1252, and not damaged UTF-8."""
    others = multi = 0
    with content.open() as file:
        while chunk := file.read(CHUNK):
            if _NEVER_1252.search(chunk):
                return False
            others += len(chunk.translate(None, _ASCII))
            multi += sum(map(len, _MULTI.findall(chunk)))
    return others - multi > _MOSTLY * multi


def _encoding(label: Label, content: Content, asked: str | None) -> tuple[str, int, str]:
    """Return the codec, how many bytes its mark has, and how the encoding is called."""
    head = content.head()
    mark, marked = next((each for each in _MARKS if head.startswith(each[0])), (b"", ""))
    codec = asked or marked or "utf-8"
    if codec in {"utf-16", "utf-32"}:
        if not marked.startswith(codec):
            why = f'it does not begin with the mark of {_WORDS[codec + "-le"]}; say "{codec}-le"'
            raise refused(label, 1, f"{why} or another encoding")
        codec = marked
    skip = len(mark) if codec == marked else 0
    wrong = _decoded_as(content, skip, codec)
    if wrong is None:
        return codec, skip, _WORDS.get(codec, codec)
    line, byte, place = wrong
    if asked is None and not marked and _can_be_1252(content):
        return "cp1252", 0, _WORDS["cp1252"]
    hint = "mend it, save the file as UTF-8"
    if asked is None:
        hint += ', or say what it is, as encoding="windows-1252"'
    why = f"byte 0x{byte} (at {place:,}) is not {_WORDS.get(codec, codec)}; {hint}"
    raise refused(label, line, why)


# --- delimiters -----------------------------------------------------------------------------------

_DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEP: Final = re.compile(r'"?sep=(.|\\t)"?[,;\t|]*\r?\n?', re.IGNORECASE | re.DOTALL)
_SAMPLE_LINES: Final = 200
_SAMPLE: Final = 1 << 18


def checked_delimiter(value: object) -> str | None:
    """
    Return a delimiter.

    Raises:
        InvalidValue: It is none of the four.
    """
    if value is None or (isinstance(value, str) and is_among(value, tuple(_DELIMITERS))):
        return value
    raise InvalidValue("delimiter", value, 'one of "," ";" "|" and a tab, "\\t"')


def _widths(lines: list[str], delimiter: str, *, whole: bool) -> list[int]:
    """Return how many cells each row has by a delimiter; none where it is no CSV by it."""
    widths: list[int] = []
    try:
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            if any(map(str.strip, cells)):
                widths += (len(cells),)
    except csv.Error as error:
        # What ends inside of quotes may go on after the sample.
        if whole or "unexpected end" not in str(error):
            return []
    return widths


def _delimiter(label: Label, line: int, lines: list[str], *, whole: bool) -> str:
    """Return the delimiter by which the header has several cells, and the rows as many."""
    sample = "".join(lines)
    widths = {each: _widths(lines, each, whole=whole) for each in _DELIMITERS if each in sample}
    several = [each for each in widths if widths[each] and widths[each][0] > 1]
    even = [each for each in several if len({*widths[each]}) == 1]
    fitting = even or several
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        if any(widths.values()) or not widths:
            return ","  # one column
        # It is no CSV by any of them, which its reader tells with the line.
        return max(widths, key=next((each for each in lines if each.strip()), "").count)
    told = " or ".join(_DELIMITERS[each] for each in fitting)
    first = fitting[0].replace("\t", "\\t")
    why = f'its columns may be separated by {told}; say which, as delimiter="{first}"'
    raise refused(label, line, why)


# --- texts ----------------------------------------------------------------------------------------


class Text(NamedTuple):
    """
    How a CSV is written.

    Attributes:
        codec: Python's name of its encoding.
        skip: Bytes of the mark before it.
        delimiter: What stands between cells.
        begins: The line of the header or of blank lines before it: 2 after "sep=;", or where the
            header was said to be.
        said: The same in words.
    """

    codec: str
    skip: int
    delimiter: str
    begins: int
    said: tuple[str, ...]

    @classmethod
    def found_out(
        cls,
        label: Label,
        content: Content,
        encoding: str | None,
        delimiter: str | None,
        header: int,
        limits: Limits,
    ) -> Text:
        """
        Return how a file is written, having looked at all of it.

        Raises:
            ImportRefusedError: It is no text of the encoding, or it can't be told which one it is.
        """
        codec, skip, called = _encoding(label, content, encoding)
        begins = 1
        with _lines(label, content, codec, skip, limits) as numbered:
            lines = (text for number, text in numbered if number >= header or number == 1)
            first = next(lines, "")
            told = _SEP.fullmatch(first)
            if told is not None:
                begins = 2
                named = told[1].replace("\\t", "\t")
                if delimiter is None and named not in _DELIMITERS:
                    why = f"it says {excerpt(first.strip())!r}; say another delimiter"
                    raise refused(label, 1, why)
                delimiter = delimiter or named
                first = ""
            if header > 1:
                first = ""
            if delimiter is None:
                sample, size, whole = [first], 0, True
                for text in lines:
                    if size > _SAMPLE or len(sample) >= _SAMPLE_LINES:
                        whole = False
                        break
                    sample.append(text)
                    size += len(text)
                delimiter = _delimiter(label, begins, sample, whole=whole)
        stated = _DELIMITERS[delimiter] + (" (its first line says so)" if begins > 1 else "")
        return cls(codec, skip, delimiter, max(begins, header), (stated, called))


@contextmanager
def _lines(
    label: Label, content: Content, codec: str, skip: int, limits: Limits
) -> Generator[Generator[tuple[int, str]]]:
    """Give the lines of a file with their numbers, each with its end as it is."""
    with content.open() as file:
        file.read(skip)
        reader = _lines_of(label, file, codec, limits)
        try:
            yield reader
        finally:
            reader.close()


def _lines_of(
    label: Label, file: BinaryIO, codec: str, limits: Limits
) -> Generator[tuple[int, str]]:
    text = io.TextIOWrapper(file, encoding=codec, errors="strict", newline="")
    number = 0
    try:
        while line := text.readline(limits.row + 1):
            number += 1
            if len(line) > limits.row:
                why = f"it is longer than {limits.row:,} characters, which is not read"
                raise refused(label, number, why)
            if "\0" in line:
                why = "it holds a NUL byte, so it is no CSV text"
                hint = ' (of UTF-16 without its mark, say encoding="utf-16-le")'
                raise refused(label, number, why + hint * (number == 1))
            yield number, line
    except UnicodeDecodeError:
        raise refused(
            label, number + 1, "it was changed while it was read; read it again"
        ) from None
    finally:
        text.detach()


class Record(NamedTuple):
    """The line on which a row begins, its cells, and the bytes of its lines."""

    line: int
    cells: list[str]
    raw: bytes


_field_limit: Final = threading.Lock()


def records(label: Label, content: Content, text: Text, limits: Limits) -> Generator[Record]:
    """
    Yield the rows of a CSV that are not blank, the header included.

    Raises:
        ImportRefusedError: A row is no CSV, or too long; or the file was changed.
    """
    begin = text.begins
    number = size = 0
    raw: list[str] = []
    with _lines(label, content, text.codec, text.skip, limits) as numbered:

        def lines() -> Iterator[str]:
            nonlocal number, size
            for number, line in numbered:
                if number < text.begins:
                    continue
                size += len(line)
                if size > limits.row:
                    raise refused(label, begin, _UNCLOSED.format(f"{limits.row:,}"))
                raw.append(line)
                yield line

        source = lines()
        reader = csv.reader(source, delimiter=text.delimiter, strict=True)
        while True:
            try:
                cells = next(reader, None)
                if cells is not None and size > limits.cell:
                    _check_cells(label, begin, cells, limits)
            except csv.Error as error:
                if "field limit" not in str(error):
                    raise refused(label, begin, _why(error)) from None
                cells = _long(label, begin, raw, source, text.delimiter, limits)
                reader = csv.reader(source, delimiter=text.delimiter, strict=True)
            if cells is None:
                return
            cells = [cell.strip() for cell in cells]
            if any(cells):
                written = "".join(raw).rstrip("\r\n")
                yield Record(begin, cells, written.encode(text.codec))
            begin = number + 1
            size = 0
            raw.clear()


_UNCLOSED: Final = "a quote is opened here and never closed, or the row has more than {} characters"


def _why(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote is opened here and never closed"
    return f"it is no CSV: {error}"


def _check_cells(label: Label, line: int, cells: list[str], limits: Limits) -> None:
    for place, cell in enumerate(cells, 1):
        if len(cell) > limits.cell:
            raise too_long(label, line, f"column {place}", len(cell), limits)


def _long(
    label: Label, line: int, raw: list[str], source: Iterator[str], delimiter: str, limits: Limits
) -> list[str]:
    """
    Return a row with a cell that is longer than the csv module takes.

    Its limit is one for the whole process, so it is changed only for this row.
    """
    again = csv.reader(chain(tuple(raw), source), delimiter=delimiter, strict=True)
    with _field_limit:
        before = csv.field_size_limit()
        csv.field_size_limit(max(before, limits.cell))
        try:
            cells = next(again)
        except csv.Error as error:
            why = _why(error)
            if "limit" in str(error):
                why = (
                    "a quote is opened here and never closed, or a cell has more than "
                    f"{limits.cell:,} characters"
                )
            raise refused(label, line, why) from None
        finally:
            csv.field_size_limit(before)
    _check_cells(label, line, cells, limits)
    return cells
