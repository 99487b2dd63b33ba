"""Choose the category of a document by the words of its criteria, or "unknown" if too few occur."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from batcher.service.classification.relevance import (
    Text,
    Topic,
    covered,
    scores,
    support,
    terms_of,
    text_of,
    topic,
)

UNKNOWN: Final = "unknown"
# Categories that take what fits no other, by their usual names.
REFUGES: Final = frozenset(
    {"other", "others", "unknown", "none", "miscellaneous", "misc", "uncategorized", "else"}
)
CLEAR: Final = 0.4  # fraction of a criterion's words that makes its confidence high
UNMET: Final = 0.5  # factor for a category of which no criterion is met
LEAST: Final = 0.5  # a category with less confidence isn't chosen
OPENING: Final = 5  # lines at a document's top among which it may name itself
HEADED: Final = 4  # words that such a line has at most


def classify(result: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the API's classify answer without its usage.

    `result` is a parse's FullResult. A document that fits no category gets the one for the rest,
    such as "other", if the request has one.
    """
    categories = request.get("classification_schema") or []
    blocks = [block for chunk in result["chunks"] for block in chunk["blocks"]]
    counts = text_of(blocks, more=request.get("document_metadata") or "").counts
    names = [set(terms_of(_plain(c["category"]))) for c in categories]
    text = Text(counts, _head(blocks, names))
    topics = [topic(_plain(c["category"]), " ".join(c["criteria"])) for c in categories]
    shares = _shares(scores([text], topics)[0])
    likely = [
        round(share * support(one, text) * _met(category, text), 4)
        for category, share, one in zip(categories, shares, topics, strict=True)
    ]
    chosen = _chosen(categories, likely)
    confidence = [_confidence(c, share, text) for c, share in zip(categories, likely, strict=True)]
    answer: dict[str, Any] = {
        "result": {"category": chosen},
        "response_confidence": {"categories": confidence},
    }
    if groups := request.get("category_groups"):
        answer["extra_metadata"] = {"grouping": _group(groups, chosen)}
    return answer


def _head(blocks: Sequence[Mapping[str, Any]], names: Sequence[set[str]]) -> frozenset[str]:
    """Return the words by which the document names itself.

    Those are its first line, if that is short, and lines near it that are a category's name.
    Other headings don't count more: a chapter's says what the chapter is, not the document.
    """
    lines = [line for block in blocks[:OPENING] for line in block["content"].split("\n")]
    head = set[str]()
    for number, line in enumerate(lines[:OPENING]):
        terms = set(terms_of(line))
        if (number == 0 and len(line.split()) <= HEADED) or terms in names:
            head |= terms
    return frozenset(head)


def _chosen(categories: Sequence[Mapping[str, Any]], likely: list[float]) -> str:
    best = max(likely, default=0.0)
    if best >= LEAST and likely.count(best) == 1:
        return str(categories[likely.index(best)]["category"])
    refuges = [c["category"] for c in categories if _plain(c["category"]).casefold() in REFUGES]
    return str(refuges[0]) if refuges else UNKNOWN


def _shares(values: list[float]) -> list[float]:
    """Return each value's share of the sum of squares: two to one gives 0.8."""
    squares = [value * value for value in values]
    whole = sum(squares)
    return [square / whole if whole else 0.0 for square in squares]


def _met(category: Mapping[str, Any], text: Text) -> float:
    """Return a factor below 1 if no criterion is met, as scattered words make no category."""
    return (
        1.0
        if any(_speaks_for(topic("", criterion), text) for criterion in category["criteria"])
        else UNMET
    )


def _confidence(category: Mapping[str, Any], share: float, text: Text) -> dict[str, Any]:
    criteria = [
        {
            "criterion": criterion,
            "confidence": "high" if _speaks_for(topic("", criterion), text) else "low",
        }
        for criterion in category["criteria"]
    ]
    return {"category": category["category"], "confidence": share, "criteria_confidence": criteria}


def _speaks_for(criterion: Topic, text: Text) -> bool:
    return covered(criterion, text) >= CLEAR


def _group(groups: Mapping[str, Any], category: str) -> str:
    return next((name for name, labels in groups.items() if category in labels), "ungrouped")


def _plain(label: str) -> str:
    return re.sub(r"_|-(?!\d)", " ", label)  # W-2 stays one word
