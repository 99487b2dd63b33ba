"""Commands that write a batch's data for others: export, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from batcher.batches import Place, access_of, place_of
from batcher.cli.arguments import PATH_OR_STREAM, WHAT, reading
from batcher.cli.group import main, tell_trouble
from batcher.common.shell_words import typed
from batcher.exit_codes import ExitCode

if TYPE_CHECKING:
    import sqlite3

    from batcher.views.sample_view import Checked


STDOUT: Final = Path("-")


@main.command(short_help="Write results, documents, attempts or costs as one file.")
@WHAT
@click.option(
    "--format", type=click.Choice(("jsonl", "csv", "parquet")), default="jsonl", show_default=True
)
@click.option(
    "--what",
    "table",
    type=click.Choice(("results", "documents", "attempts", "costs")),
    default="results",
    show_default=True,
)
@click.option(
    "--chunks",
    is_flag=True,
    help="With jsonl: a line for each chunk or extracted object, not each document.",
)
@click.option("-o", "--output", type=PATH_OR_STREAM, help="The file; without it, or as -, stdout.")
def export(what: Path, format: str, table: str, chunks: bool, output: Path | None) -> None:
    """Write results, documents, attempts or costs as one file for other tools.

    In CSV and Parquet, each chunk, extracted object or section of a result is a row. Nested fields
    become columns with dots in their names, and lists become JSON. In CSV, text that a spreadsheet
    would read as a formula (it begins with =, +, -, @ or a tab) gets an apostrophe before it;
    numbers stay numbers. Only its owner may read a new file, unless [output] access says "group".

    \b
    batcher export results/invoices --format csv -o fields.csv
    batcher export results/invoices --format parquet -o fields.parquet
    batcher export results/invoices --what attempts | jq .credits
    """
    from batcher.maintenance.export import export as write

    if output == STDOUT:
        output = None
    place = place_of(what)
    with reading(place) as connection:
        done = write(
            connection,
            place.output,
            output,
            what=table,
            format=format,
            chunks=chunks,
            access=access_of(what),
        )
    if output is not None:
        click.echo(f"{output}: {done.rows} rows", err=True)
    if done.missing:
        click.echo(f"batcher: {len(done.missing)} results are not on disk as they were saved, "
                   f"e.g. {done.missing[0]}; "
                   f"see `batcher verify {typed(what)}`", err=True)  # fmt: skip
        sys.exit(ExitCode.INCOMPLETE)


@main.command(short_help="Write a page that shows a batch.")
@WHAT
@click.option(
    "-o",
    "--output",
    type=PATH_OR_STREAM,
    default=Path("report.html"),
    show_default=True,
    help="The file to write; - is stdout.",
)
def report(what: Path, output: Path) -> None:
    """Write a page that shows a batch: speed, waits, expiry, failures, costs.

    It is a single HTML file that loads nothing from elsewhere.

    \b
    batcher report manifests/nightly.toml -o report.html
    """
    import time

    from batcher.ledger.statistics import statistics
    from batcher.maintenance.export import unfinished
    from batcher.views.report import report_page

    place = place_of(what)
    with reading(place) as connection:
        html = report_page(
            statistics(connection),
            made_at=time.time(),
            what=what,
            checked=_checked(connection, place),
        )
    if output == STDOUT:
        click.echo(html)
        return
    with unfinished(output, access_of(what)) as part:
        part.write_text(html, "utf-8")
    click.echo(f"wrote {output}", err=True)


def _checked(connection: sqlite3.Connection, place: Place) -> Checked | None:
    """Return the sample that somebody has judged; one that can't be read is told and left out."""
    from batcher.errors import BatcherError
    from batcher.views.sample_view import checked_sample

    try:
        checked = checked_sample(connection, place.ledger)
    except BatcherError as error:
        tell_trouble(f"the report leaves the checked sample out: {error}")
        return None
    return checked if checked is not None and checked.sample.marked else None
