"""batcher: send every document through the API once, and save every result before it expires.

The names below are the Python API. Each is loaded on first use, so that importing batcher is cheap.

    import batcher

    batcher.plan("nightly.toml").cost.credits
    batcher.run("nightly.toml").documents  # in a script and in a notebook; batcher.aio for loops
    with batcher.open_results("results/nightly") as results:
        frame = results.to_pandas("fields")

`run`, `collect`, `cancel`, `plan`, `retry`, `verify`, `export`, `status`, `failures` and
`run_history` do what the commands do (`run_history` is `batcher runs`). Everything that goes wrong
is a BatcherError; `batcher.errors` has the tree.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from batcher import aio as aio
    from batcher.api import Happened, export, failures, run_batch, run_history, status, verify
    from batcher.blocking import cancel, collect, plan, retry, run
    from batcher.blocking import run as run_batch_sync
    from batcher.core.lifecycle import State
    from batcher.core.summary import Summary
    from batcher.errors import (
        BatcherError,
        BudgetSpent,
        LedgerError,
        ManifestError,
        MetricsUnusable,
        OutputError,
        ReceiverUnusable,
        ResultDamaged,
        ServiceError,
        ServiceUnusable,
        SourceError,
    )
    from batcher.ledger.queries.run_history import RunRecord
    from batcher.ledger.reader import LedgerReader as Ledger
    from batcher.maintenance.candidates import Requeued
    from batcher.maintenance.export import Exported
    from batcher.maintenance.verify import Verified
    from batcher.manifest.loading import load as load_manifest
    from batcher.manifest.model import Manifest
    from batcher.reducto.client import ReductoClient
    from batcher.results.reader import Results, open_results
    from batcher.runs.plan import Plan
    from batcher.service.local import LocalOptions as LocalOptions
    from batcher.service.local import LocalService

__all__ = [
    "BatcherError",
    "BudgetSpent",
    "Exported",
    "Happened",
    "Ledger",
    "LedgerError",
    "LocalOptions",
    "LocalService",
    "Manifest",
    "ManifestError",
    "MetricsUnusable",
    "OutputError",
    "Plan",
    "ReceiverUnusable",
    "ReductoClient",
    "Requeued",
    "ResultDamaged",
    "Results",
    "RunRecord",
    "ServiceError",
    "ServiceUnusable",
    "SourceError",
    "State",
    "Summary",
    "Verified",
    "__version__",
    "aio",
    "cancel",
    "collect",
    "export",
    "failures",
    "load_manifest",
    "open_results",
    "plan",
    "retry",
    "run",
    "run_batch",
    "run_batch_sync",
    "run_history",
    "status",
    "verify",
]

# The module of each name, and its name there if that differs. All errors are in one module.
_HOMES = {
    "Exported": "maintenance.export",
    "Happened": "api",
    "Ledger": "ledger.reader:LedgerReader",
    "LocalOptions": "service.local",
    "LocalService": "service.local",
    "Manifest": "manifest.model",
    "Plan": "runs.plan",
    "ReductoClient": "reducto.client",
    "Requeued": "maintenance.candidates",
    "Results": "results.reader",
    "RunRecord": "ledger.queries.run_history",
    "State": "core.lifecycle",
    "Summary": "core.summary",
    "Verified": "maintenance.verify",
    "cancel": "blocking",
    "collect": "blocking",
    "export": "api",
    "failures": "api",
    "load_manifest": "manifest.loading:load",
    "open_results": "results.reader",
    "plan": "blocking",
    "retry": "blocking",
    "run": "blocking",
    "run_batch": "api",
    "run_batch_sync": "blocking:run",
    "run_history": "api",
    "status": "api",
    "verify": "api",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'batcher' has no attribute {name!r}")
    if name == "aio":
        return import_module("batcher.aio")
    home, _, there = _HOMES.get(name, "errors").partition(":")
    value = getattr(import_module(f"batcher.{home}"), there or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
