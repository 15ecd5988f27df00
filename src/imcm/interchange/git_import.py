"""
A git repository into a ledger.

    report = import_git(ledger, "path/to/clone", by="tags", services=["shop"])
    report.taken.new, report.pending, report.gone

What is read is what `imcm.interchange.git` says; this says besides what a ledger that is there
already needs to know: what the repository does not have any more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import attrs

from imcm.domain.recorded import CHANGE, kind_and_id
from imcm.domain.vocabulary import checked_flag, checked_id
from imcm.errors import InvalidValue
from imcm.interchange.git import By, Pending, read_repository
from imcm.interchange.statements import Dropped, Statement
from imcm.interchange.taking_in import Taken, record_statements
from imcm.interchange.withdrawing import refuse_too_many, streams_told
from imcm.ledger.recording import Ledger

__all__ = ["GitReport", "import_git"]


@attrs.frozen(kw_only=True)
class GitReport:
    """
    What an import of a repository did, or would do.

    Attributes:
        taken: What became of what was read.
        pending: What the branch has that no change holds yet, so that it is in no figure; None
            where nothing is checked out, and no branch was given.
        gone: The ids of the changes that this source told before and that are not among those of
            the repository, by what is asked now.
        complete: Whether those were withdrawn; otherwise they count as before.
        dropped: What was left out, each with its reason.
        dry_run: Nothing was recorded.
    """

    taken: Taken
    pending: Pending | None = None
    gone: tuple[str, ...] = ()
    complete: bool = False
    dropped: tuple[Dropped, ...] = ()
    dry_run: bool = False

    def __repr__(self) -> str:
        """Return the counts in one line."""
        pending = 0 if self.pending is None else self.pending.commits
        return (
            f"<GitReport: {self.taken}; {pending:,} commits pending, {len(self.gone):,} changes "
            f"gone, {len(self.dropped):,} left out>"
        )


def import_git(
    ledger: Ledger,
    repository: str | os.PathLike[str],
    *,
    by: By = "tags",
    branch: str | None = None,
    since: str | None = None,
    tags: str = "v*",
    services: Sequence[str] = (),
    environment: str | None = None,
    source: str = "git",
    complete: bool = False,
    confirm_withdrawals: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], object] | None = None,
) -> GitReport:
    """
    Record what a git repository says was brought to production.

    The same again records nothing; what became of a change since (a later revert, a tag that was
    moved) is told as a correction.

    Args:
        ledger: Where.
        repository, by, branch, since, tags, services, environment: See
            `imcm.interchange.git.git_changes`.
        source: The name of the source: every id begins with it, "git/v1.2". Each repository has a
            name of its own, and so has each kind of change (`by`, `tags`) of one repository.
        complete: The repository is all that the source has: changes that it told before and that
            are there no more, such as tags that were deleted, are withdrawn. *since* limits what
            is told, and not what is there.
        confirm_withdrawals: Withdraw also where that is more than a tenth of what stands.
        dry_run: Say what would be recorded, and record nothing.
        progress: Called with the number of changes done so far.

    Raises:
        InvalidValue: As `git_changes` and `record_statements` say.
        ImportRefusedError: As `git_changes` says, or too much would be withdrawn: then nothing is
            recorded.
        ConflictError, StoreError: As `record_statements` says.
    """
    if not isinstance(ledger, Ledger):
        raise InvalidValue("ledger", ledger, "give a Ledger")
    for name, value in (("complete", complete), ("confirm_withdrawals", confirm_withdrawals)):
        checked_flag(name, value)
    prefix = f"{checked_id('source', source)}/"
    read = read_repository(
        repository,
        by=by,
        branch=branch,
        since=since,
        tags=tags,
        services=services,
        environment=environment,
    )
    there = streams_told(ledger, source=source, prefix=prefix, kinds=(CHANGE,))
    changes = {f"{prefix}{name}" for name in read.changes}
    gone = [stream for stream in there if kind_and_id(stream)[1] not in changes]
    if complete and not confirm_withdrawals:
        refuse_too_many(
            gone,
            len(there),
            what=f"changes of {source}",
            where="in the repository",
            same="a clone without its tags, or another --by, --tags or --branch,",
        )
    ids = tuple(kind_and_id(stream)[1] for stream in gone)
    withdrawn = _withdrawn(ids if complete else (), prefix)
    taken = record_statements(
        ledger,
        chain(read.statements, withdrawn),
        source=source,
        dry_run=dry_run,
        progress=progress,
    )
    return GitReport(
        taken=taken,
        pending=read.pending,
        gone=ids,
        complete=complete,
        dropped=tuple(read.dropped),
        dry_run=dry_run,
    )


def _withdrawn(ids: Sequence[str], prefix: str) -> Iterator[Statement]:
    for id_ in ids:
        yield Statement(kind="change", id=id_.removeprefix(prefix), gone=True)
