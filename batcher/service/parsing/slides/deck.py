"""Read PowerPoint's presentations: a page for each slide, with its notes and comments at the end.

Hidden slides are read as well, as PowerPoint prints them. Of layouts and masters only the words
that they put on slides are read, once in a document, on the first slide that shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.office.encryption import ENCRYPTED, is_encrypted
from batcher.service.parsing.office.package import (
    BrokenPart,
    Package,
    Relation,
    descend,
    local,
    opened,
    reference,
)
from batcher.service.parsing.pages import (
    WHOLE_PAGE,
    Page,
    PageBlock,
    corrupt,
    empty,
    numbered,
    protected,
)
from batcher.service.parsing.slides.layout import Layout, placeholder, type_of
from batcher.service.parsing.slides.shapes import Shapes
from batcher.service.parsing.slides.text import text_of

MOST_SLIDES: Final = 10_000
_USUAL_SIZE: Final = (12_192_000, 6_858_000)  # English metric units: 13.3 by 7.5 inches
_FALSE: Final = ("0", "false", "off")
_TREE: Final = "{*}cSld/{*}spTree/*"
_SLIDE: Final = re.compile(r"ppt/slides/slide(\d{1,9})\.xml", re.IGNORECASE)
# What the page of notes shows of the slide and of the date.
_NOT_OF_NOTES: Final = frozenset({"sldImg", "sldNum", "dt"})


def read_pptx(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return a page for each slide, also for those that can't be read.

    Raises DocumentProblem if the document is broken, encrypted or has no text.
    """
    if is_encrypted(path):
        raise protected(ENCRYPTED)
    package = opened(path)
    with package.archive:
        deck = _Deck(package)
        return deck.pages()


@dataclass(slots=True)
class _Slide:
    """What a slide shows, and what of it could not be read."""

    blocks: list[PageBlock] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    is_lost: bool = False


