"""Who waits longest is served first, whoever comes back in between."""

from __future__ import annotations

import asyncio

import pytest

from batcher.cluster.turns import Turns


async def test_things_are_given_in_the_order_of_asking():
    """Also when the one who gave something back asks again at once."""
    turns: Turns[str] = Turns()
    turns.give("hand")
    order: list[int] = []

    async def use(number: int, times: int) -> None:
        for _ in range(times):
            hand = await turns.take()
            order.append(number)
            await asyncio.sleep(0)
            turns.give(hand)

    await asyncio.gather(*(use(number, 3) for number in range(3)))
    assert order == [0, 1, 2] * 3


async def test_who_gives_up_waiting_loses_nothing():
    """Neither his turn, to those behind him, nor a thing that he was just given."""
    turns: Turns[str] = Turns()
    waiting = [asyncio.create_task(turns.take()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    turns.give("hand")
    waiting[1].cancel()  # it has been given the hand, and hasn't seen it yet
    assert await waiting[2] == "hand"
    for task in waiting[:2]:
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_what_is_gone_is_given_to_nobody():
    """Whether it is free or was never there."""
    turns: Turns[str] = Turns()
    turns.give("dead")
    turns.withdraw("dead")
    turns.withdraw("unknown")
    taking = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    assert not taking.done()
    turns.give("alive")
    assert await taking == "alive"
