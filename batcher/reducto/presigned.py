"""Requests to signed addresses, which carry their own credentials: no key is sent, or known here.

An address is put to once at most; whoever calls asks for another one where that fails.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from batcher.errors import (
    BadReply,
    ServiceError,
    SourceChangedError,
    SourceUnreadableError,
    Unauthorised,
)
from batcher.reducto.exchange import dated, translated, uploading, within
from batcher.reducto.file_body import CHUNK
from batcher.reducto.public_addresses import is_on_this_machine
from batcher.reducto.responses import refusal

PUT_CALL: Final = "PUT a signed URL"
# Before 3.14, aiohttp repeats a PUT by itself where the connection breaks, unless it doesn't know
# the method: it sends small letters as capitals, and doesn't find them in its list.
PUT: Final = "put"
# Connections of one process at a time.
CONNECTIONS: Final = 32


class SignedAddresses:
    """Puts and gets at signed addresses, as an async context manager.

    `trust` holds the trusted certificates; None means the system's.
    """

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        self._trust = trust
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    async def put(
        self, url: str, body: AsyncIterator[bytes], size: int
    ) -> tuple[int, Mapping[str, str]]:
        """Send the bytes once, and return the answer's status and headers.

        Raises Unreachable where nothing has been sent, ReplyLostError where no answer came,
        BadReply for an address that is none, and SourceError as `body` raises it.
        """
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        with translated(PUT_CALL, signed=True):
            async with self._session(url).request(
                PUT,
                URL(url, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=within(uploading(size)),
            ) as answer:
                await answer.read()
                return answer.status, dict(answer.headers)

    async def chunks(
        self, url: str, *, name: str, size: int, is_same: Callable[[Mapping[str, str]], bool]
    ) -> AsyncIterator[bytes]:
        """Yield the content at an address; `is_same` judges it by the headers of the answer.

        Raises SourceError, with `name` for the object.
        """
        with _as_unreadable(name):
            async with self._session(url).get(
                URL(url, encoded=True),
                allow_redirects=False,
                timeout=within(uploading(size)),
            ) as answer:
                if answer.status != 200:
                    raise SourceUnreadableError(f"{name}: its store answers {answer.status}")
                if not is_same(answer.headers):
                    raise SourceChangedError(f"{name}: it has changed since it was listed")
                async for chunk in answer.content.iter_chunked(CHUNK):
                    yield chunk

    def _session(self, url: str) -> aiohttp.ClientSession:
        by_proxy = not is_on_this_machine(url)  # proxies are for other machines only
        if by_proxy not in self._sessions:
            self._sessions[by_proxy] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS, ssl=self._trust or True, force_close=True
                ),
                trust_env=by_proxy,
            )
        return self._sessions[by_proxy]


@contextmanager
def _as_unreadable(name: str) -> Iterator[None]:
    """Raise what goes wrong on the way from an object's store; no reason shows the address."""
    try:
        yield
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise SourceUnreadableError(f"{name}: {type(error).__name__}") from error


def refused_address(
    call: str, status: int, headers: Mapping[str, str], body: bytes
) -> ServiceError:
    """Return the error for an answer to a PUT that isn't the one hoped for.

    An address that doesn't let somebody in, any more or yet, says nothing of the API's key.
    """
    error = refusal(call, status, dated(CIMultiDict(headers)), body)
    if isinstance(error, Unauthorised):
        return BadReply(call, f"{status}: the address was refused", status=status)
    return error
