"""Ledger and journal both lost: what the service lists and what lies on disk make them anew, and
nothing is paid.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import web
from commandline import Said, batcher, rows
from peer import Peer

from batcher.manifest.loading import load
from batcher.reducto.api_types import ErrorName
from batcher.runs import kinds
from batcher.runs.running import run_batch


@pytest.fixture
def manifest(manifest: Path, inbox: Path) -> Path:
    """Six letters, one of them twice, and a listing that shows what they were sent with."""
    (inbox / "copy.txt").write_text("letter 0")
    return manifest


def lose(out: Path) -> None:
    for path in (out / ".batcher").glob("ledger.*"):
        path.unlink()


async def rebuilt(manifest: Path) -> dict[str, int]:
    said = await batcher("rebuild", manifest, "--json")
    assert said.code == 0, said.err
    documents: dict[str, int] = json.loads(said.out)["documents"]
    return documents


async def leaves_out(peer: Peer, request: web.Request) -> web.StreamResponse:
    """As the local service says that a page was not read."""
    body = json.loads((await peer.job(request)).body)  # type: ignore[attr-defined]
    if body.get("result"):
        body["result"]["usage"]["not_served"] = ["page 2: no OCR here"]
    return web.json_response(body)


async def test_what_was_left_out_of_results_is_read_from_them_again(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """It stands in the files."""
    peer.moods["job"] = leaves_out
    assert (await batcher("run", manifest)).code == 0
    lose(out)
    await rebuilt(manifest)
    found = rows(out, "SELECT DISTINCT not_served FROM documents WHERE state = 'saved'")
    assert found == [("page 2: no OCR here",)]


async def test_results_on_disk_whose_jobs_are_listed_are_saved(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """The next run copies the copy, and sends nothing; the new books can be rebuilt in their
    turn.
    """
    assert (await batcher("run", manifest)).code == 0
    before = rows(out, "SELECT source, output, output_sha256 FROM documents ORDER BY source")
    lose(out)
    assert await rebuilt(manifest) == {"saved": 6, "duplicate": 1}
    assert (await batcher("verify", manifest)).code == 0
    assert (await batcher("run", manifest)).code == 0
    assert (
        rows(out, "SELECT source, output, output_sha256 FROM documents ORDER BY source") == before
    )
    (out / ".batcher" / "ledger.db").unlink()
    assert (await batcher("rebuild", out)).code == 0
    assert (await batcher("report", out, "-o", out.parent / "report.html")).code == 0, (
        "nobody has said its batch yet"
    )
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == 6


async def test_what_is_listed_and_not_on_disk_is_fetched(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """A result that is missing, and one that a person wrote over: each of them is still at the
    service.
    """
    assert (await batcher("run", manifest)).code == 0
    (out / "0" / "letter 1.txt.json").unlink()
    (out / "0" / "letter 2.txt.json").write_text("mine")
    lose(out)
    assert await rebuilt(manifest) == {"saved": 4, "waiting": 2, "duplicate": 1}
    assert (await batcher("run", manifest)).code == 0
    assert rows(out, "SELECT DISTINCT state FROM documents") == [("saved",)]
    assert (out / "0" / "letter 2.txt.json").read_text() == "mine"
    assert len(peer.service.jobs) == 6


async def test_a_job_that_failed_is_listed_and_says_so_again(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """It isn't sent once more on account of a lost ledger."""
    peer.service.work = lambda job: (0.0, None if peer.service.jobs else ErrorName.DOCUMENT_CORRUPT)
    assert (await batcher("run", manifest)).code == 1
    lose(out)
    await rebuilt(manifest)
    assert (await batcher("run", manifest)).code == 1
    assert len(peer.service.jobs) == 6


