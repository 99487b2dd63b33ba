"""What each event writes: the columns of its document, and those of the attempt under way.

The new state is decided by `core.lifecycle`. The statements take the fields of the event as
parameters, and `at`, `state` and `before`.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from batcher.core import events as e
from batcher.core.budget import Budget, Spend
from batcher.core.lifecycle import OPEN, OUT, STATES, UNSENT, Impossible, State, advance
from batcher.core.reservations import Fear, Reservation, fear, listed, together
from batcher.core.void_cause import CAUSES
from batcher.errors import AttemptOpen, BudgetSpent, Outdated
from batcher.ledger import run_spend
from batcher.reducto.error_rules import PAID_ATTEMPTS_AT_MOST, ErrorClass
from batcher.reducto.inputs import InputKind, kind_of

_NO_UPLOAD: Final = "file_id = NULL, input_kind = NULL, uploaded_at = NULL"
_ERROR_NAME: Final = "error_name = nullif(:error_name, '')"
_VERDICT: Final = f"reason = :reason, kind = :kind, {_ERROR_NAME}"
_FAILURE: Final = f"reason = :reason, kind = NULL, {_ERROR_NAME}"
_REASON: Final = "reason = :reason, kind = NULL, error_name = NULL"
_NO_REASON: Final = "reason = NULL, kind = NULL, error_name = NULL"
_AGAIN: Final = (
    f"{_NO_UPLOAD}, payer = NULL, paid = 0, tries = 0, due_at = 0, on_its_own = 0, {_NO_REASON}"
)
# Where the input was the job of an earlier step: that can't be read any more, so the next input is
# an upload of its own.
_PART_WAYS: Final = f"on_its_own = max(on_its_own, input_kind IS '{InputKind.JOB}')"
# A result that was lost on disk and is restored from a copy's file is not a copy: it was paid for
# itself.
_PAID_FOR_ITSELF: Final = (
    "CASE WHEN payer IS NOT NULL AND NOT EXISTS"
    " (SELECT 1 FROM attempts a WHERE a.document = :document AND a.outcome = 'saved') THEN payer "
    "END"
)

DOCUMENT: Final[dict[type[e.Event], str]] = {
    e.Uploaded: (
        "file_id = :file_id, input_kind = :input_kind,"
        " uploaded_at = coalesce(:uploaded_at, :at), tries = 0, due_at = 0"
    ),
    e.UploadLapsed: f"{_PART_WAYS}, {_NO_UPLOAD}, {_FAILURE}, due_at = :due_at",
    e.Postponed: f"{_REASON}, due_at = :due_at, tries = :tries",
    e.SourceGone: _REASON,
    e.SourceChanged: _REASON,
    e.Unreadable: _REASON,
    e.Promoted: "payer = NULL",
    e.Follows: _AGAIN,
    e.UpstreamSaved: f"{_NO_REASON}, due_at = 0",
    e.UpstreamFailed: _VERDICT,
    e.Accepted: f"paid = paid + 1, tries = 0, {_NO_REASON}",
    e.RefusedForNow: f"{_FAILURE}, due_at = :due_at, tries = tries + 1",
    e.Rejected: _VERDICT,
    e.ReplyLost: _REASON,
    e.Adopted: f"paid = paid + 1, tries = 0, {_NO_REASON}",
    e.ProvenAbsent: f"{_NO_UPLOAD}, tries = tries + 1",
    e.GivenUp: f"reason = :reason, kind = '{ErrorClass.TRANSIENT}', error_name = NULL",
    e.Held: _REASON,
    e.Saved: (
        f"output = :output, output_sha256 = :sha256, output_size = :size, {_NO_REASON},"
        " not_served = :not_served,"
        # a copy may be written while something newer takes its place: its result is one to go by
        " superseded_from = iif(state = 'superseded', 'saved', superseded_from),"
        f" payer = {_PAID_FOR_ITSELF}"
    ),
    e.JobFailed: _VERDICT,
    e.JobToRepeat: f"{_NO_UPLOAD}, {_FAILURE}, due_at = :due_at",
    e.JobVoided: f"{_PART_WAYS}, {_NO_UPLOAD}, {_FAILURE}, paid = max(paid - 1, 0)",
    e.Expired: _FAILURE,
    e.Lost: _REASON,
    e.Stuck: _REASON,
    e.Cancelled: _REASON,
    e.FileMissed: _REASON,
    e.WrongInput: (
        "reason = :reason, kind = :kind, error_name = NULL,"
        " superseded_from = iif(state = 'superseded', 'failed', superseded_from)"
    ),
    e.Recalled: f"paid = 0, {_NO_REASON}",
    e.Rejoined: f"payer = :payer, {_NO_REASON}",
    e.Retried: _AGAIN,
    e.TakenUp: (
        f"{_NO_UPLOAD}, payer = NULL, paid = min(paid, {PAID_ATTEMPTS_AT_MOST - 1}), tries = 0,"
        f" due_at = 0, {_NO_REASON}"
    ),
    e.PayerFailed: _VERDICT,
    e.Superseded: "superseded_from = :before",
    e.Withdrawn: f"superseded_from = :before, current = 0, {_REASON}",
}

_OPEN: Final = "WHERE document = :document AND outcome = 'open'"
_OUT: Final = "WHERE document = :document AND outcome = 'accepted'"
# the last one, because a result that was lost on disk may have been paid for again
_DONE: Final = (
    "WHERE document = :document AND outcome = 'saved'"
    " AND number = (SELECT max(number) FROM attempts WHERE document = :document AND outcome = "
    "'saved')"
)
_CLEANABLE: Final = f"{_DONE} AND job_id = :job_id AND cleaned_at IS NULL"
_ACCEPTED: Final = (
    "outcome = 'accepted', job_id = :job_id, accepted_at = :at, deadline_at = :deadline_at"
)
_WHY: Final = "why = :reason"
_UNPAID: Final = "cost = 0"
_ENDED: Final = "ended_at = :at"


def _closed(kind: type[e.Event], outcome: str, where: str, *columns: str) -> str:
    """Return the statement by which an event of `kind` ends an attempt without a result."""
    changes = [
        f"outcome = '{outcome}'",
        f"void_cause = '{CAUSES[kind]}'",
        "cancel_requested = 0",
        *columns,
    ]
    return f"UPDATE attempts SET {', '.join(changes)} {where}"


_PAID_AGAIN: Final = "why = 'a person decided to pay again'"
_SUPERSEDED: Final = "why = 'superseded'"
# a deletion that began is that of the other job
_EXCHANGED: Final = "UPDATE attempts SET job_id = nullif(:job_id, ''), deletion_started_at = NULL"
_MISSED: Final = f"UPDATE attempts SET outcome = 'accepted' {_DONE} AND cleaned_at IS NULL"

ATTEMPT: Final[dict[type[e.Event], str]] = {
    e.Sending: """
        INSERT INTO attempts
               (document, number, nonce, file_id, input_kind, service, key_print, content, step,
                outcome, cost, sent_at)
        SELECT id, (SELECT count(*) + 1 FROM attempts WHERE document = :document),
               :nonce, file_id, input_kind, :service, :key_print, content, step, 'open',
               :cost, :at
        FROM documents WHERE id = :document""",
    e.Accepted: f"UPDATE attempts SET {_ACCEPTED} {_OPEN}",
    e.RefusedForNow: _closed(e.RefusedForNow, "void", _OPEN, _WHY, _ERROR_NAME, _UNPAID),
    e.ReplyLost: f"UPDATE attempts SET {_WHY} {_OPEN}",
    e.Fenced: f"UPDATE attempts SET fenced_at = :fenced_at {_OPEN}",
    e.Adopted: f"UPDATE attempts SET {_ACCEPTED} {_OPEN}",
    e.ProvenAbsent: _closed(e.ProvenAbsent, "void", _OPEN, "why = 'proven absent'", _UNPAID),
    e.GivenUp: _closed(e.GivenUp, "void", _OPEN, _WHY, _UNPAID),
    e.Ended: (
        "UPDATE attempts SET ended_at = :at, pages = :pages, credits = :credits,"
        f" why = iif(cancel_requested, NULL, why), cancel_requested = 0 {_OUT}"
    ),
    e.Recalled: (
        f"UPDATE attempts SET cancel_requested = 1, why = 'a person wants it cancelled' {_OUT}"
    ),
    e.JobFailed: _closed(e.JobFailed, "void", _OUT, _WHY, _ERROR_NAME, _ENDED),
    e.JobToRepeat: _closed(e.JobToRepeat, "void", _OUT, _WHY, _ERROR_NAME, _ENDED),
    e.JobVoided: _closed(e.JobVoided, "void", _OUT, _WHY, _ERROR_NAME, _ENDED, _UNPAID),
    e.Cancelled: _closed(e.Cancelled, "void", _OUT, _WHY, _ENDED),
    e.Expired: _closed(e.Expired, "lost", _OUT, _WHY, _ERROR_NAME, _ENDED),
    e.Lost: _closed(e.Lost, "lost", _OUT, _WHY, _ENDED),
    e.JobExchanged: f"{_EXCHANGED} {_DONE}",
    e.WrongInput: _closed(e.WrongInput, "void", _DONE, _WHY),
    e.DeletionStarted: f"UPDATE attempts SET deletion_started_at = :at {_CLEANABLE}",
    e.Cleaned: f"UPDATE attempts SET cleaned_at = :at {_CLEANABLE}",
}
# Events that come with or without an attempt under way, by the state of the document.
IN_STATE: Final[dict[tuple[State, type[e.Event]], str]] = {
    (State.SENDING, e.Rejected): _closed(e.Rejected, "void", _OPEN, _WHY, _ERROR_NAME, _UNPAID),
    (State.SENDING, e.UploadLapsed): _closed(
        e.UploadLapsed, "void", _OPEN, _WHY, _ERROR_NAME, _UNPAID
    ),
    (State.HELD, e.Retried): _closed(e.Retried, "lost", _OPEN, _PAID_AGAIN),
    (State.HELD, e.Follows): _closed(e.Follows, "lost", _OPEN, _PAID_AGAIN),
    (State.HELD, e.Rejoined): _closed(
        e.Rejoined, "lost", _OPEN, "why = 'another document has what it waits for'"
    ),
    (State.SAVED, e.FileMissed): _MISSED,
    (State.SUPERSEDED, e.FileMissed): _MISSED,
    (State.WAITING, e.JobExchanged): f"{_EXCHANGED} {_OUT}",
    (State.STUCK, e.JobExchanged): f"{_EXCHANGED} {_OUT}",
    (State.READY, e.Saved): f"UPDATE attempts SET outcome = 'saved' {_OUT}",
    (State.WAITING, e.Superseded): _closed(e.Superseded, "lost", _OUT, _SUPERSEDED, _ENDED),
    (State.READY, e.Superseded): _closed(e.Superseded, "lost", _OUT, _SUPERSEDED),
    (State.STUCK, e.Superseded): _closed(e.Superseded, "lost", _OUT, _SUPERSEDED),
    (State.HELD, e.Superseded): _closed(e.Superseded, "lost", _OPEN, _SUPERSEDED),
}
_COPY: Final = frozenset({State.DUPLICATE})
# An event may come too late for what happened since it was decided: a copy no longer waits for a
# payer (though a person requeues documents with a verdict, too), or a held document was superseded
# by a newer version.
_IN_TIME: Final[dict[type[e.Event], frozenset[State]]] = {
    e.PayerFailed: _COPY,
    e.Promoted: _COPY,
    e.Follows: _COPY | (frozenset(State) - OPEN),
    e.Adopted: frozenset(State) - {State.SUPERSEDED},
}
_NO_ATTEMPT_OUT: Final = {(state, e.Cancelled) for state in UNSENT}

_UPDATE: Final = {
    kind: f"UPDATE documents SET state = :state, {columns} WHERE id = :document"
    for kind, columns in DOCUMENT.items()
}
_STATE_ONLY: Final = "UPDATE documents SET state = :state WHERE id = :document"
_NOW: Final = "SELECT state, paid, payer, current, scan FROM documents WHERE id = ?"
_NOBODY_ASKS: Final = (
    "no longer asked for: it isn't among what the sources hold and the manifest takes"
)
_OTHERS: Final = (
    "UPDATE documents SET payer = :document WHERE payer = :payer AND state = 'duplicate'"
)
_FOLLOW: Final[dict[type[e.Event], str]] = {
    e.Promoted: _OTHERS,
    e.Follows: _OTHERS,
    e.Saved: f"{_OTHERS} AND (SELECT output_sha256 FROM documents WHERE id = :payer) IS NULL",
}
_TWIN: Final = """
    INSERT OR IGNORE INTO twins (service, job_id, document, nonce, status, credits, found_at)
    SELECT service, :job_id, document, nonce, :status, :credits, :at
    FROM attempts WHERE nonce = :nonce"""
# these have columns of their own
_TOLD_ELSEWHERE: Final = frozenset({"document", "service", "key_print", "uploaded_at"})
_LOG: Final = "INSERT INTO events (at, document, event, state, detail) VALUES (?, ?, ?, ?, ?)"


def apply(
    connection: sqlite3.Connection,
    event: e.Event,
    at: float,
    *,
    budget: Budget | None = None,
    scan: int | None = None,
    claim: Reservation | None = None,
) -> tuple[State, State]:
    """Write `event` inside the caller's transaction, and return the states before and after.

    `scan` is the number of this run's scan once that has seen everything; a document that it didn't
    find is withdrawn where it returns to the queue.

    Raises Impossible, AttemptOpen, Outdated, and BudgetSpent where a submission would exceed a
    limit. Limits are checked in the transaction that records the submission, since other
    submissions may come between a check and an act.
    """
    row = connection.execute(_NOW, (event.document,)).fetchone()
    if row is None:
        raise Impossible(f"there is no document {event.document}")
    before = STATES[row[0]]
    payer = row[2]
    is_current = row[3]
    if isinstance(event, e.Sending) and not is_current:
        raise Outdated(f"document {event.document}: a newer version stands in its place")
    if before not in _IN_TIME.get(type(event), (before,)):
        raise Outdated(
            f"document {event.document} is {before} by now: {type(event).__name__} comes too late"
        )
    after = advance(before, event)
    if isinstance(event, e.Sending):
        assert row[1] < PAID_ATTEMPTS_AT_MOST, (
            f"document {event.document} was paid {row[1]} times already"
        )
        event = keep_to(budget, connection, event, claim)
    values = msgspec.structs.asdict(event)
    told = _detail(values)
    values["at"] = at  # plain types: sqlite3 is slow with others
    values["state"] = after.value
    values["before"] = before.value
    if isinstance(event, e.Uploaded):
        values["input_kind"] = kind_of(event.file_id).value
    connection.execute(_UPDATE.get(type(event), _STATE_ONLY), values)
    _follow_attempt(connection, event, before, values)
    connection.execute(_LOG, (at, event.document, type(event).__name__, after.value, told))
    if payer is not None and before is State.DUPLICATE:
        _follow_copies(connection, event, payer)
    if not is_current and after not in OUT and after is not State.SUPERSEDED:
        # whatever its outcome was, nothing waits for it
        _, after = apply(connection, e.Superseded(event.document), at)
    elif scan is not None and after in UNSENT and row[4] != scan:
        _, after = withdraw(connection, event.document, at)
    return before, after


def withdraw(connection: sqlite3.Connection, document: int, at: float) -> tuple[State, State]:
    """Withdraw a document that the manifest no longer asks for and that wasn't sent."""
    return apply(connection, e.Withdrawn(document, _NOBODY_ASKS), at)


