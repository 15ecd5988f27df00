"""Jira: issues with their changelog as incidents, changes of Jira Service Management, webhooks."""

from datetime import datetime
from itertools import pairwise

import pytest

from imcm import Ledger, facts, record_statements
from imcm.domain.vocabulary import ChangeType, DismissalReason, Risk, Severity, Window
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from imcm.interchange.formats.jira import CHANGE_STATUSES, INCIDENT_STATUSES
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening, Statement
from odd_payloads import reads_or_refuses

JIRA = format_named("jira")
CHANGES = format_named("jira-changes")
ZOE = {"accountId": "557:zoe", "emailAddress": "zoe@x.io", "displayName": "Zoe"}


def at(clock):
    return datetime.fromisoformat(f"2026-03-06T{clock}:00+00:00")


def history(clock, field, before, after):
    return {
        "id": f"h-{clock}",
        "author": ZOE,
        "created": f"2026-03-06T{clock}:00.000+0000",
        "items": [{"field": field, "fieldtype": "jira", "fromString": before, "toString": after}],
    }


def issue(*histories, log=True, **fields):
    made = {
        "id": "10042",
        "key": "OPS-42",
        "self": "https://x.atlassian.example/rest/api/3/issue/10042",
        "fields": {
            "summary": "Checkout is down",
            "issuetype": {"name": "[System] Incident"},
            "project": {"key": "OPS"},
            "status": {"name": "Done"},
            "priority": {"name": "High"},
            "labels": ["db", "eu"],
            "components": [{"name": "pay"}],
            "created": "2026-03-06T13:00:00.000+0100",
            "updated": "2026-03-06T13:00:00.000+0000",
            "resolutiondate": "2026-03-06T12:45:00.000+0000",
            "resolution": {"name": "Done"},
            "reporter": {"accountId": "557:abe"},
            "assignee": ZOE,
            **fields,
        },
    }
    if log:
        made["changelog"] = {"total": len(histories), "histories": list(histories)}
    return made


def steps(*statuses, made=JIRA, options=None):
    """Return what happens when an issue goes through statuses, one a minute."""
    log = [
        history(f"12:{minute:02}", "status", before, after)
        for minute, (before, after) in enumerate(pairwise(statuses))
    ]
    read = made.read(issue(*log), options) if options else made.read(issue(*log))
    happened = read.statements[-1].happened
    return [each.what for each in happened if each.what != "detected"], read.dropped


def test_an_issue_with_its_changelog_tells_what_happened():
    log = [
        history("12:40", "status", "In Progress", "Done"),
        history("12:10", "status", "To Do", "In Progress"),
        history("12:20", "description", "a", "b"),
    ]
    read = JIRA.read(issue(*log))
    [said] = read.statements
    assert (said.kind, said.id, said.said_at, said.status) == (
        "incident",
        "OPS-42",
        at("13:00"),
        "Done",
    )
    assert said.happened == (
        Happening("detected", at("12:00"), "557:abe"),
        Happening("acknowledged", at("12:10"), "557:zoe"),
        Happening("resolved", at("12:40"), "557:zoe"),
    )
    assert dict(said.facts) == {
        "title": "Checkout is down",
        "severity": Severity.P2,
        "severity_name": "High",
        "services": ("pay",),
        "dismissed": None,
        "labels": {
            "key": "OPS-42",
            "project": "OPS",
            "type": "[System] Incident",
            "assignee": "557:zoe",
            "resolution": "Done",
            "labels": "db;eu",
        },
        "references": {"issue": "https://x.atlassian.example/browse/OPS-42"},
    }
    assert read.dropped == ()


