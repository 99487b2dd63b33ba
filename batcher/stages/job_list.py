"""Reads the service's job list page by page; it decides nothing about the jobs in it."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from batcher.adapters.rate_limits import RateLimiter
from batcher.errors import BadReply, Busy
from batcher.reducto.api_types import JOBS_PAGE_LIMIT, LIST_JOBS, JobRow, JobsPage
from batcher.reducto.client import Api

# a million jobs: more than an account creates in the time that the service keeps jobs
PAGES_AT_MOST: Final = 2_000
TRIES_OF_PAGE: Final = 3


class EndlessListing(BadReply):
    """The list has more pages than were to be read, or goes in circles.

    Jobs that it hasn't shown may still exist.
    """


class CircularListing(EndlessListing):
    """The list gave the same cursor for the second time."""


async def rows(client: Api, lane: RateLimiter) -> AsyncIterator[JobRow]:
    """Yield every job of the whole list.

    Raises EndlessListing, and BadReply if a row can't be read.
    """
    async for page in pages(client, lane, tries=TRIES_OF_PAGE):
        if page.unreadable:
            raise BadReply(LIST_JOBS, f"{page.unreadable} rows that can't be read", status=200)
        for row in page.jobs:
            yield row


async def pages(
    client: Api,
    lane: RateLimiter,
    *,
    most: int = PAGES_AT_MOST,
    tries: int = 1,
    longest_wait: float = math.inf,
    with_requests: bool = True,
) -> AsyncGenerator[JobsPage, None]:
    """Yield the pages of the list, each with the rows that can be read, to its last cursor.

    At most `most` pages are read; EndlessListing is raised if more follow. `tries` is how often a
    page is requested if the service says that the request came too soon. The list ends early if
    `lane` is held for more than `longest_wait` seconds. `with_requests` says whether rows contain
    their jobs' requests.
    """
    cursor = None
    seen = set[str]()
    for _ in range(most):
        if not await lane.acquire(most=longest_wait):
            return
        page = await _page(client, lane, cursor, tries=tries, with_requests=with_requests)
        yield page
        cursor = page.next_cursor
        if not cursor:
            return
        if cursor in seen:
            raise CircularListing(
                LIST_JOBS, f"after {len(seen)} pages the same cursor again", status=200
            )
        seen.add(cursor)
    raise EndlessListing(LIST_JOBS, f"more than {most} pages", status=200)


async def _page(
    client: Api, lane: RateLimiter, cursor: str | None, *, tries: int, with_requests: bool
) -> JobsPage:
    """Return one page, requested again if it only came too soon, which doesn't end the list."""
    for tries_left in reversed(range(tries)):
        try:
            page = await client.jobs(
                cursor=cursor, limit=JOBS_PAGE_LIMIT, exclude_configs=not with_requests
            )
        except Busy as error:
            if not error.is_too_fast or error.retry_after is not None or not tries_left:
                raise
            lane.hold(error)
            await lane.acquire()
        else:
            lane.answered()
            return page
    raise AssertionError("the last try ends with a page or an error")
