"""The two proofs that a lost submission can be followed up: the listing shows our jobs, a deleted
upload is gone.

Each is found out once for a service and key, and stored. Nothing here submits anything.
"""

from __future__ import annotations

from batcher.adapters.rate_limits import RateLimiter
from batcher.core.absence import FENCE, LISTING
from batcher.core.account import Account
from batcher.ledger.ledger import Ledger
from batcher.reducto.client import Api
from batcher.stages.job_list import rows


async def prove_fence(ledger: Ledger, client: Api, account: Account) -> bool:
    """Delete a spare upload: the fence is worth something only where that answers 200 and then
    404.
    """
    if FENCE in ledger.audit.proven(account.service, account.key_fingerprint):
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
