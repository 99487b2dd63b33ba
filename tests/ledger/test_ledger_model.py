"""The ledger against a model of plain dictionaries, and defects of the ledger that the comparison
must find.

`LEDGER_EXAMPLES=5000 pytest tests/ledger/test_ledger_model.py` looks much longer.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from ledger_model import LedgerMachine

from batcher.core import events as e
from batcher.core.lifecycle import State
from batcher.ledger import event_writes, intake
from batcher.ledger.ledger import Ledger
from batcher.ledger.queries.sending import SendingQueries

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "25"))


THOROUGH = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FOR_A_MUTANT = settings(
    THOROUGH, max_examples=1000, phases=[Phase.generate], report_multiple_bugs=False
)


@seed(43)  # it shows each of them soon; another one does so too, some later
class SameStories(LedgerMachine):
    """Tells the same stories each time."""


def compare(wanted: settings, machine: type[LedgerMachine] = LedgerMachine) -> None:
    run_state_machine_as_test(machine, settings=wanted)


def test_whatever_happens_the_ledger_says_what_the_model_says() -> None:
    """States, attempts, payers, counts and what is due, after every event and every restart."""
    compare(THOROUGH)


async def _forgets(self: Ledger) -> None:
    return None


async def _withdraws_nothing(self: Ledger) -> int:
    return 0


def _joins_only_current_ones(connection: Any, last: int) -> None:
    healthy(connection, last)
    connection.execute(
        "UPDATE documents SET state = 'queued', payer = NULL WHERE id > ? AND state = 'duplicate'"
        " AND (SELECT p.state FROM documents p WHERE p.id = documents.payer) = 'superseded'",
        (last,),
    )


healthy = intake._join_copies


def _all_are_due(self: SendingQueries, now: float, limit: int, *, scan: int) -> list[Any]:
    rows = self._connection.execute(
        "SELECT id FROM documents WHERE state IN ('queued', 'uploaded')"
    )
    return [type("Row", (), {"id": row[0]}) for row in rows]


def _leaves_it_open(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(event_writes.ATTEMPT, e.RefusedForNow, event_writes.ATTEMPT[e.ReplyLost])


def _frees_an_unknown_one(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        event_writes.ATTEMPT,
        e.ReplyLost,
        f"UPDATE attempts SET outcome = 'void', why = :reason {event_writes._OPEN}",
    )


def _forgets_a_payment(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(event_writes._UPDATE, e.Adopted, event_writes._STATE_ONLY)


def _pays_for_copies(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intake, "_join_copies", lambda connection, last: None)


def _leaves_copies_without_payer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intake, "_release_copies", lambda connection, payer, moved: None)


def _supersedes_what_is_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intake, "OUT", frozenset({State.SENDING, State.UNKNOWN}))


def _sends_every_copy_of_a_payer_that_cannot(patch: pytest.MonkeyPatch) -> None:
    patch.delitem(event_writes._FOLLOW, e.Promoted)


def _forgets_what_was_being_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "interrupted", _forgets)


def _sends_what_nobody_asks_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "end_scan", _withdraws_nothing)


def _forgets_what_superseded_documents_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intake, "_join_copies", _joins_only_current_ones)


def _takes_superseded_for_due(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SendingQueries, "due", _all_are_due)


@pytest.mark.parametrize(
    "plant",
    [
        _leaves_it_open,
        _frees_an_unknown_one,
        _forgets_a_payment,
        _pays_for_copies,
        _leaves_copies_without_payer,
        _supersedes_what_is_out,
        _sends_every_copy_of_a_payer_that_cannot,
        _forgets_what_was_being_sent,
        _takes_superseded_for_due,
        _sends_what_nobody_asks_for,
        _forgets_what_superseded_documents_left,
    ],
    ids=lambda plant: plant.__name__.strip("_").replace("_", " "),
)
def test_a_planted_defect_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one makes the ledger and the model differ within a few hundred stories."""
    plant(monkeypatch)
    with pytest.raises((AssertionError, AttributeError, ExceptionGroup)):
        compare(FOR_A_MUTANT, SameStories)
