"""Pieces of SQL that several groups of queries share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from batcher.core.lifecycle import MAY_HAVE_COST


def listed(states: Iterable[str]) -> str:
    """As SQL lists them between brackets."""
    return ",".join(f"'{state}'" for state in sorted(states))


# Of a superseded document p: its verdict is that of the bytes, and was reached by a job.
COUNTS_STILL: Final = (
    f"p.superseded_from IN ({listed(MAY_HAVE_COST)})"
    " AND EXISTS (SELECT 1 FROM attempts a WHERE a.document = p.id AND NOT (a.outcome = 'void' "
    "AND a.job_id IS NULL))"
)
EACH = "SELECT value FROM json_each(?)"  # of a list in JSON: one statement for lists of any length
