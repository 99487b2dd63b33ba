"""Watches ledgers for those who follow them: once a second at most, however many they are.

A ledger is looked at only while somebody follows it. SQLite tells whether anything was written;
only then is it read, and what is shown made anew. A run notices nothing of it.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from batcher.errors import BatcherError
from batcher.ledger import schema
from batcher.ledger.lock import is_held
from batcher.web.catalogue import Batch
from batcher.web.observation import Observation, Observer
from batcher.web.site import Site

PAUSE: Final = 1.0  # seconds between two looks at a ledger
LONGEST: Final = 30.0  # seconds after which it is read all the same: time passes, and deadlines
# Of the time that a look takes: a large ledger is looked at less often, so that this process uses
# no more than a twentieth of a processor.
REST: Final = 20.0
KEPT: Final = 32  # batches whose last observation is remembered

Render = Callable[[Observation], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a page; `version` changes with its content."""

    html: str
    version: str


class Live:
    """The fragments of each batch, kept up to date while somebody follows it."""

    def __init__(self, site: Site, render: Render, group: asyncio.TaskGroup) -> None:
        self._site = site
        self._render = render
        self._group = group
        self._watched: dict[str, _Watched] = {}

    async def fragments(self, batch: Batch) -> Mapping[str, Fragment]:
        """Return the fragments as they are now, or were a moment ago if somebody follows them."""
        watched = self._of(batch)
        if not watched.followers or not watched.fragments:
            await watched.look()
        return watched.fragments

    @asynccontextmanager
    async def following(self, batch: Batch) -> AsyncIterator[_Watched]:
        """Keep the fragments up to date during the block."""
        watched = self._of(batch)
        watched.followers += 1
        if watched.followers == 1:
            watched.task = self._group.create_task(watched.keep_looking())
        try:
            yield watched
        finally:
            watched.followers -= 1
            if not watched.followers and watched.task is not None:
                watched.task.cancel()

    def close(self) -> None:
        """Look at nothing any more, whoever follows."""
        for watched in self._watched.values():
            if watched.task is not None:
                watched.task.cancel()

    def _of(self, batch: Batch) -> _Watched:
        if batch.id not in self._watched:
            self._forget_one()
            self._watched[batch.id] = _Watched(self._site, batch, self._render)
        return self._watched[batch.id]

    def _forget_one(self) -> None:
        idle = [key for key, one in self._watched.items() if not one.followers]
        if len(self._watched) >= KEPT and idle:
            del self._watched[idle[0]]


class _Watched:
    """One batch: its fragments, and who waits for the next ones."""

    def __init__(self, site: Site, batch: Batch, render: Render) -> None:
        self.fragments: Mapping[str, Fragment] = {}
        self.followers = 0
        self.looks = 0
        self.task: asyncio.Task[None] | None = None
        self._site = site
        self._batch = batch
        self._render = render
        self._observer = Observer(batch)
        self._busy = asyncio.Lock()
        self._changed = asyncio.Condition()

    async def look(self) -> None:
        """Read the ledger, make the fragments anew, and tell who waits if they differ."""
        async with self._busy:
            self.looks += 1
            fragments = await self._site.run(self._made)
        if fragments != self.fragments:
            self.fragments = fragments
            async with self._changed:
                self._changed.notify_all()

    async def keep_looking(self) -> None:
        """Look whenever something was written, or a run began or ended, until cancelled."""
        sentinel = _Sentinel(self._batch)
        try:
            read_at = -math.inf
            while True:
                began = time.monotonic()
                if await self._site.run(sentinel.has_changed) or began - read_at > LONGEST:
                    read_at = began
                    with suppress(BatcherError, sqlite3.Error):
                        await self.look()
                took = time.monotonic() - began
                await asyncio.sleep(max(PAUSE, took * REST))
        finally:
            sentinel.close()

    async def news(self, seen: Mapping[str, str], patience: float) -> dict[str, str]:
        """Return the versions that differ from those `seen`; empty after `patience` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience), self._changed:
                await self._changed.wait_for(lambda: self._news(seen))
        return self._news(seen)

    def _news(self, seen: Mapping[str, str]) -> dict[str, str]:
        versions = {name: fragment.version for name, fragment in self.fragments.items()}
        return {name: version for name, version in versions.items() if seen.get(name) != version}

    def _made(self) -> dict[str, Fragment]:
        return {
            name: Fragment(html, sha256(html.encode()).hexdigest()[:12])
            for name, html in self._render(self._observer.observe()).items()
        }


class _Sentinel:
    """Tells whether anything was written to a ledger since it was last asked."""

    def __init__(self, batch: Batch) -> None:
        self._ledger = batch.ledger
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[object, ...] = ()

    def has_changed(self) -> bool:
        """Ask the ledger. Whatever can't be asked counts as a change, and is opened anew."""
        state: tuple[object, ...]
        try:
            files = _number_of(self._ledger), _number_of(Path(f"{self._ledger}-wal"))
            if files != self._seen[:2]:
                self.close()  # another file lies there by now
            state = (*files, self._version(), is_held(self._ledger))
        except (BatcherError, OSError, sqlite3.Error):
            self.close()
            state = ()
        changed = not state or state != self._seen
        self._seen = state
        return changed

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _version(self) -> int:
        if self._connection is None:
            self._connection = schema.beside(self._ledger, any_thread=True)
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)


def _number_of(path: Path) -> int | None:
    """Return the number by which the file system knows a file; None if there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
