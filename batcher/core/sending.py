"""Decides how many documents may be sent now, and what a refusal or a limit leads to.

`stages.submitter` gathers the facts, uploads, submits, and carries the decisions out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from batcher.core.submission_quota import Allowance
from batcher.errors import Busy, NotFound, Refused, ServiceError, Unauthorised, Unreachable
from batcher.reducto.error_rules import WANTS_JOB
from batcher.reducto.inputs import InputKind

WIDTH: Final = 48  # documents in hand at once; more connections only cost more
AHEAD: Final = 48  # documents that lie uploaded until there is a place for their jobs
BACKLOG: Final = 256  # ended jobs that aren't fetched yet, above which nothing new is sent
# Fewer free hands than this are not worth a query of what is due: they wait for others.
WORTH_A_QUERY: Final = WIDTH // 4
# Near a limit, one job in so many of those in flight must end before the next document is tried.
BILLS_AT_A_TIME: Final = 10
TOO_LARGE_AT_MOST: Final = 100  # documents passed over for what is left of a limit
# Uploads of one document that the service took and then didn't know; then it is a verdict.
LAPSES_AT_MOST: Final = 5
UPLOAD_TRIES: Final = 8  # in a row, across its back-off; then it is a verdict


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
    """A limit is near: one is tried once fewer than `below` jobs are in flight."""

    below: int


Mode = Freely | OneAtATime | AfterBills


def near_limit(in_flight: int) -> Mode:
    """Return the mode after a document didn't fit: bills may turn out lower than was reserved."""
    below = in_flight - in_flight // BILLS_AT_A_TIME
    return AfterBills(below) if below else OneAtATime()


def after_fit(mode: Mode) -> Mode:
    """Return the mode after a document did fit: so may the next ones, twice as many at once."""
    return Freely(min(WIDTH, 2 * _hands(mode)))


def _hands(mode: Mode) -> int:
    return mode.hands if isinstance(mode, Freely) else 1


# --- how many may be sent -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What the run has under way. All are numbers of documents."""

    mode: Mode
    in_hand: int  # being uploaded or submitted
    only_uploaded: int  # of those in hand: they lie uploaded until there is a place
    lying: int  # uploaded, and in nobody's hand
    parked: int  # waiting for what another of their type will cost
    in_flight: int  # jobs at the service
    backlog: int  # jobs that have ended and aren't fetched yet

    @property
    def being_sent(self) -> int:
        return self.in_hand - self.only_uploaded


def is_closed(facts: Hands) -> bool:
    """Return whether nothing may be submitted now, whatever the service could take."""
    if facts.backlog > BACKLOG:
        return True
    match facts.mode:
        case AfterBills(below):
            return facts.in_hand > 0 or facts.in_flight >= below
        case OneAtATime():
            return facts.in_hand > 0
    return False


def room(facts: Hands, allowance: Allowance, *, places: int, on_trial: bool) -> int:
    """Return how many more may be submitted now; 0 where few could be, for one query serves many.

    `places` are those that the limits of concurrency leave. `on_trial`: the service has failed of
    late, and a single submission is to show how it fares.
    """
    if on_trial and facts.being_sent:
        return 0
    if places and not allowance.left(1):
        # The ledger has the last word on whether one more fits.
        return 0 if facts.in_hand else 1
    width = min(_hands(facts.mode), WIDTH - facts.parked)
    hands = allowance.left(max(0, width - facts.in_hand))
    places = allowance.left(places)
    if places < hands:
        return places  # no more may be in flight: each that ends is followed at once
    return 0 if hands < WORTH_A_QUERY and facts.in_hand else hands


def room_ahead(facts: Hands, allowance: Allowance, *, room: int) -> int:
    """Return how many more are worth an upload although there is no place for their jobs."""
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

    LEAVE = auto()  # to another run
    PARK = auto()  # until the probe of its type has its bill; other types go on
    WAIT_FOR_BILLS = auto()


def after_limit(*, may_fit: bool, probe: int | None) -> Unaffordable:
    """`may_fit`: what is in flight may turn out to cost less. `probe`: a document of its type."""
    if probe is not None:
        return Unaffordable.PARK
    return Unaffordable.WAIT_FOR_BILLS if may_fit else Unaffordable.LEAVE


def is_limit_reached(*, cost: float, least: float, passed_over: int) -> bool:
    """Return whether no smaller document is worth looking for.

    `least` is what the smallest would cost. To find one out, each file has to be looked at.
    """
    return cost <= least or passed_over >= TOO_LARGE_AT_MOST


# --- what a refusal leads to ----------------------------------------------------------------------


class Refusal(Enum):
    """What a refused submission leads to."""

    STOP_RUN = auto()  # the service takes nothing from us
    NEW_UPLOAD = auto()
    REJECT_DOCUMENT = auto()
    REJECT_CONFIGURATION = auto()  # its uploads vanish again and again
    AS_POLICY_SAYS = auto()


def after_refusal(error: Refused, kind: InputKind, *, lapses: int) -> Refusal:
    """`kind` is its input's; `lapses` counts its uploads that were not known."""
    if isinstance(error, Unauthorised) or error.status == 402:
        return Refusal.STOP_RUN
    if isinstance(error, Busy):
        return Refusal.AS_POLICY_SAYS
    if kind is InputKind.JOB:
        # The job has expired meanwhile, and an upload of the document itself may do.
        is_gone = error.name in WANTS_JOB or error.status in (404, 410)
        return Refusal.NEW_UPLOAD if is_gone else Refusal.AS_POLICY_SAYS
    if not isinstance(error, NotFound):
        return Refusal.AS_POLICY_SAYS
    if kind is not InputKind.UPLOAD:
        return Refusal.REJECT_DOCUMENT  # it is an address: there is no upload to be made again
    return Refusal.REJECT_CONFIGURATION if lapses >= LAPSES_AT_MOST else Refusal.AS_POLICY_SAYS


def is_lapse(error: Refused, kind: InputKind) -> bool:
    """Return whether the service doesn't know an upload that it took."""
    return isinstance(error, NotFound) and kind is InputKind.UPLOAD


def is_upload_given_up(error: ServiceError, tries: int) -> bool:
    """Return whether the fault of a failed upload may be the document's own.

    A refusal is; so are many failures in a row, unless the service is busy or can't be reached.
    """
    if isinstance(error, Busy):
        return False
    if isinstance(error, Refused):
        return True
    return tries + 1 >= UPLOAD_TRIES and not isinstance(error, Unreachable)
