"""Runs a batch on the terminal: progress bar or log, Ctrl-C, and the closing summary."""

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

# new objects before a collection: hardly any of those that a document needs form cycles
COLLECT_AFTER: Final = 10_000

T = TypeVar("T")
Conducted = Callable[..., Coroutine[Any, Any, "Summary"]]


@dataclasses.dataclass(frozen=True, slots=True)
class Verbosity:
    """How much is printed and in which form, and which documents the exit code counts."""

    quiet: bool = False
    log_json: bool = False
    # whether unsaved documents count in the exit code, also those of earlier runs
    strict: bool = False


def conduct(kind: Conducted, manifest: Manifest, voice: Verbosity) -> Summary:
    """Run `kind`, one of the functions of `batcher.runs.running`, and return its summary.

    Raises what `kind` raises.
    """
    return complete(_conduct(kind, manifest, voice))


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end, on uvloop's loop if the extra `fast` is installed."""
    import asyncio  # takes as long to load as everything else that --version needs

    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def tell(summary: Summary, manifest: Manifest, voice: Verbosity, *, as_json: bool) -> None:
    """Print how the run ended: for programs on stdout, for people on stderr."""
    if as_json:
        import msgspec

        try:
            click.echo(msgspec.json.encode(summary).decode())
        except OSError as error:
            give_up_output(error)  # the run's outcome counts, not whether it could be printed
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
    gc.freeze()  # what is loaded by now stays until the end, so no collection need look at it again
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
    """Return what shows the run; None if nothing is shown, and then nothing is loaded for it."""
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
    """Ask the person at the terminal; the answer is no if the run is stopped meanwhile.

    The event loop keeps running, so jobs in flight are still fetched.
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
    """Handle Ctrl-C: the first ends submissions and fetches what is ready, the second stops now."""
    from asyncio import get_running_loop

    from batcher.exit_codes import ExitCode, RunEnd
    from batcher.views.log import write_line

    def stop() -> None:
        # it loads tqdm, too, which a quiet run that nobody stops doesn't need
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
