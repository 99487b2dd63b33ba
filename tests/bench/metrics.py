"""What metrics cost a run that is asked for them each second: `python tests/bench/metrics.py`."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
from contest import inbox_of, stub

from batcher.manifest.loading import for_directory, with_metrics
from batcher.runs.running import run_batch
from batcher.stages.run_control import RunControl


async def cost(inbox: Path, out: Path, url: str, *, metered: bool) -> float:
    """Seconds of CPU in this process for one batch."""
    manifest = for_directory(inbox, out, service=url)
    control = RunControl()
    asking: list[asyncio.Task[None]] = []
    if metered:
        manifest = with_metrics(manifest, ("127.0.0.1", 0))
        control.tell = lambda words: asking.append(
            asyncio.get_running_loop().create_task(ask(words.split()[-1]))
        )
    began = time.process_time()
    await run_batch(manifest, control=control)
    for task in asking:
        task.cancel()
    return time.process_time() - began


async def ask(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get(address) as answer:
                    await answer.read()
            await asyncio.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ["REDUCTO_API_KEY"] = "key"
    ratios = []
    with inbox_of(arguments.documents, 50_000) as inbox, stub() as url:
        for _ in range(arguments.rounds):
            spent = []
            for metered in (False, True):
                with tempfile.TemporaryDirectory() as out:
                    spent.append(asyncio.run(cost(inbox, Path(out, "o"), url, metered=metered)))
            ratios.append(spent[1] / spent[0])
            print(f"{spent[0]:.2f} s of CPU without, {spent[1]:.2f} s with: {ratios[-1]:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
