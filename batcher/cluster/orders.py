"""The foreman's orders: which hand does a task, and what becomes of one whose hand is lost.

An answer counts only if it comes from the hand that has the task now: what others send later, or
write, goes nowhere.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from batcher.cluster.crew import ActorHand, Crew, HandLost
from batcher.cluster.messages import Answer, Order
from batcher.cluster.parcels import SCRATCH, Files, delivered, packed, taken, to_send
from batcher.reducto.api_types import ErrorName
from batcher.service.tasks import Reply, Report, Task

# Machines that a task may lose, before it is taken for the one that ends them.
MOST_LOST: Final = 5
# Seconds before a task is handed out again, doubled with each loss: when a node is gone, all of its
# hands are, and by then that is known.
PAUSE: Final = 0.1


@dataclass(eq=False, slots=True)
class _Call:
    """A task in progress, and the hand that has it, if any."""

    order: Order
    doing: asyncio.Task[None] | None = None
    hand: ActorHand | None = None
    replies: asyncio.Queue[Reply] = field(default_factory=asyncio.Queue)


class Orders:
    """Gives what there is to read to the crew, in the order of asking; answers go to `say`."""

    def __init__(self, crew: Crew, say: Callable[[Answer], None]) -> None:
        self._crew = crew
        self._say = say
        self._calls: dict[int, _Call] = {}

    def take(self, order: Order) -> None:
        """Do what the service wants; a word on a task that has ended is ignored."""
        if order.task is not None:
            call = self._calls[order.call] = _Call(order)
            call.doing = asyncio.ensure_future(self._do(call, order.task))
        elif (known := self._calls.get(order.call)) is None:
            return
        elif order.reply is not None:
            known.replies.put_nowait(order.reply)
        elif order.cancel:
            self._cancel(known)

    def _cancel(self, call: _Call) -> None:
        if call.hand is not None:
            call.hand.stop()
            # its task may wait for a reply, which won't come
            call.replies.put_nowait(Reply(name=ErrorName.JOB_CANCELLED))
        elif call.doing is not None:
            call.doing.cancel()
            del self._calls[call.order.call]

    async def _do(self, call: _Call, task: Task) -> None:
        try:
            report = await self._read(call, task)
        except Exception as bug:
            message = f"The foreman made a mistake: {type(bug).__name__}: {bug}"
            report = Report(name=ErrorName.INTERNAL_INVARIANT_VIOLATION, code=500, message=message)
        self._calls.pop(call.order.call, None)
        self._say(Answer(call.order.call, report))
        if not self._calls:  # perhaps the last for a long time
            self._crew.tell()

    async def _read(self, call: _Call, task: Task) -> Report:
        """Return the report of a hand; pages that one is lost with are for whoever shares them."""
        for lost in range(1 if task.pages else MOST_LOST):
            if lost:
                await asyncio.sleep(PAUSE * 2 ** (lost - 1))
            try:
                async with self._crew.lent() as call.hand:
                    self._say(Answer(call.order.call, Report(stage="InProgress")))
                    return await self._by_hand(call, task, call.hand)
            except HandLost:
                continue
            finally:
                call.hand = None
        return Report(
            name=ErrorName.SUBPROCESS_CRASHED,
            code=500,
            message=f"{MOST_LOST} machines of the cluster were lost while they read the document",
            machines=MOST_LOST,
        )

    async def _by_hand(self, call: _Call, task: Task, hand: ActorHand) -> Report:
        """Have the hand do the task, and write what it made. Raises HandLost."""
        seconds = call.order.seconds
        shared = self._crew.wanted.shared if hand.ready.sees_folder else ""
        scratch = Path(shared, SCRATCH, secrets.token_hex(8)) if shared else None
        try:
            paths = to_send(task, but_for=shared)
            files = await asyncio.to_thread(packed, paths) if paths else {}
            report, made = await hand.read(task, seconds, files, str(scratch or ""))
            elsewhere = 0
            while report.is_question:
                self._say(Answer(call.order.call, report))
                reply = await call.replies.get()
                elsewhere += len(reply.pages) if reply.read is not msgspec.UNSET else 0
                report, made = await hand.answer(reply, seconds)
            self._crew.count(hand, report, elsewhere)
            if not report.name:
                self._say(Answer(call.order.call, Report(stage="Completing")))
                await asyncio.to_thread(_bring, task, made, scratch)
                scratch = None
        except OSError as error:
            message = f"The service's disk refuses: {type(error).__name__}: {error}"
            return Report(name=ErrorName.SERVICE_UNAVAILABLE, code=503, message=message)
        finally:
            if scratch is not None:  # a task that failed, or a hand that was lost, may leave some
                await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        return report


def _bring(task: Task, made: Files, scratch: Path | None) -> None:
    """Put what a hand has made where the task wants it."""
    if scratch is None:
        delivered(task, made)
        return
    taken(task, scratch)
    shutil.rmtree(scratch, ignore_errors=True)
