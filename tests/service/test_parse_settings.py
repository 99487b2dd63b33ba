"""The settings of a parse request: each changes the answer as the API says, or is named as not
served.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from parsed_documents import blocks_of

from batcher.reducto.api_types import JobType
from batcher.service.parsing import Parsed, parse, properties
from batcher.service.parsing.chunking import chunks_of
from batcher.service.parsing.pages import DocumentProblem, Page, PageBlock, table
from batcher.service.parsing.tables import formatted, split_large
from batcher.service.unserved import UNSERVED, unserved_by_parse

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
HANDBOOK = DOCUMENTS / "handbook" / "workshop-handbook.pdf"
ORDERS = DOCUMENTS / "reports" / "orders-2026.csv"
HOURS = DOCUMENTS / "reports" / "hours.xlsx"


def read(path: Path, **options: Any) -> Parsed:
    return parse(path, extension=path.suffix[1:], options=options)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(DocumentProblem) as caught:
        read(path, **options)
    return caught.value.name


@pytest.mark.parametrize(
    "asked", [{"start": 3, "end": 4}, [3, 4], [{"start": 3, "end": 3}, {"start": 4, "end": 4}]]
)
def test_a_page_range_is_read_alone(asked: Any) -> None:
    """Pages are counted anew, and each remembers its number in the document."""
    parsed = read(HANDBOOK, settings={"page_range": asked})
    places = {
        (block["bbox"]["page"], block["bbox"]["original_page"]) for block in blocks_of(parsed)
    }
    assert parsed.num_pages == 2 and places == {(1, 3), (2, 4)}


def test_a_sheet_is_chosen_by_its_name() -> None:
    """A workbook's page range may name sheets."""
    import python_calamine

    names = python_calamine.load_workbook(str(HOURS)).sheet_names
    assert read(HOURS, settings={"page_range": [names[-1]]}).num_pages == 1


@pytest.mark.parametrize("asked", [{"start": 400, "end": 401}, ["no such sheet"], [True]])
def test_a_page_range_that_names_nothing_is_refused(asked: Any) -> None:
    """With INVALID_CONFIG, before anything is invented."""
    assert refusal(HANDBOOK, settings={"page_range": asked}) == "INVALID_CONFIG"


@pytest.mark.parametrize(
    "mode", ["variable", "section", "page", "block", "disabled", "page_sections"]
)
def test_every_way_of_chunking_keeps_every_block(mode: str) -> None:
    """All blocks, once, in the same order, however they are grouped."""
    whole = [block["content"] for block in blocks_of(read(HANDBOOK))]
    chunked = read(HANDBOOK, retrieval={"chunking": {"chunk_mode": mode}})
    assert [block["content"] for block in blocks_of(chunked)] == whole


def test_a_chunk_by_page_holds_one_page() -> None:
    """As many chunks as pages."""
    chunks = read(HANDBOOK, retrieval={"chunking": {"chunk_mode": "page"}}).result["chunks"]
    assert [{block["bbox"]["page"] for block in chunk["blocks"]} for chunk in chunks] == [
        {n} for n in range(1, 13)
    ]


def test_variable_chunks_keep_to_their_size() -> None:
    """No chunk is longer than asked, save one that is a single block."""
    chunks = read(
        HANDBOOK, retrieval={"chunking": {"chunk_mode": "variable", "chunk_size": 600}}
    ).result["chunks"]
    lengths = [
        sum(len(block["content"]) for block in chunk["blocks"])
        for chunk in chunks
        if len(chunk["blocks"]) > 1
    ]
    assert lengths and max(lengths) <= 600


def test_filtered_blocks_leave_the_content_and_stay_among_the_blocks() -> None:
    """`filter_blocks` is about `content` and `embed` alone."""
    parsed = read(HANDBOOK, retrieval={"filter_blocks": ["Section Header"]})
    headings = [
        block["content"] for block in blocks_of(parsed) if block["type"] == "Section Header"
    ]
    assert headings and not any(
        f"## {headings[0]}" in chunk["content"] for chunk in parsed.result["chunks"]
    )


def test_page_markers_enclose_each_page() -> None:
    """In the order of the pages, by their numbers in the document."""
    (chunk,) = read(HANDBOOK, formatting={"add_page_markers": True}).result["chunks"]
    marks = [f"[[{edge} OF PAGE {n}]]" for n in range(1, 13) for edge in ("START", "END")]
    assert [line for line in chunk["content"].splitlines() if line.startswith("[[")] == marks


@pytest.mark.parametrize("name", ["md", "html", "csv", "json", "dynamic", "jsonbbox"])
def test_a_table_is_written_as_asked(name: str) -> None:
    """The same cells in every format, readable by that format's own reader."""
    (block,) = blocks_of(read(ORDERS, formatting={"table_output_format": name}))
    rows = list(csv.reader(io.StringIO(ORDERS.read_text())))
    assert cells_of(block["content"], name) == rows


