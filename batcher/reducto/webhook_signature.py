"""Whether a webhook message is genuine, by Svix signatures or by tokens of our own. Pure.

The tokens are for messages that aren't signed. A genuine message means "ask about this job now" and
nothing more: what it says of the job's state is not even read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from batcher.reducto.api_types import METADATA_KEY

T = TypeVar("T")

TOLERANCE: Final = 300.0  # seconds by which a timestamp may be off: Svix's own figure
LONGEST_ID: Final = 256  # characters; no genuine id is longer
SIGNATURES_AT_MOST: Final = 8  # read from one header, so that nobody can make us compare a million
PREFIXES: Final = ("svix", "webhook")  # the same three headers exist under both names


class Notice(NamedTuple):
    """A genuine message. `message` is the same in every repetition of it."""

    message: str
    job_id: str


class Judge(Protocol):
    """There are two implementations: `Signed` for Svix, `Tokened` for direct webhooks."""

    def judge(self, headers: Mapping[str, str], body: bytes, *, now: float) -> Notice | None:
        """Return the job to ask about, or None if the message isn't genuine. Never raises."""


@dataclass(frozen=True, slots=True)
class Signed:
    """Judges messages signed with one of `secrets`.

    There may be several secrets, so that one can be replaced while both are in use.
    """

    secrets: Sequence[bytes] = field(repr=False)

    def judge(self, headers: Mapping[str, str], body: bytes, *, now: float) -> Notice | None:
        message_id, timestamp, signatures = _stamp(headers)
        if not message_id or len(message_id) > LONGEST_ID or not _is_recent(timestamp, now):
            return None
        expected = [sign(secret, message_id, timestamp, body) for secret in self.secrets]
        if not _any_same(_versioned(signatures), expected):
            return None
        message = _read(body, _SIGNED)
        return Notice(message_id, message.job_id) if message and _is_id(message.job_id) else None


@dataclass(frozen=True, slots=True)
class Tokened:
    """Judges messages whose metadata contain the token of their nonce.

    Only we and the service have seen that metadata.
    """

    key: bytes = field(repr=False)

    def judge(self, headers: Mapping[str, str], body: bytes, *, now: float) -> Notice | None:
        message = _read(body, _DIRECT)
        mark = message.metadata.get(METADATA_KEY) if message else None
        if message is None or not isinstance(mark, dict) or not _is_id(message.job_id):
            return None
        nonce = mark.get("nonce")
        claimed = mark.get("token")
        if not (isinstance(nonce, str) and isinstance(claimed, str)):
            return None
        genuine = _any_same([claimed], [token(self.key, nonce)])
        return Notice(f"{message.job_id} {nonce}", message.job_id) if genuine else None


def token(key: bytes, nonce: str) -> str:
    """Return the token in the metadata of the submission with that nonce.

    It can't be made without `key`.
    """
    return hmac.new(key, b"webhook " + _bytes(nonce), hashlib.sha256).hexdigest()


def sign(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the HMAC of id, timestamp and the unchanged bytes of the body, in base64."""
    digest = hmac.new(secret, _bytes(f"{message_id}.{timestamp}.") + body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def read_secrets(text: str) -> tuple[bytes, ...]:
    """Read one or several `whsec_…`, separated by spaces or commas.

    Raises ValueError if there is none, or if one is malformed.
    """
    words = text.replace(",", " ").split()
    if not words:
        raise ValueError("no secret")
    secrets = tuple(base64.b64decode(word.removeprefix("whsec_"), validate=True) for word in words)
    if not all(secrets):
        raise ValueError("an empty secret")
    return secrets


class _SignedMessage(msgspec.Struct):
    job_id: str


class _DirectMessage(msgspec.Struct):
    job_id: str
    metadata: dict[str, Any]


_SIGNED: Final = msgspec.json.Decoder(_SignedMessage)
_DIRECT: Final = msgspec.json.Decoder(_DirectMessage)


def _stamp(headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Return id, timestamp and signatures, all three under the same prefix, or empty strings."""
    for prefix in PREFIXES:
        message_id, timestamp, signatures = (headers.get(f"{prefix}-{part}", "") for part in _PARTS)
        if message_id:
            return message_id, timestamp, signatures
    return "", "", ""


_PARTS: Final = ("id", "timestamp", "signature")


def _is_recent(timestamp: str, now: float) -> bool:
    return (
        re.fullmatch(r"[0-9]{1,12}", timestamp) is not None
        and abs(int(timestamp) - now) <= TOLERANCE
    )


def _versioned(signatures: str) -> list[str]:
    parts = [
        part.partition(",")
        for part in signatures.split(" ", SIGNATURES_AT_MOST)[:SIGNATURES_AT_MOST]
    ]
    return [text for version, comma, text in parts if version == "v1" and comma]


def _any_same(given: Sequence[str], expected: Sequence[str]) -> bool:
    """Whether any of the signatures is an expected one.

    Every pair is compared, each in constant time, so that the duration doesn't reveal how close a
    guess was.
    """
    same = [hmac.compare_digest(_bytes(a), _bytes(b)) for a in given for b in expected]
    return True in same


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _read(body: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID
