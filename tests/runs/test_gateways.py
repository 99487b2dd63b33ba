"""What stands between a batch and its service: certificates of a company's own, and headers that a
gateway wants.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from certificates import needs_openssl, self_signed
from commandline import batcher
from peer import Handler, Peer, links, listening, says


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path / "ca.pem")


@pytest.fixture
async def secured(certificate: Path) -> AsyncIterator[Peer]:
    """The peer behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with listening(Peer(), tls=context) as peer:
        yield peer


def written(folder: Path, peer: Peer, *service: str, notify: str = "") -> Path:
    """A manifest in `folder` that says so of its service."""
    lines = ["[service]", f'url = "{peer.url}"', 'settle = "1s"', *service]
    lines += ["[source]", 'directory = "inbox"', "[output]", 'directory = "out"']
    path = folder / "batch.toml"
    path.write_text("\n".join([*lines, "[notify]", f'url = "{notify or peer.url}/nobody"']))
    return path


# --- certificates ---------------------------------------------------------------------------------


@needs_openssl
@pytest.mark.usefixtures("inbox")
async def test_a_certificate_that_a_manifest_names_is_trusted_wherever_it_is_shown(
    secured: Peer, tmp_path: Path
) -> None:
    """By the API, by what results link to and by whoever is told of the end; a run that only brings
    home knows it.
    """
    secured.moods["job"] = links
    manifest = written(tmp_path, secured, 'ca_file = "ca.pem"')
    said = await batcher("run", manifest)
    assert said.code == 0, said.err
    assert secured.calls["blob"] == len(list((tmp_path / "out").rglob("*.txt.json"))) == 6
    assert "notify.url answered 404" in said.err
    home = await batcher("run", tmp_path / "out", "--collect")
    assert home.code == 0, home.err
    assert (await batcher("plan", manifest, "--check")).code == 0


@needs_openssl
@pytest.mark.usefixtures("inbox")
async def test_without_it_the_words_say_what_is_missing(secured: Peer, tmp_path: Path) -> None:
    """The manifest's key and the environment's variable."""
    said = await batcher("run", written(tmp_path, secured))
    assert (said.code, "service.ca_file" in said.err, "SSL_CERT_FILE" in said.err) == (
        4,
        True,
        True,
    ), said.err


@pytest.mark.usefixtures("inbox")
async def test_a_file_that_can_not_be_trusted_ends_a_run_before_anything_is_sent(
    peer: Peer, tmp_path: Path
) -> None:
    """With exit code 2; of an output, too, whose manifest named a file that is gone by now."""
    said = await batcher("run", written(tmp_path, peer, 'ca_file = "gone.pem"'))
    assert (said.code, "service.ca_file" in said.err, "gone.pem" in said.err) == (2, True, True), (
        said.err
    )
    assert not (tmp_path / "out").exists()
    assert not peer.calls


# --- headers --------------------------------------------------------------------------------------

SECRET = "CANARY-of-the-gateway-0123"
HEADERS = ("[service.headers]", 'X-Team = "records"', 'X-Gateway-Key = "env:GATEWAY_KEY"')


@pytest.fixture
async def elsewhere() -> AsyncIterator[Peer]:
    """A host that is none of the API's."""
    async with listening(Peer()) as peer:
        yield peer


def links_by_turns(elsewhere: Peer) -> Handler:
    """Results that stand with the API itself, and elsewhere."""

    async def mood(peer: Peer, request: web.Request) -> web.StreamResponse:
        return await links(elsewhere if peer.calls["job"] % 2 else peer, request)

    return mood


def sent(peer: Peer) -> dict[str, set[tuple[str | None, str | None]]]:
    """Both headers, as they came with each kind of call."""
    found: dict[str, set[tuple[str | None, str | None]]] = {}
    for call, headers in peer.headers:
        found.setdefault(call, set()).add((headers.get("X-Team"), headers.get("X-Gateway-Key")))
    return found


