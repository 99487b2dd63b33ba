"""Keeps a run from paying again for saved documents, beyond a limit, without asking.

It is between the scanner and the ledger. New documents pass at once. A newer version of a saved
document waits until the scan has seen everything that would be paid for again; then it passes,
somebody is asked, or it stays as it was. `core.repayment` decides; this stage sends nothing and
reads no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batcher.common.formatting import format_credits, pluralize
from batcher.core import repayment
from batcher.core.repayment import NO_LIMIT, Answer, Repayment
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger
from batcher.manifest.model import Manifest
from batcher.stages.run_control import RunControl

# Versions kept in memory. Any more are only counted, and looked for again once agreed to.
HELD_AT_MOST: Final = 50_000
GROUP: Final = 500  # versions admitted in one transaction


class Consent:
    """Admits versions; `unasked` is how many credits may be paid again without asking."""

    def __init__(self, ledger: Ledger, control: RunControl, *, unasked: float) -> None:
        self._ledger = ledger
        self._control = control
        self._unasked = unasked
        self._again = Repayment()  # as far as the scan has come
        self._counted: set[int] = set()
        self._held: dict[tuple[str, str, str], Version] = {}  # by folder, source and job
        self._dropped = False

    @property
    def documents(self) -> int:
        """Number of documents that would be paid for again, as far as the scan has come."""
        return self._again.documents

    @property
    def credits(self) -> float:
        """Approximate cost of those documents."""
        return self._again.credits

    async def admit(self, versions: Sequence[Version]) -> None:
        """Admit versions that cost nothing beyond their own price; the others wait."""
        replaced = [(version.content, version.step) for version in versions if version.replaces]
        paying = repayment.to_be_paid(versions, self._ledger.sharing.answered(replaced))
        worth = self._ledger.sending.worth(
            [version.replaces for version in paying if version.replaces]
        )
        self._count(worth)
        passing, waiting = repayment.apart(versions, worth, self._unasked)
        if passing:
            await self._ledger.admit(passing)
        self._hold(waiting)

    def _count(self, worth: dict[int, float]) -> None:
        """Count each document once: a source whose files change is walked twice."""
        new = worth.keys() - self._counted
        self._counted |= new
        self._again = self._again.plus([worth[document] for document in new])

    def _hold(self, waiting: Sequence[Version]) -> None:
        if not waiting:
            return
        self._dropped = self._dropped or len(self._held) + len(waiting) > HELD_AT_MOST
        if not self._dropped:
            self._held.update({(one.folder, one.source, one.job): one for one in waiting})

    async def settle(self) -> bool:
        """Decide about the waiting versions, now that everything has been seen.

        Return whether some of them must be looked for again, because they were agreed to and are
        not in memory.
        """
        answer = repayment.when_all_is_seen(self._again, self._unasked)
        if answer is Answer.NOTHING_WAITS:
            return False
        if answer is Answer.ASK and not await self._agreed():
            return False
        self._unasked = NO_LIMIT
        held = list(self._held.values())
        self._held = {}
        for start in range(0, len(held), GROUP):
            await self._ledger.admit(held[start : start + GROUP])
        return self._dropped

    async def agree_to_change(self, job: str, step: str) -> bool:
        """Ask before sending anything if changed options or another service mean paying again.

        Return False if that was refused.
        """
        if self._ledger.last_step(job) == step:
            return True
        self._again = Repayment(*self._ledger.sending.worth_of_other_steps(job, step))
        if repayment.ask_first(self._again, self._unasked) and not await self._agreed():
            return False
        if self._again.documents:
            self._unasked = NO_LIMIT
            self._again = Repayment()
        await self._ledger.note_step(job, step)
        return True

    async def _agreed(self) -> bool:
        words = again_words(self.documents, self.credits)
        if self._control.ask is not None and await self._control.ask(words):
            return True
        self._control.refused = (
            f"{words}; more than limits.pay_again = {self._unasked:g}. Nothing of that was sent: "
            "`batcher plan` shows it, `batcher run … --yes` pays for it"
        )
        return False


def unasked(manifest: Manifest) -> float:
    """Return the credits that a run may pay again without asking.

    There is no limit on the local service, which costs nothing.
    """
    return NO_LIMIT if manifest.service.is_local else manifest.limits.pay_again


def again_words(documents: int, credits: float) -> str:
    return (
        f"{pluralize(documents, 'document')} that {'are' if documents != 1 else 'is'} saved "
        "would be"
        f" paid for again, about {format_credits(credits)}: files, options or the service "
        "have "
        "changed"
    )