async def test_a_job_that_the_journal_tells_of_is_no_other_attempt_s(
    manifest: Path, inbox: Path, peer: Peer, out: Path
) -> None:
    """Edited, and put back as it was since: the listing shows the older version's job, whose result
    was kept.
    """
    letter = inbox / "1" / "letter 0.txt"
    before = letter.read_text()
    for text in (before, "edited"):
        letter.write_text(text)
        assert (await batcher("run", manifest)).code == 0
    letter.write_text(before)
    (out / ".batcher" / "ledger.db").unlink()
    said = await batcher("rebuild", manifest, "--listing", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["documents"] == {"saved": 6, "duplicate": 1}
    paid = len(peer.service.jobs)
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == paid


@pytest.mark.parametrize("several", [False, True])
async def test_no_signature_of_an_address_is_written_down(
    several: bool, inbox: Path, manifest: Path, peer: Peer, out: Path
) -> None:
    """The listing shows what was sent, one address or several, and with it what signed it."""
    peer.service.read_addresses = True
    address = "https://files.example.com/in/a.pdf"
    cell = (
        f'"[""{address}?X-Amz-Signature=CANARY"", ""{address}x""]"'
        if several
        else f"{address}?X-Amz-Signature=CANARY"
    )
    (inbox.parent / "documents.csv").write_text(f"id,url\none,{cell}\n")
    text = manifest.read_text().replace(
        f'directory = "{inbox}"', f'listing = "{inbox.parent}/documents.csv"'
    )
    manifest.write_text(text)
    assert (await batcher("run", manifest)).code == 0
    lose(out)
    assert await rebuilt(manifest) == {"saved": 1}
    assert [
        path for path in out.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()
    ] == []
    assert rows(out, "SELECT file_id FROM documents") == [
        (json.dumps([address, f"{address}x"]) if several else address,)
    ]


async def test_what_nothing_proves_is_held_and_not_paid_for_unasked(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """The service has forgotten the jobs by now; the results lie there, and a person decides what
    to pay again.
    """
    assert (await batcher("run", manifest)).code == 0
    paid = len(peer.service.jobs)
    peer.service.jobs.clear()
    lose(out)
    assert await rebuilt(manifest) == {"held": 6, "duplicate": 1}
    said: Said = await batcher("run", manifest)
    assert said.code == 1, "the copy of what is held shares its verdict"
    assert len(peer.service.jobs) == 0
    assert "a result lies at its place" in (await batcher("failures", manifest)).out
    assert (
        "6 of them may have been paid" in (await batcher("retry", manifest, "--only", "held")).err
    )
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == paid


async def test_a_result_of_older_bytes_is_not_taken_for_the_newer_ones(
    manifest: Path, inbox: Path, peer: Peer, out: Path
) -> None:
    """Edited after its result came home: the listing tells that its job was of other bytes, so it
    is sent.
    """
    assert (await batcher("run", manifest)).code == 0
    (inbox / "1" / "letter 0.txt").write_text("edited")
    lose(out)
    assert await rebuilt(manifest) == {"saved": 5, "queued": 1, "duplicate": 1}
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == 7


async def test_what_a_torn_journal_lacks_the_listing_adds(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """Half of it is gone: the rest is told by it, and that half by the service."""
    assert (await batcher("run", manifest)).code == 0
    lines = (out / ".batcher" / "ledger.journal.jsonl").read_bytes().splitlines(keepends=True)
    lose(out)
    (out / ".batcher" / "ledger.journal.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]))
    said = await batcher("rebuild", manifest, "--listing", "--json")
    assert said.code == 0, said.err
    assert (await batcher("run", manifest)).code == 0
    assert rows(out, "SELECT DISTINCT state FROM documents") == [("saved",)]
    assert len(peer.service.jobs) == 6


async def test_steps_of_a_chain_find_their_jobs(manifest: Path, peer: Peer, out: Path) -> None:
    """Each step's own, though its input was another job."""
    extract = (
        '[[job]]\nname = "extract"\nendpoint = "extract"\n'
        'options.instructions.schema = {type = "object"}'
    )
    text = manifest.read_text().replace(
        '[job]\nendpoint = "parse"', f'[[job]]\nname = "parse"\n{extract}'
    )
    manifest.write_text(text)
    assert (await batcher("run", manifest)).code == 0
    paid = len(peer.service.jobs)
    lose(out)
    states = await rebuilt(manifest)
    assert states["saved"] == 12
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == paid


async def test_the_local_service_s_own_listing_will_do(
    inbox: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embedded, with documents that it really reads, where a run has left their jobs there."""
    manifest = inbox.parent / "local.toml"
    manifest.write_text(
        f'[source]\ndirectory = "{inbox}"\n[job]\nendpoint = "parse"\n'
        f'[output]\ndirectory = "{out}"\n'
    )
    monkeypatch.setattr(kinds, "cleaner_of", lambda *_: None)
    assert (await run_batch(load(manifest))).exit_code == 0
    lose(out)
    assert await rebuilt(manifest) == {"saved": 6}
    said = json.loads((await batcher("run", manifest, "--json")).out)
    assert (said["exit_code"], said["credits_in_run"]) == (0, 0)


async def test_without_a_journal_an_output_alone_is_not_enough(manifest: Path, out: Path) -> None:
    """Only the manifest says which service to ask."""
    assert (await batcher("run", manifest)).code == 0
    lose(out)
    said = await batcher("rebuild", out)
    assert (said.code, "batcher rebuild MANIFEST" in said.err) == (2, True)