@pytest.mark.usefixtures("inbox")
async def test_headers_go_to_the_api_alone(
    peer: Peer, elsewhere: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every call, those of a run that only brings home among them; neither to other hosts nor
    with the news.
    """
    monkeypatch.setenv("GATEWAY_KEY", f" {SECRET} ")
    peer.moods["job"] = links_by_turns(elsewhere)
    manifest = written(tmp_path, peer, *HEADERS, notify=elsewhere.url)
    said = await batcher("run", manifest)
    assert said.code == 0, said.err
    assert set(sent(peer)) >= {"jobs", "upload", "run_job", "job", "blob"}
    assert set.union(*sent(peer).values()) == {("records", SECRET)}
    assert sent(elsewhere) == {"blob": {(None, None)}, "nobody": {(None, None)}}
    peer.headers.clear()
    assert (await batcher("run", tmp_path / "out", "--collect")).code == 0
    assert sent(peer)["jobs"] == {("records", SECRET)}


@pytest.mark.usefixtures("inbox")
async def test_a_header_from_the_environment_is_written_nowhere(
    peer: Peer, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the service quotes it, or a word of it."""
    monkeypatch.setenv("GATEWAY_KEY", f"Token {SECRET}")
    words = f"Token {SECRET} or {SECRET} is no good"
    peer.moods["run_job"] = says(422, {"error": {"name": "DOCUMENT_CORRUPTED", "message": words}})
    manifest = written(tmp_path, peer, *HEADERS)
    told = [
        await batcher("run", manifest, "--log-json", "--json"),
        await batcher("failures", manifest),
    ]
    assert told[0].code == 2 and "[a header] or [a header] is no good" in told[1].out, told
    assert [one for one in told if SECRET in one.out + one.err] == []
    assert [
        path for path in out.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ] == []


@pytest.mark.parametrize("held", ["", "two\nlines", "caf\u00e9"])
@pytest.mark.usefixtures("inbox")
async def test_a_variable_that_holds_no_header_ends_a_run_before_anything_is_sent(
    held: str, peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that holds no key: exit code 2, with the manifest's key and the variable."""
    monkeypatch.setenv("GATEWAY_KEY", held)
    said = await batcher("run", written(tmp_path, peer, *HEADERS))
    assert said.code == 2, said.err
    assert "service.headers.X-Gateway-Key: the environment variable GATEWAY_KEY" in said.err
    assert "export GATEWAY_KEY=" in said.err
    assert not held or held not in said.err
    assert set(peer.calls) == {"nobody"}, "who is told of the end"


# --- what will never answer -----------------------------------------------------------------------


async def _moved(_peer: Peer, _request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("https://elsewhere.invalid/jobs?token=CANARY")


@pytest.mark.usefixtures("inbox")
async def test_a_service_that_answers_with_a_redirect_is_not_waited_for(
    peer: Peer, tmp_path: Path
) -> None:
    """None is followed, so another run would meet the same: where it leads is told."""
    peer.moods["jobs"] = _moved
    said = await batcher("run", written(tmp_path, peer))
    assert said.code == 4
    assert "302 a redirect to https://elsewhere.invalid/jobs" in said.err
    assert "service.url" in said.err and "rerun" not in said.err and "CANARY" not in said.err


@pytest.mark.usefixtures("inbox")
async def test_a_port_without_tls_is_not_waited_for(peer: Peer, tmp_path: Path) -> None:
    """An address with https: in place of http: is wrong for ever."""
    peer.url = peer.url.replace("http:", "https:")
    said = await batcher("run", written(tmp_path, peer))
    assert said.code == 4
    assert "no TLS is spoken there" in said.err and "rerun" not in said.err


@pytest.mark.parametrize(
    ("status", "word"),
    [(402, "the account has to be able to pay"), (407, "the proxy wants a user")],
)
@pytest.mark.usefixtures("inbox")
async def test_a_refusal_that_is_not_about_the_key_blames_no_key(
    status: int, word: str, peer: Peer, tmp_path: Path
) -> None:
    peer.moods["jobs"] = says(status, {"detail": "no"})
    said = await batcher("run", written(tmp_path, peer))
    assert (said.code, word in said.err, "must hold its key" in said.err) == (4, True, False)


@pytest.mark.parametrize(
    "held", ["proxy.invalid:3128", "https://CANARY@proxy.invalid", "socks5://proxy.invalid"]
)
@pytest.mark.usefixtures("inbox")
async def test_a_proxy_that_cannot_be_used_is_refused_by_the_name_of_its_variable(
    held: str, peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be passed by or not found; what it holds isn't shown. Who is told of the end may
    be behind one, which fails no run.
    """
    monkeypatch.setenv("http_proxy", held)
    manifest = written(tmp_path, peer, notify="http://news.invalid")
    said = await batcher("run", manifest)
    assert said.code == 0, "the service is on this machine"
    assert "notify.url: http_proxy of the environment" in said.err
    manifest.write_text(manifest.read_text().replace(f'"{peer.url}"', '"http://elsewhere.invalid"'))
    said = await batcher("run", manifest, "-S", 'output.directory="other"')
    assert (said.code, "http_proxy of the environment" in said.err) == (2, True), said.err
    assert "CANARY" not in said.err
    monkeypatch.setenv("no_proxy", "elsewhere.invalid")
    words = ("-S", 'output.directory="third"', "-S", "service.patience=1s")
    assert (await batcher("run", manifest, *words)).code == 4


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "http://two words/"])
async def test_an_address_that_cannot_be_is_refused_by_its_key(
    url: str, inbox: Path, out: Path
) -> None:
    said = await batcher("run", inbox, "-o", out, "--service", url)
    assert (said.code, "service.url: a URL as in https://" in said.err) == (2, True), said.err
