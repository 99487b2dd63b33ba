"""What each event leaves in the ledger: of the document, of its attempts, of the copies that wait
for it, in the log.

The change is compared as a whole: what a sentence here doesn't name must be as it was. Columns that
aren't known here may be written by whoever added them.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any, Final

import pytest

from batcher.core import events as e
from batcher.core.budget import Budget
from batcher.core.lifecycle import Impossible, State
from batcher.errors import AttemptOpen, BudgetSpent, Outdated
from batcher.ledger import event_writes, intake
from batcher.ledger.intake import Version
from batcher.ledger.ledger import memory_ledger
from batcher.ledger.run_spend import open_purse
from batcher.manifest.model import Limits

AT: Final = 1_800_000_000.0
DOCUMENT: Final = (
    "state",
    "payer",
    "due_at",
    "tries",
    "paid",
    "reason",
    "kind",
    "error_name",
    "file_id",
    "input_kind",
    "uploaded_at",
    "output",
    "output_sha256",
    "output_size",
    "on_its_own",
    "current",
    "superseded_from",
)
ATTEMPT: Final = (
    "nonce",
    "file_id",
    "input_kind",
    "service",
    "key_print",
    "content",
    "step",
    "outcome",
    "why",
    "void_cause",
    "cancel_requested",
    "error_name",
    "cost",
    "sent_at",
    "fenced_at",
    "job_id",
    "accepted_at",
    "deadline_at",
    "ended_at",
    "pages",
    "credits",
    "deletion_started_at",
    "cleaned_at",
)
OUTCOME: Final = {  # of the attempt that a document in that state has
    **dict.fromkeys(("sending", "unknown", "held"), "open"),
    **dict.fromkeys(("waiting", "ready", "stuck"), "accepted"),
    "saved": "saved",
}
Change = dict[str, Any]
Rows = dict[tuple[str, int, int], dict[str, Any]]


@pytest.fixture
def db() -> sqlite3.Connection:
    """A ledger with nothing in it yet."""
    return memory_ledger(Path("absent.db"), batch="b", clock=lambda: AT).reader


def _documents(db: sqlite3.Connection, state: str, **columns: Any) -> None:
    """Document 1 has been tried before; document 2 is a copy of it, document 3 one of its own with
    a job out.
    """
    facts = {"folder": "/in", "job": "parse", "step": "s", "size": 1, "mtime_ns": 0, "inode": 0}
    versions = [
        Version(source=name, output=f"{name}.json", content=name, **facts) for name in "abc"
    ]
    intake.admit(db, versions, AT - 100)
    db.execute("DELETE FROM events")
    tried = {"due_at": 5.0, "tries": 2, "paid": 2, "reason": "before", "kind": "earlier"}
    tried |= {"error_name": "EARLIER"}
    tried |= {"file_id": "reducto://old", "input_kind": "upload", "uploaded_at": 1.0}
    tried["state"] = state
    _set(db, 1, **(tried | columns))
    _set(db, 2, state="duplicate", payer=1, reason="waits")
    _set(db, 3, state="waiting", paid=1)
    _attempt(db, 1, 1, "saved" if state == "saved" else "void", job_id="job-1")
    if state in OUTCOME:
        _attempt(db, 1, 2, OUTCOME[state], job_id="job-2" if OUTCOME[state] != "open" else None)
    _attempt(db, 3, 1, "accepted", job_id="job-3")


def _set(db: sqlite3.Connection, document: int, **columns: Any) -> None:
    names = ", ".join(f"{name} = :{name}" for name in columns)
    db.execute(
        f"UPDATE documents SET {names} WHERE id = :document", {**columns, "document": document}
    )


def _attempt(
    db: sqlite3.Connection, document: int, number: int, outcome: str, **columns: Any
) -> None:
    row = {
        "document": document,
        "number": number,
        "nonce": f"n{document}.{number}",
        "file_id": "reducto://old",
        "input_kind": "upload",
        "service": "s",
        "key_print": "k",
        "content": "abc"[document - 1],
        "step": "s",
        "outcome": outcome,
        "cost": 4.0,
        "sent_at": AT - 50,
        "why": None,
        **columns,
    }
    db.execute(
        f"INSERT INTO attempts ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})",
        row,
    )


def _rows(db: sqlite3.Connection) -> Rows:
    told: Rows = {}
    for row in db.execute(f"SELECT id, {', '.join(DOCUMENT)} FROM documents"):
        told["document", row[0], 0] = dict(zip(DOCUMENT, row[1:], strict=True))
    for row in db.execute(f"SELECT document, number, {', '.join(ATTEMPT)} FROM attempts"):
        told["attempt", row[0], row[1]] = dict(zip(ATTEMPT, row[2:], strict=True))
    return told


def _difference(before: Rows, after: Rows) -> dict[tuple[str, int, int], Change]:
    """By row, what is another value now; of a new row all of it that isn't null."""
    changes = {
        key: {name: value for name, value in row.items() if value != before.get(key, {}).get(name)}
        for key, row in after.items()
    }
    return {key: change for key, change in changes.items() if change}


