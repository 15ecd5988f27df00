"""The verifier: published values, every proof bent every way, whole logs changed every way."""

import base64
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audit.reference import (
    ORIGIN,
    Row,
    b64,
    leaves,
    line,
    log,
    mth,
    node,
    opened,
    path,
    proof,
    public,
    renumbered,
    sha256,
    sign,
    state,
    vkey,
    write_jsonl,
    write_sqlite,
)
from imcm import verifier
from imcm.domain.incident_events import IncidentDetected
from imcm.verifier import (
    Checkpoint,
    Frontier,
    Interval,
    Key,
    Place,
    Refused,
    Signature,
    Unreadable,
    check_consistency,
    check_inclusion,
    check_proof,
    check_signature,
    consistency_proof,
    inclusion_proof,
    inclusion_proofs,
    leaf_data,
    leaf_hash,
    leaf_hashes,
    main,
    read_anchors,
    redact,
    split_words,
    verify,
    verify_file,
)

SECRET, OTHER = bytes(range(32)), bytes(range(1, 33))

CT_LEAVES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
CT_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def roots(rows, sizes):
    hashes = leaf_hashes(rows)
    return {size: mth(hashes[:size]) for size in sizes}


def anchored(rows, sizes, origin=ORIGIN):
    return [Checkpoint(origin, size, root) for size, root in roots(rows, sizes).items()]


def signed(anchor, secret=SECRET, name="log.example"):
    key = Key.parse(vkey(name, secret))
    value = sign(secret, anchor.body().encode())
    return anchor._replace(signatures=(*anchor.signatures, Signature(name, key.id, value)))


# --- leaves ---------------------------------------------------------------------------------------


class TestWords:
    @pytest.mark.parametrize(
        ("head", "words"),
        [
            ('{"format":1,"event":{"by":"a"}', '{"salt":"00","title":"x"}'),
            ('{"event":{}', "{}"),
            ('{"event":{}', '{"tags":[]}'),
            ('{"event":{}', '{"tags":["a","b"],"t":""}'),
            ('{"event":{}', '{"a":1,"b":null,"c":[true,[2]]}'),
            ('{"event":{}', '{"t":"{"}'),
            ('{"event":{}', '{"t":"}{"}'),
            ('{"event":{}', '{"t":"\\""}'),
            ('{"event":{}', '{"t":"\\"","u":"\\""}'),
            ('{"event":{}', '{"t":"a brace } and { and a quote \\" and a mark ,\\"words\\":{"}'),
            ('{"event":{}', '{"t":"it ends in a backslash \\\\"}'),
            ('{"event":{}', '{"words":"a field of this name"}'),
            ('{"event":{}', '{"salt":"00","words":"a field of this name"}'),
            ('{"event":{}', '{"salt":"00","words":["a","b"],"x":"y"}'),
            ('{"event":{"labels":{"words":"x"}}', '{"salt":"00"}'),
            ('{"event":{"labels":{"a":"b","words":"x"}}', '{"salt":"00"}'),
            ('{"event":{"labels":{"a":"b","words":{"c":"d"}}}', '{"salt":"00"}'),
            ('{"event":{"a":"}","b":{"x":"{","words":{"c":"d"}}}', '{"salt":"00"}'),
            ('{"event":{}', '{"t":"' + "x" * 100_000 + '"}'),
            ('{"event":{}', '{"t":"éß\u2028\U0001f600"}'),
        ],
    )
    def test_words_are_the_last_member_of_the_outermost_object(self, head, words):
        """Whatever stands in keys and texts elsewhere."""
        whole = f'{head},"words":{words}}}'
        assert json.loads(whole)["words"] == json.loads(words)
        assert (head.encode(), words.encode()) == split_words(whole.encode())

    @pytest.mark.parametrize(
        "whole",
        [
            '{"event":{"by":"a"}}',
            '{"event":{"labels":{"a":"b","words":"x"}}}',
            '{"event":{"labels":{"words":"x"}}}',
            '{"event":{"a":1,"words":{"c":"d"}}}',
            '{"event":{"a":{"b":1,"words":{"c":"d"}}}}',
            '{"event":{"a":"}","b":{"x":1,"words":{"c":"d"}}}}',
            '{"event":{"a":"}}}","words":{"c":"d"}}}',
            '{"event":{"a":[1,{"b":1,"words":{"c":"d"}}]}}',
            '{"event":{"a":"text with ,\\"words\\":{} in it"}}',
            '{"event":{},"words":"a text"}',
            '{"event":{},"words":null}',
            '{"event":{},"words":{"a":1,"b":{}}}',
            '{"event":{},"words":{"a":"\\"","b":{"c":"{"}}}',
            '{"event":{},"words":{"a":{"b":"c"}}}',
            '{"event":{},"words":{"a":"b"},"later":1}',
        ],
    )
    def test_anything_else_is_no_words(self, whole):
        """Nested keys, other values, or a member behind it: the whole state counts as facts."""
        assert json.loads(whole)
        assert (whole.encode(), b"") == split_words(whole.encode())

    @given(st.one_of(st.binary(), st.text(alphabet='{}[]",:words\\a', max_size=60)))
    @example(b"")
    @example(b"}")
    @example(b',"words":')
    @example(b',"words":{}}')
    @example(b',"words":{"a":"b"}' * 50)
    def test_any_bytes_have_a_split_that_can_be_undone(self, data):
        """It never raises, and the two parts give the state back."""
        whole = data.encode() if isinstance(data, str) else data
        head, words = split_words(whole)
        assert (head + b',"words":' + words + b"}" if words else head) == whole

    def test_there_is_never_a_choice(self):
        """No two marks in the same bytes both have words behind them."""
        parts = [b',"words":', b"{", b"}", b'"a":"b"', b",", b'{"a":"b"}', b'"', b"\\"]
        flat = re.compile(rb'\{("([^"\\]|\\.)*"|[^"{}\\])*\}')
        found = 0
        for chosen in product(parts, repeat=5):
            whole = b',"words":' + b"".join(chosen) + b"}"
            marks = [m.start() for m in re.finditer(b'(?=,"words":)', whole)]
            fits = [m for m in marks if flat.fullmatch(whole[m + 9 : -1])]
            assert len(fits) <= 1
            head, words = split_words(whole)
            assert (len(head) if words else None) == (fits[0] if fits else None)
            found += bool(fits)
        assert found > 100

    def test_many_marks_take_no_more_than_their_length(self):
        """Bytes made to be slow are not: every mark is looked at, and none of them twice."""
        assert split_words(b',"words":{"a":"b"' * 20_000 + b"}")[1] == b""
        assert split_words(b',"words":{' * 20_000 + b"}")[1] == b""


class TestLeaf:
    def test_the_bytes_are_the_documented_ones(self):
        """Five fields, each with its length in eight bytes before it."""
        told = b'{"event":{},"words":{"salt":"00"}}'
        fields = ("a:é".encode(), b"12", b"T", b'{"event":{}', sha256(b'{"salt":"00"}'))
        expected = b"".join(len(field).to_bytes(8, "big") + field for field in fields)
        assert expected == leaf_data("a:é", 12, "T", told)
        assert sha256(b"\x00" + expected) == leaf_hash("a:é", 12, "T", told)

    def test_without_words_the_last_field_is_empty(self):
        """So a state without words is never mistaken for one with."""
        assert leaf_data("a", 1, "T", b"{}").endswith(b"\x00\x02{}" + bytes(8))

    def test_redaction_keeps_the_leaf(self):
        """Words replaced by their hash leave the leaf as it was, also when done twice."""
        told = state({"by": "a"}, {"salt": "00" * 16, "text": "she said that"})
        taken = redact(told)
        assert b"she said" not in taken
        assert json.loads(taken)["words"].keys() == {"redacted"}
        assert leaf_hash("a", 1, "T", taken) == leaf_hash("a", 1, "T", told)
        assert redact(taken) == taken

    def test_a_state_without_words_stays_as_it_is(self):
        """There is nothing to take out."""
        assert redact(b'{"event":{}}') == b'{"event":{}}'
        assert redact(b"\x00\xff") == b"\x00\xff"

    @pytest.mark.parametrize(
        "words",
        [
            '{"redacted":"%s","salt":"00"}' % ("ab" * 32),
            '{"redacted":"%s"}' % ("AB" * 32),
            '{"redacted":"%s"}' % ("ab" * 31),
            '{"redacted":["%s"]}' % ("ab" * 31 + "a"),
            '{"redactee":"%s"}' % ("ab" * 32),
        ],
    )
    def test_only_the_exact_form_counts_as_redacted(self, words):
        """Everything else is hashed like any other words."""
        told = f'{{"event":{{}},"words":{words}}}'.encode()
        assert leaf_data("a", 1, "T", told).endswith(sha256(words.encode()))

    def test_other_words_in_the_redaction_change_the_leaf(self):
        """The hash that stands in their place is part of the leaf."""
        told = b'{"event":{},"words":{"redacted":"%b"}}'
        assert leaf_hash("a", 1, "T", told % (b"ab" * 32)) != leaf_hash(
            "a", 1, "T", told % (b"ab" * 31 + b"ac")
        )

    def test_the_position_is_no_part_of_it(self):
        """A store may number anew; the order is what counts."""
        rows = log(5)
        moved = [row._replace(position=row.position * 7) for row in rows]
        assert leaf_hashes(rows) == leaf_hashes(moved)

    @given(
        st.lists(
            st.tuples(
                st.integers(),
                st.text(st.characters(codec="utf-8")),
                st.integers(-5, 2**63 - 1),
                st.text(st.characters(codec="utf-8")),
                st.one_of(
                    st.binary(),
                    st.sampled_from([row.state for row in log(6)]),
                    st.sampled_from([redact(row.state) for row in log(6)]),
                ),
            )
        )
    )
    @example(
        [(1, "a" * 5000, 1, "T", b"{}"), (2, "a", 5000, "T", b"x" * 5000), (3, "", -1, "", b"")]
    )
    @example([(1, "a", 1, "T", b'{"a":1,"words":{"b":"c","words":"d"}}')])
    @example([(1, "a", 1, "T", b'{"a":1,"words":{"b":"c","words":"d"')])
    def test_many_at_once_are_the_same_as_one_by_one(self, rows):
        """The fast way and the plain way agree."""
        assert [leaf_hash(*row[1:]) for row in rows] == leaf_hashes(rows)

    @pytest.mark.parametrize(
        "row",
        [
            (7, "a", "1", "T", b""),
            (7, "a", 1.0, "T", b""),
            (7, "a", True, "T", b""),
            (7, "a", 1, "T", "text"),
            (7, "a", 1, "T", None),
            ("7", "a", 1, "T", b""),
            (7, b"a", 1, "T", b""),
            (7, "a", 1, None, b""),
            (7, "\ud800", 1, "T", b""),
            (7, "a", 1, "T"),
        ],
    )
    def test_a_row_of_other_types_is_named(self, row):
        """SQLite stores any type in any column; nothing is converted to fit."""
        with pytest.raises(Unreadable, match="position 7 is not a stored event"):
            leaf_hashes([row])

    @pytest.mark.parametrize(
        ("row", "why"),
        [
            ((7, "a", 1, None, b""), "it is int, str, int, NoneType, bytes, not int, str, int, "),
            ((7, "a", 1, "T"), r"it is no \(position, stream, version, type, state\)"),
            (7, r"it is no \(position, stream, version, type, state\)"),
            ((7, "\ud800", 1, "T", b""), "a value is none that is stored"),
        ],
    )
    def test_why_is_said_in_words_of_a_log(self, row, why):
        with pytest.raises(Unreadable, match=why):
            leaf_hashes([row])


