"""ServiceNow: rows of its Table API in each of their forms, with their traps."""

from datetime import datetime

import pytest

from imcm.domain.vocabulary import (
    ChangeType,
    Channel,
    DismissalReason,
    Kind,
    Risk,
    Severity,
    Window,
)
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening
from odd_payloads import reads_or_refuses

INCIDENTS = format_named("servicenow-incidents")
CHANGES = format_named("servicenow-changes")
AUDIT = format_named("servicenow-audit")
ID = "9c573169c611228700193229fff72400"
CHANGE_ID = "a9e9c33dc61122760072455df62663d2"
OTHER_ID = "46e8219ba9fe19810150c09f0e8c6e5d"


def at(clock):
    return datetime.fromisoformat(f"2026-03-06T{clock}:00+00:00")


def incident(**more):
    """An incident as it comes with sysparm_display_value=false: values, and links beside ids."""
    return {
        "sys_id": ID,
        "number": "INC0010001",
        "short_description": "Checkout is down",
        "state": "2",
        "incident_state": "2",
        "priority": "1",
        "impact": "1",
        "urgency": "1",
        "contact_type": "phone",
        "opened_at": "2026-03-06 12:00:00",
        "resolved_at": "",
        "closed_at": "",
        "sys_updated_on": "2026-03-06 13:00:00",
        "sys_mod_count": "4",
        "business_service": {"link": "https://x/api/now/table/cmdb_ci/27d3", "value": "27d3"},
        "cmdb_ci": "",
        "assignment_group": "",
        "caused_by": {"link": f"https://x/change_request/{CHANGE_ID}", "value": CHANGE_ID},
        "rfc": "",
        "parent_incident": "",
        "close_code": "",
        **more,
    }


def told(row, options=None, format_=INCIDENTS):
    [said] = (format_.read(row) if options is None else format_.read(row, options)).statements
    return said


def test_a_row_of_values_is_in_utc():
    said = told({"result": incident()})
    assert (said.kind, said.id, said.status) == ("incident", ID, "2")
    assert (said.said_at, said.sequence, said.happened) == (at("13:00"), 4, ())
    assert dict(said.facts) == {
        "title": "Checkout is down",
        "services": ("27d3",),
        "severity": Severity.P1,
        "severity_name": "1",
        "channel": Channel.USER,
        "detected_at": at("12:00"),
        "resolved_at": None,
        "closed_at": None,
        "dismissed": None,
        "caused_by": (CHANGE_ID,),
        "fixed_by": None,
        "child_of": None,
        "labels": {
            "number": "INC0010001",
            "team": None,
            "impact": "1",
            "urgency": "1",
            "close code": None,
        },
    }
    assert said.texts == {"detected_at": "2026-03-06 12:00:00"}
    assert INCIDENTS.read(incident()).dropped == ()


def both(value, shown, **more):
    return {"value": value, "display_value": shown, **more}


def test_of_a_value_and_what_is_displayed_the_value_counts():
    row = incident(
        sys_id=both(ID, ID),
        state=both("6", "Resolved"),
        priority=both("2", "2 - High"),
        opened_at=both("2026-03-06 18:56:04", "2026-03-06 11:56:04"),
        resolved_at=both("2026-03-06 19:10:00", "2026-03-06 12:10:00"),
        sys_updated_on=both("2026-03-06 19:10:01", "2026-03-06 12:10:01"),
        sys_mod_count=both("5", "5"),
        business_service=both("27d3", "Web shop", link="https://x/27d3"),
        assignment_group=both("287e", "Network", link="https://x/287e"),
        caused_by=both(CHANGE_ID, "CHG0030001", link=f"https://x/{CHANGE_ID}"),
    )
    said = told(row)
    assert said.facts["detected_at"].isoformat() == "2026-03-06T18:56:04+00:00"
    assert said.facts["resolved_at"] == at("19:10")
    assert (said.status, said.sequence, said.facts["services"]) == ("Resolved", 5, ("Web shop",))
    assert (said.facts["severity"], said.facts["severity_name"]) == (Severity.P2, "2 - High")
    assert said.facts["labels"]["team"] == "Network"
    assert said.facts["caused_by"] == (CHANGE_ID,)


