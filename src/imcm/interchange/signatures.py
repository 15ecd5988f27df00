"""
Who sent a delivery: the signatures and tokens by which tools say so.

    scheme = signatures("pagerduty", [secret, secret_before])
    why = scheme.refusal(headers, body, now=datetime.now(UTC))   # None: it is theirs

Each scheme is of the raw body, before anything reads it. Several secrets count at once, so that one
can be replaced without a gap: the new one is added here, then set at the sender, then the old one
is taken away. Signatures and tokens are compared in constant time, all of those that are given with
all of those that count. What is refused is told in words that hold nothing of either.

| scheme | header | what it holds |
|---|---|---|
| `pagerduty` | X-PagerDuty-Signature | `v1=` and HMAC-SHA256 in hexadecimal, several, `,` between |
| `github` | X-Hub-Signature-256 | `sha256=` and HMAC-SHA256 in hexadecimal |
| `jira` | X-Hub-Signature | `sha256=` and HMAC-SHA256 in hexadecimal |
| `firehydrant` | Fh-Signature | HMAC-SHA256 in hexadecimal |
| `launchdarkly` | X-LD-Signature | HMAC-SHA256 in hexadecimal |
| `terraform` | X-TFE-Notification-Signature | HMAC-SHA512 in hexadecimal |
| `signalfx` | X-SFX-Signature | HMAC-SHA256 in Base64 |
| `grafana` | X-Grafana-Alerting-Signature | HMAC-SHA256 in hexadecimal, with a time where *timestamp_header* names the header that has it |
| `rootly` | X-Rootly-Signature | `t=` and seconds, `v1=` and HMAC-SHA256 of these digits and the body |
| `standard-webhooks` | Webhook-Id, -Timestamp, -Signature | as standardwebhooks.com has it: incident.io, GitLab's signing token |
| `gitlab` | X-Gitlab-Token | the secret itself |
| `bearer` | Authorization | `Bearer` and the secret itself |
| `token` | the one that *header* names | the secret itself |
| `basic` | Authorization | *username* and the secret itself, as HTTP's basic authentication |
| `none` | | nothing: anybody may send |

A scheme with a time refuses what was signed more than *tolerance* ago, or as far ahead. The others
have none, so what somebody caught can be sent again; recorded again it says nothing new.
"""  # noqa: E501 (a table)

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import attrs

from imcm.domain.vocabulary import checked_text, checked_time, is_list, is_mapping
from imcm.errors import InvalidValue, MissingExtraError

if TYPE_CHECKING:
    from standardwebhooks.webhooks import Webhook

__all__ = ["SCHEMES", "SCHEME_OF_FORMAT", "SignatureScheme", "signatures"]

SHORTEST: Final = 8
"""Characters that a secret has at least."""

TOLERANCE: Final = timedelta(minutes=5)
"""How far the time of a signature may lie from now, unless something else is said."""

_MOST_GIVEN: Final = 20
"""Signatures of one delivery that are looked at; senders give one for each secret they hold."""

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_STANDARD_SECRET: Final = re.compile(r"(whsec_)?[A-Za-z0-9+/]{4,}={0,2}")
_SECONDS: Final = re.compile(r"[0-9]{1,11}")


class _Signed(NamedTuple):
    """How a body is signed: in which header, with what before each signature, by which hash."""

    header: str
    before: str = ""
    hash: str = "sha256"
    encoding: Literal["hex", "base64"] = "hex"


_SIGNED: Final[Mapping[str, _Signed]] = MappingProxyType(
    {
        "pagerduty": _Signed("x-pagerduty-signature", "v1="),
        "github": _Signed("x-hub-signature-256", "sha256="),
        "jira": _Signed("x-hub-signature", "sha256="),
        "firehydrant": _Signed("fh-signature"),
        "launchdarkly": _Signed("x-ld-signature"),
        "terraform": _Signed("x-tfe-notification-signature", hash="sha512"),
        "signalfx": _Signed("x-sfx-signature", encoding="base64"),
        "grafana": _Signed("x-grafana-alerting-signature"),
        "rootly": _Signed("x-rootly-signature", "v1="),
        "standard-webhooks": _Signed("webhook-signature", "v1,", encoding="base64"),
    }
)

