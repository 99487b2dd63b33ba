"""A row of a listing with several documents: one job of them all, paid once, and known by its parts
and their order.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import batcher, rows
from peer import Peer, accepts_and_hangs_up, says
from pyarrow import Table, parquet

from batcher.reducto.address_lists import documents_in, known_as, list_key

A, B, C = (f"https://files.example.com/{name}.pdf" for name in "abc")
SIGNED = f"{A}?X-Amz-Signature=CANARY"
UPLOAD = "reducto://0a1b.pdf"
JOB = "jobid://2c3d"
Row = dict[str, Any]


@pytest.fixture
def manifest(tmp_path: Path, inbox: Path, peer: Peer) -> Callable[..., Path]:
    """Writes one that lists `documents`; lists of addresses as JSON where the format has none."""
    peer.service.read_addresses = True

    def write(documents: list[Row], *, kind: str = "jsonl", **more: Any) -> Path:
        WRITERS[kind](tmp_path / f"docs.{kind}", documents)
        data = {
            "batch": "listed",
            "service": {"url": peer.url, "settle": 1},
            "source": {"listing": f"docs.{kind}"},
            "output": {"directory": "out"},
            **more,
        }
        (tmp_path / "m.json").write_text(json.dumps(data))
        return tmp_path / "m.json"

    return write


def _jsonl(path: Path, documents: list[Row]) -> None:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))


def _csv(path: Path, documents: list[Row]) -> None:
    def cell(value: Any) -> str:
        text = json.dumps(value) if isinstance(value, list) else str(value)
        return '"' + text.replace('"', '""') + '"'

    lines = [
        ",".join(documents[0]),
        *(",".join(map(cell, document.values())) for document in documents),
    ]
    path.write_text("\n".join(lines) + "\n")


def _parquet(path: Path, documents: list[Row]) -> None:
    parquet.write_table(Table.from_pylist(documents), path)


WRITERS = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}


def sent(peer: Peer) -> list[Any]:
    configs = [json.loads(job.config) for job in peer.service.jobs.values()]
    return [config["input"] for config in configs if "input" in config]


@pytest.mark.parametrize("kind", ["csv", "parquet"])  # the others have their lists as lines
async def test_a_row_of_several_documents_is_one_job(
    kind: str, manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """In each format: in their order, its result saved once, and the next run sends
    nothing.
    """
    path = manifest([{"id": "file 7", "url": [B, A, C]}], kind=kind)
    said = await batcher("run", path)
    assert said.code == 0, said.err
    assert sent(peer) == [[B, A, C]] and peer.calls["upload"] == 0
    assert (out / "file 7.json").exists()
    assert rows(out, "SELECT state, count(*) FROM documents GROUP BY state") == [("saved", 1)]
    assert (await batcher("run", path)).code == 0
    assert len(peer.service.jobs) == 1


async def test_the_same_documents_are_paid_for_once_and_another_order_is_another_job(
    manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """Two rows of one list are copies of each other; a permutation, a part and one of them alone
    are not.
    """
    lists: list[Any] = [[A, B], [A, B], [B, A], [A], A]
    path = manifest([{"id": f"row {number}", "url": url} for number, url in enumerate(lists)])
    said = await batcher("run", path)
    assert said.code == 0, said.err
    assert sorted(map(str, sent(peer))) == sorted(map(str, [[A, B], [B, A], [A], A]))
    assert rows(out, "SELECT count(*) FROM documents WHERE state = 'saved'") == [(5,)]
    assert (out / "row 0.json").read_bytes() == (out / "row 1.json").read_bytes()


async def test_no_signature_of_a_list_is_written_anywhere(
    manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """It is handed over whole; a new one the next night pays nothing, and what the service quotes
    is blotted out.
    """
    answers = iter([says(422, {"detail": f"can't read {SIGNED}"})])

    async def quoting(peer: Peer, request: Any) -> Any:
        mood = next(answers, None)
        return await (mood(peer, request) if mood else peer.run_job(request))

    peer.moods["run_job"] = quoting
    path = manifest([{"id": "x", "url": [B, SIGNED]}])
    said = await batcher("run", path, "--log-json")
    assert said.code == 1
    assert (await batcher("retry", path)).code == 0
    again = await batcher("run", path)
    assert again.code == 0, again.err
    assert sent(peer) == [[B, SIGNED]]
    assert (
        await batcher("run", manifest([{"id": "x", "url": [B, SIGNED.replace("CANARY", "OTHER")]}]))
    ).code == 0
    assert len(peer.service.jobs) == 1
    written = b"".join(file.read_bytes() for file in out.rglob("*") if file.is_file())
    for text in (written, *(text.encode() for one in (said, again) for text in (one.out, one.err))):
        assert b"CANARY" not in text


@pytest.mark.parametrize(
    ("row", "job", "told"),
    [
        ({"id": "x", "url": [A, "ftp://h/b.pdf"]}, {}, "url[1] is no address"),
        ({"id": "x", "url": [A, "b.pdf"]}, {}, "url[1] is no address"),
        ({"id": "x", "url": [7]}, {}, "url[0] is no address"),
        ({"id": "x", "url": [[A]]}, {}, "url[0] is no address"),
        ({"id": "x", "url": ["reducto://"]}, {}, "url[0] is no address"),
        ({"id": "x", "url": []}, {}, "url: an empty list"),
        ({"id": "x", "url": "[https://h/a.pdf]"}, {}, "url: a list that isn't JSON; write it as"),
        ({"id": "x", "url": [A, B, SIGNED]}, {}, "url[2] stands in the list already"),
        ({"url": [A, B]}, {}, "several documents in url, and no id"),
        (
            {"id": "x", "path": ["a.pdf", "b.pdf"]},
            {},
            "path: one file is wanted; several documents",
        ),
        ({"id": "x", "url": [JOB, A]}, {}, "url[0] is a job, which parse doesn't take in a list"),
        (
            {"id": "x", "url": [A, B]},
            {"endpoint": "classify"},
            "url: several documents, and classify takes one; give each",
        ),
    ],
)
async def test_one_bad_element_refuses_its_row_before_anything_is_sent(
    row: Row, job: Row, told: str, manifest: Callable[..., Path], peer: Peer
) -> None:
    """By its line, with the place in the list."""
    options = {"classification_schema": [{"category": "a", "criteria": ["b"]}]} if job else {}
    path = manifest([{"url": B}, row], job={"endpoint": "parse", **job, "options": options})
    said = await batcher("run", path)
    assert said.code == 2, said.err
    assert f"docs.jsonl: line 2: {told}" in " ".join(said.err.split()), said.err
    assert peer.calls["run_job"] == peer.calls["upload"] == 0


async def test_uploads_and_jobs_of_others_may_stand_in_a_list(
    manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """An extract merges what it finds there; none of it is ours to delete, clean or not."""
    peer.service.uploads[UPLOAD] = b"theirs"
    earlier = peer.service.accept("parse", UPLOAD, "{}")
    job = {"endpoint": "extract", "options": {"instructions": {"schema": {"type": "object"}}}}
    output = {"directory": "out", "clean": "saved"}
    parts = [f"jobid://{earlier.job_id}", UPLOAD]
    said = await batcher("run", manifest([{"id": "x", "url": parts}], job=job, output=output))
    assert said.code == 0, said.err
    assert sent(peer) == [parts]
    assert UPLOAD in peer.service.uploads and not earlier.deleted


async def test_an_unknown_submission_of_a_list_is_adopted_or_held(
    manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """As one of a single address is: found by its nonce, and never sent again where it can't be."""
    answers = iter([accepts_and_hangs_up, says(500, {})])

    async def lossy(peer: Peer, request: Any) -> Any:
        mood = next(answers, None)
        return await (mood(peer, request) if mood else peer.run_job(request))

    peer.moods["run_job"] = lossy
    peer.service.uploads[UPLOAD] = b"theirs"
    documents = [
        {"id": str(number), "url": [f"https://h/{number}.pdf", UPLOAD]} for number in range(3)
    ]
    said = await batcher("run", manifest(documents))
    assert said.code == 1
    assert rows(out, "SELECT state, count(*) FROM documents GROUP BY state") == [
        ("held", 1),
        ("saved", 2),
    ]
    assert UPLOAD in peer.service.uploads, "nobody fences with what isn't ours"