def test_a_row_of_what_is_displayed_needs_the_zone_of_whoever_asked():
    row = incident(
        state="In Progress",
        incident_state="In Progress",
        priority="1 - Critical",
        opened_at="2026-03-06 04:00:00",
        business_service={"display_value": "Web shop", "link": "https://x/27d3"},
        caused_by={"display_value": "CHG0030001", "link": f"https://x/change/{CHANGE_ID}"},
        rfc="CHG0030002",
    )
    with pytest.raises(InvalidValue, match="no UTC offset"):
        INCIDENTS.read(row)
    options = Options(tz="America/Los_Angeles")
    said = told(row, options)
    assert said.facts["detected_at"] == at("12:00")
    assert said.facts["severity"] is Severity.P1
    assert said.facts["services"] == ("Web shop",)
    assert said.facts["caused_by"] == (CHANGE_ID,)
    assert [each.what for each in INCIDENTS.read(row, options).dropped] == ["rfc"]


@pytest.mark.parametrize(
    ("state", "resolved", "closed"),
    [
        ("1", None, None),
        ("2", None, None),
        ("3", None, None),
        ("4", None, None),
        ("5", None, None),
        ("6", at("12:30"), None),
        ("7", at("12:30"), at("12:45")),
    ],
)
def test_moments_of_an_earlier_end_do_not_count_while_the_state_is_open(state, resolved, closed):
    row = incident(state=state, resolved_at="2026-03-06 12:30:00", closed_at="2026-03-06 12:45:00")
    read = INCIDENTS.read(row)
    facts = read.statements[0].facts
    assert (facts["resolved_at"], facts["closed_at"]) == (resolved, closed)
    assert len(read.dropped) == [resolved, closed].count(None)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "false_positive"),
        ("Duplicate", "duplicate"),
        ("Solved (Permanently)", "false_positive"),
    ],
)
def test_a_cancelled_incident_is_dismissed(code, reason):
    row = incident(state="8", close_code=code)
    assert told(row).facts["dismissed"] == reason
    options = Options(values={"dismissed": {"canceled": "expected", "duplicate": "external"}})
    assert told(row, options).facts["dismissed"] in {
        DismissalReason.EXPECTED,
        DismissalReason.EXTERNAL,
    }


@pytest.mark.parametrize(
    ("priority", "severity"),
    [("1", "P1"), ("2", "P2"), ("3", "P3"), ("4", "P4"), ("5", "P4"), ("9", None), ("", None)],
)
def test_each_priority(priority, severity):
    row = incident(priority=priority)
    assert told(row).facts.get("severity") == severity
    mapped = Options(values={"severity": {"9": "P3", "1": ""}})
    expected = {"9": "P3", "1": None}.get(priority, severity)
    assert told(row, mapped).facts.get("severity") == expected


def test_the_durations_that_it_states_and_the_environment():
    row = incident(calendar_stc="5400", u_environment="prod", work_start="2026-03-06 12:05:00")
    facts = told(row).facts
    assert facts["stated_time_to_restore"] == 5_400_000_000
    assert facts["environment"] == "prod"
    assert facts["marks"] == {"work started": at("12:05")}


def test_a_row_of_another_table_is_listed_and_one_without_sys_id_refused():
    read = INCIDENTS.read(incident(sys_class_name="problem"))
    assert (read.statements, read.dropped[0].what) == ((), "sys_class_name")
    assert told(incident(sys_class_name="incident")).id == ID
    with pytest.raises(InvalidValue, match="sys_id"):
        INCIDENTS.read(incident(sys_id=""))


def test_a_list_of_rows():
    rows = {"result": [incident(), incident(sys_id=OTHER_ID)]}
    assert [told(row).id for row in payloads_of(rows, INCIDENTS)] == [ID, OTHER_ID]


# --- changes --------------------------------------------------------------------------------------


def change(**more):
    return {
        "sys_id": CHANGE_ID,
        "number": "CHG0030001",
        "short_description": "New switch",
        "type": "normal",
        "state": "3",
        "risk": "3",
        "category": "Network",
        "priority": "4",
        "opened_at": "2026-03-06 08:00:00",
        "start_date": "2026-03-06 11:00:00",
        "end_date": "2026-03-06 12:00:00",
        "work_start": "2026-03-06 11:05:00",
        "work_end": "2026-03-06 11:50:00",
        "closed_at": "2026-03-06 14:00:00",
        "close_code": "successful",
        "approval": "approved",
        "approval_set": "2026-03-06 09:00:00",
        "requested_by": {"link": "https://x/sys_user/6816", "value": "6816"},
        "assigned_to": "",
        "unauthorized": "false",
        "backout_plan": "Plug the old one in",
        "cmdb_ci": {"display_value": "switch-7", "value": "281c", "link": "https://x/281c"},
        "sys_updated_on": "2026-03-06 14:00:00",
        "sys_mod_count": "12",
        **more,
    }


