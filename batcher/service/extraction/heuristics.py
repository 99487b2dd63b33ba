"""Fill the few fields that a document answers without a label.

These are its title, its currency, its only date, and its supplier. A name or a date that is known
only by its position has low confidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from batcher.service.extraction.document_index import Evidence, spot_of_block
from batcher.service.extraction.found import Value
from batcher.service.extraction.measures import CODES, currencies_in
from batcher.service.extraction.pairs import Pair
from batcher.service.extraction.schema import Field
from batcher.service.extraction.values import MISSING, Customs, cast
from batcher.service.extraction.words import (
    THRESHOLD,
    Phrase,
    Vocabulary,
    phrase_for,
    words_of,
    words_of_name,
)

CURRENCY: Final = 0.9  # score of a currency
# The score of a title.
TITLE: Final = 0.85
PAPERS: Final = frozenset(
    "invoice receipt quotation rechnung quittung lieferschein angebot bestellung mahnung "
    "gutschrift facture devis "
    "factura recibo fattura".split()
)
KINDS_OF_PAPER: Final = PAPERS | frozenset(
    "bill order quote statement total delivery note credit beleg".split()
)
LETTERHEAD: Final = 0.75  # score of a name or date that is known only by its position
SHORT: Final = 4  # most words of a line that names the kind of paper
_PAPER: Final = re.compile(
    r"\b(?:delivery note|credit note|packing slip|order confirmation)\b", re.IGNORECASE
)
_CENTS: Final = re.compile(r"\d[.,]\d\d(?!\d)")


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Answers fields without a label from a document's evidence."""

    evidence: Evidence
    pairs: list[Pair]
    customs: Customs
    vocabulary: Vocabulary

    def value(self, leaf: Field) -> Value:
        """Return the value of a field that no label named; an empty one for most fields."""
        words = set(words_of_name(leaf.name))
        if words == {"currency"} or words == {"currency", "code"}:
            return self._currency(leaf)
        if words - {"document", "report"} == {"title"} and leaf.kind in ("string", "any"):
            return self._first_block(leaf, ("Title",), score=TITLE)
        if leaf.format == "date" and words == {"date"}:
            return self._only_date(leaf)
        return self._letterhead(leaf) if self._means_supplier(leaf) else Value()

    def _currency(self, leaf: Field) -> Value:
        """Return the currency if all amounts of the document are in the same one."""
        named = [(line.spot, line.text) for line in self.evidence.lines if currencies_in(line.text)]
        codes = {code for _, text in named for code in currencies_in(text)}
        value = (
            cast(codes.pop(), leaf, self.customs) if len(codes) == 1 and codes <= CODES else MISSING
        )
        return Value() if value is MISSING else Value(value, CURRENCY, (named[0],))

    def _means_supplier(self, leaf: Field) -> bool:
        if leaf.kind not in ("string", "any") or leaf.format or leaf.enum:
            return False
        phrase = phrase_for(leaf)
        if "name" in phrase.words and len(phrase.words) == 1:
            phrase = Phrase(phrase.parents, (), frozenset())
        return (
            self.vocabulary.closeness("supplier name", phrase) >= THRESHOLD
            and self._is_business_paper()
        )

    def _is_business_paper(self) -> bool:
        """Tell whether the document names itself one in a short line, or has a total with cents."""
        return any(
            len(line.text.split()) <= SHORT
            and (PAPERS & set(words_of(line.text)) or _PAPER.search(line.text))
            for line in self.evidence.lines
        ) or any(
            "total" in words_of(pair.label) and _CENTS.search(pair.value) for pair in self.pairs
        )

    def _only_date(self, leaf: Field) -> Value:
        """Return the date if only one date of the document stands on a line of its own."""
        whole = [
            (line.spot, line.text)
            for line in self.evidence.lines
            if cast(line.text, leaf, self.customs) != MISSING
        ]
        dates = {cast(text, leaf, self.customs) for _, text in whole}
        return Value(dates.pop(), LETTERHEAD, (whole[0],)) if len(dates) == 1 else Value()

    def _letterhead(self, leaf: Field) -> Value:
        """Return the name at the top of a business paper, but no heading such as "Invoice"."""
        found = self._first_block(
            leaf, ("Title", "Header", "Section Header", "Text"), score=LETTERHEAD
        )
        name = found.value if isinstance(found.value, str) else ""
        is_name = (
            0 < len(name.split()) <= 8
            and not re.search(r"[\d:]", name)
            and not KINDS_OF_PAPER & set(words_of(name))
        )
        return found if is_name else Value()

    def _first_block(self, leaf: Field, kinds: tuple[str, ...], *, score: float) -> Value:
        """Return the first line of the first block, if that is one of these kinds and on page 1."""
        shown = [block for block in self.evidence.blocks if block["content"]]
        named = (
            len(shown) > 1
            and shown[1]["type"] == "Title"
            and set(words_of(shown[0]["content"])) <= PAPERS
        )
        # "INVOICE" may stand beside the sender's name.
        first = shown[1 if named else 0] if shown else None
        if first is None or first["type"] not in kinds or first["bbox"]["page"] != 1:
            return Value()
        line = next((line for line in self.evidence.lines if line.spot.block is first), None)
        text, spot = (
            (line.text, line.spot)
            if line and first["type"] != "Title"
            else (first["content"], None)
        )
        value = cast(text, leaf, self.customs)
        return (
            Value()
            if value is MISSING
            else Value(value, score, ((spot or spot_of_block(first), text),))
        )
