"""The files of finished jobs: the result as JSON, and the files that it links to.

A result file has `tasks.ADDRESS` in place of the service's address, which may differ after a
restart. File names are made from ids that the service created; ids from clients are looked up in
the jobs' rows first.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Final

from batcher.service.tasks import ADDRESS

# bytes; smaller files are read on the event loop, in about a millisecond at most
LARGE: Final = 1 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.[a-z0-9]{1,8}")


class Results:
    """The results in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, job_id: str) -> Path:
        """Return the path of a job's result."""
        return self._folder / f"{job_id}.json"

    def attachments(self, job_id: str) -> Path:
        """Return the folder of the files that the result links to; it may not exist."""
        return self._folder / job_id

    async def read(self, job_id: str, *, address: str | None) -> bytes:
        """Return the result, with `address`, if given, as the service's address in its links."""
        return await _read(self.path(job_id), address)

    async def read_attachment(self, job_id: str, name: str, *, address: str) -> bytes | None:
        """Return a file that the result links to, or None if there is none of that name."""
        path = self.attachments(job_id) / name
        if not _NAME.fullmatch(name) or not path.is_file():
            return None
        return await _read(path, address if path.suffix == ".json" else None)

    def remove(self, job_id: str) -> None:
        """Remove a job's files, if there are any."""
        self.path(job_id).unlink(missing_ok=True)
        shutil.rmtree(self.attachments(job_id), ignore_errors=True)


async def _read(path: Path, address: str | None) -> bytes:
    if _is_large(path):
        return await asyncio.to_thread(_read_now, path, address)
    return _read_now(path, address)


def _is_large(path: Path) -> bool:
    return path.stat().st_size > LARGE


def _read_now(path: Path, address: str | None) -> bytes:
    content = path.read_bytes()
    return content if address is None else content.replace(ADDRESS, address.encode())
