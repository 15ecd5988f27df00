"""
Signing checkpoints with an Ed25519 key.

Checking needs only `imcm.verifier`; making a key and signing with one in a file need the extra
`sign` (the package `cryptography`). A key in a device or a service needs neither: give `Signer`
a function.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from imcm import verifier
from imcm.domain.vocabulary import checked_function, checked_words
from imcm.errors import InvalidValue, MissingExtraError

__all__ = ["Signer", "key_of", "new_key"]


HIDDEN: Final = "..."
"""Shown in errors in the place of what may be a secret."""


class Signer:
    """
    Signs checkpoints under one name.

    Args:
        vkey: The public key as text, `name+id+base64`; what those who check must be given.
        sign: Returns the Ed25519 signature of the bytes it is given, 64 bytes.

    Raises:
        InvalidValue: *vkey* is not a key.
    """

    __slots__ = ("_sign", "key")

    def __init__(self, vkey: str, sign: Callable[[bytes], bytes]) -> None:
        self.key = key_of(vkey)
        self._sign = checked_function("sign", sign)

    @classmethod
    def from_pem(
        cls, pem: str | bytes | Path, *, name: str, password: bytes | None = None
    ) -> Signer:
        """
        Return a signer for a private key in PEM (PKCS #8).

        Args:
            pem: The text itself, or the path of a file that holds it.
            name: The name to sign under, without blanks and plus signs.
            password: What the file is encrypted with, if it is.

        Raises:
            InvalidValue: It can't be read, or is not an Ed25519 key; or the name can't be one.
            MissingExtraError: The extra `sign` is not installed.
        """
        serialization, ed25519, unsupported = _cryptography()
        try:
            data = _read(pem) if isinstance(pem, Path) else pem
            data = data.encode() if isinstance(data, str) else data
        except (OSError, UnicodeEncodeError) as error:
            # What is at a wrong path may be a secret as well, so only the cause is told.
            why = getattr(error, "strerror", None) or "it is not text"
            raise InvalidValue("pem", HIDDEN, f"it can't be read: {why}") from None
        try:
            private = serialization.load_pem_private_key(data, password=password)
        except (ValueError, TypeError, unsupported):
            # The library's own words may quote the key.
            raise InvalidValue(
                "pem",
                HIDDEN,
                "give a private key in PEM (PKCS #8), and its password if it has one",
            ) from None
        if not isinstance(private, ed25519.Ed25519PrivateKey):
            raise InvalidValue("pem", HIDDEN, "only Ed25519 keys sign checkpoints")
        return cls(_vkey(name, private), private.sign)

    @property
    def vkey(self) -> str:
        """The public key as text."""
        return self.key.vkey

    def signature(self, message: bytes) -> verifier.Signature:
        """
        Return the signature of *message*, checked with the public key before it is given away.

        Raises:
            InvalidValue: What came back from *sign* is not this key's signature.
        """
        value = self._sign(message)
        try:
            verifier.check_signature(self.key.public, message, value)
        except verifier.Refused as refused:
            raise InvalidValue(
                "signer", self, f"its signature does not fit its public key: {refused}"
            ) from None
        return verifier.Signature(self.key.name, self.key.id, value)

    def __repr__(self) -> str:
        """Show who signs, and nothing that is secret."""
        return f"Signer({self.vkey!r})"


def new_key(name: str) -> tuple[str, str]:
    """
    Return a new private key in PEM, not encrypted, and its public key as text (vkey).

    Keep the first where only the signer can read it, and give the second to those who check.

    Args:
        name: The name to sign under; C2SP recommends the origin of the log, or a URL without
            its scheme.

    Raises:
        InvalidValue: The name can't be one.
        MissingExtraError: The extra `sign` is not installed.
    """
    serialization, ed25519, _ = _cryptography()
    private = ed25519.Ed25519PrivateKey.generate()
    vkey = _vkey(name, private)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode(), vkey


_LONGEST: Final = 100_000


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST)  # a device may have no end, and no key is as long


def key_of(vkey: str) -> verifier.Key:
    """
    Return the public key that a text stands for.

    Raises:
        InvalidValue: It is not a key.
    """
    try:
        return verifier.Key.parse(vkey)
    except verifier.Unreadable as error:
        raise InvalidValue("key", HIDDEN, f"give name+id+base64: {error}") from None


def _vkey(name: str, private: Any) -> str:
    key = verifier.Key(checked_words("name", name), private.public_key().public_bytes_raw())
    try:
        return key_of(key.vkey).vkey
    except (InvalidValue, UnicodeEncodeError):
        raise InvalidValue("name", name, "give a text without blanks and plus signs") from None


def _cryptography() -> tuple[Any, Any, Any]:
    """Return the package's parts, or say which extra brings it."""
    try:
        return (
            import_module("cryptography.hazmat.primitives.serialization"),
            import_module("cryptography.hazmat.primitives.asymmetric.ed25519"),
            import_module("cryptography.exceptions").UnsupportedAlgorithm,
        )
    except ImportError:
        raise MissingExtraError("signing with a key file", "sign") from None
