"""Bad input and bad luck, as a person at the command line meets them: an exit code and a word that
helps.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import resource
import signal
import sqlite3
import ssl
import termios
from pathlib import Path

import pytest
from aiohttp import web
from certificates import needs_openssl, self_signed
from commandline import batcher, rows, start
from peer import UNPROCESSABLE, Peer, accepts_and_hangs_up, ends_early, links, listening, once, says

from batcher.ledger.ledger import lock

# --- manifests ------------------------------------------------------------------------------------

GOOD = '[source]\ndirectory = "inbox"\n[output]\ndirectory = "out"\n'
MANIFESTS = {
    "unknown key": (GOOD + "[job]\nendpiont = 'parse'\n", ["job.endpiont", "endpoint"]),
    "wrong type": (GOOD + "[job]\npriority = 'yes'\n", ["job.priority"]),
    "missing directory": (GOOD.replace("inbox", "nowhere"), ["nowhere", "relative to"]),
    "output inside source": (
        '[source]\ndirectory = "inbox"\n[output]\ndirectory = "inbox/out"\n',
        ["output.directory"],
    ),
    "not TOML": ("batch = \n", ["not TOML", "line 1"]),
    "two things at once": (GOOD + "colour = 1\nshape = 2\n", ["colour", "shape"]),
}


@pytest.mark.parametrize("text", ["half \ud83d", "nul \0"])
@pytest.mark.parametrize(
    "key",
    (
        "source.directory source.passwords_file job.schema_file output.directory output.ledger"
        " service.ca_file"
    ).split(),
)
async def test_a_path_that_no_file_can_have_is_refused_by_its_key(
    key: str, text: str, tmp_path: Path, inbox: Path
) -> None:
    """As JSON can spell it: half a character, or a zero byte."""
    manifest: dict[str, dict[str, str]] = {
        "source": {"directory": "inbox"},
        "output": {"directory": "out"},
        "service": {"url": "http://127.0.0.1:9"},
        "job": {},
    }
    table, name = key.split(".")
    manifest[table][name] = text
    (tmp_path / "batch.json").write_text(json.dumps(manifest))
    said = await batcher("run", tmp_path / "batch.json")
    assert (said.code, f"{key}: a path is wanted" in said.err) == (2, True), said.err


async def test_a_schema_that_holds_half_a_character_is_refused(
    tmp_path: Path, inbox: Path, out: Path
) -> None:
    """Before anything is sent, by the file and the place within."""
    schema = tmp_path / "schema.json"
    field = {"type": "string", "description": "smile \ud83d"}
    schema.write_text(json.dumps({"type": "object", "properties": {"a": field}}))
    words = ("-S", f"job.schema_file={schema}", "--service", "http://127.0.0.1:9")
    said = await batcher("run", inbox, "-o", out, "--endpoint", "extract", *words)
    assert said.code == 2
    assert "schema.json.properties.a.description: '\\ud83d' is half a character" in said.err


@pytest.mark.parametrize("name", MANIFESTS)
async def test_a_manifest_that_cannot_be_says_so_and_why(
    name: str, tmp_path: Path, inbox: Path
) -> None:
    """Exit 2, with the file, the key and what to do about it; nothing is made."""
    text, told = MANIFESTS[name]
    path = tmp_path / "batch.toml"
    path.write_text(text)
    said = await batcher("run", path)
    assert said.code == 2
    assert all(word in said.err for word in ["batch.toml", *told]), said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "out").exists()


async def test_an_empty_directory_is_a_batch_without_documents(tmp_path: Path, peer: Peer) -> None:
    """Not an error: a night may bring nothing. It is said, though."""
    (tmp_path / "empty").mkdir()
    said = await batcher("run", tmp_path / "empty", "-o", tmp_path / "out", "--service", peer.url)
    assert said.code == 0
    assert "0 documents" in said.err
    assert f"nothing in {tmp_path / 'empty'}" in said.err
    planned = await batcher(
        "plan", tmp_path / "empty", "-o", tmp_path / "out", "--service", peer.url
    )
    assert f"nothing in {tmp_path / 'empty'}" in planned.out
    (tmp_path / "empty" / "a.tex").write_text("a")
    said = await batcher("run", tmp_path / "empty", "-o", tmp_path / "out", "--service", peer.url)
    assert "is part of the batch: all that lies there is left out" in said.err
    assert "of a type" not in said.err and ".tex 1" in said.err


@pytest.mark.parametrize(
    ("more", "code", "why"),
    [
        (("-S", "limits.max_duration=0"), 3, "stopped first (limits.max_duration = 0 s is over)"),
        (("--collect",), 0, "--collect reads no folder"),
    ],
)
async def test_a_run_that_looks_nowhere_does_not_say_that_nothing_is_there(
    words: tuple[object, ...], out: Path, more: tuple[str, ...], code: int, why: str
) -> None:
    """It says why the sources were not looked through, and so does status."""
    said = await batcher(*words, *more)
    assert said.code == code
    assert "is part of the batch" not in said.err
    assert f"the sources were not looked through: {why}" in said.err.replace("the run was ", "")
    told = await batcher("status", out)
    assert "the sources were not looked through" in told.out
    assert json.loads((await batcher("status", out, "--json")).out)["unscanned"]
    await batcher(*words)
    assert "not looked through" not in (await batcher("status", out)).out


@pytest.mark.parametrize("number", ["9" * 400, "9223372036854775808"])
async def test_a_whole_number_has_a_top(number: str, words: tuple[object, ...], out: Path) -> None:
    """What SQLite can hold, wherever a command takes one: exit 2, and no traceback."""
    for command in (
        ("runs", out, "--last", number),
        ("prune", out, "--keep-runs", number),
        (*words, "--sample", number),
        (*words, "--max-pages", number),
        (*words, "-j", number),
        (*words, "-S", f"limits.max_documents={number}"),
    ):
        said = await batcher(*command)
        assert (said.code, "Traceback" in said.err) == (2, False), (command, said.err)
        assert "9223372036854775807" in said.err


async def test_a_slip_in_retry_is_told(words: tuple[object, ...]) -> None:
    """By plan and by run; neither fails, for the API may know the name."""
    slips = ("-S", "retry.TIMEOUTT.attempts=2", "-S", "retry.TIMEOUT.attempts=9")
    planned = await batcher("plan", *words[1:], *slips)
    done = await batcher(*words, *slips)
    for said in (planned.out, done.err):
        assert "retry.TIMEOUTT: no error of the API is known by that name" in said
        assert "did you mean TIMEOUT?" in said
        assert "retry.TIMEOUT.attempts = 9: more than 3 are never paid" in said
    assert (planned.code, done.code) == (0, 0)


async def test_a_plan_as_json_has_the_limits_that_its_words_have(
    words: tuple[object, ...],
) -> None:
    plan = ("plan", *words[1:], "--json")
    assert json.loads((await batcher(*plan)).out)["limits"] == {}
    asked = ("--max-pages", 7, "--max-cost", 1.5, "--stop-at", "06:00")
    limits = json.loads((await batcher(*plan, *asked)).out)["limits"]
    assert limits == {"max_pages": 7, "max_cost": 1.5, "stop_at": "06:00"}


async def test_a_dash_is_stdout_or_refused(
    words: tuple[object, ...], out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never the name of a file, unless it is written as ./-"""
    assert (await batcher(*words)).code == 0
    monkeypatch.chdir(tmp_path)
    assert (await batcher("report", out, "-o", "-")).out.startswith("<!doctype html>")
    exported = await batcher("export", out, "--what", "documents", "-o", "-")
    assert exported.out == (await batcher("export", out, "--what", "documents")).out != ""
    for command in (
        ("init", "-"),
        ("demo", "-o", "-"),
        ("plan", *words[1:2], "-o", "-"),
        (*words, "--log-file", "-"),
    ):
        assert (await batcher(*command)).code == 2, command
    assert not (tmp_path / "-").exists()


