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
from dataclasses import dataclass
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
    tell_words([found for path in paths if (found := compared(path)) is not None])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


@dataclass(frozen=True, slots=True)
class Compared:
    """How many words of liteparse's text there are, and how many of them and beyond are read.

    Of those beyond, `beside` stand in comments and form fields, which liteparse tells apart from
    its text.
    """

    wanted: int
    read: int
    beside: int
    beyond: int
    turned: bool

    @property
    def recall(self) -> float:
        return self.read / self.wanted

    @property
    def f1(self) -> float:
        """Of the words apart from those beside the text: these may be read and needn't be."""
        return 2 * self.read / (self.wanted + self.read + self.beyond)


def compared(path: Path) -> Compared | None:
    """Compare the words that are read with liteparse's, or return None if it finds none.

    Of a page that lies on its side liteparse's text is the one that it gives if told so.
    """
    result = parse(path, extension="pdf", options={}).result
    read = words_of("\n".join(chunk["content"] for chunk in result["chunks"]))
    ways = [_compared(path, read, turn) for turn in (0, 90, 180, 270)]
    if ways[0] is None:
        return None
    return max(filter(None, ways), key=lambda way: (way.f1, not way.turned))


def _compared(path: Path, read: Counter[str], turn: int) -> Compared | None:
    content = path.read_bytes()
    reader = liteparse.LiteParse(ocr_enabled=False, quiet=True)
    pages = range(1, reader.parse(content).num_pages + 1)
    told = liteparse.LiteParse(
        ocr_enabled=False,
        quiet=True,
        extract_annotations=True,
        extract_form_fields=True,
        page_orientation_corrections=[(page, turn) for page in pages] if turn else None,
    ).parse(content)
    wanted = words_of("\n".join(page.text for page in told.pages))
    if not wanted:
        return None
    more = read - wanted
    aside = (more & sum(map(beside, told.pages), Counter())).total()
    both = (read & wanted).total()
    return Compared(wanted.total(), both, aside, more.total() - aside, turned=turn != 0)


def tell_words(found: Sequence[Compared]) -> None:
    if not found:
        return
    recalls = [one.recall for one in found]
    f1s = [one.f1 for one in found]
    print(f"\nliteparse's words, in {len(found)} documents:")
    print(f"  recall mean {fmean(recalls):.4f}, least {min(recalls):.3f}, {_low(recalls)}")
    print(f"  F1 mean {fmean(f1s):.4f}, least {min(f1s):.3f}, {_low(f1s)}")
    for name, counts in (
        ("in comments and fields", [one.beside for one in found]),
        ("others", [one.beyond for one in found]),
    ):
        print(f"  words beyond them, {name}: {sum(counts)} in {sum(map(bool, counts))} documents")
    print(f"  read as if turned upright: {sum(one.turned for one in found)} documents")


def _low(shares: Sequence[float]) -> str:
    return f"under .98: {sum(share < 0.98 for share in shares)}"


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
