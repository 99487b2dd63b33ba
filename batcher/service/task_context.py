"""What a worker has for one task: its documents, read or from an earlier job, and a model to ask.

Knows where each endpoint's request holds its parse options.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from batcher.service.assembly import Assembled, join, noted, own_notes, paid, reread
from batcher.service.page_offers import Offers
from batcher.service.parsing.kinds import kind_of
from batcher.service.parsing.pages import DocumentProblem, Page, corrupt
from batcher.service.parsing.selection import absent, cut_short, selected, too_wide
from batcher.service.rendering import Answer
from batcher.service.tasks import Question, Reply, Task, TaskInput
from batcher.service.unserved import is_of_an_option, unserved_by_earlier

Ask = Callable[[Question], Reply]

CONTEXT: Final = {"start": 1, "end": 5}  # the pages by which a document is classified
CONTEXT_AT_MOST: Final = 10
# Errors of the disk or the system, which another try may not meet.
PASSING: Final = frozenset(
    getattr(errno, name)
    for name in "ENOENT ENOSPC EDQUOT EROFS EIO EMFILE ENFILE EAGAIN ENOMEM".split()
)


@dataclass(frozen=True, slots=True)
class Desk:
    """A task with its means: `module` is the parser, `ask` asks the model, `offers` other hands.

    `ask` fails unless `task.tools.model` says that there is a model.
    """

    task: Task
    module: ModuleType
    ask: Ask
    offers: Offers

    def whole(self, options: Mapping[str, Any]) -> Answer:
        """Return all documents of the task as one answer."""
        return join([self._read(source, options) for source in self.task.sources])

    def each_with_places(self, options: Mapping[str, Any]) -> Iterator[tuple[Answer, float]]:
        """Yield each document's answer with the boxes of its lines, and the seconds it took."""
        for source in self.task.sources:
            began = time.monotonic()
            yield self._read(source, _with_lines(options)), time.monotonic() - began

    def with_places(self, request: Mapping[str, Any]) -> Answer:
        """Return the answer for a request that has its parse options in `parsing`.

        It always has the boxes of lines, and tables of sheets in one piece.
        """
        parsing = request.get("parsing") or {}
        settings = parsing.get("settings") or {}
        sheets = parsing.get("spreadsheet") or {}
        own = (request.get("settings") or {}).get("page_range")
        pages = own or settings.get("page_range")
        options = {
            **_with_lines({**parsing, "settings": {**settings, "page_range": pages}}),
            "spreadsheet": {**sheets, "split_large_tables": {"enabled": False}},
        }
        answer = join(
            [
                self._chosen(self._read(source, options), source, pages)
                for source in self.task.sources
            ]
        )
        notes = own_notes(answer, parsing)
        return noted(
            answer, [note if own and _is_on_pages(note) else _below_parsing(note) for note in notes]
        )

    def beginnings(self, request: Mapping[str, Any]) -> Answer:
        """Return the first pages, or those asked for, of each PDF, and other documents whole."""
        answer = join([self._beginning(source, request) for source in self.task.sources])
        return noted(answer, [note.removeprefix("settings.") for note in answer.notes])

    def _beginning(self, source: TaskInput, request: Mapping[str, Any]) -> Answer:
        if kind_of(Path(source.path), source.extension) != "pdf":
            return self._read(source, {})
        pages = cut_short(request.get("page_range") or CONTEXT, CONTEXT_AT_MOST)
        answer = self._read(source, {"settings": {"page_range": pages}})
        if answer.num_pages > CONTEXT_AT_MOST:
            raise too_wide(CONTEXT_AT_MOST)
        return answer

    def _read(self, source: TaskInput, options: Mapping[str, Any]) -> Answer:
        if source.job:
            earlier = reread(Path(source.path))
            return noted(earlier, [*unserved_by_earlier(options, source.asked), *earlier.notes])
        answer = self._parsed(source, options)
        return paid(answer) if source.paid else answer

    def _parsed(self, source: TaskInput, options: Mapping[str, Any]) -> Answer:
        self.offers.begin(self.task.sources.index(source), options)
        try:
            answer: Answer = self.module.parse(
                Path(source.path), extension=source.extension, options=options
            )
        except (DocumentProblem, self.module.DocumentProblem, MemoryError):
            raise
        except Exception as bug:
            if is_of_the_machine(bug):
                raise
            if "bad_alloc" in str(bug):  # how libraries in C++ say it
                raise MemoryError from bug
            raise corrupt(f"its reader failed: {type(bug).__name__}: {bug}") from bug
        return answer

    def _chosen(self, answer: Answer, source: TaskInput, asked: Any) -> Answer:
        """Return the requested pages of an earlier job's result."""
        if not source.job or asked is None:
            return answer
        notes = [note for note in answer.notes if not _is_on_pages(note)]
        last = max(
            (block["bbox"]["page"] for c in answer.result["chunks"] for block in c["blocks"]),
            default=0,
        )
        pages = [Page(number, number, []) for number in range(1, last + 1)]
        numbers = {page.original for page in selected(pages, asked)}
        notes += absent(pages, asked)
        chunks = [
            {
                **chunk,
                "blocks": [block for block in chunk["blocks"] if block["bbox"]["page"] in numbers],
            }
            for chunk in answer.result["chunks"]
        ]
        return Assembled({**answer.result, "chunks": chunks}, len(numbers), notes=notes)


def is_of_the_machine(bug: Exception) -> bool:
    """Tell whether the error is the system's, so that another try may succeed.

    Any other error of a reader would occur again.
    """
    return isinstance(bug, OSError) and bug.errno in PASSING


def _is_on_pages(note: str) -> bool:
    return note.startswith("settings.page_range")


def _below_parsing(note: str) -> str:
    return f"parsing.{note}" if is_of_an_option(note) else note


def _with_lines(options: Mapping[str, Any]) -> dict[str, Any]:
    return {**options, "settings": {**(options.get("settings") or {}), "return_ocr_data": True}}
