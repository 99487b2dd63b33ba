"""How far a batch is, in words for people and as plain values for programs.

It reads the ledger and never asks the service.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batcher.common.formatting import (
    format_bytes,
    format_credits,
    format_duration,
    format_usd,
    pluralize,
)
from batcher.core.lifecycle import OPEN, State
from batcher.core.reasons import RAISE_IT
from batcher.exit_codes import ExitCode, RunEnd
from batcher.ledger.queries.reporting import ReportingQueries
from batcher.ledger.queries.run_history import RunRecord, latest_run
from batcher.ledger.queries.storage import StorageQueries
from batcher.ledger.queries.tracking import TrackingQueries
from batcher.ledger.schema import reading
from batcher.maintenance.storage import Kind, totals
from batcher.views.cluster_lines import cluster_lines
from batcher.views.tones import Tone

if TYPE_CHECKING:  # `status` itself starts no run, and should answer at once
    from batcher.core.summary import FailureGroup, NotServed, Summary
    from batcher.manifest.model import Manifest


SHOWN: Final = 20  # disagreements shown in words; the summary as JSON has all of them


Line = tuple[str, Tone]


def end_lines(summary: Summary, manifest: Manifest) -> list[Line]:
    """Return what is printed when a run ends."""
    states = dict(summary.documents)
    took = format_duration(summary.seconds)
    ended = f'batch "{summary.batch}": {counts(states)}{_now(summary)} in {took}'
    return [
        (ended, _tone(summary)),
        *_in_tone(Tone.PLAIN, _found(summary, manifest)),
        *_in_tone(Tone.BAD, [f"  {failed(group)}" for group in summary.failures]),
        *_in_tone(Tone.WARNING, not_served_lines(summary.not_served)),
        *_in_tone(Tone.PLAIN, _left_out(summary)),
        *_in_tone(Tone.BAD, [f"  {plain(words)}" for words in _some(summary.audit.words())]),
        *_in_tone(Tone.PLAIN, _figures(summary, manifest)),
        *_in_tone(Tone.WARNING, _what_is_left(summary, manifest)),
    ]


def _found(summary: Summary, manifest: Manifest) -> list[str]:
    """Return a line for each step of a chain, or why the batch has no documents."""
    if summary.documents:
        return step_lines(summary.steps)
    if summary.unscanned:
        return [_unscanned(summary.unscanned)]
    return nothing_found(manifest, summary.left_out)


def _unscanned(why: str) -> str:
    return f"  the sources were not looked through: {plain(why)}"


def _in_tone(tone: Tone, lines: Iterable[str]) -> list[Line]:
    return [(line, tone) for line in lines]


def _tone(summary: Summary) -> Tone:
    if summary.exit_code not in (ExitCode.SUCCESS, ExitCode.RUN_AGAIN):
        return Tone.BAD
    is_whole = summary.exit_code == ExitCode.SUCCESS and not unsaved(summary.documents)
    return Tone.GOOD if is_whole else Tone.WARNING


def _left_out(summary: Summary) -> list[str]:
    return [f"  {plain(summary.left_out['words'])}"] if summary.left_out else []


def _figures(summary: Summary, manifest: Manifest) -> Iterator[str]:
    if summary.taken_up:
        yield (
            f"  {pluralize(summary.taken_up, 'document')} that had failed for a passing reason, "
            "tried again"
        )
    if summary.pages:
        spent = _spent(summary) if manifest.service.is_billed else unbilled(summary.credits)
        yield f"  {pluralize(summary.pages, 'page')}, {spent}"
    if summary.cluster:
        yield from (f"  {line}" for line in cluster_lines(summary.cluster, under_way=False))
    yield f"  results: {manifest.output.directory}"
    yield f"  ledger:  {manifest.output.ledger_path}"


def _what_is_left(summary: Summary, manifest: Manifest) -> Iterator[str]:
    if summary.reason:
        yield f"stopped: {summary.reason}"
    left = unsaved(summary.documents)
    if manifest.limits.is_sample and summary.ended == RunEnd.FINISHED and left:
        yield f"the sample is taken: {pluralize(left, 'document')} left for a run without --sample"
    yield from (f"note: {note}" for note in summary.notes)
    if summary.exit_code == ExitCode.RUN_AGAIN or summary.bring_home_by:
        first = "raise that limit and " if summary.reason.endswith(RAISE_IT) else ""
        yield f"to continue, {first}rerun the same command{_before(summary.bring_home_by)}"


def _now(summary: Summary) -> str:
    """Return how many documents this run saved, if other runs saved some too."""
    saved = summary.documents.get(State.SAVED, 0)
    return f", {summary.saved_in_run} of them now," if summary.saved_in_run < saved else ""


def _spent(summary: Summary) -> str:
    words = f"{format_credits(summary.credits)} ({format_usd(summary.dollars)}) in all runs"
    if summary.credits_in_run == summary.credits:
        return words
    own = format_credits(summary.credits_in_run).partition(" ")[0]
    return f"{words}, {own} ({format_usd(summary.dollars_in_run)}) in this one"


def unbilled(credits: float) -> str:
    """Return that the local service costs nothing, and what it counted."""
    return f"not billed: the local service counted {format_credits(credits)}"


def nothing_found(manifest: Manifest, left_out: Mapping[str, Any]) -> list[str]:
    """Return where to look first if a scan found nothing; `left_out` is told beside it."""
    places = [next(iter(source.outline().values())) for source in manifest.sources]
    why = ": all that lies there is left out" if left_out and len(places) == 1 else ""
    return [f"  nothing in {place} is part of the batch{why}" for place in places]


def trouble_lines(summary: Summary) -> list[Line]:
    """Return what is printed with -q: nothing if all went well."""
    lines = _in_tone(Tone.WARNING, [summary.reason] if summary.reason else [])
    if summary.exit_code == ExitCode.INCOMPLETE:
        lines += _in_tone(Tone.BAD, map(failed, summary.failures))
    lines += _in_tone(Tone.BAD, map(plain, _some(summary.audit.words())))
    return lines + _in_tone(Tone.WARNING, summary.notes)


def _some(words: list[str]) -> list[str]:
    more = [f"… and {len(words) - SHOWN} more"] if len(words) > SHOWN else []
    return [*words[:SHOWN], *more]


def status_values(
    ledger: Path, *, under_way: bool = False, output: Path | None = None
) -> dict[str, Any]:
    """Return counts by state, spend, speed and nearest deadline, as `batcher status --json` does.

    With `output`, also the bytes on disk by kind.

    Raises LedgerError if there is no ledger to read.
    """
    with reading(ledger) as connection:
        values = values_of(connection, under_way=under_way)
        if output is not None:
            values["disk"] = _on_disk(connection, output, ledger)
        return values


def _on_disk(connection: sqlite3.Connection, output: Path, ledger: Path) -> dict[str, int]:
    """Return the bytes of results, as the ledger has them, and of the files beside them by kind."""
    results = StorageQueries(connection).result_bytes()
    return {Kind.RESULTS.value: results} | {
        kind.value: size for kind, size in totals(output, ledger).items()
    }


def values_of(
    connection: sqlite3.Connection,
    *,
    under_way: bool,
    last_run: Callable[..., RunRecord | None] = latest_run,
) -> dict[str, Any]:
    """Return what `status_values` does, of a ledger that is open, without the bytes on disk.

    `last_run` is called like `latest_run`.
    """
    reporting = ReportingQueries(connection)
    tracking = TrackingQueries(connection)
    documents = {
        str(state): number
        for state, number in tracking.counts().items()
        if state is not State.SUPERSEDED
    }
    account = reporting.account()
    price = reporting.dollars_per_credit()
    deadline = tracking.nearest_deadline()
    last = reporting.last_summary()
    speed = reporting.speed(latest=500) if under_way else None
    to_do = sum(number for state, number in documents.items() if State(state) in OPEN)
    return {
        "documents": documents,
        "steps": reporting.steps(),
        "under_way": under_way,
        "documents_per_second": speed,
        "seconds_left": to_do / speed if speed and to_do else None,
        "pages": account.pages,
        "credits": account.spent,
        "cost": {
            **account._asdict(),
            "projected": account.projected,
            "dollars_per_credit": price,
            "is_billed": reporting.is_billed(),
        },
        "nearest_deadline_at": deadline and deadline[1],
        "warnings": [*_deadline_warning(deadline), *last.get("warnings", ())],
        "failures": reporting.failures(),
        "left_out": reporting.left_out(),
        "unscanned": last.get("unscanned", ""),
        "not_served": reporting.not_served(),
        "cluster": reporting.cluster(),
        "last_run": last_run(connection, under_way=under_way),
    }


def _deadline_warning(deadline: tuple[float, float] | None) -> list[str]:
    """Return a warning if the oldest job in flight has used half of its time."""
    if deadline is None:
        return []
    accepted_at, deadline_at = deadline
    left = deadline_at - time.time()
    whole = deadline_at - accepted_at
    if left > whole / 2:
        return []
    if left <= 0:
        return ["jobs in flight have passed their deadline: some results may be gone"]
    return [
        f"the oldest job in flight has used {1 - left / whole:.0%} of its time: its result is "
        f"deleted in {format_duration(left)}"
    ]


def status_words(batch: str, values: dict[str, Any]) -> str:
    lines = [f'batch "{batch}": {counts(values["documents"])}']
    lines += step_lines(values["steps"])
    if values["last_run"] is not None:
        lines.append(f"  last run: {run_line(values['last_run'])}")
    if values["unscanned"] and not values["documents"]:
        lines.append(_unscanned(values["unscanned"]))
    still_open = sum(
        number for state, number in values["documents"].items() if State(state) in OPEN
    )
    if still_open:
        lines.append(f"  {still_open} still to be done{_before(values['nearest_deadline_at'])}")
    if values["seconds_left"] is not None:
        speed = values["documents_per_second"]
        left = values["seconds_left"]
        lines.append(f"  {speed:.3g} documents a second, {format_duration(left)} left at that")
    lines += [f"  {failed(group)}" for group in values["failures"]]
    lines += not_served_lines(values["not_served"])
    lines += [f"  {plain(values['left_out']['words'])}"] if values["left_out"] else []
    lines += _cost_lines(values["pages"], values["cost"])
    if values["cluster"]:
        told = cluster_lines(values["cluster"], under_way=values["under_way"])
        lines += [f"  {plain(line)}" for line in told]
    if "disk" in values:
        kinds = [f"{kind} {format_bytes(size)}" for kind, size in values["disk"].items() if size]
        lines.append(f"  on disk: {', '.join(kinds)}")
    lines += [f"  warning: {plain(words)}" for words in values["warnings"]]
    return "\n".join(lines)


def run_line(record: RunRecord) -> str:
    """Return when a run began and how it ended, with its exit code unless that is 0."""
    code = f" with exit code {record.exit_code}" if record.exit_code else ""
    return f"{datetime.fromtimestamp(record.started_at):%Y-%m-%d %H:%M:%S}, {record.ended}{code}"


def _cost_lines(pages: int, cost: Mapping[str, float]) -> Iterator[str]:
    if not cost["is_billed"]:
        yield f"  {pluralize(pages, 'page')} so far, {unbilled(cost['spent'])}"
        return
    yield f"  {pluralize(pages, 'page')}, {_money(cost, 'spent')} so far"
    for name, told in _TO_TELL:
        if cost[name]:
            yield f"  {told.format(_money(cost, name))}"
    if cost["committed"] or cost["to_come"]:
        yield f"  {_money(cost, 'projected')} in all, by what documents cost so far"


_TO_TELL = (
    ("lost", "{} of it for results that were never fetched"),
    ("failed", "{} more for jobs that failed, should the service bill them"),
    ("committed", "at least {} committed to jobs in flight"),
)


def _money(cost: Mapping[str, float], name: str) -> str:
    dollars = format_usd(cost[name] * cost["dollars_per_credit"])
    return f"{format_credits(cost[name])} ({dollars})"


def unsaved(states: Mapping[str, int]) -> int:
    """Return the number of documents without a result on disk, for whatever reason."""
    return sum(states.values()) - states.get(State.SAVED, 0)


def step_lines(steps: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a line for each step of a chain; none if there is only one step."""
    if len(steps) < 2:
        return []
    width = max(map(len, steps))
    return [f"  {job:<{width}}  {_states(states)}" for job, states in steps.items()]


