"""Hands that hash and upload for a fake service, and misbehave as told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from batcher.cluster.file_tasks import (
    Failure,
    FileReport,
    FileTask,
    Hashing,
    Putting,
    StoredFile,
)
from batcher.reducto.fake_client import FakeService


class FakeFileHands:
    """Each task takes the next of `moods`, while there are any: a failure, or a status.

    A LOST one has put its bytes all the same.
    """

    def __init__(
        self, service: FakeService, moods: Iterable[Failure | int] = (), *, worth: int = 4
    ) -> None:
        self._service = service
        self._moods = list(moods)
        self.worth_handing_over = worth
        self.hashed: list[str] = []
        self.puts: Counter[str] = Counter()  # by address

    async def do(self, task: FileTask) -> FileReport:
        mood = self._moods.pop(0) if self._moods else 200
        if isinstance(task, Hashing):
            self.hashed.append(task.file.place)
            sha = sha256(_content(task.file)).hexdigest()
            return FileReport(failure=mood) if isinstance(mood, Failure) else FileReport(sha)
        self.puts[task.address] += 1
        if mood in (200, Failure.LOST, Failure.NO_ANSWER):
            self._put(task)
        if isinstance(mood, Failure):
            return FileReport(failure=mood, message="as told")
        return FileReport(status=mood)

    def _put(self, task: Putting) -> None:
        assert isinstance(task.source, StoredFile)
        self._service.put(task.address, _content(task.source))


def _content(file: StoredFile) -> bytes:
    return Path(file.folder, file.place).read_bytes()
