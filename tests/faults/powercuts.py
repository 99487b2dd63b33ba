"""A batch whose power is cut at random moments, again and again, until it is done: `python
tests/faults/powercuts.py`.

Ledger and results lie on two ext4 file systems on loop devices, which forget what wasn't synced
(needs root, and a C compiler for the same driver). What was acknowledged before a cut must be there
after it. Exit code 1 where it isn't.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from disks import mounted, why_no_power_cuts
from sickness import DEFECTS
from trial import Laboratory, laboratory
from witness import Book

DOCUMENTS = 40
CUTS = 5  # in the life of one batch
LIVES_FOR = 1.2  # seconds at most between start and cut


@dataclass(slots=True)
class Told:
    batches: int = 0
    cuts: int = 0
    acknowledged: int = 0
    wrong: list[str] = field(default_factory=list)


def main() -> int:
    # mounts are taken down on the way out
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--defect", choices=list(DEFECTS), default="")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    if lacking := why_no_power_cuts():
        print(lacking)
        return 2
    print(f"seed {arguments.seed}", flush=True)
    began = time.monotonic()
    told = Told()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as root:
        asyncio.run(_cut_all(Path(root), rng, told, cuts=arguments.cuts, defect=arguments.defect))
    for words in told.wrong:
        print(words)
    print(
        f"{told.cuts} power cuts in {told.batches} batches of {DOCUMENTS} documents, "
        f"{told.acknowledged} results "
        f"acknowledged before a cut; {len(told.wrong)} things wrong; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if told.wrong else 0


async def _cut_all(root: Path, rng: random.Random, told: Told, *, cuts: int, defect: str) -> None:
    with mounted(root) as disks:
        async with laboratory(disks, root, documents=DOCUMENTS, defect=defect) as lab:
            while told.cuts < cuts:
                await batch(lab, rng, told)


async def batch(lab: Laboratory, rng: random.Random, told: Told) -> None:
    """One batch from its first run to its end, its power cut in between."""
    told.batches += 1
    lab.begin(Book(lambda job: (rng.uniform(0.0, 0.3), None)))

    async def cut(pid: int) -> None:
        await asyncio.sleep(rng.uniform(0.02, LIVES_FOR))
        lab.hear()
        lab.disks.cut_power()
        with contextlib.suppress(ProcessLookupError):  # it has noticed, or was done
            os.kill(pid, signal.SIGKILL)

    for number in range(CUTS):
        await lab.run(meanwhile=cut)
        lab.disks.restore_power()
        told.cuts += 1
        told.wrong += [
            f"batch {told.batches}, cut {number + 1}: {words}"
            for words in lab.witness.after_the_fault()
        ]
    told.acknowledged += len(lab.witness.acknowledged)
    told.wrong += [f"batch {told.batches}, in the end: {words}" for words in await lab.recover()]


if __name__ == "__main__":
    sys.exit(main())
