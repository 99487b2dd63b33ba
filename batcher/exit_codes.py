"""How a run ended: in one word and by its exit code, which the command line, summaries and messages
have in common. It imports nothing of batcher.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What the process's exit code says. JSON, the ledger and the shell see the plain integer."""

    SUCCESS = 0  # everything is on disk, or as much of it as was asked for
    INCOMPLETE = 1  # a document has no result, or what was checked is not as it should be
    USAGE = 2  # the command, the manifest or the ledger can't be used, or nobody agreed to pay
    RUN_AGAIN = 3  # the run stopped before its end: the same command goes on
    SERVICE_FAILED = 4  # the service refuses or doesn't answer, or batcher itself failed
    LEDGER_LOCKED = 5  # another run holds the ledger


class RunEnd(StrEnum):
    """The later ones outweigh the earlier."""

    FINISHED = "finished"  # with all that was asked of it
    LIMIT = "limit"  # one of the manifest's: what is left is for the next run
    STOPPED = "stopped"  # by a person, a signal, or for another run to go on
    FAILED = "failed"  # some document came to another verdict, or the run couldn't go on


_WEIGHT = {how: weight for weight, how in enumerate(RunEnd)}


def heavier(one: RunEnd, other: RunEnd) -> RunEnd:
    return max(one, other, key=_WEIGHT.__getitem__)


def exit_code_of(
    *, stopped: ExitCode, refused: bool, failed: bool, waits: bool, lacks: bool
) -> ExitCode:
    """The exit code of a run that came to its end.

    `stopped` is the code with which it was stopped, SUCCESS if it wasn't. `refused` means that
    nobody agreed to pay again, and `failed` that a document failed in this run. `waits` means that
    the next run takes up by itself what is left, and `lacks` that some document isn't saved and
    somebody asked to be told so.
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
    """The word for a run that ended with `exit_code`. `how` says what stopped it, if anything."""
    if exit_code == ExitCode.SUCCESS:
        return RunEnd.FINISHED
    if exit_code != ExitCode.RUN_AGAIN:
        return RunEnd.FAILED
    return RunEnd.STOPPED if how is RunEnd.FINISHED else how
