"""The files in examples/docker, as far as they can be tried without Docker."""

from __future__ import annotations

import asyncio
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from commandline import batcher, rows, start
from ruamel.yaml import YAML

from batcher.cli import main

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "docker"
DOCKERFILE = (FOLDER / "Dockerfile").read_text("utf-8")
COMPOSE = YAML(typ="safe", pure=True).load((FOLDER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def steps(word: str) -> list[str]:
    """Return what follows each instruction of that name, its lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{word} (.*)$", joined, re.MULTILINE)


def test_the_image_copies_what_a_wheel_is_built_of() -> None:
    """Each path exists, is let through by the ignore file, and none that the build needs lacks."""
    copied = {
        path
        for step in steps("COPY")
        if not step.startswith("--from")
        for path in step.split()[:-1]
    }
    assert all((ROOT / path).exists() for path in copied)
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    project = PROJECT["project"]
    needed = {*wheel["packages"], *wheel["force-include"], project["readme"]}
    needed |= {"pyproject.toml", *project["license-files"]}
    assert copied == needed
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert {line[1:] for line in ignored if line[0] == "!"} == needed


def test_the_image_is_of_a_python_and_of_extras_that_there_are() -> None:
    """It ends as a user without rights, with Tesseract, and begins with batcher."""
    for image in steps("FROM"):
        version = re.match(r"python:(3\.\d+)-slim", image)
        assert version is not None
        assert (
            f"Programming Language :: Python :: {version[1]}" in PROJECT["project"]["classifiers"]
        )
    extras = re.search(r"'\.\[([\w,]+)\]'", DOCKERFILE)
    assert extras is not None
    assert set(extras[1].split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    assert steps("USER") == ["10001:10001"]
    assert "tesseract-ocr" in steps("RUN")[-1]
    assert steps("ENTRYPOINT") == ['["batcher"]']


@pytest.mark.parametrize("name", SERVICES)
def test_each_command_of_the_compose_file_is_one(name: str) -> None:
    """With options that exist, and with paths that are mounted or made by the image."""
    command, *words = SERVICES[name]["command"]
    main.commands[command].make_context(command, list(words))
    mounted = {volume.split(":")[1] for volume in SERVICES[name]["volumes"]}
    assert {word for word in words if word.startswith("/")} == mounted
    made = re.search(r"install -d -o batcher -g batcher ([/\w ]+)", DOCKERFILE)
    assert made is not None and mounted <= set(made[1].split())


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_can_write_to_its_volumes_alone(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"][0].startswith("/tmp:")
    assert service["build"]["dockerfile"] == str((FOLDER / "Dockerfile").relative_to(ROOT))
    assert (FOLDER / service["build"]["context"]).resolve() == ROOT
    named = {v.split(":")[0] for v in service["volumes"] if not v.startswith(".")}
    assert named <= set(COMPOSE["volumes"])


def test_the_commands_in_its_comments_are_some() -> None:
    """After `docker compose run --rm [--no-deps] run` or the name of the image."""
    said = (FOLDER / "compose.yaml").read_text("utf-8") + DOCKERFILE
    typed = re.findall(
        r"^#   docker (?:compose run [-\w ]*? run|run --rm reducto-batcher) (\w+) (.*)", said, re.M
    )
    assert [command for command, _ in typed] == ["status", "run", "demo"]
    for command, words in typed:
        main.commands[command].make_context(command, words.split())


async def ends(words: list[str]) -> int:
    """Return the exit code of a process whose words are of no interest."""
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


async def test_the_service_is_healthy_and_the_run_beside_it_saves(
    tmp_path: Path, inbox: Path, unused_tcp_port: int
) -> None:
    """The compose file's own commands, on this machine's paths and with its name for itself."""
    port = str(unused_tcp_port)
    here = {"/data": tmp_path / "data", "/inbox": inbox, "/results": tmp_path / "results"}
    here |= {
        "8080": port,
        "0.0.0.0": "127.0.0.1",
        "http://service:8080": f"http://127.0.0.1:{port}",
    }

    def command(name: str) -> list[object]:
        return [here.get(word, word) for word in SERVICES[name]["command"]]

    health = SERVICES["service"]["healthcheck"]["test"]
    assert health[:3] == ["CMD", "python", "-c"]
    probe = [sys.executable, "-c", health[3].replace(":8080/", f":{port}/")]
    assert await ends(probe) != 0
    serving = await start(*command("service"))
    try:
        assert serving.stdout is not None
        await asyncio.wait_for(serving.stdout.readline(), 60)
        assert await ends(probe) == 0
        said = await batcher(*command("run"))
        assert said.code == 0, said.err
    finally:
        serving.terminate()
        await serving.communicate()
    assert rows(tmp_path / "results", "SELECT state, count(*) FROM documents GROUP BY 1") == [
        ("saved", 6)
    ]
