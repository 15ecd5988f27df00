"""
Payloads that nobody meant to send: anything JSON can tell, and real samples with a part of them
replaced by anything. Every format answers them with what it read or with `InvalidValue`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.errors import InvalidValue
from imcm.interchange.payloads import DEFAULT, Options
from imcm.interchange.statements import Read

WRONG_TEXTS = ["", " ", "\x00", "a\nb", "\u202e", "\ud800", "x" * 300, "9" * 25, "2026-13-45"]
WRONG_TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-03-29T01:30:00"]
WRONG_VALUES = [0, -1, 1 << 63, 1e308, float("nan"), True, False, None, [], {}, [[]], {"": ""}]
ODD = st.sampled_from([*WRONG_TEXTS, *WRONG_TIMES, *WRONG_VALUES])
JSON = st.recursive(
    ODD | st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def places(value: object, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each part of nested data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in inner if isinstance(value, (dict, list)) else ():
        yield (*at, key)
        if isinstance(each, (dict, list)):
            yield from places(each, (*at, key))


@st.composite
def garbled(draw, samples):
    """Draw a sample of which up to three parts are replaced by anything, or taken away."""
    sample = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places(sample)) or [("x",)]))
        holder = sample
        for key in way:
            holder = holder[key]
        if isinstance(holder, dict) and draw(st.booleans()):
            holder.pop(last, None)
        else:
            holder[last] = copy.deepcopy(draw(JSON))
    return sample


def survives(read, samples):
    """Assert that a format answers whatever it is given, with and without a zone."""

    @settings(max_examples=150, deadline=None)
    @given(
        st.dictionaries(st.text(), JSON, max_size=4) | garbled(samples),
        st.sampled_from([DEFAULT, Options(tz="Europe/London"), Options(refires="reopens")]),
    )
    def check(payload, options):
        try:
            answer = read(payload, options)
        except InvalidValue:
            return
        assert isinstance(answer, Read)
        assert answer.statements or answer.dropped, "left out silently"

    check()
