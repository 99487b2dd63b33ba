"""The reference of a manifest's keys is complete, up to date, and each of its examples is read."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher.manifest import keys
from batcher.manifest.reference import BEGIN, KINDS, TABLES, example, with_reference
from batcher.manifest.values import READERS

README = Path(__file__).parents[2] / "manifests" / "README.md"
KEYS = [(title, name, key) for title, table, _ in TABLES for name, key in table.items()]


def tables_within(table: keys.Table) -> Iterator[keys.Table]:
    yield table
    for key in table.values():
        if key.table is not None:
            yield from tables_within(key.table)


def test_it_is_up_to_date() -> None:
    """If not: python -m batcher.manifest.reference manifests/README.md"""
    text = README.read_text("utf-8")
    assert BEGIN in text
    assert with_reference(text) == text


def test_it_has_every_table() -> None:
    """Each that a manifest may hold, and the one that stands beside the errors of `[retry]`."""
    shown = [id(table) for _, table, _ in TABLES]
    held = [id(table) for table in (*tables_within(keys.MANIFEST), keys.RETRIES)]
    assert sorted(shown) == sorted(held)


def test_it_says_what_each_kind_of_value_looks_like() -> None:
    """Neither fewer kinds nor more than there are readers for."""
    assert set(KINDS) == set(READERS)


@pytest.mark.parametrize(
    ("title", "name", "key"), KEYS, ids=[f"{title}-{name}" for title, name, _ in KEYS]
)
def test_each_example_is_read(title: str, name: str, key: keys.Key) -> None:
    """As TOML, by the reader of the key's kind, as one of the values that the key takes."""
    data = tomllib.loads(example(title, name, key))
    if not key.example:
        assert key.table is not None
        return
    value = data[name]
    READERS[key.kind](value, Path("/folder"))
    values = value if isinstance(value, list) else [value]
    assert not key.among or set(values) <= set(key.among)
