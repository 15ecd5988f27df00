"""
The mappings that ship: one for the exports of each of some tools, by its name.

    import_csv(ledger, incidents="export.csv", mapping="servicenow", tz="Europe/Oslo")

Each is a TOML file in `mappings/`, to be copied and edited where a site differs.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Final

from imcm.errors import InvalidValue
from imcm.files import checked_path
from imcm.plain import excerpt

__all__ = ["mapping_file", "ready_mapping", "ready_mappings"]

_FOLDER: Final = Path(__file__).parent / "mappings"
_NAMED: Final = 60


@cache
def ready_mappings() -> dict[str, str]:
    """Return the names of the mappings that ship, in order, and what each takes, in one line."""
    return {
        path.stem: path.read_text("utf-8").partition("\n")[0].removeprefix("#").strip()
        for path in sorted(_FOLDER.glob("*.toml"))
    }


def ready_mapping(name: str) -> str:
    """
    Return the text of a mapping that ships, a TOML file with comments.

    Raises:
        InvalidValue: There is none of that name; the message says which there are.
    """
    if not isinstance(name, str) or name not in ready_mappings():
        raise _unknown(name)
    return (_FOLDER / f"{name}.toml").read_text("utf-8")


def mapping_file(given: str | Path) -> Path:
    """
    Return the file of a mapping: what is given, or the ready one of that name.

    A bare name, without a folder and without an ending, is that of a ready mapping, unless there
    is a file that is called so.

    Raises:
        InvalidValue: It is no path, or a bare name that no file and no ready mapping has.
    """
    path = checked_path("mapping", given)
    if path.suffix or path.name != str(path) or _is_file(path):
        return path
    if path.name not in ready_mappings():
        raise _unknown(path.name)
    return _FOLDER / f"{path.name}.toml"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no file can have a name as long as this one
        return False


def _unknown(name: object) -> InvalidValue:
    names = ready_mappings()
    near = difflib.get_close_matches(str(name)[:_NAMED].casefold(), names, n=1)
    hint = f" (near: {near[0]})" if near else ""
    allowed = f"a TOML file, or one of {', '.join(names)}{hint}"
    return InvalidValue("mapping", excerpt(str(name), _NAMED), allowed)
