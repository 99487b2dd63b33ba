"""The command `run`, which starts or resumes a batch, collects its results, or rehearses it.

It imports what it needs inside, so that `--version` and `--help` are instant.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from batcher.batches import known_manifest
from batcher.cli.arguments import (
    COLOUR,
    ENDPOINT,
    OUT,
    OVERRIDES,
    PATH,
    SERVICE,
    Address,
    Count,
    in_flight,
    manifest_of,
)
from batcher.cli.flags import CommandWithPatterns, manifest_flags, settings_of
from batcher.cli.group import give_up_output, main
from batcher.cli.planning import show_plan
from batcher.cli.terminal_run import Verbosity, conduct, report_errors, tell, teller
from batcher.errors import ManifestError

if TYPE_CHECKING:
    from batcher.manifest.model import Manifest
    from batcher.manifest.settings import Setting


def _faults(ctx: click.Context, option: click.Parameter, orders: str) -> str:
    if not orders:
        return orders
    from batcher.service.faults import read_orders

    try:
        read_orders(orders)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return orders


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
@click.option("--sample", type=Count(), metavar="N", help="Submit N documents at most.")
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
    type=Address(hint="; write --metrics=HOST:PORT, or put --metrics behind the manifest"),
    help="Serve metrics for Prometheus during the run; by default on 127.0.0.1:9464.",
)
@click.option("--web", is_flag=True, help="Show the batch in a browser beside the run.")
def run(**words: Any) -> None:
    """Start or resume a batch.

    \b
    batcher run manifests/nightly.toml
    batcher run ./inbox -o ./results --service reducto --include '*.pdf' --max-cost 75
    batcher run ./results --collect
    batcher run scan.pdf -o -
    """
    if words["output"] == Path("-"):
        sys.exit(_to_stdout(words["what"]))
    asked = _Asked(settings=settings_of(words), **{name: words[name] for name in _WORDS})
    if asked.dry_run:
        _refuse_with_dry_run(asked)
    report_errors(asked.voice)
    manifest = _limited(_manifest_asked_for(asked), asked)
    if asked.dry_run:
        show_plan(manifest, as_json=asked.as_json, checks=False, strict=asked.strict)
    if asked.rehearses:
        sys.exit(_rehearsed(manifest, asked))
    from batcher.runs.running import collect_batch, run_batch

    with _pages(manifest, asked):
        summary = conduct(collect_batch if asked.collect else run_batch, manifest, asked.voice)
        tell(summary, manifest, asked.voice, as_json=asked.as_json)
    sys.exit(summary.exit_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the command line asks of a run, by the names of its options."""

    what: Path
    output: Path | None
    endpoint: str
    service: str
    overrides: tuple[str, ...]
    settings: Sequence[Setting]
    dry_run: bool
    as_json: bool
    quiet: bool
    level: int
    log_file: Path | None
    log_json: bool
    colour: str
    collect: bool
    sample: int | None
    rehearse: bool
    chaos: str
    start_over: bool
    yes: bool
    strict: bool
    metrics: tuple[str, int] | None
    web: bool

    @property
    def voice(self) -> Verbosity:
        return Verbosity(
            quiet=self.quiet,
            log_json=self.log_json,
            strict=self.strict,
            level=self.level,
            log_file=self.log_file,
            colour=self.colour,
        )

    @property
    def rehearses(self) -> bool:
        return bool(self.rehearse or self.chaos)


_WORDS: Final = tuple(one.name for one in fields(_Asked) if one.name != "settings")


