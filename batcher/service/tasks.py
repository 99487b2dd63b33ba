"""The messages between the service and its worker processes, one JSON line each.

Both sides import this module, so it knows neither processes nor databases.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

# Stands in results for the service's address, which may be another by the time they are read.
ADDRESS: Final = b"https://batcher.invalid/address"


class TaskInput(msgspec.Struct, frozen=True):
    """A file to read. `job`: it is the result of an earlier job and no document."""

    path: str
    extension: str = ""
    job: bool = False


class Tools(msgspec.Struct, frozen=True):
    """What a service has besides documents: a folder of pipelines, and perhaps a model."""

    pipelines: str = ""
    model: bool = False


class Task(msgspec.Struct, frozen=True):
    """One job for one worker.

    `seconds` limits its processor time; the service itself limits the wall-clock time.
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


class Question(msgspec.Struct, frozen=True):
    """A worker's question for a model; the answer must follow `schema`."""

    messages: list[dict[str, str]]
    schema: dict[str, Any]


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The model's answer, or the error's `name` and `message` if there is none.

    To a report that asks for cores, `cores` is how many the worker may keep busy.
    """

    text: str = ""
    cores: int = 1
    name: str = ""
    message: str = ""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job's stage, a question, or the job's end: `num_pages`, or an error's `name`.

    A question is one for a model, or `asks_cores`: how many cores may be busy with this document.
    `duration` is in seconds; `code` is an HTTP status. `machines` is how many were lost with the
    task before it was given up.
    """

    stage: str = ""
    question: Question | None = None
    asks_cores: bool = False
    num_pages: int = 0
    duration: float = 0.0
    linked: bool = False
    name: str = ""
    code: int = 0
    message: str = ""
    machines: int = 0
