"""Lines for people: their colours, their file, and how often one tells of progress."""

from __future__ import annotations

import asyncio
import io
import resource
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from virtual import run_virtually

from batcher.core.events import Ended, Sending
from batcher.core.lifecycle import State
from batcher.ledger.ledger import Transition
from batcher.stages.run_control import RunControl
from batcher.views.log_file import LogFile
from batcher.views.progress import fitting
from batcher.views.progress_lines import ProgressLines
from batcher.views.standing import Standing
from batcher.views.tones import Tone, is_coloured, painted


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


COLOURED = (
    ("auto", True, {}, True),
    ("auto", False, {}, False),
    ("auto", True, {"TERM": "dumb"}, False),
    ("auto", True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ("auto", True, {"NO_COLOR": ""}, True),
    ("auto", False, {"FORCE_COLOR": "1"}, True),
    ("auto", False, {"FORCE_COLOR": "0"}, False),
    ("always", False, {"NO_COLOR": "1"}, True),
    ("never", True, {"FORCE_COLOR": "1"}, False),
)


@pytest.mark.parametrize(("choice", "terminal", "environment", "coloured"), COLOURED)
def test_colours_are_for_terminals_and_for_who_asks(
    choice: str, terminal: bool, environment: dict[str, str], coloured: bool
) -> None:
    stream = _Terminal() if terminal else io.StringIO()
    assert is_coloured(choice, stream, environment) is coloured
    assert painted("a\nb", Tone.BAD) == "\x1b[31ma\x1b[0m\n\x1b[31mb\x1b[0m"


def test_a_log_that_was_moved_away_begins_anew(tmp_path: Path) -> None:
    """As logrotate does; what is written later stands in the new file, and no line is lost."""
    path = tmp_path / "night.log"
    troubles: list[str] = []
    log = LogFile(path, troubles.append)
    log.write("one\n")
    path.rename(tmp_path / "night.log.1")
    log.write("two\n")
    path.unlink()
    log.write("three\n")
    assert (tmp_path / "night.log.1").read_text() == "one\n"
    assert path.read_text() == "three\n" and not troubles
    log.close()


def test_a_log_on_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    """It is told once."""
    troubles: list[str] = []
    log = LogFile(tmp_path / "night.log", troubles.append)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        for _ in range(9):
            log.write("a line\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        log.close()
    (told,) = troubles
    assert "night.log: File too large; the run goes on" in told


class _Tracking:
    def nearest_deadline_at(self) -> float:
        return 7200.0


class _Ledger:
    """A tally, and the other few things that progress asks of a ledger."""

    def __init__(self) -> None:
        self.tally = Counter({State.SAVED: 10, State.WAITING: 5, State.QUEUED: 985})
        self.listeners: list[Any] = []
        self.open_documents = 990
        self.tracking = _Tracking()

    def clock(self) -> float:
        return 3600.0


def test_a_line_of_progress_tells_how_far_how_fast_how_long_and_at_what_cost() -> None:
    """Sixty documents in a minute, of which one cost less than was feared."""
    now = 0.0
    ledger = _Ledger()
    control = RunControl()
    standing = Standing(ledger, control, dollars_per_credit=0.015, now=lambda: now)  # type: ignore[arg-type]
    (hear,) = ledger.listeners
    hear(Transition(Sending(1, "n", "s", "k", 9.0), State.UPLOADED, State.SENDING))
    hear(Transition(Ended(1, 1, 2.0), State.WAITING, State.READY))
    hear(Transition(Sending(2, "n", "s", "k", 6.0), State.UPLOADED, State.SENDING))
    hear(Transition(Ended(2, None, None), State.WAITING, State.READY))
    ledger.tally.update({State.SAVED: 59, State.FAILED: 1, State.QUEUED: -60})
    ledger.open_documents = 930
    now = 60.0
    assert standing.line() == (
        "70 of 1,000 documents done (7%), about 16 min left, 5 in flight, 1 failed, 1/s, "
        "$0.12 spent, first deadline in 1 h"
    )
    control.stopped.set()
    assert "about 5 s left" in standing.line(), "nothing more is sent"
    standing.close()
    assert not ledger.listeners


def test_a_line_comes_at_most_at_its_time_and_seldom_while_nothing_happens() -> None:
    """Ten times its time without a change, and at once after one."""
    run_virtually(_told_seldom())


async def _told_seldom() -> None:
    ledger = _Ledger()
    standing = Standing(ledger, RunControl(), dollars_per_credit=0.0)  # type: ignore[arg-type]
    said: list[str] = []
    lines = ProgressLines(standing, said.append, every=2.0)
    await asyncio.sleep(19.0)
    assert said == []
    await asyncio.sleep(4.0)
    assert len(said) == 1, "so that one knows that it still runs"
    ledger.tally[State.SAVED] += 1
    await asyncio.sleep(2.0)
    assert len(said) == 2 and "$" not in said[1]
    await asyncio.sleep(10.0)
    assert len(said) == 2
    lines.close()


def test_a_narrow_terminal_gets_what_is_wanted_most() -> None:
    assert fitting(["70/1,000", "about 16 min left", "5 in flight"], 30) == (
        "70/1,000, about 16 min left"
    )
