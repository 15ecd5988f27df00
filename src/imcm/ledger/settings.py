"""
The store that the settings of a persistence module tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imcm.domain.vocabulary import checked_words, is_mapping
from imcm.errors import InvalidValue
from imcm.ledger.store import RecorderStore, refuse_other_database


def store_of(settings: Mapping[str, str], *, make: bool = True) -> RecorderStore:
    """
    Return the store that the settings of a persistence module of eventsourcing tell.

    Raises:
        NotALedgerError: They name a SQLite database that is something else.
        StoreError: It can't be opened.
    """
    if not is_mapping(settings):
        allowed = 'give a mapping, for example {"PERSISTENCE_MODULE": "eventsourcing.popo"}'
        raise InvalidValue("settings", settings, allowed)
    settings = {
        checked_words("settings", name): checked_words(f"settings[{name!r}]", value)
        for name, value in settings.items()
    }
    if not make:
        settings["CREATE_TABLE"] = "no"
    module = settings.get("PERSISTENCE_MODULE", "").partition(":")[0]
    if module == "eventsourcing.postgres":
        from imcm.ledger.postgres import PostgresStore

        return PostgresStore(settings)
    name = settings.get("SQLITE_DBNAME", "")
    if module == "eventsourcing.sqlite" and name and "memory" not in name:
        file = urlsplit(name).path if name.startswith("file:") else name
        refuse_other_database(Path(unquote(file)))
    return RecorderStore(settings)
