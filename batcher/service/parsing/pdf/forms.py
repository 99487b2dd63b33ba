"""What stands on a PDF's page beside its text: the values of form fields, and annotations.

liteparse returns both apart, and some of the values as text too; those are not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from batcher.service.parsing.pages import WHOLE_PAGE, Box, PageBlock

Boxed = Callable[[Any], Box]

VALUED: Final = frozenset({"text", "combobox", "listbox"})
MARKED: Final = frozenset({"checkbox", "radio"})
PASSWORD: Final = 1 << 13  # the flag of a field that hides what is typed
SILENT: Final = frozenset({"link", "popup", "widget", "fileattachment"})
# Of a page. Many fields may share one long value.
MOST_TEXT: Final = 1_000_000  # characters
MOST_FIELDS: Final = 2000
TOO_MUCH: Final = "not read: its form fields and annotations are too many"
_QUOTE: Final = 12  # characters; a shorter comment isn't taken for a quotation of the page
_TICKS: Final = ("✓", "✔", "✕", "✖", "✗", "✘", "☑", "☒", "✚", "●", "■")
_SLACK: Final = 2.0  # points by which text may stand outside of its field


def beside_text(page: Any, boxed: Boxed) -> tuple[list[PageBlock], list[str]]:
    """Return the blocks that the page's text lacks, and what of them could not be read.

    `page` is liteparse's and `boxed` converts a box of it. A field's value and a text that is typed
    on the page are Text, the comments of a reader are Comment.
    """
    blocks: list[PageBlock] = []
    size = 0
    if max(len(page.form_fields or []), len(page.annotations or [])) > MOST_FIELDS:
        return blocks, [TOO_MUCH]
    for block in (*_values(page, boxed), *_annotations(page, boxed)):
        size += len(block.content)
        if size > MOST_TEXT:
            return blocks, [TOO_MUCH]
        blocks.append(block)
    return blocks, []


def attached(page: Any) -> list[str]:
    """Return the names of the files that are pinned to the page."""
    return [
        annotation.contents or "without a name"
        for annotation in page.annotations or []
        if annotation.subtype == "fileattachment"
    ]


def _values(page: Any, boxed: Boxed) -> Iterator[PageBlock]:
    fields = page.form_fields or []
    items = page.text_items if fields else []
    for field in fields:
        value = _value(field)
        if value and not _is_written(value, field, page.text, items):
            yield PageBlock("Text", value, boxed(field.rect) if field.rect else WHOLE_PAGE)


def _value(field: Any) -> str:
    """Return what the field shows; a box that is ticked is shown with its name."""
    if _type(field) in MARKED:
        return f"☑ {_name(field)}".strip() if field.checked else ""
    if _type(field) not in VALUED or field.field_flags & PASSWORD:
        return ""
    chosen = field.value or ", ".join(field.selected_options)
    return _in_lines(chosen)


def _in_lines(text: str) -> str:
    """Return the lines that aren't blank; in PDFs they mostly end with a carriage return."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _type(field: Any) -> str:
    """Return the type of a field, which liteparse's native part calls otherwise."""
    return str(getattr(field, "field_type", None) or field.type)


def _name(field: Any) -> str:
    return field.alternate_name or (field.name or "").rpartition(".")[2]


def _is_written(value: str, field: Any, text: str, items: Sequence[Any]) -> bool:
    """Tell whether the page's text has something where the field stands: its value, as much of it
    as is seen, or its tick.
    """
    if field.rect is None:
        return _squeezed(value) in _squeezed(text)
    return any(_lies_in(item, field.rect) or _ticks(item, field.rect) for item in items)


def _lies_in(item: Any, rect: Any) -> bool:
    return _is_at(rect, item.x + item.width / 2, item.y + item.height / 2)


def _ticks(item: Any, rect: Any) -> bool:
    """Tell whether a line begins with a tick that lies in the box."""
    text = item.text
    return text.startswith(_TICKS) and _is_at(rect, item.x, item.y + item.height / 2)


def _is_at(rect: Any, across: float, down: float) -> bool:
    return bool(
        rect.x - _SLACK <= across <= rect.x + rect.width + _SLACK
        and rect.y - _SLACK <= down <= rect.y + rect.height + _SLACK
    )


def _annotations(page: Any, boxed: Boxed) -> Iterator[PageBlock]:
    told = [
        annotation
        for annotation in page.annotations or []
        if annotation.subtype not in SILENT and (annotation.contents or "").strip()
    ]
    written = _squeezed(page.text) if told else ""
    for annotation in told:
        text = _in_lines(annotation.contents)
        letters = _squeezed(text)
        if len(letters) >= _QUOTE and letters in written:
            continue  # some readers put the text that is marked into the mark
        kind = "Text" if annotation.subtype == "freetext" else "Comment"
        yield PageBlock(kind, text, boxed(annotation.rect) if annotation.rect else WHOLE_PAGE)


def _squeezed(text: str) -> str:
    return "".join(filter(str.isalnum, text))
