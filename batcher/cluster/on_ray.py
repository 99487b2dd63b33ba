"""The hands of a Ray cluster, by way of a foreman.

The foreman is a child process, which Ray may end at any time; it is started again, and what it was
at is begun anew, which is free. Ray is never imported here.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import inf
from types import TracebackType
from typing import Final

import msgspec

from batcher.cluster.figures import Sum
from batcher.cluster.file_tasks import WORTH_HANDING_OVER, Failure, FileReport, FileTask
from batcher.cluster.messages import (
    LONGEST_LINE,
    SILENCE,
    Answer,
    Order,
    Standing,
    Trouble,
    Wanted,
)
from batcher.common.child_environment import scrubbed_environment
from batcher.common.extras import install_command
from batcher.common.formatting import format_duration
from batcher.errors import ClusterLost, ClusterUnusable
from batcher.reducto.api_types import ErrorName
from batcher.service.shared_pages import alone
from batcher.service.tasks import Ask, Reply, Report, Share, Task

PATIENCE: Final = 120.0  # seconds that the cluster may be gone
FIRST_PAUSE: Final = 0.2  # seconds before a foreman is started again, doubled each time
LONGEST_PAUSE: Final = 10.0
# Foremen that may end while they have a task, before the task is taken for the cause.
MOST_FOREMEN: Final = 5
FAREWELL: Final = 6.0  # seconds for a foreman to leave its cluster in

ANSWER: Final = msgspec.json.Decoder(Answer)

Tell = Callable[[Standing], None]


def require_ray() -> None:
    """Raise ClusterUnusable where the extra isn't installed; Ray isn't imported."""
    if find_spec("ray") is None:
        raise ClusterUnusable(f"a cluster needs the extra `ray`: {install_command('ray')}")


@dataclass(eq=False, slots=True)
class _Call:
    """A task that was asked for, and how often a foreman ended while it was in progress."""

    order: Order
    on_stage: Callable[[str], None]
    ended: asyncio.Future[Report]
    share: Share
    foremen: int = 0
    asking: asyncio.Task[None] | None = field(default=None)


class RayHands:
    """The hands of a cluster, as an async context manager.

    Entering it raises ClusterUnusable where there is no such cluster, or no hand on it. `patience`
    is in seconds; `tell` is told how the cluster is, whenever that changes.
    """

    def __init__(
        self,
        wanted: Wanted,
        *,
        ask: Ask | None = None,
        patience: float = PATIENCE,
        tell: Tell = lambda standing: None,
    ) -> None:
        self._wanted = wanted
        self._ask = ask
        self._patience = patience
        self._tell = tell
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._files: dict[int, asyncio.Future[FileReport]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._wider = asyncio.Condition()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeping: asyncio.Task[None] | None = None
        self._last_good = 0.0
        self._before = Sum()
        self.standing = Standing()

    async def __aenter__(self) -> RayHands:
        require_ray()
        self._keeping = asyncio.create_task(self._keep())
        try:
            await self._opened
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def each(self) -> AsyncIterator[RayHand]:
        """Yield a hand for each that the cluster has had at a time, for ever."""
        number = 0
        while True:
            async with self._wider:
                while self.standing.hands <= number:
                    await self._wider.wait()
            number += 1
            yield RayHand(self)

    async def lost(self) -> None:
        """Wait until the cluster has been gone for too long; then raise ClusterLost."""
        assert self._keeping is not None
        await asyncio.shield(self._keeping)

    @property
    def cores(self) -> int:
        """How many cores each hand keeps busy."""
        return max(1, int(self._wanted.cpus))

    @property
    def worth_handing_over(self) -> int:
        return WORTH_HANDING_OVER

    async def do(self, task: FileTask) -> FileReport:
        """See `cluster.hands`. Without a hand there is none to wait for, and that is reported."""
        if self._process is None or not self.standing.hands:
            return FileReport(failure=Failure.NOT_HERE, message="the cluster has no hand just now")
        number = next(self._numbers)
        ended: asyncio.Future[FileReport] = asyncio.get_running_loop().create_future()
        self._files[number] = ended
        self._send(Order(number, file=task))
        try:
            return await ended
        finally:
            self._files.pop(number, None)

    def _lose_files(self) -> None:
        """Report all tasks with files as lost: nobody knows what the foreman's hands still do."""
        for ended in self._files.values():
            if not ended.done():
                ended.set_result(FileReport(failure=Failure.LOST))

    @property
    def foreman(self) -> int | None:
        """The process id of the foreman, unless it is being replaced."""
        return self._process.pid if self._process else None

    # --- calls ------------------------------------------------------------------------------------

    def begin(
        self, task: Task, seconds: float, on_stage: Callable[[str], None], share: Share
    ) -> _Call:
        """Hand a task to the foreman, or to the next one if there is none now."""
        number = next(self._numbers)
        ended: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        call = self._calls[number] = _Call(Order(number, task, seconds), on_stage, ended, share)
        self._send(call.order)
        return call

    def end(self, call: _Call, report: Report) -> None:
        """End a call with this report, unless it has ended; what comes of it later is ignored."""
        if self._calls.pop(call.order.call, None) is None:
            return
        if call.asking is not None:
            call.asking.cancel()
        if not call.ended.done():
            call.ended.set_result(report)

    def cancel(self, call: _Call) -> None:
        """End a call's task, wherever it is."""
        message = "The task was ended"
        if call.order.call in self._calls:
            self._send(Order(call.order.call, cancel=True))
        self.end(call, Report(name=ErrorName.SUBPROCESS_CRASHED, code=500, message=message))

    def _send(self, order: Order) -> None:
        """Send an order; without a foreman, the next one is sent whatever is open by then."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    async def _answered(self, call: _Call, report: Report) -> None:
        if report.offer is not None:
            reply = await call.share(report.offer)
        elif self._ask is None or report.question is None:
            reply = Reply(name=ErrorName.LLM_PROVIDER_ERROR, message="There is no model to ask")
        else:
            reply = await self._ask(report.question)
        if call.order.call in self._calls:
            self._send(Order(call.order.call, reply=reply))

    # --- the foreman ------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Start a foreman, and another whenever one ends, until the cluster is given up.

        Raises ClusterLost then. A failure before the first hand is raised by `__aenter__`.
        """
        loop = asyncio.get_running_loop()
        self._last_good = loop.time()
        pause = FIRST_PAUSE
        while True:
            began = loop.time()
            trouble = await self._one_foreman()
            if self._last_good > began:
                pause = FIRST_PAUSE
            self._before.close(self.standing)
            await self._became(Standing())
            if not self._opened.done():
                self._opened.set_exception(ClusterUnusable(trouble.message))
                return
            away = loop.time() - self._last_good
            if away > self._patience:
                raise ClusterLost(
                    f"the cluster has been gone for {format_duration(away)}: {trouble.message}; "
                    "rerun the same command when it is back"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _one_foreman(self) -> Trouble:
        """Run one foreman to its end, and return why it ended."""
        environment = {n: v for n, v in os.environ.items() if n.startswith("RAY_")}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "batcher.cluster.foreman",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**environment, **scrubbed_environment()},
                limit=LONGEST_LINE,
            )
        except OSError as error:
            return Trouble(f"the foreman can't be started: {error}")
        self._process = process
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(msgspec.json.encode(self._wanted) + b"\n")
            self._begin_anew()
            return await self._listen(process.stdout)
        finally:
            self._process = None
            self._lose_files()
            await _ended(process)

    def _begin_anew(self) -> None:
        """Send each open task once more; one that ended several foremen is given up."""
        for call in list(self._calls.values()):
            call.foremen += 1
            if call.foremen >= MOST_FOREMEN:
                self.end(call, _ended_foremen())
                continue
            if call.asking is not None:
                call.asking.cancel()
            self._send(call.order)

    async def _listen(self, lines: asyncio.StreamReader) -> Trouble:
        while True:
            try:
                async with asyncio.timeout(min(SILENCE, self._left())):
                    line = await lines.readline()
                answer = ANSWER.decode(line) if line else None
            except (TimeoutError, ValueError):
                return self._no_hands() or Trouble(
                    f"no Ray cluster answers at {self._wanted.address} for {SILENCE:g} s"
                )
            if answer is None:
                return Trouble("its foreman ended")
            if answer.trouble is not None:
                return answer.trouble
            if answer.standing is not None:
                await self._became(answer.standing)
            elif answer.file is not None:
                self._hear_of_file(answer.call, answer.file)
            elif answer.report is not None and (call := self._calls.get(answer.call)):
                self._hear(call, answer.report)
            if (trouble := self._no_hands()) is not None:
                return trouble

    def _hear(self, call: _Call, report: Report) -> None:
        if report.is_question:
            call.asking = asyncio.create_task(self._answered(call, report))
        elif report.stage:
            call.on_stage(report.stage)
        else:
            self.end(call, report)

    def _hear_of_file(self, number: int, report: FileReport) -> None:
        ended = self._files.get(number)
        if ended is not None and not ended.done():
            ended.set_result(report)

    async def _became(self, own: Standing) -> None:
        """Take note of how a foreman's hands are."""
        standing = self._before.with_foreman(own)
        if standing.hands:
            self._last_good = asyncio.get_running_loop().time()
            if not self._opened.done():
                self._opened.set_result(None)
        if standing == self.standing:
            return
        async with self._wider:
            self.standing = standing
            self._wider.notify_all()
        self._tell(standing)

    def _left(self) -> float:
        """Return the seconds for which the cluster may still have no hand; without end if it has.

        The first hand takes its time on a machine that has much to do.
        """
        if self.standing.hands:
            return inf
        patience = self._patience if self._opened.done() else max(self._patience, SILENCE)
        away = asyncio.get_running_loop().time() - self._last_good
        return max(0.0, patience - away)

    def _no_hands(self) -> Trouble | None:
        """Return why the cluster is of no use, if it has had no hand for too long."""
        if self._left() > 0:
            return None
        why = "; ".join(self.standing.refused) or "no node has room for one at the moment"
        return Trouble(f"it has no hand: {why}")

    async def _close(self) -> None:
        for call in list(self._calls.values()):
            self.cancel(call)
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError, ClusterLost):
                await self._keeping


