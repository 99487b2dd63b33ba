"""The command `failures`: what failed, as text, JSON, CSV or a list of paths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from batcher.batches import place_of
from batcher.cli.arguments import AS_JSON, WHAT, reading
from batcher.cli.group import main
from batcher.cli.maintenance import CLASSES
from batcher.cli.selecting import STEP, Moment, show_path

if TYPE_CHECKING:
    import sqlite3

    from batcher.ledger.queries.failed_documents import FailedDocuments, Selection

OTHER_VERDICTS: Final = (
    "blocked",
    "unreadable",
    "unsupported",
    "source_gone",
    "source_changed",
)
SHOWN: Final = 20  # groups, and documents of each, that a terminal is given unless --all


@main.command(short_help="Show what failed, and what to do about it.")
@WHAT
@click.option("--all", "everything", is_flag=True, help="On a terminal, too, list every document.")
@click.option("--group", "in_groups", is_flag=True, help="The groups alone, without documents.")
@click.option(
    "--documents", is_flag=True, help="With --json: an array of documents instead of groups."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print the documents as CSV.")
@click.option("--paths", is_flag=True, help="Print the documents' paths, one per line.")
@click.option("-0", "--null", "ends_with_nul", is_flag=True, help="--paths, each ended by NUL.")
@click.option(
    "--only", type=click.Choice((*CLASSES, *OTHER_VERDICTS)), help="Documents of this class alone."
)
@click.option("--error", "errors", multiple=True, metavar="NAME", help="An error name of the API.")
@click.option(
    "--match", "globs", multiple=True, metavar="GLOB", help="Paths that fit, as in include."
)
@click.option(
    "--since", type=Moment(), metavar="WHEN", help="Failed since 2026-11-30, 06:00, 2h, 3d."
)
@STEP
@AS_JSON
def failures(
    what: Path,
    everything: bool,
    in_groups: bool,
    documents: bool,
    as_csv: bool,
    paths: bool,
    ends_with_nul: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Show what failed and why, in groups with their documents, and what can be done about each.

    On a terminal the first 20 documents of each of the first 20 groups are shown; --all shows the
    rest, and so does a pipe. --error and --match may be repeated, and one of them must fit. With
    --json come the groups, with --json --documents the documents.

    \b
    batcher failures manifests/nightly.toml
    batcher failures results/nightly --json | jq '.[0].example'
    batcher failures results/nightly --since 2h --match 'invoices/**' --csv > failed.csv
    batcher failures results/nightly --only transient --paths |
      batcher retry results/nightly --only transient --from-file -
    """
    paths = paths or ends_with_nul
    _refuse_two_forms(
        {"--group": in_groups, "--csv": as_csv, "--paths": paths, "--documents": documents}
    )
    if as_json and (as_csv or paths):
        raise click.UsageError("--json, --csv and --paths are different forms: choose one")
    if documents and not as_json:
        raise click.UsageError("--documents goes with --json: batcher failures OUT --json "
                               "--documents")  # fmt: skip
    with reading(place_of(what)) as connection:
        failed = _selected(connection, **filters)
        if paths:
            for name in failed.paths():
                show_path(name, ends_with_nul=ends_with_nul)
        elif as_csv:
            _print_csv(failed, what)
        elif documents:
            _print_documents(failed, what)
        else:
            _print_groups(failed, what, as_json=as_json, in_groups=in_groups, everything=everything)


def _refuse_two_forms(forms: dict[str, bool]) -> None:
    asked = [name for name, is_asked in forms.items() if is_asked]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} are different forms: choose one")


def _selected(connection: sqlite3.Connection, **filters: Any) -> FailedDocuments:
    from batcher.ledger.queries.failed_documents import FailedDocuments

    selection = _selection(**filters)
    try:
        failed = FailedDocuments(connection, selection)
    except ValueError as error:
        raise click.UsageError(f"--match: {error}; quote it, as in 'a/**/*.pdf'") from error
    _refuse_unknown(failed, selection)
    return failed


def _selection(
    only: str | None,
    errors: tuple[str, ...],
    globs: tuple[str, ...],
    since: float | None,
    step: str | None,
) -> Selection:
    from batcher.ledger.queries.failed_documents import Selection
    from batcher.maintenance.retry import CLASSES as STATES

    state, kinds = STATES.get(only or "", (only, None))
    return Selection(state, kinds, errors, globs, since, step)


def _refuse_unknown(failed: FailedDocuments, selection: Selection) -> None:
    """Raise UsageError for a step or an error name that nobody knows."""
    from batcher.reducto.api_types import ErrorName

    if selection.step is not None and not failed.has_step(selection.step):
        steps = ", ".join(failed.all_steps())
        raise click.UsageError(
            f"--step {selection.step}: there is no such step; there are: {steps}"
        )
    for name in selection.errors:
        if name.upper() not in set(ErrorName) and not failed.has_error(name):
            there = ", ".join(failed.all_errors()) or "none"
            raise click.UsageError(
                f"--error {name}: no failure has that name, nor does the API know it; here "
                f"there are: {there}"
            )


def _print_groups(
    failed: FailedDocuments, what: Path, *, as_json: bool, in_groups: bool, everything: bool
) -> None:
    import msgspec

    from batcher.views.failures import failed_lines, failure_words

    if as_json:
        click.echo(msgspec.json.encode(failed.groups()))
    elif in_groups:
        click.echo(failure_words(failed.groups(), what))
    else:
        most = SHOWN if sys.stdout.isatty() and not everything else None
        for lines in failed_lines(failed, what, of_each_group=most, at_most_groups=most):
            click.echo(lines)


def _print_documents(failed: FailedDocuments, what: Path) -> None:
    """Print a JSON array, a document on each line."""
    import msgspec

    from batcher.views.failures import document_values

    out = sys.stdout.buffer
    separator = b"["
    for _, document in failed.documents():
        out.write(separator + msgspec.json.encode(document_values(document, what)))
        separator = b",\n"
    out.write(b"]\n" if separator != b"[" else b"[]\n")


def _print_csv(failed: FailedDocuments, what: Path) -> None:
    from batcher.maintenance.export import csv_record, defused
    from batcher.views.failures import CSV_COLUMNS, document_row

    out = sys.stdout.buffer
    out.write(csv_record(CSV_COLUMNS))
    for _, document in failed.documents():
        row = document_row(document, what)
        out.write(
            csv_record("" if row[name] is None else defused(row[name]) for name in CSV_COLUMNS)
        )
