"""The command that shows batches in a browser: web."""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path

import click

from batcher.cli.arguments import PATH, Address
from batcher.cli.group import main, tell_trouble


@main.command(short_help="Show batches in a browser, also while they run.")
@click.argument("what", metavar="OUTPUT|FOLDER|MANIFEST…", type=PATH, nargs=-1, required=True)
@click.option(
    "--listen",
    default="127.0.0.1:0",
    metavar="HOST:PORT",
    type=Address(),
    help="Where to listen; by default on a free port that only this machine reaches.",
)
@click.option("--public", is_flag=True, help="Let --listen name an address others can reach.")
@click.option("--no-open", is_flag=True, help="Only print the address; open no browser.")
def web(what: tuple[Path, ...], listen: tuple[str, int], public: bool, no_open: bool) -> None:
    """Show batches in a browser: live while a run goes on, and what came out of it.

    All batches below a FOLDER are shown, and no others. Nothing can be changed there: each page
    shows the command to type. The address that is printed has a token in it: who knows it can see
    the documents. Ends with Ctrl-C.

    \b
    batcher web results/nightly
    batcher web results --listen 127.0.0.1:8642 --no-open
    """
    import asyncio

    from batcher.web.server import is_loopback

    for path in what:
        if not path.exists():
            raise click.UsageError(f"{path}: there is no such folder or manifest")
    host, _ = listen
    if not is_loopback(host):
        _allow(host, public=public)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_show(what, listen, opens=not no_open and sys.stdout.isatty()))


def _allow(host: str, *, public: bool) -> None:
    """Warn of an address that others reach. Raises UsageError unless `public` asks for it."""
    if not public:
        raise click.UsageError(
            f"--listen {host} lets other machines in, over plain HTTP; say --public as well if "
            "that is meant. From afar, ssh -L PORT:127.0.0.1:PORT HOST is safer"
        )
    tell_trouble(
        f"warning: other machines can reach {host}; who sees the address in transit, which is not "
        "encrypted, can read all documents of these batches"
    )


async def _show(what: tuple[Path, ...], listen: tuple[str, int], *, opens: bool) -> None:
    import asyncio

    from batcher.cli.browser import open_in_browser
    from batcher.web.server import showing

    host, port = listen
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with showing(what, host=host, port=port) as address:
        click.echo(address.entrance)
        sys.stdout.flush()
        with open_in_browser(address.entrance) if opens else contextlib.nullcontext():
            await stop.wait()
