"""Pictures of pages, and of the figures and tables on them, for `settings.return_images`.

They are cut out of the pictures that the reader rendered; a page without one gets none.
"""

from __future__ import annotations

import io
from collections.abc import Container, Iterator
from dataclasses import replace
from typing import Any, Final

from batcher.service.parsing.pages import Page, PageBlock

CUT_OUT: Final = {"Figure": "figure", "Table": "table"}


def illustrated(pages: list[Page], wanted: Container[str]) -> tuple[list[Page], dict[str, bytes]]:
    """Return the pages with the names of their pictures, and the pictures (PNG) by name.

    `wanted` holds the API's values "page", "figure" and "table".
    """
    images: dict[str, bytes] = {}
    return [_illustrate(page, wanted, images) if page.picture else page for page in pages], images


def _illustrate(page: Page, wanted: Container[str], images: dict[str, bytes]) -> Page:
    cut = dict(_cut_out(page, wanted))
    blocks = [
        replace(block, image=_name(page, n)) if n in cut else block
        for n, block in enumerate(page.blocks)
    ]
    images |= {_name(page, n): content for n, content in cut.items()}
    if "page" not in wanted:
        return replace(page, blocks=blocks)
    name = f"page-{page.number}.png"
    images[name] = page.picture
    return replace(page, blocks=blocks, image=name)


def _cut_out(page: Page, wanted: Container[str]) -> Iterator[tuple[int, bytes]]:
    """Yield the index and the picture of each wanted block of the page."""
    places = [n for n, block in enumerate(page.blocks) if CUT_OUT.get(block.type) in wanted]
    if not places:
        return
    from PIL import Image

    with Image.open(io.BytesIO(page.picture)) as picture:
        for place in places:
            yield place, _crop(picture, page.blocks[place])


def _crop(picture: Any, block: PageBlock) -> bytes:
    left, top, width, height = block.box
    corner = (int(left * (picture.width - 1)), int(top * (picture.height - 1)))
    size = (max(1, round(width * picture.width)), max(1, round(height * picture.height)))
    out = io.BytesIO()
    picture.crop((*corner, corner[0] + size[0], corner[1] + size[1])).save(out, "PNG")
    return out.getvalue()


def _name(page: Page, place: int) -> str:
    return f"page-{page.number}-block-{place + 1}.png"
