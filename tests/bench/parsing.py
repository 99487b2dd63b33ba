"""Pages per second and core, of the service's reader as a share of bare liteparse: `python
tests/bench/parsing.py`.

Both read the same PDFs in one run, in turns; the share is of CPU time, so that other load matters
little. Neither recognises pictures: Tesseract's seconds for a page would be all that is seen.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import liteparse

from batcher.service.parsing import DocumentProblem, parse

EXAMPLES = Path(__file__).parents[2] / "examples" / "documents"


def bare(path: Path) -> int:
    """The same blocks, and nothing made of them."""
    reader = liteparse.LiteParse(
        ocr_enabled=False, quiet=True, extract_blocks=True, output_format="markdown"
    )
    return len(reader.parse(path.read_bytes()).pages)


def ours(path: Path) -> int:
    return parse(path, extension="pdf", options={}).num_pages


def readable(path: Path) -> bool:
    try:
        return ours(path) > 0
    except DocumentProblem:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=EXAMPLES)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ["PATH"] = ""  # a machine without Tesseract
    sys.modules["rapidocr"] = None  # type: ignore[assignment]
    paths = [path for path in sorted(arguments.folder.rglob("*.pdf")) if readable(path)]
    spent = {bare: 0.0, ours: 0.0}
    pages = {bare: 0, ours: 0}
    for _ in range(arguments.rounds):
        for read in (bare, ours):
            began = time.process_time()
            pages[read] += sum(map(read, paths))
            spent[read] += time.process_time() - began
    for read in (bare, ours):
        print(f"{read.__name__:5} {pages[read] / spent[read]:7.0f} pages per second of one core")
    print(f"share {(pages[ours] / spent[ours]) / (pages[bare] / spent[bare]):.2f}")


if __name__ == "__main__":
    main()