def _follow_copies(connection: sqlite3.Connection, event: e.Event, payer: int) -> None:
    """Make the other copies of `payer` wait for this document instead.

    That happens where it pays from now on, or has got the result that its payer never had.
    """
    statement = _FOLLOW.get(type(event))
    if statement is not None:
        connection.execute(statement, {"document": event.document, "payer": payer})


def note_twin(connection: sqlite3.Connection, values: dict[str, Any]) -> bool:
    """Record a duplicate job of the attempt with that nonce; False if it is on record already."""
    if not connection.execute(_TWIN, values).rowcount:
        return False
    (state,) = connection.execute(
        "SELECT state FROM documents WHERE id = :document", values
    ).fetchone()
    told = {name: values[name] for name in ("job_id", "status", "credits")}
    connection.execute(_LOG, (values["at"], values["document"], "TwinFound", state, _detail(told)))
    return True


def keep_to(
    budget: Budget | None,
    connection: sqlite3.Connection,
    sending: e.Sending,
    claim: Reservation | None,
) -> e.Sending:
    """Return the submission with its expected cost. Raises BudgetSpent where it exceeds a limit.

    The rules are those of `core.budget`. Without a `claim` the cost that the event states is used.
    """
    if budget is None:
        return sending
    claim = claim or Reservation(
        sort="", cost=sending.cost, page=sending.cost, dense=sending.cost, trusted=True
    )
    has_room = run_spend.free(connection, sending.document)
    for step in claim.later:  # of an earlier try
        run_spend.free(connection, step.document)
    spent, feared, later = afford(budget, connection, claim)
    cost = listed(claim, feared)
    probe = (
        run_spend.awaited(connection, claim.sort)
        if budget.counts_pages and feared.is_probe
        else None
    )
    if probe is not None:
        raise BudgetSpent(
            f"what its type costs is being tried with document {probe}", cost=cost, probe=probe
        )
    chain = together(feared, later)
    alone = not budget.beside_others(spent, chain)
    refusal = budget.alone(spent, chain) if alone else None
    if alone and (
        run_spend.awaited(connection) is not None
        # two later steps would wait for each other
        or (not has_room and run_spend.keeps_room(connection))
    ):
        raise BudgetSpent(refusal or "bills are waited for near a limit", cost=cost, may_fit=True)
    if refusal:
        raise BudgetSpent(refusal, cost=cost)
    run_spend.put_in(connection, sending.nonce, sending.document, claim, feared, alone=alone)
    for step, one in zip(claim.later, later, strict=True):
        run_spend.keep(connection, step.document, one)
    return sending if claim.counted else msgspec.structs.replace(sending, cost=feared.credits)


