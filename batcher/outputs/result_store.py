"""Results on disk, each complete or not there, and never in place of a file that isn't batcher's.

A file is written under a temporary name, synced, renamed, and its folder synced. Blocking: the sink
calls it in a thread and with groups, since one sync serves many files. No path leads out of the
root, and no link is followed below it.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import mmap
import os
import resource
import secrets
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

from batcher.common.names import LONGEST_PATH, elsewhere, path_of, with_tag
from batcher.common.private_files import FILES, FOLDERS, NEW, let_in, make_file
from batcher.errors import OutputError
from batcher.reducto.results import Buffer

# Bytes by which the names of derived files, and of pictures, may be longer than the result's.
BESIDE: Final = 64
# A single folder for temporary files, so that those of a crash are found in one place.
PARTS: Final = (
    b".batcher",
    b"parts",
)
# Paid results that newer ones replaced, named by their hashes.
REPLACED: Final = (
    b".batcher",
    b"replaced",
)
# Files that weren't as they were saved, under the paths they had.
DAMAGED: Final = ".batcher/damaged"
# Number of files from which one sync of the file system is cheaper than one per file.
GROUP_FOR_SYNCFS: Final = 8
BLOCK: Final = 1 << 20
_OWN: Final = b"/.batcher"
# The root may be a link, since a person chose it.
_ROOT: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER: Final = _ROOT | os.O_NOFOLLOW
_PLACE_ALONE: Final = frozenset(  # errors that concern this path only, not others on the same disk
    {
        errno.ENOTDIR,
        errno.ELOOP,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENOENT,
        errno.EMLINK,
        errno.ENAMETOOLONG,
        errno.EILSEQ,
        errno.EINVAL,
        errno.EACCES,
        errno.EPERM,
    }
)
# What to do about an error.
_NEXT: Final = {
    errno.EMFILE: "allow this process more open files (ulimit -n)",
    errno.ENFILE: "raise the system's limit of open files",
    errno.EFBIG: "the file is larger than allowed: raise `ulimit -f`, or choose an output on "
    "another disk",
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room in your quota",
    errno.EROFS: "mount it writable, or choose another output directory",
    errno.EACCES: "make it writable for this user",
    errno.EPERM: "make it writable for this user",
}


@dataclass(frozen=True, slots=True)
class Item:
    """`data` to write to `output`, a relative path.

    It may replace files whose SHA-256 is in `known`. `otherwise` are the paths to try if that one
    can't be used.
    """

    output: str
    data: Buffer
    known: frozenset[str] = frozenset()
    otherwise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Streamed:
    """The same as `Item` for bytes that are already in `part`, a path from `Store.new_part`."""

    output: str
    part: Path
    sha256: str
    size: int
    known: frozenset[str] = frozenset()
    otherwise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is durable on disk.

    `output` differs from the requested path if that one is taken or can't be used.
    """

    output: str
    sha256: str
    size: int


@dataclass(slots=True)
class _Part:
    item: Item | Streamed
    parts: int  # descriptor of the open folder
    temporary: bytes
    fd: int
    sha256: str
    size: int


