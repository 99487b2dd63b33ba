"""What is too large for what is left of a limit is passed over, and nothing else is on account of
it.
"""

from __future__ import annotations

import asyncio
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from house import House
from virtual import run_virtually

from batcher.core import events
from batcher.errors import NotFound
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, Transition
from batcher.manifest.model import Limits
from batcher.reducto.fake_client import FakeClient

MTIME = 1_700_000_000


class ReluctantOnce(FakeClient):
    """Has forgotten the first text's upload, which is made again a little later."""

    refused = False

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        if not self.refused and str(source).endswith(".txt"):
            self.refused = True
            raise NotFound("run_job", "no such upload", status=404)
        return await super().run_job(endpoint, source, options, **more)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_large_document_that_makes_way_holds_up_no_smaller_one(house: House) -> None:
    """Edited while it was passed over: what is refused for now is still to be sent, and fits."""

    async def work() -> None:
        house.put(b="small")
        _write(house, pages=30)
        house.client = ReluctantOnce(house.service)
        house.limits = Limits(max_pages=5)
        heard: list[asyncio.Task[None]] = []

        def watch(ledger: Ledger) -> bool:
            if not ledger.listeners or ledger.listeners[-1] is not hear:
                ledger.listeners.append(hear)
                hear.ledger = ledger  # type: ignore[attr-defined]
            return False

        def hear(change: Transition) -> None:
            if isinstance(change.event, events.Postponed) and not heard:
                heard.append(asyncio.create_task(_edit(house, hear.ledger, change.event.document)))  # type: ignore[attr-defined]

        tally = await house.run(until=watch)
        assert tally == {"saved": 2, "superseded": 1}
        assert house.control.exit_code == 0

    run_virtually(work())


async def _edit(house: House, ledger: Ledger, document: int) -> None:
    """As the scanner does it: a version with other bytes takes the place of `document`."""
    path = _write(house, pages=1)
    seen = path.stat()
    digest = sha256(path.read_bytes()).hexdigest()
    sql = "SELECT source, folder, job, step, content, output FROM documents WHERE id = ?"
    source, folder, job, step, content, output = ledger.reader.execute(sql, (document,)).fetchone()
    version = Version(
        source,
        folder,
        job,
        step,
        f"{digest}.{content.partition('.')[2]}",
        seen.st_size,
        seen.st_mtime_ns,
        seen.st_ino,
        output,
        replaces=document,
    )
    await ledger.admit([version])


def _write(house: House, *, pages: int) -> Path:
    path = house.inbox / "a.pdf"
    path.write_bytes(b"%PDF-1.7 " + b"<</Type/Page>>" * pages)
    os.utime(path, (MTIME, MTIME))
    return path


@pytest.mark.parametrize("most_out", [None, 2])
def test_a_sample_uploads_no_more_than_it_sends(house: House, most_out: int | None) -> None:
    """Nobody who tries three documents has handed over fifty."""

    async def work() -> None:
        house.put(**{f"n{number:02}": f"text {number}" for number in range(60)})
        house.limits = Limits(max_documents=3)
        house.max_in_flight = most_out
        tally = await house.run()
        assert tally == {"saved": 3, "queued": 57}
        assert len(house.service.uploads) == 3
        assert house.control.exit_code == 3 and "max_documents" in house.control.reason

    run_virtually(work())


def test_a_submission_refused_for_now_gives_its_place_in_the_sample_back(house: House) -> None:
    """It cost nothing: the same document, or another, is sent in its stead."""

    async def work() -> None:
        house.put(**{f"n{number:02}": f"text {number}" for number in range(60)})
        house.client = ReluctantOnce(house.service)
        house.limits = Limits(max_documents=3)
        assert await house.run() == {"saved": 3, "queued": 57}
        assert len(house.service.uploads) == 4

    run_virtually(work())
