"""Whether a result stands in the answer or behind a link in its place: told by the API's shape for
each endpoint.

By the API's description v1.12.20 a link is a `UrlResult`, an object of `type` ("url"), `url` and
`result_id`, all required. It may take the place of a parse's, a split's or a classification's
result, whose own keys are the API's, so there `type` alone tells. A pipeline's is never one. An
extract's result has the names of the caller's schema, and its values are whatever the document's
author wrote, who may well write an address:

- it is a link only if it has no other keys than a link's;
- without `result_id` (as a recorded v3 answer had it) only if the schema is known and hasn't these
  names itself;
- not if the schema has these names itself, unless `force_url_result` was asked for.

Where that stays open it is the result, saved as it came: a request that nobody should have sent
can't be taken back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

# bytes of an inner result that is looked at for a link; a longer one isn't read
LOOKED_AT: Final = 16 << 10
_API_NAMES_KEYS: Final = frozenset({"parse", "split", "classify"})
_EXTRACTS: Final = frozenset({"extract", "v3_extract"})
_LINK: Final = frozenset({"type", "url", "result_id"})
_WITHOUT_ID: Final = frozenset({"type", "url"})


class BadLink(ValueError):
    """It is a link by its shape, and leads nowhere."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a job tells a link from a result: its endpoint, the outer names of its schema, if it
    has one, and whether a link was asked for.
    """

    endpoint: str = ""
    names: frozenset[str] | None = None
    for_link: bool = False


def asked(endpoint: str, options: Mapping[str, Any]) -> Asked:
    settings = options.get("settings")
    instructions = options.get("instructions")
    forced = isinstance(settings, Mapping) and bool(settings.get("force_url_result"))
    schema = instructions.get("schema") if isinstance(instructions, Mapping) else None
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    names = frozenset(properties) if isinstance(properties, Mapping) else None
    return Asked(endpoint, names, forced or bool(options.get("force_url_result")))


def link_in(inner: bytes, response_type: str, was_asked: Callable[[], Asked]) -> str | None:
    """The address at which the result stands; None where `inner` is the result. Raises BadLink.

    `was_asked` is called only where the answer alone doesn't tell.
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
    """Of an extract, or where the answer doesn't say of what: results of old jobs may not."""
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
    """What `inner` holds, if it is a small object: read by the most lenient reader there is."""
    if len(inner) > LOOKED_AT or inner[:1] != b"{":
        return {}
    try:
        value = json.loads(inner.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
