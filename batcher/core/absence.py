"""Decides what becomes of a submission whose answer was lost, before it may be paid for again.

`stages.recovery` gathers the facts and carries out the decisions; nothing here performs I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from batcher.common.formatting import pluralize

# What must be proven of a service and key before any absence is believed.
LISTING: Final = "listing"  # the job list shows our jobs, with the nonces that we sent
FENCE: Final = "fence"  # an upload that was deleted is gone

ABSENCES_AT_MOST: Final = 3
# If the submissions of many documents never arrive, the fault is not this document's.
ABSENCES_IN_BAD_TIMES: Final = 6
BAD_TIMES: Final = 3
# Seconds that a run with nothing else to do waits, at most, for a job list it can't rely on.
PATIENCE: Final = 1800.0
# This multiple of `settle` must pass if we have no job that could show that the job list lags.
WITHOUT_WITNESS: Final = 10
REST_AT_MOST: Final = 300.0  # seconds between two readings of a job list that can't be read
# After this many failures in a row nothing more is deleted in this pass; the next one continues.
FENCES_IN_VAIN: Final = 3
# Seconds before the end of the retention from which on a job list proves nothing: the service may
# forget a job a little early.
RETENTION_MARGIN: Final = 300.0
SLACK: Final = 0.01  # seconds by which a pass comes after the moment it waits for

OUT_OF_REACH: Final = "perhaps paid, and longer ago than the listing reaches"
NO_FENCE: Final = "an input that is no upload can't be fenced off, so its absence can't be proven"


class Action(Enum):
    """What the stage is to do with one attempt in one pass."""

    ADOPT = auto()  # the job list shows its job
    FENCE = auto()  # its upload is to be deleted, so that no late submission can read it
    WAIT = auto()  # a later pass may know more
    CONFIRM_ABSENT = auto()  # it never arrived, and may be sent again
    GIVE_UP = auto()  # it never arrived, too often
    HOLD = auto()  # nobody can tell whether it is paid, so a person decides


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do. `reason` is for people, and empty if the action says everything."""

    action: Action
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceFacts:
    """What this run knows of the deletion of the attempt's upload."""

    # Seconds from the deletion to the beginning of the pass; None before it was deleted.
    settled_for: float | None = None
    is_refused: bool = False  # the service said that it will never delete it
    failure: str | None = None  # why the last attempt failed, if a later one may succeed
    again_in: float = 0.0  # seconds until it may be tried again

    @property
    def is_up(self) -> bool:
        """Whether no submission that reads the upload can arrive any more."""
        return self.settled_for is not None and not self.is_refused

    def has_settled(self, span: float) -> bool:
        """Whether the pass began `span` seconds after the deletion, or later."""
        return self.settled_for is not None and self.settled_for >= span


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """What is known of one attempt whose answer was lost. All spans are in seconds."""

    age: float  # since it was sent
    has_upload: bool = True
    absences: int = 0  # how many earlier attempts of its document were confirmed absent
    fence: FenceFacts = FenceFacts()
    # Since the first pass that could have come to a conclusion about it.
    waited: float = 0.0
    # For how long the whole job list, read again and again since the fence settled, has shown
    # nothing of ours.
    silent_for: float = 0.0
    # Since the service last accepted a job of ours that was sent after the fence; None if there is
    # none.
    witness_age: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFacts:
    """What one pass over the job list showed, as far as it concerns one attempt."""

    job_id: str | None = None  # the attempt's own job
    part: str | None = None  # a job that is only a part of the attempt's job
    broken: str = ""  # why the job list could not be read to its end
    unreadable: int = 0  # rows that can't be read
    missing: str | None = None  # a job of ours that must be in the list and isn't
    anonymous: str | None = None  # a job that may be this attempt's or anybody's
    lags: bool = False  # none of the jobs accepted since the fence is in the list
    shows_ours: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is known of the run and the service. All spans are in seconds."""

    settle: float
    span: float  # `settle`, or longer where the job list was seen to be further behind
    retention: float
    proven: Set[str] = frozenset()
    never_arrived: int = 1  # documents whose submissions never arrived, this one included
    fences_in_vain: int = 0  # failed deletions in a row, in this pass
    under_way: int = 0  # documents being sent, in flight, or ready to be fetched
    to_submit: int = 0  # documents queued or uploaded
    submits: bool = True  # whether this run still sends anything


def first_decision(attempt: AttemptFacts, scan: ScanFacts, run: RunFacts) -> Decision | None:
    """Return whether to adopt, hold or fence; None if a conclusion can be drawn without that."""
    if scan.job_id is not None:
        return Decision(Action.ADOPT)
    if is_out_of_reach(attempt.age, run.retention):
        return Decision(Action.HOLD, OUT_OF_REACH)
    if _is_to_be_fenced(attempt, scan, run):
        return Decision(Action.FENCE)
    return None


def conclusion(attempt: AttemptFacts, scan: ScanFacts, run: RunFacts) -> Decision:
    """Return whether to confirm its absence, give up, hold or wait, after `first_decision`."""
    if has_settled(attempt, run) and not doubt(attempt, scan, run):
        return _absent(attempt, run)
    if is_hopeless(attempt, scan, run):
        return Decision(Action.HOLD, f"perhaps paid; {doubt(attempt, scan, run)}")
    return Decision(Action.WAIT)


def answered_to_another(job_id: str | None) -> Decision:
    """Return what follows if its job belongs to another document: two answers were mixed up."""
    reason = f"perhaps paid: its job {job_id} was answered to another document"
    return Decision(Action.HOLD, reason)


def is_out_of_reach(age: float, retention: float) -> bool:
    """Whether the service may have forgotten the job, so that its absence proves nothing."""
    return age > retention - RETENTION_MARGIN


def _is_to_be_fenced(attempt: AttemptFacts, scan: ScanFacts, run: RunFacts) -> bool:
    """Whether its upload is to be deleted now.

    It is kept if a part of its job shows that it has arrived, and until the job list has been read
    to its end, since its job may be in the rest.
    """
    if not attempt.has_upload or attempt.fence.settled_for is not None:
        return False
    if scan.part is not None or scan.broken:
        return False
    return run.fences_in_vain < FENCES_IN_VAIN and attempt.fence.again_in <= 0


def _absent(attempt: AttemptFacts, run: RunFacts) -> Decision:
    bad_times = run.never_arrived > BAD_TIMES
    most = ABSENCES_IN_BAD_TIMES if bad_times else ABSENCES_AT_MOST
    if attempt.absences + 1 < most:
        return Decision(Action.CONFIRM_ABSENT)
    return Decision(Action.GIVE_UP, f"proven absent {most} times: its submissions never arrive")


# --- what may be concluded ------------------------------------------------------------------------


def has_settled(attempt: AttemptFacts, run: RunFacts) -> bool:
    """Whether the pass began long enough after the fence.

    Only this run's time counts: the machine's clock may have been set since an earlier run.
    """
    return attempt.fence.has_settled(run.span)


def doubt(attempt: AttemptFacts, scan: ScanFacts, run: RunFacts) -> str:
    """Return why this pass can't tell whether the submission arrived; empty if it can."""
    return _deficiency(attempt, scan, run) or _too_early(attempt, scan, run)


