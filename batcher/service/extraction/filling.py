"""Fills a schema's fields from a document's evidence; what isn't surely said there stays None.

A label's value goes to the one field it names best. Where two fields, or two different values, are as good as each
other, nobody gets it: a wrong answer is worse than none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from batcher.service.extraction.columns import table_rows
from batcher.service.extraction.evidence import Evidence, spot_of_block
from batcher.service.extraction.found import Tree, Value
from batcher.service.extraction.pairs import Pair, pairs_of
from batcher.service.extraction.schema import Field
from batcher.service.extraction.values import MISSING, Customs, cast, currencies_in, customs_of, is_percent
from batcher.service.extraction.words import THRESHOLD, Phrase, Vocabulary, phrase_of, words_of, words_of_name

_PAPER: Final = re.compile(r"\b(?:delivery note|credit note|packing slip|order confirmation)\b", re.IGNORECASE)
_CENTS: Final = re.compile(r"\d[.,]\d\d(?!\d)")
FORMS: Final = {  # what a value must look like, whatever its type, where a word of the field's name is one of these
    **dict.fromkeys(("phone", "telephone", "tel", "fax", "mobile"), re.compile(r"^[^\d]{0,12}(?:\d\D{0,3}){5,16}$")),
    **dict.fromkeys(("email", "mail"), re.compile(r"^\S+@\S+\.\w+$")),
    **dict.fromkeys(("website", "url", "homepage"), re.compile(r"^(?:https?://)?[\w-]+(?:\.[\w-]+)+(?:/\S*)?$")),
}
EVEN: Final = 0.02  # scores nearer than this are equally good
RATES: Final = frozenset({"rate", "percent", "percentage", "share"})
SUMS: Final = frozenset("amount total subtotal price sum balance fee tax vat cost due".split())
NUMBERED: Final = frozenset({"number", "id"})
DATED: Final = frozenset({"date", "day"})
PAPERS: Final = frozenset(
    "invoice receipt quotation rechnung quittung lieferschein angebot bestellung mahnung gutschrift facture devis "
    "factura recibo fattura".split()
)
KINDS_OF_PAPER: Final = PAPERS | frozenset("bill order quote statement total delivery note credit beleg".split())
LETTERHEAD: Final = 0.75  # the score of a name that only its place on the paper tells
SHORT: Final = 4  # words of a line that names a paper
CAST_BY_CUSTOM: Final = 0.9  # of a value that could have been read in another way


@dataclass(frozen=True, slots=True)
class _Claim:
    score: float
    leaf: int
    pair: int
    value: Any


def fill(schema: Field, evidence: Evidence) -> dict[str, Any]:
    """The answer in the schema's own shape."""
    filling = _Filling(schema, evidence)
    tree = filling.tree(schema)
    assert isinstance(tree, dict)
    return tree


