"""A batch at home, through several runs in virtual time: real files, a real ledger, the client's
twin.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from virtual import run_virtually, unhurried

from batcher.cluster.hands import FileHands
from batcher.core.lifecycle import State
from batcher.core.summary import Audit
from batcher.ledger.ledger import Ledger, open_ledger
from batcher.manifest.model import Limits, Manifest, Output, Service, Source
from batcher.outputs.result_store import Store
from batcher.reducto.api_types import RETENTION
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.reducto.job import Job
from batcher.runs.kinds import Run, RunContext
from batcher.runs.preflight import Connection
from batcher.runs.wiring import budget_of
from batcher.stages.run_control import RunControl

SETTLE = 60.0


class House:
    """An inbox, an output and a service, through several runs; a run may be cut off when `until`
    says so.
    """

    def __init__(self, folder: Path) -> None:
        self.inbox = folder / "inbox"
        self.out = folder / "out"
        self.inbox.mkdir()
        self.service = FakeService(
            lambda: asyncio.get_running_loop().time(), work=lambda job: (30.0, None)
        )
        self.client = FakeClient(self.service)
        self.audit = Audit()
        self.clean = "never"
        self.limits = Limits()
        self.max_in_flight: int | None = None
        # as the manifest has it; what the service really does is the service's
        self.retention = RETENTION
        self.runs = 3
        self.options: dict[str, object] = {}
        self.listing: Path | None = None  # in the inbox's place
        self.later_jobs: tuple[Job, ...] = ()  # of a chain
        self.control = RunControl()
        self.hands: FileHands | None = None

    def put(self, **files: str) -> None:
        for name, text in files.items():
            path = self.inbox / f"{name}.txt"
            path.unlink(missing_ok=True)
            path.write_text(text)

    async def run(
        self,
        until: Callable[[Ledger], bool] | None = None,
        before_audit: Callable[[], None] = lambda: None,
    ) -> dict[str, int]:
        """Documents by state in the end, or when `until` says so: then it is cut off, and not
        audited. Every change and every half second it is asked.
        """
        clock = asyncio.get_running_loop().time
        ledger = open_ledger(
            self.out / ".batcher" / "ledger.db", batch="b", clock=clock, inline=True
        )
        await ledger.interrupted()
        manifest = Manifest(
            batch="b",
            service=Service(
                name="",
                url="twin://",
                settle=SETTLE,
                max_in_flight=self.max_in_flight,
                result_retention=self.retention,
            ),
            sources=(
                Source(listing=self.listing) if self.listing else Source(directory=self.inbox),
            ),
            jobs=(Job(options=self.options), *self.later_jobs),
            output=Output(directory=self.out, clean=self.clean),
            limits=self.limits,
            runs=self.runs,
        )
        if self.limits.spending:
            await ledger.keep_to(budget_of(manifest))
        reached = Connection(self.client, "twin://", "none")
        ask = self.control.ask
        self.control = RunControl()
        self.control.ask = ask
        run = Run(
            RunContext(
                manifest,
                ledger,
                Store(self.out),
                reached,
                self.control,
                clock,
                random.Random(1),
                unhurried(),
                hands=self.hands,
            )
        )
        task = asyncio.create_task(run.to_its_end())
        while until is not None and not task.done():
            if until(ledger):
                task.cancel()
                break
            await ledger.change(within=0.5)
        with suppress(asyncio.CancelledError):
            await task
        if not task.cancelled():
            before_audit()
            self.audit = await run.audit()
        tally = {str(state): number for state, number in (+ledger.tracking.counts()).items()}
        ledger.close()
        return tally

    def result(self, name: str) -> str:
        return (self.out / f"{name}.txt.json").read_text()

    def paid(self) -> int:
        return len(self.service.paid())


class Nights(House):
    """Runs that each begin an hour after the last one, in an event loop of its own each."""

    def __init__(self, folder: Path, *, now: float = 1_800_000_000.0) -> None:
        super().__init__(folder)
        self.now = now

    @property
    def ledger(self) -> Path:
        return self.out / ".batcher" / "ledger.db"

    def night(self, **how: Any) -> dict[str, int]:
        self.now += 3600.0
        return run_virtually(self.run(**how), start=self.now)


def digest_of(text: str) -> str:
    """What the service's result says of a file with that text."""
    return sha256(text.encode()).hexdigest()


def all_waiting(number: int) -> Callable[[Ledger], bool]:
    return lambda ledger: ledger.tally[State.WAITING] == number
