"""The command `plan`, which is also what `run --dry-run` prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from batcher.cli.arguments import ENDPOINT, OUT, OVERRIDES, PATH, SERVICE, manifest_of
from batcher.cli.flags import CommandWithPatterns, manifest_flags, settings_of
from batcher.cli.group import main, tell_trouble
from batcher.cli.terminal_run import Verbosity, complete, teller
from batcher.exit_codes import ExitCode

if TYPE_CHECKING:
    from batcher.manifest.model import Manifest


@main.command(cls=CommandWithPatterns)
@click.argument("what", metavar="MANIFEST|DIRECTORY", type=PATH)
@OUT
@ENDPOINT
@SERVICE
@manifest_flags
@OVERRIDES
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON on stdout.")
@click.option(
    "--check",
    "checks",
    is_flag=True,
    help="Check the API key, the job list and upload deletion, free of charge.",
)
@click.option(
    "--strict", is_flag=True, help="Exit code 1 where a document wouldn't be sent, nor be saved."
)
def plan(
    what: Path,
    output: Path | None,
    endpoint: str,
    service: str,
    overrides: tuple[str, ...],
    as_json: bool,
    checks: bool,
    strict: bool,
    **flags: Any,
) -> None:
    """Show what `run` would do, without sending anything.

    With --check the service is asked too: it tests the API key, the job list, and the deletion of a
    spare upload.

    \b
    batcher plan manifests/nightly.toml --check
    batcher plan ./inbox -o ./results --include '*.pdf'
    """
    manifest = manifest_of(
        what,
        output,
        endpoint,
        service,
        overrides,
        settings=settings_of(flags),
        tell=teller(Verbosity()),
    )
    show_plan(manifest, as_json=as_json, checks=checks, strict=strict)


def show_plan(manifest: Manifest, *, as_json: bool, checks: bool, strict: bool) -> NoReturn:
    """Print the plan, with `checks` what the service says about it, and end the command."""
    from batcher.runs.plan import make_plan
    from batcher.views.plan_view import check_words, limit_values, plan_words

    planned = complete(make_plan(manifest))
    values = {**planned.values(), "limits": limit_values(manifest.limits)}
    words = plan_words(planned, manifest)
    words = "\n".join([words, *(f"  warning    {told}" for told in planned.empty)])
    if planned.sends_nothing:
        words = f"{words}\n  now        a run now would send nothing: {planned.sends_nothing}"
    sound = True
    if checks:
        from batcher.runs.checks import check

        checked = complete(check(manifest, tell=tell_trouble))
        values["check"] = checked.values()
        words = f"{words}\n{check_words(checked)}"
        sound = checked.is_sound
    click.echo(json.dumps(values) if as_json else words)
    if planned.unmatched:
        tell_trouble(planned.unmatched)
        sys.exit(ExitCode.USAGE)
    lacks = strict and planned.refused
    sys.exit(ExitCode.SUCCESS if sound and not lacks else ExitCode.INCOMPLETE)
