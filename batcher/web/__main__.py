"""The pages as a child process of a run: `python -m batcher.web OUTPUT LEDGER`.

A process of its own, because making pages would take the interpreter from the run that is shown. It
prints its address as one line, and ends when its stdin does, however its parent ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from batcher.batches import Place
from batcher.web.server import showing

POLITENESS: Final = 5  # added to the niceness: the run goes first where processors are short


def main() -> None:
    output, ledger = map(Path, sys.argv[1:])
    os.nice(POLITENESS)
    asyncio.run(_show(Place(output.name, ledger, output)))


async def _show(place: Place) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_await_end_of_stdin, args=(loop, stop), daemon=True).start()
    async with showing([place]) as address:
        print(address.entrance, flush=True)  # noqa: T201  for the parent
        await stop.wait()


def _await_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    with suppress(RuntimeError):  # the loop may have ended already
        loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    main()
