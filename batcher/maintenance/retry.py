"""`batcher retry`: requeues documents that came to a verdict, with those that share it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from batcher.core import events
from batcher.core.lifecycle import State
from batcher.errors import BatcherError
from batcher.ledger.ledger import Ledger, groups
from batcher.ledger.queries.repair import RepairQueries
from batcher.ledger.queries.rows import Candidate
from batcher.maintenance.candidates import Requeued, again, opened
from batcher.reducto.error_rules import ErrorClass

# The values of `--only`, with the states and error classes that each stands for.
CLASSES: Final[dict[str, tuple[State, frozenset[str] | None]]] = {
    "transient": (State.FAILED, frozenset({ErrorClass.TRANSIENT, ErrorClass.PROVIDER})),
    "document": (State.FAILED, frozenset({ErrorClass.DOCUMENT})),
    "configuration": (State.FAILED, frozenset({ErrorClass.CONFIGURATION})),
    "internal": (State.FAILED, frozenset({"internal"})),
    "expired": (State.EXPIRED, None),
    "lost": (State.LOST, None),
    "stuck": (State.STUCK, None),
    "held": (State.HELD, None),
    "cancelled": (State.CANCELLED, None),
}
# the states that `retry` requeues without options
UNASKED: Final = frozenset({State.FAILED, State.EXPIRED, State.LOST, State.CANCELLED})


async def retry(
    ledger_path: Path, *, only: str | None = None, paths: Sequence[str] = ()
) -> Requeued:
    """Requeue documents with a verdict: those of class `only`, those in `paths`, or those in both.

    Without either, those in the states `UNASKED` are requeued. Raises BatcherError for a path
    without a verdict.
    """
    with opened(ledger_path) as ledger:
        chosen = with_dependents(ledger.repair, _chosen(ledger.repair, only, paths))
        return await requeue(ledger, chosen)


def _chosen(repair: RepairQueries, only: str | None, paths: Sequence[str]) -> list[Candidate]:
    found = [c for c in repair.with_verdict() if not paths or c.source in paths]
    if unknown := set(paths) - {c.source for c in found}:
        raise BatcherError(
            f"{sorted(unknown)[0]}: no such document with a verdict; see `batcher failures`"
        )
    if only is not None:
        state, kinds = CLASSES[only]
        return [c for c in found if c.state is state and (kinds is None or c.kind in kinds)]
    return found if paths else [c for c in found if c.state in UNASKED]


def with_dependents(repair: RepairQueries, chosen: list[Candidate]) -> list[Candidate]:
    """Return `chosen` with the documents that share their fate, directly or through others.

    Those are copies of a failed document, and later steps that one has blocked.
    """
    taken = {c.id for c in chosen}
    left = [
        c
        for c in repair.with_verdict()
        if c.state in (State.BLOCKED, State.FAILED) and c.id not in taken
    ]
    while found := [
        c for c in left if (c.upstream if c.state is State.BLOCKED else c.payer) in taken
    ]:
        taken |= {c.id for c in found}
        left = [c for c in left if c.id not in taken]
        chosen = [*chosen, *found]
    return chosen


async def requeue(ledger: Ledger, chosen: Sequence[Candidate]) -> Requeued:
    """Requeue `chosen`. Those that pay come first, so that their copies can wait for them."""
    payers = ledger.repair.payers_of(chosen)
    paying = [c for c in chosen if payers[c.id] == c.id]
    copies = [events.Rejoined(c.id, payers[c.id]) for c in chosen if payers[c.id] != c.id]
    for group in groups([*map(again, paying), *copies]):
        await ledger.record(*group)
    at_risk, recalled = (
        sum(c.state is state for c in paying) for state in (State.HELD, State.STUCK)
    )
    return Requeued(len(chosen), sum(ledger.repair.price(c.id) for c in paying), at_risk, recalled)
