"""Commands that run a batch or prepare for it: run, plan, status, serve.

They import what they need inside, so that `--version` and `--help` are instant.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
from click.core import ParameterSource

from batcher.batches import Place, known_manifest, place_of
from batcher.cli.arguments import (
    AS_JSON,
    COLOUR,
    ENDPOINT,
    OUT,
    OVERRIDES,
    PATH,
    SERVICE,
    WHAT,
    manifest_of,
    reading,
)
from batcher.cli.flags import CommandWithPatterns, manifest_flags, settings_of
from batcher.cli.group import main, tell_trouble
from batcher.cli.terminal_run import Verbosity, complete, conduct, report_errors, tell, teller
from batcher.exit_codes import ExitCode
from batcher.service.arguments import service_options

if TYPE_CHECKING:
    from batcher.manifest.model import Manifest


def _faults(ctx: click.Context, option: click.Parameter, orders: str) -> str:
    if not orders:
        return orders
    from batcher.service.faults import read_orders

    try:
        read_orders(orders)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return orders


def _listen(
    ctx: click.Context, option: click.Parameter, address: str | None
) -> tuple[str, int] | None:
    if address is None:
        return None
    from batcher.manifest.values import READERS

    try:
        host, port = READERS["address"](address, Path())
    except ValueError as error:
        raise click.BadParameter(
            f"{error}; write --metrics=HOST:PORT, or put --metrics behind the manifest"
        ) from error
    return host, port


@main.command(cls=CommandWithPatterns)
@click.argument("what", metavar="MANIFEST|DIRECTORY", type=PATH)
@OUT
@ENDPOINT
@SERVICE
@manifest_flags
@OVERRIDES
@click.option(
    "-n", "--dry-run", is_flag=True, help="Show what would be done, as `plan` does; send nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors.")
@click.option(
    "-v",
    "--verbose",
    "level",
    count=True,
    help="Print a line for each document; -vv for each request as well.",
)
@click.option(
    "--log-file",
    type=PATH,
    metavar="FILE",
    help="Add all lines to FILE, with the time, also with -q.",
)
@click.option("--log-json", is_flag=True, help="Say everything as lines of JSON on stderr.")
@COLOUR
@click.option(
    "--collect", is_flag=True, help="Fetch the results of submitted jobs; submit nothing."
)
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Submit N documents at most."
)
@click.option(
    "--rehearse", is_flag=True, help="On the local service, with faults, in an output of its own."
)
@click.option(
    "--chaos",
    default="",
    callback=_faults,
    metavar="NAME=RATE,…",
    help="The faults to rehearse with.",
)
@click.option(
    "--start-over",
    is_flag=True,
    help="Start over without the old ledger; everything is paid for again.",
)
@click.option("--yes", is_flag=True, help="Pay again for what has changed, however much it is.")
@click.option(
    "--strict",
    is_flag=True,
    help="Exit code 1 while any document isn't saved, also of earlier runs.",
)
@click.option(
    "--metrics",
    is_flag=False,
    flag_value="127.0.0.1:9464",
    metavar="[HOST:PORT]",
    callback=_listen,
    help="Serve metrics for Prometheus during the run; by default on 127.0.0.1:9464.",
)
def run(
    what: Path,
    output: Path | None,
    endpoint: str,
    service: str,
    overrides: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    level: int,
    log_file: Path | None,
    log_json: bool,
    colour: str,
    collect: bool,
    sample: int | None,
    rehearse: bool,
    chaos: str,
    start_over: bool,
    yes: bool,
    strict: bool,
    metrics: tuple[str, int] | None,
    **flags: Any,
) -> None:
    """Start or resume a batch.

    \b
    batcher run manifests/nightly.toml
    batcher run ./inbox -o ./results --service reducto --include '*.pdf' --max-cost 75
    batcher run ./results --collect
    batcher run scan.pdf -o -
    """
    if output == Path("-"):
        sys.exit(_to_stdout(what))
    from batcher.runs.running import collect_batch, run_batch

    settings = settings_of(flags)
    voice = Verbosity(
        quiet=quiet,
        log_json=log_json,
        strict=strict,
        level=level,
        log_file=log_file,
        colour=colour,
    )
    if dry_run:
        _refuse_with_dry_run(collect=collect, rehearse=bool(rehearse or chaos), log_json=log_json)
    report_errors(voice)
    if sample is not None:
        overrides = (*overrides, f"limits.max_documents={sample}")
    if collect and output is None and what.is_dir():
        for setting in settings:
            raise click.UsageError(
                f"{setting.flag} goes with a manifest or with documents, and {what} holds results: "
                "batcher run MANIFEST --collect"
            )
        manifest = known_manifest(what)
    else:
        manifest = manifest_of(
            what,
            output,
            endpoint,
            service,
            overrides,
            sources=not collect,
            settings=settings,
            tell=teller(voice),
        )
    if metrics is not None:
        from batcher.manifest.loading import with_metrics

        manifest = with_metrics(manifest, metrics)
    if sample is not None:
        manifest = replace(manifest, limits=replace(manifest.limits, is_sample=True))
    if start_over:
        manifest = replace(manifest, output=replace(manifest.output, start_over=True))
    if yes:
        manifest = replace(manifest, limits=replace(manifest.limits, pay_again=float("inf")))
    if dry_run:
        _show_plan(manifest, as_json=as_json, checks=False, strict=strict)
    if rehearse or chaos:
        from batcher.maintenance.rehearsal import prepare

        manifest = prepare(manifest, chaos)
    summary = conduct(collect_batch if collect else run_batch, manifest, voice)
    # continues as later nights would: a rehearsal has no nights of its own
    while (rehearse or chaos) and summary.goes_on:
        again = conduct(run_batch, manifest, voice)
        summary = replace(again, seconds=summary.seconds + again.seconds)
    tell(summary, manifest, voice, as_json=as_json)
    if rehearse or chaos:
        from batcher.maintenance.rehearsal import rehearsal_words

        click.echo(rehearsal_words(summary), err=as_json)
    sys.exit(summary.exit_code)


def _refuse_with_dry_run(*, collect: bool, rehearse: bool, log_json: bool) -> None:
    """Refuse flags of a run that a plan has no use for."""
    if collect:
        raise click.UsageError(
            "--collect sends nothing; `batcher status` shows what it would fetch"
        )
    if rehearse:
        raise click.UsageError("a rehearsal costs nothing: leave out --dry-run, or say it alone")
    if log_json:
        raise click.UsageError("--log-json follows a run; with --dry-run say --json")


# what `run` takes beside one document whose text goes to stdout
_WITH_ONE: Final = frozenset({"what", "output", "endpoint", "service", "overrides", "quiet"})


def _to_stdout(what: Path) -> int:
    """Print one document's text, as `batcher parse` does. Returns the exit code."""
    from batcher.cli.one_document import Request, answer

    context = click.get_current_context()
    if what.is_dir():
        raise click.UsageError(
            f"-o - is for one document, and {what} is a directory: name a folder"
        )
    for name in context.params.keys() - _WITH_ONE:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            flag = "--json" if name == "as_json" else f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag} doesn't go with -o -; see batcher parse --help")
    asked = {name: context.params[name] for name in _WITH_ONE - {"what", "output"}}
    return answer(Request(str(what), **asked))


