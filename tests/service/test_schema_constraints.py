"""What a schema demands beyond names and types is heeded, or named in `usage.not_served`."""

from __future__ import annotations

from typing import Any

import pytest
from test_extraction import block, grid

from batcher.reducto.api_types import ErrorName
from batcher.service.extraction.asking import strictly
from batcher.service.extraction.citing import count_leaves, plain
from batcher.service.extraction.document_index import gather
from batcher.service.extraction.filling import fill
from batcher.service.extraction.fitting import fitted
from batcher.service.extraction.limits import heeds, limits_in
from batcher.service.extraction.schema import read_schema, unheeded
from batcher.service.parsing.pages import DocumentProblem

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
FLAG = {"type": "boolean"}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def answer(schema: Any, *content: Any) -> Any:
    """The plain answer of a whole schema over blocks of text and tables."""
    blocks = [one if isinstance(one, dict) else block(one) for one in content]
    evidence = gather({"chunks": [{"blocks": blocks}], "ocr": None})
    root = read_schema(schema)
    tree = fitted(fill(root, evidence), root, evidence)
    assert count_leaves(tree) >= 0
    return plain(tree)


def of_x(schema: Any, text: str, **more: Any) -> Any:
    return answer({**of(x=schema), **more}, f"x: {text}")["x"]


# --- allOf and references -------------------------------------------------------------------------


def test_all_of_beside_properties_adds_to_them():
    """Both the declared properties and those of `allOf` are asked for."""
    schema = {**of(a=TEXT), "allOf": [{"properties": {"b": NUMBER}}, {"required": ["a"]}]}
    assert answer(schema, "a: x", "b: 3") == {"a": "x", "b": 3}


def test_all_of_several_objects_is_one_object():
    """As inheritance is written, through references and several levels."""
    schema = {
        "allOf": [{"$ref": "#/$defs/paper"}, of(b=NUMBER)],
        "$defs": {"paper": {"allOf": [of(a=TEXT), of(c=TEXT)]}},
    }
    assert answer(schema, "a: x", "b: 3", "c: y") == {"a": "x", "c": "y", "b": 3}


def test_a_property_declared_twice_must_fit_both():
    """The type of one declaration, the enum and the bound of the others."""
    parts = [of(x={"enum": ["a", "b"]}), of(x=TEXT, n={"maximum": 5}), of(n=NUMBER)]
    assert answer({"allOf": parts}, "x: b", "n: 3") == {"x": "b", "n": 3}
    assert answer({"allOf": parts}, "x: c", "n: 7") == {"x": None, "n": None}


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [TEXT, {"enum": ["a", "b"]}]},
        {"$ref": "#/$defs/word", "enum": ["a", "b"]},
        {"enum": ["a", "b", "d"], "allOf": [{"enum": ["b", "a", "c"]}]},
        {"oneOf": [{"const": "a", "title": "first"}, {"const": "b"}]},
        {"type": "string", "anyOf": [{"enum": ["a"]}, {"enum": ["b"]}, {"const": None}]},
    ],
)
def test_a_list_of_values_holds_however_it_is_written(schema):
    """A value that isn't in it is null, one that is, is found."""
    said = [of_x(schema, text, **{"$defs": {"word": TEXT}}) for text in ("a", "b", "c")]
    assert said == ["a", "b", None]


def test_a_description_beside_a_reference_is_the_field_s():
    """The words nearest to the field count; those of parts on one level count together."""
    parts = [{"$ref": "#/$defs/day"}, {"description": "Payable by"}]
    words = {"$defs": {"day": {"type": "string", "format": "date", "description": "A day"}}}
    (field,) = read_schema({**of(x={"allOf": parts}), **words}).children
    assert (field.format, field.description) == ("date", "A day; Payable by")
    (field,) = read_schema({**of(x={"allOf": parts, "description": "own"}), **words}).children
    assert (field.format, field.description) == ("date", "own")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"allOf": [TEXT, NUMBER]}, "several types"),
        ({"enum": ["a"], "allOf": [{"const": "b"}]}, "no value in common"),
        ({"allOf": [{"$ref": "#/properties/x"}]}, "refers to itself"),
        ({"anyOf": [{"$ref": "#/properties/x"}, {"$ref": "#/properties/x"}]}, "refers to itself"),
    ],
)
def test_what_nothing_can_fit_is_refused(schema, words):
    """With the place and the problem, and in no time."""
    with pytest.raises(DocumentProblem, match=words) as caught:
        read_schema(of(x=schema))
    assert caught.value.name == ErrorName.INVALID_SCHEMA


