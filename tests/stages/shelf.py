"""A ledger and a store with saved results in them, for what is made of results."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from batcher.core import events as e
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, open_ledger
from batcher.outputs.result_store import Item, Store, Written

NOW = 1_800_000_000.0


class Shelf:
    """Use `save`; the ledger is a real one on disk, its writer inline."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root)
        self.store.check_writable()
        self.ledger: Ledger = open_ledger(
            root / ".batcher" / "ledger.db", batch="b", clock=lambda: NOW, inline=True
        )

    async def save(
        self, source: str, result: dict[str, Any] | bytes, *, replaces: int | None = None
    ) -> int:
        """A document of which `result` came home; its number."""
        body = result if isinstance(result, bytes) else json.dumps(result).encode()
        content = sha256(body).hexdigest()
        await self.ledger.admit([_version(source, content, replaces)])
        (document,) = self.ledger.reader.execute("SELECT max(id) FROM documents").fetchone()
        sending = e.Sending(document, f"nonce {document}", "local", "local", 1.0)
        await self.ledger.record(e.Uploaded(document, f"reducto://{document}"), sending)
        await self.ledger.record(e.Accepted(document, f"job {document}", NOW + 43_200))
        (written,) = self.store.write_group(
            [Item(f"{source}.json", body, self.ledger.tracking.hashes_at(f"{source}.json"))]
        )
        assert isinstance(written, Written)
        saved = e.Saved(document, written.output, written.sha256, written.size)
        await self.ledger.record(e.Ended(document, 2, 2.0), saved)
        return int(document)


def _version(source: str, content: str, replaces: int | None) -> Version:
    stamp: dict[str, Any] = {
        "size": 1,
        "mtime_ns": 1,
        "inode": 1,
        "output": f"{source}.json",
        "replaces": replaces,
    }
    return Version(
        source=source, folder="/in", job="parse", step="s", content=f"{content}.{source}", **stamp
    )


def parsed(*chunks: str, job_id: str = "j", images: tuple[str, ...] = ()) -> dict[str, Any]:
    """A parse as the service gives it; each chunk is one block, on a page of its own."""
    blocks = [
        {
            "type": "Text",
            "content": text,
            "image_url": images[number] if number < len(images) else None,
            "bbox": {
                "left": 0,
                "top": 0,
                "width": 1,
                "height": 1,
                "page": number + 1,
                "original_page": number + 1,
            },
        }
        for number, text in enumerate(chunks)
    ]
    inner = [
        {"content": b["content"], "embed": b["content"], "enriched": None, "blocks": [b]}
        for b in blocks
    ]
    usage = {"num_pages": len(chunks), "credits": float(len(chunks))}
    result = {"type": "full", "chunks": inner}
    return {
        "response_type": "parse",
        "job_id": job_id,
        "duration": 1.0,
        "usage": usage,
        "result": result,
    }
