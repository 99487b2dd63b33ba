"""The virtual loop tells what would hang a run or keep a processor busy for nothing."""

from __future__ import annotations

import asyncio

import pytest
from virtual import Deadlock, Spinning, run_virtually


def test_work_that_never_lets_time_pass_is_told() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        loop.call_later(10.0, again)
        await asyncio.Event().wait()

    with pytest.raises(Spinning):
        run_virtually(work())


def test_work_that_waits_for_nothing_is_told() -> None:
    with pytest.raises(Deadlock):
        run_virtually(asyncio.Event().wait())
