"""Commands for a batch between its runs: why, runs, retry, verify, cancel, rebuild."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.batches import Place, known_manifest, place_of
from batcher.cli.arguments import AS_JSON, WHAT, Count, again, reading
from batcher.cli.group import main
from batcher.cli.selecting import FROM_FILE, PATHS, STEP, wanted_of
from batcher.cli.terminal_run import Verbosity, complete, conduct, tell
from batcher.common.shell_words import typed
from batcher.exit_codes import ExitCode

if TYPE_CHECKING:
    import sqlite3

    from batcher.ledger.named import Wanted

CLASSES = (
    "transient",
    "document",
    "configuration",
    "internal",
    "expired",
    "lost",
    "stuck",
    "held",
    "cancelled",
)


@main.command(short_help="Tell a document's whole story.")
@WHAT
@PATHS
@FROM_FILE
@AS_JSON
def why(what: Path, paths: tuple[str, ...], from_file: str | None, as_json: bool) -> None:
    """Tell a document's whole story: every attempt, answer, wait and cost.

    Of a file that isn't part of the batch it tells what leaves it out. A GLOB is written as in
    `include`, in quotes; several documents are told of one after the other.

    \b
    batcher why manifests/nightly.toml invoices/2026/0117.pdf
    batcher why results/nightly 'invoices/2026/**'
    """
    from batcher.views.history_view import story_words

    wanted = wanted_of(paths, from_file)
    if wanted.is_all:
        raise click.UsageError("of which document? batcher why OUT PATH")
    place = place_of(what)
    before = ""
    with reading(place) as connection:
        for versions in _stories(connection, place, what, wanted):
            told = json.dumps(versions)[1:-1] if as_json else story_words(versions)
            click.echo((before or ("[" if as_json else "")) + told, nl=not as_json)
            before = ",\n" if as_json else "\n"
    if as_json:
        click.echo("]" if before else "[]")


def _stories(
    connection: sqlite3.Connection, place: Place, what: Path, wanted: Wanted
) -> Iterator[list[dict[str, Any]]]:
    """Yield the versions of each document that is meant. Raises BatcherError if one is unknown.

    A file that isn't part of the batch has one version, in the state `left_out`.
    """
    from batcher.ledger.history import story
    from batcher.ledger.named import documents_named
    from batcher.views.history_view import LEFT_OUT

    named = documents_named(connection, wanted)
    left_out = [(path, _left_out_by(what, path)) for path in named.unknown]
    for path, reason in left_out:
        if reason is None:
            story(connection, path)  # which says what is near it
    unsent = _why_unsent(connection, place)
    for source in named.all():
        versions = story(connection, source)
        for version in versions:
            if unsent and version["current"] and version["state"] in ("queued", "uploaded"):
                version["not_sent"] = unsent
        yield versions
    for path, reason in left_out:
        yield [{"source": path, "state": LEFT_OUT, "reason": reason}]


def _left_out_by(what: Path, path: str) -> str | None:
    """Return what leaves a file out of the batch; None where no source has it."""
    from batcher.errors import BatcherError
    from batcher.reducto.api_types import types_taken
    from batcher.sources.exclusion import TAKEN, why_left_out

    try:
        manifest = known_manifest(what)
    except BatcherError:
        return None  # a ledger that remembers no sources
    reason = why_left_out(
        manifest.sources,
        path,
        skip=manifest.output.directory,
        types=types_taken(manifest.service.name),
        now=time.time(),
    )
    if reason == TAKEN and what.is_dir():
        return f"{TAKEN}; `batcher why MANIFEST PATH` asks the manifest as it is now"
    return reason


def _why_unsent(connection: sqlite3.Connection, place: Place) -> str:
    """Return how the last run ended, which may be why a document still waits; empty during one."""
    from batcher.ledger.lock import is_held
    from batcher.ledger.queries.run_history import run_history

    if is_held(place.ledger):
        return ""
    last = next(iter(run_history(connection, under_way=False, last=1)), None)
    return "" if last is None else last.reason or f"the last run ended without it ({last.ended})"


@main.command(short_help="Show what earlier runs did, and how each ended.")
@WHAT
@click.option("--last", type=Count(), default=20, show_default=True, metavar="N")
@AS_JSON
def runs(what: Path, last: int, as_json: bool) -> None:
    """Show the last runs of a batch: when each ran, how it ended, what it saved and what that cost.

    A run that was killed says so. With --json the oldest of them comes first, too.

    \b
    batcher runs manifests/nightly.toml
    batcher runs results/nightly --last 7 --json
    """
    import msgspec

    from batcher.ledger.lock import is_held
    from batcher.ledger.queries.reporting import ReportingQueries
    from batcher.ledger.queries.run_history import run_history
    from batcher.views.runs_view import runs_words

    place = place_of(what)
    with reading(place) as connection:
        records = run_history(connection, under_way=is_held(place.ledger), last=last)
        prices = ReportingQueries(connection).prices()
    if as_json:
        click.echo(msgspec.json.encode(records))
        return
    price = float(prices.get("dollars_per_credit") or 0.0)
    click.echo(runs_words(place.batch, records, dollars_per_credit=price))


@main.command(short_help="Put documents that failed back in the queue.")
@WHAT
@PATHS
@FROM_FILE
@click.option("--only", type=click.Choice(CLASSES), help="Documents of this class alone.")
@STEP
@AS_JSON
def retry(
    what: Path,
    paths: tuple[str, ...],
    from_file: str | None,
    only: str | None,
    step: str | None,
    as_json: bool,
) -> None:
    """Put documents that failed back in the queue, for the next run to pay for again.

    Without PATH, --from-file and --only: all documents that failed, expired, were lost or were
    cancelled. Held documents may have been paid for already, and stuck ones have a job that is paid
    for, so they are queued only when asked for: by --only, or by their very PATH. For a stuck
    document the next run cancels the job if it is still running. If its result can be fetched by
    then, it costs nothing; otherwise the document is paid for again. Where a PATH or a GLOB fits no
    document that failed, nothing is queued, and the exit code is 2.

    \b
    batcher retry manifests/nightly.toml --only expired
    batcher retry manifests/nightly.toml invoices/2026/0117.pdf
    batcher retry manifests/nightly.toml 'invoices/2026/**'
    batcher failures results/nightly --error TIMEOUT --paths |
      batcher retry results/nightly --from-file -
    """
    from dataclasses import asdict

    from batcher.common.formatting import format_credits, pluralize
    from batcher.maintenance.retry import retry as put_back

    wanted = wanted_of(paths, from_file)
    place = place_of(what)
    done = complete(put_back(place.ledger, only=only, wanted=wanted, step=step))
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    if done.unasked:
        click.echo(
            f"{done.unasked} held or stuck stay as they are, since they may be paid for: "
            "--only held or --only stuck asks for them",
            err=True,
        )
    if not done.documents:
        click.echo(
            "0 documents are in the queue again; `batcher failures` tells what each verdict asks "
            "for",
            err=True,
        )
        return
    verb = "is" if done.documents == 1 else "are"
    cost = f", for about {format_credits(done.credits)}" if _is_billed(place) else ""
    click.echo(f"{pluralize(done.documents, 'document')} {verb} in the queue again{cost}", err=True)
    if done.at_risk:
        click.echo(f"  {done.at_risk} of them may have been paid for already", err=True)
    if done.recalled:
        click.echo(
            f"  {done.recalled} of them have a job still: it is cancelled first, and fetched if "
            "it completed",
            err=True,
        )
    click.echo(f"next: {again(what)}", err=True)


def _is_billed(place: Place) -> bool:
    from batcher.ledger.queries.reporting import ReportingQueries

    with reading(place) as connection:
        return ReportingQueries(connection).is_billed()


@main.command(short_help="Hold every saved result against the ledger.")
@WHAT
@PATHS
@FROM_FILE
@click.option(
    "--repair", is_flag=True, help="Have the next run fetch, copy or pay for what isn't whole."
)
@AS_JSON
def verify(
    what: Path, paths: tuple[str, ...], from_file: str | None, repair: bool, as_json: bool
) -> None:
    """Check every saved result against the ledger, and the ledger against its journal.

    The exit code is 1 if something is missing or damaged. With PATHS or --from-file only the
    results of these documents are checked, and what was made from them.

    With --repair, a file that isn't as it was saved is moved to OUT/.batcher/damaged, which you may
    delete, and the next run restores the result under its name.

    It also says what `--repair` would cost. A result is free if the service still has it, or if
    another document with the same bytes has an intact copy.

    \b
    batcher verify manifests/nightly.toml
    batcher verify results/nightly --repair
    batcher verify results/nightly 'invoices/2026/**'
    """
    from batcher.ledger.queries.repair import RepairQueries
    from batcher.maintenance.verify import prospects
    from batcher.maintenance.verify import repair as set_right
    from batcher.maintenance.verify import verify as hold_against
    from batcher.views.verify_view import moved_words, prospect_words, repair_words, verify_words

    place = place_of(what)
    wanted = wanted_of(paths, from_file)
    if repair:
        done = complete(set_right(place.ledger, place.output, wanted=wanted))
        found = done.found
        values = {**found.values(), "moved": done.moved}
        billed = _is_billed(place)
        said = [
            moved_words(done.moved, place.output),
            repair_words(
                done.paid, done.free, again(what), is_billed=billed, unmade=len(found.unmade)
            ),
        ]
    else:
        with reading(place) as connection:
            found = hold_against(connection, place.output, place.ledger, wanted=wanted)
            free, paid = prospects(RepairQueries(connection), place.output, found, time.time())
            said = [prospect_words(free, paid, what, is_billed=_is_billed(place))]
            values = found.values()
    click.echo(json.dumps(values) if as_json else verify_words(found))
    for words in filter(None, said):
        click.echo(words, err=True)
    sys.exit(ExitCode.SUCCESS if found.is_whole else ExitCode.INCOMPLETE)


@main.command(short_help="Stop sending, and cancel the jobs in flight.")
@WHAT
@PATHS
@FROM_FILE
@STEP
@AS_JSON
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors.")
def cancel(
    what: Path,
    paths: tuple[str, ...],
    from_file: str | None,
    step: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Stop sending, cancel the jobs in flight, and fetch the results of those that completed.

    With PATHS, --from-file or --step this is done with these documents alone; everything else stays
    as it is, and isn't waited for. A cancelled document is sent again only after `batcher retry`. A
    job that is also for a document with the same bytes is cancelled only if both are named. Where a
    PATH or a GLOB fits no document, or all of them have ended, nothing is cancelled, and the exit
    code is 2. Where something was cancelled it is 1, as for any document that isn't saved.

    \b
    batcher cancel manifests/nightly.toml
    batcher cancel results/nightly 'invoices/2026/**'
    """
    from batcher.runs.running import cancel_batch

    wanted = wanted_of(paths, from_file)
    manifest = known_manifest(what)
    voice = Verbosity(quiet=quiet)
    summary = conduct(partial(cancel_batch, wanted=wanted, step=step), manifest, voice)
    tell(summary, manifest, voice, as_json=as_json)
    sys.exit(summary.exit_code)


