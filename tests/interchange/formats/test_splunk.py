"""Splunk's alert webhook: samples of its documented shape, with its traps."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from garbled import survives
from imcm.domain.vocabulary import Channel, Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening, Statement

SPLUNK = format_named("splunk")
READ = SPLUNK.read
SID = "scheduler__zoe__search__RMD5abc_at_1772798400_7"


def sent(row, **more):
    return {
        "result": row,
        "sid": SID,
        "results_link": f"https://splunk.example/app/search/@go?sid={SID}",
        "search_name": "Failed logins",
        "owner": "zoe",
        "app": "search",
        **more,
    }


def test_a_triggered_search_is_an_incident_without_a_moment():
    read = READ(sent({"sourcetype": "auth", "count": "8"}))
    assert read.dropped == ()
    assert read.statements == (
        Statement(
            kind="incident",
            id=SID,
            facts={
                "title": "Failed logins",
                "channel": Channel.MONITORING,
                "monitor": "Failed logins",
                "labels": {
                    "sourcetype": "auth",
                    "count": "8",
                    "splunk_app": "search",
                    "splunk_owner": "zoe",
                },
                "references": {"alert": f"https://splunk.example/app/search/@go?sid={SID}"},
            },
            delivery=SID,
        ),
    )
    assert SPLUNK.order == "receipt"


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("1772798400", datetime(2026, 3, 6, 12, tzinfo=UTC)),
        (1772798400, datetime(2026, 3, 6, 12, tzinfo=UTC)),
        ("1772798400.250", datetime(2026, 3, 6, 12, microsecond=250_000, tzinfo=UTC)),
        (
            "2026-03-06T13:00:00.000+01:00",
            datetime(2026, 3, 6, 13, tzinfo=timezone(timedelta(hours=1))),
        ),
    ],
)
def test_it_is_detected_at_the_time_that_the_search_returns(written, at):
    [said] = READ(sent({"_time": written})).statements
    assert said.happened == (Happening("detected", at),)
    assert said.said_at is None


def test_a_time_that_is_none_is_no_time_and_one_without_a_zone_is_refused():
    read = READ(sent({"_time": "yesterday"}))
    assert read.statements[0].happened == ()
    assert [(each.what, each.value) for each in read.dropped] == [("result._time", "yesterday")]
    naive = sent({"_time": "2026-03-06 12:00:00"})
    with pytest.raises(InvalidValue, match="no UTC offset"):
        READ(naive)
    [said] = READ(naive, Options(tz="Europe/Oslo")).statements
    assert said.texts == {"detected_at": "2026-03-06 12:00:00"}


def test_a_search_without_a_name_has_its_run_alone():
    [said] = READ(sent({}, search_name=None), Options(refires="reopens")).statements
    assert (said.id, "title" in said.facts, "monitor" in said.facts) == (SID, False, False)


def test_all_runs_of_a_search_may_be_one_incident():
    [said] = READ(sent({}), Options(refires="reopens")).statements
    assert said.id == "search/Failed logins"


def test_what_the_row_says_is_used_and_kept():
    row = {"service": "login", "env": "prod", "severity": "High", "_raw": "x", "_cd": "1:2"}
    read = READ(sent({**row, "hosts": ["a", "b"], "long": "x" * 201}))
    [said] = read.statements
    assert said.facts["services"] == ("login",)
    assert said.facts["environment"] == "prod"
    assert (said.facts["severity"], said.facts["severity_name"]) == (Severity.P2, "High")
    assert "_cd" not in said.facts["labels"]
    assert [each.what for each in read.dropped] == ["result.hosts", "result._raw", "result.long"]


def test_the_splunk_app_is_no_service():
    [said] = READ(sent({"count": "1"})).statements
    assert "services" not in said.facts


def test_an_unknown_severity_is_no_guess():
    read = READ(sent({"severity": "5"}))
    assert ("severity" in read.statements[0].facts, read.dropped[0].what) == (
        False,
        "result.severity",
    )


def test_without_a_run_nothing_can_be_told():
    with pytest.raises(InvalidValue, match="sid"):
        READ(sent({}, sid=None))


def test_whatever_arrives_is_answered():
    survives(READ, [sent({"_time": "1772798400", "severity": "low", "service": "a", "_raw": "x"})])
