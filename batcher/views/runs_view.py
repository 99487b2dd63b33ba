"""The history of a batch's runs in words: a line for each, the newest last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batcher.common.formatting import (
    format_credits,
    format_duration,
    format_usd,
    pluralize,
)
from batcher.exit_codes import ExitCode
from batcher.ledger.queries.run_history import KILLED, RunRecord
from batcher.manifest.model import LOCAL
from batcher.views.status import plain, run_line

_MEANING: Final = {
    ExitCode.INCOMPLETE: "a document failed, or the audit found a disagreement",
    ExitCode.USAGE: "nobody agreed to pay again, or the manifest can't be used",
    ExitCode.RUN_AGAIN: "it stopped before its end: run again",
    ExitCode.SERVICE_FAILED: "the service refuses or doesn't answer",
    ExitCode.LEDGER_LOCKED: "another run held the ledger",
}


def runs_words(batch: str, records: Sequence[RunRecord], *, dollars_per_credit: float) -> str:
    """Return the runs as text; `records` are oldest first."""
    if not records:
        return f'batch "{batch}": no run yet'
    lines = [f'batch "{batch}": the last {pluralize(len(records), "run")}']
    for record in records:
        lines.append(f"  {_line(record, dollars_per_credit)}")
        lines += [f"      {plain(words)}" for words in _details(record)]
    return "\n".join(lines)


def _line(record: RunRecord, dollars_per_credit: float) -> str:
    failed = f", {record.failed} failed" if record.failed else ""
    cost = _cost(record, dollars_per_credit)
    return (
        f"{record.number:>3}  {run_line(record)}, after {_took(record)}: "
        f"{record.saved} saved{failed}, {pluralize(record.pages, 'page')}, {cost}"
    )


def _cost(record: RunRecord, dollars_per_credit: float) -> str:
    if record.service == LOCAL:
        return "not billed"
    if not record.credits:
        return "nothing spent"
    dollars = format_usd(record.credits * dollars_per_credit)
    return f"{format_credits(record.credits)} ({dollars})"


def _details(record: RunRecord) -> list[str]:
    if record.ended == KILLED:
        return ["it ended without a word; the next run takes up what it had begun"]
    meaning = _MEANING[ExitCode(record.exit_code)] if record.exit_code else ""
    return [words for words in (meaning, record.reason, *record.warnings) if words]


def _took(record: RunRecord) -> str:
    if record.ended_at is None:
        return "an unknown time"
    return format_duration(max(0.0, record.ended_at - record.started_at))
