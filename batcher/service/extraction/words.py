"""Score how well a label in a document names a field of a schema: 0 to 1, by the words of both.

A label may have fewer words than the field's description, but an extra word makes it another thing:
"total points" is not a total. Numbers must be the same: line 1 is not line 2. The weights and the
synonyms are in the tables below.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from batcher.service.extraction.schema import Field

THRESHOLD: Final = 0.7  # a label that scores lower names something else
BY_SYNONYM: Final = 0.93  # factor for a label that matches by a synonym
BY_DESCRIPTION: Final = 0.8  # score of a label that only the description matches
WEAK: Final = 0.3  # weight of a word that many fields share
# The weight of the word "number".
NUMBERED: Final = 0.2
SLIP: Final = 0.95  # factor for a word in the plural or with a slip of the OCR
SHORTEST: Final = 3  # letters of a word whose plural is another form of it

STOP: Final = frozenset(
    "the a an of in to for and or on by is as per your our this that which with at from be it its "
    "incl inclusive all "
    "any each if und der die das des le la du de et".split()
)
FORMS: Final = frozenset(
    (
        "eur usd gbp chf euro euros dollar dollars pounds yyyy mm dd iso format string text field"
    ).split()
)
WEAK_WORDS: Final = frozenset(
    (
        "name amount value code id details info data document doc line unit full rate percent "
        "percentage"
    ).split()
)
NEGATION: Final = re.compile(
    r"\b(?:not|without|excluding|except|excl|rather than|other than|never|no)\b[^.;,)]*", re.I
)

_LISTED: Final = re.compile(r"\s*\(?\d{1,3}(?:\.\d{1,3})*[.)]?\s")  # a number before a list's item
_RATE: Final = re.compile(r"(?<![\d.,])\d[\d.,]*\s?%")

PHRASES: Final = (  # regular expressions over plain lower-case words, applied in this order
    (r"\btotal (?:excl|excluding|before|without|net of) (?:vat|tax|gst)\b", "subtotal"),
    (r"\b(?:sub|net) total\b|\btotal net\b", "subtotal"),
    (r"\btotal (?:incl|including|with) (?:vat|tax|gst)\b|\bgrand total\b|\bgross total\b", "total"),
    (r"\b(?:amount|balance|total) (?:due|payable|to pay)\b|\bto pay\b", "total"),
    (r"\b(?:bill|billed|invoice|invoiced|sold) to\b", "customer"),
    (r"\b(?:sales|value added) tax\b", "tax"),
    (r"\brechnungs(?:nummer|number)\b", "invoice number"),
    (r"\bkundennummer\b", "customer number"),
    (r"\bbestellnummer\b", "order number"),
    (r"\brechnungsdatum\b", "invoice date"),
    (
        r"\b(?:zahlbar bis|fallig am|fallig bis|falligkeitsdatum|falligkeit|date d echeance"
        r"|echeance)\b",
        "due date",
    ),
    (r"\b(?:total|montant) ht\b", "subtotal"),
    (r"\b(?:total|montant) ttc\b|\bnet a payer\b", "total"),
    (r"\bprix unitaire\b|\beinzelpreis\b|\bstuckpreis\b", "unit price"),
    (
        r"\b(?:payment due|due by|pay by|payable by|due on|payable until|payment date)\b|^due$",
        "due date",
    ),
    (r"\b(?:date of issue|issued on|date issued|issued|issue date)\b", "issue date"),
    (r"\b(?:date of birth|dob|born)\b", "birth date"),
    (r"\be mail(?: address)?\b", "email"),
    (r"\bpost ?code|zip ?code|zip\b", "postal code"),
)
_PHRASES: Final = tuple((re.compile(pattern), word) for pattern, word in PHRASES)
SYNONYMS: Final = {
    **dict.fromkeys("vendor seller merchant biller issuer store shop".split(), "supplier"),
    **dict.fromkeys("client buyer purchaser".split(), "customer"),
    **dict.fromkeys("vat gst hst mwst tva iva".split(), "tax"),
    **dict.fromkeys("telephone tel mobile".split(), "phone"),
    **dict.fromkeys("reference ref".split(), "reference"),
    **dict.fromkeys("zwischensumme nettobetrag nettosumme".split(), "subtotal"),
    **dict.fromkeys("gesamtbetrag gesamtsumme endbetrag rechnungsbetrag endsumme".split(), "total"),
    **dict.fromkeys("lieferant verkaufer fournisseur".split(), "supplier"),
    **dict.fromkeys("kunde kaufer auftraggeber".split(), "customer"),
    **dict.fromkeys("rechnung facture".split(), "invoice"),
    **dict.fromkeys("menge anzahl quantite".split(), "quantity"),
    **dict.fromkeys("betrag montant".split(), "amount"),
    "ust": "tax",
    "datum": "date",
    "wahrung": "currency",
    "devise": "currency",
}
SPELLINGS: Final = {
    **dict.fromkeys("no nr num numero nbr nummer".split(), "number"),
    **dict.fromkeys(("qty", "quantities"), "quantity"),
    "amt": "amount",
    "inv": "invoice",
    "acct": "account",
    "desc": "description",
    "licence": "license",
    "cheque": "check",
    "adresse": "address",
    "produkt": "product",
    "projekt": "project",
    "totale": "total",
    "quantita": "quantity",
    "descripcion": "description",
}
# What an OCR confuses, and what two spellings of a word differ in: r and n, l and i, British s and
# American z. Not any other letter: an insurer is not the insured.
_CONFUSED: Final = (("rn", "m"), ("vv", "w"), ("our", "or"))
_SAME: Final = str.maketrans({"l": "i", "j": "i", "z": "s"})
_DOUBLED: Final = re.compile(r"(.)\1")
COLUMNS: Final = {
    **dict.fromkeys(
        (
            "item description product article goods service particulars designation bezeichnung "
            "artikel"
        ).split(),
        "description",
    ),
    **dict.fromkeys("amount total sum betrag montant gesamtpreis".split(), "sum"),
    **dict.fromkeys("price rate cost".split(), "price"),
    **dict.fromkeys("quantity units pieces pcs".split(), "quantity"),
}


@dataclass(frozen=True, slots=True)
class Phrase:
    """The words of a field's name, of the names above it, and of its title and description.

    `numbers` are those in the name, `told` those above it and in title and description.
    """

    words: tuple[str, ...]
    parents: tuple[str, ...]
    described: frozenset[str]
    numbers: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()

    def has_numbers_of(self, label: str) -> bool:
        """Tell whether a label has the field's numbers and no others.

        A description says of what year a field is, unless it speaks of several.
        """
        whole = numbers_of(_RATE.sub(" ", label))
        unlisted = numbers_of(_RATE.sub(" ", _LISTED.sub("", label, count=1)))
        return any(
            self.numbers <= said and said - self.numbers in (frozenset(), self.told - self.numbers)
            for said in (whole, unlisted)
        )


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Scores labels against phrases.

    `shared` are words that distinguish little, because many fields or the document's title have
    them. Results are cached, so use one instance for one document.
    """

    shared: frozenset[str] = frozenset()
    synonyms: Mapping[str, str] = field(default_factory=lambda: SYNONYMS)
    _labels: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)
    _phrases: dict[Phrase, Phrase] = field(default_factory=dict)

    def weight(self, word: str) -> float:
        """Return how much a word counts, from 0 to 1."""
        if word == "number":
            return NUMBERED
        return WEAK if word in self.shared or word in WEAK_WORDS else 1.0

    def closeness(self, label: str, phrase: Phrase) -> float:
        """Return how well `label` names the field of `phrase`, from 0 to 1; 0 below `THRESHOLD`."""
        if not phrase.has_numbers_of(label):
            return 0.0
        plain, meant = self._read(label)
        best = self._closeness(plain, phrase)
        if best >= BY_SYNONYM:
            return best
        said = self._said(phrase)
        replaced = (meant != plain) + (said.words != phrase.words)
        return max(best, BY_SYNONYM ** max(1, replaced) * self._closeness(meant, said))

    def keys(self, label: str) -> frozenset[str]:
        """Return the keys of a label; it names no field that shares none of them."""
        plain, meant = self._read(label)
        return _keys((*plain, *meant))

    def keys_of(self, phrase: Phrase) -> frozenset[str]:
        """Return the keys of a field."""
        said = self._said(phrase)
        of_phrases = ((one.words, one.parents, one.described) for one in (phrase, said))
        return _keys(word for sets in of_phrases for words in sets for word in words)

    def meaning(self, text: str) -> tuple[str, ...]:
        """Return the words of a text with synonyms replaced by the words they stand for."""
        return self._meant(spelled(text))

    def _read(self, label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if label not in self._labels:
            self._labels[label] = words_of(label), self._meant(spelled(label))
        return self._labels[label]

    def _said(self, phrase: Phrase) -> Phrase:
        """Return the phrase with synonyms replaced by the words they stand for."""
        if phrase not in self._phrases:
            self._phrases[phrase] = Phrase(
                self._meant(" ".join(phrase.words)),
                self._meant(" ".join(phrase.parents)),
                frozenset(self._meant(" ".join(sorted(phrase.described)))),
            )
        return self._phrases[phrase]

    def _meant(self, text: str) -> tuple[str, ...]:
        for pattern, replacement in _PHRASES:
            text = pattern.sub(replacement, text)
        return tuple(self.synonyms.get(word, word) for word in words_of(text))

    def _closeness(self, label: tuple[str, ...], phrase: Phrase) -> float:
        if not label:
            return 0.0
        own = {word: _likeness(word, phrase.words) for word in label}
        about = {
            word: max(own[word], _likeness(word, (*phrase.parents, *phrase.described)))
            for word in label
        }
        precise = sum(self.weight(w) * about[w] for w in label) / sum(map(self.weight, label))
        if precise < THRESHOLD:
            return 0.0
        target = {word: self.weight(word) for word in phrase.words} or {"": 1.0}
        for word in phrase.parents:
            target.setdefault(word, 0.5 * self.weight(word))
        told = sum(weight * _likeness(word, label) for word, weight in target.items()) / sum(
            target.values()
        )
        named = precise * told**0.7 if any(own.values()) else 0.0
        strong = [word for word in label if self.weight(word) == 1.0]
        by_description = BY_DESCRIPTION if precise == 1.0 and len(strong) > 1 else 0.0
        return max(named, by_description)


def spelled(text: str) -> str:
    """Return plain lower-case words: accents and signs removed, abbreviations written out."""
    text = text.replace("#", " number ").replace("№", " number ")
    text = unicodedata.normalize("NFKD", text.replace("n°", "number").replace("Nº", "number"))
    bare = "".join(
        c if c.isalpha() else " " for c in text if not unicodedata.combining(c)
    ).casefold()
    return " ".join(SPELLINGS.get(word, word) for word in bare.split())


def words_of(text: str) -> tuple[str, ...]:
    """Return the plain words of a text without stop words, or all if there are no others."""
    words = spelled(text).split()
    return tuple(word for word in words if word not in STOP and word not in FORMS) or tuple(words)


def phrase_of(name: str, parents: Iterable[str], title: str, description: str) -> Phrase:
    """Return the phrase of a property; a bare "name" takes the words of its parents as its own."""
    own = words_of_name(name)
    parents = tuple(parents)
    above = tuple(word for parent in parents for word in words_of_name(parent))
    about = described(title, description)
    numbers = numbers_of(name)
    told = numbers_of(" ".join((*parents, title, NEGATION.sub(" ", description))))
    if own == ("name",):
        return Phrase((*own, *above), (), about, numbers, told)
    return Phrase(own, above, about, numbers, told)


def phrase_for(field: Field) -> Phrase:
    """Return the phrase of a schema's field."""
    return phrase_of(field.name, field.path[:-1], field.title, field.description)


def words_of_name(name: str) -> tuple[str, ...]:
    """Return the plain words of a property's name, splitting camelCase as well."""
    return words_of(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name))


