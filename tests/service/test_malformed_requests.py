"""Whatever bytes come: an answer in the API's shape that says whose fault it is, and nothing
half-written.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random

import pytest
from malformed_uploads import BROKEN, MULTIPART, SOUND, WHOLE, answer, campaign, request, status
from service_client import PARSER, Client

from batcher.doorkeeper import ConnectionLimits
from batcher.service.local import LocalOptions, LocalService

pytestmark = pytest.mark.filterwarnings(
    "ignore::aiohttp.BadContentDispositionHeader", "ignore::aiohttp.BadContentDispositionParam"
)
REQUESTS = int(os.environ.get("MALFORMED_REQUESTS", "150"))
SEED = int(os.environ.get("MALFORMED_SEED", str(random.SystemRandom().randrange(1 << 32))))


def stored(client) -> list[str]:
    return [path.name for path in (client.service.options.data_dir / "uploads").iterdir()]


@pytest.mark.parametrize("name", BROKEN)
async def test_a_malformed_upload_is_refused_and_leaves_nothing(client, name):
    """A 4xx with a detail, as FastAPI says it, and no file, whole or half."""
    kind, body = BROKEN[name]
    said = await answer(client.service, request(body, kind))
    assert 400 <= status(said) < 500, said
    assert json.loads(said.partition(b"\r\n\r\n")[2])["detail"]
    assert not stored(client)


@pytest.mark.parametrize("name", SOUND)
async def test_a_sound_upload_is_taken(client, name):
    """However odd it is: what can be read whole is a document."""
    kind, body = SOUND[name]
    assert status(await answer(client.service, request(body, kind))) == 200
    assert len(stored(client)) == 1


async def test_an_upload_may_ask_whether_to_go_on(client):
    """As curl does for a large body."""
    assert (
        status(await answer(client.service, request(WHOLE, MULTIPART, "Expect: 100-continue")))
        == 200
    )


@pytest.mark.parametrize(
    ("chunks", "more"),
    [
        (b"zz\r\nhello\r\n0\r\n\r\n", ()),
        (b"5\r\nhello--\r\n0\r\n\r\n", ()),
        (b"-5\r\nhello\r\n0\r\n\r\n", ()),
        (b"5\r\nhello\r\n0\r\n\r\n", ("Content-Encoding: gzip",)),
        (b"5\r\nhello\r\n0\r\n\r\n", ("Content-Encoding: br",)),
    ],
)
@pytest.mark.parametrize(
    ("path", "kind"), [("/upload", MULTIPART), ("/parse_async", "application/json")]
)
async def test_chunks_and_compressions_that_are_none_are_refused(
    client, path, kind, chunks, more, caplog
):
    """With a 4xx in the API's shape, and no traceback in the log."""
    said = await answer(client.service, request(chunks, kind, *more, chunked=True, path=path))
    assert 400 <= status(said) < 500 and json.loads(said.partition(b"\r\n\r\n")[2])["detail"]
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "path",
    ["/job/%ff", "/job/\xff", "/jobs?cursor=%ed%a0%80", "/files/a/%ff/b.png", "/presigned/a/%ff"],
)
async def test_an_address_that_is_no_text_is_refused(client, path):
    """Bytes that are no UTF-8 are a 4xx."""
    head = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        "secret\r\nConnection: close\r\n\r\n"
    )
    assert 400 <= status(await answer(client.service, head.encode("latin-1"))) < 500


async def test_malformed_requests_are_never_a_server_s_error(caplog):
    """Not one 5xx and not one traceback, whatever the seed; a good upload after them is taken as
    ever.
    """
    print(f"MALFORMED_SEED={SEED}")
    caplog.set_level(logging.INFO)
    answers = await campaign(REQUESTS, SEED)
    assert answers.total() == REQUESTS and all(code < 500 for code in answers), answers
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "place",
    ["{}", '{{"input":"reducto://x","unknown":{}}}', '{{"input":"x","async":{{"metadata":{}}}}}'],
)
@pytest.mark.parametrize(
    "value",
    [
        "[" * 200_000 + "]" * 200_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        "[" * 900 + "]" * 900,
        '"\\ud800"',
        "NaN",
        "1e999",
        "-Infinity",
        "1" * 5000,
        '"\xff"',
    ],
    ids=(
        "deep objects-deep fairly-deep surrogate nan out-of-range infinity long-integer no-utf8"
    ).split(),
)
async def test_json_that_nobody_can_read_again_is_refused(client, place, value):
    """422, also in a field that no shape names; the worker goes on."""
    status, answer = await client.call(
        "POST", "/parse_async", data=place.format(value).encode("latin-1")
    )
    assert status == 422 and answer["detail"]
    assert (await client.parsed(b"alive"))[1]["status"] == "Completed"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"POST /upload HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        request(WHOLE, MULTIPART)[:-20],
        request(b'{"input":', "application/json", path="/parse_async")[:-3],
    ],
)
async def test_half_a_request_is_not_waited_for_without_end(tmp_path, session, said):
    """Header and body have their time; meanwhile, however many hold on, a real caller is
    answered.
    """
    limits = ConnectionLimits(connections=8, header=0.4, stalled=0.4, body=0.1)
    options = LocalOptions(tmp_path / "service", workers=1, parser=PARSER, limits=limits)
    async with LocalService(options, key="secret") as service:
        host, port = service.url.removeprefix("http://").split(":")
        pipes = [await asyncio.open_connection(host, int(port)) for _ in range(7)]
        for _, writer in pipes:
            writer.write(said)
        assert (await Client(session, service).parsed(b"alive"))[1]["status"] == "Completed"
        async with asyncio.timeout(10):
            ends = await asyncio.gather(
                *(reader.read() for reader, _ in pipes), return_exceptions=True
            )
        for _, writer in pipes:
            writer.close()
    assert len(ends) == 7 and len(stored(Client(session, service))) == 1
