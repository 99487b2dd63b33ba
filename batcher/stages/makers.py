"""One maker for each derived output: pictures, Markdown, JSON lines, Parquet.

Each says how much it makes at once, in what order, and how it repairs what a crash left behind.
`outputs.derived_files` makes the files durable; the makers decide when the ledger hears of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence, Set
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from batcher.common.formatting import pluralize
from batcher.core.chain import merged
from batcher.core.columns import Columns
from batcher.errors import ServiceError
from batcher.ledger import derived_outputs
from batcher.ledger.derived_outputs import Derivable, Derived, hashes_of, remember
from batcher.ledger.ledger import Ledger
from batcher.manifest.model import Manifest, fetches_pictures
from batcher.outputs import derived_files
from batcher.outputs.jsonl import free_name
from batcher.outputs.mirror import Mirror
from batcher.outputs.result_store import Store, Streamed, trouble
from batcher.outputs.rows import ORIGIN, columns_for
from batcher.reducto.citations import asks_for_citations
from batcher.reducto.client import Api
from batcher.reducto.job import Job
from batcher.stages.boundary import trace_of
from batcher.stages.making import Limit, Maker, in_thread, to_their_ends
from batcher.stages.mirroring import Mirrored, MirroredSets
from batcher.stages.run_control import RunControl


def closing_for(manifest: Manifest, ledger: Ledger, store: Store) -> MirroredSets | None:
    """Return what a manifest wants done after everything is made, if anything."""
    mirror = manifest.output.mirror
    return MirroredSets(ledger, store, Mirror(mirror)) if mirror else None


def tell_of_older(
    ledger: Ledger, store: Store, control: RunControl, manifest: Manifest
) -> Callable[[], None]:
    """Return what warns of files in formats that the manifest doesn't ask for any more.

    They lie beside newer results, and nothing else says that they are older.
    """

    def tell() -> None:
        made = derived_outputs.formats_made(ledger.reader) & {*derived_outputs.OF_RESULTS}
        formats = made.difference(manifest.output.formats)
        if not formats:
            return
        found = derived_files.outdated_there(ledger.reader, store, formats)
        sources = {(one.format, one.source) for one in found}
        for format, number in sorted(Counter(format for format, _ in sources).items()):
            is_older = "is older than its result" if number == 1 else "is older than their results"
            control.warn(
                f"the {format} of {pluralize(number, 'document')} {is_older}; --format {format} "
                "makes it anew"
            )

    return tell


def makers_for(
    manifest: Manifest,
    ledger: Ledger,
    store: Store,
    client: Api,
    control: RunControl,
    *,
    asked: bool = True,
) -> list[Maker]:
    """Return the makers that a manifest asks for; none if it wants only JSON.

    `asked` is false if the results at hand may have been requested by other jobs than the
    manifest's.
    """
    makers: list[Maker] = []
    output = manifest.output
    if fetches_pictures(manifest):
        makers.append(Pictures(ledger, store, client, control, manifest.jobs))
    if "markdown" in output.formats:
        makers.append(Markdown(ledger, store, control))
    if "jsonl" in output.formats:
        makers.append(LinesMaker(ledger, store, control, kind=output.lines))
    if "parquet" in output.formats:
        makers.append(Parts(ledger, store, control, manifest.jobs if asked else ()))
    if output.mirror:
        formats = {maker.format for maker in makers}
        after = next((one for one in ("markdown", "images") if one in formats), None)
        makers.append(Mirrored(ledger, store, Mirror(output.mirror), control, after=after))
    return makers


class Pictures:
    """Fetches what a result links to into a folder beside it, before the service forgets it.

    Pictures that can't be fetched are noted.
    """

    format = "images"
    after = None
    at_a_time = Limit(documents=8)

    def __init__(
        self, ledger: Ledger, store: Store, client: Api, control: RunControl, jobs: Sequence[Job]
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._client = client
        self._control = control
        self._jobs = {job.name: job for job in jobs}

    async def prepare(self) -> None:
        """Do nothing: a picture gets its name once it is whole, so each that exists is complete."""

    async def make(self, group: Sequence[Derivable]) -> None:
        there = await in_thread(derived_files.whole, self._store, group)
        made, error = await to_their_ends(map(self._all_of, there))
        await remember(self._ledger, made)
        if error is not None:
            raise error

    async def _all_of(self, one: Derivable) -> Derived:
        cited = self._has_citations(one)
        places = await in_thread(
            lambda: derived_files.picture_places(self._store, one, cited=cited)
        )
        troubles = [
            trouble for url, place in places.items() if (trouble := await self._fetch(url, place))
        ]
        note = f"{len(troubles)} of {len(places)} missing: {troubles[0]}" if troubles else None
        if note:
            self._control.warn(f"{one.source}: pictures: {note}")
        await in_thread(
            derived_files.remove_others,
            self._store,
            derived_files.pictures_name(one),
            places.values(),
        )
        number = len(places) - len(troubles)
        return Derived(
            one.document,
            "images",
            one.sha256,
            derived_files.pictures_name(one),
            0,
            number,
            None,
            note,
        )

    def _has_citations(self, one: Derivable) -> bool:
        """Return whether citations were asked for, as far as manifest and listing tell."""
        name, options = self._ledger.sending.asked_by(one.document)
        job = self._jobs.get(name)
        return job is not None and asks_for_citations(
            job.endpoint, merged(job.options, json.loads(options or "{}"))
        )

    async def _fetch(self, url: str, place: str) -> str | None:
        if self._store.path(place).is_file():
            return None
        part = await in_thread(self._store.new_part)
        try:
            digest, size = await self._bring(url, part)
            if not size:
                raise ValueError("it came empty")
        except OSError as error:
            raise trouble(place, error) from error
        except Exception as error:
            # any error: the address may have been written by a document's author
            part.unlink(missing_ok=True)
            return self._why(error)
        await in_thread(derived_files.publish, self._store, Streamed(place, part, digest, size))
        return None

    async def _bring(self, url: str, part: Path) -> tuple[str, int]:
        picture = derived_files.picture_in(url)
        if picture is None:
            return await self._client.download(url, part)
        await in_thread(part.write_bytes, picture)
        return sha256(picture).hexdigest(), len(picture)

    def _why(self, error: Exception) -> str:
        if isinstance(error, ServiceError):
            return error.message
        if not isinstance(error, ValueError):
            self._control.trace(trace_of(error, "a picture could not be fetched"))
        return f"{error}" or type(error).__name__


def _tell(control: RunControl, group: Sequence[Derivable], rows: Sequence[Derived]) -> None:
    """Warn about files that lack something of what their results hold."""
    sources = {one.document: one.source for one in group}
    for row in rows:
        if row.note:
            control.warn(
                f"{sources[row.document]}: {row.format}: {row.note}; the JSON on disk is as it came"
            )


class Markdown:
    """Writes a Markdown file beside each result."""

    format = "markdown"
    after = "images"
    at_a_time = Limit()

    def __init__(self, ledger: Ledger, store: Store, control: RunControl) -> None:
        self._ledger = ledger
        self._store = store
        self._control = control

    async def prepare(self) -> None:
        """Do nothing: each file is either whole or missing."""

    async def make(self, group: Sequence[Derivable]) -> None:
        known = {
            name: hashes_of(self._ledger.reader, name)
            for name in map(derived_files.markdown_name, group)
        }
        rows = await in_thread(derived_files.write_markdown, self._store, group, known)
        await remember(self._ledger, rows)
        _tell(self._control, group, rows)


class LinesMaker:
    """Appends lines to one file.

    The ledger knows how much of the file counts; anything beyond is cut off and written again.
    """

    format = "jsonl"
    after = None
    at_a_time = Limit()

    def __init__(self, ledger: Ledger, store: Store, control: RunControl, *, kind: str) -> None:
        """`kind` is what a line stands for: one of the values of `output.lines`."""
        self._ledger = ledger
        self._store = store
        self._control = control
        self._kind = kind
        self._file = ""
        self._length = 0

    async def prepare(self) -> None:
        """Have all lines written again if the file is gone, too short, or of another kind."""
        self._file = derived_outputs.lines_file(self._ledger.reader) or ""
        await self._settle_kind()
        self._length = derived_outputs.files(self._ledger.reader, self.format).get(self._file, 0)
        path = self._store.path(self._file)
        if self._length and not (path.is_file() and path.stat().st_size >= self._length):
            await derived_outputs.forget(self._ledger, self.format, [self._file])
            self._length = 0

    async def _settle_kind(self) -> None:
        """Forget lines of another kind: who reads the file must not meet both.

        An earlier version didn't record the kind; then the first line shows it.
        """
        before = derived_outputs.kind_of_lines(self._ledger.reader)
        if before is None and self._file:
            before = await in_thread(derived_files.kind_of_lines, self._store, self._file)
        if before is not None and before != self._kind:
            await derived_outputs.forget(self._ledger, self.format, [self._file])
            self._control.warn(
                f"{self._file} is written anew: its lines stood for {before}, and output.lines "
                f"says {self._kind} now"
            )
        # recorded last: after a crash before it the lines are forgotten once more
        await derived_outputs.note_kind_of_lines(self._ledger, self._kind)

    async def make(self, group: Sequence[Derivable]) -> None:
        if not self._file:
            self._file = await in_thread(free_name, self._store.path("."), "results.jsonl")
            # recorded before the file exists: a crash leaves no file that the ledger doesn't know
            await derived_outputs.claim_lines_file(self._ledger, self._file)
        rows = await in_thread(
            lambda: derived_files.append_lines(
                self._store, group, self._file, self._length, chunks=self._kind == "chunks"
            )
        )
        await remember(self._ledger, rows)
        self._length = max([self._length, *(row.start + row.size for row in rows)])
        _tell(self._control, group, rows)


class Parts:
    """Writes the files of a Parquet data set, each with documents of one step.

    A file with an outdated version of a document is deleted, and its other documents are written
    again. A file is recorded in the ledger before it gets its name: if the name is missing, nobody
    has seen the file, and it is made again.
    """

    format = "parquet"
    after = None
    at_a_time = Limit(documents=5_000, size=64 << 20, patient=True)

    def __init__(
        self, ledger: Ledger, store: Store, control: RunControl, jobs: Sequence[Job]
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._control = control
        self._jobs = jobs

    async def prepare(self) -> None:
        names = derived_outputs.files(self._ledger.reader, self.format)
        has_others = await self._settle_columns({name.split("/")[1] for name in names})
        gone = [name for name in names if not self._store.path(name).is_file()]
        outdated = {
            *derived_outputs.outdated(self._ledger.reader, self.format),
            *(name for name in names if name.split("/")[1] in has_others),
        }
        for name in outdated:
            self._store.path(name).unlink(missing_ok=True)
        await derived_outputs.forget(self._ledger, self.format, {*gone, *outdated})

    async def _settle_columns(self, written: Set[str]) -> set[str]:
        """Record the columns of each job, and return those of `written` that had others so far.

        An earlier version wrote the files of these, with fewer columns for the origin of a row, or
        with columns of each file's own.
        """
        before = {job: derived_outputs.columns_of(self._ledger.reader, job) for job in written}
        now = {job: known and {**ORIGIN, **known} for job, known in before.items()}
        now |= {job.name: columns_for(job.endpoint, job.options) for job in self._jobs}
        for job, columns in now.items():
            await derived_outputs.note_columns(self._ledger, job, columns)
        return {job for job in written if now[job] != before[job] or self._lacks_columns(job)}

    def _lacks_columns(self, job: str) -> bool:
        if derived_outputs.columns_of(self._ledger.reader, job) is not None:
            return False
        found = derived_outputs.found_columns_of(self._ledger.reader, job)
        return found is None or not found.keys() >= ORIGIN.keys()

    async def make(self, group: Sequence[Derivable]) -> None:
        for job, documents in groupby(
            sorted(group, key=lambda one: one.job), key=lambda one: one.job
        ):
            there = await in_thread(derived_files.whole, self._store, documents)
            if there:
                await self._part(await self._columns(job, there), there)

    async def _columns(self, job: str, there: Sequence[Derivable]) -> Columns:
        """Return the columns of all the step's files.

        They follow from what the step asks for, or else from what its rows have held so far.
        """
        columns = derived_outputs.columns_of(self._ledger.reader, job)
        if columns is None:
            known = derived_outputs.found_columns_of(self._ledger.reader, job)
            columns = await in_thread(derived_files.found_columns, self._store, there, known)
            # recorded before there is a file that has these columns
            await derived_outputs.note_found_columns(self._ledger, job, columns)
        return columns

    async def _part(self, columns: Columns, there: Sequence[Derivable]) -> None:
        part, rows = await in_thread(derived_files.begin_part, self._store, there, columns)
        await remember(self._ledger, rows)
        await in_thread(derived_files.publish, self._store, part)
        _tell(self._control, there, rows)
