"""One document's story in words: its versions, their attempts and what happened when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from batcher.core.amounts import many
from batcher.faces.status import plain


def story_words(versions: list[dict[str, Any]]) -> str:
    """Of what `batcher.care.story` found: step by step, the newest version first."""
    return "\n\n".join(plain(line, keep="\n") for line in map(_version, versions))


def _version(row: dict[str, Any]) -> str:
    standing = "" if row["current"] else " (an older version)"
    lines = [f"{row['source']} {row['job']}: {row['state'].replace('_', ' ')}{standing}"]
    if row["reason"]:
        lines.append(f"  because  {row['reason']}")
    if row["output_sha256"]:
        lines.append(f"  result   {row['output']} ({row['output_size']} bytes, sha256 {row['output_sha256'][:16]}…)")
    if row["payer"]:
        lines.append(f"  paid by  {row['paid_by']}: the same bytes and job")
    lines += [_attempt(attempt) for attempt in row["attempts"]]
    lines += [_twin(twin) for twin in row["twins"]]
    lines += [_event(event) for event in row["events"]]
    return "\n".join(lines)


def _attempt(row: dict[str, Any]) -> str:
    credits = row["credits"] if row["credits"] is not None else row["cost"]
    job = f", job {row['job_id']}" if row["job_id"] else ""
    reason = f" ({row['why']})" if row["why"] else ""
    line = f"  attempt {row['number']}: {row['outcome']}{reason}, {many(credits, 'credit')}, at {row['service']}{job}"
    return line + (_where_to_look(row) if row["outcome"] == "open" else "")


def _where_to_look(row: dict[str, Any]) -> str:
    """What tells its job, should there be one, from all others at the service."""
    moment = datetime.fromtimestamp(row["sent_at"])
    return f"\n    sent {moment:%Y-%m-%d %H:%M:%S} with nonce {row['nonce']} in its metadata, upload {row['file_id']}"


def _twin(row: dict[str, Any]) -> str:
    return (
        f"  beside it: a second job, {row['job_id']}, {row['status'].lower()}, {many(row['credits'], 'credit')},"
        f" at {row['service']}"
    )


def _event(row: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(row["at"])
    detail = f"  {row['detail']}" if row["detail"] else ""
    return f"  {moment:%Y-%m-%d %H:%M:%S}  {row['event']:<14} {row['state']}{detail}"
