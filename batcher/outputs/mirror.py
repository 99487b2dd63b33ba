"""Copy files into an object store (S3, Google Cloud Storage, Azure) through obstore.

An object appears as a whole or not at all. Credentials come from the environment, as with the
store's own tools, and never from the manifest. Needs the extra `s3`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from batcher.common.extras import install_command
from batcher.errors import MirrorError
from batcher.sources.object_store import opened

TYPES: Final = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}
MARK: Final = ".batcher-may-write"
PATIENCE: Final = 60.0  # seconds for the first request
BLOCK: Final = 4 << 20  # bytes per read of a file that may be growing


class Mirror:
    """An object store below an address such as s3://bucket/prefix.

    Creating it raises MirrorError if obstore isn't installed or can't use the address.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            import obstore
        except ImportError as error:
            raise MirrorError(
                f"{url}: object stores need obstore: {install_command('s3')}"
            ) from error
        self._put = obstore.put_async
        self._delete = obstore.delete_async
        self._get = obstore.get_async
        self._list = obstore.list
        try:
            self._store: Any = opened(self.url)
        except (
            Exception
        ) as error:  # obstore has an error class for each kind of address and configuration
            raise MirrorError(f"{url}: {_said(error)}") from error

    async def check(self) -> None:
        """Put a small object and delete it again. Raises MirrorError if it can't be put."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._put(self._store, MARK, b"batcher looks whether it may write here\n")
        except TimeoutError as error:
            raise MirrorError(f"{self.url}: it doesn't answer within {PATIENCE:g} s") from error
        except Exception as error:
            raise MirrorError(f"{self.url}: {_said(error)}") from error
        with suppress(
            MirrorError
            # Permission to write need not include deleting; then the next check overwrites the
            # object.
        ):
            await self.remove(MARK)

    async def put(self, name: str, path: Path, *, length: int | None = None) -> None:
        """Put the file at `path`, or its first `length` bytes, under `name`, replacing any other.

        Raises MirrorError after obstore's own retries.
        """
        if not path.is_file():  # noqa: ASYNC240 (one look; obstore takes it for a bucket that isn't there)
            raise MirrorError(f"{path}: it is gone; `batcher verify` says what to do")
        kind = TYPES.get(path.suffix)
        try:
            content = path if length is None else _beginning(path, length)
            await self._put(
                self._store, name, content, attributes={"Content-Type": kind} if kind else None
            )
        except Exception as error:  # errors of obstore and of the system, which have no common base
            raise MirrorError(
                f"{self.url}/{name}: {_said(error)}; the files on disk are kept; "
                "rerun the same command"
            ) from error

    async def read(self, name: str) -> bytes | None:
        """Return the bytes of a small object, or None if it isn't there. Raises MirrorError."""
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._get(self._store, name)
                return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except TimeoutError as error:
            raise MirrorError(f"{self.url}: it doesn't answer within {PATIENCE:g} s") from error
        except Exception as error:
            raise MirrorError(f"{self.url}/{name}: {_said(error)}") from error

    async def answers(self) -> bool:
        """Tell whether the store can be listed, so that an error of `put` concerns one object."""
        try:
            async for _ in self._list(self._store, chunk_size=1):
                break
        except Exception:  # whatever the reason
            return False
        return True

    async def remove(self, name: str) -> None:
        """Delete the object `name`, if it is still there. Raises MirrorError."""
        try:
            await self._delete(self._store, name)
        except FileNotFoundError:
            return
        except Exception as error:
            raise MirrorError(f"{self.url}/{name}: {_said(error)}") from error


def _beginning(path: Path, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while length > 0 and (block := file.read(min(BLOCK, length))):
            length -= len(block)
            yield block


def _said(error: Exception) -> str:
    """Return the error's first line; obstore's other lines quote its client's configuration."""
    return " ".join(str(error).split("\n")[0].split())[:300] or type(error).__name__
