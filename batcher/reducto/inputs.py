"""What a submission names as its input: an upload, the job of an earlier step, or addresses. Pure.

Whoever needs to know which of them it is asks for the kind. Only this module reads it from the way
in which the API writes inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from batcher.reducto.address_lists import Source, known_as
from batcher.reducto.api_types import JOB, UPLOAD


class InputKind(StrEnum):
    """What the service finds an input by."""

    UPLOAD = "upload"
    JOB = "job"
    ADDRESS = "address"
    ADDRESSES = "addresses"  # several documents for one job


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes that we have uploaded, by the service's id of them."""

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
    """One address, or several in their order, from which the service fetches documents.

    `source` may be a secret; `known_as` is as much of it as may be written down.
    """

    known_as: str
    source: Source = field(repr=False)

    @property
    def kind(self) -> InputKind:
        return kind_of(self.known_as)


Input = Upload | UpstreamJob | Address


def address(source: Source) -> Address:
    """The input that stands at `source`."""
    return Address(known_as(source), source)


def kind_of(known_as: str) -> InputKind:
    """The kind of an input by what is written down of it.

    All that isn't an id of the service's is an address.
    """
    if known_as.startswith(UPLOAD):
        return InputKind.UPLOAD
    if known_as.startswith(JOB):
        return InputKind.JOB
    return InputKind.ADDRESSES if known_as.startswith("[") else InputKind.ADDRESS


def recorded(known_as: str) -> Input:
    """The input that is known as this. An address is only as much of it as is written down."""
    match kind_of(known_as):
        case InputKind.UPLOAD:
            return Upload(known_as)
        case InputKind.JOB:
            return UpstreamJob(known_as.removeprefix(JOB))
    return Address(known_as, known_as)
