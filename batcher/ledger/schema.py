"""Which schema a ledger has, and whether this batcher can read it as it is.

It migrates nothing: only a run does.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from batcher.errors import (
    LedgerDamaged,
    LedgerError,
    LedgerForeign,
    LedgerNewer,
    LedgerOlder,
    OutputError,
)
from batcher.ledger.connection import reader

# "batc", so that `file` and we can tell a ledger from any other database
APPLICATION_ID: Final = 0x62617463
VERSION: Final = 11  # PRAGMA user_version; one more with each migration


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can only read, closed in the end.

    Raises LedgerError where there is no ledger it could read.
    """
    with closing(readable(path)) as connection, _translated(path):
        yield connection


@contextmanager
def reading_any(path: Path) -> Iterator[sqlite3.Connection]:
    """The same also of an older schema, which the run to come brings up to date: for what all of
    them have.
    """
    with closing(_checked(path, refuse_empty)) as connection, _translated(path):
        yield connection


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error
    except PermissionError as error:
        where = Path(error.filename or path)
        raise LedgerError(f"{where}: {error.strerror}; {who_may_read(where)}") from error


def readable(path: Path) -> sqlite3.Connection:
    """A connection for the caller to close."""
    return _checked(path, refuse_older)


def _checked(path: Path, refuse: Callable[[sqlite3.Connection, Path], None]) -> sqlite3.Connection:
    refuse_unreadable(path)
    try:
        connection = reader(path)
    except sqlite3.OperationalError as error:
        raise LedgerError(
            f"{path}: {said_of(error)}; see what is there and who may read it"
        ) from error
    try:
        refuse_foreign(connection, path)
        refuse(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _damaged(path, error) from error
    except LedgerError:
        connection.close()
        raise
    return connection


def refuse_unreadable(path: Path) -> None:
    """Raises LedgerError where the system gives its bytes to nobody, or not to us: that says
    nothing about them.
    """
    for part in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        try:
            with part.open("rb") as file:
                file.read(1)
        except FileNotFoundError:
            if part == path:
                raise LedgerError(f"{path}: there is no ledger; `batcher run` makes one") from None
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


def is_there(path: Path) -> bool:
    """Raises LedgerError where nobody lets us see."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}; {who_may_read(path)}") from error
    return True


def who_may_read(path: Path) -> str:
    """In words for whoever may not."""
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
    """Raises LedgerForeign and LedgerNewer."""
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
    """Raises LedgerOlder: a run that was killed in its first moment leaves such a file, and so does
    a broken disk.
    """
    if not is_filled(connection):
        raise LedgerOlder(
            f"{path}: there is nothing in this ledger yet; `batcher run` fills it, and where "
            "there had been something "
            "`batcher rebuild` makes it anew"
        )


def refuse_older(connection: sqlite3.Connection, path: Path) -> None:
    """Raises LedgerOlder: whoever only reads can't bring it up to date."""
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
    """Whether there is anything in it at all."""
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def has_our_tables(connection: sqlite3.Connection) -> bool:
    """Though it may not be marked as a ledger any more."""
    sql = (
        "SELECT count(*) FROM sqlite_master WHERE name IN ('documents', 'attempts', 'events', "
        "'meta')"
    )
    return bool(connection.execute(sql).fetchone()[0] == 4)


def _is_begun(connection: sqlite3.Connection) -> bool:
    """Whether it is a ledger whose making was cut off before it was marked as one."""
    sql = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    return connection.execute(sql).fetchone() is not None


def said_of(error: OSError | sqlite3.Error) -> str:
    """In the system's or SQLite's words, without the path."""
    return str(error.strerror if isinstance(error, OSError) else error)


def _damaged(path: Path, error: sqlite3.DatabaseError) -> LedgerError:
    """What SQLite says of the disk or of a lock isn't damage."""
    if isinstance(error, sqlite3.OperationalError):
        return LedgerError(f"{path}: {error}; it can't be read now")
    return LedgerDamaged(f"{path}: {error}; `batcher rebuild` makes a new one")
