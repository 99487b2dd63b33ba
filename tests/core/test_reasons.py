"""Reasons name no id of their own document, so that those of one kind are one group."""

import pytest

from batcher.core.events import Cleaned, Expired, Rejected
from batcher.core.reasons import alike, error_name_in, unnamed, without

JOB = "0f6f8f4e-6f2a-4a53-9a53-2a3df1c1f0aa"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (f"GET /job/{JOB}: 404 NOT_FOUND Job not found", "GET /job/…: 404 NOT_FOUND Job not found"),
        (f"Job {JOB}, or jobid://{JOB}, is gone", "Job …, or …, is gone"),
        (f"'{JOB}' is gone", "'…' is gone"),
    ],
)
def test_a_job_s_own_id_stands_in_no_reason(words: str, told: str) -> None:
    """As part of a call, as a word, and as the address of a result."""
    assert without(words, f"jobid://{JOB}") == told


def test_an_upload_s_own_id_stands_in_no_reason() -> None:
    """With its scheme or without, with its extension or without."""
    words = "reducto://ab12cd34.pdf isn't there; ab12cd34.pdf; ab12cd34"
    assert without(words, "reducto://ab12cd34.pdf") == "… isn't there; …; …"


def test_other_words_stay_as_they_are() -> None:
    """A longer word that begins with the id, an address, and an id so short that it may mean
    something else.
    """
    assert without("ab12cd345 of 12", "ab12cd34", "12") == "ab12cd345 of 12"
    assert (
        without("https://example.org/a.pdf", "https://example.org/a.pdf")
        == "https://example.org/a.pdf"
    )


def test_an_event_keeps_all_but_the_id() -> None:
    """One without a reason is left alone."""
    assert unnamed(Expired(1, f"no job {JOB}"), JOB) == Expired(1, "no job …")
    assert unnamed(Rejected(1, "no", kind="document"), JOB) == Rejected(1, "no", kind="document")
    assert unnamed(Cleaned(1, 0.0), JOB) == Cleaned(1, 0.0)


def test_ids_of_requests_tell_no_reasons_apart() -> None:
    """For comparing only: the service's people may want to know them."""
    other = JOB.replace("0f", "1e")
    assert alike(f"INTERNAL_ERROR: request {JOB}") == alike(f"INTERNAL_ERROR: request {other}")
    assert alike("trace 00f067aa0ba902b7") == alike("trace 10f067aa0ba902b7")
    assert alike("page 12 of 1234567890123456") != alike("page 13 of 1234567890123457")


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("DOCUMENT_CORRUPT: why", "DOCUMENT_CORRUPT"),
        ("JOB_STATE_ERROR", "JOB_STATE_ERROR"),
        ("A_NAME_OF_TOMORROW: why", "A_NAME_OF_TOMORROW"),
        ("POST /parse_async: 415 DOCUMENT_UNSUPPORTED no reader", "DOCUMENT_UNSUPPORTED"),
        ("GET /job/…: 404 NOT_FOUND", "NOT_FOUND"),
        ("the same document failed: TIMEOUT: why", "TIMEOUT"),
        ("extract blocked: parse failed: TIMEOUT: why", "TIMEOUT"),
        ("POST /parse_async: 413 Payload too large", ""),
        ("POST /parse_async: 400 A_NAME unknown to the API", ""),
        ("UNNAMED: why", ""),
        ("PDF of 0 bytes", ""),
        ("proven absent 3 times: its submissions never arrive", ""),
        ("", ""),
    ],
)
def test_the_name_of_an_older_failure_is_read_from_its_words(reason: str, name: str) -> None:
    """Of a job's failure, of a refused call, and of whoever shares either."""
    assert error_name_in(reason) == name
