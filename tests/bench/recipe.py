"""The documented way with the official SDK: gather over a semaphore of 50, poll each job, write its
result.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from reducto import AsyncReducto, DefaultAioHttpClient

WIDTH = 50


async def main(url: str, inbox: Path, out: Path, transport: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    semaphore = asyncio.Semaphore(WIDTH)
    http = DefaultAioHttpClient() if transport == "aiohttp" else None
    async with AsyncReducto(api_key="key", base_url=url, http_client=http) as client:

        async def work(path: Path) -> None:
            async with semaphore:
                upload = await client.upload(file=path)
                job = await client.parse.run_job(input=upload)
                while (answer := await client.job.get(job.job_id)).status != "Completed":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                (out / f"{path.name}.json").write_text(answer.model_dump_json())

        await asyncio.gather(*(work(path) for path in sorted(inbox.iterdir())))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
