"""Arguments that several commands share, and the manifests and ledgers that they name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from batcher.cli.completion import assignments, endpoints, services
from batcher.common.formatting import pluralize
from batcher.common.shell_words import typed

if TYPE_CHECKING:
    import sqlite3

    from batcher.batches import Place
    from batcher.manifest.model import Manifest
    from batcher.manifest.settings import Setting


class _Place(click.Path):
    """A path that may not be empty, nor "-" where that stands for no stream.

    An empty path, perhaps from an unset variable, would mean the working directory and all files in
    it. A file named "-" is hardly ever meant.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail(
                "a path is wanted, and this is empty; for the working directory say .", param, ctx
            )
        if value == "-" and not self.allow_dash:
            self.fail("- is neither stdin nor stdout here; a file of that name is ./-", param, ctx)
        return super().convert(value, param, ctx)


class Count(click.IntRange):
    """A whole number above 0, up to what the ledger can hold."""

    def __init__(self) -> None:
        super().__init__(min=1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from batcher.manifest.values import LARGEST

        number = int(super().convert(value, param, ctx))
        if number > LARGEST:
            self.fail(f"{number} is more than {LARGEST}", param, ctx)
        return number


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT, as in a manifest; `hint` ends the words about another text."""

    name = "address"

    def __init__(self, *, hint: str = "") -> None:
        self._hint = hint

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        from batcher.manifest.values import READERS

        try:
            host, port = READERS["address"](value, Path())
        except ValueError as error:
            self.fail(f"{error}{self._hint}", param, ctx)
        return host, port


PATH = _Place(path_type=Path)
PATH_OR_STREAM = _Place(path_type=Path, allow_dash=True)
OVERRIDES = click.option(
    "-S",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=assignments,
    help="Set any key, as in job.priority=true.",
)
OUT = click.option(
    "-o",
    "--output",
    type=PATH_OR_STREAM,
    help="Where results go, where the first argument is a directory.",
)
ENDPOINT = click.option(
    "--endpoint",
    default="parse",
    show_default=True,
    shell_complete=endpoints,
    help="parse, extract, split, classify or pipeline.",
)
SERVICE = click.option(
    "--service",
    default="local",
    show_default=True,
    shell_complete=services,
    help="local, reducto, reducto-eu, reducto-au or a URL.",
)
WHAT = click.argument("what", metavar="MANIFEST|OUTPUT", type=PATH)
_FOR_A_DIRECTORY = {"output": "output.directory", "endpoint": "job.endpoint", "service": "service"}
COLOUR = click.option(
    "--color",
    "--colour",
    "colour",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    show_default=True,
    help="Colours: auto heeds NO_COLOR and FORCE_COLOR, and else asks for a terminal.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print it as JSON on stdout.")


def manifest_of(
    what: Path,
    output: Path | None,
    endpoint: str,
    service: str,
    overrides: tuple[str, ...],
    *,
    sources: bool = True,
    settings: Sequence[Setting] = (),
    tell: Callable[[str], None] = lambda words: None,
) -> Manifest:
    """Return the manifest that the arguments of a command mean.

    `settings` are its flags. `tell` is called with a sentence where these, `-S` and the manifest
    differ. Raises UsageError and ManifestError.
    """
    from batcher.common.missing_paths import instead_of
    from batcher.manifest.loading import for_directory, load

    if output == Path("-"):
        raise click.UsageError("-o - is for `batcher run FILE` alone: name a folder")
    if what.is_dir():
        if output is None and (what / ".batcher").is_dir():
            raise click.UsageError(
                f"{what} holds results of a batch: name its manifest, or its documents and -o "
                f"{typed(what)}"
            )
        if output is None:
            raise click.UsageError(f"{what} is a directory: say with -o where its results go")
        return for_directory(
            what,
            output,
            endpoint=endpoint,
            service=service,
            overrides=overrides,
            settings=settings,
            tell=tell,
        )
    if not what.exists():
        hint = instead_of(what) or "batcher init writes a new manifest"
        words = f"{what}: there is no such file or directory; {hint}"
        raise click.UsageError(words + _to_bring_home(output))
    for name, key in _FOR_A_DIRECTORY.items():
        if click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} goes with a directory; {_which(what, key)}")
    return load(what, overrides=overrides, settings=settings, sources=sources, tell=tell)


def _to_bring_home(output: Path | None) -> str:
    """Return what is in flight for that output, until when, and what fetches it; "" if nothing."""
    if output is None or not (jobs := in_flight(output / ".batcher" / "ledger.db")):
        return ""
    number, until = jobs
    when = f" until {datetime.fromtimestamp(until):%Y-%m-%d %H:%M}" if until else ""
    verb = "is" if number == 1 else "are"
    return (
        f"\n{pluralize(number, 'job')} {verb} in flight{when}: batcher run {typed(output)} "
        "--collect fetches the results"
    )


def in_flight(ledger: Path) -> tuple[int, float | None] | None:
    """Return how many jobs are, or may be, in flight, and when the first result expires.

    None if there are none, or that can't be told.
    """
    from batcher.core.lifecycle import OUT
    from batcher.errors import LedgerError
    from batcher.ledger import schema
    from batcher.ledger.queries.tracking import TrackingQueries

    try:
        with schema.reading(ledger) as connection:
            tracking = TrackingQueries(connection)
            counts = tracking.counts()
            number = sum(counts[state] for state in OUT)
            return (number, tracking.nearest_deadline_at()) if number else None
    except LedgerError:
        return None


def _which(what: Path, key: str) -> str:
    from batcher.manifest.loading import SUFFIXES

    if what.suffix in ("", *SUFFIXES):
        return f"{what} is a manifest: say -S {key}=… instead"
    include = f"source.include=[{json.dumps('/' + what.name, ensure_ascii=False)}]"
    return (
        f"{what} is a file: batcher parse prints its text; or name its folder, and the file by "
        f"-S {typed(include)}"
    )


def again(what: Path) -> str:
    """Return what to type for the next run."""
    return (
        "run the batch again, with the words it was started with"
        if what.is_dir()
        else f"batcher run {typed(what)}"
    )


@contextmanager
def reading(place: Place) -> Iterator[sqlite3.Connection]:
    """Open a connection that reads the ledger, also while a run writes it.

    Raises LedgerError if there is no ledger to read.
    """
    from batcher.ledger import schema

    with schema.reading(place.ledger) as connection:
        yield connection