NOTHING: Final[Change] = {}
NO_UPLOAD: Final[Change] = {"file_id": None, "input_kind": None, "uploaded_at": None}
SAYS_WHY: Final[Change] = {"reason": "why", "kind": None, "error_name": None}
BY_KIND: Final[Change] = {"reason": "why", "kind": "document", "error_name": None}
NAMED: Final[Change] = {"error_name": "NAME"}
NO_REASON: Final[Change] = {"reason": None, "kind": None, "error_name": None}
AFRESH: Final[Change] = {**NO_UPLOAD, **NO_REASON, "paid": 0, "tries": 0, "due_at": 0.0}
PAID: Final[Change] = {**NO_REASON, "paid": 3, "tries": 0}
IS_OUT: Final[Change] = {
    "outcome": "accepted",
    "job_id": "new",
    "accepted_at": AT,
    "deadline_at": AT + 9,
}
CLOSED: Final[Change] = {"why": "why", "ended_at": AT}
UNPAID: Final[Change] = {"outcome": "void", "why": "why", "cost": 0.0}
REFUSED: Final[Change] = {**UNPAID, "void_cause": "refused"}


REPLACED: Final[Change] = {"outcome": "lost", "why": "superseded", "void_cause": "superseded"}


def _made_way(state: str) -> Change:
    return {"state": "superseded", "superseded_from": state}


