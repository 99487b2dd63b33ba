"""How a run ended, as one word and as an exit code.

The command line, summaries and messages share these. This module imports nothing of batcher.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """The exit code of the process. JSON, the ledger and the shell see the plain integer."""

    SUCCESS = 0  # everything is on disk, or as much as was asked for
    INCOMPLETE = 1  # a document has no result, or a check found something wrong
    USAGE = 2  # the command, manifest or ledger can't be used, or nobody agreed to pay
    RUN_AGAIN = 3  # the run stopped before its end: the same command resumes it
    SERVICE_FAILED = 4  # the service refuses or doesn't answer, or batcher itself failed
    LEDGER_LOCKED = 5  # another run holds the ledger


class RunEnd(StrEnum):
    """What ended a run. Of several causes, the one defined last prevails."""

    FINISHED = "finished"  # everything that was asked for is done
    LIMIT = "limit"  # a limit of the manifest was reached: the rest is left to the next run
    STOPPED = "stopped"  # by a person, by a signal, or to let another run continue
    FAILED = "failed"  # some document came to another verdict, or the run couldn't continue


_WEIGHT = {how: weight for weight, how in enumerate(RunEnd)}


def heavier(one: RunEnd, other: RunEnd) -> RunEnd:
    """Return the one of two that prevails."""
    return max(one, other, key=_WEIGHT.__getitem__)


def exit_code_of(
    *, stopped: ExitCode, refused: bool, failed: bool, waits: bool, lacks: bool
) -> ExitCode:
    """Return the exit code of a run that came to its end.

    `stopped` is the code with which it was stopped, or SUCCESS if it wasn't. `refused` means that
    nobody agreed to pay again. `failed` means that a document failed in this run. `waits` means
    that the next run takes up the remaining documents unasked. `lacks` means that some document
    isn't saved and the caller asked to be told so.
    """
    if stopped != ExitCode.SUCCESS:
        return stopped
    if refused:
        return ExitCode.USAGE
    if failed:
        return ExitCode.INCOMPLETE
    if waits:
        return ExitCode.RUN_AGAIN
    return ExitCode.INCOMPLETE if lacks else ExitCode.SUCCESS


def ended_as(exit_code: ExitCode, how: RunEnd) -> RunEnd:
    """Return the word for a run that ended with `exit_code`; `how` is what stopped it, if any."""
    if exit_code == ExitCode.SUCCESS:
        return RunEnd.FINISHED
    if exit_code != ExitCode.RUN_AGAIN:
        return RunEnd.FAILED
    return RunEnd.STOPPED if how is RunEnd.FINISHED else how