@pytest.mark.parametrize(
    ("statuses", "what"),
    [
        (["To Do", "In Progress", "Done"], ["acknowledged", "resolved"]),
        (["To Do", "Done", "Closed"], ["resolved", "closed"]),
        (["To Do", "Done", "In Progress", "Done"], ["resolved", "reopened", "resolved"]),
        (["To Do", "Closed", "To Do"], ["closed", "reopened"]),
        (["To Do", "Monitoring", "In Progress"], ["mitigated", "reopened"]),
        (["Done", "Monitoring", "Done"], ["reopened", "mitigated", "resolved"]),
        (["Done", "Completed"], []),
        (["To Do", "Canceled", "To Do"], ["reopened"]),
        (["In Progress", "Investigating"], []),
    ],
)
def test_each_way_through_the_statuses(statuses, what):
    assert steps(*statuses) == (what, ())


def test_statuses_of_ones_own_are_mapped_or_listed_once():
    what, dropped = steps("To Do", "Firefighting", "Verified", "Firefighting", "Verified")
    assert (what, [each.value for each in dropped]) == ([], ["Firefighting", "Verified"])
    options = Options(values={"status": {"Firefighting": "acknowledged", "verified": "resolved"}})
    what, dropped = steps("To Do", "Firefighting", "Verified", "Firefighting", options=options)
    assert (what, dropped) == (["acknowledged", "resolved", "reopened"], ())
    odd = Options(values={"status": {"Firefighting": "on fire"}})
    assert [each.value for each in steps("To Do", "Firefighting", options=odd)[1]] == ["on fire"]


def test_the_last_end_may_not_be_left_for_another():
    what, dropped = steps("To Do", "Closed", "Done")
    assert (what, [each.value for each in dropped]) == (["closed"], ["Closed to Done"])


def test_without_a_changelog_the_date_of_the_resolution_counts():
    [said] = JIRA.read(issue(log=False)).statements
    assert said.facts["resolved_at"] == at("12:45")
    [said] = JIRA.read(issue(log=False, resolutiondate=None)).statements
    assert said.facts["resolved_at"] is None
    stale = JIRA.read(issue(log=False, status={"name": "In Progress"}))
    assert stale.statements[0].facts["resolved_at"] is None
    assert "resolved_at" not in JIRA.read(issue()).statements[0].facts


def test_a_changelog_that_came_in_part_is_listed():
    made = issue(history("12:10", "status", "To Do", "Done"))
    made["changelog"]["total"] = 120
    assert [(each.what, each.value) for each in JIRA.read(made).dropped] == [
        ("changelog.total", "1 of 120")
    ]


def test_severities_that_it_had_before_are_said_at_their_times():
    log = [
        history("12:20", "priority", "Low", "Highest"),
        history("12:50", "priority", "Highest", "High"),
    ]
    statements = JIRA.read(issue(*log)).statements
    assert [(s.said_at, s.facts["severity"]) for s in statements] == [
        (at("12:00"), Severity.P4),
        (at("12:20"), Severity.P1),
        (at("13:00"), Severity.P2),
    ]


@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        ("Highest", "P1"),
        ("High", "P2"),
        ("Medium", "P3"),
        ("Low", "P4"),
        ("Lowest", "P4"),
        ("Blocker", "P1"),
        ("P3", "P3"),
        ("Odd", None),
    ],
)
def test_each_priority(priority, severity):
    [said] = JIRA.read(issue(priority={"name": priority})).statements
    assert (said.facts.get("severity"), said.facts["severity_name"]) == (severity, priority)


