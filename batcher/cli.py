"""The command line: the one place that reads argv, the terminal and signals. Data to stdout, words to stderr."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import batcher
from batcher.errors import BatcherError

if TYPE_CHECKING:  # commands import what they need themselves, so that --version and --help are instant
    from batcher.core.manifest import Manifest
    from batcher.stages.course import Course

PATH = click.Path(path_type=Path)
OVERRIDES = click.option(
    "-S", "overrides", multiple=True, metavar="KEY=VALUE", help="Set any key, as in job.priority=true."
)
OUT = click.option("-o", "--output", type=PATH, help="Where results go, where the first argument is a directory.")
ENDPOINT = click.option("--endpoint", default="parse", show_default=True, help="What to do with each document.")
SERVICE = click.option(
    "--service", default="local", show_default=True, help="local, reducto, reducto-eu, reducto-au or a URL."
)


class _Commands(click.Group):
    """Commands in the order a user meets them; every error of ours becomes one clear word and its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BatcherError as error:
            click.echo(f"batcher: {error}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(batcher.__version__, prog_name="batcher")
def main() -> None:
    """Take documents through Reducto's API: each paid for once, every result on disk before it expires."""


def _faults(ctx: click.Context, option: click.Parameter, orders: str) -> str:
    from batcher.service.chaos import read_orders

    try:
        read_orders(orders)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return orders


@main.command()
@click.argument("what", metavar="MANIFEST|DIRECTORY", type=PATH)
@OUT
@ENDPOINT
@SERVICE
@OVERRIDES
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but trouble.")
@click.option("--log-json", is_flag=True, help="Say everything as lines of JSON on stderr.")
@click.option("--collect", is_flag=True, help="Bring home what is out; scan and submit nothing.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Submit N documents at most.")
@click.option("--rehearse", is_flag=True, help="On the local service, with faults, in an output of its own.")
@click.option("--chaos", default="", callback=_faults, metavar="NAME=RATE,…", help="The faults to rehearse with.")
def run(
    what: Path,
    output: Path | None,
    endpoint: str,
    service: str,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    log_json: bool,
    collect: bool,
    sample: int | None,
    rehearse: bool,
    chaos: str,
) -> None:
    """Start a batch, or go on with it: the same words every time.

    \b
    batcher run manifests/nightly.toml
    batcher run ./inbox -o ./results --service reducto
    """
    if sample is not None:
        overrides = (*overrides, f"limits.max_documents={sample}")
    manifest = _manifest(what, output, endpoint, service, overrides)
    if rehearse or chaos:
        from batcher.faces.rehearsal import prepare

        manifest = prepare(manifest, chaos)
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        summary = runner.run(_run(manifest, quiet=quiet, log_json=log_json, collect=collect))
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(summary).decode())
    if not log_json:
        from batcher.faces.status import end_words, trouble_words

        words = trouble_words(summary) if quiet else end_words(summary, manifest)
        click.echo(words, err=True, nl=bool(words))
    if rehearse or chaos:
        from batcher.faces.rehearsal import rehearsal_words

        click.echo(rehearsal_words(summary))
    sys.exit(summary.exit_code)


