"""The files of ended jobs: the result as JSON, and beside it what its addresses lead to.

A result file holds `ADDRESS` where the service's own address belongs, which may be another one
after a restart. Names are made of ids the service made itself; what comes from outside is checked
against the jobs' rows first.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Final

ADDRESS: Final = b"https://batcher.invalid/address"
LARGE: Final = 1 << 20  # bytes; less is read on the event loop, in about a millisecond at most
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.[a-z0-9]{1,8}")


class Results:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"

    def attachments(self, job_id: str) -> Path:
        """The folder of what the result links to; made by the worker that fills it."""
        return self._folder / job_id

    async def read(self, job_id: str, *, address: str | None) -> bytes:
        """The result's bytes; with `address`, where the service is reached now, in its place."""
        return await _read(self.path(job_id), address)

    async def read_attachment(self, job_id: str, name: str, *, address: str) -> bytes | None:
        path = self.attachments(job_id) / name
        if not _NAME.fullmatch(name) or not path.is_file():
            return None
        return await _read(path, address if path.suffix == ".json" else None)

    def remove(self, job_id: str) -> None:
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
