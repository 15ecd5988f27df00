"""A git repository as a source: real repositories, made by git, and what they say."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.domain.vocabulary import Kind
from imcm.errors import ImportRefusedError, InvalidValue
from imcm.interchange import git_program
from imcm.interchange.git import git_changes
from imcm.interchange.statements import Dropped, Statement

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
    """Return what a statement says of how a change went."""
    names = ("status", "rolled_back_at", "recovered_at", "repairs")
    return {name: statement.facts[name] for name in names if name in statement.facts}


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
    assert ["rolled_back", "rolled_back", None] == [
        each.facts.get("status") for each in told.values()
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
    assert ["rolled_back", None, None] == [
        told[each].facts.get("status") for each in (bad, one, two)
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
