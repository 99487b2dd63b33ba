"""What a run would do, and what `plan --check` found out, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batcher.common.formatting import format_bytes, format_credits, format_duration, pluralize
from batcher.core.retry_policy import doubtful_changes
from batcher.reducto.option_checks import unknown_options
from batcher.views.cluster_lines import cluster_lines
from batcher.views.status import failed, nothing_found, plain

if TYPE_CHECKING:
    from batcher.manifest.model import Limits, Manifest
    from batcher.runs.checks import Checked
    from batcher.runs.plan import Plan

SHOWN: Final = 8  # reasons why something isn't sent; `--json` lists all of them
_FENCE: Final = {
    True: "proven: a spare upload was deleted, and is gone",
    False: "not proven: a spare upload was deleted, and isn't gone; a submission whose answer is "
    "lost will be held",
}
_LISTING: Final = {
    True: "proven: it shows our jobs by what we sent with them",
    False: "answers, and no job of ours is there to prove it by: the first run will; `--sample 5` "
    "is a cheap one",
}


def plan_words(plan: Plan, manifest: Manifest) -> str:
    lines = [f'batch "{plan.batch}" would', *_sent(plan)]
    if plan.copies:
        lines.append(
            f"  copy       {pluralize(plan.copies, 'result')}: the same bytes are paid for once"
        )
    if plan.in_flight:
        lines.append(
            f"  fetch      {pluralize(plan.in_flight, 'result')} of jobs already in flight"
        )
    lines.append(f"  leave      {plan.saved} as they are: saved, and unchanged since")
    lines += _not_sent(plan)
    if plan.left_out:
        lines.append(f"  {plain(plan.left_out['words'])}")
    if not plan.documents:
        lines += nothing_found(manifest, plan.left_out)
    if plan.to_send:
        first, *others = _cost(plan, manifest)
        lines += [f"  cost       {first}", *(f"             {line}" for line in others)]
    if plan.guessed:
        lines.append(
            f"             at least: pages of {plan.guessed} can't be counted here{_likely(plan)}"
        )
    if plan.uncounted:
        lines.append(
            f"             at least: pages of {plan.uncounted} that lie elsewhere count as one each"
        )
    if plan.locked:
        lines.append(
            f"  locked     {plan.locked} want a password: name it by source.passwords_env or "
            "passwords_file"
        )
    lines += plan.forecast.words()
    lines += [f"  limits     {words}" for words in _limits(manifest.limits)]
    warnings = [*unknown_options(manifest.jobs), *doubtful_changes(manifest.retry)]
    lines += [f"  warning    {plain(words)}" for words in warnings]
    return "\n".join(lines)


def _cost(plan: Plan, manifest: Manifest) -> list[str]:
    if manifest.service.is_billed:
        return plan.cost.words(plan.prices)
    counted = f"{format_credits(plan.cost.credits)} for {pluralize(plan.cost.pages, 'page')}"
    return [
        f"nothing: the local service bills none, and would count {counted}",
        "`-S service=reducto` shows what the hosted service would bill",
    ]


def limit_values(limits: Limits) -> dict[str, float | str]:
    """Return the limits of a run that are set, as a manifest has them."""
    values: dict[str, float | str] = {**limits.caps()}
    if limits.max_duration is not None:
        values["max_duration"] = limits.max_duration
    if limits.stop_at is not None:
        values["stop_at"] = f"{limits.stop_at:%H:%M}"
    return values


def _limits(limits: Limits) -> list[str]:
    """Return the limits of a run by their keys: one that is met leaves the rest to the next run."""
    told = [
        f"{name} = {value:g}"
        for name in ("max_documents", "max_pages", "max_credits", "max_cost")
        if (value := getattr(limits, name)) is not None
    ]
    if limits.max_duration is not None:
        told.append(f"max_duration = {format_duration(limits.max_duration)}")
    if limits.stop_at is not None:
        told.append(f"stop_at = {limits.stop_at:%H:%M}")
    return [f"{', '.join(told)}: what is left then is for the next run"] if told else []


def _likely(plan: Plan) -> str:
    return (
        f"; by their size {pluralize(plan.guessed_pages, 'page')} are likelier"
        if plan.guessed_pages > plan.guessed
        else ""
    )


def _sent(plan: Plan) -> list[str]:
    lines = [
        f"  send       {pluralize(plan.to_send, 'document')}"
        + (f", {format_bytes(plan.size)}" if plan.to_send else "")
    ]
    lines += [f"             {number} for {job}" for job, number in plan.steps.items()]
    if plan.taken_up:
        lines.append(
            f"             {plan.taken_up} of them failed for a passing reason, and are tried "
            "again by themselves"
        )
    if plan.again:
        lines.append(
            f"             {plan.again} of them again, which cost "
            f"{format_credits(plan.again_credits)}:"
            " files, options or the service have changed"
        )
    if plan.asks:
        lines.append(
            "             a run asks before it pays for these (limits.pay_again; --yes agrees)"
        )
    return lines


def _not_sent(plan: Plan) -> list[str]:
    if not plan.refused:
        return []
    told = [failed(group) for group in plan.refusals[:SHOWN]]
    more = len(plan.refusals) - len(told)
    told += [f"… and {more} more reasons"] if more > 0 else []
    return [f"  not send   {plan.refused}:", *(f"             {line}" for line in told)]


def check_words(checked: Checked) -> str:
    lines = [
        f"checked {checked.service}:",
        "  key        accepted",
        f"  fence      {_FENCE[checked.fence]}",
        f"  listing    {_LISTING[checked.listing]}",
    ]
    told: list[str] = []
    if checked.cluster:
        lines += [f"  {line}" for line in cluster_lines(checked.cluster, under_way=True)]
        told = checked.cluster["refused"]
    warnings = [warning for warning in checked.warnings if warning not in told]
    return "\n".join(lines + [f"  warning    {warning}" for warning in warnings])
