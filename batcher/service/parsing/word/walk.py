"""Walk one text of a Word document (body, header, note, comment) and write it down in order.

Each element becomes a list of steps: elements to go on with, texts to write, and functions to call.
What an element stands for, the readers of texts, tables, drawings and so on say; one that no reader
knows is what it holds. So text gets lost only where an element is named as not shown, and no depth
of elements can exhaust the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.office import equations
from batcher.service.parsing.office.names import child, is_on, name_of, value
from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.word.fields import Fields, mark_unmatched

if TYPE_CHECKING:
    from batcher.service.parsing.word.document import Document

Step = Any  # an element, a text, or a function without arguments that may return steps
Steps = Iterable[Step]
# by the name of an element: what returns its steps, or None if there are none
Readers = Mapping[str, Callable[[Any], Steps | None]]

# Elements whose text isn't shown, or that have none.
_SILENT: Final = frozenset(
    """
    w:pPr w:rPr w:tblPr w:tblPrEx w:tblGrid w:trPr w:tcPr w:sectPr w:sdtPr w:sdtEndPr
    w:smartTagPr w:customXmlPr w:del w:moveFrom w:delText w:delInstrText w:fldData w:ffData
    w:numberingChange m:rPr m:ctrlPr m:oMathParaPr wp:positionH wp:positionV wp14:sizeRelH
    """.split()
)


@dataclass(slots=True)
class Context:
    """What holds for one text, such as the body, a note or a text box.

    `part` is the name of the part that its references are relative to, `type` the type of all its
    blocks, or "" if their styles tell it. `label` is written before the next text.
    """

    part: str
    type: str = ""
    label: str = ""
    in_paragraph: bool = False
    hides: bool = False  # the paragraph's style hides its text
    is_joined: bool = False  # the mark that ended the last paragraph is deleted
    fields: Fields = field(default_factory=Fields)
    after: list[Step] = field(default_factory=list)  # to be done when the paragraph ends
    open: list[str] = field(default_factory=list)  # tables, rows and cells


class Walk:
    """The walk over one text, and the blocks that come of it.

    `now` is what holds for the text that is open, `tables` the number of tables that are, and
    `is_blank` tells whether nothing was written on the current page.
    """

    def __init__(self, document: Document, part: str, type_: str = "") -> None:
        self.flow = Flow()
        self.document = document
        self.now = Context(part, type_)
        self.tables = 0
        self.is_blank = True
        self.readers: Readers = {}
        self._around: list[Context] = []

    def read(self, root: Any) -> None:
        """Write everything below `root`."""
        mark_unmatched(root)
        self.do([root, self.join_nothing])

    def do(self, steps: Steps) -> None:
        """Do the steps in order, each with those that come of it before the next."""
        todo = [*steps]
        todo.reverse()
        while todo:
            step = todo.pop()
            if isinstance(step, str):
                self.write(step)
                continue
            more = step() if callable(step) else self._steps(step)
            if more is not None:
                todo += reversed(list(more))

    def _steps(self, node: Any) -> Steps | None:
        name = name_of(node.tag)
        if name in _SILENT:
            return None
        read = self.readers.get(name)
        if read is not None:
            return read(node)
        if name.startswith("m:"):
            parts = equations.parts_of(node)
            return node if parts is None else parts
        result: Steps = node
        return result

    def within(self, steps: Steps, *, part: str = "", type_: str = "", label: str = "") -> Steps:
        """Return the steps of a text that stands within this one."""

        def enter() -> None:
            self._around.append(self.now)
            self.now = Context(part or self.now.part, type_ or self.now.type, label)

        def leave() -> None:
            self.join_nothing()
            self.now = self._around.pop()

        return [enter, *steps, leave]

    def later(self, steps: Steps) -> Steps:
        """Return the steps to be done now, or none if they wait for the end of the paragraph."""
        if self.now.fields.instructions:
            return ()
        if not self.now.in_paragraph:
            return steps
        self.now.after += steps
        return ()

    def is_top(self) -> bool:
        """Tell whether the walk is within no table, box or note."""
        return not self._around and not self.tables

    def write(self, text: str) -> None:
        """Write text, unless it is part of a field's instruction."""
        now = self.now
        if now.fields.instructions or not text:
            return
        if now.label and text.strip():
            self.flow.write(f"{now.label} ")
            now.label = ""
        if now.fields.stack:
            now.fields.stack[-1].written = True
        self.is_blank = False
        self.flow.write(text)

    def is_hidden(self, properties: Any) -> bool:
        """Tell whether text with these properties of a run is hidden."""
        if properties is None:
            return self.now.hides
        own = is_on(properties, "w:vanish")
        if own is not None:
            return own
        style = value(properties, "w:rStyle")
        return self.now.hides or (style is not None and self.document.styles.hides(style))

    def break_page(self) -> Steps:
        """Return the steps that end the page; within a table, box or note there are none."""
        if not self.is_top() or self.now.type:
            return ()
        return [*self.document.notes.footnotes_of_page(self), self._next_page]

    def _next_page(self) -> None:
        self.flow.break_page()
        self.document.page += 1
        self.is_blank = True

    def end_paragraph(self, properties: Any, is_joined: bool) -> Steps:
        """End the paragraph, and return the steps for what waited for its end."""
        now = self.now
        now.hides = False
        now.is_joined = is_joined
        if is_joined:
            return ()
        now.in_paragraph = False
        now.label = ""
        self.flow.end()
        steps = now.after
        now.after = []
        section = None if properties is None else child(properties, "w:sectPr")
        if self.is_top() and not now.type:
            steps += [lambda: self.document.notes.comments_so_far(self)]
            if section is not None:
                steps += [lambda: self.document.end_section(self)]
        return steps

    def join_nothing(self) -> Steps:
        """End a paragraph whose mark is deleted, as no other follows it."""
        if not self.now.is_joined:
            return ()
        return self.end_paragraph(None, False)

    def add(self, block: PageBlock) -> None:
        """Add a block that is complete."""
        self.is_blank = False
        self.flow.add(block)

    def block(self, steps: Steps) -> Steps:
        """Return steps that write a block which stands apart."""
        return self.within(
            [lambda: self.flow.begin(self.now.type or "Text"), *steps, self.flow.end]
        )
