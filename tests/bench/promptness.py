"""From the end of a job to its result on disk, called back and polled: `python
tests/bench/promptness.py`.

The local service and batcher share one process and its clock.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from batcher.manifest.loading import for_directory
from batcher.runs.running import run_batch
from batcher.service.faults import Fault
from batcher.service.local import LocalOptions, LocalService

# workers look there for the plain parser
sys.path.append(str(Path(__file__).parents[1] / "service"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=150)
    parser.add_argument(
        "--service-time", type=float, default=3.0, help="seconds a job waits before it is read"
    )
    arguments = parser.parse_args()
    os.environ["REDUCTO_API_KEY"] = "bench"
    for name in ("called back", "polled"):
        with tempfile.TemporaryDirectory() as folder:
            spans = asyncio.run(
                measure(Path(folder), name, arguments.documents, arguments.service_time)
            )
        p50, p90 = (1000 * spans[len(spans) * share // 10] for share in (5, 9))
        sys.stdout.write(
            f"{name:<12} p50 {p50:4.0f} ms, p90 {p90:4.0f} ms, longest {1000 * spans[-1]:4.0f} ms\n"
        )


async def measure(folder: Path, name: str, documents: int, service_time: float) -> list[float]:
    """Seconds from each job's end to its `Saved`, sorted."""
    (folder / "in").mkdir()
    for number in range(documents):
        path = folder / "in" / f"{number}.txt"
        path.write_text(f"letter {number}")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    slow = {"slow": Fault(1.0, service_time)}
    options = LocalOptions(folder / "service", workers=1, parser="plain_parser", chaos=slow)
    async with LocalService(options, key="bench") as service:
        ended = _note_ends(service)
        overrides = _webhook() if name == "called back" else ()
        await run_batch(
            for_directory(folder / "in", folder / "out", service=service.url, overrides=overrides)
        )
    return sorted(saved_at - ended[job_id] for job_id, saved_at in _saved(folder / "out"))


def _note_ends(service: LocalService) -> dict[str, float]:
    ended: dict[str, float] = {}
    queue = service.rooms.queue
    announce = queue._on_end

    def note(job, status):
        ended[job.job_id] = time.time()
        announce(job, status)

    queue._on_end = note
    return ended


def _webhook() -> tuple[str, ...]:
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        port = spare.getsockname()[1]
    return f"webhook.listen=127.0.0.1:{port}", f"webhook.public_url=http://127.0.0.1:{port}"


def _saved(output: Path) -> list[tuple[str, float]]:
    ledger = sqlite3.connect(output / ".batcher" / "ledger.db")
    sql = (
        "SELECT a.job_id, e.at FROM attempts a JOIN events e ON e.document = a.document WHERE "
        "e.event = 'Saved'"
    )
    return list(ledger.execute(sql))


if __name__ == "__main__":
    main()
