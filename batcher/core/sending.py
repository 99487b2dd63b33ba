"""Decides how many documents may be sent now, and what a refusal or a limit leads to.

`stages.selection` gathers the facts and chooses documents by the decisions; `stages.uploader` and
`stages.sender` carry out what follows from a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from batcher.core.submission_quota import Allowance
from batcher.errors import Busy, NotFound, Refused, ServiceError, Unauthorised, Unreachable
from batcher.reducto.error_rules import WANTS_JOB
from batcher.reducto.inputs import InputKind

WIDTH: Final = 48  # documents being uploaded or submitted at once; more connections only cost more
AHEAD: Final = 48  # uploaded documents that may wait for a free place for their jobs
BACKLOG: Final = 256  # ended but unfetched jobs, above which nothing new is sent
# With fewer free hands than this, a query of what is due isn't worthwhile: they wait for more.
WORTH_A_QUERY: Final = WIDTH // 4
# Near a limit, one in this many jobs in flight must end before the next document is tried.
BILLS_AT_A_TIME: Final = 10
TOO_LARGE_AT_MOST: Final = 100  # documents skipped because they exceed what is left of a limit
# How often a document's accepted upload may turn out unknown; after that, the document fails.
LAPSES_AT_MOST: Final = 5
# failures in a row, including after back-off; after that, the document fails
UPLOAD_TRIES: Final = 8


# --- how near a limit is --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Freely:
    """No limit is near. `hands` is how many documents may be in hand at once."""

    hands: int = WIDTH


@dataclass(frozen=True, slots=True)
class OneAtATime:
    """A limit is near, and nothing is in flight that could still turn out cheaper."""


@dataclass(frozen=True, slots=True)
class AfterBills:
    """A limit is near: one document is tried when fewer than `below` jobs are in flight."""

    below: int


Mode = Freely | OneAtATime | AfterBills


def near_limit(in_flight: int) -> Mode:
    """Return the mode after a document didn't fit: bills may turn out lower than reserved."""
    below = in_flight - in_flight // BILLS_AT_A_TIME
    return AfterBills(below) if below else OneAtATime()


def after_fit(mode: Mode) -> Mode:
    """Return the mode after a document fit: the next ones may too, twice as many at once."""
    return Freely(min(WIDTH, 2 * _hands(mode)))


def _hands(mode: Mode) -> int:
    return mode.hands if isinstance(mode, Freely) else 1


# --- how many may be sent -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """The number of documents in each stage of the run."""

    mode: Mode
    in_hand: int  # being uploaded or submitted
    only_uploaded: int  # of those in hand: uploaded, and waiting for a free place
    lying: int  # uploaded, and not in hand
    parked: int  # waiting to learn what another document of their type costs
    in_flight: int  # jobs at the service
    backlog: int  # jobs that have ended and aren't fetched yet

    @property
    def being_sent(self) -> int:
        return self.in_hand - self.only_uploaded


def is_closed(facts: Hands) -> bool:
    """Return whether nothing may be submitted now, no matter what the service could accept."""
    if facts.backlog > BACKLOG:
        return True
    match facts.mode:
        case AfterBills(below):
            return facts.in_hand > 0 or facts.in_flight >= below
        case OneAtATime():
            return facts.in_hand > 0
    return False


def room(facts: Hands, allowance: Allowance, *, places: int, on_trial: bool) -> int:
    """Return how many more documents may be submitted now.

    The result is 0 rather than a small number, so that one query serves many documents. `places` is
    what the limits of concurrency leave. `on_trial` means that the service has failed recently, and
    that a single submission is to show whether it has recovered.
    """
    if on_trial and facts.being_sent:
        return 0
    if places and not allowance.left(1):
        # Whether one more fits is finally decided by the ledger.
        return 0 if facts.in_hand else 1
    width = min(_hands(facts.mode), WIDTH - facts.parked)
    hands = allowance.left(max(0, width - facts.in_hand))
    if places < hands:
        return places  # no more may be in flight: each job that ends is replaced at once
    return 0 if hands < WORTH_A_QUERY and facts.in_hand else hands


