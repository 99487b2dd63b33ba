"""Completion in bash, zsh and fish: which words are offered, and by what shells ask for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from batcher.cli import main
from batcher.cli.completion import SHELLS, VARIABLE
from batcher.cli.maintenance import CLASSES

ROOT = Path(__file__).parents[2]
OFFERED = {
    "commands": ("batcher stat", ["status"]),
    "options": ("batcher run x --serv", ["--service"]),
    "services": ("batcher run x --service reducto-", ["reducto-eu", "reducto-au"]),
    "services of init": ("batcher init x --service loc", ["local"]),
    "endpoints": ("batcher plan x --endpoint p", ["parse", "pipeline"]),
    "classes of failures": ("batcher retry x --only ", list(CLASSES)),
    "keys": ("batcher run x -S limits.max_c", ["limits.max_credits=", "limits.max_cost="]),
    "values": (
        "batcher run x -S job.queue_priority=",
        [f"job.queue_priority={value}" for value in ("auto", "standard", "batch")],
    ),
    "flags": ("batcher run x -S job.priority=t", ["job.priority=true"]),
    "services by key": ("batcher run x -S service=reducto-e", ["service=reducto-eu"]),
    "the API's options": (
        "batcher run x -S job.options.retrieval.chunking.chunk_mode=se",
        ["job.options.retrieval.chunking.chunk_mode=section"],
    ),
    "the API's options of another endpoint": (
        "batcher run x --endpoint extract -S job.options.instructions.sch",
        ["job.options.instructions.schema="],
    ),
    "keys of one's own": ("batcher run x -S job.metadata.dep", []),
    "shells": ("batcher completion ", list(SHELLS)),
}


def offered(shell: str, line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the shell is answered when Tab is pressed at the end of the line."""
    words = line.split()
    before = [*words, ""] if line.endswith(" ") else words
    place = {
        "bash": str(len(before) - 1),
        "zsh": str(len(before) - 1),
        "fish": before[-1],
    }
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", place[shell])
    kind = get_completion_class(shell)
    assert kind is not None
    completer = kind(main, {}, "batcher", VARIABLE)
    args, incomplete = completer.get_completion_args()
    return [item.value for item in completer.get_completions(args, incomplete)]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_is_offered_the_same_words(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (line, wanted) in OFFERED.items():
        assert offered(shell, line, monkeypatch) == wanted, name


@pytest.mark.parametrize(
    ("shell", "prefix"), [("bash", ""), ("zsh", "--service="), ("fish", "--service=")]
)
def test_a_value_behind_its_options_sign_is_completed(
    shell: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bash replaces what follows the sign, the others the whole word."""
    line = "batcher run x --service=reducto-a"
    assert offered(shell, line, monkeypatch) == [f"{prefix}reducto-au"]


@pytest.mark.parametrize("shell", SHELLS)
def test_its_script_is_printed(shell: str) -> None:
    """It asks by the variable that batcher looks at."""
    script = subprocess.run(
        [sys.executable, "-m", "batcher", "completion", shell], capture_output=True, text=True
    ).stdout
    assert f"{VARIABLE}={shell}_complete" in script


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_a_line(tmp_path: Path) -> None:
    """In a real one, with the words broken at = as bash breaks them."""
    program = tmp_path / "batcher"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m batcher "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(batcher completion bash)"
        press() { COMP_LINE=$1; COMP_POINT=${#1}; COMPREPLY=(); _batcher_completion batcher
                  echo "${COMPREPLY[*]}"; }
        press "batcher run x -S job.queue_priority=b"
        press "batcher run x --service reducto-e"
        press "batcher run 'a folder' -S job.prio"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split("\n") == ["batch", "reducto-eu", "job.priority=", ""], done.stderr


@pytest.mark.parametrize("how", ["completion", "--version", "--help"])
def test_nothing_heavy_is_loaded_for_a_word(how: str) -> None:
    """A person waits at each Tab."""
    code = (
        "import sys, atexit; atexit.register(lambda: print(sorted({'aiohttp', 'asyncio', "
        "'sqlite3', 'sqlite_utils', 'liteparse', 'tqdm'} & set(sys.modules)), file=sys.stderr)); "
        "from batcher.cli import main; main()"
    )
    asked = {"COMP_WORDS": "batcher run x -S job.", "COMP_CWORD": "3", VARIABLE: "zsh_complete"}
    done = subprocess.run(
        [sys.executable, "-c", code, *(() if how == "completion" else (how,))],
        capture_output=True,
        text=True,
        env={**os.environ, **(asked if how == "completion" else {}), "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout
    assert done.stderr == "[]\n"
