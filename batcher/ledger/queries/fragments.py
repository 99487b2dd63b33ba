"""Pieces of SQL that several groups of queries use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from batcher.core.lifecycle import MAY_HAVE_COST


def listed(states: Iterable[str]) -> str:
    """Return `states` as the items of an SQL list, without its brackets."""
    return ",".join(f"'{state}'" for state in sorted(states))


def has_result(row: str) -> str:
    """Return the condition that the document `row` has a result to go by.

    One that was being fetched or copied once more when something newer took its place has none:
    what is on disk may be another document's. So may it be where each of its jobs has failed.
    """
    unsent = (
        f"{row}.superseded_from IN ('queued', 'uploaded') AND NOT coalesce((SELECT min(h.outcome ="
        f" 'void') FROM attempts h WHERE h.document = {row}.id), 0)"
    )
    return (
        f"({row}.output_sha256 IS NOT NULL AND ({row}.state = 'saved' OR {row}.state = 'superseded'"
        f" AND (coalesce({row}.superseded_from, 'saved') = 'saved' OR {unsent})))"
    )


# True for a superseded document p whose verdict is about its bytes, and was reached by a job.
COUNTS_STILL: Final = (
    f"p.superseded_from IN ({listed(MAY_HAVE_COST)})"
    " AND EXISTS (SELECT 1 FROM attempts a WHERE a.document = p.id AND NOT (a.outcome = 'void' "
    "AND a.job_id IS NULL))"
)
# True for a document in an object store or at an address, perhaps one that stands in a listing.
ELSEWHERE: Final = (
    "(folder LIKE '%://%' OR coalesce(place, '') LIKE 'row:%'"
    " OR coalesce(place, source) LIKE '%://%')"
)
# the last attempt that an audit has settled: the job list said whose its job is
AUDITED = "(SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audited_to'), 0))"
# the items of a JSON list: one statement serves lists of any length
EACH = "SELECT value FROM json_each(?)"
