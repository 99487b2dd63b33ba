"""What a command costs before it does anything:

`python tests/bench/start.py`. Medians of wall time, in turn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from contest import COMPILED, CONTENDERS, ROOT, inbox_of, run, stub


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    for name, seconds in medians(parser.parse_args().rounds).items():
        print(f"{name:20} {seconds:6.3f} s")


def medians(rounds: int) -> dict[str, float]:
    """Seconds that each command takes."""
    with tempfile.TemporaryDirectory() as folder, inbox_of(20, 1000) as inbox, stub() as url:
        run(CONTENDERS["batcher"], url, inbox, Path(folder))
        commands = {
            "python -c pass": ["-c", "pass"],
            "batcher --version": ["-m", "batcher", "--version"],
            "batcher status": ["-m", "batcher", "status", f"{folder}/out"],
            "batcher failures": ["-m", "batcher", "failures", f"{folder}/out"],
        }
        took: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, words in commands.items():
                took[name].append(timed(words))
    return {name: median(seconds) for name, seconds in took.items()}


def timed(words: list[str]) -> float:
    """Wall time of `python …words`; an exit code is no matter here."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, **COMPILED},
        capture_output=True,
        check=False,
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