# --- choices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [{"anyOf": [NUMBER, FLAG]}, {"oneOf": [NUMBER, FLAG]}, {"type": ["number", "boolean"]}],
)
def test_a_value_fits_a_branch_or_is_null(schema):
    """Of numbers and booleans no text is one."""
    said = [of_x(schema, text) for text in ("12.50", "yes", "hello world")]
    assert said == [12.5, True, None]


def test_the_first_branch_that_fits_is_taken():
    """A date where it is one, and else the text."""
    schema = {"anyOf": [{"type": "string", "format": "date"}, {"enum": ["soon"]}, NUMBER]}
    said = [of_x(schema, text) for text in ("3 April 2026", "soon", "7", "never ever")]
    assert said == ["2026-04-03", "soon", 7, None]


CARD = {**of(kind={"const": "card"}, card_number=TEXT), "required": ["card_number"]}
BANK = {**of(kind={"const": "bank"}, iban=TEXT), "required": ["iban"]}


@pytest.mark.parametrize("key", ["anyOf", "oneOf"])
def test_a_choice_of_objects_is_made_by_what_is_found(key):
    """The object is the branch's of which most is found, with its properties only."""
    schema = of(payment={key: [CARD, BANK, {"type": "null"}]})
    assert answer(schema, "Kind: bank", "IBAN: DE12") == {
        "payment": {"kind": "bank", "iban": "DE12"}
    }
    assert answer(schema, "Card number: 4711") == {"payment": {"kind": None, "card_number": "4711"}}
    assert answer(schema, "Hello") == {"payment": None}


def test_a_choice_of_what_is_required_asks_for_all():
    """`anyOf` beside properties, each branch requiring another, keeps the properties."""
    schema = {**of(a=TEXT, b=TEXT), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert answer(schema, "b: 3") == {"a": None, "b": "3"}
    assert answer(schema, "Hello") == {"a": None, "b": None}
    assert answer(of(y=schema), "Hello") == {"y": {"a": None, "b": None}}


def test_a_choice_at_the_top_is_an_object_all_the_same():
    """Nothing found is an object of nulls."""
    schema = {"oneOf": [of(card_number=TEXT), of(iban=TEXT)]}
    assert answer(schema, "IBAN: DE12") == {"iban": "DE12"}
    assert answer(schema, "Hello") == {"card_number": None, "iban": None}


def test_rows_of_a_table_choose_each_for_itself():
    """Items of an array may be of several kinds."""
    items = {
        "anyOf": [of(item=TEXT, price={"type": "number", "minimum": 1}), of(item=TEXT, note=TEXT)]
    }
    table = grid(["Item", "Price", "Note"], ["Apple", "5.00", ""], ["Pear", "", "sold out"])
    rows = answer(of(lines={"type": "array", "items": items}), table)["lines"]
    assert rows == [{"item": "Apple", "price": 5.0}, {"item": "Pear", "note": "sold out"}]


def test_a_choice_of_lists_is_a_list_of_one_kind():
    """Numbers if all items are numbers, else text."""
    kinds = [{"type": "array", "items": NUMBER}, {"type": "array", "items": TEXT}]
    said = [
        answer(of(sizes={"anyOf": kinds}), f"Sizes: {text}")["sizes"] for text in ("1, 2", "1, L")
    ]
    assert said == [[1, 2], ["1", "L"]]


@pytest.mark.parametrize("schema", [{"anyOf": [TEXT, of(a=TEXT)]}, {"type": ["string", "array"]}])
def test_a_choice_that_is_not_made_is_named(schema):
    """Between a text and an object, or a list."""
    (note,) = unheeded(of(x=schema))
    assert note.startswith("instructions.schema.x.") and "the first of them" in note
    assert of_x(schema, "hello") == "hello"


def test_a_model_is_told_of_choices_too():
    """In the strict form of the schema."""
    told = strictly(read_schema(of(x={"anyOf": [NUMBER, FLAG]})))["properties"]["x"]
    assert told == {"anyOf": [{"type": ["number", "null"]}, {"type": ["boolean", "null"]}]}


# --- limits of a value ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "pattern": r"^\d{5}$"}, "10115", "ABC"),
        ({"type": "string", "maxLength": 3}, "abc", "abcd"),
        ({"type": "string", "minLength": 3}, "abc", "ab"),
        ({"type": "string", "format": "uuid"}, "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ({"type": "string", "format": "ipv4"}, "10.0.0.1", "10.0.0.256"),
        ({"type": "string", "format": "ipv6"}, "fe80::1", "fe80"),
        ({"type": "number", "minimum": 10}, "10", "9"),
        ({"type": "number", "maximum": 10}, "10", "11"),
        ({"type": "number", "exclusiveMinimum": 10}, "11", "10"),
        ({"type": "number", "exclusiveMaximum": 10}, "9.50", "10"),
        ({"type": "number", "multipleOf": 0.1}, "0.3", "0.35"),
        ({"allOf": [{"type": "number"}, {"minimum": 3}, {"minimum": 5}]}, "5", "4"),
        ({"anyOf": [{"type": "number", "minimum": 3}, {"type": "null"}]}, "5", "1"),
    ],
)
def test_a_value_beyond_its_limits_is_null(schema, good, bad):
    """Whichever keyword sets them, and nothing is noted, since it was heeded."""
    assert of_x(schema, good) is not None and of_x(schema, bad) is None
    assert not unheeded(of(x=schema))


