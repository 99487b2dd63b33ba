"""Fetches what results link to, and writes it to disk in place of the links.

Whether a link that can't be fetched is asked for again is decided by `stages.job_answers`.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from batcher.errors import ServiceError
from batcher.outputs.result_store import Streamed, concerns_one, trouble
from batcher.reducto.client import Api
from batcher.reducto.links_within import Link, enclosed
from batcher.reducto.responses import Head, around
from batcher.reducto.results import Buffer
from batcher.stages.sink import Sink


class LinkedResults:
    """Both methods return None if the disk fails, which stops the run.

    They raise ServiceError, and OutputError if the disk refuses only this result.
    """

    def __init__(self, client: Api, sink: Sink) -> None:
        self._client = client
        self._sink = sink

    async def stream(self, output: str, head: Head, body: Buffer) -> Streamed | None:
        """Stream a result that is one link, as it arrives, to disk."""
        part = await self._sink.new_part()
        if part is None:
            return None
        try:
            digest, size = await self._client.download(
                str(head.url), part, around=lambda first: around(body, head, first)
            )
        except OSError as error:
            if concerns_one(error):
                await asyncio.to_thread(part.unlink, missing_ok=True)
                raise trouble(output, error) from error
            self._sink.refuse(output, error)
            return None
        except ServiceError:
            # the next try starts from scratch
            await asyncio.to_thread(part.unlink, missing_ok=True)
            raise
        return Streamed(output, part, digest, size)

    async def stream_whole(
        self, output: str, body: Buffer, links: Sequence[Link]
    ) -> Streamed | None:
        """Fetch several linked parts one after the other, and write the whole result to disk."""
        parts: list[Path] = []
        whole: Path | None = None
        try:
            for link in links:
                part = await self._sink.new_part()
                if part is None:
                    return None
                parts.append(part)
                await self._client.download(link.url, part, around=partial(enclosed, link))
            whole = await self._sink.new_part()
            if whole is None:
                return None
            digest, size = await asyncio.to_thread(_write, whole, memoryview(body), links, parts)
        except OSError as error:
            if whole is not None:
                await asyncio.to_thread(whole.unlink, missing_ok=True)
            if concerns_one(error):
                raise trouble(output, error) from error
            self._sink.refuse(output, error)
            return None
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
        return Streamed(output, whole, digest, size)


class _Hashed:
    """A file that keeps the hash and the size of what was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        self.hash.update(data)
        self.size += len(data)
        return self._file.write(data)


def _write(
    whole: Path, body: memoryview, links: Sequence[Link], parts: Sequence[Path]
) -> tuple[str, int]:
    at = 0
    with whole.open("wb") as file:
        hashed = _Hashed(file)
        for link, part in zip(links, parts, strict=True):
            hashed.write(body[at : link.start])
            with part.open("rb") as linked:
                shutil.copyfileobj(linked, hashed)
            at = link.end
        hashed.write(body[at:])
    return hashed.hash.hexdigest(), hashed.size
