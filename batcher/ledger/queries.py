"""What the ledger can be asked: rows for the stages and counts for people.

Reading only, on a connection of its own.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from batcher.core.duplicate_jobs import AttemptRef
from batcher.core.inflight import LAPSES, InFlightJob
from batcher.core.lifecycle import MAY_HAVE_COST, OPEN, OUT, STATES, TO_SUBMIT, VERDICTS, State
from batcher.core.reasons import alike
from batcher.core.summary import FailureGroup
from batcher.core.void_cause import VoidCause
from batcher.reducto.error_rules import PASSING, RUNS
from batcher.reducto.inputs import Input, InputKind, recorded


class Known(NamedTuple):
    """The current version of a source, as the scanner compares it."""

    id: int
    source: str
    size: int
    mtime_ns: int
    inode: int
    content: str | None
    step: str
    state: State
    folder: str
    place: str | None
    metadata: str | None
    scan: int


class Due(NamedTuple):
    """A document whose upload or submission may be made now."""

    id: int
    source: str
    folder: str
    content: str
    size: int
    state: State
    file_id: str | None
    uploaded_at: float | None
    tries: int
    job: str
    upstream: int | None  # the document of the step before it
    on_its_own: bool  # that one's job can't be read any more
    options: str | None
    metadata: str | None
    place: str | None  # where it is, if not by its name in `folder`
    step: str

    @property
    def input(self) -> Input | None:
        """What was made ready for it, as far as it is written down."""
        return None if self.file_id is None else recorded(self.file_id)


class Upstream(NamedTuple):
    """The job that saved a document, as a later step may read it."""

    job_id: str
    service: str
    key_print: str
    deadline_at: float


class Follower(NamedTuple):
    """A document whose upstream step has come to an end, and to which.

    Of one that was blocked, `payer` is who pays by now, or has paid, for the `same` bytes and step.
    """

    id: int
    job: str
    state: State
    reason: str | None
    kind: str | None
    payer: int | None
    same: str | None
    error_name: str | None = None


class Unknown(NamedTuple):
    """An attempt whose reply was lost."""

    id: int
    nonce: str
    file_id: str | None
    service: str
    key_print: str
    sent_at: float
    fenced_at: float | None
    absences: int
    job: str = ""
    input_kind: str | None = None

    @property
    def has_upload(self) -> bool:
        """Whether its input was an upload of its own, by which it can be found and fenced off."""
        return self.input_kind == InputKind.UPLOAD


class KnownJob(NamedTuple):
    """A job of ours that the listing must show if it is to be believed."""

    job_id: str
    nonce: str
    accepted_at: float


class Holder(NamedTuple):
    """The attempt that holds a job: what the row of that job must name."""

    nonce: str
    file_id: str | None


class Bill(NamedTuple):
    """What attempts of one outcome came to:

    `cost` as estimated, `credits` as the service billed where it said so.
    """

    attempts: int
    pages: float
    cost: float
    credits: float


_NOTHING: Final = Bill(0, 0.0, 0.0, 0.0)


class Account(NamedTuple):
    """In credits. `lost`, a part of `spent`: for results that never came home, expired ones and the
    like.

    `failed`: of jobs that failed, should the service bill them. `committed` of what is out, at
    least: where no limit made anybody count its pages, a page's worth each; `likely` by what
    documents cost so far, as `to_come` is of what is still to be sent.
    """

    pages: int
    spent: float
    lost: float
    failed: float
    committed: float
    likely: float
    to_come: float

    @property
    def projected(self) -> float:
        return self.spent + self.failed + self.likely + self.to_come


class Finished(NamedTuple):
    """A saved document, and what of it is still at the service."""

    job_id: str
    file_id: str | None
    output: str
    sha256: str
    deletion_started: bool
    input_kind: str | None = None

    @property
    def has_upload(self) -> bool:
        """Whether its input was an upload of its own, which is to be deleted as well."""
        return self.input_kind == InputKind.UPLOAD


class Copy(NamedTuple):
    """A document that waits for another's end, and how that one ended. `upstream` is the step
    before its own.

    `payer_state` of one that was superseded meanwhile is what it had come to before, with
    `payer_paid` jobs.
    """

    id: int
    upstream: int | None
    output: str
    payer: int
    payer_state: State
    payer_current: bool
    payer_paid: int
    payer_output: str
    payer_sha256: str | None
    payer_reason: str | None
    payer_kind: str | None
    payer_error_name: str | None = None


def reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read: any number of them may be open beside a run."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5
    )


def listed(states: Iterable[str]) -> str:
    """As SQL lists them between brackets."""
    return ",".join(f"'{state}'" for state in sorted(states))


class Queries:
    """`scan` is the number of this run's scan: only what that one has found is due."""

    scan = 0

    def __init__(self, reader: sqlite3.Connection) -> None:
        self.reader = reader

    def counts(self) -> Counter[State]:
        rows = self.reader.execute("SELECT state, count(*) FROM documents GROUP BY state")
        return Counter({State(state): number for state, number in rows})

    def in_state(self, state: State) -> list[int]:
        return [
            row[0]
            for row in self.reader.execute(
                "SELECT id FROM documents WHERE state = ? ORDER BY id", (state,)
            )
        ]

    def known(
        self, sources: Sequence[str], job: str, *, folder: str, others: Sequence[str] = ()
    ) -> dict[str, Known]:
        """The current versions of those of `sources` that the ledger has, by source.

        In `folder`, or wherever it was before; but in none of `others`, for there the same name is
        another document.
        """
        rows = self.reader.execute(
            "SELECT id, source, size, mtime_ns, inode, content, step, state, folder, place, "
            "metadata, scan"
            " FROM documents"
            f" WHERE current = 1 AND job = ? AND source IN ({_EACH}) AND folder NOT IN ({_EACH})"
            " ORDER BY folder = ?",
            (job, json.dumps(sources), json.dumps(others), folder),
        )
        return {row[1]: Known._make((*row[:7], STATES[row[7]], *row[8:])) for row in rows}

    def due(self, now: float, limit: int) -> list[Due]:
        """Documents to upload or submit, longest due first."""
        rows = self.reader.execute(
            "SELECT id, source, folder, content, size, state, file_id, uploaded_at, tries, job, "
            "upstream, on_its_own,"
            f" options, metadata, place, step FROM {_TO_SUBMIT}"
            " AND scan = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?",
            (self.scan, now, limit),
        )
        return [Due._make((*row[:5], State(row[5]), *row[6:])) for row in rows]

    def to_submit(self, documents: Sequence[int]) -> set[int]:
        """Those of `documents` that are still to be sent."""
        sql = (
            f"SELECT id FROM documents WHERE id IN ({_EACH}) AND current = 1 AND state IN "
            f"({listed(TO_SUBMIT)})"
        )
        return {row[0] for row in self.reader.execute(sql, (json.dumps(documents),))}

    def on_their_way(self, documents: Iterable[int]) -> set[int]:
        """Those of `documents` whose submission is being made, or whose job is out."""
        states = listed((State.SENDING, State.WAITING, State.READY))
        sql = f"SELECT id FROM documents WHERE id IN ({_EACH}) AND state IN ({states})"
        return {row[0] for row in self.reader.execute(sql, (json.dumps(sorted(documents)),))}

    def pages_of(self, document: int) -> int | None:
        """As the job that brought it its result, or the same to whom it copied from, was billed
        for.
        """
        row = self.reader.execute(
            "SELECT max(a.pages) FROM documents d JOIN attempts a ON a.content = d.content AND "
            "a.step = d.step"
            " AND a.outcome = 'saved' WHERE d.id = ?",
            (document,),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def next_due_at(self, *, after: float) -> float | None:
        """The first moment after `after` at which a document becomes due."""
        sql = f"SELECT min(due_at) FROM {_TO_SUBMIT} AND scan = ? AND due_at > ?"
        moment: float | None = self.reader.execute(sql, (self.scan, after)).fetchone()[0]
        return moment

    def source_of(self, document: int) -> str:
        return str(
            self.reader.execute(
                "SELECT source FROM documents WHERE id = ?", (document,)
            ).fetchone()[0]
        )

    def flights(self) -> Iterator[InFlightJob]:
        return (
            _flight(row)
            for row in self.reader.execute(f"{_FLIGHT} WHERE d.state IN ('waiting', 'ready')")
        )

    def flights_of(self, documents: Sequence[int]) -> list[InFlightJob]:
        sql = f"{_FLIGHT} WHERE d.id IN ({_EACH})"
        return [_flight(row) for row in self.reader.execute(sql, (json.dumps(documents),))]

    def state_of(self, document: int) -> State:
        return State(
            self.reader.execute("SELECT state FROM documents WHERE id = ?", (document,)).fetchone()[
                0
            ]
        )

    def asked_by(self, document: int) -> tuple[str, str | None]:
        """The job whose step it is, by name, and what a listing asks for beside that job's options,
        as JSON.
        """
        sql = "SELECT job, options FROM documents WHERE id = ?"
        name, options = self.reader.execute(sql, (document,)).fetchone()
        return name, options

    def another_job(self, job_id: str, *, alive_at: float) -> str | None:
        """A job of ours that isn't `job_id` and whose result the service still has to keep: the
        latest saved one.
        """
        row = self.reader.execute(
            "SELECT job_id FROM attempts WHERE outcome = 'saved' AND cleaned_at IS NULL AND "
            "job_id <> ?"
            " AND deadline_at > ? ORDER BY rowid DESC LIMIT 1",
            (job_id, alive_at),
        ).fetchone()
        return row and str(row[0])

    def took(self, limit: int = 500) -> list[tuple[int, float]]:
        """(size of the document, seconds from acceptance to end) of the latest jobs, those of last
        night included.
        """
        sql = (
            "SELECT d.size, a.ended_at - a.accepted_at FROM attempts a JOIN documents d ON d.id = "
            "a.document"
            " WHERE a.ended_at IS NOT NULL AND a.outcome = 'saved'"
            # What a later run brought home had ended nobody knows when.
            " AND a.accepted_at >= coalesce((SELECT max(started_at) FROM runs WHERE started_at <= "
            "a.ended_at), 0)"
            " ORDER BY a.rowid DESC LIMIT ?"
        )
        return list(self.reader.execute(sql, (limit,)))

    def longest_took(self) -> float | None:
        """Seconds from acceptance to end of the longest of the latest jobs."""
        return max((span for _, span in self.took()), default=None)

    def speed(self, latest: int = 5000) -> float | None:
        """Documents saved in a second, of the latest run that saved enough of them to tell."""
        row = self.reader.execute(_SPEED, {"latest": latest}).fetchone()
        return row and float(row[0])

    def unknown(self, state: State = State.UNKNOWN) -> list[Unknown]:
        """Attempts in doubt: those that are looked for, or with `state` held those that were given
        up on.
        """
        rows = self.reader.execute(
            "SELECT d.id, a.nonce, a.file_id, a.service, a.key_print, a.sent_at, a.fenced_at,"
            " (SELECT count(*) FROM attempts b WHERE b.document = d.id AND"
            f" b.void_cause = '{VoidCause.PROVEN_ABSENT}' AND b.sent_at >="
            " (SELECT coalesce(max(at), 0) FROM events WHERE document = d.id AND event IN "
            "('Retried', 'TakenUp'))),"
            " d.job, a.input_kind"
            " FROM documents d JOIN attempts a ON a.document = d.id AND a.outcome = 'open' WHERE "
            "d.state = ?",
            (state.value,),
        )
        return [Unknown(*row) for row in rows]

    def saved_copies(self, payer: int) -> list[int]:
        """What has its result from that document's."""
        sql = (
            "SELECT id FROM documents WHERE payer = ? AND state = 'saved' AND current = 1 AND "
            "id <> payer"
        )
        return [row[0] for row in self.reader.execute(sql, (payer,))]

    def copies(self, limit: int) -> list[Copy]:
        """Copies whose payer has come to an end."""
        rows = self.reader.execute(
            "SELECT d.id, d.upstream, d.output, p.id, iif(p.state = 'superseded', "
            "p.superseded_from, p.state),"
            " p.state <> 'superseded', (SELECT count(*) FROM attempts a WHERE a.document = p.id"
            " AND NOT (a.outcome = 'void' AND a.job_id IS NULL)), p.output, p.output_sha256, "
            "p.reason, p.kind, p.error_name"
            " FROM documents d JOIN documents p ON p.id = d.payer WHERE d.state = 'duplicate' AND "
            "p.state NOT IN"
            f" ({listed(OPEN)}) ORDER BY d.id LIMIT ?",
            (limit,),
        )
        return [Copy._make((*row[:4], State(row[4]), bool(row[5]), *row[6:])) for row in rows]

    def results_like(self, copy: Copy) -> list[tuple[str, str]]:
        """(output, sha256) of some results of the same bytes and step, that of its payer first."""
        rows = self.reader.execute(
            "SELECT DISTINCT o.output, o.output_sha256 FROM documents d"
            " JOIN documents o ON o.content = d.content AND o.step = d.step AND o.output_sha256 "
            "IS NOT NULL"
            " WHERE d.id = ? ORDER BY o.id = ? DESC, o.id DESC LIMIT 8",
            (copy.id, copy.payer),
        )
        return list(rows)

    def later_verdict(self, copy: Copy) -> Copy | None:
        """`copy`, with what the same bytes came to by a job after its payer, in a document
        superseded by now.
        """
        row = self.reader.execute(
            "SELECT p.id, p.superseded_from, p.reason, p.kind, p.error_name FROM documents d"
            " JOIN documents p ON p.content = d.content AND p.step = d.step AND p.id > ?"
            f" AND p.state = 'superseded' AND {COUNTS_STILL} WHERE d.id = ? ORDER BY p.id DESC "
            "LIMIT 1",
            (copy.payer, copy.id),
        ).fetchone()
        if row is None:
            return None
        verdict = {
            "payer_state": State(row[1]),
            "payer_reason": row[2],
            "payer_kind": row[3],
            "payer_error_name": row[4],
        }
        return copy._replace(payer=row[0], payer_current=False, payer_paid=1, **verdict)

    def still_at_service(
        self, document: int, service: str, key_print: str, *, now: float
    ) -> int | None:
        """The document whose job brought a result of the same bytes and step, and can be asked for
        it once more.
        """
        row = self.reader.execute(
            "SELECT a.document FROM documents d JOIN attempts a ON a.content = d.content AND "
            "a.step = d.step"
            " AND a.outcome = 'saved' JOIN documents o ON o.id = a.document AND o.state IN "
            "('saved', 'superseded')"
            " WHERE d.id = ? AND a.cleaned_at IS NULL AND a.service = ? AND a.key_print = ? AND "
            "a.deadline_at > ?"
            " AND a.number = (SELECT max(b.number) FROM attempts b WHERE b.document = o.id AND "
            "b.outcome = 'saved')"
            " ORDER BY a.deadline_at DESC LIMIT 1",
            (document, service, key_print, now),
        ).fetchone()
        return row and int(row[0])

    def answered(self, wanted: Sequence[tuple[str | None, str]]) -> set[tuple[str, str]]:
        """Those pairs of content and step for which a result or a job is there, or a verdict that
        still counts.
        """
        pairs = json.dumps([pair for pair in wanted if pair[0]])
        return {(row[0], row[1]) for row in self.reader.execute(_ANSWERED, (pairs,))}

    def upstream_job(self, upstream: int) -> Upstream | None:
        """The latest job that brought document `upstream` its result, or the same to whom it copied
        from.
        """
        row = self.reader.execute(
            "SELECT a.job_id, a.service, a.key_print, a.deadline_at FROM documents u JOIN "
            "attempts a"
            " ON a.content = u.content AND a.step = u.step AND a.outcome = 'saved' WHERE u.id = ?"
            " AND a.cleaned_at IS NULL ORDER BY a.deadline_at DESC LIMIT 1",
            (upstream,),
        ).fetchone()
        return row and Upstream(*row)

    def followers(self, upstreams: Sequence[int]) -> list[Follower]:
        """What waits for one of these documents, and the end that one has come to by now."""
        marks = ",".join("?" * len(upstreams))
        rows = self.reader.execute(f"{_FOLLOWER} AND d.upstream IN ({marks})", tuple(upstreams))
        return [_follower(row) for row in rows]

    def upstream_of(self, document: int) -> int | None:
        upstream: int | None = self.reader.execute(
            "SELECT upstream FROM documents WHERE id = ?", (document,)
        ).fetchone()[0]
        return upstream

    def ready_to_follow(self, *, after: int, limit: int) -> list[Follower]:
        """Of all documents with a number over `after`, in their order."""
        rows = self.reader.execute(
            f"{_FOLLOWER} AND d.id > ? ORDER BY d.id LIMIT ?", (after, limit)
        )
        return [_follower(row) for row in rows]

    def who_has_sent(self, document: int) -> int | None:
        """The document whose submission of the same bytes and step is out, or may be."""
        row = self.reader.execute(
            "SELECT a.document FROM documents d JOIN attempts a ON a.content = d.content AND "
            "a.step = d.step"
            " WHERE d.id = ? AND a.outcome IN ('open', 'accepted')",
            (document,),
        ).fetchone()
        return row and int(row[0])

    def places_of(self, documents: Sequence[int]) -> Mapping[int, str]:
        """Where the results of those of `documents` go that are current; a superseded one has no
        place of its own.

        Asked at the last moment, for a newer version may have taken its place at any time.
        """
        own = f"SELECT id, output FROM documents WHERE id IN ({_EACH}) AND current = 1"
        return dict(self.reader.execute(own, (json.dumps(documents),)))

    def is_copy(self, document: int) -> bool:
        """Whether it still waits for another's result."""
        sql = "SELECT 1 FROM documents WHERE id = ? AND current = 1 AND state = 'duplicate'"
        return self.reader.execute(sql, (document,)).fetchone() is not None

    def hashes_at(self, output: str) -> frozenset[str]:
        """Of every file the ledger ever put at `output`: those a newer result may take the place
        of.
        """
        return self.hashes_of([output])[output]

    def hashes_of(self, outputs: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """The same for each of `outputs`."""
        sql = (
            f"SELECT output, output_sha256 FROM documents WHERE output IN ({_EACH}) AND "
            "output_sha256 IS NOT NULL"
        )
        hashes = dict.fromkeys(outputs, frozenset[str]())
        for output, sha256 in self.reader.execute(sql, (json.dumps(outputs),)):
            hashes[output] |= {sha256}
        return hashes

    def witness(self, service: str, key_print: str, *, since: float) -> KnownJob | None:
        """The latest attempt of ours accepted there after `since`."""
        sql = (
            f"SELECT job_id, nonce, accepted_at {_ACCEPTED} AND accepted_at > ? ORDER BY "
            "accepted_at DESC LIMIT 1"
        )
        row = self.reader.execute(sql, (service, key_print, since)).fetchone()
        return row and KnownJob(*row)

    def accepted_jobs(self, service: str, key_print: str, *, alive_at: float) -> dict[str, float]:
        """Jobs of ours that the service still has, as far as we know, and when each was
        accepted.
        """
        sql = f"SELECT job_id, accepted_at {_ACCEPTED} AND {_ALIVE}"
        return dict(self.reader.execute(sql, (service, key_print, alive_at)))

    def still_accepted(
        self, service: str, key_print: str, job_ids: Sequence[str], *, alive_at: float
    ) -> frozenset[str]:
        """Those of `job_ids` that it still has."""
        sql = f"SELECT job_id {_ACCEPTED} AND {_ALIVE} AND job_id IN ({_EACH})"
        values = (service, key_print, alive_at, json.dumps(job_ids))
        return frozenset(row[0] for row in self.reader.execute(sql, values))

    def holders(self, service: str, job_ids: Sequence[str]) -> dict[str, Holder]:
        """The attempts that hold those of `job_ids` that are ours."""
        sql = (
            f"SELECT job_id, nonce, file_id FROM attempts WHERE service = ? AND job_id IN ({_EACH})"
        )
        rows = self.reader.execute(sql, (service, json.dumps(job_ids)))
        return {row[0]: Holder(*row[1:]) for row in rows}

    def proven(self, service: str, key_print: str) -> frozenset[str]:
        sql = "SELECT proof FROM proofs WHERE service = ? AND key_print = ?"
        return frozenset(row[0] for row in self.reader.execute(sql, (service, key_print)))

    def foreign_attempts(self, service: str, key_print: str) -> list[tuple[str, int]]:
        """(service, number) of open attempts that were made elsewhere or under another key."""
        rows = self.reader.execute(
            "SELECT service, count(*) FROM attempts WHERE outcome IN ('open', 'accepted')"
            " AND NOT (service = ? AND key_print = ?) GROUP BY service",
            (service, key_print),
        )
        return list(rows)

    def steps(self) -> dict[str, dict[str, int]]:
        """Documents by state for each job, in the order in which they were first met; nothing where
        there's but one.
        """
        found: dict[str, dict[str, int]] = {}
        if (
            self.reader.execute(
                "SELECT 1 FROM documents WHERE upstream IS NOT NULL LIMIT 1"
            ).fetchone()
            is None
        ):
            return found  # else all of a large ledger would be read to find it out
        for job, state, number in self.reader.execute(
            "SELECT job, state, count(*) FROM documents WHERE current = 1 GROUP BY job, state "
            "ORDER BY min(id)"
        ):
            found.setdefault(job, {})[state] = number
        return found

    def failures(self, *, passing: Sequence[tuple[int, int]] | None = None) -> list[FailureGroup]:
        """The most frequent first. Failures of the same state, class and error name are one group,
        in the words of the first; where there is no name, reasons that differ in ids alone are one.

        `passing` as of the method; None: as it is by itself.
        """
        waiting = json.dumps(self.passing() if passing is None else passing)
        groups: dict[tuple[str, str | None, str], FailureGroup] = {}
        for row in self.reader.execute(_FAILURES, (waiting,)):
            group = FailureGroup(*row)
            key = (group.state, group.kind, alike(group.error_name or group.reason or ""))
            groups[key] = _together(groups[key], group) if key in groups else group
        return sorted(groups.values(), key=lambda group: -group.documents)

    def passing(self, *, runs: int | None = None, scan: int | None = None) -> list[tuple[int, int]]:
        """(document, runs that have tried it) of those that the next run takes up by itself.

        What failed for a passing reason, and nothing was paid; in fewer than `runs`, by default as
        many as the manifest of the last run says, since a person last decided about these bytes.
        With `scan`, only what that scan has found.
        """
        if runs is None:
            runs = int(
                json.loads(self.noted("manifest") or "{}").get("retry", {}).get("runs", RUNS)
            )
        return list(self.reader.execute(_PASSING, {"runs": runs, "scan": scan}))

    def spent(self) -> tuple[int, float]:
        """Pages and credits of all attempts whose job completed; credits as estimated where the
        service doesn't say.
        """
        pages, credits = _paid(self._bills())
        (beside,) = self.reader.execute("SELECT total(credits) FROM twins").fetchone()
        return pages, credits + float(beside)

    def _bills(self) -> dict[str, Bill]:
        """What attempts that are settled came to, by their outcome."""
        return {row[0]: Bill(*row[1:]) for row in self.reader.execute(_BILLS)}

    def account(self) -> Account:
        """What is spent and what will be; a document costs what it cost on average so far, one
        credit before that.
        """
        bills = self._bills()
        pages, spent = _paid(bills)
        saved = bills.get("saved", _NOTHING)
        out, committed = self.reader.execute(_COMMITTED).fetchone()
        (number,) = self.reader.execute(_TO_COME).fetchone()
        each = saved.credits / saved.attempts if saved.attempts else 1.0
        lost = bills.get("lost", _NOTHING).credits
        failed = bills.get("void", _NOTHING).cost
        return Account(
            pages, spent, lost, failed, float(committed), max(committed, out * each), number * each
        )

    def since(self, seq: int) -> tuple[int, float]:
        """(documents saved, credits of the jobs that ended) after event `seq`."""
        said = "SELECT total(event = 'Saved'), min(at) FROM events WHERE seq > ?"
        saved, from_on = self.reader.execute(said, (seq,)).fetchone()
        bill = (
            "SELECT total(coalesce(credits, cost)) FROM attempts WHERE outcome IN ('saved', "
            "'lost') AND ended_at >= ?"
            " AND document IN (SELECT document FROM events WHERE seq > ?)"
        )
        (credits,) = self.reader.execute(bill, (from_on, seq)).fetchone()
        return int(saved), float(credits)

    def prices(self) -> dict[str, Any]:
        """Of the manifest that the batch was last run with; empty where that is not known."""
        manifest = self.noted("manifest")
        return dict(json.loads(manifest).get("prices", {})) if manifest else {}

    def left_out(self) -> dict[str, Any]:
        """What the latest run that has looked everywhere left out, as its summary has it."""
        return dict(json.loads(self.noted("left out") or "{}"))

    def last_summary(self) -> dict[str, Any]:
        """Of the latest run that came to its end; empty where none has."""
        sql = "SELECT summary FROM runs WHERE summary IS NOT NULL ORDER BY id DESC LIMIT 1"
        row = self.reader.execute(sql).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def last_event(self) -> int:
        return int(self.reader.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def verdicts_since(self, seq: int, *, but: Sequence[int] = ()) -> int:
        """Documents that came, after event `seq`, to a verdict other than saved, and stand there
        still.

        Not counted: those of `but`, and the later steps that these block.
        """
        states = ",".join(f"'{state}'" for state in sorted(VERDICTS))
        sql = (
            "SELECT count(DISTINCT e.document) FROM events e JOIN documents d ON d.id = e.document"
            f" WHERE e.seq > ? AND d.current = 1 AND e.state = d.state AND d.state IN ({states})"
            f" AND d.id NOT IN ({_WITH_BLOCKED})"
        )
        return int(self.reader.execute(sql, (seq, json.dumps(but))).fetchone()[0])

    def nearest_deadline(self) -> tuple[float, float] | None:
        """(acceptance, deadline) of the result that has the least time left, of those that are
        out.
        """
        sql = (
            "SELECT a.accepted_at, min(a.deadline_at) FROM documents d JOIN attempts a ON "
            "a.document = d.id"
            " AND a.outcome = 'accepted' WHERE d.state IN ('waiting', 'ready')"
        )
        accepted_at, deadline_at = self.reader.execute(sql).fetchone()
        return None if deadline_at is None else (accepted_at, deadline_at)

    def last_step(self, job: str) -> str | None:
        """What the batch's `job` asked for last; None where that isn't on record."""
        return self.noted(f"step of {job}")

    def noted(self, key: str) -> str | None:
        """What the batch as a whole has on record under `key`."""
        row = self.reader.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row and str(row[0])

    def worth(self, documents: Sequence[int]) -> dict[int, float]:
        """Those of `documents` that are saved and cost something, and how much: of a copy what its
        payer did.
        """
        marks = ",".join("?" * len(documents))
        sql = f"SELECT id, worth FROM {_WORTH} AND d.id IN ({marks})) WHERE worth > 0"
        return dict(self.reader.execute(sql, tuple(documents)))

    def worth_of_other_steps(self, job: str, step: str) -> tuple[int, float]:
        """(documents, credits) of what is saved and was asked for otherwise."""
        sql = (
            f"SELECT count(*), total(worth) FROM {_WORTH} AND d.job = ? AND d.step <> ? AND "
            "d.payer IS NULL)"
        )
        number, credits = self.reader.execute(f"{sql} WHERE worth > 0", (job, step)).fetchone()
        return int(number), float(credits)

    # --- the audit --------------------------------------------------------------------------------

    def uncleaned(self, service: str, key_print: str, *, alive_at: float) -> list[int]:
        """Saved documents whose job the service still has, as far as we know."""
        sql = (
            "SELECT a.document FROM attempts a JOIN documents d ON d.id = a.document WHERE "
            "a.outcome = 'saved'"
            " AND a.cleaned_at IS NULL AND a.service = ? AND a.key_print = ? AND a.deadline_at > ?"
            " AND d.state = 'saved' AND d.current = 1"
        )
        return [row[0] for row in self.reader.execute(sql, (service, key_print, alive_at))]

    def finished(self, document: int) -> Finished | None:
        """The saved document and its job; None where it's no longer saved, or its job was
        deleted.
        """
        row = self.reader.execute(
            "SELECT a.job_id, a.file_id, d.output, d.output_sha256, a.deletion_started_at IS NOT "
            "NULL, a.input_kind"
            " FROM documents d JOIN attempts a"
            " ON a.document = d.id AND a.outcome = 'saved' WHERE d.id = ? AND d.state = 'saved' "
            "AND d.current = 1"
            " AND a.cleaned_at IS NULL ORDER BY a.number DESC LIMIT 1",
            (document,),
        ).fetchone()
        return row and Finished._make(row)

    def withdrawn_since(self, seq: int) -> int:
        """Documents that nobody asked for any more, after event `seq`."""
        sql = "SELECT count(*) FROM events WHERE seq > ? AND event = 'Withdrawn'"
        return int(self.reader.execute(sql, (seq,)).fetchone()[0])

    def saved_since(self, seq: int) -> list[tuple[str, int]]:
        """(output, size) of the results that were saved after event `seq`."""
        sql = (
            "SELECT output, output_size FROM documents WHERE current = 1 AND state = 'saved'"
            " AND id IN (SELECT document FROM events WHERE seq > ? AND event = 'Saved')"
        )
        return list(self.reader.execute(sql, (seq,)))

    def unaudited(self) -> tuple[int, float | None]:
        """The last attempt by row, and when the first was sent of those that no audit has seen
        settled.
        """
        sql = f"SELECT coalesce(max(rowid), 0), min(sent_at) FROM attempts WHERE rowid > {_AUDITED}"
        last, first = self.reader.execute(sql).fetchone()
        return int(last), first

    def listed_jobs(
        self, service: str, key_print: str, *, accepted_before: float, alive_at: float
    ) -> set[str]:
        """Jobs of unaudited attempts that the service's listing has to show."""
        sql = f"SELECT job_id {_LISTED} AND accepted_at < ?"
        return {
            row[0]
            for row in self.reader.execute(sql, (service, key_print, alive_at, accepted_before))
        }

    def number_listed(self, service: str, key_print: str, *, alive_at: float) -> int:
        """How many of them there are, those included that it may not show yet."""
        sql = f"SELECT count(*) {_LISTED}"
        return int(self.reader.execute(sql, (service, key_print, alive_at)).fetchone()[0])

    def known_jobs(self, service: str, job_ids: Sequence[str]) -> set[str]:
        """Those of `job_ids` that an attempt holds, or that are on record as twins."""
        marks = ",".join("?" * len(job_ids))
        sql = " UNION ALL ".join(
            f"SELECT job_id FROM {table} WHERE service = ? AND job_id IN ({marks})"
            for table in ("attempts", "twins")
        )
        return {row[0] for row in self.reader.execute(sql, (service, *job_ids) * 2)}

    def twins(self) -> list[tuple[str, str, float]]:
        """(source, job, credits) of second jobs that any audit found."""
        sql = (
            "SELECT source, job_id, credits FROM twins t JOIN documents d ON d.id = t.document "
            "ORDER BY found_at"
        )
        return list(self.reader.execute(sql))

    def nonces_by_upload(self) -> dict[str, str]:
        """Of the unaudited attempts, for a listing that doesn't echo nonces."""
        return dict(
            self.reader.execute(f"SELECT file_id, nonce FROM attempts WHERE rowid > {_AUDITED}")
        )

    def attempt_of(self, service: str, key_print: str, nonces: Sequence[str]) -> AttemptRef | None:
        """The attempt that was made there with one of `nonces`."""
        marks = ",".join("?" * len(nonces))
        row = self.reader.execute(
            "SELECT a.document, d.source, d.job, a.nonce, a.job_id, a.outcome, a.fenced_at,"
            " coalesce(a.credits, nullif(a.cost, 0), (SELECT max(b.cost) FROM attempts b WHERE "
            "b.document = d.id))"
            " FROM attempts a JOIN documents d ON d.id = a.document"
            f" WHERE a.nonce IN ({marks}) AND a.service = ? AND a.key_print = ?",
            (*nonces, service, key_print),
        ).fetchone()
        return row and AttemptRef._make((*row[:7], float(row[7] or 0.0)))

    def named_instead(self, document: int, nonces: Sequence[str]) -> AttemptRef | None:
        """The attempt of another document that `nonces` name, found in what is said to be the
        request of this document's job; None where they name its own, or none of ours.
        """
        sql = (
            "SELECT nonce, service, key_print FROM attempts WHERE document = ?"
            " ORDER BY number DESC LIMIT 1"
        )
        row = self.reader.execute(sql, (document,)).fetchone()
        if row is None or row[0] in nonces:
            return None
        named = self.attempt_of(row[1], row[2], nonces)
        return named if named is not None and named.document != document else None

    def nearest_deadline_at(self) -> float | None:
        sql = (
            "SELECT min(a.deadline_at) FROM documents d JOIN attempts a ON a.document = d.id AND "
            "a.outcome = 'accepted'"
            " WHERE d.state IN ('waiting', 'ready')"
        )
        moment: float | None = self.reader.execute(sql).fetchone()[0]
        return moment


# Of a superseded document p: its verdict is that of the bytes, and was reached by a job.
COUNTS_STILL: Final = (
    f"p.superseded_from IN ({listed(MAY_HAVE_COST)})"
    " AND EXISTS (SELECT 1 FROM attempts a WHERE a.document = p.id AND NOT (a.outcome = 'void' "
    "AND a.job_id IS NULL))"
)
_EACH = "SELECT value FROM json_each(?)"  # of a list in JSON: one statement for lists of any length
_WHO_PAYS = f"""
    SELECT min(o.id) FROM documents o WHERE o.content = d.content AND o.step = d.step AND o.id <> d.id
    AND o.payer IS NOT d.id AND (o.state IN ({listed(OUT)})
    OR o.current = 1 AND o.state IN ({listed(OPEN - {State.DUPLICATE} | {State.SAVED})}))"""
_ANSWERED = f"""
    SELECT w.value ->> 0, w.value ->> 1 FROM json_each(?) w
    WHERE EXISTS (SELECT 1 FROM documents d WHERE d.content = w.value ->> 0 AND d.step = w.value ->> 1
                  AND (d.state IN ({listed(OUT)}) OR d.output_sha256 IS NOT NULL
                       OR coalesce(d.superseded_from, d.state) IN ({listed(MAY_HAVE_COST)})))"""
_FOLLOWER = (
    "SELECT d.id, u.job, u.state, u.reason, u.kind,"
    f" iif(d.state = 'blocked', ({_WHO_PAYS}), NULL), iif(d.state = 'blocked', d.content || ' ' "
    "|| d.step, NULL), u.error_name"
    " FROM documents d JOIN documents u ON u.id = d.upstream"
    f" WHERE d.current = 1 AND (d.state = 'following' AND u.state NOT IN ({listed(OPEN)})"
    " OR d.state = 'blocked' AND u.state = 'saved')"
)
# Without statistics SQLite would rather sort all that is queued, at every look.
_TO_SUBMIT = "documents INDEXED BY to_submit WHERE current = 1 AND state IN ('queued', 'uploaded')"
_SPEED = """
    SELECT number / seconds FROM (
        SELECT r.id, count(*) AS number,
               max(0.1, max(e.at) - iif(count(*) = :latest, min(e.at), r.started_at)) AS seconds
        FROM (SELECT * FROM runs ORDER BY id DESC LIMIT 10) r
        JOIN (SELECT at FROM events WHERE event = 'Saved' ORDER BY seq DESC LIMIT :latest) e
             ON e.at >= r.started_at AND (r.ended_at IS NULL OR e.at <= r.ended_at)
        GROUP BY r.id)
    WHERE number >= 5 ORDER BY id DESC LIMIT 1"""
_BILLS = """
    SELECT outcome, count(*), total(pages), total(cost), total(coalesce(credits, cost))
    FROM attempts WHERE outcome IN ('saved', 'lost', 'void') GROUP BY outcome"""
_COMMITTED = (
    "SELECT count(*), total(cost) FROM attempts INDEXED BY one_open_attempt WHERE "
    "outcome IN ('open', 'accepted')"
)
_TO_COME = (
    "SELECT count(*) FROM documents WHERE current = 1 AND state IN ('following', 'queued', "
    "'uploaded')"
)
# As the view `failures` has it, but by the states that are verdicts: an index leads to those.
_FAILURES = f"""
    WITH waiting(id, runs) AS MATERIALIZED (SELECT value ->> 0, value ->> 1 FROM json_each(?))
    SELECT state, kind, reason, count(*) AS documents, min(source), count(w.id), coalesce(min(w.runs), 0),
           error_name
    FROM documents d LEFT JOIN waiting w ON w.id = d.id
    WHERE current = 1 AND state IN ({", ".join(f"'{state}'" for state in sorted(VERDICTS))})
    GROUP BY state, kind, error_name, reason ORDER BY documents DESC"""
_WITH_BLOCKED = """
    WITH RECURSIVE these(id) AS (
        SELECT value FROM json_each(?) UNION
        SELECT d.id FROM these t JOIN documents d ON d.upstream = t.id WHERE d.state = 'blocked')
    SELECT id FROM these"""
# Runs count by what happened to these bytes and this step, whichever document they belong to by
# now.
_PASSING = f"""
    WITH failed AS MATERIALIZED (
        SELECT d.id, d.content, d.step FROM documents d LEFT JOIN documents u ON u.id = d.upstream
        WHERE d.state = 'failed' AND d.current = 1 AND d.kind IN ({listed(PASSING)})
        AND (:scan IS NULL OR d.scan = :scan)
        AND (d.upstream IS NULL OR u.state = 'saved')),
    happened AS MATERIALIZED (
        SELECT s.content, s.step, e.seq, e.at, e.event IN ('Retried', 'Follows') AS decided
        FROM (SELECT DISTINCT content, step FROM failed) s
        JOIN documents o ON o.content = s.content AND o.step = s.step JOIN events e ON e.document = o.id
        WHERE e.event IN ('Retried', 'Follows', 'JobFailed', 'GivenUp', 'Rejected')),
    decision AS MATERIALIZED (
        SELECT content, step, max(seq) AS seq, max(at) AS at FROM happened WHERE decided GROUP BY content, step),
    tried AS MATERIALIZED (
        SELECT h.content, h.step, count(*) AS runs, coalesce(d.at, 0) AS since
        FROM happened h LEFT JOIN decision d ON d.content = h.content AND d.step = h.step
        WHERE NOT h.decided AND h.seq > coalesce(d.seq, 0) GROUP BY h.content, h.step)
    SELECT f.id, t.runs FROM failed f JOIN tried t ON t.content = f.content AND t.step = f.step
    WHERE t.runs < :runs AND NOT EXISTS (
        SELECT 1 FROM documents o JOIN attempts a ON a.document = o.id
        WHERE o.content = f.content AND o.step = f.step AND a.outcome <> 'void' AND a.sent_at >= t.since)
    ORDER BY f.id"""
_WORTH = (
    "(SELECT d.id, (SELECT coalesce(a.credits, a.cost) FROM attempts a"
    " WHERE a.document = coalesce(d.payer, d.id) AND a.outcome = 'saved' AND a.service <> 'local'"
    " ORDER BY a.number DESC LIMIT 1) AS worth"
    " FROM documents d WHERE d.current = 1 AND d.state = 'saved'"
)
_AUDITED = (
    "(SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audited_to'), 0))"
)
_ACCEPTED = (  # and neither deleted by us, nor perhaps so
    "FROM attempts WHERE service = ? AND key_print = ? AND job_id IS NOT NULL"
    " AND deletion_started_at IS NULL AND cleaned_at IS NULL"
)
# Nor by the service, at its time or before: where somebody else's result is wanted by now, it
# hasn't been asked.
_ALIVE = f"deadline_at > ? AND (outcome <> 'lost' OR void_cause IS '{VoidCause.SUPERSEDED}')"
_LISTED = (  # at the service, of attempts that no audit has seen settled
    f"FROM attempts WHERE rowid > {_AUDITED} AND service = ? AND key_print = ?"
    " AND job_id IS NOT NULL AND cleaned_at IS NULL AND deadline_at > ? AND outcome <> 'lost'"
)
_FLIGHT = (
    "SELECT d.id, a.job_id, d.size, a.accepted_at, a.deadline_at, d.paid,"
    # An upload that old may have been gone: the machine slept between the first byte of the POST
    # and its end.
    f" coalesce(a.fenced_at, iif(a.accepted_at - d.uploaded_at > {LAPSES}, a.accepted_at, NULL)), "
    "d.output,"
    # Between two runs only what was saved is ready: its file was missed.
    f" a.input_kind IS '{InputKind.JOB}', a.cancel_requested, d.state = 'ready'"
    " FROM documents d JOIN attempts a ON a.document = d.id AND a.outcome = 'accepted'"
)


def _together(one: FailureGroup, other: FailureGroup) -> FailureGroup:
    waiting = [group.runs for group in (one, other) if group.waits]
    return msgspec.structs.replace(
        one,
        documents=one.documents + other.documents,
        example=min(one.example, other.example),
        waits=one.waits + other.waits,
        runs=min(waiting, default=0),
    )


def _paid(bills: Mapping[str, Bill]) -> tuple[int, float]:
    paid = [bills.get("saved", _NOTHING), bills.get("lost", _NOTHING)]
    return int(sum(bill.pages for bill in paid)), sum(bill.credits for bill in paid)


def _flight(
    row: tuple[int, str, int, float, float, int, float | None, str, int | None, int, int],
) -> InFlightJob:
    fenced = row[6] is not None
    reads_job = bool(row[8])
    recalled = bool(row[9])
    was_saved = bool(row[10])
    return InFlightJob(
        *row[:6], fenced, row[7], reads_job=reads_job, recalled=recalled, was_saved=was_saved
    )


def _follower(
    row: tuple[int, str, str, str | None, str | None, int | None, str | None, str | None],
) -> Follower:
    return Follower(row[0], row[1], State(row[2]), *row[3:])
