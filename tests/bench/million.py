"""A million documents in the source, the first 50,000 processed: `python tests/bench/million.py`.
Peak RSS and pace.

It makes and removes a million small files, which takes minutes by itself.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import NamedTuple

from contest import batcher, run, stub

FOLDER_OF = 1000  # files in a folder
STOPPED = 3  # the exit code of a run that its limit ends


class Flat(NamedTuple):
    """`peak` bytes; milliseconds per document in the second and in the last tenth of those that
    were saved.

    The first tenth tells nothing: a run sends for two seconds, and then fetches in a burst what has
    ended meanwhile.
    """

    peak: int
    second: float
    last: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--processed", type=int, default=50_000)
    arguments = parser.parse_args()
    flat = measure(arguments.files, arguments.processed)
    print(
        f"{arguments.files} documents, {arguments.processed} processed: peak "
        f"{flat.peak / 1e6:.0f} MB;"
        f" {flat.second:.2f} ms a document in the second tenth, {flat.last:.2f} ms in the last"
    )


def measure(files: int, processed: int) -> Flat:
    with tempfile.TemporaryDirectory() as folder, stub("--result-bytes", "1000") as url:
        inbox = Path(folder, "inbox")
        for number in range(files):
            path = inbox / f"{number // FOLDER_OF:05}" / f"{number:08}.pdf"
            if number % FOLDER_OF == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"%d" % number)
            os.utime(path, (1_700_000_000, 1_700_000_000))
        words = batcher("-S", f"limits.max_documents={processed}")
        used = run(words, url, inbox, Path(folder), ends_with=STOPPED)
        saved = _saved(Path(folder, "out", ".batcher", "ledger.db"))
    tenth = len(saved) // 10
    second = saved[2 * tenth] - saved[tenth]
    last = saved[-1] - saved[-1 - tenth]
    return Flat(used.peak, 1e3 * second / tenth, 1e3 * last / tenth)


def _saved(ledger: Path) -> list[float]:
    with sqlite3.connect(ledger) as connection:
        return [
            at
            for (at,) in connection.execute(
                "SELECT at FROM events WHERE event = 'Saved' ORDER BY seq"
            )
        ]


if __name__ == "__main__":
    main()
