"""Read the fields of a Word document where they stand in its text."""

from __future__ import annotations

from typing import Any

from batcher.service.parsing.office.names import attribute
from batcher.service.parsing.word.fields import UNMATCHED, form_of, shown_without_result
from batcher.service.parsing.word.walk import Readers, Steps, Walk


class FieldTexts:
    """What the fields of a text show."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "w:fldChar": self._field,
            "w:instrText": self._instruction,
            "w:fldSimple": self._simple_field,
        }

    def _field(self, node: Any) -> None:
        kind = attribute(node, "fldCharType")
        fields = self._walk.now.fields
        if kind == "begin" and not node.get(UNMATCHED):
            fields.begin(form_of(node))
        elif kind == "separate":
            fields.separate()
        elif kind == "end":
            found = fields.end()
            if found is not None and found.shown and not found.written:
                self._walk.write(found.shown)
            elif found is not None and not found.in_result:
                self._show_without_result("".join(found.instruction))

    def _instruction(self, node: Any) -> None:
        self._walk.now.fields.instruct(node.text or "")

    def _simple_field(self, node: Any) -> Steps:
        if next(node.iter("{*}t"), None) is None:
            self._show_without_result(attribute(node, "instr") or "")
        result: Steps = node
        return result

    def _show_without_result(self, instruction: str) -> None:
        if self._walk.now.fields.instructions:
            return
        shown, name = shown_without_result(instruction)
        self._walk.write(shown)
        if name:
            self._walk.document.note(f"the field {name} has no stored result and is not read")
