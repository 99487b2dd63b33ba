"""Walk the elements of an OpenDocument text or presentation, and write its text to a Flow.

The walk keeps a list of what is still to be done instead of calling itself, so that no depth of
nesting can break it. What belongs to a paragraph and stands outside of its line (text boxes,
pictures, notes, comments) is written after it, and in a table after the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.flow import MOST_COLUMNS, MOST_SPAN, Flow
from batcher.service.parsing.office import mathml
from batcher.service.parsing.opendocument.styles import (
    MOST_LEVELS,
    Counters,
    Level,
    ParagraphStyle,
    Styles,
    qname,
    whole,
)
from batcher.service.parsing.pages import DocumentProblem, PageBlock

# elements that may be visited; more are a broken or a hostile file
MOST_VISITS: Final = 4 << 20
# of them, those in rows and cells that the file holds once and says to be repeated
MOST_REPEATED: Final = 1 << 19

# one thing still to be done: an element to enter, text to write, or something to call
Step = Any

_STYLE: Final = qname("text:style-name")
_HREF: Final = qname("xlink:href")
_DISPLAY: Final = qname("text:display")
_HIDDEN: Final = qname("text:is-hidden")
_ALT: Final = (qname("svg:title"), qname("svg:desc"))
_TABLE_ALT: Final = (qname("table:title"), qname("table:desc"))
_SHAPES: Final = frozenset(
    [qname("dr3d:scene"), qname("office:annotation"), qname("text:note")]
    + [
        qname(f"draw:{name}")
        for name in (
            "frame g custom-shape rect circle ellipse line connector polyline polygon path "
            "regular-polygon caption measure control a"
        ).split()
    ]
)
_TITLES: Final = {"title": "Title", "subtitle": "Section Header"}
_LENGTH: Final = re.compile(r"(-?[\d.]{1,20})(cm|mm|in|pt|pc|px)")
_INCHES: Final = {
    "cm": 1 / 2.54,
    "mm": 1 / 25.4,
    "in": 1.0,
    "pt": 1 / 72,
    "pc": 1 / 6,
    "px": 1 / 96,
}


class Package(Protocol):
    """What the walk needs of a document's file."""

    def embedded(self, holder: Any) -> Any:
        """Return the root of the document that `holder`, a draw:object, shows.

        Raises DocumentProblem if it can't be read.
        """

    def styles_of(self, root: Any) -> Styles:
        """Return the styles of an embedded document."""


@dataclass(frozen=True, slots=True)
class Master:
    """A master page: its headers and footers, and the other text that it shows on each page."""

    headers: Sequence[Any] = ()
    footers: Sequence[Any] = ()
    shapes: Sequence[Any] = ()
    next: str = ""


@dataclass(frozen=True, slots=True)
class _List:
    """An open list. `level` counts from 1, and `style` is that of the list or of one around it."""

    level: int
    style: str
    counters: Counters


@dataclass(slots=True)
class _Item:
    """An open item of a list. Its first paragraph shows its number, and takes it away."""

    numbered: bool
    start: int | None


@dataclass(slots=True)
class _Row:
    """An open row: empty cells that are left out unless one with text follows."""

    empty: int = 0


@dataclass(slots=True)
class _Place:
    """Where the walk is: what around an element decides how its text is written."""

    styles: Styles
    lists: list[_List] = field(default_factory=list)
    items: list[_Item] = field(default_factory=list)
    has_type: bool = False  # the block around has a type that paragraphs don't change
    in_body: bool = True  # paragraphs here may begin a page


