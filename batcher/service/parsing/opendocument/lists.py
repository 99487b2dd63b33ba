"""Read the lists of OpenDocument, and number their items and the headings."""

from __future__ import annotations

from typing import Any

from batcher.service.parsing.opendocument.styles import (
    MOST_LEVELS,
    STYLE,
    Counters,
    Level,
    ParagraphStyle,
    qname,
    whole,
)
from batcher.service.parsing.opendocument.walk import OpenItem, OpenList, Readers, Walk


class Lists:
    """Lists and headings with their numbers."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._list_of_id: dict[str, Counters] = {}
        self._list_of_style: dict[str, Counters] = {}
        self._outline = Counters()

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            qname("text:list"): self._list,
            qname("text:list-item"): self._list_item,
            qname("text:list-header"): self._list_item,
            qname("text:numbered-paragraph"): self._numbered_paragraph,
        }

    def _list(self, node: Any) -> None:
        place = self._walk.place
        around = place.lists[-1] if place.lists else None
        style = node.get(STYLE) or (around.style if around else self._style_within(node))
        level = min(around.level + 1 if around else 1, MOST_LEVELS)
        counters = around.counters if around else self._counters(node, style)
        self._list_of_id[node.get(qname("xml:id"), "")] = counters
        place.lists.append(OpenList(level, style, counters))
        self._walk.do(*self._walk.within(node), place.lists.pop)

    def _style_within(self, node: Any) -> str:
        """Return the list style that the style of the list's first paragraph names."""
        first = next(node.iter(qname("text:p"), qname("text:h")), None)
        if first is None:
            return ""
        return self._walk.place.styles.paragraph(first.get(STYLE, "")).list_style or ""

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
        items = self._walk.place.items
        items.append(OpenItem(numbered, whole(start, 1) if start else None))
        self._walk.do(*self._walk.within(node), items.pop)

    def _numbered_paragraph(self, node: Any) -> None:
        """A paragraph with a number, outside of a list."""
        place = self._walk.place
        style = node.get(STYLE) or self._style_within(node)
        level = min(whole(node.get(qname("text:level")), 1), MOST_LEVELS)
        key = node.get(qname("text:list-id"), style)
        counters = self._list_of_id.setdefault(key, Counters())
        place.lists.append(OpenList(level, style, counters))
        start = node.get(qname("text:start-value"))
        place.items.append(OpenItem(numbered=True, start=whole(start, 1) if start else None))
        self._walk.do(*self._walk.within(node), place.lists.pop, place.items.pop)

    def label(self, node: Any, style: ParagraphStyle) -> str:
        """Return the number that is shown before a paragraph, such as "2.1", or ""."""
        label = self._list_label()
        if not label and node.tag == qname("text:h"):
            label = self._heading_label(node, style)
        return "" if node.find(qname("text:number")) is not None else label.strip()

    def _list_label(self) -> str:
        items = self._walk.place.items
        if not items or not items[-1].numbered or not self._walk.place.lists:
            return ""
        items[-1].numbered = False
        found = self._walk.place.lists[-1]
        levels: dict[int, Level] = self._walk.place.styles.levels(found.style)
        return found.counters.next(found.level, levels, items[-1].start)

    def _heading_label(self, node: Any, style: ParagraphStyle) -> str:
        if style.list_style == "" or node.get(qname("text:is-list-header")) == "true":
            return ""
        level = min(whole(node.get(qname("text:outline-level")), 1), MOST_LEVELS)
        start = node.get(qname("text:start-value"))
        levels = self._walk.place.styles.outline
        return self._outline.next(level, levels, whole(start, 1) if start else None)
