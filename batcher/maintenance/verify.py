"""`batcher verify`: holds the disk against the ledger, and has set right what isn't whole.

A result is made again of a whole file of the same bytes where there is one, else fetched, else paid
for again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from batcher.common.names import OWN_FOLDER, name_of
from batcher.core import events
from batcher.ledger.derived_outputs import all_made, forget, knows, unmade
from batcher.ledger.integrity import whole
from batcher.ledger.queries import Queries
from batcher.maintenance.candidates import (
    Candidate,
    Requeued,
    again,
    groups,
    of_result,
    opened,
    payers_of,
    price,
)
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


def verify(ledger: Queries, output: Path, path: Path | None = None) -> Verified:
    """Read every saved result and compare its hash; name files that the ledger doesn't know.

    Where its `path` is given the ledger itself is held against its journal, too.
    """
    store = Store(output)
    saved = 0
    missing = []
    changed = []
    for source, result, sha256 in _saved(ledger):
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
        tuple(_strays(ledger, output)),
        tuple(_unmade(ledger, store)),
        ledger=tuple(whole(ledger.reader, path)) if path else (),
        twins=tuple(ledger.twins()),
    )


def prospects(ledger: Queries, output: Path, found: Verified, now: float) -> tuple[int, Requeued]:
    """What `repair` would do about it: how many results it gets back for nothing, and what must be
    paid for.
    """
    remedies = remedies_for(ledger, Store(output).digest, _broken(ledger, found), now)
    return remedies.free, _priced(ledger, remedies.paid)


async def repair(ledger_path: Path, output: Path) -> tuple[Verified, Requeued, int]:
    """`verify`, and what isn't whole the next run fetches again, copies from a whole one, or else
    pays for again.

    Returns what was found, what must be paid for, and how many cost nothing.
    """
    with opened(ledger_path) as ledger:
        found = verify(ledger, output, ledger_path)
        remedies = remedies_for(
            ledger, Store(output).digest, _broken(ledger, found), ledger.clock()
        )
        paid = _priced(ledger, remedies.paid)
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
    ledger: Queries, digest: Callable[[str], str | None], broken: Sequence[Candidate], now: float
) -> RepairPlan:
    """A whole file of the same bytes and step first: it is here, and its hash was just read."""
    digest = cache(digest)
    whole = {c.id: other for c in broken if (other := _whole_one(ledger, digest, c.id)) is not None}
    fetched = [c for c in broken if c.id not in whole and _is_kept(ledger, c.id, now)]
    settled = {*whole, *(c.id for c in fetched)}
    rest = [c for c in broken if c.id not in settled]
    payers = payers_of(ledger, rest) | whole
    copied = [(c, payers[c.id]) for c in broken if payers.get(c.id, c.id) != c.id]
    return RepairPlan(tuple(copied), tuple(fetched), tuple(c for c in rest if payers[c.id] == c.id))


def _broken(ledger: Queries, found: Verified) -> list[Candidate]:
    return [of_result(ledger, output) for _, output in (*found.missing, *found.changed)]


def _whole_one(ledger: Queries, digest: Callable[[str], str | None], document: int) -> int | None:
    """Another document whose result is of the same bytes and step, and lies on disk as it was
    saved.
    """
    others = ledger.reader.execute(_WITH_A_RESULT, (document,))
    return next((other for other, output, sha256 in others if digest(output) == sha256), None)


_WITH_A_RESULT: Final = """
    SELECT o.id, o.output, o.output_sha256
    FROM documents d JOIN documents o ON o.content = d.content AND o.step = d.step AND o.id <> d.id
    WHERE d.id = ? AND o.state IN ('saved', 'superseded') AND o.output_sha256 IS NOT NULL
    ORDER BY o.current DESC, o.id"""


def _priced(ledger: Queries, paying: Sequence[Candidate]) -> Requeued:
    return Requeued(len(paying), sum(price(ledger, c.id) for c in paying), 0)


def _saved(ledger: Queries) -> Iterator[tuple[str, str, str]]:
    sql = (
        "SELECT source, output, output_sha256 FROM documents WHERE current = 1 AND state = "
        "'saved' ORDER BY id"
    )
    yield from ledger.reader.execute(sql)


def _is_kept(ledger: Queries, document: int, now: float) -> bool:
    sql = (
        "SELECT deadline_at FROM attempts WHERE document = ? AND outcome = 'saved' AND cleaned_at "
        "IS NULL"
        " ORDER BY number DESC LIMIT 1"
    )
    row = ledger.reader.execute(sql, (document,)).fetchone()
    return row is not None and row[0] > now


def _strays(ledger: Queries, output: Path) -> Iterator[str]:
    sql = "SELECT 1 FROM documents WHERE output = ? AND output_sha256 IS NOT NULL"
    for name in _files(output):
        if ledger.reader.execute(sql, (name,)).fetchone() is None and not _was_made(ledger, name):
            yield name


def _was_made(ledger: Queries, name: str) -> bool:
    """Of a result: pictures are known by their folder."""
    return knows(ledger, name) or knows(ledger, name.rpartition("/")[0])


def _unmade(ledger: Queries, store: Store) -> Iterator[tuple[str, str]]:
    """Each file once, whatever of it is wrong; and what the last run couldn't make of a result."""
    for format, source, why in unmade(ledger):
        yield format, f"{format} of {source}: {why}"
    for (format, file), rows in groupby(
        all_made(ledger), key=lambda made: (made.format, made.file)
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