def test_items_beyond_their_limits_are_left_out():
    """Of a list of plain values; a table's row stays, with null."""
    limited = {"type": "number", "maximum": 5}
    assert answer(of(sizes={"type": "array", "items": limited}), "Sizes: 1, 7, 3") == {
        "sizes": [1, 3]
    }
    table = grid(["Item", "Price"], ["Apple", "5.00"], ["Pear", "7.00"])
    rows = answer(of(lines={"type": "array", "items": of(item=TEXT, price=limited)}), table)[
        "lines"
    ]
    assert rows == [{"item": "Apple", "price": 5.0}, {"item": "Pear", "price": None}]


# --- what is not heeded ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("patternProperties", {"^b": NUMBER}),
        ("additionalProperties", NUMBER),
        ("minProperties", 2),
        ("dependentRequired", {"a": ["b"]}),
        ("not", {"required": ["b"]}),
        ("if", {"properties": {"a": {"const": 1}}}),
    ],
)
def test_a_keyword_that_changes_nothing_is_named(keyword, value):
    """With its place and the reason, at the top and below."""
    object_ = {**of(a=TEXT), keyword: value}
    (note,) = unheeded(object_)
    assert note.startswith(f"instructions.schema.{keyword}: ")
    (note,) = unheeded(of(y=object_))
    assert note.startswith(f"instructions.schema.y.{keyword}: ")


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"type": "string", "format": "currency"}, "format"),
        ({"type": "string", "pattern": "("}, "pattern"),
        ({"type": "number", "minimum": 3, "exclusiveMinimum": True}, "exclusiveMinimum"),
        ({"type": "array", "items": TEXT, "maxItems": 2}, "maxItems"),
        ({"type": "array", "items": TEXT, "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "prefixItems": [TEXT]}, "prefixItems"),
    ],
)
def test_a_limit_that_is_not_checked_is_named(schema, keyword):
    """Formats and patterns that nobody here reads, and the size of lists."""
    (note,) = unheeded(of(x=schema))
    assert note.startswith(f"instructions.schema.x.{keyword}: ")


def test_what_asks_for_nothing_is_not_named():
    """Defaults, annotations and the ban of what is never given anyway."""
    schema = {
        **of(a={"type": "integer", "format": "int64", "examples": [1], "default": 3}),
        "additionalProperties": False,
        "required": ["a"],
        "title": "A paper",
        "$comment": "as the office wants it",
    }
    assert not unheeded(schema)


# --- true and false -------------------------------------------------------------------------------


def test_true_is_a_schema_that_takes_anything():
    """As a property and as items."""
    assert of_x(True, "hello") == "hello"
    assert answer(of(tags={"type": "array", "items": True}), "Tags: a, b") == {"tags": ["a", "b"]}


def test_false_is_a_schema_that_takes_nothing():
    """Such a property isn't asked for, and such a list is empty."""
    assert answer(of(x=False, y=TEXT), "x: 1", "y: 2") == {"y": "2"}
    assert answer(of(tags={"type": "array", "items": False}), "Tags: a, b") == {"tags": []}


def test_only_null_is_null():
    """A field of that type takes no text."""
    assert of_x({"type": "null"}, "hello") is None


@pytest.mark.parametrize(
    ("pattern", "text", "is_read"),
    [
        (r"^(?:[A-Z]{2}|\d{3})-\d+\.\d+\.\d+$", "AB-1.22.333", True),
        (r"^\(?\d{3}\)+[)*+]*$", "(030)*", True),
        (r"^(a+)+$", "a" * 40 + "!", False),
        (r"^(a|aa){2,}$", "a" * 40 + "!", False),
        (r"^.*.*.*.*.*$", "a" * 5_000, True),
    ],
)
def test_no_pattern_takes_long(pattern: str, text: str, is_read: bool) -> None:
    """A search that has begun can't be stopped: what may take long isn't begun, and fits nothing;
    where no text could be checked in time the schema's keyword is named.
    """
    named = unheeded(of(x={"type": "string", "pattern": pattern}))
    assert bool(named) is not is_read
    limits = tuple(limits_in({"pattern": pattern}))
    assert heeds(text, limits) is (len(text) < 1_000)
