"""
A git repository as a source: what was brought to production, read from git's own log.

    for statement in git_changes("path/to/clone", by="tags", tags="v*", services=["shop"]):
        ...

**What a change is** is said by *by*:

- "tags": each tag that matches the pattern, at its tagger's date. A lightweight tag has none: there
  it is the committer date of its commit, and the label `tag` says "lightweight".
- "merges": each merge on the first-parent line of the branch, at its committer date.
- "commits": each commit on the first-parent line of the branch, at its committer date.

**Which commits a change brings in** is told by ancestry, never by date: all it has in its history
that no change before it has. So each commit is brought in once, by the first change that holds it.
Changes of a branch stand in the order of the branch. Tags are taken in the order of their moments,
where one counts as no earlier than any that it contains, whatever the clocks said. A tag that
brings in nothing is a change without commits. By merges, what was committed straight to the branch
comes with the next merge.

**A revert is a failure.** It names what it takes back: "This reverts commit <id>" (or "commits",
with several), as `git revert` writes it, or a trailer `Reverts: <id>, <id>`; where no id is named,
the request whose number ends the title it quotes, or the line "Reverts owner/name#123" ("This
reverts merge request name!123"): the commit that says it came with that request. Ids may be short.
What is quoted (indented, or behind a ">") names nothing, and neither do the ends of a range. A
revert of a merge takes back what it merged, as far as that came with the same change.

What counts is what is in production once a change is in, see `imcm.interchange.git_reverts`:

- The change that brought in what went out again has the status "rolled_back" where all that it
  brought in went out (merges aside; by merges, the commits straight to the branch that came with
  it aside, too); and `rolled_back_at`. Where only some did, it is "failed", stays in production,
  and has `recovered_at` instead. Either moment is that of the change which brought the revert in,
  since production was well again only then; of several reverts of one commit the first, of several
  commits the last. Where that lies before the change that failed, a clock was wrong: then it is the
  commit time of the revert, or where even that is earlier, none.
- The change that brings in the revert `repairs` that change; of several the one brought in last.
- What is reverted in the change that brings it in never was in production, and what is reverted and
  brought in again within one change never lacked there: that is no failure.
- A revert of a revert takes nothing back: what failed has failed, and bringing it in again is a
  change like others. It can be reverted in turn, and then it failed.
- Every other change is "successful", as far as git knows: nobody took it back. A revert that comes
  later makes it a failure, and the same import then says so.

**What no change holds yet** is counted (`RepositoryRead.pending`): the commits of the branch after
the last tag or merge, and the reverts among them. They are not in production, so they fail nothing:
by merges a revert straight to the branch fails what it takes back with the next merge. Where each
push to the branch is deployed, that is *by* "commits".

What can't be followed (an id that is not in the history, or stands for several commits) is left out
and told in *drops*. Names of people are not read.

**Times** are as git has them. An author date after the committer date, or a commit newer than its
deployment, is told as it stands: figures list it as negative. A date beyond the year 9999 is none.

**Held** of a commit are its id, two times and its parents, some 250 bytes; of a change some 500
more. Of messages only titles of changes, numbers of requests, and what reverts name are held, and
of each only the first 64 KiB are read. The rest streams by.
"""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Any, Final, Literal, NamedTuple

import attrs

from imcm.domain.recorded import CHANGE
from imcm.domain.vocabulary import (
    Commit,
    Kind,
    checked_id,
    checked_services,
    checked_text,
    optional_id,
)
from imcm.errors import ImportRefusedError, InvalidValue
from imcm.interchange.git_program import Git
from imcm.interchange.git_reverts import merged_into, taken_back
from imcm.interchange.statements import Dropped, Statement, dropped

__all__ = ["By", "Pending", "RepositoryRead", "git_changes", "read_repository"]

By = Literal["tags", "merges", "commits"]

_NO_TIME: Final = -(1 << 62)
"""In the place of a time that is none."""

_LONGEST_TITLE: Final = 500


