"""The README is code: its commands, its picture and its manifest are checked."""

import re
import tomllib
from pathlib import Path

from click.testing import CliRunner

from batcher.cli import main
from batcher.core.lifecycle import diagram
from batcher.core.manifest_keys import read_manifest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_ci_runs_the_test_command_as_the_readme_gives_it() -> None:
    """Word for word, but for quieter output."""
    command = re.findall(r"```sh\n(.*)\n```", README)[1]
    assert command.replace("pip install", "pip install -q") in (ROOT / ".ci" / "run").read_text()


def test_the_picture_is_drawn_from_the_table() -> None:
    """The main road of a document."""
    assert diagram().splitlines()[0] in README


def test_the_manifest_it_shows_is_one() -> None:
    """Copied out of it, it is read without a problem."""
    text = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert text is not None
    manifest = read_manifest(tomllib.loads(text[1]), where="README", folder=Path("/x"), stem="x")
    assert manifest.batch == "nightly-invoices"


def test_every_command_it_names_exists() -> None:
    """In what it says batcher does."""
    done = README.split("## What batcher does not do")[0]
    named = set(re.findall(r"batcher (run|plan|status|serve|init|schema)\b", done))
    assert named <= set(main.commands)
    assert CliRunner().invoke(main, ["--help"]).exit_code == 0