async def test_a_run_tells_its_own_share_where_others_had_theirs(words: tuple[object, ...]) -> None:
    """The second of two saves nothing and costs nothing, and says so."""
    assert "6 saved in" in (await batcher(*words)).err
    said = await batcher(*words)
    assert "6 saved, 0 of them now, in" in said.err
    assert "in all runs, 0 ($0.00) in this one" in said.err


async def test_a_plan_says_why_something_is_not_sent(
    words: tuple[object, ...], inbox: Path
) -> None:
    """With the document's own reason, before any run."""
    (inbox / "blank.txt").touch()
    planned = await batcher("plan", *words[1:])
    assert (
        "not send   1:" in planned.out
        and "1 unreadable (empty: 0 bytes), e.g. blank.txt" in planned.out
    )
    told = json.loads((await batcher("plan", *words[1:], "--json")).out)["refusals"]
    assert [(one["state"], one["documents"], one["example"]) for one in told] == [
        ("unreadable", 1, "blank.txt")
    ]


async def test_failures_look_the_same_in_all_that_tells_them(
    words: tuple[object, ...], inbox: Path, out: Path
) -> None:
    """As objects with the same names, from `run`, `status`, `failures`, `plan`, and in the two
    places of a summary.
    """
    (inbox / "blank.txt").touch()
    run = json.loads((await batcher(*words, "--json")).out)["failures"]
    status = json.loads((await batcher("status", out, "--json")).out)["failures"]
    failures = json.loads((await batcher("failures", out, "--json")).out)
    plan = json.loads((await batcher("plan", *words[1:], "--json")).out)["refusals"]
    kept = json.loads(rows(out, "SELECT summary FROM runs")[0][0])["failures"]
    beside = json.loads((out / ".batcher" / "summary.json").read_text())["failures"]
    blank = {
        "state": "unreadable",
        "class": None,
        "reason": "empty: 0 bytes",
        "documents": 1,
        "example": "blank.txt",
    }
    blank |= {"waits": 0, "runs": 0}
    assert [run, status, failures, plan, kept, beside] == [[blank]] * 6


