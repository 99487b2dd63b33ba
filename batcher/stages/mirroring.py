"""Puts into an object store what lies on disk: results as they are made, data sets at the end of a run.

Each object is put whole. What was put is remembered; nothing here touches an object that it didn't put.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from batcher.edges import press
from batcher.edges.mirror import Mirror
from batcher.edges.store import Store
from batcher.ledger import derived
from batcher.ledger.derived import Derivable, Derived, remember
from batcher.ledger.ledger import Ledger
from batcher.stages.making import Limit, in_thread


class Mirrored:
    """Puts each result into an object store, and what lies beside it: its Markdown and pictures, once they are made."""

    format, at_once = "mirror", Limit(documents=16)

    def __init__(self, ledger: Ledger, store: Store, mirror: Mirror, *, after: str | None) -> None:
        self._ledger = ledger
        self._store = store
        self._mirror = mirror
        self.after = after

    async def prepare(self) -> None:
        """What was put elsewhere is put here again."""
        elsewhere = [
            name for name in derived.files(self._ledger, self.format) if not name.startswith(f"{self._mirror.url}/")
        ]
        await derived.forget(self._ledger, self.format, elsewhere)

    async def make(self, group: Sequence[Derivable]) -> None:
        there = await in_thread(press.whole, self._store, group)
        await remember(self._ledger, await asyncio.gather(*map(self._put, there)))

    async def _put(self, one: Derivable) -> Derived:
        markdown = derived.made_of(self._ledger, one.document, "markdown")
        for name in await in_thread(press.names_of, self._store, one, markdown):
            await self._mirror.put(name, self._store.path(name))
        place = f"{self._mirror.url}/{one.output}"
        return Derived(one.document, self.format, one.sha256, place, 0, one.size, one.sha256)


class MirroredSets:
    """The files that many documents share: lines and Parquet. A part that was taken apart here is taken away there."""

    def __init__(self, ledger: Ledger, store: Store, mirror: Mirror) -> None:
        self._ledger = ledger
        self._store = store
        self._mirror = mirror

    async def conclude(self) -> None:
        """Put what has changed since. A file of lines is put anew where it has grown. Raises MirrorError."""
        sets = {f"{self._mirror.url}/{one.name}": one for one in derived.data_sets(self._ledger)}
        known = derived.mirrored_sets(self._ledger)
        for place, one in sets.items():
            if known.get(place) != one.mark and self._store.path(one.name).is_file():
                await self._mirror.put(one.name, self._store.path(one.name), length=one.length)
                known[place] = one.mark
                await derived.note_mirrored_sets(self._ledger, known)
        gone = [place for place in known if place not in sets]
        for place in gone:
            if place.startswith(f"{self._mirror.url}/"):
                await self._mirror.remove(place.removeprefix(f"{self._mirror.url}/"))
        if gone:
            kept = {place: mark for place, mark in known.items() if place in sets}
            await derived.note_mirrored_sets(self._ledger, kept)
