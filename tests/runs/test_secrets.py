"""What must not be written down anywhere: the key, a document's password, the signatures of links
to results.
"""

from __future__ import annotations

import html
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web
from commandline import Said, batcher, start
from locked_pdf import locked_pdf
from peer import Handler, Peer, accepts_and_hangs_up, says

from batcher.adapters.notifications import notify
from batcher.common.secrets import Secrets
from batcher.core.summary import Audit
from batcher.runs.running import _discreet as discreet

KEY = "sk-CANARY-0123456789abcdef"
PASSWORD = "CANARY-password-of-a-document"
SIGNATURE = "X-Amz-Signature=CANARYCANARYCANARY"

Words = tuple[object, ...]


async def links_signed(peer: Peer, request: web.Request) -> web.StreamResponse:
    """A result whose parts stand at a signed address; every other time that address answers no
    more.
    """
    job_id = request.match_info["id"]
    link = {"type": "url", "url": f"{peer.url}/blob/{job_id}?{SIGNATURE}", "result_id": "r"}
    result = {"job_id": job_id, "response_type": "parse", "usage": {"num_pages": 1}, "result": link}
    return web.json_response({"status": "Completed", "result": result})


async def fails_at_times(peer: Peer, request: web.Request) -> web.StreamResponse:
    if peer.calls["blob"] % 2:
        return web.json_response({"detail": f"expired: {request.path_qs}"}, status=403)
    return await peer.blob(request)


async def loses_some(peer: Peer, request: web.Request) -> web.StreamResponse:
    return await (accepts_and_hangs_up if peer.calls["run_job"] % 3 == 0 else Peer.run_job)(
        peer, request
    )


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
    heard = {
        f"{stream} of call {number}": text
        for number, one in enumerate(said)
        for stream, text in _streams(one)
    }
    written = {**everything_under(folder), **{name: text.encode() for name, text in heard.items()}}
    for secret in (KEY, PASSWORD, SIGNATURE):
        assert [name for name, data in written.items() if secret.encode() in data] == [], secret


def _streams(one: Said) -> list[tuple[str, str]]:
    return [("stdout", one.out), ("stderr", one.err)]


