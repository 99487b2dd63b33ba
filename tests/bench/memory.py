"""Memory doesn't grow with the batch:

`python tests/bench/memory.py`. Peak RSS of batcher for n and 10 n documents.
"""

from __future__ import annotations

import argparse

from contest import CONTENDERS, Used, inbox_of, run, stub


def measure(documents: int, result_bytes: int) -> Used:
    with inbox_of(documents, 1000) as inbox, stub("--result-bytes", str(result_bytes)) as url:
        return run(CONTENDERS["batcher"], url, inbox)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--result-bytes", type=int, default=256_000)
    arguments = parser.parse_args()
    for documents in (arguments.documents, 10 * arguments.documents):
        used = measure(documents, arguments.result_bytes)
        print(
            f"{documents:7} results of {arguments.result_bytes:9} bytes: peak "
            f"{used.peak / 1e6:6.0f} MB, "
            f"{used.cpu / documents * 1e3:6.2f} ms CPU a document, {used.wall:6.1f} s"
        )


if __name__ == "__main__":
    main()
