"""A line for each document that comes to its end, or that is to be repeated: what `-v` shows."""

from __future__ import annotations

from collections.abc import Callable

from batcher.common.formatting import format_bytes, format_credits, pluralize
from batcher.core.events import Ended, JobToRepeat, Saved
from batcher.core.lifecycle import VERDICTS, State
from batcher.ledger.ledger import Ledger, Transition
from batcher.views.tones import Tone

Say = Callable[[str, Tone], None]


class DocumentLines:
    """Follows `ledger` from now on, until `close`.

    With `names_steps` each line names the step of the chain, with `is_billed` what it cost.
    """

    def __init__(self, ledger: Ledger, say: Say, *, names_steps: bool, is_billed: bool) -> None:
        self._ledger = ledger
        self._say = say
        self._names_steps = names_steps
        self._is_billed = is_billed
        self._ended: dict[int, Ended] = {}  # by document, until its result is on disk
        ledger.listeners.append(self._hear)

    def close(self) -> None:
        self._ledger.listeners.remove(self._hear)

    def _hear(self, change: Transition) -> None:
        event = change.event
        if isinstance(event, Ended):
            self._ended[event.document] = event
        elif isinstance(event, JobToRepeat):
            self._tell("to repeat", event.document, event.reason, Tone.WARNING)
        elif change.after is change.before:
            return
        elif change.after is State.SAVED:
            self._tell("saved", event.document, self._of_result(change), Tone.GOOD)
        elif change.after in VERDICTS:
            self._ended.pop(event.document, None)
            word = change.after.replace("_", " ")
            self._tell(word, event.document, getattr(event, "reason", ""), Tone.BAD)

    def _of_result(self, change: Transition) -> str:
        event = change.event
        ended = self._ended.pop(event.document, None)
        words = []
        if ended is not None and ended.pages is not None:
            words.append(pluralize(ended.pages, "page"))
        if ended is not None and ended.credits is not None and self._is_billed:
            words.append(format_credits(ended.credits))
        if isinstance(event, Saved):
            words.append(format_bytes(event.size))
        return ", ".join(words)

    def _tell(self, word: str, document: int, details: str, tone: Tone) -> None:
        source, step = self._ledger.tracking.name_of(document)
        name = f"{source} [{step}]" if self._names_steps else source
        self._say(f"{word}: {name}" + (f": {details}" if details else ""), tone)