@dataclass
class _Filling:
    schema: Field
    evidence: Evidence
    customs: Customs = field(init=False)
    vocabulary: Vocabulary = field(init=False)
    pairs: list[Pair] = field(init=False)
    values: Mapping[tuple[str, ...], Value] = field(init=False)

    def __post_init__(self) -> None:
        self.customs = customs_of(_texts(self.evidence))
        self.pairs = list(pairs_of(self.evidence))
        self.vocabulary = Vocabulary(shared=frozenset(_shared_words(self.schema, self.evidence)))
        leaves = list(self.schema.leaves())
        found = dict(zip((leaf.path for leaf in leaves), self._labelled(leaves), strict=True))
        self.values = {**found, **dict(self._unlabelled(leaf for leaf in leaves if found[leaf.path].value is None))}

    def tree(self, node: Field) -> Tree:
        match node.kind:
            case "object":
                return {child.name: self.tree(child) for child in node.children}
            case "array":
                return self._array(node)
        return self.values[node.path]

    # --- one value for one label ---

    def _labelled(self, leaves: list[Field]) -> Iterator[Value]:
        pairs = self.pairs
        claims = sorted(self._claims(leaves, pairs), key=lambda claim: -claim.score)
        wanted_by: dict[int, list[_Claim]] = {}
        for claim in claims:
            wanted_by.setdefault(claim.pair, []).append(claim)
        best: dict[int, float] = {}
        for claim in claims:
            best.setdefault(claim.leaf, claim.score)
        granted = [claim for claim in claims if _is_best(claim, wanted_by[claim.pair], best)]
        for index in range(len(leaves)):
            yield _agreed([claim for claim in granted if claim.leaf == index], pairs)

    def _claims(self, leaves: list[Field], pairs: list[Pair]) -> Iterator[_Claim]:
        phrases = [_phrase(leaf) for leaf in leaves]
        known: dict[tuple[str, int], float] = {}
        for number, pair in enumerate(pairs):
            for index, leaf in enumerate(leaves):
                if (pair.label, index) not in known:
                    known[pair.label, index] = self.vocabulary.closeness(pair.label, phrases[index])
                score = known[pair.label, index] * pair.strength
                if known[pair.label, index] < THRESHOLD or not _plausible(leaf, pair):
                    continue
                value = cast(pair.value, leaf, self.customs)
                if value is not MISSING:
                    yield _Claim(score, index, number, value)

    # --- values that stand without a label ---

    def _unlabelled(self, leaves: Iterable[Field]) -> Iterator[tuple[tuple[str, ...], Value]]:
        for leaf in leaves:
            words = set(words_of_name(leaf.name))
            if words == {"currency"} or words == {"currency", "code"}:
                yield leaf.path, self._currency(leaf)
            elif words - {"document", "report"} == {"title"} and leaf.kind in ("string", "any"):
                yield leaf.path, self._first_block(leaf, ("Title",), score=0.85)
            elif leaf.format == "date" and words == {"date"}:
                yield leaf.path, self._only_date(leaf)
            elif self._means_supplier(leaf):
                yield leaf.path, self._letterhead(leaf)
            else:
                yield leaf.path, Value()

    def _currency(self, leaf: Field) -> Value:
        """The one that all amounts are in."""
        named = [(line.spot, line.text) for line in self.evidence.lines if currencies_in(line.text)]
        codes = {code for _, text in named for code in currencies_in(text)}
        value = cast(codes.pop(), leaf, self.customs) if len(codes) == 1 else MISSING
        return Value() if value is MISSING else Value(value, 0.9, (named[0],))

    def _means_supplier(self, leaf: Field) -> bool:
        if leaf.kind not in ("string", "any") or leaf.format or leaf.enum:
            return False
        phrase = _phrase(leaf)
        if "name" in phrase.words and len(phrase.words) == 1:
            phrase = Phrase(phrase.parents, (), frozenset())
        return self.vocabulary.closeness("supplier name", phrase) >= THRESHOLD and self._is_business_paper()

    def _is_business_paper(self) -> bool:
        """It calls itself one in a few words, or has a total with cents."""
        return any(
            len(line.text.split()) <= SHORT and (PAPERS & set(words_of(line.text)) or _PAPER.search(line.text))
            for line in self.evidence.lines
        ) or any("total" in words_of(pair.label) and _CENTS.search(pair.value) for pair in self.pairs)

    def _only_date(self, leaf: Field) -> Value:
        """The one that stands in a line of its own, where there is but one."""
        whole = [
            (line.spot, line.text) for line in self.evidence.lines if cast(line.text, leaf, self.customs) != MISSING
        ]
        dates = {cast(text, leaf, self.customs) for _, text in whole}
        return Value(dates.pop(), LETTERHEAD, (whole[0],)) if len(dates) == 1 else Value()

    def _letterhead(self, leaf: Field) -> Value:
        """Who wrote a business paper stands at its top, and is no heading like "Invoice"."""
        found = self._first_block(leaf, ("Title", "Header", "Section Header", "Text"), score=LETTERHEAD)
        name = found.value if isinstance(found.value, str) else ""
        is_name = (
            0 < len(name.split()) <= 8 and not re.search(r"[\d:]", name) and not KINDS_OF_PAPER & set(words_of(name))
        )
        return found if is_name else Value()

    def _first_block(self, leaf: Field, kinds: tuple[str, ...], *, score: float) -> Value:
        """The first line of the first block, if it is of one of these kinds."""
        shown = [block for block in self.evidence.blocks if block["content"]]
        named = len(shown) > 1 and shown[1]["type"] == "Title" and set(words_of(shown[0]["content"])) <= PAPERS
        first = shown[1 if named else 0] if shown else None  # "INVOICE" may stand beside who sends it
        if first is None or first["type"] not in kinds or first["bbox"]["page"] != 1:
            return Value()
        line = next((line for line in self.evidence.lines if line.spot.block is first), None)
        text, spot = (line.text, line.spot) if line and first["type"] != "Title" else (first["content"], None)
        value = cast(text, leaf, self.customs)
        return Value() if value is MISSING else Value(value, score, ((spot or spot_of_block(first), text),))

    # --- arrays ---

    def _array(self, node: Field) -> list[Any]:
        item = node.item
        assert item is not None
        if item.kind == "object":
            rows = table_rows(node, self.evidence, self.vocabulary, self.customs)
            return [_row_tree(item, row) for row in rows]
        if item.kind == "array":
            return []
        return list(self._scalars(node, item))

    def _scalars(self, node: Field, item: Field) -> Iterator[Value]:
        """A column of that name, items under a heading of that name, or what stands behind a label with commas."""
        column = replace(
            node, item=Field((*node.path, node.name), "object", children=(replace(item, path=(*node.path, node.name)),))
        )
        rows = table_rows(column, self.evidence, self.vocabulary, self.customs)
        if rows:
            yield from (row[node.name] for row in rows if row[node.name].value is not None)
            return
        listed = list(self._listed(node, item))
        yield from listed or self._enumerated(node, item)

    def _listed(self, node: Field, item: Field) -> Iterator[Value]:
        below = 0.0
        for block in self.evidence.blocks:
            if block["type"] in ("Title", "Section Header") or block["content"].rstrip().endswith(":"):
                below = self.vocabulary.closeness(block["content"], _phrase(node))
            elif block["type"] == "List Item" and below >= THRESHOLD:
                value = cast(block["content"], item, self.customs)
                if value is not MISSING:
                    yield Value(value, below * 0.9, ((spot_of_block(block), block["content"]),))

    def _enumerated(self, node: Field, item: Field) -> Iterator[Value]:
        whole = replace(node, kind="string", item=None)
        pairs = self.pairs
        found = _agreed(list(self._claims([whole], pairs)), pairs)
        if found.value is None:
            return
        for part in re.split(r"\s*[;,]\s+", found.value):
            value = cast(part, item, self.customs)
            if value is not MISSING:
                yield Value(value, found.score * CAST_BY_CUSTOM, found.spots)


