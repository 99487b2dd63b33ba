"""How a batch begins: the manifest that `init` writes, the ones that lie beside the code, and the
help.
"""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from commandline import batcher

from batcher.cli import main
from batcher.maintenance.demo import copy_demo
from batcher.manifest.loading import load

ROOT = Path(__file__).parents[2]


def begin(tmp_path: Path, *words: str, answers: str = "") -> tuple[Path, str]:
    path = tmp_path / "batch.toml"
    (tmp_path / "inbox").mkdir(exist_ok=True)
    said = CliRunner().invoke(main, ["init", str(path), *words], input=answers)
    assert said.exit_code == 0, said.output
    return path, said.output


@pytest.mark.parametrize("endpoint", ["parse", "extract", "split", "classify", "pipeline"])
def test_what_init_writes_is_a_manifest(endpoint: str, tmp_path: Path) -> None:
    """Read without a problem, for each endpoint, with what it can't do without."""
    path, _ = begin(tmp_path, "--endpoint", endpoint, "--service", "reducto", "--format", "parquet")
    manifest = load(path)
    assert (manifest.batch, manifest.jobs[0].endpoint, manifest.service.name) == (
        "batch",
        endpoint,
        "reducto",
    )
    assert manifest.output.formats == ("json", "parquet")
    wanted = {
        "extract": "instructions",
        "split": "split_description",
        "classify": "classification_schema",
    }
    assert wanted.get(endpoint, "pipeline_id") in manifest.jobs[0].options or endpoint == "parse"


def test_each_line_that_is_a_comment_could_be_set(tmp_path: Path) -> None:
    """Without its #, every suggestion is read too."""
    path, _ = begin(tmp_path, "--service", "reducto")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(re.sub(r"^# (?=\[|\w+ = )", "", line) for line in lines))
    manifest = load(path)
    assert (
        manifest.limits.max_documents == 5000
        and manifest.notify is not None
        and manifest.webhook is not None
    )


def test_it_asks_for_what_no_flag_says(tmp_path: Path) -> None:
    """An empty answer takes what stands in brackets."""
    (tmp_path / "letters").mkdir()
    path, said = begin(
        tmp_path, "--ask", "--endpoint", "extract", answers="./letters\n\nreducto-eu\n"
    )
    manifest = load(path)
    assert [source.directory for source in manifest.sources] == [tmp_path / "letters"]
    assert manifest.output.directory == tmp_path / "results"
    assert manifest.service.name == "reducto-eu"
    assert "What is to be done" not in said


def test_a_service_of_ones_own_is_an_address(tmp_path: Path) -> None:
    """A URL becomes a table."""
    path, _ = begin(tmp_path, "--service", "http://127.0.0.1:8001")
    assert load(path).service.url == "http://127.0.0.1:8001"


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    """Exit code 2, before anything is asked."""
    (tmp_path / "batch.toml").write_text("mine")
    said = CliRunner().invoke(main, ["init", str(tmp_path / "batch.toml"), "--ask"])
    assert said.exit_code == 2 and "is there already" in said.output
    assert (tmp_path / "batch.toml").read_text() == "mine"


@contextmanager
def files_of_one_kilobyte() -> Iterator[None]:
    """The largest file that may be written: as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_nothing_is_left_of_a_manifest_that_could_not_be_written(tmp_path: Path) -> None:
    """Exit 3, and the same command does once there is room."""
    path = tmp_path / "full" / "batch.toml"
    path.parent.mkdir()
    begin(tmp_path)  # which imports, and so compiles, what is needed
    with files_of_one_kilobyte():
        full = CliRunner().invoke(main, ["init", str(path)])
    assert (full.exit_code, path.exists()) == (3, False), full.output
    assert "Make room on that disk" in full.output and str(path) in full.output
    assert CliRunner().invoke(main, ["init", str(path)]).exit_code == 0


def test_nothing_is_left_of_a_demo_that_could_not_be_copied(tmp_path: Path) -> None:
    """The folder is no obstacle to the next one."""
    with files_of_one_kilobyte(), pytest.raises(OSError, match="too large"):
        copy_demo(tmp_path / "demo")
    assert list(tmp_path.glob("demo/*")) == []
    assert load(copy_demo(tmp_path / "demo")).batch


@pytest.mark.parametrize("command", [("init",), ("demo", "-o")])
async def test_a_place_that_is_no_good_is_told_with_what_to_do(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    """Exit 2: a file where a folder was to be, and for a manifest a folder that isn't there."""
    (tmp_path / "file").write_text("")
    said = await batcher(*command, tmp_path / "file" / "new")
    assert (said.code, "name a place that you may write to" in said.err) == (2, True), said.err
    if command == ("init",):
        said = await batcher("init", tmp_path / "no dir" / "x.toml")
        assert (said.code, f"mkdir -p '{tmp_path}/no dir'" in said.err) == (2, True), said.err


@pytest.mark.parametrize(
    "path", sorted((ROOT / "manifests").glob("*.toml")), ids=lambda path: path.stem
)
def test_each_manifest_beside_the_code_can_be_planned(path: Path, tmp_path: Path) -> None:
    """With documents to send, and nothing made."""
    out = json.dumps(str(tmp_path / "out"))
    said = CliRunner().invoke(main, ["plan", str(path), "-S", f"output.directory={out}", "--json"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["to_send"] > 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", sorted(main.commands))
def test_each_command_explains_itself(name: str) -> None:
    """What it does in a sentence, and how it is typed."""
    said = CliRunner().invoke(main, [name, "--help"])
    assert said.exit_code == 0
    command = main.commands[name]
    assert command.help and command.help.splitlines()[0].endswith(".")
    assert re.search(rf"^\s+batcher {name}\b", said.output, re.MULTILINE), said.output


def test_the_list_of_commands_cuts_no_word_off() -> None:
    """On the narrowest of usual terminals."""
    said = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    assert "..." not in said.partition("Commands:")[2]
