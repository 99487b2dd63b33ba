"""Stands between the scanner and the ledger: what has been paid for isn't paid for again above a
sum, unasked.

New documents pass at once. A newer version of a saved one waits until all is known that would have
to be paid again; then it passes, or somebody is asked, or it stays as it was. It sends nothing and
knows no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batcher.common.formatting import pluralize
from batcher.core.lifecycle import State
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger
from batcher.manifest.model import Manifest
from batcher.stages.run_control import RunControl

# versions in memory; beyond, they are only counted, and looked for again once agreed to
HELD_AT_MOST: Final = 50_000


class Consent:
    """`unasked` in credits.

    `documents` and `credits` are what would be paid for again, as far as the scan has come.
    """

    def __init__(self, ledger: Ledger, control: RunControl, *, unasked: float) -> None:
        self._ledger = ledger
        self._control = control
        self._unasked = unasked
        self._counted: set[int] = set()
        self._held: dict[tuple[str, str], Version] = {}  # by source and job
        self._dropped = False
        self.documents = 0
        self.credits = 0.0

    async def admit(self, versions: Sequence[Version]) -> None:
        """Those that cost nothing more than they would in any case pass; the others wait for
        `settle`.
        """
        answered = self._ledger.sharing.answered(
            [(v.content, v.step) for v in versions if v.replaces]
        )
        paying = [
            v for v in versions if v.state is State.QUEUED and (v.content, v.step) not in answered
        ]
        worth = self._ledger.sending.worth([v.replaces for v in paying if v.replaces])
        # a source whose files were still being written is walked twice
        new = worth.keys() - self._counted
        self._counted |= new
        self.documents += len(new)
        self.credits += sum(worth[document] for document in new)
        waiting = {
            v.source for v in versions if v.replaces in worth and self._unasked < float("inf")
        }
        free = [v for v in versions if v.source not in waiting]  # the steps of a source go together
        if free:
            await self._ledger.admit(free)
        if len(free) == len(versions):
            return
        again = [v for v in versions if v.source in waiting]
        self._dropped = self._dropped or len(self._held) + len(again) > HELD_AT_MOST
        self._held.update({(v.source, v.job): v for v in again if not self._dropped})

    async def settle(self) -> bool:
        """All has been seen.

        Whether some of it must be looked for again, for it was agreed to and not kept in mind.
        """
        if self._unasked == float("inf") or not self.documents:
            return False
        if self.credits > self._unasked and not await self._agreed():
            return False
        lost = self._dropped
        self._unasked = float("inf")
        held = list(self._held.values())
        self._held = {}
        for start in range(0, len(held), 500):
            await self._ledger.admit(held[start : start + 500])
        return lost

    async def agree_to_change(self, job: str, step: str) -> bool:
        """Before anything is sent: other options or another service would pay for all that is saved
        once more.
        """
        if self._ledger.last_step(job) == step:
            return True
        self.documents, self.credits = self._ledger.sending.worth_of_other_steps(job, step)
        if self.credits > self._unasked and not await self._agreed():
            return False
        if self.documents:
            self._unasked = float("inf")
            self.documents = 0
            self.credits = 0.0
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
    """Credits that a run may spend again without asking. On the local service nothing is paid."""
    return float("inf") if manifest.service.is_local else manifest.limits.pay_again


def again_words(documents: int, credits: float) -> str:
    return (
        f"{pluralize(documents, 'document')} that {'are' if documents != 1 else 'is'} saved would be"
        f" paid for again, about {pluralize(credits, 'credit')}: files, options or the service have "
        "changed"
    )
