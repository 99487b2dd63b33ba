"""The smallest parser that keeps the contract: text in, one block out.

A document's own words tell it to misbehave. One that begins with "scan of 7 pages" has pages that
other hands may read, and a line for each thing that goes wrong there.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.scans.page_ranges import (
    CORES,
    Read,
    Recognised,
    read_in_ranges,
)

BOX = {"left": 0.1, "top": 0.1, "width": 0.8, "height": 0.1, "page": 1, "original_page": 1}


class DocumentProblem(Exception):
    def __init__(self, name: ErrorName, message: str, code: int) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.code = code


@dataclass
class Parsed:
    result: dict[str, Any]
    num_pages: int = 1
    credits: float = 1.0
    images: dict[str, bytes] = field(default_factory=dict)
    document_properties: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    billed: list[str] = field(default_factory=lambda: ["page"])


def parse(path: Path, *, extension: str, options: Mapping[str, Any]) -> Parsed:
    text = path.read_text()
    if text == "die":
        os._exit(9)
    if text.startswith("die once ") and not (mark := Path(text.removeprefix("die once "))).exists():
        mark.touch()
        os._exit(9)
    if text == "stumble":
        raise KeyError("no relationship with key 'rId7'")
    if text == "name the file":
        raise ValueError(f"cannot identify {str(path)!r}")
    if text == "half a character":
        raise ValueError("\ud83d")
    if text == "endless message":
        raise ValueError("x" * 10_000_000)
    if text == "too deep":
        raise RecursionError
    if text == "full disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    if text == "shout":
        os.write(1, b"a library's own words\n")
        os.write(2, b"a library's own words\n")
    if text == "refuse":
        raise DocumentProblem(ErrorName.DOCUMENT_CORRUPT, "The document is broken", 415)
    if text.startswith("wait for "):
        _wait_for(Path(text.removeprefix("wait for ")))
    if text.endswith(" and never end"):
        Path(text.removeprefix("say so in ").removesuffix(" and never end")).touch()
        _wait_for(path / "never")
    if text.startswith("say so in ") and ", wait for " in text:
        begun, _, awaited = text.removeprefix("say so in ").partition(", wait for ")
        Path(begun).touch()
        _wait_for(Path(awaited))
    if text.startswith(("end the hand unless ", "stop the hand unless ")):
        _lose_the_hand(text)
    if text == "environment":
        text = " ".join(os.environ)
    if text.startswith("take "):
        time.sleep(float(text.split()[1]))
    if text.startswith("note "):
        word, _, place = text.removeprefix("note ").partition(" in ")
        with Path(place).open("a") as notes:
            notes.write(word + "\n")
    if text == "hog memory in a library":
        raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : std::bad_alloc")
    if text == "hog memory":
        bytearray(8 << 30)
    while text == "burn time":
        pass
    if text == "cores":
        text = str(CORES.get())
    if text.startswith("scan of "):
        text = _whole_scan(text)
    if text == "grow":
        text = "x" * 6_500_000
    block = {"type": "Text", "bbox": BOX, "content": text, "confidence": "high", "image_url": None}
    images = {"page-1.png": b"\x89PNG"} if text == "picture" else {}
    if images:
        block["image_url"] = "page-1.png"
    chunk = {
        "content": text,
        "embed": text,
        "enriched": None,
        "enrichment_success": False,
        "blocks": [block],
    }
    return Parsed({"type": "full", "chunks": [chunk], "ocr": None, "custom": None}, images=images)


def recognise(
    path: Path, *, extension: str, settings: Mapping[str, Any], numbers: Sequence[int]
) -> Read:
    text = path.read_text()
    for line in text.splitlines():
        if line.startswith(("end the hand unless ", "stop the hand unless ")):
            _lose_the_hand(line)
    return read_in_ranges(
        numbers, lambda pages: _read_range(text, pages, "other", settings), most=CORES.get()
    )


def _whole_scan(text: str) -> str:
    count = int(text.split()[2])
    read = read_in_ranges(
        range(1, count + 1), lambda pages: _read_range(text, pages, "own", {}), most=CORES.get()
    )
    return " ".join(read[number].unread[0] for number in range(1, count + 1))


def _read_range(text: str, pages: Sequence[int], whose: str, settings: Mapping[str, Any]) -> Read:
    """Follow the lines "own|other|any WORDS", for the document's own process and for helpers."""
    for line in text.splitlines()[1:]:
        who, _, words = line.partition(" ")
        word, _, rest = words.partition(" ")
        if who not in (whose, "any"):
            continue
        if word == "note":  # in FILE
            with Path(rest).open("a") as notes:
                password = settings.get("document_password", "-")
                notes.write(f"{whose} {os.getpid()} {password} {','.join(map(str, pages))}\n")
        if word == "await":
            _wait_for(Path(rest))
        if word == "die" and int(rest) in pages:
            os._exit(9)
        if word == "die-once" and not Path(rest).exists():
            Path(rest).touch()
            os._exit(9)
        if word == "fail":
            raise DocumentProblem(ErrorName.DOCUMENT_UNSUPPORTED, "no OCR on this machine", 415)
    return {number: Recognised(unread=(f"page {number}",)) for number in pages}


def _lose_the_hand(text: str) -> None:
    """End or stop the process that started this one, the first time."""
    word, _, mark = text.partition(" the hand unless ")
    if not (done := Path(mark)).exists():
        done.touch() if done.parent.exists() and not mark.endswith("/") else None
        os.kill(os.getppid(), signal.SIGKILL if word == "end" else signal.SIGSTOP)
        time.sleep(60)


def _wait_for(signal: Path) -> None:
    while not signal.exists():
        time.sleep(0.01)