CASES: Final[list[tuple[str, e.Event, Change, Change]]] = [
    # state before, event, what becomes of the document, what of its attempt
    (
        "queued",
        e.Uploaded(1, "jobid://new"),
        {
            "state": "uploaded",
            "file_id": "jobid://new",
            "input_kind": "job",
            "uploaded_at": AT,
            "tries": 0,
            "due_at": 0.0,
        },
        {},
    ),
    (
        "uploaded",
        e.UploadLapsed(1, "why", 7.0),
        {"state": "queued", **NO_UPLOAD, **SAYS_WHY, "due_at": 7.0},
        NOTHING,
    ),
    (
        "sending",
        e.UploadLapsed(1, "why", 7.0, "NAME"),
        {"state": "queued", **NO_UPLOAD, **SAYS_WHY, **NAMED, "due_at": 7.0},
        {**UNPAID, **NAMED, "void_cause": "input_lapsed"},
    ),
    ("queued", e.Postponed(1, "why", 7.0, 6), {**SAYS_WHY, "due_at": 7.0, "tries": 6}, NOTHING),
    ("uploaded", e.Postponed(1, "why", 7.0, 6), {**SAYS_WHY, "due_at": 7.0, "tries": 6}, NOTHING),
    ("queued", e.SourceGone(1, "why"), {"state": "source_gone", **SAYS_WHY}, NOTHING),
    ("uploaded", e.SourceChanged(1, "why"), {"state": "source_changed", **SAYS_WHY}, NOTHING),
    ("queued", e.Unreadable(1, "why"), {"state": "unreadable", **SAYS_WHY}, NOTHING),
    ("queued", e.Rejoined(1, 3), {"state": "duplicate", "payer": 3, **NO_REASON}, NOTHING),
    ("following", e.UpstreamSaved(1), {"state": "queued", **NO_REASON, "due_at": 0.0}, NOTHING),
    (
        "following",
        e.UpstreamFailed(1, "why", "document", "NAME"),
        {"state": "blocked", **BY_KIND, **NAMED},
        NOTHING,
    ),
    ("sending", e.Accepted(1, "new", AT + 9), {"state": "waiting", **PAID}, IS_OUT),
    (
        "sending",
        e.RefusedForNow(1, "why", 7.0, "NAME"),
        {"state": "uploaded", **SAYS_WHY, **NAMED, "due_at": 7.0, "tries": 3},
        {**REFUSED, **NAMED},
    ),
    ("sending", e.Rejected(1, "why", "document"), {"state": "failed", **BY_KIND}, REFUSED),
    (
        "queued",
        e.Rejected(1, "why", "document", "NAME"),
        {"state": "failed", **BY_KIND, **NAMED},
        NOTHING,
    ),
    ("uploaded", e.Rejected(1, "why", "document"), {"state": "failed", **BY_KIND}, NOTHING),
    ("sending", e.ReplyLost(1, "why"), {"state": "unknown", **SAYS_WHY}, {"why": "why"}),
    ("unknown", e.Fenced(1, AT - 3), NOTHING, {"fenced_at": AT - 3}),
    ("unknown", e.Adopted(1, "new", AT + 9), {"state": "waiting", **PAID}, IS_OUT),
    ("held", e.Adopted(1, "new", AT + 9), {"state": "waiting", **PAID}, IS_OUT),
    (
        "unknown",
        e.ProvenAbsent(1),
        {"state": "queued", **NO_UPLOAD, "tries": 3},
        {"outcome": "void", "why": "proven absent", "void_cause": "proven_absent", "cost": 0.0},
    ),
    (
        "unknown",
        e.GivenUp(1, "why"),
        {"state": "failed", **SAYS_WHY, "kind": "transient"},
        {**UNPAID, "void_cause": "given_up"},
    ),
    ("unknown", e.Held(1, "why"), {"state": "held", **SAYS_WHY}, NOTHING),
    (
        "waiting",
        e.Ended(1, 8, 2.5),
        {"state": "ready"},
        {"ended_at": AT, "pages": 8, "credits": 2.5},
    ),
    (
        "waiting",
        e.JobFailed(1, "why", "document", "NAME"),
        {"state": "failed", **BY_KIND, **NAMED},
        {"outcome": "void", **CLOSED, **NAMED, "void_cause": "failed"},
    ),
    (
        "ready",
        e.JobToRepeat(1, "why", 7.0, "NAME"),
        {"state": "queued", **NO_UPLOAD, **SAYS_WHY, **NAMED, "due_at": 7.0},
        {"outcome": "void", **CLOSED, **NAMED, "void_cause": "failed"},
    ),
    (
        "waiting",
        e.JobVoided(1, "why", "NAME"),
        {"state": "queued", **NO_UPLOAD, **SAYS_WHY, **NAMED, "paid": 1},
        {"outcome": "void", **CLOSED, **NAMED, "cost": 0.0, "void_cause": "no_input"},
    ),
    (
        "waiting",
        e.Expired(1, "why", "NAME"),
        {"state": "expired", **SAYS_WHY, **NAMED},
        {"outcome": "lost", **CLOSED, **NAMED, "void_cause": "expired"},
    ),
    (
        "ready",
        e.Lost(1, "why"),
        {"state": "lost", **SAYS_WHY},
        {"outcome": "lost", **CLOSED, "void_cause": "lost"},
    ),
    ("waiting", e.Stuck(1, "why"), {"state": "stuck", **SAYS_WHY}, NOTHING),
    (
        "stuck",
        e.Recalled(1),
        {"state": "waiting", **NO_REASON, "paid": 0},
        {"cancel_requested": 1, "why": "a person wants it cancelled"},
    ),
    (
        "waiting",
        e.Cancelled(1, "why"),
        {"state": "cancelled", **SAYS_WHY},
        {"outcome": "void", **CLOSED, "void_cause": "cancelled"},
    ),
    (
        "stuck",
        e.Cancelled(1, "why"),
        {"state": "cancelled", **SAYS_WHY},
        {"outcome": "void", **CLOSED, "void_cause": "cancelled"},
    ),
    *(
        (s, e.Cancelled(1, "why"), {"state": "cancelled", **SAYS_WHY}, NOTHING)
        for s in ("queued", "uploaded")
    ),
    ("following", e.Cancelled(1, "why"), {"state": "cancelled", **SAYS_WHY}, NOTHING),
    (
        "ready",
        e.Saved(1, "x.json", "00ff", 7),
        {
            "state": "saved",
            "output": "x.json",
            "output_sha256": "00ff",
            "output_size": 7,
            **NO_REASON,
        },
        {"outcome": "saved"},
    ),
    ("saved", e.FileMissed(1, "why"), {"state": "ready", **SAYS_WHY}, {"outcome": "accepted"}),
    ("saved", e.DeletionStarted(1, "job-2"), NOTHING, {"deletion_started_at": AT}),
    ("saved", e.Cleaned(1, "job-2"), NOTHING, {"cleaned_at": AT}),
    ("waiting", e.JobExchanged(1, "job-9"), NOTHING, {"job_id": "job-9"}),
    ("waiting", e.JobExchanged(1, ""), NOTHING, {"job_id": None}),
    ("stuck", e.JobExchanged(1, "job-9"), {"state": "waiting"}, {"job_id": "job-9"}),
    ("saved", e.JobExchanged(1, "job-9"), NOTHING, {"job_id": "job-9"}),
    ("saved", e.JobExchanged(1, ""), NOTHING, {"job_id": None}),
    (
        "saved",
        e.WrongInput(1, "why", "transient"),
        {"state": "failed", **SAYS_WHY, "kind": "transient"},
        {"outcome": "void", "void_cause": "wrong_input", "why": "why"},
    ),
    *(
        (s, e.Retried(1), {"state": "queued", **AFRESH}, NOTHING)
        for s in ("failed", "expired", "saved", "cancelled")
    ),
    (
        "failed",
        e.TakenUp(1, 3),
        {"state": "queued", **NO_UPLOAD, **NO_REASON, "tries": 0, "due_at": 0.0},
        NOTHING,
    ),
    *(
        (s, e.Follows(1), {"state": "following", **AFRESH}, NOTHING)
        for s in ("blocked", "failed", "saved")
    ),
    *(
        (
            "held",
            event,
            {"state": state, **AFRESH},
            {"outcome": "lost", "why": "a person decided to pay again", "void_cause": "paid_again"},
        )
        for event, state in ((e.Retried(1), "queued"), (e.Follows(1), "following"))
    ),
    (
        "waiting",
        e.Superseded(1),
        _made_way("waiting"),
        {**REPLACED, "ended_at": AT},
    ),
    *((state, e.Superseded(1), _made_way(state), REPLACED) for state in ("ready", "stuck", "held")),
    *(
        (s, e.Superseded(1), _made_way(s), NOTHING)
        for s in ("queued", "failed", "saved", "source_gone")
    ),
    *(
        (s, e.Withdrawn(1, "why"), {**_made_way(s), **SAYS_WHY, "current": 0}, NOTHING)
        for s in ("queued", "uploaded", "following")
    ),
    ("superseded", e.Retried(1), AFRESH, NOTHING),
    ("superseded", e.SourceGone(1, "why"), SAYS_WHY, NOTHING),
]


