"""Checking a batch by a sample: which documents to look at, and what that says of all. Pure.

Documents are drawn in two phases. Some hundreds are drawn by chance, and what is known of them
sorts them into groups; of these, a few of each are drawn for a person to judge, at least one, more
of the larger ones. The share of each group among the first is its weight.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Z: Final = 1.96  # an interval that holds the true rate in 95 of 100 samples
FOLDERS: Final = 6  # that are told apart
OTHER_FOLDERS: Final = "other folders"
# Documents to judge for each group on average, at least: else groups are made of fewer traits.
OF_EACH: Final = 3


class Mark(StrEnum):
    """What a person says of a result."""

    RIGHT = "right"
    WRONG = "wrong"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may be judged. `size` is in bytes, `confidence` in words."""

    document: int
    confidence: str
    type: str
    folder: str
    size: int


@dataclass(frozen=True, slots=True)
class Group:
    """Documents that are alike; `weight` is their share of all, from 0 to 1."""

    name: str
    weight: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """Which documents to judge, each with the number of its group, in the order to judge them.

    `traits` are those that the groups differ by.
    """

    traits: tuple[str, ...]
    groups: tuple[Group, ...]
    documents: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the judged documents say of all.

    `rate` is the share of wrong results; with 95 % confidence it lies between `low` and `high`.
    `effective` is how many documents drawn by mere chance would say as much. `unseen` is the share
    of all documents whose groups nobody has judged yet. Without judged documents there is no rate.
    """

    judged: int
    wrong: int
    unsure: int
    rate: float | None
    low: float
    high: float
    effective: float
    unseen: float


def draw(candidates: Sequence[Candidate], size: int, rng: random.Random) -> Drawn:
    """Draw `size` of the candidates, or all if there are no more."""
    traits, names = _groups_by(candidates, size)
    members: dict[str, list[int]] = {}
    for candidate, name in zip(candidates, names, strict=True):
        members.setdefault(name, []).append(candidate.document)
    order = sorted(members, key=lambda name: (-len(members[name]), name))
    numbers = _allotted([len(members[name]) for name in order], min(size, len(candidates)))
    chosen = [
        (document, group)
        for group, (name, number) in enumerate(zip(order, numbers, strict=True))
        for document in rng.sample(members[name], number)
    ]
    rng.shuffle(chosen)  # whoever stops early has seen some of all groups
    groups = (Group(name, len(members[name]) / len(candidates)) for name in order)
    return Drawn(traits, tuple(groups), tuple(chosen))


def estimate(
    groups: Sequence[Group], marks: Sequence[tuple[int, Mark | None]], *, of: int
) -> Estimate:
    """Return what (group, mark) of the drawn documents say of `of` documents in all."""
    judged = Counter(group for group, mark in marks if mark in (Mark.RIGHT, Mark.WRONG))
    wrong = Counter(group for group, mark in marks if mark is Mark.WRONG)
    unsure = sum(mark is Mark.UNSURE for _, mark in marks)
    seen = sum(groups[group].weight for group in judged)
    if not judged or not seen:
        return Estimate(0, 0, unsure, None, 0.0, 1.0, 0.0, 1.0)
    weights = {group: groups[group].weight / seen for group in judged}
    rate = sum(weight * wrong[group] / judged[group] for group, weight in weights.items())
    effective = 1 / sum(weight**2 / judged[group] for group, weight in weights.items())
    low, high = wilson(rate, _of_a_finite_number(effective, judged.total(), of))
    return Estimate(
        judged=judged.total(),
        wrong=wrong.total(),
        unsure=unsure,
        rate=rate,
        low=low,
        high=high,
        effective=effective,
        unseen=max(0.0, 1.0 - seen),
    )


def wilson(rate: float, number: float) -> tuple[float, float]:
    """Return Wilson's interval for a rate found in `number` documents."""
    if math.isinf(number):
        return rate, rate
    square = Z * Z / number
    middle = (rate + square / 2) / (1 + square)
    half = Z * math.sqrt(rate * (1 - rate) / number + square / (4 * number)) / (1 + square)
    return max(0.0, min(middle - half, rate)), min(1.0, max(middle + half, rate))


def _of_a_finite_number(effective: float, judged: int, of: int) -> float:
    """Return how much the sample says, given that some of few documents are no sample any more."""
    left = of - judged
    return effective * (of - 1) / left if left > 0 else math.inf


# --- groups ---------------------------------------------------------------------------------------


def _groups_by(candidates: Sequence[Candidate], size: int) -> tuple[tuple[str, ...], list[str]]:
    """Return the traits that groups are made of, and the name of each candidate's group.

    The traits that tell most about errors come first; one that makes too many groups is left out.
    """
    chosen: tuple[str, ...] = ()
    parts: list[tuple[str, ...]] = [()] * len(candidates)
    for trait, of in _traits(candidates).items():
        finer = [(*part, of(one)) for part, one in zip(parts, candidates, strict=True)]
        if len(set(finer)) * OF_EACH <= max(size, OF_EACH) and len(set(finer)) > len(set(parts)):
            chosen = (*chosen, trait)
            parts = finer
    return chosen, [" · ".join(part) or "all" for part in parts]


def _traits(candidates: Sequence[Candidate]) -> Mapping[str, Callable[[Candidate], str]]:
    counted = Counter(one.folder for one in candidates)
    often = {folder for folder, _ in counted.most_common(FOLDERS)}
    sizes = sorted(one.size for one in candidates)
    third = len(sizes) // 3
    small, large = (sizes[third], sizes[-1 - third]) if sizes else (0, 0)

    def folder(one: Candidate) -> str:
        return one.folder if one.folder in often else OTHER_FOLDERS

    def size(one: Candidate) -> str:
        if one.size <= small:
            return "small"
        return "large" if one.size > large else "middling"

    return {
        "confidence": lambda one: one.confidence,
        "type": lambda one: one.type or "no type",
        "folder": folder,
        "size": size,
    }


def _allotted(sizes: Sequence[int], number: int) -> list[int]:
    """Share `number` out in proportion to `sizes`: at least one to each, to none more than it has.

    `sizes` go down, and there are no more of them than `number`.
    """
    total = sum(sizes)
    shares = [max(1, min(size, number * size // total)) for size in sizes]
    by_rest = sorted(range(len(sizes)), key=lambda n: -(number * sizes[n] % total))
    while sum(shares) < number:
        for group in by_rest:
            if shares[group] < sizes[group] and sum(shares) < number:
                shares[group] += 1
    while sum(shares) > number:
        shares[shares.index(max(shares))] -= 1
    return shares
