"""Where what nobody foresaw stops: one document's trouble is its own, and the run goes on without
it.

Each stage has one. It tells what happened and where, keeps the trace for whoever mends it, and
stops the run where the same befalls three documents in a row: that is no document's trouble. What
becomes of the document is the stage's to say, by how far it had come: nothing here, and nothing
that follows, may ever pay for it again.

    try:
        await self._handle(document)
        self._boundary.passed()
    except BatcherError:
        raise
    except Exception as error:
        reason = self._boundary.caught(error, about=source)
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from batcher.common.secrets import redact_urls
from batcher.errors import BatcherError
from batcher.exit_codes import ExitCode
from batcher.stages.run_control import RunControl

IN_A_ROW: Final = 3  # of the same kind: from the same line of code
INTERNAL: Final = "internal"  # the class of such a verdict
TRACES: Final = ".batcher/errors.log"  # in the output directory
_WORDS_AT_MOST: Final = 200  # of what the error says of itself


class Boundary:
    """`stage` says what was being done, for people.

    `abort`: that a run which is stopped brings nothing home.
    """

    def __init__(self, control: RunControl, stage: str, *, abort: bool = False) -> None:
        self._control = control
        self._stage = stage
        self._abort = abort
        self._kind: tuple[str, str] = ("", "")
        self._in_a_row = 0
        self._told = set[tuple[str, str]]()
        self.has_stopped = False  # the run: the same would befall whatever this stage took up next

    def passed(self) -> None:
        """One was handled as it should be."""
        self._in_a_row = 0

    def caught(self, error: Exception, *, about: str) -> str:
        """The reason to give for what becomes of `about`."""
        kind = (type(error).__name__, _place(error))
        self._in_a_row = self._in_a_row + 1 if kind == self._kind else 1
        self._kind = kind
        reason = f"internal error while {self._stage}: {_said(error)} ({kind[1]})"
        self._keep(error, about, reason)
        if kind not in self._told:  # once for all that it befalls
            self._told.add(kind)
            self._control.warn(f"{about}: {reason}; the trace is in {TRACES}, please report it")
        if self._in_a_row >= IN_A_ROW:
            self.stop(f"{self._in_a_row} documents in a row: {reason}")
        return reason

    def stop(self, words: str) -> None:
        self.has_stopped = True
        self._control.stop(f"{words}; see {TRACES}", ExitCode.SERVICE_FAILED, abort=self._abort)

    def _keep(self, error: Exception, about: str, reason: str) -> None:
        self._control.trace(trace_of(error, f"{about}: {reason}"))


def trace_of(error: Exception, words: str) -> str:
    """Where it came from, below `words`: for whoever mends it."""
    frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
    return f"{words}\n{frames}"


async def kept(
    work: Callable[[], Coroutine[Any, Any, None]], control: RunControl, stage: str
) -> None:
    """A whole stage at work: what gets past all else stops the run in words, and what is on record
    stays so.
    """
    try:
        await work()
    except BatcherError:
        raise
    except Exception as error:
        if isinstance(error, ExceptionGroup) and error.split(BatcherError)[1] is None:
            raise  # of a stage that has tasks of its own: a full disk is no error of ours
        boundary = Boundary(control, stage, abort=True)
        boundary.stop(boundary.caught(error, about="this run"))


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"


def _said(error: Exception) -> str:
    words = "".join(c if c.isprintable() else " " for c in redact_urls(str(error)))
    return ": ".join(filter(None, (type(error).__name__, words[:_WORDS_AT_MOST])))
