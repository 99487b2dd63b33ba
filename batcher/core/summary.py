"""How a run ended, as values: for the end of the command line, for programs and for the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended. `documents` by state, of the whole batch; `seconds` and `exit_code` of this run."""

    batch: str
    documents: Mapping[str, int]
    failures: tuple[tuple[str, str | None, str | None, int, str], ...]
    pages: int
    credits: float
    seconds: float
    exit_code: int
    reason: str
    bring_home_by: float | None
    notes: tuple[str, ...] = ()
