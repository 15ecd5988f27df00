"""
A git repository as a source: a history of so many commits, made by `git fast-import`, and read.

    python benchmarks/run.py --only git_100k
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from imcm.interchange.git import git_changes

BRANCH_OF = 9
"""Commits of a branch that is merged; each merge is one more."""

TAG_EVERY = 10
"""Merges from one tag to the next."""

REVERT_EVERY = 33
"""Commits of a branch from one revert to the next."""

START = 1_700_000_000

PROSE = "What was wrong, and why this mends it, in so many words as people write of a change.\n" * 3


def history(commits: int) -> Iterator[bytes]:
    """Yield what `git fast-import` is told: branches that are merged, tags, and some reverts."""
    chance = random.Random(7)
    ids = [0]
    moment = START
    mark = 0

    def commit(ref: str, message: str, *parents: int) -> bytes:
        nonlocal mark, moment
        mark += 1
        moment += chance.randrange(600)
        text = message.encode()
        who = f"A <a@example.org> {moment} +0100"
        lines = [f"commit {ref}\nmark :{mark}\nauthor {who}\ncommitter {who}\ndata {len(text)}\n"]
        words = ("from", *["merge"] * len(parents))
        lines += [f"{word} :{each}\n" for word, each in zip(words, parents, strict=False) if each]
        return lines[0].encode() + text + b"\n" + "".join(lines[1:]).encode()

    yield commit("refs/heads/main", "First\n")
    main, merges, tagged = mark, 0, 0
    since_revert = 0
    while mark < commits:
        above = main
        for _ in range(min(BRANCH_OF, commits - mark)):
            since_revert += 1
            message = f"Mend {mark}\n\n{PROSE}"
            if since_revert == REVERT_EVERY and len(ids) > 1:
                since_revert = 0
                # Fast-import tells no ids beforehand: a revert names the number of a request.
                message = f'Revert "Work"\n\nReverts shop/web#{chance.choice(ids[-20:])}\n'
            yield commit("refs/heads/work", message, above)
            above = mark
        if mark >= commits:
            yield f"reset refs/heads/main\nfrom :{above}\n\n".encode()
            return
        merges += 1
        yield commit(
            "refs/heads/main", f"Merge pull request #{merges} from shop/work\n\nWork\n", main, above
        )
        main = mark
        ids.append(merges)
        if merges % TAG_EVERY == 0:
            tagged += 1
            text = f"Version {tagged}\n".encode()
            head = f"tag v{tagged}\nfrom :{main}\ntagger A <a@example.org> {moment + 60} +0100\n"
            yield f"{head}data {len(text)}\n".encode() + text


def git(folder: Path, *words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run git, without the settings of whoever runs the benchmark."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ("git", "-C", str(folder), *words)
    return subprocess.run(command, check=True, env={**os.environ, **settings}, **more)


def made(folder: Path, commits: int) -> Path:
    """Return a bare repository of so many commits."""
    place = folder / "history.git"
    place.mkdir()
    git(place, "init", "--quiet", "--bare", "--initial-branch=main")
    with tempfile.TemporaryFile() as told:
        told.writelines(history(commits))
        told.seek(0)
        git(place, "fast-import", "--quiet", stdin=told)
    return place


def drained(place: Path) -> int:
    """Let git print of all commits what is read of them, and return how many bytes it is."""
    form = "--format=tformat:%H%x00%P%x00%at%x00%ct%x00%cI%x00%B"
    command = ["git", "-C", str(place), "log", "-z", "--topo-order", "--reverse", form, "main"]
    size = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while chunk := process.stdout.read(1 << 16):
            size += len(chunk)
    assert process.returncode == 0
    return size


def wall(what: Callable[[], object]) -> float:
    """Return the seconds of one run, by the wall: git runs beside."""
    gc.collect()
    begin = time.perf_counter()
    what()
    return time.perf_counter() - begin


def measure_git(folder: Path, events: int) -> dict[str, Any]:
    """All commits of a history to statements, against git printing them."""
    commits = max(100, events // 10)
    place = made(folder, commits)

    def read(**more: Any) -> Callable[[], object]:
        return lambda: deque(git_changes(place, **more), maxlen=0)

    tags = sum(1 for _ in git_changes(place))
    whats: dict[str, Callable[[], object]] = {
        "git": lambda: drained(place),
        "commits": read(by="commits"),
        "merges": read(by="merges"),
        "tags": read(),
        "since": read(since=f"v{tags - 1}") if tags > 1 else read(),
    }
    best = dict.fromkeys(whats, float("inf"))
    for _ in range(3):
        for name, what in whats.items():
            best[name] = min(best[name], wall(what))
    slowest = max(best["commits"], best["merges"], best["tags"])
    failed = sum(each.facts["status"] != "successful" for each in git_changes(place))
    return {
        "ratio": slowest / best["git"],
        "measured": slowest,
        "seconds": slowest,
        "baseline_seconds": best["git"],
        "beside": {
            "commits": commits,
            "tags": tags,
            "tags of them reverted in part or whole": failed,
            "seconds, by commits": round(best["commits"], 3),
            "seconds, by merges": round(best["merges"], 3),
            "seconds, by tags": round(best["tags"], 3),
            "seconds, by tags, since the last but one": round(best["since"], 3),
        },
    }
