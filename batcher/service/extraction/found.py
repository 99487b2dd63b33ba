"""The result of an extraction: a tree in the schema's shape with a `Value` at each leaf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batcher.service.extraction.document_index import Spot


@dataclass(frozen=True, slots=True)
class Value:
    """A field's value with the places that show it.

    `value` is None if nothing was sure enough. `score` is the confidence from 0 to 1. Each of
    `spots` is a place with the text that stands there.
    """

    value: Any = None
    score: float = 0.0
    spots: tuple[tuple[Spot, str], ...] = ()


Tree = Value | dict[str, Any] | list[Any]
