"""Documents in folders: walk a directory and read its files.

Neither names nor types nor sizes are trusted. Every file is opened once, without following links or
waiting for a pipe, and must be a regular file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from pathspec import GitIgnoreSpec

from batcher.common.names import extension_of, name_of, path_of
from batcher.common.text_files import NotText, text_of
from batcher.core.chain import Overrides
from batcher.core.reasons import EMPTY, ONLY_FILES, TOO_LARGE
from batcher.errors import SourceChangedError, SourceError, SourceGoneError, SourceUnreadableError
from batcher.manifest.model import Source
from batcher.manifest.patterns import bad_pattern, pattern_spec
from batcher.reducto.api_types import PRESIGNED_UPLOAD_LIMIT
from batcher.sources.left_out import LeftOut, Reason

IGNORE_FILE: Final = ".batcherignore"
# bytes of an ignore file; each of its patterns is tried on each name
IGNORE_LIMIT: Final = 16 << 20
BLOCK: Final = 1 << 20
SORTED: Final = 10_000  # names of a folder that are sorted together
_LAST: Final = (1 << 63) - 1  # largest integer of SQLite
# Nanoseconds, 36 years; within them two times beyond `_LAST` still differ.
_FAR: Final = 1 << 60
UNSUPPORTED = "unsupported"
UNREADABLE = "unreadable"
GONE = "source_gone"


class Found(msgspec.Struct, frozen=True):
    """A file as the walk found it.

    `name` is written as by `common.names`. `problem` is the outcome that is certain already, or
    None, and `reason` says why. The file is in `folder`, at `place` or else under its name.
    `content` stands for the hash of a file that isn't read here. `metadata` (JSON) and `overrides`
    of the job's options come from a listing. `mtime_ns` is in nanoseconds since the epoch.
    """

    name: str
    size: int = 0
    mtime_ns: int = 0
    inode: int = 0
    problem: str | None = None
    reason: str | None = None
    folder: str = ""
    place: str | None = None
    content: str | None = None
    metadata: str | None = None
    overrides: Overrides = {}

    @property
    def path(self) -> Path:
        """Where the file is."""
        return path_at(self.folder, self.name, self.place)


def path_at(folder: str, name: str, place: str | None) -> Path:
    """Return the path of a document: in `folder`, at `place` or else under its name."""
    return Path(folder) / os.fsdecode(path_of(place or name))


def walk(
    source: Source, *, skip: Path, types: Container[str], now: float, left: LeftOut | None = None
) -> Iterator[Found]:
    """Yield every document below `source.directory`, sorted by name within each folder.

    `skip` is batcher's own output and is left out. `types` are the extensions taken if the source
    has no patterns; `now` is in seconds since the epoch. What is left out is counted in `left`.
    """
    assert source.directory is not None
    root = os.fsencode(source.directory)
    left = LeftOut() if left is None else left
    tree = _Tree(root, str(source.directory), Rules(source, types), os.fsencode(skip), left)
    yield from fitting(source, _folder(tree, b""), now, left)


def fitting(source: Source, walked: Iterable[Found], now: float, left: LeftOut) -> Iterator[Found]:
    """Yield the documents whose size and age are wanted, and those that have a problem."""
    for found in walked:
        reason = None if found.problem else misfit(source, found, now)
        if reason is not None:
            left.add(reason, found.name)
            continue
        left.taken += 1
        yield found


def misfit(source: Source, found: Found, now: float) -> Reason | None:
    """Return why a file of that size and age isn't wanted, or None if it is."""
    age = now - found.mtime_ns / 1e9
    if source.min_size is not None and found.size < source.min_size:
        return Reason.SMALL
    if source.max_size is not None and found.size > source.max_size:
        return Reason.LARGE
    if source.newer_than is not None and age > source.newer_than:
        return Reason.OLD
    if source.older_than is not None and age < source.older_than:
        return Reason.NEW
    return None