@main.command(cls=CommandWithPatterns)
@click.argument("what", metavar="MANIFEST|DIRECTORY", type=PATH)
@OUT
@ENDPOINT
@SERVICE
@manifest_flags
@OVERRIDES
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON on stdout.")
@click.option(
    "--check",
    "checks",
    is_flag=True,
    help="Check the API key, the job list and upload deletion, free of charge.",
)
@click.option(
    "--strict", is_flag=True, help="Exit code 1 where a document wouldn't be sent, nor be saved."
)
def plan(
    what: Path,
    output: Path | None,
    endpoint: str,
    service: str,
    overrides: tuple[str, ...],
    as_json: bool,
    checks: bool,
    strict: bool,
    **flags: Any,
) -> None:
    """Show what `run` would do, without sending anything.

    With --check the service is asked too: it tests the API key, the job list, and the deletion of a
    spare upload.

    \b
    batcher plan manifests/nightly.toml --check
    batcher plan ./inbox -o ./results --include '*.pdf'
    """
    manifest = manifest_of(
        what,
        output,
        endpoint,
        service,
        overrides,
        settings=settings_of(flags),
        tell=teller(Verbosity()),
    )
    _show_plan(manifest, as_json=as_json, checks=checks, strict=strict)


def _show_plan(manifest: Manifest, *, as_json: bool, checks: bool, strict: bool) -> NoReturn:
    from batcher.runs.plan import make_plan
    from batcher.views.plan_view import check_words, plan_words

    planned = complete(make_plan(manifest))
    values = planned.values()
    words = plan_words(planned, manifest)
    sound = True
    if checks:
        from batcher.runs.checks import check

        checked = complete(check(manifest, tell=tell_trouble))
        values["check"], words, sound = (
            checked.values(),
            f"{words}\n{check_words(checked)}",
            checked.is_sound,
        )
    click.echo(json.dumps(values) if as_json else words)
    lacks = strict and planned.refused
    sys.exit(ExitCode.SUCCESS if sound and not lacks else ExitCode.INCOMPLETE)


@main.command()
@WHAT
@AS_JSON
@click.option("--watch", "follow", is_flag=True, help="Follow the run under way until it ends.")
@click.option("--strict", is_flag=True, help="Exit code 1 while any document isn't saved.")
def status(what: Path, as_json: bool, follow: bool, strict: bool) -> None:
    """Show the status of a batch. A run in progress is not disturbed.

    \b
    batcher status manifests/nightly.toml
    batcher status results/nightly --watch
    """
    import msgspec

    from batcher.ledger.lock import is_held
    from batcher.views.status import status_values, status_words, unsaved

    place = place_of(what)
    if follow:
        from batcher.views.watch import watch

        watch(place.batch, place.ledger, stream=sys.stdout)
    values = status_values(place.ledger, under_way=is_held(place.ledger), output=place.output)
    if as_json and not follow:
        values["failed_documents"] = _first_failed(place, what)
    if not follow:
        click.echo(msgspec.json.encode(values) if as_json else status_words(place.batch, values))
    lacks = strict and unsaved(values["documents"])
    sys.exit(ExitCode.INCOMPLETE if lacks else ExitCode.SUCCESS)


def _first_failed(place: Place, what: Path) -> dict[str, Any]:
    from batcher.ledger.queries.failed_documents import FailedDocuments
    from batcher.views.failures import first_failed

    with reading(place) as connection:
        return first_failed(FailedDocuments(connection), what)


@main.command(short_help="Serve Reducto's API from this machine.")
@service_options
def serve(**words: Any) -> None:
    """Serve Reducto's API from this machine, for any client of that API.

    Prints its address, and an API key if it had to generate one.

    \b
    batcher serve --port 8080
    REDUCTO_BASE_URL=http://127.0.0.1:8080 python anyones_script.py
    """
    from batcher.service.__main__ import serve as serve_for_ever
    from batcher.service.arguments import options_of

    serve_for_ever(options_of(words), key=os.environ.get(words["api_key_env"]))