def test_duplicates_and_causes_stand_in_the_links():
    def link(name, **other):
        kinds = {
            "duplicates": {"inward": "is duplicated by", "outward": "duplicates"},
            "causes": {"inward": "is caused by", "outward": "causes"},
        }
        return {"type": {"name": name, **kinds[name]}, **other}

    links = [
        link("duplicates", outwardIssue={"id": "10001", "key": "OPS-1"}),
        link(
            "causes",
            inwardIssue={
                "id": "10007",
                "key": "CHG-7",
                "fields": {"issuetype": {"name": "[System] Change"}},
            },
        ),
        link("causes", inwardIssue={"id": "10008", "key": "PRB-8"}),
    ]
    read = JIRA.read(issue(issuelinks=links, resolution={"name": "Duplicate"}))
    facts = read.statements[0].facts
    assert (facts["merged_into"], facts["caused_by"]) == ("OPS-1", ("CHG-7",))
    assert "dismissed" not in facts
    assert [each.value for each in read.dropped] == ["causes / is caused by: PRB-8"]
    alone = JIRA.read(issue(resolution={"name": "Duplicate"})).statements[0].facts
    assert alone["dismissed"] is DismissalReason.DUPLICATE
    cancelled = JIRA.read(issue(status={"name": "Canceled"})).statements[0].facts
    assert cancelled["dismissed"] is DismissalReason.FALSE_POSITIVE


def test_an_issue_is_its_key_and_goes_on_under_what_it_was_called_before():
    """A ledger that knows it by its number, or by the key that it had, does not get it twice."""
    moved = issue(
        history("12:20", "Key", "WEB-7", "OPS-42"), history("12:40", "status", "To Do", "Done")
    )
    [said] = JIRA.read(moved).statements
    assert (said.id, said.aliases) == ("OPS-42", {"OPS-42": ("WEB-7", "10042")})
    for before in ("10042", "WEB-7", "OPS-42"):
        with Ledger.in_memory() as ledger:
            older = Statement(kind="incident", id=before, happened=said.happened[:1])
            record_statements(ledger, [older], source="jira")
            taken = record_statements(ledger, [said], source="jira")
            assert (taken.new, taken.things) == (0, 1)
            [row] = facts(ledger.replay()).incidents
            assert (row.id, row.resolved_at) == (f"jira/{before}", at("12:40"))
            assert record_statements(ledger, [said], source="jira").events == 0


def test_links_name_issues_by_what_they_are_called_in_the_ledger():
    """Changes that a ledger has by their numbers stay the causes that are named by their keys."""
    kinds = {"inward": "is caused by", "outward": "causes"}
    other = {"id": "10007", "key": "CHG-7", "fields": {"issuetype": {"name": "Change"}}}
    linked = issue(issuelinks=[{"type": kinds, "inwardIssue": other}])
    change = {**issue(), "id": "10007", "key": "CHG-7"}
    for number in (True, False):
        with Ledger.in_memory() as ledger:
            [told] = CHANGES.read(change).statements
            if number:
                told = Statement(kind="change", id="10007", facts={"title": "Basket 2"})
            record_statements(ledger, [told], source="jira")
            taken = record_statements(ledger, JIRA.read(linked).statements, source="jira")
            assert taken.unknown_named == ()
            [row] = facts(ledger.replay()).incidents
            assert list(row.verdicts) == [f"jira/{'10007' if number else 'CHG-7'}"]


def test_a_move_within_one_import_is_one_issue():
    """Its webhooks before and after the move come together, in whatever order."""
    before = {**issue(log=False), "key": "WEB-7"}
    after = issue(history("12:20", "Key", "WEB-7", "OPS-42"))
    for some in ((before, after), (after, before)):
        with Ledger.in_memory() as ledger:
            said = [each for one in some for each in JIRA.read(one).statements]
            assert record_statements(ledger, said, source="jira").things == 1
            assert len(facts(ledger.replay()).incidents) == 1


def test_fields_of_ones_own_are_named_or_found_by_their_names():
    fields = {
        "customfield_1": [{"value": "cart"}, {"value": "pay"}],
        "customfield_2": "2026-03-06T12:50:00.000+0100",
        "customfield_3": {"value": "SEV-A"},
    }
    named = {"services": "customfield_1", "impact_started": "customfield_2"}
    options = Options(
        values={
            "field": {**named, "severity": "customfield_3"},
            "severity": {"sev-a": "P1"},
        }
    )
    [said] = JIRA.read(issue(**fields), options).statements
    assert said.facts["services"] == ("cart", "pay")
    assert said.facts["impact_started_at"] == at("11:50")
    assert (said.facts["severity"], said.facts["severity_name"]) == (Severity.P1, "SEV-A")
    made = {**issue(**fields), "names": {"customfield_2": "Impact start", "customfield_1": "Odd"}}
    [said] = JIRA.read(made).statements
    assert (said.facts["impact_started_at"], said.facts["services"]) == (at("11:50"), ("pay",))


