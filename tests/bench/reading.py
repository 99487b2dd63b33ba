"""What the local service reads of documents: `python tests/bench/reading.py [FOLDER [--references
FOLDER]]`.

Of documents that the tests make, with a marker word in each place, it counts the markers that come
out exactly once. Of a folder's documents it tells how many are read, their words, seconds and peak
memory; a text beside a document or among the references (`NAME.txt` or `NAME.md`, NAME with its
extension) is what its words are compared with: recall, F1 of the multisets, and whether every word
comes out exactly as often as there.
"""

from __future__ import annotations

import argparse
import importlib
import re
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batcher.service.parsing import DocumentProblem, parse

BUILDERS = Path(__file__).parents[1] / "service"


@dataclass(slots=True)
class Found:
    """What was found of the documents of one kind; `problems` counts refusals by error name."""

    read: int = 0
    words: int = 0
    seconds: float = 0.0
    problems: Counter[str] = field(default_factory=Counter)
    recall: list[float] = field(default_factory=list)
    f1: list[float] = field(default_factory=list)
    exact: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="documents to read as well")
    parser.add_argument("--references", type=Path, help="where their texts are, if not beside them")
    parser.add_argument("--worst", type=int, default=0, help="name so many of the least F1")
    arguments = parser.parse_args()
    _tell_markers()
    if arguments.folder:
        _tell_folder(arguments.folder, arguments.references, arguments.worst)


def _tell_markers() -> None:
    print("places marked with a word, found exactly once")
    for name, (content, places) in _marked():
        text = _text_of(content, name)
        times = {
            place: len(re.findall(rf"(?<![0-9.]){re.escape(word)}(?![0-9])", text))
            for place, word in places.items()
        }
        right = sum(number == 1 for number in times.values())
        wrong = ", ".join(f"{place} {number}x" for place, number in times.items() if number != 1)
        print(f"  {name:6} {right:3} of {len(places):3}  {wrong}")


def _marked() -> Iterator[tuple[str, tuple[bytes, dict[str, str]]]]:
    sys.path.insert(0, str(BUILDERS))
    for path in sorted(BUILDERS.glob("marked_*.py")):
        yield path.stem.removeprefix("marked_"), importlib.import_module(path.stem).marked()


def _text_of(content: bytes, extension: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=f".{extension}") as file:
        file.write(content)
        file.flush()
        return _read(Path(file.name), extension)


def _read(path: Path, extension: str) -> str:
    answer = parse(path, extension=extension, options={})
    return "\n".join(
        block["content"] for chunk in answer.result["chunks"] for block in chunk["blocks"]
    )


def _tell_folder(folder: Path, references: Path | None, worst: int) -> None:
    found: dict[str, Found] = defaultdict(Found)
    ranked: list[tuple[float, Path]] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        kind = found[path.suffix.lower().lstrip(".")]
        began = time.process_time()
        try:
            text = _read(path, path.suffix)
        except DocumentProblem as problem:
            kind.problems[problem.name] += 1
            continue
        kind.seconds += time.process_time() - began
        kind.read += 1
        words = Counter(text.split())
        kind.words += words.total()
        if (reference := _reference(path, references)) is not None:
            recall, f1 = _compared(words_of(text), words_of(reference))
            kind.recall.append(recall)
            kind.f1.append(f1)
            kind.exact += words_of(text) == words_of(reference)
            ranked.append((f1, path))
    print("\nkind    read  refused    words  CPU s  recall     F1  exact")
    for name, kind in sorted(found.items()):
        print(
            f"{name:6} {kind.read:5} {kind.problems.total():8} {kind.words:8} {kind.seconds:6.2f} "
            f"{_mean(kind.recall):>7} {_mean(kind.f1):>6} {kind.exact:6}"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    for f1, path in sorted(ranked)[:worst]:
        print(f"{f1:.3f} {path}")


def _reference(path: Path, references: Path | None) -> str | None:
    for suffix in (".txt", ".md"):
        beside = (references or path.parent) / (path.name + suffix)
        if beside.is_file() and beside != path:
            return beside.read_text(errors="replace")
    return None


def words_of(text: str) -> Counter[str]:
    """Return the words without marks of Markdown or case: letters and digits alone."""
    return Counter(re.findall(r"\w+", text.casefold().replace("_", " ")))


def _compared(found: Counter[str], wanted: Counter[str]) -> tuple[float, float]:
    both = (found & wanted).total()
    if not both:
        return 0.0, float(not wanted and not found)
    recall, precision = both / wanted.total(), both / found.total()
    return recall, 2 * recall * precision / (recall + precision)


def _mean(values: list[float]) -> str:
    return f"{statistics.fmean(values):.4f}" if values else "-"


if __name__ == "__main__":
    main()
