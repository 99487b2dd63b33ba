"""A night with an outage, at full size: `python tests/simulation/outage.py --documents 50000 --hours 6`."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from nights import HOUR, Night, Weather, inbox_of
from virtual import run_virtually


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--fetches", type=float, default=200.0, help="a second, which the service takes")
    arguments = parser.parse_args()
    began = time.monotonic()
    middle = arguments.documents / 2 / 240  # some 240 submissions a second: half of the batch is out
    weather = Weather(away=(middle, middle + arguments.hours * HOUR), fetches=arguments.fetches)
    night = Night(arguments.documents, lambda job: (300.0, None), weather, max_in_flight=1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        tally = run_virtually(night.pass_(inbox_of(Path(folder) / "inbox", arguments.documents)))
    requests = sum(weather.calls.values()) / arguments.documents
    print(f"{tally}; {night.hours:.2f} h on its clock, {time.monotonic() - began:.0f} s on ours")
    print(f"{requests:.2f} requests a document, {len(weather.refused)} refused")


if __name__ == "__main__":
    main()
