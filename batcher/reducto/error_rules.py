"""What an error of the API means: its class, and how many paid attempts it is worth.

There are only tables here, with the names of the API's error codes. `core.retry_policy` says what
follows from a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from batcher.reducto.api_types import ErrorName


class ErrorClass(StrEnum):
    """Whom or what an error concerns, which decides what follows from it."""

    TRANSIENT = "transient"  # about this document, and may pass
    PROVIDER = "provider"  # the service as a whole is unwell: opens the circuit breaker
    # The request is wrong, so the next document will fail in the same way.
    CONFIGURATION = "configuration"
    DOCUMENT = "document"  # a verdict about this document alone


@dataclass(frozen=True, slots=True)
class Rule:
    """`attempts` is the number of paid attempts, including the first."""

    kind: ErrorClass
    attempts: int = 1


# What a refusal by its status asks for, unless it is another address or key.
REMEDIES: Final[Mapping[int, str]] = {
    402: "the account has to be able to pay",
    407: "the proxy wants a user: http_proxy or https_proxy has to be "
    "http://USER:PASSWORD@HOST:PORT",
}
PAID_ATTEMPTS_AT_MOST: Final = 3  # overrides a manifest
RUNS: Final = 3  # that try a document again by themselves while it fails for a passing reason
# the classes of passing reasons
PASSING: Final = frozenset({ErrorClass.TRANSIENT, ErrorClass.PROVIDER})
# After these, the run stops: the rest of the batch would be wasted in the same way.
CONFIGURATION_ERRORS_IN_A_ROW: Final = 3
# the API's list of names has grown before
UNKNOWN_NAME: Final = Rule(ErrorClass.TRANSIENT, attempts=2)

_TRIED_THRICE: Final = (
    "TIMEOUT JOB_STATE_ERROR INTERNAL_INVARIANT_VIOLATION SUBPROCESS_CRASHED "
    "BATCH_ORPHANED LLM_OUTPUT_PARSE_FAILED"
)
_TRIED_TWICE: Final = "PROCESSING_FAILED FORM_FILL_FAILED JOB_NOT_COMPLETE"
_PROVIDER: Final = (
    "CAPACITY_TIMEOUT INTERNAL_ERROR SERVICE_UNAVAILABLE GPU_ALLOCATION_ERROR GPU_POOL_SATURATED "
    "GPU_UNAVAILABLE"
    " BATCH_QUEUE_FULL QUEUE_FULL LLM_PROVIDER_ERROR REGION_UNAVAILABLE RATE_LIMIT"
)
_CONFIGURATION: Final = "INVALID_CONFIG INVALID_SCHEMA AUTH_ERROR URL_NOT_ALLOWED"

RULES: Final[Mapping[str, Rule]] = {
    **{name: Rule(ErrorClass.DOCUMENT) for name in ErrorName},
    **{name: Rule(ErrorClass.TRANSIENT, attempts=3) for name in _TRIED_THRICE.split()},
    **{name: Rule(ErrorClass.TRANSIENT, attempts=2) for name in _TRIED_TWICE.split()},
    **{name: Rule(ErrorClass.PROVIDER, attempts=3) for name in _PROVIDER.split()},
    **{name: Rule(ErrorClass.CONFIGURATION) for name in _CONFIGURATION.split()},
}

# Statuses that definitely refuse a submission, for bodies without an error name. 429 and 503 aren't
# here, since they are Busy.
STATUSES: Final[Mapping[int, ErrorClass]] = {
    400: ErrorClass.CONFIGURATION,
    401: ErrorClass.CONFIGURATION,
    402: ErrorClass.CONFIGURATION,
    403: ErrorClass.CONFIGURATION,
    404: ErrorClass.DOCUMENT,
    410: ErrorClass.DOCUMENT,
    413: ErrorClass.DOCUMENT,
    415: ErrorClass.DOCUMENT,
    422: ErrorClass.CONFIGURATION,
    442: ErrorClass.DOCUMENT,  # password-protected
}

# How a job ends whose upload is gone.
WANTS_INPUT: Final = frozenset({ErrorName.NOT_FOUND, ErrorName.INVALID_CONFIG})
# How a job ends that was to read an earlier job which is gone. INVALID_CONFIG may have another
# cause, which the next attempt, with an upload of its own, will meet again.
WANTS_JOB: Final = WANTS_INPUT | {
    ErrorName.JOB_DELETED,
    ErrorName.JOB_DELETION_IN_PROGRESS,
    ErrorName.JOB_NOT_COMPLETE,
}
