"""What is read out of an answer, and what is told of it: a result, a link to one, or nothing to
rely on.
"""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from batcher.core.events import Event
from batcher.core.inflight import InFlightJob, outcome_event
from batcher.core.retry_policy import Policy
from batcher.errors import BadReply
from batcher.reducto.api_types import ENDED, JobAnswer, JobStatus
from batcher.reducto.responses import (
    NOT_SERVED_AT_MOST,
    RETRY_AFTER_AT_MOST,
    around,
    is_about,
    read_head,
    read_job,
    read_jobs,
    retry_after,
)
from batcher.reducto.result_links import Asked, asked

LINK = {"type": "url", "url": "https://storage.example/x", "result_id": "r"}
AUTHORS = {"type": "url", "url": "https://attacker.example/x"}


def result(inner: Any, kind: str = "parse", **more: Any) -> bytes:
    return json.dumps(
        {"job_id": "j", "response_type": kind, "usage": {"num_pages": 1}, "result": inner, **more}
    ).encode()


def url(inner: Any, kind: str, was_asked: Asked = Asked()) -> str | None:  # noqa: B008 (frozen)
    return read_head(result(inner, kind), "j", lambda: was_asked).url


@pytest.mark.parametrize("kind", ["parse", "split", "classify", "extract", "v3_extract", ""])
def test_a_link_as_the_api_describes_it_is_followed(kind: str) -> None:
    """Of every endpoint that may answer with one, and where an old result doesn't say which it
    was.
    """
    assert url(LINK, kind) == LINK["url"]


def test_a_pipeline_is_never_a_link() -> None:
    """The API's description has none there."""
    assert url(LINK, "pipeline") is None


@pytest.mark.parametrize("kind", ["extract", "v3_extract", ""])
@pytest.mark.parametrize(
    "inner",
    [{**AUTHORS, "owner": "ACME"}, AUTHORS, {**LINK, "url": 5}, {**LINK, "more": None}, [LINK]],
)
def test_what_a_documents_author_wrote_is_no_link(kind: str, inner: Any) -> None:
    """An extract's names are the user's own, its values the author's: such a result is saved, and
    nothing fetched.
    """
    assert url(inner, kind, Asked("extract", frozenset({"type", "url", "owner"}))) is None
    assert url(inner, kind) is None


def test_a_schema_with_a_links_own_names_decides() -> None:
    """Where the user asked for these very fields it is the result, unless he asked for a link
    too.
    """
    own = frozenset(LINK)
    assert url(LINK, "v3_extract", Asked("extract", own)) is None
    assert url(LINK, "v3_extract", Asked("extract", own, for_link=True)) == LINK["url"]
    # these can't be its fields
    assert url(AUTHORS, "v3_extract", Asked("extract", frozenset({"total"}))) == AUTHORS["url"]


def test_where_the_answer_does_not_say_of_what_it_is_the_endpoint_tells() -> None:
    """An extract that says so is one, whatever was asked for."""
    assert url(AUTHORS, "", Asked("parse")) == AUTHORS["url"]
    assert url(AUTHORS, "", Asked("extract")) is None
    assert url(AUTHORS, "extract", Asked("parse")) is None


def test_what_was_asked_is_read_from_the_options() -> None:
    """The outer names of a schema, and the wish for a link, wherever it may stand."""
    schema = {"type": "object", "properties": {"type": {}, "url": {}}}
    assert asked("extract", {"instructions": {"schema": schema}}) == Asked(
        "extract", frozenset({"type", "url"})
    )
    assert asked("extract", {"settings": {"force_url_result": True}}) == Asked(
        "extract", for_link=True
    )
    assert asked("extract", {"instructions": {"schema": [1]}, "settings": None}) == Asked("extract")


@pytest.mark.parametrize("address", [None, "", 5, ["not", "one"]])
def test_a_link_without_an_address_is_no_result(address: Any) -> None:
    """Where only the API can have written it."""
    with pytest.raises(BadReply, match="without an address") as caught:
        url({**LINK, "url": address}, "parse")
    assert caught.value.status == 200


@pytest.mark.parametrize("kind", ["parse", "split", "pipeline", "classify"])
def test_a_result_of_null_is_none(kind: str) -> None:
    """Of what the API describes in full; an extract may well be null."""
    with pytest.raises(BadReply, match="null") as caught:
        url(None, kind)
    assert caught.value.status == 200
    assert url(None, "extract") is None