def test_a_change_that_was_closed():
    read = CHANGES.read(change())
    [said] = read.statements
    assert (said.kind, said.id, said.status, said.sequence) == ("change", CHANGE_ID, "3", 12)
    facts = {name: value for name, value in said.facts.items() if name != "labels"}
    assert facts == {
        "title": "New switch",
        "services": ("switch-7",),
        "type": ChangeType.NORMAL,
        "risk": Risk.MODERATE,
        "requested_by": "6816",
        "requested_at": at("08:00"),
        "window": Window(start=at("11:00"), end=at("12:00")),
        "started_at": at("11:05"),
        "deployed_at": at("11:50"),
        "approved_at": at("09:00"),
        "closed_at": at("14:00"),
        "status": "successful",
    }
    assert said.facts["labels"]["number"] == "CHG0030001"
    assert [(each.what, each.value) for each in read.dropped] == [
        ("kind", "Network"),
        ("backout_plan", "Plug the old one in"),
    ]
    options = Options(values={"kind": {"network": "firewall"}})
    assert CHANGES.read(change(), options).statements[0].facts["kind"] is Kind.FIREWALL


@pytest.mark.parametrize("state", ["-5", "-4", "-3", "-2", "-1", "0"])
def test_one_that_is_not_closed_has_no_end(state):
    facts = told(change(state=state, close_code=""), format_=CHANGES).facts
    assert (facts["closed_at"], "status" in facts) == (None, False)


def test_a_cancelled_change():
    facts = told(change(state="4", work_start="", work_end=""), format_=CHANGES).facts
    assert (facts["cancelled_at"], facts["status"]) == (at("14:00"), "cancelled")
    assert ("closed_at" in facts, facts["deployed_at"]) == (False, None)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("successful", "successful"),
        ("successful_issues", "successful"),
        ("unsuccessful", "failed"),
        ("Odd", None),
        ("", None),
    ],
)
def test_each_close_code(code, outcome):
    assert told(change(close_code=code), format_=CHANGES).facts.get("status") == outcome


@pytest.mark.parametrize(
    ("risk", "ours"),
    [("1", "high"), ("2", "high"), ("3", "moderate"), ("4", "low"), ("High", "high"), ("x", None)],
)
def test_each_risk(risk, ours):
    assert told(change(risk=risk), format_=CHANGES).facts.get("risk") == ours


def test_types_and_one_that_nobody_authorised():
    assert told(change(type="emergency"), format_=CHANGES).facts["type"] is ChangeType.EMERGENCY
    assert told(change(unauthorized="true"), format_=CHANGES).facts["type"] is ChangeType.OBSERVED
    assert "type" not in told(change(type="a model"), format_=CHANGES).facts


def test_an_approval_that_is_none_and_a_window_with_one_end():
    row = change(approval="requested", end_date="")
    read = CHANGES.read(row)
    assert read.statements[0].facts["approved_at"] is None
    assert "window" not in read.statements[0].facts
    assert "window" in {each.what for each in read.dropped}


# --- the audit log --------------------------------------------------------------------------------


def audit(field, old, new, **more):
    return {
        "sys_id": "00ff",
        "tablename": "incident",
        "documentkey": ID,
        "fieldname": field,
        "oldvalue": old,
        "newvalue": new,
        "user": "zoe",
        "sys_created_on": "2026-03-06 12:30:00",
        **more,
    }


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("1", "2", "acknowledged"),
        ("2", "6", "resolved"),
        ("6", "7", "closed"),
        ("6", "2", "reopened"),
        ("7", "1", "reopened"),
        ("8", "2", "reopened"),
        ("2", "3", None),
        ("", "1", None),
    ],
)
def test_each_change_of_state_of_an_incident(old, new, what):
    read = AUDIT.read(audit("state", old, new))
    assert [s.happened for s in read.statements] == (
        [] if what is None else [(Happening(what, at("12:30"), "zoe"),)]
    )
    for said in read.statements:
        assert (said.id, said.said_at, said.delivery, said.status) == (ID, at("12:30"), "00ff", new)


@pytest.mark.parametrize(
    ("new", "what"), [("-1", "started"), ("0", "deployed"), ("3", "closed"), ("4", "cancelled")]
)
def test_each_change_of_state_of_a_change(new, what):
    said = told(audit("state", "-2", new, tablename="change_request"), format_=AUDIT)
    assert (said.kind, said.happened) == ("change", (Happening(what, at("12:30"), "zoe"),))
    approved = audit("approval", "requested", "approved", tablename="change_request")
    assert told(approved, format_=AUDIT).happened[0].what == "approved"


