"""A batch from Python: its manifest as a dictionary, a line for each document that is saved.

python examples/run_a_batch.py [OUTPUT]
"""

import asyncio
import sys
from pathlib import Path

from batcher import Happened, State, run_batch

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "results/from-python"
MANIFEST = {
    "batch": "from-python",
    "service": "local",  # "reducto" for the real thing; the key is read from REDUCTO_API_KEY
    "source": {"directory": str(Path(__file__).parent / "documents"), "include": ["invoices/**"]},
    "job": {"endpoint": "parse"},
    "output": {"directory": OUTPUT, "formats": ["json", "markdown"]},
}


def show(happened: Happened) -> None:
    if happened.after is State.SAVED:
        print(f"saved {happened.source}")


async def main() -> None:
    summary = await run_batch(MANIFEST, on_event=show)
    print(f"{summary.documents} for {summary.credits:g} credits, exit code {summary.exit_code}")


asyncio.run(main())
