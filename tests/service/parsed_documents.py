"""A document that a test makes, read by the local service's parser, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batcher.service.parsing import Parsed, parse


def read(path: Path, content: bytes | str, **options: Any) -> Parsed:
    """Write the document and parse it; its type is told by the name."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return parse(path, extension=path.suffix, options=options)


def blocks_of(parsed: Parsed) -> list[dict[str, Any]]:
    return [block for chunk in parsed.result["chunks"] for block in chunk["blocks"]]


def typed(parsed: Parsed) -> list[tuple[str, str]]:
    """Return the type and the content of each block."""
    return [(block["type"], block["content"]) for block in blocks_of(parsed)]


def placed(parsed: Parsed) -> list[tuple[str, str, int]]:
    """Return the type, the content and the page of each block."""
    return [(block["type"], block["content"], block["bbox"]["page"]) for block in blocks_of(parsed)]


def text_of(parsed: Parsed) -> str:
    """Return the Markdown of all chunks."""
    return "\n".join(chunk["content"] for chunk in parsed.result["chunks"])


def types_of(parsed: Parsed) -> dict[str, str]:
    """Return the type of the block of each piece of text."""
    return {content: type_ for type_, content in typed(parsed)}
