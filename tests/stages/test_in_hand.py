"""Who waits for the submitter is woken when nothing is in hand, or no POST awaits its answer."""

from __future__ import annotations

import asyncio

from batcher.stages.in_hand import InHand


async def is_woken(waiting: asyncio.Task[None]) -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return waiting.done()


async def test_the_last_document_that_is_let_go_wakes_who_waits() -> None:
    in_hand = InHand()
    in_hand.take([1])
    in_hand.take_ahead([2])
    waiting = asyncio.create_task(in_hand.settled.wait())
    assert not await is_woken(waiting)
    in_hand.let_go(1)
    assert not await is_woken(waiting)
    in_hand.let_go(2)
    assert await is_woken(waiting)
    assert not in_hand


async def test_the_last_answer_wakes_who_waits_though_documents_are_in_hand() -> None:
    in_hand = InHand()
    in_hand.take([1, 2, 3])
    with in_hand.post():
        with in_hand.post():
            assert in_hand.posting == 2
            waiting = asyncio.create_task(in_hand.settled.wait())
            assert not await is_woken(waiting)
        assert not await is_woken(waiting)
    assert await is_woken(waiting)
    assert len(in_hand) == 3
    assert in_hand.posting == 0


async def test_a_post_that_fails_is_no_longer_awaited() -> None:
    in_hand = InHand()
    try:
        with in_hand.post():
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert in_hand.posting == 0


def test_documents_that_are_only_uploaded_are_counted_apart_until_they_are_let_go() -> None:
    in_hand = InHand()
    in_hand.take([1])
    in_hand.take_ahead([2, 3])
    assert set(in_hand) == {1, 2, 3}
    assert [in_hand.is_ahead(document) for document in (1, 2, 3)] == [False, True, True]
    in_hand.let_go(3)
    assert in_hand.number_ahead == 1
    assert not in_hand.is_ahead(3)
