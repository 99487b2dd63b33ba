"""Which seeds show each planted defect: `python tests/simulation/shown_by.py` looks, and writes
`shown_by.json`.

The tests try these first, which is all the file is for: where a change of batcher or of the world
has made them silent, they look through the others, and take longer. `--only WORDS` looks for the
defects whose name has the words.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_suffix(".json")
WANTED: Final = 2  # seeds of each; where the first is silent one day, another may still speak
SEEDS: Final = 2_000


def shown_by() -> dict[str, list[int]]:
    """Seeds by the name of the defect that they have shown."""
    told: dict[str, list[int]] = json.loads(FILE.read_text())
    return told


def shows(name: str, seed: int, root: Path) -> bool:
    """Whether the seed ends in a violation with the defect, and without it doesn't: else it shows
    another one.
    """
    from life import live
    from mutants import planted

    with planted(name):
        if not live(seed, root).violations:
            return False
    return not live(seed, root).violations


def main() -> int:
    from mutants import MUTANTS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those whose name has these words")
    parser.add_argument("--wanted", type=int, default=WANTED, help="seeds of each")
    arguments = parser.parse_args()
    known = {name: seeds for name, seeds in shown_by().items() if name in MUTANTS}
    with tempfile.TemporaryDirectory(
        dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    ) as root:
        for name in MUTANTS:
            if arguments.only in name:
                known[name] = _seeds_that_show(
                    name, Path(root), known.get(name, []), arguments.wanted
                )
                print(f"{name}: {known[name]}", flush=True)
                FILE.write_text(json.dumps(known, indent=1) + "\n")
    return 0 if all(known.get(name) for name in MUTANTS) else 1


def _seeds_that_show(name: str, root: Path, before: list[int], wanted: int) -> list[int]:
    """A few are enough, the first of them cheap to find."""
    shown = (seed for seed in dict.fromkeys((*before, *range(SEEDS))) if shows(name, seed, root))
    return list(islice(shown, wanted))


if __name__ == "__main__":
    sys.exit(main())
