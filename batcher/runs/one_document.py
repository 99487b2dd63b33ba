"""One document and one job: what is asked for, and the result that is stored for it."""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from batcher.common.names import identity
from batcher.core.chain import steps_of
from batcher.core.lifecycle import OPEN, State
from batcher.errors import LedgerError, LedgerOlder, ManifestError, OutputError, Problem
from batcher.ledger.reader import Document, LedgerReader
from batcher.manifest.loading import for_directory
from batcher.manifest.model import Manifest, Source
from batcher.outputs.markdown import markdown_of
from batcher.outputs.result_store import Store
from batcher.reducto.results import Origin
from batcher.runs.document_cache import DocumentCache, Entry

WHERE: Final = "batcher parse"
LISTING: Final = "input.jsonl"
_OURS: Final = ("batch", "source", "output")  # keys that say what `parse` says itself
_ANEW: Final = "--again starts over, and pays again"


@dataclass(frozen=True, slots=True)
class Stored:
    """A result on disk. `at` says when it was saved; `credits` is None where nobody said.

    `not_served` says what the local service left out of it, a sentence on each line.
    """

    body: memoryview
    at: datetime
    pages: int | None
    credits: float | None
    not_served: str

    def markdown(self) -> str:
        """Return the result as Markdown, without front matter."""
        origin = Origin("", "", None, self.pages, self.credits)
        _, *parts = markdown_of(self.body, origin)
        return "".join(parts).lstrip("\n")


def manifest_for(
    cache: DocumentCache,
    *,
    endpoint: str,
    service: str,
    schema: Path | None,
    overrides: Sequence[str],
) -> Manifest:
    """Return the manifest of one job, with a source still to be put in. Raises ManifestError."""
    problems = [
        Problem(key, "one document has none", "batcher run MANIFEST is for that")
        for key in (one.partition("=")[0] for one in overrides)
        if key.split(".")[0] in _OURS and not key.startswith("source.passwords_")
    ]
    if problems:
        raise ManifestError(WHERE, problems)
    asked = list(overrides)
    if schema is not None:
        asked.append(f"job.schema_file={json.dumps(str(schema))}")
    try:
        manifest = for_directory(
            cache.locks, cache.documents, endpoint=endpoint, service=service, overrides=asked
        )
    except ManifestError as error:
        raise ManifestError(WHERE, error.problems) from error
    if len(manifest.jobs) != 1:
        problem = Problem("job", "one job is wanted", "batcher run MANIFEST runs a chain")
        raise ManifestError(WHERE, [problem])
    return replace(manifest, batch="parse", where=WHERE)


def key_of(manifest: Manifest, content: str) -> str:
    """Return what identifies a request: service, endpoint, options, and the document's content."""
    (step,) = steps_of(manifest.jobs, service=manifest.service.identity)
    return identity(content, step.hash)


def of_file(manifest: Manifest, entry: Entry) -> Manifest:
    """Return the manifest for the document in the entry's input folder."""
    source = replace(manifest.sources[0], directory=entry.input, include=("/*",))
    return _within(manifest, entry, source)


def of_address(manifest: Manifest, entry: Entry, url: str, name: str) -> Manifest:
    """Return the manifest for the document at an address, which may be a signed one.

    It is written where `Entry.slim` removes it. Raises OutputError.
    """
    listing = entry.input / LISTING
    try:
        entry.input.mkdir(mode=0o700, parents=True, exist_ok=True)
        listing.touch(mode=0o600)
        listing.write_text(json.dumps({"id": name, "url": url}) + "\n", "utf-8")
    except OSError as error:
        raise OutputError(f"{listing}: {error.strerror}") from error
    source = replace(manifest.sources[0], directory=None, listing=listing)
    return _within(manifest, entry, source)


def _within(manifest: Manifest, entry: Entry, source: Source) -> Manifest:
    output = replace(manifest.output, directory=entry.output)
    return replace(manifest, sources=(source,), output=output)


def stored_in(entry: Entry) -> Stored | None:
    """Return the result that is stored, or None if there is none yet.

    Raises LedgerError if the ledger or the result can't be used any more.
    """
    if not entry.ledger.exists():
        return None
    try:
        with closing(LedgerReader.open(entry.ledger)) as ledger:
            saved = next(ledger.documents(State.SAVED), None)
            return None if saved is None else _read(entry, ledger, saved)
    except LedgerOlder:
        return None  # a run migrates it first
    except LedgerError as error:
        raise type(error)(f"{error}; {_ANEW}") from error


def _read(entry: Entry, ledger: LedgerReader, saved: Document) -> Stored:
    store = Store(entry.output)
    if store.digest(saved.output) != saved.output_sha256:
        raise LedgerError(f"{store.path(saved.output)}: it isn't the file that was stored")
    paid = list(ledger.attempts(saved.id))[-1:]
    at = max((one.at for one in ledger.events(saved.id)), default=0.0)
    pages, credits = (paid[0].pages, paid[0].credits) if paid else (None, None)
    body = store.read(saved.output)
    return Stored(body, datetime.fromtimestamp(at), pages, credits, saved.not_served or "")


def is_under_way(entry: Entry) -> bool:
    """Return whether the document is still on its way: then resuming it costs nothing more."""
    return _is_in(entry, OPEN)


def is_held(entry: Entry) -> bool:
    """Return whether it is perhaps paid for, and the answer to its submission was lost."""
    return _is_in(entry, {State.HELD})


def _is_in(entry: Entry, states: Set[State]) -> bool:
    if not entry.ledger.exists():
        return False
    try:
        with closing(LedgerReader.open(entry.ledger)) as ledger:
            return any(one.state in states for one in ledger.documents())
    except LedgerError:
        return False  # nobody can tell, and the person says to start again
