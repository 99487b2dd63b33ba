"""Commands to start with: demo; init, which takes flags or asks on a terminal; and schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from batcher.cli.arguments import PATH
from batcher.cli.completion import services
from batcher.cli.group import main
from batcher.cli.unwritable import refused
from batcher.common.names import as_text, is_text
from batcher.common.shell_words import typed

ENDPOINTS = ("parse", "extract", "split", "classify", "pipeline")
FORMATS = ("json", "markdown", "jsonl", "parquet")
QUESTIONS = {
    "directory": "Where are the documents",
    "output": "Where shall the results go",
    "endpoint": "What is to be done with each",
    "service": "By which service: local, reducto, reducto-eu, reducto-au or a URL",
}


@main.command(short_help="Try batcher on example documents, without an account.")
@click.option(
    "-o",
    "--output",
    type=PATH,
    default=Path("batcher-demo"),
    show_default=True,
    help="The folder to make.",
)
def demo(output: Path) -> None:
    """Copy example documents into a folder, and read them by the local service.

    It needs no account and no network.

    \b
    batcher demo
    batcher demo -o /tmp/demo
    """
    from batcher.cli.terminal_run import Verbosity, conduct, tell
    from batcher.maintenance.demo import copy_demo
    from batcher.manifest.loading import load
    from batcher.runs.running import run_batch

    try:
        path = copy_demo(output)
    except FileExistsError:
        raise click.UsageError(f"{output} is there already; {_other_than(output)}") from None
    except OSError as error:
        raise refused(output, error) from error
    manifest = load(path)
    summary = conduct(run_batch, manifest, Verbosity())
    tell(summary, manifest, Verbosity(), as_json=False)
    click.echo(_after_the_demo(output, path), err=True)
    sys.exit(summary.exit_code)


def _other_than(output: Path) -> str:
    from batcher.maintenance.demo import MANIFEST

    other = "name another folder with --output"
    earlier = output / MANIFEST
    return f"batcher run {typed(earlier)} goes on, or {other}" if earlier.is_file() else other


def _after_the_demo(output: Path, path: Path) -> str:
    example = "results/invoices/2026/INV-2026-001.pdf.md"
    said = {
        str(output / example): "one of the results; the .json beside it has everything",
        f"batcher run {typed(path)}": "again: nothing is sent, nothing is paid",
        f"batcher status {typed(path)}": "where the batch stands",
        f"batcher report {typed(path)}": "a page on speed, waits and costs: report.html",
        "batcher init": "a manifest for documents of your own",
    }
    width = max(map(len, said))
    return "\n".join(["next:", *(f"  {what:<{width}}  {why}" for what, why in said.items())])


@main.command()
@click.argument("path", type=PATH, default=Path("batch.toml"))
@click.option("--batch", help="The batch's name; default: the file's stem.")
@click.option("--directory", default="./inbox", show_default=True, help="Where the documents are.")
@click.option("--output", default="./results", show_default=True, help="Where results go.")
@click.option("--endpoint", type=click.Choice(ENDPOINTS), default="parse", show_default=True)
@click.option(
    "--service",
    default="local",
    show_default=True,
    shell_complete=services,
    help="local, reducto, reducto-eu, reducto-au or a URL.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="What to write beside JSON; may be repeated.",
)
@click.option(
    "--ask/--no-ask", default=None, help="Ask for what no flag says; by default on a terminal."
)
@click.pass_context
def init(
    ctx: click.Context,
    /,
    path: Path,
    batch: str | None,
    formats: tuple[str, ...],
    ask: bool | None,
    **said: str,
) -> None:
    """Write a commented manifest to PATH. On a terminal it asks for whatever no flag sets.

    \b
    batcher init
    batcher init invoices.toml --directory ./invoices --endpoint extract --format parquet
    """
    from batcher.manifest.template import commented

    _refuse_unknown(said["service"])
    if path.exists():
        raise click.UsageError(f"{path} is there already; name another file")
    if path.suffix in (".json", ".yaml", ".yml"):
        raise click.UsageError(f"{path}: it is written as TOML; name {path.with_suffix('.toml')}")
    if sys.stdin.isatty() if ask is None else ask:
        said = {name: _answer(ctx, name, value) for name, value in said.items()}
        _refuse_unknown(said["service"])
    _refuse_what_is_no_text({"batch": batch or "", **said})
    text = commented(
        batch=batch or as_text(path.stem),
        formats=("json", *(f for f in formats if f != "json")),
        **said,
    )
    _write_new(path, text)
    then = f"batcher plan {typed(path)}"
    inbox = Path(said["directory"])
    if not (path.parent / inbox).is_dir():
        then = f"put documents into {typed(path.parent / inbox)}, then {then}"
    click.echo(f"wrote {path}; next: {then}", err=True)


def _write_new(path: Path, text: str) -> None:
    """Write a file that isn't there yet; nothing is left of one that can't be written whole."""
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise click.UsageError(f"{path} is there already; name another file") from None
    except OSError as error:
        raise refused(path, error) from error
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise refused(path, error) from error


def _refuse_unknown(service: str) -> None:
    from batcher.manifest.keys import service_hint
    from batcher.manifest.model import LOCAL
    from batcher.reducto.api_types import SERVICES

    if "://" not in service and service not in (LOCAL, *SERVICES):
        raise click.BadParameter(
            f"{service!r} is not known ({service_hint(service)})", param_hint="--service"
        )


def _refuse_what_is_no_text(said: Mapping[str, str]) -> None:
    for name, value in said.items():
        if not is_text(value):
            raise click.BadParameter(
                f"{as_text(value)} isn't UTF-8, as a manifest is", param_hint=f"--{name}"
            )


def _answer(ctx: click.Context, name: str, value: str) -> str:
    """Ask for a value, unless a flag has set it."""
    if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
        return value
    kind: Any = click.Choice(ENDPOINTS) if name == "endpoint" else str
    answer: str = click.prompt(QUESTIONS[name], default=value, type=kind, err=True)
    return answer


@main.command(short_help="Print the manifest's JSON Schema.")
def schema() -> None:
    """Print the manifest's JSON Schema, for editors that complete and check.

    \b
    batcher schema > batcher.schema.json
    """
    from batcher.manifest.keys import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
