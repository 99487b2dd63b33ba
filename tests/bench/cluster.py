"""What a cluster costs and gives, asked and found: `python tests/bench/cluster.py`, with the extra
`ray`, on a quiet machine. `--quick` only shows that it works.

The same documents are read by two workers of this machine, by one hand on each of two local Ray
nodes, and by one hand on one node, in turn, so that a busy machine troubles all alike. Ratios are
medians of rounds. Uploads are those of `uploads.py`.
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
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "service")]

import aiohttp  # noqa: E402
import uploads  # noqa: E402
from lending import Node, descendants, start_cluster  # noqa: E402
from weights import Weight, weights  # noqa: E402

from batcher.cluster.messages import Wanted  # noqa: E402
from batcher.cluster.on_ray import RayHands  # noqa: E402
from batcher.service.local import LocalOptions, LocalService  # noqa: E402

PARSER = "batcher.service.parsing"
PLAIN = "plain_parser"
KEY = "key"
PAUSE = 0.5  # seconds that a document waits for which no processor is needed
WAITING_HANDS = (2, 16)
OLD = 1_700_000_000  # a file that nobody writes any more, in seconds since the epoch


class Row(NamedTuple):
    what: str
    asked: str
    found: str


class Reading:
    """A service of one kind, and how fast it reads."""

    def __init__(self, service: LocalService, session: aiohttp.ClientSession) -> None:
        self.service = service
        self.session = session
        self.rates: list[float] = []
        self.spent: list[float] = []

    async def upload(self, content: bytes, suffix: str) -> str:
        form = aiohttp.FormData()
        form.add_field("file", content, filename=f"document{suffix}")
        return str((await self._post("/upload", data=form))["file_id"])

    async def read(self, file_id: str, documents: int) -> None:
        """Read so many; note documents a second, and milliseconds beside reading for each."""
        began, spent = time.monotonic(), self.processor()
        await asyncio.gather(*(self._one(file_id) for _ in range(documents)))
        self.rates.append(documents / (time.monotonic() - began))
        self.spent.append((self.processor() - spent) / documents * 1000)

    def processor(self) -> float:
        """Seconds of processor time of this process, and of the foreman if there is one."""
        return self.own() + self.foreman()

    def own(self) -> float:
        """Seconds of processor time of this process, the service's."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def foreman(self) -> float:
        """Seconds of processor time of the foreman, if there is one."""
        cluster = self.service.cluster
        if cluster is None or cluster.foreman is None:
            return 0.0
        words = Path(f"/proc/{cluster.foreman}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    async def _one(self, file_id: str) -> None:
        job = (await self._post("/parse_async", json={"input": file_id}))["job_id"]
        live = self.service.rooms.queue.live(job)
        if live is not None:
            await live.ended.wait()

    async def _post(self, path: str, **body: Any) -> Any:
        async with self.session.post(self.service.url + path, **body) as answer:
            answer.raise_for_status()
            return await answer.json()


@asynccontextmanager
async def reading(
    folder: Path, hands: int, address: str | None, *, parser: str = PARSER
) -> AsyncIterator[Reading]:
    """A service with so many workers, or hands at the address."""
    folder.mkdir()
    cluster = None
    if address is not None:
        cluster = Wanted(address=address, hands=hands, parser=parser, shared=str(folder))
    options = LocalOptions(folder, workers=hands, cluster=cluster, parser=parser)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        LocalService(options, key=KEY) as service,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        await _until(lambda: service.cluster is None or service.cluster.standing.hands == hands)
        yield Reading(service, session)


async def documents(address: str, folder: Path, number: int, rounds: int) -> AsyncIterator[Row]:
    """How fast each kind reads documents of each weight, and what it takes beside reading."""
    async with AsyncExitStack() as stack:
        kinds = [
            await stack.enter_async_context(reading(folder / name, hands, at))
            for name, hands, at in (("here", 2, None), ("two", 2, address), ("one", 1, address))
        ]
        for weight in weights():
            for row in await _of_weight(weight, kinds, number, rounds):
                yield row


async def _of_weight(
    weight: Weight, kinds: Sequence[Reading], number: int, rounds: int
) -> list[Row]:
    file_ids = [await kind.upload(weight.content, weight.suffix) for kind in kinds]
    many = max(4, int(number * weight.share))
    for kind, file_id in zip(kinds, file_ids, strict=True):
        await kind.read(file_id, 4)
        kind.rates.clear()
        kind.spent.clear()
    for _ in range(rounds):
        for kind, file_id in zip(kinds, file_ids, strict=True):
            await kind.read(file_id, many)
    here, two, one = kinds
    rates = " / ".join(f"{statistics.median(kind.rates):.1f}" for kind in kinds)
    spent = " / ".join(f"{statistics.median(kind.spent):.1f}" for kind in kinds)
    name = weight.name
    return [
        Row(f"{name}: two nodes to two local workers", "≥ 0.9", _ratio(two.rates, here.rates)),
        Row(f"{name}: two nodes to one", "≥ 1.8", _ratio(two.rates, one.rates)),
        Row(f"{name}: documents/s, 2 workers / 2 nodes / 1 node", "", rates),
        Row(f"{name}: ms of CPU of service and foreman", "", spent),
    ]


async def waiting(address: str, folder: Path, number: int, rounds: int) -> AsyncIterator[Row]:
    """Hands whose documents only wait, as if each had a processor of its own."""
    rates: dict[int, list[float]] = {hands: [] for hands in WAITING_HANDS}
    async with AsyncExitStack() as stack:
        for hands in WAITING_HANDS:
            kind = await stack.enter_async_context(
                reading(folder / f"{hands} hands", hands, address, parser=PLAIN)
            )
            file_id = await kind.upload(f"take {PAUSE} s".encode(), ".txt")
            await kind.read(file_id, hands)
            kind.rates.clear()
            for _ in range(rounds):
                await kind.read(file_id, hands * max(1, number // 10))
            rates[hands] = kind.rates
    few, many = WAITING_HANDS
    yield Row(
        f"documents that wait {PAUSE:g} s: {many} hands to {few}",
        "≥ 7.2",
        _ratio(rates[many], rates[few]),
    )


async def runs(address: str, folder: Path, number: int, rounds: int) -> AsyncIterator[Row]:
    """What a document costs the run and its service beside reading, start-up left out."""
    spent: dict[str, list[Spent]] = {"here": [], "two": []}
    few, many = 2 * number, 20 * number
    letters = {count: _letters(folder / f"{count} letters", count) for count in (few, many)}
    for turn in range(rounds):
        for name, at in (("here", None), ("two", address)):
            place = folder / f"{name} {turn}"
            async with reading(place, 2, at, parser=PLAIN) as kind:
                used = [
                    await _run(kind, inbox, folder / f"out {name} {turn} {count}")
                    for count, inbox in letters.items()
                ]
            pairs = zip(*used, strict=True)
            spent[name].append(Spent(*((b - a) / (many - few) * 1000 for a, b in pairs)))
    here = [sum(one) for one in spent["here"]]
    without = [one.run + one.service for one in spent["two"]]
    whole = [sum(one) for one in spent["two"]]
    for words, asked, ms in (
        ("run and service", "≤ 1.2", without),
        ("run, service and foreman", "", whole),
    ):
        alone = statistics.median(here)
        what = f"{words}: {alone:.2f} ms of CPU a document, with hands {statistics.median(ms):.2f}"
        yield Row(what, asked, _ratio(ms, here))


class Spent(NamedTuple):
    """Processor time of each process."""

    run: float
    service: float
    foreman: float


async def _run(kind: Reading, inbox: Path, out: Path) -> Spent:
    """Seconds of processor time of a run over the inbox."""
    service = kind.own()
    foreman = kind.foreman()
    words = ["run", str(inbox), "-o", str(out), "-q", "--service", kind.service.url]
    used = await asyncio.to_thread(_used_by, words)
    return Spent(used, kind.own() - service, kind.foreman() - foreman)


def _used_by(words: Sequence[str]) -> float:
    """Seconds of processor time of a command of batcher's."""
    process = subprocess.Popen(
        [sys.executable, "-m", "batcher", *words],
        cwd=ROOT,
        env={**os.environ, "REDUCTO_API_KEY": KEY},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _letters(inbox: Path, count: int) -> Path:
    inbox.mkdir()
    for number in range(count):
        path = inbox / f"letter {number}.txt"
        path.write_text(f"letter {number}\n")
        os.utime(path, (OLD, OLD))
    return inbox


async def losses(address: str, folder: Path, number: int, rounds: int) -> AsyncIterator[Row]:
    """How long it takes to notice what was killed, and to have another hand."""
    replaced: list[float] = []
    noticed: list[float] = []
    counted: list[float] = []
    for turn in range(rounds):
        async with RayHands(Wanted(address=address, hands=2, parser=PLAIN)) as hands:
            await _until(lambda: hands.standing.hands == 2)
            began = time.monotonic()
            _kill_a_hand()
            await _until(lambda: hands.standing.lost_hands == 1 and hands.standing.hands == 2)
            replaced.append(time.monotonic() - began)
        node = Node(address, "third", turn + 2)
        wanted = Wanted(address=address, hands=1, parser=PLAIN, resources={"third": 1})
        try:
            async with RayHands(wanted) as hands:
                began = time.monotonic()
                node.kill()
                await _until(lambda: hands.standing.lost_hands == 1)
                noticed.append(time.monotonic() - began)
                await _until(lambda: hands.standing.lost_nodes == 1)
                counted.append(time.monotonic() - began)
        finally:
            node.kill()
    yield Row("a killed hand is replaced", "≤ 2 s", _seconds(replaced))
    yield Row("a killed node's work is handed out again", "≤ 5 s", _seconds(noticed))
    yield Row("a killed node counts as lost (Ray's own check)", "", _seconds(counted))


def _seconds(spans: Sequence[float]) -> str:
    return f"{statistics.median(spans):.1f} s"


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def _kill_a_hand() -> None:
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::Hand"):
                os.kill(pid, signal.SIGKILL)
                return
    raise SystemExit("there is no hand to kill")


async def sent(address: str, folder: Path, number: int, rounds: int) -> AsyncIterator[Row]:
    """What an upload costs the run and its foreman, of that without hands."""
    asked = {"50 KB": "≤ 1.1", "2 MB": "≤ 0.33"}
    for cost in await asyncio.to_thread(
        lambda: list(uploads.costs(address, few=3 * number, many=12 * number, rounds=rounds))
    ):
        yield Row(f"upload of {cost.name}, of {cost.alone:.2f} ms", asked[cost.name], cost.found)


def _ratio(over: Sequence[float], under: Sequence[float]) -> str:
    return f"{statistics.median(a / b for a, b in zip(over, under, strict=True)):.2f}"


PARTS: Mapping[str, Callable[[str, Path, int, int], AsyncIterator[Row]]] = {
    "documents": documents,
    "waiting": waiting,
    "runs": runs,
    "losses": losses,
    "uploads": sent,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=30, help="light ones in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few documents, one round")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    number, rounds = (4, 1) if arguments.quick else (arguments.documents, arguments.rounds)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        nodes = ("127.0.0.2", "127.0.0.3")
        start_cluster(folder / "nodes", os.getpid(), *nodes, apart=False)
        address = (folder / "nodes").read_text().split()[0]
        print("| what | asked | found |\n|---|---|---|", flush=True)
        for row in _rows(arguments.only, address, folder, number, rounds):
            print(f"| {row.what} | {row.asked} | {row.found} |", flush=True)


def _rows(
    names: Sequence[str], address: str, folder: Path, number: int, rounds: int
) -> Iterator[Row]:
    with asyncio.Runner() as runner:
        for name in names:
            (folder / name).mkdir()
            rows = PARTS[name](address, folder / name, number, rounds)
            while (row := runner.run(anext(rows, None))) is not None:
                yield row


if __name__ == "__main__":
    main()
