"""Pages of sources as pictures or text, made by a process of their own, and kept for a while.

Sources are anybody's documents: whatever they do to that process, it has limits, and the next page
gets a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

import msgspec

from batcher.common.child_environment import scrubbed_environment
from batcher.common.page_preview import Preview, Question
from batcher.web.source_file import SourceFile

PROCESS: Final = "batcher.service.preview"
SECONDS: Final = 30.0  # for one page
IDLE: Final = 60.0  # seconds after which the process is ended
KEPT: Final = 48 << 20  # bytes of pictures and texts
LONGEST_ANSWER: Final = 16 << 20


class Previews:
    """Makes one page at a time. `close` it at the end.

    `process` is the module that makes pages, each within `seconds`; `kept` is in bytes.
    """

    def __init__(
        self, *, process: str = PROCESS, seconds: float = SECONDS, kept: int = KEPT
    ) -> None:
        self._module = process
        self._seconds = seconds
        self._room = kept
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[Hashable, Preview] = OrderedDict()
        self._size = 0
        self._rest: asyncio.TimerHandle | None = None

    async def page(self, source: SourceFile, number: int) -> Preview:
        """Return a page of the source, from 1."""
        key = (source, number)
        async with self._turn:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
            made = await self._make(source, number)
            self._keep(key, made)
            return made

    async def close(self) -> None:
        """End the process."""
        if self._rest is not None:
            self._rest.cancel()
        await self._end()

    def _keep(self, key: Hashable, made: Preview) -> None:
        self._kept[key] = made
        self._size += made.size
        while self._size > self._room:
            _, gone = self._kept.popitem(last=False)
            self._size -= gone.size

    async def _make(self, source: SourceFile, number: int) -> Preview:
        question = Question(os.fsencode(source.path), source.extension, number)
        try:
            async with asyncio.timeout(self._seconds):
                made = await self._ask(msgspec.json.encode(question))
        except TimeoutError:
            await self._end()
            return Preview(problem=f"it takes longer than {self._seconds:g} s")
        except (OSError, EOFError, ValueError, msgspec.MsgspecError):
            await self._end()
            return Preview(problem="the process that reads it died of it")
        except asyncio.CancelledError:
            await self._end()  # its answer would be taken for that of the next question
            raise
        self._rest_later()
        return made

    async def _ask(self, question: bytes) -> Preview:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=scrubbed_environment(),
                limit=LONGEST_ANSWER,
                start_new_session=True,  # so that Ctrl-C reaches only the server
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(question + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise EOFError
        return msgspec.json.decode(line, type=Preview)

    def _rest_later(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._rest = asyncio.get_running_loop().call_later(IDLE, self._kill)

    def _kill(self) -> None:
        if not self._turn.locked() and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process = None

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
