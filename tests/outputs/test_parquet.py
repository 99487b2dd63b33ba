"""Rows as Parquet: whatever a result holds, it can be written, and read again."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from batcher.core.columns import Columns, ColumnType
from batcher.outputs.parquet import write
from batcher.outputs.rows import columns_for, grown, rows_of, widen
from batcher.reducto.results import Origin

ORIGIN = Origin("a.pdf", "parse", "j", 1, 1.0, None)
NAMES = [
    "",
    "a",
    "A",
    "a.b",
    "b",
    "\0",
    "source",
    "SOURCE",
    "other",
    "row",
    "page",
    "content",
    "\U0001f600",
    "x" * 300,
]
LEAVES = [
    None,
    True,
    0,
    -1,
    1.5,
    2**53 + 1,
    2**63,
    -(2**70),
    10**400,
    1e308,
    "",
    "x",
    "\ud83d",
    "\0",
    {},
    [],
    [{}],
    [1, "x"],
]


def made_up(rng: random.Random, depth: int) -> Any:
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(LEAVES)
    return {rng.choice(NAMES): made_up(rng, depth - 1) for _ in range(rng.randrange(5))}


@pytest.mark.parametrize("endpoint", ["parse", "extract", "split", "classify", "pipeline"])
@pytest.mark.parametrize("seed", range(5))
def test_any_rows_are_written_and_read_again(seed: int, endpoint: str, tmp_path: Path) -> None:
    """With the columns of the step, or those that the rows of earlier files have left."""
    rng = random.Random(seed)
    columns = columns_for(endpoint, {})
    known: Columns | None = None
    for _ in range(10):
        records = [made_up(rng, 3) for _ in range(5)]
        kind = rng.choice([endpoint, "extract", "split", "v3_extract", "classify"])
        result = {"splits": records} if kind == "split" else records
        body = json.dumps({"response_type": kind, "result": result}).encode()
        rows = list(rows_of(body, ORIGIN))
        kinds: dict[str, ColumnType | None] = {}
        for row in rows:
            widen(kinds, row)
        known = grown(known, kinds)
        for used in (columns or known, known):
            write(tmp_path / "a.parquet", used, iter(rows))
            table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
            assert table.num_rows == len(rows) and table.column_names == list(used)
    assert len({name.lower() for name in known or ()}) == len(known or ())


def test_a_record_of_ten_thousand_names_is_no_table() -> None:
    """The first thousand are columns, the others stand beside them."""
    columns = grown(None, {f"name {number}": ColumnType.TEXT for number in range(10_000)})
    assert len(columns) <= 1_001 and "other" in columns
