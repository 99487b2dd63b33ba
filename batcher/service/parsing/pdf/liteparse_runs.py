"""Run liteparse on the bytes of a PDF, and translate its errors. What it returns isn't touched."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.pages import DocumentProblem, corrupt, protected

DPI: Final = 150  # for both the pictures of pages and OCR


def run(content: bytes, *, password: str | None, **how: Any) -> Any:
    """Run liteparse on the bytes; by path it would rely on the extension, which uploads lack.

    Returns what its native part does, where there is one to be had: the classes of Python's that
    are made of it are the same, and take a tenth of the time.
    """
    reader = reader_for(password, **how)
    native = getattr(reader, "_native", None)
    try:
        return reader.parse(content) if native is None else native.parse_bytes(content)
    except MemoryError:
        raise
    except Exception as error:  # liteparse makes its ParseError of any
        raise problem_of(str(error)) from error


def reader_for(password: str | None, **how: Any) -> Any:
    """Return a reader, which is kept unless its options are those of one document."""
    if password is None and "target_pages" not in how:
        return _reader(**how)
    return _new_reader(password=password, **how)


@lru_cache(maxsize=8)
def _reader(**how: Any) -> Any:
    """Return the reader for these options; to make one and to end it takes as long as a page."""
    return _new_reader(password=None, **how)


def _new_reader(*, password: str | None, dpi: float = DPI, **how: Any) -> Any:
    import liteparse

    # `scans.ocr` recognises text. Threads for OCR would cost a millisecond to start, and without
    # its data liteparse would try to download it.
    return liteparse.LiteParse(
        quiet=True, dpi=dpi, password=password, ocr_enabled=False, num_workers=1, **how
    )


def problem_of(message: str) -> DocumentProblem:
    """Return the document's error for what liteparse says of it."""
    said = message.lower()
    if "password" in said or "encrypt" in said:
        return protected()
    if "too large" in said or "dimension" in said:
        return DocumentProblem(ErrorName.IMAGE_TOO_LARGE, message, 413)
    return corrupt(message)


def listed(numbers: Sequence[int]) -> str:
    """Return page numbers as liteparse's `target_pages`."""
    return ",".join(map(str, numbers))
