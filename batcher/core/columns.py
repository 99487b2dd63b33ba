"""The columns of a table of results, and their types."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

Columns = Mapping[str, "ColumnType"]


class ColumnType(StrEnum):
    """The type of a column's values."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
