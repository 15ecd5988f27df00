"""
An incident bot over HTTP on the standard library alone. Any number of them may serve one ledger.

    python examples/incident_bot.py                                  shows itself, and ends
    python examples/incident_bot.py serve --ledger ledger.db --port 8080

    POST /incidents                  {"by": "prometheus", "alert": "...", "title": "..."}: detect
    POST /incidents/INC-7/<step>     {"by": "ana", ...}, the steps being those of STEPS, and merge
    GET  /incidents?service=  /incidents/INC-7  /incidents/INC-7/next?by=ana
    GET  /actions/overdue  /approvals?by=ana  /search?q=  /live  /time_to_restore?window=2026-Q1

Every POST has a header Delivery-Id: what is delivered again under it records nothing, and is
answered as it was the first time. Who speaks is in "by", and believed: put it behind a login.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import inspect
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from multiprocessing import Queue, get_context
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import imcm
from imcm import Ledger, Recorded, Recording, change, events, incident

Json = dict[str, Any]

STEPS: dict[str, Callable[..., Any]] = {
    step.__name__: step
    for step in (
        incident.acknowledge,
        incident.triage,
        incident.assign_role,
        incident.post_update,
        incident.attempt_mitigation,
        incident.conclude_attempt,
        incident.mitigate,
        incident.resolve,
        incident.reopen,
        incident.record_review,
        incident.add_action,
        incident.complete_action,
        incident.close,
    )
}
# JSON has no times and no days. Closed lists need nothing: a step takes their text, as in "P1".
READ: dict[str, Callable[[str], object]] = {
    "at": datetime.fromisoformat,
    "due": date.fromisoformat,
}


@dataclass(frozen=True)
class Request:
    method: str
    path: list[str]
    query: dict[str, str]
    delivery: str
    body: Json


class Bot:
    """What the bot knows and does. All of it waits for files: asyncio calls it in threads."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path)
        self.views = imcm.views(self.ledger)

    def answer(self, request: Request) -> tuple[int, Json]:
        try:
            found = self.post(request) if request.method == "POST" else self.get(request)
        except imcm.UnknownIdError as unknown:  # its message names the ids that are near
            return 404, {"error": str(unknown)}
        except imcm.StepRefused as no:
            return 409, {"step": no.step, "guard": no.guard, "why": no.why}
        except imcm.KeyReusedError as reused:  # one delivery id for two different things
            return 422, {"error": str(reused)}
        except (imcm.ConflictError, imcm.StoreError) as busy:
            return 503, {"error": str(busy)}  # safe to send again: it has its delivery id
        except ValueError as wrong:  # InvalidValue is one
            return 400, {"error": str(wrong)}
        return (404, {"error": "there is no such page"}) if found is None else (200, found)

    def post(self, request: Request) -> Json | None:
        if not request.delivery:
            raise ValueError("a Delivery-Id is needed: what is the same when it is sent again")
        told: Json = {"at": self.ledger.now()} | request.body
        for name, read in READ.items():
            if isinstance(told.get(name), str):
                told[name] = read(told[name])
        match request.path:
            case ["incidents"]:
                return recorded_json(self.detect(request.delivery, told))
            case ["incidents", id, step] if step in STEPS or step == "merge":
                self.ledger.incident(id)  # an unknown id: not found, rather than refused
                door = self.ledger.once("incident bot", request.delivery)
                if step == "merge":  # one record for both incidents, so not a step like the others
                    fits(door.merge, told)
                    return recorded_json(door.merge(id, **told))
                fits(STEPS[step], told)
                return recorded_json(door.record(id, STEPS[step], **told))
        return None

    def detect(self, delivery: str, told: Json) -> Recording:
        """Give a new incident the next number; one alert is one incident, whoever tells of it."""
        # The key is the alert's own where it has one, so that two bots that hear of it meet there.
        door = self.ledger.once("alerts", told.pop("alert", None) or delivery)
        fits(incident.detect, told)
        return door.record_new("INC-", incident.detect, **told)

    def get(self, request: Request) -> Json | None:
        ask = request.query.get
        match request.path:
            case ["incidents"]:
                return page_json(self.views.incidents(service=ask("service")))
            case ["incidents", id]:
                return self.views.incident(id).as_dict()
            case ["incidents", id, "next"]:
                answers = self.ledger.next_steps(id, by=ask("by"))
                return {a.step: {"possible": a.possible, "why": a.why} for a in answers}
            case ["actions", "overdue"]:
                return page_json(self.views.actions(status="overdue"))
            case ["approvals"]:
                return page_json(self.views.approvals(by=ask("by")))
            case ["search"]:
                return page_json(self.views.search(ask("q", "")))
            case ["live"]:
                return page_json(self.views.live())
            case ["time_to_restore"]:
                return imcm.time_to_restore(self.views.facts(), window=ask("window")).as_dict()
        return None

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever hung up, or sends without end, is told nothing.
        gone = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        with contextlib.suppress(*gone):
            try:
                request = await read_request(reader)
            except ValueError as wrong:
                send(writer, 400, {"error": f"no request that is understood here: {wrong}"})
            else:
                send(writer, *await asyncio.to_thread(self.answer, request))
            await writer.drain()
        writer.close()


