"""
Averages, their uncertainty, and the question whether two periods really differ.

- one number for many: `quantiles`;
- how far to trust it: `intervals`, by resampling `resampling`;
- two samples: `two_samples` by ranks, `resampling` by shuffling, `survival` with what is open;
- planning and honesty: `planning`.

Everything in this room is a pure function of its arguments: numbers in, numbers out. What it takes
and refuses is said in `samples`. Undefined is None, never 0.
"""
