"""Places as people name them: links, empty words, folders that are gone or can't be; none ends in a
traceback.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commandline import batcher, rows
from peer import Peer


def names_in(folder: Path) -> list[str]:
    """But for batcher's own."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*.json")
        if ".batcher" not in path.parts
    )


async def test_an_output_may_be_a_link_to_a_folder(
    words: tuple[object, ...], inbox: Path, out: Path, peer: Peer, tmp_path: Path
) -> None:
    """It is the person's own; below it none is followed.

    All commands find the results through it.
    """
    (tmp_path / "elsewhere").mkdir()
    out.symlink_to("elsewhere")
    for _ in range(2):
        said = await batcher(*words)
        assert said.code == 0, said.err
    assert len(names_in(tmp_path / "elsewhere")) == len(peer.service.jobs) == 6
    assert (await batcher("verify", out)).code == 0
    assert rows(out, "SELECT count(*) FROM documents WHERE state = 'saved'") == [(6,)]


async def test_an_output_that_leads_into_its_source_is_refused(
    inbox: Path, out: Path, peer: Peer
) -> None:
    """By whichever of the two the link is: results would be taken for documents, and paid for."""
    (inbox / "results").mkdir()
    out.symlink_to(inbox / "results")
    (inbox.parent / "linked").symlink_to(inbox)
    for source, output in (
        (inbox, out),
        (inbox.parent / "linked", inbox / "results"),
        (inbox.parent / "linked", out),
    ):
        said = await batcher("run", source, "-o", output, "--service", peer.url)
        assert said.code == 2, said.err
        assert "lies inside the source" in said.err
    assert not peer.service.jobs


@pytest.mark.parametrize(
    "name", ["nowhere", "itself", "itself/x", "x" * 300, "/".join(["x" * 200] * 30), "file/x"]
)
async def test_an_output_that_cannot_be_is_told_in_words(
    name: str, inbox: Path, tmp_path: Path, peer: Peer
) -> None:
    """Before anything is sent, with the place."""
    (tmp_path / "nowhere").symlink_to("not there")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "file").write_text("a file")
    said = await batcher("run", inbox, "-o", tmp_path / name, "--service", peer.url)
    assert said.code in (2, 3), said.err
    assert name[:20] in said.err and "Traceback" not in said.err
    assert not peer.service.jobs
    assert (tmp_path / "nowhere").readlink() == Path("not there")


@pytest.mark.parametrize("name", ["x" * 300, "itself", "gone", "file/below"])
async def test_a_source_that_cannot_be_is_told_in_words(
    name: str, tmp_path: Path, out: Path, peer: Peer
) -> None:
    """On the command line and in a manifest."""
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "file").write_text("a file")
    manifest = tmp_path / "m.toml"
    manifest.write_text(
        f'service = {{url = "{peer.url}"}}\n'
        f'[source]\ndirectory = "{name}"\n[output]\ndirectory = "o"\n'
    )
    for words in (("run", tmp_path / name, "-o", out), ("run", manifest)):
        said = await batcher(*words)
        assert said.code == 2, said.err
        assert name[:20] in said.err and "Traceback" not in said.err
        assert "is a manifest" not in said.err
    assert not out.exists()


@pytest.mark.parametrize(
    "words", [("run", "", "-o", "OUT"), ("run", "INBOX", "-o", ""), ("status", "")], ids=str
)
async def test_an_empty_path_is_not_the_working_directory(
    words: tuple[str, ...], inbox: Path, out: Path, peer: Peer
) -> None:
    """A variable that isn't set must not have all that lies here sent and paid for."""
    told = [{"OUT": out, "INBOX": inbox}.get(word, word) for word in words]
    said = await batcher(*told)
    assert said.code == 2
    assert "this is empty" in said.err


@pytest.mark.parametrize(
    "words", [("run", "INBOX", "-o", "out"), ("status", "out"), ("run", "m.toml")], ids=str
)
async def test_a_working_directory_that_is_gone_is_told(
    words: tuple[str, ...], inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing relative has a place any more."""
    gone = tmp_path / "gone"
    gone.mkdir()

    def leave() -> None:
        os.chdir(gone)
        gone.rmdir()

    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))  # else nothing of ours is found there
    said = await batcher(*(inbox if word == "INBOX" else word for word in words), before=leave)
    assert said.code in (1, 2), said.err
    assert said.err and "Traceback" not in said.err
