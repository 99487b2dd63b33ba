"""Which documents a command is for: PATHS, patterns and lists of names, and moments in time."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime, time, timedelta
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from batcher.ledger.named import Wanted

PATHS = click.argument("paths", nargs=-1, metavar="[PATH|GLOB]...")
FROM_FILE = click.option(
    "--from-file",
    "from_file",
    metavar="FILE",
    help="Also the documents whose paths stand in FILE, one per line or each ended by NUL; - reads "
    "standard input.",
)
STEP = click.option("--step", metavar="NAME", help="Documents of this step (a job's name) alone.")


def wanted_of(paths: tuple[str, ...], from_file: str | None) -> Wanted:
    """Return what PATHS and --from-file ask for. Raises UsageError for an empty PATH."""
    from batcher.ledger.named import Wanted

    if "" in paths:
        raise click.UsageError("a PATH is empty, perhaps from an unset variable")
    listed = None if from_file is None else _names_in(_content(from_file))
    return Wanted(paths, listed)


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"--from-file {file}: {error.strerror}") from error


def _names_in(content: bytes) -> tuple[tuple[str, ...], ...]:
    r"""Return, for each name in a list, how the ledger may spell it; the likelier spelling first.

    Where names end with NUL they are the bytes of paths. A line is as `failures --paths` writes it:
    with \x0a for a newline in a path.
    """
    if b"\0" in content:
        return tuple(_spellings(name)[::-1] for name in content.split(b"\0") if name)
    lines = (line.removesuffix(b"\r") for line in content.split(b"\n"))
    return tuple(_spellings(line) for line in lines if line)


def _spellings(raw: bytes) -> tuple[str, ...]:
    from batcher.common.names import name_of

    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return (name_of(raw),)
    return tuple(dict.fromkeys((text, name_of(raw))))


_SPAN: Final = re.compile(r"\d+(?:\.\d+)?\s*[smhd]")
_CLOCK: Final = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
_A_DAY: Final = timedelta(days=1)


class Moment(click.ParamType[float]):
    """A moment in the past, as seconds since the epoch."""

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return moment_of(str(value), datetime.now().astimezone())
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is no date (2026-11-30), time (06:00), date and time "
                "(2026-11-30T06:00) or span until now (2h, 3d)",
                param,
                ctx,
            )


def moment_of(text: str, now: datetime) -> float:
    """Return the moment as seconds since the epoch. A time of day is the last one before `now`.

    Raises ValueError or OverflowError where there is no such moment.
    """
    from batcher.manifest.values import duration

    if _SPAN.fullmatch(text):
        return now.timestamp() - duration(text, most=inf)
    if _CLOCK.fullmatch(text):
        today = datetime.combine(now.date(), time.fromisoformat(text.zfill(5)))
        found = today if today.timestamp() <= now.timestamp() else today - _A_DAY
        return found.timestamp()
    return datetime.fromisoformat(text).timestamp()


def show_path(name: str, *, ends_with_nul: bool) -> None:
    r"""Write the path of a document to stdout.

    As a line it is spelled as in the ledger, where a newline is \x0a; before a NUL it is the bytes
    of the path.
    """
    if ends_with_nul:
        from batcher.common.names import path_of

        sys.stdout.buffer.write(path_of(name) + b"\0")
        return
    sys.stdout.buffer.write(os.fsencode(name) + b"\n")
