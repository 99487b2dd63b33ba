"""How a run is stopped: by whom first, and how urgently."""

from datetime import datetime

from batcher.exit_codes import RunEnd
from batcher.stages.run_control import RunControl


def test_the_first_reason_stands() -> None:
    """A later one may make it more urgent, not another."""
    control = RunControl()
    control.stop("disk full", 3)
    control.stop("on request", 4, abort=True)
    assert (control.reason, control.exit_code, control.abort) == ("disk full", 3, True)


def test_a_run_that_only_brings_home_can_still_be_stopped() -> None:
    """Then it stops before its end, and says so."""
    control = RunControl()
    control.stop("", 0, home=True)
    control.stop("on request", 3)
    assert (control.reason, control.exit_code, control.home) == ("on request", 3, False)


def test_what_weighs_most_is_how_it_ended() -> None:
    """A limit, then a signal, then a disk that is full."""
    control = RunControl()
    control.reach("limits.max_pages")
    assert (control.how, control.home) == (RunEnd.LIMIT, True)
    control.stop("on request", 3, how=RunEnd.STOPPED)
    assert (control.how, control.reason) == (RunEnd.STOPPED, "limits.max_pages")
    control.stop("disk full", 3, abort=True)
    control.stop("on request", 3, how=RunEnd.STOPPED)
    assert control.how is RunEnd.FAILED


def test_who_has_stopped_waiting_does_not_begin_again() -> None:
    """A limit that is reached after Ctrl-C changes nothing."""
    control = RunControl()
    control.stop("on request", 3)
    control.stop("limits.max_pages", 3, home=True)
    assert (control.reason, control.home) == ("on request", False)


def test_a_wait_that_is_told_again_says_no_secret_either() -> None:
    """A service quotes the key each time it refuses."""
    told: list[str] = []
    control = RunControl(tell=told.append)
    control.secrets.keep(["CANARY-of-a-key"], "the key")
    for _ in range(2):
        control.warn_of_wait(
            "uploads wait", datetime.fromtimestamp(0.0), "no more for CANARY-of-a-key"
        )
    assert [words.rpartition(": ")[2] for words in told] == ["no more for [the key]"] * 2
