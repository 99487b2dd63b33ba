"""What can happen to a document, as past facts. Each is reported by a stage and written down by the
ledger.

`core.lifecycle` says what becomes of the document. Moments are seconds since the epoch by our own
clock. The `error_name` of a failure is the API's code for it; it is empty where there is none.
"""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True):
    """Something that has happened to `document`, the ledger's number of it."""

    document: int


# --- before the service has it --------------------------------------------------------------------


class Uploaded(Event, frozen=True):
    """Its input is there to be named. `file_id` is what is written down of it, as
    `reducto.inputs` has it.
    """

    file_id: str


class UploadLapsed(Event, frozen=True):
    """The input is too old to be submitted, or the service no longer knows it."""

    reason: str
    due_at: float = 0.0
    error_name: str = ""


class Postponed(Event, frozen=True):
    """Nothing came of it this time; `tries` in a row so far, and `due_at` is the moment of the
    next.
    """

    reason: str
    due_at: float
    tries: int


class SourceGone(Event, frozen=True):
    reason: str


class SourceChanged(Event, frozen=True):
    reason: str


class Unreadable(Event, frozen=True):
    reason: str


class Promoted(Event, frozen=True):
    """The document that was to pay for this one can't; this one stands for itself."""


class Follows(Event, frozen=True):
    """It stands for itself (again), and comes after its upstream step."""


class UpstreamSaved(Event, frozen=True):
    """The step before it is saved: now it is its turn."""


class UpstreamFailed(Event, frozen=True):
    """The step before it came to a verdict; `kind` is the class of that one, or its state."""

    reason: str
    kind: str
    error_name: str = ""


# --- the submission -------------------------------------------------------------------------------


class Sending(Event, frozen=True):
    """An attempt is about to be made: on record before the first byte of the POST leaves.

    `cost` in credits.
    """

    nonce: str
    service: str
    key_print: str
    cost: float


class Accepted(Event, frozen=True):
    job_id: str
    deadline_at: float


class RefusedForNow(Event, frozen=True):
    """Surely not accepted, and worth another try at `due_at`: nothing was paid."""

    reason: str
    due_at: float
    error_name: str = ""


class Rejected(Event, frozen=True):
    """Surely not accepted, and never will be: nothing was paid."""

    reason: str
    kind: str
    error_name: str = ""


class ReplyLost(Event, frozen=True):
    reason: str


class Fenced(Event, frozen=True):
    """Its upload is deleted, so that a late POST can only end as a job without input.

    `fenced_at` by our own clock.
    """

    fenced_at: float


class Adopted(Event, frozen=True):
    """Found again in the service's listing."""

    job_id: str
    deadline_at: float


class ProvenAbsent(Event, frozen=True):
    """Fenced, waited for and listed again: the service never took it."""


class GivenUp(Event, frozen=True):
    """Proven absent as often as an attempt may be."""

    reason: str


class Held(Event, frozen=True):
    reason: str


# --- the job --------------------------------------------------------------------------------------


class Ended(Event, frozen=True):
    """The job completed.

    Units as the service bills them, `duration` its own seconds; None where it doesn't say.
    """

    pages: int | None
    credits: float | None
    duration: float | None = None


class Saved(Event, frozen=True):
    """`output`, relative to the output directory, is on disk, durable, with these bytes."""

    output: str
    sha256: str
    size: int


class JobFailed(Event, frozen=True):
    """The service's own verdict; `kind` is the policy's class of the error `error_name`."""

    reason: str
    kind: str
    error_name: str = ""


class JobToRepeat(Event, frozen=True):
    """The service's own verdict was one that another attempt, from `due_at` on, may well not
    meet.
    """

    reason: str
    due_at: float
    error_name: str = ""


class JobVoided(Event, frozen=True):
    """A job whose input we had fenced off, or that had expired meanwhile, ended for want of it:
    nothing was paid.
    """

    reason: str
    error_name: str = ""


class Expired(Event, frozen=True):
    reason: str
    error_name: str = ""


class Lost(Event, frozen=True):
    reason: str


class Stuck(Event, frozen=True):
    """Its job is paid for and still on record, and its result wasn't to be had.

    Only a person sends it again.
    """

    reason: str


class Cancelled(Event, frozen=True):
    reason: str


# --- people, and newer versions -------------------------------------------------------------------


class Retried(Event, frozen=True):
    """A person put it back in the queue."""


class TakenUp(Event, frozen=True):
    """It failed for a reason that may have passed, and nothing was paid: a later run tries again,
    after `runs` did.
    """

    runs: int


class Recalled(Event, frozen=True):
    """A person wants its stuck job cancelled; should that come to nothing, it is sent again, and
    not before.
    """


class Rejoined(Event, frozen=True):
    """A copy waits (again) for the document that pays for it, or has: `payer`."""

    payer: int


class FileMissed(Event, frozen=True):
    """Its result is no longer on disk as it was saved; the service still has it."""

    reason: str


class JobExchanged(Event, frozen=True):
    """Two answers were mixed up on their way:

    `job_id` is its own job after all. Empty: for the moment none is.
    """

    job_id: str


class DeletionStarted(Event, frozen=True):
    """Its job is about to be deleted at the service: from here on nobody may expect to see it
    there.
    """

    job_id: str


class Cleaned(Event, frozen=True):
    """Its job and its upload are deleted at the service; the result on disk was read again before
    that.
    """

    job_id: str


class Superseded(Event, frozen=True):
    """A newer version of its source, or of its step, stands in its place, and no job is out for
    it.
    """


class Withdrawn(Event, frozen=True):
    """It isn't sent yet, and nothing asks for it any more.

    Should it be asked for again, it is found anew.
    """

    reason: str


class PayerFailed(Event, frozen=True):
    """The document that was to pay for this copy came to a verdict, which is this one's too."""

    reason: str
    kind: str
    error_name: str = ""
