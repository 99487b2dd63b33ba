"""Begin the pages of OpenDocument where the file says so, with their headers and footers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batcher.service.parsing.opendocument.styles import ParagraphStyle, Styles, qname
from batcher.service.parsing.opendocument.walk import Readers, Step, Walk


@dataclass(frozen=True, slots=True)
class Master:
    """A master page: its headers and footers, and the other text that it shows on each page."""

    headers: Sequence[Any] = ()
    footers: Sequence[Any] = ()
    shapes: Sequence[Any] = ()
    next: str = ""


class Paging:
    """The pages of a document.

    `begun` says whether the first is begun, `turns` that one ends with the open paragraph, and
    `shown` has the headers and footers that were written.
    """

    def __init__(self, walk: Walk, *, page_styles: Styles, masters: Mapping[str, Master]) -> None:
        self._walk = walk
        self.begun = False
        self.turns = False
        self.shown: set[str] = set()
        self._page_styles = page_styles
        self._masters = dict(masters)
        self._footers: list[Step] = []

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            qname("text:soft-page-break"): self._soft_page_break,
        }

    def page_before(self, style: ParagraphStyle) -> list[Step]:
        """Return what a paragraph or table of this style brings before itself: a new page."""
        if self._walk.tables or not self._walk.place.in_body:
            return []
        if not self.begun:
            return self.first_page(style.master)
        if style.master:
            return [*self.taken_footers(), self._walk.flow.break_page, *self.headers(style.master)]
        return [self._walk.flow.break_page] if style.breaks_before else []

    def first_page(self, master: str) -> list[Step]:
        """Return what the first page shows: the headers of its master page."""
        self.begun = True
        default = master if master in self._masters else "Standard"
        if default not in self._masters:
            default = next(iter(self._masters), "")
        return self.headers(default)

    def page_after(self, style: ParagraphStyle) -> None:
        """End the page after a paragraph of this style, if it says so."""
        if self._walk.tables or not self._walk.place.in_body:
            return
        if self.turns or style.breaks_after:
            self._walk.flow.break_page()
        self.turns = False

    def _soft_page_break(self, _node: Any) -> None:
        """A page that ended here when the document was saved; its last paragraph stays whole."""
        if self._walk.in_paragraph or self._walk.tables:
            self.turns = True
        elif self._walk.place.in_body:
            self._walk.flow.break_page()

    def headers(self, master: str) -> list[Step]:
        """Return what a master page and those that follow it show, once; footers wait."""
        steps: list[Step] = []
        while (page := self._masters.pop(master, None)) is not None:
            steps += self.once(page.headers, "Header")
            self._footers += self.once(page.footers, "Footer")
            steps += self.once(page.shapes, "")
            master = page.next
        return steps

    def once(self, nodes: Sequence[Any], type_: str) -> list[Step]:
        """Return the steps for texts of master pages that were not written yet."""
        steps: list[Step] = []
        for node in nodes:
            text = type_ + " ".join("".join(node.itertext()).split())
            if text not in self.shown:
                self.shown.add(text)
                steps += self._walk.elsewhere([node], type_, styles=self._page_styles)
        return steps

    def taken_footers(self) -> list[Step]:
        """Return the footers that wait for the end of the page, which they do no longer."""
        footers = self._footers
        self._footers = []
        return footers
