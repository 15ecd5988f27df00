"""Performance bands at and around every boundary."""

import math
from itertools import pairwise
from pathlib import Path

import pytest

from imcm.errors import InvalidValue
from imcm.projections.reports.bands import (
    BANDS,
    LEVELS,
    band,
    level_text,
    spanned,
    without_gaps,
)

HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY
MONTH = 30 * DAY
HALF_YEAR = 180 * DAY
LITTLE = 1e-9

ELITE, HIGH, MEDIUM, LOW = ((level,) for level in LEVELS)
WORSE = ("worse than low",)
HIGH_MEDIUM, MEDIUM_LOW = ("high", "medium"), ("medium", "low")
FIRST_THREE, LAST_THREE = ("elite", "high", "medium"), ("high", "medium", "low")


def below(value):
    return math.nextafter(value, -math.inf)


def above(value):
    return math.nextafter(value, math.inf)


def downwards(*steps):
    """Return (value, levels) for steps (bound, levels at it, levels just below it)."""
    return [case for bound, at, under in steps for case in ((bound, at), (below(bound), under))]


def upwards(*steps):
    """Return (value, levels) for steps (bound, levels at it, levels just above it)."""
    return [case for bound, at, over in steps for case in ((bound, at), (above(bound), over))]


FREQUENCY = {
    2018: [
        *((24.0, ELITE), (above(1.0), ELITE), (1 / 7, MEDIUM_LOW), (0.0, WORSE)),
        *downwards((1.0, HIGH, MEDIUM_LOW), (1 / 30, MEDIUM_LOW, WORSE)),
    ],
    2019: [
        *((24.0, ELITE), (above(1.0), ELITE), (0.5, HIGH), (0.0, WORSE)),
        *downwards((1.0, HIGH, HIGH), (1 / 7, HIGH, MEDIUM)),
        *downwards((1 / 30, MEDIUM, LOW), (1 / 180, LOW, WORSE)),
    ],
    2021: [
        *((24.0, ELITE), (above(1.0), ELITE), (0.5, HIGH), (1 / 7, HIGH), (0.0, LOW)),
        *downwards((1.0, HIGH, HIGH), (1 / 30, HIGH, MEDIUM), (1 / 180, MEDIUM, LOW)),
    ],
    2023: [
        *((24.0, ELITE), (above(1.0), ELITE), (0.0, WORSE)),
        *downwards((1.0, HIGH, HIGH), (1 / 7, HIGH, MEDIUM_LOW), (1 / 30, MEDIUM_LOW, WORSE)),
    ],
    2024: [
        *((24.0, ELITE), (above(1.0), ELITE), (0.0, WORSE)),
        *downwards((1.0, HIGH, HIGH), (1 / 7, HIGH, MEDIUM)),
        *downwards((1 / 30, MEDIUM, LOW), (1 / 180, LOW, WORSE)),
    ],
}

FROM_A_DAY = [
    *((0.0, ELITE), (below(DAY), ELITE), (DAY, HIGH)),
    *upwards((WEEK, HIGH, MEDIUM), (MONTH, MEDIUM, LOW), (HALF_YEAR, LOW, WORSE)),
]
LEAD_TIME = {
    2018: [
        *((0.0, ELITE), (below(HOUR), ELITE), (HOUR, HIGH), (5 * HOUR, HIGH), (DAY, HIGH)),
        *upwards((WEEK, HIGH, MEDIUM), (MONTH, MEDIUM, LOW), (HALF_YEAR, LOW, WORSE)),
    ],
    2019: FROM_A_DAY,
    2021: [
        *((0.0, ELITE), (below(HOUR), ELITE), (HOUR, HIGH), (DAY, HIGH)),
        *upwards((WEEK, HIGH, MEDIUM), (MONTH, MEDIUM, MEDIUM), (HALF_YEAR, MEDIUM, LOW)),
        (1e12, LOW),
    ],
    2023: [
        *((0.0, ELITE), (below(DAY), ELITE), (DAY, HIGH)),
        *upwards((WEEK, HIGH, MEDIUM_LOW), (MONTH, MEDIUM_LOW, WORSE)),
    ],
    2024: FROM_A_DAY,
}

