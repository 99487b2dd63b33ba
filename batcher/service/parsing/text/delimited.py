"""Read CSV and its kin as one table; lines without a delimiter around it are text.

The delimiter is the one that cuts most lines into the same number of clean cells.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.pages import Page, PageBlock, Rows, empty, markdown_table
from batcher.service.parsing.sheets.workbook import Limits
from batcher.service.parsing.text.decoding import decode

_SAMPLE: Final = 1 << 17  # characters that the dialect is chosen by
_RECORDS: Final = 500  # lines of cells, likewise
_MOST_RESTARTS: Final = 3  # quotes that are never closed and are taken as text
_SEPARATOR: Final = re.compile(r'\A"?sep=(.)"?[ \t]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_NONE: Final = "\x1f"  # stands in no text
# in order of preference where two fit equally well
_DELIMITERS: Final = ",;\t|"
# another delimiter that isn't part of prose, a number or a list
_FOREIGN: Final = {
    delimiter: re.compile(
        "|".join(
            r"(?<!\d),(?=\S)|,(?=[^\s\d])" if other == "," else re.escape(other) + r"(?=\S)"
            for other in _DELIMITERS
            if other != delimiter
        )
    )
    for delimiter in _DELIMITERS
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file writes its cells. `escape` is the sign before delimiters and quotes within."""

    delimiter: str
    quote: str = '"'
    escape: str | None = None


def read_csv(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the file as one page.

    Raises DocumentProblem if there are no cells, or too many.
    """
    decoded = decode(path.read_bytes())
    text = decoded.text.replace("\0", "")
    limits = Limits()
    limits.count(len(text))
    told = _SEPARATOR.match(text)
    if told is not None:
        text = text[told.end() :]
    dialect = dialect_of(text, told[1] if told else None)
    rows = [row for row in rows_of(text, dialect) if any(cell.strip() for cell in row)]
    if not rows:
        raise empty("the table has no cells")
    before, rows, after = _without_titles(rows)
    width = max(map(len, rows))
    limits.count(0, sum(width - len(row) for row in rows))
    blocks = [PageBlock("Text", line, sure=decoded.sure) for line in before]
    blocks.append(PageBlock("Table", markdown_table(rows), sure=decoded.sure, rows=rows))
    blocks += [PageBlock("Text", line, sure=decoded.sure) for line in after]
    return [Page(1, 1, blocks, cells=len(before) + sum(map(len, rows)) + len(after))]


def _without_titles(rows: Rows) -> tuple[list[str], Rows, list[str]]:
    """Return the lines without a delimiter above the table, the table, and those below it."""
    wide = [number for number, row in enumerate(rows) if len(row) > 1]
    if not wide:
        return [], rows, []
    before = [row[0].strip() for row in rows[: wide[0]]]
    after = [row[0].strip() for row in rows[wide[-1] + 1 :]]
    return before, rows[wide[0] : wide[-1] + 1], after


# --- the dialect ----------------------------------------------------------------------------------


def dialect_of(text: str, delimiter: str | None) -> Dialect:
    """Return how the cells of a text are written; `delimiter` if the text itself names it."""
    sample = text[:_SAMPLE]
    candidates = [
        Dialect(each, quote, escape)
        for each in (delimiter or _DELIMITERS)
        for quote in _quotes(sample, each)
        for escape in ([None, "\\"] if re.search(rf'\\["{re.escape(each)}]', sample) else [None])
    ]
    is_cut = len(text) > len(sample)
    fits = [(_fit(sample, candidate, is_cut), candidate) for candidate in candidates]
    fit, best = max(fits, key=lambda pair: pair[0])
    is_prose = not re.search(rf"{re.escape(best.delimiter)}\S", sample)
    return Dialect(_NONE) if fit < 0.5 and is_prose and not delimiter else best


def _quotes(sample: str, delimiter: str) -> list[str]:
    """Return the signs that may enclose cells: apostrophes only if they enclose most cells."""
    if '"' in sample:
        return ['"']
    between = rf"[{re.escape(delimiter)}\r\n]"
    cells = len(re.findall(rf"{between}+", sample)) + 1
    opened = len(re.findall(rf"(?:\A|{between})'", sample))
    closed = len(re.findall(rf"'(?:\Z|{between})", sample))
    return ["'"] if opened * 2 > cells and abs(opened - closed) * 10 <= opened else ['"']


def _fit(sample: str, dialect: Dialect, is_cut: bool) -> float:
    """Return the share of lines with the usual number of cells, less that of unclean cells."""
    rows = [row for row in islice(_records(sample, dialect), _RECORDS + 1) if any(row)]
    if is_cut or len(rows) > _RECORDS:
        rows = rows[:-1] or rows  # the last may be incomplete
    widths = Counter(len(row) for row in rows if len(row) > 1)
    if not widths:
        return 0.0
    width, times = max(widths.items(), key=lambda item: (item[1], item[0]))
    near = sum(n for w, n in widths.items() if w != width) / 4
    foreign = _FOREIGN.get(dialect.delimiter)
    cells = [cell for row in rows for cell in row]
    unclean = sum(bool(foreign.search(cell)) for cell in cells) if foreign else 0
    escaped = 0.01 if dialect.escape else 0.0
    return (times + near) / len(rows) * (1 - unclean / len(cells) / 2) + escaped


# --- records --------------------------------------------------------------------------------------


def rows_of(text: str, dialect: Dialect) -> Iterator[list[str]]:
    """Yield the cells of each record. A quote that is never closed is text, as is what follows."""
    lines = _lines(text)
    start = 0
    for _ in range(_MOST_RESTARTS):
        if text.count(dialect.quote) % 2 == 0:
            break
        broken = yield from _sound(lines, start, dialect)
        if broken is None:
            return
        yield from _plain(lines[broken : broken + 1], dialect)
        start = broken + 1
    else:
        yield from _plain(lines[start:], dialect)
        return
    yield from _reader(lines[start:], dialect)


def _sound(lines: list[str], start: int, dialect: Dialect) -> Any:
    """Yield the records up to one that isn't closed, and return the number of its first line."""
    source = lines[start:]
    reader = _reader(source, dialect)
    held: list[str] | None = None
    first = 0
    for row in reader:
        if held is not None:
            yield held
        held = row
        begins = first
        first = reader.line_num
    if held is None:
        return None
    if first - begins > 1 and not _is_closed(source[begins:first], dialect):
        return start + begins
    yield held
    return None


def _is_closed(lines: list[str], dialect: Dialect) -> bool:
    text = "".join(lines)
    if dialect.escape:
        text = text.replace(dialect.escape + dialect.quote, "")
    return text.count(dialect.quote) % 2 == 0


def _lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline=""))


def _records(text: str, dialect: Dialect) -> Any:
    return _reader(_lines(text), dialect)


def _reader(lines: list[str], dialect: Dialect) -> Any:
    csv.field_size_limit(1 << 30)  # the whole text is bounded
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        escapechar=dialect.escape,
        skipinitialspace=_is_apart(lines, dialect),
    )


def _is_apart(lines: list[str], dialect: Dialect) -> bool:
    """Tell whether quotes stand after a blank, as in `"a", "b"`."""
    apart = f"{dialect.delimiter} {dialect.quote}"
    return dialect.delimiter not in " \t" and any(apart in line for line in lines[:_RECORDS])


def _plain(lines: list[str], dialect: Dialect) -> Any:
    return csv.reader(lines, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)
