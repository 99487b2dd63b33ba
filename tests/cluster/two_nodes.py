"""A Ray cluster of two nodes on this machine: 127.0.0.2 and 127.0.0.3.

`python two_nodes.py FILE PID` starts it, writes its address into FILE, and ends it with that
process. Ray rewrites 127.0.0.1, and then fails to connect.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

CORES = 16  # of each, as far as Ray is concerned: tests borrow a hand or two each
STORE = 100 << 20  # bytes of memory for what is sent by value


class TwoNodes:
    """The cluster, in this process; `add` and `remove` change it."""

    def __init__(self, *, cores: int = CORES) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        self._cores = cores
        self._cluster = Cluster()
        self.head = self.add("127.0.0.2", include_dashboard=False)
        self.other = self.add("127.0.0.3")
        self.address = self._cluster.address
        self.session = Path(self.head.get_session_dir_path())

    def add(self, address: str, **more: Any) -> Any:
        """Start a node, and wait until it is there."""
        return self._cluster.add_node(
            node_ip_address=address, num_cpus=self._cores, object_store_memory=STORE, **more
        )

    def kill(self, node: Any) -> None:
        """End a node's processes without a word to the others."""
        self._cluster.remove_node(node, allow_graceful=False)

    def end(self) -> None:
        self._cluster.shutdown()


def main(file: Path, pid: int) -> None:
    nodes = TwoNodes()
    new = file.with_suffix(".new")
    new.write_text(f"{nodes.address}\n{nodes.session}\n")
    new.replace(file)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.5)
    nodes.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