# --- the tree and its proofs ----------------------------------------------------------------------


class TestTree:
    def test_the_published_roots(self):
        """The reference leaves of Certificate Transparency have the reference roots."""
        frontier = Frontier()
        for size, (leaf, root) in enumerate(zip(CT_LEAVES, CT_ROOTS, strict=True), start=1):
            frontier.add(sha256(b"\x00" + bytes.fromhex(leaf)))
            assert (size, root) == (frontier.size, frontier.root().hex())

    def test_the_empty_tree(self):
        """Its root is SHA-256 of nothing."""
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        assert empty == Frontier().root().hex() == verifier.EMPTY_ROOT.hex()

    @given(st.lists(st.integers(0, 40), max_size=8))
    def test_in_whatever_pieces_leaves_come(self, pieces):
        """The root is that of the recursive definition."""
        hashes = leaves(sum(pieces))
        frontier, at = Frontier(), 0
        for piece in pieces:
            frontier.extend(hashes[at : at + piece])
            at += piece
            assert frontier.root() == mth(hashes[:at])

    def test_state_is_logarithmic(self):
        """A frontier keeps one hash for each level at most."""
        frontier = Frontier()
        frontier.extend(leaves(1000))
        assert len(frontier._pending) == 10

    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 300), st.data())
    def test_streamed_proofs_are_those_of_the_definition(self, size, data):
        """One pass gives the same paths as the recursion of the RFC."""
        hashes = leaves(size)
        index = data.draw(st.integers(0, size - 1))
        old = data.draw(st.integers(1, size))
        assert path(index, hashes) == inclusion_proof(iter(hashes), index, size)
        assert proof(old, hashes) == consistency_proof(iter(hashes), old, size)

    def test_several_leaves_in_one_pass(self):
        """Each watched leaf gets its own path."""
        hashes = leaves(11)
        found = inclusion_proofs((hash, place in (0, 5, 10)) for place, hash in enumerate(hashes))
        expected = {place: path(place, hashes) for place in (0, 5, 10)}
        assert found == (11, mth(hashes), expected)
        assert inclusion_proofs([]) == (0, verifier.EMPTY_ROOT, {})

    def test_a_proof_of_a_part(self):
        """Leaves behind the size asked for don't matter."""
        hashes = leaves(20)
        assert path(2, hashes[:7]) == inclusion_proof(hashes, 2, 7)
        assert proof(3, hashes[:7]) == consistency_proof(hashes, 3, 7)

    @pytest.mark.parametrize("sizes", [(0, 0), (3, 3), (-1, 3), (0, 9)])
    def test_no_inclusion_proof_of_what_is_not_there(self, sizes):
        """An index out of the tree, or a tree larger than the log."""
        with pytest.raises(Refused):
            inclusion_proof(leaves(5), *sizes)

    @pytest.mark.parametrize("sizes", [(0, 0), (0, 3), (4, 3), (-1, 3), (3, 9)])
    def test_no_consistency_proof_of_what_is_not_there(self, sizes):
        """Sizes in the wrong order, none, or more than there are."""
        with pytest.raises(Refused):
            consistency_proof(leaves(5), *sizes)


def flipped(data):
    """Each way to change one bit of some bytes."""
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def other_paths(right):
    """Each way to drop, double, insert, exchange or bend an element."""
    extra = sha256(b"extra")
    for place in range(len(right)):
        yield right[:place] + right[place + 1 :]
        yield [*right[:place], right[place], *right[place:]]
        for hash in (b"", right[place][:31], right[place] + b"\x00", right[place].hex(), None):
            yield [*right[:place], hash, *right[place + 1 :]]
    for place in range(len(right) + 1):
        yield [*right[:place], extra, *right[place:]]
    for place in range(len(right) - 1):
        if right[place] != right[place + 1]:
            swapped = list(right)
            swapped[place : place + 2] = right[place + 1], right[place]
            yield swapped


class TestInclusionChecked:
    @pytest.mark.parametrize("size", range(1, 10))
    def test_only_the_proof_itself_holds(self, size):
        """Every leaf of every small tree: elements, sizes, indices, roots of other trees."""
        hashes = leaves(size)
        root = mth(hashes)
        bent = 0
        for index, leaf in enumerate(hashes):
            right = path(index, hashes)
            check_inclusion(leaf, index, size, right, root)
            for wrong in other_paths(right):
                with pytest.raises(Refused):
                    check_inclusion(leaf, index, size, wrong, root)
                bent += 1
            for other in range(-1, size + 2):
                if other != index:
                    with pytest.raises(Refused):
                        check_inclusion(leaf, other, size, right, root)
            for other in (*hashes[:index], *hashes[index + 1 :], sha256(b"x"), b"", leaf[:31]):
                with pytest.raises(Refused):
                    check_inclusion(other, index, size, right, root)
        assert bent >= size

    @pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8])
    def test_every_bit_counts(self, size):
        """One bit of the leaf, the root or the path, and it is refused."""
        hashes = leaves(size)
        root = mth(hashes)
        for index, leaf in enumerate(hashes):
            right = path(index, hashes)
            for wrong in flipped(leaf):
                with pytest.raises(Refused):
                    check_inclusion(wrong, index, size, right, root)
            for wrong in flipped(root):
                with pytest.raises(Refused):
                    check_inclusion(leaf, index, size, right, wrong)
            for place, hash in enumerate(right):
                for wrong in flipped(hash):
                    bent = [*right[:place], wrong, *right[place + 1 :]]
                    with pytest.raises(Refused):
                        check_inclusion(leaf, index, size, bent, root)

    @pytest.mark.parametrize("size", range(1, 10))
    def test_another_size_needs_the_root_of_that_size(self, size):
        """With a size that changes the way to the root, and with any root of that size."""
        hashes = leaves(12)
        for index in range(size):
            right, root = path(index, hashes[:size]), mth(hashes[:size])
            for other in range(13):
                if other == size:
                    continue
                with pytest.raises(Refused):
                    check_inclusion(hashes[index], index, other, right, mth(hashes[:other]))
                # A size whose path has the same shape leads to the same root, as the RFC has it;
                # a checkpoint ties each root to its size.
                shape = other > index and _shape(index, other) == _shape(index, size)
                if not shape:
                    with pytest.raises(Refused):
                        check_inclusion(hashes[index], index, other, right, root)

    def test_a_proof_of_one_place_is_none_of_another(self):
        """Its path and root with any other index and size, unless the RFC can't tell them apart."""
        refused = 0
        for size in range(1, 10):
            hashes = leaves(size)
            for index in range(size):
                right = path(index, hashes)
                for other_size in range(1, 18):
                    for other in range(other_size):
                        if _shape(other, other_size) != _shape(index, size):
                            with pytest.raises(Refused):
                                check_inclusion(
                                    hashes[index], other, other_size, right, mth(hashes)
                                )
                            refused += 1
        assert refused > 5000

    def test_nothing_is_in_an_empty_tree(self):
        """Neither a leaf nor the empty hash."""
        for leaf in (sha256(b""), b"", sha256(b"\x00")):
            with pytest.raises(Refused):
                check_inclusion(leaf, 0, 0, [], verifier.EMPTY_ROOT)

    @pytest.mark.parametrize("wrong", [True, 1.0, "1", None, -1])
    def test_numbers_are_whole_numbers(self, wrong):
        """JSON has other values that compare as equal."""
        hashes = leaves(2)
        with pytest.raises(Refused):
            check_inclusion(hashes[1], wrong, 2, [hashes[0]], mth(hashes))
        with pytest.raises(Refused):
            check_inclusion(hashes[0], 0, wrong, [], hashes[0])

    def test_a_path_is_a_list_of_hashes(self):
        """Bytes are a sequence of numbers, a text one of texts."""
        hashes = leaves(2)
        for wrong in (hashes[1], "ab", None, {hashes[1]}):
            with pytest.raises(Refused):
                check_inclusion(hashes[0], 0, 2, wrong, mth(hashes))

    def test_a_node_is_no_leaf(self):
        """An inner hash can't be passed off as an event: leaves and nodes begin differently."""
        hashes = leaves(4)
        inner = node(hashes[0], hashes[1])
        assert inner != sha256(b"\x00" + hashes[0] + hashes[1])
        with pytest.raises(Refused):
            check_inclusion(inner, 0, 4, path(0, hashes)[1:], mth(hashes))


