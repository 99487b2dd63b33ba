"""Stops unexpected errors, so that one document's trouble doesn't end the run.

Each stage has a boundary. It reports what happened and where, keeps the trace for developers, and
stops the run if the same error hits three documents in a row, since no single document is to blame
then. What becomes of the document is decided by the stage, depending on how far it had come:
neither that nor anything that follows may ever pay for it again.

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

IN_A_ROW: Final = 3  # errors of the same kind: of one type, from the same line of code
INTERNAL: Final = "internal"  # the error class of such a verdict
TRACES: Final = ".batcher/errors.log"  # in the output directory
_WORDS_AT_MOST: Final = 200  # length of the error's own message


class Boundary:
    """Catches errors of one stage; `stage` says in words what was being done.

    With `abort`, a run that is stopped fetches nothing more.
    """

    def __init__(self, control: RunControl, stage: str, *, abort: bool = False) -> None:
        self._control = control
        self._stage = stage
        self._abort = abort
        self._kind: tuple[str, str] = ("", "")
        self._in_a_row = 0
        self._told = set[tuple[str, str]]()
        # whether it has stopped the run: the stage's other documents would fail in the same way
        self.has_stopped = False

    def passed(self) -> None:
        """Note that a document was handled without an error."""
        self._in_a_row = 0

    def caught(self, error: Exception, *, about: str) -> str:
        """Report an error, and return the reason to record for `about`."""
        kind = (type(error).__name__, _place(error))
        self._in_a_row = self._in_a_row + 1 if kind == self._kind else 1
        self._kind = kind
        reason = f"internal error while {self._stage}: {_said(error)} ({kind[1]})"
        self._keep(error, about, reason)
        if kind not in self._told:  # reported once, however many documents it hits
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
    """Return `words` and below them where the error came from."""
    frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
    return f"{words}\n{frames}"


async def kept(
    work: Callable[[], Coroutine[Any, Any, None]], control: RunControl, stage: str
) -> None:
    """Run a whole stage; an error that nothing else caught stops the run with a message.

    What is recorded by then stays so.
    """
    try:
        await work()
    except BatcherError:
        raise
    except Exception as error:
        if _is_ours(error):
            raise  # from a stage with tasks of its own: a full disk is not an internal error
        boundary = Boundary(control, stage, abort=True)
        boundary.stop(boundary.caught(_first_within(error), about="this run"))


def _first_within(error: Exception) -> Exception:
    """Return the first error of a group that batcher has no name for, however deep; or `error`."""
    while isinstance(error, ExceptionGroup):
        error = next(one for one in error.exceptions if not _is_ours(one))
    return error


def _is_ours(error: Exception) -> bool:
    """Tell whether it is a BatcherError, or a group of nothing else."""
    if isinstance(error, ExceptionGroup):
        return error.split(BatcherError)[1] is None
    return isinstance(error, BatcherError)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"


def _said(error: Exception) -> str:
    words = "".join(c if c.isprintable() else " " for c in redact_urls(str(error)))
    return ": ".join(filter(None, (type(error).__name__, words[:_WORDS_AT_MOST])))
