"""The columns of a table of results, and what stands in each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

Columns = Mapping[str, "ColumnType"]


class ColumnType(StrEnum):
    """What stands in a column."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
