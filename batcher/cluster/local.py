"""The hands of this machine: a worker process each."""

from __future__ import annotations

from collections.abc import AsyncIterator

from batcher.service.workers import PARSER, Ask, Worker


class LocalHands:
    """This many worker processes; `ask` asks a model, where there is one."""

    def __init__(self, number: int, *, parser: str = PARSER, ask: Ask | None = None) -> None:
        self._number = number
        self._parser = parser
        self._ask = ask

    async def each(self) -> AsyncIterator[Worker]:
        for _ in range(self._number):
            yield Worker(parser=self._parser, ask=self._ask)
