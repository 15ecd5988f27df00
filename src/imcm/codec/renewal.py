"""
A stored event in another envelope: what an import of a log records.
"""

from __future__ import annotations

from datetime import datetime

import attrs
import msgspec

from imcm.codec.decoding import envelope_of, salt_of
from imcm.codec.encoding import Heads, drawn, to_json, with_payload
from imcm.codec.rows import EVENT_TYPES, UNREADABLE, StoredEvent
from imcm.domain.recorded import Source
from imcm.errors import StoreError


def as_imported(row: StoredEvent, *, recorded_at: datetime, record: str, source: Source) -> bytes:
    """
    Return a stored state in another envelope, its facts marked as imported.

    Everything else stays as it was: fields this version does not know, words with their salt.
    """
    envelope = envelope_of(row)
    facts = bytes(envelope.event)
    cls = EVENT_TYPES.get(row.type)
    if cls is not None and any(a.name == "imported" for a in attrs.fields(cls)):
        try:
            members: object = msgspec.json.decode(facts)
        except UNREADABLE:
            members = None
        if not isinstance(members, dict):
            where = f"{row.stream} version {row.version}"
            raise StoreError(f"{where} is damaged: its event is no object")
        facts = to_json({**members, "imported": True})
    words = bytes(envelope.words)
    payload, bare = source.sha256, attrs.evolve(source, sha256=None)
    text = Heads(recorded_at, record).of(bare).text
    if payload is not None:
        # A hash that anybody can guess against is not written again: only with a salt beside it.
        salt = salt_of(row) if words else drawn()
        if salt is not None:
            words = words or to_json({"salt": salt})
            text = with_payload(text, salt, payload)
    tail = b',"words":' + words if words else b""
    return b"".join((text, b',"event":', facts, tail, b"}"))
