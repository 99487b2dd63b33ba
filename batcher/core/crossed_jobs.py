"""Decides which documents get their own jobs back, after answers to submissions were mixed up.

Two answers may have changed places, any number may have gone round in a ring, and where one was
lost all later ones may each have reached the next document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from batcher.core.duplicate_jobs import AttemptRef

# Outcomes of attempts whose job brings their document's result; of any other, another job does.
HOLDING: Final = ("accepted", "saved")


class Crossed(NamedTuple):
    """A job that the ledger holds for `holder` although it was submitted for `named`."""

    holder: AttemptRef
    named: AttemptRef

    @property
    def matters(self) -> bool:
        """Whether the holder's document has its result from the job, or is to have it."""
        return self.holder.outcome in HOLDING


class OwnJob(NamedTuple):
    """An attempt that holds another's job, and the job that was made of its own submission."""

    attempt: AttemptRef
    job_id: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """Attempts that give up each other's jobs, with their own.

    They are in an order in which each job is free when its attempt takes it. In a ring the last one
    must let go of its job first.
    """

    own_jobs: tuple[OwnJob, ...]
    is_ring: bool

    @property
    def attempts(self) -> list[AttemptRef]:
        return [one.attempt for one in self.own_jobs]


def exchanges(crossed: Mapping[str, Crossed], unclaimed: Mapping[str, str]) -> list[Exchange]:
    """Return what can be exchanged, each attempt once.

    `crossed` is by job id. `unclaimed` are jobs that no attempt holds, by the nonce of the attempt
    that they were submitted for. A job whose attempt holds none is only let go of. Attempts that
    hold another's job although their own isn't known stay as they are, and so do those that ended
    without a result: their documents may have others.
    """
    held = {one.holder.nonce: job_id for job_id, one in crossed.items() if one.matters}
    found: list[Exchange] = []
    taken: set[str] = set()
    for nonce in sorted(held.keys() & unclaimed.keys()):
        first = OwnJob(crossed[held[nonce]].holder, unclaimed[nonce])
        found.append(Exchange(_passed_on(first, held, crossed), is_ring=False))
        taken.update(attempt.nonce for attempt in found[-1].attempts)
    for nonce in sorted(held.keys() - taken):
        if nonce not in taken and (ring := _ring(nonce, held, crossed)):
            found.append(Exchange(ring, is_ring=True))
            taken.update(attempt.nonce for attempt in found[-1].attempts)
    return found


def stranded(crossed: Mapping[str, Crossed], found: Sequence[Exchange]) -> dict[str, Crossed]:
    """Return those of `crossed` whose holders are in no exchange."""
    taken = {attempt.nonce for one in found for attempt in one.attempts}
    return {job_id: one for job_id, one in crossed.items() if one.holder.nonce not in taken}


def _passed_on(
    first: OwnJob, held: Mapping[str, str], crossed: Mapping[str, Crossed]
) -> tuple[OwnJob, ...]:
    """Return who takes which job once `first` has taken its own, until one is let go of."""
    own_jobs = [first]
    nonces = {first.attempt.nonce}
    while (freed := held.get(own_jobs[-1].attempt.nonce)) is not None:
        named = crossed[freed].named
        if named.nonce not in held or named.nonce in nonces:
            break
        own_jobs.append(OwnJob(named, freed))
        nonces.add(named.nonce)
    return tuple(own_jobs)


def _ring(
    nonce: str, held: Mapping[str, str], crossed: Mapping[str, Crossed]
) -> tuple[OwnJob, ...]:
    """Return the ring in which the attempt with that nonce is the last; empty if there is none."""
    own_jobs: list[OwnJob] = []
    here = nonce
    while here in held and len(own_jobs) < len(held):
        job_id = held[here]
        named = crossed[job_id].named
        own_jobs.append(OwnJob(named, job_id))
        if named.nonce == nonce:
            return tuple(own_jobs)
        here = named.nonce
    return ()
