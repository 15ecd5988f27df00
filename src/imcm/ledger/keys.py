"""
Idempotency keys: what a claim holds, and whether a key is asked for the same again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, get_args

import msgspec

from imcm.codec.decoding import decode, salt_of
from imcm.codec.encoding import Head, drawn
from imcm.codec.rows import StoredEvent
from imcm.domain import incident
from imcm.domain.change_events import ChangeEvent
from imcm.domain.incident_events import IncidentEvent
from imcm.domain.recorded import (
    CHANGE,
    INCIDENT,
    Event,
    KeyClaimed,
    KeyUsed,
    Source,
    kind_and_id,
)
from imcm.domain.vocabulary import checked_id, is_list, is_mapping
from imcm.errors import InvalidValue
from imcm.ledger.calls import Call, name_of
from imcm.ledger.rows import readable_row


def source_of(source: str | Source) -> Source:
    if isinstance(source, Source):
        checked_id("source", source.name)
        return source
    return Source(name=checked_id("source", source))


def claim_stream(source: Source, key: str) -> str:
    import hashlib  # it takes long to load, and who uses no keys needs none of it

    return f"key:{source.name}/{hashlib.sha256(key.encode()).hexdigest()}"


def _hash_of_old_claim(calls: Sequence[Call]) -> str:
    """Return the hash of steps and arguments that `KeyClaimed` holds, which is written no more."""
    sides = [side for call in calls for side in _both_sides(call)]
    asked = [
        (s.stream, name_of(s.step), sorted(s.arguments.items()), sorted(s.others.items()))
        for s in sides
    ]
    import hashlib

    return hashlib.sha256(_as_json(asked)).hexdigest()


def _both_sides(call: Call) -> Iterator[Call]:
    yield call
    if call.then is not None and call.step is incident.merge:
        other = call.then((), None)
        if other is not None:
            yield other._replace(others={})  # it had none while such hashes were made


_WORDS: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(name for cls in get_args(events) for name in getattr(cls, "WORDS", ()))
    for kind, events in ((INCIDENT, IncidentEvent), (CHANGE, ChangeEvent))
}
"""Names of arguments that become words, which may be taken out: no hash is made of them."""


def steps_asked(calls: Sequence[Call]) -> tuple[tuple[str, str], ...]:
    return tuple((call.stream, name_of(call.step)) for call in calls)


def hash_of_arguments(calls: Sequence[Call], salt: str) -> str:
    """Return a hash of all arguments but words, which nobody can guess against without the salt."""
    arguments = [
        sorted(
            (name, value)
            for name, value in call.arguments.items()
            if name not in _WORDS[kind_and_id(call.stream)[0]]
        )
        for call in calls
    ]
    import hmac

    return hmac.digest(bytes.fromhex(salt), _as_json(arguments), "sha256").hex()


def _as_json(asked: object) -> bytes:
    try:
        return _asking.encode(asked)
    except (UnicodeEncodeError, TypeError, OverflowError):
        allowed = "under a key, values that can be written as JSON, without lone surrogates"
        raise InvalidValue("arguments", asked, allowed) from None


def claim_row(
    claim: str, calls: Sequence[Call], events: Sequence[tuple[str, int, Event]], head: Head
) -> StoredEvent:
    """Return the row that says what was recorded under a key."""
    salt = drawn()
    event = KeyUsed(
        steps=steps_asked(calls),
        arguments=hash_of_arguments(calls, salt),
        recorded=tuple((stream, version) for stream, version, _ in events),
    )
    return readable_row(claim, 1, event, head, lambda: salt)


def why_another(row: StoredEvent, calls: Sequence[Call], *, strict: bool) -> str:
    """Return in what a key was used otherwise than it is asked for now; empty where it was not."""
    import hmac

    event = decode(row).event
    if isinstance(event, KeyClaimed):
        return "" if event.asked == _hash_of_old_claim(calls) else "another step or other arguments"
    if isinstance(event, KeyUsed):
        if event.steps != steps_asked(calls):
            return ", ".join(f"{step} of {stream}" for stream, step in event.steps)
        salt = salt_of(row)
        if (
            strict
            and salt
            and not hmac.compare_digest(event.arguments, hash_of_arguments(calls, salt))
        ):
            return "the same step with other arguments"
    return ""


def _hashable(value: object) -> object:
    if is_mapping(value):
        return sorted(value.items())
    if is_list(value):
        return list(value)
    raise InvalidValue("arguments", value, "under a key, values that can be written as JSON")


_asking: Final = msgspec.json.Encoder(order="deterministic", enc_hook=_hashable)
"""Sets come in another order in each process; what is asked must not."""