def fits(step: Callable[..., Any], told: Json) -> None:
    """Refuse arguments that a step lacks or does not have: calling it would be a TypeError."""
    try:
        inspect.signature(step).bind(None, **told)
    except TypeError as wrong:
        raise ValueError(f"{step.__name__}: {wrong}") from None


def recorded_json(recording: Recording) -> Json:
    """Of a retry it is the same, since a retry gives back what was recorded the first time."""
    return {
        "ids": sorted({one.id for one in recording}),
        "recorded": [type(one.event).__name__ for one in recording],
        "versions": [one.version for one in recording],
    }


def page_json(page: imcm.Page[Any]) -> Json:
    return {"total": page.total, "rows": [row.as_dict() for row in page]}


def in_words(recorded: Recorded) -> str:
    match recorded.event:
        case events.IncidentDetected(title=title, by=by):
            return f"{recorded.id} detected by {by}: {title}"
        case events.UpdatePosted(text=text, by=by):
            return f"{recorded.id} {by} says: {text}"
        case event:
            return f"{recorded.id} {type(event).__name__}"


async def read_request(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    body = json.loads(raw or b"{}")
    if not isinstance(body, dict):
        raise ValueError("the body is no JSON object")  # noqa: TRY004
    url = urlsplit(target)
    path = [unquote(part) for part in url.path.strip("/").split("/")]
    return Request(method, path, dict(parse_qsl(url.query)), headers.get("delivery-id", ""), body)


def send(writer: asyncio.StreamWriter, status: int, answer: Json) -> None:
    body = json.dumps(answer, default=str).encode()  # str: the days of action items
    head = f"HTTP/1.1 {status} {http.client.responses[status]}\r\nContent-Type: application/json"
    writer.write(f"{head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
    writer.write(body)


async def serve(path: Path, port: int, say: Callable[[str], None]) -> None:
    bot, stop = Bot(path), threading.Event()
    begin = bot.ledger.position_at()  # before anything is taken, so that all of it is announced
    server = await asyncio.start_server(bot.connected, "127.0.0.1", port)
    say(str(server.sockets[0].getsockname()[1]))  # which port, where 0 was asked for

    def announce(recorded: Recorded) -> None:
        say(in_words(recorded))  # here a real bot posts to the team's channel

    # How far it is, is kept in a file, so each event is announced by one of the processes on this
    # ledger, and none is passed over when one of them dies. What each of them should hear, such as
    # the pages that it has open in browsers, would be `async for recorded in ledger.afollow(...)`.
    told = path.with_name(f"{path.name}.announced")
    announcing = partial(imcm.deliver, bot.ledger, told, announce, begin=begin, stop=stop)
    try:
        await asyncio.gather(server.serve_forever(), asyncio.to_thread(announcing, every=0.2))
    finally:
        stop.set()


def run(path: Path, port: int, say: Callable[[str], None]) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(path, port, say))


# What follows is the show: two of these processes, and somebody who asks both.

Ask = Callable[..., tuple[int, Json]]


def ask(port: int, method: str, path: str, delivery: str = "", **told: Any) -> tuple[int, Json]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(told), {"Delivery-Id": delivery})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@contextlib.contextmanager
def worker(path: Path, said: Queue[str]) -> Iterator[Ask]:
    process = get_context("spawn").Process(target=run, args=(path, 0, said.put))
    process.start()
    try:
        yield partial(ask, int(said.get(timeout=30)))
    finally:
        process.kill()  # whenever that is: what was answered is in the ledger
        process.join()


