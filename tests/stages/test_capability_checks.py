"""What has to be proven before anything is paid a second time, and what follows for what is found
again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from contexts import context_of
from virtual import run_virtually

from batcher.core import events
from batcher.core.absence import FENCE, LISTING
from batcher.core.account import Account
from batcher.core.lifecycle import State
from batcher.errors import Refused
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.stages.recovery import Recovery

SETTLE = 60.0
HOUR = 3600.0
RETENTION = 12 * HOUR


@dataclass
class Case:
    """A ledger and a service, and the one submission whose answer never came."""

    ledger: Ledger
    service: FakeService
    file_id: str = ""

    async def lose(self, nonce: str) -> None:
        """The submission with `nonce` is on its way, its answer isn't; whether it arrives is
        another matter.
        """
        self.file_id = self.service.take_upload(b"x", ".pdf")
        await self.ledger.record(
            events.Uploaded(1, self.file_id),
            events.Sending(1, nonce, "twin", "none", 1.0),
            events.ReplyLost(1, "reset"),
        )

    async def prove(self, *proofs: str) -> None:
        for proof in proofs:
            await self.ledger.prove("twin", "none", proof)

    async def recover(self, client: FakeClient) -> None:
        """Returns once nothing is unknown any more, or after three hours."""
        recovery = Recovery(
            context_of(self.ledger, client),
            account=Account("twin", "none", RETENTION),
            settle=SETTLE,
        )
        running = asyncio.create_task(recovery.run())
        until = asyncio.get_running_loop().time() + 3 * HOUR
        while self.ledger.tally[State.UNKNOWN] and asyncio.get_running_loop().time() < until:
            await self.ledger.change(within=SETTLE)
        running.cancel()


def virtually(work: Callable[[Case], Awaitable[None]]) -> None:
    async def begin() -> None:
        loop = asyncio.get_running_loop()
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        facts = {
            "folder": "/in",
            "job": "parse",
            "step": "s",
            "content": "c",
            "size": 1,
            "mtime_ns": 0,
            "inode": 0,
        }
        await ledger.admit([Version(source="a.pdf", output="a.pdf.json", **facts)])
        await work(Case(ledger, FakeService(loop.time, work=lambda job: (1e6, None))))

    run_virtually(begin())


class KeepsThisOne(FakeClient):
    """Won't delete one upload, though it deletes others."""

    kept = ""

    async def delete_upload(self, file_id: str) -> bool:
        if file_id == self.kept:
            raise Refused("DELETE /upload", "it is in use", status=405)
        return await super().delete_upload(file_id)


def test_an_upload_that_is_not_deleted_is_no_fence() -> None:
    """Its submission may arrive at any time, and be paid: whoever sends another pays twice."""

    async def work(case: Case) -> None:
        await case.lose("nonce-1")
        await case.prove(LISTING, FENCE)
        client = KeepsThisOne(case.service)
        client.kept = case.file_id
        await case.recover(client)
        assert +case.ledger.tally == {State.HELD: 1}

    virtually(work)


class DeletesNothing(FakeClient):
    """Says that it has deleted an upload, however often it is asked, and never does."""

    async def delete_upload(self, file_id: str) -> bool:
        return await self.reach("delete_upload", lambda: True)


def test_without_proof_that_deleting_works_nothing_is_absent() -> None:
    """The listing may be the best there is: a late submission would still get its input."""

    async def work(case: Case) -> None:
        await case.lose("nonce-1")
        await case.prove(LISTING)
        await case.recover(DeletesNothing(case.service))
        assert +case.ledger.tally == {State.HELD: 1}
        assert FENCE not in case.ledger.audit.proven("twin", "none")

    virtually(work)


def test_with_both_proofs_it_is_sent_anew_twice_and_then_given_up() -> None:
    """Three proven absences are a verdict: something between here and there swallows this
    document.
    """

    async def work(case: Case) -> None:
        await case.prove(LISTING, FENCE)
        for number in (1, 2):
            await case.lose(f"nonce-{number}")
            await case.recover(FakeClient(case.service))
            assert +case.ledger.tally == {State.QUEUED: 1}
        await case.lose("nonce-3")
        await case.recover(FakeClient(case.service))
        assert +case.ledger.tally == {State.FAILED: 1}
        (failed,) = case.ledger.reporting.failures()
        assert failed.reason and "proven absent 3 times" in failed.reason

    virtually(work)


def test_a_job_is_known_by_its_nonce_or_by_its_upload() -> None:
    """Whether a service echoes metadata is nowhere promised; the upload is of this attempt alone,
    too.
    """

    async def work(case: Case) -> None:
        await case.prove(LISTING, FENCE)
        await case.lose("nonce-1")
        found = case.service.accept("parse", case.file_id, "{}")
        await case.recover(FakeClient(case.service))
        assert +case.ledger.tally == {State.WAITING: 1}
        assert [out.job_id for out in case.ledger.tracking.in_flight()] == [found.job_id]

    async def by_nonce(case: Case) -> None:
        await case.prove(LISTING, FENCE)
        await case.lose("nonce-1")
        config = '{"async": {"metadata": {"batcher": {"nonce": "nonce-1"}}}}'
        found = case.service.accept("parse", "elsewhere", config)
        await case.recover(FakeClient(case.service))
        assert [out.job_id for out in case.ledger.tracking.in_flight()] == [found.job_id]

    virtually(work)
    virtually(by_nonce)


def test_an_adopted_job_expires_by_its_submission_not_by_its_adoption() -> None:
    """The service has kept its result for hours already when it is found."""

    async def work(case: Case) -> None:
        await case.prove(LISTING, FENCE)
        sent_at = case.ledger.clock()
        await case.lose("nonce-1")
        case.service.accept("parse", case.file_id, "nonce-1")
        await asyncio.sleep(5 * HOUR)
        await case.recover(FakeClient(case.service))
        (out,) = case.ledger.tracking.in_flight()
        assert out.deadline_at == sent_at + RETENTION
        assert out.accepted_at == case.ledger.clock()

    virtually(work)
