"""
The receiver over real sockets: what is answered, what is durable then, and what a crash leaves.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

import imcm
from imcm import (
    DeadLetter,
    DeadLetters,
    InvalidValue,
    Ledger,
    StoreError,
    UnknownIdError,
    WebhookSource,
    audit,
    facts,
    read_receiver,
    receiver,
    signatures,
)
from imcm.interchange.payloads import Options
from imcm.interchange.receiver import read_again

uvicorn = pytest.importorskip("uvicorn", reason="the receiver is an extra")
pytest.importorskip("starlette", reason="the receiver is an extra")

TOKEN, OLD, WRONG = "the-token-of-today", "the-token-before", "somebody-elses-token"
NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)

Answer = tuple[int, Any]


def alert(number: int, *, status: str = "firing", **labels: str) -> bytes:
    ended = "2026-01-01T01:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z"
    told = {"alertname": "Down", "severity": "critical", "service": "shop", **labels}
    one = {"status": status, "fingerprint": f"f{number}", "startsAt": "2026-01-01T00:00:00Z",
           "endsAt": ended, "labels": told}  # fmt: skip
    return json.dumps({"version": "4", "status": status, "alerts": [one]}).encode()


def bearer(**more: Any) -> WebhookSource:
    return WebhookSource(
        format="alertmanager", signatures=signatures("bearer", [TOKEN, OLD]), **more
    )


def github(**more: Any) -> WebhookSource:
    return WebhookSource(format="github", signatures=signatures("github", [TOKEN, OLD]), **more)


def authorized(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def signed(body: bytes, secret: str = TOKEN, **more: str) -> dict[str, str]:
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={made}", **more}


class Server:
    """A receiver on a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def asked(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        told = json.loads(text) if text.startswith("{") else text
        return answer.status, told.get("result", told) if isinstance(told, dict) else told

    def post(
        self, body: bytes, path: str = "/alertmanager", headers: Mapping[str, str] | None = None
    ) -> Answer:
        return self.asked("POST", path, body, authorized() if headers is None else headers)

    def raw(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send bytes one after the other; return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            got = b""
            with suppress(ConnectionError):  # answered and closed while we still send
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)
            with suppress(ConnectionError):
                while more := connection.recv(65536):
                    got += more
            return got

    def count(self, name: str) -> int:
        _, text = self.asked("GET", "/metrics")
        lines = [line for line in text.splitlines() if line.startswith(f"imcm_receiver_{name}")]
        return sum(int(line.rpartition(" ")[2]) for line in lines)


@contextmanager
def served(app: Any) -> Iterator[Server]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(256)
        config = uvicorn.Config(app, log_level="critical", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            yield Server(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "dead.jsonl")


@pytest.fixture
def server(ledger: Ledger, letters: DeadLetters) -> Iterator[Server]:
    sources = {
        "alertmanager": bearer(),
        "github": github(),
        "open": WebhookSource(format="alertmanager", signatures=signatures("none"), name="open"),
        "basic": WebhookSource(
            format="splunk", signatures=signatures("basic", [TOKEN], username="imcm")
        ),
    }
    app = receiver(ledger, sources, dead_letters=letters, largest=20_000, timeout=0.5)
    with served(app) as running:
        yield running


def ids(ledger: Ledger) -> list[str]:
    return sorted(row.id for row in facts(ledger.replay()).incidents)


def events(ledger: Ledger) -> int:
    return sum(1 for _ in ledger.replay())


# --- answers --------------------------------------------------------------------------------------


def test_what_is_answered_with_200_is_recorded(server: Server, ledger: Ledger) -> None:
    """At the moment of the answer; the same again records nothing; a resolution ends it."""
    assert server.post(alert(1)) == (200, "recorded")
    assert ids(ledger) == ["alertmanager/f1@20260101T000000Z"]
    before = events(ledger)
    assert server.post(alert(1)) == (200, "known")
    assert events(ledger) == before
    assert server.post(alert(1, status="resolved")) == (200, "recorded")
    (row,) = facts(ledger.replay()).incidents
    assert row.status.value == "resolved"
    assert server.count("events_total") == events(ledger) - 1  # one says which ledger it is


def test_what_a_delivery_was_is_kept(server: Server, ledger: Ledger) -> None:
    """Its hash and its id, from the header that has it, are with the events."""
    status = {"id": 7, "state": "success", "created_at": "2026-01-01T00:05:00Z"}
    deployment = {"id": 42, "sha": "ab" * 20, "environment": "production", "task": "deploy",
                  "created_at": "2026-01-01T00:00:00Z"}  # fmt: skip
    told = {"action": "created", "deployment_status": status, "deployment": deployment,
            "repository": {"name": "shop", "full_name": "octo/shop"}}  # fmt: skip
    body = json.dumps(told).encode()
    more = {"X-GitHub-Event": "deployment_status", "X-GitHub-Delivery": "72d3162e-cc78"}
    assert server.post(body, "/github", signed(body, **more)) == (200, "recorded")
    (row,) = facts(ledger.replay()).changes
    assert row.id.startswith("github/")
    sources = [each.source for each in ledger.replay() if each.source is not None]
    assert {each.delivery for each in sources} == {"72d3162e-cc78"}
    rows = [each for each in ledger.rows() if each.stream.startswith("change:")]
    assert [audit.is_of_payload(each, body) for each in rows] == [True] * len(rows)
    ping = b'{"zen": "Design for failure.", "hook_id": 1}'
    answer = server.post(ping, "/github", signed(ping, **{"X-GitHub-Event": "ping"}))
    assert answer == (200, "nothing")


def test_of_two_secrets_either_counts_and_no_other(
    server: Server, ledger: Ledger, letters: DeadLetters, caplog: pytest.LogCaptureFixture
) -> None:
    """The one before still counts; of what is refused nothing is kept, and no secret is logged."""
    caplog.set_level(logging.DEBUG)
    assert server.post(alert(1), headers=authorized(OLD)) == (200, "recorded")
    assert server.post(alert(2), headers=authorized(WRONG)) == (401, "refused")
    assert server.post(alert(2), headers={}) == (401, "refused")
    body = b'{"zen": "x"}'
    assert server.post(body, "/github", signed(body, OLD))[0] == 200
    assert server.post(body, "/github", signed(body, WRONG)) == (401, "refused")
    assert server.post(body, "/basic", authorized()) == (401, "refused")
    assert ids(ledger) == ["alertmanager/f1@20260101T000000Z"]
    assert list(letters) == []
    assert "holds none of the secrets" in caplog.text
    metrics = server.asked("GET", "/metrics")[1]
    for secret in (TOKEN, OLD, WRONG):
        assert secret not in caplog.text + metrics


def test_what_was_signed_long_ago_is_refused(ledger: Ledger, letters: DeadLetters) -> None:
    """The clock is the one given; a timestamp sent again after six minutes is refused."""
    clock = [NOW]
    source = WebhookSource(format="rootly", signatures=signatures("rootly", [TOKEN]))
    app = receiver(ledger, {"rootly": source}, dead_letters=letters, clock=lambda: clock[0])
    body = b'{"event": {"type": "pulse.created", "id": "e1"}, "data": {}}'
    stamp = str(int(NOW.timestamp()))
    made = hmac.new(TOKEN.encode(), stamp.encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Rootly-Signature": f"t={stamp},v1={made}"}
    with served(app) as server:
        assert server.post(body, "/rootly", headers)[0] == 200
        clock[0] = NOW + timedelta(minutes=6)
        assert server.post(body, "/rootly", headers) == (401, "refused")


def test_what_can_not_be_read_is_kept(server: Server, ledger: Ledger, letters: DeadLetters) -> None:
    """Of who is verified, with why and without secrets; of anybody else nothing, and it is told."""
    for body in (b"{nonsense", b"\xff\xfe", b"[]", b"7",
                 b"[" * 5_000):  # fmt: skip
        assert server.post(body) == (200, "dead_letter"), body
        assert server.post(body, "/open", {}) == (400, "unreadable"), body
    kept = list(letters)
    assert len(kept) == 5
    assert kept[0].body == b"{nonsense"
    assert kept[1].body == b"\xff\xfe"
    assert "JSON" in kept[0].reason
    assert kept[0].source == "alertmanager"
    assert "authorization" not in kept[0].headers
    assert TOKEN not in letters.path.read_text()
    assert stat.S_IMODE(letters.path.stat().st_mode) == 0o600
    assert ids(ledger) == []
    assert server.post(alert(1), "/open", {}) == (200, "recorded")


def test_what_does_not_fit_is_counted_and_kept_where_that_is_wanted(
    ledger: Ledger, letters: DeadLetters
) -> None:
    """An alert without a time, beside one that has one and alone: what has one is recorded."""
    sources = {"plain": bearer(), "careful": bearer(keep_dropped=True)}
    told = json.loads(alert(1))
    told["alerts"].append({"status": "firing", "fingerprint": "f2", "startsAt": "yesterday"})
    body = json.dumps(told).encode()
    with served(receiver(ledger, sources, dead_letters=letters)) as server:
        assert server.post(body, "/plain") == (200, "recorded")
        assert list(letters) == []
        assert server.post(body, "/careful") == (200, "known")
        told["alerts"].pop(0)
        alone = json.dumps(told).encode()
        assert server.post(alone, "/plain") == (200, "nothing")
        assert server.post(alone, "/careful") == (200, "dead_letter")
        assert server.count("dropped_total") == 8  # two of each: the time, and the alert without it
    kept, lost = letters
    assert (kept.body, lost.body) == (body, alone)
    assert kept.reason.startswith("recorded, but for")
    assert lost.reason.startswith("nothing was recorded of")
    assert len(ids(ledger)) == 1


def form(body: bytes) -> bytes:
    return b"".join([b"payload=", quote_plus(body).encode()])


FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def test_a_form_of_github_is_read_as_its_json(
    server: Server, ledger: Ledger, letters: DeadLetters
) -> None:
    """Signed over the form as it came; of other tools, and without its content type, it is none."""
    told = {"action": "created", "repository": {"name": "shop", "full_name": "octo/shop"},
            "deployment_status": {"id": 7, "state": "success", "description": "50 % & + ü",
                                  "created_at": "2026-01-01T00:05:00Z"},
            "deployment": {"id": 42, "environment": "production",
                           "created_at": "2026-01-01T00:00:00Z"}}  # fmt: skip
    plain = json.dumps(told, ensure_ascii=False).encode()
    body = form(plain)
    event = {"X-GitHub-Event": "deployment_status", **FORM}
    assert server.post(body, "/github", signed(plain, **event)) == (401, "refused")
    assert server.post(body, "/github", signed(body, **event)) == (200, "recorded")
    assert server.post(plain, "/github", signed(plain, **event)) == (200, "known")
    rows = [each for each in ledger.rows() if each.stream.startswith("change:")]
    assert all(audit.is_of_payload(each, body) for each in rows)
    bad = b"payload=%7Bnonsense"
    for wrong in (bad, b"other=%7B%7D", b"payload"):
        assert server.post(wrong, "/github", signed(wrong, **event)) == (200, "dead_letter")
    json_ = {**event, "Content-Type": "application/json"}
    assert server.post(body, "/github", signed(body, **json_)) == (200, "dead_letter")
    assert server.post(body, headers={**authorized(), **FORM}) == (200, "dead_letter")
    assert [row.id for row in facts(ledger.replay()).changes] == ["github/42"]
    assert len(list(letters)) == 5


def test_a_form_that_was_kept_is_read_again(ledger: Ledger, letters: DeadLetters) -> None:
    """By an earlier version, which could not read it: the content type is with the letter."""
    issue = {"number": 7, "title": "Down", "state": "open", "created_at": "2026-01-01T00:00:00Z",
             "labels": [{"name": "incident"}], "html_url": "https://x.example/7"}  # fmt: skip
    body = form(json.dumps({"action": "opened", "issue": issue}).encode())
    letters.put(
        [
            DeadLetter(received_at=NOW, source="github", route="github", reason="no JSON",
                       headers={**FORM, "x-github-event": "issues"}, body=body)
        ]
    )  # fmt: skip
    assert len(read_again(ledger, letters, {"github": github()}).read) == 1
    assert ids(ledger) == ["github/7"]


def test_of_what_comes_together_each_is_told_its_own(ledger: Ledger, letters: DeadLetters) -> None:
    """What says nothing new is known, also beside what does."""
    with served(receiver(ledger, {"alertmanager": bearer()}, dead_letters=letters)) as server:
        server.post(alert(1))
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda n: server.post(alert(1 + n % 2 * n)), range(20)))
    assert answers == [(200, "recorded" if n % 2 and n else "known") for n in range(20)]


def test_other_requests(server: Server) -> None:
    """There are these paths, one method each, and bodies that are not compressed."""
    assert server.asked("GET", "/alertmanager")[0] == 405
    assert server.asked("POST", "/alertmanager/", b"")[0] == 404
    assert server.asked("POST", "/elsewhere", b"{}")[0] == 404
    gzip = {**authorized(), "Content-Encoding": "gzip"}
    assert server.post(b"x", headers=gzip) == (415, "compressed")
    assert server.asked("GET", "/health") == (200, {"status": "ok"})
    assert server.asked("POST", "/health", b"")[0] == 405


# --- slow and large -------------------------------------------------------------------------------

HEAD = "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n"


def head(more: str, token: str = TOKEN, path: str = "/alertmanager") -> bytes:
    return HEAD.format(path=path, token=token, more=more).encode()


def test_a_slow_body(server: Server, ledger: Ledger) -> None:
    """Half a body that never goes on ends with 408; whoever is not verified never gets there."""
    body = alert(1)
    begin = time.monotonic()
    got = server.raw(head(f"Content-Length: {len(body)}\r\n"), body[:50])
    assert got.startswith(b"HTTP/1.1 408")
    assert 0.4 < time.monotonic() - begin < 10
    trickled = [body[n : n + 1] for n in range(40)]
    got = server.raw(head(f"Content-Length: {len(body)}\r\n"), *trickled, pause=0.03)
    assert got.startswith(b"HTTP/1.1 408")
    begin = time.monotonic()
    got = server.raw(head("Content-Length: 500\r\nConnection: close\r\n", WRONG))
    assert got.startswith(b"HTTP/1.1 401")
    assert ids(ledger) == []
    assert server.post(body) == (200, "recorded")


def test_a_body_that_is_too_large(server: Server, ledger: Ledger, letters: DeadLetters) -> None:
    """Refused by its length before it comes, or as soon as it has become too long."""
    got = server.raw(head("Content-Length: 20001\r\n"))
    assert got.startswith(b"HTTP/1.1 413")
    for length in ("9" * 30, "1" * 5000):
        assert server.raw(head(f"Content-Length: {length}\r\n"))[9:12] in {b"413", b"400"}
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    got = server.raw(head("Transfer-Encoding: chunked\r\n"), *[chunk] * 6)
    assert got.startswith(b"HTTP/1.1 413")
    large = alert(1, note="x" * 19_000)
    assert server.post(large) == (200, "recorded")
    assert len(ids(ledger)) == 1
    assert list(letters) == []


def test_a_body_that_is_cut_off(server: Server, ledger: Ledger) -> None:
    """A sender that goes away in the middle leaves nothing."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head("Content-Length: 500\r\n") + alert(1)[:40])
    assert server.post(alert(2)) == (200, "recorded")
    assert ids(ledger) == ["alertmanager/f2@20260101T000000Z"]


# --- many -----------------------------------------------------------------------------------------


def test_a_hundred_senders_at_once(server: Server, ledger: Ledger) -> None:
    """Each hears that its own is recorded; what gathers is recorded in fewer commits."""
    ready = threading.Barrier(100)

    def send(number: int) -> list[Answer]:
        ready.wait(30)
        return [server.post(alert(number * 3 + turn)) for turn in range(3)]

    with ThreadPoolExecutor(100) as pool:
        answers = [each for some in pool.map(send, range(100)) for each in some]
    assert answers == [(200, "recorded")] * 300
    assert len(ids(ledger)) == 300
    assert server.count("commits_total") < 300
    assert server.count("waiting") == 0


def test_deliveries_of_one_incident_from_many_senders(server: Server, ledger: Ledger) -> None:
    """The same from fifty at once is one incident, with what one of them alone would record."""
    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(lambda _: server.post(alert(1)), range(50)))
    assert (200, "recorded") in answers
    assert answers <= {(200, "recorded"), (200, "known")}
    assert len(ids(ledger)) == 1
    with Ledger.in_memory() as alone:
        with served(receiver(alone, {"a": bearer()}, dead_letters="unused.jsonl")) as other:
            other.post(alert(1), "/a")
        assert events(ledger) == events(alone)


def test_too_many_are_told_to_come_again(
    ledger: Ledger, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the disk is slow, what would wait too long is answered with 503, and nothing lost."""
    slow(monkeypatch, 0.3)
    app = receiver(ledger, {"alertmanager": bearer()}, dead_letters=letters, most_waiting=3)
    with served(app) as server:
        with ThreadPoolExecutor(30) as pool:
            answers = list(pool.map(lambda n: server.post(alert(n)), range(30)))
        assert set(answers) == {(200, "recorded"), (503, "busy")}
        assert len(ids(ledger)) == answers.count((200, "recorded"))


def slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    from imcm.interchange import receiver as module

    real = module.record_statements

    def slowly(*args: Any, **more: Any) -> Any:
        time.sleep(seconds)
        return real(*args, **more)

    monkeypatch.setattr(module, "record_statements", slowly)


def test_one_that_can_not_be_recorded_takes_no_other_with_it(
    ledger: Ledger, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong with one of those recorded together, it is kept and the rest recorded."""
    from imcm.interchange import receiver as module

    real = module.record_statements

    def failing(book: Ledger, statements: Any, **more: Any) -> Any:
        time.sleep(0.05)  # so that several gather
        if any("f7@" in each.id for each in statements):
            raise RuntimeError(TOKEN)
        return real(book, statements, **more)

    monkeypatch.setattr(module, "record_statements", failing)
    app = receiver(ledger, {"alertmanager": bearer()}, dead_letters=letters)
    with served(app) as server, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: server.post(alert(n)), range(20)))
    assert [n for n, answer in enumerate(answers) if answer == (200, "dead_letter")] == [7]
    assert len(ids(ledger)) == 19
    (kept,) = letters
    assert kept.reason == "RuntimeError on recording"


def test_an_incident_without_any_moment_was_detected_when_it_came(
    ledger: Ledger, letters: DeadLetters
) -> None:
    """Each at its own receipt, also where several are recorded at once."""
    count = [0]
    lock = threading.Lock()

    def clock() -> datetime:
        with lock:
            count[0] += 1
            return NOW + timedelta(minutes=count[0])

    source = WebhookSource(format="splunk", signatures=signatures("token", [TOKEN], header="X-T"))
    app = receiver(ledger, {"splunk": source}, dead_letters=letters, clock=clock)

    def send(number: int) -> Answer:
        told = {"sid": f"s{number}", "search_name": f"errors {number}", "result": {}, "app": "x",
                "owner": "o", "results_link": "http://splunk.example.org/x"}  # fmt: skip
        return server.post(json.dumps(told).encode(), "/splunk", {"X-T": TOKEN})

    with served(app) as server, ThreadPoolExecutor(10) as pool:
        assert set(pool.map(send, range(10))) == {(200, "recorded")}
    moments = {row.detected_at for row in facts(ledger.replay()).incidents}
    assert len(moments) == 10
    assert all(moment is not None for moment in moments)


# --- failures and crashes -------------------------------------------------------------------------


def test_what_fails_is_not_acknowledged(tmp_path: Path) -> None:
    """A ledger that is closed, a folder in place of the dead letters: 503, and health says so."""
    ledger = Ledger(tmp_path / "ledger.db")
    (tmp_path / "folder").mkdir()
    app = receiver(ledger, {"a": bearer()}, dead_letters=tmp_path / "folder")
    with served(app) as server:
        assert server.post(b"nonsense", "/a") == (503, "failed")
        assert server.asked("GET", "/health")[0] == 503
        assert server.post(alert(1), "/a") == (200, "recorded")
        assert server.asked("GET", "/health")[0] == 200
        ledger.close()
        assert server.post(alert(2), "/a") == (503, "failed")
        assert server.asked("GET", "/health")[0] == 503


PROGRAM = """
import os, signal, sys
from imcm.interchange import dead_letters, receiver
where = sys.argv.pop(1)
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if where == "answer":
    receiver._answer = die
elif where == "half":
    real = os.fsync
    def torn(opened):
        os.ftruncate(opened, max(os.fstat(opened).st_size - 40, 0))
        die()
    dead_letters.os = type("os", (), {**vars(os), "fsync": staticmethod(torn)})
from imcm.__main__ import main
sys.argv = ["imcm", *sys.argv[1:]]
main()
"""

SETTINGS = """\
dead_letters = "dead.jsonl"
[sources.alertmanager]
format = "alertmanager"
secrets = ["RECEIVER_TOKEN"]
"""


@contextmanager
def process(
    folder: Path, where: str = "nowhere"
) -> Iterator[tuple[Server, subprocess.Popen[bytes]]]:
    """Run the command, to be killed or to kill itself somewhere."""
    (folder / "sources.toml").write_text(SETTINGS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["receive", "--ledger", "ledger.db", "--config", "sources.toml", "--port", str(port)]
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, where, *words],
        cwd=folder,
        env={
            **os.environ,
            "RECEIVER_TOKEN": TOKEN,
            "PYTHONPATH": str(Path(imcm.__file__).parents[1]),
        },
        stderr=subprocess.PIPE,
    )
    server = Server(port)
    try:
        for _ in range(600):
            with suppress(OSError):
                server.asked("GET", "/health")
                break
            assert running.poll() is None
            time.sleep(0.05)
        yield server, running
    finally:
        running.kill()
        running.wait(30)
        assert running.stderr is not None
        running.stderr.close()


def unanswered(server: Server, body: bytes) -> bool:
    try:
        server.post(body)
    except (OSError, http.client.HTTPException):
        return True
    return False


def test_killed_between_the_commit_and_the_answer(tmp_path: Path) -> None:
    """It is recorded and nobody heard so; sent again, nothing is doubled."""
    pytest.importorskip("typer", reason="the command line is an extra")
    with process(tmp_path, "answer") as (server, running):
        assert unanswered(server, alert(1))
        assert running.wait(30) == -signal.SIGKILL
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert len(ids(ledger)) == 1
        before = events(ledger)
    with process(tmp_path) as (server, _):
        assert server.post(alert(1)) == (200, "known")
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert events(ledger) == before


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """What was acknowledged is there; what was not is sent again; in the end each is there once."""
    pytest.importorskip("typer", reason="the command line is an extra")
    chance = random.Random(11)
    waiting = set(range(120))
    acknowledged: set[int] = set()
    for turn in range(4):
        with process(tmp_path) as (server, running):
            killer = threading.Timer(chance.uniform(0.01, 0.12), running.kill)
            if turn < 3:
                killer.start()

            def send(number: int, server: Server = server) -> int | None:
                body = alert(number) if number % 10 else b"nonsense %d" % number
                try:
                    return number if server.post(body)[0] == 200 else None
                except (OSError, http.client.HTTPException):
                    return None

            with ThreadPoolExecutor(8) as pool:
                acknowledged |= {n for n in pool.map(send, sorted(waiting)) if n is not None}
            killer.cancel()
        waiting -= acknowledged
        with Ledger(tmp_path / "ledger.db") as ledger:
            there = set(ids(ledger))
        read = {n for n in acknowledged if n % 10}
        assert {f"alertmanager/f{n}@20260101T000000Z" for n in read} <= there
        kept = {each.body for each in DeadLetters(tmp_path / "dead.jsonl")}
        assert {b"nonsense %d" % n for n in acknowledged - read} <= kept
    assert not waiting
    assert len(there) == 108
    assert len(kept) == 12


def test_killed_while_a_dead_letter_is_written(tmp_path: Path) -> None:
    """The half line was never acknowledged: it is passed over, and the next one is whole."""
    pytest.importorskip("typer", reason="the command line is an extra")
    letters = DeadLetters(tmp_path / "dead.jsonl")
    with process(tmp_path) as (server, _):
        assert server.post(b"first") == (200, "dead_letter")
    with process(tmp_path, "half") as (server, running):
        assert unanswered(server, b"second")
        assert running.wait(30) == -signal.SIGKILL
    assert [each.body for each in letters] == [b"first"]
    assert letters.torn == 1
    with process(tmp_path) as (server, _):
        assert server.post(b"second") == (200, "dead_letter")
    assert [each.body for each in letters] == [b"first", b"second"]
    assert letters.torn == 1


def test_a_server_that_is_told_to_end_answers_first(tmp_path: Path) -> None:
    """SIGTERM ends it with all that came recorded."""
    pytest.importorskip("typer", reason="the command line is an extra")
    with process(tmp_path) as (server, running):
        assert server.post(alert(1)) == (200, "recorded")
        running.terminate()
        assert running.wait(30) in {0, -signal.SIGTERM}


# --- mounted --------------------------------------------------------------------------------------


def test_mounted_in_an_app_of_ones_own(ledger: Ledger, letters: DeadLetters) -> None:
    """Under a path of another app, whose lifespan it does not need."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    hooks = receiver(ledger, {"alertmanager": bearer()}, dead_letters=letters)
    app = Starlette(
        routes=[
            Route("/", lambda _: PlainTextResponse("mine")),
            Mount("/hooks", app=hooks),
        ]
    )
    with served(app) as server:
        assert server.asked("GET", "/") == (200, "mine")
        assert server.post(alert(1), "/hooks/alertmanager") == (200, "recorded")
        assert server.asked("GET", "/hooks/health") == (200, {"status": "ok"})
        assert server.post(alert(1))[0] == 404
    assert len(ids(ledger)) == 1


# --- dead letters ---------------------------------------------------------------------------------


def letter(body: bytes = b"{", *, at: datetime = NOW, **more: Any) -> DeadLetter:
    told = {"source": "alertmanager", "route": "a", "reason": "no JSON", **more}
    return DeadLetter(received_at=at, body=body, **told)


def test_dead_letters_come_back_as_they_were(letters: DeadLetters) -> None:
    """Whatever the bytes; headers that may hold a secret are not kept."""
    headers = {"X-GitHub-Event": "ping", "Cookie": TOKEN, "X-Token": TOKEN, "Authorization": TOKEN}
    put = [
        letter(body, headers=headers) for body in (b"", b"\n\n", b"\xff\x00", "ä\u2028".encode())
    ]
    letters.put(put)
    assert list(letters) == put
    assert [dict(each.headers) for each in letters] == [{"x-github-event": "ping"}] * 4
    assert letters.find(put[1].id) == put[1]
    assert TOKEN not in letters.path.read_text()


def test_a_dead_letter_is_taken_out_with_its_words(letters: DeadLetters) -> None:
    """By its id; the others, and lines that tell none, stay as they are."""
    one, two, three = letter(b"Anna said"), letter(b"two"), letter(b"three")
    letters.put([one, two])
    with letters.path.open("ab") as file:
        file.write(b'{"id": "half')
    letters.put([three])
    assert letters.take_out(one.id) == one
    assert list(letters) == [two, three]
    assert letters.torn == 1
    assert b"Anna" not in letters.path.read_bytes()
    assert stat.S_IMODE(letters.path.stat().st_mode) == 0o600
    for _ in range(2):
        with pytest.raises(UnknownIdError, match="no delivery"):
            letters.take_out(one.id)
    with pytest.raises(UnknownIdError):
        letters.find(one.id)


def test_dead_letters_are_kept_so_many_days(tmp_path: Path) -> None:
    """By the time they came; the receiver ends them by itself."""
    letters = DeadLetters(tmp_path / "dead.jsonl", keep_days=90)
    old, new = (letter(at=NOW - timedelta(days=days)) for days in (91, 89))
    letters.put([old, new])
    with Ledger(tmp_path / "ledger.db") as ledger:
        app = receiver(ledger, {"a": bearer()}, dead_letters=letters, clock=lambda: NOW)
        with served(app) as server:
            assert server.post(alert(1), "/a") == (200, "recorded")
            until = time.monotonic() + 20
            while list(letters) != [new] and time.monotonic() < until:
                time.sleep(0.02)
    assert list(letters) == [new]
    assert letters.end_old(NOW) == 0
    assert letters.end_old(NOW + timedelta(days=2)) == 1
    assert DeadLetters(letters.path).end_old(NOW) == 0


def test_dead_letters_from_many_threads(letters: DeadLetters) -> None:
    """While others are taken out, none is lost."""
    first = [letter(b"%d" % n) for n in range(20)]
    letters.put(first)
    more = [letter(b"more %d" % n) for n in range(40)]
    work: list[Callable[[], object]] = [partial(letters.take_out, each.id) for each in first]
    work += [partial(letters.put, [each]) for each in more]
    random.Random(5).shuffle(work)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(each) for each in work]:
            done.result(60)
    assert {each.id for each in letters} == {each.id for each in more}


def test_no_link_is_followed_to_write_a_dead_letter(tmp_path: Path) -> None:
    """What somebody else put in its place is not written to."""
    (tmp_path / "mine").write_bytes(b"")
    (tmp_path / "dead.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(StoreError):
        DeadLetters(tmp_path / "dead.jsonl").put([letter()])
    assert (tmp_path / "mine").read_bytes() == b""


# --- settings -------------------------------------------------------------------------------------

WHOLE = """\
dead_letters = "kept/dead.jsonl"
keep_days = 30
largest = 1000000
timeout = 5
most_waiting = 50

[sources.alertmanager]
format = "alertmanager"
name = "am-eu"
secrets = ["AM_TOKEN", "AM_TOKEN_BEFORE"]
tz = "Europe/Oslo"
refires = "reopens"
service_label = ["app"]
values = {severity = {page = "P1"}}

[sources.hooks]
format = "rootly"
secrets = ["ROOTLY"]
tolerance = 60
keep_dropped = true
"""


def test_settings(tmp_path: Path) -> None:
    """All of them, with secrets from the environment and in no repr."""
    path = tmp_path / "sources.toml"
    path.write_text(WHOLE)
    variables = {"AM_TOKEN": TOKEN, "AM_TOKEN_BEFORE": OLD, "ROOTLY": WRONG}
    settings = read_receiver(path, environment=variables)
    am, hooks = settings.sources.values()
    assert settings.dead_letters == tmp_path / "kept/dead.jsonl"
    assert (settings.keep_days, settings.largest, settings.most_waiting) == (30, 1_000_000, 50)
    assert (am.name, am.signatures.name, am.options.refires) == ("am-eu", "bearer", "reopens")
    assert am.options.service_label == ("app",)
    assert (hooks.name, hooks.signatures.name, hooks.keep_dropped) == ("rootly", "rootly", True)
    assert hooks.signatures.tolerance == timedelta(minutes=1)
    for secret in variables.values():
        assert secret not in repr(settings)
    assert am.signatures.refusal(authorized(OLD), b"", now=NOW) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "sources"),
        ("[sources.a]\nformat = 'alertmanager'", "dead_letters"),
        ("dead_letters = 'x'\nretention = 3\n[sources.a]\nformat = 'github'", "keep_days"),
        ("dead_letters = 'x'\n[sources.a]\nformat = 'gihub'", "near: github"),
        ("dead_letters = 'x'\n[sources.a]\nformat = 'github'", "at least one"),
        (
            "dead_letters = 'x'\nkeep_dropped = true\n[sources.a]\nformat = 'github'",
            "it belongs under a source: [sources.<path>]",
        ),
        (
            "dead_letters = 'x'\n[sources.a]\nformat = 'github'\nkeep_days = 3",
            "it belongs at the top, before all [sources.<path>]",
        ),
        ("dead_letters = 'x'\n[sources.a]\nformat = 'github'\nsecret = 'S'", "secrets"),
        ("dead_letters = 'x'\n[sources.a]\nformat = 'github'\nsecrets = 'S'", "variables"),
        (
            "dead_letters = 'x'\n[sources.a]\nformat = 'github'\nsecrets = ['UNSET']",
            "the environment variable UNSET is not set",
        ),
        ("dead_letters = 'x'\n[sources.a]\nformat = 'github'\nsecrets = ['se-cret']", "number 1"),
        ("dead_letters = 'x'\n[sources.a]\nformat = 'github'\nsecrets = ['hunter2x']", "number 1"),
        ("dead_letters = 'x'\n[sources.a]\nformat = 'rootly'\ntolerance = 0", "tolerance"),
        ("dead_letters = 'x'\n[sources.a]\nformat = 'rootly'\nsecrets = ['SHORT']", "at least 8"),
        ("dead_letters = 'x'\n[sources.a]\nformat = 'rootly'\nsecrets = ['S']\ntz = 'X'", "tz"),
    ],
)
def test_settings_that_can_not_be(text: str, said: str, tmp_path: Path) -> None:
    """Each is told by its key; what may be a secret is not."""
    (tmp_path / "sources.toml").write_text(text)
    with pytest.raises(InvalidValue) as refused:
        read_receiver(tmp_path / "sources.toml", environment={"S": TOKEN, "SHORT": "tiny1"})
    assert said in str(refused.value)
    for secret in (TOKEN, "tiny1", "se-cret", "hunter2x"):
        assert secret not in str(refused.value)