class Store:
    """Results below `root`.

    `access` says who may read the files, whatever the umask: "owner", or "group" for the folder's
    group as well. Folders that exist keep their modes, and so do files that grow.
    """

    def __init__(self, root: Path, access: str = "owner") -> None:
        self._root = root
        self._access = access

    def make_root(self) -> None:
        """Create the root and the folders above it that are missing. Raises OutputError."""
        try:
            self._make_root()
        except OSError as error:
            raise trouble(str(self._root), error) from error

    def check_writable(self) -> None:
        """Create and delete a file. Raises OutputError if that fails."""
        try:
            self._make_root()
            fd = os.open(self._root, _ROOT)
            try:
                name = b".batcher-" + secrets.token_hex(4).encode()
                os.close(os.open(name, NEW, 0o600, dir_fd=fd))
                os.unlink(name, dir_fd=fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise trouble(str(self._root), error) from error

    def sweep(self) -> None:
        """Delete the temporary files that a crash left.

        The caller must hold the ledger's lock, so that no other run is working here.
        """
        folder = self._root.joinpath(*(os.fsdecode(part) for part in PARTS))
        for part in folder.iterdir() if folder.is_dir() else ():
            part.unlink()

    def new_part(self) -> Path:
        """Create a temporary file for a large result; `write_group` names it when it is complete.

        Raises OutputError.
        """
        folders: dict[bytes, int] = {}
        try:
            self._folder(PARTS, folders)
        except OSError as error:
            raise trouble(str(self._root), error) from error
        finally:
            for folder in folders.values():
                os.close(folder)
        part = self._root.joinpath(*map(os.fsdecode, PARTS), secrets.token_hex(12))
        try:
            make_file(part)
        except OSError as error:
            raise trouble(str(part), error) from error
        return part

    def begin(self, output: str) -> Path:
        """Return the path of a growing file at `output`, directly in the root; create it if
        missing.

        Raises OSError.
        """
        path = self.path(output)
        with suppress(FileExistsError):
            make_file(path, self._access)
        return path

    def write_group(self, items: Sequence[Item | Streamed]) -> list[Written | OutputError]:
        """Write all of `items`; return for each the file, which is durable, or its error.

        If the process may not open as many files at once, they are written in several turns.
        """
        outcomes = self._write(items)
        left = list(range(len(items)))
        while 0 < len(refused := [n for n in left if _wants_files(outcomes[n])]) < len(left):
            left = refused
            for number, outcome in zip(left, self._write([items[n] for n in left]), strict=True):
                outcomes[number] = outcome
        return outcomes

    def _write(self, items: Sequence[Item | Streamed]) -> list[Written | OutputError]:
        outcomes: dict[int, Written | OutputError] = {}
        parts: dict[int, _Part] = {}
        folders: dict[bytes, int] = {}
        try:
            for number, item in enumerate(items):
                try:
                    parts[number] = self._begin(item, folders)
                except OSError as error:
                    outcomes[number] = trouble(item.output, error)
            self._sync(parts, outcomes)
            for number, part in parts.items():
                if number not in outcomes:
                    outcomes[number] = self._publish(part, folders)
            for folder in folders.values():
                os.fsync(folder)
        except (
            OSError
        ) as error:  # A folder that can't be synced: nothing of this group counts as durable.
            return [trouble(item.output, error) for item in items]
        finally:
            for part in parts.values():
                os.close(part.fd)
                _discard(part)
            for folder in folders.values():
                os.close(folder)
        return [outcomes[number] for number in range(len(items))]

    def read(self, output: str) -> memoryview:
        """Return the result at `output` as a memory map; only the parts that are read take memory.

        Raises FileNotFoundError if there is no regular file.
        """
        try:
            with self._open_folder_of(output) as (folder, name):
                fd = _open_file(name, folder)
            with os.fdopen(fd, "rb") as file:
                if not os.fstat(fd).st_size:
                    return memoryview(b"")  # an empty file can't be mapped
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise FileNotFoundError(output) from error

    def path(self, output: str) -> Path:
        """Return the absolute path of `output`."""
        return self._root / os.fsdecode(path_of(output))

    def digest(self, output: str) -> str | None:
        """Return the SHA-256 of the file at `output`, or None if there is none.

        It is "" if the file can't be read or is no regular file.
        """
        try:
            with self._open_folder_of(output) as (folder, name):
                return _hash_of(name, folder)
        except FileNotFoundError:
            return None
        except OSError:
            return ""

    def is_unreadable(self, output: str) -> bool:
        """Return whether something lies at `output` of which the disk doesn't say what it is.

        That is no sign of damage: the disk may be away, or the file another user's.
        """
        try:
            with self._open_folder_of(output) as (folder, name):
                fd = _open_file(name, folder)
            with os.fdopen(fd, "rb") as file:
                while file.read(BLOCK):
                    pass
        except OSError as error:
            return error.errno not in _NOT_THERE
        return False

    def size(self, output: str) -> int | None:
        """Return the bytes of the file at `output`; None if there is no regular file."""
        try:
            found = os.lstat(os.path.join(os.fsencode(self._root), path_of(output)))  # noqa: PTH118 (bytes)
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def move_aside(self, output: str) -> str | None:
        """Move whatever lies at `output` below DAMAGED, to a path that is free; return that path.

        None if nothing lies there, or a link is on the way. The caller must hold the ledger's lock.
        Raises OutputError.
        """
        folders: dict[bytes, int] = {}
        try:
            with self._open_folder_of(output) as (folder, name):
                os.stat(name, dir_fd=folder, follow_symlinks=False)
                kept, into, free = self._free_path(f"{DAMAGED}/{output}", folders)
                os.rename(name, free, src_dir_fd=folder, dst_dir_fd=into)
                os.fsync(into)
                os.fsync(folder)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise trouble(output, error) from error
        finally:
            for opened in folders.values():
                os.close(opened)
        return kept

    def _free_path(self, output: str, folders: dict[bytes, int]) -> tuple[str, int, bytes]:
        """Return `output`, or with a number if that is taken, its open folder and its last part."""
        for number in count(1):
            path = output if number == 1 else with_tag(output, str(number))
            folder, name = self._folder_of(path, folders)
            try:
                os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return path, folder, name
        raise AssertionError("numbers don't end")

    def copy(self, source: str, target: str, *, sha256: str, known: frozenset[str]) -> Written:
        """Copy the result at `source`, or what was kept of it when it was replaced, to `target`.

        Raises FileNotFoundError if neither has the hash `sha256`, and OutputError.
        """
        part = self.new_part()
        try:
            found = (self._streamed(output, part, sha256) for output in (source, kept_name(sha256)))
            size = next((size for size in found if size is not None), None)
            if size is None:
                raise FileNotFoundError(f"{source}: not the bytes that were saved")
            (outcome,) = self.write_group(
                [Streamed(target, part, sha256, size, known, elsewhere(target))]
            )
        finally:
            part.unlink(missing_ok=True)
        if isinstance(outcome, OutputError):
            raise outcome
        return outcome

    def _streamed(self, output: str, part: Path, sha256: str) -> int | None:
        """Copy the file in blocks; return its size, or None if it doesn't have this hash.

        A disk that can't be read at the moment says nothing about the file, so that is an
        OutputError.
        """
        try:
            with self._open_folder_of(output) as (folder, name):
                fd = _open_file(name, folder)
            with os.fdopen(fd, "rb") as file:
                copied, size = _copied(file, part)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise trouble(output, error) from error
        return size if copied == sha256 else None

    @contextmanager
    def _open_folder_of(self, output: str) -> Iterator[tuple[int, bytes]]:
        """Open the folder of `output`; yield it and the last part of the path.

        No link is followed on the way. Raises OSError.
        """
        *parents, name = path_of(output).split(b"/")
        with ExitStack() as stack:
            folder = os.open(self._root, _ROOT)
            stack.callback(os.close, folder)
            for parent in parents:
                folder = os.open(parent, _FOLDER, dir_fd=folder)
                stack.callback(os.close, folder)
            yield folder, name

    # --- one file ---------------------------------------------------------------------------------

    def _begin(self, item: Item | Streamed, folders: dict[bytes, int]) -> _Part:
        parts = self._folder(PARTS, folders)
        if isinstance(item, Streamed):
            name = os.fsencode(item.part.name)
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parts)
            let_in(fd, FILES[self._access])
            return _Part(item, parts, name, fd, item.sha256, item.size)
        name = secrets.token_hex(12).encode()
        fd = os.open(name, NEW, 0o600, dir_fd=parts)
        part = _Part(item, parts, name, fd, hashlib.sha256(item.data).hexdigest(), len(item.data))
        try:
            let_in(fd, FILES[self._access])
            _write_all(part.fd, item.data)
        except OSError:
            os.close(part.fd)
            _discard(part)
            raise
        return part

    def _folder_of(self, output: str, folders: dict[bytes, int]) -> tuple[int, bytes]:
        """Return the open folder of `output`, created if missing, and the last part of the path."""
        *parents, name = path_of(output).split(b"/")
        return self._folder(parents, folders), name

    def _folder(self, parents: Sequence[bytes], folders: dict[bytes, int]) -> int:
        """Return the open folder, created if missing. No link is followed on the way."""
        here = b""
        fd = folders.get(here)
        if fd is None:
            self._make_root()
            fd = folders[here] = os.open(self._root, _ROOT)
        for parent in parents:
            assert parent not in (b"", b".", b".."), parents
            here += b"/" + parent
            if here not in folders:
                folders[here] = _open_or_make(parent, fd, self._mode_of(here))
            fd = folders[here]
        return fd

    def _publish(self, part: _Part, folders: dict[bytes, int]) -> Written | OutputError:
        """Give the temporary file its planned name, or another if that one can't be used."""
        item = part.item
        tagged = with_tag(item.output, part.sha256[:8])
        refused: OSError | None = None
        for output in (item.output, tagged, *item.otherwise):
            try:
                if self._takes(part, output, folders):
                    return Written(output, part.sha256, part.size)
            except OSError as error:
                if error.errno not in _PLACE_ALONE:
                    return trouble(item.output, error)
                refused = error
        if refused is not None:
            return trouble(item.output, refused)
        words = (
            f"{item.output}: both it and {tagged} are taken by files that batcher didn't "
            "write; move them away"
        )
        return OutputError(words, errno=errno.EEXIST)

    def _takes(self, part: _Part, output: str, folders: dict[bytes, int]) -> bool:
        """Name the temporary file `output`; return False if a file of someone else's has that name.

        Raises OSError.
        """

        def keep(name: bytes, folder: int, sha256: str) -> None:
            _link_or_move(name, folder, f"{sha256}.json".encode(), self._folder(REPLACED, folders))

        if len(path_of(output)) > self._room:
            # The whole path is too long, even if each part of it could be created.
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        folder, name = self._folder_of(output, folders)
        return _take_name(part, folder, name, part.item.known | {part.sha256}, keep)

    @cached_property
    def _room(self) -> int:
        """Bytes that a path below the root may have to be opened by its absolute path."""
        with suppress(OSError, ValueError):
            return (
                os.pathconf(self._root, "PC_PATH_MAX")
                - len(os.fsencode(self._root.absolute()))
                - BESIDE
            )
        return LONGEST_PATH

    def _mode_of(self, folder: bytes) -> int:
        """Return the mode for a new folder; batcher's own is always the owner's."""
        is_own = folder == _OWN or folder.startswith(_OWN + b"/")
        return FOLDERS["owner" if is_own else self._access]

    def _make_root(self) -> None:
        for folder in reversed([self._root, *self._root.parents]):
            if folder.exists():
                continue
            with suppress(FileExistsError):  # another thread was faster
                folder.mkdir(0o700)
                _let_into(os.open(folder, _FOLDER), FOLDERS[self._access])

    def _sync(self, parts: dict[int, _Part], outcomes: dict[int, Written | OutputError]) -> None:
        """Sync the temporary files.

        After a failed sync the pages of a file count as clean although they weren't written. So the
        file is discarded and never synced again.
        """
        if len(parts) >= GROUP_FOR_SYNCFS and _SYNCFS is not None:
            if _SYNCFS(next(iter(parts.values())).fd) == 0:
                return
            failed = OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            outcomes.update(
                {number: trouble(part.item.output, failed) for number, part in parts.items()}
            )
            return
        for number, part in parts.items():
            try:
                os.fsync(part.fd)
            except OSError as error:
                outcomes[number] = trouble(part.item.output, error)


