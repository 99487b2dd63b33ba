"""Turn the shapes of a slide into blocks with boxes, in reading order.

A shape that can't be read is named, and costs only itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.office.charts import chart_of
from batcher.service.parsing.office.diagrams import diagram_items
from batcher.service.parsing.office.package import (
    BrokenPart,
    Package,
    Relation,
    local,
    reference,
)
from batcher.service.parsing.pages import WHOLE_PAGE, Box, DocumentProblem, PageBlock, table
from batcher.service.parsing.reading_order import reading_order
from batcher.service.parsing.slides.layout import MARGINS, TITLES, Layout, placeholder, type_of
from batcher.service.parsing.slides.text import text_of, write_body

DEEPEST_GROUP: Final = 32  # groups within groups; people make no more than a few
_LARGEST: Final = 1 << 40  # English metric units, of which an inch has 914,400
_FULL_TURN: Final = 360 * 60_000  # as the format counts degrees
_TYPES: Final = {
    **dict.fromkeys(TITLES, "Title"),
    "subTitle": "Section Header",
    "hdr": "Header",
    "ftr": "Footer",
    "dt": "Footer",
    "sldNum": "Page Number",
}
_NOT_READ: Final = "is not read"

Place = tuple[float, float, float, float]  # left, top, width, height in English metric units


@dataclass(frozen=True, slots=True)
class _Space:
    """Where the coordinates within a group lie on the slide."""

    left: float = 0.0
    top: float = 0.0
    across: float = 1.0  # how much wider the group is shown than its own coordinates say
    down: float = 1.0

    def placed(self, place: Place) -> Place:
        left, top, width, height = place
        return (
            self.left + left * self.across,
            self.top + top * self.down,
            width * self.across,
            height * self.down,
        )

    def within(self, group: Any) -> _Space:
        """Return the space of a group's children; `group` is the element with its place."""
        outer = None if group is None else _place(group)
        inner = None if group is None else _place(group, "chOff", "chExt")
        if outer is None or inner is None:
            return self
        left, top, width, height = self.placed(outer)
        across = width / inner[2] if inner[2] else self.across
        down = height / inner[3] if inner[3] else self.down
        return _Space(left - inner[0] * across, top - inner[1] * down, across, down)


@dataclass(frozen=True, slots=True)
class _Item:
    """What one shape or group shows. `rank` is 0 for titles, 1 for the body, 2 for the margins."""

    blocks: list[PageBlock]
    box: Box | None
    rank: int = 1


