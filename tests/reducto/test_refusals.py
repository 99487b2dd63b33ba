"""What a refusal means for a submission and for any other call, in whatever shape the service words
it.
"""

import itertools
import json
from typing import Any, Final

import pytest
from multidict import CIMultiDict

from batcher.errors import BadReply, Busy, Gone, NotFound, Refused, ServiceError, Unauthorised
from batcher.reducto.exchange import dated
from batcher.reducto.responses import (
    FULL_QUEUES,
    REFUSALS,
    SURELY_REFUSED,
    explanation,
    http_date,
    names_a_job,
    read_job,
    refusal,
    retry_after,
    submission_refusal,
)

MEANT: Final[dict[int, type[ServiceError]]] = {
    400: Refused,
    401: Unauthorised,
    402: Refused,
    403: Unauthorised,
    404: NotFound,
    408: BadReply,  # it may have been worked off all the same
    409: Gone,  # its deletion is under way
    410: Gone,  # … and done
    413: Refused,
    415: Refused,
    418: Refused,
    422: Refused,
    429: Busy,
    442: Refused,
    499: Refused,
    500: BadReply,
    502: BadReply,
    503: Busy,
    504: BadReply,
    302: BadReply,
    399: BadReply,
}
# A submission's that leave it open whether a job was made: not in the API's list, or said by who
# doesn't know.
LEAVES_IT_OPEN: Final = {408, 409, 418, 499, 500, 502, 503, 504, 302, 399}


def body(**values: Any) -> bytes:
    return json.dumps(values).encode()


@pytest.mark.parametrize("status", MEANT)
def test_a_status_means_one_thing(status: int) -> None:
    """For calls that cost nothing: asked again, gone, refused, or no answer at all."""
    error = refusal(
        "GET /job", status, {"Retry-After": "7"}, body(error={"name": "NAMED", "message": "words"})
    )
    assert type(error) is MEANT[status]
    assert "words" in str(error)
    if isinstance(error, Refused):
        assert (error.status, error.name, error.retry_after) == (status, "NAMED", 7.0)
    else:
        assert f"{status} NAMED words" in str(error)


@pytest.mark.parametrize("status", MEANT)
def test_a_submission_is_refused_only_where_that_is_sure(status: int) -> None:
    """All else is perhaps paid, and looked for before it is sent again."""
    error = submission_refusal("POST /parse_async", status, {}, body(detail="no"))
    assert type(error) is (BadReply if status in LEAVES_IT_OPEN else MEANT[status])
    assert str(error).count("no") and "  " not in str(error)
    assert (status in SURELY_REFUSED) is (status not in LEAVES_IT_OPEN)
    assert set(REFUSALS) <= set(MEANT)


@pytest.mark.parametrize(
    "name", ["QUEUE_FULL", "BATCH_QUEUE_FULL", "RATE_LIMIT", "INTERNAL_ERROR", ""]
)
@pytest.mark.parametrize("queue", ["batch", "auto", None])
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "300"}])
def test_a_503_is_a_refusal_where_it_says_that_a_queue_is_full(
    name: str, queue: str | None, headers: dict[str, str]
) -> None:
    """By its name, or as the batch queue does it: bare, with Retry-After.

    A gateway's says nothing.
    """
    error = submission_refusal("POST", 503, headers, body(error={"name": name}), queue=queue)
    full = name in ("QUEUE_FULL", "BATCH_QUEUE_FULL", "RATE_LIMIT") or (
        queue == "batch" and bool(headers)
    )
    assert type(error) is (Busy if full else BadReply)
    assert {"QUEUE_FULL", "BATCH_QUEUE_FULL", "RATE_LIMIT"} == FULL_QUEUES


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "where", [{"job_id": "j"}, {"error": {"name": "QUEUE_FULL", "job_id": "j"}}]
)
def test_a_refusal_that_names_a_job_is_none(status: int, where: dict[str, Any]) -> None:
    """It would be sent again, and the job behind it paid for twice."""
    said = {"error": {"name": "QUEUE_FULL"}, **where}
    assert names_a_job(body(**said))
    assert type(submission_refusal("POST", status, {}, body(**said))) is BadReply


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b'"job_id"', b'{"error": "job_id"}', b'{"job_id": ""}', b"<job_id>", b"\xff"],
)
def test_what_names_no_job_is_taken_as_it_is(said: bytes) -> None:
    """Whatever shape it has."""
    assert not names_a_job(said)
    assert type(submission_refusal("POST", 429, {}, said)) is Busy


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "name", "words"),
    [
        (
            body(error={"name": "INVALID_CONFIG", "message": "no such mode"}),
            "INVALID_CONFIG",
            "no such mode",
        ),
        (body(error={"type": "INVALID_CONFIG", "message": "older"}), "INVALID_CONFIG", "older"),
        (body(error={"name": 7, "message": "odd"}), "", "odd"),
        (body(error={"message": "first"}, message="second"), "", "first"),
        (body(message="second", reason="third"), "", "second"),
        (body(reason="third", detail="fourth"), "", "third"),
        (body(detail="fourth", error="fifth"), "", "fourth"),
        (body(error="fifth"), "", "fifth"),
        (
            body(detail=[{"loc": ["body", "input"], "msg": "field required"}]),
            "",
            "body.input: field required",
        ),
        (
            body(detail=[{"msg": "bad"}, 7, {"loc": ["a", 1], "msg": "worse"}]),
            "",
            "request: bad; a.1: worse",
        ),
        (body(detail={"a": 1}), "", '{"a":1}'),
        (b"<html><TITLE lang=en>502 Bad\nGateway</title>", "", "a page of HTML: 502 Bad Gateway"),
        (b"plain words", "", "plain words"),
        (b"half \xff of it", "", "half \ufffd of it"),
        (b'["a list"]', "", '["a list"]'),
        (b"", "", ""),
        (body(message="bell\x07 and\ttab"), "", "bell and tab"),
    ],
)
def test_words_of_every_shape_are_found(said: bytes, name: str, words: str) -> None:
    """The API's own, its older one, FastAPI's, the gateway's and nginx's; what a terminal would
    obey is taken out.
    """
    assert explanation(said) == (name, words)


