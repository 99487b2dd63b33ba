"""batcher and the service, processes of their own, killed with SIGKILL at random moments while the
service misbehaves.

    python tests/crash/kills.py --kills 500
    python tests/crash/kills.py --documents 400 --kills 5 --batches 1 --chaos lost-reply=0.15
    python tests/crash/kills.py --documents 400 --kills 0 --batches 1 \\
        --chaos late-acceptance=0.15:3 --settle 1
    python tests/crash/kills.py --on ray --kills 100

The service's own book is the witness: one job that got its input for each document, and every
result on disk the right one. Exit code 1 where it isn't so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster_kills import Cluster

KEY = "a key for this machine alone"
CHAOS = (
    "lost-reply=0.08,late-acceptance=0.05:2,reset=0.05,429-1000=0.05,429-2000=0.05,500=0.05,truncated-body=0.05,"
    "slow=0.2:1,listing-lag=0.1:1"
)
SERVICE_DIES = 0.15  # of the kills are the service's
CLUSTER_IS_STRUCK = 0.7  # of the runs, with --on ray
PATIENCE = 300.0  # seconds for a run that nobody kills


@dataclass(slots=True)
class Told:
    kills: int = 0  # that met batcher alive
    service_kills: int = 0
    batches: int = 0
    documents: int = 0
    jobs: int = 0
    fed: int = 0  # jobs that got their input
    retried: int = 0  # documents that came to a verdict which a person had to lift
    faults: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)  # of a cluster
    wrong: list[str] = field(default_factory=list)


def main() -> int:
    arguments = _arguments()
    print(f"seed {arguments.seed}", flush=True)
    rng = random.Random(arguments.seed)
    told = Told()
    began = time.monotonic()
    left = arguments.kills
    for number in range(arguments.batches):
        kills = left // (arguments.batches - number)
        with tempfile.TemporaryDirectory() as root:
            batch = Batch(
                Path(root), arguments.documents, arguments.chaos, arguments.settle, rng, told
            )
            with cluster_of(arguments.on, rng, told) as batch.cluster:
                batch.live(kills=kills)
        left -= kills
        print(f"{words(told)}; {time.monotonic() - began:.0f} s", flush=True)
    for line in told.wrong:
        print(line)
    return 1 if told.wrong else 0


@contextmanager
def cluster_of(engine: str | None, rng: random.Random, told: Told) -> Iterator[Cluster | None]:
    """A cluster for the block, if one is asked for."""
    if engine is None:
        yield None
        return
    from cluster_kills import Cluster

    cluster = Cluster(rng, told.struck)
    try:
        yield cluster
    finally:
        cluster.end()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument(
        "--batches", type=int, help="that the kills are spread over; default: one for 25 of them"
    )
    parser.add_argument("--documents", type=int, default=60, help="in each batch")
    parser.add_argument("--chaos", default=CHAOS, help="faults of the service")
    parser.add_argument(
        "--settle", type=float, default=4.0, help="longer than any lag of the listing"
    )
    parser.add_argument("--on", choices=["ray"], help="documents are read on a cluster")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    arguments.batches = arguments.batches or max(1, arguments.kills // 25)
    return arguments


def words(told: Told) -> str:
    return (
        f"{told.kills} kills of batcher, {told.service_kills} of the service, "
        f"{told.faults.total()} faults, "
        f"{of_cluster(told.struck)}"
        f"{told.batches} batches: {told.documents} documents, {told.jobs} jobs, {told.fed} that "
        "got their input; "
        f"{told.retried} put back by hand; {len(told.wrong)} things wrong"
    )


def of_cluster(struck: Counter[str]) -> str:
    """What was done to the cluster, if there was one."""
    return (
        f"cluster: {', '.join(f'{n} x {what}' for what, n in struck.items())}; " if struck else ""
    )


class Batch:
    """One batch from its first run to its last, `told` of what happened and of what went wrong."""

    def __init__(
        self, root: Path, documents: int, chaos: str, settle: float, rng: random.Random, told: Told
    ) -> None:
        self.inbox = root / "inbox"
        self.out = root / "out"
        self.data = root / "service"
        self.documents = documents
        self.chaos = chaos
        self.settle = settle
        self.rng = rng
        self.told = told
        self.port = free_port()
        self.cluster: Cluster | None = None
        fill(self.inbox, documents)

    def live(self, *, kills: int) -> None:
        service = self.serve()
        try:
            for _ in range(kills):
                service = self.kill_something(service)
            self.finish()
            self.note_faults(service)
        finally:
            service.kill()
            service.wait()
        self.judge()

    def kill_something(self, service: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """A run that ends early, or a service that does; the service there is afterwards."""
        run = self.run()
        time.sleep(self.rng.choice((0.5, 1.0, 2.0, 6.0)) * self.rng.uniform(0.5, 1.2))
        is_another = False
        if self.cluster is not None and self.rng.random() < CLUSTER_IS_STRUCK:
            is_another = self.cluster.strike(service)
        if is_another or self.rng.random() < SERVICE_DIES:
            self.note_faults(service)
            service.kill()
            service.wait()
            self.told.service_kills += 1
            service = self.serve()
            time.sleep(self.rng.uniform(0.2, 1.0))
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            self.told.kills += 1
        run.wait()
        return service

    def finish(self) -> None:
        """Runs that nobody kills, until nothing is left; what came to a verdict is put back once by
        hand.
        """
        code = self.run().wait(PATIENCE)
        told = subprocess.run(
            self.words("retry", self.out, "--json"), capture_output=True, check=True
        )
        if again := json.loads(told.stdout)["documents"]:
            self.told.retried += again
            code = self.run().wait(PATIENCE)
        if code != 0:
            self.told.wrong.append(f"the last run ended with {code}")
        if verified := subprocess.run(
            self.words("verify", self.out), capture_output=True
        ).returncode:
            self.told.wrong.append(f"verify ended with {verified}")

    def serve(self) -> subprocess.Popen[bytes]:
        words = [
            "serve",
            "--port",
            self.port,
            "--data-dir",
            self.data,
            "--seed",
            self.rng.randrange(1 << 30),
        ]
        if self.cluster is not None:
            words += self.cluster.words
        order = self.words(*words, *(["--chaos", self.chaos] if self.chaos else []))
        service = subprocess.Popen(
            order, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + (30.0 if self.cluster is None else 120.0)
        while time.monotonic() < until:
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", self.port)) == 0:
                    return service
            time.sleep(0.02)
        raise TimeoutError("the service doesn't listen")

    def run(self) -> subprocess.Popen[bytes]:
        service = [
            "--service",
            f"http://127.0.0.1:{self.port}",
            "-S",
            f"service.settle={self.settle:g}",
        ]
        order = self.words("run", self.inbox, "-o", self.out, "-q", *service)
        return subprocess.Popen(order, env=_environment(), stderr=subprocess.DEVNULL)

    @staticmethod
    def words(*words: object) -> list[str]:
        return [sys.executable, "-m", "batcher", *map(str, words)]

    # --- what came of it --------------------------------------------------------------------------

    def note_faults(self, service: subprocess.Popen[bytes]) -> None:
        """The service forgets with its process which faults it made; it may have lost its cluster,
        and ended with it.
        """
        if service.poll() is not None:
            return
        url = f"http://127.0.0.1:{self.port}/__chaos"
        asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            self.told.faults.update(json.load(answer)["done"])

    def judge(self) -> None:
        told = self.told
        jobs = self._jobs()
        fed = Counter(document for document, status in jobs if status == "Completed")
        told.batches = told.batches + 1
        told.documents = told.documents + self.documents
        told.jobs, told.fed = told.jobs + len(jobs), told.fed + fed.total()
        for document in range(1, self.documents + 1):
            if fed[document] != 1:
                told.wrong.append(
                    f"document {document} has {fed[document]} jobs that got their input"
                )
        told.wrong += self._wrong_results()

    def _jobs(self) -> list[tuple[int, str]]:
        """(document, status) of every job, from the service's own book."""
        with closing(sqlite3.connect(self.data / "service.db")) as book:
            rows = book.execute("SELECT raw_config, status FROM jobs").fetchall()
        return [
            (json.loads(config)["async"]["metadata"]["batcher"]["document"], status)
            for config, status in rows
        ]

    def _wrong_results(self) -> Iterator[str]:
        for path in sorted(self.inbox.iterdir()):
            result = self.out / f"{path.name}.json"
            if not result.is_file():
                yield f"{path.name} has no result"
            elif path.read_text().split()[-1] not in result.read_text():
                yield f"{path.name} has the result of another document"
        results = sum(1 for path in self.out.iterdir() if path.suffix == ".json")
        if results != self.documents:
            yield f"{results} results for {self.documents} documents"


def _environment() -> dict[str, str]:
    return {**os.environ, "REDUCTO_API_KEY": KEY}


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def fill(folder: Path, documents: int) -> None:
    folder.mkdir(parents=True)
    for number in range(documents):
        path = folder / f"letter {number}.txt"
        path.write_text(
            f"Letter {number}\n\nDear customer, your lantern is ready. Yours, "
            f"the-shop-{number:04}\n"
        )
        os.utime(path, (1_700_000_000, 1_700_000_000))


if __name__ == "__main__":
    sys.exit(main())
