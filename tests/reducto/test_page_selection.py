"""Pages that nobody asks for cost nothing, so a plan doesn't count them."""

from typing import Any

import pytest

from batcher.reducto.job import Job
from batcher.reducto.page_selection import asked_of
from batcher.reducto.rate_card import Measure

TWELVE = Measure(pages=12)
ASKED: dict[str, tuple[str, dict[str, Any], str, int]] = {
    "nothing said": ("parse", {}, "pdf", 12),
    "two pages": ("parse", {"settings": {"page_range": {"start": 1, "end": 2}}}, "pdf", 2),
    "from the tenth on": ("parse", {"settings": {"page_range": {"start": 10}}}, "pdf", 3),
    "more than there are": ("parse", {"settings": {"page_range": {"end": 400}}}, "pdf", 12),
    "none that is there": ("parse", {"settings": {"page_range": [40]}}, "pdf", 1),
    "pages by number": ("parse", {"settings": {"page_range": [1, 3, 3]}}, "pdf", 2),
    "ranges that overlap": (
        "parse",
        {"settings": {"page_range": [{"end": 3}, {"start": 2, "end": 5}]}},
        "pdf",
        5,
    ),
    "sheets by name": ("parse", {"settings": {"page_range": ["Sums"]}}, "xlsx", 12),
    "an extract's own": ("extract", {"settings": {"page_range": [1]}}, "pdf", 1),
    "its parse's": ("extract", {"parsing": {"settings": {"page_range": {"end": 4}}}}, "pdf", 4),
    "a classification": ("classify", {}, "pdf", 5),
    "a classification by two pages": ("classify", {"page_range": [1, 2]}, "pdf", 2),
    "a classification of slides": ("classify", {}, "pptx", 12),
}


@pytest.mark.parametrize("name", ASKED)
def test_pages_are_counted_as_far_as_they_are_asked_for(name: str) -> None:
    """Of a document of twelve."""
    endpoint, options, extension, pages = ASKED[name]
    assert asked_of(TWELVE, Job(endpoint=endpoint, options=options), extension).pages == pages
