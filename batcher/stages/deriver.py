"""Makes everything besides the result itself: pictures, Markdown, lines, Parquet.

It fetches no results. A result is complete once its JSON is saved; what is derived from it comes
later and is recorded once it is durable. What a crash leaves unmade, the next run makes, so nothing
here can cost a result or be paid for.

A failure with one document concerns that document alone: it is reported and left to the next run,
and the others are made. Only if several documents in a row fail in the same way is the maker at
fault. A disk that is full or failing stops the run.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from batcher.common.signals import Signal
from batcher.core import events
from batcher.core.lifecycle import State
from batcher.errors import LedgerError, MirrorError, OutputError
from batcher.exit_codes import ExitCode
from batcher.ledger.derived_outputs import NOTHING, derivable, forget, give_up, missing
from batcher.ledger.ledger import Ledger, Transition
from batcher.stages.boundary import trace_of
from batcher.stages.making import Maker
from batcher.stages.run_control import RunControl

GROUP: Final = 128  # documents made at once
IMAGES: Final = "images"
LINGER: Final = 0.1  # seconds that a group waits for more documents
ALIKE: Final = 3  # documents in a row that fail in the same way: the fourth would as well
OF_THE_DISK: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENXIO}
)


@dataclass(slots=True)
class _Bench:
    """A maker's queue: documents, and the sizes of their results in bytes."""

    maker: Maker
    due: dict[int, int] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    busy: bool = False
    is_unsure: bool = False  # whether what was made may be outdated since the maker looked at it
    closed: bool = False  # for the rest of this run
    # the error of the last document; `in_a_row` counts how many in a row had the same
    failure: str = ""
    in_a_row: int = 0

    def close(self) -> None:
        self.closed = True
        self.is_unsure = False
        self.due.clear()

    def failed(self, failure: str) -> bool:
        """Count a failure, and return whether it was one too many."""
        self.in_a_row = self.in_a_row + 1 if failure == self.failure else 1
        self.failure = failure
        return self.in_a_row >= ALIKE

    def succeeded(self, documents: Sequence[int]) -> None:
        self.failure = ""
        self.in_a_row = 0
        for document in documents:
            self.due.pop(document, None)


class _Seen(NamedTuple):
    """How much had changed when the makers were last told to look at what there is."""

    saved: int
    superseded: int
    outdated: int


class Closing(Protocol):
    async def conclude(self) -> None:
        """Do what is left once everything is made. Raises MirrorError."""


