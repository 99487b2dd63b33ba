"""What a submission names as its input: the job of the step before it while that lives, an address,
or an upload.

It reads files and the ledger; it calls nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from batcher.core import events
from batcher.core.account import Account
from batcher.core.inflight import LAPSES
from batcher.core.lifecycle import State
from batcher.errors import DocumentLocked, SourceChangedError, SourceError, SourceGoneError
from batcher.ledger.ledger import Due, Ledger
from batcher.reducto.error_rules import ErrorClass
from batcher.reducto.inputs import Address, Input, UpstreamJob, address
from batcher.sources import directory, listing, object_store
from batcher.sources.listing import ROW
from batcher.sources.object_store import SIGNED, Fetched
from batcher.sources.passwords import Passwords

SMALL = (
    1 << 20
    # bytes up to which a file is read at once rather than streamed: as many as are in hand lie in
    # memory
)
# of the retention, that a job must have left to live when another is to read it
LEFT: Final = 1 / 8


@dataclass(frozen=True, slots=True)
class Named:
    """An input that the service can read.

    `password` opens it, and is written down nowhere.
    """

    input: Input
    password: str | None = field(default=None, repr=False)


# Of a small file its bytes, of a large one where to stream them from.
Content = bytes | Path | Fetched | Named | SourceError


class InputResolver:
    def __init__(
        self,
        ledger: Ledger,
        passwords: Passwords,
        *,
        account: Account,
        parts: Path,
        ignored: Mapping[str, Collection[str]],
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._passwords = passwords
        self._account = account
        self._left = LEFT * account.retention
        self._parts = parts  # where large objects wait to be uploaded
        self._ignored = ignored  # parameters that tell no addresses apart, by listing
        self._clock = clock

    async def of(self, due: Sequence[Due]) -> list[tuple[Due, Content]]:
        """All of them read in one go: a trip to another thread for each costs more than the
        reading.
        """
        if not due:
            return []
        jobs = [
            self.from_upstream(document) if document.state is State.QUEUED else None
            for document in due
        ]
        contents = await asyncio.to_thread(
            lambda: [
                (
                    document,
                    Named(job) if job else _content(document, self._parts, self._ignored),
                )
                for document, job in zip(due, jobs, strict=True)
            ]
        )
        for _, content in contents:
            if isinstance(content, Named):
                source = content.input.source
                for one in (source,) if isinstance(source, str) else source:
                    self._ledger.secrets.keep_address(one)
        return contents

    async def password(self, due: Due, content: Content) -> str | None:
        """The one that opens it, if it wants any.

        Raises DocumentLocked where none that is named does.
        """
        named = self._passwords.of(due.folder, due.source, due.place)
        if not named or isinstance(due.input, UpstreamJob) or isinstance(content, SourceError):
            return None
        if isinstance(content, Named):
            # nobody reads it here
            return None if isinstance(content.input, UpstreamJob) else named[0]
        return await asyncio.to_thread(self._opening, due, content, named)

    def _opening(
        self, due: Due, content: bytes | Path | Fetched, named: Sequence[str]
    ) -> str | None:
        uploaded = due.state is State.UPLOADED and not is_file(due)  # and not at hand any more
        there = _object(due._replace(state=State.QUEUED), self._parts) if uploaded else content
        assert not isinstance(there, Named | SourceError)
        try:
            return self._passwords.opening(
                there.path if isinstance(there, Fetched) else there, named
            )
        except DocumentLocked:
            _remove(content)
            raise
        finally:
            if there is not content:
                _remove(there)

    def from_upstream(self, due: Due) -> UpstreamJob | None:
        """The job of the step before it, where this service can still be asked to read it."""
        if due.upstream is None or due.on_its_own:
            return None
        job = self._ledger.sending.upstream_job(due.upstream)
        if job is None or not self._account.made(job.service, job.key_print):
            return None
        if self._clock() > job.deadline_at - self._left:
            return None
        return UpstreamJob(job.job_id)

    def lapse(self, due: Due) -> str | None:
        """Why the input that was made ready earlier won't do any more; None where it will."""
        if isinstance(due.input, UpstreamJob):
            is_good = due.input == self.from_upstream(due)
            return None if is_good else "the job it was to read is about to expire"
        if isinstance(due.input, Address):
            return None
        if due.uploaded_at is None or self._clock() - due.uploaded_at > LAPSES:
            return "the upload is too old"
        return None


def is_file(due: Due) -> bool:
    """Whether it is a file on this machine."""
    return "://" not in due.folder and not (due.place or "").startswith(ROW)


def path(due: Due) -> Path:
    return directory.path_at(due.folder, due.source, due.place)


def source_verdict(due: Due, error: SourceError) -> events.Event:
    where = path(due)
    reason = directory.reason(error, str(where), where.name, f"{due.folder}/{due.source}")
    match error:
        case DocumentLocked():
            return events.Rejected(due.id, reason, kind=ErrorClass.DOCUMENT)
        case SourceGoneError():
            return events.SourceGone(due.id, reason)
        case SourceChangedError():
            return events.SourceChanged(due.id, reason)
    return events.Unreadable(due.id, reason)


def _content(due: Due, parts: Path, ignored: Mapping[str, Collection[str]]) -> Content:
    if not is_file(due):
        try:
            return _address(due, ignored) or _object(due, parts)
        except SourceError as error:
            return error
    where = path(due)
    if due.size > SMALL or due.state is State.UPLOADED:
        return where
    try:
        return directory.read(where, limit=SMALL)
    except SourceError as error:
        return error


def _address(due: Due, ignored: Mapping[str, Collection[str]]) -> Named | None:
    """Where the service fetches it: read or signed again each time, for it isn't kept.

    None of what we fetch.
    """
    if due.place == SIGNED:
        signed = object_store.signed(due.folder, due.source)
        return Named(Address(f"{due.folder}/{due.source}", signed))
    if due.place is None:
        return None
    url = listing.address(
        Path(due.folder), due.place, due.source, ignore=ignored.get(due.folder, ())
    )
    return Named(address(url))


def _remove(content: Content) -> None:
    if isinstance(content, Fetched):
        content.path.unlink(missing_ok=True)


def _object(due: Due, parts: Path) -> Content:
    if due.state is State.UPLOADED:
        return b""  # it is there already
    return object_store.fetch(due.folder, due.source, due.content, small=SMALL, folder=parts)
