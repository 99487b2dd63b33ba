"""Read what lies on a sheet of a workbook: text boxes, charts, diagrams, and controls.

Pictures aren't read; only the words that describe them are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from batcher.service.parsing.office.diagrams import diagram_items
from batcher.service.parsing.office.package import local
from batcher.service.parsing.pages import PageBlock, Rows, table
from batcher.service.parsing.sheets.package import Package, attribute
from batcher.service.parsing.sheets.workbook import Sheet

_SHEET: Final = re.compile(r"\(?'?((?:[^'!]|'')+)'?!")
_MOST_POINTS: Final = 4096  # of a chart's data that is in no cell


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
        root = self._package.tree(part)
        self._add("Figure", "\n".join(dict.fromkeys(self._chart_texts(root))))
        rows = self._data(root)
        if rows:
            self._sheet.below.append(table(rows))
        for link in self._package.links(part).values():
            if link.kind == "chartUserShapes":
                self.read(link.target)

    def _chart_texts(self, root: Any) -> Iterator[str]:
        """Yield titles, labels and the names of series; those from cells stand there."""
        for node in root.iter():
            name = local(node)
            if name == "p" and local(node.getparent()) in ("rich", "txPr"):
                yield _paragraph(node)
            elif name in ("tx", "txData"):
                yield from (text for text in self._unreferenced(node) if text)

    def _unreferenced(self, node: Any) -> Iterator[str]:
        """Yield the values that stand in a chart itself, or are from cells that aren't read."""
        if self._is_in_cells(node):
            return
        for child in node.iter("{*}v"):
            yield (child.text or "").strip()

    def _is_in_cells(self, node: Any) -> bool:
        """Tell whether a value refers to cells of a sheet of this workbook."""
        formula = next((child.text for child in node.iter("{*}f")), None)
        found = _SHEET.match(formula or "")
        return found is not None and found[1].replace("''", "'") in self._names

    def _data(self, root: Any) -> Rows:
        """Return the points of the series that aren't in cells: a row for each category."""
        columns: list[list[str]] = []
        for series in root.iter("{*}ser"):
            values = series.find("{*}val")
            values = series.find("{*}yVal") if values is None else values
            if values is None or self._is_in_cells(values):
                continue
            names = series.find("{*}cat")
            names = series.find("{*}xVal") if names is None else names
            if not columns:
                columns.append(["", *([] if names is None else _points(names))])
            name = series.find("{*}tx")
            told = [] if name is None else [node.text or "" for node in name.iter("{*}v")]
            columns.append([" ".join(told), *_points(values)])
        if not columns:
            return []
        height = max(map(len, columns))
        padded = [column + [""] * (height - len(column)) for column in columns]
        return [list(row) for row in zip(*padded, strict=True)]


def _is_described(picture: Any) -> bool:
    properties = picture.find("./*/{*}cNvPr")
    told = () if properties is None else (properties.get("title"), properties.get("descr"))
    return any(text and text.strip() for text in told)


def _points(node: Any) -> list[str]:
    return [point.findtext("{*}v") or "" for point in node.iter("{*}pt")][:_MOST_POINTS]


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
