"""A local service in this process, with real workers that read plain text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from service_client import PARSER, Client, Clock

from batcher.service.local import LocalOptions, LocalService


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret"}) as session:
        yield session


@pytest.fixture
async def client(
    tmp_path: Path, clock: Clock, session: aiohttp.ClientSession
) -> AsyncIterator[Client]:
    options = LocalOptions(tmp_path / "service", workers=1, parser=PARSER, clock=clock)
    async with LocalService(options, key="secret") as service:
        yield Client(session, service)
