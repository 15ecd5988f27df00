r"""
Text from outside, fit to be shown to a person: one line that a terminal can't obey.

Titles, names and ids are written by anybody. What a terminal would obey (escape sequences, line
feeds), hide (zero-width and other invisible signs) or reorder (bidirectional controls) is written
out, as a Python string literal would: `\x1b`, `\n`, `\u202e`. Everything shown to a person goes
through `plain`; data (JSON, exports) does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from unicodedata import category

MOST_MARKS: Final = 8
"""How many combining marks stay on one character: more than any script needs."""

_INVISIBLE: Final = frozenset(
    "\u2800\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufffc\U00016fe4\U0001d159"
)
"""Signs that Unicode lets nobody see: fillers, the grapheme joiner, a place for an object."""

_JOINERS: Final = frozenset("\u200c\u200d")
_SELECTORS: Final = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")

_JOINING_SCRIPTS: Final = re.compile(
    "[\u0600-\u08ff\u0900-\u109f\u1700-\u1aff\u1b00-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00011fff\U0001e900-\U0001e95f]"
)
"""Blocks of scripts whose letters are joined or kept apart by joiners: Arabic to Adlam."""


def plain(text: object) -> str:
    """
    Return *text* as one line in which nothing is obeyed, hidden or reordered by a terminal.

    Written out are: control, format, surrogate, private and unassigned characters, the line and
    the paragraph separator, fillers that nobody sees, and every combining mark beyond the
    eighth on one character. What scripts and emoji need stays where they need it: a joiner
    (U+200C, U+200D) right between two letters or marks of a script that joins, or between two
    emoji; a variation selector right after a visible character that is not ASCII. Blanks of other
    widths stay. What was returned once is returned unchanged.

    Args:
        text: Anything; what is not text is taken as `str` tells it.
    """
    told = str(text)
    if told.isascii() and told.isprintable():
        return told  # as nearly everything is
    shown: list[str] = []
    before = ""  # the character before, where it stands as it was
    marks = 0
    for place, c in enumerate(told):
        if is_plain(c):
            marks = marks + 1 if _is_mark(c) else 0
            stays = marks <= MOST_MARKS
        elif _SELECTORS.match(c):
            stays = marks < MOST_MARKS and _selects(before)
            marks = marks + 1 if stays else 0
        else:
            stays = c in _JOINERS and _joined(before, told[place + 1 : place + 2], marks)
            marks = marks if stays else 0  # what is written out can carry marks of its own
        shown.append(c if stays else written_out(c))
        before = c if stays else ""
    return "".join(shown)


def cell(text: object) -> str:
    """
    Return *text* as a cell of a CSV file: `plain`, and nothing that a spreadsheet computes.

    A spreadsheet takes a cell for a formula that begins with =, +, - or @, blanks before it or not;
    some read full-width and other forms of these signs as the signs themselves. An apostrophe in
    front makes it text. One stands behind a semicolon, too, where such a sign follows it: in many
    countries that is what separates the cells of such a file. What was returned once is returned
    unchanged.
    """
    return _COMPUTED.sub(r"\1'\2", plain(text))


_SIGNS: Final = (
    "-=+@"
    "\uff1d\uff0b\uff20\uff0d"  # full-width
    "\ufe66\ufe62\ufe6b\ufe63"  # small forms
    "\u207c\u207a\u207b\u208c\u208a\u208b"  # above and below the line
    "\u2212\ufb29"  # the minus of mathematics, the plus of Hebrew
)
_COMPUTED: Final = re.compile(rf"(^\s*|;[\s\"']*(?<!'))([{_SIGNS}])")


def quoted(id_: str) -> str:
    """
    Return an id as it stands in a sentence: bare where it can be nothing but an id, else in quotes.

    An id may hold blanks, commas and colons, so it could go on as the sentence does: "mia: 3 of 3
    votes" would read as what the ledger says.
    """
    told = plain(id_)
    bare = _BARE.fullmatch(told) and not any(map(_ends_a_phrase, told))
    return told if bare else '"' + told.replace('"', '\\"') + '"'


def told_apart(id_: str) -> str:
    """
    Return an id as `quoted` does, with every letter outside ASCII written out.

    For where ids that read alike are named: a Cyrillic letter is then seen to be one.
    """
    spelled = "".join(c if c.isascii() else written_out(c) for c in plain(id_))
    return quoted(spelled)


def _ends_a_phrase(c: str) -> bool:
    """Say whether a character is punctuation of another script, as ASCII's commas are of ours."""
    return not c.isascii() and category(c)[0] == "P"


_BARE: Final = re.compile(r"""[^\s,;:"'()\[\]{}<>]+(:[^\s,;:"'()\[\]{}<>]+)*""")


def joined(lines: Iterable[object]) -> str:
    """Return *lines* as text of so many lines: none of them can bring a line of its own."""
    return "\n".join(map(plain, lines))


def is_plain(c: str) -> bool:
    """Say whether one character can be shown whatever stands beside it."""
    if c.isprintable():
        return c not in _INVISIBLE and _SELECTORS.match(c) is None
    return category(c) == "Zs"


def written_out(c: str) -> str:
    """Return one character as a Python string literal writes it, whether it can be shown or not."""
    told = c.encode("unicode_escape").decode()
    return told if told != c else f"\\x{ord(c):02x}"


def excerpt(text: str, longest: int = 20) -> str:
    """
    Return the beginning of what stands in a file, for an error to quote.

    A file that is not what it was taken for may be anything, a key as well: little of it is
    shown, and nothing where it says that it is a key.
    """
    if _KEY.search(text):
        return "(it looks like a key, so it is not shown)"
    return text if len(text) <= longest else text[:longest] + "..."


def quoted_briefly(message: str, text: str) -> str:
    """
    Return a message about *text*, the content of a file, with what it quotes cut like an excerpt.

    Args:
        message: Quotes stand in it as '...' or `...`.
        text: The file. Of a key nothing is quoted.
    """
    if _KEY.search(text):
        return "it looks like a key, so nothing of it is shown"
    return _QUOTE.sub(lambda quote: f"{quote[1]}{excerpt(quote[2])}{quote[1]}", message)


_KEY: Final = re.compile("-----BEGIN|PRIVATE KEY")
_QUOTE: Final = re.compile(r"(['`])((?:(?!\1).)*)\1", re.DOTALL)


def _is_mark(c: str) -> bool:
    return category(c) in {"Mn", "Me"}


def _joined(before: str, after: str, marks: int) -> bool:
    """Say whether a joiner between these two is needed by what is written."""
    if not before or not after or (_is_mark(after) and marks >= MOST_MARKS):
        return False  # a mark too many is written out
    kind = "emoji" if before == "\ufe0f" else _joins(before)
    return kind == _joins(after) != ""


def _joins(c: str) -> str:
    """Return what *c* can be joined as: a letter of a script, an emoji, or nothing ("")."""
    if not is_plain(c):
        return ""
    kind = category(c)
    if kind[0] in "LM" and _JOINING_SCRIPTS.match(c):
        return "script"
    return "emoji" if kind in {"So", "Sk", "Sm"} and c >= "\u2190" else ""


def _selects(before: str) -> bool:
    """Say whether a variation selector after *before* chooses how that is drawn."""
    return before > "\x7f" and before.isprintable() and is_plain(before)


def count_of(number: int, what: str) -> str:
    """Return a number with what it counts: "1 incident", "2 incidents"."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
