"""Tells a refusal of one document from a refusal of the key. It decides nothing else.

A gateway may answer 403 for a single document, for its content or its name; the others' results
are to be fetched all the same.
"""

from __future__ import annotations

from batcher.errors import Refused, ServiceError, Unauthorised
from batcher.reducto.client import Api


async def is_of_one_document(error: Refused, client: Api) -> bool:
    """Return whether the service takes the key for other calls, asking for a row of its job list.

    False where that can't be found out.
    """
    if not (isinstance(error, Unauthorised) and error.may_be_of_one):
        return False
    try:
        await client.jobs(limit=1)
    except ServiceError:
        return False
    return True
