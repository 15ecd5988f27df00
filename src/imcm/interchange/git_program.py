"""
The `git` program, asked to read and never to act.

It is run without a shell, with arguments that stand here; what comes out of a repository reaches it
only as ids of commits that git itself printed. A repository is somebody else's: its configuration
may name programs to be run (hooks, a file watcher, a pager, a signature checker, a transport), so
each is turned off here. Whether a repository of another owner may be read at all is left to git's
`safe.directory` and to the user.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Final

from imcm.errors import ImportRefusedError, InvalidValue, shown
from imcm.plain import plain

LONGEST_FIELD: Final = 1 << 16
"""Bytes that are kept of one field of git's output, such as a message; the rest is passed over."""

_CHUNK: Final = 1 << 16

_SAFE: Final = (
    "--no-pager",
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.pager=cat",
    "-c", "log.showSignature=false",
    "-c", "color.ui=false",
)  # fmt: skip

_KEPT: Final = frozenset(
    {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"}
)
"""Where the user's own settings stand, and no others: GIT_DIR would name another repository."""

_LOG: Final = (
    "log",
    "-z",
    "--stdin",
    "--topo-order",
    "--reverse",
    "--no-patch",
    "--no-color",
    "--no-notes",
    "--no-decorate",
    "--no-show-signature",
    "--no-mailmap",
    "--encoding=UTF-8",
)


class Git:
    """
    One repository, as the `git` program reads it.

    Args:
        repository: The folder of a clone, or of a bare repository.

    Raises:
        InvalidValue: There is no such folder, or no repository in it.
        ImportRefusedError: There is no `git` program, or it does not read this repository; the
            message has its words.
    """

    def __init__(self, repository: str | os.PathLike[str]) -> None:
        allowed = "the folder of a git repository"
        if not isinstance(repository, (str, os.PathLike)):
            raise InvalidValue("repository", repository, allowed)
        folder = Path(repository)
        if not folder.is_dir():
            raise InvalidValue("repository", str(repository), allowed)
        program = shutil.which("git")
        if program is None:
            raise ImportRefusedError(
                "the git program is not found: install git (2.25 or later), or put it on the PATH"
            )
        self._command = (program, "-C", str(folder.absolute()), *_SAFE)
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") or name in _KEPT
        } | {
            "LC_ALL": "C",
            # A partial clone would fetch what it lacks, by whatever its own settings name.
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            # What is replaced or grafted in one clone is another history than everybody else's.
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_GRAFT_FILE": os.devnull,
        }
        self._where = str(repository)
        code, out, error = self._ran("rev-parse", "--is-shallow-repository")
        if code:
            if b"not a git repository" in error:
                raise InvalidValue("repository", self._where, f"{allowed}; there is none in it")
            raise self._failed(error)
        self.shallow = out.strip() == b"true"

    def commit_of(self, name: str) -> str | None:
        """Return the commit that a full name of a ref, or a whole object id, stands for."""
        # No name begins with a dash: it is "HEAD", a ref from "refs/" on, or an id.
        code, out, _ = self._ran("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return None if code else out.decode("ascii").strip()

    def checked_out(self) -> str:
        """Return the name of the branch that is checked out; "HEAD" where none is."""
        code, out, _ = self._ran("symbolic-ref", "--quiet", "--short", "HEAD")
        return "HEAD" if code else out.decode("utf-8", "replace").strip()

    def commits_beginning(self, digits: str) -> list[str]:
        """Return the commits whose ids begin with these hexadecimal digits."""
        code, out, _ = self._ran("rev-parse", f"--disambiguate={digits}")
        found = [] if code else out.decode("ascii").split()
        return [each for each in found if self.commit_of(each) == each]

    def refs(self, prefix: str, *names: str) -> Iterator[tuple[bytes, ...]]:
        """Yield fields of `git for-each-ref`, by their names, of all refs below a prefix."""
        form = "".join(f"%({name})%00" for name in names)
        fields = self._fields(("for-each-ref", f"--format={form}", "--", prefix))
        for first, *rest in _grouped(fields, len(names)):
            # git ends each with a newline, which comes before the first field of the next.
            yield (first.removeprefix(b"\n"), *rest)

    def log(
        self, places: tuple[str, ...], *, tips: Iterable[str], without: Iterable[str] = ()
    ) -> Iterator[tuple[bytes, ...]]:
        """
        Yield fields of all commits in the history of some, parents before their children.

        Args:
            places: git's placeholders, one for each field: "%H".
            tips: Ids of the commits whose history is read.
            without: Ids of commits whose history is not.
        """
        given = "".join(f"{tip}\n" for tip in tips) + "".join(f"^{each}\n" for each in without)
        form = "%x00".join(places)
        fields = self._fields((*_LOG, f"--format=tformat:{form}"), given.encode())
        yield from _grouped(fields, len(places))

    def _fields(
        self, arguments: tuple[str, ...], given: bytes = b""
    ) -> Generator[bytes, None, None]:
        # What git is told and what it complains of pass through files: pipes could fill up.
        with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as complaints:
            told.write(given)
            told.seek(0)
            with subprocess.Popen(  # noqa: S603 (no shell; see the top)
                (*self._command, *arguments),
                stdin=told,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=self._environment,
            ) as process:
                assert process.stdout is not None
                try:
                    yield from _split(process.stdout)
                except BaseException:
                    process.kill()
                    raise
            if process.returncode:
                complaints.seek(0)
                raise self._failed(complaints.read(10_000))

    def _ran(self, *arguments: str) -> tuple[int, bytes, bytes]:
        ran = subprocess.run(  # noqa: S603 (no shell; see the top)
            (*self._command, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=self._environment,
        )
        return ran.returncode, ran.stdout, ran.stderr

    def _failed(self, error: bytes) -> ImportRefusedError:
        lines = [line for line in error.decode("utf-8", "replace").split("\n") if line.strip()]
        summary = f"git does not read {shown(self._where)}; do what it says, then try again"
        return ImportRefusedError(summary, tuple(plain(line)[:500] for line in lines[:10]))


def _split(output: IO[bytes]) -> Iterator[bytes]:
    """Yield what stands before each NUL, of which no more than the longest field is held."""
    tail = b""
    while chunk := output.read(_CHUNK):
        first, *rest = chunk.split(b"\0")
        tail += first[: LONGEST_FIELD - len(tail)]
        if rest:
            yield tail
            yield from rest[:-1]
            tail = rest[-1]


def _grouped(fields: Generator[bytes, None, None], size: int) -> Iterator[tuple[bytes, ...]]:
    with closing(fields):
        yield from zip(*[fields] * size, strict=False)
