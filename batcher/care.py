"""What a person does with a batch between runs: put back in the queue, hold the disk against the ledger.

Nothing here is sent to the service; what must be fetched or paid again, the next run does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from batcher.core import events
from batcher.core.document import OWN_FOLDER, name_of
from batcher.core.lifecycle import OPEN, OUT, VERDICTS, State
from batcher.core.policy import Kind
from batcher.edges.clock import SteadyClock
from batcher.edges.derived import all_made, forget, knows
from batcher.edges.ledger import Ledger, lock, open_existing
from batcher.edges.press import is_as_made
from batcher.edges.queries import Queries, listed
from batcher.edges.soundness import whole
from batcher.edges.store import Store
from batcher.errors import BatcherError

GROUP: Final = 500
# What `--only` may name, and the states and classes it stands for.
CLASSES: Final[dict[str, tuple[State, frozenset[str] | None]]] = {
    "transient": (State.FAILED, frozenset({Kind.TRANSIENT, Kind.PROVIDER})),
    "document": (State.FAILED, frozenset({Kind.DOCUMENT})),
    "configuration": (State.FAILED, frozenset({Kind.CONFIGURATION})),
    "expired": (State.EXPIRED, None),
    "lost": (State.LOST, None),
    "stuck": (State.STUCK, None),
    "held": (State.HELD, None),
    "cancelled": (State.CANCELLED, None),
}
UNASKED: Final = frozenset({State.FAILED, State.EXPIRED, State.LOST, State.CANCELLED})  # what `retry` alone takes


class Candidate(NamedTuple):
    """A document that came to a verdict, or whose result isn't what was saved."""

    id: int
    source: str
    state: State
    kind: str | None
    payer: int | None
    upstream: int | None


@dataclass(frozen=True, slots=True)
class Requeued:
    """`credits` is what paying for them anew is expected to cost; `at_risk` of them were perhaps paid already.

    `recalled` of them are sent again only once their old job has been cancelled, or has ended without a result.
    """

    documents: int
    credits: float
    at_risk: int
    recalled: int = 0


