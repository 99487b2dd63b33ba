"""batcher, a bare loop and the documented recipe on one stub, taking turns: `python
tests/bench/compare.py`.

CPU and requests per document are what to compare; on a machine that does other things too, wall
time says little.
"""

from __future__ import annotations

import argparse
from statistics import median

from contest import CONTENDERS, Used, inbox_of, run, stub


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument(
        "--size", type=int, default=50_000, help="bytes of a document and of its result"
    )
    parser.add_argument("--service-time", type=float, default=0.0, help="seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS))
    arguments = parser.parse_args()
    used: dict[str, list[Used]] = {name: [] for name in arguments.only}
    with (
        inbox_of(arguments.documents, arguments.size) as inbox,
        stub(
            "--result-bytes", str(arguments.size), "--service-time", str(arguments.service_time)
        ) as url,
    ):
        for _ in range(arguments.rounds):
            for name in arguments.only:
                used[name].append(run(CONTENDERS[name], url, inbox))
    _tell(used, arguments.documents)


def _tell(used: dict[str, list[Used]], documents: int) -> None:
    """Ratios are those to the first contender in the same round: the machine's speed drifts from
    round to round.
    """
    first = [one.cpu for one in next(iter(used.values()))]
    print(f"{documents} documents; medians of {len(first)} rounds in turn")
    print(
        f"{'':22}{'wall s':>8}{'CPU ms/doc':>12}{'ratio':>7}{'peak MB':>9}{'requests/doc':>14}"
        f"{'stub ms/doc':>13}"
    )
    for name, rounds in used.items():
        cpu = median(one.cpu for one in rounds)
        ratio = median(one.cpu / other for one, other in zip(rounds, first, strict=True))
        print(
            f"{name:22}{median(one.wall for one in rounds):8.2f}"
            f"{cpu / documents * 1e3:12.2f}{ratio:7.2f}"
            f"{max(one.peak for one in rounds) / 1e6:9.0f}"
            f"{median(one.requests for one in rounds) / documents:14.2f}"
            f"{median(one.stub_cpu for one in rounds) / documents * 1e3:13.2f}"
        )


if __name__ == "__main__":
    main()
