"""Commands to start with: init, which takes flags or asks on a terminal, and schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from batcher.cli.arguments import PATH
from batcher.cli.group import main

ENDPOINTS = ("parse", "extract", "split", "classify", "pipeline")
FORMATS = ("json", "markdown", "jsonl", "parquet")
QUESTIONS = {
    "directory": "Where are the documents",
    "output": "Where shall the results go",
    "endpoint": "What is to be done with each",
    "service": "By which service: local, reducto, reducto-eu, reducto-au or a URL",
}


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

    if path.exists():
        raise click.UsageError(f"{path} is there already; name another file")
    if path.suffix in (".json", ".yaml", ".yml"):
        raise click.UsageError(f"{path}: it is written as TOML; name {path.with_suffix('.toml')}")
    if sys.stdin.isatty() if ask is None else ask:
        said = {name: _answer(ctx, name, value) for name, value in said.items()}
    text = commented(
        batch=batch or path.stem, formats=("json", *(f for f in formats if f != "json")), **said
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"{path} is there already; name another file") from None
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from None
    click.echo(f"wrote {path}; next: batcher plan {path}", err=True)


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
