"""Read what a Word document refers to: notes, comments, inserted files, and alternatives."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from batcher.service.parsing.office.names import attribute, is_understood, name_of
from batcher.service.parsing.word.walk import Readers, Steps, Walk

_READABLE: Final = frozenset(
    "w:t w:sym m:t a:t a:blip v:imagedata v:textpath c:chart cx:chart dgm:relIds".split()
)
# elements of alternatives that are looked at, to see whether anything in one is read
MOST_LOOKED_AT: Final = 500_000


class References:
    """Where a text stands for something that is elsewhere, or for one of several forms."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._looks_left = MOST_LOOKED_AT

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "mc:AlternateContent": self._alternatives,
            "w:footnoteReference": self._footnote,
            "w:endnoteReference": self._endnote,
            "w:commentReference": self._comment,
            "w:commentRangeEnd": self._comment,
            "w:altChunk": self._inserted_file,
            "w:subDoc": self._subdocument,
        }

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
        if self._walk.now.fields.instructions:
            return
        has_own = (attribute(node, "customMarkFollows") or "0") in ("1", "true", "on")
        notes = self._walk.document.notes
        self._walk.write(notes.refer(kind, attribute(node, "id") or "", has_own))

    def _comment(self, node: Any) -> None:
        self._walk.document.notes.comment(attribute(node, "id") or "")

    def _inserted_file(self, node: Any) -> Steps:
        parts = self._walk.document.parts
        blocks = parts.inserted_file(self._walk.now.part, attribute(node, "id", "r"))
        return [lambda block=block: self._walk.add(block) for block in blocks]

    def _subdocument(self, _node: Any) -> None:
        self._walk.document.note("a subdocument, which is another file, is not read")


def _is_known(choice: Any) -> bool:
    required = (choice.get("Requires") or "").split()
    return all(is_understood(choice, prefix) for prefix in required)
