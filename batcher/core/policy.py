"""What an error means and what follows from it: data, and pure functions that answer with the event to report.

Repeats of one *call* within seconds are the client's; here a *document* is put off, sent again or given up.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from batcher.core.events import JobFailed, JobToRepeat, RefusedForNow, Rejected, UploadLapsed
from batcher.core.wire import ErrorName
from batcher.errors import Busy, NotFound, Refused, ServiceError


class Kind(StrEnum):
    TRANSIENT = "transient"  # this document, another time
    PROVIDER = "provider"  # the service as a whole is unwell: trips the breaker
    CONFIGURATION = "configuration"  # what we ask for is wrong, so the next document will fare no better
    DOCUMENT = "document"  # a verdict about this document alone


@dataclass(frozen=True, slots=True)
class Rule:
    """`attempts` counts paid ones, the first included."""

    kind: Kind
    attempts: int = 1


PAID_ATTEMPTS_AT_MOST: Final = 3  # whatever a manifest says
RUNS: Final = 3  # that try a document by themselves as long as it fails for a reason that may pass
PASSING: Final = frozenset({Kind.TRANSIENT, Kind.PROVIDER})  # classes of such reasons
CONFIGURATION_ERRORS_IN_A_ROW: Final = 3  # then the run stops: the rest of the batch would burn the same way
UNKNOWN_NAME: Final = Rule(Kind.TRANSIENT, attempts=2)  # the list of names has grown before

_TRIED_THRICE: Final = (
    "TIMEOUT JOB_STATE_ERROR INTERNAL_INVARIANT_VIOLATION SUBPROCESS_CRASHED BATCH_ORPHANED LLM_OUTPUT_PARSE_FAILED"
)
_TRIED_TWICE: Final = "PROCESSING_FAILED FORM_FILL_FAILED JOB_NOT_COMPLETE"
_PROVIDER: Final = (
    "CAPACITY_TIMEOUT INTERNAL_ERROR SERVICE_UNAVAILABLE GPU_ALLOCATION_ERROR GPU_POOL_SATURATED GPU_UNAVAILABLE"
    " BATCH_QUEUE_FULL QUEUE_FULL LLM_PROVIDER_ERROR REGION_UNAVAILABLE RATE_LIMIT"
)
_CONFIGURATION: Final = "INVALID_CONFIG INVALID_SCHEMA AUTH_ERROR URL_NOT_ALLOWED"

RULES: Final[Mapping[str, Rule]] = {
    **{name: Rule(Kind.DOCUMENT) for name in ErrorName},
    **{name: Rule(Kind.TRANSIENT, attempts=3) for name in _TRIED_THRICE.split()},
    **{name: Rule(Kind.TRANSIENT, attempts=2) for name in _TRIED_TWICE.split()},
    **{name: Rule(Kind.PROVIDER, attempts=3) for name in _PROVIDER.split()},
    **{name: Rule(Kind.CONFIGURATION) for name in _CONFIGURATION.split()},
}

# A submission's definite refusals, for bodies that carry no error name of their own. 429 and 503 are Busy, not here.
STATUSES: Final[Mapping[int, Kind]] = {
    400: Kind.CONFIGURATION,
    401: Kind.CONFIGURATION,
    402: Kind.CONFIGURATION,
    403: Kind.CONFIGURATION,
    404: Kind.DOCUMENT,
    410: Kind.DOCUMENT,
    413: Kind.DOCUMENT,
    415: Kind.DOCUMENT,
    422: Kind.CONFIGURATION,
    442: Kind.DOCUMENT,  # password-protected
}

WANTS_INPUT: Final = frozenset({ErrorName.NOT_FOUND, ErrorName.INVALID_CONFIG})  # how a job ends whose upload is gone
# The same of one that was to read an earlier job. INVALID_CONFIG may have another cause: then the next attempt, which
# brings an upload of its own, meets it again.
WANTS_JOB: Final = WANTS_INPUT | {ErrorName.JOB_DELETED, ErrorName.JOB_DELETION_IN_PROGRESS, ErrorName.JOB_NOT_COMPLETE}


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential with full jitter: a random span up to `first * 2**tries`, never over `most`. Seconds."""

    first: float = 1.0
    most: float = 300.0

    def span(self, tries: int, rng: random.Random) -> float:
        return rng.uniform(0.0, min(self.most, self.first * 2.0 ** min(tries, 30)))


@dataclass(frozen=True, slots=True)
class Policy:
    rules: Mapping[str, Rule] = field(default_factory=lambda: RULES)
    backoff: Backoff = field(default_factory=Backoff)

    def rule(self, name: str) -> Rule:
        return self.rules.get(name, UNKNOWN_NAME)

    def after_failure(
        self, document: int, name: str, message: str, *, paid: int, now: float, rng: random.Random
    ) -> JobFailed | JobToRepeat:
        """What follows a job that ended Failed with error `name`; `paid` counts the attempts, this one included."""
        rule = self.rule(name)
        reason = f"{name or 'UNNAMED'}: {message}".rstrip(": ")
        if paid >= min(rule.attempts, PAID_ATTEMPTS_AT_MOST):
            return JobFailed(document, reason, kind=rule.kind)
        return JobToRepeat(document, reason, due_at=now + self.backoff.span(paid + 2, rng))

    def after_refusal(
        self, document: int, refused: Refused, *, tries: int, now: float, rng: random.Random
    ) -> RefusedForNow | Rejected | UploadLapsed:
        """What follows a submission that was surely not accepted."""
        match refused:
            case Busy():
                return RefusedForNow(document, str(refused), due_at=now + self.patience_with(refused, tries, rng))
            case NotFound():
                return UploadLapsed(document, str(refused), due_at=now + self.backoff.span(tries, rng))
        return Rejected(document, str(refused), kind=self.kind_of(refused))

    def patience_with(self, error: ServiceError, tries: int, rng: random.Random) -> float:
        """Seconds until a document whose call failed is due again.

        Where it only came too soon, soon: its lane has slowed down already, and that is no fault of this document.
        """
        if isinstance(error, Busy) and error.retry_after is not None:
            return error.retry_after
        if isinstance(error, Busy) and error.status == 429:
            return rng.uniform(0.0, self.backoff.first)
        return self.backoff.span(tries, rng)

    def kind_of(self, refused: Refused) -> Kind:
        if refused.name in self.rules:
            return self.rules[refused.name].kind
        return STATUSES.get(refused.status, Kind.DOCUMENT)


def with_changes(changes: Iterable[tuple[str, str | None, int | None]]) -> Policy:
    """The policy with a manifest's `[retry]`: (error name, class or None, attempts or None) each."""
    rules = dict(RULES)
    for name, kind, attempts in changes:
        known = rules.get(name, UNKNOWN_NAME)
        rules[name] = Rule(Kind(kind) if kind else known.kind, attempts if attempts is not None else known.attempts)
    return Policy(rules)
