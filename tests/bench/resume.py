"""What coming back costs: `python tests/bench/resume.py [--files 100000 --rows 1000000]`.

A second run over unchanged files against `find -printf` over the same tree; and a large ledger: one new document sent
and saved, `status`, `failures`, and the bytes of ledger per finished document.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

from contest import CONTENDERS, inbox_of, run, stub
from start import timed

BATCHER = CONTENDERS["batcher"]
FOLDER_OF = 1000  # files in a folder

# One document that has really been through a run, `?` times more. The events of all are those of the first.
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
    with tempfile.TemporaryDirectory() as folder, inbox_of(1, 1000) as inbox, stub("--result-bytes", "1000") as url:
        second_run(arguments.files, url, Path(folder, "second"))
        large_ledger(arguments.rows, url, inbox, Path(folder, "large"))


def second_run(files: int, url: str, folder: Path) -> None:
    inbox = folder / "inbox"
    for number in range(files):
        path = inbox / f"{number // FOLDER_OF:05}" / f"{number:08}.pdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    run(BATCHER, url, inbox, folder)
    began = time.perf_counter()
    subprocess.run(["find", inbox, "-printf", "%p %s %T@ %i\n"], stdout=subprocess.DEVNULL, check=True)
    find = time.perf_counter() - began
    again = run(BATCHER, url, inbox, folder)
    shutil.rmtree(inbox)
    inbox.mkdir()
    start = run(BATCHER, url, inbox, folder)
    beyond = again.wall - start.wall
    print(
        f"second run over {files} unchanged files: {again.requests} requests, {beyond:.2f} s beyond start-up"
        f" = {beyond / find:.1f} x find -printf ({find:.2f} s)"
    )


def large_ledger(rows: int, url: str, inbox: Path, folder: Path) -> None:
    small = run(BATCHER, url, inbox, folder)
    ledger = folder / "out" / ".batcher" / "ledger.db"
    multiply(ledger, rows)
    size = ledger.stat().st_size
    (inbox / "000000.pdf").write_bytes(b"changed")
    os.utime(inbox / "000000.pdf", (1_700_000_000, 1_700_000_000))
    large = run(BATCHER, url, inbox, folder)
    print(f"ledger of {rows} saved documents: {size / rows:.0f} bytes each")
    print(
        f"  one new document: {large.wall:.2f} s in all, {large.wall - small.wall:.2f} s more than with an empty ledger"
    )
    for name in ("status", "failures"):
        print(f"  batcher {name}: {timed(['-m', 'batcher', name, str(folder / 'out')]):.2f} s")


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
