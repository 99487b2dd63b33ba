"""Read HTML: every word that a browser shows, once, in reading order.

The tree is walked by its nodes, without recursion; elements only decide where blocks begin and of
which type they are. Style sheets and scripts aren't run, and nothing is fetched.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.decoding import decode
from batcher.service.parsing.flow import Flow
from batcher.service.parsing.list_numbers import numeral
from batcher.service.parsing.nesting import SELECT, flattened
from batcher.service.parsing.pages import DocumentProblem, Page, PageBlock, corrupt, numbered

# tags of a document; the tree takes some hundred bytes for each
MOST_TAGS: Final = 2_000_000
# documents within documents (`srcdoc`)
DEEPEST_FRAME: Final = 4
_SHORT: Final = 2  # characters of an alternative text that stands for a letter, such as an emoji
_TINY: Final = frozenset({"0", "1", "2"})  # pixels of pictures that only count readers
_TEXT: Final = "-text"

_DECLARED: Final = re.compile(
    rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""",
    re.IGNORECASE,
)
_EMPTY: Final = re.compile(r"<([A-Za-z][\w:.-]*+)((?:\s[^<>]*?)?)/>")
_MARKUP: Final = re.compile(r"<[A-Za-z/!?]")
_DECLARED_WITHIN: Final = 4096  # bytes
_UNSEEN_STYLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)", re.I)
_BLOCK_STYLE: Final = re.compile(
    r"display\s*:\s*(?:block|flex|grid|list-item|table\b|table-row|flow-root)", re.I
)
_KEPT_STYLE: Final = re.compile(r"white-space\s*:\s*(?:pre|break-spaces)(?!-line)", re.I)
_LIST_STYLE: Final = re.compile(r"list-style(?:-type)?\s*:[^;]*?\b(none|[a-z]+-?[a-z]+)", re.I)
# characters that are never shown: places where a line may break, marks, and fillers of mails
_INVISIBLE: Final = dict.fromkeys(map(ord, "\0\xad\u034f\u200b\u2060\ufeff"))

_UNSEEN: Final = frozenset(
    "head script style template noscript noembed noframes datalist rp audio video canvas"
    " annotation annotation-xml mphantom source track param".split()
)
_UNSEEN_IN_DRAWINGS: Final = frozenset(
    "defs symbol metadata desc clippath mask marker pattern lineargradient radialgradient"
    " filter".split()
)
_BLOCKS: Final = frozenset(
    "address article aside blockquote body center dd details dialog dir div dl dt fieldset"
    " figcaption figure form frameset hgroup html legend listing main menu nav optgroup p search"
    " section summary text foreignobject mtr".split()
)
_SECTIONS: Final = frozenset("article aside main nav section".split())
_CELLS: Final = frozenset(("td", "th"))
_APART: Final = frozenset("button meter progress output mtd".split())  # boxes within a line
_SHOWN_INPUTS: Final = frozenset(
    "text search tel url email number date month week time datetime-local color submit reset"
    " button".split()
)
# what stands between the parts of an equation
_SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    "mfrac": ("/",),
    "msup": ("^",),
    "msub": ("_",),
    "msubsup": ("_", "^"),
    "munder": ("_",),
    "mover": ("^",),
    "munderover": ("_", "^"),
}
# what isn't read, by the element that holds it: one of it, and several
_UNREAD: Final[Mapping[str, tuple[str, str]]] = {
    "img": ("picture without an alternative text", "pictures without an alternative text"),
    "video": ("video", "videos"),
    "audio": ("sound recording", "sound recordings"),
    "canvas": ("drawing that a script makes", "drawings that scripts make"),
    "iframe": ("page within the page", "pages within the page"),
    "frame": ("page within the page", "pages within the page"),
    "embed": ("embedded object", "embedded objects"),
}
_DEEP_FRAMES: Final = f"pages within pages are read to a depth of {DEEPEST_FRAME}"


