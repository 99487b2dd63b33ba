"""The table of speed in tests/README.md, asked and found: `python tests/bench/table.py`, about ten
minutes on a quiet machine.

`--quick` does it with a tenth of the documents, to see that it works; `--million` adds the row that
takes longest. Every row has a command of its own beside this one. Ratios are those of one run,
contenders in turn on one stub service.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import NamedTuple

import loop_lag
import memory
import million
import resume
import start
from contest import CONTENDERS, batcher, inbox_of, run, stub

SIZE = 50_000  # bytes of a document and of its result
BARE = "bare aiohttp loop"
OURS = "batcher"


class Row(NamedTuple):
    work: str
    asked: str
    found: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the documents")
    parser.add_argument("--million", action="store_true", help="a million files as well")
    parser.add_argument(
        "--only", nargs="*", choices=PARTS, default=[name for name in PARTS if name != "million"]
    )
    arguments = parser.parse_args()
    tenth = 10 if arguments.quick else 1
    chosen = [*arguments.only, *(["million"] if arguments.million else [])]
    memory_of_machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    cpus = len(os.sched_getaffinity(0))
    python = platform.python_version()
    print(f"{cpus} CPUs, {memory_of_machine} GiB, Python {python}, {date.today()}\n", flush=True)
    print("| work | asked | found |\n|---|---|---|", flush=True)
    for name in chosen:
        for row in PARTS[name](tenth):
            print(f"| {row.work} | {row.asked} | {row.found} |", flush=True)


def contenders(tenth: int) -> Iterator[Row]:
    """Side by side; those that take long take one turn, the two that are compared most closely
    five.
    """
    documents = 2000 // tenth
    with inbox_of(documents, SIZE) as inbox, stub("--result-bytes", str(SIZE)) as url:
        pairs = [
            (run(CONTENDERS[BARE], url, inbox), run(CONTENDERS[OURS], url, inbox)) for _ in range(5)
        ]
        ours = median(mine.cpu for _, mine in pairs)
        ratio = median(mine.cpu / bare.cpu for bare, mine in pairs)
        bare = median(bare.cpu for bare, _ in pairs)
        stub_cpu = median(mine.stub_cpu for _, mine in pairs)
        yield Row(f"{documents} × 50 KB, {BARE}", "", _cpu(bare, documents))
        yield Row(
            "the same, batcher, everything durable",
            "≤ 1.5 × that, try for 1.3",
            f"**{ratio:.2f} ×**, {_cpu(ours, documents)}; the stub {_cpu(stub_cpu, documents)}",
        )
        asked = {"SDK recipe, httpx": "≥ 8 × batcher", "SDK recipe, aiohttp": "≥ 3 × batcher"}
        for name in [name for name in CONTENDERS if name not in (BARE, OURS)]:
            mine = run(CONTENDERS[OURS], url, inbox)
            other = run(CONTENDERS[name], url, inbox)
            yield Row(
                f"the same, {name}",
                asked.get(name, ""),
                f"{other.cpu / mine.cpu:.1f} ×, {_cpu(other.cpu, documents)}",
            )


def paced(tenth: int) -> Iterator[Row]:
    """Jobs of one second: at 100 in flight beside the vendor's CLI, and as many as there are."""
    documents = 2000 // tenth
    with (
        inbox_of(documents, SIZE) as inbox,
        stub("--result-bytes", str(SIZE), "--service-time", "1") as url,
    ):
        ours = run(batcher("-S", "service.max_in_flight=100"), url, inbox)
        cli = (
            f"{run(CONTENDERS[CLI], url, inbox).wall:.1f} s"
            if CLI in CONTENDERS
            else "not installed"
        )
        ideal = f"{documents} × 1 s, 100 in flight (ideal {documents / 100:.0f} s)"
        yield Row(ideal, f"≤ the vendor's CLI: {cli}", f"{ours.wall:.1f} s")
        yield Row(
            "the same, in flight unbounded", "≤ 4 s", f"{run(batcher(), url, inbox).wall:.1f} s"
        )


