"""`batcher verify`: compares the disk with the ledger, and repairs what isn't whole.

A result is restored from a whole file with the same bytes and step if there is one, else fetched
again, else paid for again: the next run does it. Here a file that isn't as it was saved is only
moved aside, so that the result gets its name again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from batcher.common.names import OWN_FOLDER, name_of
from batcher.core import events
from batcher.core.lifecycle import State
from batcher.ledger.claim import NAME as CLAIM
from batcher.ledger.claim import claim_of, outdated
from batcher.ledger.derived_outputs import all_made, files_of, forget, knows, unmade
from batcher.ledger.integrity import whole
from batcher.ledger.ledger import groups
from batcher.ledger.named import EVERYTHING, Named, Wanted, named_or_refused
from batcher.ledger.queries.audit import AuditQueries
from batcher.ledger.queries.repair import RepairQueries
from batcher.ledger.queries.rows import Candidate
from batcher.maintenance.candidates import Requeued, again, opened
from batcher.outputs.derived_files import is_as_made, is_one_file, outdated_there
from batcher.outputs.result_store import Store, kept_name

_NOT_SAVED: Final = "no such document that is saved; see `batcher status` and `batcher failures`"


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. `missing`, `changed` and `unreadable` are (source, output) of results.

    Nobody knows whether the unreadable ones are whole, so `repair` leaves them alone.
    `strays` are files in the output directory that the ledger doesn't know. `unmade` are (format,
    file) of files made from results that aren't as they were made; making them again costs nothing.
    `outdated` are (format, file) of files that hold something of older results, as where a run
    wasn't asked for their format; a run that is makes them again.
    `ledger` is what is wrong with the ledger itself. `twins` are (source, job, credits) of
    duplicate jobs, which were paid for as well. `older` are (source, output) of results that are
    whole, but of a version of the source that has changed since, and no newer one is saved.
    """

    saved: int
    missing: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, str], ...]
    strays: tuple[str, ...]
    unmade: tuple[tuple[str, str], ...] = ()
    ledger: tuple[str, ...] = ()
    twins: tuple[tuple[str, str, float], ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    older: tuple[tuple[str, str], ...] = ()
    outdated: tuple[tuple[str, str], ...] = ()

    @property
    def is_whole(self) -> bool:
        of_results = (self.missing, self.changed, self.unreadable)
        return not any((*of_results, self.unmade, self.outdated, self.ledger))

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def verify(
    connection: sqlite3.Connection,
    output: Path,
    path: Path | None = None,
    *,
    wanted: Wanted = EVERYTHING,
) -> Verified:
    """Read every saved result and compare its hash; find files that the ledger doesn't know.

    With the `path` of the ledger, that is compared with its journal, too. Where only some documents
    are `wanted`, nothing but their results and what was made from these is looked at. Raises
    BatcherError if something is named that isn't saved.
    """
    store = Store(output)
    if not wanted.is_all:
        return _verify_some(connection, store, wanted)
    compared = _compared(RepairQueries(connection).saved(), store)
    return Verified(
        compared.saved,
        tuple(compared.missing),
        tuple(compared.changed),
        tuple(_strays(connection, output)),
        tuple(_unmade(connection, store)),
        ledger=tuple(_untrue(connection, output, path)) if path else (),
        twins=tuple(AuditQueries(connection).twins()),
        unreadable=tuple(compared.unreadable),
        older=tuple(_older(RepairQueries(connection), store)),
        outdated=tuple(_outdated(connection, store)),
    )


def _verify_some(connection: sqlite3.Connection, store: Store, wanted: Wanted) -> Verified:
    named = named_or_refused(connection, wanted, states=(State.SAVED,), hint=_NOT_SAVED)
    results = (row for row in RepairQueries(connection).saved() if row[0] in named)
    compared = _compared(results, store)
    made = _unmade(connection, store, among=named)
    twins = (twin for twin in AuditQueries(connection).twins() if twin[0] in named)
    return Verified(
        compared.saved,
        tuple(compared.missing),
        tuple(compared.changed),
        (),
        tuple(made),
        twins=tuple(twins),
        unreadable=tuple(compared.unreadable),
        outdated=tuple(_outdated(connection, store, among=named)),
    )


def _untrue(connection: sqlite3.Connection, output: Path, ledger: Path) -> Iterator[str]:
    """Yield what is wrong with the ledger: in itself, beside its journal, beside the results."""
    yield from whole(connection, ledger)
    behind = outdated(claim_of(connection), output)
    if behind is not None:
        yield behind


@dataclass(slots=True)
class _Compared:
    """How many results are as they were saved, and (source, output) of the others."""

    saved: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def _compared(results: Iterable[tuple[str, str, str]], store: Store) -> _Compared:
    compared = _Compared()
    for source, result, sha256 in results:
        there = store.digest(result)
        if there == sha256:
            compared.saved += 1
        elif there is None:
            compared.missing.append((source, result))
        elif there or not store.is_unreadable(result):
            compared.changed.append((source, result))
        else:
            compared.unreadable.append((source, result))
    return compared


def prospects(
    asked: RepairQueries, output: Path, found: Verified, now: float
) -> tuple[int, Requeued]:
    """Return how many results `repair` would get back at no cost, and what must be paid for."""
    remedies = remedies_for(asked, Store(output).digest, _broken(asked, found), now)
    return remedies.free, _priced(asked, remedies.paid)


class Repaired(NamedTuple):
    """What was found, what must be paid for, and how many results cost nothing.

    `moved` are files that weren't as they were saved, with the paths below the output directory
    that they have now.
    """

    found: Verified
    paid: Requeued
    free: int
    moved: dict[str, str]


async def repair(ledger_path: Path, output: Path, *, wanted: Wanted = EVERYTHING) -> Repaired:
    """Verify, and requeue what isn't whole; the next run restores it.

    Raises OutputError if a damaged file can't be moved aside; nothing is requeued then.
    """
    store = Store(output)
    with opened(ledger_path) as ledger:
        found = verify(ledger.reader, output, ledger_path, wanted=wanted)
        remedies = remedies_for(
            ledger.repair, store.digest, _broken(ledger.repair, found), ledger.clock()
        )
        paid = _priced(ledger.repair, remedies.paid)
        # First: after a crash here the file is missing, which the next repair finds again.
        moved = _moved_aside(ledger.reader, store, found)
        for group in groups(remedies.events()):
            await ledger.record(*group)
        for format, file in found.unmade:
            await forget(ledger, format, [file])
        return Repaired(found, paid, remedies.free, moved)


def _moved_aside(connection: sqlite3.Connection, store: Store, found: Verified) -> dict[str, str]:
    """Move the files that aren't as they were saved out of the way; return where they are now."""
    results = [output for _, output in found.changed]
    made = [f for format, f in found.unmade if is_one_file(format) and knows(connection, f)]
    moved = {file: store.move_aside(file) for file in [*results, *made]}
    return {file: there for file, there in moved.items() if there is not None}


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """How the result of each document that isn't whole is restored.

    `copied` pairs a document with the one whose file it is restored from, now or later.
    """

    copied: tuple[tuple[Candidate, int], ...]
    fetched: tuple[Candidate, ...]
    paid: tuple[Candidate, ...]

    @property
    def free(self) -> int:
        return len(self.copied) + len(self.fetched)

    def events(self) -> list[events.Event]:
        """Return the events that carry out the plan; those that others wait for come first."""
        missed = [events.FileMissed(c.id, "its file is missing or changed") for c in self.fetched]
        return [
            *missed,
            *map(again, self.paid),
            *(events.Rejoined(c.id, payer) for c, payer in self.copied),
        ]


def remedies_for(
    asked: RepairQueries,
    digest: Callable[[str], str | None],
    broken: Sequence[Candidate],
    now: float,
) -> RepairPlan:
    """Return the plan. A whole file with the same bytes and step is preferred to fetching again.

    Such a file is on this disk, and its hash was just read. What another document's job gave, the
    next run fetches for that one, and copies.
    """
    digest = cache(digest)
    whole = {c.id: other for c in broken if (other := _whole_one(asked, digest, c.id)) is not None}
    kept = {c.id: by for c in broken if (by := asked.kept_by(c.id, now)) is not None}
    fetched = [c for c in broken if c.id not in whole and kept.get(c.id) == c.id]
    free = kept | whole
    rest = [c for c in broken if c.id not in free]
    payers = asked.payers_of(rest, replaced=False) | free
    copied = [(c, payers[c.id]) for c in broken if payers.get(c.id, c.id) != c.id]
    return RepairPlan(tuple(copied), tuple(fetched), tuple(c for c in rest if payers[c.id] == c.id))


def _broken(asked: RepairQueries, found: Verified) -> list[Candidate]:
    return [asked.of_result(output) for _, output in (*found.missing, *found.changed)]


def _whole_one(
    asked: RepairQueries, digest: Callable[[str], str | None], document: int
) -> int | None:
    """Return another document with the same bytes and step whose result is on disk as saved.

    It lies in its place, or is kept since something newer replaced it.
    """
    for other, output, sha256 in asked.results_of_same_bytes(document):
        if digest(output) == sha256 or digest(kept_name(sha256)) == sha256:
            return other
    return None


def _priced(asked: RepairQueries, paying: Sequence[Candidate]) -> Requeued:
    return Requeued(len(paying), sum(asked.price(c.id) for c in paying), 0)


def _older(asked: RepairQueries, store: Store) -> Iterator[tuple[str, str]]:
    for source, result, sha256 in asked.of_older_versions():
        if store.digest(result) == sha256:
            yield source, result


def _strays(connection: sqlite3.Connection, output: Path) -> Iterator[str]:
    asked = RepairQueries(connection)
    for name in _files(output):
        if not asked.has_saved_at(name) and not _was_made(connection, name):
            yield name


def _was_made(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether it was made from a result; images are recorded by their folder."""
    return knows(connection, name) or knows(connection, name.rpartition("/")[0])


def _unmade(
    connection: sqlite3.Connection, store: Store, *, among: Named | None = None
) -> Iterator[tuple[str, str]]:
    """Yield each file that isn't as it was made, and what couldn't be made in the last run.

    A file comes once, however much of it is wrong. With `among`, only what these documents have a
    part in.
    """
    for format, source, why in unmade(connection):
        if among is None or source in among:
            yield format, f"{format} of {source}: {why}"
    files = None if among is None else files_of(connection, among.all())
    for (format, file), rows in groupby(
        all_made(connection), key=lambda made: (made.format, made.file)
    ):
        if files is not None and file not in files:
            continue
        if not is_as_made(store, list(rows)):
            yield format, file


def _outdated(
    connection: sqlite3.Connection, store: Store, *, among: Named | None = None
) -> Iterator[tuple[str, str]]:
    """Yield each file on disk that holds something of an older result, once."""
    found = outdated_there(connection, store)
    files = [(one.format, one.file) for one in found if among is None or one.source in among]
    yield from dict.fromkeys(files)


def _files(output: Path) -> Iterator[str]:
    root = os.fsencode(output)
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            f for f in folders if not (folder == root and f.startswith(OWN_FOLDER.encode()))
        )
        for file in sorted(files):
            if folder == root and file.startswith(CLAIM.encode()):
                continue
            yield name_of(os.path.relpath(os.path.join(folder, file), root))  # noqa: PTH118 (bytes)
