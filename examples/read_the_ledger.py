"""What a batch has done, asked of its ledger; also while a run is under way.

python examples/read_the_ledger.py OUTPUT
"""

import sys

from batcher import Ledger, State

with Ledger.open(
    sys.argv[1] if len(sys.argv) > 1 else "results/quickstart", read_only=True
) as ledger:
    for state, number in ledger.counts().most_common():
        print(f"{number:6} {state}")
    for document in ledger.documents(State.SAVED):
        paid = sum(attempt.credits or attempt.cost for attempt in ledger.attempts(document.id))
        print(f"{document.output}: {paid:g} credits")
    for document in ledger.documents(State.FAILED):
        print(f"{document.source}: {document.reason}")
