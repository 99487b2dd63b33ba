"""What lies in the output after a run with every format, from the command line to the disk."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pyarrow.parquet
from commandline import batcher, rows, start
from peer import Peer

ROOT = Path(__file__).parents[2]


async def test_the_backfill_leaves_all_four_forms(tmp_path: Path) -> None:
    """As manifests/backfill.toml has it: chunks as lines and as a data set, and each of them
    once.
    """
    out = tmp_path / "out"
    said = await batcher(
        "run", ROOT / "manifests" / "backfill.toml", "-S", f"output.directory={out}"
    )
    assert said.code == 0, said.err
    saved = len(rows(out, "SELECT id FROM documents WHERE state = 'saved'"))
    assert saved > 10 and len(list(out.rglob("*.md"))) >= saved
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    table = pyarrow.parquet.read_table(out / "results.parquet").to_pylist()
    assert {(row["source"], row["row"]) for row in lines} == {
        (row["source"], row["row"]) for row in table
    }
    assert len(lines) == len(table) > saved
    assert rows(out, "SELECT count(*) FROM derived") == [(3 * saved,)]
    told = (
        "SELECT count(*) FROM events WHERE event = 'Ended' AND json_extract(detail, "
        "'$.duration') > 0"
    )
    # how long each took
    assert rows(out, told) == rows(out, "SELECT count(*) FROM events WHERE event = 'Ended'")


async def test_pictures_of_pages_are_fetched_from_the_service(tmp_path: Path) -> None:
    """Real ones, shown by the Markdown; a second run fetches none."""
    out = tmp_path / "out"
    source = ROOT / "examples" / "documents" / "reports"
    words = (
        "run",
        source,
        "-o",
        out,
        "-S",
        'source.include=["stock*.pdf"]',
        "-S",
        'output.formats=["markdown"]',
    )
    asked = ("-S", 'job.options.settings.return_images=["page"]')
    said = await batcher(*words, *asked)
    assert said.code == 0, said.err
    (picture,) = (out / "stock-2026-q2.pdf.images").iterdir()
    assert picture.read_bytes()[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")
    assert (
        f"(stock-2026-q2.pdf.images/{picture.name})" in (out / "stock-2026-q2.pdf.md").read_text()
    )
    before = picture.stat().st_mtime_ns
    assert (await batcher(*words, *asked)).code == 0
    assert picture.stat().st_mtime_ns == before
    assert (await batcher("verify", out)).code == 0


async def test_the_searchable_pdf_is_fetched_from_the_service(tmp_path: Path) -> None:
    """A real one, where the job asks for it; a run that asks for none fetches none."""
    source = ROOT / "examples" / "documents" / "reports"
    words = ("run", source, "-S", 'source.include=["stock*.pdf"]', "-o")
    asked = ("-S", "job.options.settings.embed_pdf_metadata=true")
    said = await batcher(*words, tmp_path / "out", *asked)
    assert said.code == 0, said.err
    (pdf,) = (tmp_path / "out" / "stock-2026-q2.pdf.images").glob("document-*.pdf")
    assert pdf.read_bytes()[:4] == b"%PDF"
    assert (await batcher("verify", tmp_path / "out")).code == 0
    assert (await batcher(*words, tmp_path / "plain")).code == 0
    assert [path.name for path in (tmp_path / "plain").rglob("*.pdf")] == []


async def test_a_format_added_later_is_made_of_what_is_there(tmp_path: Path) -> None:
    """Nothing is sent for it."""
    out = tmp_path / "out"
    source = ROOT / "examples" / "documents" / "invoices"
    words = ("run", source, "-o", out)
    assert (await batcher(*words)).code == 0
    attempts = rows(out, "SELECT count(*) FROM attempts")
    assert (await batcher(*words, "-S", 'output.formats=["markdown", "jsonl"]')).code == 0
    assert rows(out, "SELECT count(*) FROM attempts") == attempts == [(5,)]
    assert (
        len(list(out.rglob("*.pdf.md")))
        == len((out / "results.jsonl").read_text().splitlines())
        == 5
    )


async def test_a_collection_makes_every_format_of_what_it_brings_home(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """By the output alone, with the columns of the run before it, so that all parts of the data set
    fit together.
    """
    schema = {
        "type": "object",
        "properties": {"total": {"type": "number"}, "paid": {"type": "boolean"}},
    }
    job = {"endpoint": "extract", "name": "parse", "options": {"instructions": {"schema": schema}}}
    formats = (
        "-S",
        'output.formats=["markdown", "jsonl", "parquet"]',
        "-S",
        f"job={json.dumps(job)}",
    )
    peer.service.work = lambda job: (3600.0 if len(peer.service.jobs) >= 3 else 0.0, None)
    process = await start(*words, *formats, "--log-json")
    await peer.has_jobs(6)
    assert process.stderr is not None
    heard = b""
    while heard.count(b'"Saved"') < 3:
        heard += await process.stderr.readline()
    process.send_signal(signal.SIGINT)
    await process.communicate()
    for job in peer.service.jobs.values():
        job.ends_at = 0.0
    said = await batcher("run", out, "--collect")
    assert said.code == 0, said.err
    parts = [
        pyarrow.parquet.read_schema(part) for part in (out / "results.parquet").rglob("*.parquet")
    ]
    assert len(parts) == 2 and parts[0] == parts[1]
    assert (
        str(parts[0].field("total").type) == "double" and str(parts[0].field("paid").type) == "bool"
    )
    table = pyarrow.parquet.read_table(out / "results.parquet")
    assert len(set(table.column("source").to_pylist())) == 6
    assert (
        len(list(out.rglob("*.md"))) == len((out / "results.jsonl").read_text().splitlines()) == 6
    )