@dataclass(slots=True)
class Shapes:
    """Reads the shapes of one part. `size` is the slide's in English metric units.

    `unread` collects a sentence for each shape that could not be read.
    """

    package: Package
    relations: Mapping[str, Relation]
    layout: Layout
    size: tuple[int, int]
    unread: list[str] = field(default_factory=list)

    def blocks(self, shapes: Iterable[Any]) -> list[PageBlock]:
        """Return the blocks of shapes: titles, then the body, then what stands in the margins."""
        items = self._items(shapes, _Space(), 0)
        return [block for item in _sorted(items) for block in item.blocks]

    def _items(self, shapes: Iterable[Any], space: _Space, depth: int) -> list[_Item]:
        found = []
        for shape in shapes:
            if local(shape) not in _KINDS or _properties(shape).get("hidden") in ("1", "true"):
                continue
            try:
                item = self._item(shape, space, depth)
            except (DocumentProblem, MemoryError):
                raise
            # A shape may lack any part that its reader expects; the others are read all the same.
            except Exception as error:
                self.unread.append(f"{_named(shape)} can't be read: {error}")
                continue
            if item.blocks:
                found.append(item)
        return found

    def _item(self, shape: Any, space: _Space, depth: int) -> _Item:
        kind = local(shape)
        if kind == "grpSp":
            return self._group(shape, space, depth)
        mark = placeholder(shape)
        type_ = "" if mark is None else type_of(mark)
        box = self._box(shape, space)
        if kind == "graphicFrame":
            blocks = self._graphic(shape)
        else:
            blocks = self._text(shape, _TYPES.get(type_, "Text"))
        if kind == "contentPart":
            self.unread.append(f"{_named(shape)}: handwriting {_NOT_READ}")
        blocks = [*_alternative(shape, blocks, is_picture=kind == "pic"), *blocks]
        rank = 0 if type_ in TITLES else 2 if type_ in MARGINS else 1
        return _Item([replace(block, box=box or WHOLE_PAGE) for block in blocks], box, rank)

    def _group(self, shape: Any, space: _Space, depth: int) -> _Item:
        if depth == DEEPEST_GROUP:
            raise BrokenPart(f"groups are read to a depth of {DEEPEST_GROUP}")
        transform = shape.find("{*}grpSpPr/{*}xfrm")
        items = self._items(shape, space.within(transform), depth + 1)
        inner = [block for item in _sorted(items) for block in item.blocks]
        boxes = [item.box for item in items if item.box is not None]
        box = _around(boxes) if boxes else None
        figure = [
            replace(block, box=box or WHOLE_PAGE)
            for block in _alternative(shape, inner, is_picture=False)
        ]
        return _Item([*figure, *inner], box)

    def _text(self, shape: Any, type_: str) -> list[PageBlock]:
        body = shape.find("{*}txBody")
        if body is None:
            return []
        flow = Flow()
        write_body(flow, body, type_, self.layout.list_styles(shape))
        return flow.blocks

    # --- tables, charts, diagrams and objects -----------------------------------------------------

    def _graphic(self, shape: Any) -> list[PageBlock]:
        """Return what a graphic shows; nothing if it can't be read, which is told."""
        try:
            return self._data(shape)
        except BrokenPart as broken:
            self.unread.append(f"{_named(shape)} can't be read: {broken}")
            return []

    def _data(self, shape: Any) -> list[PageBlock]:
        data = shape.find("{*}graphic/{*}graphicData")
        for node in () if data is None else data.iter():
            if local(node) == "tbl":
                return _table(node)
            if local(node) == "chart":
                return self._chart(node, shape)
            if local(node) == "relIds":
                return self._diagram(node)
            if local(node) == "oleObj":
                self.unread.append(_object(node, shape))
                return []
        what = "" if data is None else data.get("uri", "").rpartition("/")[2]
        raise BrokenPart(f"graphics of type {what!r} are not read")

    def _chart(self, node: Any, shape: Any) -> list[PageBlock]:
        part = self._target(reference(node, "id"))
        chart = chart_of(self.package.xml(part))
        words = [*chart.words, *self._drawn_on(part)]
        blocks = [PageBlock("Figure", "\n".join(words))] if words else []
        if not chart.rows:
            self.unread.append(f"{_named(shape)} can't be read: {chart.trouble}")
            return blocks
        return [*blocks, table(chart.rows)]

    def _drawn_on(self, part: str) -> Iterator[str]:
        """Yield the text of the shapes that stand on a chart."""
        for relation in self.package.relations(part).values():
            if relation.type == "chartUserShapes" and not relation.external:
                yield text_of(self.package.xml(relation.target))

    def _diagram(self, node: Any) -> list[PageBlock]:
        root = self.package.xml(self._target(reference(node, "dm")))
        return [PageBlock("List Item", text) for text in diagram_items(root)]

    def _target(self, identity: str) -> str:
        relation = self.relations.get(identity)
        if relation is None or relation.external:
            raise BrokenPart("its data are not in the document")
        return relation.target

    # --- places -----------------------------------------------------------------------------------

    def _box(self, shape: Any, space: _Space) -> Box | None:
        """Return where a shape stands, its own place or the one that it inherits, or None."""
        transform = shape.find("{*}spPr/{*}xfrm")
        if transform is None:
            transform = shape.find("{*}xfrm")
        place = None if transform is None else _place(transform)
        if place is None:
            space = _Space()
            transform = self.layout.transform(shape)
            place = None if transform is None else _place(transform)
        if place is None:
            return None
        left, top, width, height = space.placed(_turned(transform, place))
        across, down = self.size
        start = (_share(left / across), _share(top / down))
        end = (_share((left + width) / across), _share((top + height) / down))
        return (*start, round(end[0] - start[0], 6), round(end[1] - start[1], 6))


