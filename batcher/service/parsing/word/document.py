"""Read Word documents: DOCX, DOTX, DOCM, also as Strict Open XML.

Blocks have no boxes; they would be known only by laying out the document. Pages end at the breaks
that the file holds: those of its author, and those where Word last broke the text.
"""

from __future__ import annotations

import email
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.markup.html import html_blocks
from batcher.service.parsing.office.charts import Chart, chart_of
from batcher.service.parsing.office.diagrams import diagram_items
from batcher.service.parsing.office.encryption import ENCRYPTED, is_encrypted
from batcher.service.parsing.office.names import attribute, child, is_on, name_of, value
from batcher.service.parsing.office.package import (
    BrokenPart,
    LargePart,
    Package,
    Relation,
    opened,
)
from batcher.service.parsing.pages import (
    DocumentProblem,
    Page,
    PageBlock,
    corrupt,
    numbered,
    protected,
)
from batcher.service.parsing.slides.text import text_of
from batcher.service.parsing.text.plain import paragraphs
from batcher.service.parsing.word.numbering import Numbering, formatted_number
from batcher.service.parsing.word.story import Step, Steps, Story
from batcher.service.parsing.word.styles import Styles

_DRAWN_ON: Final = "chartUserShapes"  # the type of the part with shapes that stand on a chart
# The kinds of notes, with the format of their numbers unless the document says another.
_NOTES: Final = {"footnotes": "decimal", "endnotes": "lowerRoman"}
_MARGINS: Final = {"w:headerReference": "Header", "w:footerReference": "Footer"}
_SAME_PAGE: Final = frozenset({"continuous", "nextColumn"})


