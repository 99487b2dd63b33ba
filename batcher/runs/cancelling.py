"""Which documents `batcher cancel OUT PATH…` is for. It cancels nothing itself."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import Final

from batcher.common.formatting import pluralize
from batcher.common.secrets import redact_urls
from batcher.errors import BatcherError
from batcher.ledger.named import Wanted, named_or_refused
from batcher.ledger.queries.cancelling import (
    CurrentDocument,
    documents_of,
    documents_of_step,
    shared_jobs,
)

_NONE: Final = Wanted(listed=())  # an empty list, which is no mistake
_UNKNOWN: Final = "no such document, so nothing is cancelled; see `batcher status`"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The documents to cancel, by their numbers in the ledger.

    `ended` counts, by state, those that were named as well and have come to an end already.
    """

    documents: frozenset[int]
    ended: Counter[str]

    def notes(self) -> tuple[str, ...]:
        """Return what a person who named them may want to know."""
        if not self.ended:
            return ()
        number = self.ended.total()
        return (f"{pluralize(number, 'document')} had ended before: {_counts(self.ended)}",)


def chosen(connection: sqlite3.Connection, wanted: Wanted, step: str | None) -> Chosen:
    """Return the open documents that are meant: of all steps, or of `step` alone.

    Raises BatcherError if a name or pattern fits no document, if all that are meant have ended, and
    if a job that would be cancelled is also for a document that isn't meant: that one would have to
    be paid for once more.
    """
    found = _meant(connection, wanted, step)
    still_open = frozenset(document.id for document in found if document.is_open)
    ended = Counter(document.state for document in found if not document.is_open)
    if not still_open and wanted != _NONE:
        raise BatcherError(_nothing_open(ended, step))
    shared = shared_jobs(connection, still_open)
    if shared:
        raise BatcherError(_also_for(*shared[0], more=len(shared) - 1))
    return Chosen(still_open, ended)


def _meant(
    connection: sqlite3.Connection, wanted: Wanted, step: str | None
) -> list[CurrentDocument]:
    if wanted.is_all and step is not None:
        return documents_of_step(connection, step)
    named = named_or_refused(connection, wanted, states=(), hint=_UNKNOWN)
    return documents_of(connection, named.all(), step=step)


def _counts(states: Counter[str]) -> str:
    return ", ".join(f"{number} {state}" for state, number in states.most_common())


def _nothing_open(ended: Counter[str], step: str | None) -> str:
    if ended:
        return (
            f"there is nothing to cancel: {_counts(ended)}; `batcher why` tells what became of it"
        )
    of_step = f" of step {step}" if step else ""
    return f"there is no such document{of_step}, so nothing is cancelled; see `batcher status`"


def _also_for(source: str, copy: str, *, more: int) -> str:
    others = f" (and {more} like it)" if more else ""
    words = (
        f"{source}: its job is also for {copy}, which has the same bytes{others}, so nothing is "
        "cancelled; name both or neither"
    )
    return redact_urls(words)
