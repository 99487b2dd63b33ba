"""Download documents from http(s) addresses, if the service was started to allow it.

Each address, also of each redirect, is checked against `Reach`.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiofiles
import aiohttp
from yarl import URL

from batcher.reducto.api_types import ErrorName
from batcher.service.answers import ApiError
from batcher.service.public_addresses import Forbidden, Reach, check_address, checked_connector
from batcher.service.tasks import TaskInput
from batcher.service.uploads import PIECE, clean_extension, private

SIZE_LIMIT: Final = 1 << 30  # bytes
PATIENCE: Final = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)
REDIRECTS: Final = 5
EXTENSION_OF: Final = {
    "application/pdf": "pdf",
    "text/html": "html",
    "image/png": "png",
    "image/jpeg": "jpg",
}


class DocumentFetcher:
    """Downloads documents into a folder."""

    def __init__(self, folder: Path, reach: Reach) -> None:
        self._folder = folder
        self._reach = reach

    @contextlib.asynccontextmanager
    async def fetched(self, address: str) -> AsyncIterator[TaskInput]:
        """Yield a file with the document at `address`; it is removed after the block.

        Raises ApiError URL_NOT_ALLOWED if the address isn't allowed, DOCUMENT_TOO_LARGE or
        INVALID_CONFIG if the document can't be had.
        """
        if not self._reach.urls:
            raise ApiError(
                ErrorName.URL_NOT_ALLOWED,
                "This service fetches no URLs; it was started without --allow-urls",
            )
        path = self._folder / f"{uuid.uuid4()}.part"
        try:
            yield TaskInput(str(path), await self._download(address, path))
        finally:
            path.unlink(missing_ok=True)

    async def _download(self, address: str, path: Path) -> str:
        try:
            async with aiohttp.ClientSession(
                connector=checked_connector(self._reach), timeout=PATIENCE
            ) as session:
                return await self._follow(session, URL(address), path)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as trouble:
            if isinstance(trouble.__cause__, Forbidden) or isinstance(trouble, Forbidden):
                raise _not_allowed() from trouble
            message = f"The document could not be downloaded: {type(trouble).__name__}"
            raise ApiError(ErrorName.INVALID_CONFIG, message) from trouble

    async def _follow(self, session: aiohttp.ClientSession, url: URL, path: Path) -> str:
        for _ in range(REDIRECTS + 1):
            check_address(url, self._reach)
            async with session.get(url, allow_redirects=False) as answer:
                if answer.status == 200:
                    await _save(answer, path)
                    return clean_extension(None, url.name) or EXTENSION_OF.get(
                        answer.content_type, ""
                    )
                if "Location" not in answer.headers:
                    raise ApiError(
                        ErrorName.INVALID_CONFIG, f"The document's server answered {answer.status}"
                    )
                url = url.join(URL(answer.headers["Location"]))
        raise ApiError(ErrorName.INVALID_CONFIG, "The document's server redirects without end")


async def _save(answer: aiohttp.ClientResponse, path: Path) -> None:
    size = 0
    async with aiofiles.open(path, "wb", opener=private) as file:
        async for piece in answer.content.iter_chunked(PIECE):
            size += len(piece)
            if size > SIZE_LIMIT:
                raise ApiError(
                    ErrorName.DOCUMENT_TOO_LARGE, f"The document is larger than {SIZE_LIMIT} bytes"
                )
            await file.write(piece)


def _not_allowed() -> ApiError:
    return ApiError(ErrorName.URL_NOT_ALLOWED, "This address leads into a private network")
