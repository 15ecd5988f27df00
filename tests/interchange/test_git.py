"""A git repository as a source: real repositories, made by git, and what they say."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imcm import lead_time, side_by_side
from imcm.domain.vocabulary import Kind
from imcm.errors import ImportRefusedError, InvalidValue
from imcm.interchange import git_program
from imcm.interchange.git import Pending, git_changes, read_repository
from imcm.interchange.git_import import import_git
from imcm.interchange.git_reverts import merged_into, taken_back
from imcm.interchange.statements import Dropped, Statement
from imcm.interchange.taking_in import record_statements
from imcm.ledger.recording import Ledger
from imcm.projections.facts.rows import ChangeFacts

START = 1_700_000_000
HOUR = 3600

SETTINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def at(hour: float) -> datetime:
    """Return a moment so many hours after the start."""
    return datetime.fromtimestamp(START, UTC) + timedelta(hours=hour)


class Repository:
    """A repository that git makes; hours are counted from one start, and go on by one."""

    def __init__(self, path: Path, *more: str) -> None:
        self.path = path
        path.mkdir()
        self.hour = 0.0
        self.git("init", "--quiet", "--initial-branch=main", *more)
        self.empty = self.git("hash-object", "-t", "tree", "-w", "--stdin")

    def git(self, *words: str, given: bytes = b"", **more: str) -> str:
        ran = subprocess.run(
            ("git", "-C", str(self.path), *words),
            input=given,
            capture_output=True,
            check=True,
            env={**os.environ, **SETTINGS, **more},
        )
        return ran.stdout.decode().strip()

    def commit(
        self,
        message: str | bytes,
        *parents: str,
        hour: float | None = None,
        authored: float | None = None,
        zone: str = "+0000",
    ) -> str:
        """Make a commit on top of others; on main there is nothing until `on` puts it there."""
        self.hour = self.hour + 1 if hour is None else hour
        text = message.encode() if isinstance(message, str) else message
        above = [word for parent in parents for word in ("-p", parent)]
        written = self.hour if authored is None else authored
        return self.git(
            *("-c", "i18n.commitEncoding=UTF-8", "commit-tree", self.empty, *above),
            given=text,
            GIT_AUTHOR_DATE=f"{START + int(written * HOUR)} {zone}",
            GIT_COMMITTER_DATE=f"{START + int(self.hour * HOUR)} {zone}",
        )

    def on(self, branch: str, commit: str) -> str:
        """Put a branch on a commit."""
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def tag(self, name: str, commit: str, *, hour: float | None = None, zone: str = "+0000") -> str:
        """Make an annotated tag."""
        self.hour = self.hour + 1 if hour is None else hour
        date = f"{START + int(self.hour * HOUR)} {zone}"
        self.git("tag", "-a", "-m", f"Release {name}", name, commit, GIT_COMMITTER_DATE=date)
        return name


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repo")


def read(repo: Repository, **more: Any) -> dict[str, Statement]:
    """Return the statements by their ids, in order; nothing may be left out."""
    drops: list[Dropped] = []
    found = list(git_changes(repo.path, drops=drops, **more))
    assert [] == drops
    told = {each.id: each for each in found}
    assert len(told) == len(found)
    return told


def commits(statement: Statement) -> list[str]:
    return [each.id for each in statement.facts["commits"]]


def outcome(statement: Statement) -> dict[str, Any]:
    """Return what a statement says of how a change went, where that is not well."""
    names = ("status", "rolled_back_at", "recovered_at", "repairs")
    assert statement.facts.keys() >= {*names}
    given = {name: statement.facts[name] for name in names}
    return {name: it for name, it in given.items() if it is not None and it != "successful"}


# --- tags -----------------------------------------------------------------------------------------


def test_a_tag_brings_in_what_no_tag_before_had(repo: Repository) -> None:
    """At its tagger's date; a tag that does not match is none."""
    a = repo.commit("First")
    b = repo.commit("Second", a)
    repo.tag("v1", b, hour=5)
    repo.tag("nightly", b, hour=6)
    c = repo.commit("Third", b, hour=7)
    d = repo.commit("Fourth", c, hour=8)
    repo.tag("v2", d, hour=10, zone="+0530")
    one, two = read(repo, services=["shop"], environment="production").values()
    assert ("v1", [a, b]) == (one.id, commits(one))
    assert ("v2", [c, d]) == (two.id, commits(two))
    assert {
        "kind": Kind.DEPLOYMENT,
        "services": ("shop",),
        "environment": "production",
        "title": "Release v2",
        "version": "v2",
        "deployed_at": at(10),
        "labels": {"tag": "annotated"},
        "status": "successful",
        "rolled_back_at": None,
        "recovered_at": None,
        "repairs": None,
    } == {name: value for name, value in two.facts.items() if name != "commits"}
    assert {"deployed_at": "2023-11-15T13:43:20+05:30"} == two.texts
    assert {} == one.texts
    assert at(7) == two.facts["commits"][0].committed_at


def test_a_lightweight_tag_has_the_date_of_its_commit_and_says_so(repo: Repository) -> None:
    a = repo.commit("First", hour=3, zone="-0800")
    repo.git("tag", "v1", a)
    (one,) = read(repo).values()
    assert at(3) == one.facts["deployed_at"]
    assert {"tag": "lightweight"} == one.facts["labels"]
    assert "First" == one.facts["title"]
    assert one.texts["deployed_at"].endswith("-08:00")


def test_a_tag_that_brings_in_nothing_is_a_change_without_commits(repo: Repository) -> None:
    a = repo.commit("First")
    repo.tag("v1-rc1", a, hour=2)
    repo.tag("v1", a, hour=4)
    candidate, final = read(repo).values()
    assert ("v1-rc1", [a]) == (candidate.id, commits(candidate))
    assert ("v1", []) == (final.id, commits(final))


def test_clocks_that_go_back_change_no_order(repo: Repository) -> None:
    """What a tag contains came before it, whatever is written on either."""
    a = repo.commit("First", hour=10)
    repo.tag("v1", a, hour=20)
    b = repo.commit("Second", a, hour=1)
    repo.tag("v2", b, hour=2)
    c = repo.commit("Apart", a, hour=11)
    repo.tag("v1.1", c, hour=19)
    told = read(repo)
    # v2 counts as no earlier than v1; so v1.1, too. By then their own dates count.
    assert {"v1": [a], "v2": [b], "v1.1": [c]} == {id_: commits(told[id_]) for id_ in told}
    assert at(2) == told["v2"].facts["deployed_at"]


def test_an_author_date_after_the_commit_date_is_told_as_it_stands(repo: Repository) -> None:
    a = repo.commit("First", hour=4, authored=9)
    repo.tag("v1", a, hour=5)
    (commit,) = read(repo)["v1"].facts["commits"]
    assert (at(9), at(4)) == (commit.authored_at, commit.committed_at)


def test_lines_of_releases_share_what_they_share_once(repo: Repository) -> None:
    """What two releases hold was brought in by the first of them."""
    a = repo.commit("First")
    repo.tag("v1", a)
    shared = repo.commit("Shared", a)
    mend = repo.commit("Mend", shared)
    new = repo.commit("New", shared)
    repo.tag("v1.1", mend, hour=10)
    repo.tag("v2", new, hour=11)
    told = read(repo)
    assert [[a], [shared, mend], [new]] == [commits(each) for each in told.values()]