def read_html(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the blocks of an HTML file as one page.

    Raises DocumentProblem if the file has no text, or too much of it.
    """
    flow = Flow()
    writer = HtmlWriter(flow)
    writer.write(path.read_bytes())
    return numbered(flow.pages, writer.unread)


def html_blocks(raw: bytes, declared: str | None = None) -> list[PageBlock]:
    """Return the blocks of an HTML document; `declared` is the charset from its headers, if any.

    Raises DocumentProblem if the document is too large.
    """
    flow = Flow()
    HtmlWriter(flow).write(raw, declared)
    return flow.blocks


def shows_text(raw: bytes, declared: str | None = None) -> bool:
    """Tell whether an HTML document shows any text; mails may hold an empty one beside their text.

    Raises DocumentProblem if the document is too large.
    """
    return bool(html_blocks(raw, declared))


def _declared(raw: bytes) -> str | None:
    """Return the character set that the document itself names."""
    found = _DECLARED.search(raw[:_DECLARED_WITHIN])
    name = (found[1] or found[2]).decode() if found else None
    # The bytes were just read as ASCII, so that they can't be what such a name says.
    return None if name and name.lower().startswith(("utf-16", "utf-32")) else name


def _without_xml(text: str) -> str:
    """Write empty elements and character data as HTML has them, which knows neither."""
    first, *others = text.split("<![CDATA[")
    kept = [first]
    for part in others:
        data, end, rest = part.partition("]]>")
        kept += [html.escape(data, quote=False), rest] if end else [part]
    return _EMPTY.sub(_opened_and_closed, "".join(kept))


def _opened_and_closed(found: re.Match[str]) -> str:
    name = found[1]
    return found[0] if name.lower() in _VOID else f"<{name}{found[2]}></{name}>"


_VOID: Final = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()
)


def _parsed(text: str) -> Any:
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    if text.count("<") > MOST_TAGS and sum(1 for _ in _MARKUP.finditer(text)) > MOST_TAGS:
        message = f"it has more than {MOST_TAGS:,} tags"
        raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)
    try:
        return LexborHTMLParser(flattened(text))
    except (SelectolaxError, ValueError, RuntimeError) as error:
        raise corrupt(f"the HTML can't be read: {error}") from error


class HtmlWriter:
    """Writes HTML documents to a flow, and counts what of them isn't read.

    An element is a generator that yields the nodes within it, so that what it opens is closed when
    they are done; the generators stand on a list, not on the interpreter's stack.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._missed: Counter[str] = Counter()
        self._trees: list[Any] = []  # nodes are valid as long as their tree
        self._frames = 0  # documents within documents that are open
        self._grids: list[bool] = []  # open tables: whether each is more than a layout
        self._lists: list[_Numbers | None] = []
        self._number = ""  # of a list item, until its first word
        self._sections = 0
        self._items = 0
        self._drawings = 0
        self._just_broke = False

    @property
    def unread(self) -> list[str]:
        """Return one sentence for each kind of part that isn't read."""
        told = [
            f"{count} {_UNREAD[tag][count > 1]} not read"
            for tag, count in self._missed.items()
            if tag
        ]
        return [*told, *([_DEEP_FRAMES] if self._missed[""] else [])]

    def write(self, raw: bytes, declared: str | None = None, *, is_xml: bool = False) -> None:
        """Write a document.

        `declared` is the character set from the document's headers, if any; `is_xml` is True where
        the file is XHTML whatever it says, as in EPUB.

        Raises DocumentProblem if the document is too large.
        """
        found = decode(raw, declared or _declared(raw))
        text = found.text
        if is_xml or text.lstrip("\ufeff \r\n").startswith("<?xml"):
            text = _without_xml(text)
        with self._flow.block(sure=found.sure):
            self._walk(text)

    def _walk(self, text: str) -> None:
        open_ = [self._document(text)]
        while open_:
            node = next(open_[-1], None)
            if node is None:
                open_.pop()
            elif node.tag == _TEXT:
                self._write(node.text_content)
            elif node.is_element_node and self._is_shown(node):
                open_.append(self._element(node))

    def _document(self, text: str) -> Iterator[Any]:
        tree = _parsed(text)
        self._trees.append(tree)
        if tree.root is not None:
            yield from _siblings(tree.root)
        self._trees.pop()

    def _write(self, text: str) -> None:
        text = text.translate(_INVISIBLE)
        if text.strip():
            self._just_broke = False
            if self._number:
                self._flow.write(self._number)
                self._number = ""
        self._flow.write(text)

    # --- what is shown ----------------------------------------------------------------------------

    def _is_shown(self, node: Any) -> bool:
        tag = node.tag
        attributes = node.attributes
        style = attributes.get("style") or ""
        if "hidden" in attributes or "popover" in attributes or _UNSEEN_STYLE.search(style):
            return False
        if tag == "dialog":
            return "open" in attributes
        if tag in _UNSEEN:
            self._miss(tag)
            return False
        return not (self._drawings and tag in _UNSEEN_IN_DRAWINGS)

    def _miss(self, tag: str) -> None:
        if tag in _UNREAD or tag == "":
            self._missed[tag] += 1

    def _element(self, node: Any) -> Iterator[Any]:
        tag = node.tag
        handler = _HANDLERS.get(tag)
        if handler is not None:
            return handler(self, node)
        if tag in _SIGNS:
            return self._equation(node)
        style = node.attributes.get("style") or ""
        if _KEPT_STYLE.search(style):
            return self._preformatted(node)
        if tag in _BLOCKS or _BLOCK_STYLE.search(style):
            return self._block(node)
        return self._apart(node) if tag in _APART else _children(node)

    # --- blocks -----------------------------------------------------------------------------------

    def _block(self, node: Any, type_: str = "") -> Iterator[Any]:
        is_section = node.tag in _SECTIONS
        self._sections += is_section
        with self._flow.block(type_):
            yield from _children(node)
        self._sections -= is_section

    def _preformatted(self, node: Any) -> Iterator[Any]:
        with self._flow.block(keeps_space=True):
            yield from _children(node)

    def _title(self, node: Any) -> Iterator[Any]:
        return self._block(node, "Title")

    def _heading(self, node: Any) -> Iterator[Any]:
        return self._block(node, "Section Header")

    def _header(self, node: Any) -> Iterator[Any]:
        return self._block(node, "" if self._sections else "Header")

    def _footer(self, node: Any) -> Iterator[Any]:
        return self._block(node, "" if self._sections else "Footer")

    def _rule(self, _node: Any) -> Iterator[Any]:
        with self._flow.block():
            yield from ()

    def _line_break(self, node: Any) -> Iterator[Any]:
        """Break the line; two breaks in sequence are how mails begin a paragraph."""
        if self._just_broke and not self._items:
            yield from self._rule(node)
            return
        self._just_broke = True
        self._flow.break_line()

    # --- lists ------------------------------------------------------------------------------------

    def _list(self, node: Any) -> Iterator[Any]:
        self._lists.append(_Numbers(node) if node.tag == "ol" else None)
        with self._flow.block():
            yield from _children(node)
        self._lists.pop()

    def _item(self, node: Any) -> Iterator[Any]:
        numbers = self._lists[-1] if self._lists else None
        self._items += 1
        with self._flow.block("List Item"):
            self._number = numbers.next_for(node) if numbers else ""
            yield from _children(node)
            self._number = ""
        self._items -= 1

    # --- tables -----------------------------------------------------------------------------------

    def _table(self, node: Any) -> Iterator[Any]:
        for child in _children(node):
            if child.tag == "caption" and self._is_shown(child):
                yield from self._block(child)
        rest = (child for child in _children(node) if child.tag != "caption")
        is_grid = not _is_layout(node)
        self._grids.append(is_grid)
        if is_grid:
            self._flow.begin_table()
            yield from rest
            self._flow.end_table()
        else:
            with self._flow.block():
                yield from rest
        self._grids.pop()

    def _row(self, node: Any) -> Iterator[Any]:
        if not self._is_in_grid():
            yield from self._block(node)
            return
        self._flow.begin_row()
        yield from _children(node)
        self._flow.end_row()

    def _cell(self, node: Any) -> Iterator[Any]:
        if not self._is_in_grid():
            yield from self._block(node)
            return
        self._flow.begin_cell()
        yield from _children(node)
        attributes = node.attributes
        columns = _count(attributes.get("colspan"))
        self._flow.end_cell(columns=columns, rows=_count(attributes.get("rowspan")))

    def _is_in_grid(self) -> bool:
        return bool(self._grids) and self._grids[-1]

    # --- pictures, drawings, other documents ------------------------------------------------------

    def _picture(self, node: Any) -> Iterator[Any]:
        yield from ()
        attributes = node.attributes
        alternative = (attributes.get("alt") or "").strip()
        if 0 < len(alternative) <= _SHORT:
            self._write(alternative)
        elif alternative:
            self._figure(alternative)
        elif "alt" not in attributes and not _is_tiny(attributes):
            self._flow.write(" ")
            self._miss("img")

    def _figure(self, content: str) -> None:
        content = " ".join(content.translate(_INVISIBLE).split())
        if content:
            self._flow.add(PageBlock("Figure", content, sure=False))

    def _drawing(self, node: Any) -> Iterator[Any]:
        """Walk an SVG; its title is for it what an alternative text is for a picture."""
        self._drawings += 1
        self._flow.write(" ")
        for child in _children(node):
            if child.tag == "title":
                self._figure(child.text(deep=True))
            else:
                yield child
        self._flow.write(" ")
        self._drawings -= 1

    def _name(self, _node: Any) -> Iterator[Any]:
        """Leave out a title that isn't a whole drawing's: it is shown only under the pointer."""
        return iter(())

    def _frame(self, node: Any) -> Iterator[Any]:
        source = node.attributes.get("srcdoc")
        if source is None:
            if node.attributes.get("src") and not _is_tiny(node.attributes):
                self._miss(node.tag)
            return
        if self._frames == DEEPEST_FRAME:
            self._miss("")
            return
        self._frames += 1
        with self._flow.block():
            yield from self._document(source)
        self._frames -= 1

    def _missing(self, node: Any) -> Iterator[Any]:
        self._miss(node.tag)
        yield from ()

    # --- within a line ----------------------------------------------------------------------------

    def _apart(self, node: Any) -> Iterator[Any]:
        """Set the element's words apart from those beside it."""
        self._flow.write(" ")
        yield from _children(node)
        self._flow.write(" ")

    def _quotation(self, node: Any) -> Iterator[Any]:
        self._write("“")
        yield from _children(node)
        self._write("”")

    def _reading(self, node: Any) -> Iterator[Any]:
        """Put what stands above the characters in brackets after them."""
        self._write("(")
        yield from _children(node)
        self._write(")")

    def _equation(self, node: Any) -> Iterator[Any]:
        signs = iter(("", *_SIGNS[node.tag]))
        for child in _children(node):
            if not child.is_element_node:
                continue
            self._write(next(signs, " "))
            is_group = _children_count(child) > 1
            self._write("(" if is_group else "")
            yield child
            self._write(")" if is_group else "")

    def _root(self, node: Any) -> Iterator[Any]:
        self._write("√(")
        yield from _children(node)
        self._write(")")

    # --- forms ------------------------------------------------------------------------------------

    def _input(self, node: Any) -> Iterator[Any]:
        yield from ()
        attributes = node.attributes
        kind = (attributes.get("type") or "text").lower()
        if kind == "image":
            self._figure(attributes.get("alt") or "")
        elif kind in _SHOWN_INPUTS:
            shown = attributes.get("value") or attributes.get("placeholder") or ""
            self._write(f" {shown} ")

    def _text_area(self, node: Any) -> Iterator[Any]:
        text = node.text(deep=True)
        with self._flow.block(keeps_space=True):
            self._write(text if text.strip() else node.attributes.get("placeholder") or "")
            yield from ()

    def _choice(self, node: Any) -> Iterator[Any]:
        """Write an option, or the name of a group of them, on a line of its own."""
        self._flow.break_line()
        label = node.attributes.get("label")
        if label:
            self._write(label)
            self._flow.break_line()
        if not label or node.tag == "optgroup":
            yield from _children(node)
        self._flow.break_line()


_HANDLERS: Final[Mapping[str, Callable[[HtmlWriter, Any], Iterator[Any]]]] = {
    "h1": HtmlWriter._title,
    **dict.fromkeys(("h2", "h3", "h4", "h5", "h6"), HtmlWriter._heading),
    "header": HtmlWriter._header,
    "footer": HtmlWriter._footer,
    **dict.fromkeys(("pre", "listing", "xmp", "plaintext"), HtmlWriter._preformatted),
    "br": HtmlWriter._line_break,
    "hr": HtmlWriter._rule,
    **dict.fromkeys(("ul", "ol", "menu", "dir"), HtmlWriter._list),
    "li": HtmlWriter._item,
    "table": HtmlWriter._table,
    "tr": HtmlWriter._row,
    **dict.fromkeys(_CELLS, HtmlWriter._cell),
    "img": HtmlWriter._picture,
    "image": HtmlWriter._missing,
    "svg": HtmlWriter._drawing,
    "title": HtmlWriter._name,
    "iframe": HtmlWriter._frame,
    "frame": HtmlWriter._frame,
    "embed": HtmlWriter._missing,
    "q": HtmlWriter._quotation,
    "rt": HtmlWriter._reading,
    "msqrt": HtmlWriter._root,
    "input": HtmlWriter._input,
    "textarea": HtmlWriter._text_area,
    **dict.fromkeys(("select", SELECT), HtmlWriter._block),
    **dict.fromkeys(("option", "optgroup"), HtmlWriter._choice),
}


class _Numbers:
    """Counts the items of an ordered list."""

    def __init__(self, node: Any) -> None:
        attributes = node.attributes
        items = sum(child.tag == "li" for child in _children(node))
        self._step = -1 if "reversed" in attributes else 1
        first = items if self._step < 0 else 1
        self._next = _number(attributes.get("start"), first)
        self._style = _list_style(attributes) or "1"

    def next_for(self, item: Any) -> str:
        """Return the number that is shown before `item`, with its dot and a blank, or ""."""
        number = _number(item.attributes.get("value"), self._next)
        self._next = number + self._step
        style = _list_style(item.attributes) or self._style
        return "" if style == "none" else f"{numeral(number, style)}. "


def _list_style(attributes: Mapping[str, str | None]) -> str:
    found = _LIST_STYLE.search(attributes.get("style") or "")
    return found[1].lower() if found else attributes.get("type") or ""


def _number(written: str | None, otherwise: int) -> int:
    found = re.match(r"\s*([+-]?\d{1,9})", written or "")
    return int(found[1]) if found else otherwise


def _count(written: str | None) -> int:
    return max(1, _number(written, 1)) if written else 1


def _is_tiny(attributes: Mapping[str, str | None]) -> bool:
    return attributes.get("width") in _TINY or attributes.get("height") in _TINY


def _is_layout(table: Any) -> bool:
    """Tell whether a table only arranges the page, as in most mails.

    It shows no sign of being one itself, and holds other tables or never two words side by side.
    """
    if table.attributes.get("border") not in (None, "", "0"):
        return False
    rows = [[cell for cell in _children(row) if cell.tag in _CELLS] for row in _own_rows(table)]
    cells = [cell for row in rows for cell in row]
    if any(cell.tag == "th" or cell.parent.parent.tag == "thead" for cell in cells):
        return False
    if len(cells) == 1 or any(cell.css_first("table") is not None for cell in cells):
        return True
    return all(sum(_has_text(cell) for cell in row) < 2 for row in rows)


def _has_text(cell: Any) -> bool:
    """Tell whether a cell holds words; it holds no other table."""
    return bool(cell.text(deep=True).strip()) or cell.css_first("img, input, select") is not None


def _own_rows(table: Any) -> Iterator[Any]:
    for part in _children(table):
        if part.is_element_node and part.tag != "caption":
            yield from _children(part)


def _children(node: Any) -> Iterator[Any]:
    return _siblings(node.child)


def _children_count(node: Any) -> int:
    return sum(child.is_element_node for child in _children(node))


def _siblings(node: Any) -> Iterator[Any]:
    while node is not None:
        yield node
        node = node.next
