"""
Settings in TOML files, which are data and never run.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from imcm.domain.policy import Policy
from imcm.domain.severity import SeverityScale
from imcm.errors import InvalidValue
from imcm.files import checked_path
from imcm.plain import plain

LARGEST = 10_000_000
"""Bytes that a file of settings has at most."""


def read_toml(name: str, path: str | Path) -> dict[str, Any]:
    """
    Return what a TOML file tells. Any: a file may tell anything.

    Args:
        name: How errors call the file.

    Raises:
        InvalidValue: It can't be read, or is no TOML.
    """
    path = checked_path(name, path)
    try:
        endless, size = path.is_char_device(), path.stat().st_size
        text = "" if endless or size > LARGEST else path.read_text(encoding="utf-8")
        told = tomllib.loads(text)
    except OSError as error:
        raise InvalidValue(name, str(path), f"it can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        allowed = "a TOML file; this is a ledger" if _is_sqlite(path) else "TOML as UTF-8"
        raise InvalidValue(name, str(path), allowed) from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidValue(name, str(path), f"it is no TOML: {error}") from None
    except (ValueError, RecursionError):  # numbers of thousands of digits, a thousand brackets
        raise InvalidValue(
            name, str(path), "a number in it is too long, or it is nested too deep"
        ) from None
    if endless:
        raise InvalidValue(name, str(path), "a device has no end; give a file")
    if size > LARGEST:
        raise InvalidValue(name, str(path), f"at most {LARGEST:,} bytes")
    return told


def toml_text(text: str) -> str:
    """
    Return a text as TOML writes it, in quotes, on one line, in which nothing is hidden.

    Lone surrogates, which no TOML can hold, become U+FFFD.
    """
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    if "\ud800" <= sign <= "\udfff":
        return "\ufffd"
    if sign == " " or plain(sign) == sign:
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(15) == b"SQLite format 3"
    except OSError:
        return False


def read_policy(path: str | Path) -> Policy:
    """
    Return the policy that a TOML file tells; its keys are the arguments of `Policy`.

        name = "strict"
        version = "2026-11"
        approvals = 1

        [members]
        cab = ["mia", "sam"]

        [[rules]]
        risks = ["high"]
        votes = 2
        of = {cab = 1}

        [[freezes]]
        name = "weekend"
        weekly = [{start = "Fri 16:00", end = "Mon 08:00", time_zone = "Europe/London"}]

    A freeze or a maintenance window has `weekly`, `windows` (`start` and `end` with their
    offsets), or both. Tests of the policy may stand beside it; see `read_policy_tests`.

    Args:
        path: The file.

    Raises:
        InvalidValue: It can't be read, or tells no policy; see `Policy`.
    """
    told = read_toml("policy", path)
    told.pop("tests", None)  # those written beside it; see `read_policy_tests`
    file = Path(path).name
    if "name" not in told:
        allowed = "give it a name, by which decisions refer to it"
        raise InvalidValue(f"{file}: policy.name", None, allowed)
    try:
        return Policy.from_dict(told)
    except InvalidValue as error:
        raise InvalidValue(f"{file}: {error.name}", error.value, error.allowed) from None


def strict_policy() -> Policy:
    """
    Return a strict policy to begin with; `imcm policy strict` prints its file, to be copied.

    High risk takes two votes, one of them of the CAB, and a test and a monitoring plan; votes lapse
    after 14 days; nothing goes into production from Friday 16:00 to Monday 08:00 in London; who
    voted does not start it.
    """
    return read_policy(STRICT)


STRICT: Final = Path(__file__).parents[1] / "policies" / "strict.toml"
"""The file of `strict_policy`, with tests of it."""


def read_severity_scale(path: str | Path) -> SeverityScale:
    """
    Return the severity scale that a TOML file tells: `name`, `version`, `[levels]`, `[matrix]`.

        name = "web"
        [levels]
        SEV1 = "P1"
        SEV2 = "P2"
        [matrix.high]
        high = "SEV1"
        low = "SEV2"

    Args:
        path: The file.

    Raises:
        InvalidValue: It can't be read, or tells no scale; see `SeverityScale`.
    """
    return SeverityScale.from_dict(read_toml("scale", path))
