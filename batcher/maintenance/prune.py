"""`batcher prune`: removes from disk what nobody needs any more, and says what that is beforehand.

Never a result, a journal, or a file that the ledger still needs. The plan is made from the disk and
the ledger; carrying it out begins with the ledger's lock and a plan made again.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from batcher.common.formatting import format_bytes, pluralize
from batcher.core import events
from batcher.errors import LedgerLocked, OutputError
from batcher.ledger.integrity import whole
from batcher.ledger.ledger import Ledger, groups, lock
from batcher.ledger.lock import is_held
from batcher.ledger.queries.storage import (
    Replaced,
    Served,
    StorageQueries,
    forget_results,
    shorten_summaries,
    vacuum,
)
from batcher.ledger.schema import reading
from batcher.maintenance.candidates import opened
from batcher.maintenance.storage import Kind, Stored, stored, totals
from batcher.manifest.model import LOCAL
from batcher.outputs.result_store import Store

# A ledger is rewritten where that wins at least so many bytes, and such a share of its size.
WORTH: Final = 1 << 20
WORTH_SHARE: Final = 0.1
BESIDES: Final = 16 << 20  # bytes that must stay free on the disk where a ledger is rewritten


class ServiceData(Protocol):
    """The data that the local service keeps for this batch."""

    def files(self, jobs: Sequence[str], uploads: Sequence[str]) -> list[Path]: ...

    async def forget(self, jobs: Sequence[str], uploads: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    `keep_runs`: how many of the last runs keep the results that were replaced in them, and their
    whole summaries; None: all. `service_data`: the local service's; None: it is left alone.
    """

    output: Path
    ledger: Path
    keep_runs: int | None = None
    service_data: ServiceData | None = None


@dataclass(slots=True)
class Plan:
    """What lies on disk, and what goes. `notes` say why something stays that might have gone.

    `forgotten` are hashes of replaced results that the ledger must no longer count on, `served`
    the documents whose data at the local service goes, `summaries` (shorter summary, run).
    """

    on_disk: list[Stored]
    result_bytes: int
    files: list[Stored] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    summaries: list[tuple[str, int]] = field(default_factory=list)
    summary_bytes: int = 0
    unused_bytes: int = 0  # in the ledger, which rewriting it gives back
    vacuums: bool = False
    cleans_service: bool = False  # whether what has expired at the local service goes, too

    @property
    def is_empty(self) -> bool:
        return not (self.files or self.served or self.summaries or self.vacuums)

    def values(self) -> dict[str, Any]:
        """Return it as `batcher prune --json` shows it; sizes are in bytes."""
        on_disk = {Kind.RESULTS.value: {"files": None, "bytes": self.result_bytes}}
        return {
            "on_disk": on_disk | _sums(self.on_disk),
            "goes": _sums(self.files),
            "summaries": {"runs": len(self.summaries), "bytes": self.summary_bytes},
            "vacuum": self.unused_bytes if self.vacuums else 0,
            "notes": self.notes,
        }


