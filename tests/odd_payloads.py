"""Payloads as nobody sends them: any JSON, and good samples with anything at any place."""

import copy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imcm.errors import InvalidValue
from imcm.interchange.payloads import DEFAULT
from imcm.interchange.statements import Read

ODD = st.sampled_from(
    [
        "",
        "  ",
        "\x00",
        "\ud800",
        "e\u0301",
        "a\u202eb",
        "x" * 300,
        "closed",
        "resolved",
        "duplicate",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "2026-03-06T12:00:00Z",
        "2026-03-06 12:00:00",
        "2026-13-06 12:00:00",
        "6",
        -1,
        2**70,
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


def _places(value, path=()):
    if path:
        yield path
    if not isinstance(value, (dict, list)):
        return
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _places(each, (*path, key))


def _with(sample, path, value):
    changed = copy.deepcopy(sample)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def reads_or_refuses(read, samples, options=DEFAULT):
    """Check that whatever is read gives a `Read`, or `InvalidValue` and nothing else."""

    @st.composite
    def payloads(draw):
        sample = draw(st.sampled_from(samples))
        for _ in range(draw(st.integers(1, 2))):
            sample = _with(sample, draw(st.sampled_from(list(_places(sample)))), draw(JSON))
        return sample

    @settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.text(max_size=9), JSON) | payloads())
    def check(payload):
        try:
            told = read(payload, options)
        except InvalidValue:
            return
        assert isinstance(told, Read)

    check()