DAY_OR_MONTH = [
    *((0.0, ELITE), (below(HOUR), ELITE), (HOUR, HIGH_MEDIUM), (below(DAY), HIGH_MEDIUM)),
    *((DAY, LOW), (3 * DAY, LOW), (WEEK, LOW)),
    *upwards((MONTH, LOW, WORSE)),
]
RESTORE = {
    2018: DAY_OR_MONTH,
    2019: DAY_OR_MONTH,
    2021: [
        *((below(HOUR), ELITE), (HOUR, HIGH), (below(DAY), HIGH), (DAY, MEDIUM)),
        *upwards((WEEK, MEDIUM, LOW), (HALF_YEAR, LOW, LOW)),
    ],
    2023: [
        *((below(HOUR), ELITE), (HOUR, HIGH), (below(DAY), HIGH), (DAY, MEDIUM)),
        *upwards((WEEK, MEDIUM, LOW), (MONTH, LOW, LOW), (HALF_YEAR, LOW, WORSE)),
    ],
    2024: DAY_OR_MONTH,
}

FIFTEEN_OR_SIXTY = [
    (0.0, FIRST_THREE),
    *upwards((0.15, FIRST_THREE, LOW), (0.45, LOW, LOW), (0.60, LOW, WORSE)),
]
FAILURES = {
    2018: FIFTEEN_OR_SIXTY,
    2019: FIFTEEN_OR_SIXTY,
    2021: [
        (0.0, ELITE),
        *upwards((0.15, ELITE, LAST_THREE), (0.30, LAST_THREE, WORSE)),
    ],
    2023: [
        (0.0, ELITE),
        *upwards((0.05, ELITE, HIGH), (0.10, HIGH, MEDIUM), (0.15, MEDIUM, LOW)),
        *upwards((0.64, LOW, WORSE)),
    ],
    2024: [
        (0.0, ELITE),
        *upwards((0.05, ELITE, HIGH_MEDIUM), (0.10, HIGH_MEDIUM, HIGH), (0.20, HIGH, LOW)),
        *upwards((0.40, LOW, WORSE)),
        (1.5, WORSE),
    ],
}

TABLE = {
    "deployment_frequency": FREQUENCY,
    "lead_time": LEAD_TIME,
    "restore": RESTORE,
    "change_failure_rate": FAILURES,
}
CASES = [
    (metric, year, value, expected)
    for metric, years in TABLE.items()
    for year, cases in years.items()
    for value, expected in cases
]


@pytest.mark.parametrize(("metric", "year", "value", "expected"), CASES)
def test_a_value_has_its_levels(metric, year, value, expected):
    """Every bound of every year, the value next to it, and values in gaps."""
    assert expected == band(metric, value, year=year)


def test_the_table_is_whole():
    """Each year has the four metrics with the four levels each, all of them tried above."""
    assert [2018, 2019, 2021, 2023, 2024] == list(BANDS)
    for year, metrics in BANDS.items():
        assert set(TABLE) == set(metrics)
        for metric, levels in metrics.items():
            assert year in TABLE[metric]
            assert list(LEVELS) == [one.level for one in levels]
            assert all(one.words for one in levels)


def test_the_best_level_never_gets_better_as_the_value_gets_worse():
    """Overlapping levels or not, the first level named goes one way only."""
    rank = {level: i for i, level in enumerate((*LEVELS, "worse than low"))}
    for metric, years in TABLE.items():
        for year, cases in years.items():
            worse_last = sorted(
                (value for value, _ in cases), reverse=metric == "deployment_frequency"
            )
            ranks = [rank[band(metric, value, year=year)[0]] for value in worse_last]
            assert all(one <= other for one, other in pairwise(ranks))


