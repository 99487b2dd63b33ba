"""What each error name and status is taken for, by what it means: who is at fault, and what may be
paid once more.

Names and statuses as the service's description has them; which is worth another attempt is our own
judgement.
"""

import random
from typing import Final

import pytest

from batcher.core.events import JobFailed, JobToRepeat, RefusedForNow, Rejected, UploadLapsed
from batcher.core.retry_policy import Backoff, Policy, with_changes
from batcher.errors import Busy, Gone, NotFound, Refused, Unauthorised, Unreachable
from batcher.reducto.api_types import ErrorName
from batcher.reducto.error_rules import (
    CONFIGURATION_ERRORS_IN_A_ROW,
    PAID_ATTEMPTS_AT_MOST,
    RULES,
    STATUSES,
    UNKNOWN_NAME,
    WANTS_INPUT,
    WANTS_JOB,
    ErrorClass,
    Rule,
)

RNG: Final = random.Random(11)

# Class, paid attempts, and whom it befalls.
MEANINGS: Final[dict[str, tuple[str, int, str]]] = {
    "the bytes are what they are": (
        "document",
        1,
        "DOCUMENT_CORRUPT DOCUMENT_EMPTY DOCUMENT_UNSUPPORTED DOCUMENT_TOO_LARGE "
        "DOCUMENT_PASSWORD_PROTECTED"
        " OFFICE_CONVERSION_TOO_LARGE IMAGE_TOO_LARGE IMAGE_TOO_SMALL IMAGE_INVALID_ASPECT_RATIO"
        " CELL_COUNT_EXCEEDED CONTEXT_WINDOW_EXCEEDED OUTPUT_LIMIT_EXCEEDED OVERSIZED_RESULT"
        " INFERENCE_METHOD_UNSUPPORTED NOT_APPLICABLE",
    ),
    "somebody wanted it so": ("document", 1, "CUSTOMER_TIMEOUT JOB_CANCELLED"),
    "what was there is no more": ("document", 1, "NOT_FOUND JOB_DELETED JOB_DELETION_IN_PROGRESS"),
    "this job met with an accident": (
        "transient",
        3,
        "TIMEOUT JOB_STATE_ERROR INTERNAL_INVARIANT_VIOLATION SUBPROCESS_CRASHED BATCH_ORPHANED"
        " LLM_OUTPUT_PARSE_FAILED",
    ),
    "this document may be at fault": (
        "transient",
        2,
        "PROCESSING_FAILED FORM_FILL_FAILED JOB_NOT_COMPLETE",
    ),
    "the service is unwell": (
        "provider",
        3,
        "CAPACITY_TIMEOUT INTERNAL_ERROR SERVICE_UNAVAILABLE GPU_ALLOCATION_ERROR "
        "GPU_POOL_SATURATED GPU_UNAVAILABLE"
        " BATCH_QUEUE_FULL QUEUE_FULL LLM_PROVIDER_ERROR REGION_UNAVAILABLE RATE_LIMIT",
    ),
    "we ask for the wrong thing": (
        "configuration",
        1,
        "INVALID_CONFIG INVALID_SCHEMA AUTH_ERROR URL_NOT_ALLOWED",
    ),
}
NAMES: Final = [
    pytest.param(name, kind, attempts, id=f"{why}: {name}")
    for why, (kind, attempts, names) in MEANINGS.items()
    for name in names.split()
]


def _after_failure(name: str, paid: int, policy: Policy | None = None) -> JobFailed | JobToRepeat:
    return (policy or Policy()).after_failure(1, name, "why", paid=paid, now=100.0, rng=RNG)


@pytest.mark.parametrize(("name", "kind", "attempts"), NAMES)
def test_it_is_paid_for_as_often_as_it_is_worth(name: str, kind: str, attempts: int) -> None:
    """Up to its number of attempts a job is sent again; then it is a verdict of its class."""
    repeated = [
        isinstance(_after_failure(name, paid), JobToRepeat) for paid in range(1, attempts + 2)
    ]
    assert repeated == [True] * (attempts - 1) + [False, False]
    assert Policy().rule(name).attempts == attempts
    assert _after_failure(name, attempts) == JobFailed(
        1, f"{name}: why", kind=kind, error_name=name
    )


