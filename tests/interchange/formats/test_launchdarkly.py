"""LaunchDarkly's audit-log entries: samples of their documented shape, with their traps."""

from datetime import UTC, datetime

import pytest
from hypothesis import given

from any_json import OPTIONS, payloads, reads_or_refuses
from imcm.domain.vocabulary import Kind
from imcm.errors import InvalidValue
from imcm.interchange.formats import format_named, payloads_of
from imcm.interchange.formats.launchdarkly import NO_CHANGE
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Happening

FORMAT = format_named("launchdarkly")
READ = FORMAT.read
NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def access(action="updateOn", environment="production", flag="new-cart"):
    return {"action": action, "resource": f"proj/shop:env/{environment}:flag/{flag}"}


def entry(*accesses, **more):
    return {
        "_id": "57c0a8e2",
        "_accountId": "1234",
        "date": 1772798400000,
        "accesses": list(accesses) or [access()],
        "kind": "flag",
        "name": "New cart",
        "description": "",
        "shortDescription": "",
        "comment": "try it",
        "member": {"_id": "507f", "email": "ann@shop.example", "firstName": "Ann"},
        "titleVerb": "turned on the flag",
        "title": "Ann turned on the flag New cart in Production",
        "target": {"name": "New cart", "resources": ["proj/shop:env/production:flag/new-cart"]},
        "_links": {"site": {"href": "https://app.launchdarkly.com/x", "type": "text/html"}},
        **more,
    }


def test_a_changed_flag_is_a_change_in_production_at_its_date():
    [said] = READ(entry()).statements
    assert (said.kind, said.id, said.said_at, said.delivery, said.status) == (
        "change",
        "57c0a8e2",
        NOON,
        "57c0a8e2",
        "turned on the flag",
    )
    assert said.happened == (Happening("deployed", NOON, "ann@shop.example"),)
    assert dict(said.facts) == {
        "title": "turned on the flag New cart",
        "kind": Kind.FEATURE_FLAG,
        "requested_by": "ann@shop.example",
        "environment": "production",
        "labels": {"project": "shop", "flag": "new-cart", "action": "updateOn"},
        "references": {"entry": "https://app.launchdarkly.com/x"},
    }


def test_what_arrives_first_is_not_what_happened_first():
    late = READ(entry(date="1772798460000")).statements[0]
    early = READ(entry(_id="57c0a8e1")).statements[0]
    assert sorted([late, early], key=lambda said: said.said_at) == [early, late]


def test_a_flag_changed_in_several_environments_is_a_change_in_each():
    several = entry(access(), access(environment="test"), access("updateRules"))
    said = READ(several).statements
    assert [(each.id, each.facts["environment"]) for each in said] == [
        ("57c0a8e2/production", "production"),
        ("57c0a8e2/test", "test"),
    ]
    assert said[0].facts["labels"]["action"] == "updateOn, updateRules"


def test_tags_in_a_resource_are_no_part_of_its_names():
    tagged = {"action": "updateOn", "resource": "proj/shop;a,b:env/production;c:flag/new-cart;d"}
    [said] = READ(entry(tagged)).statements
    assert said.facts["labels"]["flag"] == "new-cart"
    assert said.facts["environment"] == "production"


@pytest.mark.parametrize("action", sorted(NO_CHANGE))
def test_what_changes_nothing_for_users_is_listed(action):
    read = READ(entry(access(action, environment="*")))
    assert (read.statements, [each.value for each in read.dropped]) == ((), [action])


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (entry(kind="project"), "kind"),
        (entry(date=0), "date"),
        (entry(date=[]), "date"),
        (entry(access(environment="*")), "accesses[0].resource"),
        (entry({"action": "updateOn", "resource": "proj/shop"}), "accesses[0].resource"),
    ],
)
def test_what_does_not_fit_is_listed(payload, what):
    read = READ(payload)
    assert read.statements == ()
    assert what in [each.what for each in read.dropped]


@pytest.mark.parametrize("names", [{"new-cart": "checkout"}, {"shop": "checkout"}])
def test_a_flag_has_the_service_that_the_options_give(names):
    [said] = READ(entry(), Options(values={"service": names})).statements
    assert said.facts["services"] == ("checkout",)


def test_the_list_of_the_api_is_read_entry_by_entry():
    assert len(list(payloads_of({"items": [entry(), entry()], "_links": {}}, FORMAT))) == 2


def test_what_can_not_be_told_apart_is_refused():
    with pytest.raises(InvalidValue, match="_id"):
        READ(entry(_id=""))


@given(payloads([entry(), entry(access(), access(environment="test"))]), OPTIONS)
def test_anything_is_read_or_refused(payload, options):
    reads_or_refuses(READ, payload, options)
