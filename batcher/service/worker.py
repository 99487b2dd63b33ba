"""A worker process, started by `workers`: reads one document at a time and writes its result.

Tasks come as JSON lines on stdin; reports and questions go to stdout. The process ends with stdin,
even in the middle of a document, so no worker outlives its service. It has no key and no database.
"""

from __future__ import annotations

import errno
import importlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Final

import msgspec

from batcher.reducto.api_types import ErrorName
from batcher.service.handlers import perform
from batcher.service.page_offers import Offers, read_offered
from batcher.service.parsing.pages import DocumentProblem
from batcher.service.process_limits import (
    MEMORY,
    ProcessorTime,
    limit_resources,
    silence_libraries,
)
from batcher.service.rendering import store
from batcher.service.task_context import Desk, is_of_the_machine
from batcher.service.tasks import Reply, Report, Task

LONGEST_MESSAGE: Final = 2000  # characters


def main(parser: str) -> None:
    """Serve tasks until stdin ends.

    `parser` is the name of a module with `parse`, `recognise` and `DocumentProblem`.
    """
    os.umask(0o077)  # results are readable by their owner only
    out = silence_libraries()
    limit_resources()
    module = importlib.import_module(parser)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()

    def ask(question: Report) -> Reply:
        _send(out, question)
        return msgspec.json.decode(tasks.get(), type=Reply)

    _send(out, Report(stage="Ready"))
    while True:
        task = msgspec.json.decode(tasks.get(), type=Task)
        _send(out, _without_paths(_perform(task, module, out, ask), task))


def _perform(
    task: Task, module: ModuleType, out: BinaryIO, ask: Callable[[Report], Reply]
) -> Report:
    """Do a task and return its report.

    Every fault of a document is a report; the service notices a process that dies.
    """
    began = time.monotonic()
    time_allowed = ProcessorTime(task.seconds)
    try:
        if task.pages:
            return read_offered(task, module, time_allowed)
        offers = Offers(task, lambda offer: ask(Report(offer=offer)), time_allowed)
        desk = Desk(task, module, lambda question: ask(Report(question=question)), offers)
        work = perform(desk)
        _send(out, Report(stage="Completing"))
        duration = time.monotonic() - began
        linked = store(task, work.body, duration=duration)
        return Report(num_pages=work.pages, duration=duration, linked=linked)
    except (module.DocumentProblem, DocumentProblem) as problem:
        return Report(name=problem.name, code=problem.code, message=problem.message)
    except FileNotFoundError as missing:
        return (
            _stumbled(missing)
            if all(Path(source.path).exists() for source in task.sources)
            else _lost_input()
        )
    except MemoryError:
        message = f"The document needs more memory than the {MEMORY >> 30} GB that are allowed"
        return Report(name=ErrorName.DOCUMENT_TOO_LARGE, code=413, message=message)
    except Exception as bug:
        return _stumbled(bug)


def _stumbled(bug: Exception) -> Report:
    """Return the report of an unexpected exception.

    The same request for the same document would fail again, so only errors of the system are
    reported as temporary.
    """
    what = f"{type(bug).__name__}: {bug}"
    if isinstance(bug, OSError) and bug.errno == errno.EFBIG:
        return Report(
            name=ErrorName.OVERSIZED_RESULT, code=413, message="The result is larger than allowed"
        )
    if is_of_the_machine(bug):
        return Report(
            name=ErrorName.SERVICE_UNAVAILABLE,
            code=503,
            message=f"The service's disk refuses: {what}",
        )
    message = f"The document was read, but the request failed: {what}"
    return Report(name=ErrorName.DOCUMENT_UNSUPPORTED, code=415, message=message)


def _without_paths(report: Report, task: Task) -> Report:
    """Remove the paths of input files from the message.

    Libraries quote them; they are names of the service's own, differ every time, and mean nothing
    to the caller.
    """
    message = report.message
    for source in task.sources:
        message = message.replace(repr(source.path), "it").replace(source.path, "it")
    return msgspec.structs.replace(report, message=message)


def _lost_input() -> Report:
    """Return the report for an upload that was deleted after the service had found it."""
    return Report(
        name=ErrorName.INVALID_CONFIG, code=400, message="File not found: the upload is gone"
    )


def _send(out: BinaryIO, report: Report) -> None:
    """Write a report; its message may quote the document, including lone surrogates."""
    message = report.message.encode(errors="replace").decode()[:LONGEST_MESSAGE]
    out.write(msgspec.json.encode(msgspec.structs.replace(report, message=message)) + b"\n")


def _listen(tasks: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        tasks.put(line)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
