"""What one submission may cost, as far as that can be told before its bill: what is expected, and
what is feared.

What is known is counted: the pages of a PDF, an image, a sheet, slides, of a parse that an extract
goes on from. What can't be counted here (Word, EPUB, HTML, text, mail, an address) is judged by
what its type cost for a byte so far, in this batch, earlier runs included: on average what is
expected, at the steepest and with a margin what is feared. Before the first bill of a type both are
guesses by its size, which is why only one of a type is out until one is known. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final, NamedTuple

PROBES: Final = 3  # of a type, that may end without a bill before its others are sent on a guess
# times the list's price that is feared of a page before the first bill of its type
UNPROVEN: Final = 64.0
# times the dearest page so far, where bills have shown the list's price to be too low
DEARER: Final = 1.5
# bills: nobody relies yet on their being the highest, or on pages being cheaper than in the list
FEW: Final = 5
# Bytes for a page, as a rule and at the densest. Zipped formats hold pictures, which fill no page,
# and text ten times as long as it looks; plain ones are what they are, but lines and slices may be
# short.
PLAIN: Final = (3000, 100)
MARKED_UP: Final = (6000, 100)
PACKED: Final = (50_000, 50)
BYTES_OF_A_PAGE: Final = {
    **dict.fromkeys(("txt", "text", "log", "md", "markdown", "csv", "tsv"), PLAIN),
    **dict.fromkeys(("html", "htm", "eml", "rtf"), MARKED_UP),
}
PAGES_UNSEEN: Final = 200  # feared of what has neither size nor bill


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What is known of a submission. `sort` is its step and type, which share what bills teach.

    `pages` are counted, or said by the file where not `counted`; `most` is how many the job asks
    for at most. `size` in bytes, 0 where nobody knows. `cost` is what the list says for `pages`,
    `page` and `dense` for one, in credits.
    """

    sort: str
    cost: float
    page: float
    dense: float
    least: float = 0.0  # for a whole document
    extension: str = ""
    size: int = 0
    pages: int = 1
    counted: bool = True
    documents: int = 1  # that one job reads; each may be as long as a document alone
    most: int | None = None
    by_cells: bool = False  # a sheet: not priced by its pages
    trusted: bool = False  # nobody waits for a first bill before the list's price is believed


class Lessons(NamedTuple):
    """What the bills of one sort have taught. Pages are no less than one for each document."""

    bills: int = 0
    ended: int = 0  # with a bill or without one
    pages: float = 0.0
    credits: float = 0.0
    longest: float = 0.0  # pages of one document
    dearest: float = 0.0  # credits for one page
    bytes: float = 0.0  # of those whose size is known
    beyond: float = 0.0  # their pages beyond the first
    steepest: float = 0.0  # … for one byte, of that document which had the most
    longer: float = 0.0  # pages billed for one counted, at most
    dearer: float = 0.0  # credits billed for one estimated, at most; of what was counted


class Fear(NamedTuple):
    """Of one submission: what it will cost as far as anybody can tell, and what it might."""

    pages: float
    credits: float
    most_pages: float
    most_credits: float
    is_probe: bool = False  # nothing is known of its type


def fear(claim: Reservation, taught: Lessons) -> Fear:
    return _of_counted(claim, taught) if claim.counted else _of_guessed(claim, taught)


def listed(claim: Reservation, feared: Fear) -> float:
    """What as many pages as are expected cost by the list."""
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
    """As many as are likely, and as may be."""
    usual, densest = (claim.documents * pages for pages in by_size(claim.extension, claim.size))
    if not taught.bills:
        return usual, densest
    likely, most = _learned_pages(claim, taught)
    return likely, max(most, densest) if taught.bills < FEW else most


def by_size(extension: str, size: int) -> tuple[float, float]:
    """Pages of a document of so many bytes, of which nothing else is known: as a rule, and at the
    densest.
    """
    if not size:
        return 1.0, PAGES_UNSEEN
    usual, densest = BYTES_OF_A_PAGE.get(extension, PACKED)
    return size / usual, 1.0 + size / densest


def _learned_pages(claim: Reservation, taught: Lessons) -> tuple[float, float]:
    usual, _ = BYTES_OF_A_PAGE.get(claim.extension, PACKED)
    margin = 1.0 + 7.0 / sqrt(taught.bills)  # fourfold after five bills, double after fifty
    if not claim.size or not taught.bytes:
        return taught.pages / taught.bills, margin * taught.longest
    # As though one more of this size had been billed as such types usually are: a large one is no
    # small one repeated.
    average = (taught.beyond + claim.size / usual) / (taught.bytes + claim.size)
    return 1.0 + claim.size * average, margin * (1.0 + claim.size * taught.steepest)


def _is_priced_by_pages(claim: Reservation) -> bool:
    return claim.page > 0 and not claim.by_cells and not claim.least
