"""A batch is followed from its ledger alone, and a run that is followed notices nothing."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiohttp import web
from commandline import batcher
from ledgers import make_ledger
from peer import KEY, Peer
from web_client import Client, client_of

from batcher.ledger.lock import is_held
from batcher.ledger.queries.run_activity import last_seq_before
from batcher.ledger.remembered import remembered
from batcher.manifest.loading import for_directory
from batcher.runs.running import run_batch
from batcher.web import live
from batcher.web.catalogue import Batch, Catalogue
from batcher.web.live import Live
from batcher.web.observation import Observation, Observer
from batcher.web.server import showing
from batcher.web.site import Site


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAUSE", 0.02)
    monkeypatch.setattr(live, "REST", 0.0)


def batch_at(ledger: Path) -> Batch:
    return Batch("0" * 16, ledger, ledger.parent.parent, ledger.parent.parent)


async def test_a_run_is_followed_to_its_end(
    inbox: Path, folder: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream names the parts of the page that have changed, and these say how far it is."""
    monkeypatch.setenv("REDUCTO_API_KEY", KEY)
    go_on = asyncio.Event()

    async def held_up(peer: Peer, request: web.Request) -> web.StreamResponse:
        if len(peer.service.jobs) >= 3:
            await go_on.wait()
        return await peer.run_job(request)

    peer.moods["run_job"] = held_up
    manifest = for_directory(
        inbox, folder / "out", service=peer.url, overrides=["limits.max_pages=50"]
    )
    async with asyncio.timeout(60), showing([folder]) as address, client_of(address) as client:
        await client.enter()
        running = asyncio.create_task(run_batch(manifest))
        await peer.has_jobs(3)
        there = await client.batch()
        page = (await client.get(there)).words
        assert "Running" in page and "max_pages" in page and "of 50 pages" in page
        async with client.session.get(f"{address.root}{there}/events") as stream:
            assert stream.content_type == "text/event-stream"
            news = messages(stream.content)
            assert set(await anext(news)) >= {"standing", "pace", "spend", "service", "runs"}
            go_on.set()
            async for changed in news:
                assert changed
                standing = (await client.get(f"{there}/live/standing")).words
                if "Finished" in standing:
                    break
        assert "6 saved" in standing and "100.0 %" in standing
        assert (await running).exit_code == 0
        assert not is_held(manifest.output.ledger_path)
        # The cap was that run's: a command that takes the output has none.
        assert remembered(manifest.output.ledger_path).limits.caps() == {}


async def messages(lines: object) -> AsyncIterator[dict[str, str]]:
    async for line in lines:  # type: ignore[attr-defined]
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


@asynccontextmanager
async def followed(batch: Batch) -> AsyncIterator[Live]:
    site = Site(Catalogue([batch.output]))

    def render(seen: Observation) -> dict[str, str]:
        return {"saved": str(seen.glance.saved), "always": "the same"}

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        yield Live(site, render, group)
    site.close()


async def test_a_ledger_is_looked_at_once_however_many_follow_it(tmp_path: Path) -> None:
    """And only what has changed is told."""
    ledger = make_ledger(tmp_path / ".batcher" / "ledger.db", 20)
    batch = batch_at(ledger)
    async with (
        followed(batch) as live,
        live.following(batch) as one,
        live.following(batch) as two,
        live.following(batch) as three,
    ):
        seen = await one.news({}, 10)
        assert set(seen) == {"saved", "always"}
        assert await two.news({}, 10) == await three.news({}, 10) == seen
        assert one is two is three and one.looks == 1
        forget_one(ledger)
        for follower in (one, two, three):
            assert set(await follower.news(seen, 10)) == {"saved"}
        assert one.looks == 2


async def test_nobody_looks_where_nobody_follows(tmp_path: Path) -> None:
    """The last who leaves ends it."""
    batch = batch_at(make_ledger(tmp_path / ".batcher" / "ledger.db", 5))
    async with followed(batch) as live:
        async with live.following(batch) as watched:
            await watched.news({}, 10)
            task = watched.task
        assert task is not None
        await asyncio.wait([task])
        assert task.cancelled() and watched.followers == 0


async def test_a_ledger_that_is_replaced_is_followed_all_the_same(tmp_path: Path) -> None:
    """As `run --start-over` replaces it, or one that comes and goes."""
    ledger = make_ledger(tmp_path / ".batcher" / "ledger.db", 20)
    batch = batch_at(ledger)
    async with followed(batch) as live, live.following(batch) as watched:
        seen = await watched.news({}, 10)
        for part in ledger.parent.glob("ledger.db*"):
            part.unlink()
        seen |= await watched.news(seen, 10)
        make_ledger(ledger, 30)
        assert set(await watched.news(seen, 10)) == {"saved"}
        assert watched.fragments["saved"].html == str(saved_in(ledger))


