"""PagerDuty's change events: samples of their documented shape, with their traps."""

from datetime import UTC, datetime

import pytest

from garbled import survives
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening, Statement

CHANGES = format_named("pagerduty-changes")
READ = CHANGES.read
AT = datetime(2026, 3, 6, 12, 0, 0, 315_000, tzinfo=UTC)


def sent(**more):
    return {
        "routing_key": "secret-key",
        "payload": {
            "summary": "Deployed checkout 42",
            "timestamp": "2026-03-06T12:00:00.315+0000",
            "source": "build-machine-9",
            "custom_details": {"service": "checkout", "env": "prod", "build_number": 42},
            **more,
        },
        "links": [
            {"href": "https://ci.example/42", "text": "Build"},
            {"href": "https://b.example"},
        ],
    }


def test_a_sent_event_is_a_change_of_which_nobody_says_how_it_went():
    read = READ(sent())
    assert read.dropped == ()
    [said] = read.statements
    assert said == Statement(
        kind="change",
        id=said.id,
        facts={
            "title": "Deployed checkout 42",
            "services": ("checkout",),
            "environment": "prod",
            "labels": {
                "service": "checkout",
                "env": "prod",
                "build_number": "42",
                "source": "build-machine-9",
            },
            "references": {"link": "https://ci.example/42", "link 2": "https://b.example"},
        },
        happened=(Happening("deployed", AT),),
    )
    assert len(said.id) == 64


def test_the_same_again_is_the_same_change_and_its_key_is_kept_nowhere():
    [one] = READ(sent()).statements
    [again] = READ({**sent(), "routing_key": "another"}).statements
    assert one == again
    assert "secret-key" not in str(READ(sent()))
    [other] = READ(sent(timestamp="2026-03-06T12:00:01+0000")).statements
    assert other.id != one.id


def test_without_a_time_it_can_not_be_told_from_another_and_says_so():
    read = READ(sent(timestamp=None))
    assert read.statements[0].happened == ()
    assert [each.what for each in read.dropped] == ["payload.timestamp"]
    assert "same change" in read.dropped[0].why


def test_a_row_of_the_api_has_an_id_and_services():
    row = {
        "id": "01BBYA",
        "type": "change_event",
        "summary": "Deployed checkout 42",
        "timestamp": "2026-03-06T12:00:00.315Z",
        "source": "build-machine-9",
        "services": [{"id": "PF9KMXH", "type": "service_reference", "summary": "Checkout"}],
        "links": [],
        "custom_details": None,
    }
    [said] = READ(row).statements
    assert (said.id, said.facts["services"], said.happened) == (
        "01BBYA",
        ("Checkout",),
        (Happening("deployed", AT),),
    )
    assert READ({"change_event": row}).statements == (said,)
    assert list(payloads_of({"change_events": [row]}, CHANGES)) == [row]


def test_a_time_without_a_zone_is_refused_unless_one_is_given():
    naive = sent(timestamp="2026-03-06T13:00:00")
    with pytest.raises(InvalidValue, match="no UTC offset"):
        READ(naive)
    [said] = READ(naive, Options(tz="Europe/Oslo")).statements
    assert said.texts == {"deployed_at": "2026-03-06T13:00:00"}


@pytest.mark.parametrize("payload", [{}, {"payload": {}}, sent(summary="")])
def test_what_says_nothing_is_refused(payload):
    with pytest.raises(InvalidValue, match=r"id|summary"):
        READ(payload)


def test_whatever_arrives_is_answered():
    survives(READ, [sent(), {"id": "1", "summary": "x", "timestamp": "2026-03-06T12:00:00Z"}])
