"""The command `batcher` itself: how its commands are listed, and how an error of ours ends the process."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

import batcher
from batcher.errors import BatcherError

ORDER: Final = "run plan status why failures retry verify cancel rebuild export report serve init schema".split()


class _Commands(click.Group):
    """Commands in the order a user meets them; every error of ours becomes one clear word and its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.commands, key=ORDER.index)

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
