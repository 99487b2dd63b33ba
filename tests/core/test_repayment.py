"""What has been paid for once is paid for again only up to a sum, or where somebody agrees."""

from dataclasses import dataclass

import pytest

from batcher.core.lifecycle import State
from batcher.core.repayment import (
    NO_LIMIT,
    Answer,
    Repayment,
    apart,
    ask_first,
    to_be_paid,
    when_all_is_seen,
)


@dataclass(frozen=True)
class Version:
    source: str
    folder: str = "inbox"
    content: str | None = "new bytes"
    step: str = "step"
    state: State = State.QUEUED
    replaces: int | None = None


@pytest.mark.parametrize(
    ("again", "unasked", "answer"),
    [
        (Repayment(), 3.0, Answer.NOTHING_WAITS),
        (Repayment(3, 3.0), 3.0, Answer.ALLOWED),
        (Repayment(3, 3.1), 3.0, Answer.ASK),
        (Repayment(1, 0.1), 0.0, Answer.ASK),
        (Repayment(9, 900.0), NO_LIMIT, Answer.NOTHING_WAITS),
    ],
)
def test_somebody_is_asked_only_above_the_sum(
    again: Repayment, unasked: float, answer: Answer
) -> None:
    """Exactly the sum passes; without a limit nothing ever waited."""
    assert when_all_is_seen(again, unasked) is answer
    assert ask_first(again, unasked) == (answer is Answer.ASK)


def test_what_would_be_paid_again_adds_up() -> None:
    """Documents and credits, beginning with none."""
    assert Repayment() == Repayment(0, 0.0)
    assert Repayment(1, 2.0).plus([0.5, 1.5]) == Repayment(3, 4.0)


def test_what_has_an_answer_or_a_verdict_costs_nothing() -> None:
    """Nor does a version that is never sent."""
    new = Version("a")
    known = Version("b", content="old bytes")
    unreadable = Version("c", state=State.FAILED)
    assert to_be_paid([new, known, unreadable], {("old bytes", "step")}) == [new]
    assert to_be_paid([known], {("old bytes", "another step")}) == [known]


def test_only_what_would_be_paid_again_waits_and_the_steps_of_a_source_stay_together() -> None:
    """Half a chain with new bytes and half with the old would fit nowhere."""
    first = Version("a", replaces=1)
    second = Version("a", step="second")
    other = Version("b", replaces=2)
    new = Version("c")
    namesake = Version("a", folder="another")
    versions = [first, second, other, new, namesake]
    assert apart(versions, {1}, 3.0) == ([other, new, namesake], [first, second])
    assert apart(versions, set(), 3.0) == (versions, [])
    assert apart(versions, {1}, NO_LIMIT) == (versions, [])
