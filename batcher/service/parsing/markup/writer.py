"""Walk the tree of an HTML document, and write every word that a browser shows to a flow.

The tree is walked by its nodes, without recursion; elements only decide where blocks begin and of
which type they are. Style sheets and scripts aren't run, and nothing is fetched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.markup.tree import (
    children,
    declared_charset,
    parsed,
    siblings,
    without_xml,
)
from batcher.service.parsing.text.decoding import decode

Readers = Mapping[str, Callable[[Any], Iterator[Any]]]  # by the name of an element

# documents within documents (`srcdoc`)
DEEPEST_FRAME: Final = 4
_TEXT: Final = "-text"

_UNSEEN_STYLE: Final = re.compile(r"display\s*:\s*none|content-visibility\s*:\s*hidden", re.I)
_VISIBILITY: Final = re.compile(r"(?<![\w-])visibility\s*:\s*(visible|hidden|collapse)", re.I)
_BLOCK_STYLE: Final = re.compile(
    r"display\s*:\s*(?:block|flex|grid|list-item|table\b|table-row|flow-root)", re.I
)
_KEPT_STYLE: Final = re.compile(r"white-space\s*:\s*(?:pre|break-spaces)(?!-line)", re.I)
# characters that are never shown: places where a line may break, marks, and fillers of mails
INVISIBLE: Final = dict.fromkeys(map(ord, "\0\xad\u034f\u200b\u2060\ufeff"))

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
# what isn't read, by the element that holds it: one of it, and several
_UNREAD: Final[Mapping[str, tuple[str, str]]] = {
    "video": ("video", "videos"),
    "audio": ("sound recording", "sound recordings"),
    "canvas": ("drawing made by scripts", "drawings made by scripts"),
    "iframe": ("page within the page", "pages within the page"),
    "frame": ("page within the page", "pages within the page"),
    "embed": ("embedded object", "embedded objects"),
}
_DEEP_FRAMES: Final = f"pages within pages are read to a depth of {DEEPEST_FRAME}"


class Writer:
    """Writes HTML documents to a flow, and counts what of them isn't read.

    An element is a generator that yields the nodes within it, so that what it opens is closed when
    they are done; the generators stand on a list, not on the interpreter's stack. `readers` has
    those for elements that aren't just blocks or parts of a line.

    `number` is that of a list item, until its first word, `just_broke` tells whether the line was
    just broken, `is_visible` whether the words of the open element are shown, and `sections` and
    `drawings` count those that are open.
    `pictures` has the number of pictures without an alternative text, by page of the flow.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.readers: Readers = {}
        self.number = ""
        self.just_broke = False
        self.is_visible = True
        self.sections = 0
        self.drawings = 0
        self.pictures: Counter[int] = Counter()
        self._missed: Counter[str] = Counter()
        self._trees: list[Any] = []  # nodes are valid as long as their tree

    def read(self, raw: bytes, declared: str | None = None, *, is_xml: bool = False) -> None:
        """Write a document.

        `declared` is the character set from the document's headers, if any; `is_xml` is True where
        the file is XHTML whatever it says, as in EPUB.

        Raises DocumentProblem if the document is too large.
        """
        found = decode(raw, declared or declared_charset(raw))
        text = found.text
        if is_xml or text.lstrip("\ufeff \r\n").startswith("<?xml"):
            text = without_xml(text)
        with self.flow.block(sure=found.sure):
            self._walk(text)

    def _walk(self, text: str) -> None:
        open_ = [(self.document(text), True)]
        while open_:
            nodes, self.is_visible = open_[-1]
            node = next(nodes, None)
            if node is None:
                open_.pop()
            elif node.tag == _TEXT:
                self.write(node.text_content)
            elif node.is_element_node and self._is_shown(node):
                open_.append((self._element(node), self.is_visible))

    def document(self, text: str) -> Iterator[Any]:
        """Read a document, which may stand within another."""
        tree = parsed(text)
        self._trees.append(tree)
        if tree.root is not None:
            yield from siblings(tree.root)
        self._trees.pop()

    def write(self, text: str) -> None:
        """Write text; the number of a list item stands before its first word."""
        if not self.is_visible:
            return
        text = text.translate(INVISIBLE)
        if text.strip():
            self.just_broke = False
            if self.number:
                self.flow.write(self.number)
                self.number = ""
        self.flow.write(text)

    def _is_shown(self, node: Any) -> bool:
        """Tell whether an element is shown, and count it if it is and isn't read.

        One that is only invisible may hold others that aren't.
        """
        tag = node.tag
        attributes = node.attributes
        style = attributes.get("style") or ""
        visibility = _VISIBILITY.findall(style)
        if visibility:
            self.is_visible = visibility[-1].lower() == "visible"
        if "hidden" in attributes or "popover" in attributes or _UNSEEN_STYLE.search(style):
            return False
        if tag == "dialog":
            return "open" in attributes
        if tag in _UNSEEN:
            self.miss(tag)
            return False
        return not (self.drawings and tag in _UNSEEN_IN_DRAWINGS)

    def miss_picture(self) -> None:
        """Count a picture without an alternative text."""
        if self.is_visible:
            self.pictures[self.flow.page_number] += 1

    def miss(self, tag: str) -> None:
        """Count an element that isn't read."""
        if self.is_visible and (tag in _UNREAD or tag == ""):
            self._missed[tag] += 1

    def _element(self, node: Any) -> Iterator[Any]:
        tag = node.tag
        read = self.readers.get(tag)
        if read is not None:
            return read(node)
        style = node.attributes.get("style") or ""
        if _KEPT_STYLE.search(style):
            return self.preformatted(node)
        if tag in _BLOCKS or _BLOCK_STYLE.search(style):
            return self.block(node)
        return self._apart(node) if tag in _APART else children(node)

    def block(self, node: Any, type_: str = "") -> Iterator[Any]:
        """Read an element as a block."""
        is_section = node.tag in _SECTIONS
        self.sections += is_section
        with self.flow.block(type_):
            yield from children(node)
        self.sections -= is_section

    def preformatted(self, node: Any) -> Iterator[Any]:
        """Read an element whose white space is shown as it stands."""
        with self.flow.block(keeps_space=True):
            yield from children(node)

    def _apart(self, node: Any) -> Iterator[Any]:
        """Set the element's words apart from those beside it."""
        self.flow.write(" ")
        yield from children(node)
        self.flow.write(" ")

    @property
    def unread(self) -> list[str]:
        """Return one sentence for each kind of part that isn't read."""
        told = [
            f"{count} {_UNREAD[tag][count > 1]} not read"
            for tag, count in self._missed.items()
            if tag
        ]
        return [*told, *([_DEEP_FRAMES] if self._missed[""] else [])]
