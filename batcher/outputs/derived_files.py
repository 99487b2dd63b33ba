"""Make files from saved results, a group at a time: Markdown, JSON Lines, Parquet, pictures.

Blocking: the deriver calls it in a thread. Each file is complete or not there, and made only from
the results on disk.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from base64 import b64decode
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from batcher.common.names import beside
from batcher.common.urls import is_url
from batcher.core.columns import Columns, ColumnType
from batcher.errors import OutputError
from batcher.ledger.derived_outputs import (
    OF_RESULTS,
    Derivable,
    Derived,
    Outdated,
    all_outdated,
)
from batcher.outputs import jsonl, parquet
from batcher.outputs.markdown import markdown_of
from batcher.outputs.result_store import Item, Store, Streamed
from batcher.outputs.rows import Row, grown, line_of, lines_of, rows_of, widen
from batcher.reducto.results import Origin, charts_of, images_of, pdfs_of, read_result
from batcher.sources.listing import ROW

WHOLE: Final = 8 << 20  # bytes of a result; the Markdown of a larger one is streamed to disk
_PICTURE: Final = re.compile(r"(\d{4,}|document|chart)-[0-9a-f]{8}\.[a-z]+")
_IN_PLACE: Final = "data:"
_ENDINGS: Final = frozenset({"png", "jpg", "jpeg", "webp", "gif", "tif", "tiff", "svg"})


def origin_of(one: Derivable) -> Origin:
    """Return the origin of the rows and lines made from this result."""
    return Origin(
        one.source, one.job, one.job_id, one.pages, one.credits, one.metadata, path_of(one)
    )


def path_of(one: Derivable) -> str | None:
    """Return the document's path below its source's folder; None for an address.

    Of an address nothing is written down but its name.
    """
    if (one.place or "").startswith(ROW) or is_url(one.source):
        return None
    return one.place or one.source


class Notes:
    """What couldn't be read of each result, and so is missing in what is made from it."""

    def __init__(self) -> None:
        self._left_out: dict[int, list[str]] = {}

    def of(self, one: Derivable) -> list[str]:
        """Start an empty list for this result, to be filled while it is read."""
        self._left_out[one.document] = []
        return self._left_out[one.document]

    def words(self, document: int) -> str | None:
        """Return what was left out of a document as a short text; None if nothing was."""
        left_out = self._left_out.get(document)
        if not left_out:
            return None
        more = f", and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        return f"left out: {left_out[0]}{more}"


# --- Markdown -------------------------------------------------------------------------------------


def write_markdown(
    store: Store, group: Sequence[Derivable], known: Mapping[str, frozenset[str]]
) -> list[Derived]:
    """Write a Markdown file beside each result; return what was made.

    `known` has for each file name the hashes of files that may be replaced. Raises the first
    OutputError.
    """
    there = whole(store, group)
    notes = Notes()
    items = [_markdown(store, one, known[markdown_name(one)], notes.of(one)) for one in there]
    made = []
    for one, outcome in zip(there, store.write_group(items), strict=True):
        if isinstance(outcome, OutputError):
            raise outcome
        row = Derived(
            one.document, "markdown", one.sha256, outcome.output, 0, outcome.size, outcome.sha256
        )
        made.append(row._replace(note=notes.words(one.document)))
    return made


def markdown_name(one: Derivable) -> str:
    """Return the path of a result's Markdown file."""
    return beside(one.output, ".md")


def _markdown(
    store: Store, one: Derivable, known: frozenset[str], left_out: list[str]
) -> Item | Streamed:
    name = markdown_name(one)
    images = _pictures(store, one)
    pieces = markdown_of(store.read(one.output), origin_of(one), images=images, left_out=left_out)
    if one.size <= WHOLE:
        return Item(name, "".join(pieces).encode(), known)
    part = store.new_part()
    digest = hashlib.sha256()
    size = 0
    with part.open("wb") as file:
        for piece in pieces:
            data = piece.encode()
            digest.update(data)
            size += file.write(data)
    return Streamed(name, part, digest.hexdigest(), size, known)


def _pictures(store: Store, one: Derivable) -> dict[str, str]:
    """Return the downloaded pictures by address, with paths relative to the Markdown file."""
    folder = pictures_name(one)
    if not store.path(folder).is_dir():
        return {}
    places = picture_places(store, one)
    here = len(folder.rpartition("/")[0] + "/") if "/" in folder else 0
    return {url: place[here:] for url, place in places.items() if store.path(place).is_file()}


# --- pictures -------------------------------------------------------------------------------------


def pictures_name(one: Derivable) -> str:
    """Return the folder of a result's pictures."""
    return beside(one.output, ".images")


def picture_places(store: Store, one: Derivable, *, cited: bool = False) -> dict[str, str]:
    """Return the path for each file that a result links to, by its address.

    These are pictures, the PDF made of the document, and the data read from charts. `cited` says
    whether the result has citations, whose pictures are then included.
    """
    folder = pictures_name(one)
    result = read_result(store.read(one.output))
    pictures = enumerate(images_of(result, cited=cited), start=1)
    places = {url: f"{folder}/{number:04}-{_mark(url)}.{_ending(url)}" for number, url in pictures}
    charts = {url: f"{folder}/chart-{_mark(url)}.json" for url in charts_of(result)}
    return {
        **charts,
        **places,
        **{url: f"{folder}/document-{_mark(url)}.pdf" for url in pdfs_of(result)},
    }


def remove_others(store: Store, folder: str, places: Collection[str]) -> None:
    """Delete the pictures in `folder` that belong to an earlier result."""
    names = {place.rpartition("/")[2] for place in places}
    for file in store.path(folder).glob("*"):
        if file.name not in names and _PICTURE.fullmatch(file.name) and file.is_file():
            file.unlink()