@pytest.mark.parametrize("path", ["health", "metrics", "a/b", "", "ä", "{id}", "..", 7])
def test_paths_that_can_not_be(path: Any, ledger: Ledger) -> None:
    """A path is one plain word that is not ours."""
    with pytest.raises(InvalidValue, match="sources"):
        receiver(ledger, {path: bearer()}, dead_letters="unused.jsonl")


@pytest.mark.parametrize(
    "more",
    [{"timeout": 0}, {"timeout": "5"}, {"largest": 0}, {"largest": 10**9}, {"most_waiting": 0},
     {"keep_days": 0}, {"clock": NOW}, {"sources": {}}, {"sources": {"a": "github"}},
     {"ledger": "ledger.db"}, {"dead_letters": 7}],
)  # fmt: skip
def test_arguments_that_can_not_be(more: dict[str, Any], ledger: Ledger) -> None:
    """Each is refused by its name."""
    told = {"ledger": ledger, "sources": {"a": bearer()}, "dead_letters": "unused.jsonl", **more}
    (name,) = more
    with pytest.raises(InvalidValue, match="path" if name == "dead_letters" else name):
        receiver(told.pop("ledger"), told.pop("sources"), **told)
    with pytest.raises(InvalidValue):
        bearer(**({"name": "a/b"} if name == "timeout" else {"largest": -1}))


