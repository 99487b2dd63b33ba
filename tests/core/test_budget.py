"""What still fits into the limits of a run, and when its night is over."""

from datetime import datetime, time

import pytest

from batcher.core.budget import Budget, Spend, nearest
from batcher.core.manifest import Limits

FITS = {
    "nothing limits it": (Limits(), Spend(900, 900.0), 50.0),
    "the last document": (Limits(max_documents=3), Spend(submissions=2), 1.0),
    "the last credit": (Limits(max_credits=10), Spend(9, estimated_out=9.0), 1.0),
    "the last page": (Limits(max_pages=10), Spend(4, estimated_ended=6.0, pages=6.0, credits=6.0), 4.0),
}
TOO_MUCH = {
    "one document more": (Limits(max_documents=3), Spend(submissions=3), 1.0, "max_documents"),
    "what is out counts": (Limits(max_credits=10), Spend(9, estimated_out=9.5), 1.0, "max_credits"),
    "dollars": (Limits(max_cost=0.15), Spend(10, estimated_out=10.0), 1.0, "max_cost"),
    "dearer than estimated so far": (Limits(max_credits=12), Spend(6, 4.0, 2.0, 2.0, 4.0), 1.0, "max_credits"),
    "longer than estimated so far": (Limits(max_pages=12), Spend(6, 4.0, 2.0, 4.0, 2.0), 1.0, "max_pages"),
    "a cap below one document": (Limits(max_credits=0.5), Spend(), 1.0, "less than one document"),
}


@pytest.mark.parametrize("name", FITS)
def test_what_fits_is_let_through(name: str) -> None:
    """Up to the cap, and the cap itself."""
    limits, spend, cost = FITS[name]
    assert Budget(limits, credits_per_page=1.0).refusal(spend, cost) is None


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_would_pass_a_limit_is_refused_in_its_name(name: str) -> None:
    """Before the cap is passed, not after."""
    limits, spend, cost, told = TOO_MUCH[name]
    refusal = Budget(limits, credits_per_page=1.0).refusal(spend, cost)
    assert refusal is not None and told in refusal


def test_a_sample_that_is_sent_is_told_as_what_was_typed() -> None:
    """Documents are counted, not spent."""
    refusal = Budget(Limits(max_documents=200), credits_per_page=1.0).refusal(Spend(submissions=200), 1.0)
    assert refusal is not None and "--sample" in refusal and "spent" not in refusal


def test_what_is_out_is_feared_to_be_dense_until_bills_say_otherwise() -> None:
    """And may fit later, save where it wouldn't at its estimate either."""
    budget = Budget(Limits(max_credits=10), credits_per_page=1.0, dense=2.0)
    assert budget.refusal(Spend(4, estimated_out=4.0), 1.0) is None
    assert budget.refusal(Spend(5, estimated_out=5.0), 1.0)
    assert budget.may_fit_later(Spend(5, estimated_out=5.0), 1.0)
    assert not budget.may_fit_later(Spend(10, estimated_out=10.0), 1.0)
    assert not budget.may_fit_later(Spend(10, 0.0, 10.0, 10.0, 10.0), 1.0), "nothing is out that could change it"
    known = Budget(Limits(max_credits=1000), credits_per_page=1.0, dense=2.0)
    assert known.refusal(Spend(980, 80.0, 900.0, 900.0, 900.0), 1.0) is None, "nine hundred bills are evidence"


def test_a_night_that_begins_late_is_over() -> None:
    """At 06:05 a stop at 06:00 lies five minutes back; at 22:00 it lies eight hours ahead."""
    assert nearest(time(6), datetime(2026, 3, 2, 6, 5)) == datetime(2026, 3, 2, 6)
    assert nearest(time(6), datetime(2026, 3, 2, 22)) == datetime(2026, 3, 3, 6)
    assert nearest(time(23, 30), datetime(2026, 3, 2, 1)) == datetime(2026, 3, 1, 23, 30)
