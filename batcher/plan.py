"""What a run would do, found out without doing any of it: the scanner at work on a copy of the ledger in memory."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from batcher.core.cost import Measure
from batcher.core.document import extension_of, path_of
from batcher.core.forecast import Forecast, forecast
from batcher.core.lifecycle import OUT, TO_SUBMIT, VERDICTS, State
from batcher.core.manifest import Manifest, Prices
from batcher.core.quote import Quote, quote
from batcher.edges.ledger import Ledger, memory_ledger
from batcher.edges.pages import measure
from batcher.edges.queries import Queries
from batcher.stages.scanner import Scanner


@dataclass(frozen=True, slots=True)
class Plan:
    """Documents by what a run would do with them, what that would cost, how long it would take and what it risks."""

    batch: str
    to_send: int
    in_flight: int
    saved: int
    copies: int
    refused: int
    superseded: int
    size: int
    cost: Quote
    forecast: Forecast
    prices: Prices

    def values(self) -> dict[str, Any]:
        told = asdict(self)
        del told["prices"]
        return {**told, "credits": self.cost.credits}

    def words(self) -> str:
        lines = [f'batch "{self.batch}" would']
        lines.append(f"  send       {self.to_send} documents, {self.size / 1e6:.1f} MB")
        if self.superseded:
            lines.append(
                f"             {self.superseded} of them again: the file, the job's options or the service have changed"
            )
        if self.copies:
            lines.append(f"  copy       {self.copies} results: the same bytes are paid for once")
        if self.in_flight:
            lines.append(f"  bring home {self.in_flight} results of jobs already out")
        lines.append(f"  leave      {self.saved} as they are: saved, and unchanged since")
        if self.refused:
            lines.append(f"  not send   {self.refused}: see `batcher status` after a run for each reason")
        if self.to_send:
            first, *others = self.cost.words(self.prices)
            lines += [f"  cost       {first}", *(f"             {line}" for line in others)]
        lines += self.forecast.words()
        return "\n".join(lines)


async def make_plan(manifest: Manifest) -> Plan:
    ledger = memory_ledger(manifest.output.ledger_path, batch=manifest.batch, clock=time.time)
    before = Counter(ledger.tally)
    try:
        await Scanner(ledger, manifest, clock=time.time).run()
        return _plan(manifest, ledger, before, await asyncio.to_thread(_measured, ledger))
    finally:
        ledger.close()


def _plan(manifest: Manifest, ledger: Ledger, before: Counter[State], sizes: list[tuple[str, Measure]]) -> Plan:
    tally = ledger.tally
    to_send = sum(tally[state] for state in TO_SUBMIT)
    return Plan(
        batch=manifest.batch,
        to_send=to_send,
        in_flight=sum(tally[state] for state in OUT),
        saved=tally[State.SAVED],
        copies=tally[State.DUPLICATE],
        refused=sum(tally[state] for state in VERDICTS),
        superseded=tally[State.SUPERSEDED] - before[State.SUPERSEDED],
        size=_size_to_send(ledger),
        cost=quote(sizes, manifest.jobs[0], manifest.prices),
        forecast=forecast(
            manifest,
            to_send,
            speed=ledger.speed(),
            took=ledger.longest_took(),
            nearest_deadline_in=_time_left(ledger, time.time()),
        ),
        prices=manifest.prices,
    )


def _measured(ledger: Queries) -> list[tuple[str, Measure]]:
    """(extension, measure) of each document to send."""
    rows = ledger.reader.execute(f"SELECT folder, source {_TO_SEND}")
    return [(extension_of(source), measure(Path(folder) / os.fsdecode(path_of(source)))) for folder, source in rows]


def _size_to_send(ledger: Queries) -> int:
    return int(ledger.reader.execute(f"SELECT total(size) {_TO_SEND}").fetchone()[0])


def _time_left(ledger: Queries, now: float) -> float | None:
    deadline = ledger.nearest_deadline_at()
    return None if deadline is None else deadline - now


_TO_SEND = "FROM documents WHERE current = 1 AND state IN ('queued', 'uploaded')"