@main.command(short_help="Remove from disk what nobody needs any more.")
@WHAT
@click.option(
    "--keep-runs",
    type=Count(),
    metavar="N",
    help="Let go what was replaced before the last N runs, and shorten the summaries of such runs.",
)
@click.option(
    "--service-data",
    is_flag=True,
    help="Also what the local service keeps of documents whose result is saved and verified.",
)
@click.option("--yes", is_flag=True, help="Remove it; otherwise it is only listed.")
@AS_JSON
def prune(what: Path, keep_runs: int | None, service_data: bool, yes: bool, as_json: bool) -> None:
    """List what lies on disk beside the results, and what can go; with --yes, remove that.

    Unfinished files of a crash, traces of internal errors, older copies of the ledger, a rehearsal,
    and replaced results that could save nobody a payment go. Results, journals and whatever the
    ledger still needs never do. Nothing is removed while a run is under way.

    \b
    batcher prune results/nightly
    batcher prune results/nightly --keep-runs 30 --service-data --yes
    """
    from batcher.maintenance import prune as pruning
    from batcher.views.prune_view import plan_words, pruned_words

    place = place_of(what)
    data = None
    if service_data:
        from batcher.service.pruning import DataFolder

        retention = known_manifest(what).service.result_retention
        data = DataFolder(place.ledger.parent / "service", retention=retention)
    wish = pruning.Wish(place.output, place.ledger, keep_runs, data)
    if yes:
        done = complete(pruning.prune(wish))
        values = {**done.plan.values(), "removed": done.removed, "won": done.won}
        click.echo(json.dumps(values) if as_json else pruned_words(done))
        return
    plan = pruning.look(wish)
    click.echo(json.dumps(plan.values()) if as_json else plan_words(place.batch, plan))
    if pruning.under_way(wish):
        click.echo("a run is under way: nothing can be removed before it ends", err=True)
    elif not plan.is_empty:
        click.echo("nothing was removed; the same command with --yes does it", err=True)


