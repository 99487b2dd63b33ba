"""The values that queries return: one type for each kind of row."""

from __future__ import annotations

from typing import NamedTuple

from batcher.core.lifecycle import State
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
    """A document that may be uploaded or submitted now."""

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
    upstream: int | None  # the document of the preceding step
    on_its_own: bool  # the job of that step can't be read any more
    options: str | None
    metadata: str | None
    place: str | None  # where it is, if not at its name in `folder`
    step: str

    @property
    def input(self) -> Input | None:
        """The input that was prepared for it, as far as that is on record."""
        return None if self.file_id is None else recorded(self.file_id)


class Upstream(NamedTuple):
    """The job that saved a document, for a later step to read from."""

    job_id: str
    service: str
    key_print: str
    deadline_at: float


class Follower(NamedTuple):
    """A document whose preceding step has come to an end, and which end: its `state` and `reason`.

    For a blocked document, `payer` is the one that now pays, or has paid, for the `same` bytes and
    step.
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
    """An attempt whose reply was lost.

    `absences` counts earlier attempts that were found not to exist at the service.
    """

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
        """Whether its input was an upload of its own.

        By that its job can be found, and deleting it makes a late submission fail.
        """
        return self.input_kind == InputKind.UPLOAD


class KnownJob(NamedTuple):
    """A job of ours that the job list must show before it is believed."""

    job_id: str
    nonce: str
    accepted_at: float


class Holder(NamedTuple):
    """The attempt that holds a job: its nonce and input must be those in the job's row."""

    nonce: str
    file_id: str | None


class Bill(NamedTuple):
    """Totals of the attempts with one outcome.

    `cost` is the estimate; `credits` is what the service billed, or the estimate where it didn't
    say.
    """

    attempts: int
    pages: float
    cost: float
    credits: float


class Account(NamedTuple):
    """Credits spent, committed and expected.

    `lost` is the part of `spent` for results that were never received, such as expired ones.
    `failed` is for failed jobs, should the service bill them. `committed` is the least that jobs in
    flight cost: the price of one page each where no limit required counting pages. `likely` is the
    same by the average cost so far, and so is `to_come` for documents still to be sent.
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
        """What everything will have cost in the end."""
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
        """Whether its input was an upload of its own, which has to be deleted as well."""
        return self.input_kind == InputKind.UPLOAD


class Alike(NamedTuple):
    """A result with the same bytes and step as a document that wants one."""

    document: int
    output: str
    sha256: str
    not_served: str | None


class Copy(NamedTuple):
    """A document that waits for the outcome of another, its payer, and that outcome.

    `upstream` is the document of its own preceding step. If the payer was superseded, `payer_state`
    is its state before that. `payer_paid` counts the payer's jobs.
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


class Candidate(NamedTuple):
    """A document with a verdict, or whose result differs from what was saved."""

    id: int
    source: str
    state: State
    kind: str | None
    payer: int | None
    upstream: int | None


class ToMeasure(NamedTuple):
    """A document to send, with where its file is and which pages are requested.

    One that is `elsewhere`, in an object store or at an address, is no file of this machine.
    """

    job: str
    folder: str
    source: str
    place: str | None
    content: str
    options: str | None  # JSON
    size: int  # bytes
    elsewhere: bool


class StateCount(NamedTuple):
    """The number of current documents in a state, and their total size in bytes."""

    state: State
    documents: int
    bytes: int
