"""
Text from outside as it is shown: on one line, with nothing that a terminal obeys or hides.
"""

from __future__ import annotations

import sys
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm import verifier
from imcm.errors import ImcmError, StoreError
from imcm.plain import MOST_MARKS, excerpt, joined, plain, quoted, quoted_briefly, told_apart

ESC, RLO, ZWSP, ZWNJ, ZWJ, BOM = "\x1b", "\u202e", "\u200b", "\u200c", "\u200d", "\ufeff"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Payments fail", "Payments fail"),
        ("", ""),
        (None, "None"),
        (f"{ESC}]0;x\x07", "\\x1b]0;x\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("one\r\ntwo\tthree\x7f", "one\\r\\ntwo\\tthree\\x7f"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        (f"txt{RLO}exe", "txt\\u202eexe"),
        ("\u061c\u200e\u200f\u2066\u2069", "\\u061c\\u200e\\u200f\\u2066\\u2069"),
        (f"a{ZWSP}b{BOM}\u2060\xad", "a\\u200bb\\ufeff\\u2060\\xad"),
        ("\U000e0041\ufff9", "\\U000e0041\\ufff9"),
        ("\ue000\ud800\u0378", "\\ue000\\ud800\\u0378"),
        ("\u3164\u115f\u034f", "\\u3164\\u115f\\u034f"),
        (":warning: [bold] C:\\", ":warning: [bold] C:\\"),
        ("12\xa0000\u3000円", "12\xa0000\u3000円"),
        # Joiners stay where a script or an emoji needs them, and nowhere else.
        (f"می{ZWNJ}خواهم", f"می{ZWNJ}خواهم"),
        (f"র{ZWJ}্যাব", f"র{ZWJ}্যাব"),
        (f"👩🏽{ZWJ}💻 🏳\ufe0f{ZWJ}🌈", f"👩🏽{ZWJ}💻 🏳\ufe0f{ZWJ}🌈"),
        (f"{ZWJ}م{ZWJ}", "\\u200dم\\u200d"),
        (f"a{ZWJ}b", "a\\u200db"),
        (f"é{ZWNJ}é", "é\\u200cé"),
        (f"م{ZWNJ}{ZWNJ}م", "م\\u200c\\u200cم"),
        (f"م{ZWJ}👩", "م\\u200d👩"),
        # So does one variation selector on what can be drawn in several ways.
        ("❤\ufe0f 葛\U000e0100", "❤\ufe0f 葛\U000e0100"),
        ("a\ufe0f❤\ufe0f\ufe0f", "a\\ufe0f❤\ufe0f\\ufe0f"),
        ("\ufe0f", "\\ufe0f"),
        ("\xa0\ufe0f", "\xa0\\ufe0f"),
        # Marks pile up to eight on one character.
        ("e" + "\u0301" * 9 + "x\u0301", "e" + "\u0301" * 8 + "\\u0301x\u0301"),
        ("क" + "्" * 8 + ZWJ + "्", "क" + "्" * 8 + "\\u200d्"),
        ("क" + "्" * 7 + ZWJ + "्" * 2, "क" + "्" * 7 + ZWJ + "्\\u094d"),
    ],
)
def test_what_is_shown(text: object, shown: str) -> None:
    assert shown == plain(text)
    assert shown == plain(shown)


def test_of_every_character_the_verifier_says_the_same() -> None:
    """The verifier is one file that can be copied out, so it has the rule once more."""
    differ = [
        code for code in range(sys.maxunicode + 1) if plain(chr(code)) != verifier._plain(chr(code))
    ]
    assert [] == differ


def test_no_character_that_is_obeyed_or_hidden_stays_alone() -> None:
    kinds = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    stay = {c for c in map(chr, range(sys.maxunicode + 1)) if plain(c) == c}
    assert set() == {category(c) for c in stay} & kinds
    assert all(plain(c).isascii() for c in map(chr, range(0x10FFF)) if c not in stay)


