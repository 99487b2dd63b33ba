"""Runs a batch on the terminal: progress bar or log, Ctrl-C, and the closing summary."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from batcher.cli.group import BEGUN, TROUBLE, give_up_output
from batcher.cli.unwritable import refused

if TYPE_CHECKING:
    from batcher.core.summary import Summary
    from batcher.errors import BatcherError
    from batcher.ledger.ledger import Ledger
    from batcher.manifest.model import Manifest
    from batcher.stages.run_control import RunControl
    from batcher.views.log import LineStream
    from batcher.views.log_file import LogFile
    from batcher.views.messages import Messages
    from batcher.views.progress import Bar

# new objects before a collection: hardly any of those that a document needs form cycles
COLLECT_AFTER: Final = 10_000
DOCUMENTS: Final = 1  # how often -v is said for a line for each document
REQUESTS: Final = 2  # … and for each request

T = TypeVar("T")
Conducted = Callable[..., Coroutine[Any, Any, "Summary"]]


@dataclasses.dataclass(frozen=True, slots=True)
class Verbosity:
    """How much is printed, where and in which form, and which documents the exit code counts."""

    quiet: bool = False
    log_json: bool = False
    # whether unsaved documents count in the exit code, also those of earlier runs
    strict: bool = False
    level: int = 0  # how often -v was said
    log_file: Path | None = None
    colour: str = "auto"  # one of `views.tones.COLOUR`


def conduct(kind: Conducted, manifest: Manifest, voice: Verbosity) -> Summary:
    """Run `kind`, one of the functions of `batcher.runs.running`, and return its summary.

    Raises what `kind` raises.
    """
    report_errors(voice, manifest.batch)
    return complete(_conduct(kind, manifest, voice, messages_of(voice, manifest.batch)))


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
    if voice.log_json:
        return
    from batcher.views.status import end_lines, trouble_lines

    messages = messages_of(voice, manifest.batch)
    for words, tone in end_lines(summary, manifest):
        messages.say(words, tone)
    if voice.quiet:
        for words, tone in trouble_lines(summary):
            messages.alert(words, tone, is_kept=False)  # the file has the whole summary


def messages_of(voice: Verbosity, batch: str = "") -> Messages:
    """Return where lines for people go. Raises UsageError where a log file can't be opened."""
    from batcher.views.messages import Messages
    from batcher.views.tones import is_coloured

    return Messages(
        sys.stderr,
        batch=batch,
        quiet=voice.quiet,
        coloured=is_coloured(voice.colour, sys.stderr, os.environ),
        file=None if voice.log_json else _log_file(voice),
        write=_above_the_bar if _has_bar(voice) else None,
    )


def teller(voice: Verbosity) -> Callable[[str], None]:
    """Return what tells a person, before a run begins, something that they may want to know."""
    if not voice.log_json:
        messages = messages_of(voice)
        return lambda words: messages.say(f"batcher: {words}")
    from batcher.views.log import write_line

    return lambda words: write_line(_json_lines(voice), "Warned", {"words": words})


def report_errors(voice: Verbosity, batch: str = "") -> None:
    """Have the error that ends this command told as the rest of the run is.

    Raises UsageError where a log file can't be opened.
    """
    messages = messages_of(voice, batch)
    fail = partial(_fail_in_json, _json_lines(voice)) if voice.log_json else _fail_in(messages)
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[TROUBLE] = fail


def _fail_in(messages: Messages) -> Callable[[BatcherError], None]:
    return lambda error: messages.fail(str(error))


def _fail_in_json(stream: LineStream, error: BatcherError) -> None:
    from batcher.views.log import write_line

    write_line(stream, "RunFailed", {"words": str(error), "exit_code": error.exit_code})


def _has_bar(voice: Verbosity) -> bool:
    return not (voice.quiet or voice.log_json) and sys.stderr.isatty()


def _above_the_bar(words: str) -> None:
    from batcher.views.progress import write_above

    write_above(words, sys.stderr)


def _log_file(voice: Verbosity) -> LogFile | None:
    from batcher.cli.group import tell_trouble
    from batcher.views.log_file import LogFile

    if voice.log_file is None:
        return None
    try:
        return LogFile(voice.log_file, tell_trouble)
    except OSError as error:
        raise refused(voice.log_file, error, name="--log-file") from error


class _Both:
    """A stream that is written to another stream and to a log file."""

    def __init__(self, stream: LineStream, file: LogFile) -> None:
        self._stream = stream
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text)
        self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


def _json_lines(voice: Verbosity) -> LineStream:
    file = _log_file(voice)
    return sys.stderr if file is None else _Both(sys.stderr, file)