def test_only_tags_that_a_branch_contains(repo: Repository) -> None:
    a = repo.commit("First")
    repo.tag("v1", a)
    b = repo.on("main", repo.commit("Second", a))
    repo.tag("v2", b)
    c = repo.on("old", repo.commit("Mend", a))
    repo.tag("v1.1", c)
    assert ["v1", "v2"] == list(read(repo, branch="main"))
    assert ["v1", "v1.1"] == list(read(repo, branch="old"))


def test_tags_of_tags_and_of_no_commit(repo: Repository) -> None:
    """A tag of a tag names the commit below; one of a tree names none, and that is told."""
    a = repo.commit("First")
    repo.tag("inner", a, hour=2)
    repo.tag("v1", "inner", hour=3)
    repo.tag("v2", repo.empty, hour=4)
    repo.git("tag", "v3", repo.empty)
    repo.git("update-ref", "refs/tags/v" + "x" * 210, a)
    drops: list[Dropped] = []
    (one,) = git_changes(repo.path, drops=drops)
    assert ("v1", [a], at(3)) == (one.id, commits(one), one.facts["deployed_at"])
    assert [
        Dropped("tag", "v2", "it names no commit"),
        Dropped("tag", "v3", "it names no commit"),
        Dropped("tag", ("v" + "x" * 210)[:200], "an id has 1 to 200 characters"),
    ] == drops


def test_a_tag_without_a_tagger_has_the_date_of_its_commit(repo: Repository) -> None:
    a = repo.commit("First", hour=3)
    text = f"object {a}\ntype commit\ntag v1\n\nOld\n"
    made = repo.git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", given=text.encode())
    repo.git("update-ref", "refs/tags/v1", made)
    (one,) = read(repo).values()
    assert (at(3), {"tag": "undated"}) == (one.facts["deployed_at"], one.facts["labels"])


def test_no_tags_and_no_tag_that_matches(repo: Repository) -> None:
    """The latter is told: the pattern may be wrong."""
    assert {} == read(repo)
    repo.tag("release-1", repo.commit("First"))
    drops: list[Dropped] = []
    assert [] == list(git_changes(repo.path, drops=drops))
    assert [Dropped("tags", "v*", "none of the 1 tags matches")] == drops
    assert ["release-1"] == list(read(repo, tags="release-[0-9]*"))


# --- merges and commits ---------------------------------------------------------------------------


def merged(repo: Repository) -> dict[str, str]:
    """Make a branch that is merged, a direct commit, and an octopus merge after it."""
    a = repo.commit("First")
    work = repo.commit("Work", a)
    more = repo.commit("More", work)
    m1 = repo.commit("Merge pull request #12 from shop/work\n\nFaster checkout\n", a, more)
    direct = repo.commit("Direct (#13)", m1)
    x = repo.commit("X", a)
    y = repo.commit("Y (#15)", a)
    m2 = repo.commit("Merge branches 'x' and 'y'\n\nSee merge request shop/web!14\n", direct, x, y)
    tip = repo.on("main", repo.commit("Not yet", m2))
    names = "a work more m1 direct x y m2 tip"
    found = (a, work, more, m1, direct, x, y, m2, tip)
    return dict(zip(names.split(), found, strict=True))


def test_merges_to_a_branch(repo: Repository) -> None:
    """Each brings in what came since the one before; what is not merged yet is in no change."""
    of = merged(repo)
    told = read(repo, by="merges")
    assert [of["m1"], of["m2"]] == list(told)
    one, two = told.values()
    assert [of[name] for name in ("a", "work", "more", "m1")] == commits(one)
    assert {of[name] for name in ("direct", "x", "y", "m2")} == set(commits(two))
    assert ("Faster checkout", at(4)) == (one.facts["title"], one.facts["deployed_at"])
    assert "Merge branches 'x' and 'y'" == two.facts["title"]
    assert {"a": None, "work": "12", "more": "12", "m1": "12"} == requests(of, one)
    assert {"direct": "13", "x": "14", "y": "15", "m2": "14"} == requests(of, two)


def requests(of: dict[str, str], statement: Statement) -> dict[str, str | None]:
    names = {id_: name for name, id_ in of.items()}
    return {names[each.id]: each.pull_request for each in statement.facts["commits"]}


def test_commits_to_a_branch(repo: Repository) -> None:
    """Each commit of the first-parent line, with what it merges."""
    of = merged(repo)
    told = read(repo, by="commits", branch="main")
    assert [of[name] for name in ("a", "m1", "direct", "m2", "tip")] == list(told)
    assert [of[name] for name in ("work", "more", "m1")] == commits(told[of["m1"]])
    assert {of[name] for name in ("x", "y", "m2")} == set(commits(told[of["m2"]]))
    assert of["tip"] == told[of["tip"]].facts["version"]


def test_a_branch_of_a_remote(repo: Repository) -> None:
    a = repo.commit("First")
    repo.git("update-ref", "refs/remotes/origin/main", a)
    assert [a] == list(read(repo, by="commits", branch="origin/main"))


# --- reverts --------------------------------------------------------------------------------------


def test_a_revert_by_commits(repo: Repository) -> None:
    """What it takes back is rolled back at its commit time, and it repairs that."""
    a = repo.commit("First")
    bad = repo.commit("Bad", a)
    revert = repo.on("main", repo.commit(f'Revert "Bad"\n\nThis reverts commit {bad}.\n', bad))
    told = read(repo, by="commits")
    assert {} == outcome(told[a])
    assert {"status": "rolled_back", "rolled_back_at": at(3)} == outcome(told[bad])
    assert {"repairs": bad} == outcome(told[revert])


def test_ids_of_sha_256(tmp_path: Path) -> None:
    """A repository with longer ids is read like others, short ids in it too."""
    repo = Repository(tmp_path / "repo", "--object-format=sha256")
    bad = repo.commit("Bad")
    worse = repo.commit("Worse", bad)
    revert = repo.on("main", repo.commit(f"Reverts: {bad}, {worse[:12]}", worse))
    told = read(repo, by="commits", since=bad[:12])
    assert [bad, worse, revert] == list(told)
    assert ["rolled_back", "rolled_back", "successful"] == [
        each.facts["status"] for each in told.values()
    ]


def test_a_revert_of_a_part_of_a_tag_is_a_failure_and_no_rollback(repo: Repository) -> None:
    good = repo.commit("Good")
    bad = repo.commit("Bad", good)
    repo.tag("v1", bad, hour=5)
    revert = repo.commit(f"Take it back\n\nReverts: {bad}\n", bad, hour=7)
    repo.tag("v2", revert, hour=9)
    told = read(repo)
    assert {"status": "failed", "recovered_at": at(9)} == outcome(told["v1"])
    assert {"repairs": "v1"} == outcome(told["v2"])
    # The other commit follows: now all of it is taken back.
    last = repo.commit(f"This reverts commit {good[:10]}", revert, hour=11)
    repo.tag("v3", last, hour=12)
    told = read(repo)
    assert {"status": "rolled_back", "rolled_back_at": at(12)} == outcome(told["v1"])
    assert {"repairs": "v1"} == outcome(told["v3"])


def test_a_revert_in_the_same_change_is_no_failure(repo: Repository) -> None:
    """Production never saw what it takes back."""
    bad = repo.commit("Bad")
    repo.tag("v1", repo.commit(f"Revert\n\nThis reverts commit {bad}.", bad))
    assert {} == outcome(read(repo)["v1"])


