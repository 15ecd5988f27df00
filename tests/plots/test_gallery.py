"""
Every picture of the gallery, drawn as it is shown: labels apart, units said, something to see.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from io import BytesIO
from itertools import combinations, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from matplotlib import image
from matplotlib.text import Text

GALLERY = Path(__file__).parents[2] / "docs" / "make_gallery.py"
NAMES = (
    *("survival", "survival-by-service", "over-time", "over-time-restore", "report"),
    *("report-without-periods", "over-days", "groups", "groups-restore", "side-by-side"),
    *("side-by-side-restore", "before-and-after", "before-and-after-shares", "what-if"),
    *("restatement", "calibration", "calendar", "incident", "change"),
    *("incident-and-changes", "service-demo", "service", "services", "one-incident", "canary"),
)


@cache
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_gallery", GALLERY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def pictures() -> dict[str, Callable[[], Any]]:
    return dict(gallery().pictures())


def test_all_pictures_are_looked_at() -> None:
    """A picture that is added to the gallery is tested as the others are."""
    assert tuple(pictures()) == NAMES


def headings(axes: Any) -> list[Text]:
    """Return the title, and the lines below it."""
    title = axes.get_title(loc="left")
    found = [text for text in axes.findobj(Text) if text.get_text() == title]
    return [*found, *(text for text in axes.texts if not text.get_in_layout())]


def apart(some: list[Text]) -> None:
    """Fail where two texts lie on each other."""
    boxes = [text.get_window_extent().padded(-1) for text in some]
    for (one, text), (other, _) in combinations(zip(boxes, some, strict=True), 2):
        assert not one.overlaps(other), text.get_text()


def is_legible(axes: Any) -> None:
    """Fail where labels of an axis lie on each other, or an axis does not say what it has."""
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [tick.get_window_extent() for tick in ticks if tick.get_text()]
        assert boxes
        for one, other in pairwise(boxes):
            assert not one.overlaps(other), [tick.get_text() for tick in ticks]
    assert axes.get_title(loc="left")
    assert axes.get_xlabel()
    rows = axes.spines["left"].get_visible()
    assert not rows or axes.get_ylabel()  # where rows are labelled by name, there is no unit
    box = axes.figure.bbox
    for text in headings(axes):
        assert text.get_window_extent().x1 <= box.x1 + 1, text.get_text()
        assert text.get_window_extent().y1 <= box.y1 + 1, text.get_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_legible(name: str) -> None:
    """No two labels of an axis lie on each other, both axes say what they have, and it is drawn."""
    drawn = pictures()[name]()
    panels = drawn if isinstance(drawn, tuple) else (drawn,)
    out = BytesIO()
    panels[0].figure.savefig(out, format="png", bbox_inches="tight")
    for axes in panels:
        is_legible(axes)
    apart([heading for axes in panels for heading in headings(axes)])
    out.seek(0)
    pixels = image.imread(out)
    assert pixels.shape[0] > 150
    assert pixels.shape[1] > 400
    grey = pixels[..., :3] @ [0.2126, 0.7152, 0.0722]
    assert 0.005 < (grey < 0.6).mean() < 0.7


def test_the_gallery_is_the_same_each_time(tmp_path: Path) -> None:
    """It is drawn to files of the form asked for, without a date or an id that changes."""
    module = gallery()
    every = module.pictures
    module.pictures = lambda: [
        (name, draw) for name, draw in pictures().items() if "canary" in name
    ]
    try:
        module.main(str(tmp_path / "a"))
        module.main(str(tmp_path / "b"))
    finally:
        module.pictures = every
    [first], [second] = ((tmp_path / folder).iterdir() for folder in "ab")
    assert first.name == "canary.svg"
    assert first.read_bytes() == second.read_bytes()
