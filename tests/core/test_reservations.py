"""What a submission is expected to cost, and what it is feared to: by what is counted and what
bills have taught.
"""

from dataclasses import replace

import pytest

from batcher.core.reservations import (
    DEARER,
    PROBES,
    Fear,
    Lessons,
    Reservation,
    by_size,
    fear,
    listed,
    together,
)

COUNTED = Reservation(
    sort="s pdf", extension="pdf", cost=4.0, page=1.0, dense=2.0, size=9000, pages=4
)
WORD = Reservation(
    sort="s docx", extension="docx", cost=1.0, page=1.0, dense=2.0, size=10_000, counted=False
)
# A hundred documents of 10 kB with two pages each; the longest had five.
KNOWN = Lessons(100, 100, 200.0, 200.0, 5.0, 1.0, 1_000_000.0, 100.0, 4 / 10_000)


@pytest.mark.parametrize("taught", [Lessons(), KNOWN])
def test_counted_pages_are_reserved_as_they_are(taught: Lessons) -> None:
    """Whatever others were billed."""
    feared = fear(COUNTED, taught)
    assert (feared.pages, feared.most_pages, feared.is_probe) == (4, 4, False)


def test_counted_pages_may_all_be_dense() -> None:
    """By the list; before the first bill nobody is sure of the list."""
    assert (fear(COUNTED, KNOWN).credits, fear(COUNTED, KNOWN).most_credits) == (4, 8)
    assert fear(COUNTED, Lessons()).most_credits > 100


def test_pages_dearer_than_the_list_are_feared_of_all() -> None:
    """A price that the manifest has wrong shows in the first bill."""
    feared = fear(COUNTED, Lessons(1, 1, 1.0, 20.0, 1.0, 20.0))
    assert (feared.credits, feared.most_credits) == (80, 80 * DEARER)


def test_pages_cheaper_than_the_list_are_expected_once_several_were() -> None:
    """Of one bill nobody concludes that."""
    assert fear(COUNTED, Lessons(4, 4, 4.0, 2.0, 1.0, 0.5)).credits == 4
    assert fear(COUNTED, Lessons(5, 5, 5.0, 2.5, 1.0, 0.5)).credits == 2


def test_a_type_without_a_bill_is_probed() -> None:
    """Until there is one, or a few have ended without one."""
    assert fear(WORD, Lessons()).is_probe and fear(WORD, Lessons()).most_pages > 100
    assert not fear(WORD, Lessons(ended=PROBES)).is_probe
    assert not fear(WORD, KNOWN).is_probe


def test_uncounted_pages_are_expected_as_on_average_and_feared_as_at_the_steepest() -> None:
    """For a byte, beyond the first page; the more bills, the narrower the margin."""
    feared = fear(WORD, KNOWN)
    assert feared.pages == 2 and 5 < feared.most_pages <= 10
    longer = fear(Reservation(**{**_values(WORD), "size": 100_000}), KNOWN)
    assert 10 <= longer.pages <= 11 and longer.most_pages > 41
    assert fear(WORD, KNOWN._replace(bills=10_000)).most_pages < feared.most_pages


def test_a_short_text_says_little_of_a_long_one() -> None:
    """Ten bytes on one page don't make a page of every ten bytes."""
    short = Lessons(50, 50, 50.0, 50.0, 1.0, 1.0, 500.0, 0.0, 0.0)
    assert (
        fear(Reservation(**{**_values(WORD), "size": 60_000, "extension": "txt"}), short).pages < 25
    )


def test_of_unknown_size_the_longest_so_far_counts() -> None:
    """An address says nothing of what lies behind it."""
    address = Reservation(**{**_values(WORD), "size": 0})
    assert fear(address, Lessons()).most_pages >= 100
    assert fear(address, KNOWN).pages == 2 and fear(address, KNOWN).most_pages >= 5


def test_no_more_is_reserved_than_the_job_asks_for() -> None:
    """A page range bounds what can't be counted, too."""
    asked = Reservation(**{**_values(WORD), "size": 1_000_000, "most": 3})
    assert fear(asked, Lessons()).most_pages == 3 and fear(asked, KNOWN).pages == 3


def test_what_the_file_says_of_itself_is_expected_at_least() -> None:
    """As Word notes it; the service may still lay it out on more."""
    assert fear(Reservation(**{**_values(WORD), "pages": 7}), KNOWN).pages == 7


def test_a_least_price_is_reserved_for_the_shortest() -> None:
    """As a deep extract has; a page's price isn't read off bills then."""
    deep = Reservation(
        **{**_values(COUNTED), "least": 30.0, "page": 4.0, "dense": 4.0, "cost": 30.0}
    )
    feared = fear(deep, Lessons(5, 5, 5.0, 150.0, 1.0, 30.0, dearer=1.0))
    assert (feared.credits, feared.most_credits) == (30, 30)


