"""URLs as names: what of one may be written down, and what makes two of them the same document. Pure.

A presigned URL is a key to somebody's document for as long as it is good: its query never stands in a ledger, a log,
a journal or the name of a file.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from batcher.core.document import extension_of

# Query parameters by which clouds sign: they change with each signature, and say nothing about the document.
_SIGNING: Final = re.compile(
    r"x-(amz|goog)-.*|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id|hmac"
    r"|s[iprtuv]|s[er]|sig|skoid|sktid|sks|skv|ske|skt|spr|token|access_token|auth",
    re.IGNORECASE,
)


def is_url(text: str) -> bool:
    parts = _split(text)
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


def bare(url: str) -> str:
    """The document's name: the URL without credentials, query or fragment."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{quote(unquote(parts.path), safe='/~+,;=@')}"


def url_key(url: str) -> str:
    """What stands in for the hash of a document that nobody reads here: where it is, however it is signed today."""
    asked = sorted(pair for pair in parse_qsl(urlsplit(url).query) if not _SIGNING.fullmatch(pair[0]))
    place = bare(url) + (f"?{urlencode(asked)}" if asked else "")
    return f"url-{sha256(place.encode()).hexdigest()}.{extension_of(urlsplit(url).path)}"


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is none
    except ValueError:
        return None
    return parts
