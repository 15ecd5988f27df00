"""
Check that a log of incidents and changes is still the log that was anchored.

This one file needs Python 3.11 and its standard library and nothing else, so that somebody who
trusts neither the ledger nor the library it was written with can copy it and run it:

    python verifier.py LEDGER ANCHORS [--key VKEY]... [--allow NAME]... [--json]
    python verifier.py --proof PROOF ANCHORS [--key VKEY]...

LEDGER is a SQLite ledger or a JSONL export, ANCHORS the file of checkpoints that was kept
elsewhere. The exit status is 0 when everything matches, 1 when the log does not match or a proof
does not hold, 2 when something can't be read or the call is wrong.

The log is a Merkle tree as in RFC 9162, section 2.1; `leaf_data` says which bytes of an event are
its leaf. A checkpoint is a note as in C2SP tlog-checkpoint and signed-note: the log's origin, how
many events it had, and the root of their tree.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import sqlite3
import sys
from bisect import bisect_left, bisect_right
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from itertools import islice, pairwise
from operator import itemgetter, lt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeGuard, TypeVar, cast

if TYPE_CHECKING:
    import argparse

__all__ = [
    "ADDED",
    "APPEND_ONLY",
    "DIFFERS",
    "EMPTY_ROOT",
    "GAPS",
    "NOT_SIGNED",
    "NO_ANCHORS",
    "OK",
    "OUTCOMES",
    "TRUNCATED",
    "WRONG_LEDGER",
    "Checkpoint",
    "Frontier",
    "Gap",
    "Interval",
    "Key",
    "Place",
    "Refused",
    "Signature",
    "Unreadable",
    "Verdict",
    "check_consistency",
    "check_inclusion",
    "check_proof",
    "check_signature",
    "consistency_proof",
    "extras",
    "inclusion_proof",
    "inclusion_proofs",
    "leaf_data",
    "leaf_hash",
    "leaf_hashes",
    "origin_of",
    "read_anchors",
    "read_proofs",
    "redact",
    "same_statement",
    "split_words",
    "verify",
    "verify_file",
]

_sha256 = hashlib.sha256


class Refused(ValueError):
    """A proof, a signature or a checkpoint does not hold; the message says what is wrong."""


class Unreadable(ValueError):
    """Something is not in the format it should have, or can't be read at all."""


# --- what is given --------------------------------------------------------------------------------

_T = TypeVar("_T")


def _given(name: str, value: object, kind: type[_T]) -> _T:
    """Return *value* if it is of its type; else whoever gave it hears which argument it was."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Unreadable(f"{name} is a {type(value).__name__}, not a {kind.__name__}")
    return value


def _listed(name: str, values: Iterable[_T]) -> Iterable[_T]:
    """Return *values* if they can be gone through one by one."""
    if not isinstance(values, Iterable):
        raise Unreadable(f"{name} is a {type(values).__name__}, not a list")
    return values


def _all_given(name: str, values: Any, kind: type[_T]) -> Iterator[_T]:
    """Yield the members of a list if it is one and each is of its type."""
    for value in _listed(name, values):
        yield _given(f"one of {name}", value, kind)


def _tuples(name: str, values: object) -> Iterator[tuple[Any, ...]]:
    """Yield the members of a list of tuples."""
    return cast("Iterator[tuple[Any, ...]]", _all_given(name, values, tuple))


def _told(number: object) -> str:
    """Return a number as a message tells it, whatever was given instead."""
    return str(number) if isinstance(number, int) and number.bit_length() < 256 else "?"


# --- leaves ---------------------------------------------------------------------------------------

_MARK: Final = b',"words":'
_TEXT: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT: Final = re.compile(rb'\{(?:[^"{}\\]++|%b)*+\}' % _TEXT, re.DOTALL).fullmatch
"""Matches braces around texts and whatever is neither a brace, a quote nor a backslash."""

_REDACTED: Final = re.compile(rb'\{"redacted":"([0-9a-f]{64})"\}').fullmatch


def split_words(state: bytes) -> tuple[bytes, bytes]:
    """
    Return the bytes before `,"words":` and the bytes of the words value; (state, b"") if none.

    A state has words when it is H + `,"words":` + V + `}`, where V is an object with no object in
    it: it begins with `{` and ends with `}`, and between these, outside of texts, there is no
    brace and no backslash. A text is what stands between two quotes, where a backslash takes the
    next byte with it.

    Where the state is JSON, V is the last member of the outermost object: quotes in a text are
    escaped, so the mark before it is a key, and behind V one brace closes everything. Keys called
    "words" elsewhere are therefore no matter. And there is no choice in any bytes. If two marks
    had such a V, the later mark would lie in the earlier V; its brace would have to be in a text
    there, so inside and outside are exchanged from there on, and not both can end outside.
    """
    at = _given("state", state, bytes).rfind(_MARK)
    if at < 0 or state[-1:] != b"}":
        return state, b""
    words = state[at + 9 : -1]
    if (
        # No other braces at all, and every quote bounds a text: the usual case, told by counting.
        words[:1] == b"{"
        and words[-1:] == b"}"
        and words.count(b"{") == 1
        and words.count(b"}") == 1
        and b"\\" not in words
        and words.count(b'"') % 2 == 0
    ) or _FLAT(words):
        return state[:at], words
    # A field may be called "words", too; then an earlier mark is the one.
    end = len(state) - 1
    while (at := state.rfind(_MARK, 0, at + 8)) >= 0:
        if _FLAT(state, at + 9, end):
            return state[:at], state[at + 9 : end]
    return state, b""


def _words_field(words: bytes) -> bytes:
    if not words:
        return b""
    if len(words) == 79 and (redacted := _REDACTED(words)):
        return bytes.fromhex(redacted[1].decode())
    return _sha256(words).digest()


def leaf_data(stream: str, version: int, type: str, state: bytes) -> bytes:
    """
    Return the bytes of one event that its leaf is the hash of.

    Five fields, each the number of its bytes (8 bytes, most significant first) and its bytes:

    1. the stream, in UTF-8
    2. the version, in decimal ASCII
    3. the type name, in UTF-8
    4. the state before its words; the whole state when it has none (`split_words` is the rule)
    5. SHA-256 of the bytes of the words value; empty when there are none. Where that value is
       exactly `{"redacted":"<64 lower-case hexadecimal digits>"}`, those 32 bytes: so taking the
       words out and leaving their hash does not change the leaf.

    The store's own position is no part of it: what counts is the order.

    Raises:
        Unreadable: A value is not of its type, or a text can't be written in UTF-8.
    """
    head, words = split_words(state)
    try:
        texts = _given("stream", stream, str).encode(), _given("type", type, str).encode()
        number = b"%d" % _given("version", version, int)
    except ValueError as error:  # no UTF-8, or a number of thousands of digits
        raise Unreadable(f"the event can't be written: {error}") from None
    fields = (texts[0], number, texts[1], head, _words_field(words))
    return b"".join(part for field in fields for part in (len(field).to_bytes(8, "big"), field))


def leaf_hash(stream: str, version: int, type: str, state: bytes) -> bytes:
    """Return the leaf of one event: SHA-256 of 0x00 and its data (RFC 9162, 2.1.1)."""
    return _sha256(b"\0" + leaf_data(stream, version, type, state)).digest()


def redact(state: bytes) -> bytes:
    """Return *state* with its words replaced by their hash; its leaf stays the same."""
    head, words = split_words(state)
    if not words:
        return state
    return b'%b,"words":{"redacted":"%b"}}' % (head, _words_field(words).hex().encode())


_LENGTHS: Final = tuple(n.to_bytes(8, "big") for n in range(4096))
_VERSIONS: Final = (b"", *(_LENGTHS[len(b"%d" % n)] + b"%d" % n for n in range(1, 1024)))
_HASH_LENGTH: Final = _LENGTHS[32]
_NO_WORDS: Final = _LENGTHS[0]
_REDACTION: Final = "WordsRedacted"
"""The type of the event that says which words of its stream were taken out."""

_Row = tuple[int, str, int, str, bytes]


class Place(NamedTuple):
    """Where one event stands."""

    stream: str
    version: int
    position: int


def leaf_hashes(
    rows: Iterable[_Row],
    redacted: Callable[[Place], object] = lambda _: None,
    redaction: Callable[[Place, bytes], object] = lambda _, __: None,
) -> list[bytes]:
    """
    Return the leaf of each row, as `leaf_hash` would, several times faster.

    Args:
        rows: Each (position, stream, version, type, state).
        redacted: Is told each row whose words were taken out.
        redaction: Is told each row that accounts for words taken out, and its state.

    Raises:
        Unreadable: A value of a row is not of its type.
    """
    sha256, split, mark, join = _sha256, split_words, _MARK, b"".join
    lengths, versions, no_words, hash_length = _LENGTHS, _VERSIONS, _NO_WORDS, _HASH_LENGTH
    types: dict[str, bytes] = {}
    found: list[bytes] = []
    add = found.append
    for row in _listed("rows", rows):
        try:
            position, stream, version, type, state = row
            name = types.get(type)
            if name is None:
                named = type.encode()
                name = types[type] = len(named).to_bytes(8, "big") + named
            if (
                version.__class__ is not int
                or state.__class__ is not bytes
                or position.__class__ is not int
            ):
                raise TypeError  # noqa: TRY301 (what is wrong of a row is told in one place)
            head, field = state, no_words
            if mark in state:
                head, words = split(state)
                if len(words) == 79 and _REDACTED(words):
                    field = hash_length + _words_field(words)
                    redacted(Place(stream, version, position))
                elif words:
                    field = hash_length + sha256(words).digest()
            if type == _REDACTION:
                redaction(Place(stream, version, position), state)
            id = stream.encode()
            n, m = len(id), len(head)
            if n < 4096 and m < 4096 and 0 < version < 1024:
                parts = (
                    b"\0",
                    lengths[n],
                    id,
                    versions[version],
                    name,
                    lengths[m],
                    head,
                    field,
                )
                add(sha256(join(parts)).digest())
            else:
                add(leaf_hash(stream, version, type, state))
        except (TypeError, AttributeError, ValueError, OverflowError):
            why = _no_event(row)
            raise Unreadable(f"position {_shown(row)} is not a stored event: {why}") from None
    return found


def _no_event(row: object) -> str:
    """Return why a row is none of a log."""
    if not isinstance(row, tuple) or len(cast("tuple[object, ...]", row)) != 5:
        return "it is no (position, stream, version, type, state)"
    kinds = ", ".join(value.__class__.__name__ for value in cast("tuple[object, ...]", row))
    wanted = "int, str, int, str, bytes"
    return "a value is none that is stored" if kinds == wanted else f"it is {kinds}, not {wanted}"


def _shown(row: object) -> str:
    """Return the position of a row that may be anything at all."""
    position = cast("tuple[object, ...]", row)[0] if isinstance(row, tuple) and row else None
    return _plain(position[:20]) if isinstance(position, str) else _told(position)


# --- the tree -------------------------------------------------------------------------------------

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of a tree without leaves (RFC 9162, 2.1.1)."""


