"""Feeds the ledger: walks the sources and admits what is new or has changed. It reads no more than it must.

A file of the same size, time and inode is taken for the one the ledger knows, unread.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from batcher.core.chain import Step, steps_of
from batcher.core.document import SETTLING, content_key, path_of, settled, types_taken
from batcher.core.lifecycle import State
from batcher.core.manifest import Manifest, Source
from batcher.edges import sources
from batcher.edges.admission import Asked, Version
from batcher.edges.ledger import Ledger
from batcher.edges.queries import Known
from batcher.edges.sources import Found
from batcher.errors import SourceError
from batcher.stages.consent import Consent

GROUP = 256  # files looked up, hashed and admitted together

_UNFIT = frozenset({State.UNSUPPORTED, State.UNREADABLE})
_LOOK_AGAIN = frozenset({State.SOURCE_GONE, State.SOURCE_CHANGED})


class Scanner:
    def __init__(self, ledger: Ledger, manifest: Manifest, consent: Consent, *, clock: Callable[[], float]) -> None:
        self.done = asyncio.Event()
        self._ledger = ledger
        self._consent = consent
        self._manifest = manifest
        self._clock = clock
        self._steps = steps_of(manifest.jobs, service=manifest.service.identity)

    async def sort_out(self) -> None:
        """Before anything is sent: what earlier runs took in and the manifest no longer asks for makes way."""
        await self._ledger.retire(self._is_asked_for)

    def _is_asked_for(self, asked: Asked) -> bool:
        step = next((step for step in self._steps if step.name == asked.job), None)
        if step is None:
            return False
        overrides = {step.name: asked.options}
        if step.upstream:
            overrides[step.upstream.name] = asked.upstream_options
        read = {name: json.loads(options) for name, options in overrides.items() if options}
        return step.hash_with(read) == asked.step

    @property
    def steps(self) -> dict[str, str]:
        """What each job of the batch asks for, by its name."""
        return {step.name: step.hash for step in self._steps}

    async def run(self) -> None:
        """Walk every source once; `done` is set when the last of it is in the ledger."""
        await self._walk_all()
        if await self._consent.settle():
            await self._walk_all()
        self.done.set()

    async def _walk_all(self) -> None:
        for source in self._manifest.sources:
            restless = await self._walk(source)
            if restless:
                await asyncio.sleep(SETTLING)
                await self._walk(source)  # what is still growing then is for the next run

    async def _walk(self, source: Source) -> bool:
        """Whether some file was still being written."""
        types = types_taken(self._manifest.service.name)
        found = sources.walk(source, skip=self._manifest.output.directory, types=types)
        restless = False
        while group := await asyncio.to_thread(_take, found):
            calm = [one for one in group if one.problem or settled(one.mtime_ns, self._clock())]
            restless = restless or len(calm) < len(group)
            await self._take_in(source, calm)
        return restless

    async def _take_in(self, source: Source, group: Sequence[Found]) -> None:
        names = [found.name for found in group]
        known = {step.name: self._ledger.known(names, step.name) for step in self._steps}
        fresh = [found for found in group if not self._is_unchanged(found, known)]
        if not fresh:
            return
        contents = await asyncio.to_thread(_read_all, source.directory, fresh)
        versions: list[Version] = []
        touched: list[tuple[int, int, int, int]] = []
        for found, (content, trouble) in zip(fresh, contents, strict=True):
            self._compare(source, found, content, trouble, known, versions, touched)
        if touched:
            await self._ledger.touch(touched)
        if versions:
            await self._consent.admit(versions)

    def _is_unchanged(self, found: Found, known: Mapping[str, Mapping[str, Known]]) -> bool:
        return all(self._is_same(found, step, known[step.name].get(found.name)) for step in self._steps)

    def _is_same(self, found: Found, step: Step, known: Known | None) -> bool:
        """Whether this step of the file needn't be looked at: as far as can be told without reading it."""
        if known is None or known.step != step.hash or known.state in _LOOK_AGAIN:
            return False
        if (known.state in _UNFIT) != (found.problem is not None):
            return False
        return (known.size, known.mtime_ns, known.inode) == (found.size, found.mtime_ns, found.inode)

    def _compare(
        self,
        source: Source,
        found: Found,
        content: str | None,
        trouble: str | None,
        known: Mapping[str, Mapping[str, Known]],
        versions: list[Version],
        touched: list[tuple[int, int, int, int]],
    ) -> None:
        """Each step of a file that was read: a new version where the bytes, the job or the step before it are new."""
        renewed = set[str]()
        for step in self._steps:
            old = known[step.name].get(found.name)
            same = old and content and (old.content, old.step) == (content, step.hash) and old.state not in _LOOK_AGAIN
            if old and same and not (step.upstream and step.upstream.name in renewed):
                touched.append((found.mtime_ns, found.inode, found.size, old.id))
            else:
                renewed.add(step.name)
                versions.append(_version(source, found, step, content, trouble, old))


def _version(
    source: Source, found: Found, step: Step, content: str | None, trouble: str | None, old: Known | None
) -> Version:
    problem = found.problem or (State.UNREADABLE if trouble else None)
    return Version(
        source=found.name,
        folder=str(source.directory),
        job=step.name,
        step=step.hash,
        content=content,
        size=found.size,
        mtime_ns=found.mtime_ns,
        inode=found.inode,
        output=step.output(found.name),
        state=State(problem) if problem else State.QUEUED,
        reason=found.reason or trouble,
        replaces=old.id if old else None,
        upstream=step.upstream.name if step.upstream else None,
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
