"""
What the verifier is compared with: trees and proofs as the RFC defines them, recursion and all;
signing by RFC 8032; and small logs.
"""

import base64
import hashlib
import json
import sqlite3
from typing import NamedTuple

ORIGIN = "imcm/0123456789abcdef0123456789abcdef"


def sha256(data):
    return hashlib.sha256(data).digest()


def node(left, right):
    return sha256(b"\x01" + left + right)


def k_of(n):
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(hashes):
    """MTH of RFC 9162, 2.1.1, over hashes of leaves."""
    if not hashes:
        return sha256(b"")
    if len(hashes) == 1:
        return hashes[0]
    k = k_of(len(hashes))
    return node(mth(hashes[:k]), mth(hashes[k:]))


def path(m, hashes):
    """PATH of RFC 9162, 2.1.3.1."""
    n = len(hashes)
    if n == 1:
        return []
    k = k_of(n)
    if m < k:
        return [*path(m, hashes[:k]), mth(hashes[k:])]
    return [*path(m - k, hashes[k:]), mth(hashes[:k])]


def subproof(m, hashes, b):
    """SUBPROOF of RFC 9162, 2.1.4.1."""
    n = len(hashes)
    if m == n:
        return [] if b else [mth(hashes)]
    k = k_of(n)
    if m <= k:
        return [*subproof(m, hashes[:k], b), mth(hashes[k:])]
    return [*subproof(m - k, hashes[k:], False), mth(hashes[:k])]


def proof(m, hashes):
    """PROOF of RFC 9162, 2.1.4.1."""
    return subproof(m, hashes, True)


def leaves(n):
    return [sha256(b"\x00leaf %d" % i) for i in range(n)]


# --- Ed25519 as in RFC 8032, in plain affine coordinates ------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    both = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + both, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - both, -1, P) % P,
    )


BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)


def times(s, point):
    found = (0, 1)
    while s:
        if s & 1:
            found = add(found, point)
        point = add(point, point)
        s >>= 1
    return found


def encoded(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def expanded(secret):
    h = hashlib.sha512(secret).digest()
    a = int.from_bytes(h[:32], "little") & ((1 << 254) - 8) | 1 << 254
    return a, h[32:]


def public(secret):
    return encoded(times(expanded(secret)[0], BASE))


def sign(secret, message):
    a, prefix = expanded(secret)
    key = encoded(times(a, BASE))
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    point = encoded(times(r, BASE))
    k = int.from_bytes(hashlib.sha512(point + key + message).digest(), "little") % L
    return point + ((r + k * a) % L).to_bytes(32, "little")


def vkey(name, secret):
    data = b"\x01" + public(secret)
    id = sha256(name.encode() + b"\n" + data)[:4].hex()
    return f"{name}+{id}+{b64(data)}"


def b64(data):
    return base64.b64encode(data).decode()


# --- logs -----------------------------------------------------------------------------------------


class Row(NamedTuple):
    position: int
    stream: str
    version: int
    type: str
    state: bytes


def state(event, words=None):
    members = {"format": 1, "record": "ab", "recorded_at": "2026-03-02T12:00:00.000000Z"}
    members["event"] = event
    if words is not None:
        members["words"] = words
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def opened(origin=ORIGIN):
    told = state({"ledger_id": origin, "format": 1})
    return Row(1, "ledger:self", 1, "LedgerOpened", told)


def log(n, *, streams=3):
    """A log of n rows: the opening, then incidents whose updates are interleaved."""
    rows = [opened()][:n]
    versions = {}
    for i in range(1, n):
        stream = f"incident:INC-{i * i % streams}"
        versions[stream] = versions.get(stream, 0) + 1
        words = {"salt": f"{i:032x}", "text": f"what happened, no. {i}"} if i % 2 else None
        told = state({"by": f"u{i}", "status": "detected"}, words)
        rows.append(Row(i + 1, stream, versions[stream], "UpdateAdded", told))
    return rows


def renumbered(rows):
    return [row._replace(position=place) for place, row in enumerate(rows, start=1)]


def write_sqlite(path, rows):
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE stored_events (originator_id TEXT, originator_version INTEGER, topic TEXT, "
        "state BLOB, PRIMARY KEY (originator_id, originator_version))"
    )
    connection.executemany(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state, rowid) "
        "VALUES (?, ?, ?, ?, ?)",
        [(*row[1:], row.position) for row in rows],
    )
    connection.commit()
    connection.close()
    return path


def line(row):
    return b'{"stream":%b,"version":%d,"type":%b,"state":%b}\n' % (
        json.dumps(row.stream, ensure_ascii=False).encode(),
        row.version,
        json.dumps(row.type).encode(),
        row.state,
    )


def write_jsonl(path, rows):
    path.write_bytes(b"".join(line(row) for row in rows))
    return path
