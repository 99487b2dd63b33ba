"""What happens to a job when its worker dies, hangs or dawdles: that job fails, the others go on."""

from __future__ import annotations

import pytest
from service_client import PARSER, Client

from batcher.service.local import LocalService, Options


async def test_a_dead_worker_fails_its_own_job_only(client):
    """SUBPROCESS_CRASHED for the one, and a new process for the next."""
    _, dead = await client.parsed(b"die")
    _, alive = await client.parsed(b"alive")
    assert dead["status"] == "Failed" and dead["error"]["name"] == "SUBPROCESS_CRASHED"
    assert alive["status"] == "Completed"


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
    """The wall clock is the service's own limit, and the worker is replaced."""
    options = Options(tmp_path / "service", workers=1, parser=PARSER, job_seconds=1)
    async with LocalService(options, key="secret") as service:
        client = Client(session, service)
        _, late = await client.parsed(f"wait for {tmp_path / 'never'}".encode())
        _, next_one = await client.parsed(b"quick")
    assert late["error"]["name"] == "TIMEOUT" and next_one["status"] == "Completed"


@pytest.mark.parametrize("words", ["hog memory", "burn time"])
async def test_a_greedy_document_hits_the_limits_of_its_process(tmp_path, session, words):
    """Memory and processor time are bounded by the system, whatever the parser does."""
    options = Options(tmp_path / "service", workers=1, parser=PARSER, job_seconds=3)
    async with LocalService(options, key="secret") as service:
        _, answer = await Client(session, service).parsed(words.encode())
    assert answer["error"]["name"] in {"SUBPROCESS_CRASHED", "TIMEOUT"}
