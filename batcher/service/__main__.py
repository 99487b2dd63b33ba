"""The local service as a process of its own: embedded in a run of batcher, or served for any client.

Embedded it speaks with its parent by pipe: the key comes in on stdin, one line of JSON goes out on stdout, and it
ends when stdin does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from batcher.core.wire import RETENTION
from batcher.errors import ServiceUnusable
from batcher.service.local import LocalService, Options

LAST_WORD: Final = 0.8  # seconds a service whose parent is gone has to end by itself
KEY_VARIABLE: Final = "REDUCTO_API_KEY"
SECONDS_IN: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def main() -> int:
    arguments = _parser().parse_args()
    options = Options(
        data_dir=Path(arguments.data_dir),
        port=arguments.port,
        workers=arguments.workers or os.cpu_count() or 1,
        retention=arguments.retention,
        parser=arguments.parser,
    )
    try:
        if arguments.embedded:
            asyncio.run(_serve_parent(options))
        else:
            serve(options, key=os.environ.get(arguments.api_key_env))
    except ServiceUnusable as trouble:
        sys.stderr.write(f"batcher: {trouble}\n")
        return trouble.exit_code
    return 0


def serve(options: Options, *, key: str | None) -> None:
    """Serve until Ctrl-C or SIGTERM. Prints the address, and the key where it had to make one up.

    Raises `ServiceUnusable` where the folder or the port can't be had.
    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve_anyone(options, key))


def span(text: str) -> float:
    """`12h`, `30m`, `45s`, `2d` or plain seconds, as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time; write 45s, 30m or 12h")
    return float(match[1]) * SECONDS_IN[match[2]]


async def _serve_anyone(options: Options, key: str | None) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with LocalService(options, key=key) as service:
        _say(service.url)
        if key is None:
            _say(f"{KEY_VARIABLE}={service.key}")
        await stop.wait()


async def _serve_parent(options: Options) -> None:
    with contextlib.suppress(PermissionError):
        os.setsid()  # the terminal's Ctrl-C is the parent's; it closes our stdin when it is done
    key = sys.stdin.buffer.readline().decode().strip() or secrets.token_urlsafe(24)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
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
    os._exit(0)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m batcher.service", description=__doc__)
    parser.add_argument("--embedded", action="store_true", help="key on stdin, address on stdout, end with stdin")
    parser.add_argument("--data-dir", default=".batcher/service", help="where uploads, jobs and results are kept")
    parser.add_argument("--port", type=int, default=0, help="0: one the system chooses")
    parser.add_argument("--workers", type=int, default=0, help="processes that read documents; 0: one per core")
    parser.add_argument("--retention", type=span, default=RETENTION, help="how long results stay, as in 12h")
    parser.add_argument("--api-key-env", default=KEY_VARIABLE, help="the variable that holds the key to accept")
    parser.add_argument("--parser", default=Options.__dataclass_fields__["parser"].default, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