async def test_a_plan_is_refused_where_the_run_would_be(
    words: tuple[object, ...], out: Path
) -> None:
    """Files in the output that no ledger knows of: exit 2, with what to do about it."""
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for command in ("plan", "run"):
        said = await batcher(command, *words[1:])
        assert said.code == 2
        assert (
            "there are files but no ledger" in said.err and "another output.directory" in said.err
        )


async def test_a_directory_without_an_output_is_asked_for_one(inbox: Path) -> None:
    """Exit 2, with what to add."""
    said = await batcher("run", inbox)
    assert said.code == 2
    assert "-o" in said.err


async def test_an_output_in_the_place_of_a_manifest_is_told_apart(
    words: tuple[object, ...], out: Path
) -> None:
    """Its ledger remembers no options, so no run can begin by it: exit 2, with what to name."""
    await batcher(*words)
    for command in ("run", "plan"):
        said = await batcher(command, out)
        assert said.code == 2
        assert "holds results of a batch: name its manifest" in said.err


async def test_what_is_said_of_a_directory_is_not_ignored_beside_a_manifest(
    tmp_path: Path, inbox: Path, peer: Peer
) -> None:
    """Exit 2, with the key to set:

    `--service local` beside a manifest of the hosted service would be paid for.
    """
    path = tmp_path / "batch.toml"
    path.write_text(
        f'service = {{ url = "{peer.url}" }}\n'
        '[source]\ndirectory = "inbox"\n[output]\ndirectory = "out"\n'
    )
    for words, key in (
        (("--service", "local"), "-S service="),
        (("--endpoint", "extract"), "-S job.endpoint="),
        (("-o", tmp_path / "elsewhere"), "-S output.directory="),
    ):
        for command in ("run", "plan"):
            said = await batcher(command, path, *words)
            assert said.code == 2
            assert key in said.err


async def test_results_come_home_also_while_the_inbox_is_away(
    tmp_path: Path, inbox: Path, peer: Peer
) -> None:
    """A share that isn't mounted keeps nobody from what is paid for, nor from what the ledger
    knows.
    """
    path = tmp_path / "batch.toml"
    path.write_text(
        f'service = {{ url = "{peer.url}" }}\n'
        '[source]\ndirectory = "inbox"\n[output]\ndirectory = "out"\n'
    )
    assert (await batcher("run", path)).code == 0
    inbox.rename(tmp_path / "away")
    for words in (
        ("run", path, "--collect"),
        ("status", path),
        ("failures", path),
        ("verify", path),
    ):
        said = await batcher(*words)
        assert said.code == 0, said.err
    assert (await batcher("run", path)).code == 2


async def test_a_document_in_the_place_of_a_manifest_is_told_apart(tmp_path: Path) -> None:
    document = tmp_path / "scan.pdf"
    document.write_bytes(b"%PDF-1.7\n\xff\xfe\x00")
    said = await batcher("run", document)
    assert said.code == 2
    assert "a directory of documents" in said.err


async def test_a_manifest_is_begun_in_the_language_its_name_says(tmp_path: Path) -> None:
    said = await batcher("init", tmp_path / "batch.json")
    assert said.code == 2
    assert "batch.toml" in said.err and not (tmp_path / "batch.json").exists()


async def test_a_ledger_that_cannot_be_opened_is_named(
    words: tuple[object, ...], out: Path
) -> None:
    """Such as a folder of its name: never a traceback."""
    ledger = out / ".batcher" / "ledger.db"
    ledger.mkdir(parents=True)
    for command in (words, ("status", out), ("verify", out)):
        said = await batcher(*command)
        assert said.code in (2, 3)
        assert str(ledger) in said.err and "Traceback" not in said.err, said.err


# --- the service ----------------------------------------------------------------------------------


async def test_a_key_that_is_not_set_is_named(words: tuple[object, ...], out: Path) -> None:
    """By the variable's name, before anything is sent."""
    said = await batcher(*words, key=None)
    assert said.code == 2
    assert "REDUCTO_API_KEY" in said.err


@pytest.mark.parametrize("key", ["a\nb", "\udcff"])
async def test_a_key_that_can_be_none_is_named(words: tuple[object, ...], key: str) -> None:
    """Two lines of a file, or not even text."""
    said = await batcher(*words, key=key)
    assert said.code == 2
    assert "REDUCTO_API_KEY" in said.err and "Traceback" not in said.err


