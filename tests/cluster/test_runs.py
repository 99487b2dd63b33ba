"""Batches and services whose documents are read on a cluster, by the commands that people type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from lending import session_of

pytestmark = pytest.mark.timeout(400)  # Ray starts a process for all that is asked of it

DOCUMENTS = 12
SECRET = "canary-3f9c-key-that-nobody-may-see"
PASSWORD = "canary-77aa-password-of-a-document"


def lettered(folder: Path, number: int) -> Path:
    """A folder of so many documents."""
    folder.mkdir()
    for letter in range(number):
        (folder / f"{letter}.txt").write_text(f"letter {letter}")
    return folder


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    return lettered(tmp_path / "letters", DOCUMENTS)


def batcher(*words: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command, with a secret in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "batcher", *map(str, words)],
        env={**os.environ, "REDUCTO_API_KEY": SECRET, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def test_a_batch_is_read_on_the_nodes(cluster, letters: Path, tmp_path: Path):
    """Run, plan --check, status and report say how; the same command has nothing left to do. No
    secret of this machine is in Ray's files, nor any password.
    """
    out = tmp_path / "out"
    on = ("--on", "ray", "-S", f"cluster.address={cluster}", "-S", "cluster.hands=2")
    on += ("-S", "cluster.resources.reading=1")
    options = f'job.options.settings.document_password="{PASSWORD}"'
    checked = batcher("plan", letters, "-o", out, "--check", *on)
    assert checked.returncode == 0, checked.stderr
    assert "cluster: 2 hands on 2 nodes" in checked.stdout
    assert checked.stdout.count(": 1 hand, reads documents where they are") == 2
    ran = batcher("run", letters, "-o", out, *on, "-S", options)
    assert ran.returncode == 0, ran.stderr
    assert f"{DOCUMENTS} saved" in ran.stderr and "  cluster: " in ran.stderr
    status = json.loads(batcher("status", out, "--json").stdout)
    assert sum(node["documents"] for node in status["cluster"]["nodes"]) == DOCUMENTS
    assert all(node["address"].startswith("127.0.") for node in status["cluster"]["nodes"])
    assert batcher("report", out, "-o", tmp_path / "report.html").returncode == 0
    assert "pages a second" in (tmp_path / "report.html").read_text()
    assert batcher("run", letters, "-o", out, *on, "-S", options).returncode == 0
    for path in session_of(cluster).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content and PASSWORD.encode() not in content, path


def test_a_batch_whose_cluster_is_gone_stops_and_goes_on_later(alone, tmp_path: Path):
    """With exit code 3 after the manifest's patience; without the cluster it is read here."""
    letters, out = lettered(tmp_path / "letters", 400), tmp_path / "out"
    on = ("--on", "ray", "-S", f"cluster.address={alone.address}")
    words = ("run", letters, "-o", out, "-S", "service.patience=2")
    command = [sys.executable, "-m", "batcher", *words, *on, "-S", "cluster.hands=1"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        while run.poll() is None and not any(out.glob("*.json")):
            time.sleep(0.01)
    finally:
        alone.end()
    _, said = run.communicate(timeout=100)
    assert run.returncode == 3, said
    assert "the cluster has been gone for" in said and "rerun the same command" in said
    again = batcher(*words)
    assert again.returncode == 0 and "400 saved" in again.stderr, again.stderr
    assert json.loads(batcher("status", out, "--json").stdout)["cluster"] is None


@pytest.mark.parametrize(
    "words, exit_code, said",
    [
        (("-S", "cluster.address=127.0.0.9:1"), 2, "no Ray cluster answers at 127.0.0.9:1"),
        (("-S", "cluster.hand=3"), 2, "cluster.hand: unknown key (did you mean hands?)"),
        (("-S", "cluster.memory=900GB"), 2, "each takes 900.0 GB of memory"),
    ],
)
def test_what_can_t_be_is_told(cluster, letters, tmp_path, words, exit_code, said):
    """Before anything is read, with what to do."""
    on = ("--on", "ray", "-S", f"cluster.address={cluster}")
    ran = batcher("run", letters, "-o", tmp_path / "out", *on, *words)
    assert ran.returncode == exit_code and said in ran.stderr
