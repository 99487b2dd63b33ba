"""What must be true whatever failed, by outside evidence alone: the files that are visible, the
service's own jobs.

The ledger is asked for one thing only: whether it knows what was sent, for a batch that doesn't
will pay again.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from batcher.reducto.fake_client import FakeJob, FakeService

Acknowledged = dict[str, str]  # output: sha256 of the file that was said to be durable there


class Book(FakeService):
    """A service that reads its input on acceptance and keeps a note of what it read for which
    job.
    """

    def __init__(
        self, work: Callable[[FakeJob], tuple[float, str | None]] = lambda job: (0.0, None)
    ) -> None:
        super().__init__(time.time, work=work)
        self.read: dict[str, str] = {}

    def accept(self, endpoint: str, source: str, config: str) -> FakeJob:
        job = super().accept(endpoint, source, config)
        if source in self.uploads:
            self.read[job.job_id] = sha256(self.uploads[source]).hexdigest()
        return job

    def result(self, job: FakeJob) -> bytes:
        chunks = [{"content": self.read[job.job_id], "blocks": []}]
        usage = {"num_pages": 1, "credits": 1.0}
        body = {"job_id": job.job_id, "response_type": job.endpoint, "usage": usage}
        return json.dumps({**body, "result": {"type": "full", "chunks": chunks}}).encode()


@dataclass(slots=True)
class Witness:
    """`documents`: output that each source is to have, and the hash of that source's bytes."""

    book: Book
    output: Path
    ledger: Path
    documents: dict[str, str]
    acknowledged: Acknowledged = field(default_factory=dict)

    def after_the_fault(self) -> list[str]:
        return [
            *self._torn_files(),
            *self._broken_promises(),
            *self._paid_twice(),
            *self._forgotten_submissions(),
        ]

    def in_the_end(self) -> list[str]:
        return [
            *self._torn_files(),
            *self._broken_promises(),
            *self._paid_twice(),
            *self._missing(),
        ]

    def _torn_files(self) -> Iterator[str]:
        """Whatever has a result's name is a whole result, and the right one."""
        for path in self.output.rglob("*.json") if self.output.is_dir() else ():
            name = str(path.relative_to(self.output))
            if name.startswith(".batcher"):
                continue
            try:
                told = json.loads(path.read_bytes())["result"]["chunks"][0]["content"]
            except (ValueError, LookupError, TypeError):
                yield f"{name} is torn"
                continue
            if told != self.documents.get(name):
                yield f"{name} has the result of another document"

    def _broken_promises(self) -> Iterator[str]:
        for name, digest in self.acknowledged.items():
            path = self.output / name
            if not path.is_file():
                yield f"{name} was said to be saved, and isn't there"
            elif sha256(path.read_bytes()).hexdigest() != digest:
                yield f"{name} was said to be saved, and has other bytes"

    def _paid_twice(self) -> Iterator[str]:
        names = {digest: name for name, digest in self.documents.items()}
        for digest, number in Counter(self.book.read.values()).items():
            if number > 1:
                yield f"{names[digest]} was paid for {number} times"

    def _forgotten_submissions(self) -> Iterator[str]:
        known = self._nonces()
        for job in self.book.jobs.values():
            nonce = json.loads(job.config)["async"]["metadata"]["batcher"]["nonce"]
            if nonce not in known:
                yield f"job {job.job_id} was sent without a trace in the ledger"

    def _nonces(self) -> set[str]:
        """From a copy: a look must not mend what it looks at."""
        if not self.ledger.exists():
            return set()
        with tempfile.TemporaryDirectory() as folder:
            for part in ("", "-wal"):
                original = Path(f"{self.ledger}{part}")
                if original.exists():
                    shutil.copyfile(original, Path(folder) / f"copy.db{part}")
            with closing(sqlite3.connect(Path(folder) / "copy.db")) as connection:
                if not connection.execute(
                    "SELECT 1 FROM sqlite_master WHERE name = 'attempts'"
                ).fetchone():
                    return set()
                return {row[0] for row in connection.execute("SELECT nonce FROM attempts")}

    def _missing(self) -> Iterator[str]:
        for name in self.documents:
            if not (self.output / name).is_file():
                yield f"{name} was never saved"
