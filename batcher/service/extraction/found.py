"""What extraction hands on: the schema's own shape with a `Value` at each leaf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batcher.service.extraction.document_index import Spot


@dataclass(frozen=True, slots=True)
class Value:
    """`value` is None where nothing was sure enough; `score` 0 to 1; `spots` where it stands, and
    what stands there.
    """

    value: Any = None
    score: float = 0.0
    spots: tuple[tuple[Spot, str], ...] = ()


Tree = Value | dict[str, Any] | list[Any]