def requests(tenth: int) -> Iterator[Row]:
    documents = 2000 // tenth
    with (
        inbox_of(documents, 1000) as inbox,
        stub("--result-bytes", "1000", "--service-time", "30") as url,
    ):
        used = run(batcher("-S", f"service.max_in_flight={1000 // tenth}"), url, inbox)
    yield Row(
        f"requests per document at 30 s, {1000 // tenth} in flight",
        "≤ 3.2",
        f"{used.requests / documents:.2f}",
    )


def memory_held(tenth: int) -> Iterator[Row]:
    for result_bytes, few in ((256_000, 2000 // tenth), (5_000_000, 200 // tenth)):
        peaks = [memory.measure(number, result_bytes).peak / 1e6 for number in (few, 10 * few)]
        work = f"{few} and {10 * few} results of {_size(result_bytes)}"
        yield Row(work, "peak ≤ 150 MB, the same for both", f"{peaks[0]:.0f} and {peaks[1]:.0f} MB")


def coming_back(tenth: int) -> Iterator[Row]:
    files = 100_000 // tenth
    rows = 1_000_000 // tenth
    with (
        tempfile.TemporaryDirectory() as folder,
        inbox_of(1, 1000) as inbox,
        stub("--result-bytes", "1000") as url,
    ):
        again = resume.second_run(files, url, Path(folder, "second"))
        large = resume.large_ledger(rows, url, inbox, Path(folder, "large"))
    yield Row(
        f"second run over {files} unchanged files",
        "0 requests that cost; ≤ 5 × `find -printf`, start-up apart",
        f"{again.requests}; {again.seconds / again.find:.1f} × ({again.seconds:.2f} s)",
    )
    yield Row(
        f"ledger of {rows} documents: run to first submission", "≤ 2 s", f"{large.first:.2f} s"
    )
    yield Row(
        "the same: `status`, `failures`",
        "≤ 0.5 s, ≤ 1 s",
        f"{large.status:.2f} s, {large.failures:.2f} s",
    )
    yield Row(
        "the same: bytes per finished document, with history", "≤ 2 KB", f"{large.row_bytes:.0f}"
    )


def commands(tenth: int) -> Iterator[Row]:
    took = start.medians(5)
    yield Row("`batcher --version`", "≤ 0.2 s", f"{took['batcher --version']:.2f} s")
    yield Row("`batcher status` on a small batch", "≤ 0.4 s", f"{took['batcher status']:.2f} s")


def lag(tenth: int) -> Iterator[Row]:
    late = loop_lag.measure(2000 // tenth)
    yield Row(
        "event-loop lag under full load, p99",
        "≤ 50 ms",
        f"{1e3 * late[int(0.99 * len(late))]:.0f} ms",
    )


def a_million(tenth: int) -> Iterator[Row]:
    files = 1_000_000 // tenth
    processed = 50_000 // tenth
    flat = million.measure(files, processed)
    yield Row(
        f"{files} documents in the source, the first {processed} processed",
        "peak ≤ 200 MB; flat",
        f"{flat.peak / 1e6:.0f} MB; {flat.second:.2f} ms in the second tenth, {flat.last:.2f} ms "
        "in the last",
    )


CLI = "vendor's CLI"
PARTS = {
    "contenders": contenders,
    "paced": paced,
    "requests": requests,
    "memory": memory_held,
    "resume": coming_back,
    "start": commands,
    "lag": lag,
    "million": a_million,
}


def _cpu(seconds: float, documents: int) -> str:
    return f"{seconds / documents * 1e3:.2f} ms"


def _size(number: int) -> str:
    return f"{number // 1_000_000} MB" if number >= 1_000_000 else f"{number // 1000} KB"


if __name__ == "__main__":
    main()
