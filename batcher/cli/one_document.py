"""`batcher parse`: one document in, its Markdown or JSON out, paid for once.

It imports what it needs inside, so that `--help` and a stored answer are quick.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from batcher.cli.arguments import OVERRIDES, PATH, PATH_OR_STREAM, SERVICE
from batcher.cli.group import main, tell_trouble
from batcher.cli.terminal_run import Verbosity, complete, conduct
from batcher.common.shell_words import typed, typed_name
from batcher.exit_codes import ExitCode

if TYPE_CHECKING:
    from batcher.core.summary import Summary
    from batcher.manifest.model import Manifest
    from batcher.runs.document_cache import DocumentCache, Entry
    from batcher.runs.one_document import Stored

STANDARD: Final = Path("-")  # standard input, or standard output


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks for: which document, what is done with it, and where the answer goes.

    `what` is a path, an address, or - for stdin. `form` is "" where the rest decides it.
    """

    what: str
    output: Path = STANDARD
    form: str = ""
    name: str = ""
    endpoint: str = "parse"
    service: str = "local"
    schema: Path | None = None
    overrides: tuple[str, ...] = ()
    again: bool = False
    quiet: bool = False

    @property
    def is_address(self) -> bool:
        return "://" in self.what

    @property
    def called(self) -> str:
        """What the document is called in messages; nothing of an address that may be a secret."""
        from batcher.common.urls import is_url, strip_query

        if self.is_address:
            return strip_query(self.what) if is_url(self.what) else "the address"
        return self.name or ("stdin" if self.what == "-" else Path(self.what).name)


@main.command()
@click.argument("what", metavar="FILE|URL|-", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=PATH_OR_STREAM,
    default=STANDARD,
    metavar="FILE|-",
    help="Where the answer goes; stdout without it.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json"]),
    help="markdown for a parse, json for the rest and for -o NAME.json.",
)
@click.option(
    "--extract",
    "schema",
    type=PATH,
    metavar="SCHEMA.json",
    help="Extract the fields of this JSON Schema.",
)
@SERVICE
@OVERRIDES
@click.option("--name", default="", metavar="NAME", help="What stdin is called, as in scan.pdf.")
@click.option("--again", is_flag=True, help="Ask again although an answer is stored; pays again.")
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors.")
def parse(
    what: tuple[str, ...],
    output: Path,
    form: str | None,
    schema: Path | None,
    service: str,
    overrides: tuple[str, ...],
    name: str,
    again: bool,
    quiet: bool,
) -> None:
    """Read one document, and print it as Markdown or JSON.

    The answer is kept in the user's cache folder: the same bytes and options asked again cost
    nothing. After anything that stops it, the same command resumes it.

    \b
    batcher parse scan.pdf --service reducto > scan.md
    batcher parse invoice.pdf --extract invoice.schema.json -o invoice.json
    curl -s https://… | batcher parse - --name letter.docx
    """
    if len(what) > 1:
        raise click.UsageError(
            f"one document is wanted, not {len(what)}; for several: batcher run FOLDER -o results"
        )
    request = Request(
        what=what[0],
        output=output,
        form=form or "",
        name=name,
        endpoint="parse" if schema is None else "extract",
        service=service,
        schema=schema,
        overrides=overrides,
        again=again,
        quiet=quiet,
    )
    sys.exit(answer(request))


def answer(request: Request) -> ExitCode | int:
    """Print what is asked for, from the store or by a run. Returns the exit code.

    Raises click.UsageError where the words can't be meant, and BatcherError.
    """
    from batcher.runs.document_cache import DocumentCache, user_cache
    from batcher.runs.one_document import manifest_for

    _check_output(request)
    cache = DocumentCache(user_cache())
    cache.make()
    manifest = manifest_for(
        cache,
        endpoint=request.endpoint,
        service=request.service,
        schema=request.schema,
        overrides=request.overrides,
    )
    if request.is_address:
        key, stored, code = _read_address(request, cache, manifest)
    else:
        key, stored, code = _read_file(request, cache, manifest)
    if stored is None:
        return code
    _put(request, stored, manifest)
    cache.expire(but=key, tell=lambda words: _say(request, words))
    return code


