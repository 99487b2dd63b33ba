"""A batch at a glance: how far it is, what it costs, and whether it needs a person."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from batcher.common.formatting import format_usd, pluralize
from batcher.core.lifecycle import IN_FLIGHT, OPEN, OUT, UNSENT, VERDICTS, State
from batcher.errors import BatcherError
from batcher.exit_codes import RunEnd
from batcher.ledger import schema
from batcher.ledger.connection import bounded
from batcher.ledger.lock import is_held
from batcher.ledger.queries.notes import noted
from batcher.ledger.queries.reporting import ReportingQueries
from batcher.ledger.queries.run_activity import RunBill, bill_since
from batcher.ledger.queries.run_history import KILLED, RunRecord, latest_run
from batcher.views.plots import Part
from batcher.views.status import values_of
from batcher.web.catalogue import Batch
from batcher.web.site import PATIENCE

# A person decides about these: paid for, or perhaps, and no result.
TO_DECIDE: Final = (State.HELD, State.STUCK, State.EXPIRED, State.LOST)


NOTHING: Final = RunBill(0, 0, 0.0, 0.0)


class Mark(NamedTuple):
    """What is the same as before where nothing was written since."""

    is_held: bool
    ledger: tuple[int, int] | None  # size and time
    log: tuple[int, int] | None  # what was written of late


class Attention(NamedTuple):
    """How much a batch needs a person, lower `rank`s first. `tone` is a class of the styles."""

    rank: int
    tone: str
    title: str
    words: str


class Cap(NamedTuple):
    """A limit of a run and how much of it is used; `out` is what jobs in flight may add."""

    name: str
    used: float
    out: float
    limit: float
    words: str

    @property
    def share(self) -> float:
        return min(1.0, (self.used + self.out) / self.limit)


@dataclass(frozen=True, slots=True)
class Glance:
    """What `batcher status` knows of a batch; None if it can't be read."""

    batch: Batch
    name: str
    attention: Attention
    values: Mapping[str, Any] | None = None
    caps: tuple[Cap, ...] = ()
    bill: RunBill = NOTHING

    @property
    def documents(self) -> Mapping[str, int]:
        return self.values["documents"] if self.values else {}

    @property
    def total(self) -> int:
        return sum(self.documents.values())

    @property
    def saved(self) -> int:
        return self.documents.get(State.SAVED, 0)

    @property
    def in_flight(self) -> int:
        return _sum(self.documents, OUT)

    @property
    def unsent(self) -> int:
        return _sum(self.documents, UNSENT)

    @property
    def verdicts(self) -> dict[str, int]:
        """The documents that came to another end than saved, by state, most frequent first."""
        found = {state: n for state, n in self.documents.items() if State(state) in VERDICTS}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def failed(self) -> int:
        return sum(self.verdicts.values())

    @property
    def last_run(self) -> RunRecord | None:
        return self.values["last_run"] if self.values else None

    @property
    def spent(self) -> str:
        """What the whole batch has cost so far, in words."""
        if self.values is None:
            return ""
        cost = self.values["cost"]
        if not cost["is_billed"]:
            return "not billed"
        return format_usd(cost["spent"] * cost["dollars_per_credit"])

    def parts(self) -> list[Part]:
        """Return the shares of a bar that shows how far the batch is."""
        return parts_of(self.documents)

    def steps(self) -> list[tuple[str, list[Part]]]:
        """Return the same for each step of a chain; nothing if there is but one step."""
        steps = self.values["steps"] if self.values else {}
        return [(step, parts_of(documents)) for step, documents in steps.items()]

    def as_of(self, now: float) -> Glance:
        """Return the same with what the time alone has changed."""
        if self.values is None:
            return self
        return replace(self, attention=attention(self.values, now=now))


def parts_of(documents: Mapping[str, int]) -> list[Part]:
    """Return the shares of documents that are saved, in flight, not saved and queued."""
    return [
        Part("saved", documents.get(State.SAVED, 0), "good"),
        Part("in flight", _sum(documents, OUT), "live"),
        Part("not saved", _sum(documents, VERDICTS), "bad"),
        Part("queued", _sum(documents, UNSENT), "calm"),
    ]


def glance_at(batch: Batch) -> Glance:
    """Return what the ledger says now; it is read in this thread."""
    try:
        with schema.reading_beside(batch.ledger) as connection:
            return glance_in(connection, batch)
    except TimeoutError:
        return too_slow(batch)
    except (BatcherError, sqlite3.Error) as error:
        return unreadable(batch, error)


def unreadable(batch: Batch, error: Exception) -> Glance:
    """Return that nothing can be said of a batch, and why."""
    return Glance(batch, batch.output.name, Attention(0, "bad", "Can't be read", str(error)))


