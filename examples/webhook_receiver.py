"""
Webhooks straight into the ledger: alerts from Alertmanager, deployments from GitHub.

    python examples/webhook_receiver.py

An app of one's own has the receiver mounted under /hooks. Then it is sent what these tools send: an
alert that fires and ends, the same once more, a deployment with GitHub's signature, one that
somebody else signed, and one that nobody can read. At the end: what is in the ledger, what was kept
as a dead letter, and what it counted. It needs the extra `receiver`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import imcm
from imcm import DeadLetters, Ledger, WebhookSource, signatures

# In earnest these come from the environment; see docs/receiver.md for a file that names them.
ALERTS, GITHUB, GITHUB_BEFORE = "alerts-token-1", "github-secret-2", "github-secret-1"


def app_of(ledger: Ledger, letters: DeadLetters) -> Starlette:
    """Return an app of one's own, with the receiver under /hooks."""
    hooks = imcm.receiver(
        ledger,
        {
            "alerts": WebhookSource(
                format="alertmanager", signatures=signatures("bearer", [ALERTS])
            ),
            "github": WebhookSource(
                format="github", signatures=signatures("github", [GITHUB, GITHUB_BEFORE])
            ),
        },
        dead_letters=letters,
    )

    def home(_: Request) -> PlainTextResponse:
        known = ledger.facts()
        return PlainTextResponse(f"{len(known.incidents)} incidents, {len(known.changes)} changes")

    return Starlette(routes=[Route("/", home), Mount("/hooks", app=hooks)])


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Run an app on a free port of this machine; `uvicorn module:app` does it in earnest."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def asked(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """Ask a server for something; return the status and the body of its answer."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, named)) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def alert(status: str, ended: str) -> bytes:
    """Return what Alertmanager sends of one alert."""
    told: dict[str, Any] = {
        "status": status,
        "fingerprint": "c2f8a1",
        "startsAt": "2026-02-01T09:10:00Z",
        "endsAt": ended,
        "labels": {"alertname": "CheckoutFails", "severity": "critical", "service": "checkout"},
        "annotations": {"summary": "Checkout fails"},
    }
    return json.dumps({"version": "4", "status": status, "alerts": [told]}).encode()


def deployment() -> bytes:
    """Return what GitHub sends of a deployment that went well."""
    told: dict[str, Any] = {
        "action": "created",
        "deployment": {
            "id": 42,
            "sha": "4f2a91c",
            "task": "deploy",
            "environment": "production",
            "created_at": "2026-02-01T09:00:00Z",
        },
        "deployment_status": {
            "id": 7,
            "state": "success",
            "created_at": "2026-02-01T09:04:00Z",
        },
        "repository": {"name": "checkout", "full_name": "shop/checkout"},
    }
    return json.dumps(told).encode()


def signed(body: bytes, secret: str) -> str:
    """Return GitHub's signature of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def sent(url: str) -> None:
    """Send what these tools send, and print what was answered."""
    bearer = f"Bearer {ALERTS}"
    fires, ended = (
        alert("firing", "0001-01-01T00:00:00Z"),
        alert("resolved", "2026-02-01T09:55:00Z"),
    )
    for what, body in (
        ("an alert that fires", fires),
        ("the same again", fires),
        ("it is resolved", ended),
        ("what nobody can read", b"<html>proxy error</html>"),
    ):
        status, said = asked(f"{url}/hooks/alerts", body, Authorization=bearer)
        print(f"  {what}: {status} {json.loads(said)['result']}")
    body = deployment()
    for what, secret in (
        ("a deployment, signed", GITHUB),
        ("signed with the secret before", GITHUB_BEFORE),
        ("signed by somebody else", "a-guess-of-theirs"),
    ):
        status, said = asked(
            f"{url}/hooks/github",
            body,
            X_Hub_Signature_256=signed(body, secret),
            X_GitHub_Event="deployment_status",
            X_GitHub_Delivery="72d3162e-cc78-11e3-81ab-4c9367dc0958",
        )
        print(f"  {what}: {status} {json.loads(said)['result']}")


def main() -> None:
    """Tell it."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.db") as ledger:
        letters = DeadLetters(Path(folder) / "dead-letters.jsonl", keep_days=90)
        with serving(app_of(ledger, letters)) as url:
            print("Sent")
            sent(url)
            print("My own page")
            print(f"  {asked(url)[1]}")
            print("Counted")
            for line in asked(f"{url}/hooks/metrics")[1].splitlines():
                if line.startswith("imcm_receiver_deliveries_total"):
                    print(f"  {line}")
        print("In the ledger")
        known = ledger.facts()
        for row in (*known.incidents, *known.changes):
            print(f"  {row.id}: {row.status.value}, {', '.join(row.services)}")
        print(f"  {imcm.time_to_restore(known)}")
        print("Dead letters")
        for letter in letters:
            print(f"  {letter.source}, {len(letter.body)} bytes: {letter.reason[:40]}")
            letters.take_out(letter.id)
        print(f"  {len(list(letters))} are left")


if __name__ == "__main__":
    main()
