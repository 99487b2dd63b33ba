"""Estimates what one submission may cost before its bill is known: expected, and at most. Pure.

Known pages are counted: those of a PDF, an image, a sheet, slides, or a parse that an extract
reads. What can't be counted here (Word, EPUB, HTML, text, mail, an address) is estimated from what
its type cost per byte so far in this batch, earlier runs included: the average gives what is
expected, the highest cost with a margin gives the maximum. Before the first bill of a type both are
guesses from the size, so only one document of a type is in flight until one bill is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final, NamedTuple

PROBES: Final = 3  # of a type, that may end without a bill before others are sent on a guess
# Factor on the list price of a page to reserve before the first bill of its type.
UNPROVEN: Final = 64.0
# Factor on the most expensive page so far, if bills have shown that the list price is too low.
DEARER: Final = 1.5
# Bills. With fewer, neither is the highest relied on as the maximum, nor are pages taken to be
# cheaper than listed.
FEW: Final = 5
# Bytes per page, usual and at the densest. Zipped formats hold pictures, which fill no page, and
# text that is ten times as long as it looks; plain formats aren't compressed, but lines and slices
# may be short.
PLAIN: Final = (3000, 100)
MARKED_UP: Final = (6000, 100)
PACKED: Final = (50_000, 50)
BYTES_OF_A_PAGE: Final = {
    **dict.fromkeys(("txt", "text", "log", "md", "markdown", "csv", "tsv"), PLAIN),
    **dict.fromkeys(("html", "htm", "eml", "rtf"), MARKED_UP),
}
PAGES_UNSEEN: Final = 200  # the maximum reserved for a document with neither size nor bill


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What is known of a submission before it is made.

    `sort` is its step and type; submissions of one sort share what bills teach. `pages` are
    counted, or taken from the file if not `counted`. `most` is the largest number of pages that the
    job asks for. `size` is in bytes, 0 if unknown. `cost` is the list price in credits of `pages`;
    `page` and `dense` are those of a usual and a dense page.
    """

    sort: str
    cost: float
    page: float
    dense: float
    least: float = 0.0  # credits for a whole document
    extension: str = ""
    size: int = 0
    pages: int = 1
    counted: bool = True
    documents: int = 1  # that one job reads; each may be as long as a single document
    most: int | None = None
    by_cells: bool = False  # a sheet, which isn't priced by its pages
    trusted: bool = False  # the list price is believed without waiting for a first bill
    later: tuple[LaterStep, ...] = ()  # what follows from it, and is to fit as well


@dataclass(frozen=True, slots=True)
class LaterStep:
    """A step that reads the job of a submission: the number of its document, and its own claim."""

    document: int
    claim: Reservation


class Lessons(NamedTuple):
    """What the bills of one sort have taught. Each document counts as one page at least."""

    bills: int = 0
    ended: int = 0  # jobs, with or without a bill
    pages: float = 0.0
    credits: float = 0.0
    longest: float = 0.0  # most pages of one document
    dearest: float = 0.0  # highest credits for one page
    bytes: float = 0.0  # of the documents whose size is known
    beyond: float = 0.0  # pages of those beyond the first of each
    steepest: float = 0.0  # most pages beyond the first per byte, of any document
    longer: float = 0.0  # highest ratio of billed to counted pages
    dearer: float = 0.0  # highest ratio of billed to estimated credits, for counted pages


class Fear(NamedTuple):
    """The pages and credits of one submission: expected, and at most."""

    pages: float
    credits: float
    most_pages: float
    most_credits: float
    is_probe: bool = False  # nothing is known of its type


def fear(claim: Reservation, taught: Lessons) -> Fear:
    """Return the expected and the maximum cost of a submission, given what bills have taught."""
    return _of_counted(claim, taught) if claim.counted else _of_guessed(claim, taught)


def together(first: Fear, later: Iterable[Fear]) -> Fear:
    """Return what a submission and the steps that follow from it come to."""
    pages, credits, most_pages, most_credits, is_probe = first
    for one in later:
        pages += one.pages
        credits += one.credits
        most_pages += one.most_pages
        most_credits += one.most_credits
    return Fear(pages, credits, most_pages, most_credits, is_probe)


def listed(claim: Reservation, feared: Fear) -> float:
    """Return the list price, in credits, of the expected number of pages."""
    return claim.cost if claim.counted else max(claim.least, feared.pages * claim.page)


def _of_counted(claim: Reservation, taught: Lessons) -> Fear:
    pages = claim.pages * max(1.0, taught.longer)
    seen = taught.dearer
    if _is_priced_by_pages(claim):
        seen = max(seen, taught.dearest / claim.page)
    usual = seen if taught.bills >= FEW else max(1.0, seen)
    most = 1.0 if claim.by_cells or not claim.page else claim.dense / claim.page
    if seen > most:
        most = DEARER * seen
    if not taught.bills and not claim.trusted:
        most *= UNPROVEN
    longer = pages / claim.pages
    return Fear(
        pages=pages,
        credits=max(claim.least, claim.cost * usual),
        most_pages=pages,
        most_credits=max(claim.least, claim.cost * most * longer),
    )


def _of_guessed(claim: Reservation, taught: Lessons) -> Fear:
    likely, most = _guessed_pages(claim, taught)
    likely = max(claim.pages, round(likely))
    most = max(likely, ceil(most))
    if claim.most is not None:
        likely = min(likely, claim.most)
        most = min(most, claim.most)
    page = claim.page
    dense = claim.dense
    if taught.bills and not claim.least:
        page = taught.credits / taught.pages
        dense = DEARER * taught.dearest if taught.dearest > dense else dense
    return Fear(
        pages=likely,
        credits=max(claim.least, likely * page),
        most_pages=most,
        most_credits=max(claim.least, most * max(page, dense)),
        is_probe=not taught.bills and taught.ended < PROBES,
    )


def _guessed_pages(claim: Reservation, taught: Lessons) -> tuple[float, float]:
    """Return the number of pages that are likely, and that are possible."""
    usual, densest = (claim.documents * pages for pages in by_size(claim.extension, claim.size))
    if not taught.bills:
        return usual, densest
    likely, most = _learned_pages(claim, taught)
    return likely, max(most, densest) if taught.bills < FEW else most


def by_size(extension: str, size: int) -> tuple[float, float]:
    """Return the usual and the largest number of pages of a document, given only its size."""
    if not size:
        return 1.0, PAGES_UNSEEN
    usual, densest = BYTES_OF_A_PAGE.get(extension, PACKED)
    return size / usual, 1.0 + size / densest


def _learned_pages(claim: Reservation, taught: Lessons) -> tuple[float, float]:
    usual, _ = BYTES_OF_A_PAGE.get(claim.extension, PACKED)
    margin = 1.0 + 7.0 / sqrt(taught.bills)  # factor 4 after five bills, 2 after fifty
    if not claim.size or not taught.bytes:
        return taught.pages / taught.bills, margin * taught.longest
    # As if one more document of this size had been billed as usual for its type: a large document
    # is not a small one repeated.
    average = (taught.beyond + claim.size / usual) / (taught.bytes + claim.size)
    return 1.0 + claim.size * average, margin * (1.0 + claim.size * taught.steepest)


def _is_priced_by_pages(claim: Reservation) -> bool:
    return claim.page > 0 and not claim.by_cells and not claim.least