def too_slow(batch: Batch) -> Glance:
    """Return that nothing could be said of a batch in time."""
    words = (
        f"its figures couldn't be read within {PATIENCE:g} s; batcher status waits for them as "
        "long as it takes"
    )
    return Glance(batch, batch.output.name, Attention(0, "warn", "Slow to read", words))


def glance_in(
    connection: sqlite3.Connection,
    batch: Batch,
    *,
    last_run: Callable[..., RunRecord | None] = latest_run,
) -> Glance:
    """Return what an open ledger says. `last_run` is called like `latest_run`.

    Raises TimeoutError if it doesn't say so within `PATIENCE`.
    """
    with bounded(connection, PATIENCE):
        values = values_of(connection, under_way=is_held(batch.ledger), last_run=last_run)
        name = noted(connection, "batch") or batch.output.name
        bill, caps = _spending(connection, values["last_run"])
    return Glance(
        batch,
        name,
        attention(values, now=time.time()),
        values=values,
        caps=tuple(caps),
        bill=bill,
    )


def mark_of(batch: Batch) -> Mark:
    """Return the mark of a batch as it is now."""
    log = Path(f"{batch.ledger}-wal")
    return Mark(is_held(batch.ledger), _file(batch.ledger), _file(log))


def _file(path: Path) -> tuple[int, int] | None:
    """Return size and time of a file; of none and an empty one, which a reader makes, None."""
    try:
        there = path.stat()
    except OSError:
        return None
    return (there.st_size, there.st_mtime_ns) if there.st_size else None


def _sum(documents: Mapping[str, int], states: frozenset[State]) -> int:
    return sum(documents.get(state, 0) for state in states)


def _spending(connection: sqlite3.Connection, last: RunRecord | None) -> tuple[RunBill, list[Cap]]:
    if last is None:
        return NOTHING, []
    reporting = ReportingQueries(connection)
    bill = bill_since(connection, last.started_at)
    return bill, list(_caps(bill, reporting.caps(), reporting.dollars_per_credit()))


def _caps(bill: RunBill, limits: Mapping[str, float], price: float) -> Iterator[Cap]:
    """Yield the limits of the last run, with what its own submissions used of them."""
    used = {
        "max_documents": (float(bill.submissions), 0.0),
        "max_pages": (float(bill.pages), 0.0),
        "max_credits": (bill.credits, bill.out_credits),
        "max_cost": (bill.credits * price, bill.out_credits * price),
    }
    for name, limit in limits.items():
        spent, out = used[name]
        yield Cap(name, spent, out, limit, _cap_words(name, spent, limit))


def _cap_words(name: str, used: float, limit: float) -> str:
    match name:
        case "max_cost":
            return f"{format_usd(used)} of {format_usd(limit)}"
        case "max_credits":
            return f"{used:,.6g} of {limit:,.6g} credits"
        case _:
            return f"{used:,.0f} of {limit:,.0f} {name.removeprefix('max_')}"


def attention(values: Mapping[str, Any], *, now: float) -> Attention:
    """Return how much a batch needs a person, by what `batcher status` knows of it."""
    documents: Mapping[str, int] = values["documents"]
    under_way = values["under_way"]
    in_flight = _sum(documents, IN_FLIGHT)
    deadline = values["nearest_deadline_at"]
    last: RunRecord | None = values["last_run"]
    if deadline is not None and deadline < now:
        return Attention(0, "bad", "Past the deadline", "results in flight may be gone")
    if in_flight and not under_way:
        jobs = pluralize(in_flight, "result")
        return Attention(
            1, "bad", "Run it again", f"{jobs} at the service, and no run fetches them"
        )
    if values["warnings"] and under_way:
        return Attention(2, "warn", "Running", values["warnings"][0])
    if under_way:
        return Attention(6, "live", "Running", "")
    if to_decide := sum(documents.get(state, 0) for state in TO_DECIDE):
        words = f"{pluralize(to_decide, 'document')} paid for, or perhaps, without a result"
        return Attention(3, "bad", "To be decided", words)
    if last is None:
        return Attention(7, "calm", "No run yet", "")
    if last.ended == KILLED:
        return Attention(2, "bad", "Killed", "the run ended without a word: run it again")
    if _sum(documents, OPEN):
        title = "Stopped" if last.ended != RunEnd.LIMIT else "At a limit"
        return Attention(4, "warn", title, last.reason or "the next run goes on")
    if failed := _sum(documents, VERDICTS):
        return Attention(5, "warn", "Not all saved", f"{pluralize(failed, 'document')} not saved")
    return Attention(8, "good", "Finished", "")
