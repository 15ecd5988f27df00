"""
How much work a call is, counted and not timed: the same on every machine.

    assert_linear(lambda n: partial(facts, log_of(n)))

What Python runs is counted in lines, each turn of a loop being one more. What a line leaves to C,
such as the copy of a mapping, shows in the memory it takes: pieces too large to be a few values are
added up.
What C compares without taking memory is told to Python by values that count (`Number`, `Word`).
"""

import sys
import tracemalloc

MOST = 2.6
"""How many times as much work twice as much may be: n log n is, n * n is not."""
LARGE = 400
SLACK = 60_000


class Number(int):
    """A number of which comparing is work."""

    __hash__ = int.__hash__

    def __eq__(self, other):
        return int(self) == other


class Word(str):
    """A word of which comparing is work."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other):
        return str(self) == other


def work(call):
    """Return how many lines a call runs, and how many bytes it takes in large pieces."""
    lines = taken = base = 0

    def count(*_):
        nonlocal lines, taken, base
        lines += 1
        now, peak = tracemalloc.get_traced_memory()
        if peak - base > LARGE:
            taken += peak - base
        base = now
        tracemalloc.reset_peak()
        return count

    before = sys.gettrace()
    tracemalloc.start()
    sys.settrace(count)
    try:
        call()
    finally:
        sys.settrace(before)
        tracemalloc.stop()
    return lines, taken


def assert_linear(made, n):
    """
    Twice as much is at most about twice the work.

    Args:
        made: Gives, for a size, the call to be counted; what that needs is made here, uncounted.
        n: The smaller size.
    """
    made(n)()  # what is made once is made
    (once, small), (twice, large) = work(made(n)), work(made(2 * n))
    assert twice <= MOST * once, f"{once} and {twice} lines: {twice / once:.1f} times"
    assert large <= MOST * small + SLACK, f"{small} and {large} bytes"
