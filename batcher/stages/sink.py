"""Writes results to disk in groups, and records each once it is durable. It fetches nothing.

What has been fetched but not yet written is bounded in bytes (`ByteBudget`), not in results.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from batcher.common.names import elsewhere
from batcher.common.signals import Signal
from batcher.core import events
from batcher.core.lifecycle import IN_FLIGHT
from batcher.errors import OutputError
from batcher.exit_codes import ExitCode
from batcher.outputs.result_store import (
    Item,
    Store,
    Streamed,
    Written,
    concerns_one,
    kept_name,
    trouble,
)
from batcher.reducto.results import Buffer
from batcher.stages.context import StageContext

GROUP: Final = 128  # results made durable together
ROOM: Final = 32 << 20  # bytes; peak memory is about three times as much


class ByteBudget:
    """Bounds the bytes in memory; an amount larger than the whole budget is taken alone."""

    def __init__(self, size: int = ROOM) -> None:
        self._size = size
        self._taken = 0
        self._freed = asyncio.Event()

    async def take(self, amount: int) -> None:
        while self._taken and self._taken + amount > self._size:
            self._freed.clear()
            await self._freed.wait()
        self._taken += amount

    def give(self, amount: int) -> None:
        self._taken -= amount
        assert self._taken >= 0, "more was given back than taken"
        self._freed.set()


class Loan:
    """Bytes taken from `room` for one answer.

    They are given back once, whatever becomes of the answer, or handed on with the result.
    """

    def __init__(self, room: ByteBudget, amount: int) -> None:
        self._room = room
        self._amount = amount

    def give_back(self) -> None:
        self._room.give(self.handed_on())

    def handed_on(self) -> int:
        """Return the amount; from now on somebody else must give it back."""
        amount = self._amount
        self._amount = 0
        return amount


@dataclass(frozen=True, slots=True)
class FetchedResult:
    """A fetched result on its way to `output`; `reserved` bytes are given back once it is written.

    The bytes of a `streamed` result are on disk already and only need their name. `not_served` is
    that of its head.
    """

    ended: events.Ended
    output: str
    body: Buffer
    reserved: int
    streamed: Streamed | None = None
    not_served: str | None = None


class Sink:
    def __init__(self, context: StageContext, store: Store) -> None:
        self.room = ByteBudget()
        self._ledger = context.ledger
        self._store = store
        self._control = context.control
        self._results: deque[FetchedResult] = deque()
        self._arrived = asyncio.Event()
        self._writing = False
        self._settled = Signal()
        self.wrote_at = float("-inf")  # in the event loop's time
        # results and copies are written one after the other, so that the newer one stays
        self.placing = asyncio.Lock()

    def put(self, result: FetchedResult) -> None:
        self._results.append(result)
        self._arrived.set()

    def outstanding(self) -> int:
        """Return how many results are not recorded yet; those being written count as 1."""
        return len(self._results) + self._writing

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self._settled.wait()

    async def run(self) -> None:
        """Write results for as long as the run lasts."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._results:
                self._writing = True
                await self._write(
                    [self._results.popleft() for _ in range(min(GROUP, len(self._results)))]
                )
                self._writing = False
                self.wrote_at = asyncio.get_running_loop().time()
                self._settled.give()

    async def _write(self, group: Sequence[FetchedResult]) -> None:
        async with self.placing:
            places = self._ledger.tracking.places_of([result.ended.document for result in group])
            known = self._ledger.tracking.hashes_of(list(places.values()))
            items = [_item(result, places.get(result.ended.document), known) for result in group]
            outcomes = await asyncio.to_thread(self._store.write_group, items)
        happened: list[events.Event] = []
        for result, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, OutputError) and concerns_one(outcome):
                happened += self._given_up(result, outcome)
            elif isinstance(outcome, OutputError):
                # results that weren't written are still at the service
                self._control.stop(str(outcome), ExitCode.RUN_AGAIN, abort=True)
            else:
                kept = saved(result.ended.document, outcome, result.not_served)
                happened += [result.ended, kept]
        await self._ledger.record(*happened)
        # only now, because until here all of it is in memory
        self.room.give(sum(result.reserved for result in group))

    def _given_up(self, result: FetchedResult, refusal: OutputError) -> Sequence[events.Event]:
        """Record one result as stuck, because the disk refuses it alone.

        It is paid for and still at the service, so somebody has to decide what to do.
        """
        document = result.ended.document
        self._control.warn(str(refusal))
        return (
            [events.Stuck(document, str(refusal))]
            if self._ledger.tracking.state_of(document) in IN_FLIGHT
            else []
        )

    async def new_part(self) -> Path | None:
        """Return a path to stream a large result to.

        Return None if the disk fails, which stops the run.
        """
        try:
            return await asyncio.to_thread(self._store.new_part)
        except OutputError as error:
            self._control.stop(str(error), ExitCode.RUN_AGAIN, abort=True)
            return None

    def refuse(self, output: str, error: OSError) -> None:
        """Stop the run because the disk failed while streaming.

        The result is still at the service.
        """
        self._control.stop(str(trouble(output, error)), ExitCode.RUN_AGAIN, abort=True)


def _item(
    result: FetchedResult, place: str | None, known: Mapping[str, frozenset[str]]
) -> Item | Streamed:
    """Return what to write where.

    The result of a superseded document has been paid for, and is kept in case somebody wants it
    again.
    """
    if result.streamed:
        place = place or kept_name(result.streamed.sha256)
        return replace(
            result.streamed,
            output=place,
            known=known.get(place, frozenset()),
            otherwise=elsewhere(place),
        )
    place = place or kept_name(sha256(result.body).hexdigest())
    return Item(place, result.body, known.get(place, frozenset()), elsewhere(place))


def saved(document: int, written: Written, not_served: str | None) -> events.Saved:
    """Return the event that says where `written` is, and what the service left out of it."""
    return events.Saved(document, written.output, written.sha256, written.size, not_served)
