"""Checks the two capabilities of a service that make it safe to follow up lost submissions.

Its job list must show our jobs, and a deleted upload must be gone. Each is checked once for a
service and key, and the result is stored. Nothing here submits anything.
"""

from __future__ import annotations

from batcher.adapters.rate_limits import RateLimiter
from batcher.core.absence import FENCE, LISTING
from batcher.core.account import Account
from batcher.ledger.ledger import Ledger
from batcher.reducto.client import Api
from batcher.stages.job_list import rows


async def prove_fence(ledger: Ledger, client: Api, account: Account) -> bool:
    """Delete a spare upload twice, and return whether that answers 200 and then 404.

    Only then does deleting an upload keep a late submission from starting a job.
    """
    if FENCE in ledger.audit.proven(account.service, account.key_fingerprint):
        return True
    spare = await client.upload(b"spare", name="spare.txt")
    if not await client.delete_upload(spare.file_id) or await client.delete_upload(spare.file_id):
        return False
    await ledger.prove(account.service, account.key_fingerprint, FENCE)
    return True


async def prove_listing(ledger: Ledger, client: Api, lane: RateLimiter, account: Account) -> bool:
    """Return whether the job list shows our latest job together with its nonce.

    False if there is no job of ours.
    """
    if LISTING in ledger.audit.proven(account.service, account.key_fingerprint):
        return True
    witness = ledger.audit.witness(account.service, account.key_fingerprint, since=0.0)
    if witness is None:
        return False
    async for row in rows(client, lane):
        if row.job_id == witness.job_id:
            if row.mentions(witness.nonce):
                await ledger.prove(account.service, account.key_fingerprint, LISTING)
            return row.mentions(witness.nonce)
    return False
