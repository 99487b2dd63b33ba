"""Twelve hours are enough: what expires, how many requests a document takes, how fast the lanes go.

`python tests/simulation/figures.py outage --documents 50000` asks the same of a whole night, and
has the figures.
"""

from itertools import pairwise
from pathlib import Path

import pytest
from nights import HOUR, Night, Weather, inbox_of
from virtual import run_virtually

from batcher.core.lifecycle import State

DOCUMENTS = 1500


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inbox_of(tmp_path_factory.mktemp("night") / "inbox", DOCUMENTS)


def test_a_document_takes_hardly_more_than_its_three_requests(inbox: Path) -> None:
    """Upload, submit, fetch: with up to 1,000 in flight for 30 s each, the looks for what has ended
    add little.

    The first ones are a probe of how fast the service is, and looks at few jobs serve few.
    """
    night = Night(DOCUMENTS, lambda job: (30.0, None), max_in_flight=1000)
    assert run_virtually(night.pass_(inbox)) == {"saved": DOCUMENTS}
    assert sum(night.weather.calls.values()) / DOCUMENTS <= 3.2


def test_a_free_place_is_taken_at_once(inbox: Path) -> None:
    """Jobs of a second, 100 in flight: fifteen waves of them take hardly more than fifteen
    seconds.
    """
    night = Night(DOCUMENTS, lambda job: (1.0, None), max_in_flight=100)
    assert run_virtually(night.pass_(inbox)) == {"saved": DOCUMENTS}
    assert 15.0 <= night.hours * HOUR <= 16.5


def test_a_limit_is_found_and_kept(inbox: Path) -> None:
    """Above 60 calls a second the service refuses: after ten seconds fewer than one call in twenty
    is.
    """
    night = Night(DOCUMENTS, lambda job: (5.0, None), Weather(most=60))
    assert run_virtually(night.pass_(inbox)) == {"saved": DOCUMENTS}
    late = [moment for moment in night.weather.at if moment > 10]
    assert len([moment for moment in night.weather.refused if moment > 10]) < len(late) / 20


def test_a_full_batch_lane_is_waited_for(inbox: Path) -> None:
    """503 with Retry-After: 300: nothing fails, the lane is left alone as long as it asks, results
    come home.
    """
    night = Night(DOCUMENTS, lambda job: (900.0, None), Weather(lane=300), queue_priority="batch")
    assert run_virtually(night.pass_(inbox)) == {"saved": DOCUMENTS}
    waves = night.weather.turned_away
    gaps = [later - earlier for earlier, later in pairwise(waves)]
    assert waves and all(gap < 1 or gap > 299 for gap in gaps), (
        "calls that had left are turned away with the first"
    )
    first = waves[0]
    assert any(first < moment < waves[-1] for moment in night.weather.fetched), (
        "no other lane is held"
    )


def test_an_outage_of_seven_hours_costs_seven_hours(inbox: Path) -> None:
    """Nothing expires, whatever was out when it began; the calls in vain meanwhile are few."""
    weather = Weather(away=(4.0, 4.0 + 7 * HOUR), fetches=200)
    night = Night(DOCUMENTS, lambda job: (300.0, None), weather, max_in_flight=100_000)
    assert run_virtually(night.pass_(inbox)) == {"saved": DOCUMENTS}
    assert 7.0 <= night.hours < 8.0, (
        "how fast the service is was not known before: it is found out afterwards"
    )
    assert any("50%" in words for words in night.warnings), "somebody was told in time"
    # 5.8 or 8.1, by the moments at which jobs happen to be due when the service is back
    assert weather.calls["job"] < 9 * DOCUMENTS


@pytest.mark.parametrize("listing", ["endless", "circling"])
def test_a_listing_without_an_end_costs_no_result(listing: str, inbox: Path) -> None:
    """And shows nothing: each job is asked for by name, and the listing is read no further than
    that would cost.
    """
    night = Night(DOCUMENTS, lambda job: (30.0, None), Weather(listing=listing), max_in_flight=1000)
    assert run_virtually(night.pass_(inbox)) == {"saved": DOCUMENTS}
    assert night.weather.calls["jobs"] < 2 * DOCUMENTS


def test_a_machine_asleep_for_thirteen_hours_loses_what_was_out_and_nothing_else(
    inbox: Path,
) -> None:
    """Exactly the jobs that were out are reported as expired; everything else is saved."""
    night = Night(
        DOCUMENTS, lambda job: (3600.0, None), max_in_flight=400, suspend=(600.0, 13 * HOUR)
    )
    tally = run_virtually(night.pass_(inbox))
    assert 100 < len(night.doomed) <= 400
    assert tally == {"saved": DOCUMENTS - len(night.doomed), "expired": len(night.doomed)}
    assert set(night.ledger.tracking.in_state(State.EXPIRED)) == night.doomed
    assert "asleep for 13 h" in night.warnings[0]
