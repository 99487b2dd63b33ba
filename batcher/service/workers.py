"""The service's side of a worker process: start it, give it one task, and report how that went.

A worker that dies or takes too long is a Report and never an exception; the next task gets a new
process. Workers' questions for a model are asked here. Knows nothing of jobs' states.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from typing import Final

import msgspec

from batcher.common.child_environment import scrubbed_environment
from batcher.reducto.api_types import ErrorName
from batcher.service.shared_pages import alone
from batcher.service.tasks import Ask, Reply, Report, Share, Task

PARSER: Final = "batcher.service.parsing"
# Bytes of a report; a question for a model holds the document's text.
LONGEST_LINE: Final = 64 << 20


class _NotReady(OSError):
    """The process died before it was given a document."""


class Worker:
    """One process for one document at a time, which keeps one core busy."""

    cores: Final = 1

    def __init__(self, *, parser: str = PARSER, ask: Ask | None = None) -> None:
        self._parser = parser
        self._ask = ask
        self._process: asyncio.subprocess.Process | None = None

    async def warm_up(self) -> None:
        """Start the process and wait until it is ready, unless it runs already.

        Raises OSError if it can't be started.
        """
        if self._process is not None and self._process.returncode is None:
            return
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "batcher.service.worker",
            self._parser,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=scrubbed_environment(),
            limit=LONGEST_LINE,
        )
        assert self._process.stdout is not None
        if not await self._process.stdout.readline():
            raise _NotReady(f"it ended with {await self._reap()} before it was ready")

    async def read(
        self,
        task: Task,
        *,
        seconds: float,
        on_stage: Callable[[str], None],
        share: Share | None = None,
    ) -> Report:
        """Do the task and return its report.

        `seconds` is the wall-clock time allowed, and `share` says which pages to read where the
        document is a long scan; without it, all. A process that dies is reported as
        SUBPROCESS_CRASHED, one that takes too long as TIMEOUT.
        """
        try:
            await self.warm_up()
        except OSError as trouble:
            message = f"A process that reads documents can't be started: {trouble}"
            return Report(name=ErrorName.SERVICE_UNAVAILABLE, code=503, message=message)
        try:
            on_stage("InProgress")
            async with asyncio.timeout(seconds):
                return await self._converse(task, on_stage, share or alone(task))
        except TimeoutError:
            await self.close()
            return Report(
                name=ErrorName.TIMEOUT,
                code=504,
                message=f"The document took longer than {seconds:g} s",
            )
        except (BrokenPipeError, ConnectionResetError, EOFError):
            return await self._autopsy()
        except (
            ValueError,
            msgspec.MsgspecError,
        ):  # A line that is too long or malformed is the document's doing.
            self.kill()
            return await self._autopsy()

    def kill(self) -> None:
        """End the process and the task it works on, if any."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        """End the process at once and wait for it."""
        self.kill()
        await self._reap()

    async def _converse(self, task: Task, on_stage: Callable[[str], None], share: Share) -> Report:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(msgspec.json.encode(task) + b"\n")
        await process.stdin.drain()
        while line := await process.stdout.readline():
            report = msgspec.json.decode(line, type=Report)
            if report.is_question:
                reply = await self._reply(report, share)
                process.stdin.write(msgspec.json.encode(reply) + b"\n")
                await process.stdin.drain()
            elif report.stage:
                on_stage(report.stage)
            else:
                return report
        raise EOFError

    async def _reply(self, report: Report, share: Share) -> Reply:
        """Return the reply of the model, or of who shares the pages.

        Raises EOFError if the process dies meanwhile, as when its job is cancelled.
        """
        assert self._process is not None
        asking = asyncio.ensure_future(self._answer(report, share))
        dying = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({asking, dying}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise EOFError
            return asking.result()
        finally:
            asking.cancel()
            dying.cancel()

    async def _answer(self, report: Report, share: Share) -> Reply:
        if report.offer is not None:
            return await share(report.offer)
        if self._ask is None or report.question is None:
            return Reply(name=ErrorName.LLM_PROVIDER_ERROR, message="There is no model to ask")
        return await self._ask(report.question)

    async def _reap(self) -> int:
        process = self._process
        self._process = None
        if process is None:
            return 0
        assert process.stdin is not None
        process.stdin.close()
        return await process.wait()

    async def _autopsy(self) -> Report:
        code = await self._reap()
        if code == -signal.SIGXCPU:
            message = "The document takes more processor time than allowed"
            return Report(name=ErrorName.DOCUMENT_TOO_LARGE, code=413, message=message)
        return Report(
            name=ErrorName.SUBPROCESS_CRASHED,
            code=500,
            message=f"The process that read the document died ({code}); perhaps it needs more "
            "memory than is allowed",
        )
