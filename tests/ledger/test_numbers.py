"""
New ids: the next number behind a prefix, each given once, whoever asks at the same time.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest

from imcm import Ledger, Severity, UnknownIdError, change, incident
from imcm.errors import InvalidValue, KeyReusedError, StepRefused
from ledger.conftest import ledger, path, server, settings, sql

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DETECT = {"by": "pd", "at": NOW, "title": "x"}

__all__ = ["ledger", "path", "server", "settings", "sql"]


def new(ledger, prefix="INC-", **more):
    [detected] = ledger.record_new(prefix, incident.detect, **DETECT, **more)
    return detected.id


def test_the_first_is_one_and_the_next_one_more(ledger):
    assert ["INC-1", "INC-2", "INC-3"] == [new(ledger) for _ in range(3)]


def test_it_goes_on_behind_what_is_there_whoever_put_it_there(ledger):
    ledger.record("INC-204", incident.detect, **DETECT)
    ledger.record("INC-0300", incident.detect, **DETECT)
    for other in ("INC-9x", "INC-", "INCX-999", "inc-998", "INC-٤٠٠"):
        ledger.record(other, incident.detect, **DETECT)
    ledger.record("INC-997", change.plan, by="lena", at=NOW, title="x", services=("a",))
    assert "INC-301" == new(ledger)
    ledger.record("INC-302", incident.detect, **DETECT)
    assert "INC-303" == new(ledger)


def test_incidents_and_changes_and_prefixes_are_counted_each_by_themselves(ledger):
    assert ["INC-1", "P-1", "1", "2"] == [new(ledger, prefix) for prefix in ("INC-", "P-", "", "")]
    plan = {"by": "lena", "at": NOW, "title": "x", "services": ("a",)}
    [planned] = ledger.record_new("INC-", change.plan, **plan)
    assert "change:INC-1" == planned.stream


def test_a_step_of_ones_own_and_a_bound_one(ledger):
    bound = functools.partial(incident.detect, title="bound")
    [detected] = ledger.record_new("INC-", bound, by="pd", at=NOW)
    assert ("INC-1", "bound") == (detected.id, detected.event.title)


def test_what_is_refused_takes_no_number(ledger):
    with pytest.raises(StepRefused):
        ledger.record_new("INC-", incident.resolve, by="pd", at=NOW)
    with pytest.raises(InvalidValue):
        ledger.record_new("INC-", incident.detect, by=7, at=NOW, title="x")
    assert "INC-1" == new(ledger)


@pytest.mark.parametrize("prefix", [None, 7, "a\x00", "x" * 300])
def test_a_prefix_that_can_begin_no_id(ledger, prefix):
    with pytest.raises(InvalidValue):
        new(ledger, prefix)


def test_a_delivery_that_comes_again_has_the_id_it_was_given(ledger):
    first = ledger.once("pd", "d1").record_new("INC-", incident.detect, **DETECT)
    again = ledger.once("pd", "d1").record_new("INC-", incident.detect, **DETECT)
    assert (first, True) == (again, again.repeated)
    assert "INC-2" == ledger.once("pd", "d2").record_new("INC-", incident.detect, **DETECT)[0].id
    with pytest.raises(KeyReusedError):
        ledger.once("pd", "d1").record_new("INC-", change.plan, by="a", at=NOW, title="x")


def test_threads_that_do_it_at_once(ledger):
    ids, keyed = [], []

    def work():
        for number in range(5):
            ids.append(new(ledger))
            door = ledger.once("pd", f"d{number}")
            keyed.append(door.record_new("K-", incident.detect, **DETECT)[0].id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"INC-{n}" for n in range(1, 21)} == set(ids)
    assert 5 == len(set(keyed))


WORK = """
import sys
from datetime import UTC, datetime
from imcm import Ledger, incident
with Ledger(sys.argv[1]) as ledger:
    for _ in range(25):
        recorded = ledger.record_new(
            "INC-", incident.detect, by="pd", at=datetime.now(UTC), title="x"
        )
        print(recorded[0].id)
