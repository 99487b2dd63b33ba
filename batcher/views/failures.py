"""What failed, in words and as tables, with advice on what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec

from batcher.common.formatting import format_credits, pluralize
from batcher.common.shell_words import typed
from batcher.core.lifecycle import State
from batcher.core.reasons import EMPTY, ONLY_FILES, TOO_LARGE
from batcher.core.summary import FailureGroup
from batcher.ledger.queries.failed_documents import FailedDocument, FailedDocuments
from batcher.ledger.schema import reading
from batcher.reducto.api_types import ErrorName
from batcher.reducto.error_rules import ErrorClass
from batcher.views.status import next_time, plain

STATUS_AT_MOST: Final = 100  # documents in `status --json`; `failures --documents` has all
# By state; for `failed` by error class.
ADVICE: Final = {
    "transient": "likely to pass: `batcher retry {what} --only transient`",
    "provider": "the service was unwell: `batcher retry {what} --only transient`",
    "configuration": "set the job's options or the key right, then `batcher retry {what} --only "
    "configuration`",
    "document": "look at the file itself: another attempt would end the same way",
    "internal": "a fault of batcher's own, and nothing was paid: please report it with "
    ".batcher/errors.log of the "
    "output; `batcher retry {what} --only internal` tries again",
    "blocked": "the step before it came to no result; once that is put right, this one follows",
    "expired": "the service deleted the result before it was fetched: `batcher retry {what} "
    "--only expired` pays again",
    "lost": "the service says that the result is gone: `batcher retry {what} --only lost` pays "
    "again",
    "stuck": "its job is paid for, and its result wasn't to be had: after `batcher retry {what} "
    "--only stuck` the next "
    "run cancels the job if it still runs, fetches what it made if that can be read by then, and "
    "else pays again",
    "held": "perhaps paid, and it can't be proven. Each run looks for it again and adopts it; "
    "`batcher why {what} "
    "PATH` says by which nonce, upload and time to look for it at the service. Where it surely "
    "isn't there: "
    "`batcher retry {what} --only held`, which sends it again and may pay twice",
    "cancelled": "`batcher retry {what} --only cancelled` takes it up again",
    "unreadable": "make the file or folder readable; the next run looks again",
    "unsupported": "convert it, or leave it out by `exclude`",
    "source_gone": "the next run looks for it again",
    "source_changed": "it changed while it was read; the next run takes the newer version",
}

_NOTHING_IN_IT: Final = (
    "there is nothing in it: fetch or save it again, and the next run takes it; "
    'source.min_size = "1B" leaves empty files out'
)
_NO_FILE: Final = (
    "put the file itself in its place, and the next run takes it; or leave it out by source.exclude"
)
_NEWER: Final = "the next run takes the newer version"
_SPLIT: Final = (
    f"split it into smaller files, or leave it out by source.exclude or max_size; {_NEWER}"
)
_LESS: Final = (
    "fewer pages at a time (options.settings.page_range) or fewer fields, or split the file"
)
_PAYS: Final = "`batcher retry {what} --only {kind}` pays for another"
_AGAIN: Final = "then `batcher retry {what} --only {kind}`"
# By the error's name, where that says more than its class. The names are those of `ErrorCode` in
# the API's description v1.12.20. Their meaning is documented nowhere but in the names, so the
# advice says no more than these do.
BY_NAME: Final = {
    ErrorName.DOCUMENT_PASSWORD_PROTECTED: "name its password by source.passwords_env or "
    f"passwords_file, {_AGAIN}; "
    f"or save it without one: {_NEWER}",
    ErrorName.DOCUMENT_UNSUPPORTED: "convert it to a type that the service reads, or leave it out "
    "by source.exclude",
    ErrorName.DOCUMENT_CORRUPT: f"see whether it opens at all, save or fetch it again: {_NEWER}",
    ErrorName.DOCUMENT_EMPTY: f"see whether there is anything in it, and fetch it again: {_NEWER}",
    ErrorName.DOCUMENT_TOO_LARGE: _SPLIT,
    ErrorName.OFFICE_CONVERSION_TOO_LARGE: f"save it as PDF, or {_SPLIT}",
    ErrorName.CELL_COUNT_EXCEEDED: _SPLIT,
    ErrorName.IMAGE_TOO_LARGE: f"make the picture smaller: {_NEWER}",
    ErrorName.IMAGE_TOO_SMALL: f"scan it again at a higher resolution: {_NEWER}",
    ErrorName.IMAGE_INVALID_ASPECT_RATIO: "it is too long or too narrow: cut it into pieces; "
    f"{_NEWER}",
    ErrorName.CONTEXT_WINDOW_EXCEEDED: f"too much for the model at once: {_LESS}",
    ErrorName.OUTPUT_LIMIT_EXCEEDED: f"too much is asked for at once: {_LESS}",
    ErrorName.CUSTOMER_TIMEOUT: "it took longer than options.settings.timeout: raise that, "
    f"{_AGAIN}",
    ErrorName.INVALID_SCHEMA: f"set schema_file or options.instructions.schema right, {_AGAIN}",
    ErrorName.AUTH_ERROR: f"set the key right (REDUCTO_API_KEY, or service.api_key_env), {_AGAIN}",
    ErrorName.OVERSIZED_RESULT: f"its result is larger than the service can give: {_LESS}",
    ErrorName.INFERENCE_METHOD_UNSUPPORTED: "the job's options ask for what the service can't do "
    "with it: set them "
    f"right, {_AGAIN}",
    ErrorName.NOT_FOUND: "what the job was to read was gone at the service; `batcher retry {what} "
    "--only {kind}` sends "
    "it again",
    ErrorName.JOB_CANCELLED: f"somebody cancelled the job at the service: {_PAYS}",
    ErrorName.JOB_DELETED: f"somebody deleted the job at the service: {_PAYS}",
    ErrorName.JOB_DELETION_IN_PROGRESS: f"somebody deleted the job at the service: {_PAYS}",
    ErrorName.URL_NOT_ALLOWED: "the service doesn't fetch from there: let batcher upload it, from "
    "a folder or a store",
}
# Errors that may have an external cause, but that may lie in the file if every try ends in one.
_PERHAPS_THE_FILE: Final = frozenset(
    {
        ErrorName.TIMEOUT,
        ErrorName.SUBPROCESS_CRASHED,
        ErrorName.PROCESSING_FAILED,
        ErrorName.FORM_FILL_FAILED,
        ErrorName.LLM_OUTPUT_PARSE_FAILED,
        ErrorName.INTERNAL_INVARIANT_VIOLATION,
    }
)
_EVERY_TRY: Final = (
    "each of its tries was perhaps paid, and all ended alike, so it may well be the file: try a "
    "part of it "
    f"(options.settings.page_range) or save it again: {_NEWER}; `batcher retry {{what}} --only "
    "transient` as it is "
    "may pay again in vain"
)
_SAID: Final = re.compile(r"([A-Z][A-Z0-9_]{2,}|UNNAMED)(?::|$)")
_NAMES: Final = re.compile(rf"\b({'|'.join(ErrorName)})\b")


def failure_words(groups: Sequence[FailureGroup], what: Path) -> str:
    if not groups:
        return "nothing failed"
    return "\n".join(_words(group, what) for group in groups)


def failed_lines(
    failed: FailedDocuments, what: Path, *, of_each_group: int | None, at_most_groups: int | None
) -> Iterator[str]:
    """Yield the text of all groups, each with its documents, in pieces of one or more lines.

    Of each group come the first `of_each_group` documents, and `at_most_groups` of the groups; what
    is left out is told. None leaves out nothing.
    """
    groups = failed.groups()
    if not groups:
        yield "nothing failed that fits" if failed.is_filtered else "nothing failed"
        return
    steps = len(failed.steps()) > 1
    rows = failed.documents(of_each_group=of_each_group)
    for rank, of_group in groupby(rows, key=lambda row: row[0]):
        if rank == at_most_groups:
            yield f"and {pluralize(len(groups) - rank, 'more group')}: --all or --group lists them"
            return
        group = groups[rank]
        yield _words(group, what)
        for _, document in of_group:
            yield f"    {_document_line(document, group, with_step=steps)}"
        if of_each_group is not None and group.documents > of_each_group:
            yield f"    … and {group.documents - of_each_group:,} more: --all lists them"


def document_values(document: FailedDocument, what: Path) -> dict[str, Any]:
    """Return a document for JSON, with what can be done about it as `next`."""
    values: dict[str, Any] = msgspec.to_builtins(document)
    return {**values, "next": next_step(document, what)}


def document_row(document: FailedDocument, what: Path) -> dict[str, Any]:
    """Return a document for CSV: as `document_values`, with its time as text in UTC."""
    values = document_values(document, what)
    if document.failed_at is not None:
        moment = datetime.fromtimestamp(document.failed_at, UTC)
        values["failed_at"] = f"{moment:%Y-%m-%d %H:%M:%S}"
    values["waits"] = int(document.waits)
    return values


CSV_COLUMNS: Final = (
    *(str(field.encode_name) for field in msgspec.structs.fields(FailedDocument)),
    "next",
)


def next_step(document: FailedDocument, what: Path) -> str:
    """Return what can be done about a document."""
    return advice_for(
        FailureGroup(
            document.state,
            document.kind,
            document.reason,
            1,
            document.path,
            waits=int(document.waits),
            runs=document.runs,
            error_name=document.error_name or msgspec.UNSET,
        ),
        what,
    )


def advice_for(group: FailureGroup, what: Path) -> str:
    """Return what can be done about the documents of a group, with commands ready to be typed."""
    return _advice(group).format(what=typed(what), kind=group.kind)


def spent_words(document: FailedDocument) -> str:
    """Return how often a document was tried, and what that cost."""
    if not document.attempts:
        return "never sent"
    words = pluralize(document.attempts, "attempt")
    if document.credits:
        words += f", {format_credits(document.credits)}"
    if document.credits_maybe_billed:
        words += f", {format_credits(document.credits_maybe_billed)} if billed"
    return words


def _document_line(document: FailedDocument, group: FailureGroup, *, with_step: bool) -> str:
    step = f" [{document.step}]" if with_step else ""
    own = document.reason if document.reason != group.reason else None
    return plain(f"{document.path}{step}: {spent_words(document)}{f'; {own}' if own else ''}")


def first_failed(ledger: Path, what: Path) -> dict[str, Any]:
    """Return what `status --json` has of failed documents: their number, and the first of them.

    `what` stands in the commands that it names. Raises LedgerError.
    """
    with reading(ledger) as connection:
        failed = FailedDocuments(connection)
        rows = failed.documents(at_most=STATUS_AT_MOST)
        return {
            "documents": sum(group.documents for group in failed.groups()),
            "first": [document_values(document, what) for _, document in rows],
        }


def _words(group: FailureGroup, what: Path) -> str:
    name = group.state.replace("_", " ")
    lines = [
        f"{group.documents} {name}, e.g. {group.example}",
        f"  why   {group.reason or 'not said'}",
    ]
    if advice := advice_for(group, what):
        lines.append(f"  next  {advice}")
    return "\n".join(plain(line) for line in lines)


def _advice(group: FailureGroup) -> str:
    if group.waits:
        return (
            f"{next_time(group)}; `batcher retry {{what}} --only transient` starts its count again"
        )
    if group.reason == EMPTY:
        return _NOTHING_IN_IT
    if group.reason == TOO_LARGE:
        return _SPLIT
    if (group.reason or "").endswith(ONLY_FILES):
        return _NO_FILE
    if group.state != State.FAILED:
        return ADVICE.get(group.state, "")
    if group.kind == ErrorClass.TRANSIENT and _came_of_every_try(group.reason or ""):
        return _EVERY_TRY
    if group.kind in (ErrorClass.DOCUMENT, ErrorClass.CONFIGURATION):
        name = _name(group)
        if name in set(ErrorName) and ErrorName(name) in BY_NAME:
            return BY_NAME[ErrorName(name)]
    return ADVICE.get(group.kind or "", "")


def _name(group: FailureGroup) -> str:
    """Return the API's error code; if the service gave none, one named in its message."""
    if group.error_name:
        return group.error_name
    named = _NAMES.search(group.reason or "")
    return "" if named is None else str(named[1])


def _came_of_every_try(reason: str) -> bool:
    """Return whether the reason is an error of the job that every try ended with.

    An error that is known to pass was only bad luck; of unknown errors nobody can say.
    """
    said = _SAID.match(reason)
    return said is not None and (said[1] in _PERHAPS_THE_FILE or said[1] not in set(ErrorName))
