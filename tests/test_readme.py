"""The README and those of the folders are code: their commands, pictures, manifests, Python, links
and files are checked.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from batcher.cli import main
from batcher.core.lifecycle import diagram
from batcher.ledger.ledger import open_ledger
from batcher.manifest.keys import read_manifest

ROOT = Path(__file__).parent.parent
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (
        ROOT / "README.md",
        *(ROOT / folder / "README.md" for folder in ("manifests", "examples", "batcher", "tests")),
        ROOT / "batcher" / "service" / "README.md",
    )
}
README = DOCUMENTS["README.md"]
MANIFESTS = DOCUMENTS["manifests/README.md"]
EXAMPLES = DOCUMENTS["examples/README.md"]
SHOWN = [  # every piece of a manifest that a document shows
    (name, text)
    for name, document in DOCUMENTS.items()
    for text in re.findall(r"```toml\n(.*?)```", document, re.DOTALL)
]
PATHS = re.compile(
    r"`(?:python |pytest )?((?:tests|examples|manifests|batcher)/[\w/.-]+\.(?:py|toml|md|json))\b"
)


def test_the_readme_is_short() -> None:
    """What stands in it is what a stranger needs; the rest has a place of its own."""
    assert len(README.encode()) <= 9_000


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
    """The life of a document, beside the code that holds it."""
    assert diagram() in DOCUMENTS["batcher/README.md"]


def test_the_manifest_it_shows_is_one() -> None:
    """Copied out of it, it is read without a problem."""
    text = re.search(r"```toml\n(.*?)```", MANIFESTS, re.DOTALL)
    assert text is not None
    manifest = read_manifest(tomllib.loads(text[1]), where="README", folder=Path("/x"), stem="x")
    assert manifest.batch == "nightly-invoices"


@pytest.mark.parametrize(
    ("name", "text"), SHOWN, ids=[f"{name}-{number}" for number, (name, _) in enumerate(SHOWN)]
)
def test_each_piece_of_a_manifest_is_read(name: str, text: str) -> None:
    """Within a manifest that has what it leaves out."""
    needed = {"source": {"directory": "/in"}, "output": {"directory": "/out"}}
    read_manifest({**needed, **tomllib.loads(text)}, where=name, folder=Path("/x"), stem="x")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_it_names_exists(name: str) -> None:
    """In what it says batcher does."""
    done = DOCUMENTS[name].split("## What batcher does not do")[0]
    named = set(re.findall(r"`batcher ([a-z]+)\b", done))
    named |= set(re.findall(r"^\$ batcher ([a-z]+)\b", done, re.MULTILINE))
    assert named <= set(main.commands)
    assert CliRunner().invoke(main, ["--help"]).exit_code == 0


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_it_names_exists(name: str) -> None:
    """By its path in the repository, or as a link from its own folder or within itself."""
    document = DOCUMENTS[name]
    assert all((ROOT / path).is_file() for path in PATHS.findall(document))
    headings = {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", document, re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^)]*)\)", document):
        path, _, heading = link.partition("#")
        assert (ROOT / name).parent.joinpath(path).exists(), link
        assert not heading or heading in headings, link


def test_every_place_for_a_change_exists() -> None:
    """The files that batcher/README.md names stand where it says, with the names it gives."""
    table = DOCUMENTS["batcher/README.md"].split("## Where to add what")[1]
    for path in re.findall(r"`([\w/]+(?:/|\.py))`", table):
        assert (ROOT / "batcher" / path).exists() or (ROOT / path).exists(), path
    for name, path in re.findall(r"`(\w+)` (?:in|of) `([\w/]+\.py)`", table):
        if name != "formats":  # a key within a table
            assert re.search(rf"^(?:class |def )?{name}\b", source_of(path), re.MULTILINE), name


def source_of(path: str) -> str:
    return (ROOT / "batcher" / path).read_text("utf-8")


def test_the_plan_it_shows_is_the_one_that_is_made(tmp_path: Path) -> None:
    """Word for word, in a copy of the checkout in which nothing has run yet."""
    shown = re.search(
        r"\$ batcher (plan manifests/nightly.toml[^#\n]*)[^\n]*\n(.*?)```", EXAMPLES, re.DOTALL
    )
    assert shown is not None
    for folder in ("manifests", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    said = subprocess.run(
        [sys.executable, "-m", "batcher", *shown[1].split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == shown[2]


# Runs each block as a notebook does, where one may await at the top.
NOTEBOOK = """
import ast, asyncio, inspect, sys, batcher
batcher.run("manifests/extract.toml")
for block in sys.argv[1:]:
    cell = compile(block, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    print("---")
    work = eval(cell, names := {})
    if inspect.iscoroutine(work):
        asyncio.run(work)
"""


def test_the_python_in_it_runs(tmp_path: Path) -> None:
    """In a copy of the checkout: each document is told of, and has its price; what is read of the
    invoices has types.
    """
    pytest.importorskip("duckdb")
    pytest.importorskip("pandas")
    for folder in ("manifests", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    said = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, *re.findall(r"```python\n(.*?)```", EXAMPLES, re.DOTALL)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    _, run, followed, read = said.stdout.split("---\n")
    assert run.count(" saved\n") == run.count(".json ") > 10
    assert followed.endswith("{'saved': 17}\n") and followed.count("\n") > 17
    assert "INV-2026-001" in read and read.endswith("5907.0\n")


def test_the_tables_and_views_it_names_exist(tmp_path: Path) -> None:
    """Those that other tools may rely on."""
    ledger = open_ledger(tmp_path / "ledger.db", batch="b", clock=lambda: 0.0, inline=True)
    views = {
        name
        for (name,) in ledger.reader.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
    }
    ledger.close()
    assert views == {"progress", "failures", "costs", "timeline", "steps"}
    assert all(f"`{name}` (" in EXAMPLES for name in views)
