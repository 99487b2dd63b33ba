"""A rehearsal: the manifest's documents and jobs on the local service with faults.

It is kept apart from the batch.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from typing import Final

from batcher.common.formatting import format_credits
from batcher.core.lifecycle import OPEN, State
from batcher.core.summary import Summary
from batcher.ledger.ledger import lock
from batcher.manifest.model import Manifest, rehearsal_of

FAULTS: Final = "lost-reply=0.05,reset=0.03,500=0.03,429-1000=0.03,slow=0.1:1,listing-lag=0.1:1"
LOST: Final = (State.EXPIRED, State.LOST, State.HELD, State.STUCK)


def prepare(manifest: Manifest, chaos: str) -> Manifest:
    """Return the manifest to rehearse with, and remove what an earlier rehearsal left.

    `chaos` names the faults; empty takes `FAULTS`. Raises LedgerLocked while another rehearsal
    runs.
    """
    rehearsal = rehearsal_of(manifest, chaos=chaos or FAULTS)
    held = lock(rehearsal.output.ledger_path)
    shutil.rmtree(rehearsal.output.directory, ignore_errors=True)
    os.close(held)
    return rehearsal


def rehearsal_words(summary: Summary) -> str:
    """Return the text on time, cost, memory and losses that is printed after the run's summary."""
    lost = {
        state: summary.documents.get(state, 0) for state in LOST if summary.documents.get(state)
    }
    undone = sum(summary.documents.get(state, 0) for state in OPEN)
    lines = [
        "rehearsal on the local service:",
        f"  wall time    {summary.seconds:.1f} s",
        f"  credits      {format_credits(summary.credits).partition(' ')[0]}, as the local service "
        "counts them; none is billed",
        f"  peak memory  {_peak() / 1e6:.0f} MB",
        "  lost         "
        f"{', '.join(f'{number} {state}' for state, number in lost.items()) or 'nothing'}",
    ]
    return "\n".join(lines + ([f"  left undone  {undone}"] if undone else []))


def _peak() -> int:
    """Return the peak memory of this process in bytes, without that of the service."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
