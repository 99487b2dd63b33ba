"""The sample that a person checks, in a small file beside the ledger: documents and their marks.

The ledger knows nothing of it. Each mark is on disk before it counts as made.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from batcher.common.private_files import replace_file
from batcher.core.sample import Drawn, Estimate, Group, Mark, estimate
from batcher.errors import BatcherError
from batcher.ledger.queries.sampling import SavedResult, saved_results

VERSION: Final = 1
ENDING: Final = ".sample.json"
LONGEST_NOTE: Final = 500  # characters


class SampledDocument(msgspec.Struct):
    """A document to judge. `sha256` is of the result that was drawn; `marked_at` a Unix time."""

    document: int
    source: str
    step: str
    sha256: str
    group: int
    mark: Mark | None = None
    note: str = ""
    marked_at: float | None = None


class SampleGroup(msgspec.Struct):
    name: str
    weight: float


class Sample(msgspec.Struct):
    """A sample of the results of one step.

    It was drawn at `drawn_at` (a Unix time) from `of` results, of which `looked_at` were sorted
    into groups by `traits`. `replaced` are numbers of documents whose result is another one by now:
    their marks don't count.
    """

    step: str
    drawn_at: float
    of: int
    looked_at: int
    traits: list[str]
    groups: list[SampleGroup]
    documents: list[SampledDocument]
    version: int = VERSION

    def estimate(self, replaced: frozenset[int] = frozenset()) -> Estimate:
        """Return what the marks say of all results."""
        marks = [(d.group, d.mark) for d in self.documents if d.document not in replaced]
        return estimate([Group(g.name, g.weight) for g in self.groups], marks, of=self.of)

    @property
    def marked(self) -> int:
        return sum(one.mark is not None for one in self.documents)

    def next_unmarked(self, after: int = -1) -> int | None:
        """Return the position of the next document without a mark, from the start if need be."""
        places = [n for n, one in enumerate(self.documents) if one.mark is None]
        return next((n for n in places if n > after), places[0] if places else None)


def sample_path(ledger: Path) -> Path:
    """Return where the sample of a ledger's batch is kept."""
    return ledger.with_name(ledger.stem + ENDING)


def read_sample(ledger: Path) -> Sample | None:
    """Return the sample, or None if none was drawn.

    Raises BatcherError where the file can't be read.
    """
    path = sample_path(ledger)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sample)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BatcherError(f"{path}: {error.strerror}; see who may read it") from error
    except msgspec.MsgspecError as error:
        raise BatcherError(
            f"{path}: this is no sample ({error}); move it away, and draw another"
        ) from error


def new_sample(
    drawn: Drawn,
    results: Mapping[int, SavedResult],
    *,
    step: str,
    of: int,
    looked_at: int,
    now: float,
) -> Sample:
    """Return a sample of `step` without marks; `results` has those drawn, by document."""
    return Sample(
        step=step,
        drawn_at=now,
        of=of,
        looked_at=looked_at,
        traits=list(drawn.traits),
        groups=[SampleGroup(group.name, group.weight) for group in drawn.groups],
        documents=[_sampled(results[document], group) for document, group in drawn.documents],
    )


def _sampled(result: SavedResult, group: int) -> SampledDocument:
    return SampledDocument(result.document, result.source, result.step, result.sha256, group)


def keep_sample(ledger: Path, sample: Sample, *, access: str = "owner") -> None:
    """Put a new sample in place of the one that is there, which is kept if it has marks.

    `access` says who may read it, as for the ledger. Raises BatcherError.
    """
    with _alone(ledger):
        there = read_sample(ledger)
        if there is not None and there.marked:
            moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(there.drawn_at))
            path = sample_path(ledger)
            path.rename(path.with_name(f"{ledger.stem}.{moment}{ENDING}"))
        _write(ledger, sample, access)


def mark_document(
    ledger: Path,
    place: int,
    mark: Mark | None,
    *,
    note: str = "",
    now: float,
    access: str = "owner",
) -> Sample:
    """Set or remove the mark of the document at this place of the sample; return the sample.

    Raises BatcherError where there is no such document, or the file can't be written.
    """
    with _alone(ledger):
        sample = read_sample(ledger)
        if sample is None or not 0 <= place < len(sample.documents):
            raise BatcherError("this document isn't in the sample any more; open the sample again")
        one = sample.documents[place]
        one.mark = mark
        one.note = note[:LONGEST_NOTE]
        one.marked_at = None if mark is None else now
        _write(ledger, sample, access)
        return sample


def replaced_since(connection: sqlite3.Connection, sample: Sample) -> frozenset[int]:
    """Return the sampled documents whose current result isn't the one that was drawn."""
    numbers = [one.document for one in sample.documents]
    there = {row.document: row for row in saved_results(connection, numbers)}
    return frozenset(
        one.document for one in sample.documents if not _is_same(one, there.get(one.document))
    )


def _is_same(one: SampledDocument, row: SavedResult | None) -> bool:
    return row is not None and (row.source, row.step, row.sha256) == (
        one.source,
        one.step,
        one.sha256,
    )


@contextmanager
def _alone(ledger: Path) -> Iterator[None]:
    """Wait until nobody else changes the sample; two browsers, or two servers, may."""
    try:
        folder = os.open(ledger.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BatcherError(f"{ledger.parent}: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(ledger: Path, sample: Sample, access: str) -> None:
    """Write the file beside its place and rename it, so that it is never half there."""
    path = sample_path(ledger)
    body = msgspec.json.format(msgspec.json.encode(sample), indent=1)
    try:
        replace_file(path, body, access)
    except OSError as error:
        raise BatcherError(
            f"{path}: {error.strerror}; the mark isn't kept: make room, or make the folder writable"
        ) from error