def test_a_webhook_tells_its_one_step():
    made = issue(log=False)
    hook = {
        "timestamp": 1772800500000,
        "webhookEvent": "jira:issue_updated",
        "user": ZOE,
        "issue": made,
        "changelog": {
            "id": "h9",
            "items": [{"field": "status", "fromString": "To Do", "toString": "Done"}],
        },
    }
    [said] = JIRA.read(hook).statements
    assert said.happened[1] == Happening("resolved", at("12:35"), "557:zoe")
    assert "resolved_at" not in said.facts  # the changelog tells it
    assert not said.gone
    del hook["changelog"]
    [said] = JIRA.read({**hook, "webhookEvent": "jira:issue_deleted"}).statements
    assert said.gone


def test_lists_and_what_is_refused():
    assert len(list(payloads_of({"issues": [issue(), issue()], "total": 2}, JIRA))) == 2
    with pytest.raises(InvalidValue, match="id"):
        JIRA.read({"self": "https://x.example", "fields": {}})
    with pytest.raises(InvalidValue, match="no UTC offset"):
        JIRA.read(issue(created="2026-03-06 12:00:00"))


def test_the_statuses_that_are_known_are_shown():
    assert set(JIRA.statuses) == set(INCIDENT_STATUSES)
    assert set(CHANGES.statuses) == set(CHANGE_STATUSES)


# --- changes --------------------------------------------------------------------------------------

FIELDS = {
    "planned_start": "customfield_10050",
    "planned_end": "customfield_10051",
    "risk": "customfield_10052",
    "type": "customfield_10053",
    "approvals": "customfield_10054",
    "outcome": "customfield_10055",
}
OPTIONS = Options(values={"field": FIELDS})


def approval(decision="approved", *who, completed=1772791200000):
    return {
        "id": "1",
        "name": "Change manager approval",
        "finalDecision": decision,
        "approvers": [
            {"approver": {"accountId": name}, "approverDecision": "approved"} for name in who
        ],
        "createdDate": {"iso8601": "2026-03-06T09:00:00+0000", "epochMillis": 1772787600000},
        "completedDate": {"iso8601": "2026-03-06T10:00:00+0000", "epochMillis": completed},
    }


def change(*histories, **fields):
    given = {
        "customfield_10050": "2026-03-06T12:00:00.000+0100",
        "customfield_10051": "2026-03-06T13:00:00.000+0100",
        "customfield_10052": {"value": "Medium", "id": "1"},
        "customfield_10053": {"value": "Normal", "id": "2"},
        "customfield_10054": [approval("approved", "557:kim")],
        "customfield_10055": None,
        "issuetype": {"name": "[System] Change"},
        "status": {"name": "Completed"},
    }
    return issue(*histories, **{**given, **fields})


DONE = [
    history("10:30", "status", "Awaiting approval", "Awaiting implementation"),
    history("11:05", "status", "Awaiting implementation", "Implementing"),
    history("11:50", "status", "Implementing", "Completed"),
]


