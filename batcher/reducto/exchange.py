"""What holds for every HTTP exchange with the service: how long it may take, how it fails."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from typing import Final

import aiohttp
from multidict import CIMultiDict

from batcher.errors import BadReply, BatcherError, ReplyLostError, SourceError, Unreachable

CONNECT: Final = 15.0  # seconds for making a connection
# Seconds for a whole exchange, as a guard against answers that trickle in byte by byte.
EXCHANGE: Final = 120.0
SLOWEST_UPLOAD: Final = 50_000.0  # bytes per second; a slower upload times out

# Bytes per second; a slower download trickles, and might never end. Low, because many that are made
# side by side share a slow line, and one that was broken off begins anew.
SLOWEST_DOWNLOAD: Final = 1_000.0


def within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT)


def uploading(size: int) -> float:
    """Return the seconds within which so many bytes are sent and answered."""
    return EXCHANGE + size / SLOWEST_UPLOAD


def downloading(size: int) -> float:
    """Return the seconds within which so many bytes arrive."""
    return EXCHANGE + size / SLOWEST_DOWNLOAD


@contextmanager
def translated(call: str, *, signed: bool = False) -> Iterator[None]:
    """Raise what goes wrong in the block as one of ours.

    Unreachable: nothing has been sent. ReplyLostError: that is unknown. BadReply: the `signed`
    address that the service gave is none. An error of the document itself, from the body that was
    sent, is raised as it is.
    """
    try:
        yield
    except BatcherError:
        raise
    except (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        ssl.SSLError,
    ) as error:
        raise Unreachable(call, said(error)) from error
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError, ArithmeticError) as error:
        if isinstance(error.__cause__, SourceError):  # aiohttp only passes it on
            raise error.__cause__ from None
        if signed and isinstance(error, ValueError | ArithmeticError):
            raise BadReply(
                call, f"an address that is none: {type(error).__name__}", status=200
            ) from error
        raise ReplyLostError(call, said(error)) from error


def said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def dated(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return `headers` with a `Date` to which other dates can be compared.

    If the server sent none, this machine's time is used.
    """
    return headers if "Date" in headers else CIMultiDict(headers, Date=formatdate(usegmt=True))