def test_a_revert_written_before_the_release_takes_effect_with_its_own(repo: Repository) -> None:
    bad = repo.commit("Bad", hour=1)
    revert = repo.commit(f"This reverts commit {bad}.", bad, hour=2)
    repo.tag("v1", bad, hour=3)
    repo.tag("v2", revert, hour=8)
    told = read(repo)
    assert {"status": "rolled_back", "rolled_back_at": at(8)} == outcome(told["v1"])


def test_no_rollback_is_dated_before_what_it_took_back(repo: Repository) -> None:
    """Where the clock went back, it is known that it was rolled back, and not when."""
    bad = repo.commit("Bad", hour=10)
    repo.on("main", repo.commit(f"This reverts commit {bad}.", bad, hour=1))
    assert {"status": "rolled_back"} == outcome(read(repo, by="commits")[bad])


def test_reverts_of_reverts(repo: Repository) -> None:
    """The second takes nothing back in history; it can be reverted in turn."""
    bad = repo.commit("Bad")
    one = repo.commit(f'Revert "Bad"\n\nThis reverts commit {bad}.', bad)
    two = repo.commit(f'Reapply "Bad"\n\nThis reverts commit {one}.', one)
    repo.on("main", two)
    told = read(repo, by="commits")
    assert {"status": "rolled_back", "rolled_back_at": at(2)} == outcome(told[bad])
    assert {"repairs": bad} == outcome(told[one])
    assert {} == outcome(told[two])
    three = repo.on("main", repo.commit(f"Again\n\nThis reverts commit {two}.", two))
    told = read(repo, by="commits")
    assert {"status": "rolled_back", "rolled_back_at": at(4)} == outcome(told[two])
    assert {"repairs": two} == outcome(told[three])
    assert at(2) == told[bad].facts["rolled_back_at"]


@pytest.mark.parametrize(
    "message",
    [
        "This reverts commits {a}, {b} and {c}.",
        "This reverts commits {a},\n{b}, and\n{c}.",
        "This reverts commit {a}.\nThis reverts commit {b}.\nThis reverts commit {c}.",
        "This reverts commit {a} and commit {b}. This reverts commit {c}.",
        "Oops\n\nReverts: {a}, {b}\nReverts: {c}",
        "Oops\n\nReverts: shop/web@{a} {b}\nrevert: {b} & {c}",
    ],
)
def test_a_revert_that_names_several(repo: Repository, message: str) -> None:
    """Each is rolled back; of those it repairs, the one brought in last is named."""
    a = repo.commit("A")
    b = repo.commit("B", a)
    c = repo.commit("C", b)
    revert = repo.on("main", repo.commit(message.format(a=a, b=b[:8], c=c.upper()), c))
    told = read(repo, by="commits")
    assert ["rolled_back"] * 3 == [told[each].facts["status"] for each in (a, b, c)]
    assert {"repairs": c} == outcome(told[revert])


def test_a_revert_of_a_merge_names_the_merge_alone(repo: Repository) -> None:
    a = repo.commit("First")
    work = repo.commit("Work", a)
    merge = repo.commit("Merge branch 'work'", a, work)
    message = f"This reverts commit {merge}, reversing\nchanges made to {a}.\n"
    repo.on("main", repo.commit(message, merge))
    told = read(repo, by="commits")
    assert {} == outcome(told[a])
    assert "rolled_back" == told[merge].facts["status"]


def test_what_is_quoted_or_a_range_names_nothing(repo: Repository) -> None:
    a = repo.commit("First")
    b = repo.commit("Second", a)
    quoted = f"Look\n\n> This reverts commit {a}.\n    This reverts commit {a}.\n\nReverts it.\n"
    ranged = f"This reverts commits {a}..{b}\nthis reverts commit {a}^\n"
    repo.on("main", repo.commit(ranged, repo.commit(quoted, b)))
    told = read(repo, by="commits")
    assert [{}] * 4 == [outcome(each) for each in told.values()]


def test_ids_that_are_missing_ambiguous_or_no_ids(repo: Repository) -> None:
    """Each is told, and none of them marks anything."""
    a = repo.commit("First")
    near, _ = same_beginning(repo, a)
    gone = "0123456789" * 4
    messages = [
        f"This reverts commit {gone}.",
        f"This reverts commit {'ab' * 32}.",
        f"This reverts commit {near[:4]}.",
        'Revert "First"',
        "Reverts shop/web#77",
    ]
    tip = repo.git("rev-parse", "main")
    reverts = []
    for message in messages:
        tip = repo.on("main", repo.commit(message, tip))
        reverts.append(tip)
    drops: list[Dropped] = []
    told = list(git_changes(repo.path, by="commits", drops=drops))
    assert all({} == outcome(each) for each in told)
    found = {each.what.removeprefix("revert "): (each.value, each.why) for each in drops}
    assert [
        (gone, "not in this history"),
        ("ab" * 32, "not in this history"),
        (near[:4], "2 commits begin so"),
        ("", "it does not say of which commit"),
        ("#77", "no commit has this number"),
    ] == [found[each] for each in reverts]


def same_beginning(repo: Repository, first: str) -> tuple[str, list[str]]:
    """Put commits on main until two begin with the same four digits; return one of them."""
    stream = [f"reset refs/heads/main\nfrom {first}\n\n"]
    stream += [
        f"commit refs/heads/main\ncommitter A <a@example.org> {START + 9 * HOUR + n} +0000\n"
        f"data 2\nN\n\n"
        for n in range(600)
    ]
    repo.git("fast-import", "--quiet", given="".join(stream).encode())
    ids = repo.git("rev-list", "main").split()
    seen: dict[str, list[str]] = {}
    for each in ids:
        seen.setdefault(each[:4], []).append(each)
    pairs = [each for each in seen.values() if len(each) == 2]
    return pairs[0][0], ids


@pytest.mark.parametrize(
    "message",
    [
        'Revert "Add it (#123)" (#130)\n',
        'Revert "Add it" (#130)\n\nReverts shop/web#123\n',
        "Back\n\nThis reverts merge request shop/web!123\n",
    ],
)
@pytest.mark.parametrize("brought", ["Add it (#123)", "Merge pull request #123 from shop/it"])
def test_reverts_of_squashed_requests(repo: Repository, message: str, brought: str) -> None:
    """They name the number of the request; its commit in the history of the revert is meant."""
    a = repo.commit("First")
    bad = repo.commit(brought, a)
    repo.on("old", repo.commit(brought, a, hour=1))  # the same, picked to another branch
    revert = repo.on("main", repo.commit(message, bad))
    repo.tag("v0", "old", hour=1)
    repo.tag("v1", bad, hour=2)
    repo.tag("v2", revert, hour=5)
    told = read(repo)
    assert {} == outcome(told["v0"])
    assert told["v1"].facts["status"] in {"failed", "rolled_back"}
    assert {"repairs": "v1"} == outcome(told["v2"])
    assert "rolled_back" == read(repo, by="commits")[bad].facts["status"]


def test_a_revert_of_a_reverted_request(repo: Repository) -> None:
    bad = repo.commit("Add it (#1)")
    one = repo.commit('Revert "Add it (#1)" (#2)', bad)
    two = repo.on("main", repo.commit('Revert "Revert "Add it (#1)" (#2)" (#3)', one))
    told = read(repo, by="commits")
    assert ["rolled_back", "successful", "successful"] == [
        told[each].facts["status"] for each in (bad, one, two)
    ]
    assert {} == outcome(told[two])


