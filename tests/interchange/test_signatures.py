"""
Signatures: each scheme signed as its sender signs, rotation, replays, and secrets shown nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm import InvalidValue, SignatureScheme, signatures
from imcm.interchange.formats import FORMATS
from imcm.interchange.signatures import SCHEME_OF_FORMAT, SCHEMES

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
SECRET, OLD, OTHER = "the-secret-of-today", "the-secret-before", "somebody-elses-secret"
BODY = '{"title": "Kasse läuft nicht"}'.encode()
SIGNED = ("pagerduty", "github", "jira", "firehydrant", "launchdarkly", "terraform", "signalfx",
          "grafana", "rootly", "standard-webhooks")  # fmt: skip
TIMED = ("rootly", "standard-webhooks", "grafana")


def whsec(secret: str) -> str:
    return "whsec_" + base64.b64encode(secret.encode()).decode()


def of(scheme: str, *secrets: str) -> SignatureScheme:
    more = {
        "token": {"header": "X-Token"},
        "basic": {"username": "imcm"},
        "grafana": {"timestamp_header": "X-Grafana-Time"},
    }.get(scheme, {})
    given_ = [whsec(each) if scheme == "standard-webhooks" else each for each in secrets]
    return signatures(scheme, given_, **more)


def sent(scheme: str, secret: str, body: bytes = BODY, at: datetime = NOW) -> dict[str, str]:
    """Return what a sender sends along, told from its own documentation and not from the code."""
    stamp = str(int(at.timestamp()))
    key = secret.encode()
    sha256 = hmac.new(key, body, hashlib.sha256)
    rootly = hmac.new(key, stamp.encode() + body, hashlib.sha256).hexdigest()
    grafana = hmac.new(key, stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    standard = hmac.new(key, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "pagerduty": {"X-PagerDuty-Signature": f"v1={sha256.hexdigest()}"},
        "github": {"X-Hub-Signature-256": f"sha256={sha256.hexdigest()}"},
        "jira": {"X-Hub-Signature": f"sha256={sha256.hexdigest()}"},
        "firehydrant": {"Fh-Signature": sha256.hexdigest()},
        "launchdarkly": {"X-LD-Signature": sha256.hexdigest()},
        "terraform": {
            "X-TFE-Notification-Signature": hmac.new(key, body, hashlib.sha512).hexdigest()
        },
        "signalfx": {"X-SFX-Signature": base64.b64encode(sha256.digest()).decode()},
        "grafana": {"X-Grafana-Alerting-Signature": grafana, "X-Grafana-Time": stamp},
        "rootly": {"X-Rootly-Signature": f"t={stamp},v1={rootly}"},
        "standard-webhooks": {
            "webhook-id": "msg_1",
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(standard).decode()}",
        },
        "gitlab": {"X-Gitlab-Token": secret},
        "bearer": {"Authorization": f"Bearer {secret}"},
        "token": {"X-Token": secret},
        "basic": {"Authorization": "Basic " + base64.b64encode(f"imcm:{secret}".encode()).decode()},
    }[scheme]


ALL = [name for name in SCHEMES if name != "none"]


@pytest.mark.parametrize("scheme", ALL)
def test_what_its_sender_signs_is_theirs_and_nothing_else_is(scheme: str) -> None:
    """With each of the secrets that count; not with another, not without, not of another body."""
    checked = of(scheme, SECRET, OLD)
    for secret in (SECRET, OLD):
        assert checked.refusal(sent(scheme, secret), BODY, now=NOW) is None
    for headers in (sent(scheme, OTHER), {}, dict.fromkeys(sent(scheme, SECRET), "")):
        assert checked.refusal(headers, BODY, now=NOW)
    assert bool(checked.refusal(sent(scheme, SECRET), BODY + b" ", now=NOW)) is checked.needs_body
    assert of(scheme, SECRET).refusal(sent(scheme, OLD), BODY, now=NOW)  # the old one has ended


@pytest.mark.parametrize("scheme", TIMED)
def test_what_is_sent_again_later_is_refused(scheme: str) -> None:
    """Five minutes ago or ahead are taken, a second more is not; who can't sign hears less."""
    checked = of(scheme, SECRET)
    for minutes in (-5, 5):
        at = NOW + timedelta(minutes=minutes)
        assert checked.refusal(sent(scheme, SECRET, at=at), BODY, now=NOW) is None
        beyond = at + timedelta(seconds=minutes / 5)
        why = checked.refusal(sent(scheme, SECRET, at=beyond), BODY, now=NOW)
        assert why is not None
        assert "it was signed 301 s" in why
        other = checked.refusal(sent(scheme, OTHER, at=beyond), BODY, now=NOW)
        assert other is not None
        assert "ago" not in other
    shifted = sent(scheme, SECRET, at=NOW - timedelta(hours=1))
    now = str(int(NOW.timestamp()))
    then = str(int((NOW - timedelta(hours=1)).timestamp()))
    moved = {name: text.replace(then, now) for name, text in shifted.items()}
    assert "no signature" in (checked.refusal(moved, BODY, now=NOW) or "")