def kept_name(sha256: str) -> str:
    """Return the path of a paid result that was replaced."""
    return "/".join(map(os.fsdecode, (*REPLACED, f"{sha256}.json".encode())))


def _take_name(part: _Part, folder: int, name: bytes, ours: frozenset[str], keep: Keep) -> bool:
    """Name the temporary file; return False if a file that isn't one of `ours` has that name.

    A file that is replaced is kept under another name first.
    """
    try:
        os.link(
            part.temporary, name, src_dir_fd=part.parts, dst_dir_fd=folder, follow_symlinks=False
        )
        return True
    except FileExistsError:
        there = _hash_of(name, folder)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        there = _hash_of(name, folder)
        if there is None:
            os.rename(part.temporary, name, src_dir_fd=part.parts, dst_dir_fd=folder)
            return True
    if not there or there not in ours:
        return False
    if there != part.sha256:
        keep(name, folder, there)
    os.rename(part.temporary, name, src_dir_fd=part.parts, dst_dir_fd=folder)
    return True


Keep = Callable[[bytes, int, str], None]  # (a file's name, its open folder, its SHA-256)
_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


def _link_or_move(name: bytes, folder: int, kept: bytes, into: int) -> None:
    """Give the file a second name; if the file system has no hard links, rename it."""
    try:
        os.link(name, kept, src_dir_fd=folder, dst_dir_fd=into, follow_symlinks=False)
    except FileExistsError:
        return  # the same content was kept before
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(name, kept, src_dir_fd=folder, dst_dir_fd=into)


