"""What a submission names as its input: an upload, an earlier step's job, or addresses. Pure.

Code that needs to distinguish them asks for the `kind`. Only this module derives it from the way in
which the API writes inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from batcher.reducto.address_lists import Source, known_as
from batcher.reducto.api_types import JOB, UPLOAD


class InputKind(StrEnum):
    """How the service finds an input."""

    UPLOAD = "upload"
    JOB = "job"
    ADDRESS = "address"
    ADDRESSES = "addresses"  # several documents for one job


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes that we have uploaded, identified by the service's id."""

    file_id: str

    @property
    def kind(self) -> InputKind:
        return InputKind.UPLOAD

    @property
    def known_as(self) -> str:
        return self.file_id

    @property
    def source(self) -> Source:
        return self.file_id


@dataclass(frozen=True, slots=True)
class UpstreamJob:
    """The result of an earlier step's job."""

    job_id: str

    @property
    def kind(self) -> InputKind:
        return InputKind.JOB

    @property
    def known_as(self) -> str:
        return JOB + self.job_id

    @property
    def source(self) -> Source:
        return self.known_as


@dataclass(frozen=True, slots=True)
class Address:
    """One address, or several in order, from which the service fetches documents.

    `source` may be secret; `known_as` is the part of it that may be recorded.
    """

    known_as: str
    source: Source = field(repr=False)

    @property
    def kind(self) -> InputKind:
        return kind_of(self.known_as)


Input = Upload | UpstreamJob | Address


def address(source: Source) -> Address:
    """Return the input at `source`."""
    return Address(known_as(source), source)


def kind_of(known_as: str) -> InputKind:
    """Return the kind of an input, given its recorded form.

    Anything that isn't an id of the service is an address.
    """
    if known_as.startswith(UPLOAD):
        return InputKind.UPLOAD
    if known_as.startswith(JOB):
        return InputKind.JOB
    return InputKind.ADDRESSES if known_as.startswith("[") else InputKind.ADDRESS


def recorded(known_as: str) -> Input:
    """Return the input with this recorded form; an address lacks the parts that aren't recorded."""
    match kind_of(known_as):
        case InputKind.UPLOAD:
            return Upload(known_as)
        case InputKind.JOB:
            return UpstreamJob(known_as.removeprefix(JOB))
    return Address(known_as, known_as)
