"""Ledgers to audit: the same fixtures as for the ledger itself."""

from ledger.conftest import path, server, settings

__all__ = ["path", "server", "settings"]
