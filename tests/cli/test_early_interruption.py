"""Ctrl-C before a run has set up what handles it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from peer import KEY

# as a person who is quick: while the command looks at what it was given
INTERRUPTED = """
import signal, sys
import batcher.manifest.loading as loading
from batcher.cli import main

def interrupted(*words, **more):
    signal.raise_signal(signal.SIGINT)

loading.load = interrupted
sys.argv = ["batcher", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("command", ["run", "plan"])
def test_ctrl_c_in_the_first_second_ends_as_any_signal_does(tmp_path: Path, command: str) -> None:
    """Exit code 3, and words that say what to do; nothing was begun."""
    path = tmp_path / "batch.json"
    path.write_text(json.dumps({"source": {"directory": "."}, "output": {"directory": "out"}}))
    words = [sys.executable, "-c", INTERRUPTED, command, str(path)]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert said.returncode == 3, said.stderr
    assert said.stderr.strip() == "batcher: stopped before anything was begun; run again"
    assert not (tmp_path / "out").exists()


async def test_ctrl_c_after_the_run_does_not_say_that_nothing_was_begun(
    words: tuple[object, ...],
) -> None:
    """While it tells how it ended; its results are on disk by then."""
    code = INTERRUPTED.replace("manifest.loading as loading", "cli.running as loading")
    code = code.replace("loading.load", "loading.tell")
    environment = {**os.environ, "REDUCTO_API_KEY": KEY}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *map(str, words)),
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    _, said = await process.communicate()
    assert process.returncode == 3, said
    assert said.decode().strip().endswith("batcher: stopped; run again")
