"""How a run is stopped: by whom first, and how urgently."""

from datetime import datetime

from batcher.exit_codes import RunEnd
from batcher.stages.run_control import RunControl


def test_the_first_reason_stands() -> None:
    """A later one may make it more urgent, not another."""
    course = RunControl()
    course.stop("disk full", 3)
    course.stop("on request", 4, abort=True)
    assert (course.reason, course.exit_code, course.abort) == ("disk full", 3, True)


def test_a_run_that_only_brings_home_can_still_be_stopped() -> None:
    """Then it stops before its end, and says so."""
    course = RunControl()
    course.stop("", 0, home=True)
    course.stop("on request", 3)
    assert (course.reason, course.exit_code, course.home) == ("on request", 3, False)


def test_what_weighs_most_is_how_it_ended() -> None:
    """A limit, then a signal, then a disk that is full."""
    course = RunControl()
    course.reach("limits.max_pages")
    assert (course.how, course.home) == (RunEnd.LIMIT, True)
    course.stop("on request", 3, how=RunEnd.STOPPED)
    assert (course.how, course.reason) == (RunEnd.STOPPED, "limits.max_pages")
    course.stop("disk full", 3, abort=True)
    course.stop("on request", 3, how=RunEnd.STOPPED)
    assert course.how is RunEnd.FAILED


def test_who_has_stopped_waiting_does_not_begin_again() -> None:
    """A limit that is reached after Ctrl-C changes nothing."""
    course = RunControl()
    course.stop("on request", 3)
    course.stop("limits.max_pages", 3, home=True)
    assert (course.reason, course.home) == ("on request", False)


def test_a_wait_that_is_told_again_says_no_secret_either() -> None:
    """A service quotes the key each time it refuses."""
    told: list[str] = []
    course = RunControl(tell=told.append)
    course.secrets.keep(["CANARY-of-a-key"], "the key")
    for _ in range(2):
        course.warn_of_wait(
            "uploads wait", datetime.fromtimestamp(0.0), "no more for CANARY-of-a-key"
        )
    assert [words.rpartition(": ")[2] for words in told] == ["no more for [the key]"] * 2
