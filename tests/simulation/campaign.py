"""Many seeds on all cores: `python tests/simulation/campaign.py --seconds 120`, or `--seeds 1000`,
or `--seed 17`. With `--hands` each of the seeds is one whose life has hands.

Prints every violation with its seed, then what was met along the way. Exit code 1 where there was a
violation.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from pathlib import Path

from hands import has_hands
from life import Outcome, live

CHUNK = 20  # seeds that a worker takes at once


def main() -> int:
    arguments = _arguments()
    first = (
        arguments.first if arguments.first is not None else random.SystemRandom().randrange(1 << 32)
    )
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as root:
        if arguments.seed is not None:
            return _tell([live(arguments.seed, Path(root))], verbose=True)
        seeds = islice(_seeds(first, arguments), arguments.seeds)
        print(f"seeds from {first} on", flush=True)
        return _tell(_all(seeds, root, until=time.monotonic() + arguments.seconds))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many; default: as many as the time allows")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--first", type=int, help="the first seed; default: a random one")
    parser.add_argument("--hands", action="store_true", help="only lives that have hands")
    parser.add_argument("--seed", type=int, help="this one alone, in this process")
    return parser.parse_args()


def _seeds(first: int, arguments: argparse.Namespace) -> Iterator[int]:
    return filter(has_hands, count(first)) if arguments.hands else count(first)


def _fast_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _live_all(seeds: list[int], root: str) -> list[Outcome]:
    return [live(seed, Path(root)) for seed in seeds]


def _all(seeds: Iterator[int], root: str, *, until: float) -> Iterator[Outcome]:
    with ProcessPoolExecutor() as pool:
        running = [
            pool.submit(_live_all, list(islice(seeds, CHUNK)), root)
            for _ in range(2 * (os.cpu_count() or 1))
        ]
        while running:
            yield from running.pop(0).result()
            if time.monotonic() < until and (more := list(islice(seeds, CHUNK))):
                running.append(pool.submit(_live_all, more, root))


def _tell(outcomes: Iterator[Outcome] | list[Outcome], *, verbose: bool = False) -> int:
    began = time.monotonic()
    seeds = 0
    documents = 0
    runs = 0
    hours = 0.0
    bad = 0
    faults: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for outcome in outcomes:
        seeds = seeds + 1
        documents = documents + outcome.documents
        runs = runs + outcome.runs
        hours += outcome.virtual_seconds / 3600
        faults.update(outcome.faults)
        states.update(outcome.tally)
        bad += bool(outcome.violations)
        for violation in outcome.violations:
            print(f"seed {outcome.seed}: {violation}", flush=True)
        if verbose:
            print(outcome)
    print(
        f"{seeds} seeds, {documents} documents, {runs} runs, {hours / 24 / 365:.2f} years in "
        f"{_span(began)}"
    )
    print("states:", ", ".join(f"{number} {state}" for state, number in states.most_common()))
    print("faults:", ", ".join(f"{number} {fault}" for fault, number in faults.most_common()))
    print(f"{bad} seeds with violations")
    return 1 if bad else 0


def _span(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
