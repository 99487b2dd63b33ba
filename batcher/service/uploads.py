"""The service's uploads: a row and a file each, under an id the service makes; gone a day after
they came.

Streams bytes to disk with flat memory. Ids from outside are looked up in the table, never joined to
a path.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import sqlite3
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiofiles

from batcher.reducto.api_types import UPLOAD_RETENTION, ErrorName
from batcher.service.answers import ApiError
from batcher.service.database import Database
from batcher.service.jobs import Clock

# bytes handed to the disk at once; smaller ones cost more in thread hops than in writing
PIECE: Final = 256 * 1024
_FILE_ID: Final = re.compile(
    r"(?:reducto://)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.[A-Za-z0-9]{1,16})?"
)
_EXTENSION: Final = re.compile(r"[a-z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """Bytes that wait to be read. `size` None: asked for by presigned PUT, and not yet here."""

    upload_id: str
    extension: str
    size: int | None
    token: str

    @property
    def file_id(self) -> str:
        return f"reducto://{self.upload_id}" + (f".{self.extension}" if self.extension else "")


class Uploads:
    def __init__(self, database: Database, folder: Path, *, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock

    async def announce(self, extension: str) -> StoredUpload:
        """An upload whose bytes are still to come."""
        upload = StoredUpload(str(uuid.uuid4()), extension, None, secrets.token_urlsafe(24))
        await self._record(upload)
        return upload

    async def receive(
        self, pieces: AsyncIterator[bytes], extension: str, *, limit: int
    ) -> StoredUpload:
        """Store the bytes and know them; `ApiError` 413 past `limit`."""
        upload_id = str(uuid.uuid4())
        size = await self._store(upload_id, pieces, limit)
        upload = StoredUpload(upload_id, extension, size, secrets.token_urlsafe(24))
        await self._record(upload)
        return upload

    async def fill(self, upload: StoredUpload, pieces: AsyncIterator[bytes], *, limit: int) -> None:
        """The bytes of an announced upload; a second PUT replaces the first, as at S3."""
        size = await self._store(upload.upload_id, pieces, limit)
        await self._database.write(
            ("UPDATE uploads SET size = ? WHERE upload_id = ?", (size, upload.upload_id))
        )

    def find(self, file_id: str) -> StoredUpload | None:
        match = _FILE_ID.fullmatch(file_id)
        row = (
            self._database.one("SELECT * FROM uploads WHERE upload_id = ?", (match[1],))
            if match
            else None
        )
        if row is None or row["created_at"] <= self._clock() - UPLOAD_RETENTION:
            return None
        return _revive(row)

    def find_presigned(self, upload_id: str, token: str) -> StoredUpload | None:
        upload = self.find(upload_id)
        return (
            upload
            if upload and hmac.compare_digest(upload.token.encode(), token.encode())
            else None
        )

    def readable(self, file_id: str) -> tuple[Path, StoredUpload] | None:
        """The file behind an id; None where it is unknown, deleted, or not whole on disk."""
        upload = self.find(file_id)
        if upload is None:
            return None
        path = self._path(upload.upload_id)
        # A power cut can leave a row without all of its bytes: files aren't synced one by one, so
        # sizes are compared.
        return (path, upload) if path.is_file() and path.stat().st_size == upload.size else None

    async def delete(self, file_id: str) -> StoredUpload:
        """At once and for good; `ApiError` 404 where there is nothing (any more)."""
        upload = self.find(file_id)
        if upload is None or not await self._database.write(_deletion(upload.upload_id)):
            raise ApiError(ErrorName.NOT_FOUND, "File not found")
        self._path(upload.upload_id).unlink(missing_ok=True)
        return upload

    async def forget_expired(self) -> None:
        rows = self._database.all(
            "SELECT upload_id FROM uploads WHERE created_at <= ?",
            (self._clock() - UPLOAD_RETENTION,),
        )
        for row in rows:
            await self._database.write(_deletion(row["upload_id"]))
            self._path(row["upload_id"]).unlink(missing_ok=True)

    async def _record(self, upload: StoredUpload) -> None:
        await self._database.write(
            (
                "INSERT INTO uploads (upload_id, extension, size, created_at, token) VALUES (?, "
                "?, ?, ?, ?)",
                (upload.upload_id, upload.extension, upload.size, self._clock(), upload.token),
            )
        )

    async def _store(self, upload_id: str, pieces: AsyncIterator[bytes], limit: int) -> int:
        """Under a name of its own until it is whole, so that a broken transfer leaves no upload."""
        partial = self._folder / f"{uuid.uuid4()}.part"
        try:
            size = await _write(partial, pieces, limit)
            partial.replace(self._path(upload_id))
        finally:
            partial.unlink(missing_ok=True)
        return size

    def _path(self, upload_id: str) -> Path:
        return self._folder / upload_id


def private(path: str, flags: int) -> int:
    """An opener for files that are their owner's alone, whatever the umask."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def clean_extension(text: str | None, filename: str | None = None) -> str:
    """Both `pdf` and `.pdf` are sent; anything that is no plain extension is left out."""
    wanted = (text or Path(filename or "").suffix).lower().lstrip(".")
    return wanted if _EXTENSION.fullmatch(wanted) else ""


async def _write(path: Path, pieces: AsyncIterator[bytes], limit: int) -> int:
    """Small uploads in one call, large ones in pieces on a thread; the number of bytes."""
    held = bytearray()
    size = 0
    async with aiofiles.open(path, "wb", opener=private) as file:
        async for piece in pieces:
            held += piece
            size += len(piece)
            if size > limit:
                raise ApiError(
                    ErrorName.DOCUMENT_TOO_LARGE, f"The file is larger than {limit} bytes"
                )
            if len(held) >= PIECE:
                await file.write(bytes(held))
                held.clear()
        if held:
            await file.write(bytes(held))
    return size


def _deletion(upload_id: str) -> tuple[str, tuple[str]]:
    return "DELETE FROM uploads WHERE upload_id = ?", (upload_id,)


def _revive(row: sqlite3.Row) -> StoredUpload:
    return StoredUpload(row["upload_id"], row["extension"], row["size"], row["token"])
