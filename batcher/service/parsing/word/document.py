"""Read Word documents: DOCX, DOTX, DOCM, also as Strict Open XML.

Blocks have no boxes; they would be known only by laying out the document. Pages end at the breaks
that the file holds: those of its author, and those where Word last broke the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.office.encryption import ENCRYPTED, is_encrypted
from batcher.service.parsing.office.names import attribute, child, is_on, name_of, value
from batcher.service.parsing.office.package import (
    BrokenPart,
    LargePart,
    Package,
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
from batcher.service.parsing.word.notes import Notes
from batcher.service.parsing.word.numbering import Numbering
from batcher.service.parsing.word.parts import Parts
from batcher.service.parsing.word.story import story_of
from batcher.service.parsing.word.styles import Styles
from batcher.service.parsing.word.walk import Steps, Walk

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
        for page in numbered(blocks, list(told), document.pictures)
    ]


def _read_inserted(package: Package) -> list[Page]:
    return _read(package, is_inserted=True)


class Document:
    """A document's parts, and what of them was written so far.

    `page` is the number of the current page, `unread` has the sentences on what could not be read,
    by page, and `pictures` the number of pictures without an alternative text, by page.
    """

    def __init__(self, package: Package, *, is_inserted: bool = False) -> None:
        self.page = 1
        self.unread: dict[int, dict[str, None]] = {}
        self.pictures: Counter[int] = Counter()
        reader = None if is_inserted else _read_inserted
        self.parts = Parts(package, note=self.note, read_inserted=reader)
        self._package = package
        self._body = self._main_text()
        self.styles = Styles(self.parts.part("styles"))
        self._numbering = Numbering(self.parts.part("numbering"))
        self._settings = self.parts.part("settings")
        self._sections = [one for one in self._body.iter("{*}sectPr") if _is_section(one)]
        self._section = 0
        self._margins: set[str] = set()  # texts of headers and footers
        self.notes = Notes(
            self.parts,
            note=self.note,
            body=self._body,
            sections=self._sections,
            settings=self._settings,
        )

    def _main_text(self) -> Any:
        main = self.parts.main
        try:
            root = self._package.deep_xml(main)
        except LargePart as problem:
            raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, str(problem), 413) from problem
        except BrokenPart as problem:
            raise corrupt(f"the document can't be read: {problem}") from problem
        body = child(root, "w:body")
        if body is None:
            raise corrupt(f"the document can't be read: {main} is no Word document")
        return body

    def read(self) -> list[list[PageBlock]]:
        """Return the blocks of each page."""
        story = story_of(self, self.parts.main)
        story.do(self._margins_of("Header", story))
        story.read(self._body)
        story.do(self.notes.comments_so_far(story))
        story.do(self.notes.footnotes_of_page(story))
        story.do(self.notes.notes_due("endnotes", story))
        story.do(self.notes.comments_left(story))
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

    def end_section(self, story: Walk) -> Steps:
        """Return the steps at the end of a section: its footers, and the headers of the next."""
        steps = [*self.notes.footnotes_of_page(story), *self._margins_of("Footer", story)]
        self._section += 1
        if self._section >= len(self._sections):
            return steps
        kind = value(self._sections[self._section], "w:type")
        page = () if kind in _SAME_PAGE else story.break_page()
        return [*steps, *page, lambda: self._margins_of("Header", story)]

    def _margins_of(self, type_: str, story: Walk) -> Steps:
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
            name = self.parts.new_part(self.parts.main, id_)
            root = None if name is None else self._package.deep_xml(name)
        except BrokenPart as problem:
            self.note(f"a {type_.lower()} is not read: {problem}")
            return []
        if name is None:
            return []
        story = story_of(self, name, type_)
        story.read(root)
        blocks = [_plain(block, type_) for block in story.flow.blocks]
        text = "\n".join([type_, *(block.content for block in blocks)])
        is_new = text not in self._margins
        self._margins.add(text)
        return blocks if is_new else []


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