def test_of_several_reverts_of_one_commit_the_first_counts(repo: Repository) -> None:
    """A revert is picked to the line of an older release, too: that moves no moment."""
    bad = repo.commit("Bad", hour=1)
    repo.tag("v1", bad, hour=2)
    here = repo.commit(f"This reverts commit {bad}.", bad, hour=4)
    there = repo.commit(f"This reverts commit {bad}.\n\nPicked.", bad, hour=6)
    repo.tag("v2", here, hour=9)
    repo.tag("v1.1", there, hour=7)
    told = read(repo)
    assert at(7) == told["v1"].facts["rolled_back_at"]
    assert ["v1", "v1"] == [told[each].facts["repairs"] for each in ("v1.1", "v2")]


# --- text that is no text, and dates that are none ------------------------------------------------


def test_messages_that_are_not_utf_8(repo: Repository) -> None:
    """Nothing is refused for its words; what a commit says its encoding is counts."""
    a = repo.commit("First")
    who = f"A <a> {START} +0000"
    raw = f"tree {repo.empty}\nparent {a}\nauthor {who}\ncommitter {who}\n"
    put = ("hash-object", "-t", "commit", "-w", "--stdin")
    told = repo.git(*put, given=f"{raw}encoding ISO-8859-1\n\n".encode() + b"Caf\xe9\n")
    wrong = repo.git(*put, given=raw.replace(a, told).encode() + b"\nCaf\xe9 \x1b[31m\n")
    repo.on("main", wrong)
    titles = [each.facts["title"] for each in read(repo, by="commits").values()]
    assert ["First", "Café", "Caf\ufffd \x1b[31m"] == titles


def test_a_message_of_any_length_is_cut(repo: Repository) -> None:
    """What a revert says within its first 64 KiB counts."""
    a = repo.commit("x" * 2_000_000)
    b = repo.commit(f"This reverts commit {a}.\n" + "y" * 2_000_000, a)
    c = repo.commit("y" * 70_000 + f"\nThis reverts commit {b}.", b)
    repo.on("main", repo.commit("", c))
    told = list(read(repo, by="commits").values())
    assert "x" * 500 == told[0].facts["title"]
    assert "rolled_back" == told[0].facts["status"]
    assert {"repairs": a} == outcome(told[1])
    assert told[3].id == told[3].facts["title"]  # it has no message


def test_dates_that_are_none(repo: Repository) -> None:
    """A change without a moment is told, and so is why."""
    far = 10**15
    raw = f"tree {repo.empty}\nauthor A <a> {far} +0000\ncommitter A <a> {far} +0000\n\nFar\n"
    made = repo.git(
        "hash-object", "-t", "commit", "-w", "--literally", "--stdin", given=raw.encode()
    )
    repo.on("main", made)
    drops: list[Dropped] = []
    (one,) = git_changes(repo.path, by="commits", drops=drops)
    assert "deployed_at" not in one.facts
    assert one.facts["commits"][0].committed_at is None
    assert [made] == [each.what for each in drops]


def test_a_date_that_git_can_t_read(repo: Repository) -> None:
    who = "A <a@example.org> yesterday"
    raw = f"tree {repo.empty}\nauthor {who}\ncommitter {who}\n\nOld\n"
    put = ("hash-object", "-t", "commit", "-w", "--literally", "--stdin")
    repo.on("main", repo.git(*put, given=raw.encode()))
    drops: list[Dropped] = []
    (one,) = git_changes(repo.path, by="commits", drops=drops)
    assert ("Old", 1) == (one.facts["title"], len(drops))
    assert one.facts["commits"][0].authored_at is None


# --- since ----------------------------------------------------------------------------------------


def released(repo: Repository) -> list[str]:
    """Make five releases, of which the last takes back a part of the second."""
    tips = [repo.commit("First")]
    repo.tag("v1", tips[0])
    for n in range(2, 5):
        tips.append(repo.commit(f"Change {n} (#{n})", tips[-1]))
        repo.tag(f"v{n}", tips[-1])
    return tips


def test_read_again_it_says_the_same(repo: Repository) -> None:
    released(repo)
    assert read(repo) == read(repo)


def test_since_a_tag_only_what_is_new_is_told(repo: Repository) -> None:
    """A tag, a whole id and the beginning of one name the same."""
    tips = released(repo)
    whole = read(repo)
    for since in ("v2", tips[1], tips[1][:9]):
        assert [whole["v3"], whole["v4"]] == list(read(repo, since=since).values())
    assert {} == read(repo, since="v4")
    newer = repo.on("main", repo.commit("Not released", tips[-1]))
    assert {} == read(repo, since=newer)
    branch = read(repo, by="commits")
    assert [newer] == list(read(repo, by="commits", since="v4"))
    assert [branch[each] for each in (tips[3], newer)] == list(
        read(repo, by="commits", since=tips[2]).values()
    )


@pytest.mark.parametrize("named", ["This reverts commit {id}.", "Reverts shop/web#2"])
def test_since_tells_again_what_is_taken_back(repo: Repository, named: str) -> None:
    """Whole, as it is told without: what stands there now."""
    tips = released(repo)
    revert = repo.commit(named.format(id=tips[1]), tips[-1])
    repo.tag("v5", revert)
    whole = read(repo)
    assert "rolled_back" == whole["v2"].facts["status"]
    assert [whole["v2"], whole["v5"]] == list(read(repo, since="v4").values())
    # A revert of that revert has nothing to say of what came before.
    repo.tag("v6", repo.commit(f"This reverts commit {revert}.", revert))
    assert [read(repo)["v6"]] == list(read(repo, since="v5").values())


