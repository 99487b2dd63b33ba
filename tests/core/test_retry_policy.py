"""What follows an error: every name has a class, nothing is paid for without end, nobody is
hammered.
"""

import random

import pytest

from batcher.core.events import JobFailed, JobToRepeat, RefusedForNow, Rejected, UploadLapsed
from batcher.core.retry_policy import Backoff, Policy, with_changes
from batcher.errors import Busy, NotFound, Refused
from batcher.reducto.api_types import ErrorName
from batcher.reducto.error_rules import PAID_ATTEMPTS_AT_MOST, RULES, ErrorClass

RNG = random.Random(7)


def test_every_error_name_has_a_rule() -> None:
    """All 44, and none that the API doesn't know."""
    assert set(RULES) == set(ErrorName)
    assert len(RULES) == 44


@pytest.mark.parametrize("name", [*ErrorName, "A_NAME_OF_TOMORROW", ""])
def test_no_error_is_paid_for_more_than_three_times(name: str) -> None:
    """Whatever fails, after three paid attempts it is a verdict, also where a manifest asks for
    ten.
    """
    policy = with_changes([(name, None, 10)])
    after = policy.after_failure(1, name, "why", paid=PAID_ATTEMPTS_AT_MOST, now=0.0, rng=RNG)
    assert isinstance(after, JobFailed)
    assert after.reason.startswith(name or "UNNAMED")


def test_a_document_error_is_a_verdict_at_once() -> None:
    """The same bytes will be as corrupt tomorrow."""
    after = Policy().after_failure(1, "DOCUMENT_CORRUPT", "cut off", paid=1, now=0.0, rng=RNG)
    assert after == JobFailed(
        1,
        "DOCUMENT_CORRUPT: cut off",
        kind=ErrorClass.DOCUMENT,
        error_name="DOCUMENT_CORRUPT",
    )


def test_a_passing_error_is_repeated_later() -> None:
    """Not before now, and not for ever after."""
    after = Policy().after_failure(1, "TIMEOUT", "slow", paid=1, now=1000.0, rng=RNG)
    assert isinstance(after, JobToRepeat)
    assert 1000.0 <= after.due_at <= 1000.0 + Backoff().most


def test_retry_after_is_honoured_whole() -> None:
    """Five minutes are five minutes: the documented wait of a full batch queue."""
    busy = Busy("POST /parse_async", "full", status=503, name="BATCH_QUEUE_FULL", retry_after=300.0)
    after = Policy().after_refusal(1, busy, tries=0, now=1000.0, rng=RNG)
    assert after == RefusedForNow(1, str(busy), due_at=1300.0, error_name="BATCH_QUEUE_FULL")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorClass.CONFIGURATION),
        (413, ErrorClass.DOCUMENT),
        (415, ErrorClass.DOCUMENT),
        (422, ErrorClass.CONFIGURATION),
        (442, ErrorClass.DOCUMENT),
    ],
)
def test_a_definite_refusal_is_a_verdict_of_its_class(status: int, kind: ErrorClass) -> None:
    """By the status where the body names no error."""
    after = Policy().after_refusal(
        1, Refused("POST", "no", status=status), tries=0, now=0.0, rng=RNG
    )
    assert isinstance(after, Rejected) and after.kind == kind


def test_an_upload_the_service_lost_is_made_anew() -> None:
    """A 404 for a submission speaks of its upload."""
    after = Policy().after_refusal(1, NotFound("POST", "no", status=404), tries=0, now=0.0, rng=RNG)
    assert isinstance(after, UploadLapsed)


def test_back_off_is_bounded_and_jittered() -> None:
    """Never over its most, also after more tries than fit a float's exponent."""
    spans = [Backoff().span(tries, RNG) for tries in (0, 3, 10, 5000) for _ in range(50)]
    assert max(spans) <= Backoff().most
    assert len(set(spans)) > 100
