"""The local service as a process: embedded in a run of batcher, or serving any client.

Embedded, it talks to its parent by pipe: it reads the key from stdin, writes one line of JSON to
stdout, and ends when stdin does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import secrets
import signal
import sys
import threading
import warnings
from dataclasses import replace
from typing import Any, Final

import aiohttp
import click
import msgspec

from batcher.cluster.messages import Standing
from batcher.common.formatting import pluralize
from batcher.errors import ClusterLost, ClusterUnusable, ServiceUnusable
from batcher.exit_codes import ExitCode
from batcher.service.arguments import KEY_VARIABLE, options_of, service_options
from batcher.service.local import LocalOptions, LocalService

DESCRIPTORS: Final = 4096  # open files; more would be of no use
LAST_WORD: Final = 0.8  # seconds to end in after the parent is gone; then the process exits at once


@click.command(context_settings={"max_content_width": 100})
@click.option("--embedded", is_flag=True, help="Key on stdin, address on stdout, end with stdin.")
@service_options
def main(embedded: bool, **words: Any) -> None:
    """Serve Reducto's API from this machine."""
    try:
        options = options_of(words)
        if embedded:
            asyncio.run(_serve_parent(options))
        else:
            serve(options, key=os.environ.get(words["api_key_env"]))
    except ServiceUnusable as trouble:
        click.echo(f"batcher: {trouble}", err=True)
        sys.exit(trouble.exit_code)


def serve(options: LocalOptions, *, key: str | None) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Prints the address, and a generated key if `key` is None or blank. Raises `PlaceUnusable` if the
    folder or the port can't be used.
    """
    _ask_for_descriptors()
    _silence_warnings()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve_anyone(options, (key or "").strip()))


def _silence_warnings() -> None:
    """Silence warnings about malformed uploads, for which the client gets an error."""
    for category in (aiohttp.BadContentDispositionHeader, aiohttp.BadContentDispositionParam):
        warnings.simplefilter("ignore", category)


async def _serve_anyone(options: LocalOptions, key: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = replace(options, tell=_Losses().tell)
    async with LocalService(options, key=key) as service:
        _say(service.url)
        if not key:
            _say(f"{KEY_VARIABLE}={service.key}")
        await _until(stop, service)


async def _serve_parent(options: LocalOptions) -> None:
    _ask_for_descriptors()
    _silence_warnings()
    with contextlib.suppress(PermissionError):
        # Ctrl-C in the terminal is for the parent, which closes our stdin when it is done.
        os.setsid()
    key = sys.stdin.buffer.readline().decode().strip() or secrets.token_urlsafe(24)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    threading.Thread(target=_await_orphanhood, args=(loop, stop), daemon=True).start()
    options = replace(options, tell=_say_standing)
    try:
        async with LocalService(options, key=key) as service:
            _say(json.dumps({"url": service.url, "pid": os.getpid()}))
            await _until(stop, service)
    except (ClusterUnusable, ClusterLost) as trouble:
        _say(json.dumps({"trouble": str(trouble), "exit_code": int(trouble.exit_code)}))


async def _until(stop: asyncio.Event, service: LocalService) -> None:
    """Wait for `stop`. Raises ClusterLost if the service's cluster is lost before."""
    lost = asyncio.create_task(service.lost())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({lost, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            lost.result()
    finally:
        lost.cancel()
        stopped.cancel()


def _say_standing(standing: Standing) -> None:
    _say(msgspec.json.encode({"standing": standing}).decode())


class _Losses:
    """Tells people when the cluster has more or fewer hands than before."""

    def __init__(self) -> None:
        self._hands = 0

    def tell(self, standing: Standing) -> None:
        if standing.hands == self._hands:
            return
        self._hands = standing.hands
        nodes = sum(1 for node in standing.nodes if node.hands)
        words = f"{pluralize(standing.hands, 'hand')} on {pluralize(nodes, 'node')}"
        lost = f"; {standing.lost_hands} lost so far" if standing.lost_hands else ""
        click.echo(f"cluster: {words}{lost}", err=True)


def _await_orphanhood(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait until stdin ends, which means that the parent ended; then stop, by force if needed."""
    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop may have ended already
        loop.call_soon_threadsafe(stop.set)
    threading.Event().wait(LAST_WORD)
    os._exit(ExitCode.SUCCESS)


def _ask_for_descriptors() -> None:
    """Raise the limit of open files, since each connection takes one.

    Many systems allow 256 or 1,024 unless asked.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(
            ValueError, OSError
        ):  # macOS reports no limit and still enforces one.
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say(line: str) -> None:
    """Print a line. A closed stdout is ignored: it is no reason to end the service."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
