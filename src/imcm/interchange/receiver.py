"""
Webhooks received: an ASGI app that verifies, reads and records what tools send.

    app = imcm.receiver(
        ledger,
        {"alertmanager": WebhookSource(format="alertmanager",
                                       signatures=signatures("bearer", [secret]))},
        dead_letters="dead-letters.jsonl",
    )

It stands by itself under any ASGI server, or is mounted in an app of one's own. Each source has a
path: POST /alertmanager. A delivery is answered with 2xx only when what it says is durable: it is
recorded, or says nothing new, or it could not be read and is in the file of dead letters.

| answer | when |
|---|---|
| 200 | "recorded"; "known", nothing new; "nothing", says nothing; or kept as a "dead_letter" |
| 400 | the sender is not verified (scheme "none"), and it can't be read: nothing is kept |
| 401 | the signature or token is not theirs: nothing is kept |
| 408 | the body did not come in time |
| 413 | the body is too large |
| 415 | the body is compressed |
| 503 | the ledger or the disk failed, or too much waits: send it again |

**Several in one commit.** The ledger is synchronous, so one thread records. What has gathered while
it was at work is recorded together, in the order in which it came, and each is answered when that
is committed. What can't be recorded together is recorded one by one, so that one delivery never
takes another with it.

**A sender that hears nothing sends again**, and what stands is not recorded again: a process that
dies between the commit and the answer loses and doubles nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from urllib.parse import unquote_to_bytes

import attrs

from imcm.domain.vocabulary import (
    checked_flag,
    checked_id,
    checked_number,
    checked_time,
    is_mapping,
)
from imcm.errors import (
    ConflictError,
    ImcmError,
    InvalidValue,
    MissingExtraError,
    StoreError,
    UnknownIdError,
)
from imcm.interchange.dead_letters import KEPT_HEADERS, DeadLetter, DeadLetters
from imcm.interchange.formats import Format, format_named
from imcm.interchange.payloads import DEFAULT, Options, json_of
from imcm.interchange.payloads import LARGEST as LARGEST_PAYLOAD
from imcm.interchange.signatures import SignatureScheme
from imcm.interchange.statements import Read, Statement, sha256_of
from imcm.interchange.taking_in import Taken, record_statements
from imcm.ledger.recording import Ledger, utc_now
from imcm.plain import plain

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["WebhookSource", "receiver"]

LARGEST: Final = 2_000_000
"""Bytes that a body has at most, unless something else is said."""

TIMEOUT: Final = 10.0
"""Seconds in which a body must have come, unless something else is said."""

KEEP_DAYS: Final = 90
"""Days that a dead letter is kept, unless something else is said."""

MOST_WAITING: Final = 1_000
"""Deliveries that wait to be recorded at most, unless something else is said."""

_MOST_HELD: Final = 256_000_000
"""Bytes of bodies that are held at once, being received or waiting."""

_AT_ONCE: Final = 200
"""Deliveries that are recorded together at most."""

_TRIES: Final = 3
"""How many of what gathered are tried by themselves before the ledger is taken to have failed."""

_RECENT: Final = 60.0
"""Seconds for which `GET /health` tells that recording failed."""

_RETRY_AFTER: Final = "5"
"""Seconds after which a sender that is told to is to send again."""

_LOG: Final = logging.getLogger("imcm.receiver")
_LOG.addHandler(logging.NullHandler())  # who wants to read it says where

_ROUTE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OWN: Final = frozenset({"health", "metrics"})

_DELIVERY_IN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "github": ("x-github-delivery",),
        "gitlab": ("idempotency-key", "x-gitlab-webhook-uuid"),
        "incident-io": ("webhook-id",),
        "jira": ("x-atlassian-webhook-identifier",),
        "jira-changes": ("x-atlassian-webhook-identifier",),
        "pagerduty": ("x-webhook-id",),
    }
)
"""Which headers of a tool have the id of a delivery, the same whenever it is sent again."""


def _format(name: object) -> Format:
    return name if isinstance(name, Format) else format_named(name)  # type: ignore[arg-type]


@attrs.frozen(kw_only=True)
class WebhookSource:
    """
    A sender of webhooks.

    Attributes:
        format: How its payloads are read: a name of `imcm.interchange.formats`, "alertmanager".
        signatures: How it is told from others; see `imcm.signatures`.
        name: Its name in the ledger, with which ids begin; that of the format by default. Two tools
            of one kind have two names.
        options: How its payloads are read: zone, words, what fires again.
        largest: Bytes that a body has at most; None for what the receiver says.
        keep_dropped: Whether a delivery of which something did not fit is put into the dead letters
            besides being recorded; else that is only counted and logged.
    """

    format: Format = attrs.field(converter=_format)
    signatures: SignatureScheme
    name: str = attrs.field(default="")
    options: Options = DEFAULT
    largest: int | None = None
    keep_dropped: bool = False

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.signatures, SignatureScheme):
            shown = type(self.signatures).__name__
            raise InvalidValue("signatures", shown, 'give signatures("github", [secret])')
        name = self.name or self.format.source
        if "/" in checked_id("name", name):
            raise InvalidValue("name", name, "a name without slash, which ends it in ids")
        object.__setattr__(self, "name", name)
        self.format.check(self.options)
        if self.largest is not None:
            _checked_largest(self.largest)
        checked_flag("keep_dropped", self.keep_dropped)


def _checked_largest(value: object) -> int:
    if not 1 <= checked_number("largest", value) <= LARGEST_PAYLOAD:
        raise InvalidValue("largest", value, f"1 to {LARGEST_PAYLOAD:,} bytes")
    return checked_number("largest", value)


def receiver(
    ledger: Ledger,
    sources: Mapping[str, WebhookSource],
    *,
    dead_letters: str | Path | DeadLetters,
    keep_days: int | None = KEEP_DAYS,
    largest: int = LARGEST,
    timeout: float = TIMEOUT,
    most_waiting: int = MOST_WAITING,
    clock: Callable[[], datetime] = utc_now,
) -> Starlette:
    """
    Return an ASGI app that receives webhooks and records what they say.

    `POST /<path>` for each source, `GET /health`, and `GET /metrics` for Prometheus. It ends no
    TLS: put it behind what does, and keep the last two inside.

    Args:
        ledger: Where. It stays open, and is the caller's to close.
        sources: Who sends, each by its path: {"alertmanager": WebhookSource(...)}.
        dead_letters: The file for deliveries that come from a verified sender and can't be read.
        keep_days: How many days they are kept; None keeps all. `DeadLetters` have their own.
        largest: Bytes that a body has at most.
        timeout: Seconds in which a body must have come.
        most_waiting: How many deliveries may wait; beyond that senders are told to come again.
        clock: Gives the time of receipt, and the time that signatures are judged by.

    Raises:
        InvalidValue: An argument is not as described.
        MissingExtraError: The extra `receiver` is not installed.
    """
    if not isinstance(ledger, Ledger):
        raise InvalidValue("ledger", type(ledger).__name__, "give a Ledger")
    if not isinstance(dead_letters, DeadLetters):
        dead_letters = DeadLetters(dead_letters, keep_days=keep_days)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < 3600:
        raise InvalidValue("timeout", timeout, "seconds, more than 0 and less than 3600")
    if checked_number("most_waiting", most_waiting) < 1:
        raise InvalidValue("most_waiting", most_waiting, "at least 1")
    if not callable(clock):
        raise InvalidValue("clock", clock, "a function without arguments that returns a time")
    try:
        from starlette.applications import Starlette
        from starlette.routing import Route
    except ImportError:
        raise MissingExtraError("a receiver of webhooks", "receiver") from None
    made = _Receiver(
        _Writer(ledger, dead_letters, most_waiting, clock),
        largest=_checked_largest(largest),
        timeout=float(timeout),
        clock=clock,
    )
    routes = [
        Route(f"/{path}", made.endpoint(path, source), methods=["POST"])
        for path, source in _checked_sources(sources).items()
    ]
    routes.append(Route("/health", made.health, methods=["GET"]))
    routes.append(Route("/metrics", made.metrics, methods=["GET"]))
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return app


def _checked_sources(sources: object) -> Mapping[str, WebhookSource]:
    allowed = 'senders by their paths: {"alertmanager": WebhookSource(...)}'
    if not is_mapping(sources) or not sources:
        raise InvalidValue("sources", type(sources).__name__, allowed)
    for path, source in sources.items():
        if not isinstance(path, str) or not _ROUTE.fullmatch(path) or path in _OWN:
            words = 'letters, digits, ".", "_", "-", and neither "health" nor "metrics"'
            raise InvalidValue("sources", path, words)
        if not isinstance(source, WebhookSource):
            raise InvalidValue(f"sources.{path}", type(source).__name__, allowed)
    return sources


# --- what is received -----------------------------------------------------------------------------

Outcome = Literal["recorded", "known", "nothing", "dead_letter", "unreadable", "failed"]

_FAILED: Final[Outcome] = "failed"


class _Delivery(NamedTuple):
    """One body that came from whom it should, and who waits for its answer."""

    path: str
    source: WebhookSource
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    answer: asyncio.Future[Outcome]
    loop: asyncio.AbstractEventLoop

    @property
    def came(self) -> _Came:
        """What came, whoever waits."""
        return _Came(self.source, self.headers, self.body, self.received_at)


class _Came(NamedTuple):
    """What of a delivery is read."""

    source: WebhookSource
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class _TooLarge(Exception):
    pass


class _TooMuch(Exception):
    pass


class _Receiver:
    """The endpoints, all on the loop of the server; what blocks is done by the writer's thread."""

    def __init__(
        self, writer: _Writer, *, largest: int, timeout: float, clock: Callable[[], datetime]
    ) -> None:
        from starlette.requests import ClientDisconnect
        from starlette.responses import Response

        self._writer = writer
        self._counts = writer.counts
        self._largest = largest
        self._timeout = timeout
        self._clock = clock
        self._held = 0
        self._gone = ClientDisconnect
        self._response = Response

    def endpoint(self, path: str, source: WebhookSource) -> Callable[[Request], Any]:
        """Return what answers at the path of a source. Any: what awaits a response."""

        async def receive(request: Request) -> Response:
            status, outcome = await self._answered(request, path, source)
            self._counts.add("deliveries", path, outcome)
            headers: dict[str, str] = {}
            if status == 503:
                headers["Retry-After"] = _RETRY_AFTER
            if status == 401 and source.signatures.name == "basic":
                headers["WWW-Authenticate"] = 'Basic realm="imcm"'
            if status in {408, 413}:  # what still comes of the body is not waited for
                headers["Connection"] = "close"
            words = f'{{"result":"{outcome}"}}\n'
            return self._response(words, status, headers, media_type="application/json")

        return receive

    async def _answered(
        self, request: Request, path: str, source: WebhookSource
    ) -> tuple[int, str]:
        try:
            return await self._received(request, path, source)
        except Exception as error:  # its words may quote what was received
            _LOG.error("%s: %s while it was received", path, type(error).__name__)
            return 500, "error"

    async def _received(
        self, request: Request, path: str, source: WebhookSource
    ) -> tuple[int, str]:
        headers = _headers(request.scope["headers"])
        now = checked_time("clock", self._clock())
        scheme = source.signatures
        if not scheme.needs_body:  # nobody without the token makes us take a body
            why = scheme.refusal(headers, b"", now=now)
            if why is not None:
                return self._refused(path, why)
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            return 415, "compressed"
        held = 0

        def holds(more: int) -> None:
            nonlocal held
            held += more
            self._held += more
            if self._held > _MOST_HELD:
                raise _TooMuch

        try:
            async with asyncio.timeout(self._timeout):
                body = await self._body(request, headers, source.largest or self._largest, holds)
            if scheme.needs_body:
                why = scheme.refusal(headers, body, now=now)
                if why is not None:
                    return self._refused(path, why)
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[Outcome] = loop.create_future()
            kept = {name: headers[name] for name in KEPT_HEADERS & headers.keys()}
            self._writer.take(_Delivery(path, source, kept, body, now, answer, loop))
            outcome = await answer
        except _TooLarge:
            return 413, "too_large"
        except _TooMuch:
            return 503, "busy"
        except TimeoutError:
            return 408, "too_slow"
        except self._gone:
            return 400, "cut_off"
        finally:
            self._held -= held
        return {"failed": 503, "unreadable": 400}.get(outcome, 200), outcome

    def _refused(self, path: str, why: str) -> tuple[int, str]:
        _LOG.warning("%s: a delivery is refused: %s", path, why)
        return 401, "refused"

    async def _body(
        self,
        request: Request,
        headers: Mapping[str, str],
        largest: int,
        holds: Callable[[int], None],
    ) -> bytes:
        told = headers.get("content-length", "")
        if told.isascii() and told.isdigit() and (len(told) > 18 or int(told) > largest):
            raise _TooLarge
        parts: list[bytes] = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > largest:
                raise _TooLarge
            holds(len(part))
            parts.append(part)
        return b"".join(parts)

    async def health(self, _: Request) -> Response:
        """Answer whether the ledger can be read, and whether the last attempt to record went."""
        try:
            await asyncio.wait_for(asyncio.to_thread(self._writer.look), 5)
        except Exception as error:
            _LOG.warning("the ledger does not answer: %s", type(error).__name__)
            words, status = "the ledger does not answer", 503
        else:
            failed = self._writer.failed
            words, status = ("recording failed", 503) if failed else ("ok", 200)
        return self._response(f'{{"status":"{words}"}}\n', status, media_type="application/json")

    async def metrics(self, _: Request) -> Response:
        """Answer the counts, in the text format of Prometheus."""
        lines = (*self._counts.lines(), *self._writer.gauges())
        text = "\n".join(lines) + "\n"
        return self._response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by their names in small letters; one that came again is joined."""
    told: dict[str, str] = {}
    for name, text in raw:
        small, value = name.decode("latin-1").lower(), text.decode("latin-1")
        told[small] = f"{told[small]}, {value}" if small in told else value
    return told


# --- what is counted ------------------------------------------------------------------------------

_COUNTED: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "deliveries": ("Deliveries, by what became of them.", ("source", "result")),
        "events": ("Events recorded.", ("source",)),
        "dropped": ("Parts of deliveries that did not fit.", ("source",)),
        "left": ("Facts told that could not be changed any more.", ("source",)),
        "commits": ("Times that what had gathered was recorded.", ()),
    }
)


class _Counts:
    """Counters, by name and labels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, name: str, *labels: str, by: int = 1) -> None:
        key = (name, *labels)
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + by

    def lines(self) -> Iterator[str]:
        """Yield the lines that Prometheus reads. Labels are paths and words of ours."""
        with self._lock:
            counts = sorted(self._counts.items())
        for name, (told, labels) in _COUNTED.items():
            full = f"imcm_receiver_{name}_total"
            yield f"# HELP {full} {told}"
            yield f"# TYPE {full} counter"
            for key, count in counts:
                if key[0] == name:
                    pairs = ",".join(f'{a}="{b}"' for a, b in zip(labels, key[1:], strict=True))
                    yield f"{full}{{{pairs}}} {count}" if pairs else f"{full} {count}"