async def test_documents_that_are_gone_alike_are_one_failure(
    inbox: Path, out: Path, peer: Peer
) -> None:
    """Their names stand beside the reason, not in it."""
    paths = [path.relative_to(inbox.parent) for path in inbox.rglob("*.txt")]
    listing = inbox.parent / "listing.csv"
    manifest = inbox.parent / "gone.json"
    listing.write_text("path\n" + "".join(f"{path}\n" for path in paths))
    source = {"listing": listing.name}
    service = {"url": peer.url}
    manifest.write_text(
        json.dumps({"service": service, "source": source, "output": {"directory": str(out)}})
    )
    for path in paths:
        (inbox.parent / path).unlink()
    said = await batcher("run", manifest)
    assert said.code == 1
    reasons = rows(out, "SELECT DISTINCT reason FROM documents WHERE state = 'source_gone'")
    assert len(reasons) == 1


UNFIT = {
    "an extract without a schema": (("--endpoint", "extract"), "schema_file"),
    "an unknown option": (("-S", "job.options.setings.x=1"), "did you mean settings?"),
    "an option of another endpoint": (("-S", 'job.options.split_description="x"'), "unknown key"),
    "an output below a file": (("-S", "output.directory=file/out"), "name another output"),
    "a ledger below a file": (("-S", "output.ledger=file/x.db"), "name another output"),
    "a bucket without a name": (("-S", 'output.mirror="s3://"'), "output.mirror"),
}