def test_since_reads_no_message_of_what_came_before(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only ids and dates, unless a revert points there."""
    tips = released(repo)
    asked: list[int] = []
    log = git_program.Git.log

    def counted(self: Any, places: Any, **more: Any) -> Iterator[tuple[bytes, ...]]:
        for fields in log(self, places, **more):
            if "%B" in places:
                asked.append(len(fields))
            yield fields

    monkeypatch.setattr(git_program.Git, "log", counted)
    read(repo, since="v3")
    assert 1 == len(asked)
    repo.tag("v5", repo.commit(f"This reverts commit {tips[0]}.", tips[-1]))
    asked.clear()
    read(repo, since="v4")
    assert 5 == len(asked)


# --- what is refused ------------------------------------------------------------------------------


def test_there_must_be_a_repository(tmp_path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "gone", "\0", 7):
        with pytest.raises(InvalidValue, match=r"repository: .*the folder of a git repository"):
            git_changes(wrong)  # type: ignore[arg-type]


def test_there_must_be_a_git_program(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ImportRefusedError, match="the git program is not found: install git"):
        git_changes(repo.path)


def test_a_shallow_clone_is_refused(repo: Repository, tmp_path: Path) -> None:
    repo.on("main", repo.commit("Second", repo.commit("First")))
    repo.git("clone", "--quiet", "--depth=1", repo.path.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(ImportRefusedError, match="git fetch --unshallow"):
        git_changes(tmp_path / "shallow")


def test_arguments_that_can_not_be(repo: Repository) -> None:
    """Each is told with what is there; nothing that begins with a dash or is a question passes."""
    with pytest.raises(InvalidValue, match="nothing is checked out here"):
        git_changes(repo.path, by="commits")
    with pytest.raises(InvalidValue, match="none yet"):
        git_changes(repo.path, by="commits", branch="main")
    tip = repo.on("main", repo.commit("First"))
    for n in range(11):
        repo.on(f"b{n:02}", tip)
    for branch in ("gone", "--all", "main^", "main@{0}", "a..b", "v1", tip, ""):
        with pytest.raises(InvalidValue, match=r"a branch of this repository: b00.*, \.\.\."):
            git_changes(repo.path, by="commits", branch=branch)
    for since in ("gone", "--all", "main", "HEAD", "abc", "f" * 40, "e" * 64, repo.empty, ""):
        with pytest.raises(InvalidValue, match="a tag, or the id of a commit"):
            git_changes(repo.path, since=since)
    _, ids = same_beginning(repo, tip)
    near = next(each[:4] for each in ids if 2 == len([i for i in ids if i[:4] == each[:4]]))
    with pytest.raises(InvalidValue, match="2 commits begin so"):
        git_changes(repo.path, since=near)
    for wrong in ({"by": "days"}, {"tags": 7}, {"services": "shop"}, {"environment": ""}):
        with pytest.raises(InvalidValue):
            git_changes(repo.path, **wrong)  # type: ignore[arg-type]


def test_a_broken_repository_is_told_in_git_s_words(repo: Repository) -> None:
    a = repo.commit("First")
    repo.on("main", repo.commit("Second", a))
    lost = repo.path / ".git" / "objects" / a[:2] / a[2:]
    lost.chmod(0o644)
    lost.write_bytes(zlib.compress(b"commit 3\0abc"))
    with pytest.raises(ImportRefusedError, match=r"git does not read(.|\n)*" + a[:7]):
        git_changes(repo.path, by="commits")


def test_git_refuses_what_belongs_to_somebody_else(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether to trust it is the user's to say; git's words tell how."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    kept = git_program._KEPT | {"GIT_TEST_ASSUME_DIFFERENT_OWNER"}
    monkeypatch.setattr(git_program, "_KEPT", kept)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    with pytest.raises(ImportRefusedError, match=r"safe\.directory"):
        git_changes(repo.path)


# --- what a repository can't make git do ----------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="the trap is a shell script")
def test_nothing_that_a_repository_names_is_run(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings name programs in every place that git knows; none of them leaves a mark."""
    a = repo.commit("First")
    who = f"A <a@example.org> {START} +0000"
    signed = f"tree {repo.empty}\nparent {a}\nauthor {who}\ncommitter {who}\ngpgsig -----BEGIN PGP "
    signed += "SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n\nSecond\n"
    put = ("hash-object", "-t", "commit", "-w", "--stdin")
    repo.tag("v1", repo.on("main", repo.git(*put, given=signed.encode())))
    mark = tmp_path / "mark"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n")
    trap.chmod(0o755)
    hooks = repo.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "reference-transaction", "fsmonitor-watchman"):
        (hooks / name).symlink_to(trap)
    for name, value in {
        "core.fsmonitor": str(trap),
        "core.pager": str(trap),
        "pager.log": str(trap),
        "gpg.program": str(trap),
        "log.showSignature": "true",
        "core.sshCommand": str(trap),
        "core.askPass": str(trap),
        "diff.external": str(trap),
        "alias.log": f"!{trap}",
        "alias.rev-parse": f"!{trap}",
        "core.alternateRefsCommand": str(trap),
        "log.mailmap": "true",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{trap}",
        "protocol.ext.allow": "always",
        "core.repositoryFormatVersion": "1",
    }.items():
        repo.git("config", name, value)
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.pager")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(trap))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(trap))
    assert ["v1"] == [each.id for each in git_changes(repo.path)]
    # What is missing would be fetched.
    (repo.path / ".git" / "objects" / a[:2] / a[2:]).unlink()
    with pytest.raises(ImportRefusedError):
        git_changes(repo.path)
    assert not mark.exists()


def test_git_is_stopped_where_nobody_reads_on(repo: Repository) -> None:
    """No process stays behind."""
    tip = repo.commit("First")
    same_beginning(repo, tip)
    reading = git_program.Git(repo.path).log(("%H",), tips=[repo.git("rev-parse", "main")])
    assert (tip.encode(),) == next(reading)
    reading.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(reading)


# --- which commits does each tag bring in ---------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[int, ...]], list[int], list[tuple[int, int]]]:
    """Draw commits by their parents, their dates, and tags: a commit and a date each."""
    size = draw(st.integers(1, 12))
    parents = [
        tuple(draw(st.lists(st.integers(0, n - 1), max_size=3, unique=True))) if n else ()
        for n in range(size)
    ]
    dates = draw(st.lists(st.integers(0, 6), min_size=size, max_size=size))
    tags = draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, 6)), max_size=6))
    return parents, dates, tags


def brought_in(
    parents: list[tuple[int, ...]], tags: list[tuple[int, int]]
) -> tuple[list[str], dict[str, set[int]]]:
    """Return the order of the tags and what each brings in, from whole sets of ancestors."""
    reach: list[set[int]] = []
    for n, above in enumerate(parents):
        reach.append({n}.union(*(reach[each] for each in above)))
    longest: list[int] = []
    for above in parents:
        longest.append(1 + max((longest[each] for each in above), default=-1))

    def counts_as(commit: int, date: int) -> int:
        held = [c for c in tags if c[0] != commit and c[0] in reach[commit]]
        return max([date, *(counts_as(*each) for each in held)])

    named = [(f"v{n}", *tag) for n, tag in enumerate(tags)]
    named.sort(key=lambda each: (counts_as(*each[1:]), longest[each[1]], each[2], each[0]))
    seen: set[int] = set()
    found: dict[str, set[int]] = {}
    for name, commit, _ in named:
        found[name] = reach[commit] - seen
        seen |= reach[commit]
    return [name for name, *_ in named], found


def imported(
    place: Path, history: tuple[list[tuple[int, ...]], list[int], list[tuple[int, int]]]
) -> list[str]:
    """Make a repository of a history with one run of git; return the ids of its commits."""
    parents, dates, tags = history
    told: list[str] = []
    for n, (above, date) in enumerate(zip(parents, dates, strict=True)):
        told.append(f"reset refs/heads/b{n}\n")
        moment = f"{START + date} +0000"
        told.append(f"commit refs/heads/b{n}\nmark :{n + 1}\ncommitter A <a> {moment}\n")
        told.append(f"data {len(str(n))}\n{n}\n")
        words = ("from", "merge", "merge")
        told += [f"{word} :{each + 1}\n" for word, each in zip(words, above, strict=False)]
    for n, (commit, date) in enumerate(tags):
        told.append(f"tag v{n}\nfrom :{commit + 1}\ntagger A <a> {START + date} +0000\ndata 0\n")
    environment = {**os.environ, **SETTINGS}
    for words in (("init", "--quiet", "--bare"), ("fast-import", "--quiet", "--export-marks=m")):
        subprocess.run(
            ("git", "-C", str(place), *words),
            input="".join(told).encode(),
            check=True,
            env=environment,
        )
    marks = dict(line.split() for line in (place / "m").read_text().splitlines())
    return [marks[f":{n + 1}"] for n in range(len(parents))]


