"""How many pages a job asks for: by `page_range`, or by what a classification reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from batcher.reducto.job import Job
from batcher.reducto.rate_card import Measure

LONG: Final = 10_000  # pages: more than anybody asks for by number
CONTEXT: Final = 5  # pages of a PDF that a classification reads if none are named


def asked_of(size: Measure, job: Job, extension: str) -> Measure:
    """Return the part of a document of that size that the job asks for.

    Sheets asked for by name count as the whole.
    """
    ranges = _ranges(job)
    if ranges is None:
        only_first = job.endpoint == "classify" and extension == "pdf"
        return size._replace(pages=min(size.pages, CONTEXT)) if only_first else size
    numbers: set[int] = set()
    for one in ranges if isinstance(ranges, list) else [ranges]:
        if isinstance(one, Mapping):
            numbers.update(_numbers(one, size.pages))
        elif isinstance(one, int):
            numbers.add(one)
        else:
            return size
    return size._replace(pages=max(1, len(numbers & set(range(1, size.pages + 1)))))


def asked_at_most(job: Job, extension: str) -> int | None:
    """Return how many pages the job asks for; None if that depends on the document."""
    most = asked_of(Measure(LONG), job, extension).pages
    return most if most < LONG // 2 else None


def _numbers(asked: Mapping[str, Any], pages: int) -> Iterable[int]:
    """Return the numbers of a range that includes both ends, each of which may be left out."""
    return range(asked.get("start") or 1, min(asked.get("end") or pages, pages) + 1)


def _ranges(job: Job) -> Any:
    """Return the `page_range`; an extract's own `settings` come before those of its parse."""
    options = job.options
    if job.endpoint == "classify":
        return options.get("page_range")
    places = [options] if job.endpoint == "parse" else [options, options.get("parsing")]
    settings = [place.get("settings") for place in places if isinstance(place, Mapping)]
    return next(
        (
            one["page_range"]
            for one in settings
            if isinstance(one, Mapping) and one.get("page_range")
        ),
        None,
    )