def picture_in(url: str) -> bytes | None:
    """Return the picture that a data: address holds; None if the address leads elsewhere.

    Raises ValueError if it is no usable address.
    """
    if not url.startswith(_IN_PLACE):
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url[:100]} is no address")
        return None
    kind, comma, text = url.removeprefix(_IN_PLACE).partition(",")
    content = unquote_to_bytes(text)
    picture = b64decode(content) if kind.endswith(";base64") else content
    if not comma or not picture:
        raise ValueError("a data: address without a picture that can be read")
    return picture


def _mark(url: str) -> str:
    """Return a mark that tells the pictures of different jobs apart.

    It leaves the query out, so that a new signature doesn't change it.
    """
    return hashlib.sha256(url.partition("?")[0].encode()).hexdigest()[:8]


def _ending(url: str) -> str:
    if url.startswith(_IN_PLACE):
        kind = url.partition(",")[0].partition(";")[0]  # as in data:image/svg+xml
        ending = kind.rpartition("/")[2].removesuffix("+xml").lower()
    else:
        ending = url.partition("?")[0].rpartition("/")[2].rpartition(".")[2].lower()
    return ending if ending in _ENDINGS else "png"


# --- lines ----------------------------------------------------------------------------------------


def append_lines(
    store: Store, group: Sequence[Derivable], file: str, at: int, *, chunks: bool
) -> list[Derived]:
    """Append the group's lines to `file`, of `at` bytes so far; return what was made.

    `chunks`: one line per row instead of one per result. Raises FileNotFoundError if the file is
    shorter than `at`, and OutputError.
    """
    there = whole(store, group)
    notes = Notes()
    of = lines_of if chunks else line_of
    written = (of(store.read(one.output), origin_of(one), notes.of(one)) for one in there)
    placed = jsonl.append(store.begin(file), at, written)
    return [
        Derived(one.document, "jsonl", one.sha256, file, *line, note=notes.words(one.document))
        for one, line in zip(there, placed, strict=True)
    ]


def kind_of_lines(store: Store, file: str) -> str | None:
    """Return what the first line of `file` stands for, as `output.lines` has it.

    None if there is no line that can be read.
    """
    try:
        with store.path(file).open("rb") as lines:
            line = json.loads(lines.readline())
    except (OSError, ValueError, RecursionError):
        return None
    return "chunks" if "row" in line else "documents"  # of a result only its rows have a number


# --- Parquet --------------------------------------------------------------------------------------


def begin_part(
    store: Store, there: Sequence[Derivable], columns: Columns
) -> tuple[Streamed, list[Derived]]:
    """Write the rows of these results to a temporary Parquet file.

    Returns the file, to be passed to `publish`, and what to record of it before that. The results
    must be those that `whole` returned.
    """
    part = store.new_part()
    notes = Notes()
    try:
        size, sha256 = parquet.write(part, columns, rows(store, there, notes))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    name = f"results.parquet/{there[0].job}/part-{part.name}.parquet"
    made = [
        Derived(
            one.document, "parquet", one.sha256, name, 0, size, sha256, notes.words(one.document)
        )
        for one in there
    ]
    return Streamed(name, part, sha256, size), made


def publish(store: Store, part: Streamed) -> None:
    """Give a Parquet file its final name. Raises OutputError."""
    (outcome,) = store.write_group([part])
    if isinstance(outcome, OutputError):
        raise outcome


def rows(store: Store, group: Iterable[Derivable], notes: Notes | None = None) -> Iterator[Row]:
    """Yield the rows of these results."""
    for one in group:
        yield from rows_of(store.read(one.output), origin_of(one), notes.of(one) if notes else None)


def found_columns(store: Store, there: Iterable[Derivable], known: Columns | None) -> Columns:
    """Return columns wide enough for all rows, as far as the `known` ones allow."""
    kinds: dict[str, ColumnType | None] = {}
    for row in rows(store, there):
        widen(kinds, row)
    return grown(known, kinds)


def names_of(store: Store, one: Derivable, markdown: str | None) -> list[str]:
    """Return the paths of a result and its pictures and Markdown; the result itself comes last."""
    folder = pictures_name(one)
    files = store.path(folder).glob("*")
    pictures = sorted(
        f"{folder}/{file.name}"
        for file in files
        if _PICTURE.fullmatch(file.name) and file.is_file()
    )
    return [*pictures, *([markdown] if markdown else []), one.output]


def is_as_made(store: Store, made: Sequence[Derived]) -> bool:
    """Tell whether a file is still as it was made; of pictures, whether none is missing.

    `made` are all records of that file.
    """
    first = made[0]
    if first.format == "mirror":
        return True  # it is in another place
    if first.format == "images":
        return len(list(store.path(first.file).glob("*"))) >= first.size - (1 if first.note else 0)
    if first.format == "jsonl":
        return jsonl.stand(
            store.path(first.file), [(row.start, row.size, row.sha256) for row in made]
        )
    return store.digest(first.file) == first.sha256


def outdated_there(
    connection: sqlite3.Connection, store: Store, formats: Iterable[str] = OF_RESULTS
) -> Iterator[Outdated]:
    """Yield what is older than the results, of the files that are still on disk."""
    is_there = cache(lambda file: store.path(file).is_file())
    return (one for one in all_outdated(connection, formats) if is_there(one.file))


def is_one_file(format: str) -> bool:
    """Tell whether what is made lies in a file of its own, which is written as a whole."""
    return format in ("markdown", "parquet")


def whole(store: Store, group: Iterable[Derivable]) -> list[Derivable]:
    """Return the results that are on disk as they were saved; `verify` reports the others."""
    return [one for one in group if store.digest(one.output) == one.sha256]
