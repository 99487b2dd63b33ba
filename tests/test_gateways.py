"""What stands between a batch and its service: certificates of a company's own, and headers that a gateway wants."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from commandline import batcher
from peer import Peer, links, listening

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="no openssl here: nothing makes a certificate"
)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of this machine, signed by nobody else; its key lies beside it."""
    path = tmp_path / "ca.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=localhost"),
            *("-keyout", path.with_suffix(".key"), "-out", path, "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return path


@pytest.fixture
async def secured(certificate: Path) -> AsyncIterator[Peer]:
    """The peer behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with listening(Peer(), tls=context) as peer:
        yield peer


def written(folder: Path, peer: Peer, *service: str) -> Path:
    """A manifest in `folder` that says so of its service."""
    lines = ["[service]", f'url = "{peer.url}"', 'settle = "1s"', *service]
    lines += ["[source]", 'directory = "inbox"', "[output]", 'directory = "out"']
    path = folder / "batch.toml"
    path.write_text("\n".join([*lines, "[notify]", f'url = "{peer.url}/nobody"']))
    return path


# --- certificates ---------------------------------------------------------------------------------------------------


@needs_openssl
@pytest.mark.usefixtures("inbox")
async def test_a_certificate_that_a_manifest_names_is_trusted_wherever_it_is_shown(
    secured: Peer, tmp_path: Path
) -> None:
    """By the API, by what results link to and by whoever is told of the end; a run that only brings home knows it."""
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
    assert (said.code, "service.ca_file" in said.err, "SSL_CERT_FILE" in said.err) == (4, True, True), said.err


@pytest.mark.usefixtures("inbox")
async def test_a_file_that_can_not_be_trusted_ends_a_run_before_anything_is_sent(peer: Peer, tmp_path: Path) -> None:
    """With exit code 2; of an output, too, whose manifest named a file that is gone by now."""
    said = await batcher("run", written(tmp_path, peer, 'ca_file = "gone.pem"'))
    assert (said.code, "service.ca_file" in said.err, "gone.pem" in said.err) == (2, True, True), said.err
    assert not (tmp_path / "out").exists()
    assert not peer.calls
