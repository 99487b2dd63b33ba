"""How much a text speaks for each of several descriptions, by BM25 over their words. Pure.

Words that every text has weigh little, a name's own words more than a description's. A score of 0
means that no word of the description occurs.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SATURATION: Final = 1.2  # BM25's k1: how soon one more occurrence stops counting
LENGTH: Final = 0.5  # BM25's b: how much a long text is held against itself
ENOUGH: Final = 0.5  # the share of a topic's words with which nothing is held against it
WORDS: Final = 2  # one word in passing makes no kind
HEADING: Final = 2.0  # what a word in a heading counts
NAME: Final = 2.0  # the weight of a name's words beside a description's
STOP: Final = frozenset(
    "the a an of in to for and or on by is are was were be been as at from with without that this "
    "these those it its "
    "their his her your our any all each every other others such than then there which who whose "
    "what when where not "
    "no nor only also may can will should must have has had do does page pages document documents "
    "section sections "
    "contain contains containing contained include includes including included information show "
    "shows showing shown "
    "list lists listing listed typically usually often about content contents describe describes "
    "describing part "
    "parts type kind form like e g i eg ie etc".split()
)


@dataclass(frozen=True, slots=True)
class Text:
    """A page's or a document's words, counted; `headings` are those that stand in one."""

    counts: Counter[str]
    headings: frozenset[str]


@dataclass(frozen=True, slots=True)
class Topic:
    """What is looked for: the words of a name, and of what is said about it."""

    name: str
    terms: Mapping[str, float]


def topic(name: str, description: str) -> Topic:
    terms = dict.fromkeys(terms_of(description), 1.0)
    return Topic(name, {**terms, **dict.fromkeys(terms_of(name), NAME)})


def text_of(blocks: Iterable[Mapping[str, Any]], more: str = "") -> Text:
    counts = Counter(terms_of(more))
    headings: set[str] = set()
    for block in blocks:
        terms = terms_of(block["content"])
        counts.update(terms)
        headings.update(terms if block["type"] in ("Title", "Section Header") else ())
    return Text(counts, frozenset(headings))


def terms_of(text: str) -> list[str]:
    """Lower-case stems without the words that say nothing."""
    text = unicodedata.normalize("NFKD", text).casefold()
    words = re.findall(r"[^\W\d_]+", "".join(c for c in text if not unicodedata.combining(c)))
    return [_stem(word) for word in words if word not in STOP and len(word) > 1]


def _stem(word: str) -> str:
    """English endings off, as far as that helps "invoices" to meet "invoice" and "paid" to stay
    itself.
    """
    for ending, rest in (
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
        ("e", ""),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + rest
    return word


def scores(texts: Sequence[Text], topics: Sequence[Topic]) -> list[list[float]]:
    """For each text, how much it speaks for each topic; comparable within the call only."""
    weights = _weights(texts, topics)
    average = sum(text.counts.total() for text in texts) / max(1, len(texts)) or 1.0
    return [[_score(text, one, weights, average) for one in topics] for text in texts]


def covered(one: Topic, text: Text) -> float:
    """The share of a topic's words, by weight, that a text has; more than all of it where they
    stand in headings.
    """
    whole = sum(one.terms.values())
    found = sum(
        weight * _standing(term, text) for term, weight in one.terms.items() if term in text.counts
    )
    return found / whole if whole else 0.0


def support(one: Topic, text: Text) -> float:
    """0 to 1: how much of what is said of a topic a text has, whatever it has of the others."""
    found = sum(_standing(term, text) for term in one.terms if term in text.counts)
    return min(1.0, covered(one, text) / ENOUGH) if found >= min(WORDS, len(one.terms)) else 0.0


def _standing(term: str, text: Text) -> float:
    return HEADING if term in text.headings else 1.0


def _weights(texts: Sequence[Text], topics: Sequence[Topic]) -> dict[str, float]:
    """Rare among the texts counts more, and rare among the topics, too: what all ask for tells none
    apart.
    """
    asked = Counter(term for one in topics for term in one.terms)
    return {
        term: _rarity(sum(term in text.counts for text in texts), len(texts))
        * _rarity(times - 1, len(topics))
        for term, times in asked.items()
    }


def _rarity(having: int, all: int) -> float:
    return math.log(1 + (all - having + 0.5) / (having + 0.5))


def _score(text: Text, topic: Topic, weights: Mapping[str, float], average: float) -> float:
    length = 1 - LENGTH + LENGTH * text.counts.total() / average
    return sum(
        weight
        * weights[term]
        * _standing(term, text)
        * times
        * (SATURATION + 1)
        / (times + SATURATION * length)
        for term, weight in topic.terms.items()
        if (times := text.counts[term])
    )
