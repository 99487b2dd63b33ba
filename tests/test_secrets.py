"""What must not be written down anywhere: the key, a document's password, the signatures of links to results."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from aiohttp import web
from commandline import Said, batcher, start
from locked_pdf import locked_pdf
from peer import Peer, accepts_and_hangs_up, says

KEY = "sk-CANARY-0123456789abcdef"
PASSWORD = "CANARY-password-of-a-document"
SIGNATURE = "X-Amz-Signature=CANARYCANARYCANARY"

Words = tuple[object, ...]


async def links_signed(peer: Peer, request: web.Request) -> web.StreamResponse:
    """A result whose parts stand at a signed address; every other time that address answers no more."""
    job_id = request.match_info["id"]
    link = {"type": "url", "url": f"{peer.url}/blob/{job_id}?{SIGNATURE}", "result_id": "r"}
    result = {"job_id": job_id, "response_type": "parse", "usage": {"num_pages": 1}, "result": link}
    return web.json_response({"status": "Completed", "result": result})


async def fails_at_times(peer: Peer, request: web.Request) -> web.StreamResponse:
    if peer.calls["blob"] % 2:
        return web.json_response({"detail": f"expired: {request.path_qs}"}, status=403)
    return await peer.blob(request)


async def loses_some(peer: Peer, request: web.Request) -> web.StreamResponse:
    return await (accepts_and_hangs_up if peer.calls["run_job"] % 3 == 0 else Peer.run_job)(peer, request)


async def told(*words: object) -> list[Said]:
    """The run, and everything that can be asked about it."""
    out = words[words.index("-o") + 1]
    said = [await batcher(*words, key=KEY)]
    for command in ("status", "failures", "verify"):
        said.append(await batcher(command, out, "--json", key=KEY))
    said.append(await batcher("why", out, "0/letter 0.txt", key=KEY))
    return said


def everything_under(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_nothing_tells(said: list[Said], folder: Path) -> None:
    heard = {f"{stream} of call {number}": text for number, one in enumerate(said) for stream, text in _streams(one)}
    written = {**everything_under(folder), **{name: text.encode() for name, text in heard.items()}}
    for secret in (KEY, PASSWORD, SIGNATURE):
        assert [name for name, data in written.items() if secret.encode() in data] == [], secret


def _streams(one: Said) -> list[tuple[str, str]]:
    return [("stdout", one.out), ("stderr", one.err)]


@pytest.mark.parametrize("log", [[], ["--log-json"]])
async def test_no_secret_is_written_by_a_run_through_trouble(
    log: list[str], words: Words, peer: Peer, inbox: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost replies, signed links that fail, passwords by each way: in no file, no log, no answer to a command."""
    (inbox / "0" / "locked.pdf").write_bytes(locked_pdf("one", PASSWORD))
    (inbox / "1" / "locked.pdf").write_bytes(locked_pdf("two", f"{PASSWORD} 2"))
    (tmp_path / "passwords.txt").write_text(f"{PASSWORD} 2\n")
    monkeypatch.setenv("PASSWORDS", PASSWORD)
    by_reference = ("-S", "source.passwords_env=PASSWORDS", "-S", f"source.passwords_file={tmp_path}/passwords.txt")
    peer.moods |= {"job": links_signed, "blob": fails_at_times, "run_job": loses_some}
    said = await told(*words, *log, *by_reference, "-S", f"job.options.settings.document_password={PASSWORD} 3")
    assert said[0].code == 0, said[0].err
    assert len(list(out.rglob("*.txt.json"))) == 6
    sent = {json.loads(job.config)["settings"]["document_password"] for job in peer.service.jobs.values()}
    assert sent == {PASSWORD, f"{PASSWORD} 2", f"{PASSWORD} 3"}
    assert_nothing_tells(said, out)


@pytest.mark.parametrize("call", ["jobs", "upload", "run_job", "job"])
async def test_a_service_that_repeats_the_key_is_not_quoted(call: str, words: Words, peer: Peer, out: Path) -> None:
    """In whatever refusal it does so."""
    peer.moods[call] = says(401, {"detail": f"Invalid API key {KEY}"})
    said = await told(*words, "--log-json")
    assert said[0].code == 4
    assert "Invalid API key" in said[0].err
    assert_nothing_tells(said, out)


async def test_nothing_is_left_behind_by_a_run_that_is_killed(words: Words, peer: Peer, out: Path) -> None:
    """Neither in the ledger's own unfinished files."""
    peer.service.work = lambda job: (3600.0, None)
    process = await start(*words, "--log-json", key=KEY)
    await peer.has_jobs(6)
    process.send_signal(signal.SIGKILL)
    heard, complained = await process.communicate()
    assert_nothing_tells([Said(0, heard.decode(), complained.decode())], out)
