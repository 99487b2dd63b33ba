"""What failed, in groups, with what a person can do about each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from batcher.faces.status import plain

# By state, and for `failed` by class.
LOCKED: Final = "PASSWORD_PROTECTED"
ADVICE: Final = {
    LOCKED: "name its password by source.passwords_env or source.passwords_file, then "
    "`batcher retry {what} --only document`",
    "transient": "likely to pass: `batcher retry {what} --only transient`",
    "provider": "the service was unwell: `batcher retry {what} --only transient`",
    "configuration": "set the job's options or the key right, then `batcher retry {what} --only configuration`",
    "document": "look at the file itself: another attempt would end the same way",
    "blocked": "the step before it came to no result; once that is put right, this one follows",
    "expired": "the service deleted the result before it was fetched: `batcher retry {what} --only expired` pays again",
    "lost": "the service says that the result is gone: `batcher retry {what} --only lost` pays again",
    "stuck": "still running past its deadline: after `batcher retry {what} --only stuck` the next run cancels it, "
    "fetches it if it completed, and else pays again",
    "held": "perhaps paid, and it can't be proven. Each run looks for it again and adopts it; `batcher why {what} "
    "PATH` says by which nonce, upload and time to look for it at the service. Where it surely isn't there: "
    "`batcher retry {what} --only held`, which sends it again and may pay twice",
    "cancelled": "`batcher retry {what} --only cancelled` takes it up again",
    "unreadable": "make the file readable; the next run looks again",
    "unsupported": "convert it, or leave it out by `exclude`",
    "source_gone": "the next run looks for it again",
    "source_changed": "it changed while it was read; the next run takes the newer version",
}


def failure_values(rows: Sequence[tuple[str, str | None, str | None, int, str]]) -> list[dict[str, Any]]:
    return [
        {"state": state, "class": kind, "reason": reason, "documents": number, "example": example}
        for state, kind, reason, number, example in rows
    ]


def failure_words(values: Sequence[dict[str, Any]], what: Path) -> str:
    if not values:
        return "nothing failed"
    return "\n".join(_group(value, what) for value in values)


def _group(value: dict[str, Any], what: Path) -> str:
    cause = value["class"] if value["state"] == "failed" else value["state"]
    advice = ADVICE.get(LOCKED if cause == "document" and LOCKED in (value["reason"] or "") else cause, "")
    name = value["state"].replace("_", " ")
    lines = [f"{value['documents']} {name}, e.g. {value['example']}", f"  why   {value['reason'] or 'not said'}"]
    if advice:
        lines.append(f"  next  {advice.format(what=what)}")
    return "\n".join(plain(line) for line in lines)
