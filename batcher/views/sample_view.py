"""What a checked sample says of all results, in words."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from batcher.common.formatting import pluralize
from batcher.core.sample import Estimate, Mark
from batcher.maintenance.sample_file import Sample, read_sample, replaced_since
from batcher.views.plots import table
from batcher.views.status import plain


@dataclass(frozen=True, slots=True)
class Checked:
    """A sample as it stands; `replaced` are documents that have another result by now."""

    sample: Sample
    replaced: frozenset[int] = frozenset()

    @property
    def estimate(self) -> Estimate:
        return self.sample.estimate(self.replaced)

    def groups(self) -> list[tuple[str, float, Counter[str]]]:
        """Return each group with its weight, and how many of it are drawn and marked how."""
        counted = [Counter[str]() for _ in self.sample.groups]
        for one in self.sample.documents:
            if one.document not in self.replaced:
                counted[one.group]["drawn"] += 1
                counted[one.group][one.mark or "unmarked"] += 1
        return [
            (group.name, group.weight, counted[number])
            for number, group in enumerate(self.sample.groups)
        ]


def checked_sample(connection: sqlite3.Connection, ledger: Path) -> Checked | None:
    """Return the sample of a ledger's batch, or None if none was drawn. Raises BatcherError."""
    sample = read_sample(ledger)
    return None if sample is None else Checked(sample, replaced_since(connection, sample))


def checked_section(checked: Checked) -> Iterator[str]:
    """Yield what a report says of a sample, as HTML."""
    found = checked.estimate
    sentences = escape(plain(" ".join(method_words(checked.sample, found))))
    yield f"<p class='wide'><strong>{escape(rate_words(found))}</strong> {sentences}</p>"
    rows = [
        (plain(name), f"{weight:.1%}", *(f"{counted[mark]:,}" for mark in ("drawn", *Mark)))
        for name, weight, counted in checked.groups()
    ]
    head = ("group", "share of all", "drawn", *map(str, Mark))
    yield f"<div class='wide'>{table('Judged by hand, by group', head, rows)}</div>"


def rate_words(found: Estimate | None) -> str:
    """Return the rate of errors with its interval, in one sentence."""
    if found is None or found.rate is None:
        return "Nothing is judged yet."
    if found.low == found.high:
        return f"{_share(found.rate)} of the results are wrong: all of them were judged."
    return (
        f"About {_share(found.rate)} of the results are wrong; with 95% confidence between "
        f"{_share(found.low)} and {_share(found.high)}."
    )


def method_words(sample: Sample, found: Estimate) -> list[str]:
    """Return how the rate was found, a sentence each."""
    number = pluralize(len(sample.documents), "document")
    words = [f"{number} drawn from {sample.of:,} results of the step {sample.step}."]
    if sample.traits:
        groups = pluralize(len(sample.groups), "group")
        words.append(
            f"{sample.looked_at:,} results taken by chance were sorted into {groups} by "
            f"{_listed(sample.traits)}. Some of each were drawn, and each counts by its share of "
            "all."
        )
    else:
        words.append("They were drawn by chance: the results differ in nothing that is known.")
    if found.rate is not None:
        words.append(
            f"{found.judged} were judged, {found.wrong} of them wrong. The interval is Wilson's at "
            f"95%, for the {found.effective:.1f} documents which, drawn by mere chance, would say "
            "as much."
        )
    if found.unsure:
        words.append(f"Not counted: {pluralize(found.unsure, 'result')} that nobody is sure of.")
    if 0.001 < found.unseen < 1:
        words.append(
            f"Nobody has judged any of the groups of {_share(found.unseen)} of the results."
        )
    return words


def _share(rate: float) -> str:
    return f"{rate:.1%}" if rate < 0.1 else f"{rate:.0%}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
