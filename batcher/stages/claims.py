"""Says what a submission may cost, together with the later steps that read its job.

It counts pages on disk and asks the ledger for what is known. The ledger compares a claim with the
limits (`ledger.run_spend`), and `core.reservations` estimates what it comes to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from batcher.common.names import extension_of
from batcher.core.reservations import LaterStep, Reservation
from batcher.ledger.ledger import Due, Ledger
from batcher.reducto.address_lists import documents_in
from batcher.reducto.job import Job, waits_in_batch
from batcher.reducto.page_selection import asked_at_most, asked_of
from batcher.reducto.rate_card import Measure, Rate
from batcher.sources.page_count import UNCOUNTED, measure
from batcher.stages.input_resolver import is_file, path
from batcher.stages.job_template import JobTemplate


class Claims:
    """Makes the claims of one run; `templates` are by job name."""

    def __init__(self, ledger: Ledger, templates: Mapping[str, JobTemplate]) -> None:
        self._ledger = ledger
        self._templates = templates

    async def of(self, due: Due, *, chained: bool) -> Reservation:
        """Return what is reserved for a document; `chained` where it reads another's job."""
        template = self._templates[due.job]
        rate = template.chained_rate if chained else template.rate
        documents = 1 if chained else documents_in(due.content)
        size = Measure(documents)
        most: int | None = None
        later: tuple[LaterStep, ...] = ()
        if template.counts_pages:
            read = self._pages_read(due) if chained else None
            size, most = await _size(due, template, read)
            if not chained:
                later = self._later(due, size)
        trusted = _is_trusted(template)
        claim = _reservation(due, due.step, rate, size, trusted=trusted)
        return replace(claim, most=most, documents=documents, later=later)

    def _pages_read(self, due: Due) -> int | None:
        """Return how many pages the job of the step before has read; None if that isn't known."""
        if due.upstream is None:
            return None
        return self._ledger.sending.pages_of(due.upstream)

    def _later(self, due: Due, size: Measure) -> tuple[LaterStep, ...]:
        """Return the steps that read the job of a document, with what each may cost."""
        if len(self._templates) == 1:
            return ()
        later: list[LaterStep] = []
        following = self._ledger.sending.following(due.id)
        for document, name, step in following:
            template = self._templates.get(name)
            if template is None:
                continue
            trusted = _is_trusted(template)
            claim = _reservation(due, step, template.chained_rate, size, trusted=trusted)
            later.append(LaterStep(document, claim))
        return tuple(later)


def _reservation(due: Due, step: str, rate: Rate, size: Measure, *, trusted: bool) -> Reservation:
    """Return what is reserved for a job of `step` that reads `size` of a document."""
    extension = extension_of(due.content)
    by_cells = rate.is_by_cells(size, extension)
    return Reservation(
        sort=f"{step} {extension}",
        cost=rate.reserve(size),
        page=rate.page,
        dense=rate.page if by_cells else rate.dense,
        least=rate.least,
        extension=extension,
        size=due.size,
        pages=size.pages,
        counted=size.counted,
        by_cells=by_cells,
        trusted=trusted,
    )


def _is_trusted(template: JobTemplate) -> bool:
    return waits_in_batch(template.options)  # the first bill may be half a day away


async def _size(due: Due, template: JobTemplate, read: int | None) -> tuple[Measure, int | None]:
    """Return how much of the document is asked for, and at most how many pages.

    `read` is the number of pages that an earlier job has read, if there was one.
    """
    # each document of the list may have as many pages as the job asks for
    documents = documents_in(due.content) if read is None else 1
    whole = UNCOUNTED
    if is_file(due):
        whole = await asyncio.to_thread(measure, path(due))
    if read is not None:
        whole = whole._replace(pages=read, counted=True)
    options = template.options_for(due)
    asked = Job(endpoint=template.endpoint, options=options)
    extension = extension_of(due.content)
    size = asked_of(whole, asked, extension)
    most = asked_at_most(asked, extension)
    if most is not None:
        most *= documents
    pages = documents * size.pages
    return size._replace(pages=pages), most
