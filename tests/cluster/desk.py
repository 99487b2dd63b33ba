"""A folder of documents for hands to read, and one of the hands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from batcher.service.tasks import Report, Task, TaskInput, Tools

LONG = 30.0  # seconds


@asynccontextmanager
async def one_of(hands: Any) -> AsyncIterator[Any]:
    """One of the hands, until the block ends."""
    each = hands.each()
    hand = await anext(each)
    await hand.warm_up()
    try:
        yield hand
    finally:
        await hand.close()
        await each.aclose()


class Desk:
    """A folder of documents, and of what hands make of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0

    def task(self, text: str, **more: Any) -> Task:
        self.number += 1
        path = self.folder / f"{self.number}.txt"
        path.write_text(text)
        return Task(
            job_id=f"job-{self.number}",
            type="Parse",
            request={},
            sources=[TaskInput(str(path))],
            result=str(self.folder / f"{self.number}.json"),
            attachments=str(self.folder / f"{self.number}"),
            token="t",
            seconds=60,
            **more,
        )

    async def read(self, hand: Any, text: str, *, seconds: float = LONG) -> Report:
        self.stages: list[str] = []
        return await hand.read(self.task(text), seconds=seconds, on_stage=self.stages.append)

    def extraction(self) -> Task:
        """A task that asks a model."""
        schema = {"type": "object", "properties": {"colour": {"type": "string"}}}
        task = self.task("the sky is blue", tools=Tools(model=True))
        request = {"instructions": {"schema": schema}}
        return msgspec.structs.replace(task, type="Extract", request=request)

    @property
    def result(self) -> Any:
        """The result that was made last."""
        return json.loads((self.folder / f"{self.number}.json").read_bytes())["result"]

    @property
    def content(self) -> str:
        """The text that was read last."""
        content: str = self.result["chunks"][0]["content"]
        return content
