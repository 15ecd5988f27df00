"""
Checkpoints of a log, kept elsewhere, and proofs about single events.

`append_checkpoint` reads the log, refuses it if it is not the log of every earlier checkpoint in
the anchors file, and adds a new one to it. Keep that file where whoever keeps the log can't
change it, or sign the notes; best both. `verify` compares, `prove` shows that one event is in the
log to somebody who has only a checkpoint.

The tree, the notes and all checking live in `imcm.verifier`, one file that can be copied.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from imcm import verifier
from imcm.audit.signing import HIDDEN, Signer, key_of, new_key
from imcm.codec.decoding import is_of_payload
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import checked_position
from imcm.domain.vocabulary import checked_text, checked_time, is_list, is_number
from imcm.errors import (
    InvalidValue,
    LogDiffersError,
    ProofRefusedError,
    StoreError,
    UnknownIdError,
)
from imcm.files import checked_path, locked, replaced
from imcm.verifier import Checkpoint, Verdict

__all__ = [
    "Checkpoint",
    "Signer",
    "Verdict",
    "append_checkpoint",
    "check_proof",
    "checkpoint",
    "is_of_payload",
    "new_key",
    "prove",
    "prove_consistency",
    "verify",
    "verify_file",
]


def verify(
    rows: Iterable[StoredEvent],
    anchors: str,
    *,
    keys: Sequence[str] = (),
    streams: Iterable[tuple[str, int, int]] | None = None,
    origin: str | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> Verdict:
    """
    Compare a log with its anchors, reading it once, in memory that does not grow with it.

    Args:
        rows: In log order, for example `ledger.rows()`.
        anchors: The text of the anchors file, not its path.
        keys: Public keys (vkeys). When given, every anchor must be signed by one of them.
        streams: (stream, version, position) of every row, sorted by stream and version, where
            the store can tell them so; without, they are sorted in a temporary file.
        origin: The id of the ledger, where its first event can't be read.
        on_progress: Is told how many rows were read.

    Raises:
        InvalidValue: The anchors or a key can't be read.
        StoreError: A row is not a stored event.
    """
    notes, known = _anchors(anchors), _keys(keys)
    _progress(on_progress)
    try:
        return verifier.verify(
            rows, notes, known, streams=streams, origin=origin, on_progress=on_progress
        )
    except verifier.Unreadable as error:
        raise StoreError(str(error)) from None


def verify_file(
    path: str | Path,
    anchors: str,
    *,
    keys: Sequence[str] = (),
    allow: Collection[str] = (),
    on_progress: Callable[[int], object] | None = None,
) -> Verdict:
    """
    Compare a SQLite ledger or a JSONL export with its anchors.

    Of a ledger more is looked at than `verify` can see of rows: its table, what was added to it,
    SQLite's own check, and whether each row reads the same by its stream.

    Args:
        anchors, keys, on_progress: As for `verify`.
        allow: Names of indexes and triggers on the table of events that you know.

    Raises:
        InvalidValue: The anchors or a key can't be read.
        StoreError: The file can't be read, or is no ledger and no export.
    """
    if isinstance(allow, str):
        raise InvalidValue("allow", allow, "give a list of names, also for a single one")
    notes, known, file = _anchors(anchors), _keys(keys), checked_path("path", path)
    _progress(on_progress)
    try:
        return verifier.verify_file(file, notes, known, allow=allow, on_progress=on_progress)
    except verifier.Unreadable as error:
        raise StoreError(str(error)) from None


def checkpoint(
    rows: Iterable[StoredEvent],
    *,
    anchors: str,
    at: datetime,
    origin: str | None = None,
    signer: Signer | None = None,
    keys: Sequence[str] = (),
    streams: Iterable[tuple[str, int, int]] | None = None,
) -> str:
    """
    Return the text of an anchors file with a new note at its end, of the log as it is now.

    It is the whole text, the earlier notes first: save it in their place, and keep it where whoever
    keeps the log can't change it. `append_checkpoint` does so with a file. First the log is
    compared with all earlier anchors: a log that is not the continuation of each of them, or that
    has gaps, gets no note. When nothing was recorded since the last one, the new note has its size
    and root: that says that nothing was recorded until then.

    Args:
        rows: In log order, for example `ledger.rows()`.
        anchors: The text of the anchors file; "" for the first checkpoint.
        at: When it is made; written into the note in UTC, in whole seconds.
        origin: The id of the ledger, where its first event can't be read.
        signer: Without one the note is worth what its keeping is worth.
        keys: Public keys (vkeys). When given, every earlier anchor must be signed by one of them.
        streams: As for `verify`.

    Raises:
        InvalidValue: The anchors or a key can't be read.
        NaiveTimeError: *at* has no time zone.
        LogDiffersError: The log is not what the anchors say, or it has gaps; nothing was signed.
        StoreError: A row is not a stored event, or there is none.
    """
    at = checked_time("at", at)
    if signer is not None and not isinstance(signer, Signer):
        raise InvalidValue("signer", HIDDEN, "give a Signer, such as Signer.from_pem returns")
    verdict = verify(rows, anchors, keys=keys, streams=streams, origin=origin)
    if verdict.outcome not in (verifier.OK, verifier.NO_ANCHORS):
        why = "; ".join(verdict.why)
        raise LogDiffersError(verdict.outcome, why)
    if verdict.origin is None:
        raise StoreError("no checkpoint of an empty log is made; record something first")
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = Checkpoint(verdict.origin, verdict.size, verdict.root, (f"at {stamp}",))
    try:
        body = made.body().encode()
    except (verifier.Refused, UnicodeEncodeError) as error:
        raise InvalidValue("origin", verdict.origin, str(error)) from None
    if signer is not None:
        made = made._replace(signatures=(signer.signature(body),))
    return anchors + made.note()


_LONGEST_WAIT: Final = 1_000_000_000


def append_checkpoint(
    path: str | Path,
    rows: Iterable[StoredEvent],
    *,
    at: datetime,
    origin: str | None = None,
    signer: Signer | None = None,
    keys: Sequence[str] = (),
    streams: Iterable[tuple[str, int, int]] | None = None,
    wait: float = 600.0,
) -> Checkpoint:
    """
    Add a checkpoint of the log as it is now to an anchors file, and return it.

    One process at a time does so with the same file; the file is replaced as a whole once the new
    note is on the disk, so it is never half a note longer. See `checkpoint` for what is compared
    before.

    Args:
        path: The anchors file; made where it is not there. A link is followed.
        wait: Seconds to wait for somebody else who is adding one.

    Raises:
        InvalidValue: The anchors or a key can't be read.
        NaiveTimeError: *at* has no time zone.
        LogDiffersError: The log is not what the anchors say, or it has gaps; nothing was signed.
        StoreError: A row is not a stored event, or there is none; or the file can't be written.
    """
    file, at = checked_path("path", path), checked_time("at", at)
    if not file.name:
        raise InvalidValue("path", str(path), "give the path of a file")
    if not is_number(wait) or not 0 <= wait <= _LONGEST_WAIT:
        raise InvalidValue("wait", wait, f"give a number of seconds, 0 to {_LONGEST_WAIT:,}")
    with locked(file, wait=wait):
        try:
            before = file.read_bytes().decode() if file.exists() else ""
        except OSError as error:
            raise StoreError(f"{file} can't be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise StoreError(
                f"{file} is not text in UTF-8: {error.reason} in line {line}; if its end was cut "
                "off, keep a copy and remove that line"
            ) from None
        text = checkpoint(
            rows, anchors=before, at=at, origin=origin, signer=signer, keys=keys, streams=streams
        )
        with replaced(file) as new:
            new.write(text.encode())
    return verifier.read_anchors(text)[-1]


def prove(
    rows: Iterable[StoredEvent],
    stream: str,
    version: int | None = None,
    *,
    checkpoint: str,
    words: bool = True,
) -> list[dict[str, Any]]:
    """
    Return a proof for each event of a stream that it is in the log a checkpoint was made of.

    A proof is a value that can be written as JSON (`imcm.verifier.check_proof` says how it is
    made up). Who holds the checkpoint can check it without the log.

    Args:
        rows: In log order, for example `ledger.rows()`.
        stream: For example "incident:INC-7".
        version: Only this event; None for all of the stream.
        checkpoint: The note of one checkpoint, or the text of an anchors file, of which the last
            note counts; the proofs are for the log as it was then.
        words: False leaves free text out of the proof; its hash stands in its place, and the
            proof holds just the same.

    Raises:
        InvalidValue: The note can't be read, or is not of this log, or the stream had no event of
            that version when the checkpoint was made.
        UnknownIdError: The log had no such stream then.
        StoreError: A row is not a stored event.
    """
    head = _checkpoint("checkpoint", checkpoint)
    checked_text("stream", stream)
    version = None if version is None else checked_position("version", version)
    proven: list[StoredEvent] = []
    newest = 0

    def leaves() -> Iterator[tuple[bytes, bool]]:
        nonlocal newest
        for chunk in _chunks(rows, head.size):
            for row, hash in zip(chunk, verifier.leaf_hashes(chunk), strict=True):
                newest = max(newest, row[2]) if row[1] == stream else newest
                watched = row[1] == stream and version in (None, row[2])
                if watched:
                    proven.append(StoredEvent(*row))
                yield hash, watched

    try:
        size, root, paths = verifier.inclusion_proofs(leaves())
    except verifier.Unreadable as error:
        raise StoreError(str(error)) from None
    _refuse_other("checkpoint", head, size, root)
    if not proven and newest:
        allowed = f"a version of {stream} that the checkpoint covers: 1 to {newest}"
        raise InvalidValue("version", version, allowed)
    if not proven:
        raise UnknownIdError("event of", stream, f"the checkpoint covers {size} events")
    return [
        {
            "imcm_proof": 1,
            "kind": "inclusion",
            "origin": head.origin,
            "stream": row.stream,
            "version": row.version,
            "type": row.type,
            "state": _base64(row.state if words else verifier.redact(row.state)),
            "index": index,
            "size": size,
            "root": _base64(root),
            "path": [_base64(hash) for hash in path],
        }
        for row, (index, path) in zip(proven, paths.items(), strict=True)
    ]


def prove_consistency(rows: Iterable[StoredEvent], old: str, new: str) -> dict[str, Any]:
    """
    Return a proof that the log of one checkpoint begins with the log of an older one.

    Args:
        rows: In log order, for example `ledger.rows()`.
        old: The note of the older checkpoint, of at least one event.
        new: The note of the newer one. Of several notes the last counts.

    Raises:
        InvalidValue: A note can't be read or is not of this log, or they are in the wrong order.
        StoreError: A row is not a stored event.
    """
    first, last = _checkpoint("old", old), _checkpoint("new", new)
    if first.origin != last.origin:
        raise InvalidValue("new", last.origin, f"it must be of the same ledger, {first.origin}")
    both = verifier.Frontier()
    at_first: list[bytes] = []

    def hashes() -> Iterator[bytes]:
        for chunk in _chunks(rows, last.size):
            made = verifier.leaf_hashes(chunk)
            begin = first.size - both.size
            if 0 < begin <= len(made):
                both.extend(made[:begin])
                at_first.append(both.root())
                both.extend(made[begin:])
            else:
                both.extend(made)
            yield from made

    try:
        path = verifier.consistency_proof(hashes(), first.size, last.size)
    except verifier.Unreadable as error:
        raise StoreError(str(error)) from None
    except verifier.Refused as error:
        raise InvalidValue("new", last.size, str(error)) from None
    _refuse_other("old", first, first.size, at_first[0])
    _refuse_other("new", last, both.size, both.root())
    return {
        "imcm_proof": 1,
        "kind": "consistency",
        "origin": last.origin,
        "old_size": first.size,
        "old_root": _base64(first.root),
        "size": last.size,
        "root": _base64(last.root),
        "path": [_base64(hash) for hash in path],
    }


def check_proof(proof: Mapping[str, Any], anchors: str, *, keys: Sequence[str] = ()) -> str:
    """
    Check a proof against checkpoints, and return a sentence that says what it shows.

    Args:
        proof: What `prove` or `prove_consistency` gave, perhaps read from JSON.
        anchors: One note or more; the proof's checkpoints must be among them.
        keys: Public keys (vkeys). When given, those checkpoints must be signed by one of them.

    Raises:
        ProofRefusedError: It is not written as a proof, or does not hold.
        InvalidValue: The anchors or a key can't be read.
    """
    notes, known = _anchors(anchors), _keys(keys)
    try:
        return verifier.check_proof(proof, notes, known)
    except (verifier.Refused, verifier.Unreadable) as error:
        raise ProofRefusedError(f"the proof is refused: {error}") from None


# --- shared ---------------------------------------------------------------------------------------


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _chunks(rows: Iterable[StoredEvent], size: int) -> Iterator[list[StoredEvent]]:
    """Yield the first *size* rows in lists, which are hashed faster than one by one."""
    if not is_list(rows):
        raise InvalidValue("rows", rows, "give stored rows, such as ledger.rows()")
    first = islice(rows, size)
    while chunk := list(islice(first, 1000)):
        yield chunk


def _progress(callback: object) -> None:
    if callback is not None and not callable(callback):
        raise InvalidValue("on_progress", callback, "give a function")


def _anchors(text: str) -> list[Checkpoint]:
    try:
        return verifier.read_anchors(text)
    except verifier.Unreadable as error:
        raise InvalidValue("anchors", HIDDEN, str(error)) from None


def _checkpoint(name: str, note: str) -> Checkpoint:
    notes = _anchors(note)
    if not notes:
        raise InvalidValue(name, HIDDEN, "give the note of a checkpoint")
    return notes[-1]


def _keys(vkeys: Sequence[str]) -> list[verifier.Key]:
    if not is_list(vkeys):
        raise InvalidValue("keys", HIDDEN, "give a list of keys, also for a single one")
    return [key_of(vkey) for vkey in vkeys]


def _refuse_other(name: str, head: Checkpoint, size: int, root: bytes) -> None:
    """Refuse a checkpoint that this log does not match: a proof from it would not hold."""
    if (size, root) != (head.size, head.root):
        raise InvalidValue(
            name, f"size {head.size}", "this log does not match that checkpoint; verify says where"
        )
