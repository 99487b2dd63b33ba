"""One document whose result is on disk, and what that result holds.

Nothing is read before it is asked for. A result is compared with its hash in the ledger each time
before it is read, so what it holds is what was paid for, or an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from batcher.common.names import extension_of
from batcher.common.strict_json import MISFITS, mended
from batcher.errors import ResultDamaged
from batcher.ledger.derived_outputs import Derivable
from batcher.outputs.derived_files import origin_of, path_of
from batcher.outputs.result_store import Store
from batcher.outputs.rows import metadata_of
from batcher.outputs.tables import cells_of
from batcher.reducto import results as parts
from batcher.reducto.results import Buffer, Result, read_result

Row = dict[str, Any]

# the columns that each row has beside its own
ORIGIN: Final = ("source", "path", "step", "job_id", "credits", "metadata", "row")
OTHER: Final = "other"
_RESERVED: Final = frozenset((*ORIGIN, OTHER))
_TABLE: Final = "Table"


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a chunk: a paragraph, title, table, figure and so on, as `type` says.

    `page` is the page in the document, from 1. `box` is where the block is on it, as fractions of
    the page from its upper left corner: (left, top, width, height). What the service didn't say is
    None.
    """

    type: str
    text: str
    page: int | None
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document's text with its blocks, numbered from 1 in reading order.

    `page` and `last_page` are None where no block says its page; `embed` is the text for
    embeddings if it differs from `text`.
    """

    number: int
    text: str
    embed: str | None
    page: int | None
    last_page: int | None
    blocks: tuple[Block, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a document, numbered from 1: `rows` of cells, the first of which is the header.

    All rows have the same number of cells. A cell that spans several places stands in each.
    """

    number: int
    page: int | None
    rows: tuple[tuple[str, ...], ...]

    @property
    def header(self) -> tuple[str, ...]:
        """The cells of the first row."""
        return self.rows[0] if self.rows else ()

    def records(self) -> list[dict[str, str]]:
        """Return each further row by the names in the header; of equal names the last cell counts.

        Cells are text as it stands in the document: nobody said what is a number.
        """
        return [dict(zip(self.header, row, strict=True)) for row in self.rows[1:]]