def _read_file(
    request: Request, cache: DocumentCache, manifest: Manifest
) -> tuple[str, Stored | None, int]:
    from batcher.common.names import content_key, extension_of
    from batcher.runs.one_document import key_of, of_file

    called = request.name or ("" if request.what == "-" else Path(request.what).name)
    extension = extension_of(called)
    if not extension and request.what == "-":
        raise click.UsageError("say with --name what stdin is, as in --name scan.pdf")
    name = f"document.{extension}" if extension else "document"
    with _opened(request) as stream, cache.snapshot(stream) as snapshot:
        key = key_of(manifest, content_key(snapshot.digest, name))
        with cache.held(key, tell_trouble) as entry:
            if (stored := _stored(request, entry)) is not None:
                return key, stored, ExitCode.SUCCESS
            if not (entry.input / name).exists():
                entry.take_in(snapshot, name)
            return key, *_run(request, entry, of_file(manifest, entry))


def _read_address(
    request: Request, cache: DocumentCache, manifest: Manifest
) -> tuple[str, Stored | None, int]:
    from batcher.common.names import extension_of
    from batcher.common.urls import is_url, url_key
    from batcher.runs.one_document import key_of, of_address

    if not is_url(request.what):
        raise click.UsageError("an address is wanted that begins with http:// or https://")
    if manifest.service.is_local and not manifest.service.allow_urls:
        raise click.UsageError(
            "the local service fetches no addresses unless it is told to: "
            "-S service.allow_urls=true; or name another with --service"
        )
    content = url_key(request.what)
    extension = extension_of(content)
    name = f"document.{extension}" if extension else "document"
    key = key_of(manifest, content)
    with cache.held(key, tell_trouble) as entry:
        if (stored := _stored(request, entry)) is not None:
            return key, stored, ExitCode.SUCCESS
        try:
            return key, *_run(request, entry, of_address(manifest, entry, request.what, name))
        finally:
            entry.slim_input()


def _stored(request: Request, entry: Entry) -> Stored | None:
    """Return the stored answer, unless another is asked for, which removes this one."""
    from batcher.runs.one_document import is_held, is_under_way, stored_in

    if request.again:
        if is_under_way(entry):
            tell_trouble(f"{request.called}: --again: it is under way already, and is resumed")
        elif is_held(entry):
            tell_trouble(f"{request.called}: perhaps paid for: its job is looked for once more")
        else:
            entry.discard()
        return None
    stored = stored_in(entry)
    if stored is not None:
        entry.touch()
        changed = "what is there may have changed since; " if request.is_address else ""
        _say(
            request,
            f"{request.called}: stored on {stored.at:%Y-%m-%d %H:%M}, nothing is paid "
            f"({changed}--again asks again)",
        )
    return stored


def _run(request: Request, entry: Entry, manifest: Manifest) -> tuple[Stored | None, int]:
    """Run the document to its end; return the answer, if there is one, and the exit code."""
    from batcher.runs.one_document import is_held, stored_in
    from batcher.runs.running import run_batch

    verbosity = Verbosity(quiet=request.quiet, strict=True)
    was_held = request.again and is_held(entry)
    summary = conduct(run_batch, manifest, verbosity)
    if was_held and is_held(entry):
        _send_anew(request, entry)
        summary = conduct(run_batch, manifest, verbosity)
    stored = stored_in(entry)
    if stored is None:
        if summary.exit_code == ExitCode.INCOMPLETE:
            entry.slim_input()  # nothing goes on with it
        _tell_why(request, entry, summary)
        return None, summary.exit_code or ExitCode.INCOMPLETE
    entry.slim()
    entry.touch()
    _tell_trouble_of(request, summary)
    _say(request, f"{request.called}: {_bill(summary, manifest)}")
    return stored, summary.exit_code


def _send_anew(request: Request, entry: Entry) -> None:
    """Put back a document that is held, on record, so that a second job would be noticed."""
    from batcher.maintenance.retry import retry

    tell_trouble(f"{request.called}: its job was not found; --again sends it again")
    complete(retry(entry.ledger, only="held"))


def _bill(summary: Summary, manifest: Manifest) -> str:
    from batcher.common.formatting import format_duration, format_usd, pluralize

    pages = pluralize(summary.pages, "page")
    took = format_duration(summary.seconds)
    if manifest.service.is_local:
        return f"{pages}, by the local service, in {took}"
    credits = pluralize(summary.credits, "credit")
    return f"{pages}, {credits} ({format_usd(summary.dollars)}), in {took}"


