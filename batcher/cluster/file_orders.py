"""The foreman's orders for files: several go to a hand in one call, since each call has its price.

A task whose hand is lost isn't given to another one: a PUT may still arrive, and a hash costs who
asked for it no more than another call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from batcher.cluster.crew import Crew
from batcher.cluster.file_tasks import Failure, FileReport, FileTask
from batcher.cluster.messages import Answer, Order
from batcher.reducto.exchange import uploading

# Seconds in which tasks that come together are gathered: little beside an upload.
GATHER: Final = 0.005
MOST_TASKS: Final = 16  # of a call
MOST_BYTES: Final = 64 << 20  # of a call, beyond its first task


class FileOrders:
    """Gives files to the crew in the order of asking; answers go to `say`."""

    def __init__(self, crew: Crew, say: Callable[[Answer], None]) -> None:
        self._crew = crew
        self._say = say
        self._gathered: list[Order] = []
        self._calls = set[asyncio.Task[None]]()

    def take(self, order: Order) -> None:
        """Have a hand do the task, together with those that come in the next moment."""
        if not self._gathered:
            asyncio.get_running_loop().call_later(GATHER, self._hand_out)
        self._gathered.append(order)

    def _hand_out(self) -> None:
        gathered, self._gathered = self._gathered, []
        for some in in_calls(gathered):
            call = asyncio.ensure_future(self._do(some))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _do(self, orders: list[Order]) -> None:
        tasks = [order.file for order in orders if order.file is not None]
        reports = await self._reports(tasks)
        if len(self._calls) == 1:  # this is perhaps the last call: its answer may end the run
            self._crew.tell()
        for order, report in zip(orders, reports, strict=True):
            self._say(Answer(order.call, file=report))

    async def _reports(self, tasks: list[FileTask]) -> list[FileReport]:
        seconds = uploading(sum(task.size for task in tasks))
        try:
            async with self._crew.lent() as hand:
                reports = await hand.do(tasks, seconds)
                for task, report in zip(tasks, reports, strict=True):
                    self._crew.count_file(hand, task, report)
                return reports
        except Exception:  # whatever it is, the answer is waited for
            return [FileReport(failure=Failure.LOST)] * len(tasks)


def in_calls(orders: list[Order]) -> Iterator[list[Order]]:
    """Yield the orders in groups that one hand does at a time, none of them larger than is good."""
    some: list[Order] = []
    size = 0
    for order in orders:
        more = order.file.size if order.file is not None else 0
        if some and (len(some) == MOST_TASKS or size + more > MOST_BYTES):
            yield some
            some = []
            size = 0
        some.append(order)
        size += more
    if some:
        yield some
