"""
The API's contract for type checkers. Not run: mypy and pyright must find it right.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import assert_type

from imcm import (
    Figure,
    Ledger,
    LedgerReader,
    Policy,
    Recording,
    Severity,
    change,
    change_failure_rate,
    facts,
    frames,
    incident,
    time_to_restore,
)
from imcm.domain.incident import Incident
from imcm.domain.incident_events import IncidentEvent


def typed(ledger: Ledger, reader: LedgerReader, now: datetime) -> None:
    recorded = ledger.record("INC-7", incident.resolve, by="ana", at=now)
    assert_type(recorded, Recording)
    ledger.record("INC-7", incident.triage, by="ana", at=now, severity=Severity.P1)
    ledger.record("CHG-1", change.start, by="ana", at=now, rollout_plan=(5, 100))
    ledger.record("INC-7", partial(incident.close, policy=Policy(name="ours")), by="ana", at=now)
    ledger.record("INC-7", my_step, by="ana")
    with ledger.transaction() as tx:
        tx.record("INC-7", incident.mitigate, by="ana", at=now)
    assert_type(ledger.incident("INC-7"), Incident)
    assert_type(time_to_restore(reader.replay(), statistic="mean"), Figure)
    assert_type(change_failure_rate(facts(reader.replay()), group_by="service"), Figure)
    assert_type(frames.deployments(reader.replay(), time_zone="Europe/London"), frames.Table)
    assert_type(frames.incidents(reader.replay()).columns(), dict[str, list[frames.Value]])
    assert_type(frames.links(reader.replay(), time_zone="UTC", labels=("team",)), frames.Table)


def my_step(state: Incident, *, by: str) -> tuple[IncidentEvent, ...]:
    return ()


def refused_by_type_checkers(ledger: Ledger, now: datetime) -> None:
    ledger.record("INC-7", incident.resolve, by="ana")  # type: ignore[call-arg]  # pyright: ignore
    ledger.record("INC-7", incident.resolve, by="ana", at="now")  # type: ignore[arg-type]  # pyright: ignore
    ledger.record("INC-7", incident.resolve, by="ana", at=now, sevrity=1)  # type: ignore[call-arg]  # pyright: ignore
    ledger.record("INC-7", print, by="ana")  # type: ignore[type-var,arg-type]  # pyright: ignore
