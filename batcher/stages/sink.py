"""Brings results to disk and says so: in groups, durable before the ledger hears of it. It fetches
nothing.

What has been fetched and not yet written is bounded in bytes (`ByteBudget`), however many results that
is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from batcher.common.names import elsewhere
from batcher.core import events
from batcher.core.account import Account
from batcher.core.lifecycle import IN_FLIGHT, PAYS_FOR_NOBODY, UNSENT, State
from batcher.errors import Outdated, OutputError
from batcher.ledger.ledger import Copy, Ledger
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
from batcher.stages.run_control import RunControl

GROUP: Final = 128  # results made durable together
ROOM: Final = 32 << 20  # bytes; peak memory is about three times as much


class ByteBudget:
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
    """What was taken of `room` for one answer: it goes back once, whatever comes of it, or goes on
    with the result.
    """

    def __init__(self, room: ByteBudget, amount: int) -> None:
        self._room = room
        self._amount = amount

    def give_back(self) -> None:
        self._room.give(self.handed_on())

    def handed_on(self) -> int:
        """It is somebody else's to give back from now on."""
        amount = self._amount
        self._amount = 0
        return amount


@dataclass(frozen=True, slots=True)
class FetchedResult:
    """A fetched result on its way to `output`; `reserved` bytes of room go back once it is written.

    Where it is `streamed`, its bytes lie on disk already and only want their name.
    """

    ended: events.Ended
    output: str
    body: Buffer
    reserved: int
    streamed: Streamed | None = None


class Sink:
    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        control: RunControl,
        *,
        account: Account,
    ) -> None:
        self.room = ByteBudget()
        self._account = account  # whose jobs can be asked for results that are missing
        self._ledger = ledger
        self._store = store
        self._control = control
        self._results: deque[FetchedResult] = deque()
        self._arrived = asyncio.Event()
        self._writing = False
        self.wrote_at = float("-inf")  # by the loop's time
        # results and copies: one after the other, so that the newer stands
        self._placing = asyncio.Lock()

    def put(self, result: FetchedResult) -> None:
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
                await self._write(
                    [self._results.popleft() for _ in range(min(GROUP, len(self._results)))]
                )
                self._writing = False
                self.wrote_at = asyncio.get_running_loop().time()

    async def _write(self, group: Sequence[FetchedResult]) -> None:
        async with self._placing:
            places = self._ledger.places_of([result.ended.document for result in group])
            known = self._ledger.hashes_of(list(places.values()))
            items = [_item(result, places.get(result.ended.document), known) for result in group]
            outcomes = await asyncio.to_thread(self._store.write_group, items)
        happened: list[events.Event] = []
        for result, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, OutputError) and concerns_one(outcome):
                happened += self._given_up(result, outcome)
            elif isinstance(outcome, OutputError):
                # what wasn't written is still at the service
                self._control.stop(str(outcome), 3, abort=True)
            else:
                happened += [result.ended, _saved(result.ended.document, outcome)]
        await self._ledger.record(*happened)
        # only now: till here all of it lies in memory
        self.room.give(sum(result.reserved for result in group))

    def _given_up(self, result: FetchedResult, refusal: OutputError) -> Sequence[events.Event]:
        """Of this one alone: it is paid for and still at the service, and a person has to say what
        next.
        """
        document = result.ended.document
        self._control.warn(str(refusal))
        return (
            [events.Stuck(document, str(refusal))]
            if self._ledger.state_of(document) in IN_FLIGHT
            else []
        )

    async def new_part(self) -> Path | None:
        """Where a large result may be streamed to; None where the disk refuses, which stops the
        run.
        """
        try:
            return await asyncio.to_thread(self._store.new_part)
        except OutputError as error:
            self._control.stop(str(error), 3, abort=True)
            return None

    def refuse(self, output: str, error: OSError) -> None:
        """The disk gave up in the middle of a stream: what isn't written is still at the
        service.
        """
        self._control.stop(str(trouble(output, error)), 3, abort=True)

    async def copy_for_ever(self) -> None:
        """Give every copy the end that its payer came to."""
        while True:
            if not await self._copy_some():
                await self._ledger.change()

    async def _copy_some(self) -> bool:
        """Whether there may be more to copy: what came in while these were copied has woken
        nobody.
        """
        copies = self._ledger.copies(GROUP)
        for copy in copies:
            async with self._placing:
                if not self._ledger.is_copy(copy.id):
                    continue  # superseded meanwhile: a newer result may stand at its place
                try:
                    happened = await self._end_of(copy)
                except OutputError as error:
                    self._control.stop(str(error), 3, abort=True)
                    return False
            try:
                await self._ledger.record(*happened)
            except Outdated:
                continue  # its payer made way just now: somebody else pays, perhaps this one
            if not isinstance(happened[-1], events.Saved | events.PayerFailed):
                return True  # the others wait for this one now, or for the job that is asked again
        return bool(copies)

    async def _end_of(self, copy: Copy) -> Sequence[events.Event]:
        """Raises OutputError where the disk refuses."""
        for output, digest in self._ledger.results_like(copy) if copy.payer_sha256 else ():
            with suppress(
                FileNotFoundError
            ):  # no longer what was saved there: the same may lie elsewhere
                return [_saved(copy.id, await self._copy_file(copy, output, digest))]
        now = self._ledger.clock()
        asked = None
        if copy.payer_sha256:
            asked = self._ledger.still_at_service(
                copy.id, self._account.service, self._account.key_fingerprint, now=now
            )
        if asked is None:
            return [_shared_verdict(self._ledger.later_verdict(copy) or copy)]
        missed = events.FileMissed(
            asked, "no longer on disk as it was saved, and wanted for a copy"
        )
        return [missed] if asked == copy.payer else [missed, events.Rejoined(copy.id, asked)]

    async def _copy_file(self, copy: Copy, output: str, digest: str) -> Written:
        known = self._ledger.hashes_at(copy.output)
        return await asyncio.to_thread(
            self._store.copy, output, copy.output, sha256=digest, known=known
        )


def _shared_verdict(copy: Copy) -> events.Event:
    """What its payer came to is the copy's too, unless that one never had a say: then the copy
    stands for itself.
    """
    verdict = copy.payer_state
    if verdict in PAYS_FOR_NOBODY | UNSENT | {State.SAVED} or not (
        copy.payer_current or copy.payer_paid
    ):
        return _on_its_own(copy)
    reason = f"the same document {verdict}: {copy.payer_reason or ''}".rstrip(": ")
    return events.PayerFailed(copy.id, reason, copy.payer_kind or verdict)


def _on_its_own(copy: Copy) -> events.Event:
    """It pays for itself now, and for the other copies."""
    return events.Promoted(copy.id) if copy.upstream is None else events.Follows(copy.id)


def _item(
    result: FetchedResult, place: str | None, known: Mapping[str, frozenset[str]]
) -> Item | Streamed:
    """What to write where; a superseded document's result has been paid for, and is kept for who
    wants it again.
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


def _saved(document: int, written: Written) -> events.Saved:
    return events.Saved(document, written.output, written.sha256, written.size)
