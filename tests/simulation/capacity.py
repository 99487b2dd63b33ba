"""A service of some capacity, and the real bound on what may be out at it: thousands of jobs in
virtual time, no loop.

`Line` is the service: it works off a queue, as fast as it can at the moment. `Night` is the run: it
submits as much as `ConcurrencyLimit` lets it, looks at its jobs when `PollSchedule` says so, and
takes home what has ended, if it isn't deleted by then.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from batcher.core.completion_rate import WAIT, CompletionRate
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.fetch_rate import Drain
from batcher.core.poll_schedule import LATEST_FIRST, PollSchedule

STEPS = 3_000  # moments that a scenario is seen at
STANDING = 1e-6  # jobs a second: nothing happens
AFTER = 0.1  # of the documents: what it takes to get going

Speed = Callable[[float], float]  # jobs a second, by the moment


@dataclass(slots=True, eq=False)
class Item:
    accepted_at: float
    work: float  # in jobs of middling size
    running_at: float
    is_first: bool = True
    ended_at: float | None = None
    took: float = 0.0


@dataclass(slots=True)
class Line:
    """One after another at `speed`, or, where `latency` is given, all side by side in that many
    seconds each.
    """

    speed: Speed
    latency: float | None = None
    queue: deque[Item] = field(default_factory=deque)
    done: float = 0.0  # on the first of them
    spare: float = 0.0  # of the last step: work that nothing was there for

    def step(self, now: float, span: float) -> None:
        if self.latency is not None:
            while self.queue and self.queue[0].accepted_at + self.latency <= now:
                item = self.queue.popleft()
                item.ended_at = item.accepted_at + self.latency
                item.took = self.latency
            return
        speed = self.speed(now)
        self.done += speed * span
        while self.queue and self.queue[0].work <= self.done:
            item = self.queue.popleft()
            self.done -= item.work
            item.ended_at, item.took = now, item.work / max(speed, STANDING)
        self.spare = 0.0 if self.queue else self.done
        self.done -= self.spare


@dataclass(slots=True)
class Outcome:
    expired: int = 0
    most_out: int = 0
    took: float = 0.0
    # work that the service could have done while there was more to submit, once it had begun
    offered: float = 0.0
    wasted: float = 0.0

    @property
    def use(self) -> float:
        return 1.0 - self.wasted / self.offered if self.offered else 1.0


@dataclass
class Night:
    """`sweeps`: whether one look tells of all; `tells`: whether results say how long they were
    worked on.

    What the service could have done counts but for a quarter of the retention after each of the
    `changes`.
    """

    retention: float
    line: Line
    documents: int
    span: float  # of one step
    seed: int
    sweeps: bool = True
    tells: bool = True
    away: Callable[[float], bool] = lambda now: False  # when we are, and look at nothing
    changes: tuple[float, ...] = ()
    completion_rate: CompletionRate | None = None

    def __post_init__(self) -> None:
        self.concurrency = ConcurrencyLimit(
            Drain(16, span=0.001), self.completion_rate or CompletionRate(self.retention)
        )
        self.schedule = PollSchedule(latest_first=min(LATEST_FIRST, self.retention * WAIT / 2))
        self.rng = random.Random(self.seed)
        self.agenda: list[tuple[float, int, Item]] = []
        self.out: dict[int, Item] = {}
        self.accepted = 0
        self.home = 0
        self.outcome = Outcome()

    def run(self) -> Outcome:
        now = 0.0
        outcome = self.outcome
        while self.accepted < self.documents or self.out:
            still = self.line.speed(now) < STANDING or self.away(now)
            span = self.retention / 2_000 if still else self.span
            now += span
            self.line.step(now, span)
            if self.accepted < self.documents and self._is_steady(now):
                outcome.offered += self.line.speed(now) * span
                outcome.wasted += self.line.spare
            if not self.away(now):
                self._look(now)
                self._submit(now)
            assert now < 1000 * self.retention, (
                f"{self.accepted} accepted and {len(self.out)} out after {now} s"
            )
        outcome.took = now
        return outcome

    def _is_steady(self, now: float) -> bool:
        settled = all(not change <= now < change + self.retention / 4 for change in self.changes)
        return settled and self.home > AFTER * self.documents and not self.away(now)

    def _submit(self, now: float) -> None:
        for _ in range(
            min(self.documents - self.accepted, self.concurrency.left(now, len(self.out)))
        ):
            self.accepted += 1
            item = self.out[self.accepted] = Item(now, self.rng.lognormvariate(-0.125, 0.5), now)
            self.line.queue.append(item)
            heapq.heappush(self.agenda, (now + self.schedule.first_delay(1), self.accepted, item))
        self.outcome.most_out = max(self.outcome.most_out, len(self.out))

    def _look(self, now: float) -> None:
        due = self._due(now)
        for number, item in due:
            age = now - item.accepted_at
            done = item.ended_at is not None
            self.schedule.learn(1, age, done=done, first=item.is_first)
            item.is_first = False
            if not done and age < self.retention:
                item.running_at = now
                heapq.heappush(self.agenda, (now + self.schedule.next_delay(age), number, item))
        looked_at = self.out.items() if due and self.sweeps else due
        first = now - self.retention  # what was accepted earlier has expired
        over = [
            (number, item)
            for number, item in looked_at
            if item.ended_at is not None or item.accepted_at <= first
        ]
        for number, item in over:
            self._take_home(now, number, item)

    def _due(self, now: float) -> list[tuple[int, Item]]:
        due = []
        while self.agenda and self.agenda[0][0] <= now:
            _, number, item = heapq.heappop(self.agenda)
            if number in self.out:
                due.append((number, item))
        return due

    def _take_home(self, now: float, number: int, item: Item) -> None:
        age = now - item.accepted_at
        del self.out[number]
        self.home += 1
        if age >= self.retention:
            self.outcome.expired += 1
            return
        work = item.took if self.tells else None
        self.concurrency.completion_rate.learn(now, age=age, since=now - item.running_at, work=work)


def night(
    capacity: float,
    retention: float,
    seed: int,
    *,
    speed: Speed | None = None,
    latency: float | None = None,
    most: int = 3_000,
    **more: Any,
) -> Night:
    """Documents for two retentions at that capacity, as far as so many can be tried."""
    documents = int(max(60, min(most, 2 * capacity * retention)))
    span = min(retention / 1_000, documents / capacity / STEPS)
    return Night(
        retention, Line(speed or (lambda now: capacity), latency), documents, span, seed, **more
    )
