"""The real process, killed with SIGKILL at random moments: nothing is lost and nothing is paid for
twice.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest

from batcher.ledger.connection import reader
from batcher.maintenance.verify import verify

DOCUMENTS = int(os.environ.get("CRASH_DOCUMENTS", "40"))
KILLS = int(os.environ.get("CRASH_KILLS", "4"))
SEED = int(os.environ.get("CRASH_SEED", str(random.SystemRandom().randrange(1 << 32))))


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    for number in range(DOCUMENTS):
        path = folder / f"{number % 7}" / f"letter {number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Letter {number}\n\nDear customer {number}, your lantern is ready.\n")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


@pytest.mark.timeout(600)
def test_killed_at_random_moments_every_document_is_saved_and_paid_once(
    inbox: Path, tmp_path: Path
) -> None:
    """The service's own jobs are the witness: one completed job for each document, however often
    batcher died.
    """
    print(f"CRASH_SEED={SEED}")
    rng = random.Random(SEED)
    out = tmp_path / "out"
    killed = 0
    while killed < KILLS:
        process = _start(inbox, out)
        time.sleep(rng.uniform(0.3, 2.5))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        killed += 1
        process.wait()
    assert _start(inbox, out).wait(timeout=300) == 0

    results = sorted(path.relative_to(out) for path in out.rglob("*.txt.json"))
    assert len(results) == DOCUMENTS
    for path in results:
        number = path.name.split()[1].split(".")[0]
        text = json.loads((out / path).read_bytes())["result"]["chunks"][0]["content"]
        assert f"customer {number}," in text
    _everything_made_of_them_is_there_once(out)
    assert _completed_by_document(out) == Counter(dict.fromkeys(range(1, DOCUMENTS + 1), 1))


def _start(inbox: Path, out: Path) -> subprocess.Popen[bytes]:
    formats = 'output.formats=["json", "markdown", "jsonl", "parquet"]'
    return subprocess.Popen(
        [sys.executable, "-m", "batcher", "run", str(inbox), "-o", str(out), "-q", "-S", formats]
    )


def _everything_made_of_them_is_there_once(out: Path) -> None:
    sources = [
        json.loads(line)["source"] for line in (out / "results.jsonl").read_text().splitlines()
    ]
    assert len(sources) == len(set(sources)) == DOCUMENTS
    table = pyarrow.parquet.read_table(out / "results.parquet").column("source").to_pylist()
    assert sorted(table) == sorted(sources)
    assert len(list(out.rglob("*.txt.md"))) == DOCUMENTS
    assert verify(reader(out / ".batcher" / "ledger.db"), out).strays == ()


def _completed_by_document(out: Path) -> Counter[int]:
    """From the service's own book: how many jobs that got their input each document has."""
    book = sqlite3.connect(out / ".batcher" / "service" / "service.db")
    rows = book.execute("SELECT raw_config FROM jobs WHERE status = 'Completed'")
    return Counter(json.loads(row[0])["async"]["metadata"]["batcher"]["document"] for row in rows)
