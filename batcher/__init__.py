"""batcher: send every document through the API once, and save every result before it expires.

The names below are the Python API. Each is loaded on first use, so that importing batcher is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from batcher.api import Happened, run_batch, run_batch_sync
    from batcher.core.lifecycle import State
    from batcher.core.summary import Summary
    from batcher.errors import (
        BatcherError,
        BudgetSpent,
        LedgerError,
        ManifestError,
        OutputError,
        ReceiverUnusable,
        ServiceError,
        ServiceUnusable,
        SourceError,
    )
    from batcher.ledger.reader import LedgerReader as Ledger
    from batcher.manifest.loading import load as load_manifest
    from batcher.manifest.model import Manifest
    from batcher.reducto.client import ReductoClient
    from batcher.service.local import LocalOptions as LocalOptions
    from batcher.service.local import LocalService

__all__ = [
    "BatcherError",
    "BudgetSpent",
    "Happened",
    "Ledger",
    "LedgerError",
    "LocalOptions",
    "LocalService",
    "Manifest",
    "ManifestError",
    "OutputError",
    "ReceiverUnusable",
    "ReductoClient",
    "ServiceError",
    "ServiceUnusable",
    "SourceError",
    "State",
    "Summary",
    "__version__",
    "load_manifest",
    "run_batch",
    "run_batch_sync",
]

# The module of each name, and its name there if that differs. All errors are in one module.
_HOMES = {
    "Happened": "api",
    "Ledger": "ledger.reader:LedgerReader",
    "LocalOptions": "service.local",
    "LocalService": "service.local",
    "Manifest": "manifest.model",
    "ReductoClient": "reducto.client",
    "State": "core.lifecycle",
    "Summary": "core.summary",
    "load_manifest": "manifest.loading:load",
    "run_batch": "api",
    "run_batch_sync": "api",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'batcher' has no attribute {name!r}")
    home, _, there = _HOMES.get(name, "errors").partition(":")
    value = getattr(import_module(f"batcher.{home}"), there or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