def test_every_name_has_its_meaning() -> None:
    """The API's 44 names, each once, and as they are spelt on the wire."""
    named = [name for _, _, names in MEANINGS.values() for name in names.split()]
    assert sorted(named) == sorted(name.value for name in ErrorName) == sorted(RULES)
    assert len(named) == 44


def test_a_name_of_tomorrow_is_tried_twice() -> None:
    """Nobody knows what it means, so it gets one more chance and no more."""
    assert isinstance(_after_failure("SOMETHING_NEW", 1), JobToRepeat)
    assert _after_failure("SOMETHING_NEW", 2) == JobFailed(
        1, "SOMETHING_NEW: why", kind="transient", error_name="SOMETHING_NEW"
    )
    assert UNKNOWN_NAME.kind == "transient"


def test_a_failure_without_words_is_told_without_a_colon() -> None:
    """A reason is read by people."""
    assert (
        Policy().after_failure(1, "JOB_CANCELLED", "", paid=1, now=0.0, rng=RNG).reason
        == "JOB_CANCELLED"
    )
    assert (
        Policy().after_failure(1, "", "broke", paid=3, now=0.0, rng=RNG).reason == "UNNAMED: broke"
    )


def test_three_is_the_most_that_is_paid_for_a_document() -> None:
    """And three errors of configuration in a row stop a run: the batch would burn the same way."""
    assert PAID_ATTEMPTS_AT_MOST == 3
    assert CONFIGURATION_ERRORS_IN_A_ROW == 3
    generous = with_changes([("TIMEOUT", None, 9)])
    assert isinstance(_after_failure("TIMEOUT", 2, generous), JobToRepeat)
    assert isinstance(_after_failure("TIMEOUT", 3, generous), JobFailed)


# --- refusals of a submission ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "configuration"),
        (401, "configuration"),
        (402, "configuration"),
        (403, "configuration"),
        (404, "document"),
        (410, "document"),
        (413, "document"),
        (415, "document"),
        (422, "configuration"),
        (442, "document"),
        (418, "document"),  # nobody's: the next document may well fare better
    ],
)
def test_a_status_without_a_name_says_whose_fault_it_is(status: int, kind: str) -> None:
    """A refusal of what we ask for would befall the next document as well; one of the document
    itself wouldn't.
    """
    assert Policy().kind_of(Refused("POST", "no", status=status)) == kind
    assert status == 418 or STATUSES[status] == kind


@pytest.mark.parametrize(("name", "kind", "attempts"), NAMES)
@pytest.mark.parametrize("status", [400, 413, 418])
def test_a_name_says_more_than_its_status(status: int, name: str, kind: str, attempts: int) -> None:
    """INVALID_CONFIG with 413 is ours, DOCUMENT_CORRUPT with 400 is the document's."""
    after = Policy().after_refusal(
        1, Refused("POST", "no", status=status, name=name), tries=0, now=0.0, rng=RNG
    )
    assert isinstance(after, Rejected)
    assert after.kind == kind


def test_a_name_that_no_rule_knows_is_judged_by_its_status() -> None:
    """Not by the rule for failed jobs whose name is new: nothing was paid here."""
    assert (
        Policy().kind_of(Refused("POST", "no", status=422, name="SOMETHING_NEW")) == "configuration"
    )
    assert Policy().kind_of(Refused("POST", "no", status=415, name="SOMETHING_NEW")) == "document"


