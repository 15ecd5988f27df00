"""Every format of the registry can be had, and says of itself what its docs need."""

import re

import pytest

from imcm.domain.vocabulary import Severity
from imcm.interchange.formats import FORMATS, Format, format_named


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
