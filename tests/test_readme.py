"""The README is code: its commands, its picture and its manifest are checked."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

from click.testing import CliRunner

from batcher.cli import main
from batcher.core.lifecycle import diagram
from batcher.ledger.ledger import open_ledger
from batcher.manifest.keys import read_manifest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_ci_runs_the_test_command_as_the_readme_gives_it() -> None:
    """Word for word, but for quieter output."""
    command = re.findall(r"```sh\n(.*)\n```", README)[1]
    assert command.replace("pip install", "pip install -q") in (ROOT / ".ci" / "run").read_text()


def test_its_first_command_does_what_it_says(tmp_path: Path) -> None:
    """In a copy of the checkout, without the installation: everything is saved, and a second time
    nothing is sent.
    """
    command = re.findall(r"```sh\n(.*)\n```", README)[0].split("&&")[-1].split()
    assert command[0] == ".venv/bin/batcher"
    for folder in ("manifests", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "batcher", *command[1:], "--json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            check=True,
        )
        assert list(json.loads(done.stdout)["documents"]) == ["saved"]
    ledger = sqlite3.connect(tmp_path / "results" / "quickstart" / ".batcher" / "ledger.db")
    documents = sum(
        1 for path in (tmp_path / "examples" / "documents").rglob("*") if path.is_file()
    )
    assert ledger.execute("SELECT count(*) FROM attempts").fetchone() == (documents,)


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
    named = set(re.findall(r"`batcher ([a-z]+)\b", done))
    assert named <= set(main.commands)
    assert CliRunner().invoke(main, ["--help"]).exit_code == 0


def test_the_python_in_it_runs(tmp_path: Path) -> None:
    """In a copy of the checkout: each document is told of, and has its price."""
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    for folder in ("manifests", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", code[1]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.count(" saved\n") == said.stdout.count(".json ") > 10


def test_the_tables_and_views_it_names_exist(tmp_path: Path) -> None:
    """Those that other tools may rely on."""
    ledger = open_ledger(tmp_path / "ledger.db", batch="b", clock=lambda: 0.0, inline=True)
    views = {
        name
        for (name,) in ledger.reader.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
    }
    ledger.close()
    assert views == {"progress", "failures", "costs", "timeline", "steps"}
    assert all(f"`{name}` (" in README for name in views)
