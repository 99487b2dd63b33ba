"""A Ray cluster of nodes on this machine: 127.0.0.2 and 127.0.0.3, or others.

`python two_nodes.py FILE PID ADDRESS…` starts it, writes its address into FILE, and ends it with
that process. Ray rewrites 127.0.0.1, and then fails to connect.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

CORES = 16  # of each, as far as Ray is concerned: tests borrow a hand or two each
# Each node has one of each, for a test that wants a hand on every node: where several tests borrow
# hands at once, Ray puts two of one test on the same node, too.
ONE_EACH = ("reading", "moving")
STORE = 100 << 20  # bytes of memory for what is sent by value


def main(file: Path, pid: int, addresses: list[str]) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    nodes = [
        cluster.add_node(
            node_ip_address=address,
            num_cpus=CORES,
            object_store_memory=STORE,
            resources=dict.fromkeys(ONE_EACH, 1),
            **({} if number else {"include_dashboard": False}),
        )
        for number, address in enumerate(addresses)
    ]
    new = file.with_suffix(".new")
    new.write_text(f"{cluster.address}\n{nodes[0].get_session_dir_path()}\n")
    new.replace(file)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.5)
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