def numbers_of(text: str) -> frozenset[str]:
    """Return the whole numbers in a text, without leading zeros."""
    return frozenset(digits.lstrip("0") for digits in re.findall(r"\d+", text))


def described(title: str, description: str) -> frozenset[str]:
    """Return the words of title and description, without those that say what the field is not."""
    return frozenset(words_of(NEGATION.sub(" ", description))) | frozenset(words_of(title))


def _likeness(word: str, among: Iterable[str]) -> float:
    return max((_alike(word, other) for other in among), default=0.0)


def _keys(words: Iterable[str]) -> frozenset[str]:
    """Return what two words that are alike have in common: themselves, or one of their forms."""
    return frozenset(key for word in words for key in (word, *_forms(word)))


def is_spelling_of(word: str, other: str) -> bool:
    """Tell whether two words are one, in the plural or with a slip of the OCR.

    Nothing else is forgiven: a letter or two make an opposite of many a word.
    """
    return _alike(word, other) > 0


@lru_cache(maxsize=1 << 16)
def _alike(word: str, other: str) -> float:
    if word == other:
        return 1.0
    if min(len(word), len(other)) < SHORTEST:
        return 0.0
    return SLIP if _forms(word) & _forms(other) else 0.0


@lru_cache(maxsize=1 << 16)
def _forms(word: str) -> frozenset[str]:
    """Return the word and its possible singulars, without what is often confused."""
    found = {word}
    if word.endswith("s") and not word.endswith("ss"):
        found.add(word[:-1])
    if word.endswith("es"):
        found.add(word[:-2])
    if word.endswith("ies"):
        found.add(word[:-3] + "y")
    return frozenset(_unconfused(one) for one in found if len(one) >= SHORTEST)


def _unconfused(word: str) -> str:
    for several, one in _CONFUSED:
        word = word.replace(several, one)
    return _DOUBLED.sub(r"\1", word.translate(_SAME)) if len(word) > SHORTEST else word
