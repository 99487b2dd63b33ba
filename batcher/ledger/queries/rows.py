"""What the queries return: one value type for each kind of row."""

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


class Candidate(NamedTuple):
    """A document that came to a verdict, or whose result isn't what was saved."""

    id: int
    source: str
    state: State
    kind: str | None
    payer: int | None
    upstream: int | None


class ToMeasure(NamedTuple):
    """A document to send, with what tells where its file is and which pages are asked for."""

    job: str
    folder: str
    source: str
    place: str | None
    content: str
    options: str | None  # JSON
    size: int  # bytes


class StateCount(NamedTuple):
    """How many current documents are in a state, and their size together in bytes."""

    state: State
    documents: int
    bytes: int