def test_once_a_month_is_exactly_the_bound():
    """Two deployments in 60 days are one in 30."""
    assert MEDIUM == band("deployment_frequency", 2 / 60, year=2024)


def test_undefined_has_no_level():
    """No value, no band: an empty period is neither good nor bad."""
    assert () == band("lead_time", None, year=2024)


@pytest.mark.parametrize("year", [2014, 2020, 2022, 2025, True, "2024"])
def test_years_without_bands_name_those_that_have(year):
    """A report without clusters has no bands to borrow."""
    with pytest.raises(InvalidValue, match="there are bands for 2018, 2019, 2021, 2023, 2024"):
        band("lead_time", 1.0, year=year)


def test_metrics_without_bands_name_those_that_have():
    """No report has bands for the rework rate."""
    with pytest.raises(InvalidValue, match="deployment_frequency, lead_time, restore, change_fail"):
        band("rework_rate", 0.1, year=2024)


@pytest.mark.parametrize("value", [-LITTLE, math.nan, math.inf, True, "0.1"])
def test_what_measures_nothing_has_no_level(value):
    """A band is of a finite number that is not below 0."""
    with pytest.raises(InvalidValue, match="a finite number, 0 or more"):
        band("lead_time", value, year=2024)


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("lead_time", 10.0, 20.0, ("elite",)),
        ("lead_time", 10.0, 86_400.0, ("elite", "high")),
        ("lead_time", 10.0, 10**9, ("elite", "high", "medium", "low", "worse than low")),
        ("change_failure_rate", 0.06, 0.1, ("high", "medium")),
        ("change_failure_rate", 0.12, 0.5, ("high", "low", "worse than low")),
        ("deployment_frequency", 0.5, 2.0, ("elite", "high")),
    ],
)
def test_all_levels_that_an_interval_reaches(metric, low, high, expected):
    assert expected == spanned(metric, low, high, year=2024)


@pytest.mark.parametrize(
    ("levels", "reached", "expected"),
    [
        ((), (), ""),
        (("low",), (), "performance level: low"),
        (("low",), ("low",), "performance level: low"),
        (("high", "medium"), ("high", "medium"), "performance level: high and medium"),
        (
            ("low",),
            ("high", "low", "worse than low"),
            "performance level: low; its interval reaches high, medium, low, worse than low",
        ),
    ],
)
def test_a_level_in_words_says_what_it_is_and_leaves_none_out(levels, reached, expected):
    """Beside a change failure rate, "low" alone reads as a low rate."""
    assert level_text(levels, reached) == expected


def test_no_level_is_missing_between_two():
    assert without_gaps(()) == ()
    assert without_gaps(("low", "elite")) == LEVELS
    assert without_gaps(("medium",)) == ("medium",)


def bound_text(metric, entry):
    """Return a bound in words, as the documentation has it."""
    if entry.bound is None:
        return "all else"
    if metric == "change_failure_rate":
        return f"up to {100 * entry.bound:g} %"
    if metric == "deployment_frequency":
        if entry.strict:
            return f"more than {entry.bound:g} per day"
        days = round(1 / entry.bound)
        return "1 per day or more" if days == 1 else f"1 per {days} days or more"
    hours = entry.bound / 3_600
    length = f"{hours:g} h" if hours <= 24 else f"{hours / 24:g} days"
    return f"less than {length}" if entry.strict else f"up to {length}"


def threshold_lines():
    """Yield the table of the documentation."""
    yield "| report | metric | elite | high | medium | low |"
    yield "|---|---|---|---|---|---|"
    for year, metrics in BANDS.items():
        for metric, levels in metrics.items():
            cells = [str(year), f"`{metric}`", *(bound_text(metric, entry) for entry in levels)]
            yield f"| {' | '.join(cells)} |"


def test_the_thresholds_in_the_documentation_are_those_of_the_code():
    text = (Path(__file__).parents[2] / "docs" / "definitions.md").read_text(encoding="utf-8")
    assert "\n".join(threshold_lines()) in text