def test_a_tolerance_of_ones_own() -> None:
    """Tighter or wider than five minutes."""
    headers = sent("rootly", SECRET, at=NOW - timedelta(minutes=1))
    tight = signatures("rootly", [SECRET], tolerance=timedelta(seconds=30))
    assert tight.refusal(headers, BODY, now=NOW)
    assert tight.refusal(headers, BODY, now=NOW - timedelta(seconds=50)) is None


def test_several_signatures_of_one_delivery() -> None:
    """Some sign with each of their secrets: one that counts is enough, of the first twenty."""
    for scheme, between, name in (
        ("pagerduty", ",", "X-PagerDuty-Signature"),
        ("pagerduty", ", ", "X-PagerDuty-Signature"),
        ("standard-webhooks", " ", "webhook-signature"),
    ):
        mine, other = sent(scheme, SECRET), sent(scheme, OTHER)
        both = {**mine, name: between.join((other[name], mine[name]))}
        assert of(scheme, SECRET).refusal(both, BODY, now=NOW) is None
        many = {**mine, name: between.join([other[name]] * 50 + [mine[name]])}
        assert of(scheme, SECRET).refusal(many, BODY, now=NOW)


def test_known_signatures() -> None:
    """The example that GitHub's documentation gives."""
    secret, body = "It's a Secret to Everybody", b"Hello, World!"
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    checked = signatures("github", [secret])
    assert checked.refusal({"X-Hub-Signature-256": signature}, body, now=NOW) is None
    upper = "sha256=" + signature[7:].upper()
    assert checked.refusal({"x-hub-signature-256": upper}, body, now=NOW) is None


def test_grafana_without_a_time() -> None:
    """Where no header for the time is set, the body alone is signed."""
    made = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    checked = signatures("grafana", [SECRET])
    assert checked.refusal({"X-Grafana-Alerting-Signature": made}, BODY, now=NOW) is None
    assert of("grafana", SECRET).refusal({"X-Grafana-Alerting-Signature": made}, BODY, now=NOW)


@pytest.mark.parametrize("scheme", ALL)
@given(texts=st.lists(st.text(max_size=80), min_size=3, max_size=3), body=st.binary(max_size=40))
def test_no_nonsense_is_theirs_and_none_fails(scheme: str, texts: list[str], body: bytes) -> None:
    """Whatever stands in the headers, the answer is that it is not theirs."""
    headers = dict(zip((*sent(scheme, SECRET), "a", "b"), texts, strict=False))
    assert of(scheme, SECRET).refusal(headers, body, now=NOW)


@pytest.mark.parametrize("scheme", ALL)
def test_a_secret_is_shown_nowhere(scheme: str) -> None:
    """Not by repr, not in a refusal, not by pickling."""
    checked = of(scheme, SECRET, OLD)
    shown: list[object] = [repr(checked), str(checked), checked.refusal({}, BODY, now=NOW)]
    shown += [checked.refusal(sent(scheme, OTHER), BODY, now=NOW)]
    for secret in (SECRET, OLD, OTHER, whsec(SECRET)):
        assert secret not in " ".join(map(str, shown))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(checked)


@pytest.mark.parametrize(
    ("scheme", "secrets", "more", "said"),
    [
        ("gihub", [SECRET], {}, "one of pagerduty, github"),
        ("github", [], {}, "at least one"),
        ("github", SECRET, {}, "a list of texts"),
        (
            "github",
            [SECRET, "tiny"],
            {},
            "secret 2: '4 characters' is not allowed; too short: make one of at least 8",
        ),
        ("github", [SECRET + "\n"], {}, "blanks around it"),
        ("github", [7], {}, "secret 1: 'int'"),
        ("github", [SECRET], {"tolerance": timedelta(0)}, "tolerance"),
        ("github", [SECRET], {"username": "x"}, "unless the scheme is"),
        ("github", [SECRET], {"timestamp_header": "x"}, "grafana"),
        ("token", [SECRET], {}, "X-Token"),
        ("token", [SECRET], {"header": "X Token"}, "the name of a header"),
        ("basic", [SECRET], {}, "username"),
        ("basic", [SECRET], {"username": "a:b"}, "without"),
        ("none", [SECRET], {}, "none for the scheme"),
        ("standard-webhooks", ["whsec_" + SECRET + "!"], {}, "whsec_ and Base64"),
    ],
)
def test_what_can_not_be_a_scheme(
    scheme: str, secrets: list[str], more: Mapping[str, object], said: str
) -> None:
    """Each is refused by name, and no secret stands in the message."""
    with pytest.raises(InvalidValue) as refused:
        signatures(scheme, secrets, **more)  # type: ignore[arg-type]
    assert said in str(refused.value)
    assert SECRET not in f"{refused.value} {refused.value.__dict__}"


def test_formats_have_schemes_that_there_are() -> None:
    """Every format with a scheme of its own is one, and the scheme too."""
    assert set(SCHEME_OF_FORMAT) <= set(FORMATS)
    assert set(SCHEME_OF_FORMAT.values()) <= set(SCHEMES)
    assert signatures("none").refusal({}, BODY, now=NOW) is None
    assert not signatures("none").verifies
