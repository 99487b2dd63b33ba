"""The local service and batcher's own client: one document parsed, without a ledger, an account or
a network.

python examples/call_the_service.py
"""

import asyncio
import json
import tempfile
from pathlib import Path

from batcher import LocalOptions, LocalService, ReductoClient

DOCUMENT = Path(__file__).parent / "documents" / "reports" / "stock-2026-q2.pdf"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            LocalService(LocalOptions(data_dir=Path(folder), workers=1)) as service,
            ReductoClient(service.url, service.key) as client,
        ):
            upload = await client.upload(DOCUMENT, name=DOCUMENT.name)
            job_id = await client.run_job("parse", upload.file_id)
            answer, _ = await client.job(job_id)
            while not answer.ended:
                await asyncio.sleep(0.1)
                answer, _ = await client.job(job_id)
            assert answer.result is not None
            print(json.loads(bytes(answer.result))["result"]["chunks"][0]["content"])


asyncio.run(main())
