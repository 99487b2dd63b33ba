"""How a run ended, as values for the command line, for programs and for the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


class FailureGroup(msgspec.Struct, frozen=True, rename={"kind": "class"}):
    """Documents that came to the same verdict for the same reason, and one of them as an
    example.
    """

    state: str
    kind: str | None
    reason: str | None
    documents: int
    example: str
    waits: int = 0  # how many of the documents the next run takes up automatically
    runs: int = 0  # how many runs have tried these, at least
    # The API's code of the failure. JSON has no such key if there is none.
    error_name: str | msgspec.UnsetType | None = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class NotServedGroup:
    """Saved documents of which the service left out something for the same reason.

    `example` is one of them, and `reason` the words about that one.
    """

    reason: str
    documents: int
    example: str


@dataclass(frozen=True, slots=True)
class NotServed:
    """The saved documents of which something was not read, or an option not served."""

    documents: int = 0
    reasons: tuple[NotServedGroup, ...] = ()  # the most frequent first


@dataclass(frozen=True, slots=True)
class Audit:
    """Discrepancies found at the end of a run.

    `twins` are second jobs of ours at the service, `damaged` are results of this run whose files
    have changed since, and `mixed_up` are documents that had each other's results because two
    answers of the service were mixed up. `notes` say how far the service's information can be
    relied on; they are no discrepancies.
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
    """How a run ended.

    `documents` by state, `pages` and `credits` cover the whole batch; everything else covers this
    run, unless noted. `steps` has the same counts of documents for each step of a chain.
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
    ended: str = ""  # finished, limit, stopped or failed; see `exit_codes.RunEnd`
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # what was reported during the run
    saved_in_run: int = 0
    withdrawn: int = 0  # documents that an earlier run queued and that are no longer asked for
    # documents that failed in an earlier run for a passing reason and that this run tried again
    taken_up: int = 0
    # documents that failed for a passing reason and that the next run takes up automatically
    waiting: int = 0
    # whether only the next run's turn is needed to complete the waiting documents
    goes_on: bool = False
    credits_in_run: float = 0.0
    dollars: float = 0.0  # for all credits
    dollars_in_run: float = 0.0
    steps: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    audit: Audit = Audit()
    # files that were left out, by reason and in words; empty if there were none
    left_out: Mapping[str, Any] = field(default_factory=dict)
    # why this run didn't look through the sources; empty if it did
    unscanned: str = ""
    # how the cluster was that read documents, if there was one: hands, nodes, losses
    cluster: Mapping[str, Any] = field(default_factory=dict)
    # saved documents of the whole batch of which the service left something out
    not_served: NotServed = NotServed()
