"""
Each result asks the room of plots for its picture; what is in the pictures is tested there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot

from imcm import (
    Ledger,
    calibration,
    compare,
    dora_report,
    incident,
    restated,
    side_by_side,
    time_to_restore,
    timeline,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Draw without a screen, and leave nothing open."""
    with mpl.rc_context({"backend": "Agg"}):
        yield
        pyplot.close("all")


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    ledger = Ledger.in_memory(clock=lambda: NOON + timedelta(days=30))
    for hours in (1, 2, 3):
        id_, at = f"INC-{hours}", NOON + timedelta(days=hours)
        ledger.record(id_, incident.detect, by="ana", at=at, title="Slow", services=["a"])
        ledger.record(id_, incident.resolve, by="ana", at=at + timedelta(hours=hours))
    return ledger


RESULTS: dict[str, Callable[[Ledger], Any]] = {
    "Time to restore": lambda ledger: time_to_restore(ledger.facts()),
    "Change failure rate": lambda ledger: dora_report(ledger.facts()),
    "Change failure rate side by side": lambda ledger: side_by_side(ledger.facts()),
    "Time to restore, before and after": lambda ledger: compare(
        time_to_restore(ledger.facts(), window=(NOON, NOON + timedelta(days=2))),
        time_to_restore(ledger.facts(), window=(NOON + timedelta(days=2), NOON.replace(day=9))),
    ),
    "Time to restore since it was published": lambda ledger: restated(
        ledger.replay(), time_to_restore, known_at_a=2
    ),
    "Predicted and observed failures": lambda ledger: calibration(ledger.facts()),
    "Incidents and changes of a": lambda ledger: timeline(ledger.replay()),
}


@pytest.mark.parametrize("title", RESULTS)
def test_a_result_draws_itself(title: str, ledger: Ledger) -> None:
    """Into the axes that are given, which it returns."""
    _, ax = pyplot.subplots()
    kind = {"kind": "lanes"} if title == "Incidents and changes of a" else {}
    assert RESULTS[title](ledger).plot(ax=ax, **kind) is ax
    assert ax.get_title(loc="left") == title


def test_a_report_draws_a_panel_for_each_metric(ledger: Ledger) -> None:
    report = dora_report(ledger.facts(), window="2026-03", bucket_by="week")
    panels = report.plot("all")
    assert [panel.get_title(loc="left") for panel in panels] == [
        f"{figure.name[0].upper()}{figure.name[1:]}" for figure in report.figures.values()
    ]
