"""Read what lies on a sheet of a workbook: text boxes, charts, diagrams, and controls.

Pictures aren't read; only the words that describe them are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from batcher.service.parsing.office.charts import chart_of
from batcher.service.parsing.office.diagrams import diagram_items
from batcher.service.parsing.office.package import local
from batcher.service.parsing.pages import PageBlock, table
from batcher.service.parsing.sheets.package import Package, attribute
from batcher.service.parsing.sheets.workbook import Sheet

_SHEET: Final = re.compile(r"\(?'?((?:[^'!]|'')+)'?!")
_CHARTED: Final = "_xlchart."  # names of cells that Excel makes for its extended charts


class Drawings:
    """Adds what lies on `sheet` to its blocks; `names` are the sheets of the workbook."""

    def __init__(self, package: Package, sheet: Sheet, names: frozenset[str]) -> None:
        self._package = package
        self._sheet = sheet
        self._names = names
        self._written: set[str] = set()

    def read(self, part: str) -> None:
        """Add the shapes of a drawing. Raises one of BROKEN."""
        links = self._package.links(part)
        for node in _shapes(self._package.tree(part)):
            match local(node):
                case "cNvPr":
                    told = [node.get("title"), node.get("descr")]
                    self._add("Figure", "\n".join(text for text in told if text))
                case "txBody":
                    self._add("Text", _paragraphs(node))
                case "pic":
                    self._sheet.pictures += not _is_described(node)
                case "chart":
                    link = links.get(attribute(node, "id"))
                    if link is not None:
                        self._chart(link.target)
                case "relIds":
                    link = links.get(attribute(node, "dm"))
                    if link is not None:
                        self._diagram(link.target)

    def read_legacy(self, part: str) -> None:
        """Add the texts of controls and old text boxes; comments are read elsewhere."""
        root = self._package.tree(part, recover=True)
        for shape in root.iter("{*}shape", "{*}rect", "{*}roundrect", "{*}oval"):
            data = shape.find("{*}ClientData")
            if data is not None and data.get("ObjectType") == "Note":
                continue
            for box in shape.iter("{*}textbox"):
                text = " ".join("".join(box.itertext()).split())
                if text not in self._written:
                    self._add("Text", text)

    def _add(self, type_: str, text: str) -> None:
        if text.strip():
            self._sheet.below.append(PageBlock(type_, text.strip()))
            self._written.add(" ".join(text.split()))

    def _diagram(self, part: str) -> None:
        """Add the texts of a diagram (SmartArt), which its data hold."""
        for text in diagram_items(self._package.tree(part)):
            self._add("Text", text)

    def _chart(self, part: str) -> None:
        """Add the words of a chart, and a table of its data, unless they are in cells."""
        chart = chart_of(self._package.tree(part), self._is_in_cells)
        self._add("Figure", "\n".join(chart.words))
        if chart.rows:
            self._sheet.below.append(table(chart.rows))
        elif chart.trouble:
            self._sheet.unread.append(
                f"a chart on the sheet {self._sheet.name!r} can't be read: {chart.trouble}"
            )
        for link in self._package.links(part).values():
            if link.kind == "chartUserShapes":
                self.read(link.target)

    def _is_in_cells(self, node: Any) -> bool:
        """Tell whether a value refers to cells of a sheet of this workbook."""
        formula = next((child.text for child in node.iter("{*}f")), None)
        formula = (formula or "").strip()
        if formula.startswith(_CHARTED):
            return True
        found = _SHEET.match(formula)
        return found is not None and found[1].replace("''", "'") in self._names


def _is_described(picture: Any) -> bool:
    properties = picture.find("./*/{*}cNvPr")
    told = () if properties is None else (properties.get("title"), properties.get("descr"))
    return any(text and text.strip() for text in told)


def _shapes(root: Any) -> Iterator[Any]:
    """Yield all elements in order, without those for programs that can't show the better ones."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        if local(node) == "txBody":
            continue
        children = list(node)
        if local(node) == "AlternateContent" and any(local(c) == "Choice" for c in children):
            children = [child for child in children if local(child) == "Choice"][:1]
        stack.extend(reversed(children))


def _paragraphs(body: Any) -> str:
    texts = [_paragraph(node) for node in body if local(node) == "p"]
    return "\n".join(text for text in texts if text.strip())


def _paragraph(node: Any) -> str:
    """Return the text of a paragraph of DrawingML. Fields of a chart show what is in cells."""
    texts: list[str] = []
    for child in node.iter():
        match local(child):
            case "t":
                texts.append(child.text or "")
            case "br":
                texts.append("\n")
            case "tab":
                texts.append(" ")
    return "".join(texts)