@pytest.mark.parametrize(
    ("state", "event", "document", "attempt"),
    [pytest.param(*case, id=f"{case[0]}, {type(case[1]).__name__}") for case in CASES],
)
def test_an_event_changes_what_it_should_and_nothing_else(
    state: str, event: e.Event, document: Change, attempt: Change, db: sqlite3.Connection
) -> None:
    """The document's own row and, where one is under way, the last of its attempts; nobody
    else's.
    """
    _documents(db, state)
    before = _rows(db)
    told = event_writes.apply(db, event, AT)
    expected = {("document", 1, 0): document, ("attempt", 1, 2): attempt}
    assert _difference(before, _rows(db)) == {
        key: change for key, change in expected.items() if change
    }
    assert told == (State(state), State(document.get("state", state)))
    (logged,) = db.execute("SELECT at, document, event, state, detail FROM events").fetchall()
    assert logged[:4] == (AT, 1, type(event).__name__, told[1].value)
    assert _detail(logged[4]) == {
        name: getattr(event, name)
        for name in event.__struct_fields__
        if name != "document" and getattr(event, name) not in (None, "")
    } | ({"job_id": ""} if event == e.JobExchanged(1, "") else {})


def _detail(text: str | None) -> dict[str, Any]:
    """No text where there is nothing to tell."""
    assert text != "{}"
    return json.loads(text) if text else {}


def test_the_deletion_of_a_job_isn_t_that_of_the_job_it_was_exchanged_for(
    db: sqlite3.Connection,
) -> None:
    _documents(db, "saved")
    event_writes.apply(db, e.DeletionStarted(1, "job-2"), AT)
    before = _rows(db)
    event_writes.apply(db, e.JobExchanged(1, "job-9"), AT)
    changed = {"job_id": "job-9", "deletion_started_at": None}
    assert _difference(before, _rows(db)) == {("attempt", 1, 2): changed}


# --- submissions ----------------------------------------------------------------------------------

SENDING: Final = e.Sending(1, "n-new", "svc", "print", 1.5)


