"""Group blocks into chunks by `retrieval.chunking`, and convert both into the API's JSON."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from batcher.service.parsing.citations import citations_of
from batcher.service.parsing.pages import Box, Page, PageBlock, Word, misconfigured

Placed = tuple[Page, PageBlock]

VARIABLE_SIZE: Final = 1000  # characters; without chunk_size the API aims at 250 to 1500
HEADINGS: Final = frozenset({"Title", "Section Header"})


def chunks_of(pages: list[Page], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the API's chunks of the pages' blocks.

    Raises DocumentProblem INVALID_CONFIG if `chunk_mode` is unknown.
    """
    retrieval = options.get("retrieval") or {}
    chunking = retrieval.get("chunking") or {}
    mode = chunking.get("chunk_mode") or "disabled"
    if mode not in MODES:
        raise misconfigured(f"chunk_mode {mode!r} is not one of {', '.join(MODES)}")
    hidden = frozenset(retrieval.get("filter_blocks") or ())
    placed = [(page, block) for page in pages for block in page.blocks]
    groups = MODES[mode](placed, chunking.get("chunk_size") or VARIABLE_SIZE)
    formatting = options.get("formatting") or {}
    settings = options.get("settings") or {}
    marked = bool(formatting.get("add_page_markers"))
    # The API says "not supported with merge_tables"; whether it refuses such a request or ignores
    # the setting is not documented.
    cited = bool(settings.get("return_citations")) and not formatting.get("merge_tables")
    return [_chunk(group, hidden, marked, cited) for group in groups if group]


def _whole(placed: list[Placed], _size: int) -> Iterator[list[Placed]]:
    yield placed


def _by_block(placed: list[Placed], _size: int) -> Iterator[list[Placed]]:
    for one in placed:
        yield [one]


def _by_page(placed: list[Placed], _size: int) -> Iterator[list[Placed]]:
    yield from _cut(placed, lambda group, one: group[-1][0] is not one[0])


def _by_section(placed: list[Placed], _size: int) -> Iterator[list[Placed]]:
    yield from _cut(placed, _opens_section)


def _by_page_section(placed: list[Placed], _size: int) -> Iterator[list[Placed]]:
    yield from _cut(
        placed, lambda group, one: group[-1][0] is not one[0] or _opens_section(group, one)
    )


def _by_size(placed: list[Placed], size: int) -> Iterator[list[Placed]]:
    def is_full(group: list[Placed], one: Placed) -> bool:
        length = sum(len(block.content) for _, block in group)
        return length + len(one[1].content) > size or (
            length > size // 2 and one[1].type in HEADINGS
        )

    yield from _cut(placed, is_full)


MODES: Final = {
    "disabled": _whole,
    "variable": _by_size,
    "section": _by_section,
    "page": _by_page,
    "block": _by_block,
    "page_sections": _by_page_section,
}


def _opens_section(group: list[Placed], one: Placed) -> bool:
    """Tell whether a block opens a section: a heading, unless the group has only headings so far.

    So a title stays with its subtitle.
    """
    return one[1].type in HEADINGS and any(block.type not in HEADINGS for _, block in group)


def _cut(placed: Iterable[Placed], ends: Any) -> Iterator[list[Placed]]:
    group: list[Placed] = []
    for one in placed:
        if group and ends(group, one):
            yield group
            group = []
        group.append(one)
    yield group


def _chunk(
    group: list[Placed], hidden: frozenset[str], marked: bool, cited: bool
) -> dict[str, Any]:
    shown = [(page, block) for page, block in group if block.content and block.type not in hidden]
    content = "\n\n".join(
        _with_markers(shown) if marked else (_rendered(block) for _, block in shown)
    )
    return {
        "content": content,
        "embed": content,
        "enriched": None,
        "enrichment_success": False,
        "blocks": [_block(page, block, cited) for page, block in group],
    }


def _with_markers(shown: list[Placed]) -> Iterator[str]:
    """Put each page's part of a chunk between markers with the page's number in the document."""
    for page, blocks in itertools.groupby(shown, key=lambda placed: placed[0].original):
        yield f"[[START OF PAGE {page}]]"
        yield from (_rendered(block) for _, block in blocks)
        yield f"[[END OF PAGE {page}]]"


def _rendered(block: PageBlock) -> str:
    mark = {"Title": "# ", "Section Header": "## ", "List Item": "- "}.get(block.type, "")
    return mark + block.content


def _block(page: Page, block: PageBlock, cited: bool) -> dict[str, Any]:
    extra = {"page_image_url": page.image} if page.image else {}
    if cited and page.words:
        extra |= citations_of(page, block, _bbox)
    whole = {
        "type": block.type,
        "bbox": _bbox(page, block.box),
        "content": block.content,
        "image_url": block.image,
        "confidence": "high" if block.sure else "low",
        "granular_confidence": None,
        "extra": extra or None,
    }
    return (
        {**whole, "merged_tables": [_part(*part) for part in block.parts]} if block.parts else whole
    )


def _part(page: Page, block: PageBlock) -> dict[str, Any]:
    return {"content": block.content, "bbox": _bbox(page, block.box), "image_url": block.image}


def _bbox(page: Page, box: Box) -> dict[str, Any]:
    place = dict(zip(("left", "top", "width", "height"), box, strict=True))
    return {**place, "page": page.number, "original_page": page.original}


def ocr_of(pages: list[Page]) -> dict[str, Any]:
    """Return the API's OCRResult: every word and line with its box."""
    return {
        "words": [_found(page, word) for page in pages for word in page.words],
        "lines": [_found(page, line) for page in pages for line in page.lines],
    }


def _found(page: Page, word: Word) -> dict[str, Any]:
    return {"text": word.text, "bbox": _bbox(page, word.box), "confidence": word.confidence}