async def test_a_chain_goes_on_from_the_job_of_the_list(
    manifest: Callable[..., Path], peer: Peer
) -> None:
    """The parse reads them all, the extract its job."""
    extract = {
        "name": "extract",
        "endpoint": "extract",
        "options": {"instructions": {"schema": {"type": "object"}}},
    }
    said = await batcher(
        "run",
        manifest(
            [{"id": "x", "url": [A, B]}], job=[{"name": "parse", "endpoint": "parse"}, extract]
        ),
    )
    assert said.code == 0, said.err
    first, second = sent(peer)
    assert first == [A, B] and second.startswith("jobid://")


async def test_a_plan_counts_each_document_of_a_list(manifest: Callable[..., Path]) -> None:
    """With a page at least, as one address is."""
    alone, three = [
        json.loads((await batcher("plan", manifest([{"id": "x", "url": url}]), "--json")).out)
        for url in ([A], [A, B, C])
    ]
    assert three["to_send"] == alone["to_send"] == 1
    assert three["credits"] == 3 * alone["credits"] > 0


async def test_the_local_service_fetches_no_list_unasked(manifest: Callable[..., Path]) -> None:
    """Said before anything is sent, of a list as of a single address."""
    said = await batcher("run", manifest([{"id": "x", "url": [UPLOAD, A]}], service="local"))
    assert said.code == 2
    assert "service.allow_urls = true" in said.err


def test_a_key_tells_lists_apart_by_their_parts_and_their_order() -> None:
    """No two of these are the same, and each says how many it stands for."""
    lists = [
        list(one) for size in (1, 2, 3) for one in itertools.permutations([A, B, UPLOAD], size)
    ]
    keys = [list_key(one) for one in lists]
    assert len(set(keys)) == len(lists) == sum(math.perm(3, size) for size in (1, 2, 3))
    assert [documents_in(key) for key in keys] == list(map(len, lists))
    assert documents_in("url-0.pdf") == documents_in("0a.x3") == 1


def test_what_is_written_down_of_a_list_is_bare() -> None:
    """And never looks like one upload or one job of ours."""
    assert known_as((UPLOAD, SIGNED)) == json.dumps([UPLOAD, A])
    assert known_as(SIGNED) == A and known_as(UPLOAD) == UPLOAD
