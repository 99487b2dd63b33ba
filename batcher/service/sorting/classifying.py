"""Which of some categories a document is, by the words of their criteria; "unknown" where too few of them occur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from batcher.service.sorting.relevance import Topic, covered, scores, support, terms_of, topic
from batcher.service.sorting.splitting import pages_of

UNKNOWN: Final = "unknown"
REFUGES: Final = frozenset({"other", "others", "unknown", "none", "miscellaneous", "misc", "uncategorized", "else"})
CLEAR: Final = 0.4  # the share of a criterion's words that speaks for it with high confidence
LEAST: Final = 0.5  # confidence; a category with less isn't named


def classify(result: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """The API's answer but for its usage. A category for the rest, like "other", takes what speaks for none."""
    categories = request.get("classification_schema") or []
    terms = [term for page in pages_of(result) for term in page.terms]
    terms += terms_of(request.get("document_metadata") or "")
    topics = [topic(_plain(c["category"]), " ".join(c["criteria"])) for c in categories]
    counted = Counter(terms)
    likely = [
        round(share * support(one, counted), 4)
        for share, one in zip(_shares(scores([terms], topics)[0]), topics, strict=True)
    ]
    chosen = _chosen(categories, likely)
    confidence = [_confidence(c, share, counted) for c, share in zip(categories, likely, strict=True)]
    answer: dict[str, Any] = {"result": {"category": chosen}, "response_confidence": {"categories": confidence}}
    if groups := request.get("category_groups"):
        answer["extra_metadata"] = {"grouping": _group(groups, chosen)}
    return answer


def _chosen(categories: Sequence[Mapping[str, Any]], likely: list[float]) -> str:
    best = max(likely, default=0.0)
    if best >= LEAST and likely.count(best) == 1:
        return str(categories[likely.index(best)]["category"])
    refuges = [c["category"] for c in categories if _plain(c["category"]).casefold() in REFUGES]
    return str(refuges[0]) if refuges else UNKNOWN


def _shares(values: list[float]) -> list[float]:
    """Of the whole that speaks for anything, squared: a lead of two to one is a confidence of four fifths."""
    squares = [value * value for value in values]
    whole = sum(squares)
    return [square / whole if whole else 0.0 for square in squares]


def _confidence(category: Mapping[str, Any], share: float, terms: Counter[str]) -> dict[str, Any]:
    criteria = [
        {"criterion": criterion, "confidence": "high" if _speaks_for(topic("", criterion), terms) else "low"}
        for criterion in category["criteria"]
    ]
    return {"category": category["category"], "confidence": share, "criteria_confidence": criteria}


def _speaks_for(criterion: Topic, terms: Counter[str]) -> bool:
    return covered(criterion.terms, terms) >= CLEAR


def _group(groups: Mapping[str, Any], category: str) -> str:
    return next((name for name, labels in groups.items() if category in labels), "ungrouped")


def _plain(label: str) -> str:
    return label.replace("_", " ").replace("-", " ")