def _deficiency(attempt: AttemptFacts, scan: ScanFacts, run: RunFacts) -> str:
    """Return what is missing that time alone won't bring."""
    not_proven = {LISTING, FENCE} - run.proven
    if scan.broken:
        return f"the listing can't be read to its end: {scan.broken}"
    if not attempt.has_upload:
        return NO_FENCE
    if not_proven:
        return f"not proven: {', '.join(sorted(not_proven))}"
    return _untrustworthy(scan) or _not_fenced(attempt.fence)


def _untrustworthy(scan: ScanFacts) -> str:
    """Return why the rows of the job list don't suffice as evidence."""
    if scan.part is not None:
        return f"the listing shows job {scan.part}, a part of its job, and not the job itself"
    if scan.unreadable:
        rows = pluralize(scan.unreadable, "row")
        return f"{rows} of the listing can't be read, and may be its job's"
    if scan.missing is not None:
        return f"the listing doesn't show job {scan.missing}, which the service accepted before"
    if scan.anonymous is not None:
        return f"the listing doesn't say what job {scan.anonymous} is of, so it may be its job"
    return ""


def _not_fenced(fence: FenceFacts) -> str:
    if fence.is_up:
        return ""
    why = "" if fence.failure is None else f": {fence.failure}"
    return f"its upload can't be deleted{why}"


def _too_early(attempt: AttemptFacts, scan: ScanFacts, run: RunFacts) -> str:
    """Return why a later pass may see more."""
    if scan.lags:
        return "the listing shows no job that the service accepted since its upload was deleted"
    if scan.shows_ours:
        return ""
    if attempt.silent_for > _without_witness(run) and _is_alone(attempt.waited, run):
        return ""
    return "the listing shows no job of ours"