def test_a_submission_is_on_record_with_all_that_finds_it_again(db: sqlite3.Connection) -> None:
    """Its nonce and its upload, at which service and with which key, of which bytes; and the key's
    print isn't told.
    """
    _documents(db, "uploaded")
    before = _rows(db)
    event_writes.apply(db, SENDING, AT)
    assert _difference(before, _rows(db)) == {
        ("document", 1, 0): {"state": "sending"},
        ("attempt", 1, 2): {
            "nonce": "n-new",
            "file_id": "reducto://old",
            "input_kind": "upload",
            "service": "svc",
            "key_print": "print",
            "content": "a",
            "step": "s",
            "outcome": "open",
            "cancel_requested": 0,
            "cost": 1.5,
            "sent_at": AT,
        },
    }
    (detail,) = db.execute("SELECT detail FROM events").fetchone()
    assert json.loads(detail) == {"nonce": "n-new", "cost": 1.5}


def test_no_document_is_paid_for_a_fourth_time(db: sqlite3.Connection) -> None:
    """A third is the last, whatever the stages think."""
    _documents(db, "uploaded", paid=3)
    with pytest.raises(AssertionError, match="paid 3 times"):
        event_writes.apply(db, SENDING, AT)


def test_the_same_bytes_are_out_once(db: sqlite3.Connection) -> None:
    """Under whatever number."""
    _documents(db, "uploaded")
    db.execute("UPDATE attempts SET content = 'a' WHERE document = 3")
    with pytest.raises(AttemptOpen):
        event_writes.apply(db, SENDING, AT)


def test_a_submission_past_a_limit_is_refused_as_it_is_put_on_record(
    db: sqlite3.Connection,
) -> None:
    """Where one may be sent the second isn't, and leaves no trace; without a limit it is."""
    _documents(db, "uploaded")
    open_purse(db)
    budget = Budget(limits=Limits(max_documents=1))
    event_writes.apply(db, SENDING, AT, budget=budget)
    _set(db, 3, state="uploaded")
    db.execute("DELETE FROM attempts WHERE document = 3")
    before = _rows(db)
    second = e.Sending(3, "n-3", "svc", "print", 2.5)
    with pytest.raises(BudgetSpent) as caught:
        event_writes.apply(db, second, AT, budget=budget)
    assert (caught.value.cost, caught.value.may_fit) == (2.5, False)
    assert _rows(db) == before
    event_writes.apply(db, second, AT)


def test_what_has_no_attempt_to_follow_is_a_defect(db: sqlite3.Connection) -> None:
    """Never passed over: the ledger would say that a job is out, or isn't, and it were not so."""
    _documents(db, "waiting")
    db.execute("DELETE FROM attempts WHERE document = 1")
    with pytest.raises(AssertionError, match="met 0 attempts"):
        event_writes.apply(db, e.JobFailed(1, "why", "document"), AT)


def test_there_is_no_event_of_nobody(db: sqlite3.Connection) -> None:
    """A number that no document has."""
    with pytest.raises(Impossible, match="no document 77"):
        event_writes.apply(db, e.Retried(77), AT)


# --- too late -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "event"),
    [
        *(
            (state, e.PayerFailed(1, "why", "document"))
            for state in ("queued", "saved", "superseded")
        ),
        *((state, e.Promoted(1)) for state in ("queued", "saved", "superseded")),
        *((state, e.Follows(1)) for state in ("queued", "waiting", "following", "unknown")),
        ("superseded", e.Adopted(1, "new", AT + 9)),
    ],
    ids=str,
)
def test_what_comes_too_late_is_said_to_and_leaves_no_trace(
    state: str, event: e.Event, db: sqlite3.Connection
) -> None:
    """Between a look and the act that follows from it others act too: that is nobody's defect."""
    _documents(db, state)
    before = _rows(db)
    with pytest.raises(Outdated):
        event_writes.apply(db, event, AT)
    assert _rows(db) == before
    assert db.execute("SELECT count(*) FROM events").fetchone() == (0,)


@pytest.mark.parametrize(
    "event", [e.Saved(1, "o", "00", 1), e.Ended(1, 1, 1.0), e.Sending(1, "n", "s", "k", 1.0)]
)
def test_what_can_not_be_is_told_from_what_is_late(event: e.Event, db: sqlite3.Connection) -> None:
    """It is a defect of batcher's, and leaves no trace either."""
    _documents(db, "queued")
    before = _rows(db)
    with pytest.raises(Impossible):
        event_writes.apply(db, event, AT)
    assert _rows(db) == before