@dataclass(frozen=True, slots=True)
class Verified:
    """`missing` and `changed` are (source, output); `strays` are files in the output that the ledger doesn't know.

    `unmade` are (format, file) of what was made of results and isn't as it was: it costs nothing to make again.
    `ledger` is what is wrong with the ledger itself, `twins` (source, job, credits) what was paid for beside it.
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


# --- put back in the queue ------------------------------------------------------------------------------------------


async def retry(ledger_path: Path, *, only: str | None = None, paths: Sequence[str] = ()) -> Requeued:
    """Put documents with a verdict back in the queue: those of class `only`, those named, or all that may be tried."""
    with _opened(ledger_path) as ledger:
        chosen = _with_dependents(ledger, _chosen(ledger, only, paths))
        return await _requeue(ledger, chosen)


def _chosen(ledger: Ledger, only: str | None, paths: Sequence[str]) -> list[Candidate]:
    found = [c for c in _candidates(ledger) if not paths or c.source in paths]
    if unknown := set(paths) - {c.source for c in found}:
        raise BatcherError(f"{sorted(unknown)[0]}: no such document with a verdict; see `batcher failures`")
    if only is not None:
        state, kinds = CLASSES[only]
        return [c for c in found if c.state is state and (kinds is None or c.kind in kinds)]
    return found if paths else [c for c in found if c.state in UNASKED]


def _candidates(ledger: Queries) -> Iterator[Candidate]:
    sql = f"{_CANDIDATE} WHERE current = 1 AND state IN ({listed(VERDICTS)}) ORDER BY id"
    yield from map(_candidate, ledger.reader.execute(sql))


def _with_dependents(ledger: Queries, chosen: list[Candidate]) -> list[Candidate]:
    """And what shared the fate of one of them, or of one of those: its copies, and the later steps it had blocked."""
    taken = {c.id for c in chosen}
    left = [c for c in _candidates(ledger) if c.state in (State.BLOCKED, State.FAILED) and c.id not in taken]
    while found := [c for c in left if (c.upstream if c.state is State.BLOCKED else c.payer) in taken]:
        taken |= {c.id for c in found}
        left = [c for c in left if c.id not in taken]
        chosen = [*chosen, *found]
    return chosen


_CANDIDATE: Final = "SELECT id, source, state, kind, payer, upstream FROM documents"


def _candidate(row: tuple[int, str, str, str | None, int | None, int | None]) -> Candidate:
    return Candidate(row[0], row[1], State(row[2]), *row[3:])


def _again(candidate: Candidate) -> events.Event:
    if candidate.state is State.STUCK:
        return events.Recalled(candidate.id)
    return events.Retried(candidate.id) if candidate.upstream is None else events.Follows(candidate.id)


async def _requeue(ledger: Ledger, chosen: Sequence[Candidate]) -> Requeued:
    """Those that pay for themselves first, so that their copies may wait for them again."""
    payers = _payers(ledger, chosen)
    paying = [c for c in chosen if payers[c.id] == c.id]
    copies = [events.Rejoined(c.id, payers[c.id]) for c in chosen if payers[c.id] != c.id]
    for group in _groups([*map(_again, paying), *copies]):
        await ledger.record(*group)
    at_risk, recalled = (sum(c.state is state for c in paying) for state in (State.HELD, State.STUCK))
    return Requeued(len(chosen), sum(_price(ledger, c.id) for c in paying), at_risk, recalled)


def _payers(ledger: Queries, chosen: Sequence[Candidate]) -> dict[int, int]:
    """By document the one that pays for its bytes and step, or has, or perhaps has: itself, for one of each among them.

    What is in doubt shares the verdict of the one in doubt: its bytes can't be sent beside an open submission.
    """
    again = {c.id for c in chosen}
    payers, first = dict[int, int](), dict[tuple[str, str], int]()
    for candidate in sorted(chosen, key=lambda c: (c.state not in _IN_DOUBT, c.payer is not None, c.id)):
        same = ledger.reader.execute("SELECT content, step FROM documents WHERE id = ?", (candidate.id,)).fetchone()
        others = (row[0] for row in ledger.reader.execute(_OTHERS, (candidate.id,)))
        other = next((document for document in others if document not in again), None)
        payers[candidate.id] = first.setdefault(same, candidate.id) if other is None else other
    return payers


_IN_DOUBT: Final = frozenset({State.HELD, State.STUCK})
# Of the same bytes and step. None that waits for the document itself: both would wait for ever.
_OTHERS: Final = f"""
    SELECT o.id FROM documents d JOIN documents o ON o.content = d.content AND o.step = d.step AND o.id <> d.id
    WHERE d.id = ? AND o.payer IS NOT d.id AND (o.state <> 'duplicate' OR o.id = d.payer)
    AND (o.state IN ({listed(OUT)}) OR o.current = 1 AND o.state IN ({listed(OPEN | _IN_DOUBT | {State.SAVED})}))
    ORDER BY o.id"""


def _price(ledger: Queries, document: int) -> float:
    """What its last attempt cost, or a page's worth."""
    sql = "SELECT coalesce(credits, cost) FROM attempts WHERE document = ? ORDER BY number DESC LIMIT 1"
    row = ledger.reader.execute(sql, (document,)).fetchone()
    return float(row[0]) if row and row[0] else 1.0


def _groups(happened: Sequence[events.Event]) -> Iterator[Sequence[events.Event]]:
    for start in range(0, len(happened), GROUP):
        yield happened[start : start + GROUP]


# --- hold the disk against the ledger -------------------------------------------------------------------------------


def verify(ledger: Queries, output: Path, path: Path | None = None) -> Verified:
    """Read every saved result and compare its hash; name files that the ledger doesn't know.

    Where its `path` is given the ledger itself is held against its journal, too.
    """
    store, saved = Store(output), 0
    missing, changed = [], []
    for source, result, sha256 in _saved(ledger):
        there = store.digest(result)
        saved += there == sha256
        if there is None:
            missing.append((source, result))
        elif there != sha256:
            changed.append((source, result))
    return Verified(
        *(saved, tuple(missing), tuple(changed), tuple(_strays(ledger, output)), tuple(_unmade(ledger, store))),
        ledger=tuple(whole(ledger.reader, path)) if path else (),
        twins=tuple(ledger.twins()),
    )


def prospects(ledger: Queries, output: Path, found: Verified, now: float) -> tuple[int, Requeued]:
    """What `repair` would do about it: how many results it gets back for nothing, and what must be paid for."""
    remedies = _remedies(ledger, Store(output).digest, _broken(ledger, found), now)
    return remedies.free, _priced(ledger, remedies.paid)