def _shape(index, size):
    """The sides of the path of a leaf, from below."""
    if size == 1:
        return []
    k = 1 << (size - 1).bit_length() - 1
    return [*_shape(index, k), "right"] if index < k else [*_shape(index - k, size - k), "left"]


class TestConsistencyChecked:
    @pytest.mark.parametrize("new", range(1, 10))
    def test_only_the_proof_itself_holds(self, new):
        """Every pair of small trees: elements, sizes, and roots of other trees."""
        hashes = leaves(new)
        for old in range(1, new + 1):
            right, was, now = proof(old, hashes), mth(hashes[:old]), mth(hashes)
            check_consistency(old, was, new, now, right)
            for wrong in other_paths(right):
                with pytest.raises(Refused):
                    check_consistency(old, was, new, now, wrong)
            for other in range(new + 2):
                if other != old:
                    with pytest.raises(Refused):
                        check_consistency(other, was, new, now, right)
                    with pytest.raises(Refused):
                        check_consistency(old, mth(leaves(other)), new, now, right)
                if other != new:
                    with pytest.raises(Refused):
                        check_consistency(old, was, new, mth(leaves(other)), right)
            if old != new:
                with pytest.raises(Refused):
                    check_consistency(new, now, old, was, right)

    @pytest.mark.parametrize(("old", "new"), [(1, 1), (1, 2), (2, 3), (3, 5), (4, 7), (6, 8)])
    def test_every_bit_counts(self, old, new):
        """One bit of either root or of the path, and it is refused."""
        hashes = leaves(new)
        right, was, now = proof(old, hashes), mth(hashes[:old]), mth(hashes)
        for wrong in flipped(was):
            with pytest.raises(Refused):
                check_consistency(old, wrong, new, now, right)
        for wrong in flipped(now):
            with pytest.raises(Refused):
                check_consistency(old, was, new, wrong, right)
        for place, hash in enumerate(right):
            for wrong in flipped(hash):
                bent = [*right[:place], wrong, *right[place + 1 :]]
                with pytest.raises(Refused):
                    check_consistency(old, was, new, now, bent)

    def test_a_path_has_the_length_that_its_sizes_need(self):
        """With any two other sizes and its own roots a path of another length is refused."""
        lengths = {
            (old, new): len(proof(old, leaves(new)))
            for new in range(1, 13)
            for old in range(1, new + 1)
        }
        refused = 0
        for (old, new), length in lengths.items():
            hashes = leaves(new)
            right, was, now = proof(old, hashes), mth(hashes[:old]), mth(hashes)
            for (other_old, other_new), other_length in lengths.items():
                if other_length != length:
                    with pytest.raises(Refused):
                        check_consistency(other_old, was, other_new, now, right)
                    refused += 1
        assert refused > 4000

    def test_a_rewritten_past_has_no_proof(self):
        """A tree with another first leaf can't be shown to go on from the old one."""
        hashes = leaves(8)
        other = [sha256(b"other"), *hashes[1:]]
        with pytest.raises(Refused):
            check_consistency(3, mth(hashes[:3]), 8, mth(other), proof(3, other))
        with pytest.raises(Refused):
            check_consistency(3, mth(hashes[:3]), 8, mth(other), proof(3, hashes))

    def test_nothing_follows_from_an_empty_tree(self):
        """Size 0 proves nothing, so it is refused."""
        hashes = leaves(3)
        for right in ([], [mth(hashes)], proof(1, hashes)):
            with pytest.raises(Refused):
                check_consistency(0, verifier.EMPTY_ROOT, 3, mth(hashes), right)
        with pytest.raises(Refused):
            check_consistency(0, verifier.EMPTY_ROOT, 0, verifier.EMPTY_ROOT, [])

    def test_equal_sizes_need_equal_roots_and_no_path(self):
        """The log of a moment is consistent with itself only."""
        hashes = leaves(4)
        check_consistency(4, mth(hashes), 4, mth(hashes), [])
        with pytest.raises(Refused, match="too long"):
            check_consistency(4, mth(hashes), 4, mth(hashes), [hashes[0]])
        with pytest.raises(Refused, match="roots are not"):
            check_consistency(4, mth(hashes), 4, mth(leaves(3)), [])

    @pytest.mark.parametrize("wrong", [True, 1.0, "1", None, -1])
    def test_numbers_are_whole_numbers(self, wrong):
        """JSON has other values that compare as equal."""
        hashes = leaves(2)
        with pytest.raises(Refused):
            check_consistency(wrong, hashes[0], 2, mth(hashes), [hashes[1]])


# --- signatures and notes -------------------------------------------------------------------------

RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
        "f9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
        "f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76098"
        "4dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


class TestEd25519:
    @pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
    def test_published_vectors(self, key, message, signature):
        """Tests 1 to 3 of RFC 8032, 7.1."""
        check_signature(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))
        with pytest.raises(Refused):
            check_signature(bytes.fromhex(key), b"other", bytes.fromhex(signature))

    def test_every_bit_of_a_signature_counts(self):
        """And every bit of the key."""
        key, message = public(SECRET), b"a message"
        signature = sign(SECRET, message)
        check_signature(key, message, signature)
        for wrong in flipped(signature):
            with pytest.raises(Refused):
                check_signature(key, message, wrong)
        for wrong in flipped(key):
            with pytest.raises(Refused):
                check_signature(wrong, message, signature)

    def test_there_is_one_way_to_write_a_signature(self):
        """S plus the group order would verify as well, so it is refused."""
        order = 2**252 + 27742317777372353535851937790883648493
        signature = sign(SECRET, b"m")
        larger = int.from_bytes(signature[32:], "little") + order
        with pytest.raises(Refused):
            check_signature(public(SECRET), b"m", signature[:32] + larger.to_bytes(32, "little"))

    @pytest.mark.parametrize(
        "key",
        [
            (1).to_bytes(32, "little"),  # the neutral point: signs everything
            (0).to_bytes(32, "little"),  # of order 4
            (2**255 - 20).to_bytes(32, "little"),  # of order 2
            (2**255 - 19 + 1).to_bytes(32, "little"),  # the neutral point, written otherwise
            (1 | 1 << 255).to_bytes(32, "little"),  # minus zero
            (2).to_bytes(32, "little"),  # no point at all
            b"",
            bytes(31),
        ],
    )
    def test_weak_and_impossible_keys_are_refused(self, key):
        """Under a key of small order one signature fits many messages."""
        with pytest.raises(Refused, match="public key"):
            check_signature(key, b"m", (1).to_bytes(32, "little") + bytes(32))

    def test_a_key_has_one_way_to_be_written(self):
        """The field's prime added to a small y names the same point again, so it is refused."""
        prime = 2**255 - 19
        told = []
        for y in range(2, 19):
            for number in (y, y + prime):
                with pytest.raises(Refused) as refused:
                    check_signature(number.to_bytes(32, "little"), b"m", bytes(64))
                told.append("public key" in str(refused.value))
        assert all(told[1::2])
        assert not all(told[::2])

    @pytest.mark.parametrize("signature", [b"", bytes(63), bytes(65), None, "a" * 64])
    def test_a_signature_has_64_bytes(self, signature):
        """Nothing else is looked at."""
        with pytest.raises(Refused, match="64 bytes"):
            check_signature(public(SECRET), b"m", signature)

    @settings(max_examples=15, deadline=None)
    @given(st.binary(min_size=32, max_size=32), st.binary(max_size=80))
    def test_what_the_rfc_signs_verifies(self, secret, message):
        """Signing as the RFC says and checking here agree."""
        check_signature(public(secret), message, sign(secret, message))


SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUM_NOTES = (
    "go.sum database tree\n30055305\nmXfgRcJ0bG0j3CPdKwgGWtUzBUbX67saZGRmFuJGGsM=\n\n"
    "— sum.golang.org "
    "Az3grpgEild5qw7+5dtV13Kf1C2Xurm8q4fhdxvcsDHnqNTaxL2AFjBY+2TyGKevucFcAAlWFJJYle3EJlDCrQ+y3A8=\n",
    "go.sum database tree\n63096908\n8lHrQPRYe4KT4WQ9/Qk8/taKnD6IRHbFgfN7vQE2Y54=\n\n"
    "— sum.golang.org "
    "Az3gri/oVBN1jAhNZ/iS+W31psFAWRT20/GyrhpU6taFwulQGetBkH5S7wpGXdS935jiIGiUUAXBVHzT/P6fYhqAmAk=\n",
)
ROOT = b64(bytes(32))
BODY = f"origin\n5\n{ROOT}\n"


