"""Read the text of OpenDocument: put together the walk over it and the readers of its elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batcher.service.parsing.opendocument.lists import Lists
from batcher.service.parsing.opendocument.notes import Notes
from batcher.service.parsing.opendocument.paging import Master, Paging
from batcher.service.parsing.opendocument.paragraphs import Paragraphs
from batcher.service.parsing.opendocument.shapes import Shapes
from batcher.service.parsing.opendocument.slides import Slides
from batcher.service.parsing.opendocument.styles import Styles, qname
from batcher.service.parsing.opendocument.tables import Tables
from batcher.service.parsing.opendocument.walk import Walk

# elements whose text isn't shown
_SILENT: Final = """
    table:covered-table-cell text:tracked-changes table:tracked-changes
    text:table-of-content-source text:illustration-index-source text:table-index-source
    text:object-index-source text:user-index-source text:alphabetical-index-source
    text:bibliography-source text:script office:forms office:event-listeners office:binary-data
    office:dde-source draw:page-thumbnail draw:image-map draw:glue-point
    presentation:footer-decl presentation:header-decl presentation:date-time-decl svg:title
    svg:desc
""".split()


class TextWalk:
    """One walk over a document's body. `unread` names what could not be read, in sentences."""

    def __init__(
        self,
        walk: Walk,
        *,
        page_styles: Styles,
        masters: Mapping[str, Master],
        controls: Mapping[str, str],
        declared: Mapping[str, Any],
    ) -> None:
        """`walk` is prepared for the document, and has no readers of its elements yet.

        `page_styles` are the styles of headers, footers and master pages. `controls` has the text
        of form controls by id, `declared` the footers and dates of slides.
        """
        self._walk = walk
        self._notes = Notes(self._walk)
        self._paging = Paging(self._walk, page_styles=page_styles, masters=masters)
        lists = Lists(self._walk)
        shapes = Shapes(self._walk, notes=self._notes, controls=controls)
        paragraphs = Paragraphs(
            self._walk, lists=lists, notes=self._notes, paging=self._paging, shapes=shapes
        )
        tables = Tables(self._walk, notes=self._notes, paging=self._paging)
        slides = Slides(self._walk, notes=self._notes, paging=self._paging, declared=declared)
        self._walk.beside_the_line = shapes.beside_the_line
        self._walk.readers = {
            **paragraphs.readers,
            **self._paging.readers,
            **self._notes.readers,
            **lists.readers,
            **tables.readers,
            **shapes.readers,
            **slides.readers,
            **dict.fromkeys(map(qname, _SILENT), _skip),
        }

    @property
    def unread(self) -> list[str]:
        """Return a sentence for each part that could not be read."""
        return list(self._walk.unread)

    @property
    def pictures(self) -> Mapping[int, int]:
        """Return the number of pictures without an alternative text, by page."""
        return self._walk.pictures

    def walk(self, body: Any) -> None:
        """Write all text of `body`, the element that holds the document's content.

        Raises DocumentProblem if it has too many elements or too much text.
        """
        self._walk.run([body])
        if not self._paging.begun:
            self._walk.run(self._paging.first_page(""))
        self._walk.run([*self._notes.taken(), *self._paging.taken_footers()])


def _skip(_node: Any) -> None:
    """Leave out what isn't shown."""