# --- what makes way -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "event", "stays_out"),
    [
        ("sending", e.Accepted(1, "new", AT + 9), True),
        ("sending", e.ReplyLost(1, "why"), True),
        ("waiting", e.Ended(1, 1, 1.0), True),
        ("ready", e.Saved(1, "o.json", "00", 1), False),
        ("waiting", e.JobFailed(1, "why", "document"), False),
        ("sending", e.RefusedForNow(1, "why", 0.0), False),
        ("unknown", e.ProvenAbsent(1), False),
        ("unknown", e.Held(1, "why"), False),
    ],
)
def test_an_older_version_makes_way_once_nothing_is_out_for_it(
    state: str, event: e.Event, stays_out: bool, db: sqlite3.Connection
) -> None:
    """Whatever it came to: nobody waits for it, and it is never sent again."""
    _documents(db, state, current=0)
    _, after = event_writes.apply(db, event, AT)
    assert (after is not State.SUPERSEDED) is stays_out
    logged = [row[0] for row in db.execute("SELECT event FROM events ORDER BY seq")]
    assert logged == [type(event).__name__, *(() if stays_out else ("Superseded",))]


def test_an_older_version_is_not_sent(db: sqlite3.Connection) -> None:
    """Where the newer one was taken in while it was being uploaded."""
    _documents(db, "uploaded", current=0)
    with pytest.raises(Outdated, match="newer version"):
        event_writes.apply(db, SENDING, AT)


@pytest.mark.parametrize(
    ("found", "scan", "after"), [(4, 4, "queued"), (3, 4, "superseded"), (3, None, "queued")]
)
def test_what_comes_back_to_the_queue_and_was_not_found_is_withdrawn(
    found: int, scan: int | None, after: str, db: sqlite3.Connection
) -> None:
    """By a scan that has seen everything; as long as none has, nobody knows."""
    _documents(db, "waiting", scan=found)
    assert event_writes.apply(db, e.JobToRepeat(1, "why", 0.0), AT, scan=scan)[1] == after
    _set(db, 3, scan=found)
    assert event_writes.apply(db, e.Ended(3, 1, 1.0), AT, scan=scan)[1] == "ready", "it is paid for"


# --- inputs that are an earlier job ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "event"),
    [
        ("uploaded", e.UploadLapsed(1, "why")),
        ("sending", e.UploadLapsed(1, "why")),
        ("waiting", e.JobVoided(1, "why")),
    ],
    ids=["uploaded", "sending", "waiting"],
)
@pytest.mark.parametrize(
    ("kind", "had", "has"),
    [("job", 0, 1), ("upload", 0, 0), ("upload", 1, 1), (None, 0, 0)],
)
def test_who_can_not_read_the_job_before_it_goes_on_with_an_upload_of_its_own(
    state: str, event: e.Event, kind: str | None, had: int, has: int, db: sqlite3.Connection
) -> None:
    """For good, until a person begins it anew."""
    _documents(db, state, input_kind=kind, on_its_own=had)
    event_writes.apply(db, event, AT)
    assert db.execute("SELECT on_its_own FROM documents WHERE id = 1").fetchone() == (has,)


def test_begun_anew_it_reads_the_job_before_it_again(db: sqlite3.Connection) -> None:
    """And stands for itself."""
    _documents(db, "failed", on_its_own=1, payer=3)
    event_writes.apply(db, e.Retried(1), AT)
    assert db.execute("SELECT on_its_own, payer FROM documents WHERE id = 1").fetchone() == (
        0,
        None,
    )


# --- copies ---------------------------------------------------------------------------------------


def _copies(db: sqlite3.Connection) -> None:
    """Documents 2 and 3 wait for document 1; so did 1 for the one that it stands in for, once."""
    _documents(db, "failed")
    db.execute("DELETE FROM attempts WHERE document = 3")
    _set(db, 3, state="duplicate", payer=1)


@pytest.mark.parametrize(
    ("event", "state"), [(e.Promoted(2), "queued"), (e.Follows(2), "following")]
)
def test_the_others_wait_for_the_copy_that_pays_now(
    event: e.Event, state: str, db: sqlite3.Connection
) -> None:
    """All that waited for the same payer, and none of another's."""
    _copies(db)
    event_writes.apply(db, event, AT)
    assert db.execute("SELECT state, payer FROM documents WHERE id = 2").fetchone() == (state, None)
    assert db.execute("SELECT state, payer FROM documents WHERE id = 3").fetchone() == (
        "duplicate",
        2,
    )
    _set(db, 3, payer=77)
    _set(db, 2, state="duplicate", payer=1)
    event_writes.apply(db, event, AT)
    assert db.execute("SELECT payer FROM documents WHERE id = 3").fetchone() == (77,)