@pytest.mark.parametrize("name", UNFIT)
async def test_what_would_spoil_a_night_is_found_before_anything_is_sent(
    name: str,
    words: tuple[object, ...],
    peer: Peer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By name, with no submission and no upload made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")
    more, told = UNFIT[name]
    said = await batcher(*words, *more)
    assert said.code in (2, 3) and told in said.err, said.err
    assert not peer.calls["run_job"] and not peer.calls["upload"]


async def test_nobody_answers(inbox: Path, out: Path, peer: Peer) -> None:
    """Exit 4 after the patience asked for; the same words do it all once somebody does."""
    said = await batcher(
        "run", inbox, "-o", out, "--service", "http://127.0.0.1:1", "-S", "service.patience=1"
    )
    assert said.code == 4
    assert "GET /jobs: no first answer within 1 s" in said.err and "same command later" in said.err
    again = await batcher("run", inbox, "-o", out, "--service", peer.url)
    assert again.code == 0


async def test_a_service_that_is_silent_at_the_start_is_told_of_and_holds_up_nobody(
    inbox: Path, out: Path
) -> None:
    """It is said until when it is waited for; Ctrl-C ends that at once, exit code 3."""
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(3600), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    process = await start("run", inbox, "-o", out, "--service", url)
    assert process.stderr is not None
    async with asyncio.timeout(60):
        assert b"begins" in await process.stderr.readline()
        line = (await process.stderr.readline()).decode()
    assert re.search(r"no answer from the service yet.*until \d\d:\d\d:\d\d", line), line
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):  # the service is waited for much longer
        _, err = await process.communicate()
    assert process.returncode == 3 and b"nothing was sent" in err
    silent.close()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_refused_burns_nothing(
    status: int, words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Exit 4 at once, and no attempt is on record."""
    peer.moods["jobs"] = says(status, {"detail": "Invalid API key"})
    said = await batcher(*words)
    assert said.code == 4
    assert all(word in said.err for word in ("Invalid API key", peer.url, "REDUCTO_API_KEY")), (
        said.err
    )
    assert peer.calls == {"jobs": 1}
    assert rows(out, "SELECT count(*) FROM attempts") == [(0,)]


async def test_a_file_in_the_place_of_the_ledger_s_folder_is_named(
    words: tuple[object, ...], out: Path
) -> None:
    out.mkdir()
    (out / ".batcher").touch()
    said = await batcher(*words)
    assert said.code == 3
    assert f"{out / '.batcher'} is a file where a folder was to be; move it away" in said.err


@pytest.mark.parametrize("call", ["upload", "run_job"])
async def test_a_document_that_a_gateway_forbids_stops_no_other(
    call: str, words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """For its content or its name. The key is taken for the rest, which is brought home."""
    peer.moods[call] = once(says(403, {"detail": "blocked by a rule"}), call)
    said = await batcher(*words)
    assert rows(out, "SELECT state, count(*) FROM documents GROUP BY 1") == [
        ("failed", 1),
        ("saved", 5),
    ], said.err
    assert "blocked by a rule" in said.err
    assert said.code == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_service_that_is_busy_at_first_is_asked_again(
    status: int, words: tuple[object, ...], peer: Peer
) -> None:
    """A run that begins in a storm begins a little later; it doesn't end there."""
    peer.moods["jobs"] = once(says(status, {"detail": "too many requests"}), "jobs")
    assert (await batcher(*words)).code == 0


async def test_a_key_that_is_revoked_midway_stops_the_run(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Every document stays where it was, for the next run to take up."""
    peer.moods["run_job"] = says(401, {"detail": "Invalid API key"})
    assert (await batcher(*words)).code == 4
    del peer.moods["run_job"]
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 6


async def test_one_document_is_refused_and_the_rest_goes_on(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Exit 1, its reason in the summary; five results on disk."""

    async def picky(peer: Peer, request: object) -> object:
        mood = says(422, UNPROCESSABLE) if peer.calls["run_job"] == 3 else None
        return await (mood(peer, request) if mood else peer.run_job(request))  # type: ignore[arg-type]

    peer.moods["run_job"] = picky  # type: ignore[assignment]
    said = await batcher(*words)
    assert said.code == 1
    assert "DOCUMENT_UNSUPPORTED" in said.err
    assert len(list(out.rglob("*.txt.json"))) == 5
    assert (await batcher(*words)).code == 0, (
        "a verdict of an earlier run is told, and isn't this run's"
    )


async def test_three_refusals_of_the_configuration_in_a_row_stop_the_run(
    words: tuple[object, ...], peer: Peer
) -> None:
    """Exit 2: what is asked for is wrong, and the next document would fare no better."""
    peer.moods["run_job"] = says(
        400, {"error": {"name": "INVALID_CONFIG", "message": "no such mode"}}
    )
    said = await batcher(*words)
    assert said.code == 2
    assert "no such mode" in said.err


async def test_lost_replies_are_found_again(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Two of six replies are lost after acceptance; there are six jobs in the end."""

    async def forgetful(peer: Peer, request: object) -> object:
        handler = accepts_and_hangs_up if peer.calls["run_job"] in (2, 4) else Peer.run_job
        return await handler(peer, request)  # type: ignore[arg-type]

    peer.moods["run_job"] = forgetful  # type: ignore[assignment]
    said = await batcher(*words)
    assert said.code == 0, said.err
    assert len(peer.service.jobs) == 6
    assert len(list(out.rglob("*.txt.json"))) == 6


async def test_a_second_job_is_told_of_with_its_cost(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Something on the way sends one POST twice: exit 1, named by the run and by `why`, and the
    next run is content.
    """

    async def replays(peer: Peer, request: object) -> object:
        if peer.calls["run_job"] == 3:
            await peer.accept(request)  # type: ignore[arg-type]
        return await peer.run_job(request)  # type: ignore[arg-type]

    peer.moods["run_job"] = replays  # type: ignore[assignment]
    said = await batcher(*words)
    assert said.code == 1
    assert "a second job" in said.err
    ((source,),) = rows(out, "SELECT source FROM twins t JOIN documents d ON d.id = t.document")
    assert "beside it: a second job" in (await batcher("why", out, str(source))).out
    assert (await batcher(*words)).code == 0


async def test_a_linked_result_is_put_in_its_place(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Streamed from where it stands, without the key; one that was cut off is fetched again, and
    never seen.
    """
    peer.padding = 3 << 20
    peer.moods["job"] = links
    peer.moods["blob"] = once(ends_early, "blob")
    said = await batcher(*words)
    assert said.code == 0, said.err
    paths = sorted(out.rglob("*.txt.json"))
    assert len(paths) == 6
    for path in paths:
        result = json.loads(path.read_bytes())
        (chunk,) = result["result"]["chunks"]
        assert chunk["content"] == result["job_id"] + "x" * peer.padding
    assert (await batcher("verify", out)).code == 0
    assert not list((out / ".batcher" / "parts").iterdir())


# --- files ----------------------------------------------------------------------------------------


async def test_names_and_kinds_that_are_hard(tmp_path: Path, out: Path, peer: Peer) -> None:
    """Each gets its own result, or a verdict that says why not."""
    inbox = tmp_path / "hard"
    (inbox / "a").mkdir(parents=True)
    (inbox / "b").mkdir()
    longest = inbox / ("x" * 251 + ".txt")
    strange = Path(os.fsdecode(os.fsencode(inbox) + b"/caf\xe9 \n.txt"))
    for path, text in (
        (inbox / "a" / "same.txt", "one"),
        (inbox / "b" / "same.txt", "two"),
        (longest, "long"),
        (strange, "strange"),
        (inbox / "nothing.txt", ""),
        (inbox / "sketch.xyz", "?"),
    ):
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    said = await batcher(
        "run", inbox, "-o", out, "--service", peer.url, "-S", 'source.include=["*"]'
    )
    assert said.code == 1
    states = dict(rows(out, "SELECT source, state FROM documents"))
    assert states.pop("nothing.txt") == "unreadable"
    assert set(states.values()) == {"saved"}, (
        "a type that was asked for by name is the service's to judge"
    )
    assert len(states) == 5
    assert len([path for path in out.rglob("*.json") if ".batcher" not in path.parts]) == 5


async def test_a_full_disk_stops_the_run_and_loses_nothing(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Exit 3 with what to do; the results are still at the service, and the same words bring them
    home unpaid.
    """
    peer.padding = 3 << 20

    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))

    said = await batcher(*words, before=small_files_only)
    assert said.code == 3
    assert "run again" in said.err
    assert not list(out.rglob("*.txt.json"))
    assert (await batcher(*words)).code == 0
    assert len(list(out.rglob("*.txt.json"))) == 6
    assert len(peer.service.jobs) == 6


async def test_an_output_that_cannot_be_written_is_named(inbox: Path, peer: Peer) -> None:
    """Exit 3 before anything is sent."""
    said = await batcher("run", inbox, "-o", "/proc/batcher", "--service", peer.url)
    assert said.code == 3
    assert "/proc/batcher" in said.err
    assert "Traceback" not in said.err
    assert not peer.calls


# --- the ledger -----------------------------------------------------------------------------------


async def test_a_ledger_that_cannot_be_used_is_left_alone(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Of a newer batcher, damaged, lost, of another batch: exit 2 with a word that helps, and
    nothing is sent.
    """
    assert (await batcher(*words)).code == 0
    ledger = out / ".batcher" / "ledger.db"
    whole = ledger.read_bytes()
    paid = len(peer.service.jobs)

    other = await batcher(*words, "-S", "batch=another")
    assert (other.code, '"out"' in other.err) == (2, True)

    connection = sqlite3.connect(ledger)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    newer = await batcher(*words)
    assert (newer.code, "newer" in newer.err) == (2, True)

    ledger.write_bytes(whole[:100] + b"\xff" * 4000 + whole[4100:])
    damaged = await batcher(*words)
    assert damaged.code == 2
    assert "ledger.db" in damaged.err
    assert "Traceback" not in damaged.err

    ledger.unlink()
    lost = await batcher(*words)
    assert (lost.code, "no ledger" in lost.err) == (2, True)
    assert len(peer.service.jobs) == paid


async def test_a_second_run_is_kept_out(words: tuple[object, ...], out: Path) -> None:
    """Exit 5 while another process holds the ledger."""
    held = lock(out / ".batcher" / "ledger.db")
    try:
        said = await batcher(*words)
    finally:
        os.close(held)
    assert said.code == 5
    assert "another run" in said.err


async def test_a_changed_option_makes_new_documents(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Other options, other results: they are paid for anew, and the newer stands at the same
    place.
    """
    assert (await batcher(*words)).code == 0
    said = await batcher(*words, "-S", "job.options.enhance.agentic=[]")
    assert said.code == 0, said.err
    assert len(peer.service.jobs) == 12
    assert len(list(out.rglob("*.txt.json"))) == 6


async def test_what_is_saved_is_paid_again_only_when_agreed(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Above the sum, without a terminal: exit 2, nothing is sent, and the words to type; `plan`
    says it beforehand.
    """
    assert (await batcher(*words)).code == 0
    changed = (*words, "-S", "job.options.enhance.agentic=[]", "-S", "limits.pay_again=3")
    planned = await batcher("plan", *changed[1:])
    assert "6 of them again, which cost 6 credits" in planned.out
    assert "--yes" in planned.out
    said = await batcher(*changed)
    assert (said.code, "--yes" in said.err, len(peer.service.jobs)) == (2, True, 6)
    assert (await batcher(*changed, "--yes")).code == 0
    assert len(peer.service.jobs) == 12
    assert (await batcher(*changed)).code == 0, "agreed to once"


async def test_nothing_counts_as_saved_at_another_service(
    words: tuple[object, ...], peer: Peer, inbox: Path, out: Path
) -> None:
    """A rehearsal in the same output, then another service: all is to be sent there, and the newer
    results stand.
    """
    here = ("run", inbox, "-o", out)
    async with listening(Peer()) as other:
        assert (await batcher(*here, "--service", other.url)).code == 0
    planned = json.loads(
        (await batcher("plan", inbox, "-o", out, "--service", peer.url, "--json")).out
    )
    assert (planned["to_send"], planned["superseded"], planned["saved"]) == (6, 6, 0)
    assert (await batcher(*here, "--service", peer.url)).code == 0
    assert len(peer.service.jobs) == 6
    assert len(list(out.rglob("*.txt.json"))) == 6
    assert (await batcher("verify", out)).code == 0


async def test_a_changed_service_is_refused_while_jobs_are_out(
    words: tuple[object, ...], peer: Peer, inbox: Path, out: Path
) -> None:
    """Only where they were accepted can they be found again."""
    peer.service.work = lambda job: (3600.0, None)
    process = await start(*words)
    await peer.has_jobs(6)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    async with listening(Peer()) as other:
        said = await batcher("run", inbox, "-o", out, "--service", other.url)
        assert said.code == 2
        assert peer.url in said.err
        assert not other.calls["run_job"]


# --- people ---------------------------------------------------------------------------------------


async def test_the_first_ctrl_c_brings_home_and_the_second_stops_now(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Exit 3 both times; the same words then finish the batch, and every document was paid for
    once.
    """
    peer.hold_jobs()
    process = await start(*words)
    await peer.has_jobs(6)
    process.send_signal(signal.SIGINT)
    peer.end_jobs()
    _, err = await process.communicate()
    assert process.returncode == 3
    assert "rerun the same command" in err.decode()

    process = await start(*words)
    await asyncio.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 6
    assert len(list(out.rglob("*.txt.json"))) == 6


async def test_a_terminal_that_goes_away_ends_the_run_in_good_order(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """What was submitted is fetched, and what nobody can hear any more changes nothing."""
    peer.hold_jobs()
    ours, terminal = os.openpty()

    def on_it() -> None:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may use nohup
        for number in range(3):
            os.dup2(terminal, number)
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    process = await start(*words, before=on_it)
    os.close(terminal)
    await peer.has_jobs(6)
    os.close(ours)
    process.send_signal(signal.SIGHUP)  # as the shell does, too
    peer.end_jobs()
    await process.communicate()
    assert process.returncode == 3
    assert rows(out, "SELECT exit_code FROM runs") == [(3,)]
    assert rows(out, "SELECT count(*) FROM attempts WHERE outcome = 'open'") == [(0,)]


async def test_a_run_under_nohup_outlives_its_terminal(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """Whoever has it ignore the signal means it."""
    peer.service.work = lambda job: (1.5, None)
    process = await start(*words, before=lambda: _ignore(signal.SIGHUP))
    await peer.has_jobs(1)
    process.send_signal(signal.SIGHUP)
    await process.communicate()
    assert process.returncode == 0
    assert rows(out, "SELECT DISTINCT state FROM documents") == [("saved",)]


def _ignore(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)


async def test_what_programs_read_stands_on_stdout(words: tuple[object, ...]) -> None:
    """And nothing else does: `--json` can be piped."""
    said = await batcher(*words, "--json")
    assert json.loads(said.out)["documents"] == {"saved": 6}
    quiet = await batcher(*words, "-q")
    assert (quiet.out, quiet.err) == ("", "")


# --- changes between two runs ---------------------------------------------------------------------


async def test_options_that_change_while_documents_wait_are_paid_for_once(
    words: tuple[object, ...], peer: Peer, out: Path
) -> None:
    """What was queued under the old options is neither sent with them nor with the new ones under
    the old name.
    """
    peer.moods["run_job"] = says(401, {"detail": "not now"})
    assert (await batcher(*words)).code == 4
    del peer.moods["run_job"]
    assert (await batcher(*words, "-S", "job.options.settings.timeout=300")).code == 0
    assert len(peer.service.jobs) == 6
    assert all('"timeout":300' in job.config for job in peer.service.jobs.values())


# --- streams, names and networks ------------------------------------------------------------------


@pytest.mark.parametrize(("closed", "service"), [((0, 2), "local"), ((1,), "peer")])
async def test_a_stream_that_the_caller_closed_is_as_good_as_dev_null(
    closed: tuple[int, ...], service: str, inbox: Path, peer: Peer, out: Path
) -> None:
    """No file of ours takes its place, and the local service that is started has all three."""

    def close() -> None:
        for stream in closed:
            os.close(stream)

    words = ("run", inbox, "-o", out, "--service", peer.url if service == "peer" else service)
    said = await batcher(*words, "--json", before=close)
    assert said.code == 0, said.err
    assert 1 in closed or json.loads(said.out)["documents"] == {"saved": 6}
    assert rows(out, "SELECT DISTINCT state FROM documents") == [("saved",)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's own")
async def test_what_a_run_came_to_counts_though_nobody_could_hear_it(
    words: tuple[object, ...], out: Path
) -> None:
    """A full disk behind stdout: a sentence, and no traceback."""
    said = await batcher(*words, "--json", stdout=full())
    assert (said.code, "stdout: No space left" in said.err, "Traceback" in said.err) == (
        0,
        True,
        False,
    ), said.err
    asked = await batcher("status", out, stdout=full())
    assert (asked.code, "stdout: No space left" in asked.err, "Traceback" in asked.err) == (
        3,
        True,
        False,
    ), asked.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's own")
async def test_words_that_nobody_could_hear_change_no_exit_code(
    words: tuple[object, ...], out: Path, tmp_path: Path
) -> None:
    """A full disk behind stderr: what the command came to counts."""
    assert (await batcher(*words)).code == 0
    for asked in (
        ("options", "parse"),
        ("retry", out, "--only", "transient"),
        words,
        ("init", tmp_path / "new.toml", "--directory", tmp_path, "--output", out),
    ):
        said = await batcher(*asked, stderr=full())
        assert said.code == 0, asked


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's own")
async def test_help_that_cannot_be_written_ends_with_a_sentence() -> None:
    said = await batcher("--help", stdout=full())
    assert (said.code, "Traceback" in said.err) == (3, False)
    assert "stdout: No space left" in said.err


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="Linux's own")
async def test_a_pipe_that_does_not_block_gets_all_of_the_output() -> None:
    """Some programs hand over such pipes, Node.js for one; a slow reader of one loses nothing."""
    whole = (await batcher("schema")).out
    end, pipe = os.pipe()
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(pipe, False)
    process = await start("schema", stdout=pipe)
    with os.fdopen(end, "rb") as reader:
        read = await asyncio.to_thread(reader.read)
    assert (await process.wait(), read.decode()) == (0, whole)


async def test_a_terminal_that_cannot_show_a_name_shows_it_escaped(
    words: tuple[object, ...], inbox: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a name that is no text at all is asked for as it is."""
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    (inbox / "smile \U0001f600.txt").write_text("a")
    (inbox / os.fsdecode(b"odd \xff.txt")).write_text("b")
    assert (await batcher(*words)).code == 0
    said = await batcher("why", out, "smile \U0001f600.txt")
    assert (said.code, "smile \\U0001f600.txt" in said.out) == (0, True), said.err
    odd = await batcher("why", out, os.fsdecode(b"odd \xff.txt"))
    assert (odd.code, "odd \\xff.txt" in odd.out) == (0, True), odd.err


async def test_a_folder_whose_name_is_no_text_is_refused_or_written_to(
    inbox: Path, out: Path, peer: Peer
) -> None:
    """Documents below such a folder have no place that a ledger could hold; results may have one,
    and the batch is named after it as well as can be.
    """
    odd = inbox.with_name(os.fsdecode(b"in \xff"))
    inbox.rename(odd)
    said = await batcher("run", odd, "-o", out, "--service", peer.url)
    assert (said.code, "isn't UTF-8" in said.err) == (2, True), said.err
    odd.rename(inbox)
    there = out.with_name(os.fsdecode(b"out \xff"))
    words = ("run", inbox, "-o", there, "--service", peer.url)
    assert (await batcher("plan", *words[1:])).code == 0
    for _ in range(2):
        said = await batcher(*words)
        assert said.code == 0, said.err
    assert 'batch "out \\xff"' in said.err
    for command in ("status", "failures", "verify"):
        said = await batcher(command, there)
        assert (said.code, "Traceback" in said.err) == (0, False), said.err


async def test_a_name_that_is_no_text_is_asked_for_in_vain_in_words(
    words: tuple[object, ...], out: Path, tmp_path: Path
) -> None:
    assert (await batcher(*words)).code == 0
    nobody = os.fsdecode(b"nobody \xff.txt")
    for command in (("why", out, nobody), ("retry", out, nobody), ("cancel", out, nobody)):
        said = await batcher(*command)
        assert (said.code, "nobody" in said.err, "Traceback" in said.err) == (2, True, False), said
    manifest = tmp_path / os.fsdecode(b"new \xff.toml")
    said = await batcher("init", manifest, "--directory", "in", "--output", "out")
    assert said.code == 0, said.err
    assert 'batch = "new \\\\xff"' in manifest.read_text()
    folder = os.fsdecode(b"in \xff")
    said = await batcher("init", tmp_path / "other.toml", "--directory", folder, "--output", "o")
    assert (said.code, "isn't UTF-8" in said.err) == (2, True), said.err


async def test_a_key_in_an_address_is_refused(inbox: Path, out: Path) -> None:
    """It would be written down wherever the service is named."""
    said = await batcher("run", inbox, "-o", out, "--service", "http://me:CANARY@127.0.0.1:9")
    assert (said.code, "service.url" in said.err, "CANARY" in said.err) == (2, True, False)
    assert not out.exists()


async def test_a_gateway_may_add_long_header_lines(words: tuple[object, ...], peer: Peer) -> None:
    """Policies and cookies of 9 kB are met in the wild."""

    async def adds_a_policy(peer: Peer, request: web.Request) -> web.StreamResponse:
        answer = await peer.jobs(request)
        answer.headers["Content-Security-Policy"] = "x" * 60_000
        return answer

    peer.moods["jobs"] = adds_a_policy
    assert (await batcher(*words)).code == 0


async def test_a_proxy_is_asked_for_what_is_elsewhere(
    inbox: Path, out: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As curl does; what answers on this machine is asked directly."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    said = await batcher(
        "run", inbox, "-o", out, "--service", "http://elsewhere.invalid", "-S", "service.patience=1"
    )
    assert (said.code, "127.0.0.1:9" in said.err) == (4, True), said.err
    assert (await batcher("run", inbox, "-o", out, "--service", peer.url)).code == 0


@needs_openssl
async def test_a_certificate_that_is_not_trusted_ends_a_run_at_once(
    inbox: Path, out: Path, tmp_path: Path
) -> None:
    """No patience mends it; the words say what does."""
    certificate = self_signed(tmp_path / "c.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, asyncio.timeout(60):
        said = await batcher("run", inbox, "-o", out, "--service", address)
    assert (said.code, "certificate isn't trusted" in said.err, "SSL_CERT_FILE" in said.err) == (
        4,
        True,
        True,
    )
