"""The messages between the service and its worker processes, one JSON line each.

Both sides import this module, so it knows neither processes nor databases.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

# Stands in results for the service's address, which may be another by the time they are read.
ADDRESS: Final = b"https://batcher.invalid/address"


class TaskInput(msgspec.Struct, frozen=True):
    """A file to read. `job`: it is the result of an earlier job, `asked` so, and no document.

    `paid`: it is the document of an earlier job, which paid for its reading.
    """

    path: str
    extension: str = ""
    job: bool = False
    asked: dict[str, Any] = {}
    paid: bool = False


class Tools(msgspec.Struct, frozen=True):
    """What a service has besides documents: a folder of pipelines, and perhaps a model."""

    pipelines: str = ""
    model: bool = False


class Task(msgspec.Struct, frozen=True):
    """One job for one worker.

    `seconds` limits its processor time; the service itself limits the wall-clock time. It may keep
    `cores` busy. With `pages`, only these of its one source are read, by OCR, and what they hold is
    in the report; `request` has the settings then, and nothing is written.
    """

    job_id: str
    type: str
    request: dict[str, Any]
    sources: list[TaskInput]
    result: str  # the file to write
    attachments: str  # the folder for what the result links to
    token: str
    seconds: int
    tools: Tools = Tools()
    cores: int = 1
    pages: list[int] = []


class Question(msgspec.Struct, frozen=True):
    """A worker's question for a model; the answer must follow `schema`."""

    messages: list[dict[str, str]]
    schema: dict[str, Any]


class Offer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ranges of scanned pages that any hand may read; without them, the question what is next.

    They are of the task's source with this number, and `settings` are what they are read with.
    `processor` is the time, in seconds, that is left for the task.
    """

    processor: float = 0.0
    source: int = 0
    ranges: list[list[int]] = []
    settings: dict[str, Any] = {}


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The model's answer, or the error's `name` and `message` if there is none.

    To an offer: the `pages` to read next, or which were `read` elsewhere, and what they hold;
    without pages everything is read. Other hands took `processor` seconds for what came of it.
    """

    text: str = ""
    name: str = ""
    message: str = ""
    pages: list[int] = []
    read: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    processor: float = 0.0


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job's stage, a question, or the job's end: `num_pages`, or an error's `name`.

    A question is one for a model, or an `offer` of pages to other hands. `duration` is in seconds;
    `code` is an HTTP status. `machines` is how many were lost with the task before it was given up.
    The end of a task with pages has what was `read` of them, and the seconds of `processor` time.
    """

    stage: str = ""
    question: Question | None = None
    offer: Offer | None = None
    num_pages: int = 0
    duration: float = 0.0
    linked: bool = False
    name: str = ""
    code: int = 0
    message: str = ""
    machines: int = 0
    read: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    processor: float = 0.0

    @property
    def is_question(self) -> bool:
        """Whether the worker waits for a reply."""
        return self.question is not None or self.offer is not None


# How the service answers a worker: what its model says, and which pages of a scan to read next.
Ask = Callable[[Question], Awaitable[Reply]]
Share = Callable[[Offer], Awaitable[Reply]]
