"""
Incidents and changes as one event-sourced log.

The public names are loaded when first used, so that `import imcm` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imcm.domain import change, incident
    from imcm.domain.recorded import Recorded, Source, as_source_knew
    from imcm.domain.vocabulary import Between, Window
    from imcm.errors import ImcmError, InvalidValue, StepRefused
    from imcm.ledger import History, Ledger, LedgerReader
    from imcm.projections.facts import Facts, facts

__all__ = [
    "Between",
    "Facts",
    "History",
    "ImcmError",
    "InvalidValue",
    "Ledger",
    "LedgerReader",
    "Recorded",
    "Source",
    "StepRefused",
    "Window",
    "as_source_knew",
    "change",
    "facts",
    "incident",
]

_HOMES = {
    "Between": "imcm.domain.vocabulary",
    "Facts": "imcm.projections.facts",
    "History": "imcm.ledger",
    "ImcmError": "imcm.errors",
    "InvalidValue": "imcm.errors",
    "Ledger": "imcm.ledger",
    "LedgerReader": "imcm.ledger",
    "Recorded": "imcm.domain.recorded",
    "Source": "imcm.domain.recorded",
    "StepRefused": "imcm.errors",
    "Window": "imcm.domain.vocabulary",
    "as_source_knew": "imcm.domain.recorded",
    "change": "imcm.domain",
    "facts": "imcm.projections.facts",
    "incident": "imcm.domain",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'imcm' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(home)
    if home == "imcm.domain":
        return import_module(f"{home}.{name}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
