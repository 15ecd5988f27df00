"""
Deliveries that came from whom they should and could not be read: kept until somebody looks.

    letters = DeadLetters("dead-letters.jsonl", keep_days=90)
    for letter in letters:
        print(letter.id, letter.source, letter.reason)
    letters.take_out("9f3c...")     # solved, or not to be kept

One JSON line for each, in a file that only its owner can read and write. What `put` returned from
is on the disk. A line that a crash cut off was never acknowledged; it stands there, is passed over
and counted in `torn`, and the next line begins after it.

The body is kept as it came, words of people included. It is not in the ledger, so `Ledger.redact`
does not reach it: take the delivery out, and let *keep_days* end what nobody looked at.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
import msgspec

from imcm.domain.vocabulary import (
    checked_id,
    checked_text,
    checked_time,
    checked_words,
    is_list,
    is_mapping,
)
from imcm.errors import InvalidValue, StoreError, UnknownIdError
from imcm.files import checked_path, locked, made_private, replaced, settled
from imcm.interchange.statements import sha256_of
from imcm.plain import plain

__all__ = ["DeadLetter", "DeadLetters"]

KEPT_HEADERS: Final = frozenset(
    {
        *("content-type", "user-agent"),
        *("idempotency-key", "x-request-id"),
        *("x-github-event", "x-github-delivery", "x-github-hook-id"),
        *("x-gitlab-event", "x-gitlab-event-uuid", "x-gitlab-webhook-uuid", "x-gitlab-instance"),
        *("x-webhook-id", "x-webhook-subscription", "webhook-id", "webhook-timestamp"),
        *("x-atlassian-webhook-identifier", "x-atlassian-webhook-retry"),
    }
)
"""Headers that are kept, in small letters. No other is: any of them may hold a secret."""

LARGEST_FILE: Final = 2_000_000_000
"""Bytes of a file beyond which nothing more is put into it."""

WAIT: Final = 30.0
"""Seconds to wait while another process writes the file."""


@attrs.frozen(kw_only=True)
class DeadLetter:
    """
    One delivery that could not be read.

    Attributes:
        id: Its id in the file.
        received_at: When it came.
        source: The name of its source in the ledger.
        route: The path at which it came: "alertmanager".
        reason: Why it could not be read, in words.
        headers: Those of its headers that hold no secret.
        body: The bytes of its body, as they came.
    """

    id: str = attrs.field(factory=lambda: os.urandom(8).hex())
    received_at: datetime
    source: str
    route: str
    reason: str
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        checked_id("id", self.id)
        checked_time("received_at", self.received_at)
        for name in ("source", "route", "reason"):
            checked_words(name, getattr(self, name))
        if not is_mapping(self.headers):
            raise InvalidValue("headers", self.headers, "texts by the names of headers")
        if not isinstance(self.body, bytes):
            raise InvalidValue("body", type(self.body).__name__, "the bytes of the body")
        kept = {
            name.lower(): text
            for name, text in self.headers.items()
            if checked_text("headers", name).lower() in KEPT_HEADERS
            and checked_text(f"headers.{name}", text)
        }
        object.__setattr__(self, "headers", MappingProxyType(kept))

    @property
    def sha256(self) -> str:
        """The SHA-256 of the body, in hexadecimal."""
        return sha256_of(self.body)

    def as_dict(self) -> dict[str, Any]:
        """Return what its line in the file tells. Any: texts and a mapping of texts."""
        told: dict[str, Any] = {
            "id": self.id,
            "received_at": self.received_at.isoformat(),
            "source": self.source,
            "route": self.route,
            "reason": self.reason,
            "headers": dict(self.headers),
            "sha256": self.sha256,
        }
        try:
            told["body"] = self.body.decode()
        except UnicodeDecodeError:
            told["body_base64"] = base64.b64encode(self.body).decode()
        return told


def _letter(line: bytes) -> DeadLetter | None:
    """Return what a line tells; None where it tells no delivery."""
    try:
        told = msgspec.json.decode(line)
        body = told.get("body")
        return DeadLetter(
            id=told["id"],
            received_at=datetime.fromisoformat(told["received_at"]),
            source=told["source"],
            route=told["route"],
            reason=told["reason"],
            headers=told["headers"],
            body=base64.b64decode(told["body_base64"]) if body is None else body.encode(),
        )
    except (msgspec.DecodeError, UnicodeError, binascii.Error, RecursionError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):  # JSON, and no delivery
        return None


class DeadLetters:
    """
    A file of deliveries that could not be read. Several processes may share it.

    Args:
        path: The file; made with the first delivery.
        keep_days: How many days a delivery is kept, by the time it came. None keeps all.

    Attributes:
        torn: How many lines told no delivery when it was last read.
    """

    def __init__(self, path: str | Path, *, keep_days: int | None = None) -> None:
        self.path = checked_path("path", path)
        if keep_days is not None and (
            isinstance(keep_days, bool) or not isinstance(keep_days, int) or keep_days < 1
        ):
            raise InvalidValue("keep_days", keep_days, "a whole number of days from 1 on, or None")
        self.keep_days = keep_days
        self.torn = 0

    def __repr__(self) -> str:
        """Return which file it is."""
        return f"<DeadLetters in {plain(self.path)}>"

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield the deliveries in the file, in the order in which they were put there."""
        self.torn = 0
        for line in self._lines():
            letter = _letter(line)
            if letter is None:
                self.torn += 1
            else:
                yield letter

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                yield from (line for line in file if line.strip())
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed("read", error) from None

    def _failed(self, what: str, error: OSError) -> StoreError:
        why = error.strerror or str(error)
        return StoreError(f"{plain(self.path)} can't be {what}: {why}")

    def find(self, id: str) -> DeadLetter:
        """
        Return one delivery.

        Raises:
            UnknownIdError: There is none with this id.
        """
        asked = checked_text("id", id)
        for letter in self:
            if letter.id == asked:
                return letter
        raise UnknownIdError("delivery", asked, where=f"in {plain(self.path)}")

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """
        Put deliveries into the file; when this returns they are on the disk.

        Raises:
            StoreError: The file can't be written, or is as large as it may become. None of them
                is acknowledged to anybody then.
        """
        if not is_list(letters):
            raise InvalidValue("letters", letters, "a list of DeadLetter(...)")
        lines: list[bytes] = []
        for letter in letters:
            if not isinstance(letter, DeadLetter):
                raise InvalidValue("letters", letter, "a list of DeadLetter(...)")
            lines.append(msgspec.json.encode(letter.as_dict()) + b"\n")
        if not lines:
            return
        with locked(self.path, wait=WAIT):
            try:
                self._append(b"".join(lines))
            except OSError as error:
                raise self._failed("written", error) from None

    def _append(self, new: bytes) -> None:
        if made_private(self.path):
            settled(self.path.parent)
        # A link that somebody else put there is not followed.
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        opened = os.open(self.path, flags)
        with os.fdopen(opened, "r+b", buffering=0) as file:
            told = os.fstat(opened)
            if not stat.S_ISREG(told.st_mode):
                raise StoreError(f"{plain(self.path)} is no file")
            size = told.st_size
            if size + len(new) > LARGEST_FILE:
                raise StoreError(
                    f"{plain(self.path)} would become larger than {LARGEST_FILE:,} bytes; look at "
                    "what is in it, and take it out"
                )
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # the line before was cut off by a crash
                    new = b"\n" + new
            try:
                rest = memoryview(new)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(opened)
            except OSError:
                os.ftruncate(opened, size)  # half a line helps nobody
                raise

    def take_out(self, id: str) -> DeadLetter:
        """
        Take a delivery out of the file, body and all, and return it.

        Raises:
            UnknownIdError: There is none with this id.
            StoreError: The file can't be written.
        """
        asked = checked_text("id", id)
        taken: list[DeadLetter] = []
        self._without(lambda letter: letter.id == asked, taken)
        if not taken:
            raise UnknownIdError("delivery", asked, where=f"in {plain(self.path)}")
        return taken[0]

    def end_old(self, now: datetime) -> int:
        """
        Take out what came longer ago than *keep_days*; return how many they were.

        Raises:
            StoreError: The file can't be written.
        """
        moment = checked_time("now", now)
        if self.keep_days is None:
            return 0
        before = moment - timedelta(days=self.keep_days)
        if not any(letter.received_at < before for letter in self):
            return 0
        taken: list[DeadLetter] = []
        self._without(lambda letter: letter.received_at < before, taken)
        return len(taken)

    def _without(self, ends: Callable[[DeadLetter], bool], taken: list[DeadLetter]) -> None:
        """Write the file anew without some deliveries; lines that tell none stay."""
        if not self.path.exists():
            return
        with locked(self.path, wait=WAIT), replaced(self.path) as file:
            file.writelines(self._staying(self._lines(), ends, taken))

    def _staying(
        self, lines: Iterable[bytes], ends: Callable[[DeadLetter], bool], taken: list[DeadLetter]
    ) -> Iterator[bytes]:
        for line in lines:
            letter = _letter(line)
            if letter is not None and ends(letter):
                taken.append(letter)
            else:
                yield line if line.endswith(b"\n") else line + b"\n"