async def _conduct(
    kind: Conducted, manifest: Manifest, voice: Verbosity, messages: Messages
) -> Summary:
    from batcher.stages.run_control import RunControl

    control = RunControl(strict=voice.strict)
    gc.freeze()  # what is loaded by now stays until the end, so no collection need look at it again
    gc.set_threshold(COLLECT_AFTER)
    if voice.log_json:
        return await _in_json(kind, manifest, control, voice)
    control.tell = messages.warn
    if voice.level >= REQUESTS:
        control.observe = partial(_tell_of_request, messages, control)
    _heed_signals(control, partial(_tell_of_stop, messages))
    _note_the_beginning()
    messages.begin(_beginning(manifest))
    with contextlib.ExitStack() as stack:
        watch = partial(_show, manifest, control, voice, messages, stack)
        if sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty():
            control.ask = partial(_ask, control)
        return await kind(manifest, control=control, watch=None if messages.is_silent else watch)


def _tell_of_stop(messages: Messages, at_once: bool) -> None:
    from batcher.views.tones import Tone

    if not at_once:
        words = "stopping; once more stops at once, and nothing is lost either way"
        messages.alert(words, Tone.WARNING)


def _beginning(manifest: Manifest) -> str:
    service = manifest.service.url or manifest.service.name
    return f'batcher: batch "{manifest.batch}" begins: {service}, {manifest.output.directory}'


def _show(
    manifest: Manifest,
    control: RunControl,
    voice: Verbosity,
    messages: Messages,
    stack: contextlib.ExitStack,
    ledger: Ledger,
) -> None:
    """Show what happens in `ledger` until `stack` is closed."""
    from batcher.views.standing import Standing

    standing = Standing(ledger, control, dollars_per_credit=manifest.dollars_per_credit)
    stack.callback(standing.close)
    if _has_bar(voice):
        from batcher.views.progress import Bar

        bar = Bar(standing, stream=sys.stderr)
        stack.callback(bar.close)
        if control.ask is not None:
            control.ask = partial(_ask_below, bar, control.ask)
    from batcher.views.progress_lines import ProgressLines

    say = messages.note if _has_bar(voice) else messages.say
    stack.callback(ProgressLines(standing, say).close)
    if voice.level >= DOCUMENTS:
        from batcher.views.document_lines import DocumentLines

        lines = DocumentLines(
            ledger,
            messages.say,
            names_steps=len(manifest.jobs) > 1,
            is_billed=manifest.service.is_billed,
        )
        stack.callback(lines.close)


def _tell_of_request(
    messages: Messages, control: RunControl, call: str, status: int | None, seconds: float
) -> None:
    from batcher.views.tones import Tone

    said = "no answer" if status is None else str(status)
    messages.say(f"{control.secrets.cut(call)} {said} {seconds * 1000:.0f} ms", Tone.FAINT)


async def _in_json(
    kind: Conducted, manifest: Manifest, control: RunControl, voice: Verbosity
) -> Summary:
    """Run `kind` and say everything as lines of JSON."""
    from batcher.views.log import Log, write_line

    stream = _json_lines(voice)
    logs = list[Log]()
    control.tell = lambda words: write_line(stream, "Warned", {"words": words})
    control.trace = lambda text: write_line(stream, "InternalError", {"trace": text})
    if voice.level >= REQUESTS:
        control.observe = lambda call, status, seconds: write_line(
            stream,
            "Request",
            {"call": control.secrets.cut(call), "status": status, "ms": round(seconds * 1000)},
        )
    _heed_signals(control, lambda at_once: write_line(stream, "Stopping", {"at_once": at_once}))
    _note_the_beginning()
    try:
        summary = await kind(
            manifest,
            control=control,
            watch=lambda ledger: logs.append(Log(ledger, stream=stream)),
        )
    finally:
        for log in logs:
            log.close()
    write_line(stream, "RunEnded", dataclasses.asdict(summary))
    return summary


async def _ask_below(bar: Bar, ask: Callable[[str], Awaitable[bool]], words: str) -> bool:
    """Ask with the bar out of the way, which else would be drawn over the question."""
    with bar.hidden():
        return await ask(words)


async def _ask(control: RunControl, words: str) -> bool:
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


def _note_the_beginning() -> None:
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[BEGUN] = True


def _heed_signals(control: RunControl, told: Callable[[bool], object]) -> None:
    """Handle Ctrl-C: the first ends submissions and fetches what is ready, the second stops now.

    A terminal that goes away counts as the first, unless that signal is ignored, as with nohup.
    `told` is called with whether it stops now.
    """
    from asyncio import get_running_loop

    from batcher.exit_codes import ExitCode, RunEnd

    def stop() -> None:
        again = control.stopped.is_set() and not control.home
        control.stop("on request", ExitCode.RUN_AGAIN, abort=again, how=RunEnd.STOPPED)
        told(again)

    def hang_up() -> None:
        if not control.stopped.is_set():  # the shell and the system may both send it
            stop()

    loop = get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, hang_up)
