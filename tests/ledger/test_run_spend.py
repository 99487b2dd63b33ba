"""The budget as the ledger keeps it: in the transaction that spends."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from batcher.core import events as e
from batcher.core.budget import Budget
from batcher.core.lifecycle import Impossible, State
from batcher.core.reservations import LaterStep, Reservation
from batcher.errors import BudgetSpent
from batcher.ledger import run_spend
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, open_ledger
from batcher.manifest.model import Limits

NOW = 1_800_000_000.0


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = open_ledger(tmp_path / "ledger.db", batch="b", clock=lambda: NOW)
    await ledger.admit(
        [Version(f"{n}", "/in", "parse", "s", f"hash {n}", 10, 1, 1, f"{n}.json") for n in range(4)]
    )
    yield ledger
    ledger.close()


async def send(ledger: Ledger, document: int, cost: float = 1.0) -> None:
    sending = e.Sending(document, f"n{document}", "local", "local", cost)
    await ledger.record(e.Uploaded(document, f"reducto://{document}"), sending)


async def later_credits(ledger: Ledger) -> float:
    """What is kept for later steps."""
    return float(await ledger._writer.do(lambda c: run_spend.spend(c).later_credits))


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


async def test_what_says_its_cost_waits_for_no_bill_of_another(ledger: Ledger) -> None:
    """Nothing has to be learned of it first: as many as fit go side by side."""
    await ledger.keep_to(budget(max_credits=2))
    await send(ledger, 1)
    await send(ledger, 2)
    with pytest.raises(BudgetSpent):
        await send(ledger, 3)


async def test_what_no_bill_to_come_makes_room_for_is_refused_for_good(ledger: Ledger) -> None:
    """Before its upload as well as when it is sent; where a bill may make room, that is said."""
    await ledger.keep_to(budget(max_credits=4))
    await send(ledger, 1, cost=2.0)
    with pytest.raises(BudgetSpent) as refused:
        await send(ledger, 2, cost=5.0)
    assert refused.value.may_fit is False
    with pytest.raises(BudgetSpent):
        await ledger.afford(Reservation(sort="", cost=5.0, page=5.0, dense=5.0, trusted=True))
    with pytest.raises(BudgetSpent) as waits:
        await send(ledger, 2, cost=3.0)
    assert waits.value.may_fit is True


async def test_beside_what_is_never_billed_there_is_less_room(ledger: Ledger) -> None:
    """Its answer was lost and nobody waits for its bill, but it may be one."""
    await ledger.keep_to(budget(max_credits=4))
    await send(ledger, 1, cost=2.0)
    await ledger.record(e.ReplyLost(1, "reset"))
    with pytest.raises(BudgetSpent) as refused:
        await send(ledger, 2, cost=3.0)
    assert refused.value.may_fit is False
    await send(ledger, 3, cost=2.0)


async def test_the_night_before_is_not_counted(ledger: Ledger) -> None:
    """Limits are of one run; what it left out ended in this one's time, and was its spend."""
    await send(ledger, 1, cost=9.0)
    await ledger.record(e.Accepted(1, "job-1", NOW + 1))
    await ledger.keep_to(budget(max_credits=1))
    await ledger.record(e.Ended(1, 9, 9.0))
    await send(ledger, 2)
    assert ledger.tally[State.SENDING] == 1


# --- what bills teach -----------------------------------------------------------------------------


WORD = Reservation(
    sort="s docx", extension="docx", cost=1.0, page=1.0, dense=1.0, size=1000, counted=False
)
PDF = Reservation(sort="s pdf", extension="pdf", cost=2.0, page=1.0, dense=1.0, size=1000, pages=2)


@pytest.fixture
async def typed(tmp_path: Path) -> AsyncIterator[Ledger]:
    """Four documents of 1,000 bytes: three of Word, and a PDF."""
    ledger = open_ledger(tmp_path / "typed.db", batch="b", clock=lambda: NOW)
    kinds = ("docx", "docx", "docx", "pdf")
    rows = [
        (f"{n}", "/in", "parse", "s", f"hash{n}.{kind}", 1000, 1, 1, f"{n}.json")
        for n, kind in enumerate(kinds)
    ]
    await ledger.admit([Version(*row) for row in rows])
    yield ledger
    ledger.close()


