"""
Every error imcm raises: one base, one class for each cause.

A message names the thing, the value it was given, and what is allowed or what to do next.
When one is raised nothing was half-done: either all of a call was recorded or none of it.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final, Self

from imcm.plain import joined

__all__ = [
    "ConflictError",
    "ForkedLedgerError",
    "ImcmError",
    "ImportRefusedError",
    "InvalidValue",
    "KeyReusedError",
    "LedgerClosedError",
    "LedgerMissingError",
    "LedgerNotEmptyError",
    "LogDiffersError",
    "MalformedLineError",
    "MissingExtraError",
    "MissingPackageError",
    "NaiveTimeError",
    "NotALedgerError",
    "ProofRefusedError",
    "StepRefused",
    "StoreError",
    "TransactionOverError",
    "UnknownIdError",
    "UnreadEventError",
]


class ImcmError(Exception):
    """
    The base of all errors of this library: catch it to catch them all.

    They can be pickled, so that they come back from other processes. Of a value of somebody else's
    class only what it looked like comes along.
    """

    def __str__(self) -> str:
        """Return the message, each line of it fit to be shown: it may quote what others wrote."""
        return joined(super().__str__().split("\n"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make the same error again, whatever its class takes to be made."""
        state = {name: _portable(value) for name, value in self.__dict__.items()}
        return _made_again, (type(self), tuple(map(_portable, self.args))), state


def _made_again(cls: type[ImcmError], args: tuple[object, ...]) -> ImcmError:
    return cls.__new__(cls, *args)


_PORTABLE: Final = (str, bytes, int, float, datetime, date, timedelta, type(None))


_DEEPEST: Final = 4
"""What lies deeper in lists is told as it is shown: some lists never end."""


def _portable(value: object, depth: int = _DEEPEST) -> object:
    """Return *value* if it can go to another process, else how it is shown."""
    if isinstance(value, datetime) and not _has_known_zone(value):
        return shown(value)
    if isinstance(value, _PORTABLE) and type(value).__module__ in {"builtins", "datetime"}:
        return value
    if depth and isinstance(value, (tuple, list)):
        items: list[object] = [*value]
        return tuple(_portable(item, depth - 1) for item in items)
    return shown(value)


def _has_known_zone(value: datetime) -> bool:
    return value.tzinfo is None or type(value.tzinfo).__module__ in {"datetime", "zoneinfo"}


