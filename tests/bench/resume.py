"""What coming back costs: `python tests/bench/resume.py [--files 100000 --rows 1000000]`.

A second run over unchanged files against `find -printf` over the same tree; and a large ledger: one
new document sent and saved, `status`, `failures`, and the bytes of ledger per finished document.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from contest import CONTENDERS, inbox_of, run, stub
from start import timed

BATCHER = CONTENDERS["batcher"]
FOLDER_OF = 1000  # files in a folder

# One document that has really been through a run, `?` times more. The events of all are those of
# the first.
_MORE = "WITH RECURSIVE more(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM more WHERE n < ?)"
_NEW = {
    "documents": {
        "id": "n",
        "source": "printf('%05d/%08d.pdf', n / 1000, n)",
        "content": "printf('%064x.pdf', n)",
        "output": "printf('%05d/%08d.pdf.json', n / 1000, n)",
        "output_key": "printf('%05d/%08d.pdf.json', n / 1000, n)",
        "output_sha256": "printf('%064x', n)",
    },
    "attempts": {
        "document": "n",
        "nonce": "printf('%024x', n)",
        "content": "printf('%064x.pdf', n)",
        "file_id": "printf('reducto://%032x', n)",
        "job_id": "printf('a%031x', n)",
    },
    "events": {"seq": "NULL", "document": "n"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=20_000)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        inbox_of(1, 1000) as inbox,
        stub("--result-bytes", "1000") as url,
    ):
        again = second_run(arguments.files, url, Path(folder, "second"))
        large = large_ledger(arguments.rows, url, inbox, Path(folder, "large"))
    print(
        f"second run over {arguments.files} unchanged files: {again.requests} requests, "
        f"{again.seconds:.2f} s beyond"
        f" start-up = {again.seconds / again.find:.1f} x find -printf ({again.find:.2f} s)"
    )
    print(f"ledger of {arguments.rows} saved documents: {large.row_bytes:.0f} bytes each")
    print(
        f"  run: first submission after {large.first:.2f} s; with an empty ledger after "
        f"{large.first_of_small:.2f} s"
    )
    print(f"  batcher status: {large.status:.2f} s, batcher failures: {large.failures:.2f} s")


class SecondRun(NamedTuple):
    """`requests` that cost; seconds beyond start-up, and of `find -printf`."""

    requests: int
    seconds: float
    find: float


class LargeLedger(NamedTuple):
    """Seconds, each from the start of the command; to the first submission for a run of one new
    document.
    """

    row_bytes: float
    first: float
    first_of_small: float
    status: float
    failures: float


def second_run(files: int, url: str, folder: Path) -> SecondRun:
    """The first run saves one document; its ledger is then made to know all of the files as it
    knows that one.
    """
    inbox = folder / "inbox"
    _write(inbox, 1)
    run(BATCHER, url, inbox, folder)
    for number in range(2, files + 1):
        _write(inbox, number)
    ledger = folder / "out" / ".batcher" / "ledger.db"
    multiply(ledger, files)
    acquaint(ledger, inbox, files)
    began = time.perf_counter()
    subprocess.run(
        ["find", inbox, "-printf", "%p %s %T@ %i\n"], stdout=subprocess.DEVNULL, check=True
    )
    find = time.perf_counter() - began
    again = run(BATCHER, url, inbox, folder)
    inbox.rename(folder / "aside")
    inbox.mkdir()
    start = run(BATCHER, url, inbox, folder)
    return SecondRun(again.costly, again.wall - start.wall, find)


def _write(inbox: Path, number: int) -> None:
    path = inbox / f"{number // FOLDER_OF:05}" / f"{number:08}.pdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"%d" % number)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def acquaint(ledger: Path, inbox: Path, files: int) -> None:
    """Let it have seen each file as it lies there."""
    rows = []
    for number in range(1, files + 1):
        found = (inbox / f"{number // FOLDER_OF:05}" / f"{number:08}.pdf").stat()
        rows.append((found.st_size, found.st_mtime_ns, found.st_ino, number))
    with sqlite3.connect(ledger) as connection:
        connection.executemany(
            "UPDATE documents SET size = ?, mtime_ns = ?, inode = ? WHERE id = ?", rows
        )
    connection.close()


def large_ledger(rows: int, url: str, inbox: Path, folder: Path) -> LargeLedger:
    small = run(BATCHER, url, inbox, folder)
    ledger = folder / "out" / ".batcher" / "ledger.db"
    multiply(ledger, rows)
    size = ledger.stat().st_size
    (inbox / "000000.pdf").write_bytes(b"changed")
    os.utime(inbox / "000000.pdf", (1_700_000_000, 1_700_000_000))
    large = run(BATCHER, url, inbox, folder)
    status, failures = (
        timed(["-m", "batcher", name, str(folder / "out")]) for name in ("status", "failures")
    )
    return LargeLedger(size / rows, large.submitted_after, small.submitted_after, status, failures)


def multiply(ledger: Path, rows: int) -> None:
    with sqlite3.connect(ledger) as connection:
        for table, new in _NEW.items():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(new.get(column, column) for column in columns)
            first = "id" if table == "documents" else "document"
            connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) {_MORE}"
                f" SELECT {values} FROM more, {table} WHERE {table}.{first} = 1",
                (rows,),
            )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


if __name__ == "__main__":
    main()
