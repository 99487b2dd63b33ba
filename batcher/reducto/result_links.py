"""Decides whether an answer contains the result itself or a link in its place.

By the API's description v1.12.20 a link is a `UrlResult`, an object of `type` ("url"), `url` and
`result_id`, all required. It may take the place of the result of a parse, a split or a
classification. The API defines the keys of those, so `type` alone is decisive there. A pipeline's
result is never a link. An extract's result has the names of the caller's schema, and its values are
whatever the document's author wrote, who may well write an address:

- it is a link only if it has no keys other than a link's;
- without `result_id` (as in a recorded v3 answer) only if the schema is known and doesn't have
  these names itself;
- not if the schema has these names itself, unless `force_url_result` was asked for.

If that stays undecided it is the result, and is saved as it came: a request that should never have
been sent can't be taken back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

# The largest inner result, in bytes, that is checked for a link; a longer one isn't read.
LOOKED_AT: Final = 16 << 10
_API_NAMES_KEYS: Final = frozenset({"parse", "split", "classify"})
_EXTRACTS: Final = frozenset({"extract", "v3_extract"})
_LINK: Final = frozenset({"type", "url", "result_id"})
_WITHOUT_ID: Final = frozenset({"type", "url"})


class BadLink(ValueError):
    """It has the shape of a link, and leads nowhere."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What distinguishes a link from a result: facts about the job.

    They are its endpoint, the top-level names of its schema, if it has one, and whether a link was
    asked for.
    """

    endpoint: str = ""
    names: frozenset[str] | None = None
    for_link: bool = False


def asked(endpoint: str, options: Mapping[str, Any]) -> Asked:
    """Return what distinguishes a link from a result, for a job of these options."""
    settings = options.get("settings")
    instructions = options.get("instructions")
    forced = isinstance(settings, Mapping) and bool(settings.get("force_url_result"))
    schema = instructions.get("schema") if isinstance(instructions, Mapping) else None
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    names = frozenset(properties) if isinstance(properties, Mapping) else None
    return Asked(endpoint, names, forced or bool(options.get("force_url_result")))


def link_in(inner: bytes, response_type: str, was_asked: Callable[[], Asked]) -> str | None:
    """Return the address of the result; None if `inner` itself is the result. Raises BadLink.

    `was_asked` is called only if the answer alone isn't decisive.
    """
    value = _object(inner)
    if value.get("type") != "url" or response_type == "pipeline":
        return None
    if response_type not in _API_NAMES_KEYS and not _may_be_link(value, response_type, was_asked):
        return None
    url = value.get("url")
    if not isinstance(url, str) or not url:
        raise BadLink("a link without an address")
    return url


def _may_be_link(
    value: Mapping[str, Any], response_type: str, was_asked: Callable[[], Asked]
) -> bool:
    """Whether the value may be a link in an extract, or in an answer that names no type.

    Results of old jobs may not name it.
    """
    names = frozenset(value)
    if names not in (_LINK, _WITHOUT_ID) or not isinstance(value.get("url"), str):
        return False
    job = was_asked()
    if response_type not in _EXTRACTS and job.endpoint in _API_NAMES_KEYS:
        return True
    if job.names is None:
        return names == _LINK
    return job.for_link or not names <= job.names


def _object(inner: bytes) -> Mapping[str, Any]:
    """Return what `inner` holds if it is a small object, read as leniently as possible."""
    if len(inner) > LOOKED_AT or inner[:1] != b"{":
        return {}
    try:
        value = json.loads(inner.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
