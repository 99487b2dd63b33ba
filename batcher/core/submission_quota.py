"""How many more submissions a run may make, by a cap on their number: so that no more is uploaded
than is sent.

It is a guess that errs on the side of too few. The purse, in the transaction of each submission,
has the last word.
"""

from __future__ import annotations


class Allowance:
    """`most` of one run; None: as many as there are.

    A document is promised a place before its submission has one.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._used = 0
        self._promised: set[int] = set()

    def left(self, wanted: int) -> int:
        """Of the `wanted` places, those that are free."""
        return (
            wanted
            if self._most is None
            else max(0, min(wanted, self._most - self._used - len(self._promised)))
        )

    @property
    def exceeded(self) -> bool:
        """Whether more is promised than there is."""
        return self._most is not None and self._used + len(self._promised) > self._most

    @property
    def used_up(self) -> bool:
        """Whether so many were sent."""
        return self._most is not None and self._used >= self._most

    def promise(self, document: int) -> None:
        self._promised.add(document)

    def withdraw(self, document: int) -> None:
        self._promised.discard(document)

    def use(self, document: int) -> None:
        """Its submission is on record."""
        self._promised.discard(document)
        self._used += 1

    def give_back(self) -> None:
        """A submission was surely not accepted, and doesn't count."""
        self._used -= 1
