"""The history of one document in words: its versions, their attempts and events."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from batcher.common.formatting import format_credits, format_duration, pluralize
from batcher.views.status import plain

LEFT_OUT: Final = "left_out"  # in place of a state: a file that isn't part of the batch


def story_words(versions: list[dict[str, Any]]) -> str:
    """Return what `ledger.history.story` found, step by step, with the newest version first."""
    return "\n\n".join(plain(line, keep="\n") for line in map(_version, versions))


def _version(row: dict[str, Any]) -> str:
    if row["state"] == LEFT_OUT:
        return f"{row['source']}: not part of the batch\n  because  {row['reason']}"
    standing = "" if row["current"] else " (an older version)"
    lines = [f"{row['source']} {row['job']}: {row['state'].replace('_', ' ')}{standing}"]
    if row["reason"]:
        lines.append(f"  because  {row['reason']}")
    if "not_sent" in row:
        lines.append(f"  waits    {row['not_sent']}")
    if row["output_sha256"]:
        lines.append(
            f"  result   {row['output']} ({row['output_size']} bytes, sha256 "
            f"{row['output_sha256'][:16]}…)"
        )
    if row["not_served"]:
        lines += [f"  without  {sentence}" for sentence in row["not_served"].split("\n")]
    if row["payer"]:
        lines.append(f"  paid by  {row['paid_by']}: the same bytes and job")
    lines += [_attempt(attempt) for attempt in row["attempts"]]
    lines += [_twin(twin) for twin in row["twins"]]
    lines += [_event(event) for event in row["events"]]
    return "\n".join(lines)


def _attempt(row: dict[str, Any]) -> str:
    unbilled = row["credits"] is None
    credits = format_credits(row["cost"] if unbilled else row["credits"]) + (
        " estimated" if unbilled else ""
    )
    job = f", job {row['job_id']}" if row["job_id"] else ""
    reason = f" ({row['why']})" if row["why"] else ""
    line = (
        f"  attempt {row['number']}: {row['outcome']}{reason}, {credits}, at {row['service']}{job}"
    )
    return line + (_where_to_look(row) if row["outcome"] == "open" else "")


def _where_to_look(row: dict[str, Any]) -> str:
    """Return what identifies the attempt's job at the service, should there be one."""
    moment = datetime.fromtimestamp(row["sent_at"])
    return (
        f"\n    sent {moment:%Y-%m-%d %H:%M:%S} with nonce {row['nonce']} in its metadata, "
        f"upload {row['file_id']}"
    )


def _twin(row: dict[str, Any]) -> str:
    return (
        f"  beside it: a second job, {row['job_id']}, {row['status'].lower()}, "
        f"{format_credits(row['credits'])},"
        f" at {row['service']}"
    )


def _event(row: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(row["at"])
    return (
        f"  {moment:%Y-%m-%d %H:%M:%S}  {row['event']:<15} {row['state']:<10}  "
        f"{detail_words(row['detail'])}"
    ).rstrip()


def detail_words(text: str | None) -> str:
    """Return what an event says besides the state.

    That is a word or two for each value if the detail is a JSON object, or else the detail as it
    is.
    """
    try:
        told = json.loads(text or "")
    except ValueError:
        return text or ""
    return ", ".join(_words_of(name).format(_said(name, value)) for name, value in told.items())


def _words_of(name: str) -> str:
    return _WORDS.get(name, f"{name.replace('_', ' ')} {{}}")


def _said(name: str, value: Any) -> Any:
    if name.endswith("_at") and isinstance(value, int | float):
        return f"{datetime.fromtimestamp(value):%Y-%m-%d %H:%M:%S}"
    amount = _AMOUNTS.get(name)
    if amount is not None and isinstance(value, int | float):
        return amount(value)
    return f"{value:g}" if isinstance(value, float) else value


_AMOUNTS: Final[dict[str, Callable[[float], str]]] = {
    "cost": format_credits,
    "credits": format_credits,
    "pages": lambda pages: pluralize(int(pages), "page"),
    "duration": format_duration,
    "tries": lambda tries: pluralize(int(tries), "time"),
}
_WORDS: Final = {
    "reason": "{}",
    "kind": "class {}",
    "job_id": "job {}",
    "file_id": "upload {}",
    "cost": "estimated at {}",
    "credits": "{}",
    "pages": "{}",
    "duration": "processed for {}",
    "deadline_at": "kept until {}",
    "due_at": "again at {}",
    "tries": "tried {}",
    "output": "{}",
    "size": "{} bytes",
    "not_served": "with parts not read or not served",
}
