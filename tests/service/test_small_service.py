"""A service with one worker that soon deletes its results: no more is sent than it ends in time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from service_client import PARSER

from batcher.manifest.loading import for_directory
from batcher.runs.running import run_batch
from batcher.service.local import LocalOptions, LocalService

DOCUMENTS = 80  # seconds: half of what it takes to read them all
EACH = 0.1
RETENTION = 4.0


async def test_a_small_service_that_soon_forgets_loses_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are out at once where nobody minds what it can do, and half of them expire."""
    monkeypatch.setenv("REDUCTO_API_KEY", "secret")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(DOCUMENTS):
        (inbox / f"{number}.txt").write_text(f"take {EACH} seconds, letter {number}")
    options = LocalOptions(tmp_path / "service", workers=1, parser=PARSER, retention=RETENTION)
    async with LocalService(options, key="secret") as service, asyncio.timeout(60):
        told = (f"service.result_retention={RETENTION:g}s",)
        summary = await run_batch(
            for_directory(inbox, tmp_path / "out", service=service.url, overrides=told)
        )
    assert summary.documents == {"saved": DOCUMENTS}