def test_what_is_at_a_link_takes_the_links_own_place() -> None:
    """And no earlier one of the same bytes."""
    body = result(LINK, usage={"num_pages": 1, "seen": LINK})
    before, after = around(body, read_head(body, "j"), b"{")
    assert json.loads(before + b'{"chunks":[]}' + after) == {
        **json.loads(body),
        "result": {"chunks": []},
    }


@pytest.mark.parametrize(
    "text",
    [b'"words \\ud83d"', b"NaN", b"[-Infinity]", b"[" * 5000 + b"]" * 5000, b'"\xff"', b'"a\nb"'],
)
def test_an_odd_value_in_a_result_goes_on_byte_for_byte(text: bytes) -> None:
    """Half an emoji, NaN, five thousand levels, no UTF-8: what nobody has to read makes no result
    unreadable.
    """
    inner = (
        b'{"job_id": "j", "usage": {"num_pages": 2}, "duration": NaN, '
        b'"result": {"type": "full", "x": %b}}' % text
    )
    answer = read_job(
        "GET /job", 200, b'{"status": "Completed", "score": NaN, "result": %b}' % inner
    )
    assert answer.status == "Completed"
    assert answer.result is not None
    assert bytes(answer.result) == inner
    head = read_head(bytes(answer.result), "j")
    assert (head.pages, head.duration) == (2, None)
    with pytest.raises(BadReply, match="another"):
        read_head(inner.replace(b'"j"', b'"another"'), "j")


def test_odd_words_beside_a_result_are_passed_over() -> None:
    """Numbers beyond any bill, names of the wrong type, errors with half a character."""
    body = result(
        {"type": "full"},
        ["odd"],
        usage={"num_pages": 10**400, "credits": float("nan")},
        duration=1e308,
    )
    head = read_head(body, "j")
    assert (head.pages, head.duration, head.response_type) == (None, None, "")
    failed = (
        b'{"status": "Failed", "result": NaN, '
        b'"error": {"name": "\\ud83d", "message": ["\\udc00", 1e999]}}'
    )
    error = read_job("GET /job", 200, failed).error
    assert error is not None
    assert (error.name + error.message).encode()


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"<html>", b'{"status": "Completed", "result": {"a": 1}', b'{"a": NaN}'],
)
def test_an_answer_that_is_cut_off_or_no_job_is_refused(body: bytes) -> None:
    """In words of our own."""
    with pytest.raises(BadReply):
        read_job("GET /job", 200, body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><title>Bad \xff gateway</title>", "a page of HTML: Bad \ufffd gateway"),
        (b" \n<html>no title", "no title"),
        (b'"' + b"x" * 200 + b'"', "in '\"" + "x" * 79 + "…'"),
    ],
    ids=["a page with a title", "a page without", "something else"],
)
def test_what_is_no_answer_is_told_by_how_it_begins(body: bytes, words: str) -> None:
    """Of a page of HTML its title says most."""
    with pytest.raises(BadReply) as caught:
        read_job("GET /job", 200, body)
    assert words in str(caught.value)
    assert ("in '" in words) == (" in '" in str(caught.value))


ROW = {"job_id": "j", "status": "Completed"}


@pytest.mark.parametrize(
    ("cursor", "read", "is_cursor"),
    [
        (None, None, True),
        ("next", "next", True),
        (7, "7", True),
        (True, None, False),
        ([], None, False),
    ],
)
def test_a_page_with_an_odd_row_goes_on_at_its_cursor(
    cursor: Any, read: str | None, is_cursor: bool
) -> None:
    """Each row that can't be read is counted, and what lies behind a cursor that is none."""
    page = {"jobs": [ROW, {"job_id": 7}, None], "next_cursor": cursor}
    found = read_jobs("GET /jobs", 200, json.dumps(page).encode())
    assert ([row.job_id for row in found.jobs], found.next_cursor) == (["j"], read)
    assert found.unreadable == (2 if is_cursor else 3)


def test_what_was_not_served_is_told_up_to_a_length() -> None:
    """By whole sentences; the others are counted, and what is no sentence is passed over."""

    def told(said: Any) -> str | None:
        return read_head(result([], usage={"not_served": said}), "j").not_served

    assert told(["one", 2, "two"]) == "one\ntwo"
    assert told([]) is told("one") is told(None) is told(["", " "]) is None
    long = "x" * 199
    assert told([long] * 10) == "\n".join([long] * 10), "2,000 characters, with the ends of lines"
    assert told([long] * 12) == "\n".join([long] * 10) + "\n… and 2 more"


