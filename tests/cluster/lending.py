"""One Ray cluster of two nodes for a whole session, whoever of pytest's workers runs the tests."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
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
            start_cluster(file, _session(), "127.0.0.2", "127.0.0.3")
    address, session = file.read_text().split()
    _SESSIONS[address] = Path(session)
    return address


_SESSIONS: dict[str, Path] = {}


def session_of(address: str) -> Path:
    """Return the folder of the session's cluster in which Ray keeps its files."""
    return _SESSIONS[address]


def start_cluster(
    file: Path, pid: int, *addresses: str, apart: bool = True
) -> subprocess.Popen[bytes]:
    """Start a cluster that ends with a process, and wait until its address is in the file.

    `apart` puts it into a session of its own, to which Linux gives a share of the processor.
    """
    words = [sys.executable, str(Path(__file__).with_name("two_nodes.py")), str(file), str(pid)]
    log_file = file.with_suffix(".log")
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [*words, *addresses],
            env=environment_of_nodes(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=apart,
        )
    until = time.monotonic() + PATIENCE
    while not file.exists():
        assert process.poll() is None, log_file.read_text()[-2000:]
        assert time.monotonic() < until, "the cluster didn't start"
        time.sleep(0.1)
    return process


class OwnCluster:
    """A cluster of one node; its address is written into `file`."""

    def __init__(self, file: Path) -> None:
        self._process = start_cluster(file, os.getpid(), f"127.0.{1 + os.getpid() % 250}.9")
        self.address = file.read_text().split()[0]

    @property
    def pids(self) -> list[int]:
        return [self._process.pid, *descendants(self._process.pid)]

    def end(self) -> None:
        """End all of its processes at once."""
        end_all(self._process)


def environment_of_nodes() -> dict[str, str]:
    """What nodes run in: this process's modules, and a secret that no document may see."""
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": path, "CANARY": "a-nodes-own-secret"}


class Node:
    """A node that joins a cluster; `name` is a resource, for the hands that are to be on it."""

    def __init__(self, cluster: str, name: str, number: int) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                f"--address={cluster}",
                f"--node-ip-address=127.0.{1 + os.getpid() % 250}.{number}",
                f"--resources={json.dumps({name: 4})}",
                "--num-cpus=4",
                f"--object-store-memory={100 << 20}",
                "--disable-usage-stats",
            ],
            env=environment_of_nodes(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def pid(self) -> int:
        """The process that started all others of the node."""
        return self._process.pid

    def kill(self) -> None:
        """End all of its processes at once."""
        end_all(self._process)


def end_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, and all that it has started."""
    for pid in [process.pid, *descendants(process.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def descendants(pid: int) -> list[int]:
    """Return all processes that a process has started, and those that these have."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


def process_at(port: int) -> int:
    """Return the process that has a connection from this port of this machine."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) != port:
            continue
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            with suppress(OSError):
                if str(link.readlink()) == f"socket:[{words[9]}]":
                    return int(link.parts[2])
    raise AssertionError(f"nobody has a connection from port {port}")


def _session() -> int:
    """Return the process with which the cluster ends: pytest's own, or that of its workers."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