def _node(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\1" + left + right).digest()


class Frontier:
    """
    The root of a growing tree, from at most one hash for each level (RFC 9162, 2.1.1).

    `_pending[k]` is the root of a full tree of 2**k leaves that has no right neighbour yet, or
    None. Adding leaves is adding binary numbers.
    """

    def __init__(self) -> None:
        self.size = 0
        self._pending: list[bytes | None] = []

    def add(self, hash: bytes) -> None:
        """Add one leaf hash."""
        self.extend([hash])

    def extend(self, hashes: Sequence[bytes]) -> None:
        """Add leaf hashes, level by level, which is faster than one by one."""
        sha256, row, level = _sha256, list(_listed("hashes", hashes)), 0
        if not {*map(type, row)} <= {bytes}:
            raise Unreadable("a leaf hash is bytes, and one of these is something else")
        self.size += len(row)
        while row:
            if level == len(self._pending):
                self._pending.append(None)
            waiting = self._pending[level]
            if waiting is not None:
                row.insert(0, waiting)
            self._pending[level] = row.pop() if len(row) % 2 else None
            pairs = iter(row)
            row = [sha256(b"\1%b%b" % (a, b)).digest() for a, b in zip(pairs, pairs, strict=True)]
            level += 1

    def root(self) -> bytes:
        """Return the root of the tree of all leaves so far."""
        root: bytes | None = None
        for hash in self._pending:
            if hash is not None:
                root = hash if root is None else _node(hash, root)
        return EMPTY_ROOT if root is None else root


# --- proofs, made ---------------------------------------------------------------------------------


class _Subtree(NamedTuple):
    """A full subtree, and the paths of the watched leaves in it."""

    hash: bytes
    level: int
    paths: list[list[bytes]]


def _joined(left: _Subtree, right: _Subtree) -> _Subtree:
    for path in left.paths:
        path.append(right.hash)
    for path in right.paths:
        path.append(left.hash)
    return _Subtree(_node(left.hash, right.hash), left.level + 1, left.paths + right.paths)


def inclusion_proofs(
    leaves: Iterable[tuple[bytes, bool]],
) -> tuple[int, bytes, dict[int, list[bytes]]]:
    """
    Return the size and root of a tree, and the inclusion paths of its watched leaves by index.

    Reads once and needs to know neither the size nor the places beforehand: whenever two
    subtrees are joined, a watched leaf in one of them gets the other as the next step of its path
    (RFC 9162, 2.1.3.1). Memory grows with the watched leaves and the logarithm of the rest.

    Args:
        leaves: Each leaf hash, and whether it is watched.
    """
    full: list[_Subtree] = []
    paths: dict[int, list[bytes]] = {}
    size = 0
    for leaf in _tuples("leaves", leaves):
        if len(leaf) != 2:
            raise Unreadable("one of leaves is not (hash, whether it is watched)")
        hash, watched = leaf
        subtree = _Subtree(_given("a leaf", hash, bytes), 0, [])
        if watched:
            subtree.paths.append(paths.setdefault(size, []))
        size += 1
        while full and full[-1].level == subtree.level:
            subtree = _joined(full.pop(), subtree)
        full.append(subtree)
    if not full:
        return 0, EMPTY_ROOT, {}
    top = full.pop()
    while full:
        top = _joined(full.pop(), top)
    return size, top.hash, paths


def inclusion_proof(hashes: Iterable[bytes], index: int, size: int) -> list[bytes]:
    """
    Return the path from leaf *index* to the root of the first *size* leaves (RFC 9162, 2.1.3.1).

    Raises:
        Refused: There is no such leaf, or fewer than *size*.
    """
    if not 0 <= _given("index", index, int) < _given("size", size, int) <= _LARGEST:
        raise Refused(f"there is no leaf {_told(index)} in a tree of {_told(size)}")
    leaves = islice(_listed("hashes", hashes), size)
    watched = ((hash, place == index) for place, hash in enumerate(leaves))
    found, _, paths = inclusion_proofs(watched)
    if found != size:
        raise Refused(f"there are {found} leaves, not {size}")
    return paths[index]


def _split(size: int) -> int:
    """Return the largest power of two smaller than *size*."""
    return 1 << (size - 1).bit_length() - 1


def _consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """
    Return the half-open ranges of leaves whose trees are the path, in the path's order.

    RFC 9162, 2.1.4.1, SUBPROOF with its recursion turned into a loop.
    """
    ranges: list[tuple[int, int]] = []
    begin, end, m, whole = 0, new, old, True
    while m != end - begin:
        k = _split(end - begin)
        if m <= k:
            ranges.append((begin + k, end))
            end = begin + k
        else:
            ranges.append((begin, begin + k))
            begin, m, whole = begin + k, m - k, False
    if not whole:
        ranges.append((begin, end))
    return ranges[::-1]


def consistency_proof(hashes: Iterable[bytes], old: int, new: int) -> list[bytes]:
    """
    Return the path that shows the tree of *old* leaves to be the start of the one of *new*.

    RFC 9162, 2.1.4.1. Reads once and keeps one frontier for the range it is in.

    Raises:
        Refused: The sizes are not 1 <= old <= new, or there are fewer leaves than *new*.
    """
    if not 1 <= _given("old", old, int) <= _given("new", new, int) <= _LARGEST:
        raise Refused(f"there is no consistency proof from size {_told(old)} to size {_told(new)}")
    ranges = _consistency_ranges(old, new)
    roots: dict[tuple[int, int], bytes] = {}
    leaves, at = iter(_listed("hashes", hashes)), 0
    for begin, end in sorted(ranges):
        for _ in islice(leaves, begin - at):
            at += 1
        frontier = Frontier()
        while chunk := list(islice(leaves, min(_CHUNK, end - begin - frontier.size))):
            frontier.extend(chunk)
        at += frontier.size
        roots[begin, end] = frontier.root()
    at += sum(1 for _ in islice(leaves, new - at))
    if at != new:
        raise Refused(f"there are {at} leaves, not {new}")
    return [roots[range] for range in ranges]


# --- proofs, checked ------------------------------------------------------------------------------


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _refuse_hashes(**hashes: object) -> None:
    for name, value in hashes.items():
        if not isinstance(value, bytes) or len(value) != 32:
            raise Refused(f"the {name} is not 32 bytes")


def _refuse_path(path: Sequence[bytes]) -> None:
    if not isinstance(path, (list, tuple)):
        raise Refused("the path is not a list")
    for place, hash in enumerate(path):
        if not isinstance(hash, bytes) or len(hash) != 32:
            raise Refused(f"element {place} of the path is not 32 bytes")


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """
    Check that leaf *index* of the tree with *size* leaves and this *root* is *leaf*.

    RFC 9162, 2.1.3.2.

    Raises:
        Refused: It is not shown by *path*.
    """
    _refuse_hashes(leaf=leaf, root=root)
    _refuse_path(path)
    if not _is_count(index) or not _is_count(size) or index >= size:
        raise Refused(f"there is no leaf {_told(index)} in a tree of {_told(size)}")
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            raise Refused("the path is too long")
        if fn & 1 or fn == sn:
            r = _node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = _node(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise Refused("the path is too short")
    if not hmac.compare_digest(r, root):
        raise Refused("the path leads to another root")


def check_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """
    Check that the tree of *new* leaves begins with the tree of *old* leaves.

    RFC 9162, 2.1.4.2.

    Raises:
        Refused: It is not shown by *path*. A tree of no leaves can't be the start of a proof.
    """
    _refuse_hashes(old_root=old_root, new_root=new_root)
    _refuse_path(path)
    if not _is_count(old) or not _is_count(new) or not 1 <= old <= new:
        raise Refused(f"there is no consistency proof from size {_told(old)} to size {_told(new)}")
    if old == new:
        if path:
            raise Refused("the path is too long: the sizes are equal")
        if not hmac.compare_digest(old_root, new_root):
            raise Refused("the sizes are equal and the roots are not")
        return
    if not path:
        raise Refused("the path is too short")
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = steps[0]
    for c in steps[1:]:
        if sn == 0:
            raise Refused("the path is too long")
        if fn & 1 or fn == sn:
            fr, sr = _node(c, fr), _node(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = _node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise Refused("the path is too short")
    if not hmac.compare_digest(fr, old_root):
        raise Refused("the path leads to another old root")
    if not hmac.compare_digest(sr, new_root):
        raise Refused("the path leads to another new root")


# --- Ed25519, checking only -----------------------------------------------------------------------
# RFC 8032, 5.1. Only public values pass through it, so it need not take constant time.

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE: Final = pow(2, (_P - 1) // 4, _P)

_Point = tuple[int, int, int, int]
_ZERO: Final[_Point] = (0, 1, 1, 0)


def _plus(a: _Point, b: _Point) -> _Point:
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e = (y1 - x1) * (y2 - x2) % _P
    f = (y1 + x1) * (y2 + x2) % _P
    g = 2 * t1 * t2 * _D % _P
    h = 2 * z1 * z2 % _P
    i, j, k, m = f - e, h - g, h + g, f + e
    return i * j % _P, k * m % _P, j * k % _P, i * m % _P


def _point(encoded: bytes) -> _Point | None:
    """Return the point of 32 bytes, or None where they are not the one way to write a point."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if square == 0:
        return None if sign else (0, y, 1, 0)
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P:
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _encoded(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    x, y = x * inverse % _P, y * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _is_zero(point: _Point) -> bool:
    return point[0] % _P == 0 and (point[1] - point[2]) % _P == 0


_BASE: Final = _point((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))


def _public_point(public: bytes) -> _Point | None:
    """Return the point of a public key, or None where it is none or of small order."""
    point = _point(public) if len(public) == 32 else None
    if point is None:
        return None
    eightfold = point
    for _ in range(3):
        eightfold = _plus(eightfold, eightfold)
    return None if _is_zero(eightfold) else point


def check_signature(public: bytes, message: bytes, signature: bytes) -> None:
    """
    Check an Ed25519 signature (RFC 8032, 5.1.7, without the cofactor).

    Strict: S is below the group order, every point is written in its one way, and a key of small
    order is no key.

    Raises:
        Refused: It is not a signature of *message* by *public*.
    """
    if not isinstance(signature, bytes) or len(signature) != 64:
        raise Refused("the signature is not 64 bytes")
    key = _public_point(_given("public", public, bytes))
    if key is None:
        raise Refused("the public key is not a point of Ed25519")
    s = int.from_bytes(signature[32:], "little")
    if s >= _L:
        raise Refused("the signature does not verify")
    signed = signature[:32] + public + _given("message", message, bytes)
    k = int.from_bytes(hashlib.sha512(signed).digest(), "little") % _L
    # [S]B - [k]A, both multiplications in one walk over the bits.
    x, y, z, t = key
    minus = (_P - x, y, z, _P - t)
    assert _BASE is not None
    steps = (_ZERO, _BASE, minus, _plus(_BASE, minus))
    found = _ZERO
    for bit in range(252, -1, -1):
        found = _plus(found, found)
        step = (s >> bit & 1) | (k >> bit & 1) << 1
        if step:
            found = _plus(found, steps[step])
    if not hmac.compare_digest(_encoded(found), signature[:32]):
        raise Refused("the signature does not verify")


# --- notes ----------------------------------------------------------------------------------------

_DASH: Final = "— "
_MOST_SIGNATURES: Final = 100
_LARGEST: Final = (1 << 63) - 1


def _from_base64(text: str) -> bytes:
    """Return the bytes of canonical standard base64; ValueError for anything else."""
    data = base64.b64decode(text.encode("ascii"), validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical")
    return data


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _is_key_name(name: str) -> bool:
    return bool(name) and not any(c.isspace() or c == "+" or c < " " for c in name)


class Key(NamedTuple):
    """An Ed25519 key that signs notes: `name+hexadecimal id+base64(0x01 and the public key)`."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256 of name, line feed, 0x01 and public key."""
        return _sha256(self.name.encode() + b"\n\1" + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text, to be given to those who check."""
        data = _to_base64(b"\1" + self.public)
        return f"{self.name}+{self.id.hex()}+{data}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """
        Return the key that a text stands for.

        Raises:
            Unreadable: It is not written as one, or not an Ed25519 key.
        """
        name, _, rest = _given("the key", vkey, str).partition("+")
        id, _, data = rest.partition("+")
        try:
            public = _from_base64(data)
            name.encode()
        except ValueError:
            # Not shown: a private key may be given by mistake.
            raise Unreadable("what is given is not a key: name+id+base64") from None
        if not _is_key_name(name):
            raise Unreadable("the name of a key is a text without blanks and plus signs")
        if len(public) != 33 or public[0] != 1:
            raise Unreadable(f"the key {name} is not an Ed25519 key (0x01 and 32 bytes)")
        key = cls(name, public[1:])
        if id != key.id.hex():
            raise Unreadable(f"the key {name[:80]} has the id {key.id.hex()}, not the one given")
        if _public_point(key.public) is None:
            raise Unreadable(f"the key {name} is not a usable point of Ed25519")
        return key


class Signature(NamedTuple):
    """One signature line of a note: who says so, and what only their key can make."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """Return it as it stands in a note."""
        return f"{_DASH}{self.name} {_to_base64(self.key_id + self.value)}\n"


def _why_no_line(text: str) -> str:
    """Return what keeps *text* from being a line of a note; empty when nothing does."""
    if not text:
        return "is empty"
    if any(c < " " for c in text):
        return "has a control character (or a Windows line end)"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "can't be written in UTF-8"
    return ""


class Checkpoint(NamedTuple):
    """
    What a log was at one moment (C2SP tlog-checkpoint), with the signatures under it, if any.

    Attributes:
        origin: The id of the ledger.
        size: How many events it had.
        root: The root of their tree.
        extensions: Further lines. imcm writes one, `at 2026-11-23T12:00:00Z`: when it was made,
            by the clock of whoever made it.
        signatures: Of the body. Without any, a checkpoint is worth what its keeping is worth.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()

    def body(self) -> str:
        """
        Return the text that is signed.

        Raises:
            Refused: It can't be written, for example because a line has a line feed in it.
        """
        for what, line in (("origin", self.origin), *(("line", x) for x in self.extensions)):
            if why := _why_no_line(line):
                raise Refused(f"the {what} {line!r} of a checkpoint {why}")
        if self.origin.startswith(_DASH):
            raise Refused(f"the origin {self.origin!r} looks like a signature")
        if not _is_count(self.size) or self.size > _LARGEST or len(self.root) != 32:
            raise Refused("a checkpoint needs a size and a root of 32 bytes")
        lines = (self.origin, str(self.size), _to_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    def note(self) -> str:
        """Return the whole note; without signatures, the body and a blank line."""
        return self.body() + "\n" + "".join(signature.line() for signature in self.signatures)

    def made(self) -> str:
        """Return when it was made, as its first line of that kind says; "" where none does."""
        return next((x[3:] for x in self.extensions if x.startswith("at ")), "")

    def signed_by(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        """
        Return those of *keys* that signed it. Signatures of other keys are passed over.

        Raises:
            Refused: A signature claims to be of one of the keys and does not verify.
        """
        known = {(key.name, key.id): key for key in _all_given("keys", keys, Key)}
        body = self.body().encode()
        found: list[Key] = []
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is None:
                continue
            try:
                check_signature(key.public, body, signature.value)
            except Refused:
                raise Refused(
                    f"the signature by {key.name} on the checkpoint of size {self.size} does not "
                    "verify"
                ) from None
            if key not in found:
                found.append(key)
        return tuple(found)


_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII).fullmatch


def read_anchors(text: str) -> list[Checkpoint]:
    """
    Return the checkpoints of an anchors file, in its order.

    A checkpoint is three or more lines (origin, size, root, extensions), a blank line, and any
    number of signature lines; blank lines may follow. Nothing else is taken.

    Raises:
        Unreadable: The text is anything else; the message names the line.
    """
    if _given("the text", text, str) and not text.endswith("\n"):
        raise _cut_off(text.split("\n"), "it has no line end")
    lines = text.split("\n")[:-1]
    anchors: list[Checkpoint] = []
    at, count = 0, len(lines)
    while at < count:
        if not lines[at]:
            at += 1
            continue
        begin = at
        while at < count and lines[at]:
            at += 1
        _refuse_odd_lines(lines[begin:at], begin + 1)
        if at == count:
            raise _cut_off(lines, "a blank line must follow a checkpoint")
        anchor = _read_body(lines[begin:at], begin + 1)
        at += 1
        signatures: list[Signature] = []
        while at < count and lines[at].startswith(_DASH):
            signatures.append(_read_signature(lines[at], at + 1))
            at += 1
        if len(signatures) > _MOST_SIGNATURES:
            raise _bad_line(at, f"more than {_MOST_SIGNATURES} signatures are not read")
        anchors.append(anchor._replace(signatures=tuple(signatures)))
    return anchors


def _bad_line(number: int, why: str) -> Unreadable:
    # Never with what stands there: what is given by mistake may be a key or a password.
    return Unreadable(f"line {number} of the anchors: {why}")


def _cut_off(lines: Sequence[str], why: str) -> Unreadable:
    """Say that the last checkpoint is cut off, and how to go on."""
    begin = len(lines)
    while begin > 1 and (lines[begin - 1][:1] == _DASH[0] or not lines[begin - 1]):
        begin -= 1  # its signatures, and the blank line before them
    while begin > 1 and lines[begin - 2] and not lines[begin - 2].startswith(_DASH):
        begin -= 1
    if begin == 1:
        return _bad_line(
            len(lines), f"it ends no whole checkpoint ({why}), and nothing stands before it"
        )
    return _bad_line(
        len(lines),
        f"the last checkpoint is cut off ({why}); what stands before line {begin} is whole: keep a "
        "copy of the file, and remove that line and all behind it",
    )


def _refuse_odd_lines(lines: list[str], number: int) -> None:
    for place, line in enumerate(lines):
        if why := _why_no_line(line):
            raise _bad_line(number + place, f"it {why}")
    if lines[0].startswith(_DASH):
        raise _bad_line(number, "a signature must follow the one blank line after a checkpoint")


def _read_body(lines: list[str], number: int) -> Checkpoint:
    if len(lines) < 3:
        raise _bad_line(number, "a checkpoint has at least an origin, a size and a root")
    if not _SIZE(lines[1]) or int(lines[1]) > _LARGEST:
        raise _bad_line(number + 1, "it is not a size, a whole number")
    try:
        root = _from_base64(lines[2])
    except ValueError:
        root = b""
    if len(root) != 32:
        raise _bad_line(number + 2, "it is not a root: base64 of 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root, tuple(lines[3:]))


def _read_signature(line: str, number: int) -> Signature:
    name, _, data = line.removeprefix(_DASH).partition(" ")
    try:
        value = _from_base64(data)
    except ValueError:
        value = b""
    if not _is_key_name(name) or _why_no_line(name) or len(value) < 5:
        raise _bad_line(number, "it is not a signature: dash, name of the key, base64")
    return Signature(name, value[:4], value[4:])


# --- proofs as values -----------------------------------------------------------------------------

_INCLUSION: Final = {
    "imcm_proof": int,
    "kind": str,
    "origin": str,
    "stream": str,
    "version": int,
    "type": str,
    "state": str,
    "index": int,
    "size": int,
    "root": str,
    "path": list,
}
_CONSISTENCY: Final = {
    "imcm_proof": int,
    "kind": str,
    "origin": str,
    "old_size": int,
    "old_root": str,
    "size": int,
    "root": str,
    "path": list,
}


def check_proof(
    proof: Mapping[str, Any], anchors: Iterable[Checkpoint], keys: Sequence[Key] = ()
) -> str:
    """
    Check a proof against the checkpoints one has, and return a sentence that says what it shows.

    The two kinds, as JSON objects with exactly these members (hashes and states in base64):

        {"imcm_proof":1,"kind":"inclusion","origin":...,"stream":...,"version":...,"type":...,
         "state":...,"index":...,"size":...,"root":...,"path":[...]}
        {"imcm_proof":1,"kind":"consistency","origin":...,"old_size":...,"old_root":...,
         "size":...,"root":...,"path":[...]}

    Args:
        anchors: One of them must be of the proof's origin, size and root; for a consistency
            proof another of its old size and root.
        keys: When given, those checkpoints must carry a valid signature by one of them.

    Raises:
        Unreadable: It is not written as a proof.
        Refused: It does not hold.
    """
    kind = proof.get("kind") if isinstance(proof, Mapping) else None
    shape = {"inclusion": _INCLUSION, "consistency": _CONSISTENCY}.get(str(kind))
    if shape is None or proof.get("imcm_proof") != 1:
        raise Unreadable("it is not a proof of a kind known to this version")
    if set(proof) != set(shape):
        odd = sorted(str(name) for name in set(proof) ^ set(shape))
        raise Unreadable(f"the proof lacks members or has too many: {', '.join(odd)[:200]}")
    for name, wanted in shape.items():
        if proof[name].__class__ is not wanted:
            raise Unreadable(f"the proof's {name} is not of type {wanted.__name__}")
    path = [_decoded(hash, "path") for hash in proof["path"]]
    root, known = _decoded(proof["root"], "root"), list(_all_given("anchors", anchors, Checkpoint))
    _refuse_unknown(known, keys, proof["origin"], proof["size"], root)
    if kind == "consistency":
        old_root = _decoded(proof["old_root"], "old_root")
        _refuse_unknown(known, keys, proof["origin"], proof["old_size"], old_root)
        check_consistency(proof["old_size"], old_root, proof["size"], root, path)
        return (
            f"the log of {proof['size']} events begins with the log of {proof['old_size']} events"
        )
    state = _decoded(proof["state"], "state")
    leaf = leaf_hash(proof["stream"], proof["version"], proof["type"], state)
    check_inclusion(leaf, proof["index"], proof["size"], path, root)
    return (
        f"{proof['type']}, version {proof['version']} of {proof['stream']}, is event "
        f"{proof['index'] + 1} of the log of {proof['size']} events"
    )


def _decoded(text: object, name: str) -> bytes:
    try:
        if isinstance(text, str):
            return _from_base64(text)
    except ValueError:
        pass
    raise Unreadable(f"the proof's {name} is not base64")


def _refuse_unknown(
    anchors: Sequence[Checkpoint], keys: Sequence[Key], origin: str, size: int, root: bytes
) -> None:
    """Refuse a head that is none of the checkpoints one has, or not signed as one wishes."""
    _refuse_hashes(root=root)
    same = [
        anchor
        for anchor in anchors
        if (anchor.origin, anchor.size) == (origin, size) and hmac.compare_digest(anchor.root, root)
    ]
    if not same:
        raise Refused(f"no checkpoint is of {origin}, size {size}, with the proof's root")
    if keys and not any(anchor.signed_by(keys) for anchor in same):
        raise Refused(f"the checkpoint of size {size} is not signed by a key that was given")


# --- the audit ------------------------------------------------------------------------------------

OK: Final = "OK"
"""The log matches every anchor."""
TRUNCATED: Final = "TRUNCATED"
"""
The log has fewer events than an anchor says, and matches every anchor of no more than it has.

Cut off, or an old copy, if nothing else was done: of what is newer than the last anchor that
matches nothing can be said.
"""
DIFFERS: Final = "DIFFERS"
"""The log, or the file it is in, does not match an anchor or itself."""
GAPS: Final = "GAPS"
"""The log matches the anchors, and the versions of a stream are not 1, 2, 3 ... in log order."""
ADDED: Final = "ADDED"
"""
The log matches every anchor, and to its table were added indexes or triggers that are not ours.

They may be somebody's own, for queries; a trigger can also swallow or change what is recorded from
now on. Whoever knows them allows them by name.
"""
WRONG_LEDGER: Final = "WRONG LEDGER"
"""The anchors are of another ledger."""
NOT_SIGNED: Final = "NOT SIGNED"
"""Keys were given, and an anchor has no valid signature by any of them."""
NO_ANCHORS: Final = "NO ANCHORS"
"""There was nothing to compare with."""
OUTCOMES: Final = (OK, TRUNCATED, DIFFERS, GAPS, ADDED, WRONG_LEDGER, NOT_SIGNED, NO_ANCHORS)

_CHUNK: Final = 1024
_LISTED: Final = 20
"""How many gaps and redactions are listed; the totals are exact."""


class Interval(NamedTuple):
    """The events with index *first* up to but not *behind*, counted from 0 in log order."""

    first: int
    behind: int
    first_position: int | None
    last_position: int | None


class Gap(NamedTuple):
    """A place where the versions of a stream do not go on by one in log order."""

    stream: str
    after: int
    version: int
    position: int


class Verdict(NamedTuple):
    """
    What an audit found.

    Attributes:
        outcome: One of `OUTCOMES`.
        why: What led to it, in sentences.
        origin: The id of the ledger as its first event says, if it does.
        size: How many events the log has.
        root: The root of their tree.
        anchors: How many anchors there were.
        matched: How many of them the log matches.
        newer: How many events no matching anchor covers; edits among them can't be detected.
        differs: Where the first difference lies, as far as can be said.
        gaps: Breaks in the versions of streams, the first of them.
        gaps_total: How many there are.
        redacted: How many events had their words taken out.
        unaccounted: Those that no `WordsRedacted` event of their stream names, the first of them.
        unaccounted_total: How many there are.
        signed: Whether keys were given and every anchor carries a valid signature by one of them.
        checked: What was looked at besides the anchors, in words.
        added: Indexes and triggers of the table that are not ours, those allowed by name included.
        last_made: When the last anchor that matches was made, as its note says; "" where it does
            not, or there is none.
    """

    outcome: str
    why: tuple[str, ...]
    origin: str | None
    size: int
    root: bytes
    anchors: int
    matched: int
    newer: int
    differs: Interval | None
    gaps: tuple[Gap, ...]
    gaps_total: int
    redacted: int
    unaccounted: tuple[Place, ...]
    unaccounted_total: int
    signed: bool
    checked: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    last_made: str = ""

    def describe(self) -> list[str]:
        """Return lines for a person, the outcome first."""
        lines = [
            self.outcome if self.outcome != OK else "OK: the log matches every anchor",
            *self.why,
            f"ledger {self.origin or 'unknown'}: {_count(self.size, 'event')}, "
            f"root {_to_base64(self.root)}",
            f"{self.matched} of {_count(self.anchors, 'anchor')} match",
        ]
        if self.differs is not None:
            lines.append(_interval_line(self.differs))
        if self.gaps_total:
            lines.append(f"breaks in the versions of streams: {self.gaps_total}")
            lines += [_gap_line(gap) for gap in self.gaps]
            lines += _and_more(self.gaps_total - len(self.gaps))
        if self.redacted:
            lines.append(f"{_count(self.redacted, 'event')} with words taken out")
        if self.unaccounted_total:
            lines.append(
                f"no event says who took out the words of {self.unaccounted_total} of them "
                "(an export without words looks like this, too)"
            )
            lines += [f"  {x.stream} version {x.version}" for x in self.unaccounted]
            lines += _and_more(self.unaccounted_total - len(self.unaccounted))
        if self.last_made:
            lines.append(f"the last anchor that matches was made at {_plain(self.last_made)}")
        if self.matched and self.newer:
            lines.append(
                f"{_count(self.newer, 'event')} newer than the last anchor that matches: changes "
                "among them can't be detected"
            )
        elif self.anchors and not self.matched:
            lines.append("no anchor matches, so none says of any event that it is as it was")
        if self.added:
            lines.append(f"added to the table of events: {', '.join(self.added)}")
        if self.checked:
            lines.append(f"checked: {'; '.join(self.checked)}")
        if self.signed:
            lines.append("every anchor is signed by a key that was given")
        elif self.anchors and self.outcome != NOT_SIGNED:
            lines.append(
                "signatures were not checked, since no key was given: the anchors prove something "
                "only if they are kept where the keeper of the log can't change them"
            )
        return [_plain(line) for line in lines]

    def as_json(self) -> dict[str, Any]:
        """Return it as a value that can be written as JSON."""
        return {
            **self._asdict(),
            "why": list(self.why),
            "root": _to_base64(self.root),
            "differs": self.differs and self.differs._asdict(),
            "gaps": [gap._asdict() for gap in self.gaps],
            "unaccounted": [place._asdict() for place in self.unaccounted],
            "checked": list(self.checked),
            "added": list(self.added),
        }


def _plain(text: str) -> str:
    """Return *text* with what a terminal would obey or hide written out: names are not ours."""
    # Fillers and variation selectors count as printable, and blanks of other widths do not.
    hidden = (
        "[\u2800\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufffc\U00016fe4\U0001d159"
        "\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
    )
    return "".join(
        c
        if (c.isprintable() and not re.match(hidden, c))
        or (c.isspace() and c >= "\xa0" and c not in "\u2028\u2029")
        else c.encode("unicode_escape").decode()
        for c in text
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _and_more(number: int) -> list[str]:
    return [f"  and {number} more"] if number > 0 else []


def _interval_line(found: Interval) -> str:
    where = f"the first difference lies in events {found.first + 1} to {found.behind}"
    if found.first_position is None:
        return where
    return f"{where}, positions {found.first_position} to {found.last_position or 'the end'}"


def _gap_line(gap: Gap) -> str:
    told = f"  {gap.stream} has version {gap.version} at position {gap.position}"
    if gap.version == gap.after + 1:
        return f"{told}, before version {gap.after}"
    return f"{told}, where {gap.after + 1} belongs"


def origin_of(row: _Row) -> str | None:
    """Return the ledger's id from the first row of a log; None if it does not hold one."""
    _given("row", row, tuple)
    if len(row) != 5:
        raise Unreadable("a row is (position, stream, version, type, state)")
    _, stream, version, type, state = row
    if (stream, version, type) != ("ledger:self", 1, "LedgerOpened"):
        return None
    event = _event(state)
    found = event.get("ledger_id")
    return found if isinstance(found, str) and found else None


def _event(state: bytes) -> dict[str, Any]:
    """Return the facts of a state, or nothing where it is not plain JSON of the known shape."""
    try:
        found: Any = json.loads(state)
        event: Any = found.get("event")
    except (ValueError, AttributeError, RecursionError):
        return {}
    return cast("dict[str, Any]", event) if isinstance(event, dict) else {}


class _Streams:
    """
    What must be compared across the log without holding it: on disk, in a database of its own.

    SQLite's own temporary file: it is made when memory does not suffice and goes when closed.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        run = self._connection.execute
        for statement in (
            "PRAGMA journal_mode=OFF",
            "PRAGMA synchronous=OFF",
            "BEGIN",
            "CREATE TABLE seen (stream TEXT, version INTEGER, position INTEGER)",
            "CREATE TABLE redacted (stream TEXT, version INTEGER, position INTEGER)",
            "CREATE TABLE accounted (stream TEXT, version INTEGER)",
        ):
            run(statement)
        self.redacted = 0

    def close(self) -> None:
        self._connection.close()

    def see(self, rows: Sequence[_Row]) -> None:
        """Keep what is needed to check the versions later."""
        try:
            self._connection.executemany(
                "INSERT INTO seen VALUES (?, ?, ?)", [(row[1], row[2], row[0]) for row in rows]
            )
        except OverflowError:
            raise Unreadable("a version or a position needs more than 64 bits") from None

    def seen(self) -> Iterator[tuple[str, int, int]]:
        """Return (stream, version, position), sorted by stream and version."""
        return self._connection.execute(
            "SELECT stream, version, position FROM seen ORDER BY stream, version, position"
        )

    def was_redacted(self, place: Place) -> None:
        self.redacted += 1
        self._connection.execute("INSERT INTO redacted VALUES (?, ?, ?)", place)

    def accounts(self, place: Place, state: bytes) -> None:
        """Take note of the versions that a `WordsRedacted` event names."""
        versions = _event(state).get("versions")
        if isinstance(versions, list):
            told = [
                (place.stream, version)
                for version in cast("list[object]", versions)
                if _is_count(version) and version < place.version
            ]
            self._connection.executemany("INSERT INTO accounted VALUES (?, ?)", told)

    def unaccounted(self) -> tuple[int, tuple[Place, ...]]:
        """Return how many redacted events nothing accounts for, and the first of them."""
        if not self.redacted:
            return 0, ()
        run = self._connection.execute
        run("CREATE INDEX by_version ON accounted (stream, version)")
        condition = (
            "FROM redacted AS r WHERE NOT EXISTS (SELECT 1 FROM accounted AS a "
            "WHERE a.stream = r.stream AND a.version = r.version)"
        )
        (total,) = run(f"SELECT count(*) {condition}").fetchone()
        first = run(
            f"SELECT stream, version, position {condition} ORDER BY r.rowid LIMIT ?",
            (_LISTED,),
        )
        return total, tuple(Place._make(row) for row in first)


_Placed = tuple[str, int, int] | tuple[str, int, int, str, bytes]
"""Stream, version, position; and type and state, where a row is read a second time as a whole."""


class _Versions(NamedTuple):
    """What a walk over all streams found."""

    rows: int
    mix: int
    gaps: tuple[Gap, ...]
    gaps_total: int


def _placed(streams: object) -> Iterator[tuple[str, int, int]]:
    """Yield what a caller tells of the rows by their streams, if it is that."""
    for row in _tuples("streams", streams):
        if len(row) != 3 or not isinstance(row[0], str):
            raise Unreadable("one of streams is not (stream, version, position)")
        yield row


def _walk(streams: Iterable[_Placed]) -> _Versions:
    """Check that the versions of each stream are 1, 2, 3 ... in log order."""
    count, mix, total = 0, 0, 0
    gaps: list[Gap] = []
    last, after, before = None, 0, 0
    for row in streams:
        stream, version, position = row[:3]
        if version.__class__ is not int or position.__class__ is not int:
            raise Unreadable(f"a version of {stream} is no whole number where its index tells it")
        count += 1
        mix += hash(row)
        if stream != last:
            last, after, before = stream, 0, position - 1
        if version != after + 1 or position <= before:
            total += 1
            if total <= _LISTED:
                gaps.append(Gap(stream, after, version, position))
            if version == after:  # once too often; the first of them counts
                continue
        after, before = version, position
    return _Versions(count, mix, tuple(gaps), total)


class _Log(NamedTuple):
    """What one pass over a log found."""

    origin: str | None
    size: int
    root: bytes
    roots: Mapping[int, bytes]
    first_positions: Mapping[int, int]
    last_positions: Mapping[int, int]
    mix: int
    misplaced: int | None


_LAST: Final = 1 << 62
"""No log reaches it; behind the greatest number SQLite gives out places at random."""

_POSITION: Final = itemgetter(0)
_PLACE: Final = itemgetter(1, 2, 0)
_WHOLE: Final = itemgetter(1, 2, 0, 3, 4)


def _misplaced(positions: Sequence[int], before: int) -> int | None:
    """Return the first position that is no place in a log: below 1, or not behind the last one."""
    rising = positions[0] > before and all(map(lt, positions, positions[1:]))
    if rising and positions[-1] <= _LAST:
        return None
    for position in positions:
        if position <= before or position > _LAST:
            return position
        before = position
    return None


def _read_log(
    rows: Iterable[_Row],
    sizes: Sequence[int],
    kept: _Streams,
    told: Callable[[_Row], object] | None,
    on_progress: Callable[[int], object] | None,
) -> _Log:
    """
    Read a log once and return its root at each of *sizes*, which rise.

    Args:
        told: What of each row its streams will tell again; None where they are kept here.
    """
    frontier = Frontier()
    origin: str | None = None
    roots: dict[int, bytes] = {0: EMPTY_ROOT}
    firsts: dict[int, int] = {}
    lasts: dict[int, int] = {}
    size = mix = last = 0
    misplaced: int | None = None
    remaining = iter(_listed("rows", rows))
    while chunk := list(islice(remaining, _CHUNK)):
        hashes = leaf_hashes(chunk, kept.was_redacted, kept.accounts)
        if misplaced is None:
            misplaced = _misplaced(list(map(_POSITION, chunk)), last)
            last = chunk[-1][0]
        if not size:
            origin, firsts[0] = origin_of(chunk[0]), chunk[0][0]
        if told is None:
            kept.see(chunk)
        else:
            # Does not depend on the order, and with a secret of this process in it.
            mix += sum(map(hash, map(told, chunk)))
        behind, begin = size + len(chunk), 0
        for target in sizes[bisect_left(sizes, size) : bisect_left(sizes, behind)]:
            firsts[target] = chunk[target - size][0]
        for target in sizes[bisect_right(sizes, size) : bisect_right(sizes, behind)]:
            frontier.extend(hashes[begin : target - size])
            begin = target - size
            roots[target], lasts[target] = frontier.root(), chunk[begin - 1][0]
        frontier.extend(hashes[begin:] if begin else hashes)
        size = behind
        if on_progress is not None:
            on_progress(size)
    return _Log(origin, size, frontier.root(), roots, firsts, lasts, mix, misplaced)


def verify(
    rows: Iterable[_Row],
    anchors: Sequence[Checkpoint],
    keys: Sequence[Key] = (),
    *,
    streams: Iterable[tuple[str, int, int]] | None = None,
    origin: str | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> Verdict:
    """
    Compare a log with its anchors, reading it once, in memory that does not grow with it.

    Args:
        rows: Each (position, stream, version, type, state), in log order.
        anchors: What `read_anchors` gave, in the order they were made.
        keys: When given, every anchor must carry a valid signature by one of them.
        streams: (stream, version, position) of every row, sorted by stream and version, where
            the store can tell them so; asked for after *rows* were read. Without, they are
            sorted in a temporary file, which takes longer.
        origin: The id of the ledger, where its first event can't be read because the store
            encrypts it.
        on_progress: Is told how many rows were read.

    Raises:
        Unreadable: A row is not a stored event.
    """
    told = None if streams is None else _PLACE
    streams = None if streams is None else _placed(streams)
    return _verified(rows, anchors, keys, streams, told, origin, on_progress, _NOTHING_FOUND)


class _Found(NamedTuple):
    """
    What was found of the file a log is in.

    Attributes:
        damage: What its own database finds wrong with it; empty where nothing is.
        added: Indexes and triggers that are not ours.
        allowed: Whether each of them was allowed by name.
        checked: What was looked at, in words.
    """

    damage: str
    added: tuple[str, ...]
    allowed: bool
    checked: tuple[str, ...]


_NOTHING_FOUND: Final = _Found("", (), allowed=True, checked=())


def _verified(
    rows: Iterable[_Row],
    anchors: Sequence[Checkpoint],
    keys: Sequence[Key],
    streams: Iterable[_Placed] | None,
    told: Callable[[_Row], object] | None,
    origin: str | None,
    on_progress: Callable[[int], object] | None,
    found: _Found,
) -> Verdict:
    anchors, keys = [*_all_given("anchors", anchors, Checkpoint)], [*_all_given("keys", keys, Key)]
    if origin is not None:
        _given("origin", origin, str)
    if on_progress is not None and not callable(on_progress):
        raise Unreadable("on_progress is no function")
    refused = _unsigned(anchors, keys)
    sizes = sorted({anchor.size for anchor in anchors})
    with contextlib.closing(_Streams()) as kept:
        log = _read_log(rows, sizes, kept, told, on_progress)
        versions = _walk(kept.seen() if streams is None else streams)
        total, unaccounted = kept.unaccounted()
        redacted = kept.redacted
    indexed = streams is None or (versions.rows, versions.mix) == (log.size, log.mix)
    origin = log.origin if origin is None else origin
    matched = [
        anchor.size in log.roots and hmac.compare_digest(log.roots[anchor.size], anchor.root)
        for anchor in anchors
    ]
    differs = _first_difference(log, anchors, matched)
    damage = found.damage or ("" if indexed else _DISAGREE)
    outcome, why = _judged(log, origin, anchors, matched, refused, damage, versions)
    if outcome == OK and not found.allowed:
        outcome, why = ADDED, (_ADDED_WHY,)
    fitting = [anchor for anchor, fits in zip(anchors, matched, strict=True) if fits]
    last = max(fitting, key=lambda anchor: anchor.size, default=None)
    covered = 0 if last is None else last.size
    return Verdict(
        outcome=outcome,
        why=why,
        origin=origin,
        size=log.size,
        root=log.root,
        anchors=len(anchors),
        matched=sum(matched),
        newer=log.size - covered,
        differs=differs,
        gaps=versions.gaps,
        gaps_total=versions.gaps_total,
        redacted=redacted,
        unaccounted=unaccounted,
        unaccounted_total=total,
        signed=bool(keys and anchors and not refused),
        checked=found.checked,
        added=found.added,
        last_made="" if last is None else last.made(),
    )


_DISAGREE: Final = (
    "read by stream the file tells other events than read in log order: it is damaged or was edited"
)
_ADDED_WHY: Final = (
    "the log matches every anchor, but its table has indexes or triggers that are not the "
    "ledger's own; allow those you know by name"
)


def _unsigned(anchors: Sequence[Checkpoint], keys: Sequence[Key]) -> str:
    """Return why the first anchor that is not validly signed is not; empty if all are."""
    if keys:
        for number, anchor in enumerate(anchors, start=1):
            try:
                if anchor.signed_by(keys):
                    continue
            except Refused as error:
                return f"anchor {number}: {error}"
            return f"anchor {number} (size {anchor.size}) is not signed by a key that was given"
    return ""


def _first_difference(
    log: _Log, anchors: Sequence[Checkpoint], matched: Sequence[bool]
) -> Interval | None:
    """Return what lies between the last anchor that matches and the first that does not."""
    wrong = min(
        (
            a.size
            for a, fits in zip(anchors, matched, strict=True)
            if not fits and a.size <= log.size
        ),
        default=None,
    )
    if wrong is None:
        return None
    right = max(
        (a.size for a, fits in zip(anchors, matched, strict=True) if fits and a.size < wrong),
        default=0,
    )
    return Interval(right, wrong, log.first_positions.get(right), log.last_positions.get(wrong))


def _judged(
    log: _Log,
    origin: str | None,
    anchors: Sequence[Checkpoint],
    matched: Sequence[bool],
    refused: str,
    damage: str,
    versions: _Versions,
) -> tuple[str, tuple[str, ...]]:
    """Return the outcome and its reasons; what makes the rest meaningless comes first."""
    if refused:
        return NOT_SIGNED, (refused,)
    for number, anchor in enumerate(anchors, start=1):
        if origin is not None and anchor.origin != origin:
            return WRONG_LEDGER, (f"anchor {number} is of {anchor.origin}, the log is {origin}",)
    why = [*_mismatches(log, anchors, matched), *_shrinking(anchors)]
    if log.misplaced is not None:
        why.append(
            f"position {log.misplaced} is no place in a log, whose positions rise from 1 on: some "
            "readers would pass events over, or take them in another order"
        )
    if damage:
        why.append(damage)
    if why:
        if origin is None and log.size:
            why.append("the log's first event does not say which ledger it is")
        return DIFFERS, tuple(why)
    largest = max((anchor.size for anchor in anchors), default=0)
    if largest > log.size:
        return TRUNCATED, (_fewer(log, anchors, matched, largest),)
    if origin is None:
        return WRONG_LEDGER, ("the log does not begin with the event that says which ledger it is",)
    if versions.gaps_total:
        return GAPS, ("versions of a stream are not 1, 2, 3 ... in log order",)
    return (OK, ()) if anchors else (NO_ANCHORS, ("there was nothing to compare the log with",))


def _fewer(log: _Log, anchors: Sequence[Checkpoint], matched: Sequence[bool], largest: int) -> str:
    """
    Return what is known of a log that has fewer events than an anchor says.

    Which are missing is not known: up to the last anchor that fits all is there, and of what comes
    behind it, some may be missing, and the others be any.
    """
    sure = max((a.size for a, fits in zip(anchors, matched, strict=True) if fits), default=0)
    told = f"{_count(largest - log.size, 'event')} fewer than the {largest} of an anchor"
    told += f"; up to event {sure} it matches" if sure else "; no anchor says anything of the rest"
    if sure and log.size > sure:
        told += f", of events {sure + 1} to {log.size} nothing can be said"
    return told


def _mismatches(
    log: _Log, anchors: Sequence[Checkpoint], matched: Sequence[bool]
) -> Generator[str]:
    wrong = [
        (number, anchor)
        for number, (anchor, fits) in enumerate(zip(anchors, matched, strict=True), start=1)
        if not fits and anchor.size <= log.size
    ]
    if not wrong:
        return
    number, anchor = min(wrong, key=lambda pair: pair[1].size)
    yield f"the first {_count(anchor.size, 'event')} do not have the root of anchor {number}"
    if any(a.size == anchor.size for a, fits in zip(anchors, matched, strict=True) if fits):
        yield "another anchor of the same size matches: not both can be of this log"
    elif any(a.size > anchor.size for a, fits in zip(anchors, matched, strict=True) if fits):
        yield "a later anchor matches: so it is the anchor that is not of this log"
    largest = max(a.size for a in anchors)
    if largest > log.size:
        yield f"{_count(largest - log.size, 'event')} of {largest} missing besides"


def _shrinking(anchors: Sequence[Checkpoint]) -> Generator[str]:
    for number, (old, new) in enumerate(pairwise(anchors), start=2):
        if new.size < old.size:
            yield (
                f"anchor {number} is of size {new.size}, the one before it of size {old.size}: "
                "a log never shrinks. If two checkpoints were made at the same moment, keep a copy "
                f"of the anchors file and move the note of anchor {number} in front of that one"
            )
            return


# --- files ----------------------------------------------------------------------------------------

_LOCK_WAIT_SECONDS = 60
"""How long a file that is just being written is waited for."""

_ROWS: Final = (
    "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events "
    "NOT INDEXED ORDER BY rowid"
)
_AUTOINDEX: Final = "sqlite_autoindex_stored_events_1"
_STREAMS: Final = (
    "SELECT originator_id, originator_version, rowid, topic, state FROM stored_events "
    "INDEXED BY sqlite_autoindex_stored_events_1 ORDER BY originator_id, originator_version"
)
_TABLE: Final = (
    "CREATE TABLE stored_events (originator_id TEXT, originator_version INTEGER, topic TEXT, "
    "state BLOB, PRIMARY KEY (originator_id, originator_version))"
)
APPEND_ONLY: Final[Mapping[str, str]] = {
    "imcm_no_update": """
        CREATE TRIGGER imcm_no_update BEFORE UPDATE ON stored_events
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
    "imcm_no_delete": """
        CREATE TRIGGER imcm_no_delete BEFORE DELETE ON stored_events
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
    # INSERT OR REPLACE deletes what is in its way without asking the trigger above.
    "imcm_no_replace": """
        CREATE TRIGGER imcm_no_replace BEFORE INSERT ON stored_events
        WHEN EXISTS (SELECT 1 FROM stored_events WHERE rowid = NEW.rowid) OR EXISTS (
            SELECT 1 FROM stored_events WHERE originator_id = NEW.originator_id
            AND originator_version = NEW.originator_version)
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
}
"""Triggers that make a SQLite ledger append-only. A belt: who owns the file can drop them."""


def same_statement(one: str | None, other: str) -> bool:
    """Say whether two SQL statements are the same, but for blanks around them."""
    if one is None:
        return False
    return _given("one", one, str).strip(" \n") == _given("other", other, str).strip(" \n")


def extras(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """
    Return the indexes and triggers that touch the table of events and are not a ledger's own.

    Each is (kind, name). What makes an entry of the schema is its statement alone: its type, its
    name and its table are words beside it, which may say anything.

    Raises:
        Unreadable: The schema holds an entry that is none, or the events do not lie in the one
            ordinary table of a ledger.
    """
    entries = (
        _given("connection", connection, sqlite3.Connection)
        .execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type DESC, name")
        .fetchall()
    )
    tables = 0
    added: list[tuple[str, str]] = []
    for type, name, table, sql in entries:
        texts = (type, name, table, "" if sql is None else sql)
        if not all(isinstance(text, str) and "\0" not in text for text in texts):
            raise Unreadable("its schema holds an entry that is no text, which hides what it does")
        if "stored_events" not in " ".join(texts).casefold():
            continue
        if name == table == "stored_events" and type == "table":
            if not same_statement(sql, _TABLE):
                raise Unreadable("the table stored_events is not made like that of a ledger")
            tables += 1
        elif name.casefold() == "stored_events":
            raise Unreadable(
                f"stored_events is there as a {type}: what it shows can change without an event; "
                "a ledger has one ordinary table of that name"
            )
        elif not _is_ours(type, name, sql):
            added.append((type, name))
    if tables != 1:
        raise Unreadable("it holds no table of events, so it is not a ledger")
    if connection.execute("PRAGMA encoding").fetchone() != ("UTF-8",):
        # Half a character at the end of a text in UTF-16 is there to one reader and not to another.
        raise Unreadable("its texts are not stored in UTF-8, as those of a ledger are")
    return added


def verify_file(
    path: Path,
    anchors: Sequence[Checkpoint],
    keys: Sequence[Key] = (),
    *,
    allow: Collection[str] = (),
    on_progress: Callable[[int], object] | None = None,
) -> Verdict:
    """
    Compare a SQLite ledger or a JSONL export with its anchors.

    A ledger is read in one transaction, through a connection that can't write. That what is
    compared is what others read, is looked at as well: the events must lie in the ordinary table
    of a ledger and not in a view, whose rows may depend on who asks; SQLite's own check of the
    table and its indexes must find nothing; and every row is read a second time, by its stream.

    Args:
        allow: Names of indexes and triggers that were added to the table and are known.

    Raises:
        Unreadable: There is no such file, or it is neither.
    """
    try:
        if not _given("path", path, Path).is_file():
            raise Unreadable(f"{path} is {'not a file' if path.exists() else 'not there'}")
        if not path.stat().st_size:
            raise Unreadable(f"{path} is empty")
    except OSError as error:  # a name that no file can have
        raise Unreadable(f"{path} can't be opened: {error.strerror}") from None
    try:
        # The file is opened by SQLite alone. A handle of our own would, when closed, drop every
        # lock that this process holds on a ledger (POSIX locks work so).
        connection = _connected(path)
        if connection is None:
            with path.open("rb") as file:
                return verify(_lines(file), anchors, keys, on_progress=on_progress)
        with contextlib.closing(connection):
            connection.execute("BEGIN")
            found = _found_in(connection, [*_all_given("allow", allow, str)])
            # A damaged index may lead round in circles; that it is damaged is known then.
            again = iter(()) if found.damage else _later(connection)
            return _verified(
                _rising(connection.execute(_ROWS)),
                anchors,
                keys,
                again,
                _WHOLE,
                None,
                on_progress,
                found,
            )
    except (sqlite3.Error, OSError) as error:
        raise Unreadable(f"{path} can't be read as a ledger: {error}") from None


def _found_in(connection: sqlite3.Connection, allow: Collection[str]) -> _Found:
    """
    Look at the table of events, at what belongs to it, and at how both are stored.

    Raises:
        Unreadable: It is not the table of a ledger.
    """
    connection.execute("PRAGMA trusted_schema=OFF")
    added = extras(connection)
    # Before 3.33 the name of a table means nothing there, and the whole file is looked at.
    problems = [text for (text,) in connection.execute("PRAGMA integrity_check(stored_events)")]
    damage = ""
    if problems != ["ok"]:
        damage = f"SQLite finds the file damaged or edited: {str(problems[0])[:200]}"
    allowed = frozenset(allow)
    unknown = [name for _, name in added if name not in allowed]
    return _Found(
        damage,
        tuple(f"{kind} {name}" for kind, name in added),
        allowed=not unknown,
        checked=(
            "events lie in the one ordinary table of a ledger",
            "SQLite's integrity check of it and its indexes",
            "every event read in log order and a second time by its stream",
        ),
    )


def _is_ours(type: str, name: str, sql: str | None) -> bool:
    """Say whether an index or a trigger of the table of events belongs to a ledger."""
    if type == "index":
        return name == _AUTOINDEX and sql is None
    return name in APPEND_ONLY and same_statement(sql, APPEND_ONLY[name])


def _rising(rows: Iterable[_Row]) -> Generator[_Row]:
    """Yield rows until a position comes back: a damaged page may lead to one before it."""
    last: int | None = None
    for row in rows:
        if last is not None and row[0] <= last:
            raise Unreadable(f"position {row[0]} comes behind {last}: the file is damaged")
        last = row[0]
        yield row


def _later(connection: sqlite3.Connection) -> Iterator[_Placed]:
    """Yield every row by its stream, in the same transaction, once the first is asked for."""
    # Where the file is damaged, SQLite's check has said so, and what is missing here is noticed.
    with contextlib.suppress(sqlite3.DatabaseError):
        yield from connection.execute(_STREAMS)


def _connected(path: Path) -> sqlite3.Connection | None:
    """Return a connection that can't write, or None where the file is no database."""
    path = Path(os.path.realpath(path))  # what belongs to a file lies beside it, not beside a link
    beside = [path.with_name(path.name + end) for end in ("-wal", "-journal", "-shm")]
    for file in beside:
        if file.exists() and not file.is_file():
            raise Unreadable(f"{file} is no ordinary file")
    uri = path.as_uri()
    try:
        return _opened(f"{uri}?mode=ro")
    except sqlite3.OperationalError as error:
        # A ledger with a write-ahead log needs a file beside it to be read. In a folder that
        # can't be written it is taken as it is, unless there is more to it than the one file.
        # Any other failure, for example a lock held by a writer, stays one.
        unwritable = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        if not unwritable or any(file.exists() for file in beside[:2]):
            raise
        return _opened(f"{uri}?mode=ro&immutable=1")


def _opened(uri: str) -> sqlite3.Connection | None:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_LOCK_WAIT_SECONDS)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.DatabaseError as error:
        connection.close()
        if error.sqlite_errorname == "SQLITE_NOTADB":
            return None
        raise
    return connection


_LINE: Final = re.compile(
    rb'\{"stream":(%b),"version":([1-9][0-9]{0,18}),"type":(%b),"state(64)?":(.+)\}\n'
    % (_TEXT, _TEXT),
    re.DOTALL,
).fullmatch


def _lines(file: Iterable[bytes]) -> Generator[_Row]:
    """Yield the rows of a JSONL export; the position of each is the number of its line."""
    for number, line in enumerate(file, start=1):
        found = _LINE(line)
        if found is None:
            why = "it is not a line of an export" if line.endswith(b"\n") else "it is cut off"
            raise Unreadable(f"line {number}: {why}")
        try:
            stream, type = _text(found[1]), _text(found[3])
            version = int(found[2])
            state = _from_base64(_text(found[5])) if found[4] else _state(found[5])
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"line {number}: it is not a line of an export: {error}") from None
        if not stream or not type or not state or version > _LARGEST:
            raise Unreadable(f"line {number}: a member is empty or too large")
        yield number, stream, version, type, state


def _text(data: bytes) -> str:
    found: Any = json.loads(data)
    if not isinstance(found, str):
        raise ValueError("a text is missing")  # noqa: TRY004 - callers catch what json raises
    found.encode()  # half a surrogate pair is no text
    return found


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


# Made once: to be told how to read numbers, `json.loads` makes a decoder for each line.
_decode_state: Final = json.JSONDecoder(parse_int=str, parse_constant=_no_number).decode


def _state(data: bytes) -> bytes:
    """Return the bytes of a state as they stand, once they are known to be a JSON object."""
    found: Any = _decode_state(data.decode())
    if data[:1] != b"{" or data[-1:] != b"}" or not isinstance(found, dict):
        raise ValueError("its state is not an object")
    return data


# --- the program ----------------------------------------------------------------------------------


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    import argparse  # here: only the program needs it, and it takes a while

    parser = argparse.ArgumentParser(
        prog="verifier.py",
        description="Check a log against its anchors, or a proof against a checkpoint.",
        epilog="exit status: 0 it matches, 1 it does not, 2 it can't be read",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="LEDGER ANCHORS")
    parser.add_argument("--proof", type=Path, help="check this proof; then give ANCHORS only")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="VKEY",
        help="a key that must have signed every anchor: name+id+base64; more than one may be given",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NAME",
        help="an index or a trigger on the table of events that you know; may be given again",
    )
    parser.add_argument("--json", action="store_true", help="answer with one line of JSON")
    found = parser.parse_args(arguments)
    wanted = 2 if found.proof is None else 1
    if len(found.files) != wanted:
        parser.error("give LEDGER and ANCHORS" if wanted == 2 else "give ANCHORS beside --proof")
    return found


_LONGEST_FILE: Final = 1 << 28
"""So many bytes of a file are read at most: what is no file of ours may never end."""


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
        if len(data) > _LONGEST_FILE:
            raise Unreadable(f"{path} is longer than {_LONGEST_FILE >> 20} MB")
        return data.decode()
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path} is not UTF-8: {error.reason}") from None


def _read_anchors(path: Path) -> list[Checkpoint]:
    anchors = read_anchors(_read_text(path))
    if not anchors:
        raise Unreadable(f"{path} holds no checkpoint")
    return anchors


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member comes twice")
    return found


def read_proofs(text: str) -> list[dict[str, Any]]:
    """
    Return the proofs in a text: one as a JSON object, or several as a list of them.

    Raises:
        Unreadable: It is something else, or a member comes twice.
    """
    _given("the text", text, str)
    try:
        found: Any = json.loads(text, object_pairs_hook=_members_once)
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno} of the proof is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not a proof: {error}") from None
    proofs = cast("list[object]", found) if isinstance(found, list) else [found]
    if not proofs or not all(isinstance(one, dict) for one in proofs):
        raise Unreadable("it is not a proof: a JSON object, or a list of such")
    return cast("list[dict[str, Any]]", proofs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    told = _arguments(arguments)
    try:
        keys = [Key.parse(vkey) for vkey in told.key]
        anchors = _read_anchors(told.files[-1])
        if told.proof is not None:
            proofs = read_proofs(_read_text(told.proof))
            shown = [check_proof(one, anchors, keys) for one in proofs]
            status, lines = 0, [f"OK: {one}" for one in shown]
            value = {"outcome": OK, "why": shown}
        else:
            verdict = verify_file(told.files[0], anchors, keys, allow=told.allow)
            status = 0 if verdict.outcome == OK else 1
            lines, value = verdict.describe(), verdict.as_json()
    except Refused as error:
        status, lines, value = 1, [f"REFUSED: {error}"], {"outcome": "REFUSED", "why": [str(error)]}
    except Unreadable as error:
        status, lines = 2, [f"can't be read: {error}"]
        value = {"outcome": "UNREADABLE", "why": [str(error)]}
    out = sys.stdout if status < 2 or told.json else sys.stderr
    text = json.dumps(value) if told.json else "\n".join(map(_plain, lines))
    # What a log or a note says may hold characters that this terminal can't show.
    encoding = out.encoding or "utf-8"
    out.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