@pytest.mark.parametrize(
    ("kind", "first", "is_wrapped"),
    [("parse", b"[", True), ("parse", b"{", False), ("extract", b"[", False)],
)
def test_only_the_bare_chunks_of_a_parse_are_given_their_frame(
    kind: str, first: bytes, is_wrapped: bool
) -> None:
    """The list of an extract is its result."""
    body = result(LINK, kind)
    before, after = around(body, read_head(body, "j"), first)
    assert before.endswith(b'"chunks":') is after.startswith(b"}}") is is_wrapped


FLIGHT = InFlightJob(1, "j", 1, 0.0, 43_200.0, 1, False, "a.json")


def after(status: str) -> Event | None:
    return outcome_event(
        FLIGHT, JobAnswer(status), policy=Policy(), now=1000.0, rng=random.Random(1)
    )


@pytest.mark.parametrize(
    "status",
    [
        "completed",
        "COMPLETED",
        "Succeeded",
        "Done",
        "Error",
        "Expired",
        "Ended",
        "",
        "Failed\x00",
        "Completed\ud83d",
    ],
)
def test_an_unknown_status_is_never_taken_for_an_end(status: str) -> None:
    """A word that the API gets tomorrow means that the job is running still: nothing is paid again
    for it.
    """
    read = read_job("GET /job", 200, json.dumps({"status": status}).encode()).status
    assert read not in ENDED
    assert not JobAnswer(read).ended
    assert after(read) is None


def test_a_completed_job_without_a_result_is_no_failure() -> None:
    """So that no policy can ever send it again."""
    assert after("Completed") is None


@pytest.mark.parametrize("said", ["9" * 400, "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_for_ever_has_a_length(said: str) -> None:
    """That a clock can still tell."""
    assert (
        retry_after({"Retry-After": said, "Date": "Fri, 20 Nov 2026 12:00:00 GMT"})
        == RETRY_AFTER_AT_MOST
    )


@pytest.mark.parametrize("said", ["1e400", "nan", "-1", "x", "²", "Tue, 99"])
def test_a_wait_that_is_none_is_unsaid(said: str) -> None:
    """Then the lane knows how long."""
    assert retry_after({"Retry-After": said}) is None


def test_a_wait_of_three_hundred_days_is_one_of_three_hundred_days() -> None:
    assert retry_after({"Retry-After": str(300 * 86_400)}) == 300 * 86_400


@pytest.mark.parametrize(
    ("body", "is_its_own"),
    [(result({}), True), (result({}, job_id="k"), False), (b"[]", False), (None, False)],
    ids=["it", "another", "no result", "nothing"],
)
def test_only_a_result_says_which_job_an_answer_is_about(
    body: bytes | None, is_its_own: bool
) -> None:
    raw = None if body is None else msgspec.Raw(body)
    assert is_about(JobAnswer(JobStatus.COMPLETED, raw), "j") is is_its_own


def test_short_sentences_on_what_was_not_served_count_with_the_ends_of_their_lines() -> None:
    body = result({}, usage={"not_served": ["x"] * NOT_SERVED_AT_MOST})
    lines = (read_head(body, "j", Asked).not_served or "").splitlines()
    kept = NOT_SERVED_AT_MOST // 2
    assert lines == [*["x"] * kept, f"… and {NOT_SERVED_AT_MOST - kept} more"]


def test_a_name_that_is_no_text_beside_a_result_is_passed_over() -> None:
    head = read_head(result({}).replace(b'"usage"', b'"\xff": 1, "usage"'), "j", Asked)
    assert (head.response_type, head.pages) == ("parse", 1)


def test_a_value_that_goes_too_deep_is_passed_over() -> None:
    """Whoever reads such a body must not be taken down by it."""
    deep = b"[" * 100_000 + b"]" * 100_000
    head = read_head(result({}).replace(b'{"num_pages": 1}', deep), "j", Asked)
    assert (head.response_type, head.pages) == ("parse", None)


def test_a_foreign_job_is_named_in_its_own_letters() -> None:
    with pytest.raises(BadReply, match=r'names job \{"Größe":1\}'):
        read_head(result({}, job_id={"Größe": 1}), "j", Asked)
