"""What still fits into the limits of a run, and when its night is over."""

from datetime import datetime, time

import pytest

from batcher.core.budget import Budget, Spend, Surprise, next_occurrence
from batcher.core.reservations import Fear
from batcher.manifest.model import Limits

ONE = Fear(pages=1.0, credits=1.0, most_pages=1.0, most_credits=2.0)
FITS_BESIDE = {
    "nothing limits it": (Limits(), Spend(900, 900.0, 900.0, 900.0, 900.0)),
    "the last credit": (Limits(max_credits=10), Spend(8, 4.0, 4.0, 4.0, 4.0)),
    "the last page": (Limits(max_pages=10), Spend(4, 4.0, 4.0, 5.0, 50.0)),
}
NOT_BESIDE = {
    "what is out counts with what it may cost": (
        Limits(max_credits=10),
        Spend(8, 4.0, 4.0, 4.0, 4.5),
    ),
    "pages that are out": (Limits(max_pages=10), Spend(9, 4.0, 4.0, 5.5, 5.0)),
    "dollars": (Limits(max_cost=0.15), Spend(10, out_credits=9.0)),
}


@pytest.mark.parametrize("name", FITS_BESIDE)
def test_what_fits_at_its_most_goes_beside_others(name: str) -> None:
    """Up to the cap, and the cap itself."""
    limits, spend = FITS_BESIDE[name]
    assert Budget(limits).beside_others(spend, ONE)


@pytest.mark.parametrize("name", NOT_BESIDE)
def test_what_might_pass_a_limit_does_not_go_beside_others(name: str) -> None:
    """But it isn't refused for good: bills may make room for it."""
    limits, spend = NOT_BESIDE[name]
    budget = Budget(limits)
    assert not budget.beside_others(spend, ONE) and budget.in_any_case(spend, ONE) is None


def test_with_nothing_out_it_goes_at_what_is_expected() -> None:
    """And is refused in the limit's name where that is too much."""
    budget = Budget(Limits(max_credits=10))
    assert budget.alone(Spend(9, 9.0, 9.0), ONE) is None
    assert "max_credits = 10 is reached" in (budget.alone(Spend(9, 9.0, 9.5), ONE) or "")


def test_what_was_never_billed_stays_reserved() -> None:
    """Held or lost: it counts with what it may cost, though nobody waits for it."""
    budget = Budget(Limits(max_credits=10))
    assert budget.alone(Spend(9, 7.0, 7.0, 1.0, 2.5), ONE)


def test_a_document_that_fits_under_no_circumstances_waits_for_nothing() -> None:
    """Smaller ones may still go."""
    told = Budget(Limits(max_pages=20)).in_any_case(
        Spend(3, out_pages=3.0), Fear(30.0, 30.0, 30.0, 60.0)
    )
    assert told is not None and "less than one document needs (30)" in told


def test_a_sample_that_is_sent_is_told_as_what_was_typed() -> None:
    """Documents are counted, not spent."""
    refusal = Budget(Limits(max_documents=200)).beyond_number(Spend(submissions=200))
    assert refusal is not None and "--sample" in refusal and "spent" not in refusal
    assert Budget(Limits(max_documents=200)).beyond_number(Spend(submissions=199)) is None


def test_a_cap_that_was_passed_is_told_with_the_document_and_its_figures() -> None:
    """In the unit of the limit."""
    spend = Spend(40, 104.0, 104.0)
    last = Surprise("x.docx", 6.0, 6.0, 2.0, 2.0)
    (told,) = Budget(Limits(max_credits=100)).overruns(spend, last)
    assert told.words() == (
        "limits.max_credits = 100: 104 spent; the last document (x.docx) cost 6 and was expected "
        "to cost 2"
    )
    (told,) = Budget(Limits(max_cost=1.5)).overruns(spend, last)
    assert "cost 0.09 and was expected to cost 0.03" in told.words()
    assert Budget(Limits(max_pages=104)).overruns(spend, last) == []


def test_a_document_is_not_blamed_for_more_than_its_own_surprise() -> None:
    """Where bills of several were higher than expected, that is said."""
    last = Surprise("x.pdf", 9.0, 9.0, 1.0, 1.0)
    (told,) = Budget(Limits(max_pages=20)).overruns(Spend(20, 180.0, 180.0), last)
    assert told.words().endswith("to cost 1; others before it cost more than expected, too")
    (told,) = Budget(Limits(max_pages=20)).overruns(Spend(20, 28.0, 28.0), last)
    assert told.words().endswith("to cost 1")


def test_a_night_that_begins_late_is_over() -> None:
    """At 06:05 a stop at 06:00 lies five minutes back; at 22:00 it lies eight hours ahead."""
    assert next_occurrence(time(6), datetime(2026, 3, 2, 6, 5)) == datetime(2026, 3, 2, 6)
    assert next_occurrence(time(6), datetime(2026, 3, 2, 22)) == datetime(2026, 3, 3, 6)
    assert next_occurrence(time(23, 30), datetime(2026, 3, 2, 1)) == datetime(2026, 3, 1, 23, 30)
    assert next_occurrence(time(6), datetime(2026, 3, 2, 11, 59)) == datetime(2026, 3, 2, 6)


def test_a_night_that_begins_in_the_afternoon_lasts_until_the_morning() -> None:
    """More than twelve hours ahead is ahead all the same: a stop is past for six hours only."""
    assert next_occurrence(time(6), datetime(2026, 3, 2, 17, 30)) == datetime(2026, 3, 3, 6)
    assert next_occurrence(time(6), datetime(2026, 3, 2, 12)) == datetime(2026, 3, 3, 6)
    assert next_occurrence(time(6), datetime(2026, 3, 2, 5, 59)) == datetime(2026, 3, 2, 6)
    assert next_occurrence(time(20), datetime(2026, 3, 2, 3)) == datetime(2026, 3, 2, 20)
