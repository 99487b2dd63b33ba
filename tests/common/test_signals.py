"""Waiting for signals: who waits is woken, who comes later waits for the next one."""

from __future__ import annotations

import asyncio

import pytest
from virtual import run_virtually

from batcher.common.signals import Signal, until_any


def test_a_signal_wakes_all_who_wait_and_nobody_who_comes_later() -> None:
    async def work() -> None:
        signal = Signal()
        waiting = [asyncio.create_task(signal.wait()) for _ in range(3)]
        signal.give()
        late = asyncio.create_task(signal.wait())
        await asyncio.sleep(1.0)
        assert all(wait.done() for wait in waiting)
        assert not late.done()
        late.cancel()

    run_virtually(work())


def test_a_wait_counts_from_where_it_was_asked_for() -> None:
    """A signal between asking for a wait and its first step isn't missed."""

    async def work() -> None:
        signal = Signal()
        wait = signal.wait()
        signal.give()
        async with asyncio.timeout(1.0):
            await wait

    run_virtually(work())


def test_a_wait_may_have_an_end() -> None:
    async def work() -> None:
        began = asyncio.get_running_loop().time()
        await Signal().wait(within=5.0)
        assert asyncio.get_running_loop().time() - began == 5.0

    run_virtually(work())


def test_the_first_of_several_ends_the_wait_and_the_others_are_cancelled() -> None:
    async def work() -> None:
        cancelled: list[float] = []

        async def sleep(seconds: float) -> None:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                cancelled.append(seconds)
                raise

        began = asyncio.get_running_loop().time()
        await until_any(sleep(3.0), sleep(1.0), sleep(2.0))
        assert asyncio.get_running_loop().time() - began == 1.0
        await asyncio.sleep(0.0)
        assert sorted(cancelled) == [2.0, 3.0]

    run_virtually(work())


def test_what_the_first_raises_is_raised() -> None:
    async def work() -> None:
        async def fails() -> None:
            raise KeyError("broken")

        with pytest.raises(KeyError, match="broken"):
            await until_any(asyncio.sleep(1.0), fails())

    run_virtually(work())
