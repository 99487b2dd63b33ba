"""Read the drawings of a Word document: alternative texts, text boxes, charts and diagrams."""

from __future__ import annotations

from typing import Any, Final

from batcher.service.parsing.office.names import attribute, child, name_of
from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.word.tables import Tables
from batcher.service.parsing.word.walk import Readers, Step, Steps, Walk

_DESCRIPTIONS: Final = frozenset({"wp:docPr", "pic:cNvPr", "wps:cNvPr"})
_SHAPES: Final = (
    "v:shape v:rect v:roundrect v:oval v:line v:polyline v:arc v:curve v:image v:group".split()
)


class Drawings:
    """Drawings, and what is drawn in them."""

    def __init__(self, walk: Walk, tables: Tables) -> None:
        self._walk = walk
        self._tables = tables
        self._alts: list[str] = []  # of the open drawing
        self._pictures = 0

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "w:drawing": self._drawing,
            "w:pict": self._pictured,
            "w:object": self._pictured,
            "pic:blipFill": self._picture,
            "v:imagedata": self._picture,
            "wp:docPr": self._described,
            "pic:cNvPr": self._described,
            "wps:cNvPr": self._described,
            "v:textpath": self._text_path,
            "w:txbxContent": self._box,
            "a:txBody": self._box,
            "a:p": self._drawn_paragraph,
            "c:chart": self._chart,
            "cx:chart": self._chart,
            "dgm:relIds": self._diagram,
            "o:OLEObject": self._embedded,
            "w:control": self._control,
            "w:contentPart": self._ink,
            "w14:contentPart": self._ink,
            **dict.fromkeys(_SHAPES, self._described),
        }

    def _drawing(self, node: Any) -> Steps:
        holders = [one for one in node if name_of(one.tag) in ("wp:inline", "wp:anchor")]
        told = [one for one in (child(holder, "wp:docPr") for holder in holders) if one is not None]
        if any(one.get("hidden") in ("1", "true") for one in told):
            return ()
        return self._pictured(node)

    def _pictured(self, node: Any) -> Steps:
        """Collect the pictures and alternative texts of a drawing, of which a figure is made."""
        before = self._alts, self._pictures
        self._alts = []
        self._pictures = 0

        def leave() -> Steps:
            alts = self._alts
            pictures = self._pictures
            self._alts, self._pictures = before
            if pictures and not alts:
                document = self._walk.document
                document.pictures[document.page] += pictures
            if not alts and not pictures:
                return ()
            figure = PageBlock("Figure", "\n".join(alts), sure=not pictures)
            return self._walk.later([lambda: self._walk.add(figure)])

        return [*node, leave]

    def _picture(self, node: Any) -> Steps | None:
        if not self._walk.now.fields.instructions:
            self._pictures += 1
        result: Steps = node
        return result

    def _described(self, node: Any) -> Steps:
        """Take the alternative text of a drawing, each different one once."""
        if any(one.get("val") in ("1", "true") for one in node.iter("{*}decorative")):
            return ()
        for text in (node.get("title"), node.get("descr"), node.get("alt")):
            if text and text.strip() and text.strip() not in self._alts:
                self._alts.append(text.strip())
        return () if name_of(node.tag) in _DESCRIPTIONS else node

    def _text_path(self, node: Any) -> Steps:
        """Write text that is drawn along a line, such as a watermark."""
        return self._walk.later(self._walk.block([node.get("string") or ""]))

    def _box(self, node: Any) -> Steps:
        """Write a text box after the paragraph that it is anchored in."""
        return self._walk.later(self._walk.within(node))

    def _drawn_paragraph(self, node: Any) -> Steps:
        return self._walk.block(node)

    def _chart(self, node: Any) -> Steps:
        found = self._walk.document.parts.chart(self._walk.now.part, attribute(node, "id", "r"))
        if found is None:
            return ()
        figure = PageBlock("Figure", "\n".join(found.words))
        titles = [lambda: self._walk.add(figure)] if found.words else []
        return self._walk.later([*titles, *self._tables.of_rows(found.rows)])

    def _diagram(self, node: Any) -> Steps:
        type_ = self._walk.now.type or "List Item"
        steps: list[Step] = []
        part = self._walk.now.part
        for text in self._walk.document.parts.diagram(part, attribute(node, "dm", "r")):
            steps += [lambda: self._walk.flow.begin(type_), text, self._walk.flow.end]
        return self._walk.later(self._walk.within(steps))

    def _embedded(self, node: Any) -> None:
        kind = node.get("ProgID") or "unknown type"
        self._walk.document.note(
            f"an embedded object ({kind}) is not read, only its picture is shown"
        )

    def _control(self, _node: Any) -> None:
        self._walk.document.note("an ActiveX control is not read")

    def _ink(self, _node: Any) -> None:
        self._walk.document.note("handwriting is not read")
