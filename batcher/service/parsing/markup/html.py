"""Read HTML: every word that a browser shows, once, in reading order.

The tree is walked by its nodes, without recursion; elements only decide where blocks begin and of
which type they are. Style sheets and scripts aren't run, and nothing is fetched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.markup.lists import Numbers
from batcher.service.parsing.markup.nesting import SELECT
from batcher.service.parsing.markup.tree import (
    CELLS,
    children,
    count_elements,
    declared_charset,
    is_layout,
    is_tiny,
    parsed,
    siblings,
    span_of,
    without_xml,
)
from batcher.service.parsing.pages import Page, PageBlock, numbered
from batcher.service.parsing.text.decoding import decode

# documents within documents (`srcdoc`)
DEEPEST_FRAME: Final = 4
_SHORT: Final = 2  # characters of an alternative text that stands for a letter, such as an emoji
_TEXT: Final = "-text"

_UNSEEN_STYLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)", re.I)
_BLOCK_STYLE: Final = re.compile(
    r"display\s*:\s*(?:block|flex|grid|list-item|table\b|table-row|flow-root)", re.I
)
_KEPT_STYLE: Final = re.compile(r"white-space\s*:\s*(?:pre|break-spaces)(?!-line)", re.I)
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
        self._lists: list[Numbers | None] = []
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
        found = decode(raw, declared or declared_charset(raw))
        text = found.text
        if is_xml or text.lstrip("\ufeff \r\n").startswith("<?xml"):
            text = without_xml(text)
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
        tree = parsed(text)
        self._trees.append(tree)
        if tree.root is not None:
            yield from siblings(tree.root)
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
        return self._apart(node) if tag in _APART else children(node)

    # --- blocks -----------------------------------------------------------------------------------

    def _block(self, node: Any, type_: str = "") -> Iterator[Any]:
        is_section = node.tag in _SECTIONS
        self._sections += is_section
        with self._flow.block(type_):
            yield from children(node)
        self._sections -= is_section

    def _preformatted(self, node: Any) -> Iterator[Any]:
        with self._flow.block(keeps_space=True):
            yield from children(node)

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
        self._lists.append(Numbers(node) if node.tag == "ol" else None)
        with self._flow.block():
            yield from children(node)
        self._lists.pop()

    def _item(self, node: Any) -> Iterator[Any]:
        numbers = self._lists[-1] if self._lists else None
        self._items += 1
        with self._flow.block("List Item"):
            self._number = numbers.next_for(node) if numbers else ""
            yield from children(node)
            self._number = ""
        self._items -= 1

    # --- tables -----------------------------------------------------------------------------------

    def _table(self, node: Any) -> Iterator[Any]:
        for child in children(node):
            if child.tag == "caption" and self._is_shown(child):
                yield from self._block(child)
        rest = (child for child in children(node) if child.tag != "caption")
        is_grid = not is_layout(node)
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
        yield from children(node)
        self._flow.end_row()

    def _cell(self, node: Any) -> Iterator[Any]:
        if not self._is_in_grid():
            yield from self._block(node)
            return
        self._flow.begin_cell()
        yield from children(node)
        attributes = node.attributes
        columns = span_of(attributes.get("colspan"))
        self._flow.end_cell(columns=columns, rows=span_of(attributes.get("rowspan")))

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
        elif "alt" not in attributes and not is_tiny(attributes):
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
        for child in children(node):
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
            if node.attributes.get("src") and not is_tiny(node.attributes):
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
        yield from children(node)
        self._flow.write(" ")

    def _quotation(self, node: Any) -> Iterator[Any]:
        self._write("“")
        yield from children(node)
        self._write("”")

    def _reading(self, node: Any) -> Iterator[Any]:
        """Put what stands above the characters in brackets after them."""
        self._write("(")
        yield from children(node)
        self._write(")")

    def _equation(self, node: Any) -> Iterator[Any]:
        signs = iter(("", *_SIGNS[node.tag]))
        for child in children(node):
            if not child.is_element_node:
                continue
            self._write(next(signs, " "))
            is_group = count_elements(child) > 1
            self._write("(" if is_group else "")
            yield child
            self._write(")" if is_group else "")

    def _root(self, node: Any) -> Iterator[Any]:
        self._write("√(")
        yield from children(node)
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
            yield from children(node)
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
    **dict.fromkeys(CELLS, HtmlWriter._cell),
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
