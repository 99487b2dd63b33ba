"""How a run ended, as values: for the end of the command line, for programs and for the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


class FailureGroup(msgspec.Struct, frozen=True, rename={"kind": "class"}):
    """Documents that came to the same verdict for the same reason, with one of them by name."""

    state: str
    kind: str | None
    reason: str | None
    documents: int
    example: str
    waits: int = 0  # of the documents, those that the next run takes up by itself
    runs: int = 0  # that have tried these, at least
    error_name: str | None = None  # the API's code of the failure, where there is one


@dataclass(frozen=True, slots=True)
class Audit:
    """What didn't agree in the end: second jobs of ours at the service, results of this run no
    longer as they were.

    `mixed_up`: documents that had each other's results, because two answers of the service were
    mixed up.

    `notes` say how far the service's word goes; they are no disagreement.
    """

    twins: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    mixed_up: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return not (self.twins or self.damaged or self.mixed_up)

    def words(self) -> list[str]:
        return [
            *(f"paid beside the ledger: {twin}" for twin in self.twins),
            *(f"the wrong results: {words}" for words in self.mixed_up),
            *(
                f"not as it was saved: {output}; `batcher verify --repair` sets it right"
                for output in self.damaged
            ),
        ]


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended. `documents` by state, `pages` and `credits` of the whole batch; the rest of
    this run.

    `steps`: of a chain, the same documents by step.
    """

    batch: str
    documents: Mapping[str, int]
    failures: tuple[FailureGroup, ...]
    pages: int
    credits: float
    seconds: float
    exit_code: int
    reason: str
    bring_home_by: float | None
    ended: str = ""  # finished, limit, stopped or failed: `exit_codes` says what each means
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # what was told while it went on
    saved_in_run: int = 0
    withdrawn: int = 0  # documents that an earlier run had queued and nobody asks for any more
    # documents that an earlier run failed to get done for a passing reason, and this one tried
    taken_up: int = 0
    # documents that failed for a passing reason and that the next run takes up by itself
    waiting: int = 0
    goes_on: bool = False  # nothing but the next run's turn keeps what is waiting from being done
    credits_in_run: float = 0.0
    dollars: float = 0.0  # of all credits
    dollars_in_run: float = 0.0
    steps: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    audit: Audit = Audit()
    # by reason, and in words; empty where nothing was
    left_out: Mapping[str, Any] = field(default_factory=dict)
