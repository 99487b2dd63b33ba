"""Commands for a batch between its runs: why, failures, retry, verify, cancel."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

from batcher.cli.arguments import AS_JSON, WHAT, again, as_named, known_manifest, place_of, reading
from batcher.cli.group import main
from batcher.cli.terminal_run import Verbosity, complete, conduct, tell
from batcher.exit_codes import ExitCode

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


@main.command(short_help="Tell one document's whole story.")
@WHAT
@click.argument("path")
@AS_JSON
def why(what: Path, path: str, as_json: bool) -> None:
    """Tell one document's whole story: every attempt, answer, wait and cost.

    \b
    batcher why manifests/nightly.toml invoices/2026/0117.pdf
    """
    from batcher.ledger.history import story
    from batcher.views.history_view import story_words

    with reading(place_of(what)) as connection:
        versions = story(connection, as_named(path))
    click.echo(json.dumps(versions) if as_json else story_words(versions))


@main.command(short_help="Show what earlier runs did, and how each ended.")
@WHAT
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, metavar="N")
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


@main.command(short_help="Show what failed, in groups, and what to do about each.")
@WHAT
@AS_JSON
def failures(what: Path, as_json: bool) -> None:
    """Show what failed and why, in groups, and what can be done about each.

    \b
    batcher failures manifests/nightly.toml
    batcher failures results/nightly --json | jq '.[0].example'
    """
    import msgspec

    from batcher.ledger.queries.reporting import ReportingQueries
    from batcher.views.failures import failure_words

    with reading(place_of(what)) as connection:
        groups = ReportingQueries(connection).failures()
    click.echo(msgspec.json.encode(groups) if as_json else failure_words(groups, what))


@main.command(short_help="Put documents that failed back in the queue.")
@WHAT
@click.argument("paths", nargs=-1)
@click.option("--only", type=click.Choice(CLASSES), help="Documents of this class alone.")
@AS_JSON
def retry(what: Path, paths: tuple[str, ...], only: str | None, as_json: bool) -> None:
    """Put documents that failed back in the queue, for the next run to pay for again.

    Without PATHS or --only: all documents that failed, expired, were lost or were cancelled. Held
    documents may have been paid for already, and stuck ones have a job that is paid for, so they
    are queued only when asked for. For a stuck document the next run cancels the job if it is still
    running. If its result can be fetched by then, it costs nothing; otherwise the document is paid
    for again.

    \b
    batcher retry manifests/nightly.toml --only expired
    batcher retry manifests/nightly.toml invoices/2026/0117.pdf
    """
    from dataclasses import asdict

    from batcher.common.formatting import pluralize
    from batcher.maintenance.retry import retry as put_back

    done = complete(put_back(place_of(what).ledger, only=only, paths=tuple(map(as_named, paths))))
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    if not done.documents:
        click.echo(
            "0 documents are in the queue again; `batcher failures` tells what each verdict asks "
            "for",
            err=True,
        )
        return
    verb = "is" if done.documents == 1 else "are"
    words = (
        f"{pluralize(done.documents, 'document')} {verb} in the queue again, for about "
        f"{pluralize(done.credits, 'credit')}"
    )
    click.echo(words, err=True)
    if done.at_risk:
        click.echo(f"  {done.at_risk} of them may have been paid for already", err=True)
    if done.recalled:
        click.echo(
            f"  {done.recalled} of them have a job still: it is cancelled first, and fetched if "
            "it completed",
            err=True,
        )
    click.echo(f"next: {again(what)}", err=True)


@main.command(short_help="Hold every saved result against the ledger.")
@WHAT
@click.option(
    "--repair", is_flag=True, help="Have the next run fetch, copy or pay for what isn't whole."
)
@AS_JSON
def verify(what: Path, repair: bool, as_json: bool) -> None:
    """Check every saved result against the ledger, and the ledger against its journal.

    The exit code is 1 if something is missing or damaged.

    It also says what `--repair` would cost. A result is free if the service still has it, or if
    another document with the same bytes has an intact copy.

    \b
    batcher verify manifests/nightly.toml
    batcher verify results/nightly --repair
    """
    from batcher.ledger.queries.repair import RepairQueries
    from batcher.maintenance.verify import prospects
    from batcher.maintenance.verify import repair as set_right
    from batcher.maintenance.verify import verify as hold_against
    from batcher.views.verify_view import prospect_words, repair_words, verify_words

    place = place_of(what)
    if repair:
        found, requeued, kept = complete(set_right(place.ledger, place.output))
        said = repair_words(requeued, kept, again(what))
    else:
        with reading(place) as connection:
            found = hold_against(connection, place.output, place.ledger)
            free, paid = prospects(RepairQueries(connection), place.output, found, time.time())
            said = prospect_words(free, paid, what)
    click.echo(json.dumps(found.values()) if as_json else verify_words(found))
    if said:
        click.echo(said, err=True)
    sys.exit(ExitCode.SUCCESS if found.is_whole else ExitCode.INCOMPLETE)


@main.command(short_help="Stop sending, and cancel the jobs in flight.")
@WHAT
@AS_JSON
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors.")
def cancel(what: Path, as_json: bool, quiet: bool) -> None:
    """Stop sending, cancel the jobs in flight, and fetch the results of those that completed.

    \b
    batcher cancel manifests/nightly.toml
    """
    from batcher.runs.running import cancel_batch

    manifest = known_manifest(what)
    voice = Verbosity(quiet=quiet)
    summary = conduct(cancel_batch, manifest, voice)
    tell(summary, manifest, voice, as_json=as_json)
    sys.exit(summary.exit_code)


@main.command(short_help="Remove from disk what nobody needs any more.")
@WHAT
@click.option(
    "--keep-runs",
    type=click.IntRange(min=1),
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
    if not what.is_dir() and (listing or falls_short(place.ledger)):
        done = complete(rebuild_from_listing(known_manifest(what)))
    else:
        done = make_anew(place.ledger, batch=None if what.is_dir() else place.batch)
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    click.echo(f"{place.ledger}: {counts(done.documents)}", err=True)
    if done.skipped:
        click.echo(f"  {done.skipped} lines of the journal fit nowhere", err=True)
    if done.set_aside:
        click.echo(f"  the damaged ledger lies at {done.set_aside}", err=True)
    click.echo(f"next: batcher verify {what}, then {again(what)}", err=True)
