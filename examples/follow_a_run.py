"""Results as they are saved, while the run goes on: for an index, a queue or a progress bar.

python examples/follow_a_run.py [OUTPUT]
"""

import asyncio
import sys
from pathlib import Path

from batcher import aio

MANIFEST = {
    "batch": "followed",
    "source": {"directory": str(Path(__file__).parent / "documents"), "include": ["invoices/**"]},
    "output": {"directory": sys.argv[1] if len(sys.argv) > 1 else "results/followed"},
}


async def main() -> None:
    async with aio.running(MANIFEST) as run:
        async for document in run.results():
            print(f"indexed {document.source}: {len(document.text)} characters")
    assert run.summary is not None
    print(f"{run.summary.documents} for {run.summary.credits:g} credits")


asyncio.run(main())
