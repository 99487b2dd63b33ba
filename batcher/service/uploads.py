"""The service's uploads: a row and a file each, under an id that the service makes, for a day.

Streams bytes to disk in constant memory. Ids from clients are looked up in the table and never
joined to a path.
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

# Bytes per write; with smaller pieces the switch to a thread costs more than the writing.
PIECE: Final = 256 * 1024
_FILE_ID: Final = re.compile(
    r"(?:reducto://)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.[A-Za-z0-9]{1,16})?"
)
_EXTENSION: Final = re.compile(r"[a-z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """An upload. `size` is None while the bytes of a presigned PUT are still to come."""

    upload_id: str
    extension: str
    size: int | None
    token: str

    @property
    def file_id(self) -> str:
        """The id as the API writes it, `reducto://ID.EXTENSION`."""
        return f"reducto://{self.upload_id}" + (f".{self.extension}" if self.extension else "")


class Uploads:
    """The uploads in a folder and their rows."""

    def __init__(self, database: Database, folder: Path, *, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock

    async def announce(self, extension: str) -> StoredUpload:
        """Record an upload whose bytes are still to come."""
        upload = StoredUpload(str(uuid.uuid4()), extension, None, secrets.token_urlsafe(24))
        await self._record(upload)
        return upload

    async def receive(
        self, pieces: AsyncIterator[bytes], extension: str, *, limit: int
    ) -> StoredUpload:
        """Store the bytes and record the upload.

        Raises ApiError 413 beyond `limit` bytes.
        """
        upload_id = str(uuid.uuid4())
        size = await self._store(upload_id, pieces, limit)
        upload = StoredUpload(upload_id, extension, size, secrets.token_urlsafe(24))
        await self._record(upload)
        return upload

    async def fill(self, upload: StoredUpload, pieces: AsyncIterator[bytes], *, limit: int) -> None:
        """Store the bytes of an announced upload; a second PUT replaces the first, as with S3.

        Raises ApiError 413 beyond `limit` bytes.
        """
        size = await self._store(upload.upload_id, pieces, limit)
        await self._database.write(
            ("UPDATE uploads SET size = ? WHERE upload_id = ?", (size, upload.upload_id))
        )

    def find(self, file_id: str) -> StoredUpload | None:
        """Return the upload of this id, or None if it is unknown, deleted or expired."""
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
        """Return the upload if the token of its presigned address is right."""
        upload = self.find(upload_id)
        return (
            upload
            if upload and hmac.compare_digest(upload.token.encode(), token.encode())
            else None
        )

    def readable(self, file_id: str) -> tuple[Path, StoredUpload] | None:
        """Return the file of an id; None if it is unknown, deleted, expired, or incomplete."""
        upload = self.find(file_id)
        if upload is None:
            return None
        path = self._path(upload.upload_id)
        # A power cut can leave a row without all of its bytes, since files aren't synced one by
        # one. So sizes are compared.
        return (path, upload) if path.is_file() and path.stat().st_size == upload.size else None

    async def delete(self, file_id: str) -> StoredUpload:
        """Delete an upload at once.

        Raises ApiError 404 if there is none.
        """
        upload = self.find(file_id)
        if upload is None or not await self._database.write(_deletion(upload.upload_id)):
            raise ApiError(ErrorName.NOT_FOUND, "File not found")
        self._path(upload.upload_id).unlink(missing_ok=True)
        return upload

    async def forget_expired(self) -> None:
        """Delete the uploads past their retention."""
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
        """Write to a temporary file first, so that a broken transfer leaves no upload."""
        partial = self._folder / f"{uuid.uuid4()}.part"
        try:
            size = await _write(partial, pieces, limit)
            partial.replace(self._path(upload_id))
        finally:
            partial.unlink(missing_ok=True)
        return size

    def _path(self, upload_id: str) -> Path:
        return self._folder / upload_id


def upload_id_of(file_id: str) -> str | None:
    """Return the id in a file id, which is also the name of its file; None if it holds none."""
    match = _FILE_ID.fullmatch(file_id)
    return match and match[1]


def private(path: str, flags: int) -> int:
    """Open a file that only its owner can read, whatever the umask; for use as an `opener`."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def clean_extension(text: str | None, filename: str | None = None) -> str:
    """Return the extension without its dot, in lower case, or "" if it is no plain one.

    Clients send both `pdf` and `.pdf`.
    """
    wanted = (text or Path(filename or "").suffix).lower().lstrip(".")
    return wanted if _EXTENSION.fullmatch(wanted) else ""


async def _write(path: Path, pieces: AsyncIterator[bytes], limit: int) -> int:
    """Write small uploads in one call and large ones in pieces; return the number of bytes."""
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
