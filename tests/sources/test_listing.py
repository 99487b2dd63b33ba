"""Documents by a listing, at the command line: paths and addresses, options and metadata of each
row.
"""

from __future__ import annotations

import csv
import datetime
import decimal
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from commandline import batcher, rows
from peer import Peer, accepts_and_hangs_up, says
from pyarrow import parquet

from batcher.errors import ManifestError, SourceChangedError
from batcher.sources import listing as listings

OLD = 1_700_000_000


@pytest.fixture
def manifest(tmp_path: Path, inbox: Path, peer: Peer) -> Callable[..., Path]:
    """Writes one that lists `documents` as CSV, JSON lines or Parquet."""

    def write(documents: list[dict[str, Any]], *, kind: str = "csv", **more: Any) -> Path:
        listing = tmp_path / f"docs.{kind}"
        WRITERS[kind](listing, documents)
        data = {
            "batch": "listed",
            "service": {"url": peer.url, "settle": 1},
            "source": {"listing": listing.name},
            "output": {"directory": "out"},
            **more,
        }
        (tmp_path / "m.json").write_text(json.dumps(data))
        return tmp_path / "m.json"

    return write


def _csv(path: Path, documents: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for document in documents for key in document))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(documents)


def _jsonl(path: Path, documents: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))


def _parquet(path: Path, documents: list[dict[str, Any]]) -> None:
    parquet.write_table(pyarrow.Table.from_pylist(documents), path, row_group_size=2)


WRITERS = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}


def configs(peer: Peer) -> list[dict[str, Any]]:
    return [json.loads(job.config) for job in peer.service.jobs.values()]


