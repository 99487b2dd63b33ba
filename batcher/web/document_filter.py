"""The filter of the table of documents as it stands in an address, and back again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from multidict import MultiMapping

from batcher.core.lifecycle import State
from batcher.ledger.queries.document_filter import DocumentFilter
from batcher.ledger.queries.document_list import Order, Sort

# How long ago a document changed: what stands in the address, in words, and in seconds.
AGES: Final[Mapping[str, tuple[str, float]]] = {
    "10m": ("10 minutes", 600),
    "1h": ("an hour", 3_600),
    "1d": ("a day", 86_400),
    "7d": ("a week", 7 * 86_400),
    "30d": ("30 days", 30 * 86_400),
}
# Columns by name, with their heads; the path is always there.
COLUMNS: Final[Mapping[str, str]] = {
    "step": "Step",
    "state": "State",
    "type": "Type",
    "size": "Size",
    "pages": "Pages",
    "credits": "Credits",
    "attempts": "Attempts",
    "changed": "Changed",
    "reason": "Reason",
    "metadata": "Metadata",
    "job_id": "Job",
    "output": "Result",
}
USUAL_COLUMNS: Final = ("state", "pages", "credits", "changed", "reason")
# Those by which the table can be sorted.
SORTED_BY: Final[Mapping[str, Sort]] = {
    "path": Sort.PATH,
    "state": Sort.STATE,
    "size": Sort.SIZE,
    "pages": Sort.PAGES,
    "credits": Sort.CREDITS,
    "changed": Sort.CHANGED,
}
_TEXTS: Final = ("step", "folder", "search", "type", "reason", "metadata")
_LONGEST: Final = 300  # characters of what is looked for
_DOCUMENT: Final = re.compile(r"\d{1,18}")


@dataclass(frozen=True, slots=True)
class Query:
    """What a person asks for.

    `said` are the values of the form as they were typed, `problems` says which can't be meant.
    """

    which: DocumentFilter
    order: Order
    columns: tuple[str, ...]
    said: Mapping[str, str]
    problems: Sequence[str] = field(default_factory=list)

    def address(self, **changes: object) -> str:
        """Return the part of an address after `?` for this query, with these changes.

        Values that are None or empty are left out.
        """
        values: dict[str, object] = dict(self.said)
        values["state"] = list(self.which.states)
        values["column"] = list(self.columns) if self.columns != USUAL_COLUMNS else []
        values["sort"] = self.order.by.value if self.order.by is not Sort.PATH else ""
        values["down"] = "1" if self.order.descending else ""
        values.update(changes)
        return urlencode({n: v for n, v in values.items() if v not in (None, "", [])}, doseq=True)

    @property
    def is_narrowed(self) -> bool:
        """Whether some documents are left out."""
        return bool(self.which.states) or any(self.said.values())


def query_of(asked: MultiMapping[str], *, now: float) -> Query:
    """Return what an address asks for; what can't be meant is left out and told."""
    reader = _Reader(asked, now)
    said = {name: reader.text(name) for name in _TEXTS}
    which = DocumentFilter(
        states=reader.states(),
        least_credits=reader.number("least", "at least this many credits"),
        most_credits=reader.number("most", "at most this many credits"),
        changed_since=reader.ago("since"),
        changed_before=reader.ago("before"),
        **said,
    )
    numbers = {name: reader.text(name) for name in ("least", "most", "since", "before")}
    return Query(which, reader.order(), reader.columns(), {**said, **numbers}, reader.problems)


def document_in(asked: MultiMapping[str], name: str) -> int | None:
    """Return the number of a document in an address, or None."""
    said = asked.get(name, "")
    return int(said) if _DOCUMENT.fullmatch(said) else None


class _Reader:
    def __init__(self, asked: MultiMapping[str], now: float) -> None:
        self._asked = asked
        self._now = now
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        said = self._asked.get(name, "").strip()[:_LONGEST]
        return "".join(filter(str.isprintable, said))

    def states(self) -> tuple[str, ...]:
        said = dict.fromkeys(filter(None, self._asked.getall("state", [])))
        for unknown in [one for one in said if one not in set(State)]:
            self.problems.append(f"there is no state {unknown!r}")
            del said[unknown]
        return tuple(said)

    def number(self, name: str, words: str) -> float | None:
        said = self.text(name)
        if not said:
            return None
        try:
            return float(said)
        except ValueError:
            self.problems.append(f"{words}: {said!r} is no number")
            return None

    def ago(self, name: str) -> float | None:
        said = self.text(name)
        if not said:
            return None
        if said not in AGES:
            self.problems.append(f"{said!r} is no span known here: {', '.join(AGES)}")
            return None
        return self._now - AGES[said][1]

    def order(self) -> Order:
        said = self._asked.get("sort", Sort.PATH)
        by = Sort(said) if said in set(Sort) else Sort.PATH
        return Order(by, self._asked.get("down") == "1")

    def columns(self) -> tuple[str, ...]:
        said: Sequence[str] = self._asked.getall("column", USUAL_COLUMNS)
        return tuple(name for name in COLUMNS if name in said) or USUAL_COLUMNS
