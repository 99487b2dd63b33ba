"""Keep the footnotes, endnotes and comments of a Word document until they are due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from batcher.service.parsing.numbering import formatted_number
from batcher.service.parsing.office.names import attribute, child, value
from batcher.service.parsing.word.parts import Parts
from batcher.service.parsing.word.walk import Step, Steps, Walk

# The kinds of notes, with the format of their numbers unless the document says another.
_NOTES: Final = {"footnotes": "decimal", "endnotes": "lowerRoman"}


class Notes:
    """The notes and comments of a document, and which of them were written so far."""

    def __init__(
        self,
        parts: Parts,
        *,
        note: Callable[[str], None],
        body: Any,
        sections: Sequence[Any],
        settings: Any,
    ) -> None:
        """`note` is told what isn't read; sections and settings say how notes are numbered."""
        self._parts = parts
        self._note = note
        self._body = body
        self._sections = sections
        self._settings = settings
        self._items: dict[str, dict[str, Any]] = {}  # notes and comments by id
        self._marks: dict[str, dict[str, str]] = {kind: {} for kind in _NOTES}
        self._due: dict[str, list[str]] = {kind: [] for kind in _NOTES}
        self._commented: set[str] = set()
        self._comments_due: list[str] = []

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

    def footnotes_of_page(self, story: Walk) -> Steps:
        """Return the steps that write the footnotes of the page that ends."""
        return self.notes_due("footnotes", story)

    def notes_due(self, kind: str, story: Walk) -> Steps:
        """Return the steps that write the notes which the text referred to since the last ones."""
        due = self._due[kind]
        self._due[kind] = []
        part = self._parts.part_name(kind) or ""
        steps: list[Step] = []
        for id_ in due:
            found = self._items_of(kind).get(id_)
            if found is None:
                self._note(f"a note of the {kind} is not read: it isn't in the file")
                continue
            steps += story.within(found, part=part, type_="Text", label=self._marks[kind][id_])
        return steps

    def _items_of(self, kind: str) -> dict[str, Any]:
        """Return the notes or comments of a part by id."""
        if kind not in self._items:
            root = self._parts.part(kind)
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

    def comment(self, id_: str) -> None:
        """Have a comment written after the paragraph or table that it belongs to."""
        if id_ not in self._commented:
            self._commented.add(id_)
            self._comments_due.append(id_)

    def comments_so_far(self, story: Walk) -> Steps:
        """Return the steps that write the comments which weren't written yet."""
        due = self._comments_due
        self._comments_due = []
        part = self._parts.part_name("comments") or ""
        steps: list[Step] = []
        for id_ in due:
            found = self._items_of("comments").get(id_)
            if found is None:
                self._note("a comment is not read: it isn't in the file")
                continue
            author = attribute(found, "author")
            label = f"{author}:" if author else ""
            steps += story.within(found, part=part, type_="Comment", label=label)
        return steps

    def comments_left(self, story: Walk) -> Steps:
        """Return the steps for comments that the document refers to nowhere, not even deleted."""
        marks = self._body.iter("{*}commentReference", "{*}commentRangeEnd")
        self._commented |= {attribute(mark, "id") or "" for mark in marks}
        for id_ in self._items_of("comments"):
            self.comment(id_)
        return self.comments_so_far(story)
