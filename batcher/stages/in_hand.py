"""Counts the documents that the submitter has in hand, from reading them to the recorded answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from batcher.common.signals import Signal


class InHand:
    """Some documents are only uploaded for now; the others are submitted as well."""

    def __init__(self) -> None:
        self._documents: set[int] = set()
        self._only_uploaded: set[int] = set()
        self._posting = 0
        # given when nothing is in hand any more, or no POST awaits its answer
        self.settled: Final = Signal()

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[int]:
        return iter(self._documents)

    def take(self, documents: Iterable[int]) -> None:
        """Take up documents that are to be submitted."""
        self._documents.update(documents)

    def take_ahead(self, documents: Iterable[int]) -> None:
        """Take up documents that are only uploaded, since there is no place for their jobs yet."""
        ahead = set(documents)
        self._documents |= ahead
        self._only_uploaded |= ahead

    def let_go(self, document: int) -> None:
        self._documents.discard(document)
        self._only_uploaded.discard(document)
        if not self._documents:
            self.settled.give()

    def is_ahead(self, document: int) -> bool:
        return document in self._only_uploaded

    @property
    def number_ahead(self) -> int:
        return len(self._only_uploaded)

    @property
    def posting(self) -> int:
        """How many have sent their POST or are about to, and await the answer."""
        return self._posting

    @contextmanager
    def post(self) -> Iterator[None]:
        """Count a document as `posting` for as long as the context lasts."""
        self._posting += 1
        try:
            yield
        finally:
            self._posting -= 1
            if not self._posting:
                self.settled.give()
