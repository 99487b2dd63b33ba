"""Reads back the manifest that the ledger's batch was last run with."""

from __future__ import annotations

import json
from pathlib import Path

from batcher.errors import LedgerError
from batcher.ledger import schema
from batcher.manifest.keys import read_manifest
from batcher.manifest.model import Manifest


def remembered(ledger: Path) -> Manifest:
    """Return the manifest that the batch was last run with, without the options of its jobs.

    Its caps are left out, too: they were of that run. Raises LedgerError where there is no ledger,
    or no manifest in it.
    """
    with schema.reading_any(ledger) as connection:
        row = connection.execute("SELECT value FROM meta WHERE key = 'manifest'").fetchone()
    if row is None:
        raise LedgerError(
            f"{ledger}: it remembers no manifest; name the manifest instead of the output"
        )
    values = json.loads(row[0])
    values.pop("limits", None)
    return read_manifest(values, where=str(ledger), folder=ledger.parent, stem="")
