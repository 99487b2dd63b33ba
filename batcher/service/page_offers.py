"""The worker's side of sharing a scan: other hands may read its pages, and it may read theirs.

It offers ranges of pages to the service, which answers with the next one to read here, or with what
another hand has read; see `shared_pages`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

from batcher.service.parsing.scans.page_ranges import CORES, SHARE, Given, Read, Take, alone
from batcher.service.process_limits import ProcessorTime
from batcher.service.tasks import Offer, Reply, Report, Task

# What reading pages depends on besides the file.
SETTINGS: Final = ("document_password", "force_file_extension")

OfferPages = Callable[[Offer], Reply]


class Offers:
    """Offers the scanned pages of a task's documents, one document after the other."""

    def __init__(self, task: Task, ask: OfferPages, time: ProcessorTime) -> None:
        self._task = task
        self._ask = ask
        self._time = time
        self._lock = threading.Lock()

    def begin(self, source: int, options: Mapping[str, Any]) -> None:
        """Offer the pages of this source of the task's, from now on."""
        settings = options.get("settings") or {}
        kept = {name: settings[name] for name in SETTINGS if settings.get(name)}

        def share(ranges: list[list[int]]) -> Take:
            self._said(Offer(source=source, ranges=ranges, settings=kept))
            return self._take

        CORES.set(self._task.cores)
        SHARE.set(share)

    def _take(self) -> Given | None:
        reply = self._said(Offer())
        self._time.count(reply.processor)
        if reply.read is not msgspec.UNSET:
            return Given(read=msgspec.json.decode(reply.read, type=Read))
        return Given(reply.pages) if reply.pages else None

    def _said(self, offer: Offer) -> Reply:
        """Return the answer to an offer, which tells how much time is left for the document."""
        with self._lock:
            return self._ask(msgspec.structs.replace(offer, processor=self._time.left))


def read_offered(task: Task, module: ModuleType, time: ProcessorTime) -> Report:
    """Read the pages that the task names, which another hand has offered.

    Raises the parser's DocumentProblem if they can't be read here.
    """
    (source,) = task.sources
    CORES.set(task.cores)
    SHARE.set(alone)
    read: Read = module.recognise(
        Path(source.path),
        extension=source.extension,
        settings=task.request,
        numbers=task.pages,
    )
    return Report(
        num_pages=len(task.pages),
        read=msgspec.Raw(msgspec.json.encode(read)),
        processor=time.used,
    )