class Document:
    """A saved document of one step. Whatever is read of its result raises ResultDamaged if the file
    is missing, or isn't as it was saved.

    `left_out` says what couldn't be read of the result, of what was read so far.
    """

    def __init__(self, saved: Derivable, store: Store) -> None:
        """Made by `Results`; reads nothing."""
        self._saved = saved
        self._store = store
        self.left_out: list[str] = []

    def __repr__(self) -> str:
        """Return what identifies the document; nothing of its result."""
        return f"<Document {self.source!r} step={self.step!r}>"

    @property
    def source(self) -> str:
        """Its name: the path below the source's folder, a listing's `id`, or an address."""
        return self._saved.source

    @property
    def path(self) -> str | None:
        """Its path below the source's folder, also where a listing gave it an `id`.

        None for an address, of which nothing but the name is written down.
        """
        return path_of(self._saved)

    @property
    def type(self) -> str:
        """The extension of its file in lower case, as in pdf; empty if it has none."""
        return extension_of(self.path or self._saved.source)

    @property
    def step(self) -> str:
        """The name of the step that made the result, as in `[[job]]`."""
        return self._saved.job

    @property
    def job_id(self) -> str | None:
        """The service's name for the job; of a copy, that of the document which was paid for."""
        return self._saved.job_id

    @property
    def pages(self) -> int | None:
        """The pages that the service counted, or None."""
        return self._saved.pages

    @property
    def credits(self) -> float | None:
        """What was billed for it, or estimated where there is no bill; 0 for a copy."""
        return self._saved.credits

    @property
    def metadata(self) -> dict[str, Any]:
        """What the listing says about it; empty if it came from a folder or a store."""
        said = metadata_of(origin_of(self._saved))
        value = msgspec.json.decode(said) if said else {}
        return value if isinstance(value, dict) else {"metadata": value}

    @property
    def output(self) -> str:
        """The path of its result below the output directory."""
        return self._saved.output

    @property
    def file(self) -> Path:
        """The absolute path of its result."""
        return self._store.path(self._saved.output).absolute()

    @property
    def size(self) -> int:
        """The bytes of its result."""
        return self._saved.size

    @property
    def sha256(self) -> str:
        """The hash of its result, by which the ledger knows it."""
        return self._saved.sha256

    @property
    def is_whole(self) -> bool:
        """Whether the result is on disk as it was saved; reads all of the file."""
        return self._store.digest(self._saved.output) == self._saved.sha256

    @cached_property
    def kind(self) -> str:
        """What the result is of: parse, extract, split and so on; empty if it doesn't say."""
        return self._read().kind

    @property
    def result(self) -> Any:
        """The whole result as it came, decoded. It takes as much memory as it is large."""
        body = self._body()
        try:
            return msgspec.json.decode(body)
        except MISFITS:
            whole = mended(body)
        if whole is None:
            raise ResultDamaged(
                f"{self.file}: the service's answer about {self.source} isn't JSON; it is on disk "
                "as it came",
                source=self.source,
                output=self.output,
            )
        return msgspec.json.decode(whole)

    @property
    def text(self) -> str:
        """The text of all chunks, with an empty line between them."""
        return "\n\n".join(chunk.text for chunk in self.chunks() if chunk.text)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks of a parse, also of one within a pipeline, one at a time."""
        for number, chunk in enumerate(parts.chunks_of(self._read()), start=1):
            page, last_page = chunk.span
            embed = chunk.embed if isinstance(chunk.embed, str) else None
            blocks = tuple(map(_block, chunk.blocks))
            yield Chunk(
                number,
                chunk.text,
                embed if embed != chunk.text else None,
                page,
                last_page,
                blocks,
            )

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of all chunks."""
        for chunk in self.chunks():
            yield from chunk.blocks

    def tables(self) -> Iterator[Table]:
        """Yield the tables among the blocks. A block whose text is no table is in `left_out`."""
        found = (block for block in self.blocks() if block.type == _TABLE)
        for number, block in enumerate(found, start=1):
            rows = cells_of(block.text)
            if not rows:
                self.left_out.append(f"table {number}, for its text is none")
            yield Table(number, block.page, tuple(map(tuple, rows)))

    def fields(self) -> Iterator[dict[str, Any]]:
        """Yield each extracted object, section of a split, or category, without citations."""
        for record in parts.records_of(self._read()):
            yield {name: _listed(name, value) for name, value in record.items()}

    def _read(self) -> Result:
        return read_result(self._body(), self.left_out)

    def _body(self) -> Buffer:
        found = self._store.digest(self._saved.output)
        if found != self._saved.sha256:
            raise self._damaged("is missing" if found is None else "isn't as it was saved")
        try:
            return self._store.read(self._saved.output)
        except FileNotFoundError:
            raise self._damaged("is missing") from None

    def _damaged(self, how: str) -> ResultDamaged:
        return ResultDamaged(
            f"{self.file}: the result of {self.source} {how}; `batcher verify --repair` has the "
            "next run restore it",
            source=self.source,
            output=self.output,
        )


def own_name(name: str) -> str:
    """Return the column of an extracted field: its name, with an underscore if that is taken."""
    return f"{name}_" if name.rstrip("_") in _RESERVED else name


def _block(block: parts.Block) -> Block:
    kind, text = (one if isinstance(one, str) else "" for one in (block.type, block.content))
    return Block(kind, text, block.page, _box(block.bbox))


def _box(said: Any) -> tuple[float, float, float, float] | None:
    if not isinstance(said, Mapping):
        return None
    left, top, width, height = map(said.get, ("left", "top", "width", "height"))
    sides = [side for side in (left, top, width, height) if isinstance(side, int | float)]
    return (sides[0], sides[1], sides[2], sides[3]) if len(sides) == 4 else None


def _listed(name: str, value: Any) -> Any:
    """Return the pages of a split's section as a list; they are kept as JSON elsewhere."""
    if name == "pages" and isinstance(value, str) and value.startswith("["):
        return msgspec.json.decode(value)
    return value
