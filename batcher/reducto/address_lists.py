"""Several documents as the input of one job: what the list may hold, and when two are equal. Pure.

The items are addresses: of http(s), of uploads (reducto://) and of jobs (jobid://). Lists in a
different order are different.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any, Final

from batcher.common.urls import is_url, strip_query, url_key
from batcher.reducto.api_types import JOB, UPLOAD

Source = str | tuple[str, ...]  # what a submission names: one address, or several in order

# Endpoints for which the API allows several documents.
TAKERS: Final = frozenset({"parse", "extract", "split", "pipeline"})
MERGERS: Final = frozenset({"extract"})  # … and which may have results of earlier jobs among them
EXAMPLE: Final = '["https://…/a.pdf", "https://…/b.pdf"]'
_MANY: Final = re.compile(r"urls-[0-9a-f]{64}\.x(\d+)")
_ID: Final = re.compile(rf"({re.escape(UPLOAD)}|{re.escape(JOB)})[\w.~-]+")


def read_list(value: Any) -> tuple[str, ...] | None:
    """Return the addresses of a list, or of a list in JSON; None if `value` is no list.

    Raises ValueError, which gives the position if only one item is wrong.
    """
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f"a list that isn't JSON; write it as {EXAMPLE}") from None
    if not isinstance(value, list):
        return None
    if not value:
        raise ValueError("an empty list; name the documents in it, or leave the row out")
    for number, part in enumerate(value):
        if not isinstance(part, str) or not (is_url(part) or _ID.fullmatch(part)):
            raise ValueError(f"[{number}] is no address: of http(s), {UPLOAD}… or {JOB}…")
    return tuple(value)


def check_list(parts: Sequence[str], endpoints: Collection[str]) -> None:
    """Raises ValueError if one of these endpoints doesn't take such a list."""
    for endpoint in endpoints:
        if endpoint not in TAKERS:
            raise ValueError(
                f"several documents, and {endpoint} takes one; give each a row of its own"
            )
        jobs = [number for number, part in enumerate(parts) if part.startswith(JOB)]
        if jobs and endpoint not in MERGERS:
            raise ValueError(
                f"[{jobs[0]}] is a job, which {endpoint} doesn't take in a list; only extract does"
            )


def list_key(parts: Sequence[str], *, ignore: Collection[str] = ()) -> str:
    """Return a key that serves as the hash of the documents' bytes, which are unknown.

    It depends on the addresses and their order, but not on how they are signed today. Raises
    ValueError if an address occurs twice.
    """
    keys = [url_key(part, ignore=ignore) if is_url(part) else part for part in parts]
    if twice := [number for number, key in enumerate(keys) if key in keys[:number]]:
        raise ValueError(f"[{twice[0]}] stands in the list already; it would be paid for twice")
    return f"urls-{sha256(json.dumps(keys).encode()).hexdigest()}.x{len(parts)}"


def documents_in(content: str) -> int:
    """Return the number of documents that a content key stands for."""
    many = _MANY.fullmatch(content)
    return int(many[1]) if many else 1


def known_as(source: Source) -> str:
    """Return the part of an input that may be recorded."""
    if isinstance(source, str):
        return strip_query(source) if is_url(source) else source
    return json.dumps([strip_query(part) if is_url(part) else part for part in source])