class TextWalk:
    """One walk over a document's body. `unread` names what could not be read, in sentences."""

    def __init__(
        self, flow: Flow, package: Package, styles: Styles, *, page_styles: Styles
    ) -> None:
        """`page_styles` are the styles of headers, footers and master pages."""
        self._flow = flow
        self._package = package
        self._place = _Place(styles)
        self._page_styles = page_styles
        self._todo: list[Step] = []
        self._visits = 0
        self._repeated = 0
        self._in_paragraph = False
        self._is_hidden = False
        self._lead = ""  # what the next paragraph begins with: a note's mark, a comment's author
        self._tables = 0
        self._rows: list[_Row] = []
        self._beside: list[Step] = []  # text boxes and pictures of the open paragraph
        self._notes: list[Step] = []  # notes and comments since the last paragraph of the body
        self._turns = False  # a page ends with this paragraph
        self._begun = False
        self._footers: list[Step] = []
        self._shown: set[str] = set()  # text of headers and footers that is written already
        self._outline = Counters()
        self._list_of_id: dict[str, Counters] = {}
        self._list_of_style: dict[str, Counters] = {}
        self._objects: set[Any] = set()  # roots of embedded documents that were read
        self._pictures = 0
        self._unread: dict[str, None] = {}
        self.masters: dict[str, Master] = {}
        self.controls: dict[str, str] = {}  # text of form controls by id
        self.declared: dict[str, Any] = {}  # footers and dates of slides by name

    @property
    def unread(self) -> list[str]:
        """Return a sentence for each part that could not be read."""
        if not self._pictures:
            return list(self._unread)
        return [*self._unread, f"pictures are not read in this format (it has {self._pictures})"]

    def walk(self, body: Any) -> None:
        """Write all text of `body`, the element that holds the document's content.

        Raises DocumentProblem if it has too many elements or too much text.
        """
        self._run([body])
        if not self._begun:
            self._run(self._first_page(""))
        self._run([*self._taken_notes(), *self._taken_footers()])

    def _run(self, steps: Sequence[Step]) -> None:
        self._do(*steps)
        while self._todo:
            step = self._todo.pop()
            if isinstance(step, str):
                self._write(step)
            elif callable(step):
                step()
            else:
                self._enter(step)

    def _do(self, *steps: Step) -> None:
        """Do these next, in their order."""
        self._todo += reversed(steps)

    def _enter(self, node: Any) -> None:
        self._visits += 1
        if self._visits > MOST_VISITS:
            message = f"it has more than {MOST_VISITS >> 20} million elements"
            raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)
        if node.get(_DISPLAY) == "none" or node.get(_HIDDEN) == "true":
            return
        if self._in_paragraph and node.tag in _SHAPES:
            self._beside_the_line(node)
        else:
            _HANDLERS.get(node.tag, TextWalk._descend)(self, node)

    def _descend(self, node: Any) -> None:
        self._do(*self._within(node))

    def _within(self, node: Any) -> list[Step]:
        """Return the element's children; with their text, if this is a line of text."""
        if not self._in_paragraph:
            return _elements(node)
        steps: list[Step] = [node.text] if node.text else []
        for child in node:
            steps += [child] if isinstance(child.tag, str) else []
            steps += [child.tail] if child.tail else []
        return steps

    def _write(self, text: str) -> None:
        if not self._is_hidden:
            self._flow.write(text)

    def _at(self, place: _Place) -> Callable[[], None]:
        """Return a step that sets the place where the walk is."""

        def go() -> None:
            self._place = place

        return go

    def _elsewhere(
        self, steps: Sequence[Step], type_: str = "", *, styles: Styles | None = None
    ) -> list[Step]:
        """Return `steps` as those of a block that stands apart, with lists of its own.

        With a type, every paragraph in it has this type.
        """
        around = self._place
        place = _Place(
            styles or around.styles, has_type=bool(type_) or around.has_type, in_body=False
        )
        begin = lambda: self._flow.begin(type_)  # noqa: E731
        return [begin, self._at(place), *steps, self._flow.end, self._at(around)]

    # --- paragraphs -------------------------------------------------------------------------------

    def _paragraph(self, node: Any) -> None:
        style = self._place.styles.paragraph(node.get(_STYLE, ""))
        if self._in_paragraph:  # only in broken files
            self._do(self._flow.break_line, *self._within(node), self._flow.break_line)
            return
        self._do(*self._page_before(style), lambda: self._begin_paragraph(node, style))

    def _begin_paragraph(self, node: Any, style: ParagraphStyle) -> None:
        self._flow.begin(self._type_of(node, style))
        self._in_paragraph = True
        self._is_hidden = style.hidden
        leads = [self._lead, self._label(node, style)]
        self._lead = ""
        self._do(
            *(lead + " " for lead in leads if lead),
            *self._within(node),
            lambda: self._end_paragraph(style),
        )

    def _end_paragraph(self, style: ParagraphStyle) -> None:
        self._flow.end()
        self._in_paragraph = False
        self._is_hidden = False
        beside = self._beside
        self._beside = []
        notes = [] if self._tables else self._taken_notes()
        self._do(*beside, *notes, lambda: self._page_after(style))

    def _type_of(self, node: Any, style: ParagraphStyle) -> str:
        if self._place.has_type:
            return ""
        if node.tag == qname("text:h"):
            return style.type or "Section Header"
        return style.type or ("List Item" if self._place.lists else "")

    def _span(self, node: Any) -> None:
        hides = self._place.styles.hides(node.get(_STYLE, ""))
        if hides is None or hides == self._is_hidden:
            self._descend(node)
            return
        self._is_hidden = hides
        self._do(*self._within(node), lambda: setattr(self, "_is_hidden", not hides))

    def _blank(self, _node: Any) -> None:
        self._write(" ")

    def _line_break(self, _node: Any) -> None:
        self._flow.break_line()

    def _ruby_text(self, node: Any) -> None:
        self._do(" (", *self._within(node), ")")

    def _beside_the_line(self, node: Any) -> None:
        """Keep for later what isn't part of the line; a formula is, and so is a note's mark."""
        if self._is_hidden:
            return
        if node.tag == qname("text:note"):
            self._write(self._mark(node))
        if node.tag in (qname("text:note"), qname("office:annotation")):
            self._notes.append(node)
            return
        formula = self._formula(node)
        if formula is None:
            self._beside.append(node)
        else:
            self._write(f" {formula} ")

    def _formula(self, frame: Any) -> str | None:
        """Return the formula that a frame holds, or None if it holds something else."""
        for holder in frame.iterchildren(qname("draw:object")):
            try:
                root = self._package.embedded(holder)
            except DocumentProblem:
                return None  # it is told when the frame itself is read
            if root is not None and root.tag == qname("math:math"):
                return mathml.linear(root) if self._is_new(root) else ""
        return None

    def _is_new(self, root: Any) -> bool:
        """Tell whether an embedded document is met for the first time; one may even hold itself."""
        if root in self._objects:
            self._unread["an embedded object that is shown several times is read once"] = None
            return False
        self._objects.add(root)
        return True

    # --- notes and comments -----------------------------------------------------------------------

    def _taken_notes(self) -> list[Step]:
        notes = self._notes
        self._notes = []
        return notes

    def _note(self, node: Any) -> None:
        body = node.find(qname("text:note-body"))
        if body is not None:
            mark = self._mark(node).strip()
            self._do(*self._elsewhere([self._leading(mark), body], "Text"))

    def _mark(self, node: Any) -> str:
        citation = node.find(qname("text:note-citation"))
        if citation is None:
            return ""
        label = citation.get(qname("text:label")) or "".join(citation.itertext()).strip()
        return f" [{label}]" if label else ""

    def _comment(self, node: Any) -> None:
        if not self._in_paragraph and self._tables:
            self._notes.append(node)  # a comment of a cell
            return
        author = (node.findtext(qname("dc:creator")) or "").strip()
        text = [child for child in node if child.tag in (qname("text:p"), qname("text:list"))]
        lead = author + ":" if author else ""
        self._do(*self._elsewhere([self._leading(lead), *text], "Comment"))

    def _leading(self, text: str) -> Callable[[], None]:
        """Return a step that has the next paragraph begin with `text`."""
        return lambda: setattr(self, "_lead", text)

    # --- lists and headings -----------------------------------------------------------------------

    def _list(self, node: Any) -> None:
        place = self._place
        around = place.lists[-1] if place.lists else None
        style = node.get(_STYLE) or (around.style if around else self._style_within(node))
        level = min(around.level + 1 if around else 1, MOST_LEVELS)
        counters = around.counters if around else self._counters(node, style)
        self._list_of_id[node.get(qname("xml:id"), "")] = counters
        place.lists.append(_List(level, style, counters))
        self._do(*self._within(node), place.lists.pop)

    def _style_within(self, node: Any) -> str:
        """Return the list style that the style of the list's first paragraph names."""
        first = next(node.iter(qname("text:p"), qname("text:h")), None)
        if first is None:
            return ""
        return self._place.styles.paragraph(first.get(_STYLE, "")).list_style or ""

    def _counters(self, node: Any, style: str) -> Counters:
        """Return the numbers that a list goes on with, or new ones."""
        continued = node.get(qname("text:continue-list"))
        found = self._list_of_id.get(continued) if continued else None
        if found is None and node.get(qname("text:continue-numbering")) == "true":
            found = self._list_of_style.get(style)
        self._list_of_style[style] = found or Counters()
        return self._list_of_style[style]

    def _list_item(self, node: Any) -> None:
        start = node.get(qname("text:start-value"))
        numbered = node.tag == qname("text:list-item")
        items = self._place.items
        items.append(_Item(numbered, whole(start, 1) if start else None))
        self._do(*self._within(node), items.pop)

    def _numbered_paragraph(self, node: Any) -> None:
        """A paragraph with a number, outside of a list."""
        place = self._place
        style = node.get(_STYLE) or self._style_within(node)
        level = min(whole(node.get(qname("text:level")), 1), MOST_LEVELS)
        key = node.get(qname("text:list-id"), style)
        counters = self._list_of_id.setdefault(key, Counters())
        place.lists.append(_List(level, style, counters))
        start = node.get(qname("text:start-value"))
        place.items.append(_Item(numbered=True, start=whole(start, 1) if start else None))
        self._do(*self._within(node), place.lists.pop, place.items.pop)

    def _label(self, node: Any, style: ParagraphStyle) -> str:
        """Return the number that is shown before a paragraph, such as "2.1", or ""."""
        label = self._list_label()
        if not label and node.tag == qname("text:h"):
            label = self._heading_label(node, style)
        return "" if node.find(qname("text:number")) is not None else label.strip()

    def _list_label(self) -> str:
        items = self._place.items
        if not items or not items[-1].numbered or not self._place.lists:
            return ""
        items[-1].numbered = False
        found = self._place.lists[-1]
        levels: dict[int, Level] = self._place.styles.levels(found.style)
        return found.counters.next(found.level, levels, items[-1].start)

    def _heading_label(self, node: Any, style: ParagraphStyle) -> str:
        if style.list_style == "" or node.get(qname("text:is-list-header")) == "true":
            return ""
        level = min(whole(node.get(qname("text:outline-level")), 1), MOST_LEVELS)
        start = node.get(qname("text:start-value"))
        levels = self._place.styles.outline
        return self._outline.next(level, levels, whole(start, 1) if start else None)

    # --- tables -----------------------------------------------------------------------------------

    def _table(self, node: Any) -> None:
        style = self._place.styles.paragraph(node.get(qname("table:style-name"), ""), "table")
        alt = " ".join(filter(None, ((node.findtext(name) or "").strip() for name in _TABLE_ALT)))
        self._do(
            *self._page_before(style),
            *([lambda: self._flow.add(PageBlock("Text", alt))] if alt else []),
            self._begin_table,
            *(child for child in _elements(node) if child.tag not in _TABLE_ALT),
            self._end_table,
        )

    def _begin_table(self) -> None:
        self._flow.begin_table()
        self._tables += 1
        self._rows.append(_Row())

    def _end_table(self) -> None:
        self._flow.end_table()
        self._tables -= 1
        self._rows.pop()
        if self._tables:
            return
        self._do(*self._taken_notes())
        if self._turns and self._place.in_body:
            self._turns = False
            self._do(self._flow.break_page)

    def _row(self, node: Any) -> None:
        if not self._tables:
            self._descend(node)
            return
        if node.get(qname("table:visibility"), "visible") != "visible":
            return
        times = self._times(node, "rows", MOST_SPAN)
        cells = _elements(node)
        self._do(*[step for _ in range(times) for step in (self._begin_row, *cells, self._end_row)])

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
            self._unread["rows or cells that are repeated very often are not all read"] = None
        return times

    def _begin_row(self) -> None:
        self._flow.begin_row()
        self._rows[-1].empty = 0

    def _end_row(self) -> None:
        self._flow.end_row()

    def _cell(self, node: Any) -> None:
        if not self._tables:
            self._descend(node)
            return
        columns = whole(node.get(qname("table:number-columns-spanned")), 1)
        rows = whole(node.get(qname("table:number-rows-spanned")), 1)
        if not len(node) and rows <= 1:
            repeated = whole(node.get(qname("table:number-columns-repeated")), 1)
            self._rows[-1].empty += max(columns, repeated)
            return
        self._write_empty_cells()
        around = self._place
        inside = _Place(around.styles, has_type=True, in_body=False)
        end = lambda: self._flow.end_cell(columns=columns, rows=rows)  # noqa: E731
        one = [self._flow.begin_cell, self._at(inside), *self._in_cell(node), self._at(around), end]
        self._do(*one * self._times(node, "columns", MOST_COLUMNS))

    def _write_empty_cells(self) -> None:
        if self._rows[-1].empty:
            self._flow.begin_cell()
            self._flow.end_cell(columns=min(self._rows[-1].empty, MOST_COLUMNS))
            self._rows[-1].empty = 0

    def _in_cell(self, node: Any) -> list[Step]:
        """Return what a cell shows. A chart names the places of its data in empty groups there."""
        return [
            child
            for child in _elements(node)
            if child.tag != qname("draw:g") or any(one.tag not in _ALT for one in child)
        ]

    # --- shapes -----------------------------------------------------------------------------------

    def _shape(self, node: Any) -> None:
        alt = _alt_text(node)
        inside = [child for child in _elements(node) if child.tag not in _ALT]
        type_ = _TITLES.get(node.get(qname("presentation:class"), ""), "")
        figure = [lambda: self._flow.add(PageBlock("Figure", alt))] if alt else []
        self._do(*figure, *self._elsewhere(inside, type_))

    def _frame(self, node: Any) -> None:
        """A frame shows the first of its children that can be shown; the others stand for it."""
        children = [child for child in _elements(node) if child.tag not in _ALT]
        text = [child for child in children if child.tag in _TEXT_OF_FRAMES]
        if text:
            type_ = _TITLES.get(node.get(qname("presentation:class"), ""), "")
            alt = _alt_text(node)
            figure = [lambda: self._flow.add(PageBlock("Figure", alt))] if alt else []
            self._do(*figure, *self._elsewhere(text[:1], type_))
            return
        holder = next((one for one in children if one.tag == qname("draw:object")), None)
        if holder is not None and self._embedded(node, holder):
            return
        self._picture(node, children)

    def _picture(self, node: Any, children: Sequence[Any]) -> None:
        for child in children:
            if child.tag in _NOT_READ:
                self._unread[_NOT_READ[child.tag]] = None
        if any(child.tag == qname("draw:image") for child in children):
            self._pictures += all(child.tag not in _NOT_READ for child in children)
            self._flow.add(PageBlock("Figure", _alt_text(node), sure=False))
        elif _alt_text(node):
            self._flow.add(PageBlock("Figure", _alt_text(node)))

    def _embedded(self, node: Any, holder: Any) -> bool:
        """Read a formula, a chart, a sheet or another document within this one."""
        try:
            root = self._package.embedded(holder)
        except DocumentProblem as problem:
            self._unread[f"an embedded object can't be read: {problem.message}"] = None
            return False
        if root is None:
            return False
        if not self._is_new(root):
            return True
        alt = _alt_text(node)
        figure = [lambda: self._flow.add(PageBlock("Figure", alt))] if alt else []
        if root.tag == qname("math:math"):
            formula = mathml.linear(root)
            self._do(*figure, lambda: self._flow.add(PageBlock("Text", formula)))
            return True
        body = root.find(qname("office:body"))
        styles = self._package.styles_of(root)
        self._do(*figure, *self._elsewhere([body] if body is not None else [], styles=styles))
        return body is not None

    def _control(self, node: Any) -> None:
        text = self.controls.get(node.get(qname("draw:control"), ""), "")
        alt = _alt_text(node)
        for shown in filter(None, (text, alt)):
            self._flow.add(PageBlock("Text", shown))

    # --- pages ------------------------------------------------------------------------------------

    def _page_before(self, style: ParagraphStyle) -> list[Step]:
        """Return what a paragraph or table of this style brings before itself: a new page."""
        if self._tables or not self._place.in_body:
            return []
        if not self._begun:
            return self._first_page(style.master)
        if style.master:
            return [*self._taken_footers(), self._flow.break_page, *self._headers(style.master)]
        return [self._flow.break_page] if style.breaks_before else []

    def _first_page(self, master: str) -> list[Step]:
        self._begun = True
        default = master if master in self.masters else "Standard"
        if default not in self.masters:
            default = next(iter(self.masters), "")
        return self._headers(default)

    def _page_after(self, style: ParagraphStyle) -> None:
        if self._tables or not self._place.in_body:
            return
        if self._turns or style.breaks_after:
            self._flow.break_page()
        self._turns = False

    def _soft_page_break(self, _node: Any) -> None:
        """A page that ended here when the document was saved; its last paragraph stays whole."""
        if self._in_paragraph or self._tables:
            self._turns = True
        elif self._place.in_body:
            self._flow.break_page()

    def _headers(self, master: str) -> list[Step]:
        """Return what a master page and those that follow it show, once; footers wait."""
        steps: list[Step] = []
        while (page := self.masters.pop(master, None)) is not None:
            steps += self._once(page.headers, "Header")
            self._footers += self._once(page.footers, "Footer")
            steps += self._once(page.shapes, "")
            master = page.next
        return steps

    def _once(self, nodes: Sequence[Any], type_: str) -> list[Step]:
        steps: list[Step] = []
        for node in nodes:
            text = type_ + " ".join("".join(node.itertext()).split())
            if text not in self._shown:
                self._shown.add(text)
                steps += self._elsewhere([node], type_, styles=self._page_styles)
        return steps

    def _taken_footers(self) -> list[Step]:
        footers = self._footers
        self._footers = []
        return footers

    def _slide(self, node: Any) -> None:
        """A page of a presentation: its shapes from top to bottom, then its notes."""
        turn = [self._flow.break_page] if self._begun else []
        self._begun = True
        shapes = [child for child in _elements(node) if child.tag != qname("presentation:notes")]
        notes = node.find(qname("presentation:notes"))
        steps = [
            *self._headers(node.get(qname("draw:master-page-name"), "")),
            *sorted(shapes, key=_position),
        ]
        self._do(
            *turn,
            *self._elsewhere(steps),
            *(self._elsewhere([notes], "Comment") if notes is not None else []),
            lambda: self._do(*self._taken_notes(), *self._declared(node), *self._taken_footers()),
        )

    def _declared(self, slide: Any) -> list[Step]:
        """Return the footer and the date of a slide, where they are shown for the first time."""
        style = slide.get(qname("draw:style-name"), "")
        steps: list[Step] = []
        for what in ("footer", "date-time"):
            name = slide.get(qname(f"presentation:use-{what}-name"))
            node = self.declared.get(f"{what} {name}")
            if node is not None and self._place.styles.shows(style, what):
                steps += self._once_as_text(node)
        return steps

    def _once_as_text(self, node: Any) -> list[Step]:
        text = " ".join("".join(node.itertext()).split())
        if not text or text in self._shown:
            return []
        self._shown.add(text)
        return [lambda: self._flow.add(PageBlock("Footer", text))]

    def _skip(self, _node: Any) -> None:
        """Leave out what isn't shown."""


