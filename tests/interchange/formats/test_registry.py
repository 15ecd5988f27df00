"""Every format of the registry can be had, and says of itself what its docs need."""

import re

import pytest

from imcm.domain.vocabulary import Severity
from imcm.errors import InvalidValue
from imcm.interchange.formats import FORMATS, Format, format_named
from imcm.interchange.payload_files import read_files
from imcm.interchange.payloads import Options
from imcm.interchange.receiver import WebhookSource
from imcm.interchange.signatures import signatures


def test_they_stand_in_the_order_of_their_names():
    assert list(FORMATS) == sorted(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_each_says_what_it_is(name):
    made = format_named(name)
    assert isinstance(made, Format)
    assert (made.name, made.source) == (name, made.source.strip())
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert made.title
    assert made.statuses
    assert made.order in {"time", "number", "receipt"}
    for theirs, ours in made.severities.items():
        assert theirs == theirs.casefold()
        assert ours == "" or Severity(ours)


# --- words that the options may say ---


@pytest.mark.parametrize("name", FORMATS)
def test_options_say_only_what_a_format_asks(name):
    made = format_named(name)
    assert list(made.words) == sorted(set(made.words))
    asked = {fact: {"theirs": "ours"} for fact in made.words}
    made.check(Options(values=asked))
    made.check(
        Options(values={"field": dict.fromkeys(made.fields, "place")} if made.fields else {})
    )
    with pytest.raises(InvalidValue, match=rf"values: 'severty'.*{name} asks for"):
        made.check(Options(values={**asked, "severty": {"theirs": "P1"}}))


def test_a_misspelt_word_is_refused_before_anything_is_read(tmp_path):
    made = format_named("alertmanager")
    wrong = Options(values={"Severity": {"page": "P1"}})
    with pytest.raises(InvalidValue, match=r"values: 'Severity'.*near: severity"):
        made.read({}, wrong)
    with pytest.raises(InvalidValue, match=r"values: 'Severity'"):
        next(read_files([tmp_path / "is not there"], made, wrong))
    with pytest.raises(InvalidValue, match=r"values: 'Severity'"):
        WebhookSource(format=made, signatures=signatures("bearer", ["s" * 32]), options=wrong)


def test_a_misspelt_field_of_ones_own_is_refused():
    made = format_named("jira-changes")
    wrong = Options(values={"field": {"planed_start": "customfield_10001"}})
    with pytest.raises(InvalidValue, match=r"values\.field: 'planed_start'.*near: planned_start"):
        made.check(wrong)
    made.check(Options(values={"field": {"Planned_Start": "customfield_10001"}}))
    with pytest.raises(InvalidValue, match=r"values: 'field'.*grafana asks for severity"):
        format_named("grafana").check(Options(values={"field": {"risk": "r"}}))
