"""A run of three documents, failed at its first write-side call, at its second, and so on until one
gets through.

`python tests/faults/every.py`; `--step 9` takes every ninth call, `--defect NAME` plants one,
`--mode KILL` is one of the modes of shim.c. Needs a C compiler; where it may mount ext4 on loop
devices (root), ledger and results lie on two of them and the power is cut too. Exit code 1 where
something was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from disks import Disks, mounted, plain, why_no_power_cuts
from sickness import DEFECTS
from trial import Laboratory, Mode, laboratory

DOCUMENTS = 3
MODES = (Mode.KILL, Mode.CUT, Mode.EIO_ONCE, Mode.EIO_FOR_EVER, Mode.FULL, Mode.SHORT)


class Finding(NamedTuple):
    mode: Mode
    nth: int
    wrong: list[str]


def main() -> int:
    # mounts are taken down on the way out
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = _arguments()
    modes = [Mode[arguments.mode]] if arguments.mode else list(MODES)
    if lacking := why_no_power_cuts():
        print(f"{lacking}: ledger and results lie in two folders, and the power stays on")
        modes.remove(Mode.CUT)
    with tempfile.TemporaryDirectory() as root:
        return asyncio.run(_tell(Path(root), modes, arguments, cuts=lacking is None))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument(
        "--workers", type=int, default=3, help="trials at once, each on disks of its own"
    )
    parser.add_argument("--mode", choices=[mode.name for mode in MODES])
    parser.add_argument("--defect", choices=list(DEFECTS), default="")
    return parser.parse_args()


async def _tell(
    root: Path, modes: Sequence[Mode], arguments: argparse.Namespace, *, cuts: bool
) -> int:
    began = time.monotonic()
    trials = Counter[Mode]()
    wrong = Counter[Mode]()

    async def work(number: int) -> None:
        (place := root / str(number)).mkdir()
        first = 1 + number * arguments.step
        step = arguments.workers * arguments.step
        with on_disks(place, cuts=cuts) as disks:
            async with laboratory(
                disks, place, documents=DOCUMENTS, defect=arguments.defect
            ) as lab:
                async for finding in every(lab, modes, first=first, step=step):
                    trials[finding.mode] += 1
                    wrong[finding.mode] += bool(finding.wrong)
                    for words in finding.wrong:
                        print(f"{finding.mode.name} at call {finding.nth}: {words}", flush=True)

    async with asyncio.TaskGroup() as group:
        for number in range(arguments.workers):
            group.create_task(work(number))
    for mode in modes:
        print(
            f"{mode.name:13} {trials[mode]:4} runs failed at one call, {wrong[mode]} of them with "
            "something wrong"
        )
    print(f"{trials.total()} trials in {time.monotonic() - began:.0f} s")
    return 1 if wrong.total() else 0


def on_disks(root: Path, *, cuts: bool) -> AbstractContextManager[Disks]:
    return mounted(root) if cuts else plain(root)


async def every(
    lab: Laboratory, modes: Sequence[Mode], *, first: int = 1, step: int = 1
) -> AsyncIterator[Finding]:
    """Each mode at call `first`, `first + step` and so on, until a run doesn't get that far."""
    for mode in modes:
        nth = first
        reached = True
        while reached:
            wrong, reached = await lab.trial(mode, nth)
            if reached:
                yield Finding(mode, nth, wrong)
            nth += step


if __name__ == "__main__":
    sys.exit(main())