class TestNotes:
    @pytest.mark.parametrize("note", SUM_NOTES)
    def test_checkpoints_of_the_go_checksum_database(self, note):
        """Published notes are read, verify under the published key, and are written again."""
        key = Key.parse(SUM_KEY)
        [checkpoint] = read_anchors(note)
        assert checkpoint.signed_by([key]) == (key,)
        assert checkpoint.note() == note

    def test_any_change_of_a_published_checkpoint_is_found(self):
        """Its size, root or origin."""
        key = Key.parse(SUM_KEY)
        for old, new in (("30055305", "30055306"), ("mXfg", "mXfh"), ("go.sum", "go-sum")):
            [checkpoint] = read_anchors(SUM_NOTES[0].replace(old, new))
            with pytest.raises(Refused, match="does not verify"):
                checkpoint.signed_by([key])

    def test_the_signature_in_go_s_documentation(self):
        """The example of golang.org/x/mod/sumdb/note."""
        key = Key.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
        value = base64.b64decode(
            "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJ"
            "nAM="
        )
        text = (
            b"If you think cryptography is the answer to your problem,\n"
            b"then you don't know what your problem is.\n"
        )
        assert value[:4] == key.id
        check_signature(key.public, text, value[4:])
        with pytest.raises(Refused):
            check_signature(key.public, text[:-1], value[4:])

    def test_a_key_is_written_as_it_was_read(self):
        """name+id+base64."""
        assert Key.parse(SUM_KEY).vkey == SUM_KEY
        assert Key.parse(vkey("log.example", SECRET)).public == public(SECRET)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "name",
            "+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            SUM_KEY.replace("033de0ae", "033de0af"),
            SUM_KEY.replace("033de0ae", "033DE0AE"),
            SUM_KEY.replace("sum.", "sun."),
            SUM_KEY + "=",
            SUM_KEY[:-4],
            SUM_KEY.replace("+Ac4z", "+As4z"),
            "a b+00000000+" + b64(b"\x01" + public(SECRET)),
            vkey("weak", SECRET).replace(b64(b"\x01" + public(SECRET)), b64(b"\x01" + bytes(32))),
            "\ud800+00000000+AAAA",
        ],
    )
    def test_what_is_not_a_key_is_refused(self, text):
        """Another id, another algorithm, a changed name, base64 in another form."""
        with pytest.raises(Unreadable):
            Key.parse(text)

    def test_signatures_of_others_are_passed_over(self):
        """An unknown key, a known name with another id, a known id with another name."""
        key = Key.parse(vkey("log.example", SECRET))
        anchor = Checkpoint("origin", 5, bytes(32))
        strange = (
            Signature("witness", b"abcd", b"x" * 64),
            Signature("log.example", b"abcd", b"x" * 64),
            Signature("witness", key.id, b"x" * 64),
        )
        assert anchor._replace(signatures=strange).signed_by([key]) == ()
        both = signed(anchor._replace(signatures=strange))
        assert read_anchors(both.note())[0].signed_by([key]) == (key,)

    def test_one_bad_signature_of_a_known_key_refuses_the_note(self):
        """Also beside a good one."""
        key = Key.parse(vkey("log.example", SECRET))
        anchor = signed(Checkpoint("origin", 5, bytes(32)))
        bad = Signature(key.name, key.id, b"x" * 64)
        with pytest.raises(Refused):
            anchor._replace(signatures=(*anchor.signatures, bad)).signed_by([key])

    def test_extension_lines_are_signed(self):
        """When a checkpoint was made can't be changed behind the signature."""
        key = Key.parse(vkey("log.example", SECRET))
        anchor = signed(Checkpoint("origin", 5, bytes(32), ("at 2026-11-23T12:00:00Z",)))
        [found] = read_anchors(anchor.note())
        assert found.extensions == ("at 2026-11-23T12:00:00Z",)
        assert found.signed_by([key]) == (key,)
        with pytest.raises(Refused):
            found._replace(extensions=("at 2026-11-24T12:00:00Z",)).signed_by([key])

    @pytest.mark.parametrize("text", ["", "\n", "\n\n\n"])
    def test_no_anchors(self, text):
        """Blank lines are not anchors."""
        assert read_anchors(text) == []

    def test_several_anchors(self):
        """Signed and unsigned ones follow each other, with blank lines between or not."""
        anchors = [Checkpoint("origin", size, sha256(b"%d" % size)) for size in (1, 2, 3, 4)]
        anchors[1], anchors[2] = signed(anchors[1]), signed(signed(anchors[2]), OTHER, "other")
        assert read_anchors("".join(anchor.note() for anchor in anchors)) == anchors
        assert read_anchors("\n" + "\n\n".join(anchor.note() for anchor in anchors)) == anchors

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            (BODY, 3),
            (BODY + "\n" + BODY, 7),
            (BODY + "\n" + "origin", 5),
            ("origin\n5\n\n", 1),
            (f"origin\n05\n{ROOT}\n\n", 2),
            (f"origin\n+5\n{ROOT}\n\n", 2),
            (f"origin\n-5\n{ROOT}\n\n", 2),
            (f"origin\n5 \n{ROOT}\n\n", 2),
            (f"origin\n٥\n{ROOT}\n\n", 2),
            (f"origin\n9223372036854775808\n{ROOT}\n\n", 2),
            (f"origin\n{'9' * 5000}\n{ROOT}\n\n", 2),
            (f"origin\n5\n{ROOT[:-1]}\n\n", 3),
            (f"origin\n5\n{ROOT} \n\n", 3),
            (f"origin\n5\n{ROOT[:-2]}B=\n\n", 3),
            (f"origin\n5\n{ROOT.replace('A', '_')}\n\n", 3),
            (f"origin\n5\n{b64(bytes(31))}\n\n", 3),
            (f"origin\n5\n{'é' * 44}\n\n", 3),
            (BODY.replace("\n", "\r\n") + "\r\n", 1),
            (f"ori\tgin\n5\n{ROOT}\n\n", 1),
            (f"origin\n5\n{ROOT}\nat\x00\n\n", 4),
            (f"— origin\n5\n{ROOT}\n\n", 1),
            (BODY + "\n\n— name AAAAAAA=\n", 6),
            (BODY + "\n— name\n", 5),
            (BODY + "\n— name AAAA\n", 5),
            (BODY + "\n— name AAAAAAA\n", 5),
            (BODY + "\n— na+me AAAAAAA=\n", 5),
            (BODY + "\n—  AAAAAAA=\n", 5),
            (BODY + "\n— name AAAAAAA= x\n", 5),
            (BODY + "\n" + "— name AAAAAAA=\n" * 101, 105),
            (BODY + "\n- name AAAAAAA=\n", 5),
            ("garbage\n", 1),
            ("\x00\x01\n", 1),
        ],
    )
    def test_anything_else_is_refused_with_its_line(self, text, number):
        """A file that was cut, edited, or sent through a program that knows better."""
        with pytest.raises(Unreadable, match=f"^line {number} of the anchors: "):
            read_anchors(text)

    @given(st.text(alphabet=st.sampled_from("o5\n— A=" + ROOT[:1]), max_size=80))
    def test_any_text_is_read_or_refused(self, text):
        """And what is read is written in the same words."""
        try:
            anchors = read_anchors(text)
        except Unreadable:
            return
        notes = "".join(anchor.note() for anchor in anchors)
        assert notes.replace("\n", "") == text.replace("\n", "")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"origin": ""},
            {"origin": "a\nb"},
            {"origin": "— a"},
            {"size": -1},
            {"size": True},
            {"root": b""},
            {"extensions": ("",)},
            {"extensions": ("a\n\n— b",)},
            {"origin": "\ud800"},
        ],
    )
    def test_what_could_not_be_read_is_not_written(self, wrong):
        """A line feed in an origin would make another checkpoint of it."""
        with pytest.raises(Refused):
            Checkpoint("origin", 5, bytes(32))._replace(**wrong).note()


# --- whole logs -----------------------------------------------------------------------------------


