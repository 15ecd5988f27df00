"""
What a source told before, and what of it is gone from it: one rule for all complete sources.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from imcm.codec.decoding import envelope_of
from imcm.domain.recorded import kind_and_id
from imcm.errors import ImportRefusedError
from imcm.interchange.deciding import is_of
from imcm.ledger.reading import LedgerReader
from imcm.ledger.recording import Ledger
from imcm.plain import plain

__all__ = ["BESIDE", "refuse_too_many", "streams_told"]

BESIDE: Final = frozenset({"IncidentAbsorbed"})
"""Types of events that a source tells beside what it says of an incident or change."""

_NAMED: Final = 5


def streams_told(
    ledger: Ledger | LedgerReader, *, source: str, prefix: str, kinds: Collection[str]
) -> list[str]:
    """
    Return the incidents and changes of which a source told, in the order in which it began to.

    What it withdrew since is not among them, unless it has it again.

    Args:
        source: The name of the source; *prefix*, with what its ids begin, "" where with nothing.
        kinds: Which of "incident" and "change".
    """
    stands: dict[str, bool] = {}
    for row in ledger.rows():
        kind, id_ = kind_and_id(row.stream)
        if kind not in kinds or row.type in BESIDE or not id_.startswith(prefix):
            continue
        turned = row.type in {"SourceWithdrew", "SourceReinstated"}
        if (turned or row.stream not in stands) and is_of(envelope_of(row).source, source):
            stands[row.stream] = row.type != "SourceWithdrew"
    return [stream for stream, is_there in stands.items() if is_there]


def refuse_too_many(gone: Sequence[str], of: int, *, what: str, where: str, same: str) -> None:
    """
    Refuse to withdraw more than a tenth of what a source told.

    Args:
        gone: The streams that are to be withdrawn; *of*, how many there are.
        what: What they are, and where they are not any more: *where*.
        same: What looks the same, though nothing is gone.

    Raises:
        ImportRefusedError: They are more than a tenth.
    """
    if len(gone) * 10 <= of:
        return
    some = ", ".join(plain(kind_and_id(stream)[1]) for stream in gone[:_NAMED])
    more = ", ..." if len(gone) > _NAMED else ""
    raise ImportRefusedError(
        f"{len(gone):,} of {of:,} {what} are {where} no more ({some}{more}), and {same} looks the "
        "same; nothing was recorded; if they are gone, confirm it with confirm_withdrawals=True "
        "(--confirm-withdrawals)"
    )
