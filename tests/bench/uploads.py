"""What hands save the head of a hosted batch: `python tests/bench/uploads.py`, with Ray installed.

The same files are sent to one stub service by a run alone, and by one with hands on two local Ray
nodes, in turn. What counts is the processor time of the run with its foreman for a document: the
difference between a large batch and a small one, so that starting up is left out. Ray's own
processes aren't counted.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "cluster")]

from contest import batcher, inbox_of, run, stub  # noqa: E402
from lending import start_cluster  # noqa: E402

RESULT = ("--result-bytes", "50000")
SIZES = {"50 KB": 50_000, "2 MB": 2_000_000}
MORE = {"50 KB": 5, "2 MB": 1}  # how many times as many documents: small ones cost little


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=400, help="of the large batch")
    parser.add_argument("--few", type=int, default=100, help="documents of the small batch")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        nodes = ("127.0.0.2", "127.0.0.3")
        start_cluster(Path(root, "nodes"), os.getpid(), *nodes, apart=False)
        address = Path(root, "nodes").read_text().split()[0]
        for cost in costs(
            address, few=arguments.few, many=arguments.documents, rounds=arguments.rounds
        ):
            print(
                f"{cost.name:6} alone {cost.alone:5.2f} ms, with hands {cost.handed:5.2f} ms of "
                f"CPU a document: {cost.found}",
                flush=True,
            )


class Cost(NamedTuple):
    """Milliseconds of processor time for a document, and the ratio as it was found."""

    name: str
    alone: float
    handed: float
    found: str


def costs(address: str, *, few: int, many: int, rounds: int) -> Iterator[Cost]:
    """Measure both sizes, with hands of the cluster at the address and without."""
    on = ("--on", "ray", "-S", f"cluster.address={address}", "-S", "cluster.hands=4")
    for name, size in SIZES.items():
        yield _compared(name, size, on, (few * MORE[name], many * MORE[name]), rounds)


def _compared(
    name: str, size: int, on: tuple[str, ...], counts: tuple[int, int], rounds: int
) -> Cost:
    few, many = counts
    alone: list[float] = []
    handed: list[float] = []
    with inbox_of(few, size) as small, inbox_of(many, size) as large, stub(*RESULT) as url:
        for _ in range(rounds):
            for words, spent in (((), alone), (on, handed)):
                began = run(batcher(*words), url, small).cpu
                whole = run(batcher(*words), url, large).cpu
                spent.append((whole - began) / (many - few) * 1e3)
    ratios = [b / a for a, b in zip(alone, handed, strict=True)]
    rounds_found = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    found = f"{median(ratios):.2f} ({rounds_found})"
    return Cost(name, median(alone), median(handed), found)


if __name__ == "__main__":
    main()
