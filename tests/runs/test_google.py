"""From Google's object store and into it again: the same as S3, by another name for everything."""

from __future__ import annotations

import json
from pathlib import Path

import obstore
import pytest
from bucket import google_buckets
from commandline import batcher
from obstore.store import from_url
from peer import Peer


async def test_documents_come_from_one_bucket_and_results_go_to_another(
    peer: Peer, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large and small ones, names with spaces; a second run sends and puts nothing."""
    with google_buckets(monkeypatch, "inbox", "outbox"):
        inbox = from_url("gs://inbox/docs", client_options={"allow_http": True})
        for name, content in {"a/ü one.txt": b"one", "large.txt": b"x" * (2 << 20)}.items():
            obstore.put(inbox, name, content)
        formats = ["markdown", "jsonl", "parquet"]
        output = {"directory": "out", "formats": formats, "mirror": "gs://outbox/night"}
        data = {
            "service": {"url": peer.url},
            "source": {"url": "gs://inbox/docs"},
            "output": output,
        }
        (tmp_path / "m.json").write_text(json.dumps(data))
        said = await batcher("run", tmp_path / "m.json")
        assert said.code == 0, said.err
        outbox = from_url("gs://outbox/night", client_options={"allow_http": True})
        there = [meta["path"] for page in obstore.list(outbox) for meta in page]
        on_disk = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
        results = [path for path in on_disk if path.parts[0] != ".batcher"]  # and the claim
        assert sorted(there) == sorted(map(str, results))
        assert len(there) == 7
        obstore.delete(outbox, there)
        assert (await batcher("run", tmp_path / "m.json")).code == 0
        assert len(peer.service.jobs) == 2
        left = [meta["path"] for page in obstore.list(outbox) for meta in page]
        assert left == [".batcher-claim"], "what was saved by an earlier run isn't put again"