@settings(max_examples=40, deadline=None)
@given(histories(), st.data())
def test_each_tag_brings_in_what_no_tag_before_it_holds(
    history: tuple[list[tuple[int, ...]], list[int], list[tuple[int, int]]], data: st.DataObject
) -> None:
    """Compared with whole sets of ancestors; and with *since*, the end of the same list."""
    parents, _, tags = history
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        ids = imported(place, history)
        told = list(git_changes(place))
        order, expected = brought_in(parents, tags)
        assert order == [each.id for each in told]
        for each in told:
            assert {ids[n] for n in expected[each.id]} == set(commits(each))
            places = [ids.index(id_) for id_ in commits(each)]
            for n, at_ in enumerate(places):  # parents before their children
                assert not set(parents[at_]) & set(places[n + 1 :])
        since = data.draw(st.integers(0, len(ids) - 1))
        reached: set[int] = set()
        left = [since]
        while left:
            commit = left.pop()
            reached.add(commit)
            left += parents[commit]
        held = [n for n, name in enumerate(order) if tags[int(name[1:])][0] in reached]
        assert told[held[-1] + 1 if held else 0 :] == list(git_changes(place, since=ids[since]))


# --- what reverts do, against its definition ------------------------------------------------------


@st.composite
def reverting(draw: st.DrawFn) -> tuple[list[int], dict[int, set[int]]]:
    """Draw the change of each commit, and what the reverts among them take back."""
    size = draw(st.integers(1, 9))
    changes = draw(st.lists(st.integers(0, 4), min_size=size, max_size=size))
    named = st.sets(st.integers(0, size - 1), min_size=1, max_size=3)
    reverts = draw(st.dictionaries(st.integers(0, size - 1), named, max_size=size))
    return changes, {revert: targets - {revert} for revert, targets in reverts.items()}


@settings(max_examples=300, deadline=None)
@example(([0, 1, 0, 0, 2, 2, 0], {3: {0}, 5: {1, 4}, 1: {0, 6}, 4: {0, 1}, 6: {2}}))
@example(([0, 0, 1, 2, 2], {2: {1}, 3: {1}, 4: {3}}))
@given(reverting())
def test_what_is_in_production_is_what_nothing_in_it_takes_back(
    given_: tuple[list[int], dict[int, set[int]]],
) -> None:
    """Each commit's stays, told change by change from the definition alone."""
    changes, reverts = given_

    def later(revert: int, commit: int) -> bool:
        return (changes[revert], revert) > (changes[commit], commit)

    def stands(commit: int, upto: int) -> bool:
        """Say whether it takes effect once a change is in."""
        return changes[commit] <= upto and not any(
            commit in reverts[each] and later(each, commit) and stands(each, upto)
            for each in reverts
        )

    found = taken_back(
        reverts, change=changes.__getitem__, order=lambda each: (each, 0, b""), whole={0}
    )
    ends = {(each.commit, each.since): each.by for each in reversed(found.ended)}
    expected: dict[tuple[int, int], int] = {}
    came: dict[tuple[int, int], int | None] = {}
    out: dict[int, int] = {}
    for commit in range(len(changes)):
        since: int | None = None
        for change in range(5):
            came[commit, change] = since
            now, before = stands(commit, change), change > 0 and stands(commit, change - 1)
            if now and not before:
                since = change
            if before and not now and commit not in {0, *reverts}:
                assert since is not None
                expected[commit, since] = change
            if changes[commit] <= change and not now:
                out.setdefault(commit, change)
    assert expected == ends
    assert out == found.out
    for each in found.ended:
        assert came[each.commit, each.by] == each.since
        assert not stands(each.commit, each.by)
        assert {changes[revert] for revert in each.reverts} == {each.by}
        assert all(stands(revert, each.by) for revert in each.reverts)
    told = {(each.commit, revert) for each in found.ended for revert in each.reverts}
    for revert, targets in reverts.items():
        for commit in targets - {0, *reverts}:
            was_there = came[commit, changes[revert]] is not None
            if was_there and later(revert, commit) and stands(revert, changes[revert]):
                assert (commit, revert) in told


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_a_merge_brings_what_its_main_line_did_not_have(
    history: tuple[list[tuple[int, ...]], list[int], list[tuple[int, int]]], data: st.DataObject
) -> None:
    """Compared with whole sets of ancestors."""
    parents, _, _ = history
    reach: list[set[int]] = []
    longest: list[int] = []
    for n, above in enumerate(parents):
        reach.append({n}.union(*(reach[each] for each in above)))
        longest.append(1 + max((longest[each] for each in above), default=-1))
    for merge, above in enumerate(parents):
        if len(above) > 1:
            main = data.draw(st.sampled_from(above))
            found = merged_into(
                main, merge, parents=parents.__getitem__, generation=longest.__getitem__
            )
            assert len(found) == len({*found})
            assert reach[merge] - reach[main] - {merge} == {*found}


# --- how a change went ----------------------------------------------------------------------------


def test_what_nobody_took_back_is_successful(repo: Repository) -> None:
    """So the commits of what failed have a release to which they roll forward."""
    a = repo.commit("First", hour=0)
    repo.tag("v1", a, hour=1)
    slow = repo.commit("Slow", a, hour=2)
    repo.tag("v2", slow, hour=242)
    revert = repo.commit(f"This reverts commit {slow}.", slow, hour=243)
    repo.tag("v3", revert, hour=244)
    repo.tag("v4", repo.commit("More", revert, hour=245), hour=246)
    told = read(repo)
    assert ["successful", "rolled_back", "successful", "successful"] == [
        each.facts["status"] for each in told.values()
    ]
    ledger = Ledger.in_memory()
    import_git(ledger, repo.path)
    known = ledger.facts()
    figure = lead_time(known)
    assert 4 == figure.n
    assert not figure.left_out
    assert 242 * HOUR == max(each.value for each in figure.included)
    # Those that count successful deployments alone have some to divide by.
    assert all(each.value is not None for each in side_by_side(known).figures.values())


def brought_back(repo: Repository) -> tuple[str, str, str, str]:
    """Put on main a commit, a revert of it, and a revert of that revert."""
    a = repo.commit("First")
    bad = repo.commit("Feature", a)
    one = repo.commit(f"This reverts commit {bad}.", bad)
    two = repo.on("main", repo.commit(f"This reverts commit {one}.", one))
    return a, bad, one, two


def test_a_revert_that_is_reverted_in_the_same_change_is_no_failure(repo: Repository) -> None:
    """Production never lacked what it takes back."""
    a, bad, one, two = brought_back(repo)
    repo.tag("v1", a)
    repo.tag("v2", bad)
    repo.tag("v3", two)
    assert [{}] * 3 == [outcome(each) for each in read(repo).values()]
    # Where each is released by itself, it lacked it from the one to the other.
    repo.tag("v2.1", one, hour=repo.hour - 0.5)
    assert [{}, {"status": "rolled_back", "rolled_back_at": at(6.5)}, {"repairs": "v2"}, {}] == [
        outcome(each) for each in read(repo).values()
    ]


def test_a_second_revert_that_is_reverted_at_once_repairs_nothing(repo: Repository) -> None:
    """Of what was out of production already, and stays so."""
    _, bad, one, _ = brought_back(repo)
    again = repo.commit(f"This reverts commit {bad}. Again.", one)
    not_so = repo.commit(f"This reverts commit {again}.", again)
    for name, commit in (("v1", bad), ("v2", one), ("v3", not_so)):
        repo.tag(name, commit)
    told = read(repo)
    assert [None, "v1", None] == [each.facts["repairs"] for each in told.values()]
    assert ["failed", "successful", "successful"] == [
        each.facts["status"] for each in told.values()
    ]
    repo.tag("v4", repo.commit(f"This reverts commit {not_so}.", not_so))
    assert {"repairs": "v1"} == outcome(read(repo)["v4"])


