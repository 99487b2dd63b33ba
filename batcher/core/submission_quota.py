"""Counts how many more submissions a run may make, so that no more is uploaded than is sent.

This is an estimate that errs on the side of too few. The final decision is made by the ledger's
check of the budget, in the transaction of each submission.
"""

from __future__ import annotations


class Allowance:
    """The number of submissions that one run may make: `most`, or any number if that is None.

    A document is promised a place before it is submitted.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._used = 0
        self._promised: set[int] = set()

    def left(self, wanted: int) -> int:
        """Return how many of the `wanted` places are free."""
        return (
            wanted
            if self._most is None
            else max(0, min(wanted, self._most - self._used - len(self._promised)))
        )

    @property
    def exceeded(self) -> bool:
        """Whether more places are promised than there are."""
        return self._most is not None and self._used + len(self._promised) > self._most

    @property
    def used_up(self) -> bool:
        """Whether all submissions that the run may make have been made."""
        return self._most is not None and self._used >= self._most

    def promise(self, document: int) -> None:
        self._promised.add(document)

    def withdraw(self, document: int) -> None:
        self._promised.discard(document)

    def use(self, document: int) -> None:
        """Count a submission that has been recorded."""
        self._promised.discard(document)
        self._used += 1

    def give_back(self) -> None:
        """Return the place of a submission that certainly wasn't accepted."""
        self._used -= 1
