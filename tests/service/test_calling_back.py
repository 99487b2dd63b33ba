"""Whole runs that the local service calls back: direct, signed, early, late, twice and not at
all.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from pathlib import Path
from typing import Any

import pytest
from service_client import PARSER

from batcher.errors import ManifestError, ReceiverUnusable
from batcher.manifest.loading import for_directory
from batcher.manifest.model import Manifest
from batcher.runs.running import Summary, run_batch
from batcher.service.endpoints import Endpoint
from batcher.service.faults import read_orders
from batcher.service.local import LocalOptions, LocalService
from batcher.service.webhooks import Pauses

DOCUMENTS = 12
SECRET = "whsec_" + base64.b64encode(b"the endpoint's own secret").decode()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for number in range(DOCUMENTS):
        (folder / f"{number}.txt").write_text(f"letter {number}")
    return folder


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDUCTO_API_KEY", "secret")


def free_port() -> int:
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        return int(spare.getsockname()[1])


def local(folder: Path, **more: Any) -> LocalService:
    pauses = Pauses(direct=(0.01, 0.01, 0.01), svix=(0.01, 0.01))
    options = LocalOptions(folder / "service", workers=1, parser=PARSER, pauses=pauses, **more)
    return LocalService(options, key="secret")


def manifest(inbox: Path, url: str, port: int, *more: str) -> Manifest:
    listen = (f"webhook.listen=127.0.0.1:{port}", f"webhook.public_url=http://127.0.0.1:{port}")
    return for_directory(inbox, inbox.parent / "out", service=url, overrides=(*listen, *more))


async def run(what: Manifest) -> Summary:
    async with asyncio.timeout(60):
        return await run_batch(what)


async def test_a_direct_webhook_brings_each_result_home(tmp_path: Path, inbox: Path) -> None:
    """Every document saved, each by a message with its own token."""
    async with local(tmp_path) as service:
        summary = await run(manifest(inbox, service.url, free_port()))
    assert summary.documents == {"saved": DOCUMENTS}


async def test_a_signed_webhook_brings_each_result_home(
    tmp_path: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several secrets the service signs with one."""
    monkeypatch.setenv(
        "HOOK_SECRET", f"whsec_{base64.b64encode(b'of last year').decode()} {SECRET}"
    )
    port = free_port()
    async with local(tmp_path, webhooks=[Endpoint(f"http://127.0.0.1:{port}", SECRET)]) as service:
        more = ("webhook.mode=svix", "webhook.secret_env=HOOK_SECRET")
        summary = await run(manifest(inbox, service.url, port, *more))
    assert summary.documents == {"saved": DOCUMENTS}


FATES = {
    "late": "webhook-late=1:30",
    "twice": "webhook-duplicate=1",
    "late or twice": "webhook-late=0.5:0.2,webhook-duplicate=0.5",
}


@pytest.mark.parametrize("name", FATES)
async def test_a_webhook_that_comes_late_or_twice_changes_nothing(
    name: str, tmp_path: Path, inbox: Path
) -> None:
    """The poller looks anyway; each document is submitted and saved once."""
    async with local(tmp_path, chaos=read_orders(FATES[name])) as service:
        summary = await run(manifest(inbox, service.url, free_port()))
    assert summary.documents == {"saved": DOCUMENTS}
    assert summary.credits == DOCUMENTS


async def test_webhooks_that_are_all_lost_change_nothing(tmp_path: Path, inbox: Path) -> None:
    """Nobody listens at the address the service was given."""
    async with local(tmp_path) as service:
        elsewhere = f"webhook.public_url=http://127.0.0.1:{free_port()}"
        summary = await run(manifest(inbox, service.url, free_port(), elsewhere))
    assert summary.documents == {"saved": DOCUMENTS}


async def test_no_webhook_is_asked_for_unless_the_manifest_has_one(
    tmp_path: Path, inbox: Path
) -> None:
    """Nothing listens then."""
    async with local(tmp_path) as service:
        plain = for_directory(inbox, tmp_path / "out", service=service.url)
        summary = await run(plain)
        asked = [row for row in await _requests(service) if "webhook" in row]
    assert summary.documents == {"saved": DOCUMENTS} and asked == []


async def _requests(service: LocalService) -> list[str]:
    from batcher.reducto.client import ReductoClient

    async with ReductoClient(service.url, service.key) as client:
        return [str(row.raw_config) for row in (await client.jobs()).jobs]


async def test_a_port_that_is_taken_stops_the_run_before_it_sends(
    tmp_path: Path, inbox: Path
) -> None:
    """Exit 2, and nothing was paid."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with local(tmp_path) as service:
            with pytest.raises(ReceiverUnusable, match="free the port") as said:
                await run(manifest(inbox, service.url, taken.getsockname()[1]))
            assert said.value.exit_code == 2 and await _requests(service) == []


@pytest.mark.parametrize("held", ["", "not base64!"])
async def test_a_secret_that_is_missing_or_broken_is_named(
    held: str, tmp_path: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its variable; what it holds isn't shown."""
    monkeypatch.setenv("HOOK_SECRET", held)
    async with local(tmp_path) as service:
        more = ("webhook.mode=svix", "webhook.secret_env=HOOK_SECRET")
        with pytest.raises(ManifestError, match="HOOK_SECRET") as said:
            await run(manifest(inbox, service.url, free_port(), *more))
    assert not held or held not in str(said.value)


WRONG = {
    "a public_url that is no URL": (("webhook.public_url=my-laptop",), "webhook.public_url"),
    "no public_url": (("webhook.mode=direct",), "webhook.public_url"),
    "no secret for svix": (("webhook.mode=svix",), "webhook.secret_env"),
    "listen without a port": (
        ("webhook.listen=localhost", "webhook.public_url=https://x"),
        "webhook.listen",
    ),
    "an unknown mode": (("webhook.mode=pigeon",), "webhook.mode"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_webhook_table_lacks_is_said(name: str, inbox: Path, tmp_path: Path) -> None:
    """With its key, before anything starts."""
    overrides, key = WRONG[name]
    with pytest.raises(ManifestError) as said:
        for_directory(inbox, tmp_path / "out", service="reducto", overrides=overrides)
    assert key in [problem.key for problem in said.value.problems]
