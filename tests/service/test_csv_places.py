"""Every cell of a CSV file comes out once, in the columns that its author meant."""

from __future__ import annotations

from pathlib import Path

import marked_csv
import pytest
from parsed_documents import read, text_of

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing import DocumentProblem

CONTENT, WORDS = marked_csv.marked()


def table_of(path: Path, content: bytes) -> list[list[str]]:
    """The rows of the first table."""
    lines = [line for line in text_of(read(path, content)).split("\n") if line.startswith("| ")]
    return [
        [cell.strip() for cell in line[2:-2].split(" | ")] for line in lines if "| ---" not in line
    ]


@pytest.mark.parametrize("place", WORDS)
def test_every_place_is_read_once(tmp_path: Path, place: str) -> None:
    assert text_of(read(tmp_path / "a.csv", CONTENT)).count(WORDS[place]) == 1


def test_lines_around_the_table_are_text(tmp_path: Path) -> None:
    text = text_of(read(tmp_path / "a.csv", CONTENT))
    assert text.startswith("titleline\n\n| nameheader | remarkheader | priceheader |")
    assert text.endswith("\n\nlastline")


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (b"a,b\n1,2\n", ["1", "2"]),
        (b"a;b\n1,5;2,5\n", ["1,5", "2,5"]),
        (b"a\tb\n1, one\t2\n", ["1, one", "2"]),
        (b"a,b\n1|x,2|y\n3|x,4|y\n", ["1\\|x", "2\\|y"]),
        (b"a^b\n1^2\n", ["1^2"]),
        (b"sep=^\r\na^b\r\n1^2\r\n", ["1", "2"]),
        (b'"sep=;"\na;b\n1,5;2,5\n', ["1,5", "2,5"]),
        (b"id;tags;price\n1;['a'];2,50\n2;['b', 'c'];3,50\n", ["1", "['a']", "2,50"]),
        (b"name;note\nA;x, y, z\nB;p, q\n", ["A", "x, y, z"]),
        (b"n,v\n1,a;b\n2,c;d\n", ["1", "a;b"]),
        (b"name,remark\nO'Neil,'tis fine\nD'Arcy,rock 'n' roll\n", ["O'Neil", "'tis fine"]),
        (b"'a','b'\n'1','two, three'\n", ["1", "two, three"]),
        (b'a,b\n1,"say \\"x, y\\" now"\n', ["1", 'say "x, y" now']),
        (b'a, "b"\n1, "x, y"\n', ["1", "x, y"]),
        (b"a,b\r1,2\r", ["1", "2"]),
        (b"a,b\n1\0,2\0\n", ["1", "2"]),
        ("a,b\n1,2\n".encode("utf-16"), ["1", "2"]),
        ("a;b\nCafé;Zoë\n".encode("cp1252"), ["Café", "Zoë"]),
    ],
)
def test_the_columns_are_those_of_the_file(tmp_path: Path, content: bytes, row: list[str]) -> None:
    assert table_of(tmp_path / "a.csv", content)[1] == row


def test_a_delimiter_is_chosen_by_more_than_the_first_lines(tmp_path: Path) -> None:
    content = 'id;text\n1;"' + "x, y; z " * 9000 + '"\n2;"short"\n'
    assert table_of(tmp_path / "a.csv", content.encode())[2] == ["2", "short"]


def test_a_quote_that_is_never_closed_is_text(tmp_path: Path) -> None:
    """It doesn't swallow the lines after it."""
    rows = table_of(tmp_path / "a.csv", b'a,b\n1,"12 inch\n2,x\n3,"y, z"\n')
    assert rows == [["a", "b"], ["1", '"12 inch'], ["2", "x"], ["3", "y, z"]]


def test_a_stray_byte_costs_one_character_and_confidence(tmp_path: Path) -> None:
    lines = "".join(f"{number},Zoë\n" for number in range(200)).encode()
    parsed = read(tmp_path / "a.csv", b"a,b\xff\n" + lines)
    (block,) = parsed.result["chunks"][0]["blocks"]
    assert block["content"].count("Zoë") == 200 and block["content"].count("\ufffd") == 1
    assert block["confidence"] == "low"


def test_a_column_of_sentences_isnt_cut_at_commas(tmp_path: Path) -> None:
    content = b"Lorem, ipsum\ndolor sit\namet consectetur\nadipiscing elit\n"
    assert table_of(tmp_path / "a.csv", content)[0] == ["Lorem, ipsum"]


def test_a_cell_of_many_megabytes_is_read(tmp_path: Path) -> None:
    content = b'a,b\n1,"' + b"word " * (17 << 18) + b'"\n'
    assert text_of(read(tmp_path / "a.csv", content)).count("word") == 17 << 18


def test_one_line_of_many_cells_doesnt_widen_all_others(tmp_path: Path) -> None:
    content = b"a,b\n" * 20_000 + b"," * 20_000 + b"x\n"
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.csv", content)
    assert caught.value.name == ErrorName.DOCUMENT_TOO_LARGE


@pytest.mark.timeout(60)  # quadratic in the lines it would take ten times that
def test_quotes_that_are_never_closed_take_no_endless_time(tmp_path: Path) -> None:
    parsed = read(tmp_path / "a.csv", b'a,"b\n' * 20_001)
    assert parsed.num_pages == 1


def test_a_file_of_empty_lines_is_empty(tmp_path: Path) -> None:
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.csv", b"\n,,\n\n")
    assert caught.value.name == ErrorName.DOCUMENT_EMPTY