class TestVerdict:
    def test_a_log_that_was_not_touched(self):
        """Everything matches, and what is newer is said."""
        rows = log(20)
        verdict = verify(rows, anchored(rows, [1, 7, 16]))
        assert (verdict.outcome, verdict.matched, verdict.newer) == ("OK", 3, 4)
        assert (verdict.size, verdict.root) == (20, mth(leaf_hashes(rows)))
        assert verdict.origin == ORIGIN
        assert not verdict.signed
        text = "\n".join(verdict.describe())
        assert "OK: the log matches every anchor" in text
        assert "4 events newer than the last anchor" in text
        assert verdict.last_made == ""  # these notes do not say

    def test_it_says_when_the_last_anchor_was_made(self):
        """Whoever drops the newest notes, and changes what they covered, leaves an old one last."""
        rows = log(20)
        dated = [
            anchor._replace(extensions=(f"at 2026-11-2{day}T12:00:00Z",))
            for day, anchor in enumerate(anchored(rows, [16, 7]))
        ]
        verdict = verify(rows, dated)
        assert verdict.last_made == "2026-11-20T12:00:00Z"
        made = "the last anchor that matches was made at 2026-11-20T12:00:00Z"
        assert made in verdict.describe()
        assert verify(rows, []).last_made == ""
        text = "\n".join(verdict.describe())
        assert "can't be detected" in text
        assert "only if they are kept where the keeper of the log can't change them" in text

    def test_sizes_that_lie_across_the_pieces_it_is_read_in(self):
        """Anchors at, before and behind the places where reading pauses."""
        rows = log(2100)
        sizes = [1, 1023, 1024, 1025, 2047, 2048, 2049, 2100]
        assert verify(rows, anchored(rows, sizes)).outcome == "OK"
        changed = [*rows[:1024], rows[1024]._replace(type="Other"), *rows[1025:]]
        verdict = verify(changed, anchored(rows, sizes))
        assert verdict.differs == Interval(1024, 1025, 1025, 1025)
        assert verdict.matched == 3

    def test_it_is_read_once(self):
        """A generator is enough, and progress is told."""
        told = []
        verify((row for row in log(1500)), anchored(log(1500), [9]), on_progress=told.append)
        assert told == [1024, 1500]

    def test_the_first_interval_that_differs(self):
        """Between the last anchor that matches and the first that does not."""
        rows = log(20)
        anchors = anchored(rows, [4, 8, 12, 16])
        rows[9] = rows[9]._replace(state=rows[9].state.replace(b"u9", b"u8"))
        verdict = verify(rows, anchors)
        assert verdict.outcome == "DIFFERS"
        assert verdict.differs == Interval(8, 12, 9, 12)
        assert (verdict.matched, verdict.newer) == (2, 12)
        assert "the first difference lies in events 9 to 12" in "\n".join(verdict.describe())

    def test_truncated(self):
        """A log cut at its end says how much is missing."""
        rows = log(20)
        verdict = verify(rows[:11], anchored(rows, [5, 10, 15, 20]))
        assert (verdict.outcome, verdict.matched, verdict.differs) == ("TRUNCATED", 2, None)
        assert "9 events fewer than the 20 of an anchor" in verdict.why[0]

    def test_cut_to_nothing(self):
        """An empty log is a truncated one."""
        verdict = verify([], anchored(log(3), [3]))
        assert (verdict.outcome, verdict.size, verdict.origin) == ("TRUNCATED", 0, None)
        assert verdict.root == verifier.EMPTY_ROOT

    def test_an_anchor_of_an_empty_log_says_nothing_about_an_empty_log(self):
        """Without its first event nothing says which ledger it is."""
        verdict = verify([], [Checkpoint(ORIGIN, 0, verifier.EMPTY_ROOT)])
        assert verdict.outcome == "WRONG LEDGER"

    def test_cut_and_written_on(self):
        """New events over a cut differ."""
        rows = log(20)
        again = [*rows[:10], *(row._replace(type="Other") for row in rows[10:15])]
        verdict = verify(again, anchored(rows, [10, 14, 20]))
        assert verdict.outcome == "DIFFERS"
        assert verdict.differs == Interval(10, 14, 11, 14)
        assert "5 events of 20 missing besides" in verdict.why

    def test_another_ledger(self):
        """The origin of every anchor is the id in the first event."""
        rows, other = log(9), [opened("imcm/other"), *log(9)[1:]]
        assert verify(other, anchored(rows, [9])).outcome == "WRONG LEDGER"
        mixed = [*anchored(rows, [4]), Checkpoint("imcm/other", 9, roots(rows, [9])[9])]
        verdict = verify(rows, mixed)
        assert verdict.outcome == "WRONG LEDGER"
        assert verdict.why == (f"anchor 2 is of imcm/other, the log is {ORIGIN}",)

    def test_a_log_that_does_not_begin_as_a_ledger(self):
        """It is no ledger, whatever its root."""
        rows = renumbered(log(9)[1:])
        assert verify(rows, anchored(rows, [8])).outcome == "WRONG LEDGER"

    def test_an_id_that_can_t_be_read_may_be_given(self):
        """Where a store encrypts what it holds."""
        rows = [row._replace(state=b"\x00\xff" + row.state[::-1]) for row in log(9)]
        anchors = anchored(rows, [5])
        assert verify(rows, anchors).outcome == "WRONG LEDGER"
        assert verify(rows, anchors, origin=ORIGIN).outcome == "OK"
        assert verify(rows, anchors, origin="imcm/other").outcome == "WRONG LEDGER"

    def test_anchors_must_not_shrink(self):
        """An older anchor put at the end hides that newer ones were there."""
        rows = log(9)
        verdict = verify(rows, anchored(rows, [3, 7, 5]))
        assert verdict.outcome == "DIFFERS"
        assert verdict.differs is None
        assert "never shrinks" in verdict.why[0]

    def test_two_anchors_of_one_size_with_two_roots(self):
        """Not both can be of this log."""
        rows = log(9)
        anchors = [*anchored(rows, [3, 7]), Checkpoint(ORIGIN, 7, sha256(b"other"))]
        verdict = verify(rows, anchors)
        assert (verdict.outcome, verdict.matched) == ("DIFFERS", 2)
        assert verdict.differs == Interval(3, 7, 4, 7)
        assert "not both" in verdict.why[1]
        assert verify(rows, anchored(rows, [3, 7]) * 1 + anchored(rows, [7])).outcome == "OK"

    def test_an_anchor_that_was_changed(self):
        """Where a later anchor matches, the log up to there is what it was."""
        rows = log(9)
        anchors = anchored(rows, [3, 7])
        anchors[0] = anchors[0]._replace(root=sha256(b"other"))
        verdict = verify(rows, anchors)
        assert verdict.outcome == "DIFFERS"
        assert any("it is the anchor that is not of this log" in why for why in verdict.why)

    def test_nothing_to_compare_with(self):
        """Without anchors the answer is never OK."""
        verdict = verify(log(9), [])
        assert (verdict.outcome, verdict.newer) == ("NO ANCHORS", 9)

    @pytest.mark.parametrize("rows", [[(1, "a", 1, "T")], [(1, "a", None, "T", b"")], [3]])
    def test_what_is_not_a_row(self, rows):
        """Is said, and is no verdict."""
        with pytest.raises(Unreadable):
            verify(rows, [])

    def test_names_do_not_speak_to_the_terminal(self):
        """A stream's name could move the cursor, or hide what stands before it."""
        odd = "incident:\x1b[2J\x1b[HOK\n\u202e\u2028é"
        verdict = verify([*log(5), Row(6, odd, 7, "T", b"{}")], anchored(log(5), [5]))
        [told] = [text for text in verdict.describe() if "incident:" in text]
        assert r"incident:\x1b[2J\x1b[HOK\n\u202e\u2028é" in told
        assert all(text.isprintable() for text in verdict.describe())

    @pytest.mark.parametrize("field", ["position", "version"])
    def test_numbers_beyond_64_bits(self, field):
        """No store holds them; they are refused whether words were taken out or not."""
        for row in (log(4)[3], log(4)[3]._replace(state=redact(log(4)[3].state))):
            with pytest.raises(Unreadable):
                verify([*log(3), row._replace(**{field: 2**64})], anchored(log(3), [3]))

    def test_a_value_can_be_written_as_json(self):
        """For programs."""
        rows = log(20)
        anchors = anchored(rows, [4, 8])
        rows[5] = rows[5]._replace(type="Other")
        told = json.loads(json.dumps(verify(rows, anchors).as_json()))
        assert told["outcome"] == "DIFFERS"
        assert told["differs"] == {"first": 4, "behind": 8, "first_position": 5, "last_position": 8}


class TestVersions:
    def gone(self, rows):
        return verify(rows, anchored(rows, [1]))

    def test_a_row_that_is_gone_behind_the_last_anchor(self):
        """Its stream has a gap; the anchors can't say so, the versions can."""
        rows = log(20)
        del rows[12]
        verdict = self.gone(rows)
        assert verdict.outcome == "GAPS"
        assert verdict.gaps_total == 1
        assert "where" in "\n".join(verdict.describe())

    def test_versions_out_of_order(self):
        """Two rows of a stream in the wrong order."""
        rows = log(20)
        a, b = [place for place, row in enumerate(rows) if row.stream == "incident:INC-1"][3:5]
        rows[a], rows[b] = rows[b], rows[a]
        rows = renumbered(rows)
        verdict = self.gone(rows)
        assert (verdict.outcome, verdict.gaps_total) == ("GAPS", 1)
        assert ", before version" in "\n".join(verdict.describe())

    def test_a_version_twice(self):
        """The pair of stream and version is unique."""
        rows = log(20)
        assert self.gone([*rows, rows[5]._replace(position=99)]).gaps_total == 1

    def test_a_stream_that_does_not_begin_with_one(self):
        """Its first events are gone."""
        rows = [*log(20), Row(50, "incident:x", 3, "T", b"{}")]
        assert self.gone(rows).gaps == (verifier.Gap("incident:x", 0, 3, 50),)

    def test_many_gaps_are_counted_and_some_listed(self):
        """The list is short, the number is whole."""
        extra = [Row(100 + i, f"incident:x{i:03}", 2, "T", b"{}") for i in range(70)]
        verdict = self.gone([*log(20), *extra])
        assert (verdict.gaps_total, len(verdict.gaps)) == (70, 20)
        assert "  and 50 more" in verdict.describe()

    def test_streams_given_in_order_say_the_same(self):
        """What a store can tell is as good as what is sorted here."""
        rows = log(30)
        for some in (rows, rows[:8] + rows[9:]):
            streams = sorted((row.stream, row.version, row.position) for row in some)
            anchors = anchored(some, [5])
            assert verify(some, anchors, streams=streams) == verify(some, anchors)

    def test_streams_that_are_not_those_of_the_rows(self):
        """An index that does not agree with its table shows that somebody was there."""
        rows = log(30)
        streams = sorted((row.stream, row.version, row.position) for row in rows)
        wrong = [*streams[:-1], (streams[-1][0], streams[-1][1], 99)]
        for told in (streams[:-1], wrong, []):
            verdict = verify(rows, anchored(rows, [30]), streams=told)
            assert verdict.outcome == "DIFFERS"
            assert "read by stream the file tells other events" in verdict.why[0]


