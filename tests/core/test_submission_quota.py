"""A run promises no more places than its cap has, and takes back what was surely not used."""

from __future__ import annotations

from batcher.core.submission_quota import Allowance


def test_what_is_promised_or_used_is_not_free() -> None:
    """Whether a submission is on record yet makes no difference to the others."""
    allowance = Allowance(3)
    allowance.promise(1)
    allowance.promise(2)
    allowance.use(1)
    assert allowance.left(48) == 1
    allowance.withdraw(2)
    assert allowance.left(48) == 2 and allowance.left(1) == 1


def test_a_place_given_back_is_free_again() -> None:
    """It is so also after all were taken; and whoever was promised one too many is told."""
    allowance = Allowance(1)
    allowance.promise(1)
    allowance.use(1)
    allowance.promise(2)
    assert allowance.exceeded and allowance.left(48) == 0
    allowance.give_back()
    assert not allowance.exceeded and allowance.left(48) == 0
    allowance.withdraw(2)
    assert allowance.left(48) == 1


def test_without_a_cap_all_is_free() -> None:
    """Nothing is ever too much."""
    allowance = Allowance(None)
    allowance.promise(1)
    allowance.use(1)
    assert allowance.left(48) == 48 and not allowance.exceeded and not allowance.used_up


def test_a_run_has_made_its_submissions_once_all_are_on_record() -> None:
    """A promise alone isn't one; and one that wasn't accepted is made again."""
    allowance = Allowance(2)
    allowance.use(1)
    allowance.promise(2)
    assert not allowance.used_up
    allowance.use(2)
    assert allowance.used_up
    allowance.give_back()
    assert not allowance.used_up