async def claimed(ledger: Ledger, document: int, claim: Reservation) -> None:
    sending = e.Sending(document, f"n{document}", "local", "local", claim.cost)
    await ledger.record(e.Uploaded(document, f"reducto://{document}"), sending, claim=claim)


async def test_one_of_a_type_is_out_until_its_bill_is_known(typed: Ledger) -> None:
    """The next is told for which document it waits; another type isn't."""
    await typed.keep_to(budget(max_pages=10_000))
    await claimed(typed, 1, WORD)
    with pytest.raises(BudgetSpent) as waits:
        await claimed(typed, 2, WORD)
    assert waits.value.probe == 1
    await claimed(typed, 4, PDF)
    await typed.record(e.Accepted(1, "job-1", NOW + 1), e.Ended(1, 3, 3.0))
    await claimed(typed, 2, WORD)
    assert typed.tally[State.SENDING] == 2


async def test_a_probe_whose_answer_is_lost_keeps_nobody_waiting(typed: Ledger) -> None:
    """It may stay lost for ever: what it may cost is kept free, and another is tried."""
    await typed.keep_to(budget(max_pages=10_000))
    await claimed(typed, 1, WORD)
    await typed.record(e.ReplyLost(1, "reset"))
    await claimed(typed, 2, WORD)
    with pytest.raises(BudgetSpent):
        await claimed(typed, 3, WORD)


async def test_what_an_earlier_run_was_billed_has_been_learned(typed: Ledger) -> None:
    """Also where the bill came only now."""
    await claimed(typed, 1, WORD)
    await typed.record(e.Accepted(1, "job-1", NOW + 1))
    await typed.keep_to(budget(max_pages=10_000))
    await typed.record(e.Ended(1, 3, 3.0))
    await claimed(typed, 2, WORD)
    await claimed(typed, 3, WORD)
    await typed.keep_to(budget(max_pages=5))
    await typed.record(e.Accepted(2, "job-2", NOW + 1), e.Ended(2, 3, 3.0))
    await typed.record(e.Accepted(3, "job-3", NOW + 1), e.Ended(3, 3, 3.0))
    with pytest.raises(BudgetSpent, match="less than one document needs"):
        await claimed(
            typed,
            4,
            Reservation(**{name: getattr(WORD, name) for name in WORD.__slots__} | {"size": 9000}),
        )


async def test_a_submission_that_is_undone_leaves_no_trace_in_the_purse(typed: Ledger) -> None:
    """It goes with the transaction that it was judged in."""
    await typed.keep_to(budget(max_pages=2))
    sending = e.Sending(4, "n4", "local", "local", 2.0)
    with pytest.raises(Impossible):
        await typed.record(
            e.Uploaded(4, "reducto://4"), sending, e.Saved(4, "x", "0", 1), claim=PDF
        )
    await claimed(typed, 4, PDF)
    assert typed.tally[State.SENDING] == 1


async def test_a_job_that_says_no_bill_is_counted_as_expected(typed: Ledger) -> None:
    """And makes room for what was feared of it."""
    await typed.keep_to(budget(max_credits=4))
    dense = Reservation(sort="s pdf", cost=2.0, page=1.0, dense=2.0, pages=2, trusted=True)
    await claimed(typed, 4, dense)
    await typed.record(
        e.Accepted(4, "job-4", NOW + 1), e.Ended(4, None, None), e.Saved(4, "x", "0", 1)
    )
    await claimed(typed, 1, dense)
    assert typed.tally[State.SENDING] == 1


async def test_what_passed_a_cap_is_named_with_its_figures(typed: Ledger) -> None:
    """As the summary tells it."""
    await typed.keep_to(budget(max_pages=4))
    await claimed(typed, 1, WORD)
    assert await typed.overruns() == []
    await typed.record(e.Accepted(1, "job-1", NOW + 1), e.Ended(1, 9, 9.0))
    (told,) = await typed.overruns()
    assert (
        told.words()
        == "limits.max_pages = 4: 9 spent; the last document (0) cost 9 and was expected to cost 1"
    )


