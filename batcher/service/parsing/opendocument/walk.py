"""Walk the elements of an OpenDocument text or presentation, and write its text to a Flow.

The walk keeps a list of what is still to be done instead of calling itself, so that no depth of
nesting can break it. What belongs to a paragraph and stands outside of its line (text boxes,
pictures, notes, comments) is written after it, and in a table after the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.flow import Flow
from batcher.service.parsing.opendocument.styles import Counters, Styles, qname
from batcher.service.parsing.pages import DocumentProblem

# elements that may be visited; more are a broken or a hostile file
MOST_VISITS: Final = 4 << 20

# one thing still to be done: an element to enter, text to write, or something to call
Step = Any
Readers = Mapping[str, Callable[[Any], None]]  # by the name of an element

_DISPLAY: Final = qname("text:display")
_HIDDEN: Final = qname("text:is-hidden")
ALT: Final = (qname("svg:title"), qname("svg:desc"))
SHAPES: Final = frozenset(
    [qname("dr3d:scene"), qname("office:annotation"), qname("text:note")]
    + [
        qname(f"draw:{name}")
        for name in (
            "frame g custom-shape rect circle ellipse line connector polyline polygon path "
            "regular-polygon caption measure control a"
        ).split()
    ]
)


class Package(Protocol):
    """What the walk needs of a document's file."""

    def embedded(self, holder: Any) -> Any:
        """Return the root of the document that `holder`, a draw:object, shows.

        Raises DocumentProblem if it can't be read.
        """

    def styles_of(self, root: Any) -> Styles:
        """Return the styles of an embedded document."""


@dataclass(frozen=True, slots=True)
class OpenList:
    """An open list. `level` counts from 1, and `style` is that of the list or of one around it."""

    level: int
    style: str
    counters: Counters


@dataclass(slots=True)
class OpenItem:
    """An open item of a list. Its first paragraph shows its number, and takes it away."""

    numbered: bool
    start: int | None


@dataclass(slots=True)
class Place:
    """Where the walk is: what around an element decides how its text is written."""

    styles: Styles
    lists: list[OpenList] = field(default_factory=list)
    items: list[OpenItem] = field(default_factory=list)
    has_type: bool = False  # the block around has a type that paragraphs don't change
    in_body: bool = True  # paragraphs here may begin a page


class Walk:
    """One walk over a document's body.

    `place` is where it is, `in_paragraph` tells whether it is within a line of text, and `tables`
    is the number of open tables. `unread` names what isn't read, and `pictures`
    counts those without an alternative text, by page.
    """

    def __init__(self, flow: Flow, package: Package, styles: Styles) -> None:
        self.flow = flow
        self.package = package
        self.place = Place(styles)
        self.in_paragraph = False
        self.is_hidden = False
        self.tables = 0
        self.pictures: Counter[int] = Counter()
        self.unread: dict[str, None] = {}
        self.readers: Readers = {}
        self.beside_the_line: Callable[[Any], None] = self.descend  # of shapes and notes in a line
        self._todo: list[Step] = []
        self._visits = 0

    def run(self, steps: Sequence[Step]) -> None:
        """Do the steps in order, each with those that come of it before the next."""
        self.do(*steps)
        while self._todo:
            step = self._todo.pop()
            if isinstance(step, str):
                self.write(step)
            elif callable(step):
                step()
            else:
                self.enter(step)

    def do(self, *steps: Step) -> None:
        """Do these next, in their order."""
        self._todo += reversed(steps)

    def enter(self, node: Any) -> None:
        """Read an element, unless it is hidden."""
        self._visits += 1
        if self._visits > MOST_VISITS:
            message = f"it has more than {MOST_VISITS >> 20} million elements"
            raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)
        if node.get(_DISPLAY) == "none" or node.get(_HIDDEN) == "true":
            return
        if self.in_paragraph and node.tag in SHAPES:
            self.beside_the_line(node)
        else:
            self.readers.get(node.tag, self.descend)(node)

    def descend(self, node: Any) -> None:
        """Read what an element holds."""
        self.do(*self.within(node))

    def within(self, node: Any) -> list[Step]:
        """Return the element's children; with their text, if this is a line of text."""
        if not self.in_paragraph:
            return elements(node)
        steps: list[Step] = [node.text] if node.text else []
        for child in node:
            steps += [child] if isinstance(child.tag, str) else []
            steps += [child.tail] if child.tail else []
        return steps

    def write(self, text: str) -> None:
        """Write text, unless what is around it is hidden."""
        if not self.is_hidden:
            self.flow.write(text)

    def at(self, place: Place) -> Callable[[], None]:
        """Return a step that sets the place where the walk is."""

        def go() -> None:
            self.place = place

        return go

    def elsewhere(
        self, steps: Sequence[Step], type_: str = "", *, styles: Styles | None = None
    ) -> list[Step]:
        """Return `steps` as those of a block that stands apart, with lists of its own.

        With a type, every paragraph in it has this type.
        """
        around = self.place
        place = Place(
            styles or around.styles, has_type=bool(type_) or around.has_type, in_body=False
        )
        begin = lambda: self.flow.begin(type_)  # noqa: E731
        return [begin, self.at(place), *steps, self.flow.end, self.at(around)]


def elements(node: Any) -> list[Any]:
    """Return the children that are elements, without comments and instructions of XML."""
    return [child for child in node if isinstance(child.tag, str)]


def alt_text(node: Any) -> str:
    found = (" ".join((node.findtext(name) or "").split()) for name in ALT)
    return "\n".join(filter(None, found))