class TestRedactions:
    def redacted(self, *, versions, stream="incident:INC-1", type="WordsRedacted"):
        rows = log(30)
        anchors = anchored(rows, [30])
        mine = [row for row in rows if row.stream == "incident:INC-1"]
        for row in mine:
            if row.version in (2, 3) or b"words" not in row.state:
                continue
            rows[row.position - 1] = row._replace(state=redact(row.state))
        taken = [r.version for r in rows if b'"redacted"' in r.state]
        versions = taken if versions is None else versions
        told = state({"by": "dpo", "why": "asked", "versions": versions})
        rows.append(Row(31, stream, mine[-1].version + 1, type, told))
        return verify(rows, anchors), taken

    def test_words_taken_out_and_accounted_for(self):
        """The log is what it was, and says who did it."""
        verdict, taken = self.redacted(versions=None)
        assert (verdict.outcome, verdict.redacted) == ("OK", len(taken))
        assert taken
        assert verdict.unaccounted_total == 0

    def test_words_taken_out_by_nobody(self):
        """They are counted and named: the anchors still match."""
        verdict, taken = self.redacted(versions=[])
        assert verdict.outcome == "OK"
        assert verdict.unaccounted_total == len(taken)
        assert {"incident:INC-1"} == {place.stream for place in verdict.unaccounted}
        assert taken == [place.version for place in verdict.unaccounted]
        assert "no event says who took out the words" in "\n".join(verdict.describe())

    def test_an_account_is_of_its_own_stream_and_type(self):
        """Another stream's event, or one of another type, accounts for nothing."""
        other, taken = self.redacted(versions=None, stream="incident:x")
        assert other.unaccounted_total == len(taken)
        other, taken = self.redacted(versions=None, type="UpdateAdded")
        assert other.unaccounted_total == len(taken)

    @pytest.mark.parametrize("versions", ["23", None, {"2": 3}, 2, [True, "2", None, -1, 10**30]])
    def test_an_account_that_can_t_be_read_is_none(self, versions):
        """And it stops nothing."""
        rows = log(30)
        rows[1] = rows[1]._replace(state=redact(rows[1].state))
        for told in (state({"versions": versions}), b"\x00", b"[" * 100_000, b'{"event":3}', b"5"):
            extra = Row(31, rows[1].stream, 20, "WordsRedacted", told)
            assert verify([*rows, extra], anchored(rows, [30])).unaccounted_total == 1

    def test_an_export_without_words_verifies(self):
        """Every proof over the log holds without any words."""
        rows = log(60)
        bare = [row._replace(state=redact(row.state)) for row in rows]
        verdict = verify(bare, anchored(rows, [20, 60]))
        assert (verdict.outcome, verdict.redacted) == ("OK", 30)
        assert (verdict.unaccounted_total, len(verdict.unaccounted)) == (30, 20)
        assert verdict.unaccounted[0] == Place(rows[1].stream, rows[1].version, 2)


class TestSigned:
    KEY = Key.parse(vkey("log.example", SECRET))

    def test_every_anchor_is_signed(self):
        """By any one of the keys."""
        rows = log(20)
        a, b = anchored(rows, [5, 10])
        keys = [self.KEY, Key.parse(vkey("second", OTHER))]
        verdict = verify(rows, [signed(a), signed(b, OTHER, "second")], keys)
        assert (verdict.outcome, verdict.signed) == ("OK", True)
        assert "every anchor is signed by a key that was given" in verdict.describe()

    def test_an_unsigned_anchor_among_them(self):
        """Is refused, also when it matches."""
        rows = log(20)
        a, b = anchored(rows, [5, 10])
        verdict = verify(rows, [signed(a), b], [self.KEY])
        assert (verdict.outcome, verdict.signed) == ("NOT SIGNED", False)
        assert "anchor 2" in verdict.why[0]

    def test_an_anchor_signed_by_another(self):
        """With the same name, even."""
        rows = log(20)
        [a] = anchored(rows, [5])
        assert verify(rows, [signed(a, OTHER)], [self.KEY]).outcome == "NOT SIGNED"

    def test_the_last_anchor_replaced(self):
        """Somebody changes a row and makes the anchor anew: without the key he can't sign it."""
        rows = log(20)
        anchors = [signed(anchor) for anchor in anchored(rows, [5, 10])]
        rows[7] = rows[7]._replace(type="Other")
        forged = anchors[1]._replace(root=roots(rows, [10])[10])
        assert verify(rows, [anchors[0], forged], [self.KEY]).outcome == "NOT SIGNED"
        unsigned = forged._replace(signatures=())
        assert verify(rows, [anchors[0], unsigned], [self.KEY]).outcome == "NOT SIGNED"

    def test_unsigned_anchors_protect_what_those_that_stayed_cover(self):
        """Who can write the anchors file can replace an anchor; only the others still bind him."""
        rows = log(20)
        a, _ = anchored(rows, [5, 10])
        behind, before = list(rows), list(rows)
        behind[7] = behind[7]._replace(type="Other")
        before[3] = before[3]._replace(type="Other")
        assert verify(behind, [a, *anchored(behind, [10])]).outcome == "OK"
        assert verify(before, [a, *anchored(before, [10])]).outcome == "DIFFERS"

    def test_changes_behind_the_last_anchor_are_not_detected(self):
        """Nothing binds them yet, signed or not; the verdict says how many events that are."""
        rows = log(20)
        anchors = [signed(anchor) for anchor in anchored(rows, [5, 10])]
        rows[15] = rows[15]._replace(type="Other", state=b"{}")
        verdict = verify(rows[:18], anchors, [self.KEY])
        assert (verdict.outcome, verdict.newer) == ("OK", 8)


ROWS = log(24)
ANCHORS = anchored(ROWS, [6, 13, 20])


class TestAnyChange:
    @settings(max_examples=300)
    @given(st.data())
    def test_of_one_value_before_the_last_anchor(self, data):
        """Stream, version, type or state of any row: the outcome is not OK."""
        at = data.draw(st.integers(0, 19))
        row = ROWS[at]
        field = data.draw(st.sampled_from(["stream", "version", "type", "state"]))
        old = getattr(row, field)
        if field == "version":
            new = data.draw(st.integers(-(2**63), 2**63 - 1))
        elif field == "state":
            new = bytearray(old)
            new[data.draw(st.integers(0, len(old) - 1))] ^= data.draw(st.integers(1, 255))
            new = bytes(new)
        else:
            new = data.draw(st.one_of(st.text(st.characters(codec="utf-8")), st.just(old + " ")))
        if new == old:
            return
        changed = [*ROWS[:at], row._replace(**{field: new}), *ROWS[at + 1 :]]
        verdict = verify(changed, ANCHORS)
        assert verdict.outcome in {"DIFFERS", "WRONG LEDGER"}
        assert at == 0 or verdict.differs.first <= at < verdict.differs.behind

    @given(st.lists(st.integers(1, 50), min_size=24, max_size=24))
    def test_of_positions_that_keeps_the_order_is_none(self, steps):
        """A store that numbers otherwise holds the same log."""
        position, moved = 0, []
        for row, step in zip(ROWS, steps, strict=True):
            position += step
            moved.append(row._replace(position=position))
        assert verify(moved, ANCHORS).outcome == "OK"

    @pytest.mark.parametrize("at", range(20))
    def test_of_order_by_exchange(self, at):
        """Any two neighbours before the last anchor."""
        if at == 19:
            rows = [*ROWS[:19], ROWS[20], ROWS[19], *ROWS[21:]]
        else:
            rows = [*ROWS[:at], ROWS[at + 1], ROWS[at], *ROWS[at + 2 :]]
        assert verify(renumbered(rows), ANCHORS).outcome == "DIFFERS"

    @pytest.mark.parametrize("at", range(20))
    def test_of_number_by_a_row_more_or_less(self, at):
        """Deleting, doubling or inserting anywhere before the last anchor."""
        extra = Row(1, "incident:x", 1, "T", b"{}")
        less = renumbered([*ROWS[:at], *ROWS[at + 1 :]])
        more = renumbered([*ROWS[:at], extra, *ROWS[at:]])
        double = renumbered([*ROWS[:at], ROWS[at], *ROWS[at:]])
        # The last of them doubled is a row behind the anchor: a version that comes twice.
        outcomes = {"DIFFERS", "WRONG LEDGER"} | ({"GAPS"} if at == 19 else set())
        assert verify(double, ANCHORS).outcome in outcomes
        for rows in (less, more):
            assert verify(rows, ANCHORS).outcome in {"DIFFERS", "WRONG LEDGER"}

    @pytest.mark.parametrize("size", range(24))
    def test_of_length(self, size):
        """Cut before the last anchor it is truncated, behind it it can't be known."""
        expected = "TRUNCATED" if size < 20 else "OK"
        assert verify(ROWS[:size], ANCHORS).outcome == expected


# --- proofs as values -----------------------------------------------------------------------------


def inclusion_of(rows, at, size):
    hashes = leaf_hashes(rows[:size])
    row = rows[at]
    return {
        "imcm_proof": 1,
        "kind": "inclusion",
        "origin": ORIGIN,
        "stream": row.stream,
        "version": row.version,
        "type": row.type,
        "state": b64(row.state),
        "index": at,
        "size": size,
        "root": b64(mth(hashes)),
        "path": [b64(hash) for hash in path(at, hashes)],
    }


def consistency_of(rows, old, new):
    hashes = leaf_hashes(rows[:new])
    return {
        "imcm_proof": 1,
        "kind": "consistency",
        "origin": ORIGIN,
        "old_size": old,
        "old_root": b64(mth(hashes[:old])),
        "size": new,
        "root": b64(mth(hashes)),
        "path": [b64(hash) for hash in proof(old, hashes)],
    }


