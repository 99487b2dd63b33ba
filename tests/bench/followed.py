"""What a run costs that three people follow in a browser: `python tests/bench/followed.py`.

One long run is followed for some seconds, then for some seconds it isn't, and so on: a shared
machine does the same work at another price a minute later. What counts is the CPU for each document
in this process; the server of the pages and those who look at them are others.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from contest import inbox_of, stub

from batcher.core.events import Saved
from batcher.ledger.ledger import Ledger, Transition
from batcher.manifest.loading import for_directory
from batcher.runs.running import run_batch

VIEWER = """
import asyncio, json, re, sys
import aiohttp
async def look(entrance):
    root = entrance.partition("/?")[0]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async def text(path):
            async with session.get(root + path) as answer:
                return await answer.text()
        await text(entrance.removeprefix(root))
        while not (found := re.search(r'href="(/batch/[0-9a-f]+)"', await text("/batches"))):
            await asyncio.sleep(0.1)
        await text(found[1])
        async with session.get(f"{root}{found[1]}/events", timeout=None) as events:
            async for line in events.content:
                if line.startswith(b"data: "):
                    for name in json.loads(line[6:]):
                        await text(f"{found[1]}/live/{name}")
async def main():
    await asyncio.gather(*(look(sys.argv[1]) for _ in range(int(sys.argv[2]))))
asyncio.run(main())
"""


class Meter:
    """CPU of this process and documents saved, apart for when the run is followed or isn't."""

    def __init__(self) -> None:
        self.cpu: Counter[bool] = Counter()
        self.saved: Counter[bool] = Counter()
        self._is_followed = False
        self._read_at = time.process_time()

    def hear(self, change: Transition) -> None:
        self.saved[self._is_followed] += isinstance(change.event, Saved)

    def turn(self, *, is_followed: bool) -> None:
        now = time.process_time()
        self.cpu[self._is_followed] += now - self._read_at
        self._read_at = now
        self._is_followed = is_followed

    def each(self, *, is_followed: bool) -> float:
        """Milliseconds of CPU for a document."""
        return 1000 * self.cpu[is_followed] / max(1, self.saved[is_followed])


async def take_turns(meter: Meter, entrance: str, viewers: int, seconds: float) -> None:
    """Follow the run now and then, until cancelled."""
    while True:
        meter.turn(is_followed=False)
        await asyncio.sleep(seconds)
        looking = await asyncio.create_subprocess_exec(
            sys.executable, "-c", VIEWER, entrance, str(viewers), stderr=subprocess.DEVNULL
        )
        try:
            await asyncio.sleep(1)  # until they look
            meter.turn(is_followed=True)
            await asyncio.sleep(seconds)
        finally:
            looking.kill()
            await looking.wait()


async def measured(inbox: Path, out: Path, url: str, turns: argparse.Namespace) -> Meter:
    meter = Meter()
    words = ("-m", "batcher", "web", str(out.parent), "--no-open")
    server = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=subprocess.PIPE)
    assert server.stdout is not None
    entrance = (await server.stdout.readline()).decode().strip()

    def watch(ledger: Ledger) -> None:
        ledger.listeners.append(meter.hear)

    taking = asyncio.create_task(take_turns(meter, entrance, turns.viewers, turns.seconds))
    await run_batch(for_directory(inbox, out, service=url), watch=watch)
    meter.turn(is_followed=False)
    taking.cancel()
    await asyncio.wait([taking])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    server.send_signal(signal.SIGTERM)
    await server.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"the server of the pages used {used:.2f} s of CPU")
    return meter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=30_000)
    parser.add_argument("--viewers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a turn")
    turns = parser.parse_args()
    os.environ["REDUCTO_API_KEY"] = "key"
    with (
        inbox_of(turns.documents, 5_000) as inbox,
        stub() as url,
        tempfile.TemporaryDirectory() as place,
    ):
        began = time.monotonic()
        meter = asyncio.run(measured(inbox, Path(place) / "out", url, turns))
        took = time.monotonic() - began
    for is_followed in (False, True):
        words = f"{turns.viewers} viewers" if is_followed else "alone"
        each = meter.each(is_followed=is_followed)
        print(f"{words}: {meter.saved[is_followed]:,} documents, {each:.3f} ms of CPU each")
    ratio = meter.each(is_followed=True) / meter.each(is_followed=False)
    print(f"ratio {ratio:.3f}, {took:.0f} s")


if __name__ == "__main__":
    main()
