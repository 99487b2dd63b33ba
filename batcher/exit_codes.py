"""How a run ended: in one word and by its exit code, which the command line, summaries and messages
have in common.
"""

from __future__ import annotations

from enum import StrEnum


class RunEnd(StrEnum):
    """The later ones outweigh the earlier."""

    FINISHED = "finished"  # with all that was asked of it
    LIMIT = "limit"  # one of the manifest's: what is left is for the next run
    STOPPED = "stopped"  # by a person, a signal, or for another run to go on
    FAILED = "failed"  # some document came to another verdict, or the run couldn't go on


_WEIGHT = {how: weight for weight, how in enumerate(RunEnd)}


def heavier(one: RunEnd, other: RunEnd) -> RunEnd:
    return max(one, other, key=_WEIGHT.__getitem__)


def exit_code_of(*, stopped: int, refused: bool, failed: bool, waits: bool, lacks: bool) -> int:
    """`stopped`: with which code it was, if it was; `refused`: nobody agreed to pay again;
    `failed`: in this run.

    `waits`: something is left that the next run takes up by itself; `lacks`: some document isn't
    saved, and is minded.
    """
    return stopped or (2 if refused else 1 if failed else 3 if waits else 1 if lacks else 0)


def ended_as(exit_code: int, how: RunEnd) -> RunEnd:
    """`how` a run was stopped that was."""
    if exit_code == 0:
        return RunEnd.FINISHED
    if exit_code != 3:
        return RunEnd.FAILED
    return RunEnd.STOPPED if how is RunEnd.FINISHED else how
