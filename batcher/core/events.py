"""What can happen to a document, as past facts. Each is reported by a stage and written down by the ledger.

`core.lifecycle` says what becomes of the document. Moments are seconds since the epoch by our own clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened to `document`, the ledger's number of it."""

    document: int


# --- before the service has it --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Uploaded(Event):
    """Its input is there to be named: an upload's `file_id`, or `jobid://` and the job of the step before it."""

    file_id: str


@dataclass(frozen=True, slots=True)
class UploadLapsed(Event):
    """The input is too old to be submitted, or the service no longer knows it."""

    reason: str
    due_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Postponed(Event):
    """Nothing came of it this time; `tries` in a row so far, and `due_at` is the moment of the next."""

    reason: str
    due_at: float
    tries: int


@dataclass(frozen=True, slots=True)
class SourceGone(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class SourceChanged(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class Promoted(Event):
    """The document that was to pay for this one can't; this one stands for itself."""


@dataclass(frozen=True, slots=True)
class Follows(Event):
    """It stands for itself (again), and comes after its upstream step."""


@dataclass(frozen=True, slots=True)
class UpstreamSaved(Event):
    """The step before it is saved: now it is its turn."""


@dataclass(frozen=True, slots=True)
class UpstreamFailed(Event):
    """The step before it came to a verdict; `kind` is the class of that one, or its state."""

    reason: str
    kind: str


# --- the submission -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sending(Event):
    """An attempt is about to be made: on record before the first byte of the POST leaves. `cost` in credits."""

    nonce: str
    service: str
    key_print: str
    cost: float


@dataclass(frozen=True, slots=True)
class Accepted(Event):
    job_id: str
    deadline_at: float


@dataclass(frozen=True, slots=True)
class RefusedForNow(Event):
    """Surely not accepted, and worth another try at `due_at`: nothing was paid."""

    reason: str
    due_at: float


@dataclass(frozen=True, slots=True)
class Rejected(Event):
    """Surely not accepted, and never will be: nothing was paid."""

    reason: str
    kind: str


@dataclass(frozen=True, slots=True)
class ReplyLost(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class Fenced(Event):
    """Its upload is deleted, so that a late POST can only end as a job without input. `fenced_at` by our own clock."""

    fenced_at: float


@dataclass(frozen=True, slots=True)
class Adopted(Event):
    """Found again in the service's listing."""

    job_id: str
    deadline_at: float


@dataclass(frozen=True, slots=True)
class ProvenAbsent(Event):
    """Fenced, waited for and listed again: the service never took it."""


@dataclass(frozen=True, slots=True)
class GivenUp(Event):
    """Proven absent as often as an attempt may be."""

    reason: str


@dataclass(frozen=True, slots=True)
class Held(Event):
    reason: str


# --- the job --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """The job completed. Units as the service bills them, `duration` its own seconds; None where it doesn't say."""

    pages: int | None
    credits: float | None
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class Saved(Event):
    """`output`, relative to the output directory, is on disk, durable, with these bytes."""

    output: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class JobFailed(Event):
    """The service's own verdict; `kind` is the policy's class of the error `reason` begins with."""

    reason: str
    kind: str


@dataclass(frozen=True, slots=True)
class JobToRepeat(Event):
    """The service's own verdict was one that another attempt, from `due_at` on, may well not meet."""

    reason: str
    due_at: float


@dataclass(frozen=True, slots=True)
class JobVoided(Event):
    """A job whose input we had fenced off, or that had expired meanwhile, ended for want of it: nothing was paid."""

    reason: str


@dataclass(frozen=True, slots=True)
class Expired(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class Lost(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class Stuck(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled(Event):
    reason: str


# --- people, and newer versions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Retried(Event):
    """A person put it back in the queue."""


@dataclass(frozen=True, slots=True)
class Recalled(Event):
    """A person wants its stuck job cancelled; should that come to nothing, it is sent again, and not before."""


@dataclass(frozen=True, slots=True)
class Rejoined(Event):
    """A copy waits (again) for the document that pays for it, or has: `payer`."""

    payer: int


@dataclass(frozen=True, slots=True)
class FileMissed(Event):
    """Its result is no longer on disk as it was saved; the service still has it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cleaned(Event):
    """Its job and its upload are deleted at the service; the result on disk was read again before that."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Superseded(Event):
    """A newer version of its source, or of its step, stands in its place, and no job is out for it."""


@dataclass(frozen=True, slots=True)
class PayerFailed(Event):
    """The document that was to pay for this copy came to a verdict, which is this one's too."""

    reason: str
    kind: str