def test_a_change_with_window_risk_and_approval():
    read = CHANGES.read(change(*DONE), OPTIONS)
    [said] = read.statements
    assert (said.kind, said.id, said.said_at, read.dropped) == ("change", "OPS-42", at("13:00"), ())
    assert said.happened == (
        Happening("approved", at("10:00"), "557:kim"),
        Happening("started", at("11:05"), "557:zoe"),
        Happening("deployed", at("11:50"), "557:zoe"),
    )
    facts = {name: value for name, value in said.facts.items() if name != "labels"}
    assert facts == {
        "title": "Checkout is down",
        "services": ("pay",),
        "references": {"issue": "https://x.atlassian.example/browse/OPS-42"},
        "requested_at": at("12:00"),
        "requested_by": "557:abe",
        "implemented_by": "557:zoe",
        "risk": Risk.MODERATE,
        "type": ChangeType.NORMAL,
        "window": Window(start=at("11:00"), end=at("12:00")),
    }
    assert said.facts["labels"]["approval"] == "approved"


def test_without_an_approval_that_tells_when_the_status_does():
    [said] = CHANGES.read(change(*DONE, customfield_10054=[]), OPTIONS).statements
    assert said.happened[0] == Happening("approved", at("10:30"), "557:zoe")
    pending = approval("pending") | {"completedDate": None}
    [said] = CHANGES.read(change(customfield_10054=[pending]), OPTIONS).statements
    assert (said.happened, said.facts["labels"]["approval"]) == ((), "pending")


def test_of_several_approvers_nobody_is_the_one():
    given = [approval("approved", "557:kim", "557:ada")]
    [said] = CHANGES.read(change(customfield_10054=given), OPTIONS).statements
    assert said.happened == (Happening("approved", at("10:00")),)
    assert said.facts["labels"]["approved by"] == "557:kim, 557:ada"


def test_fields_are_found_by_their_names_and_missed_by_name():
    names = {"customfield_10050": "Planned start", "customfield_10051": "Planned end"}
    [said] = CHANGES.read({**change(), "names": names}).statements
    assert said.facts["window"] == Window(start=at("11:00"), end=at("12:00"))
    read = CHANGES.read(change())
    assert [each.why for each in read.dropped] == [
        "say under values.field which field is planned_start"
    ]


@pytest.mark.parametrize(
    ("status", "fact", "when"),
    [
        ("Completed", "deployed_at", at("12:45")),
        ("Failed", "failed_at", at("12:45")),
        ("Declined", "cancelled_at", at("12:45")),
        ("Closed", "closed_at", at("12:45")),
        ("Odd", "closed_at", at("12:45")),
        ("Implementing", "closed_at", None),
    ],
)
def test_without_a_changelog_it_ended_as_its_status_says(status, fact, when):
    made = issue(log=False, status={"name": status})
    assert CHANGES.read(made, OPTIONS).statements[0].facts[fact] == when


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ("Awaiting implementation", ["approved"]),
        ("Implementing", ["started"]),
        ("Completed", ["deployed"]),
        ("Failed", ["failed"]),
        ("Rolled back", ["rolled_back"]),
        ("Closed", ["closed"]),
        ("Declined", ["cancelled"]),
        ("Planning", []),
    ],
)
def test_each_status_of_a_change(status, what):
    assert steps("Open", status, made=CHANGES)[0] == what


@pytest.mark.parametrize(
    ("word", "ours"),
    [("Successful", "successful"), ("Rolled back", "rolled_back"), ("Odd", None), (None, None)],
)
def test_each_outcome(word, ours):
    given = None if word is None else {"value": word}
    [said] = CHANGES.read(change(customfield_10055=given), OPTIONS).statements
    assert said.facts.get("status") == ours


@pytest.mark.parametrize("made", [JIRA, CHANGES])
def test_anything_is_read_or_refused(made):
    link = {"type": {"outward": "duplicates"}, "outwardIssue": {"id": "1", "key": "A-1"}}
    samples = [
        issue(*DONE, issuelinks=[link], resolution={"name": "duplicate"}),
        change(*DONE),
        {**change(log=False), "names": {"customfield_10050": "Planned start"}},
        {"webhookEvent": "x", "timestamp": 1, "issue": issue(), "changelog": {"items": [{}]}},
    ]
    reads_or_refuses(made.read, samples)
    reads_or_refuses(made.read, samples, OPTIONS)
