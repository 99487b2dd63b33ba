"""Which documents are wanted, as a condition in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batcher.core.lifecycle import State
from batcher.ledger.queries.fragments import listed

# Of a document `d`: what was spent on it, its last event, and when that was.
CREDITS: Final = """(SELECT total(coalesce(a.credits, a.cost)) FROM attempts a
    WHERE a.document = d.id AND a.outcome IN ('saved', 'lost'))"""
CHANGED: Final = "(SELECT max(c.seq) FROM events c WHERE c.document = d.id)"
CHANGED_AT: Final = f"(SELECT f.at FROM events f WHERE f.seq = {CHANGED})"
_ESCAPE: Final = "ESCAPE '!'"


@dataclass(frozen=True, slots=True)
class DocumentFilter:
    """Which documents are listed; empty values and None leave none out.

    `states` are values of `State`. `folder` is the beginning of a path, up to a slash. `search` is
    a part of the path, `reason` a part of the reason or of the error's name, in any case.
    `type` is an extension. `metadata` is `key=value`, or a part of what is written in any of it.
    `changed_since` and `changed_before` are in seconds since the epoch.
    """

    states: tuple[str, ...] = ()
    step: str = ""
    folder: str = ""
    search: str = ""
    type: str = ""
    reason: str = ""
    metadata: str = ""
    least_credits: float | None = None
    most_credits: float | None = None
    changed_since: float | None = None
    changed_before: float | None = None

    def conditions(self) -> tuple[str, list[object]]:
        """Return the condition on a document `d` as SQL, and its values."""
        clauses = ["d.current = 1"]
        values: list[object] = []

        def add(clause: str, *bound: object) -> None:
            clauses.append(clause)
            values.extend(bound)

        if self.states:
            add(f"d.state IN ({listed(map(State, self.states))})")
        else:
            add(f"d.state <> '{State.SUPERSEDED}'")
        if self.step:
            add("d.job = ?", self.step)
        if self.folder:
            first = self.folder.rstrip("/")
            # "0" is what follows "/": an index finds all that begins with the folder's name
            add("d.source >= ? AND d.source < ?", f"{first}/", f"{first}0")
        if self.search:
            add(f"d.source LIKE ? {_ESCAPE}", _part(self.search))
        if self.type:
            ending = "%." + _literal(self.type.lower().removeprefix("."))
            add(f"(d.source LIKE ? {_ESCAPE} OR d.place LIKE ? {_ESCAPE})", ending, ending)
        if self.reason:
            part = _part(self.reason)
            add(f"(d.reason LIKE ? {_ESCAPE} OR d.error_name LIKE ? {_ESCAPE})", part, part)
        if self.metadata:
            add(*_of_metadata(self.metadata))
        if self.least_credits is not None:
            add(f"{CREDITS} >= ?", self.least_credits)
        if self.most_credits is not None:
            add(f"{CREDITS} <= ?", self.most_credits)
        if self.changed_since is not None:
            add(f"{CHANGED_AT} >= ?", self.changed_since)
        if self.changed_before is not None:
            add(f"{CHANGED_AT} < ?", self.changed_before)
        return " AND ".join(clauses), values


EVERY_DOCUMENT: Final = DocumentFilter()


def _part(text: str) -> str:
    return f"%{_literal(text)}%"


def _literal(text: str) -> str:
    """Return text in which nothing has a meaning for LIKE."""
    for character in "!%_":
        text = text.replace(character, f"!{character}")
    return text


def _of_metadata(wanted: str) -> tuple[str, ...]:
    key, equals, value = wanted.partition("=")
    if not equals:
        return f"d.metadata LIKE ? {_ESCAPE}", _part(wanted)
    # Each key by itself: a path of JSON would read signs in it.
    clause = """EXISTS (SELECT 1 FROM json_each(iif(json_valid(d.metadata), d.metadata, '{}')) j
        WHERE j.key = ? AND CAST(j.atom AS TEXT) = ? COLLATE NOCASE)"""
    return clause, key.strip(), value.strip()
