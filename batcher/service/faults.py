"""Ordered faults for rehearsals: which fault, how often, and a record of those injected.

Only decides whether a fault strikes; it happens where the call or the job is handled. Faults of
calls are drawn from a seeded generator. Those of jobs follow from seed and job id, and so survive a
restart.
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

FAULTS: Final[Mapping[str, float]] = {  # with its default seconds
    "lost-reply": 0,  # the job is accepted, and the connection breaks before the answer
    "late-acceptance": 5,  # the connection breaks, and the job is accepted that much later
    "reset": 0,  # the connection breaks, and nothing was done
    "429-1000": 0,
    "429-2000": 0,
    "503-300": 0,
    "500": 0,
    "truncated-body": 0,  # the call is done, but only half of the answer is sent
    "slow": 5,  # the job stays Pending that long
    "stuck": 0,  # the job never starts
    "fail-transient": 0,
    "early-expiry": 0,  # the result expires that long after submission
    "webhook-late": 5,
    "webhook-duplicate": 0,
    "listing-lag": 5,  # the job appears in `GET /jobs` only after that long
    "listing-bare": 0,  # `GET /jobs` returns no requests
    "limit-1000": 0,  # calls of any kind per second; more are refused
    "limit-2000": 0,  # GET /job per second; more are refused
}
# Faults whose rate is in calls per second; that of the others is a probability.
LIMITS: Final = frozenset({"limit-1000", "limit-2000"})
TRANSIENT: Final = (ErrorName.INTERNAL_ERROR, ErrorName.CAPACITY_TIMEOUT, ErrorName.GPU_UNAVAILABLE)
REMEMBERED: Final = 10_000  # the latest faults that `GET /__chaos` returns


@dataclass(frozen=True, slots=True)
class Fault:
    """An ordered fault.

    `rate` is a probability from 0 to 1, or a limit's calls per second; `seconds` is its duration.
    """

    rate: float
    seconds: float


@dataclass(slots=True)
class Chaos:
    """The ordered faults; without orders it does nothing."""

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
        """Tell whether the fault hits this call, described by `what`; a hit is recorded."""
        fault = self.orders.get(name)
        if fault is None or self._rng.random() >= fault.rate:
            return False
        self.record(name, what)
        return True

    def exceeds(self, name: str, what: str, now: float) -> bool:
        """Tell whether this call exceeds the limit in the second that ends at `now`.

        `now` is in seconds. Calls that are refused don't count.
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
        """Tell whether the fault hits this job; the answer is always the same."""
        fault = self.orders.get(name)
        return fault is not None and _fraction(f"{self.seed}:{name}:{job_id}") < fault.rate

    def seconds(self, name: str) -> float:
        """Return the duration that was ordered."""
        return self.orders[name].seconds

    def record(self, name: str, what: str) -> None:
        """Record a fault that was injected."""
        self._done[name] += 1
        self._latest.append({"fault": name, "what": what})

    def account(self) -> dict[str, Any]:
        """Return the body of `GET /__chaos`."""
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
    """Parse `NAME=RATE,NAME=RATE:SECONDS`.

    Raises ValueError, with what is wrong, if it isn't of that form.
    """
    return dict(_read_order(order.strip()) for order in text.split(",") if order.strip())


def transient_failure(job_id: str) -> ErrorName:
    """Return the error with which a job fails under `fail-transient`; always the same for a job."""
    return TRANSIENT[int(_fraction(job_id) * len(TRANSIENT))]


def _read_order(order: str) -> tuple[str, Fault]:
    name, _, amount = order.partition("=")
    if name not in FAULTS:
        near = difflib.get_close_matches(name, FAULTS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(FAULTS)}"
        raise ValueError(f"unknown fault {name!r}; {hint}")
    rate, _, seconds = (amount or "1").partition(":")
    ends_at = math.inf if name in LIMITS else 1
    said = "a limit is in calls per second" if name in LIMITS else "a rate lies between 0 and 1"
    problem = ValueError(f"{order!r}: write NAME=RATE or NAME=RATE:SECONDS; {said}")
    try:
        fault = Fault(float(rate), float(seconds) if seconds else FAULTS[name])
    except ValueError:
        raise problem from None
    if not (0 <= fault.rate <= ends_at and fault.rate < math.inf and 0 <= fault.seconds < math.inf):
        raise problem
    return name, fault


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / (1 << 64)