def test_a_third_revert_takes_back_what_the_second_only_kept(repo: Repository) -> None:
    """The release with both never brought it in; the one before did."""
    a, bad, _, two = brought_back(repo)
    three = repo.on("main", repo.commit(f"This reverts commit {two}.", two))
    for name, commit in (("v1", a), ("v2", bad), ("v3", two), ("v4", three)):
        repo.tag(name, commit)
    told = read(repo)
    assert ["successful", "rolled_back", "successful", "successful"] == [
        each.facts["status"] for each in told.values()
    ]
    assert {"repairs": "v2"} == outcome(told["v4"])


def test_by_merges_what_was_reverted_and_brought_back_before_the_next_is_no_failure(
    repo: Repository,
) -> None:
    a = repo.commit("First")
    m1 = repo.commit("Merge p1", a, repo.commit("p1", a))
    one = repo.commit(f"This reverts commit {m1}, reversing\nchanges made to {a}.", m1)
    two = repo.on("main", repo.commit(f"This reverts commit {one}.", one))
    (first,) = read(repo, by="merges").values()
    assert {} == outcome(first)
    m2 = repo.on("main", repo.commit("Merge p2", two, repo.commit("p2", two)))
    assert {m1: {}, m2: {}} == {id_: outcome(each) for id_, each in read(repo, by="merges").items()}


def test_a_revert_of_a_merge_takes_back_what_it_merged(repo: Repository) -> None:
    """By tags as by merges; what the tag holds besides stays in production."""
    a = repo.commit("First")
    m1 = repo.commit("Merge p1", a, repo.commit("More", repo.commit("p1", a)))
    other = repo.commit("Other", m1)
    message = f"This reverts commit {m1}, reversing\nchanges made to {a}."
    revert = repo.commit(message, other)
    m2 = repo.on("main", repo.commit("Merge p2", revert, repo.commit("p2", revert)))
    repo.tag("v1", a, hour=1)
    repo.tag("v2", m1, hour=20)
    repo.tag("v3", other, hour=21)
    repo.tag("v4", revert, hour=22)
    whole = {"status": "rolled_back", "rolled_back_at": at(22)}
    assert whole == outcome(read(repo)["v2"])
    assert "rolled_back" == read(repo, by="merges")[m1].facts["status"]
    again = repo.commit(message, m2)  # of what is out already
    repo.tag("v5", again, hour=23)
    assert whole == outcome(read(repo)["v2"])
    assert {"repairs": "v2"} == outcome(read(repo)["v5"])
    repo.git("tag", "-d", "v2")
    assert {"status": "failed", "recovered_at": at(22)} == outcome(read(repo)["v3"])
    assert {"repairs": m1} == outcome(read(repo, by="merges")[m2])


def test_a_merge_goes_back_to_the_parent_that_is_named(repo: Repository) -> None:
    """`git revert -m 2` takes back what the first parent had."""
    a = repo.commit("First")
    ours, theirs = repo.commit("Ours", a), repo.commit("Theirs", a)
    merge = repo.commit("Merge", ours, theirs)
    repo.tag("v1", theirs, hour=10)
    repo.tag("v2", merge, hour=11)
    named = f"This reverts commit {merge}, reversing\nchanges made to {theirs}."
    repo.tag("v3", repo.commit(named, merge), hour=12)
    assert {"status": "rolled_back", "rolled_back_at": at(12)} == outcome(read(repo)["v2"])
    # Of the other parent nothing came with this tag: then the merge itself is what failed.
    repo.git("tag", "-d", "v3")
    repo.tag("v4", repo.commit(f"This reverts commit {merge}.", merge), hour=13)
    assert {"status": "failed", "recovered_at": at(13)} == outcome(read(repo)["v2"])


def test_a_merged_revert_of_a_merged_revert_fails_nothing(repo: Repository) -> None:
    """As pull requests go: each revert is a merge of its own."""
    tip = repo.commit("First")
    merges: list[str] = []
    message = "Feature"
    for n in range(3):
        tip_ = repo.commit(f"Merge p{n}", tip, repo.commit(message, tip))
        message = f"This reverts commit {tip_}, reversing\nchanges made to {tip}."
        tip = repo.on("main", tip_)
        merges.append(tip)
    told = read(repo, by="merges")
    assert ["rolled_back", "successful", "successful"] == [
        told[each].facts["status"] for each in merges
    ]
    assert {"repairs": merges[0]} == outcome(told[merges[1]])
    assert {} == outcome(told[merges[2]])


def test_what_goes_with_what_it_came_with_is_all_of_it(repo: Repository) -> None:
    """A revert within a change is no part of it that stays; one of an earlier change is."""
    a = repo.commit("First")
    good = repo.commit("Good", a)
    gone = repo.commit("Gone", good)
    undone = repo.commit(f"This reverts commit {gone}.", gone)
    repo.tag("v1", a, hour=10)
    repo.tag("v2", undone, hour=11)
    back = repo.commit(f"This reverts commit {good}.", undone)
    repo.tag("v3", back, hour=12)
    assert "rolled_back" == read(repo)["v2"].facts["status"]
    last = repo.commit(f"This reverts commit {a}.", repo.commit("New", back))
    repo.tag("v4", last, hour=13)
    new = repo.git("rev-parse", f"{last}^")
    repo.tag("v5", repo.commit(f"This reverts commit {new}.", last), hour=14)
    assert "failed" == read(repo)["v4"].facts["status"]


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_told_bit_by_bit_it_is_what_it_is_told_at_once(data: st.DataObject) -> None:
    """A later revert corrects what an earlier import said of a change; again nothing is new."""
    with tempfile.TemporaryDirectory() as folder:
        repo = Repository(Path(folder) / "repo")
        growing = Ledger.in_memory()
        made: list[str] = []
        for n in range(data.draw(st.integers(2, 5))):
            for _ in range(data.draw(st.integers(1, 2))):
                message = f"Change {n}"
                if made and data.draw(st.booleans()):
                    named = data.draw(st.sets(st.sampled_from(made), min_size=1, max_size=2))
                    message = f"Back\n\nReverts: {', '.join(sorted(named))}"
                made.append(repo.on("main", repo.commit(message, *made[-1:])))
            repo.tag(f"v{n}", made[-1])
            since = data.draw(st.sampled_from([None, f"v{n - 1}"])) if n else None
            import_git(growing, repo.path, since=since)
            assert stands(growing) == stands(whole(repo))
            assert 0 == import_git(growing, repo.path).taken.events


def whole(repo: Repository, **more: Any) -> Ledger:
    """Return a fresh ledger of a repository."""
    ledger = Ledger.in_memory()
    import_git(ledger, repo.path, **more)
    return ledger


