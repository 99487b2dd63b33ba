"""What the service and its worker processes tell each other: one JSON line each way for each job.

Shared by both sides, so it knows neither processes nor databases.
"""

from __future__ import annotations

from typing import Any

import msgspec


class TaskInput(msgspec.Struct, frozen=True):
    """A file to be read; `job` where it is the result of an earlier job instead of a document."""

    path: str
    extension: str = ""
    job: bool = False


class Tools(msgspec.Struct, frozen=True):
    """What a service was given beside documents: a folder of pipelines, and whether a model answers
    questions.
    """

    pipelines: str = ""
    model: bool = False


class Task(msgspec.Struct, frozen=True):
    """One job for one worker.

    `seconds` bounds its CPU time; the wall clock is the service's business.
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
    """What a worker would have a model asked; `schema` is what the answer must follow."""

    messages: list[dict[str, str]]
    schema: dict[str, Any]


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the model said, or by what error's `name` it said nothing."""

    text: str = ""
    name: str = ""
    message: str = ""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a job is (`stage`), what it wants to know, or how it ended: with `num_pages`, or with
    an error.
    """

    stage: str = ""
    question: Question | None = None
    num_pages: int = 0
    duration: float = 0.0
    linked: bool = False
    name: str = ""
    code: int = 0
    message: str = ""