def show(one: Ask, two: Ask) -> None:
    print("Four deliveries at once, to both: of one alert twice, and of two others.")

    def alert(worker: Ask, name: str) -> str:
        told = {"by": "prometheus", "alert": name, "title": name, "services": ["checkout"]}
        _, answer = worker("POST", "/incidents", "any", **told)
        return str(answer["ids"][0])

    with ThreadPoolExecutor() as pool:
        names = ("Payments fail", "Payments fail", "Basket is slow", "Basket is empty")
        id, same, slow, empty = pool.map(alert, (one, two, one, two), names)
    print("   ", id, same, slow, empty)
    assert (id == same, len({id, slow, empty})) == (True, 3)

    print("\nThe life of one incident: every step is delivered to one, and again to the other.")
    last_week = str(date.today() - timedelta(days=7))  # noqa: DTZ011
    steps: list[tuple[str, Json]] = [
        (f"{id}/acknowledge", {}),
        (f"{id}/triage", {"severity": "P1"}),
        (f"{id}/assign_role", {"role": "incident_commander", "person": "ana"}),
        (f"{id}/post_update", {"text": "We are on it.", "audience": "public"}),
        (f"{id}/attempt_mitigation", {"kind": "restart"}),
        (f"{id}/mitigate", {}),
        (f"{id}/resolve", {}),
        (f"{id}/close", {}),  # refused: a P1 is reviewed first
        (f"{id}/record_review", {"what_happened": "The pool was too small."}),
        (f"{id}/add_action", {"text": "A larger pool", "owner": "ana", "due": last_week}),
        (f"{id}/add_action", {"text": "An alert on the pool", "owner": "ben", "due": last_week}),
        (f"{id}/complete_action", {"number": 1}),
        (f"{id}/close", {}),
        (f"{empty}/merge", {"into": slow}),
        (f"{slow}/triage", {"severity": "P9"}),  # wrong
        (f"{slow}/mitigate", {"at": "2026-03-06T20:14"}),  # wrong: in which time zone?
        ("INC-33/mitigate", {}),  # unknown
    ]
    for number, (step, told) in enumerate(steps):
        delivery = "POST", f"/incidents/{step}", f"delivery {number}"
        status, answer = one(*delivery, by="ana", **told)
        assert two(*delivery, by="ana", **told) == (status, answer)
        print(f"    {step:26} {status} {answer.get('recorded', answer)}")

    print("\nThe boards")
    for path, *fields in (
        ("/incidents?service=checkout", "id", "status", "title", "merged"),
        ("/actions/overdue", "incident", "text", "owner", "due"),
        ("/approvals?by=lena", "waits_for", "possible", "why"),
        ("/approvals?by=mia", "waits_for", "possible", "why"),
        ("/live", "service", "version", "change"),
        ("/search?q=pool", "kind", "id", "title"),
    ):
        for row in two("GET", path)[1]["rows"]:
            print(f"    {path:28}", *[row[field] for field in fields])
    shown = one("GET", f"/incidents/{id}")[1]
    print(
        f"    {id} has {shown['version']} events, is {shown['status']}, led by", shown["commander"]
    )
    answers = one("GET", f"/incidents/{slow}/next?by=ben")[1]
    print(f"    {slow} can:", *[step for step, answer in answers.items() if answer["possible"]])
    figure = two("GET", "/time_to_restore")[1]
    print(f"    time to restore: {figure['value']:.2f} {figure['unit']}, of {figure['n']}")


def main() -> None:
    parser = argparse.ArgumentParser(description="An incident bot; without arguments, a show.")
    serving = parser.add_subparsers(dest="command").add_parser("serve")
    serving.add_argument("--ledger", type=Path, required=True)
    serving.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    if asked.command == "serve":
        run(asked.ledger, asked.port, partial(print, flush=True))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        with Ledger(path) as pipeline:  # which records in the same ledger
            basket: Json = {"title": "Basket 5.4", "services": ["checkout"], "at": pipeline.now()}
            pipeline.record("CHG-1", change.observe, by="pipeline", version="5.4", **basket)
            basket |= {"title": "Basket 5.5", "risk": "low", "rollback_plan": "5.4 again"}
            pipeline.record("CHG-2", change.plan, by="lena", **basket)
            pipeline.record("CHG-2", change.submit, by="lena", at=pipeline.now())
        said: Queue[str] = get_context("spawn").Queue()
        with worker(path, said) as one, worker(path, said) as two:
            show(one, two)
            print("\nAnnounced, each once, by one or the other")
            while "IncidentMerged" not in (line := said.get(timeout=30)):
                print("   ", line)


if __name__ == "__main__":
    main()