async def repair(ledger_path: Path, output: Path) -> tuple[Verified, Requeued, int]:
    """`verify`, and what isn't whole the next run fetches again, copies from a whole one, or else pays for again.

    Returns what was found, what must be paid for, and how many cost nothing.
    """
    with _opened(ledger_path) as ledger:
        found = verify(ledger, output, ledger_path)
        remedies = _remedies(ledger, Store(output).digest, _broken(ledger, found), ledger.clock())
        paid = _priced(ledger, remedies.paid)
        for group in _groups(remedies.events()):
            await ledger.record(*group)
        for format, file in found.unmade:
            await forget(ledger, format, [file])
        return found, paid, remedies.free


@dataclass(frozen=True, slots=True)
class Remedies:
    """What sets right each document whose result isn't whole. `copied` says whose file it is made of, or will be."""

    copied: tuple[tuple[Candidate, int], ...]
    fetched: tuple[Candidate, ...]
    paid: tuple[Candidate, ...]

    @property
    def free(self) -> int:
        return len(self.copied) + len(self.fetched)

    def events(self) -> list[events.Event]:
        """Those that others wait for come first."""
        missed = [events.FileMissed(c.id, "its file is missing or changed") for c in self.fetched]
        return [*missed, *map(_again, self.paid), *(events.Rejoined(c.id, payer) for c, payer in self.copied)]


def _remedies(
    ledger: Queries, digest: Callable[[str], str | None], broken: Sequence[Candidate], now: float
) -> Remedies:
    """A whole file of the same bytes and step first: it is here, and its hash was just read."""
    digest = cache(digest)
    whole = {c.id: other for c in broken if (other := _whole_one(ledger, digest, c.id)) is not None}
    fetched = [c for c in broken if c.id not in whole and _is_kept(ledger, c.id, now)]
    settled = {*whole, *(c.id for c in fetched)}
    rest = [c for c in broken if c.id not in settled]
    payers = _payers(ledger, rest) | whole
    copied = [(c, payers[c.id]) for c in broken if payers.get(c.id, c.id) != c.id]
    return Remedies(tuple(copied), tuple(fetched), tuple(c for c in rest if payers[c.id] == c.id))


def _broken(ledger: Queries, found: Verified) -> list[Candidate]:
    return [_at(ledger, output) for _, output in (*found.missing, *found.changed)]


def _whole_one(ledger: Queries, digest: Callable[[str], str | None], document: int) -> int | None:
    """Another document whose result is of the same bytes and step, and lies on disk as it was saved."""
    others = ledger.reader.execute(_WITH_A_RESULT, (document,))
    return next((other for other, output, sha256 in others if digest(output) == sha256), None)


_WITH_A_RESULT: Final = """
    SELECT o.id, o.output, o.output_sha256
    FROM documents d JOIN documents o ON o.content = d.content AND o.step = d.step AND o.id <> d.id
    WHERE d.id = ? AND o.state IN ('saved', 'superseded') AND o.output_sha256 IS NOT NULL
    ORDER BY o.current DESC, o.id"""


def _priced(ledger: Queries, paying: Sequence[Candidate]) -> Requeued:
    return Requeued(len(paying), sum(_price(ledger, c.id) for c in paying), 0)


def _saved(ledger: Queries) -> Iterator[tuple[str, str, str]]:
    sql = "SELECT source, output, output_sha256 FROM documents WHERE current = 1 AND state = 'saved' ORDER BY id"
    yield from ledger.reader.execute(sql)


def _at(ledger: Queries, output: str) -> Candidate:
    """The document whose result is to lie there."""
    sql = f"{_CANDIDATE} WHERE current = 1 AND output = ? AND output_sha256 IS NOT NULL"  # as the index has it
    return _candidate(ledger.reader.execute(sql, (output,)).fetchone())


def _is_kept(ledger: Queries, document: int, now: float) -> bool:
    sql = (
        "SELECT deadline_at FROM attempts WHERE document = ? AND outcome = 'saved' AND cleaned_at IS NULL"
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
    """Each file once, whatever of it is wrong."""
    for (format, file), rows in groupby(all_made(ledger), key=lambda made: (made.format, made.file)):
        if not is_as_made(store, list(rows)):
            yield format, file


def _files(output: Path) -> Iterator[str]:
    root = os.fsencode(output)
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not (folder == root and f.startswith(OWN_FOLDER.encode())))
        for file in sorted(files):
            yield name_of(os.path.relpath(os.path.join(folder, file), root))  # noqa: PTH118 (bytes)


@contextmanager
def _opened(path: Path) -> Iterator[Ledger]:
    """The ledger, held and open for writing. Raises LedgerError."""
    with ExitStack() as stack:
        stack.callback(os.close, lock(path))
        ledger = open_existing(path, clock=SteadyClock())
        stack.callback(ledger.close)
        yield ledger
