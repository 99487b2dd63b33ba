"""The comparison of disk and ledger, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batcher.common.formatting import format_credits, pluralize
from batcher.common.shell_words import typed
from batcher.views.status import plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batcher.maintenance.candidates import Requeued
    from batcher.maintenance.verify import Verified

SHOWN: Final = 20  # names of each kind; `--json` lists all of them


def verify_words(found: Verified) -> str:
    lines = [f"{found.saved} results are on disk as they were saved"]
    for word, pairs in (("missing", found.missing), ("changed", found.changed)):
        lines += _some(word, [output for _, output in pairs])
    lines += _some(
        "can't be read, and may be whole: see to that disk, or to whose files they are",
        [output for _, output in found.unreadable],
    )
    lines += _some(
        "made of results, to be made again by `verify --repair` and a run",
        [f for _, f in found.unmade],
    )
    lines += _some(
        "of an older version: the source has changed, and nothing newer is saved",
        [output for _, output in found.older],
    )
    lines += _some(
        "older than their results, made again by a run with --format and the format's name",
        [f"{format}: {file}" for format, file in found.outdated],
    )
    lines += _some("not of this ledger", list(found.strays))
    lines += _some(
        "paid for beside the ledger",
        [f"{source}: job {job}, {format_credits(credits)}" for source, job, credits in found.twins],
    )
    if found.ledger:
        lines += [f"the ledger: {words}" for words in found.ledger]
        lines.append(
            "  nothing is submitted on its word; `batcher rebuild MANIFEST` rebuilds it from its "
            "journal"
        )
    return "\n".join(plain(line) for line in lines)


def prospect_words(free: int, paid: Requeued, what: Path, *, is_billed: bool) -> str:
    """Return what `--repair` would have done, or nothing; it is free where nothing is billed."""
    if not free and not paid.documents:
        return ""
    return f"`batcher verify --repair {typed(what)}` has {_remedies(free, paid, is_billed)}"


def repair_words(paid: Requeued, free: int, again: str, *, is_billed: bool, unmade: int = 0) -> str:
    """Return what the next run does, and what to type for it, if there is anything.

    `unmade` is how many files made from results it makes again.
    """
    lines = []
    if free or paid.documents:
        lines.append(f"the next run has {_remedies(free, paid, is_billed)}")
    if unmade:
        lines.append(
            f"the next run makes {pluralize(unmade, 'file')} again from results, at no cost"
        )
    return "\n".join([*lines, f"next: {again}"]) if lines else ""


def moved_words(moved: Mapping[str, str], output: Path) -> str:
    """Return where the damaged files are now, or nothing if there were none."""
    word = "moved aside; delete what you don't need"
    lines = _some(word, [f"{file} -> {output / there}" for file, there in moved.items()])
    return "\n".join(plain(line) for line in lines)


def _remedies(free: int, paid: Requeued, is_billed: bool) -> str:
    remedies = []
    if free:
        remedies.append(f"{free} fetched again or copied for nothing")
    if paid.documents and is_billed:
        credits = format_credits(paid.credits)
        remedies.append(f"{paid.documents} paid for again (about {credits})")
    elif paid.documents:
        remedies.append(f"{paid.documents} read again, which isn't billed")
    return ", and ".join(remedies)


def _some(word: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = [f"  … and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return [f"{len(names)} {word}:", *(f"  {name}" for name in names[:SHOWN]), *more]
