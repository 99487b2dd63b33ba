"""Finds the input to name in a submission: the previous step's job, a URL, or an upload.

The job is used while the service keeps it. This module reads files and the ledger, and sends
nothing to the service.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from batcher.core import events
from batcher.core.account import Account
from batcher.core.inflight import LAPSES
from batcher.core.lifecycle import State
from batcher.errors import DocumentLocked, SourceChangedError, SourceError, SourceGoneError
from batcher.ledger.ledger import Due
from batcher.reducto.error_rules import ErrorClass
from batcher.reducto.inputs import Address, Input, UpstreamJob, address
from batcher.sources import directory, listing, object_store
from batcher.sources.listing import ROW
from batcher.sources.object_store import SIGNED, Fetched
from batcher.sources.passwords import Passwords
from batcher.stages.context import StageContext
from batcher.stages.transfer import UPLOADED_HERE, InStore

# bytes up to which a file is read at once rather than streamed: those of all documents in hand are
# in memory
SMALL = 1 << 20
# the share of its retention that a job must still have left when another is to read it
LEFT: Final = 1 / 8
# Objects in a row that a store signs no address for, each of which may take it seconds, before it
# isn't asked any more.
MOST_UNSIGNED: Final = 3


@dataclass(frozen=True, slots=True)
class Named:
    """An input that the service can read.

    `password` opens it, and is never written anywhere.
    """

    input: Input
    password: str | None = field(default=None, repr=False)


# The bytes of a small file; for a large one, where to stream them from, or have a hand do so.
Content = bytes | Path | Fetched | InStore | Named | SourceError


class InputResolver:
    def __init__(
        self,
        context: StageContext,
        passwords: Passwords,
        *,
        account: Account,
        parts: Path,
        ignored: Mapping[str, Collection[str]],
    ) -> None:
        self._hands = context.hands
        self._control = context.control
        self._unsigned: Counter[str] = Counter()
        self._why_unsigned = ""
        self._ledger = context.ledger
        self._passwords = passwords
        self._account = account
        self._left = LEFT * account.retention
        self._parts = parts  # where large objects are kept until they are uploaded
        self._ignored = ignored  # URL parameters that don't distinguish addresses, by listing
        self._clock = context.clock

    async def of(self, due: Sequence[Due]) -> list[tuple[Due, Content]]:
        """Return the content of each document, all read in one thread.

        A trip to another thread for each costs more than the reading.
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
                    Named(job) if job else self._content(document),
                )
                for document, job in zip(due, jobs, strict=True)
            ]
        )
        if self._why_unsigned:
            self._control.warn_once(UPLOADED_HERE, self._why_unsigned)
        for _, content in contents:
            if isinstance(content, InStore):
                self._ledger.secrets.keep_address(content.address)
            if isinstance(content, Named):
                source = content.input.source
                for one in (source,) if isinstance(source, str) else source:
                    self._ledger.secrets.keep_address(one)
        return contents

    def _content(self, due: Due) -> Content:
        """Return what a document is uploaded from, or the address of it. Not for the loop."""
        in_store = self._in_store(due) if self._is_for_hands(due) else None
        return in_store or _content(due, self._parts, self._ignored)

    def _in_store(self, due: Due) -> InStore | None:
        """Return the object by its address; None where its store signs none, but may be read."""
        try:
            address = object_store.signed(due.folder, due.source)
        except SourceError as error:
            self._unsigned[due.folder] += 1
            self._why_unsigned = str(error)
            return None
        self._unsigned[due.folder] = 0
        return InStore(address, self._parts)

    def _is_for_hands(self, due: Due) -> bool:
        """Return whether hands may take the object from its store; nobody here is to open it."""
        if self._hands is None or due.state is State.UPLOADED or due.place is not None:
            return False
        if is_file(due) or due.size < self._hands.worth_handing_over:
            return False
        if self._unsigned[due.folder] >= MOST_UNSIGNED:
            return False
        return not self._passwords.of(due.folder, due.source, due.place)

    async def password(self, due: Due, content: Content) -> str | None:
        """Return the password that opens the document, if it needs one.

        Raises DocumentLocked if none of the given passwords does.
        """
        named = self._passwords.of(due.folder, due.source, due.place)
        if not named or isinstance(due.input, UpstreamJob) or isinstance(content, SourceError):
            return None
        if isinstance(content, Named):
            # the document isn't read here, so its first password is used without a try
            return None if isinstance(content.input, UpstreamJob) else named[0]
        assert not isinstance(content, InStore), "hands get no document that is to be opened"
        return await asyncio.to_thread(self._opening, due, content, named)

    def _opening(
        self, due: Due, content: bytes | Path | Fetched, named: Sequence[str]
    ) -> str | None:
        uploaded = due.state is State.UPLOADED and not is_file(due)  # and no longer on this machine
        there = _object(due._replace(state=State.QUEUED), self._parts) if uploaded else content
        assert not isinstance(there, InStore | Named | SourceError)
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
        """Return the job of the previous step, if the service can still be asked to read it."""
        if due.upstream is None or due.on_its_own:
            return None
        job = self._ledger.sending.upstream_job(due.upstream)
        if job is None or not self._account.made(job.service, job.key_print):
            return None
        if self._clock() > job.deadline_at - self._left:
            return None
        return UpstreamJob(job.job_id)

    def lapse(self, due: Due) -> str | None:
        """Return why the input prepared earlier can't be used any more; None if it can."""
        if isinstance(due.input, UpstreamJob):
            is_good = due.input == self.from_upstream(due)
            return None if is_good else "the job it was to read is about to expire"
        if isinstance(due.input, Address):
            return None
        if due.uploaded_at is None or self._clock() - due.uploaded_at > LAPSES:
            return "the upload is too old"
        return None


def is_file(due: Due) -> bool:
    """Return whether the document is a file on this machine."""
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
    """Return the URL from which the service fetches the document; None if we fetch it ourselves.

    It is read or signed again each time, because it isn't stored.
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
        return b""  # it is uploaded already
    return object_store.fetch(due.folder, due.source, due.content, small=SMALL, folder=parts)
