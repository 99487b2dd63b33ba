"""What a person wants done again costs nothing where a result of the same bytes is still there."""

import asyncio
import time
from pathlib import Path

import house as house_module
import pytest
from house import Nights, digest_of

from batcher.core.lifecycle import State
from batcher.ledger.named import Wanted
from batcher.maintenance.retry import retry
from batcher.maintenance.verify import repair
from batcher.runs.kinds import Cancellation

HOUR = 3600.0


@pytest.fixture
def house(tmp_path: Path) -> Nights:
    return Nights(tmp_path, now=time.time() - 8 * HOUR)


def test_a_cancelled_copy_takes_a_result_that_something_newer_has_replaced(
    house: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that was to copy it was killed, and the rest of the batch called off."""
    for text in ("first", "second"):
        house.put(a=text)
        house.night()
    house.put(b="first")
    house.night(until=lambda ledger: ledger.tally[State.DUPLICATE] == 1)
    with monkeypatch.context() as patch:
        patch.setattr(house_module, "Run", Cancellation)
        assert house.night()["cancelled"] == 1
    done = asyncio.run(retry(house.ledger))
    assert (done.documents, done.credits) == (1, 0.0)
    house.night()
    assert house.paid() == 2 and digest_of("first") in house.result("b")


def test_a_document_that_failed_takes_the_result_that_its_twin_had_before_it_was_edited(
    house: Nights,
) -> None:
    """That twin was sent again by itself."""
    house.service.work = lambda job: (1.0, "DOCUMENT_CORRUPT")
    house.put(a="same", b="same")
    house.night()
    house.service.work = lambda job: (1.0, None)
    asyncio.run(retry(house.ledger, wanted=Wanted(("b.txt",))))
    house.night()
    house.put(b="other")
    house.night()
    paid = house.paid()
    asyncio.run(retry(house.ledger))
    assert house.night()["saved"] == 2
    assert house.paid() == paid and digest_of("same") in house.result("a")


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_copy_is_fetched_again_where_the_service_still_has_its_payers_job(
    is_kept: bool, tmp_path: Path
) -> None:
    """Though its payer has been edited since. Without that job a person is told what it costs."""
    house = Nights(tmp_path, now=time.time() - (3 if is_kept else 48) * HOUR)
    house.put(a="same", b="same")
    house.night()
    house.put(a="edited")
    house.night()
    for path in house.out.rglob("*.json"):
        if digest_of("same") in path.read_text():
            path.unlink()
    done = asyncio.run(repair(house.ledger, house.out))
    assert (done.free, done.paid.documents) == ((1, 0) if is_kept else (0, 1))
    assert house.night()["saved"] == 2
    assert house.paid() == (2 if is_kept else 3)
    assert digest_of("same") in house.result("b")