_KINDS: Final = frozenset({"sp", "cxnSp", "pic", "graphicFrame", "grpSp", "contentPart"})


def _sorted(items: Sequence[_Item]) -> list[_Item]:
    """Return items in reading order; those without a place come last of their rank."""
    ordered: list[_Item] = []
    for rank in (0, 1, 2):
        of_rank = [item for item in items if item.rank == rank]
        placed = [item for item in of_rank if item.box is not None]
        order = reading_order([item.box for item in placed if item.box is not None])
        ordered += [placed[n] for n in order]
        ordered += [item for item in of_rank if item.box is None]
    return ordered


def _table(node: Any) -> list[PageBlock]:
    """Return a table; a cell that spans several places has its text in the first."""
    flow = Flow()
    flow.begin_table()
    for row in node.iterfind("{*}tr"):
        flow.begin_row()
        for cell in row.iterfind("{*}tc"):
            flow.begin_cell()
            body = cell.find("{*}txBody")
            if body is not None and not (_is_set(cell, "hMerge") or _is_set(cell, "vMerge")):
                write_body(flow, body, "Text")
            flow.end_cell()
        flow.end_row()
    flow.end_table()
    return flow.blocks


def _is_set(node: Any, name: str) -> bool:
    return node.get(name) in ("1", "true", "on")


def _alternative(
    shape: Any, blocks: Sequence[PageBlock], *, is_picture: bool
) -> Iterator[PageBlock]:
    """Yield a figure for a picture, or for a shape whose alternative text isn't its own text."""
    properties = _properties(shape)
    told = " ".join((properties.get("descr") or properties.get("title") or "").split())
    if is_picture:
        yield PageBlock("Figure", told, sure=False)
    elif told and told not in (" ".join(block.content.split()) for block in blocks):
        yield PageBlock("Figure", told)


def _properties(shape: Any) -> Any:
    """Return the attributes with a shape's name and alternative text."""
    found = shape.find("./*/{*}cNvPr")
    return {} if found is None else found.attrib


def _named(shape: Any) -> str:
    return f"the shape {_properties(shape).get('name', '')!r}"


def _object(node: Any, shape: Any) -> str:
    """Return the sentence that names an embedded or linked object."""
    name = node.get("name") or _properties(shape).get("name", "")
    program = node.get("progId", "")
    return f"the object {name!r}{f' ({program})' if program else ''} {_NOT_READ}"


def _around(boxes: Sequence[Box]) -> Box:
    left = min(box[0] for box in boxes)
    top = min(box[1] for box in boxes)
    right = max(box[0] + box[2] for box in boxes)
    bottom = max(box[1] + box[3] for box in boxes)
    return left, top, round(right - left, 6), round(bottom - top, 6)


def _place(transform: Any, offset: str = "off", extent: str = "ext") -> Place | None:
    start = transform.find(f"{{*}}{offset}")
    size = transform.find(f"{{*}}{extent}")
    if start is None or size is None:
        return None
    left, top = (_measure(start.get(name, "")) for name in ("x", "y"))
    width, height = (_measure(size.get(name, "")) for name in ("cx", "cy"))
    return left, top, max(0.0, width), max(0.0, height)


def _turned(transform: Any, place: Place) -> Place:
    """Return the place of a shape that is turned by about a quarter as it is seen."""
    quarter = _measure(transform.get("rot", "")) % (_FULL_TURN // 2) / (_FULL_TURN // 4)
    if not 0.5 <= quarter < 1.5:
        return place
    left, top, width, height = place
    return left + (width - height) / 2, top + (height - width) / 2, height, width


def _measure(text: str) -> float:
    """Return a measure in English metric units; 0 if it is none."""
    try:
        return float(max(-_LARGEST, min(int(text), _LARGEST)))
    except ValueError:
        return 0.0


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 6)
