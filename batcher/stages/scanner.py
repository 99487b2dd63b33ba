"""Walks the sources and admits new and changed documents to the ledger.

It reads as little as possible: a file whose size, modification time and inode are those in the
ledger counts as unchanged and isn't read.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from batcher.cluster.hands import FileHands
from batcher.common.formatting import pluralize
from batcher.common.names import SETTLING, settled
from batcher.core.chain import Overrides, Step, steps_of
from batcher.core.lifecycle import State
from batcher.errors import BatcherError, ManifestError, Problem, first_of
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, Seen
from batcher.ledger.queries.rows import Known
from batcher.manifest.model import Manifest, Source
from batcher.reducto.api_types import types_taken
from batcher.reducto.option_checks import REFUSE, unknown_in, unknown_options
from batcher.sources import directory, listing, object_store
from batcher.sources.directory import Found
from batcher.sources.left_out import LeftOut, Reason
from batcher.stages.hashing import contents_of
from batcher.stages.repay_guard import Consent
from batcher.stages.second_tries import take_up

GROUP = 256  # files looked up, hashed and admitted together

_UNFIT = frozenset({State.UNSUPPORTED, State.UNREADABLE})
_LOOK_AGAIN = frozenset({State.SOURCE_GONE, State.SOURCE_CHANGED})


class Scanner:
    def __init__(
        self,
        ledger: Ledger,
        manifest: Manifest,
        consent: Consent,
        *,
        clock: Callable[[], float],
        tell: Callable[[str], None] = lambda words: None,
        hands: FileHands | None = None,
    ) -> None:
        """`tell` is called with messages for people who watch the run."""
        self.done = asyncio.Event()
        # documents queued by an earlier run that the manifest no longer asks for
        self.withdrawn = 0
        self.taken_up = 0  # documents that failed in earlier runs and are tried again in this one
        # by document: how many runs had tried it when this one began
        self._tried: dict[int, int] = {}
        self._ledger = ledger
        self._consent = consent
        self._manifest = manifest
        self._clock = clock
        self._tell = tell
        self._hands = hands
        self._has_told_of_unhashed = False
        # by name: the other folder that has a document of the same name
        self._namesakes: dict[str, str] = {}
        self._endpoints = {job.name: job.endpoint for job in manifest.jobs}
        self._tolerant = frozenset(
            job.name for job in manifest.jobs if job.unknown_options != REFUSE
        )
        self._warned = set[str]()  # messages about options that aren't in the API's description
        self._left: dict[Source, LeftOut] = {}
        self._yielded = Counter[Source]()  # documents that the last walk of each source found
        self._steps = steps_of(manifest.jobs, service=manifest.service.identity)

    async def sort_out(self) -> None:
        """Check the listings and begin the scan; from now on only what it finds may be sent.

        Raises ManifestError with what is wrong in a listing.
        """
        self._warn_of_unknown(unknown_options(self._manifest.jobs))
        for source in self._manifest.sources:
            if source.listing is not None:
                await asyncio.to_thread(
                    listing.check,
                    source.listing,
                    self._endpoints,
                    urls=_why_no_urls(self._manifest),
                    ignore=source.ignore,
                    tolerant=self._tolerant,
                )
            elif source.url is not None:
                if source.transfer == "presign" and (why := _why_no_urls(self._manifest)):
                    raise ManifestError(self._manifest.where, [Problem("source.transfer", why)])
                await asyncio.to_thread(object_store.check, source)
        await self._ledger.begin_scan()
        self._tried = dict(self._ledger.reporting.passing(runs=self._manifest.runs))

    @property
    def steps(self) -> dict[str, str]:
        """The hash of what each job of the batch asks for, by job name."""
        return {step.name: step.hash for step in self._steps}

    @property
    def left_out(self) -> LeftOut:
        """What the last walk of each source left out."""
        return sum(self._left.values(), LeftOut())

    @property
    def unmatched(self) -> str:
        """The sources in which `include` matches no file, in words; empty if there are none."""
        told = (
            f"{next(iter(source.outline().values()))}: include fits nothing there; {left.words()}"
            for source, left in self._left.items()
            if left.is_all_unmatched
        )
        return "; ".join(told)

    @property
    def empty(self) -> list[str]:
        """The sources that yield nothing, in words, where the batch has documents all the same.

        A folder whose file system isn't mounted looks like that.
        """
        tally = self._ledger.tally
        number = sum(tally.values()) - tally[State.SUPERSEDED]
        if not number:
            return []
        sources = self._manifest.sources
        known = f"; the ledger has {pluralize(number, 'document')} of earlier runs"
        return [
            f"nothing in {next(iter(source.outline().values()))} is part of the batch now"
            + (known if len(sources) == 1 else "")
            for source in sources
            if not self._yielded[source] and not self._left[source].is_all_unmatched
        ]

    def outstanding(self) -> int:
        """Return 1 while there may be more to find, else 0."""
        return 0 if self.done.is_set() else 1

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self.done.wait()

    async def run(self) -> None:
        """Walk every source once; `done` is set when everything found is in the ledger.

        Raises SourceError.
        """
        try:
            await self._walk_all()
            if await self._consent.settle():
                await self._walk_all()
        except* BatcherError as errors:
            raise first_of(errors) from None
        self.withdrawn = await self._ledger.end_scan()
        self.taken_up = await take_up(self._ledger, self._tried, runs=self._manifest.runs)
        self._tell_of_what_differs()
        self.done.set()

    def _tell_of_what_differs(self) -> None:
        for words in self.empty:
            self._tell(words)
        if self.withdrawn:
            self._tell(
                f"{pluralize(self.withdrawn, 'document')} that an earlier run had queued will not "
                "be sent: the manifest and its sources no longer ask for them"
            )
        if len(self._namesakes) == 1:
            ((name, folder),) = self._namesakes.items()
            self._tell(
                f"1 document has the same name as another document of {folder}, {name}: both "
                "results are kept, the new one with a tag in its name"
            )
        elif self._namesakes:
            name, folder = next(iter(self._namesakes.items()))
            self._tell(
                f"{pluralize(len(self._namesakes), 'document')} have the same names as other "
                f"documents of {folder}, e.g. {name}: both results are kept, the new ones with a "
                "tag in their names"
            )
        number, path, job = self._ledger.reporting.outdated(list(self._endpoints))
        if number:
            self._tell(
                f"{pluralize(number, 'result')} of steps that the manifest no longer has are of "
                f"older versions of their files, and stay so: {path} of {job}, for example"
            )

    def _tell_of_unhashed(self, why: str) -> None:
        """Tell of the first file that hands couldn't hash: the others are likely the same."""
        if not self._has_told_of_unhashed:
            self._has_told_of_unhashed = True
            self._tell(f"what hands can't hash is hashed by this machine: {why}")

    def _look_at_options(self, overrides: Overrides) -> None:
        """Warn of unknown options in a row of a listing."""
        for job in self._manifest.jobs:
            if job.name in overrides:
                self._warn_of_unknown(unknown_in(job, overrides[job.name], key="options"))

    def _warn_of_unknown(self, told: Iterable[str]) -> None:
        """Pass on each warning once, however many rows cause it."""
        for words in told:
            if words not in self._warned:
                self._warned.add(words)
                self._tell(words)

    async def _walk_all(self) -> None:
        for source in self._manifest.sources:
            restless = await self._walk(source)
            if restless:
                await asyncio.sleep(SETTLING)
                await self._walk(source)  # files that still grow are left for the next run

    async def _walk(self, source: Source) -> bool:
        """Walk one source, and return whether some file was still being written."""
        left = self._left[source] = LeftOut()
        self._yielded[source] = 0
        found = self._found(source, left)
        restless = False
        group = await asyncio.to_thread(_take, found)
        while group:
            self._yielded[source] += len(group)
            # the next group is walked while this one is looked up
            async with asyncio.TaskGroup() as ahead:
                coming = ahead.create_task(asyncio.to_thread(_take, found))
                now = self._clock()
                calm = [one for one in group if one.problem or settled(one.mtime_ns, now)]
                for one in group if len(calm) < len(group) else ():
                    if not (one.problem or settled(one.mtime_ns, now)):
                        left.add(Reason.GROWING, one.name)
                restless = restless or len(calm) < len(group)
                await self._take_in(calm)
            group = coming.result()
        return restless

    def _found(self, source: Source, left: LeftOut) -> Iterator[Found]:
        if source.listing is not None:
            return listing.walk(
                source.listing, self._endpoints, ignore=source.ignore, tolerant=self._tolerant
            )
        types = types_taken(self._manifest.service.name)
        if source.url is not None:
            return object_store.walk(source, types=types, now=self._clock(), left=left)
        return directory.walk(
            source, skip=self._manifest.output.directory, types=types, now=self._clock(), left=left
        )

    async def _take_in(self, group: Sequence[Found]) -> None:
        for found in group:
            if found.overrides:
                self._look_at_options(found.overrides)
        self._consent.forget((found.folder, found.name) for found in group)
        known = self._known(group)
        fresh = [found for found in group if not self._is_unchanged(found, known)]
        await self._confirm(group, fresh, known)
        if not fresh:
            return
        contents = await contents_of(fresh, self._hands, tell=self._tell_of_unhashed)
        versions: list[Version] = []
        touched: list[Seen] = []
        for found, (content, trouble) in zip(fresh, contents, strict=True):
            self._compare(found, content, trouble, known, versions, touched)
        if touched:
            await self._ledger.touch(touched)
        if versions:
            await self._consent.admit(versions)

    async def _confirm(
        self,
        group: Sequence[Found],
        fresh: Sequence[Found],
        known: Mapping[str, Mapping[str, Known]],
    ) -> None:
        """Mark unchanged documents as found by this scan, so that they may be sent (again).

        Saved documents are never sent again, so nothing is written for them.
        """
        changed = {found.name for found in fresh}
        unchanged = [
            of_step.get(found.name)
            for of_step in known.values()
            for found in group
            if found.name not in changed
        ]
        waiting = [
            one.id
            for one in unchanged
            if one and one.state is not State.SAVED and one.scan != self._ledger.scan
        ]
        if waiting:
            await self._ledger.confirm(waiting)

    def _known(self, group: Sequence[Found]) -> Mapping[str, Mapping[str, Known]]:
        """Return what the ledger has of the group, by step and name."""
        known: dict[str, dict[str, Known]] = {step.name: {} for step in self._steps}
        folders = {folder for one in self._manifest.sources for folder in one.folders}
        for folder in dict.fromkeys(found.folder for found in group):
            names = [found.name for found in group if found.folder == folder]
            others = sorted(folders - {folder})
            for step, of_step in known.items():
                of_step |= self._ledger.sending.known(names, step, folder=folder, others=others)
        return known

    def _is_unchanged(self, found: Found, known: Mapping[str, Mapping[str, Known]]) -> bool:
        for step in self._steps:
            if not self._is_same(found, step, known[step.name].get(found.name)):
                return False
        return True

    def _is_same(self, found: Found, step: Step, known: Known | None) -> bool:
        """Return whether this step of the file is unchanged.

        Only what is known without reading the file is compared.
        """
        if known is None or known.step != step.hash_with(found.overrides):
            return False
        if found.problem == State.SOURCE_GONE:
            return known.state is State.SOURCE_GONE
        if known.state in _LOOK_AGAIN or (known.state in _UNFIT) != (found.problem is not None):
            return False
        if (known.folder, known.place, known.metadata) != (
            found.folder,
            found.place,
            found.metadata,
        ):
            return False
        if found.content is not None:
            return known.content == found.content
        return (known.size, known.mtime_ns, known.inode) == (
            found.size,
            found.mtime_ns,
            found.inode,
        )

    def _compare(
        self,
        found: Found,
        content: str | None,
        trouble: str | None,
        known: Mapping[str, Mapping[str, Known]],
        versions: list[Version],
        touched: list[Seen],
    ) -> None:
        """Compare a file that was read with what the ledger knows, step by step.

        A new version is added where the bytes, the job or the previous step are new.
        """
        renewed = set[str]()
        for step in self._steps:
            old = known[step.name].get(found.name)
            hash = step.hash_with(found.overrides)
            if old and old.folder != found.folder and old.content != content:
                self._namesakes[found.name] = old.folder
                # another folder and other bytes: another document of the same name, not one that
                # was moved
                old = None
            same = (
                old
                and content
                and (old.content, old.step) == (content, hash)
                and old.state not in _LOOK_AGAIN
            )
            if old and same and not (step.upstream and step.upstream.name in renewed):
                touched.append(_seen(found, old))
            else:
                renewed.add(step.name)
                versions.append(_version(found, step, content, trouble, old))


