"""Documents by http(s) address: off unless allowed, and then only from addresses that are public.

The address that was checked is the one that is connected to, for each redirect anew; so neither a name that resolves
differently the second time nor a redirect leads into this machine or its network.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiofiles
import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from batcher.core.wire import ErrorName
from batcher.service.answers import ApiError
from batcher.service.tasks import Source
from batcher.service.uploads import PIECE, clean_extension

SIZE_LIMIT: Final = 1 << 30  # bytes
PATIENCE: Final = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)
REDIRECTS: Final = 5
TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")  # IPv4 behind NAT64, private ones among them
EXTENSION_OF: Final = {"application/pdf": "pdf", "text/html": "html", "image/png": "png", "image/jpeg": "jpg"}


@dataclass(frozen=True, slots=True)
class Reach:
    """Which addresses documents may come from."""

    urls: bool = False
    loopback: bool = False

    def admits(self, address: str) -> bool:
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip in TRANSLATED):
            return False
        if ip.is_loopback:
            return self.loopback
        return ip.is_global and not ip.is_multicast


class Fetcher:
    def __init__(self, folder: Path, reach: Reach) -> None:
        self._folder = folder
        self._reach = reach

    @contextlib.asynccontextmanager
    async def fetched(self, address: str) -> AsyncIterator[Source]:
        """A file with what `address` leads to, for as long as the block runs; `ApiError` where it can't be had."""
        if not self._reach.urls:
            raise ApiError(
                ErrorName.URL_NOT_ALLOWED, "This service fetches no URLs; it was started without --allow-urls"
            )
        path = self._folder / f"{uuid.uuid4()}.part"
        try:
            yield Source(str(path), await self._download(address, path))
        finally:
            path.unlink(missing_ok=True)

    async def _download(self, address: str, path: Path) -> str:
        connector = aiohttp.TCPConnector(resolver=_CheckedResolver(self._reach))
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=PATIENCE) as session:
                return await self._follow(session, URL(address), path)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as trouble:
            if isinstance(trouble.__cause__, _Forbidden) or isinstance(trouble, _Forbidden):
                raise _not_allowed() from trouble
            message = f"The document could not be downloaded: {type(trouble).__name__}"
            raise ApiError(ErrorName.INVALID_CONFIG, message) from trouble

    async def _follow(self, session: aiohttp.ClientSession, url: URL, path: Path) -> str:
        for _ in range(REDIRECTS + 1):
            self._check_literal(url)
            async with session.get(url, allow_redirects=False) as answer:
                if answer.status == 200:
                    await _save(answer, path)
                    return clean_extension(None, url.name) or EXTENSION_OF.get(answer.content_type, "")
                if "Location" not in answer.headers:
                    raise ApiError(ErrorName.INVALID_CONFIG, f"The document's server answered {answer.status}")
                url = url.join(URL(answer.headers["Location"]))
        raise ApiError(ErrorName.INVALID_CONFIG, "The document's server redirects without end")

    def _check_literal(self, url: URL) -> None:
        """Literal addresses never reach the resolver."""
        if url.scheme not in ("http", "https") or url.host is None:
            raise _not_allowed()
        with contextlib.suppress(ValueError):
            if not self._reach.admits(str(ipaddress.ip_address(url.host))):
                raise _not_allowed()


class _Forbidden(OSError):
    """The name leads where nobody may look."""


class _CheckedResolver(AbstractResolver):
    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        admitted = [entry for entry in found if self._reach.admits(entry["host"])]
        if not admitted:
            raise _Forbidden(host)
        return admitted

    async def close(self) -> None:
        await self._inner.close()


async def _save(answer: aiohttp.ClientResponse, path: Path) -> None:
    size = 0
    async with aiofiles.open(path, "wb") as file:
        async for piece in answer.content.iter_chunked(PIECE):
            size += len(piece)
            if size > SIZE_LIMIT:
                raise ApiError(ErrorName.DOCUMENT_TOO_LARGE, f"The document is larger than {SIZE_LIMIT} bytes")
            await file.write(piece)


def _not_allowed() -> ApiError:
    return ApiError(ErrorName.URL_NOT_ALLOWED, "This address leads into a private network")