def room_ahead(facts: Hands, allowance: Allowance, *, room: int) -> int:
    """Return how many more documents to upload although there is no place for their jobs yet."""
    if facts.backlog > BACKLOG or not isinstance(facts.mode, Freely):
        return 0
    lying = facts.lying + facts.only_uploaded
    hands = facts.mode.hands - facts.parked - facts.in_hand - room
    most = min(hands, AHEAD - lying)
    most = allowance.left(room + lying + most) - room - lying
    return most if most >= WORTH_A_QUERY else 0


# --- what a limit leads to ------------------------------------------------------------------------


class Unaffordable(Enum):
    """What becomes of a document whose reservation doesn't fit into what is left of a limit."""

    LEAVE = auto()  # leave it to another run
    PARK = auto()  # hold it until the bill of its type's probe is known; other types continue
    WAIT_FOR_BILLS = auto()


def after_limit(*, may_fit: bool, probe: int | None) -> Unaffordable:
    """Return what becomes of a document that doesn't fit.

    `may_fit` means that jobs in flight may turn out to cost less than reserved. `probe` is the
    document of its type whose bill is awaited, if any.
    """
    if probe is not None:
        return Unaffordable.PARK
    return Unaffordable.WAIT_FOR_BILLS if may_fit else Unaffordable.LEAVE


def is_limit_reached(*, cost: float, least: float, passed_over: int) -> bool:
    """Return whether no smaller document is worth looking for.

    `least` is what the smallest one would cost. The search has to look at each file.
    """
    return cost <= least or passed_over >= TOO_LARGE_AT_MOST


# --- what a refusal leads to ----------------------------------------------------------------------


class Refusal(Enum):
    """What a refused submission leads to."""

    STOP_RUN = auto()  # the service accepts nothing from us
    NEW_UPLOAD = auto()
    REJECT_DOCUMENT = auto()
    REJECT_CONFIGURATION = auto()  # its uploads vanish again and again
    AS_POLICY_SAYS = auto()


def after_refusal(error: Refused, kind: InputKind, *, lapses: int, is_own: bool = False) -> Refusal:
    """Return what a refusal leads to.

    `kind` is the kind of the document's input. `lapses` counts its uploads that turned out unknown.
    `is_own` says that the key is taken for other calls.
    """
    if (isinstance(error, Unauthorised) and not is_own) or error.status == 402:
        return Refusal.STOP_RUN
    if isinstance(error, Busy):
        return Refusal.AS_POLICY_SAYS
    if kind is InputKind.JOB:
        # The job has expired meanwhile; an upload of the document itself may work.
        is_gone = error.name in WANTS_JOB or error.status in (404, 410)
        return Refusal.NEW_UPLOAD if is_gone else Refusal.AS_POLICY_SAYS
    if not isinstance(error, NotFound):
        return Refusal.AS_POLICY_SAYS
    if kind is not InputKind.UPLOAD:
        return Refusal.REJECT_DOCUMENT  # the input is an address, so there is no upload to repeat
    return Refusal.REJECT_CONFIGURATION if lapses >= LAPSES_AT_MOST else Refusal.AS_POLICY_SAYS


def is_lapse(error: Refused, kind: InputKind) -> bool:
    """Return whether the service no longer knows an upload that it had accepted."""
    return isinstance(error, NotFound) and kind is InputKind.UPLOAD


def is_upload_given_up(error: ServiceError, tries: int) -> bool:
    """Return whether the fault of a failed upload may be the document's own.

    A refusal may be. So may many failures in a row, unless the service is busy or unreachable.
    """
    if isinstance(error, Busy):
        return False
    if isinstance(error, Refused):
        return True
    return tries + 1 >= UPLOAD_TRIES and not isinstance(error, Unreachable)
