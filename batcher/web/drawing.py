"""Draws the sample that a person checks: some hundreds of results by chance, looked into, and of
those a few of each kind.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterable
from typing import Final

from batcher.batches import access_of
from batcher.common.names import extension_of
from batcher.core.sample import Candidate, draw
from batcher.errors import BatcherError
from batcher.ledger.queries.sampling import SavedResult, numbers_of_results, saved_results
from batcher.maintenance.sample_file import Sample, keep_sample, new_sample
from batcher.outputs.result_store import Store
from batcher.reducto.result_content import content_of
from batcher.sources.listing import ROW
from batcher.web.catalogue import Batch

LOOKED_AT: Final = 500  # results that are sorted into groups
FOR_EACH: Final = 5  # or that many for each document to judge, if that is more
LARGEST: Final = 8 << 20  # bytes of a result that is looked into
LOOKING: Final = 15.0  # seconds; the confidence of the others isn't known
SIZES: Final = (20, 50, 100, 200)
NOT_KNOWN: Final = "confidence not known"


def draw_sample(
    connection: sqlite3.Connection, batch: Batch, step: str, size: int, rng: random.Random
) -> Sample:
    """Draw a sample of a step's results, and keep it beside the ledger.

    Raises BatcherError where there are no results, or the file can't be written.
    """
    numbers = numbers_of_results(connection, step)
    if not numbers:
        raise BatcherError(f"no result of the step {step!r} is on disk yet: nothing can be checked")
    first = rng.sample(numbers, min(len(numbers), max(LOOKED_AT, FOR_EACH * size)))
    results = {row.document: row for row in saved_results(connection, first)}
    drawn = draw(list(_candidates(batch, results.values())), size, rng)
    sample = new_sample(
        drawn, results, step=step, of=len(numbers), looked_at=len(results), now=time.time()
    )
    keep_sample(batch.ledger, sample, access=access_of(batch.what))
    return sample


def _candidates(batch: Batch, results: Iterable[SavedResult]) -> Iterable[Candidate]:
    store = Store(batch.output)
    until = time.monotonic() + LOOKING
    for row in results:
        is_path = row.place is not None and not row.place.startswith(ROW)
        folder, slash, _ = row.source.partition("/")
        yield Candidate(
            document=row.document,
            confidence=_confidence(store, row) if time.monotonic() < until else NOT_KNOWN,
            type=extension_of((is_path and row.place) or row.source),
            folder=f"{folder}/" if slash else "no folder",
            size=row.size,
        )


def _confidence(store: Store, row: SavedResult) -> str:
    """Return how sure the service was of a result, in words."""
    if row.output_size > LARGEST:
        return NOT_KNOWN
    try:
        content = content_of(store.read(row.output))
    except FileNotFoundError:
        return NOT_KNOWN
    return "low confidence" if content.is_doubtful else "high confidence"
