"""What `batcher serve` can be told: all of it in one table, each word of it understood."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import click
import pytest
from click.testing import CliRunner

from batcher.cli import main
from batcher.service import __main__ as embedded
from batcher.service.arguments import FAULT_NAMES, OPTIONS, options_of, service_options
from batcher.service.faults import FAULTS

ROOT = Path(__file__).parents[2]
SECRET = "whsec_c2VjcmV0IG9mIGEgd2ViaG9vaw=="


def told(*words: str) -> dict:
    @click.command()
    @service_options
    def ask(**words):
        return options_of(words)

    return ask.main(list(words), standalone_mode=False)


def test_both_doors_take_the_same_words() -> None:
    """The command and the embedded process differ in nothing but how they are held."""
    doors = [
        {parameter.name for parameter in door.params}
        for door in (main.commands["serve"], embedded.main)
    ]
    assert doors[1] - doors[0] == {"embedded"} and len(doors[0]) == len(OPTIONS)


def test_every_fault_stands_in_the_help() -> None:
    """Named where it is ordered."""
    assert FAULT_NAMES.split() == list(FAULTS)
    said = " ".join(
        CliRunner().invoke(main, ["serve", "--help"], terminal_width=2000).output.split()
    )
    assert FAULT_NAMES in said


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "99999"),
        ("--port", "-1"),
        ("--workers", "-1"),
        ("--retention", "0"),
        ("--retention", "soon"),
        ("--capacity", "0"),
        ("--capacity", "nan"),
        ("--capacity", "inf"),
        ("--hand-cpus", "nan"),
        ("--hand-memory", "9" * 400),
        ("--hand-resource", f"ocr={'9' * 400}"),
        ("--chaos", "reset=nan"),
        ("--chaos", "slow=1:nan"),
        ("--chaos", "limit-1000=inf"),
        ("--retention", "9" * 400),
        ("--retention", "3651d"),
        ("--workers", "99999999999"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(words: tuple[str, ...]) -> None:
    """A service that nobody can reach, without workers, that forgets at once, and no numbers."""
    said = CliRunner().invoke(main, ["serve", *words])
    assert said.exit_code == 2 and words[0] in said.output
    assert "Traceback" not in said.output and not isinstance(said.exception, OverflowError)


def test_spans_and_faults_are_read() -> None:
    """As people write them."""
    options = told(
        "--retention",
        "30m",
        "--chaos",
        "slow=0.5:2,reset",
        "--seed",
        "7",
        "--allow-urls",
        "--capacity",
        "0.5",
    )
    assert options.capacity == 0.5
    assert options.retention == 1800 and options.seed == 7 and options.reach.urls
    assert options.chaos["slow"].seconds == 2 and options.chaos["reset"].rate == 1


def test_a_webhook_names_its_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind `#`; without any it hears all of them."""
    monkeypatch.setenv("BATCHER_WEBHOOK_SECRET", SECRET)
    first, second = told("--webhook", "http://a/#blue,red", "--webhook", "http://b/").webhooks
    assert (first.url, first.channels) == ("http://a/", {"blue", "red"}) and not second.channels


def test_a_model_has_a_name_and_perhaps_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The key comes from a variable and is shown nowhere; pipelines are found from anywhere."""
    monkeypatch.setenv("MODEL_KEY", "hush")
    monkeypatch.chdir(tmp_path)
    words = (
        "--llm-url",
        "http://a/v1",
        "--llm-model",
        "tiny",
        "--llm-key-env",
        "MODEL_KEY",
        "--pipelines",
        ".",
    )
    options = told(*words)
    assert (options.model.address, options.model.name) == ("http://a/v1/chat/completions", "tiny")
    assert (
        options.model.key == "hush"
        and "hush" not in repr(options)
        and options.pipelines == tmp_path
    )
    assert told().model is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--retention", "soon"], "write 45s, 30m or 12h"),
        (["--chaos", "stick=1"], "did you mean 'stuck'?"),
        (["--webhook", "http://a/"], "BATCHER_WEBHOOK_SECRET"),
        (["--llm-url", "localhost:11434"], "is no http(s) address"),
        (["--llm-url", "http://a", "--llm-key-env", "NOT_THERE"], "NOT_THERE"),
        (["--pipelines", "nowhere"], "does not exist"),
    ],
)
def test_what_is_not_understood_is_said(words: list[str], said: str) -> None:
    """What, and what to write instead; exit code 2."""
    done = CliRunner().invoke(main, ["serve", *words])
    assert done.exit_code == 2 and said in done.output


@contextlib.asynccontextmanager
async def serving(*words: str) -> AsyncIterator[str]:
    """`batcher serve` as anyone starts it, and its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "batcher",
        "serve",
        "--workers",
        "1",
        *words,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "REDUCTO_API_KEY": "secret"},
    )
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_a_served_service_tells_its_faults(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Started by the command, it makes what was ordered and accounts for it."""
    async with serving("--data-dir", str(tmp_path), "--chaos", "429-1000=1", "--seed", "3") as url:
        async with session.get(f"{url}/jobs") as refused:
            assert refused.status == 429
        async with session.get(f"{url}/__chaos") as account:
            told = await account.json()
    assert told["seed"] == 3 and told["done"] == {"429-1000": 1}


async def test_other_names_are_answered_to_when_allowed(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """A Host header nobody allowed is refused, whatever key comes with it."""
    async with serving("--data-dir", str(tmp_path), "--allow-host", "twin.test") as url:
        statuses = []
        for host in ("twin.test:8080", "evil.test"):
            async with session.get(f"{url}/version", headers={"Host": host}) as answer:
                statuses.append(answer.status)
    assert statuses == [200, 403]
