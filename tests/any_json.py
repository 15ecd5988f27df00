"""Any JSON, and samples of a format with anything in any of their places."""

from copy import deepcopy

from hypothesis import strategies as st

from imcm.errors import InvalidValue
from imcm.interchange.payloads import Options
from imcm.interchange.statements import Read

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "0001-01-01T00:00:00Z",
            "2026-03-06T12:00:00Z",
            "2026-03-06 12:00:00",
            "9999-12-31T23:59:59-12:00",
            "success",
            "closed",
            "P1",
            "a" * 300,
            "\u202e",
            "\x00",
        ]
    ),
)
ANY = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(min_value=1 << 62, max_value=1 << 70),
        st.floats(),
        TEXTS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
OPTIONS = st.sampled_from([Options(), Options(tz="Europe/Oslo")])


def _places(value, at=()):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*at, name)
            yield from _places(inner, (*at, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield (*at, place)
            yield from _places(inner, (*at, place))


@st.composite
def spoiled(draw, samples):
    """Return a sample with up to three of its places holding anything, or gone."""
    sample = deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(min_value=1, max_value=3))):
        places = list(_places(sample))
        if not places:
            break
        *path, last = draw(st.sampled_from(places))
        holder = sample
        for step in path:
            holder = holder[step]
        if isinstance(holder, dict) and draw(st.booleans()):
            del holder[last]
        else:
            holder[last] = draw(ANY)
    return sample


def payloads(samples):
    """Return any JSON objects, objects of the names of the samples, and spoiled samples."""
    names = sorted({name for sample in samples for name in sample})
    return st.one_of(
        st.dictionaries(TEXTS, ANY, max_size=4),
        st.dictionaries(st.sampled_from(names), ANY, max_size=6),
        spoiled(samples),
    )


def reads_or_refuses(read, payload, options):
    """Assert that a format reads a payload or says that it can't, and raises nothing else."""
    try:
        got = read(payload, options)
    except InvalidValue:
        return
    assert isinstance(got, Read)
    assert got == read(payload, options)
