"""Defects planted on purpose, by name: what faults of the disk must bring to light, or their
silence proves nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from batcher.core import events
from batcher.ledger import ledger
from batcher.outputs import result_store
from batcher.outputs.result_store import Item, Store, Written
from batcher.stages.sender import Sender
from batcher.stages.sink import Sink

Patch = tuple[Any, str, Any]
# bytes written at once by what is defective: so many calls show it that some are met
PIECE: Final = 32


@contextmanager
def planted(name: str) -> Iterator[None]:
    """batcher with the defect `name` for as long as the block lasts; healthy where it is empty."""
    patches = DEFECTS[name]() if name else []
    healthy = [(owner, attribute, getattr(owner, attribute)) for owner, attribute, _ in patches]
    for owner, attribute, sick in patches:
        setattr(owner, attribute, sick)
    try:
        yield
    finally:
        for owner, attribute, before in healthy:
            setattr(owner, attribute, before)


def _never_syncs_a_file() -> list[Patch]:
    return [(Store, "_sync", lambda *_: None)]


def _never_syncs_a_folder() -> list[Patch]:
    fsync = os.fsync

    def files_only(fd: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            fsync(fd)

    return [(os, "fsync", files_only)]


def _commits_without_sync() -> list[Patch]:
    pragmas = tuple(
        one.replace("synchronous = FULL", "synchronous = NORMAL") for one in ledger._PRAGMAS
    )
    assert pragmas != ledger._PRAGMAS
    return [(ledger, "_PRAGMAS", pragmas)]


def _says_saved_before_it_is() -> list[Patch]:
    async def early(self: Sink, group: Any) -> None:
        for result in group:
            saved = events.Saved(
                result.ended.document, result.output, _digest(result.body), len(result.body)
            )
            await self._ledger.record(result.ended, saved)
            self.room.give(result.reserved)
        items = [Item(result.output, result.body) for result in group]
        await asyncio.to_thread(self._store.write_group, items)

    return [(Sink, "_write", early)]


def _sends_before_it_is_on_record() -> list[Patch]:
    async def late(self: Sender, due: Any, named: Any, *before: events.Event) -> None:
        nonce = f"{self._rng.getrandbits(96):024x}"
        event = await self._post(due, named.input, self._call(due, named, nonce))
        account = self._templates[due.job].account
        sending = events.Sending(due.id, nonce, account.service, account.key_fingerprint, 1.0)
        await self._ledger.record(*before, sending)
        await self._ledger.record(event)

    return [(Sender, "_submit_in_turn", late)]


def _writes_in_place() -> list[Patch]:
    def write_group(self: Store, items: Sequence[Item]) -> list[Written]:
        return [_write(self, item) for item in items]

    def _write(self: Store, item: Item) -> Written:
        path = self._root / item.output
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            for piece in _pieces(item.data):
                result_store._write_all(fd, piece)
            os.fsync(fd)
        finally:
            os.close(fd)
        return Written(item.output, _digest(item.data), len(item.data))

    return [(Store, "write_group", write_group)]


def _takes_a_short_write_for_a_whole_one() -> list[Patch]:
    def write_each_once(fd: int, data: bytes) -> None:
        for piece in _pieces(data):
            os.write(fd, piece)

    return [(result_store, "_write_all", write_each_once)]


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


DEFECTS: Final[dict[str, Callable[[], list[Patch]]]] = {
    "never syncs a file": _never_syncs_a_file,
    "never syncs a folder": _never_syncs_a_folder,
    "commits without sync": _commits_without_sync,
    "says saved before it is": _says_saved_before_it_is,
    "sends before it is on record": _sends_before_it_is_on_record,
    "writes in place": _writes_in_place,
    "takes a short write for a whole one": _takes_a_short_write_for_a_whole_one,
}
