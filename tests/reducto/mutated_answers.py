"""A campaign of mutated answers of the service: each is read as what was asked for, or refused in
our own words.

By itself: `PYTHONPATH=. python tests/reducto/mutated_answers.py 20000 [SEED]`. What counts as
surely refused is said here anew, apart from `reducto.responses`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from batcher.errors import BadReply, Refused, ServiceError
from batcher.reducto import api_types, responses
from batcher.reducto.rate_card import Prices, billed

JOB: Final = "job-7d1c"
NONCE: Final = "0123456789abcdef01234567"
UPLOAD: Final = "reducto://5b1c0a1e-letter.pdf"
RESULT: Final = {
    "job_id": JOB,
    "response_type": "parse",
    "usage": {
        "num_pages": 3,
        "credits": 4.5,
        "usage_breakdown": {"parse_model": "R-1", "parse_pages": 3, "charts": 1},
    },
    "result": {"type": "url", "url": "https://example.org/result", "chunks": [{"content": "dear"}]},
}
ROW: Final = {
    "job_id": JOB,
    "status": "Completed",
    "raw_config": json.dumps(
        {"input": UPLOAD, "async": {"metadata": {"batcher": {"nonce": NONCE}}}}
    ),
    "source": UPLOAD,
}
GENUINE: Final[Mapping[str, Any]] = {
    "submission": {"job_id": JOB},
    "refusal": {
        "error": {"code": 503, "name": "BATCH_QUEUE_FULL", "message": "full", "job_id": None},
        "detail": [],
    },
    "upload": {"file_id": UPLOAD, "presigned_url": None},
    "job": {"status": "Completed", "result": RESULT, "progress": 0.5, "reason": None},
    "failed job": {
        "status": "Failed",
        "error": {"name": "TIMEOUT", "code": 500, "message": "late"},
        "reason": "x",
    },
    "jobs": {
        "jobs": [ROW, {**ROW, "job_id": "job-other", "raw_config": None}],
        "next_cursor": None,
    },
}
STATUSES: Final = (
    200,
    201,
    204,
    302,
    400,
    401,
    402,
    404,
    408,
    409,
    422,
    429,
    442,
    500,
    502,
    503,
    504,
)
SURELY_NOT: Final = {400, 401, 402, 403, 404, 410, 413, 415, 422, 429, 442}
ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    1.5,
    10**30,
    10**400,
    "",
    "\x00\x1b[2J",
    "ü" * 300,
    [],
    {},
    [None],
    {"a": {}},
    [[]],
)
PIECES: Final = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"{",
    b"]",
    b"null",
    b"1e999",
    b'"\\ud800"',
    b"[" * 3000,
    b"<html><title>5",
)


def campaign(number: int, seed: int) -> list[str]:
    """What went wrong with `number` mutated answers."""
    rng = random.Random(seed)
    wrong = []
    for _ in range(number):
        call = rng.choice(list(READERS))
        body = _scratched(json.dumps(_twisted(GENUINE[call], rng)).encode(), rng)
        status = rng.choice(STATUSES)
        headers = {"Retry-After": rng.choice(["", "5", "-1", "x", "9" * 400, "Tue, 99"])}
        complaint = _complaint(call, status, headers, body)
        if complaint:
            wrong.append(f"{complaint}: {call} {status} {body[:300]!r}")
    return wrong


def _complaint(call: str, status: int, headers: Mapping[str, str], body: bytes) -> str:
    try:
        return READERS[call](status, headers, body)
    except ServiceError:
        return ""
    except Exception as error:
        return repr(error)


# --- how each is read, and what must be true of what was read -------------------------------------


def _submission(status: int, headers: Mapping[str, str], body: bytes) -> str:
    if not 200 <= status < 300:
        return _refusal(status, headers, body)
    job_id = responses.read("POST", status, body, msgspec.json.Decoder(api_types.Submission)).job_id
    return "" if job_id and job_id == json.loads(body)["job_id"] else "a job id that nobody gave"


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> str:
    error = responses.submission_refusal("POST /parse_async", status, headers, body)
    if isinstance(error, BadReply):
        return ""
    assert isinstance(error, Refused)
    if error.retry_after is not None and not error.retry_after >= 0:
        return "a wait into the past"
    if status in (429, 503) and responses.names_a_job(body):
        return "taken for refused, and it names a job"
    full = status == 503 and error.name in {"QUEUE_FULL", "BATCH_QUEUE_FULL", "RATE_LIMIT"}
    return "" if status in SURELY_NOT or full else "taken for refused"


def _upload(status: int, headers: Mapping[str, str], body: bytes) -> str:
    file_id = responses.read(
        "POST /upload", status, body, msgspec.json.Decoder(api_types.Upload)
    ).file_id
    return (
        ""
        if len(file_id.removeprefix("reducto://")) > 0
        else "an upload that every row of the listing mentions"
    )


def _job(status: int, headers: Mapping[str, str], body: bytes) -> str:
    answer = responses.read_job("GET /job", status, body)
    if answer.result is None:
        return ""
    result = bytes(answer.result)
    if result not in body:
        return "a result that isn't the bytes that came"
    head = responses.read_head(result, JOB)
    if any(
        number is not None and not 0 <= number < 2**53
        for number in (head.pages, billed(head.usage, Prices()))
    ):
        return "units that the ledger can't hold"
    return (
        ""
        if head.url is None or head.url == _read(result)["result"]["url"]
        else "a link that nobody gave"
    )


def _read(result: bytes) -> Any:
    # what isn't read may hold any bytes: it is kept as it came
    return json.loads(result.decode("utf-8", "replace"), strict=False)


def _jobs(status: int, headers: Mapping[str, str], body: bytes) -> str:
    page = responses.read_jobs("GET /jobs", status, body)
    for row in page.jobs:
        if row.mentions(NONCE) and NONCE.encode() not in body:
            return "a mention of what isn't there"
        if row.mentions("another nonce of ours"):
            return "a mention of somebody else's"
    return ""


READERS: Final[dict[str, Callable[[int, Mapping[str, str], bytes], str]]] = {
    "submission": _submission,
    "refusal": _refusal,
    "upload": _upload,
    "job": _job,
    "failed job": _job,
    "jobs": _jobs,
}


# --- mutations ------------------------------------------------------------------------------------


def _twisted(value: Any, rng: random.Random) -> Any:
    """The same with, here and there, a key gone, something odd in a value's place, or a whole part
    nested elsewhere.
    """
    if rng.random() < 0.12:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {key: _twisted(part, rng) for key, part in value.items() if rng.random() > 0.06}
    if isinstance(value, list):
        return [_twisted(part, rng) for part in value for _ in range(rng.choice((0, 1, 1, 1, 2)))]
    return value


def _scratched(body: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return body
    at = rng.randrange(len(body) + 1)
    match rng.randrange(4):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + rng.choice(PIECES) + body[at:]
        case 2:
            return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]
    return body[:at] + body[at + rng.randint(1, 20) :]


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    complaints = campaign(wanted, first)
    sys.stdout.write("".join(f"{line}\n" for line in complaints))
    sys.stdout.write(f"{wanted} mutated answers, seed {first}: {len(complaints)} misread\n")
    sys.exit(bool(complaints))