def test_a_long_page_is_told_in_short() -> None:
    """A person reads half a page, not a megabyte; and what just fits is told whole."""
    for said in (body(message="x" * 501), b"x" * 100_000):
        words = explanation(said)[1]
        assert (len(words), words[-1]) == (500, "…")
    assert explanation(body(message="x" * 500))[1] == "x" * 500


# --- headers --------------------------------------------------------------------------------------

NOON: Final = "Fri, 20 Nov 2026 12:00:00 GMT"
LATER: Final = "Fri, 20 Nov 2026 12:00:30 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "300"}, 300.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": LATER, "Date": NOON}, 30.0),
        ({"Retry-After": NOON, "Date": LATER}, 0.0),
        ({"Retry-After": NOON}, None),
        (
            dated(CIMultiDict({"retry-after": NOON})),
            0.0,
        ),  # by our own clock, where the server doesn't say its time
        (dated(CIMultiDict({"retry-after": LATER, "date": NOON})), 30.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "٣"}, None),  # a digit of another script is no number of HTTP's
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_http_has_it(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds or a date by the server's own clock; what is neither says nothing."""
    assert retry_after(headers) == seconds


def test_a_date_is_a_moment() -> None:
    """Or none."""
    assert http_date(NOON) == 1_795_176_000.0
    assert [
        http_date(text)
        for text in ("", "yesterday", "99 Foo 2026", "Fri, 32 Nov 2026 12:00:00 GMT")
    ] == [None] * 4


# --- a job's answer -------------------------------------------------------------------------------


def test_side_keys_of_any_type_lose_no_result() -> None:
    """Only the status has to be there; the result comes back byte for byte."""
    odd: tuple[Any, ...] = (None, 7, "x", [1], {"a": 1})
    for progress, reason, error in itertools.product(odd, repeat=3):
        said = {"status": "Completed", "progress": progress, "reason": reason, "error": error}
        text = json.dumps(said)[:-1] + ', "result": { "k" : 1.0 }}'
        answer = read_job("GET /job", 200, text.encode())
        assert bytes(answer.result or b"") == b'{ "k" : 1.0 }'
        assert answer.status == "Completed" and answer.ended
        assert answer.progress == (progress if isinstance(progress, int) else None)
        assert (answer.reason is None) is (reason is None)
        assert (answer.error is None) is (error is None)


def test_an_error_is_read_for_what_of_it_is_readable() -> None:
    """Name, code and message, each only if it is one."""
    said = {"status": "Failed", "error": {"name": "TIMEOUT", "code": 504, "message": "slow"}}
    error = read_job("GET", 200, json.dumps(said).encode()).error
    assert error is not None and (error.name, error.code, error.message) == ("TIMEOUT", 504, "slow")
    odd = {"status": "Failed", "error": {"name": 1, "code": "x", "message": None}}
    error = read_job("GET", 200, json.dumps(odd).encode()).error
    assert error is not None and (error.name, error.code, error.message) == ("", 0, "")
    words = {"status": "Failed", "error": "slow"}
    error = read_job("GET", 200, json.dumps(words).encode()).error
    assert error is not None and (error.name, error.message) == ("", "slow")


@pytest.mark.parametrize("progress", [-1, True, 1e12, "1"])
def test_a_progress_that_is_none_is_left_out(progress: Any) -> None:
    """It is shown to people and nothing else."""
    said = json.dumps({"status": "Pending", "progress": progress}).encode()
    assert read_job("GET", 200, said).progress is None


def test_no_result_and_null_are_the_same() -> None:
    """Neither is something to write."""
    assert read_job("GET", 200, b'{"status": "Completed"}').result is None
    assert read_job("GET", 200, b'{"status": "Completed", "result": null}').result is None


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"status": 7}', b"{}", b"<p>no</p>"])
def test_what_says_no_status_is_no_answer(said: bytes) -> None:
    """And says what came instead."""
    with pytest.raises(BadReply) as caught:
        read_job("GET /job", 200, said)
    assert caught.value.status == 200
    assert str(caught.value).startswith("GET /job: 200")
