"""URLs as names: what of one may be written down, and what makes two of them the same document.
Pure.

A presigned URL is a key to somebody's document for as long as it is good: its query never stands in
a ledger, a log, a journal or the name of a file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from batcher.common.names import extension_of

Pair = tuple[str, str]

_AZURE: Final = (
    "sig sv ss sr srt sp st se si sip spr ses sdd skoid sktid skt ske sks skv saoid suoid scid"
)
_TENCENT: Final = (
    "q-sign-algorithm q-ak q-sign-time q-key-time q-header-list q-url-param-list q-signature"
)
# How clouds sign, each way told by what nothing else has: a name of its own, or several that stand
# together. A `token`, a `sig` or an `expires` by itself may be all that tells one document from
# another. Left what must be there, right what goes with it.
_SIGNED: Final = (
    ("x-amz-signature", "x-amz-.*"),
    ("awsaccesskeyid signature expires", "awsaccesskeyid signature expires x-amz-security-token"),
    ("x-goog-signature", "x-goog-.*"),
    ("googleaccessid signature expires", "googleaccessid signature expires"),
    ("keyname signature expires", "keyname signature expires"),  # Google's Cloud CDN
    ("sig sv sr se", _AZURE),  # one blob, container or file …
    ("sig sv sr si", _AZURE),  # … by a policy that the account keeps
    ("sig sv ss srt se", _AZURE),  # a whole account
    ("key-pair-id signature expires", "key-pair-id signature expires hash-algorithm"),
    ("key-pair-id signature policy", "key-pair-id signature policy hash-algorithm"),
    ("ossaccesskeyid signature expires", "ossaccesskeyid signature expires security-token"),
    ("x-oss-signature", "x-oss-.*"),
    ("q-sign-algorithm q-ak q-signature", f"{_TENCENT} x-cos-security-token"),
)
_SCHEMES: Final = tuple(
    (frozenset(marks.split()), re.compile(parts.replace(" ", "|"))) for marks, parts in _SIGNED
)
# Akamai's is one parameter, which its value gives away.
_AKAMAI: Final = re.compile(
    r"(hdn(ts|ea|tl)|__token__)=(?=.*\bexp=\d)(?=.*\bhmac=[0-9a-f])", re.IGNORECASE
)
_PORTS: Final = {"http": 80, "https": 443}
# Behind an escape these stay what they are: `a%2Fb` is one name, `a/b` are two, and some stores
# take `+` for a space.
_KEPT: Final = re.compile("(%2F|%2B|%3B)", re.IGNORECASE)
# hex digits: of a million documents behind one address no two are likely to share them
_MARK: Final = 16


def is_url(text: str) -> bool:
    parts = split_url(text)
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


def strip_query(url: str) -> str:
    """The URL without credentials, query or fragment, in one way of writing it."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port and parts.port != _PORTS.get(parts.scheme) else ""
    path = "".join(map(_quoted, _KEPT.split(parts.path)))
    return f"{parts.scheme}://{host}{port}{path}"


def url_name(url: str, *, ignore: Collection[str] = ()) -> str:
    """What its document is called: bare, and where its query tells it from others with a mark in
    the query's place.
    """
    asked = _asked(url, ignore)
    return f"{strip_query(url)}#{_digest(url, asked)[:_MARK]}" if asked else strip_query(url)


def url_key(url: str, *, ignore: Collection[str] = ()) -> str:
    """What stands in for the hash of a document that nobody reads here: where it is, however it is
    signed today.

    `ignore` names parameters that tell no documents apart.
    """
    return f"url-{_digest(url, _asked(url, ignore))}.{extension_of(urlsplit(url).path)}"


def _asked(url: str, ignore: Collection[str]) -> list[Pair]:
    """The parameters that tell its document from others: in order of name, and those of one name in
    their own.
    """
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, errors="surrogateescape")
    signing = _signing(pairs)
    told = (pair for pair in pairs if pair[0] not in ignore and pair not in signing)
    return sorted(told, key=lambda pair: pair[0])


def _signing(pairs: Sequence[Pair]) -> set[Pair]:
    names = {name.lower() for name, _ in pairs}
    parts = [parts for marks, parts in _SCHEMES if marks <= names]
    return {
        (name, value)
        for name, value in pairs
        if any(part.fullmatch(name.lower()) for part in parts) or _AKAMAI.match(f"{name}={value}")
    }


def _digest(url: str, asked: Sequence[Pair]) -> str:
    query = f"?{urlencode(asked, errors='surrogateescape')}" if asked else ""
    return sha256(f"{strip_query(url)}{query}".encode()).hexdigest()


def _quoted(path: str) -> str:
    """Byte by byte what it was, in one way of writing it."""
    if _KEPT.fullmatch(path):
        return path.upper()
    return quote(unquote(path, errors="surrogateescape"), safe="/~+,;=@", errors="surrogateescape")


def split_url(text: str) -> SplitResult | None:
    """None for what is no address."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is none
    except ValueError:
        return None
    return parts