def _why_no_urls(manifest: Manifest) -> str:
    """Return why a listing may not hold URLs, or an empty string if it may."""
    if not manifest.service.is_local or manifest.service.allow_urls:
        return ""
    return "the local service fetches no addresses unless it is told to: service.allow_urls = true"


def _seen(found: Found, old: Known) -> Seen:
    return Seen(
        found.mtime_ns, found.inode, found.size, found.folder, found.place, found.metadata, old.id
    )


def _version(
    found: Found, step: Step, content: str | None, trouble: str | None, old: Known | None
) -> Version:
    problem = found.problem or (State.UNREADABLE if trouble else None)
    options = found.overrides.get(step.name)
    return Version(
        source=found.name,
        folder=found.folder,
        job=step.name,
        step=step.hash_with(found.overrides),
        content=content,
        size=found.size,
        mtime_ns=found.mtime_ns,
        inode=found.inode,
        output=step.output(found.name),
        state=State(problem) if problem else State.QUEUED,
        reason=found.reason or trouble,
        replaces=old.id if old else None,
        upstream=step.upstream.name if step.upstream else None,
        options=json.dumps(options, sort_keys=True, ensure_ascii=False) if options else None,
        metadata=found.metadata,
        place=found.place,
    )


def _take(found: Iterator[Found]) -> list[Found]:
    return list(islice(found, GROUP))
