"""
The ledger: reading, recording, transactions, keys, redaction, bringing in; and its stores.

It is the only room that knows the store's library.
"""

from __future__ import annotations

from imcm.ledger.bringing_in import History
from imcm.ledger.reading import LedgerReader, Replay
from imcm.ledger.recording import Ledger
from imcm.ledger.redaction import Redaction
from imcm.ledger.transactions import Once, Transaction

__all__ = ["History", "Ledger", "LedgerReader", "Once", "Redaction", "Replay", "Transaction"]
