"""The hands of this machine: a worker process each for documents, and threads for files."""

from __future__ import annotations

from collections.abc import AsyncIterator

from batcher.cluster.file_tasks import WORTH_HANDING_OVER, FileReport, FileTask
from batcher.cluster.file_work import done
from batcher.reducto.presigned import SignedAddresses
from batcher.service.tasks import Ask
from batcher.service.workers import PARSER, Worker


class LocalHands:
    """This many worker processes; `ask` asks a model, where there is one."""

    def __init__(self, number: int, *, parser: str = PARSER, ask: Ask | None = None) -> None:
        self._number = number
        self._parser = parser
        self._ask = ask

    async def each(self) -> AsyncIterator[Worker]:
        for _ in range(self._number):
            yield Worker(parser=self._parser, ask=self._ask)


class LocalFileHands:
    """This process hashes and puts files itself; `addresses` is open for as long as it does."""

    def __init__(
        self, addresses: SignedAddresses, *, worth_handing_over: int = WORTH_HANDING_OVER
    ) -> None:
        self._addresses = addresses
        self.worth_handing_over = worth_handing_over

    async def do(self, task: FileTask) -> FileReport:
        return await done(task, self._addresses)
