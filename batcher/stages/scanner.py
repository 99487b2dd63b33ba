"""Feeds the ledger: walks the sources and admits what is new or has changed. It reads no more than it must.

A file of the same size, time and inode is taken for the one the ledger knows, unread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from batcher.core.document import SETTLING, content_key, output_name, path_of, settled, step_hash
from batcher.core.lifecycle import State
from batcher.core.manifest import Manifest, Source
from batcher.edges import sources
from batcher.edges.admission import Version
from batcher.edges.ledger import Ledger
from batcher.edges.queries import Known
from batcher.edges.sources import Found
from batcher.errors import SourceError

GROUP = 256  # files looked up, hashed and admitted together

_UNFIT = frozenset({State.UNSUPPORTED, State.UNREADABLE})
_LOOK_AGAIN = frozenset({State.SOURCE_GONE, State.SOURCE_CHANGED})


class Scanner:
    def __init__(self, ledger: Ledger, manifest: Manifest, *, clock: Callable[[], float]) -> None:
        self.done = asyncio.Event()
        self._ledger = ledger
        self._manifest = manifest
        self._clock = clock
        self._job = manifest.jobs[0]
        self._step = step_hash(self._job.endpoint, self._job.options, service=manifest.service.identity)

    async def run(self) -> None:
        """Walk every source once; `done` is set when the last of it is in the ledger."""
        for source in self._manifest.sources:
            restless = await self._walk(source)
            if restless:
                await asyncio.sleep(SETTLING)
                await self._walk(source)  # what is still growing then is for the next run
        self.done.set()

    async def _walk(self, source: Source) -> bool:
        """Whether some file was still being written."""
        found = sources.walk(source, skip=self._manifest.output.directory)
        restless = False
        while group := await asyncio.to_thread(_take, found):
            calm = [one for one in group if one.problem or settled(one.mtime_ns, self._clock())]
            restless = restless or len(calm) < len(group)
            await self._take_in(source, calm)
        return restless

    async def _take_in(self, source: Source, group: Sequence[Found]) -> None:
        known = self._ledger.known([found.name for found in group], self._job.name)
        fresh = [found for found in group if not self._is_unchanged(found, known.get(found.name))]
        if not fresh:
            return
        contents = await asyncio.to_thread(_read_all, source.directory, fresh)
        versions, touched = [], []
        for found, (content, trouble) in zip(fresh, contents, strict=True):
            old = known.get(found.name)
            if old and content and content == old.content and old.step == self._step and old.state not in _LOOK_AGAIN:
                touched.append((found.mtime_ns, found.inode, found.size, old.id))
            else:
                versions.append(self._version(source, found, content, trouble, old))
        if touched:
            await self._ledger.touch(touched)
        if versions:
            await self._ledger.admit(versions)

    def _is_unchanged(self, found: Found, known: Known | None) -> bool:
        if known is None or known.step != self._step or known.state in _LOOK_AGAIN:
            return False
        if (known.state in _UNFIT) != (found.problem is not None):
            return False
        return (known.size, known.mtime_ns, known.inode) == (found.size, found.mtime_ns, found.inode)

    def _version(
        self, source: Source, found: Found, content: str | None, trouble: str | None, old: Known | None
    ) -> Version:
        problem = found.problem or (State.UNREADABLE if trouble else None)
        return Version(
            source=found.name,
            folder=str(source.directory),
            job=self._job.name,
            step=self._step,
            content=content,
            size=found.size,
            mtime_ns=found.mtime_ns,
            inode=found.inode,
            output=output_name(found.name),
            state=State(problem) if problem else State.QUEUED,
            reason=found.reason or trouble,
            replaces=old.id if old else None,
        )


def _take(found: Iterator[Found]) -> list[Found]:
    return list(islice(found, GROUP))


def _read_all(directory: Path, group: Sequence[Found]) -> list[tuple[str | None, str | None]]:
    """(content key, None) or (None, what is wrong) for each."""
    return [_read(directory, found) for found in group]


def _read(directory: Path, found: Found) -> tuple[str | None, str | None]:
    if found.problem:
        return None, None
    try:
        return content_key(sources.digest(directory / os.fsdecode(path_of(found.name))), found.name), None
    except SourceError as error:
        return None, str(error)
