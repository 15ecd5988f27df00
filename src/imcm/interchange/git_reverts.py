"""
What reverts take out of production and bring in again, change by change.

Commits are numbers here, and so are changes, in their order. A commit takes effect while nothing
that takes effect takes it back; so a revert of a revert brings in again what the first took out, in
whatever depth. Only what stands once a change is in counts: what came and went within one change
never was in production, or never lacked there.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

__all__ = ["Ended", "TakenBack", "merged_into", "taken_back"]


class Ended(NamedTuple):
    """
    That a commit went out of production.

    Attributes:
        commit: Which; no revert.
        since: The change that had brought it in last.
        by: The change with which it went out, or that takes back again what is out already.
        reverts: The commits of that change that it went out by.
    """

    commit: int
    since: int
    by: int
    reverts: tuple[int, ...]


class TakenBack(NamedTuple):
    """
    What reverts did.

    Attributes:
        ended: What went out of production, in the order of changes.
        out: Of each commit that ever was without effect once a change was in, reverts too, the
            first such change.
    """

    ended: tuple[Ended, ...]
    out: Mapping[int, int]


def taken_back(
    reverts: Mapping[int, Collection[int]],
    *,
    change: Callable[[int], int],
    order: Callable[[int], tuple[int, int, bytes]],
    whole: Collection[int] = (),
) -> TakenBack:
    """
    Return what reverts take out of production.

    Args:
        reverts: What each revert takes back. It takes back nothing that came after it.
        change: The change that brought in a commit.
        order: By what commits are ordered within one change.
        whole: Commits that go out of production only through others that are named beside them,
            as a merge does: they are never told as ended.
    """
    commits = {*reverts, *(target for targets in reverts.values() for target in targets)}
    came = sorted(commits, key=lambda each: (change(each), order(each)))
    state = _Production(reverts, {commit: rank for rank, commit in enumerate(came)})
    ended: list[Ended] = []
    out: dict[int, int] = {}
    since: dict[int, int] = {}  # by which change it is in production, or was last
    seen: set[int] = set()
    for by, group in groupby((each for each in came if each in reverts), key=change):
        arriving = tuple(group)
        stood: dict[int, bool] = {}
        through: defaultdict[int, list[int]] = defaultdict(list)
        for revert in arriving:
            for commit, before, against in state.arrive(revert):
                stood.setdefault(commit, before)
                if against > 0 or commit in reverts[revert]:
                    through[commit].append(revert)
        for commit, before in stood.items():
            stands = state.stands(commit)
            if not stands:
                out.setdefault(commit, by)
            if commit in reverts or commit in whole:
                continue
            came_with = change(commit)
            if commit not in seen and came_with < by:
                since[commit] = came_with
            seen.add(commit)
            if stands:
                if came_with == by or not before:
                    since[commit] = by
            elif commit in since:
                which = [each for each in through[commit] if state.stands(each)]
                if before and not which:  # what reached it was taken back by what then did the same
                    which = [each for each in arriving if state.stands(each)]
                if which:
                    ended.append(Ended(commit, since[commit], by, tuple(which)))
    return TakenBack(tuple(ended), out)


class _Production:
    """Which commits take effect, while reverts arrive one by one."""

    def __init__(self, reverts: Mapping[int, Iterable[int]], rank: Mapping[int, int]) -> None:
        self._reverts = {
            revert: [each for each in dict.fromkeys(targets) if rank[each] < rank[revert]]
            for revert, targets in reverts.items()
        }
        self._rank = rank
        self._commits: Sequence[int] = list(rank)
        self._against: Counter[int] = Counter()  # how many with effect take it back

    def stands(self, commit: int) -> bool:
        """Say whether a commit takes effect."""
        return not self._against[commit]

    def arrive(self, revert: int) -> Iterator[tuple[int, bool, int]]:
        """
        Bring in a revert; yield what that touches.

        With it stand whether it had effect before, and by how many more it is taken back now.
        """
        change: dict[int, int] = {}
        left: list[int] = []

        def pass_on(commit: int, by: int) -> None:
            for target in self._reverts.get(commit, ()):
                if target not in change:
                    heapq.heappush(left, -self._rank[target])
                change[target] = change.get(target, 0) + by

        pass_on(revert, 1)
        while left:  # the latest first: all that takes back a commit came after it
            commit = self._commits[-heapq.heappop(left)]
            before = self.stands(commit)
            self._against[commit] += change[commit]
            yield commit, before, change[commit]
            if self.stands(commit) != before:
                pass_on(commit, -1 if before else 1)


def merged_into(
    main: int,
    merge: int,
    *,
    parents: Callable[[int], Iterable[int]],
    generation: Callable[[int], int],
) -> list[int]:
    """
    Return what a merge brought to one of its parents: what the others' history has beyond its own.

    Args:
        main: That parent.
        merge: The merge, which is not among them.
        parents: The parents of a commit.
        generation: The length of the longest line of its ancestors.
    """
    of_main = {main}
    seen = {main, *parents(merge)}
    # The deepest first: so a commit is looked at when all that leads to it was.
    left = [(-generation(each), each) for each in seen]
    heapq.heapify(left)
    others = len(seen) - 1  # how many of what is left are not of the history of main, so far
    merged: list[int] = []
    while others:
        commit = heapq.heappop(left)[1]
        is_main = commit in of_main
        if not is_main:
            others -= 1
            merged.append(commit)
        for parent in parents(commit):
            if parent not in seen:
                seen.add(parent)
                heapq.heappush(left, (-generation(parent), parent))
                others += not is_main
            elif is_main and parent not in of_main:
                others -= 1
            if is_main:
                of_main.add(parent)
    return merged