def _without_witness(run: RunFacts) -> float:
    """Return the seconds after which a job list is believed even though no job of ours is in it."""
    return WITHOUT_WITNESS * run.settle


# --- what is given up -----------------------------------------------------------------------------


def is_hopeless(attempt: AttemptFacts, scan: ScanFacts, run: RunFacts) -> bool:
    """Whether its time is up, and no job of ours can still show that the list is complete."""
    is_settling = attempt.fence.settled_for is not None and not has_settled(attempt, run)
    if is_settling or attempt.waited <= _patience(attempt, scan, run):
        return False
    if _lacks_only_a_witness(attempt, scan, run) and attempt.silent_for <= _without_witness(run):
        return False
    return _is_alone(attempt.waited, run) and not _may_yet_be_shown(attempt, run)


def _patience(attempt: AttemptFacts, scan: ScanFacts, run: RunFacts) -> float:
    """Return the seconds for which to wait for it: longer if the service may recover."""
    may_pass = bool(scan.broken or _untrustworthy(scan)) or attempt.fence.failure is not None
    lacks_witness = _lacks_only_a_witness(attempt, scan, run)
    least = _without_witness(run) if lacks_witness else 3 * run.settle
    for_the_service = min(30 * run.settle, PATIENCE) if may_pass else 0.0
    return max(least, 2 * run.span, for_the_service)


def _lacks_only_a_witness(attempt: AttemptFacts, scan: ScanFacts, run: RunFacts) -> bool:
    return not scan.shows_ours and not _deficiency(attempt, scan, run)


def _is_alone(waited: float, run: RunFacts) -> bool:
    """Whether nothing else in the run can still bring a job of ours into the list.

    Documents that are yet to be submitted count only for a limited time, since they may themselves
    be waiting for this attempt. In a run that submits nothing they don't count at all.
    """
    may_submit = run.submits and waited <= PATIENCE
    return run.under_way + (run.to_submit if may_submit else 0) == 0


def _may_yet_be_shown(attempt: AttemptFacts, run: RunFacts) -> bool:
    """Whether the job that could prove the list complete is so young that it may be missing
    still.
    """
    return attempt.witness_age is not None and attempt.witness_age <= 3 * run.settle


# --- when the next pass is due --------------------------------------------------------------------


def between_passes(settle: float, took: float) -> float:
    """Return the seconds to leave between two passes, however much there is to find out.

    `took` is how many seconds the last one took: a long job list isn't read all the time.
    """
    return min(settle / 4, max(settle / 10, took))


def next_pass_in(settle: float, due_in: Iterable[float]) -> float:
    """Return the seconds to the next pass, which comes as soon as it may achieve something.

    `due_in` holds the seconds until each fence has settled, which may confirm an absence, or until
    it may be tried again; what is due already is ignored, as the last pass couldn't help it.
    """
    in_time = [span + SLACK for span in due_in if span > 0]
    return min(settle / 4, max(settle / 10, min(in_time, default=math.inf)))


def rest_after_failure(rest: float, settle: float) -> float:
    """Return the seconds to wait after the job list couldn't be read; `rest` was the last wait."""
    return min(REST_AT_MOST, 2 * rest or settle / 8)


def fence_again_in(waited: float | None, settle: float, *, came_too_soon: bool) -> float:
    """Return the seconds until a failed deletion is tried again; `waited` is the previous wait."""
    if came_too_soon:
        return settle / 8
    return min(REST_AT_MOST, settle / 4 if waited is None else 2 * waited)


@dataclass(slots=True)
class ListingLag:
    """Learns how many seconds the job list lags, from the age at which jobs first appear."""

    seconds: float = 0.0  # the longest lag seen
    # Those of our jobs that weren't in the list, with the age of each at that time.
    _late: Mapping[str, float] = field(default_factory=dict)

    def learn(self, ages: Mapping[str, float], settle: float) -> None:
        """Take in the ages, in seconds, of those of our jobs that one complete pass didn't show."""
        shown = [
            age for job_id, age in self._late.items() if job_id not in ages and age <= PATIENCE
        ]
        self.seconds = max(self.seconds, *shown, 0.0)
        self._late = {job_id: age for job_id, age in ages.items() if age >= settle}

    def span(self, settle: float) -> float:
        """Return the seconds that a fence needs to settle."""
        return max(settle, min(2 * self.seconds, PATIENCE))
