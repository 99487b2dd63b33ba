"""Walk one text of a Word document (body, header, note, comment) and write it down in order.

Each element becomes a list of steps: elements to go on with, texts to write, and functions to call.
An element that isn't known is what it holds. So text gets lost only where an element is named here
as not shown, and no depth of elements can exhaust the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from batcher.service.parsing.flow import MOST_COLUMNS, Flow
from batcher.service.parsing.office import equations
from batcher.service.parsing.office.names import (
    attribute,
    child,
    is_on,
    is_understood,
    name_of,
    number,
    value,
)
from batcher.service.parsing.office.symbols import is_private, symbol
from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.word.fields import (
    UNMATCHED,
    Fields,
    form_of,
    mark_unmatched,
    shown_without_result,
)
from batcher.service.parsing.word.numbering import BULLET
from batcher.service.parsing.word.styles import BODY, ParagraphStyle, outline_of

if TYPE_CHECKING:
    from batcher.service.parsing.word.document import Document

Step = Any  # an element, a text, or a function without arguments that may return steps
Steps = Iterable[Step]

PICTURES: Final = "pictures are not read, only their alternative text is"
# Elements whose text isn't shown, or that have none.
_SILENT: Final = frozenset(
    """
    w:pPr w:rPr w:tblPr w:tblPrEx w:tblGrid w:trPr w:tcPr w:sectPr w:sdtPr w:sdtEndPr
    w:smartTagPr w:customXmlPr w:del w:moveFrom w:delText w:delInstrText w:fldData w:ffData
    w:numberingChange m:rPr m:ctrlPr m:oMathParaPr wp:positionH wp:positionV wp14:sizeRelH
    """.split()
)
_FIELD_PARTS: Final = frozenset({"w:fldChar", "w:instrText"})
_READABLE: Final = frozenset(
    "w:t w:sym m:t a:t a:blip v:imagedata v:textpath c:chart cx:chart dgm:relIds".split()
)
# elements of alternatives that are looked at, to see whether anything in one is read
MOST_LOOKED_AT: Final = 500_000


@dataclass(slots=True)
class _Context:
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


class Story:
    """The walk over one text, and the blocks that come of it."""

    def __init__(self, document: Document, part: str, type_: str = "") -> None:
        self.flow = Flow()
        self._document = document
        self._now = _Context(part, type_)
        self._around: list[_Context] = []
        self._tables = 0
        self._is_blank = True  # nothing was written on the current page
        self._alts: list[str] = []
        self._pictures = 0
        self._looks_left = MOST_LOOKED_AT

    def read(self, root: Any) -> None:
        """Write everything below `root`."""
        mark_unmatched(root)
        self.do([root, self._join_nothing])

    def do(self, steps: Steps) -> None:
        """Do the steps in order, each with those that come of it before the next."""
        todo = [*steps]
        todo.reverse()
        while todo:
            step = todo.pop()
            if isinstance(step, str):
                self._write(step)
                continue
            more = step() if callable(step) else self._steps(step)
            if more is not None:
                todo += reversed(list(more))

    def _steps(self, node: Any) -> Steps | None:
        name = name_of(node.tag)
        if name in _SILENT:
            return None
        enter = _ENTER.get(name)
        if enter is not None:
            return enter(self, node)
        if name.startswith("m:"):
            parts = equations.parts_of(node)
            return node if parts is None else parts
        result: Steps = node
        return result

    # --- texts within texts -----------------------------------------------------------------------

    def within(self, steps: Steps, *, part: str = "", type_: str = "", label: str = "") -> Steps:
        """Return the steps of a text that stands within this one."""

        def enter() -> None:
            self._around.append(self._now)
            self._now = _Context(part or self._now.part, type_ or self._now.type, label)

        def leave() -> None:
            self._join_nothing()
            self._now = self._around.pop()

        return [enter, *steps, leave]

    def _later(self, steps: Steps) -> Steps:
        """Return the steps to be done now, or none if they wait for the end of the paragraph."""
        if self._now.fields.instructions:
            return ()
        if not self._now.in_paragraph:
            return steps
        self._now.after += steps
        return ()

    def _is_top(self) -> bool:
        return not self._around and not self._tables

    # --- text -------------------------------------------------------------------------------------

    def _write(self, text: str) -> None:
        now = self._now
        if now.fields.instructions or not text:
            return
        if now.label and text.strip():
            self.flow.write(f"{now.label} ")
            now.label = ""
        if now.fields.stack:
            now.fields.stack[-1].written = True
        self._is_blank = False
        self.flow.write(text)

    def _text(self, node: Any) -> None:
        text = (node.text or "").replace("\u00ad", "")
        if is_private(text):
            font = self._font(node.getparent())
            text = "".join(self._symbol(ord(sign), font) for sign in text)
        self._write(text)

    def _font(self, run: Any) -> str:
        properties = child(run, "w:rPr")
        fonts = None if properties is None else child(properties, "w:rFonts")
        if fonts is None:
            return ""
        return attribute(fonts, "ascii") or attribute(fonts, "hAnsi") or ""

    def _symbol(self, code: int, font: str) -> str:
        found = symbol(code, font)
        if found is None:
            self._document.note(f"a character of the font {font or 'of symbols'} is not read")
        return found or ""

    def _sym(self, node: Any) -> None:
        try:
            code = int(attribute(node, "char") or "", 16)
        except ValueError:
            return
        self._write(self._symbol(code, attribute(node, "font") or ""))

    def _run(self, node: Any) -> Steps:
        properties = child(node, "w:rPr")
        if self._is_hidden(properties):
            # a field may begin in hidden text and end in what is shown
            return [one for one in node if name_of(one.tag) in _FIELD_PARTS]
        result: Steps = node
        return result

    def _is_hidden(self, properties: Any) -> bool:
        if properties is None:
            return self._now.hides
        own = is_on(properties, "w:vanish")
        if own is not None:
            return own
        style = value(properties, "w:rStyle")
        return self._now.hides or (style is not None and self._document.styles.hides(style))

    def _break(self, node: Any) -> Steps | None:
        if attribute(node, "type") == "page":
            return self.break_page()
        if not self._now.fields.instructions:
            self.flow.break_line()
        return None

    def _rendered_break(self, _node: Any) -> Steps | None:
        """Break the page where Word last did, unless a break that the author set says the same."""
        return None if self._is_blank else self.break_page()

    def break_page(self) -> Steps:
        """Return the steps that end the page; within a table, box or note there are none."""
        if not self._is_top() or self._now.type:
            return ()
        return [*self._document.footnotes_of_page(self), self._next_page]

    def _next_page(self) -> None:
        self.flow.break_page()
        self._document.page += 1
        self._is_blank = True

    def _ruby(self, node: Any) -> Steps:
        above = child(node, "w:rt")
        parts = [one for one in node if name_of(one.tag) == "w:rubyBase"]
        return parts if above is None else [*parts, "(", above, ")"]

    def _equation(self, node: Any) -> Steps:
        if next(node.iter("{*}t"), None) is None:
            return ()
        mark = "$$" if name_of(node.getparent().tag) == "m:oMathPara" else "$"
        return [mark, *node, mark, " "]

    # --- fields -----------------------------------------------------------------------------------

    def _field(self, node: Any) -> None:
        kind = attribute(node, "fldCharType")
        fields = self._now.fields
        if kind == "begin" and not node.get(UNMATCHED):
            fields.begin(form_of(node))
        elif kind == "separate":
            fields.separate()
        elif kind == "end":
            found = fields.end()
            if found is not None and found.shown and not found.written:
                self._write(found.shown)
            elif found is not None and not found.in_result:
                self._show_without_result("".join(found.instruction))

    def _instruction(self, node: Any) -> None:
        self._now.fields.instruct(node.text or "")

    def _simple_field(self, node: Any) -> Steps:
        if next(node.iter("{*}t"), None) is None:
            self._show_without_result(attribute(node, "instr") or "")
        result: Steps = node
        return result

    def _show_without_result(self, instruction: str) -> None:
        if self._now.fields.instructions:
            return
        shown, name = shown_without_result(instruction)
        self._write(shown)
        if name:
            self._document.note(f"the field {name} has no stored result and is not read")

    # --- paragraphs -------------------------------------------------------------------------------

    def _paragraph(self, node: Any) -> Steps:
        properties = child(node, "w:pPr")
        style_id = None if properties is None else value(properties, "w:pStyle")
        style = self._document.styles.paragraph(style_id)
        is_joined = _is_joined(properties)
        if is_joined and next(node.iter("{*}t"), None) is None:
            return [one for one in node if name_of(one.tag) != "w:pPr"]  # it is deleted as a whole
        steps: list[Step] = []
        if not self._is_blank and _breaks_before(properties, style):
            steps += self.break_page()
        return [
            *steps,
            lambda: self._begin_paragraph(style, style_id, properties),
            *node,
            lambda: self._end_paragraph(properties, is_joined),
        ]

    def _begin_paragraph(
        self, style: ParagraphStyle, style_id: str | None, properties: Any
    ) -> None:
        now = self._now
        now.in_paragraph = True
        now.hides = style.hidden
        if now.is_joined:
            now.is_joined = False
            return
        numbered = _number_of(properties, style)
        label = ""
        if numbered is not None and not self._is_hidden(_mark_of(properties)):
            label = self._document.label(*numbered, style_id) or ""
        type_ = _type_of(properties, style)
        if label and type_ == "Text":
            type_ = "List Item"
        if label == BULLET and not self._tables:
            label = ""
        now.label = f"{now.label} {label}".strip()
        self.flow.begin(now.type or type_)

    def _end_paragraph(self, properties: Any, is_joined: bool) -> Steps:
        now = self._now
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
        if self._is_top() and not now.type:
            steps += [lambda: self._document.comments_so_far(self)]
            if section is not None:
                steps += [lambda: self._document.end_section(self)]
        return steps

    def _join_nothing(self) -> Steps:
        """End a paragraph whose mark is deleted, as no other follows it."""
        if not self._now.is_joined:
            return ()
        return self._end_paragraph(None, False)

    # --- tables -----------------------------------------------------------------------------------

    def _table(self, node: Any) -> Steps:
        return [self._join_nothing, self._begin_table, *node, self._end_table]

    def _begin_table(self) -> None:
        self._is_blank = False
        self._tables += 1
        self._now.open.append("table")
        self.flow.begin_table()

    def _end_table(self) -> Steps:
        self._tables -= 1
        self._now.open.pop()
        self.flow.end_table()
        return self._document.comments_so_far(self) if self._is_top() and not self._now.type else ()

    def _row(self, node: Any) -> Steps:
        properties = child(node, "w:trPr")
        if properties is not None and (
            child(properties, "w:del") is not None or is_on(properties, "w:hidden")
        ):
            return ()
        if self._now.open[-1:] != ["table"]:
            result: Steps = node
            return result
        before = 0 if properties is None else number(value(properties, "w:gridBefore"), 0)
        return [lambda: self._begin_row(before), *node, self._end_row]

    def _begin_row(self, before: int) -> None:
        self._now.open.append("row")
        self.flow.begin_row()
        if 0 < before <= MOST_COLUMNS:
            self.flow.begin_cell()
            self.flow.end_cell(columns=before)

    def _end_row(self) -> None:
        self._now.open.pop()
        self.flow.end_row()

    def _cell(self, node: Any) -> Steps:
        within = self._now.open[-1:]
        if within == ["table"]:  # without a row
            return [lambda: self._begin_row(0), node, self._end_row]
        if within != ["row"]:
            result: Steps = node
            return result
        properties = child(node, "w:tcPr")
        columns = 1 if properties is None else number(value(properties, "w:gridSpan"), 1)
        is_deleted = properties is not None and child(properties, "w:cellDel") is not None
        held = () if is_deleted else node
        return [self._begin_cell, *held, self._join_nothing, lambda: self._end_cell(columns)]

    def _begin_cell(self) -> None:
        self._now.open.append("cell")
        self.flow.begin_cell()

    def _end_cell(self, columns: int) -> None:
        self._now.open.pop()
        self.flow.end_cell(columns=columns)

    # --- drawings ---------------------------------------------------------------------------------

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
            alts, pictures = self._alts, self._pictures
            self._alts, self._pictures = before
            if pictures:
                self._document.note(PICTURES)
            if not alts and not pictures:
                return ()
            figure = PageBlock("Figure", "\n".join(alts), sure=not pictures)
            return self._later([lambda: self.add(figure)])

        return [*node, leave]

    def add(self, block: PageBlock) -> None:
        """Add a block that is complete."""
        self._is_blank = False
        self.flow.add(block)

    def _picture(self, node: Any) -> Steps | None:
        if not self._now.fields.instructions:
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
        return self._later(self._block([node.get("string") or ""]))

    def _block(self, steps: Steps) -> Steps:
        return self.within(
            [lambda: self.flow.begin(self._now.type or "Text"), *steps, self.flow.end]
        )

    def _box(self, node: Any) -> Steps:
        """Write a text box after the paragraph that it is anchored in."""
        return self._later(self.within(node))

    def _drawn_paragraph(self, node: Any) -> Steps:
        return self._block(node)

    def _chart(self, node: Any) -> Steps:
        found = self._document.chart(self._now.part, attribute(node, "id", "r"))
        if found is None:
            return ()
        figure = PageBlock("Figure", "\n".join(found.words))
        titles = [lambda: self.add(figure)] if found.words else []
        return self._later([*titles, *self._rows(found.rows)])

    def _rows(self, rows: list[list[str]]) -> Steps:
        if not rows:
            return []
        steps: list[Step] = [self._begin_table]
        for row in rows:
            steps.append(lambda: self._begin_row(0))
            for cell in row:
                steps += [self._begin_cell, cell, lambda: self._end_cell(1)]
            steps.append(self._end_row)
        return self.within([*steps, self._end_table])

    def _diagram(self, node: Any) -> Steps:
        type_ = self._now.type or "List Item"
        steps: list[Step] = []
        for text in self._document.diagram(self._now.part, attribute(node, "dm", "r")):
            steps += [lambda: self.flow.begin(type_), text, self.flow.end]
        return self._later(self.within(steps))

    def _embedded(self, node: Any) -> None:
        kind = node.get("ProgID") or "unknown type"
        self._document.note(f"an embedded object ({kind}) is not read, only its picture is shown")

    def _control(self, _node: Any) -> None:
        self._document.note("an ActiveX control is not read")

    def _ink(self, _node: Any) -> None:
        self._document.note("handwriting is not read")

    # --- alternatives, and what stands elsewhere --------------------------------------------------

    def _alternatives(self, node: Any) -> Steps:
        """Choose one: the first that Office's readers understand and that holds what is read."""
        choices = [one for one in node if name_of(one.tag) == "mc:Choice" and _is_known(one)]
        others = [one for one in node if name_of(one.tag) == "mc:Fallback"]
        forms = [*choices, *others]
        readable = (one for one in forms if self._is_readable(one))
        result: Steps = next(readable, forms[0] if forms else ())
        return result

    def _is_readable(self, form: Any) -> bool:
        for node in islice(form.iter(), self._looks_left):
            self._looks_left -= 1
            if name_of(node.tag) in _READABLE:
                return True
        return False

    def _footnote(self, node: Any) -> None:
        self._note_mark("footnotes", node)

    def _endnote(self, node: Any) -> None:
        self._note_mark("endnotes", node)

    def _note_mark(self, kind: str, node: Any) -> None:
        if self._now.fields.instructions:
            return
        has_own = (attribute(node, "customMarkFollows") or "0") in ("1", "true", "on")
        self._write(self._document.refer(kind, attribute(node, "id") or "", has_own))

    def _comment(self, node: Any) -> None:
        self._document.comment(attribute(node, "id") or "")

    def _inserted_file(self, node: Any) -> Steps:
        blocks = self._document.inserted_file(self._now.part, attribute(node, "id", "r"))
        return [lambda block=block: self.add(block) for block in blocks]

    def _subdocument(self, _node: Any) -> None:
        self._document.note("a subdocument, which is another file, is not read")


