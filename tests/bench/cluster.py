"""What a cluster costs beside reading: `python tests/bench/cluster.py`, with the extra `ray`.

The same documents are read by two workers of this machine, by one hand on each of two local Ray
nodes, and by one hand on one node, in turn, so that a busy machine troubles all alike. Ratios are
medians of rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "cluster")]

import aiohttp  # noqa: E402
from lending import start_cluster  # noqa: E402

from batcher.cluster.messages import Wanted  # noqa: E402
from batcher.service.local import LocalOptions, LocalService  # noqa: E402

HANDBOOK = ROOT / "examples" / "documents" / "handbook" / "workshop-handbook.pdf"
PARSER = "batcher.service.parsing"


class Reading:
    """A service of one kind, and how fast it reads."""

    def __init__(self, service: LocalService, session: aiohttp.ClientSession) -> None:
        self.service = service
        self.session = session
        self.rates: list[float] = []
        self.spent: list[float] = []

    async def upload(self) -> None:
        form = aiohttp.FormData()
        form.add_field("file", HANDBOOK.read_bytes(), filename=HANDBOOK.name)
        self.file_id = (await self._post("/upload", data=form))["file_id"]

    async def read(self, documents: int) -> None:
        """Read so many; note documents a second, and milliseconds beside reading for each."""
        began, spent = time.monotonic(), self._spent()
        await asyncio.gather(*(self._one() for _ in range(documents)))
        self.rates.append(documents / (time.monotonic() - began))
        self.spent.append((self._spent() - spent) / documents * 1000)

    def _spent(self) -> float:
        """Seconds of processor time of this process, and of the foreman if there is one."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        own = usage.ru_utime + usage.ru_stime
        cluster = self.service.cluster
        if cluster is None or cluster.foreman is None:
            return own
        words = Path(f"/proc/{cluster.foreman}/stat").read_text().rpartition(")")[2].split()
        return own + (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    async def _one(self) -> None:
        job = (await self._post("/parse_async", json={"input": self.file_id}))["job_id"]
        live = self.service.rooms.queue.live(job)
        if live is not None:
            await live.ended.wait()

    async def _post(self, path: str, **body: Any) -> Any:
        async with self.session.post(self.service.url + path, **body) as answer:
            answer.raise_for_status()
            return await answer.json()


@asynccontextmanager
async def reading(folder: Path, hands: int, address: str | None) -> AsyncIterator[Reading]:
    """A service whose workers, or hands at the address, are ready."""
    folder.mkdir()
    cluster = None
    if address is not None:
        cluster = Wanted(address=address, hands=hands, parser=PARSER, shared=str(folder))
    options = LocalOptions(folder, workers=hands, cluster=cluster)
    headers = {"Authorization": "Bearer key"}
    async with (
        LocalService(options, key="key") as service,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        one = Reading(service, session)
        await one.upload()
        await one.read(4 * hands)
        one.rates.clear()
        one.spent.clear()
        yield one


async def measure(address: str, folder: Path, documents: int, rounds: int) -> None:
    async with (
        reading(folder / "here", 2, None) as here,
        reading(folder / "two", 2, address) as two,
        reading(folder / "one", 1, address) as one,
    ):
        for _ in range(rounds):
            for kind in (here, two, one):
                await kind.read(documents)
    ratios = {
        "two nodes : two local workers": zip(two.rates, here.rates, strict=True),
        "two nodes : one node": zip(two.rates, one.rates, strict=True),
        "CPU of service and foreman : without a cluster": zip(two.spent, here.spent, strict=True),
    }
    for name, pairs in ratios.items():
        print(f"{name}  {statistics.median(a / b for a, b in pairs):.2f}")
    for name, kind in (("local, 2 workers", here), ("ray, 2 nodes", two), ("ray, 1 node", one)):
        rate, spent = statistics.median(kind.rates), statistics.median(kind.spent)
        print(
            f"{name:18} {rate:6.2f} documents/s of 12 pages, {spent:5.2f} ms of CPU beside reading"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=30, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        nodes = ("127.0.0.2", "127.0.0.3")
        start_cluster(folder / "nodes", os.getpid(), *nodes, apart=False)
        address = (folder / "nodes").read_text().split()[0]
        asyncio.run(measure(address, folder, arguments.documents, arguments.rounds))


if __name__ == "__main__":
    main()