_TOLD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gitlab": "x-gitlab-token",
        "bearer": "authorization",
        "token": "",
        "basic": "authorization",
    }
)
"""Schemes that send the secret itself, and the header it comes in."""

SCHEMES: Final = (*_SIGNED, *_TOLD, "none")
"""The names of all schemes."""

SCHEME_OF_FORMAT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "firehydrant": "firehydrant",
        "github": "github",
        "gitlab": "gitlab",
        "incident-io": "standard-webhooks",
        "jira": "jira",
        "jira-changes": "jira",
        "launchdarkly": "launchdarkly",
        "pagerduty": "pagerduty",
        "rootly": "rootly",
        "signalfx": "signalfx",
        "terraform": "terraform",
    }
)
"""The scheme of a format whose tool has one of its own; all others are taken for `bearer`."""


class _Secret:
    """A secret that shows itself to nobody by accident."""

    __slots__ = ("key", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.key = text.encode()

    def __repr__(self) -> str:
        return "<a secret>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret is not pickled")


@attrs.frozen(kw_only=True, eq=False)
class SignatureScheme:
    """
    How a sender shows that a delivery is its own. Made by `signatures`.

    Attributes:
        name: One of `SCHEMES`.
        header: The header that holds the signature or the token, in small letters.
        username: Of `basic`, the user's name.
        tolerance: Of schemes with a time: how far it may lie from now.
        timestamp_header: Of `grafana`, the header that has the time; None where none is sent.
    """

    name: str
    header: str
    username: str = ""
    tolerance: timedelta = TOLERANCE
    timestamp_header: str | None = None
    _secrets: tuple[_Secret, ...] = attrs.field(default=(), repr=False, alias="secrets")
    _standard: tuple[Webhook, ...] = attrs.field(default=(), repr=False, alias="standard")

    @property
    def verifies(self) -> bool:
        """Whether what passes is certain to come from somebody who has a secret."""
        return self.name != "none"

    @property
    def needs_body(self) -> bool:
        """Whether the body is signed; else what is refused is refused by the headers alone."""
        return self.name in _SIGNED

    def refusal(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> str | None:
        """
        Return why a delivery is refused, in words without any secret; None where it is theirs.

        Args:
            headers: Those of the request; of one that came several times, joined by ", ".
            body: The bytes of the body as they came.
            now: The time now, for schemes with a time.
        """
        if not is_mapping(headers):
            raise InvalidValue("headers", type(headers).__name__, "texts by the names of headers")
        if not isinstance(body, bytes):
            raise InvalidValue("body", type(body).__name__, "the bytes of the body")
        moment = checked_time("now", now)
        small = {str(name).lower(): str(text) for name, text in headers.items()}
        if self.name == "none":
            return None
        given = small.get(self.header)
        if given is None:
            return f"there is no header {self.header}"
        if self.name in _TOLD:
            return self._told(given)
        return self._signed(small, given, body, moment)

    def _told(self, given: str) -> str | None:
        expected = [secret.key for secret in self._secrets]
        if self.name == "basic":
            given = _after_word("basic", given)
            try:
                told = base64.b64decode(given, validate=True)
            except (binascii.Error, ValueError):
                return f"the header {self.header} is no basic authentication"
            expected = [self.username.encode() + b":" + key for key in expected]
        elif self.name == "bearer":
            told = _after_word("bearer", given).encode()
        else:
            told = given.strip().encode()
        # Of hashes, so that not even the length is told by how long it takes.
        found = _any_equal([hashlib.sha256(told).digest()], map(_hashed, expected))
        return None if found else f"the header {self.header} holds none of the secrets"

    def _signed(
        self, headers: Mapping[str, str], given: str, body: bytes, now: datetime
    ) -> str | None:
        how = _SIGNED[self.name]
        parts = given.split() if self.name == "standard-webhooks" else given.split(",")
        parts = [part.strip() for part in parts[: _MOST_GIVEN + 1]]
        stamp: str | None = None
        before = b""
        if self.name == "rootly":
            stamp = next((part[2:] for part in parts if part.startswith("t=")), "")
            before = stamp.encode()
        elif self.name == "standard-webhooks":
            stamp = headers.get("webhook-timestamp", "").strip()
        elif self.timestamp_header is not None:
            stamp = headers.get(self.timestamp_header, "").strip()
            before = stamp.encode() + b":"
        if stamp is not None and not _SECONDS.fullmatch(stamp):
            return "it has no time of its signature"
        theirs = [part[len(how.before) :] for part in parts if part.startswith(how.before)]
        if how.encoding == "hex":
            theirs = [text.lower() for text in theirs]
        if self.name == "standard-webhooks":
            ours = self._standard_signatures(headers.get("webhook-id", ""), stamp or "", body)
        else:
            ours = [self._signature(how, secret, before + body) for secret in self._secrets]
        if not _any_equal([text.encode() for text in theirs], ours):
            return f"no signature in the header {self.header} was made with one of the secrets"
        if stamp is not None:  # only now, so that nobody without a secret learns of the clock
            seconds = now.astimezone(UTC).timestamp() - int(stamp)
            if abs(seconds) > self.tolerance.total_seconds():
                where = "ago" if seconds > 0 else "ahead"
                return (
                    f"it was signed {abs(seconds):,.0f} s {where}, and at most "
                    f"{self.tolerance.total_seconds():,.0f} s are allowed: sent again, or a clock "
                    "that is wrong"
                )
        return None

    def _signature(self, how: _Signed, secret: _Secret, message: bytes) -> bytes:
        made = hmac.new(secret.key, message, how.hash)
        if how.encoding == "hex":
            return made.hexdigest().encode()
        return base64.b64encode(made.digest())

    def _standard_signatures(self, id_: str, stamp: str, body: bytes) -> list[bytes]:
        try:
            at, text = datetime.fromtimestamp(int(stamp), UTC), body.decode()
        except (ValueError, OverflowError, OSError):
            return []
        # Signed here and compared above: the package's own check asks the machine's clock.
        made = (each.sign(msg_id=id_, timestamp=at, data=text) for each in self._standard)
        return [signature.removeprefix("v1,").encode() for signature in made]


def _after_word(word: str, given: str) -> str:
    """Return what stands after the scheme of an Authorization header; "" where it is another."""
    said, _, rest = given.strip().partition(" ")
    return rest.strip() if said.lower() == word else ""


def _hashed(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _any_equal(theirs: Sequence[bytes], ours: Iterator[bytes] | Sequence[bytes]) -> bool:
    """Say whether one of the first is one of the second; each is compared with each."""
    found = False
    for mine in ours:
        for given in theirs[:_MOST_GIVEN]:
            found |= hmac.compare_digest(mine, given)
    return found


# --- made -----------------------------------------------------------------------------------------


def signatures(
    scheme: str,
    secrets: Sequence[str] = (),
    *,
    header: str | None = None,
    username: str | None = None,
    tolerance: timedelta = TOLERANCE,
    timestamp_header: str | None = None,
) -> SignatureScheme:
    """
    Return how the deliveries of a sender are told from those of others.

    Args:
        scheme: One of `SCHEMES`; the top of this module has what each looks at.
        secrets: Those that count, the newest first. Two or more while one is being replaced. Each
            has at least 8 characters; "none" takes none.
        header: Of "token", the header that holds it; of others, another one than theirs.
        username: Of "basic", the user's name.
        tolerance: Of schemes with a time ("rootly", "standard-webhooks", "grafana" with
            *timestamp_header*): how far it may lie from now, either way.
        timestamp_header: Of "grafana", the header that was set there for the time.

    Raises:
        InvalidValue: There is no such scheme, or an argument can't be. Secrets are never quoted.
        MissingExtraError: "standard-webhooks", and the extra `receiver` is not installed.
    """
    if checked_text("scheme", scheme) not in SCHEMES:
        raise InvalidValue("scheme", scheme, f"one of {', '.join(SCHEMES)}")
    held = _secrets(scheme, secrets)
    if not isinstance(tolerance, timedelta) or not timedelta(0) < tolerance <= timedelta(days=7):
        raise InvalidValue("tolerance", tolerance, "a timedelta of more than 0 s, at most 7 days")
    own = _SIGNED[scheme].header if scheme in _SIGNED else _TOLD.get(scheme, "")
    named = own if header is None else _header("header", header)
    if scheme == "token" and not named:
        raise InvalidValue("header", header, 'name it for the scheme "token": "X-Token"')
    if scheme == "none" and header is not None:
        raise InvalidValue("header", header, 'nothing: the scheme "none" looks at none')
    if scheme == "basic":
        if ":" in checked_text("username", "" if username is None else username) or not username:
            raise InvalidValue("username", username, 'a name without ":" for the scheme "basic"')
    elif username is not None:
        raise InvalidValue("username", username, 'nothing, unless the scheme is "basic"')
    if timestamp_header is not None:
        if scheme != "grafana":
            allowed = 'nothing, unless the scheme is "grafana"'
            raise InvalidValue("timestamp_header", timestamp_header, allowed)
        timestamp_header = _header("timestamp_header", timestamp_header)
    return SignatureScheme(
        name=scheme,
        header=named,
        username=username or "",
        tolerance=tolerance,
        timestamp_header=timestamp_header,
        secrets=held,
        standard=_standard(held) if scheme == "standard-webhooks" else (),
    )


def _header(name: str, value: object) -> str:
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise InvalidValue(name, value, 'the name of a header: "X-Token"')
    return value.lower()


def _secrets(scheme: str, secrets: object) -> tuple[_Secret, ...]:
    """Return secrets as they are held; what is wrong with one is told by its place alone."""
    if not is_list(secrets):
        raise InvalidValue("secrets", type(secrets).__name__, "a list of texts")
    held: list[_Secret] = []
    for place, each in enumerate(secrets, 1):
        name = f"secret {place}"
        if not isinstance(each, str):
            raise InvalidValue(name, type(each).__name__, "a text")
        if len(each) < SHORTEST:
            why = f"too short: make one of at least {SHORTEST}, and set it at the sender, too"
            raise InvalidValue(name, f"{len(each)} characters", why)
        if each != each.strip() or not each.isprintable():
            what = "blanks around it, or signs that can't be seen"
            raise InvalidValue(name, what, "it without them, as the sender has it")
        held.append(_Secret(each))
    if scheme == "none" and held:
        raise InvalidValue("secrets", f"{len(held)} of them", 'none for the scheme "none"')
    if scheme != "none" and not held:
        raise InvalidValue("secrets", (), f'at least one for the scheme "{scheme}"')
    if len(held) > _MOST_GIVEN:
        raise InvalidValue("secrets", f"{len(held)} of them", f"at most {_MOST_GIVEN}")
    return tuple(held)


def _standard(secrets: Sequence[_Secret]) -> tuple[Webhook, ...]:
    try:
        from standardwebhooks.webhooks import Webhook
    except ImportError:
        raise MissingExtraError("the signature of standard webhooks", "receiver") from None
    made: list[Webhook] = []
    for place, secret in enumerate(secrets, 1):
        allowed = "whsec_ and Base64, as the sender shows it"
        if not _STANDARD_SECRET.fullmatch(secret.text):
            raise InvalidValue(f"secret {place}", "something else", allowed)
        try:
            made.append(Webhook(secret.text))
        except Exception:  # its words may quote the secret
            raise InvalidValue(f"secret {place}", "something else", allowed) from None
    return tuple(made)
