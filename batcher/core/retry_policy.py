"""What an error means and which event follows from it: data and pure functions.

Repeating a single *call* within seconds is left to the client; here a *document* is postponed, sent
again or given up.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from batcher.core.events import JobFailed, JobToRepeat, RefusedForNow, Rejected, UploadLapsed
from batcher.errors import Busy, NotFound, Refused, ServiceError
from batcher.reducto.error_rules import (
    PAID_ATTEMPTS_AT_MOST,
    RULES,
    STATUSES,
    UNKNOWN_NAME,
    ErrorClass,
    Rule,
)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter, in seconds.

    A delay is random, up to `first * 2**tries` and never more than `most`.
    """

    first: float = 1.0
    most: float = 300.0

    def span(self, tries: int, rng: random.Random) -> float:
        """Return a random delay in seconds after `tries` failures in a row."""
        return rng.uniform(0.0, min(self.most, self.first * 2.0 ** min(tries, 30)))


@dataclass(frozen=True, slots=True)
class Policy:
    """What follows from an error: the rules by error name, and the delays between attempts."""

    rules: Mapping[str, Rule] = field(default_factory=lambda: RULES)
    backoff: Backoff = field(default_factory=Backoff)

    def rule(self, name: str) -> Rule:
        """Return the rule for an error name; unknown names have a rule of their own."""
        return self.rules.get(name, UNKNOWN_NAME)

    def after_failure(
        self, document: int, name: str, message: str, *, paid: int, now: float, rng: random.Random
    ) -> JobFailed | JobToRepeat:
        """Return what follows a job that failed with the error `name`.

        `paid` counts the attempts so far, including this one.
        """
        rule = self.rule(name)
        reason = f"{name or 'UNNAMED'}: {message}".rstrip(": ")
        if paid >= min(rule.attempts, PAID_ATTEMPTS_AT_MOST):
            return JobFailed(document, reason, kind=rule.kind, error_name=name)
        due_at = now + self.backoff.span(paid + 2, rng)
        return JobToRepeat(document, reason, due_at=due_at, error_name=name)

    def after_refusal(
        self, document: int, refused: Refused, *, tries: int, now: float, rng: random.Random
    ) -> RefusedForNow | Rejected | UploadLapsed:
        """Return what follows a submission that certainly wasn't accepted."""
        match refused:
            case Busy():
                due_at = now + self.patience_with(refused, tries, rng)
                return RefusedForNow(document, str(refused), due_at=due_at, error_name=refused.name)
            case NotFound():
                due_at = now + self.backoff.span(tries, rng)
                return UploadLapsed(document, str(refused), due_at=due_at, error_name=refused.name)
        kind = self.kind_of(refused)
        return Rejected(document, str(refused), kind=kind, error_name=refused.name)

    def patience_with(self, error: ServiceError, tries: int, rng: random.Random) -> float:
        """Return the seconds until a document whose call failed is due again.

        If the call only came too soon, that is shortly: its lane has slowed down already, and the
        document isn't at fault.
        """
        if isinstance(error, Busy) and error.retry_after is not None:
            return error.retry_after
        if isinstance(error, Busy) and error.is_too_fast:
            return rng.uniform(0.0, self.backoff.first)
        return self.backoff.span(tries, rng)

    def kind_of(self, refused: Refused) -> ErrorClass:
        """Return the class of a refusal, by its error name if known, or else by its status."""
        if refused.name in self.rules:
            return self.rules[refused.name].kind
        return STATUSES.get(refused.status, ErrorClass.DOCUMENT)


def doubtful_changes(changes: Iterable[tuple[str, str | None, int | None]]) -> Iterator[str]:
    """Yield warnings about changes as `with_changes` takes them that may not do what is meant.

    The API's names have grown before, so one that isn't known here may still be one.
    """
    for name, _, attempts in changes:
        if name not in RULES:
            near = difflib.get_close_matches(name.upper(), RULES, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            yield f"retry.{name}: no error of the API is known by that name{meant}"
        if attempts is not None and attempts > PAID_ATTEMPTS_AT_MOST:
            yield (
                f"retry.{name}.attempts = {attempts}: more than {PAID_ATTEMPTS_AT_MOST} are never "
                "paid"
            )


def with_changes(changes: Iterable[tuple[str, str | None, int | None]]) -> Policy:
    """Return the policy with the changes of a manifest's `[retry]`.

    Each change is (error name, class or None, attempts or None).
    """
    rules = dict(RULES)
    for name, kind, attempts in changes:
        known = rules.get(name, UNKNOWN_NAME)
        rules[name] = Rule(
            ErrorClass(kind) if kind else known.kind,
            attempts if attempts is not None else known.attempts,
        )
    return Policy(rules)