@attrs.frozen(kw_only=True)
class Pending:
    """
    What a branch has after its last change: it is not in production yet.

    Attributes:
        branch: Its name, as it was given or is checked out; "HEAD" where no branch is.
        commits: How many commits no change holds.
        reverts: The ids of those that take back what a change brought in, in their order.
        takes_back: The changes that will have failed once a change holds these commits.
    """

    branch: str
    commits: int
    reverts: tuple[str, ...] = ()
    takes_back: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class RepositoryRead:
    """
    What was read in a repository.

    Attributes:
        statements: What it says of each change that is told, the first of it first; to be taken
            once.
        changes: The ids of all changes there are, told or not, in their order.
        pending: What no change holds yet; None where nothing is checked out, and no branch given.
        dropped: What was left out, each with its reason: all of it once the statements are taken.
    """

    statements: Iterator[Statement] = attrs.field(repr=False)
    changes: tuple[str, ...]
    pending: Pending | None
    dropped: list[Dropped]


def git_changes(
    repository: str | os.PathLike[str],
    *,
    by: By = "tags",
    branch: str | None = None,
    since: str | None = None,
    tags: str = "v*",
    services: Sequence[str] = (),
    environment: str | None = None,
    drops: list[Dropped] | None = None,
) -> Iterator[Statement]:
    """
    Return what a git repository says was brought to production, the first of it first.

    The repository is only read, and all of it is read before the first statement is given. Read
    again unchanged it gives the same statements.

    Args:
        repository: The folder of a clone with its whole history, or of a bare repository.
        by: What a change is; see the top of this module.
        branch: Whose first-parent line is read; with tags, only those that it contains count. None
            for what is checked out, and for all tags.
        since: A tag or the id of a commit. Only changes after the last one that it contains are
            told, and earlier ones that they take back, each whole and as without *since*. Of what
            lies before only ids and dates are read, unless a revert points there. A tag that was
            made earlier and pushed later is found only without *since*.
        tags: Which tags are changes: a pattern, such as "v*" or "shop-[0-9]*".
        services, environment: What was changed, for all of them; git does not know it.
        drops: Takes up what was left out, each with its reason.

    Raises:
        InvalidValue: There is no such repository, branch, tag or commit, or an argument can't be.
        ImportRefusedError: There is no git program, git refuses the repository, or it is a shallow
            clone, of which nobody can tell which commits a change brought in.
    """
    read = read_repository(
        repository,
        by=by,
        branch=branch,
        since=since,
        tags=tags,
        services=services,
        environment=environment,
        drops=drops,
    )
    return read.statements


def read_repository(
    repository: str | os.PathLike[str],
    *,
    by: By = "tags",
    branch: str | None = None,
    since: str | None = None,
    tags: str = "v*",
    services: Sequence[str] = (),
    environment: str | None = None,
    drops: list[Dropped] | None = None,
) -> RepositoryRead:
    """
    Return all that is read in a git repository: `git_changes`, and what it does not say.

    Arguments and errors are those of `git_changes`.
    """
    if by not in ("tags", "merges", "commits"):
        raise InvalidValue("by", by, '"tags", "merges" or "commits"')
    checked_text("tags", tags)
    said: dict[str, Any] = {"kind": Kind.DEPLOYMENT}
    if given := checked_services(services):
        said["services"] = given
    if optional_id("environment", environment) is not None:
        said["environment"] = environment
    git = Git(repository)
    if git.shallow:
        raise ImportRefusedError(
            "this is a shallow clone, and its history is cut off: complete it with "
            "`git fetch --unshallow`, or clone it without --depth"
        )
    told: list[Dropped] = [] if drops is None else drops
    tip = _tip(git, branch, needed=by != "tags")
    start = None if since is None else _since(git, since)
    made = _History(git, said=said, drops=told)
    if by == "tags":
        found = list(_tags(git, tags, told))
        made.read_graph([*dict.fromkeys(tag.commit for tag in found)], tip, start)
        made.order_tags(found, within=None if branch is None else tip)
    else:
        assert tip is not None
        made.read_graph([], tip, start)
        made.follow_branch(tip, merges=by == "merges")
    made.claim()
    made.begin_after(start)
    made.read_messages(tip)
    made.follow_reverts()
    name = branch if branch is not None else git.checked_out()
    return RepositoryRead(
        statements=made.statements(),
        changes=made.names(),
        pending=None if tip is None else made.pending(name, tip),
        dropped=told,
    )