class TestProofValues:
    def test_both_kinds_hold(self):
        """And say what they show."""
        shown = check_proof(inclusion_of(ROWS, 7, 13), ANCHORS)
        assert shown == (
            f"UpdateAdded, version {ROWS[7].version} of {ROWS[7].stream}, is event 8 of the log of "
            "13 events"
        )
        shown = check_proof(consistency_of(ROWS, 6, 20), ANCHORS)
        assert shown == "the log of 20 events begins with the log of 6 events"

    def test_redacted_words_are_no_matter(self):
        """A proof without the words is a proof of the same leaf."""
        bare = {**inclusion_of(ROWS, 7, 13), "state": b64(redact(ROWS[7].state))}
        assert "is event 8" in check_proof(bare, ANCHORS)

    @pytest.mark.parametrize("kind", ["inclusion", "consistency"])
    def test_every_member_counts(self, kind):
        """Changed, missing, extra, or of another type."""
        right = inclusion_of(ROWS, 7, 13) if kind == "inclusion" else consistency_of(ROWS, 6, 13)
        assert check_proof(right, ANCHORS)
        for name, value in right.items():
            if isinstance(value, int):
                others = [value + 1, value - 1, True, float(value), str(value), None, 10**30]
            elif isinstance(value, list):
                others = [value[1:], value[:-1], [*value, ROOT], value[::-1], "", None, [1], [""]]
            else:
                others = [value + "x", value[1:], "", ROOT, None, 1, [value], value + "=="]
            for other in others:
                with pytest.raises((Refused, Unreadable)):
                    check_proof({**right, name: other}, ANCHORS)
            with pytest.raises(Unreadable):
                check_proof({k: v for k, v in right.items() if k != name}, ANCHORS)
        with pytest.raises(Unreadable):
            check_proof({**right, "more": 1}, ANCHORS)

    @pytest.mark.parametrize("wrong", [None, 3, [], "x", {}, {"kind": []}])
    def test_what_is_no_proof(self, wrong):
        """Is not read."""
        with pytest.raises(Unreadable):
            check_proof(wrong, ANCHORS)

    def test_a_proof_needs_the_checkpoint_it_is_for(self):
        """One of another size, or of another ledger with the same root, does not do."""
        right = inclusion_of(ROWS, 3, 6)
        with pytest.raises(Refused, match="no checkpoint"):
            check_proof(right, ANCHORS[1:])
        with pytest.raises(Refused, match="no checkpoint"):
            check_proof(right, [ANCHORS[0]._replace(origin="imcm/other")])
        with pytest.raises(Refused, match="no checkpoint"):
            check_proof(consistency_of(ROWS, 5, 20), ANCHORS)

    def test_a_key_needs_a_signature_on_that_checkpoint(self):
        """A signed one beside it does not do."""
        key = Key.parse(vkey("log.example", SECRET))
        anchors = [signed(ANCHORS[0]), *ANCHORS[1:]]
        assert check_proof(inclusion_of(ROWS, 3, 6), anchors, [key])
        with pytest.raises(Refused, match="not signed"):
            check_proof(inclusion_of(ROWS, 3, 13), anchors, [key])
        with pytest.raises(Refused, match="not signed"):
            check_proof(consistency_of(ROWS, 6, 13), anchors, [key])


# --- files and the program ------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    write_sqlite(tmp_path / "ledger.db", ROWS)
    write_jsonl(tmp_path / "log.jsonl", ROWS)
    (tmp_path / "anchors.txt").write_bytes("".join(a.note() for a in ANCHORS).encode())
    return tmp_path


def ran(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return status, told.out + told.err


class TestFiles:
    def test_a_ledger_and_an_export_give_the_same_verdict(self, folder):
        """Their positions are the same here, so all of it is."""
        from_file = verify_file(folder / "ledger.db", ANCHORS)
        exported = verify_file(folder / "log.jsonl", ANCHORS)
        assert from_file._replace(checked=()) == exported == verify(ROWS, ANCHORS)
        assert (from_file.outcome, len(from_file.checked)) == ("OK", 3)

    def test_reading_changes_nothing(self, folder):
        """Neither the file nor what is beside it."""
        before = (folder / "ledger.db").read_bytes(), sorted(folder.iterdir())
        verify_file(folder / "ledger.db", ANCHORS)
        assert before == ((folder / "ledger.db").read_bytes(), sorted(folder.iterdir()))

    def test_a_name_that_means_something_in_a_uri(self, folder):
        """Question marks, percent signs and number signs are part of a name."""
        odd = folder / "a?mode=rwc&x#y%20z é.db"
        shutil.copy(folder / "ledger.db", odd)
        assert verify_file(odd, ANCHORS).outcome == "OK"

    def test_a_ledger_that_is_open_for_writing(self, tmp_path):
        """Its newest events are in the log beside it; the writer is not held up."""
        path = write_sqlite(tmp_path / "ledger.db", ROWS[:10])
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("PRAGMA journal_mode=WAL")
        for row in ROWS[10:]:
            writer.execute("INSERT INTO stored_events VALUES (?, ?, ?, ?)", row[1:])
        assert verify_file(path, ANCHORS).size == 24
        writer.execute("INSERT INTO stored_events VALUES ('a:b', 1, 'T', x'7b7d')")
        writer.close()
        assert verify_file(path, ANCHORS).newer == 5

    def test_what_is_recorded_meanwhile_is_not_half_seen(self, folder):
        """All of the file is read as it was at one moment."""
        writer = sqlite3.connect(folder / "ledger.db", isolation_level=None)
        writer.execute("PRAGMA journal_mode=WAL")

        def record(done):
            writer.execute("INSERT INTO stored_events VALUES ('a:b', ?, 'T', x'7b7d')", (done,))

        verdict = verify_file(folder / "ledger.db", ANCHORS, on_progress=record)
        assert (verdict.outcome, verdict.size) == ("OK", 24)
        assert verify_file(folder / "ledger.db", ANCHORS).size == 25
        writer.close()

    def test_a_ledger_that_is_being_written_is_not_read_past_its_lock(self, folder, monkeypatch):
        """It is said to be locked; nothing is read that may be half written."""
        monkeypatch.setattr(verifier, "_LOCK_WAIT_SECONDS", 0)
        writer = sqlite3.connect(folder / "ledger.db", isolation_level=None)
        writer.execute("BEGIN EXCLUSIVE")
        try:
            with pytest.raises(Unreadable, match="locked"):
                verify_file(folder / "ledger.db", ANCHORS)
        finally:
            writer.close()
        assert verify_file(folder / "ledger.db", ANCHORS).outcome == "OK"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_can_t_be_written(self, folder):
        """A ledger on a read-only medium is read as it is."""
        with sqlite3.connect(folder / "ledger.db") as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        folder.chmod(0o500)
        try:
            assert verify_file(folder / "ledger.db", ANCHORS).outcome == "OK"
        finally:
            folder.chmod(0o700)

    def test_a_table_that_is_not_made_like_that_of_a_ledger(self, folder):
        """Other collations, checks or keys change what is found, so only its own table will do."""
        columns = "originator_id TEXT, originator_version INTEGER, topic TEXT, state BLOB"
        key = "PRIMARY KEY (originator_id, originator_version)"
        for number, told in enumerate(
            (
                f"({columns})",
                f"({columns.replace('TEXT', 'TEXT COLLATE NOCASE', 1)}, {key})",
                f"({columns}, {key}) WITHOUT ROWID",
                f"({columns}, more TEXT AS (topic), {key})",
                f"(rowid INTEGER, {columns}, {key})",
            )
        ):
            path = folder / f"other-{number}.db"
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute(f"CREATE TABLE stored_events {told}")
                connection.executemany(
                    "INSERT INTO stored_events (originator_id, originator_version, topic, state) "
                    "VALUES (?, ?, ?, ?)",
                    [row[1:] for row in ROWS],
                )
            with pytest.raises(Unreadable, match="not made like that of a ledger"):
                verify_file(path, ANCHORS)

    def test_a_changed_byte_in_the_file_is_found(self, folder):
        """Behind the database's back."""
        data = (folder / "ledger.db").read_bytes()
        assert data.count(b'"by":"u9"') == 1
        (folder / "ledger.db").write_bytes(data.replace(b'"by":"u9"', b'"by":"u8"'))
        assert verify_file(folder / "ledger.db", ANCHORS).outcome == "DIFFERS"

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE stored_events SET state = CAST(state AS TEXT) WHERE rowid = 22",
            "UPDATE stored_events SET state = NULL WHERE rowid = 22",
            "UPDATE stored_events SET topic = x'ff' WHERE rowid = 22",
            "UPDATE stored_events SET topic = CAST(x'ff' AS TEXT) WHERE rowid = 22",
            "UPDATE stored_events SET originator_version = 'two' WHERE rowid = 22",
            "UPDATE stored_events SET originator_version = 1.5 WHERE rowid = 22",
            "ALTER TABLE stored_events DROP COLUMN topic",
            "DROP TABLE stored_events",
        ],
    )
    def test_rows_of_other_types_can_t_be_read(self, folder, statement):
        """Also behind the last anchor."""
        with sqlite3.connect(folder / "ledger.db") as connection:
            connection.execute(statement)
        connection.close()
        with pytest.raises(Unreadable):
            verify_file(folder / "ledger.db", ANCHORS)

    def test_a_damaged_database(self, folder):
        """Is said to be one."""
        data = (folder / "ledger.db").read_bytes()
        (folder / "ledger.db").write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
        with pytest.raises(Unreadable, match="be read as a ledger"):
            verify_file(folder / "ledger.db", ANCHORS)

    @pytest.mark.parametrize(
        "bad",
        [
            b"garbage\n",
            b"\n",
            line(ROWS[3])[:-1],
            line(ROWS[3]).replace(b'"version":', b'"version": '),
            line(ROWS[3]).replace(b"}\n", b"}\r\n"),
            b'{"stream":"a","version":0,"type":"T","state":{}}\n',
            b'{"stream":"a","version":01,"type":"T","state":{}}\n',
            b'{"stream":"a","version":1.0,"type":"T","state":{}}\n',
            b'{"stream":"a","version":9223372036854775808,"type":"T","state":{}}\n',
            b'{"stream":"","version":1,"type":"T","state":{}}\n',
            b'{"stream":"a","version":1,"type":"","state":{}}\n',
            b'{"stream":"a","version":1,"type":"T","state":{},"more":1}\n',
            b'{"stream":"a","version":1,"type":"T","state":{}} \n',
            b'{"stream":"a","version":1,"type":"T","state":[]}\n',
            b'{"stream":"a","version":1,"type":"T","state":{"a":NaN}}\n',
            b'{"stream":"a","version":1,"type":"T","state":{"a":"\xff"}}\n',
            b'{"stream":"a","version":1,"type":"T","state":' + b"[" * 99999 + b"}\n",
            b'{"stream":"\\ud800","version":1,"type":"T","state":{}}\n',
            b'{"stream":"\xff","version":1,"type":"T","state":{}}\n',
            b'{"stream":"a","version":1,"type":"T","state64":"e30"}\n',
            b'{"stream":"a","version":1,"type":"T","state64":""}\n',
            b'{"stream":"a","version":1,"type":"T","state64":3}\n',
            b'{"stream":"a","version":1,"type":"T"}\n',
        ],
    )
    def test_a_line_that_is_not_of_an_export(self, folder, bad):
        """Its number is named."""
        (folder / "log.jsonl").write_bytes(b"".join(line(row) for row in ROWS[:3]) + bad)
        with pytest.raises(Unreadable, match=r"^line 4: "):
            verify_file(folder / "log.jsonl", ANCHORS)

    def test_states_that_are_not_json_come_in_base64(self, folder):
        """As an export writes them."""
        rows = [ROWS[0], *(row._replace(state=b"\x00\xff" + row.state) for row in ROWS[1:])]
        lines = [line(rows[0])]
        for row in rows[1:]:
            told = b'"state64":"' + base64.b64encode(row.state) + b'"}\n'
            lines.append(line(row._replace(state=b"X")).replace(b'"state":X}\n', told))
        (folder / "log.jsonl").write_bytes(b"".join(lines))
        assert verify_file(folder / "log.jsonl", anchored(rows, [24])).outcome == "OK"

    def test_states_are_taken_as_they_stand(self, folder):
        """Large numbers, escapes and their forms are not written anew."""
        odd = b'{"a":' + b"9" * 6000 + b',"b":1.00e5,"c":"\\u00e9\\/","d":{"words":"}"}}'
        rows = [ROWS[0], ROWS[1]._replace(stream='odd:"é\\', version=1, state=odd)]
        write_jsonl(folder / "log.jsonl", rows)
        assert verify_file(folder / "log.jsonl", anchored(rows, [2])).outcome == "OK"