def afford(
    budget: Budget, connection: sqlite3.Connection, claim: Reservation
) -> tuple[Spend, Fear, list[Fear]]:
    """Return what is spent, and what the submission and each later step may add to it.

    Raises BudgetSpent where no bill that is still to come would make room for it.
    """
    spent = run_spend.spend(connection)
    feared = fear(claim, run_spend.lessons(connection, claim.sort))
    later = [
        fear(step.claim, run_spend.lessons(connection, step.claim.sort)) for step in claim.later
    ]
    refusal = budget.beyond_number(spent) or budget.in_any_case(spent, together(feared, later))
    if refusal:
        raise BudgetSpent(refusal, cost=listed(claim, feared))
    return spent, feared, later


def _follow_attempt(
    connection: sqlite3.Connection, event: e.Event, before: State, values: dict[str, Any]
) -> None:
    statement = IN_STATE.get((before, type(event))) or ATTEMPT.get(type(event))
    if statement is None or (before, type(event)) in _NO_ATTEMPT_OUT:
        return
    try:
        touched = connection.execute(statement, values).rowcount
    except sqlite3.IntegrityError as error:
        raise AttemptOpen(f"document {event.document}: {error}") from error
    assert touched == 1, (
        f"{type(event).__name__} of document {event.document} met {touched} attempts, not one"
    )


def _detail(values: dict[str, Any]) -> str | None:
    told = {
        name: value
        for name, value in values.items()
        if name not in _TOLD_ELSEWHERE
        and value is not None
        and not (name == "error_name" and value == "")
    }
    return msgspec.json.encode(told).decode() if told else None
