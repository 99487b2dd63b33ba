"""Room in memory for results on their way: whoever takes some gives it back, whatever becomes of
the result.
"""

import asyncio
from pathlib import Path

import msgspec
import pytest
from house import House
from virtual import run_virtually

from batcher.reducto import api_types
from batcher.reducto.client import ResponseBudget
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.stages.sink import ROOM

HOUR = 3600.0
UNREADABLE = {
    "another job's": b'{"job_id": "somebody else", "result": {}}',
    "no object": b'"text"',
    "a head of odd types": b"[1, 2]",
}


class FillsTheRoom(FakeClient):
    """Each answer takes all of the room; the first results of each job are `said` in place of what
    they should be.
    """

    def __init__(self, service: FakeService, said: bytes | None) -> None:
        super().__init__(service)
        self._said, self._asked = said, dict[str, int]()

    async def job(
        self, job_id: str, *, room: ResponseBudget | None = None
    ) -> tuple[api_types.JobAnswer, int]:
        answer, _ = await super().job(job_id)
        if room is not None:
            await room.take(ROOM)
        if answer.result is not None:
            self._asked[job_id] = self._asked.get(job_id, 0) + 1
            if self._said is not None and self._asked[job_id] <= 2:
                answer.result = msgspec.Raw(self._said)
        return answer, ROOM if room is not None else 0


@pytest.mark.parametrize(
    "said", [None, *UNREADABLE.values()], ids=["what it should be", *UNREADABLE]
)
def test_what_cannot_be_read_gives_back_its_room(said: bytes | None, tmp_path: Path) -> None:
    """Else a few of them leave none, and no result of the batch is fetched any more."""

    async def work() -> None:
        house = House(tmp_path)
        house.put(**{f"n{number}": f"{number}" for number in range(6)})
        house.client = FillsTheRoom(house.service, said)
        loop = asyncio.get_running_loop()
        until = loop.time() + 2 * HOUR
        assert await house.run(until=lambda ledger: loop.time() > until) == {"saved": 6}

    run_virtually(work())