def changed(field, new):
    return audit(field, "", new, tablename="change_request")


@pytest.mark.parametrize("field", ["start_date", "end_date", "work_start", "approval", "journal"])
def test_what_has_no_place_in_a_change_is_listed(field):
    read = AUDIT.read(changed(field, "requested"))
    assert (read.statements, len(read.dropped)) == ((), 1)


def test_other_fields_of_the_audit_log_are_facts():
    for row, facts in [
        (audit("priority", "3", "1"), {"severity": Severity.P1, "severity_name": "1"}),
        (audit("short_description", "", "Down"), {"title": "Down"}),
        (audit("caused_by", "", CHANGE_ID), {"caused_by": (CHANGE_ID,)}),
        (audit("rfc", CHANGE_ID, ""), {"fixed_by": None}),
        (audit("opened_at", "", "2026-03-06 12:00:00"), {"detected_at": at("12:00")}),
        (audit("assignment_group", "a", ""), {"labels": {"team": None}}),
        (audit("state", "2", "8"), {"dismissed": DismissalReason.FALSE_POSITIVE}),
        (audit("business_service", "", "27d3"), {"services": ("27d3",)}),
        (audit("contact_type", "", "email"), {"channel": Channel.USER}),
        (audit("parent_incident", "", OTHER_ID), {"child_of": OTHER_ID}),
        (changed("risk", "2"), {"risk": Risk.HIGH}),
        (changed("type", "emergency"), {"type": ChangeType.EMERGENCY}),
        (changed("requested_by", "6816"), {"requested_by": "6816"}),
        (changed("assigned_to", "6817"), {"implemented_by": "6817"}),
        (changed("category", "Other"), {"labels": {"category": "Other"}, "kind": Kind.OTHER}),
        (
            changed("close_code", "unsuccessful"),
            {"labels": {"close code": "unsuccessful"}, "status": "failed"},
        ),
    ]:
        assert dict(told(row, format_=AUDIT).facts) == facts


@pytest.mark.parametrize("field", ["resolved_at", "closed_at", "incident_state", "work_notes"])
def test_what_the_state_tells_or_has_no_place_is_listed(field):
    read = AUDIT.read(audit(field, "", "2026-03-06 12:29:00"))
    assert (read.statements, [each.value for each in read.dropped]) == ((), [field])


def test_the_field_of_the_state_may_be_another_and_other_tables_are_listed():
    options = Options(values={"field": {"state": "incident_state"}})
    assert told(audit("incident_state", "2", "6"), options, AUDIT).happened[0].what == "resolved"
    assert AUDIT.read(audit("state", "2", "6"), options).statements == ()
    assert AUDIT.read(audit("state", "1", "2", tablename="problem")).dropped[0].value == "problem"
    with pytest.raises(InvalidValue, match="documentkey"):
        AUDIT.read(audit("state", "1", "2", documentkey=""))


def test_all_three_are_one_source_so_that_ids_name_each_other():
    assert {made.source for made in (INCIDENTS, CHANGES, AUDIT)} == {"servicenow"}


@pytest.mark.parametrize("made", [INCIDENTS, CHANGES, AUDIT])
def test_anything_is_read_or_refused(made):
    shown = incident(state=both("6", "Resolved"), caused_by={"display_value": "C", "link": "x/y"})
    samples = [{"result": incident()}, shown, change(), audit("state", "2", "6")]
    samples += [audit("rfc", "", "x"), audit("approval", "", "approved")]
    reads_or_refuses(made.read, samples)
    reads_or_refuses(made.read, samples, Options(tz="Europe/Oslo"))


@pytest.mark.parametrize(
    ("format_", "row", "why"),
    [
        (INCIDENTS, {"state": "Resolved"}, "no resolved_at"),
        (INCIDENTS, {"state": "7"}, "no resolved_at"),
        (CHANGES, {"state": "3", "sys_class_name": "change_request"}, "no closed_at"),
    ],
)
def test_an_end_of_which_no_moment_is_told_is_listed(format_, row, why):
    """It is over by its status, and no figure can say since when: nothing is invented."""
    read = format_.read(incident(**row), Options(tz="UTC"))
    assert why in {each.what: each.why for each in read.dropped}["state"]
    assert read.statements[0].happened == ()


def test_words_that_are_taken_are_told_before_numbers():
    [dropped] = INCIDENTS.read(incident(state="Bananas"), Options(tz="UTC")).dropped
    assert "not known (active, " in dropped.why
    assert " more); say what it means under values.status" in dropped.why
