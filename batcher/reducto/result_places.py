"""Where something is on a page of a document, and how sure a service is of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

# How far a box may stick out of its page; spreadsheets count rows and columns instead.
SLACK: Final = 0.02


class Box(NamedTuple):
    """A place on a page, as fractions of its width and height from the upper left corner."""

    left: float
    top: float
    width: float
    height: float


class Confidence(NamedTuple):
    """How sure the service is: in a word (`high`, `low`), or from 0 to 1; None if it didn't say."""

    word: str | None = None
    score: float | None = None

    @property
    def is_low(self) -> bool:
        return self.word == "low" or (self.score is not None and self.score < 0.5)


UNSAID: Final = Confidence()


def box_of(said: Any) -> Box | None:
    """Return the box if it lies on its page."""
    if not isinstance(said, Mapping):
        return None
    sides = [_number(said.get(name)) for name in Box._fields]
    if None in sides:
        return None
    left, top, width, height = (side or 0.0 for side in sides)
    right = left + width
    bottom = top + height
    inside = -SLACK <= left < right <= 1 + SLACK and -SLACK <= top < bottom <= 1 + SLACK
    if not inside:
        return None
    left = max(left, 0.0)
    top = max(top, 0.0)
    return Box(left, top, min(right, 1.0) - left, min(bottom, 1.0) - top)


def confidence_of(word: Any, granular: Any) -> Confidence:
    """Return the confidence that is said in a word, and in numbers beside it."""
    score = None
    if isinstance(granular, Mapping):
        said = (granular.get("extract_confidence"), granular.get("parse_confidence"))
        score = next((number for one in said if (number := _number(one)) is not None), None)
    return Confidence(word.lower() if isinstance(word, str) else None, score)


def _number(said: Any) -> float | None:
    is_number = isinstance(said, int | float) and not isinstance(said, bool)
    return float(said) if is_number else None
