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
from batcher.service.chaos import Fault, read_orders
from batcher.service.fetching import Reach
from batcher.service.local import LocalService, Options
from batcher.service.webhooks import Endpoint, sign

LAST_WORD: Final = 0.8  # seconds a service whose parent is gone has to end by itself
KEY_VARIABLE: Final = "REDUCTO_API_KEY"
SECRET_VARIABLE: Final = "BATCHER_WEBHOOK_SECRET"  # noqa: S105 (a variable's name)
SECONDS_IN: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def main() -> int:
    arguments = _parser().parse_args()
    try:
        options = _options(arguments)
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


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        data_dir=Path(arguments.data_dir),
        port=arguments.port,
        workers=arguments.workers or os.cpu_count() or 1,
        retention=arguments.retention,
        parser=arguments.parser,
        chaos=arguments.chaos,
        seed=arguments.seed,
        reach=Reach(arguments.allow_urls, arguments.allow_loopback_urls),
        webhooks=_endpoints(arguments.webhook, arguments.webhook_secret_env),
    )


def _orders(text: str) -> dict[str, Fault]:
    try:
        return read_orders(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def _endpoints(urls: list[str], variable: str) -> list[Endpoint]:
    """One secret signs for all of them."""
    if not urls:
        return []
    secret = os.environ.get(variable, "")
    try:
        sign(secret, "", 0, b"")
    except ValueError:
        secret = ""
    if not secret:
        raise ServiceUnusable(f"--webhook needs a secret (whsec_ and Base64) in {variable}")
    return [Endpoint(url, secret) for url in urls]


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
    parser.add_argument("--chaos", type=_orders, default={}, metavar="NAME=RATE,…", help="faults, for rehearsals")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--webhook", action="append", default=[], metavar="URL", help="where signed webhooks go")
    parser.add_argument("--webhook-secret-env", default=SECRET_VARIABLE, help="the variable that holds their secret")
    parser.add_argument("--allow-urls", action="store_true", help="fetch documents from public http(s) addresses")
    parser.add_argument("--allow-loopback-urls", action="store_true", help="with --allow-urls: from this machine, too")
    parser.add_argument("--parser", default=Options.__dataclass_fields__["parser"].default, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