SIGNS = "aé\\ \nम्क\u0301م👩💻\U0001f3fd❤\ufe0f\u200b\u200c\u200d\u202e\x1b\ud800\U000e0100\u3164"


@given(st.text(alphabet=SIGNS, max_size=40) | st.text(max_size=40))
def test_it_is_one_line_and_stays_as_it_is(text: str) -> None:
    shown = plain(text)
    assert shown == plain(shown)
    assert 1 >= len(shown.splitlines())
    assert set() == {c for c in shown if category(c) in {"Cc", "Cs", "Zl", "Zp"}}


@given(st.text(alphabet="e\u0301\u0489\u200d\ufe0f", max_size=60))
def test_marks_never_pile_up(text: str) -> None:
    run = longest = 0
    for c in plain(text):
        run = run + 1 if category(c) in {"Mn", "Me"} else 0
        longest = max(longest, run)
    assert MOST_MARKS >= longest


def test_lines_stay_the_lines_they_are() -> None:
    assert "a\nb\\nc\n7" == joined(["a", "b\nc", 7])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("id", "id"),
        ("root:x:0:0:root:/root:/bin/bash", "root:x:0:0:root:/roo..."),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "(it looks like a key, so it is not shown)"),
    ],
)
def test_little_of_a_file_is_shown(text: str, shown: str) -> None:
    assert shown == excerpt(text)


def test_a_message_quotes_little_of_a_file() -> None:
    told = "line 2: '0123456789012345678901' is no `size`"
    assert "line 2: '01234567890123456789...' is no `size`" == quoted_briefly(told, "a\nb")
    key = "-----BEGIN PRIVATE KEY-----\nsecret"
    assert "it looks like a key, so nothing of it is shown" == quoted_briefly("'secret'", key)


@pytest.mark.parametrize(
    ("id_", "shown"),
    [
        ("mia", "mia"),
        ("INC-204", "INC-204"),
        ("servicenow:INC1/2", "servicenow:INC1/2"),
        ("ann@example.org", "ann@example.org"),
        ("jürgen", "jürgen"),
        ("", '""'),
        ("mia: 3 of 3 votes", '"mia: 3 of 3 votes"'),
        ("mia:", '"mia:"'),
        ("mia,ana", '"mia,ana"'),
        ("mia (approved)", '"mia (approved)"'),
        ('mia" approved by "tom', '"mia\\" approved by \\"tom"'),
        ("ana\u00a0maria", '"ana\u00a0maria"'),
        ("mia\x1b[2J", '"mia\\x1b[2J"'),
        # Commas, colons and full stops of other scripts end a phrase, too.
        ("小明", "小明"),
        ("小明，批准", '"小明，批准"'),
        ("mia\u060cana", '"mia\u060cana"'),
        ("mia\uff1a3", '"mia\uff1a3"'),
        ("उमा", "उमा"),
    ],
)
def test_an_id_that_could_go_on_as_the_sentence_does_is_quoted(id_: str, shown: str) -> None:
    assert shown == quoted(id_)


def test_an_error_shows_nothing_that_a_terminal_obeys() -> None:
    """Whoever embeds imcm prints errors as they are, and they quote what others wrote."""
    for error in (ImcmError("bad \x1b[2J\u202e"), StoreError("first\n  second \x07")):
        assert "\x1b" not in str(error)
        assert "\x07" not in str(error)
    assert str(StoreError("first\n  second \x07")) == "first\n  second \\x07"


def test_ids_that_read_alike_are_told_apart() -> None:
    """A letter outside ASCII is written out; an id of ASCII alone stands as `quoted` has it."""
    assert told_apart("mia") == "mia"
    assert told_apart("mi\u0430") == r"mi\u0430"
    assert told_apart("mia: yes") == quoted("mia: yes")
    assert told_apart("a\u202eb") == r"a\u202eb"
