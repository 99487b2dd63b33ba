"""Large files are hashed and uploaded by hands, and by this machine where hands can't."""

from __future__ import annotations

from pathlib import Path

import pytest
from file_hands import FakeFileHands
from house import House, digest_of
from virtual import run_virtually

from batcher.cluster.file_tasks import Failure, FileReport, FileTask, Putting

SAVED = {"saved": 2}


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.put(large="a long letter", s="s")
    return house


def lent(house: House, *moods: Failure | int) -> FakeFileHands:
    house.hands = hands = FakeFileHands(house.service, moods)
    return hands


def test_hands_have_the_large_files_and_nobody_pays_more(house: House):
    """Small ones stay here; what is on record is the same as without hands."""
    hands = lent(house)
    assert run_virtually(house.run()) == SAVED
    assert hands.hashed == ["large.txt"] and list(hands.puts.values()) == [1]
    assert digest_of("a long letter") in house.result("large")
    house.hands = None
    assert run_virtually(house.run()) == SAVED
    assert house.paid() == 2


@pytest.mark.parametrize("failure", [Failure.NOT_HERE, Failure.LOST])
def test_what_hands_did_not_hash_is_hashed_here(house: House, failure: Failure):
    """A file that they don't see, which is told, or a hand that is gone."""
    hands = lent(house, failure)
    assert run_virtually(house.run()) == SAVED
    told = [words for words in house.control.warnings if "is hashed by this machine" in words]
    assert len(told) == (failure is Failure.NOT_HERE)
    assert list(hands.puts.values()) == [1] and house.paid() == 2


def test_what_hands_can_t_upload_is_uploaded_here(house: House):
    """That is told once, with the reason; the address that it was for is left alone."""
    house.put(larger="a longer letter")
    hands = lent(house, 200, 200, Failure.NOT_HERE, Failure.NOT_HERE)
    assert run_virtually(house.run()) == {"saved": 3}
    assert sorted(hands.puts.values()) == [1, 1] and house.paid() == 3
    told = [words for words in house.control.warnings if "as told" in words]
    assert told == ["what hands can't upload is uploaded by this machine: as told"]


def test_no_address_is_put_to_again_when_its_hand_is_lost(house: House):
    """The first may still do it: the next hand gets an address of its own, and then this machine
    uploads.
    """
    hands = lent(house, 200, Failure.LOST, Failure.LOST)
    assert run_virtually(house.run()) == SAVED
    assert list(hands.puts.values()) == [1, 1] and house.paid() == 2
    named = {job.source for job in house.service.jobs.values()}
    assert not any(address.endswith(tuple(named)) for address in hands.puts)


@pytest.mark.parametrize("mood", [Failure.NO_ANSWER, Failure.NO_ADDRESS, 503, 403, 500])
def test_a_put_that_fails_is_tried_again_later_at_another_address(house: House, mood):
    """As when this machine does it; an address that lets nobody in says nothing of the key."""
    hands = lent(house, 200, mood)
    assert run_virtually(house.run()) == SAVED
    assert list(hands.puts.values()) == [1, 1] and house.paid() == 2


def test_a_file_that_has_changed_is_not_sent_as_it_was(house: House):
    """A hand reports only that it isn't the file that was seen; this machine finds out why."""
    house.put(large="a long letter" * 100_000)  # it isn't read before it is sent
    hands = lent(house, 200, Failure.NOT_HERE)
    do = hands.do

    async def edited(task: FileTask) -> FileReport:
        if isinstance(task, Putting):
            house.put(large="a newer letter")
        return await do(task)

    hands.do = edited  # type: ignore[method-assign]
    assert run_virtually(house.run()) == {"saved": 1, "source_changed": 1}
    lent(house)
    assert run_virtually(house.run()) == {"saved": 2, "superseded": 1}
    assert digest_of("a newer letter") in house.result("large")
    assert house.paid() == 2
