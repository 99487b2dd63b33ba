"""Where a run under way stands, in words: how far, how fast, how long, at what cost.

It reads the ledger's tally and listens to its changes; the ledger's file is asked for the nearest
deadline alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from batcher.common.formatting import format_duration, format_usd
from batcher.core.events import Ended, Sending
from batcher.core.lifecycle import IN_FLIGHT, VERDICTS, State
from batcher.core.pace import Pace
from batcher.ledger.ledger import Ledger, Transition
from batcher.stages.run_control import RunControl

LOOK_AGAIN: Final = 15.0  # seconds between two looks for the nearest deadline


class Standing:
    """Follows `ledger` until `close`.

    `dollars_per_credit` is 0 where nothing is billed. `now` is a clock that never goes back.
    """

    def __init__(
        self,
        ledger: Ledger,
        control: RunControl,
        *,
        dollars_per_credit: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._control = control
        self._price = dollars_per_credit
        self._now = now
        self._pace = Pace()
        self._estimates: dict[int, float] = {}  # credits, by document in flight
        self._credits = 0.0
        self._deadline_at: float | None = None
        self._looked_at = float("-inf")
        self._pace.learn(now(), self.done)
        ledger.listeners.append(self._hear)

    def close(self) -> None:
        self._ledger.listeners.remove(self._hear)

    @property
    def done(self) -> int:
        """How many documents are saved or have come to another verdict."""
        return self._ledger.tally[State.SAVED] + self._failed

    @property
    def known(self) -> int:
        """How many documents there are, as far as the scan has come."""
        return self.done + self._ledger.open_documents

    def state(self) -> tuple[object, ...]:
        """Return what is the same as before where nothing has happened since."""
        tally = self._ledger.tally
        return self.done, self.known, self._in_flight, tally[State.UNKNOWN], tuple(self._waits())

    def line(self) -> str:
        """Return all of it in one line, for a log."""
        done = f"{self.done:,} of {self.known:,} documents done"
        share = f" ({self.done / self.known:.0%})" if self.known else ""
        return ", ".join([done + share, *self.parts()])

    def parts(self) -> Iterator[str]:
        """Yield everything but the number of documents, the most wanted first."""
        now = self._now()
        self._pace.learn(now, self.done)
        left = self._seconds_left(now)
        if left:
            yield f"about {format_duration(left)} left"
        yield f"{self._in_flight:,} in flight"
        if self._failed:
            yield f"{self._failed:,} failed"
        rate = self._pace.per_second(now, self.done)
        if rate:
            yield _rate_words(rate)
        yield from self._waits()
        if self._credits and self._price:
            yield f"{format_usd(self._credits * self._price)} spent"
        if unknown := self._ledger.tally[State.UNKNOWN]:
            yield f"{unknown:,} unknown"
        if (deadline := self._nearest_deadline(now)) is not None:
            yield f"first deadline in {format_duration(max(0.0, deadline - self._ledger.clock()))}"

    @property
    def _failed(self) -> int:
        return sum(self._ledger.tally[state] for state in VERDICTS)

    @property
    def _in_flight(self) -> int:
        return sum(self._ledger.tally[state] for state in IN_FLIGHT)

    def _seconds_left(self, now: float) -> float | None:
        """Return how long the rest takes; a run that was stopped only fetches what is in flight."""
        stopped = self._control.stopped.is_set()
        outlook = self._control.outlook
        return self._pace.seconds_left(
            now,
            self.done,
            to_do=self._in_flight if stopped else self._ledger.open_documents,
            to_fetch=self._in_flight,
            fetches=outlook.fetches_per_second() if outlook else None,
        )

    def _waits(self) -> Iterator[str]:
        if self._control.outlook is not None:
            for what, seconds in self._control.outlook.waits().items():
                yield f"{what} wait {format_duration(seconds)}"

    def _nearest_deadline(self, now: float) -> float | None:
        if not self._in_flight:
            return None
        if now - self._looked_at > LOOK_AGAIN:
            self._looked_at = now
            self._deadline_at = self._ledger.tracking.nearest_deadline_at()
        return self._deadline_at

    def _hear(self, change: Transition) -> None:
        match change.event:
            case Sending(document, cost=cost):
                self._estimates[document] = cost
            case Ended(document, credits=credits):
                estimate = self._estimates.pop(document, 0.0)
                self._credits += estimate if credits is None else credits
            case event if change.after not in IN_FLIGHT:
                self._forget(event.document, change.after)

    def _forget(self, document: int, state: State) -> None:
        if state in VERDICTS:
            self._estimates.pop(document, None)


def _rate_words(per_second: float) -> str:
    """Return a rate in the unit in which it is above 1, as in 12.5/s, 3.2/min, 7/h."""
    for unit, length in (("s", 1), ("min", 60)):
        if per_second * length >= 1:
            return f"{per_second * length:.3g}/{unit}"
    return f"{per_second * 3600:.2g}/h"
