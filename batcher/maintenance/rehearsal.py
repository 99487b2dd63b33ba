"""A rehearsal: a manifest's own documents and job against the local service with faults, kept apart
from the batch.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from typing import Final

from batcher.common.formatting import format_usd, pluralize
from batcher.core.lifecycle import OPEN, State
from batcher.core.summary import Summary
from batcher.ledger.ledger import lock
from batcher.manifest.model import Manifest, rehearsal_of

FAULTS: Final = "lost-reply=0.05,reset=0.03,500=0.03,429-1000=0.03,slow=0.1:1,listing-lag=0.1:1"
LOST: Final = (State.EXPIRED, State.LOST, State.HELD, State.STUCK)


def prepare(manifest: Manifest, chaos: str) -> Manifest:
    """The manifest to rehearse with. What an earlier rehearsal left is removed: each begins anew.

    Raises LedgerLocked where one is under way.
    """
    rehearsal = rehearsal_of(manifest, chaos=chaos or FAULTS)
    held = lock(rehearsal.output.ledger_path)
    shutil.rmtree(rehearsal.output.directory, ignore_errors=True)
    os.close(held)
    return rehearsal


def rehearsal_words(summary: Summary) -> str:
    """What it took, and what was lost; to be read below the words of the run itself."""
    lost = {
        state: summary.documents.get(state, 0) for state in LOST if summary.documents.get(state)
    }
    undone = sum(summary.documents.get(state, 0) for state in OPEN)
    cost = f"{pluralize(summary.credits, 'credit')} ({format_usd(summary.dollars)})"
    lines = [
        "rehearsal on the local service:",
        f"  wall time    {summary.seconds:.1f} s",
        f"  cost         {cost} as the local service counts them",
        f"  peak memory  {_peak() / 1e6:.0f} MB",
        "  lost         "
        f"{', '.join(f'{number} {state}' for state, number in lost.items()) or 'nothing'}",
    ]
    return "\n".join(lines + ([f"  left undone  {undone}"] if undone else []))


def _peak() -> int:
    """Bytes of this process at its largest; the service's are not among them."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
