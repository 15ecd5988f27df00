"""Golden files of exports: they are held against what is written now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "golden"


@pytest.fixture
def golden_file():
    """Hold bytes against a golden file; IMCM_WRITE_GOLDEN=1 writes one that is not there yet."""

    def held(name: str, made: bytes) -> None:
        path = FOLDER / name
        if os.environ.get("IMCM_WRITE_GOLDEN") == "1" and not path.exists():
            path.write_bytes(made)
        assert path.read_bytes() == made

    return held