def counts(states: dict[str, int]) -> str:
    return pluralize(sum(states.values()), "document") + (f": {_states(states)}" if states else "")


def _states(states: Mapping[str, int]) -> str:
    ranked = sorted(states.items(), key=lambda s: -s[1])
    return ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in ranked)


def failed(group: FailureGroup) -> str:
    return f"{_why(group)}, e.g. {plain(group.example)}"


def not_served_lines(found: NotServed) -> list[str]:
    """Return what was left out of saved results: the number of documents, and a line a reason."""
    if not found.documents:
        return []
    were = "was" if found.documents == 1 else "were"
    head = (
        f"{pluralize(found.documents, 'document')} {were} saved with parts not read or not served"
    )
    told = [
        f"    {group.documents}: {group.reason}, e.g. {group.example}" for group in found.reasons
    ]
    return [f"  {head}:", *map(plain, _some(told))]


def _why(group: FailureGroup) -> str:
    reason = f" ({group.reason})" if group.reason else ""
    waits = f"; {next_time(group)}" if group.waits else ""
    return plain(f"{group.documents} {group.state.replace('_', ' ')}{reason}{waits}")


def next_time(group: FailureGroup) -> str:
    """Return what the next run does about documents that failed for a passing reason."""
    which = "" if group.waits == group.documents else f"{group.waits} of them "
    return f"{which}will be tried again by the next run ({pluralize(group.runs, 'run')} so far)"


def plain(text: str, *, keep: str = "") -> str:
    """Return text that is safe on a terminal, whatever a file or a service put into it."""
    return "".join(c if c.isprintable() or c in keep else "?" for c in text)


def _before(moment: float | None) -> str:
    if moment is None:
        return ""
    return (
        f" before {datetime.fromtimestamp(moment):%Y-%m-%d %H:%M} "
        f"({format_duration(max(0.0, moment - time.time()))} from now)"
    )