@pytest.mark.parametrize("kind", WRITERS)
async def test_a_row_names_a_document_its_options_and_its_metadata(
    kind: str, manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """In each of the three formats; a second run sends nothing."""
    documents = [
        {
            "path": "inbox/0/letter 0.txt",
            "id": "first",
            "department": "a",
            "options.settings.timeout": 60,
        },
        {
            "path": "inbox/0/letter 1.txt",
            "id": "",
            "department": 'b, "quoted"',
            "options.settings.timeout": None,
        },
        {
            "path": "inbox/1/letter 1.txt",
            "id": "third",
            "department": "ü",
            "options.settings.timeout": 90,
        },
    ]
    path = manifest(documents, kind=kind)
    said = await batcher("run", path)
    assert said.code == 0, said.err
    assert [name.name for name in sorted(out.glob("*.json"))] == ["first.json", "third.json"]
    assert (out / "inbox" / "0" / "letter 1.txt.json").exists()
    sent = {
        config["async"]["metadata"]["department"]: config.get("settings")
        for config in configs(peer)
    }
    assert sent == {"a": {"timeout": 60}, 'b, "quoted"': None, "ü": {"timeout": 90}}
    assert (await batcher("run", path)).code == 0
    assert len(peer.service.jobs) == 3


async def test_another_option_is_another_step_and_other_metadata_is_not(
    manifest: Callable[..., Path], peer: Peer
) -> None:
    """What is asked for makes the result; what is only noted does not."""
    row = {"path": "inbox/0/letter 0.txt", "note": "x", "options.settings.timeout": 60}
    assert (await batcher("run", manifest([row]))).code == 0
    assert (await batcher("run", manifest([{**row, "note": "y"}]))).code == 0
    assert len(peer.service.jobs) == 1
    assert (await batcher("run", manifest([{**row, "options.settings.timeout": 61}]))).code == 0
    assert len(peer.service.jobs) == 2


@pytest.mark.parametrize(("asked", "times"), [("warn", 1), ("send", 0)])
async def test_options_newer_than_the_description_are_sent_and_told_once(
    asked: str, times: int, manifest: Callable[..., Path], peer: Peer
) -> None:
    """The job's own and those of rows, however many rows have them; without leave a row is refused
    by its line.
    """
    documents = [
        {"path": f"inbox/{number}/letter 0.txt", "options.settings.hologram": number + 1}
        for number in range(2)
    ]
    said = await batcher("run", manifest(documents))
    assert (said.code, peer.service.jobs) == (2, {})
    assert "line 2: options.settings.hologram: unknown key" in said.err
    job = {"unknown_options": asked, "options": {"settings": {"telepathy": True}}}
    said = await batcher("run", manifest(documents, job=job))
    assert said.code == 0, said.err
    assert said.err.count("job.parse.options.settings.telepathy: unknown key") == times
    assert said.err.count("options.settings.hologram: unknown key") == times
    sent = sorted((config["settings"] for config in configs(peer)), key=lambda one: one["hologram"])
    assert sent == [{"telepathy": True, "hologram": 1}, {"telepathy": True, "hologram": 2}]
    plan = await batcher("plan", manifest(documents, job=job))
    assert plan.out.count("telepathy") + plan.err.count("telepathy") == times


async def test_all_rows_that_cannot_be_used_are_told_at_once(
    manifest: Callable[..., Path], peer: Peer
) -> None:
    """By their lines, before anything is sent."""
    documents = [
        {"path": "inbox/0/letter 0.txt", "url": "", "options.settings.page_rang": ""},
        {"path": "", "url": ""},
        {"path": "", "url": "ftp://h/a.pdf"},
        {"path": "inbox/0/letter 1.txt", "url": "https://h/a.pdf"},
        {"path": "inbox/0/letter 1.txt", "options.settings.page_rang": "1"},
        {"path": "inbox/0/letter 0.txt"},
    ]
    said = await batcher("run", manifest(documents))
    assert said.code == 2
    assert "docs.csv: line 3: a path or a url is wanted" in said.err
    assert "line 4: url: an http(s) address is wanted" in said.err
    assert "line 5: path and url exclude each other" in said.err
    assert "line 6: options.settings.page_rang: unknown key (did you mean page_range?)" in said.err
    assert (
        "line 7: inbox/0/letter 0.txt stands in line 2 already (give each of them an id of its own)"
        in said.err
    )
    assert peer.calls["upload"] == 0


async def test_so_many_bad_rows_are_counted(manifest: Callable[..., Path]) -> None:
    """The first are named, the rest is a number."""
    said = await batcher("run", manifest([{"path": "a.pdf"}, *({"path": ""} for _ in range(50))]))
    assert said.code == 2
    assert said.err.count("a path or a url") == 20
    assert "30 more rows can't be used" in said.err


async def test_a_file_that_is_not_there_is_a_verdict_and_the_rest_goes_on(
    manifest: Callable[..., Path], inbox: Path, peer: Peer, out: Path
) -> None:
    """Named again each night, it is no new document each night; once it is there, it is sent."""
    path = manifest([{"path": "inbox/late.txt"}, {"path": "inbox/0/letter 0.txt"}])
    assert (await batcher("run", path)).code == 1
    assert (await batcher("run", path)).code == 0
    assert rows(out, "SELECT count(*) FROM documents") == [(2,)]
    (inbox / "late.txt").write_text("at last")
    os.utime(inbox / "late.txt", (OLD, OLD))
    assert (await batcher("run", path)).code == 0
    assert len(peer.service.jobs) == 2


# --- addresses ------------------------------------------------------------------------------------

SECRET = "X-Amz-Signature=CANARY"
SIGNED = f"https://files.example.com/in/a.pdf?{SECRET}"


async def test_an_address_is_handed_over_as_it_is_and_written_nowhere(
    manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """The submission has the query; no byte that batcher writes does, whatever the service
    answers.
    """
    peer.service.read_addresses = True
    answers = iter(
        [
            says(429, {"detail": f"slow down: {SIGNED}"}),
            says(422, {"detail": f"can't read {SIGNED}"}),
        ]
    )

    async def quoting(peer: Peer, request: Any) -> Any:
        mood = next(answers, None)
        return await (mood(peer, request) if mood else peer.run_job(request))

    path = manifest([{"url": SIGNED, "owner": "x"}, {"url": "https://files.example.com/b.pdf"}])
    peer.moods["run_job"] = quoting
    said = await batcher("run", path, "--log-json")
    assert said.code == 1
    assert (await batcher("retry", path)).code == 0
    again = await batcher("run", path, "-S", "service.settle=1")
    assert again.code == 0, again.err
    assert SIGNED in [config["input"] for config in configs(peer)]
    assert peer.calls["upload"] == 0
    assert (out / "files.example.com" / "in" / "a.pdf.json").exists()
    told = await batcher("why", path, "https://files.example.com/in/a.pdf")
    assert "https://files.example.com/in/a.pdf" in told.out
    written = b"".join(file.read_bytes() for file in out.rglob("*") if file.is_file())
    for text in (
        written,
        *(text.encode() for one in (said, again, told) for text in (one.out, one.err)),
    ):
        assert b"CANARY" not in text


async def test_a_new_signature_pays_nothing(manifest: Callable[..., Path], peer: Peer) -> None:
    """The listing is made anew each night, with other rows before it."""
    peer.service.read_addresses = True
    assert (await batcher("run", manifest([{"url": SIGNED}]))).code == 0
    listed = [
        {"url": "https://files.example.com/new.pdf"},
        {"url": SIGNED.replace("CANARY", "OTHER")},
    ]
    assert (await batcher("run", manifest(listed))).code == 0
    assert len(peer.service.jobs) == 2


@pytest.mark.parametrize("ids", [("anna", "berta"), ("", "")])
async def test_addresses_that_differ_in_their_query_alone_are_two_documents(
    ids: tuple[str, str], manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """Each is sent and gets its own result, with an id or without; the next run knows both, and no
    query is written.
    """
    peer.service.read_addresses = True
    documents = [{"id": id, "url": f"https://h/get?token=CANARY-{n}"} for n, id in enumerate(ids)]
    path = manifest(documents)
    said = await batcher("run", path)
    assert said.code == 0, said.err
    assert (await batcher("run", manifest(documents[::-1]))).code == 0
    assert sorted(config["input"] for config in configs(peer)) == [one["url"] for one in documents]
    results = [file for file in out.rglob("*.json") if ".batcher" not in file.parts]
    assert len({file.read_bytes() for file in results}) == len(results) == 2
    assert not [
        file for file in out.rglob("*") if file.is_file() and b"CANARY" in file.read_bytes()
    ]


async def test_parameters_that_the_manifest_ignores_make_no_new_document(
    manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """A session's token that is new each night; what is handed over is the address as it stands
    there today.
    """
    peer.service.read_addresses = True
    source = {"listing": "docs.csv", "identity": {"ignore": ["token"]}}
    for night in ("one", "two"):
        documents = [
            {"url": f"https://h/get?id={n}&token={night}"}
            for n in range(2 if night == "one" else 3)
        ]
        said = await batcher("run", manifest(documents, source=source))
        assert said.code == 0, said.err
    sent = [config["input"] for config in configs(peer)]
    assert sorted(sent) == [
        f"https://h/get?id={n}&token={night}" for n, night in enumerate(["one", "one", "two"])
    ]


async def test_an_unknown_submission_of_an_address_is_adopted_or_held(
    manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """Adopted where the listing shows it; where it doesn't, nobody can prove its absence."""
    peer.service.read_addresses = True
    answers = iter([accepts_and_hangs_up, says(500, {})])

    async def lossy(peer: Peer, request: Any) -> Any:
        mood = next(answers, None)
        return await (mood(peer, request) if mood else peer.run_job(request))

    peer.moods["run_job"] = lossy
    said = await batcher("run", manifest([{"url": f"https://h/{n}.pdf"} for n in range(3)]))
    assert said.code == 1
    assert rows(out, "SELECT state, count(*) FROM documents GROUP BY state") == [
        ("held", 1),
        ("saved", 2),
    ]
    assert peer.calls["delete_upload"] == 2, "the spare one of the proof"


async def test_the_local_service_fetches_no_addresses_unasked(
    manifest: Callable[..., Path],
) -> None:
    """Said before anything is sent, with the key to set."""
    path = manifest([{"url": SIGNED}], service="local")
    said = await batcher("run", path)
    assert said.code == 2
    assert "service.allow_urls = true" in said.err
    assert "CANARY" not in said.err


# --- whatever values stand there ------------------------------------------------------------------

VALUES = {
    "date": (datetime.date(2026, 1, 2), "2026-01-02"),
    "moment": (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
    "decimal": (decimal.Decimal("12.50"), "12.50"),
    "bytes": (b"x", "x"),
    "missing": (math.nan, None),
    "nanoseconds": (pyarrow.scalar(1, pyarrow.timestamp("ns")), "1970-01-01T00:00:00.000000001"),
    "list of dates": ([datetime.date(2026, 1, 2)], ["2026-01-02"]),
    "table": (
        {"on": datetime.date(2026, 1, 2), "share": math.nan},
        {"on": "2026-01-02", "share": None},
    ),
}


async def test_a_parquet_listing_may_hold_any_column(
    manifest: Callable[..., Path], peer: Peer, out: Path
) -> None:
    """What JSON has no kind for goes as text, what is missing not at all; and the lines of results
    are JSON.
    """
    row = {"path": pyarrow.array(["inbox/0/letter 0.txt"])}
    columns = {name: pyarrow.array([value]) for name, (value, _) in VALUES.items()}
    output = {"directory": "out", "formats": ["json", "jsonl"]}
    path = manifest([], kind="parquet", output=output)
    parquet.write_table(pyarrow.table({**row, **columns}), path.parent / "docs.parquet")
    said = await batcher("run", path)
    assert said.code == 0, said.err
    expected = {name: carried for name, (_, carried) in VALUES.items() if carried is not None}
    (config,) = configs(peer)
    assert {name: config["async"]["metadata"].get(name) for name in expected} == expected
    (line,) = (out / "results.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail)["metadata"] == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Infinity", "infinite"),
        ("1e999", "infinite"),
        (r'"\ud83d"', "half a character"),
        (r'{"\ud83d": 1}', "half a character"),
        ("[" * 200 + "]" * 200, "nested"),
        ("[" * 100_000 + "]" * 100_000, "nested"),
        ("1" * 5000, "not JSON"),
    ],
)
@pytest.mark.parametrize("column", ["score", "options.settings.timeout", "id", "url"])
async def test_a_value_that_json_cannot_carry_is_refused_by_row(
    value: str, said: str, column: str, tmp_path: Path
) -> None:
    """Before anything is sent; the other rows have nothing against them."""
    listing = tmp_path / "docs.jsonl"
    other = "" if column == "url" else '"path": "a.txt", '
    listing.write_text(f'{{"path": "b.txt"}}\n{{{other}"{column}": {value}}}\n')
    with pytest.raises(ManifestError) as caught:
        listings.check(listing, {"parse": "parse"})
    (problem,) = caught.value.problems
    assert problem.key == "line 2" and said in problem.message


@pytest.mark.parametrize("value", ["NaN", "null", '""'])
def test_what_is_missing_is_missing_however_a_table_says_it(value: str, tmp_path: Path) -> None:
    """As pandas writes it, too: such a row is named by its path and has no such option."""
    listing = tmp_path / "docs.jsonl"
    listing.write_text(
        f'{{"path": "a.txt", "url": {value}, "id": {value}, "options.settings.timeout": {value}}}\n'
    )
    (found,) = listings.walk(listing, {"parse": "parse"})
    assert (found.name, found.metadata, found.overrides) == ("a.txt", None, {})


def test_columns_that_are_a_value_and_a_table_at_once_are_told(tmp_path: Path) -> None:
    """Rather than one of them being lost, or a traceback."""
    listing = tmp_path / "docs.csv"
    listing.write_text("path,options.settings,options.settings.timeout\na.txt,x,60\nb.txt,,60\n")
    with pytest.raises(ManifestError, match=r"line 2: options\.settings\.timeout"):
        listings.check(listing, {"parse": "parse"})


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("jsonl", '{"path": "a.txt", "path": "b.txt"}', "line 1: the key 'path' is there twice"),
        (
            "csv",
            'path,options.settings\na.txt,"{""timeout"": 60, ""timeout"": 90}"',
            r"line 2: options\.settings: the key 'timeout' is there twice",
        ),
    ],
)
def test_a_key_that_is_there_twice_is_told(kind: str, row: str, said: str, tmp_path: Path) -> None:
    """Rather than one of its values being lost."""
    listing = tmp_path / f"docs.{kind}"
    listing.write_text(row + "\n")
    with pytest.raises(ManifestError, match=said):
        listings.check(listing, {"parse": "parse"})


# --- several sources ------------------------------------------------------------------------------


async def test_the_same_name_in_two_sources_is_two_documents(
    tmp_path: Path, peer: Peer, out: Path
) -> None:
    """Each has a result of its own, run after run; a source that moves as a whole pays nothing."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
        os.utime(tmp_path / folder / "a.txt", (OLD, OLD))

    def write(*folders: str) -> Path:
        data = {
            "batch": "b",
            "service": {"url": peer.url},
            "source": [{"directory": folder} for folder in folders],
            "output": {"directory": "out"},
        }
        (tmp_path / "m.json").write_text(json.dumps(data))
        return tmp_path / "m.json"

    for _ in range(2):
        assert (await batcher("run", write("one", "two"))).code == 0
        assert len(peer.service.jobs) == 2
    assert len(list(out.glob("a.txt*.json"))) == 2
    (tmp_path / "two").rename(tmp_path / "moved")
    assert (await batcher("run", write("one", "moved"))).code == 0
    assert len(peer.service.jobs) == 2
    assert rows(out, "SELECT count(*) FROM documents") == [(2,)]


async def test_a_text_that_goes_by_an_id_is_known_as_a_text(tmp_path: Path, inbox: Path) -> None:
    """The id names its result alone: the file's own extension says how it is read, and what that
    costs.
    """
    _csv(tmp_path / "docs.csv", [{"path": "inbox/0/letter 0.txt", "id": "first"}])
    data = {"service": "local", "source": {"listing": "docs.csv"}, "output": {"directory": "out"}}
    (tmp_path / "m.json").write_text(json.dumps(data))
    planned = json.loads((await batcher("plan", tmp_path / "m.json", "--json")).out)
    assert planned["credits"] == 0.5
    said = await batcher("run", tmp_path / "m.json")
    assert said.code == 0, said.err
    assert json.loads((tmp_path / "out" / "first.json").read_text())["usage"]["credits"] == 0.5


async def test_the_shipped_listing_runs_on_the_local_service(tmp_path: Path) -> None:
    """Four documents, and of the handbook two pages only."""
    manifest = Path(__file__).parents[2] / "manifests" / "listing.toml"
    said = await batcher("run", manifest, "-S", f"output.directory={tmp_path / 'out'}")
    assert said.code == 0, said.err
    handbook = json.loads((tmp_path / "out" / "handbook.json").read_text())
    assert handbook["usage"]["num_pages"] == 2
    assert rows(
        tmp_path / "out", "SELECT source, metadata FROM documents ORDER BY source LIMIT 1"
    ) == [("2026-001", '{"department": "accounts"}')]


@pytest.mark.parametrize("row", ['"b"b,https://x.example/a.pdf', "b,https://x.example/b.pdf", "b"])
def test_a_row_that_was_edited_meanwhile_ends_no_run(row: str, tmp_path: Path) -> None:
    """Whatever stands in its place by the time of submission, it is that document's own verdict."""
    listing = tmp_path / "docs.csv"
    listing.write_text("id,url\na,https://x.example/a.pdf\n")
    ((place, _, _),) = listings.entries(listing, {"parse": "parse"})
    listing.write_text(f"id,url\n{row}\n")
    with pytest.raises(SourceChangedError):
        listings.address(listing, f"{listings.ROW}{place}", "a")


async def test_a_plan_says_that_nobody_counts_the_pages_of_addresses(
    manifest: Callable[..., Path],
) -> None:
    """They aren't taken for files of this machine whose pages only can't be counted."""
    path = manifest([{"url": f"https://files.example.com/{name}.pdf"} for name in "ab"])
    said = await batcher("plan", path)
    assert "at least: pages of 2 that lie elsewhere count as one each" in said.out
    assert "can't be counted here" not in said.out


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_than_commas_is_told(separator: str, tmp_path: Path) -> None:
    """As spreadsheets write it where the comma stands in numbers."""
    (tmp_path / "docs.csv").write_text(separator.join(["path", "dept"]) + "\n")
    with pytest.raises(ManifestError, match=r"they are separated by .* save it with commas"):
        listings.check(tmp_path / "docs.csv", {"parse": "parse"})


def test_a_line_that_is_no_text_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "docs.csv").write_bytes("path,dept\na.txt,B\u00fcro\n".encode("latin-1"))
    with pytest.raises(ManifestError) as told:
        listings.check(tmp_path / "docs.csv", {"parse": "parse"})
    assert str(told.value).count("line 2") == 1
