"""Everything that can happen to a document, as past facts.

Stages report events and the ledger records them; `core.lifecycle` says which state follows. Moments
are seconds since the epoch by our own clock. The `error_name` of a failure is the API's code for
it, or empty if there is none.
"""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True):
    """Something that has happened to `document`, which is the document's number in the ledger."""

    document: int


# --- before the service has it --------------------------------------------------------------------


class Uploaded(Event, frozen=True):
    """Its input can be named in a request; `file_id` is the form that `reducto.inputs` records.

    `uploaded_at` is when its upload began: the service counts from then, and the machine may sleep
    until the answer. None stands for the time at which this is recorded.
    """

    file_id: str
    uploaded_at: float | None = None


class UploadLapsed(Event, frozen=True):
    """The input is too old to be submitted, or the service no longer knows it."""

    reason: str
    due_at: float = 0.0
    error_name: str = ""


class Postponed(Event, frozen=True):
    """Preparing it failed, `tries` times in a row so far; the next attempt is due at `due_at`."""

    reason: str
    due_at: float
    tries: int


class SourceGone(Event, frozen=True):
    """The source no longer exists."""

    reason: str


class SourceChanged(Event, frozen=True):
    """The source's bytes are not the ones that were hashed when it was found."""

    reason: str


class Unreadable(Event, frozen=True):
    """The source can't be read: permission denied, I/O error, or not a regular file."""

    reason: str


class Promoted(Event, frozen=True):
    """The document that was to pay for this copy can't, so the copy is submitted itself."""


class Follows(Event, frozen=True):
    """It is submitted itself instead of waiting for another's result, after its upstream step."""


class UpstreamSaved(Event, frozen=True):
    """The previous step is saved, so that this one can start."""


class UpstreamFailed(Event, frozen=True):
    """The previous step came to a verdict; `kind` is that verdict's class, or the step's state."""

    reason: str
    kind: str
    error_name: str = ""


# --- the submission -------------------------------------------------------------------------------


class Sending(Event, frozen=True):
    """An attempt is about to be made; this is recorded before the first byte of the POST is sent.

    `cost` is in credits.
    """

    nonce: str
    service: str
    key_print: str
    cost: float


class Accepted(Event, frozen=True):
    """The service accepted the submission. The result is expected to exist until `deadline_at`."""

    job_id: str
    deadline_at: float


class RefusedForNow(Event, frozen=True):
    """It certainly wasn't accepted, so nothing was paid; it may be sent again from `due_at` on."""

    reason: str
    due_at: float
    error_name: str = ""


class Rejected(Event, frozen=True):
    """It certainly wasn't accepted and never will be, so nothing was paid."""

    reason: str
    kind: str
    error_name: str = ""


class ReplyLost(Event, frozen=True):
    """The POST was sent and no complete answer came back, so it may be paid for."""

    reason: str


class Fenced(Event, frozen=True):
    """Its upload is deleted, so that a late POST can only end as a job without input.

    `fenced_at` is by our own clock.
    """

    fenced_at: float


class Adopted(Event, frozen=True):
    """Its job was found in the service's job list."""

    job_id: str
    deadline_at: float


class ProvenAbsent(Event, frozen=True):
    """The service never received it: its upload was deleted, and no later job list shows it."""


class GivenUp(Event, frozen=True):
    """It was proven absent as many times as is allowed."""

    reason: str


class Held(Event, frozen=True):
    """Nobody can tell whether it is paid for, so a person decides."""

    reason: str


# --- the job --------------------------------------------------------------------------------------


class Ended(Event, frozen=True):
    """The job completed.

    `pages` and `credits` are as billed, and `duration` is in seconds as the service measured it;
    each is None if the service doesn't say.
    """

    pages: int | None
    credits: float | None
    duration: float | None = None


class Saved(Event, frozen=True):
    """`output`, relative to the output directory, is durably on disk with these bytes.

    `not_served` says what the service left out of it, a sentence on each line.
    """

    output: str
    sha256: str
    size: int
    not_served: str | None = None


class JobFailed(Event, frozen=True):
    """The service's own verdict; `kind` is the policy's class of the error `error_name`."""

    reason: str
    kind: str
    error_name: str = ""


class JobToRepeat(Event, frozen=True):
    """The service's own verdict, which another attempt from `due_at` on may well avoid."""

    reason: str
    due_at: float
    error_name: str = ""


class JobVoided(Event, frozen=True):
    """A job ended because its input was missing, so nothing was paid.

    We had deleted the input, or it had expired meanwhile.
    """

    reason: str
    error_name: str = ""


class Expired(Event, frozen=True):
    """The service deleted the result after its retention, before it was fetched."""

    reason: str
    error_name: str = ""


class Lost(Event, frozen=True):
    """The service says that the job is gone, before its retention was over."""

    reason: str


class Stuck(Event, frozen=True):
    """Its job is paid for and still on record, but its result couldn't be obtained.

    It is sent again only if a person asks for that.
    """

    reason: str


class Cancelled(Event, frozen=True):
    """A person cancelled the document, or its job was cancelled at the service."""

    reason: str


# --- people, and newer versions -------------------------------------------------------------------


class Retried(Event, frozen=True):
    """A person put it back in the queue."""


class TakenUp(Event, frozen=True):
    """A later run tries it again, after `runs` have: the failure may have passed and cost
    nothing.
    """

    runs: int


class Recalled(Event, frozen=True):
    """A person wants its stuck job cancelled; it is sent again only if that brings no result."""


class Rejoined(Event, frozen=True):
    """A copy waits (again) for `payer`, the document that pays for it or has paid."""

    payer: int


class FileMissed(Event, frozen=True):
    """Its result on disk is missing or has changed; the service still has it."""

    reason: str


class JobExchanged(Event, frozen=True):
    """Two answers were mixed up on their way.

    `job_id` is its own job after all, or empty if none is for the moment.
    """

    job_id: str


class WrongInput(Event, frozen=True):
    """Its job read another document's job, because two answers were mixed up before.

    Its result is another's then. It is paid for again only if a person asks for that.
    """

    reason: str
    kind: str


class DeletionStarted(Event, frozen=True):
    """Its job is about to be deleted at the service, and can no longer be expected there."""

    job_id: str


class Cleaned(Event, frozen=True):
    """Its job and upload are deleted at the service, after its result on disk was read back."""

    job_id: str


class Superseded(Event, frozen=True):
    """A newer version of its source or step took its place, and no job is in flight for it."""


class Withdrawn(Event, frozen=True):
    """It isn't sent yet and is no longer asked for.

    If it is asked for again, the scan finds it as a new document.
    """

    reason: str


class PayerFailed(Event, frozen=True):
    """The document that was to pay for this copy came to a verdict, which is the copy's too."""

    reason: str
    kind: str
    error_name: str = ""
