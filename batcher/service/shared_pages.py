"""The pages of long scans, which idle hands read together with the hand that has the document.

That hand offers ranges of pages and asks for one after the other. Meanwhile others take some, as
they are free, and it is given what they read. A range that a hand fails on, or is lost with, goes
back to the document's own hand, where it has the consequences that it would have had there anyway.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec

from batcher.service.tasks import Offer, Reply, Report, Task, Tools

if TYPE_CHECKING:
    from batcher.cluster.hands import Hand

BEGUN: Final = "InProgress"  # the stage of a task that a hand works on
# Loans of one document that may fail; its own hand reads the rest.
MOST_FAILED: Final = 3

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Loan:
    """Ranges of pages that another hand reads, and whether it is at it yet."""

    hand: Hand
    ranges: list[list[int]]
    has_begun: bool = False

    @property
    def pages(self) -> list[int]:
        """The pages of all its ranges."""
        return [page for pages in self.ranges for page in pages]

    def note(self, stage: str) -> None:
        """Note the stage of its task."""
        self.has_begun = self.has_begun or stage == BEGUN


class SharedPages:
    """The ranges of one document that its own hand reads, and those that other hands do.

    `until` is the moment, by the loop's clock, at which the time of the document is over; `call` is
    called whenever there are pages for other hands.
    """

    def __init__(self, task: Task, *, until: float, call: Callable[[], None]) -> None:
        self._task = task
        self._until = until
        self._call = call
        self._piece = task  # that of other hands, but for its pages
        self._open: deque[list[int]] = deque()
        self._own: deque[list[int]] = deque()  # no other hand gets these
        self._read: deque[Reply] = deque()
        self._loans: set[Loan] = set()
        self._failed = 0
        self._wasted = 0.0  # seconds of hands that failed, which the document hasn't been told of
        self._changed = asyncio.Event()

    @property
    def has_open(self) -> bool:
        """Whether there are pages for another hand."""
        return bool(self._open) and self._failed < MOST_FAILED

    async def answer(self, offer: Offer) -> Reply:
        """Answer the document's own hand: what is next; wait if only others are still reading."""
        if offer.ranges:
            self._begin(offer)
            return Reply()
        self._piece = msgspec.structs.replace(self._piece, seconds=int(offer.processor))
        while True:
            if self._read:
                return self._read.popleft()
            if ranges := self._own or self._open:
                return self._told(ranges.popleft())
            if not self._take_back():
                if not self._loans:
                    return self._told([])
                self._changed.clear()
                await self._changed.wait()

    def lend(self, hand: Hand) -> Loan | None:
        """Lend the hand as many ranges as it has cores, if there are any."""
        if not self.has_open:
            return None
        number = min(hand.cores, len(self._open))
        loan = Loan(hand, [self._open.popleft() for _ in range(number)])
        self._loans.add(loan)
        return loan

    async def read(self, loan: Loan) -> None:
        """Have the loan's hand read its pages; what becomes of it is for `answer` to say."""
        clock = asyncio.get_running_loop().time
        began = clock()
        report = await self._report(loan, max(0.0, self._until - began))
        if loan not in self._loans:  # taken back meanwhile, and ended
            await loan.hand.close()
            return
        self._loans.discard(loan)
        self._changed.set()
        if report.read is not msgspec.UNSET and not report.name:
            reply = Reply(pages=loan.pages, read=report.read, processor=report.processor)
            self._read.append(reply)
            return
        self._own.extend(loan.ranges)
        self._failed += 1
        if loan.has_begun:
            self._wasted += clock() - began

    def close(self) -> None:
        """End what other hands do for the document."""
        self._open.clear()
        for loan in self._loans:
            loan.hand.kill()
        self._loans.clear()

    def _begin(self, offer: Offer) -> None:
        """Take the pages of another document of the task, or of the same one begun anew."""
        self.close()
        self._own.clear()
        self._read.clear()
        sources = self._task.sources[offer.source :][:1]
        if not sources:
            self._own.extend(offer.ranges)
            return
        self._piece = msgspec.structs.replace(
            self._task,
            sources=sources,
            request=offer.settings,
            seconds=int(offer.processor),
            tools=Tools(),
        )
        self._open.extend(offer.ranges)
        self._call()

    async def _report(self, loan: Loan, seconds: float) -> Report:
        """Return the report of the loan's hand; an exception is one that it failed with."""
        task = msgspec.structs.replace(self._piece, pages=loan.pages)
        try:
            return await loan.hand.read(task, seconds=seconds, on_stage=loan.note)
        except Exception as bug:
            log.exception("pages of job %s", self._task.job_id)
            await loan.hand.close()
            return Report(name=type(bug).__name__)

    def _told(self, pages: list[int]) -> Reply:
        wasted, self._wasted = self._wasted, 0.0
        return Reply(pages=pages, processor=wasted)

    def _take_back(self) -> bool:
        """Take back pages of which no hand has begun to read: it may be that none is left."""
        idle = [loan for loan in self._loans if not loan.has_begun]
        for loan in idle:
            self._loans.discard(loan)
            self._open.extend(loan.ranges)
            loan.hand.kill()
        return bool(idle)


def alone(task: Task) -> Callable[[Offer], Awaitable[Reply]]:
    """Return what has all pages of a task read by the hand that has it."""
    return SharedPages(task, until=inf, call=lambda: None).answer


class SharedDocuments:
    """The documents whose pages may be shared now; idle hands take from one after the other.

    `call` is called when a hand may `help`; a hand that does so may bring about the next call.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._documents: deque[SharedPages] = deque()

    @contextmanager
    def sharing(self, task: Task, seconds: float) -> Iterator[SharedPages]:
        """Share the pages of the task's documents within the block, which has so many seconds."""
        until = asyncio.get_running_loop().time() + seconds
        document = SharedPages(task, until=until, call=self._call)
        self._documents.append(document)
        try:
            yield document
        finally:
            self._documents.remove(document)
            document.close()

    async def help(self, hand: Hand) -> None:
        """Have the hand read some pages, if there are any to read."""
        for document in list(self._documents):
            self._documents.rotate(-1)
            loan = document.lend(hand)
            if loan is not None:
                if any(other.has_open for other in self._documents):
                    self._call()
                await document.read(loan)
                return
