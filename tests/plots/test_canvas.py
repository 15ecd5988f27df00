"""
What all pictures share: whose axes, no settings touched, text that nothing obeys, ticks in units.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from unicodedata import category

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.text import Text

from imcm import InvalidValue, Ledger, change_failure_rate, plots, time_to_restore
from imcm.plots.canvas import axes_for, finished, spread, words
from imcm.plots.inks import MOST_CURVES, palette_of
from imcm.plots.scales import scaled
from plots.logs import NOON, restored


def test_given_axes_are_drawn_into_and_returned() -> None:
    """`ax=` is what comes back, and no other figure is made."""
    figure, (left, right) = pyplot.subplots(1, 2)
    log = restored(1, 2, 3).facts()
    assert plots.survival(time_to_restore(log), ax=left) is left
    assert time_to_restore(log).plot("groups", ax=right) is right
    assert pyplot.get_fignums() == [figure.number]
    with pytest.raises(InvalidValue, match="Axes of matplotlib"):
        plots.survival(time_to_restore(log), ax=figure)  # type: ignore[arg-type]


def test_no_setting_is_changed_and_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """All settings are as before, and `pyplot.show` is never called."""
    monkeypatch.setattr(pyplot, "show", lambda *_: pytest.fail("shown"))
    before = dict(mpl.rcParams)
    log = restored(1, 2, -1).facts()
    time_to_restore(log).plot()
    time_to_restore(log, bucket_by="day").plot()
    plots.calendar(log)
    assert dict(mpl.rcParams) == before


def _joining(sign: str) -> set[str]:
    """Return the category of what scripts and emoji need between two signs."""
    return {"Cf"} if sign in "\u200c\u200d" else set()


@given(st.text(max_size=200))
def test_words_are_one_line_of_signs(text: str) -> None:
    """Whatever is written: no line breaks or control characters, no formula, not endless."""
    line = words(text)
    assert not any(category(sign) in {"Cc", "Cf", "Zl", "Zp"} - _joining(sign) for sign in line)
    assert len(line.replace(r"\$", "$")) <= 60
    assert line.count("$") == line.count(r"\$")


@pytest.mark.parametrize(
    "title", [r"$\frac{1}{2}$", "$x$ and $", "a\nb\x1b[31m", "x" * 5_000, r"\$5 $\alpha", "$$", "%"]
)
def test_a_hostile_title_is_drawn_as_it_is_written(title: str) -> None:
    """A title is no formula, whatever stands in it, and is one line that ends."""
    ledger = restored(1, title=title, service=title[:60].replace("\n", " ").replace("\x1b", " "))
    pictures = [
        ledger.timeline("INC-0").plot("events"),
        ledger.timeline("INC-0").plot("lanes"),
        time_to_restore(ledger.facts(), group_by="service").plot("groups"),
        plots.survival(time_to_restore(ledger.facts(), group_by="service")),
    ]
    for axes in pictures:
        pyplot.gcf().canvas.draw()
        for text in axes.findobj(Text):
            said, is_formula = text._preprocess_math(text.get_text())
            assert is_formula is False, said
            assert all(len(line) < 130 for line in said.split("\n"))
        axes.get_figure().canvas.draw()
    shown = [text._preprocess_math(text.get_text())[0] for text in pictures[0].findobj(Text)]
    assert any(title[:8].split("\n", maxsplit=1)[0] in line for line in shown)


def test_settings_of_the_user_make_no_formula() -> None:
    """Where all text is set by TeX, what comes from a log is not."""
    with mpl.rc_context({"text.usetex": True}):
        axes = restored(1, title=r"\input{/etc/passwd}").timeline("INC-0").plot()
    assert not any(text.get_usetex() for text in axes.findobj(Text) if text.get_text())


def test_inks_differ_without_colour() -> None:
    """No two curves have the same dashes or points."""
    inks = palette_of(axes_for(None)).inks
    assert len({ink.dashes for ink in inks}) == len({ink.marker for ink in inks}) == len(inks)
    assert len(inks) == MOST_CURVES


@pytest.mark.parametrize(
    ("unit", "high", "words_of_unit", "value", "tick"),
    [
        ("seconds", 30.0, "seconds", 10.0, "10"),
        ("seconds", 3_600.0, "minutes", 600.0, "10"),
        ("seconds", 7_200.0, "hours", 5_400.0, "1.5"),
        ("seconds", 864_000.0, "days", 172_800.0, "2"),
        ("seconds", 129_600.0, "hours", 43_200.0, "12"),
        ("seconds", 1.0, "seconds", 0.5, "0.5"),
        ("share", 1.0, "%", 0.125, "12.5"),
    ],
)
def test_ticks_are_in_the_unit_that_is_said(
    unit: str, high: float, words_of_unit: str, value: float, tick: str
) -> None:
    """Values stay as they are; ticks and the label are in a unit that people read."""
    axes = axes_for(None)
    axes.plot([0, high])
    assert scaled(axes.yaxis, unit, 0.0, high) == words_of_unit
    axes.get_figure().canvas.draw()
    formatter = axes.yaxis.get_major_formatter()
    assert formatter(value, 0).replace("\N{MINUS SIGN}", "-") == tick
    finished(axes)


@given(st.floats(1e-6, 1e9), st.floats(0, 1))
def test_ticks_of_durations_are_few_and_short(high: float, part: float) -> None:
    """Between two and eight of them, wherever the axis begins, each of few digits."""
    low = high * part * 0.999
    axes = axes_for(pyplot.gca())
    axes.set_xlim(low, high)
    scaled(axes.xaxis, "seconds", low, high)
    ticks = [tick for tick in axes.xaxis.get_major_locator()() if low <= tick <= high]
    assert len(ticks) <= 12
    if high - low > 2:
        labels = [axes.xaxis.get_major_formatter()(tick, 0) for tick in ticks]
        assert len(labels) == len(set(labels)) >= 1
        assert all(len(label.partition(".")[2]) <= 2 for label in labels)


@given(st.integers(1, 5_000), st.integers(2, 300))
def test_what_is_left_of_many_has_its_ends(count: int, most: int) -> None:
    """Of few all are drawn; of many so many at most, the first and the last with them."""
    rows = spread(count, most)
    assert rows == sorted(set(rows))
    assert rows[0] == 0
    assert rows[-1] == count - 1
    assert len(rows) == count if count <= most else len(rows) <= most


def test_without_matplotlib_the_extra_is_named() -> None:
    """Importing works, drawing says what to install, and computing never loads it."""
    code = (
        "import sys\n"
        "from imcm import Ledger, plots, time_to_restore, MissingExtraError\n"
        "figure = time_to_restore(Ledger.in_memory().replay())\n"
        "assert not any(name.startswith('matplotlib') for name in sys.modules)\n"
        "sys.modules['matplotlib'] = None\n"
        "try:\n    figure.plot()\n"
        "except MissingExtraError as error:\n    print(error, error.extra)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'imcm[plot]'" in ran.stdout
    assert ran.stdout.strip().endswith("plot")


def test_an_empty_log_is_said_in_every_picture() -> None:
    """Nothing to draw is a sentence, not an empty picture."""
    ledger = Ledger.in_memory()
    facts = ledger.facts()
    window = (NOON, NOON + timedelta(days=60))
    pictures = [
        time_to_restore(facts).plot(),
        time_to_restore(facts, window=window, bucket_by="month").plot(),
        change_failure_rate(facts).plot(),
        change_failure_rate(facts, group_by="service").plot(),
        plots.calendar(facts),
        plots.timeline(()),
        plots.lanes(()),
    ]
    for axes in pictures:
        [reason] = [text.get_text() for text in axes.texts]
        assert len(reason) > 8
        assert not axes.lines
        assert not axes.axison