def _tell_why(request: Request, entry: Entry, summary: Summary) -> None:
    from batcher.views.status import plain

    for group in summary.failures:
        state = group.state.replace("_", " ")
        reason = f": {group.reason}" if group.reason else ""
        tell_trouble(plain(f"{request.called}: {state}{reason}"))
    if summary.reason:
        tell_trouble(plain(summary.reason))
    _tell_trouble_of(request, summary)
    if summary.exit_code == ExitCode.RUN_AGAIN:
        tell_trouble("to continue, rerun the same command: nothing is paid twice")
    elif summary.exit_code == ExitCode.INCOMPLETE:
        if any(group.state == "held" for group in summary.failures):
            tell_trouble(
                "perhaps paid for: the same command looks for its job once more, and pays nothing"
            )
        for words in _advice(entry, summary):
            tell_trouble(plain(words))
        for group in summary.failures:
            tell_trouble(
                f"its history: batcher why {typed(entry.output)} {typed_name(group.example)}"
            )


def _advice(entry: Entry, summary: Summary) -> Iterator[str]:
    """Yield what to do about a document that failed: with the file itself, or by --again."""
    from batcher.core.lifecycle import State
    from batcher.reducto.api_types import ErrorName
    from batcher.views.failures import advice_for

    is_vain = False
    for group in summary.failures:
        advice = advice_for(group, entry.output)
        if not advice or "`batcher retry" in advice:  # that is for a batch
            continue
        yield advice
        is_refused = group.error_name == ErrorName.DOCUMENT_UNSUPPORTED
        is_vain = is_refused or group.state != State.FAILED
    if not is_vain:
        yield "--again sends it again, and pays for it: once more, where this was paid"


def _tell_trouble_of(request: Request, summary: Summary) -> None:
    from batcher.views.status import plain

    for words in (*summary.audit.words(), *summary.notes):
        tell_trouble(plain(f"{request.called}: {words}"))


def _say(request: Request, words: str) -> None:
    if not request.quiet:
        tell_trouble(words)


@contextmanager
def _opened(request: Request) -> Iterator[BinaryIO]:
    """Open the document. Raises click.UsageError where that isn't one."""
    from batcher.common.missing_paths import instead_of

    if request.what == "-":
        yield sys.stdin.buffer
        return
    path = Path(request.what)
    if path.is_dir():
        raise click.UsageError(
            f"{path} is a directory; for all documents in it: batcher run {typed(path)} -o results"
        )
    try:
        stream = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        hint = instead_of(path) or "check the path"
        raise click.UsageError(f"{path}: there is no such file; {hint}") from None
    with stream:
        yield stream


def _check_output(request: Request) -> None:
    """Refuse, before anything is paid, an output that can't be written."""
    path = request.output
    if path == STANDARD:
        return
    if path.is_dir():
        raise click.UsageError(f"-o {path}: this is a directory; name a file in it")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise click.UsageError(f"-o {path}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK) and not path.exists():
        raise click.UsageError(f"-o {path}: {folder} can't be written to; name another place")
    if path.exists() and Path(request.what).exists() and path.samefile(request.what):
        raise click.UsageError(f"-o {path}: this is the document itself; name another file")


def _form_of(request: Request, manifest: Manifest) -> str:
    if request.form:
        return request.form
    if request.output.suffix == ".json" or manifest.jobs[0].endpoint != "parse":
        return "json"
    return "markdown"


def _put(request: Request, stored: Stored, manifest: Manifest) -> None:
    """Write the answer where it should go. Raises OSError."""
    for words in stored.not_served.splitlines():
        tell_trouble(f"{request.called}: {words}")
    if _form_of(request, manifest) == "json":
        body: bytes | memoryview = stored.body
    else:
        body = stored.markdown().encode("utf-8", "backslashreplace")
    if request.output == STANDARD:
        _print(body)
    else:
        _write(request.output.resolve(), body)


def _print(body: bytes | memoryview) -> None:
    if sys.stdout.isatty():
        from batcher.views.status import plain

        click.echo(plain(bytes(body).decode("utf-8", "replace"), keep="\n\t"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def _write(path: Path, body: bytes | memoryview) -> None:
    """Write a file that is never half there; a pipe or a device is written as it is."""
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with path.open("wb") as there:
            there.write(body)
        return
    part = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
