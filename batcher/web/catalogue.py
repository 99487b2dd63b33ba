"""The batches that may be shown: every ledger below the folders that were given.

A batch is addressed by an opaque id, never by a path, so that no request can name a file. Links
out of the folders aren't followed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from batcher.batches import Place, place_of

INNER: Final = ".batcher"
LEDGER: Final = "ledger.db"
# Folders that are looked into. Outputs aren't looked into any further, so this is about a folder
# that was given by mistake, such as one's home.
FOLDERS_AT_MOST: Final = 20_000
# A search that takes longer than `QUICK` seconds isn't made again before `REST` times as long.
QUICK: Final = 0.2
REST: Final = 20.0
ID_LENGTH: Final = 16  # hex digits


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that may be shown. `what` is what commands on it are told: its output or manifest."""

    id: str
    ledger: Path
    output: Path
    what: Path


@dataclass(frozen=True, slots=True)
class Found:
    """The batches in the order of their paths; `is_cut` if there were too many folders to see."""

    batches: Sequence[Batch] = ()
    is_cut: bool = False


class Catalogue:
    """Knows the batches below `given`: outputs, folders with outputs below them, and manifests.

    A place is that of one batch, whether it has begun or not. A run may begin after the catalogue
    was made, so `look` again now and then.
    """

    def __init__(self, given: Sequence[Path | Place]) -> None:
        self._given = tuple(given)
        self._by_id: dict[str, Batch] = {}
        self._found = Found()
        self._again_at = 0.0  # on a clock that never goes back

    def look(self) -> Found:
        """Look for batches again, unless that took long and was done a moment ago.

        Raises ManifestError where a manifest can't be read any more.
        """
        began = time.monotonic()
        if began >= self._again_at:
            self._found = self._search()
            took = time.monotonic() - began
            self._again_at = began + (REST * took if took > QUICK else 0.0)
        return self._found

    def _search(self) -> Found:
        budget = _Budget(FOLDERS_AT_MOST)
        found: dict[str, Batch] = {}
        for path in self._given:
            for batch in _batches_in(path, budget):
                found.setdefault(batch.id, batch)
        self._by_id = found
        batches = sorted(found.values(), key=lambda batch: str(batch.ledger))
        return Found(batches, budget.is_spent)

    def get(self, identifier: str) -> Batch | None:
        """Return the batch with this id, of those that the last look found."""
        return self._by_id.get(identifier)


class _Budget:
    def __init__(self, folders: int) -> None:
        self._left = folders

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def spend(self) -> bool:
        self._left -= 1
        return self._left > 0


def _batches_in(given: Path | Place, budget: _Budget) -> Iterator[Batch]:
    if isinstance(given, Place):
        if given.ledger.exists():
            yield _batch(given, given.output.absolute())
    elif given.is_dir():
        for output in _outputs_below(given, budget):
            ledger = output / INNER / LEDGER
            yield _batch(Place(output.name, ledger, output), output)
    elif given.is_file():
        place = place_of(given)
        if place.ledger.exists():
            yield _batch(place, given.absolute())


def _batch(place: Place, what: Path) -> Batch:
    name = os.fsencode(place.ledger.resolve())
    identifier = sha256(name).hexdigest()[:ID_LENGTH]
    return Batch(identifier, place.ledger.absolute(), place.output.absolute(), what)


def _outputs_below(path: Path, budget: _Budget) -> Iterator[Path]:
    """Yield the folders that hold a ledger, and don't look into these any further."""
    top = path.resolve()
    to_see = [top]
    while to_see and budget.spend():
        folder = to_see.pop()
        if _has_ledger(folder, top):
            yield folder
        else:
            to_see += _folders_in(folder)


def _has_ledger(folder: Path, top: Path) -> bool:
    """Whether a ledger lies in the folder itself, and not behind a link that leads elsewhere."""
    ledger = folder / INNER / LEDGER
    try:
        return ledger.is_file() and ledger.resolve().is_relative_to(top)
    except OSError:
        return False


def _folders_in(folder: Path) -> Iterable[Path]:
    try:
        with os.scandir(folder) as entries:
            return [
                folder / entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]
    except OSError:
        return []
