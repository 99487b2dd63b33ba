"""The ledger as plain dictionaries, and a machine that drives both at random and compares them
after every step.

The model takes only the next state from `core.lifecycle`; what that does to attempts, copies and
counts it says anew.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batcher.core import events as e
from batcher.core.lifecycle import Impossible, State, advance
from batcher.errors import AttemptOpen, Outdated
from batcher.ledger.intake import Version
from batcher.ledger.ledger import open_ledger

NOW: Final = 1_800_000_000.0
CLOSED_BY: Final[
    dict[type[e.Event], str]
] = {  # what an event makes of the attempt that is open or accepted
    e.Accepted: "accepted",
    e.Adopted: "accepted",
    e.Expired: "lost",
    e.Lost: "lost",
    e.Superseded: "lost",
    e.Saved: "saved",
    **dict.fromkeys(
        (e.RefusedForNow, e.Rejected, e.UploadLapsed, e.ProvenAbsent, e.GivenUp), "void"
    ),
    **dict.fromkeys((e.JobFailed, e.JobToRepeat, e.JobVoided, e.Cancelled), "void"),
}
NEVER_PAYS: Final = {
    "source_gone",
    "source_changed",
    "unreadable",
    "unsupported",
    "cancelled",
    "superseded",
}
STAYS_OUT: Final = {State.SENDING, State.UNKNOWN, State.WAITING, State.READY}
NOT_SENT: Final = {State.QUEUED, State.UPLOADED, State.DUPLICATE, State.FOLLOWING}
KEEPS_RESULT: Final = {State.SAVED, State.QUEUED, State.UPLOADED}
COUNTS_STILL: Final = {State.FAILED, State.EXPIRED, State.LOST, State.STUCK, State.HELD}


@dataclass(slots=True)
class Attempt:
    nonce: str
    outcome: str = "open"
    job_id: str | None = None


@dataclass(slots=True)
class Document:
    source: str
    content: str
    state: State = State.QUEUED
    current: bool = True
    payer: int | None = None
    paid: int = 0
    due_at: float = 0.0
    has_result: bool = False
    scan: int = 0
    came_to: State | None = None  # before it was superseded
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def out(self) -> Attempt | None:
        return next((a for a in self.attempts if a.outcome in ("open", "accepted")), None)

    @property
    def had_a_job(self) -> bool:
        """Or may have had one."""
        return any(a.outcome != "void" or a.job_id is not None for a in self.attempts)


class Model:
    """What the ledger should say."""

    def __init__(self) -> None:
        self.documents: dict[int, Document] = {}
        self.scan = 0
        self.has_scanned = False

    def admit(self, source: str, content: str) -> int | None:
        """Takes the version in; returns the document it replaces."""
        before = next(
            (n for n, d in self.documents.items() if d.source == source and d.current), None
        )
        if before is not None:
            self._stand_down(before)
        new = Document(source, content, scan=self.scan)
        same = [(n, d) for n, d in sorted(self.documents.items()) if d.content == content]
        paying = (n for n, d in same if self._pays(d))
        # perhaps no more
        awaited = (d.payer for _, d in same if d.current and d.state is State.DUPLICATE)
        left = [(n, d) for n, d in reversed(same) if d.state is State.SUPERSEDED]
        results = (n for n, d in left if d.has_result and d.came_to in KEEPS_RESULT)
        verdicts = (n for n, d in left if d.came_to in COUNTS_STILL and d.had_a_job)
        new.payer = (
            next(paying, None) or next(awaited, None) or next(results, None) or next(verdicts, None)
        )
        new.state = State.QUEUED if new.payer is None else State.DUPLICATE
        self.documents[len(self.documents) + 1] = new
        return before

    def apply(self, event: e.Event) -> None:
        """Raises what the ledger must raise, and changes nothing then."""
        document = self.documents[event.document]
        if isinstance(event, e.Sending) and not document.current:
            raise Outdated
        if isinstance(event, e.PayerFailed | e.Promoted) and document.state is not State.DUPLICATE:
            raise Outdated  # it stopped waiting between the look and the act
        if isinstance(event, e.Adopted) and document.state is State.SUPERSEDED:
            raise Outdated  # held a moment ago
        after = advance(document.state, event)
        copy_of = document.payer if document.state is State.DUPLICATE else None
        if isinstance(event, e.Sending):
            self._send(document, event)
        else:
            self._follow(document, event)
        self._note(document, event)
        document.state = after
        self._follow_copy(event, copy_of)
        if not document.current and after not in STAYS_OUT | {State.SUPERSEDED}:
            self._supersede(event.document)
        elif self.has_scanned and after in NOT_SENT and document.scan != self.scan:
            self._withdraw(event.document)

    def look_through(self, found: set[int]) -> int:
        """A scan that finds these documents as they were, and no others.

        How many were withdrawn.
        """
        self.scan += 1
        for number in found:
            self.documents[number].scan = self.scan
        self.has_scanned = True
        withdrawn = 0
        while unfound := sorted(n for n, d in self.documents.items() if self._is_unfound(d)):
            for number in unfound:
                self._withdraw(number)
                self._release_copies(number)
                withdrawn += 1
        return withdrawn

    def _is_unfound(self, document: Document) -> bool:
        return document.current and document.state in NOT_SENT and document.scan != self.scan

    def _withdraw(self, number: int) -> None:
        self._supersede(number)
        self.documents[number].current = False

    def _follow_copy(self, event: e.Event, payer: int | None) -> None:
        """The other copies wait for the one that pays now, or that has what its payer never had."""
        if payer is None:
            return
        if isinstance(event, e.Promoted) or (
            isinstance(event, e.Saved) and not self.documents[payer].has_result
        ):
            for document in self.documents.values():
                if document.payer == payer and document.state is State.DUPLICATE:
                    document.payer = event.document

    def counts(self) -> Counter[State]:
        return Counter(document.state for document in self.documents.values())

    def _pays(self, document: Document) -> bool:
        own = document.current and document.payer is None and document.state not in NEVER_PAYS
        return (
            own
            or (document.current and document.state is State.SAVED)
            or document.state in STAYS_OUT
        )

    def _stand_down(self, number: int) -> None:
        document = self.documents[number]
        document.current = False
        if document.state in STAYS_OUT:
            return
        before = document.state
        self._supersede(number)
        if before in NOT_SENT or before in NEVER_PAYS or before is State.BLOCKED:
            self._release_copies(number)

    def _release_copies(self, number: int) -> None:
        copies = [
            n for n, d in self.documents.items() if d.payer == number and d.state is State.DUPLICATE
        ]
        for copy in copies:
            self.documents[copy].payer = min(copies) if copy != min(copies) else None
        if copies:
            self.documents[min(copies)].state = State.QUEUED

    def _supersede(self, number: int) -> None:
        document = self.documents[number]
        if document.out:
            document.out.outcome = "lost"
        document.came_to, document.state = (
            document.state,
            advance(document.state, e.Superseded(number)),
        )

    def _send(self, document: Document, event: e.Sending) -> None:
        assert document.paid < 3
        if any(d.out and d.content == document.content for d in self.documents.values()):
            raise AttemptOpen
        document.attempts.append(Attempt(event.nonce))

    def _follow(self, document: Document, event: e.Event) -> None:
        attempt = document.out
        if isinstance(event, e.FileMissed):
            if any(d.out and d.content == document.content for d in self.documents.values()):
                raise AttemptOpen
            self._last_saved(document).outcome = "accepted"
        elif isinstance(event, e.WrongInput):
            self._last_saved(document).outcome = "void"
        elif attempt is not None and isinstance(event, e.Retried):
            attempt.outcome = "lost"
        elif attempt is not None and type(event) in CLOSED_BY:
            attempt.outcome = CLOSED_BY[type(event)]
            attempt.job_id = getattr(event, "job_id", attempt.job_id)

    @staticmethod
    def _last_saved(document: Document) -> Attempt:
        return next(a for a in reversed(document.attempts) if a.outcome == "saved")

    def _note(self, document: Document, event: e.Event) -> None:
        document.due_at = getattr(event, "due_at", document.due_at)
        match event:
            case e.Accepted() | e.Adopted():
                document.paid += 1
            case e.JobVoided():
                document.paid = max(document.paid - 1, 0)
            case e.Recalled():
                document.paid = 0
            case e.Saved():
                document.has_result = True
                document.came_to = State.SAVED
            case e.WrongInput():
                document.came_to = State.FAILED
            case e.Uploaded():
                document.due_at = 0.0
            case e.Promoted():
                document.payer = None
            case e.Retried():
                document.paid = 0
                document.payer = None
                document.due_at = 0.0


# --- events ---------------------------------------------------------------------------------------

Make = Callable[[int, str], e.Event]
EVENTS: Final[dict[str, Make]] = {
    "uploaded": lambda d, n: e.Uploaded(d, f"reducto://{n}"),
    "lapsed": lambda d, n: e.UploadLapsed(d, "old"),
    "postponed": lambda d, n: e.Postponed(d, "busy", NOW + 60, 1),
    "gone": lambda d, n: e.SourceGone(d, "gone"),
    "changed": lambda d, n: e.SourceChanged(d, "changed"),
    "unreadable": lambda d, n: e.Unreadable(d, "unreadable"),
    "sending": lambda d, n: e.Sending(d, n, "s", "k", 1.0),
    "accepted": lambda d, n: e.Accepted(d, f"job-{n}", NOW + 43200),
    "refused": lambda d, n: e.RefusedForNow(d, "429", NOW - 1),
    "rejected": lambda d, n: e.Rejected(d, "422", "document"),
    "lost reply": lambda d, n: e.ReplyLost(d, "reset"),
    "fenced": lambda d, n: e.Fenced(d, NOW),
    "adopted": lambda d, n: e.Adopted(d, f"job-{n}", NOW + 43200),
    "absent": lambda d, n: e.ProvenAbsent(d),
    "given up": lambda d, n: e.GivenUp(d, "three times"),
    "held": lambda d, n: e.Held(d, "not proven"),
    "ended": lambda d, n: e.Ended(d, 1, 1.0),
    "saved": lambda d, n: e.Saved(d, f"{d}.json", "sha", 7),
    "failed": lambda d, n: e.JobFailed(d, "DOCUMENT_CORRUPT", "document"),
    "to repeat": lambda d, n: e.JobToRepeat(d, "TIMEOUT", NOW - 1),
    "voided": lambda d, n: e.JobVoided(d, "fenced"),
    "expired": lambda d, n: e.Expired(d, "404"),
    "lost": lambda d, n: e.Lost(d, "404"),
    "stuck": lambda d, n: e.Stuck(d, "late"),
    "cancelled": lambda d, n: e.Cancelled(d, "by a person"),
    "retried": lambda d, n: e.Retried(d),
    "recalled": lambda d, n: e.Recalled(d),
    "promoted": lambda d, n: e.Promoted(d),
    "missed": lambda d, n: e.FileMissed(d, "no file"),
    "wrong input": lambda d, n: e.WrongInput(d, "another's", "transient"),
    "payer failed": lambda d, n: e.PayerFailed(d, "failed", "document"),
}

ROAD: Final = {  # what mostly happens, so that stories get far
    State.QUEUED: ["uploaded"],
    State.UPLOADED: ["sending"],
    State.SENDING: ["accepted", "lost reply", "refused"],
    State.UNKNOWN: ["adopted", "absent", "held"],
    State.WAITING: ["ended", "to repeat", "voided"],
    State.READY: ["saved"],
}


class LedgerMachine(RuleBasedStateMachine):
    """The real ledger and the model, side by side."""

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.nonces = 0
        self.scans = 0
        self._open()

    def _open(self) -> None:
        self.ledger = open_ledger(
            self.folder / "ledger.db", batch="b", clock=lambda: NOW, inline=True
        )

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.loop.close()
            shutil.rmtree(self.folder)

    @rule(source=st.sampled_from("abcd"), content=st.sampled_from(["x", "y", "z"]))
    def admit(self, source: str, content: str) -> None:
        now = next(
            (d for d in self.model.documents.values() if d.source == source and d.current), None
        )
        if now is not None and now.content == content:
            return  # the scanner sees that nothing changed
        replaces = self.model.admit(source, content)
        version = Version(
            source, "/in", "parse", "step", content, 1, 1, 1, f"{source}.json", replaces=replaces
        )
        self.loop.run_until_complete(self.ledger.admit([version]))

    @rule(
        sources=st.sets(st.sampled_from("abcd"), min_size=3),
        content=st.sampled_from(["x", "y", "z"]),
    )
    def admit_alike(self, sources: set[str], content: str) -> None:
        """One pays and the others wait for it, which chance alone seldom comes to."""
        for source in sorted(sources):
            self.admit(source, content)

    @precondition(lambda self: self.model.documents)
    @rule(data=st.data(), name=st.sampled_from(sorted(EVENTS)))
    def anything(self, data: Any, name: str) -> None:
        """Any event to any document: most are impossible, and must leave no trace."""
        self._tell(name, data.draw(st.sampled_from(sorted(self.model.documents)), label="document"))

    @precondition(lambda self: self.model.documents)
    @rule(data=st.data())
    def possible(self, data: Any) -> None:
        """One that can happen: this way deep states are reached."""
        document = data.draw(st.sampled_from(sorted(self.model.documents)), label="document")
        names = [name for name in EVENTS if self._is_possible(name, document)]
        if names:
            self._tell(data.draw(st.sampled_from(names), label="event"), document)

    @precondition(lambda self: any(d.state in ROAD for d in self.model.documents.values()))
    @rule(data=st.data(), steps=st.integers(1, 6))
    def along_the_road(self, data: Any, steps: int) -> None:
        going = [n for n, d in self.model.documents.items() if d.state in ROAD]
        document = data.draw(st.sampled_from(going), label="document")
        for _ in range(steps):
            if (state := self.model.documents[document].state) in ROAD:
                self._tell(data.draw(st.sampled_from(ROAD[state]), label="event"), document)

    @precondition(lambda self: any(d.current for d in self.model.documents.values()))
    @rule(data=st.data())
    def scan(self, data: Any) -> None:
        """Most of what is current is found as it was; what isn't sent and wasn't found is
        withdrawn, now and later.
        """
        current = sorted(n for n, d in self.model.documents.items() if d.current)
        missed = data.draw(
            st.lists(st.sampled_from(current), unique=True, max_size=2), label="missed"
        )
        found = set(current) - set(missed)
        self.scans += 1
        self.model.scan = self.scans - 1
        withdrawn = self.model.look_through(found)
        assert self.loop.run_until_complete(self._scan(found)) == withdrawn

    async def _scan(self, found: set[int]) -> int:
        await self.ledger.begin_scan()
        await self.ledger.confirm(sorted(found))
        return await self.ledger.end_scan()

    @rule()
    def restart(self) -> None:
        """Close, open, and take what was being sent for unknown."""
        self.ledger.close()
        self._open()
        self.model.scan = 0
        self.model.has_scanned = False
        self.loop.run_until_complete(self.ledger.interrupted())
        for document in self.model.documents.values():
            if document.state is State.SENDING:
                document.state = State.UNKNOWN

    def _tell(self, name: str, document: int) -> None:
        if name in ("missed", "wrong input") and not any(
            a.outcome == "saved" for a in self.model.documents[document].attempts
        ):
            return  # what has no job of its own is never told so
        self.nonces += 1
        event = EVENTS[name](document, f"n{self.nonces}")
        expected = _outcome(lambda: self.model.apply(event))
        assert (
            _outcome(lambda: self.loop.run_until_complete(self.ledger.record(event))) is expected
        ), event

    def _is_possible(self, name: str, document: int) -> bool:
        return (
            _outcome(
                lambda: advance(self.model.documents[document].state, EVENTS[name](document, ""))
            )
            is None
        )

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "ledger"):
            return
        documents = self.model.documents
        assert self.ledger.tracking.counts() == self.model.counts()
        assert +self.ledger.tally == self.model.counts()
        assert self._documents() == {
            n: (d.state, d.current, d.payer, d.paid) for n, d in documents.items()
        }
        assert self._attempts() == [
            (number, attempt.nonce, attempt.outcome, attempt.job_id)
            for number, document in sorted(documents.items())
            for attempt in document.attempts
        ]

    @invariant()
    def answer_what_is_due(self) -> None:
        if not hasattr(self, "ledger"):
            return
        documents = self.model.documents.items()
        waiting = [
            (n, d)
            for n, d in documents
            if d.current and d.state in ("queued", "uploaded") and d.due_at <= NOW
        ]
        due = {n for n, d in waiting if d.scan == self.model.scan}
        assert {row.id for row in self.ledger.sending.due(NOW, 100, scan=self.ledger.scan)} == due
        assert {row.id for row in self.ledger.audit.unknown()} == {
            n for n, d in documents if d.state is State.UNKNOWN
        }
        assert {row.document for row in self.ledger.tracking.in_flight()} == {
            n for n, d in documents if d.state in (State.WAITING, State.READY)
        }

    @invariant()
    def never_out_twice(self) -> None:
        if hasattr(self, "ledger"):
            out = (
                "SELECT count(*) FROM attempts WHERE outcome IN ('open', 'accepted') GROUP BY "
                "content"
            )
            assert all(row == (1,) for row in self.ledger.reader.execute(out))

    def _documents(self) -> dict[int, tuple[str, bool, int | None, int]]:
        rows = self.ledger.reader.execute("SELECT id, state, current, payer, paid FROM documents")
        return {row[0]: (row[1], bool(row[2]), row[3], row[4]) for row in rows}

    def _attempts(self) -> list[tuple[int, str, str, str | None]]:
        sql = "SELECT document, nonce, outcome, job_id FROM attempts ORDER BY document, number"
        return list(self.ledger.reader.execute(sql))


def _outcome(act: Callable[[], object]) -> type[BaseException] | None:
    """The kind of refusal, or None."""
    try:
        act()
    except Impossible:
        return Impossible
    except (AttemptOpen, Outdated, AssertionError) as error:
        return type(error)
    return None
