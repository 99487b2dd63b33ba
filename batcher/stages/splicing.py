"""Replaces several links in a result by what they lead to.

The linked parts are fetched one after the other, then written as one file.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from batcher.outputs.result_store import Streamed, concerns_one, trouble
from batcher.reducto.client import Api
from batcher.reducto.links_within import Link, enclosed
from batcher.reducto.results import Buffer
from batcher.stages.sink import Sink


async def stream(
    client: Api, sink: Sink, output: str, body: Buffer, links: Sequence[Link]
) -> Streamed | None:
    """Write the whole result to disk; return None if the disk fails, which stops the run.

    Raises ServiceError, and OutputError if the disk refuses only this result.
    """
    parts: list[Path] = []
    whole: Path | None = None
    try:
        for link in links:
            part = await sink.new_part()
            if part is None:
                return None
            parts.append(part)
            await client.download(link.url, part, around=partial(enclosed, link))
        whole = await sink.new_part()
        if whole is None:
            return None
        digest, size = await asyncio.to_thread(_write, whole, memoryview(body), links, parts)
    except OSError as error:
        if whole is not None:
            await asyncio.to_thread(whole.unlink, missing_ok=True)
        if concerns_one(error):
            raise trouble(output, error) from error
        sink.refuse(output, error)
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