def _elements(node: Any) -> list[Any]:
    """Return the children that are elements, without comments and instructions of XML."""
    return [child for child in node if isinstance(child.tag, str)]


def _alt_text(node: Any) -> str:
    found = (" ".join((node.findtext(name) or "").split()) for name in _ALT)
    return "\n".join(filter(None, found))


def _position(shape: Any) -> tuple[float, float]:
    """Return the top and the left edge of a shape in inches; those of a group are its first's."""
    top = shape.get(qname("svg:y")) or shape.get(qname("svg:y1"))
    if top is None and shape.tag == qname("draw:g"):
        shape = next((one for one in shape.iter() if one.get(qname("svg:y"))), shape)
        top = shape.get(qname("svg:y"))
    left = shape.get(qname("svg:x")) or shape.get(qname("svg:x1"))
    return _inches(top), _inches(left)


def _inches(length: str | None) -> float:
    found = _LENGTH.fullmatch(length or "")
    try:
        return float(found[1]) * _INCHES[found[2]] if found else 0.0
    except ValueError:
        return 0.0


_TEXT_OF_FRAMES: Final = frozenset((qname("draw:text-box"), qname("table:table")))
_NOT_READ: Final = {
    qname("draw:object-ole"): "an embedded object of another program is not read",
    qname("draw:plugin"): "embedded sound and video are not read",
    qname("draw:applet"): "an embedded program is not read",
    qname("draw:floating-frame"): "a document that is linked in a frame is not read",
}
_HANDLERS: Final[dict[str, Callable[[TextWalk, Any], None]]] = {
    **dict.fromkeys(map(qname, ("text:p", "text:h")), TextWalk._paragraph),
    **dict.fromkeys(map(qname, ("text:span", "text:a")), TextWalk._span),
    **dict.fromkeys(map(qname, ("text:s", "text:tab")), TextWalk._blank),
    qname("text:line-break"): TextWalk._line_break,
    qname("text:soft-page-break"): TextWalk._soft_page_break,
    qname("text:ruby-text"): TextWalk._ruby_text,
    qname("text:note"): TextWalk._note,
    qname("office:annotation"): TextWalk._comment,
    qname("text:list"): TextWalk._list,
    **dict.fromkeys(map(qname, ("text:list-item", "text:list-header")), TextWalk._list_item),
    qname("text:numbered-paragraph"): TextWalk._numbered_paragraph,
    qname("table:table"): TextWalk._table,
    qname("table:table-row"): TextWalk._row,
    qname("table:table-cell"): TextWalk._cell,
    qname("draw:frame"): TextWalk._frame,
    qname("draw:control"): TextWalk._control,
    qname("draw:page"): TextWalk._slide,
    **dict.fromkeys(
        _SHAPES
        - {
            qname(name) for name in ("draw:frame", "draw:control", "office:annotation", "text:note")
        },
        TextWalk._shape,
    ),
    **dict.fromkeys(
        map(
            qname,
            (
                "table:covered-table-cell",
                "text:tracked-changes",
                "table:tracked-changes",
                "text:table-of-content-source",
                "text:illustration-index-source",
                "text:table-index-source",
                "text:object-index-source",
                "text:user-index-source",
                "text:alphabetical-index-source",
                "text:bibliography-source",
                "text:script",
                "office:forms",
                "office:event-listeners",
                "office:binary-data",
                "office:dde-source",
                "draw:page-thumbnail",
                "draw:image-map",
                "draw:glue-point",
                "presentation:footer-decl",
                "presentation:header-decl",
                "presentation:date-time-decl",
                "svg:title",
                "svg:desc",
            ),
        ),
        TextWalk._skip,
    ),
}
