"""A Ray cluster for `kills.py --on ray`, and what is killed of it while documents are read."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "cluster"))

from lending import Node, descendants, end_all, start_cluster

HEAD = "127.0.0.2"
HANDS = 3
STOPPED = (0.5, 3.0)  # seconds for which a stopped node says nothing


class Cluster:
    """A head and a second node; `struck` is where it is counted what was done to them."""

    def __init__(self, rng: random.Random, struck: Counter[str]) -> None:
        self._rng = rng
        self._struck = struck
        self._folder = tempfile.TemporaryDirectory()
        self._number = 3
        self._start()

    @property
    def words(self) -> list[str]:
        """Return the service's arguments for this cluster."""
        return ["--on", "ray", "--cluster-address", self.address, "--hands", str(HANDS)]

    def strike(self, service: subprocess.Popen[bytes]) -> bool:
        """Do something to the cluster; return whether it is another one by now."""
        what = self._rng.choice(("hand", "reader", "foreman", "node", "stopped node", "cluster"))
        self._struck[what] += 1
        if what == "cluster":
            self.end()
            self._start()
            return True
        if what == "node":
            self._other.kill()
            self._join()
        elif what == "stopped node":
            self._stop()
        else:
            self._kill_one(what, service.pid)
        return False

    def end(self) -> None:
        self._other.kill()
        end_all(self._head)

    def _start(self) -> None:
        self._number += 1
        file = Path(self._folder.name, f"cluster-{self._number}")
        self._head = start_cluster(file, os.getpid(), HEAD)
        self.address = file.read_text().split()[0]
        self._join()

    def _join(self) -> None:
        self._number += 1
        self._other = Node(self.address, "other", self._number)

    def _stop(self) -> None:
        """Stop every process of the second node for a while."""
        processes = descendants(self._other.pid)
        for pid in processes:
            _signal(pid, signal.SIGSTOP)
        time.sleep(self._rng.uniform(*STOPPED))
        for pid in processes:
            _signal(pid, signal.SIGCONT)

    def _kill_one(self, what: str, service: int) -> None:
        trees = {
            "hand": ("ray::Hand", (self._head.pid, self._other.pid)),
            "reader": ("batcher.service.worker", (self._head.pid, self._other.pid)),
            "foreman": ("batcher.cluster.foreman", (service,)),
        }
        word, roots = trees[what]
        found = list(_processes(word, roots))
        if found:
            _signal(self._rng.choice(found), signal.SIGKILL)
        else:
            self._struck[f"no {what} was there"] += 1


def _processes(word: str, roots: tuple[int, ...]) -> Iterator[int]:
    """Yield the descendants of these processes whose command line has the word."""
    for root in roots:
        for pid in descendants(root):
            with suppress(OSError):
                if word in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "):
                    yield pid


def _signal(pid: int, what: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, what)
