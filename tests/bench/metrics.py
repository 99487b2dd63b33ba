"""What metrics cost a run that is asked for them each second: `python tests/bench/metrics.py`."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contest import inbox_of, stub

from batcher.manifest.loading import for_directory, with_metrics
from batcher.runs.running import run_batch
from batcher.stages.run_control import RunControl

ASK = """
import sys, time, urllib.request
while True:
    urllib.request.urlopen(sys.argv[1]).read()
    time.sleep(1)
"""


async def cost(inbox: Path, out: Path, url: str, *, metered: bool) -> float:
    """Seconds of CPU in this process for one batch; another process asks for the metrics."""
    manifest = for_directory(inbox, out, service=url)
    control = RunControl()
    asking: list[subprocess.Popen[bytes]] = []
    if metered:
        manifest = with_metrics(manifest, ("127.0.0.1", 0))
        control.tell = lambda words: asking.append(ask(words.split()[-1]))
    began = time.process_time()
    await run_batch(manifest, control=control)
    spent = time.process_time() - began
    for process in asking:
        process.kill()
        process.wait()
    return spent


def ask(address: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", ASK, address], stderr=subprocess.DEVNULL)


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