async def test_run_after_run_is_followed(words: tuple[object, ...], out: Path, inbox: Path) -> None:
    """The last connection of a run takes SQLite's own files away with it, and the next makes them
    anew.
    """
    assert (await batcher(*words)).code == 0
    batch = batch_at(out / ".batcher" / "ledger.db")
    async with followed(batch) as live, live.following(batch) as watched:
        seen = await watched.news({}, 10)
        for number in range(6, 8):
            assert watched.fragments["saved"].html == str(number)
            (inbox / f"letter {number}.txt").write_text(f"one more: {number}")
            assert (await batcher(*words)).code == 0
            while watched.fragments["saved"].html != str(number + 1):
                seen |= await watched.news(seen, 10)


def forget_one(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        sql = "SELECT min(id) FROM documents WHERE state = 'saved' AND current = 1"
        (one,) = connection.execute(sql).fetchone()
        connection.execute("UPDATE documents SET state = 'queued' WHERE id = ?", (one,))


def saved_in(ledger: Path) -> int:
    with closing(sqlite3.connect(ledger)) as connection:
        sql = "SELECT count(*) FROM documents WHERE state = 'saved' AND current = 1"
        return int(connection.execute(sql).fetchone()[0])


@pytest.mark.parametrize("seed", range(20))
def test_the_first_event_of_a_run_is_found_without_reading_all(seed: int) -> None:
    """As a search through all events would find it, also where numbers are missing."""
    rng = random.Random(seed)
    events = []
    at = 0
    for seq in range(1, rng.randrange(1, 40)):
        at += rng.randrange(3)
        if rng.random() < 0.8:
            events.append((seq, float(at)))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE events(seq INTEGER PRIMARY KEY, at REAL)")
        connection.executemany("INSERT INTO events VALUES (?, ?)", events)
        for moment in range(-1, at + 3):
            last = max((seq for seq, when in events if when < moment), default=0)
            found = last_seq_before(connection, float(moment))
            after = [seq for seq, _ in events if seq > found]
            assert after == [seq for seq, _ in events if seq > last], moment


STARTED = 1_800_000_000.0


@pytest.fixture
def run(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The ledger of a run of one minute without any event yet."""
    ledger = make_ledger(tmp_path / ".batcher" / "ledger.db", 0, nights=0)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO runs (started_at, ended_at, version, service, exit_code, summary)"
            " VALUES (?, ?, '0', 'local', 0, '{}')",
            (STARTED, STARTED + 60),
        )
        yield connection


def happened(run: sqlite3.Connection, *events: tuple[float, str, str]) -> None:
    for at, event, detail in events:
        run.execute(
            "INSERT INTO events (at, document, event, state, detail) VALUES (?, 1, ?, '', ?)",
            (STARTED + at, event, detail),
        )


def test_what_is_in_flight_is_counted_back_from_now(
    run: sqlite3.Connection, tmp_path: Path
) -> None:
    """Two jobs are taken, one of them is saved; none is in flight at the end."""
    happened(run, (1, "Accepted", ""), (2, "Accepted", ""), (30, "Saved", ""), (50, "Saved", ""))
    seen = Observer(batch_at(tmp_path / ".batcher" / "ledger.db")).observe()
    assert seen.width == "2 s"
    values = [bar.value for bar in seen.in_flight]
    assert values[:2] == [1, 2] and values[14:16] == [2, 1] and values[-1] == 0
    assert sum(bar.value for bar in seen.throughput) == 2 * 60 / 2


def test_what_was_read_isn_t_read_again(run: sqlite3.Connection, tmp_path: Path) -> None:
    """Each look adds what is new to what it knows."""
    observer = Observer(batch_at(tmp_path / ".batcher" / "ledger.db"))
    happened(run, (1, "Saved", ""))
    assert sum(bar.value for bar in observer.observe().throughput) == 30
    run.execute("DELETE FROM events")  # none does; a second reading would show it
    happened(run, (2, "Saved", ""))
    run.execute("UPDATE events SET seq = 100")
    assert sum(bar.value for bar in observer.observe().throughput) == 60


def test_mishaps_of_one_kind_are_told_once(run: sqlite3.Connection, tmp_path: Path) -> None:
    """Whatever jobs and amounts their reasons name; the latest words stand for all."""
    for number in range(3):
        reason = f"job 0123456789abcdef{number} failed after {number}.5 s"
        happened(run, (number, "JobToRepeat", json.dumps({"reason": reason})))
    happened(run, (5, "RefusedForNow", json.dumps({"reason": "429", "due_at": STARTED + 9})))
    seen = Observer(batch_at(tmp_path / ".batcher" / "ledger.db")).observe()
    told = [(one.event, one.number, one.until) for one in seen.mishaps]
    assert told == [("RefusedForNow", 1, STARTED + 9), ("JobToRepeat", 3, None)]
    assert "abcdef2" in seen.mishaps[1].reason


async def test_a_fragment_that_isn_t_there_is_told(shown: Client, folder: Path) -> None:
    make_ledger(folder / "archive" / ".batcher" / "ledger.db", 5)
    there = await shown.batch()
    assert (await shown.get(f"{there}/live/nothing")).status == 404
