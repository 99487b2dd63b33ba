"""The life of a document: every state, and the table of which event leads from which to which.

Stages report events, `advance` decides the new state, and the ledger writes both in one
transaction. Nothing here knows when, where or why an event happened.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Final

from batcher.core.events import (
    Accepted,
    Adopted,
    Cancelled,
    Cleaned,
    DeletionStarted,
    Ended,
    Event,
    Expired,
    Fenced,
    FileMissed,
    Follows,
    GivenUp,
    Held,
    JobExchanged,
    JobFailed,
    JobToRepeat,
    JobVoided,
    Lost,
    PayerFailed,
    Postponed,
    Promoted,
    ProvenAbsent,
    Recalled,
    RefusedForNow,
    Rejected,
    Rejoined,
    ReplyLost,
    Retried,
    Saved,
    Sending,
    SourceChanged,
    SourceGone,
    Stuck,
    Superseded,
    TakenUp,
    Unreadable,
    Uploaded,
    UploadLapsed,
    UpstreamFailed,
    UpstreamSaved,
    Withdrawn,
    WrongInput,
)


class State(StrEnum):
    """The states of a document. The values are stored in the ledger."""

    FOLLOWING = "following"  # a later step of a chain: waits for the end of the previous step
    QUEUED = "queued"  # to be uploaded
    UPLOADED = "uploaded"  # uploaded; its submission is due, or was refused for now
    SENDING = "sending"  # an attempt is on record and the POST may have left
    UNKNOWN = "unknown"  # the POST was sent and its answer lost: perhaps paid
    WAITING = "waiting"  # accepted: the service has a job for it
    READY = "ready"  # the job has completed, and its result isn't on disk yet
    DUPLICATE = "duplicate"  # same bytes and step as another document, whose end it awaits
    SAVED = "saved"
    FAILED = "failed"
    # The previous step came to a verdict, so there is nothing to continue with.
    BLOCKED = "blocked"
    EXPIRED = "expired"  # the service deleted the result before it was fetched
    LOST = "lost"  # the service says that the result is gone before its time was up
    # Its job is paid for, but brought no result: it still runs, or the result can't be read.
    STUCK = "stuck"
    HELD = "held"  # perhaps paid, which can't be proven: a person decides
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"
    SOURCE_GONE = "source_gone"
    SOURCE_CHANGED = "source_changed"
    CANCELLED = "cancelled"
    # A newer version of its source took its place, or it is no longer asked for.
    SUPERSEDED = "superseded"


# A look-up costs a tenth of what a call of the enumeration does.
STATES: Final = {state.value: state for state in State}


class Impossible(AssertionError):
    """An event that can't happen in that state, which is a defect in batcher itself."""


_FROM_SOURCE: Final[dict[type[Event], State]] = {
    SourceGone: State.SOURCE_GONE,
    SourceChanged: State.SOURCE_CHANGED,
    Unreadable: State.UNREADABLE,
    Superseded: State.SUPERSEDED,
    Withdrawn: State.SUPERSEDED,
}
_AGAIN: Final[dict[type[Event], State]] = {
    Retried: State.QUEUED,
    Rejoined: State.DUPLICATE,
    Follows: State.FOLLOWING,
    Superseded: State.SUPERSEDED,
}
_JOB_OUT: Final[dict[type[Event], State]] = {
    Ended: State.READY,
    Superseded: State.SUPERSEDED,
    JobFailed: State.FAILED,
    JobToRepeat: State.QUEUED,
    JobVoided: State.QUEUED,
    Expired: State.EXPIRED,
    Lost: State.LOST,
    Stuck: State.STUCK,
    Cancelled: State.CANCELLED,
}
# Events under way for a document when a newer version took its place; none changes its state.
_LATE: Final = (
    Uploaded,
    UploadLapsed,
    Postponed,
    Rejected,
    SourceGone,
    SourceChanged,
    Unreadable,
    Saved,
    Promoted,
    PayerFailed,
    Retried,
    Rejoined,
    Follows,
    UpstreamSaved,
    UpstreamFailed,
    WrongInput,
    DeletionStarted,
    Cleaned,
)

