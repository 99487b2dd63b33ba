"""`batcher verify`: holds the disk against the ledger, and has set right what isn't whole.

A result is made again of a whole file of the same bytes where there is one, else fetched, else paid
for again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from batcher.common.names import OWN_FOLDER, name_of
from batcher.core import events
from batcher.ledger.derived_outputs import all_made, forget, knows, unmade
from batcher.ledger.integrity import whole
from batcher.ledger.ledger import groups
from batcher.ledger.queries.audit import AuditQueries
from batcher.ledger.queries.repair import RepairQueries
from batcher.ledger.queries.rows import Candidate
from batcher.maintenance.candidates import Requeued, again, opened
from batcher.outputs.derived_files import is_as_made
from batcher.outputs.result_store import Store


@dataclass(frozen=True, slots=True)
class Verified:
    """`missing` and `changed` are (source, output); `strays` are files in the output that the
    ledger doesn't know.

    `unmade` are (format, file) of what was made of results and isn't as it was: it costs nothing to
    make again. `ledger` is what is wrong with the ledger itself, `twins` (source, job, credits)
    what was paid for beside it.
    """

    saved: int
    missing: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, str], ...]
    strays: tuple[str, ...]
    unmade: tuple[tuple[str, str], ...] = ()
    ledger: tuple[str, ...] = ()
    twins: tuple[tuple[str, str, float], ...] = ()

    @property
    def is_whole(self) -> bool:
        return not self.missing and not self.changed and not self.unmade and not self.ledger

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def verify(connection: sqlite3.Connection, output: Path, path: Path | None = None) -> Verified:
    """Read every saved result and compare its hash; name files that the ledger doesn't know.

    Where its `path` is given the ledger itself is held against its journal, too.
    """
    store = Store(output)
    saved = 0
    missing = []
    changed = []
    for source, result, sha256 in RepairQueries(connection).saved():
        there = store.digest(result)
        saved += there == sha256
        if there is None:
            missing.append((source, result))
        elif there != sha256:
            changed.append((source, result))
    return Verified(
        saved,
        tuple(missing),
        tuple(changed),
        tuple(_strays(connection, output)),
        tuple(_unmade(connection, store)),
        ledger=tuple(whole(connection, path)) if path else (),
        twins=tuple(AuditQueries(connection).twins()),
    )


def prospects(
    asked: RepairQueries, output: Path, found: Verified, now: float
) -> tuple[int, Requeued]:
    """What `repair` would do about it: how many results it gets back for nothing, and what must be
    paid for.
    """
    remedies = remedies_for(asked, Store(output).digest, _broken(asked, found), now)
    return remedies.free, _priced(asked, remedies.paid)


async def repair(ledger_path: Path, output: Path) -> tuple[Verified, Requeued, int]:
    """`verify`, and what isn't whole the next run fetches again, copies from a whole one, or else
    pays for again.

    Returns what was found, what must be paid for, and how many cost nothing.
    """
    with opened(ledger_path) as ledger:
        found = verify(ledger.reader, output, ledger_path)
        remedies = remedies_for(
            ledger.repair, Store(output).digest, _broken(ledger.repair, found), ledger.clock()
        )
        paid = _priced(ledger.repair, remedies.paid)
        for group in groups(remedies.events()):
            await ledger.record(*group)
        for format, file in found.unmade:
            await forget(ledger, format, [file])
        return found, paid, remedies.free


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What sets right each document whose result isn't whole.

    `copied` says whose file it is made of, or will be.
    """

    copied: tuple[tuple[Candidate, int], ...]
    fetched: tuple[Candidate, ...]
    paid: tuple[Candidate, ...]

    @property
    def free(self) -> int:
        return len(self.copied) + len(self.fetched)

    def events(self) -> list[events.Event]:
        """Those that others wait for come first."""
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
    """A whole file of the same bytes and step first: it is here, and its hash was just read."""
    digest = cache(digest)
    whole = {c.id: other for c in broken if (other := _whole_one(asked, digest, c.id)) is not None}
    fetched = [c for c in broken if c.id not in whole and asked.is_kept(c.id, now)]
    settled = {*whole, *(c.id for c in fetched)}
    rest = [c for c in broken if c.id not in settled]
    payers = asked.payers_of(rest) | whole
    copied = [(c, payers[c.id]) for c in broken if payers.get(c.id, c.id) != c.id]
    return RepairPlan(tuple(copied), tuple(fetched), tuple(c for c in rest if payers[c.id] == c.id))


def _broken(asked: RepairQueries, found: Verified) -> list[Candidate]:
    return [asked.of_result(output) for _, output in (*found.missing, *found.changed)]


def _whole_one(
    asked: RepairQueries, digest: Callable[[str], str | None], document: int
) -> int | None:
    """Another document whose result is of the same bytes and step, and lies on disk as it was
    saved.
    """
    others = asked.results_of_same_bytes(document)
    return next((other for other, output, sha256 in others if digest(output) == sha256), None)


def _priced(asked: RepairQueries, paying: Sequence[Candidate]) -> Requeued:
    return Requeued(len(paying), sum(asked.price(c.id) for c in paying), 0)


def _strays(connection: sqlite3.Connection, output: Path) -> Iterator[str]:
    asked = RepairQueries(connection)
    for name in _files(output):
        if not asked.has_saved_at(name) and not _was_made(connection, name):
            yield name


def _was_made(connection: sqlite3.Connection, name: str) -> bool:
    """Of a result: pictures are known by their folder."""
    return knows(connection, name) or knows(connection, name.rpartition("/")[0])


def _unmade(connection: sqlite3.Connection, store: Store) -> Iterator[tuple[str, str]]:
    """Each file once, whatever of it is wrong; and what the last run couldn't make of a result."""
    for format, source, why in unmade(connection):
        yield format, f"{format} of {source}: {why}"
    for (format, file), rows in groupby(
        all_made(connection), key=lambda made: (made.format, made.file)
    ):
        if not is_as_made(store, list(rows)):
            yield format, file


def _files(output: Path) -> Iterator[str]:
    root = os.fsencode(output)
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            f for f in folders if not (folder == root and f.startswith(OWN_FOLDER.encode()))
        )
        for file in sorted(files):
            yield name_of(os.path.relpath(os.path.join(folder, file), root))  # noqa: PTH118 (bytes)
