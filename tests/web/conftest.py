"""A server that shows one folder, and clients that are let in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from web_client import Client, client_of

from batcher.web.server import showing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is shown; a test puts batches into it."""
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
async def shown(folder: Path) -> AsyncIterator[Client]:
    """A client that has opened the address of a server which shows `folder`."""
    async with showing([folder]) as address, client_of(address) as client:
        await client.enter()
        yield client
