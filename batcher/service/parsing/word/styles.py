"""The styles of a Word document: which type of block a paragraph is, and what is hidden.

A style is known by its id; its name is English in what Word writes, and may be in any language in
what other programs write. Properties that a style lacks are those of the style it is based on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from batcher.service.parsing.office.names import attribute, child, is_on, name_of, number, value

DEEPEST: Final = 64  # styles that are based on each other; Word allows eleven
BODY: Final = 9  # the outline level of text that is no heading
_TITLES: Final = re.compile(
    r"(document )?title|titel|titre|t[ií]tulo|titolo|tytuł|название|заголовок|标题|표제|表題|"
    r"otsikko|název|název dokumentu|cím|konu başlığı",
    re.IGNORECASE,
)
_HEADINGS: Final = re.compile(
    r"(heading|überschrift|berschrift|titre|t[ií]tulo|titolo|rubrik|kop|overskrift|otsikko|"
    r"nagłówek|nagwek|nadpis|címsor|başlık|заголовок|标题|見出し|제목)\s*\d.*|"
    r"heading|sub-?title|untertitel|sous-titre|subt[ií]tulo|sottotitolo|toc heading",
    re.IGNORECASE,
)
_LISTS: Final = re.compile(r"list (bullet|number)( \d)?|list(bullet|number)\d?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What the paragraphs of a style have in common.

    `type` is a type of block, `level` a list's level or None if the list itself must say it.
    `breaks_before` is True if each of them begins a page.
    """

    type: str
    hidden: bool
    breaks_before: bool
    list: str | None
    level: int | None


class Styles:
    """The styles by id; a document without a part for them has none."""

    def __init__(self, root: Any = None) -> None:
        nodes = [] if root is None else [one for one in root if name_of(one.tag) == "w:style"]
        self._nodes = {attribute(one, "styleId") or "": one for one in nodes}
        self._default = next(
            (
                id_
                for id_, one in self._nodes.items()
                if attribute(one, "type") == "paragraph"
                and attribute(one, "default") in ("1", "true", "on")
            ),
            "",
        )
        self._paragraphs: dict[str, ParagraphStyle] = {}
        self._hidden: dict[str, bool] = {}

    def paragraph(self, id_: str | None) -> ParagraphStyle:
        """Return what a paragraph has by its style; without one, that of the default style."""
        id_ = id_ or self._default
        if id_ not in self._paragraphs:
            self._paragraphs[id_] = self._read(id_)
        return self._paragraphs[id_]

    def hides(self, id_: str | None) -> bool:
        """Tell whether text of this style is hidden."""
        id_ = id_ or ""
        if id_ not in self._hidden:
            told = (is_on(found, "w:vanish") for found in self._properties(id_, "w:rPr"))
            self._hidden[id_] = next((one for one in told if one is not None), False)
        return self._hidden[id_]

    def _read(self, id_: str) -> ParagraphStyle:
        list_ = level = breaks = None
        for properties in self._properties(id_, "w:pPr"):
            breaks = is_on(properties, "w:pageBreakBefore") if breaks is None else breaks
            numbering = child(properties, "w:numPr")
            if numbering is None:
                continue
            list_ = value(numbering, "w:numId") if list_ is None else list_
            level = value(numbering, "w:ilvl") if level is None else level
        found = None if level is None else number(level, 0)
        return ParagraphStyle(self._type(id_), self.hides(id_), bool(breaks), list_, found)

    def _type(self, id_: str) -> str:
        for one, node in self._chain(id_):
            name = "" if node is None else value(node, "w:name") or ""
            for called in (name, one):
                if _TITLES.fullmatch(called):
                    return "Title"
                if _HEADINGS.fullmatch(called):
                    return "Section Header"
                if _LISTS.fullmatch(called):
                    return "List Item"
            outline = None if node is None else outline_of(child(node, "w:pPr"))
            if outline is not None:
                return "Section Header" if outline < BODY else "Text"
        return "Text"

    def _properties(self, id_: str, name: str) -> Iterator[Any]:
        """Yield the properties that are called `name`, of the style and what it is based on."""
        for _, node in self._chain(id_):
            found = None if node is None else child(node, name)
            if found is not None:
                yield found

    def _chain(self, id_: str) -> Iterator[tuple[str, Any]]:
        """Yield the style and what it is based on; a style that isn't there is only an id."""
        for _ in range(DEEPEST):
            node = self._nodes.get(id_)
            yield id_, node
            above = None if node is None else value(node, "w:basedOn")
            if not above:
                return
            id_ = above


def outline_of(properties: Any) -> int | None:
    """Return a paragraph's own outline level, 0 for the highest heading, or None."""
    told = None if properties is None else value(properties, "w:outlineLvl")
    return None if told is None else number(told, BODY)