def _manifest_asked_for(asked: _Asked) -> Manifest:
    """Return the manifest named, or the one that the ledger of a directory of results knows."""
    what = asked.what
    if asked.collect and asked.output is None and what.is_dir():
        for setting in asked.settings:
            raise click.UsageError(
                f"{setting.flag} goes with a manifest or with documents, and {what} holds results: "
                "batcher run MANIFEST --collect"
            )
        return known_manifest(what)
    overrides = asked.overrides
    if asked.sample is not None:
        overrides = (*overrides, f"limits.max_documents={asked.sample}")
    try:
        return manifest_of(
            what,
            asked.output,
            asked.endpoint,
            asked.service,
            overrides,
            sources=not asked.collect,
            settings=asked.settings,
            tell=teller(asked.voice),
        )
    except ManifestError as error:
        return _in_spite_of(error, asked, overrides)


def _in_spite_of(error: ManifestError, asked: _Asked, overrides: tuple[str, ...]) -> Manifest:
    """Return the manifest all the same if only its sources are at fault, and jobs are in flight.

    The run brings these home, sends nothing, and ends with that error. Raises `error` otherwise.
    """
    from batcher.manifest.loading import load, missing_sources

    if asked.what.is_dir() or asked.dry_run or asked.rehearses or asked.start_over:
        raise error
    try:
        manifest = load(asked.what, overrides=overrides, settings=asked.settings, sources=False)
    except ManifestError:
        raise error from None
    of_sources = missing_sources(manifest) == error.problems
    if not (of_sources and in_flight(manifest.output.ledger_path)):
        raise error
    return manifest


def _limited(manifest: Manifest, asked: _Asked) -> Manifest:
    """Return the manifest with what only this run is to do otherwise."""
    if asked.metrics is not None:
        from batcher.manifest.loading import with_metrics

        manifest = with_metrics(manifest, asked.metrics)
    limits = manifest.limits
    if asked.sample is not None:
        limits = replace(limits, is_sample=True)
    if asked.yes:
        limits = replace(limits, pay_again=float("inf"))
    output = manifest.output
    if asked.start_over:
        output = replace(output, start_over=True)
    return replace(manifest, limits=limits, output=output)


def _rehearsed(manifest: Manifest, asked: _Asked) -> int:
    """Rehearse the batch, and return the exit code."""
    from batcher.maintenance.rehearsal import prepare, rehearsal_words
    from batcher.runs.running import collect_batch, run_batch

    manifest = prepare(manifest, asked.chaos)
    with _pages(manifest, asked):
        summary = conduct(collect_batch if asked.collect else run_batch, manifest, asked.voice)
        # continues as later nights would: a rehearsal has no nights of its own
        while summary.goes_on:
            again = conduct(run_batch, manifest, asked.voice)
            summary = replace(again, seconds=summary.seconds + again.seconds)
        tell(summary, manifest, asked.voice, as_json=asked.as_json)
        try:
            click.echo(rehearsal_words(summary), err=asked.as_json)
        except OSError as error:
            give_up_output(error)  # what the rehearsal came to counts
    return summary.exit_code


def _pages(manifest: Manifest, asked: _Asked) -> AbstractContextManager[None]:
    """Show the batch beside its run, if that is asked for.

    The address has a token in it, so no log file gets it.
    """
    if not asked.web:
        return nullcontext()
    from batcher.cli.pages_beside import pages_beside

    at_terminal = sys.stdin.isatty() and sys.stderr.isatty() and not asked.quiet
    aloud = replace(asked.voice, log_file=None, quiet=False)
    return pages_beside(manifest, teller(aloud), stays=at_terminal)


def _refuse_with_dry_run(asked: _Asked) -> None:
    """Refuse flags of a run that a plan has no use for."""
    if asked.collect:
        raise click.UsageError(
            "--collect sends nothing; `batcher status` shows what it would fetch"
        )
    if asked.rehearses:
        raise click.UsageError("a rehearsal costs nothing: leave out --dry-run, or say it alone")
    if asked.log_json:
        raise click.UsageError("--log-json follows a run; with --dry-run say --json")
    if asked.web:
        raise click.UsageError(
            "--web shows a run; `batcher web OUTPUT` shows what earlier runs did"
        )


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
