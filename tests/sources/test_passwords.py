"""Protected documents, at the command line: passwords by reference, tried here, sent once, and
written nowhere.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from commandline import batcher, rows, start
from locked_pdf import locked_pdf
from peer import Peer, accepts_and_hangs_up, says

from batcher.reducto.api_types import ErrorName

SECRETS = ("CANARY-one", "CANARY two, with spaces ", "CANARY-three")
Write = Callable[..., Path]


@pytest.fixture
def manifest(tmp_path: Path) -> Write:
    """One with three locked letters, each with a password of its own, one that anybody may open,
    and a plain one.
    """
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number, password in enumerate(SECRETS):
        (inbox / f"{number}.pdf").write_bytes(locked_pdf(f"Letter number {number}", password))
    (inbox / "open.pdf").write_bytes(locked_pdf("Open to all", ""))
    (inbox / "plain.txt").write_text("No secret at all")

    def write(**more: object) -> Path:
        source = {
            "directory": "inbox",
            **{k: v for k, v in more.items() if k.startswith("passwords")},
        }
        rest = {k: v for k, v in more.items() if not k.startswith("passwords")}
        data = {"batch": "locked", "source": source, "output": {"directory": "out"}, **rest}
        (tmp_path / "m.json").write_text(json.dumps(data))
        return tmp_path / "m.json"

    return write


def assert_nothing_tells(tmp_path: Path, *streams: str) -> None:
    kept = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name not in ("passwords.txt", "pairs.csv")
    ]
    assert [path for path in kept if b"CANARY" in path.read_bytes()] == []
    assert [text for text in streams if "CANARY" in text] == []


async def test_each_document_is_opened_by_its_own(
    manifest: Write, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From both places at once, read by the local service; those that want none are read as
    ever.
    """
    (tmp_path / "passwords.txt").write_text(f"wrong\n{SECRETS[0]}\n")
    monkeypatch.setenv("PASSWORDS", f"{SECRETS[1]}\n{SECRETS[2]}")
    path = manifest(passwords_file="passwords.txt", passwords_env="PASSWORDS")
    said = await batcher("run", path, "--log-json")
    assert said.code == 0, said.err
    for number in range(3):
        assert f"Letter number {number}" in (out / f"{number}.pdf.json").read_text()
    assert len(list(out.glob("*.json"))) == 5
    assert_nothing_tells(tmp_path, said.out, said.err)


async def test_a_password_named_later_pays_for_nothing_again(
    manifest: Write, peer: Peer, tmp_path: Path, out: Path
) -> None:
    """What none opens isn't sent, and `failures` says what to do; what was saved stays as it is."""
    (tmp_path / "passwords.txt").write_text(f"{SECRETS[0]}\nwrong\n")
    path = manifest(passwords_file="passwords.txt", service={"url": peer.url})
    said = await batcher("run", path)
    assert said.code == 1 and "2 failed" in said.err
    assert rows(out, "SELECT count(*) FROM attempts") == [(3,)]
    failures = (await batcher("failures", path)).out
    assert (
        "DOCUMENT_PASSWORD_PROTECTED" in failures
        and "passwords_file" in failures
        and "--only document" in failures
    )
    (tmp_path / "passwords.txt").write_text("\n".join(SECRETS))
    assert (await batcher("retry", path, "--only", "document")).code == 0
    again = await batcher("run", path)
    assert again.code == 0, again.err
    assert len(list(out.glob("*.json"))) == 5
    assert rows(out, "SELECT count(*) FROM attempts") == [(5,)]
    assert_nothing_tells(
        tmp_path, said.err, failures, again.err, (await batcher("why", path, "1.pdf")).out
    )


async def test_without_any_the_service_says_what_is_locked(
    manifest: Write, peer: Peer, out: Path
) -> None:
    """Its verdict, with the same advice; a plan has told it before."""
    locked = ErrorName.DOCUMENT_PASSWORD_PROTECTED
    peer.service.work = lambda job: (0.0, locked if len(peer.service.jobs) < 3 else None)
    path = manifest(service={"url": peer.url})
    assert "3 want a password" in (await batcher("plan", path)).out
    assert (await batcher("run", path)).code == 1
    assert "passwords_file" in (await batcher("failures", path)).out
    assert rows(out, "SELECT DISTINCT kind FROM documents WHERE state = 'failed'") == [
        ("document",)
    ]


