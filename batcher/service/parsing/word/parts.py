"""Find the parts of a Word document by what refers to them, and read those that are no Word text.

These are charts, diagrams, and files of other types that Word would insert.
"""

from __future__ import annotations

import email
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, Final

from batcher.service.parsing.markup.html import html_text
from batcher.service.parsing.office.charts import Chart, chart_of
from batcher.service.parsing.office.diagrams import diagram_items
from batcher.service.parsing.office.package import BrokenPart, Package, Relation, opened
from batcher.service.parsing.pages import DocumentProblem, Page, PageBlock, pictures_not_read
from batcher.service.parsing.slides.text import text_of
from batcher.service.parsing.text.plain import paragraphs

Reader = Callable[[Package], list[Page]]

_DRAWN_ON: Final = "chartUserShapes"  # the type of the part with shapes that stand on a chart


class Parts:
    """The parts of a document; `main` is the name of the one that holds its text."""

    def __init__(
        self, package: Package, *, note: Callable[[str], None], read_inserted: Reader | None
    ) -> None:
        """`note` is told what can't be read; `read_inserted` reads Word documents within this one.

        It is None if they aren't to be read.
        """
        self.main = _main_part(package)
        self._package = package
        self._note = note
        self._read_inserted = read_inserted
        self._relations: dict[str, Mapping[str, Relation]] = {}
        self._shown: set[str] = set()  # parts whose content is written once, such as charts

    def chart(self, part: str, id_: str | None) -> Chart | None:
        """Return the chart that `part` refers to by `id_`, or None if it was written before."""
        try:
            name = self.new_part(part, id_)
            if name is None:
                return None
            found = chart_of(self._package.xml(name))
            drawn = [one for one in self.relations_of(name).values() if one.type == _DRAWN_ON]
            words = [text_of(self._package.xml(one.target)) for one in drawn if not one.external]
        except BrokenPart as problem:
            self._note(f"a chart is not read: {problem}")
            return None
        if not found.rows:
            self._note(f"a chart is not read: {found.trouble}")
        return replace(found, words=[*found.words, *words])

    def diagram(self, part: str, id_: str | None) -> list[str]:
        """Return the texts of a diagram, or none if it was written before."""
        try:
            name = self.new_part(part, id_)
            return [] if name is None else diagram_items(self._package.xml(name))
        except BrokenPart as problem:
            self._note(f"a diagram is not read: {problem}")
            return []

    def inserted_file(self, part: str, id_: str | None) -> list[PageBlock]:
        """Return the blocks of a file that Word would insert when it opens the document."""
        try:
            name = self.new_part(part, id_)
            return [] if name is None else self._blocks_of(name, self._package.content(name))
        except BrokenPart as problem:
            self._note(f"an inserted file is not read: {problem}")
        except DocumentProblem as problem:
            self._note(f"an inserted file is not read: {problem.message}")
        return []

    def new_part(self, part: str, id_: str | None) -> str | None:
        """Return the name of what `part` refers to, or None if that was asked for before.

        Raises BrokenPart if the reference leads to no part.
        """
        relation = self.relations_of(part).get(id_ or "")
        if relation is None or relation.external:
            raise BrokenPart("it isn't in the file")
        if relation.target in self._shown:
            return None
        self._shown.add(relation.target)
        return relation.target

    def _blocks_of(self, name: str, raw: bytes) -> list[PageBlock]:
        extension = name.rpartition(".")[2].lower()
        if extension in ("htm", "html", "xhtml"):
            return self._blocks_of_html(raw)
        if extension in ("mht", "mhtml"):
            pages = _web_pages(raw)
            return [block for page in pages for block in self._blocks_of_html(*page)]
        if extension in ("txt", "text"):
            return list(paragraphs(raw, None))
        if raw.startswith(b"PK") and self._read_inserted is not None:
            return self._blocks_of_document(io.BytesIO(raw), self._read_inserted)
        raise BrokenPart(f"{name} is of a type that isn't read within a document")

    def _blocks_of_html(self, raw: bytes, declared: str | None = None) -> list[PageBlock]:
        text = html_text(raw, declared)
        for sentence in text.unread:
            self._note(f"of an inserted file: {sentence}")
        if text.pictures:
            self._note(f"of an inserted file: {pictures_not_read(text.pictures)}")
        return text.blocks

    def _blocks_of_document(self, raw: BinaryIO, read: Reader) -> list[PageBlock]:
        package = opened(raw)
        package.bytes_read = self._package.bytes_read
        try:
            with package.archive:
                pages = read(package)
        finally:
            self._package.bytes_read = package.bytes_read
        for page in pages:
            for sentence in page.unread:
                self._note(sentence)
        if pictures := sum(page.pictures for page in pages):
            self._note(f"of an inserted file: {pictures_not_read(pictures)}")
        return [block for page in pages for block in page.blocks]

    def relations_of(self, part: str) -> Mapping[str, Relation]:
        """Return what a part refers to, by id."""
        if part not in self._relations:
            try:
                self._relations[part] = self._package.listed_relations(part)
            except BrokenPart as problem:
                self._note(f"what {part} refers to is not read: {problem}")
                self._relations[part] = {}
        return self._relations[part]

    def part_name(self, type_: str) -> str | None:
        """Return the name of the main part's part of this type; without references, by custom."""
        relations = self.relations_of(self.main)
        for relation in relations.values():
            if relation.type == type_ and not relation.external:
                return relation.target
        usual = f"{self.main.rpartition('/')[0]}/{type_}.xml"
        return usual if not relations and usual in self._package else None

    def part(self, type_: str) -> Any:
        """Return the root of the part of this type, or None if there is none that can be read."""
        name = self.part_name(type_)
        if name is None:
            return None
        try:
            return self._package.deep_xml(name)
        except BrokenPart as problem:
            self._note(f"the part {type_} is not read: {problem}")
            return None


def _main_part(package: Package) -> str:
    """Return the name of the main part, by the package's references or else by custom."""
    told = [one for one in package.relations("").values() if one.type == "officeDocument"]
    found = [one.target for one in told if one.target in package]
    return found[0] if found else "word/document.xml"


def _web_pages(raw: bytes) -> Iterator[tuple[bytes, str | None]]:
    """Yield the pages that are saved as a mail message with their pictures, and their charsets."""
    message = email.message_from_bytes(raw)
    for part in message.walk():
        page = part.get_payload(decode=True)
        if part.get_content_type() == "text/html" and isinstance(page, bytes):
            yield page, part.get_content_charset()
