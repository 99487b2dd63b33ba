"""Reads found files once, to tell by their bytes whether they are new: here, or by hands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from batcher.cluster.file_tasks import Failure, FileReport, Hashing, StoredFile
from batcher.cluster.hands import FileHands
from batcher.common.names import content_key
from batcher.errors import SourceError
from batcher.sources import directory
from batcher.sources.directory import Found

# A content key, or what is wrong with the file.
Content = tuple[str | None, str | None]


async def contents_of(
    group: Sequence[Found], hands: FileHands | None, *, tell: Callable[[str], None]
) -> list[Content]:
    """Return each file's content.

    Hands hash the large ones; those that they can't, or are lost with, are read here. `tell` is
    called with why they can't.
    """
    hashed = await _hashed_by(hands, group, tell) if hands is not None else {}
    return await asyncio.to_thread(
        lambda: [_content(found, hashed.get(number, "")) for number, found in enumerate(group)]
    )


async def _hashed_by(
    hands: FileHands, group: Sequence[Found], tell: Callable[[str], None]
) -> dict[int, str]:
    """Return the hashes that hands have taken, by the file's number in the group."""
    given = {
        number: hands.do(Hashing(_stored(found)))
        for number, found in enumerate(group)
        if _is_to_read(found) and found.size >= hands.worth_handing_over
    }
    reports: list[FileReport] = await asyncio.gather(*given.values())
    for report in reports:
        if report.failure is Failure.NOT_HERE:
            tell(report.message)
    return {number: report.sha256 for number, report in zip(given, reports, strict=True)}


def _stored(found: Found) -> StoredFile:
    return StoredFile(found.folder, found.place or found.name, found.size, found.mtime_ns)


def _is_to_read(found: Found) -> bool:
    return not found.problem and found.content is None


def _content(found: Found, sha256: str) -> Content:
    if not _is_to_read(found):
        return found.content, None
    try:
        sha256 = sha256 or directory.digest(found.path)
    except SourceError as error:
        return None, directory.reason(error, str(found.path))
    return content_key(sha256, found.place or found.name), None
