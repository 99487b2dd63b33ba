"""What a document is expected to cost, and what billed quantities amount to.

The service bills, not we. There are two rate cards, as published on `AS_OF`: credits for accounts
from before that day, and dollars per page for later ones. The ledger counts credits, so dollars are
converted at the price of a credit. A manifest's [prices] takes precedence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, NamedTuple

from batcher.reducto.api_types import UNITS_AT_MOST
from batcher.reducto.job import Job

AS_OF: Final = "2026-09-01"
BATCH_LANE: Final = 0.8  # factor on the price of a parse
# By the `clustering` that separates a sheet's tables.
CELLS_PER_CREDIT: Final = {
    "accurate": 1000,
    "fast": 5000,
    "disabled": 5000,
}
SHEETS: Final = frozenset("xlsx xlsm xls xltx xltm csv tsv ods qpw".split())
TEXTS: Final = frozenset("txt html htm md rtf".split())
TEXT_PAGE: Final = 0.5  # factor on a page's price, on the card in credits
CHART_CREDITS: Final = 4.0  # in addition, for each chart that an advanced agent reads
DEEP_FIELD = 0.1  # credits for each field of a deep extract, and the minimum for all
DEEP_LEAST = 30.0

# Dollars per page, by the model's name in a bill.
LIST: Final[Mapping[str, float]] = {
    "R-1": 0.010,
    "Legacy": 0.015,
    "Extract": 0.020,  # includes the parse
    "Deep Extract": 0.040,
    "Split": 0.020,
    "Deep Split": 0.040,
    "Classify": 0.0075,
    "Deep Classify": 0.0075,  # its own price isn't published
    "Normal": 0.060,  # for an edit
    "Prefill": 0.015,
}
ADD_ONS: Final = {"charts": 0.06, "ocr_pages": 0.002, "prompted_blocks": 0.005}  # dollars each
# A bill names `parse_model`, `parse_pages`, and so on.
_ENDPOINTS: Final = (
    "parse",
    "extract",
    "split",
    "classify",
    "edit",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the account pays.

    `dollars_per_page`, by endpoint, takes precedence over the card; it was noted on the day
    `as_of`.
    """

    card: str = "credits"  # for accounts from before 2026-09-01; "list" for later ones
    dollars_per_credit: float = 0.015
    dollars_per_page: Mapping[str, float] = field(default_factory=dict)
    as_of: str = ""


class Measure(NamedTuple):
    """The size of a document, as far as it is known without reading it.

    `cells` are those of a spreadsheet. If not `counted`, `pages` is what the file says, or one, and
    the bill may have any number.
    """

    pages: int = 1
    cells: int = 0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """Credits for a page of a job: as a rule, if `dense` (tables, figures), and if plain `text`."""

    page: float
    dense: float
    text: float
    # cells of a sheet that cost as much as a page; 0 if sheets are billed by the page
    cells: int = 0
    least: float = 0.0  # for a whole document

    def reserve(self, measure: Measure) -> float:
        """Return the credits that count against a limit until the bill is known.

        That is no less than the submission usually costs.
        """
        return max(self.least, self.page * max(measure.pages, self._units(measure)))

    def is_by_cells(self, measure: Measure, extension: str) -> bool:
        """Whether it is billed by its cells, which don't get denser."""
        return bool(self.cells and measure.cells and extension in SHEETS)

    def likely(self, measure: Measure, extension: str) -> float:
        """Return the cost of a document, in credits, if its pages are as usual."""
        return max(
            self.least,
            self._sum(measure, extension, self.text if extension in TEXTS else self.page),
        )

    def at_most(self, measure: Measure, extension: str) -> float:
        """Return the cost if every page is dense."""
        return max(
            self.least,
            self._sum(measure, extension, self.text if extension in TEXTS else self.dense),
        )

    def _sum(self, measure: Measure, extension: str, page: float) -> float:
        if self.cells and extension in SHEETS:
            return self.page * max(1, self._units(measure))
        return page * measure.pages

    def _units(self, measure: Measure) -> int:
        return ceil(measure.cells / self.cells) if self.cells else 0


def rate(job: Job, prices: Prices, *, chained: bool = False) -> Rate:
    """Return the rate in credits, by the manifest's own price or else by its card.

    `chained` means that the input is a job, which is parsed already.
    """
    own = prices.dollars_per_page.get(job.endpoint)
    if own is not None:
        page = own / prices.dollars_per_credit
        return Rate(page, page, page)
    return by_credits(job, chained=chained) if prices.card == "credits" else by_list(job, prices)


def by_credits(job: Job, *, chained: bool = False) -> Rate:
    """Return a job's rate by the card in credits. `chained` means that the parse is paid for."""
    parsing = _Asked.of(job)
    asked = job.options.get("settings") or {}
    if job.endpoint == "classify":
        return Rate(0.5, 0.5, 0.5)
    own = 0.0 if job.endpoint == "parse" else 2.0
    least = 0.0
    if asked.get("deep_extract") or asked.get("deep_split"):
        own = 4.0
    if asked.get("deep_extract"):
        fields = _fields((job.options.get("instructions") or {}).get("schema"))
        least = max(DEEP_LEAST, DEEP_FIELD * fields)
    faster = 2.0 if asked.get("optimize_for_latency") else 1.0
    lane = BATCH_LANE if _in_batch_lane(job) else 1.0
    page = 2.0 if parsing.agentic else 1.0
    dense = 2.0 * page + (CHART_CREDITS if parsing.charts else 0.0)
    parses = (0.0, 0.0, 0.0) if chained else (lane * page, lane * dense, lane * page * TEXT_PAGE)
    usual, most, text = (faster * (own + parse) for parse in parses)
    return Rate(usual, most, text, cells=parsing.cells_per_credit, least=least)


