"""Read the notes and comments of OpenDocument, which wait until their paragraph or table ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from batcher.service.parsing.opendocument.styles import qname
from batcher.service.parsing.opendocument.walk import Readers, Step, Walk


class Notes:
    """Notes and comments; `waiting` has those since the last paragraph of the body."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self.waiting: list[Step] = []
        self._lead = ""

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            qname("text:note"): self._note,
            qname("office:annotation"): self._comment,
        }

    def taken(self) -> list[Step]:
        """Return the notes and comments that wait, which they do no longer."""
        notes = self.waiting
        self.waiting = []
        return notes

    def taken_lead(self) -> str:
        """Return what the next paragraph begins with: a note's mark, a comment's author, or ""."""
        lead = self._lead
        self._lead = ""
        return lead

    def _note(self, node: Any) -> None:
        body = node.find(qname("text:note-body"))
        if body is not None:
            mark = self.mark(node).strip()
            self._walk.do(*self._walk.elsewhere([self._leading(mark), body], "Text"))

    def mark(self, node: Any) -> str:
        """Return what stands for a note in the text, or ""."""
        citation = node.find(qname("text:note-citation"))
        if citation is None:
            return ""
        label = citation.get(qname("text:label")) or "".join(citation.itertext()).strip()
        return f" [{label}]" if label else ""

    def _comment(self, node: Any) -> None:
        if not self._walk.in_paragraph and self._walk.tables:
            self.waiting.append(node)  # a comment of a cell
            return
        author = (node.findtext(qname("dc:creator")) or "").strip()
        text = [child for child in node if child.tag in (qname("text:p"), qname("text:list"))]
        lead = author + ":" if author else ""
        self._walk.do(*self._walk.elsewhere([self._leading(lead), *text], "Comment"))

    def _leading(self, text: str) -> Callable[[], None]:
        """Return a step that has the next paragraph begin with `text`."""
        return lambda: setattr(self, "_lead", text)
