"""The least that does the same requests: upload, submit, poll, write.

No hash, no ledger, no sync, no second look.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp

WIDTH = 48


async def main(url: str, inbox: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    paths = iter(sorted(inbox.iterdir()))
    connector = aiohttp.TCPConnector(limit=32)
    async with aiohttp.ClientSession(
        connector=connector, headers={"Authorization": "Bearer key"}
    ) as session:

        async def work() -> None:
            for path in paths:
                form = aiohttp.FormData()
                form.add_field("file", path.read_bytes(), filename=path.name)
                async with session.post(f"{url}/upload", data=form) as answer:
                    file_id = (await answer.json())["file_id"]
                async with session.post(f"{url}/parse_async", json={"input": file_id}) as answer:
                    job_id = (await answer.json())["job_id"]
                while True:
                    async with session.get(f"{url}/job/{job_id}") as answer:
                        body = await answer.read()
                    if body.startswith(b'{"status":"Completed"'):
                        break
                    await asyncio.sleep(0.1)
                (out / f"{path.name}.json").write_bytes(body)

        await asyncio.gather(*(work() for _ in range(WIDTH)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
