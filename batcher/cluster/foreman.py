"""The foreman: a process between a service or a run and its Ray cluster; it alone imports Ray.

Ray ends the process of its driver where the cluster is gone, without an exception; so that process
is one that nothing is lost with. Orders come as JSON lines on stdin, and answers go to stdout. It
ends with stdin, and its hands end with it. It holds no key and opens no ledger.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, BinaryIO, Final

import msgspec

from batcher.cluster.crew import Crew
from batcher.cluster.file_orders import FileOrders
from batcher.cluster.messages import LONGEST_LINE, Answer, Order, Trouble, Wanted
from batcher.cluster.orders import Orders
from batcher.common.extras import install_command

KNOCK: Final = 5.0  # seconds for somebody to answer at the cluster's address
LAST_WORD: Final = 5.0  # seconds to leave the cluster in; then the process exits at once

ORDER: Final = msgspec.json.Decoder(Order)

Say = Callable[[Answer], None]


def main() -> None:
    """Serve a service until stdin ends; the first line says what it wants."""
    for number in (signal.SIGINT, signal.SIGHUP):  # for whoever started it, and closes stdin
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)  # results are readable by their owner only
    out = _silence_libraries()

    def say(answer: Answer) -> None:
        out.write(msgspec.json.encode(answer) + b"\n")
        out.flush()

    wanted = msgspec.json.decode(_first_line(), type=Wanted)
    trouble = _join(wanted)
    if trouble is not None:
        say(Answer(trouble=trouble))
        return
    asyncio.run(_serve(wanted, say))
    _leave()


def _first_line() -> bytes:
    """Return the first line of stdin, and read nothing of the orders that may follow it already."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line


def _silence_libraries() -> BinaryIO:
    """Return our own copy of stdout; Ray and its processes write to nowhere."""
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return out


def _join(wanted: Wanted) -> Trouble | None:
    """Join the cluster, or start one for the address `local`; return why that can't be done."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nobody is told of what is read here
    try:
        import ray
    except ImportError:
        return Trouble(f"a cluster needs the extra `ray`: {install_command('ray')}")
    if nobody := _nobody_at(wanted.address):
        return _why_not(wanted.address, nobody)
    words: dict[str, Any] = {"include_dashboard": False} if wanted.address == "local" else {}
    try:
        ray.init(address=wanted.address, log_to_driver=False, configure_logging=False, **words)
    except Exception as error:
        return _why_not(wanted.address, " ".join(str(error).split()))
    return None


def _nobody_at(address: str) -> str:
    """Return why nobody answers at HOST:PORT, which Ray itself takes minutes to find out."""
    if address in ("auto", "local"):
        return ""
    match = re.fullmatch(r"\[?([\w.:-]+?)\]?:(\d{1,5})", address)
    if match is None:
        return "it isn't a host and a port, as `ray start --head` prints them"
    try:
        socket.create_connection((match[1], int(match[2])), timeout=KNOCK).close()
    except (OSError, OverflowError) as error:
        return str(error)
    return ""


def _why_not(address: str, said: str) -> Trouble:
    if "ersion mismatch" in said:
        return Trouble(
            f"the Ray cluster at {address} has other versions than this machine: {said[:400]}; "
            "install the same Python and Ray on every node"
        )
    if "Failed to connect to Ray cluster" in said:  # as from 2.60 to a head of 2.59
        return Trouble(
            f"somebody answers at {address}, and not as a cluster of Ray {version('ray')} does: it "
            "is one of another version, or none; see `ray --version` there, and install the same "
            "Python and Ray on every node"
        )
    return Trouble(
        f"no Ray cluster answers at {address} ({said[:200]}); start one with `ray start --head`, "
        "name another with cluster.address, or set that to local"
    )


async def _serve(wanted: Wanted, say: Say) -> None:
    """Work until stdin ends, or until there is no use in it, which is said."""
    lines = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    crew = Crew(wanted, lambda standing: say(Answer(standing=standing)))
    keeping = asyncio.create_task(crew.keep())
    obeying = asyncio.create_task(_obey(Orders(crew, say), FileOrders(crew, say), lines))
    await asyncio.wait({keeping, obeying}, return_when=asyncio.FIRST_COMPLETED)
    if keeping.done():
        say(Answer(trouble=_trouble_of(keeping)))
    _end_soon()
    await crew.leave()


async def _obey(orders: Orders, files: FileOrders, lines: asyncio.StreamReader) -> None:
    while line := await lines.readline():
        order = ORDER.decode(line)
        if order.file is not None:
            files.take(order)
        else:
            orders.take(order)


def _trouble_of(keeping: asyncio.Task[Trouble]) -> Trouble:
    bug = keeping.exception()
    while isinstance(bug, BaseExceptionGroup):
        bug = bug.exceptions[0]
    if bug is not None:
        return Trouble(f"its foreman failed: {bug!r}")
    return keeping.result()


def _end_soon() -> None:
    """End the process in a moment: Ray asks a cluster that is gone for minutes."""
    late = threading.Timer(LAST_WORD, os._exit, [0])
    late.daemon = True
    late.start()


def _leave() -> None:
    """Leave the cluster."""
    import ray

    ray.shutdown()


if __name__ == "__main__":
    main()
