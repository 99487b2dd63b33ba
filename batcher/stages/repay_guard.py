"""Keeps a run from paying again for saved documents, beyond a limit, without asking.

It is between the scanner and the ledger. New documents pass at once. A newer version of a saved
document waits until the scan has seen everything that would be paid for again; then it passes,
somebody is asked, or it stays as it was. `core.repayment` decides; this stage sends nothing and
reads no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

Place = tuple[str, str]  # the folder and the name of a source
Work = tuple[str | None, str]  # the content and the step of a version: what is paid for once


def work_of(version: Version) -> Work:
    return version.content, version.step


class Consent:
    """Admits versions; `unasked` is how many credits may be paid again without asking."""

    def __init__(self, ledger: Ledger, control: RunControl, *, unasked: float) -> None:
        self._ledger = ledger
        self._control = control
        self._unasked = unasked
        # what waits, and what of it would be paid for again, in credits
        self._held: dict[Place, list[tuple[Version, float]]] = {}
        self._holds = 0  # versions
        self._dropped = False
        self._beyond: dict[Work, float] = {}  # credits of what doesn't wait here

    @property
    def again(self) -> Repayment:
        """What would be paid for again, as far as the scan has come; the same bytes count once."""
        credits = dict(self._beyond)
        for versions in self._held.values():
            credits |= {work_of(version): worth for version, worth in versions if worth}
        return Repayment().plus(credits.values())

    def forget(self, found: Iterable[Place]) -> None:
        """Forget what waits for sources that are looked at once more: it may have changed since."""
        for place in found if self._held else ():
            self._holds -= len(self._held.pop(place, ()))

    async def admit(self, versions: Sequence[Version]) -> None:
        """Admit versions that cost nothing beyond their own price; the others wait."""
        replaced = [(version.content, version.step) for version in versions if version.replaces]
        paying = repayment.to_be_paid(versions, self._ledger.sharing.answered(replaced))
        worth = self._ledger.sending.worth(
            [version.replaces for version in paying if version.replaces]
        )
        again = {
            work_of(version): worth[version.replaces]
            for version in paying
            if version.replaces in worth
        }
        passing, waiting = repayment.apart(versions, worth, self._unasked)
        if passing:
            await self._ledger.admit(passing)
        self._dropped = self._dropped or self._holds + len(waiting) > HELD_AT_MOST
        if self._dropped or not waiting:
            self._beyond |= again
            return
        for version in waiting:
            held = self._held.setdefault((version.folder, version.source), [])
            held.append((version, again.get(work_of(version), 0.0)))
            self._holds += 1

    async def settle(self) -> bool:
        """Decide about the waiting versions, now that everything has been seen.

        Return whether some of them must be looked for again, because they were agreed to and are
        not in memory.
        """
        again = self.again
        answer = repayment.when_all_is_seen(again, self._unasked)
        if answer is Answer.NOTHING_WAITS:
            return False
        if answer is Answer.ASK and not await self._agreed(again):
            return False
        self._unasked = NO_LIMIT
        held = [version for versions in self._held.values() for version, _ in versions]
        self._held = {}
        for start in range(0, len(held), GROUP):
            await self._ledger.admit(held[start : start + GROUP])
        return self._dropped

    async def agree_to_changes(self, steps: Mapping[str, str]) -> bool:
        """Ask before sending anything if changed options or another service mean paying again.

        `steps` are the hashes of what each job asks for. Below the limit nobody is asked; what the
        scan finds counts against it then. Return False if it was refused.
        """
        changed = {job: step for job, step in steps.items() if self._ledger.last_step(job) != step}
        again = Repayment()
        for job, step in changed.items():
            documents, credits = self._ledger.sending.worth_of_other_steps(job, step)
            again = Repayment(again.documents + documents, again.credits + credits)
        if repayment.ask_first(again, self._unasked):
            if not await self._agreed(again):
                return False
            self._unasked = NO_LIMIT
        for job, step in changed.items():
            await self._ledger.note_step(job, step)
        return True

    async def _agreed(self, again: Repayment) -> bool:
        words = again_words(again.documents, again.credits)
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
