"""What each run of a batch did: when it ran, how it ended, what it saved and what that cost."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from batcher.core.lifecycle import VERDICTS

UNDER_WAY: Final = "under way"
KILLED: Final = "killed"  # it ended without a word: by SIGKILL, a power cut, or memory running out


class RunRecord(msgspec.Struct, frozen=True):
    """One run. Times are Unix seconds; `pages` and `credits` are of the results it fetched.

    `ended` is finished, limit, stopped or failed (see `exit_codes.RunEnd`), or `UNDER_WAY` or
    `KILLED`; `exit_code` and `ended_at` are None for these two. `failed` counts the documents that
    came to another verdict than saved in this run, `blocked` ones included.
    """

    number: int
    started_at: float
    ended_at: float | None
    ended: str
    exit_code: int | None
    reason: str  # why it stopped before the end; empty if it didn't
    saved: int
    failed: int
    pages: int
    credits: float
    warnings: tuple[str, ...]  # what was reported during the run, and at its end
    version: str
    service: str


@dataclass(slots=True)
class RunSums:
    """What was counted for one run; `failed` are the documents that came to another verdict."""

    saved: int = 0
    failed: set[int] = field(default_factory=set)
    pages: int = 0
    credits: float = 0.0


def run_history(
    connection: sqlite3.Connection, *, under_way: bool, last: int | None = None
) -> list[RunRecord]:
    """Return the runs of a batch, oldest first; with `last` only so many of the newest.

    `under_way` tells whether a run holds the ledger now. Whatever happened between the start of a
    run and the start of the next one is counted for the first, such as what a `retry` changed.
    """
    rows = list(connection.execute(_RUNS, (-1 if last is None else last,)))[::-1]
    if not rows:
        return []
    sums = _sums(connection, [row[1] for row in rows])
    return [
        _record(row, sums[place], is_last=place == len(rows) - 1, under_way=under_way)
        for place, row in enumerate(rows)
    ]


def latest_run(connection: sqlite3.Connection, *, under_way: bool) -> RunRecord | None:
    """Return the latest run of a batch, or None if there was none."""
    return next(iter(run_history(connection, under_way=under_way, last=1)), None)


def latest_run_with(
    connection: sqlite3.Connection, sums: RunSums, *, under_way: bool
) -> RunRecord | None:
    """Return the same for who has counted already: a large ledger isn't read for it."""
    row = connection.execute(_RUNS, (1,)).fetchone()
    return row and _record(row, sums, is_last=True, under_way=under_way)


_RUNS: Final = (
    "SELECT id, started_at, ended_at, exit_code, summary, version, service FROM runs"
    " ORDER BY id DESC LIMIT ?"
)


def _sums(connection: sqlite3.Connection, starts: list[float]) -> dict[int, RunSums]:
    """Count by run, whose place in `starts` is the key. A clock set back in between is ignored."""
    sums: dict[int, RunSums] = defaultdict(RunSums)
    starts = [max(starts[: place + 1]) for place in range(len(starts))]
    verdicts = ", ".join(f"'{state}'" for state in sorted(VERDICTS))
    happened = connection.execute(
        f"SELECT at, event, document FROM events"
        f" WHERE at >= ? AND (event = 'Saved' OR state IN ({verdicts}))",
        (starts[0],),
    )
    for at, event, document in happened:
        found = sums[bisect_right(starts, at) - 1]
        if event == "Saved":
            found.saved += 1
        else:
            found.failed.add(document)
    billed = connection.execute(
        "SELECT ended_at, coalesce(pages, 0), coalesce(credits, cost) FROM attempts"
        " WHERE ended_at >= ? AND outcome IN ('saved', 'accepted', 'lost')",
        (starts[0],),
    )
    for at, pages, credits in billed:
        found = sums[bisect_right(starts, at) - 1]
        found.pages += pages
        found.credits += credits
    return sums


def _record(row: tuple[Any, ...], sums: RunSums, *, is_last: bool, under_way: bool) -> RunRecord:
    number, started_at, ended_at, exit_code, summary, version, service = row
    told = dict(json.loads(summary)) if summary else {}
    ended = UNDER_WAY if is_last and under_way and ended_at is None else KILLED
    return RunRecord(
        number=number,
        started_at=started_at,
        ended_at=ended_at,
        ended=told.get("ended") or ended,
        exit_code=exit_code,
        reason=told.get("reason") or "",
        saved=sums.saved,
        failed=len(sums.failed),
        pages=sums.pages,
        credits=sums.credits,
        warnings=(*told.get("warnings", ()), *told.get("notes", ())),
        version=version,
        service=service,
    )