"""


def test_processes_that_do_it_at_once(tmp_path):
    Ledger(tmp_path / "ledger.db").close()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(tmp_path / "ledger.db")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ids = [name for process in running for name in process.communicate()[0].split()]
    assert {f"INC-{n}" for n in range(1, 76)} == set(ids)
    assert 75 == len(ids)


class TestSeveralStepsUnderANewNumber:
    """One record: the number is told to who collects the steps."""

    @staticmethod
    def opened(tx, id_):
        tx.record("CHG-1", change.plan, by="ann", at=NOW, title="roll it back", incident=id_)
        tx.record(id_, incident.detect, **DETECT)
        tx.record(id_, incident.triage, by="ann", at=NOW, severity=Severity.P2)

    def test_are_all_there_or_none(self, ledger):
        recorded = ledger.transaction_new("INC-", incident.detect, self.opened, source="bot")
        assert ["CHG-1", "INC-1", "INC-1"] == [one.id for one in recorded]
        assert 1 == len({one.record for one in recorded})
        assert {"bot"} == {one.source.name for one in recorded}
        assert Severity.P2 is ledger.incident("INC-1").severity
        with pytest.raises(StepRefused):  # the change is there already
            ledger.transaction_new("INC-", incident.detect, self.opened)
        with pytest.raises(UnknownIdError):
            ledger.incident("INC-2")

    def test_under_a_key_have_the_number_they_were_given_first(self, ledger):
        ledger.record("INC-7", incident.detect, **DETECT)
        told = {"source": "pd", "key": "d1"}
        first = ledger.transaction_new("INC-", incident.detect, self.opened, **told)
        again = ledger.transaction_new("INC-", incident.detect, self.opened, **told)
        assert ("CHG-1", "INC-8", "INC-8") == tuple(one.id for one in first)
        assert again.repeated
        assert first == again

        def alone(tx, id_):
            tx.record(id_, incident.detect, **DETECT)

        with pytest.raises(KeyReusedError):
            ledger.transaction_new("INC-", incident.detect, alone, **told)
        with pytest.raises(InvalidValue, match="a key belongs to a source"):
            ledger.transaction_new("INC-", incident.detect, self.opened, key="d2")

    def test_are_collected_again_where_another_was_faster(self, path):
        with Ledger(path) as ledger, Ledger(path) as other:
            asked = []

            def opened(tx, id_):
                asked.append(id_)
                if len(asked) == 1:
                    other.record_new("INC-", incident.detect, **DETECT)
                tx.record(id_, incident.detect, **DETECT)

            [detected] = ledger.transaction_new("INC-", incident.detect, opened)
            assert ["INC-1", "INC-2"] == asked
            assert "INC-2" == detected.id

    def test_that_collect_nothing_of_it_are_refused_and_use_up_no_key(self, ledger):
        """An alert would be lost for good: its key would say that it was there."""

        async def later(tx, id_):
            tx.record(id_, incident.detect, **DETECT)

        def other(tx, id_):
            tx.record("Z-1", incident.detect, **DETECT)

        told = {"source": "pd", "key": "d1"}
        for collect in (later, other, lambda tx, id_: None):
            with pytest.raises(InvalidValue, match="collects the first step of the id"):
                ledger.transaction_new("INC-", incident.detect, collect, **told)
        assert ledger.recorded_under("pd", "d1") is None
        recorded = ledger.transaction_new("INC-", incident.detect, self.opened, **told)
        assert not recorded.repeated

    @pytest.mark.parametrize("collect", [None, "detect", 7])
    def test_are_collected_by_a_function(self, ledger, collect):
        with pytest.raises(InvalidValue, match="give a function"):
            ledger.transaction_new("INC-", incident.detect, collect)