def by_list(job: Job, prices: Prices) -> Rate:
    """Return a job's rate by the price list in dollars, converted to credits."""
    parsing = _Asked.of(job)
    asked = job.options.get("settings") or {}
    deep = "Deep " if asked.get("deep_extract") or asked.get("deep_split") else ""
    add_ons = sum(ADD_ONS[name] for name in parsing.add_ons)
    ocr = ADD_ONS["ocr_pages"] if "ocr_pages" in parsing.add_ons else 0.0
    if job.endpoint == "parse":
        lane = BATCH_LANE if _in_batch_lane(job) else 1.0
        legacy = parsing.model != "r-1"
        page = LIST["Legacy" if legacy else "R-1"] * (2.0 if legacy and parsing.agentic else 1.0)
        costs = [
            lane * (page + ocr),
            lane * ((2.0 if legacy else 1.0) * page + add_ons),
            lane * (page + ocr),
        ]
    else:
        name = {"pipeline": "Extract"}.get(job.endpoint, job.endpoint.capitalize())
        faster = 2.0 if asked.get("optimize_for_latency") else 1.0
        page = faster * LIST[deep + name]
        costs = [page + ocr, page + add_ons, page + ocr]
    usual, most, text = (cost / prices.dollars_per_credit for cost in costs)
    return Rate(usual, most, text)


def billed(usage: Mapping[str, Any], prices: Prices) -> float | None:
    """Return the credits of a result's `usage`.

    If it only has quantities, as on later accounts, their price is returned. None if it has
    neither.
    """
    credits = _number(usage.get("credits"))
    told = usage.get("usage_breakdown")
    if credits is not None or not isinstance(told, Mapping):
        return credits
    for endpoint in _ENDPOINTS:
        model = told.get(f"{endpoint}_model")
        if isinstance(model, str) and model in LIST:
            return _priced(told, endpoint, model, prices)
    return None


def _priced(told: Mapping[str, Any], endpoint: str, model: str, prices: Prices) -> float:
    def many(name: str) -> float:
        return _number(told.get(name)) or 0.0

    page = prices.dollars_per_page.get(endpoint, LIST[model])
    pages = many(f"{endpoint}_pages") + many(f"{endpoint}_native_pages")
    dollars = page * pages + LIST["Prefill"] * many("prefill_pages")
    if model == "Legacy" and endpoint not in prices.dollars_per_page:  # still billed in credits
        dollars = many("legacy_parse_credits") * LIST["Legacy"]
    dollars += sum(price * many(name) for name, price in ADD_ONS.items())
    return (
        dollars * (BATCH_LANE if told.get("tier") == "Batch" else 1.0) / prices.dollars_per_credit
    )


def _number(value: Any) -> float | None:
    sane = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value < UNITS_AT_MOST
    )
    return float(value) if sane else None


# --- what a job asks for, as far as it costs ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of the parse, which is the job itself or its first half."""

    agentic: bool = False
    charts: bool = False
    model: str | None = None
    cells_per_credit: int = CELLS_PER_CREDIT["accurate"]
    add_ons: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, job: Job) -> _Asked:
        options = job.options if job.endpoint == "parse" else _table(job.options, "parsing")
        enhance = _table(options, "enhance")
        settings = _table(options, "settings")
        scopes = [scope for scope in enhance.get("agentic") or () if isinstance(scope, Mapping)]
        charts = any(one.get("advanced_chart_agent") for one in (enhance, *scopes))
        told = {
            "charts": charts,
            "ocr_pages": settings.get("return_ocr_data"),
            "prompted_blocks": any(scope.get("prompt") for scope in scopes),
        }
        clustering = _table(options, "spreadsheet").get("clustering")
        cells = CELLS_PER_CREDIT.get(str(clustering), CELLS_PER_CREDIT["accurate"])
        add_ons = tuple(name for name, wanted in told.items() if wanted)
        return cls(bool(scopes), charts, settings.get("model"), cells, add_ons)


def leaves_model_open(job: Job) -> bool:
    """Whether the service chooses the parsing model, which it announced to change on 2026-12-07."""
    return job.endpoint in ("parse", "extract", "split") and _Asked.of(job).model is None


def asks_to_persist(job: Job) -> bool:
    """Whether the service is asked to keep results beyond their retention."""
    options = job.options if job.endpoint == "parse" else _table(job.options, "parsing")
    return bool(_table(options, "settings").get("persist_results"))


def _in_batch_lane(job: Job) -> bool:
    return job.endpoint == "parse" and job.queue_priority == "batch"


def _table(options: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = options.get(name)
    return value if isinstance(value, Mapping) else {}


def _fields(schema: Any) -> int:
    """Return the number of leaves in a JSON Schema.

    Those of an array count once, as the number of its items is unknown.
    """
    if not isinstance(schema, Mapping):
        return 0
    inner = [
        *_table(schema, "properties").values(),
        *([schema["items"]] if "items" in schema else []),
    ]
    return sum(map(_fields, inner)) if inner else 1
