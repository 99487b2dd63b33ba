"""Words and numbers of the API, as its description has them, and answers read for what they
hold.
"""

import json
from typing import Any, Final

import msgspec
import pytest

from batcher.reducto import api_types
from batcher.reducto.api_types import JobRow, JobsPage, JobStatus, JobType, Submission, Upload

GB: Final = 1_000_000_000


def test_the_words_of_the_api_are_spelt_as_it_spells_them() -> None:
    """A status, a type or an endpoint that is spelt otherwise would never be met."""
    ended = {"Completed", "Failed", "Cancelled"}
    assert {status.value for status in JobStatus} == {
        "Pending",
        "InProgress",
        "Completing",
        "Idle",
        *ended,
    }
    assert {kind.value for kind in JobType} == {
        "Parse",
        "Extract",
        "Split",
        "Edit",
        "Pipeline",
        "Classify",
        "Chart",
    }
    assert api_types.ENDPOINTS == ("parse", "extract", "split", "pipeline", "classify")
    assert {"extract", "split"} == api_types.READS_JOBS
    assert (api_types.UPLOAD, api_types.JOB) == ("reducto://", "jobid://")
    assert api_types.METADATA_KEY == "batcher"


def test_the_addresses_are_the_vendor_s() -> None:
    """One for each region."""
    assert api_types.SERVICES == {
        "reducto": "https://platform.reducto.ai",
        "reducto-eu": "https://eu.platform.reducto.ai",
        "reducto-au": "https://au.platform.reducto.ai",
    }


def test_the_numbers_are_those_of_its_documentation() -> None:
    """Results are kept half a day, uploads a day; 100 MB go directly, 5 GB by a presigned PUT; 500
    rows make a page.
    """
    assert (api_types.RETENTION, api_types.UPLOAD_RETENTION) == (12 * 3600.0, 24 * 3600.0)
    assert (api_types.DIRECT_UPLOAD_LIMIT, api_types.PRESIGNED_UPLOAD_LIMIT) == (GB / 10, 5 * GB)
    assert api_types.JOBS_PAGE_LIMIT == 500
    assert api_types.UNITS_AT_MOST == 1e12


def test_a_request_is_the_options_with_input_and_async_added() -> None:
    """What the manifest says of either is kept where batcher has nothing to say itself."""
    options = {
        "input": "theirs",
        "k": [1],
        "async": {"webhook": {"mode": "direct"}, "priority": False},
    }
    body = api_types.job_request(
        options, "reducto://x", asynchronous={"priority": True, "metadata": {"a": 1}}
    )
    asynchronous = {"webhook": {"mode": "direct"}, "priority": True, "metadata": {"a": 1}}
    assert json.loads(body) == {"k": [1], "input": "reducto://x", "async": asynchronous}
    assert json.loads(api_types.job_request({}, ["a", "b"], asynchronous={})) == {
        "input": ["a", "b"],
        "async": {},
    }


@pytest.mark.parametrize("file_id", ["", "reducto://"])
def test_an_upload_without_a_name_is_none(file_id: str) -> None:
    """Jobs are found again by it: all of them would mention this one."""
    with pytest.raises(msgspec.ValidationError, match="empty file_id"):
        msgspec.json.decode(json.dumps({"file_id": file_id}), type=Upload)
    said = msgspec.json.decode(b'{"file_id": "reducto://x", "new": 1}', type=Upload)
    assert (said.file_id, said.presigned_url) == ("reducto://x", None)


def test_a_submission_without_a_job_is_none() -> None:
    """Nobody could ask for it."""
    with pytest.raises(msgspec.ValidationError, match="empty job_id"):
        msgspec.json.decode(b'{"job_id": ""}', type=Submission)
    assert msgspec.json.decode(b'{"job_id": "j"}', type=Submission).job_id == "j"


@pytest.mark.parametrize("key", ["raw_config", "source"])
@pytest.mark.parametrize("echo", ["has n-1 in it", {"a": ["n-1"]}, ["n-1"], '{"nonce": "n-1"}'])
def test_a_row_mentions_what_it_echoes_however_it_does(key: str, echo: Any) -> None:
    """The request as text or as JSON, or its source alone."""
    row = JobRow("j", "Completed", **{key: echo})
    assert row.mentions("n-1")
    assert not row.mentions("n-2")
    assert "n-1" in row.text()


def test_a_row_that_echoes_nothing_mentions_nothing() -> None:
    """Not even the word for nothing."""
    row = JobRow("j", "Completed")
    assert not row.mentions("n-1") and not row.mentions("None") and not row.mentions("null")
    assert row.text().strip() == ""


def test_a_page_needs_no_more_than_ids_and_statuses() -> None:
    """Everything else of a row may be missing."""
    page = msgspec.json.decode(b'{"jobs": [{"job_id": "j", "status": "New"}]}', type=JobsPage)
    assert page == JobsPage([JobRow("j", "New")], None)
    assert page.jobs[0].created_at == page.jobs[0].type == ""


def test_a_job_has_ended_with_one_of_three_words() -> None:
    """As the same word, letter by letter."""
    assert [api_types.JobAnswer(s).ended for s in ("Completed", "Failed", "Cancelled")] == [
        True
    ] * 3
    assert not any(
        api_types.JobAnswer(s).ended
        for s in ("Pending", "InProgress", "Completing", "Idle", "", "completed")
    )


def test_an_error_says_nothing_unless_it_does() -> None:
    """A head neither."""
    assert api_types.ErrorDetail() == api_types.ErrorDetail(name="", code=0, message="")
    assert msgspec.json.decode(b"{}", type=api_types.ResultHead).result == msgspec.Raw(b"null")
