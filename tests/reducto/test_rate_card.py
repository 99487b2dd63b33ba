"""What a document is expected to cost, and what a bill comes to, by both rate cards."""

from typing import Any

import pytest

from batcher.core.cost_estimate import quote
from batcher.reducto.job import Job
from batcher.reducto.rate_card import Measure, Prices, billed, leaves_model_open, rate

TEN = Measure(pages=10)
AGENTIC = {"enhance": {"agentic": [{"scope": "table"}]}}
# endpoint, options, credits of ten pages by either card; list prices at $0.015 a credit
CARDS: dict[str, tuple[str, dict[str, Any], float, float]] = {
    "a parse": ("parse", {}, 10, 10),
    "a parse by r-1": ("parse", {"settings": {"model": "r-1"}}, 10, 0.10 / 0.015),
    "an agentic parse": ("parse", AGENTIC, 20, 20),
    "an extract, its parse included": ("extract", {}, 30, 0.20 / 0.015),
    "an extract of an agentic parse": ("extract", {"parsing": AGENTIC}, 40, 0.20 / 0.015),
    "a deep extract": ("extract", {"settings": {"deep_extract": True}}, 50, 0.40 / 0.015),
    "an extract in haste": (
        "extract",
        {"settings": {"optimize_for_latency": True}},
        60,
        0.40 / 0.015,
    ),
    "a split": ("split", {}, 30, 0.20 / 0.015),
    "a deep split": ("split", {"settings": {"deep_split": True}}, 50, 0.40 / 0.015),
    "a classification": ("classify", {}, 5, 0.075 / 0.015),
}


@pytest.mark.parametrize("name", CARDS)
def test_ten_pages_cost_what_the_cards_say(name: str) -> None:
    """Credits of earlier accounts, and the list's dollars turned into credits."""
    endpoint, options, credits, listed = CARDS[name]
    job = Job(endpoint=endpoint, options=options)
    assert rate(job, Prices()).likely(TEN, "pdf") == pytest.approx(credits)
    assert rate(job, Prices(card="list")).likely(TEN, "pdf") == pytest.approx(listed)


def test_a_job_on_top_of_a_parse_pays_for_no_parse() -> None:
    """As with `jobid://`."""
    assert rate(Job(endpoint="extract"), Prices(), chained=True).likely(TEN, "pdf") == 20


def test_the_batch_lane_is_a_fifth_cheaper_for_a_parse_alone() -> None:
    """An extract may be asked to wait, and costs the same."""
    assert rate(Job(queue_priority="batch"), Prices()).page == pytest.approx(0.8)
    assert rate(Job(endpoint="extract", queue_priority="batch"), Prices()).page == 3


def test_a_short_deep_extract_costs_its_least() -> None:
    """Thirty credits, or a tenth of one for each field."""
    schema = {
        "type": "object",
        "properties": {str(number): {"type": "string"} for number in range(400)},
    }
    job = Job(endpoint="extract", options={"settings": {"deep_extract": True}})
    assert rate(job, Prices()).likely(Measure(), "pdf") == 30
    wide = Job(endpoint="extract", options={**job.options, "instructions": {"schema": schema}})
    assert rate(wide, Prices()).likely(Measure(), "pdf") == 40


def test_sheets_cost_by_their_cells_and_texts_half() -> None:
    """A limit counts both in full all the same: it is met from below."""
    of = rate(Job(), Prices())
    sheet = Measure(pages=2, cells=4001)
    assert (of.likely(sheet, "xlsx"), of.reserve(sheet)) == (5, 5)
    assert (of.likely(Measure(3), "md"), of.reserve(Measure(3))) == (1.5, 3)
    quick = Job(options={"spreadsheet": {"clustering": "fast"}})
    assert rate(quick, Prices()).likely(sheet, "xlsx") == 1


def test_a_price_of_ones_own_goes_before_the_card() -> None:
    """Whatever the options are; the ledger counts in credits still."""
    prices = Prices(dollars_per_page={"parse": 0.006}, dollars_per_credit=0.012)
    assert rate(Job(options=AGENTIC), prices).likely(TEN, "pdf") == pytest.approx(5)


BILLS: dict[str, tuple[dict[str, Any], float | None]] = {
    "credits": ({"num_pages": 3, "credits": 4.5}, 4.5),
    "nothing": ({"num_pages": 3}, None),
    "a later account's parse": (
        {
            "credits": None,
            "usage_breakdown": {
                "parse_model": "R-1",
                "tier": "Default",
                "parse_pages": 3,
                "charts": 1,
            },
        },
        (3 * 0.010 + 0.06) / 0.015,
    ),
    "the same from the batch lane": (
        {"usage_breakdown": {"parse_model": "R-1", "tier": "Batch", "parse_pages": 3}},
        0.8 * 2,
    ),
    "a legacy parse": (
        {
            "usage_breakdown": {
                "parse_model": "Legacy",
                "tier": "Default",
                "legacy_parse_credits": 7,
            }
        },
        7,
    ),
    "an extract with OCR": (
        {"usage_breakdown": {"extract_model": "Extract", "extract_pages": 2, "ocr_pages": 2}},
        (2 * 0.020 + 2 * 0.002) / 0.015,
    ),
    "a model of the future": ({"usage_breakdown": {"parse_model": "R-9", "parse_pages": 3}}, None),
    "a list instead of a table": ({"usage_breakdown": [1, 2]}, None),
    "words instead of numbers": (
        {"usage_breakdown": {"parse_model": "R-1", "parse_pages": "three"}},
        0,
    ),
}


@pytest.mark.parametrize("name", BILLS)
def test_a_bill_is_read_in_credits_or_in_quantities(name: str) -> None:
    """Accounts of the later price list are told quantities alone."""
    usage, credits = BILLS[name]
    assert billed(usage, Prices()) == (credits if credits is None else pytest.approx(credits))


def test_a_quote_shows_both_lanes_and_both_cards() -> None:
    """In dollars, and how much it is at most."""
    told = quote(
        [("pdf", Measure(100)), ("txt", Measure(10))],
        Job(options={"settings": {"model": "r-1"}}),
        Prices(),
    )
    assert (told.pages, told.credits) == (110, 105)
    assert told.dollars == pytest.approx(1.575)
    assert told.at_most == pytest.approx(0.015 * 205)
    assert told.batch_lane == pytest.approx(0.8 * 1.575)
    assert told.by_list == pytest.approx(1.10)
    assert quote([], Job(endpoint="extract"), Prices()).batch_lane is None


def test_a_model_that_is_left_open_is_noticed() -> None:
    """At the place where the endpoint has it."""
    assert leaves_model_open(Job()) and leaves_model_open(Job(endpoint="extract"))
    assert not leaves_model_open(Job(options={"settings": {"model": "r-1"}}))
    assert not leaves_model_open(
        Job(endpoint="extract", options={"parsing": {"settings": {"model": "legacy"}}})
    )
    assert not leaves_model_open(Job(endpoint="classify"))
