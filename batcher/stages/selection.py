"""Chooses the documents that may be sent now, and remembers which ones can't be, and why.

`core.sending` has the rules, and the ledger decides finally whether a submission fits into the
limits. Nothing is sent from here, and no run stopped: the submitter is told what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from batcher.core import events, sending
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.lifecycle import State
from batcher.core.reservations import Reservation
from batcher.core.submission_quota import Allowance
from batcher.errors import BudgetSpent
from batcher.ledger.ledger import Due
from batcher.stages.context import StageContext
from batcher.stages.in_hand import InHand
from batcher.stages.job_template import SubmissionRules
from batcher.stages.kept_room import KeptRoom


class Selection:
    def __init__(
        self,
        context: StageContext,
        concurrency: ConcurrencyLimit,
        rules: SubmissionRules,
        in_hand: InHand,
    ) -> None:
        self._ledger = context.ledger
        self._jobs = context.jobs
        self._clock = context.clock
        self._concurrency = concurrency
        self._least_cost = rules.least_cost
        self._in_hand = in_hand
        self._allowance = Allowance(rules.most)
        self._mode: sending.Mode = sending.Freely()
        # why each of these documents doesn't fit into the rest of a limit
        self._too_large: dict[int, str] = {}
        # documents that wait for the bill of another one of their type, and which one that is
        self._parked: dict[int, int] = {}
        self._kept_room = KeptRoom(self._ledger)

    def follow_ledger(self) -> None:
        """Hear from now on what becomes of the later steps for which room is kept."""
        self._ledger.listeners.append(self._kept_room.hear)

    # --- what is taken up -------------------------------------------------------------------------

    def take_up(self) -> Sequence[Due]:
        """Return the documents to submit now, and those to only upload, and count them in hand."""
        self._unpark()
        due, ahead = self._due()
        for document in due:
            self._allowance.promise(document.id)
        self._in_hand.take(document.id for document in due)
        self._in_hand.take_ahead(document.id for document in ahead)
        return due + ahead

    def let_go(self, due: Due) -> None:
        """Count a document as done with, or as left for now."""
        self._allowance.withdraw(due.id)
        self._in_hand.let_go(due.id)

    def _unpark(self) -> None:
        """Release parked documents whose probe has been billed or won't be billed any more."""
        if not self._parked:
            return
        probes = set(self._parked.values())
        awaited = self._ledger.sending.on_their_way(probes)
        self._parked = {
            document: probe for document, probe in self._parked.items() if probe in awaited
        }

    def _due(self) -> tuple[list[Due], list[Due]]:
        """Return the documents to submit now, and those to only upload so that they are ready."""
        hands = self._hands()
        room = self._room(hands)
        ahead = sending.room_ahead(hands, self._allowance, room=room)
        if room + ahead == 0:
            return [], []
        lying = hands.lying if ahead else 0
        taken = {*self._in_hand, *self._too_large, *self._parked}
        most = len(taken) + room + ahead + lying
        rows = self._kept_room.due(self._clock(), most)
        free = [row for row in rows if row.id not in taken]
        to_upload = [row for row in free[room:] if row.state is State.QUEUED]
        return free[:room], to_upload[:ahead]

    def _hands(self) -> sending.Hands:
        return sending.Hands(
            mode=self._mode,
            in_hand=len(self._in_hand),
            only_uploaded=self._in_hand.number_ahead,
            lying=self._ledger.tally[State.UPLOADED],
            parked=len(self._parked),
            in_flight=self._ledger.in_flight,
            backlog=self._jobs.backlog,
        )

    def _room(self, hands: sending.Hands) -> int:
        """Return how many more documents may be submitted now."""
        if sending.is_closed(hands):
            return 0
        occupied = hands.in_flight + hands.being_sent
        places = self._concurrency.left(self._clock(), occupied)
        on_trial = self._concurrency.breaker.open_until is not None
        return sending.room(hands, self._allowance, places=places, on_trial=on_trial)

    # --- what became of it ------------------------------------------------------------------------

    def count(self, due: Due, claim: Reservation) -> None:
        """Count a document whose submission fits into the limits and is on record."""
        later = [step.document for step in claim.later]
        self._kept_room.keep(later, after=due.id)
        self._allowance.use(due.id)
        self._mode = sending.after_fit(self._mode)

    def give_back(self) -> None:
        """Count one submission less: the service certainly hasn't accepted it."""
        self._allowance.give_back()

    def hold_back(self, due: Due, error: BudgetSpent) -> None:
        """Hold a document back until jobs in flight are billed.

        Raises `error` where that can't help.
        """
        match sending.after_limit(may_fit=error.may_fit, probe=error.probe):
            case sending.Unaffordable.LEAVE:
                raise error
            case sending.Unaffordable.PARK:
                assert error.probe is not None
                self._parked[due.id] = error.probe
            case sending.Unaffordable.WAIT_FOR_BILLS:
                self._mode = sending.near_limit(self._ledger.in_flight)
                is_last = isinstance(self._mode, sending.OneAtATime)
                self._kept_room.wait(may_shrink=is_last)

    async def pass_over(self, due: Due, error: BudgetSpent) -> str | None:
        """Leave a document to another run: it is too large for the rest of a limit.

        Smaller documents may still fit, but finding out means opening each file, so the search ends
        once too many have been passed over. Then the limit is returned, in words, for the run to
        stop at.
        """
        limit = str(error)
        self._too_large[due.id] = limit
        await self._kept_room.free(due.id)
        postponed = events.Postponed(due.id, limit, self._clock(), due.tries)
        await self._ledger.record(postponed)
        if self._parked or not isinstance(self._mode, sending.Freely):
            return None  # documents that wait for bills may still fit
        passed_over = len(self._too_large)
        if not sending.is_limit_reached(
            cost=error.cost, least=self._least_cost, passed_over=passed_over
        ):
            return None
        if self._kept_room:
            self._kept_room.limit = limit
            return None
        return limit

    # --- what is left -----------------------------------------------------------------------------

    @property
    def is_tight(self) -> bool:
        """Whether a document may not fit, so that its cost is looked at before it is uploaded."""
        return self._allowance.exceeded or bool(self._too_large)

    @property
    def has_sent_its_number(self) -> bool:
        """Whether the run has submitted as many documents as its limit allows."""
        return self._allowance.used_up

    @property
    def has_more(self) -> bool:
        """Whether more documents are to be sent than those that are too large for a limit."""
        tally = self._ledger.tally
        to_send = tally[State.QUEUED] + tally[State.UPLOADED]
        return to_send > len(self._too_large)

    def limit_reached(self) -> str | None:
        """Return the limit that only left room for later steps, once these are sent as well."""
        if self._kept_room.limit and not self._kept_room:
            return self._kept_room.limit
        return None

    def nothing_fits(self) -> str | None:
        """Return the limit for whose rest every document still to be sent is too large, if one is.

        Call it only once the scan is complete: more documents may be found before.
        """
        tally = self._ledger.tally
        is_out = self._ledger.in_flight or tally[State.SENDING] or tally[State.UNKNOWN]
        if tally[State.FOLLOWING] and is_out:
            return None  # the steps that follow those jobs may fit
        if not self._too_large or self._in_hand or self._kept_room:
            return None
        # the other documents were replaced by newer versions, which may fit
        left = self._ledger.sending.to_submit(list(self._too_large))
        self._too_large = {
            document: limit for document, limit in self._too_large.items() if document in left
        }
        if not self._too_large or self.has_more:
            return None
        return list(self._too_large.values())[-1]