TABLE: Final[dict[State, dict[type[Event], State]]] = {
    State.FOLLOWING: {
        UpstreamSaved: State.QUEUED,
        UpstreamFailed: State.BLOCKED,
        Cancelled: State.CANCELLED,
        Superseded: State.SUPERSEDED,
        Withdrawn: State.SUPERSEDED,
    },
    State.QUEUED: {
        Uploaded: State.UPLOADED,
        Postponed: State.QUEUED,
        Rejoined: State.DUPLICATE,
        Rejected: State.FAILED,
        Cancelled: State.CANCELLED,
        **_FROM_SOURCE,
    },
    State.UPLOADED: {
        Sending: State.SENDING,
        Postponed: State.UPLOADED,
        Rejoined: State.DUPLICATE,
        UploadLapsed: State.QUEUED,
        Rejected: State.FAILED,  # no password opens it any more
        Cancelled: State.CANCELLED,
        **_FROM_SOURCE,
    },
    State.SENDING: {
        Accepted: State.WAITING,
        RefusedForNow: State.UPLOADED,
        UploadLapsed: State.QUEUED,
        Rejected: State.FAILED,
        ReplyLost: State.UNKNOWN,
    },
    State.UNKNOWN: {
        Adopted: State.WAITING,
        Fenced: State.UNKNOWN,
        ProvenAbsent: State.QUEUED,
        GivenUp: State.FAILED,
        Held: State.HELD,
    },
    State.WAITING: {**_JOB_OUT, JobExchanged: State.WAITING},
    State.READY: {**_JOB_OUT, Saved: State.SAVED},
    State.DUPLICATE: {
        Saved: State.SAVED,
        Promoted: State.QUEUED,
        Rejoined: State.DUPLICATE,  # another document has what it waits for
        Follows: State.FOLLOWING,
        PayerFailed: State.FAILED,
        Cancelled: State.CANCELLED,
        **_FROM_SOURCE,
    },
    State.SAVED: {
        **_AGAIN,
        FileMissed: State.READY,
        JobExchanged: State.SAVED,
        WrongInput: State.FAILED,
        DeletionStarted: State.SAVED,
        Cleaned: State.SAVED,
    },
    State.FAILED: {**_AGAIN, TakenUp: State.QUEUED},
    State.BLOCKED: {**_AGAIN, UpstreamSaved: State.QUEUED},
    State.EXPIRED: _AGAIN,
    State.LOST: _AGAIN,
    State.STUCK: {**_JOB_OUT, Recalled: State.WAITING, JobExchanged: State.WAITING},
    State.HELD: {**_AGAIN, Adopted: State.WAITING},
    State.UNSUPPORTED: _AGAIN,
    State.UNREADABLE: _AGAIN,
    State.SOURCE_GONE: _AGAIN,
    State.SOURCE_CHANGED: _AGAIN,
    State.CANCELLED: _AGAIN,
    # A result that was paid for is still fetched if another document with the same bytes wants it.
    State.SUPERSEDED: {**dict.fromkeys(_LATE, State.SUPERSEDED), FileMissed: State.READY},
}

TO_SUBMIT: Final = frozenset({State.QUEUED, State.UPLOADED})
IN_FLIGHT: Final = frozenset({State.WAITING, State.READY})
OUT: Final = IN_FLIGHT | {State.SENDING, State.UNKNOWN}  # the service has it, or may have it
FOLLOWED: Final = OUT | {State.SAVED}  # the later steps of such a document may still come
UNSENT: Final = TO_SUBMIT | {State.DUPLICATE, State.FOLLOWING}
OPEN: Final = UNSENT | OUT
VERDICTS: Final = frozenset(State) - OPEN - {State.SAVED, State.SUPERSEDED}
# Verdicts that may have cost something. Documents with the same bytes share them, even once the
# document is superseded: a source that was missing for one night must not be paid for again without
# a person's consent.
MAY_HAVE_COST: Final = frozenset({State.FAILED, State.EXPIRED, State.LOST, State.STUCK, State.HELD})
# Nothing is paid for such a document any more, so a copy that waits for it is submitted itself,
# and no copy joins it.
PAYS_FOR_NOBODY: Final = frozenset(
    {
        State.SOURCE_GONE,
        State.SOURCE_CHANGED,
        State.UNREADABLE,
        State.UNSUPPORTED,
        State.CANCELLED,
        State.SUPERSEDED,
        State.BLOCKED,
    }
)


def advance(state: State, event: Event) -> State:
    """Return the state that follows; raise `Impossible` if there is none."""
    try:
        return TABLE[state][type(event)]
    except KeyError:
        raise Impossible(
            f"document {event.document} is {state} and can't be {type(event).__name__}"
        ) from None


def diagram() -> str:
    """Return the main path through the table as text.

    It stands in batcher/README.md, which is checked against it.
    """
    road = (State.QUEUED, State.UPLOADED, State.SENDING, State.WAITING, State.READY, State.SAVED)
    lines = [
        "    " + " ".join(_step(here, there) for here, there in pairwise(road)) + f" {State.SAVED}"
    ]
    for state in (State.SENDING, State.UNKNOWN, State.WAITING, State.DUPLICATE):
        ways = "   ".join(
            f"{event.__name__} ─► {target}"
            for event, target in TABLE[state].items()
            if target not in road[4:]
        )
        lines.append(f"    {state:<10}{ways}")
    return "\n".join(lines)


def _step(here: State, there: State) -> str:
    event = next(event for event, target in TABLE[here].items() if target is there)
    return f"{here} ─{event.__name__}─►"
