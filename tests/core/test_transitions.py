"""The life of a document said once more, by events and not by states: when each may happen, and
what it makes of it.

States stand here by the words that the ledger holds, for those are what people and other programs
read.
"""

from typing import Final

import pytest

from batcher.core import events as e
from batcher.core.lifecycle import (
    IN_FLIGHT,
    OPEN,
    OUT,
    TABLE,
    TO_SUBMIT,
    UNSENT,
    VERDICTS,
    Impossible,
    State,
    advance,
    diagram,
)

Rules = dict[tuple[str, type[e.Event]], str]

NOT_SENT_YET: Final = ("queued", "uploaded")
JOB_IS_OUT: Final = ("waiting", "ready", "stuck")  # a stuck one may end yet
NOTHING_IS_OUT: Final = (
    "failed",
    "blocked",
    "expired",
    "lost",
    "unsupported",
    "unreadable",
    "source_gone",
    "source_changed",
    "cancelled",
)
PERSON_DECIDES: Final = (*NOTHING_IS_OUT, "held", "saved")  # what may be put back in the queue

LIVES: Final[dict[str, Rules]] = {
    "its source fails it only while its bytes are still needed": {
        (state, event): to
        for state in (*NOT_SENT_YET, "duplicate")
        for event, to in (
            (e.SourceGone, "source_gone"),
            (e.SourceChanged, "source_changed"),
            (e.Unreadable, "unreadable"),
        )
    },
    "an upload comes before a submission, and may be too old for it": {
        ("queued", e.Uploaded): "uploaded",
        ("uploaded", e.UploadLapsed): "queued",
        ("sending", e.UploadLapsed): "queued",
        ("uploaded", e.Sending): "sending",
    },
    "what is put off stays what it is": {(state, e.Postponed): state for state in NOT_SENT_YET},
    "a refusal is one only of what the service surely hasn't accepted": {
        **{(state, e.Rejected): "failed" for state in (*NOT_SENT_YET, "sending")},
        ("sending", e.RefusedForNow): "uploaded",
    },
    "what was sent is accepted, or nobody knows": {
        ("sending", e.Accepted): "waiting",
        ("sending", e.ReplyLost): "unknown",
    },
    "what nobody knows is found, proven absent or held": {
        ("unknown", e.Adopted): "waiting",
        ("unknown", e.Fenced): "unknown",
        ("unknown", e.ProvenAbsent): "queued",
        ("unknown", e.GivenUp): "failed",
        ("unknown", e.Held): "held",
        ("held", e.Adopted): "waiting",
    },
    "a job that is out comes to its own end, whatever was thought of it before": {
        (state, event): to
        for state in JOB_IS_OUT
        for event, to in (
            (e.Ended, "ready"),
            (e.JobFailed, "failed"),
            (e.JobToRepeat, "queued"),
            (e.JobVoided, "queued"),
            (e.Expired, "expired"),
            (e.Lost, "lost"),
            (e.Stuck, "stuck"),
        )
    },
    "a person may cancel what is waiting or out, and nothing whose fate is open": {
        (state, e.Cancelled): "cancelled"
        for state in ("following", *NOT_SENT_YET, "duplicate", *JOB_IS_OUT)
    },
    "a stuck job is asked for again before anything is paid again": {
        ("stuck", e.Recalled): "waiting"
    },
    "a result is saved when it is there, or with the document that paid for it": {
        ("ready", e.Saved): "saved",
        ("duplicate", e.Saved): "saved",
    },
    "what is saved is fetched again where its file is missed, and may be deleted at the service": {
        ("saved", e.FileMissed): "ready",
        ("saved", e.DeletionStarted): "saved",
        ("saved", e.Cleaned): "saved",
    },
    "what failed for a passing reason is taken up by the next run": {
        ("failed", e.TakenUp): "queued"
    },
    "those that were answered others' jobs are given their own back": {
        ("stuck", e.JobExchanged): "waiting",
        ("waiting", e.JobExchanged): "waiting",
        ("saved", e.JobExchanged): "saved",
    },
    "what was made from another's job has failed, and only a person pays again": {
        ("saved", e.WrongInput): "failed"
    },
    "a copy stands for itself where its payer can't, and shares its payer's verdict": {
        ("duplicate", e.Promoted): "queued",
        ("duplicate", e.Follows): "following",
        ("duplicate", e.PayerFailed): "failed",
        **{(state, e.Rejoined): "duplicate" for state in (*NOT_SENT_YET, "duplicate")},
    },
    "what nobody asks for any more is withdrawn while nothing was sent of it": {
        (state, e.Withdrawn): "superseded" for state in ("following", *NOT_SENT_YET, "duplicate")
    },
    "what was paid for an older version is fetched where somebody with the same bytes wants it": {
        ("superseded", e.FileMissed): "ready"
    },
    "a later step waits for the one before it, and goes on when that is saved after all": {
        ("following", e.UpstreamSaved): "queued",
        ("following", e.UpstreamFailed): "blocked",
        ("blocked", e.UpstreamSaved): "queued",
    },
    "whoever has come to an end can be begun again: alone, as a copy, or as a later step": {
        (state, event): to
        for state in PERSON_DECIDES
        for event, to in (
            (e.Retried, "queued"),
            (e.Rejoined, "duplicate"),
            (e.Follows, "following"),
        )
    },
    "a newer version takes the place of everything but what is being sent": {
        (state, e.Superseded): "superseded"
        for state in ("following", *NOT_SENT_YET, "duplicate", *JOB_IS_OUT, *PERSON_DECIDES)
    },
    "what comes too late for a superseded one changes nothing": {
        ("superseded", event): "superseded"
        for event in (
            e.Uploaded,
            e.UploadLapsed,
            e.Postponed,
            e.Rejected,
            e.SourceGone,
            e.SourceChanged,
            e.Unreadable,
            e.Saved,
            e.Promoted,
            e.PayerFailed,
            e.Retried,
            e.Rejoined,
            e.Follows,
            e.UpstreamSaved,
            e.UpstreamFailed,
            e.WrongInput,
            e.DeletionStarted,
            e.Cleaned,
        )
    },
}
CASES: Final = [
    pytest.param(state, event, to, id=f"{why}: {state}, {event.__name__}")
    for why, rules in LIVES.items()
    for (state, event), to in rules.items()
]