# --- names ----------------------------------------------------------------------------------------

_REF: Final = re.compile(r"(?!-)(?!.*(?:\.\.|@\{))[^\x00-\x20\x7f~^:?*\[\\]+")
_HEX: Final = re.compile(r"[0-9a-fA-F]{4,64}")


def _tip(git: Git, branch: str | None, *, needed: bool) -> str | None:
    """Return the newest commit of a branch, or of what is checked out, if that is needed."""
    allowed = "a branch of this repository"
    if branch is None:
        found = git.commit_of("HEAD")
        if found is None and needed:
            raise InvalidValue("branch", None, f"{allowed}: nothing is checked out here")
        return found
    if _REF.fullmatch(checked_text("branch", branch)):
        for place in ("refs/heads/", "refs/remotes/"):
            found = git.commit_of(place + branch)
            if found is not None:
                return found
    known = [
        name.decode("utf-8", "replace") for (name,) in git.refs("refs/heads/", "refname:lstrip=2")
    ]
    more = ", ..." if len(known) > 10 else ""
    raise InvalidValue("branch", branch, f"{allowed}: {', '.join(known[:10]) or 'none yet'}{more}")


def _since(git: Git, since: str) -> str:
    allowed = "a tag, or the id of a commit of this repository"
    if _REF.fullmatch(checked_text("since", since)):
        found = git.commit_of(f"refs/tags/{since}")
        if found is not None:
            return found
    if _HEX.fullmatch(since):
        commits = git.commits_beginning(since.lower())
        if len(commits) == 1:
            return commits[0]
        if commits:
            raise InvalidValue("since", since, f"{allowed}; {len(commits)} commits begin so")
    raise InvalidValue("since", since, allowed)


class _Tag(NamedTuple):
    name: str
    commit: str
    moment: int | None
    """Seconds of the tagger; None for a lightweight tag, or one whose tagger is not known."""
    written: str
    annotated: bool
    title: str
    """The first line of its message; of a lightweight tag, of that of its commit."""


def _tags(git: Git, pattern: str, drops: list[Dropped]) -> Iterator[_Tag]:
    found = False
    seen = 0
    for raw, kind, id_, peeled_kind, peeled, tagger, written, subject in git.refs(
        "refs/tags/", "refname:lstrip=2", "objecttype", "objectname", "*objecttype", "*objectname",
        "taggerdate:unix", "creatordate:iso8601-strict", "contents:subject",
    ):  # fmt: skip
        seen += 1
        name = raw.decode("utf-8", "replace")
        if not fnmatchcase(name, pattern):
            continue
        found = True
        try:
            checked_id("tag", name)
        except InvalidValue as error:
            drops.append(dropped("tag", name, error.allowed))
            continue
        commit: str | None = (peeled or id_).decode("ascii")
        if (peeled_kind or kind) != b"commit":
            commit = git.commit_of(f"refs/tags/{name}")  # a tag of a tag, or of no commit at all
        if commit is None:
            drops.append(dropped("tag", name, "it names no commit"))
            continue
        yield _Tag(
            name,
            commit,
            _seconds(tagger) if tagger else None,
            written.decode("ascii", "replace"),
            kind == b"tag",
            _title(subject),
        )
    if seen and not found:
        drops.append(dropped("tags", pattern, f"none of the {seen} tags matches"))


def _seconds(text: bytes) -> int:
    try:
        found = int(text)
    except ValueError:
        return _NO_TIME
    return found if abs(found) < -_NO_TIME else _NO_TIME