def _values(claim: Reservation) -> dict[str, object]:
    return {name: getattr(claim, name) for name in claim.__slots__}


def test_a_list_is_feared_to_be_as_long_as_all_its_documents_may_be() -> None:
    """Before the first bill of as many; later bills tell of the list as a whole."""
    alone = Reservation(sort="s pdf", extension="pdf", cost=1.0, page=1.0, dense=2.0, counted=False)
    three = Reservation(
        sort="s x3",
        extension="x3",
        cost=3.0,
        page=1.0,
        dense=2.0,
        counted=False,
        pages=3,
        documents=3,
    )
    assert fear(three, Lessons()).pages == 3
    assert fear(three, Lessons()).most_pages == 3 * fear(alone, Lessons()).most_pages
    assert fear(three, Lessons(100, 100, 600.0, 600.0, 9.0, 1.0)).pages == 6


# --- in figures -----------------------------------------------------------------------------------

TAUGHT = Lessons(bills=49, ended=49, pages=98.0, credits=98.0, longest=5.0, dearest=1.0)


def test_nothing_is_taught_before_the_first_bill() -> None:
    """Each sum and each highest value begins at nothing."""
    assert set(Lessons()) == {0}


def test_of_a_submission_only_what_must_be_said_is_said() -> None:
    """The rest is one counted page of one document, at the price of the list or more."""
    claim = Reservation(sort="s pdf", cost=1.0, page=1.0, dense=2.0)
    assert (claim.pages, claim.documents, claim.counted, claim.most) == (1, 1, True, None)
    assert (claim.least, claim.size, claim.by_cells, claim.trusted) == (0.0, 0, False, False)
    assert claim.extension == "" and claim.later == ()


@pytest.mark.parametrize(
    ("extensions", "size", "usual", "densest"),
    [
        ("txt text log md markdown csv tsv", 6000, 2.0, 61.0),
        ("html htm eml rtf", 6000, 1.0, 61.0),
        ("docx epub", 100_000, 2.0, 2001.0),
        ("txt html docx", 0, 1.0, 200.0),
    ],
    ids=["plain", "marked up", "packed", "of unknown size"],
)
def test_a_type_has_so_many_bytes_to_a_page(
    extensions: str, size: int, usual: float, densest: float
) -> None:
    """Usually, and where it is as dense as can be."""
    for extension in extensions.split():
        assert by_size(extension, size) == (usual, densest), extension


def test_a_document_and_its_later_steps_come_to_their_sum() -> None:
    """Whether it is tried alone is said by the first of them."""
    first = Fear(1.0, 2.0, 3.0, 4.0, True)
    later = [Fear(10.0, 20.0, 30.0, 40.0), Fear(100.0, 200.0, 300.0, 400.0)]
    assert together(first, later) == (111.0, 222.0, 333.0, 444.0, True)
    assert together(first, []) == first


def test_the_price_of_the_list_is_that_of_the_pages_expected() -> None:
    """Counted ones are priced already; the least price is that of any document."""
    expected = Fear(6.0, 0.0, 0.0, 0.0)
    assert listed(COUNTED, expected) == 4.0
    assert listed(replace(WORD, page=2.0), expected) == 12.0
    assert listed(replace(WORD, page=2.0, least=30.0), expected) == 30.0


def test_before_the_first_bill_the_list_may_be_wrong_by_a_factor() -> None:
    """Unless it is trusted."""
    assert fear(COUNTED, Lessons()).most_credits == 4 * 2 * 64
    assert fear(replace(COUNTED, trusted=True), Lessons()).most_credits == 4 * 2
    assert fear(COUNTED, Lessons(1, 1, 1.0, 1.0, 1.0, 1.0)).most_credits == 4 * 2


def test_documents_that_were_longer_than_counted_are_expected_again() -> None:
    """In pages, and at the dearest in credits; shorter ones change nothing."""
    assert fear(COUNTED, KNOWN._replace(longer=0.5)) == (4, 4, 4, 8, False)
    longer = fear(COUNTED, KNOWN._replace(longer=2.0))
    assert (longer.pages, longer.most_pages, longer.credits) == (8, 8, 4)
    assert longer.most_credits == 4 * 2 * 2


@pytest.mark.parametrize(
    ("dearest", "credits", "most"),
    [(1.0, 4.0, 16.0), (4.0, 16.0, 16.0), (6.0, 24.0, 36.0)],
    ids=["cheaper than listed", "as dear as dense ones", "dearer than dense ones"],
)
def test_pages_are_feared_as_the_dearest_so_far_with_a_margin(
    dearest: float, credits: float, most: float
) -> None:
    """Only where the list has no price as high: four pages, at 2 credits or 4 for a dense one."""
    claim = replace(COUNTED, cost=8.0, page=2.0, dense=4.0)
    feared = fear(claim, TAUGHT._replace(dearest=dearest))
    assert (feared.credits, feared.most_credits) == (credits, most)


