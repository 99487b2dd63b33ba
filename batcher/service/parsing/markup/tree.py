"""Make a tree of HTML's source, and answer questions on its nodes. Nothing is written here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.markup.attributes import MOST_ATTRIBUTES, with_few_attributes
from batcher.service.parsing.markup.entities import with_entities
from batcher.service.parsing.markup.nesting import flattened
from batcher.service.parsing.pages import DocumentProblem, corrupt

# tags of a document; the tree takes some hundred bytes for each
MOST_TAGS: Final = 2_000_000
CELLS: Final = frozenset(("td", "th"))
_TINY: Final = frozenset({"0", "1", "2"})  # pixels of pictures that only count readers

_DECLARED: Final = re.compile(
    rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""",
    re.IGNORECASE,
)
_DECLARED_WITHIN: Final = 4096  # bytes
_EMPTY: Final = re.compile(r"<([A-Za-z][\w:.-]*+)((?:\s[^<>]*?)?)/>")
_MARKUP: Final = re.compile(r"<[A-Za-z/!?]")
_VOID: Final = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()
)


def declared_charset(raw: bytes) -> str | None:
    """Return the character set that the document itself names."""
    found = _DECLARED.search(raw[:_DECLARED_WITHIN])
    name = (found[1] or found[2]).decode() if found else None
    # The bytes were just read as ASCII, so that they can't be what such a name says.
    return None if name and name.lower().startswith(("utf-16", "utf-32")) else name


def without_xml(text: str) -> str:
    """Write what HTML doesn't know as HTML has it: empty elements, character data, and entities
    that the document declares.
    """
    first, *others = text.split("<![CDATA[")
    kept = [first]
    for part in others:
        data, end, rest = part.partition("]]>")
        kept += [html.escape(data, quote=False), rest] if end else [part]
    return _EMPTY.sub(_opened_and_closed, with_entities("".join(kept)))


def _opened_and_closed(found: re.Match[str]) -> str:
    name = found[1]
    return found[0] if name.lower() in _VOID else f"<{name}{found[2]}></{name}>"


def parsed(text: str) -> Any:
    """Return the tree. Raises DocumentProblem if it would be too large, or can't be made."""
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    if text.count("<") > MOST_TAGS and sum(1 for _ in _MARKUP.finditer(text)) > MOST_TAGS:
        raise _too_large(f"it has more than {MOST_TAGS:,} tags")
    bounded = with_few_attributes(flattened(text))
    if bounded is None:
        raise _too_large(f"one of its tags has more than {MOST_ATTRIBUTES:,} attributes")
    try:
        return LexborHTMLParser(bounded)
    except (SelectolaxError, ValueError, RuntimeError) as error:
        raise corrupt(f"the HTML can't be read: {error}") from error


def _too_large(message: str) -> DocumentProblem:
    return DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)


def children(node: Any) -> Iterator[Any]:
    """Yield the nodes within a node."""
    return siblings(node.child)


def count_elements(node: Any) -> int:
    """Return the number of elements directly within a node."""
    return sum(child.is_element_node for child in children(node))


def siblings(node: Any) -> Iterator[Any]:
    """Yield a node and those after it within the same one."""
    while node is not None:
        yield node
        node = node.next


def integer_of(written: str | None, otherwise: int) -> int:
    """Return the integer that an attribute begins with, else `otherwise`."""
    found = re.match(r"\s*([+-]?\d{1,9})", written or "")
    return int(found[1]) if found else otherwise


def span_of(written: str | None) -> int:
    """Return how many columns or rows a cell spans, at least one."""
    return max(1, integer_of(written, 1)) if written else 1


def is_tiny(attributes: Mapping[str, str | None]) -> bool:
    """Tell whether a picture or a page within the page is too small to be seen."""
    return attributes.get("width") in _TINY or attributes.get("height") in _TINY


def is_layout(table: Any) -> bool:
    """Tell whether a table only arranges the page, as in most mails.

    It shows no sign of being one itself, and holds other tables or never two words side by side. A
    border is such a sign, unless it frames a single cell, or one between cells that keep a margin.
    """
    rows = [[cell for cell in children(row) if cell.tag in CELLS] for row in _own_rows(table)]
    cells = [cell for row in rows for cell in row]
    if any(cell.tag == "th" or cell.parent.parent.tag == "thead" for cell in cells):
        return False
    if len(cells) == 1:
        return True
    is_alone = all(sum(_has_text(cell) for cell in row) < 2 for row in rows)
    if table.attributes.get("border") not in (None, "", "0"):
        several = [row for row in rows if len(row) > 1]
        return is_alone and bool(several) and not any(_has_text(row[0]) for row in several)
    return is_alone or any(cell.css_first("table") is not None for cell in cells)


def _has_text(cell: Any) -> bool:
    """Tell whether a cell holds words; it holds no other table."""
    return bool(cell.text(deep=True).strip()) or cell.css_first("img, input, select") is not None


def _own_rows(table: Any) -> Iterator[Any]:
    for part in children(table):
        if part.is_element_node and part.tag != "caption":
            yield from children(part)