@dataclass(slots=True)
class _Deck:
    """An open presentation."""

    package: Package
    _size: tuple[int, int] = _USUAL_SIZE
    _authors: dict[str, str] = field(default_factory=dict)  # of comments, by their ids
    _layouts: dict[str, Layout] = field(default_factory=dict)  # by the name of the layout's part
    _used: set[str] = field(default_factory=set)  # layouts whose words are on a slide before
    _shown: set[str] = field(default_factory=set)  # words of layouts and masters so far

    def pages(self) -> list[Page]:
        names, trouble = self._slides()
        if len(names) > MOST_SLIDES:
            raise corrupt(f"it lists more than {MOST_SLIDES:,} slides")
        if not names:
            raise empty("the presentation has no slides")
        slides = [self._slide(name) for name in names]
        slides[0].unread[:0] = trouble
        if all(slide.is_lost for slide in slides):
            raise corrupt(f"the document can't be read: {slides[0].unread[-1]}")
        problems = [sentence for slide in slides for sentence in slide.unread]
        pages = numbered([slide.blocks for slide in slides], list(dict.fromkeys(problems)))
        return [
            replace(page, unread=tuple(dict.fromkeys(slide.unread)), pictures=_undescribed(page))
            for page, slide in zip(pages, slides, strict=True)
        ]

    # --- the presentation -------------------------------------------------------------------------

    def _slides(self) -> tuple[list[str], list[str]]:
        """Return the names of the slides' parts in order, and what could not be read of it.

        If the presentation's own part is broken, the slides are taken by their numbers.
        """
        main = next(
            (r.target for r in self.package.relations("").values() if r.type == "officeDocument"),
            "ppt/presentation.xml",
        )
        try:
            root = self.package.xml(main)
            if local(root) != "presentation":
                raise BrokenPart(f"{main} is no presentation")
        except BrokenPart as broken:
            found = sorted(
                (int(match[1]), name)
                for name in self.package.names
                if (match := _SLIDE.fullmatch(name.replace("\\", "/").lstrip("/")))
            )
            if not found:
                raise corrupt(f"the document can't be read: {broken}") from broken
            return [name for _, name in found], [f"the order of slides is not known: {broken}"]
        relations = self.package.relations(main)
        self._size = _size(root)
        self._authors = dict(self._named_authors(relations))
        return [
            _slide_part(relations, reference(node, "id"))
            for node in root.iterfind("{*}sldIdLst/{*}sldId")
        ], []

    def _named_authors(self, relations: Mapping[str, Relation]) -> Iterator[tuple[str, str]]:
        for relation in relations.values():
            if relation.type not in ("commentAuthors", "authors"):
                continue
            try:
                root = self.package.xml(relation.target)
            except BrokenPart:  # comments are read all the same
                continue
            for node in root:
                yield node.get("id", ""), node.get("name", "")

    # --- one slide --------------------------------------------------------------------------------

    def _slide(self, name: str) -> _Slide:
        slide = _Slide()
        try:
            root = self.package.xml(name)
        except BrokenPart as broken:
            slide.unread.append(f"the slide can't be read: {broken}")
            slide.is_lost = True
            return slide
        relations = self.package.relations(name)
        of_layout = _first(relations, "slideLayout")
        layout = self._layout(of_layout, slide)
        shapes = Shapes(self.package, relations, layout, self._size, slide.unread)
        slide.blocks += shapes.blocks(root.iterfind(_TREE))
        for control in root.iterfind("{*}cSld/{*}controls/{*}control"):
            slide.unread.append(f"the control {control.get('name', '')!r} is not read")
        if root.get("showMasterSp") not in _FALSE and of_layout not in self._used:
            self._used.add(of_layout)
            slide.blocks += self._of_layout(layout)
        for relation in relations.values():
            slide.blocks += self._beside(relation, slide)
        return slide

    def _layout(self, name: str, slide: _Slide) -> Layout:
        """Return the slide's layout; an empty one if it can't be read."""
        if not name:
            return Layout()
        if name not in self._layouts:
            try:
                root = self.package.xml(name)
                master = self.package.xml(_first(self.package.relations(name), "slideMaster"))
                self._layouts[name] = Layout(root, master)
            except BrokenPart as broken:
                slide.unread.append(f"the slide's layout can't be read: {broken}")
                self._layouts[name] = Layout()
        return self._layouts[name]

    def _of_layout(self, layout: Layout) -> Iterator[PageBlock]:
        """Yield the words that layout and master put on slides, unless a slide before had them.

        Their placeholders show nothing on a slide.
        """
        if layout.layout is None:
            return
        shows_master = layout.layout.get("showMasterSp") not in _FALSE
        roots = [layout.layout, layout.master] if shows_master else [layout.layout]
        shapes = Shapes(self.package, {}, Layout(), self._size)
        for root in roots:
            fixed = [shape for shape in root.iterfind(_TREE) if placeholder(shape) is None]
            for block in shapes.blocks(fixed):
                if block.type != "Figure":
                    yield from self._once(
                        replace(block, type="Header" if block.box[1] < 0.5 else "Footer")
                    )

    def _once(self, block: PageBlock) -> Iterator[PageBlock]:
        """Yield a block of what repeats on every slide, unless its words were there before."""
        if block.content not in self._shown:
            self._shown.add(block.content)
            yield block

    # --- notes and comments -----------------------------------------------------------------------

    def _beside(self, relation: Relation, slide: _Slide) -> list[PageBlock]:
        """Return the notes or the comments of a slide; nothing for any other reference."""
        if relation.type not in ("notesSlide", "comments") or relation.external:
            return []
        try:
            root = self.package.xml(relation.target)
        except BrokenPart as broken:
            what = "notes" if relation.type == "notesSlide" else "comments"
            slide.unread.append(f"the slide's {what} can't be read: {broken}")
            return []
        if relation.type == "comments":
            return list(self._comments(root))
        return list(self._notes(root, self.package.relations(relation.target), slide))

    def _notes(
        self, root: Any, relations: Mapping[str, Relation], slide: _Slide
    ) -> Iterator[PageBlock]:
        """Yield what stands on a slide's page of notes, without the picture of the slide."""
        shapes = Shapes(self.package, relations, Layout(), self._size, slide.unread)
        written = [
            shape
            for shape in root.iterfind(_TREE)
            if (mark := placeholder(shape)) is None or type_of(mark) not in _NOT_OF_NOTES
        ]
        for block in shapes.blocks(written):
            here = replace(block, box=WHOLE_PAGE)  # its box is on the page of notes
            if block.type in ("Header", "Footer"):
                yield from self._once(here)
            elif block.type in ("Text", "List Item", "Title", "Section Header"):
                yield replace(here, type="Comment")
            elif block.content:
                yield here

    def _comments(self, root: Any) -> Iterator[PageBlock]:
        """Yield comments and the answers to them, in the old form or that of 2018."""
        for node in descend(root):
            if local(node) not in ("cm", "reply"):
                continue
            body = node.find("{*}txBody")
            text = (node.findtext("{*}text") or "") if body is None else text_of(body)
            author = self._authors.get(node.get("authorId", ""), "")
            if text.strip():
                words = " ".join(text.split())
                yield PageBlock("Comment", f"{author}: {words}" if author else words)


def _first(relations: Mapping[str, Relation], type_: str) -> str:
    """Return the name of the first part of a type that is referred to; "" if there is none."""
    found = (relation.target for relation in relations.values() if relation.type == type_)
    return next(found, "")


def _slide_part(relations: Mapping[str, Relation], identity: str) -> str:
    """Return the name of a slide's part; where nothing tells it, something to name the slide by."""
    relation = relations.get(identity)
    return relation.target if relation is not None else f"the slide {identity!r}"


def _size(root: Any) -> tuple[int, int]:
    """Return a slide's width and height in English metric units."""
    found = root.find("{*}sldSz")
    told = ("", "") if found is None else (found.get("cx", ""), found.get("cy", ""))
    if all(text.isdecimal() and 0 < len(text) < 12 and int(text) for text in told):
        return int(told[0]), int(told[1])
    return _USUAL_SIZE


def _undescribed(slide: Page) -> int:
    """Return the number of pictures without an alternative text."""
    return sum(block.type == "Figure" and not block.content for block in slide.blocks)
