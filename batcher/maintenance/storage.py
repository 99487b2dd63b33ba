"""What of a batch lies on disk beside its results, file by file. It reads names and sizes only."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from batcher.common.names import OWN_FOLDER


class Kind(StrEnum):
    """What a file is there for."""

    RESULTS = "results"
    LEDGER = "ledger"
    JOURNAL = "journal"
    REPLACED = "replaced results"
    DAMAGED = "damaged results"
    PARTS = "unfinished files"
    TRACES = "traces"
    COPIES = "old ledger copies"
    SERVICE = "service data"
    REHEARSAL = "rehearsal"
    SAMPLE = "checked sample"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Stored:
    """A file, and its size in bytes."""

    kind: Kind
    path: Path
    size: int


FOLDERS = {
    "parts": Kind.PARTS,
    "replaced": Kind.REPLACED,
    "damaged": Kind.DAMAGED,
    "service": Kind.SERVICE,
    "rehearsal": Kind.REHEARSAL,
}
TRACES = "errors.log"
_SUMMARY = re.compile(r"summary\.json(\.part)?")


def stored(output: Path, ledger: Path) -> Iterator[Stored]:
    """Yield the files of a batch beside its results. Links aren't followed.

    Beside a ledger that lies elsewhere, only what bears its name, and its service's and
    rehearsal's folders.
    """
    own = output / OWN_FOLDER
    beside = ledger.parent
    for folder in dict.fromkeys((own, beside)):
        for path in _entries(folder):
            kind = kind_of(path, ledger)
            if folder == own or kind is not Kind.OTHER:
                yield from _files(kind, path)


def totals(output: Path, ledger: Path) -> dict[Kind, int]:
    """Return the bytes of each kind of which there are any."""
    found: dict[Kind, int] = {}
    for file in stored(output, ledger):
        found[file.kind] = found.get(file.kind, 0) + file.size
    return found


def kind_of(path: Path, ledger: Path) -> Kind:
    """Return what a file or folder beside a ledger is for."""
    name = path.name
    if path.is_symlink():
        return Kind.OTHER  # it may lead to somebody else's files
    if path.is_dir():
        return FOLDERS.get(name, Kind.OTHER)
    stem = re.escape(ledger.stem)
    whole = re.escape(ledger.name)
    if name == TRACES:
        return Kind.TRACES
    if re.fullmatch(rf"{stem}\.(rebuilding\.)?journal(-\d+)?\.jsonl", name):
        return Kind.JOURNAL
    if re.fullmatch(rf"{stem}\.v\d+\.db", name):
        return Kind.COPIES
    if re.fullmatch(rf"{whole}\.damaged-\d+(-wal|-shm)?", name):
        return Kind.COPIES
    if re.fullmatch(rf"{stem}\.(v\d+\.db\.part|rebuilding\.db(-wal|-shm)?)", name):
        return Kind.PARTS
    if re.fullmatch(rf"{stem}(\.\d{{8}}-\d{{6}})?\.sample\.json(\.part)?", name):
        return Kind.SAMPLE
    if re.fullmatch(rf"{whole}(-wal|-shm|\.lock)?", name) or _SUMMARY.fullmatch(name):
        return Kind.LEDGER
    return Kind.OTHER


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(kind: Kind, path: Path) -> Iterator[Stored]:
    if path.is_dir() and not path.is_symlink():
        for folder, _, names in os.walk(path):
            for name in names:
                yield from _one(kind, Path(folder, name))
    else:
        yield from _one(kind, path)


def _one(kind: Kind, path: Path) -> Iterator[Stored]:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return  # a run has just removed it
    if stat.S_ISREG(found.st_mode):
        yield Stored(kind, path, found.st_size)
