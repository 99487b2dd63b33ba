"""Hashes files and puts them at addresses, wherever this runs. It knows neither Ray nor a key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from batcher.cluster.file_tasks import (
    Failure,
    FileReport,
    FileTask,
    Hashing,
    Putting,
    StoredFile,
    StoredObject,
)
from batcher.errors import BadReply, ReplyLostError, SourceError, Unreachable
from batcher.reducto.file_body import checked_chunks
from batcher.reducto.presigned import SignedAddresses
from batcher.sources import directory, object_store

# Files of a folder by which a hand sees whether it has the same one: some may go meanwhile.
LANDMARKS: Final = 3


def landmarks(folder: Path) -> list[StoredFile]:
    """Return a few files of the folder, or the folder itself where it has none at hand."""
    marks = [
        StoredFile(str(folder), found.name, found.size, found.mtime_ns)
        for found in directory.some_files(folder, LANDMARKS)
    ]
    return marks or [StoredFile(str(folder), "", 0)]


def unseen(marks: Iterable[StoredFile]) -> str:
    """Return the first folder of which no landmark is seen here; empty if all are."""
    seen: dict[str, bool] = {}
    for mark in marks:
        seen[mark.folder] = seen.get(mark.folder, False) or _is_seen(mark)
    return next((folder for folder, is_there in seen.items() if not is_there), "")


def _is_seen(file: StoredFile) -> bool:
    """Return whether the file is here, with that size, and that time if one is given."""
    if not file.place:
        return Path(file.folder).is_dir()
    found = directory.found_at(os.fsencode(_path(file)), file.place)
    if found.problem is not None or found.size != file.size:
        return False
    return file.mtime_ns in (0, found.mtime_ns)


def _path(file: StoredFile) -> Path:
    return directory.path_at(file.folder, file.place, None)


async def done(task: FileTask, addresses: SignedAddresses) -> FileReport:
    """Do the task, and report how it ended.

    What is wrong with a file is NOT_HERE: whoever has seen it must look for itself.
    """
    try:
        if isinstance(task, Hashing):
            return FileReport(await asyncio.to_thread(_hashed, task.file))
        return await _put(task, addresses)
    except (SourceError, Unreachable) as error:
        return FileReport(failure=Failure.NOT_HERE, message=str(error))
    except ReplyLostError as error:
        return FileReport(failure=Failure.NO_ANSWER, message=error.message)
    except BadReply as error:
        return FileReport(failure=Failure.NO_ADDRESS, message=error.message)


def _hashed(file: StoredFile) -> str:
    _require(file)
    return directory.digest(_path(file))


def _require(file: StoredFile) -> None:
    """Raise SourceError unless this machine has the file that the other one has seen."""
    if not _is_seen(file):
        raise SourceError(f"{file.folder}: a node doesn't see the files that this machine sees")


async def _put(task: Putting, addresses: SignedAddresses) -> FileReport:
    match task.source:
        case StoredFile() as file:
            await asyncio.to_thread(_require, file)
            body = checked_chunks(_path(file), file.size, task.sha256)
        case StoredObject() as stored:
            body = _from_store(stored, addresses)
    status, headers = await addresses.put(task.address, body, task.size)
    return FileReport(status=status, headers={} if 200 <= status < 300 else dict(headers))


def _from_store(stored: StoredObject, addresses: SignedAddresses) -> AsyncIterator[bytes]:
    return addresses.chunks(
        stored.address, name=stored.name, size=stored.size, is_same=partial(_is_same, stored)
    )


def _is_same(stored: StoredObject, headers: Mapping[str, str]) -> bool:
    return object_store.content_by(headers, stored.name) == stored.content