@main.command()
@click.argument("what", metavar="MANIFEST|DIRECTORY", type=PATH)
@OUT
@ENDPOINT
@SERVICE
@OVERRIDES
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON on stdout.")
def plan(
    what: Path, output: Path | None, endpoint: str, service: str, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Show what `run` would do. Nothing outside is touched, nothing is sent."""
    from batcher.plan import make_plan

    manifest = _manifest(what, output, endpoint, service, overrides)
    planned = asyncio.run(make_plan(manifest))
    click.echo(json.dumps(planned.values()) if as_json else planned.words())


@main.command()
@click.argument("what", metavar="MANIFEST|OUTPUT", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--watch", "follow", is_flag=True, help="Follow the run under way until it ends.")
def status(what: Path, as_json: bool, follow: bool) -> None:
    """Show where a batch stands. A run under way is not disturbed."""
    from batcher.errors import LedgerError
    from batcher.faces.status import status_values, status_words

    name, ledger = _ledger_of(what)
    if not ledger.exists():
        raise LedgerError(f"{ledger}: there is no ledger; `batcher run` makes one")
    if follow:
        from batcher.faces.watch import watch

        watch(name, ledger, stream=sys.stdout)
        return
    values = status_values(ledger)
    click.echo(json.dumps(values) if as_json else status_words(name, values))


@main.command()
@click.option("--port", default=0, show_default="a free one", help="Port on the loopback interface.")
@click.option(
    "--data-dir", type=PATH, default=Path(".batcher/service"), show_default=True, help="Uploads, jobs, results."
)
@click.option("--workers", default=0, show_default="one per core", help="Processes that read documents.")
@click.option("--retention", default="12h", show_default=True, help="How long results are kept.")
@click.option(
    "--api-key-env", default="REDUCTO_API_KEY", show_default=True, help="The variable that holds the key to accept."
)
def serve(port: int, data_dir: Path, workers: int, retention: str, api_key_env: str) -> None:
    """Serve Reducto's API from this machine, for any client of it. Prints its address, and a key if it made one up."""
    import os

    from batcher.core.manifest_keys import duration
    from batcher.service.__main__ import serve as serve_for_ever
    from batcher.service.local import Options

    try:
        seconds = duration(retention)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--retention") from error
    options = Options(data_dir=data_dir, port=port, workers=workers or os.cpu_count() or 1, retention=seconds)
    serve_for_ever(options, key=os.environ.get(api_key_env))


@main.command()
@click.argument("path", type=PATH, default=Path("batch.toml"))
@click.option("--batch", help="The batch's name; default: the file's stem.")
@click.option("--directory", default="./inbox", show_default=True, help="Where the documents are.")
@click.option("--output", default="./results", show_default=True, help="Where results go.")
@ENDPOINT
@SERVICE
def init(path: Path, batch: str | None, directory: str, output: str, endpoint: str, service: str) -> None:
    """Write a commented manifest to PATH."""
    from batcher.edges.manifests import commented

    text = commented(batch=batch or path.stem, service=service, directory=directory, output=output, endpoint=endpoint)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"{path} is there already; name another file") from None
    click.echo(f"wrote {path}; next: batcher plan {path}", err=True)


@main.command()
def schema() -> None:
    """Print the manifest's JSON Schema."""
    from batcher.core.manifest_keys import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


# --- what the commands share ----------------------------------------------------------------------------------------


def _manifest(what: Path, output: Path | None, endpoint: str, service: str, overrides: tuple[str, ...]) -> Manifest:
    from batcher.edges.manifests import for_directory, load

    if what.is_dir():
        if output is None:
            raise click.UsageError(f"{what} is a directory: say with -o where its results go")
        return for_directory(what, output, endpoint=endpoint, service=service, overrides=overrides)
    return load(what, overrides=overrides)


def _ledger_of(what: Path) -> tuple[str, Path]:
    """The batch's name and its ledger, of a manifest or of an output directory."""
    if what.is_dir():
        return what.absolute().name, what / ".batcher" / "ledger.db"
    from batcher.edges.manifests import load

    manifest = load(what)
    return manifest.batch, manifest.output.ledger_path


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where the extra `fast` is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _run(manifest: Manifest, *, quiet: bool, log_json: bool, collect: bool) -> Any:
    from batcher.batch import run_batch
    from batcher.faces.log import Log, write_line
    from batcher.faces.progress import Progress
    from batcher.stages.course import Course

    course, shown = Course(), list[Log | Progress]()
    gc.freeze()  # what is loaded by now stays to the end: no collection need look at it again
    if collect:
        course.stop("", 0, home=True)
    _heed_signals(course, log_json=log_json)
    face = Log if log_json else Progress
    silent = quiet and not log_json
    try:
        summary = await run_batch(
            manifest, course=course, watch=None if silent else lambda ledger: shown.append(face(ledger))
        )
    finally:
        for one in shown:
            one.close()
    if log_json:
        write_line(sys.stderr, "RunEnded", dataclasses.asdict(summary))
    return summary


def _heed_signals(course: Course, *, log_json: bool) -> None:
    """The first Ctrl-C ends submissions and brings home what is ready; the second stops now."""
    from batcher.faces.log import write_line

    def stop() -> None:
        again = course.stopped.is_set() and not course.home
        course.stop("on request", 3, at_once=again)
        if log_json:
            write_line(sys.stderr, "Stopping", {"at_once": again})
        elif not again:
            click.echo("batcher: stopping; once more stops at once, and nothing is lost either way", err=True)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