def _breaks_before(properties: Any, style: ParagraphStyle) -> bool:
    own = None if properties is None else is_on(properties, "w:pageBreakBefore")
    return style.breaks_before if own is None else own


def _is_joined(properties: Any) -> bool:
    """Tell whether the next paragraph goes on with the text of this one.

    It does if the mark between them is deleted, or if this one is only the other's large initial.
    """
    frame = None if properties is None else child(properties, "w:framePr")
    if frame is not None and attribute(frame, "dropCap") in ("drop", "margin"):
        return True
    mark = _mark_of(properties)
    gone = () if mark is None else (child(mark, name) for name in ("w:del", "w:moveFrom"))
    return any(one is not None for one in gone)


def _mark_of(properties: Any) -> Any:
    return None if properties is None else child(properties, "w:rPr")


def _type_of(properties: Any, style: ParagraphStyle) -> str:
    outline = outline_of(properties)
    if outline is None or style.type == "Title":
        return style.type
    return "Section Header" if outline < BODY else "Text"


def _number_of(properties: Any, style: ParagraphStyle) -> tuple[str, int | None] | None:
    """Return the paragraph's list and level, or None; its own go before those of its style."""
    numbering = None if properties is None else child(properties, "w:numPr")
    own = None if numbering is None else value(numbering, "w:numId")
    list_ = own or style.list
    if list_ is None or list_ == "0":
        return None
    told = None if numbering is None else value(numbering, "w:ilvl")
    if told is not None:
        return list_, number(told, 0)
    return list_, 0 if own and own != style.list else style.level


