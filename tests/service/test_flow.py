"""A walk over nested elements: every word comes out once, in blocks where they begin."""

from __future__ import annotations

import random

import pytest

from batcher.service.parsing import flow as flows
from batcher.service.parsing.flow import Flow
from batcher.service.parsing.pages import DocumentProblem, Page, unread_of


def test_text_around_a_block_keeps_its_order() -> None:
    flow = Flow()
    flow.write("before ")
    with flow.block("Section Header"):
        flow.write("head")
    flow.write(" aft")
    flow.write("er")
    assert [(block.type, block.content) for block in flow.blocks] == [
        ("Text", "before"),
        ("Section Header", "head"),
        ("Text", "after"),
    ]


def test_white_space_is_one_blank_unless_it_is_kept() -> None:
    flow = Flow()
    flow.write(" one\n  two ")
    flow.break_line()
    flow.write("three")
    with flow.block(keeps_space=True):
        flow.write("\nif x:\n    y\n")
    assert [block.content for block in flow.blocks] == ["one two\nthree", "if x:\n    y"]


def test_cells_that_span_places_keep_the_columns() -> None:
    flow = Flow()
    flow.begin_table()
    for row in ([("a", 1, 2), ("b", 2, 1)], [("c", 1, 1), ("d", 1, 1)], [("e", 1, 1)]):
        flow.begin_row()
        for text, columns, rows in row:
            flow.begin_cell()
            flow.write(text)
            flow.end_cell(columns=columns, rows=rows)
        flow.end_row()
    flow.end_table()
    (block,) = flow.blocks
    assert block.rows == [["a", "b", ""], ["", "c", "d"], ["e"]]


def test_a_nested_table_is_text_of_its_cell() -> None:
    flow = Flow()
    flow.begin_table()
    flow.begin_row()
    flow.begin_cell()
    flow.write("around")
    flow.begin_table()
    for words in (("x", "y"), ("z",)):
        flow.begin_row()
        for word in words:
            flow.begin_cell()
            flow.write(word)
            flow.end_cell()
        flow.end_row()
    flow.end_table()
    flow.write("after")
    flow.end_cell()
    flow.end_row()
    flow.end_table()
    (block,) = flow.blocks
    assert block.rows == [["around\nx y\nz\nafter"]]


def test_a_caption_within_the_table_and_text_outside_of_cells_are_kept() -> None:
    flow = Flow()
    flow.begin_table()
    flow.begin_row()
    flow.write("stray")
    flow.begin_cell()
    flow.write("cell")
    flow.end_cell()
    flow.end_row()
    flow.end_table()
    (block,) = flow.blocks
    assert block.rows == [["stray", "cell"]]


def test_whatever_is_nested_every_word_comes_out_once() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        flow = Flow()
        words: list[str] = []
        _nest(flow, rng, words, depth=0)
        found = " ".join(block.content for page in flow.pages for block in page)
        assert [
            word for word in found.replace("|", " ").split() if word.startswith("w")
        ] == words, f"seed {seed}"


def _nest(flow: Flow, rng: random.Random, words: list[str], *, depth: int) -> None:
    for _ in range(rng.randint(1, 4)):
        choice = rng.random()
        words.append(f"w{len(words)}")
        flow.write(f" {words[-1]} ")
        if choice < 0.3 and depth < 5:
            with flow.block(rng.choice(("", "List Item", "Title"))):
                _nest(flow, rng, words, depth=depth + 1)
        elif choice < 0.5 and depth < 5:
            flow.begin_table()
            for _ in range(rng.randint(1, 3)):
                flow.begin_row()
                for _ in range(rng.randint(1, 3)):
                    flow.begin_cell()
                    _nest(flow, rng, words, depth=depth + 1)
                    flow.end_cell(columns=rng.randint(1, 2), rows=rng.randint(1, 2))
                flow.end_row()
            flow.end_table()
        elif choice < 0.6:
            flow.break_page()


def test_text_without_end_is_an_error_with_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MOST_TEXT", 10)
    flow = Flow()
    with pytest.raises(DocumentProblem, match="more than") as raised:
        for _ in range(3):
            flow.write("five!")
    assert raised.value.name == "DOCUMENT_TOO_LARGE"


def test_a_table_of_spans_without_end_is_an_error_with_a_name() -> None:
    flow = Flow()
    flow.begin_table()
    flow.begin_row()
    with pytest.raises(DocumentProblem, match="places"):
        for _ in range(10_000):
            flow.begin_cell()
            flow.end_cell(columns=1_000_000, rows=1_000_000)


def test_what_was_not_read_names_its_pages() -> None:
    pages = [
        Page(number, number, [], unread=("no OCR here",) if number in (2, 3, 5) else ())
        for number in range(1, 7)
    ]
    assert unread_of(pages) == ["pages 2-3, 5: no OCR here"]
    assert unread_of(pages[1:2]) == ["no OCR here"]
