"""Words reasons alike for documents that failed alike, so that `batcher failures` groups them.

Ids are replaced. A document's own job and upload are recorded in its attempts, and the ids that a
service gives to its requests are of no use to anybody else.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

import msgspec

from batcher.core.events import Event
from batcher.core.lifecycle import VERDICTS
from batcher.reducto.api_types import JOB, UPLOAD, ErrorName

E = TypeVar("E", bound=Event)

EMPTY: Final = "empty: 0 bytes"  # of a file or an object
TOO_LARGE: Final = "over 5 GB: the service takes no larger upload"
ONLY_FILES: Final = "only regular files are read"  # the end of a reason
RAISE_IT: Final = "raise it"  # the end of a reason: a limit that no document fits into
SOME: Final = "…"  # stands in place of an id
_SHORTEST: Final = 6  # characters; a shorter id may be a number with another meaning
_FOREIGN: Final = re.compile(
    rf"\b(?:{re.escape(UPLOAD)}|{re.escape(JOB)})[^\s\"',;)]+"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{16,}\b",
    re.IGNORECASE,
)

# A failure's reason begins with the API's code, or with the refused call and its status. Before
# that it may name the document whose verdict it shares.
_FAILED_BY: Final = re.compile(
    rf"(?:[^:]+ (?:{'|'.join(sorted(VERDICTS))}): )*"
    r"(?P<call>[A-Z]+ /[^:]*: \d{3} )?(?P<name>[A-Z][A-Z0-9_]+)(?P<end>:|$)?"
)


def error_name_in(reason: str) -> str:
    """Return the API's code in the text of a failure, or an empty string.

    This is only for text from before events and the ledger held the code in a field of its own.
    """
    found = _FAILED_BY.match(reason)
    if found is None:
        return ""
    name = found["name"]
    if found["call"] is not None:
        return name if name in set(ErrorName) else ""
    return name if found["end"] is not None and name != "UNNAMED" else ""


def unnamed(event: E, *ids: str) -> E:
    """Return the event with `ids` replaced in its reason, if it has one."""
    reason = getattr(event, "reason", None)
    if not reason:
        return event
    told = without(reason, *ids)
    return event if told == reason else msgspec.structs.replace(event, reason=told)


def without(words: str, *ids: str) -> str:
    """Return the text with `SOME` in place of each id, with or without its scheme or extension."""
    ways = {way for one in ids for way in _ways_to_write(one)}
    for way in sorted(ways, key=len, reverse=True):
        words = re.sub(rf"(?<!\w){re.escape(way)}(?!\w)", SOME, words)
    return words


def alike(words: str) -> str:
    """Return the text with `SOME` in place of all that looks like an id, for comparison only."""
    return _FOREIGN.sub(SOME, words)


def _ways_to_write(one: str) -> tuple[str, ...]:
    if one.startswith(("http://", "https://")):
        return ()  # an address says where the document is, and is its name
    bare = one.partition("://")[2] or one
    return tuple(way for way in (one, bare, bare.partition(".")[0]) if len(way) >= _SHORTEST)
