"""Brings results to disk and says so: in groups, durable before the ledger hears of it. It fetches nothing.

What has been fetched and not yet written is bounded in bytes (`Room`), however many results that is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from batcher.core import events
from batcher.core.lifecycle import PAYS_FOR_NOBODY, State
from batcher.core.results import Buffer
from batcher.edges.store import Item, Store, Streamed, Written, trouble
from batcher.errors import Outdated, OutputError
from batcher.ledger.ledger import Copy, Ledger
from batcher.stages.course import Course

GROUP: Final = 128  # results made durable together
ROOM: Final = 32 << 20  # bytes; peak memory is about three times as much

_HAS_A_FILE: Final = frozenset({State.SAVED, State.SUPERSEDED})


class Room:
    """So many bytes may be in memory at once; one larger than all of it goes alone."""

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
    """What was taken of `room` for one answer: it goes back once, whatever comes of it, or goes on with the result."""

    def __init__(self, room: Room, amount: int) -> None:
        self._room = room
        self._amount = amount

    def give_back(self) -> None:
        self._room.give(self.handed_on())

    def handed_on(self) -> int:
        """It is somebody else's to give back from now on."""
        amount, self._amount = self._amount, 0
        return amount


@dataclass(frozen=True, slots=True)
class Result:
    """A fetched result on its way to `output`; `reserved` bytes of room go back once it is written.

    Where it is `streamed`, its bytes lie on disk already and only want their name.
    """

    ended: events.Ended
    output: str
    body: Buffer
    reserved: int
    streamed: Streamed | None = None


class Sink:
    def __init__(self, ledger: Ledger, store: Store, course: Course) -> None:
        self.room = Room()
        self._ledger = ledger
        self._store = store
        self._course = course
        self._results: deque[Result] = deque()
        self._arrived = asyncio.Event()
        self._writing = False
        self._placing = asyncio.Lock()  # results and copies: one after the other, so that the newer stands

    def put(self, result: Result) -> None:
        self._results.append(result)
        self._arrived.set()

    @property
    def idle(self) -> bool:
        return not self._results and not self._writing

    async def run(self) -> None:
        """For as long as the run lasts."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._results:
                self._writing = True
                await self._write([self._results.popleft() for _ in range(min(GROUP, len(self._results)))])
                self._writing = False

    async def _write(self, group: Sequence[Result]) -> None:
        async with self._placing:
            found = self._ledger.places_of([result.ended.document for result in group])
            places = [found.get(result.ended.document) for result in group]
            wanted = [(result, place) for result, place in zip(group, places, strict=True) if place]
            known = self._ledger.hashes_of([output for _, (_, output) in wanted])
            items = [_item(result, output, known[output]) for result, (_, output) in wanted]
            outcomes = await asyncio.to_thread(self._store.write_group, items)
        happened: list[events.Event] = []
        for (result, (document, _)), outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, OutputError):
                self._course.stop(str(outcome), 3, at_once=True)  # what wasn't written is still at the service
            else:
                happened += _came_home(result.ended, document, outcome)
        for result, place in zip(group, places, strict=True):
            if place is None:  # superseded meanwhile, and no copy waits for it
                happened += [result.ended, events.Superseded(result.ended.document)]
        await self._ledger.record(*happened)
        self.room.give(sum(result.reserved for result in group))  # only now: till here all of it lies in memory

    async def new_part(self) -> Path | None:
        """Where a large result may be streamed to; None where the disk refuses, which stops the run."""
        try:
            return await asyncio.to_thread(self._store.new_part)
        except OutputError as error:
            self._course.stop(str(error), 3, at_once=True)
            return None

    def refuse(self, output: str, error: OSError) -> None:
        """The disk gave up in the middle of a stream: what isn't written is still at the service."""
        self._course.stop(str(trouble(output, error)), 3, at_once=True)

    async def copy_for_ever(self) -> None:
        """Give every copy the end that its payer came to."""
        while True:
            if not await self._copy_some():
                await self._ledger.change()

    async def _copy_some(self) -> bool:
        """Whether there may be more to copy: what came in while these were copied has woken nobody."""
        copies = self._ledger.copies(GROUP)
        for copy in copies:
            async with self._placing:
                if not self._ledger.is_copy(copy.id):
                    continue  # superseded meanwhile: a newer result may stand at its place
                event = await self._end_of(copy)
            if event is None:
                return False
            try:
                await self._ledger.record(event)
            except Outdated:
                continue  # its payer made way just now: somebody else pays, perhaps this one
            if isinstance(event, events.Promoted | events.Follows):
                return True  # the others wait for this one now
        return bool(copies)

    async def _end_of(self, copy: Copy) -> events.Event | None:
        """None where the disk refuses, which stops the run."""
        if copy.payer_sha256 is not None and copy.payer_state in _HAS_A_FILE:
            return await self._copy_file(copy)
        if copy.payer_state in PAYS_FOR_NOBODY:
            return _on_its_own(copy)
        reason = f"the same document {copy.payer_state}: {copy.payer_reason or ''}".rstrip(": ")
        return events.PayerFailed(copy.id, reason, copy.payer_kind or copy.payer_state)

    async def _copy_file(self, copy: Copy) -> events.Event | None:
        known = self._ledger.hashes_at(copy.output)
        try:
            written = await asyncio.to_thread(
                self._store.copy, copy.payer_output, copy.output, sha256=str(copy.payer_sha256), known=known
            )
        except FileNotFoundError:
            return _on_its_own(copy)  # its payer's result is no longer what it was
        except OutputError as error:
            self._course.stop(str(error), 3, at_once=True)
            return None
        return _saved(copy.id, written)


def _on_its_own(copy: Copy) -> events.Event:
    """It pays for itself now, and for the other copies."""
    return events.Promoted(copy.id) if copy.upstream is None else events.Follows(copy.id)


def _came_home(ended: events.Ended, document: int, written: Written) -> list[events.Event]:
    """The result is `document`'s: of the job's own document, or of a copy where that one has been superseded."""
    saved = _saved(document, written)
    return [ended, saved] if document == ended.document else [saved, ended, events.Superseded(ended.document)]


def _item(result: Result, output: str, known: frozenset[str]) -> Item | Streamed:
    if result.streamed:
        return replace(result.streamed, output=output, known=known)
    return Item(output, result.body, known)


def _saved(document: int, written: Written) -> events.Saved:
    return events.Saved(document, written.output, written.sha256, written.size)