def cells_of(content: str, name: str) -> list[list[str]]:
    if name == "csv":
        return list(csv.reader(io.StringIO(content)))
    if name.startswith("json"):
        return json.loads(content)
    if name == "html":
        from selectolax.lexbor import LexborHTMLParser

        return [
            [cell.text() for cell in row.css("td, th")]
            for row in LexborHTMLParser(content).css("tr")
        ]
    lines = [line for line in content.splitlines() if not set(line) <= set("|- ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_table_over_two_pages_becomes_one_when_asked() -> None:
    """Footers between don't matter, a repeated header is dropped, a table of another width stays
    apart.
    """
    head = ["part", "stock"]
    other = [["a", "b", "c"], ["1", "2", "3"]]
    first = Page(1, 1, [table([head, ["wick", "4"]]), PageBlock("Footer", "page")])
    second = Page(2, 2, [table([head, ["oil", "9"]]), table(other)])
    merged = formatted([first, second], {"formatting": {"merge_tables": True}})
    assert merged[0].blocks[0].rows == [head, ["wick", "4"], ["oil", "9"]]
    assert [block.rows for block in merged[1].blocks] == [other]


def test_text_between_two_tables_keeps_them_apart() -> None:
    """They are not consecutive."""
    page = Page(1, 1, [table([["a"], ["1"]]), PageBlock("Text", "and then"), table([["a"], ["2"]])])
    (merged,) = formatted([page], {"formatting": {"merge_tables": True}})
    assert len(merged.blocks) == 3


@pytest.mark.parametrize(
    ("asked", "heights"),
    [
        ({}, [51, 51, 21]),
        ({"enabled": False}, [121]),
        ({"size": 100}, [101, 21]),
        ({"size": {"row": 60}}, [61, 61]),
    ],
)
def test_a_long_table_of_a_sheet_is_cut(asked: dict[str, Any], heights: list[int]) -> None:
    """Each part has the header and so many rows under it; 50 unless told."""
    rows = [["n"], *([str(n)] for n in range(120))]
    parts = list(split_large(rows, {"split_large_tables": asked}))
    assert [len(part) for part in parts] == heights and all(part[0] == ["n"] for part in parts)


def test_too_many_cells_are_refused() -> None:
    """`max_cell_count` bounds what is worked on, by the API's own error name."""
    assert refusal(HOURS, spreadsheet={"max_cell_count": 2}) == "CELL_COUNT_EXCEEDED"


def test_a_password_opens_the_document() -> None:
    """Without it the document is refused."""
    locked = DOCUMENTS.parent / "trouble" / "locked.pdf"
    assert read(locked, settings={"document_password": "batcher"}).num_pages >= 1
    assert refusal(locked, settings={"document_password": "wrong"}) == "DOCUMENT_PASSWORD_PROTECTED"


def test_an_extension_can_be_forced() -> None:
    """A table called text is a paragraph, and a table once its extension is forced."""
    options = {"settings": {"force_file_extension": ".csv"}}
    (block,) = blocks_of(parse(ORDERS, extension="txt", options=options))
    assert block["type"] == "Table"


STOCK = DOCUMENTS / "reports" / "stock-2026-q2.pdf"


def test_pictures_of_pages_and_tables() -> None:
    """Every block names its page's picture, a table its own, and each name is a PNG of the place it
    names.
    """
    parsed = read(STOCK, settings={"return_images": ["page", "table"]})
    tables = [block["image_url"] for block in blocks_of(parsed) if block["type"] == "Table"]
    pages = {block["extra"]["page_image_url"] for block in blocks_of(parsed)}
    assert tables and pages | set(tables) == set(parsed.images)
    (page,) = [size(parsed.images[name]) for name in pages]
    table_sizes = [size(parsed.images[n]) for n in tables]
    assert all(wide < page[0] and high < page[1] for wide, high in table_sizes)


def test_no_picture_is_made_unasked() -> None:
    """They cost time and space."""
    parsed = read(STOCK)
    assert not parsed.images and all(block["image_url"] is None for block in blocks_of(parsed))


def test_an_image_is_its_own_page_s_picture() -> None:
    """A document that is an image has a page that can be shown."""
    parsed = read(
        DOCUMENTS / "correspondence" / "receipt.png", settings={"return_images": ["page"]}
    )
    assert list(parsed.images) == ["page-1.png"]


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG")
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_words_and_lines_have_their_places() -> None:
    """Every word of the page, inside of it, and of certain confidence only where OCR told one."""
    found = read(STOCK, settings={"return_ocr_data": True}).result["ocr"]
    assert "Stock report, second quarter 2026" in [line["text"] for line in found["lines"]]
    assert {"Stock", "report,", "quarter"} <= {word["text"] for word in found["words"]}
    assert all(
        0 <= word["bbox"]["left"] <= 1 and word["bbox"]["page"] == 1 for word in found["words"]
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("reports/stock-2026-q2.pdf", {"producer", "created_at", "modified_at"}),
        ("correspondence/repair-agreement.docx", {"created_at"}),
        ("reports/annual-review.pptx", {"created_at"}),
        ("reports/hours.xlsx", {"created_at"}),
    ],
)
def test_a_document_s_properties(name: str, told: set[str]) -> None:
    """What it says of itself, null for what it doesn't."""
    found = read(
        DOCUMENTS / name, settings={"extract_document_properties": True}
    ).document_properties
    assert found is not None and told <= {key for key, value in found.items() if value}
    assert len(found) == 9


def cited(path: Path, **formatting: Any) -> list[dict[str, Any]]:
    parsed = read(path, settings={"return_citations": True}, formatting=formatting)
    assert not parsed.notes
    return blocks_of(parsed)


@pytest.mark.parametrize("written", ["md", "html"])
def test_every_word_of_a_block_is_placed(written: str) -> None:
    """Its span in the content reads the same, and its box lies in the block's."""
    for block in cited(STOCK, table_output_format=written):
        words = block["extra"]["word_citations"]
        assert words and all(
            block["content"][w["char_start"] : w["char_end"]] == w["text"] for w in words
        )
        assert all(lies_in(word["bbox"], block["bbox"]) for word in words if word["bbox"])
        assert sum(word["bbox"] is None for word in words) <= len(words) / 10


def test_every_cell_of_a_table_is_placed() -> None:
    """By row, column and box, empty ones left out."""
    table, *_ = [block for block in cited(STOCK) if block["type"] == "Table"]
    cells = table["extra"]["cell_citations"]
    assert cells[0] | {"bbox": 0} == {"text": "Part", "row_idx": [0], "col_idx": [0], "bbox": 0}
    assert all(cell["text"].strip() and lies_in(cell["bbox"], table["bbox"]) for cell in cells)


def lies_in(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    slack = 0.01
    return all(
        outer[near] - slack <= inner[near]
        and inner[near] + inner[span] <= outer[near] + outer[span] + slack
        for near, span in (("left", "width"), ("top", "height"))
    )


def test_citations_and_merged_tables_exclude_each_other() -> None:
    """As the API says; the answer names the one that isn't there."""
    parsed = read(STOCK, settings={"return_citations": True}, formatting={"merge_tables": True})
    assert all(block["extra"] is None for block in blocks_of(parsed))
    assert parsed.notes == ["settings.return_citations: not together with formatting.merge_tables"]


@pytest.mark.parametrize("source", [STOCK, DOCUMENTS / "correspondence" / "delivery-note-scan.pdf"])
def test_a_searchable_document_is_made(source: Path, tmp_path: Path) -> None:
    """Its pages are pictures, and read again it has the same words: also those that only OCR could
    see.
    """
    parsed = read(source, settings={"embed_pdf_metadata": True, "embed_pdf_metadata_dpi": 72})
    made = tmp_path / "made.pdf"
    made.write_bytes(parsed.images["document.pdf"])
    words, found = (
        {w for b in blocks_of(p) for w in b["content"].replace("|", " ").split()}
        for p in (parsed, read(made))
    )
    assert len(words & found) >= 0.9 * len(words)


def test_a_merged_table_remembers_its_parts() -> None:
    """Content and place of each table it was put together from."""
    first, second = (
        Page(n, n, [table([["part"], [name]])]) for n, name in ((1, "tin"), (2, "wick"))
    )
    pages = formatted(
        [first, second], {"formatting": {"merge_tables": True, "table_output_format": "csv"}}
    )
    (block,) = blocks_of(Parsed({"chunks": chunks_of(pages, {})}, 2, 0))
    assert block["content"] == "part\ntin\nwick"
    assert [(p["content"], p["bbox"]["page"]) for p in block["merged_tables"]] == [
        ("part\ntin", 1),
        ("part\nwick", 2),
    ]


def test_a_pdf_s_title_and_author_are_read_from_its_xmp() -> None:
    """Lists are joined, entities stay what they are, and a broken packet tells nothing."""
    packet = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<r:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><r:Alt><r:li>Wicks</r:li></r:Alt></dc:title>
<dc:creator><r:Seq><r:li>Ada</r:li><r:li>Ben</r:li></r:Seq></dc:creator></r:Description></r:RDF></x:xmpmeta>"""
    found = properties._of_xmp(packet)
    assert (found["title"], found["author"], found["subject"]) == ("Wicks", "Ada, Ben", "")
    assert not any(properties._of_xmp("no xml").values()) and properties._of_xmp("") == {}


@pytest.mark.parametrize(
    "settings",
    [
        {"return_images": ["page"]},
        {"return_ocr_data": True},
        {"extract_document_properties": True},
        {"return_citations": True},
        {"embed_pdf_metadata": True},
    ],
)
def test_a_format_without_a_look_says_so(settings: dict[str, Any]) -> None:
    """A table of text has no pictures, places or properties, and the answer names what was asked in
    vain.
    """
    notes = read(ORDERS, settings=settings).notes
    assert [note.split(":")[0] for note in notes] == [f"settings.{name}" for name in settings]


@pytest.mark.parametrize("path", UNSERVED[JobType.PARSE])
def test_what_is_not_served_is_named(path: str) -> None:
    """Every setting of the table is told of when it is asked for, and only then."""
    options: Any = True
    for key in reversed(path.split(".")):
        options = {key: options}
    assert [note.split(":")[0] for note in unserved_by_parse(options, "pdf")] == [path]
    assert unserved_by_parse({}, "pdf") == []
