"""Says why a source leaves out one path, by the rules of its walk. It reads no document."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Final

from batcher.common.formatting import format_bytes, format_duration
from batcher.common.names import SETTLING, extension_of, name_of, path_of, settled
from batcher.manifest.model import Source
from batcher.sources import listing
from batcher.sources.directory import (
    IGNORE_FILE,
    Found,
    Rules,
    facts,
    misfit,
    of_link,
)
from batcher.sources.left_out import Reason

TAKEN: Final = "nothing leaves it out: the next run takes it, if the one under way doesn't"


def why_left_out(
    sources: Iterable[Source], typed: str, *, skip: Path, types: Container[str], now: float
) -> str | None:
    """Return why no source takes the path `typed`, or `TAKEN`; None where it is in none of them.

    `skip` is batcher's own output, `types` are the extensions that the service takes, and `now` is
    in seconds since the epoch. Raises SourceError if an ignore file can't be read, ManifestError if
    a listing can't.
    """
    told = list[str]()
    for source in sources:
        if source.directory is not None:
            said = _in_directory(source, typed, os.fsencode(skip), types, now)
        elif source.url is not None:
            said = _in_store(source, typed, types)
        else:
            said = _in_listing(source, typed)
        if said is not None:
            told.append(said)
    return TAKEN if TAKEN in told else "; ".join(dict.fromkeys(told)) or None


def _in_directory(
    source: Source, typed: str, skip: bytes, types: Container[str], now: float
) -> str | None:
    root = os.path.normpath(os.fsencode(str(source.directory)))
    name = _below(root, typed)
    if name is None:
        return None
    rules = Rules(source, types)
    folder = b""
    for part in name.split(b"/"):
        here = os.path.join(root, folder)  # noqa: PTH118 (bytes)
        ignored = os.path.join(here, IGNORE_FILE.encode())  # noqa: PTH118 (bytes)
        if os.path.lexists(ignored):
            rules.learn(folder, ignored)
        entry = folder + b"/" + part if folder else part
        path = root + b"/" + entry
        status = os.lstat(path)
        said = _by_name(source, rules, entry, path, status, skip)
        if said is not None:
            return said
        folder = entry
    return None if stat.S_ISDIR(status.st_mode) else _by_facts(source, name, status, now)


def _below(root: bytes, typed: str) -> bytes | None:
    """Return the path that is meant, relative to `root`; None if nothing is there."""
    raw = os.fsencode(typed)
    spellings = [raw]
    if typed.isprintable():
        spellings.append(path_of(typed))
    for spelling in spellings:
        for base in (root, os.fsencode(Path.cwd())):
            full = os.path.normpath(os.path.join(base, spelling))  # noqa: PTH118 (bytes)
            if full.startswith(root + b"/") and os.path.lexists(full):
                return full[len(root) + 1 :]
    return None


def _by_name(
    source: Source, rules: Rules, entry: bytes, path: bytes, status: os.stat_result, skip: bytes
) -> str | None:
    """Return why a folder or file is left out because of its name, or None."""
    name = name_of(entry)
    last = entry.rpartition(b"/")[2]
    if path == skip:
        return f"{name} is batcher's own output"
    if last == IGNORE_FILE.encode():
        return "it is an ignore file, which says what is left out"
    if last.startswith(b"."):
        return f"{name} is hidden: nothing whose name begins with a dot is taken"
    is_folder = stat.S_ISDIR(status.st_mode)
    against = rules.excludes(entry, folder=True) if is_folder else rules.against(entry)
    if against is None:
        return None
    return _words(source, rules, of_link(against, path, status), entry, is_folder=is_folder)


def _words(source: Source, rules: Rules, reason: Reason, entry: bytes, *, is_folder: bool) -> str:
    name = name_of(entry)
    match reason:
        case Reason.TYPE:
            extension = extension_of(name)
            kind = f"of type .{extension}" if extension else "without an extension"
            return f"it is {kind}, which isn't taken unless source.include names it"
        case Reason.NOT_INCLUDED:
            return f"no pattern of source.include fits it ({', '.join(source.include)})"
        case Reason.EXCLUDED | Reason.IGNORED:
            which = f"its folder {name}" if is_folder else "it"
            return f"{rules.excluded_by(entry, folder=is_folder)} fits {which}"
        case Reason.LOCK:
            return "it is a file that a program leaves beside documents"
        case _:
            return f"{name} is a link to a folder, and those aren't followed"


def _by_facts(source: Source, name: bytes, status: os.stat_result, now: float) -> str:
    found = Found(name_of(name), *facts(status))
    age = format_duration(max(0.0, now - status.st_mtime))
    match misfit(source, found, now):
        case Reason.SMALL:
            return f"its {found.size} bytes are fewer than source.min_size ({source.min_size})"
        case Reason.LARGE:
            largest = format_bytes(source.max_size or 0)
            return f"its {format_bytes(found.size)} are more than source.max_size ({largest})"
        case Reason.OLD:
            return (
                f"it was changed {age} ago, longer than source.newer_than "
                f"({format_duration(source.newer_than or 0.0)})"
            )
        case Reason.NEW:
            return (
                f"it was changed {age} ago, less than source.older_than "
                f"({format_duration(source.older_than or 0.0)})"
            )
    if not settled(found.mtime_ns, now):
        return f"it was changed less than {SETTLING:g} s ago, perhaps it is still being written"
    return TAKEN


def _in_store(source: Source, typed: str, types: Container[str]) -> str | None:
    """Return what speaks against an object of that name; whether there is one isn't looked up."""
    key = typed.removeprefix(f"{source.url}/")
    if "://" in key or key.startswith("/"):
        return None
    rules = Rules(source, types)
    name = os.fsencode(key)
    hidden = next((part for part in key.split("/") if part.startswith(".")), None)
    if hidden is not None:
        return f"{hidden} is hidden: nothing whose name begins with a dot is taken"
    against = rules.against(name)
    if against is None:
        return None
    return _words(source, rules, against, name, is_folder=False)


def _in_listing(source: Source, typed: str) -> str | None:
    assert source.listing is not None
    raw = os.fsencode(typed)
    there = any(
        os.path.lexists(os.path.join(base, raw))  # noqa: PTH118 (bytes)
        for base in (os.fsencode(source.folder), os.fsencode(Path.cwd()))
    )
    if not there and "://" not in typed:
        return None
    rows = listing.walk(source.listing, {}, ignore=source.ignore)
    names = {typed, name_of(raw)}
    if any(found.name in names or found.place in names for found in rows):
        return TAKEN
    return f"no row of {source.listing} names it"
