"""What lies on disk beside the results, and what `prune` removes of it, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batcher.common.formatting import format_bytes, pluralize
from batcher.views.status import plain

if TYPE_CHECKING:
    from batcher.maintenance.prune import Plan, Pruned


def plan_words(batch: str, plan: Plan) -> str:
    """Return a table of what there is, and one of what goes."""
    values = plan.values()
    lines = [f'batch "{batch}" has on disk', *_rows(values["on_disk"])]
    if plan.is_empty:
        lines.append("nothing of it can go")
    else:
        lines += ["of which can go", *_rows(values["goes"]), *_of_ledger(values)]
    lines += [f"note: {note}" for note in plan.notes]
    return plain("\n".join(lines), keep="\n")


def _rows(kinds: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"  {kind:<18} {format_bytes(one['bytes']):>12}"
        + (f"  {pluralize(one['files'], 'file')}" if one["files"] is not None else "")
        for kind, one in kinds.items()
    ]


def _of_ledger(values: Mapping[str, Any]) -> list[str]:
    lines = []
    if values["summaries"]["runs"]:
        runs = pluralize(values["summaries"]["runs"], "run")
        lines.append(f"  {'run summaries':<18} {_right(values['summaries']['bytes'])}  of {runs}")
    if values["vacuum"]:
        lines.append(f"  {'room in the ledger':<18} {_right(values['vacuum'])}  by rewriting it")
    return lines


def _right(amount: int) -> str:
    return f"{format_bytes(amount):>12}"


def pruned_words(done: Pruned) -> str:
    """Return what was removed, and by how much the ledger got smaller."""
    files = pluralize(len(done.plan.files), "file")
    lines = [f"removed {files}, {format_bytes(done.removed)}"]
    if done.plan.summaries:
        lines.append(f"shortened the summaries of {pluralize(len(done.plan.summaries), 'run')}")
    if done.plan.vacuums:
        lines.append(f"rewrote the ledger: {format_bytes(done.won)} smaller")
    lines += [f"note: {note}" for note in done.plan.notes]
    return plain("\n".join(lines), keep="\n")
