"""What holds for every HTTP exchange with the service: how long it may take, how it fails."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from multidict import CIMultiDict

from batcher.errors import (
    BadReply,
    BatcherError,
    ReplyLostError,
    ServiceError,
    SourceError,
    Unreachable,
)
from batcher.reducto.public_addresses import is_on_this_machine

CONNECT: Final = 15.0  # seconds for making a connection
# Seconds for a whole exchange, as a guard against answers that trickle in byte by byte.
EXCHANGE: Final = 120.0
SLOWEST_UPLOAD: Final = 50_000.0  # bytes per second; a slower upload times out
PROXY_WANTS_A_USER: Final = 407
_WORDS_AT_MOST: Final = 200  # of a library's message, which may quote a whole header

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
    """Return in one line what went wrong."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answered {error.status} {_one_line(error.message)}"
        case aiohttp.ClientResponseError():
            return f"an answer that isn't HTTP as it has to be: {_one_line(error.message)}"
        case aiohttp.ClientConnectorError():
            # which certificates are trusted is no news, and there are none for http
            return str(error).replace(" ssl:default", "")
    return _one_line(str(error)) or type(error).__name__


def _one_line(words: str) -> str:
    words = " ".join(words.split())
    return words if len(words) <= _WORDS_AT_MOST else f"{words[:_WORDS_AT_MOST]}…"


def speaks_no_tls(error: ServiceError) -> bool:
    """Whether there is no TLS at a port that it was spoken to at."""
    cause = error.__cause__
    return isinstance(cause, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(cause)


def wants_a_user(error: ServiceError) -> bool:
    """Whether a proxy refused to make a connection for somebody who gave no name."""
    cause = error.__cause__
    return isinstance(cause, aiohttp.ClientHttpProxyError) and cause.status == PROXY_WANTS_A_USER


def unusable_proxy(url: str) -> str | None:
    """Return what is wrong with the proxy that the environment names for `url`; None if nothing is.

    Its address isn't shown, since a password may stand in it.
    """
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy is None or is_on_this_machine(url) or proxy_bypass(parts.hostname or ""):
        return None
    scheme, mark, _ = proxy.partition("://")
    if mark and scheme.lower() == "http":
        return None
    holds = f"a proxy of the kind {scheme.lower()}, which isn't supported" if mark else "no address"
    return f"{parts.scheme}_proxy of the environment holds {holds}"


def dated(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return `headers` with a `Date` to which other dates can be compared.

    If the server sent none, this machine's time is used.
    """
    return headers if "Date" in headers else CIMultiDict(headers, Date=formatdate(usegmt=True))
