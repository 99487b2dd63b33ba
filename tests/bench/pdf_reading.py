"""How many pages of PDFs with text are read per second of one core, and whether each word is there.

`python tests/bench/pdf_reading.py`, with a folder of your own as argument if you like.

Three readers read the same files in turns, in one process: liteparse's text alone, liteparse with
the blocks that we ask of it, and the service's reader with its JSON. What counts is the ratio of
CPU time; on a shared machine the same work takes twice as long a minute later. No OCR runs.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

import liteparse
import msgspec

from batcher.service.parsing import DocumentProblem, parse

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))
from marked_pdf import UPWARDS, File, line

WORDS = "the quick brown fox jumps over a lazy dog while seven lanterns of brass glow".split()
DOCUMENTS = 12
PAGES = 12  # of a document
LINES = 46  # of a page


def text_alone(path: Path) -> int:
    return len(plain(path).pages)


def with_blocks(path: Path) -> int:
    reader = liteparse.LiteParse(
        ocr_enabled=False, quiet=True, extract_blocks=True, output_format="markdown"
    )
    return len(reader.parse(path.read_bytes()).pages)


def ours(path: Path) -> int:
    parsed = parse(path, extension="pdf", options={})
    msgspec.json.encode(parsed.result)
    return parsed.num_pages


READERS: dict[str, Callable[[Path], int]] = {
    "liteparse, text alone": text_alone,
    "liteparse, the same blocks": with_blocks,
    "ours, to JSON": ours,
}


def plain(path: Path) -> liteparse.ParseResult:
    return liteparse.LiteParse(ocr_enabled=False, quiet=True).parse(path.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="of PDFs; made up without it")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    os.environ["PATH"] = ""  # a machine without Tesseract
    sys.modules["rapidocr"] = None  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.folder is None:
            make(Path(folder))
        paths = sorted((arguments.folder or Path(folder)).rglob("*.pdf"))
        report([path for path in paths if is_readable(path)], arguments.rounds)


def make(folder: Path) -> None:
    """Write documents of prose, lists, a table and a word in the margin."""
    for number in range(DOCUMENTS):
        made = File()
        for page in range(PAGES):
            made.page(b"".join(lines_of_page(number * PAGES + page)))
        (folder / f"{number}.pdf").write_bytes(made.bytes())


def lines_of_page(page: int) -> list[bytes]:
    lines = [line(f"{page} A heading of this page", 60, 790, size=16)]
    for row in range(LINES):
        start = (page * 7 + row * 5) % len(WORDS)
        words = (WORDS * 2)[start : start + 12]
        bullet = "• " if row % 11 == 10 else ""
        lines.append(line(f"{bullet}{' '.join(words)} {row}.", 60, 765 - 15 * row, size=10))
    if page % 4 == 0:
        lines.append(line("set sideways", 30, 300, turn=UPWARDS))
    return lines


def is_readable(path: Path) -> bool:
    try:
        return text_alone(path) > 0 and ours(path) > 0
    except (DocumentProblem, liteparse.ParseError):
        return False


def report(paths: Sequence[Path], rounds: int) -> None:
    spent: dict[str, list[float]] = {name: [] for name in READERS}
    pages = dict.fromkeys(READERS, 0)
    for _ in range(rounds):
        for name, read in READERS.items():
            began = time.process_time()
            pages[name] = sum(map(read, paths))
            spent[name].append(time.process_time() - began)
    print(f"{len(paths)} documents, {pages['ours, to JSON']} pages, medians of {rounds} rounds\n")
    print("| reader | pages per CPU second | ours is |\n|---|---|---|")
    mine = pages["ours, to JSON"] / median(spent["ours, to JSON"])
    for name in READERS:
        speed = pages[name] / median(spent[name])
        print(f"| {name} | {speed:.0f} | {mine / speed:.2f} × |")
    found = [f1_of(path) for path in paths]
    found = [one for one in found if one is not None]
    if found:
        print(f"\nword F1 beside liteparse's text: mean {fmean(found):.4f}, least {min(found):.3f}")
        print(f"under .98: {sum(f1 < 0.98 for f1 in found)} of {len(found)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


def f1_of(path: Path) -> float | None:
    """Return the F1 of the words that are read, or None if liteparse finds no words.

    What stands beside the text, in comments and fields, may be read and needn't be.
    """
    told = liteparse.LiteParse(
        ocr_enabled=False, quiet=True, extract_annotations=True, extract_form_fields=True
    ).parse(path.read_bytes())
    wanted = words_of("\n".join(page.text for page in told.pages))
    result = parse(path, extension="pdf", options={}).result
    read = words_of("\n".join(chunk["content"] for chunk in result["chunks"]))
    if not wanted:
        return None
    wanted += (read - wanted) & sum(map(beside, told.pages), Counter())
    return 2 * (wanted & read).total() / (wanted.total() + read.total())


def beside(page: liteparse.ParsedPage) -> Counter[str]:
    """Return the words of the page's comments and of the names and values of its fields."""
    texts = [annotation.contents for annotation in page.annotations or []]
    for field in page.form_fields or []:
        texts += [field.name, field.alternate_name, field.value, *field.selected_options]
    return words_of("\n".join(filter(None, texts)))


def words_of(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


if __name__ == "__main__":
    main()