@pytest.mark.parametrize("payer_has_result", [True, False])
def test_the_others_wait_for_the_copy_that_has_the_result(
    payer_has_result: bool, db: sqlite3.Connection
) -> None:
    """Where their payer has none: it was superseded before it was saved."""
    _copies(db)
    _set(db, 1, output_sha256="00" if payer_has_result else None)
    event_writes.apply(db, e.Saved(2, "b.json", "00", 1), AT)
    assert db.execute("SELECT state, payer FROM documents WHERE id = 2").fetchone() == ("saved", 1)
    assert db.execute("SELECT payer FROM documents WHERE id = 3").fetchone() == (
        1 if payer_has_result else 2,
    )


def test_a_copy_that_has_come_to_an_end_waits_for_nobody_new(db: sqlite3.Connection) -> None:
    """Only those that still wait are told whom for."""
    _copies(db)
    _set(db, 3, state="cancelled")
    event_writes.apply(db, e.Promoted(2), AT)
    assert db.execute("SELECT payer FROM documents WHERE id = 3").fetchone() == (1,)


def test_a_copy_that_was_paid_for_itself_is_one_no_more(db: sqlite3.Connection) -> None:
    """Lost on disk, its result was fetched by its own job: it keeps no payer; one that was only
    copied does.
    """
    _documents(db, "ready", payer=3)
    event_writes.apply(db, e.Saved(1, "o.json", "00", 1), AT)
    assert db.execute("SELECT payer FROM documents WHERE id = 1").fetchone() == (3,)
    db.execute("UPDATE documents SET state = 'duplicate' WHERE id = 1")
    event_writes.apply(db, e.Saved(1, "o.json", "00", 1), AT)
    assert db.execute("SELECT payer FROM documents WHERE id = 1").fetchone() == (None,)


def test_a_copy_shares_its_payer_s_verdict(db: sqlite3.Connection) -> None:
    """With its words and its class."""
    _documents(db, "failed")
    event_writes.apply(db, e.PayerFailed(2, "as document 1", "provider"), AT)
    row = db.execute("SELECT state, reason, kind FROM documents WHERE id = 2").fetchone()
    assert row == ("failed", "as document 1", "provider")


# --- results lost and found -----------------------------------------------------------------------


def test_of_two_paid_results_the_last_is_fetched_or_cleaned(db: sqlite3.Connection) -> None:
    """One that is deleted at the service can't be fetched again, and isn't deleted twice; nor is
    another job's.
    """
    _documents(db, "saved")
    for job_id in ("job-1", "job-3", "job-x"):
        with pytest.raises(AssertionError, match="met 0 attempts"):
            event_writes.apply(db, e.Cleaned(1, job_id), AT)
    event_writes.apply(db, e.Cleaned(1, "job-2"), AT)
    for event in (e.Cleaned(1, "job-2"), e.FileMissed(1, "no file")):
        with pytest.raises(AssertionError, match="met 0 attempts"):
            event_writes.apply(db, event, AT)


@pytest.mark.parametrize(
    ("requested", "why", "left"), [(1, "words", None), (0, "words", "words"), (0, None, None)]
)
def test_a_recalled_job_that_completes_after_all_is_like_any_other(
    requested: int, why: str | None, left: str | None, db: sqlite3.Connection
) -> None:
    """The request goes with its words, and no other word does."""
    _documents(db, "waiting")
    db.execute(
        "UPDATE attempts SET cancel_requested = ?, why = ? WHERE document = 1 AND number = 2",
        (requested, why),
    )
    event_writes.apply(db, e.Ended(1, 1, 1.0), AT)
    assert db.execute(
        "SELECT cancel_requested, why FROM attempts WHERE document = 1 AND number = 2"
    ).fetchone() == (0, left)


@pytest.mark.parametrize(
    "event",
    [e.Cancelled(1, "why"), e.JobFailed(1, "why", "document"), e.Expired(1, "why")],
    ids=lambda event: type(event).__name__,
)
def test_what_has_ended_is_no_longer_to_be_cancelled(
    event: e.Event, db: sqlite3.Connection
) -> None:
    """Nobody waits for the end of a job that has ended."""
    _documents(db, "stuck")
    event_writes.apply(db, e.Recalled(1), AT)
    event_writes.apply(db, event, AT)
    assert db.execute("SELECT max(cancel_requested) FROM attempts").fetchone() == (0,)