@pytest.mark.parametrize(("state", "event", "to"), CASES)
def test_it_leads_where_it_should(state: str, event: type[e.Event], to: str) -> None:
    """Whatever happens to a document makes of it what the sentence says."""
    assert advance(State(state), event(*(1 for _ in event.__struct_fields__))) == to


def test_nothing_else_can_happen() -> None:
    """An event that no sentence allows in a state would be a way round all of them."""
    allowed = {pair for rules in LIVES.values() for pair in rules}
    assert sum(len(rules) for rules in LIVES.values()) == len(allowed), (
        "two sentences speak of the same"
    )
    assert {(state.value, event) for state, row in TABLE.items() for event in row} == allowed


def test_the_impossible_names_document_state_and_event() -> None:
    """A defect of batcher's own must be found by what its trace says."""
    with pytest.raises(Impossible, match=r"document 7 is queued and can't be Saved"):
        advance(State.QUEUED, e.Saved(7, "out.json", "00", 1))


def test_the_groups_hold_whom_their_names_say() -> None:
    """What is counted as sent, as perhaps paid and as still open decides what a run waits for."""
    assert {"queued", "uploaded"} == TO_SUBMIT
    assert {"waiting", "ready"} == IN_FLIGHT
    assert {"sending", "unknown", "waiting", "ready"} == OUT
    assert {"queued", "uploaded", "duplicate", "following"} == UNSENT
    assert OPEN == OUT | UNSENT
    assert {*NOTHING_IS_OUT, "held", "stuck"} == VERDICTS


def test_of_what_is_perhaps_paid_only_an_answer_makes_an_end() -> None:
    """No source, copy, upstream, person or newer version takes a document back that the service may
    have.
    """
    sent = {state for state in State if state in ("sending", "unknown")}
    ways = {event for state in sent for event in TABLE[state]}
    speaks_for_the_service = {
        e.Accepted,
        e.RefusedForNow,
        e.Rejected,
        e.UploadLapsed,
        e.ReplyLost,
        e.Adopted,
    }
    proofs = {e.Fenced, e.ProvenAbsent, e.GivenUp, e.Held}
    assert ways == speaks_for_the_service | proofs


def test_the_picture_shows_every_way_off_the_main_road() -> None:
    """From each state in which something may go wrong, whither; what only leads on along the road
    isn't told twice.
    """
    road, *ways = diagram().splitlines()
    assert road.split() == (
        (
            "queued ─Uploaded─► uploaded ─Sending─► sending ─Accepted─► waiting ─Ended─► ready "
            "─Saved─► saved"
        ).split()
    )
    told = {line.split()[0]: line for line in ways}
    assert list(told) == ["sending", "unknown", "waiting", "duplicate"]
    for state, line in told.items():
        for event, to in TABLE[State(state)].items():
            on_the_road = to in ("ready", "saved")
            assert (f"{event.__name__} ─► {to}" in line) is not on_the_road