def test_a_manifest_s_own_rule_counts_for_refusals_too() -> None:
    """It may class a name that the API doesn't have yet, and leave attempts or class as they
    were.
    """
    policy = with_changes(
        [("SOMETHING_NEW", "configuration", None), ("TIMEOUT", None, 1), ("AUTH_ERROR", None, None)]
    )
    assert (
        policy.kind_of(Refused("POST", "no", status=415, name="SOMETHING_NEW")) == "configuration"
    )
    assert policy.rule("SOMETHING_NEW") == Rule(ErrorClass.CONFIGURATION, 2)
    assert policy.rule("TIMEOUT") == Rule(ErrorClass.TRANSIENT, 1)
    assert policy.rule("AUTH_ERROR") == Rule(ErrorClass.CONFIGURATION, 1)
    assert Policy().rule("TIMEOUT") == Rule(ErrorClass.TRANSIENT, 3)


@pytest.mark.parametrize(
    ("refused", "wanted"),
    [
        (Busy("POST", "later", status=429), RefusedForNow),
        (Busy("POST", "later", status=503), RefusedForNow),
        (NotFound("POST", "no upload", status=404), UploadLapsed),
        (Gone("POST", "deleted", status=409), Rejected),
        (Gone("POST", "deleted", status=410), Rejected),
        (Unauthorised("POST", "who?", status=401), Rejected),
        (Refused("POST", "no", status=422), Rejected),
    ],
)
def test_only_busy_is_asked_again_with_the_same_upload(refused: Refused, wanted: type) -> None:
    """A missing upload is made anew, everything else is a verdict; the words are the service's."""
    after = Policy().after_refusal(9, refused, tries=0, now=50.0, rng=RNG)
    assert type(after) is wanted
    assert (after.document, after.reason) == (9, str(refused))
    assert 50.0 <= getattr(after, "due_at", 50.0) <= 50.0 + Backoff().first


# --- patience -------------------------------------------------------------------------------------


def _longest(error: Busy | Unreachable, tries: int) -> float:
    """Of many waits, the shortest of which is next to none: thousands that wait alike would come
    back at once.
    """
    spans = [Policy().patience_with(error, tries, RNG) for _ in range(400)]
    assert 0.0 <= min(spans) < max(spans) / 20
    return max(spans)


def test_who_only_came_too_soon_comes_again_soon() -> None:
    """However often: its lane has slowed down already, and a document is not to blame for the
    others.
    """
    too_many = Busy("POST", "slow down", status=429)
    assert 0.5 < _longest(too_many, 0) <= 1.0
    assert 0.5 < _longest(too_many, 8) <= 1.0


@pytest.mark.parametrize(
    "error", [Busy("POST", "full", status=503), Unreachable("POST", "no route")]
)
def test_who_meets_trouble_waits_twice_as_long_each_time(error: Busy | Unreachable) -> None:
    """A random span up to one second, two, four …, and never over five minutes."""
    assert 0.5 < _longest(error, 0) <= 1.0
    assert 4.0 < _longest(error, 3) <= 8.0
    assert 150.0 < _longest(error, 40) <= 300.0


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_the_service_names_is_kept(status: int) -> None:
    """To the second, be it none."""
    for seconds in (0.0, 7.0, 300.0):
        busy = Busy("POST", "later", status=status, retry_after=seconds)
        assert Policy().patience_with(busy, 5, RNG) == seconds


def test_a_repeated_job_waits_longer_than_a_repeated_call() -> None:
    """It is paid for, so what it failed of gets up to eight seconds to pass, then sixteen."""
    for paid, most in ((1, 8.0), (2, 16.0)):
        spans = [_after_failure("TIMEOUT", paid).due_at - 100.0 for _ in range(400)]  # type: ignore[union-attr]
        assert most / 2 < max(spans) <= most
        assert min(spans) >= 0.0


# --- jobs that end for want of what they were to read ---------------------------------------------


def test_how_a_job_ends_whose_input_is_gone() -> None:
    """Its upload isn't found, or is no configuration; the job that it reads was deleted, or never
    ended.
    """
    assert {"NOT_FOUND", "INVALID_CONFIG"} == WANTS_INPUT
    deleted = {"JOB_DELETED", "JOB_DELETION_IN_PROGRESS"}
    assert WANTS_INPUT | deleted | {"JOB_NOT_COMPLETE"} == WANTS_JOB
