"""Documents that are broken in ways nobody thought of:

`mutated_documents` runs as many as wanted, here a few.
"""

from __future__ import annotations

import os
import random

from mutated_documents import TRUE_FAULTS, campaign

DOCUMENTS = int(os.environ.get("MUTATED_DOCUMENTS", "40"))
SEED = int(os.environ.get("MUTATED_SEED", str(random.SystemRandom().randrange(1 << 32))))


async def test_every_mutated_document_ends_and_the_service_goes_on() -> None:
    """Completed or failed by a name that is true of the document; good documents after them are
    read as ever.
    """
    print(f"MUTATED_SEED={SEED}")
    ends = await campaign(DOCUMENTS, SEED)
    assert ends.pop("good Completed") == 2
    assert ends.total() == DOCUMENTS and set(ends) <= {"Completed", *TRUE_FAULTS}
