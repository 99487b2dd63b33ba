"""Transfer documents, itself or by hands on a cluster.

A hand only puts bytes at an address that was asked for here. An address is handed out once: where
nobody knows what became of it, another one is asked for, so that bytes which arrive late belong to
an upload that no submission names.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from batcher.cluster.file_tasks import (
    Failure,
    FileReport,
    Putting,
    StoredFile,
    StoredObject,
)
from batcher.cluster.hands import FileHands
from batcher.errors import BadReply, ReplyLostError
from batcher.ledger.ledger import Due
from batcher.reducto.api_types import Upload
from batcher.reducto.presigned import PUT_CALL, refused_address
from batcher.sources import object_store
from batcher.sources.object_store import Fetched
from batcher.stages.context import StageContext

# Addresses that hands may be lost with before the document is uploaded here.
MOST_LOST: Final = 2
UPLOADED_HERE: Final = "what hands can't upload is uploaded by this machine"


@dataclass(frozen=True, slots=True)
class InStore:
    """A large object that a hand takes from its store, by a signed address."""

    address: str = field(repr=False)
    parts: Path  # the folder for objects on their way, where it comes by this machine after all


class Transfer:
    """Transfer the documents that are due."""

    def __init__(self, context: StageContext) -> None:
        self._client = context.client
        self._rate_limits = context.rate_limits
        self._control = context.control
        self._hands = context.hands

    async def upload(
        self, due: Due, content: bytes | Path | Fetched | InStore, *, sha256: str | None
    ) -> Upload | None:
        """Return the upload once its bytes have arrived; None where the run was stopped before.

        Raises ServiceError and SourceError. `sha256` is None where the hash isn't known.
        """
        try:
            return await self._uploaded(due, content, sha256)
        finally:
            if isinstance(content, Fetched):
                content.path.unlink(missing_ok=True)

    async def _uploaded(
        self, due: Due, content: bytes | Path | Fetched | InStore, sha256: str | None
    ) -> Upload | None:
        # an id from a listing doesn't show the file's type, so the name is taken from the place
        name = (due.place or due.source).rpartition("/")[2]
        if self._hands is not None:
            source = _handed_over(due, content, self._hands.worth_handing_over)
            if source is not None:
                uploaded = await self._by_hand(self._hands, source, name, sha256 or "")
                if uploaded is not None:
                    return uploaded
        if not await self._may_call():
            return None
        return await self._from_here(due, content, name, sha256)

    async def _may_call(self) -> bool:
        """Wait for the turn of an upload, and return whether the run still makes any."""
        await self._rate_limits.upload.acquire()
        return not self._control.stopped.is_set()

    async def _by_hand(
        self, hands: FileHands, source: StoredFile | StoredObject, name: str, sha256: str
    ) -> Upload | None:
        """Return the upload that a hand has made; None if this machine has to make one."""
        for _ in range(MOST_LOST):
            if not await self._may_call():
                return None
            announced = await self._client.announce(name=name)
            if not announced.presigned_url:
                return None
            report = await hands.do(Putting(source, announced.presigned_url, sha256))
            if report.failure is Failure.NOT_HERE:
                self._control.warn_once(UPLOADED_HERE, report.message)
                return None
            if report.failure is not Failure.LOST:
                _raise_for(report)
                return Upload(announced.file_id)
        return None

    async def _from_here(
        self, due: Due, content: bytes | Path | Fetched | InStore, name: str, sha256: str | None
    ) -> Upload:
        if isinstance(content, InStore):
            fetched = await asyncio.to_thread(
                object_store.fetch,
                due.folder,
                due.source,
                due.content,
                small=0,
                folder=content.parts,
            )
            return await self._from_here(due, fetched, name, sha256)
        if not isinstance(content, Fetched):
            return await self._client.upload(content, name=name, sha256=sha256)
        try:
            return await self._client.upload(content.path, name=name, sha256=sha256)
        finally:
            content.path.unlink(missing_ok=True)


def _handed_over(
    due: Due, content: bytes | Path | Fetched | InStore, worth: int
) -> StoredFile | StoredObject | None:
    """Return what a hand is given of the document; None if it is better uploaded here."""
    if due.size < worth:
        return None
    match content:
        case InStore():
            return StoredObject(due.source, due.content, due.size, content.address)
        case Fetched():
            return None  # it is here already
    return StoredFile(due.folder, due.place or due.source, due.size)


def _raise_for(report: FileReport) -> None:
    """Raise what the service did with a PUT, as if it had been made here."""
    if report.failure is Failure.NO_ANSWER:
        raise ReplyLostError(PUT_CALL, report.message)
    if report.failure is Failure.NO_ADDRESS:
        raise BadReply(PUT_CALL, report.message, status=200)
    if not 200 <= report.status < 300:
        raise refused_address(PUT_CALL, report.status, report.headers, b"")
