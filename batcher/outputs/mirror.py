"""Files put into an object store, each whole: S3, Google Cloud Storage, Azure, by obstore. Needs
the extra `s3`.

An object appears when all of it has arrived, or not at all. Keys come from the environment, as the
store's own tools read them, and stand in no manifest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from batcher.errors import MirrorError
from batcher.sources.object_store import opened

TYPES: Final = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}
MARK: Final = ".batcher-may-write"
PATIENCE: Final = 60.0  # seconds for the first word with the store
BLOCK: Final = 4 << 20  # bytes read at once of a file that may be growing


class Mirror:
    """`url` as in s3://bucket/prefix.

    Raises MirrorError where obstore isn't there, or can't read the address.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            import obstore
        except ImportError as error:
            raise MirrorError(
                f"{url}: object stores need obstore: pip install 'batcher[s3]'"
            ) from error
        self._put = obstore.put_async
        self._delete = obstore.delete_async
        self._list = obstore.list
        try:
            self._store: Any = opened(self.url)
        except (
            Exception
        ) as error:  # obstore's own, one for each kind of address and of configuration
            raise MirrorError(f"{url}: {_said(error)}") from error

    async def check(self) -> None:
        """Put a small object and take it away again.

        Raises MirrorError where nothing can be put.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._put(self._store, MARK, b"batcher looks whether it may write here\n")
        except TimeoutError as error:
            raise MirrorError(f"{self.url}: it doesn't answer within {PATIENCE:g} s") from error
        except Exception as error:
            raise MirrorError(f"{self.url}: {_said(error)}") from error
        with suppress(
            MirrorError
        ):  # who may write may not delete everywhere; the next check finds it in its place
            await self.remove(MARK)

    async def put(self, name: str, path: Path, *, length: int | None = None) -> None:
        """The file at `path`, or its first `length` bytes, under `name`, over whatever was there.

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
        except Exception as error:  # obstore's own and the system's, which share no base
            raise MirrorError(
                f"{self.url}/{name}: {_said(error)}; what is on disk stays, run again"
            ) from error

    async def answers(self) -> bool:
        """Whether the store lets itself be looked into: where it does, what it refuses is its own
        trouble.
        """
        try:
            async for _ in self._list(self._store, chunk_size=1):
                break
        except Exception:  # whatever keeps it from that
            return False
        return True

    async def remove(self, name: str) -> None:
        """What was put under `name`, if it's there still. Raises MirrorError."""
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
    """The first line: obstore goes on with the configuration of its client."""
    return " ".join(str(error).split("\n")[0].split())[:300] or type(error).__name__
