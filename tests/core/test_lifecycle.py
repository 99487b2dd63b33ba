"""The one table: complete, without dead ends, and the only thing that decides."""

import itertools

import pytest

from batcher.core import events
from batcher.core.lifecycle import (
    MAY_HAVE_COST,
    OPEN,
    PAYS_FOR_NOBODY,
    TABLE,
    VERDICTS,
    Impossible,
    State,
    advance,
    diagram,
)

EVENTS = [
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, events.Event)
]


def test_every_state_has_its_row() -> None:
    """No state is forgotten, and each belongs to exactly one of open, verdict, saved and
    superseded.
    """
    assert set(TABLE) == set(State)
    assert OPEN | VERDICTS | {State.SAVED, State.SUPERSEDED} == set(State)
    assert not OPEN & VERDICTS


def test_every_event_can_happen() -> None:
    """An event that no state takes would be dead code."""
    taken = {kind for row in TABLE.values() for kind in row}
    assert taken == set(EVENTS) - {events.Event}


def test_every_open_state_can_reach_saved() -> None:
    """Whatever a document is in the middle of, there is a way to its result."""
    reach = {state: {state} for state in State}
    for _ in State:
        for state, row in TABLE.items():
            for target in row.values():
                reach[state] |= reach[target]
    assert all(State.SAVED in reach[state] for state in OPEN)


def test_an_event_out_of_place_is_impossible() -> None:
    """What the table doesn't say can't be, and says so."""
    refused = 0
    for state, kind in itertools.product(State, EVENTS):
        event = kind(*(1 for _ in kind.__struct_fields__))
        if kind in TABLE[state]:
            assert advance(state, event) is TABLE[state][kind]
        else:
            refused += 1
            with pytest.raises(Impossible):
                advance(state, event)
    assert refused > 100


def test_nothing_is_sent_again_while_its_fate_is_unknown() -> None:
    """From unknown, the only way back to the queue is proof of absence."""
    back = {
        kind
        for kind, target in TABLE[State.UNKNOWN].items()
        if target in (State.QUEUED, State.UPLOADED)
    }
    assert back == {events.ProvenAbsent}


def test_a_copy_shares_every_end_of_what_was_perhaps_paid_for() -> None:
    """And of what was refused; only what nobody will pay for any more hands over to it."""
    shared = {State.SAVED, State.FAILED, State.EXPIRED, State.LOST, State.STUCK, State.HELD}
    assert set(State) - OPEN - shared == PAYS_FOR_NOBODY


def test_every_verdict_with_a_job_behind_it_may_have_cost_something() -> None:
    """What says that its bytes were never taken by anybody costs nothing; all others count, whoever
    has them next.
    """
    shared = {State.FAILED, State.EXPIRED, State.LOST, State.STUCK, State.HELD}
    assert shared == MAY_HAVE_COST
    assert VERDICTS - PAYS_FOR_NOBODY == MAY_HAVE_COST


def test_the_diagram_names_the_main_road() -> None:
    """The picture in batcher/README.md is drawn from the table."""
    first = diagram().splitlines()[0]
    assert all(
        state in first for state in ("queued", "uploaded", "sending", "waiting", "ready", "saved")
    )
