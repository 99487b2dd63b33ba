"""One maker for each thing that is made of results: how much at once, in what order, and what a crash may have left.

What is made, and how it becomes durable, is `edges.press`; here stands when the ledger hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

from batcher.core.manifest import Job, Manifest, fetches_pictures
from batcher.core.rows import Columns, columns_for
from batcher.edges import press
from batcher.edges.client import Api
from batcher.edges.lines import free_name
from batcher.edges.mirror import Mirror
from batcher.edges.store import Store, Streamed, trouble
from batcher.errors import ServiceError
from batcher.ledger import derived
from batcher.ledger.derived import Derivable, Derived, hashes_of, remember
from batcher.ledger.ledger import Ledger
from batcher.stages.course import Course
from batcher.stages.making import Limit, Maker, in_thread
from batcher.stages.mirroring import Mirrored, MirroredSets


def closing_for(manifest: Manifest, ledger: Ledger, store: Store) -> MirroredSets | None:
    """What a manifest asks for once all is made."""
    mirror = manifest.output.mirror
    return MirroredSets(ledger, store, Mirror(mirror)) if mirror else None


def makers_for(
    manifest: Manifest, ledger: Ledger, store: Store, client: Api, course: Course, *, asked: bool = True
) -> list[Maker]:
    """Those that a manifest asks for; none where json is all it wants.

    Not `asked`: its jobs need not be those that the results at hand were asked for by.
    """
    makers: list[Maker] = []
    output = manifest.output
    if fetches_pictures(manifest):
        makers.append(Pictures(ledger, store, client, course))
    if "markdown" in output.formats:
        makers.append(Markdown(ledger, store))
    if "jsonl" in output.formats:
        makers.append(Lines(ledger, store, chunks=output.lines == "chunks"))
    if "parquet" in output.formats:
        makers.append(Parts(ledger, store, manifest.jobs if asked else ()))
    if output.mirror:
        formats = {maker.format for maker in makers}
        after = next((one for one in ("markdown", "images") if one in formats), None)
        makers.append(Mirrored(ledger, store, Mirror(output.mirror), after=after))
    return makers


class Pictures:
    """Fetches what a result links to into a folder beside it, before the service forgets it. Missing ones are noted."""

    format, after, at_once = "images", None, Limit(documents=8)

    def __init__(self, ledger: Ledger, store: Store, client: Api, course: Course) -> None:
        self._ledger = ledger
        self._store = store
        self._client = client
        self._course = course

    async def prepare(self) -> None:
        """A picture that is there is whole: it got its name when it was."""

    async def make(self, group: Sequence[Derivable]) -> None:
        there = await in_thread(press.whole, self._store, group)
        await remember(self._ledger, await asyncio.gather(*map(self._all_of, there)))

    async def _all_of(self, one: Derivable) -> Derived:
        places = await in_thread(press.picture_places, self._store, one)
        troubles = [trouble for url, place in places.items() if (trouble := await self._fetch(url, place))]
        note = f"{len(troubles)} of {len(places)} missing: {troubles[0]}" if troubles else None
        if note:
            self._course.warn(f"{one.source}: pictures: {note}")
        await in_thread(press.remove_others, self._store, press.pictures_name(one), places.values())
        return Derived(one.document, "images", one.sha256, press.pictures_name(one), 0, len(places), None, note)

    async def _fetch(self, url: str, place: str) -> str | None:
        if self._store.path(place).is_file():
            return None
        part = await in_thread(self._store.new_part)
        try:
            digest, size = await self._client.download(url, part)
        except ServiceError as error:
            part.unlink(missing_ok=True)
            return error.message
        except OSError as error:
            raise trouble(place, error) from error
        await in_thread(press.publish, self._store, Streamed(place, part, digest, size))
        return None


class Markdown:
    """A file beside each result."""

    format, after, at_once = "markdown", "images", Limit()

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self._ledger = ledger
        self._store = store

    async def prepare(self) -> None:
        """Nothing can be half made: each file is whole or not there."""

    async def make(self, group: Sequence[Derivable]) -> None:
        known = {name: hashes_of(self._ledger, name) for name in map(press.markdown_name, group)}
        await remember(self._ledger, await in_thread(press.write_markdown, self._store, group, known))


class Lines:
    """Appends to one file. How much of it counts is what the ledger remembers; the rest is cut off and made again."""

    format, after, at_once = "jsonl", None, Limit()

    def __init__(self, ledger: Ledger, store: Store, *, chunks: bool) -> None:
        self._ledger = ledger
        self._store = store
        self._chunks = chunks
        self._file = ""
        self._length = 0

    async def prepare(self) -> None:
        """Where the file is gone, or shorter than it was, all of it is written again."""
        self._file = derived.lines_file(self._ledger) or ""
        self._length = derived.files(self._ledger, self.format).get(self._file, 0)
        path = self._store.path(self._file)
        if self._length and not (path.is_file() and path.stat().st_size >= self._length):
            await derived.forget(self._ledger, self.format, [self._file])
            self._length = 0

    async def make(self, group: Sequence[Derivable]) -> None:
        if not self._file:
            self._file = await in_thread(free_name, self._store.path("."), "results.jsonl")
            await derived.claim_lines_file(self._ledger, self._file)  # before it's there: a crash leaves no stranger
        rows = await in_thread(
            lambda: press.append_lines(self._store, group, self._file, self._length, chunks=self._chunks)
        )
        await remember(self._ledger, rows)
        self._length = max([self._length, *(row.start + row.size for row in rows)])


class Parts:
    """Files of a Parquet data set, each of one step's documents. What a newer version outdates is taken apart again.

    The ledger hears of a part before it gets its name: one whose name is missing was never seen, and is made again.
    """

    format, after, at_once = "parquet", None, Limit(documents=5_000, size=64 << 20, patient=True)

    def __init__(self, ledger: Ledger, store: Store, jobs: Sequence[Job]) -> None:
        self._ledger = ledger
        self._store = store
        self._jobs = jobs

    async def prepare(self) -> None:
        gone = [name for name in derived.files(self._ledger, self.format) if not self._store.path(name).is_file()]
        outdated = derived.outdated(self._ledger, self.format)
        for name in outdated:
            self._store.path(name).unlink(missing_ok=True)
        await derived.forget(self._ledger, self.format, {*gone, *outdated})
        for job in self._jobs:
            await derived.note_columns(self._ledger, job.name, columns_for(job.endpoint, job.options))

    async def make(self, group: Sequence[Derivable]) -> None:
        for job, documents in groupby(sorted(group, key=lambda one: one.job), key=lambda one: one.job):
            await self._part(derived.columns_of(self._ledger, job), list(documents))

    async def _part(self, columns: Columns | None, group: Sequence[Derivable]) -> None:
        part, rows = await in_thread(press.begin_part, self._store, group, columns)
        if part is None:
            return
        await remember(self._ledger, rows)
        await in_thread(press.publish, self._store, part)
