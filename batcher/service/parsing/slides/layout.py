"""What a slide's placeholders inherit from its layout and master: their places and list styles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

TITLES: Final = frozenset({"title", "ctrTitle"})
MARGINS: Final = frozenset({"dt", "ftr", "hdr", "sldNum"})
# The master has a title, a body and the margins; every other placeholder inherits from its body.
_OF_MASTER: Final = {"ctrTitle": "title", "title": "title"} | {name: name for name in MARGINS}


def placeholder(shape: Any) -> Any:
    """Return the element that makes a shape a placeholder, or None."""
    return shape.find("./*/{*}nvPr/{*}ph")


def type_of(mark: Any) -> str:
    """Return a placeholder's type; one that names none is for any content."""
    return str(mark.get("type") or "obj")


@dataclass(slots=True)
class Layout:
    """The placeholders of a layout, and those of its master.

    `layout` and `master` are the roots of their parts, or None if there is none that can be read.
    """

    layout: Any = None
    master: Any = None
    _by_index: dict[str, Any] = field(init=False)
    _by_type: dict[str, Any] = field(init=False)
    _of_master: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._by_index = {}
        self._by_type = {}
        for mark, shape in _placeholders(self.layout):
            self._by_index.setdefault(mark.get("idx", "0"), shape)
            self._by_type.setdefault(type_of(mark), shape)
        self._of_master = {type_of(mark): shape for mark, shape in _placeholders(self.master)}

    def transform(self, shape: Any) -> Any:
        """Return the element with the place that a shape inherits, or None."""
        for above in self._inherited(shape):
            found = above.find("{*}spPr/{*}xfrm")
            if found is not None:
                return found
        return None

    def list_styles(self, shape: Any) -> list[Any]:
        """Return the inherited elements with the properties of levels, nearest first."""
        styles = [above.find("{*}txBody/{*}lstStyle") for above in self._inherited(shape)]
        mark = placeholder(shape)
        if mark is not None and self.master is not None:
            kind = _OF_MASTER.get(type_of(mark), "body")
            name = {"title": "titleStyle", "body": "bodyStyle"}.get(kind, "otherStyle")
            styles.append(self.master.find(f"{{*}}txStyles/{{*}}{name}"))
        return [style for style in styles if style is not None]

    def _inherited(self, shape: Any) -> Iterator[Any]:
        mark = placeholder(shape)
        if mark is None:
            return
        kind = type_of(mark)
        above = self._by_index.get(mark.get("idx", "0"), self._by_type.get(kind))
        if above is not None:
            yield above
            kind = type_of(placeholder(above))
        master = self._of_master.get(_OF_MASTER.get(kind, "body"))
        if master is not None:
            yield master


def _placeholders(root: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each placeholder of a layout or master: its mark and its shape."""
    shapes: Mapping[str, Any] = {} if root is None else root.iterfind("{*}cSld/{*}spTree/*")
    for shape in shapes:
        mark = placeholder(shape)
        if mark is not None:
            yield mark, shape