def _phrase(leaf: Field) -> Phrase:
    return phrase_of(leaf.name, leaf.path[:-1], leaf.title, leaf.description)


def _shared_words(schema: Field, evidence: Evidence) -> Iterator[str]:
    """Words in the names of several fields, the schema's own title, and the document's short headings."""
    names = Counter(word for leaf in schema.children for word in set(words_of_name(leaf.name)))
    yield from (word for word, times in names.items() if times > 1 and word not in DATED | SUMS)
    yield from words_of(schema.title)
    for block in evidence.blocks:
        if block["type"] in ("Title", "Section Header") and len(block["content"].split()) <= 2:
            yield from KINDS_OF_PAPER & set(words_of(block["content"])) - SUMS


def _plausible(leaf: Field, pair: Pair) -> bool:
    """What the field's name says about its value, where its type doesn't."""
    words = {*words_of_name(leaf.name), *words_of(leaf.title)}
    if any(word in words and not form.search(pair.value) for word, form in FORMS.items()):
        return False
    if is_percent(pair.value) != bool(words & RATES):
        return False
    if leaf.kind not in ("string", "any") or leaf.enum:
        return True
    if words & NUMBERED and re.fullmatch(r"\D{0,4}[\d.,']+[.,]\d\d\D{0,4}", pair.value):
        return False  # an amount
    return any(c.isdigit() for c in pair.value) or not words & (NUMBERED | SUMS | DATED)


def _is_best(claim: _Claim, rivals: list[_Claim], best: Mapping[int, float]) -> bool:
    """No other field wants that pair as much; one that has a better pair of its own doesn't count."""
    return all(
        rival.leaf == claim.leaf or rival.score < claim.score - EVEN or best[rival.leaf] > rival.score + EVEN
        for rival in rivals
    )


def _agreed(claims: list[_Claim], pairs: list[Pair]) -> Value:
    """The best claim's value, unless another as good says something else."""
    if not claims:
        return Value()
    best = claims[0]
    even = [claim for claim in claims if claim.score >= best.score - EVEN]
    if any(claim.value != best.value for claim in even):
        return Value()
    spots = tuple((pairs[claim.pair].spot, pairs[claim.pair].value) for claim in even)
    return Value(best.value, min(1.0, best.score), spots[:3])


def _row_tree(item: Field, row: Mapping[str, Value]) -> Tree:
    return {child.name: _cell_tree(child, row) for child in item.children}


def _cell_tree(child: Field, row: Mapping[str, Value]) -> Tree:
    match child.kind:
        case "object":
            return _row_tree(child, {})
        case "array":
            return []
    return row.get(child.name, Value())


def _texts(evidence: Evidence) -> Iterator[str]:
    yield from (line.text for line in evidence.lines)
    yield from (cell for grid in evidence.grids for row in grid.rows for cell in row)
