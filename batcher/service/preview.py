"""A process that shows pages of documents to people: pictures of PDF and images, text of the rest.

Questions come as JSON lines on stdin, answers go to stdout, one at a time. The documents are
anybody's, so the process has limits, no key and no network of its own to ask; it ends with stdin.
"""

from __future__ import annotations

import io
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from batcher.common.page_preview import Preview, Question
from batcher.service.parsing import parse
from batcher.service.parsing.kinds import kind_of
from batcher.service.parsing.pages import DocumentProblem
from batcher.service.parsing.scans.images import frame_of
from batcher.service.process_limits import ProcessorTime, limit_resources, silence_libraries

CPU_SECONDS: Final = 20  # for one page
LONGEST_SIDE: Final = 1600  # pixels of a picture
LARGEST: Final = 256 << 20  # bytes of a document that is read into memory
WRITTEN_AT_MOST: Final = 64 << 20  # bytes of a file that a converter needs
TEXT_AT_MOST: Final = 100_000  # characters of a page
POINTS: Final = 72  # in an inch, the unit of a PDF
_QUALITY: Final = 82


def main() -> None:
    """Answer questions until stdin ends."""
    out = silence_libraries()
    limit_resources(file_size=WRITTEN_AT_MOST)
    while line := sys.stdin.buffer.readline():
        ProcessorTime(CPU_SECONDS)
        out.write(msgspec.json.encode(_answer(msgspec.json.decode(line, type=Question))) + b"\n")


def _answer(question: Question) -> Preview:
    try:
        return preview(question)
    except DocumentProblem as problem:
        return Preview(problem=problem.message.replace(os.fsdecode(question.path), "it"))
    except MemoryError:
        return Preview(problem="it needs more memory than is allowed")
    except Exception as error:  # whatever a library makes of a document
        return Preview(problem=f"it can't be shown ({type(error).__name__})")


def preview(question: Question) -> Preview:
    """Return a page of the document. Raises DocumentProblem, or what a library raises."""
    path = Path(os.fsdecode(question.path))
    if path.stat().st_size > LARGEST:
        return Preview(problem=f"it is larger than {LARGEST >> 20} MB")
    kind = kind_of(path, question.extension)
    if kind == "pdf":
        return _of_pdf(path.read_bytes(), question.page)
    if kind == "image":
        picture, pages = frame_of(path, question.page)
        return _encoded(picture, pages)
    if kind is None:
        return Preview(problem="documents of its type can't be shown")
    return _of_text(path, question)


def _of_pdf(content: bytes, page: int) -> Preview:
    try:
        size = _pdf_reader(POINTS, page).parse_bytes(content)
    except RuntimeError as error:  # whatever it finds wrong with a document
        locked = "password" in str(error).lower()
        return Preview(problem="it needs a password" if locked else "it is no PDF that can be read")
    if not size.pages:
        return Preview(pages=size.total_pages, problem=f"it has no page {page}")
    longest = max(size.pages[0].width, size.pages[0].height, 1.0)
    dpi = min(LONGEST_SIDE / longest * POINTS, 4.0 * POINTS)
    drawn = _pdf_reader(dpi, page, extract_screenshots=True).parse_bytes(content)
    from PIL import Image

    with Image.open(io.BytesIO(drawn.screenshots[0].image_bytes)) as picture:
        return _encoded(picture, size.total_pages)


def _pdf_reader(dpi: float, page: int, **how: Any) -> Any:
    import liteparse

    reader = liteparse.LiteParse(
        quiet=True, dpi=dpi, ocr_enabled=False, num_workers=1, target_pages=str(page), **how
    )
    return reader._native


def _encoded(picture: Any, pages: int) -> Preview:
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    body = io.BytesIO()
    picture.save(body, "WEBP", quality=_QUALITY, method=2)
    return Preview(
        pages=pages,
        picture=body.getvalue(),
        width=picture.width,
        height=picture.height,
    )


def _of_text(path: Path, question: Question) -> Preview:
    pages = _text_of(path, path.stat().st_mtime_ns, question.extension)
    if not 1 <= question.page <= len(pages):
        return Preview(pages=len(pages), problem=f"it has no page {question.page}")
    text = pages[question.page - 1]
    more = "\n…" if len(text) > TEXT_AT_MOST else ""
    return Preview(pages=len(pages), text=text[:TEXT_AT_MOST] + more)


@lru_cache(maxsize=2)
def _text_of(path: Path, changed_at: int, extension: str) -> list[str]:
    """Return the text of each page; the document is kept, as its pages are leafed through."""
    del changed_at  # so that a file that has changed is read again
    result = parse(path, extension=extension, options={}).result
    pages: dict[int, list[str]] = {}
    for chunk in result["chunks"]:
        for block in chunk["blocks"]:
            pages.setdefault(block["bbox"]["original_page"], []).append(block["content"])
    return ["\n\n".join(pages.get(n, ())) for n in range(1, max(pages, default=1) + 1)]


if __name__ == "__main__":
    main()
