"""The local service as a process of its own: embedded in a run of batcher, or served for any
client.

Embedded it speaks with its parent by pipe: the key comes in on stdin, one line of JSON goes out on
stdout, and it ends when stdin does.
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
from typing import Any, Final

import aiohttp
import click

from batcher.errors import ServiceUnusable
from batcher.exit_codes import ExitCode
from batcher.service.arguments import KEY_VARIABLE, options_of, service_options
from batcher.service.local import LocalOptions, LocalService

DESCRIPTORS: Final = 4096  # as many as we can make use of
LAST_WORD: Final = 0.8  # seconds a service whose parent is gone has to end by itself


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
    """Serve until Ctrl-C or SIGTERM. Prints its address, and the key where none came or an empty
    one.

    Raises `PlaceUnusable` where the folder or the port can't be had.
    """
    _ask_for_descriptors()
    _silence_warnings()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve_anyone(options, (key or "").strip()))


def _silence_warnings() -> None:
    """What a client wrote wrongly is told to that client, not to this terminal."""
    for category in (aiohttp.BadContentDispositionHeader, aiohttp.BadContentDispositionParam):
        warnings.simplefilter("ignore", category)


async def _serve_anyone(options: LocalOptions, key: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with LocalService(options, key=key) as service:
        _say(service.url)
        if not key:
            _say(f"{KEY_VARIABLE}={service.key}")
        await stop.wait()


async def _serve_parent(options: LocalOptions) -> None:
    _ask_for_descriptors()
    _silence_warnings()
    with contextlib.suppress(PermissionError):
        os.setsid()  # the terminal's Ctrl-C is the parent's; it closes our stdin when it is done
    key = sys.stdin.buffer.readline().decode().strip() or secrets.token_urlsafe(24)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    threading.Thread(target=_await_orphanhood, args=(loop, stop), daemon=True).start()
    async with LocalService(options, key=key) as service:
        _say(json.dumps({"url": service.url, "pid": os.getpid()}))
        await stop.wait()


def _await_orphanhood(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Nothing more comes on stdin; its end is the parent's. Whatever hangs then is cut off."""
    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop may have ended by itself
        loop.call_soon_threadsafe(stop.set)
    threading.Event().wait(LAST_WORD)
    os._exit(ExitCode.SUCCESS)


def _ask_for_descriptors() -> None:
    """Each connection takes one; many systems give 256 or 1,024 unless asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(
            ValueError, OSError
        ):  # macOS has a limit below its own word for none
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say(line: str) -> None:
    """Whoever has closed stdout knows where the service is, or will never: that is no reason to
    end.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
