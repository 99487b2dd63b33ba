"""Decides whether what has been paid for once may be paid for again without asking.

`stages.repay_guard` gathers the facts, asks, and carries the decisions out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol, TypeVar

from batcher.core.lifecycle import State

NO_LIMIT: Final = math.inf  # credits


class Answer(Enum):
    """Whether documents that would be paid for again may be sent."""

    NOTHING_WAITS = auto()
    ALLOWED = auto()
    ASK = auto()  # only if a person agrees


@dataclass(frozen=True, slots=True)
class Repayment:
    """What would be paid for again: the number of documents, and the approximate credits."""

    documents: int = 0
    credits: float = 0.0

    def plus(self, worth: Collection[float]) -> Repayment:
        """Return this with further documents added; `worth` holds the credits of each."""
        return Repayment(self.documents + len(worth), self.credits + sum(worth))


class Found(Protocol):
    """A version of a document as the scanner found it."""

    @property
    def folder(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def content(self) -> str | None: ...
    @property
    def step(self) -> str: ...
    @property
    def state(self) -> State: ...
    @property
    def replaces(self) -> int | None: ...


V = TypeVar("V", bound=Found)


def ask_first(again: Repayment, unasked: float) -> bool:
    """Return whether a person has to agree. Up to `unasked` credits need no agreement."""
    return again.credits > unasked


def when_all_is_seen(again: Repayment, unasked: float) -> Answer:
    """Decide about the versions that were held back until all files had been found."""
    if unasked == NO_LIMIT or not again.documents:
        return Answer.NOTHING_WAITS
    return Answer.ASK if ask_first(again, unasked) else Answer.ALLOWED


def to_be_paid(versions: Iterable[V], answered: Set[tuple[str, str]]) -> list[V]:
    """Return the queued versions whose content and step aren't among those `answered` already."""
    return [
        version
        for version in versions
        if version.state is State.QUEUED and (version.content, version.step) not in answered
    ]


def apart(versions: Sequence[V], worth: Collection[int], unasked: float) -> tuple[list[V], list[V]]:
    """Return the versions that pass at once, and those held back until all files are found.

    `worth` are the documents that would be paid for again. All steps of a source stay together.
    """
    if unasked == NO_LIMIT:
        return list(versions), []
    waiting = {(one.folder, one.source) for one in versions if one.replaces in worth}
    passing = [one for one in versions if (one.folder, one.source) not in waiting]
    return passing, [one for one in versions if (one.folder, one.source) in waiting]
