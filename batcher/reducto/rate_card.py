"""What a document is expected to cost, and what the quantities come to that a service bills. The
service bills, not we.

Two rate cards, as published on `AS_OF`: credits, of accounts from before that day, and dollars a
page, of later ones. The ledger counts in credits, so dollars are turned into credits at the price
of one. A manifest's [prices] goes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, NamedTuple

from batcher.reducto.api_types import UNITS_AT_MOST
from batcher.reducto.job import Job

AS_OF: Final = "2026-09-01"
BATCH_LANE: Final = 0.8  # of the price of a parse
# by how a sheet's tables are told apart
CELLS_PER_CREDIT: Final = {
    "accurate": 1000,
    "fast": 5000,
    "disabled": 5000,
}
SHEETS: Final = frozenset("xlsx xlsm xls xltx xltm csv tsv ods qpw".split())
TEXTS: Final = frozenset("txt html htm md rtf".split())
TEXT_PAGE: Final = 0.5  # of a page's price, on the card of credits
CHART_CREDITS: Final = 4.0  # more, for each chart that an advanced agent reads
DEEP_FIELD = 0.1  # credits: of a deep extract, for each field, and at least in all
DEEP_LEAST = 30.0

# Dollars a page, by what a bill calls the model.
LIST: Final[Mapping[str, float]] = {
    "R-1": 0.010,
    "Legacy": 0.015,
    "Extract": 0.020,  # the parse is in it
    "Deep Extract": 0.040,
    "Split": 0.020,
    "Deep Split": 0.040,
    "Classify": 0.0075,
    "Deep Classify": 0.0075,  # its own price isn't published
    "Normal": 0.060,  # of an edit
    "Prefill": 0.015,
}
ADD_ONS: Final = {"charts": 0.06, "ocr_pages": 0.002, "prompted_blocks": 0.005}  # dollars for each
# a bill names `parse_model`, `parse_pages`, …
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

    `dollars_per_page`, by endpoint, goes before the card; noted `as_of` that day.
    """

    card: str = "credits"  # of accounts from before 2026-09-01; "list" of later ones
    dollars_per_credit: float = 0.015
    dollars_per_page: Mapping[str, float] = field(default_factory=dict)
    as_of: str = ""


class Measure(NamedTuple):
    """How large a document is, as far as can be told without reading it. `cells` of a spreadsheet.

    `counted`: whether the pages were; else they are what the file says, or one, and the bill may
    have any number.
    """

    pages: int = 1
    cells: int = 0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """Credits for a page of a job: as a rule, where the page is `dense` (tables, figures), and of
    plain `text`.
    """

    page: float
    dense: float
    text: float
    cells: int = 0  # of a sheet that cost as much as a page; 0 where sheets are billed by the page
    least: float = 0.0  # for a whole document

    def reserve(self, measure: Measure) -> float:
        """What a limit counts a submission with until its bill is known: no less than it costs as a
        rule.
        """
        return max(self.least, self.page * max(measure.pages, self._units(measure)))

    def is_by_cells(self, measure: Measure, extension: str) -> bool:
        """Whether it is billed by its cells, which don't get denser."""
        return bool(self.cells and measure.cells and extension in SHEETS)

    def likely(self, measure: Measure, extension: str) -> float:
        return max(
            self.least,
            self._sum(measure, extension, self.text if extension in TEXTS else self.page),
        )

    def at_most(self, measure: Measure, extension: str) -> float:
        """Where every page is dense."""
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
    """In credits, by the manifest's own price, or else by its card.

    `chained`: its input is a job, parsed already.
    """
    own = prices.dollars_per_page.get(job.endpoint)
    if own is not None:
        page = own / prices.dollars_per_credit
        return Rate(page, page, page)
    return by_credits(job, chained=chained) if prices.card == "credits" else by_list(job, prices)


def by_credits(job: Job, *, chained: bool = False) -> Rate:
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
    """The credits of a result's `usage`; where it only tells quantities, as on later accounts, what
    they come to.

    None where it tells neither.
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
    if (
        model == "Legacy" and endpoint not in prices.dollars_per_page
    ):  # this one is counted in credits still
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
    """Of the parse, be it the job itself or the first half of it."""

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
    """Whether the service chooses the model that parses: its choice is announced to change on
    2026-12-07.
    """
    return job.endpoint in ("parse", "extract", "split") and _Asked.of(job).model is None


def asks_to_persist(job: Job) -> bool:
    """Whether the service is asked to keep results beyond their time."""
    options = job.options if job.endpoint == "parse" else _table(job.options, "parsing")
    return bool(_table(options, "settings").get("persist_results"))


def _in_batch_lane(job: Job) -> bool:
    return job.endpoint == "parse" and job.queue_priority == "batch"


def _table(options: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = options.get(name)
    return value if isinstance(value, Mapping) else {}


def _fields(schema: Any) -> int:
    """Leaves of a JSON Schema: an array's count once, for nobody knows how many items there will
    be.
    """
    if not isinstance(schema, Mapping):
        return 0
    inner = [
        *_table(schema, "properties").values(),
        *([schema["items"]] if "items" in schema else []),
    ]
    return sum(map(_fields, inner)) if inner else 1
