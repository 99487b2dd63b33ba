"""What a run costs that three people follow in a browser: `python tests/bench/followed.py`.

The run is measured in this process, the server of the pages and those who look at them are others.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contest import inbox_of, stub

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


@contextmanager
def followed(folder: Path, viewers: int) -> Iterator[None]:
    """Show `folder` to so many viewers during the block; to none, there is no server either."""
    if not viewers:
        yield
        return
    words = [sys.executable, "-m", "batcher", "web", str(folder), "--no-open"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    entrance = server.stdout.readline().strip()
    looking = subprocess.Popen(
        [sys.executable, "-c", VIEWER, entrance, str(viewers)], stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        looking.kill()
        looking.wait()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        server.send_signal(signal.SIGTERM)
        server.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"  the server of the pages used {used:.2f} s of CPU")


async def cost(inbox: Path, out: Path, url: str) -> tuple[float, float]:
    """Seconds of CPU in this process, and by the clock, for one batch."""
    manifest = for_directory(inbox, out, service=url)
    began = time.process_time(), time.monotonic()
    await run_batch(manifest)
    return time.process_time() - began[0], time.monotonic() - began[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--viewers", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["REDUCTO_API_KEY"] = "key"
    ratios = []
    # Nothing is deleted before the end: new files cost more where many were deleted lately.
    with (
        inbox_of(arguments.documents, 5_000) as inbox,
        stub() as url,
        tempfile.TemporaryDirectory() as place,
    ):
        for number in range(arguments.rounds):
            spent = {}
            for viewers in (0, arguments.viewers) if number % 2 else (arguments.viewers, 0):
                folder = Path(place) / f"{number}-{viewers}"
                folder.mkdir()
                with followed(folder, viewers):
                    cpu, took = asyncio.run(cost(inbox, folder / "out", url))
                print(f"  {viewers} viewers: {cpu:.2f} s of CPU in {took:.1f} s")
                spent[viewers] = cpu
            ratios.append(spent[arguments.viewers] / spent[0])
            print(f"ratio {ratios[-1]:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
