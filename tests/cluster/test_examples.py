"""The files in examples/cluster, as far as they can be tried without what they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from batcher.cli import main

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "cluster"
SCRIPTS = ("job.sh", "slurm.sh")
FILES = (*SCRIPTS, "rayjob.yaml", "compose.yaml")


def text(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def documents(name: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load_all(text(name)))


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_of_the_shell_s_grammar(name: str) -> None:
    """Each by the shell that its first line names."""
    shell = text(name).partition("\n")[0].rpartition("/")[2]
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    subprocess.run([shell, "-n", FOLDER / name], check=True)


@pytest.mark.parametrize("name", FILES)
def test_each_says_when_not_to_and_what_runs_there(name: str) -> None:
    """A pointer to the table, that versions are the same, that Ray runs anyone's code, and where
    passwords go.
    """
    head = "\n".join(line for line in text(name).splitlines() if line.startswith("#"))
    assert "README.md" in head and ("Not for" in head or "never for" in head)
    assert re.search(r"same\s.*versions?|same on every|of one version", head)
    assert re.search(r"runs\s(# )?anyone's code", head)
    assert "Passwords of documents reach the" in head


@pytest.mark.parametrize("name", (*FILES, "README.md"))
def test_commands_and_their_options_are_there(name: str) -> None:
    """Every `batcher …` is a command, and each of its long options one of that command's."""
    found = re.findall(r"^[^#]*?\bbatcher ((?:plan|run|serve|rebuild)\b[^`\n]*)", text(name), re.M)
    assert found
    for line in found:
        command, *words = line.split()
        options = {
            option for param in main.commands[command].params for option in (param.opts or [])
        }
        for word in words:
            if word.startswith("#"):
                break
            assert not word.startswith("--") or word.partition("=")[0] in options, word


def test_kubernetes_gives_the_ledger_to_one_pod() -> None:
    """The head's, by a volume that only one pod may mount; a second submission isn't Ray's."""
    claim, job = documents("rayjob.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert job["spec"]["backoffLimit"] == 0
    cluster = job["spec"]["rayClusterSpec"]
    volumes = cluster["headGroupSpec"]["template"]["spec"]["volumes"]
    assert volumes[0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    for group in cluster["workerGroupSpecs"]:
        assert "volumes" not in group["template"]["spec"]


def test_one_ray_is_named_everywhere() -> None:
    """The image's is KubeRay's, and one that the extra takes."""
    pinned = re.search(r"ray\[default\]==([\d.]+)", text("Dockerfile"))
    assert pinned is not None
    assert documents("rayjob.yaml")[1]["spec"]["rayClusterSpec"]["rayVersion"] == pinned[1]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    lowest = extras["ray"][0].partition(">=")[2]
    assert [*map(int, pinned[1].split("."))] >= [*map(int, lowest.split("."))]


def test_the_nodes_of_compose_are_closed_to_the_outside() -> None:
    """They have no port, no rights, and a network of their own."""
    (compose,) = documents("compose.yaml")
    assert compose["networks"]["cluster"]["internal"] is True
    for service in compose["services"].values():
        assert service["networks"] == ["cluster"] and "ports" not in service
        assert service["cap_drop"] == ["ALL"]
