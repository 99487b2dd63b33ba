"""The virtual loop tells what would hang a run or keep a processor busy for nothing."""

from __future__ import annotations

import asyncio

import pytest
from virtual import Deadlock, Spinning, run_virtually


def test_work_that_never_lets_time_pass_is_told() -> None:
    async def work() -> None:
        await asyncio.sleep(10.0)
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Spinning):
        run_virtually(work())


def test_work_that_waits_for_nothing_is_told() -> None:
    with pytest.raises(Deadlock):
        run_virtually(asyncio.Event().wait())