# --- what is recorded -----------------------------------------------------------------------------


class _ToRecord(NamedTuple):
    """A delivery with what was read of it."""

    delivery: _Delivery
    statements: tuple[Statement, ...]


class _Writer:
    """
    The one thread that records what was received, together where several have gathered.

    It is there while there is something to record, so a receiver needs to be neither started nor
    stopped, whatever app it is mounted in; a process that ends waits for it.
    """

    def __init__(
        self,
        ledger: Ledger,
        letters: DeadLetters,
        most_waiting: int,
        clock: Callable[[], datetime],
    ) -> None:
        self.counts = _Counts()
        self._failed_at: float | None = None
        self._ledger = ledger
        self._letters = letters
        self._most_waiting = most_waiting
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[_Delivery] = deque()
        self._running = False
        self._cleaned: datetime | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="imcm-receiver")

    @property
    def failed(self) -> bool:
        """
        Whether the last attempt to record failed, a moment ago.

        Only for a moment: who is sent nothing while this says so could never show that it is over.
        """
        at = self._failed_at
        return at is not None and time.monotonic() - at < _RECENT

    def look(self) -> None:
        """Ask the ledger for something."""
        self._ledger.begin_after("now")

    def gauges(self) -> Iterator[str]:
        """Yield what stands now, as Prometheus reads it."""
        yield "# HELP imcm_receiver_waiting Deliveries that wait to be recorded."
        yield "# TYPE imcm_receiver_waiting gauge"
        yield f"imcm_receiver_waiting {len(self._waiting)}"
        yield "# HELP imcm_receiver_failed Whether the last attempt to record failed."
        yield "# TYPE imcm_receiver_failed gauge"
        yield f"imcm_receiver_failed {int(self.failed)}"

    def take(self, delivery: _Delivery) -> None:
        """
        Take a delivery to be recorded.

        Raises:
            _TooMuch: Too many wait, or the process ends.
        """
        with self._lock:
            if len(self._waiting) >= self._most_waiting:
                raise _TooMuch
            self._waiting.append(delivery)
            if self._running:
                return
            try:
                self._pool.submit(self._record_all)
            except RuntimeError:  # the interpreter is about to end
                self._waiting.remove(delivery)
                raise _TooMuch from None
            self._running = True

    def _record_all(self) -> None:
        while True:
            with self._lock:
                count = min(len(self._waiting), _AT_ONCE)
                batch = [self._waiting.popleft() for _ in range(count)]
                if not batch:
                    self._running = False
                    return
            outcomes: Sequence[Outcome]
            try:
                outcomes = self._recorded(batch)
            except BaseException as error:  # nobody waits for ever
                _LOG.error("recording failed: %s", type(error).__name__)
                outcomes = [_FAILED for _ in batch]
            self._failed_at = time.monotonic() if "failed" in outcomes else None
            _answer(batch, outcomes)
            self._clean()

    def _recorded(self, batch: Sequence[_Delivery]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        letters: list[tuple[_Delivery, str]] = []
        together: dict[str, list[_ToRecord]] = {}
        for delivery in batch:
            source = delivery.source
            try:
                read = _read(delivery.came)
            except ImcmError as error:
                why = str(error)
            except Exception as error:
                why = f"{type(error).__name__} while it was read"
            else:
                kept = self._note_drops(delivery, read, letters)
                outcomes[id(delivery)] = "dead_letter" if kept else "nothing"
                if read.statements:
                    mine = _ToRecord(delivery, _with_receipt(delivery.came, read.statements))
                    together.setdefault(delivery.path, []).append(mine)
                continue
            if source.signatures.verifies:
                letters.append((delivery, why))
                outcomes[id(delivery)] = "dead_letter"
            else:
                _LOG.warning("%s: what is not verified can't be read", delivery.path)
                outcomes[id(delivery)] = "unreadable"
        for some in together.values():
            self._record(some, outcomes, letters)
        self._bury(letters, outcomes)
        return [outcomes[id(delivery)] for delivery in batch]

    def _note_drops(
        self, delivery: _Delivery, read: Read, letters: list[tuple[_Delivery, str]]
    ) -> bool:
        """Count what did not fit; say whether the delivery is kept for it."""
        if not read.dropped:
            return False
        self.counts.add("dropped", delivery.path, by=len(read.dropped))
        for drop in read.dropped[:5]:
            what, why = plain(drop.what or "it"), plain(drop.why)[:200]
            _LOG.info("%s: %s is left out: %s", delivery.path, what, why)
        if not (delivery.source.keep_dropped and delivery.source.signatures.verifies):
            return False
        drops = "; ".join(f"{drop.what}: {drop.why}" for drop in read.dropped[:20])
        before = "recorded, but for" if read.statements else "nothing was recorded of"
        letters.append((delivery, f"{before} {drops}"))
        return True

    def _record(
        self,
        some: Sequence[_ToRecord],
        outcomes: dict[int, Outcome],
        letters: list[tuple[_Delivery, str]],
    ) -> bool:
        """
        Record what gathered of one source at once; where that fails, each by itself.

        Returns:
            Whether the ledger could do it.
        """
        path, alone = some[0].delivery.path, len(some) == 1
        works = True
        try:
            taken, told = self._commit(some)
        except (StoreError, ConflictError) as error:
            _LOG.warning("%s can't be recorded now: %s", path, type(error).__name__)
            outcomes.update((id(one.delivery), "failed") for one in some)
            if alone:
                return False
            works = False
        except Exception as error:
            if alone:
                self._refused(some[0], _why(error), outcomes, letters)
        else:
            self.counts.add("events", path, by=taken.events)
            self.counts.add("left", path, by=len(taken.left))
            for one in some:
                is_new = not told.isdisjoint(each.sha256 for each in one.statements)
                outcomes[id(one.delivery)] = "recorded" if is_new else "known"
            if not taken.refused:
                return True
            if alone:
                why = "; ".join(f"{each.stream}: {each.why}" for each in taken.refused[:20])
                self._refused(some[0], why, outcomes, letters)
        if not alone:  # what stands is not recorded again
            tries = _TRIES
            for one in some:
                before = outcomes[id(one.delivery)]
                works = self._record([one], outcomes, letters)
                if before == "recorded" and outcomes[id(one.delivery)] == "known":
                    outcomes[id(one.delivery)] = before  # it was, a moment ago, with the others
                tries -= not works
                if not tries:  # it is the ledger, and not one of them
                    rest = some[some.index(one) :]
                    outcomes.update((id(each.delivery), "failed") for each in rest)
                    break
        return works

    def _commit(self, some: Sequence[_ToRecord]) -> tuple[Taken, set[str | None]]:
        """Record what gathered; return the hashes of the bodies that said something new besides."""
        statements = [each for one in some for each in one.statements]
        told: set[str | None] = set()
        taken = record_statements(
            self._ledger,
            statements,
            source=some[0].delivery.source.name,
            news=lambda said: told.add(said.sha256),
        )
        self.counts.add("commits")
        return taken, told

    def _refused(
        self,
        one: _ToRecord,
        why: str,
        outcomes: dict[int, Outcome],
        letters: list[tuple[_Delivery, str]],
    ) -> None:
        if one.delivery.source.signatures.verifies:
            letters.append((one.delivery, why))
            outcomes[id(one.delivery)] = "dead_letter"
        else:
            outcomes[id(one.delivery)] = "unreadable"

    def _bury(self, letters: Sequence[tuple[_Delivery, str]], outcomes: dict[int, Outcome]) -> None:
        """Put what could not be read where it is kept; where that fails, nobody is told it is."""
        if not letters:
            return
        try:
            self._letters.put([_letter(delivery, why) for delivery, why in letters])
        except ImcmError as error:
            _LOG.error("dead letters can't be kept: %s", type(error).__name__)
            outcomes.update((id(delivery), "failed") for delivery, _ in letters)
            return
        for delivery, _ in letters:
            _LOG.warning("%s: a delivery is kept as a dead letter", delivery.path)

    def _clean(self) -> None:
        """Once a day, end the dead letters that are older than they are kept."""
        with contextlib.suppress(Exception):  # it is tried again a day later
            now = checked_time("clock", self._clock()).astimezone(UTC)
            if self._cleaned is None or now - self._cleaned >= timedelta(days=1):
                self._cleaned = now
                ended = self._letters.end_old(now)
                if ended:
                    _LOG.info("%s dead letters were kept long enough", ended)


def _answer(batch: Sequence[_Delivery], outcomes: Sequence[Outcome]) -> None:
    """Tell those who wait, each on its own loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Outcome], Outcome]]] = {}
    for delivery, outcome in zip(batch, outcomes, strict=True):
        by_loop.setdefault(delivery.loop, []).append((delivery.answer, outcome))
    for loop, answers in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
            loop.call_soon_threadsafe(_settle, answers)


def _settle(answers: Iterable[tuple[asyncio.Future[Outcome], Outcome]]) -> None:
    for future, outcome in answers:
        if not future.done():
            future.set_result(outcome)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, ImcmError) else f"{type(error).__name__} on recording"


def _letter(delivery: _Delivery, why: str) -> DeadLetter:
    return DeadLetter(
        received_at=delivery.received_at,
        source=delivery.source.name,
        route=delivery.path,
        reason=why[:2_000],
        headers=delivery.headers,
        body=delivery.body,
    )


_FORMS: Final[Mapping[str, bytes]] = MappingProxyType({"github": b"payload"})
"""Formats that their tool also sends as a form, and the field of it that holds the JSON."""


def _field_of(body: bytes, name: bytes) -> bytes:
    """Return what a field of a form holds; the body as it is where it is no such form."""
    for pair in body.split(b"&"):
        field, equals, value = pair.partition(b"=")
        if equals and unquote_to_bytes(field) == name:
            return unquote_to_bytes(value.replace(b"+", b" "))
    return body


def _read(came: _Came) -> Read:
    source = came.source
    form = _FORMS.get(source.format.name)
    sent = came.headers.get("content-type", "").partition(";")[0].strip().casefold()
    body = came.body
    if form is not None and sent == "application/x-www-form-urlencoded":
        body = _field_of(body, form)
    payload = json_of(body)
    event = came.headers.get("x-github-event")
    if source.format.name == "github" and event is not None:
        payload = {"event": event, "payload": payload, "delivery": _delivery_id(came)}
    return source.format.read(payload, source.options)


def _delivery_id(came: _Came) -> str | None:
    for name in _DELIVERY_IN.get(came.source.format.name, ()):
        with contextlib.suppress(InvalidValue):
            return checked_id(name, came.headers.get(name))
    return None


def _with_receipt(came: _Came, statements: Sequence[Statement]) -> tuple[Statement, ...]:
    digest, id_ = sha256_of(came.body), _delivery_id(came)
    return tuple(
        each.received(at=came.received_at, sha256=digest, delivery=id_) for each in statements
    )


# --- dead letters read again ----------------------------------------------------------------------


class ReadAgain(NamedTuple):
    """
    What became of dead letters that were read again.

    Attributes:
        read: Ids of those that could be read now, all of them; they are in the file no more.
        events: Events recorded of them.
        left: Id and reason of each that stays.
    """

    read: tuple[str, ...]
    events: int
    left: tuple[tuple[str, str], ...]


def read_again(
    ledger: Ledger,
    letters: DeadLetters,
    sources: Mapping[str, WebhookSource],
    *,
    dry_run: bool = False,
) -> ReadAgain:
    """
    Read dead letters once more, by what is known now: other options, another version.

    What can be read is recorded as if it had been when it came, and taken out of the file once it
    is. Each is tried by itself, in the order in which they came.

    Args:
        sources: By their paths, as `receiver` takes them. A letter whose path is not among them, or
            is another source's now, stays.
        dry_run: Say what would become of them, and change neither ledger nor file.

    Raises:
        InvalidValue: An argument is not as described.
        StoreError, ConflictError: The ledger or the file failed; what was done before stands.
    """
    for name, value, kind in (("ledger", ledger, Ledger), ("letters", letters, DeadLetters)):
        if not isinstance(value, kind):
            raise InvalidValue(name, value, f"give a {kind.__name__}")
    by_path = _checked_sources(sources)
    checked_flag("dry_run", dry_run)
    read: list[str] = []
    left: list[tuple[str, str]] = []
    events = 0
    for letter in list(letters):
        try:
            taken, why = _taken_again(ledger, letter, by_path.get(letter.route), dry_run=dry_run)
        except (StoreError, ConflictError):
            raise
        except Exception as error:
            taken, why = 0, _why(error)
        events += taken
        if why:
            left.append((letter.id, why))
            continue
        read.append(letter.id)
        if not dry_run:
            with contextlib.suppress(UnknownIdError):  # somebody else took it out meanwhile
                letters.take_out(letter.id)
    return ReadAgain(tuple(read), events, tuple(left))


def _taken_again(
    ledger: Ledger, letter: DeadLetter, source: WebhookSource | None, *, dry_run: bool
) -> tuple[int, str]:
    """Return how many events a letter became, and why it stays; "" where it need not."""
    if source is None or source.name != letter.source:
        return 0, f"no source of the path {letter.route!r} is called {letter.source!r}"
    came = _Came(source, letter.headers, letter.body, letter.received_at)
    told = _read(came)
    statements = _with_receipt(came, told.statements)
    taken = record_statements(ledger, statements, source=source.name, dry_run=dry_run)
    whys = [f"{each.stream}: {each.why}" for each in taken.refused]
    whys += [f"{drop.what}: {drop.why}" for drop in told.dropped]
    return taken.events, "; ".join(whys[:20])