def read_docx(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return everything that Word shows of the document, and what of it could not be read.

    Raises DocumentProblem if the document is broken, encrypted, too large or has no text.
    """
    if is_encrypted(path):
        raise protected(ENCRYPTED)
    package = opened(path)
    with package.archive:
        return _read(package)


def _read(package: Package, *, is_inserted: bool = False) -> list[Page]:
    document = Document(package, is_inserted=is_inserted)
    blocks = document.read()
    told = dict.fromkeys(note for notes in document.unread.values() for note in notes)
    return [
        replace(page, unread=tuple(document.unread.get(page.number, ())))
        for page in numbered(blocks, list(told))
    ]


class Document:
    """A document's parts, and what of them was written so far.

    `page` is the number of the current page, and `unread` has the sentences on what could not be
    read, by page.
    """

    def __init__(self, package: Package, *, is_inserted: bool = False) -> None:
        self.page = 1
        self.unread: dict[int, dict[str, None]] = {}
        self._package = package
        self._is_inserted = is_inserted
        self._main = _main_part(package)
        self._relations: dict[str, Mapping[str, Relation]] = {}
        try:
            root = package.deep_xml(self._main)
        except LargePart as problem:
            raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, str(problem), 413) from problem
        except BrokenPart as problem:
            raise corrupt(f"the document can't be read: {problem}") from problem
        self._body = child(root, "w:body")
        if self._body is None:
            raise corrupt(f"the document can't be read: {self._main} is no Word document")
        self.styles = Styles(self._part("styles"))
        self._numbering = Numbering(self._part("numbering"))
        self._settings = self._part("settings")
        self._sections = [one for one in self._body.iter("{*}sectPr") if _is_section(one)]
        self._section = 0
        self._margins: set[str] = set()  # texts of headers and footers
        self._items: dict[str, dict[str, Any]] = {}  # notes and comments by id
        self._marks: dict[str, dict[str, str]] = {kind: {} for kind in _NOTES}
        self._due: dict[str, list[str]] = {kind: [] for kind in _NOTES}
        self._shown: set[str] = set()  # parts whose content is written once, such as charts
        self._commented: set[str] = set()
        self._comments_due: list[str] = []

    def read(self) -> list[list[PageBlock]]:
        """Return the blocks of each page."""
        story = Story(self, self._main)
        story.do(self._margins_of("Header", story))
        story.read(self._body)
        story.do([lambda: self.comments_so_far(story), lambda: self.footnotes_of_page(story)])
        story.do(self._notes_due("endnotes", story))
        story.do(self._comments_left(story))
        story.do(self._margins_of("Footer", story))
        for format_ in sorted(self._numbering.unknown_formats):
            self.note(f"list numbers in the format {format_} are given as decimal numbers")
        return story.flow.pages

    def note(self, sentence: str) -> None:
        """Name something on the current page that could not be read."""
        self.unread.setdefault(self.page, {})[sentence] = None

    def label(self, list_: str, level: int | None, style: str | None) -> str | None:
        """Count a paragraph of a list and return its number, or None if there is no such list."""
        at = self._numbering.level_of(list_, style) if level is None else level
        return self._numbering.label(list_, at)

    # --- parts ------------------------------------------------------------------------------------

    def chart(self, part: str, id_: str | None) -> Chart | None:
        """Return the chart that `part` refers to by `id_`, or None if it was written before."""
        try:
            name = self._new_part(part, id_)
            if name is None:
                return None
            found = chart_of(self._package.xml(name))
            drawn = [one for one in self._relations_of(name).values() if one.type == _DRAWN_ON]
            words = [text_of(self._package.xml(one.target)) for one in drawn if not one.external]
        except BrokenPart as problem:
            self.note(f"a chart is not read: {problem}")
            return None
        if not found.rows:
            self.note(f"a chart is not read: {found.trouble}")
        return replace(found, words=[*found.words, *words])

    def diagram(self, part: str, id_: str | None) -> list[str]:
        """Return the texts of a diagram, or none if it was written before."""
        try:
            name = self._new_part(part, id_)
            return [] if name is None else diagram_items(self._package.xml(name))
        except BrokenPart as problem:
            self.note(f"a diagram is not read: {problem}")
            return []

    def inserted_file(self, part: str, id_: str | None) -> list[PageBlock]:
        """Return the blocks of a file that Word would insert when it opens the document."""
        try:
            name = self._new_part(part, id_)
            return [] if name is None else self._blocks_of(name, self._package.content(name))
        except BrokenPart as problem:
            self.note(f"an inserted file is not read: {problem}")
        except DocumentProblem as problem:
            self.note(f"an inserted file is not read: {problem.message}")
        return []

    def _new_part(self, part: str, id_: str | None) -> str | None:
        """Return the name of what `part` refers to, or None if that was asked for before.

        Raises BrokenPart if the reference leads to no part.
        """
        relation = self._relations_of(part).get(id_ or "")
        if relation is None or relation.external:
            raise BrokenPart("it isn't in the file")
        if relation.target in self._shown:
            return None
        self._shown.add(relation.target)
        return relation.target

    def _blocks_of(self, name: str, raw: bytes) -> list[PageBlock]:
        extension = name.rpartition(".")[2].lower()
        if extension in ("htm", "html", "xhtml"):
            return html_blocks(raw, None)
        if extension in ("mht", "mhtml"):
            return _blocks_of_web_archive(raw)
        if extension in ("txt", "text"):
            return list(paragraphs(raw, None))
        if raw.startswith(b"PK") and not self._is_inserted:
            return self._blocks_of_document(io.BytesIO(raw))
        raise BrokenPart(f"{name} is of a type that isn't read within a document")

    def _blocks_of_document(self, raw: BinaryIO) -> list[PageBlock]:
        package = opened(raw)
        package.bytes_read = self._package.bytes_read
        try:
            with package.archive:
                pages = _read(package, is_inserted=True)
        finally:
            self._package.bytes_read = package.bytes_read
        for page in pages:
            for sentence in page.unread:
                self.note(sentence)
        return [block for page in pages for block in page.blocks]

    def _relations_of(self, part: str) -> Mapping[str, Relation]:
        if part not in self._relations:
            try:
                self._relations[part] = self._package.listed_relations(part)
            except BrokenPart as problem:
                self.note(f"what {part} refers to is not read: {problem}")
                self._relations[part] = {}
        return self._relations[part]

    def _part_name(self, type_: str) -> str | None:
        """Return the name of the main part's part of this type; without references, by custom."""
        relations = self._relations_of(self._main)
        for relation in relations.values():
            if relation.type == type_ and not relation.external:
                return relation.target
        usual = f"{self._main.rpartition('/')[0]}/{type_}.xml"
        return usual if not relations and usual in self._package else None

    def _part(self, type_: str) -> Any:
        name = self._part_name(type_)
        if name is None:
            return None
        try:
            return self._package.deep_xml(name)
        except BrokenPart as problem:
            self.note(f"the part {type_} is not read: {problem}")
            return None

    # --- sections with their headers and footers --------------------------------------------------

    def end_section(self, story: Story) -> Steps:
        """Return the steps at the end of a section: its footers, and the headers of the next."""
        steps = [*self.footnotes_of_page(story), *self._margins_of("Footer", story)]
        self._section += 1
        if self._section >= len(self._sections):
            return steps
        kind = value(self._sections[self._section], "w:type")
        page = () if kind in _SAME_PAGE else story.break_page()
        return [*steps, *page, lambda: self._margins_of("Header", story)]

    def _margins_of(self, type_: str, story: Story) -> Steps:
        """Return the steps that write the current section's headers or footers.

        Each is written once, where the first section that has it begins or ends.
        """
        if self._section >= len(self._sections):
            return ()
        section = self._sections[self._section]
        found = [one for one in section if _MARGINS.get(name_of(one.tag)) == type_]
        blocks = [
            block
            for one in found
            if self._is_shown(section, attribute(one, "type") or "default")
            for block in self._margin(attribute(one, "id", "r"), type_)
        ]
        return [lambda block=block: story.add(block) for block in blocks]

    def _is_shown(self, section: Any, kind: str) -> bool:
        if kind == "first":
            return bool(is_on(section, "w:titlePg"))
        if kind == "even" and self._settings is not None:
            return bool(is_on(self._settings, "w:evenAndOddHeaders"))
        return True

    def _margin(self, id_: str | None, type_: str) -> list[PageBlock]:
        """Return the blocks of a header or footer, or none if another one says the same."""
        try:
            name = self._new_part(self._main, id_)
            root = None if name is None else self._package.deep_xml(name)
        except BrokenPart as problem:
            self.note(f"a {type_.lower()} is not read: {problem}")
            return []
        if name is None:
            return []
        story = Story(self, name, type_)
        story.read(root)
        blocks = [_plain(block, type_) for block in story.flow.blocks]
        text = "\n".join([type_, *(block.content for block in blocks)])
        is_new = text not in self._margins
        self._margins.add(text)
        return blocks if is_new else []

    # --- footnotes and endnotes -------------------------------------------------------------------

    def refer(self, kind: str, id_: str, has_own: bool) -> str:
        """Return the mark that stands for a note in the text, and have the note written later.

        `has_own` says that the document itself writes a mark.
        """
        marks = self._marks[kind]
        if id_ not in marks:
            count = sum(map(bool, marks.values())) + 1
            marks[id_] = "" if has_own else f"[{formatted_number(count, self._format(kind))}]"
            self._due[kind].append(id_)
        return marks[id_]

    def footnotes_of_page(self, story: Story) -> Steps:
        """Return the steps that write the footnotes of the page that ends."""
        return self._notes_due("footnotes", story)

    def _notes_due(self, kind: str, story: Story) -> Steps:
        due = self._due[kind]
        self._due[kind] = []
        part = self._part_name(kind) or ""
        steps: list[Step] = []
        for id_ in due:
            found = self._items_of(kind).get(id_)
            if found is None:
                self.note(f"a note of the {kind} is not read: it isn't in the file")
                continue
            steps += story.within(found, part=part, type_="Text", label=self._marks[kind][id_])
        return steps

    def _items_of(self, kind: str) -> dict[str, Any]:
        """Return the notes or comments of a part by id."""
        if kind not in self._items:
            root = self._part(kind)
            nodes = [] if root is None else list(root)
            self._items[kind] = {attribute(one, "id") or "": one for one in nodes}
        return self._items[kind]

    def _format(self, kind: str) -> str:
        name = f"w:{kind[:-1]}Pr"
        for holder in (*self._sections[:1], self._settings):
            found = None if holder is None else child(holder, name)
            told = None if found is None else value(found, "w:numFmt")
            if told is not None:
                return told
        return _NOTES[kind]

    # --- comments ---------------------------------------------------------------------------------

    def comment(self, id_: str) -> None:
        """Have a comment written after the paragraph or table that it belongs to."""
        if id_ not in self._commented:
            self._commented.add(id_)
            self._comments_due.append(id_)

    def comments_so_far(self, story: Story) -> Steps:
        """Return the steps that write the comments which weren't written yet."""
        due = self._comments_due
        self._comments_due = []
        part = self._part_name("comments") or ""
        steps: list[Step] = []
        for id_ in due:
            found = self._items_of("comments").get(id_)
            if found is None:
                self.note("a comment is not read: it isn't in the file")
                continue
            author = attribute(found, "author")
            label = f"{author}:" if author else ""
            steps += story.within(found, part=part, type_="Comment", label=label)
        return steps

    def _comments_left(self, story: Story) -> Steps:
        """Return the steps for comments that the document refers to nowhere, not even deleted."""
        marks = self._body.iter("{*}commentReference", "{*}commentRangeEnd")
        self._commented |= {attribute(mark, "id") or "" for mark in marks}
        for id_ in self._items_of("comments"):
            self.comment(id_)
        return self.comments_so_far(story)


def _main_part(package: Package) -> str:
    """Return the name of the main part, by the package's references or else by custom."""
    told = [one for one in package.relations("").values() if one.type == "officeDocument"]
    found = [one.target for one in told if one.target in package]
    return found[0] if found else "word/document.xml"


def _blocks_of_web_archive(raw: bytes) -> list[PageBlock]:
    """Return the blocks of a page that is saved as a mail message, with its pictures."""
    message = email.message_from_bytes(raw)
    found = [part for part in message.walk() if part.get_content_type() == "text/html"]
    blocks: list[PageBlock] = []
    for part in found:
        raw_page = part.get_payload(decode=True)
        if isinstance(raw_page, bytes):
            blocks += html_blocks(raw_page, part.get_content_charset())
    return blocks


def _is_section(node: Any) -> bool:
    """Tell whether a section's properties are those of today, and not of a tracked change."""
    around = node.getparent()
    if name_of(around.tag) == "w:pPr":
        return name_of(around.getparent().tag) == "w:p"
    return name_of(around.tag) == "w:body"


def _plain(block: PageBlock, type_: str) -> PageBlock:
    """Return a block of a header or footer as one; a table only lays out its text."""
    if block.rows is None:
        return block
    lines = (" ".join(cell for cell in row if cell) for row in block.rows)
    return PageBlock(type_, "\n".join(lines))
