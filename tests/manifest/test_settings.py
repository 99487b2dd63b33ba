"""Flags in a manifest: which tables they set, and what is said where others differ from them."""

from __future__ import annotations

from typing import Any

import pytest

from batcher.errors import ManifestError
from batcher.manifest.settings import Setting, apply

INCLUDE = Setting("--include *.pdf", "source", "include", ["*.pdf"])
EXCLUDE = Setting("--exclude old/", "source", "exclude", ["old/"], adds=True)
COST = Setting("--max-cost 75", "limits", "max_cost", 75)
IN_FLIGHT = Setting("--concurrency 50", "service", "max_in_flight", 50)


def applied(data: dict[str, Any], *settings: Setting, overrides: tuple[str, ...] = ()) -> list[str]:
    told: list[str] = []
    apply(data, settings, overrides, where="nightly.toml", tell=told.append)
    return told


def test_a_flag_sets_every_table_of_its_name_and_a_short_form_becomes_one() -> None:
    """But a listing says itself which documents it means."""
    listed = {"listing": "docs.csv"}
    data: dict[str, Any] = {"service": "reducto", "source": [{"directory": "a"}, {}, dict(listed)]}
    assert applied(data, INCLUDE, IN_FLIGHT) == []
    assert [source.get("include") for source in data["source"]] == [["*.pdf"], ["*.pdf"], None]
    assert data["service"] == {"name": "reducto", "max_in_flight": 50}
    with pytest.raises(ManifestError, match=r"--include .* listing"):
        applied({"source": listed}, INCLUDE)


def test_a_flag_counts_before_the_manifest_and_says_so() -> None:
    """Where it narrows what the manifest says, it adds to it and says nothing."""
    data = {"limits": {"max_cost": 50.0}, "source": {"exclude": ["drafts/"]}}
    (told,) = applied(data, COST, EXCLUDE)
    assert told == "--max-cost 75 counts in this run; nightly.toml says limits.max_cost = 50.0"
    assert data == {"limits": {"max_cost": 75}, "source": {"exclude": ["drafts/", "old/"]}}
    assert applied(data, COST, EXCLUDE) == []


def test_the_more_specific_counts_and_that_is_said() -> None:
    """`-S` for one place counts before a flag, and a flag before `-S` for a whole table."""
    data: dict[str, Any] = {"source": [{"directory": "a"}, {"directory": "b"}]}
    overrides = ('source.1.include=["*.txt"]', 'limits={"max_pages":9}')
    told = applied(data, INCLUDE, COST, overrides=overrides)
    assert told == ["-S source.1.include counts before --include *.pdf"]
    assert [source["include"] for source in data["source"]] == [["*.pdf"], ["*.txt"]]
    assert data["limits"] == {"max_pages": 9, "max_cost": 75}
