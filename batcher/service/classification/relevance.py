"""Score how well texts fit descriptions, by BM25 over their words. Pure.

Words that every text has weigh little, and a name's own words and numbers more than a description's
words. What a description denies is left out. A score of 0 means that no word of the description
occurs.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from batcher.service.extraction.words import NEGATION

SATURATION: Final = 1.2  # BM25's k1: how soon further occurrences stop counting
LENGTH: Final = 0.5  # BM25's b: how much long texts are penalised
ENOUGH: Final = 0.5  # fraction of a topic's words from which its support is 1
WORDS: Final = 2  # least number of a topic's words; one word in passing is no support
HEADING: Final = 2.0  # factor for a word that occurs in a heading
NAME: Final = 2.0  # weight of a name's words and of numbers, relative to a description's words
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
_LETTERED: Final = re.compile(r"\b([^\W\d_])-(\d)")
_CONTRACTED: Final = re.compile(r"\b\w+n't\b")  # isn't, doesn't
# "not only" denies nothing, nor does the abbreviation of number.
_NO_DENIAL: Final = re.compile(r"\bnot only\b|\bno\b\.?(?=\s*(?:[,;:)#\d]|and\b|or\b|$))", re.I)


@dataclass(frozen=True, slots=True)
class Text:
    """The word counts of a page or a document; `headings` are the words that occur in headings."""

    counts: Counter[str]
    headings: frozenset[str]


@dataclass(frozen=True, slots=True)
class Topic:
    """What to look for: a name, and the weights of its words and its description's.

    `bound` are words that stand for something only with a number: the "report" of "report Q1" is no
    other report. Such a word counts in texts that have all numbers of one of its sets.
    """

    name: str
    terms: Mapping[str, float]
    bound: Mapping[str, Sequence[frozenset[str]]] = field(default_factory=dict)


def topic(name: str, description: str) -> Topic:
    """Return the topic with this name and description."""
    told = terms_of(_affirmed(description))
    own = terms_of(name)
    terms = {term: NAME if _is_number(term) else 1.0 for term in told} | dict.fromkeys(own, NAME)
    return Topic(name, terms, _bound(own, told))


def _affirmed(description: str) -> str:
    """Return a description without what it denies, whose words are those of other texts."""
    text = _NO_DENIAL.sub(" ", description.replace("\u2019", "'"))
    return NEGATION.sub(" ", _CONTRACTED.sub(" not ", text))


def _bound(own: Sequence[str], told: Sequence[str]) -> dict[str, list[frozenset[str]]]:
    """Return the words that go with numbers: all of a name's, and each before one elsewhere."""
    bound: dict[str, list[frozenset[str]]] = {}
    for word, number in itertools.pairwise(told):
        if _is_number(number) and not _is_number(word):
            bound.setdefault(word, []).append(frozenset({number}))
    if numbers := frozenset(filter(_is_number, own)):
        bound |= {word: [numbers] for word in own if not _is_number(word)}
    return bound


def _is_number(term: str) -> bool:
    return any(c.isdigit() for c in term)


def text_of(blocks: Iterable[Mapping[str, Any]], more: str = "") -> Text:
    """Count the words of blocks, and of the text `more`."""
    counts = Counter(terms_of(more))
    headings: set[str] = set()
    for block in blocks:
        terms = terms_of(block["content"])
        counts.update(terms)
        headings.update(terms if block["type"] in ("Title", "Section Header") else ())
    return Text(counts, frozenset(headings))


def terms_of(text: str) -> list[str]:
    """Return the lower-case stems of a text's words, without stop words.

    What holds digits is a word as it stands, with the single letter before it as in "W-2".
    """
    text = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(c for c in text if not unicodedata.combining(c))
    words = re.findall(r"[^\W_]+", _LETTERED.sub(r"\1\2", bare))
    return [
        word if _is_number(word) else _stem(word)
        for word in words
        if _is_number(word) or (word not in STOP and len(word) > 1)
    ]


def _stem(word: str) -> str:
    """Remove English endings, so that "invoices" and "invoice" are the same word."""
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
    """Return a row for each text with its score for each topic, comparable within one call."""
    weights = _weights(texts, topics)
    average = sum(text.counts.total() for text in texts) / max(1, len(texts)) or 1.0
    return [[_score(text, one, weights, average) for one in topics] for text in texts]


def covered(one: Topic, text: Text) -> float:
    """Return the fraction of a topic's words, by weight, that occur in a text.

    It may be more than 1, since words in headings count double.
    """
    whole = sum(one.terms.values())
    found = sum(one.terms[term] * _standing(term, text) for term in _shown(one, text))
    return found / whole if whole else 0.0


def support(one: Topic, text: Text) -> float:
    """Return how much of a topic's description a text has, from 0 to 1.

    It doesn't depend on the other topics.
    """
    found = sum(_standing(term, text) for term in _shown(one, text))
    return min(1.0, covered(one, text) / ENOUGH) if found >= min(WORDS, len(one.terms)) else 0.0


def _shown(one: Topic, text: Text) -> Iterator[str]:
    """Yield the topic's words that a text has, of bound ones only those with their numbers."""
    for term in one.terms:
        sets = one.bound.get(term)
        if term in text.counts and (not sets or any(s <= text.counts.keys() for s in sets)):
            yield term


def _standing(term: str, text: Text) -> float:
    return HEADING if term in text.headings else 1.0


def _weights(texts: Sequence[Text], topics: Sequence[Topic]) -> dict[str, float]:
    """Return the weight of each word: rare words, among the texts and the topics, count more.

    A word that all topics have distinguishes none of them.
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
        topic.terms[term]
        * weights[term]
        * _standing(term, text)
        * text.counts[term]
        * (SATURATION + 1)
        / (text.counts[term] + SATURATION * length)
        for term in _shown(topic, text)
    )
