"""
The settings of a receiver in a TOML file: who sends, and where what can't be read is kept.

    dead_letters = "dead-letters.jsonl"

    [sources.alertmanager]
    format = "alertmanager"
    secrets = ["ALERTMANAGER_TOKEN", "ALERTMANAGER_TOKEN_BEFORE"]

Under `secrets` stand names of environment variables, never a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import attrs

from imcm.domain.vocabulary import checked_number, checked_text, is_list, is_mapping
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.payloads import Options
from imcm.interchange.receiver import KEEP_DAYS, LARGEST, MOST_WAITING, TIMEOUT, WebhookSource
from imcm.interchange.signatures import SCHEME_OF_FORMAT, TOLERANCE, signatures
from imcm.interchange.toml_files import read_toml

__all__ = ["ReceiverSettings", "read_receiver"]

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

_OPTIONS: Final = ("tz", "values", "service_label", "environment_label", "refires")


@attrs.frozen(kw_only=True)
class ReceiverSettings:
    """
    What a file says of a receiver; the arguments of `receiver`, by their names.

    Attributes:
        sources: Who sends, each by its path.
        dead_letters: The file of deliveries that could not be read.
        keep_days: How many days they are kept; 0 in the file, and None here, for all.
        largest: Bytes that a body has at most.
        timeout: Seconds in which a body must have come.
        most_waiting: How many deliveries may wait.
    """

    sources: Mapping[str, WebhookSource]
    dead_letters: Path
    keep_days: int | None = KEEP_DAYS
    largest: int = LARGEST
    timeout: float = TIMEOUT
    most_waiting: int = MOST_WAITING

    def as_arguments(self) -> dict[str, Any]:
        """Return them as `receiver` takes them. Any: each argument has its own type."""
        return {each.name: getattr(self, each.name) for each in attrs.fields(type(self))}


def read_receiver(
    path: str | Path, *, environment: Mapping[str, str] | None = None
) -> ReceiverSettings:
    """
    Return the settings of a receiver that a TOML file tells.

    At the top: `dead_letters` (a path, from where the file is), `keep_days`, `largest`, `timeout`,
    `most_waiting`. Under `[sources.<path>]`: `format`; `secrets`, names of environment variables;
    `name`, `scheme`, `header`, `username`, `tolerance` (seconds), `timestamp_header`; `tz`,
    `values`, `service_label`, `environment_label`, `refires`; `largest`, `keep_dropped`.

    Args:
        path: The file.
        environment: Variables by their names, in place of those of the process.

    Raises:
        InvalidValue: It can't be read, a key or a value is not as described, or a variable is not
            set. What a variable holds is never quoted.
        MissingExtraError: A scheme needs the extra `receiver`, and it is not installed.
    """
    variables: Mapping[str, str] = os.environ if environment is None else environment
    if not is_mapping(variables):
        raise InvalidValue("environment", type(variables).__name__, "texts by name")
    told = read_toml("config", path)
    names = ("sources", "dead_letters", "keep_days", "largest", "timeout", "most_waiting")
    _known("config", told, names, elsewhere=(_OF_SOURCES, "under a source: [sources.<path>]"))
    if not is_mapping(told.get("sources")) or not told["sources"]:
        raise InvalidValue("config.sources", told.get("sources"), "at least one: [sources.github]")
    if "dead_letters" not in told:
        allowed = 'a path for what can\'t be read: "dead-letters.jsonl"'
        raise InvalidValue("config.dead_letters", None, allowed)
    letters = checked_text("config.dead_letters", told["dead_letters"])
    more: dict[str, Any] = {
        name: told[name] for name in ("largest", "timeout", "most_waiting") if name in told
    }
    if "keep_days" in told:
        more["keep_days"] = checked_number("config.keep_days", told["keep_days"]) or None
    return ReceiverSettings(
        sources={name: _source(name, each, variables) for name, each in told["sources"].items()},
        dead_letters=Path(path).parent / letters,
        **more,
    )


_SCHEME_KEYS: Final = ("header", "username", "timestamp_header")
_OF_SOURCES: Final = (
    *("format", "secrets", "scheme", "tolerance", "name", "largest", "keep_dropped"),
    *(*_SCHEME_KEYS, *_OPTIONS),
)
"""What is said of each source."""


def _known(
    where: str,
    told: Mapping[str, Any],
    names: tuple[str, ...],
    elsewhere: tuple[tuple[str, ...], str] = ((), ""),
) -> None:
    others, place = elsewhere
    for name in told:
        if name not in names:
            hint = f"it belongs {place}; here: " if name in others else "one of "
            raise InvalidValue(where, name, f"{hint}{', '.join(names)}")


def _source(path: str, told: object, variables: Mapping[str, str]) -> WebhookSource:
    where = f"sources.{path}"
    if not is_mapping(told):
        raise InvalidValue(where, told, 'a table: format = "github", secrets = ["GITHUB_SECRET"]')
    of_all = ("dead_letters", "keep_days", "timeout", "most_waiting")
    _known(where, told, _OF_SOURCES, elsewhere=(of_all, "at the top, before all [sources.<path>]"))
    try:
        made = format_named(checked_text("format", told.get("format")))
        scheme = told.get("scheme", SCHEME_OF_FORMAT.get(made.name, "bearer"))
        signed = signatures(
            scheme,
            _secrets(told.get("secrets", []), variables),
            tolerance=_seconds(told["tolerance"]) if "tolerance" in told else TOLERANCE,
            **{name: told[name] for name in _SCHEME_KEYS if name in told},
        )
        options: dict[str, Any] = {name: told[name] for name in _OPTIONS if name in told}
        for name in ("service_label", "environment_label"):
            if name in options:
                options[name] = _labels(name, options[name])
        more = {name: told[name] for name in ("name", "largest", "keep_dropped") if name in told}
        return WebhookSource(format=made, signatures=signed, options=Options(**options), **more)
    except InvalidValue as error:
        raise InvalidValue(f"{where}.{error.name}", error.value, error.allowed) from None


def _secrets(names: object, variables: Mapping[str, str]) -> list[str]:
    """
    Return what variables hold.

    Whoever wrote a secret into the file instead of a name must not read it again in an error, so
    what stands there is told only where it is the name of a variable that other names look like.
    """
    allowed = 'names of environment variables: ["GITHUB_SECRET"]'
    if not is_list(names) or is_mapping(names):
        raise InvalidValue("secrets", type(names).__name__, allowed)
    held: list[str] = []
    for place, name in enumerate(names, 1):
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise InvalidValue("secrets", f"number {place}, which is no name", allowed)
        text = variables.get(name)
        if text is None:
            told = re.fullmatch(r"[A-Z][A-Z0-9_]*", name) is not None
            shown, which = (name, f" {name}") if told else (f"number {place}", " it names")
            why = f"the environment variable{which} is not set: set it where the receiver starts"
            raise InvalidValue("secrets", shown, why)
        held.append(text)
    return held


def _seconds(value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 604_800:
        raise InvalidValue("tolerance", value, "seconds, more than 0, at most 7 days")
    return timedelta(seconds=value)


def _labels(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not is_list(value) or is_mapping(value):
        raise InvalidValue(name, value, 'names of labels: ["service", "app"]')
    return tuple(checked_text(name, each) for each in value)
