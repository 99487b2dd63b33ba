"""The figures of a night, on a clock that is a number: `python tests/simulation/figures.py outage
--documents 50000`.

outage    the service is away for six hours once half of the batch is saved, and takes 200 fetches a
second suspend   the machine sleeps for thirteen hours in the middle of it economy   requests for
each document, jobs of 30 s each and 1,000 in flight; then jobs of 15 to 60 s limit     the service
refuses above 60 requests a second lane      the batch lane is full again and again: 503,
Retry-After: 300

Each ends with exit code 1 where what it is to show doesn't hold.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nights import HOUR, Night, Weather, inbox_of
from virtual import run_virtually


def outage(documents: int, inbox: Path) -> bool:
    weather = Weather(away_for=6 * HOUR, fetches=200)
    night = Night(documents, lambda job: (300.0, None), weather, max_in_flight=1_000_000)
    tally = run_virtually(night.pass_(inbox))
    print(f"{weather.out_when_away} were out when it began")
    return _told(night, tally) and tally == {"saved": documents}


def suspend(documents: int, inbox: Path) -> bool:
    most = min(20_000, documents // 3)
    night = Night(
        documents, lambda job: (3600.0, None), max_in_flight=most, suspend=(600.0, 13 * HOUR)
    )
    tally = run_virtually(night.pass_(inbox))
    print(f"{len(night.doomed)} were out when it fell asleep; told: {'; '.join(night.warnings)}")
    as_doomed = set(night.ledger.tracking.in_state("expired")) == night.doomed  # type: ignore[arg-type]
    return _told(night, tally) and as_doomed and tally["saved"] == documents - len(night.doomed)


def economy(documents: int, inbox: Path) -> bool:
    rng = random.Random(7)
    kinds: dict[str, Callable[[object], tuple[float, str | None]]] = {
        "30 s each": lambda job: (30.0, None),
        "15 to 60 s": lambda job: (rng.uniform(15.0, 60.0), None),
    }
    sound = True
    for name, work in kinds.items():
        night = Night(documents, work, max_in_flight=1000)
        tally = run_virtually(night.pass_(inbox))
        each = {call: round(number / documents, 3) for call, number in night.weather.calls.items()}
        print(f"{name}: {each}")
        sound = _told(night, tally) and tally == {"saved": documents} and sound
    return sound


def limit(documents: int, inbox: Path) -> bool:
    night = Night(documents, lambda job: (5.0, None), Weather(most=60))
    tally = run_virtually(night.pass_(inbox))
    late = sum(1 for moment in night.weather.at if moment > 10)
    refused = sum(1 for moment in night.weather.refused if moment > 10)
    print(
        f"after ten seconds {refused / late:.1%} refused, {late / (night.hours * HOUR - 10):.1f} "
        "requests a second"
    )
    return _told(night, tally) and refused < late / 20 and tally == {"saved": documents}


def lane(documents: int, inbox: Path) -> bool:
    night = Night(documents, lambda job: (900.0, None), Weather(lane=200), queue_priority="batch")
    tally = run_virtually(night.pass_(inbox))
    print(f"{len(night.weather.turned_away)} turned away by a full lane")
    return _told(night, tally) and tally == {"saved": documents}


def _told(night: Night, tally: dict[str, int]) -> bool:
    requests = sum(night.weather.calls.values()) / night.documents
    print(f"{tally}; {night.hours:.2f} h on its clock; {requests:.2f} requests a document")
    return True


SHOWN = {"outage": outage, "suspend": suspend, "economy": economy, "limit": limit, "lane": lane}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=SHOWN)
    parser.add_argument("--documents", type=int, default=2000)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        inbox = inbox_of(Path(folder) / "inbox", arguments.documents)
        holds = SHOWN[arguments.what](arguments.documents, inbox)
    print(
        f"{'as it should be' if holds else 'NOT as it should be'}; {time.monotonic() - began:.0f} "
        "s by our clock"
    )
    sys.exit(not holds)


if __name__ == "__main__":
    main()
