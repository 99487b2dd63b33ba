"""`batcher web` and `batcher run --web` as a person starts them."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from commandline import batcher, start
from ledgers import make_ledger
from peer import Peer

ENTRANCE = re.compile(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}")


async def test_it_prints_the_address_and_ends_when_asked_to(tmp_path: Path) -> None:
    """The address is all that is on stdout, for programs."""
    make_ledger(tmp_path / "a" / ".batcher" / "ledger.db", 5)
    process = await start("web", tmp_path)
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    assert ENTRANCE.fullmatch(address)
    assert await status_of(address) == 200
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("missing",), "there is no such folder or manifest"),
        ((".", "--listen", "0.0.0.0:0"), "say --public as well"),
        ((".", "--listen", "nowhere"), "host and port as in"),
        ((), "Missing argument"),
    ],
)
async def test_what_can_t_be_shown_is_told(words: tuple[str, ...], said: str) -> None:
    done = await batcher("web", *words)
    assert done.code == 2 and said in done.err and done.out == ""


async def test_a_port_that_is_taken_is_told(tmp_path: Path, peer: Peer) -> None:
    port = peer.url.rpartition(":")[2]
    done = await batcher("web", tmp_path, "--listen", f"127.0.0.1:{port}")
    assert done.code == 2 and "free the port" in done.err


async def test_others_are_let_in_only_by_a_word_and_with_a_warning(tmp_path: Path) -> None:
    process = await start("web", tmp_path, "--listen", "0.0.0.0:0", "--public")
    assert process.stdout is not None and process.stderr is not None
    assert await process.stdout.readline()
    process.terminate()
    assert "other machines can reach" in (await process.stderr.read()).decode()
    assert await process.wait() == 0


async def test_a_run_is_shown_while_it_lasts(
    words: tuple[object, ...], peer: Peer, tmp_path: Path
) -> None:
    """By a process of its own, which ends with the run. No log has the token."""
    visited = asyncio.Event()

    async def patient(peer: Peer, request: web.Request) -> web.StreamResponse:
        await visited.wait()
        return await peer.run_job(request)

    peer.moods["run_job"] = patient
    log = tmp_path / "run.log"
    process = await start(*words, "--web", "--log-file", log)
    assert process.stderr is not None
    async with asyncio.timeout(60):
        said = ""
        while not (found := ENTRANCE.search(said)):
            said += (await process.stderr.readline()).decode()
        assert await status_of(found[0]) == 200
        visited.set()
        await process.stderr.read()
        assert await process.wait() == 0
    with pytest.raises(aiohttp.ClientConnectorError):
        await status_of(found[0])
    assert "token=" not in log.read_text()


async def test_a_plan_has_nothing_to_show(words: tuple[object, ...]) -> None:
    done = await batcher(*words, "--web", "--dry-run")
    assert done.code == 2 and "--web shows a run" in done.err


async def status_of(address: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        return answer.status
