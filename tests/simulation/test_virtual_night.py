"""A night of twelve hours, in seconds: the real stages and the real ledger on a loop whose time is
a number.
"""

import asyncio
import random
from pathlib import Path

import pytest
from virtual import run_virtually, unhurried

from batcher.core.lifecycle import State
from batcher.ledger.ledger import open_ledger
from batcher.manifest.model import Manifest, Output, Service, Source
from batcher.outputs.result_store import Store
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.reducto.job import Job
from batcher.runs.kinds import Run, RunContext
from batcher.runs.preflight import Connection
from batcher.stages.run_control import RunControl

DOCUMENTS = 720


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(DOCUMENTS):
        (inbox / f"{number:04}.txt").write_text(f"letter {number}")
    return Manifest(
        batch="night",
        service=Service(name="", url="twin://", max_in_flight=16),
        sources=(Source(directory=inbox),),
        jobs=(Job(),),
        output=Output(directory=tmp_path / "out"),
    )


def test_a_batch_of_twelve_hours_ends_with_every_result_on_disk(manifest: Manifest) -> None:
    """720 documents of sixteen minutes each, sixteen at a time: 12 h by the loop's clock, and
    nothing expires.
    """
    tally, service, hours = run_virtually(_night(manifest))
    assert tally == {State.SAVED: DOCUMENTS}
    assert 12.0 <= hours < 13.0
    assert len(service.jobs) == DOCUMENTS
    assert len(list(manifest.output.directory.glob("*.json"))) == DOCUMENTS


async def _night(manifest: Manifest) -> tuple[dict[State, int], FakeService, float]:
    clock = asyncio.get_running_loop().time
    began = clock()
    service = FakeService(clock, work=lambda job: (960.0, None))
    ledger = open_ledger(
        manifest.output.ledger_path, batch=manifest.batch, clock=clock, inline=True
    )
    store = Store(manifest.output.directory)
    reached = Connection(FakeClient(service), "twin", "none")
    run = Run(
        RunContext(
            manifest, ledger, store, reached, RunControl(), clock, random.Random(1), unhurried()
        )
    )
    await run.to_its_end()
    tally = {state: number for state, number in ledger.tracking.counts().items() if number}
    ledger.close()
    return tally, service, (clock() - began) / 3600
