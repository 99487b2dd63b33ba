"""The command `batcher` itself: the order of its commands, and how errors end the process."""

from __future__ import annotations

import difflib
import errno
import io
import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

import batcher
from batcher.cli.completion import VARIABLE, completion
from batcher.common.shell_words import typed
from batcher.errors import BatcherError
from batcher.exit_codes import ExitCode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

ORDER: Final = (
    "demo parse run plan status runs why failures retry verify prune cancel rebuild export report"
    " web serve init schema options completion"
).split()


# The name under which a command keeps, in the context, who is called with the error that ends it.
TROUBLE: Final = "batcher.cli.trouble"
# … and whether it has begun something that a person who stops it should know of.
BEGUN: Final = "batcher.cli.begun"


class _Commands(click.Group):
    """Lists commands in the order a user meets them.

    Each BatcherError becomes one clear message and its exit code.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.commands, key=ORDER.index)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(_unknown(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **extra: Any) -> Any:
        extra.setdefault("complete_var", VARIABLE)
        open_what_is_closed()
        sys.stdout = _sturdy(sys.stdout, 1, _Stdout)
        sys.stderr = _sturdy(sys.stderr, 2, _Stderr)
        code: Any = ExitCode.SUCCESS
        try:
            super().main(*args, **extra)
        except SystemExit as ended:
            code = ended.code
        except OSError as error:
            code = _end_of(error)
        lost = finish_output()
        sys.exit(code or lost)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BatcherError as error:
            told = ctx.meta.get(TROUBLE)
            tell_trouble(str(error)) if told is None else told(error)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:  # a run handles it itself; this came before that, or after
            is_early = ctx.invoked_subcommand in ("run", "plan") and BEGUN not in ctx.meta
            when = " before anything was begun" if is_early else ""
            tell_trouble(f"stopped{when}; run again")
            sys.exit(ExitCode.RUN_AGAIN)


_MANIFESTS: Final = ("", ".toml", ".json", ".yaml", ".yml")
# what other programs call a command, and what stands for it here
_ELSEWHERE: Final = {
    "abort": "batcher cancel",
    "check": "batcher plan --check, or batcher verify",
    "collect": "batcher run --collect",
    "convert": "batcher parse",
    "dry-run": "batcher plan",
    "errors": "batcher failures",
    "extract": "batcher parse FILE --extract SCHEMA.json",
    "help": "batcher --help",
    "history": "batcher runs",
    "list": "batcher status",
    "logs": "batcher runs",
    "ls": "batcher status",
    "new": "batcher init",
    "quickstart": "batcher demo",
    "rehearse": "batcher run --rehearse",
    "resume": "batcher run",
    "server": "batcher serve",
    "start": "batcher run",
    "stop": "batcher cancel",
    "sync": "batcher run",
    "version": "batcher --version",
}


def _unknown(word: str, commands: list[str]) -> str:
    """Return that there is no such command, and what was probably meant."""
    if Path(word).is_dir():
        return f"a command comes first: batcher run {typed(word)} -o results"
    if Path(word).is_file():
        command = "run" if Path(word).suffix in _MANIFESTS else "parse"
        return f"a command comes first: batcher {command} {typed(word)}"
    near = difflib.get_close_matches(word, commands, n=1)
    meant = _ELSEWHERE.get(word) or (f"batcher {near[0]}" if near else "")
    hint = f"did you mean {meant}?" if meant else "batcher --help lists all"
    return f"there is no command {word!r}; {hint}"


def _end_of(error: OSError) -> ExitCode:
    """Report a file or stream that the system refuses, and return the exit code."""
    if error.filename is not None:
        tell_trouble(f"{os.fsdecode(error.filename)}: {error.strerror}")
        return ExitCode.USAGE
    if error.errno == errno.ENOENT and _is_nowhere():
        tell_trouble(
            "the working directory is no longer there; go to one that is, and say it again"
        )
        return ExitCode.USAGE
    if error.errno not in _OF_A_STREAM:
        raise error
    give_up_output(error)
    return ExitCode.RUN_AGAIN


def _is_nowhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


# click handles EPIPE itself
_OF_A_STREAM: Final = frozenset({errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT})


def open_what_is_closed() -> None:
    """Open the standard streams that the caller has closed.

    Otherwise the next file opened, for example the ledger, would take a stream's place.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)  # inherited, or the local service would have none
            mode = "w" if number else "r"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


class _Stdout(io.FileIO):
    """A standard stream that waits for its reader, also where it was opened not to block.

    Some parents (Node.js is one) leave their pipes so.
    """

    def write(self, data: Buffer, /) -> int:
        while (written := super().write(data)) is None:
            select.select([], [self], [])
        return written


class _Stderr(_Stdout):
    """As above, and what can't be written is lost: a command's own result counts."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data))


def _sturdy(stream: TextIO, number: int, kind: type[_Stdout]) -> TextIO:
    """Return the standard stream `number` such that no name and no slow reader makes it fail.

    A stream that isn't the process's own (in tests) is only told to escape what it can't show.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")
    try:
        is_own = stream.fileno() == number
    except OSError:
        is_own = False
    if not is_own:
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(kind(number, "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
    )


def tell_trouble(words: str) -> None:
    """Print a message to stderr, if that can be written."""
    with suppress(OSError):
        click.echo(f"batcher: {words}", err=True)


def give_up_output(error: OSError) -> None:
    """Report that stdout can't be written and its output is lost; nothing more is written there."""
    tell_trouble(f"stdout: {error.strerror}; what was to stand there is lost, ask again")
    _let_go_of_output()


def _let_go_of_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            # otherwise the interpreter fails at its end, with an exit code of its own
            os.dup2(null, stream.fileno())
            os.close(null)


def finish_output() -> ExitCode:
    """Flush the output, and return the exit code for output that is lost, or SUCCESS.

    A run has written its output by then, and knows about what is lost: its own code stands.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # the reader has seen enough; click answers with the same code
        _let_go_of_output()
        return ExitCode.INCOMPLETE
    except OSError as error:
        give_up_output(error)
        return ExitCode.RUN_AGAIN
    return ExitCode.SUCCESS


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(batcher.__version__, prog_name="batcher")
def main() -> None:
    """Process documents with Reducto's API.

    Each document is paid for once, and every result is on disk before it expires.
    """


main.add_command(completion)
