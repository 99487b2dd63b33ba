"""The two proofs that a lost submission can be followed up: the listing shows our jobs, a deleted
upload is gone.

Each is found out once for a service and key, and stored. Nothing here submits anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from batcher.adapters.rate_limits import RateLimiter
from batcher.core.absence import FENCE, LISTING
from batcher.core.account import Account
from batcher.errors import BadReply, Busy
from batcher.ledger.ledger import Ledger
from batcher.reducto.api_types import JOBS_PAGE_LIMIT, JobRow, JobsPage
from batcher.reducto.client import Api

# a million jobs: more than an account makes in the time that jobs are kept
PAGES_AT_MOST: Final = 2_000
TRIES_OF_PAGE: Final = 3


class EndlessListing(BadReply):
    """It goes on for ever, or in circles: what it doesn't show may still be there."""


async def rows(client: Api, lane: RateLimiter) -> AsyncIterator[JobRow]:
    """Every job that the listing shows, to its last cursor.

    Raises EndlessListing, and BadReply for one row of it.
    """
    async for page in pages(client, lane):
        if page.unreadable:
            raise BadReply("GET /jobs", f"{page.unreadable} rows that can't be read", status=200)
        for row in page.jobs:
            yield row


async def pages(client: Api, lane: RateLimiter) -> AsyncIterator[JobsPage]:
    """The listing to its last cursor, with what of it can be read. Raises EndlessListing."""
    cursor = None
    seen = set[str]()
    for _ in range(PAGES_AT_MOST):
        yield (page := await _page(client, lane, cursor))
        cursor = page.next_cursor
        if not cursor:
            return
        if cursor in seen:
            raise EndlessListing(
                "GET /jobs", f"after {len(seen)} pages the same cursor again", status=200
            )
        seen.add(cursor)
    raise EndlessListing("GET /jobs", f"more than {PAGES_AT_MOST} pages", status=200)


async def _page(client: Api, lane: RateLimiter, cursor: str | None) -> JobsPage:
    """One page, asked for again where it only came too soon: that breaks no listing off."""
    for tries_left in reversed(range(TRIES_OF_PAGE)):
        await lane.acquire()
        try:
            page = await client.jobs(cursor=cursor, limit=JOBS_PAGE_LIMIT)
        except Busy as error:
            if error.status != 429 or error.retry_after is not None or not tries_left:
                raise
            lane.hold(error)
        else:
            lane.answered()
            return page
    raise AssertionError("the last try ends with a page or an error")


async def prove_fence(ledger: Ledger, client: Api, account: Account) -> bool:
    """Delete a spare upload: the fence is worth something only where that answers 200 and then
    404.
    """
    if FENCE in ledger.proven(account.service, account.key_fingerprint):
        return True
    spare = await client.upload(b"spare", name="spare.txt")
    if not await client.delete_upload(spare.file_id) or await client.delete_upload(spare.file_id):
        return False
    await ledger.prove(account.service, account.key_fingerprint, FENCE)
    return True


async def prove_listing(ledger: Ledger, client: Api, lane: RateLimiter, account: Account) -> bool:
    """Look for the latest job of ours: the listing must name it together with its nonce.

    False where there is none.
    """
    if LISTING in ledger.proven(account.service, account.key_fingerprint):
        return True
    witness = ledger.witness(account.service, account.key_fingerprint, since=0.0)
    if witness is None:
        return False
    async for row in rows(client, lane):
        if row.job_id == witness.job_id:
            if row.mentions(witness.nonce):
                await ledger.prove(account.service, account.key_fingerprint, LISTING)
            return row.mentions(witness.nonce)
    return False
