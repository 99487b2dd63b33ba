"""Long documents and wide schemas: the work grows with either, not with their product."""

from __future__ import annotations

from typing import Any

from effort import calls_of
from test_extraction import NUMBER, TEXT, block, found

from batcher.service.extraction.document_index import gather
from batcher.service.extraction.filling import fill
from batcher.service.extraction.schema import read_schema
from batcher.service.extraction.values import customs_of


def _word(number: int) -> str:
    return "".join(chr(97 + number // 26**place % 26) * 2 for place in range(3)) + "x"


def _filled(properties: int, lines: int) -> Any:
    names = [f"{_word(number)}_{_word(number + 5_000)}" for number in range(properties)]
    schema = read_schema({"type": "object", "properties": dict.fromkeys(names, TEXT)})
    content = [f"{_word(number)} {_word(number + 5_000)}: {number}.50" for number in range(lines)]
    return fill(schema, gather({"chunks": [{"blocks": [block(one) for one in content]}]}))


def test_a_label_is_compared_with_the_fields_that_share_a_word_with_it():
    """Four times as many fields and lines are four times the work, not sixteen times."""
    _filled(5, 5)  # what is prepared once
    small = calls_of(lambda: _filled(50, 50))
    assert calls_of(lambda: _filled(200, 200)) < 6 * small


def test_each_field_still_gets_its_line():
    """However many there are."""
    tree = _filled(200, 100)
    assert [value.value for value in tree.values()][:100] == [f"{n}.50" for n in range(100)]


def test_a_plural_and_a_synonym_are_found_by_their_words():
    """As they were when every label was compared with every field."""
    assert found("Vendor name: Tern", supplier_name=TEXT) == {"supplier_name": "Tern"}
    assert found("Branches: 5", branch=NUMBER) == {"branch": 5}


def test_long_rows_of_figures_are_read_once():
    """20,000 groups took 19 s, since each was read to the row's end."""
    assert customs_of(["111 " * 20_000]) == customs_of([])
    assert customs_of(["1 234 567,50"]).decimal == ","