async def test_a_table_says_whose_each_password_is(
    manifest: Write, peer: Peer, tmp_path: Path, out: Path
) -> None:
    """Only the locked ones are sent with one, in the place where the endpoint takes it."""
    pairs = "".join(f'{number}.pdf,"{password}"\n' for number, password in enumerate(SECRETS))
    (tmp_path / "pairs.csv").write_text(f"path,password\n{pairs}")
    job = {"endpoint": "extract", "options": {"instructions": {"schema": {"type": "object"}}}}
    path = manifest(passwords_file="pairs.csv", service={"url": peer.url}, job=job)
    assert (await batcher("plan", path)).out.count("password") == 0
    said = await batcher("run", path)
    assert said.code == 0, said.err
    sent = [
        json.loads(job.config).get("parsing", {}).get("settings")
        for job in peer.service.jobs.values()
    ]
    assert sorted(one["document_password"] for one in sent if one) == sorted(SECRETS)
    assert sent.count(None) == 2
    assert_nothing_tells(tmp_path, said.out, said.err)


async def refused_and_lost(peer: Peer, request: web.Request) -> web.StreamResponse:
    """The first isn't taken for now, the third is and nobody hears of it."""
    moods = {1: says(429, {"detail": "slow down"}), 3: accepts_and_hangs_up}
    return await moods.get(peer.calls["run_job"], Peer.run_job)(peer, request)


async def test_a_submission_whose_answer_is_lost_is_found_and_tells_nothing(
    manifest: Write, peer: Peer, tmp_path: Path
) -> None:
    """Each is paid for once, and opened again where it was refused for now."""
    (tmp_path / "passwords.txt").write_text("\n".join(SECRETS))
    peer.moods["run_job"] = refused_and_lost
    said = await batcher(
        "run", manifest(passwords_file="passwords.txt", service={"url": peer.url, "settle": 1})
    )
    assert said.code == 0, said.err
    assert len(peer.service.jobs) == 5
    assert sum("document_password" in job.config for job in peer.service.jobs.values()) == 3
    assert_nothing_tells(tmp_path, said.out, said.err)


async def test_a_run_that_is_killed_leaves_none_behind(
    manifest: Write, tmp_path: Path, out: Path
) -> None:
    """Nor does the service it carries: what was waiting there is sent again, and everything comes
    home.
    """
    (tmp_path / "passwords.txt").write_text("\n".join(SECRETS))
    path = manifest(passwords_file="passwords.txt")
    process = await start("run", path, "--rehearse", "--chaos", "slow=1:3600", "--log-json")
    assert process.stderr is not None
    heard = b""
    while heard.count(b'"waiting"') < 5:
        heard += await process.stderr.readline()
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    assert_nothing_tells(tmp_path, heard.decode())
    said = await batcher("run", path, "--rehearse", "--chaos", "slow=0:0")
    assert said.code == 0, said.err
    assert len(list((out / ".batcher" / "rehearsal").glob("*.json"))) == 5
    assert_nothing_tells(tmp_path, said.out, said.err)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"passwords_env": "NOT_SET"}, "NOT_SET isn't set in the environment"),
        ({"passwords_file": "nowhere.txt"}, "nowhere.txt: there is no such file"),
        ({"passwords_file": "empty.txt"}, "it holds no password"),
        ({"passwords_file": "bad.csv"}, "the columns path and password are wanted"),
        ({"passwords_file": "latin.txt"}, "it isn't UTF-8"),
        (
            {"passwords_env": "X", "job": {"endpoint": "classify"}},
            "classify can't be given a password",
        ),
    ],
)
async def test_what_names_no_password_stops_the_run(
    manifest: Write, tmp_path: Path, asked: dict[str, object], told: str, peer: Peer
) -> None:
    """Exit code 2, before anything is sent, and without a word of what the file holds."""
    for name, content in {
        "empty.txt": b"\n\n",
        "bad.csv": b"a,CANARY\n",
        "latin.txt": b"CANARY\xff",
    }.items():
        (tmp_path / name).write_bytes(content)
    said = await batcher("run", manifest(service={"url": peer.url}, **asked))
    assert said.code == 2 and told in said.err, said.err
    assert "CANARY" not in said.err and "Traceback" not in said.err
    assert peer.calls["upload"] == 0


async def test_an_address_takes_the_first(peer: Peer, tmp_path: Path) -> None:
    """Nobody reads its bytes here, so none can be tried: a table may name its own."""
    (tmp_path / "docs.csv").write_text(
        "url\nhttps://h.example/a.pdf?sig=1\nhttps://h.example/b.pdf\n"
    )
    (tmp_path / "pairs.csv").write_text(
        "path,password\n,for all\nhttps://h.example/b.pdf,its own\n"
    )
    peer.service.read_addresses = True
    source = {"listing": "docs.csv", "passwords_file": "pairs.csv"}
    data = {"service": {"url": peer.url}, "source": source, "output": {"directory": "out"}}
    (tmp_path / "m.json").write_text(json.dumps(data))
    said = await batcher("run", tmp_path / "m.json")
    assert said.code == 0, said.err
    sent = {
        job.source[:23]: json.loads(job.config)["settings"] for job in peer.service.jobs.values()
    }
    assert sent == {
        "https://h.example/a.pdf": {"document_password": "for all"},
        "https://h.example/b.pdf": {"document_password": "its own"},
    }
