"""What several commands take, and what they make of it: a manifest, a ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    import sqlite3

    from batcher.manifest.model import Manifest


class _Place(click.Path):
    """An empty path, of a variable that isn't set perhaps, would be the working directory with all
    that is in it.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail(
                "a path is wanted, and this is empty; for the working directory say .", param, ctx
            )
        return super().convert(value, param, ctx)


PATH = _Place(path_type=Path)
OVERRIDES = click.option(
    "-S",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set any key, as in job.priority=true.",
)
OUT = click.option(
    "-o", "--output", type=PATH, help="Where results go, where the first argument is a directory."
)
ENDPOINT = click.option(
    "--endpoint", default="parse", show_default=True, help="What to do with each document."
)
SERVICE = click.option(
    "--service",
    default="local",
    show_default=True,
    help="local, reducto, reducto-eu, reducto-au or a URL.",
)
WHAT = click.argument("what", metavar="MANIFEST|OUTPUT", type=PATH)
_FOR_A_DIRECTORY = {"output": "output.directory", "endpoint": "job.endpoint", "service": "service"}
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print it as JSON on stdout.")


def manifest_of(
    what: Path,
    output: Path | None,
    endpoint: str,
    service: str,
    overrides: tuple[str, ...],
    *,
    sources: bool = True,
) -> Manifest:
    from batcher.manifest.loading import for_directory, load

    if what.is_dir():
        if output is None and (what / ".batcher").is_dir():
            raise click.UsageError(
                f"{what} holds results of a batch: name its manifest, or its documents and -o "
                f"{what}"
            )
        if output is None:
            raise click.UsageError(f"{what} is a directory: say with -o where its results go")
        return for_directory(what, output, endpoint=endpoint, service=service, overrides=overrides)
    if not what.exists():
        raise click.UsageError(
            f"{what}: there is no such file or directory; batcher init writes a new manifest"
        )
    for name, key in _FOR_A_DIRECTORY.items():
        if click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--{name} goes with a directory; {what} is a manifest: say -S {key}=… instead"
            )
    return load(what, overrides=overrides, sources=sources)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a batch lies."""

    batch: str
    ledger: Path
    output: Path


def place_of(what: Path) -> Place:
    """Of a manifest, or of an output directory."""
    if what.is_dir():
        return Place(what.absolute().name, what / ".batcher" / "ledger.db", what)
    from batcher.manifest.loading import load

    manifest = load(what, sources=False)
    return Place(manifest.batch, manifest.output.ledger_path, manifest.output.directory)


def again(what: Path) -> str:
    """What to type for the next run."""
    return (
        "run the batch again, with the words it was started with"
        if what.is_dir()
        else f"batcher run {what}"
    )


def known_manifest(what: Path) -> Manifest:
    """The manifest at `what`; of an output directory, as much of it as its ledger remembers."""
    from batcher.ledger.remembered import remembered
    from batcher.manifest.loading import load

    return remembered(place_of(what).ledger) if what.is_dir() else load(what, sources=False)


def access_of(what: Path) -> str:
    """Who may read what is written of that batch; the owner alone where nobody remembers."""
    from batcher.errors import BatcherError

    try:
        return known_manifest(what).output.access
    except BatcherError:
        return "owner"


def as_named(path: str) -> str:
    """A document as the ledger calls it; of a name that is no text, what stands for its bytes."""
    from batcher.common.names import name_of

    try:
        path.encode()
    except UnicodeEncodeError:
        return name_of(os.fsencode(path))
    return path


@contextmanager
def reading(place: Place) -> Iterator[sqlite3.Connection]:
    """A connection that reads the ledger, also while a run writes it.

    Raises LedgerError where there is none to be read.
    """
    from batcher.ledger import schema

    with schema.reading(place.ledger) as connection:
        yield connection
