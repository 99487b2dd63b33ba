"""`batcher retry`: requeues documents that came to a verdict, with those that share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from batcher.core import events
from batcher.core.lifecycle import VERDICTS, State
from batcher.ledger.ledger import Ledger, groups
from batcher.ledger.named import EVERYTHING, Wanted, named_or_refused
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
_NO_VERDICT: Final = "no such document with a verdict, so nothing is queued; see `batcher failures`"


async def retry(
    ledger_path: Path,
    *,
    only: str | None = None,
    wanted: Wanted = EVERYTHING,
    step: str | None = None,
) -> Requeued:
    """Requeue documents with a verdict: of class `only`, of `step`, and among those `wanted`.

    Without `only`, those in the states `UNASKED` are requeued, and those whose paths are typed one
    by one in whichever state they are. Raises BatcherError if something is named that has no
    verdict; nothing is requeued then.
    """
    with opened(ledger_path) as ledger:
        named = named_or_refused(ledger.reader, wanted, states=VERDICTS, hint=_NO_VERDICT)
        found = [
            c for c in ledger.repair.with_verdict(step=step) if wanted.is_all or c.source in named
        ]
        chosen = with_dependents(ledger.repair, _chosen(found, only, named.exact))
        done = await requeue(ledger, chosen)
        return done if only or wanted.is_all else replace(done, unasked=_left(found, chosen))


def _left(found: Sequence[Candidate], chosen: Sequence[Candidate]) -> int:
    taken = {c.id for c in chosen}
    return sum(c.state in (State.HELD, State.STUCK) and c.id not in taken for c in found)


def _chosen(found: list[Candidate], only: str | None, by_name: set[str]) -> list[Candidate]:
    if only is not None:
        state, kinds = CLASSES[only]
        return [c for c in found if c.state is state and (kinds is None or c.kind in kinds)]
    return [c for c in found if c.state in UNASKED or c.source in by_name]


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