class InvalidValue(ImcmError, ValueError):
    """
    An argument has a value that is not allowed.

    Give what `allowed` says.

    Attributes:
        name: The argument, or the place in the input.
        value: What was given.
        allowed: What is allowed instead, in words.
    """

    def __init__(self, name: str, value: object, allowed: str) -> None:
        which = name if isinstance(name, str) else shown(name)
        super().__init__(f"{which}: {shown(value)} is not allowed; {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed


class NaiveTimeError(InvalidValue):
    """
    A time has no time zone, or one that gives no offset.

    imcm never guesses where a clock hung: attach the zone that it hung in.
    """

    def __init__(self, name: str, value: object) -> None:
        super().__init__(
            name,
            value,
            "give a time zone, for example datetime(..., tzinfo=timezone.utc) "
            'or datetime(..., tzinfo=ZoneInfo("Europe/London"))',
        )


class StepRefused(ImcmError):
    """
    A guard said no to a step; nothing was recorded.

    Read `why`, which says what to do instead; `next_steps` of the aggregate tells beforehand.

    Attributes:
        step: The step that was asked for.
        guard: The name of the guard that refused it.
        why: Its reason, with what to do instead.
        stream: The stream it was asked of, once known ("" in pure use of the domain).
    """

    def __init__(self, step: str, guard: str, why: str, *, stream: str = "") -> None:
        where = f" on {stream}" if stream else ""
        super().__init__(f"{step}{where} is refused ({guard}): {why}")
        self.step = step
        self.guard = guard
        self.why = why
        self.stream = stream

    def on(self, stream: str, hint: str = "") -> Self:
        """Return the same refusal, naming the stream it happened on, and what is known of it."""
        why = f"{self.why}; {hint}" if hint else self.why
        return type(self)(self.step, self.guard, why, stream=stream)


class UnknownIdError(ImcmError, LookupError):
    """
    There is no incident or change with this id in the log.

    Look at the id: the message names those that are near. What was not known by the time that is
    asked about is unknown, too: the message says since when it is known.

    Attributes:
        value: The id that was asked for.
    """

    def __init__(
        self, kind: str, value: str, hint: str = "", *, where: str = "in this log"
    ) -> None:
        super().__init__(f"no {kind} {shown(value)} {where}{hint and '; ' + hint}")
        self.value = value


class ConflictError(ImcmError):
    """
    Others kept recording on the same stream; after all attempts nothing was recorded.

    Try again later; under a key (`Ledger.once`) that is safe whatever happened.
    """


class KeyReusedError(ImcmError):
    """
    An idempotency key came back with another step or id, or, where that was asked, arguments.

    Look at `recorded`, which has the ids of the first use; give a new key where it is another
    delivery.

    Attributes:
        recorded: The recorded events of its first use.
    """

    # Any: recorded events, of which errors know nothing.
    def __init__(self, message: str, recorded: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.recorded = recorded


class TransactionOverError(ImcmError):
    """
    A transaction was used after its block, or a second time; nothing more was recorded.

    Begin another one with `ledger.transaction()`.
    """


class UnreadEventError(ImcmError):
    """
    A stream holds an event this version cannot read, so it must not decide on it.

    Update imcm to the version that wrote it.
    """


class StoreError(ImcmError):
    """
    The store beneath the ledger failed; the message carries its words.

    Read the message: of a server that can't be reached, try again later; under a key that is safe.
    """


class LedgerMissingError(StoreError):
    """
    There is nothing at the path a reading call was given.

    Look at the path. `Ledger(path)` makes a ledger where none is; `LedgerReader` never does.
    """


class NotALedgerError(StoreError):
    """
    What is there is not a ledger (not a database, or without its first row).

    Look at the path, or the settings; nothing there was touched.
    """


class LedgerNotEmptyError(StoreError):
    """
    A restore needs an empty ledger, and rows of another ledger streams that are not there yet.

    Name a new file, or an empty store; where two ledgers are joined, give their ids prefixes.
    """


class LedgerClosedError(StoreError):
    """
    The ledger was closed before this call.

    Open it again.
    """


class ForkedLedgerError(StoreError):
    """
    A ledger opened before a fork was used in the child.

    Open it again in the child: connections can't be shared across a fork.
    """


class MalformedLineError(ImcmError, ValueError):
    """
    A line of a JSONL export is not a recorded event.

    Look at the line: the file was cut or edited, or is something else.

    Attributes:
        line: Its number in the file, from 1.
        why: What is wrong with it.
    """

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


class ImportRefusedError(ImcmError):
    """
    A file can't be imported, or has bad rows and was not told to keep going; nothing was recorded.

    Mend the rows, or say that bad rows are to be passed over.

    Attributes:
        summary: What is wrong, in one line.
        rows: The first bad rows, each in a line.
    """

    def __init__(self, summary: str, rows: tuple[str, ...] = ()) -> None:
        super().__init__("\n  ".join((summary, *rows)))
        self.summary = summary
        self.rows = rows


class LogDiffersError(ImcmError):
    """
    A log is not what its anchors say, so no checkpoint of it was made.

    Do not go on as if nothing was: compare with a backup. See docs/audit.md.

    Attributes:
        outcome: What was found: "DIFFERS", "TRUNCATED", "GAPS" and so on.
    """

    def __init__(self, outcome: str, why: str) -> None:
        super().__init__(f"no checkpoint of this log is made: {outcome}: {why}")
        self.outcome = outcome


class ProofRefusedError(ImcmError, ValueError):
    """
    A proof is not written as one, or does not hold.

    Ask for the proof again: as it stands it shows nothing.
    """


class MissingExtraError(ImcmError, ImportError):
    """
    An optional package is not installed; the message names the extra that brings it.

    Install it as the message says.

    Attributes:
        extra: The name of the extra, as in "imcm[frames]".
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package: pip install 'imcm[{extra}]'")
        self.extra = extra


class MissingPackageError(ImcmError, ImportError):
    """
    A package that was asked for by name is not installed, and no extra of imcm brings it.

    Install it as the message says.

    Attributes:
        package: Its name.
    """

    def __init__(self, what: str, package: str) -> None:
        super().__init__(f"{what} needs the package {package}: pip install {package}")
        self.package = package


def shown(value: object) -> str:
    """
    Return *value* as an error quotes it: short enough for one line, whatever it is.

    What can't be shown (its repr fails, it is nested too deeply, a number has too many digits) is
    told by its class, so that whoever gave it hears what was wrong with it, and not of this.
    """
    try:
        text = repr(value)
    except Exception:
        text = f"<a {type(value).__name__} that can't be shown>"
    return text if len(text) <= 120 else text[:117] + "..."


class RowsLeftOutWarning(UserWarning):
    """Rows of tables are in no figure, since something is wrong with them."""