def stands(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """Return what stands of each change, however it came to be known."""
    beside = {"positions", "edits"}
    return {
        row.id: {
            name: getattr(row, name) for name in ChangeFacts.__annotations__ if name not in beside
        }
        for row in ledger.facts().changes
        if not row.withdrawn
    }


def test_a_ledger_in_which_no_change_was_successful_learns_it(repo: Repository) -> None:
    """Before, git said nothing of a change that was not taken back; only that is added."""
    tips = released(repo)
    repo.tag("v5", repo.commit(f"This reverts commit {tips[1]}.", tips[-1]))
    ledger = Ledger.in_memory()
    for statement in read(repo).values():
        known = {
            name: value
            for name, value in statement.facts.items()
            if value is not None and value != "successful"
        }
        record_statements(ledger, [attrs.evolve(statement, facts=known)], source="git")
    taken = import_git(ledger, repo.path).taken
    assert (4, 0, 0) == (taken.events, taken.corrected, taken.withdrawn)
    assert stands(ledger) == stands(whole(repo))


def test_a_repair_that_was_told_can_not_be_taken_back_and_is_listed(repo: Repository) -> None:
    repo.tag("v1", repo.commit("First"))
    (one,) = read(repo).values()
    ledger = Ledger.in_memory()
    told = attrs.evolve(one, facts={**one.facts, "repairs": "v0"})
    record_statements(ledger, [told], source="git")
    (left,) = import_git(ledger, repo.path).taken.left
    assert ("change:git/v1", "repairs") == (left.stream, left.fact)


# --- what no change holds yet ---------------------------------------------------------------------


def test_commits_that_no_change_holds_are_counted(repo: Repository) -> None:
    """They are not in production; what reverts among them will take back is told."""
    a = repo.commit("First")
    work = repo.commit("Work", a)
    m1 = repo.on("main", repo.commit("Merge work", a, work))
    repo.git("symbolic-ref", "HEAD", "refs/heads/main")
    repo.tag("v1", m1)
    nothing = Pending(branch="main", commits=0)
    for by in ("tags", "merges", "commits"):
        assert nothing == import_git(Ledger.in_memory(), repo.path, by=by).pending
    revert = repo.on("main", repo.commit(f"This reverts commit {m1}.", m1))
    names = {"tags": "v1", "merges": m1}
    for by, since in itertools.product(names, (None, m1)):
        report = import_git(Ledger.in_memory(), repo.path, by=by, since=since)
        assert report.pending == Pending(
            branch="main", commits=1, reverts=(revert,), takes_back=(names[by],)
        )
        assert "1 commits pending" in repr(report)
    assert read(repo, by="merges")[m1].facts["status"] == "successful"
    assert nothing == read_repository(repo.path, by="commits").pending
    again = repo.commit(f"This reverts commit {revert}.", revert)
    repo.on("main", repo.commit("Not on main", again))
    repo.on("main", again)
    pending = read_repository(repo.path, by="merges").pending
    assert pending == Pending(branch="main", commits=2, reverts=(revert, again))
    # What can't be followed in it is told once it is in a change.
    repo.on("main", repo.commit(f"This reverts commit {'0123' * 10}.", again))
    read_ = read_repository(repo.path, by="merges")
    assert read_.pending is not None
    assert (3, (revert, again), []) == (
        read_.pending.commits, read_.pending.reverts, read_.dropped,
    )  # fmt: skip
    repo.on("other", m1)
    assert read_repository(repo.path, branch="other").pending == Pending(branch="other", commits=0)
    repo.git("update-ref", "--no-deref", "HEAD", revert)
    repo.git("checkout", "--quiet", "--detach", revert)
    detached = read_repository(repo.path).pending
    assert detached is not None
    assert ("HEAD", 1) == (detached.branch, detached.commits)


def test_where_nothing_is_checked_out_nothing_is_pending(repo: Repository) -> None:
    repo.tag("v1", repo.commit("First"))
    assert read_repository(repo.path).pending is None


# --- what is gone ---------------------------------------------------------------------------------


def test_a_tag_that_is_gone_is_named_and_withdrawn_where_asked(repo: Repository) -> None:
    """Not more than a tenth of them unconfirmed; and there again when the tag is."""
    tip = ""
    for n in range(12):
        tip = repo.commit(f"Change {n}", *([tip] if tip else []))
        repo.tag(f"v{n}", tip)
    ledger = whole(repo)
    before = stands(ledger)
    commit = repo.git("rev-parse", "v11^{commit}")
    kept = repo.git("rev-parse", "v11")
    repo.git("tag", "-d", "v11")
    report = import_git(ledger, repo.path)
    assert (("git/v11",), 0) == (report.gone, report.taken.events)
    assert before == stands(ledger)
    dry = import_git(ledger, repo.path, complete=True, dry_run=True)
    assert (("git/v11",), 1, 1) == (dry.gone, dry.taken.events, dry.taken.withdrawn)
    report = import_git(ledger, repo.path, complete=True, since=commit)
    assert (("git/v11",), 1) == (report.gone, report.taken.withdrawn)
    assert stands(ledger) == stands(whole(repo))
    again = import_git(ledger, repo.path, complete=True)
    assert ((), 0) == (again.gone, again.taken.events)
    repo.git("update-ref", "refs/tags/v11", kept)
    import_git(ledger, repo.path, complete=True)
    assert before == stands(ledger)
    repo.git("tag", "-d", "v1", "v11")
    with pytest.raises(ImportRefusedError, match=r"2 of 12 .* \(git/v1, git/v11\), and a clone"):
        import_git(ledger, repo.path, complete=True)
    assert before == stands(ledger)
    import_git(ledger, repo.path, complete=True, confirm_withdrawals=True)
    assert stands(ledger) == stands(whole(repo))


def test_what_another_source_told_is_not_gone(repo: Repository) -> None:
    repo.tag("v1", repo.commit("First"))
    ledger = whole(repo, source="web")
    record_statements(ledger, read(repo).values(), source="git-old")
    assert () == import_git(ledger, repo.path, complete=True).gone


def test_arguments_of_an_import_that_can_not_be(repo: Repository) -> None:
    ledger = Ledger.in_memory()
    wrong: Any
    for wrong in ({"complete": 1}, {"confirm_withdrawals": "no"}, {"source": "a/b"}, {"by": "x"}):
        with pytest.raises(InvalidValue):
            import_git(ledger, repo.path, **wrong)
    with pytest.raises(InvalidValue, match="give a Ledger"):
        import_git("ledger.db", repo.path)  # type: ignore[arg-type]


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_what_is_pending_and_what_is_gone(
    repo: Repository, tmp_path: Path
) -> None:
    ledger = str(tmp_path / "ledger.db")

    def said(*more: str) -> str:
        words = ("import", "git", str(repo.path), "--ledger", ledger, *more)
        ran = subprocess.run(
            (sys.executable, "-m", "imcm", *words), capture_output=True, check=True, text=True
        )
        return ran.stdout

    a = repo.on("main", repo.commit("First"))
    repo.tag("v1", a)
    assert "no change" not in said()
    repo.on("main", repo.commit("Two", repo.commit(f"This reverts commit {a}.", a)))
    assert (
        "2 commits on main belong to no change yet, since no tag holds them; reverts among them: "
        "1; with the next tag will have failed: git/v1\n"
    ) in said()
    repo.git("tag", "-d", "v1")
    assert "--complete withdraws them" in said()
    gone = json.loads(said("--json", "--dry-run", "--complete", "--confirm-withdrawals"))
    assert (["git/v1"], True, 3) == (gone["gone"], gone["complete"], gone["pending"]["commits"])
    told = said("--complete", "--confirm-withdrawals")
    assert "1 change that this source told before is in the repository no more, and withd" in told


def test_by_commits_the_command_says_that_there_is_no_lead_time(
    repo: Repository, tmp_path: Path
) -> None:
    repo.on("main", repo.commit("one"))

    def said(by: str) -> str:
        ledger = tmp_path / f"{by}.db"
        words = ("import", "git", str(repo.path), "--by", by, "--ledger", str(ledger))
        ran = subprocess.run(
            (sys.executable, "-m", "imcm", *words), capture_output=True, check=True, text=True
        )
        return ran.stdout

    assert "its lead time is 0 by construction" in said("commits")
    assert "lead time" not in said("merges")