def test_dead_letters_are_read_again_once_it_is_known_how(
    ledger: Ledger, letters: DeadLetters
) -> None:
    """A word that nobody knew, a body that nobody can read, and a path that is no more."""
    naive = alert(1).replace(b"2026-01-01T00:00:00Z", b"2026-01-01T00:00:00")
    sources = {"alertmanager": bearer(), "old": bearer(name="old")}
    with served(receiver(ledger, sources, dead_letters=letters)) as server:
        for path, body in (("alertmanager", naive), ("alertmanager", b"no"), ("old", b"no")):
            assert server.post(body, path=f"/{path}") == (200, "dead_letter")
    unread = read_again(ledger, letters, {"alertmanager": bearer()})
    assert ((), 0, 3) == (unread.read, unread.events, len(unread.left))
    assert "no source of the path 'old'" in unread.left[2][1]
    mended = {"alertmanager": bearer(options=Options(tz="UTC"))}
    would = read_again(ledger, letters, mended, dry_run=True)
    assert (1, 3) == (len(would.read), len(list(letters)))
    assert [] == list(facts(ledger.replay()).incidents)
    came = next(iter(letters)).received_at
    done = read_again(ledger, letters, mended)
    assert (would.read, would.events) == (done.read, done.events)
    assert would.events > 0
    assert 2 == len(list(letters))
    [row] = facts(ledger.replay()).incidents
    assert datetime(2026, 1, 1, tzinfo=UTC) == row.detected_at
    assert done.read[0] not in {each.id for each in letters}
    assert came is not None
    assert ((), 0) == read_again(ledger, letters, mended)[:2]


@pytest.mark.parametrize(
    "wrong", [{"ledger": 1}, {"letters": "d.jsonl"}, {"sources": []}, {"dry_run": 1}]
)
def test_reading_again_takes_what_it_says(
    ledger: Ledger, letters: DeadLetters, wrong: dict[str, Any]
) -> None:
    right = {"ledger": ledger, "letters": letters, "sources": {"a": bearer()}, "dry_run": False}
    with pytest.raises(InvalidValue, match=next(iter(wrong))):
        read_again(**right | wrong)
