"""The command `status`: where a batch stands, also while a run is under way."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from batcher.batches import place_of
from batcher.cli.arguments import AS_JSON, WHAT
from batcher.cli.group import main
from batcher.exit_codes import ExitCode


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
        from batcher.views.failures import first_failed

        values["failed_documents"] = first_failed(place.ledger, what)
    if not follow:
        click.echo(msgspec.json.encode(values) if as_json else status_words(place.batch, values))
    lacks = strict and unsaved(values["documents"])
    sys.exit(ExitCode.INCOMPLETE if lacks else ExitCode.SUCCESS)