@pytest.mark.parametrize("log", [[], ["--log-json"]])
async def test_no_secret_is_written_by_a_run_through_trouble(
    log: list[str],
    words: Words,
    peer: Peer,
    inbox: Path,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lost replies, signed links that fail, passwords by each way: in no file, no log, no answer to
    a command.
    """
    (inbox / "0" / "locked.pdf").write_bytes(locked_pdf("one", PASSWORD))
    (inbox / "1" / "locked.pdf").write_bytes(locked_pdf("two", f"{PASSWORD} 2"))
    (tmp_path / "passwords.txt").write_text(f"{PASSWORD} 2\n")
    monkeypatch.setenv("PASSWORDS", PASSWORD)
    by_reference = (
        "-S",
        "source.passwords_env=PASSWORDS",
        "-S",
        f"source.passwords_file={tmp_path}/passwords.txt",
    )
    peer.moods |= {"job": links_signed, "blob": fails_at_times, "run_job": loses_some}
    said = await told(
        *words, *log, *by_reference, "-S", f"job.options.settings.document_password={PASSWORD} 3"
    )
    assert said[0].code == 0, said[0].err
    assert len(list(out.rglob("*.txt.json"))) == 6
    sent = {
        json.loads(job.config)["settings"]["document_password"]
        for job in peer.service.jobs.values()
    }
    assert sent == {PASSWORD, f"{PASSWORD} 2", f"{PASSWORD} 3"}
    assert_nothing_tells(said, out)


@pytest.mark.parametrize("call", ["jobs", "upload", "run_job", "job"])
async def test_a_service_that_repeats_the_key_is_not_quoted(
    call: str, words: Words, peer: Peer, out: Path
) -> None:
    """In whatever refusal it does so."""
    peer.moods[call] = says(401, {"detail": f"Invalid API key {KEY}"})
    said = await told(*words, "--log-json")
    assert said[0].code == 4
    assert "Invalid API key" in said[0].err
    assert_nothing_tells(said, out)


async def test_nothing_is_left_behind_by_a_run_that_is_killed(
    words: Words, peer: Peer, out: Path
) -> None:
    """Neither in the ledger's own unfinished files."""
    peer.service.work = lambda job: (3600.0, None)
    process = await start(*words, "--log-json", key=KEY)
    await peer.has_jobs(6)
    process.send_signal(signal.SIGKILL)
    heard, complained = await process.communicate()
    assert_nothing_tells([Said(0, heard.decode(), complained.decode())], out)


AWKWARD = f'{PASSWORD} "two" <&> ü'
QUOTED: list[Callable[[str], str]] = [
    str,
    json.dumps,
    lambda text: quote(text, safe=""),
    html.escape,
    lambda text: f"{'so it is ' * 54} {text}",  # where a long message is cut off
]


def signed(number: int) -> str:
    return f"https://bucket.invalid/in/{number}.pdf?X-Amz-Credential=CANARYCANARY&{SIGNATURE}"


def words_back(request: web.Request, told: str) -> str:
    """All that a service was told of a job, each time in another form."""
    config = json.loads(told)
    leaves = " | ".join(_leaves(config))
    form = next(form for number, form in enumerate(QUOTED) if signed(number) == config["input"])
    return form(f"{leaves} | {told} | {request.headers.get('Authorization')}")


def _leaves(told: object) -> list[str]:
    if isinstance(told, dict):
        return [leaf for value in told.values() for leaf in _leaves(value)]
    return [told] if isinstance(told, str) else []


async def refuses(peer: Peer, request: web.Request) -> web.StreamResponse:
    words = words_back(request, await request.text())
    return web.json_response(
        {"error": {"name": "DOCUMENT_CORRUPTED", "message": words}}, status=422
    )


async def answers_in_html(peer: Peer, request: web.Request) -> web.StreamResponse:
    words = words_back(request, await request.text())
    page = f"<html><title>400 {words}</title>{words}</html>"
    return web.Response(status=400, text=page, content_type="text/html")


async def answers_in_words(peer: Peer, request: web.Request) -> web.StreamResponse:
    return web.Response(status=400, text=words_back(request, await request.text()))


async def fails_with_an_error(peer: Peer, request: web.Request) -> web.StreamResponse:
    words = words_back(request, peer.service.jobs[request.match_info["id"]].config)
    error = {"name": "DOCUMENT_CORRUPTED", "code": 422, "message": words}
    return web.json_response({"status": "Failed", "error": error})


async def fails_with_a_reason(peer: Peer, request: web.Request) -> web.StreamResponse:
    words = words_back(request, peer.service.jobs[request.match_info["id"]].config)
    return web.json_response({"status": "Failed", "reason": words})


@pytest.mark.parametrize(
    ("call", "mood"),
    [
        ("run_job", refuses),
        ("run_job", answers_in_html),
        ("run_job", answers_in_words),
        ("job", fails_with_an_error),
        ("job", fails_with_a_reason),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_a_service_that_quotes_all_it_was_told_is_not_quoted(
    call: str, mood: Handler, peer: Peer, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key, password, the token of a webhook and a signed address: in no file, no log, no answer to
    a command.
    """
    rows = [f'letter-{number},"{signed(number)}"' for number in range(len(QUOTED))]
    (tmp_path / "documents.csv").write_text("\n".join(["id,url", *rows]))
    monkeypatch.setenv("PASSWORDS", AWKWARD)
    peer.moods[call] = mood
    manifest = tmp_path / "batch.toml"
    manifest.write_text(f"""
        service = {{url = "{peer.url}", settle = "1s"}}
        source = {{listing = "documents.csv", passwords_env = "PASSWORDS"}}
        output = {{directory = "{out}"}}
        notify = {{url = "{peer.url}/nobody/CANARYCANARY"}}
        webhook = {{mode = "direct", listen = "127.0.0.1:0", public_url = "http://127.0.0.1:9/"}}
    """)
    said = [await batcher("run", manifest, "--log-json", "--json", key=KEY)]
    for words in (
        "status",
        "failures",
        "verify",
        "export --format csv --what attempts",
        "why letter-0",
    ):
        command, *rest = words.split()
        said.append(await batcher(command, manifest, *rest, key=KEY))
    await batcher("report", manifest, "-o", out / "report.html", key=KEY)
    assert json.loads(said[0].out)["documents"] == {"failed": len(QUOTED)}, said[0].err
    assert (out / "report.html").exists()
    written = {
        **everything_under(out),
        **{str(n): f"{one.out}{one.err}".encode() for n, one in enumerate(said)},
    }
    assert [name for name, data in written.items() if b"CANARY" in data] == []


async def test_a_run_that_only_brings_home_quotes_no_password_of_the_run_before(
    peer: Peer, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows the batch by its output alone, and from where the passwords came."""
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "one.pdf").write_bytes(locked_pdf("one", PASSWORD))
    monkeypatch.setenv("PASSWORDS", PASSWORD)
    peer.service.work = lambda job: (3600.0, None)
    words = (
        "run",
        tmp_path / "locked",
        "-o",
        out,
        "--service",
        peer.url,
        "-S",
        "source.passwords_env=PASSWORDS",
    )
    process = await start(*words, key=KEY)
    await peer.has_jobs(1)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    error = {"name": "DOCUMENT_CORRUPTED", "code": 422, "message": f"{PASSWORD} opens nothing"}
    peer.moods["job"] = says(200, {"status": "Failed", "error": error})
    said = [
        await batcher("run", out, "--collect", "--log-json", key=KEY),
        await batcher("status", out, key=KEY),
    ]
    assert "[a password] opens nothing" in said[0].err
    assert_nothing_tells(said, out)


@pytest.mark.parametrize("finding", ["twins", "mixed_up", "notes"])
def test_what_an_audit_found_at_the_service_quotes_no_secret(finding: str) -> None:
    """A job's id is the service's word, and it may be any: the key, too."""
    secrets = Secrets()
    secrets.keep([KEY], "the key")
    found = replace(
        Audit(), **{finding: (f"a.pdf holds job {KEY}, which was submitted for b.pdf",)}
    )
    assert getattr(discreet(found, secrets), finding) == (
        "a.pdf holds job [the key], which was submitted for b.pdf",
    )


@pytest.mark.parametrize(
    "url", ["http://[CANARY/hook", "http://127.0.0.1:1/CANARY", "CANARY://hook", "http://CANARY\0/"]
)
async def test_news_that_fails_does_not_tell_where_it_went(url: str) -> None:
    """Whoever knows the address of a chat's webhook may post to it."""
    said = await notify(url, {})
    assert said is not None
    assert "CANARY" not in said