def _moment(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _title(line: bytes) -> str:
    return line[: 4 * _LONGEST_TITLE].decode("utf-8", "replace").strip()[:_LONGEST_TITLE]


# --- messages -------------------------------------------------------------------------------------

_ID: Final = rb"(?:commits?[ \t]+)?(?:[\w.-]+/[\w.-]+@)?[0-9a-f]{4,64}(?![\w/@^~-]|\.\.)"
_IDS: Final = _ID + rb"(?:(?:\s*,\s*(?:and\s+)?|\s*&\s*|\s+and\s+)" + _ID + rb")*"
_REVERTS: Final = re.compile(
    rb"(?:\bthis reverts[ \t]+(?=commit)|^reverts?:[ \t]*)(" + _IDS + rb")",
    re.IGNORECASE | re.MULTILINE,
)
_EACH_ID: Final = re.compile(rb"(?:\A|[\s,&@])([0-9a-f]{4,64})(?=\Z|[\s,&])", re.IGNORECASE)
_REVERTS_REQUEST: Final = re.compile(
    rb"^(?:reverts (?:[\w.-]+/[\w.-]+)?#|this reverts merge request (?:[\w./-]+)?!)([0-9]{1,9})\b",
    re.IGNORECASE | re.MULTILINE,
)
_TITLE_REVERTS: Final = re.compile(rb'\Arevert "[^\n]*\(#([0-9]{1,9})\)"', re.IGNORECASE)
_SQUASHED: Final = re.compile(rb"\(#([0-9]{1,9})\)[ \t]*\Z")
_MERGED: Final = re.compile(rb"\AMerge pull request #([0-9]{1,9})\b[^\n]*\n*([^\n]*)")
_SEE: Final = re.compile(rb"^See merge request [\w./-]*!([0-9]{1,9})\b", re.MULTILINE)


_REVERSING: Final = re.compile(rb"\breversing\s+changes\s+made\s+to\s+([0-9a-f]{40,64})\b")


class _Named(NamedTuple):
    """What the message of a revert names: ids, or else the number of a request."""

    ids: tuple[str, ...]
    request: str | None = None
    kept: str | None = None
    """Of a merge that is taken back: the parent to which that goes back, where it is named."""


def _named(message: bytes) -> _Named | None:
    """Return what a message takes back; None where it is no revert."""
    ids = dict.fromkeys(
        each.decode("ascii").lower()
        for listed in _REVERTS.finditer(message)
        if message[message.rfind(b"\n", 0, listed.start()) + 1] not in b" \t>"
        for each in _EACH_ID.findall(listed[1])
    )
    if ids:
        kept = _REVERSING.search(message)
        return _Named(tuple(ids), kept=None if kept is None else kept[1].decode("ascii"))
    found = _REVERTS_REQUEST.search(message) or _TITLE_REVERTS.match(message)
    if found:
        return _Named((), found[1].decode("ascii"))
    return _Named(()) if message[:8].lower() == b'revert "' else None


def _subject(message: bytes) -> bytes:
    """Return the title of a commit: of a merged request the title of that, where it stands."""
    merged = _MERGED.match(message)
    return (merged and merged[2]) or message.partition(b"\n")[0]


def _request(message: bytes) -> str | None:
    """Return the number of the request that a commit says it came with."""
    subject = message.partition(b"\n")[0]
    found = _SQUASHED.search(subject) or _MERGED.match(message) or _SEE.search(message)
    return found[1].decode("ascii") if found else None


# --- history --------------------------------------------------------------------------------------


@attrs.define
class _Point:
    """Where a change stands: a commit, and what names and dates it."""

    name: str
    commit: int
    moment: int
    tag: _Tag | None = None


class _Failure(NamedTuple):
    """How a change failed, and when that was over, where it is known."""

    whole: bool
    moment: int | None


class _History:
    """
    The commits of a repository by number, parents before their children, and its changes.

    Plain arrays: there may be millions of commits.
    """

    def __init__(self, git: Git, *, said: dict[str, Any], drops: list[Dropped]) -> None:
        self._git = git
        self._said = said
        self._drops = drops
        self._number: dict[bytes, int] = {}
        self._ids: list[bytes] = []
        self._authored = array("q")
        self._committed = array("q")
        self._parents = array("q")
        self._first_parent = array("q", [0])
        self._generation = array("q")  # of the longest line of ancestors
        self._points: list[_Point] = []
        self._begin = 0  # the first change that is told
        self._change = array("q")  # that brought in each commit, -1 for none
        self._requests: dict[int, str] = {}
        self._titles: dict[int, str] = {}
        self._written: dict[int, str] = {}
        self._named: dict[int, _Named] = {}
        self._failures: dict[int, _Failure] = {}
        self._repairs: dict[int, int] = {}
        self._told_again: set[int] = set()
        self._to_fail: set[int] = set()  # once a change holds what none does yet
        self._takes_back: list[int] = []  # reverts that no change holds yet
        self._on_line = bytearray()  # whether each commit is on the line of the branch
        self._sorted: list[bytes] = []  # the ids, once something is looked up by its beginning

    def read_graph(self, tips: Sequence[str], *others: str | None) -> None:
        """Read ids, parents and dates of all commits in the history of some."""
        asked = [*tips, *(each for each in others if each is not None)]
        if not asked:
            return
        number, parents, generation = self._number, self._parents, self._generation
        for id_, above, authored, committed in self._git.log(
            ("%H", "%P", "%at", "%ct"), tips=asked
        ):
            depth = 0
            if above:
                for each in above.split(b" "):
                    parent = number[bytes.fromhex(each.decode("ascii"))]
                    parents.append(parent)
                    depth = max(depth, generation[parent] + 1)
            number[bytes.fromhex(id_.decode("ascii"))] = len(number)
            generation.append(depth)
            self._first_parent.append(len(parents))
            self._authored.append(_seconds(authored))
            self._committed.append(_seconds(committed))
        self._ids = list(number)

    def _parents_of(self, commit: int) -> array[int]:
        return self._parents[self._first_parent[commit] : self._first_parent[commit + 1]]

    def _numbered(self, id_: str) -> int:
        return self._number[bytes.fromhex(id_)]

    def _history_of(self, commit: int, *, down_to: int = 0) -> set[int]:
        """Return a commit and its ancestors, of at least a generation."""
        seen = {commit}
        left = [commit]
        while left:
            for parent in self._parents_of(left.pop()):
                if parent not in seen and self._generation[parent] >= down_to:
                    seen.add(parent)
                    left.append(parent)
        return seen

    # --- changes ----------------------------------------------------------------------------------

    def order_tags(self, tags: Iterable[_Tag], *, within: str | None) -> None:
        """Take tags as the changes, in their order: of moments, but none before what it holds."""
        reached = None if within is None else self._history_of(self._numbered(within))
        at: defaultdict[int, list[_Point]] = defaultdict(list)
        for tag in tags:
            commit = self._numbered(tag.commit)
            if reached is None or commit in reached:
                moment = self._committed[commit] if tag.moment is None else tag.moment
                at[commit].append(_Point(tag.name, commit, moment, tag))
        if not at:
            return
        newest = array("q", [_NO_TIME]) * len(self._number)  # of all tags in the history of each
        order: list[tuple[int, int, int, str, _Point]] = []
        for commit in range(len(newest)):
            above = max((newest[each] for each in self._parents_of(commit)), default=_NO_TIME)
            newest[commit] = above
            for point in at.get(commit, ()):
                counts_as = max(above, point.moment)
                newest[commit] = max(newest[commit], counts_as)
                depth = self._generation[commit]
                order.append((counts_as, depth, point.moment, point.name, point))
        self._points = [point for *_, point in sorted(order, key=lambda each: each[:4])]

    def follow_branch(self, tip: str, *, merges: bool) -> None:
        """Take the first-parent line of a branch as the changes, or the merges on it."""
        line: list[_Point] = []
        commit = self._numbered(tip)
        self._on_line = bytearray(len(self._number))
        while True:
            self._on_line[commit] = True
            parents = self._parents_of(commit)
            if len(parents) > 1 or not merges:
                name = self._ids[commit].hex()
                line.append(_Point(name, commit, self._committed[commit]))
            if not parents:
                break
            commit = parents[0]
        self._points = line[::-1]

    def claim(self) -> None:
        """Find the change that brought in each commit: the first that has it in its history."""
        change = self._change = array("q", [-1]) * len(self._number)
        for place, point in enumerate(self._points):
            left = [point.commit]
            while left:
                commit = left.pop()
                if change[commit] < 0:
                    change[commit] = place
                    left.extend(self._parents_of(commit))

    def begin_after(self, since: str | None) -> None:
        """Tell only changes after the last one that a commit contains."""
        if since is None:
            return
        reached = self._history_of(self._numbered(since))
        places = [place for place, point in enumerate(self._points) if point.commit in reached]
        self._begin = 1 + places[-1] if places else 0

    # --- what messages say ------------------------------------------------------------------------

    def read_messages(self, tip: str | None) -> None:
        """Read the messages of what is told; of what came before, if a revert points there."""
        before, told = (
            list(dict.fromkeys(self._ids[each.commit].hex() for each in points))
            for points in (self._points[: self._begin], self._points[self._begin :])
        )
        if self._points and self._points[0].tag is None:
            before, told = before[-1:], told[-1:]  # the others are in the history of the last
        if tip is not None and self._change[self._numbered(tip)] < 0:
            told.append(tip)
        if told:
            self._read(tips=told, without=before)
            if before and self._points_before():
                self._read(tips=before, without=())

    def _read(self, *, tips: Sequence[str], without: Sequence[str]) -> None:
        titled = {point.commit for point in self._points if point.tag is None}
        fields = ("%H", "%cI", "%B")
        for id_, written, message in self._git.log(fields, tips=tips, without=without):
            commit = self._number[bytes.fromhex(id_.decode("ascii"))]
            if commit in titled:
                self._titles[commit] = _title(_subject(message))
                self._written[commit] = written.decode("ascii", "replace")
            if b"#" in message or b"!" in message:
                request = _request(message)
                if request is not None:
                    self._requests[commit] = request
            if b"evert" in message or b"EVERT" in message:
                named = _named(message)
                if named is not None:
                    self._named[commit] = named

    def _points_before(self) -> bool:
        """Say whether a revert among what is told may take back something that came before."""
        return any(
            named.request is not None
            or any(
                self._change[each] < self._begin
                for id_ in named.ids
                for each in self._beginning(id_)
            )
            for named in self._named.values()
        )

    # --- reverts ----------------------------------------------------------------------------------

    def _came_with(self, commit: int) -> int:
        """Return the change that brought in a commit; what none did comes after all of them."""
        change = self._change[commit]
        return len(self._points) if change < 0 else change

    def _beginning(self, id_: str, *, upto: int | None = None) -> list[int]:
        """Return the commits whose ids begin with what is named, that changes brought in so far."""
        width = 2 * len(self._ids[0])
        if len(id_) > width:
            return []
        low, high = (bytes.fromhex(id_.ljust(width, digit)) for digit in "0f")
        if low == high:
            found = [self._number[low]] if low in self._number else []
        else:
            ids = self._sorted = self._sorted or sorted(self._ids)
            found = [
                self._number[each] for each in ids[bisect_left(ids, low) : bisect_right(ids, high)]
            ]
        last = len(self._points) - 1 if upto is None else upto
        return [each for each in found if self._came_with(each) <= last]

    def _named_by_reverts(self) -> Iterator[tuple[int, int, str | None]]:
        """
        Yield each revert and what it takes back, ancestors first, of all that can be followed.

        With it stands the parent to which a merge goes back, where that is named. What is in a
        change is looked for among what changes brought in: it says the same whatever comes later.
        """
        numbered: defaultdict[str, list[int]] = defaultdict(list)
        for commit, number in self._requests.items():
            numbered[number].append(commit)
        for revert in sorted(self._named, key=self._place):
            ids, request, kept = self._named[revert]
            upto = max(len(self._points) - 1, self._came_with(revert))
            for id_ in ids:
                found = [each for each in self._beginning(id_, upto=upto) if each != revert]
                if len(found) == 1:
                    yield revert, found[0], kept
                else:
                    why = f"{len(found)} commits begin so" if found else "not in this history"
                    self._drop_revert(revert, id_, why)
            if request is not None:
                commits = [each for each in numbered[request] if self._came_with(each) <= upto]
                target = self._of_request(revert, commits)
                if target is None:
                    self._drop_revert(revert, f"#{request}", "no commit has this number")
                else:
                    yield revert, target, None
            elif not ids:
                self._drop_revert(revert, "", "it does not say of which commit")

    def _of_request(self, revert: int, commits: Sequence[int]) -> int | None:
        """Return the commit of a request; of several the last in the history of its revert."""
        others = [each for each in commits if each != revert]
        if len(others) < 2:
            return others[0] if others else None
        depth = min(self._generation[each] for each in others)
        reached = self._history_of(revert, down_to=depth)
        return max((each for each in others if each in reached), key=self._place, default=None)

    def _place(self, commit: int) -> tuple[int, int, bytes]:
        """Return by what commits are ordered: the same however much history is around them."""
        return self._generation[commit], self._committed[commit], self._ids[commit]

    def _drop_revert(self, revert: int, named: str, why: str) -> None:
        if self._change[revert] >= self._begin:
            self._drops.append(dropped(f"revert {self._ids[revert].hex()}", named, why))

    def _merged(self, merge: int, kept: str | None) -> list[int]:
        """Return what a merge brought to a parent of it, the first where none is named."""
        parents = self._parents_of(merge)
        main = parents[0]
        if kept is not None and len(kept) == 2 * len(self._ids[0]):
            named = self._number.get(bytes.fromhex(kept))
            main = main if named is None or named not in parents else named
        return merged_into(
            main, merge, parents=self._parents_of, generation=self._generation.__getitem__
        )

    def _reverts(self) -> tuple[dict[int, set[int]], set[int]]:
        """Return what each revert takes back, and the merges that go with what they merged."""
        reverts: defaultdict[int, set[int]] = defaultdict(set)
        merged: dict[tuple[int, str | None], list[int]] = {}
        whole: set[int] = set()
        for revert, target, kept in self._named_by_reverts():
            reverts[revert].add(target)
            if not self._is_merge(target):
                continue
            if (target, kept) not in merged:
                merged[target, kept] = [
                    each
                    for each in self._merged(target, kept)
                    if self._change[each] == self._change[target]
                ]
            reverts[revert].update(merged[target, kept])
            if any(not self._is_merge(each) for each in merged[target, kept]):
                whole.add(target)
        return reverts, whole

    def follow_reverts(self) -> None:
        """Find which changes failed, and which repaired them."""
        reverts, whole = self._reverts()
        found = taken_back(reverts, change=self._came_with, order=self._place, whole=whole)
        pending = len(self._points)
        over: defaultdict[int, dict[int, int | None]] = defaultdict(dict)
        for commit, failed, by, which in found.ended:
            if by == pending:
                self._to_fail.add(failed)
                continue
            later = self._points[by]
            known = over[failed].get(commit)
            by_each = [self._over_at(each, self._points[failed], later) for each in which]
            over[failed][commit] = min(
                (each for each in (known, *by_each) if each is not None), default=None
            )
            self._repairs[by] = max(self._repairs.get(by, 0), failed)
            if failed < self._begin <= by:
                self._told_again.add(failed)
        out = {commit: by for commit, by in found.out.items() if by < pending}
        self._told_again.update(
            self._change[commit]
            for commit, by in out.items()
            if self._change[commit] in over and self._change[commit] < self._begin <= by
        )
        stays = {
            change
            for commit, change in enumerate(self._change)
            if change in over
            and commit not in out
            and not self._is_merge(commit)
            and not self._is_beside(commit)
            and not self._is_spent(commit, reverts.get(commit))
        }
        for change, ends in over.items():
            moments = [each for each in ends.values() if each is not None]
            self._failures[change] = _Failure(change not in stays, max(moments, default=None))
        self._takes_back = [each for each in reverts if self._change[each] < 0]

    def _is_beside(self, commit: int) -> bool:
        """Say whether a commit went straight to the branch, and came with the next merge."""
        point = self._points[self._change[commit]]
        return point.tag is None and bool(self._on_line[commit]) and commit != point.commit

    def _is_spent(self, commit: int, targets: Iterable[int] | None) -> bool:
        """Say whether a commit takes back nothing but what came with the same change."""
        return targets is not None and all(
            self._change[each] == self._change[commit] for each in targets
        )

    def _over_at(self, revert: int, failed: _Point, later: _Point) -> int | None:
        """Return when what was taken back was out of production; None where no clock can say."""
        moments = (later.moment, self._committed[revert])
        return next((each for each in moments if each >= failed.moment), None)

    def _is_merge(self, commit: int) -> bool:
        return self._first_parent[commit + 1] - self._first_parent[commit] > 1

    # --- what there is ----------------------------------------------------------------------------

    def names(self) -> tuple[str, ...]:
        """Return the ids of all changes, in their order."""
        return tuple(point.name for point in self._points)

    def pending(self, branch: str, tip: str) -> Pending:
        """Return what a branch has that no change holds."""
        start = self._numbered(tip)
        seen = {start} if self._change[start] < 0 else set[int]()
        left = [*seen]
        while left:
            for parent in self._parents_of(left.pop()):
                if parent not in seen and self._change[parent] < 0:
                    seen.add(parent)
                    left.append(parent)
        reverts = sorted(seen.intersection(self._takes_back), key=self._place)
        return Pending(
            branch=branch,
            commits=len(seen),
            reverts=tuple(self._ids[each].hex() for each in reverts),
            takes_back=tuple(self._points[each].name for each in sorted(self._to_fail)),
        )

    # --- statements -------------------------------------------------------------------------------

    def statements(self) -> Iterator[Statement]:
        """Yield what is told of each change, in their order."""
        # The commits of each change stand together: first those of no change, then of the first.
        counts = array("q", [0]) * (len(self._points) + 2)
        for change in self._change:
            counts[change + 2] += 1
        starts = array("q", accumulate(counts))
        commits = array("q", [0]) * len(self._change)
        free = starts[:]
        for commit, change in enumerate(self._change):
            commits[free[change + 1]] = commit
            free[change + 1] += 1
        for place in (*sorted(self._told_again), *range(self._begin, len(self._points))):
            yield self._statement(place, commits[starts[place + 1] : starts[place + 2]])

    def _statement(self, place: int, commits: Iterable[int]) -> Statement:
        point = self._points[place]
        tag = point.tag
        facts = dict(self._said)
        title = self._titles.get(point.commit) if tag is None else tag.title
        facts["title"] = title or point.name
        facts["version"] = point.name
        texts: dict[str, str] = {}
        deployed_at = _moment(point.moment)
        if deployed_at is None:
            self._drops.append(dropped(point.name, point.moment, "no moment up to the year 9999"))
        else:
            facts["deployed_at"] = deployed_at
            text = self._written.get(point.commit, "") if tag is None else tag.written
            if text and not text.endswith(("Z", "+00:00")):
                texts["deployed_at"] = text
        if tag is not None:
            facts["labels"] = {"tag": _dated_by(tag)}
        facts["commits"] = tuple(map(self._commit(point), sorted(commits, key=self._place)))
        facts |= self._went(place)
        return Statement(kind=CHANGE, id=point.name, facts=facts, texts=texts)

    def _went(self, place: int) -> dict[str, Any]:
        """Return how a change went; what there is none of is said, too: it may have been before."""
        repaired, failure = self._repairs.get(place), self._failures.get(place)
        went: dict[str, Any] = {
            "status": "successful",
            "rolled_back_at": None,
            "recovered_at": None,
            "repairs": None if repaired is None else self._points[repaired].name,
        }
        if failure is not None:
            went["status"] = "rolled_back" if failure.whole else "failed"
            over_at = None if failure.moment is None else _moment(failure.moment)
            went["rolled_back_at" if failure.whole else "recovered_at"] = over_at
        return went

    def _commit(self, point: _Point) -> Callable[[int], Commit]:
        """Return how a commit is told of the change at a point."""
        merged = self._requests.get(point.commit) if point.tag is None else None

        def told(commit: int) -> Commit:
            request = self._requests.get(commit)
            if request is None and merged is not None and not self._on_line[commit]:
                request = merged
            return Commit(
                id=self._ids[commit].hex(),
                authored_at=_moment(self._authored[commit]),
                committed_at=_moment(self._committed[commit]),
                pull_request=request,
            )

        return told


def _dated_by(tag: _Tag) -> str:
    if not tag.annotated:
        return "lightweight"
    return "undated" if tag.moment is None else "annotated"
