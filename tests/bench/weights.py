"""Documents that cost a reader little, much more, and most of all: what `cluster.py` reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "service")]

from scans import PROSE, as_pdf, blank, write  # noqa: E402
from vendors_tests import pdf_of  # noqa: E402

HANDBOOK = ROOT / "examples" / "documents" / "handbook" / "workshop-handbook.pdf"
LONG_PAGES = 80  # of text: about 0.1 s of a reader's time
LINES = 36  # of a page of text


class Weight(NamedTuple):
    """A document, and how often it is read in a round for each reading of the handbook."""

    name: str
    suffix: str
    content: bytes
    share: float


def weights() -> list[Weight]:
    """Return them, the lightest first."""
    return [
        Weight("PDF of 12 pages", ".pdf", HANDBOOK.read_bytes(), 1.0),
        Weight(f"PDF of {LONG_PAGES} pages", ".pdf", pdf_with_text(LONG_PAGES), 0.4),
        Weight("scan of a page", ".pdf", scan(), 0.2),
    ]


def pdf_with_text(pages: int) -> bytes:
    """Return a PDF whose pages are of prose, each with its number."""
    numbers = range(4, 4 + 2 * pages, 2)
    kids = b" ".join(b"%d 0 R" % number for number in numbers)
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (pages, kids),
        font,
    ]
    for page, number in enumerate(numbers, start=1):
        text = b"BT /F1 11 Tf 14 TL 72 760 Td (Page %d) Tj T*\n" % page
        text += b"".join(
            b"(%s %s) Tj T*\n" % (PROSE[line % 7].encode(), PROSE[(line + page) % 7].encode())
            for line in range(LINES)
        )
        text += b"ET"
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % (number + 1),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        ]
    return pdf_of(objects)


def scan() -> bytes:
    """Return a PDF that is a picture of a page."""
    page = blank()
    write(page, (120, 150), [*PROSE, "", *PROSE, "", *PROSE])
    return as_pdf([page])
