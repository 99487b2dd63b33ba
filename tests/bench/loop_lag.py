"""How late the event loop is while batcher is at full load: `python tests/bench/loop_lag.py`."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

from contest import inbox_of, stub

from batcher.manifest.loading import for_directory
from batcher.runs.running import run_batch

EVERY = 0.005  # seconds between two looks at the clock


async def lags(inbox: Path, out: Path, url: str) -> list[float]:
    """Seconds by which each look came too late, from the first to the last document."""
    late: list[float] = []

    async def look() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(EVERY)
            late.append(time.perf_counter() - began - EVERY)

    looking = asyncio.create_task(look())
    await run_batch(for_directory(inbox, out, service=url))
    looking.cancel()
    return sorted(late)


def measure(documents: int) -> list[float]:
    """The same, sorted, of a batch of so many documents of 50 KB."""
    os.environ["REDUCTO_API_KEY"] = "key"
    with inbox_of(documents, 50_000) as inbox, tempfile.TemporaryDirectory() as out, stub() as url:
        return asyncio.run(lags(inbox, Path(out, "out"), url))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000)
    late = measure(parser.parse_args().documents)
    for share in (0.5, 0.9, 0.99, 1.0):
        print(
            f"{share:5.0%} of looks at most "
            f"{1e3 * late[min(len(late) - 1, int(share * len(late)))]:6.1f} ms late"
        )


if __name__ == "__main__":
    main()
