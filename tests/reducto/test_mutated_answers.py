"""Answers that no service should give: none ends a run, none is taken for what it isn't, none makes
it pay twice.

`PYTHONPATH=. python tests/reducto/mutated_answers.py 20000` reads many more.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from commandline import batcher, rows
from mutated_answers import ODD, campaign
from peer import Handler, Peer, links, once, says

from batcher.reducto import api_types, responses

ANSWERS = int(os.environ.get("MUTATED_ANSWERS", "4000"))
SEED = int(os.environ.get("MUTATED_SEED", str(random.SystemRandom().randrange(1 << 32))))
ALWAYS_UNSURE = {500, 502, 504, 408, 409, 302}


def test_a_mutated_answer_is_read_right_or_refused() -> None:
    """Bytes scratched, keys gone, types swapped: a value that is in it, or an error of our own,
    never anything else.
    """
    print(f"MUTATED_SEED={SEED}")
    assert campaign(ANSWERS, SEED) == []


def _all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "submission_refusal", responses.refusal)


def _names_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        responses, "_surely_refused", lambda error, body, queue: error.status in (503, 429, 422)
    )


def _any_upload_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_types, "Upload", msgspec.defstruct("Upload", [("file_id", str)]))


def _raises_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "read", lambda call, status, body, decoder: decoder.decode(body))


@pytest.mark.parametrize(
    "plant", [_all_is_refused, _names_no_job, _any_upload_will_do, _raises_as_it_comes]
)
def test_a_planted_misreading_is_found(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one is complained of within a few thousand answers."""
    plant(monkeypatch)
    assert campaign(8000, seed=1)


async def _says_one_job(peer: Peer, request: web.Request) -> web.StreamResponse:
    """Takes every submission and answers all but the first with the first one's job id."""
    await peer.accept(request)
    return web.json_response({"job_id": next(iter(peer.service.jobs))})


def with_inner(inner: dict[str, Any]) -> Handler:
    """The right answer, and in the result what an extract of somebody's own schema may well
    hold.
    """

    async def mood(peer: Peer, request: web.Request) -> web.StreamResponse:
        answer: Any = await Peer.job(peer, request)
        body = responses._object(answer.body)
        body["result"] |= {"response_type": "extract", "result": inner}
        return web.json_response(body)

    return mood


@pytest.mark.parametrize(
    ("call", "mood"),
    [
        ("run_job", _says_one_job),
        ("job", with_inner({"type": 5, "url": None})),
        ("job", with_inner({"type": "url", "url": ["not", "one"]})),
        ("job", with_inner({"type": "url", "url": "https://attacker.example/x"})),
        ("job", with_inner({"type": "url", "url": "https://attacker.example/x", "owner": "ACME"})),
        ("upload", once(says(200, {"file_id": ""}), "upload")),
        ("jobs", says(200, {"jobs": [{"job_id": "", "status": ""}], "next_cursor": "x"})),
    ],
    ids=[
        "one job for all",
        "a schema with type and url",
        "a link that is none",
        "a schema filled with an address",
        "a schema filled with an address, and more",
        "an upload without a name",
        "an odd listing",
    ],
)
async def test_a_run_ends_well_against_it(
    call: str, mood: Handler, peer: Peer, words: tuple[object, ...]
) -> None:
    """Every document saved, each from its own job, and the service took as many submissions as
    there are documents.
    """
    peer.moods[call] = mood
    said = await batcher(*words)
    assert "Traceback" not in said.err
    assert said.code == 0, said.err
    assert len(peer.service.jobs) == 6


@pytest.mark.parametrize("is_linked", [False, True], ids=["in the answers", "behind links"])
async def test_a_storm_of_them_ends_no_run(
    peer: Peer, words: tuple[object, ...], out: Path, is_linked: bool
) -> None:
    """One answer in three is mutated: whatever it comes to, it says so in our own words, and
    nothing is paid twice.

    What was paid the service is asked, and not the ledger.
    """
    rng = random.Random(SEED)
    for call in ("upload", "run_job", "job", "jobs", "blob"):
        peer.moods[call] = scratching(rng, call)
    if is_linked:
        peer.moods["job"] = links
    said = await batcher(*words, "-S", "service.patience=5")
    assert "Traceback" not in said.err, f"MUTATED_SEED={SEED}\n{said.err}"
    assert said.code in (0, 1, 4)
    assert most_paid(peer) <= 1, f"MUTATED_SEED={SEED}"
    assert set(
        rows(out, "SELECT count(*) FROM attempts WHERE outcome = 'saved' GROUP BY content, step")
    ) <= {(1,)}


async def test_a_storm_of_odd_results_pays_for_none_again(
    peer: Peer, words: tuple[object, ...]
) -> None:
    """Half of all answers about a job lack their result, or something of it, or hold something odd
    in its place.
    """
    rng = random.Random(SEED)
    peer.moods["job"] = twisting(rng)
    said = await batcher(*words)
    assert "Traceback" not in said.err, f"MUTATED_SEED={SEED}\n{said.err}"
    assert said.code == 0, f"MUTATED_SEED={SEED}\n{said.err}"
    assert (len(peer.service.jobs), most_paid(peer)) == (6, 1), f"MUTATED_SEED={SEED}"


def most_paid(peer: Peer) -> int:
    """How many jobs that got their input the service made of one document, at the most."""
    configs = [json.loads(job.config) for job in peer.service.paid()]
    return max(
        Counter(c["async"]["metadata"]["batcher"]["document"] for c in configs).values(), default=0
    )


def twisting(rng: random.Random) -> Handler:
    """Of one job no more than four in a row: who is asked again waits up to twice as long each
    time.
    """
    in_a_row = Counter[str]()

    async def mood(peer: Peer, request: web.Request) -> web.StreamResponse:
        answer: Any = await Peer.job(peer, request)
        body = responses._object(answer.body)
        if rng.random() > 0.5 or "result" not in body or in_a_row[request.path] == 4:
            in_a_row[request.path] = 0
            return answer
        in_a_row[request.path] += 1
        match rng.randrange(3):
            case 0:
                del body["result"]
            case 1:
                body["result"] = rng.choice([None, None, *ODD])
            case 2:
                body["result"]["job_id"] = "another"
        return web.Response(body=json.dumps(body).encode(), content_type="application/json")

    return mood


def scratching(rng: random.Random, call: str) -> Handler:
    async def mood(peer: Peer, request: web.Request) -> web.StreamResponse:
        answer: Any = await getattr(Peer, call)(peer, request)
        if rng.random() > 0.33:
            return answer
        body = mutated(answer.body, rng)
        return web.Response(status=answer.status, body=body, content_type="application/json")

    return mood


def mutated(body: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(body) + 1)
    return rng.choice(
        [
            body[:at],
            body[at:],
            body[:at] + b"\x00" + body[at:],
            b"",
            b"null",
            b"[]",
            b"<html>",
            body * 2,
        ]
    )
