"""Requests to /upload and elsewhere as no client writes them, made up from a seed, sent as bytes.

By itself: `PYTHONPATH=. python -W ignore tests/service/malformed_uploads.py 10000 [SEED]`.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from service_client import PARSER

from batcher.service.local import LocalOptions, LocalService

KEY: Final = "secret"
# seconds until the client hangs up on a service that waits for the rest of a request
MORE: Final = 0.3
WIDTH: Final = 20  # requests at a time, most of whose time is such waiting
PART: Final = b'Content-Disposition: form-data; name="file"; filename="a.txt"'
WHOLE: Final = b"--B\r\n" + PART + b"\r\n\r\nhello\r\n--B--\r\n"
MULTIPART: Final = "multipart/form-data; boundary=B"
BROKEN: Final[dict[str, tuple[str, bytes]]] = {  # content type and body: each a 4xx
    "empty": (MULTIPART, b""),
    "no boundary named": ("multipart/form-data", WHOLE),
    "an empty boundary": ("multipart/form-data; boundary=", WHOLE),
    "a boundary too long": (f"multipart/form-data; boundary={'B' * 500}", WHOLE),
    "another boundary": ("multipart/form-data; boundary=C", WHOLE),
    "no boundary inside": (MULTIPART, b"hello"),
    "cut off in the content": (MULTIPART, WHOLE[:-12]),
    "cut off in the boundary": (MULTIPART, WHOLE[:-6]),
    "cut off in the headers": (MULTIPART, WHOLE[:30]),
    "cut off after the headers": (MULTIPART, WHOLE[: WHOLE.index(b"hello")]),
    "no closing boundary": (MULTIPART, WHOLE[:-4] + b"\r\n"),
    "a second part cut off": (MULTIPART, WHOLE[:-4] + b"\r\n" + PART + b"\r\n\r\nmore"),
    "a header without a colon": (MULTIPART, b"--B\r\nnonsense\r\n\r\nhello\r\n--B--\r\n"),
    "a header of a megabyte": (MULTIPART, WHOLE.replace(b"a.txt", b"a" * (1 << 20))),
    "ten thousand headers": (MULTIPART, WHOLE.replace(PART, PART + b"\r\nX: y" * 10_000)),
    "a nested one cut off": (
        MULTIPART,
        b"--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n--C\r\n"
        + PART
        + b"\r\n\r\nhello",
    ),
    "a nested one without a boundary": (
        MULTIPART,
        b"--B\r\nContent-Type: multipart/mixed\r\n\r\nhello\r\n--B--\r\n",
    ),
    "a nested one with a header that is no text": (
        MULTIPART,
        b"--B\r\nContent-Type: multipart/mixed; \xe5\xff=C\r\n\r\nhello\r\n--B--\r\n",
    ),
}
SOUND: Final[dict[str, tuple[str, bytes]]] = {
    "as clients write it": (MULTIPART, WHOLE),
    "without a filename": (MULTIPART, WHOLE.replace(b'; filename="a.txt"', b"")),
    "with a filename of no encoding": (MULTIPART, WHOLE.replace(b"a.txt", b"\xff\xfe.txt")),
    "with a charset that is none": (
        MULTIPART,
        WHOLE.replace(PART, PART + b"\r\nContent-Type: text/plain; charset=x"),
    ),
    "with an empty file": (MULTIPART, WHOLE.replace(b"hello", b"")),
    "with words before and after": (MULTIPART, b"hello\r\n" + WHOLE + b"goodbye"),
}


# Headers of a part and of a request, as no client writes them.
PARTS: Final = (
    PART,
    b"Content-Disposition: form-data; name=file; filename*=utf-8''%ff%fe.txt",
    b"Content-Disposition: form-data; name*=no-such''file; filename*0=a; filename*1=b.txt",
    b'Content-Disposition: form-data; name="file"; filename="\x00.txt"',
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: \xff",
    b"Content-Encoding: gzip",
    b"Content-Length: 5",
    b"Content-Length: -5",
    b"Content-Length: \xb2",
    b"Content-Type: multipart/mixed; boundary=C",
    b"Content-Type: multipart/mixed; \xff=C",
    b"Content-Type: text/plain; charset=\xff",
)
CONTENTS: Final = (b"hello", b"", b"--B", b"aGVsbG8=", b"=", b"--C\r\n\r\nx\r\n--C--\r\n")
HEADERS: Final = (
    "Content-Encoding: br",
    "Content-Encoding: \xff",
    "Expect: 100-continue",
    "Expect: \xff",
    "Upgrade: websocket",
    "Cookie: \xff=\xff",
    "Range: bytes=9-1",
)


def request(
    body: bytes, kind: str, *more: str, chunked: bool = False, path: str = "/upload"
) -> bytes:
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {KEY}",
        f"Content-Type: {kind}",
        length,
    )
    head = "\r\n".join((*lines, *more, "Connection: close", "\r\n"))
    return head.encode("latin-1") + body


async def answer(service: LocalService, said: bytes) -> bytes:
    """All that comes back to `said`, after which nothing more is sent; empty where nothing does."""
    port = int(service.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(said)
        reading = asyncio.ensure_future(reader.read())
        await asyncio.wait([reading], timeout=MORE)
        if not reading.done():  # it waits for more of a request that is no whole one
            writer.write_eof()
        return await reading
    except ConnectionError:
        return b""
    finally:
        writer.close()


def status(said: bytes) -> int:
    """Of the answer, before which 100 may come; 0 where none came."""
    codes = [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3})", said) if code != b"100"]
    return codes[0] if codes else 0


def _mutated(content: bytes, rng: random.Random) -> bytes:
    raw = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(raw) + 1)
        stretch = slice(start, start + rng.randint(1, 20))
        acts: tuple[Callable[[], object], ...] = (
            lambda stretch=stretch: raw.__delitem__(stretch),
            lambda stretch=stretch: raw.__setitem__(stretch, rng.randbytes(rng.randint(1, 20))),
            lambda start=start, stretch=stretch: raw.__setitem__(slice(start, start), raw[stretch]),
            lambda start=start: raw.__setitem__(
                slice(start, start), rng.choice((b"\r\n", b"--B", b"\0", b";", b'"', b":"))
            ),
            lambda start=start: raw.__delitem__(slice(start, None)),
        )
        rng.choice(acts)()
    return bytes(raw)


def _odd_parts(rng: random.Random) -> bytes:
    """A multipart body of parts with odd headers, the last of which may lack its end."""
    parts = []
    for _ in range(rng.randint(1, 3)):
        headers = b"\r\n".join(rng.choices(PARTS, k=rng.randint(0, 3)))
        parts.append(b"--B\r\n" + headers + b"\r\n\r\n" + rng.choice(CONTENTS) + b"\r\n")
    return b"".join(parts) + rng.choice((b"--B--\r\n", b"--B--\r\n", b"--B", b""))


def made_up(rng: random.Random) -> bytes:
    """A body scratched, a whole request scratched, chunks that are none, a compression that is
    none, parts and headers that nobody writes.
    """
    kind, body = rng.choice([*BROKEN.values(), *SOUND.values()])
    match rng.randrange(7):
        case 0:
            return request(_mutated(body, rng), kind)
        case 1:
            return _mutated(request(body[:5000], kind), rng)
        case 2:
            chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            return request(_mutated(chunks, rng), kind, chunked=True)
        case 3:
            squeezed = gzip.compress(body)
            return request(_mutated(squeezed, rng), kind, "Content-Encoding: gzip")
        case 4:
            return request(_odd_parts(rng), MULTIPART)
        case 5:
            path = rng.choice(("/upload", "/upload", "/jobs", "/nowhere"))
            return request(_odd_parts(rng), MULTIPART, rng.choice(HEADERS), path=path)
        case _:
            path = rng.choice(
                (
                    "/parse_async",
                    "/extract",
                    "/jobs",
                    "/cancel/x",
                    "/presigned/a/b",
                    "/configure_webhook",
                )
            )
            return request(_mutated(b'{"input":"reducto://x"}', rng), "application/json", path=path)


async def campaign(number: int, seed: int) -> Counter[int]:
    """How many were answered how; AssertionError where something half-written stays."""
    rng = random.Random(seed)
    answers: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "service"
        async with LocalService(LocalOptions(data, workers=1, parser=PARSER), key=KEY) as service:
            left = iter([made_up(rng) for _ in range(number)])
            async with asyncio.TaskGroup() as group:
                for _ in range(WIDTH):
                    group.create_task(_each(left, service, answers))
            assert status(await answer(service, request(WHOLE, MULTIPART))) == 200
            assert not list(data.rglob("*.part"))
    return answers


async def _each(left: Iterator[bytes], service: LocalService, answers: Counter[int]) -> None:
    for said in left:
        code = status(await answer(service, said))
        answers[code] += 1
        if code >= 500:
            print(f"{code}: {said[:400]!r}")


if __name__ == "__main__":
    number = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    print(asyncio.run(campaign(number, seed)))
