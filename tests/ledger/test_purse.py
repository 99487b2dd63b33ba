"""The budget as the ledger keeps it: in the transaction that spends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from batcher.core import events as e
from batcher.core.budget import Budget
from batcher.core.lifecycle import State
from batcher.core.manifest import Limits
from batcher.errors import BudgetSpent
from batcher.ledger.admission import Version
from batcher.ledger.ledger import Ledger, open_ledger

NOW = 1_800_000_000.0


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = open_ledger(tmp_path / "ledger.db", batch="b", clock=lambda: NOW)
    await ledger.admit([Version(f"{n}", "/in", "parse", "s", f"hash {n}", 10, 1, 1, f"{n}.json") for n in range(4)])
    yield ledger
    ledger.close()


async def send(ledger: Ledger, document: int, cost: float = 1.0) -> None:
    sending = e.Sending(document, f"n{document}", "local", "local", cost)
    await ledger.record(e.Uploaded(document, f"reducto://{document}"), sending)


def budget(**limits: float) -> Budget:
    return Budget(Limits(**limits))  # type: ignore[arg-type]


async def test_a_submission_beyond_the_cap_is_not_on_record(ledger: Ledger) -> None:
    """Neither the attempt nor what came with it: the document waits as it was."""
    await ledger.keep_to(budget(max_documents=1))
    await send(ledger, 1)
    with pytest.raises(BudgetSpent):
        await send(ledger, 2)
    assert ledger.tally[State.SENDING] == 1 and ledger.tally[State.QUEUED] == 3


async def test_what_was_surely_refused_is_given_back(ledger: Ledger) -> None:
    """It cost nothing; another may go in its place."""
    await ledger.keep_to(budget(max_credits=1))
    await send(ledger, 1)
    await ledger.record(e.Rejected(1, "no", "document"))
    await send(ledger, 2)
    with pytest.raises(BudgetSpent):
        await send(ledger, 3)


async def test_a_failed_job_stays_in_the_spend(ledger: Ledger) -> None:
    """Nobody knows that the service doesn't bill it."""
    await ledger.keep_to(budget(max_credits=1))
    await send(ledger, 1)
    await ledger.record(e.Accepted(1, "job-1", NOW + 1), e.JobFailed(1, "no", "document"))
    with pytest.raises(BudgetSpent):
        await send(ledger, 2)


async def test_what_a_job_turned_out_to_cost_takes_the_estimate_s_place(ledger: Ledger) -> None:
    """Cheaper ones make room."""
    await ledger.keep_to(budget(max_credits=4))
    await send(ledger, 1, cost=3.0)
    await ledger.record(e.Accepted(1, "job-1", NOW + 1), e.Ended(1, 1, 0.5))
    await send(ledger, 2, cost=3.0)
    with pytest.raises(BudgetSpent) as refused:
        await send(ledger, 3, cost=3.0)
    assert refused.value.cost == 3.0


async def test_the_night_before_is_not_counted(ledger: Ledger) -> None:
    """Limits are of one run; what it left out ended in this one's time, and was its spend."""
    await send(ledger, 1, cost=9.0)
    await ledger.record(e.Accepted(1, "job-1", NOW + 1))
    await ledger.keep_to(budget(max_credits=1))
    await ledger.record(e.Ended(1, 9, 9.0))
    await send(ledger, 2)
    assert ledger.tally[State.SENDING] == 1
