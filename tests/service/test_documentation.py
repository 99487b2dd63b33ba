"""What its README says of the local service is so."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from batcher.reducto.api_types import LOCAL_TYPES, JobType
from batcher.service.faults import FAULTS
from batcher.service.unserved import BY_KIND, UNSERVED

ROOT = Path(__file__).parents[2]
README = (ROOT / "batcher" / "service" / "README.md").read_text()
SCRIPT = ROOT / "examples" / "serve" / "someone_elses_script.py"
SAME = {"jpeg": "jpg", "tif": "tiff", "htm": "html", "markdown": "md"}


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_readme_tells_every_fault() -> None:
    """Each by its name, in the table of what can be ordered."""
    table = [line for line in section(README, "Faults").splitlines() if line[:3] == "| `"]
    assert set(
        re.findall(r"`([a-z0-9-]+)`", " ".join(line.split("|")[1] for line in table))
    ) == set(FAULTS)


def test_the_table_of_types_is_whole() -> None:
    """Every type that is read stands in it, some by another name of the same."""
    table = [line for line in section(README, "What it reads").splitlines() if line[:1] == "|"]
    named = set(re.findall(r"`([a-z]+)`", " ".join(table)))
    assert {SAME.get(name, name) for name in LOCAL_TYPES} == named - {"ocr"}


def test_what_is_not_honoured_is_documented() -> None:
    """Every setting that an answer may name in `usage.not_served`, by its own name or that of its
    group.
    """
    table = section(README, "What it doesn't do")
    for path in (*UNSERVED[JobType.PARSE], *BY_KIND):
        group, _, name = path.rpartition(".")
        assert f"{group}.*" in table or f"{name}`" in table, path


async def test_someone_else_s_script_works(client, tmp_path) -> None:
    """With two environment variables; its parser here reads plain text."""
    (tmp_path / "letter.txt").write_text("Dear reader")
    where = {"REDUCTO_BASE_URL": client.service.url, "REDUCTO_API_KEY": "secret"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        SCRIPT,
        tmp_path / "letter.txt",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **where},
    )
    out, _ = await process.communicate()
    assert process.returncode == 0 and out.decode() == "Dear reader\n"