class TestProgram:
    def test_it_runs_alone(self, folder):
        """Copied elsewhere, with nothing but the standard library to import."""
        with tempfile.TemporaryDirectory() as elsewhere:
            program = shutil.copy(verifier.__file__, elsewhere)
            told = {}
            for ledger in ("ledger.db", "log.jsonl"):
                told[ledger] = subprocess.run(
                    [sys.executable, "-I", "-S", program, folder / ledger, folder / "anchors.txt"],
                    capture_output=True,
                    text=True,
                    cwd=elsewhere,
                    env={"PYTHONWARNINGS": "error"},
                    check=False,
                )
        for answer in told.values():
            assert (answer.returncode, answer.stderr) == (0, "")
            assert answer.stdout.startswith("OK: the log matches every anchor\n")
            assert "4 events newer" in answer.stdout

    def test_it_imports_nothing_but_the_standard_library(self):
        """Its own text says what it imports."""
        text = Path(verifier.__file__).read_text(encoding="utf-8")
        names = re.findall(r"^\s*(?:from|import) ([a-z_0-9]+)", text, re.MULTILINE)
        assert set(names) <= sys.stdlib_module_names
        assert "sqlite3" in names

    def test_it_answers_with_its_exit_status(self, folder, capsys):
        """0 for a match, 1 for a difference, and the outcome first."""
        anchors = folder / "anchors.txt"
        assert ran(capsys, folder / "ledger.db", anchors)[0] == 0
        write_jsonl(folder / "cut.jsonl", ROWS[:11])
        status, text = ran(capsys, folder / "cut.jsonl", anchors)
        assert status == 1
        assert text.startswith("TRUNCATED\n9 events fewer than the 20 of an anchor; up to event ")
        key = vkey("log.example", SECRET)
        assert ran(capsys, folder / "ledger.db", anchors, "--key", key)[0] == 1
        notes = "".join(signed(anchor).note() for anchor in ANCHORS)
        anchors.write_text(notes, encoding="utf-8")
        status, text = ran(capsys, folder / "ledger.db", anchors, "--key", key)
        assert status == 0
        assert "every anchor is signed" in text

    def test_json(self, folder, capsys):
        """One line, whatever happens."""
        status, text = ran(capsys, "--json", folder / "ledger.db", folder / "anchors.txt")
        assert (status, json.loads(text)["outcome"]) == (0, "OK")
        status, text = ran(capsys, "--json", folder / "none.db", folder / "anchors.txt")
        assert (status, json.loads(text)["outcome"]) == (2, "UNREADABLE")

    def test_proofs(self, folder, capsys):
        """Both kinds, from a file."""
        told, anchors = folder / "proof.json", folder / "anchors.txt"
        for value in (inclusion_of(ROWS, 7, 13), consistency_of(ROWS, 6, 20)):
            told.write_text(json.dumps(value), encoding="utf-8")
            status, text = ran(capsys, "--proof", told, anchors)
            assert (status, text[:4]) == (0, "OK: ")
            told.write_text(json.dumps({**value, "root": ROOT}), encoding="utf-8")
            status, text = ran(capsys, "--proof", told, anchors, "--json")
            assert (status, json.loads(text)["outcome"]) == (1, "REFUSED")

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", "3", '{"imcm_proof":1}', "[" * 99999, '{"kind":"inclusion","kind":"x"}'],
    )
    def test_what_is_no_proof(self, folder, capsys, text):
        """Can't be read."""
        (folder / "proof.json").write_text(text, encoding="utf-8")
        assert ran(capsys, "--proof", folder / "proof.json", folder / "anchors.txt")[0] == 2

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\n",
            b"x",
            b"garbage",
            b"\x00" * 5000,
            b"SQLite format 3\x00",
            b"SQLite format 3",
            b"\xff\xfe",
        ],
    )
    def test_what_is_neither_ledger_nor_anchors(self, folder, capsys, content):
        """Empty, short, binary: exit status 2 and a sentence, never a traceback."""
        (folder / "odd").write_bytes(content)
        status, text = ran(capsys, folder / "odd", folder / "anchors.txt")
        assert (status, text[:15]) == (2, "can't be read: ")
        status, text = ran(capsys, folder / "ledger.db", folder / "odd")
        assert (status, text[:15]) == (2, "can't be read: ")
        assert (folder / "odd").read_bytes() == content

    def test_files_that_are_not_there_and_folders(self, folder, capsys):
        """A folder, a missing file, a database of something else; nothing is made."""
        with sqlite3.connect(folder / "other.db") as connection:
            connection.execute("CREATE TABLE other (a)")
        connection.close()
        before = sorted(folder.iterdir())
        anchors = folder / "anchors.txt"
        for ledger in (folder, folder / "none.db", folder / "other.db"):
            assert ran(capsys, ledger, anchors)[0] == 2
        for wrong in (folder, folder / "none.txt"):
            assert ran(capsys, folder / "ledger.db", wrong)[0] == 2
        assert before == sorted(folder.iterdir())

    @pytest.mark.parametrize("key", ["", "x", "a+b+c", SUM_KEY + "x"])
    def test_a_bad_key(self, folder, capsys, key):
        """Is no key that nobody has signed with, but a mistake."""
        assert ran(capsys, folder / "ledger.db", folder / "anchors.txt", "--key", key)[0] == 2

    @pytest.mark.parametrize("arguments", [[], ["a"], ["a", "b", "c"], ["--proof", "a", "b", "c"]])
    def test_a_wrong_call(self, capsys, arguments):
        """Exit status 2 and how to call it."""
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
        assert "usage" in capsys.readouterr().err

    def test_a_terminal_that_can_t_show_a_character(self, folder):
        """The answer comes all the same."""
        odd = "imcm/é—\U0001f600"
        rows = [opened(odd), *ROWS[1:]]
        write_jsonl(folder / "odd.jsonl", rows)
        [anchor] = anchored(rows, [24], odd)
        (folder / "odd.txt").write_text(anchor.note(), encoding="utf-8")
        answer = subprocess.run(
            [sys.executable, verifier.__file__, folder / "odd.jsonl", folder / "odd.txt"],
            capture_output=True,
            env={"PYTHONIOENCODING": "ascii"},
            check=False,
        )
        assert (answer.returncode, answer.stderr) == (0, b"")
        assert b"imcm/\\xe9" in answer.stdout


def test_what_this_file_calls_a_ledger_is_one(tmp_path):
    """A ledger that the library recorded, its export, and the two without words."""
    from datetime import UTC, datetime
    from io import BytesIO

    from imcm import Ledger, LedgerReader, incident
    from imcm.interchange import jsonl

    now = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
    with Ledger(tmp_path / "ledger.db") as ledger:
        for number in range(5):
            ledger.record(f"INC-{number}", incident.detect, by="a", at=now, title="It fails")
            ledger.record(f"INC-{number}", incident.acknowledge, by="b", at=now)
        rows, origin = list(ledger.rows()), ledger.ledger_id
    anchors = anchored(rows, [1, 6, 11], origin)
    assert {IncidentDetected.__name__, "LedgerOpened"} < {row.type for row in rows}
    assert verify_file(tmp_path / "ledger.db", anchors).outcome == "OK"
    for words in (True, False):
        file = BytesIO()
        jsonl.write(LedgerReader(tmp_path / "ledger.db").rows(), file, words=words)
        (tmp_path / "log.jsonl").write_bytes(file.getvalue())
        verdict = verify_file(tmp_path / "log.jsonl", anchors)
        assert (verdict.outcome, verdict.redacted) == ("OK", 0 if words else 5)


def test_what_is_cut_and_altered_is_not_said_to_match():
    """Of what is newer than the last anchor that matches nothing is known, whatever is missing."""
    first, *_ = ANCHORS
    cut = list(ROWS[: first.size + 2])
    verdict = verify(cut, ANCHORS)
    [why] = verdict.why
    assert verdict.outcome == "TRUNCATED"
    assert f"up to event {first.size} it matches" in why
    assert f"of events {first.size + 1} to {first.size + 2} nothing can be said" in why
    [why] = verify([], ANCHORS[:1]).why
    assert why.endswith("no anchor says anything of the rest")
