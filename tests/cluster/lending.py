"""One Ray cluster of two nodes for a whole session, whoever of pytest's workers runs the tests."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

PARSER = "plain_parser"
SERVICE_TESTS = str(Path(__file__).parents[1] / "service")
WITHOUT_RAY = "needs Ray: pip install 'reducto-batcher[ray]'"
PATIENCE = 90.0  # seconds for a cluster to start on a busy machine

Lend = Callable[..., AbstractAsyncContextManager[Any]]


def started(folder: Path) -> str:
    """Return the address of the session's cluster, which the first to ask starts."""
    file = folder / "two-nodes"
    with (folder / "two-nodes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            _start(file, folder)
    return file.read_text().split()[0]


def _start(file: Path, folder: Path) -> None:
    path = os.pathsep.join(filter(None, sys.path))
    # what a node has in its environment no document may see
    environment = {**os.environ, "PYTHONPATH": path, "CANARY": "a-nodes-own-secret"}
    words = [sys.executable, str(Path(__file__).with_name("two_nodes.py")), str(file)]
    with (folder / "two-nodes.log").open("w") as log:
        process = subprocess.Popen(
            [*words, str(_session())],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until = time.monotonic() + PATIENCE
    while not file.exists():
        assert process.poll() is None, (folder / "two-nodes.log").read_text()[-2000:]
        assert time.monotonic() < until, "the cluster didn't start"
        time.sleep(0.1)


def _session() -> int:
    """Return the process with which the cluster ends: pytest's own, or that of its workers."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
