"""Checks which schema a ledger has, and whether this version of batcher can read it.

It migrates nothing: only a run does that.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from batcher.common.shell_words import typed
from batcher.errors import (
    LedgerDamaged,
    LedgerError,
    LedgerForeign,
    LedgerNewer,
    LedgerOlder,
    OutputError,
)
from batcher.ledger.claim import NAME
from batcher.ledger.connection import reader
from batcher.ledger.journal import journal_of

# "batc" in ASCII, so that `file` and batcher can tell a ledger from any other database
APPLICATION_ID: Final = 0x62617463
VERSION: Final = 12  # PRAGMA user_version; raised by one with each migration


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection for the block.

    Raises LedgerError where there is no ledger that this version can read.
    """
    with closing(readable(path)) as connection, translated(path):
        yield connection


@contextmanager
def reading_any(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection like `reading`, but accept older schemas, too.

    Use it only for what all schemas have. The next run migrates such a ledger.
    """
    with closing(_checked(path, refuse_empty)) as connection, translated(path):
        yield connection


@contextmanager
def reading_as_it_is(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection like `reading`, but accept older schemas and empty files, too."""
    with closing(_checked(path, _refuse_nothing)) as connection, translated(path):
        yield connection


@contextmanager
def reading_beside(path: Path, *, any_thread: bool = False) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection like `reading`, in a process that has others on the same file.

    Only SQLite opens the file here: whenever a process closes a file that it opened by other means,
    the system drops all locks that the process has on it, also those of its other connections.
    """
    with closing(beside(path, any_thread=any_thread)) as connection, translated(path):
        yield connection


def beside(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Return the connection of `reading_beside`, which the caller must close."""
    if not is_there(path):
        raise _missing(path)
    return _opened(path, refuse_older, any_thread=any_thread)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise LedgerError where the block can't read the ledger at `path`, or a copy of it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise damaged(path, error) from error
    except PermissionError as error:
        where = Path(error.filename or path)
        raise LedgerError(f"{where}: {error.strerror}; {who_may_read(where)}") from error


def readable(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Return a read-only connection, which the caller must close. Raises LedgerError.

    With `any_thread` it may be used by several threads, one at a time.
    """
    return _checked(path, refuse_older, any_thread=any_thread)


def _checked(
    path: Path,
    refuse: Callable[[sqlite3.Connection, Path], None],
    *,
    any_thread: bool = False,
) -> sqlite3.Connection:
    refuse_unreadable(path)
    return _opened(path, refuse, any_thread=any_thread)


def _opened(
    path: Path,
    refuse: Callable[[sqlite3.Connection, Path], None],
    *,
    any_thread: bool,
) -> sqlite3.Connection:
    try:
        connection = reader(path, any_thread=any_thread)
    except sqlite3.OperationalError as error:
        raise LedgerError(
            f"{path}: {said_of(error)}; see what is there and who may read it"
        ) from error
    try:
        refuse_foreign(connection, path)
        refuse(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise damaged(path, error) from error
    except LedgerError:
        connection.close()
        raise
    return connection


def refuse_unreadable(path: Path) -> None:
    """Raise LedgerError if the file doesn't exist or can't be read by this user or at all.

    That says nothing about whether its content is damaged. Where the disk fails the error is
    OutputError.
    """
    for part in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        try:
            with part.open("rb") as file:
                file.read(1)
        except FileNotFoundError:
            if part == path:
                raise _missing(path) from None
        except IsADirectoryError as error:
            raise LedgerError(
                f"{part}: here is a directory where a ledger was to be; move it away"
            ) from error
        except PermissionError as error:
            raise LedgerError(f"{part}: {error.strerror}; {who_may_read(part)}") from error
        except OSError as error:
            raise OutputError(
                f"{part}: {error.strerror}; make sure of its disk, nothing was changed"
            ) from error


def _missing(path: Path) -> LedgerError:
    """Return the error for a ledger that isn't there, which may have been lost."""
    output = path.parent.parent if path.parent.name == ".batcher" else None
    if is_there(journal_of(path)):
        rebuild = "batcher rebuild " + ("MANIFEST" if output is None else typed(output))
        lost = f"its journal is: put it back, or `{rebuild}` makes it again from that"
    elif output is not None and is_there(output / NAME):
        lost = (
            f"{output / NAME} says that there was one: put it back, or `batcher rebuild MANIFEST` "
            "makes it again from the service's job list and the results"
        )
    else:
        return LedgerError(f"{path}: there is no ledger; `batcher run` makes one")
    return LedgerError(f"{path}: there is no ledger, though {lost}")


def is_there(path: Path) -> bool:
    """Return whether the file exists. Raises LedgerError where permissions prevent finding out."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}; {who_may_read(path)}") from error
    return True


def who_may_read(path: Path) -> str:
    """Return, in words for the person, whose file it is and how to get access to it."""
    try:
        there = path.stat()
    except OSError:
        return (
            f"its folder isn't open to you (you are user {os.geteuid()}); see who made it, and "
            "run as that user"
        )
    mode = there.st_mode & 0o777
    user = os.geteuid()
    if there.st_uid == user:
        return f"it is yours, but its mode is {mode:04o}: chmod u+rw gives it back to you"
    return (
        f"it belongs to user {there.st_uid}, mode {mode:04o}, and you are user {user}: "
        "run as the user who made it, or have it given to you with chown"
    )


def refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Raise LedgerForeign for a database of another program, LedgerNewer for a newer schema."""
    application, version = _marks(connection)
    if (
        is_filled(connection)
        and application != APPLICATION_ID
        and not (application == 0 and _is_begun(connection))
    ):
        raise LedgerForeign(f"{path}: this is a database, but not a ledger of batcher")
    if version > VERSION:
        raise LedgerNewer(
            f"{path}: written by a newer batcher (schema {version}, known here: {VERSION}); "
            "update batcher"
        )


def refuse_empty(connection: sqlite3.Connection, path: Path) -> None:
    """Raise LedgerOlder if the file has no tables.

    A run that is killed in its first moment leaves such a file, and so does a broken disk.
    """
    if not is_filled(connection):
        raise LedgerOlder(
            f"{path}: there is nothing in this ledger yet; `batcher run` fills it, and where "
            "there had been something "
            "`batcher rebuild MANIFEST` makes it again"
        )


def _refuse_nothing(connection: sqlite3.Connection, path: Path) -> None:
    pass


def refuse_older(connection: sqlite3.Connection, path: Path) -> None:
    """Raise LedgerOlder if the schema isn't the current one; a reader can't migrate it."""
    _, version = _marks(connection)
    if version == VERSION:
        return
    refuse_empty(connection, path)
    raise LedgerOlder(
        f"{path}: written by an older batcher (schema {version}, known here: {VERSION}); "
        "the next `batcher run` brings it up to date and keeps a copy of it as it is"
    )


def _marks(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def is_filled(connection: sqlite3.Connection) -> bool:
    """Return whether the database has any tables."""
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def has_our_tables(connection: sqlite3.Connection) -> bool:
    """Return whether it has a ledger's tables, even if it isn't marked as one any more."""
    sql = (
        "SELECT count(*) FROM sqlite_master WHERE name IN ('documents', 'attempts', 'events', "
        "'meta')"
    )
    return bool(connection.execute(sql).fetchone()[0] == 4)


def _is_begun(connection: sqlite3.Connection) -> bool:
    """Return whether it is a ledger whose creation was interrupted before it was marked as one."""
    sql = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    return connection.execute(sql).fetchone() is not None


def said_of(error: OSError | sqlite3.Error) -> str:
    """Return the message of the system or of SQLite, without the path."""
    return str(error.strerror if isinstance(error, OSError) else error)


def damaged(path: Path, error: sqlite3.DatabaseError) -> LedgerError:
    """Translate an error of a ledger; what SQLite says of the disk or of a lock isn't damage."""
    if isinstance(error, sqlite3.OperationalError):
        return LedgerError(f"{path}: {error}; it can't be read now")
    return LedgerDamaged(f"{path}: {error}; `batcher rebuild MANIFEST` makes a new one")
