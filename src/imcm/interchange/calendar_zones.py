"""
Time zones by the names that iCalendar files give them, and as such files define them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from imcm.domain.zones import known_zone
from imcm.errors import InvalidValue

__all__ = ["Onset", "checked_zone", "defined_zone", "named_zone"]

_OTHER_NAMES: Final = {"tzone://Microsoft/Utc": "UTC", "Z": "UTC"}
"""Names of UTC that stand in no table."""

_MOST_OFFSETS: Final = 100


class Onset(NamedTuple):
    """
    When an offset begins to hold, as a VTIMEZONE tells it.

    Attributes:
        at: The local time by the offset before it, without a zone.
        before, after: The offsets from UTC.
    """

    at: datetime
    before: timedelta
    after: timedelta


def checked_zone(name: str, value: object) -> ZoneInfo:
    """
    Return the zone of an IANA name.

    Raises:
        InvalidValue: This machine knows none of that name.
    """
    zone = known_zone(value) if isinstance(value, str) else None
    if zone is None:
        allowed = 'an IANA zone that this machine knows, such as "Europe/London"'
        raise InvalidValue(name, value, allowed)
    return zone


def named_zone(tzid: str) -> ZoneInfo | None:
    """
    Return the IANA zone that a TZID means; None where it names none.

    It may be the name itself, the name behind the prefix of a vendor
    ("/mozilla.org/20250101_1/Europe/Oslo"; RFC 5545, 3.2.19), or what Windows calls it
    ("W. Europe Standard Time"), by Unicode's table.
    """
    windows: Mapping[str, str] = import_module(
        "icalendar.timezone.windows_to_olson"
    ).WINDOWS_TO_OLSON
    name = tzid.strip("/ ")
    parts = name.split("/")[-6:] if tzid.startswith("/") else [name]
    names = ["/".join(parts[begin:]) for begin in range(len(parts))]
    for each in (_OTHER_NAMES.get(tzid), windows.get(name), *names):
        zone = known_zone(each) if each else None
        if zone is not None:
            return zone
    return None


def defined_zone(tzid: str, onsets: Iterable[Onset]) -> ZoneInfo:
    """
    Return the zone that a file defines: the offset of an onset holds until the next one.

    Before the first onset it is the one that the first onset names as before it. `zoneinfo` is
    given it in the format of its own files (RFC 8536), so that times that are skipped or come
    twice are read as in every other zone.

    Args:
        tzid: What the file calls it.
        onsets: At least one.

    Raises:
        InvalidValue: An offset is a day or longer, or there are more than 100 different ones.
    """
    ordered = sorted(onsets, key=lambda onset: onset.at - onset.before)
    offsets = list(dict.fromkeys([ordered[0].before, *(onset.after for onset in ordered)]))
    if len(offsets) > _MOST_OFFSETS or any(abs(each) >= timedelta(days=1) for each in offsets):
        allowed = f"a zone of at most {_MOST_OFFSETS} offsets, each shorter than a day"
        raise InvalidValue("VTIMEZONE", tzid, allowed)
    instants = {
        int((onset.at - onset.before).replace(tzinfo=UTC).timestamp()): offsets.index(onset.after)
        for onset in ordered
    }
    data = b"".join(
        [
            _header(0, 0, 0),
            _header(len(instants), len(offsets), 2),
            struct.pack(f">{len(instants)}q", *instants),
            bytes(instants.values()),
            *(struct.pack(">lbb", int(each.total_seconds()), 0, 0) for each in offsets),
            b"-\0",  # the one abbreviation of them all
            b"\n\n",  # and no rule for what comes later
        ]
    )
    return ZoneInfo.from_file(io.BytesIO(data), key=tzid)


def _header(instants: int, offsets: int, letters: int) -> bytes:
    """Return the header of a block of a zone file, version 2."""
    return struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, instants, offsets, letters)
