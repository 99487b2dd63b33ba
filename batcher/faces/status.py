"""Where a batch stands, in words for people and as plain values for programs. Reads; never asks the service."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batcher.core.lifecycle import OPEN, State
from batcher.edges.queries import Queries, reader

if TYPE_CHECKING:  # `status` itself starts no run, and should be there at once
    from batcher.core.manifest import Manifest
    from batcher.core.summary import Summary


def end_words(summary: Summary, manifest: Manifest) -> str:
    """What is said when a run ends."""
    states = dict(summary.documents)
    lines = [f'batch "{summary.batch}": {counts(states)} in {_span(summary.seconds)}']
    lines += [
        f"  {number} {_why(state, reason)}, e.g. {plain(example)}"
        for state, _, reason, number, example in summary.failures
    ]
    if summary.pages:
        lines.append(f"  {summary.pages} pages, {summary.credits:g} credits in all runs")
    lines.append(f"  results: {manifest.output.directory}")
    lines.append(f"  ledger:  {manifest.output.ledger_path}")
    if summary.reason:
        lines.append(f"stopped: {summary.reason}")
    lines += [f"note: {note}" for note in summary.notes]
    if summary.exit_code == 3 or summary.bring_home_by:
        lines.append(f"to go on, run the same words again{_before(summary.bring_home_by)}")
    return "\n".join(lines)


def trouble_words(summary: Summary) -> str:
    """What is said with -q: nothing where all went well."""
    lines = [summary.reason] if summary.reason else []
    if summary.exit_code == 1:
        lines += [f"{number} {_why(state, reason)}" for state, _, reason, number, _ in summary.failures]
    return "\n".join(f"batcher: {line}" for line in (*lines, *summary.notes))


def status_values(ledger: Path) -> dict[str, Any]:
    """Counts by state, spend and the nearest deadline, as `batcher status --json` prints them."""
    with_ledger = Queries(reader(ledger))
    pages, credits = with_ledger.spent()
    deadline = with_ledger.nearest_deadline_at()
    return {
        "documents": {
            str(state): number for state, number in with_ledger.counts().items() if state is not State.SUPERSEDED
        },
        "pages": pages,
        "credits": credits,
        "nearest_deadline_at": deadline,
        "failures": [
            {"state": state, "class": kind, "reason": reason, "documents": number, "example": example}
            for state, kind, reason, number, example in with_ledger.failures()
        ],
    }


def status_words(batch: str, values: dict[str, Any]) -> str:
    lines = [f'batch "{batch}": {counts(values["documents"])}']
    still_open = sum(number for state, number in values["documents"].items() if State(state) in OPEN)
    if still_open:
        lines.append(f"  {still_open} still to be done{_before(values['nearest_deadline_at'])}")
    for failure in values["failures"]:
        lines.append(
            f"  {failure['documents']} {_why(failure['state'], failure['reason'])}, e.g. {plain(failure['example'])}"
        )
    lines.append(f"  {values['pages']} pages, {values['credits']:g} credits so far")
    return "\n".join(lines)


def counts(states: dict[str, int]) -> str:
    total = sum(states.values())
    parts = [f"{number} {state.replace('_', ' ')}" for state, number in sorted(states.items(), key=lambda s: -s[1])]
    return f"{total} document{'s' if total != 1 else ''}" + (f": {', '.join(parts)}" if parts else "")


def _why(state: str, reason: str | None) -> str:
    return plain(state.replace("_", " ") + (f" ({reason})" if reason else ""))


def plain(text: str, *, keep: str = "") -> str:
    """Safe on a terminal, whatever a file or a service put into it."""
    return "".join(c if c.isprintable() or c in keep else "?" for c in text)


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {int(seconds % 60)} s"


def _before(moment: float | None) -> str:
    if moment is None:
        return ""
    return f" before {datetime.fromtimestamp(moment):%Y-%m-%d %H:%M} ({_span(max(0.0, moment - time.time()))} from now)"
