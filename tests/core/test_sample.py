"""A sample has some of every kind of document, and says how far its rate can be believed."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.sample import Candidate, Group, Mark, draw, estimate, wilson

RIGHT, WRONG, UNSURE = Mark.RIGHT, Mark.WRONG, Mark.UNSURE


def candidate(number: int, **more: object) -> Candidate:
    facts = {"confidence": "high confidence", "type": "pdf", "folder": "a/", "size": 1, **more}
    return Candidate(number, **facts)  # type: ignore[arg-type]


def mixed(number: int) -> list[Candidate]:
    return [
        candidate(
            n,
            confidence="low confidence" if n % 10 == 0 else "high confidence",
            type=("pdf", "docx")[n % 7 == 0],
            folder=f"f{n % 3}/",
            size=n,
        )
        for n in range(number)
    ]


@given(st.integers(0, 60), st.integers(1, 80), st.integers(0, 5))
def test_as_many_as_asked_for_are_drawn_each_once(number: int, size: int, seed: int) -> None:
    """All of them, where there are no more."""
    drawn = draw(mixed(number), size, random.Random(seed))
    documents = [document for document, _ in drawn.documents]
    assert len(documents) == len(set(documents)) == min(number, size)
    assert math.isclose(sum(group.weight for group in drawn.groups), 1 if number else 0)


def test_each_group_has_some_and_large_ones_more() -> None:
    """By confidence and type; folder and size would make groups of which too few are judged."""
    drawn = draw(mixed(500), 30, random.Random(1))
    assert drawn.traits == ("confidence", "type")
    numbers = Counter(drawn.groups[group].name for _, group in drawn.documents)
    assert set(numbers) == {
        "high confidence · pdf", "high confidence · docx",
        "low confidence · pdf", "low confidence · docx",
    }  # fmt: skip
    assert numbers.most_common(1)[0][0] == "high confidence · pdf"


def test_traits_that_tell_nothing_apart_make_no_groups() -> None:
    """Documents that are all alike are one group."""
    drawn = draw([candidate(n) for n in range(9)], 5, random.Random(1))
    assert (drawn.traits, drawn.groups) == ((), (Group("all", 1.0),))


def test_wilson_s_interval_is_that_of_the_books() -> None:
    """5 of 50: Wilson (1927), as statistics packages give it."""
    low, high = wilson(0.1, 50)
    assert (round(low, 4), round(high, 4)) == (0.0435, 0.2136)
    assert wilson(0.0, 50)[0] == 0.0
    assert wilson(0.0, 50)[1] == pytest.approx(0.0713, abs=1e-4)


def test_groups_count_by_their_weight_and_not_by_how_many_were_judged() -> None:
    """A rare group of which half were judged wrong doesn't make half of all wrong."""
    groups = [Group("often", 0.9), Group("rare", 0.1)]
    marks = [(0, RIGHT)] * 10 + [(1, WRONG)] * 5 + [(1, RIGHT)] * 5
    found = estimate(groups, marks, of=10_000)
    assert found.rate == pytest.approx(0.05)
    assert found.low < 0.05 < found.high
    assert found.effective == pytest.approx(1 / (0.81 / 10 + 0.01 / 10))
    assert (found.judged, found.wrong, found.unseen) == (20, 5, 0.0)


def test_what_nobody_is_sure_of_counts_for_neither() -> None:
    """Nor do documents without a mark; groups without any are told as unseen."""
    groups = [Group("a", 0.75), Group("b", 0.25)]
    found = estimate(groups, [(0, RIGHT), (0, UNSURE), (0, None), (1, UNSURE)], of=100)
    assert (found.judged, found.unsure, found.rate, found.unseen) == (1, 2, 0.0, 0.25)
    nothing = estimate(groups, [(0, None), (1, UNSURE)], of=100)
    assert (nothing.rate, nothing.low, nothing.high) == (None, 0.0, 1.0)


def test_whoever_judges_all_documents_knows_the_rate() -> None:
    """And of half of few, more than of as many out of a million."""
    marks = [(0, WRONG), *[(0, RIGHT)] * 9]
    one = [Group("all", 1.0)]
    all_of_them = estimate(one, marks, of=10)
    assert (all_of_them.low, all_of_them.rate, all_of_them.high) == (0.1, 0.1, 0.1)
    few, many = (estimate(one, marks, of=of) for of in (20, 1_000_000))
    assert few.high - few.low < many.high - many.low