class Deriver:
    def __init__(
        self,
        ledger: Ledger,
        control: RunControl,
        makers: Sequence[Maker],
        *,
        closing: Closing | None = None,
        parting: Callable[[], None] = lambda: None,
    ) -> None:
        """`parting` is called once, when everything has been made for the first time."""
        self._ledger = ledger
        self._control = control
        self._benches = [_Bench(maker) for maker in makers]
        self._ready = not makers
        self._ending = False
        self._closing = closing
        self._parting: Callable[[], None] | None = parting
        self._saved = 0  # results saved since the run began
        self._seen: _Seen | None = None
        # `_state` when everything was last concluded
        self._closed_at: tuple[int, _Seen | None] | None = None
        self._progress = Signal()

    def outstanding(self) -> int:
        """Return how many documents still need something made, plus 1 for the conclusion."""
        is_concluded = self._closing is None or self._closed_at == self._state
        # from `finish` on, each maker says itself whether it must look
        is_looked_at = self._ending or not self._benches or self._changes() == self._seen
        return self._unmade() + (not is_concluded) + (not is_looked_at)

    def settled(self) -> Coroutine[Any, Any, object]:
        """Wait until something has been made, given up or concluded."""
        return self._progress.wait()

    async def finish(self) -> None:
        """Make what is left; from now on no group waits for more documents.

        What has become outdated meanwhile is made again: the scan finds newer versions of documents
        while their older ones are long made. Returns when all is made and concluded; never if the
        disk fails.
        """
        self._ending = True
        self._have_all_looked_at()
        self._wake()
        self._progress.give()  # wakes the task that concludes
        while self.outstanding():
            await self.settled()
        if self._parting is not None:
            parting, self._parting = self._parting, None
            parting()

    def _have_all_looked_at(self) -> None:
        """Have the makers look again at what there is, if anything has changed since they did.

        A run that finds nothing new doesn't pay for a second look.
        """
        now = self._changes()
        if now == self._seen:
            return
        self._seen = now
        for bench in self._benches:
            bench.is_unsure = not bench.closed

    def _changes(self) -> _Seen:
        ledger = self._ledger
        return _Seen(self._saved, ledger.tally[State.SUPERSEDED], ledger.outdated)

    @property
    def _state(self) -> tuple[int, _Seen | None]:
        """What a conclusion depends on: the results, and what was made again of older ones."""
        return self._saved, self._seen

    def _unmade(self) -> int:
        if not self._ready:
            return 1
        return sum(max(len(b.due), b.busy, b.is_unsure) for b in self._benches)

    def still_fetches(self, document: int) -> bool:
        """Return whether something that the document's result links to must still be fetched."""
        fetching = [bench for bench in self._benches if bench.maker.format == IMAGES]
        return any(document in bench.due for bench in fetching) or bool(
            fetching and not self._ready
        )

    async def run(self) -> None:
        """Make derived outputs for as long as the run lasts."""
        self._ledger.listeners.append(self._hear)
        self._seen = self._changes()
        for bench in self._benches:
            await self._prepare(bench)
        self._ready = True
        self._wake()
        self._progress.give()
        async with asyncio.TaskGroup() as group:
            for bench in self._benches:
                group.create_task(self._work(bench))
            if self._closing is not None:
                group.create_task(self._close(self._closing))

    async def _prepare(self, bench: _Bench) -> None:
        # what couldn't be made earlier may work now
        await forget(self._ledger, bench.maker.format, [NOTHING])
        await self._look(bench)

    async def _look(self, bench: _Bench) -> None:
        """Have the maker set right what there is, and find out what it must make."""
        try:
            await bench.maker.prepare()
        except (OSError, OutputError) as error:  # for example, a folder where a file was
            self._close_bench(bench, f"what there is of it can't be looked after: {error}")
        else:
            bench.due |= missing(self._ledger.reader, bench.maker.format)

    def _hear(self, change: Transition) -> None:
        if isinstance(change.event, events.Saved):
            self._saved += 1
            for bench in self._benches:
                if bench.closed:
                    continue
                bench.due[change.event.document] = change.event.size
                bench.arrived.set()

    def _wake(self) -> None:
        for bench in self._benches:
            bench.arrived.set()

    async def _close(self, closing: Closing) -> None:
        while True:
            while not self._ending or self._unmade() or self._closed_at == self._state:
                await self.settled()
            state = self._state
            try:
                await closing.conclude()
            except MirrorError as error:
                self._control.stop(str(error), ExitCode.RUN_AGAIN)
            self._closed_at = state
            self._progress.give()

    async def _work(self, bench: _Bench) -> None:
        while True:
            await bench.arrived.wait()
            bench.arrived.clear()
            if not self._ending:
                await asyncio.sleep(LINGER)
            if bench.is_unsure and not self._control.abort:
                await self._look_again(bench)
            while not self._control.abort and (documents := self._next(bench)):
                await self._make(bench, documents)

    async def _look_again(self, bench: _Bench) -> None:
        """Look while nothing is being made here: a file that is on record may lack its name yet."""
        await self._look(bench)
        bench.is_unsure = False
        self._wake()
        self._progress.give()

    def _next(self, bench: _Bench) -> list[int]:
        """Return the next group of documents.

        It is empty if the maker prefers to wait for more, or for another maker to go first.
        """
        waits_for = [other for other in self._benches if other.maker.format == bench.maker.after]
        if any(other.is_unsure for other in waits_for):
            return []
        ready = (d for d in bench.due.items() if not any(d[0] in other.due for other in waits_for))
        group = list[int]()
        size = 0
        limit = bench.maker.at_a_time
        for document, amount in ready:
            group.append(document)
            size += amount
            if len(group) >= limit.documents or size >= limit.size:
                return group
        return group if self._ending or not limit.patient else []

    async def _make(self, bench: _Bench, documents: Sequence[int]) -> None:
        bench.busy = True
        try:
            await self._try(bench, documents)
            self._wake()
        finally:
            bench.busy = False
            self._progress.give()

    async def _try(self, bench: _Bench, documents: Sequence[int]) -> None:
        try:
            await bench.maker.make(derivable(self._ledger.reader, bench.maker.format, documents))
        except MirrorError as error:
            bench.close()
            # the disk still takes results, so jobs in flight are fetched
            self._control.stop(str(error), ExitCode.RUN_AGAIN)
        except LedgerError:
            raise
        except Exception as error:  # unexpected, or caused by this document's name, folder or file
            if isinstance(error, OutputError) and error.errno in OF_THE_DISK:
                # the next run makes what is missing
                self._control.stop(str(error), ExitCode.RUN_AGAIN, abort=True)
            else:
                await self._find(bench, documents, error)
        else:
            bench.succeeded(documents)

    async def _find(self, bench: _Bench, documents: Sequence[int], error: Exception) -> None:
        """Find out which of `documents` fails, by halving the group.

        Trying them one by one would make a Parquet data set of files with one row each.
        """
        if len(documents) == 1:
            await self._give_up(bench, documents[0], error)
            return
        middle = len(documents) // 2
        for half in (documents[:middle], documents[middle:]):
            if not bench.closed and not self._control.abort:
                await self._try(bench, half)

    async def _give_up(self, bench: _Bench, document: int, error: Exception) -> None:
        """Give up this document for this run."""
        bench.due.pop(document, None)
        format = bench.maker.format
        why = f"{type(error).__name__}: {error}"
        self._control.trace(
            trace_of(error, f"{format} of document {document} could not be made: {why}")
        )
        try:
            for one in derivable(self._ledger.reader, format, [document]):
                await give_up(self._ledger, one, format, why)
                self._control.warn(
                    f"{one.source}: {format} could not be made of its result, which is saved: {why}"
                )
        except OutputError as refusal:  # the disk that holds the ledger fails
            self._control.stop(str(refusal), ExitCode.RUN_AGAIN, abort=True)
        if bench.failed(type(error).__name__):
            self._close_bench(
                bench, f"{bench.in_a_row} documents in a row failed alike, the last with {why}"
            )

    def _close_bench(self, bench: _Bench, why: str) -> None:
        bench.close()
        self._control.warn(
            f"{bench.maker.format}: no more of it is made in this run: {why}; the next run tries "
            "again"
        )
