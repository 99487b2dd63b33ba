"""Read the tables of OpenDocument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from batcher.service.parsing.flow import MOST_COLUMNS, MOST_SPAN
from batcher.service.parsing.opendocument.notes import Notes
from batcher.service.parsing.opendocument.paging import Paging
from batcher.service.parsing.opendocument.styles import qname, whole
from batcher.service.parsing.opendocument.walk import ALT, Place, Readers, Step, Walk, elements
from batcher.service.parsing.pages import PageBlock

# of the elements that may be visited, those in rows and cells that are held once and repeated
MOST_REPEATED: Final = 1 << 19
_TABLE_ALT: Final = (qname("table:title"), qname("table:desc"))


@dataclass(slots=True)
class _Row:
    """An open row: empty cells that are left out unless one with text follows."""

    empty: int = 0


class Tables:
    """Tables with their rows and cells."""

    def __init__(self, walk: Walk, *, notes: Notes, paging: Paging) -> None:
        self._walk = walk
        self._notes = notes
        self._paging = paging
        self._rows: list[_Row] = []
        self._repeated = 0

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            qname("table:table"): self._table,
            qname("table:table-row"): self._row,
            qname("table:table-cell"): self._cell,
        }

    def _table(self, node: Any) -> None:
        style = self._walk.place.styles.paragraph(node.get(qname("table:style-name"), ""), "table")
        alt = " ".join(filter(None, ((node.findtext(name) or "").strip() for name in _TABLE_ALT)))
        self._walk.do(
            *self._paging.page_before(style),
            *([lambda: self._walk.flow.add(PageBlock("Text", alt))] if alt else []),
            self._begin_table,
            *(child for child in elements(node) if child.tag not in _TABLE_ALT),
            self._end_table,
        )

    def _begin_table(self) -> None:
        self._walk.flow.begin_table()
        self._walk.tables += 1
        self._rows.append(_Row())

    def _end_table(self) -> None:
        self._walk.flow.end_table()
        self._walk.tables -= 1
        self._rows.pop()
        if self._walk.tables:
            return
        self._walk.do(*self._notes.taken())
        if self._paging.turns and self._walk.place.in_body:
            self._paging.turns = False
            self._walk.do(self._walk.flow.break_page)

    def _row(self, node: Any) -> None:
        if not self._walk.tables:
            self._walk.descend(node)
            return
        if node.get(qname("table:visibility"), "visible") != "visible":
            return
        times = self._times(node, "rows", MOST_SPAN)
        cells = elements(node)
        self._walk.do(
            *[step for _ in range(times) for step in (self._begin_row, *cells, self._end_row)]
        )

    def _times(self, node: Any, what: str, most: int) -> int:
        """Return how often a row or a cell stands there; without text it isn't worth repeating."""
        told = whole(node.get(qname(f"table:number-{what}-repeated")), 1)
        if told <= 1 or self._repeated >= MOST_REPEATED:
            return 1
        size = sum(1 for _ in node.iter())
        self._repeated += size
        if not any(text.strip() for text in node.itertext()):
            return 1
        times = min(told, most, 1 + max(0, MOST_REPEATED - self._repeated) // size)
        self._repeated += size * (times - 1)
        if times < told:
            self._walk.unread["rows or cells that are repeated very often are not all read"] = None
        return times

    def _begin_row(self) -> None:
        self._walk.flow.begin_row()
        self._rows[-1].empty = 0

    def _end_row(self) -> None:
        self._walk.flow.end_row()

    def _cell(self, node: Any) -> None:
        if not self._walk.tables:
            self._walk.descend(node)
            return
        columns = whole(node.get(qname("table:number-columns-spanned")), 1)
        rows = whole(node.get(qname("table:number-rows-spanned")), 1)
        if not len(node) and rows <= 1:
            repeated = whole(node.get(qname("table:number-columns-repeated")), 1)
            self._rows[-1].empty += max(columns, repeated)
            return
        self._write_empty_cells()
        around = self._walk.place
        inside = Place(around.styles, has_type=True, in_body=False)
        end = lambda: self._walk.flow.end_cell(columns=columns, rows=rows)  # noqa: E731
        one = [
            self._walk.flow.begin_cell,
            self._walk.at(inside),
            *self._in_cell(node),
            self._walk.at(around),
            end,
        ]
        self._walk.do(*one * self._times(node, "columns", MOST_COLUMNS))

    def _write_empty_cells(self) -> None:
        if self._rows[-1].empty:
            self._walk.flow.begin_cell()
            self._walk.flow.end_cell(columns=min(self._rows[-1].empty, MOST_COLUMNS))
            self._rows[-1].empty = 0

    def _in_cell(self, node: Any) -> list[Step]:
        """Return what a cell shows. A chart names the places of its data in empty groups there."""
        return [
            child
            for child in elements(node)
            if child.tag != qname("draw:g") or any(one.tag not in ALT for one in child)
        ]