def test_a_sheet_is_priced_by_its_cells() -> None:
    """What its pages cost says nothing; what the estimate was worth does."""
    sheet = replace(COUNTED, by_cells=True)
    assert fear(sheet, TAUGHT._replace(dearest=9.0, dearer=1.0)).most_credits == 4
    dearer = fear(sheet, TAUGHT._replace(dearer=3.0))
    assert (dearer.credits, dearer.most_credits) == (12, 18)


def test_pages_without_a_price_are_priced_as_a_whole() -> None:
    """As where a document has one price."""
    whole = replace(COUNTED, page=0.0, dense=0.0)
    feared = fear(whole, TAUGHT._replace(dearest=9.0, dearer=1.0))
    assert (feared.credits, feared.most_credits) == (4, 4)


def test_a_least_price_is_no_price_of_a_page() -> None:
    """Thirty credits for a page are no sign of dear pages, counted or guessed."""
    taught = TAUGHT._replace(pages=49.0, credits=1470.0, dearest=30.0, dearer=1.0)
    counted = fear(replace(COUNTED, least=30.0), taught)
    assert (counted.credits, counted.most_credits) == (30.0, 30.0)
    guessed = fear(replace(WORD, least=30.0, size=0), taught)
    assert (guessed.credits, guessed.most_credits) == (30.0, 30.0)
    assert fear(replace(COUNTED, least=3.0), taught).credits == 4.0
    longer = fear(replace(WORD, least=3.0, size=0, pages=7), taught)
    assert (longer.credits, longer.most_credits) == (7.0, 20.0)


def test_a_page_that_cannot_be_counted_costs_what_it_did_so_far() -> None:
    """And at most what a dense one does, or more than the dearest so far."""
    cheap = fear(replace(WORD, size=0), TAUGHT._replace(credits=49.0, dearest=2.0))
    assert (cheap.credits, cheap.most_credits) == (2 * 0.5, 10 * 2.0)
    dear = fear(replace(WORD, size=0), TAUGHT._replace(credits=294.0, dearest=4.0))
    assert (dear.credits, dear.most_credits) == (2 * 3.0, 10 * 6.0)
    listed_dear = fear(replace(WORD, size=0, page=9.0, dense=9.0), Lessons())
    assert (listed_dear.credits, listed_dear.most_credits) == (9.0, 200 * 9.0)
    without_dense = fear(replace(WORD, size=0, dense=0.0), TAUGHT._replace(dearest=0.0))
    assert without_dense.most_credits == 10 * 1.0


def test_of_unknown_size_as_many_pages_are_expected_as_on_average() -> None:
    """Feared are twice as many as the longest had, after 49 bills, and the more the fewer bills."""
    address = replace(WORD, size=0)
    assert fear(address, TAUGHT)[::2] == (2, 10, False)
    sixteen = TAUGHT._replace(bills=16, pages=48.0, longest=4.0)
    assert fear(address, sixteen)[::2] == (3, 11, False)
    assert fear(replace(WORD, size=9), sixteen)[::2] == (3, 11, False), "none had a size"


def test_by_size_pages_beyond_the_first_count() -> None:
    """A megabyte among a megabyte of others, which had a page beyond the first for each 10 kB."""
    taught = TAUGHT._replace(bytes=1_000_000.0, beyond=100.0, steepest=1 / 5000)
    feared = fear(replace(WORD, size=1_000_000), taught)
    assert (feared.pages, feared.most_pages) == (1 + 60, 2 * (1 + 200))


@pytest.mark.parametrize(("bills", "most"), [(4, 200), (5, 5)])
def test_of_few_bills_none_is_the_highest(bills: int, most: int) -> None:
    """Until there are five, what was feared without any is feared still."""
    taught = Lessons(bills, bills, bills * 1.0, bills * 1.0, 1.0, 1.0)
    assert fear(replace(WORD, size=0), taught).most_pages == most


def test_no_more_pages_are_feared_than_the_job_asks_for_nor_fewer_than_expected() -> None:
    """Both bounds hold where they are equal, too."""
    assert fear(replace(WORD, size=0, pages=7), TAUGHT._replace(longest=2.0)).most_pages == 7
    assert fear(replace(WORD, size=0, pages=7, most=7), TAUGHT)[::2] == (7, 7, False)
    assert fear(replace(WORD, size=0, pages=7, most=5), TAUGHT)[::2] == (5, 5, False)
    assert fear(replace(WORD, size=0, most=0), TAUGHT)[::2] == (0, 0, False)


@pytest.mark.parametrize(("ended", "is_probe"), [(0, True), (2, True), (3, False)])
def test_three_of_a_type_may_end_without_a_bill(ended: int, is_probe: bool) -> None:
    """Before others are sent on a guess; of one bill more is known."""
    assert fear(WORD, Lessons(ended=ended)).is_probe is is_probe
    assert not fear(WORD, Lessons(1, ended, 1.0, 1.0, 1.0, 1.0)).is_probe
