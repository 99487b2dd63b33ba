"""What an error of the API means: its class, and how many paid attempts it is worth. Tables, and
nothing else.

The names are those of the API's error codes; what follows from a class is `core.retry_policy`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from batcher.reducto.api_types import ErrorName


class ErrorClass(StrEnum):
    TRANSIENT = "transient"  # this document, another time
    PROVIDER = "provider"  # the service as a whole is unwell: trips the breaker
    # what we ask for is wrong, so the next document will fare no better
    CONFIGURATION = "configuration"
    DOCUMENT = "document"  # a verdict about this document alone


@dataclass(frozen=True, slots=True)
class Rule:
    """`attempts` counts paid ones, the first included."""

    kind: ErrorClass
    attempts: int = 1


PAID_ATTEMPTS_AT_MOST: Final = 3  # whatever a manifest says
RUNS: Final = 3  # that try a document by themselves as long as it fails for a reason that may pass
PASSING: Final = frozenset({ErrorClass.TRANSIENT, ErrorClass.PROVIDER})  # classes of such reasons
# then the run stops: the rest of the batch would burn the same way
CONFIGURATION_ERRORS_IN_A_ROW: Final = 3
UNKNOWN_NAME: Final = Rule(ErrorClass.TRANSIENT, attempts=2)  # the list of names has grown before

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

# A submission's definite refusals, for bodies that carry no error name of their own. 429 and 503
# are Busy, not here.
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

# how a job ends whose upload is gone
WANTS_INPUT: Final = frozenset({ErrorName.NOT_FOUND, ErrorName.INVALID_CONFIG})
# The same of one that was to read an earlier job. INVALID_CONFIG may have another cause: then the
# next attempt, which brings an upload of its own, meets it again.
WANTS_JOB: Final = WANTS_INPUT | {
    ErrorName.JOB_DELETED,
    ErrorName.JOB_DELETION_IN_PROGRESS,
    ErrorName.JOB_NOT_COMPLETE,
}
