"""A result as Markdown: front matter, then the text of a parse, or fields and sections as lists.

It is generated in pieces, so that a result of any size passes through. Nothing is added to the
text, and the service's tables are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batcher.common.strict_json import encoded, sound
from batcher.outputs.rows import flat, metadata_of, text_of
from batcher.reducto.results import (
    Block,
    Buffer,
    Chunk,
    Origin,
    Record,
    chunks_of,
    read_result,
    records_of,
)


def markdown_of(
    body: Buffer,
    origin: Origin,
    *,
    images: Mapping[str, str] | None = None,
    left_out: list[str] | None = None,
) -> Iterator[str]:
    """Yield the result as Markdown.

    `images` maps the addresses of downloaded pictures to their paths relative to the Markdown file.
    What couldn't be read is appended to `left_out`.
    """
    result = read_result(body, left_out)
    yield _front_matter(origin, result.job_id)
    for chunk in chunks_of(result):
        text = _with_images(chunk, images or {}).strip()
        if text:
            yield f"\n{text}\n"
    for record in records_of(result):
        yield f"\n{_list(record)}"


def _front_matter(origin: Origin, job_id: str | None) -> str:
    """Return YAML front matter; each value is JSON, which is YAML as well."""
    facts: dict[str, Any] = {
        "source": sound(origin.source),
        "job": origin.job,
        "job_id": job_id or origin.job_id,
        "pages": origin.pages,
        "credits": origin.credits,
    }
    lines = [
        f"{name}: {encoded(value).decode()}" for name, value in facts.items() if value is not None
    ]
    metadata = metadata_of(origin)
    if metadata is not None:
        lines.append(f"metadata: {metadata.decode()}")
    return "\n".join(["---", *lines, "---", ""])


def _with_images(chunk: Chunk, images: Mapping[str, str]) -> str:
    """Insert each picture after the text of its block, or at the end if that can't be found."""
    text = chunk.text
    at = 0
    for block in chunk.blocks if images else ():
        at = max(at, _end_of(block, text, at))
        for url in block.images:
            if url in images:
                link = f"\n\n![{_title(block)}]({_escaped(images[url])})\n\n"
                text = text[:at] + link + text[at:]
                at += len(link)
    return text


def _end_of(block: Block, text: str, start: int) -> int:
    content = block.content.strip() if isinstance(block.content, str) else ""
    found = text.find(content, start) if content else -1
    return start if found < 0 else found + len(content)


def _title(block: Block) -> str:
    kind = block.type if isinstance(block.type, str) else "Picture"
    return f"{kind}, page {block.page}" if block.page else kind


def _escaped(place: str) -> str:
    return f"<{place}>" if any(c in place for c in " ()") else place


def _list(record: Record) -> str:
    lines = [f"- **{name}**: {_one_line(value)}" for name, value in flat(record).items()]
    return "\n".join(lines) + "\n" if lines else ""


def _one_line(value: object) -> str:
    return "" if value is None else " ".join(text_of(value).split())
