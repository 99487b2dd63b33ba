"""Read the slides of an OpenDocument presentation, each as a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from batcher.service.parsing.opendocument.notes import Notes
from batcher.service.parsing.opendocument.paging import Paging
from batcher.service.parsing.opendocument.styles import qname
from batcher.service.parsing.opendocument.walk import Readers, Step, Walk, elements
from batcher.service.parsing.pages import PageBlock

_LENGTH: Final = re.compile(r"(-?[\d.]{1,20})(cm|mm|in|pt|pc|px)")
_INCHES: Final = {
    "cm": 1 / 2.54,
    "mm": 1 / 25.4,
    "in": 1.0,
    "pt": 1 / 72,
    "pc": 1 / 6,
    "px": 1 / 96,
}


class Slides:
    """The slides, with their notes, footers and dates."""

    def __init__(
        self, walk: Walk, *, notes: Notes, paging: Paging, declared: Mapping[str, Any]
    ) -> None:
        self._walk = walk
        self._notes = notes
        self._paging = paging
        self._named = declared  # footers and dates by what they are and their name

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            qname("draw:page"): self._slide,
        }

    def _slide(self, node: Any) -> None:
        """A page of a presentation: its shapes from top to bottom, then its notes."""
        turn = [self._walk.flow.break_page] if self._paging.begun else []
        self._paging.begun = True
        others = (child for child in elements(node) if child.tag != qname("presentation:notes"))
        shapes = [child for child in others if not _is_placeholder(child)]
        notes = node.find(qname("presentation:notes"))
        steps = [
            *self._paging.headers(node.get(qname("draw:master-page-name"), "")),
            *sorted(shapes, key=_position),
        ]
        self._walk.do(
            *turn,
            *self._walk.elsewhere(steps),
            *(self._walk.elsewhere([notes], "Comment") if notes is not None else []),
            lambda: self._walk.do(
                *self._notes.taken(), *self._declared(node), *self._paging.taken_footers()
            ),
        )

    def _declared(self, slide: Any) -> list[Step]:
        """Return the footer and the date of a slide, where they are shown for the first time."""
        style = slide.get(qname("draw:style-name"), "")
        steps: list[Step] = []
        for what in ("footer", "date-time"):
            name = slide.get(qname(f"presentation:use-{what}-name"))
            node = self._named.get(f"{what} {name}")
            if node is not None and self._walk.place.styles.shows(style, what):
                steps += self._once_as_text(node)
        return steps

    def _once_as_text(self, node: Any) -> list[Step]:
        text = " ".join("".join(node.itertext()).split())
        if not text or text in self._paging.shown:
            return []
        self._paging.shown.add(text)
        return [lambda: self._walk.flow.add(PageBlock("Footer", text))]


def _is_placeholder(shape: Any) -> bool:
    """Tell whether a shape only asks for content, as by "Click to add title", and shows none."""
    return bool(shape.get(qname("presentation:placeholder")) == "true")


def _position(shape: Any) -> tuple[float, float]:
    """Return the top and the left edge of a shape in inches; those of a group are its first's."""
    top = shape.get(qname("svg:y")) or shape.get(qname("svg:y1"))
    if top is None and shape.tag == qname("draw:g"):
        shape = next((one for one in shape.iter() if one.get(qname("svg:y"))), shape)
        top = shape.get(qname("svg:y"))
    left = shape.get(qname("svg:x")) or shape.get(qname("svg:x1"))
    return _inches(top), _inches(left)


def _inches(length: str | None) -> float:
    found = _LENGTH.fullmatch(length or "")
    try:
        return float(found[1]) * _INCHES[found[2]] if found else 0.0
    except ValueError:
        return 0.0
