"""What happens to a job when its worker dies, hangs or dawdles: that job fails, the others go
on.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from service_client import PARSER, Client

from batcher.reducto.error_rules import RULES, ErrorClass
from batcher.service.local import LocalOptions, LocalService


async def test_a_dead_worker_fails_its_own_job_only(client):
    """The document's own fault once it has ended two of them, and a new process for the next."""
    _, dead = await client.parsed(b"die")
    _, alive = await client.parsed(b"alive")
    assert dead["status"] == "Failed" and dead["error"]["name"] == "DOCUMENT_CORRUPT"
    assert alive["status"] == "Completed"


async def test_a_death_from_outside_is_nobody_s_fault(client, tmp_path):
    """The document is read again by a new process."""
    _, answer = await client.parsed(f"die once {tmp_path / 'mark'}".encode())
    assert answer["status"] == "Completed"


@pytest.mark.parametrize("words", ["stumble", "half a character", "endless message", "too deep"])
async def test_what_a_reader_stumbles_over_is_the_document_s_own_fault(client, words):
    """Another try would end the same way, and must not be recommended; the next document is read as
    ever.
    """
    _, answer = await client.parsed(words.encode())
    assert (
        answer["error"]["name"] == "DOCUMENT_CORRUPT"
        and RULES[answer["error"]["name"]].kind is ErrorClass.DOCUMENT
    )
    assert (await client.parsed(b"alive"))[1]["status"] == "Completed"


async def test_a_reason_names_no_file_of_the_service_s(client):
    """The same trouble has the same words for each document, so that it can be counted."""
    reasons = {(await client.parsed(b"name the file"))[1]["reason"] for _ in range(2)}
    assert len(reasons) == 1 and str(client.service.options.data_dir) not in reasons.pop()


async def test_a_disk_that_refuses_is_not_the_document_s_fault(client):
    """Another try may find room."""
    _, answer = await client.parsed(b"full disk")
    assert answer["error"]["name"] == "SERVICE_UNAVAILABLE"


async def test_a_worker_that_can_t_start_is_not_the_document_s_fault(tmp_path, session):
    """It has seen no document."""
    options = LocalOptions(tmp_path / "service", workers=1, parser="no_such_parser")
    async with LocalService(options, key="secret") as service:
        _, answer = await Client(session, service).parsed(b"x")
    assert answer["error"]["name"] == "SERVICE_UNAVAILABLE"


async def test_a_library_that_talks_to_the_terminal_is_not_heard(capfd, client):
    """OCR tells of every empty page: in the middle of somebody's progress bar, were it let."""
    _, answer = await client.parsed(b"shout")
    assert answer["status"] == "Completed"
    assert "own words" not in "".join(capfd.readouterr())


async def test_a_caller_s_own_timeout_is_his_fault(client, tmp_path):
    """`settings.timeout` ends the work with CUSTOMER_TIMEOUT."""
    never = f"wait for {tmp_path / 'never'}".encode()
    _, answer = await client.parsed(never, settings={"timeout": 0.05})
    assert answer["error"]["name"] == "CUSTOMER_TIMEOUT"


async def test_a_document_that_takes_too_long_times_out(tmp_path, session):
    """By the clock, though it does nothing; the worker is replaced."""
    options = LocalOptions(tmp_path / "service", workers=1, parser=PARSER, job_seconds=1)
    async with LocalService(options, key="secret") as service:
        client = Client(session, service)
        _, late = await client.parsed(f"wait for {tmp_path / 'never'}".encode())
        _, next_one = await client.parsed(b"quick")
    assert late["error"]["name"] == "TIMEOUT" and next_one["status"] == "Completed"


@pytest.mark.parametrize("words", ["hog memory", "hog memory in a library", "burn time"])
async def test_a_greedy_document_hits_the_limits_of_its_process(
    tmp_path, session, words, monkeypatch
):
    """Memory and processor time are bounded by the system, whatever the parser does: it is too
    large, and says so.
    """
    monkeypatch.setattr("batcher.service.job_runner.BY_THE_CLOCK", 20)
    options = LocalOptions(tmp_path / "service", workers=1, parser=PARSER, job_seconds=3)
    async with LocalService(options, key="secret") as service:
        _, answer = await Client(session, service).parsed(words.encode())
    assert answer["error"]["name"] == "DOCUMENT_TOO_LARGE"


def test_a_worker_starts_without_what_only_a_service_needs():
    """It has no event loop and no socket, and is started again for each document that ends one."""
    code = (
        "import sys, batcher.service.worker, batcher.service.parsing; "
        "print(sorted({'asyncio', 'aiohttp', 'sqlite3', 'ssl'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
