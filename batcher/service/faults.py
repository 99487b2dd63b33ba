"""Faults on order, for rehearsals: what goes wrong, how often, and a record of what was done.

Decides only whether a fault strikes; the fault itself happens where its call or its job is handled.
Faults of calls are drawn from a seeded generator, those of jobs follow from seed and job id and so
survive a restart.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import random
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from batcher.reducto.api_types import ErrorName

FAULTS: Final[Mapping[str, float]] = {  # with the seconds each takes unless said otherwise
    "lost-reply": 0,  # accepted, and the connection breaks before the answer
    "late-acceptance": 5,  # the connection breaks, and the job is accepted seconds later
    "reset": 0,  # the connection breaks, and nothing was done
    "429-1000": 0,
    "429-2000": 0,
    "503-300": 0,
    "500": 0,
    "truncated-body": 0,  # done, but only half of the answer comes
    "slow": 5,  # the job stays Pending for so long
    "stuck": 0,  # the job never starts
    "fail-transient": 0,
    "early-expiry": 0,  # the result is gone so many seconds after submission
    "webhook-late": 5,
    "webhook-duplicate": 0,
    "listing-lag": 5,  # the job turns up in the listing only after so long
    "listing-bare": 0,  # the listing tells no requests
    "limit-1000": 0,  # so many calls of any kind are taken in one second
    "limit-2000": 0,  # so many GET /job are
}
# orders of calls per second, where the others have chances
LIMITS: Final = frozenset({"limit-1000", "limit-2000"})
TRANSIENT: Final = (ErrorName.INTERNAL_ERROR, ErrorName.CAPACITY_TIMEOUT, ErrorName.GPU_UNAVAILABLE)
REMEMBERED: Final = 10_000  # of the latest strikes


@dataclass(frozen=True, slots=True)
class Fault:
    """How often (0 to 1; of a limit, calls per second), and for how many seconds."""

    rate: float
    seconds: float


@dataclass(slots=True)
class Chaos:
    """Without orders it does nothing."""

    orders: Mapping[str, Fault] = field(default_factory=dict)
    seed: int = 0
    _rng: random.Random = field(init=False)
    _done: Counter[str] = field(default_factory=Counter, init=False)
    _latest: deque[dict[str, str]] = field(
        default_factory=lambda: deque(maxlen=REMEMBERED), init=False
    )
    _taken: defaultdict[str, deque[float]] = field(
        default_factory=lambda: defaultdict(deque), init=False
    )

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)  # noqa: S311 (dice, not secrets)

    def strikes(self, name: str, what: str) -> bool:
        """Whether this call, described by `what`, meets the fault; remembered where it does."""
        fault = self.orders.get(name)
        if fault is None or self._rng.random() >= fault.rate:
            return False
        self.record(name, what)
        return True

    def exceeds(self, name: str, what: str, now: float) -> bool:
        """Whether this call is one too many in the second that ends `now`; those that are refused
        don't count.
        """
        fault = self.orders.get(name)
        if fault is None:
            return False
        taken = self._taken[name]
        while taken and now - taken[0] >= 1.0:
            taken.popleft()
        if len(taken) < fault.rate:
            taken.append(now)
            return False
        self.record(name, what)
        return True

    def hits(self, name: str, job_id: str) -> bool:
        """Whether the fault is this job's fate; the same answer each time."""
        fault = self.orders.get(name)
        return fault is not None and _fraction(f"{self.seed}:{name}:{job_id}") < fault.rate

    def seconds(self, name: str) -> float:
        return self.orders[name].seconds

    def record(self, name: str, what: str) -> None:
        self._done[name] += 1
        self._latest.append({"fault": name, "what": what})

    def account(self) -> dict[str, Any]:
        """What `GET /__chaos` tells."""
        orders = {
            name: {"rate": fault.rate, "seconds": fault.seconds}
            for name, fault in self.orders.items()
        }
        return {
            "seed": self.seed,
            "orders": orders,
            "done": dict(self._done),
            "latest": list(self._latest),
        }


def read_orders(text: str) -> dict[str, Fault]:
    """`NAME=RATE,NAME=RATE:SECONDS`; `ValueError` says what is wrong with it."""
    return dict(_read_order(order.strip()) for order in text.split(",") if order.strip())


def transient_failure(job_id: str) -> ErrorName:
    return TRANSIENT[int(_fraction(job_id) * len(TRANSIENT))]


def _read_order(order: str) -> tuple[str, Fault]:
    name, _, amount = order.partition("=")
    if name not in FAULTS:
        near = difflib.get_close_matches(name, FAULTS, n=1)
        raise ValueError(
            f"unknown fault {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    rate, _, seconds = (amount or "1").partition(":")
    ends_at = math.inf if name in LIMITS else 1
    said = "a limit is in calls per second" if name in LIMITS else "a rate lies between 0 and 1"
    problem = ValueError(f"{order!r}: write NAME=RATE or NAME=RATE:SECONDS; {said}")
    try:
        fault = Fault(float(rate), float(seconds) if seconds else FAULTS[name])
    except ValueError:
        raise problem from None
    if not (0 <= fault.rate <= ends_at and 0 <= fault.seconds < math.inf):
        raise problem
    return name, fault


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / (1 << 64)
