"""What a submission is expected to cost, in credits as of before 2026-09-01. The service bills, not we."""

from __future__ import annotations

from typing import Final

DOLLARS_PER_CREDIT: Final = 0.015  # of accounts from before 2026-09-01
CREDITS_PER_PAGE: Final = {"parse": 1.0, "extract": 3.0, "split": 3.0, "pipeline": 3.0, "classify": 0.5}


def estimate(endpoint: str, *, pages: int = 1) -> float:
    """Credits for a document of `pages` pages; one page where nobody has counted: the least it can be."""
    return CREDITS_PER_PAGE[endpoint] * pages