def _sums(files: Sequence[Stored]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        one = found.setdefault(file.kind.value, {"files": 0, "bytes": 0})
        one["files"] += 1
        one["bytes"] += file.size
    return found


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed: bytes of files, and bytes by which the ledger got smaller."""

    plan: Plan
    removed: int
    won: int


def plan_prune(connection: sqlite3.Connection, wish: Wish) -> Plan:
    """Return what would be removed. Nothing is changed."""
    asked = StorageQueries(connection)
    plan = Plan(list(stored(wish.output, wish.ledger)), asked.result_bytes())
    _add_always(plan, wish)
    _add_copies(plan, wish, connection)
    _add_replaced(plan, wish, asked)
    _add_rehearsal(plan, wish)
    _add_service_data(plan, wish, asked)
    _add_summaries(plan, wish, asked)
    _add_vacuum(plan, wish, asked)
    return plan


def _of(plan: Plan, kind: Kind) -> list[Stored]:
    return [file for file in plan.on_disk if file.kind is kind]


def _add_always(plan: Plan, wish: Wish) -> None:
    plan.files += _of(plan, Kind.PARTS)
    plan.files += _of(plan, Kind.TRACES)


def _add_copies(plan: Plan, wish: Wish, connection: sqlite3.Connection) -> None:
    """Add older copies of the ledger, if the ledger itself is whole."""
    copies = _of(plan, Kind.COPIES)
    if copies and whole(connection, wish.ledger):
        plan.notes.append("old ledger copies stay: the ledger isn't whole, see `batcher verify`")
    else:
        plan.files += copies


def _add_replaced(plan: Plan, wish: Wish, asked: StorageQueries) -> None:
    """Add replaced results that can't save anybody a payment, and with `keep_runs` the old ones."""
    files = {file.path.stem: file for file in _of(plan, Kind.REPLACED)}
    digest = cache(Store(wish.output).digest)
    since = _since(wish, asked)
    kept = 0
    for sha256, owners in asked.replaced(list(files)).items():
        if all(_has_twin(asked, digest, sha256, owner) for owner in owners):
            plan.files.append(files[sha256])
        elif all(not owner.is_current and owner.replaced_at < since for owner in owners):
            plan.files.append(files[sha256])
            plan.forgotten.append(sha256)
        else:
            kept += 1
    if kept:
        stay = "stays: with it" if kept == 1 else "stay: with them"
        plan.notes.append(
            f"{pluralize(kept, 'replaced result')} {stay} a source that becomes again "
            "what it was costs nothing. --keep-runs N lets those go that were replaced before "
            "the last N runs"
        )
    if plan.forgotten:
        plan.notes.append(
            f"{pluralize(len(plan.forgotten), 'replaced result')} would have saved a payment: a "
            "source that becomes again what it was is then paid for again"
        )


def _since(wish: Wish, asked: StorageQueries) -> float:
    """Return when the first of the runs began that keep everything."""
    starts = asked.run_starts()
    if wish.keep_runs is None or len(starts) <= wish.keep_runs:
        return 0.0
    return starts[wish.keep_runs - 1]


def _has_twin(
    asked: StorageQueries, digest: Callable[[str], str | None], sha256: str, owner: Replaced
) -> bool:
    """Return whether the same result lies whole where a copy would be taken from as well."""
    outputs = asked.outputs_of(owner.content, owner.step, sha256)
    return any(digest(output) == sha256 for output in outputs)


def _add_rehearsal(plan: Plan, wish: Wish) -> None:
    files = _of(plan, Kind.REHEARSAL)
    if files and is_held(_rehearsal(wish) / ".batcher" / "ledger.db"):
        plan.notes.append("the rehearsal stays: it is under way")
    else:
        plan.files += files


def _rehearsal(wish: Wish) -> Path:
    return wish.ledger.parent / "rehearsal"


def _add_service_data(plan: Plan, wish: Wish, asked: StorageQueries) -> None:
    """Add what the local service keeps of documents whose result is on disk as it was saved."""
    size = sum(file.size for file in _of(plan, Kind.SERVICE) if _is_of_a_job(file, wish))
    if not size:
        return
    if wish.service_data is None:
        plan.notes.append(
            f"{format_bytes(size)} of service data stay; --service-data removes what belongs to "
            "saved results"
        )
        return
    if asked.in_doubt():
        plan.notes.append("service data stays: submissions are still looked for; run the batch")
        return
    if asked.unsaved_of_chain():
        plan.notes.append("service data stays: later steps may still read what lies there")
        return
    store = Store(wish.output)
    served = asked.served(LOCAL, time.time())
    plan.served = [one for one in served if store.digest(one.output) == one.sha256]
    plan.cleans_service = True
    changed = len(served) - len(plan.served)
    if changed:
        plan.notes.append(
            f"service data of {pluralize(changed, 'result')} stays: not on disk as saved, see "
            "`batcher verify`"
        )
    jobs, uploads = _at_service(plan.served)
    paths = set(wish.service_data.files(jobs, uploads))
    plan.files += [file for file in _of(plan, Kind.SERVICE) if file.path in paths]


def _is_of_a_job(file: Stored, wish: Wish) -> bool:
    """Return whether it is an upload or a result; what lies above these is the service's own."""
    return file.path.parent != wish.ledger.parent / "service"


def _at_service(served: Sequence[Served]) -> tuple[list[str], list[str]]:
    """Return the ids of jobs, and of uploads."""
    jobs = [one.job_id for one in served]
    return jobs, [one.file_id for one in served if one.file_id is not None]


def _add_summaries(plan: Plan, wish: Wish, asked: StorageQueries) -> None:
    """Add the summaries of older runs: what stays is how they ended, and plain numbers."""
    if wish.keep_runs is None:
        return
    for run, summary in asked.summaries(but=wish.keep_runs):
        shorter = json.dumps(
            {
                name: value
                for name, value in json.loads(summary).items()
                if not isinstance(value, list | dict)
            }
        )
        if len(shorter) < len(summary):
            plan.summaries.append((shorter, run))
            plan.summary_bytes += len(summary) - len(shorter)


def _add_vacuum(plan: Plan, wish: Wish, asked: StorageQueries) -> None:
    unused, size = asked.unused_bytes()
    plan.unused_bytes = unused + plan.summary_bytes
    if plan.unused_bytes < max(WORTH, WORTH_SHARE * size):
        return
    free = shutil.disk_usage(wish.ledger.parent).free
    needed = 2 * size + BESIDES  # the new file, and the WAL through which it is written
    if free < needed:
        plan.notes.append(
            f"the ledger isn't rewritten, which would win {format_bytes(plan.unused_bytes)}: that "
            f"needs {format_bytes(needed)}, and its disk has {format_bytes(free)} left"
        )
        return
    plan.vacuums = True


# --- carrying it out ------------------------------------------------------------------------------


async def prune(wish: Wish) -> Pruned:
    """Remove what `plan_prune` says now.

    Raises LedgerLocked while a run holds the ledger, and LedgerOlder for one that a run would
    migrate: the copy that is kept of it then must not go at once.
    """
    with reading(wish.ledger):
        pass
    with opened(wish.ledger) as ledger:
        plan = plan_prune(ledger.reader, wish)
        if plan.forgotten:  # before their files go: what the ledger counts on must be there
            await ledger.write(lambda c: forget_results(c, plan.forgotten))
        removed = await _forget_at_service(ledger, wish, plan)
        removed += _remove(wish, plan)
        if plan.summaries:
            await ledger.write(lambda c: shorten_summaries(c, plan.summaries))
    return Pruned(plan, removed, _rewrite(wish.ledger, plan) if plan.vacuums else 0)


async def _forget_at_service(ledger: Ledger, wish: Wish, plan: Plan) -> int:
    """Remove service data, and what has expired there; return the bytes won.

    It is on record before and after, as what a run deletes at a service.
    """
    if wish.service_data is None or not plan.cleans_service:
        return 0
    kept = [one for one in plan.served if one.is_kept]
    begun = [one for one in kept if not one.deletion_started]
    for some in groups(begun):
        await ledger.record(*(events.DeletionStarted(one.document, one.job_id) for one in some))
    await wish.service_data.forget(*_at_service(plan.served))
    for some in groups(kept):
        await ledger.record(*(events.Cleaned(one.document, one.job_id) for one in some))
    left = totals(wish.output, wish.ledger).get(Kind.SERVICE, 0)
    return sum(file.size for file in _of(plan, Kind.SERVICE)) - left


def _remove(wish: Wish, plan: Plan) -> int:
    """Remove the files but those of the service, and return their bytes. Raises OutputError."""
    removed = 0
    with ExitStack() as stack:
        if any(file.kind is Kind.REHEARSAL for file in plan.files):
            _hold_rehearsal(wish, plan, stack)
        for file in plan.files:
            if file.kind is Kind.SERVICE:
                continue
            try:
                file.path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(
                    f"{file.path}: {error.strerror}; {format_bytes(removed)} were removed before"
                ) from error
            removed += file.size
        if any(file.kind is Kind.REHEARSAL for file in plan.files):
            shutil.rmtree(_rehearsal(wish), ignore_errors=True)
    return removed


def _hold_rehearsal(wish: Wish, plan: Plan, stack: ExitStack) -> None:
    """Keep a rehearsal from beginning meanwhile; leave one that has begun alone."""
    try:
        stack.callback(os.close, lock(_rehearsal(wish) / ".batcher" / "ledger.db"))
    except LedgerLocked:
        plan.files = [file for file in plan.files if file.kind is not Kind.REHEARSAL]
        plan.notes.append("the rehearsal stays: it is under way")


def _rewrite(ledger: Path, plan: Plan) -> int:
    """Rewrite the ledger, and return the bytes won. Raises OutputError; then it is as before."""
    with ExitStack() as stack:
        try:
            stack.callback(os.close, lock(ledger))
        except LedgerLocked:
            plan.notes.append("the ledger isn't rewritten: a run has begun meanwhile")
            return 0
        before = ledger.stat().st_size
        try:
            with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
                vacuum(connection)
        except sqlite3.OperationalError as error:
            raise OutputError(f"{ledger}: {error}; it isn't rewritten, all else is done") from error
        return before - ledger.stat().st_size


def under_way(wish: Wish) -> bool:
    """Return whether a run holds the ledger, so that nothing can be removed."""
    return is_held(wish.ledger)


def look(wish: Wish) -> Plan:
    """Return what would be removed, without the lock. Raises LedgerError."""
    with reading(wish.ledger) as connection:
        return plan_prune(connection, wish)
