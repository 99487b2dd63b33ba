"""The vendor's own command line works against the local service, changed in nothing but its base
URL.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "reducto"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


@pytest.fixture
def reducto(client, tmp_path) -> Callable[..., Awaitable[Said]]:
    """`reducto …`, at home in an empty folder."""
    (tmp_path / "home").mkdir()
    where = {
        "HOME": str(tmp_path / "home"),
        "REDUCTO_API_KEY": "secret",
        "REDUCTO_BASE_URL": client.service.url,
    }

    async def run(*words: str, given: str = "") -> Said:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, **where},
        )
        out, err = await process.communicate(given.encode())
        return Said(process.returncode or 0, out.decode(), err.decode())

    return run


@pytest.fixture
def letter(tmp_path) -> str:
    (tmp_path / "letter.txt").write_text("Dear reader")
    return "letter.txt"


async def test_a_folder_is_parsed_in_parallel(reducto, tmp_path):
    """Each document to a file of its own."""
    for name in ("a", "b", "c"):
        (tmp_path / "inbox" / f"{name}.txt").parent.mkdir(exist_ok=True)
        (tmp_path / "inbox" / f"{name}.txt").write_text(f"letter {name}")
    said = await reducto("parse", "inbox", "--out-dir", "out", "-j", "3")
    assert said.code == 0, said.err
    assert {path.read_text().strip() for path in (tmp_path / "out").iterdir()} == {
        f"letter {n}" for n in "abc"
    }


async def test_a_parse_prints_its_whole_answer(reducto, letter):
    """As JSON, results by address already brought home."""
    said = await reducto("parse", letter, "-o", "json", "-S", "settings.force_url_result=true")
    assert (
        said.json["result"]["chunks"][0]["content"] == "Dear reader"
        and said.json["usage"]["num_pages"] == 1
    )


async def test_a_submitted_job_is_collected_later(reducto, letter):
    """`--async` prints a handle; `job --wait` makes the result of it."""
    handle = (await reducto("parse", letter, "--async")).out.strip()
    assert handle.startswith("jobid://")
    said = await reducto("job", "-", "--wait", "-o", "json", given=handle)
    assert said.json["result"]["chunks"][0]["content"] == "Dear reader"
    assert "Completed" in (await reducto("job", handle, "--status")).out


async def test_a_job_tells_the_request_it_ran_with(reducto, letter):
    """So that another document can be read likewise."""
    handle = (await reducto("parse", letter, "-o", "id", "--chunk", "page")).out.strip()
    config = (await reducto("job", handle, "--config")).json
    assert config["retrieval"]["chunking"]["chunk_mode"] == "page" and config["input"].startswith(
        "reducto://"
    )


async def test_a_parse_is_read_again_by_its_job(reducto, letter):
    """`jobid://` as input, which costs nothing."""
    handle = (await reducto("parse", letter, "-o", "id")).out.strip()
    assert (await reducto("parse", "-", given=handle)).out.strip() == "Dear reader"


async def test_jobs_are_listed_cancelled_and_deleted(reducto, letter):
    """The housekeeping."""
    handle = (await reducto("parse", letter, "-o", "id")).out.strip()
    assert handle.removeprefix("jobid://") in (await reducto("jobs", "-o", "json")).out
    assert (await reducto("cancel", handle)).code == 0
    assert (await reducto("job", handle, "--delete")).code == 0
    gone = await reducto("job", handle)
    assert gone.code != 0 and "JOB_DELET" in gone.err


INVOICE = """Invoice A-7

Total due: 120.50
"""


@pytest.fixture
def invoice(tmp_path) -> str:
    (tmp_path / "invoice.txt").write_text(INVOICE)
    return "invoice.txt"


async def test_fields_are_extracted(reducto, invoice):
    """By a quick schema, from a file and from an earlier parse."""
    handle = (await reducto("parse", invoice, "-o", "id")).out.strip()
    for source in (invoice, handle):
        said = await reducto("extract", source, "-f", "total_due:number", "-o", "payload")
        assert said.code == 0, said.err
        assert said.json == {"total_due": 120.5}


async def test_a_document_is_split_and_classified(reducto, invoice):
    """By descriptions that share its words."""
    split = await reducto("split", invoice, "-C", "invoices=Invoice with a total due", "-o", "json")
    assert split.json["result"]["splits"][0]["pages"] == [1]
    schema = json.dumps(
        [{"category": "invoice", "criteria": ["has an invoice number and a total due"]}]
    )
    said = await reducto("classify", invoice, "-S", f"classification_schema={schema}", "-o", "json")
    assert said.json["result"]["category"] == "invoice"


async def test_an_upload_prints_its_handle(reducto, letter):
    """Uploaded once, parsed from there."""
    handle = (await reducto("upload", letter, "-q")).out.strip()
    assert (
        handle.startswith("reducto://")
        and (await reducto("parse", handle)).out.strip() == "Dear reader"
    )


async def test_failures_are_told_by_name(reducto, tmp_path):
    """A broken document, and what isn't served here."""
    (tmp_path / "broken.txt").write_text("refuse")
    broken = await reducto("parse", "broken.txt")
    edit = await reducto("edit", "broken.txt", "-i", "Name: Ada")
    assert broken.code != 0 and "DOCUMENT_CORRUPT" in broken.err
    assert edit.code != 0 and "INVALID_CONFIG" in edit.err and "not served" in edit.err


async def test_it_tells_both_versions(reducto):
    """Its own, and the service's."""
    assert "-local" in (await reducto("version")).out
