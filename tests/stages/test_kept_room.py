"""Which later steps room is kept for: they are sent first, and near a limit nothing else begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from batcher.core import events as e
from batcher.core.budget import Budget
from batcher.core.reservations import Fear
from batcher.ledger import run_spend
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, open_ledger
from batcher.manifest.model import Limits
from batcher.stages.kept_room import KeptRoom

NOW = 1_800_000_000.0
# a.pdf is parsed and then extracted from, and so is b.pdf; c.pdf is only parsed
A, A_LATER, B, B_LATER, C = 1, 2, 3, 4, 5


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = open_ledger(tmp_path / "ledger.db", batch="b", clock=lambda: NOW)
    parses = [
        Version(name, "/in", "parse", "s", f"hash {name}", 10, 1, 1, f"{name}.json")
        for name in ("a.pdf", "b.pdf", "c.pdf")
    ]
    for parse in parses:
        later = replace(parse, job="extract", step="t", output="x." + parse.output)
        is_last = parse.source == "c.pdf"
        await ledger.admit([parse] if is_last else [parse, replace(later, upstream="parse")])
    yield ledger
    ledger.close()


@pytest.fixture
def room(ledger: Ledger) -> KeptRoom:
    """With room for the later step of a.pdf and for that of b.pdf."""
    room = KeptRoom(ledger)
    ledger.listeners.append(room.hear)
    room.keep([A_LATER], after=A)
    room.keep([B_LATER], after=B)
    return room


async def sent(ledger: Ledger, document: int) -> None:
    sending = e.Sending(document, f"n{document}", "local", "local", 1.0)
    await ledger.record(e.Uploaded(document, f"reducto://{document}"), sending)


async def saved(ledger: Ledger, document: int) -> None:
    await sent(ledger, document)
    await ledger.record(e.Accepted(document, f"job-{document}", NOW + 1))
    await ledger.record(e.Ended(document, 1, 1.0))
    await ledger.record(e.Saved(document, f"{document}.json", "hash", 1))


def due(room: KeptRoom, limit: int = 9) -> list[int]:
    return [row.id for row in room.due(NOW, limit)]


def only_begun(room: KeptRoom) -> list[int]:
    """Those that may be sent although a limit leaves no room for others."""
    limit, room.limit = room.limit, "a limit"
    try:
        return due(room)
    finally:
        room.limit = limit


async def test_without_room_kept_documents_are_due_in_their_order(ledger: Ledger) -> None:
    """And no limit stands in their way."""
    room = KeptRoom(ledger)
    assert not room and not room.limit
    assert due(room) == [A, B, C]
    assert due(room, 2) == [A, B]


async def test_what_room_is_kept_for_is_sent_first(ledger: Ledger, room: KeptRoom) -> None:
    """Beside as many others as were asked for, and none of them twice."""
    await saved(ledger, B)
    await ledger.record(e.UpstreamSaved(B_LATER))
    assert due(room) == [B_LATER, A, C]
    assert due(room, 1)[0] == B_LATER and A in due(room, 1)


async def test_as_many_others_are_due_as_were_asked_for(ledger: Ledger, room: KeptRoom) -> None:
    """Where the later step is among the first of them anyway."""
    await saved(ledger, A)
    await ledger.record(e.UpstreamSaved(A_LATER))
    assert due(room, 2) == [A_LATER, B, C]


async def test_near_a_limit_only_what_is_begun_and_its_later_steps_are_sent(
    ledger: Ledger, room: KeptRoom
) -> None:
    """The step before may have to be sent again."""
    room.limit = "max_pages is reached"
    assert due(room) == [A, B]
    await saved(ledger, B)
    await ledger.record(e.UpstreamSaved(B_LATER))
    assert due(room) == [A, B_LATER]


async def test_nothing_else_begins_while_a_later_step_may_cost_less(
    ledger: Ledger, room: KeptRoom
) -> None:
    """Until one of them is sent: then there may be room for more."""
    room.wait(may_shrink=False)
    assert C in due(room)
    room.wait(may_shrink=True)
    assert due(room) == [A, B]
    await saved(ledger, B)
    await ledger.record(e.UpstreamSaved(B_LATER))
    assert due(room) == [A, B_LATER]
    await sent(ledger, B_LATER)
    assert due(room) == [A, C]


async def test_whoever_waits_for_nothing_isnt_kept_waiting(ledger: Ledger) -> None:
    """Where the last later step is gone, nothing could become cheaper."""
    room = KeptRoom(ledger)
    room.wait(may_shrink=True)
    assert due(room) == [A, B, C]


async def test_a_later_step_that_is_sent_needs_no_room(ledger: Ledger, room: KeptRoom) -> None:
    """Its own attempt is on record from then on; refused, it stands in line like any other."""
    await saved(ledger, B)
    await ledger.record(e.UpstreamSaved(B_LATER))
    assert room
    await sent(ledger, B_LATER)
    assert only_begun(room) == [A]
    await ledger.record(e.RefusedForNow(B_LATER, "busy", NOW))
    assert due(room) == [A, C, B_LATER]


async def test_a_later_step_that_comes_to_nothing_needs_no_room(
    ledger: Ledger, room: KeptRoom
) -> None:
    """The others keep theirs."""
    await ledger.record(e.UpstreamFailed(A_LATER, "no", "document"))
    assert room and only_begun(room) == [B]
    await ledger.record(e.Cancelled(B_LATER, "by a person"))
    assert not room


@pytest.mark.parametrize(
    "ending",
    [e.JobFailed(A, "no", "document"), e.JobToRepeat(A, "TIMEOUT", NOW), e.Expired(A, "late")],
    ids=lambda event: type(event).__name__,
)
async def test_a_first_step_that_ends_or_is_sent_again_frees_what_follows_it(
    ending: e.Event, ledger: Ledger, room: KeptRoom
) -> None:
    """Documents that are all to be sent again would wait for one another."""
    await sent(ledger, A)
    await ledger.record(e.Accepted(A, "job-1", NOW + 1), ending)
    assert only_begun(room) == [B]


async def test_a_first_step_under_way_keeps_the_room_of_what_follows_it(
    ledger: Ledger, room: KeptRoom
) -> None:
    """From the moment it is sent until it is saved."""
    await sent(ledger, A)
    await ledger.record(e.Accepted(A, "job-1", NOW + 1))
    await ledger.record(e.Ended(A, 1, 1.0))
    await ledger.record(e.Saved(A, "a.json", "hash", 1))
    await ledger.record(e.UpstreamSaved(A_LATER))
    assert only_begun(room) == [A_LATER, B]


async def test_a_document_that_was_not_out_frees_nothing(ledger: Ledger, room: KeptRoom) -> None:
    """What becomes of others, and of its preparation, makes no difference."""
    await sent(ledger, C)
    await ledger.record(e.Accepted(C, "job-5", NOW + 1), e.JobFailed(C, "no", "document"))
    await ledger.record(e.Postponed(A, "busy", NOW, 1))
    assert sorted(only_begun(room)) == [A, B]


async def test_a_document_with_two_later_steps_frees_both(ledger: Ledger) -> None:
    """None of them can come any more."""
    room = KeptRoom(ledger)
    ledger.listeners.append(room.hear)
    room.keep([A_LATER, B_LATER], after=A)
    await sent(ledger, A)
    await ledger.record(e.Rejected(A, "no", "document"))
    assert not room


@pytest.mark.parametrize("document", [B_LATER, B], ids=["the step", "the document before it"])
async def test_what_does_not_fit_has_no_room_in_the_ledger_either(
    document: int, ledger: Ledger, room: KeptRoom
) -> None:
    """Else the limit would be short of it until the end of the run."""
    await ledger.keep_to(Budget(Limits(max_credits=100)))
    for step, credits in ((A_LATER, 1.0), (B_LATER, 2.0)):
        fear = Fear(1.0, credits, 1.0, credits)
        await ledger._writer.do(lambda c, s=step, f=fear: run_spend.keep(c, s, f))
    room.wait(may_shrink=True)
    await room.free(document)
    assert await ledger._writer.do(lambda c: run_spend.spend(c).later_credits) == 1.0
    assert only_begun(room) == [A]
    assert due(room) == [A, B, C]