def found_at(path: bytes, name: str) -> Found:
    """Return the file at `path` under that name; if there is none, with the problem GONE."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return Found(name, problem=GONE, reason="there is no such file")
    except OSError as error:
        return Found(name, problem=UNREADABLE, reason=error.strerror)
    return Found(name, *facts(status), *_problem(status))


def some_files(folder: Path, number: int) -> list[Found]:
    """Return up to so many plain files of the folder that are quickly found; it may have more."""
    root = os.fsencode(folder)
    below = _visible_files(root)
    found = (found_at(path, name_of(os.path.relpath(path, root))) for path in below)
    return list(islice((file for file in found if file.problem is None), number))


def _visible_files(root: bytes) -> Iterator[bytes]:
    """Yield paths of files that aren't hidden, from the top down, while few have been seen."""
    folders = deque([root])
    left = SORTED
    while folders and left > 0:
        try:
            with os.scandir(folders.popleft()) as entries:
                for entry in islice(entries, left):
                    left -= 1
                    if entry.name.startswith(b"."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        yield entry.path
        except OSError:
            continue


def facts(status: os.stat_result) -> tuple[int, int, int]:
    """Return size, modification time and inode, by which a file is recognised.

    They are integers of 64 bits, which a ledger can hold.
    """
    return status.st_size, moment(status.st_mtime_ns), _signed(status.st_ino)


def moment(ns: int) -> int:
    """Return nanoseconds since the epoch as a 64-bit integer.

    A time after the year 2262 or before 1677 becomes another time that is as far away.
    """
    if -_LAST <= ns <= _LAST:
        return ns
    return _LAST - ns % _FAR if ns > 0 else -_LAST + -ns % _FAR


def read(path: Path, *, limit: int) -> bytes:
    """Return the content of a file of at most `limit` bytes.

    Raises SourceGoneError, SourceUnreadableError, and SourceChangedError if it changes while it is
    read.
    """
    fd, before = _open(path)
    try:
        content = b"".join(_blocks(fd, min(before.st_size, limit)))
        _compare(path, before, os.fstat(fd), len(content))
        return content
    except OSError as error:
        raise SourceUnreadableError(f"{path}: {error.strerror}") from error
    finally:
        os.close(fd)


def digest(path: Path) -> str:
    """Return the file's SHA-256 in hex. Raises the same errors as `read`."""
    fd, before = _open(path)
    try:
        sha256 = hashlib.sha256()
        size = 0
        for block in _blocks(fd, before.st_size):
            sha256.update(block)
            size += len(block)
        _compare(path, before, os.fstat(fd), size)
        return sha256.hexdigest()
    except OSError as error:
        raise SourceUnreadableError(f"{path}: {error.strerror}") from error
    finally:
        os.close(fd)


def reason(error: SourceError, *names: str) -> str:
    """Return the error's message without the names at its start.

    They are shown beside it, and without them failures of one kind are one group.
    """
    words = str(error)
    for name in names:
        words = words.removeprefix(f"{name}: ")
    return words


def _blocks(fd: int, size: int) -> Iterator[bytes]:
    """Yield the first `size` bytes, and one more if the file is longer.

    No buffer is larger than what is left to read: allocating a megabyte costs more than hashing a
    small file.
    """
    left = size + 1
    while block := os.read(fd, min(left, BLOCK)):
        left -= len(block)
        yield block
        if left <= 1:
            # No further read for the end of the file: `_compare` checks the size.
            return


def _open(path: Path) -> tuple[int, os.stat_result]:
    """Open a regular file. Raises SourceGoneError or SourceUnreadableError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise SourceGoneError(f"{path}: no longer there") from error
    except OSError as error:
        what = "a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise SourceUnreadableError(f"{path}: {what}") from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise SourceUnreadableError(f"{path}: not a regular file")
    return fd, status


def _compare(path: Path, before: os.stat_result, after: os.stat_result, size: int) -> None:
    if (before.st_size, before.st_mtime_ns) != (
        after.st_size,
        after.st_mtime_ns,
    ) or size != after.st_size:
        raise SourceChangedError(f"{path}: changed while it was read")


class Rules:
    """Which names are taken: by the manifest's patterns and the ignore files found so far.

    An extension at the end of a pattern is matched in any case, as types are: **/*.pdf takes
    SCAN.PDF.
    """

    def __init__(self, source: Source, types: Container[str]) -> None:
        self._types = types
        self._include = pattern_spec(source.include) if source.include else None
        self._exclude = pattern_spec(source.exclude) if source.exclude else None
        self._excluded = source.exclude
        self._ignored: dict[bytes, GitIgnoreSpec] = {}

    def learn(self, folder: bytes, path: bytes) -> None:
        """Add the ignore file at `path`, whose patterns apply from `folder` down."""
        place = Path(os.fsdecode(path))
        patterns = _patterns_in(place)
        try:
            self._ignored[folder] = pattern_spec(patterns)
        except ValueError as error:
            raise SourceUnreadableError(
                f"{place}: {bad_pattern(patterns)} is no pattern; take that line out"
            ) from error

    def against(self, name: bytes) -> Reason | None:
        """Return why a file of that name isn't taken, or None if it is."""
        last = name.rpartition(b"/")[2]
        if last.startswith(b"~$") or last.lower() in _OF_PROGRAMS:
            return Reason.LOCK
        if self._include is None and extension_of(os.fsdecode(name)) not in self._types:
            return Reason.TYPE
        if self._include is not None and not self._include.match_file(os.fsdecode(name)):
            return Reason.NOT_INCLUDED
        return self.excludes(name, folder=False)

    def excludes(self, name: bytes, *, folder: bool) -> Reason | None:
        """Return why a file or a folder is excluded, or None if it isn't."""
        if self._exclude is None and not self._ignored:
            return None
        text = os.fsdecode(name) + ("/" if folder else "")
        if self._exclude is not None and self._exclude.match_file(text):
            return Reason.EXCLUDED
        said = (spec.check_file(text[len(base) :]).include for base, spec in self._above(text))
        return Reason.IGNORED if next((one for one in said if one is not None), False) else None

    def excluded_by(self, name: bytes, *, folder: bool) -> str:
        """Return, for people, which pattern or ignore file excludes what `excludes` refuses."""
        text = os.fsdecode(name) + ("/" if folder else "")
        if self._exclude is not None:
            found = self._exclude.check_file(text)
            if found.include and found.index is not None:
                return f"source.exclude ({self._excluded[found.index]!r})"
        return next(
            f"{base}{IGNORE_FILE}"
            for base, spec in self._above(text)
            if spec.check_file(text[len(base) :]).include
        )

    def _above(self, text: str) -> Iterator[tuple[str, GitIgnoreSpec]]:
        """Yield the ignore files that apply, the nearest first.

        As in git, the nearest one that matches decides, also if it includes something again.
        """
        for folder, spec in reversed(self._ignored.items()):
            base = os.fsdecode(folder) + "/" if folder else ""
            if text.startswith(base):
                yield base, spec


# Files that programs leave beside documents: `~$letter.docx` says who has letter.docx open.
_OF_PROGRAMS: Final = frozenset({b"thumbs.db", b"ehthumbs.db", b"desktop.ini"})


def _patterns_in(path: Path) -> list[str]:
    """Return the patterns of an ignore file, each at its last place. Raises SourceError."""
    size = found_at(os.fsencode(path), "").size
    if size > IGNORE_LIMIT:
        raise SourceUnreadableError(
            f"{path}: {size:,} bytes are more than an ignore file may have ({IGNORE_LIMIT:,})"
        )
    try:
        lines = text_of(read(path, limit=IGNORE_LIMIT)).split("\n")
    except NotText as error:
        raise SourceUnreadableError(f"{path}: {error}") from error
    return list(dict.fromkeys(reversed(lines)))[::-1]


@dataclass(frozen=True, slots=True)
class _Tree:
    root: bytes
    folder: str  # the same as text
    rules: Rules
    skip: bytes
    left: LeftOut


def _folder(tree: _Tree, below: bytes) -> Iterator[Found]:
    here = tree.root + b"/" + below if below else tree.root
    rules = tree.rules
    ignored = here + b"/" + IGNORE_FILE.encode()
    if os.path.lexists(ignored):
        rules.learn(below, ignored)
    try:
        for last in _names(here):
            path = here + b"/" + last
            name = below + b"/" + last if below else last
            if path == tree.skip or last == IGNORE_FILE.encode():
                continue
            if last.startswith(b"."):
                tree.left.add(Reason.HIDDEN, name_of(name))
                continue
            try:
                status = os.lstat(path)
            except OSError as error:
                yield from _unseen(tree, name, error)
                continue
            is_folder = stat.S_ISDIR(status.st_mode)
            against = rules.excludes(name, folder=True) if is_folder else rules.against(name)
            if against is not None:
                reason = of_link(against, path, status)
                tree.left.add(reason, name_of(name), is_folder=is_folder)
            elif is_folder:
                yield from _folder(tree, name)
            else:
                yield Found(name_of(name), *facts(status), *_problem(status), tree.folder)
    except OSError as error:  # an error of this folder; those of its entries are handled above
        unread = f"folder: {error.strerror}"
        yield Found(name_of(below or b"."), problem=UNREADABLE, reason=unread, folder=tree.folder)


def _unseen(tree: _Tree, name: bytes, error: OSError) -> Iterator[Found]:
    # It may be a folder with documents that can't be named.
    too_long = error.errno == errno.ENAMETOOLONG
    against = tree.rules.excludes(name, folder=True) if too_long else tree.rules.against(name)
    if against is not None:
        tree.left.add(against, name_of(name))
    else:
        yield Found(name_of(name), problem=UNREADABLE, reason=error.strerror, folder=tree.folder)


def of_link(against: Reason, path: bytes, status: os.stat_result) -> Reason:
    """Return the reason LINK for a link to a folder, which isn't left out because of its name."""
    named = against in (Reason.TYPE, Reason.NOT_INCLUDED)
    return (
        Reason.LINK
        if named and stat.S_ISLNK(status.st_mode) and Path(os.fsdecode(path)).is_dir()
        else against
    )


def _names(folder: bytes) -> Iterator[bytes]:
    """Yield the names in a folder, sorted in batches, as a million don't fit in memory at once."""
    with os.scandir(folder) as entries:
        while names := sorted(entry.name for entry in islice(entries, SORTED)):
            yield from names


def _signed(inode: int) -> int:
    """Return the same 64 bits as a signed integer; some file systems use all of them."""
    return inode - (1 << 64) if inode > _LAST else inode


def _problem(status: os.stat_result) -> tuple[str | None, str | None]:
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
        return UNSUPPORTED, f"{kind}: {ONLY_FILES}"
    if status.st_size == 0:
        return UNREADABLE, EMPTY
    if status.st_size > PRESIGNED_UPLOAD_LIMIT:
        return UNSUPPORTED, TOO_LARGE
    return None, None