def _hash_of(name: bytes, folder: int) -> str | None:
    """Return the file's SHA-256, None if there is none, "" if it can't be read."""
    try:
        fd = _open_file(name, folder)
    except FileNotFoundError:
        return None
    except OSError:
        return ""
    digest = hashlib.sha256()
    with os.fdopen(fd, "rb") as file:
        try:
            while block := file.read(BLOCK):
                digest.update(block)
        except OSError:
            return ""
    return digest.hexdigest()


def _open_file(name: bytes, folder: int) -> int:
    """Open a regular file for reading, following no link. Raises OSError."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise IsADirectoryError(errno.EISDIR, "it is no regular file")


def _let_into(folder: int, mode: int) -> None:
    try:
        let_in(folder, mode)
    finally:
        os.close(folder)


def _copied(file: BinaryIO, part: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with part.open("wb") as copy:
        while block := file.read(BLOCK):
            digest.update(block)
            size += copy.write(block)
    return digest.hexdigest(), size


def _open_or_make(name: bytes, parent: int, mode: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another thread was faster
            os.mkdir(name, 0o700, dir_fd=parent)
            _let_into(os.open(name, _FOLDER, dir_fd=parent), mode)
        os.fsync(parent)
        return os.open(name, _FOLDER, dir_fd=parent)


def _write_all(fd: int, data: Buffer) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _discard(part: _Part) -> None:
    try:
        os.unlink(part.temporary, dir_fd=part.parts)
    except OSError:
        return  # renamed already, or the disk refuses: the next run sweeps it


def _wants_files(outcome: Written | OutputError) -> bool:
    return isinstance(outcome, OutputError) and outcome.errno in (errno.EMFILE, errno.ENFILE)


def concerns_one(error: OSError | OutputError) -> bool:
    """Tell whether an error concerns a single result, so that others may still be written.

    Exceeding the process's limit of file size doesn't: a person set it, as with a quota.
    """
    if error.errno == errno.EFBIG:
        return resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    return error.errno in (errno.EOVERFLOW, errno.EEXIST)


def trouble(output: str, error: OSError) -> OutputError:
    """Return the error as an OutputError that says what to do."""
    advice = _NEXT.get(error.errno or 0, "check that disk")
    return OutputError(
        f"{output}: {error.strerror}; {advice} and run again: results not yet written are still "
        "at the service",
        errno=error.errno or 0,
    )


def _find_syncfs() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    syncfs: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    return syncfs


_SYNCFS: Final = _find_syncfs()