def _is_known(choice: Any) -> bool:
    required = (choice.get("Requires") or "").split()
    return all(is_understood(choice, prefix) for prefix in required)


_DESCRIPTIONS: Final = frozenset({"wp:docPr", "pic:cNvPr", "wps:cNvPr"})
_ENTER: Final[dict[str, Callable[[Story, Any], Steps | None]]] = {
    "w:t": Story._text,
    "m:t": Story._text,
    "a:t": Story._text,
    "w:sym": Story._sym,
    "w:r": Story._run,
    "m:r": Story._run,
    "w:tab": lambda story, _node: story._write(" "),
    "w:ptab": lambda story, _node: story._write(" "),
    "w:noBreakHyphen": lambda story, _node: story._write("-"),
    "w:br": Story._break,
    "w:cr": Story._break,
    "a:br": Story._break,
    "w:lastRenderedPageBreak": Story._rendered_break,
    "w:ruby": Story._ruby,
    "m:oMath": Story._equation,
    "w:fldChar": Story._field,
    "w:instrText": Story._instruction,
    "w:fldSimple": Story._simple_field,
    "w:p": Story._paragraph,
    "w:tbl": Story._table,
    "w:tr": Story._row,
    "w:tc": Story._cell,
    "w:drawing": Story._drawing,
    "w:pict": Story._pictured,
    "w:object": Story._pictured,
    "pic:blipFill": Story._picture,
    "v:imagedata": Story._picture,
    "wp:docPr": Story._described,
    "pic:cNvPr": Story._described,
    "wps:cNvPr": Story._described,
    **dict.fromkeys(
        "v:shape v:rect v:roundrect v:oval v:line v:polyline v:arc v:curve v:image v:group".split(),
        Story._described,
    ),
    "v:textpath": Story._text_path,
    "w:txbxContent": Story._box,
    "a:txBody": Story._box,
    "a:p": Story._drawn_paragraph,
    "c:chart": Story._chart,
    "cx:chart": Story._chart,
    "dgm:relIds": Story._diagram,
    "o:OLEObject": Story._embedded,
    "w:control": Story._control,
    "w:contentPart": Story._ink,
    "w14:contentPart": Story._ink,
    "mc:AlternateContent": Story._alternatives,
    "w:footnoteReference": Story._footnote,
    "w:endnoteReference": Story._endnote,
    "w:commentReference": Story._comment,
    "w:commentRangeEnd": Story._comment,
    "w:altChunk": Story._inserted_file,
    "w:subDoc": Story._subdocument,
}
