"""A campaign of mutated documents through the real service: every job ends, and the service and its
workers go on.

By itself: `PYTHONPATH=. python tests/service/mutated_documents.py 2000 [SEED]`.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import aiohttp
from service_client import Client

from batcher.reducto.api_types import ErrorName
from batcher.service.local import LocalOptions, LocalService

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "documents"
KINDS: Final = (".pdf", ".png")
IN_FLIGHT: Final = 16
PATIENCE: Final = 30  # seconds for one document
TRUE_FAULTS: Final = frozenset(
    {
        ErrorName.DOCUMENT_CORRUPT,
        ErrorName.DOCUMENT_EMPTY,
        ErrorName.DOCUMENT_UNSUPPORTED,
        ErrorName.DOCUMENT_PASSWORD_PROTECTED,
        ErrorName.DOCUMENT_TOO_LARGE,
        ErrorName.IMAGE_TOO_LARGE,
        ErrorName.TIMEOUT,
    }
)


async def campaign(number: int, seed: int) -> Counter[str]:
    """How many ended how; the last two are a good document and a good image, which must be read as
    ever.
    """
    originals = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in KINDS)
    rng = random.Random(seed)
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        options = LocalOptions(Path(folder) / "service", workers=2, job_seconds=PATIENCE)
        headers = {"Authorization": "Bearer secret"}
        async with (
            LocalService(options, key="secret") as service,
            aiohttp.ClientSession(headers=headers) as session,
        ):
            client = Client(session, service)
            for start in range(0, number, IN_FLIGHT):
                group = [rng.choice(originals) for _ in range(min(IN_FLIGHT, number - start))]
                ends.update(
                    [
                        await _end(client, job)
                        for job in [await _send(client, p, rng) for p in group]
                    ]
                )
            for kind in KINDS:
                path = next(path for path in originals if path.suffix == kind)
                job = await client.submit(await client.upload(path.read_bytes(), path.name))
                ends[f"good {await _end(client, job)}"] += 1
    return ends


async def _send(client: Client, path: Path, rng: random.Random) -> str:
    return await client.submit(await client.upload(_mutated(path.read_bytes(), rng), path.name))


async def _end(client: Client, job_id: str) -> str:
    answer = await client.end_of(job_id)
    return answer["error"]["name"] if answer.get("error") else answer["status"]


def _mutated(content: bytes, rng: random.Random) -> bytes:
    """Bytes scratched, a stretch gone or doubled, the end cut off, two places swapped."""
    raw = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(raw))
        stretch = slice(start, start + rng.randint(1, 400))
        match rng.randrange(5):
            case 0:
                for _ in range(rng.randint(1, 60)):
                    raw[rng.randrange(len(raw))] = rng.randrange(256)
            case 1:
                del raw[stretch]
            case 2:
                raw[start:start] = raw[stretch]
            case 3:
                del raw[max(1, start) :]
            case _:
                raw[stretch] = rng.randbytes(len(raw[stretch]))
        raw = raw or bytearray(b"%")
    return bytes(raw)


if __name__ == "__main__":
    number = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    for end, times in asyncio.run(campaign(number, seed)).most_common():
        print(f"{times:6} {end}")
