"""A run as the terminal sees it: the bar or the log while it lasts, the two Ctrl-C, the words at
its end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from batcher.cli.group import give_up_output

if TYPE_CHECKING:
    from batcher.core.summary import Summary
    from batcher.ledger.ledger import Ledger
    from batcher.manifest.model import Manifest
    from batcher.stages.run_control import RunControl
    from batcher.views.log import Log
    from batcher.views.progress import Progress

COLLECT_AFTER: Final = 10_000  # new objects: of those that a document takes hardly any form cycles

T = TypeVar("T")
Conducted = Callable[..., Coroutine[Any, Any, "Summary"]]


@dataclasses.dataclass(frozen=True, slots=True)
class Verbosity:
    """How much is said and in which form, and what counts in the end."""

    quiet: bool = False
    log_json: bool = False
    # whether a document that isn't saved is minded in the exit code, whichever run left it so
    strict: bool = False


def conduct(kind: Conducted, manifest: Manifest, voice: Verbosity) -> Summary:
    """Let `kind`, one of the functions of `batcher.runs.running`, run its course.

    Raises what it raises.
    """
    return complete(_conduct(kind, manifest, voice))


def complete(work: Coroutine[Any, Any, T]) -> T:
    """`work` to its end, on uvloop's loop where the extra `fast` is installed."""
    import asyncio  # takes as long to load as all the rest of --version

    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def tell(summary: Summary, manifest: Manifest, voice: Verbosity, *, as_json: bool) -> None:
    """Say how it ended: for programs on stdout, for people on stderr."""
    if as_json:
        import msgspec

        try:
            click.echo(msgspec.json.encode(summary).decode())
        except OSError as error:
            give_up_output(error)  # what the run came to counts, not who heard of it
    if not voice.log_json:
        from batcher.views.status import end_words, trouble_words

        words = trouble_words(summary) if voice.quiet else end_words(summary, manifest)
        with contextlib.suppress(OSError):
            click.echo(words, err=True, nl=bool(words))


async def _conduct(kind: Conducted, manifest: Manifest, voice: Verbosity) -> Summary:
    from batcher.stages.run_control import RunControl
    from batcher.views.log import write_line

    control = RunControl(strict=voice.strict)
    shown = list["Log | Progress"]()
    face = _face(voice)
    gc.freeze()  # what is loaded by now stays to the end: no collection need look at it again
    gc.set_threshold(COLLECT_AFTER)
    control.tell = lambda words: _warn(words, log_json=voice.log_json)
    if voice.log_json:
        control.trace = lambda text: write_line(sys.stderr, "InternalError", {"trace": text})
    if (
        sys.stdin
        and sys.stdin.isatty()
        and sys.stderr
        and sys.stderr.isatty()
        and not voice.log_json
    ):
        control.ask = lambda words: _ask(words, control)
    _heed_signals(control, log_json=voice.log_json)
    try:
        summary = await kind(
            manifest,
            control=control,
            watch=None if face is None else lambda ledger: shown.append(face(ledger)),
        )
    finally:
        for one in shown:
            one.close()
    if voice.log_json:
        write_line(sys.stderr, "RunEnded", dataclasses.asdict(summary))
    return summary


def _face(voice: Verbosity) -> Callable[[Ledger], Log | Progress] | None:
    """Who shows the run; None where nothing is to be seen of it, and then nothing is loaded for it
    either.
    """
    if voice.log_json:
        from batcher.views.log import Log

        return Log
    if voice.quiet:
        return None
    from batcher.views.progress import Progress

    return Progress


def _warn(words: str, *, log_json: bool) -> None:
    from batcher.views.log import write_line
    from batcher.views.progress import say

    if log_json:
        write_line(sys.stderr, "Warned", {"words": words})
    else:
        say(f"batcher: {words}")


async def _ask(words: str, control: RunControl) -> bool:
    """A person at the terminal; no where the run is stopped meanwhile.

    The loop goes on: what is out comes home.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    click.echo(f"\nbatcher: {words}. Pay for it? [y/N] ", err=True, nl=False)
    loop.add_reader(sys.stdin.fileno(), answered.set)
    waiting = {asyncio.create_task(answered.wait()), asyncio.create_task(control.stopped.wait())}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(sys.stdin.fileno())
        for task in waiting:
            task.cancel()
    return answered.is_set() and sys.stdin.readline().strip().lower() in ("y", "yes")


def _heed_signals(control: RunControl, *, log_json: bool) -> None:
    """The first Ctrl-C ends submissions and brings home what is ready; the second stops now."""
    from asyncio import get_running_loop

    from batcher.exit_codes import ExitCode, RunEnd
    from batcher.views.log import write_line

    def stop() -> None:
        # and tqdm, which a quiet run that nobody stops has no use for
        from batcher.views.progress import (
            say,
        )

        again = control.stopped.is_set() and not control.home
        control.stop("on request", ExitCode.RUN_AGAIN, abort=again, how=RunEnd.STOPPED)
        if log_json:
            write_line(sys.stderr, "Stopping", {"at_once": again})
        elif not again:
            say("batcher: stopping; once more stops at once, and nothing is lost either way")

    loop = get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