@main.command()
@WHAT
@click.option(
    "--listing", is_flag=True, help="Ask the service too, where the journal doesn't tell all."
)
@AS_JSON
def rebuild(what: Path, listing: bool, as_json: bool) -> None:
    """Rebuild a lost or damaged ledger from its journal.

    Nothing is sent; the next run looks for submissions that are still open.

    If the journal is lost too, the ledger is rebuilt from the manifest's documents, the jobs that
    the service lists, and the results on disk. A document for which none of these gives proof is
    held, and is not paid for again until you say so.

    \b
    batcher rebuild manifests/nightly.toml
    batcher rebuild manifests/nightly.toml --listing
    """
    from dataclasses import asdict

    from batcher.maintenance.rebuild import falls_short
    from batcher.maintenance.rebuild import rebuild as make_anew
    from batcher.maintenance.rebuild_from_job_list import rebuild_from_listing
    from batcher.views.status import counts

    place = place_of(what)
    if listing and what.is_dir():
        raise click.UsageError(
            "which service to ask stands in the manifest: batcher rebuild MANIFEST --listing"
        )
    if not what.is_dir() and (listing or falls_short(place.ledger, place.output)):
        done = complete(rebuild_from_listing(known_manifest(what)))
    else:
        batch = None if what.is_dir() else place.batch
        done = make_anew(place.ledger, batch=batch, output=place.output)
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    click.echo(f"{place.ledger}: {counts(done.documents)}", err=True)
    if done.skipped:
        click.echo(f"  {done.skipped} lines of the journal fit nowhere", err=True)
    if done.set_aside:
        click.echo(f"  what was there of the old ledger lies at {done.set_aside}", err=True)
    click.echo(f"next: batcher verify {typed(what)}, then {again(what)}", err=True)
