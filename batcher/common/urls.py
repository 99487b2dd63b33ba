"""URLs as names: which part may be stored, and when two of them are the same document. Pure.

A presigned URL gives access to somebody's document while it is valid, so its query is never written
to a ledger, a log, a journal or a file name.
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
# The ways in which clouds sign URLs: left the parameters that must all be there, right those that
# are then removed. The left ones can't be mistaken: a `token`, a `sig` or an `expires` alone may be
# all that tells one document from another.
_SIGNED: Final = (
    ("x-amz-signature", "x-amz-.*"),
    ("awsaccesskeyid signature expires", "awsaccesskeyid signature expires x-amz-security-token"),
    ("x-goog-signature", "x-goog-.*"),
    ("googleaccessid signature expires", "googleaccessid signature expires"),
    ("keyname signature expires", "keyname signature expires"),  # Google's Cloud CDN
    ("sig sv sr se", _AZURE),  # a blob, container or file
    ("sig sv sr si", _AZURE),  # the same, by a stored access policy
    ("sig sv ss srt se", _AZURE),  # an account
    ("key-pair-id signature expires", "key-pair-id signature expires hash-algorithm"),
    ("key-pair-id signature policy", "key-pair-id signature policy hash-algorithm"),
    ("ossaccesskeyid signature expires", "ossaccesskeyid signature expires security-token"),
    ("x-oss-signature", "x-oss-.*"),
    ("q-sign-algorithm q-ak q-signature", f"{_TENCENT} x-cos-security-token"),
)
_SCHEMES: Final = tuple(
    (frozenset(marks.split()), re.compile(parts.replace(" ", "|"))) for marks, parts in _SIGNED
)
# Akamai signs with one parameter, recognised by its value.
_AKAMAI: Final = re.compile(
    r"(hdn(ts|ea|tl)|__token__)=(?=.*\bexp=\d)(?=.*\bhmac=[0-9a-f])", re.IGNORECASE
)
_PORTS: Final = {"http": 80, "https": 443}
# These stay escaped: `a%2Fb` is one name and `a/b` are two, and some stores read `+` as a space.
_KEPT: Final = re.compile("(%2F|%2B|%3B)", re.IGNORECASE)
# Hex digits; among a million documents at one address no two are likely to share them.
_MARK: Final = 16


def is_url(text: str) -> bool:
    """Tell whether the text is an http(s) URL with a host."""
    parts = split_url(text)
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


def strip_query(url: str) -> str:
    """Return the URL in a canonical form, without credentials, query and fragment."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port and parts.port != _PORTS.get(parts.scheme) else ""
    path = "".join(map(_quoted, _KEPT.split(parts.path)))
    return f"{parts.scheme}://{host}{port}{path}"


def url_name(url: str, *, ignore: Collection[str] = ()) -> str:
    """Return the name of the URL's document: without its query, but with a hash if that counts.

    `ignore` are parameters that don't distinguish documents; those of signatures never do.
    """
    asked = _asked(url, ignore)
    return f"{strip_query(url)}#{_digest(url, asked)[:_MARK]}" if asked else strip_query(url)


def url_key(url: str, *, ignore: Collection[str] = ()) -> str:
    """Return the content key of a document that isn't read here: its address without the signature.

    `ignore` are parameters that don't distinguish documents.
    """
    return f"url-{_digest(url, _asked(url, ignore))}.{extension_of(urlsplit(url).path)}"


def _asked(url: str, ignore: Collection[str]) -> list[Pair]:
    """Return the parameters that distinguish the document, sorted by name."""
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
    """Return the same bytes in a canonical form."""
    if _KEPT.fullmatch(path):
        return path.upper()
    return quote(unquote(path, errors="surrogateescape"), safe="/~+,;=@", errors="surrogateescape")


def split_url(text: str) -> SplitResult | None:
    """Return the parts of a URL, or None if it is none."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError if it is no port
    except ValueError:
        return None
    return parts
