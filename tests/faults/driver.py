"""The process that faults are made in: loads batcher once, then forks a child for each run that it
is told to make.

Reads orders as lines of JSON, answers with the child's pid and, later, with how that ended. Not to
be run by hand.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import sys
import traceback
from pathlib import Path
from typing import Any

from sickness import planted

from batcher.core.events import Saved
from batcher.errors import BatcherError
from batcher.ledger import migrations  # noqa: F401 (what a run loads late is loaded here, once for all of them)
from batcher.ledger.ledger import Ledger, Transition
from batcher.maintenance.retry import retry
from batcher.manifest.model import Manifest, Output, Service, Source
from batcher.reducto.job import Job
from batcher.runs.running import run_batch

UNFORESEEN = 70  # exit code of a run that ended with an error that isn't batcher's own


def main() -> None:
    acknowledgements = int(sys.argv[1])
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_child(order, acknowledgements))
        _say({"pid": pid})
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        _say({"ended": status})


def _say(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


def _child(order: dict[str, Any], acknowledgements: int) -> int:
    """One run, its faults included.

    Each saved document is acknowledged as a line, once its commit is durable.
    """

    def tell(change: Transition) -> None:
        if isinstance(change.event, Saved):
            event = change.event
            os.write(acknowledgements, f"{event.output}\t{event.sha256}\n".encode())

    def watch(ledger: Ledger) -> None:
        ledger.listeners.append(tell)

    try:
        with planted(order["defect"]):
            if order["retry"]:
                asyncio.run(retry(Path(order["ledger"]), only=order["retry"]))
            _arm(order)
            code = asyncio.run(
                run_batch(_manifest(order), watch=watch, rng=random.Random(order["seed"]))
            ).exit_code
    except BatcherError as error:
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
        code = UNFORESEEN
    if order["mode"]:
        os.write(acknowledgements, f"calls\t{ctypes.CDLL(None).fault_calls()}\n".encode())
    return code


def _arm(order: dict[str, Any]) -> None:
    if order["mode"]:
        mounts = [os.open(path, os.O_RDONLY) for path in order["mounts"]] or [-1, -1]
        ctypes.CDLL(None).fault_arm(order["mode"], ctypes.c_long(order["nth"]), *mounts)


def _manifest(order: dict[str, Any]) -> Manifest:
    return Manifest(
        batch="faults",
        service=Service(name="", url=order["url"], settle=order["settle"], patience=5.0),
        sources=(Source(directory=Path(order["inbox"])),),
        jobs=(Job(),),
        output=Output(directory=Path(order["output"]), ledger=Path(order["ledger"])),
    )


if __name__ == "__main__":
    main()
