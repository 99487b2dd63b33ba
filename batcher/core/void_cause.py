"""Why an attempt brought no result, as the ledger counts it.

An attempt's reason is only for people to read; code decides by the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from batcher.core import events


class VoidCause(StrEnum):
    """The cause of an attempt whose outcome is void or lost."""

    REFUSED = "refused"  # the service didn't accept it
    INPUT_LAPSED = "input_lapsed"  # the service no longer knew its input
    PROVEN_ABSENT = "proven_absent"  # the service never received it
    GIVEN_UP = "given_up"  # the same, after too many attempts
    FAILED = "failed"  # its job failed
    NO_INPUT = "no_input"  # its job ended because its input was gone
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LOST = "lost"
    PAID_AGAIN = "paid_again"  # its fate is unknown, and a person decided to pay again
    WRONG_INPUT = "wrong_input"  # its job read another document's
    SUPERSEDED = "superseded"  # its result is no longer wanted


CAUSES: Final[Mapping[type[events.Event], VoidCause]] = {
    events.RefusedForNow: VoidCause.REFUSED,
    events.Rejected: VoidCause.REFUSED,
    events.UploadLapsed: VoidCause.INPUT_LAPSED,
    events.ProvenAbsent: VoidCause.PROVEN_ABSENT,
    events.GivenUp: VoidCause.GIVEN_UP,
    events.JobFailed: VoidCause.FAILED,
    events.JobToRepeat: VoidCause.FAILED,
    events.JobVoided: VoidCause.NO_INPUT,
    events.Cancelled: VoidCause.CANCELLED,
    events.Expired: VoidCause.EXPIRED,
    events.Lost: VoidCause.LOST,
    events.Retried: VoidCause.PAID_AGAIN,
    events.Follows: VoidCause.PAID_AGAIN,
    events.WrongInput: VoidCause.WRONG_INPUT,
    events.Superseded: VoidCause.SUPERSEDED,
    events.Rejoined: VoidCause.SUPERSEDED,
}
