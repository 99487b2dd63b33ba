"""Put together the walk over one text of a Word document and the readers of its elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batcher.service.parsing.word.drawings import Drawings
from batcher.service.parsing.word.field_texts import FieldTexts
from batcher.service.parsing.word.paragraphs import Paragraphs
from batcher.service.parsing.word.references import References
from batcher.service.parsing.word.tables import Tables
from batcher.service.parsing.word.texts import Texts
from batcher.service.parsing.word.walk import Walk

if TYPE_CHECKING:
    from batcher.service.parsing.word.document import Document


def story_of(document: Document, part: str, type_: str = "") -> Walk:
    """Return a walk that reads all elements of a text.

    `part` is the name of the part that its references are relative to, `type_` the type of all its
    blocks, or "" if their styles tell it.
    """
    walk = Walk(document, part, type_)
    tables = Tables(walk)
    walk.readers = {
        **Texts(walk).readers,
        **FieldTexts(walk).readers,
        **Paragraphs(walk).readers,
        **tables.readers,
        **Drawings(walk, tables).readers,
        **References(walk).readers,
    }
    return walk
