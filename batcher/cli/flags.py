"""Flags of `run` and `plan` for what people set most often, each for one key of a manifest.

They are said of a directory and of a manifest alike. `-S` sets any other key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from batcher.manifest.settings import Setting

Command = TypeVar("Command", bound=Callable[..., Any])


_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


def _of_kind(kind: str) -> Callable[[str], Any]:
    """Return what reads a value of one of the kinds of `manifest.values`, or raises ValueError."""

    def read(text: str) -> Any:
        from batcher.manifest.values import READERS

        value = _number(text) if kind in ("count", "amount") else text
        READERS[kind](value, Path())
        return value

    return read


def _number(text: str) -> Any:
    """Return the number that a text says, with or without a dollar sign; else the text."""
    try:
        return json.loads(text.removeprefix("$").replace("_", ""))
    except ValueError:
        return text


def _rate(text: str) -> float:
    """Return calls per second, given as in 20, 20/s, 90/m or 1000/h. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)(?:\s*/\s*([smh])[a-z]*)?", text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"a rate as in 20/s, 90/m or 1000/h is wanted, not {json.dumps(text)}")
    return float(match[1]) / _SECONDS[match[2] or "s"]


def _pattern(text: str) -> str:
    """Return a pattern of gitignore's. Raises ValueError."""
    from batcher.manifest.patterns import bad_pattern

    if bad := bad_pattern([text]):
        raise ValueError(f"{bad} is no pattern; write it as in '**/*.pdf'")
    return text


@dataclass(frozen=True, slots=True)
class _Flag:
    """A flag and its key.

    `read` checks a value and returns it as a manifest has it, or raises ValueError. A flag that
    `adds` leaves what the manifest has in that list.
    """

    names: tuple[str, ...]
    table: str
    key: str
    read: Callable[[str], Any]
    metavar: str
    about: str
    is_repeated: bool = False
    adds: bool = False
    choices: tuple[str, ...] = ()

    @property
    def parameter(self) -> str:
        return f"set_{self.key}"

    def option(self) -> Callable[[Command], Command]:
        """Return what adds the flag to a command."""
        return click.option(
            *self.names,
            self.parameter,
            type=click.Choice(self.choices) if self.choices else str,
            metavar=self.metavar,
            multiple=self.is_repeated,
            help=self.about,
            callback=self._checked,
        )

    def _checked(self, ctx: click.Context, option: click.Parameter, value: Any) -> Any:
        try:
            if self.is_repeated:
                return [self.read(one) for one in value]
            return None if value is None else self.read(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, option) from error


FORMATS: Final = ("json", "markdown", "jsonl", "parquet")
FLAGS: Final = (
    _Flag(
        ("--include",),
        "source",
        "include",
        _pattern,
        "GLOB",
        "Take only files that match, as in '*.pdf'; may be repeated.",
        is_repeated=True,
    ),
    _Flag(
        ("--exclude",),
        "source",
        "exclude",
        _pattern,
        "GLOB",
        "Leave out files that match, beside those that the manifest leaves out.",
        is_repeated=True,
        adds=True,
    ),
    _Flag(
        ("--format",),
        "output",
        "formats",
        str,
        "|".join(FORMATS),
        "Write this format too; may be repeated.",
        is_repeated=True,
        adds=True,
        choices=FORMATS,
    ),
    _Flag(
        ("-j", "--concurrency", "--max-in-flight"),
        "service",
        "max_in_flight",
        _of_kind("count"),
        "N",
        "The most jobs in flight at once.",
    ),
    _Flag(
        ("--rate", "--requests-per-second"),
        "service",
        "requests_per_second",
        _rate,
        "N/s",
        "The most submissions in a second, minute or hour: 20/s, 90/m, 1000/h.",
    ),
    _Flag(
        ("--max-cost",),
        "limits",
        "max_cost",
        _of_kind("amount"),
        "DOLLARS",
        "The most dollars of this run, jobs in flight included.",
    ),
    _Flag(
        ("--max-pages",),
        "limits",
        "max_pages",
        _of_kind("count"),
        "N",
        "The most pages of this run, jobs in flight included.",
    ),
    _Flag(
        ("--on",),
        "cluster",
        "engine",
        str,
        "ray",
        "Read documents, or upload large files to a hosted service, on the nodes of a Ray cluster; "
        "-S cluster.address=… says which.",
        choices=("ray",),
    ),
    _Flag(
        ("--stop-at",),
        "limits",
        "stop_at",
        _of_kind("clock time"),
        "HH:MM",
        "Submit until this time of day; past for six hours, then it is the next day's. Results are "
        "still fetched.",
    ),
)


class CommandWithPatterns(click.Command):
    """Says that a pattern wants quotes where the shell has put names of files in its place."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        has_pattern = any(word.startswith(("--include", "--exclude")) for word in args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if has_pattern and "unexpected extra argument" in error.message:
                hint = "the shell has expanded a pattern: quote it, as in --include '*.pdf'"
                raise click.UsageError(f"{error.message}; {hint}", ctx) from None
            raise


def manifest_flags(command: Command) -> Command:
    """Add all flags to a command, which gets their values by names that begin with `set_`."""
    for flag in reversed(FLAGS):
        command = flag.option()(command)
    return command


def settings_of(values: Mapping[str, Any]) -> list[Setting]:
    """Return what the flags of a command say, given its parameters by name."""
    from batcher.manifest.settings import Setting

    settings = []
    for flag in FLAGS:
        value = values[flag.parameter]
        if value in (None, []):
            continue
        name = next(name for name in flag.names if name.startswith("--"))
        several = list(value) if flag.is_repeated else [value]
        if flag.key == "formats":
            value = ["json", *(one for one in value if one != "json")]
        typed = " ".join(f"{name} {_typed(flag, one)}" for one in several)
        settings.append(
            Setting(
                typed,
                flag.table,
                flag.key,
                value,
                adds=flag.adds,
            )
        )
    return settings


def _typed(flag: _Flag, value: Any) -> str:
    words = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{words}/s" if flag.read is _rate else words
