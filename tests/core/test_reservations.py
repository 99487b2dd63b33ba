"""What a submission is expected to cost, and what it is feared to: by what is counted and what
bills have taught.
"""

import pytest

from batcher.core.reservations import DEARER, PROBES, Lessons, Reservation, fear

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
