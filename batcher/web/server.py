"""Listens for browsers, and says under which address."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batcher.adapters.small_server import serving
from batcher.batches import Place
from batcher.doorkeeper import ConnectionLimits, Doorkeeper
from batcher.errors import WebUnusable
from batcher.web.access import LOOPBACK, TOKEN, WILDCARDS
from batcher.web.app import make_app

# A browser opens six connections, and one more for each page that is followed.
LIMITS: Final = ConnectionLimits(64, header=10.0, idle=75.0, stalled=60.0, body=10.0)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server can be reached; `token` lets in."""

    root: str
    token: str

    @property
    def entrance(self) -> str:
        """The address to open."""
        return f"{self.root}/?{TOKEN}={self.token}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    return host in LOOPBACK or host.startswith("127.")


@asynccontextmanager
async def showing(
    given: Sequence[Path | Place], *, host: str = "127.0.0.1", port: int = 0, token: str = ""
) -> AsyncIterator[Address]:
    """Show the batches below `given` during the block. Port 0 lets the system choose one.

    Raises WebUnusable if the address can't be used.
    """
    token = token or secrets.token_urlsafe(24)
    keeper = Doorkeeper(LIMITS)
    app = make_app(given, token=token, host=host, keeper=keeper)

    def refused(why: str) -> WebUnusable:
        return WebUnusable(
            f"can't listen on {host}:{port}: {why}; free the port, or name another with --listen "
            "HOST:PORT"
        )

    async with serving(app, keeper, host, port, refused=refused, cancels=True) as bound:
        yield Address(_root(host, bound), token)


def _root(host: str, port: int) -> str:
    name = "127.0.0.1" if host in WILDCARDS else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
