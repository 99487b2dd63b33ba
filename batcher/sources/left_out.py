"""Count what a walk leaves out, by reason, so that nothing is left out silently. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from batcher.common.names import extension_of


class Reason(StrEnum):
    """Why something is left out, in the order in which the reasons are listed."""

    TYPE = "of other types"
    NOT_INCLUDED = "not matched by include"
    EXCLUDED = "matched by exclude"
    IGNORED = "matched by an ignore file"
    HIDDEN = "hidden"
    LOCK = "lock files and the like"
    LINK = "links to folders"
    SMALL = "smaller than min_size"
    LARGE = "larger than max_size"
    OLD = "older than newer_than"
    NEW = "newer than older_than"
    GROWING = "still being written, left for the next run"


# Reasons that are shown with extensions; the others are shown with a name as an example.
_BY_EXTENSION: Final = frozenset({Reason.TYPE, Reason.NOT_INCLUDED})
SHOWN: Final = 5  # extensions shown


@dataclass(slots=True)
class LeftOut:
    """What a walk left out.

    `counts` are by reason, `extensions` by the extension of files with an unwanted type; `examples`
    has the first name of each reason. `taken` counts the documents that weren't left out. A folder
    that is left out as a whole counts as one, since it isn't read; `folders` says how many those
    are.
    """

    counts: Counter[Reason] = field(default_factory=Counter)
    extensions: Counter[str] = field(default_factory=Counter)
    examples: dict[Reason, str] = field(default_factory=dict)
    taken: int = 0
    folders: Counter[Reason] = field(default_factory=Counter)

    def add(self, reason: Reason, name: str, *, is_folder: bool = False) -> None:
        """Count something that is left out."""
        self.counts[reason] += 1
        self.folders[reason] += is_folder
        self.examples.setdefault(reason, name)
        if reason in _BY_EXTENSION:
            self.extensions[extension_of(name)] += 1

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(
            self.counts + other.counts,
            self.extensions + other.extensions,
            {**other.examples, **self.examples},
            self.taken + other.taken,
            self.folders + other.folders,
        )

    @property
    def is_all_unmatched(self) -> bool:
        """Whether there were files, and the patterns of `include` match none of them.

        A file that something else leaves out was matched; a folder wasn't compared with them.
        """
        by_name = {Reason.NOT_INCLUDED, Reason.HIDDEN, Reason.LOCK, Reason.LINK}
        files = self.counts - self.folders
        return not self.taken and Reason.NOT_INCLUDED in files and set(files) <= by_name

    def values(self) -> dict[str, Any]:
        """Return the counts for JSON; empty if nothing was left out."""
        if not self.counts:
            return {}
        return {
            "words": self.words(),
            "documents": self.counts.total(),
            "reasons": {
                reason.name.lower(): self.counts[reason] for reason in Reason if self.counts[reason]
            },
            "extensions": dict(self.extensions.most_common()),
            "examples": {
                reason.name.lower(): self.examples[reason]
                for reason in Reason
                if self.counts[reason]
            },
        }

    def words(self) -> str:
        """Return the counts as one line of text; empty if nothing was left out."""
        told = [
            f"{self.counts[reason]} {reason} ({self._shown(reason)})"
            for reason in Reason
            if self.counts[reason]
        ]
        return f"{self.counts.total()} left out: {', '.join(told)}" if told else ""

    def _shown(self, reason: Reason) -> str:
        if reason not in _BY_EXTENSION:
            return self.examples[reason]
        kinds = self.extensions.most_common(SHOWN)
        told = [
            f".{extension} {number}" if extension else f"without any {number}"
            for extension, number in kinds
        ]
        return " ".join([*told, *(["…"] if len(self.extensions) > SHOWN else [])])