async def test_the_cost_on_record_is_what_was_expected(typed: Ledger) -> None:
    """Of what can't be counted, by what its type cost: views and summaries show it as the
    estimate.
    """
    await typed.keep_to(budget(max_pages=10_000))
    await claimed(typed, 1, WORD)
    await typed.record(e.Accepted(1, "job-1", NOW + 1), e.Ended(1, 9, 9.0))
    await claimed(typed, 2, WORD)
    (cost,) = typed.reader.execute("SELECT cost FROM attempts WHERE document = 2").fetchone()
    assert 4 <= cost <= 9


@pytest.mark.parametrize(
    ("ending", "is_kept"),
    [
        (e.Saved(1, "1.json", "hash", 1), True),
        (e.RefusedForNow(1, "busy", NOW), False),
        (e.JobToRepeat(1, "TIMEOUT", NOW), False),
        (e.JobFailed(1, "no", "document"), False),
        (e.Expired(1, "too late"), False),
        (e.Held(1, "perhaps paid"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, e.Event) else f"kept={value}",
)
async def test_room_is_kept_for_later_steps_as_long_as_the_first_one_may_be_followed(
    ending: e.Event, is_kept: bool, tmp_path: Path
) -> None:
    """Documents that all have to be sent again would else wait for one another for ever."""
    ledger = open_ledger(tmp_path / "chain.db", batch="b", clock=lambda: NOW)
    first = Version("a", "/in", "parse", "s", "hash a", 10, 1, 1, "a.json")
    later = replace(first, job="extract", step="t", output="a.extract.json", upstream="parse")
    await ledger.admit([first, later])
    await ledger.keep_to(budget(max_credits=5))
    cost = Reservation(sort="", cost=1.0, page=1.0, dense=1.0, trusted=True)
    claim = replace(cost, later=(LaterStep(2, replace(cost, cost=2.0, page=2.0, dense=2.0)),))
    sending = e.Sending(1, "n1", "local", "local", 1.0)
    await ledger.record(e.Uploaded(1, "reducto://1"), sending, claim=claim)
    assert await later_credits(ledger) == 2.0
    if isinstance(ending, e.Held):
        await ledger.record(e.ReplyLost(1, "lost"))
    elif not isinstance(ending, e.RefusedForNow):
        await ledger.record(e.Accepted(1, "job-1", NOW + 1))
    if isinstance(ending, e.Saved):
        await ledger.record(e.Ended(1, 1, 1.0))
    await ledger.record(ending)
    assert await later_credits(ledger) == (2.0 if is_kept else 0.0)
    ledger.close()


async def test_later_steps_do_not_wait_for_one_another_s_room(tmp_path: Path) -> None:
    """Near a limit each is sent in the room that was kept for it, and others aren't begun."""
    ledger = open_ledger(tmp_path / "chains.db", batch="b", clock=lambda: NOW)
    for name in "ab":
        first = Version(name, "/in", "parse", "s", f"hash {name}", 10, 1, 1, f"{name}.json")
        later = replace(first, job="extract", step="t", output=f"{name}.x", upstream="parse")
        await ledger.admit([first, later])
    await ledger.admit([Version("c", "/in", "parse", "s", "hash c", 10, 1, 1, "c.json")])
    await ledger.keep_to(budget(max_credits=10))
    parse = Reservation(sort="s", cost=1.0, page=1.0, dense=1.0, trusted=True)
    extract = Reservation(sort="t", cost=2.0, page=2.0, dense=4.0, trusted=True)
    for document in (1, 3):
        await claimed(ledger, document, replace(parse, later=(LaterStep(document + 1, extract),)))
        await ledger.record(e.Accepted(document, f"job-{document}", NOW + 1))
    for document, credits in ((1, 4.0), (3, 1.0)):
        await ledger.record(e.Ended(document, 1, credits), e.Saved(document, "x", "hash", 1))
        await ledger.record(e.UpstreamSaved(document + 1))
    with pytest.raises(BudgetSpent) as refused:
        await claimed(ledger, 5, parse)
    assert refused.value.may_fit, "the later steps may cost less"
    await claimed(ledger, 2, extract)
    assert ledger.tally[State.SENDING] == 1 and await later_credits(ledger) == 2.0
    ledger.close()
