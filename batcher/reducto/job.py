"""What is asked of the API for each document: an endpoint, its options, and the queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

# Options that change how a job is done but not its result, so two submissions that differ only in
# these count as the same.
_NOT_OF_THE_RESULT: Final = (
    ("settings", "persist_results"),
    ("settings", "document_password"),
    ("parsing", "settings", "persist_results"),
    ("parsing", "settings", "document_password"),
    ("queue_priority",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One step of a batch. `options` go into the request's body, and `metadata` with each job."""

    name: str = "parse"
    endpoint: str = "parse"
    schema_file: Path | None = None
    priority: bool = False
    queue_priority: str = "auto"
    # refuse; or with warn or send, options that the API's description doesn't know are sent
    unknown_options: str = "refuse"
    options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def queued_options(self) -> Mapping[str, Any]:
        """The options of a request, including the queue if the job names one."""
        if self.queue_priority == "auto":
            return self.options
        return {**self.options, "queue_priority": self.queue_priority}


def waits_in_batch(options: Mapping[str, Any]) -> bool:
    """Return whether a job with these options goes to the batch queue: half a day, at worst."""
    return options.get("queue_priority") == "batch"


def step_hash(
    endpoint: str, options: Mapping[str, Any], *, upstream: str = "", service: str = ""
) -> str:
    """Return 16 hex digits that identify what is asked for, and of which service.

    Options that only change how it is done (queue, retention, password) are left out. A result of
    one service, above all of the local one, never counts as another's.
    """
    asked = options
    for path in _NOT_OF_THE_RESULT:
        asked = _without(asked, path)
    canonical = json.dumps(
        [endpoint, asked, upstream, service],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return sha256(canonical.encode()).hexdigest()[:16]


def _without(asked: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    """Return `asked` without the value at `path`, and without tables that become empty."""
    first, *rest = path
    if first not in asked:
        return asked
    others = {name: value for name, value in asked.items() if name != first}
    if not rest:
        return others
    below = asked[first]
    left = _without(below, tuple(rest)) if isinstance(below, Mapping) else below
    if left is below:
        return asked
    return {**others, first: left} if left else others