def test_a_missing_file_is_fetched_by_the_last_attempt_of_its_own(db: sqlite3.Connection) -> None:
    """However often others were sent."""
    _documents(db, "saved")
    _set(db, 3, state="saved")
    _attempt(db, 3, 9, "saved", job_id="job-9")
    event_writes.apply(db, e.FileMissed(1, "why"), AT)
    rows = _rows(db)
    assert [rows["attempt", *key]["outcome"] for key in ((1, 1), (1, 2), (3, 9))] == [
        "saved",
        "accepted",
        "saved",
    ]


def test_what_is_taken_up_is_paid_for_once_more_at_most(db: sqlite3.Connection) -> None:
    """By itself, and waits for nobody whose verdict it shared."""
    _documents(db, "failed", paid=3, payer=3)
    event_writes.apply(db, e.TakenUp(1, 3), AT)
    taken = _rows(db)["document", 1, 0]
    assert (taken["paid"], taken["payer"]) == (2, None)


def test_what_is_paid_never_falls_below_nothing(db: sqlite3.Connection) -> None:
    """A person may have set it to nought while the job was out."""
    _documents(db, "waiting", paid=0)
    event_writes.apply(db, e.JobVoided(1, "why"), AT)
    assert db.execute("SELECT paid FROM documents WHERE id = 1").fetchone() == (0,)


def test_what_was_paid_for_an_older_version_is_fetched_for_its_like(db: sqlite3.Connection) -> None:
    """The last of its results; not one that is deleted at the service."""
    _documents(db, "saved")
    _set(db, 1, state="superseded", current=0)
    before = _rows(db)
    event_writes.apply(db, e.FileMissed(1, "why"), AT)
    changed = _difference(before, _rows(db))
    assert changed["document", 1, 0]["state"] == "ready"
    assert changed["attempt", 1, 2] == {"outcome": "accepted"}
    assert len(changed) == 2
    db.execute(
        "UPDATE attempts SET outcome = 'saved', cleaned_at = 1.0 WHERE document = 1 AND number = 2"
    )
    _set(db, 1, state="superseded")
    with pytest.raises(AssertionError, match="met 0 attempts"):
        event_writes.apply(db, e.FileMissed(1, "why"), AT)


@pytest.mark.parametrize("state", ["duplicate", "ready"])
def test_only_a_copy_hands_on_who_is_waited_for(state: str, db: sqlite3.Connection) -> None:
    """One that brings home a job of its own has nothing to say of the payer that it had once."""
    _documents(db, "ready", payer=3)
    _set(db, 1, state=state)
    _set(db, 2, payer=3)
    event_writes.apply(db, e.Saved(1, "o.json", "00", 1), AT)
    assert db.execute("SELECT payer FROM documents WHERE id = 2").fetchone() == (
        1 if state == "duplicate" else 3,
    )


# --- second jobs of one attempt -------------------------------------------------------------------


def test_a_second_job_of_an_attempt_is_noted_once(db: sqlite3.Connection) -> None:
    """By its nonce, with what it costs; and told in the document's story."""
    _documents(db, "waiting")
    found = {"job_id": "twin", "nonce": "n1.2", "status": "Completed", "credits": 3.0, "at": AT}
    told = {**found, "document": 1}
    assert event_writes.note_twin(db, dict(told)) is True
    assert event_writes.note_twin(db, dict(told)) is False
    twin = "SELECT service, job_id, document, nonce, status, credits, found_at FROM twins"
    assert db.execute(twin).fetchall() == [("s", "twin", 1, "n1.2", "Completed", 3.0, AT)]
    (logged,) = db.execute("SELECT at, document, event, state, detail FROM events").fetchall()
    assert logged[:4] == (AT, 1, "TwinFound", "waiting")
    assert json.loads(logged[4]) == {"job_id": "twin", "status": "Completed", "credits": 3.0}


def test_a_superseded_result_that_was_made_from_another_s_is_none_to_go_by(
    db: sqlite3.Connection,
) -> None:
    """Documents with the same bytes would take it over."""
    _documents(db, "saved")
    event_writes.apply(db, e.Superseded(1), AT)
    event_writes.apply(db, e.WrongInput(1, "why", "transient"), AT)
    row = db.execute("SELECT state, superseded_from, kind FROM documents WHERE id = 1").fetchone()
    assert tuple(row) == ("superseded", "failed", "transient")
    last = "SELECT outcome FROM attempts WHERE document = 1 ORDER BY number DESC LIMIT 1"
    assert db.execute(last).fetchone() == ("void",)
