"""Ids that are not there: what is near is named, and where a merged incident went."""

from datetime import UTC, datetime, timedelta

import pytest

from imcm import InvalidValue, LedgerReader, StepRefused, change, incident
from imcm.errors import UnknownIdError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)


@pytest.fixture
def book(ledger):
    for number in (100, 101, 205):
        ledger.record(f"INC-{number}", incident.detect, by="ana", at=AT, title="x")
    ledger.record("CHG-40", change.plan, by="lena", at=AT, title="v2")
    return ledger


def test_a_step_on_a_mistyped_id_says_what_is_near(book):
    with pytest.raises(StepRefused) as no:
        book.record("INC-10O", incident.acknowledge, by="ana", at=AT)
    assert ("status", "incident:INC-10O") == (no.value.guard, no.value.stream)
    assert "there is no incident 'INC-10O', near: INC-10" in no.value.why


def test_so_does_asking_for_one(book):
    with pytest.raises(UnknownIdError, match="no incident 'INC-102' in this log; near: INC-101"):
        book.incident("INC-102")
    with pytest.raises(UnknownIdError, match="near: CHG-40"):
        book.change("CHG-4")
    with pytest.raises(UnknownIdError) as no:
        book.incident("something else")
    assert "near" not in str(no.value)


def test_it_looks_beside_the_id_and_not_at_the_whole_log(in_file):
    for number in range(30):
        in_file.record(f"INC-{number}", incident.detect, by="ana", at=AT, title="x")
    with LedgerReader(in_file._store.reader.path) as reader:
        assert 8 == len(reader._store.beside("incident:INC-15", 4))


def test_a_stream_without_its_kind_is_refused(book):
    with pytest.raises(InvalidValue, match='give "incident:INC-100" or "change:INC-100"'):
        book.history("INC-100")
    assert [] == book.history("incident:INC-404")


def test_a_step_on_a_merged_incident_says_where_it_went(book):
    book.merge("INC-101", into="INC-100", by="ana", at=AT)
    with pytest.raises(StepRefused, match="it is merged into INC-100, ask there"):
        book.record("INC-101", incident.resolve, by="ana", at=AT)


def test_a_link_to_an_id_nobody_knows_is_recorded_and_said(book):
    told = {"by": "ana", "at": AT, "verdict": "caused"}
    known = book.record("INC-100", incident.link_change, change="CHG-40", **told)
    assert (1, ()) == (len(known), known.notes)
    mistyped = book.record("INC-100", incident.link_change, change="CHG-4O", **told)
    note = "there is no change 'CHG-4O' in this ledger yet; near: CHG-40"
    assert (1, (note,)) == (len(mistyped), mistyped.notes)
    fix = {"title": "hotfix", "type": "emergency", "incident": "INC-10"}
    planned = book.record("CHG-41", change.plan, by="lena", at=AT, **fix)
    assert ["there is no incident 'INC-10' in this ledger yet"] == [
        note.partition(";")[0] for note in planned.notes
    ]


def test_what_one_record_brings_in_is_there(book):
    """An emergency and its link are one record: neither is unknown to the other."""
    with book.transaction() as tx:
        fix = {"title": "hotfix", "type": "emergency", "incident": "INC-100"}
        tx.record("CHG-50", change.plan, by="lena", at=AT, **fix)
        tx.record(
            "INC-100", incident.link_change, by="ana", at=AT, change="CHG-50", verdict="fixed"
        )
    assert () == tx.recorded.notes