class RayHand:
    """One of the hands; the foreman chooses which of them it is, for each task anew."""

    def __init__(self, hands: RayHands) -> None:
        self._hands = hands
        self._call: _Call | None = None

    @property
    def cores(self) -> int:
        """What each hand takes of its cluster."""
        return self._hands.cores

    async def warm_up(self) -> None:
        """Do nothing: hands that are yielded are ready."""

    async def read(
        self,
        task: Task,
        *,
        seconds: float,
        on_stage: Callable[[str], None],
        share: Share | None = None,
    ) -> Report:
        """Do the task; see `cluster.hands`."""
        self._call = self._hands.begin(task, seconds, on_stage, share or alone(task))
        try:
            return await self._call.ended
        finally:
            self.kill()

    def kill(self) -> None:
        if self._call is not None:
            self._hands.cancel(self._call)
            self._call = None

    async def close(self) -> None:
        self.kill()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Close the foreman's stdin, with which it ends; by force if it takes too long."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(FAREWELL):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError) as error:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise


def _ended_foremen() -> Report:
    return Report(
        name=ErrorName.SUBPROCESS_CRASHED,
        code=500,
        message=f"{MOST_FOREMEN} processes that speak with the cluster ended while they had the "
        "document",
        machines=MOST_FOREMEN,
    )
