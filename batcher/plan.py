"""What a run would do, found out without doing any of it: the scanner at work on a copy of the ledger in memory."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from batcher.core.cost import estimate
from batcher.core.lifecycle import IN_FLIGHT, TO_SUBMIT, VERDICTS, State
from batcher.core.manifest import Manifest
from batcher.edges.ledger import Ledger, memory_ledger
from batcher.stages.scanner import Scanner


@dataclass(frozen=True, slots=True)
class Plan:
    """Documents by what a run would do with them. `credits` is the least they can cost: one page each."""

    batch: str
    to_send: int
    in_flight: int
    saved: int
    copies: int
    refused: int
    superseded: int
    size: int
    credits: float

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def words(self) -> str:
        lines = [f'batch "{self.batch}" would']
        lines.append(
            f"  send       {self.to_send} documents, {self.size / 1e6:.1f} MB, from {self.credits:g} credits up"
        )
        if self.superseded:
            lines.append(f"             {self.superseded} of them again: the file or the job's options have changed")
        if self.copies:
            lines.append(f"  copy       {self.copies} results: the same bytes are paid for once")
        if self.in_flight:
            lines.append(f"  bring home {self.in_flight} results of jobs already out")
        lines.append(f"  leave      {self.saved} as they are: saved, and unchanged since")
        if self.refused:
            lines.append(f"  not send   {self.refused}: see `batcher status` after a run for each reason")
        return "\n".join(lines)


async def make_plan(manifest: Manifest) -> Plan:
    ledger = memory_ledger(manifest.output.ledger_path, batch=manifest.batch, clock=time.time)
    before = Counter(ledger.tally)
    try:
        await Scanner(ledger, manifest, clock=time.time).run()
        return _plan(manifest, ledger, before)
    finally:
        ledger.close()


def _plan(manifest: Manifest, ledger: Ledger, before: Counter[State]) -> Plan:
    tally = ledger.tally
    to_send = sum(tally[state] for state in TO_SUBMIT)
    return Plan(
        batch=manifest.batch,
        to_send=to_send,
        in_flight=sum(tally[state] for state in IN_FLIGHT | {State.SENDING, State.UNKNOWN}),
        saved=tally[State.SAVED],
        copies=tally[State.DUPLICATE],
        refused=sum(tally[state] for state in VERDICTS),
        superseded=tally[State.SUPERSEDED] - before[State.SUPERSEDED],
        size=_size_to_send(ledger.reader),
        credits=to_send * estimate(manifest.jobs[0].endpoint),
    )


def _size_to_send(reader: sqlite3.Connection) -> int:
    sql = "SELECT total(size) FROM documents WHERE current = 1 AND state IN ('queued', 'uploaded')"
    return int(reader.execute(sql).fetchone()[0])
